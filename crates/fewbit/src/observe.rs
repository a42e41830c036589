//! Data of tensors to ranges to parameters, each parameter from the elements that share it.

use crate::tensor::{TensorQuant, layout_error, param_count};
use crate::{Error, Result, Status};
use fewbit_calibrate::MinMax;
use fewbit_granularity::{Granularity, Layout, Run};
use fewbit_kernels::reduce::{self, MinMaxFn};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::{IntFormat, ParamSpec, QuantParams, Scheme, params_from_range, real};
use fewbit_simd::Supported;

/// Chooses each parameter from the smallest and largest of its elements (NaN is ignored), by
/// [`params_from_range`]. A parameter without numbers (all NaN, or of an empty tensor) gets scale 1.
///
/// The symmetric scheme writes zero points (all 0) only if there is room for them. Nothing is
/// allocated: the outputs hold the running ranges meanwhile.
///
/// # Errors
/// [`Status::InvalidArgument`] (granularity, counts), [`Status::NullPointer`] if the affine scheme gets
/// no room for zero points. Nothing is written then.
///
/// # Safety
/// Every element of the layout can be read at `x`; it need not be aligned.
pub unsafe fn choose_params(
    x: *const f32,
    layout: &Layout,
    quant: &TensorQuant,
    scales: &mut [f32],
    zero_points: Option<&mut [i32]>,
    supported: Supported,
) -> Result<()> {
    let needed = param_count(layout, quant)?;
    check_places("count", scales.len(), needed)?;
    let spec = &quant.params;
    let (symmetric, zero_points) = places(spec, needed, zero_points)?;
    let walk = quant.granularity.walk([layout]).map_err(|error| layout_error(error, "x_shape"))?;
    let kernel = crate::tensor::kernel(reduce::MIN_MAX, supported)?;
    if symmetric {
        // The range is its largest magnitude alone, so the scales' own places hold it meanwhile.
        scales.fill(0.0);
        let update = |param: usize, low: f32, high: f32| {
            if let Some(amax) = scales.get_mut(param).filter(|_| low <= high) {
                *amax = real::max(*amax, real::max(low.abs(), high.abs()));
            }
        };
        // SAFETY: elements of the layout, by this function's contract.
        unsafe { ranges(x, walk, kernel, update) };
        scales.iter_mut().for_each(|scale| *scale = choose(-*scale, *scale, spec).scale);
        zero_points.fill(0);
        return Ok(());
    }
    // The running minimum in the scale's place, the bits of the maximum in the zero point's.
    scales.fill(f32::INFINITY);
    zero_points.fill(f32::NEG_INFINITY.to_bits() as i32);
    let update = |param: usize, low: f32, high: f32| {
        if let (Some(min), Some(max)) = (scales.get_mut(param), zero_points.get_mut(param)) {
            *min = real::min(*min, low);
            *max = real::max(f32::from_bits(*max as u32), high).to_bits() as i32;
        }
    };
    // SAFETY: elements of the layout, by this function's contract.
    unsafe { ranges(x, walk, kernel, update) };
    for (scale, zero_point) in scales.iter_mut().zip(zero_points) {
        let params = choose(*scale, f32::from_bits(*zero_point as u32), spec);
        (*scale, *zero_point) = (params.scale, params.zero_point);
    }
    Ok(())
}

/// Shows a tensor to one observer for each parameter of a granularity. Observers of parts of the
/// data merge; [`params_of`] turns them into parameters.
///
/// # Errors
/// [`Status::InvalidArgument`] for a granularity that does not fit or another number of observers,
/// [`Status::BufferTooSmall`] if the layout reaches beyond `x`. Nothing is observed then.
pub fn observe(
    x: &[f32],
    layout: &Layout,
    granularity: Granularity,
    observers: &mut [MinMax],
    supported: Supported,
) -> Result<()> {
    let refused = |error| layout_error(error, "x_shape");
    let needed = granularity.param_count(layout).map_err(refused)?;
    check_places("observers", observers.len(), needed)?;
    check_reach("x", x.len(), layout.extent())?;
    for run in granularity.walk([layout]).map_err(refused)? {
        let Run { offsets: [offset], strides: [stride], len, param, param_step } = run;
        if param_step == 0 {
            if let Some(observer) = observers.get_mut(param) {
                // SAFETY: the run's elements are within the layout's extent, which the slice covers.
                unsafe { observer.observe_raw(x.as_ptr().add(offset), stride, len, supported) };
            }
            continue;
        }
        let elements = x.iter().skip(offset).step_by(stride.max(1));
        for (observer, &x) in observers.iter_mut().skip(param).zip(elements).take(len) {
            observer.observe_one(x);
        }
    }
    Ok(())
}

