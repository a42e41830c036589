//! Ops that work element by element, on arrays that fit the first cache, the second, and none.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewbit::kernels::Rows;
use fewbit::kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit::kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit::kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit::kernels::reduce;
use fewbit::kernels::registry::{Row, bind};
use fewbit::kernels::requantize::{self, RequantizeArgs, RequantizeFn};
use fewbit::kernels::scale::{self, ScaleArgs};
use fewbit::scheme::QuantizeMode;
use fewbit_benches::{activations, codes, id};
use fewbit_testkit::limited;

const SIZES: [usize; 3] = [1 << 10, 1 << 16, 1 << 22];

/// Times all rows of a table: `run(kernel, n, dst)` makes `n` elements in `dst`; `bytes` is what an
/// element reads and writes.
fn table<F: Copy>(
    c: &mut Criterion,
    rows: &'static [Row<F>],
    bytes: usize,
    run: impl Fn(F, usize, &mut [u8]),
) {
    let portable = rows.last().and_then(|row| bind(row, limited())).expect("a portable row");
    let op = portable.name().trim_end_matches("_scalar");
    for n in SIZES {
        let mut want = vec![0; 4 * n];
        run(portable.run(), n, &mut want);
        for kernel in rows.iter().filter_map(|row| bind(row, limited())) {
            let mut dst = vec![0; 4 * n];
            run(kernel.run(), n, &mut dst);
            assert!(dst == want, "{} differs from {}", kernel.name(), portable.name());
            let mut group = c.benchmark_group(id(op, kernel.name()));
            group.throughput(Throughput::Bytes((n * bytes) as u64));
            group.bench_function(format!("n{n}"), |b| b.iter(|| run(kernel.run(), n, &mut dst)));
            group.finish();
        }
    }
}

fn quantize_row(x: &[f32]) -> impl Fn(QuantizeFn, usize, &mut [u8]) {
    move |run, n, dst| {
        let args = QuantizeArgs {
            src: x[..n].as_ptr(),
            src_stride: 1,
            dst: dst[..n].as_mut_ptr(),
            dst_stride: 1,
            n,
            scales: &0.03,
            zero_points: &3,
            param_step: 0,
            rows: Rows::ONE,
            mode: QuantizeMode::default(),
            clamp: (-128, 127),
        };
        // SAFETY: `n` values, `n` codes, one parameter.
        unsafe { run(&args) }
    }
}

fn dequantize_row(q: &[u8]) -> impl Fn(DequantizeFn, usize, &mut [u8]) {
    move |run, n, dst| {
        let args = DequantizeArgs {
            src: q[..n].as_ptr(),
            src_stride: 1,
            dst: dst[..4 * n].as_mut_ptr().cast(),
            dst_stride: 1,
            n,
            scales: &0.03,
            zero_points: &3,
            param_step: 0,
            rows: Rows::ONE,
        };
        // SAFETY: `n` codes, `n` values, one parameter.
        unsafe { run(&args) }
    }
}

fn requantize_row(acc: &[i32]) -> impl Fn(RequantizeFn, usize, &mut [u8]) {
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
        unsafe { run(&args) }
    }
}

fn convert_row(src: &[u8], from: usize, to: usize) -> impl Fn(ConvertFn, usize, &mut [u8]) {
    move |run, n, dst| {
        let args = ConvertArgs {
            src: src[..n * from].as_ptr(),
            src_stride: 1,
            dst: dst[..n * to].as_mut_ptr(),
            dst_stride: 1,
            n,
        };
        // SAFETY: `n` elements on both sides.
        unsafe { run(&args) }
    }
}

fn elementwise(c: &mut Criterion) {
    let largest = SIZES[SIZES.len() - 1];
    let x = activations(largest);
    let x_bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
    let acc: Vec<i32> = x.iter().map(|x| (x * 50_000.0) as i32).collect();
    let q = codes(2 * largest);

    table(c, quantize::F32_S8, 5, quantize_row(&x));
    table(c, quantize::F32_U8, 5, quantize_row(&x));
    table(c, dequantize::S8_F32, 5, dequantize_row(&q));
    table(c, dequantize::U8_F32, 5, dequantize_row(&q));
    table(c, requantize::S32_S8, 5, requantize_row(&acc));
    table(c, requantize::S32_U8, 5, requantize_row(&acc));
    table(c, convert::F32_F16, 6, convert_row(&x_bytes, 4, 2));
    table(c, convert::F32_BF16, 6, convert_row(&x_bytes, 4, 2));
    table(c, convert::F16_F32, 6, convert_row(&q, 2, 4));
    table(c, convert::BF16_F32, 6, convert_row(&q, 2, 4));
    table(c, convert::F32_F8E4M3FN, 5, convert_row(&x_bytes, 4, 1));
    table(c, convert::F8E4M3FN_F32, 5, convert_row(&q, 1, 4));
    table(c, reduce::MIN_MAX, 4, |run, n, dst| {
        // SAFETY: `n` values.
        let (min, max) = unsafe { run(x[..n].as_ptr(), 1, n) };
        dst[..4].copy_from_slice(&min.to_le_bytes());
        dst[4..8].copy_from_slice(&max.to_le_bytes());
    });
    table(c, scale::S32_F32, 12, |run, n, dst| {
        let args = ScaleArgs {
            src: acc[..n].as_ptr(),
            dst: dst[..4 * n].as_mut_ptr().cast(),
            dst_stride: 1,
            n,
            row_factor: 0.02,
            factors: x[..n].as_ptr(),
            bias: std::ptr::null(),
            relu: false,
        };
        // SAFETY: `n` sums, factors and results.
        unsafe { run(&args) }
    });
}

criterion_group!(benches, elementwise);
criterion_main!(benches);
