//! Pooling of 8-bit images: the largest code of each window, or the code of the mean.
//!
//! A layer has nothing to prepare, so there is no plan: a call takes its shape, checks everything, and reads each pixel
//! where it lies. Nothing is padded, copied or allocated; padding is left out of the windows.

use crate::plan::{MemoryRange, check_params, find, forbid_overlap, size, tasks};
use crate::tensor::parts;
use crate::{Code, ConvAxis, Error, ImageLayout, Parallel, Result, Status};
use average::Averaging;
use fewbit_kernels::pool::{MAX_S8, MAX_U8, MaxArgs, MaxFn, Windows};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::{MAX_AVERAGE, MAX_AVERAGE_CODES, QuantParams};
use fewbit_simd::Supported;
use lines::{ACROSS, Lines, Pooling};

mod average;
mod lines;

/// Images and the windows over them.
#[derive(Clone, Copy, Debug)]
pub struct PoolDesc {
    /// Channels, each pooled by itself.
    pub channels: usize,
    /// Depth, height and width. 2-d: the depth is [`ConvAxis::NONE`]; 1-d: the height too.
    pub axes: [ConvAxis; 3],
    /// Layout of input and output, without gaps.
    pub layout: ImageLayout,
    /// Whether the division in [`ConvAxis::output`] is rounded up, so that the last window may reach beyond the padded
    /// input, and that window left out if it begins behind the input, as ONNX and PyTorch have it.
    pub ceil_mode: bool,
    /// The codes, of input and output.
    pub code: Code,
}

/// What an average is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Average {
    /// The numbers, as [`fewbit_scheme::average`]: ONNX Runtime's QLinearAveragePool and QLinearGlobalAveragePool.
    Numbers {
        /// Parameters of the input.
        from: QuantParams,
        /// Parameters of the output.
        to: QuantParams,
        /// Whether padding counts, as real 0. (What a window has beyond the padding never does.)
        count_include_pad: bool,
    },
    /// The codes, which input and output take for the same numbers, in integers only, as
    /// [`fewbit_scheme::average_codes`]; padding does not count: TensorFlow Lite's AVERAGE_POOL_2D.
    Codes,
}

impl PoolDesc {
    /// Whole images of `pixels` pixels, whatever their axes: global pooling, to one output pixel each.
    pub const fn global(
        pixels: usize,
        channels: usize,
        layout: ImageLayout,
        code: Code,
    ) -> PoolDesc {
        let width = ConvAxis { size: pixels, kernel: pixels, ..ConvAxis::NONE };
        let axes = [ConvAxis::NONE, ConvAxis::NONE, width];
        PoolDesc { channels, axes, layout, ceil_mode: false, code }
    }

    /// Output pixels along the axes.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an axis that is wrong, or where the taps do not fit the padded input.
    pub fn output_dims(&self) -> Result<[usize; 3]> {
        crate::conv::output_dims(&self.axes, |axis| output(axis, self.ceil_mode))
    }

    /// Elements of an input image and of an output image.
    ///
    /// # Errors
    /// As [`output_dims`](PoolDesc::output_dims), and [`Status::InvalidArgument`] for more than memory.
    pub fn image_elements(&self) -> Result<(usize, usize)> {
        if self.channels == 0 {
            return Err(Error::new(Status::InvalidArgument, "desc.channels", "is 0"));
        }
        let [d, h, w] = self.axes.map(|axis| axis.size);
        let [od, oh, ow] = self.output_dims()?;
        Ok((size(&[d, h, w, self.channels])?, size(&[od, oh, ow, self.channels])?))
    }

    /// Checks a call's memory, and gives the output's dimensions; `None` if there is nothing to do.
    fn check(&self, images: usize, x: *const u8, y: *const u8) -> Result<Option<[usize; 3]>> {
        let dims = self.output_dims()?;
        let (elements_in, elements_out) = self.image_elements()?;
        let too_many =
            Error::new(Status::InvalidArgument, "images", "is {}: more than memory").with(images);
        let bytes = |elements: usize| size(&[images, elements]).map_err(|_| too_many);
        let (bytes_in, bytes_out) = (bytes(elements_in)?, bytes(elements_out)?);
        if images == 0 {
            return Ok(None);
        }
        for (name, pointer) in [("x", x), ("y", y)] {
            if pointer.is_null() {
                return Err(Error::new(Status::NullPointer, name, "is NULL"));
            }
        }
        let x = MemoryRange::new("x", x, bytes_in);
        forbid_overlap(x, MemoryRange::new("y", y, bytes_out))?;
        Ok(Some(dims))
    }

