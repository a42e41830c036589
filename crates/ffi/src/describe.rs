//! Level 3: what plans tell of themselves.

use crate::boundary::{array, integer_entry};
#[cfg(feature = "conv")]
use crate::conv::fewbit_conv;
use crate::gemm::fewbit_gemm;
use crate::handle::{Handle, plan};
use crate::linear::fewbit_linear;
use crate::plans::{
    FEWBIT_INPUT_CODES, FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_INPUT_DYNAMIC_PER_TENSOR,
    FEWBIT_INPUT_REAL, FEWBIT_INPUT_STATIC,
};
use crate::status::{fewbit_error, fewbit_status};
use crate::tensors::{
    FEWBIT_B1, FEWBIT_BF16, FEWBIT_F16, FEWBIT_F32, FEWBIT_S4, FEWBIT_S8, FEWBIT_S32, FEWBIT_U1,
    FEWBIT_U4, FEWBIT_U8,
};
use crate::version::write_name;
use core::ffi::c_char;
use core::mem::size_of;
use fewbit::scheme::{IntFormat, RealFormat};
use fewbit::{Code, Conv, Error, Gemm, Input, Linear, Output, Result, Status};

/// The input is codes whose parameters come with the run: what fewbit_gemm_describe tells. No description takes it.
pub const FEWBIT_INPUT_CODES_PER_ROW: i32 = 4;

/// What a plan tells of itself. Start from FEWBIT_PLAN_INFO_INIT.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_plan_info {
    /// sizeof(fewbit_plan_info); set by FEWBIT_PLAN_INFO_INIT.
    pub struct_size: usize,
    /// Elements of a row of x: in_features, K; of a convolution those of an input image.
    pub in_features: usize,
    /// Elements of a row of y: out_features, N; of a convolution those of an output image.
    pub out_features: usize,
    /// Weight matrices; of a convolution 1.
    pub matrices: usize,
    /// FEWBIT_INPUT_*.
    pub input_mode: i32,
    /// The type of x, as the caller passes it: codes, or numbers.
    pub input_dtype: i32,
    /// The codes that are multiplied, FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4, FEWBIT_U1 or FEWBIT_B1; with FEWBIT_INPUT_REAL FEWBIT_F32, as which
    /// numbers are.
    pub code_dtype: i32,
    /// The type of y.
    pub output_dtype: i32,
    /// The largest absolute int32 sum that any input can give, proven from the weights; 0 for weights that are numbers.
    pub bound: i64,
    /// Bytes of packed weights.
    pub weight_bytes: usize,
    /// The name of the kernel that multiplies, NUL-terminated.
    pub kernel_name: [c_char; 64],
}

const fn code_dtype(code: Code) -> i32 {
    match code {
        Code::S8 => FEWBIT_S8,
        Code::U8 => FEWBIT_U8,
    }
}

/// Of the formats that inputs have.
const fn format_dtype(format: IntFormat) -> i32 {
    match format {
        IntFormat::B1 => FEWBIT_B1,
        IntFormat::U1 => FEWBIT_U1,
        IntFormat::S4 => FEWBIT_S4,
        IntFormat::U4 => FEWBIT_U4,
        IntFormat::U8 => FEWBIT_U8,
        _ => FEWBIT_S8,
    }
}

const fn real_dtype(real: RealFormat) -> i32 {
    match real {
        RealFormat::F32 => FEWBIT_F32,
        RealFormat::F16 => FEWBIT_F16,
        RealFormat::Bf16 => FEWBIT_BF16,
    }
}

/// Mode, type and codes of an input.
fn of_input(input: Input) -> [i32; 3] {
    match input {
        Input::Codes(code, _) => [FEWBIT_INPUT_CODES, code_dtype(code), code_dtype(code)],
        Input::CodesPerRow(code) => {
            [FEWBIT_INPUT_CODES_PER_ROW, code_dtype(code), code_dtype(code)]
        }
        Input::Packed(format, _) => {
            [FEWBIT_INPUT_CODES, format_dtype(format), format_dtype(format)]
        }
        Input::PackedPerRow(format) => {
            [FEWBIT_INPUT_CODES_PER_ROW, format_dtype(format), format_dtype(format)]
        }
        Input::Static(real, format, _) => {
            [FEWBIT_INPUT_STATIC, real_dtype(real), format_dtype(format)]
        }
        Input::DynamicPerRow(spec) => {
            [FEWBIT_INPUT_DYNAMIC_PER_ROW, real_dtype(spec.real), format_dtype(spec.spec.format)]
        }
        Input::Real(real) => [FEWBIT_INPUT_REAL, real_dtype(real), FEWBIT_F32],
        Input::DynamicPerTensor(spec) => {
            [FEWBIT_INPUT_DYNAMIC_PER_TENSOR, real_dtype(spec.real), format_dtype(spec.spec.format)]
        }
    }
}

