//! What becomes of a tile's sums: the epilogue that linear and convolution plans share.
//!
//! The order of operations on a sum: zero points and s32 bias (exact, in int32), then by output:
//!
//! * s32: ReLU.
//! * f32, f16, bf16: `f32(acc) * (input scale * weight scale)`, f32 bias, NaN made canonical, residual added,
//!   activation; then, to 16 bits, rounded once more.
//! * codes, without f32 bias and residual, and with no activation, ReLU or a clamp:
//!   `requantize(acc, (input scale * weight scale) / output scale)` in one step, the activation as a clamp of the
//!   codes.
//! * other codes: the f32 result as above, quantized.
//! * codes by fixed point: [`fewbit_scheme::requantize_fixed`], ReLU or clamp as a clamp of the codes.
//! * of a product of real numbers: the same from the f32 bias on.
//! * codes in table mode: `requantize` (or by fixed point) to the intermediate parameters, then a table of 256 codes.

use super::columns::Columns;
use super::fixed::Fixed;
use super::{ActivationMode, Bias, Code, Input, Operands, Output, Residual};
use crate::memory::{Allocator, Buffer};
use crate::{Error, Result, Status};
use core::mem::MaybeUninit;
use core::ptr::null;
use fewbit_kernels::activate::{self, ActivateArgs, ActivateFn};
use fewbit_kernels::add::{ADD, AddArgs, AddFn};
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit_kernels::gemm::{MAX_MR, MAX_NR};
use fewbit_kernels::lookup::{LOOKUP, LookupArgs, LookupFn};
use fewbit_kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit_kernels::registry::{Bound, Row, best};
use fewbit_kernels::scale::{self, ScaleArgs, ScaleCodesArgs, ScaleCodesFn, ScaleFn, Tile};
use fewbit_kernels::{Rows, convert::F32_BF16, convert::F32_F16};
use fewbit_scheme::{Activation, QuantParams, QuantizeMode, RealFormat, Rounding};
use fewbit_simd::Supported;

/// Sums, results or codes of the largest tile.
const TILE: usize = MAX_MR * MAX_NR;

/// Sums of a tile on their way to outputs.
pub(crate) struct Sums<'a> {
    /// The first row's first.
    pub at: *const i32,
    /// Distance of the rows' first sums.
    pub row_stride: usize,
    pub rows: usize,
    /// Sums of a row; with all rows at most [`TILE`].
    pub n: usize,
    /// The first one's column in padded arrays.
    pub slot: usize,
    /// The rows' scales, where the input's scale is not known beforehand.
    pub row_scales: &'a [f32],
}

/// Where results go: the first element, and how many elements rows and columns are apart.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    pub base: *mut u8,
    pub row_stride: usize,
    pub column_stride: usize,
    /// The residual's element of the first result; its columns are as far apart as those of the results.
    pub residual: *const u8,
    pub residual_row_stride: usize,
}

impl Destination {
    /// The place of column 0, where this is the place of a column.
    pub(crate) fn before(&self, column: usize, element: usize, residual: usize) -> Self {
        let columns = column * self.column_stride;
        Destination {
            base: self.base.wrapping_sub(columns * element),
            residual: self.residual.wrapping_sub(columns * residual),
            ..*self
        }
    }

    /// The place of an element of results of `element` bytes with residuals of `residual` bytes.
    pub(crate) fn at(&self, row: usize, column: usize, element: usize, residual: usize) -> Self {
        let columns = column * self.column_stride;
        let from = row * self.residual_row_stride + columns;
        Destination {
            base: self.base.wrapping_add((row * self.row_stride + columns) * element),
            residual: self.residual.wrapping_add(from * residual),
            ..*self
        }
    }
}

/// What reads a residual.
enum Addend {
    None,
    F32,
    Half(Bound<ConvertFn>),
    Codes(Bound<DequantizeFn>, QuantParams),
}

