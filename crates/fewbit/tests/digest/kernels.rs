//! The digests of the kernel tables: every row that the CPU can run.

use crate::values::{MODES, SCALES, floats, zero_point};
use crate::{Book, Digest, rowwise};
use fewbit::kernels::Rows;
use fewbit::kernels::activate::{self, ActivateArgs, ActivateFn};
use fewbit::kernels::add::{ADD, AddArgs, AddFn};
use fewbit::kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit::kernels::depthwise::{
    self, CHANNELS, DepthwiseArgs, DepthwiseFn, Results, WidenArgs, WidenFn, computed, pairs,
};
use fewbit::kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit::kernels::gather::{self, GatherArgs, GatherFn, Run};
use fewbit::kernels::gemm::{RhsForm, TileArgs, pack_lhs, pack_rhs, sum_lhs};
use fewbit::kernels::lookup::{LOOKUP, LookupArgs, LookupFn};
use fewbit::kernels::pack::{self, PackFn};
use fewbit::kernels::quantize::{self, Any, Fake, QuantizeArgs};
use fewbit::kernels::reduce::{self, CodeSumsArgs, RangesArgs, RangesFn, SumsArgs};
use fewbit::kernels::registry::{Row, bind};
use fewbit::kernels::requantize::{
    self, RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn,
};
use fewbit::kernels::rescale::{self, RescaleArgs, RescaleFn};
use fewbit::kernels::scale::{
    self, ScaleArgs, ScaleBlockArgs, ScaleBlockFn, ScaleCodesArgs, ScaleCodesFn, ScaleFn, Tile,
};
use fewbit::scheme::{Activation, FixedRounding, IntFormat, RealFormat, float16};
use fewbit_testkit::{Rng, limited, missing, supported_sets};

/// Strides of source and destination that every corpus is run with.
const STRIDES: [(usize, usize); 3] = [(1, 1), (3, 1), (1, 2)];

/// Digests an op with each row that this run may use.
pub(crate) fn each<F: Copy>(
    book: &mut Book,
    table: &'static [Row<F>],
    digest: impl Fn(F, &mut Digest),
) {
    let op = table.last().unwrap().name.strip_suffix("_scalar").unwrap();
    for row in table {
        let Some(bound) = bind(row, limited()) else {
            missing(row.name, row.required);
            continue;
        };
        let mut of_row = Digest::new();
        digest(bound.run(), &mut of_row);
        book.enter(op, row.required, of_row);
    }
}

/// Digests what kernels make together: codes that become real numbers again, and those of f16 and bf16 that have no
/// kernel of their own.
fn composed(book: &mut Book, real: RealFormat) {
    let name = match real {
        RealFormat::F32 => "f32",
        RealFormat::F16 => "f16",
        RealFormat::Bf16 => "bf16",
    };
    for supported in supported_sets() {
        for (format, op) in [(IntFormat::U8, "fake_quantize"), (IntFormat::B1, "fake_quantize_b1")]
        {
            let fake = Fake::new(real, format, supported).unwrap();
            let mut digest = Digest::new();
            // SAFETY: elements and parameters exist.
            digest_quantize(
                |args| unsafe { fake.run(args) },
                real,
                format,
                real.size(),
                &mut digest,
            );
            book.enter(&format!("{op}_{name}{name}"), supported.set(), digest);
        }
        if real != RealFormat::F32 {
            let any = Any::new(real, IntFormat::S16, supported).unwrap();
            let mut digest = Digest::new();
            // SAFETY: as above.
            let run = |args: &QuantizeArgs| unsafe { any.run(args, 0) };
            digest_quantize(run, real, IntFormat::S16, 2, &mut digest);
            book.enter(&format!("quantize_{name}s16"), supported.set(), digest);
        }
    }
}

/// The values, `stride` apart.
fn spread<T: Copy + Default>(values: &[T], stride: usize) -> Vec<T> {
    let mut spread = vec![T::default(); values.len() * stride];
    values.iter().zip(spread.iter_mut().step_by(stride)).for_each(|(&v, slot)| *slot = v);
    spread
}

