//! NVFP4. Sixteen blocks at a time: their largest magnitudes, then all their scales as vectors, which the tensor's scale is
//! divided out of and multiplied into, then the elements of each. Division is the contract's: a reciprocal rounds elsewhere.

use super::gguf::canonical;
use super::largest_magnitude;
use super::mx::{E2m1, load_nibbles, store_nibbles};
use crate::convert::float8::{self, E4m3fn, Float8};
use fewbit_scheme::block::nvfp4::BLOCK;
use fewbit_simd::HalfLanes;

/// Blocks at a time: whole vectors of scales.
const GROUP: usize = 16;
/// The bytes of a block's elements.
const BYTES: usize = BLOCK / 2;

/// # Safety
/// As [`super::Nvfp4QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize<V: HalfLanes>(
    scale: f32,
    x: *const f32,
    n: usize,
    scales: *mut u8,
    elements: *mut u8,
) {
    let (blocks, whole) = (n.div_ceil(BLOCK), n / BLOCK);
    let mut first = 0;
    // SAFETY: blocks `first + block < blocks`, and of the last one `n - whole * BLOCK` numbers, by this function's contract; the
    // group's arrays hold `GROUP`.
    unsafe {
        while first < blocks {
            let count = GROUP.min(blocks - first);
            // Whole blocks apart: their length is a constant to the compiler.
            let of_group = count.min(whole - first);
            let mut steps = [0f32; GROUP];
            for block in 0..of_group {
                let largest = largest_magnitude::<V>(x.add((first + block) * BLOCK), BLOCK);
                steps.as_mut_ptr().add(block).write(largest);
            }
            if of_group < count {
                let largest = largest_magnitude::<V>(x.add(whole * BLOCK), n - whole * BLOCK);
                steps.as_mut_ptr().add(of_group).write(largest);
            }
            scales_of::<V>(scale, &mut steps, scales.add(first), count);
            for block in 0..of_group {
                let at = first + block;
                let (x, to) = (x.add(at * BLOCK), elements.add(at * BYTES));
                quantize_block::<V>(steps.as_ptr().add(block).read(), x, BLOCK, to);
            }
            if of_group < count {
                let (x, to) = (x.add(whole * BLOCK), elements.add(whole * BYTES));
                let step = steps.as_ptr().add(of_group).read();
                quantize_block::<V>(step, x, n - whole * BLOCK, to);
            }
            first += GROUP;
        }
    }
}

/// Of blocks' largest magnitudes their scales, and in place of the magnitudes the steps of their elements.
///
/// # Safety
/// Within an entry compiled for `V`; `count <= GROUP` bytes can be written.
#[inline(always)]
unsafe fn scales_of<V: HalfLanes>(
    scale: f32,
    steps: &mut [f32; GROUP],
    scales: *mut u8,
    count: usize,
) {
    let mut at = 0;
    // SAFETY: `at + len <= count`, and a whole vector of steps is within the group: `GROUP` is a multiple of every vector.
    unsafe {
        let of_tensor = V::splat_f32(scale);
        while at < count {
            let place = steps.as_mut_ptr().add(at);
            let largest = V::load_f32(place, V::LANES);
            let quotient = V::div(V::div(largest, V::splat_f32(6.0)), of_tensor);
            let code = float8::codes::<V, E4m3fn, true>(quotient);
            // An infinity would saturate, as a quotient beyond f32 does.
            let finite = V::splat_i32(0x7F7F_FFFF);
            let code = V::select_gt(V::bits(largest), finite, V::splat_i32(E4m3fn::NAN), code);
            let len = V::LANES.min(count - at);
            V::store_u8(scales.add(at), code, len);
            let back = E4m3fn::load::<V>(scales.add(at).cast_const(), len);
            V::store_f32(place, V::mul(back, of_tensor), V::LANES);
            at += V::LANES;
        }
    }
}

/// # Safety
/// Within an entry compiled for `V`, for a block of `1 <= n <= BLOCK`.
#[inline(always)]
unsafe fn quantize_block<V: HalfLanes>(step: f32, x: *const f32, n: usize, elements: *mut u8) {
    let mut codes = [0_u8; BLOCK];
    // SAFETY: `at + len <= n` throughout, by this function's contract; `codes` holds a block.
    unsafe {
        // Neither 0 nor NaN.
        if step > 0.0 {
            let step = V::splat_f32(step);
            let mut at = 0;
            while at < n {
                let len = V::LANES.min(n - at);
                let quotient = V::div(V::load_f32(x.add(at), len), step);
                let code = float8::codes::<V, E2m1, true>(quotient);
                V::store_u8(codes.as_mut_ptr().add(at), code, len);
                at += V::LANES;
            }
        }
        store_nibbles(&codes, elements, n.div_ceil(2));
    }
}

/// # Safety
/// As [`super::Nvfp4DequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize<V: HalfLanes>(
    scale: f32,
    scales: *const u8,
    elements: *const u8,
    n: usize,
    x: *mut f32,
) {
    let (blocks, whole) = (n.div_ceil(BLOCK), n / BLOCK);
    let mut first = 0;
    // SAFETY: as in `quantize`.
    unsafe {
        while first < blocks {
            let count = GROUP.min(blocks - first);
            let of_group = count.min(whole - first);
            let mut steps = [0f32; GROUP];
            let mut at = 0;
            while at < count {
                let of_block = E4m3fn::load::<V>(scales.add(first + at), V::LANES.min(count - at));
                let step = V::mul(of_block, V::splat_f32(scale));
                V::store_f32(steps.as_mut_ptr().add(at), step, V::LANES);
                at += V::LANES;
            }
            for block in 0..of_group {
                let at = first + block;
                let (from, x) = (elements.add(at * BYTES), x.add(at * BLOCK));
                dequantize_block::<V>(steps.as_ptr().add(block).read(), from, BLOCK, x);
            }
            if of_group < count {
                let (from, x) = (elements.add(whole * BYTES), x.add(whole * BLOCK));
                let step = steps.as_ptr().add(of_group).read();
                dequantize_block::<V>(step, from, n - whole * BLOCK, x);
            }
            first += GROUP;
        }
    }
}

/// # Safety
/// Within an entry compiled for `V`, for a block of `1 <= n <= BLOCK`.
#[inline(always)]
unsafe fn dequantize_block<V: HalfLanes>(step: f32, elements: *const u8, n: usize, x: *mut f32) {
    // SAFETY: as in `quantize_block`.
    unsafe {
        let codes: [u8; BLOCK] = load_nibbles(elements, n.div_ceil(2));
        let step = V::splat_f32(step);
        let mut at = 0;
        while at < n {
            let len = V::LANES.min(n - at);
            let values = E2m1::load::<V>(codes.as_ptr().add(at), len);
            V::store_f32(x.add(at), canonical::<V>(V::mul(values, step)), len);
            at += V::LANES;
        }
    }
}
