//! Tensors with a scheme and a granularity: parameters from data, quantize, dequantize. One walk
//! ([`fewbit_granularity::Walk`]) hands runs that share a parameter, or whose parameters follow each
//! other, to the kernels; nothing is copied or allocated.

use crate::plan::check_params;
use crate::{Error, Result, Status};
use fewbit_granularity::{Error as LayoutError, Granularity, Layout};
use fewbit_kernels::dequantize::{self, DequantizeArgs};
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_kernels::reduce;
use fewbit_kernels::registry::{Bound, Row, best};
use fewbit_scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, Scheme, pack, params_from_range, real,
};
use fewbit_simd::Supported;

/// How a tensor is quantized.
#[derive(Clone, Copy, Debug)]
pub struct TensorQuant {
    /// Format, scheme, range.
    pub params: ParamSpec,
    /// Which elements share parameters.
    pub granularity: Granularity,
    /// Rounding and quotient.
    pub mode: QuantizeMode,
}

/// A tensor's parameters: `count` scales, and as many zero points or none (all 0).
#[derive(Clone, Copy, Debug)]
pub struct TensorParams<'a> {
    /// Scales, row-major over the grid of blocks.
    pub scales: &'a [f32],
    /// Zero points, as many as scales, or empty.
    pub zero_points: &'a [i32],
}

/// A layout's or granularity's refusal, as an error of the arguments that a tensor op has.
pub fn layout_error(error: LayoutError, shape: &'static str) -> Error {
    let invalid = |argument, text| Error::new(Status::InvalidArgument, argument, text);
    match error {
        LayoutError::Rank { rank } => {
            invalid(shape, "has rank {}, but at most {} axes are possible")
                .with(rank)
                .with(fewbit_granularity::MAX_RANK)
        }
        LayoutError::StrideCount { strides, rank } => {
            invalid(shape, "has {} strides for {} axes").with(strides).with(rank)
        }
        LayoutError::ZeroStride { axis } => invalid(shape, "has stride 0 along axis {}").with(axis),
        LayoutError::Overflow => invalid(shape, "describes a size beyond memory"),
        LayoutError::Axis { axis, rank } => {
            invalid("spec.axis", "is {}, but the tensor has rank {}").with(axis).with(rank)
        }
        LayoutError::SameAxis { axis } => {
            invalid("spec.axis2", "is {}, the same as spec.axis").with(axis)
        }
        LayoutError::ZeroBlock { axis } => {
            invalid("spec.block", "is 0 along axis {}; a block has 1 element or more").with(axis)
        }
        LayoutError::Shape => invalid(shape, "has other dimensions than the first shape"),
    }
}

/// The number of parameters that a tensor needs.
///
/// # Errors
/// [`Status::InvalidArgument`] for a granularity that does not fit the layout.
pub fn param_count(layout: &Layout, quant: &TensorQuant) -> Result<usize> {
    quant.granularity.param_count(layout).map_err(|error| layout_error(error, "shape"))
}

fn check_count(layout: &Layout, quant: &TensorQuant, count: usize) -> Result<usize> {
    let needed = param_count(layout, quant)?;
    if count != needed {
        return Err(Error::new(
            Status::InvalidArgument,
            "count",
            "is {}, but this granularity has {} parameters",
        )
        .with(count)
        .with(needed));
    }
    Ok(needed)
}

fn kernel<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(Error::new(Status::Internal, "kernel", "was not found"))
}

