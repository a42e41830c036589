//! Convolutions of real numbers: f32, f16 or bf16 weights, packed once, and the blocks of rows that meet them.
//!
//! A tap on padding is the number 0, multiplied as any other: a chain is then the same products, whatever rows share a block, and a
//! convolution with padding is one of the image with zeros around it, to the bit.

use super::gather::Gather;
use super::real_depthwise::RealDepthwise;
use super::shape::{Geometry, Shape};
use super::tiles::Part;
use super::transposed::Repeated;
use super::window::Runs;
use super::{Conv, ConvAxis, FilterLayout, ImageLayout};
use crate::memory::Allocator;
use crate::plan::{
    EitherEngine, Form, Input, MAX_BLOCKS, Opened, Output, Quantizer, RealBlock, RealEngine,
    RealLayout, RealOperands, RealWeights, Residual,
};
use crate::{Error, Result, Status};
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use fewbit_scheme::{Activation, RealFormat};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// A convolution of real numbers to plan. Each output is one chain of f32 fused multiply-adds ([`fewbit_scheme::dot`]) in the
/// order of the taps `[kd, kh, kw]`, and of the input channels of each; a tap on padding is the number 0, multiplied as any other.
/// Then bias, residual, activation and the output's type, as those of [`ConvDesc`](super::ConvDesc).
#[derive(Clone, Copy, Debug)]
pub struct RealConvDesc<'a> {
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
    /// The weights, `O * kernel * C / groups` of them.
    pub weights: RealWeights<'a>,
    /// The numbers that are read.
    pub input: RealFormat,
    /// What is added to each output channel: none, or one for each.
    pub bias: &'a [f32],
    /// What is written: not [`Output::S32`], nor [`Output::FixedPoint`].
    pub output: Output,
    /// What is applied before writing.
    pub activation: Activation,
    /// What is added before it, of the result's shape and layout.
    pub residual: Residual,
}

impl<'w> Conv<'w> {
    /// As [`create`](Conv::create), for a convolution of real numbers.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`], [`Status::Unsupported`], [`Status::BufferTooSmall`] (weights),
    /// [`Status::OutOfMemory`].
    pub fn create_real(
        desc: &RealConvDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build_real(desc, None, None, supported, allocator)
    }

    /// As [`create_transposed`](Conv::create_transposed), for a convolution of real numbers. An output's chain has the taps that it
    /// meets, where an input pixel or padding is: the last tap of each axis first, whose input pixel is the first.
    ///
    /// # Errors
    /// As [`create_real`](Conv::create_real) and [`create_transposed`](Conv::create_transposed).
    pub fn create_real_transposed(
        desc: &RealConvDesc<'_>,
        output_padding: [usize; 3],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build_real(desc, Some(output_padding), None, supported, allocator)
    }

    /// As [`create_real`](Conv::create_real), with weights that [`save_packed`](Conv::save_packed) wrote, read where they lie. Of
    /// `desc`, `weights` and `filter_layout` are not used: the format is that of the weights.
    ///
    /// # Errors
    /// As [`create_packed`](Conv::create_packed).
    pub fn create_real_packed(
        desc: &RealConvDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build_real(desc, None, Some(packed), supported, allocator)
    }

