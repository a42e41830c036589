//! Pooling: the largest code, or the exact sum, of the pixels under a window.
//!
//! A window is a box of taps at regular distances, so that its taps are found by adding: padding is no tap, and any
//! kernel size, dilation and border is the same loop, whole images included. Vectors go across neighbouring codes: the
//! channels of channels-last images, or, where windows are one pixel apart, pixels and channels alike, as a tap of the
//! next window is then the next code. Four vectors of maxima share a pass through the taps, which hides the latency of
//! one; sums are made in 16 bits while these cannot overflow, two vectors at a time, which with their 32-bit sums fill
//! the registers of the smallest register file.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::{Bytes, MAX_ADDED};

/// Windows of one shape over codes.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// The first window's first tap: its first code.
    pub src: *const u8,
    /// Taps along three axes, each at least 1; at most 2^23 in all for sums.
    pub counts: [usize; 3],
    /// Bytes between neighbouring taps.
    pub strides: [usize; 3],
    /// Windows, side by side.
    pub pixels: usize,
    /// Bytes between neighbouring windows.
    pub pixel_stride: usize,
    /// Neighbouring codes of a tap, each of which has a result.
    pub n: usize,
}

/// Windows whose largest codes are wanted.
#[derive(Clone, Copy, Debug)]
pub struct MaxArgs {
    /// The windows.
    pub windows: Windows,
    /// The first window's results, `n` contiguous codes.
    pub dst: *mut u8,
    /// Codes between the results of neighbouring windows.
    pub dst_stride: usize,
}

/// Windows whose sums are wanted.
#[derive(Clone, Copy, Debug)]
pub struct SumsArgs {
    /// The windows.
    pub windows: Windows,
    /// What every sum starts with; sums are modulo 2^32.
    pub start: i32,
    /// The first window's sums, `n` of them, contiguous.
    pub dst: *mut i32,
    /// Sums between those of neighbouring windows.
    pub dst_stride: usize,
}

/// A kernel of maxima.
///
/// # Safety
/// For every window and tap `n` codes can be read at `src + pixel * pixel_stride + the tap's place`; the results of every
/// window can be written, and overlap nothing else. Nothing need be aligned.
pub type MaxFn = unsafe fn(&MaxArgs);

/// A kernel of sums.
///
/// # Safety
/// As [`MaxFn`].
pub type SumsFn = unsafe fn(&SumsArgs);

rows! {
    /// The largest of s8 codes.
    MAX_S8: MaxFn = "max_pool_s8s8", |args: &MaxArgs|, maxima::<V, true>(args)
}

rows! {
    /// The largest of u8 codes.
    MAX_U8: MaxFn = "max_pool_u8u8", |args: &MaxArgs|, maxima::<V, false>(args)
}

rows! {
    /// Sums of s8 codes.
    SUMS_S8: SumsFn = "pool_sums_s8s32", |args: &SumsArgs|, sums::<V, true>(args)
}

rows! {
    /// Sums of u8 codes.
    SUMS_U8: SumsFn = "pool_sums_u8s32", |args: &SumsArgs|, sums::<V, false>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(MAX_S8).chain(infos(MAX_U8)).chain(infos(SUMS_S8)).chain(infos(SUMS_U8))
}

/// Vectors of maxima at a time.
const MAXIMA: usize = 4;
/// Vectors of sums at a time.
const SUMS: usize = 2;

/// # Safety
/// As [`MaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn maxima<V: Bytes, const SIGNED: bool>(args: &MaxArgs) {
    let Windows { src, pixels, pixel_stride, n, .. } = args.windows;
    for pixel in 0..pixels {
        // SAFETY: by this function's contract; all vectors lie within the `n` codes. Not `add` for the source:
        // with a single window the stride may be anything.
        unsafe {
            let src = src.wrapping_add(pixel * pixel_stride);
            let dst = args.dst.add(pixel * args.dst_stride);
            if n == 1 {
                dst.write(one::<Most, SIGNED>(&args.windows, src, i32::MIN) as u8);
                continue;
            }
            let mut at = 0;
            while n - at >= MAXIMA * V::BYTES {
                let (src, dst) = (src.add(at), dst.add(at));
                largest::<V, SIGNED, MAXIMA>(&args.windows, src, dst, V::BYTES);
                at += MAXIMA * V::BYTES;
            }
            while n - at >= V::BYTES {
                largest::<V, SIGNED, 1>(&args.windows, src.add(at), dst.add(at), V::BYTES);
                at += V::BYTES;
            }
            if at < n {
                // The last vector ends with the codes: some are computed twice.
                let (at, n) = if n > V::BYTES { (n - V::BYTES, V::BYTES) } else { (0, n) };
                largest::<V, SIGNED, 1>(&args.windows, src.add(at), dst.add(at), n);
            }
        }
    }
}

/// What is made of single codes.
trait Fold {
    fn fold(so_far: i32, code: i32) -> i32;
}

struct Most;

impl Fold for Most {
    #[inline(always)]
    fn fold(so_far: i32, code: i32) -> i32 {
        if code > so_far { code } else { so_far }
    }
}

struct Added;

impl Fold for Added {
    #[inline(always)]
    fn fold(so_far: i32, code: i32) -> i32 {
        so_far.wrapping_add(code)
    }
}

