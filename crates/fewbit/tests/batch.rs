//! Batches and groups against single runs, bit for bit: every input and output, shared and strided operands, groups
//! without rows, threads; and what is refused.

mod common;

use common::{Backwards, Threads, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Linear, LinearBatch, LinearDesc,
    LinearLayout, LinearProblem, LinearRun, Output, Parallel, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, limited, seed, supported_sets};

/// Weight matrices of one shape, and what a plan of them reads and writes.
struct Model {
    matrices: usize,
    n: usize,
    k: usize,
    code: Code,
    codes: Vec<u8>,
    matrix_stride: usize,
    layout: LinearLayout,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    bias_s32: Vec<i32>,
    bias_f32: Vec<f32>,
    input: Input,
    output: Output,
    residual: Residual,
}

impl Model {
    fn new(rng: &mut Rng, matrices: usize) -> Model {
        let (n, k) = (1 + rng.below(60), 1 + rng.below(70));
        let channels = matrices * n;
        let matrix_stride = n * k + rng.pick(&[0, 3]);
        let code = rng.pick(&[Code::S8, Code::U8]);
        let zero_points = rng.pick(&[0, 1, channels]);
        let scales = rng.pick(&[1, channels]);
        let real = rng.pick(&RealFormat::ALL);
        let spec = ParamSpec::affine(Code::U8.format());
        let dynamic = DynamicSpec { real, code: Code::U8, spec };
        let params = QuantParams { scale: 0.03, zero_point: 11 };
        let input = match rng.below(4) {
            0 => Input::Codes(rng.pick(&[Code::S8, Code::U8]), params),
            1 => Input::Static(real, Code::S8.format(), params),
            2 => Input::DynamicPerRow(dynamic),
            _ => Input::DynamicPerTensor(dynamic),
        };
        let fixed = matches!(input, Input::Codes(..) | Input::Static(..));
        let output = match rng.below(4) {
            0 if fixed => Output::S32,
            1 => Output::Codes(Code::S8, QuantParams { scale: 3.0, zero_point: -4 }),
            _ => Output::Real(rng.pick(&RealFormat::ALL)),
        };
        let residual = match output {
            Output::Real(_) if rng.below(2) == 0 => Residual::Real(RealFormat::F32),
            _ => Residual::None,
        };
        let format = code.format();
        Model {
            matrices,
            n,
            k,
            code,
            codes: rng.bytes(matrices * matrix_stride),
            matrix_stride,
            layout: rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]),
            scales: (0..scales).map(|_| 0.01 + rng.unit()).collect(),
            zero_points: (0..zero_points).map(|_| format.qmin() + rng.below(256) as i32).collect(),
            bias_s32: (0..channels).map(|_| rng.next_u32() as i32 >> 12).collect(),
            bias_f32: (0..channels).map(|_| rng.normal()).collect(),
            input,
            output,
            residual,
        }
    }

    fn desc(&self) -> LinearDesc<'_> {
        LinearDesc {
            in_features: self.k,
            out_features: self.n,
            weights: Weights {
                block: 0,
                multipliers: &[],
                shifts: &[],
                format: self.code.format(),
                codes: &self.codes,
                scales: &self.scales,
                zero_points: &self.zero_points,
            },
            layout: self.layout,
            weight_stride: 0,
            input: self.input,
            bias: match self.output {
                Output::S32 => Bias::S32(&self.bias_s32),
                _ => Bias::F32(&self.bias_f32),
            },
            output: self.output,
            activation: Activation::Relu,
            activation_mode: ActivationMode::Float,
            residual: self.residual,
            matrices: self.matrices,
            matrix_stride: self.matrix_stride,
        }
    }

    /// The plan of one of the matrices.
    fn single(&self, matrix: usize, set: Supported) -> Linear<'static> {
        fn part<T>(values: &[T], n: usize, matrix: usize) -> &[T] {
            if values.len() <= 1 { values } else { &values[matrix * n..][..n] }
        }
        let n = self.n;
        let desc = LinearDesc {
            weights: Weights {
                block: 0,
                multipliers: &[],
                shifts: &[],
                format: self.code.format(),
                codes: &self.codes[matrix * self.matrix_stride..],
                scales: part(&self.scales, n, matrix),
                zero_points: part(&self.zero_points, n, matrix),
            },
            bias: match self.output {
                Output::S32 => Bias::S32(&self.bias_s32[matrix * n..][..n]),
                _ => Bias::F32(&self.bias_f32[matrix * n..][..n]),
            },
            matrices: 1,
            ..self.desc()
        };
        Linear::create(&desc, set, &Allocator::DEFAULT).unwrap()
    }

    fn plan(&self, set: Supported) -> Linear<'static> {
        Linear::create(&self.desc(), set, &Allocator::DEFAULT).unwrap()
    }

    fn in_size(&self) -> usize {
        match self.input {
            Input::Codes(..) | Input::CodesPerRow(_) => 1,
            Input::Packed(..) | Input::PackedPerRow(_) => unreachable!("of other plans"),
            Input::Static(real, ..) | Input::Real(real) => real.size(),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => spec.real.size(),
        }
    }

    fn out_size(&self) -> usize {
        match self.output {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            _ => 1,
        }
    }

    /// `elements` of the input, as bytes; f16 and bf16 patterns of any size are as good as others.
    fn x(&self, rng: &mut Rng, elements: usize) -> Buffer {
        let mut buffer = Buffer::new(elements * self.in_size());
        let bytes = buffer.bytes();
        match self.in_size() {
            1 => bytes.copy_from_slice(&rng.bytes(elements)),
            2 => {
                for pair in bytes.chunks_exact_mut(2) {
                    pair.copy_from_slice(&((rng.next_u32() % 0x4000) as u16).to_le_bytes());
                }
            }
            _ => {
                for word in bytes.chunks_exact_mut(4) {
                    word.copy_from_slice(&(rng.normal() * 3.0).to_le_bytes());
                }
            }
        }
        buffer
    }

    /// A single plan's results of contiguous rows.
    fn expected(&self, plan: &Linear<'_>, run: LinearRun) -> Vec<u8> {
        let needed = plan.workspace(run.rows, 1).unwrap().size;
        let mut memory = workspace(needed);
        let mut y = Buffer::new(run.rows * self.n * self.out_size());
        let run = LinearRun {
            workspace: memory.as_mut_ptr(),
            workspace_size: needed,
            y: y.bytes().as_mut_ptr(),
            y_stride: self.n,
            ..run
        };
        // SAFETY: rows as the caller has them; y holds as many.
        unsafe { plan.run_raw(&run, &Serial, (0..run.rows, 0..self.n)).unwrap() };
        y.bytes().to_vec()
    }
}

