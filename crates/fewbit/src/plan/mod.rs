//! What linear and convolution plans share: descriptions of both operands and of the output, the
//! packed weights, the epilogue, and the workspace.

mod checksum;
mod engine;
mod epilogue;
mod packed;
mod quantizer;
mod saved;
pub(crate) mod tasks;
mod workspace;

pub(crate) use engine::{Block, Engine, block_count};
pub(crate) use epilogue::Destination;
pub(crate) use packed::{Layout, size, tile_columns};
pub(crate) use quantizer::Quantizer;
pub(crate) use saved::{Kind, Saved, save, saved_size};
pub(crate) use tasks::{Cut, MAX_BLOCKS, Slots, cut, each, each_with_slot, most_blocks};
pub(crate) use workspace::{
    Carver, MemoryRange, check_residual_range, check_workspace, forbid_overlap,
};

use crate::{Error, Result, Status};
use fewbit_scheme::{Activation, IntFormat, ParamError, ParamSpec, QuantParams, RealFormat};

/// Memory that a run needs beside its operands; the caller provides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Bytes.
    pub size: usize,
    /// Alignment of its first byte.
    pub align: usize,
}

/// The 8-bit formats of lhs and rhs codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Signed.
    S8,
    /// Unsigned.
    U8,
}

impl Code {
    /// The format.
    pub const fn format(self) -> IntFormat {
        match self {
            Code::S8 => IntFormat::S8,
            Code::U8 => IntFormat::U8,
        }
    }

    pub(crate) const fn is_unsigned(self) -> bool {
        matches!(self, Code::U8)
    }

    /// The integer that a stored byte stands for.
    pub(crate) const fn value(self, byte: u8) -> i32 {
        match self {
            Code::S8 => byte as i8 as i32,
            Code::U8 => byte as i32,
        }
    }
}

/// What a plan reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// 8-bit codes with parameters known beforehand.
    Codes(Code, QuantParams),
    /// 8-bit codes whose parameters come with each run, for all rows or for each. Of a [`Gemm`](crate::Gemm) only.
    CodesPerRow(Code),
    /// Numbers, quantized in the run with parameters known beforehand (round half to even, division).
    Static(RealFormat, Code, QuantParams),
    /// Numbers, quantized in the run with parameters chosen from each row's range (linear) or each
    /// image's (convolution).
    DynamicPerRow(DynamicSpec),
    /// Numbers, quantized in the run with parameters chosen from the whole input's range.
    DynamicPerTensor(DynamicSpec),
}

/// How a run chooses parameters for its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicSpec {
    /// What is read.
    pub real: RealFormat,
    /// The codes.
    pub code: Code,
    /// The scheme; its format is `code`'s.
    pub spec: ParamSpec,
}

impl Input {
    pub(crate) const fn code(&self) -> Code {
        match *self {
            Input::Codes(code, _) | Input::CodesPerRow(code) | Input::Static(_, code, _) => code,
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => spec.code,
        }
    }

    /// The parameters, where they are known beforehand.
    pub(crate) const fn fixed_params(&self) -> Option<QuantParams> {
        match *self {
            Input::Codes(_, params) | Input::Static(_, _, params) => Some(params),
            _ => None,
        }
    }

    /// The numbers that are read, if not codes.
    pub(crate) const fn real(&self) -> Option<RealFormat> {
        match *self {
            Input::Codes(..) | Input::CodesPerRow(_) => None,
            Input::Static(real, ..) => Some(real),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => Some(spec.real),
        }
    }

    pub(crate) const fn is_real(&self) -> bool {
        self.real().is_some()
    }

    /// Bytes of an element as the caller passes it.
    pub(crate) const fn element_size(&self) -> usize {
        match self.real() {
            Some(real) => real.size(),
            None => 1,
        }
    }
}

/// What a plan writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// The exact sums, with an s32 bias. Not with a dynamic input, whose sums have no known unit.
    S32,
    /// `f32(acc) * (input scale * weight scale)`, plus an f32 bias; to 16 bits rounded once more, to nearest
    /// even.
    Real(RealFormat),
    /// Codes: requantized from the sums in one step (ONNX Runtime's formula), or, where the bias is f32 or the
    /// activation more than a clamp, quantized from the real result.
    Codes(Code, QuantParams),
}