/// The parameters of observed ranges, one for each observer; zero points as [`choose_params`].
///
/// # Errors
/// [`Status::InvalidArgument`] for counts that differ, or for a range that no observer holds (NaN, or
/// its ends exchanged); [`Status::NullPointer`] if the affine scheme gets no room for zero points.
/// Nothing is written then.
pub fn params_of(
    observers: &[MinMax],
    spec: &ParamSpec,
    scales: &mut [f32],
    zero_points: Option<&mut [i32]>,
) -> Result<()> {
    check_places("scales", scales.len(), observers.len())?;
    let (_, zero_points) = places(spec, observers.len(), zero_points)?;
    for observer in observers {
        observer.params(spec).map_err(|_| {
            Error::new(Status::InvalidArgument, "observers", "hold the range {}..{}")
                .with(observer.min)
                .with(observer.max)
        })?;
    }
    for (observer, scale) in observers.iter().zip(scales) {
        *scale = choose(observer.min, observer.max, spec).scale;
    }
    for (observer, zero_point) in observers.iter().zip(zero_points) {
        *zero_point = choose(observer.min, observer.max, spec).zero_point;
    }
    Ok(())
}

/// Whether all zero points are 0, and where they go: there may be no place for them then.
fn places<'a>(
    spec: &ParamSpec,
    needed: usize,
    zero_points: Option<&'a mut [i32]>,
) -> Result<(bool, &'a mut [i32])> {
    let symmetric = spec.scheme == Scheme::Symmetric || spec.format == IntFormat::B1;
    match zero_points {
        Some(places) => {
            check_places("zero_points", places.len(), needed)?;
            Ok((symmetric, places))
        }
        None if symmetric => Ok((symmetric, &mut [])),
        None => {
            let text = "is NULL, but the affine scheme needs them";
            Err(Error::new(Status::NullPointer, "zero_points", text))
        }
    }
}

pub(crate) fn check_places(name: &'static str, count: usize, needed: usize) -> Result<()> {
    if count == needed {
        return Ok(());
    }
    let text = "is {}, but there are {} parameters";
    Err(Error::new(Status::InvalidArgument, name, text).with(count).with(needed))
}

/// Checks that a slice covers what its layout reaches.
pub(crate) fn check_reach(name: &'static str, len: usize, reach: usize) -> Result<()> {
    if len >= reach {
        return Ok(());
    }
    let text = "has room for {}, but its layout reaches {}";
    Err(Error::new(Status::BufferTooSmall, name, text).with(len).with(reach))
}

/// The range of every piece of the walk that shares a parameter: of a run, or of single elements,
/// whose both ends are the element itself, NaN included.
///
/// # Safety
/// Every element of the walk can be read at `x`.
unsafe fn ranges(
    x: *const f32,
    walk: impl Iterator<Item = Run<1>>,
    kernel: Bound<MinMaxFn>,
    mut update: impl FnMut(usize, f32, f32),
) {
    for Run { offsets: [offset], strides: [stride], len, param, param_step } in walk {
        if param_step == 0 {
            // SAFETY: by this function's contract.
            let (low, high) = unsafe { kernel.run()(x.add(offset), stride, len) };
            update(param, low, high);
            continue;
        }
        for i in 0..len {
            // SAFETY: by this function's contract.
            let x = unsafe { x.add(offset + i * stride).read_unaligned() };
            update(param + i, x, x);
        }
    }
}

/// Parameters of an observed range, which has no NaN and is in order or empty.
fn choose(low: f32, high: f32, spec: &ParamSpec) -> QuantParams {
    params_from_range(low, high, spec).unwrap_or(QuantParams { scale: 1.0, zero_point: 0 })
}
