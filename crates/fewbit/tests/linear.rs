//! Linear plans against their definition: every tile of this CPU, shapes around the tile, extremes,
//! zero points of both sides, every input, bias and output, splits and threads.

mod common;

use common::layers::GOOD;
use common::{Backwards, Finish, Threads, bits, rayon_threads, real_bytes, real_value, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, RealFormat, RealFormat::F32,
    params_from_range, quantize, reduce,
};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Linear, LinearDesc, LinearLayout,
    LinearRun, Output, Parallel, RayonPool, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, reference, report, sampled, seed, supported_sets};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A layer with its operands, owned.
struct Layer {
    m: usize,
    n: usize,
    k: usize,
    weight_code: Code,
    weights: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    layout: LinearLayout,
    weight_stride: usize,
    input: Input,
    bias_s32: Option<Vec<i32>>,
    bias_f32: Option<Vec<f32>>,
    output: Output,
    finish: Finish,
}

impl Layer {
    fn desc(&self) -> LinearDesc<'_> {
        LinearDesc {
            in_features: self.k,
            out_features: self.n,
            weights: Weights {
                format: self.weight_code.format(),
                codes: &self.weights,
                scales: &self.scales,
                zero_points: &self.zero_points,
                ..GOOD.weights
            },
            layout: self.layout,
            weight_stride: self.weight_stride,
            input: self.input,
            bias: match (&self.bias_s32, &self.bias_f32) {
                (Some(bias), _) => Bias::S32(bias),
                (_, Some(bias)) => Bias::F32(bias),
                _ => Bias::None,
            },
            output: self.output,
            activation: self.finish.activation,
            activation_mode: self.finish.mode,
            residual: self.finish.residual,
            matrices: 1,
            matrix_stride: 0,
        }
    }

    fn weight(&self, n: usize, k: usize) -> i64 {
        let index = match self.layout {
            LinearLayout::Nk => n * self.weight_stride + k,
            LinearLayout::Kn => k * self.weight_stride + n,
        };
        value(self.weight_code, self.weights[index])
    }

    /// The outputs' bits by definition. `x`: the codes, or the numbers' bits; `residual`: the residuals' bytes.
    fn definition(&self, x: &[u32], residual: &[u8]) -> Vec<u32> {
        let (m, n, k) = (self.m, self.n, self.k);
        let code = match self.input {
            Input::Codes(code, _) | Input::CodesPerRow(code) => code,
            Input::Static(_, format, _) => common::code_of(format),
            Input::DynamicPerRow(d) | Input::DynamicPerTensor(d) => d.code,
            Input::Packed(..) | Input::PackedPerRow(_) | Input::Real(_) => {
                unreachable!("of other plans")
            }
        };
        let real: Vec<f32> = match real_format(&self.input) {
            Some(format) => x.iter().map(|b| real_value(format, &b.to_ne_bytes())).collect(),
            None => Vec::new(),
        };
        let params: Vec<QuantParams> = (0..m)
            .map(|row| match self.input {
                Input::Codes(_, p) | Input::Static(_, _, p) => p,
                Input::CodesPerRow(_)
                | Input::Packed(..)
                | Input::PackedPerRow(_)
                | Input::Real(_) => {
                    unreachable!("of other plans")
                }
                Input::DynamicPerRow(d) => dynamic(&real[row * k..(row + 1) * k], &d.spec),
                Input::DynamicPerTensor(d) => dynamic(&real, &d.spec),
            })
            .collect();
        let lhs: Vec<i64> = (0..m * k)
            .map(|i| match self.input {
                Input::Codes(code, _) => value(code, x[i] as u8),
                _ => {
                    quantize(real[i], params[i / k], code.format(), QuantizeMode::default()) as i64
                }
            })
            .collect();
        let rhs: Vec<i64> = (0..n)
            .flat_map(|c| (0..k).map(move |i| (c, i)))
            .map(|(c, i)| self.weight(c, i))
            .collect();
        let pick = |v: &[i32], c: usize| match v.len() {
            0 => 0,
            1 => v[0],
            _ => v[c],
        };
        let lhs_zero: Vec<i64> = params.iter().map(|p| p.zero_point as i64).collect();
        let rhs_zero: Vec<i64> = (0..n).map(|c| pick(&self.zero_points, c) as i64).collect();
        let sums = reference::matmul((m, n, k), &lhs, &lhs_zero, &rhs, &rhs_zero);
        sums.iter()
            .enumerate()
            .map(|(i, &sum)| {
                let (row, c) = (i / n, i % n);
                let extra = self.bias_s32.as_ref().map_or(0, |b| b[c]) as i64;
                let acc = i32::try_from(sum + extra).expect("within the bound");
                let weight_scale =
                    if self.scales.len() == 1 { self.scales[0] } else { self.scales[c] };
                let row_scale = params[row].scale;
                let bias = self.bias_f32.as_ref().map(|b| b[c]);
                let added = self.finish.residual_element();
                let residual = &residual[i * added..][..added];
                let factors = (row_scale, weight_scale);
                let bytes = self.finish.bytes(self.output, acc, factors, bias, residual);
                let mut word = [0; 4];
                word[..bytes.len()].copy_from_slice(&bytes);
                u32::from_le_bytes(word)
            })
            .collect()
    }

    /// The outputs of a plan, with strides on both sides and the rows and columns of a range.
    fn run(
        &self,
        plan: &Linear,
        (x, residual): (&[u32], &[u8]),
        parallel: &dyn Parallel,
        splits: usize,
    ) -> Vec<u32> {
        let (m, n, k) = (self.m, self.n, self.k);
        let in_size = real_format(&self.input).map_or(1, RealFormat::size);
        let out_size = match self.output {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            Output::Codes(..) | Output::FixedPoint(..) | Output::DynamicPerRow(..) => 1,
        };
        let added = self.finish.residual_element();
        let residual_stride = n + 1;
        let mut extra = vec![0xA5u8; m * residual_stride * added + 64];
        let from = extra.as_ptr().align_offset(4);
        for row in 0..m * added.min(1) {
            let at = from + row * residual_stride * added;
            extra[at..at + n * added].copy_from_slice(&residual[row * n * added..][..n * added]);
        }
        let (x_stride, y_stride) = (k + 3, n + 2);
        let mut src = vec![0xA5u8; m * x_stride * in_size + 64];
        let shift = src.as_ptr().align_offset(4);
        for row in 0..m {
            for i in 0..k {
                let at = shift + (row * x_stride + i) * in_size;
                src[at..at + in_size].copy_from_slice(&x[row * k + i].to_le_bytes()[..in_size]);
            }
        }
        let mut dst = vec![0x5Au8; m * y_stride * out_size + 64];
        let to = dst.as_ptr().align_offset(4);
        let needed = plan.workspace(m, parallel.max_workers()).unwrap();
        let mut memory = workspace(needed.size);
        for part in 0..splits {
            let rows = m * part / splits..m * (part + 1) / splits;
            let border = if splits == 1 { 0 } else { n / 3 };
            for columns in [0..border, border..n] {
                // SAFETY: both buffers hold m strided rows from their aligned starts.
                unsafe {
                    let run = LinearRun {
                        rows: m,
                        x: src.as_ptr().add(shift),
                        x_stride,
                        residual: extra.as_ptr().add(from),
                        residual_stride,
                        workspace: memory.as_mut_ptr(),
                        workspace_size: needed.size,
                        y: dst.as_mut_ptr().add(to),
                        y_stride,
                    };
                    plan.run_raw(&run, parallel, (rows.clone(), columns)).unwrap();
                }
            }
        }
        let mut out = Vec::new();
        for row in 0..m {
            for c in 0..y_stride {
                let at = to + (row * y_stride + c) * out_size;
                let bytes = &dst[at..at + out_size];
                if c < n {
                    let mut word = [0; 4];
                    word[..out_size].copy_from_slice(bytes);
                    out.push(u32::from_le_bytes(word));
                } else {
                    assert!(bytes.iter().all(|&b| b == 0x5A), "a gap was written");
                }
            }
        }
        out
    }

    fn create(&self, supported: Supported) -> Linear<'static> {
        Linear::create(&self.desc(), supported, &Allocator::DEFAULT).unwrap()
    }
}

