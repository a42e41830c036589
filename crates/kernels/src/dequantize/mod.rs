//! Codes to f32: `x = f32(q - zero_point) * scale`, as [`fewbit_scheme::dequantize`] defines it. The
//! difference is exact; the product rounds once.

mod any;

pub use any::Any;

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByVector, Each, Grid, Op, Params, Rows, Run, Uniform, grid};
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// A run of codes to dequantize. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct DequantizeArgs {
    /// The codes, in the table's format.
    pub src: *const u8,
    /// Distance of consecutive codes, in elements.
    pub src_stride: usize,
    /// The real values.
    pub dst: *mut f32,
    /// Distance of consecutive values, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
    /// Scales: one, or `n` where `param_step` is 1.
    pub scales: *const f32,
    /// Zero points, as many as scales. NULL: all zero.
    pub zero_points: *const i32,
    /// 0: the whole run shares a parameter. Otherwise 1: element `i` has parameter `i`.
    pub param_step: usize,
    /// Further runs, or [`Rows::ONE`].
    pub rows: Rows,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n` in all rows, `src + i * src_stride` can be read and `dst + i * dst_stride` written;
/// the parameters can be read. Nothing need be aligned. Without elements no pointer is used.
pub type DequantizeFn = unsafe fn(&DequantizeArgs);

rows! {
    /// s8 to f32.
    S8_F32: DequantizeFn = "dequantize_s8f32", |args: &DequantizeArgs|, dequantize::<V, S8>(args)
}

rows! {
    /// u8 to f32.
    U8_F32: DequantizeFn = "dequantize_u8f32", |args: &DequantizeArgs|, dequantize::<V, U8>(args)
}

rows! {
    /// s16, two bytes each, to f32.
    S16_F32: DequantizeFn = "dequantize_s16f32", |args: &DequantizeArgs|, dequantize::<V, S16>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(S8_F32).chain(infos(U8_F32)).chain(infos(S16_F32))
}

/// How codes are stored.
trait Format {
    /// A code as it is stored.
    type Code: Copy;

    /// Loads `n` codes.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be read.
    unsafe fn load<V: HalfLanes>(from: *const Self::Code, n: usize) -> V::I32;
}

struct S8;

impl Format for S8 {
    type Code = i8;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const i8, n: usize) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_i8(from, n) }
    }
}

struct U8;

impl Format for U8 {
    type Code = u8;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_u8(from, n) }
    }
}

struct S16;

impl Format for S16 {
    type Code = u16;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::widen_i16(V::load_u16(from, n)) }
    }
}

/// # Safety
/// As [`DequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn dequantize<V: HalfLanes, F: Format>(args: &DequantizeArgs) {
    let DequantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let DequantizeArgs { scales: factors, zero_points, param_step, rows, .. } = *args;
    let src = src.cast();
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&ByRun::<F>(PhantomData), &runs) }
}

/// The op on runs.
struct ByRun<F>(PhantomData<F>);

impl<V: HalfLanes, F: Format> Op<V> for ByRun<F> {
    type Src = F::Code;
    type Dst = f32;
    type Tile = ();

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<F::Code, f32>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&Dequantize::<V, _, F> { params, types: PhantomData }) }
    }

    #[inline(always)]
    unsafe fn each(&self, params: Each<V>, run: Run<F::Code, f32>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&Dequantize::<V, _, F> { params, types: PhantomData }) }
    }

    #[inline(always)]
    unsafe fn by_vector(&self, params: ByVector<V>, _n: usize, run: Run<F::Code, f32>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&Dequantize::<V, _, F> { params, types: PhantomData }) }
    }

    #[inline(always)]
    fn tile() {}

    #[inline(always)]
    unsafe fn prepare(&self, _tile: &mut (), _params: Each<V>, _n: usize) {}

    #[inline(always)]
    unsafe fn tiled(&self, _tile: &(), params: Each<V>, run: Run<F::Code, f32>) {
        // SAFETY: by the contract of `Op`.
        unsafe { self.each(params, run) }
    }
}

struct Dequantize<V, P, F> {
    params: P,
    types: PhantomData<(V, F)>,
}

impl<V: HalfLanes, P: Params<V>, F: Format> Dequantize<V, P, F> {
    /// # Safety
    /// As [`Step::step`].
    #[inline(always)]
    unsafe fn real(&self, src: *const F::Code, first: usize, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let steps = V::f32_from_i32(V::sub_i32(F::load::<V>(src, n), zero_point));
            V::mul(steps, scale)
        }
    }
}

impl<V: HalfLanes, P: Params<V>, F: Format> Step for Dequantize<V, P, F> {
    type Src = F::Code;
    type Dst = f32;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const F::Code, dst: *mut f32, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_f32(dst, self.real(src, first, n), n) }
    }

    #[inline(always)]
    unsafe fn stream_4(&self, src: *const F::Code, dst: *mut f32, first: usize) {
        for i in 0..4 {
            let at = i * V::LANES;
            // SAFETY: by the contract of `Step::stream_4`.
            unsafe { V::stream_f32(dst.add(at), self.real(src.add(at), first + at, V::LANES)) };
        }
    }
}
