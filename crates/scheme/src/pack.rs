//! Codes of less than a byte, packed: 4-bit codes two in a byte, low nibble first; 2-bit codes four
//! and 1-bit codes eight in a byte, from the least significant bit on (ONNX's order). Signed codes
//! are stored in two's complement; `B1` stores -1 as 0 and +1 as 1. What is left of the last byte of
//! an array, or of each row of a tensor, is filled with the code of zero.

use crate::IntFormat;

/// The byte that holds an element, and its slot there (0 is the least significant).
pub const fn position(format: IntFormat, element: usize) -> (usize, u32) {
    let per_byte = format.codes_per_byte();
    // A power of two, so the quotient is a shift and never a division by zero.
    let shift = per_byte.trailing_zeros();
    (element >> shift, (element & (per_byte - 1)) as u32)
}

/// `byte` with the code of a slot replaced; slots beyond the last wrap around.
pub const fn set(format: IntFormat, byte: u8, slot: u32, q: i32) -> u8 {
    let (mask, shift) = field(format, slot);
    let raw = match format {
        IntFormat::B1 => (q > 0) as u8,
        _ => q as u8,
    };
    (byte & !(mask << shift)) | (raw & mask) << shift
}

/// The code in a slot.
pub const fn get(format: IntFormat, byte: u8, slot: u32) -> i32 {
    let (mask, shift) = field(format, slot);
    let raw = (byte >> shift & mask) as i32;
    match format {
        IntFormat::B1 => 2 * raw - 1,
        _ if raw > format.qmax() => raw - (mask as i32 + 1),
        _ => raw,
    }
}

/// The mask of a code at slot 0, and the shift of a slot.
const fn field(format: IntFormat, slot: u32) -> (u8, u32) {
    let bits = if format.bits() < 8 { format.bits() } else { 8 };
    ((0xFFu32 >> (8 - bits)) as u8, slot.wrapping_mul(bits) & 7)
}

/// Bytes that `n` codes need.
pub const fn packed_len(format: IntFormat, n: usize) -> usize {
    let shift = format.codes_per_byte().trailing_zeros();
    (n >> shift) + (n & (format.codes_per_byte() - 1) != 0) as usize
}

/// Packs codes, one in an `i8`, into `packed`; the rest of the last byte gets `pad`, the code of
/// zero. Stops at the end of the shorter side. Codes are taken modulo the format's bits.
pub fn pack(format: IntFormat, codes: &[i8], pad: i32, packed: &mut [u8]) {
    let per_byte = format.codes_per_byte();
    for (chunk, byte) in codes.chunks(per_byte).zip(packed) {
        let mut value = 0;
        for slot in 0..per_byte {
            let q = chunk.get(slot).map_or(pad, |&q| q as i32);
            value = set(format, value, slot as u32, q);
        }
        *byte = value;
    }
}

/// Unpacks the first `codes.len()` codes; stops at the end of the shorter side.
pub fn unpack(format: IntFormat, packed: &[u8], codes: &mut [i8]) {
    let per_byte = format.codes_per_byte();
    for (chunk, &byte) in codes.chunks_mut(per_byte).zip(packed) {
        for (slot, q) in chunk.iter_mut().enumerate() {
            *q = get(format, byte, slot as u32) as i8;
        }
    }
}
