//! Level 3: plans. What linear layers and convolutions share: operands, output, allocator.

use crate::arrays::fewbit_quant_params;
use crate::boundary::{array, slice, unknown};
use crate::requantize::fixed_rounding;
use crate::tensors::{
    FEWBIT_B1, FEWBIT_BF16, FEWBIT_F16, FEWBIT_F32, FEWBIT_S4, FEWBIT_S8, FEWBIT_S32, FEWBIT_U1,
    FEWBIT_U4, FEWBIT_U8, int_format, real, scheme, symmetric_range,
};
use core::ffi::c_void;
use fewbit::memory::Allocator;
use fewbit::scheme::{IntFormat, ParamSpec};
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Error, Input, Output, Residual, Result,
    Status, Weights,
};

/// The input is codes with known parameters.
pub const FEWBIT_INPUT_CODES: i32 = 0;
/// The input is numbers, quantized in the run with known parameters.
pub const FEWBIT_INPUT_STATIC: i32 = 1;
/// The input is numbers, quantized in the run with parameters from each row's range (convolution: each image's).
pub const FEWBIT_INPUT_DYNAMIC_PER_ROW: i32 = 2;
/// The input is numbers, quantized in the run with parameters from the whole input's range.
pub const FEWBIT_INPUT_DYNAMIC_PER_TENSOR: i32 = 3;
/// The input is numbers, multiplied as they are: of linear layers and convolutions whose weights are numbers too, and of linear
/// layers whose weights stand for numbers.
pub const FEWBIT_INPUT_REAL: i32 = 5;
/// Added to FEWBIT_GGUF_*: weights that are blocks of GGUF, as they are in a file; for linear layers with FEWBIT_INPUT_REAL.
pub const FEWBIT_WEIGHTS_GGUF: i32 = 256;
/// Added to FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4 or FEWBIT_MXINT8: weights in OCP MX; for linear layers with
/// FEWBIT_INPUT_REAL.
pub const FEWBIT_WEIGHTS_MX: i32 = 512;
/// Products of numbers are one chain of fused multiply-adds an output: the same on every CPU.
pub const FEWBIT_ARITHMETIC_CHAIN: i32 = 0;
/// bf16 by bf16 as vdpbf16ps has it: the same chain but for subnormal numbers, which are zeros (docs/numerics.md). For linear layers
/// with FEWBIT_INPUT_REAL, input and weights FEWBIT_BF16, on CPUs with avx512_bf16; others refuse it.
pub const FEWBIT_ARITHMETIC_BF16_DOT: i32 = 1;
/// bf16 by bf16 as bfdot and bfmmla (FEAT_BF16) have it: two products at a time, every step rounded to odd, subnormal numbers zeros
/// (docs/numerics.md). For linear layers with FEWBIT_INPUT_REAL, input and weights FEWBIT_BF16, on CPUs with neon_bf16; others refuse it.
pub const FEWBIT_ARITHMETIC_BF16_DOT_ODD: i32 = 2;
/// f16 by f16 as fmla of f16 (FEAT_FP16) has it: each step rounded to f16, in blocks of 64 neighbours along k, whose sums are added in f32
/// (docs/numerics.md). For linear layers with FEWBIT_INPUT_REAL, weights FEWBIT_F16, input FEWBIT_F16, or FEWBIT_F32, which is rounded to it, on
/// CPUs with neon_fp16; others refuse it.
pub const FEWBIT_ARITHMETIC_F16_FMA: i32 = 3;
/// Weights in NVFP4: elements of E2M1, two in a byte, a scale of E4M3 for each 16, and an f32 scale; for linear layers with
/// FEWBIT_INPUT_REAL.
pub const FEWBIT_WEIGHTS_NVFP4: i32 = 768;
/// No activation.
pub const FEWBIT_ACTIVATION_NONE: i32 = 0;
/// max(0, y).
pub const FEWBIT_ACTIVATION_RELU: i32 = 1;
/// min(max(y, alpha), beta); 0 and 6 make ReLU6.
pub const FEWBIT_ACTIVATION_CLAMP: i32 = 2;
/// y, or alpha * y where y is negative.
pub const FEWBIT_ACTIVATION_LEAKY_RELU: i32 = 3;
/// y * min(max(y + 3, 0), 6) / 6.
pub const FEWBIT_ACTIVATION_HARD_SWISH: i32 = 4;
/// 1 / (1 + exp(-y)).
pub const FEWBIT_ACTIVATION_SIGMOID: i32 = 5;
/// y / (1 + exp(-y)), also called swish.
pub const FEWBIT_ACTIVATION_SILU: i32 = 6;
/// The hyperbolic tangent.
pub const FEWBIT_ACTIVATION_TANH: i32 = 7;
/// y (1 + erf(y / sqrt 2)) / 2: the exact form.
pub const FEWBIT_ACTIVATION_GELU: i32 = 8;
/// y (1 + tanh(sqrt(2 / pi) (y + 0.044715 y^3))) / 2: its approximation.
pub const FEWBIT_ACTIVATION_GELU_TANH: i32 = 9;
/// The activation of real results, which are then stored or quantized.
pub const FEWBIT_ACTIVATION_MODE_FLOAT: i32 = 0;
/// The activation of intermediate codes by a table of 256, as operators computed one by one give it.
pub const FEWBIT_ACTIVATION_MODE_TABLE: i32 = 1;

