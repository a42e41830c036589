//! Advanced SIMD of aarch64: 4 lanes.

use super::{HalfLanes, Lanes, partial};
use core::arch::aarch64::*;

/// 4 lanes in a 128-bit register. Its methods need `neon`.
#[derive(Clone, Copy)]
pub struct Neon;

/// Up to 16 bytes, zero above.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn load_bytes(from: *const u8, bytes: usize) -> uint8x16_t {
    // SAFETY: features and readable bytes by the contract of `Lanes`.
    unsafe {
        if bytes == 16 {
            vld1q_u8(from)
        } else {
            let bits = partial::load(from, bytes);
            vreinterpretq_u8_u64(vcombine_u64(
                vcreate_u64(bits as u64),
                vcreate_u64((bits >> 64) as u64),
            ))
        }
    }
}

/// The first `bytes` bytes, up to 16.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn store_bytes(to: *mut u8, v: uint8x16_t, bytes: usize) {
    // SAFETY: features and writable bytes by the contract of `Lanes`.
    unsafe {
        if bytes == 16 {
            vst1q_u8(to, v);
        } else {
            let (low, high) = {
                let v = vreinterpretq_u64_u8(v);
                (vgetq_lane_u64::<0>(v), vgetq_lane_u64::<1>(v))
            };
            partial::store(to, u128::from(high) << 64 | u128::from(low), bytes);
        }
    }
}

/// Up to 4 bytes in 16-bit lanes, zero-extended.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn load_4_bytes(from: *const u8, n: usize) -> uint8x8_t {
    // SAFETY: features and `n` readable bytes by the contract of `Lanes`.
    unsafe {
        let bits = if n == Neon::LANES {
            from.cast::<u32>().read_unaligned().to_le()
        } else {
            partial::load(from, n) as u32
        };
        vcreate_u8(u64::from(bits))
    }
}