pub(crate) fn enter(book: &mut Book) {
    let f32s = RealFormat::F32;
    for (table, real, format) in [
        (quantize::F32_S8, f32s, IntFormat::S8),
        (quantize::F32_U8, f32s, IntFormat::U8),
        (quantize::F32_S16, f32s, IntFormat::S16),
        (quantize::F32_B1, f32s, IntFormat::B1),
        (quantize::F16_S8, RealFormat::F16, IntFormat::S8),
        (quantize::F16_U8, RealFormat::F16, IntFormat::U8),
        (quantize::BF16_S8, RealFormat::Bf16, IntFormat::S8),
        (quantize::BF16_U8, RealFormat::Bf16, IntFormat::U8),
    ] {
        let size = format.bits().div_ceil(8) as usize;
        each(book, table, |run, digest| {
            // SAFETY: the row is bound, elements and parameters exist.
            digest_quantize(|args| unsafe { run(args) }, real, format, size, digest);
        });
    }
    for real in [f32s, RealFormat::F16, RealFormat::Bf16] {
        composed(book, real);
    }
    for (table, format, real) in [
        (dequantize::S8_F32, IntFormat::S8, f32s),
        (dequantize::U8_F32, IntFormat::U8, f32s),
        (dequantize::S16_F32, IntFormat::S16, f32s),
        (dequantize::S8_F16, IntFormat::S8, RealFormat::F16),
        (dequantize::U8_F16, IntFormat::U8, RealFormat::F16),
        (dequantize::S16_F16, IntFormat::S16, RealFormat::F16),
        (dequantize::S8_BF16, IntFormat::S8, RealFormat::Bf16),
        (dequantize::U8_BF16, IntFormat::U8, RealFormat::Bf16),
        (dequantize::S16_BF16, IntFormat::S16, RealFormat::Bf16),
    ] {
        each(book, table, |run, digest| digest_dequantize(run, format, real, digest));
    }
    for (table, format) in
        [(requantize::S32_S8, IntFormat::S8), (requantize::S32_U8, IntFormat::U8)]
    {
        each(book, table, |run, digest| digest_requantize(run, format, digest));
    }
    for (table, format) in
        [(requantize::S32_S8_FIXED, IntFormat::S8), (requantize::S32_U8_FIXED, IntFormat::U8)]
    {
        each(book, table, |run, digest| digest_requantize_fixed(run, format, digest));
    }
    let numbers: Vec<u8> =
        floats(&mut Rng::new(4), 1.0, 20_000).iter().flat_map(|x| x.to_le_bytes()).collect();
    let words: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    for (table, src, sizes) in [
        (convert::F32_F16, &numbers, (4, 2)),
        (convert::F32_BF16, &numbers, (4, 2)),
        (convert::F32_F16_SATURATE, &numbers, (4, 2)),
        (convert::F32_BF16_SATURATE, &numbers, (4, 2)),
        (convert::F16_F32, &words, (2, 4)),
        (convert::BF16_F32, &words, (2, 4)),
        (convert::F32_F8E4M3FN, &numbers, (4, 1)),
        (convert::F32_F8E4M3FN_SATURATE, &numbers, (4, 1)),
        (convert::F32_F8E5M2, &numbers, (4, 1)),
        (convert::F32_F8E5M2_SATURATE, &numbers, (4, 1)),
        (convert::F8E4M3FN_F32, &bytes, (1, 4)),
        (convert::F8E5M2_F32, &bytes, (1, 4)),
    ] {
        each(book, table, |run, digest| digest_convert(run, src, sizes, digest));
    }
    for (table, real) in [
        (reduce::MIN_MAX, f32s),
        (reduce::MIN_MAX_F16, RealFormat::F16),
        (reduce::MIN_MAX_BF16, RealFormat::Bf16),
    ] {
        each(book, table, |run, digest| {
            let values = stored(real, &floats(&mut Rng::new(5), 1.0, 500));
            for stride in 1..4 {
                for part in values.chunks(37 * stride * real.size()) {
                    let n = part.len() / real.size() / stride;
                    // SAFETY: every `stride`-th element of the part.
                    let (min, max) = unsafe { run(part.as_ptr(), stride, n) };
                    digest.f32s(&[min, max]);
                }
            }
        });
    }
    for (table, columns, real) in [
        (reduce::ROW_RANGES, false, f32s),
        (reduce::COLUMN_RANGES, true, f32s),
        (reduce::ROW_RANGES_F16, false, RealFormat::F16),
        (reduce::COLUMN_RANGES_F16, true, RealFormat::F16),
        (reduce::ROW_RANGES_BF16, false, RealFormat::Bf16),
        (reduce::COLUMN_RANGES_BF16, true, RealFormat::Bf16),
    ] {
        each(book, table, |run, digest| digest_ranges(run, columns, real, digest));
    }
    digest_sums(book);
    for (table, format) in [(rescale::S8_S8, IntFormat::S8), (rescale::U8_U8, IntFormat::U8)] {
        each(book, table, |run, digest| digest_rescale(run, format, digest));
    }
    for (table, packing) in [(pack::U8_U4, true), (pack::U4_U8, false), (pack::S4_S8, false)] {
        each(book, table, |run, digest| digest_nibbles(run, packing, digest));
    }
    each(book, scale::S32_F32, digest_scale);
    for (table, format) in [(scale::S32_S8, IntFormat::S8), (scale::S32_U8, IntFormat::U8)] {
        each(book, table, |run, digest| digest_scale_codes(run, format, digest));
    }
    each(book, scale::S32_F32_BLOCK, digest_scale_block);
    each(book, ADD, digest_add);
    each(book, LOOKUP, digest_lookup);
    for (table, function) in activate::TABLES {
        each(book, table, |run, digest| digest_activation(run, function, digest));
    }
    each(book, depthwise::DEPTHWISE, digest_depthwise);
    for table in [depthwise::WIDEN_S8, depthwise::WIDEN_U8] {
        each(book, table, digest_widen);
    }
    for table in [gather::GATHER_U8, gather::GATHER_S8_S16, gather::GATHER_U8_S16] {
        each(book, table, digest_gather);
    }
    digest_tiles(book);
}

