//! Quotients rounded to integers without a division.
//!
//! # The algebra, and why it is exact
//! Let `r` be f32's nearest number to `1 / s`, and `r1 < r < r2` two steps of f32 below and above it.
//! `r` is off by at most half a step, so `r1` and `r2` are at least one and a half steps from `1 / s`,
//! and a step is at least `2^-24 r`: `r1 < (1 - 2^-24) / s` and `(1 + 2^-24) / s < r2`. (Where `r` is a
//! power of two the steps below it are half as long, and so is what `r` can be off to that side.)
//! The contract's quotient, `x / s` rounded to f32 (or `x r` rounded), is within `2^-24 |x / s|` of the
//! real one, if it is not subnormal. So for `x != 0` it lies strictly between `x r1` and `x r2`.
//!
//! `y1 = fma(x, r1, M)` with `M = 2^23 + 2^22 + zero_point` rounds `x r1 + M` once. For results in
//! 2^23..2^24, where the step of f32 is 1, that is a rounding to an integer, and rounding is
//! monotone. If `y1 = y2` (made with `r2`), then everything between `x r1` and `x r2` rounds to the
//! same integer, and so does the contract's quotient: under any rule for ties, for it cannot be a
//! tie itself, as numbers on both sides of a tie round to different integers. A subnormal quotient
//! rounds to 0, as `x r1` and `x r2` do.
//!
//! The code is `bits(y1) - bits(2^23 + 2^22)`. Where `y1 = y2` lies elsewhere, that is not the code, but
//! beyond all codes on the right side, which is enough, as codes are clamped: from 2^24 on, infinity included,
//! bits grow with the number; from 0 to 2^23 they are less by 2^22 or more; and below 0 there is only negative
//! infinity, whose bits as an integer are less still. For a finite `y1 < 0` comes from `x r1 < -M`, where
//! `x r1` and `x r2` are more than one of their steps apart, and the steps of `y1` and `y2`, which are nearer
//! to 0, are no longer: `y1 != y2`.
//!
//! Otherwise (near a tie; about one in 2^16 numbers), or if a number is NaN, nothing is claimed, and the
//! caller divides.
//!
//! # Cost
//! Two fused operations, a bit operation, a subtraction, half a comparison: where a vector division takes 16
//! cycles, this takes 2 to 3.

use crate::params::{Each, Params, TILE, Uniform};
use core::mem::MaybeUninit;
use fewbit_simd::Lanes;

/// 2^23 + 2^22, the middle of the numbers whose step is 1; its last bits are an integer's.
const MAGIC: f32 = 12_582_912.0;

/// The scales with a bracket. Beyond, the inverse or a neighbour of it would be subnormal or infinite.
const SCALES: (f32, f32) = (f32::MIN_POSITIVE, f32::MAX / 16.0);

/// `r1`, `r2` and `M` of elements.
pub(super) trait Bracket<V: Lanes> {
    /// Whether there are any: whether the numbers are normal and fused operations instructions.
    fn is_valid(&self) -> bool;

    /// Those of the vector from element `first` on.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the elements are of the run.
    unsafe fn at(&self, first: usize) -> [V::F32; 3];
}

/// The codes of four vectors from element `first` on, not yet clamped, plus `bias`: `round(x / s) + zero_point`, or
/// where that is beyond 2^21, some number beyond on the same side. `None` if any of them is not certain.
///
/// # Safety
/// Within an entry compiled for `V`; the elements are of the bracket's run.
#[inline(always)]
pub(super) unsafe fn codes<V: Lanes, B: Bracket<V>>(
    bracket: &B,
    first: usize,
    x: [V::F32; 4],
    bias: i32,
) -> Option<[V::I32; 4]> {
    if !V::FUSED || !bracket.is_valid() {
        return None;
    }
    let [x0, x1, x2, x3] = x;
    // SAFETY: by this function's contract.
    unsafe {
        let mut differ = V::splat_i32(0);
        // One after the other and without closures, which would not be compiled for `V`.
        let y0 = integer::<V, B>(bracket, first, x0, &mut differ);
        let y1 = integer::<V, B>(bracket, first + V::LANES, x1, &mut differ);
        let y2 = integer::<V, B>(bracket, first + 2 * V::LANES, x2, &mut differ);
        let y3 = integer::<V, B>(bracket, first + 3 * V::LANES, x3, &mut differ);
        // Those that are NaN are those of NaN. Testing them frees the registers of `x`.
        let y = [V::from_bits(y0), V::from_bits(y1), V::from_bits(y2), V::from_bits(y3)];
        if !V::is_zero_without_nan(differ, y) {
            return None;
        }
        let magic = V::splat_i32((MAGIC.to_bits() as i32).wrapping_sub(bias));
        Some([
            V::sub_i32(y0, magic),
            V::sub_i32(y1, magic),
            V::sub_i32(y2, magic),
            V::sub_i32(y3, magic),
        ])
    }
}

/// `y1` of a vector, as bits; gathers the bits in which `y2` differs.
///
/// # Safety
/// As [`codes`].
#[inline(always)]
unsafe fn integer<V: Lanes, B: Bracket<V>>(
    bracket: &B,
    first: usize,
    x: V::F32,
    differ: &mut V::I32,
) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe {
        let [low, high, magic] = bracket.at(first);
        let y = V::bits(V::fma(x, low, magic));
        *differ = V::or_xor(*differ, y, V::bits(V::fma(x, high, magic)));
        y
    }
}

/// One bracket for a whole run.
pub(super) struct SharedBracket<V: Lanes> {
    values: [V::F32; 3],
    valid: bool,
}

