//! Every row of every element-by-element op against the scalar contract, bit for bit: all lengths,
//! offsets and strides, shared and separate parameters, between unreadable pages.

mod common;

use common::{
    Arenas, Case, DEQUANTIZERS, N, QUANTIZERS, bytes, count, extremes, inputs, quantized,
    quantized_size, real_bytes, runnable, stored,
};
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::dequantize::DequantizeArgs;
use fewbit_kernels::quantize::QuantizeArgs;
use fewbit_kernels::reduce;
use fewbit_kernels::registry::Row;
use fewbit_kernels::requantize::{self, RequantizeArgs, RequantizeFixedArgs};
use fewbit_kernels::rescale::{self, RescaleArgs};
use fewbit_scheme::{
    FixedMultiplier, FixedRounding, IntFormat, QuantParams, QuantizeMode, Quotient, RealFormat,
    Rounding,
};
use fewbit_scheme::{float16, fp8};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

const MODES: [QuantizeMode; 4] = [
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Multiply },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Divide },
    QuantizeMode { rounding: Rounding::HalfAway, quotient: Quotient::Multiply },
];

/// Scales: ordinary, a power of two, the largest, the smallest normal, subnormals (whose inverse is
/// infinite), and one.
const SCALES: [f32; 8] = [
    0.037_123,
    0.25,
    f32::MAX,
    f32::MIN_POSITIVE,
    f32::from_bits(1),
    f32::from_bits(0x0020_0001),
    1.0,
    1.999_999_9,
];

/// How a run's parameters are given.
struct Params {
    scales: Vec<f32>,
    zero_points: Option<Vec<i32>>,
    step: usize,
}

impl Params {
    fn at(&self, i: usize) -> QuantParams {
        let i = i * self.step;
        let zero_point = self.zero_points.as_ref().map_or(0, |z| z[i]);
        QuantParams { scale: self.scales[i], zero_point }
    }
}

/// One parameter and one an element; zero points absent, at the ends of the range, and random.
fn params(rng: &mut Rng, format: IntFormat) -> Vec<Params> {
    let (qmin, qmax) = (format.qmin(), format.qmax());
    let mut all = Vec::new();
    for (i, &scale) in SCALES.iter().enumerate() {
        let zero_point = match format {
            IntFormat::B1 => 0,
            _ => [qmin, qmax, (qmin + 100).min(qmax), (qmin + qmax) / 2][i % 4],
        };
        all.push(Params { scales: vec![scale], zero_points: Some(vec![zero_point]), step: 0 });
    }
    all.push(Params { scales: vec![0.1], zero_points: None, step: 0 });
    let any_scale = |rng: &mut Rng| match rng.next_u32() % 4 {
        0 => SCALES[rng.next_u32() as usize % SCALES.len()],
        _ => 0.001 + (rng.next_u32() >> 8) as f32 / 16_777_216.0,
    };
    let scales: Vec<f32> = (0..N).map(|_| any_scale(rng)).collect();
    let span = (qmax - qmin + 1) as u32;
    let any_zero_point = |rng: &mut Rng| match format {
        IntFormat::B1 => 0,
        _ => qmin + (rng.next_u32() % span) as i32,
    };
    let zero_points = (0..N).map(|_| any_zero_point(rng)).collect();
    all.push(Params { scales: scales.clone(), zero_points: Some(zero_points), step: 1 });
    all.push(Params { scales, zero_points: None, step: 1 });
    all
}

/// Places parameters of a run of `n` against the guard page.
struct PlacedParams {
    scales: GuardedBuf,
    zero_points: GuardedBuf,
}

impl PlacedParams {
    fn new() -> Self {
        PlacedParams { scales: GuardedBuf::new(4096), zero_points: GuardedBuf::new(4096) }
    }

    fn place<T: Copy>(
        &mut self,
        factors: &[T],
        zero_points: Option<&[i32]>,
        step: usize,
        n: usize,
    ) -> (*const T, *const i32) {
        let count = if step == 0 { 1 } else { n };
        let zero_points = match zero_points {
            Some(z) => self.zero_points.at_end(&z[..count]),
            None => std::ptr::null(),
        };
        (self.scales.at_end(&factors[..count]), zero_points)
    }
}

