//! Tensors of every granularity through `fewbit::tensor`, on one thread:
//! `tensor_quantize/f32s8/avx512/per_row_4096x4096`. A case is a line of [`CASES`].

use criterion::{BenchmarkId, Criterion, Throughput};
use fewbit::Serial;
use fewbit::granularity::{Granularity, Layout};
use fewbit::kernels::quantize;
use fewbit::kernels::registry::best;
use fewbit::scheme::{IntFormat, ParamSpec, QuantizeMode};
use fewbit::simd::Supported;
use fewbit::tensor::{Reals, TensorParams, TensorQuant, code_bytes, param_count, quantize_dynamic};
use fewbit_benches::{Buffer, SCALE, Traffic, activations};
use fewbit_testkit::supported_sets;

use Granularity::{PerAxis, PerBlock, PerTensor};
use IntFormat::{S4, S8};

/// A tensor: its name, dimensions, granularity and formats.
type Case = (&'static str, &'static [usize], Granularity, &'static [IntFormat]);

const MATRIX: &[usize] = &[4096, 4096];

const CASES: [Case; 13] = [
    ("per_tensor_4096x4096", MATRIX, PerTensor, &[S8]),
    ("per_row_4096x4096", MATRIX, PerAxis { axis: 0 }, &[S8, S4]),
    ("per_row_128x4096", &[128, 4096], PerAxis { axis: 0 }, &[S8]),
    ("per_column_4096x4096", MATRIX, PerAxis { axis: 1 }, &[S8]),
    ("per_channel_nchw_8x64x56x56", &[8, 64, 56, 56], PerAxis { axis: 1 }, &[S8]),
    ("per_channel_nhwc_8x56x56x64", &[8, 56, 56, 64], PerAxis { axis: 3 }, &[S8]),
    ("per_channel_nchw_8x3x56x56", &[8, 3, 56, 56], PerAxis { axis: 1 }, &[S8]),
    ("per_channel_nhwc_8x56x56x3", &[8, 56, 56, 3], PerAxis { axis: 3 }, &[S8]),
    ("per_block_16_4096x4096", MATRIX, PerBlock { axis: 1, block: 16 }, &[S8]),
    ("per_block_32_4096x4096", MATRIX, PerBlock { axis: 1, block: 32 }, &[S8, S4]),
    ("per_block_64_4096x4096", MATRIX, PerBlock { axis: 1, block: 64 }, &[S8]),
    ("per_block_256_4096x4096", MATRIX, PerBlock { axis: 1, block: 256 }, &[S8]),
    // Blocks along the outer axis, as for weights stored input by output.
    ("per_block_32_rows_4096x4096", MATRIX, PerBlock { axis: 0, block: 32 }, &[S8]),
];

/// The sets of features that give the element-by-element ops different kernels, with those kernels'
/// name.
fn sets() -> Vec<(String, Supported)> {
    let mut sets: Vec<(String, Supported)> = Vec::new();
    for set in supported_sets() {
        let Some(kernel) = best(quantize::F32_S8, set) else { continue };
        let name = kernel.name().trim_start_matches("quantize_f32s8_").to_string();
        if sets.iter().all(|(known, _)| *known != name) {
            sets.push((name, set));
        }
    }
    sets
}

/// Buffers of the largest case.
struct Data {
    x: Buffer,
    codes: Buffer,
    back: Buffer,
    scales: Vec<f32>,
}

fn data() -> Data {
    let sizes = CASES.iter().map(|(_, dims, ..)| dims.iter().product::<usize>());
    let n = sizes.max().unwrap_or(0);
    let (x, codes, back) = (activations(n), Buffer::new(n), Buffer::new(4 * n));
    Data { x, codes, back, scales: vec![SCALE; n] }
}

pub fn bench(c: &mut Criterion) {
    let mut data = data();
    for (name, dims, granularity, formats) in CASES {
        for &format in formats {
            let code = if format == S4 { "s4" } else { "s8" };
            let per_byte = format.codes_per_byte();
            let x_layout = Layout::contiguous(dims).expect(name);
            let q_layout = Layout::packed(dims, per_byte).expect(name);
            let mode = QuantizeMode::default();
            let quant = TensorQuant { params: ParamSpec::symmetric(format), granularity, mode };
            let count = param_count(&x_layout, &quant).expect(name);
            let (n, bytes) = (x_layout.len(), code_bytes(&q_layout, format).expect(name));
            for (kernel, set) in sets() {
                // All work on what `data` holds by then: scales as chosen, or `SCALE` before.
                let mut time = |op: &str, types: String, run: &dyn Fn(&mut Data)| {
                    let traffic = Traffic::of(op, &types).expect(&types);
                    let mut group = c.benchmark_group(format!("{op}/{types}/{kernel}"));
                    group.throughput(Throughput::Bytes(traffic.bytes(n))).sample_size(10);
                    let id = BenchmarkId::from_parameter(name);
                    group.bench_function(id, |b| {
                        b.iter(|| run(&mut data));
                    });
                    group.finish();
                };
                let choose = |Data { x, scales, .. }: &mut Data| {
                    let (x, scales) = (&x.floats()[..n], &mut scales[..count]);
                    quant.choose_params(x, &x_layout, scales, None, set).expect(name);
                };
                let quantize_it = |Data { x, codes, scales, .. }: &mut Data| {
                    let params = TensorParams { scales: &scales[..count], zero_points: &[] };
                    let (x, q) = (&x.floats()[..n], &mut codes.bytes_mut()[..bytes]);
                    quant.quantize(x, &x_layout, &params, q, &q_layout, set).expect(name);
                };
                let dequantize = |Data { codes, back, scales, .. }: &mut Data| {
                    let params = TensorParams { scales: &scales[..count], zero_points: &[] };
                    let (q, x) = (&codes.bytes()[..bytes], &mut back.floats_mut()[..n]);
                    quant.dequantize(q, &q_layout, &params, x, &x_layout, set).expect(name);
                };
                if format == S8 {
                    time("tensor_choose_params", "f32".into(), &choose);
                }
                // Parameters from the data, then codes; counted as if the data were read once.
                time(
                    "tensor_dynamic",
                    format!("f32{code}"),
                    &|Data { x, codes, scales, .. }| {
                        let (x, q) = (Reals::of(&x.floats()[..n]), codes.bytes_mut().as_mut_ptr());
                        let places = (&mut scales[..count], None);
                        let (x, q) = ((x, &x_layout), (q, &q_layout));
                        // SAFETY: the buffers cover the layouts.
                        unsafe { quantize_dynamic(x, &quant, places, q, &Serial, set) }
                            .expect(name);
                    },
                );
                time("tensor_quantize", format!("f32{code}"), &quantize_it);
                time("tensor_dequantize", format!("{code}f32"), &dequantize);
            }
        }
    }
}
