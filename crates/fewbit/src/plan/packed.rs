//! Weights packed for a tile, with what the zero points of both sides need.

use super::{Bias, DynamicSpec, Input, Operands};
use crate::memory::{Allocator, Buffer};
use crate::{Error, Result, Status};
use fewbit_kernels::gemm::{self, TileFn, code_shift_lhs, code_shift_rhs, pack_rhs};
use fewbit_kernels::registry::{self, Bound};
use fewbit_scheme::Scheme;
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// Packed weights of `groups` independent products that share k and the number of columns.
pub(crate) struct Packed {
    pub tile: Bound<TileFn>,
    pub mr: usize,
    pub nr: usize,
    pub form: LhsForm,
    pub k: usize,
    /// Output channels of a group.
    pub columns: usize,
    /// Panels of a group.
    pub panels: usize,
    /// `[groups][panels]` panels.
    codes: Buffer<i8>,
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
pub(crate) fn tile_columns(columns: usize, supported: Supported) -> Result<usize> {
    gemm::select(supported.set(), columns).map(|tile| tile.nr).ok_or(NO_KERNEL)
}

impl Packed {
    /// Packs `groups * columns` output channels of `k` weights; `at(channel, i)` is the index of a
    /// weight's code, or `None` for a real 0.
    pub(crate) fn new(
        operands: &Operands<'_>,
        at: impl Fn(usize, usize) -> Option<usize>,
        (groups, columns, k): (usize, usize, usize),
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Packed> {
        let Operands { weights, input, bias, .. } = operands;
        let tile = gemm::select(supported.set(), columns).ok_or(NO_KERNEL)?;
        let bound_tile = registry::bind(&tile.row, supported).ok_or(NO_KERNEL)?;
        let (mr, nr, form) = (tile.mr, tile.nr, tile.lhs);
        let panels = columns.div_ceil(nr.max(1));
        let k_groups = k.div_ceil(form.kr().max(1));
        let panel_size = size(&[k_groups, nr, form.kr()])?;
        let padded = size(&[groups, panels, nr])?;
        let mut packed = Packed {
            tile: bound_tile,
            mr,
            nr,
            form,
            k,
            columns,
            panels,
            codes: Buffer::zeroed(size(&[groups, panels, panel_size])?, allocator, "desc.weights")?,
            zero: Buffer::zeroed(padded, allocator, "desc.weights.zero_points")?,
            fold: Buffer::zeroed(padded, allocator, "desc.weights")?,
            start: Buffer::zeroed(padded, allocator, "desc.bias")?,
            has_zero: false,
            shared_zero: code_shift_lhs(input.code().is_unsigned(), form)
                + input.fixed_params().map_or(0, |params| params.zero_point),
            bound: 0,
        };
        let shift = code_shift_rhs(weights.code.is_unsigned());
        let code = |channel: usize, i: usize| match at(channel, i)
            .and_then(|index| weights.codes.get(index))
        {
            Some(&byte) => weights.code.value(byte),
            None => weights.zero_point(channel),
        };
        let worst_lhs = worst_difference(input);
        for group in 0..groups {
            for panel in 0..panels {
                let slot = group * panels + panel;
                let first = panel * nr;
                let count = columns.saturating_sub(first).min(nr);
                let channel = group * columns + first;
                let codes = packed.codes.as_mut_slice();
                let codes = codes.get_mut(slot * panel_size..).unwrap_or_default();
                let codes = codes.get_mut(..panel_size).unwrap_or_default();
                let sums = packed.fold.as_mut_slice().get_mut(slot * nr..).unwrap_or_default();
                pack_rhs(|c, i| code(channel + c, i) + shift, count, k, nr, form, codes, sums);
                for column in 0..count {
                    let channel = channel + column;
                    let index = slot * nr + column;
                    let zero_point = weights.zero_point(channel);
                    let extra = match bias {
                        Bias::S32(bias) => bias.get(channel).copied().unwrap_or(0),
                        _ => 0,
                    };
                    let magnitude: i64 =
                        (0..k).map(|i| (code(channel, i) - zero_point).unsigned_abs() as i64).sum();
                    let bound = magnitude
                        .saturating_mul(worst_lhs)
                        .saturating_add(extra.unsigned_abs() as i64);
                    packed.bound = packed.bound.max(bound);
                    let shifted = zero_point + shift;
                    let k_zero = (k as i32).wrapping_mul(shifted);
                    packed.has_zero |= shifted != 0;
                    set(&mut packed.zero, index, |_| shifted);
                    let fold = set(&mut packed.fold, index, |sum| k_zero.wrapping_sub(sum));
                    let shared = packed.shared_zero.wrapping_mul(fold);
                    set(&mut packed.start, index, |_| extra.wrapping_add(shared));
                }
            }
        }
        if packed.bound > i32::MAX as i64 {
            return Err(Error::new(
                Status::LimitExceeded,
                "desc.weights",
                "allow a sum of {}, which does not fit int32 ({}): fewer input features, smaller \
                 weights or a smaller bias are needed",
            )
            .with(packed.bound)
            .with(i32::MAX));
        }
        Ok(packed)
    }

    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.codes.len()
    }

    /// k-groups of a panel.
    pub(crate) fn k_groups(&self) -> usize {
        self.k.div_ceil(self.form.kr().max(1))
    }

    /// Index of a panel's first column in arrays padded to whole panels.
    pub(crate) fn slot(&self, group: usize, panel: usize) -> usize {
        (group * self.panels + panel) * self.nr
    }

    /// Values in arrays padded to whole panels.
    pub(crate) fn padded_columns(&self) -> usize {
        self.zero.len()
    }

    /// The right side of a tile.
    pub(crate) fn panel(&self, group: usize, panel: usize) -> Panel {
        let slot = self.slot(group, panel);
        let codes = slot * self.k_groups() * self.form.kr();
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

/// Changes a value and gives the new one.
fn set(values: &mut Buffer<i32>, index: usize, to: impl Fn(i32) -> i32) -> i32 {
    match values.as_mut_slice().get_mut(index) {
        Some(value) => {
            *value = to(*value);
            *value
        }
        None => 0,
    }
}

/// The largest |a - za| that an input can have.
fn worst_difference(input: &Input) -> i64 {
    let format = input.code().format();
    let (qmin, qmax) = (format.qmin() as i64, format.qmax() as i64);
    match *input {
        Input::Codes(_, params) | Input::Static(_, _, params) => {
            let zero_point = params.zero_point as i64;
            (qmax - zero_point).max(zero_point - qmin)
        }
        Input::DynamicPerRow(DynamicSpec { spec, .. })
        | Input::DynamicPerTensor(DynamicSpec { spec, .. }) => match spec.scheme {
            Scheme::Symmetric => qmax.max(-qmin),
            Scheme::Affine => qmax - qmin,
        },
    }
}