fn real_format(input: &Input) -> Option<RealFormat> {
    match *input {
        Input::Codes(..) | Input::CodesPerRow(_) | Input::Packed(..) | Input::PackedPerRow(_) => {
            None
        }
        Input::Static(real, ..) | Input::Real(real) => Some(real),
        Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => Some(spec.real),
    }
}

fn value(code: Code, byte: u8) -> i64 {
    match code {
        Code::S8 => byte as i8 as i64,
        Code::U8 => byte as i64,
    }
}

fn dynamic(x: &[f32], spec: &ParamSpec) -> QuantParams {
    let (low, high) = reduce::min_max(x);
    params_from_range(low, high, spec).unwrap()
}

fn random_layer(rng: &mut Rng, (m, n, k): (usize, usize, usize)) -> (Layer, Vec<u32>, Vec<u8>) {
    let codes = [Code::S8, Code::U8];
    let weight_code = rng.pick(&codes);
    let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
    let (rows, columns) = if layout == LinearLayout::Nk { (n, k) } else { (k, n) };
    let weight_stride = columns + rng.pick(&[0, 0, 5]);
    let extreme = rng.pick(&[None, None, Some(0u8), Some(127), Some(128), Some(255)]);
    let fill = |rng: &mut Rng, count: usize| -> Vec<u8> {
        (0..count).map(|_| extreme.unwrap_or_else(|| rng.byte())).collect()
    };
    let weights = fill(rng, rows * weight_stride);
    let per = |rng: &mut Rng| if rng.below(2) == 0 { 1 } else { n };
    let scales = (0..per(rng)).map(|_| 0.001 + rng.unit()).collect();
    let zeros = rng.pick(&[0, 1, n]);
    let in_code = rng.pick(&codes);
    let zero_point = |rng: &mut Rng, f: IntFormat| {
        rng.pick(&[f.qmin(), f.qmin() + 7, (f.qmin() + f.qmax()) / 2, f.qmax()])
    };
    let zero_points = (0..zeros).map(|_| zero_point(rng, weight_code.format())).collect();
    let params = QuantParams {
        scale: rng.pick(&[0.02, 1.0 / 127.0, 1e-3, 3.0]),
        zero_point: zero_point(rng, in_code.format()),
    };
    let spec = if rng.below(2) == 0 {
        ParamSpec::affine(in_code.format())
    } else {
        ParamSpec::symmetric(in_code.format())
    };
    let real = rng.pick(&RealFormat::ALL);
    let dynamic = DynamicSpec { real, code: in_code, spec };
    let input = match rng.below(4) {
        0 => Input::Static(real, in_code.format(), params),
        1 => Input::DynamicPerRow(dynamic),
        2 => Input::DynamicPerTensor(dynamic),
        _ => Input::Codes(in_code, params),
    };
    let is_dynamic = matches!(input, Input::DynamicPerRow(_) | Input::DynamicPerTensor(_));
    let output = match rng.below(4) {
        0 if !is_dynamic => Output::S32,
        0 | 1 => Output::Real(rng.pick(&RealFormat::ALL)),
        _ => {
            let code = rng.pick(&codes);
            let scale = rng.pick(&[0.5, 0.037, 11.0]) * (k as f32).sqrt();
            Output::Codes(code, QuantParams { scale, zero_point: zero_point(rng, code.format()) })
        }
    };
    let bias = match rng.below(if output == Output::S32 { 2 } else { 3 }) {
        1 if is_dynamic => 2,
        bias => bias,
    };
    let bias_s32 = (bias == 1)
        .then(|| (0..n).map(|_| rng.next_u32() as i32 >> rng.pick(&[2, 10, 20])).collect());
    let bias_f32 = (bias == 2).then(|| (0..n).map(|_| rng.normal() * 10.0).collect());
    let finish = Finish::any(rng, output, bias == 2);
    let x = match input {
        Input::Codes(..) => fill(rng, m * k).into_iter().map(u32::from).collect(),
        _ => (0..m * k)
            .map(|_| match rng.below(40) {
                0 => rng.any_f32(),
                _ => rng.normal(),
            })
            .map(|x| {
                let bytes = real_bytes(real, x);
                let mut word = [0; 4];
                word[..bytes.len()].copy_from_slice(&bytes);
                u32::from_le_bytes(word)
            })
            .collect(),
    };
    let layer = Layer {
        m,
        n,
        k,
        weight_code,
        weights,
        scales,
        zero_points,
        layout,
        weight_stride,
        input,
        bias_s32,
        bias_f32,
        output,
        finish,
    };
    let residual = finish.residuals(rng, m * n);
    (layer, x, residual)
}

