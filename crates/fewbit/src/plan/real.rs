//! Products of real numbers: packed f32, f16 or bf16 weights, or codes that stand for numbers, and blocks of rows times
//! panels of columns.

mod decoded;

use decoded::Decoder;

use super::check::{check_activation, check_output, check_residual};
use super::coded::Coded;
use super::columns::Columns;
use super::epilogue::{Destination, Epilogue, Sums};
use super::real_layout::{Form, RealLayout, RealWeights};
use super::saved::{Head, Kind};
use super::tasks::most_blocks;
use super::{ActivationMode, Bias, Input, Operands, Output, Residual, Weights, block_count, find};
use crate::memory::{ALIGNMENT, Allocator, Buffer};
use crate::{Error, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::real_gemm::{MAX_MR, MAX_NR, RealTileArgs, RealTileFn, pack_codes, pack_rhs};
use fewbit_kernels::registry::{self, Bound};
use fewbit_scheme::{Activation, IntFormat, RealFormat, float16};
use fewbit_simd::Supported;

/// No codes: what operands hold in the place of quantized weights.
const NO_WEIGHTS: Weights<'static> = Weights {
    format: IntFormat::S8,
    codes: &[],
    scales: &[],
    zero_points: &[],
    block: 0,
    multipliers: &[],
    shifts: &[],
};

/// What a description of a product of real numbers says of more than its shape.
pub(crate) struct RealOperands<'a> {
    pub input: RealFormat,
    /// One for each output channel, or none.
    pub bias: &'a [f32],
    pub output: Output,
    pub activation: Activation,
    pub residual: Residual,
}

impl<'a> RealOperands<'a> {
    /// The operands of an engine, which leaves sums, after all was checked that does not depend on the product's shape but
    /// for the number of output channels.
    pub(crate) fn check(&self, channels: usize) -> Result<Operands<'a>> {
        let operands = Operands {
            weights: NO_WEIGHTS,
            input: Input::Real(self.input),
            bias: if self.bias.is_empty() { Bias::None } else { Bias::F32(self.bias) },
            output: self.output,
            activation: self.activation,
            mode: ActivationMode::Float,
            residual: self.residual,
        };
        let refused = |text| Err(Error::new(Status::Unsupported, "desc.output", text));
        match self.output {
            Output::S32 => return refused("is s32 sums, but products of real numbers have none"),
            Output::FixedPoint(..) => {
                return refused("is by fixed point, but products of real numbers are no integers");
            }
            _ => {}
        }
        check_activation(&operands)?;
        check_residual(&operands)?;
        check_output(self.output)?;
        if !self.bias.is_empty() && self.bias.len() != channels {
            let text = "has {} values, but there are {} output channels";
            let error = Error::new(Status::InvalidArgument, "desc.bias", text);
            return Err(error.with(self.bias.len()).with(channels));
        }
        Ok(Operands { output: self.output.of_sums(), ..operands })
    }
}

/// Packed numbers or codes: the plan's own, or the caller's.
enum Numbers<'w> {
    F32(Buffer<f32>),
    Half(Buffer<u16>),
    Codes(Buffer<u8>),
    Mapped(&'w [u8]),
}

impl Numbers<'_> {
    fn as_ptr(&self) -> *const u8 {
        match self {
            Numbers::F32(numbers) => numbers.as_slice().as_ptr().cast(),
            Numbers::Half(numbers) => numbers.as_slice().as_ptr().cast(),
            Numbers::Codes(codes) => codes.as_slice().as_ptr(),
            Numbers::Mapped(bytes) => bytes.as_ptr(),
        }
    }
}

/// Packed real weights and what multiplies them.
pub(crate) struct RealEngine<'w> {
    tile: Bound<RealTileFn>,
    layout: RealLayout,
    numbers: Numbers<'w>,
    /// The f32 bias of each column, padded to whole panels; empty if there is none.
    bias: Buffer<f32>,
    epilogue: Epilogue,
    output: Output,
    /// Bytes of a residual's element.
    residual: usize,
    input: RealFormat,
    /// What widens an input of 16 bits, or rounds f32 to f16.
    convert: Bound<ConvertFn>,
    /// What makes numbers of codes.
    decode: Option<Decoder>,
    /// Bytes from one block of rows in a worker's part to the next.
    block_distance: usize,
    /// The most blocks that a task keeps.
    most_blocks: usize,
}

