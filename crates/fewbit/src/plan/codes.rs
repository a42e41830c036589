//! The codes of weights: which formats are multiplied, and how they are read.

use super::Input;
use crate::{Error, Result, Status};
use fewbit_kernels::gemm::RhsForm;
use fewbit_scheme::{IntFormat, pack};

/// How weights of a format are packed for a tile that multiplies such an input.
///
/// # Errors
/// [`Status::Unsupported`] for S16, for bits with anything but bits, and for inputs of other formats.
pub(crate) fn rhs_form(format: IntFormat, input: &Input) -> Result<RhsForm> {
    if input.is_bits() {
        return by_bits(format, input.format());
    }
    if !matches!(input.format(), IntFormat::S8 | IntFormat::U8 | IntFormat::S4 | IntFormat::U4) {
        return Err(no_input(input.format()));
    }
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

/// How weights are packed for a tile of bits by bits.
fn by_bits(weights: IntFormat, input: IntFormat) -> Result<RhsForm> {
    use IntFormat::{B1, U1};
    match (input, weights) {
        (U1, U1) => Ok(RhsForm::BitsBy1),
        (B1, B1) => Ok(RhsForm::BitsBy4),
        (U1, B1) | (B1, U1) => Ok(RhsForm::BitsBy2),
        (U1 | B1, _) => {
            let text = "have codes of {} bits, but an input of bits meets weights of U1 or B1";
            let error = Error::new(Status::Unsupported, "desc.weights", text);
            Err(error.with(weights.bits() as usize))
        }
        _ => Err(no_input(input)),
    }
}

fn no_input(format: IntFormat) -> Error {
    let text = "has codes of {} bits, but those of an input have 8, 4 or 1";
    Error::new(Status::Unsupported, "desc.input", text).with(format.bits() as usize)
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
