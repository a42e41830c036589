//! Linear layers of real numbers against the contract: formats of weights, inputs and outputs, layouts and strides, every
//! epilogue, ranges, threads, batches, groups, and packed weights; between guard pages.

mod common;

use common::{
    Backwards, Finish, Memory, Threads, aligned, flipped_bits_are_refused, real_bytes, real_value,
    workspace,
};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    Activation, IntFormat, ParamSpec, QuantParams, RealFormat, Scheme, SymmetricRange,
    dot_with_bias, params_from_range, reduce::min_max,
};
use fewbit::simd::Supported;
use fewbit::{
    ActivationMode, Bias, Code, Input, Linear, LinearBatch, LinearDesc, LinearGroup, LinearLayout,
    LinearProblem, LinearRun, Output, OutputParams, Parallel, RealArithmetic, RealLinearDesc,
    RealWeights, Residual, Serial, Status, View, ViewMut, Weights,
};
use fewbit_testkit::{Rng, is_full, limited, seed, supported_sets};
use std::ops::Range;
use std::ptr::null;

/// A layer with its data. Numbers are kept as the bytes that the plan reads.
#[derive(Debug)]
struct Layer {
    k: usize,
    n: usize,
    matrices: usize,
    weight_format: RealFormat,
    /// As it lies, with its gaps.
    weights: Vec<u32>,
    layout: LinearLayout,
    weight_stride: usize,
    matrix_stride: usize,
    input: RealFormat,
    bias: Vec<f32>,
    output: Output,
    finish: Finish,
}

/// A number of any kind, mostly ordinary.
fn number(rng: &mut Rng) -> f32 {
    match rng.below(200) {
        0 => rng.any_f32(),
        1 => rng.pick(&[f32::NAN, f32::INFINITY, -0.0, 1e-40, 65504.0, 1e30]),
        _ => rng.normal(),
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

impl Layer {
    fn any(rng: &mut Rng, (n, k): (usize, usize), matrices: usize) -> Layer {
        let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
        let (rows, columns) = if layout == LinearLayout::Nk { (n, k) } else { (k, n) };
        let weight_stride = columns + rng.pick(&[0, 0, 3]);
        let matrix_stride = rows * weight_stride + rng.pick(&[0, 5]);
        let weight_format = rng.pick(&RealFormat::ALL);
        let count = (matrices - 1) * matrix_stride + (rows - 1) * weight_stride + columns;
        let code = rng.pick(&[Code::S8, Code::U8]);
        let params = QuantParams { scale: 0.3 * rng.unit() + 0.01, zero_point: 3 };
        let output = match rng.below(3) {
            0 => Output::Codes(code, params),
            _ => Output::Real(rng.pick(&RealFormat::ALL)),
        };
        // Never by table, which a bias rules out.
        let finish = Finish::any(rng, output, true);
        let biases = if rng.below(2) == 0 { 0 } else { n * matrices };
        Layer {
            k,
            n,
            matrices,
            weight_format,
            weights: (0..count).map(|_| word(&real_bytes(weight_format, number(rng)))).collect(),
            layout,
            weight_stride,
            matrix_stride,
            input: rng.pick(&RealFormat::ALL),
            bias: (0..biases).map(|_| number(rng)).collect(),
            output,
            finish,
        }
    }

    fn weight(&self, matrix: usize, n: usize, k: usize) -> f32 {
        let within = match self.layout {
            LinearLayout::Nk => n * self.weight_stride + k,
            LinearLayout::Kn => k * self.weight_stride + n,
        };
        let bits = self.weights[matrix * self.matrix_stride + within];
        real_value(self.weight_format, &bits.to_le_bytes())
    }

    /// The plan of these matrices.
    fn plan(&self, matrices: Range<usize>, supported: Supported) -> Linear<'static> {
        let single: Vec<f32> = self.weights.iter().map(|&bits| f32::from_bits(bits)).collect();
        let half: Vec<u16> = self.weights.iter().map(|&bits| bits as u16).collect();
        let from = matrices.start * self.matrix_stride;
        let biases = if self.bias.is_empty() { 0 } else { self.n };
        let desc = RealLinearDesc {
            weights: match self.weight_format {
                RealFormat::F32 => RealWeights::F32(&single[from..]),
                RealFormat::F16 => RealWeights::F16(&half[from..]),
                RealFormat::Bf16 => RealWeights::Bf16(&half[from..]),
            },
            bias: &self.bias[matrices.start * biases..matrices.end * biases],
            matrices: matrices.len(),
            ..self.desc()
        };
        Linear::create_real(&desc, supported, &Allocator::DEFAULT).unwrap()
    }

    /// The description without weights and bias.
    fn desc(&self) -> RealLinearDesc<'_> {
        RealLinearDesc {
            in_features: self.k,
            out_features: self.n,
            weights: RealWeights::F32(&[]),
            layout: self.layout,
            weight_stride: self.weight_stride,
            input: self.input,
            bias: &[],
            output: self.output,
            activation: self.finish.activation,
            residual: self.finish.residual,
            matrices: self.matrices,
            matrix_stride: self.matrix_stride,
            arithmetic: RealArithmetic::Chain,
        }
    }

    /// Inputs of `rows` rows, without gaps.
    fn inputs(&self, rng: &mut Rng, rows: usize) -> Vec<u8> {
        (0..rows * self.k).flat_map(|_| real_bytes(self.input, number(rng))).collect()
    }

    /// The f32 results before the residual.
    fn products(&self, matrix: usize, x: &[u8], m: usize) -> Vec<f32> {
        let size = self.input.size();
        let x: Vec<f32> = x.chunks_exact(size).map(|b| real_value(self.input, b)).collect();
        let mut y = Vec::with_capacity(m * self.n);
        for row in x.chunks_exact(self.k) {
            for n in 0..self.n {
                let pairs = row.iter().enumerate().map(|(k, &x)| (x, self.weight(matrix, n, k)));
                // -0 is the bias that changes nothing.
                let bias = self.bias.get(matrix * self.n + n).copied().unwrap_or(-0.0);
                y.push(dot_with_bias(pairs, bias));
            }
        }
        y
    }

    /// The bytes of all results.
    fn want(&self, matrix: usize, x: &[u8], residual: &[u8], m: usize) -> Vec<u8> {
        let size = self.finish.residual_element();
        let residual = |i: usize| &residual[i * size..][..size];
        self.products(matrix, x, m)
            .into_iter()
            .enumerate()
            .flat_map(|(i, y)| self.finish.bytes_of_real(self.output, y, residual(i)))
            .collect()
    }

    fn output_size(&self) -> usize {
        match self.output {
            Output::Real(format) => format.size(),
            _ => 1,
        }
    }
}

