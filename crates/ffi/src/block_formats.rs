//! The numbers of block formats, which arrays and the weights of layers have.

use crate::boundary::unknown;
use fewbit::Result;
use fewbit::scheme::block::gguf::Gguf;
use fewbit::scheme::block::mx::Mx;

/// GGUF's Q4_0: 18 bytes for 32 numbers, an f16 scale and 4-bit codes. GGUF formats have ggml's numbers.
pub const FEWBIT_GGUF_Q4_0: i32 = 2;
/// Q4_1: 20 bytes, with an f16 minimum.
pub const FEWBIT_GGUF_Q4_1: i32 = 3;
/// Q5_0: 22 bytes, 5-bit codes.
pub const FEWBIT_GGUF_Q5_0: i32 = 6;
/// Q5_1: 24 bytes, 5-bit codes, with an f16 minimum.
pub const FEWBIT_GGUF_Q5_1: i32 = 7;
/// Q8_0: 34 bytes, 8-bit codes.
pub const FEWBIT_GGUF_Q8_0: i32 = 8;
/// Q4_K: 144 bytes for 256 numbers, 4-bit codes, a scale and a minimum of 6 bits for each 32. Read, not made.
pub const FEWBIT_GGUF_Q4_K: i32 = 12;
/// Q5_K: 176 bytes for 256 numbers, as Q4_K with 5-bit codes. Read, not made.
pub const FEWBIT_GGUF_Q5_K: i32 = 13;
/// Q6_K: 210 bytes for 256 numbers, 6-bit codes, a scale of 8 bits for each 16. Read, not made.
pub const FEWBIT_GGUF_Q6_K: i32 = 14;
/// MXFP8 with elements of OCP E4M3, up to 448. 32 elements share a scale of the format E8M0, a power of two.
pub const FEWBIT_MXFP8_E4M3: i32 = 1;
/// MXFP8 with elements of OCP E5M2, up to 57344.
pub const FEWBIT_MXFP8_E5M2: i32 = 2;
/// MXFP4: elements of E2M1, 0, 0.5, 1, 1.5, 2, 3, 4 and 6 with a sign, two in a byte, low nibble first.
pub const FEWBIT_MXFP4: i32 = 3;
/// MXINT8: elements are 64ths, q / 64 with q in -127..127 (-128 is read, but not written).
pub const FEWBIT_MXINT8: i32 = 4;

pub(crate) fn gguf_format(format: i32) -> Result<Gguf> {
    match format {
        FEWBIT_GGUF_Q4_0 => Ok(Gguf::Q4_0),
        FEWBIT_GGUF_Q4_1 => Ok(Gguf::Q4_1),
        FEWBIT_GGUF_Q5_0 => Ok(Gguf::Q5_0),
        FEWBIT_GGUF_Q5_1 => Ok(Gguf::Q5_1),
        FEWBIT_GGUF_Q8_0 => Ok(Gguf::Q8_0),
        FEWBIT_GGUF_Q4_K => Ok(Gguf::Q4K),
        FEWBIT_GGUF_Q5_K => Ok(Gguf::Q5K),
        FEWBIT_GGUF_Q6_K => Ok(Gguf::Q6K),
        _ => Err(unknown("format", format)),
    }
}

pub(crate) fn mx_format(format: i32) -> Result<Mx> {
    match format {
        FEWBIT_MXFP8_E4M3 => Ok(Mx::Fp8E4m3),
        FEWBIT_MXFP8_E5M2 => Ok(Mx::Fp8E5m2),
        FEWBIT_MXFP4 => Ok(Mx::Fp4E2m1),
        FEWBIT_MXINT8 => Ok(Mx::Int8),
        _ => Err(unknown("format", format)),
    }
}
