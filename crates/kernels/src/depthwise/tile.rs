//! Tiles: some pixels of a vector of channels.

use super::{DepthwiseArgs, LARGE, SMALL, tile_of};
use core::array::from_fn;
use fewbit_simd::Pairs;

/// What the code of a tile is unrolled for.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Rows of 3, 5 or 7 taps; neighbouring pixels are as far apart as neighbouring taps.
    Taps3,
    Taps5,
    Taps7,
    /// Neighbouring pixels are twice as far apart.
    Taps3Stride2,
    Taps5Stride2,
    Any,
}

impl Shape {
    #[inline(always)]
    pub(super) fn of<V: Pairs>(args: &DepthwiseArgs) -> Shape {
        if !V::TILES {
            return Shape::Any;
        }
        let once = args.pixel_stride == args.tap_stride;
        let twice = args.pixel_stride == 2 * args.tap_stride;
        match args.width {
            3 if once => Shape::Taps3,
            5 if once => Shape::Taps5,
            7 if once => Shape::Taps7,
            3 if twice => Shape::Taps3Stride2,
            5 if twice => Shape::Taps5Stride2,
            _ => Shape::Any,
        }
    }
}

/// All pixels of a vector of channels: of the block that begins at channel `first` the first vector or, if `HIGH`, the
/// second.
///
/// # Safety
/// As [`DepthwiseFn`](super::DepthwiseFn), within an entry compiled for `V`; the channels are among the padded ones.
#[inline(always)]
pub(super) unsafe fn row<V: Pairs, const HIGH: bool>(
    args: &DepthwiseArgs,
    shape: Shape,
    first: usize,
) {
    let channel = first + if HIGH { V::CHANNELS } else { 0 };
    let mut pixel = 0;
    while pixel < args.pixels {
        // SAFETY: by this function's contract; the pixels are among the computed ones.
        unsafe {
            let at = Place {
                args,
                offset: args.offset + first + pixel * args.pixel_stride,
                weights: args.weights.add(2 * channel),
                start: args.start.add(channel),
                dst: args.dst.add(pixel * args.dst_stride + channel),
            };
            if tile_of(args.pixels - pixel) == LARGE {
                tile::<V, HIGH, LARGE>(&at, shape);
                pixel += LARGE;
            } else {
                tile::<V, HIGH, SMALL>(&at, shape);
                pixel += SMALL;
            }
        }
    }
}

/// Where a tile's operands are.
struct Place<'a> {
    args: &'a DepthwiseArgs,
    /// Of the codes under the first pixel's first tap, from the lines' addresses.
    offset: usize,
    weights: *const i16,
    start: *const i32,
    dst: *mut i32,
}

