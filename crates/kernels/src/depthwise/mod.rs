//! Depthwise convolution of neighbouring pixels: each channel's taps times that channel's weights, summed exactly.
//!
//! Codes come widened to i16 ([`WIDEN_S8`], [`WIDEN_U8`]), a line of them for each row of taps, so that signedness,
//! padding and odd numbers of channels are over before the products begin. Taps go two to a product. Two lines make pairs of
//! taps one above the other: under stride 1 a pair made once is multiplied for each pixel that has a tap
//! there. The last of an odd number of lines makes pairs of neighbours.
//!
//! A tile is a few pixels, whose sums stay in registers through all lines. For rows of 3, 5 and 7 taps, at the strides that
//! networks have, everything within a line is unrolled; other shapes take each pair of taps in turn and are, a multiplication,
//! an addition and a pairing each, not far behind.

mod tile;

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Pairs;
use tile::Shape;

/// Channels that lines, weights, start values and sums are padded to a multiple of.
pub const CHANNELS: usize = fewbit_simd::MAX_PAIR_CHANNELS;

/// Codes to widen: some pixels of a line.
#[derive(Clone, Copy, Debug)]
pub struct WidenArgs {
    /// The first pixel's codes, contiguous bytes.
    pub src: *const u8,
    /// Bytes between neighbouring pixels' codes.
    pub src_stride: usize,
    /// The number of pixels.
    pub pixels: usize,
    /// Codes of a pixel.
    pub channels: usize,
    /// The first pixel's place in a line.
    pub dst: *mut i16,
    /// Elements between neighbouring pixels of the line.
    pub dst_stride: usize,
}

/// A kernel of this op.
///
/// # Safety
/// All bytes from the first pixel's first to the last pixel's last code can be read; for every pixel, `channels` rounded
/// up to a multiple of [`CHANNELS`] elements can be written, and overlap nothing else.
pub type WidenFn = unsafe fn(&WidenArgs);

/// Some pixels of a row, some channels.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// `lines` addresses, one a row of taps: less `offset`, the codes under the first pixel's first tap, widened by the
    /// same instruction set.
    pub taps: *const *const i16,
    /// Elements from there to the first pixel's codes.
    pub offset: usize,
    /// Rows of taps, at least 1.
    pub lines: usize,
    /// Taps of a row, at least 1.
    pub width: usize,
    /// Elements between neighbouring taps.
    pub tap_stride: usize,
    /// Elements between the same tap of neighbouring pixels.
    pub pixel_stride: usize,
    /// The number of pixels, at least 1.
    pub pixels: usize,
    /// The first channel's weights, less their zero point: `[pairs(lines, width)][weight_channels][2]`.
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
/// With `n` the channels rounded up to a multiple of [`CHANNELS`], whose content beyond the channels does not matter:
/// `n` codes can be read at each tap of [`computed`]`(pixels)` pixels, and at one further tap of each row; `n` start values,
/// and weights of every pair; `n` sums of each computed pixel can be written, and overlap nothing else. Addresses are
/// aligned, nothing else need be.
pub type DepthwiseFn = unsafe fn(&DepthwiseArgs);

rows! {
    /// Widened codes to sums.
    DEPTHWISE: DepthwiseFn = "depthwise_s16s32", |args: &DepthwiseArgs|, depthwise::<V>(args)
}

rows! {
    /// s8 codes to a line.
    WIDEN_S8: WidenFn = "depthwise_widen_s8s16", |args: &WidenArgs|, widen::<V, true>(args)
}

rows! {
    /// u8 codes to a line.
    WIDEN_U8: WidenFn = "depthwise_widen_u8s16", |args: &WidenArgs|, widen::<V, false>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(DEPTHWISE).chain(infos(WIDEN_S8)).chain(infos(WIDEN_U8))
}

/// Pairs of taps: of two lines each, then of an odd line, whose last pair has one tap or two.
pub const fn pairs(lines: usize, width: usize) -> usize {
    lines / 2 * width + if lines % 2 == 1 { width.div_ceil(2) } else { 0 }
}

/// The taps of a pair, each `(line, tap of the line)`, and no second one in the last pair of an odd number.
pub const fn taps_of_pair(
    lines: usize,
    width: usize,
    pair: usize,
) -> ((usize, usize), Option<(usize, usize)>) {
    // (Nothing is divided by 0: a row has a tap.)
    let width = if width == 0 { 1 } else { width };
    let (above, tap) = (pair / width * 2, pair % width);
    if above + 1 < lines {
        return ((above, tap), Some((above + 1, tap)));
    }
    let first = 2 * tap;
    ((above, first), if first + 1 < width { Some((above, first + 1)) } else { None })
}

/// Pixels whose sums are computed when so many are asked for: whole tiles, up to three more.
pub const fn computed(pixels: usize) -> usize {
    let (mut left, mut computed) = (pixels, 0);
    while left > 0 {
        let tile = tile_of(left);
        computed += tile;
        left = left.saturating_sub(tile);
    }
    computed
}

/// Pixels of the larger tile, and of the smaller.
const LARGE: usize = 7;
const SMALL: usize = 4;

/// Pixels of the next tile where so many are left. The sides of networks' images are multiples of 7, or of 4 and 5.
const fn tile_of(left: usize) -> usize {
    if left <= SMALL || left == 2 * SMALL { SMALL } else { LARGE }
}

/// # Safety
/// As [`WidenFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn widen<V: Pairs, const SIGNED: bool>(args: &WidenArgs) {
    let WidenArgs { src, src_stride, pixels, channels, dst, dst_stride } = *args;
    let block = 2 * V::CHANNELS;
    let end = pixels.saturating_sub(1) * src_stride + channels;
    for pixel in 0..pixels {
        let mut first = 0;
        while first < channels {
            let at = pixel * src_stride + first;
            // SAFETY: by this function's contract; what of a whole block belongs to other channels is not used, and a block that
            // would end behind the last pixel's codes is not whole. `dst` has room for whole blocks.
            unsafe {
                let to = dst.add(pixel * dst_stride + first);
                if end - at >= block {
                    V::widen::<SIGNED>(src.add(at), to, block);
                } else {
                    V::widen::<SIGNED>(src.add(at), to, channels - first);
                }
            }
            first += block;
        }
    }
}

/// # Safety
/// As [`DepthwiseFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn depthwise<V: Pairs>(args: &DepthwiseArgs) {
    const { assert!(CHANNELS.is_multiple_of(2 * V::CHANNELS)) };
    let shape = Shape::of::<V>(args);
    let mut first = 0;
    while first < args.channels {
        // SAFETY: by this function's contract; both vectors lie in the padded channels.
        unsafe {
            tile::row::<V, false>(args, shape, first);
            if first + V::CHANNELS < args.channels {
                tile::row::<V, true>(args, shape, first);
            }
        }
        first += 2 * V::CHANNELS;
    }
}
