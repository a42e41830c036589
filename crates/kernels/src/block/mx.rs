//! The microscaling formats. A block at a time: the largest magnitude across lanes, the scale as a
//! scalar, then a multiplication with its inverse, which is exact, and the elements of that.

use super::gguf::canonical;
use super::largest_magnitude;
use crate::convert::float8::{self, Float8};
use core::marker::PhantomData;
use fewbit_scheme::block::BLOCK;
use fewbit_scheme::block::mx::{self, SCALE_NAN};
use fewbit_scheme::pack::{fold4, unfold4};
use fewbit_simd::HalfLanes;

/// A format of elements.
pub(super) trait Element {
    /// The format.
    const FORMAT: mx::Mx;
    /// Bytes of a whole block's elements.
    const BYTES: usize = Self::FORMAT.element_bytes(BLOCK);
    /// Whether a byte holds two.
    const PACKED: bool = Self::BYTES < BLOCK;

    /// The codes of numbers over their scale, finite, a lane each.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn codes<V: HalfLanes>(v: V::F32) -> V::I32;

    /// Loads the numbers of `n` codes, a byte each.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; they can be read.
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32;
}

/// Elements of an 8-bit float format.
pub(super) struct Fp8<F>(PhantomData<F>);

impl<F: Float8> Element for Fp8<F> {
    const FORMAT: mx::Mx = if F::MANTISSA == 3 { mx::Mx::Fp8E4m3 } else { mx::Mx::Fp8E5m2 };

    #[inline(always)]
    unsafe fn codes<V: HalfLanes>(v: V::F32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { float8::codes::<V, F, true>(v) }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { F::load::<V>(from, n) }
    }
}

/// The numbers of E2M1's lower three bits.
static MAGNITUDES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// E2M1 as a float format: largest 6, no NaN.
pub(crate) struct E2m1;

impl Float8 for E2m1 {
    const MANTISSA: u32 = 1;
    const BIAS: i32 = 1;
    const LARGEST: i32 = 7;
    const BEYOND: i32 = 7;
    const NAN: i32 = 7;

    #[inline(always)]
    unsafe fn drop<V: HalfLanes>(v: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::shr::<22>(v) }
    }

    #[inline(always)]
    unsafe fn sign<V: HalfLanes>(bits: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::and_i32(V::shr::<28>(bits), V::splat_i32(8)) }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { E2m1::widen::<V>(V::load_u8(from, n)) }
    }
}

impl E2m1 {
    /// The numbers of lanes' low nibbles; what is above does not count.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    pub(crate) unsafe fn widen<V: HalfLanes>(codes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            let magnitude = V::lookup_8(&MAGNITUDES, codes);
            let sign = V::and_i32(V::shl::<28>(codes), V::splat_i32(i32::MIN));
            V::from_bits(V::or_i32(V::bits(magnitude), sign))
        }
    }
}

/// Elements of E2M1, two in a byte.
pub(super) struct Fp4;

impl Element for Fp4 {
    const FORMAT: mx::Mx = mx::Mx::Fp4E2m1;

    #[inline(always)]
    unsafe fn codes<V: HalfLanes>(v: V::F32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { float8::codes::<V, E2m1, true>(v) }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { E2m1::load::<V>(from, n) }
    }
}

/// Elements of 64ths.
pub(super) struct Int8;

impl Element for Int8 {
    const FORMAT: mx::Mx = mx::Mx::Int8;

    #[inline(always)]
    unsafe fn codes<V: HalfLanes>(v: V::F32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let t = V::mul(v, V::splat_f32(64.0));
            V::nearest_i32(V::min(V::max(t, V::splat_f32(-127.0)), V::splat_f32(127.0)))
        }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            let q = V::load_i8(from.cast(), n);
            V::mul(V::f32_from_i32(q), V::splat_f32(1.0 / 64.0))
        }
    }
}

/// # Safety
/// As [`super::MxQuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize<V: HalfLanes, E: Element>(
    x: *const f32,
    n: usize,
    scales: *mut u8,
    elements: *mut u8,
) {
    // Whole blocks apart: their length is a constant to the compiler.
    let (whole, rest) = (n / BLOCK, n % BLOCK);
    // SAFETY: by this function's contract there are `n` numbers, a scale a block, and their elements.
    unsafe {
        for block in 0..whole {
            let x = x.add(block * BLOCK);
            quantize_block::<V, E>(x, BLOCK, scales.add(block), elements.add(block * E::BYTES));
        }
        if rest > 0 {
            let x = x.add(whole * BLOCK);
            quantize_block::<V, E>(x, rest, scales.add(whole), elements.add(whole * E::BYTES));
        }
    }
}

