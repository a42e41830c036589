//! Rows side by side: 4-byte groups of four rows, transposed with the vectors that every CPU of an
//! architecture has. No dispatch: a load, two shuffles and a store for 16 bytes leave little to gain.

use vector::{V, flip, load, store, store_halves, transpose, widen, zip};

/// Reads 16 bytes of each row and writes them group by group: `to + g * stride` gets bytes `4g..4g + 4` of
/// the four rows, one row behind the other, each exclusive-or `mask`.
///
/// # Safety
/// 16 bytes can be read at each row and written at `to + g * stride` for `g < 4`. Nothing need be aligned.
#[inline(always)]
pub unsafe fn interleave_bytes(rows: [*const u8; 4], mask: u8, to: *mut u8, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe { write(transpose(rows.map(|row| flip(load(row), mask))), to, stride) }
}

/// As [`interleave_bytes`] for 8 bytes of each row, widened to i16: `to + g * stride` gets codes
/// `2g` and `2g + 1` of the four rows.
///
/// # Safety
/// 8 bytes can be read at each row; the rest as [`interleave_bytes`].
#[inline(always)]
pub unsafe fn interleave_widened(rows: [*const u8; 4], unsigned: bool, to: *mut u8, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe { write(transpose(rows.map(|row| widen(row, unsigned))), to, stride) }
}

/// As [`interleave_bytes`] for two rows.
///
/// # Safety
/// 16 bytes can be read at each row and 8 written at `to + g * stride` for `g < 4`. Nothing need be aligned.
#[inline(always)]
pub unsafe fn interleave_bytes_of_2(rows: [*const u8; 2], mask: u8, to: *mut u8, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe { write_halves(zip(rows.map(|row| flip(load(row), mask))), to, stride) }
}

/// As [`interleave_widened`] for two rows.
///
/// # Safety
/// 8 bytes can be read at each row; the rest as [`interleave_bytes_of_2`].
#[inline(always)]
pub unsafe fn interleave_widened_of_2(
    rows: [*const u8; 2],
    unsigned: bool,
    to: *mut u8,
    stride: usize,
) {
    // SAFETY: by this function's contract.
    unsafe { write_halves(zip(rows.map(|row| widen(row, unsigned))), to, stride) }
}

/// Writes 16 bytes of a row, each exclusive-or `mask`: its groups follow each other.
///
/// # Safety
/// 16 bytes can be read at `row` and written at `to`. Nothing need be aligned.
#[inline(always)]
pub unsafe fn flip_bytes(row: *const u8, mask: u8, to: *mut u8) {
    // SAFETY: by this function's contract.
    unsafe { store(to, flip(load(row), mask)) }
}

/// As [`flip_bytes`] for 8 bytes of a row, widened to i16.
///
/// # Safety
/// 8 bytes can be read at `row` and 16 written at `to`. Nothing need be aligned.
#[inline(always)]
pub unsafe fn widen_bytes(row: *const u8, unsigned: bool, to: *mut u8) {
    // SAFETY: by this function's contract.
    unsafe { store(to, widen(row, unsigned)) }
}

/// # Safety
/// 16 bytes can be written at `to + g * stride` for `g < 4`.
#[inline(always)]
unsafe fn write(groups: [V; 4], to: *mut u8, stride: usize) {
    for (g, group) in groups.into_iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { store(to.add(g * stride), group) }
    }
}

/// Writes the low and the high half of each vector in turns.
///
/// # Safety
/// 8 bytes can be written at `to + g * stride` for `g < 4`.
#[inline(always)]
unsafe fn write_halves(groups: [V; 2], to: *mut u8, stride: usize) {
    for (g, group) in groups.into_iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { store_halves(to.add(2 * g * stride), to.add((2 * g + 1) * stride), group) }
    }
}

/// Asks for the cache line at an address, which need not exist.
#[inline(always)]
pub fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of the architecture; a prefetch of an address that cannot be read does nothing.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch of an address that cannot be read does nothing; nothing else is touched.
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{}]", in(reg) at, options(readonly, nostack, preserves_flags)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

