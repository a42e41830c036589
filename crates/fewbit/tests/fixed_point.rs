//! Plans' codes by fixed point against integers that nothing overflows.

mod common;

use common::layers::{
    CHANNELS, CODES, FILTERS, GOOD, PARAMS, conv, create, floats, linear, params, params_near,
    refused, run, shapes,
};
use common::{Backwards, Finish, Operands, OwnedBias, value, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    FixedMultiplier, FixedRounding, ParamSpec, QuantParams, QuantizeMode, RealFormat, dequantize,
    quantize,
};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, DynamicSpec, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Parallel, Residual, Serial,
    Status, Weights,
};
use fewbit_testkit::{Rng, covered, reference, report, sampled, seed, supported_sets};

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
            0 => Input::Static(RealFormat::F32, in_code.format(), params(rng, in_code, scale)),
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
            let sizes = [&plan, &sums].map(|plan| plan.workspace(images, 1).unwrap().size);
            let mut memory = workspace(sizes[0].max(sizes[1]));
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

/// Depthwise layers, whose kernel leaves rows of many channels: every one has the zero point and its multiplier.
#[test]
fn fixed_point_of_depthwise_layers_equals_integers() {
    const CHANNELS: usize = 203;
    let mut rng = Rng::new(seed() ^ 0xF3);
    for rounding in [FixedRounding::Single, FixedRounding::Double] {
        let weights: Vec<u8> = rng.bytes(9 * CHANNELS);
        let scales: Vec<f32> = (0..CHANNELS).map(|_| 0.001 + 0.01 * rng.unit()).collect();
        let params = QuantParams { scale: 0.7, zero_point: -9 };
        let input = QuantParams { scale: 0.05, zero_point: 3 };
        let axis = |size| ConvAxis { size, kernel: 3, pad_begin: 1, pad_end: 1, ..ConvAxis::NONE };
        let desc = |output| ConvDesc {
            in_channels: CHANNELS,
            out_channels: CHANNELS,
            groups: CHANNELS,
            axes: [ConvAxis::NONE, axis(4), axis(5)],
            layout: ImageLayout::Nhwc,
            filter_layout: FilterLayout::Ohwi,
            weights: Weights {
                format: Code::S8.format(),
                codes: &weights,
                scales: &scales,
                zero_points: &[],
                block: 0,
                multipliers: &[],
                shifts: &[],
            },
            input: Input::Codes(Code::U8, input),
            bias: Bias::None,
            output,
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
        };
        let n = 4 * 5 * CHANNELS;
        let x = rng.bytes(n);
        for set in supported_sets() {
            let run = |output, y: &mut dyn FnMut(&Conv<'_>, &mut [u8])| {
                let plan = Conv::create(&desc(output), set, &Allocator::DEFAULT).unwrap();
                let mut memory = workspace(plan.workspace(1, 1).unwrap().size);
                y(&plan, &mut memory);
            };
            let (mut sums, mut codes) = (vec![0i32; n], vec![0u8; n]);
            run(Output::S32, &mut |plan, memory| {
                plan.run(1, &x, memory, &Serial, &mut sums).unwrap();
            });
            run(Output::FixedPoint(Code::S8, params, rounding), &mut |plan, memory| {
                plan.run(1, &x, memory, &Serial, &mut codes).unwrap();
            });
            for (i, (&sum, &code)) in sums.iter().zip(&codes).enumerate() {
                let multiplier = multiplier_of(input.scale, scales[i % CHANNELS], params.scale);
                let want = fixed(sum, multiplier, rounding) + i128::from(params.zero_point);
                assert_eq!(
                    i128::from(code as i8),
                    want.clamp(-128, 127),
                    "channel {}",
                    i % CHANNELS
                );
            }
            covered("conv_fixed", set.set(), n as u64);
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    use Status::{InvalidArgument, Unsupported};
    let params = PARAMS;
    let output = Output::FixedPoint(Code::S8, params, FixedRounding::Double);
    let good = LinearDesc { output, ..GOOD };
    assert!(create(&good).is_ok());
    let spec = ParamSpec::affine(Code::U8.format());
    let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::U8, spec };
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
    assert_eq!(refused(LinearDesc { weights, ..GOOD }), (Unsupported, "desc.weights.multipliers"));
    let weights = Weights { scales: &[], ..good.weights };
    assert_eq!(refused(LinearDesc { weights, ..good }), (InvalidArgument, "desc.weights.scales"));
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