/// # Safety
/// As [`quantize`], for a block of `1 <= n <= BLOCK`.
#[inline(always)]
unsafe fn quantize_block<V: HalfLanes, E: Element>(
    x: *const f32,
    n: usize,
    scale: *mut u8,
    elements: *mut u8,
) {
    let mut codes = [0_u8; BLOCK];
    // SAFETY: `at + len <= n` throughout, by this function's contract; `codes` holds a block.
    unsafe {
        let byte = mx::scale_of(E::FORMAT, largest_magnitude::<V>(x, n));
        scale.write(byte);
        let inverse = V::splat_f32(mx::scale_inverse(byte));
        let to = if E::PACKED { codes.as_mut_ptr() } else { elements };
        let mut at = 0;
        while at < n {
            let len = V::LANES.min(n - at);
            let mut code = V::splat_i32(0);
            if byte != SCALE_NAN {
                code = E::codes::<V>(V::mul(V::load_f32(x.add(at), len), inverse));
            }
            V::store_u8(to.add(at), code, len);
            at += V::LANES;
        }
        if E::PACKED {
            store_nibbles(&codes, elements, n.div_ceil(2));
        }
    }
}

/// Stores the first `bytes` bytes of a block's nibbles.
///
/// # Safety
/// They can be written, `bytes <= N / 2`.
#[inline(always)]
pub(super) unsafe fn store_nibbles<const N: usize>(codes: &[u8; N], to: *mut u8, bytes: usize) {
    let mut at = 0;
    // SAFETY: 8 codes are 4 bytes, and `at + 4 <= bytes`; what is left goes a byte at a time.
    unsafe {
        while at + 4 <= bytes {
            let eight = codes.as_ptr().add(2 * at).cast::<u64>().read_unaligned();
            let word = fold4(u64::from_le(eight)) as u32;
            to.add(at).cast::<u32>().write_unaligned(word.to_le());
            at += 4;
        }
        while at < bytes {
            let (low, high) =
                (codes.as_ptr().add(2 * at).read(), codes.as_ptr().add(2 * at + 1).read());
            to.add(at).write(low | high << 4);
            at += 1;
        }
    }
}

/// Loads the first `bytes` bytes of a block's nibbles, a byte a code, 0 behind them.
///
/// # Safety
/// They can be read, `bytes <= N / 2`.
#[inline(always)]
pub(super) unsafe fn load_nibbles<const N: usize>(from: *const u8, bytes: usize) -> [u8; N] {
    let mut codes = [0_u8; N];
    let mut at = 0;
    // SAFETY: as in `store_nibbles`.
    unsafe {
        while at + 4 <= bytes {
            let word = u32::from_le(from.add(at).cast::<u32>().read_unaligned());
            let eight = unfold4(u64::from(word)).to_le();
            codes.as_mut_ptr().add(2 * at).cast::<u64>().write_unaligned(eight);
            at += 4;
        }
        while at < bytes {
            let byte = from.add(at).read();
            codes.as_mut_ptr().add(2 * at).write(byte & 0xF);
            codes.as_mut_ptr().add(2 * at + 1).write(byte >> 4);
            at += 1;
        }
    }
    codes
}

/// # Safety
/// As [`super::MxDequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize<V: HalfLanes, E: Element>(
    scales: *const u8,
    elements: *const u8,
    n: usize,
    x: *mut f32,
) {
    // Whole blocks apart: their length is a constant to the compiler.
    let (whole, rest) = (n / BLOCK, n % BLOCK);
    // SAFETY: by this function's contract there are `n` numbers, a scale a block, and their elements.
    unsafe {
        for block in 0..whole {
            let x = x.add(block * BLOCK);
            dequantize_block::<V, E>(scales.add(block), elements.add(block * E::BYTES), BLOCK, x);
        }
        if rest > 0 {
            let x = x.add(whole * BLOCK);
            dequantize_block::<V, E>(scales.add(whole), elements.add(whole * E::BYTES), rest, x);
        }
    }
}

/// # Safety
/// As [`dequantize`], for a block of `1 <= n <= BLOCK`.
#[inline(always)]
unsafe fn dequantize_block<V: HalfLanes, E: Element>(
    scale: *const u8,
    elements: *const u8,
    n: usize,
    x: *mut f32,
) {
    // SAFETY: `at + len <= n` throughout, by this function's contract; `codes` holds a block.
    unsafe {
        let codes = if E::PACKED { load_nibbles(elements, n.div_ceil(2)) } else { [0; BLOCK] };
        let from = if E::PACKED { codes.as_ptr() } else { elements };
        let scale = V::splat_f32(mx::scale_value(scale.read()));
        let mut at = 0;
        while at < n {
            let len = V::LANES.min(n - at);
            let values = E::load::<V>(from.add(at), len);
            V::store_f32(x.add(at), canonical::<V>(V::mul(values, scale)), len);
            at += V::LANES;
        }
    }
}
