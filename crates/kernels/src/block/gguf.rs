//! Blocks of GGUF. A block at a time: its ends across lanes, the parameters as scalars, then its codes a
//! vector at a time. The two divisions are once a block; blocks do not wait for each other.

use super::largest_magnitude;
use fewbit_scheme::block::BLOCK;
use fewbit_simd::{HalfLanes, f32_of_order_key};

/// The bit of each number of half a block.
static BITS: [i32; BLOCK / 2] = {
    let mut bits = [0; BLOCK / 2];
    let mut i = 0;
    while i < bits.len() {
        bits[i] = 1 << i;
        i += 1;
    }
    bits
};

/// Stores an f16, a NaN as the one NaN that blocks hold.
///
/// # Safety
/// Within an entry compiled for `V`; two bytes can be written.
#[inline(always)]
unsafe fn store_half<V: HalfLanes>(to: *mut u8, x: f32) {
    let x = if x.is_nan() { f32::from_bits(0x7FC0_0000) } else { x };
    let mut half = 0_u16;
    // SAFETY: by this function's contract.
    unsafe {
        V::store_u16(&raw mut half, V::f32_to_f16(V::splat_f32(x)), 1);
        to.cast::<u16>().write_unaligned(half.to_le());
    }
}

/// An f16 in every lane.
///
/// # Safety
/// Within an entry compiled for `V`; two bytes can be read.
#[inline(always)]
pub(super) unsafe fn load_half<V: HalfLanes>(from: *const u8) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let half = u16::from_le(from.cast::<u16>().read_unaligned());
        V::f16_to_f32(V::narrow_i32(V::splat_i32(i32::from(half))))
    }
}

/// `1 / d`, 0 where `d` is 0; NaN where it would be infinite, for products that are NaN instead of
/// infinite or NaN: all have the code 0.
#[inline(always)]
fn inverse(d: f32) -> f32 {
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    if inverse.is_infinite() { f32::NAN } else { inverse }
}

/// # Safety
/// As [`super::GgufQuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize_q8_0<V: HalfLanes>(x: *const f32, blocks: *mut u8, count: usize) {
    for block in 0..count {
        // SAFETY: block `block` of numbers and of bytes exists by this function's contract, and vectors
        // divide it.
        unsafe {
            let (x, to) = (x.add(block * BLOCK), blocks.add(block * 34));
            let d = largest_magnitude::<V>(x, BLOCK) / 127.0;
            store_half::<V>(to, d);
            let (codes, inverse) = (to.add(2), V::splat_f32(inverse(d)));
            let mut at = 0;
            if 4 * V::LANES <= BLOCK {
                while at < BLOCK {
                    let four = [
                        rounded::<V>(x.add(at), inverse),
                        rounded::<V>(x.add(at + V::LANES), inverse),
                        rounded::<V>(x.add(at + 2 * V::LANES), inverse),
                        rounded::<V>(x.add(at + 3 * V::LANES), inverse),
                    ];
                    V::store_s8_of_4::<false>(codes.add(at).cast(), four);
                    at += 4 * V::LANES;
                }
            }
            while at < BLOCK {
                V::store_u8(codes.add(at), rounded::<V>(x.add(at), inverse), V::LANES);
                at += V::LANES;
            }
        }
    }
}

/// `round_half_away(x * inverse)`, NaN as 0.
///
/// # Safety
/// Within an entry compiled for `V`; a vector can be read.
#[inline(always)]
unsafe fn rounded<V: HalfLanes>(x: *const f32, inverse: V::F32) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe {
        let t = V::mul(V::load_f32(x, V::LANES), inverse);
        V::i32_from_f32(V::round_half_away(V::replace_nan(t, V::splat_f32(0.0))))
    }
}

/// # Safety
/// As [`super::GgufDequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize_q8_0<V: HalfLanes>(blocks: *const u8, x: *mut f32, count: usize) {
    for block in 0..count {
        // SAFETY: as in `quantize_q8_0`.
        unsafe {
            let (from, x) = (blocks.add(block * 34), x.add(block * BLOCK));
            let d = load_half::<V>(from);
            let mut at = 0;
            while at < BLOCK {
                let q = V::f32_from_i32(V::load_i8(from.add(2 + at).cast(), V::LANES));
                V::store_f32(x.add(at), canonical::<V>(V::mul(q, d)), V::LANES);
                at += V::LANES;
            }
        }
    }
}