/// 8-bit output under the parameters given, in floats.
pub const FEWBIT_OUTPUT_STATIC: i32 = 0;
/// 8-bit output under the parameters given, requantized by fixed point, in integers only.
pub const FEWBIT_OUTPUT_FIXED_POINT: i32 = 1;
/// 8-bit output under parameters that each row's results choose in the run (convolution: each image's); it is run by the
/// functions whose names have `dynamic`, fewbit_linear_run_dynamic and others.
pub const FEWBIT_OUTPUT_DYNAMIC_PER_ROW: i32 = 2;

/// Where create calls take memory from, and destroy calls give it back. Must be callable from any thread that
/// creates or destroys. Must not throw, nor leave by longjmp.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_allocator {
    /// Passed back to both functions.
    pub ctx: *mut c_void,
    /// Returns `size` bytes (never 0) aligned to at least 16, or NULL.
    pub allocate: Option<unsafe extern "C" fn(ctx: *mut c_void, size: usize) -> *mut c_void>,
    /// Takes back what allocate returned.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void, memory: *mut c_void)>,
}

/// Quantized weights; read by the create call only.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_weights {
    /// The codes, a byte each; or packed, each row of the weights (of a convolution: the weights of each index of their
    /// layout's first dimension) from a byte on, as fewbit_quantize writes them; or the numbers. Their layout is the plan's.
    pub data: *const c_void,
    /// FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4, FEWBIT_S2 (ternary weights are its -1, 0 and 1), FEWBIT_U1 (0 and 1) or
    /// FEWBIT_B1 (-1 and +1; no zero points). Strides are in codes, and multiples of those of a byte. With
    /// FEWBIT_INPUT_REAL the numbers' type, FEWBIT_F32, FEWBIT_F16 or FEWBIT_BF16, and all below is then 0 or NULL; or, for linear
    /// layers, FEWBIT_S8, FEWBIT_U8, FEWBIT_S4 or FEWBIT_U4, codes that are multiplied as the numbers scale * (code - zero point);
    /// or blocks, FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_*, FEWBIT_WEIGHTS_MX + FEWBIT_MX* or FEWBIT_WEIGHTS_NVFP4: rows of in_features
    /// weights, a multiple of a block's, in the layout FEWBIT_LAYOUT_NK without gaps, and all below is 0 or NULL but for NVFP4's
    /// scale, a single one.
    pub dtype: i32,
    /// 0; or, for linear layers, how many neighbouring weights of a channel, along K, share a scale: a multiple of 16, of
    /// FEWBIT_U1 and FEWBIT_B1 of 32; the last block of a channel may be shorter. Then results are real: no s32 bias or output, no fixed point, no table.
    pub block: i32,
    /// Scales, finite and greater than 0. May be NULL where there are multipliers, and is for numbers.
    pub scales: *const f32,
    /// 1, or one for each output channel; with blocks [out_features][ceil(in_features / block)].
    pub scale_count: usize,
    /// Zero points within the codes; NULL: all 0.
    pub zero_points: *const i32,
    /// 0 with NULL; 1, or as many as scales can be.
    pub zero_point_count: usize,
    /// For FEWBIT_OUTPUT_FIXED_POINT: what sums are multiplied by, multiplier * 2^(shift - 31), as
    /// fewbit_fixed_multiplier gives it; the scales are not used then. NULL: made of the scales.
    pub multipliers: *const i32,
    /// Their shifts, -31..30.
    pub shifts: *const i32,
    /// 0 with NULL; 1, or one for each output channel.
    pub multiplier_count: usize,
}

