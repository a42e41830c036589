//! Depthwise convolution of neighbouring pixels: each channel's taps times that channel's weights, summed exactly.
//!
//! Codes come widened to i16 ([`WIDEN_S8`], [`WIDEN_U8`]), a line of them for each row of taps, so that signedness,
//! padding, dilation and odd numbers of channels are over before the products begin. Everything lies in blocks of
//! [`CHANNELS`] channels, so that distances are constants. Taps go two to a product. Two lines make pairs of taps one
//! above the other: under stride 1 a pair made once is multiplied for each pixel that has a tap there. The last of an
//! odd number of lines makes pairs of neighbours.
//!
//! A tile is a few pixels, whose sums stay in registers through all lines. For rows of 3, 5 and 7 taps, at the strides that
//! networks have, everything within a line is unrolled; other shapes take each pair of taps in turn, and make it anew.

mod tile;

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Pairs;
use tile::{Any, Rows, Shape};

/// Channels of a block.
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
    /// The first pixel's first block of [`CHANNELS`]; those of neighbouring pixels follow each other.
    pub dst: *mut i16,
    /// Elements between a pixel's blocks.
    pub dst_stride: usize,
}

/// A kernel of this op.
///
/// # Safety
/// All bytes from the first pixel's first to the last pixel's last code can be read; all blocks of every pixel can be
/// written, of which what lies beyond the channels may be, and they overlap nothing else.
pub type WidenFn = unsafe fn(&WidenArgs);

/// Some pixels of a row, a block of channels.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// `lines` addresses, one a row of taps: less `offset`, the block of the first pixel's first tap, widened by the same
    /// instruction set. Blocks of neighbouring taps follow each other.
    pub taps: *const *const i16,
    /// Elements from there to the first pixel's codes.
    pub offset: usize,
    /// Rows of taps, at least 1.
    pub lines: usize,
    /// Taps of a row, at least 1.
    pub width: usize,
    /// Taps between neighbouring pixels, at least 1.
    pub stride: usize,
    /// The number of pixels, at least 1.
    pub pixels: usize,
    /// The block's weights, less their zero points: `[pairs(lines, width)][CHANNELS][2]`.
    pub weights: *const i16,
    /// What the sums of each channel start with.
    pub start: *const i32,
    /// The number of channels, `1..=CHANNELS`.
    pub channels: usize,
    /// The sums: `[computed(pixels)][CHANNELS]`.
    pub dst: *mut i32,
}

/// A kernel of this op.
///
/// # Safety
/// Whole blocks, whose content beyond the channels does not matter, can be read at each tap of [`computed`]`(pixels)`
/// pixels, and at one further tap of each row; so can start values, and weights of every pair. Blocks of sums of each
/// computed pixel can be written, and overlap nothing else. Addresses are aligned, nothing else need be.
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
    let vectors = 2 * V::CHANNELS;
    let end = pixels.saturating_sub(1) * src_stride + channels;
    let mut first = 0;
    while first < channels {
        let n = vectors.min(channels - first);
        // Pixels from which a whole block can be read: what of it belongs to other channels is not used. (A loop, as
        // dividing would cost more.)
        let mut whole = pixels;
        while whole > 0 && (whole - 1) * src_stride + first + vectors > end {
            whole -= 1;
        }
        let to = dst.wrapping_add(first / CHANNELS * dst_stride + first % CHANNELS);
        // SAFETY: by this function's contract, as just reckoned.
        unsafe {
            for pixel in 0..whole {
                let from = src.add(pixel * src_stride + first);
                V::widen::<SIGNED>(from, to.add(pixel * CHANNELS), vectors);
            }
            for pixel in whole..pixels {
                let from = src.add(pixel * src_stride + first);
                V::widen::<SIGNED>(from, to.add(pixel * CHANNELS), n);
            }
        }
        first += vectors;
    }
}

/// # Safety
/// As [`DepthwiseFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn depthwise<V: Pairs>(args: &DepthwiseArgs) {
    const { assert!(CHANNELS.is_multiple_of(2 * V::CHANNELS)) };
    // SAFETY: by this function's contract; each shape is that of the arguments.
    unsafe {
        if V::TILES {
            match (args.width, args.stride) {
                (3, 1) => return block::<V, Rows<3, 2, 1>>(args),
                (5, 1) => return block::<V, Rows<5, 3, 1>>(args),
                (7, 1) => return block::<V, Rows<7, 4, 1>>(args),
                (3, 2) => return block::<V, Rows<3, 2, 2>>(args),
                (5, 2) => return block::<V, Rows<5, 3, 2>>(args),
                _ => {}
            }
        }
        block::<V, Any>(args);
    }
}

/// All vectors of a block.
///
/// # Safety
/// As [`depthwise`], with arguments of the shape.
#[inline(always)]
unsafe fn block<V: Pairs, S: Shape<V>>(args: &DepthwiseArgs) {
    let mut first = 0;
    while first < args.channels {
        // SAFETY: by this function's contract; both vectors lie in the block.
        unsafe {
            tile::row::<V, S, false>(args, first);
            if first + V::CHANNELS < args.channels {
                tile::row::<V, S, true>(args, first);
            }
        }
        first += 2 * V::CHANNELS;
    }
}