#[test]
fn quantize_rows() {
    let mut arenas = Arenas::new();
    let mut placed = PlacedParams::new();
    let mut rng = Rng::new(seed() ^ 1);
    for quantizer in QUANTIZERS {
        let (table, real, format) = quantizer;
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            for (i, params) in params(&mut rng, format).into_iter().enumerate() {
                // What lies between the numbers' format and the codes' is the same code.
                let all = real == RealFormat::F32;
                if !all && i % 3 != 0 {
                    continue;
                }
                for mode in MODES.into_iter().skip(if all { 0 } else { i % 4 }).step_by(if all {
                    1
                } else {
                    4
                }) {
                    let numbers = inputs(&mut rng, params.scales[0].clamp(1e-30, 1e30));
                    let (src, numbers) = stored(&mut rng, real, &numbers);
                    let want: Vec<u8> = (0..N)
                        .flat_map(|i| {
                            quantized(quantizer, (numbers[i], format.qmin()), params.at(i), mode)
                        })
                        .collect();
                    let case = Case {
                        label: format!("{name} {format:?} {mode:?} {:?}", params.at(0)),
                        src_size: real.size(),
                        src: &src,
                        dst_size: quantized_size(quantizer),
                        want: &want,
                    };
                    calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                        let zero_points = params.zero_points.as_deref();
                        let (scales, zero_points) =
                            placed.place(&params.scales, zero_points, params.step, n);
                        let args = QuantizeArgs {
                            src,
                            src_stride,
                            dst,
                            dst_stride,
                            n,
                            scales,
                            zero_points,
                            param_step: params.step,
                            rows: Rows::ONE,
                            mode,
                            clamp: (format.qmin(), format.qmax()),
                        };
                        // SAFETY: the row is bound; the arenas hold the run and its parameters.
                        unsafe { run(&args) }
                    });
                }
            }
            count(table, row, calls);
        }
    }
    report();
}

#[test]
fn dequantize_rows() {
    let mut arenas = Arenas::new();
    let mut placed = PlacedParams::new();
    let mut rng = Rng::new(seed() ^ 2);
    for (table, real, format) in DEQUANTIZERS {
        // All codes of a byte, and one more; of two bytes, as many.
        let size = format.bits() as usize / 8;
        let src: Vec<u8> = match size {
            1 => (0..N).map(|i| i as u8).collect(),
            _ => (0..N).flat_map(|i| (i as u16).wrapping_mul(40_503).to_le_bytes()).collect(),
        };
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            for params in params(&mut rng, format) {
                let want: Vec<u8> = (0..N)
                    .flat_map(|i| {
                        let q = match format {
                            IntFormat::S8 => i32::from(src[i] as i8),
                            IntFormat::U8 => i32::from(src[i]),
                            _ => i16::from_le_bytes([src[2 * i], src[2 * i + 1]]).into(),
                        };
                        real_bytes(real, q, params.at(i))
                    })
                    .collect();
                let case = Case {
                    label: format!("{name} {:?}", params.at(0)),
                    src_size: size,
                    src: &src,
                    dst_size: real.size(),
                    want: &want,
                };
                calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                    let zero_points = params.zero_points.as_deref();
                    let (scales, zero_points) =
                        placed.place(&params.scales, zero_points, params.step, n);
                    let args = DequantizeArgs {
                        src,
                        src_stride,
                        signed: format.qmin() < 0,
                        dst,
                        dst_stride,
                        n,
                        scales,
                        zero_points,
                        param_step: params.step,
                        rows: Rows::ONE,
                    };
                    // SAFETY: the row is bound; the arenas hold the run and its parameters.
                    unsafe { run(&args) }
                });
            }
            count(table, row, calls);
        }
    }
    report();
}

/// [`N`] sums: extremes, those whose f32 is inexact, and random ones of all sizes.
fn sums(rng: &mut Rng) -> Vec<i32> {
    let mut values =
        vec![0, 1, -1, 127, 128, -128, -129, 255, 256, i32::MAX, i32::MIN, i32::MIN + 1];
    values.extend([16_777_215, 16_777_216, 16_777_217, 16_777_219, -16_777_217, 33_554_434]);
    while values.len() < N {
        values.push(rng.next_u32() as i32 >> (rng.next_u32() % 32));
    }
    values
}

