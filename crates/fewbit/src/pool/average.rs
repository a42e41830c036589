//! Means: sums of windows, a few at a time, and what turns sums into codes.

use super::Average;
use super::lines::{ACROSS, Pooling};
use crate::Code;
use crate::Result;
use crate::plan::find;
use core::mem::MaybeUninit;
use fewbit_kernels::Rows;
use fewbit_kernels::pool::{SUMS_S8, SUMS_U8, SumsArgs, SumsFn, Windows};
use fewbit_kernels::registry::Bound;
use fewbit_kernels::requantize::{
    RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn, S32_S8, S32_S8_FIXED,
    S32_U8, S32_U8_FIXED,
};
use fewbit_scheme::{FixedRounding, average_codes_multiplier, average_multiplier};
use fewbit_simd::Supported;

/// Sums at a time: on the stack, and in the first cache.
const SUMS: usize = 1024;

pub(super) struct Averaging {
    average: Average,
    clamp: (i32, i32),
    sums: Bound<SumsFn>,
    float: Bound<RequantizeFn>,
    fixed: Bound<RequantizeFixedFn>,
}

/// Sums on their way to codes: `count` pixels of `n` sums.
struct Sums {
    src: *const i32,
    /// Sums between pixels.
    stride: usize,
    n: usize,
    count: usize,
}

impl Averaging {
    pub(super) fn new(average: Average, code: Code, supported: Supported) -> Result<Averaging> {
        let (sums, float, fixed) = match code {
            Code::S8 => (SUMS_S8, S32_S8, S32_S8_FIXED),
            Code::U8 => (SUMS_U8, S32_U8, S32_U8_FIXED),
        };
        let format = code.format();
        Ok(Averaging {
            average,
            clamp: (format.qmin(), format.qmax()),
            sums: find(sums, supported)?,
            float: find(float, supported)?,
            fixed: find(fixed, supported)?,
        })
    }

    /// What sums of `taps` taps start with, so that they are of differences from the zero point.
    fn start(&self, taps: usize) -> i32 {
        match self.average {
            Average::Numbers { from, .. } => {
                (taps as i32).wrapping_mul(from.zero_point).wrapping_neg()
            }
            Average::Codes => 0,
        }
    }

    /// The codes of sums of `taps` taps, side by side.
    ///
    /// # Safety
    /// The sums can be read, the codes be written.
    unsafe fn codes(&self, sums: &Sums, (taps, counted): (usize, usize), dst: *mut u8) {
        let Sums { src, stride, n, count } = *sums;
        // Single sums are a run with gaps.
        let (n, src_stride, count) = if n == 1 { (count, stride, 1) } else { (n, 1, count) };
        let rows = Rows { count, src_stride: stride, dst_stride: n, param_stride: 0 };
        // SAFETY: by this function's contract.
        unsafe {
            match self.average {
                Average::Numbers { from, to, count_include_pad } => {
                    let count = if count_include_pad { counted } else { taps };
                    self.float.run()(&RequantizeArgs {
                        src,
                        src_stride,
                        dst,
                        dst_stride: 1,
                        n,
                        multipliers: &average_multiplier(count, from.scale, to.scale),
                        zero_points: &to.zero_point,
                        param_step: 0,
                        rows,
                        clamp: self.clamp,
                    });
                }
                Average::Codes => {
                    let multiplier = average_codes_multiplier(taps);
                    self.fixed.run()(&RequantizeFixedArgs {
                        src,
                        src_stride,
                        dst,
                        dst_stride: 1,
                        n,
                        multipliers: &multiplier.multiplier,
                        shifts: &multiplier.shift,
                        zero_points: core::ptr::null(),
                        param_step: 0,
                        rows,
                        clamp: self.clamp,
                        rounding: FixedRounding::Single,
                    });
                }
            }
        }
    }

    /// Windows of at most [`SUMS`] results in all, of which those of `pixels` pixels of `n` codes become codes.
    ///
    /// # Safety
    /// As [`Pooling`].
    unsafe fn some(
        &self,
        windows: &Windows,
        counted: usize,
        (n, stride, count): (usize, usize, usize),
        dst: *mut u8,
    ) {
        let [d, h, w] = windows.counts;
        let taps = d * h * w;
        let mut sums = MaybeUninit::<[i32; SUMS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<i32>();
        let start = self.start(taps);
        // SAFETY: by this function's contract; the sums that become codes are among those made.
        unsafe {
            let dst_stride = windows.n;
            self.sums.run()(&SumsArgs { windows: *windows, start, dst: sums, dst_stride });
            self.codes(&Sums { src: sums, stride, n, count }, (taps, counted), dst);
        }
    }
}

impl Pooling for Averaging {
    const POSITIONS: usize = SUMS;

    unsafe fn windows(&self, windows: &Windows, counted: usize, dst: *mut u8) {
        let Windows { src, pixels, pixel_stride, n, .. } = *windows;
        let together = SUMS.checked_div(n).unwrap_or(0).max(1);
        let mut pixel = 0;
        // SAFETY: by the contract of `Pooling`; parts are of the windows and their codes. Not `add`: where there is one
        // pixel, its stride is none.
        unsafe {
            while pixel < pixels {
                let some = together.min(pixels - pixel);
                let (src, dst) = (src.wrapping_add(pixel * pixel_stride), dst.add(pixel * n));
                let mut first = 0;
                while first < n {
                    let part = SUMS.min(n - first);
                    let windows =
                        Windows { src: src.add(first), pixels: some, n: part, ..*windows };
                    self.some(&windows, counted, (part * some, 0, 1), dst.add(first));
                    first += part;
                }
                pixel += some;
            }
        }
    }

    unsafe fn picked(
        &self,
        positions: &Windows,
        counted: usize,
        (unit, step, pixels): (usize, usize, usize),
        dst: *mut u8,
    ) {
        // SAFETY: by the contract of `Pooling`.
        unsafe { self.some(positions, counted, (unit, step, pixels), dst) }
    }

    unsafe fn across(&self, runs: [Option<Windows>; 2], counted: usize, dst: *mut u8) {
        let (mut sum, mut taps) = (0i32, 0);
        for windows in runs.into_iter().flatten() {
            let mut sums = [0i32; ACROSS];
            let [d, h, w] = windows.counts;
            taps += d * h * w * windows.n;
            let dst = sums.as_mut_ptr();
            // SAFETY: by the contract of `Pooling`, at most as many sums as there is room for.
            unsafe { self.sums.run()(&SumsArgs { windows, start: 0, dst, dst_stride: 0 }) };
            let sums = sums.get(..windows.n).unwrap_or_default();
            sum = sums.iter().fold(sum, |sum, &part| sum.wrapping_add(part));
        }
        let sum = sum.wrapping_add(self.start(taps));
        // SAFETY: one sum, one code.
        unsafe { self.codes(&Sums { src: &sum, stride: 1, n: 1, count: 1 }, (taps, counted), dst) }
    }

    unsafe fn nothing(&self, dst: *mut u8, n: usize) {
        let zero = match self.average {
            Average::Numbers { to, .. } => to.zero_point,
            Average::Codes => 0,
        };
        // SAFETY: by the contract of `Pooling`.
        unsafe { dst.write_bytes(zero as u8, n) }
    }
}
