//! Tensors with a scheme and a granularity: parameters from data, quantize, dequantize. One walk
//! ([`fewbit_granularity::Walk`]) hands runs that share a parameter, or whose parameters follow each
//! other, to the kernels; nothing is copied or allocated, and everything is checked before the first
//! write.
//!
//! The methods of [`TensorQuant`] take slices. The unsafe functions beside them take pointers, for
//! the C ABI: they check all but the pointers.
//!
//! ```
//! use fewbit::granularity::{Granularity, Layout};
//! use fewbit::scheme::{IntFormat, ParamSpec, QuantizeMode};
//! use fewbit::tensor::{TensorParams, TensorQuant};
//!
//! // A weight matrix of 2 rows, int8, symmetric, a scale for each row.
//! let quant = TensorQuant {
//!     params: ParamSpec::symmetric(IntFormat::S8),
//!     granularity: Granularity::PerAxis { axis: 0 },
//!     mode: QuantizeMode::default(),
//! };
//! let (weights, layout) = ([1.0, -0.5, 254.0, 2.0], Layout::contiguous(&[2, 2]).unwrap());
//! let supported = fewbit::dispatch::supported()?;
//! let (mut scales, mut codes) = ([0.0; 2], [0; 4]);
//! quant.choose_params(&weights, &layout, &mut scales, None, supported)?;
//! let params = TensorParams { scales: &scales, zero_points: &[] };
//! quant.quantize(&weights, &layout, &params, &mut codes, &layout, supported)?;
//! assert_eq!((scales[1], codes.map(|q| q as i8)), (2.0, [127, -64, 127, 1]));
//! # Ok::<(), fewbit::Error>(())
//! ```

pub use crate::observe::choose_params;

mod dequantize;
mod dynamic;
mod fake;
mod quantize;
mod real;
mod requantize;

pub use dequantize::dequantize;
pub use dynamic::quantize_dynamic;
pub use fake::fake_quantize;
pub use quantize::quantize;
pub use real::{Bf16, F16, Real, Reals, RealsMut};
pub use requantize::{Multipliers, TensorRequantize, requantize};

use crate::observe::{check_places, check_reach};
use crate::plan::{check_params, tasks};
use crate::{Error, Parallel, Result, Serial, Status};
use fewbit_granularity::{Error as LayoutError, Granularity, Layout, Walk};
use fewbit_kernels::registry::{Bound, Row, best};
use fewbit_scheme::{IntFormat, ParamSpec, QuantParams, QuantizeMode, Scheme, pack};
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

impl TensorQuant {
    /// Chooses parameters from data, as [`choose_params`].
    ///
    /// # Errors
    /// As [`choose_params`], and [`Status::BufferTooSmall`] if the layout reaches beyond `x`.
    pub fn choose_params<T: Real>(
        &self,
        x: &[T],
        layout: &Layout,
        scales: &mut [f32],
        zero_points: Option<&mut [i32]>,
        supported: Supported,
    ) -> Result<()> {
        check_reach("x", x.len(), layout.extent())?;
        // SAFETY: the slice covers the layout.
        unsafe { choose_params(Reals::of(x), layout, self, scales, zero_points, supported) }
    }

    /// Quantizes, as the function [`quantize()`]. Codes are bytes as they lie in memory: s8 codes as
    /// their two's complement, s16 codes two bytes each in the machine's order, smaller ones packed.
    ///
    /// # Errors
    /// As [`quantize()`], and [`Status::BufferTooSmall`] if a layout reaches beyond its slice.
    pub fn quantize<T: Real>(
        &self,
        x: &[T],
        x_layout: &Layout,
        params: &TensorParams<'_>,
        q: &mut [u8],
        q_layout: &Layout,
        supported: Supported,
    ) -> Result<()> {
        self.check_reach(x.len(), x_layout, q.len(), q_layout)?;
        let (x, q) = ((Reals::of(x), x_layout), (q.as_mut_ptr(), q_layout));
        // SAFETY: the slices cover their layouts, and do not overlap.
        unsafe { quantize(x, self, params, q, &Serial, supported) }
    }

    /// Dequantizes, as the function [`dequantize()`]; codes are bytes as for
    /// [`quantize`](TensorQuant::quantize).
    ///
    /// # Errors
    /// As [`dequantize()`], and [`Status::BufferTooSmall`] if a layout reaches beyond its slice.
    pub fn dequantize<T: Real>(
        &self,
        q: &[u8],
        q_layout: &Layout,
        params: &TensorParams<'_>,
        x: &mut [T],
        x_layout: &Layout,
        supported: Supported,
    ) -> Result<()> {
        self.check_reach(x.len(), x_layout, q.len(), q_layout)?;
        let (q, x) = ((q.as_ptr(), q_layout), (RealsMut::of(x), x_layout));
        // SAFETY: the slices cover their layouts, and do not overlap.
        unsafe { dequantize(q, self, params, x, &Serial, supported) }
    }

