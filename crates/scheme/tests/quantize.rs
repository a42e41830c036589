//! `quantize` and `dequantize` against arithmetic in integers, and by hand.

mod common;

use common::{beside, divide, extremes, multiply, rng};
use fewbit_scheme::{
    IntFormat, QuantParams, QuantizeMode, Quotient, Rounding, dequantize, dequantize_bf16,
    dequantize_f16, fake_quantize, float16, quantize,
};

const MODES: [QuantizeMode; 4] = [
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Multiply },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Multiply },
];

/// The contract in words, in integers: quotient rounded to f32, to an integer, plus zero point,
/// clamped last (in the crate it is clamped first).
fn reference(x: f32, params: QuantParams, format: IntFormat, mode: QuantizeMode) -> i32 {
    let QuantParams { scale, zero_point } = params;
    let binary = format == IntFormat::B1;
    let inverse = divide(1.0, scale);
    let sign = if x.is_sign_negative() { -1 } else { 1 };
    // Steps from 0, 10^9 standing for everything far beyond the codes.
    let steps: i64 = if x.is_nan() || x == 0.0 {
        0
    } else if x.is_infinite() || mode.quotient == Quotient::Multiply && inverse.is_infinite() {
        sign * 1_000_000_000
    } else {
        let quotient = match mode.quotient {
            Quotient::Divide => divide(x, scale),
            Quotient::Multiply => multiply(x, inverse),
        };
        if binary {
            // A quotient that underflows to -0 counts as 0.
            return if quotient >= 0.0 { 1 } else { -1 };
        }
        if quotient.abs() > 1e6 {
            sign * 1_000_000_000
        } else {
            // Exact in f64, as is the distance from the integer below.
            let quotient = f64::from(quotient);
            let below = quotient.floor();
            let (fraction, below) = (quotient - below, below as i64);
            let up = match mode.rounding {
                _ if fraction != 0.5 => fraction > 0.5,
                Rounding::HalfEven => below % 2 != 0,
                Rounding::HalfAway => quotient > 0.0,
            };
            below + i64::from(up)
        }
    };
    if binary {
        return if steps >= 0 { 1 } else { -1 };
    }
    let code = steps + i64::from(zero_point);
    code.clamp(i64::from(format.qmin()), i64::from(format.qmax())) as i32
}

fn scales() -> Vec<f32> {
    let two = |e: i32| 2f64.powi(e) as f32;
    let mut scales = vec![
        0.1,
        0.02,
        1.0 / 127.0,
        1.0 / 255.0,
        0.002_148_548_6,
        std::f32::consts::PI,
        1e38,
        1e-38,
        3e-39,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(3),
        f32::from_bits(0x0020_0000),
        f32::from_bits(0x0020_0001),
        f32::MAX,
    ];
    scales.extend([-149, -128, -127, -126, -24, -8, -1, 0, 1, 8, 100, 126, 127].map(two));
    scales
}

