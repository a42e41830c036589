//! Products of pairs of taps, of every backend, against i64.

use fewbit_simd::{Isa, IsaSet, MAX_PAIR_CHANNELS, Pairs};
use fewbit_testkit::{GuardedBuf, Rng, covered, limited, missing, report};

type Run = unsafe fn([*const u8; 2], *const i16, [*const i32; 2], *mut i32, usize, bool);

/// One backend, whose methods must be inlined into a function with its target features.
macro_rules! check {
    ($backend:ty, $required:expr $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn run(
            [a, b]: [*const u8; 2],
            weights: *const i16,
            [low, high]: [*const i32; 2],
            to: *mut i32,
            n: usize,
            signed: bool,
        ) {
            // SAFETY: compiled for the backend; the caller vouches for the pointers, and blocks have their places.
            unsafe {
                type V = $backend;
                let mut blocks = [[0i16; MAX_PAIR_CHANNELS]; 2];
                let [first, second] = &mut blocks;
                if signed {
                    V::widen::<true>(a, first.as_mut_ptr(), n);
                    V::widen::<true>(b, second.as_mut_ptr(), n);
                } else {
                    V::widen::<false>(a, first.as_mut_ptr(), n);
                    V::widen::<false>(b, second.as_mut_ptr(), n);
                }
                let (first, second) = (first.as_ptr(), second.as_ptr());
                let codes = V::pair::<false>(first, second);
                V::store(V::add_products(V::sums(low), codes, V::weights(weights)), to);
                let (weights, to) = (weights.add(2 * V::CHANNELS), to.add(V::CHANNELS));
                let codes = V::pair::<true>(first, second);
                V::store(V::add_products(V::sums(high), codes, V::weights(weights)), to);
            }
        }
        if limited().has($required) {
            compare(run, <$backend>::CHANNELS, stringify!($backend));
            covered("pairs", $required, 256);
        } else {
            missing(stringify!($backend), $required);
        }
    }};
}

/// Every number of channels, with random codes and extremes, up to guard pages.
fn compare(run: Run, vector: usize, name: &str) {
    let channels = 2 * vector;
    assert!(channels <= MAX_PAIR_CHANNELS);
    let mut rng = Rng::new(92);
    let [mut a, mut b, mut weights, mut low, mut high, mut to] =
        [(); 6].map(|()| GuardedBuf::new(4096));
    for (n, round) in (1..=channels).flat_map(|n| (0..16).map(move |round| (n, round))) {
        let (mut codes, mut w) = ([rng.bytes(n), rng.bytes(n)], vec![0; 2 * channels]);
        w.fill_with(|| rng.below(511) as i16 - 255);
        match round % 8 {
            1 => codes = [vec![0x80; n], vec![0x80; n]],
            2 => codes = [vec![0xFF; n], vec![0xFF; n]],
            _ => {}
        }
        match round % 3 {
            1 => w.fill(-255),
            2 => w.fill(255),
            _ => {}
        }
        let sums: Vec<i32> = (0..channels).map(|_| rng.next_u32() as i32).collect();
        let dst = to.at_end(&vec![7_i32; channels]);
        for signed in [false, true] {
            // SAFETY: the buffers hold the operands; `check` asked the CPU.
            let got = unsafe {
                let taps = [a.at_end(&codes[0]).cast_const(), b.at_end(&codes[1]).cast_const()];
                let from = [low.at_end(&sums[..vector]), high.at_end(&sums[vector..])];
                let from = from.map(|from| from.cast_const());
                run(taps, weights.at_end(&w), from, dst, n, signed);
                std::slice::from_raw_parts(dst, channels)
            };
            for (i, &got) in got.iter().enumerate() {
                let value = |codes: &[u8]| match codes.get(i) {
                    Some(&q) => {
                        if signed {
                            i64::from(q as i8)
                        } else {
                            i64::from(q)
                        }
                    }
                    None => 0,
                };
                let pair = value(&codes[0]) * i64::from(w[2 * i])
                    + value(&codes[1]) * i64::from(w[2 * i + 1]);
                assert_eq!(got, (i64::from(sums[i]) + pair) as i32, "{name}: {i} of {n}");
            }
        }
    }
}

#[test]
fn products_are_exact() {
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
