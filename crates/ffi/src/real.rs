//! Level 3: linear layers of real numbers.

use crate::boundary::{array, slice};
use crate::linear::fewbit_linear_desc;
use crate::plans::{FEWBIT_INPUT_REAL, fewbit_weights, matrix_codes};
use crate::tensors::{FEWBIT_BF16, FEWBIT_F16, FEWBIT_F32};
use fewbit::memory::Allocator;
use fewbit::simd::Supported;
use fewbit::{
    ActivationMode, Bias, Error, Input, Linear, RealLinearDesc, RealWeights, Result, Status,
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
        let numbers = matches!(self.weights.dtype, FEWBIT_F32 | FEWBIT_F16 | FEWBIT_BF16);
        let real = self.input.mode == FEWBIT_INPUT_REAL;
        if packed.is_none() && numbers && !real {
            let text = "is of numbers, which take an input of numbers: FEWBIT_INPUT_REAL";
            return Err(unsupported("desc.weights.dtype", text));
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
        if self.reserved != 0 {
            let error =
                Error::new(Status::InvalidArgument, "desc.reserved", "is {}, but must be 0");
            return Err(error.with(self.reserved));
        }
        let matrices = self.matrices.max(1);
        let strides = (self.weight_stride, self.matrix_stride);
        let count = matrix_codes(self.weights.dtype, (matrices, rows, columns), strides);
        let Input::Real(input) = self.input.read()? else {
            return Err(unsupported("desc.input.mode", "is not FEWBIT_INPUT_REAL"));
        };
        let (output, activation, mode) = self.output.read()?;
        if mode != ActivationMode::Float {
            let text = "is by table, which codes have, but the weights are numbers";
            return Err(unsupported("desc.output.mode", text));
        }
        // SAFETY: by this function's contract.
        unsafe {
            Ok(RealLinearDesc {
                in_features: self.in_features,
                out_features: self.out_features,
                weights: match with_weights {
                    true => self.weights.read_real(count)?,
                    false => RealWeights::F32(&[]),
                },
                layout,
                weight_stride: self.weight_stride,
                input,
                bias: match self.bias.read(self.out_features.saturating_mul(matrices))? {
                    Bias::None => &[],
                    Bias::F32(bias) => bias,
                    Bias::S32(_) => {
                        let text = "is s32, but a product of numbers has no integer sums: use f32";
                        return Err(unsupported("desc.bias", text));
                    }
                },
                output,
                activation,
                residual: self.residual.read()?,
                matrices,
                matrix_stride: self.matrix_stride,
            })
        }
    }
}

impl fewbit_weights {
    /// Weights that are numbers.
    ///
    /// # Safety
    /// `data` can be read for `count` of them.
    unsafe fn read_real<'a>(&self, count: Option<usize>) -> Result<RealWeights<'a>> {
        let count = count.ok_or(Error::new(
            Status::InvalidArgument,
            "desc",
            "describes a size beyond memory",
        ))?;
        let given = [
            ("desc.weights.block", self.block != 0),
            ("desc.weights.scales", !self.scales.is_null()),
            ("desc.weights.zero_points", !self.zero_points.is_null()),
            ("desc.weights.multipliers", !self.multipliers.is_null() || !self.shifts.is_null()),
        ];
        for (name, given) in given {
            if given {
                return Err(unsupported(name, "is of codes, but the input is FEWBIT_INPUT_REAL"));
            }
        }
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
                            FEWBIT_BF16 weights";
                Err(unsupported("desc.weights.dtype", text).with(other))
            }
        }
    }
}
