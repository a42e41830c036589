//! Level 1: arrays of block formats.

use crate::arrays::kernel;
use crate::block_formats::{gguf_format, mx_format};
use crate::boundary::{apart, array, float_entry, integer_entry, slice, slice_mut};
use crate::status::fewbit_status;
use core::ffi::c_void;
use fewbit::kernels::block;
use fewbit::scheme::block::BLOCK;
use fewbit::scheme::block::gguf::{self, Gguf};
use fewbit::scheme::block::mx::scale_count;
use fewbit::scheme::block::nvfp4;
use fewbit::{Error, Result, Status};

/// Numbers of a block of the K formats.
const K_BLOCK: usize = 256;

/// What numbers become, scales and elements: none of the three may overlap.
fn check_quantized(
    (x, n): (*const f32, usize),
    (scales, scale_count): (*const u8, usize),
    (elements, element_bytes): (*const u8, usize),
) -> Result<()> {
    let numbers = array("x", x, n)?;
    let scales = array("scales", scales, scale_count)?;
    let elements = array("elements", elements, element_bytes)?;
    apart(numbers, scales)?;
    apart(numbers, elements)?;
    apart(scales, elements)
}

/// Numbers that are made of scales and elements, both of which are only read.
fn check_dequantized(
    (x, n): (*const f32, usize),
    (scales, scale_count): (*const u8, usize),
    (elements, element_bytes): (*const u8, usize),
) -> Result<()> {
    let numbers = array("x", x, n)?;
    apart(array("scales", scales, scale_count)?, numbers)?;
    apart(array("elements", elements, element_bytes)?, numbers)
}

/// Refuses more numbers than memory holds, so that sizes of blocks do not overflow.
fn count(n: usize) -> Result<usize> {
    match n.checked_mul(size_of::<f32>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(n),
        _ => {
            Err(Error::new(Status::InvalidArgument, "n", "is {}: more numbers than memory").with(n))
        }
    }
}

/// Whole blocks, and their bytes: at most 34 for the 128 of their numbers.
fn gguf_blocks(format: Gguf, n: usize) -> Result<(usize, usize)> {
    // Constants to the compiler: no division by 0.
    let len = if format.is_k() { K_BLOCK } else { BLOCK };
    let blocks = if format.is_k() { count(n)? / K_BLOCK } else { count(n)? / BLOCK };
    if blocks * len != n {
        return Err(Error::new(
            Status::InvalidArgument,
            "n",
            "is {}: blocks hold {} numbers, and there are only whole ones",
        )
        .with(n)
        .with(len));
    }
    Ok((blocks, blocks * format.block_bytes()))
}

/// The bytes of GGUF blocks.
///
/// @param[in] format  FEWBIT_GGUF_*.
/// @param[in] n  The number of numbers, a multiple of 32; of FEWBIT_GGUF_Q4_K, Q5_K and Q6_K of 256.
/// @param[out] bytes  One number.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (format, n), FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gguf_size(
    format: i32,
    n: usize,
    bytes: *mut usize,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), |_| {
            array("bytes", bytes, 1)?;
            bytes.write(gguf_blocks(gguf_format(format)?, n)?.1);
            Ok(())
        })
    }
}

/// Quantizes f32 to GGUF blocks, byte for byte as the Python package gguf does: codes by the f32 scale d, which is then
/// stored as f16; ties away from zero (Q8_0), up (the others). With a NaN a block is NaN; with an infinity, or beyond
/// f16, its scale is infinite. docs/numerics.md has the formulas.
///
/// @param[in] format  FEWBIT_GGUF_Q8_0, FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0 or FEWBIT_GGUF_Q5_1.
/// @param[in] x  n numbers.
/// @param[in] n  A multiple of 32.
/// @param[out] blocks  fewbit_gguf_size bytes, at any address; must not overlap x.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
///         FEWBIT_ERROR_UNSUPPORTED (Q4_K, Q5_K, Q6_K), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gguf_quantize(
    format: i32,
    x: *const f32,
    n: usize,
    blocks: *mut c_void,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let (format, to) = (gguf_format(format)?, blocks.cast::<u8>());
            if format.is_k() {
                let text = "is read, but not made: quantize to another one";
                return Err(Error::new(Status::Unsupported, "format", text));
            }
            let (blocks, bytes) = gguf_blocks(format, n)?;
            apart(array("x", x, n)?, array("blocks", to, bytes)?)?;
            kernel(block::gguf(format).0, supported)?.run()(x, to, blocks);
            Ok(())
        })
    }
}

/// Dequantizes GGUF blocks to f32: d * q, d * (q - 8), d * (q - 16) or d * q + m; of the K formats (d * scale) * q - dmin * min,
/// Q6_K (d * scale) * (q - 32). Exact, but for the sum; NaN is the canonical one.
///
/// @param[in] format, n  As fewbit_gguf_size.
/// @param[in] blocks  fewbit_gguf_size bytes, at any address.
/// @param[out] x  n numbers; must not overlap blocks.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gguf_dequantize(
    format: i32,
    blocks: *const c_void,
    n: usize,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let (format, from) = (gguf_format(format)?, blocks.cast::<u8>());
            let (blocks, bytes) = gguf_blocks(format, n)?;
            apart(array("blocks", from, bytes)?, array("x", x, n)?)?;
            kernel(block::gguf(format).1, supported)?.run()(from, x, blocks);
            Ok(())
        })
    }
}

