//! Tiles: some pixels of a vector of channels.

use super::{CHANNELS, DepthwiseArgs, LARGE, SMALL};
use core::array::from_fn;
use fewbit_simd::{Pairs, ThreeRows};

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
    /// The lines of all tiles, where their number is known.
    type Lines: Copy;

    /// # Safety
    /// As [`add`](Shape::add).
    unsafe fn lines(at: &Place<'_>) -> Self::Lines;

    /// The products of the taps of `P` pixels, which begin `pixel` pixels behind the place, added to their sums: of the
    /// block's first vector or, if `HIGH`, its second.
    ///
    /// # Safety
    /// The arguments have the shape, the place is one of theirs; within an entry compiled for `V`.
    unsafe fn add<const HIGH: bool, const P: usize>(
        at: &Place<'_>,
        lines: Self::Lines,
        pixel: usize,
        sums: &mut [V::Sums; P],
    );
}

/// Three rows of three taps, and pixels `STRIDE` taps apart: nothing is left to decide.
pub(super) struct Three<const STRIDE: usize>;

/// Rows of `TAPS` taps, an odd number, in `PAIRS` pairs, and pixels `STRIDE` taps apart.
pub(super) struct Rows<const TAPS: usize, const PAIRS: usize, const STRIDE: usize>;

/// Any rows: pair after pair.
pub(super) struct Any;

/// Where operands of some pixels are.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub args: &'a DepthwiseArgs,
    /// Of the codes under the first pixel's first tap, from the lines' addresses.
    pub offset: usize,
    pub weights: *const i16,
    pub start: *const i32,
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

    /// The codes of a line under the first tap of a pixel.
    ///
    /// # Safety
    /// The line and the pixel exist.
    #[inline(always)]
    unsafe fn line(&self, number: usize, pixel: usize) -> *const i16 {
        let shift = pixel * self.args.stride * CHANNELS;
        // SAFETY: by this function's contract.
        unsafe { self.args.taps.add(number).read().add(self.offset + shift) }
    }
}

/// Tiles of neighbouring pixels, the larger ones first.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub large: usize,
    pub small: usize,
    /// Pixels that are asked for.
    pub pixels: usize,
}

/// Some tiles' sums of a block, or of its first channels: vector by vector, so that little is to do beside a tile's products.
///
/// # Safety
/// As [`DepthwiseFn`](super::DepthwiseFn), with arguments of the shape and a place of theirs, within an entry compiled for
/// `V`; sums of whole vectors of each of the tiles' pixels can be written, `stride` elements apart.
#[inline(always)]
pub(super) unsafe fn block<V: Pairs, S: Shape<V>>(
    at: &Place<'_>,
    channels: usize,
    tiles: Tiles,
    (dst, stride): (*mut i32, usize),
) {
    const { assert!(CHANNELS.is_multiple_of(2 * V::CHANNELS)) };
    let mut first = 0;
    while first < channels {
        // SAFETY: by this function's contract; both vectors lie in the block.
        unsafe {
            let from = |channel: usize| Place {
                offset: at.offset + first,
                weights: at.weights.add(2 * channel),
                start: at.start.add(channel),
                ..*at
            };
            vector::<V, S, false>(&from(first), tiles, (dst.add(first), stride));
            let second = first + V::CHANNELS;
            if second < channels {
                vector::<V, S, true>(&from(second), tiles, (dst.add(second), stride));
            }
        }
        first += 2 * V::CHANNELS;
    }
}

/// As [`block`], of three rows of three taps, `STRIDE` columns apart, by the vectors' own code: no more than the tiles' pixels
/// that are asked for.
///
/// # Safety
/// As [`block`], for a `V` with such code, and a stride that it is for.
#[inline(always)]
pub(super) unsafe fn three<V: Pairs, const STRIDE: usize>(
    at: &Place<'_>,
    channels: usize,
    pixels: usize,
    (dst, stride): (*mut i32, usize),
) {
    let mut first = 0;
    while first < channels {
        // SAFETY: by this function's contract: there are three lines, and both vectors lie in the block.
        unsafe {
            let place = Place { offset: at.offset + first, ..*at };
            V::three::<STRIDE>(&ThreeRows {
                lines: [place.line(0, 0), place.line(1, 0), place.line(2, 0)],
                weights: at.weights.add(2 * first),
                start: at.start.add(first),
                dst: dst.add(first),
                stride,
                pixels,
            });
        }
        first += 2 * V::CHANNELS;
    }
}