/// Rows to multiply, as f32, where they are.
#[derive(Clone, Copy)]
pub(crate) struct RealBlock {
    lhs: *const f32,
    /// In numbers.
    row_stride: usize,
    rows: usize,
    /// Numbers of a row, or pairs of them: those of a panel, or the first ones.
    k: usize,
}

impl<'w> RealEngine<'w> {
    /// Packs weights, which are `coded` if they are no numbers; `at(channel, i)` is the index of a weight. The operands are
    /// checked, and the weights are as many as the indices reach.
    pub(crate) fn new(
        operands: &Operands<'_>,
        (weights, coded): (RealWeights<'_>, Option<&Coded<'_>>),
        at: &dyn Fn(usize, usize) -> Option<usize>,
        layout: RealLayout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<RealEngine<'w>> {
        let count = |size: usize| layout.bytes.checked_div(size).unwrap_or(0);
        let numbers = match weights {
            RealWeights::F32(weights) => {
                let mut to = Buffer::zeroed(count(4), allocator, "desc.weights")?;
                let number = |index: usize| weights.get(index).copied();
                pack(|c, i| number(at(c, i)?), &layout, to.as_mut_slice());
                Numbers::F32(to)
            }
            RealWeights::F16(weights) | RealWeights::Bf16(weights) => {
                let mut to = Buffer::zeroed(count(2), allocator, "desc.weights")?;
                let number = |index: usize| weights.get(index).copied();
                // Halves of pairs may change places, and what completes the last ones is no number.
                let exchanged = matches!(layout.form, Form::Paired(form) if form.is_exchanged());
                let place = |i| Some(i ^ usize::from(exchanged)).filter(|&i| i < layout.k);
                pack(|c, i| number(at(c, place(i)?)?), &layout, to.as_mut_slice());
                Numbers::Half(to)
            }
            _ => {
                let coded = coded.ok_or(Error::new(Status::Internal, "plan", "has no codes"))?;
                let mut to = Buffer::zeroed(layout.bytes, allocator, "desc.weights")?;
                let Columns { columns, nr, .. } = layout.columns;
                each_panel(&layout, layout.panel, to.as_mut_slice(), |channel, first, to| {
                    let of = (
                        |c: usize, i: usize| coded.code(&at, channel + c, i),
                        |c: usize, b: usize| coded.factors(channel + c, b),
                    );
                    let shape = (columns.saturating_sub(first).min(nr), layout.k, coded.block);
                    pack_codes(coded.coding, of, shape, nr, to);
                });
                Numbers::Codes(to)
            }
        };
        RealEngine::with(operands, numbers, layout, supported, allocator)
    }

    /// Takes panels that were packed before.
    pub(crate) fn mapped(
        operands: &Operands<'_>,
        panels: &'w [u8],
        layout: RealLayout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<RealEngine<'w>> {
        RealEngine::with(operands, Numbers::Mapped(panels), layout, supported, allocator)
    }

    fn with(
        operands: &Operands<'_>,
        numbers: Numbers<'w>,
        layout: RealLayout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<RealEngine<'w>> {
        let columns = layout.columns;
        let given = match operands.bias {
            Bias::F32(bias) => bias,
            _ => &[],
        };
        let biases = if given.is_empty() { 0 } else { columns.padded() };
        let mut bias = Buffer::<f32>::zeroed(biases, allocator, "desc.bias")?;
        for (channel, &value) in given.iter().enumerate() {
            let n = columns.columns.max(1);
            let index = columns.slot(channel / n, 0) + channel % n;
            if let Some(to) = bias.as_mut_slice().get_mut(index) {
                *to = value;
            }
        }
        let input = operands.input.real().unwrap_or(RealFormat::F32);
        let decode = match layout.form {
            Form::Numbers(_) | Form::Paired(_) => None,
            Form::Codes(coding, block) => Some(Decoder {
                run: find(coding.table(), supported)?,
                coding,
                block: if block == 0 { layout.k.max(1) } else { block },
            }),
        };
        let without_bias = Operands { bias: Bias::None, ..*operands };
        let block_distance = layout.block_size().next_multiple_of(ALIGNMENT);
        Ok(RealEngine {
            tile: registry::bind(&layout.tile.row, supported).ok_or(Error::new(
                Status::Internal,
                "plan",
                "found no kernel",
            ))?,
            layout,
            numbers,
            bias,
            epilogue: Epilogue::new(&without_bias, columns, supported, allocator)?,
            output: operands.output,
            residual: operands.residual.element_size(),
            input,
            convert: find(
                match input {
                    RealFormat::Bf16 => convert::BF16_F32,
                    RealFormat::F16 => convert::F16_F32,
                    RealFormat::F32 => convert::F32_F16,
                },
                supported,
            )?,
            decode,
            block_distance,
            most_blocks: most_blocks(usize::MAX, block_distance),
        })
    }