/// Rows of `row` bytes spread `stride` bytes apart.
fn spread(bytes: &[u8], row: usize, stride: usize) -> Vec<u8> {
    let rows = bytes.len() / row;
    let mut to = vec![0xEE; (rows - 1) * stride + row];
    for r in 0..rows {
        to[r * stride..][..row].copy_from_slice(&bytes[r * row..][..row]);
    }
    to
}

/// Memory between guard pages.
struct Arenas {
    x: Memory,
    residual: Memory,
    y: Memory,
    workspace: Memory,
}

impl Arenas {
    fn new() -> Arenas {
        let memory = || Memory::new(1 << 20);
        Arenas { x: memory(), residual: memory(), y: memory(), workspace: memory() }
    }

    /// Runs a plan in the parts given; gives its results without gaps, which must be untouched.
    #[allow(clippy::too_many_arguments, reason = "each is one of the run's operands")]
    fn run(
        &mut self,
        plan: &Linear,
        layer: &Layer,
        m: usize,
        (x, residual): (&[u8], &[u8]),
        gaps: [usize; 3],
        parallel: &dyn Parallel,
        parts: &[(Range<usize>, Range<usize>)],
    ) -> Vec<u8> {
        let (k, n) = (layer.k, layer.n);
        let (x_size, y_size) = (layer.input.size(), layer.output_size());
        let size = layer.finish.residual_element();
        let x_stride = k + gaps[0];
        let y_stride = n + gaps[1];
        let residual_stride = n + gaps[2];
        let x = self.x.copy(&spread(x, k * x_size, x_stride * x_size)).cast_const();
        let residual = match size {
            0 => null(),
            _ => {
                let bytes = spread(residual, n * size, residual_stride * size);
                self.residual.copy(&bytes).cast_const()
            }
        };
        let bytes = ((m - 1) * y_stride + n) * y_size;
        let y = self.y.copy(&vec![0xA7; bytes]);
        for part in parts {
            let size = plan.workspace(m, parallel.max_workers()).unwrap().size;
            let run = LinearRun {
                rows: m,
                x,
                x_stride,
                residual,
                residual_stride,
                workspace: self.workspace.garbage(size),
                workspace_size: size,
                y,
                y_stride,
            };
            // SAFETY: all operands are there, between guard pages.
            unsafe { plan.run_raw(&run, parallel, part.clone()) }.unwrap();
        }
        // SAFETY: initialised bytes.
        let y = unsafe { std::slice::from_raw_parts(y, bytes) };
        let (row, stride) = (n * y_size, y_stride * y_size);
        let gaps = y.chunks(stride).flat_map(|r| r.get(row..).unwrap_or_default());
        assert!(gaps.into_iter().all(|&byte| byte == 0xA7), "wrote between rows");
        y.chunks(stride).flat_map(|r| r[..row].to_vec()).collect()
    }
}

