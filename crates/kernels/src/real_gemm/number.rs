//! What the numbers of an rhs are, widened to f32 on the way, and what adds their products.

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
use core::arch::aarch64::float32x4_t;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__m512;
use core::marker::PhantomData;
use fewbit_scheme::{add_bf16_odd, fma_flushed};
use fewbit_simd::{HalfLanes, Lanes, Scalar};

/// What an rhs holds.
pub(super) trait Number<V: Lanes> {
    /// Bytes of a number.
    const SIZE: usize;
    /// Numbers of a column that lie together, 1 or 2.
    const KR: usize;
    /// Whether what is loaded for two steps is the same.
    const SHARED: bool = false;
    /// Whether [`add`](Number::add) is a fused multiply-add.
    const FUSED: bool = true;

    /// Vector `v` of the first or the second of two steps of k, widened, of nr columns from `from` on.
    ///
    /// # Safety
    /// The step's numbers are there (the first one's whole groups of [`KR`](Number::KR)); compiled for `V`.
    unsafe fn load<const SECOND: bool>(from: *const u8, nr: usize, v: usize) -> V::F32;

    /// `sum` and a step's products.
    ///
    /// # Safety
    /// Compiled for `V`.
    #[inline(always)]
    unsafe fn add(x: V::F32, column: V::F32, sum: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::fma(x, column, sum) }
    }
}

pub(super) struct OfF32;
pub(super) struct OfF16;
pub(super) struct OfBf16;
/// Pairs of bf16 on both sides, each taken for a number of 32 bits, and a step of k; what adds their products is `A`.
pub(super) struct OfPair<A>(PhantomData<A>);
/// The even one in the upper half, as `vdpbf16ps` adds.
pub(super) type OfPairs = OfPair<Flushed>;
/// The even one in the lower half, as `bfdot` adds: with another rounding.
pub(super) type OfPairsOdd = OfPair<RoundedToOdd>;

impl<V: Lanes> Number<V> for OfF32 {
    const SIZE: usize = 4;
    const KR: usize = 1;

    #[inline(always)]
    unsafe fn load<const SECOND: bool>(from: *const u8, nr: usize, v: usize) -> V::F32 {
        let at = v * V::LANES + if SECOND { nr } else { 0 };
        // SAFETY: by this function's contract.
        unsafe { V::load_f32(from.wrapping_add(4 * at).cast(), V::LANES) }
    }
}

impl<V: HalfLanes> Number<V> for OfF16 {
    const SIZE: usize = 2;
    const KR: usize = 1;

    #[inline(always)]
    unsafe fn load<const SECOND: bool>(from: *const u8, nr: usize, v: usize) -> V::F32 {
        let at = v * V::LANES + if SECOND { nr } else { 0 };
        // SAFETY: by this function's contract.
        unsafe { V::f16_to_f32(V::load_u16(from.wrapping_add(2 * at).cast(), V::LANES)) }
    }
}

/// The numbers of two steps are the halves of 32-bit lanes, so that one instruction widens them: a shift, or a mask. A
/// signalling NaN stays one, and its product is NaN all the same.
impl<V: Lanes> Number<V> for OfBf16 {
    const SIZE: usize = 2;
    const KR: usize = 2;
    const SHARED: bool = true;

    #[inline(always)]
    unsafe fn load<const SECOND: bool>(from: *const u8, _nr: usize, v: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            let both = V::load_i32(from.wrapping_add(4 * v * V::LANES).cast(), V::LANES);
            V::from_bits(match SECOND {
                false => V::shl::<16>(both),
                true => V::and_i32(both, V::splat_i32(-1 << 16)),
            })
        }
    }
}

/// What adds the products of pairs of bf16.
pub(super) trait AddPair<V: Lanes> {
    /// `sum` and a pair's products.
    ///
    /// # Safety
    /// Compiled for `V`, and what its instruction for them requires.
    unsafe fn add(x: V::F32, column: V::F32, sum: V::F32) -> V::F32;
}

pub(super) struct Flushed;
pub(super) struct RoundedToOdd;

impl<V: Lanes, A: AddPair<V>> Number<V> for OfPair<A> {
    const SIZE: usize = 4;
    const KR: usize = 2;
    const FUSED: bool = false;

    #[inline(always)]
    unsafe fn load<const SECOND: bool>(from: *const u8, nr: usize, v: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { <OfF32 as Number<V>>::load::<SECOND>(from, nr, v) }
    }

    #[inline(always)]
    unsafe fn add(x: V::F32, column: V::F32, sum: V::F32) -> V::F32 {
        // SAFETY: by this function's contract; entries of these numbers are compiled for the instruction.
        unsafe { A::add(x, column, sum) }
    }
}

#[cfg(target_arch = "x86_64")]
impl AddPair<fewbit_simd::Avx512> for Flushed {
    #[inline(always)]
    unsafe fn add(x: __m512, column: __m512, sum: __m512) -> __m512 {
        // SAFETY: by this function's contract.
        unsafe { fewbit_simd::Avx512::add_bf16_products(x, column, sum) }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
impl AddPair<fewbit_simd::Neon> for RoundedToOdd {
    #[inline(always)]
    unsafe fn add(x: float32x4_t, column: float32x4_t, sum: float32x4_t) -> float32x4_t {
        // SAFETY: by this function's contract.
        unsafe { fewbit_simd::bfdot(sum, x, column) }
    }
}

/// The definition, which the instruction is held to.
impl AddPair<Scalar> for Flushed {
    #[inline(always)]
    unsafe fn add(x: f32, column: f32, sum: f32) -> f32 {
        let ([x0, x1], [w0, w1]) = (halves(x), halves(column));
        fma_flushed(x0, w0, fma_flushed(x1, w1, sum))
    }
}

/// The definition, which the instruction is held to.
impl AddPair<Scalar> for RoundedToOdd {
    #[inline(always)]
    unsafe fn add(x: f32, column: f32, sum: f32) -> f32 {
        add_bf16_odd(halves(x), halves(column), sum)
    }
}

/// The two bf16 of a pair, the lower half first.
fn halves(pair: f32) -> [f32; 2] {
    let bits = pair.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & !0xFFFF)]
}
