//! What plans make of sums beside a scale a column: codes by fixed point against integers of any size, codes of parameters
//! that each row chooses against the same plan with f32 output, and weights with a scale a block against their chain.

mod common;

use common::{
    Backwards, Finish, Operands, OwnedBias, Threads, bits, real_bytes, real_value, value, workspace,
};
use fewbit::granularity::{Granularity, Layout};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    FixedMultiplier, FixedRounding, ParamSpec, QuantParams, QuantizeMode, RealFormat, Scheme,
    SymmetricRange, dequantize, quantize, real::canonical, scale_blocks,
};
use fewbit::simd::Supported;
use fewbit::tensor::{self, Reals, TensorQuant};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, FilterLayout, ImageLayout,
    Input, Linear, LinearDesc, LinearLayout, LinearRun, Output, OutputParams, Parallel, Residual,
    Result, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, covered, limited, reference, report, sampled, seed, supported_sets};

const CODES: [Code; 2] = [Code::S8, Code::U8];
const SIZES: [usize; 10] = [1, 2, 3, 5, 7, 12, 13, 16, 33, 67];
const DEPTHS: [usize; 9] = [1, 3, 8, 16, 17, 48, 64, 127, 301];

fn shapes() -> impl Iterator<Item = (usize, usize, usize)> {
    SIZES.into_iter().flat_map(|m| {
        SIZES.into_iter().flat_map(move |n| DEPTHS.into_iter().map(move |k| (m, n, k)))
    })
}

fn params(rng: &mut Rng, code: Code, scale: f32) -> QuantParams {
    QuantParams { scale, zero_point: code.format().qmin() + rng.below(256) as i32 }
}

fn linear<'a>(
    operands: &'a Operands,
    (n, k): (usize, usize),
    layout: LinearLayout,
) -> LinearDesc<'a> {
    LinearDesc {
        in_features: k,
        out_features: n,
        weights: operands.weights(),
        layout,
        weight_stride: 0,
        input: operands.input,
        bias: operands.bias.borrow(),
        output: operands.output,
        activation: operands.finish.activation,
        activation_mode: operands.finish.mode,
        residual: operands.finish.residual,
    }
}

/// A convolution of 5 x 4 pixels and 3 x 2 taps, in three groups.
fn conv<'a>(operands: &'a Operands, layout: ImageLayout) -> ConvDesc<'a> {
    let axis = |size, kernel, pad| ConvAxis {
        size,
        kernel,
        stride: 1,
        dilation: 1,
        pad_begin: pad,
        pad_end: 0,
    };
    ConvDesc {
        in_channels: CHANNELS.0,
        out_channels: CHANNELS.1,
        groups: 3,
        axes: [ConvAxis::NONE, axis(5, 3, 1), axis(4, 2, 2)],
        layout,
        filter_layout: FilterLayout::Ohwi,
        weights: operands.weights(),
        input: operands.input,
        bias: operands.bias.borrow(),
        output: operands.output,
        activation: operands.finish.activation,
        activation_mode: operands.finish.mode,
        residual: operands.finish.residual,
    }
}

/// Channels in and out of [`conv`], and its weights.
const CHANNELS: (usize, usize) = (6, 9);
const FILTERS: usize = 9 * 6 * 2;

/// `numerator / denominator` to the nearest integer, ties away from zero.
fn nearest_away(numerator: i128, denominator: i128) -> i128 {
    let half = if numerator < 0 { -denominator } else { denominator };
    (2 * numerator + half) / (2 * denominator)
}

/// `docs/numerics.md`, in integers that nothing overflows.
fn fixed(acc: i32, (multiplier, shift): (i32, i32), rounding: FixedRounding) -> i128 {
    let saturated = |x: i128| x.clamp(i32::MIN as i128, i32::MAX as i128);
    let (acc, multiplier) = (acc as i128, multiplier as i128);
    match rounding {
        FixedRounding::Single => {
            let unit = 1i128 << (31 - shift);
            saturated((2 * acc * multiplier + unit).div_euclid(2 * unit))
        }
        FixedRounding::Double => {
            let left = saturated(acc << shift.max(0));
            let high = (2 * left * multiplier + (1 << 31)).div_euclid(1 << 32);
            nearest_away(saturated(high), 1 << (-shift).max(0))
        }
    }
}

/// TensorFlow Lite's `QuantizeMultiplier` of a convolution's scales, by way of frexp.
fn multiplier_of(input: f32, weight: f32, output: f32) -> (i32, i32) {
    let mut mantissa = f64::from(input) * f64::from(weight) / f64::from(output);
    let mut shift = 0;
    while mantissa >= 1.0 {
        (mantissa, shift) = (mantissa / 2.0, shift + 1);
    }
    while mantissa < 0.5 {
        (mantissa, shift) = (mantissa * 2.0, shift - 1);
    }
    let mut fixed = (mantissa * 2f64.powi(31)).round() as i64;
    if fixed == 1 << 31 {
        (fixed, shift) = (fixed / 2, shift + 1);
    }
    if shift < -31 { (0, 0) } else { (fixed as i32, shift) }
}

