//! Linear layers: `y[m][n] = Σ_k x[m][k] w[n][k] + bias[n]` with int8 weights packed once.

use crate::plan::{
    ActivationMode, Bias, Block, Carver, Codes, Destination, EitherEngine, Input, MAX_BLOCKS,
    MemoryRange, Output, OutputParams, Quantizer, Residual, Slots, Weights, Workspace, block_count,
    check_residual_range, check_workspace, cut, each_with_slot, forbid_overlap, size, threads_for,
};
use crate::{Error, Parallel, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null;
use core::sync::atomic::AtomicBool;
use fewbit_scheme::Activation;

mod batch;
mod create;
mod gemm;
mod gemm_slices;
mod grouped;
mod products;
mod real;

pub use batch::LinearBatch;
pub use gemm::{Gemm, GemmDesc, GemmRun};
pub use gemm_slices::GemmGroup;
pub use grouped::{GemmProblem, LinearProblem};
pub use real::RealLinearDesc;
pub use slices::LinearGroup;

mod slices;

/// How a linear layer's weights lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearLayout {
    /// `[N, K]`: the weights of an output channel are contiguous (PyTorch, ONNX Gemm with transB).
    Nk,
    /// `[K, N]`: the weights of an input feature are contiguous (ONNX MatMul).
    Kn,
}

/// A linear layer to plan.
#[derive(Clone, Copy, Debug)]
pub struct LinearDesc<'a> {
    /// K, at least 1.
    pub in_features: usize,
    /// N, at least 1.
    pub out_features: usize,
    /// The codes, `(matrices - 1) * matrix_stride + (rows - 1) * weight_stride + columns` of them at least, and their
    /// parameters.
    pub weights: Weights<'a>,
    /// Which of the two dimensions comes first.
    pub layout: LinearLayout,
    /// Codes between rows of the weights; 0: contiguous.
    pub weight_stride: usize,
    /// What is read.
    pub input: Input,
    /// What is added.
    pub bias: Bias<'a>,
    /// What is written.
    pub output: Output,
    /// What is applied before writing.
    pub activation: Activation,
    /// How, where codes are written.
    pub activation_mode: ActivationMode,
    /// What is added before it, of the result's shape and layout.
    pub residual: Residual,
    /// Weight matrices of this shape, at least 1: more make a plan for [`run_batch`](Linear::run_batch) and
    /// [`run_grouped`](Linear::run_grouped). Scales and zero points are then one for
    /// all, or, as the bias, `matrices * out_features`, matrix by matrix.
    pub matrices: usize,
    /// Codes between the first ones of neighbouring matrices; 0: no gaps.
    pub matrix_stride: usize,
}

/// A planned linear layer: packed weights and the kernels chosen. Immutable; threads may share it. `'w` is how long
/// packed weights live that the plan does not own; a plan made by [`create`](Linear::create) owns them.
pub struct Linear<'w> {
    engine: EitherEngine<'w>,
    quantizer: Quantizer,
    /// What quantizes the results, where their parameters are chosen in the run.
    of_results: Option<Quantizer>,
    input: Input,
    output: Output,
    residual: Residual,
    in_features: usize,
    out_features: usize,
    matrices: usize,
}

/// A run's operands and memory. Strides are in elements of the plan's types.
#[derive(Clone, Copy, Debug)]
pub struct LinearRun {
    /// M.
    pub rows: usize,
    /// M rows of K elements.
    pub x: *const u8,
    /// Distance of the rows of `x`, at least K; of packed codes in codes, a multiple of those in a byte.
    pub x_stride: usize,
    /// M rows of N elements, where the plan has a residual; may be `y`, element by element. Otherwise not
    /// used.
    pub residual: *const u8,
    /// Distance of the residual's rows, at least N.
    pub residual_stride: usize,
    /// As [`Linear::workspace`] asks for; contents do not matter.
    pub workspace: *mut u8,
    /// Its bytes.
    pub workspace_size: usize,
    /// M rows of N elements.
    pub y: *mut u8,
    /// Distance of the rows of `y`, at least N.
    pub y_stride: usize,
}

/// The product of a run's rows with one of the plan's matrices; what its tasks share.
#[derive(Clone, Copy)]
struct Product {
    run: LinearRun,
    matrix: usize,
    /// Where the run's first row is in the workspace's arrays.
    first: usize,
    /// Parameters of the rows that the caller brings along.
    given: RowParams,
}
// SAFETY: tasks read `x`, the residual and the parameters and write disjoint elements of `y`; the caller of the run
// vouches for all.
unsafe impl Sync for Product {}

