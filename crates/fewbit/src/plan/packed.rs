//! Weights packed for a tile, with what the zero points of both sides need.

use super::codes::read;
use super::columns::Columns;
use super::saved::Saved;
use super::{Bias, DynamicSpec, Input, Operands};
use crate::memory::{Allocator, Buffer, Plain};
use crate::{Error, Result, Status};
use fewbit_kernels::gemm::{
    self, MAX_NR, RhsForm, Tile, TileFn, code_shift_lhs, code_shift_rhs, pack_rhs,
};
use fewbit_kernels::registry::{self, Bound};
use fewbit_scheme::{IntFormat, Scheme};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// Packed codes: the plan's own, or the caller's.
enum Codes<'w> {
    Own(Buffer<i8>),
    Mapped(&'w [i8]),
}

impl Codes<'_> {
    fn as_slice(&self) -> &[i8] {
        match self {
            Codes::Own(codes) => codes.as_slice(),
            Codes::Mapped(codes) => codes,
        }
    }
}

/// Packed weights of `groups` independent products that share k and the number of columns.
pub(crate) struct Packed<'w> {
    pub tile: Bound<TileFn>,
    pub mr: usize,
    pub nr: usize,
    pub form: LhsForm,
    /// Bytes of a column's group.
    rhs_bytes: usize,
    /// What was added to the weights' codes.
    shift: i32,
    /// Whether the lhs codes are within those of four bits, as they are packed.
    pub narrow: bool,
    pub k: usize,
    /// Output channels of a group.
    pub columns: usize,
    /// Panels of a group.
    pub panels: usize,
    pub groups: usize,
    /// The weights' format before they were packed.
    pub format: IntFormat,
    /// Each channel's scale, and Σ_k |w - zw|; for [`save`](super::saved::save).
    pub scales: Buffer<f32>,
    pub magnitudes: Buffer<i64>,
    /// `[groups][panels]` panels.
    codes: Codes<'w>,
    /// `[groups][panels][nr]` each, as [`fewbit_kernels::gemm::TileArgs`] wants them.
    zero: Buffer<i32>,
    fold: Buffer<i32>,
    start: Buffer<i32>,
    /// Whether a column's zero point is other than 0 in the packed form: then rows need their sums.
    pub has_zero: bool,
    /// The lhs zero point, in the packed form, that `start` includes; rows may add to it.
    pub shared_zero: i32,
    /// The largest |sum| that any input can give, over all outputs.
    pub bound: i64,
}

/// The size of a product, or an error that names the weights.
pub(crate) fn size(factors: &[usize]) -> Result<usize> {
    factors
        .iter()
        .try_fold(1usize, |product, &factor| product.checked_mul(factor))
        .filter(|&product| product <= isize::MAX as usize)
        .ok_or(Error::new(Status::InvalidArgument, "desc", "describes a size beyond memory"))
}

const NO_KERNEL: Error = Error::new(Status::Internal, "plan", "found no kernel");

/// Columns of a panel of the best tile for products of so many columns.
pub(crate) fn tile_columns(rhs: RhsForm, columns: usize, supported: Supported) -> Result<usize> {
    let tile = gemm::select(rhs, supported.set(), columns);
    tile.map(|tile| tile.nr).ok_or(NO_KERNEL)
}

/// How weights of a shape are packed on a CPU.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub tile: &'static Tile,
    pub groups: usize,
    /// Output channels of a group.
    pub columns: usize,
    pub k: usize,
    /// Output channels of all groups.
    pub channels: usize,
    /// Panels of a group.
    pub panels: usize,
    /// Bytes of a panel.
    panel: usize,
    /// Bytes of all panels.
    pub codes: usize,
    /// Columns of all panels.
    padded: usize,
}