    /// The kernel's name: the tile's, or of codes that of what decodes them for it.
    pub(crate) fn kernel_name(&self) -> &'static str {
        self.decode.as_ref().map_or(self.tile.name(), |decoder| decoder.run.name())
    }

    /// Most rows of a block.
    pub(crate) fn mr(&self) -> usize {
        self.layout.tile.mr
    }

    /// Where output channels are in panels.
    pub(crate) fn columns(&self) -> Columns {
        self.layout.columns
    }

    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.layout.bytes
    }

    /// The packed weights, and how they describe themselves when they are saved as those of a kind of plan.
    pub(crate) fn saved(&self, kind: Kind) -> (Head, &[u8]) {
        // SAFETY: so many numbers were packed, or mapped.
        let bytes =
            unsafe { core::slice::from_raw_parts(self.numbers.as_ptr(), self.weight_bytes()) };
        (self.layout.head(kind), bytes)
    }

    /// Bytes from one block of rows in the workspace to the next.
    pub(crate) fn block_distance(&self) -> usize {
        self.block_distance
    }

    /// The most blocks that a task keeps, of `row_blocks`.
    pub(crate) fn most_blocks(&self, row_blocks: usize) -> usize {
        self.most_blocks.min(row_blocks.max(1))
    }

    /// Bytes from one row of a block in the workspace to the next.
    pub(crate) fn row_bytes(&self) -> usize {
        self.layout.row_numbers() * size_of::<f32>()
    }

    /// Numbers of a row.
    pub(crate) fn k(&self) -> usize {
        self.layout.k
    }

    /// Whether rows can be multiplied where they are.
    pub(crate) fn is_direct(&self) -> bool {
        self.input == RealFormat::F32 && !matches!(self.layout.form, Form::Paired(_))
    }

    /// `1..=mr` rows of up to k numbers that lie `stride` bytes apart, as f32: at `memory`, or where they are if there is
    /// none.
    ///
    /// # Safety
    /// The numbers can be read, and `memory`, if it is not NULL, written for [`block_distance`](RealEngine::block_distance)
    /// bytes, aligned to f32. Without it rows are [direct](RealEngine::is_direct), aligned, and outlive the block.
    pub(crate) unsafe fn block(
        &self,
        memory: *mut u8,
        (rows, k): (usize, usize),
        (first, stride): (*const u8, usize),
    ) -> RealBlock {
        if memory.is_null() {
            return RealBlock { lhs: first.cast(), row_stride: stride / size_of::<f32>(), rows, k };
        }
        let row_stride = self.layout.row_numbers();
        let lhs = memory.cast::<f32>();
        for r in 0..rows {
            let from = first.wrapping_add(r * stride);
            // SAFETY: by this function's contract.
            unsafe {
                let to = lhs.add(r * row_stride);
                let args =
                    ConvertArgs { src: from, src_stride: 1, dst: to.cast(), dst_stride: 1, n: k };
                match (self.layout.form, self.input) {
                    (Form::Paired(paired), input) => {
                        let to = to.cast::<u16>();
                        match input {
                            _ if paired.is_exchanged() => copy_pairs(from, k, to.cast()),
                            RealFormat::F32 => self.convert.run()(&args),
                            _ => to.cast::<u8>().copy_from_nonoverlapping(from, 2 * k),
                        }
                        // What completes the last pairs.
                        for i in k..2 * paired.steps(k) {
                            to.add(i ^ usize::from(paired.is_exchanged())).write(0);
                        }
                    }
                    (_, RealFormat::F32) => {
                        to.cast::<u8>().copy_from_nonoverlapping(from, k * size_of::<f32>());
                    }
                    _ => self.convert.run()(&args),
                }
            }
        }
        RealBlock { lhs, row_stride, rows, k: self.layout.steps(k) }
    }

    /// Multiplies blocks with columns of a group and stores the results. Each panel meets all blocks before the next one
    /// comes; a block alone, of few rows, meets several at a time.
    ///
    /// # Safety
    /// The blocks are those of [`block`](RealEngine::block), and their memory is unchanged; `group` and `columns` exist;
    /// every element of the blocks' rows, which follow each other, and of these columns can be written at `dst`, which
    /// is the place of row 0 of the first block and of column 0; so can residuals be read, if the plan has any; `scratch` has
    /// [`scratch`](RealEngine::scratch) bytes for so many blocks, aligned to f32.
    pub(crate) unsafe fn multiply(
        &self,
        blocks: &[RealBlock],
        group: usize,
        columns: Range<usize>,
        dst: &Destination,
        scratch: *mut u8,
    ) {
        let map = self.layout.columns;
        let nr = map.nr.max(1);
        let element = self.output.element_size();
        let most = match blocks {
            [block] => self.layout.tile.panels(block.rows),
            _ => 1,
        };
        let mut real = MaybeUninit::<[f32; MAX_MR * MAX_NR]>::uninit();
        let real = real.as_mut_ptr().cast::<f32>();
        let mut column = columns.start;
        while column < columns.end {
            let panel = column / nr;
            let first = column - panel * nr;
            // Whole panels together, or a part of one.
            let whole = (columns.end - column) / nr;
            let panels = if first == 0 { whole.clamp(1, most) } else { 1 };
            let n = (panels * nr - first).min(columns.end - column);
            let is_whole = n == panels * nr;
            let slot = map.slot(group, panel);
            let part = Part {
                first,
                n,
                panels,
                direct: is_whole && dst.column_stride == 1 && self.epilogue.is_real_identity(),
                rhs: self.numbers.as_ptr().wrapping_add(slot / nr * self.layout.panel),
                bias: match self.bias.is_empty() {
                    true => core::ptr::null(),
                    false => self.bias.as_slice().as_ptr().wrapping_add(slot),
                },
            };
            // SAFETY: the blocks' rows and the panels are there, and the results can be written, by this function's contract;
            // `real` holds the largest tile, and the scratch what decoding needs.
            unsafe {
                let to = |row: usize| dst.at(row, column, element, self.residual);
                if let Some(decoder) = &self.decode {
                    self.decoded(decoder, blocks, &part, to, scratch.cast());
                } else {
                    let mut row = 0;
                    for block in blocks {
                        let to = to(row);
                        let args = RealTileArgs {
                            rhs: part.rhs,
                            rhs_panel_stride: self.layout.panel,
                            k: block.k,
                            bias: part.bias,
                            relu: self.epilogue.relu,
                            ..part.args(block, nr, &to, real)
                        };
                        self.tile.run()(&args);
                        self.store(block.rows, &part, args.dst, &to);
                        row += block.rows;
                    }
                }
            }
            column += n;
        }
    }

    /// Finishes a block's results and stores them, where the tile has not done so.
    ///
    /// # Safety
    /// `real` has so many rows of the part's panels; the rest as [`multiply`](RealEngine::multiply).
    unsafe fn store(&self, rows: usize, part: &Part, real: *mut f32, to: &Destination) {
        if part.direct {
            return;
        }
        let (n, columns) = (part.n, part.panels * self.layout.columns.nr);
        // SAFETY: by this function's contract; rows only move to lower addresses.
        unsafe {
            for r in 0..if n == columns { 0 } else { rows } {
                real.add(r * n).copy_from(real.add(r * columns + part.first), n);
            }
            let results =
                Sums { at: core::ptr::null(), row_stride: 0, rows, n, slot: 0, row_scales: &[] };
            self.epilogue.finish(real, &results, to);
        }
    }

    /// A packed weight as f32; of those beyond the last 0. Not of codes.
    pub(crate) fn number(&self, channel: usize, i: usize) -> f32 {
        let (map, tile) = (self.layout.columns, self.layout.tile);
        let (nr, kr) = (map.nr.max(1), tile.kr.max(1));
        let panel = channel / nr * self.layout.panel;
        let at = (i / kr * nr + channel % nr) * kr + i % kr;
        // SAFETY: so many bytes were packed, or mapped.
        let bytes =
            unsafe { core::slice::from_raw_parts(self.numbers.as_ptr(), self.weight_bytes()) };
        let of = |size: usize| bytes.get(panel + at * size..).unwrap_or_default();
        let half = || of(2).first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes));
        match self.layout.form {
            Form::Numbers(RealFormat::F16) => float16::f16_to_f32(half()),
            Form::Numbers(RealFormat::Bf16) => float16::bf16_to_f32(half()),
            _ => of(4).first_chunk().map_or(0.0, |bytes| f32::from_ne_bytes(*bytes)),
        }
    }

    /// The f32 bias of each column, or NULL, and whether negative results become 0: what kernels do that leave results in place.
    pub(crate) fn bias_and_relu(&self) -> (*const f32, bool) {
        let bias = match self.bias.is_empty() {
            true => core::ptr::null(),
            false => self.bias.as_slice().as_ptr(),
        };
        (bias, self.epilogue.relu)
    }

    /// Whether what such a kernel leaves are the results.
    pub(crate) fn is_identity(&self) -> bool {
        self.epilogue.is_real_identity()
    }

    /// Finishes `rows` rows of `n` results of such a kernel, without gaps, and stores them.
    ///
    /// # Safety
    /// They can be read and written, at most as many as of the largest tile; so can the results be written, and residuals read, if the plan has any.
    pub(crate) unsafe fn finish(
        &self,
        real: *mut f32,
        (rows, n): (usize, usize),
        to: &Destination,
    ) {
        let sums = Sums { at: core::ptr::null(), row_stride: 0, rows, n, slot: 0, row_scales: &[] };
        // SAFETY: by this function's contract.
        unsafe { self.epilogue.finish(real, &sums, to) }
    }

    /// The rows of each of the blocks that `rows` rows make: as equal as can be, so that none has few.
    pub(crate) fn split(&self, rows: usize) -> impl Fn(usize) -> Range<usize> + use<> {
        let count = block_count(rows, self.mr()).max(1);
        move |block| rows * block / count..rows * (block + 1) / count
    }
}