    /// Checks the lengths of slices.
    fn check_slices(&self, images: usize, x: usize, y: usize) -> Result<()> {
        let (elements_in, elements_out) = self.image_elements()?;
        for (name, len, elements) in [("x", x, elements_in), ("y", y, elements_out)] {
            if len < size(&[images, elements])? {
                let text = "has {} codes, but {} images of {} are needed";
                return Err(Error::new(Status::BufferTooSmall, name, text)
                    .with(len)
                    .with(images)
                    .with(elements));
            }
        }
        Ok(())
    }
}

/// Output pixels along an axis.
fn output(axis: &ConvAxis, ceil_mode: bool) -> Option<usize> {
    let whole = axis.output()?;
    let reach = (axis.kernel - 1).checked_mul(axis.dilation)?.checked_add(1)?;
    let left =
        (axis.size + axis.pad_begin + axis.pad_end).checked_sub(reach)?.checked_rem(axis.stride)?;
    if !ceil_mode {
        return Some(whole);
    }
    // What is left over makes another window; the last one must not begin behind the input.
    let out = whole + usize::from(left > 0);
    let last = (out - 1).checked_mul(axis.stride)?;
    Some(if last < axis.size + axis.pad_begin { out } else { out - 1 })
}

/// Max pooling of `images` images.
///
/// Each output code is the largest code under its window: of the numbers too, as they share parameters. Padding is left
/// out; a window of nothing but padding gives the smallest code. ONNX's MaxPool of 8-bit tensors.
///
/// # Errors
/// As [`max_pool_raw`], and [`Status::BufferTooSmall`] for the slices.
pub fn max_pool(
    desc: &PoolDesc,
    images: usize,
    x: &[u8],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    desc.check_slices(images, x.len(), y.len())?;
    // SAFETY: the slices hold the images.
    unsafe { max_pool_raw(desc, images, x.as_ptr(), y.as_mut_ptr(), parallel, supported) }
}

/// As [`max_pool`], on pointers.
///
/// # Errors
/// [`Status::InvalidArgument`] for the description, or sizes beyond memory; [`Status::NullPointer`] unless there are no
/// images; [`Status::Overlap`].
///
/// # Safety
/// The images at `x` can be read, those at `y` be written.
pub unsafe fn max_pool_raw(
    desc: &PoolDesc,
    images: usize,
    x: *const u8,
    y: *mut u8,
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let Some(out) = desc.check(images, x, y)? else { return Ok(()) };
    let rows = if desc.code.is_unsigned() { MAX_U8 } else { MAX_S8 };
    let pooling = Largest { kernel: find(rows, supported)?, code: desc.code };
    // SAFETY: by this function's contract.
    unsafe { pool(desc, out, images, &pooling, x, y, parallel) };
    Ok(())
}

/// Average pooling of `images` images.
///
/// Sums are exact; [`Average`] says what becomes of them. A window of nothing but padding gives real 0.
///
/// # Errors
/// As [`average_pool_raw`], and [`Status::BufferTooSmall`] for the slices.
pub fn average_pool(
    desc: &PoolDesc,
    average: &Average,
    images: usize,
    x: &[u8],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    desc.check_slices(images, x.len(), y.len())?;
    let (x, y) = (x.as_ptr(), y.as_mut_ptr());
    // SAFETY: the slices hold the images.
    unsafe { average_pool_raw(desc, average, images, x, y, parallel, supported) }
}

