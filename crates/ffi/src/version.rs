//! Version, instruction sets, kernels.

use crate::boundary::{array, integer_entry, not_null};
use crate::status::{fewbit_error, fewbit_status, finish};
use core::ffi::{CStr, c_char};
use fewbit::kernels::registry::RowInfo;
use fewbit::simd::Isa;
use fewbit::{Error, Status, dispatch, kernels};

const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut value = 0;
    let mut i = 0;
    while i < bytes.len() {
        value = value * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    value
}

const VERSION: u32 = {
    let major = number(env!("CARGO_PKG_VERSION_MAJOR"));
    let minor = number(env!("CARGO_PKG_VERSION_MINOR"));
    let patch = number(env!("CARGO_PKG_VERSION_PATCH"));
    major * 1_000_000 + minor * 1_000 + patch
};

/// The library's version as major * 1000000 + minor * 1000 + patch; the header's is FEWBIT_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_version() -> u32 {
    VERSION
}

/// The library's version as "major.minor.patch". Never NULL, never freed.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// What the CPU has: bit i set means the instruction set named fewbit_isa_name(i). Portable scalar code
/// is always there and has no bit. Costs microseconds.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_isa_detected() -> u32 {
    dispatch::detected().set().bits()
}

/// What kernels may use: the CPU's instruction sets within FEWBIT_ISA or fewbit_set_isa. Decides the
/// limit if nothing has yet.
///
/// @param[out] isa  Bits as fewbit_isa_detected.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_ISA if FEWBIT_ISA names an unknown or unavailable instruction set;
///         FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_isa_enabled(
    isa: *mut u32,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |supported| {
            array("isa", isa, 1)?;
            isa.write(supported.set().bits());
            Ok(())
        })
    }
}

/// The name of the instruction set with bit `bit`, e.g. "avx512_vnni"; NULL if there is none. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_isa_name(bit: u32) -> *const c_char {
    let name: &CStr = match Isa::ALL.get(bit as usize) {
        Some(Isa::Avx2) => c"avx2",
        Some(Isa::Avx512) => c"avx512",
        Some(Isa::Avx512Vnni) => c"avx512_vnni",
        Some(Isa::AvxVnni) => c"avx_vnni",
        Some(Isa::Neon) => c"neon",
        Some(Isa::NeonDotprod) => c"neon_dotprod",
        Some(Isa::NeonI8mm) => c"neon_i8mm",
        Some(Isa::Avx512Vbmi) => c"avx512_vbmi",
        Some(Isa::Avx512Vpopcntdq) => c"avx512_vpopcntdq",
        Some(Isa::Avx512Bf16) => c"avx512_bf16",
        Some(Isa::NeonBf16) => c"neon_bf16",
        Some(Isa::NeonFp16) => c"neon_fp16",
        None => return core::ptr::null(),
    };
    name.as_ptr()
}

/// Limits the instruction sets of this process, like the environment variable FEWBIT_ISA, which it
/// replaces. Call it before any function that computes. Results are the same bits under every limit; only
/// speed differs.
///
/// @param[in] limit  "native", "scalar", or names separated by commas; each brings those it is built on
///                   ("avx512_vnni" allows avx512 and avx2 too).
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_ISA if a name is unknown, the CPU lacks it, or another limit is already in use;
///         FEWBIT_ERROR_NULL_POINTER.
///
/// # Safety
/// As documented; `limit` ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_set_isa(
    limit: *const c_char,
    error: *mut fewbit_error,
) -> fewbit_status {
    let result = not_null("limit", limit).and_then(|()| {
        // SAFETY: not NULL, and NUL-terminated by the documented contract.
        let limit = unsafe { CStr::from_ptr(limit) };
        // What is not UTF-8 is no name.
        dispatch::limit(limit.to_str().unwrap_or("?")).map(|_| ())
    });
    // SAFETY: `error` is NULL or the caller's.
    unsafe { finish(result, error) }
}