#[test]
fn requantize_rows() {
    let mut arenas = Arenas::new();
    let mut placed = PlacedParams::new();
    let mut rng = Rng::new(seed() ^ 3);
    let tables = [(requantize::S32_S8, IntFormat::S8), (requantize::S32_U8, IntFormat::U8)];
    for (table, format) in tables {
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            let (qmin, qmax) = (format.qmin(), format.qmax());
            // A product of scales can overflow: 0 * inf.
            let overflowed =
                Params { scales: vec![f32::INFINITY], zero_points: Some(vec![qmin + 3]), step: 0 };
            for params in params(&mut rng, format).into_iter().chain([overflowed]) {
                for clamp in [(qmin, qmax), (qmin + 7, qmax - 9), (qmax, qmax)] {
                    let src = sums(&mut rng);
                    let want: Vec<u8> = (0..N)
                        .map(|i| {
                            let QuantParams { scale, zero_point } = params.at(i);
                            fewbit_scheme::requantize(src[i], scale, zero_point, format, clamp)
                                as u8
                        })
                        .collect();
                    let case = Case {
                        label: format!("{name} {clamp:?} {:?}", params.at(0)),
                        src_size: 4,
                        src: bytes(&src),
                        dst_size: 1,
                        want: &want,
                    };
                    calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                        let zero_points = params.zero_points.as_deref();
                        let (multipliers, zero_points) =
                            placed.place(&params.scales, zero_points, params.step, n);
                        let args = RequantizeArgs {
                            src: src.cast(),
                            src_stride,
                            dst,
                            dst_stride,
                            n,
                            multipliers,
                            zero_points,
                            param_step: params.step,
                            rows: Rows::ONE,
                            clamp,
                        };
                        // SAFETY: the row is bound; the arenas hold the run and its parameters.
                        unsafe { run(&args) }
                    });
                }
            }
            count(table, row, calls);
        }
    }
    report();
}

#[test]
fn requantize_fixed_rows() {
    let mut arenas = Arenas::new();
    let mut placed = PlacedParams::new();
    let mut placed_shifts = GuardedBuf::new(4096);
    let mut rng = Rng::new(seed() ^ 4);
    let tables =
        [(requantize::S32_S8_FIXED, IntFormat::S8), (requantize::S32_U8_FIXED, IntFormat::U8)];
    for (table, format) in tables {
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            for params in params(&mut rng, format) {
                for rounding in [FixedRounding::Double, FixedRounding::Single] {
                    // Multipliers of scales, and any that are valid.
                    let any = |rng: &mut Rng| FixedMultiplier {
                        multiplier: (rng.next_u32() >> 1) as i32,
                        shift: rng.below(62) as i32 - 31,
                    };
                    let fixed = |scale: f32| {
                        FixedMultiplier::from_real(f64::from(scale).clamp(1e-6, 1e6)).unwrap()
                    };
                    let multipliers: Vec<FixedMultiplier> = params
                        .scales
                        .iter()
                        .map(|&s| if rng.below(2) == 0 { any(&mut rng) } else { fixed(s) })
                        .collect();
                    let mantissas: Vec<i32> = multipliers.iter().map(|m| m.multiplier).collect();
                    let shifts: Vec<i32> = multipliers.iter().map(|m| m.shift).collect();
                    let clamp = (format.qmin(), format.qmax() - 3);
                    let src = sums(&mut rng);
                    let want: Vec<u8> = (0..N)
                        .map(|i| {
                            fewbit_scheme::requantize_fixed(
                                src[i],
                                multipliers[i * params.step],
                                rounding,
                                params.at(i).zero_point,
                                format,
                                clamp,
                            ) as u8
                        })
                        .collect();
                    let case = Case {
                        label: format!("{name} {rounding:?} {:?}", params.at(0)),
                        src_size: 4,
                        src: bytes(&src),
                        dst_size: 1,
                        want: &want,
                    };
                    calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                        let zero_points = params.zero_points.as_deref();
                        let (multipliers, zero_points) =
                            placed.place(&mantissas, zero_points, params.step, n);
                        let count = if params.step == 0 { 1 } else { n };
                        let shifts = placed_shifts.at_end(&shifts[..count]);
                        let args = RequantizeFixedArgs {
                            src: src.cast(),
                            src_stride,
                            dst,
                            dst_stride,
                            n,
                            multipliers,
                            shifts,
                            zero_points,
                            param_step: params.step,
                            rows: Rows::ONE,
                            clamp,
                            rounding,
                        };
                        // SAFETY: the row is bound; the arenas hold the run and its parameters.
                        unsafe { run(&args) }
                    });
                }
            }
            count(table, row, calls);
        }
    }
    report();
}

/// Checks a conversion's rows on inputs of [`N`] elements.
fn conversion<S: Copy, D: Copy>(
    table: &'static [Row<ConvertFn>],
    sources: &[Vec<S>],
    contract: impl Fn(S) -> D,
) {
    let mut arenas = Arenas::new();
    for row in runnable(table) {
        let (name, run) = (row.name(), row.run());
        let mut calls = 0;
        for src in sources {
            let want: Vec<D> = src.iter().map(|&x| contract(x)).collect();
            let case = Case {
                label: name.to_string(),
                src_size: size_of::<S>(),
                src: bytes(src),
                dst_size: size_of::<D>(),
                want: bytes(&want),
            };
            calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                let args = ConvertArgs { src, src_stride, dst, dst_stride, n };
                // SAFETY: the row is bound; the arenas hold the run.
                unsafe { run(&args) }
            });
        }
        count(table, row, calls);
    }
}