impl Layout {
    /// The layout for `groups` products of `k` by `columns` weights.
    pub(crate) fn new(
        rhs: RhsForm,
        (groups, columns, k): (usize, usize, usize),
        supported: Supported,
    ) -> Result<Layout> {
        let tile = gemm::select(rhs, supported.set(), columns).ok_or(NO_KERNEL)?;
        let (nr, kr) = (tile.nr, tile.lhs.kr());
        let panels = columns.div_ceil(nr.max(1));
        let panel = size(&[k.div_ceil(kr.max(1)), nr, tile.rhs_bytes()])?;
        Ok(Layout {
            tile,
            groups,
            columns,
            k,
            channels: size(&[groups, columns])?,
            panels,
            panel,
            codes: size(&[groups, panels, panel])?,
            padded: size(&[groups, panels, nr])?,
        })
    }
}

impl<'w> Packed<'w> {
    /// Packs the output channels of a layout; `at(channel, i)` is the index of a weight's code, or `None` for a real 0.
    pub(crate) fn new(
        operands: &Operands<'_>,
        at: &dyn Fn(usize, usize) -> Option<usize>,
        layout: Layout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Packed<'w>> {
        let weights = &operands.weights;
        let Layout { groups, columns, k, .. } = layout;
        let mut codes = Buffer::zeroed(layout.codes, allocator, "desc.weights")?;
        let shift = code_shift_rhs(layout.tile.rhs, weights.format.qmin());
        let code = |channel: usize, i: usize| {
            let index = at(channel, i);
            let code = index.and_then(|index| read(weights.format, weights.codes, index));
            code.unwrap_or_else(|| weights.zero_point(channel))
        };
        let mut packed = Packed::empty(operands, layout, supported, allocator)?;
        let (nr, panels) = (packed.nr, packed.panels);
        let mut sums = [0; MAX_NR];
        for group in 0..groups {
            for panel in 0..panels {
                let slot = group * panels + panel;
                let first = panel * nr;
                let count = columns.saturating_sub(first).min(nr);
                let channel = group * columns + first;
                let to = codes.as_mut_slice().get_mut(slot * layout.panel..).unwrap_or_default();
                let to = to.get_mut(..layout.panel).unwrap_or_default();
                pack_rhs(|c, i| code(channel + c, i) + shift, count, k, layout.tile, to, &mut sums);
                for (column, &sum) in sums.iter().enumerate().take(count) {
                    let channel = channel + column;
                    let zero_point = weights.zero_point(channel);
                    let magnitude =
                        (0..k).map(|i| (code(channel, i) - zero_point).unsigned_abs() as i64).sum();
                    packed.set_channel(operands, channel, slot * nr + column, (sum, magnitude));
                }
            }
        }
        packed.codes = Codes::Own(codes);
        packed.proven()
    }

    /// Weights that were packed before; the operands have their scales and zero points.
    pub(crate) fn mapped(
        operands: &Operands<'_>,
        saved: &Saved<'w>,
        layout: Layout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Packed<'w>> {
        let mut packed = Packed::empty(operands, layout, supported, allocator)?;
        let columns = packed.columns.max(1);
        let channels = saved.sums.iter().zip(saved.magnitudes).enumerate();
        for (channel, (&sum, &magnitude)) in channels {
            let index = packed.slot(channel / columns, 0) + channel % columns;
            packed.set_channel(operands, channel, index, (sum, magnitude));
        }
        packed.codes = Codes::Mapped(saved.codes);
        packed.proven()
    }