/// # Safety
/// As [`block`], of one vector: the first of the two at the place or, if `HIGH`, the second.
#[inline(always)]
unsafe fn vector<V: Pairs, S: Shape<V>, const HIGH: bool>(
    at: &Place<'_>,
    tiles: Tiles,
    (mut dst, stride): (*mut i32, usize),
) {
    // SAFETY: by this function's contract; the pixels are the tiles'.
    unsafe {
        let (lines, mut pixel) = (S::lines(at), 0);
        for _ in 0..tiles.large {
            let mut sums = [V::sums(at.start); LARGE];
            S::add::<HIGH, LARGE>(at, lines, pixel, &mut sums);
            dst = store::<V, LARGE>(sums, dst, stride);
            pixel += LARGE;
        }
        for _ in 0..tiles.small {
            let mut sums = [V::sums(at.start); SMALL];
            S::add::<HIGH, SMALL>(at, lines, pixel, &mut sums);
            dst = store::<V, SMALL>(sums, dst, stride);
            pixel += SMALL;
        }
    }
}

/// Stores a tile's sums, and returns where the next one's go.
///
/// # Safety
/// As [`block`], with a tile's sums.
#[inline(always)]
unsafe fn store<V: Pairs, const P: usize>(
    sums: [V::Sums; P],
    mut dst: *mut i32,
    stride: usize,
) -> *mut i32 {
    for sums in sums {
        // SAFETY: by this function's contract.
        unsafe { V::store(sums, dst) };
        dst = dst.wrapping_add(stride);
    }
    dst
}

impl<V: Pairs, const STRIDE: usize> Shape<V> for Three<STRIDE> {
    type Lines = [*const i16; 3];

    #[inline(always)]
    unsafe fn lines(at: &Place<'_>) -> [*const i16; 3] {
        // SAFETY: by the contract of `Shape`: there are three lines.
        unsafe { [at.line(0, 0), at.line(1, 0), at.line(2, 0)] }
    }

    #[inline(always)]
    unsafe fn add<const HIGH: bool, const P: usize>(
        at: &Place<'_>,
        lines: [*const i16; 3],
        pixel: usize,
        sums: &mut [V::Sums; P],
    ) {
        let shift = pixel * STRIDE * CHANNELS;
        // SAFETY: by the contract of `Shape`: there are five pairs; columns are those of taps, or one further.
        unsafe {
            let [a, b, c] = lines.map(
                #[inline(always)]
                |line| line.add(shift),
            );
            let weights = [at.pair::<V>(0), at.pair::<V>(1), at.pair::<V>(2)];
            columns::<V, HIGH, P, 3, STRIDE, 1>(sums, &weights, a, b);
            let weights = [at.pair::<V>(3), at.pair::<V>(4)];
            columns::<V, HIGH, P, 2, STRIDE, 2>(sums, &weights, c, c.add(CHANNELS));
        }
    }
}

impl<V: Pairs, const TAPS: usize, const PAIRS: usize, const STRIDE: usize> Shape<V>
    for Rows<TAPS, PAIRS, STRIDE>
{
    type Lines = ();

    #[inline(always)]
    unsafe fn lines(_at: &Place<'_>) {}

    #[inline(always)]
    unsafe fn add<const HIGH: bool, const P: usize>(
        at: &Place<'_>,
        (): (),
        pixel: usize,
        sums: &mut [V::Sums; P],
    ) {
        const { assert!(TAPS % 2 == 1 && PAIRS == TAPS.div_ceil(2)) };
        let (mut line, mut pair) = (0, 0);
        // SAFETY: by this function's contract; lines and pairs exist, columns are those of taps, or one further.
        unsafe {
            while line + 1 < at.args.lines {
                let (a, b) = (at.line(line, pixel), at.line(line + 1, pixel));
                let weights = from_fn(
                    #[inline(always)]
                    |tap| at.pair::<V>(pair + tap),
                );
                columns::<V, HIGH, P, TAPS, STRIDE, 1>(sums, &weights, a, b);
                line += 2;
                pair += TAPS;
            }
            if line < at.args.lines {
                let a = at.line(line, pixel);
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
    type Lines = ();

    #[inline(always)]
    unsafe fn lines(_at: &Place<'_>) {}

    #[inline(always)]
    unsafe fn add<const HIGH: bool, const P: usize>(
        at: &Place<'_>,
        (): (),
        pixel: usize,
        sums: &mut [V::Sums; P],
    ) {
        let args = at.args;
        let (mut line, mut tap, mut pair) = (0, 0, 0);
        // SAFETY: by this function's contract; lines and pairs exist. The second tap of an odd row's last pair may be the one
        // further.
        unsafe {
            while line < args.lines {
                let above = line + 1 < args.lines;
                let a = at.line(line, pixel).add(tap * CHANNELS);
                let b = match above {
                    true => at.line(line + 1, pixel).add(tap * CHANNELS),
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