/// Chooses each parameter from the smallest and largest of its elements (NaN is ignored), by
/// [`params_from_range`]. A parameter all of whose elements are NaN gets scale 1.
///
/// The symmetric scheme writes zero points (all 0) only if there is room for them.
///
/// # Errors
/// [`Status::InvalidArgument`] (granularity, counts), [`Status::NullPointer`] if the affine scheme gets
/// no room for zero points. Nothing is written then.
///
/// # Safety
/// Every element of the layout can be read at `x`.
pub unsafe fn choose_params(
    x: *const f32,
    layout: &Layout,
    quant: &TensorQuant,
    scales: &mut [f32],
    zero_points: Option<&mut [i32]>,
    supported: Supported,
) -> Result<()> {
    check_count(layout, quant, scales.len())?;
    let walk = quant.granularity.walk([layout]).map_err(|error| layout_error(error, "x_shape"))?;
    let min_max = kernel(reduce::MIN_MAX, supported)?;
    // The range of every element of a run that shares its parameter, or of one element.
    let range = |offset: usize, stride: usize, len: usize| {
        // SAFETY: elements of the layout, by this function's contract.
        unsafe { min_max.run()(x.add(offset), stride, len) }
    };
    let spec = &quant.params;
    let symmetric = spec.scheme == Scheme::Symmetric || spec.format == IntFormat::B1;
    if symmetric {
        // The range is its largest magnitude alone, so the scales' own places hold it meanwhile.
        scales.fill(0.0);
        for run in walk {
            let mut update = |param: usize, (low, high): (f32, f32)| {
                if let Some(amax) = scales.get_mut(param).filter(|_| low <= high) {
                    *amax = real::max(*amax, real::max(low.abs(), high.abs()));
                }
            };
            each_param(run, |param, offset, stride, len| update(param, range(offset, stride, len)));
        }
        for scale in scales.iter_mut() {
            *scale = choose((-*scale, *scale), spec).scale;
        }
        if let Some(zero_points) = zero_points {
            zero_points.fill(0);
        }
        return Ok(());
    }
    let zero_points = zero_points.ok_or(Error::new(
        Status::NullPointer,
        "zero_points",
        "is NULL, but the affine scheme needs them",
    ))?;
    if zero_points.len() != scales.len() {
        return Err(Error::new(
            Status::InvalidArgument,
            "zero_points",
            "has {} places, but there are {} scales",
        )
        .with(zero_points.len())
        .with(scales.len()));
    }
    // The running minimum in the scale's place, the bits of the maximum in the zero point's.
    scales.fill(f32::INFINITY);
    zero_points.fill(f32::NEG_INFINITY.to_bits() as i32);
    for run in walk {
        let mut update = |param: usize, (low, high): (f32, f32)| {
            if let (Some(min), Some(max)) = (scales.get_mut(param), zero_points.get_mut(param)) {
                *min = real::min(*min, low);
                *max = real::max(f32::from_bits(*max as u32), high).to_bits() as i32;
            }
        };
        each_param(run, |param, offset, stride, len| update(param, range(offset, stride, len)));
    }
    for (scale, zero_point) in scales.iter_mut().zip(zero_points.iter_mut()) {
        let params = choose((*scale, f32::from_bits(*zero_point as u32)), spec);
        (*scale, *zero_point) = (params.scale, params.zero_point);
    }
    Ok(())
}

/// A run as pieces of one parameter each: itself, or its elements one by one.
fn each_param(run: fewbit_granularity::Run<1>, mut piece: impl FnMut(usize, usize, usize, usize)) {
    let ([offset], [stride]) = (run.offsets, run.strides);
    if run.param_step == 0 {
        return piece(run.param, offset, stride, run.len);
    }
    for i in 0..run.len {
        piece(run.param + i, offset + i * stride, 1, 1);
    }
}

/// Parameters of an observed range, which has no NaN and is in order or empty.
fn choose((low, high): (f32, f32), spec: &ParamSpec) -> QuantParams {
    params_from_range(low, high, spec).unwrap_or(QuantParams { scale: 1.0, zero_point: 0 })
}

/// Checks parameters for a format; the symmetric scheme has zero points of 0 only.
fn check_tensor_params(quant: &TensorQuant, params: &TensorParams<'_>) -> Result<()> {
    let given = params.zero_points.len();
    if given != 0 && given != params.scales.len() {
        return Err(Error::new(
            Status::InvalidArgument,
            "zero_points",
            "has {} values, but there are {} scales",
        )
        .with(given)
        .with(params.scales.len()));
    }
    let format = quant.params.format;
    for &scale in params.scales {
        check_params(QuantParams { scale, zero_point: 0 }, IntFormat::B1, "scales")?;
    }
    for &zero_point in params.zero_points {
        if zero_point != 0 && quant.params.scheme == Scheme::Symmetric {
            return Err(Error::new(
                Status::InvalidArgument,
                "zero_points",
                "has the value {}, but the symmetric scheme has zero points of 0 only",
            )
            .with(zero_point));
        }
        check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_points")?;
    }
    Ok(())
}

/// Checks that codes of less than a byte lie in rows that start on a byte.
fn check_packed(layout: &Layout, format: IntFormat) -> Result<()> {
    let per_byte = format.codes_per_byte();
    let Some((inner, outer)) = layout.strides().split_last().filter(|_| per_byte > 1) else {
        return Ok(());
    };
    let dims = layout.dims();
    let refused = |axis: usize, stride: usize, text| {
        Err(Error::new(Status::InvalidArgument, "q_shape", text)
            .with(stride)
            .with(axis)
            .with(per_byte))
    };
    if dims.last().is_some_and(|&dim| dim > 1) && *inner != 1 {
        let text = "has stride {} along the innermost axis {}; packed codes must be contiguous";
        return refused(dims.len() - 1, *inner, text);
    }
    for (axis, (&stride, &dim)) in outer.iter().zip(dims).enumerate() {
        if dim > 1 && !stride.is_multiple_of(per_byte) {
            let text = "has stride {} along axis {}: packed rows start on a byte, a multiple of {} \
                        codes";
            return refused(axis, stride, text);
        }
    }
    Ok(())
}

/// The bytes that codes of a layout cover.
pub fn code_bytes(layout: &Layout, format: IntFormat) -> Option<usize> {
    match format {
        IntFormat::S16 => layout.extent().checked_mul(2),
        _ => Some(pack::packed_len(format, layout.extent())),
    }
}