const SIZES: [usize; 11] = [1, 2, 3, 5, 6, 7, 13, 16, 33, 50, 97];
const DEPTHS: [usize; 8] = [1, 2, 3, 16, 31, 64, 127, 200];

#[test]
fn results_are_the_contract_for_every_set_split_and_stride() {
    let mut rng = Rng::new(seed() ^ 61);
    let mut arenas = Arenas::new();
    for turn in 0..if is_full() { 600 } else { 60 } {
        let (m, n, k) = (rng.pick(&SIZES), rng.pick(&SIZES), rng.pick(&DEPTHS));
        let layer = Layer::any(&mut rng, (n, k), 1);
        let x = layer.inputs(&mut rng, m);
        let residual = layer.finish.residuals(&mut rng, m * n);
        let want = layer.want(0, &x, &residual, m);
        let data = (&x[..], &residual[..]);
        let gaps = [0, 1, 2].map(|_| rng.pick(&[0, 0, 1, 7]));
        let (row, column) = (rng.below(m + 1), rng.below(n + 1));
        let quarters =
            [(0..row, 0..column), (0..row, column..n), (row..m, 0..column), (row..m, column..n)];
        let whole = [(0..m, 0..n)];
        for set in supported_sets() {
            let plan = layer.plan(0..1, set);
            let label = format!("turn {turn}: {m}x{n}x{k}, {}, {layer:?}", plan.kernel_name());
            let calls: [(&dyn Parallel, &[_]); 4] = [
                (&Serial, &whole),
                (&Backwards, &whole),
                (&Threads(3), &whole),
                (&Serial, &quarters),
            ];
            for (call, (parallel, parts)) in calls.into_iter().enumerate() {
                let got = arenas.run(&plan, &layer, m, data, gaps, parallel, parts);
                assert!(got == want, "call {call}, {label}");
            }
        }
    }
}

