//! Products of real numbers: each tile alone, on operands that stay in the first cache, and whole layers with f32, f16 and
//! bf16 weights. Their limit is `peak/fma_f32`; of one row, the memory's. And what decodes panels of codes, on a panel that stays
//! in the first cache, and layers whose weights are codes and blocks.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewbit::kernels::real_gemm::{
    Coding, DecodeArgs, RealTileArgs, pack_codes, pack_rhs, select, tiles,
};
use fewbit::kernels::registry::bind;
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::block::gguf::Gguf;
use fewbit::scheme::block::mx::Mx;
use fewbit::scheme::{IntFormat, RealFormat, dot, float16};
use fewbit::{
    Activation, Linear, LinearLayout, Output, RealArithmetic, RealLinearDesc, RealWeights,
    Residual, Serial, Weights,
};
use fewbit_benches::{Layer, activations, id, linear_shapes};
use fewbit_testkit::{limited, supported_sets};

/// Weights' formats, with the names of their kernels' ops.
const FORMATS: [(&str, RealFormat); 3] = [
    ("gemm_f32", RealFormat::F32),
    ("gemm_f16f32", RealFormat::F16),
    ("gemm_bf16f32", RealFormat::Bf16),
];

fn bits_of(x: f32, format: RealFormat) -> u32 {
    match format {
        RealFormat::F32 => x.to_bits(),
        RealFormat::F16 => float16::f32_to_f16(x).into(),
        RealFormat::Bf16 => float16::f32_to_bf16(x).into(),
    }
}

fn value(bits: u32, format: RealFormat) -> f32 {
    match format {
        RealFormat::F32 => f32::from_bits(bits),
        RealFormat::F16 => float16::f16_to_f32(bits as u16),
        RealFormat::Bf16 => float16::bf16_to_f32(bits as u16),
    }
}

fn tile(c: &mut Criterion) {
    const K: usize = 256;
    let numbers = activations(32 * K + 12 * K);
    let (lhs, weights) = numbers.floats().split_at(12 * K);
    for (op, format) in FORMATS {
        for tile in tiles(format) {
            let Some(bound) = bind(&tile.row, limited()) else { continue };
            let (mr, nr) = (tile.mr, tile.nr);
            let mut panel = vec![0u32; K * nr];
            let weight = |column: usize, i: usize| bits_of(weights[column * K + i], format);
            pack_rhs(weight, (nr, K), (nr, tile.kr), &mut panel);
            let size = format.size();
            let panel: Vec<u8> =
                panel.iter().flat_map(|bits| bits.to_ne_bytes()[..size].to_vec()).collect();
            let mut dst = vec![0f32; mr * nr];
            let args = RealTileArgs {
                lhs: lhs.as_ptr(),
                lhs_row_stride: K,
                rhs: panel.as_ptr(),
                rhs_panel_stride: panel.len(),
                panels: 1,
                k: K,
                rows: mr,
                bias: std::ptr::null(),
                relu: false,
                resume: false,
                dst: dst.as_mut_ptr(),
                dst_stride: nr,
            };
            // SAFETY: rows and a panel of K numbers, and a tile of results.
            let mut run = || unsafe { bound.run()(&args) };
            run();
            for (at, &y) in dst.iter().enumerate() {
                let (row, column) = (at / nr, at % nr);
                let pairs = (0..K).map(|i| (lhs[row * K + i], value(weight(column, i), format)));
                assert_eq!(y, dot(pairs), "{} at {row}, {column}", bound.name());
            }
            let mut group = c.benchmark_group(id(op, bound.name()));
            group.throughput(Throughput::Elements((2 * mr * nr * K) as u64));
            group.bench_function(format!("tile_k{K}"), |b| b.iter(&mut run));
            group.finish();
        }
    }
}

fn linear(c: &mut Criterion) {
    for shape in linear_shapes() {
        let Layer::Linear { m, n, k } = shape.layer else { continue };
        let (x, w) = (activations(m * k), activations(n * k));
        let (x, w) = (&x.floats()[..m * k], &w.floats()[..n * k]);
        for (op, format) in FORMATS {
            let mut want: Vec<f32> = Vec::new();
            let mut seen = Vec::new();
            for set in supported_sets() {
                let kernel = select(format, set.set()).expect("a kernel").row.name;
                // Portable code is without a fused instruction, and a hundred times slower.
                if seen.contains(&kernel) || kernel.ends_with("_scalar") {
                    continue;
                }
                seen.push(kernel);
                let mut group = c.benchmark_group(id(op, kernel).replace("gemm", "linear"));
                group.throughput(Throughput::Elements((2 * m * n * k) as u64));
                // As for the layers of codes: a filter leaves out the work of what it leaves out.
                group.bench_function(shape.name, |b| {
                    let half: Vec<u16> = match format {
                        RealFormat::F32 => Vec::new(),
                        _ => w.iter().map(|&w| bits_of(w, format) as u16).collect(),
                    };
                    let desc = RealLinearDesc {
                        in_features: k,
                        out_features: n,
                        weights: match format {
                            RealFormat::F32 => RealWeights::F32(w),
                            RealFormat::F16 => RealWeights::F16(&half),
                            RealFormat::Bf16 => RealWeights::Bf16(&half),
                        },
                        layout: LinearLayout::Nk,
                        weight_stride: 0,
                        input: RealFormat::F32,
                        bias: &[],
                        output: Output::Real(RealFormat::F32),
                        activation: Activation::None,
                        residual: Residual::None,
                        matrices: 1,
                        matrix_stride: 0,
                        arithmetic: RealArithmetic::Chain,
                    };
                    let plan =
                        Linear::create_real(&desc, set, &Allocator::DEFAULT).expect("a plan");
                    assert_eq!(plan.kernel_name(), kernel);
                    let size = plan.workspace(m, 1).expect("a workspace").size;
                    let mut memory = vec![0u8; size + ALIGNMENT];
                    let skip = memory.as_ptr().align_offset(ALIGNMENT);
                    let memory = &mut memory[skip..skip + size];
                    let mut y = vec![0f32; m * n];
                    b.iter(|| plan.run(m, x, memory, &Serial, &mut y).expect("a run"));
                    if want.is_empty() {
                        want.clone_from(&y);
                    }
                    assert!(want == y, "{kernel} differs");
                });
                group.finish();
            }
        }
    }
}

