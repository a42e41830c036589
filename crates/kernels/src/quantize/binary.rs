//! Real numbers to the two codes of b1: +1 where the quotient is not less than 0, or NaN.

use super::format::{Byte, Format};
use super::{QuantizeArgs, quotient};
use crate::elementwise::Step;
use crate::params::{ByRun, Grid, Params, Plain, grid};
use crate::real::Real;
use core::marker::PhantomData;
use fewbit_scheme::Quotient;
use fewbit_simd::HalfLanes;

/// # Safety
/// As [`super::QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize<V: HalfLanes, R: Real>(args: &QuantizeArgs) {
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let QuantizeArgs { scales: factors, zero_points, param_step, rows, mode, .. } = *args;
    let (src, dst) = (src.cast(), dst.cast());
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe {
        let op = Signs::<R> { quotient: mode.quotient, format: PhantomData };
        grid::<V, _>(&ByRun(op), &runs);
    }
}

/// The op.
struct Signs<R> {
    quotient: Quotient,
    format: PhantomData<R>,
}

impl<V: HalfLanes, R: Real> Plain<V> for Signs<R> {
    type Src = R::Stored;
    type Dst = u8;

    #[inline(always)]
    fn with<P: Params<V>>(&self, params: P) -> impl Step<Src = R::Stored, Dst = u8> {
        Sign::<V, P, R> { params, quotient: self.quotient, types: PhantomData }
    }
}

struct Sign<V, P, R> {
    params: P,
    quotient: Quotient,
    types: PhantomData<(V, R)>,
}

impl<V: HalfLanes, P: Params<V>, R: Real> Step for Sign<V, P, R> {
    type Src = R::Stored;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const R::Stored, dst: *mut u8, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (scale, _) = self.params.at(first, n);
            let x = R::load::<V>(src, n);
            // The quotient, not `x`: where it is rounded to 0, the code is +1.
            let t = quotient::<V>(x, scale, self.quotient);
            // Without NaN, and with -0 made +0 by the addition, a sign bit means -1.
            let zero = V::splat_f32(0.0);
            let negative = V::bits(V::add(V::replace_nan(t, zero), zero));
            let sign = V::and_i32(negative, V::splat_i32(i32::MIN));
            let code = V::add_i32(V::max_i32(sign, V::splat_i32(-2)), V::splat_i32(1));
            Byte::store::<V>(dst, code, n);
        }
    }
}