#[test]
fn batches_and_groups_give_what_single_plans_give() {
    let mut rng = Rng::new(seed() ^ 62);
    for _ in 0..12 {
        let (m, n, k) = (rng.pick(&[1, 3, 8, 20]), rng.pick(&[1, 17, 40]), rng.pick(&DEPTHS));
        let matrices = 2 + rng.below(3);
        let mut layer = Layer::any(&mut rng, (n, k), matrices);
        layer.finish.residual = Residual::None;
        let plan = layer.plan(0..matrices, limited());
        let x = layer.inputs(&mut rng, m * matrices);
        let x_bytes = m * k * layer.input.size();
        let x_of = |matrix: usize| &x[matrix * x_bytes..][..x_bytes];
        let want: Vec<u8> =
            (0..matrices).flat_map(|matrix| layer.want(matrix, x_of(matrix), &[], m)).collect();
        let x = aligned(&x);
        for parallel in [&Serial as &dyn Parallel, &Threads(3)] {
            let workers = parallel.max_workers();
            let mut y = aligned(&vec![0u8; want.len()]);
            let mut memory = workspace(plan.batch_workspace(m, workers).unwrap().size);
            let batch = LinearBatch {
                rows: m,
                x: x.as_ptr(),
                x_stride: k,
                x_batch_stride: m * k,
                residual: null(),
                residual_stride: 0,
                residual_batch_stride: 0,
                y: y.as_mut_ptr(),
                y_stride: n,
                y_batch_stride: m * n,
                workspace: memory.as_mut_ptr(),
                workspace_size: memory.len(),
            };
            // SAFETY: all operands are there.
            unsafe { plan.run_batch_raw(&batch, parallel) }.unwrap();
            assert!(*y == want[..], "a batch of {layer:?}");
            y.fill(0);
            let bytes = want.len() / matrices;
            let problems: Vec<LinearProblem> = (0..matrices)
                .rev()
                .map(|matrix| LinearProblem {
                    matrix,
                    rows: m,
                    x: x[matrix * x_bytes..].as_ptr(),
                    x_stride: k,
                    residual: null(),
                    residual_stride: 0,
                    y: y[matrix * bytes..].as_mut_ptr(),
                    y_stride: n,
                })
                .collect();
            let size = plan.grouped_workspace(matrices, m * matrices, workers).unwrap().size;
            let mut memory = workspace(size);
            // SAFETY: all operands are there.
            unsafe {
                let memory = (memory.as_mut_ptr(), memory.len());
                plan.run_grouped_raw(&problems, memory, parallel).unwrap();
            }
            assert!(*y == want[..], "groups of {layer:?}");
        }
    }
}

#[test]
fn results_quantized_by_row_are_those_of_f32() {
    let mut rng = Rng::new(seed() ^ 63);
    for code in [Code::S8, Code::U8] {
        let (m, n, k) = (7, 33, 40);
        let spec = ParamSpec {
            format: code.format(),
            scheme: Scheme::Affine,
            range: SymmetricRange::Narrow,
            power_of_two: false,
        };
        let mut layer = Layer::any(&mut rng, (n, k), 1);
        layer.output = Output::DynamicPerRow(code, spec);
        layer.finish = Finish {
            activation: Activation::Silu,
            mode: ActivationMode::Float,
            residual: Residual::None,
        };
        let plan = layer.plan(0..1, limited());
        let x = aligned(&layer.inputs(&mut rng, m));
        let results: Vec<f32> =
            layer.products(0, &x, m).into_iter().map(|y| Activation::Silu.apply(y)).collect();
        let (mut y, mut scales, mut zeros) = (vec![0u8; m * n], vec![0f32; m], vec![0i32; m]);
        let mut memory = workspace(plan.workspace(m, 2).unwrap().size);
        let run = LinearRun {
            rows: m,
            x: x.as_ptr(),
            x_stride: k,
            residual: null(),
            residual_stride: 0,
            workspace: memory.as_mut_ptr(),
            workspace_size: memory.len(),
            y: y.as_mut_ptr(),
            y_stride: n,
        };
        let params = OutputParams { scales: scales.as_mut_ptr(), zero_points: zeros.as_mut_ptr() };
        // SAFETY: all operands are there.
        unsafe { plan.run_dynamic_raw(&run, &params, &Threads(2), 0..m) }.unwrap();
        for (r, row) in results.chunks(n).enumerate() {
            let (low, high) = min_max(row);
            let want = params_from_range(low, high, &spec).unwrap();
            assert_eq!((scales[r], zeros[r]), (want.scale, want.zero_point));
            for (i, &x) in row.iter().enumerate() {
                let q = fewbit::scheme::quantize(x, want, code.format(), Default::default());
                assert_eq!(y[r * n + i], q as u8, "row {r}, column {i}");
            }
        }
    }
}

/// Results quantized by row, of one run.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    codes: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

impl Rows {
    fn new(rows: usize, n: usize) -> Rows {
        Rows { codes: vec![0; rows * n], scales: vec![0.0; rows], zero_points: vec![0; rows] }
    }
}