const SIZES: [usize; 17] = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 67];
const DEPTHS: [usize; 14] = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 64, 127, 301];

#[test]
fn every_tile_equals_the_definition() {
    let mut rng = Rng::new(seed());
    let grid = SIZES.into_iter().flat_map(|m| {
        SIZES.into_iter().flat_map(move |n| DEPTHS.into_iter().map(move |k| (m, n, k)))
    });
    let sets = supported_sets();
    for shape in sampled("linear m x n x k", 7, grid) {
        let (layer, x, residual) = random_layer(&mut rng, shape);
        let expected = layer.definition(&x, &residual);
        let x = (x.as_slice(), residual.as_slice());
        for &set in &sets {
            let plan = layer.create(set);
            let splits = 1 + rng.below(3);
            let label = || {
                format!(
                    "{} {shape:?} {:?} {:?} {:?}",
                    plan.kernel_name(),
                    layer.input,
                    layer.output,
                    layer.finish
                )
            };
            assert_eq!(layer.run(&plan, x, &Serial, 1), expected, "{}", label());
            // Threads are slow to start, under an emulator very; the next test has many.
            let parallel: &dyn Parallel = if rng.below(16) == 0 { &Threads(2) } else { &Backwards };
            assert_eq!(layer.run(&plan, x, parallel, splits), expected, "{}", label());
            fewbit_testkit::covered("linear", set.set(), 1);
        }
    }
    report();
}

