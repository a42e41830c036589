//! What becomes of a tile's sums while they are in the first cache.

use super::CHANNELS;
use crate::scale::{bounds, clamped_steps, steps};
use fewbit_simd::{Lanes, Pairs};

/// What a call leaves: exactly its pixels' channels. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub enum Results {
    /// The sums.
    Sums {
        /// The first pixel's.
        dst: *mut i32,
        /// Distance of neighbouring pixels.
        stride: usize,
    },
    /// Codes of the sums.
    Codes(Codes),
}

/// Codes of sums: [`fewbit_scheme::requantize`].
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// The first pixel's.
    pub dst: *mut u8,
    /// Distance of neighbouring pixels.
    pub stride: usize,
    /// Whether codes are s8 rather than u8.
    pub signed: bool,
    /// A multiplier a channel, not negative.
    pub factors: *const f32,
    /// The codes' zero point, in their range.
    pub zero_point: i32,
    /// The smallest and the largest code to store, within the range of the codes.
    pub clamp: (i32, i32),
    /// Whether `clamp` is all of that range, and no sum times its factor, rounded, is beyond 2^30.
    pub saturates: bool,
}

/// Sums of a tile.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// `[pixels][CHANNELS]`.
    pub at: *const i32,
    /// The first pixel's number.
    pub pixel: usize,
    pub pixels: usize,
    /// The first channel's number, and how many channels there are, at most [`CHANNELS`].
    pub channel: usize,
    pub channels: usize,
}

impl Results {
    /// Makes results of a tile's sums.
    ///
    /// # Safety
    /// The sums can be read, their results written, and factors of their channels read; compiled for `V`.
    #[inline(always)]
    pub(super) unsafe fn store<V: Lanes + Pairs>(&self, sums: &Sums) {
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                Results::Sums { dst, stride } => {
                    let dst = dst.add(sums.pixel * stride + sums.channel);
                    let mut first = 0;
                    while first < sums.channels {
                        let n = V::LANES.min(sums.channels - first);
                        for pixel in 0..sums.pixels {
                            let sums = V::load_i32(sums.at.add(pixel * CHANNELS + first), V::LANES);
                            V::store_i32(dst.add(pixel * stride + first), sums, n);
                        }
                        first += V::LANES;
                    }
                }
                Results::Codes(codes) => match codes.signed {
                    true => codes.store::<V, true>(sums),
                    false => codes.store::<V, false>(sums),
                },
            }
        }
    }
}

impl Codes {
    /// # Safety
    /// As [`Results::store`].
    #[inline(always)]
    unsafe fn store<V: Lanes + Pairs, const SIGNED: bool>(&self, sums: &Sums) {
        let (factors, mut first) = (self.factors.wrapping_add(sums.channel), 0);
        // SAFETY: by this function's contract; steps, clamped or known to be within 2^30, are what `fours` takes.
        unsafe {
            let dst = self.dst.add(sums.pixel * self.stride + sums.channel);
            let bounds = bounds::<V>(self.zero_point, self.clamp);
            // (Portable code gains nothing from four at once, and wider vectors have no four in a block.)
            while const { V::TILES && 4 * V::LANES <= CHANNELS }
                && sums.channels - first >= const { 4 * V::LANES }
            {
                let mut four = [V::splat_f32(0.0); 4];
                for (v, factor) in four.iter_mut().enumerate() {
                    *factor = V::load_f32(factors.add(first + v * V::LANES), V::LANES);
                }
                match self.saturates {
                    true => self.fours::<V, SIGNED, true>(sums, first, dst, four, bounds),
                    false => self.fours::<V, SIGNED, false>(sums, first, dst, four, bounds),
                }
                first += const { 4 * V::LANES };
            }
            let zero_point = V::splat_i32(self.zero_point);
            while first < sums.channels {
                let n = V::LANES.min(sums.channels - first);
                let factor = V::load_f32(factors.add(first), n);
                for pixel in 0..sums.pixels {
                    let sums = V::load_i32(sums.at.add(pixel * CHANNELS + first), V::LANES);
                    let codes = V::add_i32(clamped_steps::<V>(sums, factor, bounds), zero_point);
                    V::store_u8(dst.add(pixel * self.stride + first), codes, n);
                }
                first += V::LANES;
            }
        }
    }

    /// Four vectors of each pixel, from channel `first` of the tile on.
    ///
    /// # Safety
    /// As [`Results::store`], with the tile's place.
    #[inline(always)]
    unsafe fn fours<V: Lanes, const SIGNED: bool, const SATURATES: bool>(
        &self,
        sums: &Sums,
        first: usize,
        dst: *mut u8,
        factors: [V::F32; 4],
        bounds: (V::F32, V::F32),
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let zero_point = V::splat_i32(self.zero_point);
            for pixel in 0..sums.pixels {
                let from = sums.at.add(pixel * CHANNELS + first);
                let to = dst.add(pixel * self.stride + first);
                let mut four = [zero_point; 4];
                for (v, (steps, factor)) in four.iter_mut().zip(factors).enumerate() {
                    let sums = V::load_i32(from.add(v * V::LANES), V::LANES);
                    *steps = match SATURATES {
                        true => self::steps::<V>(sums, factor),
                        false => clamped_steps::<V>(sums, factor, bounds),
                    };
                }
                match SIGNED {
                    true => V::store_s8_sums_of_4::<false>(to.cast(), four, zero_point),
                    false => V::store_u8_sums_of_4::<false>(to, four, zero_point),
                }
            }
        }
    }
}
