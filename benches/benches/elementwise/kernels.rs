//! Every row of the registry but the products', on contiguous arrays that share a parameter. An op is a
//! line in [`bench`]; its rows and bytes follow from the registry, and an op without a line is an error.

use crate::blocks::{from_gguf, from_mx, from_nvfp4, to_gguf, to_mx, to_nvfp4};
use crate::codes::{add_fixed, binary_row, maxima, multiply_fixed, sums};
use criterion::{Criterion, SamplingMode, Throughput};
use fewbit::kernels::Rows;
use fewbit::kernels::activate::{self, ActivateArgs, ActivateFn};
use fewbit::kernels::add::{ADD, AddArgs, AddFn};
use fewbit::kernels::binary;
use fewbit::kernels::block;
use fewbit::kernels::census::{CENSUS_F32, CensusFn};
use fewbit::kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit::kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit::kernels::lookup::{LOOKUP, LookupArgs, LookupFn};
use fewbit::kernels::norm::{self, NormalizeArgs, NormalizeFn, SquareSumsArgs, SquareSumsFn};
use fewbit::kernels::pack::{self, PackFn};
use fewbit::kernels::pool;
use fewbit::kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit::kernels::reduce::{
    self, AbsmaxFn, CodeSumsArgs, CodeSumsFn, MinMaxFn, RangesArgs, RangesFn, SumsArgs, SumsFn,
};
use fewbit::kernels::registry::{Row, bind};
use fewbit::kernels::requantize::{
    self, RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn,
};
use fewbit::kernels::rescale::{self, RescaleArgs, RescaleFn};
use fewbit::kernels::scale::{
    self, ScaleArgs, ScaleBlockArgs, ScaleBlockFn, ScaleCodesArgs, ScaleCodesFn, ScaleFn, Tile,
};
use fewbit::kernels::softmax::{self, SoftmaxArgs, SoftmaxFn};
use fewbit::scheme::block::{gguf::Gguf, mx::Mx};
use fewbit::scheme::{Activation, FixedMultiplier, FixedRounding, IntFormat, QuantizeMode};
use fewbit_benches::{Buffer, SCALE, SIZES, Traffic, activations, codes, id, parts};
use fewbit_testkit::limited;

const LARGEST: usize = SIZES[SIZES.len() - 1].1;

/// What all tables share: the results, and the ops that were timed.
struct Tables<'a> {
    c: &'a mut Criterion,
    /// The kernel's result and the portable one.
    results: [Buffer; 2],
    timed: Vec<&'static str>,
}

impl Tables<'_> {
    /// Times all rows of a table: `run(kernel, n, dst)` makes `n` elements in `dst` and returns how
    /// many bytes it wrote.
    fn table<F: Copy>(
        &mut self,
        rows: &'static [Row<F>],
        run: impl Fn(F, usize, &mut [u8]) -> usize,
    ) {
        let portable = rows.last().and_then(|row| bind(row, limited())).expect("a portable row");
        let op = portable.name().trim_end_matches("_scalar");
        self.timed.push(op);
        let traffic = parts(op);
        let traffic = Traffic::of(traffic.0, traffic.1).expect(op);
        for kernel in rows.iter().filter_map(|row| bind(row, limited())) {
            let mut group = self.c.benchmark_group(id(op, kernel.name()));
            for (size, n) in SIZES {
                group.throughput(Throughput::Bytes(traffic.bytes(n)));
                if n > 1 << 20 {
                    group.sampling_mode(SamplingMode::Flat).sample_size(10);
                }
                let (results, mut checked) = (&mut self.results, false);
                // Criterion calls this several times, but only for ids that were asked for.
                group.bench_function(size, |b| {
                    let [dst, want] = results.each_mut().map(Buffer::bytes_mut);
                    if !checked {
                        let bytes = run(portable.run(), n, want);
                        assert_eq!(run(kernel.run(), n, dst), bytes);
                        let same = dst[..bytes] == want[..bytes];
                        assert!(same, "{} differs from {}", kernel.name(), portable.name());
                        checked = true;
                    }
                    b.iter(|| run(kernel.run(), n, dst));
                });
            }
            group.finish();
        }
    }
}