    /// All but the codes and the channels' values.
    fn empty(
        operands: &Operands<'_>,
        layout: Layout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Packed<'w>> {
        let Operands { weights, input, .. } = operands;
        let (tile, padded, channels) = (layout.tile, layout.padded, layout.channels);
        Ok(Packed {
            tile: registry::bind(&tile.row, supported).ok_or(NO_KERNEL)?,
            mr: tile.mr,
            nr: tile.nr,
            form: tile.lhs,
            rhs_bytes: tile.rhs_bytes(),
            shift: code_shift_rhs(tile.rhs, weights.format.qmin()),
            narrow: input.is_of_four_bits() && code_shift_lhs(false, tile.lhs) == 0,
            k: layout.k,
            columns: layout.columns,
            panels: layout.panels,
            groups: layout.groups,
            format: weights.format,
            scales: Buffer::zeroed(channels, allocator, "desc.weights.scales")?,
            magnitudes: Buffer::zeroed(channels, allocator, "desc.weights")?,
            codes: Codes::Mapped(&[]),
            zero: Buffer::zeroed(padded, allocator, "desc.weights.zero_points")?,
            fold: Buffer::zeroed(padded, allocator, "desc.weights")?,
            start: Buffer::zeroed(padded, allocator, "desc.bias")?,
            has_zero: false,
            shared_zero: code_shift_lhs(input.code().is_unsigned(), tile.lhs)
                + input.fixed_params().map_or(0, |params| params.zero_point),
            bound: 0,
        })
    }

    /// What a channel, at an index of the padded arrays, has beside its codes: from the sum of its packed codes and
    /// from Σ |w - zw|.
    fn set_channel(
        &mut self,
        operands: &Operands<'_>,
        channel: usize,
        index: usize,
        (sum, magnitude): (i32, i64),
    ) {
        let Operands { weights, input, bias, .. } = operands;
        let extra = match bias {
            Bias::S32(bias) => bias.get(channel).copied().unwrap_or(0),
            _ => 0,
        };
        let bound = magnitude
            .saturating_mul(worst_difference(input))
            .saturating_add(extra.unsigned_abs() as i64);
        self.bound = self.bound.max(bound);
        let zero = weights.zero_point(channel) + self.shift;
        let fold = (self.k as i32).wrapping_mul(zero).wrapping_sub(sum);
        self.has_zero |= zero != 0;
        set(&mut self.zero, index, zero);
        set(&mut self.fold, index, fold);
        set(&mut self.start, index, extra.wrapping_add(self.shared_zero.wrapping_mul(fold)));
        set(&mut self.scales, channel, weights.scale(channel));
        set(&mut self.magnitudes, channel, magnitude);
    }