#[test]
fn threads_and_splits_change_nothing() {
    let mut rng = Rng::new(seed() + 1);
    let pools = [1, 2, 3, 7].map(rayon_threads);
    for shape in [(1, 600, 40), (50, 300, 33), (130, 7, 20)] {
        for _ in 0..6 {
            let (layer, x, residual) = random_layer(&mut rng, shape);
            let x = (x.as_slice(), residual.as_slice());
            let plan = layer.create(fewbit_testkit::limited());
            let expected = layer.run(&plan, x, &Serial, 1);
            for pool in &pools {
                let threads = Threads(pool.current_num_threads());
                let ways: [&dyn Parallel; 2] =
                    [&threads, &RayonPool::new(pool).with_min_operations(0)];
                for (parallel, splits) in
                    ways.into_iter().flat_map(|way| [1, 2, 5].map(|s| (way, s)))
                {
                    assert_eq!(layer.run(&plan, x, parallel, splits), expected);
                }
            }
        }
    }
}

/// Counts how often it is asked for threads, and for what.
struct Counting(usize, AtomicUsize);

impl Parallel for Counting {
    fn max_workers(&self) -> usize {
        2
    }

    fn min_operations(&self) -> usize {
        self.0
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        self.1.fetch_add(1, Ordering::Relaxed);
        (0..n).for_each(|index| task(index, index % 2));
    }
}

