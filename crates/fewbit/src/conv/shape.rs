//! What a convolution is as a product: its groups, columns and k-values as they are packed, and where a description has the
//! weight of each.

use super::taps::Taps;
use super::tiles::fusion;
use super::transposed::{self, Phases};
use super::{ConvAxis, FilterLayout, ImageLayout, output_dims};
use crate::plan::{Kind, size};
use crate::{Error, Result, Status};

/// What descriptions of codes and of numbers have in common.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub in_channels: usize,
    pub out_channels: usize,
    pub groups: usize,
    pub axes: [ConvAxis; 3],
    pub layout: ImageLayout,
    pub filter_layout: FilterLayout,
    /// Of a transposed convolution.
    pub output_padding: Option<[usize; 3]>,
}

impl Geometry {
    /// Whether each input channel has output channels of its own, and is not transposed.
    pub(super) fn is_depthwise(&self) -> bool {
        self.output_padding.is_none() && self.groups > 1 && self.in_channels == self.groups
    }

    /// Whether neighbouring outputs are, besides, of neighbouring inputs: with one output a channel, and channels innermost.
    pub(super) fn is_depthwise_by_pixels(&self) -> bool {
        let by_pixels = self.layout == ImageLayout::Nhwc && self.out_channels == self.in_channels;
        by_pixels && self.is_depthwise()
    }
}

/// A convolution as packed products.
pub(super) struct Shape {
    geometry: Geometry,
    pub out_dims: [usize; 3],
    /// Products of an output.
    pub k: usize,
    /// Groups (the description's, or several of them side by side; times phases), columns of each, and k, as packed.
    pub product: (usize, usize, usize),
    /// A transposed one is so many side by side; see transposed.rs.
    pub phases: Option<Phases>,
    /// Whether each output channel is a column of one product, and k its taps.
    by_channel: bool,
    /// Taps of an output.
    taps: usize,
    /// Channels of a group, as described.
    inputs: usize,
    outputs: usize,
    /// Groups side by side.
    fused: usize,
    /// Elements of an input image, and output pixels.
    pub image: usize,
    pub pixels: usize,
}

impl Shape {
    /// Of elements of up to `element` bytes, where small groups may share panels of `panel` columns, or have a product each;
    /// `by_channel` as described at the field.
    pub(super) fn new(
        geometry: Geometry,
        panel: usize,
        by_channel: bool,
        element: usize,
    ) -> Result<Shape> {
        let Geometry { in_channels, out_channels, groups, axes, .. } = geometry;
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
        let out_dims = match geometry.output_padding {
            Some(padding) => transposed::output_dims(&axes, padding)?,
            None => output_dims(&axes, ConvAxis::output)?,
        };
        let taps = size(&axes.map(|axis| axis.kernel))?;
        let (inputs, outputs) = (in_channels / groups, out_channels / groups);
        let k = size(&[taps, inputs])?;
        let fused = fusion(groups, outputs, panel);
        let fused_inputs = size(&[inputs, fused])?;
        let phases = match geometry.output_padding {
            Some(_) => Some(Phases::new(&axes)?),
            None => None,
        };
        let (count, most_taps) = match &phases {
            Some(phases) => (phases.count, phases.most_taps),
            None => (1, taps),
        };
        let [sd, sh, sw] = axes.map(|axis| axis.size);
        let [od, oh, ow] = out_dims;
        let image = size(&[sd, sh, sw, in_channels])?;
        let pixels = size(&[od, oh, ow])?;
        size(&[image, element])?;
        size(&[pixels, out_channels, element])?;
        let product = match by_channel {
            true => (1, out_channels, taps),
            false => {
                let groups = groups.checked_div(fused).unwrap_or(0);
                let k = size(&[most_taps, fused_inputs])?;
                (size(&[groups, count])?, outputs * fused, k)
            }
        };
        Ok(Shape {
            geometry,
            out_dims,
            k,
            product,
            phases,
            by_channel,
            taps,
            inputs,
            outputs,
            fused,
            image,
            pixels,
        })
    }