/// Panels that meet blocks of rows, and where their results go.
struct Part {
    /// The first column that is wanted, and how many are.
    first: usize,
    n: usize,
    panels: usize,
    /// Whether the tile writes the results themselves.
    direct: bool,
    /// The first panel.
    rhs: *const u8,
    /// The columns' bias, or NULL.
    bias: *const f32,
}

impl Part {
    /// A tile's arguments as far as they do not depend on the panels: results go to `to`, if they can, or to `real`.
    fn args(&self, block: &RealBlock, nr: usize, to: &Destination, real: *mut f32) -> RealTileArgs {
        RealTileArgs {
            lhs: block.lhs,
            lhs_row_stride: block.row_stride,
            rhs: self.rhs,
            rhs_panel_stride: 0,
            panels: self.panels,
            k: 0,
            rows: block.rows,
            bias: core::ptr::null(),
            relu: false,
            resume: false,
            dst: if self.direct { to.base.cast() } else { real },
            dst_stride: if self.direct { to.row_stride } else { self.panels * nr },
        }
    }
}

/// Calls `pack` for each panel of a layout: the first channel, the column in its group, and the panel's `len` elements.
fn each_panel<T>(
    layout: &RealLayout,
    len: usize,
    to: &mut [T],
    mut pack: impl FnMut(usize, usize, &mut [T]),
) {
    let Columns { columns, panels, nr, .. } = layout.columns;
    for (index, to) in to.chunks_mut(len.max(1)).enumerate() {
        let (group, panel) = (index / panels.max(1), index % panels.max(1));
        pack(group * columns + panel * nr, panel * nr, to);
    }
}

