//! Products of pairs of taps, of every backend, against i64.

#[cfg(target_arch = "x86_64")]
use fewbit_simd::ThreeRows;
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

/// Three rows of three taps: of a backend's own code, and by pairs, which the other test compares.
#[cfg(target_arch = "x86_64")]
#[test]
fn three_rows_are_their_pairs() {
    use fewbit_simd::Avx2;
    const COLUMN: usize = MAX_PAIR_CHANNELS;
    const VECTOR: usize = Avx2::CHANNELS;
    const { assert!(Avx2::THREE) };

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn three(row: &ThreeRows, step: usize) {
        // SAFETY: as the caller vouches.
        unsafe {
            match step {
                1 => Avx2::three::<1>(row),
                _ => Avx2::three::<2>(row),
            }
        }
    }

    /// The same of pair after pair.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn pairs<const HIGH: bool>(row: &ThreeRows, step: usize, to: *mut i32) {
        let vector = if HIGH { VECTOR } else { 0 };
        let [a, b, c] = row.lines;
        // SAFETY: as the caller vouches.
        unsafe {
            for pixel in 0..row.pixels {
                let at = |line: *const i16, tap: usize| line.add((pixel * step + tap) * COLUMN);
                let taps = [0, 1, 2].map(|tap| (at(a, tap), at(b, tap)));
                let last = [0, 2].map(|tap| (at(c, tap), at(c, tap + 1)));
                let mut sums = Avx2::sums(row.start.add(vector));
                for (number, (one, other)) in taps.into_iter().chain(last).enumerate() {
                    let weights = row.weights.add(2 * (number * COLUMN + vector));
                    let codes = Avx2::pair::<HIGH>(one, other);
                    sums = Avx2::add_products(sums, codes, Avx2::weights(weights));
                }
                Avx2::store(sums, to.add(pixel * row.stride + vector));
            }
        }
    }

    if !limited().has(Isa::Avx2.closure()) {
        return missing("three rows", Isa::Avx2.closure());
    }
    let mut rng = Rng::new(93);
    let [mut a, mut b, mut c, mut weights, mut start, mut dst] =
        [(); 6].map(|()| GuardedBuf::new(1 << 14));
    for (step, pixels) in (1..=2).flat_map(|step| (0..=23).map(move |pixels| (step, pixels))) {
        let columns = (pixels.max(1) - 1) * step + 4;
        let stride = 2 * VECTOR + rng.pick(&[0, 1, 48]);
        let largest = rng.below(2) == 0;
        // A line ends with the vectors of its last column.
        let mut codes = || -> Vec<i16> {
            let mut code = || if largest { 255 } else { rng.below(384) as i16 - 128 };
            (0..(columns - 1) * COLUMN + 2 * VECTOR).map(|_| code()).collect()
        };
        let lines = [a.at_end(&codes()), b.at_end(&codes()), c.at_end(&codes())];
        let mut weight = || if largest { -255 } else { rng.below(511) as i16 - 255 };
        let weight: Vec<i16> = (0..4 * 2 * COLUMN + 4 * VECTOR).map(|_| weight()).collect();
        let sums: Vec<i32> = (0..2 * VECTOR).map(|_| rng.next_u32() as i32).collect();
        let len = if pixels == 0 { 0 } else { (pixels - 1) * stride + 2 * VECTOR };
        let row = ThreeRows {
            lines: lines.map(|line| line.cast_const()),
            weights: weights.at_end(&weight),
            start: start.at_end(&sums),
            dst: dst.at_end(&vec![7_i32; len]),
            stride,
            pixels,
        };
        let mut want = vec![7_i32; len];
        // SAFETY: the buffers hold the operands, and the CPU has the features.
        let got = unsafe {
            three(&row, step);
            pairs::<false>(&row, step, want.as_mut_ptr());
            pairs::<true>(&row, step, want.as_mut_ptr());
            std::slice::from_raw_parts(row.dst, len)
        };
        assert_eq!(got, want, "stride {step}, {pixels} pixels");
    }
}
