//! `params_from_range`: ordinary ranges, the formulas of ONNX, and every degenerate range.

mod common;

use common::{divide, rng};
use fewbit_scheme::{
    IntFormat, ParamError, ParamSpec, QuantParams, QuantizeMode, Scheme, SymmetricRange,
    dequantize, params_from_range, quantize,
};

fn specs() -> Vec<ParamSpec> {
    let mut specs = Vec::new();
    for format in IntFormat::ALL {
        for scheme in [Scheme::Affine, Scheme::Symmetric] {
            for range in [SymmetricRange::Narrow, SymmetricRange::Full] {
                for power_of_two in [false, true] {
                    specs.push(ParamSpec { format, scheme, range, power_of_two });
                }
            }
        }
    }
    specs
}

fn params(min: f32, max: f32, spec: &ParamSpec) -> QuantParams {
    params_from_range(min, max, spec).unwrap()
}

#[test]
fn by_hand() {
    let s8 = ParamSpec::affine(IntFormat::S8);
    let u8 = ParamSpec::affine(IntFormat::U8);
    assert_eq!(params(0.0, 255.0, &u8), QuantParams { scale: 1.0, zero_point: 0 });
    assert_eq!(params(-255.0, 0.0, &u8), QuantParams { scale: 1.0, zero_point: 255 });
    assert_eq!(params(-128.0, 127.0, &s8), QuantParams { scale: 1.0, zero_point: 0 });
    assert_eq!(params(-64.0, 63.5, &s8), QuantParams { scale: 0.5, zero_point: 0 });
    // Widened to contain 0.
    assert_eq!(params(100.0, 255.0, &u8), QuantParams { scale: 1.0, zero_point: 0 });
    assert_eq!(params(-255.0, -100.0, &s8), QuantParams { scale: 1.0, zero_point: 127 });
    // One value.
    assert_eq!(params(255.0, 255.0, &u8), QuantParams { scale: 1.0, zero_point: 0 });
    let symmetric = ParamSpec::symmetric(IntFormat::S8);
    assert_eq!(params(-127.0, 50.0, &symmetric), QuantParams { scale: 1.0, zero_point: 0 });
    assert_eq!(params(10.0, 254.0, &symmetric), QuantParams { scale: 2.0, zero_point: 0 });
    let full = ParamSpec { range: SymmetricRange::Full, ..symmetric };
    assert_eq!(params(-128.0, 50.0, &full), QuantParams { scale: 1.0, zero_point: 0 });
    // Powers of two: the smallest that is not below amax / 127.
    let power = ParamSpec { power_of_two: true, ..symmetric };
    for (amax, scale) in
        [(127.0, 1.0), (127.1, 2.0), (126.9, 1.0), (254.0, 2.0), (0.3, 2f32.powi(-8)), (63.6, 1.0)]
    {
        assert_eq!(params(-amax, amax, &power).scale, scale, "{amax}");
    }
    // Few bits.
    assert_eq!(params(-7.0, 7.0, &ParamSpec::symmetric(IntFormat::S4)).scale, 1.0);
    assert_eq!(params(-3.0, 1.0, &ParamSpec::symmetric(IntFormat::S2)).scale, 3.0);
    assert_eq!(
        params(-5.0, 10.0, &ParamSpec::affine(IntFormat::U4)),
        QuantParams { scale: 1.0, zero_point: 5 }
    );
    for scheme in [Scheme::Affine, Scheme::Symmetric] {
        let spec = ParamSpec { scheme, ..ParamSpec::affine(IntFormat::B1) };
        assert_eq!(params(-3.0, 5.0, &spec), QuantParams { scale: 5.0, zero_point: 0 });
    }
    // Unsigned and symmetric: no codes below 0.
    let unsigned = ParamSpec::symmetric(IntFormat::U8);
    assert_eq!(params(-255.0, 1.0, &unsigned), QuantParams { scale: 1.0, zero_point: 0 });
}