/// From numbers of `from` bytes to codes of `to` bytes.
fn quantize_row(
    x: &Buffer,
    format: IntFormat,
    from: usize,
    to: usize,
) -> impl Fn(QuantizeFn, usize, &mut [u8]) -> usize {
    let zero_point = match format {
        IntFormat::B1 => 0,
        _ => (format.qmin() + format.qmax()) / 2 + 3,
    };
    move |run, n, dst| {
        let args = QuantizeArgs {
            src: x.bytes()[..n * from].as_ptr(),
            src_stride: 1,
            dst: dst[..n * to].as_mut_ptr(),
            dst_stride: 1,
            n,
            scales: &SCALE,
            zero_points: &zero_point,
            param_step: 0,
            rows: Rows::ONE,
            mode: QuantizeMode::default(),
            clamp: (format.qmin(), format.qmax()),
        };
        // SAFETY: `n` values, `n` results of the width, one parameter.
        unsafe { run(&args) };
        n * to
    }
}

/// Pairs of codes, of `from` and of `to` bytes.
fn nibbles(q: &Buffer, from: usize, to: usize) -> impl Fn(PackFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let src = q.bytes()[..n / 2 * from].as_ptr();
        // SAFETY: `n` codes on both sides.
        unsafe { run(src, dst[..n / 2 * to].as_mut_ptr(), n / 2) };
        n / 2 * to
    }
}

/// From codes of `from` bytes to numbers of `to` bytes.
fn dequantize_row(
    q: &Buffer,
    from: usize,
    to: usize,
) -> impl Fn(DequantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let args = DequantizeArgs {
            src: q.bytes()[..n * from].as_ptr(),
            src_stride: 1,
            signed: true,
            dst: dst[..n * to].as_mut_ptr(),
            dst_stride: 1,
            n,
            scales: &SCALE,
            zero_points: &3,
            param_step: 0,
            rows: Rows::ONE,
        };
        // SAFETY: `n` codes, `n` values, one parameter.
        unsafe { run(&args) };
        n * to
    }
}

fn requantize_row(acc: &[i32]) -> impl Fn(RequantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let args = RequantizeArgs {
            src: acc[..n].as_ptr(),
            src_stride: 1,
            dst: dst[..n].as_mut_ptr(),
            dst_stride: 1,
            n,
            multipliers: &0.001,
            zero_points: &3,
            param_step: 0,
            rows: Rows::ONE,
            clamp: (0, 127),
        };
        // SAFETY: `n` sums, `n` codes, one parameter.
        unsafe { run(&args) };
        n
    }
}

fn rescale_row(q: &Buffer) -> impl Fn(RescaleFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let args = RescaleArgs {
            src: q.bytes()[..n].as_ptr(),
            src_stride: 1,
            dst: dst[..n].as_mut_ptr(),
            dst_stride: 1,
            n,
            from_zero_point: 7,
            multiplier: 0.83,
            zero_point: 3,
        };
        // SAFETY: `n` codes on both sides.
        unsafe { run(&args) };
        n
    }
}

fn requantize_fixed_row(acc: &[i32]) -> impl Fn(RequantizeFixedFn, usize, &mut [u8]) -> usize {
    let multiplier = FixedMultiplier::from_real(0.001).expect("a multiplier");
    move |run, n, dst| {
        let args = RequantizeFixedArgs {
            src: acc[..n].as_ptr(),
            src_stride: 1,
            dst: dst[..n].as_mut_ptr(),
            dst_stride: 1,
            n,
            multipliers: &multiplier.multiplier,
            shifts: &multiplier.shift,
            zero_points: &3,
            param_step: 0,
            rows: Rows::ONE,
            clamp: (0, 127),
            rounding: FixedRounding::Single,
        };
        // SAFETY: `n` sums, `n` codes, one parameter.
        unsafe { run(&args) };
        n
    }
}

