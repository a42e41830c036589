//! Depthwise convolution of real numbers: for some output pixels each channel's taps times that channel's weights, one chain of f32 fused
//! multiply-adds in the order of the taps ([`fewbit_scheme::dot`]), as the tiles of [`real_gemm`](crate::real_gemm) have it.
//!
//! Vectors run across the channels. Taps are read where they lie, from an address for each of them: so strides, dilation and the ends of rows are
//! nothing special, and a tap on padding is an address of zeros. A tile is a few pixels times a block of [`CHANNELS`], whose sums are registers; a weight that is
//! loaded meets all its pixels.
//!
//! | backend | pixels x channels | sums + weight + input | registers |
//! |---|---|---|---|
//! | avx512 | 6 x 32 | 12 + 1 + 1 | 32 |
//! | avx2 | 3 x 32 | 12 + 1 + 1 | 16 |
//! | neon | 3 x 32 | 24 + 1 + 1 | 32 |
//!
//! A multiply-add has a load for each of its inputs, and a third of one for its weight: on CPUs that load as many vectors a cycle as they multiply, loads are
//! the limit, at three quarters of the multiply-adds'. Weights are f32, whatever they were: there are few of them.

use crate::elementwise::rows;
use crate::infos;
use crate::real::{Bf16, F16, F32, Real};
use crate::registry::RowInfo;
use fewbit_simd::HalfLanes;

/// Channels of a block.
pub const CHANNELS: usize = 32;
/// Pixels whose taps are listed together.
pub const PIXELS: usize = 12;

/// Some output pixels, some channels of each.
#[derive(Clone, Copy, Debug)]
pub struct RealDepthwiseArgs {
    /// `[taps][PIXELS]` addresses: of each pixel's taps the first channel's number, or of as many zeros. Those of pixels beyond `pixels` can be read as well.
    pub taps: *const [*const u8; PIXELS],
    /// Taps of a pixel, at least 1.
    pub count: usize,
    /// The number of pixels, `1..=PIXELS`.
    pub pixels: usize,
    /// Bytes from the addresses to the first channel's numbers.
    pub offset: usize,
    /// The number of channels.
    pub channels: usize,
    /// `[blocks of CHANNELS][count][CHANNELS]` weights.
    pub weights: *const f32,
    /// A bias for each channel. NULL: none.
    pub bias: *const f32,
    /// Whether negative results become 0. (A NaN stays.)
    pub relu: bool,
    /// The first pixel's results.
    pub dst: *mut f32,
    /// Numbers between the pixels' first results.
    pub dst_stride: usize,
}

/// A kernel of this op.
///
/// # Safety
/// The pointers of [`RealDepthwiseArgs`] are valid for the extents documented there, addresses of taps for `offset` bytes and `channels` numbers; all are aligned to
/// what they point to. Results overlap nothing else.
pub type RealDepthwiseFn = unsafe fn(&RealDepthwiseArgs);

rows! {
    /// Of f32.
    DEPTHWISE_F32: RealDepthwiseFn = "depthwise_f32f32", |args: &RealDepthwiseArgs|, depthwise::<V, F32>(args)
}

rows! {
    /// Of f16.
    DEPTHWISE_F16: RealDepthwiseFn = "depthwise_f16f32", |args: &RealDepthwiseArgs|, depthwise::<V, F16>(args)
}

rows! {
    /// Of bf16.
    DEPTHWISE_BF16: RealDepthwiseFn = "depthwise_bf16f32", |args: &RealDepthwiseArgs|, depthwise::<V, Bf16>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(DEPTHWISE_F32).chain(infos(DEPTHWISE_F16)).chain(infos(DEPTHWISE_BF16))
}

