//! Convolution: int8 products of the taps under each output pixel with weights packed once.
//!
//! A row of the product is an output pixel, its k-values are the taps in the order [kd, kh, kw, input
//! channel of the group]; they are gathered row by row into the block that the tile reads, so that
//! no unfolded copy of the input exists. A tap that falls on padding is the input's zero point, the
//! code of real 0, so borders need no correction.

use crate::memory::{ALIGNMENT, Allocator};
use crate::plan::{
    ActivationMode, Bias, Block, Carver, Codes, Cut, Destination, Engine, Input, Kind, Layout,
    MAX_BLOCKS, MemoryRange, Operands, Output, OutputParams, Quantizer, Residual, Saved, Slots,
    Weights, Workspace, block_count, check_operands, check_residual_range, check_workspace, cut,
    each_with_slot, forbid_overlap, most_blocks, size, tile_columns,
};
use crate::{Error, Parallel, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::AtomicBool;
use depthwise::Depthwise;
use fewbit_kernels::gemm::MAX_MR;
use fewbit_scheme::Activation;
use fewbit_simd::Supported;
use taps::Taps;

mod depthwise;
mod packed;
mod slices;
mod taps;

/// How images lie, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageLayout {
    /// `[image, d, h, w, channel]`.
    Nhwc,
    /// `[image, channel, d, h, w]`.
    Nchw,
}

/// How weights lie, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterLayout {
    /// `[O, kd, kh, kw, I / groups]`.
    Ohwi,
    /// `[O, I / groups, kd, kh, kw]`.
    Oihw,
}

/// One spatial axis. An axis that is not there has size 1, kernel 1, stride 1, dilation 1 and no
/// padding: [`ConvAxis::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvAxis {
    /// Input pixels.
    pub size: usize,
    /// Taps, at least 1.
    pub kernel: usize,
    /// Input pixels between output pixels, at least 1.
    pub stride: usize,
    /// Input pixels between taps, at least 1.
    pub dilation: usize,
    /// Real zeros before the first pixel.
    pub pad_begin: usize,
    /// Real zeros behind the last pixel.
    pub pad_end: usize,
}

impl ConvAxis {
    /// An axis of one pixel.
    pub const NONE: ConvAxis =
        ConvAxis { size: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };

    /// Output pixels: `(size + pads - dilation * (kernel - 1) - 1) / stride + 1`; `None` if the axis is
    /// wrong or the taps do not fit.
    pub fn output(&self) -> Option<usize> {
        let reach = self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)?;
        let padded = self.size.checked_add(self.pad_begin)?.checked_add(self.pad_end)?;
        let steps = padded.checked_sub(reach)?.checked_div(self.stride)?;
        let bounded = padded <= isize::MAX as usize && self.dilation > 0 && self.size > 0;
        if bounded { steps.checked_add(1) } else { None }
    }
}

/// A convolution to plan.
#[derive(Clone, Copy, Debug)]
pub struct ConvDesc<'a> {
    /// C, a multiple of `groups`.
    pub in_channels: usize,
    /// O, a multiple of `groups`.
    pub out_channels: usize,
    /// Independent convolutions side by side; `in_channels` of them for a depthwise one.
    pub groups: usize,
    /// Depth, height and width. 2-d: the depth is [`ConvAxis::NONE`]; 1-d: the height too.
    pub axes: [ConvAxis; 3],
    /// Layout of input and output.
    pub layout: ImageLayout,
    /// Layout of the weights.
    pub filter_layout: FilterLayout,
    /// The codes, `O * kernel * C / groups` of them, and their parameters.
    pub weights: Weights<'a>,
    /// What is read. "Per row" is per image.
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
}

/// A planned convolution. Immutable; threads may share it. `'w` is how long packed weights live that the plan does
/// not own; a plan made by [`create`](Conv::create) owns them.
pub struct Conv<'w> {
    engine: Engine<'w>,
    /// What multiplies in the engine's place, if the layer is depthwise.
    depthwise: Option<Depthwise>,
    quantizer: Quantizer,
    /// What quantizes the results, where their parameters are chosen in the run.
    of_results: Option<Quantizer>,
    /// What shapes a row's k-values.
    kernel: Kind,
    input: Input,
    output: Output,
    residual: Residual,
    /// Groups as packed: several of the description's, side by side.
    groups: usize,
    taps: Taps,
    out_channels: usize,
    /// Elements of an input image.
    image: usize,
    /// Output pixels of an image.
    pixels: usize,
}