/// What makes codes.
pub(super) struct ToCodes {
    /// What sums become in one step, and the parameters: the results, or what the table reads.
    pub(super) made: Code,
    pub(super) params: QuantParams,
    pub(super) clamp: (i32, i32),
    /// Whether codes come from sums in one step.
    pub(super) one_step: bool,
    /// Whether bytes that saturate need no other bounds: no sum times its multiplier is beyond 2^30.
    pub(super) saturates: bool,
    /// Each column's multiplier, padded, where the input's scale is known; otherwise empty.
    pub(super) multipliers: Buffer<f32>,
    /// 256 codes in table mode; otherwise empty.
    pub(super) table: Buffer<u8>,
    /// What makes them of sums in integers, if that is wanted.
    pub(super) fixed: Option<Fixed>,
    requantize: Bound<ScaleCodesFn>,
    quantize: Bound<QuantizeFn>,
    lookup: Bound<LookupFn>,
}

pub(crate) struct Epilogue {
    pub(super) output: Output,
    /// Whether ReLU belongs to the scaling.
    pub(super) relu: bool,
    /// Each column's scale, padded to whole panels: the weights', times that of the input where it is known.
    pub(super) scales: Buffer<f32>,
    /// Whether the input's scale is part of `scales`.
    pub(super) is_whole: bool,
    /// The largest of `scales`.
    largest: f32,
    /// Whether every f32 bias is finite.
    finite_bias: bool,
    /// The f32 bias of each column, padded; empty if there is none.
    bias: Buffer<f32>,
    addend: Addend,
    /// A function that the scaling does not include, with its parameters.
    activation: Option<(Bound<ActivateFn>, f32, f32)>,
    narrow: Option<Bound<ConvertFn>>,
    pub(super) codes: Option<ToCodes>,
    scale: Bound<ScaleFn>,
    add: Bound<AddFn>,
}

/// The best kernel of a table.
pub(crate) fn find<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(Error::new(Status::Internal, "plan", "found no kernel"))
}

