//! Tiles: some pixels of a vector of channels.

use super::{CHANNELS, DepthwiseArgs, LARGE, SMALL, tile_of};
use core::array::from_fn;
use fewbit_simd::Pairs;

/// Runs a block for each number below a constant bound, at most 17, which is a constant in it: compilers leave such loops, and
/// with them sums in memory, once a tile is larger than they like to unroll.
macro_rules! unroll {
    ($number:ident in 0..$end:expr => $body:block) => {
        unroll!($number, $end, $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    ($number:ident, $end:expr, $body:block; $($value:literal)*) => {
        const { assert!($end <= 17) };
        $(
            if const { $value < $end } {
                #[allow(non_upper_case_globals, reason = "a number of the loop")]
                const $number: usize = $value;
                $body
            }
        )*
    };
}

/// What a tile's code is made for.
pub(super) trait Shape<V: Pairs> {
    /// The products of `P` pixels' taps, added to their sums: of the block's first vector or, if `HIGH`, its second.
    ///
    /// # Safety
    /// The arguments have the shape, the place is one of theirs; within an entry compiled for `V`.
    unsafe fn add<const HIGH: bool, const P: usize>(at: &Place<'_>, sums: &mut [V::Sums; P]);
}

/// Rows of `TAPS` taps, an odd number, in `PAIRS` pairs, and pixels `STRIDE` taps apart.
pub(super) struct Rows<const TAPS: usize, const PAIRS: usize, const STRIDE: usize>;

/// Any rows: pair after pair.
pub(super) struct Any;

/// Where a tile's operands are.
pub(super) struct Place<'a> {
    args: &'a DepthwiseArgs,
    /// Of the codes under the first pixel's first tap, from the lines' addresses.
    offset: usize,
    weights: *const i16,
}

impl Place<'_> {
    /// The weights of the pair of taps with this number.
    ///
    /// # Safety
    /// The pair exists; compiled for `V`.
    #[inline(always)]
    unsafe fn pair<V: Pairs>(&self, number: usize) -> V::Weights {
        // SAFETY: by this function's contract.
        unsafe { V::weights(self.weights.add(number * 2 * CHANNELS)) }
    }

    /// The codes of a line under the first pixel's first tap.
    ///
    /// # Safety
    /// The line exists.
    #[inline(always)]
    unsafe fn line(&self, number: usize) -> *const i16 {
        // SAFETY: by this function's contract.
        unsafe { self.args.taps.add(number).read().add(self.offset) }
    }
}

/// All pixels of a vector of channels: of two vectors that begin at channel `first` of the block the first or, if `HIGH`, the
/// second.
///
/// # Safety
/// As [`DepthwiseFn`](super::DepthwiseFn), with arguments of the shape, within an entry compiled for `V`; the vector is
/// one of the block's.
#[inline(always)]
pub(super) unsafe fn row<V: Pairs, S: Shape<V>, const HIGH: bool>(
    args: &DepthwiseArgs,
    first: usize,
) {
    let channel = first + if HIGH { V::CHANNELS } else { 0 };
    let mut pixel = 0;
    // SAFETY: by this function's contract; the pixels are among the computed ones.
    unsafe {
        while pixel < args.pixels {
            let at = Place {
                args,
                offset: args.offset + first + pixel * args.stride * CHANNELS,
                weights: args.weights.add(2 * channel),
            };
            let (start, dst) = (args.start.add(channel), args.dst.add(pixel * CHANNELS + channel));
            if tile_of(args.pixels - pixel) == LARGE {
                tile::<V, S, HIGH, LARGE>(&at, start, dst);
                pixel += LARGE;
            } else {
                tile::<V, S, HIGH, SMALL>(&at, start, dst);
                pixel += SMALL;
            }
        }
    }
}

/// # Safety
/// As [`row`], with the place of `P` pixels.
#[inline(always)]
unsafe fn tile<V: Pairs, S: Shape<V>, const HIGH: bool, const P: usize>(
    at: &Place<'_>,
    start: *const i32,
    dst: *mut i32,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = [V::sums(start); P];
        S::add::<HIGH, P>(at, &mut sums);
        for (p, sums) in sums.into_iter().enumerate() {
            V::store(sums, dst.add(p * CHANNELS));
        }
    }
}

