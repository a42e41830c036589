//! The formats of real numbers on one side of codes: f32, f16, bf16. All arithmetic is in f32, which
//! holds numbers of all three; a result is rounded to its format once. For the 16-bit formats the product is
//! first rounded to odd, which a second rounding does not notice: see `dequantize_f16` of the scheme crate,
//! which defines the result.

use fewbit_simd::HalfLanes;

/// A format of real numbers.
pub(crate) trait Real {
    /// A number as it is stored.
    type Stored: Copy;

    /// Loads `n` numbers; exact.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` numbers can be read.
    unsafe fn load<V: HalfLanes>(from: *const Self::Stored, n: usize) -> V::F32;

    /// Stores `steps * scale` of `n` lanes, rounded once; overflow to infinity.
    ///
    /// `steps` are integers of at most 24 bits.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` numbers can be written.
    unsafe fn store_product<V: HalfLanes>(
        to: *mut Self::Stored,
        steps: V::F32,
        scale: V::F32,
        n: usize,
    );

    /// As [`store_product`](Real::store_product) of all lanes, around the caches; `to` is aligned to the vector,
    /// or to 64 bytes.
    ///
    /// # Safety
    /// As [`store_product`](Real::store_product).
    unsafe fn stream_product<V: HalfLanes>(to: *mut Self::Stored, steps: V::F32, scale: V::F32);
}

pub(crate) struct F32;

impl Real for F32 {
    type Stored = f32;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const f32, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_f32(from, n) }
    }

    #[inline(always)]
    unsafe fn store_product<V: HalfLanes>(to: *mut f32, steps: V::F32, scale: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_f32(to, V::mul(steps, scale), n) }
    }

    #[inline(always)]
    unsafe fn stream_product<V: HalfLanes>(to: *mut f32, steps: V::F32, scale: V::F32) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_f32(to, V::mul(steps, scale)) }
    }
}

pub(crate) struct F16;

impl Real for F16 {
    type Stored = u16;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f16_to_f32(V::load_u16(from, n)) }
    }

    #[inline(always)]
    unsafe fn store_product<V: HalfLanes>(to: *mut u16, steps: V::F32, scale: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::f32_to_f16(V::mul_odd(steps, scale)), n) }
    }

    #[inline(always)]
    unsafe fn stream_product<V: HalfLanes>(to: *mut u16, steps: V::F32, scale: V::F32) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_u16(to, V::f32_to_f16(V::mul_odd(steps, scale))) }
    }
}

pub(crate) struct Bf16;

impl Real for Bf16 {
    type Stored = u16;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::bf16_to_f32(V::load_u16(from, n)) }
    }

    #[inline(always)]
    unsafe fn store_product<V: HalfLanes>(to: *mut u16, steps: V::F32, scale: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::f32_to_bf16(V::mul_odd(steps, scale)), n) }
    }

    #[inline(always)]
    unsafe fn stream_product<V: HalfLanes>(to: *mut u16, steps: V::F32, scale: V::F32) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_u16(to, V::f32_to_bf16(V::mul_odd(steps, scale))) }
    }
}
