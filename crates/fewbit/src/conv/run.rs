//! A run of a convolution: the workspace's parts, checks, and the steps.

use super::{Conv, ConvRun};
use crate::memory::ALIGNMENT;
use crate::plan::{
    Carver, Codes, EitherEngine, MemoryRange, OutputParams, Residual, Workspace, block_count,
    check_residual_range, check_workspace, forbid_overlap, most_blocks, size, threads_for,
};
use crate::{Error, Parallel, Result, Status};
use core::sync::atomic::AtomicBool;

#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Codes of all images, the caller's or those in the workspace; or the caller's numbers.
    pub codes: *const u8,
    pub residual: *const u8,
    pub y: *mut u8,
    pub scales: *const f32,
    pub zero_points: *const i32,
    /// For each worker: `most_blocks` blocks of rows, `block` bytes apart, and the rest of its memory.
    pub blocks: *mut u8,
    pub rows: *mut u8,
    pub block: usize,
    pub most_blocks: usize,
    /// Whether a worker's memory is in use.
    pub busy: *mut AtomicBool,
    pub workers: usize,
}
// SAFETY: tasks read codes and parameters, use their slot's blocks and row, and write disjoint
// elements of `y`.
unsafe impl Sync for Ends {}

impl Conv<'_> {
    /// What a run of up to `images` images on up to `max_workers` workers needs.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn workspace(&self, images: usize, max_workers: usize) -> Result<Workspace> {
        let mut carver = Carver::new(core::ptr::null_mut());
        self.carve(&mut carver, images, max_workers)?;
        Ok(Workspace { size: carver.used(), align: ALIGNMENT })
    }

    /// The workspace's parts, the places of the codes of real inputs, and that of results whose parameters are chosen
    /// in the run.
    fn carve(
        &self,
        carver: &mut Carver,
        images: usize,
        workers: usize,
    ) -> Result<(Ends, Codes, *mut f32)> {
        let overflow =
            Error::new(Status::InvalidArgument, "images", "and max_workers need more than memory");
        let codes =
            if self.input.is_real() { images.checked_mul(self.image).ok_or(overflow)? } else { 0 };
        let dynamic = if self.quantizer.is_dynamic() { images } else { 0 };
        let block = match (&self.depthwise, &self.real_depthwise) {
            (None, None) => self.block_bytes().map_err(|_| overflow)?.next_multiple_of(ALIGNMENT),
            _ => 0,
        };
        let most_blocks =
            most_blocks(block_count(self.most_pixels(), self.engine.shape().0), block);
        let workers = workers.max(1);
        let blocks = size(&[block, most_blocks, workers]).map_err(|_| overflow)?;
        let rows = match (&self.depthwise, &self.real_depthwise) {
            (Some(depthwise), _) => depthwise.memory(&self.taps),
            (_, Some(depthwise)) => depthwise.memory(&self.taps),
            _ => self.memory_bytes(most_blocks),
        };
        let rows = rows.and_then(|bytes| size(&[bytes, workers])).map_err(|_| overflow)?;
        let results = match self.of_results {
            Some(_) => size(&[images, self.pixels, self.out_channels]).map_err(|_| overflow)?,
            None => 0,
        };
        let parts = (|| {
            let scales = carver.take::<f32>(dynamic)?;
            let zero_points = carver.take::<i32>(dynamic)?;
            let codes = carver.take::<u8>(codes)?;
            let results = carver.take::<f32>(results)?;
            let blocks = carver.take::<u8>(blocks)?;
            let rows = carver.take::<u8>(rows)?;
            let busy = carver.take::<AtomicBool>(workers)?;
            let ends = Ends {
                codes,
                residual: core::ptr::null(),
                y: core::ptr::null_mut(),
                scales,
                zero_points,
                blocks,
                rows,
                block,
                most_blocks,
                busy,
                workers,
            };
            let codes = Codes { codes, stride: self.image, scales, zero_points };
            Some((ends, codes, results))
        })();
        parts.ok_or(overflow)
    }

    /// Runs `run.images` images. Results depend neither on the workers nor
    /// on the instruction set.
    ///
    /// # Errors
    /// [`Status::NullPointer`], [`Status::Misaligned`], [`Status::BufferTooSmall`] (workspace),
    /// [`Status::Overlap`], [`Status::InvalidArgument`] (sizes), [`Status::Unsupported`] (an output of
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow)). Nothing is written then.
    ///
    /// # Safety
    /// `x` can be read, the residual read (if the plan has one) and `y` written for `images` images, `workspace`
    /// written for `workspace_size` bytes; each unless NULL.
    pub unsafe fn run_raw(&self, run: &ConvRun, parallel: &dyn Parallel) -> Result<()> {
        if self.of_results.is_some() {
            let text = "chooses its output's parameters in each run: call the run that takes places for them";
            return Err(Error::new(Status::Unsupported, "conv", text));
        }
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, None, parallel) }
    }

    /// Runs `run.images` images of a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow): an image's results choose one scale
    /// and one zero point.
    ///
    /// # Errors
    /// As [`run_raw`](Conv::run_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_raw`](Conv::run_raw); the places of parameters can be written for `images` values, unless NULL.
    pub unsafe fn run_dynamic_raw(
        &self,
        run: &ConvRun,
        params: &OutputParams,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        if self.of_results.is_none() {
            let text =
                "has an output whose parameters are known: call the run without places for them";
            return Err(Error::new(Status::Unsupported, "conv", text));
        }
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, Some(params), parallel) }
    }

    /// Both of the above.
    ///
    /// # Safety
    /// As there.
    unsafe fn run_to(
        &self,
        run: &ConvRun,
        params: Option<&OutputParams>,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let ConvRun { images, x, residual, workspace, workspace_size, y } = *run;
        if images == 0 {
            return Ok(());
        }
        let (in_elements, out_elements) = self.image_elements();
        let bytes = |name, pointer: *const u8, elements: usize, element: usize| {
            if pointer.is_null() {
                return Err(Error::new(Status::NullPointer, name, "is NULL"));
            }
            if !pointer.addr().is_multiple_of(element.max(1)) {
                return Err(Error::new(Status::Misaligned, name, "is not aligned to {} bytes")
                    .with(element));
            }
            let too_many = Error::new(Status::InvalidArgument, "images", "is {}: more than memory")
                .with(images);
            let bytes = size(&[images, elements, element]).map_err(|_| too_many)?;
            Ok(MemoryRange::new(name, pointer, bytes))
        };
        let x_range = bytes("x", x, in_elements, self.input.element_size())?;
        let y_range = bytes("y", y.cast_const(), out_elements, self.output.element_size())?;
        // The parts are cut first: their size is what the workspace is checked against.
        let mut carver = Carver::new(workspace);
        let workers = parallel.max_workers();
        let (mut ends, codes, results) = self.carve(&mut carver, images, workers)?;
        let needed = carver.used();
        check_workspace(workspace, workspace_size, needed)?;
        // What is too small to be handed out needs less than it was given.
        let [kd, kh, kw] = self.taps.axes.map(|axis| axis.kernel);
        let products = [images, out_elements, kd, kh, kw, self.taps.group_channels];
        let (parallel, workers) = threads_for(parallel, workers, &products);
        ends.workers = workers;
        let memory = MemoryRange::new("workspace", workspace, needed);
        forbid_overlap(x_range, y_range)?;
        forbid_overlap(x_range, memory)?;
        forbid_overlap(y_range, memory)?;
        let mut residual_range = MemoryRange::new("residual", y, 0);
        if self.residual != Residual::None {
            let element = self.residual.element_size();
            residual_range = bytes("residual", residual, out_elements, element)?;
            let same = element == self.output.element_size();
            check_residual_range(residual_range, y_range, memory, same)?;
        }
        if let Some(params) = params {
            params.check(self.output, images, &[x_range, y_range, memory, residual_range])?;
        }

        // Results that wait for their parameters lie in the workspace.
        ends.y = if params.is_some() { results.cast() } else { y };
        ends.residual = residual;
        if !self.input.is_real() {
            ends.codes = x;
        }
        // SAFETY: an image is a row of the quantizer's matrix; the parts hold one of each.
        unsafe {
            self.quantizer.prepare(
                (x, self.image),
                (images, self.image),
                0..images,
                codes,
                parallel,
            );
        }
        match (&self.depthwise, &self.real_depthwise, &self.engine) {
            (Some(depthwise), _, EitherEngine::Codes(engine)) => {
                // SAFETY: the parts are those of this run, and the codes are there.
                unsafe { self.run_depthwise((depthwise, engine), &ends, images, parallel)? }
            }
            (_, Some(depthwise), EitherEngine::Real(engine)) => {
                // SAFETY: the parts are those of this run.
                unsafe { self.run_real_depthwise((depthwise, engine), &ends, images, parallel)? }
            }
            _ => self.run_tiles(&ends, images, parallel)?,
        }
        if let (Some(quantizer), Some(params)) = (&self.of_results, params) {
            let from = (results.cast_const().cast(), out_elements);
            let codes = params.of_codes(y, out_elements);
            // SAFETY: an image's results are a row; they are there, and places for codes and parameters.
            unsafe { quantizer.prepare(from, (images, out_elements), 0..images, codes, parallel) };
        }
        Ok(())
    }
}
