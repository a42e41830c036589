//! The digests of linear layers and convolutions, with every set of features.

use crate::{Book, Digest};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{
    IntFormat, ParamSpec, QuantParams, RealFormat, Scheme, SymmetricRange, float16,
};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, DynamicSpec, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Residual, Serial, Weights,
    Workspace,
};
use fewbit_testkit::{Rng, supported_sets};

/// Layers a digest is made of.
const LAYERS: u64 = 120;

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        let [mut linear, mut conv, mut transposed, mut few] = [(); 4].map(|()| Digest::new());
        for layer in 0..LAYERS {
            digest_linear(&mut Rng::new(layer), supported, &mut linear);
            digest_conv(&mut Rng::new(layer), supported, &mut conv, false, None);
            digest_conv(&mut Rng::new(layer), supported, &mut transposed, true, None);
            let format = FEW[layer as usize % FEW.len()];
            digest_conv(&mut Rng::new(layer), supported, &mut few, layer % 3 == 0, Some(format));
        }
        book.enter("linear", supported.set(), linear);
        book.enter("conv", supported.set(), conv);
        book.enter("conv_transposed", supported.set(), transposed);
        book.enter("conv_few_bits", supported.set(), few);
    }
}

/// Formats of weights of fewer than 8 bits.
const FEW: [IntFormat; 5] =
    [IntFormat::S4, IntFormat::U4, IntFormat::S2, IntFormat::U1, IntFormat::B1];

/// What a random layer multiplies, adds and writes.
struct Layer {
    weight_format: IntFormat,
    weights: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    input: Input,
    bias_s32: Vec<i32>,
    bias_f32: Vec<f32>,
    bias: usize,
    output: Output,
    activation: Activation,
    mode: ActivationMode,
    residual: Residual,
}

impl Layer {
    fn new(rng: &mut Rng, weights: usize, channels: usize) -> Layer {
        let code = |rng: &mut Rng| rng.pick(&[Code::S8, Code::U8]);
        let zero_point = |rng: &mut Rng, code: Code| code.format().qmin() + rng.below(256) as i32;
        let params = |rng: &mut Rng, code: Code| QuantParams {
            scale: 0.01 + rng.unit() * 0.1,
            zero_point: zero_point(rng, code),
        };
        let weight_code = code(rng);
        let parameters = rng.pick(&[1, channels]);
        let zeros = rng.pick(&[0, 1, channels]);
        let input_code = code(rng);
        let spec = ParamSpec {
            format: input_code.format(),
            scheme: rng.pick(&[Scheme::Affine, Scheme::Symmetric]),
            range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
            power_of_two: false,
        };
        let spec = match input_code {
            Code::S8 => spec,
            Code::U8 => ParamSpec { scheme: Scheme::Affine, ..spec },
        };
        let real = rng.pick(&RealFormat::ALL);
        let dynamic = DynamicSpec { real, code: input_code, spec };
        let input = match rng.below(4) {
            0 => Input::Codes(input_code, params(rng, input_code)),
            1 => Input::Static(real, input_code.format(), params(rng, input_code)),
            2 => Input::DynamicPerRow(dynamic),
            _ => Input::DynamicPerTensor(dynamic),
        };
        // The sums of a dynamic input have no unit that is known beforehand.
        let is_dynamic = matches!(input, Input::DynamicPerRow(_) | Input::DynamicPerTensor(_));
        let bias = match rng.below(3) {
            1 if is_dynamic => 2,
            bias => bias,
        };
        let output = match rng.below(3) {
            0 if bias != 2 && !is_dynamic => Output::S32,
            1 => {
                let code = code(rng);
                Output::Codes(code, QuantParams { scale: 5.0, ..params(rng, code) })
            }
            _ => Output::Real(rng.pick(&RealFormat::ALL)),
        };
        let slope = rng.normal();
        let mut activation = rng.pick(&[
            Activation::None,
            Activation::Relu,
            Activation::Clamp { low: -1.0, high: 6.0 },
            Activation::LeakyRelu { slope },
            Activation::HardSwish,
            Activation::Sigmoid,
            Activation::Silu,
            Activation::Tanh,
            Activation::Gelu,
            Activation::GeluTanh,
        ]);
        let steps = [Code::S8, Code::U8].map(|code| params(rng, code));
        let mut residual = rng.pick(&[
            Residual::None,
            Residual::None,
            Residual::Real(RealFormat::F32),
            Residual::Real(RealFormat::F16),
            Residual::Real(RealFormat::Bf16),
            Residual::Codes(Code::S8, steps[0]),
            Residual::Codes(Code::U8, steps[1]),
        ]);
        let between = code(rng);
        let mode = match output {
            Output::Codes(..) if bias != 2 && rng.below(2) == 0 => {
                residual = Residual::None;
                ActivationMode::Table(between, params(rng, between))
            }
            _ => ActivationMode::Float,
        };
        if output == Output::S32 {
            (activation, residual) = (Activation::Relu, Residual::None);
        }
        Layer {
            weight_format: weight_code.format(),
            weights: rng.bytes(weights),
            scales: (0..parameters).map(|_| 0.001 + rng.unit() * 0.05).collect(),
            zero_points: (0..zeros).map(|_| zero_point(rng, weight_code)).collect(),
            input,
            bias_s32: (0..channels).map(|_| rng.next_u32() as i32 >> 8).collect(),
            bias_f32: (0..channels).map(|_| rng.normal()).collect(),
            bias,
            output,
            activation,
            mode,
            residual,
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            format: self.weight_format,
            codes: &self.weights,
            scales: &self.scales,
            zero_points: &self.zero_points,
            block: 0,
            multipliers: &[],
            shifts: &[],
        }
    }

