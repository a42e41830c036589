//! Level 3: packed weights, written to memory and read where they lie.

use crate::boundary::{array, description, float_entry, integer_entry, not_null, slice};
use crate::conv::{self, fewbit_conv, fewbit_conv_desc};
use crate::linear::{self, fewbit_linear, fewbit_linear_desc};
use crate::plans::allocator;
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::Conv;
use fewbit::memory::into_handle;

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
    unsafe {
        integer_entry(error, |_| {
            let bytes = linear::plan(linear)?.packed_size()?;
            array("size", size, 1)?;
            size.write(bytes);
            Ok(())
        })
    }
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
    unsafe {
        integer_entry(error, |_| {
            let plan = linear::plan(linear)?;
            not_null("packed", packed)?;
            array("packed", packed.cast::<u8>(), packed_size)?;
            plan.save_packed_raw(packed.cast(), packed_size)
        })
    }
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
        float_entry(error, |supported| {
            let desc = description("desc", desc)?;
            not_null("packed", packed)?;
            array("packed", packed.cast::<u8>(), packed_size)?;
            array("linear", linear, 1)?;
            let allocator = allocator(desc.allocator)?;
            let packed = slice(packed.cast(), packed_size);
            let plan = desc.create(Some(packed), supported, &allocator)?;
            let handle = into_handle(fewbit_linear { plan, allocator }, &allocator, "linear")?;
            linear.write(handle.as_ptr());
            Ok(())
        })
    }
}

/// The bytes of a plan's packed weights with all that fewbit_conv_create_packed needs to know of them.
///
/// @param[out] size  Bytes that fewbit_conv_save_packed writes.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_packed_size(
    conv: *const fewbit_conv,
    size: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, |_| {
            let bytes = conv::plan(conv)?.packed_size()?;
            array("size", size, 1)?;
            size.write(bytes);
            Ok(())
        })
    }
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
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_save_packed(
    conv: *const fewbit_conv,
    packed: *mut c_void,
    packed_size: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, |_| {
            let plan = conv::plan(conv)?;
            not_null("packed", packed)?;
            array("packed", packed.cast::<u8>(), packed_size)?;
            plan.save_packed_raw(packed.cast(), packed_size)
        })
    }
}

/// As fewbit_conv_create, with weights that fewbit_conv_save_packed wrote, read where they lie; see
/// fewbit_linear_create_packed. (The weights of depthwise layers in NHWC are copied, into int16: a few a channel.)
///
/// @param[in] desc  The convolution. Of `weights` only the multipliers, shifts and their count are used; `filter_layout` is
///                  not; image sizes, strides, dilations, padding,
///                  input, bias, residual and output need not be those of the plan that wrote the weights. The image layout must
///                  be, if the convolution is depthwise.
/// @param[in] packed, packed_size  As for fewbit_linear_create_packed; used until the plan is destroyed.
/// @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create_packed.
///
/// # Safety
/// As documented.
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
        float_entry(error, |supported| {
            let desc = description("desc", desc)?;
            not_null("packed", packed)?;
            array("packed", packed.cast::<u8>(), packed_size)?;
            array("conv", conv, 1)?;
            let allocator = allocator(desc.allocator)?;
            let packed = slice(packed.cast(), packed_size);
            let plan = Conv::create_packed(&desc.read(false)?, packed, supported, &allocator)
                .map_err(|error| conv::named(error, desc.absent()))?;
            let handle = into_handle(fewbit_conv { plan, allocator }, &allocator, "conv")?;
            conv.write(handle.as_ptr());
            Ok(())
        })
    }
}