fn convert_row(
    src: &Buffer,
    from: usize,
    to: usize,
) -> impl Fn(ConvertFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let args = ConvertArgs {
            src: src.bytes()[..n * from].as_ptr(),
            src_stride: 1,
            dst: dst[..n * to].as_mut_ptr(),
            dst_stride: 1,
            n,
        };
        // SAFETY: `n` elements on both sides.
        unsafe { run(&args) };
        n * to
    }
}

/// Ranges of a square matrix of `n` elements, by row or by column.
fn ranges(x: &Buffer, width: usize) -> impl Fn(RangesFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let side = n.isqrt();
        assert_eq!(side * side, n);
        let ends = &mut dst[..8 * side];
        // Columns continue the ranges that they find.
        ends[..4 * side].as_chunks_mut().0.fill(f32::INFINITY.to_ne_bytes());
        ends[4 * side..].as_chunks_mut().0.fill(f32::NEG_INFINITY.to_ne_bytes());
        let args = RangesArgs {
            src: x.bytes()[..n * width].as_ptr(),
            n: side,
            rows: side,
            row_stride: side,
            low: ends.as_mut_ptr().cast(),
            high: ends[4 * side..].as_mut_ptr().cast(),
        };
        // SAFETY: a square of values, and as many ranges as it has rows and columns.
        unsafe { run(&args) };
        8 * side
    }
}

fn min_max(x: &Buffer, width: usize) -> impl Fn(MinMaxFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        // SAFETY: `n` values.
        let (min, max) = unsafe { run(x.bytes()[..n * width].as_ptr(), 1, n) };
        dst[..4].copy_from_slice(&min.to_ne_bytes());
        dst[4..8].copy_from_slice(&max.to_ne_bytes());
        8
    }
}

fn census(x: &Buffer) -> impl Fn(CensusFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        // SAFETY: `n` values.
        let census = unsafe { run(x.floats()[..n].as_ptr(), n) };
        for (to, above) in dst.as_chunks_mut().0.iter_mut().zip(census.above) {
            *to = above.to_ne_bytes();
        }
        8 * census.above.len()
    }
}

fn absmax(x: &Buffer) -> impl Fn(AbsmaxFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        // SAFETY: `n` values.
        let absmax = unsafe { run(x.floats()[..n].as_ptr(), n) };
        dst[..4].copy_from_slice(&absmax.to_ne_bytes());
        4
    }
}

fn row_sums(x: &Buffer) -> impl Fn(SumsFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let side = n.isqrt();
        let (src, sums) = (x.floats()[..n].as_ptr(), dst[..4 * side].as_mut_ptr().cast());
        // SAFETY: a square of values, and as many sums as it has rows.
        unsafe { run(&SumsArgs { src, n: side, rows: side, row_stride: side, sums }) };
        4 * side
    }
}

/// Numbers of a row of functions of rows.
const ROW: usize = 1024;

fn softmax_step(x: &Buffer) -> impl Fn(SoftmaxFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let rows = n / ROW;
        // Exponentials of what is above the peak are of no use, but cost the same.
        let (mut peaks, mut sums) = (vec![4.0f32; rows], vec![1e3f32; rows]);
        let args = SoftmaxArgs {
            src: x.floats()[..n].as_ptr(),
            dst: dst[..4 * n].as_mut_ptr().cast(),
            n: ROW,
            rows,
            src_stride: ROW,
            dst_stride: ROW,
            peaks: peaks.as_mut_ptr(),
            sums: sums.as_mut_ptr(),
        };
        // SAFETY: rows of numbers, as many results, a peak and a sum of each row.
        unsafe { run(&args) };
        4 * n
    }
}

fn square_sums(x: &Buffer) -> impl Fn(SquareSumsFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let rows = n / ROW;
        let (src, sums) = (x.floats()[..n].as_ptr(), dst[..4 * rows].as_mut_ptr().cast());
        let centers = x.floats().as_ptr();
        // SAFETY: rows of numbers, a center and a sum of each.
        unsafe { run(&SquareSumsArgs { src, n: ROW, rows, row_stride: ROW, centers, sums }) };
        4 * rows
    }
}