impl Epilogue {
    /// The operands are checked.
    pub(crate) fn new(
        operands: &Operands<'_>,
        columns: Columns,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Epilogue> {
        let Operands { weights, input, bias, output, activation, mode, residual } = *operands;
        let padded = columns.padded();
        let mut scales = Buffer::zeroed(padded, allocator, "desc.weights.scales")?;
        let real_bias = match bias {
            Bias::F32(bias) => Some(bias),
            _ => None,
        };
        let biases = if real_bias.is_some() { padded } else { 0 };
        let mut bias = Buffer::zeroed(biases, allocator, "desc.bias")?;
        let simple =
            matches!(activation, Activation::None | Activation::Relu | Activation::Clamp { .. });
        let table = matches!(mode, ActivationMode::Table(..));
        let plain = real_bias.is_none() && residual == Residual::None;
        let mut codes = match output {
            Output::Codes(code, params) | Output::FixedPoint(code, params, _) => {
                let sums = weights.block == 0 && !matches!(input, Input::Real(_));
                let one_step = plain && (simple || table) && sums;
                let mut codes =
                    ToCodes::new(operands, (code, params), one_step, supported, allocator)?;
                let made = (codes.made, codes.params);
                codes.fixed = Fixed::new(operands, made, columns, supported, allocator)?;
                if one_step && codes.fixed.is_none() && input.fixed_params().is_some() {
                    codes.multipliers = Buffer::zeroed(padded, allocator, "desc.weights.scales")?;
                }
                Some(codes)
            }
            _ => None,
        };
        let (mut largest, mut finite_bias) = (0.0, true);
        for group in 0..columns.groups {
            for column in 0..columns.columns {
                let channel = group * columns.columns + column;
                let index = columns.slot(group, 0) + column;
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
                if let Some(codes) = &mut codes {
                    let step = codes.params.scale;
                    put(&mut codes.multipliers, scale / step);
                }
            }
        }
        let addend = match residual {
            Residual::None => Addend::None,
            Residual::Real(RealFormat::F32) => Addend::F32,
            Residual::Real(RealFormat::F16) => Addend::Half(find(convert::F16_F32, supported)?),
            Residual::Real(RealFormat::Bf16) => Addend::Half(find(convert::BF16_F32, supported)?),
            Residual::Codes(code, params) => {
                let rows = match code.is_unsigned() {
                    true => dequantize::U8_F32,
                    false => dequantize::S8_F32,
                };
                Addend::Codes(find(rows, supported)?, params)
            }
        };
        // ReLU is part of the scaling, unless something is added in between.
        let relu = activation == Activation::Relu && residual == Residual::None;
        let apart = if relu { Activation::None } else { activation };
        let activation = match activate::table(apart) {
            Some((rows, alpha, beta)) => Some((find(rows, supported)?, alpha, beta)),
            None => None,
        };
        let narrow = match output {
            Output::Real(RealFormat::F16) => Some(find(F32_F16, supported)?),
            Output::Real(RealFormat::Bf16) => Some(find(F32_BF16, supported)?),
            _ => None,
        };
        Ok(Epilogue {
            output,
            relu,
            scales,
            is_whole: input.fixed_params().is_some(),
            largest,
            finite_bias,
            bias,
            addend,
            activation,
            narrow,
            codes,
            scale: find(scale::S32_F32, supported)?,
            add: find(ADD, supported)?,
        })
    }

    /// Turns sums into outputs.
    ///
    /// # Safety
    /// The sums can be read, the outputs written and the residuals, if any, read.
    pub(crate) unsafe fn store(&self, sums: &Sums<'_>, dst: &Destination) {
        // SAFETY: by this function's contract.
        unsafe {
            match (self.output, &self.codes) {
                (Output::S32, _) => self.store_sums(sums, dst),
                (_, Some(codes)) if codes.one_step => self.requantize(codes, sums, dst),
                (Output::Real(RealFormat::F32), _) if self.is_only_scale() => {
                    let to = (dst.base.cast(), dst.row_stride, dst.column_stride);
                    self.scale.run()(&self.scaling(sums, to));
                }
                _ => self.store_real(sums, dst),
            }
        }
    }

    /// Whether real numbers with bias and ReLU are the results.
    pub(super) fn is_real_identity(&self) -> bool {
        self.output == Output::Real(RealFormat::F32) && self.is_only_scale()
    }

    /// Whether scaling gives the real results.
    pub(super) fn is_only_scale(&self) -> bool {
        self.activation.is_none() && matches!(self.addend, Addend::None)
    }

    /// # Safety
    /// As [`store`](Epilogue::store).
    unsafe fn store_sums(&self, sums: &Sums<'_>, dst: &Destination) {
        let least = if self.relu { 0 } else { i32::MIN };
        for row in 0..sums.rows {
            // SAFETY: by this function's contract.
            unsafe {
                let from = sums.at.add(row * sums.row_stride);
                let to = dst.base.cast::<i32>().add(row * dst.row_stride);
                // A loop of its own, of which compilers make vectors.
                if dst.column_stride == 1 {
                    for i in 0..sums.n {
                        to.add(i).write_unaligned(from.add(i).read().max(least));
                    }
                } else {
                    for i in 0..sums.n {
                        let sum = from.add(i).read().max(least);
                        to.add(i * dst.column_stride).write_unaligned(sum);
                    }
                }
            }
        }
    }

    /// The arguments that scale the sums to a destination with its row and column strides.
    fn scaling(
        &self,
        sums: &Sums<'_>,
        (dst, rows, columns): (*mut f32, usize, usize),
    ) -> ScaleArgs {
        let at = |values: &Buffer<f32>| values.as_slice().as_ptr().wrapping_add(sums.slot);
        let finite = |scale: &f32| (scale * self.largest).is_finite();
        let finite_scales = match self.is_whole {
            true => self.largest.is_finite(),
            false => sums.row_scales.iter().take(sums.rows).all(finite),
        };
        ScaleArgs {
            tile: Tile {
                src: sums.at,
                dst,
                dst_stride: columns,
                n: sums.n,
                rows: sums.rows,
                src_row_stride: sums.row_stride,
                dst_row_stride: rows,
                row_factors: if self.is_whole { null() } else { sums.row_scales.as_ptr() },
                factors: at(&self.scales),
            },
            bias: if self.bias.is_empty() { null() } else { at(&self.bias) },
            may_be_nan: !(finite_scales && self.finite_bias),
            relu: self.relu,
        }
    }

    /// Codes in one step, or in two by the table.
    ///
    /// # Safety
    /// As [`store`](Epilogue::store).
    unsafe fn requantize(&self, codes: &ToCodes, sums: &Sums<'_>, dst: &Destination) {
        let mut steps = MaybeUninit::<[u8; TILE]>::uninit();
        let at = steps.as_mut_ptr().cast::<u8>();
        let by_table = !codes.table.is_empty();
        let (to, row_stride, column_stride) = match by_table {
            true => (at, sums.n, 1),
            false => (dst.base, dst.row_stride, dst.column_stride),
        };
        let (row_factors, factors) = match codes.multipliers.is_empty() {
            true => (sums.row_scales.as_ptr(), &self.scales),
            false => (null(), &codes.multipliers),
        };
        let args = ScaleCodesArgs {
            tile: Tile {
                src: sums.at,
                dst: to,
                dst_stride: column_stride,
                n: sums.n,
                rows: sums.rows,
                src_row_stride: sums.row_stride,
                dst_row_stride: row_stride,
                row_factors,
                factors: factors.as_slice().as_ptr().wrapping_add(sums.slot),
            },
            step: codes.params.scale,
            zero_point: codes.params.zero_point,
            clamp: codes.clamp,
            saturates: codes.saturates,
        };
        // SAFETY: by this function's contract; `steps` holds the largest tile.
        unsafe {
            match &codes.fixed {
                Some(fixed) => fixed.run(sums, (to, row_stride, column_stride), codes.clamp),
                None => codes.requantize.run()(&args),
            }
        }
        if by_table {
            let n = sums.rows * sums.n;
            let table = codes.table.as_slice().as_ptr();
            // SAFETY: as above; a table of 256, and `n <= TILE` codes.
            unsafe {
                codes.lookup.run()(&LookupArgs { table, src: at, dst: at, n });
                copy::<u8>(at, sums, dst);
            }
        }
    }

    /// Results by way of f32 numbers beside the sums.
    ///
    /// # Safety
    /// As [`store`](Epilogue::store).
    unsafe fn store_real(&self, sums: &Sums<'_>, dst: &Destination) {
        let mut real = MaybeUninit::<[f32; TILE]>::uninit();
        let real = real.as_mut_ptr().cast::<f32>();
        // SAFETY: by this function's contract; at most TILE numbers.
        unsafe {
            self.scale.run()(&self.scaling(sums, (real, sums.n, 1)));
            self.finish(real, sums, dst);
        }
    }

    /// What follows the bias: from f32 numbers, `sums.rows` rows of `sums.n` without gaps, to results. The sums
    /// themselves are not read.
    ///
    /// # Safety
    /// As [`store`](Epilogue::store); the numbers, at most [`TILE`], can be read and written.
    pub(super) unsafe fn finish(&self, real: *mut f32, sums: &Sums<'_>, dst: &Destination) {
        let n = sums.rows * sums.n;
        // SAFETY: by this function's contract; `n <= TILE` numbers.
        unsafe {
            self.add_residual(real, sums, dst);
            if let Some((activate, alpha, beta)) = &self.activation {
                let (alpha, beta) = (*alpha, *beta);
                activate.run()(&ActivateArgs { src: real, dst: real, n, alpha, beta });
            }
            if let Some(codes) = &self.codes {
                let mut steps = MaybeUninit::<[u8; TILE]>::uninit();
                let steps = steps.as_mut_ptr().cast::<u8>();
                codes.quantize.run()(&QuantizeArgs {
                    src: real.cast_const().cast(),
                    src_stride: 1,
                    dst: steps,
                    dst_stride: 1,
                    n,
                    scales: &codes.params.scale,
                    zero_points: &codes.params.zero_point,
                    param_step: 0,
                    rows: Rows::ONE,
                    mode: QuantizeMode::default(),
                    clamp: codes.clamp,
                });
                copy::<u8>(steps, sums, dst);
            } else if let Some(narrow) = &self.narrow {
                for row in 0..sums.rows {
                    narrow.run()(&ConvertArgs {
                        src: real.add(row * sums.n).cast_const().cast(),
                        src_stride: 1,
                        dst: dst.at(row, 0, 2, 0).base,
                        dst_stride: dst.column_stride,
                        n: sums.n,
                    });
                }
            } else {
                copy::<[u8; 4]>(real.cast_const().cast(), sums, dst);
            }
        }
    }

    /// # Safety
    /// As [`store`](Epilogue::store), with the results so far, row by row, at `real`.
    unsafe fn add_residual(&self, real: *mut f32, sums: &Sums<'_>, dst: &Destination) {
        let mut extra = MaybeUninit::<[f32; TILE]>::uninit();
        let (extra, n) = (extra.as_mut_ptr().cast::<f32>(), sums.n);
        for row in 0..sums.rows {
            let to = extra.wrapping_add(row * n);
            let stride = dst.column_stride;
            // SAFETY: by this function's contract, a row of residuals, and its place in `extra`.
            unsafe {
                match &self.addend {
                    Addend::None => return,
                    Addend::F32 => {
                        let from = dst.at(row, 0, 0, 4).residual.cast::<f32>();
                        for i in 0..n {
                            to.add(i).write(from.add(i * stride).read_unaligned());
                        }
                    }
                    Addend::Half(widen) => widen.run()(&ConvertArgs {
                        src: dst.at(row, 0, 0, 2).residual,
                        src_stride: stride,
                        dst: to.cast(),
                        dst_stride: 1,
                        n,
                    }),
                    Addend::Codes(dequantize, params) => {
                        dequantize.run()(&DequantizeArgs {
                            src: dst.at(row, 0, 0, 1).residual,
                            src_stride: stride,
                            signed: false, // Not used for f32.
                            dst: to.cast(),
                            dst_stride: 1,
                            n,
                            scales: &params.scale,
                            zero_points: &params.zero_point,
                            param_step: 0,
                            rows: Rows::ONE,
                        })
                    }
                }
            }
        }
        let args = AddArgs { a: real, b: extra, dst: real, n: sums.rows * n };
        // SAFETY: as above.
        unsafe { self.add.run()(&args) }
    }
}

impl ToCodes {
    fn new(
        operands: &Operands<'_>,
        (code, params): (Code, QuantParams),
        one_step: bool,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<ToCodes> {
        let Operands { activation, mode, output, .. } = *operands;
        let quantized =
            |x: f32, mode: QuantizeMode| fewbit_scheme::quantize(x, params, code.format(), mode);
        let mut codes = ToCodes {
            made: code,
            params,
            clamp: (code.format().qmin(), code.format().qmax()),
            one_step,
            saturates: false,
            multipliers: Buffer::zeroed(0, allocator, "desc.weights.scales")?,
            table: Buffer::zeroed(
                if matches!(mode, ActivationMode::Table(..)) { 256 } else { 0 },
                allocator,
                "desc.output",
            )?,
            fixed: None,
            requantize: find(scale::S32_S8, supported)?,
            quantize: find(
                if code.is_unsigned() { quantize::F32_U8 } else { quantize::F32_S8 },
                supported,
            )?,
            lookup: find(LOOKUP, supported)?,
        };
        if let ActivationMode::Table(between, steps) = mode {
            for (byte, entry) in codes.table.as_mut_slice().iter_mut().enumerate() {
                let x = fewbit_scheme::dequantize(between.value(byte as u8), steps);
                *entry = quantized(activation.apply(x), QuantizeMode::default()) as u8;
            }
            (codes.made, codes.params) = (between, steps);
            codes.clamp = (between.format().qmin(), between.format().qmax());
        } else if one_step {
            // TensorFlow Lite rounds a clamp's bounds half away from zero.
            let rounding = match output {
                Output::FixedPoint(..) => Rounding::HalfAway,
                _ => Rounding::HalfEven,
            };
            let bound = |x| quantized(x, QuantizeMode { rounding, ..QuantizeMode::default() });
            let (low, high) = codes.clamp;
            codes.clamp = match activation {
                Activation::Relu => (params.zero_point.max(low), high),
                Activation::Clamp { low, high } => (bound(low), bound(high)),
                _ => (low, high),
            };
        }
        if codes.made.is_unsigned() {
            codes.requantize = find(scale::S32_U8, supported)?;
        }
        Ok(codes)
    }
}

/// Copies elements that lie row by row to their places.
///
/// # Safety
/// As [`Epilogue::store`], with results of this type.
unsafe fn copy<T: Copy>(from: *const T, sums: &Sums<'_>, dst: &Destination) {
    for row in 0..sums.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let from = from.add(row * sums.n);
            let to = dst.base.cast::<T>().add(row * dst.row_stride);
            if dst.column_stride == 1 {
                core::ptr::copy_nonoverlapping(
                    from.cast::<u8>(),
                    to.cast(),
                    sums.n * size_of::<T>(),
                );
            } else {
                for i in 0..sums.n {
                    to.add(i * dst.column_stride).write_unaligned(from.add(i).read());
                }
            }
        }
    }
}
