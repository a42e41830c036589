//! What linear and convolution plans share: descriptions of both operands and of the output, the
//! packed weights, the epilogue, and the workspace.

mod blocks;
mod checksum;
mod columns;
mod engine;
mod epilogue;
mod fixed;
mod packed;
mod quantizer;
mod real;
mod saved;
pub(crate) mod tasks;
mod workspace;

pub(crate) use engine::{Block, Engine, block_count};
pub(crate) use epilogue::{Destination, find};
pub(crate) use packed::{Layout, size, tile_columns};
pub(crate) use quantizer::{Codes, Quantizer};
pub use real::RealWeights;
pub(crate) use real::{
    NO_WEIGHTS, RealBlock, RealEngine, RealLayout, check_real_operands, saved_format,
};
pub(crate) use saved::{
    Kind, Opened, Saved, check_apart, save, save_real, saved_bytes, saved_size,
};
pub(crate) use tasks::{Cut, MAX_BLOCKS, Slots, cut, each, each_with_slot, most_blocks};
pub(crate) use workspace::{
    Carver, MemoryRange, check_residual_range, check_workspace, forbid_overlap,
};

use crate::{Error, Result, Status};
use fewbit_scheme::{
    Activation, FixedMultiplier, FixedRounding, IntFormat, ParamError, ParamSpec, QuantParams,
    RealFormat, Scheme,
};

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
    /// Numbers, multiplied as they are. Of plans with real weights only.
    Real(RealFormat),
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
    /// The codes to multiply; of numbers none, S8.
    pub(crate) const fn code(&self) -> Code {
        match *self {
            Input::Real(_) => Code::S8,
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
            Input::Static(real, ..) | Input::Real(real) => Some(real),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => Some(spec.real),
        }
    }

    /// Whether numbers are read that the run quantizes.
    pub(crate) const fn is_real(&self) -> bool {
        self.real().is_some() && !matches!(self, Input::Real(_))
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
    /// Codes requantized from the sums in integers only, as TensorFlow Lite does:
    /// [`requantize_fixed`](fewbit_scheme::requantize_fixed) with multipliers given ([`Weights::multipliers`]) or made
    /// of the scales ([`FixedMultiplier::from_scales`]). The bias is s32 or none, the activation none, ReLU, a clamp
    /// (as bounds of the codes) or any by table; not with a dynamic input or a residual.
    FixedPoint(Code, QuantParams, FixedRounding),
    /// Codes under parameters that each row's results (a convolution: each image's) choose in the run, which also
    /// writes the parameters: the f32 results, then parameters from their range, then quantize. The specification's
    /// format is that of the codes.
    DynamicPerRow(Code, ParamSpec),
}

impl Output {
    /// Bytes of an element.
    pub(crate) const fn element_size(&self) -> usize {
        match self {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            Output::Codes(..) | Output::FixedPoint(..) | Output::DynamicPerRow(..) => 1,
        }
    }

    /// What the sums become: in the run of a dynamic output f32 numbers, which are quantized afterwards.
    pub(crate) const fn of_sums(self) -> Output {
        match self {
            Output::DynamicPerRow(..) => Output::Real(RealFormat::F32),
            _ => self,
        }
    }

    /// Where parameters are chosen in the run: how.
    pub(crate) const fn dynamic(self) -> Option<(Code, ParamSpec)> {
        match self {
            Output::DynamicPerRow(code, spec) => Some((code, spec)),
            _ => None,
        }
    }
}

/// Where a run whose output is [`Output::DynamicPerRow`] puts the parameters that it chose.
#[derive(Clone, Copy, Debug)]
pub struct OutputParams {
    /// A scale for each row (a convolution: each image).
    pub scales: *mut f32,
    /// A zero point for each row; may be NULL with a symmetric scheme, whose zero points are 0.
    pub zero_points: *mut i32,
}

