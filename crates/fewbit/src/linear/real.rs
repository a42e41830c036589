//! Linear layers of real numbers: f32, f16 or bf16 weights, or codes that stand for numbers, packed once, and the tasks of
//! their runs.

use super::create::Strided;
use super::{Linear, LinearLayout, Parts, Product};
use crate::memory::Allocator;
use crate::plan::{
    Coded, Destination, EitherEngine, Form, Input, Kind, MAX_BLOCKS, Opened, Output, Quantizer,
    RealArithmetic, RealBlock, RealEngine, RealLayout, RealOperands, RealWeights, Residual, size,
};
use crate::{Error, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null_mut;
use fewbit_scheme::{Activation, RealFormat};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// A linear layer of real numbers to plan: `y[m][n] = Σ_k x[m][k] w[n][k]`, one chain of f32 fused multiply-adds in the
/// order of k ([`fewbit_scheme::dot`]), unless another [`RealArithmetic`] is asked for; then bias, residual, activation and the output's type, as those of
/// [`LinearDesc`](super::LinearDesc).
#[derive(Clone, Copy, Debug)]
pub struct RealLinearDesc<'a> {
    /// K, at least 1.
    pub in_features: usize,
    /// N, at least 1.
    pub out_features: usize,
    /// The weights, `(matrices - 1) * matrix_stride + (rows - 1) * weight_stride + columns` of them at least.
    pub weights: RealWeights<'a>,
    /// Which of the two dimensions comes first.
    pub layout: LinearLayout,
    /// Weights between rows; 0: contiguous.
    pub weight_stride: usize,
    /// The numbers that are read.
    pub input: RealFormat,
    /// What is added to each output channel: none, or one for each; of several matrices, matrix by matrix.
    pub bias: &'a [f32],
    /// What is written: not [`Output::S32`], nor [`Output::FixedPoint`].
    pub output: Output,
    /// What is applied before writing.
    pub activation: Activation,
    /// What is added before it, of the result's shape and layout.
    pub residual: Residual,
    /// Weight matrices of this shape, at least 1, as [`LinearDesc::matrices`](super::LinearDesc::matrices).
    pub matrices: usize,
    /// Weights between the first ones of neighbouring matrices; 0: no gaps.
    pub matrix_stride: usize,
    /// How products are added up.
    pub arithmetic: RealArithmetic,
}

impl<'w> Linear<'w> {
    /// As [`create`](Linear::create), for a layer of real numbers.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`], [`Status::Unsupported`], [`Status::BufferTooSmall`] (weights),
    /// [`Status::OutOfMemory`].
    pub fn create_real(
        desc: &RealLinearDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        Linear::build_real(desc, None, supported, allocator)
    }

    /// As [`create_real`](Linear::create_real), with weights that [`save_packed`](Linear::save_packed) wrote, read where
    /// they lie. Of `desc`, `weights`, `layout` and strides are not used: the format is that of the weights.
    ///
    /// # Errors
    /// As [`create_packed`](Linear::create_packed).
    pub fn create_real_packed(
        desc: &RealLinearDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        Linear::build_real(desc, Some(packed), supported, allocator)
    }