/// The number of kernels in the library, whatever the CPU at hand can run.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_kernel_count() -> usize {
    row(usize::MAX).1
}

/// Calls a function with the kernels of every family that the library has, in the order of [`kernels::rows`].
fn each_row(mut call: impl FnMut(RowInfo)) {
    // One loop over tables behind each other, not one for each of them.
    macro_rules! rows {
        ($($(#[$cfg:meta])? $op:ident)*) => {{
            $($(#[$cfg])? kernels::$op::rows().for_each(&mut call);)*
        }};
    }
    rows! {
        quantize dequantize requantize rescale lookup convert
        #[cfg(feature = "block-formats")]
        block
        pack reduce scale activate add
        #[cfg(feature = "row-functions")]
        softmax
        #[cfg(feature = "row-functions")]
        norm
        #[cfg(feature = "conv")]
        depthwise
        #[cfg(feature = "conv")]
        real_depthwise
        #[cfg(feature = "layers")]
        pool
        #[cfg(feature = "layers")]
        binary
        #[cfg(feature = "conv")]
        gather
        gemm real_gemm census
    }
}

/// The kernel of an index, if there is one, and how many there are.
fn row(index: usize) -> (Option<RowInfo>, usize) {
    let (mut found, mut count) = (None, 0);
    each_row(|row| {
        if count == index {
            found = Some(row);
        }
        count += 1;
    });
    (found, count)
}

/// A kernel's name, e.g. "quantize_f32s8_avx2", and what it needs.
///
/// @param[in] index  Less than fewbit_kernel_count().
/// @param[out] name  At least 64 bytes; NUL-terminated.
/// @param[in] name_size  Bytes of `name`.
/// @param[out] isa  The instruction sets it needs, as bits of fewbit_isa_name. May be NULL.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_INVALID_ARGUMENT for an index out of range, FEWBIT_ERROR_BUFFER_TOO_SMALL,
///         FEWBIT_ERROR_NULL_POINTER.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_kernel_name(
    index: usize,
    name: *mut c_char,
    name_size: usize,
    isa: *mut u32,
    error: *mut fewbit_error,
) -> fewbit_status {
    let result = not_null("name", name).and_then(|()| {
        let (row, count) = row(index);
        let row = row.ok_or(
            Error::new(Status::InvalidArgument, "index", "is {}, but there are {} kernels")
                .with(index)
                .with(count),
        )?;
        // SAFETY: not NULL, writable for `name_size` bytes by the documented contract.
        unsafe { write_name(row.name, name, name_size)? };
        if !isa.is_null() {
            // SAFETY: not NULL, and writable by the documented contract.
            unsafe { isa.write_unaligned(row.required.bits()) };
        }
        Ok(())
    });
    // SAFETY: `error` is NULL or the caller's.
    unsafe { finish(result, error) }
}

/// Copies a name with its NUL.
///
/// # Safety
/// `to` can be written for `size` bytes.
pub(crate) unsafe fn write_name(name: &str, to: *mut c_char, size: usize) -> fewbit::Result<()> {
    if size <= name.len() {
        return Err(Error::new(
            Status::BufferTooSmall,
            "name_size",
            "is {}, but the name needs {} bytes",
        )
        .with(size)
        .with(name.len() + 1));
    }
    // SAFETY: `name.len() + 1 <= size` bytes.
    unsafe {
        name.as_ptr().copy_to_nonoverlapping(to.cast(), name.len());
        to.add(name.len()).write(0);
    }
    Ok(())
}

#[cfg(all(test, feature = "default"))]
mod tests {
    #[test]
    fn every_kernel_is_listed() {
        let mut listed = std::vec::Vec::new();
        super::each_row(|row| listed.push(row.name));
        let rows = fewbit::kernels::rows().map(|row| row.name);
        assert_eq!(listed, rows.collect::<std::vec::Vec<_>>());
    }
}