/// A plan's codes by fixed point.
struct FixedCase {
    operands: Operands,
    /// Multipliers and shifts given; empty: made of the scales.
    given: (Vec<i32>, Vec<i32>),
    code: Code,
    params: QuantParams,
    rounding: FixedRounding,
}

impl FixedCase {
    fn any(rng: &mut Rng, channels: usize, weights: usize, products: usize) -> FixedCase {
        let mut operands = Operands::any(rng, channels, weights);
        let in_code = rng.pick(&CODES);
        let scale = 0.001 + rng.unit();
        operands.input = match rng.below(3) {
            0 => Input::Static(RealFormat::F32, in_code, params(rng, in_code, scale)),
            _ => Input::Codes(in_code, params(rng, in_code, scale)),
        };
        operands.scales.iter_mut().for_each(|scale| *scale = 0.001 + rng.unit());
        if let OwnedBias::F32(_) = operands.bias {
            // Up to a quarter of int32: codes saturate, and sums are far beyond 24 bits.
            let any = |rng: &mut Rng| rng.next_u32() as i32 >> (2 + rng.below(28));
            operands.bias = OwnedBias::S32((0..channels).map(|_| any(rng)).collect());
        }
        let code = rng.pick(&CODES);
        let size = operands.input_scale() * operands.scales[0] * 100.0 * (products as f32).sqrt();
        let factor = rng.pick(&[1.0, 1e-4, 30.0, 1e5]);
        let params = params(rng, code, factor * (size + 1e-6));
        let rounding = rng.pick(&[FixedRounding::Single, FixedRounding::Double]);
        operands.output = Output::FixedPoint(code, params, rounding);
        let high = rng.unit() * 60.0 * params.scale;
        operands.finish = Finish {
            activation: rng.pick(&[
                Activation::None,
                Activation::Relu,
                Activation::Clamp { low: -high, high },
                // Bounds halfway between codes.
                Activation::Clamp { low: -2.5 * params.scale, high: 6.5 * params.scale },
            ]),
            mode: ActivationMode::Float,
            residual: Residual::None,
        };
        if rng.below(4) == 0 {
            let between = rng.pick(&CODES);
            let steps = params_near(rng, between, params.scale);
            operands.finish.mode = ActivationMode::Table(between, steps);
            operands.finish.activation = rng.pick(&[Activation::Tanh, Activation::Relu]);
        }
        let mut given = (Vec::new(), Vec::new());
        if rng.below(3) == 0 {
            for _ in 0..rng.pick(&[1, channels]) {
                let multiplier = (1 << 30) + (rng.next_u32() >> 2) as i32;
                given.0.push(rng.pick(&[multiplier, multiplier, 0, i32::MAX]));
                given.1.push(rng.pick(&[-31, -20, -12, -8, -1, 0, 3, 30]));
            }
            if rng.below(2) == 0 {
                operands.scales.clear();
            }
        }
        FixedCase { operands, given, code, params, rounding }
    }

    fn weights(&self) -> Weights<'_> {
        let (multipliers, shifts) = (&self.given.0, &self.given.1);
        Weights { multipliers, shifts, ..self.operands.weights() }
    }

    /// The code of an exact sum, bias included.
    fn code(&self, acc: i32, channel: usize) -> u8 {
        let finish = self.operands.finish;
        let (code, steps) = match finish.mode {
            ActivationMode::Float => (self.code, self.params),
            ActivationMode::Table(code, steps) => (code, steps),
        };
        let pick = |values: &[i32]| values[channel % values.len()];
        let multiplier = match self.given.0.is_empty() {
            true => {
                let scales = &self.operands.scales;
                let input = self.operands.input_scale();
                multiplier_of(input, scales[channel % scales.len()], steps.scale)
            }
            false => (pick(&self.given.0), pick(&self.given.1)),
        };
        let (qmin, qmax) = (code.format().qmin() as i128, code.format().qmax() as i128);
        let q = fixed(acc, multiplier, self.rounding) + steps.zero_point as i128;
        let q = q.clamp(qmin, qmax);
        if finish.mode != ActivationMode::Float {
            let y = finish.activation.apply(dequantize(q as i32, steps));
            return quantize(y, self.params, self.code.format(), QuantizeMode::default()) as u8;
        }
        // TensorFlow Lite's bounds: zero point + round half away (bound / scale), as f32.
        let bound = |x: f32| {
            let steps = (x / steps.scale).round().clamp(-1e6, 1e6) as i128;
            (steps + self.params.zero_point as i128).clamp(qmin, qmax)
        };
        let (low, high) = match finish.activation {
            Activation::Relu => (self.params.zero_point as i128, qmax),
            Activation::Clamp { low, high } => (bound(low), bound(high)),
            _ => (qmin, qmax),
        };
        q.clamp(low, high) as u8
    }
}

