//! Blocks of rows times panels of columns, and what becomes of their sums: the part of a run that
//! linear and convolution plans share.
//!
//! The order of operations on a sum: zero points and s32 bias (exact, in int32), then by output:
//!
//! * s32: ReLU.
//! * f32: `f32(acc) * (input scale * weight scale)`, f32 bias, NaN made canonical, ReLU.
//! * codes: `requantize(acc, (input scale * weight scale) / output scale)`, with ReLU as a clamp at the
//!   zero point; or, with an f32 bias, the f32 result quantized.

use super::packed::Packed;
use super::quantizer::stored_code;
use super::{Activation, Bias, Code, Operands, Output};
use crate::memory::{Allocator, Buffer};
use crate::{Error, Result, Status};
use core::ops::Range;
use core::ptr::null;
use fewbit_kernels::Rows;
use fewbit_kernels::gemm::{
    MAX_MR, MAX_NR, TileArgs, code_shift_lhs, is_packed_form, pack_lhs, sum_lhs,
};
use fewbit_kernels::quantize::{QuantizeArgs, QuantizeFn};
use fewbit_kernels::registry::{Bound, Row, best};
use fewbit_kernels::requantize::{RequantizeArgs, RequantizeFn};
use fewbit_kernels::scale::{ScaleArgs, ScaleFn};
use fewbit_kernels::{quantize, requantize, scale};
use fewbit_scheme::QuantizeMode;
use fewbit_simd::Supported;

pub(crate) struct Engine {
    pub packed: Packed,
    output: Output,
    relu: bool,
    lhs_unsigned: bool,
    /// Each column's scale, padded to whole panels: the weights', times that of the input where it is known.
    scales: Buffer<f32>,
    /// Whether the input's scale is part of `scales`.
    is_whole: bool,
    /// The largest of `scales`.
    largest: f32,
    /// Whether every f32 bias is finite.
    finite_bias: bool,
    /// The f32 bias of each column, padded; empty if there is none.
    bias: Buffer<f32>,
    /// For codes from an input of known scale: each column's multiplier, padded; otherwise empty.
    multipliers: Buffer<f32>,
    scale: Bound<ScaleFn>,
    requantize: Bound<RequantizeFn>,
    quantize: Bound<QuantizeFn>,
}

/// Lhs rows, packed or where they are, with their parameters.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    lhs: *const u8,
    row_stride: usize,
    group_stride: usize,
    k_groups: usize,
    k_rest: usize,
    rows: usize,
    /// Whether a row's zero point is other than the shared one.
    has_zero: bool,
    /// The rows' zero points beyond the shared one.
    zero: [i32; MAX_MR],
    sum: [i32; MAX_MR],
    scale: [f32; MAX_MR],
}

impl Block {
    /// A block of no rows.
    pub(crate) const EMPTY: Block = Block {
        lhs: null(),
        row_stride: 0,
        group_stride: 0,
        k_groups: 0,
        k_rest: 0,
        rows: 0,
        has_zero: false,
        zero: [0; MAX_MR],
        sum: [0; MAX_MR],
        scale: [0.0; MAX_MR],
    };
}

/// Where results go: column 0 of row 0 of the first block (all blocks but the last have mr rows), and
/// how many elements rows and columns are apart.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    pub base: *mut u8,
    pub row_stride: usize,
    pub column_stride: usize,
}

/// Blocks of at most `mr` rows that `rows` rows need.
pub(crate) fn block_count(rows: usize, mr: usize) -> usize {
    rows.div_ceil(mr.max(1))
}

fn find<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(Error::new(Status::Internal, "plan", "found no kernel"))
}

