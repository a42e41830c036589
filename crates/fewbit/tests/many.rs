//! Batches and groups on slices, with gaps and without, and their dynamic outputs: against runs of pointers, and f32
//! results quantized by row. And what slices are refused.

mod common;

use common::layers::{
    CODES, GOOD, any_spec, by_row, conv, create, floats, halves, linear, real_operands,
};
use common::{Backwards, Threads, aligned, bits, workspace};
use fewbit::memory::{Allocator, Plain};
use fewbit::scheme::{ParamSpec, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Code, Conv, Error, ImageLayout, Input, Linear, LinearBatch, LinearDesc, LinearGroup,
    LinearLayout, Output, Parallel, Residual, Serial, Status, View, ViewMut,
};
use fewbit_testkit::{Rng, limited, seed, supported_sets};

/// Distances of rows, and of matrices.
type Strides = (usize, usize);

struct Case {
    matrices: usize,
    rows: usize,
    n: usize,
    code: Code,
    spec: ParamSpec,
    x_strides: Strides,
}

/// The elements at `strides`, without gaps.
fn dense<T: Copy>(data: &[T], shape: (usize, usize, usize), strides: Strides) -> Vec<T> {
    let (matrices, rows, columns) = shape;
    let row = |i: usize| &data[i / rows * strides.1 + i % rows * strides.0..][..columns];
    (0..matrices * rows).flat_map(|i| row(i).to_vec()).collect()
}