#[test]
fn conversion_rows_from_f32() {
    use fp8::Overflow::{NonFinite, Saturate};
    let mut rng = Rng::new(seed() ^ 5);
    let sources: Vec<Vec<f32>> =
        [1.0, 1e-7, 1e-40, 257.0, 1e36].map(|scale| inputs(&mut rng, scale)).into();
    conversion(convert::F32_F16, &sources, float16::f32_to_f16);
    conversion(convert::F32_F16_SATURATE, &sources, float16::f32_to_f16_saturating);
    conversion(convert::F32_BF16, &sources, float16::f32_to_bf16);
    conversion(convert::F32_BF16_SATURATE, &sources, float16::f32_to_bf16_saturating);
    conversion(convert::F32_F8E4M3FN, &sources, |x| fp8::f32_to_e4m3fn(x, NonFinite));
    conversion(convert::F32_F8E4M3FN_SATURATE, &sources, |x| fp8::f32_to_e4m3fn(x, Saturate));
    conversion(convert::F32_F8E5M2, &sources, |x| fp8::f32_to_e5m2(x, NonFinite));
    conversion(convert::F32_F8E5M2_SATURATE, &sources, |x| fp8::f32_to_e5m2(x, Saturate));
    report();
}

#[test]
fn conversion_rows_to_f32() {
    // All codes, in runs.
    let codes: Vec<u16> = (0..=u16::MAX).chain(0..1000).collect();
    let halves: Vec<Vec<u16>> = codes.chunks_exact(N).step_by(17).map(<[u16]>::to_vec).collect();
    conversion(convert::F16_F32, &halves, float16::f16_to_f32);
    conversion(convert::BF16_F32, &halves, float16::bf16_to_f32);
    let all_bytes = [(0..N).map(|i| i as u8).collect()];
    conversion(convert::F8E4M3FN_F32, &all_bytes, fp8::e4m3fn_to_f32);
    conversion(convert::F8E5M2_F32, &all_bytes, fp8::e5m2_to_f32);
    report();
}

#[test]
fn rescale_rows() {
    let mut arenas = Arenas::new();
    let tables = [(rescale::S8_S8, IntFormat::S8), (rescale::U8_U8, IntFormat::U8)];
    let src: Vec<u8> = (0..N).map(|i| i as u8).collect();
    for (table, format) in tables {
        let (qmin, qmax) = (format.qmin(), format.qmax());
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            for (i, quotient) in
                [1.0, 0.5, 0.25, 0.1, 3.3, 1e-40, 1e30, 0.0].into_iter().enumerate()
            {
                let zero = |i: usize| [qmin, qmax, qmin + 100, qmin + 7 * i as i32][i % 4];
                // Scales with that quotient, where there are any.
                let (from, to) = match quotient {
                    0.0 => (QuantParams { scale: 1e-38, zero_point: zero(i) }, 1e38),
                    1e30 => (QuantParams { scale: f32::MAX, zero_point: zero(i) }, 1e-38),
                    _ => (QuantParams { scale: quotient, zero_point: zero(i) }, 1.0),
                };
                let to = QuantParams { scale: to, zero_point: zero(i + 1) };
                let code = |byte: u8| match format {
                    IntFormat::S8 => i32::from(byte as i8),
                    _ => i32::from(byte),
                };
                let want: Vec<u8> = src
                    .iter()
                    .map(|&byte| fewbit_scheme::rescale(code(byte), from, to, format) as u8)
                    .collect();
                let case = Case {
                    label: format!("{name} {from:?} {to:?}"),
                    src_size: 1,
                    src: &src,
                    dst_size: 1,
                    want: &want,
                };
                let args = RescaleArgs {
                    src: std::ptr::null(),
                    src_stride: 1,
                    dst: std::ptr::null_mut(),
                    dst_stride: 1,
                    n: 0,
                    from_zero_point: from.zero_point,
                    multiplier: from.scale / to.scale,
                    zero_point: to.zero_point,
                };
                calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                    let args = RescaleArgs { src, src_stride, dst, dst_stride, n, ..args };
                    // SAFETY: the row is bound; the arenas hold the run.
                    unsafe { run(&args) }
                });
                // In place.
                let mut codes = src.clone();
                let at = codes.as_mut_ptr();
                // SAFETY: as above, in the same places.
                unsafe { run(&RescaleArgs { src: at, dst: at, n: codes.len(), ..args }) };
                assert_eq!(codes, want, "{name} in place");
            }
            count(table, row, calls);
        }
    }
    report();
}