/// Copies `k` bf16 as pairs, the first one in the upper half; what completes the last one is whatever.
///
/// # Safety
/// The numbers can be read, at any address, and the pairs written.
unsafe fn copy_pairs(from: *const u8, k: usize, to: *mut u32) {
    // SAFETY: by this function's contract.
    unsafe {
        for i in 0..k / 2 {
            let [first, second] = from.cast::<[u16; 2]>().add(i).read_unaligned();
            to.add(i).write(u32::from(first) << 16 | u32::from(second));
        }
        if k % 2 == 1 {
            let last = from.cast::<u16>().add(k - 1).read_unaligned();
            to.add(k / 2).write(u32::from(last) << 16);
        }
    }
}

/// Packs all panels of a layout of numbers.
fn pack<T: Copy + Default>(
    number: impl Fn(usize, usize) -> Option<T>,
    layout: &RealLayout,
    to: &mut [T],
) {
    let Columns { columns, nr, .. } = layout.columns;
    let len = layout.panel.checked_div(size_of::<T>()).unwrap_or(0);
    let k = match layout.form {
        Form::Paired(paired) => 2 * paired.steps(layout.k),
        _ => layout.k,
    };
    each_panel(layout, len, to, |channel, first, to| {
        pack_rhs(
            |c, i| number(channel + c, i).unwrap_or_default(),
            (columns.saturating_sub(first).min(nr), k),
            (nr, layout.tile.kr),
            to,
        );
    });
}