/// As [`average_pool`], on pointers.
///
/// # Errors
/// As [`max_pool_raw`]; [`Status::InvalidArgument`] for parameters; [`Status::LimitExceeded`] for windows of more than
/// [`MAX_AVERAGE`] taps, or [`MAX_AVERAGE_CODES`] of [`Average::Codes`].
///
/// # Safety
/// As [`max_pool_raw`].
pub unsafe fn average_pool_raw(
    desc: &PoolDesc,
    average: &Average,
    images: usize,
    x: *const u8,
    y: *mut u8,
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let mut most = MAX_AVERAGE_CODES;
    if let Average::Numbers { from, to, .. } = average {
        check_params(*from, desc.code.format(), "desc.x_params")?;
        check_params(*to, desc.code.format(), "desc.y_params")?;
        most = MAX_AVERAGE;
    }
    let Some(out) = desc.check(images, x, y)? else { return Ok(()) };
    let taps = size(&desc.axes.map(|axis| axis.kernel))?;
    if taps > most {
        let text = "have windows of {} taps, but the sum of more than {} may not fit int32";
        let error = Error::new(Status::LimitExceeded, "desc.axes", text);
        return Err(error.with(taps).with(most));
    }
    let pooling = Averaging::new(*average, desc.code, supported)?;
    // SAFETY: by this function's contract.
    unsafe { pool(desc, out, images, &pooling, x, y, parallel) };
    Ok(())
}

/// Shares the lines of output pixels out among threads.
///
/// # Safety
/// The description was checked; the images can be read and written, and do not overlap.
unsafe fn pool<P: Pooling>(
    desc: &PoolDesc,
    out: [usize; 3],
    images: usize,
    pooling: &P,
    x: *const u8,
    y: *mut u8,
    parallel: &dyn Parallel,
) {
    let lines = Lines::new(desc, out, images, pooling, x, y);
    let parts = parts(lines.elements, lines.count, parallel);
    let each = lines.count.div_ceil(parts);
    tasks::each(parallel, parts, |part| {
        let begin = part.saturating_mul(each).min(lines.count);
        for line in begin..begin.saturating_add(each).min(lines.count) {
            // SAFETY: the line exists, and is this part's alone.
            unsafe { lines.pool(line) }
        }
    });
}

/// Maxima.
struct Largest {
    kernel: Bound<MaxFn>,
    code: Code,
}

/// Codes in a buffer of a few lines' positions.
const POSITIONS: usize = 2048;

impl Pooling for Largest {
    const POSITIONS: usize = POSITIONS;

    unsafe fn windows(&self, windows: &Windows, _counted: usize, dst: *mut u8) {
        // SAFETY: by the contract of `Pooling`.
        unsafe { self.kernel.run()(&MaxArgs { windows: *windows, dst, dst_stride: windows.n }) }
    }

    unsafe fn picked(
        &self,
        positions: &Windows,
        _counted: usize,
        (unit, step, pixels): (usize, usize, usize),
        dst: *mut u8,
    ) {
        let mut codes = core::mem::MaybeUninit::<[u8; POSITIONS]>::uninit();
        let codes = codes.as_mut_ptr().cast::<u8>();
        // SAFETY: by the contract of `Pooling`: the positions fit, and the pixels are among them.
        unsafe {
            self.windows(positions, 0, codes);
            if unit == 1 {
                for pixel in 0..pixels {
                    dst.add(pixel).write(codes.add(pixel * step).read());
                }
                return;
            }
            for pixel in 0..pixels {
                let to = dst.add(pixel * unit);
                for i in 0..unit {
                    to.add(i).write(codes.add(pixel * step + i).read());
                }
            }
        }
    }

    unsafe fn across(&self, runs: [Option<Windows>; 2], _counted: usize, dst: *mut u8) {
        let mut most = self.code.format().qmin();
        for windows in runs.into_iter().flatten() {
            let mut codes = [0; ACROSS];
            // SAFETY: by the contract of `Pooling`, at most as many codes as there is room for.
            unsafe { self.windows(&windows, 0, codes.as_mut_ptr()) };
            // A plain loop over bytes for either sign, which compilers make vectors of.
            let codes = codes.get(..windows.n).unwrap_or_default();
            let largest = match self.code {
                Code::S8 => codes.iter().fold(i8::MIN, |m, &q| m.max(q as i8)) as i32,
                Code::U8 => codes.iter().fold(u8::MIN, |m, &q| m.max(q)) as i32,
            };
            most = most.max(largest);
        }
        // SAFETY: by the contract of `Pooling`.
        unsafe { dst.write(most as u8) }
    }

    unsafe fn nothing(&self, dst: *mut u8, n: usize) {
        // SAFETY: by the contract of `Pooling`.
        unsafe { dst.write_bytes(self.code.format().qmin() as u8, n) }
    }
}