/// All pairs of codes, and an odd number of bytes of any.
fn digest_nibbles(run: PackFn, packing: bool, digest: &mut Digest) {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let any = Rng::new(9).bytes(2 * 333);
    for codes in [&all, &any] {
        let bytes = codes.len() / 2;
        let mut out = vec![0u8; if packing { bytes } else { codes.len() }];
        // SAFETY: `2 * bytes` codes on one side, `bytes` bytes on the other.
        unsafe { run(codes.as_ptr(), out.as_mut_ptr(), bytes) };
        digest.bytes(&out);
    }
}

fn digest_rescale(run: RescaleFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(7);
    let codes: Vec<u8> = (0..=u8::MAX).chain(rng.bytes(45)).collect();
    for multiplier in [0.0, 0.5, 1.0, 0.013, 3.7, 1e30, f32::INFINITY] {
        let mut out = vec![0u8; codes.len()];
        let args = RescaleArgs {
            src: codes.as_ptr(),
            src_stride: 1,
            dst: out.as_mut_ptr(),
            dst_stride: 1,
            n: codes.len(),
            from_zero_point: zero_point(&mut rng, format),
            multiplier,
            zero_point: zero_point(&mut rng, format),
        };
        // SAFETY: as many codes on both sides.
        unsafe { run(&args) };
        digest.bytes(&out);
    }
}

/// Numbers as they are stored in a format.
fn stored(format: RealFormat, x: &[f32]) -> Vec<u8> {
    x.iter()
        .flat_map(|&x| match format {
            RealFormat::F32 => x.to_ne_bytes().to_vec(),
            RealFormat::F16 => float16::f32_to_f16(x).to_ne_bytes().to_vec(),
            RealFormat::Bf16 => float16::f32_to_bf16(x).to_ne_bytes().to_vec(),
        })
        .collect()
}

/// Rows of many lengths to their sums and largest magnitudes.
fn digest_sums(book: &mut Book) {
    let mut rng = Rng::new(9);
    let x: Vec<f32> = (0..20_000).map(|_| rng.normal() * rng.pick(&[1e-3, 1.0, 1e4])).collect();
    let q = rng.bytes(20_000);
    const LENGTHS: [usize; 9] = [1, 7, 16, 37, 64, 100, 1000, 4096, 9999];
    each(book, reduce::ROW_SUMS, |run, digest| {
        for n in LENGTHS {
            let rows = x.len() / n;
            let mut sums = vec![0.0; rows];
            let (src, sums_at) = (x.as_ptr(), sums.as_mut_ptr());
            // SAFETY: `rows * n` values, `rows` sums.
            unsafe { run(&SumsArgs { src, n, rows, row_stride: n, sums: sums_at }) };
            digest.f32s(&sums);
        }
    });
    rowwise::enter(book, &x);
    each(book, reduce::ABSMAX, |run, digest| {
        let values = floats(&mut Rng::new(5), 1.0, 500);
        for n in LENGTHS {
            // SAFETY: the part's values.
            values.chunks(n).for_each(|x| digest.f32s(&[unsafe { run(x.as_ptr(), x.len()) }]));
        }
    });
    for table in [reduce::ROW_SUMS_S8, reduce::ROW_SUMS_U8] {
        each(book, table, |run, digest| {
            for n in LENGTHS {
                let rows = q.len() / n;
                let mut sums = vec![0; rows];
                let (src, sums_at) = (q.as_ptr(), sums.as_mut_ptr());
                // SAFETY: `rows * n` codes, `rows` sums.
                unsafe { run(&CodeSumsArgs { src, n, rows, row_stride: n, sums: sums_at }) };
                digest.i32s(&sums);
            }
        });
    }
}