/// What a plan reads.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_input {
    /// FEWBIT_INPUT_*.
    pub mode: i32,
    /// The codes that are read, or that numbers are quantized to: FEWBIT_S8 or FEWBIT_U8; of linear layers also FEWBIT_S4 or
    /// FEWBIT_U4, and where the weights are FEWBIT_U1 or FEWBIT_B1 one of these, with FEWBIT_INPUT_CODES. Codes of fewer than
    /// eight bits are read packed, as fewbit_quantize writes them: rows start on a byte, and strides are in codes, multiples
    /// of the 2 or 8 of a byte. Not used with FEWBIT_INPUT_REAL.
    pub dtype: i32,
    /// The numbers that are read, in all modes but FEWBIT_INPUT_CODES: FEWBIT_F32, FEWBIT_F16 or FEWBIT_BF16.
    pub real: i32,
    /// FEWBIT_SCHEME_*, for the dynamic modes.
    pub scheme: i32,
    /// FEWBIT_RANGE_*, for the dynamic modes.
    pub range: i32,
    /// Must be 0.
    pub reserved: i32,
    /// For FEWBIT_INPUT_CODES and FEWBIT_INPUT_STATIC.
    pub params: fewbit_quant_params,
}

/// What is added to each output channel.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_bias {
    /// One value for each output channel; NULL: none.
    pub data: *const c_void,
    /// FEWBIT_S32: added to the int32 sums, in units of input scale * weight scale (not with a dynamic input, whose
    /// scale is not known beforehand); FEWBIT_F32: added to the real result. Not used without data.
    pub dtype: i32,
    /// Must be 0.
    pub reserved: i32,
}

/// What a plan writes. The order of operations, whatever the output: the exact sum, an s32 bias included; the scales; the
/// f32 bias; the residual; the activation; the output's type. (8-bit output without f32 bias and residual, and with no
/// activation, ReLU or a clamp, is requantized from the sum in one step, the activation as bounds of the codes.)
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_output {
    /// FEWBIT_S32 (the sums; not with a dynamic input), FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8 or FEWBIT_U8.
    pub dtype: i32,
    /// FEWBIT_ACTIVATION_*; with s32 output none or ReLU.
    pub activation: i32,
    /// For 8-bit outputs but FEWBIT_OUTPUT_DYNAMIC_PER_ROW.
    pub params: fewbit_quant_params,
    /// FEWBIT_ACTIVATION_CLAMP: the smallest result; FEWBIT_ACTIVATION_LEAKY_RELU: the slope.
    pub alpha: f32,
    /// FEWBIT_ACTIVATION_CLAMP: the largest result.
    pub beta: f32,
    /// FEWBIT_ACTIVATION_MODE_*; the table is for 8-bit outputs of parameters given, without f32 bias and residual.
    pub mode: i32,
    /// FEWBIT_ACTIVATION_MODE_TABLE: the intermediate codes, FEWBIT_S8 or FEWBIT_U8.
    pub table_dtype: i32,
    /// FEWBIT_ACTIVATION_MODE_TABLE: their parameters.
    pub table_params: fewbit_quant_params,
    /// FEWBIT_OUTPUT_*; other than FEWBIT_OUTPUT_STATIC for 8-bit outputs only. FEWBIT_OUTPUT_FIXED_POINT takes no
    /// dynamic input, no f32 bias, no residual, and of activations none, ReLU, a clamp, or any by table; its multipliers
    /// are those of the weights, or made of the scales: input scale * weight scale / output scale in double precision,
    /// then fewbit_fixed_multiplier.
    pub quantization: i32,
    /// FEWBIT_OUTPUT_FIXED_POINT: FEWBIT_FIXED_*.
    pub rounding: i32,
    /// FEWBIT_OUTPUT_DYNAMIC_PER_ROW: FEWBIT_SCHEME_*.
    pub scheme: i32,
    /// FEWBIT_OUTPUT_DYNAMIC_PER_ROW: FEWBIT_RANGE_*.
    pub range: i32,
}

