//! int8 products: each tile alone, on operands that stay in the first cache, and whole layers with the
//! kernel that each instruction set gives.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewbit::kernels::gemm::{TILES, TileArgs, pack_lhs, pack_rhs};
use fewbit::kernels::registry::bind;
use fewbit::memory::{ALIGNMENT, Allocator, Plain};
use fewbit::scheme::{IntFormat, ParamSpec, QuantParams, RealFormat::F32};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, DynamicSpec, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Residual, Serial, Weights,
};
use fewbit_benches::{codes, id, shapes};
use fewbit_testkit::{limited, supported_sets};

const OP: &str = "gemm_s8s32";
const INPUT: Input = Input::Codes(Code::U8, QuantParams { scale: 0.02, zero_point: 120 });

/// The plans' kernels by set of features, each once, the portable one first.
fn sets() -> Vec<Supported> {
    let mut seen = Vec::new();
    let mut sets = supported_sets();
    sets.retain(|set| {
        let tile = TILES.iter().find(|tile| set.has(tile.row.required)).map(|tile| tile.row.name);
        let new = !seen.contains(&tile);
        seen.push(tile);
        new
    });
    sets
}

/// Memory aligned for workspaces.
fn workspace(size: usize) -> (Vec<u8>, usize) {
    let memory = vec![0u8; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    (memory, skip)
}

fn tiles(c: &mut Criterion) {
    const K: usize = 256;
    for tile in TILES {
        let Some(bound) = bind(&tile.row, limited()) else { continue };
        let (mr, nr, kr) = (tile.mr, tile.nr, tile.lhs.kr());
        let (lhs, rhs) = (codes(mr * K), codes(nr * K));
        let mut block = vec![0u8; K / kr * mr * 4];
        let row = |row: usize| lhs[row * K..].as_ptr();
        // SAFETY: K codes a row, into a block of `mr` rows.
        unsafe { pack_lhs(row, mr, K, false, tile.lhs, block.as_mut_ptr()) };
        let (mut panel, mut sums) = (vec![0i8; nr * K], vec![0i32; nr]);
        let code = |column: usize, i: usize| i32::from(rhs[column * K + i] as i8);
        pack_rhs(code, nr, K, nr, tile.lhs, &mut panel, &mut sums);
        let mut dst = vec![0i32; mr * nr];
        // All zero points are 0, so Σw plays no part but for the shift of lhs codes.
        let shift = fewbit::kernels::gemm::code_shift_lhs(false, tile.lhs);
        let start: Vec<i32> = sums.iter().map(|sum| sum.wrapping_mul(-shift)).collect();
        let args = TileArgs {
            lhs: block.as_ptr(),
            lhs_row_stride: 4,
            lhs_group_stride: 4 * mr,
            rhs: panel.as_ptr(),
            k_groups: K / kr,
            k_rest: 0,
            rows: mr,
            start: start.as_ptr(),
            lhs_zero: std::ptr::null(),
            rhs_fold: std::ptr::null(),
            rhs_zero: std::ptr::null(),
            lhs_sum: std::ptr::null(),
            dst: dst.as_mut_ptr(),
            dst_stride: nr,
        };
        // SAFETY: a packed block and panel, their parameters, and a tile of sums.
        let mut run = || unsafe { bound.run()(&args) };
        run();
        for (at, &sum) in dst.iter().enumerate() {
            let (row, column) = (at / nr, at % nr);
            let products = (0..K).map(|i| i32::from(lhs[row * K + i] as i8) * code(column, i));
            assert_eq!(sum, products.sum::<i32>(), "{} at {row}, {column}", bound.name());
        }
        let mut group = c.benchmark_group(id(OP, bound.name()));
        group.throughput(Throughput::Elements((2 * mr * nr * K) as u64));
        group.bench_function(format!("tile_k{K}"), |b| b.iter(&mut run));
        group.finish();
    }
}

/// What a layer reads and writes, by the name of its benchmark.
fn kinds() -> [(&'static str, Input, Output); 4] {
    let spec = ParamSpec::symmetric(IntFormat::S8);
    let dynamic = DynamicSpec { real: F32, code: Code::S8, spec };
    let codes = Output::Codes(Code::S8, QuantParams { scale: 30.0, zero_point: 3 });
    [
        ("linear_u8s32", INPUT, Output::S32),
        ("linear_u8s8", INPUT, codes),
        ("linear_u8f32", INPUT, Output::Real(F32)),
        ("linear_f32f32", Input::DynamicPerRow(dynamic), Output::Real(F32)),
    ]
}

fn linear(c: &mut Criterion) {
    for shape in shapes(include_str!("../shapes/linear.txt"), 3) {
        let [m, n, k] = shape.numbers[..] else { continue };
        let (x, w) = (codes(m * k), codes(n * k));
        let reals: Vec<f32> = x.iter().map(|&code| f32::from(code as i8) * 0.01).collect();
        for (op, input, output) in kinds() {
            let desc = LinearDesc {
                in_features: k,
                out_features: n,
                weights: Weights {
                    code: Code::S8,
                    codes: &w,
                    scales: &[0.01],
                    zero_points: &[],
                    block: 0,
                    multipliers: &[],
                    shifts: &[],
                },
                layout: LinearLayout::Nk,
                weight_stride: 0,
                input,
                bias: Bias::None,
                output,
                activation: Activation::None,
                activation_mode: ActivationMode::Float,
                residual: Residual::None,
                matrices: 1,
                matrix_stride: 0,
            };
            let mut want = Vec::new();
            for set in sets() {
                let plan = Linear::create(&desc, set, &Allocator::DEFAULT).expect("a plan");
                let mut group =
                    c.benchmark_group(id(op, plan.kernel_name().trim_start_matches("gemm_s8s32_")));
                group.throughput(Throughput::Elements((2 * m * n * k) as u64));
                // Closures, so that a filter leaves out the work of what it leaves out.
                group.bench_function(shape.name, |b| {
                    let size = plan.workspace(m, 1).expect("a workspace").size;
                    let (mut memory, skip) = workspace(size);
                    let memory = &mut memory[skip..skip + size];
                    macro_rules! run {
                        ($x:expr, $y:expr) => {{
                            let mut y = $y;
                            b.iter(|| plan.run(m, $x, memory, &Serial, &mut y).expect("a run"));
                            check(&mut want, &y, plan.kernel_name());
                        }};
                    }
                    match (input, output) {
                        (Input::Codes(..), Output::S32) => run!(&x, vec![0i32; m * n]),
                        (Input::Codes(..), Output::Codes(..)) => run!(&x, vec![0u8; m * n]),
                        (Input::Codes(..), _) => run!(&x, vec![0f32; m * n]),
                        _ => run!(&reals, vec![0f32; m * n]),
                    }
                });
                group.finish();
            }
        }
    }
}

fn conv(c: &mut Criterion) {
    for shape in shapes(include_str!("../shapes/conv.txt"), 7) {
        let [size, inputs, outputs, kernel, stride, groups, _] = shape.numbers[..] else {
            continue;
        };
        let pad = kernel / 2;
        let axis = ConvAxis { size, kernel, stride, dilation: 1, pad_begin: pad, pad_end: pad };
        let taps = kernel * kernel * inputs / groups;
        let (x, w) = (codes(size * size * inputs), codes(outputs * taps));
        let desc = ConvDesc {
            in_channels: inputs,
            out_channels: outputs,
            groups,
            axes: [ConvAxis::NONE, axis, axis],
            layout: ImageLayout::Nhwc,
            filter_layout: FilterLayout::Ohwi,
            weights: Weights {
                code: Code::S8,
                codes: &w,
                scales: &[0.01],
                zero_points: &[],
                block: 0,
                multipliers: &[],
                shifts: &[],
            },
            input: INPUT,
            bias: Bias::None,
            output: Output::Real(F32),
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
        };
        let mut want = Vec::new();
        for set in sets() {
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT).expect("a plan");
            let operations = 2 * plan.image_elements().1 * taps;
            let kernel_id = id(OP, plan.kernel_name()).replace("gemm", "conv");
            let mut group = c.benchmark_group(kernel_id);
            group.throughput(Throughput::Elements(operations as u64));
            // As above: a filter leaves out the work of what it leaves out.
            group.bench_function(shape.name, |b| {
                let size = plan.workspace(1, 1).expect("a workspace").size;
                let (mut memory, skip) = workspace(size);
                let memory = &mut memory[skip..skip + size];
                let mut y = vec![0f32; plan.image_elements().1];
                b.iter(|| plan.run(1, &x, memory, &Serial, &mut y).expect("a run"));
                check(&mut want, &y, plan.kernel_name());
            });
            group.finish();
        }
    }
}

/// Demands that a plan's result is that of the plans before it, bit for bit.
fn check<T: Plain>(want: &mut Vec<u8>, y: &[T], kernel: &str) {
    // SAFETY: plain numbers without padding.
    let bytes = unsafe { std::slice::from_raw_parts(y.as_ptr().cast(), size_of_val(y)) };
    if want.is_empty() {
        want.extend_from_slice(bytes);
    } else {
        assert!(want == bytes, "{kernel} differs");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = tiles, linear, conv
}
criterion_main!(benches);
