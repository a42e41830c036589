//! Vectors of codes, of every backend, against plain integers.

use fewbit_simd::{Bytes, Isa, IsaSet, MAX_ADDED};
use fewbit_testkit::{GuardedBuf, Rng, covered, limited, missing, report};

/// The larger codes of two runs, and `start` plus `times` the sums of both, in 16 bits and then in 32.
type Run = unsafe fn([*const u8; 2], (i32, usize), (*mut u8, *mut i32), usize, bool);

/// One backend, whose methods must be inlined into a function with its target features.
macro_rules! check {
    ($backend:ty, $required:expr $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn run(
            [a, b]: [*const u8; 2],
            (start, times): (i32, usize),
            (larger, sums): (*mut u8, *mut i32),
            n: usize,
            signed: bool,
        ) {
            // SAFETY: compiled for the backend; the caller vouches for the pointers.
            unsafe {
                type V = $backend;
                let (a, b) = (V::load(a, n), V::load(b, n));
                let mut added = V::zeros();
                if signed {
                    V::store(larger, V::max::<true>(a, b), n);
                    for _ in 0..times {
                        added = V::add::<true>(V::add::<true>(added, a), b);
                    }
                } else {
                    V::store(larger, V::max::<false>(a, b), n);
                    for _ in 0..times {
                        added = V::add::<false>(V::add::<false>(added, a), b);
                    }
                }
                V::store_sums(sums, V::widen(V::splat(start), added), n);
            }
        }
        if limited().has($required) {
            compare(run, <$backend>::BYTES, stringify!($backend));
            covered("bytes", $required, 256);
        } else {
            missing(stringify!($backend), $required);
        }
    }};
}

/// Every number of codes, random ones and extremes, up to guard pages.
fn compare(run: Run, bytes: usize, name: &str) {
    let mut rng = Rng::new(95);
    let [mut a, mut b, mut larger, mut sums] = [(); 4].map(|()| GuardedBuf::new(4096));
    for (n, round) in (1..=bytes).flat_map(|n| (0..12).map(move |round| (n, round))) {
        let mut codes = [rng.bytes(n), rng.bytes(n)];
        match round % 4 {
            1 => codes = [vec![0x80; n], vec![0x80; n]],
            2 => codes = [vec![0xFF; n], vec![0xFF; n]],
            _ => {}
        }
        let times = rng.pick(&[1, 3, MAX_ADDED / 2]);
        let start = rng.pick(&[0, 1 << 30, -5, i32::MIN]);
        for (signed, at_end) in [(false, true), (true, false)] {
            let (to, sums_to) = (vec![7_u8; n], vec![7_i32; n]);
            // SAFETY: the buffers hold the operands; `check` asked the CPU.
            let (got, got_sums) = unsafe {
                let (from, to, sums_to) = if at_end {
                    let from = [a.at_end(&codes[0]), b.at_end(&codes[1])];
                    (from, larger.at_end(&to), sums.at_end(&sums_to))
                } else {
                    let from = [a.at_start(&codes[0]), b.at_start(&codes[1])];
                    (from, larger.at_start(&to), sums.at_start(&sums_to))
                };
                let from = from.map(|from| from.cast_const());
                run(from, (start, times), (to, sums_to), n, signed);
                (std::slice::from_raw_parts(to, n), std::slice::from_raw_parts(sums_to, n))
            };
            let value = |q: u8| if signed { i32::from(q as i8) } else { i32::from(q) };
            for i in 0..n {
                let (a, b) = (value(codes[0][i]), value(codes[1][i]));
                assert_eq!(value(got[i]), a.max(b), "{name}: {i} of {n}");
                let want = start.wrapping_add(times as i32 * (a + b));
                assert_eq!(got_sums[i], want, "{name}: sum {i} of {n}");
            }
        }
    }
}

#[test]
fn codes_are_integers() {
    check!(fewbit_simd::Scalar, IsaSet::SCALAR);
    #[cfg(target_arch = "x86_64")]
    {
        check!(fewbit_simd::Avx2, Isa::Avx2.closure(), "avx2,fma,f16c");
        check!(
            fewbit_simd::Avx512,
            Isa::Avx512.closure(),
            "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
        );
    }
    #[cfg(target_arch = "aarch64")]
    check!(fewbit_simd::Neon, Isa::Neon.closure(), "neon");
    report();
}