/// What is added to each result before the activation: a tensor of the result's shape that each run is given.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_residual {
    /// 0: nothing is added, and the rest is not used; 1: a tensor is.
    pub present: i32,
    /// FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, or codes: FEWBIT_S8, FEWBIT_U8.
    pub dtype: i32,
    /// For codes.
    pub params: fewbit_quant_params,
}

/// The bytes of codes of matrices that lie `strides.1` apart and have rows that lie `strides.0` apart; 0: no gaps. `None`:
/// more than memory.
pub(crate) fn matrix_codes(
    dtype: i32,
    (matrices, rows, columns): (usize, usize, usize),
    strides: (usize, usize),
) -> Option<usize> {
    let unit = int_format(dtype).map_or(1, IntFormat::codes_per_byte);
    let contiguous = columns.checked_next_multiple_of(unit)?;
    let stride = if strides.0 == 0 { contiguous } else { strides.0 };
    let apart = match strides.1 {
        0 => rows.checked_mul(stride)?,
        given => given,
    };
    let before = apart.checked_mul(matrices.saturating_sub(1))?;
    let rows = rows.saturating_sub(1).checked_mul(stride)?;
    Some(before.checked_add(rows)?.checked_add(columns)?.div_ceil(unit))
}

/// A format of weights.
fn weight_format(name: &'static str, dtype: i32) -> Result<IntFormat> {
    int_format(dtype).filter(|&format| format != IntFormat::S16).ok_or(
        Error::new(
            Status::Unsupported,
            name,
            "is {}, but weights are FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1 or \
             FEWBIT_B1 codes",
        )
        .with(dtype),
    )
}

pub(crate) fn code(name: &'static str, dtype: i32) -> Result<Code> {
    match dtype {
        FEWBIT_S8 => Ok(Code::S8),
        FEWBIT_U8 => Ok(Code::U8),
        other => Err(Error::new(
            Status::Unsupported,
            name,
            "is {}, but products take FEWBIT_S8 or FEWBIT_U8 codes",
        )
        .with(other)),
    }
}

/// Codes of a byte, or packed ones of four bits or one.
pub(crate) fn lhs_format(name: &'static str, dtype: i32) -> Result<IntFormat> {
    match dtype {
        FEWBIT_U1 => Ok(IntFormat::U1),
        FEWBIT_B1 => Ok(IntFormat::B1),
        FEWBIT_S4 => Ok(IntFormat::S4),
        FEWBIT_U4 => Ok(IntFormat::U4),
        other => code(name, other).map(Code::format),
    }
}

fn must_be_zero(name: &'static str, value: i32) -> Result<()> {
    if value != 0 {
        return Err(Error::new(Status::InvalidArgument, name, "is {}, but must be 0").with(value));
    }
    Ok(())
}

impl fewbit_weights {
    /// # Safety
    /// The arrays can be read for their counts, `data` for so many bytes of codes.
    pub(crate) unsafe fn read<'a>(&self, codes: Option<usize>) -> Result<Weights<'a>> {
        let codes = codes.ok_or(Error::new(
            Status::InvalidArgument,
            "desc",
            "describes a size beyond memory",
        ))?;
        let block = usize::try_from(self.block).map_err(|_| {
            let error = Error::new(Status::InvalidArgument, "desc.weights.block", "is {}");
            error.with(self.block)
        })?;
        array("desc.weights.data", self.data.cast::<u8>(), codes)?;
        array("desc.weights.scales", self.scales, self.scale_count)?;
        array("desc.weights.zero_points", self.zero_points, self.zero_point_count)?;
        for (given, count, argument, sentence) in [
            (
                !self.scales.is_null(),
                self.scale_count,
                "desc.weights.scale_count",
                "is 0, but there are scales",
            ),
            (
                !self.zero_points.is_null(),
                self.zero_point_count,
                "desc.weights.zero_point_count",
                "is 0, but there are zero points",
            ),
        ] {
            if given && count == 0 {
                return Err(Error::new(Status::InvalidArgument, argument, sentence));
            }
        }
        // SAFETY: checked, and readable by this function's contract.
        Ok(unsafe {
            Weights {
                format: weight_format("desc.weights.dtype", self.dtype)?,
                codes: slice(self.data.cast(), codes),
                scales: slice(self.scales, self.scale_count),
                zero_points: slice(self.zero_points, self.zero_point_count),
                block,
                ..self.read_multipliers()?
            }
        })
    }

