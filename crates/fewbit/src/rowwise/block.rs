//! A few rows, or one that is longer than a block of sums, through the steps of a function. Numbers that are not contiguous
//! f32 are made so in a tile, a piece at a time; the sums of pieces are those of blocks, added in their order.

use super::{Element, Norm};
use crate::Code;
use crate::Result;
use crate::tensor::kernel;
use core::ptr::null;
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit_kernels::norm::{NormalizeArgs, NormalizeFn, SquareSumsArgs, SquareSumsFn};
use fewbit_kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit_kernels::reduce::{SumsArgs, SumsFn};
use fewbit_kernels::registry::Bound;
use fewbit_kernels::softmax::{SoftmaxArgs, SoftmaxFn};
use fewbit_scheme::reduce::BLOCK;
use fewbit_scheme::{QuantParams, QuantizeMode};
use fewbit_simd::{Supported, sqrt};

/// Rows at once, at most.
pub(super) const ROWS: usize = 64;

/// Rows of both tensors. Strides are in elements.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub x: *const u8,
    pub y: *mut u8,
    /// Elements of a row.
    pub n: usize,
    pub rows: usize,
    /// Distance of a row's elements.
    pub x_stride: usize,
    pub y_stride: usize,
    /// Distance of the rows.
    pub x_rows: usize,
    pub y_rows: usize,
}

/// How elements become f32.
#[derive(Clone, Copy)]
pub(super) enum Load {
    F32,
    Convert(Bound<ConvertFn>),
    Dequantize(Bound<DequantizeFn>, QuantParams),
}

impl Load {
    pub(super) fn new(from: Element, supported: Supported) -> Result<Load> {
        Ok(match from {
            Element::F32 => Load::F32,
            Element::F16 => Load::Convert(kernel(convert::F16_F32, supported)?),
            Element::Bf16 => Load::Convert(kernel(convert::BF16_F32, supported)?),
            Element::Codes(Code::S8, params) => {
                Load::Dequantize(kernel(dequantize::S8_F32, supported)?, params)
            }
            Element::Codes(Code::U8, params) => {
                Load::Dequantize(kernel(dequantize::U8_F32, supported)?, params)
            }
        })
    }
}

/// What f32 become.
#[derive(Clone, Copy)]
pub(super) enum Store {
    F32,
    Convert(Bound<ConvertFn>),
    Quantize(Bound<QuantizeFn>, QuantParams, (i32, i32)),
}

impl Store {
    pub(super) fn new(to: Element, supported: Supported) -> Result<Store> {
        Ok(match to {
            Element::F32 => Store::F32,
            Element::F16 => Store::Convert(kernel(convert::F32_F16, supported)?),
            Element::Bf16 => Store::Convert(kernel(convert::F32_BF16, supported)?),
            Element::Codes(code, params) => {
                let table = match code {
                    Code::S8 => quantize::F32_S8,
                    Code::U8 => quantize::F32_U8,
                };
                let range = (code.format().qmin(), code.format().qmax());
                Store::Quantize(kernel(table, supported)?, params, range)
            }
        })
    }
}

/// The kernels of a function.
pub(super) enum Steps<'a> {
    Softmax {
        peaks: Bound<SoftmaxFn>,
        exps: Bound<SoftmaxFn>,
        sums: Bound<SoftmaxFn>,
        shares: Bound<SoftmaxFn>,
    },
    LogSoftmax {
        peaks: Bound<SoftmaxFn>,
        sums: Bound<SoftmaxFn>,
        logs: Bound<SoftmaxFn>,
    },
    Norm {
        sums: Bound<SumsFn>,
        squares: Bound<SquareSumsFn>,
        normalize: Bound<NormalizeFn>,
        norm: Norm<'a>,
        centered: bool,
    },
}

/// A number for each row.
type PerRow = [f32; ROWS];

/// Adds a piece's sums to those of the rows.
#[inline(never)]
fn add_up(totals: &mut PerRow, sums: &PerRow) {
    totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
}