impl Engine {
    /// Packs `groups * columns` output channels of `k` weights; `at(channel, i)` is the index of a
    /// weight's code, or `None` for a real 0. The operands are checked.
    pub(crate) fn new(
        operands: &Operands<'_>,
        at: impl Fn(usize, usize) -> Option<usize>,
        shape: (usize, usize, usize),
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Engine> {
        let packed = Packed::new(operands, at, shape, supported, allocator)?;
        let Operands { weights, input, bias, output, activation } = *operands;
        let groups = shape.0;
        let padded = packed.padded_columns();
        let mut scales = Buffer::zeroed(padded, allocator, "desc.weights.scales")?;
        let real_bias = match bias {
            Bias::F32(bias) => Some(bias),
            _ => None,
        };
        let biases = if real_bias.is_some() { padded } else { 0 };
        let mut bias = Buffer::zeroed(biases, allocator, "desc.bias")?;
        let fixed = match (output, input.fixed_params(), real_bias) {
            (Output::Codes(_, out), Some(_), None) => Some(out.scale),
            _ => None,
        };
        let multiplied = if fixed.is_some() { padded } else { 0 };
        let mut multipliers = Buffer::zeroed(multiplied, allocator, "desc.weights.scales")?;
        let (mut largest, mut finite_bias) = (0.0, true);
        for group in 0..groups {
            for column in 0..packed.columns {
                let channel = group * packed.columns + column;
                let index = packed.slot(group, 0) + column;
                let put = |values: &mut Buffer<f32>, value: f32| {
                    if let Some(slot) = values.as_mut_slice().get_mut(index) {
                        *slot = value;
                    }
                };
                let mut scale = weights.scale(channel);
                if let Some(params) = input.fixed_params() {
                    scale *= params.scale;
                }
                largest = fewbit_scheme::real::max(largest, scale);
                put(&mut scales, scale);
                let extra = real_bias.and_then(|b| b.get(channel)).copied().unwrap_or(0.0);
                finite_bias &= extra.is_finite();
                put(&mut bias, extra);
                if let Some(output_scale) = fixed {
                    put(&mut multipliers, scale / output_scale);
                }
            }
        }
        let (requantize_rows, quantize_rows) = match output {
            Output::Codes(Code::U8, _) => (requantize::S32_U8, quantize::F32_U8),
            _ => (requantize::S32_S8, quantize::F32_S8),
        };
        Ok(Engine {
            lhs_unsigned: stored_code(&input, packed.form).is_unsigned(),
            packed,
            output,
            relu: activation == Activation::Relu,
            scales,
            is_whole: input.fixed_params().is_some(),
            largest,
            finite_bias,
            bias,
            multipliers,
            scale: find(scale::S32_F32, supported)?,
            requantize: find(requantize_rows, supported)?,
            quantize: find(quantize_rows, supported)?,
        })
    }

    /// Bytes of a packed block of up to `mr` rows.
    pub(crate) fn block_size(&self) -> usize {
        // No overflow: the packed weights, of at least as many k-groups times nr, exist.
        self.packed.k_groups() * self.packed.mr * 4
    }

    /// A block of `1..=mr` rows: `row(r)` gives the address of its k codes, `parameters(r)` its zero point
    /// and its scale. The codes are packed at `memory`, or left where they are if there is none.
    ///
    /// # Safety
    /// The codes can be read, and `memory`, if it is not NULL, written for
    /// [`block_size`](Engine::block_size) bytes. Without it the codes are
    /// [`is_direct`](Engine::is_direct), the rows are equally far apart, and they outlive the block.
    pub(crate) unsafe fn block(
        &self,
        memory: *mut u8,
        rows: usize,
        row: impl Fn(usize) -> *const u8,
        parameters: impl Fn(usize) -> (i32, f32),
    ) -> Block {
        let packed = &self.packed;
        let (k, form) = (packed.k, packed.form);
        let kr = form.kr().max(1);
        let mut block = if memory.is_null() {
            let first = row(0);
            Block {
                lhs: first,
                row_stride: if rows > 1 { row(1).addr().wrapping_sub(first.addr()) } else { 0 },
                group_stride: kr,
                k_groups: k / kr,
                k_rest: k % kr,
                rows,
                ..Block::EMPTY
            }
        } else {
            // SAFETY: by this function's contract.
            unsafe { pack_lhs(&row, rows, k, self.lhs_unsigned, form, memory) };
            Block {
                lhs: memory,
                row_stride: 4,
                group_stride: rows * 4,
                k_groups: packed.k_groups(),
                rows,
                ..Block::EMPTY
            }
        };
        let shift = code_shift_lhs(self.lhs_unsigned, form) - packed.shared_zero;
        let slots = block.zero.iter_mut().zip(&mut block.sum).zip(&mut block.scale);
        for (r, ((zero, sum), scale)) in slots.enumerate().take(rows) {
            let (zero_point, row_scale) = parameters(r);
            *zero = zero_point + shift;
            *scale = row_scale;
            block.has_zero |= *zero != 0;
            if packed.has_zero {
                // SAFETY: k codes by this function's contract.
                *sum = unsafe { sum_lhs(row(r), k, self.lhs_unsigned, form) };
            }
        }
        block
    }

    /// Whether rows can be multiplied where they are: the tile reads such codes.
    pub(crate) fn is_direct(&self) -> bool {
        is_packed_form(self.lhs_unsigned, self.packed.form)
    }

    /// Multiplies blocks with columns of a group and stores the results. Each panel meets all blocks
    /// before the next one comes, so that it is read from afar once.
    ///
    /// # Safety
    /// The blocks were packed by this engine, all but the last of mr rows, and their memory is
    /// unchanged; `group` and `columns` exist; every element of the blocks' rows and these columns can
    /// be written at `dst`.
    pub(crate) unsafe fn multiply(
        &self,
        blocks: &[Block],
        group: usize,
        columns: Range<usize>,
        dst: &Destination,
    ) {
        let packed = &self.packed;
        let nr = packed.nr.max(1);
        let element = self.output.element_size();
        let mut sums = [0i32; MAX_MR * MAX_NR];
        let mut column = columns.start;
        while column < columns.end {
            let panel = column / nr;
            let end = columns.end.min((panel + 1) * nr);
            let first = column - panel * nr;
            // Sums that are the results go where they belong, if the whole panel does.
            let whole = end - column == nr && dst.column_stride == 1;
            let direct = self.output == Output::S32 && !self.relu && whole;
            let rhs = packed.panel(group, panel);
            for (b, block) in blocks.iter().enumerate() {
                // SAFETY: the block's rows are there; the panel exists, with nr
                // columns; `sums` holds the largest tile, and `to` the results by this function's contract.
                unsafe {
                    let at = b * packed.mr * dst.row_stride + column * dst.column_stride;
                    let to = dst.base.add(at * element);
                    let args = TileArgs {
                        lhs: block.lhs,
                        lhs_row_stride: block.row_stride,
                        lhs_group_stride: block.group_stride,
                        rhs: rhs.codes,
                        k_groups: block.k_groups,
                        k_rest: block.k_rest,
                        rows: block.rows,
                        start: rhs.start,
                        lhs_zero: if block.has_zero { block.zero.as_ptr() } else { null() },
                        rhs_fold: rhs.fold,
                        rhs_zero: rhs.zero,
                        lhs_sum: block.sum.as_ptr(),
                        dst: if direct { to.cast() } else { sums.as_mut_ptr() },
                        dst_stride: if direct { dst.row_stride } else { nr },
                    };
                    packed.tile.run()(&args);
                    if !direct {
                        let slot = packed.slot(group, panel) + first;
                        let acc = Sums { at: sums.as_ptr().add(first), n: end - column, slot };
                        self.store(&acc, block, &Destination { base: to, ..*dst });
                    }
                }
            }
            column = end;
        }
    }

    /// Turns the sums of a block's rows into outputs.
    ///
    /// # Safety
    /// The sums can be read; the outputs written, from the first at `dst.base` on.
    unsafe fn store(&self, acc: &Sums, block: &Block, dst: &Destination) {
        let nr = self.packed.nr;
        let Sums { at: src, n, slot } = *acc;
        let Destination { base, row_stride, column_stride } = *dst;
        let rows = block.rows;
        let bias = if self.bias.is_empty() {
            null()
        } else {
            self.bias.as_slice().as_ptr().wrapping_add(slot)
        };
        let finite = |scale: &f32| (scale * self.largest).is_finite();
        let finite_scales = match self.is_whole {
            true => self.largest.is_finite(),
            false => block.scale.iter().take(rows).all(finite),
        };
        let scaling = |dst: *mut f32, dst_row_stride: usize, dst_stride: usize| ScaleArgs {
            src,
            dst,
            dst_stride,
            n,
            rows,
            src_row_stride: nr,
            dst_row_stride,
            row_factors: if self.is_whole { null() } else { block.scale.as_ptr() },
            factors: self.scales.as_slice().as_ptr().wrapping_add(slot),
            bias,
            may_be_nan: !(finite_scales && self.finite_bias),
            relu: self.relu,
        };
        match self.output {
            Output::S32 => {
                for (r, i) in (0..rows).flat_map(|r| (0..n).map(move |i| (r, i))) {
                    // SAFETY: by this function's contract.
                    unsafe {
                        let sum = src.add(r * nr + i).read();
                        let sum = if self.relu { sum.max(0) } else { sum };
                        let to = base.cast::<i32>().add(r * row_stride + i * column_stride);
                        to.write_unaligned(sum);
                    }
                }
            }
            // SAFETY: sums, columns and outputs exist by this function's contract.
            Output::F32 => unsafe {
                self.scale.run()(&scaling(base.cast(), row_stride, column_stride));
            },
            Output::Codes(code, params) if bias.is_null() => {
                let zero_points = [params.zero_point; MAX_NR];
                let format = code.format();
                let low = if self.relu { params.zero_point } else { format.qmin() };
                let requantizing = |first: usize, count: usize, multipliers| RequantizeArgs {
                    src: src.wrapping_add(first * nr),
                    src_stride: 1,
                    dst: base.wrapping_add(first * row_stride),
                    dst_stride: column_stride,
                    n,
                    multipliers,
                    zero_points: zero_points.as_ptr(),
                    param_step: 1,
                    rows: Rows { count, src_stride: nr, dst_stride: row_stride, param_stride: 0 },
                    clamp: (low, format.qmax()),
                };
                if !self.multipliers.is_empty() {
                    let multipliers = self.multipliers.as_slice().as_ptr().wrapping_add(slot);
                    // SAFETY: as above; `n <= MAX_NR` zero points and multipliers.
                    unsafe { self.requantize.run()(&requantizing(0, rows, multipliers)) };
                    return;
                }
                let scales = self.scales.as_slice().get(slot..).unwrap_or_default();
                for (r, row_scale) in block.scale.iter().enumerate().take(rows) {
                    let mut products = [0f32; MAX_NR];
                    for (product, weight_scale) in products.iter_mut().zip(scales).take(n) {
                        *product = row_scale * weight_scale / params.scale;
                    }
                    // SAFETY: as above.
                    unsafe { self.requantize.run()(&requantizing(r, 1, products.as_ptr())) };
                }
            }
            Output::Codes(code, params) => {
                let mut real = [0f32; MAX_MR * MAX_NR];
                let mut codes = [0u8; MAX_MR * MAX_NR];
                let (real, codes) = (real.as_mut_ptr(), codes.as_mut_ptr());
                // The rows one behind the other are one run with one parameter.
                let args = QuantizeArgs {
                    src: real.cast_const().cast(),
                    src_stride: 1,
                    dst: codes,
                    dst_stride: 1,
                    n: rows * n,
                    scales: &params.scale,
                    zero_points: &params.zero_point,
                    param_step: 0,
                    rows: Rows::ONE,
                    mode: QuantizeMode::default(),
                    clamp: (code.format().qmin(), code.format().qmax()),
                };
                // SAFETY: as above; `real` and `codes` hold `rows * n` values.
                unsafe {
                    self.scale.run()(&scaling(real, n, 1));
                    self.quantize.run()(&args);
                    for (r, i) in (0..rows).flat_map(|r| (0..n).map(move |i| (r, i))) {
                        let code = codes.add(r * n + i).read();
                        base.add(r * row_stride + i * column_stride).write(code);
                    }
                }
            }
        }
    }
}

/// Sums of a tile on their way to outputs.
struct Sums {
    /// The first row's first; rows are nr apart.
    at: *const i32,
    /// Sums of a row, at most nr.
    n: usize,
    /// The first one's column in padded arrays.
    slot: usize,
}
