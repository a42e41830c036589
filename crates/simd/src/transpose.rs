//! Matrices of elements of 1, 2 or 4 bytes, transposed 16, 8 or 4 rows and columns at a time with the vectors that every CPU of an
//! architecture has.
//!
//! A round zips vectors `i` and `i + half` into `2 i` and `2 i + 1`: in the number of an element, that of its vector before that of its
//! lane, it moves every bit one place up and the first one to the end. After as many rounds as a lane's number has bits, lane and
//! vector have changed places.

use vector::{V, load, store, zip};

/// `dst[column * dst_stride + row] = src[row * src_stride + column]`. Strides count elements.
///
/// # Safety
/// The elements of `rows` rows and `columns` columns can be read and, transposed, written. Nothing need be aligned. `T` is
/// of 1, 2 or 4 bytes, all of them its value's.
#[inline(never)]
pub unsafe fn transpose<T: Copy>(
    src: *const T,
    src_stride: usize,
    (rows, columns): (usize, usize),
    dst: *mut T,
    dst_stride: usize,
) {
    const { assert!(matches!(size_of::<T>(), 1 | 2 | 4)) };
    let n = 16 / const { size_of::<T>() };
    if rows < n || columns < n {
        for column in 0..columns {
            for row in 0..rows {
                // SAFETY: by this function's contract.
                unsafe {
                    let value = src.add(row * src_stride + column).read_unaligned();
                    dst.add(column * dst_stride + row).write_unaligned(value);
                }
            }
        }
        return;
    }
    let mut row = 0;
    while row < rows {
        // The last vectors end where the matrix does: some elements are written twice.
        let r = row.min(rows - n);
        let mut column = 0;
        while column < columns {
            let c = column.min(columns - n);
            // SAFETY: n rows from r and n columns from c on exist.
            unsafe {
                let (from, to) = (src.add(r * src_stride + c), dst.add(c * dst_stride + r));
                match const { size_of::<T>() } {
                    1 => square::<T, 16>(from, src_stride, to, dst_stride),
                    2 => square::<T, 8>(from, src_stride, to, dst_stride),
                    _ => square::<T, 4>(from, src_stride, to, dst_stride),
                }
            }
            column += n;
        }
        row += n;
    }
}

/// A square of `N` elements a side, of 16 bytes.
///
/// # Safety
/// As [`transpose`].
#[inline(always)]
unsafe fn square<T: Copy, const N: usize>(
    from: *const T,
    from_stride: usize,
    to: *mut T,
    to_stride: usize,
) {
    // SAFETY: 16 bytes of each row can be read, and of each column be written, by this function's contract.
    unsafe {
        let mut v = [load(from.cast()); N];
        for (i, v) in v.iter_mut().enumerate().skip(1) {
            *v = load(from.add(i * from_stride).cast());
        }
        let mut rounds = N;
        while rounds > 1 {
            v = round::<T, N>(v);
            rounds /= 2;
        }
        for (i, v) in v.into_iter().enumerate() {
            store(to.add(i * to_stride).cast(), v);
        }
    }
}

/// Zips vectors `i` and `i + N / 2`.
#[inline(always)]
fn round<T, const N: usize>(v: [V; N]) -> [V; N] {
    let mut zipped = v;
    let (first, second) = v.split_at(N / 2);
    for ((pair, &a), &b) in zipped.chunks_exact_mut(2).zip(first).zip(second) {
        pair.copy_from_slice(&zip::<T>(a, b));
    }
    zipped
}

/// SSE2, which is part of the architecture.
#[cfg(target_arch = "x86_64")]
mod vector {
    use core::arch::x86_64::*;

    pub(super) type V = __m128i;

    /// # Safety
    /// 16 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> V {
        // SAFETY: by this function's contract.
        unsafe { _mm_loadu_si128(from.cast()) }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { _mm_storeu_si128(to.cast(), v) }
    }

    /// Lanes of both in turns.
    #[inline(always)]
    pub(super) fn zip<T>(a: V, b: V) -> [V; 2] {
        // SAFETY: SSE2 is part of the architecture.
        unsafe {
            match const { size_of::<T>() } {
                1 => [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)],
                2 => [_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b)],
                _ => [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)],
            }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod vector {
    use core::arch::aarch64::*;

    pub(super) type V = uint8x16_t;

    /// # Safety
    /// 16 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> V {
        // SAFETY: by this function's contract.
        unsafe { vld1q_u8(from) }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { vst1q_u8(to, v) }
    }

    /// Lanes of both in turns.
    #[inline(always)]
    pub(super) fn zip<T>(a: V, b: V) -> [V; 2] {
        // SAFETY: the module is compiled for NEON only.
        unsafe {
            match const { size_of::<T>() } {
                1 => [vzip1q_u8(a, b), vzip2q_u8(a, b)],
                2 => {
                    let (a, b) = (vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b));
                    [vzip1q_u16(a, b), vzip2q_u16(a, b)].map(|v| vreinterpretq_u8_u16(v))
                }
                _ => {
                    let (a, b) = (vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b));
                    [vzip1q_u32(a, b), vzip2q_u32(a, b)].map(|v| vreinterpretq_u8_u32(v))
                }
            }
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod vector {
    pub(super) type V = [u8; 16];

    /// # Safety
    /// 16 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> V {
        // SAFETY: by this function's contract.
        unsafe { from.cast::<V>().read_unaligned() }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { to.cast::<V>().write_unaligned(v) }
    }

    /// Lanes of both in turns.
    #[inline(always)]
    pub(super) fn zip<T>(a: V, b: V) -> [V; 2] {
        let lane = const { size_of::<T>() };
        [0, 8].map(|half| {
            core::array::from_fn(|i| {
                let (pair, byte) = (i / (2 * lane), i % lane);
                let from = half + pair * lane + byte;
                if i / lane % 2 == 0 { a[from] } else { b[from] }
            })
        })
    }
}