impl OutputParams {
    /// Checks that there is room for `rows` parameters, apart from each other and from all else.
    pub(crate) fn check(self, output: Output, rows: usize, others: &[MemoryRange]) -> Result<()> {
        let symmetric = output.dynamic().is_some_and(|(_, spec)| spec.scheme == Scheme::Symmetric);
        let bytes = size(&[rows, 4])?;
        let range = |name, pointer: *const u8, optional: bool| {
            if pointer.is_null() && !optional {
                return Err(Error::new(Status::NullPointer, name, "is NULL"));
            }
            if !pointer.addr().is_multiple_of(4) {
                return Err(Error::new(Status::Misaligned, name, "is not aligned to 4 bytes"));
            }
            let bytes = if pointer.is_null() { 0 } else { bytes };
            let range = MemoryRange::new(name, pointer, bytes);
            others.iter().try_for_each(|&other| forbid_overlap(other, range))?;
            Ok(range)
        };
        let scales = range("scales", self.scales.cast(), false)?;
        forbid_overlap(scales, range("zero_points", self.zero_points.cast(), symmetric)?)
    }

    /// Where codes of rows `stride` apart go with them.
    pub(crate) fn of_codes(self, codes: *mut u8, stride: usize) -> Codes {
        Codes { codes, stride, scales: self.scales, zero_points: self.zero_points }
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

/// Quantized weights: codes with a scale, and perhaps a zero point, a tensor, an output channel, or a block of an
/// output channel's.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// s8 or u8.
    pub code: Code,
    /// The codes, a byte each; their layout is the plan's.
    pub codes: &'a [u8],
    /// One scale, or one for each output channel; with blocks `[out_channels][ceil(K / block)]`. May be empty where
    /// there are multipliers.
    pub scales: &'a [f32],
    /// None (all 0), one zero point, or as many as scales.
    pub zero_points: &'a [i32],
    /// 0, or how many neighbouring weights of a channel, along K, share a scale: a multiple of 16. The last block of a
    /// channel may be shorter. Linear layers only, and only with results by way of real numbers: no s32 bias or output,
    /// no fixed point, no table.
    pub block: usize,
    /// For [`Output::FixedPoint`]: what sums are multiplied by ([`FixedMultiplier::multiplier`]), one or one for each
    /// output channel; the scales are not used then. Empty: made of the scales.
    pub multipliers: &'a [i32],
    /// Their shifts ([`FixedMultiplier::shift`]), as many.
    pub shifts: &'a [i32],
}

impl Weights<'_> {
    /// The scale of a channel.
    pub(crate) fn scale(&self, channel: usize) -> f32 {
        let index = if self.scales.len() == 1 { 0 } else { channel };
        self.scales.get(index).copied().unwrap_or(1.0)
    }