/// A run of as many operations as asked for is handed out, and one of two less is not. (A product of 13 x 11 x 17.)
#[test]
fn small_runs_stay_on_the_calling_thread() {
    let mut rng = Rng::new(seed() + 2);
    let shape = (13, 11, 17);
    for _ in 0..20 {
        let (layer, x, residual) = random_layer(&mut rng, shape);
        let x = (x.as_slice(), residual.as_slice());
        let plan = layer.create(fewbit_testkit::limited());
        let expected = layer.run(&plan, x, &Serial, 1);
        let operations = 2 * 13 * 11 * 17;
        for (least, is_handed_out) in [(operations, true), (operations + 1, false)] {
            let counting = Counting(least, AtomicUsize::new(0));
            assert_eq!(layer.run(&plan, x, &counting, 1), expected);
            assert_eq!(counting.1.into_inner() > 0, is_handed_out);
        }
    }
}

/// The longest products of extreme codes that int32 holds, and one more.
#[test]
fn the_bound_is_exact() {
    let params = |zero_point| QuantParams { scale: 1.0, zero_point };
    // (weights, weight zero point, input code, input zero point, |w - zw| * max|a - za|)
    let cases = [
        (Code::S8, 0x80, 0, Code::U8, 0, 128 * 255),
        (Code::S8, 0x80, 0, Code::S8, 0, 128 * 128),
        (Code::U8, 0xFF, 0, Code::U8, 0, 255 * 255),
        (Code::U8, 0xFF, 0, Code::U8, 255, 255 * 255),
        (Code::S8, 0x80, 127, Code::S8, -128, 255 * 255),
    ];
    for (weight_code, byte, weight_zero, in_code, in_zero, product) in cases {
        let most = (i32::MAX as usize) / product;
        for (k, fits) in [(most, true), (most + 1, false)] {
            let weights = vec![byte; k];
            let desc = LinearDesc {
                in_features: k,
                out_features: 1,
                weights: Weights {
                    format: weight_code.format(),
                    codes: &weights,
                    scales: &[1.0],
                    zero_points: &[weight_zero],
                    ..GOOD.weights
                },
                layout: LinearLayout::Nk,
                weight_stride: 0,
                input: Input::Codes(in_code, params(in_zero)),
                bias: Bias::None,
                output: Output::S32,
                activation: Activation::None,
                activation_mode: ActivationMode::Float,
                residual: Residual::None,
                matrices: 1,
                matrix_stride: 0,
            };
            for set in supported_sets() {
                let plan = Linear::create(&desc, set, &Allocator::DEFAULT);
                if !fits {
                    assert_eq!(plan.err().unwrap().status, Status::LimitExceeded);
                    continue;
                }
                let plan = plan.unwrap();
                assert_eq!(plan.bound(), (k * product) as i64);
                // Every input at either end: the sums reach the bound.
                let needed = plan.workspace(2, 1).unwrap();
                let mut memory = workspace(needed.size);
                let x: Vec<u8> =
                    [0x00, 0xFF, 0x80, 0x7F].iter().flat_map(|&b| vec![b; k]).collect();
                let mut y = [0i32; 4];
                for half in 0..2 {
                    let x = &x[half * 2 * k..(half + 1) * 2 * k];
                    let y = &mut y[half * 2..half * 2 + 2];
                    plan.run(2, x, &mut memory[..needed.size], &Serial, y).unwrap();
                }
                let w = value(weight_code, byte) - weight_zero as i64;
                let expected = [0u8, 0xFF, 0x80, 0x7F]
                    .map(|b| ((value(in_code, b) - in_zero as i64) * w * k as i64) as i32);
                assert_eq!(y, expected, "{}", plan.kernel_name());
                let largest = expected.iter().map(|v| v.unsigned_abs() as i64).max().unwrap();
                assert_eq!(largest, plan.bound());
            }
        }
    }
}

