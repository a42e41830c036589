//! Weights that are codes with scales a block, and are multiplied as the numbers that they stand for: how each kind of
//! them is packed ([`fewbit_kernels::real_gemm`]).

use super::check::{bad_scale, bad_zero_point};
use super::codes::read;
use super::packed::size;
use super::{RealWeights, Weights};
use crate::{Error, Result, Status};
use fewbit_kernels::real_gemm::Coding;
use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::block::mx::{self, Mx};
use fewbit_scheme::block::{BLOCK, nvfp4};
use fewbit_scheme::{IntFormat, fp8};

/// Blocks of codes of integers are multiples of this.
const STEP: usize = 16;

/// Codes and factors of weights, by channel and along k.
#[derive(Clone, Copy)]
pub(crate) struct Coded<'a> {
    weights: RealWeights<'a>,
    /// How numbers are made of them.
    pub coding: Coding,
    /// Weights of a channel that share factors; the last block may have fewer.
    pub block: usize,
    k: usize,
}

/// What blocks of a file are called.
const DATA: &str = "desc.weights.data";

impl<'a> Coded<'a> {
    /// The weights of `channels` channels of `k`; none if they are numbers.
    pub(crate) fn new(
        weights: RealWeights<'a>,
        channels: usize,
        k: usize,
    ) -> Result<Option<Coded<'a>>> {
        let (coding, block) = match weights {
            RealWeights::F32(_) | RealWeights::F16(_) | RealWeights::Bf16(_) => return Ok(None),
            RealWeights::Gguf(format, _) => {
                let coding = match format {
                    Gguf::Q4_0 => Coding::S4,
                    Gguf::Q4_1 | Gguf::Q4K => Coding::U4Min,
                    Gguf::Q5_1 | Gguf::Q5K => Coding::S8Min,
                    Gguf::Q5_0 | Gguf::Q8_0 | Gguf::Q6K => Coding::S8,
                };
                (coding, format.run_len())
            }
            RealWeights::Mx { format, .. } => {
                let coding = match format {
                    Mx::Fp8E4m3 => Coding::E4m3,
                    Mx::Fp8E5m2 => Coding::E5m2,
                    Mx::Fp4E2m1 => Coding::E2m1,
                    Mx::Int8 => Coding::S8,
                };
                (coding, BLOCK)
            }
            RealWeights::Nvfp4 { .. } => (Coding::E2m1, nvfp4::BLOCK),
            RealWeights::Codes(Weights { format, zero_points, block, .. }) => {
                let with_offset = !zero_points.is_empty();
                let coding = match (format, with_offset) {
                    (IntFormat::S4, false) => Coding::S4,
                    (IntFormat::S4 | IntFormat::U4, _) => Coding::S4Offset,
                    (IntFormat::S8, false) => Coding::S8,
                    (IntFormat::S8 | IntFormat::U8, _) => Coding::S8Offset,
                    _ => {
                        let text =
                            "is of codes that are not multiplied as numbers: s8, u8, s4 and u4 are";
                        return Err(Error::new(Status::Unsupported, "desc.weights.dtype", text));
                    }
                };
                (coding, if block == 0 { k } else { block.min(k) })
            }
        };
        let coded = Coded { weights, coding, block: block.max(1), k };
        coded.check(channels)?;
        Ok(Some(coded))
    }

    /// Blocks of a channel.
    fn blocks(&self) -> usize {
        self.k.div_ceil(self.block.max(1))
    }

    fn check(&self, channels: usize) -> Result<()> {
        let whole = |numbers: usize| {
            if self.k.is_multiple_of(numbers) {
                return Ok(());
            }
            let text = "is {}, but rows of these weights are whole blocks, of {} each";
            let error = Error::new(Status::InvalidArgument, "desc.in_features", text);
            Err(error.with(self.k).with(numbers))
        };
        let room = |name, given: usize, needed: usize| {
            if given >= needed {
                return Ok(());
            }
            let text = "has {} bytes, but needs {}";
            Err(Error::new(Status::BufferTooSmall, name, text).with(given).with(needed))
        };
        let numbers = size(&[channels, self.k])?;
        match self.weights {
            RealWeights::Gguf(format, bytes) => {
                let len = format.block_len();
                whole(len)?;
                // Whole blocks; their bytes are fewer than those of their numbers as f32.
                let count = numbers.checked_div(len).unwrap_or(0);
                room(DATA, bytes.len(), count * format.block_bytes())
            }
            RealWeights::Mx { format, scales, elements } => {
                whole(BLOCK)?;
                room("desc.weight_block_scales", scales.len(), numbers / BLOCK)?;
                room(DATA, elements.len(), format.element_bytes(numbers))
            }
            RealWeights::Nvfp4 { scale, scales, elements } => {
                whole(nvfp4::BLOCK)?;
                room("desc.weight_block_scales", scales.len(), numbers / nvfp4::BLOCK)?;
                room(DATA, elements.len(), numbers.div_ceil(2))?;
                match scale > 0.0 && scale < f32::INFINITY {
                    true => Ok(()),
                    false => Err(bad_scale("desc.weights.scales", scale)),
                }
            }
            RealWeights::Codes(weights) => self.check_codes(&weights, channels),
            _ => Ok(()),
        }
    }

    /// Parameters of codes: one, one a channel, or one a block.
    fn check_codes(&self, weights: &Weights<'_>, channels: usize) -> Result<()> {
        let Weights { block, scales, zero_points, format, .. } = *weights;
        if !block.is_multiple_of(STEP) {
            let text = "is {}, not a multiple of {}";
            let error = Error::new(Status::InvalidArgument, "desc.weights.block", text);
            return Err(error.with(block).with(STEP));
        }
        if !weights.multipliers.is_empty() || !weights.shifts.is_empty() {
            let text = "are for fixed-point output, but the output is of real numbers";
            return Err(Error::new(Status::Unsupported, "desc.weights.multipliers", text));
        }
        let all = match block {
            0 => channels,
            _ => size(&[channels, self.blocks()])?,
        };
        let counts = [
            ("desc.weights.scales", scales.len(), false),
            ("desc.weights.zero_points", zero_points.len(), true),
        ];
        for (name, count, optional) in counts {
            let one = count == 1 && (block == 0 || optional);
            if count != all && !one && !(optional && count == 0) {
                let text = "has {} values, but there are {} channels, or blocks";
                let error = Error::new(Status::InvalidArgument, name, text);
                return Err(error.with(count).with(all));
            }
        }
        for &scale in scales {
            if !(scale > 0.0 && scale < f32::INFINITY) {
                return Err(bad_scale("desc.weights.scales", scale));
            }
        }
        for &zero_point in zero_points {
            if zero_point < format.qmin() || zero_point > format.qmax() {
                return Err(bad_zero_point("desc.weights.zero_points", zero_point, format));
            }
        }
        Ok(())
    }

    /// The low bits of code `i` of a channel; of codes of integers `at(channel, i)` is where it is.
    pub(crate) fn code(
        &self,
        at: &dyn Fn(usize, usize) -> Option<usize>,
        channel: usize,
        i: usize,
    ) -> u8 {
        // The weights are there: no overflow.
        let number = channel * self.k + i;
        let byte = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0);
        match self.weights {
            RealWeights::Gguf(format, bytes) => {
                let (block, within) = block_of(format, number);
                let block = bytes.get(block * format.block_bytes()..).unwrap_or_default();
                gguf::code(format, block, within) as u8
            }
            RealWeights::Mx { format: Mx::Fp4E2m1, elements, .. }
            | RealWeights::Nvfp4 { elements, .. } => {
                byte(elements, number / 2) >> (4 * (number % 2))
            }
            RealWeights::Mx { elements, .. } => byte(elements, number),
            RealWeights::Codes(weights) => {
                let code = at(channel, i).and_then(|at| read(weights.format, weights.codes, at));
                (code.unwrap_or(0) - bias_of(weights.format)) as u8
            }
            _ => 0,
        }
    }

    /// The factors of a block of a channel.
    pub(crate) fn factors(&self, channel: usize, block: usize) -> [f32; 2] {
        let index = channel * self.blocks() + block;
        match self.weights {
            RealWeights::Gguf(format, bytes) => {
                let (of, within) = block_of(format, channel * self.k + block * self.block);
                let bytes = bytes.get(of * format.block_bytes()..).unwrap_or_default();
                let run = within.checked_div(format.run_len()).unwrap_or(0);
                let (scale, min) = gguf::factors(format, bytes, run);
                [scale, min]
            }
            RealWeights::Mx { format, scales, .. } => {
                let scale = mx::scale_value(scales.get(index).copied().unwrap_or(0));
                // Of 64ths, a power of two: exact, at least 2^-133.
                [if format == Mx::Int8 { scale * (1.0 / 64.0) } else { scale }, 0.0]
            }
            RealWeights::Nvfp4 { scale, scales, .. } => {
                let of_block = fp8::e4m3fn_to_f32(scales.get(index).copied().unwrap_or(0));
                [of_block * scale, 0.0]
            }
            RealWeights::Codes(weights) => {
                let of = |count: usize| match (count, weights.block) {
                    (1, _) => 0,
                    (_, 0) => channel,
                    _ => index,
                };
                let scale = weights.scales.get(of(weights.scales.len())).copied().unwrap_or(1.0);
                let zero = weights.zero_points.get(of(weights.zero_points.len()));
                let offset = bias_of(weights.format) - zero.copied().unwrap_or(0);
                [scale, offset as f32]
            }
            _ => [0.0; 2],
        }
    }
}

/// The block of a number of a format, and its place there.
fn block_of(format: Gguf, number: usize) -> (usize, usize) {
    // Constants to the compiler: no division by 0.
    match format.is_k() {
        true => (number / 256, number % 256),
        false => (number / BLOCK, number % BLOCK),
    }
}

/// Packed codes are signed: what is subtracted from unsigned ones.
const fn bias_of(format: IntFormat) -> i32 {
    match format {
        IntFormat::U8 => 128,
        IntFormat::U4 => 8,
        _ => 0,
    }
}
