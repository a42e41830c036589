//! Products in groups and on slices, of packed weights mapped, and with dynamic outputs: against the definition, bit for
//! bit.

mod common;

use common::layers::{GOOD, any_spec, by_row};
use common::products::{Model, desc};
use common::{Backwards, Threads, bits, workspace};
use fewbit::memory::{Allocator, Plain};
use fewbit::scheme::{QuantParams, RealFormat};
use fewbit::{
    Code, Gemm, GemmDesc, GemmGroup, GemmProblem, Input, Linear, LinearDesc, LinearLayout, Output,
    Parallel, Serial, Status, View, ViewMut, Weights,
};
use fewbit_testkit::{Rng, limited, seed, supported_sets};

/// How a model's results are written: as words of its output's size.
fn element(output: Output) -> usize {
    match output {
        Output::S32 => 4,
        Output::Real(real) => real.size(),
        _ => 1,
    }
}

/// The parameters of one matrix' rows.
fn of_matrix<T>(values: &[T], rows: usize, matrix: usize) -> &[T] {
    if values.len() > rows { &values[matrix * rows..][..rows] } else { values }
}

impl Model {
    /// One problem a matrix, or several of some of its rows, in any order; with the place of its results.
    fn problems(&self, rng: &mut Rng, dst: *mut u8, element: usize) -> Vec<GemmProblem> {
        let mut problems = Vec::new();
        for matrix in 0..self.matrices {
            let cut = rng.below(self.rows + 1);
            let scales = of_matrix(&self.row_scales, self.rows, matrix);
            let zeros = of_matrix(&self.row_zeros, self.rows, matrix);
            for rows in [0..cut, cut..self.rows] {
                let place = matrix * self.rows + rows.start;
                let from = matrix * self.lhs_batch_stride + rows.start * self.lhs_stride;
                let part = |len: usize| if len > 1 { (rows.start, rows.len()) } else { (0, len) };
                let (scale, scale_count) = part(scales.len());
                let (zero, zero_count) = part(zeros.len());
                problems.push(GemmProblem {
                    matrix,
                    rows: rows.len(),
                    lhs: self.lhs.as_ptr().wrapping_add(from),
                    lhs_stride: self.lhs_stride,
                    lhs_scales: scales.as_ptr().wrapping_add(scale),
                    lhs_scale_count: scale_count,
                    lhs_zero_points: zeros.as_ptr().wrapping_add(zero),
                    lhs_zero_point_count: zero_count,
                    dst: dst.wrapping_add(place * self.n * element),
                    dst_stride: self.n,
                });
            }
        }
        let turned = rng.below(problems.len());
        problems.rotate_left(turned);
        problems
    }

    /// The results of a run on slices, as words.
    fn run_sliced<D: Plain>(&self, plan: &Gemm<'_>, none: D, word: fn(D) -> u32) -> Vec<u32> {
        let mut dst = vec![none; self.matrices * self.rows * self.n];
        let mut memory = workspace(plan.workspace(self.rows, 1).unwrap().size);
        let lhs = View::new(&self.lhs).row_stride(self.lhs_stride);
        let lhs = lhs.matrix_stride(self.lhs_batch_stride);
        let (scales, zeros) = (&self.row_scales[..], &self.row_zeros[..]);
        let to = ViewMut::new(&mut dst);
        plan.run(self.rows, lhs, scales, zeros, &mut memory, &Serial, to).unwrap();
        dst.into_iter().map(word).collect()
    }
}

