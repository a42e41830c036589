//! Functions of a tensor's rows along its last axis: softmax and its logarithm, layer and root-mean-square normalization.
//! f32 inside; numbers or 8-bit codes on either side. What they compute, to the bit: `docs/numerics.md`.
//!
//! ```
//! use fewbit::granularity::Layout;
//! use fewbit::rowwise::{Elements, ElementsMut, RowOp};
//! use fewbit::scheme::QuantParams;
//!
//! // Attention weights of two rows, as u8 codes with the usual parameters: 1/256, 0.
//! let (scores, layout) = ([1.0, 1.0, 3.0, 3.0 - 2f32.ln()], Layout::contiguous(&[2, 2]).unwrap());
//! let mut weights = [0; 4];
//! let codes = ElementsMut::U8(&mut weights, QuantParams { scale: 1.0 / 256.0, zero_point: 0 });
//! let supported = fewbit::dispatch::supported()?;
//! RowOp::Softmax.run(Elements::F32(&scores), &layout, codes, &layout, &fewbit::Serial, supported)?;
//! assert_eq!(weights, [128, 128, 171, 85]);
//! # Ok::<(), fewbit::Error>(())
//! ```

mod block;
mod elements;

pub use elements::{Element, Elements, ElementsMut};

use crate::observe::check_reach;
use crate::tensor::{kernel, layout_error, share};
use crate::{Error, Parallel, Result, Status};
use block::{Block, Lines, Load, ROWS, Steps, Store};
use core::mem::MaybeUninit;
use fewbit_granularity::{Granularity, Grid, Layout, Walk};
use fewbit_kernels::{norm, reduce, softmax};
use fewbit_scheme::reduce::BLOCK;
use fewbit_simd::Supported;

