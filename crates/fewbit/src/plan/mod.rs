//! What linear and convolution plans share: descriptions of both operands and of the output, the
//! packed weights, the epilogue, and the workspace.

mod blocks;
mod check;
mod checksum;
mod coded;
mod codes;
mod columns;
mod either;
mod engine;
mod epilogue;
mod fixed;
mod one_step;
mod packed;
mod quantizer;
mod real;
mod real_layout;
mod saved;
mod slices;
pub(crate) mod tasks;
mod workspace;

pub use check::check_params;
pub(crate) use check::{bad_scale, bad_zero_point, check_operands};
pub(crate) use coded::Coded;
pub(crate) use codes::rhs_form;
pub(crate) use either::EitherEngine;
pub(crate) use engine::{Block, Engine, RowAt, block_count};
pub(crate) use epilogue::{Destination, find};
pub(crate) use one_step::OneStep;
pub(crate) use packed::{Layout, size, tile_columns};
pub(crate) use quantizer::{Codes, Quantizer};
pub(crate) use real::{RealBlock, RealEngine, RealOperands};
pub(crate) use real_layout::{Form, RealLayout};
pub use real_layout::{RealArithmetic, RealWeights};
pub(crate) use saved::{Kind, Opened, Saved, saved_format};
pub(crate) use slices::{Operand, Shape, places};
pub use slices::{View, ViewMut};
pub(crate) use tasks::{
    Cut, MAX_BLOCKS, Slots, cut, each, each_with_slot, most_blocks, threads_for,
};
pub(crate) use workspace::{
    Carver, MemoryRange, check_residual_range, check_workspace, forbid_overlap,
};

use crate::{Error, Result, Status};
use fewbit_scheme::{
    Activation, FixedMultiplier, FixedRounding, IntFormat, ParamSpec, QuantParams, RealFormat,
    Scheme,
};

/// Memory that a run needs beside its operands; the caller provides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Bytes.
    pub size: usize,
    /// Alignment of its first byte.
    pub align: usize,
}

/// The 8-bit formats of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Signed.
    S8,
    /// Unsigned.
    U8,
}

impl Code {
    /// The format.
    pub const fn format(self) -> IntFormat {
        match self {
            Code::S8 => IntFormat::S8,
            Code::U8 => IntFormat::U8,
        }
    }

    pub(crate) const fn is_unsigned(self) -> bool {
        matches!(self, Code::U8)
    }

    /// The integer that a stored byte stands for.
    pub(crate) const fn value(self, byte: u8) -> i32 {
        if self.is_unsigned() { byte as i32 } else { byte as i8 as i32 }
    }
}

/// What a plan reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// 8-bit codes with parameters known beforehand.
    Codes(Code, QuantParams),
    /// 8-bit codes whose parameters come with each run, for all rows or for each. Of a [`Gemm`](crate::Gemm) only.
    CodesPerRow(Code),
    /// Codes of less than a byte, packed (docs/packing.md), with parameters known beforehand: of a bit, [`IntFormat::U1`] or
    /// [`IntFormat::B1`], where the weights are of these too, or of four, [`IntFormat::S4`] or [`IntFormat::U4`]. Rows
    /// start on a byte: their strides are in codes, multiples of 8 or 2. Linear layers only.
    Packed(IntFormat, QuantParams),
    /// The same with parameters that come with each run. Of a [`Gemm`](crate::Gemm) only.
    PackedPerRow(IntFormat),
    /// Numbers, quantized in the run with parameters known beforehand (round half to even, division): to S8 or U8, of linear
    /// layers also to S4 or U4.
    Static(RealFormat, IntFormat, QuantParams),
    /// Numbers, quantized in the run with parameters chosen from each row's range (linear) or each
    /// image's (convolution).
    DynamicPerRow(DynamicSpec),
    /// Numbers, quantized in the run with parameters chosen from the whole input's range.
    DynamicPerTensor(DynamicSpec),
    /// Numbers, multiplied as they are. Of plans with real weights only.
    Real(RealFormat),
}

/// How a run chooses parameters for its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicSpec {
    /// What is read.
    pub real: RealFormat,
    /// The bytes that codes are kept in: S8, but for U8.
    pub code: Code,
    /// The scheme. Its format is that of the codes: S8, U8, or of linear layers S4 or U4.
    pub spec: ParamSpec,
}

impl Input {
    /// The codes to multiply, as bytes; of bits the signedness that they have, of numbers none, S8. All of four bits
    /// are S8.
    pub(crate) const fn code(&self) -> Code {
        match self.format() {
            IntFormat::U8 | IntFormat::U1 => Code::U8,
            _ => Code::S8,
        }
    }

    /// The format of the codes.
    pub(crate) const fn format(&self) -> IntFormat {
        match *self {
            Input::Packed(format, _) | Input::PackedPerRow(format) => format,
            Input::Static(_, format, _) => format,
            Input::Codes(code, _) | Input::CodesPerRow(code) => code.format(),
            Input::DynamicPerRow(dynamic) | Input::DynamicPerTensor(dynamic) => dynamic.spec.format,
            Input::Real(_) => IntFormat::S8,
        }
    }

