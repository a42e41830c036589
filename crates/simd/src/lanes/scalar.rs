//! Portable code: 1 lane. What the other backends are tested against, and the row that runs where
//! nothing else does.

use super::{HalfLanes, Lanes};
use crate::opaque;
use fewbit_scheme::{float16, fp8, real};

/// 1 lane, on any CPU.
#[derive(Clone, Copy)]
pub struct Scalar;

/// The same address, of which compilers know nothing: loops of loads are neither unrolled nor vectorised. As code that is run
/// where there is nothing better they would be a fifth of the library.
#[inline(always)]
fn alone<T>(from: *const T) -> *const T {
    opaque(from.cast()).cast()
}

// SAFETY: with one lane, `n` is 1 and each load and store accesses that one element.
unsafe impl Lanes for Scalar {
    type F32 = f32;
    type I32 = i32;
    const LANES: usize = 1;
    const FUSED: bool = false;
    const STREAMS: bool = false;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32, _n: usize) -> f32 {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { alone(from).read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_i32(from: *const i32, _n: usize) -> i32 {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { alone(from).read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8, _n: usize) -> i32 {
        // SAFETY: one element by the contract of `Lanes`.
        i32::from(unsafe { alone(from).read() })
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8, _n: usize) -> i32 {
        // SAFETY: one element by the contract of `Lanes`.
        i32::from(unsafe { alone(from).read() })
    }

    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: f32, _n: usize) {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { to.write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: i32, _n: usize) {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { to.write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, v: i32, _n: usize) {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { to.write(v as u8) }
    }

    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> f32 {
        v
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> i32 {
        v
    }

    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    unsafe fn mul(a: f32, b: f32) -> f32 {
        a * b
    }

    #[inline(always)]
    unsafe fn div(a: f32, b: f32) -> f32 {
        a / b
    }

    #[inline(always)]
    unsafe fn min(a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }

    #[inline(always)]
    unsafe fn max(a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }

    #[inline(always)]
    unsafe fn replace_nan(a: f32, b: f32) -> f32 {
        if a.is_nan() { b } else { a }
    }

    #[inline(always)]
    unsafe fn round_half_even(a: f32) -> f32 {
        real::round_half_even(a)
    }

    #[inline(always)]
    unsafe fn round_half_away(a: f32) -> f32 {
        real::round_half_away(a)
    }

    #[inline(always)]
    unsafe fn i32_from_f32(a: f32) -> i32 {
        a as i32
    }

    #[inline(always)]
    unsafe fn nearest_i32(a: f32) -> i32 {
        real::round_half_even(a) as i32
    }

    #[inline(always)]
    unsafe fn f32_from_i32(a: i32) -> f32 {
        a as f32
    }

    #[inline(always)]
    unsafe fn add_i32(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    unsafe fn sub_i32(a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }

    #[inline(always)]
    unsafe fn min_i32(a: i32, b: i32) -> i32 {
        a.min(b)
    }

    #[inline(always)]
    unsafe fn max_i32(a: i32, b: i32) -> i32 {
        a.max(b)
    }

    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        real::fma(a, b, c)
    }

    #[inline(always)]
    unsafe fn or_xor(acc: i32, a: i32, b: i32) -> i32 {
        acc | (a ^ b)
    }

    #[inline(always)]
    unsafe fn or_i32(a: i32, b: i32) -> i32 {
        a | b
    }

    #[inline(always)]
    unsafe fn and_i32(a: i32, b: i32) -> i32 {
        a & b
    }

    #[inline(always)]
    unsafe fn is_zero(a: i32) -> bool {
        a == 0
    }

    #[inline(always)]
    unsafe fn is_zero_without_nan(a: i32, x: [f32; 4]) -> bool {
        a == 0 && !x[0].is_nan() && !x[1].is_nan() && !x[2].is_nan() && !x[3].is_nan()
    }

    #[inline(always)]
    unsafe fn from_bits(a: i32) -> f32 {
        f32::from_bits(a as u32)
    }

    #[inline(always)]
    unsafe fn bits(a: f32) -> i32 {
        a.to_bits() as i32
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: i32) -> i32 {
        a.wrapping_shl(N)
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: i32) -> i32 {
        (a as u32).wrapping_shr(N) as i32
    }

    #[inline(always)]
    unsafe fn select_gt(a: i32, b: i32, c: i32, d: i32) -> i32 {
        if a > b { c } else { d }
    }

    #[inline(always)]
    unsafe fn min_across(a: f32) -> f32 {
        a
    }

    #[inline(always)]
    unsafe fn max_across(a: f32) -> f32 {
        a
    }

    #[inline(always)]
    unsafe fn min_across_i32(a: i32) -> i32 {
        a
    }

    #[inline(always)]
    unsafe fn max_across_i32(a: i32) -> i32 {
        a
    }

    #[inline(always)]
    unsafe fn shl_each(a: i32, n: i32) -> i32 {
        a.wrapping_shl(n as u32)
    }

    #[inline(always)]
    unsafe fn shr_each(a: i32, n: i32) -> i32 {
        a.wrapping_shr(n as u32)
    }

    #[inline(always)]
    unsafe fn lookup_8(table: &[f32; 8], index: i32) -> f32 {
        table[(index & 7) as usize]
    }

    #[inline(always)]
    unsafe fn mul_round_shr(a: i32, b: i32, n: i32) -> i32 {
        let product = i64::from(a) * i64::from(b);
        let half = 1_i64.wrapping_shl(n as u32 - 1);
        let rounded = product.wrapping_add(half).wrapping_shr(n as u32);
        rounded.max(i64::from(i32::MIN)).min(i64::from(i32::MAX)) as i32
    }

    #[inline(always)]
    unsafe fn sum_across_i32(a: i32) -> i32 {
        a
    }

    #[inline(always)]
    unsafe fn add_bytes(acc: i32, from: *const u8, flip: i32) -> i32 {
        // SAFETY: four bytes by the contract of `Lanes`.
        let four = unsafe { from.cast::<u32>().read_unaligned() } ^ flip as u32;
        // Neighbours, then pairs.
        let pairs = (four & 0x00FF_00FF) + (four >> 8 & 0x00FF_00FF);
        acc.wrapping_add(((pairs & 0xFFFF) + (pairs >> 16)) as i32)
    }

    #[inline(always)]
    unsafe fn store_s8_of_4<const STREAM: bool>(to: *mut i8, v: [i32; 4]) {
        // SAFETY: four elements by the contract of `Lanes`.
        unsafe { to.cast::<[i8; 4]>().write(v.map(|v| v.clamp(-128, 127) as i8)) }
    }

    #[inline(always)]
    unsafe fn store_bytes_of_4<const STREAM: bool>(to: *mut u8, v: [i32; 4], flip: i32) {
        // SAFETY: four elements by the contract of `Lanes`.
        unsafe { to.cast::<[u8; 4]>().write(v.map(|v| v.clamp(0, 255) as u8 ^ flip as u8)) }
    }

    #[inline(always)]
    unsafe fn pack_nibbles(from: *const u8, to: *mut u8) {
        // SAFETY: four codes and two bytes by the contract of `Lanes`.
        unsafe {
            let [a, b, c, d] = from.cast::<[u8; 4]>().read();
            to.cast::<[u8; 2]>().write([a & 0xF | b << 4, c & 0xF | d << 4]);
        }
    }

    #[inline(always)]
    unsafe fn unpack_nibbles(from: *const u8, to: *mut u8, sign: u8) {
        // SAFETY: two bytes and four codes by the contract of `Lanes`.
        unsafe {
            let [a, b] = from.cast::<[u8; 2]>().read();
            let codes = [a & 0xF, a >> 4, b & 0xF, b >> 4];
            to.cast::<[u8; 4]>().write(codes.map(|code| (code ^ sign).wrapping_sub(sign)));
        }
    }

    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, v: f32) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { Self::store_f32(to, v, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn fence() {}

    #[inline(always)]
    unsafe fn order_key(a: f32) -> i32 {
        let bits = a.to_bits() as i32;
        bits ^ ((bits >> 31) as u32 >> 1) as i32
    }
}

// SAFETY: as above.
unsafe impl HalfLanes for Scalar {
    type U16 = u16;

    #[inline(always)]
    unsafe fn load_u16(from: *const u16, _n: usize) -> u16 {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { alone(from).read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_u16(to: *mut u16, v: u16, _n: usize) {
        // SAFETY: one element by the contract of `Lanes`.
        unsafe { to.write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn stream_u16(to: *mut u16, v: u16) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { Self::store_u16(to, v, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn store_s16_of_4<const STREAM: bool>(to: *mut u16, v: [i32; 4]) {
        // SAFETY: four elements by the contract of `Lanes`.
        unsafe {
            to.cast::<[u16; 4]>()
                .write_unaligned(v.map(|v| v.clamp(-32_768, 32_767) as i16 as u16));
        }
    }

    #[inline(always)]
    unsafe fn store_high_of_4<const STREAM: bool>(to: *mut u16, v: [i32; 4]) {
        // SAFETY: four elements by the contract of `Lanes`.
        unsafe { to.cast::<[u16; 4]>().write_unaligned(v.map(|v| (v >> 16) as u16)) }
    }

    #[inline(always)]
    unsafe fn any_low_zero(v: [i32; 4]) -> bool {
        v[0] & 0xFFFF == 0 || v[1] & 0xFFFF == 0 || v[2] & 0xFFFF == 0 || v[3] & 0xFFFF == 0
    }

    #[inline(always)]
    unsafe fn narrow_i32(v: i32) -> u16 {
        v as u16
    }

    #[inline(always)]
    unsafe fn high_u16(v: u16) -> i32 {
        (i32::from(v)) << 16
    }

    #[inline(always)]
    unsafe fn widen_i16(v: u16) -> i32 {
        v as i16 as i32
    }

    #[inline(always)]
    unsafe fn f16_to_f32(v: u16) -> f32 {
        float16::f16_to_f32(v)
    }

    #[inline(always)]
    unsafe fn f32_to_f16(v: f32) -> u16 {
        float16::f32_to_f16(v)
    }

    #[inline(always)]
    unsafe fn load_high_u8(from: *const u8, _n: usize) -> u16 {
        // SAFETY: one element by the contract of `Lanes`.
        u16::from(unsafe { from.read() }) << 8
    }

    #[inline(always)]
    unsafe fn e4m3fn_to_f32(v: u16) -> f32 {
        fp8::e4m3fn_to_f32((v >> 8) as u8)
    }

    #[inline(always)]
    unsafe fn bf16_to_f32(v: u16) -> f32 {
        float16::bf16_to_f32(v)
    }

    #[inline(always)]
    unsafe fn f32_to_bf16(v: f32) -> u16 {
        float16::f32_to_bf16(v)
    }
}
