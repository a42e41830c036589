//! Codes of four bits, two in a byte, low nibble first, from codes of a byte each and back, as
//! [`fewbit_scheme::pack`] defines it.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Lanes;

/// A kernel that moves `2 * bytes` codes between a byte each and `bytes` bytes of two.
///
/// # Safety
/// The codes of `from` can be read, those of `to` written; the two do not overlap. Nothing need be aligned.
pub type PackFn = unsafe fn(from: *const u8, to: *mut u8, bytes: usize);

rows! {
    /// Bytes to nibbles, signed or not: the low four bits.
    U8_U4: PackFn = "pack_u8u4", |from: *const u8, to: *mut u8, bytes: usize|,
    pack::<V>(from, to, bytes)
}

rows! {
    /// Nibbles to bytes.
    U4_U8: PackFn = "unpack_u4u8", |from: *const u8, to: *mut u8, bytes: usize|,
    unpack::<V, false>(from, to, bytes)
}

rows! {
    /// Nibbles to bytes, sign-extended.
    S4_S8: PackFn = "unpack_s4s8", |from: *const u8, to: *mut u8, bytes: usize|,
    unpack::<V, true>(from, to, bytes)
}

/// The rows of these ops' tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    [U8_U4, U4_U8, S4_S8].into_iter().flat_map(infos)
}

/// # Safety
/// As [`PackFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn pack<V: Lanes>(from: *const u8, to: *mut u8, bytes: usize) {
    let mut at = 0;
    // SAFETY: `2 * LANES` bytes at a time while there are as many, then one.
    unsafe {
        while bytes - at >= 2 * V::LANES {
            V::pack_nibbles(from.add(2 * at), to.add(at));
            at += 2 * V::LANES;
        }
        while at < bytes {
            let (low, high) = (from.add(2 * at).read(), from.add(2 * at + 1).read());
            to.add(at).write(low & 0xF | high << 4);
            at += 1;
        }
    }
}

/// # Safety
/// As [`PackFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn unpack<V: Lanes, const SIGNED: bool>(from: *const u8, to: *mut u8, bytes: usize) {
    let sign = if SIGNED { 8 } else { 0 };
    let mut at = 0;
    // SAFETY: as in `pack`.
    unsafe {
        while bytes - at >= 2 * V::LANES {
            V::unpack_nibbles(from.add(at), to.add(2 * at), sign);
            at += 2 * V::LANES;
        }
        while at < bytes {
            let byte = from.add(at).read();
            to.add(2 * at).write((byte & 0xF ^ sign).wrapping_sub(sign));
            to.add(2 * at + 1).write((byte >> 4 ^ sign).wrapping_sub(sign));
            at += 1;
        }
    }
}
