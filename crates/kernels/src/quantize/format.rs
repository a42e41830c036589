//! How codes are stored.

use fewbit_simd::HalfLanes;

/// How codes are stored.
pub(crate) trait Format: Copy {
    /// A code as it is stored.
    type Code: Copy;

    /// The format that has codes within these bounds.
    fn of(clamp: (i32, i32)) -> Self;
    /// The smallest and the largest code.
    fn range(self) -> (i32, i32);
    /// What [`store_4`](Format::store_4) wants added to codes.
    fn bias(self) -> i32;

    /// Stores `n` codes, which are in range.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be written.
    unsafe fn store<V: HalfLanes>(to: *mut Self::Code, codes: V::I32, n: usize);

    /// Stores the codes in range that are nearest to four vectors' integers, which the bias was added to; with `STREAM`
    /// around the caches.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written. With
    /// `STREAM`, `to` is aligned to four vectors of codes, or to 64 bytes.
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(
        self,
        to: *mut Self::Code,
        integers: [V::I32; 4],
    );
}

/// Codes of a byte, s8 or u8. Both are stored as u8, s8 with 128 added and its highest bit inverted, which undoes it:
/// one function for the two, at the price of an operation a vector of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Byte {
    signed: bool,
}

impl Byte {
    /// What bytes with the bias are xored with, to make them codes: of four bytes.
    #[inline(always)]
    pub(crate) fn flip(self) -> i32 {
        if self.signed { i32::from_ne_bytes([0x80; 4]) } else { 0 }
    }
}

impl Format for Byte {
    type Code = u8;

    #[inline(always)]
    fn of(clamp: (i32, i32)) -> Byte {
        // Without negative codes either would do.
        Byte { signed: clamp.0 < 0 }
    }

    #[inline(always)]
    fn range(self) -> (i32, i32) {
        if self.signed { (-128, 127) } else { (0, 255) }
    }

    #[inline(always)]
    fn bias(self) -> i32 {
        i32::from(self.signed) << 7
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u8, codes: V::I32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to, codes, n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(self, to: *mut u8, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::store_bytes_of_4::<STREAM>(to, integers, V::splat_i32(self.flip())) }
    }
}

/// Codes of s16, two bytes each.
#[derive(Clone, Copy)]
pub(super) struct S16;

impl Format for S16 {
    type Code = u16;

    #[inline(always)]
    fn of(_clamp: (i32, i32)) -> S16 {
        S16
    }

    #[inline(always)]
    fn range(self) -> (i32, i32) {
        (-32_768, 32_767)
    }

    #[inline(always)]
    fn bias(self) -> i32 {
        0
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u16, codes: V::I32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::narrow_i32(codes), n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(self, to: *mut u16, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::store_s16_of_4::<STREAM>(to, integers) }
    }
}
