//! The creation of linear plans, from weights or from packed ones, and the writing of these.

use super::{Linear, LinearDesc, LinearLayout};
use crate::memory::Allocator;
use crate::plan::{
    Engine, Kind, Layout, Operands, Quantizer, Saved, check_apart, check_operands, rhs_form, save,
    saved_format, saved_size, size,
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
        for (name, value) in
            [("desc.in_features", k), ("desc.out_features", n), ("desc.matrices", matrices)]
        {
            if value == 0 {
                return Err(Error::new(Status::InvalidArgument, name, "is 0"));
            }
        }
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
                let (stride, matrix_stride) = weight_strides(desc)?;
                let at = |channel: usize, i: usize| {
                    let matrix = channel.checked_div(n)?;
                    let channel = channel - matrix * n;
                    let within = match desc.layout {
                        LinearLayout::Nk => channel * stride + i,
                        LinearLayout::Kn => i * stride + channel,
                    };
                    Some(matrix * matrix_stride + within)
                };
                Engine::new(&operands, at, (matrices, n, k), supported, allocator)?
            }
        };
        let form = engine.packed.form;
        Ok(Linear {
            engine,
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
    pub fn packed_size(&self) -> Result<usize> {
        self.check_saves()?;
        saved_size(&self.engine.packed)
    }

    /// Writes the packed weights, for [`create_packed`](Linear::create_packed): to a file, say, that later runs of
    /// the program map. The first [`packed_size`](Linear::packed_size) bytes of `packed` are written; they depend on
    /// the weights and the instruction set only.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`], [`Status::Unsupported`] (weights with a scale a block); nothing is written
    /// then.
    pub fn save_packed(&self, packed: &mut [u8]) -> Result<()> {
        self.check_saves()?;
        save(&self.engine.packed, Kind::Linear, packed)
    }

    /// As [`save_packed`](Linear::save_packed), for memory that may be what the plan reads.
    ///
    /// # Errors
    /// As [`save_packed`](Linear::save_packed), and [`Status::Overlap`].
    ///
    /// # Safety
    /// `packed` can be written for `size` bytes.
    pub unsafe fn save_packed_raw(&self, packed: *mut u8, size: usize) -> Result<()> {
        check_apart(&self.engine.packed, packed, size)?;
        // SAFETY: by this function's contract; apart from what the plan reads.
        self.save_packed(unsafe { core::slice::from_raw_parts_mut(packed, size) })
    }
}

impl Linear<'_> {
    fn check_saves(&self) -> Result<()> {
        if self.engine.has_blocks() {
            let text = "has weights with a scale a block, which are not written";
            return Err(Error::new(Status::Unsupported, "linear", text));
        }
        Ok(())
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

const NO_ROOM: Error =
    Error::new(Status::InvalidArgument, "desc", "describes a size beyond memory");

/// The distances of the weights' rows, and of the matrices; all codes are there.
fn weight_strides(desc: &LinearDesc<'_>) -> Result<(usize, usize)> {
    let (n, k) = (desc.out_features, desc.in_features);
    let (rows, columns) = match desc.layout {
        LinearLayout::Nk => (n, k),
        LinearLayout::Kn => (k, n),
    };
    // Rows of packed codes start on a byte.
    let unit = desc.weights.format.codes_per_byte();
    let contiguous = columns.checked_next_multiple_of(unit).ok_or(NO_ROOM)?;
    let stride = if desc.weight_stride == 0 { contiguous } else { desc.weight_stride };
    for (name, stride) in
        [("desc.weight_stride", stride), ("desc.matrix_stride", desc.matrix_stride)]
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
            "is {}, less than the {} codes of a row",
        )
        .with(stride)
        .with(columns));
    }
    let matrix = size(&[rows.saturating_sub(1), stride])?.saturating_add(columns);
    let matrix_stride = match desc.matrix_stride {
        0 => size(&[rows, stride])?,
        given => given,
    };
    let needed = size(&[desc.matrices.saturating_sub(1), matrix_stride])?.saturating_add(matrix);
    let needed = needed.div_ceil(unit);
    if desc.weights.codes.len() < needed {
        return Err(Error::new(
            Status::BufferTooSmall,
            "desc.weights.data",
            "has {} bytes, but needs {}",
        )
        .with(desc.weights.codes.len())
        .with(needed));
    }
    Ok((stride, matrix_stride))
}
