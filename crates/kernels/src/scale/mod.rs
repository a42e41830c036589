//! Sums of products to real numbers: the float epilogue of int8 products.
//!
//! `y = f32(acc) * (row_factor * factor[i])`, then `+ bias[i]` where there is a bias, then NaN becomes
//! the canonical one (only a factor or bias that is not finite can make one), then `max(0, y)` where ReLU is asked for (a NaN stays). Each step rounds once, to
//! nearest even; nothing is fused.

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::Lanes;

/// Rows of sums to scale; a row's sums are contiguous. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct ScaleArgs {
    /// The sums.
    pub src: *const i32,
    /// The real values.
    pub dst: *mut f32,
    /// Distance of consecutive values, in elements.
    pub dst_stride: usize,
    /// The number of elements of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows' first sums.
    pub src_row_stride: usize,
    /// Distance of the rows' first values.
    pub dst_row_stride: usize,
    /// A factor a row: the lhs rows' scales. NULL: all 1, the factors below are whole.
    pub row_factors: *const f32,
    /// A factor an element of a row: the rhs columns' scales.
    pub factors: *const f32,
    /// A bias an element of a row. NULL: none.
    pub bias: *const f32,
    /// Whether a product of factors, or a bias, is not finite: results are then looked at for NaN.
    pub may_be_nan: bool,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `factors + i` and `bias + i` (unless NULL) can be read, and for `row < rows` besides
/// `row_factors + row`, `src + row * src_row_stride + i`, and `dst + row * dst_row_stride + i * dst_stride`
/// can be written. Nothing need be aligned. Without elements no pointer is used.
pub type ScaleFn = unsafe fn(&ScaleArgs);

rows! {
    /// s32 to f32.
    S32_F32: ScaleFn = "scale_s32f32", |args: &ScaleArgs|, scale::<V>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(S32_F32)
}

/// # Safety
/// As [`ScaleFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn scale<V: Lanes>(args: &ScaleArgs) {
    if args.n == 0 {
        return;
    }
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let row_factor = match args.row_factors.is_null() {
                true => 1.0,
                false => args.row_factors.add(row).read_unaligned(),
            };
            let op = Scale::<V> { args: *args, row_factor, vectors: PhantomData };
            let src = args.src.add(row * args.src_row_stride);
            let dst = args.dst.add(row * args.dst_row_stride);
            run(&op, src, 1, dst, args.dst_stride, args.n, false);
        }
    }
}

struct Scale<V> {
    args: ScaleArgs,
    row_factor: f32,
    vectors: PhantomData<V>,
}

impl<V: Lanes> Step for Scale<V> {
    type Src = i32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const i32, dst: *mut f32, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`; factors and bias are as long as the run.
        unsafe {
            let mut factor = V::load_f32(self.args.factors.add(first), n);
            if !self.args.row_factors.is_null() {
                factor = V::mul(V::splat_f32(self.row_factor), factor);
            }
            let mut y = V::mul(V::f32_from_i32(V::load_i32(src, n)), factor);
            if !self.args.bias.is_null() {
                y = V::add(y, V::load_f32(self.args.bias.add(first), n));
            }
            if self.args.may_be_nan {
                y = V::replace_nan(y, V::splat_f32(f32::from_bits(0x7FC0_0000)));
            }
            if self.args.relu {
                // `if 0 > y { 0 } else { y }`: a NaN stays.
                y = V::max(V::splat_f32(0.0), y);
            }
            V::store_f32(dst, y, n);
        }
    }
}