/// # Safety
/// As [`RealDepthwiseFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn depthwise<V: HalfLanes, X: Real>(args: &RealDepthwiseArgs) {
    let mut channel = 0;
    while channel < args.channels {
        let left = args.channels - channel;
        // SAFETY: by this function's contract: the channels exist. A block's vectors are as many as a vector's lanes divide it.
        unsafe {
            match V::LANES {
                _ if left < CHANNELS => {
                    let mut at = 0;
                    while at < left {
                        pixels::<V, X, 3, 1>(args, channel + at, V::LANES.min(left - at));
                        at += V::LANES;
                    }
                }
                16 => pixels::<V, X, 6, 2>(args, channel, V::LANES),
                8 => pixels::<V, X, 3, 4>(args, channel, V::LANES),
                4 => pixels::<V, X, 3, 8>(args, channel, V::LANES),
                _ => {
                    let mut at = 0;
                    while at < CHANNELS {
                        pixels::<V, X, 3, 1>(args, channel + at, V::LANES);
                        at += V::LANES;
                    }
                }
            }
        }
        channel += CHANNELS;
    }
}

/// All pixels, `P` at a time, of `NV` vectors of channels from `channel` on, all of a block; or of `n` channels, part of one vector.
///
/// # Safety
/// As [`depthwise`].
#[inline(always)]
unsafe fn pixels<V: HalfLanes, X: Real, const P: usize, const NV: usize>(
    args: &RealDepthwiseArgs,
    channel: usize,
    n: usize,
) {
    const { assert!(PIXELS.is_multiple_of(P)) };
    let n = if NV > 1 { V::LANES } else { n };
    let block = channel / CHANNELS * args.count * CHANNELS + channel % CHANNELS;
    let size = size_of::<X::Stored>();
    // SAFETY: by this function's contract. Tiles may be of pixels beyond those asked for, whose results are not stored.
    unsafe {
        let mut first = 0;
        while first < args.pixels {
            let mut sums = [[V::splat_f32(0.0); NV]; P];
            let mut weights = args.weights.add(block);
            let mut list = args.taps.cast::<*const u8>().add(first);
            for _ in 0..args.count {
                step::<V, X, P, NV>(&mut sums, (list, args.offset + channel * size), weights, n);
                list = list.wrapping_add(PIXELS);
                weights = weights.wrapping_add(CHANNELS);
            }
            for (p, sums) in sums.into_iter().enumerate().take(args.pixels - first) {
                let to = args.dst.add((first + p) * args.dst_stride + channel);
                for (v, mut sum) in sums.into_iter().enumerate() {
                    if !args.bias.is_null() {
                        let bias = args.bias.add(channel + v * V::LANES);
                        sum = V::add(sum, V::load_f32(bias, n));
                    }
                    sum = V::replace_nan(sum, V::splat_f32(f32::from_bits(0x7FC0_0000)));
                    if args.relu {
                        // `if 0 > y { 0 } else { y }`: a NaN stays.
                        sum = V::max(V::splat_f32(0.0), sum);
                    }
                    V::store_f32(to.add(v * V::LANES), sum, n);
                }
            }
            first += P;
        }
    }
}

/// Adds a tap's products to the sums.
///
/// # Safety
/// As [`pixels`]: the tap's addresses, `offset` bytes before the numbers, and its weights are there.
#[inline(always)]
unsafe fn step<V: HalfLanes, X: Real, const P: usize, const NV: usize>(
    sums: &mut [[V::F32; NV]; P],
    (list, offset): (*const *const u8, usize),
    weights: *const f32,
    n: usize,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut of_channels = [V::splat_f32(0.0); NV];
        for (v, weight) in of_channels.iter_mut().enumerate() {
            *weight = V::load_f32(weights.wrapping_add(v * V::LANES), V::LANES);
        }
        for (p, row) in sums.iter_mut().enumerate() {
            let from = list.wrapping_add(p).read().wrapping_add(offset).cast::<X::Stored>();
            for (v, (sum, weight)) in row.iter_mut().zip(of_channels).enumerate() {
                let x = X::load::<V>(from.wrapping_add(v * V::LANES), n);
                *sum = V::fma(x, weight, *sum);
            }
        }
    }
}