fn normalize(x: &Buffer) -> impl Fn(NormalizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let numbers = x.floats().as_ptr();
        let args = NormalizeArgs {
            src: x.floats()[..n].as_ptr(),
            dst: dst[..4 * n].as_mut_ptr().cast(),
            n: ROW,
            rows: n / ROW,
            src_stride: ROW,
            dst_stride: ROW,
            centers: numbers,
            factors: numbers,
            gamma: numbers,
            beta: numbers,
        };
        // SAFETY: rows of numbers and as many results; what else is read is shorter.
        unsafe { run(&args) };
        4 * n
    }
}

fn code_sums(q: &Buffer) -> impl Fn(CodeSumsFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let side = n.isqrt();
        let (src, sums) = (q.bytes()[..n].as_ptr(), dst[..4 * side].as_mut_ptr().cast());
        // SAFETY: a square of codes, and as many sums as it has rows.
        unsafe { run(&CodeSumsArgs { src, n: side, rows: side, row_stride: side, sums }) };
        4 * side
    }
}

/// A row of sums and of results.
fn sums_to<T>(acc: &[i32], factors: &Buffer, n: usize, dst: &mut [u8]) -> Tile<T> {
    Tile {
        src: acc[..n].as_ptr(),
        dst: dst[..size_of::<T>() * n].as_mut_ptr().cast(),
        dst_stride: 1,
        n,
        rows: 1,
        src_row_stride: 0,
        dst_row_stride: 0,
        row_factors: &0.02,
        factors: factors.floats()[..n].as_ptr(),
    }
}

fn scale_row(acc: &[i32], x: &Buffer) -> impl Fn(ScaleFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let tile = sums_to(acc, x, n, dst);
        let args = ScaleArgs { tile, bias: std::ptr::null(), may_be_nan: false, relu: false };
        // SAFETY: `n` sums, factors and results.
        unsafe { run(&args) };
        4 * n
    }
}

/// A block in the middle: results are read and written.
fn scale_block_row(acc: &[i32], x: &Buffer) -> impl Fn(ScaleBlockFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let (tile, bias) = (sums_to(acc, x, n, dst), std::ptr::null());
        let args = ScaleBlockArgs { tile, first: false, last: false, bias, relu: false };
        // SAFETY: `n` sums, factors and results.
        unsafe { run(&args) };
        4 * n
    }
}

fn scale_codes_row(acc: &[i32], x: &Buffer) -> impl Fn(ScaleCodesFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let tile = sums_to(acc, x, n, dst);
        let args =
            ScaleCodesArgs { tile, step: 30.0, zero_point: 3, clamp: (0, 127), saturates: false };
        // SAFETY: `n` sums, factors and results.
        unsafe { run(&args) };
        n
    }
}

fn lookup(q: &Buffer) -> impl Fn(LookupFn, usize, &mut [u8]) -> usize {
    let table: [u8; 256] = std::array::from_fn(|i| 255 - i as u8);
    move |run, n, dst| {
        let (src, table, dst) = (q.bytes()[..n].as_ptr(), table.as_ptr(), dst.as_mut_ptr());
        // SAFETY: a table of 256, n codes and as many results.
        unsafe { run(&LookupArgs { table, src, dst, n }) };
        n
    }
}

fn add(x: &Buffer) -> impl Fn(AddFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let (a, dst) = (x.floats()[..n].as_ptr(), dst[..4 * n].as_mut_ptr().cast());
        // SAFETY: n numbers, twice, and as many results.
        unsafe { run(&AddArgs { a, b: a, dst, n }) };
        4 * n
    }
}

fn activation(function: Activation, x: &Buffer) -> impl Fn(ActivateFn, usize, &mut [u8]) -> usize {
    let (_, alpha, beta) = activate::table(function).expect("a table");
    move |run, n, dst| {
        let (src, dst) = (x.floats()[..n].as_ptr(), dst[..4 * n].as_mut_ptr().cast());
        // SAFETY: n numbers and as many results.
        unsafe { run(&ActivateArgs { src, dst, n, alpha, beta }) };
        4 * n
    }
}