#[test]
fn batches_and_groups_on_slices_choose_each_rows_parameters() {
    let mut rng = Rng::new(seed() ^ 65);
    let spec = ParamSpec {
        format: IntFormat::U8,
        scheme: Scheme::Affine,
        range: SymmetricRange::Narrow,
        power_of_two: false,
    };
    for format in RealFormat::ALL {
        let (m, n, k, matrices) = (9, 35, 40, 3);
        let mut layer = Layer::any(&mut rng, (n, k), matrices);
        (layer.weight_format, layer.input) = (format, RealFormat::F32);
        layer.weights.iter_mut().for_each(|bits| *bits = word(&real_bytes(format, rng.normal())));
        layer.output = Output::DynamicPerRow(Code::U8, spec);
        layer.finish = Finish {
            activation: Activation::Gelu,
            mode: ActivationMode::Float,
            residual: Residual::Real(RealFormat::F16),
        };
        let x: Vec<f32> = (0..matrices * m * k).map(|_| rng.normal()).collect();
        let residual: Vec<u16> = (0..matrices * m * n)
            .map(|_| word(&real_bytes(RealFormat::F16, rng.normal())) as u16)
            .collect();
        // Each matrix by itself.
        let mut want = Rows::new(matrices * m, n);
        for matrix in 0..matrices {
            let plan = layer.plan(matrix..matrix + 1, limited());
            let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
            let (rows, results) = (matrix * m..(matrix + 1) * m, matrix * m * n..);
            plan.run_dynamic(
                m,
                &x[matrix * m * k..],
                &residual[results.clone()],
                &mut memory,
                &Serial,
                &mut want.codes[results],
                (&mut want.scales[rows.clone()], &mut want.zero_points[rows]),
            )
            .unwrap();
        }
        let plan = layer.plan(0..matrices, limited());
        for parallel in [&Serial as &dyn Parallel, &Threads(3)] {
            let workers = parallel.max_workers();
            let mut memory = workspace(plan.batch_workspace(m, workers).unwrap().size);
            let mut got = Rows::new(matrices * m, n);
            plan.run_batch_dynamic(
                m,
                View::new(&x),
                View::new(&residual),
                &mut memory,
                parallel,
                ViewMut::new(&mut got.codes),
                (&mut got.scales, &mut got.zero_points),
            )
            .unwrap();
            assert_eq!(got, want, "a batch of {format:?}");
            // Of matrix 1 the last two rows, and of matrix 0 all.
            let mut memory = workspace(plan.grouped_workspace(2, m + 2, workers).unwrap().size);
            let (mut last, mut all) = (Rows::new(m + 2, n), vec![0; m * n]);
            let (from, to) = ((2 * m - 2) * n, 2 * m * n);
            let mut groups = [
                LinearGroup::new(
                    1,
                    2,
                    View::new(&x[(2 * m - 2) * k..]),
                    ViewMut::new(&mut last.codes),
                )
                .residual(View::new(&residual[from..to])),
                LinearGroup::new(0, m, View::new(&x), ViewMut::new(&mut all))
                    .residual(View::new(&residual)),
            ];
            let params = (&mut last.scales[..], &mut last.zero_points[..]);
            plan.run_grouped_dynamic(&mut groups, &mut memory, parallel, params).unwrap();
            assert_eq!(last.codes[..2 * n], want.codes[from..to]);
            assert_eq!(all, want.codes[..m * n]);
            for (r, row) in (2 * m - 2..2 * m).chain(0..m).enumerate() {
                let chosen = |rows: &Rows, r: usize| (rows.scales[r], rows.zero_points[r]);
                assert_eq!(chosen(&last, r), chosen(&want, row), "row {row}");
            }
        }
    }
}

