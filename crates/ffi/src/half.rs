//! Level 1: what 16-bit floats do to numbers, and what the CPU can do with them.

use crate::boundary::{apart, array, float_entry, slice};
use crate::status::fewbit_status;
use fewbit::half::{FormatHazards, HalfSupport, hazards};

/// The CPU converts between f16 and f32 by an instruction.
pub const FEWBIT_HALF_F16_CONVERSION: i32 = 1;
/// The CPU adds and multiplies in f16.
pub const FEWBIT_HALF_F16_ARITHMETIC: i32 = 2;
/// The CPU has dot products of bf16 that are added in f32.
pub const FEWBIT_HALF_BF16_DOT: i32 = 4;

/// What a 16-bit format does to numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_format_hazards {
    /// Finite numbers that become infinities.
    pub overflow: u64,
    /// Numbers other than 0 that become 0.
    pub underflow: u64,
    /// Numbers that become subnormal, which loses some of their bits.
    pub subnormal: u64,
    /// A power of two, 2^-126 to 2^127: times it no finite number overflows, and none underflows or becomes subnormal if
    /// one scale can do both; otherwise as few as can be. Of those that do, the nearest to 1.
    pub scale: f32,
    /// 1 if with that scale nothing overflows, underflows or becomes subnormal, otherwise 0.
    pub avoids_all: i32,
}

/// What f16 and bf16 do to numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_half_hazards {
    /// Numbers in all.
    pub count: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities.
    pub infinite: u64,
    /// Zeros.
    pub zero: u64,
    /// The largest finite magnitude; 0 if there is none.
    pub largest: f32,
    /// The smallest finite magnitude other than 0; 0 if there is none.
    pub smallest: f32,
    /// In f16.
    pub f16: fewbit_format_hazards,
    /// In bf16.
    pub bf16: fewbit_format_hazards,
}

impl From<FormatHazards> for fewbit_format_hazards {
    fn from(given: FormatHazards) -> fewbit_format_hazards {
        let FormatHazards { overflow, underflow, subnormal, scale, avoids_all } = given;
        fewbit_format_hazards {
            overflow,
            underflow,
            subnormal,
            scale,
            avoids_all: i32::from(avoids_all),
        }
    }
}

/// Tells what becomes of f32 numbers in f16 and bf16, as fewbit_convert_f32_f16 and fewbit_convert_f32_bf16 would have it: how
/// many overflow, underflow to 0 or become subnormal, the extremes, and the power of two that avoids it. All counts are exact.
///
/// @param[in] x  n numbers.
/// @param[out] hazards  Must not overlap x.
/// @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_half_hazards_f32(
    x: *const f32,
    n: usize,
    hazards: *mut fewbit_half_hazards,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            apart(array("x", x, n)?, array("hazards", hazards, 1)?)?;
            let found = self::hazards(slice(x, n), supported)?;
            hazards.write(fewbit_half_hazards {
                count: found.count,
                nan: found.nan,
                infinite: found.infinite,
                zero: found.zero,
                largest: found.largest,
                smallest: found.smallest,
                f16: found.f16.into(),
                bf16: found.bf16.into(),
            });
            Ok(())
        })
    }
}

/// What the CPU at hand, under its operating system, can do with 16-bit floats by instructions of its own: a sum of
/// FEWBIT_HALF_F16_CONVERSION (x86-64: F16C), FEWBIT_HALF_F16_ARITHMETIC (AVX512-FP16, FEAT_FP16) and FEWBIT_HALF_BF16_DOT
/// (AVX512_BF16, FEAT_BF16). Facts to choose formats by; this library's results do not depend on them, unless an
/// arithmetic is asked for by name, nor does a limit of instruction sets show.
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_half_support() -> i32 {
    let support = HalfSupport::detect();
    let bit = |has: bool, bit: i32| if has { bit } else { 0 };
    bit(support.f16_conversion, FEWBIT_HALF_F16_CONVERSION)
        | bit(support.f16_arithmetic, FEWBIT_HALF_F16_ARITHMETIC)
        | bit(support.bf16_dot, FEWBIT_HALF_BF16_DOT)
}
