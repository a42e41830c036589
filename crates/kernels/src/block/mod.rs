//! Block formats, as [`fewbit_scheme::block`] defines them: numbers to blocks and back.

mod gguf;
mod k;
mod mx;
mod nvfp4;

pub(crate) use mx::E2m1;

use crate::elementwise::rows;
use crate::infos;
use crate::registry::{Row, RowInfo};
use fewbit_scheme::block::gguf::Gguf;
use fewbit_scheme::block::mx::Mx;
use fewbit_simd::HalfLanes;

/// A kernel that makes blocks of GGUF: of `count * 32` numbers, `count` blocks.
///
/// # Safety
/// The numbers can be read and the blocks' bytes written, and they do not overlap. Nothing need be
/// aligned. With `count = 0` no pointer is used.
pub type GgufQuantizeFn = unsafe fn(x: *const f32, blocks: *mut u8, count: usize);

/// A kernel that reads blocks of GGUF: `count` blocks as `count * 32` numbers, of the K formats `count * 256`.
///
/// # Safety
/// As [`GgufQuantizeFn`], with the roles exchanged.
pub type GgufDequantizeFn = unsafe fn(blocks: *const u8, x: *mut f32, count: usize);

/// A kernel that makes scales and elements of `n` numbers.
///
/// # Safety
/// `n` numbers can be read, and `ceil(n / 32)` scales and the bytes of `n` elements written; none of the
/// three overlap. Nothing need be aligned. With `n = 0` no pointer is used.
pub type MxQuantizeFn = unsafe fn(x: *const f32, n: usize, scales: *mut u8, elements: *mut u8);

/// A kernel that makes `n` numbers of scales and elements.
///
/// # Safety
/// As [`MxQuantizeFn`], with the roles exchanged.
pub type MxDequantizeFn = unsafe fn(scales: *const u8, elements: *const u8, n: usize, x: *mut f32);

/// A kernel that makes NVFP4's scales and elements of `n` numbers, under the tensor's scale.
///
/// # Safety
/// As [`MxQuantizeFn`], with `ceil(n / 16)` scales and `ceil(n / 2)` bytes of elements; `scale` is greater than 0 and finite.
pub type Nvfp4QuantizeFn =
    unsafe fn(scale: f32, x: *const f32, n: usize, scales: *mut u8, elements: *mut u8);

/// A kernel that makes `n` numbers of NVFP4's scales and elements.
///
/// # Safety
/// As [`Nvfp4QuantizeFn`], with the roles exchanged.
pub type Nvfp4DequantizeFn =
    unsafe fn(scale: f32, scales: *const u8, elements: *const u8, n: usize, x: *mut f32);

rows! {
    /// To Q8_0.
    F32_Q8_0: GgufQuantizeFn = "quantize_f32q80", |x: *const f32, blocks: *mut u8, count: usize|,
    gguf::quantize_q8_0::<V>(x, blocks, count)
}

rows! {
    /// To Q4_0.
    F32_Q4_0: GgufQuantizeFn = "quantize_f32q40", |x: *const f32, blocks: *mut u8, count: usize|,
    gguf::quantize_nibbles::<V, false, false>(x, blocks, count)
}

rows! {
    /// To Q4_1.
    F32_Q4_1: GgufQuantizeFn = "quantize_f32q41", |x: *const f32, blocks: *mut u8, count: usize|,
    gguf::quantize_nibbles::<V, false, true>(x, blocks, count)
}

rows! {
    /// To Q5_0.
    F32_Q5_0: GgufQuantizeFn = "quantize_f32q50", |x: *const f32, blocks: *mut u8, count: usize|,
    gguf::quantize_nibbles::<V, true, false>(x, blocks, count)
}

rows! {
    /// To Q5_1.
    F32_Q5_1: GgufQuantizeFn = "quantize_f32q51", |x: *const f32, blocks: *mut u8, count: usize|,
    gguf::quantize_nibbles::<V, true, true>(x, blocks, count)
}

