//! Convolution: int8 products of the taps under each output pixel with weights packed once.
//!
//! A row of the product is an output pixel, its k-values are the taps in the order [kd, kh, kw, input
//! channel of the group]; they are copied run by run into the block that the tile reads, so that
//! no unfolded copy of the input exists. A tap that falls on padding is the input's zero point, the
//! code of real 0, so borders need no correction.

use crate::memory::Allocator;
use crate::plan::{
    ActivationMode, Bias, EitherEngine, Input, Kind, Output, Quantizer, Residual, Weights,
};
use crate::{Error, Result, Status};
use depthwise::Depthwise;
use fewbit_scheme::Activation;
use fewbit_simd::Supported;
use gather::Gather;
use real_depthwise::RealDepthwise;
use run::Ends;
use taps::Taps;

mod create;
mod depthwise;
mod gather;
mod packed;
mod real;
mod real_depthwise;
mod results;
mod run;
mod shape;
mod slices;
mod taps;
mod tiles;
mod transposed;
mod window;

pub use real::RealConvDesc;

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
    /// `[I, kd, kh, kw, O / groups]`.
    Ihwo,
    /// `[I, O / groups, kd, kh, kw]`: the usual one of transposed convolutions.
    Iohw,
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
    /// The codes, `O * kernel * C / groups` of them, and their parameters. Codes of fewer than 8 bits are packed, those of each
    /// index of the layout's first dimension from a byte on.
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
    engine: EitherEngine<'w>,
    /// What multiplies in the engine's place, if the layer is depthwise.
    depthwise: Option<Depthwise>,
    /// The same of real numbers.
    real_depthwise: Option<RealDepthwise>,
    /// How rows get into the engine's blocks.
    gather: Gather,
    quantizer: Quantizer,
    /// What quantizes the results, where their parameters are chosen in the run.
    of_results: Option<Quantizer>,
    /// What shapes a row's k-values.
    kernel: Kind,
    input: Input,
    output: Output,
    residual: Residual,
    /// Groups as packed: several of the description's, side by side, for each window.
    groups: usize,
    /// Windows of a group.
    phases: usize,
    taps: Taps,
    out_channels: usize,
    /// Bytes of an element that tasks read: a code, or a number that is multiplied as it is.
    unit: usize,
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
        Conv::build(desc, None, None, supported, allocator)
    }

    /// The name of the kernel that multiplies: a tile, or one of depthwise layers.
    pub fn kernel_name(&self) -> &'static str {
        match (&self.depthwise, &self.real_depthwise) {
            (Some(depthwise), _) => depthwise.name(),
            (_, Some(depthwise)) => depthwise.name(),
            _ => self.engine.kernel_name(),
        }
    }

    /// The largest |int32 sum| that any input can give, proven from the weights; of real weights 0.
    pub fn bound(&self) -> i64 {
        self.engine.bound()
    }

    /// Bytes of packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.engine.weight_bytes()
    }

    /// Output depth, height and width.
    pub fn output_dims(&self) -> [usize; 3] {
        self.taps.out_dims
    }

    /// Elements of an input image and of an output image.
    pub fn image_elements(&self) -> (usize, usize) {
        (self.image, self.pixels * self.out_channels)
    }
}

/// The output's sizes, by what an axis gives.
pub(crate) fn output_dims(
    axes: &[ConvAxis; 3],
    output: impl Fn(&ConvAxis) -> Option<usize>,
) -> Result<[usize; 3]> {
    let names = ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"];
    let mut out_dims = [0; 3];
    for ((out, axis), name) in out_dims.iter_mut().zip(axes).zip(names) {
        *out = output(axis).ok_or(
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
    Ok(out_dims)
}
