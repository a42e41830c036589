//! Products of the caller's codes.

use crate::input::Input;
use crate::linear::Layer;
use crate::memory::{Given, Memory, backwards, error, everywhere};
use crate::parts::{BYTES, LHS, bits, codes, rows_extent, told};
use fewbit_ffi::*;
use std::ptr::{NonNull, null, null_mut};

/// A product's description from a layer's.
pub fn desc_of(input: &mut Input, layer: &Layer) -> fewbit_gemm_desc {
    let of = &layer.desc;
    let lhs = if bits(of.weights.dtype) == 1 {
        &[FEWBIT_U1, FEWBIT_B1, FEWBIT_S8, FEWBIT_U8][..]
    } else {
        LHS
    };
    let plain = input.below(4) == 0;
    fewbit_gemm_desc {
        struct_size: if of.struct_size == size_of::<fewbit_linear_desc>() {
            size_of::<fewbit_gemm_desc>()
        } else {
            8
        },
        n: of.out_features,
        k: of.in_features,
        rhs: fewbit_weights {
            block: 0,
            scales: if plain { null() } else { of.weights.scales },
            scale_count: if plain { 0 } else { of.weights.scale_count },
            ..of.weights
        },
        rhs_layout: of.weight_layout,
        lhs_dtype: input.constant(lhs),
        rhs_stride: of.weight_stride,
        matrices: of.matrices,
        matrix_stride: of.matrix_stride,
        bias: of.bias,
        output: of.output,
        allocator: of.allocator,
    }
}

/// A product that is created for each instruction set, and run.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(mut layer) = Layer::new(&mut input) else { return };
    let desc = desc_of(&mut input, &layer);
    let Some(call) = Run::new(&mut input, &desc, &mut layer) else { return };
    let run = || {
        let mut gemm = null_mut();
        let mut error = error();
        // SAFETY: a description whose arrays are as long as it says, or that must be refused.
        let status = unsafe { fewbit_gemm_create(&desc, &raw mut gemm, &raw mut error) };
        Given::new(status, Some(&error), &[]);
        assert_eq!(status != 0, gemm.is_null());
        let Some(gemm) = NonNull::new(gemm) else { return (status, None) };
        let info = told(|info, error| {
            // SAFETY: a live plan.
            unsafe { fewbit_gemm_describe(gemm.as_ptr(), info, error) }
        });
        assert_eq!((info.in_features, info.out_features), (desc.k, desc.n));
        let given = call.on(gemm.as_ptr(), &desc);
        // SAFETY: created, and used no more.
        unsafe { fewbit_gemm_destroy(gemm.as_ptr()) };
        (status, Some(given))
    };
    if layer.refusing {
        drop(run())
    } else {
        check(&everywhere(run), &desc, &call)
    }
    layer.allocator.check_empty();
}

/// What a run is given.
pub struct Run {
    args: fewbit_gemm_args,
    dst_bytes: usize,
    workers: usize,
    threads: bool,
    way: usize,
    cut: [usize; 4],
    small: bool,
    problems: Vec<usize>,
}