#[test]
fn dynamic_quantize_linear_of_onnx() {
    // scale = (max - min) / 255, zero_point = saturate(round_half_even(0 - min / scale)), each f32
    // operation rounded; here by integers.
    let mut rng = rng(20);
    let spec = ParamSpec::affine(IntFormat::U8);
    for i in 0..200_000 {
        let (a, b) = match i % 3 {
            0 => (rng.normal(), rng.normal()),
            1 => (rng.normal() * 1e-3, rng.normal() * 100.0),
            _ => (rng.any_f32() * 0.5, rng.any_f32() * 0.5),
        };
        if !(a.is_finite() && b.is_finite()) {
            continue;
        }
        let (min, max) = (a.min(b), a.max(b));
        let (low, high) = (min.min(0.0), max.max(0.0));
        // One addition of f32 is exact enough in f64 to be rounded once.
        let width = (f64::from(high) - f64::from(low)) as f32;
        if width == 0.0 || width.is_infinite() {
            continue;
        }
        let scale = divide(width, 255.0);
        if scale == 0.0 {
            continue;
        }
        let zero = f64::from(divide(-low, scale)).clamp(0.0, 255.0).round_ties_even();
        let want = QuantParams { scale, zero_point: zero as i32 };
        assert_eq!(params(min, max, &spec), want, "{min:e} {max:e}");
    }
    // The example of ONNX's operator page: x = 0, 2, -3, -2.5, 1.34, 0.5.
    let want = QuantParams { scale: 0.019_607_844, zero_point: 153 };
    assert_eq!(params(-3.0, 2.0, &spec), want);
    let codes = [0.0f32, 2.0, -3.0, -2.5, 1.34, 0.5]
        .map(|x| quantize(x, want, IntFormat::U8, QuantizeMode::default()));
    assert_eq!(codes, [153, 255, 0, 26, 221, 179]);
}

#[test]
fn every_range_gives_parameters_that_work() {
    let ends = [
        0.0,
        1e-45,
        3e-45,
        1e-40,
        f32::MIN_POSITIVE,
        1e-38,
        1e-3,
        0.3,
        1.0,
        127.0,
        255.0,
        1e10,
        1e38,
        1.8e38,
        f32::MAX,
        f32::INFINITY,
    ];
    let mut rng = rng(21);
    let mut ends: Vec<f32> = ends.iter().flat_map(|&x| [-x, x]).collect();
    ends.extend((0..12).map(|_| rng.any_f32()).filter(|x| !x.is_nan()));
    for spec in specs() {
        let format = spec.format;
        for &min in &ends {
            for &max in ends.iter().filter(|&&max| min <= max) {
                let p = params(min, max, &spec);
                let label = format!("{spec:?} {min:e}..{max:e}: {p:?}");
                assert!(p.check(format).is_ok(), "{label}");
                if spec.power_of_two {
                    let bits = p.scale.to_bits();
                    let one_bit =
                        if bits < 1 << 23 { bits.is_power_of_two() } else { bits << 9 == 0 };
                    assert!(one_bit, "{label}");
                }
                if format == IntFormat::B1 {
                    continue;
                }
                let code = |x| quantize(x, p, format, QuantizeMode::default());
                // Real 0 is exact.
                assert_eq!(dequantize(code(0.0), p), 0.0, "{label}");
                if spec.scheme == Scheme::Symmetric {
                    assert_eq!(p.zero_point, 0);
                }
                // The ends come back: within half a step for the end's own code and half because the
                // zero point is an integer. A scale among the subnormals may be off by 2^-150, for
                // each step; one of ordinary size by 2^-24 of itself.
                let symmetric = spec.scheme == Scheme::Symmetric;
                let full = symmetric && spec.range == SymmetricRange::Full;
                for end in [min, max] {
                    let back = f64::from(dequantize(code(end), p));
                    // Not those without a code: negative where there are no negative codes, +amax of
                    // the full range, infinite ends, and what needs a larger scale than f32 has.
                    let none = symmetric && format.qmin() == 0 && end < 0.0
                        || full && end > 0.0
                        || end.is_infinite()
                        || p.scale >= 2f32.powi(127)
                        || back.is_infinite();
                    if none {
                        continue;
                    }
                    let (scale, steps) =
                        (f64::from(p.scale), f64::from(format.qmax() - format.qmin()));
                    let half_steps = if symmetric { 1.0 } else { 2.0 };
                    let off = steps * (2f64.powi(-150) + scale * 2f64.powi(-23));
                    let error = (back - f64::from(end)).abs();
                    assert!(error <= 0.5 * half_steps * scale + off, "{label} {end:e} {back:e}");
                }
            }
        }
    }
}