/// Quantizes a tensor: each element as [`fewbit_scheme::quantize`] with its own parameter. Codes of less
/// than a byte are packed, each innermost row from a byte of its own, the rest of its last byte filled
/// with the code of zero.
///
/// # Errors
/// [`Status::InvalidArgument`] (granularity, shapes, counts, parameters), [`Status::Overlap`] if the codes'
/// layout puts two elements in one place. Nothing is written then.
///
/// # Safety
/// Every element of `x_layout` can be read at `x`, every one of `q_layout` written (packed: read too) at
/// `q`; the two do not overlap. s16 codes need alignment 2.
pub unsafe fn quantize(
    x: *const f32,
    x_layout: &Layout,
    quant: &TensorQuant,
    params: &TensorParams<'_>,
    q: *mut u8,
    q_layout: &Layout,
    supported: Supported,
) -> Result<()> {
    let format = quant.params.format;
    check_count(x_layout, quant, params.scales.len())?;
    check_tensor_params(quant, params)?;
    check_packed(q_layout, format)?;
    if q_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "q_shape", "puts two elements in one place"));
    }
    let walk = quant
        .granularity
        .walk([x_layout, q_layout])
        .map_err(|error| layout_error(error, "q_shape"))?;
    let fast = match format {
        IntFormat::S8 => Some(kernel(quantize::F32_S8, supported)?),
        IntFormat::U8 => Some(kernel(quantize::F32_U8, supported)?),
        _ => None,
    };
    let per_byte = format.codes_per_byte();
    let row = q_layout.dims().last().copied().unwrap_or(1).max(1);
    let mut visited = 0usize;
    for run in walk {
        let ([from, to], [src_stride, dst_stride]) = (run.offsets, run.strides);
        let zero_points = at_param(params.zero_points, run.param);
        let args = QuantizeArgs {
            src: x.wrapping_add(from),
            src_stride,
            dst: q,
            dst_stride,
            n: run.len,
            scales: at_param(params.scales, run.param),
            zero_points,
            param_step: run.param_step,
            mode: quant.mode,
        };
        // SAFETY: the run's elements by this function's contract; its parameters are within the
        // checked arrays, whose values were checked too.
        unsafe {
            match fast {
                Some(kernel) => kernel.run()(&QuantizeArgs { dst: q.wrapping_add(to), ..args }),
                None => quantize::any(&args, format, to),
            }
        }
        visited += run.len;
        let end = to + run.len;
        if per_byte > 1 && visited.is_multiple_of(row) && !end.is_multiple_of(per_byte) {
            // The row's last byte: rows of packed codes are contiguous, so `end` is its end.
            let last = run.param + run.param_step * (run.len - 1);
            let zero_point = params.zero_points.get(last).copied().unwrap_or(0);
            let (byte, first) = pack::position(format, end);
            // SAFETY: the byte of the row's last element, which was just written.
            unsafe {
                let place = q.add(byte);
                let pad = format.zero_code(zero_point);
                let filled = (first..per_byte as u32)
                    .fold(place.read(), |value, slot| pack::set(format, value, slot, pad));
                place.write(filled);
            }
        }
    }
    Ok(())
}

/// Where a run's parameters begin; NULL if there are none.
fn at_param<T>(values: &[T], param: usize) -> *const T {
    values.get(param..).filter(|rest| !rest.is_empty()).map_or(core::ptr::null(), <[T]>::as_ptr)
}

/// Dequantizes a tensor: each element as [`fewbit_scheme::dequantize`] with its own parameter.
///
/// # Errors
/// As [`quantize`], the roles exchanged.
///
/// # Safety
/// As [`quantize`], the roles exchanged.
pub unsafe fn dequantize(
    q: *const u8,
    q_layout: &Layout,
    quant: &TensorQuant,
    params: &TensorParams<'_>,
    x: *mut f32,
    x_layout: &Layout,
    supported: Supported,
) -> Result<()> {
    let format = quant.params.format;
    check_count(x_layout, quant, params.scales.len())?;
    check_tensor_params(quant, params)?;
    check_packed(q_layout, format)?;
    if x_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "x_shape", "puts two elements in one place"));
    }
    let walk = quant
        .granularity
        .walk([q_layout, x_layout])
        .map_err(|error| layout_error(error, "x_shape"))?;
    let fast = match format {
        IntFormat::S8 => Some(kernel(dequantize::S8_F32, supported)?),
        IntFormat::U8 => Some(kernel(dequantize::U8_F32, supported)?),
        _ => None,
    };
    for run in walk {
        let ([from, to], [src_stride, dst_stride]) = (run.offsets, run.strides);
        let args = DequantizeArgs {
            src: q,
            src_stride,
            dst: x.wrapping_add(to),
            dst_stride,
            n: run.len,
            scales: at_param(params.scales, run.param),
            zero_points: at_param(params.zero_points, run.param),
            param_step: run.param_step,
        };
        // SAFETY: as in `quantize`.
        unsafe {
            match fast {
                Some(kernel) => kernel.run()(&DequantizeArgs { src: q.wrapping_add(from), ..args }),
                None => dequantize::any(&args, format, from),
            }
        }
    }
    Ok(())
}