fn digest_ranges(run: RangesFn, columns: bool, real: RealFormat, digest: &mut Digest) {
    let values = floats(&mut Rng::new(6), 1.0, 600);
    let stored = stored(real, &values);
    for n in [1, 3, 16, 37, 100] {
        let rows = values.len() / n;
        let ranges = if columns { n } else { rows };
        let (mut low, mut high) = (vec![f32::INFINITY; ranges], vec![f32::NEG_INFINITY; ranges]);
        let args = RangesArgs {
            src: stored.as_ptr(),
            n,
            rows,
            row_stride: n,
            low: low.as_mut_ptr(),
            high: high.as_mut_ptr(),
        };
        // SAFETY: `rows * n` values, `ranges` ranges.
        unsafe { run(&args) };
        // A zero's sign is unspecified.
        low.iter().chain(&high).for_each(|end| digest.f32s(&[end + 0.0]));
    }
}

fn digest_quantize(
    run: impl Fn(&QuantizeArgs),
    real: RealFormat,
    format: IntFormat,
    size: usize,
    digest: &mut Digest,
) {
    let mut rng = Rng::new(1);
    for scale in SCALES {
        for mode in MODES {
            for ((src_stride, dst_stride), param_step) in STRIDES.into_iter().zip([0, 0, 1]) {
                let x = floats(&mut rng, scale, 100);
                let n = x.len();
                let scales: Vec<f32> = (0..n).map(|i| SCALES[i % 4] * scale.min(1.0)).collect();
                let scales: Vec<f32> =
                    scales.into_iter().map(|s| s.max(f32::from_bits(1))).collect();
                let zero_points: Vec<i32> = (0..n).map(|_| zero_point(&mut rng, format)).collect();
                let src = stored(real, &spread(&x, src_stride));
                let mut dst = vec![0u8; n * dst_stride * size];
                let args = QuantizeArgs {
                    src: src.as_ptr(),
                    src_stride,
                    dst: dst.as_mut_ptr(),
                    dst_stride,
                    n,
                    scales: scales.as_ptr(),
                    zero_points: zero_points.as_ptr(),
                    param_step,
                    rows: Rows::ONE,
                    mode,
                    clamp: (format.qmin(), format.qmax()),
                };
                // Both buffers hold `n` elements at their strides, and there are `n` parameters.
                run(&args);
                digest.bytes(&dst);
            }
        }
    }
}

fn digest_dequantize(run: DequantizeFn, format: IntFormat, real: RealFormat, digest: &mut Digest) {
    let mut rng = Rng::new(2);
    for scale in SCALES {
        for ((src_stride, dst_stride), param_step) in STRIDES.into_iter().zip([0, 1, 1]) {
            let codes: Vec<u16> = (0..=u16::from(u8::MAX))
                .chain((0..300).map(|_| u16::from(rng.byte()) | u16::from(rng.byte()) << 8))
                .collect();
            let n = codes.len();
            let scales: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { scale } else { 0.1 }).collect();
            let zero_points: Vec<i32> = (0..n).map(|_| zero_point(&mut rng, format)).collect();
            let wide = spread(&codes, src_stride);
            let narrow: Vec<u8> = wide.iter().map(|&q| q as u8).collect();
            let mut dst = vec![0u8; n * dst_stride * real.size()];
            let args = DequantizeArgs {
                src: if format == IntFormat::S16 { wide.as_ptr().cast() } else { narrow.as_ptr() },
                src_stride,
                signed: format.qmin() < 0,
                dst: dst.as_mut_ptr(),
                dst_stride,
                n,
                scales: scales.as_ptr(),
                zero_points: zero_points.as_ptr(),
                param_step,
                rows: Rows::ONE,
            };
            // SAFETY: as for quantize.
            unsafe { run(&args) };
            digest.bytes(&dst);
        }
    }
}