/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn canonical<V: HalfLanes>(x: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::replace_nan(x, V::splat_f32(f32::from_bits(0x7FC0_0000))) }
}

/// Where the fifth bits and the nibbles are, and the size of a block.
#[inline(always)]
const fn layout(fifth: bool, min: bool) -> (usize, usize, usize) {
    let fifth_at = if min { 4 } else { 2 };
    let nibbles_at = if fifth { fifth_at + 4 } else { fifth_at };
    (fifth_at, nibbles_at, nibbles_at + BLOCK / 2)
}

/// How a block's numbers become codes: `min(trunc((x - m) * inverse + offset), qmax)`.
struct Codes<V: HalfLanes> {
    m: V::F32,
    inverse: V::F32,
    offset: V::F32,
    qmax: V::F32,
}

impl<V: HalfLanes> Codes<V> {
    /// # Safety
    /// Within an entry compiled for `V`; a vector can be read.
    #[inline(always)]
    unsafe fn of<const MIN: bool>(&self, x: *const f32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let mut t = V::load_f32(x, V::LANES);
            if MIN {
                // The difference of two numbers is one subtraction: adding the opposite.
                t = V::add(t, self.m);
            }
            let t = V::add(V::mul(t, self.inverse), self.offset);
            let t = V::replace_nan(t, V::splat_f32(0.0));
            V::i32_from_f32(V::min(t, self.qmax))
        }
    }
}

/// # Safety
/// As [`super::GgufQuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize_nibbles<V: HalfLanes, const FIFTH: bool, const MIN: bool>(
    x: *const f32,
    blocks: *mut u8,
    count: usize,
) {
    let (fifth_at, nibbles_at, size) = const { layout(FIFTH, MIN) };
    let steps = if FIFTH { 31.0 } else { 15.0 };
    let middle = if FIFTH { 16.0 } else { 8.0 };
    for block in 0..count {
        // SAFETY: block `block` of numbers and of bytes exists by this function's contract, and vectors
        // divide its halves.
        unsafe {
            let (x, to) = (x.add(block * BLOCK), blocks.add(block * size));
            let (smallest, largest) = ends::<V>(x);
            let (d, m) = if MIN {
                ((largest - smallest) / steps, smallest)
            } else {
                (extreme(x, smallest, largest) / -middle, 0.0)
            };
            store_half::<V>(to, d);
            if MIN {
                store_half::<V>(to.add(2), m);
            }
            let codes = Codes::<V> {
                m: V::splat_f32(-m),
                inverse: V::splat_f32(inverse(d)),
                offset: V::splat_f32(if MIN { 0.5 } else { middle + 0.5 }),
                qmax: V::splat_f32(steps),
            };
            let (mut low_bits, mut high_bits) = (V::splat_i32(0), V::splat_i32(0));
            let mut at = 0;
            while at < BLOCK / 2 {
                let low = codes.of::<MIN>(x.add(at));
                let high = codes.of::<MIN>(x.add(BLOCK / 2 + at));
                let mut byte = V::or_i32(low, V::shl::<4>(high));
                if FIFTH {
                    let bits = V::load_i32(BITS.as_ptr().add(at), V::LANES);
                    let (four, none) = (V::splat_i32(15), V::splat_i32(0));
                    low_bits = V::or_i32(low_bits, V::select_gt(low, four, bits, none));
                    high_bits = V::or_i32(high_bits, V::select_gt(high, four, bits, none));
                    byte = V::or_i32(V::and_i32(low, four), V::shl::<4>(high));
                }
                V::store_u8(to.add(nibbles_at + at), byte, V::LANES);
                at += V::LANES;
            }
            if FIFTH {
                let bits = V::or_i32(low_bits, V::shl::<16>(high_bits));
                let word = or_across::<V>(bits) as u32;
                to.add(fifth_at).cast::<u32>().write_unaligned(word.to_le());
            }
        }
    }
}

