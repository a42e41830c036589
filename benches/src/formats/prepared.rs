//! A layer in a format: its plan and operands, ready to run.

use super::{Activations, Codes, Format, Weights, halves};
use crate::timing::{Runner, clock};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{IntFormat, ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Linear, LinearDesc, LinearLayout,
    Output, RealArithmetic, RealLinearDesc, RealWeights, Residual, Serial,
};

/// A layer in f32: `m` rows of `k` numbers, and `n` outputs of as many weights.
#[derive(Clone, Debug)]
pub struct Layer {
    /// M, N, K.
    pub shape: [usize; 3],
    /// M rows of K.
    pub x: Vec<f32>,
    /// N rows of K.
    pub w: Vec<f32>,
}

/// What a plan reads.
enum Given {
    F32(Vec<f32>),
    Halves(Vec<u16>),
    /// Numbers, and where their signs go.
    Signs(Vec<f32>, Codes),
}

/// A layer in a format.
pub struct Prepared {
    plan: Linear<'static>,
    supported: Supported,
    rows: usize,
    x: Given,
    y: Vec<f32>,
    memory: Vec<u8>,
    begin: usize,
    /// Bytes of weights and scales, as a file holds them.
    pub bytes: usize,
}

impl Prepared {
    /// Quantizes the weights and makes the plan.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(layer: &Layer, format: &Format, supported: Supported) -> Prepared {
        let [m, n, k] = layer.shape;
        let (plan, bytes) = match format.weights {
            Weights::Numbers(real) => {
                let plan = real_plan(layer, real, format.activations, supported);
                (plan, n * k * real.size())
            }
            Weights::Codes(of, block) => {
                let codes = Codes::of(&layer.w, k, of, block, supported);
                let bytes = codes.codes.len() + 4 * codes.scales.len();
                (plan(layer, &codes, (of, block), format.activations, supported), bytes)
            }
        };
        let x = match format.activations {
            Activations::Numbers(RealFormat::F32) | Activations::Dynamic(_) => {
                Given::F32(layer.x.clone())
            }
            Activations::Numbers(real) => Given::Halves(halves(&layer.x, real)),
            Activations::Signs => {
                Given::Signs(layer.x.clone(), Codes::signs(&layer.x, k, supported))
            }
        };
        let size = plan.workspace(m, 1).expect("a workspace").size;
        let memory = vec![0u8; size + ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        let y = vec![0.0; m * n];
        Prepared { plan, supported, rows: m, x, y, memory, begin, bytes }
    }

    /// The tile kernel.
    pub fn kernel(&self) -> &'static str {
        self.plan.kernel_name()
    }

    /// Runs the layer: f32 out.
    ///
    /// # Panics
    /// If it fails.
    pub fn call(&mut self) -> &[f32] {
        let Prepared { plan, supported, rows, x, y, memory, begin, .. } = self;
        let memory = &mut memory[*begin..];
        let done = match x {
            Given::F32(x) => plan.run(*rows, x, memory, &Serial, y),
            Given::Halves(x) => plan.run(*rows, x, memory, &Serial, y),
            Given::Signs(x, signs) => {
                signs.quantize(x, *supported);
                plan.run(*rows, &signs.codes, memory, &Serial, y)
            }
        };
        done.expect("a run");
        y
    }
}

impl Runner for Prepared {
    fn time(&mut self, calls: usize) -> f64 {
        clock(calls, || {
            self.call();
        })
    }

    fn result(&mut self) -> Vec<f64> {
        self.call().iter().map(|&y| f64::from(y)).collect()
    }
}

fn real_plan(
    layer: &Layer,
    real: RealFormat,
    activations: Activations,
    supported: Supported,
) -> Linear<'static> {
    let [_, n, k] = layer.shape;
    let Activations::Numbers(input) = activations else {
        unreachable!("weights that are numbers meet numbers")
    };
    let half = if real == RealFormat::F32 { Vec::new() } else { halves(&layer.w, real) };
    let desc = RealLinearDesc {
        in_features: k,
        out_features: n,
        weights: match real {
            RealFormat::F32 => RealWeights::F32(&layer.w),
            RealFormat::F16 => RealWeights::F16(&half),
            RealFormat::Bf16 => RealWeights::Bf16(&half),
        },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input,
        bias: &[],
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
        arithmetic: RealArithmetic::Chain,
    };
    Linear::create_real(&desc, supported, &Allocator::DEFAULT).expect("a plan")
}

fn plan(
    layer: &Layer,
    codes: &Codes,
    (of, block): (IntFormat, Option<usize>),
    activations: Activations,
    supported: Supported,
) -> Linear<'static> {
    let [m, n, k] = layer.shape;
    let input = match activations {
        Activations::Dynamic(of) => Input::DynamicPerRow(DynamicSpec {
            real: RealFormat::F32,
            code: Code::S8,
            spec: ParamSpec::symmetric(of),
        }),
        Activations::Signs => {
            let scale = Codes::signs(&layer.x[..m * k], k, supported).scales[0];
            Input::Packed(IntFormat::B1, QuantParams { scale, zero_point: 0 })
        }
        Activations::Numbers(_) => unreachable!("weights that are codes meet codes"),
    };
    let weights = ((of, block.unwrap_or(0)), &codes.codes[..], &codes.scales[..], codes.stride);
    plan_of_codes([n, k], weights, input, Output::Real(RealFormat::F32), supported)
}