impl Output {
    /// Bytes of an element.
    pub(crate) const fn element_size(&self) -> usize {
        match self {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            Output::Codes(..) => 1,
        }
    }
}

/// What is added to each output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias<'a> {
    /// Nothing.
    None,
    /// To the int32 sums, in units of `input scale * weight scale`. Not with a dynamic input.
    S32(&'a [i32]),
    /// To the real result. Not with S32 output.
    F32(&'a [f32]),
}

/// What is added to each result before the activation: a tensor of the result's shape that a run is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Residual {
    /// Nothing.
    None,
    /// Numbers.
    Real(RealFormat),
    /// Codes, which are dequantized.
    Codes(Code, QuantParams),
}

impl Residual {
    /// Bytes of an element, 0 without any.
    pub(crate) const fn element_size(&self) -> usize {
        match self {
            Residual::None => 0,
            Residual::Real(real) => real.size(),
            Residual::Codes(..) => 1,
        }
    }
}

/// How an activation becomes codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActivationMode {
    /// Evaluated in f32, then quantized once.
    Float,
    /// The sums are requantized to intermediate codes, and those are looked up in a table of 256: what operators
    /// computed one by one give (TFLite, ONNX).
    Table(Code, QuantParams),
}

/// Quantized weights: codes with a scale, and perhaps a zero point, a tensor or an output channel.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// s8 or u8.
    pub code: Code,
    /// The codes, a byte each; their layout is the plan's.
    pub codes: &'a [u8],
    /// One scale, or one for each output channel.
    pub scales: &'a [f32],
    /// None (all 0), one zero point, or one for each output channel.
    pub zero_points: &'a [i32],
}

impl Weights<'_> {
    /// The scale of a channel.
    pub(crate) fn scale(&self, channel: usize) -> f32 {
        let index = if self.scales.len() == 1 { 0 } else { channel };
        self.scales.get(index).copied().unwrap_or(1.0)
    }

    /// The zero point of a channel.
    pub(crate) fn zero_point(&self, channel: usize) -> i32 {
        let index = if self.zero_points.len() == 1 { 0 } else { channel };
        self.zero_points.get(index).copied().unwrap_or(0)
    }
}

/// What a plan multiplies, adds and writes, whatever its shape.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub weights: Weights<'a>,
    pub input: Input,
    pub bias: Bias<'a>,
    pub output: Output,
    pub activation: Activation,
    pub mode: ActivationMode,
    pub residual: Residual,
}

/// Checks everything about the operands that does not depend on the plan's shape.
pub(crate) fn check_operands(operands: &Operands<'_>, channels: usize) -> Result<()> {
    let Operands { weights, input, bias, output, .. } = operands;
    check_activation(operands)?;
    check_residual(operands)?;
    if let Some(params) = input.fixed_params() {
        check_params(params, input.code().format(), "desc.input")?;
    }
    if let Input::DynamicPerRow(dynamic) | Input::DynamicPerTensor(dynamic) = input {
        // A zero point of another format could be beyond the codes, and sums beyond their bound.
        if dynamic.spec.format != dynamic.code.format() {
            return Err(Error::new(
                Status::InvalidArgument,
                "desc.input",
                "chooses parameters for another format than that of its codes",
            ));
        }
    }
    if let Output::Codes(code, params) = *output {
        check_params(params, code.format(), "desc.output")?;
    }
    check_count("desc.weights.scales", weights.scales.len(), channels, false)?;
    check_count("desc.weights.zero_points", weights.zero_points.len(), channels, true)?;
    for &scale in weights.scales {
        if !(scale > 0.0 && scale < f32::INFINITY) {
            return Err(bad_scale("desc.weights.scales", scale));
        }
    }
    let format = weights.code.format();
    for &zero_point in weights.zero_points {
        if zero_point < format.qmin() || zero_point > format.qmax() {
            return Err(bad_zero_point("desc.weights.zero_points", zero_point, format));
        }
    }
    // The unit of a sum is input scale * weight scale, and only the run knows that input scale.
    let without_unit = |argument, sentence| {
        // Who brings the scales of codes along knows it too.
        if !matches!(input, Input::DynamicPerRow(_) | Input::DynamicPerTensor(_)) {
            return Ok(());
        }
        Err(Error::new(Status::Unsupported, argument, sentence))
    };
    if *output == Output::S32 {
        without_unit("desc.output", "is s32 sums, whose unit is unknown with a dynamic input")?;
    }
    let (count, real) = match bias {
        Bias::None => return Ok(()),
        Bias::S32(bias) => (bias.len(), false),
        Bias::F32(bias) => (bias.len(), true),
    };
    if count != channels {
        return Err(Error::new(
            Status::InvalidArgument,
            "desc.bias",
            "has {} values, but there are {} output channels",
        )
        .with(count)
        .with(channels));
    }
    if !real {
        without_unit(
            "desc.bias",
            "is s32, in a unit that is unknown with a dynamic input: use f32",
        )?;
    }
    if real && *output == Output::S32 {
        return Err(Error::new(
            Status::Unsupported,
            "desc.bias",
            "is f32, but the output is s32 sums, which take an s32 bias only",
        ));
    }
    Ok(())
}