rows! {
    /// From Q8_0.
    Q8_0_F32: GgufDequantizeFn = "dequantize_q80f32", |blocks: *const u8, x: *mut f32, count: usize|,
    gguf::dequantize_q8_0::<V>(blocks, x, count)
}

rows! {
    /// From Q4_0.
    Q4_0_F32: GgufDequantizeFn = "dequantize_q40f32", |blocks: *const u8, x: *mut f32, count: usize|,
    gguf::dequantize_nibbles::<V, false, false>(blocks, x, count)
}

rows! {
    /// From Q4_1.
    Q4_1_F32: GgufDequantizeFn = "dequantize_q41f32", |blocks: *const u8, x: *mut f32, count: usize|,
    gguf::dequantize_nibbles::<V, false, true>(blocks, x, count)
}

rows! {
    /// From Q5_0.
    Q5_0_F32: GgufDequantizeFn = "dequantize_q50f32", |blocks: *const u8, x: *mut f32, count: usize|,
    gguf::dequantize_nibbles::<V, true, false>(blocks, x, count)
}

rows! {
    /// From Q5_1.
    Q5_1_F32: GgufDequantizeFn = "dequantize_q51f32", |blocks: *const u8, x: *mut f32, count: usize|,
    gguf::dequantize_nibbles::<V, true, true>(blocks, x, count)
}

rows! {
    /// From Q4_K.
    Q4K_F32: GgufDequantizeFn = "dequantize_q4kf32", |blocks: *const u8, x: *mut f32, count: usize|,
    k::dequantize::<V, false>(blocks, x, count)
}

rows! {
    /// From Q5_K.
    Q5K_F32: GgufDequantizeFn = "dequantize_q5kf32", |blocks: *const u8, x: *mut f32, count: usize|,
    k::dequantize::<V, true>(blocks, x, count)
}

rows! {
    /// From Q6_K.
    Q6K_F32: GgufDequantizeFn = "dequantize_q6kf32", |blocks: *const u8, x: *mut f32, count: usize|,
    k::dequantize_q6k::<V>(blocks, x, count)
}

rows! {
    /// To MXFP8 with elements of E4M3.
    F32_MXFP8_E4M3: MxQuantizeFn = "quantize_f32mxfp8e4m3",
    |x: *const f32, n: usize, scales: *mut u8, elements: *mut u8|,
    mx::quantize::<V, mx::Fp8<crate::convert::float8::E4m3fn>>(x, n, scales, elements)
}

rows! {
    /// To MXFP8 with elements of E5M2.
    F32_MXFP8_E5M2: MxQuantizeFn = "quantize_f32mxfp8e5m2",
    |x: *const f32, n: usize, scales: *mut u8, elements: *mut u8|,
    mx::quantize::<V, mx::Fp8<crate::convert::float8::E5m2>>(x, n, scales, elements)
}

rows! {
    /// To MXFP4.
    F32_MXFP4: MxQuantizeFn = "quantize_f32mxfp4",
    |x: *const f32, n: usize, scales: *mut u8, elements: *mut u8|,
    mx::quantize::<V, mx::Fp4>(x, n, scales, elements)
}

rows! {
    /// To MXINT8.
    F32_MXINT8: MxQuantizeFn = "quantize_f32mxint8",
    |x: *const f32, n: usize, scales: *mut u8, elements: *mut u8|,
    mx::quantize::<V, mx::Int8>(x, n, scales, elements)
}

rows! {
    /// From MXFP8 with elements of E4M3.
    MXFP8_E4M3_F32: MxDequantizeFn = "dequantize_mxfp8e4m3f32",
    |scales: *const u8, elements: *const u8, n: usize, x: *mut f32|,
    mx::dequantize::<V, mx::Fp8<crate::convert::float8::E4m3fn>>(scales, elements, n, x)
}

rows! {
    /// From MXFP8 with elements of E5M2.
    MXFP8_E5M2_F32: MxDequantizeFn = "dequantize_mxfp8e5m2f32",
    |scales: *const u8, elements: *const u8, n: usize, x: *mut f32|,
    mx::dequantize::<V, mx::Fp8<crate::convert::float8::E5m2>>(scales, elements, n, x)
}

