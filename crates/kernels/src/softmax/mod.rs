//! Softmax and its logarithm, row by row, as [`fewbit_scheme::softmax`] defines them, in steps that callers put together, so
//! that rows of any length and type can be worked on in pieces: the largest number, exponentials and their sum, shares.
//!
//! Cost in operations a vector: 3, then 16 with the exponential, then 3.

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::reduce::{Terms, block_sum, part};
use crate::registry::RowInfo;
use fewbit_scheme::activation::{EXP, LN_2, LN_2_REST, LOG2_E};
use fewbit_scheme::softmax::{EXP_LEAST, MAGIC, ln};
use fewbit_simd::Lanes;

/// Rows on their way; the numbers of a row are contiguous. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxArgs {
    /// The first row's first number; of [`SOFTMAX`] its exponential.
    pub src: *const f32,
    /// Where results go, if the step has any but one a row; may be `src`, with the same stride.
    pub dst: *mut f32,
    /// Numbers of a row, or of a piece of it. Sums: at most [`fewbit_scheme::reduce::BLOCK`].
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows' first numbers.
    pub src_stride: usize,
    /// Distance of the rows' first results.
    pub dst_stride: usize,
    /// Each row's [`fewbit_scheme::softmax::peak`]: a result of [`PEAKS`].
    pub peaks: *mut f32,
    /// Each row's sum of exponentials: a result of [`EXPS`] and [`EXP_SUMS`].
    pub sums: *mut f32,
}

/// A kernel of a step.
///
/// # Safety
/// For `row < rows` and `i < n`, `src + row * src_stride + i` can be read and, if the step has results, `dst + row *
/// dst_stride + i` written; peaks and sums can be read or written as far as the step does. Nothing need be aligned.
pub type SoftmaxFn = unsafe fn(&SoftmaxArgs);

rows! {
    /// The peak of each row or piece.
    PEAKS: SoftmaxFn = "peaks_f32", |args: &SoftmaxArgs|, peaks::<V>(args)
}
rows! {
    /// `exp(x - peak)`, and the sum of them. For a peak that is not finite the sum is NaN, and `dst` holds some numbers.
    EXPS: SoftmaxFn = "exps_f32", |args: &SoftmaxArgs|, exps::<V, true>(args)
}
rows! {
    /// The sum of [`EXPS`] alone.
    EXP_SUMS: SoftmaxFn = "exp_sums_f32", |args: &SoftmaxArgs|, exps::<V, false>(args)
}
rows! {
    /// Exponentials to shares, softmax: `e * (1 / sum)`. NaN for a sum that is NaN.
    SOFTMAX: SoftmaxFn = "softmax_f32", |args: &SoftmaxArgs|, softmax::<V>(args)
}
rows! {
    /// Numbers to the logarithms of their shares: `(x - peak) - ln(sum)`. NaN for a sum that is NaN.
    LOG_SOFTMAX: SoftmaxFn = "log_softmax_f32", |args: &SoftmaxArgs|, log_softmax::<V>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    [PEAKS, EXPS, EXP_SUMS, SOFTMAX, LOG_SOFTMAX].into_iter().flat_map(infos)
}

/// The NaN that is stored.
const NAN: f32 = f32::from_bits(0x7FC0_0000);

/// # Safety
/// As [`SoftmaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn peaks<V: Lanes>(args: &SoftmaxArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let peak = peak::<V>(args.src.wrapping_add(row * args.src_stride), args.n);
            args.peaks.add(row).write_unaligned(peak);
        }
    }
}

/// # Safety
/// Within an entry compiled for `V`; `n` numbers can be read.
#[inline(always)]
unsafe fn peak<V: Lanes>(src: *const f32, n: usize) -> f32 {
    // SAFETY: offsets below `n` are the caller's.
    unsafe {
        let mut peak = f32::NEG_INFINITY;
        let mut first = 0;
        if n >= V::LANES {
            let least = V::splat_f32(peak);
            // Four chains, so that none waits for its last result.
            let (mut a, mut b, mut c, mut d) = (least, least, least, least);
            while n - first >= 4 * V::LANES {
                let at = src.add(first);
                a = larger::<V>(a, at);
                b = larger::<V>(b, at.add(V::LANES));
                c = larger::<V>(c, at.add(2 * V::LANES));
                d = larger::<V>(d, at.add(3 * V::LANES));
                first += 4 * V::LANES;
            }
            while first < n {
                // The last one moved back: what is seen twice does not matter.
                a = larger::<V>(a, src.add(first.min(n - V::LANES)));
                first += V::LANES;
            }
            peak = V::max_across(V::max(V::max(a, b), V::max(c, d)));
        }
        while first < n {
            let v = src.add(first).read_unaligned();
            let v = if v.is_nan() { f32::INFINITY } else { v };
            peak = if v > peak { v } else { peak };
            first += 1;
        }
        peak
    }
}

