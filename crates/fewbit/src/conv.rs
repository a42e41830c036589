//! Convolution: int8 products of the taps under each output pixel with weights packed once.
//!
//! A row of the product is an output pixel, its k-values are the taps in the order [kd, kh, kw, input
//! channel of the group]; they are gathered row by row into the block that the tile reads, so that
//! no unfolded copy of the input exists. A tap that falls on padding is the input's zero point, the
//! code of real 0, so borders need no correction.

use crate::memory::{ALIGNMENT, Allocator};
use crate::plan::{
    Activation, Bias, Carver, Destination, Engine, Input, MemoryRange, Operands, Output, Quantizer,
    Weights, Workspace, block_count, check_operands, check_workspace, forbid_overlap, size,
};
use crate::{Error, Parallel, Result, Status};
use fewbit_simd::Supported;

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
}

/// A planned convolution. Immutable; threads may share it.
pub struct Conv {
    engine: Engine,
    quantizer: Quantizer,
    input: Input,
    output: Output,
    groups: usize,
    /// Input channels of a group.
    group_channels: usize,
    in_channels: usize,
    out_channels: usize,
    axes: [ConvAxis; 3],
    out_dims: [usize; 3],
    layout: ImageLayout,
    /// Elements of an input image.
    image: usize,
    /// Output pixels of an image.
    pixels: usize,
}

#[derive(Clone, Copy)]
struct Ends {
    /// Codes of all images: the caller's, or those in the workspace.
    codes: *const u8,
    y: *mut u8,
    scales: *const f32,
    zero_points: *const i32,
    /// For each worker: a packed block, then a gathered row for each of its rows.
    blocks: *mut u8,
    rows: *mut u8,
    block: usize,
    row: usize,
}
// SAFETY: tasks read codes and parameters, use their worker's block and rows, and write disjoint
// elements of `y`.
unsafe impl Sync for Ends {}

