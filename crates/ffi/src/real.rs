//! Level 3: linear layers and convolutions of real numbers.

use crate::block_formats::{gguf_format, mx_format};
use crate::boundary::{array, slice};
#[cfg(feature = "conv")]
use crate::conv::{fewbit_conv_desc, named};
use crate::linear::fewbit_linear_desc;
use crate::plans::{
    FEWBIT_INPUT_REAL, FEWBIT_WEIGHTS_GGUF, FEWBIT_WEIGHTS_MX, FEWBIT_WEIGHTS_NVFP4, fewbit_bias,
    fewbit_input, fewbit_output, fewbit_weights, matrix_codes,
};
use crate::tensors::{
    FEWBIT_BF16, FEWBIT_F16, FEWBIT_F32, FEWBIT_S4, FEWBIT_S8, FEWBIT_U4, FEWBIT_U8,
};
use fewbit::memory::Allocator;
use fewbit::scheme::RealFormat;
use fewbit::scheme::block::{BLOCK, nvfp4};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Conv, Error, Input, Linear, Output, RealConvDesc,
    RealLinearDesc, RealWeights, Result, Status,
};

fn unsupported(argument: &'static str, text: &'static str) -> Error {
    Error::new(Status::Unsupported, argument, text)
}

impl fewbit_linear_desc {
    /// The plan, of codes or of numbers, of weights to pack or of packed ones.
    ///
    /// # Safety
    /// The description's arrays can be read as documented; what is packed outlives the plan.
    pub(crate) unsafe fn create(
        &self,
        packed: Option<&'static [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'static>> {
        let real = is_real(&self.input, &self.weights, packed.is_none())?;
        let kind = blocks_of(self.weights.dtype);
        let scaled = matches!(kind, Some(FEWBIT_WEIGHTS_MX | FEWBIT_WEIGHTS_NVFP4));
        if !self.weight_block_scales.is_null() && !scaled {
            let text =
                "is of FEWBIT_WEIGHTS_MX and FEWBIT_WEIGHTS_NVFP4, but the weights are others";
            return Err(unsupported("desc.weight_block_scales", text));
        }
        // SAFETY: by this function's contract.
        unsafe {
            match (packed, real) {
                (None, false) => Linear::create(&self.read(true)?, supported, allocator),
                (Some(packed), false) => {
                    Linear::create_packed(&self.read(false)?, packed, supported, allocator)
                }
                (None, true) => Linear::create_real(&self.read_real(true)?, supported, allocator),
                (Some(packed), true) => {
                    let desc = self.read_real(false)?;
                    Linear::create_real_packed(&desc, packed, supported, allocator)
                }
            }
        }
    }

    /// The description of a layer of numbers, with its weights or without.
    ///
    /// # Safety
    /// Its arrays can be read as documented.
    unsafe fn read_real<'a>(&self, with_weights: bool) -> Result<RealLinearDesc<'a>> {
        let (layout, rows, columns) = self.shape(with_weights)?;
        let matrices = self.matrices.max(1);
        let strides = (self.weight_stride, self.matrix_stride);
        let count = matrix_codes(self.weights.dtype, (matrices, rows, columns), strides);
        let input = self.input.read_real()?;
        let (output, activation) = self.output.read_real()?;
        // SAFETY: by this function's contract.
        unsafe {
            Ok(RealLinearDesc {
                in_features: self.in_features,
                out_features: self.out_features,
                weights: match with_weights {
                    true => self.read_real_weights(count)?,
                    false => RealWeights::F32(&[]),
                },
                layout,
                weight_stride: self.weight_stride,
                input,
                bias: self.bias.read_real(self.out_features.saturating_mul(matrices))?,
                output,
                activation,
                residual: self.residual.read()?,
                matrices,
                matrix_stride: self.matrix_stride,
                arithmetic: self.read_arithmetic()?,
            })
        }
    }
}

#[cfg(feature = "conv")]
impl fewbit_conv_desc {
    /// The plan, of codes or of numbers, of weights to pack or of packed ones; transposed, if it has an output padding.
    ///
    /// # Safety
    /// As of [`fewbit_linear_desc::create`].
    pub(crate) unsafe fn create(
        &self,
        padding: Option<[usize; 3]>,
        packed: Option<&'static [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'static>> {
        let real = is_real(&self.input, &self.weights, packed.is_none())?;
        let with_weights = packed.is_none();
        // SAFETY: by this function's contract.
        let plan = unsafe {
            if real {
                let desc = self.read_real(with_weights)?;
                match (packed, padding) {
                    (Some(packed), _) => {
                        Conv::create_real_packed(&desc, packed, supported, allocator)
                    }
                    (None, Some(padding)) => {
                        Conv::create_real_transposed(&desc, padding, supported, allocator)
                    }
                    (None, None) => Conv::create_real(&desc, supported, allocator),
                }
            } else {
                let desc = self.read(with_weights)?;
                match (packed, padding) {
                    (Some(packed), _) => Conv::create_packed(&desc, packed, supported, allocator),
                    (None, Some(padding)) => {
                        Conv::create_transposed(&desc, padding, supported, allocator)
                    }
                    (None, None) => Conv::create(&desc, supported, allocator),
                }
            }
        };
        plan.map_err(|error| named(error, self.absent()))
    }

    /// The description of a convolution of numbers, with its weights or without.
    ///
    /// # Safety
    /// Its arrays can be read as documented.
    unsafe fn read_real<'a>(&self, with_weights: bool) -> Result<RealConvDesc<'a>> {
        let (axes, layout, filter_layout) = self.shape(with_weights)?;
        let input = self.input.read_real()?;
        let (output, activation) = self.output.read_real()?;
        // SAFETY: by this function's contract.
        unsafe {
            Ok(RealConvDesc {
                in_channels: self.in_channels,
                out_channels: self.out_channels,
                groups: self.groups,
                axes,
                layout,
                filter_layout,
                weights: match with_weights {
                    true => self.weights.read_real(self.weight_count(&axes))?,
                    false => RealWeights::F32(&[]),
                },
                input,
                bias: self.bias.read_real(self.out_channels)?,
                output,
                activation,
                residual: self.residual.read()?,
            })
        }
    }
}

/// Whether a plan is of numbers. Weights to pack that are numbers have an input that is multiplied as it is.
fn is_real(input: &fewbit_input, weights: &fewbit_weights, to_pack: bool) -> Result<bool> {
    let numbers = matches!(weights.dtype, FEWBIT_F32 | FEWBIT_F16 | FEWBIT_BF16)
        || blocks_of(weights.dtype).is_some();
    let real = input.mode == FEWBIT_INPUT_REAL;
    if to_pack && numbers && !real {
        let text = "is of numbers, which take an input of numbers: FEWBIT_INPUT_REAL";
        return Err(unsupported("desc.weights.dtype", text));
    }
    Ok(real)
}

impl fewbit_input {
    /// The numbers of an input that is multiplied as it is.
    fn read_real(&self) -> Result<RealFormat> {
        match self.read()? {
            Input::Real(input) => Ok(input),
            _ => Err(unsupported("desc.input.mode", "is not FEWBIT_INPUT_REAL")),
        }
    }
}

impl fewbit_output {
    /// The output of a plan of numbers, and its activation.
    fn read_real(&self) -> Result<(Output, Activation)> {
        let (output, activation, mode) = self.read()?;
        if mode != ActivationMode::Float {
            let text = "is by table, which codes have, but the weights are numbers";
            return Err(unsupported("desc.output.mode", text));
        }
        Ok((output, activation))
    }
}

impl fewbit_bias {
    /// The bias of a plan of numbers.
    ///
    /// # Safety
    /// `data` is NULL or can be read for `channels` values.
    unsafe fn read_real<'a>(&self, channels: usize) -> Result<&'a [f32]> {
        // SAFETY: by this function's contract.
        match unsafe { self.read(channels)? } {
            Bias::None => Ok(&[]),
            Bias::F32(bias) => Ok(bias),
            Bias::S32(_) => {
                let text = "is s32, but a product of numbers has no integer sums: use f32";
                Err(unsupported("desc.bias", text))
            }
        }
    }
}

/// Which kind of blocks weights are, if they are: the constant that a type is added to.
const fn blocks_of(dtype: i32) -> Option<i32> {
    match dtype {
        FEWBIT_WEIGHTS_GGUF..FEWBIT_WEIGHTS_MX => Some(FEWBIT_WEIGHTS_GGUF),
        FEWBIT_WEIGHTS_MX..FEWBIT_WEIGHTS_NVFP4 => Some(FEWBIT_WEIGHTS_MX),
        FEWBIT_WEIGHTS_NVFP4 => Some(FEWBIT_WEIGHTS_NVFP4),
        _ => None,
    }
}

const TOO_LARGE: Error =
    Error::new(Status::InvalidArgument, "desc", "describes a size beyond memory");

impl fewbit_linear_desc {
    /// The weights of a layer of numbers, `count` numbers or bytes of codes.
    ///
    /// # Safety
    /// The arrays can be read as documented.
    unsafe fn read_real_weights<'a>(&self, count: Option<usize>) -> Result<RealWeights<'a>> {
        let weights = &self.weights;
        // SAFETY: by this function's contract.
        unsafe {
            match (weights.dtype, blocks_of(weights.dtype)) {
                (dtype, Some(kind)) => self.read_blocks(kind, dtype - kind),
                (FEWBIT_S8 | FEWBIT_U8 | FEWBIT_S4 | FEWBIT_U4, None) => {
                    weights.read(count).map(RealWeights::Codes)
                }
                _ => weights.read_real(count),
            }
        }
    }