impl<V: Pairs, const TAPS: usize, const PAIRS: usize, const STRIDE: usize> Shape<V>
    for Rows<TAPS, PAIRS, STRIDE>
{
    #[inline(always)]
    unsafe fn add<const HIGH: bool, const P: usize>(at: &Place<'_>, sums: &mut [V::Sums; P]) {
        const { assert!(TAPS % 2 == 1 && PAIRS == TAPS.div_ceil(2)) };
        let (mut line, mut pair) = (0, 0);
        // SAFETY: by this function's contract; lines and pairs exist, columns are those of taps, or one further.
        unsafe {
            while line + 1 < at.args.lines {
                let (a, b) = (at.line(line), at.line(line + 1));
                let weights = from_fn(
                    #[inline(always)]
                    |tap| at.pair::<V>(pair + tap),
                );
                columns::<V, HIGH, P, TAPS, STRIDE, 1>(sums, &weights, a, b);
                line += 2;
                pair += TAPS;
            }
            if line < at.args.lines {
                let a = at.line(line);
                let weights = from_fn(
                    #[inline(always)]
                    |tap| at.pair::<V>(pair + tap),
                );
                columns::<V, HIGH, P, PAIRS, STRIDE, 2>(sums, &weights, a, a.add(CHANNELS));
            }
        }
    }
}

/// Adds the products of `N` pairs, `SPACING` columns apart, to the sums of pixels `STRIDE` columns apart. Each pair of
/// codes is made once.
///
/// # Safety
/// Compiled for `V`; the blocks of the columns can be read.
#[inline(always)]
unsafe fn columns<
    V: Pairs,
    const HIGH: bool,
    const P: usize,
    const N: usize,
    const STRIDE: usize,
    const SPACING: usize,
>(
    sums: &mut [V::Sums; P],
    weights: &[V::Weights; N],
    a: *const i16,
    b: *const i16,
) {
    unroll!(COLUMN in 0..most_columns::<P, N, STRIDE, SPACING>() => {
        if is_used::<P, N, STRIDE, SPACING>(COLUMN) {
            // SAFETY: by this function's contract.
            let codes = unsafe { V::pair::<HIGH>(a.add(COLUMN * CHANNELS), b.add(COLUMN * CHANNELS)) };
            unroll!(TAP in 0..N => {
                let pixel = pixel_of::<P, STRIDE>(COLUMN, TAP * SPACING);
                if let Some(sums) = sums.get_mut(pixel) && let Some(&weights) = weights.get(TAP) {
                    // SAFETY: by this function's contract.
                    *sums = unsafe { V::add_products(*sums, codes, weights) };
                }
            });
        }
    });
}

/// Columns in which a tile has taps.
const fn most_columns<const P: usize, const N: usize, const STRIDE: usize, const SPACING: usize>()
-> usize {
    (P - 1) * STRIDE + (N - 1) * SPACING + 1
}

/// Whether a tile has a tap in a column.
const fn is_used<const P: usize, const N: usize, const STRIDE: usize, const SPACING: usize>(
    column: usize,
) -> bool {
    let mut n = 0;
    while n < N {
        if pixel_of::<P, STRIDE>(column, n * SPACING) < P {
            return true;
        }
        n += 1;
    }
    false
}

/// The pixel of a tile that has a tap, `tap` columns from its first, in a column; `P` if none has.
const fn pixel_of<const P: usize, const STRIDE: usize>(column: usize, tap: usize) -> usize {
    if column < tap || !(column - tap).is_multiple_of(STRIDE) || (column - tap) / STRIDE >= P {
        return P;
    }
    (column - tap) / STRIDE
}

impl<V: Pairs> Shape<V> for Any {
    #[inline(always)]
    unsafe fn add<const HIGH: bool, const P: usize>(at: &Place<'_>, sums: &mut [V::Sums; P]) {
        let args = at.args;
        let (mut line, mut tap, mut pair) = (0, 0, 0);
        // SAFETY: by this function's contract; lines and pairs exist. The second tap of an odd row's last pair may be the one
        // further.
        unsafe {
            while line < args.lines {
                let above = line + 1 < args.lines;
                let a = at.line(line).add(tap * CHANNELS);
                let b = match above {
                    true => at.line(line + 1).add(tap * CHANNELS),
                    false => a.add(CHANNELS),
                };
                let weights = at.pair::<V>(pair);
                for (p, sums) in sums.iter_mut().enumerate() {
                    let shift = p * args.stride * CHANNELS;
                    let codes = V::pair::<HIGH>(a.add(shift), b.add(shift));
                    *sums = V::add_products(*sums, codes, weights);
                }
                pair += 1;
                tap += if above { 1 } else { 2 };
                if tap >= args.width {
                    (line, tap) = (line + 2, 0);
                }
            }
        }
    }
}
