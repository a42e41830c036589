//! Weights with a scale a block along k against the chain that is their definition.

mod common;

use common::layers::{
    CHANNELS, CODES, FILTERS, GOOD, PARAMS, conv, create, linear, params, real_operands, refused,
    refused_conv, shapes,
};
use common::{
    Backwards, Finish, Operands, OwnedBias, aligned, real_bytes, real_value, value, workspace,
};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    FixedRounding, QuantParams, QuantizeMode, RealFormat, dequantize, quantize, real::canonical,
    scale_blocks,
};
use fewbit::{
    Activation, ActivationMode, Bias, Code, ConvDesc, ImageLayout, Input, Linear, LinearDesc,
    LinearLayout, LinearRun, Output, Parallel, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, covered, limited, report, sampled, seed, supported_sets};

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
                    let rest = codes.iter().enumerate().skip(b * self.block);
                    for (i, code) in rest.take(self.block) {
                        let at = match self.layout {
                            LinearLayout::Nk => c * k + i,
                            LinearLayout::Kn => i * n + c,
                        };
                        let w = value(operands.weight_code, operands.weights[at]);
                        sum += (code - lhs.zero_point as i64) * (w - zero as i64);
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
        let data = aligned(&operands.any_data(&mut rng, m, m * k));
        let residual = aligned(&operands.finish.residuals(&mut rng, m * n));
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
    use Status::{InvalidArgument, LimitExceeded, Unsupported};
    let (real, params) = (GOOD, PARAMS);
    let fixed = Output::FixedPoint(Code::S8, params, FixedRounding::Double);
    let good = LinearDesc { output: fixed, ..GOOD };
    let activation_mode = ActivationMode::Table(Code::S8, params);
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
    // A convolution's weights have no blocks.
    let mut rng = Rng::new(1);
    let mut operands = real_operands(&mut rng, CHANNELS.1, FILTERS);
    operands.scales = vec![1.0; CHANNELS.1];
    let weights = Weights { block: 16, ..operands.weights() };
    let desc = ConvDesc { weights, ..conv(&operands, ImageLayout::Nhwc) };
    assert_eq!(refused_conv(desc), (Unsupported, "desc.weights.block"));
}
