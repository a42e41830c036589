//! int8 products: each tile alone, on operands that stay in the first cache, and whole layers with the
//! kernel that each instruction set gives.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewbit::kernels::gemm::{RhsForm, TILES, Tile, TileArgs, pack_lhs, pack_rhs, select};
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
        let group_bytes = tile.lhs.group_bytes();
        let (lhs, rhs) = (codes(mr * K), codes(nr * K));
        let mut block = vec![0u8; K / kr * mr * group_bytes];
        let row = |row: usize| lhs[row * K..].as_ptr();
        // SAFETY: K codes a row, into a block of `mr` rows.
        unsafe { pack_lhs(row, mr, K, false, tile.lhs, block.as_mut_ptr()) };
        let (mut panel, mut sums) = (vec![0i8; nr * K], vec![0i32; nr]);
        let code = |column: usize, i: usize| i32::from(rhs[column * K + i] as i8);
        pack_rhs(code, nr, K, tile, &mut panel, &mut sums);
        let mut dst = vec![0i32; mr * nr];
        // All zero points are 0, so Σw plays no part but for the shift of lhs codes.
        let shift = fewbit::kernels::gemm::code_shift_lhs(false, tile.lhs);
        let start: Vec<i32> = sums.iter().map(|sum| sum.wrapping_mul(-shift)).collect();
        let args = TileArgs {
            lhs: block.as_ptr(),
            lhs_row_stride: group_bytes,
            lhs_group_stride: group_bytes * mr,
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
                let kernel = select(set.set(), n).expect("a kernel").row.name;
                let mut group = c.benchmark_group(id(op, kernel.trim_start_matches("gemm_s8s32_")));
                group.throughput(Throughput::Elements((2 * m * n * k) as u64));
                // Plans are made where they are timed, so that a filter leaves out the work of what it
                // leaves out.
                let mut plan = None;
                group.bench_function(shape.name, |b| {
                    let plan = plan.get_or_insert_with(|| {
                        Linear::create(&desc, set, &Allocator::DEFAULT).expect("a plan")
                    });
                    assert_eq!(plan.kernel_name(), kernel);
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

/// Weights that no cache holds, as they are when a network larger than the caches comes round again: plans of the
/// same layer in turns.
fn cold(c: &mut Criterion) {
    const PLANS: usize = 5;
    const NAMES: [&str; 3] = ["rows_1x4096x4096", "rows_4x4096x4096", "rows_16x4096x4096"];
    for shape in shapes(include_str!("../shapes/linear.txt"), 3) {
        let [m, n, k] = shape.numbers[..] else { continue };
        if !NAMES.contains(&shape.name) {
            continue;
        }
        let (x, w) = (codes(m * k), codes(n * k));
        let desc = LinearDesc {
            matrices: 1,
            matrix_stride: 0,
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
            input: INPUT,
            bias: Bias::None,
            output: Output::S32,
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
        };
        let set = limited();
        let kernel = select(set.set(), n).expect("a kernel").row.name;
        let mut group = c.benchmark_group(id(OP, kernel).replace("gemm", "linear_cold"));
        group.throughput(Throughput::Elements((2 * m * n * k) as u64));
        let mut plans = Vec::new();
        group.bench_function(shape.name, |b| {
            while plans.len() < PLANS {
                plans.push(Linear::create(&desc, set, &Allocator::DEFAULT).expect("a plan"));
            }
            let size = plans[0].workspace(m, 1).expect("a workspace").size;
            let (mut memory, skip) = workspace(size);
            let memory = &mut memory[skip..skip + size];
            let (mut y, mut turn) = (vec![0i32; m * n], 0);
            b.iter(|| {
                turn = (turn + 1) % PLANS;
                plans[turn].run(m, &x, memory, &Serial, &mut y).expect("a run")
            });
        });
        group.finish();
    }
}

/// Packing of the lhs alone: a block of mr rows.
fn pack(c: &mut Criterion) {
    const K: usize = 1024;
    for tile in TILES.iter().filter(|tile| limited().has(tile.row.required)) {
        let lhs = codes(tile.mr * K);
        let mut block = vec![0u8; K / tile.lhs.kr() * tile.mr * tile.lhs.group_bytes()];
        let mut group = c.benchmark_group(id(OP, tile.row.name).replace("gemm", "gemm_pack"));
        group.throughput(Throughput::Elements((tile.mr * K) as u64));
        group.bench_function(format!("k{K}"), |b| {
            let row = |row: usize| lhs[row * K..].as_ptr();
            // SAFETY: K codes a row, into a block of `mr` rows.
            b.iter(|| unsafe { pack_lhs(row, tile.mr, K, true, tile.lhs, block.as_mut_ptr()) });
        });
        group.finish();
    }
}

/// What the chosen kernel must reach of the best.
const NEAR: f64 = 0.95;

/// Whether the kernel that is chosen for a shape is the fastest: every row that the CPU can run multiplies the
/// shape's blocks with its panels, operands packed, in turns; the chosen one must reach 95 % of the best. Which rows
/// there are to choose from depends on the CPU; with one instruction set it is those of other widths.
fn choice(_: &mut Criterion) {
    if std::env::args().skip(1).any(|arg| !arg.starts_with('-') && arg != "choice") {
        return;
    }
    let mut slow = 0;
    for [m, n, k] in
        [[64, 64, 64], [7, 31, 129], [1, 1024, 1024], [4, 1024, 1024], [96, 8, 512], [96, 512, 512]]
    {
        let chosen = select(limited().set(), n).expect("a kernel").row.name;
        let mut times: Vec<(f64, &str)> = TILES
            .iter()
            .filter_map(|tile| Some((tile_time(tile, [m, n, k])?, tile.row.name)))
            .collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let time = |name| times.iter().find(|row| row.1 == name).map_or(f64::NAN, |row| row.0);
        let (best, share) = (times[0], times[0].0 / time(chosen));
        let verdict = if share >= NEAR { "" } else { "   <-- MORE THAN 5 % FROM THE BEST" };
        slow += usize::from(share < NEAR);
        println!("choice {m}x{n}x{k}: {chosen} at {share:.3} of the best, {}{verdict}", best.1);
    }
    assert_eq!(slow, 0, "kernels chosen are not the best");
}

/// The best of many times, in seconds, that a tile needs for all of a product; `None` if the CPU lacks it.
fn tile_time(tile: &'static Tile, [m, n, k]: [usize; 3]) -> Option<f64> {
    let bound = bind(&tile.row, limited())?;
    let groups = k.div_ceil(tile.lhs.kr());
    let block = groups * tile.lhs.group_bytes();
    let (lhs, panels) = (codes(m * block), n.div_ceil(tile.nr));
    let panel = groups * tile.nr * tile.lhs.kr();
    let rhs: Vec<i8> = codes(panels * panel).into_iter().map(|code| code as i8).collect();
    let start = vec![0i32; tile.nr];
    let mut dst = vec![0i32; tile.mr * tile.nr];
    let null = std::ptr::null();
    let mut best = f64::MAX;
    for _ in 0..200 {
        let begin = std::time::Instant::now();
        for rhs in rhs.chunks_exact(panel) {
            for first in (0..m).step_by(tile.mr) {
                let rows = tile.mr.min(m - first);
                // SAFETY: a packed block and panel, and a tile of sums.
                unsafe {
                    bound.run()(&TileArgs {
                        lhs: lhs[first * block..].as_ptr(),
                        lhs_row_stride: tile.lhs.group_bytes(),
                        lhs_group_stride: tile.lhs.group_bytes() * rows,
                        rhs: rhs.as_ptr(),
                        k_groups: groups,
                        k_rest: 0,
                        rows,
                        start: start.as_ptr(),
                        lhs_zero: null,
                        rhs_fold: null,
                        rhs_zero: null,
                        lhs_sum: null,
                        dst: dst.as_mut_ptr(),
                        dst_stride: tile.nr,
                    });
                }
            }
        }
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Some(best)
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
    targets = choice, tiles, pack, linear, cold, conv
}
criterion_main!(benches);