impl Conv {
    /// Packs the weights and chooses kernels. The only call that allocates.
    ///
    /// # Errors
    /// As [`Linear::create`](crate::Linear::create).
    pub fn create(
        desc: &ConvDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv> {
        let ConvDesc { in_channels, out_channels, groups, axes, .. } = *desc;
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
        let operands = Operands {
            weights: desc.weights,
            input: desc.input,
            bias: desc.bias,
            output: desc.output,
            activation: desc.activation,
        };
        check_operands(&operands, out_channels)?;
        let group_channels = in_channels / groups;
        let [kd, kh, kw] = axes.map(|axis| axis.kernel);
        let taps = size(&[kd, kh, kw])?;
        let k = size(&[taps, group_channels])?;
        let needed = size(&[out_channels, k])?;
        if desc.weights.codes.len() < needed {
            return Err(Error::new(
                Status::BufferTooSmall,
                "desc.weights",
                "has {} codes, but needs {}",
            )
            .with(desc.weights.codes.len())
            .with(needed));
        }
        let at = |channel: usize, i: usize| {
            // k-values are [tap][channel]; `Oihw` stores them [channel][tap].
            let i = match (desc.filter_layout, i.checked_div(group_channels)) {
                (FilterLayout::Oihw, Some(tap)) => (i - tap * group_channels) * taps + tap,
                _ => i,
            };
            channel * k + i
        };
        let [sd, sh, sw] = axes.map(|axis| axis.size);
        let [od, oh, ow] = out_dims;
        let image = size(&[sd, sh, sw, in_channels])?;
        let pixels = size(&[od, oh, ow])?;
        size(&[pixels, out_channels, desc.output.element_size()])?;
        let shape = (groups, out_channels / groups, k);
        Ok(Conv {
            engine: Engine::new(&operands, at, shape, supported, allocator)?,
            quantizer: Quantizer::new(desc.input, supported)?,
            input: desc.input,
            output: desc.output,
            groups,
            group_channels,
            in_channels,
            out_channels,
            axes,
            out_dims,
            layout: desc.layout,
            image,
            pixels,
        })
    }

    /// The tile kernel's name.
    pub fn kernel_name(&self) -> &'static str {
        self.engine.packed.tile.name()
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
        self.out_dims
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

    /// The workspace's parts, and the place of the codes of f32 inputs.
    fn carve(
        &self,
        carver: &mut Carver,
        images: usize,
        workers: usize,
    ) -> Result<(Ends, *mut u8, *mut f32, *mut i32)> {
        let overflow =
            Error::new(Status::InvalidArgument, "images", "and max_workers need more than memory");
        let codes =
            if self.input.is_real() { images.checked_mul(self.image).ok_or(overflow)? } else { 0 };
        let dynamic = if self.quantizer.is_dynamic() { images } else { 0 };
        let block = self.engine.block_size().next_multiple_of(ALIGNMENT);
        let row = self.engine.packed.k;
        let rows = row.checked_mul(self.engine.packed.mr).ok_or(overflow)?;
        let workers = workers.max(1);
        let parts = (|| {
            let scales = carver.take::<f32>(dynamic)?;
            let zero_points = carver.take::<i32>(dynamic)?;
            let codes = carver.take::<u8>(codes)?;
            let blocks = carver.take::<u8>(block.checked_mul(workers)?)?;
            let rows = carver.take::<u8>(rows.checked_mul(workers)?)?;
            let y = core::ptr::null_mut();
            let ends = Ends { codes, y, scales, zero_points, blocks, rows, block, row };
            Some((ends, codes, scales, zero_points))
        })();
        parts.ok_or(overflow)
    }

    /// Runs `images` images from slices.
    ///
    /// # Errors
    /// As [`run_raw`](Conv::run_raw), and [`Status::BufferTooSmall`] for the slices.
    pub fn run<X: Copy, Y: Copy>(
        &self,
        images: usize,
        x: &[X],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        let (in_elements, out_elements) = self.image_elements();
        let sides = [
            ("x", x.len(), in_elements, size_of::<X>(), self.input.element_size()),
            ("y", y.len(), out_elements, size_of::<Y>(), self.output.element_size()),
        ];
        for (name, len, elements, given, wanted) in sides {
            if given != wanted || len < size(&[images, elements])? {
                return Err(Error::new(
                    Status::BufferTooSmall,
                    name,
                    "has {} elements, but {} images of {} are needed, in the plan's element type",
                )
                .with(len)
                .with(images)
                .with(elements));
            }
        }
        // SAFETY: both slices hold `images` images of elements of the right size.
        unsafe {
            self.run_raw(
                images,
                x.as_ptr().cast(),
                workspace.as_mut_ptr(),
                workspace.len(),
                parallel,
                y.as_mut_ptr().cast(),
            )
        }
    }

    /// Runs `images` images, input and output without gaps. Results depend neither on the workers nor
    /// on the instruction set.
    ///
    /// # Errors
    /// [`Status::NullPointer`], [`Status::Misaligned`], [`Status::BufferTooSmall`] (workspace),
    /// [`Status::Overlap`], [`Status::InvalidArgument`] (sizes). Nothing is written then.
    ///
    /// # Safety
    /// `x` can be read and `y` written for `images` images, `workspace` written for `workspace_size`
    /// bytes; each unless NULL.
    pub unsafe fn run_raw(
        &self,
        images: usize,
        x: *const u8,
        workspace: *mut u8,
        workspace_size: usize,
        parallel: &dyn Parallel,
        y: *mut u8,
    ) -> Result<()> {
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

        let (mut ends, codes, scales, zero_points) =
            self.carve(&mut Carver::new(workspace), images, workers)?;
        ends.y = y;
        if !self.input.is_real() {
            ends.codes = x;
        }
        // SAFETY: an image is a row of the quantizer's matrix; the parts hold one of each.
        unsafe {
            self.quantizer.prepare(
                (x, self.image),
                (images, self.image),
                0..images,
                (codes, scales, zero_points),
                parallel,
            );
        }
        let blocks = block_count(self.pixels, self.engine.packed.mr);
        parallel.run(images * blocks, &|task, worker| {
            let Some(image) = task.checked_div(blocks) else { return };
            // SAFETY: the image and the block of its pixels exist; `worker < max_workers`, each
            // with memory of its own; no two tasks share an output.
            unsafe { self.block(&ends, image, task - image * blocks, worker) }
        });
        Ok(())
    }

    /// Computes a block of up to `mr` output pixels, all groups.
    ///
    /// # Safety
    /// As written where it is called.
    unsafe fn block(&self, ends: &Ends, image: usize, block: usize, worker: usize) {
        let mr = self.engine.packed.mr;
        let first = block * mr;
        let count = self.pixels.saturating_sub(first).min(mr);
        let element = self.output.element_size();
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked
        // in `run_raw`.
        unsafe {
            let codes = ends.codes.add(image * self.image);
            let memory = ends.blocks.add(worker * ends.block);
            let rows = ends.rows.add(worker * mr * ends.row);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            for group in 0..self.groups {
                for r in 0..count {
                    let row = rows.add(r * ends.row);
                    self.gather(codes, group, first + r, zero_point as u8, row);
                }
                let packed = self.engine.pack(memory, count, |r| {
                    (rows.add(r * ends.row).cast_const(), zero_point, scale)
                });
                let columns = self.engine.packed.columns;
                let channel = group * columns;
                let (pixel_stride, column_stride) = match self.layout {
                    ImageLayout::Nhwc => (self.out_channels, 1),
                    ImageLayout::Nchw => (1, self.pixels),
                };
                let base = image * self.pixels * self.out_channels + channel * column_stride;
                let row = |r: usize| ends.y.add((base + (first + r) * pixel_stride) * element);
                let destination = Destination { row, column_stride };
                self.engine.multiply(&packed, group, 0..columns, &destination);
            }
        }
    }

    /// Gathers the taps under an output pixel: `[kd, kh, kw, channel]` codes of a group.
    ///
    /// # Safety
    /// `codes` is an image; `row` holds k codes; the pixel and the group exist.
    unsafe fn gather(
        &self,
        codes: *const u8,
        group: usize,
        pixel: usize,
        padding: u8,
        mut row: *mut u8,
    ) {
        let [depth, height, width] = self.axes;
        let [_, oh, ow] = self.out_dims;
        let (oh, ow) = (oh.max(1), ow.max(1));
        let (at_w, at_h, at_d) = (pixel % ow, pixel / ow % oh, pixel / ow / oh);
        let channels = self.group_channels;
        // Elements between neighbouring pixels and channels.
        let (pixel_stride, channel_stride) = match self.layout {
            ImageLayout::Nhwc => (self.in_channels, 1),
            ImageLayout::Nchw => (1, depth.size * height.size * width.size),
        };
        let first_channel = group * channels * channel_stride;
        for kd in 0..depth.kernel {
            let d = tap(&depth, at_d, kd);
            for kh in 0..height.kernel {
                let h = tap(&height, at_h, kh);
                for kw in 0..width.kernel {
                    // SAFETY: a tap inside the image is one of its pixels; the row is as long as the
                    // three loops times the channels.
                    unsafe {
                        match (d, h, tap(&width, at_w, kw)) {
                            (Some(d), Some(h), Some(w)) => {
                                let pixel = (d * height.size + h) * width.size + w;
                                let from = codes.add(pixel * pixel_stride + first_channel);
                                if channel_stride == 1 {
                                    from.copy_to_nonoverlapping(row, channels);
                                } else {
                                    for c in 0..channels {
                                        row.add(c).write(from.add(c * channel_stride).read());
                                    }
                                }
                            }
                            _ => row.write_bytes(padding, channels),
                        }
                        row = row.add(channels);
                    }
                }
            }
        }
    }
}

/// The input pixel under a tap of an output pixel, unless it is padding.
fn tap(axis: &ConvAxis, out: usize, k: usize) -> Option<usize> {
    (out * axis.stride + k * axis.dilation)
        .checked_sub(axis.pad_begin)
        .filter(|&pixel| pixel < axis.size)
}
