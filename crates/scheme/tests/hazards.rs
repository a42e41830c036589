//! The hazards of 16-bit formats: counts against the conversions themselves, scales against every other power of two.

use fewbit_scheme::float16::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use fewbit_scheme::hazards::{Census, FormatHazards, HalfHazards, LIMITS};

/// What a format makes of a number that is finite and not 0: whether it overflows, underflows, is subnormal.
fn kinds(x: f32, half: u16, infinity: u16, smallest_normal: u16) -> [bool; 3] {
    let magnitude = half & 0x7FFF;
    assert!(x != 0.0 && x.is_finite());
    [magnitude == infinity, magnitude == 0, magnitude > 0 && magnitude < smallest_normal]
}

fn of_f16(x: f32) -> [bool; 3] {
    kinds(x, f32_to_f16(x), 0x7C00, 0x0400)
}

fn of_bf16(x: f32) -> [bool; 3] {
    kinds(x, f32_to_bf16(x), 0x7F80, 0x0080)
}

fn counts(hazards: &FormatHazards) -> [u64; 3] {
    [hazards.overflow, hazards.underflow, hazards.subnormal]
}

/// Numbers around every limit, of either sign, and a sweep.
fn numbers() -> Vec<f32> {
    let near = LIMITS.iter().flat_map(|&limit| (0..7).map(move |i| (limit + i).saturating_sub(3)));
    let sweep = (0..0x8000_0000u32).step_by(40_009);
    near.chain(sweep).flat_map(|bits| [bits, bits | 1 << 31]).map(f32::from_bits).collect()
}

#[test]
fn each_number_is_counted_as_the_conversions_have_it() {
    for x in numbers() {
        let hazards = HalfHazards::of([x].into_iter());
        let of = [x.is_nan(), x.is_infinite(), x == 0.0].map(u64::from);
        assert_eq!([hazards.nan, hazards.infinite, hazards.zero], of, "{x:e}");
        let ordinary = x.is_finite() && x != 0.0;
        let want = |kinds: fn(f32) -> [bool; 3]| {
            if ordinary { kinds(x).map(u64::from) } else { [0; 3] }
        };
        assert_eq!(counts(&hazards.f16), want(of_f16), "{x:e}");
        assert_eq!(counts(&hazards.bf16), want(of_bf16), "{x:e}");
        let magnitude = if ordinary { x.abs() } else { 0.0 };
        assert_eq!((hazards.largest, hazards.smallest), (magnitude, magnitude), "{x:e}");
    }
}

/// The best power of two by trial: the nearest to 1 that loses nothing; if none, the largest that does not overflow.
fn best(smallest: f32, largest: f32, kinds: fn(f32) -> [bool; 3]) -> (f32, bool) {
    let scales = || (-126..=127).map(|e| (e, 2f64.powi(e)));
    let scaled = |x: f32, scale: f64| (f64::from(x) * scale) as f32;
    let overflows = |scale| {
        let x = scaled(largest, scale);
        !x.is_finite() || (x != 0.0 && kinds(x)[0])
    };
    let loses = |scale| {
        let x = scaled(smallest, scale);
        x == 0.0 || (x.is_finite() && (kinds(x)[1] || kinds(x)[2]))
    };
    let clean = scales().filter(|&(_, s)| !overflows(s) && !loses(s)).min_by_key(|(e, _)| e.abs());
    match clean {
        Some((_, scale)) => (scale as f32, true),
        None => {
            let (_, scale) = scales().rfind(|&(_, s)| !overflows(s)).expect("a small one");
            (scale as f32, false)
        }
    }
}

#[test]
fn scales_are_the_best_powers_of_two() {
    let mut state = 7u32;
    let mut any = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits((state >> 1) % 0x7F80_0000)
    };
    let ends = LIMITS[..8].iter().flat_map(|&limit| [limit, limit + 1]).map(f32::from_bits);
    let mut pairs: Vec<(f32, f32)> =
        ends.clone().flat_map(|a| ends.clone().map(move |b| (a, b))).collect();
    pairs.extend((0..4000).map(|_| (any(), any())));
    // Subnormal numbers of ones alone, which rounding takes to the next power of two.
    pairs.extend((0..23).map(|k| (f32::from_bits(0x007F_FFFF >> k), 1e-33)));
    for (a, b) in pairs {
        let (smallest, largest) = (a.min(b), a.max(b));
        if smallest == 0.0 || !largest.is_finite() {
            continue;
        }
        let hazards =
            HalfHazards::of([smallest, -largest, 0.0, f32::NAN, f32::INFINITY].into_iter());
        assert_eq!((hazards.smallest, hazards.largest), (smallest, largest));
        let got = |format: FormatHazards| (format.scale, format.avoids_all);
        assert_eq!(got(hazards.f16), best(smallest, largest, of_f16), "{smallest:e} {largest:e}");
        assert_eq!(got(hazards.bf16), best(smallest, largest, of_bf16), "{smallest:e} {largest:e}");
    }
}

#[test]
fn nothing_and_parts() {
    let nothing = HalfHazards::of([].into_iter());
    assert_eq!((nothing.count, nothing.largest, nothing.smallest), (0, 0.0, 0.0));
    assert_eq!((nothing.f16.scale, nothing.f16.avoids_all), (1.0, true));
    let without = HalfHazards::of([0.0, -0.0, f32::INFINITY, f32::NAN].into_iter());
    assert_eq!((without.count, without.zero, without.largest, without.smallest), (4, 2, 0.0, 0.0));
    assert_eq!((without.bf16.scale, without.bf16.avoids_all), (1.0, true));
    let all = numbers();
    let count = |numbers: &[f32]| {
        let mut census = Census::EMPTY;
        numbers.iter().for_each(|&x| census.see(x));
        census
    };
    let (a, b) = all.split_at(all.len() / 3);
    let mut merged = count(b);
    merged.merge(&count(a));
    assert_eq!(merged, count(&all));
}

/// What docs/numerics.md says of operations that 16 bits are too few for.
#[test]
fn sensitive_operations() {
    let f16 = |x: f32| f16_to_f32(f32_to_f16(x));
    let bf16 = |x: f32| bf16_to_f32(f32_to_bf16(x));
    // The epsilon of a layer norm: a row of equal numbers has the variance 0, and 0 / sqrt(0) is no number.
    assert_eq!(f16(1e-12), 0.0);
    assert!(bf16(1e-12) > 0.0);
    let normalized = |epsilon: f32| 0.0 / fewbit_scheme::real::sqrt(0.0 + epsilon);
    assert!(normalized(f16(1e-12)).is_nan());
    assert_eq!(normalized(bf16(1e-12)), 0.0);
    // 2^-24 is the smallest f16; half of it is nothing.
    assert!(f16(6e-8) > 0.0 && f16(2.9e-8) == 0.0);
    // A square beyond 255.9, as in a variance or a norm.
    assert_eq!(f16(f16(256.0) * f16(256.0)), f32::INFINITY);
    assert_eq!(f16(255.0 * 255.0), 65024.0);
    // exp in a softmax without the largest subtracted.
    assert!(f16(11.0f64.exp() as f32).is_finite() && f16(11.1f64.exp() as f32).is_infinite());
    // A sum that is kept in 16 bits stands still: 2048 + 1, and 256 + 1.
    let sum = |round: &dyn Fn(f32) -> f32| (0..5000).fold(0.0, |sum, _| round(sum + 1.0));
    assert_eq!((sum(&f16), sum(&bf16)), (2048.0, 256.0));
}