/// All ways to run one case on one set of instructions. `residual`: codes, without gaps.
fn check<X: Plain>(case: &Case, desc: &LinearDesc<'_>, x: &[X], residual: &[u8], set: Supported) {
    let Case { matrices, rows, n, x_strides, .. } = *case;
    let plan = Linear::create(desc, set, &Allocator::DEFAULT).unwrap();
    let mut memory = workspace(plan.batch_workspace(rows, 7).unwrap().size);
    let mut expected = vec![0f32; matrices * rows * n];
    let batch = LinearBatch {
        rows,
        x: x.as_ptr().cast(),
        x_stride: x_strides.0,
        x_batch_stride: x_strides.1,
        residual: residual.as_ptr(),
        residual_stride: n,
        residual_batch_stride: rows * n,
        y: expected.as_mut_ptr().cast(),
        y_stride: n,
        y_batch_stride: rows * n,
        workspace: memory.as_mut_ptr(),
        workspace_size: memory.len(),
    };
    // SAFETY: rows of the sizes and distances that the case has.
    unsafe { plan.run_batch_raw(&batch, &Serial) }.unwrap();

    let label = || format!("{} {:?} {:?}", plan.kernel_name(), desc.input, desc.residual);
    let from = || View::new(x).row_stride(x_strides.0).matrix_stride(x_strides.1);
    let added = || View::new(residual);
    // Matrix behind matrix, and row beside row.
    for strides in [(n + 2, rows * (n + 2) + 1), (matrices * n + 1, n)] {
        let mut y = vec![-1f32; matrices * rows * (n + 3)];
        let to = ViewMut::new(&mut y).row_stride(strides.0).matrix_stride(strides.1);
        plan.run_batch(rows, from(), added(), &mut memory, &Backwards, to).unwrap();
        let got = dense(&y, (matrices, rows, n), strides);
        assert_eq!(bits(&got), bits(&expected), "{}", label());
    }
    let x_of = |matrix: usize| View::new(&x[matrix * x_strides.1..]).row_stride(x_strides.0);
    let added_of = |matrix: usize| View::new(&residual[residual.len() / matrices * matrix..]);
    let nobody = || LinearGroup::new(matrices, 0, View::NONE, ViewMut::new(&mut [0u8; 0]));
    let mut memory =
        workspace(plan.grouped_workspace(matrices + 1, matrices * rows, 7).unwrap().size);
    let mut y = vec![-1f32; matrices * rows * n];
    {
        let ys = y.chunks_exact_mut(rows * n).enumerate();
        let groups = ys.map(|(matrix, y)| {
            LinearGroup::new(matrix, rows, x_of(matrix), ViewMut::new(y)).residual(added_of(matrix))
        });
        let mut groups: Vec<_> = groups.chain([nobody()]).rev().collect();
        // A list may be run again.
        for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads(7)] {
            plan.run_grouped(&mut groups, &mut memory, parallel).unwrap();
        }
    }
    assert_eq!(bits(&y), bits(&expected), "{}", label());

    // The same results, quantized by row.
    let desc = LinearDesc { output: Output::DynamicPerRow(case.code, case.spec), ..*desc };
    let plan = Linear::create(&desc, set, &Allocator::DEFAULT).unwrap();
    let all = matrices * rows;
    let (codes, scales, zeros) = by_row(&expected, all, case.spec, set);
    let mut memory = workspace(plan.batch_workspace(rows, 7).unwrap().size);
    for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads(3)] {
        let strides = (matrices * n + 1, n);
        let mut y = vec![0x5Au8; matrices * rows * (n + 3)];
        let (mut got_scales, mut got_zeros) = (vec![-1f32; all + 1], vec![1000; all + 1]);
        let to = ViewMut::new(&mut y).row_stride(strides.0).matrix_stride(strides.1);
        let places = (&mut got_scales[..], &mut got_zeros[..]);
        plan.run_batch_dynamic(rows, from(), added(), &mut memory, parallel, to, places).unwrap();
        assert_eq!(dense(&y, (matrices, rows, n), strides), codes, "{}", label());
        assert_eq!(y.iter().skip(strides.0 - 1).step_by(strides.0).max(), Some(&0x5A));
        assert_eq!(bits(&got_scales[..all]), bits(&scales), "{}", label());
        assert_eq!((&got_zeros[..all], got_zeros[all], got_scales[all]), (&zeros[..], 1000, -1.0));
    }
    let mut memory = workspace(plan.grouped_workspace(matrices + 1, all, 2).unwrap().size);
    let mut y = vec![0x5Au8; matrices * rows * n];
    let (mut got_scales, mut got_zeros) = (vec![-1f32; all], vec![1000; all]);
    {
        let ys = y.chunks_exact_mut(rows * n).enumerate();
        let groups = ys.map(|(matrix, y)| {
            LinearGroup::new(matrix, rows, x_of(matrix), ViewMut::new(y)).residual(added_of(matrix))
        });
        let mut groups: Vec<_> = [nobody()].into_iter().chain(groups).collect();
        let places = (&mut got_scales[..], &mut got_zeros[..]);
        plan.run_grouped_dynamic(&mut groups, &mut memory, &Threads(2), places).unwrap();
    }
    assert_eq!((y, got_zeros), (codes, zeros), "{}", label());
    assert_eq!(bits(&got_scales), bits(&scales), "{}", label());
}

#[test]
fn slices_and_dynamic_outputs_equal_runs_of_pointers() {
    let mut rng = Rng::new(seed() ^ 0x5E);
    for round in 0..50 {
        let matrices = 1 + rng.below(4);
        let (rows, n, k) = (1 + rng.below(15), 1 + rng.below(50), 1 + rng.below(60));
        let mut operands = real_operands(&mut rng, matrices * n, matrices * n * k);
        if !matches!(operands.finish.residual, Residual::None | Residual::Codes(..)) {
            operands.finish.residual = Residual::None;
        }
        let code = rng.pick(&CODES);
        let stride = k + rng.below(3);
        let x_strides = (stride, rng.pick(&[0, rows * stride + 1]));
        let spec = any_spec(&mut rng, code);
        let case = Case { matrices, rows, n, code, spec, x_strides };
        let desc = LinearDesc { matrices, ..linear(&operands, (n, k), LinearLayout::Kn) };
        let count = (matrices - 1) * x_strides.1 + rows * stride;
        let data = aligned(&operands.any_data(&mut rng, matrices * rows, count));
        let residual = operands.finish.residuals(&mut rng, matrices * rows * n);
        let sets = supported_sets();
        let set = sets[round % sets.len()];
        match operands.input_element() {
            1 => check(&case, &desc, &data, &residual, set),
            2 => check(&case, &desc, &halves(&data), &residual, set),
            _ => check(&case, &desc, &floats(&data), &residual, set),
        }
    }
}

