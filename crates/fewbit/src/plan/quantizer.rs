//! The quantization of real inputs inside a run.

use super::{Code, DynamicSpec, Input, Output, each};
use crate::{Error, Parallel, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::Rows;
use fewbit_kernels::pack::{self, PackFn};
use fewbit_kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit_kernels::reduce::{self, MinMaxFn};
use fewbit_kernels::registry::{Bound, best};
use fewbit_scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, RealFormat, params_from_range, real,
};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// Rows that one call quantizes at most, ...
const GROUP: usize = 32;
/// ... and their bytes, which are read for their ranges first: they stay in the first cache.
const GROUP_BYTES: usize = 16 << 10;

/// Rows of a task, of `rows` rows of so many bytes each: about four tasks a worker, if there are several.
fn group_of(rows: usize, bytes: usize, workers: usize) -> usize {
    let fitting = GROUP_BYTES.checked_div(bytes).unwrap_or(GROUP);
    let share = if workers > 1 { rows.div_ceil(workers.saturating_mul(4)) } else { GROUP };
    fitting.min(share).clamp(1, GROUP)
}

/// Quantizes rows with fixed parameters, or with parameters of each row or of all. The codes are those of
/// the input, moved by 128 where the tile reads bytes of the other signedness. Or makes bytes of packed codes.
pub(crate) struct Quantizer {
    input: Input,
    /// What is added to codes and zero points.
    shift: i32,
    quantize: Bound<QuantizeFn>,
    min_max: Bound<MinMaxFn>,
    unpack: Bound<PackFn>,
}

/// Where codes and, if they are chosen in the run, their parameters go.
#[derive(Clone, Copy)]
pub(crate) struct Codes {
    pub codes: *mut u8,
    /// Distance of the rows' first codes.
    pub stride: usize,
    /// A scale a row.
    pub scales: *mut f32,
    /// A zero point a row; NULL: not wanted.
    pub zero_points: *mut i32,
}

impl Codes {
    /// The places of a row's parameters.
    pub(crate) fn of_row(&self, row: usize) -> (*mut f32, *mut i32) {
        let zero_point = match self.zero_points.is_null() {
            true => self.zero_points,
            false => self.zero_points.wrapping_add(row),
        };
        (self.scales.wrapping_add(row), zero_point)
    }
}