impl Place<'_> {
    /// The weights of the pair of taps with this number.
    ///
    /// # Safety
    /// The pair exists; compiled for `V`.
    #[inline(always)]
    unsafe fn pair<V: Pairs>(&self, number: usize) -> V::Weights {
        // SAFETY: by this function's contract.
        unsafe { V::weights(self.weights.add(number * 2 * self.args.weight_channels)) }
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

/// # Safety
/// As [`row`], with the place of `P` pixels.
#[inline(always)]
unsafe fn tile<V: Pairs, const HIGH: bool, const P: usize>(at: &Place<'_>, shape: Shape) {
    // SAFETY: by this function's contract; the shape is that of the arguments.
    unsafe {
        match shape {
            Shape::Taps3 => unrolled::<V, HIGH, P, 3, 2, 1>(at),
            Shape::Taps5 => unrolled::<V, HIGH, P, 5, 3, 1>(at),
            Shape::Taps7 => unrolled::<V, HIGH, P, 7, 4, 1>(at),
            Shape::Taps3Stride2 => unrolled::<V, HIGH, P, 3, 2, 2>(at),
            Shape::Taps5Stride2 => unrolled::<V, HIGH, P, 5, 3, 2>(at),
            Shape::Any => any::<V, HIGH, P>(at),
        }
    }
}

/// Rows of `TAPS` taps, an odd number, in `PAIRS` pairs, and pixels `STRIDE` taps apart.
///
/// # Safety
/// As [`tile`], with arguments of that shape.
#[inline(always)]
unsafe fn unrolled<
    V: Pairs,
    const HIGH: bool,
    const P: usize,
    const TAPS: usize,
    const PAIRS: usize,
    const STRIDE: usize,
>(
    at: &Place<'_>,
) {
    let args = at.args;
    let step = args.tap_stride;
    // SAFETY: by this function's contract; lines and pairs exist, columns are those of taps, or one further.
    unsafe {
        let mut sums = [V::sums(at.start); P];
        let (mut line, mut pair) = (0, 0);
        while line + 1 < args.lines {
            let (a, b) = (at.line(line), at.line(line + 1));
            let weights = from_fn(|tap| at.pair::<V>(pair + tap));
            let codes = |column: usize| V::pair::<HIGH>(a.add(column * step), b.add(column * step));
            columns::<V, P, TAPS, STRIDE, 1>(&mut sums, &weights, codes);
            line += 2;
            pair += TAPS;
        }
        if line < args.lines {
            let a = at.line(line);
            let weights = from_fn(|tap| at.pair::<V>(pair + tap));
            let codes =
                |column: usize| V::pair::<HIGH>(a.add(column * step), a.add((column + 1) * step));
            columns::<V, P, PAIRS, STRIDE, 2>(&mut sums, &weights, codes);
        }
        for (p, sums) in sums.into_iter().enumerate() {
            V::store(sums, at.dst.add(p * args.dst_stride));
        }
    }
}

/// Adds the products of `N` pairs, `SPACING` columns apart, to the sums of pixels `STRIDE` columns apart. Each pair of
/// codes is made once.
///
/// # Safety
/// Compiled for `V`, and `codes` reads what can be read.
#[inline(always)]
unsafe fn columns<
    V: Pairs,
    const P: usize,
    const N: usize,
    const STRIDE: usize,
    const SPACING: usize,
>(
    sums: &mut [V::Sums; P],
    weights: &[V::Weights; N],
    codes: impl Fn(usize) -> V::Codes,
) {
    // Constant bounds and branches, so that nothing of this is left but the products.
    for column in 0..(P - 1) * STRIDE + (N - 1) * SPACING + 1 {
        let used = (0..N).any(|n| pixel_of::<P, STRIDE>(column, n * SPACING).is_some());
        if !used {
            continue;
        }
        let codes = codes(column);
        for (n, &weights) in weights.iter().enumerate() {
            let pixel = pixel_of::<P, STRIDE>(column, n * SPACING);
            if let Some(sums) = pixel.and_then(|pixel| sums.get_mut(pixel)) {
                // SAFETY: by this function's contract.
                *sums = unsafe { V::add_products(*sums, codes, weights) };
            }
        }
    }
}

/// The pixel of a tile that has a tap, `tap` columns from its first, in a column.
#[inline(always)]
const fn pixel_of<const P: usize, const STRIDE: usize>(column: usize, tap: usize) -> Option<usize> {
    if column < tap || (column - tap) % STRIDE != 0 || (column - tap) / STRIDE >= P {
        return None;
    }
    Some((column - tap) / STRIDE)
}

/// Any shape: pair after pair.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn any<V: Pairs, const HIGH: bool, const P: usize>(at: &Place<'_>) {
    let args = at.args;
    // SAFETY: by this function's contract; lines and pairs exist. The second tap of an odd row's last pair is the one further.
    unsafe {
        let mut sums = [V::sums(at.start); P];
        let mut pair = 0;
        let mut add = |a: *const i16, b: *const i16| {
            let weights = at.pair::<V>(pair);
            pair += 1;
            for (p, sums) in sums.iter_mut().enumerate() {
                let shift = p * args.pixel_stride;
                let codes = V::pair::<HIGH>(a.add(shift), b.add(shift));
                *sums = V::add_products(*sums, codes, weights);
            }
        };
        // One place for the products: neighbours in an odd row, and otherwise taps one above the other.
        let (mut line, mut tap) = (0, 0);
        while line < args.lines {
            let above = line + 1 < args.lines;
            let a = at.line(line).add(tap * args.tap_stride);
            let b = if above {
                at.line(line + 1).add(tap * args.tap_stride)
            } else {
                a.add(args.tap_stride)
            };
            add(a, b);
            tap += if above { 1 } else { 2 };
            if tap >= args.width {
                (line, tap) = (line + 2, 0);
            }
        }
        for (p, sums) in sums.into_iter().enumerate() {
            V::store(sums, at.dst.add(p * args.dst_stride));
        }
    }
}