/// A plan of codes with nothing behind the product: `[n, k]`, weights `[n][k]` with their format, block (0: a scale a row),
/// scales, and codes between rows (0: no gaps).
///
/// # Panics
/// If there is none.
pub fn plan_of_codes(
    [n, k]: [usize; 2],
    ((format, block), codes, scales, stride): ((IntFormat, usize), &[u8], &[f32], usize),
    input: Input,
    output: Output,
    supported: Supported,
) -> Linear<'static> {
    let desc = LinearDesc {
        in_features: k,
        out_features: n,
        weights: fewbit::Weights {
            format,
            codes,
            scales,
            zero_points: &[],
            block,
            multipliers: &[],
            shifts: &[],
        },
        layout: LinearLayout::Nk,
        weight_stride: stride,
        input,
        bias: Bias::None,
        output,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
    };
    Linear::create(&desc, supported, &Allocator::DEFAULT).expect("a plan")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::FORMATS;
    use fewbit::scheme::{QuantizeMode, dequantize, float16, params_from_range, quantize};
    use fewbit_testkit::{Rng, limited};

    /// What numbers of 16 bits, or a row's codes, are read as.
    fn read(x: &[f32], k: usize, activations: Activations) -> Vec<f32> {
        let narrowed = |real| {
            halves(x, real).into_iter().map(move |half| match real {
                RealFormat::Bf16 => float16::bf16_to_f32(half),
                _ => float16::f16_to_f32(half),
            })
        };
        match activations {
            Activations::Numbers(RealFormat::F32) => x.to_vec(),
            Activations::Numbers(real) => narrowed(real).collect(),
            Activations::Signs => {
                let mean = x.iter().map(|x| x.abs()).sum::<f32>() / x.len() as f32;
                x.iter().map(|x| if *x >= 0.0 { mean } else { -mean }).collect()
            }
            Activations::Dynamic(of) => {
                let spec = ParamSpec::symmetric(of);
                let of_row = |row: &[f32]| -> Vec<f32> {
                    let (min, max) =
                        row.iter().fold((0f32, 0f32), |(a, b), &x| (a.min(x), b.max(x)));
                    let params = params_from_range(min, max, &spec).unwrap();
                    let code = |&x: &f32| quantize(x, params, of, QuantizeMode::default());
                    row.iter().map(code).map(|q| dequantize(q, params)).collect()
                };
                x.chunks(k).flat_map(of_row).collect()
            }
        }
    }

    /// The numbers that a format's weights stand for.
    fn weights(w: &[f32], k: usize, weights: Weights) -> Vec<f32> {
        match weights {
            Weights::Numbers(real) => read(w, k, Activations::Numbers(real)),
            Weights::Codes(format, block) => {
                let codes = Codes::of(w, k, format, block, limited());
                let block = block.unwrap_or(k);
                let number = |(i, &w): (usize, &f32)| {
                    let scale = codes.scales[i / k * k.div_ceil(block) + i % k / block];
                    let params = QuantParams { scale, zero_point: 0 };
                    dequantize(quantize(w, params, format, QuantizeMode::default()), params)
                };
                w.iter().enumerate().map(number).collect()
            }
        }
    }

    /// Every format's result is the product of the numbers that its operands stand for.
    #[test]
    fn results_are_products_of_what_formats_hold() {
        let mut rng = Rng::new(11);
        for shape in [[3, 21, 100], [1, 40, 65]] {
            let [m, n, k] = shape;
            let x = (0..m * k).map(|_| rng.normal()).collect();
            let w = (0..n * k).map(|_| rng.normal()).collect();
            let layer = Layer { shape, x, w };
            for format in FORMATS {
                let (x, w) =
                    (read(&layer.x, k, format.activations), weights(&layer.w, k, format.weights));
                let mut prepared = Prepared::new(&layer, format, limited());
                for (i, &y) in prepared.call().iter().enumerate() {
                    let (x, w) = (&x[i / n * k..][..k], &w[i % n * k..][..k]);
                    let products = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w));
                    let (exact, size) =
                        products.fold((0.0, 0.0), |(sum, size), p: f64| (sum + p, size + p.abs()));
                    let off = (f64::from(y) - exact).abs();
                    assert!(off <= 1e-5 * size, "{} {i}: {y} {exact}", format.name);
                }
            }
        }
    }

    #[test]
    fn bytes_are_those_of_a_file() {
        let layer = Layer { shape: [1, 4, 64], x: vec![1.0; 64], w: vec![1.0; 256] };
        let bytes = |name| {
            let format = FORMATS.iter().find(|format| format.name == name).unwrap();
            Prepared::new(&layer, format, limited()).bytes
        };
        assert_eq!(bytes("f16 · f16"), 512);
        assert_eq!(bytes("int4 · int8"), 128 + 16);
        assert_eq!(bytes("int4, blocks of 32 · int8"), 128 + 32);
        assert_eq!(bytes("int1 · int1"), 32 + 16);
    }
}
