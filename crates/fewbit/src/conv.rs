//! Convolution: int8 products of the taps under each output pixel with weights packed once.
//!
//! A row of the product is an output pixel, its k-values are the taps in the order [kd, kh, kw, input
//! channel of the group]; they are copied run by run into the block that the tile reads, so that
//! no unfolded copy of the input exists. A tap that falls on padding is the input's zero point, the
//! code of real 0, so borders need no correction.

use crate::memory::Allocator;
use crate::plan::{
    ActivationMode, Bias, Engine, Input, Kind, Layout, Operands, Output, Quantizer, Residual,
    Saved, Weights, check_operands, rhs_form, size, tile_columns,
};
use crate::{Error, Result, Status};
use depthwise::Depthwise;
use fewbit_scheme::{Activation, IntFormat};
use fewbit_simd::Supported;
use run::Ends;
use taps::Taps;
use tiles::{Gather, fusion};
use transposed::{Phases, Repeated};

mod depthwise;
mod packed;
mod results;
mod run;
mod slices;
mod taps;
mod tiles;
mod transposed;
mod window;

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

    pub(super) fn build(
        desc: &ConvDesc<'_>,
        output_padding: Option<[usize; 3]>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        let ConvDesc { in_channels, out_channels, groups, axes, .. } = *desc;
        if desc.input.format().bits() < 8 {
            let text = "is of fewer than eight bits, which linear layers and products take";
            return Err(Error::new(Status::Unsupported, "desc.input", text));
        }
        if desc.input.is_per_row() {
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
        let out_dims = match output_padding {
            Some(padding) => transposed::output_dims(&axes, padding)?,
            None => output_dims(&axes, ConvAxis::output)?,
        };
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
        // Packed weights are checked below, against the layout of bytes.
        let format = packed.map_or(desc.weights.format, |_| IntFormat::S8);
        if format.bits() < 8 {
            let text = "has codes of fewer than 8 bits, which only linear layers take";
            return Err(Error::new(Status::Unsupported, "desc.weights", text));
        }
        let rhs = rhs_form(format, &desc.input)?;
        let fused = fusion(groups, columns, tile_columns(rhs, usize::MAX, supported)?);
        // Where the kernel of depthwise layers multiplies, each channel is a column of one product.
        let by_channel = output_padding.is_none() && groups > 1 && in_channels == groups;
        let fused_channels = size(&[group_channels, fused])?;
        // A transposed one is `phases` side by side; see transposed.rs.
        let transposed = match output_padding {
            Some(_) => Some(Phases::new(&axes)?),
            None => None,
        };
        let phases = transposed.as_ref().map_or(1, |phases| phases.count);
        let packed_taps = transposed.as_ref().map_or(taps, |phases| phases.most_taps);
        // Where the description has the weight of a group's output column, input channel and tap.
        let stored = |(group, column): (usize, usize), input: usize, tap: usize| {
            let (out, input_channel) = (group * columns + column, group * group_channels + input);
            match desc.filter_layout {
                FilterLayout::Ohwi => (out * taps + tap) * group_channels + input,
                FilterLayout::Oihw => (out * group_channels + input) * taps + tap,
                FilterLayout::Ihwo => (input_channel * taps + tap) * columns + column,
                FilterLayout::Iohw => (input_channel * columns + column) * taps + tap,
            }
        };
        let at = |channel: usize, i: usize| {
            if by_channel {
                // One input channel a group.
                let group = channel.checked_div(columns)?;
                return Some(stored((group, channel - group * columns), 0, i));
            }
            let tap = i.checked_div(fused_channels)?;
            let within = i - tap * fused_channels;
            let member = within.checked_div(group_channels)?;
            let input = within - member * group_channels;
            // Channels are [packed group][phase][group][output].
            let column = channel.checked_rem(columns)?;
            let rest = channel.checked_div(columns)?;
            let (rest, own) = (rest.checked_div(fused)?, rest.checked_rem(fused)?);
            let group = rest.checked_div(phases)? * fused + own;
            let tap = match &transposed {
                Some(phases) => phases.tap(rest.checked_rem(phases.count)?, tap)?,
                None => tap,
            };
            (member == own).then_some(stored((group, column), input, tap))
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
            let parts = size(&[groups, phases])?;
            (parts, (parts, columns * fused, size(&[packed_taps, fused_channels])?))
        };
        let kernel = Kind::Conv([kd, kh, kw, group_channels]);
        let layout = Layout::new(rhs, shape, supported)?;
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
                match &transposed {
                    Some(phases) => {
                        let (span, phases) = (columns * fused, phases.count);
                        let repeated = Repeated::new(&operands, span, phases, allocator)?;
                        let operands = repeated.operands(&operands);
                        Engine::new(&operands, at, shape, supported, allocator)?
                    }
                    None => Engine::new(&operands, at, shape, supported, allocator)?,
                }
            }
        };
        let geometry = Taps {
            axes,
            out_dims,
            layout: desc.layout,
            in_channels,
            group_channels: fused_channels,
            transposed: transposed.is_some(),
        };
        let depthwise = match by_channel {
            true => Some(Depthwise::new(&engine, &geometry, supported, allocator)?),
            false => None,
        };
        Ok(Conv {
            depthwise,
            quantizer: Quantizer::new(desc.input, engine.packed.form, supported)?,
            of_results: Quantizer::of_output(desc.output, supported)?,
            gather: Gather::new(&engine, supported)?,
            engine,
            kernel,
            input: desc.input,
            output: desc.output,
            residual: desc.residual,
            groups,
            phases,
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