impl Run {
    /// Arguments for a product.
    pub fn new(input: &mut Input, desc: &fewbit_gemm_desc, layer: &mut Layer) -> Option<Run> {
        let rows = input.size(7);
        let matrices = desc.matrices.clamp(1, 8);
        let unit = 8usize.div_ceil(bits(desc.lhs_dtype));
        let stride = |input: &mut Input, columns: usize, unit: usize| match input.wrong() {
            true => Some(input.size(100)),
            false => columns.checked_next_multiple_of(unit)?.checked_add(input.below(3) * unit),
        };
        let (lhs_stride, dst_stride) = (stride(input, desc.k, unit)?, stride(input, desc.n, 1)?);
        let all = rows.saturating_mul(matrices);
        let lhs_bytes = rows_extent(all, desc.k, lhs_stride, bits(desc.lhs_dtype)).ok()?;
        let dst_bytes = rows_extent(all, desc.n, dst_stride, bits(desc.output.dtype)).ok()?;
        let lhs: *const u8 = layer.kept.elements(input, desc.lhs_dtype, lhs_bytes.unwrap_or(16));
        let count = |input: &mut Input| match input.wrong() {
            true => input.size(9),
            false => input.pick(&[0, 1, rows, rows.wrapping_mul(matrices)]),
        };
        let (scales, points) = (count(input), count(input));
        let (low, high) = codes(desc.lhs_dtype);
        let args = fewbit_gemm_args {
            struct_size: size_of::<fewbit_gemm_args>(),
            rows,
            lhs: input.pointer(lhs, bits(desc.lhs_dtype).div_ceil(8)).cast(),
            lhs_stride,
            lhs_batch_stride: if input.flag() { 0 } else { rows.wrapping_mul(lhs_stride) },
            lhs_scales: {
                let given = layer.kept.reals(&input.scales(scales.min(4096)));
                input.pointer(given, 4)
            },
            lhs_scale_count: scales,
            lhs_zero_points: {
                let given = layer.kept.integers(&input.zero_points(points.min(4096), low, high));
                input.pointer(given, 4)
            },
            lhs_zero_point_count: points,
            workspace: null_mut(),
            workspace_size: 0,
            dst: null_mut(),
            dst_stride,
            dst_batch_stride: rows.wrapping_mul(dst_stride),
        };
        let mut cut = [0, rows, 0, desc.n];
        for pair in cut.chunks_exact_mut(2) {
            let most = pair[1].min(250);
            pair[0] = if input.wrong() { input.size(50) } else { input.within(0, most / 2) };
            pair[1] = if input.wrong() { input.size(50) } else { input.within(most / 2, most) };
        }
        Some(Run {
            args,
            dst_bytes: dst_bytes.unwrap_or(16),
            workers: if input.wrong() { input.size(5) } else { input.within(1, 4) },
            threads: input.flag(),
            way: input.below(3),
            cut,
            small: input.wrong(),
            problems: (0..input.below(4)).map(|_| input.size(3)).collect(),
        })
    }

    /// Runs a product; what it wrote.
    pub fn on(&self, gemm: *mut fewbit_gemm, desc: &fewbit_gemm_desc) -> Given {
        let threads = backwards(self.workers);
        let (threads, workers) = match self.threads {
            true => (&raw const threads, self.workers),
            false => (null(), 1),
        };
        let (mut size, mut align) = (0usize, 1usize);
        let rows = self.args.rows;
        let mut error = error();
        // SAFETY (of all calls): a live plan; memory of exactly the size that its numbers tell, or arguments that must be
        // refused.
        let status = unsafe {
            match self.way {
                2 => fewbit_gemm_grouped_workspace(
                    gemm,
                    self.problems.len(),
                    rows.saturating_mul(self.problems.len()),
                    workers,
                    &raw mut size,
                    &raw mut align,
                    &raw mut error,
                ),
                _ => fewbit_gemm_workspace(
                    gemm,
                    rows,
                    workers,
                    &raw mut size,
                    &raw mut align,
                    &raw mut error,
                ),
            }
        };
        Given::new(status, Some(&error), &[]);
        if status != 0 || size > 1 << 22 {
            (size, align) = (0, 64);
        }
        let size = size.saturating_sub(usize::from(self.small));
        let space = Memory::new(size, align);
        let lists = if self.way == 2 { self.problems.len().max(1) } else { 1 };
        let parameters = 4 * rows.min(64) * desc.matrices.clamp(1, 8) * lists;
        let (dst, scales, points) = (
            Memory::new(self.dst_bytes * lists, bits(desc.output.dtype).div_ceil(8)),
            Memory::new(parameters, 4),
            Memory::new(parameters, 4),
        );
        let args = fewbit_gemm_args {
            workspace: space.start(),
            workspace_size: size,
            dst: dst.start(),
            ..self.args
        };
        let dynamic = desc.output.quantization == FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
        let problem = |(i, &matrix): (usize, &usize)| fewbit_gemm_problem {
            matrix,
            rows,
            lhs: args.lhs,
            lhs_stride: args.lhs_stride,
            lhs_scales: args.lhs_scales,
            lhs_scale_count: args.lhs_scale_count,
            lhs_zero_points: args.lhs_zero_points,
            lhs_zero_point_count: args.lhs_zero_point_count,
            dst: dst.start::<u8>().wrapping_add(i * self.dst_bytes).cast(),
            dst_stride: args.dst_stride,
        };
        let problems: Vec<fewbit_gemm_problem> =
            self.problems.iter().enumerate().map(problem).collect();
        let [row, row_end, col, col_end] = self.cut;
        let mut error = crate::memory::error();
        let status = unsafe {
            match (self.way, dynamic) {
                (0, false) => fewbit_gemm_run(gemm, &args, threads, &raw mut error),
                (1, false) => fewbit_gemm_run_range(
                    gemm,
                    &args,
                    row,
                    row_end,
                    col,
                    col_end,
                    threads,
                    &raw mut error,
                ),
                (0 | 1, true) => fewbit_gemm_run_dynamic(
                    gemm,
                    &args,
                    scales.start(),
                    points.start(),
                    threads,
                    &raw mut error,
                ),
                (_, false) => fewbit_gemm_run_grouped(
                    gemm,
                    problems.as_ptr(),
                    problems.len(),
                    space.start(),
                    size,
                    threads,
                    &raw mut error,
                ),
                (_, true) => fewbit_gemm_run_grouped_dynamic(
                    gemm,
                    problems.as_ptr(),
                    problems.len(),
                    space.start(),
                    size,
                    scales.start(),
                    points.start(),
                    threads,
                    &raw mut error,
                ),
            }
        };
        Given::new(status, Some(&error), &[&dst, &scales, &points]).unless(self.small)
    }
}