/// The same two reasons, whatever the plan: elements of another size, and too few.
#[test]
fn wrong_slices_are_refused_alike() {
    use Status::{BufferTooSmall, InvalidArgument, Overlap, Unsupported};
    let why = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        (error.status, error.argument)
    };
    let plan = create(&GOOD).unwrap();
    let (bytes, halves) = ([1u8; 64], [1u16; 64]);
    let (mut y, mut narrow) = ([7f32; 4], [7u8; 4]);
    let mut memory = workspace(plan.workspace(2, 1).unwrap().size);
    let memory = &mut memory[..];
    assert_eq!(why(plan.run(2, &halves, memory, &Serial, &mut y)), (InvalidArgument, "x"));
    assert_eq!(why(plan.run(2, &bytes, memory, &Serial, &mut narrow)), (InvalidArgument, "y"));
    assert_eq!(why(plan.run(2, &bytes[1..], memory, &Serial, &mut y)), (BufferTooSmall, "x"));
    assert_eq!(why(plan.run(2, &bytes, memory, &Serial, &mut y[1..])), (BufferTooSmall, "y"));
    assert_eq!(why(plan.run(usize::MAX, &bytes, memory, &Serial, &mut y)), (BufferTooSmall, "x"));
    let mut run = |x: View<'_, u8>, y_stride, rows| {
        let to = ViewMut::new(&mut y).row_stride(y_stride);
        why(plan.run_range(2, x, View::NONE, memory, &Serial, to, (rows, 0..2)))
    };
    assert_eq!(run(View::new(&bytes).row_stride(33), 2, 0..2), (BufferTooSmall, "x"));
    assert_eq!(run(View::new(&bytes).row_stride(31), 2, 0..2), (InvalidArgument, "x_stride"));
    assert_eq!(run(View::new(&bytes), 3, 0..2), (BufferTooSmall, "y"));
    assert_eq!(run(View::new(&bytes), usize::MAX, 0..2), (BufferTooSmall, "y"));
    assert_eq!(run(View::new(&bytes), 2, 0..3), (InvalidArgument, "row_end"));

    let added = create(&LinearDesc { residual: Residual::Real(RealFormat::F32), ..GOOD }).unwrap();
    let mut memory = workspace(added.batch_workspace(2, 1).unwrap().size);
    let memory = &mut memory[..];
    let mut run = |residual: View<'_, f32>| {
        let to = ViewMut::new(&mut y);
        added.run_batch(2, View::new(&bytes), residual, memory, &Serial, to)
    };
    assert_eq!(why(run(View::new(&[0.0; 3]))), (BufferTooSmall, "residual"));
    assert!(run(View::new(&[0.0; 4])).is_ok());
    let to = ViewMut::new(&mut y);
    let codes = View::new(&bytes);
    let result = added.run_batch(2, View::new(&bytes), codes, memory, &Serial, to);
    assert_eq!(why(result), (InvalidArgument, "residual"));

    // A convolution of the same: not another status.
    let operands = {
        let mut operands = real_operands(&mut Rng::new(1), 9, 108);
        operands.input = Input::Codes(Code::S8, common::layers::PARAMS);
        operands.finish.residual = Residual::None;
        operands
    };
    let desc = conv(&operands, ImageLayout::Nhwc);
    let images = Conv::create(&desc, limited(), &Allocator::DEFAULT).unwrap();
    let (inputs, outputs) = images.image_elements();
    let mut room = workspace(images.workspace(1, 1).unwrap().size);
    let (x, mut out) = (vec![1u8; inputs], vec![0f32; outputs]);
    let wide = vec![1u16; inputs];
    assert_eq!(why(images.run(1, &wide, &mut room, &Serial, &mut out)), (InvalidArgument, "x"));
    assert_eq!(why(images.run(1, &x, &mut room, &Serial, &mut [0u8])), (InvalidArgument, "y"));
    assert_eq!(why(images.run(2, &x, &mut room, &Serial, &mut out)), (BufferTooSmall, "x"));
    images.run(1, &x, &mut room, &Serial, &mut out).unwrap();

    // Groups, and places for parameters.
    let spec = ParamSpec::affine(Code::U8.format());
    let matrices = 2;
    let desc = LinearDesc { matrices, out_features: 1, ..GOOD };
    let plan = create(&desc).unwrap();
    let mut memory = workspace(plan.grouped_workspace(2, 4, 1).unwrap().size);
    let (mut first, mut second) = ([7f32; 2], [7f32; 2]);
    let mut run = |matrix, rows, x| {
        let mut groups = [
            LinearGroup::new(0, 1, View::new(&bytes), ViewMut::new(&mut first)),
            LinearGroup::new(matrix, rows, x, ViewMut::new(&mut second)),
        ];
        plan.run_grouped(&mut groups, &mut memory, &Serial)
    };
    assert_eq!(why(run(2, 1, View::new(&bytes))), (InvalidArgument, "matrix"));
    assert_eq!(why(run(1, 3, View::new(&bytes))), (BufferTooSmall, "x"));
    assert_eq!(why(run(1, 3, View::new(&bytes).row_stride(0))), (BufferTooSmall, "y"));
    assert_eq!(why(run(1, 2, View::new(&bytes).row_stride(0))), (InvalidArgument, "x_stride"));
    assert_eq!((first, second), ([7.0; 2], [7.0; 2]), "a refused run wrote");

    let dynamic = create(&LinearDesc { output: Output::DynamicPerRow(Code::U8, spec), ..desc });
    let dynamic = dynamic.unwrap();
    let mut memory = workspace(dynamic.batch_workspace(2, 1).unwrap().size);
    let mut y = [7u8; 4];
    let (mut scales, mut zeros) = ([7f32; 4], [7; 4]);
    let x = || View::new(&bytes).matrix_stride(0);
    let mut run = |scales: &mut [f32], zeros: &mut [i32], places: bool| {
        let to = ViewMut::new(&mut y);
        match places {
            true => {
                let places = (scales, zeros);
                dynamic.run_batch_dynamic(2, x(), View::NONE, &mut memory, &Serial, to, places)
            }
            false => dynamic.run_batch(2, x(), View::NONE, &mut memory, &Serial, to),
        }
    };
    assert_eq!(why(run(&mut scales[1..], &mut zeros, true)), (BufferTooSmall, "scales"));
    assert_eq!(why(run(&mut scales, &mut zeros[1..], true)), (BufferTooSmall, "zero_points"));
    assert_eq!(why(run(&mut scales, &mut zeros, false)), (Unsupported, "linear"));
    run(&mut scales, &mut zeros, true).unwrap();
    assert!(scales.iter().all(|&scale| scale != 7.0));
    let mut y = [7f32; 4];
    let to = ViewMut::new(&mut y);
    let mut memory = workspace(plan.batch_workspace(2, 1).unwrap().size);
    let places = (&mut scales[..], &mut zeros[..]);
    let result = plan.run_batch_dynamic(2, x(), View::NONE, &mut memory, &Serial, to, places);
    assert_eq!(why(result), (Unsupported, "linear"));
    let to = ViewMut::new(&mut y).matrix_stride(1);
    let result = plan.run_batch(2, x(), View::NONE, &mut memory, &Serial, to);
    assert_eq!(why(result), (Overlap, "y_batch_stride"));
}
