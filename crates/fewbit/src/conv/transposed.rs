//! Transposed convolutions: as many ordinary ones side by side as there are phases (window.rs), each with the taps that it meets
//! and output channels of its own, which have the scales and zero points of the description's.

use super::window::Phase;
use super::{Conv, ConvAxis, ConvDesc};
use crate::memory::{Allocator, Buffer, Plain};
use crate::plan::{Bias, Operands, Weights, size};
use crate::{Error, Result, Status};
use fewbit_simd::Supported;

impl ConvAxis {
    /// Output pixels of a transposed convolution: `(size - 1) * stride + dilation * (kernel - 1) + output_padding + 1 - pads`;
    /// `None` if the axis is wrong, if there are none, or if `output_padding` is neither less than the stride nor less than the
    /// dilation.
    pub fn transposed_output(&self, output_padding: usize) -> Option<usize> {
        let reach = self.kernel.checked_sub(1)?.checked_mul(self.dilation)?;
        let span = self.size.checked_sub(1)?.checked_mul(self.stride)?;
        let whole = span.checked_add(reach)?.checked_add(output_padding)?.checked_add(1)?;
        let pads = self.pad_begin.checked_add(self.pad_end)?;
        let valid = self.stride > 0
            && self.dilation > 0
            && output_padding < self.stride.max(self.dilation)
            && whole.checked_add(self.stride)? <= isize::MAX as usize
            && self.stride.checked_mul(self.stride).is_some();
        whole.checked_sub(pads).filter(|&out| valid && out > 0)
    }
}

impl<'w> Conv<'w> {
    /// As [`create`](Conv::create) for a transposed convolution (ONNX's `ConvTranspose`, PyTorch's `ConvTranspose2d`): input pixel `i`
    /// and tap `k` meet at output pixel `i * stride + k * dilation - pad_begin` along each axis, and there their products are
    /// added. What belongs to no output pixel is left out; an output pixel that nothing meets is the bias.
    ///
    /// Strides, dilations and padding are those of the output, which has `output_padding` more pixels at the end of each
    /// axis. Weights in their usual layout, `[C, O / groups, kd, kh, kw]`, are
    /// [`FilterLayout::Iohw`](super::FilterLayout::Iohw). Each product with a weight is made once: none is with the zeros
    /// between pixels that the definition may be written with.
    ///
    /// # Errors
    /// As [`create`](Conv::create); [`Status::InvalidArgument`] for axes of which
    /// [`transposed_output`](ConvAxis::transposed_output) gives none.
    pub fn create_transposed(
        desc: &ConvDesc<'_>,
        output_padding: [usize; 3],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build(desc, Some(output_padding), None, supported, allocator)
    }
}

/// The output's sizes.
pub(super) fn output_dims(axes: &[ConvAxis; 3], output_padding: [usize; 3]) -> Result<[usize; 3]> {
    let names = ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"];
    let mut dims = [0; 3];
    for (((dim, axis), padding), name) in dims.iter_mut().zip(axes).zip(output_padding).zip(names) {
        let text = "has {} pixels, {} taps and output padding {}: sizes must be positive, padding must leave \
                    something, and output padding must be less than stride or dilation";
        let error = Error::new(Status::InvalidArgument, name, text);
        let error = error.with(axis.size).with(axis.kernel).with(padding);
        *dim = axis.transposed_output(padding).ok_or(error)?;
    }
    Ok(dims)
}

/// The most phases of a transposed convolution: strides of 64 along two axes.
const MOST_PHASES: usize = 4096;

/// The phases along each axis.
pub(super) struct Phases {
    axes: [ConvAxis; 3],
    /// How many.
    pub count: usize,
    /// The most taps that one has.
    pub most_taps: usize,
}