    /// Whether the codes to multiply have four bits.
    pub(crate) const fn is_of_four_bits(&self) -> bool {
        matches!(self.format(), IntFormat::S4 | IntFormat::U4)
    }

    /// Whether codes are read that are packed.
    const fn is_packed(&self) -> bool {
        matches!(self, Input::Packed(..) | Input::PackedPerRow(_))
    }

    /// Whether codes of a bit are read.
    pub(crate) const fn is_bits(&self) -> bool {
        self.is_packed() && !self.is_of_four_bits()
    }

    /// Whether packed codes of four bits are read, of which the run makes bytes.
    pub(crate) const fn is_nibbles(&self) -> bool {
        self.is_packed() && self.is_of_four_bits()
    }

    /// Whether the run makes the codes that it multiplies: of numbers, or of packed ones.
    pub(crate) const fn is_prepared(&self) -> bool {
        self.is_real() || self.is_nibbles()
    }

    /// Whether the rows' parameters come with the run.
    pub(crate) const fn is_per_row(&self) -> bool {
        matches!(self, Input::CodesPerRow(_) | Input::PackedPerRow(_))
    }

    /// Codes or numbers in an element that the caller passes: 8 bits or 2 codes of four in a byte, otherwise 1.
    pub(crate) const fn per_element(&self) -> usize {
        match (self.is_bits(), self.is_nibbles()) {
            (true, _) => 8,
            (_, true) => 2,
            _ => 1,
        }
    }

    /// The bytes of a distance in codes or numbers, a multiple of [`per_element`](Input::per_element).
    pub(crate) const fn bytes(&self, distance: usize) -> usize {
        match (self.is_bits(), self.is_nibbles()) {
            (true, _) => distance / 8,
            (_, true) => distance / 2,
            _ => distance.wrapping_mul(self.element_size()),
        }
    }

    /// The parameters, where they are known beforehand.
    pub(crate) const fn fixed_params(&self) -> Option<QuantParams> {
        match *self {
            Input::Codes(_, params) | Input::Packed(_, params) | Input::Static(_, _, params) => {
                Some(params)
            }
            _ => None,
        }
    }

    /// The numbers that are read, if not codes.
    pub(crate) const fn real(&self) -> Option<RealFormat> {
        match *self {
            Input::Codes(..) | Input::CodesPerRow(_) => None,
            Input::Packed(..) | Input::PackedPerRow(_) => None,
            Input::Static(real, ..) | Input::Real(real) => Some(real),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => Some(spec.real),
        }
    }

    /// Whether numbers are read that the run quantizes.
    pub(crate) const fn is_real(&self) -> bool {
        self.real().is_some() && !matches!(self, Input::Real(_))
    }

    /// Bytes of an element as the caller passes it.
    pub(crate) const fn element_size(&self) -> usize {
        match self.real() {
            Some(real) => real.size(),
            None => 1,
        }
    }
}

/// What a plan writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// The exact sums, with an s32 bias. Not with a dynamic input, whose sums have no known unit.
    S32,
    /// `f32(acc) * (input scale * weight scale)`, plus an f32 bias; to 16 bits rounded once more, to nearest
    /// even.
    Real(RealFormat),
    /// Codes: requantized from the sums in one step (ONNX Runtime's formula), or, where the bias is f32 or the
    /// activation more than a clamp, quantized from the real result.
    Codes(Code, QuantParams),
    /// Codes requantized from the sums in integers only, as TensorFlow Lite does:
    /// [`requantize_fixed`](fewbit_scheme::requantize_fixed) with multipliers given ([`Weights::multipliers`]) or made
    /// of the scales ([`FixedMultiplier::from_scales`]). The bias is s32 or none, the activation none, ReLU, a clamp
    /// (as bounds of the codes) or any by table; not with a dynamic input or a residual.
    FixedPoint(Code, QuantParams, FixedRounding),
    /// Codes under parameters that each row's results (a convolution: each image's) choose in the run, which also
    /// writes the parameters: the f32 results, then parameters from their range, then quantize. The specification's
    /// format is that of the codes.
    DynamicPerRow(Code, ParamSpec),
}

impl Output {
    /// Bytes of an element.
    pub(crate) const fn element_size(&self) -> usize {
        match self {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            Output::Codes(..) | Output::FixedPoint(..) | Output::DynamicPerRow(..) => 1,
        }
    }

    /// What the sums become: in the run of a dynamic output f32 numbers, which are quantized afterwards.
    pub(crate) const fn of_sums(self) -> Output {
        match self {
            Output::DynamicPerRow(..) => Output::Real(RealFormat::F32),
            _ => self,
        }
    }

    /// Where parameters are chosen in the run: how.
    pub(crate) const fn dynamic(self) -> Option<(Code, ParamSpec)> {
        match self {
            Output::DynamicPerRow(code, spec) => Some((code, spec)),
            _ => None,
        }
    }
}