#[test]
fn groups_slices_and_mapped_plans_equal_the_definition() {
    let mut rng = Rng::new(seed() + 3);
    for round in 0..150 {
        let model = Model::new(&mut rng);
        let expected = model.definition();
        let sets = supported_sets();
        let set = sets[round % sets.len()];
        let plan = Gemm::create(&model.desc(), set, &Allocator::DEFAULT).unwrap();
        let label = || format!("{} {:?} {:?}", plan.kernel_name(), model.output, model.lhs_code);
        let element = element(model.output);
        let sliced = match element {
            4 => model.run_sliced(&plan, 0i32, |sum| sum as u32),
            2 => model.run_sliced(&plan, 0u16, u32::from),
            _ => model.run_sliced(&plan, 0u8, u32::from),
        };
        assert_eq!(sliced, expected, "{}", label());

        // Cut by the caller, the same rows and columns of each matrix.
        if element == 4 {
            let (m, n) = (model.rows, model.n);
            let mut memory = workspace(plan.workspace(m, 3).unwrap().size);
            let mut dst = vec![-1i32; model.matrices * m * n];
            let (row, column) = (rng.below(m + 1), rng.below(n + 1));
            for rows in [row..m, 0..row] {
                for columns in [0..column, column..n] {
                    let lhs = View::new(&model.lhs).row_stride(model.lhs_stride);
                    let lhs = lhs.matrix_stride(model.lhs_batch_stride);
                    let (scales, zeros) = (&model.row_scales[..], &model.row_zeros[..]);
                    let (to, range) = (ViewMut::new(&mut dst), (rows.clone(), columns));
                    plan.run_range(m, lhs, scales, zeros, &mut memory, &Backwards, to, range)
                        .unwrap();
                }
            }
            let words: Vec<u32> = dst.into_iter().map(|word| word as u32).collect();
            assert_eq!(words, expected, "{} cut at {row}, {column}", label());
        }

        let mut packed = workspace(plan.packed_size().unwrap());
        plan.save_packed(&mut packed).unwrap();
        let bare = GemmDesc {
            rhs: Weights { codes: &[], scales: &[], zero_points: &[], ..model.desc().rhs },
            rhs_layout: LinearLayout::Nk,
            rhs_stride: 1,
            ..model.desc()
        };
        let mapped = Gemm::create_packed(&bare, &packed, set, &Allocator::DEFAULT).unwrap();
        assert_eq!((mapped.bound(), mapped.rhs_bytes()), (plan.bound(), plan.rhs_bytes()));
        assert_eq!(model.run(&mapped, &Serial), expected, "{}", label());
        let mut again = workspace(packed.len());
        mapped.save_packed(&mut again).unwrap();
        assert!(packed[..] == again[..]);
        // SAFETY: refused: the plan reads what would be written.
        let over = unsafe { mapped.save_packed_raw(packed.as_ptr().cast_mut(), packed.len()) };
        assert_eq!(over.unwrap_err().status, Status::Overlap);

        let all = model.matrices * model.rows;
        for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads([1, 2, 7][round % 3])] {
            let mut dst = workspace(all * model.n * element);
            let list = model.problems(&mut rng, dst.as_mut_ptr(), element);
            let workers = parallel.max_workers();
            let needed = mapped.grouped_workspace(list.len(), all, workers).unwrap().size;
            let mut memory = workspace(needed);
            let memory = (memory.as_mut_ptr(), needed);
            // SAFETY: each problem's rows are a part of the model's.
            unsafe { mapped.run_grouped_raw(&list, memory, parallel) }.unwrap();
            let words = dst.chunks_exact(element).map(|bytes| {
                let mut word = [0; 4];
                word[..element].copy_from_slice(bytes);
                u32::from_le_bytes(word)
            });
            assert_eq!(words.collect::<Vec<_>>(), expected, "{}", label());
        }
    }
}