    /// The multipliers alone: what a plan of packed weights takes from here.
    ///
    /// # Safety
    /// The multipliers and shifts can be read for their count.
    pub(crate) unsafe fn read_multipliers<'a>(&self) -> Result<Weights<'a>> {
        array("desc.weights.multipliers", self.multipliers, self.multiplier_count)?;
        array("desc.weights.shifts", self.shifts, self.multiplier_count)?;
        let multipliers = !self.multipliers.is_null() || !self.shifts.is_null();
        if multipliers && self.multiplier_count == 0 {
            return Err(Error::new(
                Status::InvalidArgument,
                "desc.weights.multiplier_count",
                "is 0, but there are multipliers",
            ));
        }
        // SAFETY: checked, and readable by this function's contract.
        Ok(unsafe {
            Weights {
                format: Code::S8.format(),
                codes: &[],
                scales: &[],
                zero_points: &[],
                block: 0,
                multipliers: slice(self.multipliers, self.multiplier_count),
                shifts: slice(self.shifts, self.multiplier_count),
            }
        })
    }
}

impl fewbit_input {
    pub(crate) fn read(&self) -> Result<Input> {
        must_be_zero("desc.input.reserved", self.reserved)?;
        let real = || real("desc.input.real", self.real);
        if self.mode == FEWBIT_INPUT_REAL {
            return Ok(Input::Real(real()?));
        }
        let format = lhs_format("desc.input.dtype", self.dtype)?;
        if matches!(format, IntFormat::U1 | IntFormat::B1) {
            if self.mode == FEWBIT_INPUT_CODES {
                return Ok(Input::Packed(format, self.params.into()));
            }
            let text = "is of bits, which no run makes of numbers: call fewbit_quantize, and plan with FEWBIT_INPUT_CODES";
            return Err(Error::new(Status::Unsupported, "desc.input.dtype", text));
        }
        let code = if format == IntFormat::U8 { Code::U8 } else { Code::S8 };
        let dynamic = || -> Result<DynamicSpec> {
            let spec = ParamSpec {
                format,
                scheme: scheme("desc.input.scheme", self.scheme)?,
                range: symmetric_range("desc.input.range", self.range)?,
                power_of_two: false,
            };
            Ok(DynamicSpec { real: real()?, code, spec })
        };
        match self.mode {
            FEWBIT_INPUT_CODES if code.format() != format => {
                Ok(Input::Packed(format, self.params.into()))
            }
            FEWBIT_INPUT_CODES => Ok(Input::Codes(code, self.params.into())),
            FEWBIT_INPUT_STATIC => Ok(Input::Static(real()?, format, self.params.into())),
            FEWBIT_INPUT_DYNAMIC_PER_ROW => Ok(Input::DynamicPerRow(dynamic()?)),
            FEWBIT_INPUT_DYNAMIC_PER_TENSOR => Ok(Input::DynamicPerTensor(dynamic()?)),
            other => Err(unknown("desc.input.mode", other)),
        }
    }
}

impl fewbit_bias {
    /// # Safety
    /// `data` is NULL or can be read for `channels` values.
    pub(crate) unsafe fn read<'a>(&self, channels: usize) -> Result<Bias<'a>> {
        must_be_zero("desc.bias.reserved", self.reserved)?;
        if self.data.is_null() {
            return Ok(Bias::None);
        }
        // SAFETY: checked, and readable by this function's contract.
        unsafe {
            match self.dtype {
                FEWBIT_S32 => {
                    array("desc.bias.data", self.data.cast::<i32>(), channels)?;
                    Ok(Bias::S32(slice(self.data.cast(), channels)))
                }
                FEWBIT_F32 => {
                    array("desc.bias.data", self.data.cast::<f32>(), channels)?;
                    Ok(Bias::F32(slice(self.data.cast(), channels)))
                }
                other => Err(Error::new(
                    Status::Unsupported,
                    "desc.bias.dtype",
                    "is {}, but a bias is FEWBIT_S32 or FEWBIT_F32",
                )
                .with(other)),
            }
        }
    }
}