fn check_residual(operands: &Operands<'_>) -> Result<()> {
    let Operands { output, residual, mode, .. } = *operands;
    if residual == Residual::None {
        return Ok(());
    }
    if let Residual::Codes(code, params) = residual {
        check_params(params, code.format(), "desc.residual")?;
    }
    if output == Output::S32 || mode != ActivationMode::Float {
        return Err(Error::new(
            Status::Unsupported,
            "desc.residual",
            "is added to real numbers: not with s32 output, nor with an activation by table",
        ));
    }
    Ok(())
}

fn check_activation(operands: &Operands<'_>) -> Result<()> {
    const NAME: &str = "desc.output.activation";
    let Operands { output, activation, mode, bias, .. } = *operands;
    if let ActivationMode::Table(code, params) = mode {
        check_params(params, code.format(), "desc.output.table")?;
        if !matches!(output, Output::Codes(..)) || matches!(bias, Bias::F32(_)) {
            let text = "by table is of codes to codes: with 8-bit output, and no f32 bias";
            return Err(Error::new(Status::Unsupported, NAME, text));
        }
    }
    match activation {
        Activation::Clamp { low, high } if low > high || low.is_nan() || high.is_nan() => {
            let error =
                Error::new(Status::InvalidArgument, NAME, "clamps to {} to {}, which is no range");
            return Err(error.with(low).with(high));
        }
        Activation::LeakyRelu { slope } if !slope.is_finite() => {
            let error = Error::new(Status::InvalidArgument, NAME, "has the slope {}");
            return Err(error.with(slope));
        }
        Activation::None | Activation::Relu => {}
        _ if output == Output::S32 => {
            let text = "is of real numbers, but the output is s32 sums: none or ReLU";
            return Err(Error::new(Status::Unsupported, NAME, text));
        }
        _ => {}
    }
    Ok(())
}

fn check_count(name: &'static str, count: usize, channels: usize, none: bool) -> Result<()> {
    if count == channels || count == 1 || (none && count == 0) {
        return Ok(());
    }
    Err(Error::new(
        Status::InvalidArgument,
        name,
        "has {} values, but needs 1 or one for each of {} output channels",
    )
    .with(count)
    .with(channels))
}

/// Checks parameters by [`QuantParams::check`], with a refusal as an error of `argument`.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_params(params: QuantParams, format: IntFormat, argument: &'static str) -> Result<()> {
    params.check(format).map_err(|error| match error {
        ParamError::ZeroPoint { zero_point, .. } => bad_zero_point(argument, zero_point, format),
        _ => bad_scale(argument, params.scale),
    })
}

pub(crate) fn bad_scale(argument: &'static str, scale: f32) -> Error {
    Error::new(
        Status::InvalidArgument,
        argument,
        "has the scale {}, but a scale must be finite and greater than 0",
    )
    .with(scale)
}

pub(crate) fn bad_zero_point(argument: &'static str, zero_point: i32, format: IntFormat) -> Error {
    Error::new(
        Status::InvalidArgument,
        argument,
        "has the zero point {}, but the codes are {} to {}",
    )
    .with(zero_point)
    .with(format.qmin())
    .with(format.qmax())
}