/// Where a run whose output is [`Output::DynamicPerRow`] puts the parameters that it chose.
#[derive(Clone, Copy, Debug)]
pub struct OutputParams {
    /// A scale for each row (a convolution: each image).
    pub scales: *mut f32,
    /// A zero point for each row; may be NULL with a symmetric scheme, whose zero points are 0.
    pub zero_points: *mut i32,
}

impl OutputParams {
    /// Checks that there is room for `rows` parameters, apart from each other and from all else.
    #[inline(never)]
    pub(crate) fn check(self, output: Output, rows: usize, others: &[MemoryRange]) -> Result<()> {
        let symmetric = output.dynamic().is_some_and(|(_, spec)| spec.scheme == Scheme::Symmetric);
        let bytes = size(&[rows, 4])?;
        let range = |name, pointer: *const u8, optional: bool| {
            if pointer.is_null() && !optional {
                return Err(Error::new(Status::NullPointer, name, "is NULL"));
            }
            if !pointer.addr().is_multiple_of(4) {
                return Err(Error::new(Status::Misaligned, name, "is not aligned to 4 bytes"));
            }
            let bytes = if pointer.is_null() { 0 } else { bytes };
            let range = MemoryRange::new(name, pointer, bytes);
            others.iter().try_for_each(|&other| forbid_overlap(other, range))?;
            Ok(range)
        };
        let scales = range("scales", self.scales.cast(), false)?;
        forbid_overlap(scales, range("zero_points", self.zero_points.cast(), symmetric)?)
    }

    /// Where codes of rows `stride` apart go with them.
    pub(crate) fn of_codes(self, codes: *mut u8, stride: usize) -> Codes {
        Codes { codes, stride, scales: self.scales, zero_points: self.zero_points }
    }
}

/// What is added to each output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias<'a> {
    /// Nothing.
    None,
    /// To the int32 sums, in units of `input scale * weight scale`. Not with a dynamic input.
    S32(&'a [i32]),
    /// To the real result. Not with S32 output.
    F32(&'a [f32]),
}

/// What is added to each result before the activation: a tensor of the result's shape that a run is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Residual {
    /// Nothing.
    None,
    /// Numbers.
    Real(RealFormat),
    /// Codes, which are dequantized.
    Codes(Code, QuantParams),
}

impl Residual {
    /// Bytes of an element, 0 without any.
    pub(crate) const fn element_size(&self) -> usize {
        match self {
            Residual::None => 0,
            Residual::Real(real) => real.size(),
            Residual::Codes(..) => 1,
        }
    }
}

/// How an activation becomes codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActivationMode {
    /// Evaluated in f32, then quantized once.
    Float,
    /// The sums are requantized to intermediate codes, and those are looked up in a table of 256: what operators
    /// computed one by one give (TFLite, ONNX).
    Table(Code, QuantParams),
}

/// Quantized weights: codes with a scale, and perhaps a zero point, a tensor, an output channel, or a block of an
/// output channel's.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Of the codes: any but S16.
    pub format: IntFormat,
    /// The codes, a byte each or packed (docs/packing.md); their layout is the plan's.
    pub codes: &'a [u8],
    /// One scale, or one for each output channel; with blocks `[out_channels][ceil(K / block)]`. May be empty where
    /// there are multipliers.
    pub scales: &'a [f32],
    /// None (all 0), one zero point, or as many as scales.
    pub zero_points: &'a [i32],
    /// 0, or how many neighbouring weights of a channel, along K, share a scale: a multiple of 16. The last block of a
    /// channel may be shorter. Linear layers only, and only with results by way of real numbers: no s32 bias or output,
    /// no fixed point, no table.
    pub block: usize,
    /// For [`Output::FixedPoint`]: what sums are multiplied by ([`FixedMultiplier::multiplier`]), one or one for each
    /// output channel; the scales are not used then. Empty: made of the scales.
    pub multipliers: &'a [i32],
    /// Their shifts ([`FixedMultiplier::shift`]), as many.
    pub shifts: &'a [i32],
}

impl Weights<'_> {
    /// The scale of a channel.
    pub(crate) fn scale(&self, channel: usize) -> f32 {
        let index = if self.scales.len() == 1 { 0 } else { channel };
        self.scales.get(index).copied().unwrap_or(1.0)
    }

    /// The multiplier given for a channel.
    pub(crate) fn multiplier(&self, channel: usize) -> Option<FixedMultiplier> {
        let index = if self.multipliers.len() == 1 { 0 } else { channel };
        let (multiplier, shift) = (self.multipliers.get(index)?, self.shifts.get(index)?);
        Some(FixedMultiplier { multiplier: *multiplier, shift: *shift })
    }

    /// The zero point of a channel.
    pub(crate) fn zero_point(&self, channel: usize) -> i32 {
        let index = if self.zero_points.len() == 1 { 0 } else { channel };
        self.zero_points.get(index).copied().unwrap_or(0)
    }
}

/// What a plan multiplies, adds and writes, whatever its shape.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub weights: Weights<'a>,
    pub input: Input,
    pub bias: Bias<'a>,
    pub output: Output,
    pub activation: Activation,
    pub mode: ActivationMode,
    pub residual: Residual,
}
