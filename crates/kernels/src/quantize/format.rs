//! How codes are stored.

use fewbit_simd::HalfLanes;

/// How codes are stored.
pub(super) trait Format {
    /// A code as it is stored.
    type Code: Copy;
    /// The smallest and the largest code.
    const RANGE: (i32, i32);

    /// Stores `n` codes, which are in range.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be written.
    unsafe fn store<V: HalfLanes>(to: *mut Self::Code, codes: V::I32, n: usize);

    /// Stores the codes in range that are nearest to four vectors' integers; with `STREAM` around the caches.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written. With
    /// `STREAM`, `to` is aligned to four vectors of codes, or to 64 bytes.
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(to: *mut Self::Code, integers: [V::I32; 4]);
}

/// A format whose codes are stored as they are: integers of the range, a byte or two each.
macro_rules! stored {
    (
        $name:ident: $code:ty, $range:expr,
        |$to:ident, $codes:ident, $n:ident| $store:expr,
        |$to_4:ident, $codes_4:ident| $store_4:expr
    ) => {
        pub(super) struct $name;

        impl Format for $name {
            type Code = $code;
            const RANGE: (i32, i32) = $range;

            #[inline(always)]
            unsafe fn store<V: HalfLanes>($to: *mut $code, $codes: V::I32, $n: usize) {
                // SAFETY: by this function's contract.
                unsafe { $store }
            }

            #[inline(always)]
            unsafe fn store_4<V: HalfLanes, const STREAM: bool>(
                $to_4: *mut $code,
                $codes_4: [V::I32; 4],
            ) {
                // SAFETY: by this function's contract.
                unsafe { $store_4 }
            }
        }
    };
}

stored! {
    S8: i8, (-128, 127),
    |to, codes, n| V::store_u8(to.cast(), codes, n),
    |to, codes| V::store_s8_of_4::<STREAM>(to, codes)
}

stored! {
    U8: u8, (0, 255),
    |to, codes, n| V::store_u8(to, codes, n),
    |to, codes| V::store_u8_of_4::<STREAM>(to, codes)
}

stored! {
    S16: u16, (-32_768, 32_767),
    |to, codes, n| V::store_u16(to, V::narrow_i32(codes), n),
    |to, codes| V::store_s16_of_4::<STREAM>(to, codes)
}