/// A run's operands and memory; images lie without gaps.
#[derive(Clone, Copy, Debug)]
pub struct ConvRun {
    /// The number of images.
    pub images: usize,
    /// The images.
    pub x: *const u8,
    /// As many elements as `y`, where the plan has a residual; may be `y`. Otherwise not used.
    pub residual: *const u8,
    /// As [`Conv::workspace`] asks for; contents do not matter.
    pub workspace: *mut u8,
    /// Its bytes.
    pub workspace_size: usize,
    /// The results.
    pub y: *mut u8,
}

#[derive(Clone, Copy)]
struct Ends {
    /// Codes of all images: the caller's, or those in the workspace.
    codes: *const u8,
    residual: *const u8,
    y: *mut u8,
    scales: *const f32,
    zero_points: *const i32,
    /// For each worker: `most_blocks` packed blocks, `block` bytes apart, and a gathered row.
    blocks: *mut u8,
    rows: *mut u8,
    block: usize,
    most_blocks: usize,
    /// Whether a worker's memory is in use.
    busy: *mut AtomicBool,
    workers: usize,
}
// SAFETY: tasks read codes and parameters, use their slot's blocks and row, and write disjoint
// elements of `y`.
unsafe impl Sync for Ends {}

impl<'w> Conv<'w> {
    /// Packs the weights and chooses kernels. The only call that allocates.
    ///
    /// # Errors
    /// As [`Linear::create`](crate::Linear::create).
    pub fn create(
        desc: &ConvDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build(desc, None, supported, allocator)
    }

    pub(super) fn build(
        desc: &ConvDesc<'_>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        let ConvDesc { in_channels, out_channels, groups, axes, .. } = *desc;
        if matches!(desc.input, Input::CodesPerRow(_)) {
            let text = "has parameters that come with the run, which a Gemm takes";
            return Err(Error::new(Status::Unsupported, "desc.input", text));
        }
        if groups == 0 {
            return Err(Error::new(Status::InvalidArgument, "desc.groups", "is 0"));
        }
        let channels = [("desc.in_channels", in_channels), ("desc.out_channels", out_channels)];
        for (name, count) in channels {
            if count == 0 || !count.is_multiple_of(groups) {
                return Err(Error::new(
                    Status::InvalidArgument,
                    name,
                    "is {}, which is not a positive multiple of {} groups",
                )
                .with(count)
                .with(groups));
            }
        }
        let names = ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"];
        let mut out_dims = [0; 3];
        for ((out, axis), name) in out_dims.iter_mut().zip(&axes).zip(names) {
            *out = axis.output().ok_or(
                Error::new(
                    Status::InvalidArgument,
                    name,
                    "has {} pixels, {} taps and stride {}: sizes must be positive and the taps fit \
                     into the padded input",
                )
                .with(axis.size)
                .with(axis.kernel)
                .with(axis.stride),
            )?;
        }
        let group_channels = in_channels / groups;
        let [kd, kh, kw] = axes.map(|axis| axis.kernel);
        let taps = size(&[kd, kh, kw])?;
        let k = size(&[taps, group_channels])?;
        if desc.weights.block != 0 && packed.is_none() {
            let text = "is {}, but only linear layers take weights with a scale a block";
            let error = Error::new(Status::Unsupported, "desc.weights.block", text);
            return Err(error.with(desc.weights.block));
        }
        // Small groups are packed side by side, up to a panel's columns, with real zeros where a
        // group's outputs meet another group's inputs: as many products a panel as before, but many
        // groups at once. (A depthwise convolution would otherwise use one column of each panel.)
        let columns = out_channels.checked_div(groups).unwrap_or(0);
        let fused = fusion(groups, columns, tile_columns(usize::MAX, supported)?);
        // Where the kernel of depthwise layers multiplies, each channel is a column of one product.
        let by_channel = groups > 1 && in_channels == groups;
        let fused_channels = size(&[group_channels, fused])?;
        let at = |channel: usize, i: usize| {
            if by_channel {
                return Some(channel * k + i);
            }
            let tap = i.checked_div(fused_channels)?;
            let within = i - tap * fused_channels;
            let member = within.checked_div(group_channels)?;
            let own = channel.checked_div(columns)?.checked_rem(fused)?;
            let input = within - member * group_channels;
            // k-values are [tap][input]; `Oihw` stores them [input][tap].
            let stored = match desc.filter_layout {
                FilterLayout::Ohwi => tap * group_channels + input,
                FilterLayout::Oihw => input * taps + tap,
            };
            (member == own).then_some(channel * k + stored)
        };
        let [sd, sh, sw] = axes.map(|axis| axis.size);
        let [od, oh, ow] = out_dims;
        let image = size(&[sd, sh, sw, in_channels])?;
        let pixels = size(&[od, oh, ow])?;
        size(&[pixels, out_channels, desc.output.of_sums().element_size()])?;
        let (groups, shape) = if by_channel {
            (1, (1, out_channels, taps))
        } else {
            let groups = groups.checked_div(fused).unwrap_or(0);
            (groups, (groups, columns * fused, size(&[taps, fused_channels])?))
        };
        let kernel = Kind::Conv([kd, kh, kw, group_channels]);
        let layout = Layout::new(shape, supported)?;
        let saved = match packed {
            Some(bytes) => Some(Saved::open(bytes, kernel, &layout)?),
            None => None,
        };
        let operands = Operands {
            weights: saved.as_ref().map_or(desc.weights, |saved| saved.weights(desc.weights)),
            input: desc.input,
            bias: desc.bias,
            output: desc.output,
            activation: desc.activation,
            mode: desc.activation_mode,
            residual: desc.residual,
        };
        check_operands(&operands, out_channels, k)?;
        let operands = Operands { output: desc.output.of_sums(), ..operands };
        let engine = match &saved {
            Some(saved) => Engine::mapped(&operands, saved, layout, supported, allocator)?,
            None => {
                let (given, needed) = (desc.weights.codes.len(), size(&[out_channels, k])?);
                if given < needed {
                    return Err(Error::new(
                        Status::BufferTooSmall,
                        "desc.weights.data",
                        "has {} codes, but needs {}",
                    )
                    .with(given)
                    .with(needed));
                }
                Engine::new(&operands, at, shape, supported, allocator)?
            }
        };
        let geometry = Taps {
            axes,
            out_dims,
            layout: desc.layout,
            in_channels,
            group_channels: fused_channels,
        };
        let depthwise = match by_channel {
            true => Some(Depthwise::new(&engine, &geometry, supported, allocator)?),
            false => None,
        };
        Ok(Conv {
            depthwise,
            quantizer: Quantizer::new(desc.input, engine.packed.form, supported)?,
            of_results: Quantizer::of_output(desc.output, supported)?,
            engine,
            kernel,
            input: desc.input,
            output: desc.output,
            residual: desc.residual,
            groups,
            taps: geometry,
            out_channels,
            image,
            pixels,
        })
    }