// SAFETY: each method is its instruction; part of a vector is loaded and stored in `partial`'s
// pieces.
unsafe impl Lanes for Neon {
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    const LANES: usize = 4;
    const FUSED: bool = true;
    const STREAMS: bool = false;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32, n: usize) -> float32x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { vreinterpretq_f32_u8(load_bytes(from.cast(), 4 * n)) }
    }

    #[inline(always)]
    unsafe fn load_i32(from: *const i32, n: usize) -> int32x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { vreinterpretq_s32_u8(load_bytes(from.cast(), 4 * n)) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8, n: usize) -> int32x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            let wide = vmovl_u8(load_4_bytes(from, n));
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)))
        }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8, n: usize) -> int32x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            let wide = vmovl_s8(vreinterpret_s8_u8(load_4_bytes(from.cast(), n)));
            vmovl_s16(vget_low_s16(wide))
        }
    }

    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: float32x4_t, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { store_bytes(to.cast(), vreinterpretq_u8_f32(v), 4 * n) }
    }

    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: int32x4_t, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { store_bytes(to.cast(), vreinterpretq_u8_s32(v), 4 * n) }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, v: int32x4_t, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            let halves = vmovn_s32(v);
            let bytes = vmovn_s16(vcombine_s16(halves, halves));
            let bits = vget_lane_u32::<0>(vreinterpret_u32_s8(bytes));
            if n == Self::LANES {
                to.cast::<u32>().write_unaligned(bits.to_le());
            } else {
                partial::store(to, u128::from(bits), n);
            }
        }
    }

    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vdupq_n_f32(v) }
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vdupq_n_s32(v) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        // Not `fmin`, which treats a NaN and two zeros its own way.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        // Not `fmax`, which treats a NaN and two zeros its own way.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    unsafe fn replace_nan(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vbslq_f32(vceqq_f32(a, a), a, b) }
    }

    #[inline(always)]
    unsafe fn round_half_even(a: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    unsafe fn round_half_away(a: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vrndaq_f32(a) }
    }

    #[inline(always)]
    unsafe fn i32_from_f32(a: float32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vcvtq_s32_f32(a) }
    }

    #[inline(always)]
    unsafe fn nearest_i32(a: float32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vcvtnq_s32_f32(a) }
    }

    #[inline(always)]
    unsafe fn f32_from_i32(a: int32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vcvtq_f32_s32(a) }
    }

    #[inline(always)]
    unsafe fn add_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vsubq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn min_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vminq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn max_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmaxq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn or_xor(acc: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vorrq_s32(acc, veorq_s32(a, b)) }
    }

    #[inline(always)]
    unsafe fn or_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vorrq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn and_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vandq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn is_zero(a: int32x4_t) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmaxvq_u32(vreinterpretq_u32_s32(a)) == 0 }
    }

    #[inline(always)]
    unsafe fn is_zero_without_nan(a: int32x4_t, [x0, x1, x2, x3]: [float32x4_t; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The maximum is NaN if any is.
            let most = vmaxq_f32(vmaxq_f32(x0, x1), vmaxq_f32(x2, x3));
            vmaxvq_u32(vornq_u32(vreinterpretq_u32_s32(a), vceqq_f32(most, most))) == 0
        }
    }

    #[inline(always)]
    unsafe fn from_bits(a: int32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vreinterpretq_f32_s32(a) }
    }

    #[inline(always)]
    unsafe fn bits(a: float32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vreinterpretq_s32_f32(a) }
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vshlq_s32(a, vdupq_n_s32(N as i32)) }
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-(N as i32))))
        }
    }

    #[inline(always)]
    unsafe fn select_gt(a: int32x4_t, b: int32x4_t, c: int32x4_t, d: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vbslq_s32(vcgtq_s32(a, b), c, d) }
    }

    #[inline(always)]
    unsafe fn min_across(a: float32x4_t) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vminvq_f32(a) }
    }

    #[inline(always)]
    unsafe fn max_across(a: float32x4_t) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmaxvq_f32(a) }
    }

    #[inline(always)]
    unsafe fn min_across_i32(a: int32x4_t) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vminvq_s32(a) }
    }

    #[inline(always)]
    unsafe fn max_across_i32(a: int32x4_t) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmaxvq_s32(a) }
    }

    #[inline(always)]
    unsafe fn shl_each(a: int32x4_t, n: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vshlq_s32(a, n) }
    }

    #[inline(always)]
    unsafe fn shr_each(a: int32x4_t, n: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vshlq_s32(a, vnegq_s32(n)) }
    }

    #[inline(always)]
    unsafe fn lookup_8(table: &[f32; 8], index: int32x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`; eight entries, 32 bytes, of which byte `4 i + j` is byte `j` of entry `i`.
        unsafe {
            let low = vld1q_u8(table.as_ptr().cast());
            let high = vld1q_u8(table.as_ptr().add(4).cast());
            let index = vandq_u32(vreinterpretq_u32_s32(index), vdupq_n_u32(7));
            let first = vmulq_n_u32(index, 0x0404_0404);
            let bytes = vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x0302_0100)));
            vreinterpretq_f32_u8(vqtbl2q_u8(uint8x16x2_t(low, high), bytes))
        }
    }

    #[inline(always)]
    unsafe fn mul_round_shr(a: int32x4_t, b: int32x4_t, n: int32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // A rounding shift by a negative number is one to the right, ties upwards.
            let by = vnegq_s32(n);
            let low = vmull_s32(vget_low_s32(a), vget_low_s32(b));
            let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(by)));
            let high = vrshlq_s64(vmull_high_s32(a, b), vmovl_high_s32(by));
            vqmovn_high_s64(vqmovn_s64(low), high)
        }
    }

    #[inline(always)]
    unsafe fn sum_across_i32(a: int32x4_t) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vaddvq_s32(a) }
    }

    #[inline(always)]
    unsafe fn add_bytes(acc: int32x4_t, from: *const u8, flip: int32x4_t) -> int32x4_t {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = veorq_u8(vld1q_u8(from), vreinterpretq_u8_s32(flip));
            let acc = vreinterpretq_u32_s32(acc);
            vreinterpretq_s32_u32(vpadalq_u16(acc, vpaddlq_u8(bytes)))
        }
    }

    #[inline(always)]
    unsafe fn store_s8_of_4<const STREAM: bool>(to: *mut i8, [a, b, c, d]: [int32x4_t; 4]) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let ab = vqmovn_s16(vqmovn_high_s32(vqmovn_s32(a), b));
            let bytes = vqmovn_high_s16(ab, vqmovn_high_s32(vqmovn_s32(c), d));
            vst1q_s8(to, bytes);
        }
    }

    #[inline(always)]
    unsafe fn store_bytes_of_4<const STREAM: bool>(
        to: *mut u8,
        [a, b, c, d]: [int32x4_t; 4],
        flip: int32x4_t,
    ) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let ab = vqmovun_s16(vqmovn_high_s32(vqmovn_s32(a), b));
            let bytes = vqmovun_high_s16(ab, vqmovn_high_s32(vqmovn_s32(c), d));
            vst1q_u8(to, veorq_u8(bytes, vreinterpretq_u8_s32(flip)));
        }
    }

    #[inline(always)]
    unsafe fn pack_nibbles(from: *const u8, to: *mut u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let codes = vandq_u8(vld1q_u8(from), vdupq_n_u8(15));
            // The second of each pair, in the upper byte, moves down beside the first.
            let pairs = vreinterpretq_u16_u8(codes);
            vst1_u8(to, vmovn_u16(vsraq_n_u16::<4>(pairs, pairs)));
        }
    }

    #[inline(always)]
    unsafe fn unpack_nibbles(from: *const u8, to: *mut u8, sign: u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = vmovl_u8(vld1_u8(from));
            let both = vreinterpretq_u8_u16(vorrq_u16(bytes, vshlq_n_u16::<4>(bytes)));
            let (nibbles, sign) = (vandq_u8(both, vdupq_n_u8(15)), vdupq_n_u8(sign));
            vst1q_u8(to, vsubq_u8(veorq_u8(nibbles, sign), sign));
        }
    }

    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, v: float32x4_t) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { Self::store_f32(to, v, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn fence() {}

    #[inline(always)]
    unsafe fn order_key(a: float32x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = vreinterpretq_s32_f32(a);
            let sign = vreinterpretq_u32_s32(vshrq_n_s32::<31>(bits));
            veorq_s32(bits, vreinterpretq_s32_u32(vshrq_n_u32::<1>(sign)))
        }
    }
}

// SAFETY: as above.
unsafe impl HalfLanes for Neon {
    type U16 = uint16x4_t;

    #[inline(always)]
    unsafe fn load_u16(from: *const u16, n: usize) -> uint16x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            if n == Self::LANES {
                vld1_u16(from)
            } else {
                vcreate_u16(partial::load(from.cast(), 2 * n) as u64)
            }
        }
    }

    #[inline(always)]
    unsafe fn store_u16(to: *mut u16, v: uint16x4_t, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            if n == Self::LANES {
                vst1_u16(to, v);
            } else {
                let bits = vget_lane_u64::<0>(vreinterpret_u64_u16(v));
                partial::store(to.cast(), u128::from(bits), 2 * n);
            }
        }
    }

    #[inline(always)]
    unsafe fn stream_u16(to: *mut u16, v: uint16x4_t) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { Self::store_u16(to, v, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn store_s16_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [int32x4_t; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            vst1q_s16(to.cast(), vqmovn_high_s32(vqmovn_s32(a), b));
            vst1q_s16(to.add(8).cast(), vqmovn_high_s32(vqmovn_s32(c), d));
        }
    }

    #[inline(always)]
    unsafe fn store_high_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [int32x4_t; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            let [a, b] = [vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)];
            let [c, d] = [vreinterpretq_u16_s32(c), vreinterpretq_u16_s32(d)];
            vst1q_u16(to, vuzp2q_u16(a, b));
            vst1q_u16(to.add(8), vuzp2q_u16(c, d));
        }
    }

    #[inline(always)]
    unsafe fn any_low_zero([a, b, c, d]: [int32x4_t; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let [a, b] = [vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)];
            let [c, d] = [vreinterpretq_u16_s32(c), vreinterpretq_u16_s32(d)];
            vminvq_u16(vminq_u16(vuzp1q_u16(a, b), vuzp1q_u16(c, d))) == 0
        }
    }

    #[inline(always)]
    unsafe fn narrow_i32(v: int32x4_t) -> uint16x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vreinterpret_u16_s16(vmovn_s32(v)) }
    }

    #[inline(always)]
    unsafe fn high_u16(v: uint16x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vreinterpretq_s32_u32(vshll_n_u16::<16>(v)) }
    }

    #[inline(always)]
    unsafe fn widen_i16(v: uint16x4_t) -> int32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vmovl_s16(vreinterpret_s16_u16(v)) }
    }

    #[inline(always)]
    unsafe fn f16_to_f32(v: uint16x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u16(v)) }
    }

    #[inline(always)]
    unsafe fn f32_to_f16(v: float32x4_t) -> uint16x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { vreinterpret_u16_f16(vcvt_f16_f32(v)) }
    }

    #[inline(always)]
    unsafe fn load_high_u8(from: *const u8, n: usize) -> uint16x4_t {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { vget_low_u16(vshll_n_u8::<8>(load_4_bytes(from, n))) }
    }

    #[inline(always)]
    unsafe fn e4m3fn_to_f32(v: uint16x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The sign came along, into the exponent's top.
            let half = vreinterpret_u16_s16(vshr_n_s16::<1>(vreinterpret_s16_u16(v)));
            let half = vand_u16(half, vdup_n_u16(!0x4000));
            let nan = vceq_u16(vorr_u16(v, vdup_n_u16(0x8000)), vdup_n_u16(0xFF00));
            // From 0x3F80 to 0x7E00.
            let half = veor_u16(half, vand_u16(nan, vdup_n_u16(0x4180)));
            vmulq_n_f32(Self::f16_to_f32(half), 256.0)
        }
    }

    #[inline(always)]
    unsafe fn bf16_to_f32(v: uint16x4_t) -> float32x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = vshll_n_u16::<16>(v);
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
            Self::replace_nan(vreinterpretq_f32_u32(bits), vreinterpretq_f32_u32(quiet))
        }
    }

    #[inline(always)]
    unsafe fn f32_to_bf16(v: float32x4_t) -> uint16x4_t {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // On the bits: adding 0x7FFF and the bit that becomes the last one rounds to even; the
            // carry moves the exponent up, to infinity where it must. A NaN keeps its top bits and
            // gets the quiet bit instead.
            let bits = vreinterpretq_u32_f32(v);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
            vshrn_n_u32::<16>(vbslq_u32(vceqq_f32(v, v), rounded, quiet))
        }
    }
}