#[test]
fn degenerate_ranges() {
    for spec in specs() {
        // All zero, either sign; and no data at all.
        for (min, max) in
            [(0.0, 0.0), (-0.0, 0.0), (-0.0, -0.0), (f32::INFINITY, f32::NEG_INFINITY)]
        {
            let p = params(min, max, &spec);
            assert_eq!(p.scale.to_bits(), 1.0f32.to_bits(), "{spec:?} {min} {max}");
            let zero = if spec.scheme == Scheme::Symmetric || spec.format == IntFormat::B1 {
                0
            } else {
                spec.format.qmin()
            };
            assert_eq!(p.zero_point, zero, "{spec:?}");
        }
        for (min, max) in [(f32::NAN, 0.0), (0.0, f32::NAN), (f32::NAN, f32::NAN)] {
            assert_eq!(params_from_range(min, max, &spec), Err(ParamError::RangeNan));
        }
        for (min, max) in [(1.0, -1.0), (f32::INFINITY, 0.0), (0.0, f32::NEG_INFINITY), (1.0, 0.5)]
        {
            assert_eq!(
                params_from_range(min, max, &spec),
                Err(ParamError::RangeOrder { min, max })
            );
        }
        // Infinite ends count as the largest finite number.
        for (a, b) in [
            ((f32::NEG_INFINITY, f32::INFINITY), (f32::MIN, f32::MAX)),
            ((-1.0, f32::INFINITY), (-1.0, f32::MAX)),
            ((f32::INFINITY, f32::INFINITY), (f32::MAX, f32::MAX)),
            ((f32::NEG_INFINITY, f32::NEG_INFINITY), (f32::MIN, f32::MIN)),
        ] {
            assert_eq!(params(a.0, a.1, &spec), params(b.0, b.1, &spec), "{spec:?}");
        }
    }
    // A range whose steps would be 0 gets the smallest step; tiny numbers then have codes of their own.
    let spec = ParamSpec::affine(IntFormat::S8);
    let tiny = f32::from_bits(1);
    let p = params(0.0, tiny, &spec);
    assert_eq!(p, QuantParams { scale: tiny, zero_point: -128 });
    assert_eq!(dequantize(quantize(tiny, p, IntFormat::S8, QuantizeMode::default()), p), tiny);
    assert_eq!(params(-tiny, tiny, &ParamSpec::symmetric(IntFormat::S8)).scale, tiny);
    // max - min overflows, the scale does not.
    let p = params(f32::MIN, f32::MAX, &ParamSpec::affine(IntFormat::U8));
    assert_eq!(p.scale, f32::MAX / 255.0 + f32::MAX / 255.0);
    assert_eq!(p.zero_point, 128); // 127.5, a tie
    // One step that would be infinite.
    let p = params(f32::MIN, f32::MAX, &ParamSpec::affine(IntFormat::U1));
    assert_eq!(p.scale, f32::MAX);
    let power = ParamSpec { power_of_two: true, ..ParamSpec::affine(IntFormat::U1) };
    assert_eq!(params(f32::MIN, f32::MAX, &power).scale, 2f32.powi(127));
}

#[test]
fn powers_of_two_are_the_smallest_that_suffice() {
    let mut rng = rng(22);
    for spec in specs().into_iter().filter(|spec| spec.power_of_two) {
        for _ in 0..2000 {
            let (a, b) = (rng.any_f32(), rng.any_f32());
            if a.is_nan() || b.is_nan() || a == 0.0 && b == 0.0 {
                continue;
            }
            let (min, max) = (a.min(b), a.max(b));
            let exact = params(min, max, &ParamSpec { power_of_two: false, ..spec }).scale;
            let power = params(min, max, &spec).scale;
            let label = format!("{spec:?} {min:e} {max:e} {exact:e} {power:e}");
            assert!(power >= exact || power == 2f32.powi(127), "{label}");
            assert!(power / 2.0 < exact, "{label}");
        }
    }
}

#[test]
fn parameters_are_checked() {
    let check = |scale, zero_point, format| QuantParams { scale, zero_point }.check(format);
    let (least, most) = (f32::from_bits(1), f32::MAX);
    for format in IntFormat::ALL {
        // b1 has no zero point.
        let (qmin, qmax) = match format {
            IntFormat::B1 => (0, 0),
            _ => (format.qmin(), format.qmax()),
        };
        for zero_point in [qmin, qmax] {
            for scale in [least, 1.0, most] {
                assert_eq!(check(scale, zero_point, format), Ok(()));
            }
            for scale in [0.0, -0.0, -1.0, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(check(scale, zero_point, format), Err(ParamError::Scale(scale)));
            }
            assert!(matches!(check(f32::NAN, zero_point, format), Err(ParamError::Scale(_))));
        }
        for zero_point in [qmin - 1, qmax + 1, i32::MIN, i32::MAX] {
            let error = ParamError::ZeroPoint { zero_point, qmin, qmax };
            assert_eq!(check(1.0, zero_point, format), Err(error), "{format:?}");
        }
    }
}