rows! {
    /// From MXFP4.
    MXFP4_F32: MxDequantizeFn = "dequantize_mxfp4f32",
    |scales: *const u8, elements: *const u8, n: usize, x: *mut f32|,
    mx::dequantize::<V, mx::Fp4>(scales, elements, n, x)
}

rows! {
    /// From MXINT8.
    MXINT8_F32: MxDequantizeFn = "dequantize_mxint8f32",
    |scales: *const u8, elements: *const u8, n: usize, x: *mut f32|,
    mx::dequantize::<V, mx::Int8>(scales, elements, n, x)
}

rows! {
    /// To NVFP4.
    F32_NVFP4: Nvfp4QuantizeFn = "quantize_f32nvfp4",
    |scale: f32, x: *const f32, n: usize, scales: *mut u8, elements: *mut u8|,
    nvfp4::quantize::<V>(scale, x, n, scales, elements)
}

rows! {
    /// From NVFP4.
    NVFP4_F32: Nvfp4DequantizeFn = "dequantize_nvfp4f32",
    |scale: f32, scales: *const u8, elements: *const u8, n: usize, x: *mut f32|,
    nvfp4::dequantize::<V>(scale, scales, elements, n, x)
}

/// The largest magnitude of `n` numbers, NaN above all others.
///
/// # Safety
/// Within an entry compiled for `V`; the numbers can be read.
#[inline(always)]
unsafe fn largest_magnitude<V: HalfLanes>(x: *const f32, n: usize) -> f32 {
    // SAFETY: `at + len <= n` throughout, by this function's contract.
    unsafe {
        let mut largest = V::splat_i32(0);
        let mut at = 0;
        while at < n {
            let bits = V::load_i32(x.add(at).cast(), V::LANES.min(n - at));
            largest = V::max_i32(largest, V::and_i32(bits, V::splat_i32(i32::MAX)));
            at += V::LANES;
        }
        f32::from_bits(V::max_across_i32(largest) as u32)
    }
}

/// The table that makes blocks of a format, empty if it is not of [`Gguf::MADE`], and the one that reads them.
pub fn gguf(format: Gguf) -> (&'static [Row<GgufQuantizeFn>], &'static [Row<GgufDequantizeFn>]) {
    match format {
        Gguf::Q8_0 => (F32_Q8_0, Q8_0_F32),
        Gguf::Q4_0 => (F32_Q4_0, Q4_0_F32),
        Gguf::Q4_1 => (F32_Q4_1, Q4_1_F32),
        Gguf::Q5_0 => (F32_Q5_0, Q5_0_F32),
        Gguf::Q5_1 => (F32_Q5_1, Q5_1_F32),
        Gguf::Q4K => (&[], Q4K_F32),
        Gguf::Q5K => (&[], Q5K_F32),
        Gguf::Q6K => (&[], Q6K_F32),
    }
}

/// Likewise.
pub fn mx(format: Mx) -> (&'static [Row<MxQuantizeFn>], &'static [Row<MxDequantizeFn>]) {
    match format {
        Mx::Fp8E4m3 => (F32_MXFP8_E4M3, MXFP8_E4M3_F32),
        Mx::Fp8E5m2 => (F32_MXFP8_E5M2, MXFP8_E5M2_F32),
        Mx::Fp4E2m1 => (F32_MXFP4, MXFP4_F32),
        Mx::Int8 => (F32_MXINT8, MXINT8_F32),
    }
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    let gguf = Gguf::ALL.into_iter().flat_map(|format| {
        let (quantize, dequantize) = gguf(format);
        infos(quantize).chain(infos(dequantize))
    });
    let mx = Mx::ALL.into_iter().flat_map(|format| {
        let (quantize, dequantize) = mx(format);
        infos(quantize).chain(infos(dequantize))
    });
    gguf.chain(mx).chain(infos(F32_NVFP4)).chain(infos(NVFP4_F32))
}
