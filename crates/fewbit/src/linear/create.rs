//! The creation of linear plans, from weights or from packed ones, and the writing of these.

use super::{Linear, LinearDesc, LinearLayout};
use crate::memory::Allocator;
use crate::plan::{
    EitherEngine, Engine, Kind, Layout, Operands, Quantizer, Saved, check_operands, rhs_form,
    saved_format, size,
};
use crate::{Error, Result, Status};
use fewbit_simd::Supported;

impl<'w> Linear<'w> {
    /// Packs the weights and chooses kernels. The only call that allocates.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`], [`Status::Unsupported`], [`Status::BufferTooSmall`] (codes),
    /// [`Status::LimitExceeded`] (a sum could leave int32), [`Status::OutOfMemory`].
    pub fn create(
        desc: &LinearDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        not_per_row(desc)?;
        Linear::build(desc, None, supported, allocator)
    }

    /// As [`create`](Linear::create), with weights that [`save_packed`](Linear::save_packed) wrote, read where they
    /// lie. `desc` has everything but them: its `weights`, `layout` and strides are not used. Input, bias,
    /// output and activation need not be those of the plan that wrote them.
    ///
    /// # Errors
    /// As [`create`](Linear::create); of `packed`: [`Status::Misaligned`] (64 bytes), [`Status::BufferTooSmall`]
    /// (truncated), [`Status::InvalidArgument`] (not packed weights, changed ones, another shape),
    /// [`Status::Unsupported`] (another version of the format, or packed for another instruction set).
    pub fn create_packed(
        desc: &LinearDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        not_per_row(desc)?;
        Linear::build(desc, Some(packed), supported, allocator)
    }

    /// A plan of weights to pack, or of packed ones.
    pub(super) fn build(
        desc: &LinearDesc<'_>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Linear<'w>> {
        let (n, k) = (desc.out_features, desc.in_features);
        let matrices = desc.matrices;
        let strided = Strided {
            matrices,
            out_features: n,
            in_features: k,
            layout: desc.layout,
            weight_stride: desc.weight_stride,
            matrix_stride: desc.matrix_stride,
            unit: desc.weights.format.codes_per_byte(),
            unit_bytes: 1,
        };
        strided.check()?;
        let format = packed.map_or(desc.weights.format, saved_format);
        let layout = Layout::new(rhs_form(format, &desc.input)?, (matrices, n, k), supported)?;
        let saved = match packed {
            Some(bytes) => Some(Saved::open(bytes, Kind::Linear, &layout)?),
            None => None,
        };
        let operands = Operands {
            weights: saved.as_ref().map_or(desc.weights, |saved| saved.weights(desc.weights)),
            input: desc.input,
            bias: desc.bias,
            output: desc.output,
            activation: desc.activation,
            mode: desc.activation_mode,
            residual: desc.residual,
        };
        check_operands(&operands, layout.channels, k)?;
        check_kind(desc, operands.weights.block)?;
        let operands = Operands { output: desc.output.of_sums(), ..operands };
        let engine = match &saved {
            Some(saved) => Engine::mapped(&operands, saved, layout, supported, allocator)?,
            None => {
                let at = strided.index(desc.weights.codes.len())?;
                Engine::new(&operands, &at, layout, supported, allocator)?
            }
        };
        let form = engine.packed.form;
        Ok(Linear {
            engine: EitherEngine::Codes(engine),
            quantizer: Quantizer::new(desc.input, form, supported)?,
            of_results: Quantizer::of_output(desc.output, supported)?,
            input: desc.input,
            output: desc.output,
            residual: desc.residual,
            in_features: k,
            out_features: n,
            matrices,
        })
    }

    /// Bytes that [`save_packed`](Linear::save_packed) writes.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if they are beyond memory; [`Status::Unsupported`] for weights with a scale a
    /// block.
    #[inline(never)]
    pub fn packed_size(&self) -> Result<usize> {
        self.engine.saved_size()
    }

    /// Writes the packed weights, for [`create_packed`](Linear::create_packed): to a file, say, that later runs of
    /// the program map. The first [`packed_size`](Linear::packed_size) bytes of `packed` are written; they depend on
    /// the weights and the instruction set only.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`], [`Status::Unsupported`] (weights with a scale a block); nothing is written
    /// then.
    pub fn save_packed(&self, packed: &mut [u8]) -> Result<()> {
        self.engine.save(Kind::Linear, packed)
    }

    /// As [`save_packed`](Linear::save_packed), for memory that may be what the plan reads.
    ///
    /// # Errors
    /// As [`save_packed`](Linear::save_packed), and [`Status::Overlap`].
    ///
    /// # Safety
    /// `packed` can be written for `size` bytes.
    #[inline(never)]
    pub unsafe fn save_packed_raw(&self, packed: *mut u8, size: usize) -> Result<()> {
        self.engine.check_apart(packed, size)?;
        // SAFETY: by this function's contract; apart from what the plan reads.
        self.save_packed(unsafe { core::slice::from_raw_parts_mut(packed, size) })
    }
}

/// Refuses what only a plan of one matrix and inputs with parameters of its own can do.
fn check_kind(desc: &LinearDesc<'_>, block: usize) -> Result<()> {
    if desc.matrices == 1 && !desc.input.is_per_row() {
        return Ok(());
    }
    if block > 0 {
        let text = "is {}, but a plan of several matrices, and a Gemm, take no scale a block";
        return Err(Error::new(Status::Unsupported, "desc.weights.block", text).with(block));
    }
    Ok(())
}

fn not_per_row(desc: &LinearDesc<'_>) -> Result<()> {
    if desc.input.is_per_row() {
        let text = "has parameters that come with the run, which a Gemm takes";
        return Err(Error::new(Status::Unsupported, "desc.input", text));
    }
    Ok(())
}

/// Where weights lie: matrices, and rows of each, at equal distances.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    pub matrices: usize,
    pub out_features: usize,
    pub in_features: usize,
    pub layout: LinearLayout,
    /// Between rows; 0: contiguous.
    pub weight_stride: usize,
    /// Between matrices; 0: no gaps.
    pub matrix_stride: usize,
    /// Weights that lie together: rows start with the first of such, as with that of a byte of packed codes.
    pub unit: usize,
    /// Bytes of these.
    pub unit_bytes: usize,
}