    fn build_real(
        desc: &RealLinearDesc<'_>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        let RealLinearDesc { in_features: k, out_features: n, matrices, output, .. } = *desc;
        let input = Input::Real(desc.input);
        let (unit, unit_bytes) = desc.weights.unit();
        let strided = Strided {
            matrices,
            out_features: n,
            in_features: k,
            layout: desc.layout,
            weight_stride: desc.weight_stride,
            matrix_stride: desc.matrix_stride,
            unit,
            unit_bytes,
        };
        strided.check()?;
        let saved = match packed {
            Some(bytes) => Some(Opened::open(bytes)?),
            None => None,
        };
        let coded = match &saved {
            Some(_) => None,
            None => {
                if desc.weights.are_blocks() {
                    check_rows(&strided)?;
                }
                Coded::new(desc.weights, size(&[matrices, n])?, k)?
            }
        };
        let form = match &saved {
            Some(saved) => Form::saved(saved)?,
            None => Form::of(&desc.weights, coded.as_ref(), k),
        };
        let form = form.under(desc.arithmetic, desc.input, saved.is_some())?;
        let layout = RealLayout::new(form, (matrices, n, k), supported)?;
        let described = RealOperands {
            input: desc.input,
            bias: desc.bias,
            output,
            activation: desc.activation,
            residual: desc.residual,
        };
        let operands = described.check(layout.channels)?;
        let engine = match &saved {
            Some(saved) => {
                let panels = saved.panels(&layout.head(Kind::Linear))?;
                RealEngine::mapped(&operands, panels, layout, supported, allocator)?
            }
            None => {
                // Blocks are found by their numbers.
                let len = if desc.weights.are_blocks() { usize::MAX } else { desc.weights.len() };
                let at = strided.index(len)?;
                let weights = (desc.weights, coded.as_ref());
                RealEngine::new(&operands, weights, &at, layout, supported, allocator)?
            }
        };
        Ok(Linear {
            engine: EitherEngine::Real(engine),
            // Of no codes: it does nothing.
            quantizer: Quantizer::new(input, LhsForm::S8, supported)?,
            of_results: Quantizer::of_output(output, supported)?,
            input,
            output,
            residual: desc.residual,
            in_features: k,
            out_features: n,
            matrices,
        })
    }

    /// As [`task`](Linear::task), of a plan of real numbers.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn real_task(
        &self,
        engine: &RealEngine<'_>,
        product: &Product,
        parts: &Parts,
        (rows, columns): (Range<usize>, Range<usize>),
        (direct, slot): (bool, usize),
    ) {
        let Product { run, matrix, .. } = product;
        // Of one row any stride is legal, and not used.
        let stride = run.x_stride.wrapping_mul(self.input.element_size());
        let split = engine.split(rows.len());
        let mut blocks = [const { MaybeUninit::<RealBlock>::uninit() }; MAX_BLOCKS];
        let mut count = 0;
        for (b, block) in blocks.iter_mut().enumerate() {
            let of_block = split(b);
            if of_block.start >= rows.len() {
                break;
            }
            let first = run.x.wrapping_add((rows.start + of_block.start) * stride);
            // SAFETY: the slot's own memory, `most_blocks` blocks of it; the rows can be read by this function's contract.
            let made = unsafe {
                let memory = match direct {
                    true => null_mut(),
                    false => parts.blocks.add((slot * parts.most_blocks + b) * parts.block),
                };
                engine.block(memory, (of_block.len(), self.in_features), (first, stride))
            };
            block.write(made);
            count += 1;
        }
        let element = self.output.of_sums().element_size();
        // SAFETY: `count` blocks were written; rows and columns of `y` by this function's contract.
        unsafe {
            let whole = Destination {
                base: run.y,
                row_stride: run.y_stride,
                column_stride: 1,
                residual: run.residual,
                residual_row_stride: run.residual_stride,
            };
            let destination = whole.at(rows.start, 0, element, self.residual.element_size());
            let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
            let scratch = parts.scratch.wrapping_add(slot * parts.scratch_size);
            engine.multiply(blocks, *matrix, columns, &destination, scratch);
        }
    }
}

/// Refuses rows of blocks in another layout than that of files.
fn check_rows(strided: &Strided) -> Result<()> {
    let Strided { out_features: n, in_features: k, layout, weight_stride, matrix_stride, .. } =
        *strided;
    if layout != LinearLayout::Nk {
        let text = "is by input feature, but blocks are rows of an output channel's weights";
        return Err(Error::new(Status::Unsupported, "desc.weight_layout", text));
    }
    let strides = [
        ("desc.weight_stride", weight_stride, k),
        ("desc.matrix_stride", matrix_stride, size(&[n, k])?),
    ];
    for (name, given, contiguous) in strides {
        if given != 0 && given != contiguous {
            let text = "is {}, but blocks are without gaps: 0, or {}";
            return Err(Error::new(Status::Unsupported, name, text).with(given).with(contiguous));
        }
    }
    Ok(())
}
