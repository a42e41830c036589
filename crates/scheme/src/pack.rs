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
    match format.bits() {
        4 => pack_groups(format, codes, pad, packed, |x| (fold4(x) as u32).to_le_bytes()),
        2 => pack_groups(format, codes, pad, packed, |x| (fold2(x) as u16).to_le_bytes()),
        1 if format == IntFormat::B1 => {
            pack_groups(format, codes, pad, packed, |x| [fold1(positive(x)) as u8]);
        }
        1 => pack_groups(format, codes, pad, packed, |x| [fold1(x) as u8]),
        _ => codes.iter().zip(packed).for_each(|(&q, byte)| *byte = q as u8),
    }
}

/// Unpacks the first `codes.len()` codes; stops at the end of the shorter side.
pub fn unpack(format: IntFormat, packed: &[u8], codes: &mut [i8]) {
    let signed = format.qmin() < 0;
    match format.bits() {
        4 => unpack_groups(format, packed, codes, |bytes: [u8; 4]| {
            let x = unfold4(u32::from_le_bytes(bytes) as u64);
            if signed { x | (((x & 0x0808_0808_0808_0808) >> 3) * 0xF0) } else { x }
        }),
        2 => unpack_groups(format, packed, codes, |bytes: [u8; 2]| {
            let x = unfold2(u16::from_le_bytes(bytes) as u64);
            if signed { x | (((x & 0x0202_0202_0202_0202) >> 1) * 0xFC) } else { x }
        }),
        1 => unpack_groups(format, packed, codes, |[byte]: [u8; 1]| {
            let x = unfold1(byte as u64);
            if signed { x | ((x ^ ONES) * 0xFF) } else { x }
        }),
        _ => codes.iter_mut().zip(packed).for_each(|(q, &byte)| *q = byte as i8),
    }
}

/// Packs groups of 8 codes, seen as the bytes of a u64, the first one lowest, and what is left.
#[inline(always)]
fn pack_groups<const N: usize>(
    format: IntFormat,
    codes: &[i8],
    pad: i32,
    packed: &mut [u8],
    fold: impl Fn(u64) -> [u8; N],
) {
    let (groups, rest) = codes.as_chunks::<8>();
    let (bytes, last) = packed.split_at_mut((groups.len() * N).min(packed.len()));
    let (bytes, cut) = bytes.as_chunks_mut::<N>();
    for (group, bytes) in groups.iter().zip(&mut *bytes) {
        *bytes = fold(u64::from_le_bytes(group.map(|q| q as u8)));
    }
    // Where the bytes end before the codes, the last group is not whole.
    let after = groups.get(bytes.len()..).unwrap_or_default().as_flattened();
    pack_each(format, after, pad, cut);
    pack_each(format, rest, pad, last);
}

fn pack_each(format: IntFormat, codes: &[i8], pad: i32, packed: &mut [u8]) {
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

/// Unpacks groups of 8 codes, and what is left.
#[inline(always)]
fn unpack_groups<const N: usize>(
    format: IntFormat,
    packed: &[u8],
    codes: &mut [i8],
    unfold: impl Fn([u8; N]) -> u64,
) {
    let (bytes, _) = packed.as_chunks::<N>();
    let (groups, _) = codes.as_chunks_mut::<8>();
    let whole = bytes.len().min(groups.len());
    for (group, bytes) in groups.iter_mut().zip(bytes) {
        *group = unfold(*bytes).to_le_bytes().map(|q| q as i8);
    }
    let (after, from) = (codes.get_mut(8 * whole..), packed.get(N * whole..));
    let (Some(codes), Some(packed)) = (after, from) else { return };
    for (chunk, &byte) in codes.chunks_mut(format.codes_per_byte()).zip(packed) {
        for (slot, q) in chunk.iter_mut().enumerate() {
            *q = get(format, byte, slot as u32) as i8;
        }
    }
}

/// 1 in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The low 4 bits of 8 bytes, one behind the other: neighbours meet, then pairs, then fours.
#[inline(always)]
pub const fn fold4(x: u64) -> u64 {
    let x = x & 0x0F0F_0F0F_0F0F_0F0F;
    let x = (x | x >> 4) & 0x00FF_00FF_00FF_00FF;
    let x = (x | x >> 8) & 0x0000_FFFF_0000_FFFF;
    (x | x >> 16) & 0xFFFF_FFFF
}

/// The low 2 bits of 8 bytes, likewise.
const fn fold2(x: u64) -> u64 {
    let x = x & 0x0303_0303_0303_0303;
    let x = (x | x >> 6) & 0x000F_000F_000F_000F;
    let x = (x | x >> 12) & 0x0000_00FF_0000_00FF;
    (x | x >> 24) & 0xFFFF
}

/// The lowest bits of 8 bytes: bit 8 i, times 2^(7 (8 - i)), is bit 56 + i, and no two meet elsewhere.
const fn fold1(x: u64) -> u64 {
    (x & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// 1 in each byte that is more than 0 as i8.
const fn positive(x: u64) -> u64 {
    let low_bits = (x & 0x7F7F_7F7F_7F7F_7F7F) + 0x7F7F_7F7F_7F7F_7F7F;
    (low_bits & !x) >> 7 & ONES
}

/// The 8 nibbles of the low 32 bits, a byte each: the inverse of [`fold4`].
#[inline(always)]
pub const fn unfold4(x: u64) -> u64 {
    let x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    let x = (x | x << 8) & 0x00FF_00FF_00FF_00FF;
    (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

const fn unfold2(x: u64) -> u64 {
    let x = (x | x << 24) & 0x0000_00FF_0000_00FF;
    let x = (x | x << 12) & 0x000F_000F_000F_000F;
    (x | x << 6) & 0x0303_0303_0303_0303
}

const fn unfold1(x: u64) -> u64 {
    // Byte i keeps bit i; then each byte that is not 0 becomes 1.
    let x = x.wrapping_mul(ONES) & 0x8040_2010_0804_0201;
    (x + 0x7F7F_7F7F_7F7F_7F7F) >> 7 & ONES
}
