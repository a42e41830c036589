//! Sums of floats in the shape that [`fewbit_scheme::reduce`] defines, of terms that may be made on the way.

use core::mem::MaybeUninit;
use fewbit_scheme::reduce::LANES;
use fewbit_simd::Lanes;

/// What is summed.
pub(crate) trait Terms<V: Lanes> {
    /// The terms from number `first` on, `n` of a vector; the other lanes are +0. Each term is asked for once.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the block has these terms.
    unsafe fn at(&self, first: usize, n: usize) -> V::F32;
}

/// The sum of a block. Its lanes begin as +0 and never become -0, so that adding +0 in place of
/// elements that are not there changes nothing. Four vectors of lanes at a time, as many as keep an
/// adder busy, in steps of all lanes: each element is loaded once.
///
/// # Safety
/// Within an entry compiled for `V`; there are `n` terms, at most [`fewbit_scheme::reduce::BLOCK`].
#[inline(always)]
pub(crate) unsafe fn block_sum<V: Lanes, T: Terms<V>>(terms: &T, n: usize) -> f32 {
    const { assert!(LANES.is_multiple_of(4 * V::LANES)) };
    let mut lanes = [0.0_f32; LANES];
    let mut lane = 0;
    while lane < LANES.min(n) {
        // SAFETY: the terms are below `n`; `lane + 4 * V::LANES <= LANES`.
        unsafe {
            let zero = V::splat_f32(0.0);
            let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
            let mut at = lane;
            while at + 4 * V::LANES <= n {
                a = V::add(a, terms.at(at, V::LANES));
                b = V::add(b, terms.at(at + V::LANES, V::LANES));
                c = V::add(c, terms.at(at + 2 * V::LANES, V::LANES));
                d = V::add(d, terms.at(at + 3 * V::LANES, V::LANES));
                at += LANES;
            }
            let to = lanes.as_mut_ptr().add(lane);
            V::store_f32(to, a, V::LANES);
            V::store_f32(to.add(V::LANES), b, V::LANES);
            V::store_f32(to.add(2 * V::LANES), c, V::LANES);
            V::store_f32(to.add(3 * V::LANES), d, V::LANES);
            let mut i = 0;
            while at + i < n && i < 4 * V::LANES {
                let so_far = V::load_f32(to.add(i), V::LANES);
                let more = terms.at(at + i, V::LANES.min(n - at - i));
                V::store_f32(to.add(i), V::add(so_far, more), V::LANES);
                i += V::LANES;
            }
        }
        lane += 4 * V::LANES;
    }
    // SAFETY: within an entry compiled for `V`.
    unsafe { fold::<V>(lanes) }
}

/// The lanes folded by halves: by vectors while a half has whole ones.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn fold<V: Lanes>(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half >= V::LANES {
        let mut lane = 0;
        while lane < half {
            // SAFETY: `lane + half + V::LANES <= LANES`.
            unsafe {
                let at = lanes.as_mut_ptr().add(lane);
                let sum = V::add(V::load_f32(at, V::LANES), V::load_f32(at.add(half), V::LANES));
                V::store_f32(at, sum, V::LANES);
            }
            lane += V::LANES;
        }
        half /= 2;
    }
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
        half /= 2;
    }
    let [sum, ..] = lanes;
    sum
}

/// The longest vector of any row.
const MAX_LANES: usize = 16;

/// The first `n` lanes, the others +0: for terms of which what is not there would be something.
///
/// # Safety
/// Within an entry compiled for `V`; `n <= V::LANES`.
#[inline(always)]
pub(crate) unsafe fn part<V: Lanes>(v: V::F32, n: usize) -> V::F32 {
    const { assert!(V::LANES <= MAX_LANES) };
    if n == V::LANES {
        return v;
    }
    let mut lanes = [MaybeUninit::<f32>::uninit(); MAX_LANES];
    // SAFETY: the first `n` of `MAX_LANES` are written, then read.
    unsafe {
        V::store_f32(lanes.as_mut_ptr().cast(), v, n);
        V::load_f32(lanes.as_ptr().cast(), n)
    }
}