#[test]
fn slices_have_elements_of_the_inputs_and_outputs_size() {
    let mut rng = Rng::new(seed() ^ 66);
    let (m, n, k) = (4, 5, 6);
    let mut layer = Layer::any(&mut rng, (n, k), 1);
    (layer.input, layer.output) = (RealFormat::F16, Output::Real(RealFormat::F32));
    layer.finish =
        Finish { activation: Activation::None, mode: ActivationMode::Float, ..layer.finish };
    layer.finish.residual = Residual::None;
    let plan = layer.plan(0..1, limited());
    let x = layer.inputs(&mut rng, m);
    let want = layer.want(0, &x, &[], m);
    let x: Vec<u16> = x.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    // Rows with gaps on both sides.
    let spaced: Vec<u16> = x.chunks(k).flat_map(|row| [row, &[0x7E00; 2]].concat()).collect();
    let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
    let mut y = vec![7.0f32; m * (n + 1)];
    let whole = (0..m, 0..n);
    plan.run_range(
        m,
        View::new(&spaced).row_stride(k + 2),
        View::NONE,
        &mut memory,
        &Serial,
        ViewMut::new(&mut y).row_stride(n + 1),
        whole,
    )
    .unwrap();
    for (row, want) in y.chunks(n + 1).zip(want.chunks(n * 4)) {
        let bytes: Vec<u8> = row[..n].iter().flat_map(|y| y.to_ne_bytes()).collect();
        assert_eq!((&bytes[..], row[n]), (want, 7.0));
    }
    let mut refused = |x: &[u16], y: &mut [i32], argument: &str, status: Status| {
        let error = plan.run(m, x, &mut memory, &Serial, y).unwrap_err();
        assert_eq!((error.argument, error.status), (argument, status));
    };
    let mut of_words = vec![0i32; m * n];
    refused(&x[1..], &mut of_words, "x", Status::BufferTooSmall);
    refused(&x, &mut of_words[1..], "y", Status::BufferTooSmall);
    let as_f32 = vec![0f32; m * k];
    let error = plan.run(m, &as_f32, &mut memory, &Serial, &mut of_words).unwrap_err();
    assert_eq!((error.argument, error.status), ("x", Status::InvalidArgument));
    let mut halves = vec![0u16; m * n];
    let error = plan.run(m, &x, &mut memory, &Serial, &mut halves).unwrap_err();
    assert_eq!((error.argument, error.status), ("y", Status::InvalidArgument));
}