    /// Weights that are blocks of a kind, of one of its formats.
    ///
    /// # Safety
    /// The arrays can be read as documented.
    unsafe fn read_blocks<'a>(&self, kind: i32, format: i32) -> Result<RealWeights<'a>> {
        let bad = |error: Error| Error { argument: "desc.weights.dtype", ..error };
        let weights = &self.weights;
        let (k, rows) = (self.in_features, self.out_features.checked_mul(self.matrices.max(1)));
        // As much memory as of f32.
        let numbers = rows.and_then(|rows| rows.checked_mul(k)).ok_or(TOO_LARGE)?;
        if numbers.checked_mul(4).is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(TOO_LARGE);
        }
        weights.only_data(kind == FEWBIT_WEIGHTS_NVFP4)?;
        let data = weights.data.cast::<u8>();
        let bytes = |name, at: *const u8, count| {
            array(name, at, count)?;
            // SAFETY: checked, and readable by this function's contract.
            Ok::<&'a [u8], Error>(unsafe { slice(at, count) })
        };
        let of_data = |count| bytes("desc.weights.data", data, count);
        let of_scales = |count| bytes("desc.weight_block_scales", self.weight_block_scales, count);
        match kind {
            FEWBIT_WEIGHTS_GGUF => {
                let format = gguf_format(format).map_err(bad)?;
                // Constants to the compiler: no division by 0.
                let blocks = if format.is_k() { numbers / 256 } else { numbers / BLOCK };
                Ok(RealWeights::Gguf(format, of_data(blocks * format.block_bytes())?))
            }
            FEWBIT_WEIGHTS_MX => {
                let format = mx_format(format).map_err(bad)?;
                let elements = of_data(format.element_bytes(numbers))?;
                Ok(RealWeights::Mx { format, scales: of_scales(numbers / BLOCK)?, elements })
            }
            _ => {
                array("desc.weights.scales", weights.scales, 1)?;
                Ok(RealWeights::Nvfp4 {
                    // SAFETY: checked, and readable by this function's contract.
                    scale: unsafe { weights.scales.read() },
                    scales: of_scales(numbers / nvfp4::BLOCK)?,
                    elements: of_data(numbers.div_ceil(2))?,
                })
            }
        }
    }
}

impl fewbit_weights {
    /// Refuses what only codes have; a single scale may be there.
    fn only_data(&self, with_scale: bool) -> Result<()> {
        let given = [
            ("desc.weights.block", self.block != 0),
            ("desc.weights.scales", !with_scale && !self.scales.is_null()),
            ("desc.weights.zero_points", !self.zero_points.is_null()),
            ("desc.weights.multipliers", !self.multipliers.is_null() || !self.shifts.is_null()),
        ];
        for (name, given) in given {
            if given {
                let text =
                    "is of codes, but the weights are numbers, or have their scales in blocks";
                return Err(unsupported(name, text));
            }
        }
        if with_scale && self.scale_count != 1 {
            let text = "is {}, but NVFP4 has one";
            let error = Error::new(Status::InvalidArgument, "desc.weights.scale_count", text);
            return Err(error.with(self.scale_count));
        }
        Ok(())
    }

    /// Weights that are numbers.
    ///
    /// # Safety
    /// `data` can be read for `count` of them.
    unsafe fn read_real<'a>(&self, count: Option<usize>) -> Result<RealWeights<'a>> {
        let count = count.ok_or(TOO_LARGE)?;
        self.only_data(false)?;
        let half = || {
            array("desc.weights.data", self.data.cast::<u16>(), count)?;
            // SAFETY: checked, and readable by this function's contract.
            Ok(unsafe { slice(self.data.cast(), count) })
        };
        match self.dtype {
            FEWBIT_F32 => {
                array("desc.weights.data", self.data.cast::<f32>(), count)?;
                // SAFETY: as above.
                Ok(RealWeights::F32(unsafe { slice(self.data.cast(), count) }))
            }
            FEWBIT_F16 => half().map(RealWeights::F16),
            FEWBIT_BF16 => half().map(RealWeights::Bf16),
            other => {
                let text = "is {}, but an input that is multiplied as it is takes FEWBIT_F32, FEWBIT_F16 or \
                            FEWBIT_BF16 weights, 8- or 4-bit codes, or blocks, FEWBIT_WEIGHTS_*";
                Err(unsupported("desc.weights.dtype", text).with(other))
            }
        }
    }
}