const NO_ROOM: Error =
    Error::new(Status::InvalidArgument, "desc", "describes a size beyond memory");

impl Strided {
    /// Refuses sizes of 0.
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("desc.in_features", self.in_features),
            ("desc.out_features", self.out_features),
            ("desc.matrices", self.matrices),
        ] {
            if value == 0 {
                return Err(Error::new(Status::InvalidArgument, name, "is 0"));
            }
        }
        Ok(())
    }

    /// The index of weight `i` of a channel, the channels of all matrices being numbered on; all are within `len` units.
    pub(super) fn index(
        &self,
        len: usize,
    ) -> Result<impl Fn(usize, usize) -> Option<usize> + use<>> {
        let (n, layout) = (self.out_features, self.layout);
        let (stride, matrix_stride) = self.distances(len)?;
        Ok(move |channel: usize, i: usize| {
            let matrix = channel.checked_div(n)?;
            let channel = channel - matrix * n;
            let within = match layout {
                LinearLayout::Nk => channel * stride + i,
                LinearLayout::Kn => i * stride + channel,
            };
            Some(matrix * matrix_stride + within)
        })
    }

    /// The distances of the weights' rows, and of the matrices; all weights are within `len` units.
    fn distances(&self, len: usize) -> Result<(usize, usize)> {
        let (n, k) = (self.out_features, self.in_features);
        let (rows, columns) = match self.layout {
            LinearLayout::Nk => (n, k),
            LinearLayout::Kn => (k, n),
        };
        let unit = self.unit;
        let contiguous = columns.checked_next_multiple_of(unit).ok_or(NO_ROOM)?;
        let stride = if self.weight_stride == 0 { contiguous } else { self.weight_stride };
        for (name, stride) in
            [("desc.weight_stride", stride), ("desc.matrix_stride", self.matrix_stride)]
        {
            if !stride.is_multiple_of(unit) {
                let text = "is {}, but rows start on a byte, of {} codes";
                let error = Error::new(Status::InvalidArgument, name, text);
                return Err(error.with(stride).with(unit));
            }
        }
        if stride < columns {
            return Err(Error::new(
                Status::InvalidArgument,
                "desc.weight_stride",
                "is {}, less than the {} weights of a row",
            )
            .with(stride)
            .with(columns));
        }
        let matrix = size(&[rows.saturating_sub(1), stride])?.saturating_add(columns);
        let matrix_stride = match self.matrix_stride {
            0 => size(&[rows, stride])?,
            given => given,
        };
        let needed =
            size(&[self.matrices.saturating_sub(1), matrix_stride])?.saturating_add(matrix);
        let needed = needed.div_ceil(unit.max(1));
        if len < needed {
            return Err(Error::new(
                Status::BufferTooSmall,
                "desc.weights.data",
                "has {} bytes, but needs {}",
            )
            .with(len.saturating_mul(self.unit_bytes))
            .with(needed.saturating_mul(self.unit_bytes)));
        }
        Ok((stride, matrix_stride))
    }
}