/// Each row's parameters, `step` (0 or 1) apart; NULL: scale 1, zero point 0.
#[derive(Clone, Copy)]
struct RowParams {
    scales: *const f32,
    scale_step: usize,
    zero_points: *const i32,
    zero_point_step: usize,
}

// SAFETY: as of `Product`.
unsafe impl Sync for RowParams {}

impl RowParams {
    const NONE: RowParams =
        RowParams { scales: null(), scale_step: 0, zero_points: null(), zero_point_step: 0 };

    /// # Safety
    /// The row's values can be read, where there are any.
    unsafe fn row(&self, row: usize) -> (f32, i32) {
        // SAFETY: by this function's contract.
        unsafe {
            let scale = match self.scales.is_null() {
                true => 1.0,
                false => self.scales.add(row * self.scale_step).read(),
            };
            let zero_point = match self.zero_points.is_null() {
                true => 0,
                false => self.zero_points.add(row * self.zero_point_step).read(),
            };
            (scale, zero_point)
        }
    }
}

impl Linear<'_> {
    /// The tile kernel's name.
    pub fn kernel_name(&self) -> &'static str {
        self.engine.kernel_name()
    }

    /// The largest |int32 sum| that any input can give, proven from the weights; of real weights 0.
    pub fn bound(&self) -> i64 {
        self.engine.bound()
    }

    /// Bytes of packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.engine.weight_bytes()
    }

    /// Weight matrices.
    pub fn matrices(&self) -> usize {
        self.matrices
    }

    /// What is read.
    pub fn input(&self) -> Input {
        self.input
    }

    /// What is written.
    pub fn output(&self) -> Output {
        self.output
    }

    /// K.
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// N.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// What a run of up to `rows` rows on up to `max_workers` workers needs. More rows or workers
    /// never need less.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn workspace(&self, rows: usize, max_workers: usize) -> Result<Workspace> {
        let mut carver = Carver::new(core::ptr::null_mut());
        self.carve(&mut carver, rows, max_workers)?;
        Ok(Workspace { size: carver.used(), align: crate::memory::ALIGNMENT })
    }

    fn carve(&self, carver: &mut Carver, rows: usize, workers: usize) -> Result<Parts> {
        let overflow =
            Error::new(Status::InvalidArgument, "rows", "and max_workers need more than memory");
        let prepared = self.input.is_prepared();
        let codes = if prepared { rows.checked_mul(self.in_features).ok_or(overflow)? } else { 0 };
        let dynamic = if self.quantizer.is_dynamic() { rows } else { 0 };
        let block = self.engine.block_distance();
        let most_blocks = self.engine.most_blocks(block_count(rows, self.engine.shape().0));
        let workers = workers.max(1);
        let blocks = size(&[block, most_blocks, workers]).map_err(|_| overflow)?;
        let scratch_size = self.engine.scratch(most_blocks);
        let scratch = size(&[scratch_size, workers]).map_err(|_| overflow)?;
        let results = match self.of_results {
            Some(_) => rows.checked_mul(self.out_features).ok_or(overflow)?,
            None => 0,
        };
        let parts = (|| {
            Some(Parts {
                scales: carver.take(dynamic)?,
                zero_points: carver.take(dynamic)?,
                codes: carver.take(codes)?,
                results: carver.take(results)?,
                blocks: carver.take(blocks)?,
                block,
                most_blocks,
                scratch: carver.take(scratch)?,
                scratch_size,
                busy: carver.take(workers)?,
                workers,
            })
        })();
        parts.ok_or(overflow)
    }

    /// Refuses places for the output's parameters where they are known, and none where the run chooses them.
    fn check_places(&self, given: bool) -> Result<()> {
        let text = match (self.of_results.is_some(), given) {
            (true, false) => {
                "chooses its output's parameters in each run: call the run that takes places for them"
            }
            (false, true) => {
                "has an output whose parameters are known: call the run without places for them"
            }
            _ => return Ok(()),
        };
        Err(Error::new(Status::Unsupported, "linear", text))
    }

    /// Runs rows `range.0` and columns `range.1` of a call of `run.rows` rows. The results do not depend on the range,
    /// the workers or the instruction set.
    ///
    /// # Errors
    /// [`Status::NullPointer`], [`Status::InvalidArgument`] (strides, ranges),
    /// [`Status::BufferTooSmall`] and [`Status::Misaligned`] (workspace), [`Status::Overlap`],
    /// [`Status::Unsupported`] (an output of [`Output::DynamicPerRow`]). Nothing is written then.
    ///
    /// # Safety
    /// `x` can be read for `rows` rows of K elements, the residual read (if the plan has one) and `y` written
    /// for `rows` rows of N elements in the range, `workspace` written for `workspace_size` bytes; each unless
    /// NULL.
    pub unsafe fn run_raw(
        &self,
        run: &LinearRun,
        parallel: &dyn Parallel,
        range: (Range<usize>, Range<usize>),
    ) -> Result<()> {
        self.check_places(false)?;
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, None, parallel, range) }
    }

    /// Runs rows `range` of a call of `run.rows` rows of a plan whose output is [`Output::DynamicPerRow`]: whole rows,
    /// as the parameters depend on all of a row's results. Row `r` has scale and zero point number `r`; those of rows
    /// beyond the range are left alone. The results do not depend on the range, the workers or the instruction set.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_raw`](Linear::run_raw); the places of parameters can be written for `rows` values, unless NULL.
    pub unsafe fn run_dynamic_raw(
        &self,
        run: &LinearRun,
        params: &OutputParams,
        parallel: &dyn Parallel,
        range: Range<usize>,
    ) -> Result<()> {
        self.check_places(true)?;
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, Some(params), parallel, (range, 0..self.out_features)) }
    }

    /// Both of the above.
    ///
    /// # Safety
    /// As there.
    unsafe fn run_to(
        &self,
        run: &LinearRun,
        params: Option<&OutputParams>,
        parallel: &dyn Parallel,
        range: (Range<usize>, Range<usize>),
    ) -> Result<()> {
        let (row_range, columns) = range;
        if self.matrices > 1 {
            let text = "has {} matrices: run it as a batch or in groups";
            return Err(Error::new(Status::InvalidArgument, "linear", text).with(self.matrices));
        }
        let LinearRun { rows, x, x_stride, workspace, workspace_size, y, y_stride, .. } = *run;
        let (k, n) = (self.in_features, self.out_features);
        check_range("row", &row_range, rows)?;
        check_range("column", &columns, n)?;
        if row_range.is_empty() || columns.is_empty() {
            return Ok(());
        }
        let x_bytes = self.x_bytes(x, rows, x_stride)?;
        let y_bytes = matrix_bytes("y", y, rows, n, y_stride, self.output.element_size())?;
        // The parts are cut first: their size is what the workspace is checked against.
        let mut carver = Carver::new(workspace);
        let workers = parallel.max_workers();
        let mut parts = self.carve(&mut carver, rows, workers)?;
        let needed = carver.used();
        check_workspace(workspace, workspace_size, needed)?;
        // What is too small to be handed out needs less than it was given.
        let products = [row_range.len(), columns.len(), k];
        let (parallel, workers) = threads_for(parallel, workers, &products);
        parts.workers = workers;
        let memory = MemoryRange::new("workspace", workspace, needed);
        let y_range = MemoryRange::new("y", y, y_bytes);
        forbid_overlap(MemoryRange::new("x", x, x_bytes), y_range)?;
        forbid_overlap(MemoryRange::new("x", x, x_bytes), memory)?;
        forbid_overlap(y_range, memory)?;
        let (mut residual_stride, mut residual_range) = (0, MemoryRange::new("residual", y, 0));
        if self.residual != Residual::None {
            let element = self.residual.element_size();
            residual_stride = run.residual_stride;
            let bytes = matrix_bytes("residual", run.residual, rows, n, residual_stride, element)?;
            residual_range = MemoryRange::new("residual", run.residual, bytes);
            let same = residual_stride == y_stride && element == self.output.element_size();
            check_residual_range(residual_range, y_range, memory, same)?;
        }
        if let Some(params) = params {
            let x_range = MemoryRange::new("x", x, x_bytes);
            params.check(self.output, rows, &[x_range, y_range, memory, residual_range])?;
        }

        // Results that wait for their parameters lie in the workspace.
        let (to, to_stride) = match params {
            Some(_) => (parts.results.cast(), n),
            None => (y, y_stride),
        };
        let product = Product {
            run: LinearRun { residual_stride, y: to, y_stride: to_stride, ..*run },
            matrix: 0,
            first: 0,
            given: RowParams::NONE,
        };
        if self.input.is_prepared() {
            let codes = Codes {
                codes: parts.codes,
                stride: k,
                scales: parts.scales,
                zero_points: parts.zero_points,
            };
            // SAFETY: rows and strides as checked and promised; the parts hold a value a row.
            unsafe {
                self.quantizer.prepare((x, x_stride), (rows, k), row_range.clone(), codes, parallel)
            };
        }
        let (mr, nr) = self.engine.shape();
        // Column tasks start on whole panels, so that no panel is multiplied twice.
        let first_panel = columns.start / nr;
        let panels = columns.end.div_ceil(nr) - first_panel;
        let row_blocks = block_count(row_range.len(), mr);
        let is_direct = self.engine.is_direct();
        if parts.workers == 1 && row_blocks <= parts.most_blocks {
            // One task: small products would spend more time on handing it out than in it.
            let direct = is_direct && (row_range.len() == 1 || panels <= DIRECT_PANELS);
            // SAFETY: rows and columns that exist by the checks above; nobody else uses the workspace, and the
            // rows' codes and parameters are ready.
            unsafe { self.task(&product, &parts, row_range.clone(), columns, direct, 0) }
        } else {
            let cut = cut(row_blocks, panels, parts.most_blocks, 1, parts.workers);
            let column_tasks = cut.column_tasks(panels);
            let direct = is_direct && (row_range.len() == 1 || cut.panels <= DIRECT_PANELS);
            let tasks = cut.row_tasks(row_blocks) * column_tasks;
            // SAFETY: the flags are a part of the workspace of their own.
            let slots = unsafe { Slots::new(parts.busy, parts.workers) };
            each_with_slot(parallel, tasks, &slots, |task, slot| {
                let (product, parts, column_tasks) = (&product, &parts, column_tasks.max(1));
                let first = row_range.start + task / column_tasks * cut.blocks * mr;
                let rows = first..row_range.end.min(first + cut.blocks * mr);
                let start = (first_panel + task % column_tasks * cut.panels) * nr;
                let part = columns.start.max(start)..columns.end.min(start + cut.panels * nr);
                // SAFETY: rows and columns that exist by the checks above, which no other task has; the slot is this
                // task's, and the rows' codes and parameters are ready.
                unsafe { self.task(product, parts, rows, part, direct, slot) }
            });
        }
        if let (Some(quantizer), Some(params)) = (&self.of_results, params) {
            let (results, codes) =
                (parts.results.cast_const().cast(), params.of_codes(y, y_stride));
            // SAFETY: the range's rows of results are there, and places for codes and parameters.
            unsafe { quantizer.prepare((results, n), (rows, n), row_range, codes, parallel) };
        }
        Ok(())
    }

    /// The bytes that `rows` rows of x cover, or why pointer or stride are wrong.
    fn x_bytes(&self, x: *const u8, rows: usize, stride: usize) -> Result<usize> {
        self.check_bytes("x_stride", stride)?;
        let bytes =
            matrix_bytes("x", x, rows, self.in_features, stride, self.input.element_size())?;
        Ok(bytes.div_ceil(self.input.per_element()))
    }

    /// Refuses a distance of packed codes that is not one of bytes.
    fn check_bytes(&self, name: &'static str, stride: usize) -> Result<()> {
        let unit = self.input.per_element();
        if stride.is_multiple_of(unit) {
            return Ok(());
        }
        let text = "is {}, but rows start on a byte, of {} codes";
        Err(Error::new(Status::InvalidArgument, name, text).with(stride).with(unit))
    }

    /// Multiplies some rows, at most `most_blocks` blocks of them, with some columns.
    ///
    /// # Safety
    /// The product's operands are valid for its run, `y` may be written for these rows and columns, codes and parameters of
    /// real inputs are in the parts, and nobody else uses the slot.
    unsafe fn task(
        &self,
        product: &Product,
        parts: &Parts,
        rows: Range<usize>,
        columns: Range<usize>,
        direct: bool,
        slot: usize,
    ) {
        let engine = match &self.engine {
            EitherEngine::Codes(engine) => engine,
            EitherEngine::Real(engine) => {
                let part = (rows, columns);
                // SAFETY: by this function's contract.
                return unsafe { self.real_task(engine, product, parts, part, (direct, slot)) };
            }
        };
        let Product { run, matrix, first, given } = product;
        let (k, mr) = (self.in_features, engine.packed.mr);
        let mut blocks = [const { MaybeUninit::<Block>::uninit() }; MAX_BLOCKS];
        let (each, mut begin, mut count) = (engine.even_rows(rows.len()), rows.start, 0);
        for (b, block) in blocks.iter_mut().enumerate().take(block_count(rows.len(), mr)) {
            let row = |r: usize| {
                if self.input.is_prepared() {
                    parts.codes.wrapping_add((first + begin + r) * k).cast_const()
                } else {
                    run.x.wrapping_add((begin + r) * self.input.bytes(run.x_stride))
                }
            };
            let parameters = |r: usize| {
                let (scale, zero_point) = match self.input {
                    // SAFETY: the caller's parameters are valid for its rows.
                    Input::CodesPerRow(_) | Input::PackedPerRow(_) => unsafe {
                        given.row(begin + r)
                    },
                    // SAFETY: the row's parameters are ready, by this function's contract.
                    _ => unsafe {
                        self.quantizer.row(parts.scales, parts.zero_points, first + begin + r)
                    },
                };
                (zero_point, scale)
            };
            let memory = match direct {
                true => core::ptr::null_mut(),
                false => parts.blocks.wrapping_add((slot * parts.most_blocks + b) * parts.block),
            };
            let height = each.min(rows.end - begin);
            // SAFETY: the slot's own memory, `most_blocks` blocks of it; the rows exist, and their codes are
            // ready, by this function's contract.
            unsafe {
                let block = block.write(Block::EMPTY);
                engine.fill(block, memory, height, row, parameters);
            }
            (begin, count) = (begin + height, b + 1);
        }
        let element = self.output.of_sums().element_size();
        // SAFETY: `count` blocks were written; rows and columns of `y` by this function's contract.
        unsafe {
            let whole = Destination {
                base: run.y,
                row_stride: run.y_stride,
                column_stride: 1,
                residual: run.residual,
                residual_row_stride: run.residual_stride,
            };
            let destination = whole.at(rows.start, 0, element, self.residual.element_size());
            engine.multiply(
                blocks.get(..count).unwrap_or_default().assume_init_ref(),
                *matrix,
                columns,
                &destination,
            );
        }
    }
}