/// Sums of all sizes, the extremes and ties of small multipliers among them.
fn sums(rng: &mut Rng) -> Vec<i32> {
    let mut sums = vec![0, 1, -1, i32::MAX, i32::MIN, 1 << 24, (1 << 24) + 1, -(1 << 24) - 1];
    sums.extend(-300..300);
    sums.extend((0..500).map(|_| (rng.next_u32() as i32) >> rng.below(32)));
    sums
}

fn digest_requantize(run: RequantizeFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(3);
    for multiplier in [0.0, 0.5, 0.013, 1e-9, 1.0, 3.7e4, f32::MIN_POSITIVE, f32::INFINITY] {
        for ((src_stride, dst_stride), param_step) in STRIDES.into_iter().zip([0, 1, 0]) {
            let acc = sums(&mut rng);
            let n = acc.len();
            let multipliers: Vec<f32> =
                (0..n).map(|i| if i % 3 == 0 { multiplier } else { rng.unit() }).collect();
            let zero_points: Vec<i32> = (0..n).map(|_| zero_point(&mut rng, format)).collect();
            let src = spread(&acc, src_stride);
            let mut dst = vec![0u8; n * dst_stride];
            let args = RequantizeArgs {
                src: src.as_ptr(),
                src_stride,
                dst: dst.as_mut_ptr(),
                dst_stride,
                n,
                multipliers: multipliers.as_ptr(),
                zero_points: zero_points.as_ptr(),
                param_step,
                rows: Rows::ONE,
                clamp: (format.qmin() + 1, format.qmax() - 1),
            };
            // SAFETY: as for quantize.
            unsafe { run(&args) };
            digest.bytes(&dst);
        }
    }
}

fn digest_requantize_fixed(run: RequantizeFixedFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(6);
    for rounding in [FixedRounding::Double, FixedRounding::Single] {
        for shift in [-31, -20, -9, -1, 0, 1, 7] {
            let acc = sums(&mut rng);
            let n = acc.len();
            let multipliers: Vec<i32> =
                (0..n).map(|_| (rng.next_u32() >> 2 | 1 << 30) as i32).collect();
            let shifts = vec![shift; n];
            let zero_points: Vec<i32> = (0..n).map(|_| zero_point(&mut rng, format)).collect();
            let mut dst = vec![0u8; n];
            let args = RequantizeFixedArgs {
                src: acc.as_ptr(),
                src_stride: 1,
                dst: dst.as_mut_ptr(),
                dst_stride: 1,
                n,
                multipliers: multipliers.as_ptr(),
                shifts: shifts.as_ptr(),
                zero_points: zero_points.as_ptr(),
                param_step: 1,
                rows: Rows::ONE,
                clamp: (format.qmin(), format.qmax()),
                rounding,
            };
            // SAFETY: as for quantize.
            unsafe { run(&args) };
            digest.bytes(&dst);
        }
    }
}

fn digest_convert(run: ConvertFn, src: &[u8], (from, to): (usize, usize), digest: &mut Digest) {
    let n = src.len() / from;
    for (src_stride, dst_stride) in STRIDES {
        let n = n / src_stride;
        let mut dst = vec![0u8; n * dst_stride * to];
        let args =
            ConvertArgs { src: src.as_ptr(), src_stride, dst: dst.as_mut_ptr(), dst_stride, n };
        // SAFETY: both buffers hold `n` elements at their strides.
        unsafe { run(&args) };
        digest.bytes(&dst);
    }
}

fn digest_activation(run: ActivateFn, function: Activation, digest: &mut Digest) {
    let (_, alpha, beta) = activate::table(function).unwrap();
    let mut rng = Rng::new(11);
    for n in [1, 7, 64, 1009] {
        let src: Vec<f32> =
            (0..n).map(|i| if i % 2 == 0 { rng.any_f32() } else { rng.normal() * 5.0 }).collect();
        let mut dst = vec![0f32; n];
        let (from, to) = (src.as_ptr(), dst.as_mut_ptr());
        // SAFETY: both buffers hold n numbers.
        unsafe { run(&ActivateArgs { src: from, dst: to, n, alpha, beta }) };
        digest.f32s(&dst);
    }
}