impl<V: Lanes> SharedBracket<V> {
    /// The bracket, if it is worth while and its numbers are normal.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    pub(super) unsafe fn new(params: &Uniform<V>, worthwhile: bool) -> Self {
        let (scale, zero_point) = params.values();
        let valid = V::FUSED && worthwhile && (SCALES.0..=SCALES.1).contains(&scale);
        let inverse = if valid { (1.0 / scale).to_bits() } else { 2 };
        // SAFETY: by this function's contract.
        unsafe {
            SharedBracket {
                values: [
                    V::splat_f32(f32::from_bits(inverse.wrapping_sub(2))),
                    V::splat_f32(f32::from_bits(inverse.wrapping_add(2))),
                    V::splat_f32(MAGIC + zero_point as f32),
                ],
                valid,
            }
        }
    }
}

impl<V: Lanes> Bracket<V> for SharedBracket<V> {
    #[inline(always)]
    fn is_valid(&self) -> bool {
        self.valid
    }

    #[inline(always)]
    unsafe fn at(&self, _first: usize) -> [V::F32; 3] {
        self.values
    }
}

/// The brackets of up to [`TILE`] elements. The upper end is not kept: what is read of a large tile comes from
/// the second cache, and one more operation costs less.
pub(super) struct BracketTile {
    low: MaybeUninit<[f32; TILE]>,
    magic: MaybeUninit<[f32; TILE]>,
    valid: bool,
}

impl BracketTile {
    /// No brackets.
    #[inline(always)]
    pub(super) fn new() -> BracketTile {
        // Arrays that are not even undefined constants, which would be copied.
        let low = MaybeUninit::uninit();
        BracketTile { low, magic: low, valid: false }
    }

    /// Takes the brackets away.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.valid = false;
    }

    /// The brackets of parameters. Written in place: a tile is too large to move about.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; there are `n <= TILE` parameters.
    #[inline(always)]
    pub(super) unsafe fn prepare<V: Lanes>(&mut self, params: Each<V>, n: usize) {
        self.valid = false;
        if !V::FUSED || n < V::LANES {
            return;
        }
        // SAFETY: whole vectors, the last one moved back so that it ends with the last parameter.
        unsafe {
            let (one, two) = (V::splat_f32(1.0), V::splat_i32(2));
            let (mut least, mut most) = (one, one);
            let mut i = 0;
            while i < n {
                let at = i.min(n - V::LANES);
                let (scale, zero_point) = params.at(at, V::LANES);
                (least, most) = (V::min(least, scale), V::max(most, scale));
                let inverse = V::bits(V::div(one, scale));
                let magic = V::add(V::splat_f32(MAGIC), V::f32_from_i32(zero_point));
                put::<V>(&mut self.low, at, V::from_bits(V::sub_i32(inverse, two)));
                put::<V>(&mut self.magic, at, magic);
                i += V::LANES;
            }
            // Clamping changes what is out of bounds, and only that.
            let (low, high) = (V::splat_f32(SCALES.0), V::splat_f32(SCALES.1));
            let zero = V::splat_i32(0);
            let outside = V::or_xor(zero, V::bits(V::max(least, low)), V::bits(least));
            let outside = V::or_xor(outside, V::bits(V::min(most, high)), V::bits(most));
            self.valid = V::is_zero(outside);
        }
    }
}

/// # Safety
/// Within an entry compiled for `V`; `at + LANES <= TILE`.
#[inline(always)]
unsafe fn put<V: Lanes>(array: &mut MaybeUninit<[f32; TILE]>, at: usize, v: V::F32) {
    // SAFETY: by this function's contract.
    unsafe { V::store_f32(array.as_mut_ptr().cast::<f32>().add(at), v, V::LANES) }
}

/// The upper end of a bracket, four steps above the lower one.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn upper<V: Lanes>(low: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::from_bits(V::add_i32(V::bits(low), V::splat_i32(4))) }
}

/// The brackets of vectors, `2^shift` of which share one.
pub(super) struct VectorBracket<'a> {
    pub tile: &'a BracketTile,
    pub shift: u32,
}

impl<V: Lanes> Bracket<V> for VectorBracket<'_> {
    #[inline(always)]
    fn is_valid(&self) -> bool {
        self.tile.valid
    }

    #[inline(always)]
    unsafe fn at(&self, first: usize) -> [V::F32; 3] {
        let BracketTile { low, magic, .. } = self.tile;
        let at = (first / V::LANES) >> self.shift;
        // SAFETY: the vector is of the tile, whose arrays are written.
        unsafe {
            let low = V::splat_f32(low.as_ptr().cast::<f32>().add(at).read());
            [low, upper::<V>(low), V::splat_f32(magic.as_ptr().cast::<f32>().add(at).read())]
        }
    }
}

/// The brackets of a tile's elements.
pub(super) struct TileBracket<'a>(pub(super) &'a BracketTile);

impl<V: Lanes> Bracket<V> for TileBracket<'_> {
    #[inline(always)]
    fn is_valid(&self) -> bool {
        self.0.valid
    }

    #[inline(always)]
    unsafe fn at(&self, first: usize) -> [V::F32; 3] {
        let BracketTile { low, magic, .. } = self.0;
        // SAFETY: the elements are of the tile, whose arrays are written.
        unsafe {
            let low = V::load_f32(low.as_ptr().cast::<f32>().add(first), V::LANES);
            let magic = V::load_f32(magic.as_ptr().cast::<f32>().add(first), V::LANES);
            [low, upper::<V>(low), magic]
        }
    }
}