/// A function of rows.
#[derive(Clone, Copy, Debug)]
pub enum RowOp<'a> {
    /// `exp(x - max) / sum exp(x - max)`: [`fewbit_scheme::softmax::softmax`].
    Softmax,
    /// Its natural logarithm: [`fewbit_scheme::softmax::log_softmax`].
    LogSoftmax,
    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`: [`fewbit_scheme::norm::layer_norm`].
    LayerNorm(Norm<'a>),
    /// `x / sqrt(mean of x^2 + epsilon) * gamma + beta`: [`fewbit_scheme::norm::rms_norm`].
    RmsNorm(Norm<'a>),
}

/// What a normalization does besides.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factors, one for each element of a row.
    pub gamma: Option<&'a [f32]>,
    /// What is then added, likewise.
    pub beta: Option<&'a [f32]>,
    /// Added to the variance; finite, not negative. An f32 whatever the types of the tensors, so that 10^-12 is not 0.
    pub epsilon: f32,
}

impl RowOp<'_> {
    /// Applies the function to every row along the last axis of `x`; `y` has the same dimensions. Rows are shared out among
    /// the caller's threads, and the result does not depend on it.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for a tensor without an axis, other dimensions, parameters, an epsilon, gamma or beta that are
    /// not as documented; [`Status::Overlap`] if two elements of `y` are in one place; [`Status::BufferTooSmall`] if a layout
    /// reaches beyond its slice. Nothing is written then.
    pub fn run(
        &self,
        x: Elements<'_>,
        x_layout: &Layout,
        y: ElementsMut<'_>,
        y_layout: &Layout,
        parallel: &dyn Parallel,
        supported: Supported,
    ) -> Result<()> {
        let ((x_type, x, x_len), (y_type, y, y_len)) = (x.parts(), y.parts());
        check_reach("x", x_len, x_layout.extent())?;
        check_reach("y", y_len, y_layout.extent())?;
        // SAFETY: the slices cover their layouts, and do not overlap.
        unsafe { rowwise(self, (x_type, x, x_layout), (y_type, y, y_layout), parallel, supported) }
    }

    /// As [`run`](RowOp::run), with the results where the numbers were.
    ///
    /// # Errors
    /// As [`run`](RowOp::run).
    pub fn run_in_place(
        &self,
        y: ElementsMut<'_>,
        layout: &Layout,
        parallel: &dyn Parallel,
        supported: Supported,
    ) -> Result<()> {
        let (element, at, len) = y.parts();
        check_reach("y", len, layout.extent())?;
        // SAFETY: the slice covers its layout; the tensors are the same.
        unsafe {
            let x = (element, at.cast_const(), layout);
            rowwise(self, x, (element, at, layout), parallel, supported)
        }
    }
}

/// As [`RowOp::run`], by pointers.
///
/// # Errors
/// As [`RowOp::run`], but for the slices.
///
/// # Safety
/// Every element of `x` can be read, every one of `y` written. The two do not overlap, or they are the same: pointer,
/// type's size, and layout. Nothing need be aligned.
pub unsafe fn rowwise(
    op: &RowOp<'_>,
    (x_type, x, x_layout): (Element, *const u8, &Layout),
    (y_type, y, y_layout): (Element, *mut u8, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let Some((&n, axis)) = x_layout.dims().last().zip(x_layout.rank().checked_sub(1)) else {
        return Err(Error::new(Status::InvalidArgument, "x_shape", "has no axis"));
    };
    x_type.check("x_params")?;
    y_type.check("y_params")?;
    op.check(n)?;
    if y_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "y_shape", "puts two elements in one place"));
    }
    // A parameter a row, so that runs are rows.
    let walk = Granularity::PerBlock { axis, block: n.max(1) }
        .walk([x_layout, y_layout])
        .map_err(|error| layout_error(error, "y_shape"))?;
    let work = Work {
        x,
        y,
        sizes: (x_type.size(), y_type.size()),
        n,
        load: Load::new(x_type, supported)?,
        store: Store::new(y_type, supported)?,
        steps: op.steps(supported)?,
    };
    // SAFETY: the part's rows by this function's contract, and no other part has them; all was checked.
    share(&walk, n, parallel, |part| unsafe { work.part(part) });
    Ok(())
}

impl<'a> RowOp<'a> {
    fn check(&self, n: usize) -> Result<()> {
        let (RowOp::LayerNorm(norm) | RowOp::RmsNorm(norm)) = self else { return Ok(()) };
        let invalid = |argument, text| Error::new(Status::InvalidArgument, argument, text);
        if !(norm.epsilon >= 0.0 && norm.epsilon < f32::INFINITY) {
            let text = "is {}, but must be finite and not negative";
            return Err(invalid("epsilon", text).with(norm.epsilon));
        }
        for (argument, values) in [("gamma", norm.gamma), ("beta", norm.beta)] {
            if let Some(values) = values.filter(|values| values.len() != n) {
                let text = "has {} elements, but rows have {}";
                return Err(invalid(argument, text).with(values.len()).with(n));
            }
        }
        Ok(())
    }

    fn steps(&self, supported: Supported) -> Result<Steps<'a>> {
        let norm = |norm: Norm<'a>, centered| -> Result<Steps<'a>> {
            Ok(Steps::Norm {
                sums: kernel(reduce::ROW_SUMS, supported)?,
                squares: kernel(norm::SQUARE_SUMS, supported)?,
                normalize: kernel(norm::NORMALIZE, supported)?,
                norm,
                centered,
            })
        };
        match *self {
            RowOp::Softmax => Ok(Steps::Softmax {
                peaks: kernel(softmax::PEAKS, supported)?,
                exps: kernel(softmax::EXPS, supported)?,
                sums: kernel(softmax::EXP_SUMS, supported)?,
                shares: kernel(softmax::SOFTMAX, supported)?,
            }),
            RowOp::LogSoftmax => Ok(Steps::LogSoftmax {
                peaks: kernel(softmax::PEAKS, supported)?,
                sums: kernel(softmax::EXP_SUMS, supported)?,
                logs: kernel(softmax::LOG_SOFTMAX, supported)?,
            }),
            RowOp::LayerNorm(of) => norm(of, true),
            RowOp::RmsNorm(of) => norm(of, false),
        }
    }
}

/// A tensor on its way; everything was checked.
struct Work<'a> {
    x: *const u8,
    y: *mut u8,
    /// Bytes of an element, of either.
    sizes: (usize, usize),
    /// Elements of a row.
    n: usize,
    load: Load,
    store: Store,
    steps: Steps<'a>,
}
// SAFETY: tasks read `x` and write disjoint rows of `y`; where the two are the same, each its own rows of both.
unsafe impl Sync for Work<'_> {}

impl Work<'_> {
    /// # Safety
    /// The walk's rows can be read and written.
    unsafe fn part(&self, walk: Walk<2>) {
        // Rows of f32 numbers on their way: as many as a block of sums has.
        let mut tile = [MaybeUninit::<f32>::uninit(); BLOCK];
        let tile = tile.as_mut_ptr().cast::<f32>();
        for Grid { run, rows, row_strides, .. } in walk.grids() {
            // Rows of one element follow each other in a run.
            let (rows, row_strides, runs, run_strides) = match self.n {
                1 => (run.len, run.strides, rows, row_strides),
                _ => (rows, row_strides, 1, [0; 2]),
            };
            for i in 0..runs {
                let [x, y] = [0, 1].map(|side| {
                    let at = |values: [usize; 2]| values.get(side).copied().unwrap_or(0);
                    at(run.offsets).wrapping_add(i.wrapping_mul(at(run_strides)))
                });
                let [x_stride, y_stride] = run.strides;
                let [x_rows, y_rows] = row_strides;
                let lines = Lines {
                    x: self.x.wrapping_add(x.wrapping_mul(self.sizes.0)),
                    y: self.y.wrapping_add(y.wrapping_mul(self.sizes.1)),
                    n: self.n,
                    rows,
                    x_stride: if self.n == 1 { 1 } else { x_stride },
                    y_stride: if self.n == 1 { 1 } else { y_stride },
                    x_rows,
                    y_rows,
                };
                // SAFETY: rows of the walk.
                unsafe { self.lines(&lines, tile) }
            }
        }
    }

    /// A few rows at a time, while they are in the first cache.
    ///
    /// # Safety
    /// The rows can be read and written, and `BLOCK` numbers at `tile`.
    unsafe fn lines(&self, all: &Lines, tile: *mut f32) {
        let together = BLOCK.checked_div(self.n).unwrap_or(1).clamp(1, ROWS);
        let mut row = 0;
        while row < all.rows {
            let lines = Lines {
                x: all.x.wrapping_add(row.wrapping_mul(all.x_rows).wrapping_mul(self.sizes.0)),
                y: all.y.wrapping_add(row.wrapping_mul(all.y_rows).wrapping_mul(self.sizes.1)),
                rows: together.min(all.rows - row),
                ..*all
            };
            let mut block =
                Block { lines, load: &self.load, store: &self.store, tile, staged: false };
            // SAFETY: by this function's contract.
            unsafe { block.apply(&self.steps) };
            row += together;
        }
    }
}
