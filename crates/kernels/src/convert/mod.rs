//! Between float formats, bit for bit as [`fewbit_scheme::float16`] and [`fewbit_scheme::fp8`]
//! define it: nearest even, subnormals kept, a NaN keeps its sign and top payload bits and becomes
//! quiet. Overflow goes to infinity, in the tables named `_SATURATE` to the largest finite number.

pub(crate) mod float8;

use crate::elementwise::{Step, rows, run, streams};
use crate::infos;
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
    F32_F16: ConvertFn = "convert_f32f16", |args: &ConvertArgs|, narrow::<V, F16, false>(args)
}

rows! {
    /// f32 to f16; overflow to ±65504.
    F32_F16_SATURATE: ConvertFn = "convert_f32f16sat", |args: &ConvertArgs|,
    narrow::<V, F16, true>(args)
}

rows! {
    /// f32 to bf16; overflow to infinity.
    F32_BF16: ConvertFn = "convert_f32bf16", |args: &ConvertArgs|, narrow::<V, Bf16, false>(args)
}

rows! {
    /// f32 to bf16; overflow to the largest finite bf16.
    F32_BF16_SATURATE: ConvertFn = "convert_f32bf16sat", |args: &ConvertArgs|,
    narrow::<V, Bf16, true>(args)
}

rows! {
    /// f16 to f32, exact.
    F16_F32: ConvertFn = "convert_f16f32", |args: &ConvertArgs|, widen::<V, F16>(args)
}

rows! {
    /// bf16 to f32, exact.
    BF16_F32: ConvertFn = "convert_bf16f32", |args: &ConvertArgs|, widen::<V, Bf16>(args)
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

/// A 16-bit float format.
trait Format {
    /// The largest finite number.
    const LARGEST: f32;
    /// See [`HalfLanes`].
    unsafe fn narrow<V: HalfLanes>(v: V::F32) -> V::U16;
    /// See [`HalfLanes`].
    unsafe fn widen<V: HalfLanes>(v: V::U16) -> V::F32;
}

struct F16;

impl Format for F16 {
    const LARGEST: f32 = 65504.0;

    #[inline(always)]
    unsafe fn narrow<V: HalfLanes>(v: V::F32) -> V::U16 {
        // SAFETY: within an entry compiled for `V`.
        unsafe { V::f32_to_f16(v) }
    }

    #[inline(always)]
    unsafe fn widen<V: HalfLanes>(v: V::U16) -> V::F32 {
        // SAFETY: within an entry compiled for `V`.
        unsafe { V::f16_to_f32(v) }
    }
}

struct Bf16;

impl Format for Bf16 {
    const LARGEST: f32 = f32::from_bits(0x7F7F_0000);

    #[inline(always)]
    unsafe fn narrow<V: HalfLanes>(v: V::F32) -> V::U16 {
        // SAFETY: within an entry compiled for `V`.
        unsafe { V::f32_to_bf16(v) }
    }

    #[inline(always)]
    unsafe fn widen<V: HalfLanes>(v: V::U16) -> V::F32 {
        // SAFETY: within an entry compiled for `V`.
        unsafe { V::bf16_to_f32(v) }
    }
}

/// [`run`], around the caches if the run is large.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn apply<V: HalfLanes, S: Step>(
    op: &S,
    src: *const S::Src,
    src_stride: usize,
    dst: *mut S::Dst,
    dst_stride: usize,
    n: usize,
) {
    let stream = V::STREAMS && streams::<S::Src, S::Dst>(n);
    // SAFETY: by this function's contract.
    unsafe {
        run(op, src, src_stride, dst, dst_stride, n, stream);
        if stream {
            V::fence();
        }
    }
}

/// # Safety
/// As [`ConvertFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn narrow<V: HalfLanes, F: Format, const SATURATE: bool>(args: &ConvertArgs) {
    let ConvertArgs { src, src_stride, dst, dst_stride, n } = *args;
    let op = Narrow::<V, F, SATURATE>(PhantomData);
    // SAFETY: by this function's contract.
    unsafe { apply::<V, _>(&op, src.cast(), src_stride, dst.cast(), dst_stride, n) }
}

struct Narrow<V, F, const SATURATE: bool>(PhantomData<(V, F)>);

impl<V: HalfLanes, F: Format, const SATURATE: bool> Narrow<V, F, SATURATE> {
    /// # Safety
    /// As [`Step::step`].
    #[inline(always)]
    unsafe fn narrowed(src: *const f32, n: usize) -> V::U16 {
        // SAFETY: by this function's contract.
        unsafe {
            let mut v = V::load_f32(src, n);
            if SATURATE {
                // In this order of operands a NaN passes through both.
                v = V::max(V::splat_f32(-F::LARGEST), v);
                v = V::min(V::splat_f32(F::LARGEST), v);
            }
            F::narrow::<V>(v)
        }
    }
}

impl<V: HalfLanes, F: Format, const SATURATE: bool> Step for Narrow<V, F, SATURATE> {
    type Src = f32;
    type Dst = u16;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut u16, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_u16(dst, Self::narrowed(src, n), n) }
    }

    #[inline(always)]
    unsafe fn stream_4(&self, src: *const f32, dst: *mut u16, _first: usize) -> bool {
        for i in 0..4 {
            let at = i * V::LANES;
            // SAFETY: by the contract of `Step::stream_4`.
            unsafe { V::stream_u16(dst.add(at), Self::narrowed(src.add(at), V::LANES)) };
        }
        true
    }
}

/// # Safety
/// As [`ConvertFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn widen<V: HalfLanes, F: Format>(args: &ConvertArgs) {
    let ConvertArgs { src, src_stride, dst, dst_stride, n } = *args;
    let op = Widen::<V, F>(PhantomData);
    // SAFETY: by this function's contract.
    unsafe { apply::<V, _>(&op, src.cast(), src_stride, dst.cast(), dst_stride, n) }
}

struct Widen<V, F>(PhantomData<(V, F)>);

impl<V: HalfLanes, F: Format> Step for Widen<V, F> {
    type Src = u16;
    type Dst = f32;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const u16, dst: *mut f32, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_f32(dst, F::widen::<V>(V::load_u16(src, n)), n) }
    }

    #[inline(always)]
    unsafe fn stream_4(&self, src: *const u16, dst: *mut f32, _first: usize) -> bool {
        for i in 0..4 {
            let at = i * V::LANES;
            // SAFETY: by the contract of `Step::stream_4`.
            unsafe {
                V::stream_f32(dst.add(at), F::widen::<V>(V::load_u16(src.add(at), V::LANES)));
            }
        }
        true
    }
}