/// A window of single codes, as at the borders of channels-first images: loading them into vectors would be most of the work.
///
/// # Safety
/// As [`MaxFn`], for this window.
#[inline(always)]
unsafe fn one<F: Fold, const SIGNED: bool>(
    windows: &Windows,
    src: *const u8,
    mut so_far: i32,
) -> i32 {
    let [depth, height, width] = windows.counts;
    let [by_depth, by_height, by_width] = windows.strides;
    let mut plane = src;
    for _ in 0..depth {
        let mut line = plane;
        for _ in 0..height {
            let mut tap = line;
            for _ in 0..width {
                // SAFETY: by this function's contract: a tap's code. Not `add` below: behind the last tap there may be
                // nothing.
                let code = unsafe { tap.read() };
                so_far = F::fold(so_far, if SIGNED { code as i8 as i32 } else { code as i32 });
                tap = tap.wrapping_add(by_width);
            }
            line = line.wrapping_add(by_height);
        }
        plane = plane.wrapping_add(by_depth);
    }
    so_far
}

/// The largest codes of a window, in `P` vectors; `n` codes of each.
///
/// # Safety
/// As [`MaxFn`], within an entry compiled for `V`; `n <= V::BYTES`, and with several vectors `n == V::BYTES`.
#[inline(always)]
unsafe fn largest<V: Bytes, const SIGNED: bool, const P: usize>(
    windows: &Windows,
    src: *const u8,
    dst: *mut u8,
    n: usize,
) {
    let [depth, height, width] = windows.counts;
    let [by_depth, by_height, by_width] = windows.strides;
    // SAFETY: by this function's contract: what is loaded is a tap's codes. Not `add`: behind the last tap there may be
    // nothing.
    unsafe {
        // The first tap, once more below: a maximum does not mind.
        let mut most = [V::load(src, n); P];
        for (i, most) in most.iter_mut().enumerate().skip(1) {
            *most = V::load(src.add(i * V::BYTES), n);
        }
        let mut plane = src;
        for _ in 0..depth {
            let mut line = plane;
            for _ in 0..height {
                let mut tap = line;
                for _ in 0..width {
                    for (i, most) in most.iter_mut().enumerate() {
                        *most = V::max::<SIGNED>(*most, V::load(tap.wrapping_add(i * V::BYTES), n));
                    }
                    tap = tap.wrapping_add(by_width);
                }
                line = line.wrapping_add(by_height);
            }
            plane = plane.wrapping_add(by_depth);
        }
        for (i, most) in most.into_iter().enumerate() {
            V::store(dst.add(i * V::BYTES), most, n);
        }
    }
}

/// # Safety
/// As [`SumsFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn sums<V: Bytes, const SIGNED: bool>(args: &SumsArgs) {
    let Windows { src, pixels, pixel_stride, n, .. } = args.windows;
    for pixel in 0..pixels {
        // SAFETY: as in `maxima`.
        unsafe {
            let src = src.wrapping_add(pixel * pixel_stride);
            let dst = args.dst.add(pixel * args.dst_stride);
            if n == 1 {
                dst.write_unaligned(one::<Added, SIGNED>(&args.windows, src, args.start));
                continue;
            }
            let mut at = 0;
            while n - at >= SUMS * V::BYTES {
                let (src, dst) = (src.add(at), dst.add(at));
                added::<V, SIGNED, SUMS>(args, src, dst, V::BYTES);
                at += SUMS * V::BYTES;
            }
            while n - at >= V::BYTES {
                added::<V, SIGNED, 1>(args, src.add(at), dst.add(at), V::BYTES);
                at += V::BYTES;
            }
            if at < n {
                let (at, n) = if n > V::BYTES { (n - V::BYTES, V::BYTES) } else { (0, n) };
                added::<V, SIGNED, 1>(args, src.add(at), dst.add(at), n);
            }
        }
    }
}

/// The sums of a window, in `P` vectors; `n` sums of each.
///
/// # Safety
/// As [`SumsFn`], within an entry compiled for `V`; `n <= V::BYTES`, and with several vectors `n == V::BYTES`.
#[inline(always)]
unsafe fn added<V: Bytes, const SIGNED: bool, const P: usize>(
    args: &SumsArgs,
    src: *const u8,
    dst: *mut i32,
    n: usize,
) {
    let [depth, height, width] = args.windows.counts;
    let [by_depth, by_height, by_width] = args.windows.strides;
    // SAFETY: as in `largest`.
    unsafe {
        let mut sums = [V::splat(args.start); P];
        let mut short = [V::zeros(); P];
        // Taps that the short sums still take.
        let mut room = MAX_ADDED;
        let mut plane = src;
        for _ in 0..depth {
            let mut line = plane;
            for _ in 0..height {
                let mut tap = line;
                let mut left = width;
                while left > 0 {
                    let run = left.min(room);
                    for _ in 0..run {
                        for (i, short) in short.iter_mut().enumerate() {
                            let codes = V::load(tap.wrapping_add(i * V::BYTES), n);
                            *short = V::add::<SIGNED>(*short, codes);
                        }
                        tap = tap.wrapping_add(by_width);
                    }
                    (left, room) = (left - run, room - run);
                    if room == 0 {
                        for (sums, short) in sums.iter_mut().zip(&mut short) {
                            *sums = V::widen(*sums, *short);
                            *short = V::zeros();
                        }
                        room = MAX_ADDED;
                    }
                }
                line = line.wrapping_add(by_height);
            }
            plane = plane.wrapping_add(by_depth);
        }
        for (i, (sums, short)) in sums.into_iter().zip(short).enumerate() {
            V::store_sums(dst.add(i * V::BYTES), V::widen(sums, short), n);
        }
    }
}