/// The larger of a number and one in memory, a NaN as +infinity.
///
/// # Safety
/// Within an entry compiled for `V`; a vector can be read.
#[inline(always)]
unsafe fn larger<V: Lanes>(so_far: V::F32, from: *const f32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let v = V::replace_nan(V::load_f32(from, V::LANES), V::splat_f32(f32::INFINITY));
        V::max(v, so_far)
    }
}

/// # Safety
/// As [`SoftmaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn exps<V: Lanes, const STORE: bool>(args: &SoftmaxArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let peak = args.peaks.add(row).read_unaligned();
            let terms = Exps::<V, STORE> {
                src: args.src.wrapping_add(row * args.src_stride),
                dst: args.dst.wrapping_add(row * args.dst_stride),
                minus_peak: V::splat_f32(-peak),
            };
            let sum = block_sum::<V, _>(&terms, args.n);
            let sum = if peak.is_finite() { sum } else { NAN };
            args.sums.add(row).write_unaligned(sum);
        }
    }
}

/// The exponentials of a row as terms of their sum; with `STORE` they are kept.
struct Exps<V: Lanes, const STORE: bool> {
    src: *const f32,
    dst: *mut f32,
    minus_peak: V::F32,
}

impl<V: Lanes, const STORE: bool> Terms<V> for Exps<V, STORE> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> V::F32 {
        // SAFETY: the terms are the row's numbers.
        unsafe {
            let d = V::add(V::load_f32(self.src.add(first), n), self.minus_peak);
            let e = exp::<V>(d);
            if STORE {
                V::store_f32(self.dst.add(first), e, n);
            }
            part::<V>(e, n)
        }
    }
}

/// [`fewbit_scheme::softmax::exp`].
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn exp<V: Lanes>(d: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let one = V::splat_f32(1.0);
        let t = V::fma(d, V::splat_f32(LOG2_E), V::splat_f32(MAGIC));
        let n = V::add(t, V::splat_f32(-MAGIC));
        let r = V::fma(n, V::splat_f32(-LN_2), d);
        let r = V::fma(n, V::splat_f32(-LN_2_REST), r);
        let [c0, c1, c2, c3, c4] = EXP;
        let mut p = V::splat_f32(c4);
        for c in [c3, c2, c1, c0] {
            p = V::fma(p, r, V::splat_f32(c));
        }
        let p = V::fma(V::fma(p, r, one), r, one);
        let e = V::add_i32(V::bits(p), V::shl::<23>(V::bits(t)));
        let below = V::splat_i32(MAGIC.to_bits() as i32 + EXP_LEAST - 1);
        V::from_bits(V::select_gt(V::bits(t), below, e, V::splat_i32(0)))
    }
}

/// # Safety
/// As [`SoftmaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn softmax<V: Lanes>(args: &SoftmaxArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let factor = 1.0 / args.sums.add(row).read_unaligned();
            finish(args, row, &Shares::<V> { factor: V::splat_f32(factor) });
        }
    }
}

/// # Safety
/// As [`SoftmaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn log_softmax<V: Lanes>(args: &SoftmaxArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let sum = args.sums.add(row).read_unaligned();
            let peak = args.peaks.add(row).read_unaligned();
            let log = if sum.is_nan() { sum } else { ln(sum) };
            let op = Logs::<V> { minus_peak: V::splat_f32(-peak), minus_log: V::splat_f32(-log) };
            finish(args, row, &op);
        }
    }
}

/// Applies a step to a row.
///
/// # Safety
/// As [`SoftmaxFn`], within an entry compiled for the step's vector; there is that row.
#[inline(always)]
unsafe fn finish<S: Step<Src = f32, Dst = f32>>(args: &SoftmaxArgs, row: usize, op: &S) {
    let src = args.src.wrapping_add(row * args.src_stride);
    let dst = args.dst.wrapping_add(row * args.dst_stride);
    // SAFETY: by this function's contract.
    unsafe { run(op, src, 1, dst, 1, args.n, None) }
}

/// Exponentials times the inverse of their sum.
struct Shares<V: Lanes> {
    factor: V::F32,
}

impl<V: Lanes> Step for Shares<V> {
    type Src = f32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut f32, _: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let y = V::mul(V::load_f32(src, n), self.factor);
            V::store_f32(dst, V::replace_nan(y, V::splat_f32(NAN)), n);
        }
    }
}

/// Numbers to the logarithms of their shares.
struct Logs<V: Lanes> {
    minus_peak: V::F32,
    minus_log: V::F32,
}

impl<V: Lanes> Step for Logs<V> {
    type Src = f32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut f32, _: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let d = V::add(V::load_f32(src, n), self.minus_peak);
            let y = V::add(d, self.minus_log);
            V::store_f32(dst, V::replace_nan(y, V::splat_f32(NAN)), n);
        }
    }
}
