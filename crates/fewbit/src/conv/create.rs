//! The creation of plans of codes, from weights or from packed ones.

use super::depthwise::Depthwise;
use super::gather::Gather;
use super::shape::{Geometry, Shape};
use super::transposed::Repeated;
use super::{Conv, ConvDesc};
use crate::memory::Allocator;
use crate::plan::{
    EitherEngine, Engine, Layout, Operands, Quantizer, Saved, check_operands, rhs_form,
    saved_format, tile_columns,
};
use crate::{Error, Result, Status};
use fewbit_kernels::gemm::RhsForm;
use fewbit_scheme::IntFormat;
use fewbit_simd::Supported;

impl<'w> Conv<'w> {
    pub(super) fn build(
        desc: &ConvDesc<'_>,
        output_padding: Option<[usize; 3]>,
        packed: Option<&'w [u8]>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        if desc.input.format().bits() < 8 {
            let text = "is of fewer than eight bits, which linear layers and products take";
            return Err(Error::new(Status::Unsupported, "desc.input", text));
        }
        if desc.input.is_per_row() {
            let text = "has parameters that come with the run, which a Gemm takes";
            return Err(Error::new(Status::Unsupported, "desc.input", text));
        }
        if desc.weights.block != 0 && packed.is_none() {
            let text = "is {}, but only linear layers take weights with a scale a block";
            let error = Error::new(Status::Unsupported, "desc.weights.block", text);
            return Err(error.with(desc.weights.block));
        }
        let geometry = Geometry {
            in_channels: desc.in_channels,
            out_channels: desc.out_channels,
            groups: desc.groups,
            axes: desc.axes,
            layout: desc.layout,
            filter_layout: desc.filter_layout,
            output_padding,
        };
        let format = packed.map_or(desc.weights.format, saved_format);
        let rhs = rhs_form(format, &desc.input)?;
        // Where the kernel of depthwise layers multiplies, each channel is a column of one product, of bytes.
        let by_channel = geometry.is_depthwise();
        let rhs = if by_channel { RhsForm::S8 } else { rhs };
        // Small groups are packed side by side, up to a panel's columns, with real zeros where a
        // group's outputs meet another group's inputs: as many products a panel as before, but many
        // groups at once. The codes -1 and +1 have no zero for that.
        let panel = match format {
            IntFormat::B1 => 0,
            _ => tile_columns(rhs, usize::MAX, supported)?,
        };
        let element = desc.output.of_sums().element_size();
        let shape = Shape::new(geometry, panel, by_channel, element)?;
        let layout = Layout::new(rhs, shape.product, supported)?;
        let saved = match packed {
            Some(bytes) => Some(Saved::open(bytes, shape.kind(), &layout)?),
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
        check_operands(&operands, desc.out_channels, shape.k)?;
        let operands = Operands { output: desc.output.of_sums(), ..operands };
        let engine = match &saved {
            Some(saved) => Engine::mapped(&operands, saved, layout, supported, allocator)?,
            None => {
                let unit = format.codes_per_byte();
                shape.check_weights(desc.weights.codes.len(), unit, 1)?;
                let at = |channel: usize, i: usize| shape.at(channel, i, unit);
                match &shape.phases {
                    Some(phases) => {
                        let (span, phases) = (shape.span(), phases.count);
                        let repeated = Repeated::new(&operands, span, phases, allocator)?;
                        let operands = repeated.operands(&operands);
                        Engine::new(&operands, &at, layout, supported, allocator)?
                    }
                    None => Engine::new(&operands, &at, layout, supported, allocator)?,
                }
            }
        };
        let taps = shape.taps();
        Ok(Conv {
            real_depthwise: None,
            depthwise: match by_channel {
                true => Some(Depthwise::new(&engine, &taps, supported, allocator)?),
                false => None,
            },
            quantizer: Quantizer::new(desc.input, engine.packed.form, supported)?,
            of_results: Quantizer::of_output(desc.output, supported)?,
            gather: Gather::new(&engine, supported)?,
            engine: EitherEngine::Codes(engine),
            kernel: shape.kind(),
            input: desc.input,
            output: desc.output,
            residual: desc.residual,
            groups: shape.groups(),
            phases: shape.windows(),
            taps,
            out_channels: desc.out_channels,
            unit: 1,
            image: shape.image,
            pixels: shape.pixels,
        })
    }
}