#[test]
fn dynamic_outputs_are_those_of_f32_quantized_by_row() {
    let mut rng = Rng::new(seed() + 4);
    for round in 0..120 {
        let mut model = Model::new(&mut rng);
        model.output = Output::Real(RealFormat::F32);
        let sets = supported_sets();
        let set = sets[round % sets.len()];
        let code = rng.pick(&[Code::S8, Code::U8]);
        let spec = any_spec(&mut rng, code);
        let real: Vec<f32> = model.definition().into_iter().map(f32::from_bits).collect();
        let (rows, n, all) = (model.rows, model.n, model.matrices * model.rows);
        let (codes, scales, zeros) = by_row(&real, all, spec, set);
        let desc = GemmDesc { output: Output::DynamicPerRow(code, spec), ..model.desc() };
        let plan = Gemm::create(&desc, set, &Allocator::DEFAULT).unwrap();
        let lhs = || {
            let rows = View::new(&model.lhs).row_stride(model.lhs_stride);
            rows.matrix_stride(model.lhs_batch_stride)
        };
        let given = || (&model.row_scales[..], &model.row_zeros[..]);
        for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads([2, 3, 7][round % 3])] {
            let mut memory = workspace(plan.workspace(rows, 7).unwrap().size);
            let mut dst = vec![0u8; all * n];
            let (mut got_scales, mut got_zeros) = (vec![-1f32; all], vec![1000; all]);
            let places = (&mut got_scales[..], &mut got_zeros[..]);
            let (to, (row_scales, row_zeros)) = (ViewMut::new(&mut dst), given());
            plan.run_dynamic(rows, lhs(), row_scales, row_zeros, &mut memory, parallel, to, places)
                .unwrap();
            assert_eq!((dst, got_zeros), (codes.clone(), zeros.clone()), "{}", plan.kernel_name());
            assert_eq!(bits(&got_scales), bits(&scales), "{}", plan.kernel_name());
        }
        let mut memory = workspace(plan.grouped_workspace(model.matrices, all, 1).unwrap().size);
        let mut dst = vec![0u8; all * n];
        let (mut got_scales, mut got_zeros) = (vec![-1f32; all], vec![1000; all]);
        {
            let dsts = dst.chunks_exact_mut(rows * n).enumerate();
            let groups = dsts.map(|(matrix, dst)| {
                let lhs = View::new(&model.lhs[matrix * model.lhs_batch_stride..]);
                let lhs = lhs.row_stride(model.lhs_stride);
                GemmGroup::new(matrix, rows, lhs, ViewMut::new(dst))
                    .scales(of_matrix(&model.row_scales, rows, matrix))
                    .zero_points(of_matrix(&model.row_zeros, rows, matrix))
            });
            let mut groups: Vec<_> = groups.collect();
            let places = (&mut got_scales[..], &mut got_zeros[..]);
            plan.run_grouped_dynamic(&mut groups, &mut memory, &Serial, places).unwrap();
            let error = plan.run_grouped(&mut groups, &mut memory, &Serial).unwrap_err();
            assert_eq!((error.status, error.argument), (Status::Unsupported, "gemm"));
        }
        assert_eq!((dst, got_zeros), (codes, zeros), "{}", plan.kernel_name());
        assert_eq!(bits(&got_scales), bits(&scales), "{}", plan.kernel_name());
    }
}

/// A linear layer and a product of the same weights write the same bytes, and read each other's.
#[test]
fn packed_weights_are_shared_with_linear_layers() {
    let codes = Rng::new(5).bytes(12);
    let product = GemmDesc { n: 4, ..desc(&codes, 3, Code::S8) };
    let layer = LinearDesc {
        in_features: 3,
        out_features: 4,
        weights: Weights { scales: &[1.0], ..product.rhs },
        input: Input::Codes(Code::S8, QuantParams { scale: 1.0, zero_point: 0 }),
        output: Output::S32,
        ..GOOD
    };
    let gemm = Gemm::create(&product, limited(), &Allocator::DEFAULT).unwrap();
    let linear = Linear::create(&layer, limited(), &Allocator::DEFAULT).unwrap();
    let mut bytes = [(); 2].map(|()| workspace(gemm.packed_size().unwrap()));
    gemm.save_packed(&mut bytes[0]).unwrap();
    linear.save_packed(&mut bytes[1]).unwrap();
    assert!(bytes[0][..] == bytes[1][..]);
    let gemm = Gemm::create_packed(&product, &bytes[1], limited(), &Allocator::DEFAULT).unwrap();
    let linear = Linear::create_packed(&layer, &bytes[0], limited(), &Allocator::DEFAULT).unwrap();
    let (x, mut y, mut sums) = ([1u8, 2, 3], [0i32; 4], [0i32; 4]);
    let mut memory = workspace(gemm.workspace(1, 1).unwrap().size);
    linear.run(1, &x, &mut memory, &Serial, &mut y).unwrap();
    let to = ViewMut::new(&mut sums);
    gemm.run(1, View::new(&x), &[], &[], &mut memory, &Serial, to).unwrap();
    assert_eq!(y, sums);
    let short = &bytes[0][..64];
    let error = Gemm::create_packed(&product, short, limited(), &Allocator::DEFAULT).err().unwrap();
    assert_eq!((error.status, error.argument), (Status::BufferTooSmall, "packed"));
}
