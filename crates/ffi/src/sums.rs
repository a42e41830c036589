//! Level 2: tensors of int32 sums to codes.

use crate::boundary::{
    Extent, Threads, apart, array, fewbit_parallel_for, float_entry, integer_entry, slice,
};
use crate::requantize::fixed_rounding;
use crate::status::{fewbit_error, fewbit_status};
use crate::tensors::{fewbit_shape, fewbit_tensor_quant, layout, tensor_quant};
use fewbit::granularity::Layout;
use fewbit::scheme::IntFormat;
use fewbit::simd::Supported;
use fewbit::tensor::{self, Multipliers, TensorRequantize};
use fewbit::{Code, Error, Result, Status};

/// What both modes check alike.
struct Call<'a> {
    acc: *const i32,
    acc_layout: Layout,
    how: TensorRequantize,
    zero_points: &'a [i32],
    threads: Threads,
    q: *mut u8,
    q_layout: Layout,
    q_range: Extent,
}

/// # Safety
/// Descriptions and `zero_points` are NULL or can be read.
#[allow(clippy::too_many_arguments, reason = "those of the exported functions")]
unsafe fn call<'a>(
    acc: *const i32,
    acc_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    q: *mut u8,
    q_shape: *const fewbit_shape,
) -> Result<Call<'a>> {
    // SAFETY: by this function's contract; the zero points were checked before they become a slice.
    unsafe {
        let acc_layout = layout("acc_shape", acc_shape, 1)?;
        let (quant, _) = tensor_quant(spec)?;
        let code = match quant.params.format {
            IntFormat::S8 => Code::S8,
            IntFormat::U8 => Code::U8,
            _ => {
                let text = "is not one that sums are requantized to: FEWBIT_S8, FEWBIT_U8";
                return Err(Error::new(Status::InvalidArgument, "spec.dtype", text));
            }
        };
        let how = TensorRequantize { code, granularity: quant.granularity };
        let q_layout = layout("q_shape", q_shape, 1)?;
        let q_range = array("q", q, q_layout.extent())?;
        apart(array("acc", acc, acc_layout.extent())?, q_range)?;
        let zeros = if zero_points.is_null() { 0 } else { count };
        apart(array("zero_points", zero_points, zeros)?, q_range)?;
        let zero_points = slice(zero_points, zeros);
        let threads = Threads::new(parallel_for)?;
        Ok(Call { acc, acc_layout, how, zero_points, threads, q, q_layout, q_range })
    }
}

impl Call<'_> {
    /// # Safety
    /// As the exported functions document.
    unsafe fn run(&self, multipliers: &Multipliers<'_>, supported: Supported) -> Result<()> {
        let parameters = (multipliers, self.zero_points);
        let (acc, q) = ((self.acc, &self.acc_layout), (self.q, &self.q_layout));
        // SAFETY: extents were checked; the rest by this function's contract.
        unsafe { tensor::requantize(acc, &self.how, parameters, q, &self.threads, supported) }
    }
}

/// Requantizes a tensor of int32 sums, float mode, each sum with its own parameter: q =
/// clamp(round_half_even(f32(acc) * multiplier) + zero_point, qmin, qmax), as fewbit_requantize_s32_s8.
///
/// @param[in] acc, acc_shape  The sums; any positive strides.
/// @param[in] spec  dtype (FEWBIT_S8, FEWBIT_U8) and granularity; the rest is checked but not used.
/// @param[in] multipliers  `count` of them, row-major over the grid of blocks: scale_lhs * scale_rhs / scale_q; finite,
///                         not negative.
/// @param[in] zero_points  `count` codes; NULL: all 0.
/// @param[in] count  As fewbit_param_count gives it.
/// @param[in] parallel_for  Threads for large tensors; NULL: the calling one. The result does not depend on them.
/// @param[out] q, q_shape  The codes, of the same dimensions; must not overlap the inputs, nor its elements each other.
/// @param[out] error  May be NULL.
/// @return As fewbit_quantize. q is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize(
    acc: *const i32,
    acc_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    multipliers: *const f32,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    q: *mut core::ffi::c_void,
    q_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        float_entry(error, move |supported| {
            let call =
                call(acc, acc_shape, spec, zero_points, count, parallel_for, q.cast(), q_shape)?;
            apart(array("multipliers", multipliers, count)?, call.q_range)?;
            call.run(&Multipliers::Float(slice(multipliers, count)), supported)
        })
    }
}

/// Requantizes a tensor of int32 sums in integers only, each sum with its own parameter: q = clamp(round(acc *
/// multiplier * 2^(shift - 31)) + zero_point, qmin, qmax), as fewbit_requantize_fixed_s32_s8. The floating-point
/// environment is not touched.
///
/// @param[in] multipliers, shifts  `count` of each, from fewbit_fixed_multiplier; not negative, and -31..30.
/// @param[in] rounding  FEWBIT_FIXED_DOUBLE or FEWBIT_FIXED_SINGLE.
/// @param[in] acc, acc_shape, spec, zero_points, count, parallel_for  As fewbit_requantize.
/// @param[out] q, q_shape  As fewbit_requantize.
/// @param[out] error  May be NULL.
/// @return As fewbit_quantize. q is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize_fixed(
    acc: *const i32,
    acc_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    multipliers: *const i32,
    shifts: *const i32,
    rounding: i32,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    q: *mut core::ffi::c_void,
    q_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        integer_entry(error, move |supported| {
            let call =
                call(acc, acc_shape, spec, zero_points, count, parallel_for, q.cast(), q_shape)?;
            apart(array("multipliers", multipliers, count)?, call.q_range)?;
            apart(array("shifts", shifts, count)?, call.q_range)?;
            let (multipliers, shifts) = (slice(multipliers, count), slice(shifts, count));
            let rounding = fixed_rounding("rounding", rounding)?;
            call.run(&Multipliers::Fixed { multipliers, shifts, rounding }, supported)
        })
    }
}
