//! `real` against std and against arithmetic in integers, on numbers that are hard to round.

mod common;

use common::{beside, extremes, fused, rng};
use fewbit_scheme::{dot_bf16, fma_flushed, real};

fn same(got: f32, want: f32) -> bool {
    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
}

/// 2^e.
fn power(e: i32) -> f32 {
    2f32.powi(e)
}

fn check_fma(a: f32, b: f32, c: f32) {
    let got = real::fma(a, b, c);
    if fewbit_testkit::fma_is_an_instruction() {
        let want = a.mul_add(b, c);
        assert!(same(got, want), "fma({a:e}, {b:e}, {c:e}) = {got:e}, std {want:e}");
    }
    if a.is_finite() && b.is_finite() && c.is_finite() {
        let want = fused(a, b, c);
        assert!(same(got, want), "fma({a:e}, {b:e}, {c:e}) = {got:e}, integers {want:e}");
    }
    assert!(!got.is_nan() || got.to_bits() == 0x7FC0_0000, "not the canonical NaN");
}

#[test]
fn fma_of_extremes() {
    let extremes = extremes();
    for &a in &extremes {
        for &b in &extremes {
            for &c in &extremes {
                check_fma(a, b, c);
            }
        }
    }
}

#[test]
fn fma_where_two_roundings_are_wrong() {
    // The product is 1 + 2^-23 + 2^-24 + tiny or so: rounding it to f64 and then to f32 would lose
    // the part that breaks the tie.
    let mut wrong_in_f64 = 0;
    let mut rng = rng(3);
    for _ in 0..400_000 {
        let a = f32::from_bits(0x3F80_0000 | rng.next_u32() >> 9);
        let b = f32::from_bits(0x3F80_0000 | rng.next_u32() >> 9);
        // c makes the exact sum a tie between two f32, or off by far less than f64 can hold.
        let product = f64::from(a) * f64::from(b);
        let tie = f64::from((product as f32) + rng.pick(&[0.0, 1.0, 1024.0, -4.0]));
        let half = f64::from(f32::from_bits((tie as f32).to_bits() & 0x7F80_0000)) / 16_777_216.0;
        let c = (tie + half - product) as f32;
        let shift = rng.pick(&[1.0f32, 1e-30, 1e-38, 1e30]);
        for (a, b, c) in [(a, b, c), (a * shift, b, c * shift), (a, b, -c), (c, 1.0, a * b)] {
            check_fma(a, b, c);
            let twice = (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
            wrong_in_f64 += u32::from(!same(twice, real::fma(a, b, c)));
        }
    }
    // Known cases: (1 + 2^-23)^2-like products with an addend far below.
    let tiny = f32::from_bits(1);
    for (a, b) in [(1.000_000_1f32, 1.5f32), (4097.0, 4097.0), (1.000_000_1, 16_777_215.0)] {
        for c in [tiny, -tiny, 1e-30, -1e-30, f32::MIN_POSITIVE] {
            check_fma(a, b, c);
            wrong_in_f64 += u32::from(!same(
                (f64::from(a) * f64::from(b) + f64::from(c)) as f32,
                real::fma(a, b, c),
            ));
        }
    }
    // 4097 * 4097 = 2^24 + 2^13 + 1; with 1/2 ulp as the tie: 16785409 is odd in units of 1, a tie
    // in f32's units of 2. A tiny addend decides.
    assert_eq!(real::fma(4097.0, 4097.0, 0.0), 16_785_408.0);
    assert_eq!(real::fma(4097.0, 4097.0, tiny), 16_785_410.0);
    assert_eq!(real::fma(4097.0, 4097.0, -tiny), 16_785_408.0);
    // 1 + 2^-24 is a tie of f32; this is above it by less than f64's last place, and the sum in f64 the odd number above.
    let (a, b) = (131.0 * power(-27), 16_393_005.0 * power(-28));
    check_fma(a, b, 1.0);
    assert_eq!(real::fma(a, b, 1.0), 1.0 + power(-23));
    assert_eq!(real::fma(-a, b, -1.0), -1.0 - power(-23));
    assert!(wrong_in_f64 > 0, "no input tells one rounding from two");
    println!("{wrong_in_f64} results that rounding twice gets wrong");
}

#[test]
fn fma_of_random_numbers() {
    let mut rng = rng(4);
    for _ in 0..1_000_000 {
        let (a, b) = (f32::from_bits(rng.next_u32()), f32::from_bits(rng.next_u32()));
        let c = match rng.next_u32() & 3 {
            // Cancels all of the product but its rounding.
            0 => -(a * b),
            1 => -beside(a * b, 1),
            2 => a * b * 5.960_464_5e-8,
            _ => f32::from_bits(rng.next_u32()),
        };
        check_fma(a, b, c);
    }
    // Results among the subnormals, where the last place is coarser.
    for _ in 0..500_000 {
        let a = f32::from_bits(0x2000_0000 | rng.next_u32() >> 5);
        let b = f32::from_bits(0x1F80_0000 | rng.next_u32() >> 9);
        check_fma(
            a,
            b,
            f32::from_bits(rng.next_u32() >> 8 & 0x80FF_FFFF | rng.next_u32() & 1 << 31),
        );
    }
}

#[test]
fn sqrt_is_correctly_rounded() {
    let check = |x: f32| {
        let (got, want) = (real::sqrt(x), x.sqrt());
        assert!(same(got, want), "sqrt({x:e}) = {got:e}, std {want:e}");
        if !got.is_finite() || got == 0.0 {
            return;
        }
        // got - half an ulp < sqrt(x) < got + half an ulp, squared in f64: 25 bits squared are exact.
        let middle = |a: f32, b: f32| (f64::from(a) + f64::from(b)) / 2.0;
        let (low, high) = (middle(got, got.next_down()), middle(got, got.next_up()));
        assert!(low * low < f64::from(x) && f64::from(x) < high * high, "sqrt({x:e})");
    };
    extremes().into_iter().for_each(check);
    // All mantissas of two neighbouring exponents, sampled: a root depends on nothing else.
    let stride = fewbit_testkit::fraction("sqrt mantissas", 37);
    (0x3F80_0000u32..0x4080_0000).step_by(stride).for_each(|bits| check(f32::from_bits(bits)));
    let mut rng = rng(5);
    (0..500_000).for_each(|_| check(f32::from_bits(rng.next_u32())));
    (0..1 << 12).for_each(|i| {
        let square = (i * i) as f32;
        (-2..=2).for_each(|steps| check(beside(square, steps)));
    });
    assert_eq!(real::sqrt(-0.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!(real::sqrt(-1.0).to_bits(), 0x7FC0_0000);
    assert_eq!(real::sqrt(f32::from_bits(0xFF81_0000)).to_bits(), 0x7FC0_0000);
}

#[test]
fn rounding_to_integers() {
    let check = |x: f32| {
        if x.is_nan() {
            // The contract keeps a NaN as it is; CPUs quiet it.
            assert_eq!(real::round_half_even(x).to_bits(), x.to_bits());
            assert_eq!(real::round_half_away(x).to_bits(), x.to_bits());
            return;
        }
        let (even, away) = (real::round_half_even(x), real::round_half_away(x));
        assert_eq!(even.to_bits(), x.round_ties_even().to_bits(), "{x:e}");
        assert_eq!(away.to_bits(), x.round().to_bits(), "{x:e}");
    };
    extremes().into_iter().for_each(check);
    for i in -70_000..70_000i32 {
        let tie = i as f32 + 0.5;
        (-1..=1).for_each(|steps| check(beside(tie, steps)));
    }
    for i in 8_388_000..8_389_000u32 {
        [i as f32, -(i as f32), i as f32 - 0.5, 0.5 - i as f32].into_iter().for_each(check);
    }
    let mut rng = rng(6);
    (0..1_000_000).for_each(|_| check(rng.any_f32()));
    assert_eq!([0.5, 1.5, 2.5, -0.5].map(real::round_half_even), [0.0, 2.0, 2.0, -0.0]);
    assert_eq!([0.5, 1.5, 2.5, -0.5].map(real::round_half_away), [1.0, 2.0, 3.0, -1.0]);
    assert_eq!(real::round_half_away(0.499_999_97), 0.0);
}

#[test]
fn min_and_max_order_zeros_and_skip_nan() {
    // Equal numbers have equal signs, but for zeros.
    let order = |x: f32| (x, x.is_sign_positive());
    for a in extremes() {
        for b in extremes() {
            let (low, high) = (real::min(a, b), real::max(a, b));
            let (want_low, want_high) = match (a.is_nan(), b.is_nan()) {
                (true, true) => {
                    assert!(low.is_nan() && high.is_nan());
                    continue;
                }
                (true, false) => (b, b),
                (false, true) => (a, a),
                _ if order(a) <= order(b) => (a, b),
                _ => (b, a),
            };
            assert_eq!(low.to_bits(), want_low.to_bits(), "min({a:e}, {b:e})");
            assert_eq!(high.to_bits(), want_high.to_bits(), "max({a:e}, {b:e})");
        }
    }
}

#[test]
fn canonical_nan() {
    for x in extremes() {
        let want = if x.is_nan() { 0x7FC0_0000 } else { x.to_bits() };
        assert_eq!(real::canonical(x).to_bits(), want);
    }
}

/// Around 2^-126 everything a power of two larger, where [`real::fma`] knows no subnormal numbers: what rounds to less is 0.
#[test]
fn flushed_steps() {
    let mut rng = rng(41);
    let mut kinds = [0; 3];
    for _ in 0..200_000 {
        // Of 8 bits, as bf16 is, and of 24.
        let mut number = |bits: u32, exponent: i32| {
            let mantissa = rng.next_u32() >> (32 - bits) | 1 << (bits - 1);
            let x = mantissa as f32 * power(exponent - bits as i32);
            if rng.below(2) == 0 { x } else { -x }
        };
        let (x, w) = (number(8, 3), number(8, 2));
        let y = match kinds.iter().sum::<i32>() % 4 {
            0 => number(24, 5),
            1 => number(24, -2),
            // Nearly the product's opposite, or what lacks some bits to 1, the least normal number here.
            2 => -(x * w) * (1.0 + number(4, -18)),
            _ => (1.0 + number(2, -23)).copysign(x * w) - x * w,
        };
        let scaled = real::fma(x, w, y);
        let down = power(-126);
        let got = fma_flushed(x * power(-63), w * power(-63), y * down);
        let subnormal = (y * down).is_subnormal();
        let scaled = if subnormal { x * w } else { scaled };
        let want = if scaled.abs() < 1.0 { 0f32.copysign(scaled) } else { scaled * down };
        assert_eq!(got.to_bits(), want.to_bits(), "{x:e} {w:e} {y:e}: {got:e} {want:e}");
        kinds[if subnormal { 0 } else { 1 + usize::from(want == 0.0) }] += 1;
    }
    assert!(kinds.iter().all(|&count| count > 5_000), "{kinds:?}");
}

#[test]
fn flushed_steps_of_other_numbers() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    let least = f32::MIN_POSITIVE;
    let below = f32::from_bits(0x007F_FFFF);
    // Subnormal operands are zeros of their sign.
    assert_eq!(fma_flushed(below, 1e30, -0.0).to_bits(), 0);
    assert_eq!(fma_flushed(-below, 1e30, -0.0).to_bits(), 0x8000_0000);
    assert_eq!(fma_flushed(1.0, -0.0, -below).to_bits(), 0x8000_0000);
    assert!(fma_flushed(below, infinity, 1.0).is_nan());
    assert!(fma_flushed(nan, 1.0, 1.0).is_nan() && fma_flushed(1.0, 1.0, nan).is_nan());
    assert!(fma_flushed(infinity, 1.0, -infinity).is_nan());
    assert_eq!(fma_flushed(-infinity, 2.0, 1.0), -infinity);
    assert_eq!(fma_flushed(f32::MAX, 2.0, 0.0), infinity);
    assert_eq!(fma_flushed(f32::MAX, 2.0, -f32::MAX), f32::MAX);
    assert_eq!(fma_flushed(least, 1.0, 0.0), least);
    assert_eq!(fma_flushed(least, -0.5, 0.0).to_bits(), 0x8000_0000);
    // (2^25 - 1) 2^-151 is in the middle between the least normal number and what lies below it in 24 bits: it is rounded up,
    // to the even one. (2^24 - 1) 2^-150 is what lies below.
    assert_eq!(fma_flushed(18_631.0 * power(-75), 1_801.0 * power(-76), 0.0), least);
    assert_eq!(fma_flushed(4_095.0 * power(-75), 4_097.0 * power(-75), 0.0).to_bits(), 0);
    // Otherwise the fused operation.
    let mut rng = rng(42);
    for _ in 0..200_000 {
        let [x, w, y] = [0; 3].map(|_| rng.any_f32());
        let want = real::fma(x, w, y);
        if ![x, w, y].iter().any(|v| v.is_subnormal()) && want.abs() > least {
            assert_eq!(fma_flushed(x, w, y).to_bits(), want.to_bits(), "{x:e} {w:e} {y:e}");
        }
    }
}

#[test]
fn dot_bf16_is_the_chain_of_flushed_steps() {
    let of = |pairs: &[(f32, f32)]| dot_bf16(pairs.iter().copied()).to_bits();
    let tiny = (1e-20f32, -1e-20);
    assert_eq!(of(&[]), 0);
    // -0 of two products, and +0 where 0 * 0 completes a pair.
    assert_eq!(of(&[tiny, tiny]), 0x8000_0000);
    assert_eq!(of(&[tiny]), 0);
    assert_eq!(of(&[tiny, tiny, tiny]), 0);
    // The order is that of the pairs: 1 is lost beside 2^30.
    let (large, one) = (2f32.powi(15), (1.0, 1.0));
    assert_eq!(of(&[(large, large), one, (-large, large)]), 0);
    assert_eq!(of(&[(large, large), (-large, large), one]), 1f32.to_bits());
    assert_eq!(of(&[(f32::INFINITY, 1.0), (f32::NEG_INFINITY, 1.0)]), 0x7FC0_0000);
}