/// Compares sums of one matrix with a definition in i64.
fn check(given: &(fewbit_status, Option<Given>), desc: &fewbit_gemm_desc, call: &Run) {
    let (0, Some(Given { status: 0, outputs })) = given else { return };
    let plain = desc.output.dtype == FEWBIT_S32 && desc.output.activation == 0;
    let bytes = BYTES.contains(&desc.rhs.dtype) && BYTES.contains(&desc.lhs_dtype);
    if !plain || !bytes || call.way != 0 || desc.matrices > 1 {
        return;
    }
    let code = |pointer: *const u8, at: usize, dtype: i32| {
        // SAFETY: the calls read there.
        let byte = unsafe { pointer.add(at).read() };
        if dtype == FEWBIT_U8 { i64::from(byte) } else { i64::from(byte.cast_signed()) }
    };
    let zero = |points: *const i32, count: usize, at: usize| match count {
        0 => 0,
        // SAFETY: as above.
        1 => i64::from(unsafe { points.read() }),
        // SAFETY: as above.
        _ => i64::from(unsafe { points.add(at).read() }),
    };
    let (along, across) = match (desc.rhs_layout, desc.rhs_stride) {
        (FEWBIT_LAYOUT_NK, 0) => (1, desc.k),
        (FEWBIT_LAYOUT_NK, stride) => (1, stride),
        (_, 0) => (desc.n, 1),
        (_, stride) => (stride, 1),
    };
    let args = &call.args;
    for row in 0..args.rows {
        for column in 0..desc.n {
            // SAFETY: as above.
            let bias = match desc.bias.data.is_null() {
                true => 0,
                false => i64::from(unsafe { desc.bias.data.cast::<i32>().add(column).read() }),
            };
            let a_zero = zero(args.lhs_zero_points, args.lhs_zero_point_count, row);
            let w_zero = zero(desc.rhs.zero_points, desc.rhs.zero_point_count, column);
            let term = |i: usize| {
                let a = code(args.lhs.cast(), row * args.lhs_stride + i, desc.lhs_dtype) - a_zero;
                a * (code(desc.rhs.data.cast(), column * across + i * along, desc.rhs.dtype)
                    - w_zero)
            };
            let sum = bias + (0..desc.k).map(term).sum::<i64>();
            let at = 4 * (row * args.dst_stride + column);
            let found = outputs[at..at + 4].try_into().map(i32::from_ne_bytes).unwrap_or_default();
            assert_eq!(sum, i64::from(found), "row {row}, column {column}");
        }
    }
}