/// Elements `first..first + n` of each row.
#[derive(Clone, Copy)]
struct Piece {
    first: usize,
    n: usize,
}

/// Rows on their way: at most [`ROWS`], all of which have room in the tile, or one.
pub(super) struct Block<'a> {
    pub lines: Lines,
    pub load: &'a Load,
    pub store: &'a Store,
    pub tile: *mut f32,
    /// Whether the tile has had all of the rows: then it is not filled again.
    pub staged: bool,
}

impl Block<'_> {
    /// # Safety
    /// The rows can be read and written, and `BLOCK` numbers at the tile.
    pub(super) unsafe fn apply(&mut self, steps: &Steps<'_>) {
        // SAFETY: by this function's contract.
        unsafe {
            match *steps {
                Steps::Softmax { peaks, exps, sums, shares } => {
                    self.softmax(peaks, exps, sums, shares);
                }
                Steps::LogSoftmax { peaks, sums, logs } => {
                    let mut peaks = self.peaks(peaks);
                    let mut totals = self.exp_sums(sums, &mut peaks, false);
                    for piece in self.pieces() {
                        let src = self.load(piece);
                        let dst = self.place(piece);
                        logs.run()(&self.step(piece, src, dst, &mut peaks, &mut totals));
                        self.store(piece);
                    }
                }
                Steps::Norm { sums, squares, normalize, ref norm, centered } => {
                    self.normalize(sums, squares, normalize, norm, centered);
                }
            }
        }
    }

    /// # Safety
    /// As [`apply`](Block::apply).
    unsafe fn softmax(
        &mut self,
        peaks: Bound<SoftmaxFn>,
        exps: Bound<SoftmaxFn>,
        sums: Bound<SoftmaxFn>,
        shares: Bound<SoftmaxFn>,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let mut peaks = self.peaks(peaks);
            // Exponentials stay where their shares will be, in the tile if that is where all of them fit; those of a
            // longer row that is not stored as f32 are made twice.
            let keeps = self.is_direct() || self.lines.n <= BLOCK;
            let mut totals = self.exp_sums(if keeps { exps } else { sums }, &mut peaks, keeps);
            for piece in self.pieces() {
                let dst = self.place(piece);
                if !keeps {
                    let src = self.load(piece);
                    let mut unused = [0.0; ROWS];
                    exps.run()(&self.step(piece, src, dst, &mut peaks, &mut unused));
                }
                let src = (dst.0.cast_const(), dst.1);
                shares.run()(&self.step(piece, src, dst, &mut peaks, &mut totals));
                self.store(piece);
            }
        }
    }

    /// The largest number of each row.
    ///
    /// # Safety
    /// As [`apply`](Block::apply).
    #[inline(never)]
    unsafe fn peaks(&mut self, kernel: Bound<SoftmaxFn>) -> PerRow {
        let mut all = [f32::NEG_INFINITY; ROWS];
        for piece in self.pieces() {
            let (mut peaks, mut unused) = ([f32::NEG_INFINITY; ROWS], [0.0; ROWS]);
            // SAFETY: by this function's contract.
            unsafe {
                let src = self.load(piece);
                let dst = (core::ptr::null_mut(), 0);
                kernel.run()(&self.step(piece, src, dst, &mut peaks, &mut unused));
            }
            for (all, &peak) in all.iter_mut().zip(&peaks) {
                *all = if peak > *all { peak } else { *all };
            }
        }
        all
    }

    /// The sum of each row's exponentials; with `keep` they are left where results go.
    ///
    /// # Safety
    /// As [`apply`](Block::apply).
    #[inline(never)]
    unsafe fn exp_sums(
        &mut self,
        kernel: Bound<SoftmaxFn>,
        peaks: &mut PerRow,
        keep: bool,
    ) -> PerRow {
        let mut totals = [0.0; ROWS];
        for piece in self.pieces() {
            let mut sums = [0.0; ROWS];
            // SAFETY: by this function's contract.
            unsafe {
                let src = self.load(piece);
                let dst = if keep { self.place(piece) } else { (core::ptr::null_mut(), 0) };
                kernel.run()(&self.step(piece, src, dst, peaks, &mut sums));
            }
            add_up(&mut totals, &sums);
        }
        totals
    }

    /// # Safety
    /// As [`apply`](Block::apply).
    unsafe fn normalize(
        &mut self,
        sums: Bound<SumsFn>,
        squares: Bound<SquareSumsFn>,
        normalize: Bound<NormalizeFn>,
        norm: &Norm<'_>,
        centered: bool,
    ) {
        let (rows, count) = (self.lines.rows, self.lines.n as f32);
        let mut centers = [0.0; ROWS];
        let mut factors = [0.0; ROWS];
        // SAFETY: by this function's contract; gamma and beta are as long as a row.
        unsafe {
            for piece in self.pieces().filter(|_| centered) {
                let (src, row_stride) = self.load(piece);
                let mut of_piece = [0.0; ROWS];
                let totals = of_piece.as_mut_ptr();
                sums.run()(&SumsArgs { src, n: piece.n, rows, row_stride, sums: totals });
                add_up(&mut centers, &of_piece);
            }
            centers.iter_mut().take(rows).for_each(|center| *center /= count);
            let at = if centered { centers.as_ptr() } else { null() };
            for piece in self.pieces() {
                let (src, row_stride) = self.load(piece);
                let mut of_piece = [0.0; ROWS];
                let sums = of_piece.as_mut_ptr();
                squares.run()(&SquareSumsArgs {
                    src,
                    n: piece.n,
                    rows,
                    row_stride,
                    centers: at,
                    sums,
                });
                add_up(&mut factors, &of_piece);
            }
            for factor in factors.iter_mut().take(rows) {
                *factor = 1.0 / sqrt(*factor / count + norm.epsilon);
            }
            for piece in self.pieces() {
                let (src, src_stride) = self.load(piece);
                let (dst, dst_stride) = self.place(piece);
                let of_row = |values: Option<&[f32]>| {
                    values.map_or(null(), |values| values.as_ptr().wrapping_add(piece.first))
                };
                normalize.run()(&NormalizeArgs {
                    src,
                    dst,
                    n: piece.n,
                    rows,
                    src_stride,
                    dst_stride,
                    centers: at,
                    factors: factors.as_ptr(),
                    gamma: of_row(norm.gamma),
                    beta: of_row(norm.beta),
                });
                self.store(piece);
            }
        }
    }

    /// The arguments of a step.
    fn step(
        &self,
        piece: Piece,
        (src, src_stride): (*const f32, usize),
        (dst, dst_stride): (*mut f32, usize),
        peaks: &mut PerRow,
        sums: &mut PerRow,
    ) -> SoftmaxArgs {
        SoftmaxArgs {
            src,
            dst,
            n: piece.n,
            rows: self.lines.rows,
            src_stride,
            dst_stride,
            peaks: peaks.as_mut_ptr(),
            sums: sums.as_mut_ptr(),
        }
    }

    /// The rows in pieces of a block.
    fn pieces(&self) -> impl Iterator<Item = Piece> + use<> {
        let n = self.lines.n;
        (0..n.div_ceil(BLOCK)).map(move |i| {
            let first = i * BLOCK;
            Piece { first, n: BLOCK.min(n - first) }
        })
    }

    /// Whether results are f32 that kernels can write where they belong.
    fn is_direct(&self) -> bool {
        matches!(self.store, Store::F32) && self.lines.y_stride == 1
    }

    /// Where the results of a piece go, and the distance of the rows there: where they belong, or the tile.
    fn place(&self, piece: Piece) -> (*mut f32, usize) {
        match self.is_direct() {
            true => (self.lines.y.cast::<f32>().wrapping_add(piece.first), self.lines.y_rows),
            false => (self.tile, piece.n),
        }
    }

    /// A piece as contiguous f32, and the distance of the rows there.
    ///
    /// # Safety
    /// As [`apply`](Block::apply).
    #[inline(never)]
    unsafe fn load(&mut self, piece: Piece) -> (*const f32, usize) {
        let Lines { x, n, rows, x_stride, x_rows, .. } = self.lines;
        let at = piece.first.wrapping_mul(x_stride);
        let to = self.tile;
        let staged = (to.cast_const(), piece.n);
        if self.staged && n <= BLOCK {
            return staged;
        }
        self.staged = true;
        // SAFETY: the rows' elements by this function's contract; `rows * piece.n <= BLOCK` of them.
        unsafe {
            match *self.load {
                Load::F32 if x_stride == 1 => {
                    self.staged = false;
                    return (x.cast::<f32>().wrapping_add(at), x_rows);
                }
                Load::F32 => {
                    let x = x.cast::<f32>().wrapping_add(at);
                    for row in 0..rows {
                        for i in 0..piece.n {
                            let from = x.wrapping_add(row * x_rows + i * x_stride);
                            to.add(row * piece.n + i).write(from.read_unaligned());
                        }
                    }
                }
                Load::Convert(kernel) => {
                    for row in 0..rows {
                        kernel.run()(&ConvertArgs {
                            src: x.wrapping_add(2 * (at + row * x_rows)),
                            src_stride: x_stride,
                            dst: to.add(row * piece.n).cast(),
                            dst_stride: 1,
                            n: piece.n,
                        });
                    }
                }
                Load::Dequantize(kernel, ref params) => kernel.run()(&DequantizeArgs {
                    src: x.wrapping_add(at),
                    src_stride: x_stride,
                    signed: false, // Not used for f32.
                    dst: to.cast(),
                    dst_stride: 1,
                    n: piece.n,
                    scales: &raw const params.scale,
                    zero_points: &raw const params.zero_point,
                    param_step: 0,
                    rows: Rows {
                        count: rows,
                        src_stride: x_rows,
                        dst_stride: piece.n,
                        param_stride: 0,
                    },
                }),
            }
        }
        staged
    }

    /// The results of a piece from the tile to where they belong, unless they are there.
    ///
    /// # Safety
    /// As [`apply`](Block::apply).
    #[inline(never)]
    unsafe fn store(&self, piece: Piece) {
        let Lines { y, rows, y_stride, y_rows, .. } = self.lines;
        let at = piece.first.wrapping_mul(y_stride);
        let from = self.tile.cast_const();
        // SAFETY: the rows' elements by this function's contract; the tile has `rows * piece.n` results.
        unsafe {
            match *self.store {
                Store::F32 if y_stride == 1 => {}
                Store::F32 => {
                    let y = y.cast::<f32>().wrapping_add(at);
                    for row in 0..rows {
                        for i in 0..piece.n {
                            let to = y.wrapping_add(row * y_rows + i * y_stride);
                            to.write_unaligned(from.add(row * piece.n + i).read());
                        }
                    }
                }
                Store::Convert(kernel) => {
                    for row in 0..rows {
                        kernel.run()(&ConvertArgs {
                            src: from.add(row * piece.n).cast(),
                            src_stride: 1,
                            dst: y.wrapping_add(2 * (at + row * y_rows)),
                            dst_stride: y_stride,
                            n: piece.n,
                        });
                    }
                }
                Store::Quantize(kernel, ref params, clamp) => kernel.run()(&QuantizeArgs {
                    src: from.cast(),
                    src_stride: 1,
                    dst: y.wrapping_add(at),
                    dst_stride: y_stride,
                    n: piece.n,
                    scales: &raw const params.scale,
                    zero_points: &raw const params.zero_point,
                    param_step: 0,
                    rows: Rows {
                        count: rows,
                        src_stride: piece.n,
                        dst_stride: y_rows,
                        param_stride: 0,
                    },
                    mode: QuantizeMode::default(),
                    clamp,
                }),
            }
        }
    }
}
