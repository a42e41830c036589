//! Depthwise convolution of neighbouring pixels: each channel's taps times that channel's weights, summed exactly.
//!
//! Codes come widened to i16 ([`WIDEN_S8`], [`WIDEN_U8`]), a line of them for each row of taps, so that signedness,
//! padding, dilation and odd numbers of channels are over before the products begin. Everything lies in blocks of
//! [`CHANNELS`] channels, so that distances are constants. Taps go two to a product. Two lines make pairs of taps one
//! above the other: under stride 1 a pair made once is multiplied for each pixel that has a tap there. The last of an
//! odd number of lines makes pairs of neighbours.
//!
//! A tile is a few pixels, whose sums stay in registers through all lines. For rows of 3, 5 and 7 taps, at the strides that
//! networks have, everything within a line is unrolled; other shapes take each pair of taps in turn, and make it anew. Three rows of
//! three taps, the usual ones, go by columns where a vector has code for it ([`Pairs::three`]): any number of pixels, of
//! which those that a column belongs to are in registers.

mod results;
mod tile;

pub use results::{Codes, Results};

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use core::mem::MaybeUninit;
use fewbit_simd::{Lanes, Pairs};
use results::Sums;
use tile::{Any, Place, Rows, Three, Tiles};

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

/// Some pixels of a row, some channels.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// `lines` addresses, one a row of taps: less `offset`, the first block of the first pixel's first tap, widened by the same
    /// instruction set. Blocks of neighbouring taps follow each other.
    pub taps: *const *const i16,
    /// Elements from there to the first pixel's codes.
    pub offset: usize,
    /// Elements from a tap's block to its next one.
    pub block: usize,
    /// Rows of taps, at least 1.
    pub lines: usize,
    /// Taps of a row, at least 1.
    pub width: usize,
    /// Taps between neighbouring pixels, at least 1.
    pub stride: usize,
    /// The number of pixels.
    pub pixels: usize,
    /// The weights, less their zero points: a block `[pairs(lines, width)][CHANNELS][2]`.
    pub weights: *const i16,
    /// What the sums of each channel start with.
    pub start: *const i32,
    /// The number of channels.
    pub channels: usize,
    /// What becomes of the sums.
    pub results: Results,
}

/// A kernel of this op.
///
/// # Safety
/// Whole blocks, whose content beyond the channels does not matter, can be read at each tap of [`computed`]`(pixels)`
/// pixels, and at one further tap of each row; so can start values, and weights of every pair. The results of the pixels'
/// channels can be written, and overlap nothing else; a factor of each channel can be read. Addresses of i16 and i32 are
/// aligned, those of results need not be.
pub type DepthwiseFn = unsafe fn(&DepthwiseArgs);

rows! {
    /// Widened codes to sums, or to codes of sums.
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

/// Pixels of the next tile where so many are left: never more than of the one before. The sides of networks' images are multiples of 7, or of 4 and 5.
const fn tile_of(left: usize) -> usize {
    if left <= SMALL || left == 2 * SMALL { SMALL } else { LARGE }
}

/// # Safety
/// As [`WidenFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn widen<V: Pairs, const SIGNED: bool>(args: &WidenArgs) {
    let WidenArgs { src, src_stride, pixels, channels, dst, dst_stride } = *args;
    const { assert!(CHANNELS.is_multiple_of(V::WIDENED)) };
    let vectors = V::WIDENED;
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

/// Tiles whose sums are made before they become results, in the first cache.
const MOST: usize = 8;

/// Sums of so many.
#[repr(align(64))]
struct Buffer(MaybeUninit<[i32; MOST * LARGE * CHANNELS]>);

/// # Safety
/// As [`DepthwiseFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn depthwise<V: Pairs + Lanes>(args: &DepthwiseArgs) {
    let DepthwiseArgs { lines, width, stride, pixels, channels, results, .. } = *args;
    let mut buffer = Buffer(MaybeUninit::uninit());
    let buffer = buffer.0.as_mut_ptr().cast::<i32>();
    let weights = pairs(lines, width) * (2 * CHANNELS);
    let mut pixel = 0;
    while pixel < pixels {
        let left = pixels - pixel;
        let (mut tiles, mut made) = (Tiles { large: 0, small: 0, pixels: 0 }, 0);
        while tiles.large + tiles.small < MOST && made < left {
            let tile = tile_of(left - made);
            match tile {
                LARGE => tiles.large += 1,
                _ => tiles.small += 1,
            }
            made += tile;
        }
        tiles.pixels = made.min(left);
        let (mut channel, mut block) = (0, 0);
        while channel < channels {
            let n = CHANNELS.min(channels - channel);
            // SAFETY: by this function's contract: the block exists, and the buffer holds the tiles.
            unsafe {
                let place = Place {
                    args,
                    offset: args.offset + block * args.block + pixel * stride * CHANNELS,
                    weights: args.weights.add(block * weights),
                    start: args.start.add(channel),
                };
                let sums = match results {
                    // Whole blocks of whole tiles go where they belong at once.
                    Results::Sums { dst, stride } if made <= left && n == CHANNELS => {
                        (dst.add(pixel * stride + channel), stride)
                    }
                    _ => (buffer, CHANNELS),
                };
                shaped::<V>(&place, n, tiles, sums);
                if sums.0 == buffer {
                    let pixels = tiles.pixels;
                    results.store::<V>(&Sums { at: buffer, pixel, pixels, channel, channels: n });
                }
            }
            channel += CHANNELS;
            block += 1;
        }
        pixel += made;
    }
}

/// Some tiles of a block, by the code for their shape.
///
/// # Safety
/// As [`tile::block`], with any arguments.
#[inline(always)]
unsafe fn shaped<V: Pairs>(at: &Place<'_>, channels: usize, tiles: Tiles, sums: (*mut i32, usize)) {
    // SAFETY: by this function's contract; each shape is that of the arguments.
    unsafe {
        if V::THREE {
            match (at.args.lines, at.args.width, at.args.stride) {
                (3, 3, 1) => return tile::three::<V, 1>(at, channels, tiles.pixels, sums),
                (3, 3, 2) => return tile::three::<V, 2>(at, channels, tiles.pixels, sums),
                _ => {}
            }
        }
        if V::TILES {
            match (at.args.lines, at.args.width, at.args.stride) {
                (3, 3, 1) if !V::THREE => {
                    return tile::block::<V, Three<1>>(at, channels, tiles, sums);
                }
                (3, 3, 2) if !V::THREE => {
                    return tile::block::<V, Three<2>>(at, channels, tiles, sums);
                }
                (_, 3, 1) => return tile::block::<V, Rows<3, 2, 1>>(at, channels, tiles, sums),
                (_, 5, 1) => return tile::block::<V, Rows<5, 3, 1>>(at, channels, tiles, sums),
                (_, 7, 1) => return tile::block::<V, Rows<7, 4, 1>>(at, channels, tiles, sums),
                (_, 5, 2) => return tile::block::<V, Rows<5, 3, 2>>(at, channels, tiles, sums),
                _ => {}
            }
        }
        tile::block::<V, Any>(at, channels, tiles, sums);
    }
}
