//! Data of tensors to ranges to parameters, each parameter from the elements that share it.

use crate::tensor::{Reals, TensorQuant, kernel, layout_error, param_count};
use crate::{Error, Result, Status};
use fewbit_calibrate::MinMax;
use fewbit_granularity::{Granularity, Grid, Layout, Run, Walk};
use fewbit_kernels::reduce::{self, MinMaxFn, RangesArgs, RangesFn};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::{IntFormat, ParamSpec, QuantParams, RealFormat, Scheme, params_from_range};
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
    x: Reals,
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
    let kernels = Kernels::new(x.format, supported)?;
    if symmetric {
        let mut largest = Magnitudes(scales);
        largest.0.fill(0.0);
        // SAFETY: elements of the layout, by this function's contract.
        unsafe { track(x, walk, &kernels, &mut largest) };
        scales.iter_mut().for_each(|scale| *scale = choose(-*scale, *scale, spec).scale);
        zero_points.fill(0);
        return Ok(());
    }
    let mut ends = Ends { min: scales, max: zero_points };
    ends.min.fill(f32::INFINITY);
    ends.max.fill(f32::NEG_INFINITY.to_bits() as i32);
    // SAFETY: elements of the layout, by this function's contract.
    unsafe { track(x, walk, &kernels, &mut ends) };
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
pub(crate) fn places<'a>(
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

/// Running ranges, kept where the parameters will be.
trait Track {
    /// Widens the ranges from `param` on, one for each pair of ends. Ends may be NaN, or (+inf,
    /// -inf) where there was no number: neither changes anything.
    fn widen(&mut self, param: usize, low: &[f32], high: &[f32]);
}

/// The symmetric scheme needs the largest magnitude alone; it lies in the scale's place.
struct Magnitudes<'a>(&'a mut [f32]);

impl Track for Magnitudes<'_> {
    fn widen(&mut self, param: usize, low: &[f32], high: &[f32]) {
        let Some(largest) = self.0.get_mut(param..) else { return };
        for (largest, (&low, &high)) in largest.iter_mut().zip(low.iter().zip(high)) {
            // No sign is left, and NaN and -inf are not greater: comparing is enough. (Selections
            // rather than conditional stores: these loops become vectors.)
            let magnitude = if -low > high { -low } else { high };
            *largest = if magnitude > *largest { magnitude } else { *largest };
        }
    }
}

/// The smallest number in the scale's place, the bits of the largest in the zero point's.
struct Ends<'a> {
    min: &'a mut [f32],
    max: &'a mut [i32],
}

impl Track for Ends<'_> {
    fn widen(&mut self, param: usize, low: &[f32], high: &[f32]) {
        let (Some(min), Some(max)) = (self.min.get_mut(param..), self.max.get_mut(param..)) else {
            return;
        };
        let ends = low.iter().zip(high);
        for ((min, max), (&low, &high)) in min.iter_mut().zip(max).zip(ends) {
            // `real::min` and `real::max` where only the new number may be NaN: -0 < +0.
            let lower = low < *min || (low == *min && low.is_sign_negative());
            *min = if lower { low } else { *min };
            let so_far = f32::from_bits(*max as u32);
            let higher = high > so_far || (high == so_far && high.is_sign_positive());
            *max = if higher { high } else { so_far }.to_bits() as i32;
        }
    }
}

/// The kernels that find ranges.
struct Kernels {
    run: Bound<MinMaxFn>,
    rows: Bound<RangesFn>,
    columns: Bound<RangesFn>,
}

impl Kernels {
    fn new(format: RealFormat, supported: Supported) -> Result<Kernels> {
        let (run, rows, columns) = match format {
            RealFormat::F32 => (reduce::MIN_MAX, reduce::ROW_RANGES, reduce::COLUMN_RANGES),
            RealFormat::F16 => {
                (reduce::MIN_MAX_F16, reduce::ROW_RANGES_F16, reduce::COLUMN_RANGES_F16)
            }
            RealFormat::Bf16 => {
                (reduce::MIN_MAX_BF16, reduce::ROW_RANGES_BF16, reduce::COLUMN_RANGES_BF16)
            }
        };
        Ok(Kernels {
            run: kernel(run, supported)?,
            rows: kernel(rows, supported)?,
            columns: kernel(columns, supported)?,
        })
    }
}

/// Ranges gathered at a time.
const GATHER: usize = 256;

/// Shows the elements of a walk to running ranges. (The kernels leave the sign of a zero open; it makes no
/// difference to parameters.)
///
/// # Safety
/// Every element of the walk can be read at `x`.
unsafe fn track(x: Reals, walk: Walk<1>, kernels: &Kernels, ranges: &mut dyn Track) {
    let (mut low, mut high) = ([0.0f32; GATHER], [0.0f32; GATHER]);
    for Grid { run, rows, row_strides: [row_stride], param_stride } in walk.grids() {
        let Run { offsets: [offset], strides: [stride], len, param, param_step } = run;
        let first = x.from(offset);
        if stride != 1 {
            for row in 0..rows {
                let first = first.from(row * row_stride);
                let param = param + row * param_stride;
                // A range of all elements, or one of each.
                let (pieces, n) = if param_step == 0 { (1, len) } else { (len, 1) };
                for i in 0..pieces {
                    // SAFETY: the run's elements, by this function's contract.
                    let (low, high) =
                        unsafe { kernels.run.run()(first.from(i * stride).at, stride, n) };
                    ranges.widen(param + i, &[low], &[high]);
                }
            }
            continue;
        }
        // Ranges side by side: of rows, or of the columns of rows that share their parameters.
        let (count, together) = match (param_step, param_stride) {
            (0, _) => (rows, 1),
            (_, 0) => (len, rows),
            _ => (len, 1),
        };
        let repeats = if param_step == 1 && together == 1 { rows } else { 1 };
        for row in 0..repeats {
            let first = first.from(row * row_stride);
            let param = param + row * param_stride;
            let mut begin = 0;
            while begin < count {
                let n = GATHER.min(count - begin);
                let (Some(low), Some(high)) = (low.get_mut(..n), high.get_mut(..n)) else { return };
                low.fill(f32::INFINITY);
                high.fill(f32::NEG_INFINITY);
                let args = RangesArgs {
                    src: first.at,
                    n: len,
                    rows: n,
                    row_stride,
                    low: low.as_mut_ptr(),
                    high: high.as_mut_ptr(),
                };
                // SAFETY: the grid's elements, by this function's contract; `n` ranges have room.
                unsafe {
                    if param_step == 0 {
                        let src = first.from(begin * row_stride).at;
                        kernels.rows.run()(&RangesArgs { src, ..args });
                    } else {
                        let src = first.from(begin).at;
                        kernels.columns.run()(&RangesArgs { src, n, rows: together, ..args });
                    }
                }
                if param_step == 0 && param_stride != 1 {
                    for (i, (low, high)) in low.chunks(1).zip(high.chunks(1)).enumerate() {
                        ranges.widen(param + (begin + i) * param_stride, low, high);
                    }
                } else {
                    ranges.widen(param + begin, low, high);
                }
                begin += n;
            }
        }
    }
}

/// Parameters of an observed range, which has no NaN and is in order or empty.
fn choose(low: f32, high: f32, spec: &ParamSpec) -> QuantParams {
    params_from_range(low, high, spec).unwrap_or(QuantParams { scale: 1.0, zero_point: 0 })
}