/// All lanes' bits.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn or_across<V: HalfLanes>(bits: V::I32) -> i32 {
    let mut lanes = [0; BLOCK / 2];
    let mut word = 0;
    // SAFETY: by this function's contract; a vector is at most half a block.
    unsafe { V::store_i32(lanes.as_mut_ptr(), bits, V::LANES) };
    for lane in lanes {
        word |= lane;
    }
    word
}

/// The smallest and the largest of a block's numbers, -0 before +0; NaN both if one is NaN.
///
/// # Safety
/// Within an entry compiled for `V`; a block can be read.
#[inline(always)]
unsafe fn ends<V: HalfLanes>(x: *const f32) -> (f32, f32) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut smallest = V::order_key(V::load_f32(x, V::LANES));
        let mut largest = smallest;
        let mut at = V::LANES;
        while at < BLOCK {
            let key = V::order_key(V::load_f32(x.add(at), V::LANES));
            smallest = V::min_i32(smallest, key);
            largest = V::max_i32(largest, key);
            at += V::LANES;
        }
        // The keys of NaN lie beyond those of the infinities.
        let smallest = f32_of_order_key(V::min_across_i32(smallest));
        let largest = f32_of_order_key(V::max_across_i32(largest));
        if smallest.is_nan() || largest.is_nan() {
            (f32::NAN, f32::NAN)
        } else {
            (smallest, largest)
        }
    }
}

/// The number of the largest magnitude, the first of several.
///
/// # Safety
/// A block can be read; the other arguments are its [`ends`].
#[inline(always)]
unsafe fn extreme(x: *const f32, smallest: f32, largest: f32) -> f32 {
    // Opposite signs, or zeros; seldom, so that the other choice, which nothing can predict, is left
    // without a branch.
    if largest == -smallest {
        let mut at = 0;
        while at < BLOCK {
            // SAFETY: by this function's contract.
            let x = unsafe { x.add(at).read_unaligned() };
            if x == largest || x == smallest {
                return x;
            }
            at += 1;
        }
    }
    if largest > -smallest { largest } else { smallest }
}

/// # Safety
/// As [`super::GgufDequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize_nibbles<V: HalfLanes, const FIFTH: bool, const MIN: bool>(
    blocks: *const u8,
    x: *mut f32,
    count: usize,
) {
    let (fifth_at, nibbles_at, size) = const { layout(FIFTH, MIN) };
    for block in 0..count {
        // SAFETY: as in `quantize_nibbles`.
        unsafe {
            let (from, x) = (blocks.add(block * size), x.add(block * BLOCK));
            let d = load_half::<V>(from);
            let m = if MIN { load_half::<V>(from.add(2)) } else { d };
            let mut fifth = 0;
            if FIFTH {
                fifth = u32::from_le(from.add(fifth_at).cast::<u32>().read_unaligned());
            }
            let halves =
                [V::splat_i32((fifth & 0xFFFF) as i32), V::splat_i32((fifth >> 16) as i32)];
            let zero = V::splat_i32(match (MIN, FIFTH) {
                (true, _) => 0,
                (false, true) => 16,
                (false, false) => 8,
            });
            let mut at = 0;
            while at < BLOCK / 2 {
                let byte = V::load_u8(from.add(nibbles_at + at), V::LANES);
                let nibbles = [V::and_i32(byte, V::splat_i32(15)), V::shr::<4>(byte)];
                for half in 0..2 {
                    let mut q = nibbles[half];
                    if FIFTH {
                        let bit =
                            V::and_i32(halves[half], V::load_i32(BITS.as_ptr().add(at), V::LANES));
                        let none = V::splat_i32(0);
                        q = V::or_i32(q, V::select_gt(bit, none, V::splat_i32(16), none));
                    }
                    let mut y = V::mul(V::f32_from_i32(V::sub_i32(q, zero)), d);
                    if MIN {
                        y = V::add(y, m);
                    }
                    V::store_f32(x.add(half * BLOCK / 2 + at), canonical::<V>(y), V::LANES);
                }
                at += V::LANES;
            }
        }
    }
}