fn digest_lookup(run: LookupFn, digest: &mut Digest) {
    let mut rng = Rng::new(13);
    let table = rng.bytes(256);
    for n in [1, 63, 64, 1009] {
        let src = rng.bytes(n);
        let mut dst = vec![0; n];
        let (table, src, dst_at) = (table.as_ptr(), src.as_ptr(), dst.as_mut_ptr());
        // SAFETY: a table of 256 and two buffers of n codes.
        unsafe { run(&LookupArgs { table, src, dst: dst_at, n }) };
        digest.bytes(&dst);
    }
}

fn digest_add(run: AddFn, digest: &mut Digest) {
    let mut rng = Rng::new(12);
    for n in [1, 7, 64, 1009] {
        let [a, b] = [(); 2].map(|()| (0..n).map(|_| rng.any_f32()).collect::<Vec<f32>>());
        let mut dst = vec![0f32; n];
        // SAFETY: three buffers of n numbers.
        unsafe { run(&AddArgs { a: a.as_ptr(), b: b.as_ptr(), dst: dst.as_mut_ptr(), n }) };
        digest.f32s(&dst);
    }
}

fn digest_scale(run: ScaleFn, digest: &mut Digest) {
    let mut rng = Rng::new(7);
    for row_factor in [1.0, 0.037, f32::MIN_POSITIVE, f32::MAX] {
        for (bias, relu) in [(true, false), (false, true), (true, true)] {
            for dst_stride in [1, 3] {
                let acc = sums(&mut rng);
                let n = acc.len();
                let factors: Vec<f32> =
                    (0..n).map(|_| rng.unit() * 2f32.powi(rng.below(40) as i32 - 20)).collect();
                let biases: Vec<f32> = (0..n).map(|_| rng.any_f32()).collect();
                let mut dst = vec![0f32; n * dst_stride];
                let args = ScaleArgs {
                    tile: Tile {
                        src: acc.as_ptr(),
                        dst: dst.as_mut_ptr(),
                        dst_stride,
                        n,
                        rows: 1,
                        src_row_stride: 0,
                        dst_row_stride: 0,
                        row_factors: &row_factor,
                        factors: factors.as_ptr(),
                    },
                    bias: if bias { biases.as_ptr() } else { std::ptr::null() },
                    may_be_nan: true,
                    relu,
                };
                // SAFETY: as for quantize; factors and bias are as long as the run.
                unsafe { run(&args) };
                digest.f32s(&dst);
            }
        }
    }
}

fn digest_scale_block(run: ScaleBlockFn, digest: &mut Digest) {
    let mut rng = Rng::new(15);
    for row_factor in [1.0, 0.037, f32::MIN_POSITIVE, f32::MAX] {
        for (with_bias, relu) in [(true, false), (false, true)] {
            let mut dst = vec![0f32; sums(&mut rng).len()];
            for block in 0..3 {
                let acc = sums(&mut rng);
                let n = acc.len();
                let factors: Vec<f32> =
                    (0..n).map(|_| rng.unit() * 2f32.powi(rng.below(40) as i32 - 20)).collect();
                let bias: Vec<f32> = (0..n).map(|_| rng.any_f32()).collect();
                let args = ScaleBlockArgs {
                    tile: Tile {
                        src: acc.as_ptr(),
                        dst: dst.as_mut_ptr(),
                        dst_stride: 1,
                        n,
                        rows: 1,
                        src_row_stride: 0,
                        dst_row_stride: 0,
                        row_factors: &row_factor,
                        factors: factors.as_ptr(),
                    },
                    first: block == 0,
                    last: block == 2,
                    bias: if with_bias { bias.as_ptr() } else { std::ptr::null() },
                    relu,
                };
                // SAFETY: as for quantize; factors and bias are as long as the run.
                unsafe { run(&args) };
            }
            digest.f32s(&dst);
        }
    }
}

fn digest_scale_codes(run: ScaleCodesFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(14);
    let (qmin, qmax) = (format.qmin(), format.qmax());
    for (step, row_factor) in [(1.0, 1.0), (30.0, 0.037), (f32::MIN_POSITIVE, f32::MAX)] {
        for whole in [false, true] {
            for dst_stride in [1, 3] {
                let acc = sums(&mut rng);
                let n = acc.len();
                let factors: Vec<f32> =
                    (0..n).map(|_| rng.unit() * 2f32.powi(rng.below(60) as i32 - 40)).collect();
                let mut dst = vec![0u8; n * dst_stride];
                let args = ScaleCodesArgs {
                    tile: Tile {
                        src: acc.as_ptr(),
                        dst: dst.as_mut_ptr(),
                        dst_stride,
                        n,
                        rows: 1,
                        src_row_stride: 0,
                        dst_row_stride: 0,
                        row_factors: if whole { std::ptr::null() } else { &row_factor },
                        factors: factors.as_ptr(),
                    },
                    step,
                    zero_point: qmin + 5,
                    clamp: (qmin, qmax - 1),
                    saturates: false,
                };
                // SAFETY: as for quantize; factors are as long as the run.
                unsafe { run(&args) };
                digest.bytes(&dst);
            }
        }
    }
}

