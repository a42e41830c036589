//! What a plan's operands must be, whatever its shape.

use super::packed::size;
use super::{ActivationMode, Bias, Input, Operands, Output, Residual, blocks, codes};
use crate::{Error, Result, Status};
use fewbit_scheme::{Activation, FixedMultiplier, IntFormat, ParamError, QuantParams};

/// Checks everything about the operands that does not depend on the plan's shape but for the number of output channels
/// and of the products of each.
pub(crate) fn check_operands(operands: &Operands<'_>, channels: usize, k: usize) -> Result<()> {
    let Operands { weights, input, bias, output, .. } = operands;
    if let Input::Real(_) = input {
        let text = "is numbers that are multiplied as they are, but the weights are codes";
        return Err(Error::new(Status::Unsupported, "desc.input", text));
    }
    codes::rhs_form(weights.format, input)?;
    check_activation(operands)?;
    check_residual(operands)?;
    check_fixed(operands, channels)?;
    if let Some(params) = input.fixed_params() {
        check_params(params, input.format(), "desc.input")?;
    }
    if let Input::DynamicPerRow(dynamic) | Input::DynamicPerTensor(dynamic) = input {
        // A zero point of another format could be beyond the codes, and sums beyond their bound.
        let format = dynamic.spec.format;
        let as_bytes = if input.is_of_four_bits() { IntFormat::S8 } else { format };
        if as_bytes != dynamic.code.format() {
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
    let format = weights.format;
    for &zero_point in weights.zero_points {
        if zero_point < format.qmin() || zero_point > format.qmax() {
            return Err(bad_zero_point("desc.weights.zero_points", zero_point, format));
        }
        if format == IntFormat::B1 && zero_point != 0 {
            let text = "has the zero point {}, but the codes -1 and +1 take none";
            let error = Error::new(Status::InvalidArgument, "desc.weights.zero_points", text);
            return Err(error.with(zero_point));
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
pub(super) fn check_output(output: Output) -> Result<()> {
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

pub(super) fn check_residual(operands: &Operands<'_>) -> Result<()> {
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
    let Operands { weights, input, bias, output, mode, .. } = *operands;
    let block = weights.block;
    if input.is_bits() {
        let text = "is {}, but bits by bits take a scale a channel: a block's products are too few to count at once";
        return Err(Error::new(Status::Unsupported, NAME, text).with(block));
    }
    // Whole groups of k for every tile.
    let step = blocks::STEP.max(4 * weights.format.codes_per_byte());
    if !block.is_multiple_of(step) {
        let error = Error::new(Status::InvalidArgument, NAME, "is {}, not a multiple of {}");
        return Err(error.with(block).with(step));
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

pub(super) fn check_activation(operands: &Operands<'_>) -> Result<()> {
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