fn params_near(rng: &mut Rng, code: Code, scale: f32) -> QuantParams {
    let scale = scale * (0.5 + rng.unit());
    params(rng, code, scale)
}

#[test]
fn fixed_point_equals_integers() {
    let mut rng = Rng::new(seed() ^ 0xF1);
    for (m, n, k) in sampled("fixed point m x n x k", 5, shapes()) {
        let case = FixedCase::any(&mut rng, n, n * k, k);
        let operands = &case.operands;
        let data = operands.any_data(&mut rng, m, m * k);
        let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
        let rows = operands.quantized(&data, m);
        let lhs: Vec<i64> = rows.iter().flat_map(|(codes, _)| codes.iter().copied()).collect();
        let zero = rows[0].1.zero_point as i64;
        let at =
            |c: usize, i: usize| if layout == LinearLayout::Nk { c * k + i } else { i * n + c };
        let rhs: Vec<i64> = (0..n * k)
            .map(|i| value(operands.weight_code, operands.weights[at(i / k, i % k)]))
            .collect();
        let zeros: Vec<i64> = (0..n).map(|c| operands.weight_zero_point(c)).collect();
        let sums = reference::matmul((m, n, k), &lhs, &[zero], &rhs, &zeros);
        let expected: Vec<u8> = sums
            .iter()
            .enumerate()
            .map(|(i, &sum)| {
                let bias = match &operands.bias {
                    OwnedBias::S32(bias) => i64::from(bias[i % n]),
                    _ => 0,
                };
                case.code(i32::try_from(sum + bias).expect("within the bound"), i % n)
            })
            .collect();
        for set in supported_sets() {
            let desc = LinearDesc { weights: case.weights(), ..linear(operands, (n, k), layout) };
            let plan = Linear::create(&desc, set, &Allocator::DEFAULT).unwrap();
            for parallel in [&Serial as &dyn Parallel, &Backwards] {
                let size = plan.workspace(m, parallel.max_workers()).unwrap().size;
                let mut memory = workspace(size);
                let mut y = vec![0u8; m * n];
                run(&plan, operands, m, &data, &mut memory, parallel, &mut y).unwrap();
                assert_eq!(y, expected, "{} {operands:?} {:?}", plan.kernel_name(), case.given);
            }
            covered("fixed_point", set.set(), 1);
        }
    }
    report();
}

/// Runs a plan without residual on bytes.
fn run<Y: fewbit::memory::Plain>(
    plan: &Linear,
    operands: &Operands,
    m: usize,
    data: &[u8],
    memory: &mut [u8],
    parallel: &dyn Parallel,
    y: &mut [Y],
) -> Result<()> {
    match operands.input_element() {
        1 => plan.run(m, data, memory, parallel, y),
        2 => plan.run(m, &halves(data), memory, parallel, y),
        _ => plan.run(m, &floats(data), memory, parallel, y),
    }
}

fn floats(data: &[u8]) -> Vec<f32> {
    data.chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap())).collect()
}

fn halves(data: &[u8]) -> Vec<u16> {
    data.chunks_exact(2).map(|b| u16::from_ne_bytes(b.try_into().unwrap())).collect()
}

/// A convolution's exact sums, which other tests prove, and the codes of each.
#[test]
fn fixed_point_of_convolutions_equals_integers() {
    let mut rng = Rng::new(seed() ^ 0xF2);
    for _ in 0..60 {
        let (layout, images) = (rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]), 2);
        let case = FixedCase::any(&mut rng, CHANNELS.1, FILTERS, 12);
        let mut summed = case.operands.clone();
        summed.output = Output::S32;
        (summed.finish.activation, summed.finish.mode) = (Activation::None, ActivationMode::Float);
        if summed.scales.is_empty() {
            summed.scales.push(1.0);
        }
        for set in supported_sets() {
            let desc = ConvDesc { weights: case.weights(), ..conv(&case.operands, layout) };
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let sums = Conv::create(&conv(&summed, layout), set, &Allocator::DEFAULT).unwrap();
            let (inputs, outputs) = plan.image_elements();
            let data = case.operands.any_data(&mut rng, images, images * inputs);
            let mut memory = workspace(plan.workspace(images, 1).unwrap().size);
            let (mut acc, mut y) = (vec![0i32; images * outputs], vec![0u8; images * outputs]);
            if case.operands.input_element() == 1 {
                sums.run(images, &data, &mut memory, &Serial, &mut acc).unwrap();
                plan.run(images, &data, &mut memory, &Serial, &mut y).unwrap();
            } else {
                sums.run(images, &floats(&data), &mut memory, &Serial, &mut acc).unwrap();
                plan.run(images, &floats(&data), &mut memory, &Serial, &mut y).unwrap();
            }
            let pixels = outputs / CHANNELS.1;
            let expected: Vec<u8> = (0..images * outputs)
                .map(|i| {
                    let channel = match layout {
                        ImageLayout::Nhwc => i % CHANNELS.1,
                        ImageLayout::Nchw => i / pixels % CHANNELS.1,
                    };
                    case.code(acc[i], channel)
                })
                .collect();
            assert_eq!(y, expected, "{:?}", case.operands);
        }
    }
}

