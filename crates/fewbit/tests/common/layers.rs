//! Small layers for tests of what follows the sums.

use super::{Finish, Operands, OwnedBias};
use fewbit::granularity::{Granularity, Layout};
use fewbit::memory::{Allocator, Plain};
use fewbit::scheme::{ParamSpec, QuantParams, QuantizeMode, RealFormat, Scheme, SymmetricRange};
use fewbit::simd::Supported;
use fewbit::tensor::{self, Reals, TensorQuant};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, FilterLayout, ImageLayout,
    Input, Linear, LinearDesc, LinearLayout, Output, Parallel, Residual, Result, Serial, Status,
    Weights,
};
use fewbit_testkit::{Rng, limited};

pub const CODES: [Code; 2] = [Code::S8, Code::U8];
pub const SIZES: [usize; 10] = [1, 2, 3, 5, 7, 12, 13, 16, 33, 67];
pub const DEPTHS: [usize; 9] = [1, 3, 8, 16, 17, 48, 64, 127, 301];

pub fn shapes() -> impl Iterator<Item = (usize, usize, usize)> {
    SIZES.into_iter().flat_map(|m| {
        SIZES.into_iter().flat_map(move |n| DEPTHS.into_iter().map(move |k| (m, n, k)))
    })
}

pub fn params(rng: &mut Rng, code: Code, scale: f32) -> QuantParams {
    QuantParams { scale, zero_point: code.format().qmin() + rng.below(256) as i32 }
}

pub fn linear<'a>(
    operands: &'a Operands,
    (n, k): (usize, usize),
    layout: LinearLayout,
) -> LinearDesc<'a> {
    LinearDesc {
        matrices: 1,
        matrix_stride: 0,
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
pub fn conv<'a>(operands: &'a Operands, layout: ImageLayout) -> ConvDesc<'a> {
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
pub const CHANNELS: (usize, usize) = (6, 9);
pub const FILTERS: usize = 9 * 6 * 2;

/// Parameters of a scale near the given one.
pub fn params_near(rng: &mut Rng, code: Code, scale: f32) -> QuantParams {
    let scale = scale * (0.5 + rng.unit());
    params(rng, code, scale)
}

/// Runs a plan without residual on bytes.
pub fn run<Y: Plain>(
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

pub fn floats(data: &[u8]) -> Vec<f32> {
    data.chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap())).collect()
}

pub fn halves(data: &[u8]) -> Vec<u16> {
    data.chunks_exact(2).map(|b| u16::from_ne_bytes(b.try_into().unwrap())).collect()
}

/// Operands of any kind with f32 output.
pub fn real_operands(rng: &mut Rng, channels: usize, weights: usize) -> Operands {
    loop {
        let mut operands = Operands::any(rng, channels, weights);
        operands.output = Output::Real(RealFormat::F32);
        operands.finish = Finish::any(rng, operands.output, true);
        if !matches!(operands.bias, OwnedBias::S32(_)) || !operands.is_dynamic() {
            return operands;
        }
    }
}

/// A layer of 32 inputs and 2 outputs.
pub const GOOD: LinearDesc<'static> = LinearDesc {
    matrices: 1,
    matrix_stride: 0,
    in_features: 32,
    out_features: 2,
    weights: Weights {
        format: Code::S8.format(),
        codes: &[1; 64],
        scales: &[0.5],
        zero_points: &[],
        block: 0,
        multipliers: &[],
        shifts: &[],
    },
    layout: LinearLayout::Nk,
    weight_stride: 0,
    input: Input::Codes(Code::S8, PARAMS),
    bias: Bias::None,
    output: Output::Real(RealFormat::F32),
    activation: Activation::None,
    activation_mode: ActivationMode::Float,
    residual: Residual::None,
};

/// Parameters of its input.
pub const PARAMS: QuantParams = QuantParams { scale: 0.1, zero_point: 3 };

pub fn create(desc: &LinearDesc<'_>) -> Result<Linear<'static>> {
    Linear::create(desc, limited(), &Allocator::DEFAULT)
}

/// Why a layer is refused.
pub fn refused(desc: LinearDesc<'_>) -> (Status, &'static str) {
    let error = create(&desc).err().expect("refused");
    (error.status, error.argument)
}

/// Why a convolution is.
pub fn refused_conv(desc: ConvDesc<'_>) -> (Status, &'static str) {
    let error = Conv::create(&desc, limited(), &Allocator::DEFAULT).err().expect("refused");
    (error.status, error.argument)
}

/// A spec of any kind.
pub fn any_spec(rng: &mut Rng, code: Code) -> ParamSpec {
    ParamSpec {
        format: code.format(),
        scheme: rng.pick(&[Scheme::Affine, Scheme::Symmetric]),
        range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
        power_of_two: rng.below(4) == 0,
    }
}

/// `rows` rows by `fewbit_quantize_dynamic`.
pub fn by_row(
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
