//! Real numbers to the two codes of b1: +1 where the quotient is not less than 0, or NaN.

use super::format::Format;
use super::{QuantizeArgs, quotient};
use crate::elementwise::Step;
use crate::params::{ByVector, Each, Grid, Op, Params, Run, Uniform, grid};
use crate::real::Real;
use core::marker::PhantomData;
use fewbit_scheme::Quotient;
use fewbit_simd::HalfLanes;

/// # Safety
/// As [`super::QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn quantize<V: HalfLanes, R: Real, F: Format>(args: &QuantizeArgs) {
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let QuantizeArgs { scales: factors, zero_points, param_step, rows, mode, .. } = *args;
    let (src, dst) = (src.cast(), dst.cast());
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&ByRun::<R, F> { quotient: mode.quotient, formats: PhantomData }, &runs) }
}

struct ByRun<R, F> {
    quotient: Quotient,
    formats: PhantomData<(R, F)>,
}

impl<R, F> ByRun<R, F> {
    fn step<V, P>(&self, params: P) -> Sign<V, P, R, F> {
        Sign { params, quotient: self.quotient, types: PhantomData }
    }
}

impl<V: HalfLanes, R: Real, F: Format> Op<V> for ByRun<R, F> {
    type Src = R::Stored;
    type Dst = F::Code;
    type Tile = ();

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<R::Stored, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.step::<V, _>(params)) }
    }

    #[inline(always)]
    unsafe fn each(&self, params: Each<V>, run: Run<R::Stored, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.step::<V, _>(params)) }
    }

    #[inline(always)]
    unsafe fn by_vector(&self, params: ByVector<V>, _n: usize, run: Run<R::Stored, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.step::<V, _>(params)) }
    }

    #[inline(always)]
    fn tile() {}

    #[inline(always)]
    unsafe fn prepare(&self, _tile: &mut (), _params: Each<V>, _n: usize) {}

    #[inline(always)]
    unsafe fn tiled(&self, _tile: &(), params: Each<V>, run: Run<R::Stored, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { self.each(params, run) }
    }
}

struct Sign<V, P, R, F> {
    params: P,
    quotient: Quotient,
    types: PhantomData<(V, R, F)>,
}

impl<V: HalfLanes, P: Params<V>, R: Real, F: Format> Step for Sign<V, P, R, F> {
    type Src = R::Stored;
    type Dst = F::Code;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const R::Stored, dst: *mut F::Code, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let x = R::load::<V>(src, n);
            // The quotient, not `x`: where it is rounded to 0, the code is +1.
            let t = quotient::<V>(x, scale, self.quotient);
            // Without NaN, and with -0 made +0 by the addition, a sign bit means -1.
            let zero = V::splat_f32(0.0);
            let negative = V::bits(V::add(V::replace_nan(t, zero), zero));
            let sign = V::and_i32(negative, V::splat_i32(i32::MIN));
            let code = V::add_i32(V::max_i32(sign, V::splat_i32(-2)), V::splat_i32(1));
            F::store::<V>(dst, code, (scale, zero_point), n);
        }
    }
}
