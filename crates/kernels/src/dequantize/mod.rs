//! Codes to real numbers: `x = (q - zero_point) * scale`, as [`fewbit_scheme::dequantize`] and its
//! siblings define it. The difference is exact; the product rounds once, to the format of the results.

mod any;

pub use any::Any;
pub(crate) use any::table_of;

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByRun, Grid, Params, Plain, Rows, grid};
use crate::real::{Bf16, F16, F32, Real};
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// A run of codes to dequantize. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct DequantizeArgs {
    /// The codes, in the table's format.
    pub src: *const u8,
    /// Whether codes of a byte that become f16 or bf16 are s8, not u8: what makes them is one function, which does not know
    /// by what name it is called. Not used for f32.
    pub signed: bool,
    /// Distance of consecutive codes, in elements.
    pub src_stride: usize,
    /// The real values, in the table's format.
    pub dst: *mut u8,
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
    S8_F32: DequantizeFn = "dequantize_s8f32", |args: &DequantizeArgs|,
    dequantize::<V, S8, F32>(args)
}

rows! {
    /// u8 to f32.
    U8_F32: DequantizeFn = "dequantize_u8f32", |args: &DequantizeArgs|,
    dequantize::<V, U8, F32>(args)
}

rows! {
    /// s16, two bytes each, to f32.
    S16_F32: DequantizeFn = "dequantize_s16f32", |args: &DequantizeArgs|,
    dequantize::<V, S16, F32>(args)
}

rows! {
    /// s8 to f16.
    S8_F16: DequantizeFn = "dequantize_s8f16", |args: &DequantizeArgs|,
    dequantize::<V, Byte, F16>(args)
}

rows! {
    /// u8 to f16.
    U8_F16: DequantizeFn = "dequantize_u8f16", |args: &DequantizeArgs|,
    dequantize::<V, Byte, F16>(args)
}

rows! {
    /// s16, two bytes each, to f16.
    S16_F16: DequantizeFn = "dequantize_s16f16", |args: &DequantizeArgs|,
    dequantize::<V, S16, F16>(args)
}

rows! {
    /// s8 to bf16.
    S8_BF16: DequantizeFn = "dequantize_s8bf16", |args: &DequantizeArgs|,
    dequantize::<V, Byte, Bf16>(args)
}

rows! {
    /// u8 to bf16.
    U8_BF16: DequantizeFn = "dequantize_u8bf16", |args: &DequantizeArgs|,
    dequantize::<V, Byte, Bf16>(args)
}

rows! {
    /// s16, two bytes each, to bf16.
    S16_BF16: DequantizeFn = "dequantize_s16bf16", |args: &DequantizeArgs|,
    dequantize::<V, S16, Bf16>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    [S8_F32, U8_F32, S16_F32, S8_F16, U8_F16, S16_F16, S8_BF16, U8_BF16, S16_BF16]
        .into_iter()
        .flat_map(infos)
}

/// How codes are stored.
trait Format {
    /// A code as it is stored.
    type Code: Copy;

    /// What [`load`](Format::load) adds to codes.
    #[inline(always)]
    fn bias(_signed: bool) -> i32 {
        0
    }

    /// Loads `n` codes, plus the bias.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be read.
    unsafe fn load<V: HalfLanes>(from: *const Self::Code, n: usize, signed: bool) -> V::I32;
}

/// Codes of s8, to f32: where there is so little to do, an operation more would be a tenth of it.
struct S8;

impl Format for S8 {
    type Code = i8;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const i8, n: usize, _signed: bool) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_i8(from, n) }
    }
}

/// Codes of u8, to f32.
struct U8;

impl Format for U8 {
    type Code = u8;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize, _signed: bool) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_u8(from, n) }
    }
}

/// Codes of a byte, to f16 and bf16. Those that are s8 become u8, with 128 added, where their highest bit is inverted: an
/// operation a vector, and half the code.
struct Byte;

impl Format for Byte {
    type Code = u8;

    #[inline(always)]
    fn bias(signed: bool) -> i32 {
        i32::from(signed) << 7
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize, signed: bool) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::or_xor(V::splat_i32(0), V::load_u8(from, n), V::splat_i32(Self::bias(signed))) }
    }
}

struct S16;

impl Format for S16 {
    type Code = u16;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize, _signed: bool) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::widen_i16(V::load_u16(from, n)) }
    }
}

/// # Safety
/// As [`DequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn dequantize<V: HalfLanes, F: Format, R: Real>(args: &DequantizeArgs) {
    let DequantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let DequantizeArgs { scales: factors, zero_points, param_step, rows, signed, .. } = *args;
    let (src, dst) = (src.cast(), dst.cast());
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&ByRun(From::<F, R> { signed, formats: PhantomData }), &runs) }
}

/// The op from codes of a format.
struct From<F, R> {
    signed: bool,
    formats: PhantomData<(F, R)>,
}

impl<V: HalfLanes, F: Format, R: Real> Plain<V> for From<F, R> {
    type Src = F::Code;
    type Dst = R::Stored;

    #[inline(always)]
    fn with<P: Params<V>>(&self, params: P) -> impl Step<Src = F::Code, Dst = R::Stored> {
        Dequantize::<V, P, F, R> { params, signed: self.signed, types: PhantomData }
    }
}

struct Dequantize<V, P, F, R> {
    params: P,
    signed: bool,
    types: PhantomData<(V, F, R)>,
}

impl<V: HalfLanes, P: Params<V>, F: Format, R: Real> Dequantize<V, P, F, R> {
    /// The factors of the products.
    ///
    /// # Safety
    /// As [`Step::step`].
    #[inline(always)]
    unsafe fn factors(&self, src: *const F::Code, first: usize, n: usize) -> (V::F32, V::F32) {
        // SAFETY: by this function's contract.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let zero_point = V::add_i32(zero_point, V::splat_i32(F::bias(self.signed)));
            let code = F::load::<V>(src, n, self.signed);
            (V::f32_from_i32(V::sub_i32(code, zero_point)), scale)
        }
    }
}

impl<V: HalfLanes, P: Params<V>, F: Format, R: Real> Step for Dequantize<V, P, F, R> {
    type Src = F::Code;
    type Dst = R::Stored;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const F::Code, dst: *mut R::Stored, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (steps, scale) = self.factors(src, first, n);
            R::store::<V>(dst, R::product::<V>(steps, scale), n);
        }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const F::Code,
        dst: *mut R::Stored,
        first: usize,
    ) -> bool {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let at = |i: usize| i * V::LANES;
            let (a, s0) = self.factors(src, first, V::LANES);
            let (b, s1) = self.factors(src.add(at(1)), first + at(1), V::LANES);
            let (c, s2) = self.factors(src.add(at(2)), first + at(2), V::LANES);
            let (d, s3) = self.factors(src.add(at(3)), first + at(3), V::LANES);
            R::store_products_4::<V, STREAM>(dst, [a, b, c, d], [s0, s1, s2, s3])
        }
    }
}
