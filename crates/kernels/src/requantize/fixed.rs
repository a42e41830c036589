//! The fixed-point modes, in integers: the steps of [`fewbit_scheme::requantize_fixed`], a lane each.

use crate::elementwise::{Step, rows, run};
use crate::params::Rows;
use core::marker::PhantomData;
use fewbit_scheme::FixedRounding;
use fewbit_simd::Lanes;

/// Runs of sums to requantize in a fixed-point mode. Strides are in elements; the buffers do not
/// overlap.
#[derive(Clone, Copy, Debug)]
pub struct RequantizeFixedArgs {
    /// The sums.
    pub src: *const i32,
    /// Distance of consecutive sums, in elements.
    pub src_stride: usize,
    /// The codes, s8 or u8 as the table says.
    pub dst: *mut u8,
    /// Distance of consecutive codes, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
    /// Multipliers in units of 2^-31, not negative: one, or `n` where `param_step` is 1.
    pub multipliers: *const i32,
    /// Their shifts, -31..=30, left if positive; as many.
    pub shifts: *const i32,
    /// Zero points, in the range of the codes, as many. NULL: all zero.
    pub zero_points: *const i32,
    /// 0: a run shares a parameter. Otherwise 1: element `i` has parameter `i`.
    pub param_step: usize,
    /// Further runs, or [`Rows::ONE`].
    pub rows: Rows,
    /// The smallest and the largest code to store, within the range of the codes.
    pub clamp: (i32, i32),
    /// How the product is rounded.
    pub rounding: FixedRounding,
}

/// A kernel of the fixed-point modes.
///
/// # Safety
/// As [`RequantizeFn`](super::RequantizeFn).
pub type RequantizeFixedFn = unsafe fn(&RequantizeFixedArgs);

rows! {
    /// s32 to s8 in the fixed-point modes.
    S32_S8_FIXED: RequantizeFixedFn = "requantize_fixed_s32s8", |args: &RequantizeFixedArgs|,
    requantize_fixed::<V>(args)
}

rows! {
    /// s32 to u8 in the fixed-point modes.
    S32_U8_FIXED: RequantizeFixedFn = "requantize_fixed_s32u8", |args: &RequantizeFixedArgs|,
    requantize_fixed::<V>(args)
}

/// # Safety
/// As [`RequantizeFixedFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn requantize_fixed<V: Lanes>(args: &RequantizeFixedArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        match args.rounding {
            FixedRounding::Single => runs::<V, Single>(args),
            FixedRounding::Double => runs::<V, Double>(args),
        }
    }
}

/// # Safety
/// As [`requantize_fixed`].
#[inline(always)]
unsafe fn runs<V: Lanes, R: Product>(args: &RequantizeFixedArgs) {
    let RequantizeFixedArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let RequantizeFixedArgs { param_step, rows, clamp, .. } = *args;
    if n == 0 {
        return;
    }
    for row in 0..rows.count {
        // SAFETY: rows, elements and parameters exist by this function's contract.
        unsafe {
            let (src, dst) = (src.add(row * rows.src_stride), dst.add(row * rows.dst_stride));
            let each = Each::<V>::new(args, row * rows.param_stride);
            if param_step == 0 {
                let op = Fixed::<V, _, R> { params: each.first(), clamp, types: PhantomData };
                run(&op, src, src_stride, dst, dst_stride, n, None);
            } else {
                let op = Fixed::<V, _, R> { params: each, clamp, types: PhantomData };
                run(&op, src, src_stride, dst, dst_stride, n, None);
            }
        }
    }
}

/// The parameters of a vector's elements.
#[derive(Clone, Copy)]
struct Vectors<V: Lanes> {
    multiplier: V::I32,
    shift: V::I32,
    zero_point: V::I32,
}

/// Where the parameters of vectors come from.
trait Source<V: Lanes> {
    /// Those of the elements `first..first + n`.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the elements are of the run.
    unsafe fn at(&self, first: usize, n: usize) -> Vectors<V>;
}

/// The same for all.
impl<V: Lanes> Source<V> for Vectors<V> {
    #[inline(always)]
    unsafe fn at(&self, _first: usize, _n: usize) -> Vectors<V> {
        *self
    }
}

/// Element `i` has parameter `i`.
struct Each<V> {
    multipliers: *const i32,
    shifts: *const i32,
    /// Where there are none, the shifts: something that can be read.
    zero_points: *const i32,
    /// All bits, or none where there are none. (A branch would double every loop.)
    mask: i32,
    vectors: PhantomData<V>,
}