    fn bias(&self) -> Bias<'_> {
        match self.bias {
            0 => Bias::None,
            1 => Bias::S32(&self.bias_s32),
            _ => Bias::F32(&self.bias_f32),
        }
    }
}

/// A workspace, aligned as asked.
struct Memory(Vec<u8>);

impl Memory {
    fn new(workspace: Workspace) -> Memory {
        Memory(vec![0xA5; workspace.size + ALIGNMENT])
    }

    fn aligned(&mut self) -> &mut [u8] {
        let skip = self.0.as_ptr().align_offset(ALIGNMENT);
        let end = self.0.len() - ALIGNMENT + skip;
        &mut self.0[skip..end]
    }
}

/// Calls `$plan.run` for the plan's input and output types and digests what it wrote.
macro_rules! run {
    ($plan:ident, $layer:ident, $rng:ident, $digest:ident, $rows:expr, $inputs:expr, $outputs:expr) => {{
        let mut memory = Memory::new($plan.workspace($rows, 1).unwrap());
        let codes = $rng.bytes($inputs);
        let reals: Vec<f32> = (0..$inputs).map(|_| $rng.normal() * 3.0).collect();
        let halves = |format: RealFormat, reals: &[f32]| -> Vec<u16> {
            let narrow = match format {
                RealFormat::Bf16 => float16::f32_to_bf16,
                _ => float16::f32_to_f16,
            };
            reals.iter().map(|&x| narrow(x)).collect()
        };
        let added: Vec<f32> = (0..$outputs).map(|_| $rng.normal() * 3.0).collect();
        let added_codes = $rng.bytes($outputs);
        macro_rules! with {
            ($x:expr, $y:expr) => {
                match $layer.residual {
                    Residual::None => $plan.run($rows, $x, memory.aligned(), &Serial, $y),
                    Residual::Codes(..) => {
                        let added = &added_codes;
                        $plan.run_with_residual($rows, $x, added, memory.aligned(), &Serial, $y)
                    }
                    Residual::Real(RealFormat::F32) => {
                        $plan.run_with_residual($rows, $x, &added, memory.aligned(), &Serial, $y)
                    }
                    Residual::Real(format) => {
                        let added = &halves(format, &added);
                        $plan.run_with_residual($rows, $x, added, memory.aligned(), &Serial, $y)
                    }
                }
                .unwrap()
            };
        }
        macro_rules! to {
            ($y:expr) => {
                match $layer.input {
                    Input::Codes(..)
                    | Input::CodesPerRow(_)
                    | Input::Packed(..)
                    | Input::PackedPerRow(_) => with!(&codes, $y),
                    Input::Static(real, ..)
                    | Input::Real(real)
                    | Input::DynamicPerRow(DynamicSpec { real, .. })
                    | Input::DynamicPerTensor(DynamicSpec { real, .. }) => match real {
                        RealFormat::F32 => with!(&reals, $y),
                        half => with!(&halves(half, &reals), $y),
                    },
                }
            };
        }
        match $layer.output {
            Output::S32 => {
                let mut y = vec![0i32; $outputs];
                to!(&mut y);
                $digest.i32s(&y);
            }
            Output::Real(RealFormat::F32) => {
                let mut y = vec![0f32; $outputs];
                to!(&mut y);
                $digest.f32s(&y);
            }
            Output::Real(_) => {
                let mut y = vec![0u16; $outputs];
                to!(&mut y);
                y.iter().for_each(|y| $digest.bytes(&y.to_le_bytes()));
            }
            Output::FixedPoint(..) | Output::DynamicPerRow(..) => unreachable!("see outputs.rs"),
            Output::Codes(..) => {
                let mut y = vec![0u8; $outputs];
                to!(&mut y);
                $digest.bytes(&y);
            }
        }
    }};
}