    /// What saved weights tell of it.
    pub(super) fn kind(&self) -> Kind {
        let [kd, kh, kw] = self.geometry.axes.map(|axis| axis.kernel);
        Kind::Conv([kd, kh, kw, self.inputs])
    }

    /// Windows of a group.
    pub(super) fn windows(&self) -> usize {
        self.phases.as_ref().map_or(1, |phases| phases.count)
    }

    /// Columns of a window of a group, as packed.
    pub(super) fn span(&self) -> usize {
        self.outputs * self.fused
    }

    /// Groups of products that have a window each.
    pub(super) fn groups(&self) -> usize {
        self.product.0
    }

    /// Which taps lie under an output pixel.
    pub(super) fn taps(&self) -> Taps {
        Taps {
            axes: self.geometry.axes,
            out_dims: self.out_dims,
            layout: self.geometry.layout,
            in_channels: self.geometry.in_channels,
            group_channels: self.inputs * self.fused,
            transposed: self.phases.is_some(),
        }
    }

    /// Rows of the description's weights, which begin with a unit of `unit` weights, and the weights of each.
    fn rows(&self) -> (usize, usize) {
        match self.geometry.filter_layout {
            FilterLayout::Ohwi | FilterLayout::Oihw => (self.geometry.out_channels, self.k),
            FilterLayout::Ihwo | FilterLayout::Iohw => {
                (self.geometry.in_channels, self.taps * self.outputs)
            }
        }
    }

    /// Refuses fewer than all weights, of which `unit` lie in `bytes` bytes; `len` of these are given.
    pub(super) fn check_weights(&self, len: usize, unit: usize, bytes: usize) -> Result<()> {
        let (rows, row) = self.rows();
        let stride = row.next_multiple_of(unit.max(1));
        let all = size(&[rows.saturating_sub(1), stride])?.saturating_add(row);
        let needed = all.div_ceil(unit.max(1));
        if len < needed {
            return Err(Error::new(
                Status::BufferTooSmall,
                "desc.weights.data",
                "has {} bytes, but needs {}",
            )
            .with(len.saturating_mul(bytes))
            .with(needed.saturating_mul(bytes)));
        }
        Ok(())
    }

    /// Where the description has the weight of a group's output column, input channel and tap.
    fn stored(
        &self,
        (group, column): (usize, usize),
        input: usize,
        tap: usize,
        unit: usize,
    ) -> usize {
        let (_, row) = self.rows();
        let stride = row.next_multiple_of(unit);
        let out = (group * self.outputs + column) * stride;
        let from = (group * self.inputs + input) * stride;
        match self.geometry.filter_layout {
            FilterLayout::Ohwi => out + tap * self.inputs + input,
            FilterLayout::Oihw => out + input * self.taps + tap,
            FilterLayout::Ihwo => from + tap * self.outputs + column,
            FilterLayout::Iohw => from + column * self.taps + tap,
        }
    }

    /// Where the description has weight number `i` of a channel, as packed; `None` for a real 0. Rows of weights begin with a unit
    /// of `unit` of them.
    pub(super) fn at(&self, channel: usize, i: usize, unit: usize) -> Option<usize> {
        let (columns, fused, unit) = (self.outputs, self.fused, unit.max(1));
        if self.by_channel {
            // One input channel a group.
            let group = channel.checked_div(columns)?;
            return Some(self.stored((group, channel - group * columns), 0, i, unit));
        }
        let fused_inputs = self.inputs * fused;
        let tap = i.checked_div(fused_inputs)?;
        let within = i - tap * fused_inputs;
        let member = within.checked_div(self.inputs)?;
        let input = within - member * self.inputs;
        // Channels are [packed group][phase][group][output].
        let column = channel.checked_rem(columns)?;
        let rest = channel.checked_div(columns)?;
        let (rest, own) = (rest.checked_div(fused)?, rest.checked_rem(fused)?);
        let group = rest.checked_div(self.windows())? * fused + own;
        let tap = match &self.phases {
            Some(phases) => phases.tap(rest.checked_rem(phases.count)?, tap)?,
            None => tap,
        };
        (member == own).then_some(self.stored((group, column), input, tap, unit))
    }
}