#[test]
fn min_max_rows() {
    let mut rng = Rng::new(seed() ^ 6);
    let mut arena = GuardedBuf::new(65_536);
    let zeros: Vec<f32> = (0..N).map(|i| if i % 3 == 0 { 0.0 } else { -0.0 }).collect();
    let mut sources = vec![inputs(&mut rng, 1.0), zeros, vec![f32::NAN; N], vec![f32::INFINITY; N]];
    // One number among NaNs, at each place near the vectors' ends.
    for at in (0..70).chain([255, 256]) {
        let mut values = vec![-f32::NAN; N];
        values[at] = -3.5;
        sources.push(values);
    }
    sources.push(extremes(1e-38).into_iter().cycle().take(N).collect());
    // A zero at an end, where its sign has to be told: of one sign, of the other, and of both.
    for zero in [0.0, -0.0] {
        for sign in [1.0, -1.0] {
            let one_sided = inputs(&mut rng, 1.0).into_iter().map(|x: f32| x.abs() * sign);
            let with_zero: Vec<f32> =
                one_sided.map(|x| if x == 0.0 || x.is_nan() { zero } else { x }).collect();
            let mut with_nan = with_zero.clone();
            with_nan[7] = -f32::NAN;
            let mut with_both = with_zero.clone();
            (with_both[100], with_both[200]) = (0.0, -0.0);
            sources.extend([with_zero, with_nan, with_both]);
        }
    }
    for row in runnable(reduce::MIN_MAX) {
        let (name, run) = (row.name(), row.run());
        let mut calls = 0;
        for src in &sources {
            for stride in [1, 2, 3, 17] {
                for n in (0..=N).filter(|n| stride == 1 || *n < 70 || *n == N) {
                    // The elements between those of the run would be noticed.
                    let span = if n == 0 { 0 } else { (n - 1) * stride + 1 };
                    let mut spread = vec![f32::NEG_INFINITY; span];
                    for (i, &x) in src.iter().take(n).enumerate() {
                        spread[i * stride] = x;
                    }
                    let want = fewbit_scheme::reduce::min_max(&src[..n]);
                    let from = arena.at_end(&spread);
                    // SAFETY: the row is bound; the arena holds the run.
                    let got = unsafe { run(from.cast(), stride, n) };
                    calls += 1;
                    assert_eq!(
                        (got.0.to_bits(), got.1.to_bits()),
                        (want.0.to_bits(), want.1.to_bits()),
                        "{name}: n {n}, stride {stride}: {got:?}, not {want:?}"
                    );
                }
            }
        }
        count(reduce::MIN_MAX, row, calls);
    }
    report();
}

#[test]
fn min_max_of_16_bits() {
    let mut arena = GuardedBuf::new(40_960);
    let mut rng = Rng::new(seed() ^ 9);
    for (table, format) in
        [(reduce::MIN_MAX_F16, RealFormat::F16), (reduce::MIN_MAX_BF16, RealFormat::Bf16)]
    {
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            for sign in [None, Some(0.0_f32), Some(-0.0)] {
                // Any numbers, and those of one sign with a zero at the end.
                let numbers = inputs(&mut rng, 1.0).into_iter().map(|x| match sign {
                    None => x,
                    Some(zero) => x.clamp(-1e-9, 1e-9).copysign(1.0) * zero.copysign(1.0),
                });
                let (bytes, numbers) = stored(&mut rng, format, &numbers.collect::<Vec<_>>());
                for stride in [1, 3] {
                    for n in 0..=N {
                        let span = if n == 0 { 0 } else { (n - 1) * stride + 1 };
                        // -infinity between the elements would be noticed.
                        let mut spread: Vec<u8> = match format {
                            RealFormat::F16 => 0xFC00_u16,
                            _ => 0xFF80,
                        }
                        .to_ne_bytes()
                        .repeat(span);
                        for i in 0..n {
                            spread[2 * i * stride..][..2].copy_from_slice(&bytes[2 * i..][..2]);
                        }
                        let want = fewbit_scheme::reduce::min_max(&numbers[..n]);
                        // SAFETY: the row is bound; the arena holds the run.
                        let got = unsafe { run(arena.at_end(&spread), stride, n) };
                        assert_eq!(
                            (got.0.to_bits(), got.1.to_bits()),
                            (want.0.to_bits(), want.1.to_bits()),
                            "{name}: n {n}, stride {stride}: {got:?}, not {want:?}"
                        );
                    }
                }
            }
            count(table, row, 6 * (N + 1));
        }
    }
    report();
}