/// A spec of any kind.
fn any_spec(rng: &mut Rng, code: Code) -> ParamSpec {
    ParamSpec {
        format: code.format(),
        scheme: rng.pick(&[Scheme::Affine, Scheme::Symmetric]),
        range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
        power_of_two: rng.below(4) == 0,
    }
}

/// The operands of a plan whose output is dynamic, as for f32 output.
fn real_operands(rng: &mut Rng, channels: usize, weights: usize) -> Operands {
    loop {
        let mut operands = Operands::any(rng, channels, weights);
        operands.output = Output::Real(RealFormat::F32);
        operands.finish = Finish::any(rng, operands.output, true);
        if !matches!(operands.bias, OwnedBias::S32(_)) || !operands.is_dynamic() {
            return operands;
        }
    }
}

/// `rows` rows by `fewbit_quantize_dynamic`.
fn by_row(
    real: &[f32],
    rows: usize,
    spec: ParamSpec,
    set: Supported,
) -> (Vec<u8>, Vec<f32>, Vec<i32>) {
    let n = real.len() / rows;
    let layout = Layout::contiguous(&[rows, n]).unwrap();
    let quant = TensorQuant {
        params: spec,
        granularity: Granularity::PerAxis { axis: 0 },
        mode: QuantizeMode::default(),
    };
    let (mut codes, mut scales, mut zeros) =
        (vec![0u8; real.len()], vec![0.0; rows], vec![0; rows]);
    let x = Reals { format: RealFormat::F32, at: real.as_ptr().cast() };
    let places = (scales.as_mut_slice(), Some(zeros.as_mut_slice()));
    let q = (codes.as_mut_ptr(), &layout);
    // SAFETY: contiguous rows on both sides.
    unsafe { tensor::quantize_dynamic((x, &layout), &quant, places, q, &Serial, set) }.unwrap();
    (codes, scales, zeros)
}

#[test]
fn dynamic_output_is_that_of_f32_quantized_by_row() {
    let mut rng = Rng::new(seed() ^ 0xD1);
    for (m, n, k) in sampled("dynamic output m x n x k", 5, shapes()) {
        let operands = real_operands(&mut rng, n, n * k);
        let code = rng.pick(&CODES);
        let spec = any_spec(&mut rng, code);
        let data = operands.any_data(&mut rng, m, m * k);
        let residual = operands.finish.residuals(&mut rng, m * n);
        for set in supported_sets() {
            let real = linear(&operands, (n, k), LinearLayout::Nk);
            let desc = LinearDesc { output: Output::DynamicPerRow(code, spec), ..real };
            let real = Linear::create(&real, set, &Allocator::DEFAULT).unwrap();
            let plan = Linear::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let mut memory = workspace(plan.workspace(m, 3).unwrap().size);
            let (x, x_stride) = (data.as_ptr(), k);
            let mut y = vec![0f32; m * n];
            let call = |y: *mut u8, y_stride, memory: &mut [u8]| LinearRun {
                rows: m,
                x,
                x_stride,
                residual: residual.as_ptr(),
                residual_stride: n,
                workspace: memory.as_mut_ptr(),
                workspace_size: memory.len(),
                y,
                y_stride,
            };
            let whole = call(y.as_mut_ptr().cast(), n, &mut memory);
            // SAFETY: contiguous rows.
            unsafe { real.run_raw(&whole, &Serial, (0..m, 0..n)) }.unwrap();
            let expected = by_row(&y, m, spec, set);
            let stride = n + 3;
            for (splits, parallel) in
                [(1, &Serial as &dyn Parallel), (1, &Backwards), (3, &Backwards)]
            {
                let mut codes = vec![0x5Au8; m * stride];
                let (mut scales, mut zeros) = (vec![-1.0; m], vec![1000; m]);
                let run = call(codes.as_mut_ptr(), stride, &mut memory);
                let params =
                    OutputParams { scales: scales.as_mut_ptr(), zero_points: zeros.as_mut_ptr() };
                for part in 0..splits {
                    let rows = m * part / splits..m * (part + 1) / splits;
                    let end = rows.end;
                    // SAFETY: rows `stride` apart, and a value a row.
                    unsafe { plan.run_dynamic_raw(&run, &params, parallel, rows) }.unwrap();
                    // SAFETY: as above: reads between the calls that write.
                    let next = unsafe { params.scales.add(end.min(m - 1)).read() };
                    assert!(end == m || next == -1.0, "beyond the range");
                }
                let rows = codes.chunks_exact(stride);
                let dense: Vec<u8> = rows.clone().flat_map(|row| row[..n].to_vec()).collect();
                assert!(rows.clone().all(|row| row[n..].iter().all(|&b| b == 0x5A)));
                let label = || format!("{} {operands:?} {spec:?}", plan.kernel_name());
                assert_eq!(dense, expected.0, "{}", label());
                assert_eq!(bits(&scales), bits(&expected.1), "{}", label());
                assert_eq!(zeros, expected.2, "{}", label());
            }
            covered("dynamic_output", set.set(), 1);
        }
    }
    report();
}