/// Bytes aligned for any element, at first all 0x5A.
struct Buffer(Vec<u64>, usize);

impl Buffer {
    fn new(size: usize) -> Buffer {
        Buffer(vec![0x5A5A_5A5A_5A5A_5A5A; size.div_ceil(8)], size)
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words' own bytes.
        let all = unsafe { self.0.align_to_mut::<u8>().1 };
        &mut all[..self.1]
    }
}

fn parallels() -> Vec<Box<dyn Parallel>> {
    vec![Box::new(Serial), Box::new(Backwards), Box::new(Threads(2)), Box::new(Threads(3))]
}

#[test]
fn a_batch_equals_single_runs() {
    let mut rng = Rng::new(seed());
    for round in 0..150 {
        let matrices = 1 + rng.below(5);
        let model = Model::new(&mut rng, matrices);
        let (n, k, rows) = (model.n, model.k, 1 + rng.below(30));
        let (x_stride, shared) = (k + rng.below(3), rng.below(3) == 0);
        let x_batch_stride = if shared { 0 } else { rows * x_stride + rng.below(3) };
        let mut x = model.x(&mut rng, matrices * rows * x_stride + 2 * matrices + k);
        // Matrix behind matrix, or row beside row.
        let beside = rng.below(2) == 0;
        let (y_stride, y_batch_stride) =
            if beside { (matrices * n + 1, n) } else { (n + 1, rows * (n + 1) + 1) };
        let all = matrices * rows * (n + 2);
        let (in_size, out_size) = (model.in_size(), model.out_size());
        let mut added = Buffer::new(4 * all);
        added
            .bytes()
            .chunks_exact_mut(4)
            .for_each(|f| f.copy_from_slice(&rng.normal().to_le_bytes()));
        let sets = supported_sets();
        let set = sets[round % sets.len()];
        let plan = model.plan(set);
        let x_at = x.bytes().as_ptr();
        let added_at = added.bytes().as_ptr();
        let expected: Vec<Vec<u8>> = (0..matrices)
            .map(|matrix| {
                let run = LinearRun {
                    rows,
                    x: x_at.wrapping_add(matrix * x_batch_stride * in_size),
                    x_stride,
                    residual: added_at.wrapping_add(matrix * y_batch_stride * 4),
                    residual_stride: y_stride,
                    workspace: std::ptr::null_mut(),
                    workspace_size: 0,
                    y: std::ptr::null_mut(),
                    y_stride: n,
                };
                model.expected(&model.single(matrix, set), run)
            })
            .collect();
        for parallel in parallels() {
            let mut y = Buffer::new(all * out_size);
            let needed = plan.batch_workspace(rows, parallel.max_workers()).unwrap();
            let mut memory = workspace(needed.size);
            let batch = LinearBatch {
                rows,
                x: x_at,
                x_stride,
                x_batch_stride,
                residual: added_at,
                residual_stride: y_stride,
                residual_batch_stride: y_batch_stride,
                y: y.bytes().as_mut_ptr(),
                y_stride,
                y_batch_stride,
                workspace: memory.as_mut_ptr(),
                workspace_size: needed.size,
            };
            // SAFETY: buffers of the sizes that the strides need.
            unsafe { plan.run_batch_raw(&batch, &*parallel).unwrap() };
            let bytes = y.bytes();
            let mut written = 0;
            for (matrix, expected) in expected.iter().enumerate() {
                for row in 0..rows {
                    let at = (matrix * y_batch_stride + row * y_stride) * out_size;
                    let given = &mut bytes[at..at + n * out_size];
                    let wanted = &expected[row * n * out_size..][..n * out_size];
                    assert_eq!(given, wanted, "{:?} {:?}", model.input, model.output);
                    given.fill(0x5A);
                    written += given.len();
                }
            }
            assert_eq!(written, matrices * rows * n * out_size);
            assert!(bytes.iter().all(|&byte| byte == 0x5A), "a gap was written");
        }
    }
}