pub fn bench(c: &mut Criterion) {
    // Not made on first use: criterion would count that as time spent on the first id.
    let x = &activations(LARGEST);
    let q = &Buffer::repeated(&codes(1 << 20), 2 * LARGEST);
    let acc: Vec<i32> = x.floats().iter().map(|x| (x * 50_000.0) as i32).collect();
    let acc = acc.as_slice();
    let stored = |narrow: fn(f32) -> u16| {
        let bits = x.floats()[..1 << 20].iter().flat_map(|&x| narrow(x).to_ne_bytes());
        Buffer::repeated(&bits.collect::<Vec<u8>>(), 2 * LARGEST)
    };
    let f16 = &stored(fewbit::scheme::float16::f32_to_f16);
    let bf16 = &stored(fewbit::scheme::float16::f32_to_bf16);
    let results = [Buffer::new(4 * LARGEST), Buffer::new(4 * LARGEST)];
    let mut t = Tables { c, results, timed: Vec::new() };

    t.table(quantize::F32_S8, quantize_row(x, IntFormat::S8, 4, 1));
    t.table(quantize::F32_U8, quantize_row(x, IntFormat::U8, 4, 1));
    t.table(quantize::F32_S16, quantize_row(x, IntFormat::S16, 4, 2));
    t.table(quantize::F32_B1, quantize_row(x, IntFormat::B1, 4, 1));
    t.table(dequantize::S8_F32, dequantize_row(q, 1, 4));
    t.table(dequantize::U8_F32, dequantize_row(q, 1, 4));
    t.table(dequantize::S16_F32, dequantize_row(q, 2, 4));
    t.table(quantize::F16_S8, quantize_row(f16, IntFormat::S8, 2, 1));
    t.table(quantize::F16_U8, quantize_row(f16, IntFormat::U8, 2, 1));
    t.table(dequantize::S8_F16, dequantize_row(q, 1, 2));
    t.table(dequantize::U8_F16, dequantize_row(q, 1, 2));
    t.table(dequantize::S16_F16, dequantize_row(q, 2, 2));
    t.table(quantize::BF16_S8, quantize_row(bf16, IntFormat::S8, 2, 1));
    t.table(quantize::BF16_U8, quantize_row(bf16, IntFormat::U8, 2, 1));
    t.table(dequantize::S8_BF16, dequantize_row(q, 1, 2));
    t.table(dequantize::U8_BF16, dequantize_row(q, 1, 2));
    t.table(dequantize::S16_BF16, dequantize_row(q, 2, 2));
    t.table(requantize::S32_S8, requantize_row(acc));
    t.table(requantize::S32_U8, requantize_row(acc));
    t.table(requantize::S32_S8_FIXED, requantize_fixed_row(acc));
    t.table(requantize::S32_U8_FIXED, requantize_fixed_row(acc));
    t.table(rescale::S8_S8, rescale_row(q));
    t.table(rescale::U8_U8, rescale_row(q));
    t.table(pack::U8_U4, nibbles(q, 2, 1));
    t.table(pack::U4_U8, nibbles(q, 1, 2));
    t.table(pack::S4_S8, nibbles(q, 1, 2));
    t.table(convert::F32_F16, convert_row(x, 4, 2));
    t.table(convert::F32_F16_SATURATE, convert_row(x, 4, 2));
    t.table(convert::F32_BF16, convert_row(x, 4, 2));
    t.table(convert::F32_BF16_SATURATE, convert_row(x, 4, 2));
    t.table(convert::F16_F32, convert_row(f16, 2, 4));
    t.table(convert::BF16_F32, convert_row(bf16, 2, 4));
    t.table(convert::F32_F8E4M3FN, convert_row(x, 4, 1));
    t.table(convert::F32_F8E4M3FN_SATURATE, convert_row(x, 4, 1));
    t.table(convert::F32_F8E5M2, convert_row(x, 4, 1));
    t.table(convert::F32_F8E5M2_SATURATE, convert_row(x, 4, 1));
    t.table(convert::F8E4M3FN_F32, convert_row(q, 1, 4));
    t.table(convert::F8E5M2_F32, convert_row(q, 1, 4));
    t.table(reduce::MIN_MAX, min_max(x, 4));
    t.table(reduce::MIN_MAX_F16, min_max(f16, 2));
    t.table(reduce::MIN_MAX_BF16, min_max(bf16, 2));
    t.table(reduce::ROW_RANGES, ranges(x, 4));
    t.table(reduce::ROW_RANGES_F16, ranges(f16, 2));
    t.table(reduce::ROW_RANGES_BF16, ranges(bf16, 2));
    t.table(reduce::COLUMN_RANGES, ranges(x, 4));
    t.table(reduce::COLUMN_RANGES_F16, ranges(f16, 2));
    t.table(reduce::COLUMN_RANGES_BF16, ranges(bf16, 2));
    t.table(reduce::ABSMAX, absmax(x));
    t.table(CENSUS_F32, census(x));
    t.table(reduce::ROW_SUMS, row_sums(x));
    t.table(norm::SQUARE_SUMS, square_sums(x));
    t.table(norm::NORMALIZE, normalize(x));
    t.table(softmax::PEAKS, softmax_step(x));
    t.table(softmax::EXPS, softmax_step(x));
    t.table(softmax::EXP_SUMS, softmax_step(x));
    t.table(softmax::SOFTMAX, softmax_step(x));
    t.table(softmax::LOG_SOFTMAX, softmax_step(x));
    t.table(reduce::ROW_SUMS_S8, code_sums(q));
    t.table(reduce::ROW_SUMS_U8, code_sums(q));
    t.table(scale::S32_F32, scale_row(acc, x));
    t.table(scale::S32_F32_BLOCK, scale_block_row(acc, x));
    t.table(scale::S32_S8, scale_codes_row(acc, x));
    t.table(scale::S32_U8, scale_codes_row(acc, x));
    t.table(ADD, add(x));
    t.table(LOOKUP, lookup(q));
    t.table(pool::MAX_S8, maxima(q));
    t.table(pool::MAX_U8, maxima(q));
    t.table(pool::SUMS_S8, sums(q));
    t.table(pool::SUMS_U8, sums(q));
    t.table(binary::ADD_S8, binary_row(q, IntFormat::S8));
    t.table(binary::ADD_U8, binary_row(q, IntFormat::U8));
    t.table(binary::MULTIPLY_S8, binary_row(q, IntFormat::S8));
    t.table(binary::MULTIPLY_U8, binary_row(q, IntFormat::U8));
    t.table(binary::ADD_FIXED_S8, add_fixed(q));
    t.table(binary::ADD_FIXED_U8, add_fixed(q));
    t.table(binary::MULTIPLY_FIXED_S8, multiply_fixed(q));
    t.table(binary::MULTIPLY_FIXED_U8, multiply_fixed(q));
    for (table, function) in activate::TABLES {
        t.table(table, activation(function, x));
    }
    for format in Gguf::ALL {
        let (to, from) = block::gguf(format);
        if !to.is_empty() {
            t.table(to, to_gguf(format, x));
        }
        t.table(from, from_gguf(format, q));
    }
    for format in Mx::ALL {
        let (to, from) = block::mx(format);
        t.table(to, to_mx(format, x));
        t.table(from, from_mx(format, q));
    }
    t.table(block::F32_NVFP4, to_nvfp4(x));
    t.table(block::NVFP4_F32, from_nvfp4(q));

    // Products are `gemm.rs` and `real.rs`, and what only convolutions are made of is `--bench conv`.
    let elsewhere = ["gemm_", "decode_", "gather_", "depthwise_"];
    let in_layers = |op: &str| elsewhere.iter().any(|start| op.starts_with(start));
    let known = |op: &&str| t.timed.contains(op) || in_layers(op);
    let forgotten = fewbit::kernels::rows().map(|row| row.op).find(|op| !known(op));
    assert_eq!(forgotten, None, "no line here times this op of the registry");
}