    /// The multiplier given for a channel.
    pub(crate) fn multiplier(&self, channel: usize) -> Option<FixedMultiplier> {
        let index = if self.multipliers.len() == 1 { 0 } else { channel };
        let (multiplier, shift) = (self.multipliers.get(index)?, self.shifts.get(index)?);
        Some(FixedMultiplier { multiplier: *multiplier, shift: *shift })
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

/// Checks everything about the operands that does not depend on the plan's shape but for the number of output channels
/// and of the products of each.
pub(crate) fn check_operands(operands: &Operands<'_>, channels: usize, k: usize) -> Result<()> {
    let Operands { weights, input, bias, output, .. } = operands;
    if let Input::Real(_) = input {
        let text = "is numbers that are multiplied as they are, but the weights are codes";
        return Err(Error::new(Status::Unsupported, "desc.input", text));
    }
    check_activation(operands)?;
    check_residual(operands)?;
    check_fixed(operands, channels)?;
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
    check_output(*output)?;
    let none = !weights.multipliers.is_empty();
    if weights.block == 0 {
        check_count("desc.weights.scales", weights.scales.len(), channels, none)?;
        check_count("desc.weights.zero_points", weights.zero_points.len(), channels, true)?;
    } else {
        check_blocks(operands, channels, k)?;
    }
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

/// The parameters of codes.
fn check_output(output: Output) -> Result<()> {
    match output {
        Output::Codes(code, params) | Output::FixedPoint(code, params, _) => {
            check_params(params, code.format(), "desc.output")
        }
        Output::DynamicPerRow(code, spec) if spec.format != code.format() => {
            let text = "chooses parameters for another format than that of its codes";
            Err(Error::new(Status::InvalidArgument, "desc.output", text))
        }
        _ => Ok(()),
    }
}

fn check_residual(operands: &Operands<'_>) -> Result<()> {
    let Operands { output, residual, mode, .. } = *operands;
    if residual == Residual::None {
        return Ok(());
    }
    if let Residual::Codes(code, params) = residual {
        check_params(params, code.format(), "desc.residual")?;
    }
    let integers = matches!(output, Output::S32 | Output::FixedPoint(..));
    if integers || mode != ActivationMode::Float {
        return Err(Error::new(
            Status::Unsupported,
            "desc.residual",
            "is added to real numbers: not with s32 or fixed-point output, nor with an activation by table",
        ));
    }
    Ok(())
}

/// Fixed-point output takes integers only.
fn check_fixed(operands: &Operands<'_>, channels: usize) -> Result<()> {
    const NAME: &str = "desc.weights.multipliers";
    let Operands { weights, input, bias, output, activation, mode, .. } = *operands;
    if !matches!(output, Output::FixedPoint(..)) {
        if weights.multipliers.is_empty() && weights.shifts.is_empty() {
            return Ok(());
        }
        let text = "are for fixed-point output, but the output is of another kind";
        return Err(Error::new(Status::Unsupported, NAME, text));
    }
    check_count(NAME, weights.multipliers.len(), channels, true)?;
    if weights.shifts.len() != weights.multipliers.len() {
        let text = "has {} values, but there are {} multipliers";
        let error = Error::new(Status::InvalidArgument, "desc.weights.shifts", text);
        return Err(error.with(weights.shifts.len()).with(weights.multipliers.len()));
    }
    for (&multiplier, &shift) in weights.multipliers.iter().zip(weights.shifts) {
        if !(FixedMultiplier { multiplier, shift }).is_valid() {
            let text = "hold {} * 2^({} - 31): multipliers are 0 to 2^31 - 1, shifts -31 to 30";
            let error = Error::new(Status::InvalidArgument, NAME, text);
            return Err(error.with(multiplier).with(shift));
        }
    }
    if input.fixed_params().is_none() {
        let text = "is by fixed point, but the unit of the sums is unknown with a dynamic input";
        return Err(Error::new(Status::Unsupported, "desc.output", text));
    }
    if matches!(bias, Bias::F32(_)) {
        let text = "is f32, but fixed-point output takes integers only: use s32";
        return Err(Error::new(Status::Unsupported, "desc.bias", text));
    }
    let simple =
        matches!(activation, Activation::None | Activation::Relu | Activation::Clamp { .. });
    if !simple && mode == ActivationMode::Float {
        let text = "is of real numbers, but the output is by fixed point: none, ReLU, a clamp, or any by table";
        return Err(Error::new(Status::Unsupported, "desc.output.activation", text));
    }
    Ok(())
}

/// Weights with a scale a block: their results are real numbers.
fn check_blocks(operands: &Operands<'_>, channels: usize, k: usize) -> Result<()> {
    const NAME: &str = "desc.weights.block";
    let Operands { weights, bias, output, mode, .. } = *operands;
    let block = weights.block;
    if !block.is_multiple_of(blocks::STEP) {
        let error = Error::new(Status::InvalidArgument, NAME, "is {}, not a multiple of {}");
        return Err(error.with(block).with(blocks::STEP));
    }
    let blocks = size(&[channels, k.div_ceil(block.max(1))])?;
    let counts = [
        ("desc.weights.scales", weights.scales.len(), false),
        ("desc.weights.zero_points", weights.zero_points.len(), true),
    ];
    for (name, count, optional) in counts {
        if count != blocks && !(optional && count <= 1) {
            let text = "has {} values, but needs one for each of {} blocks";
            return Err(Error::new(Status::InvalidArgument, name, text).with(count).with(blocks));
        }
    }
    let text = "gives weights of a channel several scales, so that its sums are real: no s32 or fixed-point output, \
                no s32 bias, no table";
    let integers = matches!(output, Output::S32 | Output::FixedPoint(..));
    if integers || matches!(bias, Bias::S32(_)) || mode != ActivationMode::Float {
        return Err(Error::new(Status::Unsupported, NAME, text));
    }
    Ok(())
}

fn check_activation(operands: &Operands<'_>) -> Result<()> {
    const NAME: &str = "desc.output.activation";
    let Operands { output, activation, mode, bias, .. } = *operands;
    if let ActivationMode::Table(code, params) = mode {
        check_params(params, code.format(), "desc.output.table")?;
        let codes = matches!(output, Output::Codes(..) | Output::FixedPoint(..));
        if !codes || matches!(bias, Bias::F32(_)) {
            let text = "by table is of codes to codes: with 8-bit output of given parameters, and no f32 bias";
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