#[test]
fn groups_equal_single_runs() {
    let mut rng = Rng::new(seed() + 1);
    for round in 0..150 {
        let matrices = 1 + rng.below(6);
        let model = Model::new(&mut rng, matrices);
        let (n, k) = (model.n, model.k);
        let sets = supported_sets();
        let set = sets[round % sets.len()];
        let plan = model.plan(set);
        let count = rng.below(12);
        let rows: Vec<usize> = (0..count).map(|_| rng.pick(&[0, 0, 1, 1, 2, 5, 13, 40])).collect();
        let which: Vec<usize> = (0..count).map(|_| rng.below(matrices)).collect();
        let mut xs: Vec<Buffer> = rows.iter().map(|&m| model.x(&mut rng, m * (k + 1))).collect();
        let mut added: Vec<Buffer> = rows
            .iter()
            .map(|&m| {
                let mut buffer = Buffer::new(4 * m * n);
                let words = buffer.bytes().chunks_exact_mut(4);
                words.for_each(|f| f.copy_from_slice(&rng.normal().to_le_bytes()));
                buffer
            })
            .collect();
        let problems = |xs: &mut [Buffer], added: &mut [Buffer], ys: &mut [Buffer]| {
            let all = xs.iter_mut().zip(added).zip(ys).enumerate();
            all.map(|(i, ((x, added), y))| LinearProblem {
                matrix: which[i],
                rows: rows[i],
                x: x.bytes().as_ptr(),
                x_stride: k + 1,
                residual: added.bytes().as_ptr(),
                residual_stride: n,
                y: y.bytes().as_mut_ptr(),
                y_stride: n,
            })
            .collect::<Vec<_>>()
        };
        let fresh = || rows.iter().map(|&m| Buffer::new(m * n * model.out_size())).collect();
        let mut ys: Vec<Buffer> = fresh();
        let expected: Vec<Vec<u8>> = problems(&mut xs, &mut added, &mut ys)
            .iter()
            .map(|problem| {
                let run = LinearRun {
                    rows: problem.rows,
                    x: problem.x,
                    x_stride: problem.x_stride,
                    residual: problem.residual,
                    residual_stride: problem.residual_stride,
                    workspace: std::ptr::null_mut(),
                    workspace_size: 0,
                    y: std::ptr::null_mut(),
                    y_stride: n,
                };
                if problem.rows == 0 {
                    return Vec::new();
                }
                model.expected(&model.single(problem.matrix, set), run)
            })
            .collect();
        let total = rows.iter().sum();
        for parallel in parallels() {
            let mut ys: Vec<Buffer> = fresh();
            let list = problems(&mut xs, &mut added, &mut ys);
            // More than needed is allowed, and more workers or rows never need less.
            let workers = parallel.max_workers();
            let needed = plan.grouped_workspace(count, total, workers).unwrap().size;
            assert!(
                plan.grouped_workspace(count + 1, total + 1, workers + 1).unwrap().size >= needed
            );
            let mut memory = workspace(needed);
            // SAFETY: each problem's buffers hold its rows.
            unsafe {
                plan.run_grouped_raw(&list, (memory.as_mut_ptr(), needed), &*parallel).unwrap();
            }
            for ((y, expected), problem) in ys.iter_mut().zip(&expected).zip(&list) {
                assert_eq!(y.bytes(), expected, "{:?} {:?} {problem:?}", model.input, model.output);
            }
        }
    }
}