/// Pointers that tasks share.
struct Shared {
    x: *const u8,
    out: Codes,
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
        let nibbles = if input.format() == IntFormat::U4 { pack::U4_U8 } else { pack::S4_S8 };
        Ok(Quantizer {
            input,
            shift: code.format().qmin() - input.code().format().qmin(),
            quantize: best(rows, supported).ok_or(internal)?,
            min_max: best(ranges, supported).ok_or(internal)?,
            unpack: best(nibbles, supported).ok_or(internal)?,
        })
    }

    /// What quantizes f32 results with parameters of each row, if that is what the output says.
    pub(crate) fn of_output(output: Output, supported: Supported) -> Result<Option<Quantizer>> {
        let Some((code, spec)) = output.dynamic() else { return Ok(None) };
        let form = if code.is_unsigned() { LhsForm::U8 } else { LhsForm::S8 };
        let input = Input::DynamicPerRow(DynamicSpec { real: RealFormat::F32, code, spec });
        Quantizer::new(input, form, supported).map(Some)
    }

    /// Whether parameters are chosen in the run: then each row has a place for its own.
    pub(crate) fn is_dynamic(&self) -> bool {
        matches!(self.input, Input::DynamicPerRow(_) | Input::DynamicPerTensor(_))
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
    /// parameters if they are dynamic; or unpacks them. Does nothing for an input of codes that are multiplied as they are.
    ///
    /// # Safety
    /// `x.0` can be read for `rows` rows of `k` numbers, `x.1` apart (all of them if the parameters are
    /// of the whole tensor); `out` holds, for each of the range's rows, `k` codes, a scale and a zero point
    /// (the latter two if dynamic, the last unless NULL).
    pub(crate) unsafe fn prepare(
        &self,
        x: (*const u8, usize),
        (rows, k): (usize, usize),
        range: Range<usize>,
        out: Codes,
        parallel: &dyn Parallel,
    ) {
        if !self.input.is_prepared() {
            return;
        }
        let stride = self.input.bytes(x.1);
        let shared = Shared { x: x.0, out };
        // SAFETY: by this function's contract.
        let whole = unsafe { self.whole(x, (rows, k)) };
        let group = group_of(range.len(), self.input.bytes(k), parallel.max_workers());
        each(parallel, range.len().div_ceil(group), |task| {
            let shared = &shared;
            let (first, out) = (range.start + task * group, shared.out);
            let count = group.min(range.end - first);
            // SAFETY: the rows exist on both sides, by this function's contract, and each task has
            // its own.
            unsafe {
                self.quantize_rows(
                    whole,
                    (shared.x.add(first * stride), x.1, k),
                    (out.codes.add(first * out.stride), out.stride),
                    out.of_row(first),
                    count,
                );
            }
        });
    }

    /// The parameters that all rows of a matrix of `rows` rows of `k` share, if they do.
    ///
    /// # Safety
    /// As [`prepare`](Quantizer::prepare).
    pub(crate) unsafe fn whole(
        &self,
        x: (*const u8, usize),
        (rows, k): (usize, usize),
    ) -> Option<QuantParams> {
        let Input::DynamicPerTensor(dynamic) = self.input else { return self.input.fixed_params() };
        let stride = x.1.wrapping_mul(self.input.element_size());
        let range = (0..rows).fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), row| {
            // SAFETY: row `row` of k values, by this function's contract.
            let (l, h) = unsafe { self.min_max.run()(x.0.add(row * stride), 1, k) };
            (real::min(low, l), real::max(high, h))
        });
        Some(params_of(range, &dynamic.spec))
    }

    /// Quantizes a row with the parameters that all share, or with its own. Stores them if they are dynamic. Or unpacks it.
    ///
    /// # Safety
    /// `from` can be read for `from.1` numbers of a real input, or packed codes; that many codes, and if the parameters are dynamic one
    /// of each (no zero point at NULL), can be written.
    pub(crate) unsafe fn quantize_row(
        &self,
        whole: Option<QuantParams>,
        (from, k): (*const u8, usize),
        codes: *mut u8,
        params: (*mut f32, *mut i32),
    ) {
        // SAFETY: by this function's contract.
        unsafe { self.quantize_rows(whole, (from, k, k), (codes, k), params, 1) }
    }

    /// `count <= GROUP` rows as [`quantize_row`](Quantizer::quantize_row), with one call of the kernel: what it does before its
    /// first element costs as much as a hundred elements. Strides are in elements and codes.
    ///
    /// # Safety
    /// As [`quantize_row`](Quantizer::quantize_row), of each row.
    unsafe fn quantize_rows(
        &self,
        whole: Option<QuantParams>,
        (from, from_stride, k): (*const u8, usize, usize),
        (codes, codes_stride): (*mut u8, usize),
        (scales_at, zero_points_at): (*mut f32, *mut i32),
        count: usize,
    ) {
        let format = self.input.format();
        let stride = self.input.bytes(from_stride);
        if self.input.is_nibbles() {
            for row in 0..count {
                // SAFETY: by this function's contract.
                unsafe {
                    self.unpack_row((from.add(row * stride), k), codes.add(row * codes_stride))
                }
            }
            return;
        }
        // Not filled: a single short row would pay for it.
        let mut scales = [const { MaybeUninit::<f32>::uninit() }; GROUP];
        let mut zero_points = [const { MaybeUninit::<i32>::uninit() }; GROUP];
        for (row, (scale, zero_point)) in
            scales.iter_mut().zip(&mut zero_points).take(count).enumerate()
        {
            let params = match (whole, self.input) {
                (Some(params), _) => params,
                (None, Input::DynamicPerRow(dynamic)) => {
                    // SAFETY: by this function's contract.
                    let range = unsafe { self.min_max.run()(from.add(row * stride), 1, k) };
                    params_of(range, &dynamic.spec)
                }
                (None, _) => return,
            };
            scale.write(params.scale);
            zero_point.write(params.zero_point + self.shift);
        }
        let (scales, zero_points) = (scales.as_ptr().cast::<f32>(), zero_points.as_ptr().cast());
        // SAFETY: by this function's contract; the parameters of `count <= GROUP` rows are written.
        unsafe {
            if self.is_dynamic() {
                scales_at.copy_from_nonoverlapping(scales, count.min(GROUP));
                if !zero_points_at.is_null() {
                    zero_points_at.copy_from_nonoverlapping(zero_points, count.min(GROUP));
                }
            }
            self.quantize.run()(&QuantizeArgs {
                src: from,
                src_stride: 1,
                dst: codes,
                dst_stride: 1,
                n: k,
                scales,
                zero_points,
                param_step: 0,
                rows: Rows {
                    count,
                    src_stride: from_stride,
                    dst_stride: codes_stride,
                    param_stride: 1,
                },
                mode: QuantizeMode::default(),
                clamp: (format.qmin() + self.shift, format.qmax() + self.shift),
            });
        }
    }

    /// Makes bytes of a row of packed codes.
    ///
    /// # Safety
    /// `from` can be read for `k` codes of four bits, and as many bytes written at `codes`.
    unsafe fn unpack_row(&self, (from, k): (*const u8, usize), codes: *mut u8) {
        // SAFETY: by this function's contract; the last code of an odd number is unpacked with its neighbour, which is
        // left where it was.
        unsafe {
            self.unpack.run()(from, codes, k / 2);
            if k % 2 == 1 {
                let mut last = [0; 2];
                self.unpack.run()(from.add(k / 2), last.as_mut_ptr(), 1);
                codes.add(k - 1).write(last[0]);
            }
        }
    }
}

/// The signedness of the codes that a tile is given: for a real input that of the tile, so that the codes
/// can be multiplied where they are.
pub(crate) fn stored_code(input: &Input, form: LhsForm) -> Code {
    match (input.is_real(), form) {
        (true, LhsForm::U8) => Code::U8,
        (true, LhsForm::S8 | LhsForm::S8x8 | LhsForm::S8x16 | LhsForm::S8x32) => Code::S8,
        _ => input.code(),
    }
}

/// Parameters of an observed range, which is never refused: it has no NaN and is in order or empty.
fn params_of((low, high): (f32, f32), spec: &ParamSpec) -> QuantParams {
    params_from_range(low, high, spec).unwrap_or(QuantParams { scale: 1.0, zero_point: 0 })
}