#[test]
fn dynamic_output_of_convolutions_is_that_of_f32_quantized_by_image() {
    let mut rng = Rng::new(seed() ^ 0xD2);
    for _ in 0..60 {
        let layout = rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]);
        let images = 1 + rng.below(3);
        let mut operands = real_operands(&mut rng, CHANNELS.1, FILTERS);
        if !matches!(operands.finish.residual, Residual::None | Residual::Codes(..)) {
            operands.finish.residual = Residual::None;
        }
        let code = rng.pick(&CODES);
        let spec = any_spec(&mut rng, code);
        for set in supported_sets() {
            let real = conv(&operands, layout);
            let desc = ConvDesc { output: Output::DynamicPerRow(code, spec), ..real };
            let real = Conv::create(&real, set, &Allocator::DEFAULT).unwrap();
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let (inputs, outputs) = plan.image_elements();
            let data = operands.any_data(&mut rng, images, images * inputs);
            let residual = operands.finish.residuals(&mut rng, images * outputs);
            let mut memory = workspace(plan.workspace(images, 2).unwrap().size);
            let mut y = vec![0f32; images * outputs];
            let mut codes = vec![0u8; images * outputs];
            let (mut scales, mut zeros) = (vec![0.0; images], vec![0; images]);
            macro_rules! both {
                ($x:expr) => {{
                    let x = $x;
                    let (r, w, out) = (&residual, &mut memory, &mut y);
                    real.run_with_residual(images, x, r, w, &Serial, out).unwrap();
                    let (places, out) = ((&mut scales[..], &mut zeros[..]), &mut codes);
                    let threads = Threads(2);
                    let w = &mut memory;
                    plan.run_dynamic(images, x, r, w, &threads, out, places).unwrap();
                }};
            }
            match operands.input_element() {
                1 => both!(&data),
                2 => both!(&halves(&data)),
                _ => both!(&floats(&data)),
            }
            let expected = by_row(&y, images, spec, set);
            assert_eq!(codes, expected.0, "{operands:?} {spec:?}");
            assert_eq!(bits(&scales), bits(&expected.1), "{operands:?} {spec:?}");
            assert_eq!(zeros, expected.2, "{operands:?} {spec:?}");
        }
    }
}

/// Weights with a scale a block: the chain of fused multiply-adds, in plain loops.
struct Blocked {
    operands: Operands,
    block: usize,
    layout: LinearLayout,
}

impl Blocked {
    fn any(rng: &mut Rng, (n, k): (usize, usize)) -> Blocked {
        let block = rng.pick(&[16, 32, 48, 64, 128, 256]);
        let count = k.div_ceil(block);
        let mut operands = real_operands(rng, n, n * k);
        if let OwnedBias::S32(_) = operands.bias {
            operands.bias = OwnedBias::F32((0..n).map(|_| 20.0 * rng.normal()).collect());
        }
        // Scales of all sizes: sums of blocks overflow, vanish and cancel.
        let sizes = rng.pick(&[[1.0, 1.0, 1.0], [1.0, 1e-30, 1e3], [1e38, 1.0, 1e-40]]);
        operands.scales = (0..n * count).map(|_| rng.pick(&sizes) * (0.01 + rng.unit())).collect();
        let zeros = rng.pick(&[0, 1, n * count]);
        let format = operands.weight_code.format();
        operands.zero_points = (0..zeros).map(|_| format.qmin() + rng.below(256) as i32).collect();
        let code = rng.pick(&CODES);
        let scale = 500.0 * rng.unit() + 0.01;
        operands.output = match rng.below(4) {
            0 => Output::Codes(code, params(rng, code, scale)),
            _ => Output::Real(rng.pick(&RealFormat::ALL)),
        };
        Blocked { operands, block, layout: rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]) }
    }

    fn desc(&self, (n, k): (usize, usize)) -> LinearDesc<'_> {
        let weights = Weights { block: self.block, ..self.operands.weights() };
        LinearDesc { weights, ..linear(&self.operands, (n, k), self.layout) }
    }

    /// The outputs' bytes by definition.
    fn definition(
        &self,
        (m, n, k): (usize, usize, usize),
        data: &[u8],
        residual: &[u8],
    ) -> Vec<u8> {
        let operands = &self.operands;
        let (finish, count) = (operands.finish, k.div_ceil(self.block));
        let rows = operands.quantized(data, m);
        let mut bytes = Vec::new();
        for (row, (codes, lhs)) in rows.iter().enumerate() {
            for c in 0..n {
                let (mut y, mut sums, mut factors) = (0f32, Vec::new(), Vec::new());
                for b in 0..count {
                    let zero = match operands.zero_points.as_slice() {
                        [] => 0,
                        [one] => *one,
                        all => all[c * count + b],
                    };
                    let mut sum = 0i64;
                    for i in b * self.block..k.min((b + 1) * self.block) {
                        let at = match self.layout {
                            LinearLayout::Nk => c * k + i,
                            LinearLayout::Kn => i * n + c,
                        };
                        let w = value(operands.weight_code, operands.weights[at]);
                        sum += (codes[i] - lhs.zero_point as i64) * (w - zero as i64);
                    }
                    let scale = operands.scales[c * count + b];
                    y = (sum as f32).mul_add(lhs.scale * scale, y);
                    sums.push(sum as i32);
                    factors.push(scale);
                }
                let bias = match &operands.bias {
                    OwnedBias::F32(bias) => Some(bias[c]),
                    _ => None,
                };
                y = canonical(bias.map_or(y, |bias| y + bias));
                // The contract says the same.
                let contract = scale_blocks(&sums, lhs.scale, &factors, bias, false);
                assert_eq!(contract.to_bits(), y.to_bits());
                let added = finish.residual_element();
                let residual = &residual[(row * n + c) * added..][..added];
                match finish.residual {
                    Residual::None => {}
                    Residual::Real(format) => y = canonical(y + real_value(format, residual)),
                    Residual::Codes(code, params) => {
                        y = canonical(y + dequantize(value(code, residual[0]) as i32, params));
                    }
                }
                y = finish.activation.apply(y);
                match operands.output {
                    Output::Codes(code, params) => {
                        let q = quantize(y, params, code.format(), QuantizeMode::default());
                        bytes.push(q as u8);
                    }
                    Output::Real(format) => bytes.extend(real_bytes(format, y)),
                    _ => unreachable!(),
                }
            }
        }
        bytes
    }
}