/// A model whose plan is 2 matrices of 4 x 3, codes in, sums out.
fn small() -> Model {
    let mut rng = Rng::new(7);
    Model {
        n: 4,
        k: 3,
        codes: rng.bytes(24),
        matrix_stride: 0,
        layout: LinearLayout::Nk,
        scales: vec![1.0],
        zero_points: vec![],
        bias_s32: vec![0; 8],
        bias_f32: vec![0.0; 8],
        input: Input::Codes(Code::S8, QuantParams { scale: 1.0, zero_point: 0 }),
        output: Output::S32,
        residual: Residual::None,
        ..Model::new(&mut rng, 2)
    }
}

#[test]
fn wrong_batches_and_groups_are_refused() {
    let model = small();
    let plan = model.plan(limited());
    assert_eq!((plan.matrices(), plan.in_features(), plan.out_features()), (2, 3, 4));
    let needed = plan.batch_workspace(5, 1).unwrap().size;
    let mut memory = workspace(needed);
    let (x, mut y) = (vec![1u8; 64], vec![7i32; 64]);
    let good = LinearBatch {
        rows: 5,
        x: x.as_ptr(),
        x_stride: 3,
        x_batch_stride: 15,
        residual: std::ptr::null(),
        residual_stride: 0,
        residual_batch_stride: 0,
        y: y.as_mut_ptr().cast(),
        y_stride: 4,
        y_batch_stride: 20,
        workspace: memory.as_mut_ptr(),
        workspace_size: needed,
    };
    // SAFETY: 5 rows on both sides.
    let run = |batch: LinearBatch| unsafe { plan.run_batch_raw(&batch, &Serial) };
    run(good).unwrap();
    y.fill(7);
    let huge = usize::MAX / 2;
    let y_as_x = y.as_ptr().cast::<u8>();
    for (batch, status, argument) in [
        (LinearBatch { x: std::ptr::null(), ..good }, Status::NullPointer, "x"),
        (LinearBatch { y: std::ptr::null_mut(), ..good }, Status::NullPointer, "y"),
        (LinearBatch { x_stride: 2, ..good }, Status::InvalidArgument, "x_stride"),
        (LinearBatch { y_stride: 3, ..good }, Status::InvalidArgument, "y_stride"),
        (
            LinearBatch { x_batch_stride: huge + 9, ..good },
            Status::InvalidArgument,
            "x_batch_stride",
        ),
        (LinearBatch { y_batch_stride: huge, ..good }, Status::InvalidArgument, "y_batch_stride"),
        (LinearBatch { y_batch_stride: 0, ..good }, Status::Overlap, "y_batch_stride"),
        (LinearBatch { y_batch_stride: 19, ..good }, Status::Overlap, "y_batch_stride"),
        (LinearBatch { y_batch_stride: 4, y_stride: 7, ..good }, Status::Overlap, "y_batch_stride"),
        (LinearBatch { x: y_as_x, ..good }, Status::Overlap, "y"),
        (
            LinearBatch { workspace_size: needed - 1, ..good },
            Status::BufferTooSmall,
            "workspace_size",
        ),
        (LinearBatch { workspace: std::ptr::null_mut(), ..good }, Status::NullPointer, "workspace"),
        (LinearBatch { rows: huge, ..good }, Status::InvalidArgument, "x_stride"),
    ] {
        let error = run(batch).unwrap_err();
        assert_eq!((error.status, error.argument), (status, argument), "{error}");
    }
    assert!(y.iter().all(|&y| y == 7), "a refused run wrote");
    run(LinearBatch { rows: 0, x: std::ptr::null(), y: std::ptr::null_mut(), ..good }).unwrap();
    run(LinearBatch { y_batch_stride: 4, y_stride: 8, ..good }).unwrap();

    // A plan of several matrices has no single run.
    let error = plan.run(1, &x, &mut memory, &Serial, &mut y).unwrap_err();
    assert_eq!((error.status, error.argument), (Status::InvalidArgument, "linear"));

    y.fill(7);
    let y_at = y.as_mut_ptr();
    let problem = |matrix, at: usize| LinearProblem {
        matrix,
        rows: 2,
        x: x.as_ptr(),
        x_stride: 3,
        residual: std::ptr::null(),
        residual_stride: 0,
        y: y_at.wrapping_add(at).cast(),
        y_stride: 4,
    };
    let needed = plan.grouped_workspace(3, 6000, 1).unwrap().size;
    let mut memory = workspace(needed);
    let at = (memory.as_mut_ptr(), needed);
    // SAFETY: 2 rows on both sides.
    let run = |list: &[LinearProblem]| unsafe { plan.run_grouped_raw(list, at, &Serial) };
    let inside = LinearProblem { x: y_at.wrapping_add(20).cast(), ..problem(1, 0) };
    let own = LinearProblem { x: y_at.cast(), ..problem(1, 0) };
    for (list, status, argument) in [
        (vec![problem(0, 0), problem(2, 8)], Status::InvalidArgument, "matrix"),
        (vec![problem(0, 8), problem(1, 0), problem(0, 7)], Status::Overlap, "y"),
        (vec![problem(0, 0), problem(1, 24), problem(0, 20)], Status::Overlap, "y"),
        (vec![problem(0, 20), inside, problem(0, 40)], Status::Overlap, "y"),
        (vec![own], Status::Overlap, "y"),
        (vec![LinearProblem { x: std::ptr::null(), ..problem(0, 0) }], Status::NullPointer, "x"),
        (vec![LinearProblem { y_stride: 3, ..problem(0, 0) }], Status::InvalidArgument, "y_stride"),
        (
            vec![LinearProblem { rows: usize::MAX, ..problem(0, 0) }; 2],
            Status::InvalidArgument,
            "x_stride",
        ),
    ] {
        let error = run(&list).unwrap_err();
        assert_eq!((error.status, error.argument), (status, argument), "{error}");
    }
    assert!(y.iter().all(|&y| y == 7), "a refused run wrote");
    // Results between each other's inputs are fine, in any order.
    let middle = LinearProblem { x: y_at.wrapping_add(10).cast(), ..problem(1, 0) };
    run(&[problem(0, 20), middle, problem(1, 40)]).unwrap();
    run(&[LinearProblem { rows: 0, matrix: 9, x: std::ptr::null(), ..problem(0, 0) }]).unwrap();
    run(&[]).unwrap();

    let error = |desc: &LinearDesc<'_>| {
        let error = Linear::create(desc, limited(), &Allocator::DEFAULT).err().unwrap();
        (error.status, error.argument)
    };
    let desc = model.desc();
    assert_eq!(
        error(&LinearDesc { matrices: 0, ..desc }),
        (Status::InvalidArgument, "desc.matrices")
    );
    assert_eq!(
        error(&LinearDesc { matrices: 3, bias: Bias::None, ..desc }),
        (Status::BufferTooSmall, "desc.weights.data")
    );
    assert_eq!(
        error(&LinearDesc { matrix_stride: 13, ..desc }),
        (Status::BufferTooSmall, "desc.weights.data")
    );
    assert_eq!(
        error(&LinearDesc { matrices: usize::MAX, ..desc }),
        (Status::InvalidArgument, "desc")
    );
    assert_eq!(
        error(&LinearDesc { bias: Bias::S32(&[0; 4]), ..desc }),
        (Status::InvalidArgument, "desc.bias")
    );
    // Matrices that share codes are as good as others.
    let shared = LinearDesc { matrix_stride: 1, ..desc };
    assert!(Linear::create(&shared, limited(), &Allocator::DEFAULT).is_ok());
}

/// The matrices of a batch are written and mapped as one.
#[test]
fn packed_batches() {
    let mut rng = Rng::new(seed() + 9);
    let model = Model::new(&mut rng, 3);
    let plan = model.plan(limited());
    let mut packed = workspace(plan.packed_size().unwrap());
    plan.save_packed(&mut packed).unwrap();
    let mapped =
        Linear::create_packed(&model.desc(), &packed, limited(), &Allocator::DEFAULT).unwrap();
    assert_eq!((mapped.bound(), mapped.matrices()), (plan.bound(), 3));
    let mut again = workspace(packed.len());
    mapped.save_packed(&mut again).unwrap();
    assert!(packed[..] == again[..]);
    let fewer = LinearDesc { matrices: 1, bias: Bias::None, ..model.desc() };
    let error = Linear::create_packed(&fewer, &packed, limited(), &Allocator::DEFAULT).err();
    assert_eq!(error.unwrap().argument, "packed");
}
