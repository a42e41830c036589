//! Several tensors of codes behind each other along an axis, each brought from its own parameters to the result's.

use crate::plan::{MemoryRange, check_params, find, forbid_overlap, size};
use crate::tensor::share_bytes;
use crate::{Code, Error, Parallel, Result, Status};
use fewbit_kernels::registry::Bound;
use fewbit_kernels::rescale::{RescaleArgs, RescaleFn, S8_S8, U8_U8};
use fewbit_scheme::QuantParams;
use fewbit_simd::Supported;

/// The result: `[outer][axis][inner]`, without gaps, where `axis` is what the pieces have in all.
#[derive(Clone, Copy, Debug)]
pub struct ConcatDesc {
    /// The product of the dimensions before the axis.
    pub outer: usize,
    /// The product of the dimensions behind the axis.
    pub inner: usize,
    /// The codes, of pieces and result.
    pub code: Code,
    /// The result's parameters.
    pub y: QuantParams,
}

/// One of the tensors: `[outer][len][inner]`, without gaps.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// The codes.
    pub x: *const u8,
    /// Elements along the axis.
    pub len: usize,
    /// Their parameters.
    pub params: QuantParams,
}

/// Concatenates slices, each with its parameters; their lengths are multiples of `outer * inner` and tell theirs along the
/// axis.
///
/// A code becomes [`fewbit_scheme::rescale`] of it; pieces that have the result's parameters are copied, which is the same.
///
/// # Errors
/// As [`concat_raw`]; [`Status::InvalidArgument`] for a piece of another length; [`Status::BufferTooSmall`] for the
/// result.
pub fn concat<const N: usize>(
    desc: &ConcatDesc,
    pieces: [(&[u8], QuantParams); N],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let each = size(&[desc.outer, desc.inner])?;
    let mut total = 0usize;
    let mut raw = [Piece { x: core::ptr::null(), len: 0, params: desc.y }; N];
    for (piece, (x, params)) in raw.iter_mut().zip(pieces) {
        let len = x.len().checked_div(each).unwrap_or(0);
        if len * each != x.len() {
            let text = "has a piece of {} codes, which is not a multiple of {}";
            let error = Error::new(Status::InvalidArgument, "pieces", text);
            return Err(error.with(x.len()).with(each));
        }
        total = total.saturating_add(x.len());
        *piece = Piece { x: x.as_ptr(), len, params };
    }
    if y.len() < total {
        let error = Error::new(Status::BufferTooSmall, "y", "has {} codes, but needs {}");
        return Err(error.with(y.len()).with(total));
    }
    // SAFETY: the slices hold the pieces and the result.
    unsafe { concat_raw(desc, &raw, y.as_mut_ptr(), parallel, supported) }
}

/// As [`concat()`], on pointers; the pieces are whatever describes one.
///
/// # Errors
/// [`Status::InvalidArgument`] for sizes beyond memory, and parameters, and where a quotient of scales is infinite;
/// [`Status::NullPointer`] unless there are no elements; [`Status::Overlap`].
///
/// # Safety
/// The pieces can be read, the result be written.
pub unsafe fn concat_raw<P: Copy + Into<Piece>>(
    desc: &ConcatDesc,
    pieces: &[P],
    y: *mut u8,
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let ConcatDesc { outer, inner, code, y: params } = *desc;
    check_params(params, code.format(), "y_params")?;
    let too_large = Error::new(Status::InvalidArgument, "pieces", "are more than memory");
    let mut row = 0usize;
    for piece in pieces {
        let piece: Piece = (*piece).into();
        check_params(piece.params, code.format(), "pieces")?;
        if (piece.params.scale / params.scale).is_infinite() {
            let text = "have a scale of {}, too large for one of {}";
            let error = Error::new(Status::InvalidArgument, "pieces", text);
            return Err(error.with(piece.params.scale).with(params.scale));
        }
        let codes = size(&[piece.len, inner]).map_err(|_| too_large)?;
        row = row.checked_add(codes).ok_or(too_large)?;
    }
    let elements = size(&[outer, row]).map_err(|_| too_large)?;
    if elements == 0 {
        return Ok(());
    }
    if y.is_null() {
        return Err(Error::new(Status::NullPointer, "y", "is NULL"));
    }
    let of_y = MemoryRange::new("y", y, elements);
    let list = MemoryRange::new("pieces", pieces.as_ptr(), size_of_val(pieces));
    forbid_overlap(list, of_y)?;
    for piece in pieces {
        let piece: Piece = (*piece).into();
        if piece.len > 0 && piece.x.is_null() {
            return Err(Error::new(Status::NullPointer, "pieces", "has a piece that is NULL"));
        }
        let bytes = size(&[outer, piece.len, inner]).map_err(|_| too_large)?;
        forbid_overlap(MemoryRange::new("pieces", piece.x, bytes), of_y)?;
    }
    let rows = match code {
        Code::S8 => S8_S8,
        Code::U8 => U8_U8,
    };
    let call = Call { desc, pieces, y, row, kernel: find(rows, supported)? };
    // SAFETY: the elements are of the result, and this part's alone.
    share_bytes(elements, parallel, |begin, end| unsafe { call.part(begin, end) });
    Ok(())
}

/// Pointers of a call, and what is common to its parts.
struct Call<'a, P> {
    desc: &'a ConcatDesc,
    pieces: &'a [P],
    y: *mut u8,
    /// Elements of all pieces for one index of the dimensions before the axis.
    row: usize,
    kernel: Bound<RescaleFn>,
}
// SAFETY: parts read pieces and write their own elements of the result.
unsafe impl<P> Sync for Call<'_, P> {}

impl<P: Copy + Into<Piece>> Call<'_, P> {
    /// Elements `begin..end` of the result.
    ///
    /// # Safety
    /// They exist; the pieces can be read, and they be written.
    unsafe fn part(&self, begin: usize, end: usize) {
        let row = self.row.max(1);
        let (first, last) = (begin / row, end.div_ceil(row));
        let mut at = 0;
        // Piece by piece: one set of parameters, and one stretch of memory that is read.
        for piece in self.pieces {
            let piece: Piece = (*piece).into();
            let len = piece.len * self.desc.inner;
            let copied = piece.params == self.desc.y;
            let multiplier = piece.params.scale / self.desc.y.scale;
            for row in first..last {
                // What this part has of the row's piece.
                let place = row * self.row + at;
                let (from, to) = (place.max(begin), (place + len).min(end));
                if from >= to {
                    continue;
                }
                let n = to - from;
                // SAFETY: by this function's contract.
                unsafe {
                    let src = piece.x.add(row * len + (from - place));
                    let dst = self.y.add(from);
                    if copied {
                        src.copy_to_nonoverlapping(dst, n);
                        continue;
                    }
                    self.kernel.run()(&RescaleArgs {
                        src,
                        src_stride: 1,
                        dst,
                        dst_stride: 1,
                        n,
                        from_zero_point: piece.params.zero_point,
                        multiplier,
                        zero_point: self.desc.y.zero_point,
                    });
                }
            }
            at += len;
        }
    }
}