/// Runs of up to 150 codes, three each, into places with gaps.
fn digest_gather(run: GatherFn, digest: &mut Digest) {
    let mut rng = Rng::new(10);
    for len in 0..150 {
        let codes = rng.bytes(2 * len + 40);
        let mut places = vec![0x5Au8; 6 * len + 60];
        let runs = [Run {
            from: codes.as_ptr(),
            len,
            to: 3,
            count: 3,
            from_stride: len / 2 + 20,
            to_stride: 2 * len + 17,
        }];
        let to = places.as_mut_ptr();
        // SAFETY: three runs within the codes, and places of up to two bytes a code within theirs.
        unsafe { run(&GatherArgs { runs: runs.as_ptr(), count: 1, to, mask: 0x80 }) };
        digest.bytes(&places);
    }
}

/// Eleven pixels of a block and more, of codes of both kinds: the order of widened codes, which no other kernel reads, is
/// each instruction set's own.
fn digest_depthwise(run: DepthwiseFn, digest: &mut Digest) {
    const PIXELS: usize = 11;
    // What has the same value everywhere has no order.
    let mut rng = Rng::new(9);
    for channels in [1_usize, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32] {
        for (lines, width, stride) in
            [(1, 1, 1), (3, 3, 1), (3, 3, 2), (5, 5, 1), (5, 5, 2), (7, 7, 1), (2, 4, 3)]
        {
            let columns = (computed(PIXELS) - 1) * stride + width + 1;
            let mut codes = vec![0i16; lines * columns * CHANNELS];
            for block in codes.chunks_exact_mut(CHANNELS) {
                block.fill(rng.below(384) as i16 - 128);
            }
            let weights: Vec<i16> = (0..pairs(lines, width) * CHANNELS * 2)
                .map(|_| rng.below(511) as i16 - 255)
                .collect();
            let start: Vec<i32> = (0..CHANNELS).map(|_| rng.next_u32() as i32).collect();
            let taps: Vec<*const i16> =
                (0..lines).map(|line| codes[line * columns * CHANNELS..].as_ptr()).collect();
            let mut dst = vec![0i32; PIXELS * CHANNELS];
            let args = DepthwiseArgs {
                taps: taps.as_ptr(),
                offset: 0,
                block: 0,
                lines,
                width,
                stride,
                pixels: PIXELS,
                weights: weights.as_ptr(),
                start: start.as_ptr(),
                channels,
                results: Results::Sums { dst: dst.as_mut_ptr(), stride: CHANNELS },
            };
            // SAFETY: taps and pixels within the codes; the rest is as long as the arguments say.
            unsafe { run(&args) };
            for pixel in dst.chunks_exact(CHANNELS) {
                digest.i32s(&pixel[..channels]);
            }
        }
    }
}

/// Codes of 1 to 70 channels, as one pixel's channel by channel: what is in a block, whatever its order.
fn digest_widen(run: WidenFn, digest: &mut Digest) {
    let mut rng = Rng::new(10);
    for channels in 1..=70 {
        let codes = rng.bytes(channels);
        let blocks = channels.div_ceil(CHANNELS);
        let mut line = vec![0i16; blocks * CHANNELS];
        let args = WidenArgs {
            src: codes.as_ptr(),
            src_stride: channels,
            pixels: 1,
            channels,
            dst: line.as_mut_ptr(),
            dst_stride: CHANNELS,
        };
        // SAFETY: one pixel's codes, and its blocks.
        unsafe { run(&args) };
        // Zeros, or nothing, are beside the codes.
        for block in line.chunks_exact_mut(CHANNELS) {
            block.sort_unstable();
        }
        digest.i32s(&line.iter().map(|&code| i32::from(code)).collect::<Vec<_>>());
    }
}