    /// The name of the kernel that multiplies: a tile, or one of depthwise layers.
    pub fn kernel_name(&self) -> &'static str {
        match &self.depthwise {
            Some(depthwise) => depthwise.name(),
            None => self.engine.packed.tile.name(),
        }
    }

    /// The largest |int32 sum| that any input can give, proven from the weights.
    pub fn bound(&self) -> i64 {
        self.engine.packed.bound
    }

    /// Bytes of packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.engine.packed.weight_bytes()
    }

    /// Output depth, height and width.
    pub fn output_dims(&self) -> [usize; 3] {
        self.taps.out_dims
    }

    /// Elements of an input image and of an output image.
    pub fn image_elements(&self) -> (usize, usize) {
        (self.image, self.pixels * self.out_channels)
    }

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
        let block = match self.depthwise {
            Some(_) => 0,
            None => self.engine.block_size().next_multiple_of(ALIGNMENT),
        };
        let most_blocks = most_blocks(block_count(self.pixels, self.engine.packed.mr), block);
        let workers = workers.max(1);
        let blocks = size(&[block, most_blocks, workers]).map_err(|_| overflow)?;
        let packed = &self.engine.packed;
        let rows = match &self.depthwise {
            Some(depthwise) => size(&[depthwise.memory(&self.taps)?, workers]),
            None => size(&[packed.k, packed.mr, workers]),
        };
        let rows = rows.map_err(|_| overflow)?;
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
    /// [`Output::DynamicPerRow`]). Nothing is written then.
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

    /// Runs `run.images` images of a plan whose output is [`Output::DynamicPerRow`]: an image's results choose one scale
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
        let workers = parallel.max_workers();
        let needed = self.workspace(images, workers)?.size;
        check_workspace(workspace, workspace_size, needed)?;
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

        let (mut ends, codes, results) =
            self.carve(&mut Carver::new(workspace), images, workers)?;
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
        match &self.depthwise {
            // SAFETY: the parts are those of this run, and the codes are there.
            Some(depthwise) => unsafe { self.run_depthwise(depthwise, &ends, images, parallel)? },
            None => self.run_tiles(&ends, images, parallel)?,
        }
        if let (Some(quantizer), Some(params)) = (&self.of_results, params) {
            let from = (results.cast_const().cast(), out_elements);
            let codes = params.of_codes(y, out_elements);
            // SAFETY: an image's results are a row; they are there, and places for codes and parameters.
            unsafe { quantizer.prepare(from, (images, out_elements), 0..images, codes, parallel) };
        }
        Ok(())
    }

    /// Runs all images by tiles; the parts of the workspace are those of this run, and the codes are there.
    fn run_tiles(&self, ends: &Ends, images: usize, parallel: &dyn Parallel) -> Result<()> {
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(ends.busy, ends.workers) };
        let packed = &self.engine.packed;
        let row_blocks = block_count(self.pixels, packed.mr);
        let copies = images.saturating_mul(self.groups);
        let cut = cut(row_blocks, packed.panels, ends.most_blocks, copies, ends.workers);
        let row_tasks = cut.row_tasks(row_blocks);
        let column_tasks = cut.column_tasks(packed.panels);
        let tasks = size(&[images, self.groups, row_tasks, column_tasks])?;
        each_with_slot(parallel, tasks, &slots, |task, slot| {
            let (column_tasks, row_tasks) = (column_tasks.max(1), row_tasks.max(1));
            let (rest, column_task) = (task / column_tasks, task % column_tasks);
            let (rest, row_task) = (rest / row_tasks, rest % row_tasks);
            let groups = self.groups.max(1);
            let (image, group) = (rest / groups, rest % groups);
            let span = cut.panels * packed.nr;
            let start = column_task * span;
            let columns = start..packed.columns.min(start + span);
            let first = row_task * cut.blocks;
            // SAFETY: image, group, blocks and columns exist; the slot's memory is this task's alone;
            // no two tasks share an output.
            unsafe { self.task(ends, (image, group), (first, cut), columns, slot) }
        });
        Ok(())
    }

    /// Computes some blocks of output pixels, from number `first` on, in some columns of a group.
    ///
    /// # Safety
    /// As written where it is called.
    unsafe fn task(
        &self,
        ends: &Ends,
        (image, group): (usize, usize),
        (first, cut): (usize, Cut),
        columns: Range<usize>,
        slot: usize,
    ) {
        let packed = &self.engine.packed;
        let mr = packed.mr;
        let element = self.output.of_sums().element_size();
        let first_pixel = first * mr;
        let mut blocks = [const { MaybeUninit::<Block>::uninit() }; MAX_BLOCKS];
        let count = block_count(self.pixels.saturating_sub(first_pixel), mr).min(cut.blocks);
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked
        // in `run_raw`.
        unsafe {
            let codes = ends.codes.add(image * self.image);
            let copy = ends.rows.add(slot * packed.k * mr);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            for (b, block) in blocks.iter_mut().enumerate().take(count) {
                let begin = first_pixel + b * mr;
                let rows = self.pixels.saturating_sub(begin).min(mr);
                let memory = ends.blocks.add((slot * ends.most_blocks + b) * ends.block);
                let mut at = [core::ptr::null(); MAX_MR];
                for (r, row) in at.iter_mut().enumerate().take(rows) {
                    let copy = copy.add(r * packed.k);
                    *row = self.taps.gather(codes, group, begin + r, zero_point as u8, copy);
                }
                let row = |r: usize| at.get(r).copied().unwrap_or(core::ptr::null());
                block.write(self.engine.block(memory, rows, row, |_| (zero_point, scale)));
            }
            let (row_stride, column_stride) = match self.taps.layout {
                ImageLayout::Nhwc => (self.out_channels, 1),
                ImageLayout::Nchw => (1, self.pixels),
            };
            let at = image * self.pixels * self.out_channels
                + group * packed.columns * column_stride
                + first_pixel * row_stride;
            let destination = Destination {
                base: ends.y.add(at * element),
                row_stride,
                column_stride,
                residual: ends.residual.wrapping_add(at * self.residual.element_size()),
                residual_row_stride: row_stride,
            };
            let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
            self.engine.multiply(blocks, group, columns, &destination);
        }
    }
}

/// How many groups are packed side by side: the most that divide the groups evenly and whose
/// columns fit into a panel of `nr`.
fn fusion(groups: usize, columns: usize, nr: usize) -> usize {
    let most = nr.checked_div(columns).unwrap_or(1).min(groups).max(1);
    (1..=most).rev().find(|&fused| groups.is_multiple_of(fused)).unwrap_or(1)
}
