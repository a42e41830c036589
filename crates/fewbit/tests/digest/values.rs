//! The corpus, and the digests of the scalar functions that have no kernel table.

use crate::{Book, Digest};
use fewbit::scheme::{
    FixedMultiplier, IntFormat, ParamSpec, QuantParams, QuantizeMode, Quotient, Rounding, Scheme,
    SymmetricRange, dequantize, float16, fp8, pack, params_from_range, quantize, real, reduce,
    rescale,
};
use fewbit_simd::IsaSet;
use fewbit_testkit::Rng;

pub(crate) const FORMATS: [IntFormat; 8] = [
    IntFormat::S8,
    IntFormat::U8,
    IntFormat::S16,
    IntFormat::S4,
    IntFormat::U4,
    IntFormat::S2,
    IntFormat::U1,
    IntFormat::B1,
];

pub(crate) const MODES: [QuantizeMode; 4] = [
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Multiply },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Multiply },
];

/// Scales from the smallest subnormal to the largest number.
pub(crate) const SCALES: [f32; 8] = [
    1.0,
    0.25,
    0.037_123,
    1.999_999_9,
    f32::MIN_POSITIVE,
    f32::from_bits(1),
    f32::from_bits(0x0020_0001),
    f32::MAX,
];

/// Numbers where something changes for a scale, then `n` of any bit pattern and `n` of the scale's
/// size.
pub(crate) fn floats(rng: &mut Rng, scale: f32, n: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for bits in [
        0,
        1,
        0x007F_FFFF,
        0x0080_0000,
        0x3380_0000,
        0x3F80_0000,
        0x4780_0000,
        0x7F7F_FFFF,
        0x7F80_0000,
        0x7F80_0001,
        0x7FBF_FFFF,
        0x7FC0_0000,
        0x7FC1_2345,
    ] {
        values.extend([f32::from_bits(bits), f32::from_bits(bits | 0x8000_0000)]);
    }
    for half_steps in -520..520 {
        let x = half_steps as f32 * 0.5 * scale;
        values.extend([x.next_down(), x, x.next_up()]);
    }
    values.extend((0..n).map(|_| rng.any_f32()));
    values.extend((0..n).map(|_| (rng.unit() - 0.5) * 600.0 * scale));
    values
}

/// A zero point of the format.
pub(crate) fn zero_point(rng: &mut Rng, format: IntFormat) -> i32 {
    match format {
        IntFormat::B1 => 0,
        _ => format.qmin() + rng.below((format.qmax() - format.qmin() + 1) as usize) as i32,
    }
}

pub(crate) fn enter(book: &mut Book) {
    let mut enter = |op: &str, digest: Digest| book.enter(op, IsaSet::SCALAR, digest);
    let mut rng = Rng::new(0xF0);

    let mut digest = Digest::new();
    for format in FORMATS {
        for scheme in [Scheme::Affine, Scheme::Symmetric] {
            for range in [SymmetricRange::Narrow, SymmetricRange::Full] {
                for power_of_two in [false, true] {
                    let spec = ParamSpec { format, scheme, range, power_of_two };
                    let ends = floats(&mut rng, 1.0, 50);
                    for pair in ends.windows(2) {
                        match params_from_range(pair[0], pair[1], &spec) {
                            Ok(params) => {
                                digest.f32s(&[params.scale]);
                                digest.i32s(&[params.zero_point]);
                            }
                            Err(_) => digest.bytes(b"error"),
                        }
                    }
                }
            }
        }
    }
    enter("scheme.params_from_range", digest);

    let (mut codes, mut reals) = (Digest::new(), Digest::new());
    for format in FORMATS {
        for (scale, mode) in SCALES.into_iter().zip(MODES.into_iter().cycle()) {
            let params = QuantParams { scale, zero_point: zero_point(&mut rng, format) };
            for x in floats(&mut rng, scale, 200) {
                let q = quantize(x, params, format, mode);
                codes.i32s(&[q]);
                reals.f32s(&[dequantize(q, params)]);
            }
        }
    }
    enter("scheme.quantize", codes);
    enter("scheme.dequantize", reals);

    let mut digest = Digest::new();
    for format in [IntFormat::S8, IntFormat::U8] {
        for from in SCALES {
            for to in SCALES {
                let from = QuantParams { scale: from, zero_point: zero_point(&mut rng, format) };
                let to = QuantParams { scale: to, zero_point: zero_point(&mut rng, format) };
                for q in format.qmin()..=format.qmax() {
                    digest.i32s(&[rescale(q, from, to, format)]);
                }
            }
        }
    }
    enter("scheme.rescale", digest);

    let mut digest = Digest::new();
    for _ in 0..10_000 {
        let real = f64::from(rng.unit()) * 2f64.powi(rng.below(70) as i32 - 36);
        match FixedMultiplier::from_real(real) {
            Some(m) => digest.i32s(&[m.multiplier, m.shift]),
            None => digest.bytes(b"none"),
        }
    }
    enter("scheme.fixed_multiplier", digest);

    let mut digest = Digest::new();
    for format in FORMATS.into_iter().filter(|format| format.codes_per_byte() > 1) {
        for n in 0..40usize {
            let codes: Vec<i8> = (0..n)
                .map(|_| match format {
                    IntFormat::B1 => rng.pick(&[-1, 1]),
                    _ => zero_point(&mut rng, format) as i8,
                })
                .collect();
            let mut packed = vec![0u8; n.div_ceil(format.codes_per_byte())];
            let pad = if format == IntFormat::B1 { 1 } else { zero_point(&mut rng, format) };
            pack::pack(format, &codes, pad, &mut packed);
            digest.bytes(&packed);
            let mut back = vec![0i8; n];
            pack::unpack(format, &packed, &mut back);
            assert_eq!(back, codes);
        }
    }
    enter("scheme.pack", digest);

    let x = floats(&mut rng, 1.0, 20_000);
    let (mut exact, mut narrow, mut wide) = (Digest::new(), Digest::new(), Digest::new());
    for triple in x.windows(3) {
        exact.f32s(&[
            real::canonical(real::fma(triple[0], triple[1], triple[2])),
            real::sqrt(triple[0].abs()),
            real::round_half_even(triple[0]),
            real::round_half_away(triple[0]),
            real::min(triple[0], triple[1]),
            real::max(triple[0], triple[1]),
        ]);
        narrow.bytes(&float16::f32_to_f16_saturating(triple[0]).to_le_bytes());
        narrow.bytes(&float16::f32_to_bf16_saturating(triple[0]).to_le_bytes());
        for overflow in [fp8::Overflow::Saturate, fp8::Overflow::NonFinite] {
            narrow.bytes(&[
                fp8::f32_to_e4m3fn(triple[0], overflow),
                fp8::f32_to_e5m2(triple[0], overflow),
            ]);
        }
    }
    for code in 0..=u8::MAX {
        wide.f32s(&[fp8::e4m3fn_to_f32(code), fp8::e5m2_to_f32(code)]);
    }
    enter("scheme.real", exact);
    enter("scheme.narrow", narrow);
    enter("scheme.widen", wide);

    let mut digest = Digest::new();
    for n in [0, 1, 63, 64, 65, 4095, 4096, 4097, 20_000] {
        let x: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
        digest.bytes(&reduce::sum(&x).to_bits().to_le_bytes());
    }
    enter("scheme.sum", digest);
}