#[test]
fn blocks_of_weights_equal_their_chain() {
    let mut rng = Rng::new(seed() ^ 0xB1);
    for (m, n, k) in sampled("blocks m x n x k", 4, shapes()) {
        let case = Blocked::any(&mut rng, (n, k));
        let operands = &case.operands;
        let data = operands.any_data(&mut rng, m, m * k);
        let residual = operands.finish.residuals(&mut rng, m * n);
        let expected = case.definition((m, n, k), &data, &residual);
        let element = operands.output_element();
        for set in supported_sets() {
            let plan = Linear::create(&case.desc((n, k)), set, &Allocator::DEFAULT).unwrap();
            for (splits, parallel) in [(1, &Serial as &dyn Parallel), (2, &Backwards)] {
                let size = plan.workspace(m, parallel.max_workers()).unwrap().size;
                let mut memory = workspace(size);
                let mut y = workspace(m * n * element);
                for part in 0..splits {
                    let rows = m * part / splits..m * (part + 1) / splits;
                    for columns in [0..n / 3, n / 3..n] {
                        let run = LinearRun {
                            rows: m,
                            x: data.as_ptr(),
                            x_stride: k,
                            residual: residual.as_ptr(),
                            residual_stride: n,
                            workspace: memory.as_mut_ptr(),
                            workspace_size: size,
                            y: y.as_mut_ptr(),
                            y_stride: n,
                        };
                        // SAFETY: contiguous rows.
                        unsafe { plan.run_raw(&run, parallel, (rows.clone(), columns)) }.unwrap();
                    }
                }
                let label = || format!("{} {:?} {operands:?}", plan.kernel_name(), case.block);
                assert_eq!(y[..], expected[..], "{}", label());
            }
            covered("blocks", set.set(), 1);
        }
    }
    report();
}

/// One block of all weights is a scale a channel, but for results of -0.
#[test]
fn one_block_is_a_scale_a_channel() {
    let mut rng = Rng::new(seed() ^ 0xB2);
    let (m, n, k) = (5, 21, 64);
    let mut operands = real_operands(&mut rng, n, n * k);
    operands.input = Input::Codes(Code::S8, QuantParams { scale: 0.5, zero_point: 3 });
    operands.bias = OwnedBias::F32((0..n).map(|_| rng.normal()).collect());
    operands.finish = Finish {
        activation: Activation::None,
        mode: ActivationMode::Float,
        residual: Residual::None,
    };
    operands.scales = (0..n).map(|_| 0.01 + rng.unit()).collect();
    operands.zero_points.clear();
    let data = rng.bytes(m * k);
    let desc = linear(&operands, (n, k), LinearLayout::Nk);
    let blocked = Weights { block: 64, ..desc.weights };
    let [plain, blocked] = [desc, LinearDesc { weights: blocked, ..desc }].map(|desc| {
        let plan = Linear::create(&desc, limited(), &Allocator::DEFAULT).unwrap();
        let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
        let mut y = vec![0f32; m * n];
        plan.run(m, &data, &mut memory, &Serial, &mut y).unwrap();
        y
    });
    assert_eq!(plain, blocked);
}