/// Panels of codes of 256 steps of k become f32; the throughput is that of the numbers.
fn decode(c: &mut Criterion) {
    const K: usize = 256;
    for coding in Coding::ALL {
        for row in coding.table() {
            let Some(bound) = bind(row, limited()) else { continue };
            let tile = tiles(RealFormat::F32).iter().find(|tile| tile.row.required == row.required);
            let nr = tile.expect("a tile of the same set").nr;
            let mut words = vec![0u32; coding.panel_bytes(K, 32, nr) / 4];
            // SAFETY: the bytes of the words.
            let panel = unsafe {
                std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), 4 * words.len())
            };
            let of = (|c: usize, i: usize| (c * 37 + i * 11) as u8, |_, _| [0.5, 1.0]);
            pack_codes(coding, of, (nr, K, 32), nr, panel);
            let mut dst = vec![0f32; K * nr];
            let args = DecodeArgs {
                codes: panel[coding.factor_bytes(K, 32, nr)..].as_ptr(),
                factors: panel.as_ptr().cast(),
                first: 32,
                block: 32,
                k: K,
                nr,
                lhs: std::ptr::null(),
                panels: 1,
                panel_stride: 0,
                dst: dst.as_mut_ptr(),
            };
            let op = fewbit::kernels::rows().find(|of| of.name == row.name).expect("a row").op;
            let mut group = c.benchmark_group(id(op, bound.name()));
            group.throughput(Throughput::Elements((K * nr) as u64));
            // SAFETY: a panel, and room for its numbers.
            group.bench_function("panel_k256", |b| b.iter(|| unsafe { bound.run()(&args) }));
            group.finish();
        }
    }
}

/// Layers with weights of each kind, 4096 squared: of one row, and of 32.
fn weight_only(c: &mut Criterion) {
    const N: usize = 4096;
    let bytes: Vec<u8> = (0..N * N / 8 * 9).map(|i| ((i * 2654435761) >> 7) as u8 & 0x3F).collect();
    let block_scales = vec![120u8; N * N / 16];
    let reals = vec![0.01f32; N * N / 32];
    let mut kinds: Vec<(&str, f64, RealWeights)> = [
        ("q8_0", 8.5, Gguf::Q8_0),
        ("q4_0", 4.5, Gguf::Q4_0),
        ("q4_k", 4.5, Gguf::Q4K),
        ("q5_k", 5.5, Gguf::Q5K),
        ("q6_k", 6.5625, Gguf::Q6K),
    ]
    .map(|(name, bits, format)| (name, bits, RealWeights::Gguf(format, &bytes)))
    .to_vec();
    for (name, bits, format) in [("mxfp4", 4.25, Mx::Fp4E2m1), ("mxfp8e4m3", 8.25, Mx::Fp8E4m3)] {
        let weights = RealWeights::Mx { format, scales: &block_scales, elements: &bytes };
        kinds.push((name, bits, weights));
    }
    kinds.push((
        "s4_block32",
        5.0,
        RealWeights::Codes(Weights {
            format: IntFormat::S4,
            codes: &bytes,
            scales: &reals,
            zero_points: &[],
            block: 32,
            multipliers: &[],
            shifts: &[],
        }),
    ));
    let x = activations(32 * N);
    for (name, bits, weights) in kinds {
        for m in [1, 32] {
            let mut group = c.benchmark_group(format!("linear_weight_only/{name}"));
            group.throughput(Throughput::Elements((2 * m * N * N) as u64));
            // The bytes that a file has for the weights, for their share of the memory's speed.
            let mib = bits / 8.0 * (N * N) as f64 / f64::from(1 << 20);
            group.bench_function(format!("{m}x4096x4096_{mib:.1}MiB"), |b| {
                let desc = RealLinearDesc {
                    in_features: N,
                    out_features: N,
                    weights,
                    layout: LinearLayout::Nk,
                    weight_stride: 0,
                    input: RealFormat::F32,
                    bias: &[],
                    output: Output::Real(RealFormat::F32),
                    activation: Activation::None,
                    residual: Residual::None,
                    matrices: 1,
                    matrix_stride: 0,
                    arithmetic: RealArithmetic::Chain,
                };
                let plan = Linear::create_real(&desc, limited(), &Allocator::DEFAULT);
                let plan = plan.expect("a plan");
                let size = plan.workspace(m, 1).expect("a workspace").size;
                let mut memory = vec![0u8; size + ALIGNMENT];
                let skip = memory.as_ptr().align_offset(ALIGNMENT);
                let memory = &mut memory[skip..skip + size];
                let mut y = vec![0f32; m * N];
                b.iter(|| {
                    plan.run(m, &x.floats()[..m * N], memory, &Serial, &mut y).expect("a run")
                });
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = tile, decode, linear, weight_only
}
criterion_main!(benches);
