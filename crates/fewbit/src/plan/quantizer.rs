//! The quantization of real inputs inside a run.

use super::{Code, Input, each};
use crate::{Error, Parallel, Result, Status};
use core::ops::Range;
use fewbit_kernels::Rows;
use fewbit_kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit_kernels::reduce::{self, MinMaxFn};
use fewbit_kernels::registry::{Bound, best};
use fewbit_scheme::{ParamSpec, QuantParams, QuantizeMode, RealFormat, params_from_range, real};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// Quantizes rows with fixed parameters, or with parameters of each row or of all. The codes are those of
/// the input, moved by 128 where the tile reads bytes of the other signedness.
pub(crate) struct Quantizer {
    input: Input,
    /// What is added to codes and zero points.
    shift: i32,
    quantize: Bound<QuantizeFn>,
    min_max: Bound<MinMaxFn>,
}

/// Pointers that tasks share.
struct Shared {
    x: *const u8,
    codes: *mut u8,
    scales: *mut f32,
    zero_points: *mut i32,
}
// SAFETY: tasks read `x` and write disjoint rows of the rest.
unsafe impl Sync for Shared {}

impl Quantizer {
    pub(crate) fn new(input: Input, form: LhsForm, supported: Supported) -> Result<Quantizer> {
        let internal = Error::new(Status::Internal, "plan", "found no kernel");
        let code = stored_code(&input, form);
        let real = input.real().unwrap_or(RealFormat::F32);
        let (signed, unsigned, ranges) = match real {
            RealFormat::F32 => (quantize::F32_S8, quantize::F32_U8, reduce::MIN_MAX),
            RealFormat::F16 => (quantize::F16_S8, quantize::F16_U8, reduce::MIN_MAX_F16),
            RealFormat::Bf16 => (quantize::BF16_S8, quantize::BF16_U8, reduce::MIN_MAX_BF16),
        };
        let rows = if code.is_unsigned() { unsigned } else { signed };
        Ok(Quantizer {
            input,
            shift: code.format().qmin() - input.code().format().qmin(),
            quantize: best(rows, supported).ok_or(internal)?,
            min_max: best(ranges, supported).ok_or(internal)?,
        })
    }

    /// Whether parameters are chosen in the run: then each row has a place for its own.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.input.fixed_params().is_none()
    }

    /// A row's scale and zero point.
    ///
    /// # Safety
    /// For a dynamic input, both arrays hold the row's parameters.
    pub(crate) unsafe fn row(
        &self,
        scales: *const f32,
        zero_points: *const i32,
        row: usize,
    ) -> (f32, i32) {
        match self.input.fixed_params() {
            Some(params) => (params.scale, params.zero_point + self.shift),
            // SAFETY: by this function's contract.
            None => unsafe { (scales.add(row).read(), zero_points.add(row).read()) },
        }
    }

    /// Quantizes the rows of a range of a matrix of `rows` rows of `k`, and stores their
    /// parameters if they are dynamic. Does nothing for an input of codes.
    ///
    /// # Safety
    /// `x.0` can be read for `rows` rows of `k` numbers, `x.1` apart (all of them if the parameters are
    /// of the whole tensor); `out` holds, for each of the rows, `k` codes, a scale and a zero point
    /// (the latter two if dynamic).
    pub(crate) unsafe fn prepare(
        &self,
        x: (*const u8, usize),
        (rows, k): (usize, usize),
        range: Range<usize>,
        out: (*mut u8, *mut f32, *mut i32),
        parallel: &dyn Parallel,
    ) {
        if !self.input.is_real() {
            return;
        }
        let stride = x.1.wrapping_mul(self.input.element_size());
        let format = self.input.code().format();
        let shared = Shared { x: x.0, codes: out.0, scales: out.1, zero_points: out.2 };
        let spec = match self.input {
            Input::DynamicPerRow(dynamic) | Input::DynamicPerTensor(dynamic) => Some(dynamic.spec),
            _ => None,
        };
        let whole = match (self.input, spec) {
            (Input::DynamicPerTensor(_), Some(spec)) => {
                let range =
                    (0..rows).fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), row| {
                        // SAFETY: row `row` of k values, by this function's contract.
                        let (l, h) =
                            unsafe { self.min_max.run()(shared.x.add(row * stride), 1, k) };
                        (real::min(low, l), real::max(high, h))
                    });
                Some(params_of(range, &spec))
            }
            _ => self.input.fixed_params(),
        };
        each(parallel, range.len(), |task| {
            let shared = &shared;
            let row = range.start + task;
            // SAFETY: the row exists on both sides, by this function's contract, and each task has
            // its own.
            unsafe {
                let from = shared.x.add(row * stride);
                let QuantParams { scale, zero_point } = match (whole, spec) {
                    (Some(params), _) => params,
                    (None, Some(spec)) => params_of(self.min_max.run()(from, 1, k), &spec),
                    (None, None) => return,
                };
                let zero_point = zero_point + self.shift;
                if self.is_dynamic() {
                    shared.scales.add(row).write(scale);
                    shared.zero_points.add(row).write(zero_point);
                }
                self.quantize.run()(&QuantizeArgs {
                    src: from,
                    src_stride: 1,
                    dst: shared.codes.add(row * k),
                    dst_stride: 1,
                    n: k,
                    scales: &scale,
                    zero_points: &zero_point,
                    param_step: 0,
                    rows: Rows::ONE,
                    mode: QuantizeMode::default(),
                    clamp: (format.qmin() + self.shift, format.qmax() + self.shift),
                });
            }
        });
    }
}

/// The signedness of the codes that a tile is given: for a real input that of the tile, so that the codes
/// can be multiplied where they are.
pub(crate) fn stored_code(input: &Input, form: LhsForm) -> Code {
    match (input.is_real(), form) {
        (true, LhsForm::U8) => Code::U8,
        (true, LhsForm::S8 | LhsForm::S8x8) => Code::S8,
        _ => input.code(),
    }
}

/// Parameters of an observed range, which is never refused: it has no NaN and is in order or empty.
fn params_of((low, high): (f32, f32), spec: &ParamSpec) -> QuantParams {
    params_from_range(low, high, spec).unwrap_or(QuantParams { scale: 1.0, zero_point: 0 })
}
