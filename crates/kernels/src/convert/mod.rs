//! Between float formats, bit for bit as [`fewbit_scheme::float16`] and [`fewbit_scheme::fp8`]
//! define it: nearest even, subnormals kept, a NaN keeps its sign and top payload bits and becomes
//! quiet. Overflow goes to infinity, in the tables named `_SATURATE` to the largest finite number.

pub(crate) mod float8;

use crate::elementwise::{Step, rows, run, streams};
use crate::infos;
use crate::real::{Bf16, F16, F32, Real};
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;
use float8::{E4m3fn, E5m2};

/// A run to convert. The formats of both sides are the table's; strides are in elements; the
/// buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct ConvertArgs {
    /// The source, in its format.
    pub src: *const u8,
    /// Distance of consecutive source elements, in elements.
    pub src_stride: usize,
    /// The destination, in its format.
    pub dst: *mut u8,
    /// Distance of consecutive destination elements, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, element `i * src_stride` of `src` can be read and element `i * dst_stride` of `dst`
/// written. Nothing need be aligned. With `n = 0` no pointer is used.
pub type ConvertFn = unsafe fn(&ConvertArgs);

rows! {
    /// f32 to f16; overflow to infinity.
    F32_F16: ConvertFn = "convert_f32f16", |args: &ConvertArgs|, convert::<V, F32, F16, false>(args)
}

rows! {
    /// f32 to f16; overflow to ±65504.
    F32_F16_SATURATE: ConvertFn = "convert_f32f16sat", |args: &ConvertArgs|,
    convert::<V, F32, F16, true>(args)
}

rows! {
    /// f32 to bf16; overflow to infinity.
    F32_BF16: ConvertFn = "convert_f32bf16", |args: &ConvertArgs|, convert::<V, F32, Bf16, false>(args)
}

rows! {
    /// f32 to bf16; overflow to the largest finite bf16.
    F32_BF16_SATURATE: ConvertFn = "convert_f32bf16sat", |args: &ConvertArgs|,
    convert::<V, F32, Bf16, true>(args)
}

rows! {
    /// f16 to f32, exact.
    F16_F32: ConvertFn = "convert_f16f32", |args: &ConvertArgs|, convert::<V, F16, F32, false>(args)
}

rows! {
    /// bf16 to f32, exact.
    BF16_F32: ConvertFn = "convert_bf16f32", |args: &ConvertArgs|, convert::<V, Bf16, F32, false>(args)
}

rows! {
    /// f32 to fp8 E4M3FN; overflow to NaN, as the format has no infinity.
    F32_F8E4M3FN: ConvertFn = "convert_f32f8e4m3fn", |args: &ConvertArgs|,
    float8::narrow::<V, E4m3fn, false>(args)
}

rows! {
    /// f32 to fp8 E4M3FN; overflow to ±448.
    F32_F8E4M3FN_SATURATE: ConvertFn = "convert_f32f8e4m3fnsat", |args: &ConvertArgs|,
    float8::narrow::<V, E4m3fn, true>(args)
}

rows! {
    /// f32 to fp8 E5M2; overflow to infinity.
    F32_F8E5M2: ConvertFn = "convert_f32f8e5m2", |args: &ConvertArgs|,
    float8::narrow::<V, E5m2, false>(args)
}

rows! {
    /// f32 to fp8 E5M2; overflow to ±57344.
    F32_F8E5M2_SATURATE: ConvertFn = "convert_f32f8e5m2sat", |args: &ConvertArgs|,
    float8::narrow::<V, E5m2, true>(args)
}

rows! {
    /// fp8 E4M3FN to f32, exact.
    F8E4M3FN_F32: ConvertFn = "convert_f8e4m3fnf32", |args: &ConvertArgs|,
    float8::widen::<V, E4m3fn>(args)
}

rows! {
    /// fp8 E5M2 to f32, exact.
    F8E5M2_F32: ConvertFn = "convert_f8e5m2f32", |args: &ConvertArgs|, float8::widen::<V, E5m2>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(F32_F16)
        .chain(infos(F32_F16_SATURATE))
        .chain(infos(F32_BF16))
        .chain(infos(F32_BF16_SATURATE))
        .chain(infos(F16_F32))
        .chain(infos(BF16_F32))
        .chain(infos(F32_F8E4M3FN))
        .chain(infos(F32_F8E4M3FN_SATURATE))
        .chain(infos(F32_F8E5M2))
        .chain(infos(F32_F8E5M2_SATURATE))
        .chain(infos(F8E4M3FN_F32))
        .chain(infos(F8E5M2_F32))
}

/// # Safety
/// As [`ConvertFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn convert<V: HalfLanes, S: Real, D: Real, const SATURATE: bool>(args: &ConvertArgs) {
    let ConvertArgs { src, src_stride, dst, dst_stride, n } = *args;
    let stream = V::STREAMS && streams::<S::Stored, D::Stored>(n);
    let op = Convert::<V, S, D, SATURATE>(PhantomData);
    // SAFETY: by this function's contract.
    unsafe {
        let src = src.cast::<S::Stored>();
        let behind = stream.then_some(src.wrapping_add(n));
        run(&op, src, src_stride, dst.cast(), dst_stride, n, behind);
        if stream {
            V::fence();
        }
    }
}

struct Convert<V, S, D, const SATURATE: bool>(PhantomData<(V, S, D)>);

impl<V: HalfLanes, S: Real, D: Real, const SATURATE: bool> Convert<V, S, D, SATURATE> {
    /// Numbers, within the destination's if asked to.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn bounded(v: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            if !SATURATE {
                return v;
            }
            // In this order of operands a NaN passes through both.
            let v = V::max(V::splat_f32(-D::LARGEST), v);
            V::min(V::splat_f32(D::LARGEST), v)
        }
    }
}

impl<V: HalfLanes, S: Real, D: Real, const SATURATE: bool> Step for Convert<V, S, D, SATURATE> {
    type Src = S::Stored;
    type Dst = D::Stored;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const S::Stored, dst: *mut D::Stored, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { D::store::<V>(dst, Self::bounded(S::load_quiet::<V>(src, n)), n) }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const S::Stored,
        dst: *mut D::Stored,
        _first: usize,
    ) -> bool {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let [a, b, c, d] = S::load_quiet_4::<V>(src);
            let v = [Self::bounded(a), Self::bounded(b), Self::bounded(c), Self::bounded(d)];
            D::store_4::<V, STREAM>(dst, v);
        }
        true
    }
}