fn digest_linear(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let (rows, n, k) = (1 + rng.below(30), 1 + rng.below(70), 1 + rng.below(300));
    let layer = Layer::new(rng, n * k, n);
    let desc = LinearDesc {
        in_features: k,
        out_features: n,
        weights: layer.weights(),
        layout: rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]),
        weight_stride: 0,
        input: layer.input,
        bias: layer.bias(),
        output: layer.output,
        activation: layer.activation,
        activation_mode: layer.mode,
        residual: layer.residual,
        matrices: 1,
        matrix_stride: 0,
    };
    let plan = Linear::create(&desc, supported, &Allocator::DEFAULT).unwrap();
    run!(plan, layer, rng, digest, rows, rows * k, rows * n);
}

fn digest_conv(
    rng: &mut Rng,
    supported: Supported,
    digest: &mut Digest,
    transposed: bool,
    few: Option<IntFormat>,
) {
    let groups = rng.pick(&[1, 1, 2, 3]);
    let (inputs, outputs) = (groups * (1 + rng.below(8)), groups * (1 + rng.below(20)));
    let axis = |rng: &mut Rng| ConvAxis {
        size: 4 + rng.below(6),
        kernel: 1 + rng.below(3),
        stride: 1 + rng.below(2),
        dilation: 1 + rng.below(2),
        pad_begin: rng.below(3),
        pad_end: rng.below(3),
    };
    let axes = match rng.below(4) {
        0 => [ConvAxis::NONE, ConvAxis::NONE, axis(rng)],
        1 => [axis(rng), axis(rng), axis(rng)],
        _ => [ConvAxis::NONE, axis(rng), axis(rng)],
    };
    let taps: usize = axes.iter().map(|axis| axis.kernel).product();
    let mut layer = Layer::new(rng, outputs * taps * inputs / groups, outputs);
    if let Some(format) = few {
        // The bytes are more packed codes than are needed.
        layer.weight_format = format;
        let (codes, qmin) = (1 << format.bits(), format.qmin());
        layer.zero_points.iter_mut().for_each(|zero| *zero = qmin + zero.rem_euclid(codes));
        if format == IntFormat::B1 {
            layer.zero_points.clear();
        }
    }
    let desc = ConvDesc {
        in_channels: inputs,
        out_channels: outputs,
        groups,
        axes,
        layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
        filter_layout: rng.pick(&[FilterLayout::Ohwi, FilterLayout::Oihw]),
        weights: layer.weights(),
        input: layer.input,
        bias: layer.bias(),
        output: layer.output,
        activation: layer.activation,
        activation_mode: layer.mode,
        residual: layer.residual,
    };
    let plan = match transposed {
        true => {
            let padding = axes.map(|axis| axis.stride - 1);
            Conv::create_transposed(&desc, padding, supported, &Allocator::DEFAULT)
        }
        false => Conv::create(&desc, supported, &Allocator::DEFAULT),
    }
    .unwrap();
    let images = 1 + rng.below(3);
    let (x, y) = plan.image_elements();
    run!(plan, layer, rng, digest, images, images * x, images * y);
}