#[test]
fn packed_weights_are_read_where_they_lie() {
    let mut rng = Rng::new(seed() ^ 64);
    for turn in 0..12 {
        let (m, n, k) = (5, rng.pick(&SIZES), rng.pick(&DEPTHS));
        let matrices = 1;
        let mut layer = Layer::any(&mut rng, (n, k), matrices);
        layer.weight_format = RealFormat::ALL[turn % 3];
        layer.finish.residual = Residual::None;
        let plan = layer.plan(0..1, limited());
        let mut bytes = workspace(plan.packed_size().unwrap());
        plan.save_packed(&mut bytes).unwrap();
        let desc = RealLinearDesc { bias: &layer.bias, ..layer.desc() };
        let allocator = Allocator::DEFAULT;
        let mapped = Linear::create_real_packed(&desc, &bytes, limited(), &allocator).unwrap();
        assert_eq!(mapped.weight_bytes(), plan.weight_bytes());
        let x = layer.inputs(&mut rng, m);
        let want = layer.want(0, &x, &[], m);
        let (mut arenas, whole) = (Arenas::new(), [(0..m, 0..n)]);
        let got = arenas.run(&mapped, &layer, m, (&x, &[]), [0; 3], &Serial, &whole);
        assert!(got == want, "{layer:?}");
        let mut again = workspace(bytes.len());
        mapped.save_packed(&mut again).unwrap();
        assert!(*again == *bytes, "saved again");
        // Over what the plan reads.
        // SAFETY: refused before anything is written.
        let over = unsafe { mapped.save_packed_raw(bytes.as_ptr().cast_mut(), bytes.len()) };
        assert_eq!(over.unwrap_err().status, Status::Overlap);
        drop(mapped);
        let refused = |bytes: &[u8], desc: &RealLinearDesc| {
            let refused = Linear::create_real_packed(desc, bytes, limited(), &allocator);
            refused.err().expect("refused").status
        };
        flipped_bits_are_refused(&mut bytes, |bytes| refused(bytes, &desc));
        let wider = RealLinearDesc { in_features: k + 1, ..desc };
        assert_eq!(refused(&bytes, &wider), Status::InvalidArgument);
        assert_eq!(refused(&bytes[..64], &desc), Status::BufferTooSmall);
        // A plan of codes does not take numbers, nor the other way round.
        let codes = vec![1u8; n * k];
        let of_codes = LinearDesc {
            in_features: k,
            out_features: n,
            weights: Weights {
                format: IntFormat::S8,
                codes: &codes,
                scales: &[1.0],
                zero_points: &[],
                block: 0,
                multipliers: &[],
                shifts: &[],
            },
            layout: LinearLayout::Nk,
            weight_stride: 0,
            input: Input::Codes(Code::S8, QuantParams { scale: 1.0, zero_point: 0 }),
            bias: Bias::None,
            output: Output::S32,
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
            matrices: 1,
            matrix_stride: 0,
        };
        let error = Linear::create_packed(&of_codes, &bytes, limited(), &allocator).err().unwrap();
        assert_eq!((error.status, error.argument), (Status::InvalidArgument, "packed"));
        let plan = Linear::create(&of_codes, limited(), &allocator).unwrap();
        let mut bytes = workspace(plan.packed_size().unwrap());
        plan.save_packed(&mut bytes).unwrap();
        assert_eq!(refused(&bytes, &desc), Status::InvalidArgument);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    const W: [f32; 12] = [0.5; 12];
    let good = RealLinearDesc {
        in_features: 4,
        out_features: 3,
        weights: RealWeights::F32(&W),
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
    let create = |desc: &RealLinearDesc| Linear::create_real(desc, limited(), &Allocator::DEFAULT);
    let plan = create(&good).unwrap();
    assert_eq!((plan.bound(), plan.input()), (0, Input::Real(RealFormat::F32)));
    assert!(plan.kernel_name().starts_with("gemm_f32_"));
    let params = QuantParams { scale: 1.0, zero_point: 0 };
    let rounding = fewbit::scheme::FixedRounding::Double;
    let bad_scale = QuantParams { scale: 0.0, zero_point: 0 };
    let spec = ParamSpec::symmetric(IntFormat::U8);
    let cases = [
        (RealLinearDesc { in_features: 0, ..good }, Status::InvalidArgument, "desc.in_features"),
        (RealLinearDesc { out_features: 0, ..good }, Status::InvalidArgument, "desc.out_features"),
        (RealLinearDesc { matrices: 0, ..good }, Status::InvalidArgument, "desc.matrices"),
        (
            RealLinearDesc { weights: RealWeights::F32(&W[..11]), ..good },
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
        (
            RealLinearDesc { weights: RealWeights::F16(&[]), ..good },
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
        (
            RealLinearDesc { weight_stride: 3, ..good },
            Status::InvalidArgument,
            "desc.weight_stride",
        ),
        (RealLinearDesc { in_features: usize::MAX / 2, ..good }, Status::InvalidArgument, "desc"),
        (RealLinearDesc { bias: &[1.0], ..good }, Status::InvalidArgument, "desc.bias"),
        (RealLinearDesc { output: Output::S32, ..good }, Status::Unsupported, "desc.output"),
        (
            RealLinearDesc { output: Output::FixedPoint(Code::S8, params, rounding), ..good },
            Status::Unsupported,
            "desc.output",
        ),
        (
            RealLinearDesc { output: Output::Codes(Code::S8, bad_scale), ..good },
            Status::InvalidArgument,
            "desc.output",
        ),
        (
            RealLinearDesc { output: Output::DynamicPerRow(Code::S8, spec), ..good },
            Status::InvalidArgument,
            "desc.output",
        ),
        (
            RealLinearDesc { activation: Activation::Clamp { low: 1.0, high: 0.0 }, ..good },
            Status::InvalidArgument,
            "desc.output.activation",
        ),
        (
            RealLinearDesc { residual: Residual::Codes(Code::S8, bad_scale), ..good },
            Status::InvalidArgument,
            "desc.residual",
        ),
    ];
    for (desc, status, argument) in cases {
        let error = create(&desc).err().unwrap_or_else(|| panic!("{argument} is refused"));
        assert_eq!((error.status, error.argument), (status, argument), "{error:?}");
    }
    // Codes are not multiplied with numbers as they are.
    let of_codes = LinearDesc { input: Input::Real(RealFormat::F32), ..common::layers::GOOD };
    assert_eq!(common::layers::refused(of_codes), (Status::Unsupported, "desc.input"));
}
