//! Weights that are multiplied as numbers, and how they are packed on a CPU.

use super::Weights;
use super::coded::Coded;
use super::columns::Columns;
use super::packed::size;
use super::saved::{Head, Kind, Opened, REAL_FORM};
use crate::{Error, Result, Status};
use fewbit_kernels::real_gemm::{self, Coding, Paired, RealTile};
use fewbit_scheme::RealFormat;
use fewbit_scheme::block::gguf::Gguf;
use fewbit_scheme::block::mx::Mx;
use fewbit_simd::Supported;

/// Weights that are numbers, or codes that stand for numbers and are multiplied as these, exactly as if they were dequantized
/// beforehand. The layout of numbers, and of [`Codes`](RealWeights::Codes), is the plan's. Blocks are rows of K weights, one for each
/// output channel and a multiple of a block's, without gaps, as files have them ([`LinearLayout::Nk`](crate::LinearLayout::Nk)).
#[derive(Clone, Copy, Debug)]
pub enum RealWeights<'a> {
    /// f32.
    F32(&'a [f32]),
    /// The bits of IEEE binary16.
    F16(&'a [u16]),
    /// The bits of bfloat16.
    Bf16(&'a [u16]),
    /// Blocks of GGUF ([`fewbit_scheme::block::gguf::dequantize`]).
    Gguf(Gguf, &'a [u8]),
    /// Blocks of OCP MX ([`fewbit_scheme::block::mx::dequantize`]).
    Mx {
        /// The elements' format.
        format: Mx,
        /// A scale a block.
        scales: &'a [u8],
        /// The elements.
        elements: &'a [u8],
    },
    /// Blocks of NVFP4 ([`fewbit_scheme::block::nvfp4::dequantize`]).
    Nvfp4 {
        /// The tensor's scale, greater than 0.
        scale: f32,
        /// A scale a block, E4M3.
        scales: &'a [u8],
        /// The elements, two in a byte.
        elements: &'a [u8],
    },
    /// Codes of `S8`, `U8`, `S4` or `U4`:
    /// `scale * (code - zero_point)`, with one of each for all, for an output channel, or for a block. No multipliers.
    Codes(Weights<'a>),
}

impl RealWeights<'_> {
    /// The weights' elements: numbers, or bytes of codes.
    pub const fn len(&self) -> usize {
        match self {
            RealWeights::F32(weights) => weights.len(),
            RealWeights::F16(weights) | RealWeights::Bf16(weights) => weights.len(),
            RealWeights::Gguf(_, bytes) => bytes.len(),
            RealWeights::Mx { elements, .. } | RealWeights::Nvfp4 { elements, .. } => {
                elements.len()
            }
            RealWeights::Codes(weights) => weights.codes.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are numbers themselves.
    pub(crate) const fn are_numbers(&self) -> bool {
        matches!(self, RealWeights::F32(_) | RealWeights::F16(_) | RealWeights::Bf16(_))
    }

    /// Whether they are blocks of rows without gaps.
    pub(crate) const fn are_blocks(&self) -> bool {
        matches!(self, RealWeights::Gguf(..) | RealWeights::Mx { .. } | RealWeights::Nvfp4 { .. })
    }

    /// Weights that lie together, from a byte on, and the bytes of an element.
    pub(crate) const fn unit(&self) -> (usize, usize) {
        match self {
            RealWeights::F32(_) => (1, 4),
            RealWeights::F16(_) | RealWeights::Bf16(_) => (1, 2),
            RealWeights::Codes(weights) => (weights.format.codes_per_byte(), 1),
            _ => (1, 1),
        }
    }
}

/// How products of real numbers are added up. Only [`Chain`](RealArithmetic::Chain) is the same on every CPU because every CPU has it; another one
/// is asked for by name, and refused where the CPU, or the limit in force, has no instruction for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RealArithmetic {
    /// One chain of f32 fused multiply-adds ([`fewbit_scheme::dot`]).
    #[default]
    Chain,
    /// bf16 by bf16 as `vdpbf16ps` has it, two products an instruction: the same chain but for subnormal numbers, which are zeros
    /// ([`fewbit_scheme::dot_bf16`]). The input and the weights are bf16. Needs `avx512_bf16`.
    Bf16Dot,
    /// bf16 by bf16 as `bfdot` (FEAT_BF16) has it: pairs of products, every step rounded to odd, subnormal numbers zeros
    /// ([`fewbit_scheme::dot_bf16_odd`]). The input and the weights are bf16. Needs `neon_bf16`.
    Bf16DotOdd,
    /// Sums in f16, as `fmla` of f16 (FEAT_FP16) has it, one rounding a step, of blocks of 64 neighbours along k, and f32 sums of blocks
    /// ([`fewbit_scheme::dot_f16`]). The weights are f16; the input is f16, or f32, which is rounded to it. Needs `neon_fp16`.
    F16Fma,
}

impl RealArithmetic {
    /// What the kernels call it, but for the chain.
    const fn paired(self) -> Option<Paired> {
        match self {
            RealArithmetic::Chain => None,
            RealArithmetic::Bf16Dot => Some(Paired::Bf16Dot),
            RealArithmetic::Bf16DotOdd => Some(Paired::Bf16DotOdd),
            RealArithmetic::F16Fma => Some(Paired::F16Fma),
        }
    }
}

/// Why a plan with an arithmetic is refused: other numbers than its own, weights packed for another one, no instruction.
struct Refusals {
    input: &'static str,
    weights: &'static str,
    packed: &'static str,
    isa: &'static str,
}

/// Of each arithmetic.
const fn refusals(paired: Paired) -> Refusals {
    /// Messages are whole texts.
    macro_rules! of {
        ($name:literal, $input:literal, $weights:literal, $isa:literal) => {
            Refusals {
                input: concat!("is ", $name, ", but the input is not ", $input),
                weights: concat!("is ", $name, ", but the weights are not ", $weights),
                packed: concat!("is ", $name, ", but the weights were packed for another one"),
                isa: concat!(
                    "is ",
                    $name,
                    ", which needs ",
                    $isa,
                    ": the CPU, or the limit in force, lacks it"
                ),
            }
        };
    }
    match paired {
        Paired::Bf16Dot => of!("bf16_dot", "bf16", "bf16", "avx512_bf16"),
        Paired::Bf16DotOdd => of!("bf16_dot_odd", "bf16", "bf16", "neon_bf16"),
        Paired::F16Fma => of!("f16_fma", "f16 or f32", "f16", "neon_fp16"),
    }
}

/// What packed weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Numbers.
    Numbers(RealFormat),
    /// Numbers of 16 bits for an arithmetic that was asked for.
    Paired(Paired),
    /// Codes, and how many neighbours along k share factors; 0: all of a channel.
    Codes(Coding, usize),
}

impl Form {
    /// That of weights, `coded` if they are codes, `k` a channel.
    pub(crate) fn of(weights: &RealWeights<'_>, coded: Option<&Coded<'_>>, k: usize) -> Form {
        match (coded, weights) {
            (Some(coded), _) => {
                Form::Codes(coded.coding, if coded.block < k { coded.block } else { 0 })
            }
            (None, RealWeights::F16(_)) => Form::Numbers(RealFormat::F16),
            (None, RealWeights::Bf16(_)) => Form::Numbers(RealFormat::Bf16),
            (None, _) => Form::Numbers(RealFormat::F32),
        }
    }

    /// That of weights of this form, or of saved ones, for an arithmetic and an input.
    pub(crate) fn under(
        self,
        arithmetic: RealArithmetic,
        input: RealFormat,
        is_saved: bool,
    ) -> Result<Form> {
        let refused = |status, text| Err(Error::new(status, "desc.arithmetic", text));
        let Some(paired) = arithmetic.paired() else {
            if matches!(self, Form::Paired(_)) {
                let text = "is the chain, but the weights were packed for another one";
                return refused(Status::InvalidArgument, text);
            }
            return Ok(self);
        };
        let takes_input = input == paired.format()
            || matches!((paired, input), (Paired::F16Fma, RealFormat::F32));
        let Refusals { input, weights, packed, .. } = refusals(paired);
        match self {
            _ if !takes_input => refused(Status::Unsupported, input),
            Form::Paired(of) if of == paired => Ok(self),
            _ if is_saved => refused(Status::InvalidArgument, packed),
            Form::Numbers(format) if format == paired.format() => Ok(Form::Paired(paired)),
            _ => refused(Status::Unsupported, weights),
        }
    }

    /// Its number in saved weights, beyond those of codes that are multiplied as such: of numbers 16 to 21, of codes from 32 on,
    /// with the block's length above.
    fn id(self) -> u32 {
        match self {
            Form::Numbers(RealFormat::F32) => 16,
            Form::Numbers(RealFormat::F16) => 17,
            Form::Numbers(RealFormat::Bf16) => 18,
            Form::Paired(Paired::Bf16Dot) => 19,
            Form::Paired(Paired::Bf16DotOdd) => 20,
            Form::Paired(Paired::F16Fma) => 21,
            Form::Codes(coding, block) => {
                let index = Coding::ALL.iter().position(|&of| of == coding).unwrap_or(0);
                32 + index as u32 + ((block as u32) << 8)
            }
        }
    }

    /// The form of saved weights, which must be multiplied as numbers.
    pub(crate) fn saved(saved: &Opened<'_>) -> Result<Form> {
        let id = saved.code();
        let numbers = RealFormat::ALL.map(Form::Numbers);
        let named = Paired::ALL.map(Form::Paired);
        let known = numbers.into_iter().chain(named).find(|form| form.id() == id);
        let coding = (id & 0xFF).checked_sub(32).and_then(|at| Coding::ALL.get(at as usize));
        let coded = coding.map(|&coding| Form::Codes(coding, (id >> 8) as usize));
        known.or(coded).ok_or(Error::new(
            Status::InvalidArgument,
            "packed",
            "holds codes, but the plan's input is numbers that are multiplied as they are",
        ))
    }

    /// The tile that multiplies them.
    fn tile(self, supported: Supported) -> Result<&'static RealTile> {
        let format = match self {
            Form::Numbers(format) => format,
            Form::Codes(..) => RealFormat::F32,
            Form::Paired(paired) => {
                let isa = refusals(paired).isa;
                let lacks = Error::new(Status::Unsupported, "desc.arithmetic", isa);
                return paired.select(supported.set()).ok_or(lacks);
            }
        };
        let none = Error::new(Status::Internal, "plan", "found no kernel");
        real_gemm::select(format, supported.set()).ok_or(none)
    }
}

/// How real weights of a shape are packed on a CPU.
#[derive(Clone, Copy)]
pub(crate) struct RealLayout {
    pub tile: &'static RealTile,
    pub form: Form,
    pub k: usize,
    pub columns: Columns,
    /// Output channels of all groups.
    pub channels: usize,
    /// Bytes of a panel, and of all.
    pub panel: usize,
    pub bytes: usize,
}

impl RealLayout {
    /// The layout for `groups` products of `k` by `columns`.
    pub(crate) fn new(
        form: Form,
        (groups, columns, k): (usize, usize, usize),
        supported: Supported,
    ) -> Result<RealLayout> {
        let tile = form.tile(supported)?;
        let nr = tile.nr;
        let panels = columns.div_ceil(nr.max(1));
        let panel = match form {
            Form::Numbers(format) => {
                size(&[k.div_ceil(tile.kr.max(1)), nr, tile.kr, format.size()])?
            }
            Form::Paired(paired) => {
                // The steps of k, and what fills the last ones, are no more than that.
                size(&[k, 8])?;
                size(&[paired.steps(k), nr, size_of::<u32>()])?
            }
            Form::Codes(coding, block) => {
                // More than any panel has: a block of one weight would have two factors and a byte.
                size(&[k, nr, 16])?;
                // Of saved weights it is what they say.
                if block > MAX_BLOCK || !block.is_multiple_of(2) {
                    let text = "is {}: not even, or more than {}";
                    let error = Error::new(Status::Unsupported, "desc.weights.block", text);
                    return Err(error.with(block).with(MAX_BLOCK));
                }
                coding.panel_bytes(k, if block == 0 { k } else { block }, nr)
            }
        };
        Ok(RealLayout {
            tile,
            form,
            k,
            columns: Columns { groups, columns, panels, nr },
            channels: size(&[groups, columns])?,
            panel,
            bytes: size(&[groups, panels, panel])?,
        })
    }

    /// Bytes of a block of up to mr rows of f32.
    pub fn block_size(&self) -> usize {
        // No overflow: the packed weights, of at least as many numbers a panel, exist.
        self.tile.mr * self.row_numbers() * size_of::<f32>()
    }

    /// The distance of a block's rows, an odd number of lines: not all of them in the same sets of the nearest cache.
    pub fn row_numbers(&self) -> usize {
        const LINE: usize = 16;
        (self.steps(self.k).div_ceil(LINE) | 1) * LINE
    }

    /// What a tile takes for `k` numbers of a row: as many, or pairs.
    pub fn steps(&self, k: usize) -> usize {
        match self.form {
            Form::Paired(paired) => paired.steps(k),
            _ => k,
        }
    }

    /// How saved weights of this layout describe themselves.
    pub fn head(&self, kind: Kind) -> Head {
        let Columns { groups, columns, nr, .. } = self.columns;
        Head {
            kind,
            // Numbers have no sums and magnitudes.
            channels: 0,
            form: REAL_FORM,
            nr,
            kr: match self.form {
                Form::Codes(coding, _) if coding.is_nibbles() => 2,
                _ => self.tile.kr,
            },
            kernel: self.tile.row.name,
            groups,
            columns,
            k: self.k,
            code: self.form.id(),
            bytes: self.bytes,
        }
    }
}

/// The longest block of codes that a layout tells.
const MAX_BLOCK: usize = 0xFF_FFFF;