#[test]
fn bad_descriptions_are_refused() {
    let params = QuantParams { scale: 0.1, zero_point: 3 };
    let good = LinearDesc {
        in_features: 4,
        out_features: 3,
        weights: Weights {
            format: Code::S8.format(),
            codes: &[1; 12],
            scales: &[0.5],
            zero_points: &[],
            block: 0,
            multipliers: &[],
            shifts: &[],
        },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: Input::Codes(Code::S8, params),
        bias: Bias::None,
        output: Output::Real(F32),
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
    };
    let refused = |desc: LinearDesc<'_>| {
        let error = Linear::create(&desc, Supported::SCALAR, &Allocator::DEFAULT).err().unwrap();
        (error.status, error.argument)
    };
    assert!(Linear::create(&good, Supported::SCALAR, &Allocator::DEFAULT).is_ok());
    use Status::{BufferTooSmall, InvalidArgument, Unsupported};
    let spec = ParamSpec::affine(IntFormat::U8);
    let dynamic = DynamicSpec { real: F32, code: Code::U8, spec };
    for input in [Input::DynamicPerRow(dynamic), Input::DynamicPerTensor(dynamic)] {
        let desc = LinearDesc { input, ..good };
        assert!(Linear::create(&desc, Supported::SCALAR, &Allocator::DEFAULT).is_ok());
        let sums = LinearDesc { output: Output::S32, ..desc };
        assert_eq!(refused(sums), (Unsupported, "desc.output"));
        let bias = LinearDesc { bias: Bias::S32(&[1; 3]), ..desc };
        assert_eq!(refused(bias), (Unsupported, "desc.bias"));
    }
    assert_eq!(
        refused(LinearDesc { in_features: 0, ..good }),
        (InvalidArgument, "desc.in_features")
    );
    assert_eq!(
        refused(LinearDesc { out_features: 0, ..good }),
        (InvalidArgument, "desc.out_features")
    );
    assert_eq!(
        refused(LinearDesc { weight_stride: 3, ..good }),
        (InvalidArgument, "desc.weight_stride")
    );
    assert_eq!(
        refused(LinearDesc { weight_stride: 5, ..good }),
        (BufferTooSmall, "desc.weights.data")
    );
    assert_eq!(
        refused(LinearDesc { weight_stride: usize::MAX, ..good }),
        (InvalidArgument, "desc")
    );
    assert_eq!(refused(LinearDesc { in_features: usize::MAX, ..good }), (InvalidArgument, "desc"));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let weights = Weights { scales: &[scale], ..good.weights };
        assert_eq!(
            refused(LinearDesc { weights, ..good }),
            (InvalidArgument, "desc.weights.scales")
        );
        let input = Input::Static(F32, Code::S8.format(), QuantParams { scale, zero_point: 0 });
        assert_eq!(refused(LinearDesc { input, ..good }), (InvalidArgument, "desc.input"));
        let output = Output::Codes(Code::S8, QuantParams { scale, zero_point: 0 });
        assert_eq!(refused(LinearDesc { output, ..good }), (InvalidArgument, "desc.output"));
    }
    let weights = Weights { scales: &[1.0; 2], ..good.weights };
    assert_eq!(refused(LinearDesc { weights, ..good }), (InvalidArgument, "desc.weights.scales"));
    let weights = Weights { zero_points: &[128], ..good.weights };
    assert_eq!(
        refused(LinearDesc { weights, ..good }),
        (InvalidArgument, "desc.weights.zero_points")
    );
    let input = Input::Codes(Code::S8, QuantParams { scale: 1.0, zero_point: -129 });
    assert_eq!(refused(LinearDesc { input, ..good }), (InvalidArgument, "desc.input"));
    for (code, format) in [(Code::S8, IntFormat::U8), (Code::U8, IntFormat::S4)] {
        // Zero points of the other format would break the proof of the bound.
        let dynamic = DynamicSpec { real: F32, code, spec: ParamSpec::affine(format) };
        for input in [Input::DynamicPerRow(dynamic), Input::DynamicPerTensor(dynamic)] {
            assert_eq!(refused(LinearDesc { input, ..good }), (InvalidArgument, "desc.input"));
        }
    }
    assert_eq!(
        refused(LinearDesc { bias: Bias::S32(&[1; 4]), ..good }),
        (InvalidArgument, "desc.bias")
    );
    let desc = LinearDesc { bias: Bias::F32(&[1.0; 3]), output: Output::S32, ..good };
    assert_eq!(refused(desc), (Unsupported, "desc.bias"));
}

