//! Level 3: packed weights, written to memory and read where they lie.

use crate::boundary::{description, float_entry};
#[cfg(feature = "conv")]
use crate::conv::{fewbit_conv, fewbit_conv_desc};
use crate::gemm::{self, fewbit_gemm, fewbit_gemm_desc};
use crate::handle;
use crate::linear::{fewbit_linear, fewbit_linear_desc};
use crate::plans::allocator;
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::Gemm;

/// The bytes of a plan's packed weights with all that fewbit_linear_create_packed needs to know of them.
///
/// @param[out] size  Bytes that fewbit_linear_save_packed writes.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_UNSUPPORTED (weights with a scale a block),
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_packed_size(
    linear: *const fewbit_linear,
    size: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::packed_size(linear, size, error) }
}

/// Writes a plan's packed weights into memory, for fewbit_linear_create_packed: to a file, say, that later runs of the
/// program map. The bytes depend on the weights and on the layout that this CPU's kernel reads (docs/packing.md), and hold a
/// version, that layout, the shape, the weights' scales and zero points, and a checksum of it all.
///
/// @param[out] packed  At least as many bytes as fewbit_linear_packed_size says; further ones stay as they are. Not those
///                     that the plan itself was made of.
/// @param[in] packed_size  Bytes of packed.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_UNSUPPORTED (weights
///         with a scale a block), FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_save_packed(
    linear: *const fewbit_linear,
    packed: *mut c_void,
    packed_size: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::save_packed(linear, packed, packed_size, error) }
}

/// As fewbit_linear_create, with weights that fewbit_linear_save_packed wrote, read where they lie: nothing of their size
/// is copied. The plan uses `packed` until it is destroyed; it must neither change nor go before. The bytes are read once,
/// for their checksum; the proof that no sum leaves int32 is made anew, from data that it covers. (The checksum is against
/// accidents. Whoever can write the file can write another sum, and make results wrong, but not unsafe.)
///
/// @param[in] desc  The layer. Of `weights` only the multipliers, shifts and their count are used; `weight_layout`,
///                  `weight_stride` and `matrix_stride` are not; input, bias, residual and output need not be those of the
///                  plan that wrote the weights. (Weights that had multipliers instead of scales have the scale 1.) For
///                  weights that are numbers the input is FEWBIT_INPUT_REAL.
/// @param[in] packed  The written bytes, aligned to 64, as pages of a mapped file are.
/// @param[in] packed_size  Bytes of packed; may be more than were written.
/// @param[out] linear  The plan; destroy it with fewbit_linear_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create; for packed: FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_BUFFER_TOO_SMALL (truncated), FEWBIT_ERROR_INVALID_ARGUMENT (no packed weights, changed ones, or those
///         of another shape), FEWBIT_ERROR_UNSUPPORTED (another version of the format, or packed for another instruction
///         set: pack the weights again).
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_create_packed(
    desc: *const fewbit_linear_desc,
    packed: *const c_void,
    packed_size: usize,
    linear: *mut *mut fewbit_linear,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract: `packed` outlives the plan.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            let packed = handle::packed(packed, packed_size)?;
            handle::place(linear)?;
            let allocator = allocator(desc.allocator)?;
            let plan = desc.create(Some(packed), supported, &allocator)?;
            handle::give(plan, &allocator, linear)
        })
    }
}

/// The bytes of a plan's packed weights with all that fewbit_conv_create_packed needs to know of them.
///
/// @param[out] size  Bytes that fewbit_conv_save_packed writes.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_UNSUPPORTED (a transposed convolution),
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[cfg(feature = "conv")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_packed_size(
    conv: *const fewbit_conv,
    size: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::packed_size(conv, size, error) }
}

/// Writes a plan's packed weights into memory, for fewbit_conv_create_packed: to a file, say, that later runs of the
/// program map. The bytes depend on the weights and on the layout that this CPU's kernel reads (docs/packing.md), and hold a
/// version, that layout, the shape, the weights' scales and zero points, and a checksum of it all.
///
/// @param[out] packed  At least as many bytes as fewbit_conv_packed_size says; further ones stay as they are. Not those
///                     that the plan itself was made of.
/// @param[in] packed_size  Bytes of packed.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[cfg(feature = "conv")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_save_packed(
    conv: *const fewbit_conv,
    packed: *mut c_void,
    packed_size: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::save_packed(conv, packed, packed_size, error) }
}

/// As fewbit_conv_create, with weights that fewbit_conv_save_packed wrote, read where they lie; see
/// fewbit_linear_create_packed. (The weights of depthwise layers are copied, into int16: a few a channel.)
///
/// @param[in] desc  The convolution. Of `weights` only the multipliers, shifts and their count are used; `filter_layout` is
///                  not; image sizes, strides, dilations, padding, image layout, input, bias, residual and output need not
///                  be those of the plan that wrote the weights. For weights that are numbers the input is FEWBIT_INPUT_REAL.
/// @param[in] packed, packed_size  As for fewbit_linear_create_packed; used until the plan is destroyed.
/// @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create_packed.
///
/// # Safety
/// As documented.
#[cfg(feature = "conv")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_create_packed(
    desc: *const fewbit_conv_desc,
    packed: *const c_void,
    packed_size: usize,
    conv: *mut *mut fewbit_conv,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract: `packed` outlives the plan.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            let packed = handle::packed(packed, packed_size)?;
            handle::place(conv)?;
            let allocator = allocator(desc.allocator)?;
            let plan = desc.create(None, Some(packed), supported, &allocator)?;
            handle::give(plan, &allocator, conv)
        })
    }
}

/// The bytes of a plan's packed rhs with all that fewbit_gemm_create_packed needs to know of it.
///
/// @param[out] size  Bytes that fewbit_gemm_save_packed writes.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_packed_size(
    gemm: *const fewbit_gemm,
    size: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::packed_size(gemm, size, error) }
}

/// Writes a plan's packed rhs into memory, for fewbit_gemm_create_packed; see fewbit_linear_save_packed. The bytes are those
/// that fewbit_linear_save_packed writes for a layer of the same weights, and either plan reads the other's.
///
/// @param[out] packed  At least as many bytes as fewbit_gemm_packed_size says; further ones stay as they are. Not those
///                     that the plan itself was made of.
/// @param[in] packed_size  Bytes of packed.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_save_packed(
    gemm: *const fewbit_gemm,
    packed: *mut c_void,
    packed_size: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { handle::save_packed(gemm, packed, packed_size, error) }
}

/// As fewbit_gemm_create, with an rhs that fewbit_gemm_save_packed wrote, read where it lies; see
/// fewbit_linear_create_packed.
///
/// @param[in] desc  The product. Of `rhs` only the multipliers, shifts and their count are used; `rhs_layout`, `rhs_stride`
///                  and `matrix_stride` are not; lhs, bias and output need not be those of the plan that wrote the rhs.
/// @param[in] packed, packed_size  As for fewbit_linear_create_packed; used until the plan is destroyed.
/// @param[out] gemm  The plan; destroy it with fewbit_gemm_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create_packed.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_create_packed(
    desc: *const fewbit_gemm_desc,
    packed: *const c_void,
    packed_size: usize,
    gemm: *mut *mut fewbit_gemm,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract: `packed` outlives the plan.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            let packed = handle::packed(packed, packed_size)?;
            handle::place(gemm)?;
            let allocator = allocator(desc.allocator)?;
            let product = desc.read(false).map_err(gemm::named)?;
            let plan = Gemm::create_packed(&product, packed, supported, &allocator)?;
            handle::give(plan, &allocator, gemm)
        })
    }
}