impl fewbit_output {
    pub(crate) fn read(&self) -> Result<(Output, Activation, ActivationMode)> {
        let (alpha, beta) = (self.alpha, self.beta);
        let activation = match self.activation {
            FEWBIT_ACTIVATION_NONE => Activation::None,
            FEWBIT_ACTIVATION_RELU => Activation::Relu,
            FEWBIT_ACTIVATION_CLAMP => Activation::Clamp { low: alpha, high: beta },
            FEWBIT_ACTIVATION_LEAKY_RELU => Activation::LeakyRelu { slope: alpha },
            FEWBIT_ACTIVATION_HARD_SWISH => Activation::HardSwish,
            FEWBIT_ACTIVATION_SIGMOID => Activation::Sigmoid,
            FEWBIT_ACTIVATION_SILU => Activation::Silu,
            FEWBIT_ACTIVATION_TANH => Activation::Tanh,
            FEWBIT_ACTIVATION_GELU => Activation::Gelu,
            FEWBIT_ACTIVATION_GELU_TANH => Activation::GeluTanh,
            other => return Err(unknown("desc.output.activation", other)),
        };
        let mode = match self.mode {
            FEWBIT_ACTIVATION_MODE_FLOAT => ActivationMode::Float,
            FEWBIT_ACTIVATION_MODE_TABLE => ActivationMode::Table(
                code("desc.output.table_dtype", self.table_dtype)?,
                self.table_params.into(),
            ),
            other => return Err(unknown("desc.output.mode", other)),
        };
        let codes = |code: Code| match self.quantization {
            FEWBIT_OUTPUT_STATIC => Ok(Output::Codes(code, self.params.into())),
            FEWBIT_OUTPUT_FIXED_POINT => {
                let rounding = fixed_rounding("desc.output.rounding", self.rounding)?;
                Ok(Output::FixedPoint(code, self.params.into(), rounding))
            }
            FEWBIT_OUTPUT_DYNAMIC_PER_ROW => {
                let spec = ParamSpec {
                    format: code.format(),
                    scheme: scheme("desc.output.scheme", self.scheme)?,
                    range: symmetric_range("desc.output.range", self.range)?,
                    power_of_two: false,
                };
                Ok(Output::DynamicPerRow(code, spec))
            }
            other => Err(unknown("desc.output.quantization", other)),
        };
        let output = match self.dtype {
            FEWBIT_S8 => codes(Code::S8)?,
            FEWBIT_U8 => codes(Code::U8)?,
            _ if self.quantization != FEWBIT_OUTPUT_STATIC => {
                let text = "is {}, but only 8-bit output is quantized";
                let error = Error::new(Status::Unsupported, "desc.output.quantization", text);
                return Err(error.with(self.quantization));
            }
            FEWBIT_S32 => Output::S32,
            FEWBIT_F32 | FEWBIT_F16 | FEWBIT_BF16 => {
                Output::Real(real("desc.output.dtype", self.dtype)?)
            }
            other => {
                return Err(Error::new(
                    Status::Unsupported,
                    "desc.output.dtype",
                    "is {}, but outputs are FEWBIT_S32, FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8 or \
                     FEWBIT_U8",
                )
                .with(other));
            }
        };
        Ok((output, activation, mode))
    }
}

impl fewbit_residual {
    pub(crate) fn read(&self) -> Result<Residual> {
        match (self.present, self.dtype) {
            (0, _) => Ok(Residual::None),
            (1, FEWBIT_F32 | FEWBIT_F16 | FEWBIT_BF16) => {
                Ok(Residual::Real(real("desc.residual.dtype", self.dtype)?))
            }
            (1, dtype) => {
                Ok(Residual::Codes(code("desc.residual.dtype", dtype)?, self.params.into()))
            }
            (other, _) => Err(unknown("desc.residual.present", other)),
        }
    }
}

/// The caller's allocator, or the C library's for NULL.
///
/// # Safety
/// `allocator` is NULL or can be read, and keeps its contract until everything is given back.
pub(crate) unsafe fn allocator(allocator: *const fewbit_allocator) -> Result<Allocator> {
    if allocator.is_null() {
        return Ok(Allocator::DEFAULT);
    }
    array("desc.allocator", allocator, 1)?;
    // SAFETY: by this function's contract.
    let given = unsafe { allocator.read() };
    let (Some(allocate), Some(release)) = (given.allocate, given.release) else {
        return Err(Error::new(
            Status::NullPointer,
            "desc.allocator",
            "lacks allocate or release; pass NULL for the C library's",
        ));
    };
    // SAFETY: the caller's functions, by this function's contract.
    Ok(unsafe { Allocator::custom(given.ctx, allocate, release) })
}