/// Products of 1 to 12 rows with 40 columns, computed tile by tile: the sums must not depend on the
/// tile's shape.
fn digest_tiles(book: &mut Book) {
    const COLUMNS: usize = 40;
    for tile in RhsForm::ALL.into_iter().flat_map(RhsForm::tiles) {
        let Some(bound) = bind(&tile.row, limited()) else {
            missing(tile.row.name, tile.row.required);
            continue;
        };
        let mut digest = Digest::new();
        let mut rng = Rng::new(8);
        for rows in 1..=12 {
            for k in [1, 2, 3, 4, 5, 8, 31, 64, 257] {
                let lhs = rng.bytes(rows * k);
                let rhs = rng.bytes(COLUMNS * k);
                let lhs_zero: Vec<i32> = (0..rows).map(|_| rng.below(256) as i32).collect();
                let rhs_zero: Vec<i32> =
                    (0..COLUMNS).map(|_| rng.below(256) as i32 - 128).collect();
                let bias: Vec<i32> = (0..COLUMNS).map(|_| rng.next_u32() as i32).collect();
                let mut dst = vec![0i32; rows * COLUMNS];
                let (kr, group_bytes) = (tile.lhs.kr(), tile.lhs.group_bytes());
                let groups = k.div_ceil(kr);
                for first_row in (0..rows).step_by(tile.mr) {
                    let block_size = (rows - first_row).min(tile.mr);
                    let mut block = vec![0u8; groups * block_size * group_bytes];
                    let shift = fewbit::kernels::gemm::code_shift_lhs(true, tile.lhs);
                    let row = |r: usize| lhs[(first_row + r) * k..].as_ptr();
                    let (mut sum, mut zero) = (vec![0; block_size], vec![0; block_size]);
                    for r in 0..block_size {
                        zero[r] = lhs_zero[first_row + r] + shift;
                        // SAFETY: k codes of the row.
                        sum[r] = unsafe { sum_lhs(row(r), k, true, tile.lhs) };
                    }
                    // SAFETY: k codes a row, and a block of `block_size` rows.
                    unsafe { pack_lhs(row, block_size, k, true, tile.lhs, block.as_mut_ptr()) };
                    for first in (0..COLUMNS).step_by(tile.nr) {
                        let columns = (COLUMNS - first).min(tile.nr);
                        let mut panel = vec![0i8; groups * tile.nr * tile.rhs_bytes()];
                        let mut fold = vec![0; tile.nr];
                        let code = |c: usize, i: usize| {
                            let byte = i32::from(rhs[(first + c) * k + i]);
                            match tile.rhs {
                                RhsForm::S8 => byte as i8 as i32,
                                RhsForm::B1 => byte & 2,
                                few => byte & ((1 << few.bits()) - 1),
                            }
                        };
                        pack_rhs(code, columns, k, tile, &mut panel, &mut fold);
                        let (mut column_zero, mut column_bias) =
                            (vec![0; tile.nr], vec![0; tile.nr]);
                        for c in 0..columns {
                            column_zero[c] = rhs_zero[first + c];
                            column_bias[c] = bias[first + c];
                            fold[c] = (k as i32 * column_zero[c]).wrapping_sub(fold[c]);
                        }
                        let mut sums = vec![0i32; block_size * tile.nr];
                        let args = TileArgs {
                            lhs: block.as_ptr(),
                            lhs_row_stride: group_bytes,
                            lhs_group_stride: block_size * group_bytes,
                            rhs: panel.as_ptr(),
                            k_groups: groups,
                            k_rest: 0,
                            narrow: false,
                            rows: block_size,
                            start: column_bias.as_ptr(),
                            row_start: std::ptr::null(),
                            lhs_zero: zero.as_ptr(),
                            rhs_fold: fold.as_ptr(),
                            rhs_zero: column_zero.as_ptr(),
                            lhs_sum: sum.as_ptr(),
                            dst: sums.as_mut_ptr(),
                            dst_stride: tile.nr,
                        };
                        // SAFETY: a packed block and panel with their parameters, and a tile of sums.
                        unsafe { bound.run()(&args) };
                        for r in 0..block_size {
                            let at = (first_row + r) * COLUMNS + first;
                            dst[at..at + columns]
                                .copy_from_slice(&sums[r * tile.nr..r * tile.nr + columns]);
                        }
                    }
                }
                digest.i32s(&dst);
            }
        }
        book.enter(tile.rhs.op(), tile.row.required, digest);
    }
}