    fn build_real(
        desc: &RealConvDesc<'_>,
        output_padding: Option<[usize; 3]>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        let geometry = Geometry {
            in_channels: desc.in_channels,
            out_channels: desc.out_channels,
            groups: desc.groups,
            axes: desc.axes,
            layout: desc.layout,
            filter_layout: desc.filter_layout,
            output_padding,
        };
        let (input, output) = (Input::Real(desc.input), desc.output);
        let element = output.of_sums().element_size().max(desc.input.size());
        // Groups have a product each: side by side, zeros that stand between them would be multiplied too, with infinities.
        // But where the kernel of depthwise layers multiplies, each channel is a column of one product.
        let by_channel = geometry.is_depthwise_by_pixels();
        let shape = Shape::new(geometry, 0, by_channel, element)?;
        let saved = match packed {
            Some(bytes) => Some(Opened::open(bytes)?),
            None => None,
        };
        let form = match &saved {
            Some(saved) => Form::saved(saved)?,
            None => Form::of(&desc.weights, None, 0),
        };
        let (name, numbers) = match &saved {
            Some(_) => ("packed", matches!(form, Form::Numbers(_))),
            None => ("desc.weights.dtype", desc.weights.are_numbers()),
        };
        if !numbers {
            let text = "is of codes that stand for numbers, which only linear layers decode";
            return Err(Error::new(Status::Unsupported, name, text));
        }
        let layout = RealLayout::new(form, shape.product, supported)?;
        let described = RealOperands {
            input: desc.input,
            bias: desc.bias,
            output,
            activation: desc.activation,
            residual: desc.residual,
        };
        let operands = described.check(desc.out_channels)?;
        let engine = match &saved {
            Some(saved) => {
                let panels = saved.panels(&layout.head(shape.kind()))?;
                RealEngine::mapped(&operands, panels, layout, supported, allocator)?
            }
            None => {
                let weights = (desc.weights, None);
                shape.check_weights(desc.weights.len(), 1, desc.weights.unit().1)?;
                let at = |channel: usize, i: usize| shape.at(channel, i, 1);
                match &shape.phases {
                    Some(phases) => {
                        let (span, phases) = (shape.span(), phases.count);
                        let repeated = Repeated::new(&operands, span, phases, allocator)?;
                        let operands = repeated.operands(&operands);
                        RealEngine::new(&operands, weights, &at, layout, supported, allocator)?
                    }
                    None => RealEngine::new(&operands, weights, &at, layout, supported, allocator)?,
                }
            }
        };
        let taps = shape.taps();
        Ok(Conv {
            depthwise: None,
            real_depthwise: match by_channel {
                true => Some(RealDepthwise::new(&engine, desc.input, supported, allocator)?),
                false => None,
            },
            // Of no codes: it does nothing.
            quantizer: Quantizer::new(input, LhsForm::S8, supported)?,
            of_results: Quantizer::of_output(output, supported)?,
            gather: Gather::real(&engine, desc.input, supported)?,
            engine: EitherEngine::Real(engine),
            kernel: shape.kind(),
            input,
            output,
            residual: desc.residual,
            groups: shape.groups(),
            phases: shape.windows(),
            taps,
            out_channels: desc.out_channels,
            unit: desc.input.size(),
            image: shape.image,
            pixels: shape.pixels,
        })
    }

    /// Makes blocks of a task's pixels, the first ones of `blocks`, and gives their number.
    ///
    /// # Safety
    /// The pixels and their taps exist; the task's memory is its own.
    pub(super) unsafe fn real_blocks(
        &self,
        engine: &RealEngine<'_>,
        part: &Part<'_>,
        blocks: &mut [MaybeUninit<RealBlock>; MAX_BLOCKS],
    ) -> usize {
        let Part { window, source, first_pixel, pixels, .. } = *part;
        let (k, pointwise) = (window.taps() * self.taps.group_channels, window.is_pointwise());
        let direct = engine.is_direct() && part.few_panels;
        let split = engine.split(pixels);
        let (mut place, mut count) = (part.from, 0);
        // SAFETY: by this function's contract: places within the workspace's parts and the images.
        unsafe {
            let mut runs = Runs::new(part.runs, self.gather.bytes);
            for (b, block) in blocks.iter_mut().enumerate() {
                let of_block = split(b);
                if of_block.start >= pixels {
                    break;
                }
                let rows = of_block.len();
                let to = part.rows.add(b * part.block);
                let made = if pointwise {
                    let first = (first_pixel + of_block.start) * source.pixel_stride;
                    let first = source.codes.wrapping_add(first);
                    let to = if direct { null_mut() } else { to };
                    engine.block(to, (rows, k), (first, source.pixel_stride))
                } else {
                    let row_stride = match self.gather.by_copies {
                        true => k * self.unit,
                        false => self.gather.row_stride,
                    };
                    let lines = window.all_lines();
                    window.collect(&source, (&mut place, rows), lines, row_stride, &mut runs);
                    if self.gather.by_copies {
                        self.gather.run(&runs, part.copies);
                        let copies = part.copies.cast_const();
                        engine.block(to, (rows, k), (copies, row_stride))
                    } else {
                        self.gather.run(&runs, to);
                        engine.block(null_mut(), (rows, k), (to, row_stride))
                    }
                };
                block.write(made);
                count += 1;
            }
        }
        count
    }
}