fn of_output(output: Output) -> i32 {
    match output {
        Output::S32 => FEWBIT_S32,
        Output::Real(real) => real_dtype(real),
        Output::Codes(code, _) | Output::FixedPoint(code, ..) | Output::DynamicPerRow(code, _) => {
            code_dtype(code)
        }
    }
}

/// What a plan says.
struct Said {
    features: [usize; 3],
    input: Input,
    output: Output,
    bound: i64,
    weight_bytes: usize,
    kernel_name: &'static str,
}

/// A plan that tells of itself.
trait Describe {
    fn said(&self) -> Said;
}

impl Describe for Linear<'static> {
    fn said(&self) -> Said {
        Said {
            features: [self.in_features(), self.out_features(), self.matrices()],
            input: self.input(),
            output: self.output(),
            bound: self.bound(),
            weight_bytes: self.weight_bytes(),
            kernel_name: self.kernel_name(),
        }
    }
}

impl Describe for Conv<'static> {
    fn said(&self) -> Said {
        let (in_elements, out_elements) = self.image_elements();
        Said {
            features: [in_elements, out_elements, 1],
            input: self.input(),
            output: self.output(),
            bound: self.bound(),
            weight_bytes: self.weight_bytes(),
            kernel_name: self.kernel_name(),
        }
    }
}

impl Describe for Gemm<'static> {
    fn said(&self) -> Said {
        let (n, k) = self.shape();
        Said {
            features: [k, n, self.matrices()],
            input: self.input(),
            output: self.output(),
            bound: self.bound(),
            weight_bytes: self.rhs_bytes(),
            kernel_name: self.kernel_name(),
        }
    }
}

/// What every describing function does.
///
/// # Safety
/// As of `fewbit_linear_describe`.
unsafe fn describe<H: Handle<Plan: Describe>>(
    handle: *const H,
    info: *mut fewbit_plan_info,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: by this function's contract.
    unsafe { integer_entry(error, move |_| fill(info, &plan(handle)?.said())) }
}

/// Fills in what is said.
///
/// # Safety
/// `info` is NULL or can be read and written.
unsafe fn fill(info: *mut fewbit_plan_info, said: &Said) -> Result<()> {
    array("info", info, 1)?;
    // SAFETY: by this function's contract.
    let given = unsafe { (*info).struct_size };
    if given < size_of::<fewbit_plan_info>() {
        return Err(Error::new(
            Status::InvalidArgument,
            "info",
            "has struct_size {}, but this library's is {}; initialise it with its _INIT macro",
        )
        .with(given)
        .with(size_of::<fewbit_plan_info>()));
    }
    let [in_features, out_features, matrices] = said.features;
    let [input_mode, input_dtype, code_dtype] = of_input(said.input);
    let mut known = fewbit_plan_info {
        struct_size: given,
        in_features,
        out_features,
        matrices,
        input_mode,
        input_dtype,
        code_dtype,
        output_dtype: of_output(said.output),
        bound: said.bound,
        weight_bytes: said.weight_bytes,
        kernel_name: [0; 64],
    };
    // SAFETY: the array's own place and size; `info` by this function's contract.
    unsafe {
        let name = &raw mut known.kernel_name;
        write_name(said.kernel_name, name.cast(), known.kernel_name.len())?;
        info.write(known);
    }
    Ok(())
}

/// Tells what a linear layer reads, writes and runs.
///
/// @param[in,out] info  Initialised by FEWBIT_PLAN_INFO_INIT. Untouched on error.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_INVALID_ARGUMENT (struct_size),
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_describe(
    linear: *const fewbit_linear,
    info: *mut fewbit_plan_info,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { describe(linear, info, error) }
}

/// Tells what a convolution reads, writes and runs.
///
/// @param[in,out] info, error  As for fewbit_linear_describe.
/// @return As fewbit_linear_describe.
///
/// # Safety
/// As documented.
#[cfg(feature = "conv")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_describe(
    conv: *const fewbit_conv,
    info: *mut fewbit_plan_info,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { describe(conv, info, error) }
}

/// Tells what a product reads, writes and runs.
///
/// @param[in,out] info, error  As for fewbit_linear_describe.
/// @return As fewbit_linear_describe.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_describe(
    gemm: *const fewbit_gemm,
    info: *mut fewbit_plan_info,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { describe(gemm, info, error) }
}
