//! Tables of 256 bytes, looked up by bytes: what an op on 8-bit codes comes to when its parameters are the
//! same for many codes.

use crate::Scalar;

/// Lookups in a table that stays in registers.
///
/// # Safety
/// An implementation's methods must do as documented here on every CPU with the implementation's
/// instruction set, and access no memory but what they document.
///
/// The methods' shared contract: the caller is compiled for the instruction set and the CPU has it;
/// pointers are valid for what is accessed, at any alignment.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Lookup: 'static {
    /// The table.
    type Table: Copy;
    /// Bytes looked up at once.
    const BYTES: usize;
    /// Whether a lookup is less work than a few operations on 32-bit lanes.
    const FAST: bool;

    /// The table of 256 bytes.
    unsafe fn table(entries: *const u8) -> Self::Table;
    /// Stores `table[byte]` for each of [`BYTES`](Lookup::BYTES) bytes; all are read before any is written.
    unsafe fn lookup(table: Self::Table, from: *const u8, to: *mut u8);
}

/// Memory is the table.
macro_rules! by_loads {
    ($backend:ty, $fast:literal) => {
        // SAFETY: a byte at a time, of the table's 256.
        unsafe impl Lookup for $backend {
            type Table = *const u8;
            const BYTES: usize = 1;
            const FAST: bool = $fast;

            #[inline(always)]
            unsafe fn table(entries: *const u8) -> *const u8 {
                entries
            }

            #[inline(always)]
            unsafe fn lookup(table: *const u8, from: *const u8, to: *mut u8) {
                // SAFETY: by the contract of `Lookup`; the table outlives its use.
                unsafe { to.write(table.add(from.read() as usize).read()) }
            }
        }
    };
}

by_loads!(Scalar, true);
// Shuffles look up 16 entries: sixteen of them, and what selects among them, save nothing.
#[cfg(target_arch = "x86_64")]
by_loads!(crate::Avx2, false);
#[cfg(target_arch = "x86_64")]
by_loads!(crate::Avx512, false);

/// AVX-512 VBMI: `vpermb`, 64 entries a register. Its methods need `avx512vbmi` beside what
/// [`Avx512`](crate::Avx512) needs.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vbmi;

#[cfg(target_arch = "x86_64")]
// SAFETY: 64 bytes are loaded and stored; the table is 256.
unsafe impl Lookup for Avx512Vbmi {
    type Table = [core::arch::x86_64::__m512i; 4];
    const BYTES: usize = 64;
    const FAST: bool = true;

    #[inline(always)]
    unsafe fn table(entries: *const u8) -> Self::Table {
        use core::arch::x86_64::_mm512_loadu_si512 as load;
        // SAFETY: features and 256 bytes by the contract of `Lookup`.
        unsafe {
            [
                load(entries.cast()),
                load(entries.add(64).cast()),
                load(entries.add(128).cast()),
                load(entries.add(192).cast()),
            ]
        }
    }

    #[inline(always)]
    unsafe fn lookup([t0, t1, t2, t3]: Self::Table, from: *const u8, to: *mut u8) {
        use core::arch::x86_64::*;
        // SAFETY: features and 64 bytes by the contract of `Lookup`.
        unsafe {
            let codes = _mm512_loadu_si512(from.cast());
            // The low six bits choose in a register, bits 6 and 7 the register.
            let second = _mm512_test_epi8_mask(codes, _mm512_set1_epi8(0x40));
            let upper = _mm512_movepi8_mask(codes);
            let low = _mm512_permutexvar_epi8(codes, t0);
            let low = _mm512_mask_permutexvar_epi8(low, second, codes, t1);
            let high = _mm512_permutexvar_epi8(codes, t2);
            let high = _mm512_mask_permutexvar_epi8(high, second, codes, t3);
            _mm512_storeu_si512(to.cast(), _mm512_mask_blend_epi8(upper, low, high));
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
// SAFETY: 16 bytes are loaded and stored; the table is 256.
unsafe impl Lookup for crate::Neon {
    type Table = [core::arch::aarch64::uint8x16x4_t; 4];
    const BYTES: usize = 16;
    const FAST: bool = true;

    #[inline(always)]
    unsafe fn table(entries: *const u8) -> Self::Table {
        use core::arch::aarch64::vld1q_u8_x4 as load;
        // SAFETY: features and 256 bytes by the contract of `Lookup`.
        unsafe {
            [load(entries), load(entries.add(64)), load(entries.add(128)), load(entries.add(192))]
        }
    }

    #[inline(always)]
    unsafe fn lookup([t0, t1, t2, t3]: Self::Table, from: *const u8, to: *mut u8) {
        use core::arch::aarch64::*;
        // SAFETY: features and 16 bytes by the contract of `Lookup`.
        unsafe {
            let codes = vld1q_u8(from);
            // An index beyond a register's 64 leaves the lane as it is.
            let step = vdupq_n_u8(64);
            let codes1 = vsubq_u8(codes, step);
            let codes2 = vsubq_u8(codes1, step);
            let codes3 = vsubq_u8(codes2, step);
            let found = vqtbl4q_u8(t0, codes);
            let found = vqtbx4q_u8(found, t1, codes1);
            let found = vqtbx4q_u8(found, t2, codes2);
            vst1q_u8(to, vqtbx4q_u8(found, t3, codes3));
        }
    }
}
