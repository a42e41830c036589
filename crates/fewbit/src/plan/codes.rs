//! The codes of weights: which formats are multiplied, and how they are read.

use crate::{Error, Result, Status};
use fewbit_kernels::gemm::RhsForm;
use fewbit_scheme::{IntFormat, pack};

/// How weights of a format are packed for a tile.
///
/// # Errors
/// [`Status::Unsupported`] for S16.
pub(crate) fn rhs_form(format: IntFormat) -> Result<RhsForm> {
    match format {
        IntFormat::S8 | IntFormat::U8 => Ok(RhsForm::S8),
        IntFormat::S4 | IntFormat::U4 => Ok(RhsForm::U4),
        IntFormat::S2 => Ok(RhsForm::U2),
        IntFormat::U1 => Ok(RhsForm::U1),
        IntFormat::B1 => Ok(RhsForm::B1),
        IntFormat::S16 => {
            let text = "have codes of 16 bits, but those of weights have 8 or fewer";
            Err(Error::new(Status::Unsupported, "desc.weights", text))
        }
    }
}

/// Code number `index` of an array of packed codes, or of bytes.
pub(crate) fn read(format: IntFormat, codes: &[u8], index: usize) -> Option<i32> {
    match format {
        IntFormat::S8 => codes.get(index).map(|&byte| byte as i8 as i32),
        IntFormat::U8 => codes.get(index).map(|&byte| byte as i32),
        _ => {
            let (byte, slot) = pack::position(format, index);
            codes.get(byte).map(|&byte| pack::get(format, byte, slot))
        }
    }
}