    /// The weights, if no sum can leave int32.
    fn proven(self) -> Result<Packed<'w>> {
        if self.bound > i32::MAX as i64 {
            return Err(Error::new(
                Status::LimitExceeded,
                "desc.weights",
                "allow a sum of {}, which does not fit int32 ({}): fewer input features, smaller \
                 weights or a smaller bias are needed",
            )
            .with(self.bound)
            .with(i32::MAX));
        }
        Ok(self)
    }

    /// The packed codes of all panels.
    pub(crate) fn codes(&self) -> &[i8] {
        self.codes.as_slice()
    }

    /// The zero point of all columns in the packed form, padding included, if there is one other than 0.
    pub(crate) fn shared_weight_zero(&self) -> Option<i32> {
        let (&first, others) = self.zero.as_slice().split_first()?;
        (first != 0 && others.iter().all(|&zero| zero == first)).then_some(first)
    }

    /// A channel's zero point as it was given, and the sum of its packed codes.
    pub(crate) fn channel(&self, channel: usize) -> (i32, i32) {
        let columns = self.columns.max(1);
        let index = self.slot(channel / columns, 0) + channel % columns;
        let get = |values: &Buffer<i32>| values.as_slice().get(index).copied().unwrap_or(0);
        let zero = get(&self.zero);
        let sum = (self.k as i32).wrapping_mul(zero).wrapping_sub(get(&self.fold));
        (zero - self.shift, sum)
    }

    /// An 8-bit weight of the only group less its zero point: within -255 and 255.
    pub(crate) fn difference(&self, column: usize, i: usize) -> i32 {
        let (nr, kr) = (self.nr.max(1), self.form.kr().max(1));
        let group = column / nr * self.k_groups() + i / kr;
        let index = (group * nr + column % nr) * kr + i % kr;
        let code = self.codes().get(index).copied().unwrap_or(0);
        i32::from(code) - self.zero.as_slice().get(column).copied().unwrap_or(0)
    }

    /// What the sums of the only group's columns from `first` on start with, where codes are multiplied as they are and have
    /// this zero point.
    pub(crate) fn starts(&self, first: usize, zero_point: i32, to: &mut [i32]) {
        let beyond = zero_point.wrapping_sub(self.shared_zero);
        let [start, fold] = [&self.start, &self.fold]
            .map(|values| values.as_slice().get(first..).unwrap_or_default());
        for ((to, &start), &fold) in to.iter_mut().zip(start).zip(fold) {
            *to = start.wrapping_add(beyond.wrapping_mul(fold));
        }
    }

    /// Whether the tile reads rows interleaved, and no others: that of `smmla`, of bytes.
    pub(crate) fn is_interleaved(&self) -> bool {
        self.form == LhsForm::S8x8 && self.rhs_bytes == self.form.kr()
    }

    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.codes.as_slice().len()
    }

    /// Bytes of a panel's group.
    pub(crate) fn group_bytes(&self) -> usize {
        self.nr * self.rhs_bytes
    }

    /// k-groups of a panel.
    pub(crate) fn k_groups(&self) -> usize {
        self.form.groups(self.k)
    }

    /// Index of a panel's first column in arrays padded to whole panels.
    pub(crate) fn slot(&self, group: usize, panel: usize) -> usize {
        (group * self.panels + panel) * self.nr
    }

    /// Where channels are in arrays padded to whole panels.
    pub(crate) fn map(&self) -> Columns {
        let Packed { groups, columns, panels, nr, .. } = *self;
        Columns { groups, columns, panels, nr }
    }

    /// The right side of a tile.
    pub(crate) fn panel(&self, group: usize, panel: usize) -> Panel {
        let slot = self.slot(group, panel);
        let codes = slot * self.k_groups() * self.rhs_bytes;
        let zero = self.zero.as_slice().as_ptr().wrapping_add(slot);
        Panel {
            codes: self.codes.as_slice().as_ptr().wrapping_add(codes),
            zero: if self.has_zero { zero } else { core::ptr::null() },
            fold: self.fold.as_slice().as_ptr().wrapping_add(slot),
            start: self.start.as_slice().as_ptr().wrapping_add(slot),
        }
    }
}

/// A panel's codes and what [`fewbit_kernels::gemm::TileArgs`] wants of its columns.
pub(crate) struct Panel {
    pub codes: *const i8,
    pub zero: *const i32,
    pub fold: *const i32,
    pub start: *const i32,
}

fn set<T: Plain>(values: &mut Buffer<T>, index: usize, to: T) {
    if let Some(value) = values.as_mut_slice().get_mut(index) {
        *value = to;
    }
}

/// The largest |a - za| that an input can have.
fn worst_difference(input: &Input) -> i64 {
    let format = input.format();
    let (qmin, qmax) = (format.qmin() as i64, format.qmax() as i64);
    match *input {
        Input::Codes(_, params) | Input::Packed(_, params) | Input::Static(_, _, params) => {
            let zero_point = params.zero_point as i64;
            (qmax - zero_point).max(zero_point - qmin)
        }
        // These have no zero point but 0.
        Input::PackedPerRow(IntFormat::B1) => 1,
        Input::CodesPerRow(_) | Input::PackedPerRow(_) | Input::Real(_) => qmax - qmin,
        Input::DynamicPerRow(DynamicSpec { spec, .. })
        | Input::DynamicPerTensor(DynamicSpec { spec, .. }) => match spec.scheme {
            Scheme::Symmetric => qmax.max(-qmin),
            Scheme::Affine => qmax - qmin,
        },
    }
}
