//! Depthwise convolution of neighbouring pixels: each channel's taps times that channel's weights, summed exactly.
//!
//! Vectors go across channels, two taps a step. Four pixels share the weights that a step loads: with them, the sums
//! of four pixels fill the registers of the smallest register file. Taps are found by their addresses, so that any kernel
//! size, dilation and padding is the same loop; a loop's own cost is nothing beside four pixels' work.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Pairs;

/// Channels that weights and start values are padded to a multiple of.
pub const CHANNELS: usize = fewbit_simd::MAX_PAIR_CHANNELS;

/// Pixels at a time.
pub const PIXELS: usize = 4;

/// Some pixels of a row, some channels.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// `2 * pairs` addresses, one a tap: less `offset`, where the first pixel's codes begin, contiguous bytes.
    pub taps: *const *const u8,
    /// Bytes from there to the first pixel's codes.
    pub offset: usize,
    /// Pairs of taps. With an odd number of taps the last one's partner has weights 0.
    pub pairs: usize,
    /// The number of pixels.
    pub pixels: usize,
    /// Bytes between neighbouring pixels' codes under the same tap.
    pub pixel_stride: usize,
    /// The first channel's weights, less their zero point: `[pairs][weight_channels][2]`.
    pub weights: *const i16,
    /// Channels of a pair of taps.
    pub weight_channels: usize,
    /// What the sums of each channel start with.
    pub start: *const i32,
    /// The number of channels.
    pub channels: usize,
    /// The first pixel's sums, one a channel, contiguous.
    pub dst: *mut i32,
    /// Sums between neighbouring pixels.
    pub dst_stride: usize,
}

/// A kernel of this op.
///
/// # Safety
/// For every tap and pixel, `channels` codes can be read at `taps[tap] + offset + pixel * pixel_stride`; start values,
/// and weights of every pair, for `channels` rounded up to a multiple of [`CHANNELS`], of whatever content
/// beyond them; `channels` sums of every pixel can be written, and overlap nothing else. Addresses are aligned,
/// nothing else need be.
pub type DepthwiseFn = unsafe fn(&DepthwiseArgs);

rows! {
    /// s8 codes to sums.
    DEPTHWISE_S8: DepthwiseFn = "depthwise_s8s32", |args: &DepthwiseArgs|, depthwise::<V, true>(args)
}

rows! {
    /// u8 codes to sums.
    DEPTHWISE_U8: DepthwiseFn = "depthwise_u8s32", |args: &DepthwiseArgs|, depthwise::<V, false>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(DEPTHWISE_S8).chain(infos(DEPTHWISE_U8))
}

/// # Safety
/// As [`DepthwiseFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn depthwise<V: Pairs, const SIGNED: bool>(args: &DepthwiseArgs) {
    const { assert!(CHANNELS.is_multiple_of(V::CHANNELS)) };
    let channels = args.channels;
    let mut first = 0;
    while first < channels {
        // The last vector begins where it ends with the channels: some are computed twice, none is beyond.
        let at = if channels >= V::CHANNELS { first.min(channels - V::CHANNELS) } else { 0 };
        // SAFETY: by this function's contract; `at + n <= channels`, and all vectors lie in the padded ones.
        unsafe {
            if channels >= V::CHANNELS {
                row::<V, SIGNED>(args, at, V::CHANNELS);
            } else {
                row::<V, SIGNED>(args, 0, channels);
            }
        }
        first += V::CHANNELS;
    }
}

/// All pixels of `n` channels from number `at` on.
///
/// # Safety
/// As [`DepthwiseFn`], within an entry compiled for `V`; `n <= V::CHANNELS`, `at + n <= channels`.
#[inline(always)]
unsafe fn row<V: Pairs, const SIGNED: bool>(args: &DepthwiseArgs, at: usize, n: usize) {
    let mut pixel = 0;
    // SAFETY: by this function's contract; the pixels exist.
    unsafe {
        while args.pixels - pixel >= PIXELS {
            pixels::<V, SIGNED, PIXELS>(args, pixel, at, n);
            pixel += PIXELS;
        }
        while pixel < args.pixels {
            pixels::<V, SIGNED, 1>(args, pixel, at, n);
            pixel += 1;
        }
    }
}

/// `P` pixels.
///
/// # Safety
/// As [`row`]; the pixels exist.
#[inline(always)]
unsafe fn pixels<V: Pairs, const SIGNED: bool, const P: usize>(
    args: &DepthwiseArgs,
    first: usize,
    at: usize,
    n: usize,
) {
    let stride = args.pixel_stride;
    let offset = args.offset + first * stride + at;
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [V::sums(args.start.add(at)); P];
        let mut weights = args.weights.add(2 * at);
        let mut taps = args.taps.cast::<[*const u8; 2]>();
        for _ in 0..args.pairs {
            let [a, b] = taps.read().map(|tap| tap.wrapping_add(offset));
            let w = V::weights(weights);
            for (p, sums) in sums.iter_mut().enumerate() {
                let (a, b) = (a.wrapping_add(p * stride), b.wrapping_add(p * stride));
                *sums = V::add_products::<SIGNED>(*sums, V::codes(a, n), V::codes(b, n), w);
            }
            taps = taps.add(1);
            // Not `add`: behind the last pair it may lie beyond the weights.
            weights = weights.wrapping_add(2 * args.weight_channels);
        }
        for (p, sums) in sums.into_iter().enumerate() {
            V::store(sums, args.dst.add((first + p) * args.dst_stride + at), n);
        }
    }
}