    /// Quantizes and dequantizes, as the function [`fake_quantize`].
    ///
    /// # Errors
    /// As [`fake_quantize`], and [`Status::BufferTooSmall`] if a layout reaches beyond its slice.
    pub fn fake_quantize<T: Real>(
        &self,
        x: &[T],
        x_layout: &Layout,
        params: &TensorParams<'_>,
        y: &mut [T],
        y_layout: &Layout,
        supported: Supported,
    ) -> Result<()> {
        check_reach("x", x.len(), x_layout.extent())?;
        check_reach("y", y.len(), y_layout.extent())?;
        let (x, y) = ((Reals::of(x), x_layout), (y.as_mut_ptr().cast(), y_layout));
        // SAFETY: the slices cover their layouts, and do not overlap.
        unsafe { fake_quantize(x, self, params, y, &Serial, supported) }
    }

    fn check_reach(&self, x: usize, x_layout: &Layout, q: usize, q_layout: &Layout) -> Result<()> {
        check_reach("x", x, x_layout.extent())?;
        let bytes = code_bytes(q_layout, self.params.format).unwrap_or(usize::MAX);
        check_reach("q", q, bytes)
    }
}

const NO_KERNEL: Error = Error::new(Status::Internal, "kernel", "was not found");

pub(crate) fn kernel<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(NO_KERNEL)
}

/// Checks parameters: as many as needed, scales finite and positive, zero points codes of the format
/// and 0 under the symmetric scheme.
fn check_tensor_params(
    layout: &Layout,
    quant: &TensorQuant,
    params: &TensorParams<'_>,
) -> Result<()> {
    let needed = param_count(layout, quant)?;
    check_places("count", params.scales.len(), needed)?;
    if !params.zero_points.is_empty() {
        check_places("zero_points", params.zero_points.len(), needed)?;
    }
    // Once without a branch for each, and only if something is wrong again, to say what: there may be
    // a parameter for every few elements. The bits of positive finite numbers are 1 to 0x7F7F_FFFF.
    let wrong = |s: &f32| s.to_bits().wrapping_sub(1) >= 0x7F7F_FFFF;
    let any_wrong = params.scales.iter().fold(false, |any, s| any | wrong(s));
    if let Some(index) = params.scales.iter().position(|s| any_wrong && wrong(s)) {
        let text = "has the scale {} at index {}, but a scale must be finite and greater than 0";
        let scale = params.scales.get(index).copied().unwrap_or_default();
        return Err(Error::new(Status::InvalidArgument, "scales", text).with(scale).with(index));
    }
    let ParamSpec { format, scheme, .. } = quant.params;
    let (least, most) = params
        .zero_points
        .iter()
        .fold((0, 0), |(least, most): (i32, i32), &z| (least.min(z), most.max(z)));
    let fits = scheme == Scheme::Affine && format != IntFormat::B1;
    if (least, most) == (0, 0) || fits && least >= format.qmin() && most <= format.qmax() {
        return Ok(());
    }
    for &zero_point in params.zero_points {
        if zero_point != 0 && (scheme == Scheme::Symmetric || format == IntFormat::B1) {
            let text = "has the value {}, but without the affine scheme zero points are 0";
            return Err(Error::new(Status::InvalidArgument, "zero_points", text).with(zero_point));
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

/// Elements of a part that is worth a thread's while.
pub(crate) const PART: usize = 1 << 16;

/// Into how many parts `elements`, of which `units` stay whole, are worth cutting: one for one worker, up to four for each
/// of more.
pub(crate) fn parts(elements: usize, units: usize, parallel: &dyn Parallel) -> usize {
    let workers = parallel.max_workers();
    let most = if workers > 1 { workers.saturating_mul(4) } else { 1 };
    (elements / PART).min(most).min(units).max(1)
}

/// Hands parts of `elements` bytes to threads: `task(begin, end)`, of whole lines of the cache, so that threads do not share
/// them.
pub(crate) fn share_bytes(
    elements: usize,
    parallel: &dyn Parallel,
    task: impl Fn(usize, usize) + Sync,
) {
    let parts = parts(elements, elements, parallel);
    let each = elements.div_ceil(parts).next_multiple_of(64);
    tasks::each(parallel, parts, |part| {
        let begin = part.saturating_mul(each).min(elements);
        task(begin, begin.saturating_add(each).min(elements));
    });
}

/// Hands a walk's parts to threads: whole units each, of at least [`PART`] elements.
pub(crate) fn share<const N: usize>(
    walk: &Walk<N>,
    unit: usize,
    parallel: &dyn Parallel,
    task: impl Fn(Walk<N>) + Sync,
) {
    let units = walk.elements() / unit.max(1);
    let parts = parts(walk.elements(), units, parallel);
    if parts == 1 {
        return task(walk.clone());
    }
    let each = units.div_ceil(parts).saturating_mul(unit);
    tasks::each(parallel, parts, |part| {
        let begin = part.saturating_mul(each);
        task(walk.range(begin, begin.saturating_add(each)));
    });
}

/// Where a run's parameters begin; NULL if there are none.
fn at_param<T>(values: &[T], param: usize) -> *const T {
    values.get(param..).filter(|rest| !rest.is_empty()).map_or(core::ptr::null(), <[T]>::as_ptr)
}