/// The same address, of which the compiler knows nothing (on the architectures with vectors): what it would
/// otherwise derive from another one, with an addition for each use, it keeps in a register.
#[inline(always)]
#[allow(unused_mut, reason = "elsewhere nothing changes it")]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "the address is not followed")]
pub fn opaque(mut at: *const u8) -> *const u8 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!(
            "/* {} */", inout(reg) at, options(pure, nomem, nostack, preserves_flags)
        );
    }
    at
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

    #[inline(always)]
    pub(super) fn flip(v: V, mask: u8) -> V {
        // SAFETY: SSE2 is part of the architecture, as in all of this module.
        unsafe { _mm_xor_si128(v, _mm_set1_epi8(mask as i8)) }
    }

    /// # Safety
    /// 8 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn widen(from: *const u8, unsigned: bool) -> V {
        // SAFETY: by this function's contract.
        unsafe {
            let bytes = _mm_loadl_epi64(from.cast());
            if unsigned {
                _mm_unpacklo_epi8(bytes, _mm_setzero_si128())
            } else {
                _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes))
            }
        }
    }

    #[inline(always)]
    pub(super) fn transpose([a, b, c, d]: [V; 4]) -> [V; 4] {
        // SAFETY: as above.
        unsafe {
            let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
            let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
            [
                _mm_unpacklo_epi64(ab, cd),
                _mm_unpackhi_epi64(ab, cd),
                _mm_unpacklo_epi64(ab_high, cd_high),
                _mm_unpackhi_epi64(ab_high, cd_high),
            ]
        }
    }

    /// The four groups of one row beside those of the other.
    #[inline(always)]
    pub(super) fn zip([a, b]: [V; 2]) -> [V; 2] {
        // SAFETY: as above.
        unsafe { [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)] }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { _mm_storeu_si128(to.cast(), v) }
    }

    /// # Safety
    /// 8 bytes can be written at both.
    #[inline(always)]
    pub(super) unsafe fn store_halves(low: *mut u8, high: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe {
            _mm_storel_epi64(low.cast(), v);
            _mm_storeh_pd(high.cast(), _mm_castsi128_pd(v));
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod vector {
    use core::arch::aarch64::*;

    pub(super) type V = uint32x4_t;

    /// # Safety
    /// 16 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> V {
        // SAFETY: by this function's contract.
        unsafe { vreinterpretq_u32_u8(vld1q_u8(from)) }
    }

    #[inline(always)]
    pub(super) fn flip(v: V, mask: u8) -> V {
        // SAFETY: the module is compiled for NEON only.
        unsafe { veorq_u32(v, vreinterpretq_u32_u8(vdupq_n_u8(mask))) }
    }

    /// # Safety
    /// 8 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn widen(from: *const u8, unsigned: bool) -> V {
        // SAFETY: by this function's contract.
        unsafe {
            if unsigned {
                vreinterpretq_u32_u16(vmovl_u8(vld1_u8(from)))
            } else {
                vreinterpretq_u32_s16(vmovl_s8(vld1_s8(from.cast())))
            }
        }
    }

    #[inline(always)]
    pub(super) fn transpose([a, b, c, d]: [V; 4]) -> [V; 4] {
        // SAFETY: as above.
        unsafe {
            let pair = |x, y| (vreinterpretq_u64_u32(x), vreinterpretq_u64_u32(y));
            let (ab, cd) = pair(vzip1q_u32(a, b), vzip1q_u32(c, d));
            let (ab_high, cd_high) = pair(vzip2q_u32(a, b), vzip2q_u32(c, d));
            [
                vzip1q_u64(ab, cd),
                vzip2q_u64(ab, cd),
                vzip1q_u64(ab_high, cd_high),
                vzip2q_u64(ab_high, cd_high),
            ]
            .map(|v| vreinterpretq_u32_u64(v))
        }
    }

    /// The four groups of one row beside those of the other.
    #[inline(always)]
    pub(super) fn zip([a, b]: [V; 2]) -> [V; 2] {
        // SAFETY: as above.
        unsafe { [vzip1q_u32(a, b), vzip2q_u32(a, b)] }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { vst1q_u8(to, vreinterpretq_u8_u32(v)) }
    }

    /// # Safety
    /// 8 bytes can be written at both.
    #[inline(always)]
    pub(super) unsafe fn store_halves(low: *mut u8, high: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe {
            let bytes = vreinterpretq_u8_u32(v);
            vst1_u8(low, vget_low_u8(bytes));
            vst1_u8(high, vget_high_u8(bytes));
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
mod vector {
    pub(super) type V = [[u8; 4]; 4];

    /// # Safety
    /// 16 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const u8) -> V {
        // SAFETY: by this function's contract.
        unsafe { from.cast::<V>().read_unaligned() }
    }

    #[inline(always)]
    pub(super) fn flip(v: V, mask: u8) -> V {
        v.map(|group| group.map(|byte| byte ^ mask))
    }

    /// # Safety
    /// 8 bytes can be read.
    #[inline(always)]
    pub(super) unsafe fn widen(from: *const u8, unsigned: bool) -> V {
        // SAFETY: by this function's contract.
        let pairs = unsafe { from.cast::<[[u8; 2]; 4]>().read_unaligned() };
        pairs.map(|pair| {
            let [a, b] = pair.map(|code| if unsigned { code as i16 } else { code as i8 as i16 });
            let ([a, b], [c, d]) = (a.to_ne_bytes(), b.to_ne_bytes());
            [a, b, c, d]
        })
    }

    #[inline(always)]
    pub(super) fn transpose([a, b, c, d]: [V; 4]) -> [V; 4] {
        core::array::from_fn(|g| [a[g], b[g], c[g], d[g]])
    }

    /// The four groups of one row beside those of the other.
    #[inline(always)]
    pub(super) fn zip([a, b]: [V; 2]) -> [V; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }

    /// # Safety
    /// 16 bytes can be written.
    #[inline(always)]
    pub(super) unsafe fn store(to: *mut u8, v: V) {
        // SAFETY: by this function's contract.
        unsafe { to.cast::<V>().write_unaligned(v) }
    }

    /// # Safety
    /// 8 bytes can be written at both.
    #[inline(always)]
    pub(super) unsafe fn store_halves(low: *mut u8, high: *mut u8, [a, b, c, d]: V) {
        // SAFETY: by this function's contract.
        unsafe {
            low.cast::<[[u8; 4]; 2]>().write_unaligned([a, b]);
            high.cast::<[[u8; 4]; 2]>().write_unaligned([c, d]);
        }
    }
}
