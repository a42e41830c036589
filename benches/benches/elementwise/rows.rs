//! Functions of rows through `fewbit::rowwise`, on one thread: `softmax/f32f32/avx2/128x1024`. A case is a line of
//! [`CASES`]; all types of [`TYPES`] are timed with each.

use criterion::{BenchmarkId, Criterion, Throughput};
use fewbit::Code;
use fewbit::Serial;
use fewbit::granularity::Layout;
use fewbit::kernels::registry::best;
use fewbit::kernels::softmax;
use fewbit::rowwise::{Element, Norm, RowOp, rowwise};
use fewbit::scheme::QuantParams;
use fewbit::simd::Supported;
use fewbit_benches::{Buffer, SCALE, Traffic, activations};
use fewbit_testkit::supported_sets;

/// A function's name, rows, and elements of a row: an attention's scores, a transformer's hidden states, a classifier's end.
const CASES: [(&str, usize, usize); 6] = [
    ("softmax", 128, 1024),
    ("log_softmax", 128, 1024),
    ("softmax", 128, 10),
    ("layer_norm", 128, 768),
    ("rms_norm", 128, 768),
    ("rms_norm", 128, 4096),
];

const CODES: QuantParams = QuantParams { scale: SCALE, zero_point: 0 };

/// What is read and what is written.
const TYPES: [(&str, Element, Element); 5] = [
    ("f32f32", Element::F32, Element::F32),
    ("f16f16", Element::F16, Element::F16),
    ("bf16bf16", Element::Bf16, Element::Bf16),
    ("f32s8", Element::F32, Element::Codes(Code::S8, CODES)),
    ("s8s8", Element::Codes(Code::S8, CODES), Element::Codes(Code::S8, CODES)),
];

/// The sets of features that have kernels of their own, with their name.
fn sets() -> Vec<(String, Supported)> {
    let mut sets: Vec<(String, Supported)> = Vec::new();
    for set in supported_sets() {
        let Some(kernel) = best(softmax::SOFTMAX, set) else { continue };
        let name = kernel.name().trim_start_matches("softmax_f32_").to_string();
        if sets.iter().all(|(known, _)| *known != name) {
            sets.push((name, set));
        }
    }
    sets
}

pub fn bench(c: &mut Criterion) {
    let longest = CASES.iter().map(|(_, rows, n)| rows * n).max().unwrap_or(0);
    let x = activations(longest);
    // Numbers of 16 bits that are finite, and codes: the upper bytes of f32 give both.
    let halves: Vec<u8> = x
        .floats()
        .iter()
        .flat_map(|x| (x.to_bits() >> 16 & 0xBFFF).to_ne_bytes().into_iter().take(2))
        .collect();
    let halves = Buffer::repeated(&halves, 2 * longest);
    let mut y = Buffer::new(4 * longest);
    let gamma = x.floats();
    for (name, rows, n) in CASES {
        let norm = Norm { gamma: Some(&gamma[..n]), beta: Some(&gamma[..n]), epsilon: 1e-5 };
        let op = match name {
            "softmax" => RowOp::Softmax,
            "log_softmax" => RowOp::LogSoftmax,
            "layer_norm" => RowOp::LayerNorm(norm),
            _ => RowOp::RmsNorm(norm),
        };
        let layout = Layout::contiguous(&[rows, n]).expect(name);
        for (types, from, to) in TYPES {
            let src = if from == Element::F32 { x.bytes() } else { halves.bytes() }.as_ptr();
            let traffic = Traffic::of(name, types).expect(types);
            for (kernel, set) in sets() {
                let mut group = c.benchmark_group(format!("{name}/{types}/{kernel}"));
                group.throughput(Throughput::Bytes(traffic.bytes(rows * n)));
                let dst = y.bytes_mut().as_mut_ptr();
                group.bench_function(BenchmarkId::from_parameter(format!("{rows}x{n}")), |b| {
                    b.iter(|| {
                        let (x, y) = ((from, src, &layout), (to, dst, &layout));
                        // SAFETY: the buffers hold the tensors.
                        unsafe { rowwise(&op, x, y, &Serial, set) }.expect(name);
                    });
                });
                group.finish();
            }
        }
    }
}