#[test]
fn what_has_no_meaning_is_refused() {
    use Status::{InvalidArgument, LimitExceeded, NullPointer, Overlap, Unsupported};
    let params = QuantParams { scale: 0.1, zero_point: 3 };
    let output = Output::FixedPoint(Code::S8, params, FixedRounding::Double);
    let good = LinearDesc {
        in_features: 32,
        out_features: 2,
        weights: Weights {
            code: Code::S8,
            codes: &[1; 64],
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
        output,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
    };
    let create = |desc: &LinearDesc<'_>| Linear::create(desc, limited(), &Allocator::DEFAULT);
    let refused = |desc: LinearDesc<'_>| {
        let error = create(&desc).err().expect("refused");
        (error.status, error.argument)
    };
    assert!(create(&good).is_ok());
    // Fixed point.
    let spec = ParamSpec::affine(Code::U8.format());
    let dynamic = fewbit::DynamicSpec { real: RealFormat::F32, code: Code::U8, spec };
    let input = Input::DynamicPerRow(dynamic);
    assert_eq!(refused(LinearDesc { input, ..good }), (Unsupported, "desc.output"));
    let bias = Bias::F32(&[1.0; 2]);
    assert_eq!(refused(LinearDesc { bias, ..good }), (Unsupported, "desc.bias"));
    let residual = Residual::Real(RealFormat::F32);
    assert_eq!(refused(LinearDesc { residual, ..good }), (Unsupported, "desc.residual"));
    let activation = Activation::Tanh;
    let desc = LinearDesc { activation, ..good };
    assert_eq!(refused(desc), (Unsupported, "desc.output.activation"));
    let activation_mode = ActivationMode::Table(Code::S8, params);
    assert!(create(&LinearDesc { activation_mode, ..desc }).is_ok());
    // A multiplier of 2^30: beyond fixed point.
    let huge = QuantParams { scale: 2f32.powi(-31), zero_point: 0 };
    let input = Input::Codes(Code::S8, QuantParams { scale: 1.0, zero_point: 0 });
    let tiny = Output::FixedPoint(Code::S8, huge, FixedRounding::Single);
    assert_eq!(
        refused(LinearDesc { input, output: tiny, ..good }),
        (InvalidArgument, "desc.output")
    );
    let with = |multipliers, shifts| Weights { multipliers, shifts, ..good.weights };
    for (multipliers, shifts, argument) in [
        (&[1 << 30; 3][..], &[0; 3][..], "desc.weights.multipliers"),
        (&[1 << 30; 2], &[0], "desc.weights.shifts"),
        (&[], &[0], "desc.weights.shifts"),
        (&[-1], &[0], "desc.weights.multipliers"),
        (&[1], &[31], "desc.weights.multipliers"),
        (&[1], &[-32], "desc.weights.multipliers"),
    ] {
        let weights = with(multipliers, shifts);
        assert_eq!(refused(LinearDesc { weights, ..good }), (InvalidArgument, argument));
    }
    let weights = with(&[1 << 30], &[0]);
    assert!(create(&LinearDesc { weights: Weights { scales: &[], ..weights }, ..good }).is_ok());
    let real = LinearDesc { output: Output::Real(RealFormat::F32), ..good };
    assert_eq!(refused(LinearDesc { weights, ..real }), (Unsupported, "desc.weights.multipliers"));
    let weights = Weights { scales: &[], ..good.weights };
    assert_eq!(refused(LinearDesc { weights, ..good }), (InvalidArgument, "desc.weights.scales"));

    // Blocks.
    let blocked = |block, scales| Weights { block, scales, ..good.weights };
    assert!(create(&LinearDesc { weights: blocked(16, &[1.0; 4]), ..real }).is_ok());
    for (weights, argument) in [
        (blocked(8, &[1.0; 8]), "desc.weights.block"),
        (blocked(usize::MAX, &[1.0; 2]), "desc.weights.block"),
        (blocked(16, &[1.0; 2]), "desc.weights.scales"),
        (blocked(16, &[1.0; 1]), "desc.weights.scales"),
        (Weights { zero_points: &[0; 2], ..blocked(16, &[1.0; 4]) }, "desc.weights.zero_points"),
        (blocked(16, &[1.0, 1.0, 0.0, 1.0]), "desc.weights.scales"),
    ] {
        assert_eq!(refused(LinearDesc { weights, ..real }), (InvalidArgument, argument));
    }
    let weights = blocked(16, &[1.0; 4]);
    let sums = LinearDesc { output: Output::S32, ..good };
    let codes = LinearDesc { output: Output::Codes(Code::S8, params), activation_mode, ..good };
    for desc in [good, sums, codes, LinearDesc { bias: Bias::S32(&[1; 2]), ..real }] {
        assert_eq!(refused(LinearDesc { weights, ..desc }), (Unsupported, "desc.weights.block"));
    }
    // A block's sum must fit int32, not the row's.
    let long = vec![0x80u8; 1 << 18];
    let desc = LinearDesc { in_features: 1 << 18, out_features: 1, ..real };
    let scales = vec![1.0; 1 << 2];
    let weights = Weights { codes: &long, block: 1 << 16, scales: &scales, ..good.weights };
    assert!(create(&LinearDesc { weights, ..desc }).is_ok());
    let weights = Weights { codes: &long, ..good.weights };
    assert_eq!(refused(LinearDesc { weights, ..desc }), (LimitExceeded, "desc.weights"));

    // Dynamic output.
    let desc = LinearDesc { output: Output::DynamicPerRow(Code::S8, spec), ..good };
    assert_eq!(refused(desc), (InvalidArgument, "desc.output"));
    let desc = LinearDesc { output: Output::DynamicPerRow(Code::U8, spec), ..good };
    assert_eq!(
        refused(LinearDesc { activation_mode, ..desc }),
        (Unsupported, "desc.output.activation")
    );
    let plan = create(&desc).unwrap();
    let mut memory = workspace(plan.workspace(2, 1).unwrap().size);
    let (x, mut y) = ([1u8; 64], [7u8; 4]);
    let error = plan.run(2, &x, &mut memory, &Serial, &mut y).unwrap_err();
    assert_eq!((error.status, error.argument), (Unsupported, "linear"));
    let (mut scales, mut zeros) = ([7.0f32; 4], [7i32; 4]);
    let run = LinearRun {
        rows: 2,
        x: x.as_ptr(),
        x_stride: 32,
        residual: std::ptr::null(),
        residual_stride: 0,
        workspace: memory.as_mut_ptr(),
        workspace_size: memory.len(),
        y: y.as_mut_ptr(),
        y_stride: 2,
    };
    let null = std::ptr::null_mut::<u8>();
    let dynamic = |scales: *mut f32, zero_points: *mut i32, plan: &Linear, range| {
        let params = OutputParams { scales, zero_points };
        // SAFETY: refused before anything is touched, or within the buffers.
        unsafe { plan.run_dynamic_raw(&run, &params, &Serial, range) }
            .map_err(|error| (error.status, error.argument))
    };
    let (at, zero) = (scales.as_mut_ptr(), zeros.as_mut_ptr());
    assert_eq!(dynamic(null.cast(), zero, &plan, 0..2), Err((NullPointer, "scales")));
    assert_eq!(dynamic(at, null.cast(), &plan, 0..2), Err((NullPointer, "zero_points")));
    assert_eq!(dynamic(at, at.cast(), &plan, 0..2), Err((Overlap, "zero_points")));
    assert_eq!(dynamic(run.y.cast(), zero, &plan, 0..2).unwrap_err().1, "scales");
    assert_eq!(dynamic(at, run.workspace.cast(), &plan, 0..2), Err((Overlap, "zero_points")));
    assert_eq!(dynamic(at, zero, &plan, 0..3), Err((InvalidArgument, "row_end")));
    let symmetric = ParamSpec::symmetric(Code::U8.format());
    let output = Output::DynamicPerRow(Code::U8, symmetric);
    let without = create(&LinearDesc { output, ..good }).unwrap();
    assert_eq!(dynamic(at, zero, &create(&real).unwrap(), 0..2), Err((Unsupported, "linear")));
    assert_eq!((scales, zeros, y), ([7.0; 4], [7; 4], [7; 4]));
    assert_eq!(dynamic(at, null.cast(), &without, 0..2), Ok(()));
    assert_eq!(dynamic(at, zero, &plan, 1..2), Ok(()));
    // SAFETY: one value of this test's own, written by the run.
    assert!(unsafe { zero.read() } == 7 && unsafe { zero.add(1).read() } != 7);
    // A convolution's weights have no blocks.
    let mut rng = Rng::new(1);
    let mut operands = real_operands(&mut rng, CHANNELS.1, FILTERS);
    operands.scales = vec![1.0; CHANNELS.1];
    let weights = Weights { block: 16, ..operands.weights() };
    let desc = ConvDesc { weights, ..conv(&operands, ImageLayout::Nhwc) };
    let error = Conv::create(&desc, limited(), &Allocator::DEFAULT).err().unwrap();
    assert_eq!((error.status, error.argument), (Unsupported, "desc.weights.block"));
}

/// The contract's multiplier is TensorFlow Lite's.
#[test]
fn multipliers_of_scales() {
    let mut rng = Rng::new(seed() ^ 0xF3);
    for _ in 0..100_000 {
        let [a, b, c] = [(); 3].map(|()| rng.any_f32().abs());
        let real = f64::from(a) * f64::from(b) / f64::from(c);
        if !(a.is_normal() && b.is_normal() && c.is_normal() && real < 1e9) {
            continue;
        }
        let (multiplier, shift) = multiplier_of(a, b, c);
        let made = FixedMultiplier::from_scales(a, b, c);
        assert_eq!(made, Some(FixedMultiplier { multiplier, shift }), "{a} {b} {c}");
    }
}