impl<V: Lanes> Each<V> {
    /// The parameters from number `first` on.
    ///
    /// # Safety
    /// There is that parameter.
    #[inline(always)]
    unsafe fn new(args: &RequantizeFixedArgs, first: usize) -> Self {
        let RequantizeFixedArgs { multipliers, shifts, zero_points, .. } = *args;
        let (zero_points, mask) =
            if zero_points.is_null() { (shifts, 0) } else { (zero_points, -1) };
        // SAFETY: by this function's contract.
        unsafe {
            Each {
                multipliers: multipliers.add(first),
                shifts: shifts.add(first),
                zero_points: zero_points.add(first),
                mask,
                vectors: PhantomData,
            }
        }
    }

    /// The first one, in all lanes.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; there is one.
    #[inline(always)]
    unsafe fn first(&self) -> Vectors<V> {
        // SAFETY: by this function's contract.
        unsafe {
            Vectors {
                multiplier: V::splat_i32(self.multipliers.read_unaligned()),
                shift: V::splat_i32(self.shifts.read_unaligned()),
                zero_point: V::splat_i32(self.zero_points.read_unaligned() & self.mask),
            }
        }
    }
}

impl<V: Lanes> Source<V> for Each<V> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> Vectors<V> {
        // SAFETY: the elements are of the run, and there is a parameter for each.
        unsafe {
            let zero_point = V::load_i32(self.zero_points.add(first), n);
            Vectors {
                multiplier: V::load_i32(self.multipliers.add(first), n),
                shift: V::load_i32(self.shifts.add(first), n),
                zero_point: V::and_i32(zero_point, V::splat_i32(self.mask)),
            }
        }
    }
}

/// The op with parameters from `P` and products by `R`.
struct Fixed<V, P, R> {
    params: P,
    clamp: (i32, i32),
    types: PhantomData<(V, R)>,
}

impl<V: Lanes, P: Source<V>, R: Product> Step for Fixed<V, P, R> {
    type Src = i32;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const i32, dst: *mut u8, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let Vectors { multiplier, shift, zero_point } = self.params.at(first, n);
            let product = R::product::<V>(V::load_i32(src, n), multiplier, shift);
            // Clamped before the addition, which then stays within i32.
            let low = V::sub_i32(V::splat_i32(self.clamp.0), zero_point);
            let high = V::sub_i32(V::splat_i32(self.clamp.1), zero_point);
            let code = V::add_i32(V::min_i32(V::max_i32(product, low), high), zero_point);
            V::store_u8(dst, code, n);
        }
    }
}

/// How products are rounded.
pub(crate) trait Product {
    /// `acc * multiplier * 2^(shift - 31)`, rounded to i32.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the parameters are in the ranges of [`RequantizeFixedArgs`].
    unsafe fn product<V: Lanes>(acc: V::I32, multiplier: V::I32, shift: V::I32) -> V::I32;
}

/// [`FixedRounding::Single`]: one rounding of the whole product.
struct Single;

impl Product for Single {
    #[inline(always)]
    unsafe fn product<V: Lanes>(acc: V::I32, multiplier: V::I32, shift: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::mul_round_shr(acc, multiplier, V::sub_i32(V::splat_i32(31), shift)) }
    }
}

/// [`FixedRounding::Double`]: a saturating shift to the left, a product rounded upwards at ties, a shift
/// to the right rounded away from zero at ties.
pub(crate) struct Double;

impl Product for Double {
    #[inline(always)]
    unsafe fn product<V: Lanes>(acc: V::I32, multiplier: V::I32, shift: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let (zero, one) = (V::splat_i32(0), V::splat_i32(1));
            let (least, most) = (V::splat_i32(i32::MIN), V::splat_i32(i32::MAX));
            let left = V::max_i32(shift, zero);
            let right = V::sub_i32(left, shift);
            // What is beyond these would leave i32.
            let (low, high) = (V::shr_each(least, left), V::shr_each(most, left));
            let shifted = V::shl_each(acc, left);
            let shifted = V::select_gt(low, acc, least, shifted);
            let shifted = V::select_gt(acc, high, most, shifted);
            let product = V::mul_round_shr(shifted, multiplier, V::splat_i32(31));
            let mask = V::sub_i32(V::shl_each(one, right), one);
            let remainder = V::and_i32(product, mask);
            let half = V::add_i32(V::shr::<1>(mask), V::shr::<31>(product));
            let up = V::select_gt(remainder, half, one, zero);
            V::add_i32(V::shr_each(product, right), up)
        }
    }
}