/// Takes GGUF blocks apart into weights of a linear layer with a scale a block (fewbit_weights, block 32), exactly: each
/// number is scale * (code - zero point). Rows of K weights, a multiple of 32, one behind the other (FEWBIT_LAYOUT_NK) become
/// rows of codes, and scales and zero points [N][K / 32], as such a layer reads them.
///
/// A scale is positive, but the d of a block may not be: where it is negative, codes are complemented (-1 - c) and the zero
/// point is -1; where it is 0, codes are 0 and the scale is 1. Q4_1 and Q5_1 have a real minimum, which no zero point
/// is: dequantize them, and make a layer of real weights, or quantize them anew.
///
/// @param[in] format  FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q5_0 or FEWBIT_GGUF_Q8_0.
/// @param[in] blocks  fewbit_gguf_size bytes, at any address, as they are in a file.
/// @param[in] n  A multiple of 32.
/// @param[out] codes  Q4_0: n / 2 bytes of FEWBIT_S4; else n bytes of FEWBIT_S8.
/// @param[out] scales  n / 32 scales.
/// @param[out] zero_points  n / 32 zero points, 0 or -1. Outputs must not overlap each other or blocks.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n, blocks: a d that is not
///         finite), FEWBIT_ERROR_UNSUPPORTED (the other formats), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA. Nothing is written then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gguf_unpack(
    format: i32,
    blocks: *const c_void,
    n: usize,
    codes: *mut c_void,
    scales: *mut f32,
    zero_points: *mut i32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |_| {
            let (format, from) = (gguf_format(format)?, blocks.cast::<u8>());
            let Some(of) = format.code_format() else {
                let text = "has a real minimum a block, or scales of scales: dequantize it";
                return Err(Error::new(Status::Unsupported, "format", text));
            };
            let (blocks, bytes) = gguf_blocks(format, n)?;
            let to = codes.cast::<u8>();
            let code_bytes = n / of.codes_per_byte().max(1);
            let ranges = [
                array("blocks", from, bytes)?,
                array("codes", to, code_bytes)?,
                array("scales", scales, blocks)?,
                array("zero_points", zero_points, blocks)?,
            ];
            for (i, &range) in ranges.iter().enumerate() {
                ranges.iter().take(i).try_for_each(|&other| apart(other, range))?;
            }
            let from = slice(from, bytes);
            if let Some(block) = gguf::first_without_scale(format, from) {
                let text = "have the scale of block {} infinite or NaN";
                return Err(Error::new(Status::InvalidArgument, "blocks", text).with(block));
            }
            let codes = slice_mut(to, code_bytes);
            let (scales, zero_points) = (slice_mut(scales, blocks), slice_mut(zero_points, blocks));
            gguf::unpack(format, from, codes, scales, zero_points);
            Ok(())
        })
    }
}

/// The bytes of an OCP MX format: a scale for each 32 numbers, the last of which may be fewer, and the elements.
///
/// @param[in] format  FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4 or FEWBIT_MXINT8.
/// @param[in] n  The number of numbers.
/// @param[out] scales, elements  One number each.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (format, n), FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_mx_size(
    format: i32,
    n: usize,
    scales: *mut usize,
    elements: *mut usize,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), |_| {
            apart(array("scales", scales, 1)?, array("elements", elements, 1)?)?;
            let (format, n) = (mx_format(format)?, count(n)?);
            scales.write(scale_count(n));
            elements.write(format.element_bytes(n));
            Ok(())
        })
    }
}

/// Quantizes f32 to an OCP MX format. A block's scale is 2^(floor(log2(largest magnitude)) - emax), at least 2^-127, with
/// emax 8 (E4M3), 15 (E5M2), 2 (MXFP4), 0 (MXINT8); its elements are the numbers over the scale, to nearest, ties to
/// even, saturating. A block with a NaN or an infinity has the scale 0xFF, NaN, and zeros for elements.
///
/// @param[in] format  As fewbit_mx_size.
/// @param[in] x  n numbers.
/// @param[in] n  The number of numbers.
/// @param[out] scales  ceil(n / 32) scales.
/// @param[out] elements  n bytes, of MXFP4 ceil(n / 2). None of the three may overlap.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_mx_quantize(
    format: i32,
    x: *const f32,
    n: usize,
    scales: *mut u8,
    elements: *mut c_void,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let (format, elements) = (mx_format(format)?, elements.cast::<u8>());
            check_quantized(
                (x, count(n)?),
                (scales, scale_count(n)),
                (elements, format.element_bytes(n)),
            )?;
            kernel(block::mx(format).0, supported)?.run()(x, n, scales, elements);
            Ok(())
        })
    }
}