#[test]
fn bad_runs_are_refused_and_write_nothing() {
    let mut rng = Rng::new(9);
    let (mut layer, _, _) = random_layer(&mut rng, (5, 6, 7));
    layer.input = Input::Static(F32, Code::S8.format(), QuantParams { scale: 0.1, zero_point: 0 });
    layer.output = Output::Real(F32);
    layer.finish.mode = ActivationMode::Float;
    layer.finish.residual = Residual::None;
    layer.bias_s32 = None;
    let plan = layer.create(fewbit_testkit::limited());
    let x = [1.0f32; 35];
    let mut y = [7.0f32; 30];
    let needed = plan.workspace(5, 1).unwrap();
    let mut memory = workspace(needed.size + 64);
    let (xp, yp, wp) = (x.as_ptr().cast::<u8>(), y.as_mut_ptr().cast::<u8>(), memory.as_mut_ptr());
    let call = |x, xs, w, ws, y, ys, range| {
        // SAFETY: refused before anything is touched, or within the buffers.
        unsafe {
            let run = LinearRun {
                rows: 5,
                x,
                x_stride: xs,
                residual: std::ptr::null(),
                residual_stride: 0,
                workspace: w,
                workspace_size: ws,
                y,
                y_stride: ys,
            };
            plan.run_raw(&run, &Serial, range)
        }
        .map_err(|e| (e.status, e.argument))
    };
    use Status::{BufferTooSmall, InvalidArgument, Misaligned, NullPointer, Overlap};
    let size = needed.size;
    let null = core::ptr::null_mut();
    assert_eq!(call(null, 7, wp, size, yp, 6, (0..5, 0..6)), Err((NullPointer, "x")));
    assert_eq!(call(xp, 7, null, size, yp, 6, (0..5, 0..6)), Err((NullPointer, "workspace")));
    assert_eq!(call(xp, 7, wp, size, null, 6, (0..5, 0..6)), Err((NullPointer, "y")));
    assert_eq!(call(xp, 6, wp, size, yp, 6, (0..5, 0..6)), Err((InvalidArgument, "x_stride")));
    assert_eq!(call(xp, 7, wp, size, yp, 5, (0..5, 0..6)), Err((InvalidArgument, "y_stride")));
    assert_eq!(
        call(xp, usize::MAX, wp, size, yp, 6, (0..5, 0..6)),
        Err((InvalidArgument, "x_stride"))
    );
    assert_eq!(
        call(xp, 7, wp, size - 1, yp, 6, (0..5, 0..6)),
        Err((BufferTooSmall, "workspace_size"))
    );
    assert_eq!(
        call(xp, 7, wp.wrapping_add(1), size, yp, 6, (0..5, 0..6)),
        Err((Misaligned, "workspace"))
    );
    assert_eq!(call(xp.wrapping_add(1), 7, wp, size, yp, 6, (0..5, 0..6)), Err((Misaligned, "x")));
    assert_eq!(call(xp, 7, wp, size, yp, 6, (0..6, 0..6)), Err((InvalidArgument, "row_end")));
    assert_eq!(call(xp, 7, wp, size, yp, 6, (0..5, 3..7)), Err((InvalidArgument, "col_end")));
    assert_eq!(call(xp, 7, wp, size, xp.cast_mut(), 6, (0..5, 0..6)), Err((Overlap, "y")));
    assert_eq!(call(xp, 7, wp, size, wp, 6, (0..5, 0..6)), Err((Overlap, "workspace")));
    assert!(y.iter().all(|&v| v == 7.0));
    assert_eq!(call(null, 0, null, 0, null, 0, (2..2, 0..6)), Ok(()));
    assert_eq!(call(xp, 7, wp, size, yp, 6, (0..5, 0..6)), Ok(()));
    assert!(y.iter().all(|&v| v != 7.0));
    assert_eq!(bits(&y).len(), 30);
}