impl Phases {
    pub(super) fn new(axes: &[ConvAxis; 3]) -> Result<Phases> {
        let count = size(&axes.map(|axis| axis.stride))?;
        // Each has weights of its own; nobody needs so many, and making them would take long.
        if count > MOST_PHASES {
            let text =
                "have strides whose product is {}, more than the {} of a transposed convolution";
            let error = Error::new(Status::LimitExceeded, "desc.axes", text);
            return Err(error.with(count).with(MOST_PHASES));
        }
        let most = axes.map(|axis| {
            let taps = |phase| Phase::of(axis.kernel, axis.stride, axis.dilation, phase).taps;
            (0..axis.stride).map(taps).max().unwrap_or(0)
        });
        Ok(Phases { axes: *axes, count, most_taps: size(&most)? })
    }

    /// The number of the tap that is packed as number `index` of a phase; `None` if the phase has fewer.
    pub(super) fn tap(&self, phase: usize, index: usize) -> Option<usize> {
        let (mut phase, mut index, mut tap, mut weight) = (phase, index, 0, 1);
        for axis in self.axes.iter().rev() {
            let kernel = axis.kernel;
            let stride = axis.stride.max(1);
            let taps = Phase::of(kernel, stride, axis.dilation, phase % stride);
            phase /= stride;
            tap += taps.tap(index.checked_rem(taps.taps)?) * weight;
            index = index.checked_div(taps.taps)?;
            weight *= kernel;
        }
        (index == 0).then_some(tap)
    }
}

/// What belongs to output channels, again for each phase.
pub(super) struct Repeated {
    scales: Buffer<f32>,
    zero_points: Buffer<i32>,
    multipliers: Buffer<i32>,
    shifts: Buffer<i32>,
    s32: Buffer<i32>,
    f32: Buffer<f32>,
}

impl Repeated {
    /// Of groups of so many output channels.
    pub(super) fn new(
        operands: &Operands<'_>,
        columns: usize,
        phases: usize,
        allocator: &Allocator,
    ) -> Result<Repeated> {
        let Weights { scales, zero_points, multipliers, shifts, .. } = operands.weights;
        let (s32, f32): (&[i32], &[f32]) = match operands.bias {
            Bias::None => (&[], &[]),
            Bias::S32(bias) => (bias, &[]),
            Bias::F32(bias) => (&[], bias),
        };
        // One scale is that of all channels, however many they are; one bias is that of one.
        let times = |len: usize| if len > 1 { phases } else { 1 };
        Ok(Repeated {
            scales: repeat(scales, columns, times(scales.len()), allocator)?,
            zero_points: repeat(zero_points, columns, times(zero_points.len()), allocator)?,
            multipliers: repeat(multipliers, columns, times(multipliers.len()), allocator)?,
            shifts: repeat(shifts, columns, times(shifts.len()), allocator)?,
            s32: repeat(s32, columns, phases, allocator)?,
            f32: repeat(f32, columns, phases, allocator)?,
        })
    }

    /// The operands with these.
    pub(super) fn operands<'a>(&'a self, operands: &Operands<'a>) -> Operands<'a> {
        let bias = match operands.bias {
            Bias::None => Bias::None,
            Bias::S32(_) => Bias::S32(self.s32.as_slice()),
            Bias::F32(_) => Bias::F32(self.f32.as_slice()),
        };
        let weights = Weights {
            scales: self.scales.as_slice(),
            zero_points: self.zero_points.as_slice(),
            multipliers: self.multipliers.as_slice(),
            shifts: self.shifts.as_slice(),
            ..operands.weights
        };
        Operands { weights, bias, ..*operands }
    }
}

/// Each `columns` values, `times` times.
fn repeat<T: Plain>(
    values: &[T],
    columns: usize,
    times: usize,
    allocator: &Allocator,
) -> Result<Buffer<T>> {
    let len = size(&[values.len(), times])?;
    let mut all = Buffer::zeroed(len, allocator, "desc.weights")?;
    let span = columns.max(1).min(values.len().max(1));
    let groups = all.as_mut_slice().chunks_mut((span * times).max(1));
    for (to, from) in groups.zip(values.chunks(span)) {
        for to in to.chunks_mut(span) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
    }
    Ok(all)
}