fn zero_points(format: IntFormat) -> Vec<i32> {
    let (qmin, qmax) = (format.qmin(), format.qmax());
    if format == IntFormat::B1 {
        return vec![0];
    }
    let mut all = vec![qmin, qmin + 1, -1, 0, 1, 3, qmax - 1, qmax];
    all.retain(|z| (qmin..=qmax).contains(z));
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn equals_arithmetic_in_integers() {
    let mut rng = rng(1);
    let mut cases = 0u64;
    for format in IntFormat::ALL {
        let random: Vec<f32> = scales()
            .into_iter()
            .chain((0..8).map(|_| {
                // Scales of any magnitude, always valid.
                f32::from_bits(rng.next_u32() >> 1 & 0x7F7F_FFFF | 1)
            }))
            .collect();
        for scale in random {
            for zero_point in zero_points(format) {
                let params = QuantParams { scale, zero_point };
                assert!(params.check(format).is_ok());
                let mut inputs = extremes();
                // Around every tie (for wide formats, every one near the ends and some between).
                let codes = (format.qmin() - 2)..=(format.qmax() + 2);
                let stride = if format.bits() > 8 { 997 } else { 1 };
                for code in codes.clone().step_by(stride).chain([*codes.end(), *codes.end() - 1]) {
                    let tie = (f64::from(code - zero_point) + 0.5) * f64::from(scale);
                    let tie = tie as f32;
                    if tie.is_finite() {
                        inputs.extend((-2..=2).map(|steps| beside(tie, steps)));
                    }
                }
                inputs.extend((0..40).map(|_| rng.any_f32()));
                for mode in MODES {
                    for &x in &inputs {
                        let (got, want) =
                            (quantize(x, params, format, mode), reference(x, params, format, mode));
                        assert_eq!(got, want, "{x:e} {params:?} {format:?} {mode:?}");
                        cases += 1;
                    }
                }
            }
        }
    }
    println!("{cases} cases");
}

#[test]
fn divide_and_multiply_by_the_inverse_differ() {
    // The example in a comment of FBGEMM.
    let params = QuantParams { scale: 0.002_148_548_6, zero_point: 0 };
    let x = 0.273_939_94_f32;
    let code = |quotient| {
        quantize(x, params, IntFormat::U8, QuantizeMode { quotient, ..QuantizeMode::default() })
    };
    assert_eq!((code(Quotient::Divide), code(Quotient::Multiply)), (127, 128));
}

#[test]
fn rounding_comes_before_the_zero_point() {
    let code = |steps: f32, zero_point| {
        let params = QuantParams { scale: 1.0, zero_point };
        quantize(steps, params, IntFormat::S8, QuantizeMode::default())
    };
    // round(0.5) + 1 = 1, where round(0.5 + 1) = 2; round(2.5) + 1 = 3, where round(3.5) = 4.
    assert_eq!((code(0.5, 1), code(2.5, 1)), (1, 3));
    assert_eq!((code(-0.5, 1), code(-2.5, 1), code(-1.5, 1)), (1, -1, -1));
    let away = QuantizeMode { rounding: Rounding::HalfAway, ..QuantizeMode::default() };
    let away = |x: f32| quantize(x, QuantParams { scale: 1.0, zero_point: 0 }, IntFormat::S8, away);
    assert_eq!([0.5, 1.5, 2.5, -0.5, -2.5, 0.499_999_97].map(away), [1, 2, 3, -1, -3, 0]);
}

#[test]
fn zero_nan_and_infinity_with_any_parameters() {
    for format in IntFormat::ALL {
        for scale in scales() {
            for zero_point in zero_points(format) {
                let params = QuantParams { scale, zero_point };
                for mode in MODES {
                    let code = |x| quantize(x, params, format, mode);
                    let zero = if format == IntFormat::B1 { 1 } else { zero_point };
                    assert_eq!((code(0.0), code(-0.0)), (zero, zero));
                    for nan in extremes().into_iter().filter(|x| x.is_nan()) {
                        assert_eq!(code(nan), zero);
                    }
                    assert_eq!(code(f32::INFINITY), format.qmax(), "{params:?} {mode:?}");
                    assert_eq!(code(f32::NEG_INFINITY), format.qmin());
                    if format != IntFormat::B1 {
                        assert_eq!(dequantize(zero, params).to_bits(), 0);
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_dequantized_quantizes_to_its_code() {
    // Where q * scale neither overflows nor is subnormal, the quotient is within an ulp of q.
    for format in IntFormat::ALL {
        for scale in [0.1f32, 1.0 / 127.0, 0.02, 1.0, 3e-38, 1e30] {
            for zero_point in zero_points(format) {
                let params = QuantParams { scale, zero_point };
                for q in (format.qmin()..=format.qmax())
                    .filter(|&q| !(format == IntFormat::B1 && q == 0))
                {
                    for mode in MODES {
                        assert_eq!(quantize(dequantize(q, params), params, format, mode), q);
                    }
                }
            }
        }
    }
}

#[test]
fn dequantize_rounds_once() {
    let mut rng = rng(2);
    for format in IntFormat::ALL {
        for scale in scales() {
            for zero_point in zero_points(format) {
                for _ in 0..64 {
                    let width = (format.qmax() - format.qmin() + 1) as usize;
                    let q = format.qmin() + rng.below(width) as i32;
                    let got = dequantize(q, QuantParams { scale, zero_point });
                    // The difference is exact in f32.
                    let want = multiply((q - zero_point) as f32, scale);
                    assert_eq!(got.to_bits(), want.to_bits(), "({q} - {zero_point}) * {scale:e}");
                }
            }
        }
    }
}

#[test]
fn formats() {
    let facts: Vec<(i32, i32, u32, usize)> =
        IntFormat::ALL.map(|f| (f.qmin(), f.qmax(), f.bits(), f.codes_per_byte())).to_vec();
    assert_eq!(
        facts,
        [
            (-128, 127, 8, 1),
            (0, 255, 8, 1),
            (-32768, 32767, 16, 1),
            (-8, 7, 4, 2),
            (0, 15, 4, 2),
            (-2, 1, 2, 4),
            (0, 1, 1, 8),
            (-1, 1, 1, 8),
        ]
    );
}

#[test]
fn invalid_parameters_are_refused_and_do_not_panic() {
    for format in IntFormat::ALL {
        let valid = QuantParams { scale: 1.0, zero_point: 0 };
        assert!(valid.check(format).is_ok());
        for scale in [0.0, -0.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert!(QuantParams { scale, ..valid }.check(format).is_err(), "{scale}");
        }
        for zero_point in [i32::MIN, format.qmin() - 1, format.qmax() + 1, i32::MAX] {
            let params = QuantParams { zero_point, ..valid };
            assert!(params.check(format).is_err(), "{zero_point} {format:?}");
            for x in extremes() {
                quantize(x, params, format, QuantizeMode::default());
            }
            dequantize(format.qmin(), params);
        }
    }
    assert!(QuantParams { scale: 1.0, zero_point: 1 }.check(IntFormat::B1).is_err());
}

/// The code of the 16-bit format nearest to a number, the even one of two: of the code that `narrow`
/// gives for the number's f32 and its neighbours, by their distance. Beyond `limit` it is infinity.
fn nearest_code(exact: f64, narrow: fn(f32) -> u16, widen: fn(u16) -> f32, limit: f64) -> u16 {
    let magnitude = exact.abs();
    let sign = if exact.is_sign_negative() { 0x8000 } else { 0 };
    let near = narrow(magnitude as f32);
    if magnitude >= limit {
        return sign | narrow(f32::INFINITY);
    }
    let distance = |code: u16| (f64::from(widen(code)) - magnitude).abs();
    let codes = [near.saturating_sub(1), near, near + 1];
    let finite = codes.into_iter().filter(|&code| widen(code).is_finite());
    // At equal distances, the even one.
    let best =
        finite.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then((a & 1).cmp(&(b & 1))));
    sign | best.unwrap()
}

#[test]
fn dequantize_to_16_bits_rounds_once() {
    let mut rng = rng(41);
    let mut twice = 0;
    let f16_limit = 65520.0;
    let bf16_limit = f64::from(f32::from_bits(0x7F7F_8000));
    let mut check = |q: i32, zero_point: i32, scale: f32| {
        let params = QuantParams { scale, zero_point };
        let exact = f64::from(q - zero_point) * f64::from(scale);
        let f16 = dequantize_f16(q, params);
        let want = nearest_code(exact, float16::f32_to_f16, float16::f16_to_f32, f16_limit);
        assert_eq!(f16, want, "f16 of {exact:e}");
        let bf16 = dequantize_bf16(q, params);
        let want = nearest_code(exact, float16::f32_to_bf16, float16::bf16_to_f32, bf16_limit);
        assert_eq!(bf16, want, "bf16 of {exact:e}");
        twice += usize::from(f16 != float16::f32_to_f16(dequantize(q, params)));
        twice += usize::from(bf16 != float16::f32_to_bf16(dequantize(q, params)));
    };
    for i in 0..400_000_u32 {
        let q = (rng.next_u32() >> 16) as i32 - 32_768;
        let zero_point = if i % 2 == 0 { 0 } else { (rng.next_u32() >> 16) as i32 - 32_768 };
        let steps = (q - zero_point).max(1);
        let scale = match i % 4 {
            // A product just beside the middle of two numbers of a format.
            0 => {
                let middle =
                    float16::f16_to_f32(rng.next_u32() as u16 & 0x7BFF).to_bits() | 1 << 12;
                f32::from_bits(middle) / steps as f32
            }
            1 => {
                let middle = (rng.next_u32() & 0x7F7F_0000) | 1 << 15;
                f32::from_bits(middle) / steps as f32
            }
            2 => f32::from_bits(1 + rng.next_u32() % 0x7F7F_FFFF),
            _ => f32::from_bits(0x3300_0000 + rng.next_u32() % 0x1400_0000),
        };
        if scale > 0.0 && scale.is_finite() {
            check(q, zero_point, scale);
        }
    }
    assert!(twice > 100, "only {twice} cases where rounding twice would be wrong");
}

#[test]
fn fake_quantization_is_both() {
    let mut rng = rng(42);
    for format in IntFormat::ALL {
        let zero_point = if format == IntFormat::B1 { 0 } else { format.qmax() - 1 };
        let params = QuantParams { scale: 0.37, zero_point };
        for mode in MODES {
            for x in extremes().into_iter().chain((0..200).map(|_| f32::from_bits(rng.next_u32())))
            {
                let want = dequantize(quantize(x, params, format, mode), params);
                let fake = fake_quantize(x, params, format, mode);
                assert_eq!(fake.to_bits(), want.to_bits());
            }
        }
    }
    let params = QuantParams { scale: 0.5, zero_point: 7 };
    let fake = |x| fake_quantize(x, params, IntFormat::S8, QuantizeMode::default());
    assert_eq!([fake(1.3), fake(1e9), fake(f32::NAN)], [1.5, 60.0, 0.0]);
}
