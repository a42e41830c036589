//! The digests of products of the caller's codes, and of groups of rows over several matrices, with every set of
//! features.

use crate::{Book, Digest};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Gemm, GemmDesc, GemmRun, Input, Linear,
    LinearDesc, LinearLayout, LinearProblem, Output, Residual, Serial, Weights, Workspace,
};
use fewbit_testkit::{Rng, supported_sets};

const PRODUCTS: u64 = 60;

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        let (mut gemm, mut grouped) = (Digest::new(), Digest::new());
        for product in 0..PRODUCTS {
            digest_gemm(&mut Rng::new(product), supported, &mut gemm);
            digest_grouped(&mut Rng::new(product), supported, &mut grouped);
        }
        book.enter("gemm", supported.set(), gemm);
        book.enter("linear.grouped", supported.set(), grouped);
    }
}

/// A workspace's memory and its first aligned byte.
fn memory(workspace: Workspace) -> (Vec<u8>, usize) {
    let memory = vec![0xA5; workspace.size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    (memory, skip)
}

fn zero_points(rng: &mut Rng, count: usize, code: Code) -> Vec<i32> {
    (0..count).map(|_| code.format().qmin() + rng.below(256) as i32).collect()
}

fn digest_gemm(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let (rows, n, k) = (1 + rng.below(20), 1 + rng.below(70), 1 + rng.below(300));
    let matrices = 1 + rng.below(2);
    let code = |rng: &mut Rng| rng.pick(&[Code::S8, Code::U8]);
    let (lhs_code, rhs_code) = (code(rng), code(rng));
    let per = |rng: &mut Rng, all: usize| rng.pick(&[0, 1, all]);
    let scales = |rng: &mut Rng, n: usize| (0..n).map(|_| 0.01 + rng.unit()).collect::<Vec<f32>>();
    let count = per(rng, matrices * n);
    let column_scales = scales(rng, count);
    let count = per(rng, matrices * n);
    let column_zeros = zero_points(rng, count, rhs_code);
    let count = per(rng, rows);
    let row_scales = scales(rng, count);
    let count = per(rng, rows);
    let row_zeros = zero_points(rng, count, lhs_code);
    let (lhs, rhs) = (rng.bytes(matrices * rows * k), rng.bytes(matrices * n * k));
    let output = rng.pick(&[Output::S32, Output::Real(RealFormat::F32)]);
    let desc = GemmDesc {
        n,
        k,
        lhs: lhs_code.format(),
        rhs: Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: rhs_code.format(),
            codes: &rhs,
            scales: &column_scales,
            zero_points: &column_zeros,
        },
        rhs_layout: rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]),
        rhs_stride: 0,
        matrices,
        matrix_stride: 0,
        bias: Bias::None,
        output,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
    };
    let plan = Gemm::create(&desc, supported, &Allocator::DEFAULT).unwrap();
    let workspace = plan.workspace(rows, 1).unwrap();
    let (mut memory, skip) = memory(workspace);
    // Sums and f32 are words of four bytes.
    let mut dst = vec![0i32; matrices * rows * n];
    let run = GemmRun {
        rows,
        lhs: lhs.as_ptr(),
        lhs_stride: k,
        lhs_batch_stride: rows * k,
        lhs_scales: row_scales.as_ptr(),
        lhs_scale_count: row_scales.len(),
        lhs_zero_points: row_zeros.as_ptr(),
        lhs_zero_point_count: row_zeros.len(),
        workspace: memory[skip..].as_mut_ptr(),
        workspace_size: workspace.size,
        dst: dst.as_mut_ptr().cast(),
        dst_stride: n,
        dst_batch_stride: rows * n,
    };
    // SAFETY: operands of the sizes that strides and counts say.
    unsafe { plan.run_raw(&run, &Serial).unwrap() };
    digest.i32s(&dst);
}

fn digest_grouped(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let (matrices, n, k) = (1 + rng.below(4), 1 + rng.below(70), 1 + rng.below(200));
    let codes = rng.bytes(matrices * n * k);
    let scales: Vec<f32> = (0..matrices * n).map(|_| 0.01 + rng.unit()).collect();
    let zero_points = zero_points(rng, matrices * n, Code::S8);
    let spec = ParamSpec::affine(Code::U8.format());
    let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::U8, spec };
    let params = QuantParams { scale: 0.03, zero_point: 77 };
    let desc = LinearDesc {
        in_features: k,
        out_features: n,
        weights: Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: Code::S8.format(),
            codes: &codes,
            scales: &scales,
            zero_points: &zero_points,
        },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: rng.pick(&[
            Input::DynamicPerRow(dynamic),
            Input::DynamicPerTensor(dynamic),
            Input::Static(RealFormat::F32, Code::U8.format(), params),
        ]),
        bias: Bias::None,
        output: Output::Real(RealFormat::F32),
        activation: Activation::Relu,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
        matrices,
        matrix_stride: 0,
    };
    let plan = Linear::create(&desc, supported, &Allocator::DEFAULT).unwrap();
    let rows: Vec<usize> = (0..6).map(|_| rng.pick(&[0, 1, 3, 17])).collect();
    let total = rows.iter().sum::<usize>() + 1;
    let x: Vec<f32> = (0..total * k).map(|_| rng.normal()).collect();
    let mut y = vec![0f32; total * n];
    let to = y.as_mut_ptr();
    let mut first = 0;
    let problems: Vec<LinearProblem> = rows
        .iter()
        .map(|&rows| {
            let begin = first;
            first += rows;
            LinearProblem {
                matrix: rng.below(matrices),
                rows,
                x: x[begin * k..].as_ptr().cast(),
                x_stride: k,
                residual: std::ptr::null(),
                residual_stride: 0,
                y: to.wrapping_add(begin * n).cast(),
                y_stride: n,
            }
        })
        .collect();
    let workspace = plan.grouped_workspace(problems.len(), total, 1).unwrap();
    let (mut memory, skip) = memory(workspace);
    let at = (memory[skip..].as_mut_ptr(), workspace.size);
    // SAFETY: each problem's rows are a part of `x` and of `y`.
    unsafe { plan.run_grouped_raw(&problems, at, &Serial).unwrap() };
    digest.f32s(&y);
}