/// With more panels than this a task packs its rows first.
const DIRECT_PANELS: usize = 8;

/// The workspace, cut.
struct Parts {
    /// Each row's parameters, for dynamic inputs.
    scales: *mut f32,
    zero_points: *mut i32,
    /// `[rows][K]` codes, where the run makes them.
    codes: *mut u8,
    /// `[rows][N]` results, where their parameters are chosen in the run.
    results: *mut f32,
    /// Packed blocks for each worker, `block` bytes apart.
    blocks: *mut u8,
    block: usize,
    /// Blocks of a worker.
    most_blocks: usize,
    /// What else a task needs, for each worker, `scratch_size` bytes apart.
    scratch: *mut u8,
    scratch_size: usize,
    /// Whether a worker's blocks are in use.
    busy: *mut AtomicBool,
    workers: usize,
}
// SAFETY: each task uses its worker's block and reads what was written before the tasks began.
unsafe impl Sync for Parts {}

fn check_range(what: &'static str, range: &Range<usize>, len: usize) -> Result<()> {
    if range.start <= range.end && range.end <= len {
        return Ok(());
    }
    let (name, text) = if what == "row" {
        ("row_end", "makes the rows {} to {}, but there are {}")
    } else {
        ("col_end", "makes the columns {} to {}, but there are {}")
    };
    Err(Error::new(Status::InvalidArgument, name, text).with(range.start).with(range.end).with(len))
}

/// The bytes that a matrix covers, or why its pointer or stride is wrong.
fn matrix_bytes<T>(
    name: &'static str,
    pointer: *const T,
    rows: usize,
    columns: usize,
    stride: usize,
    element: usize,
) -> Result<usize> {
    if pointer.is_null() {
        return Err(Error::new(Status::NullPointer, name, "is NULL"));
    }
    // Elements are of 1, 2 or 4 bytes.
    if pointer.addr() & element.saturating_sub(1) != 0 {
        return Err(
            Error::new(Status::Misaligned, name, "is not aligned to {} bytes").with(element)
        );
    }
    let bad = |text| {
        let name = match name {
            "x" => "x_stride",
            "y" => "y_stride",
            _ => "residual_stride",
        };
        Error::new(Status::InvalidArgument, name, text)
    };
    if stride < columns {
        return Err(bad("is {}, less than the {} elements of a row").with(stride).with(columns));
    }
    rows.saturating_sub(1)
        .checked_mul(stride)
        .and_then(|elements| elements.checked_add(columns))
        .and_then(|elements| elements.checked_mul(element))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .ok_or(bad("of {} makes the matrix larger than memory").with(stride))
}