/// Dequantizes an OCP MX format to f32: element times scale, exact, or infinite beyond f32. NaN, of either, is the
/// canonical one.
///
/// @param[in] format, n  As fewbit_mx_quantize.
/// @param[in] scales  ceil(n / 32) scales.
/// @param[in] elements  n bytes, of MXFP4 ceil(n / 2).
/// @param[out] x  n numbers; must not overlap the others.
/// @return As fewbit_mx_quantize.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_mx_dequantize(
    format: i32,
    scales: *const u8,
    elements: *const c_void,
    n: usize,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let (format, elements) = (mx_format(format)?, elements.cast::<u8>());
            check_dequantized(
                (x, count(n)?),
                (scales, scale_count(n)),
                (elements, format.element_bytes(n)),
            )?;
            kernel(block::mx(format).1, supported)?.run()(scales, elements, n, x);
            Ok(())
        })
    }
}

/// The scale of a tensor in NVFP4 by its largest magnitude (fewbit_absmax_f32), amax / (448 * 6), with which the largest block's
/// scale is the largest of E4M3; 1 where that is 0.
///
/// @param[in] amax  The largest magnitude, finite and not negative.
/// @param[out] tensor_scale  One number.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (amax), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_nvfp4_tensor_scale(
    amax: f32,
    tensor_scale: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |_| {
            array("tensor_scale", tensor_scale, 1)?;
            if !(amax >= 0.0 && amax.is_finite()) {
                let text = "is not a magnitude: finite, and not negative";
                return Err(Error::new(Status::InvalidArgument, "amax", text));
            }
            tensor_scale.write(nvfp4::tensor_scale(amax));
            Ok(())
        })
    }
}

/// The bytes of NVFP4: a scale of E4M3 for each 16 numbers, the last of which may be fewer, and elements of E2M1, two in a byte.
///
/// @param[in] n  The number of numbers.
/// @param[out] scales, elements  One number each.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (n), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_nvfp4_size(
    n: usize,
    scales: *mut usize,
    elements: *mut usize,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), |_| {
            apart(array("scales", scales, 1)?, array("elements", elements, 1)?)?;
            let n = count(n)?;
            scales.write(nvfp4::scale_count(n));
            elements.write(n.div_ceil(2));
            Ok(())
        })
    }
}

/// Refuses what is no scale of a tensor.
fn tensor_scale_of(scale: f32) -> Result<()> {
    if scale > 0.0 && scale.is_finite() {
        return Ok(());
    }
    let text = "is not finite and greater than 0";
    Err(Error::new(Status::InvalidArgument, "tensor_scale", text))
}

/// Quantizes f32 to NVFP4 (NVIDIA, arXiv:2509.25149). A block's scale is (its largest magnitude / 6) / tensor_scale as E4M3, to nearest,
/// ties to even, at most 448; its elements are the numbers over (E4M3 scale * tensor_scale) as E2M1, to nearest, ties to
/// even, saturating at 6, and 0 where the block's scale is 0. Each operation is one rounded f32 operation. A block with a NaN or
/// an infinity has the scale NaN, 0x7F, and zeros for elements.
///
/// @param[in] tensor_scale  The tensor's scale, finite and greater than 0, as fewbit_nvfp4_tensor_scale gives it, or another one.
/// @param[in] x  n numbers.
/// @param[in] n  The number of numbers.
/// @param[out] scales  ceil(n / 16) scales.
/// @param[out] elements  ceil(n / 2) bytes: two elements each, the first one in the low nibble. None of the three may overlap.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (tensor_scale, n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_nvfp4_quantize(
    tensor_scale: f32,
    x: *const f32,
    n: usize,
    scales: *mut u8,
    elements: *mut c_void,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let elements = elements.cast::<u8>();
            tensor_scale_of(tensor_scale)?;
            check_quantized(
                (x, count(n)?),
                (scales, nvfp4::scale_count(n)),
                (elements, n.div_ceil(2)),
            )?;
            kernel(block::F32_NVFP4, supported)?.run()(tensor_scale, x, n, scales, elements);
            Ok(())
        })
    }
}

/// Dequantizes NVFP4 to f32: element * (E4M3 scale * tensor_scale), both products rounded f32 operations. NaN is the canonical one.
///
/// @param[in] tensor_scale, n  As fewbit_nvfp4_quantize.
/// @param[in] scales  ceil(n / 16) scales.
/// @param[in] elements  ceil(n / 2) bytes.
/// @param[out] x  n numbers; must not overlap the others.
/// @return As fewbit_nvfp4_quantize.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_nvfp4_dequantize(
    tensor_scale: f32,
    scales: *const u8,
    elements: *const c_void,
    n: usize,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let elements = elements.cast::<u8>();
            tensor_scale_of(tensor_scale)?;
            check_dequantized(
                (x, count(n)?),
                (scales, nvfp4::scale_count(n)),
                (elements, n.div_ceil(2)),
            )?;
            kernel(block::NVFP4_F32, supported)?.run()(tensor_scale, scales, elements, n, x);
            Ok(())
        })
    }
}
