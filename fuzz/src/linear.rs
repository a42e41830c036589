//! Linear layers: created, described, and run in every way.

use crate::input::Input;
use crate::memory::{Allocator, Given, Memory, backwards, error, everywhere};
use crate::parts::{
    BLOCKS, BYTES, DECODED, Kept, LHS, REALS, WEIGHTS, allocator, bias_of, bits, block_of, extent,
    input_of, is_blocks, make_sums, output_of, residual_of, rows_extent, struct_size, told,
    weights,
};
use fewbit_ffi::*;
use std::cell::Cell;
use std::ptr::{NonNull, null, null_mut};

/// A description with what it points to.
pub struct Layer {
    /// The description.
    pub desc: fewbit_linear_desc,
    /// Its arrays.
    pub kept: Kept,
    /// Whether its allocator refuses a call.
    pub refusing: bool,
    /// The allocator.
    pub allocator: Box<Allocator>,
}

impl Layer {
    /// A description with any faults; `None` if it would need more memory than there is here.
    pub fn new(input: &mut Input) -> Option<Layer> {
        let mut kept = Kept::default();
        let real = input.below(4) == 0;
        let types = match if real { input.below(3) } else { 3 } {
            0 => REALS,
            1 => DECODED,
            2 => BLOCKS,
            _ => WEIGHTS,
        };
        let dtype = input.constant(types);
        let few = bits(dtype) == 1;
        let blocks = is_blocks(dtype).then(|| block_of(dtype));
        let (k, n) = match blocks {
            Some((256, ..)) if !input.wrong() => (256, input.extent(10)),
            Some((numbers, ..)) if !input.wrong() => {
                (numbers as usize * input.within(1, 3), input.extent(20))
            }
            _ => (input.extent(if few { 200 } else { 90 }), input.extent(40)),
        };
        let matrices = if input.below(4) == 0 { input.size(3) } else { 1 };
        let codes = !REALS.contains(&dtype) && blocks.is_none();
        let block = if codes && input.below(5) == 0 { input.pick(&[16, 32, 64, 8]) } else { 0 };
        let kn = if blocks.is_some() { input.wrong() } else { input.below(4) == 0 };
        let (rows, columns) = if kn { (k, n) } else { (n, k) };
        let unit = 8usize.div_ceil(bits(dtype));
        let stride = match input.below(3) {
            0 => 0,
            _ if blocks.is_some() && !input.wrong() => 0,
            1 if input.wrong() => input.size(100),
            _ => columns.checked_next_multiple_of(unit)?.checked_add(input.below(3) * unit)?,
        };
        let dense = columns.checked_next_multiple_of(unit).unwrap_or(columns);
        let apart = if stride == 0 { dense } else { stride };
        // Where a matrix ends, and the next one begins: strides of 0 are without gaps.
        let between = if matrices > 1 && input.wrong() { input.size(200) } else { 0 };
        let one = rows_extent(rows, columns, apart, bits(dtype)).ok()?;
        let gap = match between {
            0 => rows as u128 * apart as u128,
            between => between as u128,
        };
        let gap = gap.saturating_mul(bits(dtype) as u128).div_ceil(8);
        let all = one.map_or(Some(16), |one| {
            let bytes = gap.saturating_mul(matrices.max(1) as u128 - 1).saturating_add(one as u128);
            extent(bytes).ok().map(|bytes| bytes.unwrap_or(16))
        })?;
        // Blocks have no strides; what is no whole number of them must be refused.
        let numbers = [k, n, matrices.max(1)]
            .iter()
            .try_fold(1u128, |product, &factor| product.checked_mul(factor as u128));
        let (all, block_scales) = match (blocks, numbers) {
            (Some((of, bytes, scales)), Some(numbers)) => {
                let sized = |each: u128| {
                    extent((numbers / of).saturating_mul(each)).ok().map(|size| size.unwrap_or(16))
                };
                (sized(bytes)?, sized(scales)?)
            }
            _ => (all, 0),
        };
        let block_scales: *const u8 = match block_scales {
            0 if !input.wrong() => null(),
            bytes => {
                let scales = kept.elements(input, FEWBIT_U8, bytes);
                input.pointer(scales, 1)
            }
        };
        let channels = n.wrapping_mul(matrices.max(1));
        let parameters = if block > 0 {
            n.wrapping_mul(k.div_ceil(block as usize)).wrapping_mul(matrices.max(1))
        } else {
            channels
        };
        let modes: &[i32] = match real {
            true => &[FEWBIT_INPUT_REAL],
            false => &[
                FEWBIT_INPUT_CODES,
                FEWBIT_INPUT_STATIC,
                FEWBIT_INPUT_DYNAMIC_PER_ROW,
                FEWBIT_INPUT_DYNAMIC_PER_TENSOR,
            ],
        };
        let bits_too: &[i32] = &[FEWBIT_U1, FEWBIT_B1, FEWBIT_S8, FEWBIT_U8];
        let (mut allocator, refusing) = allocator(input);
        let c = kept.bytes(bytes_of(&allocator.as_c()), 8);
        let mut desc = fewbit_linear_desc {
            struct_size: struct_size::<fewbit_linear_desc>(input),
            in_features: k,
            out_features: n,
            weights: weights(input, &mut kept, dtype, all, parameters, block, block > 0),
            weight_layout: if input.wrong() { input.word().cast_signed() } else { i32::from(kn) },
            arithmetic: if input.wrong() { 4 } else { 0 },
            weight_stride: stride,
            input: input_of(input, modes, if few { bits_too } else { LHS }),
            bias: bias_of(input, &mut kept, channels),
            residual: residual_of(input),
            output: output_of(input),
            allocator: if input.below(4) == 0 && !refusing { null() } else { c },
            matrices,
            matrix_stride: between,
            weight_block_scales: block_scales,
        };
        if input.below(4) == 3 {
            let more = (&mut desc.bias, &mut desc.residual);
            make_sums(&desc.weights, &mut desc.input, more, &mut desc.output);
        }
        Some(Layer { desc, kept, refusing, allocator })
    }
}

/// The bytes of a struct without gaps.
pub fn bytes_of<T>(value: &T) -> &[u8] {
    // SAFETY: pointers and numbers, all of whose bytes are written.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// A layer that is created for each instruction set, and run.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(mut layer) = Layer::new(&mut input) else { return };
    let Some(call) = Run::new(&mut input, &mut layer) else { return };
    let bound = Cell::new(0);
    let run = || {
        let mut linear = null_mut();
        let mut error = error();
        // SAFETY: a description whose arrays are as long as it says, or that must be refused.
        let status = unsafe { fewbit_linear_create(&layer.desc, &raw mut linear, &raw mut error) };
        Given::new(status, Some(&error), &[]);
        assert_eq!(status != 0, linear.is_null());
        let Some(linear) = NonNull::new(linear) else { return (status, None) };
        let info = told(|info, error| {
            // SAFETY: a live plan.
            unsafe { fewbit_linear_describe(linear.as_ptr(), info, error) }
        });
        let desc = &layer.desc;
        assert_eq!((info.in_features, info.out_features), (desc.in_features, desc.out_features));
        assert_eq!((info.input_mode, info.output_dtype), (desc.input.mode, desc.output.dtype));
        bound.set(info.bound);
        let given = call.on(linear.as_ptr(), desc);
        // SAFETY: created, and used no more.
        unsafe { fewbit_linear_destroy(linear.as_ptr()) };
        (status, Some(given))
    };
    // What is refused at the third call may be needed on one instruction set only.
    if layer.refusing {
        drop(run())
    } else {
        check(&everywhere(run), &layer.desc, &call, bound.get())
    }
    layer.allocator.check_empty();
}

/// What a run is given.
pub struct Run {
    rows: usize,
    x: *const u8,
    x_stride: usize,
    residual: *const u8,
    residual_stride: usize,
    y_stride: usize,
    y_bytes: usize,
    workers: usize,
    threads: bool,
    way: usize,
    cut: [usize; 4],
    small: bool,
    problems: Vec<usize>,
}

impl Run {
    /// Arguments for a layer.
    pub fn new(input: &mut Input, layer: &mut Layer) -> Option<Run> {
        let desc = &layer.desc;
        let rows = input.size(7);
        let (k, n) = (desc.in_features, desc.out_features);
        let x_type =
            if desc.input.mode == FEWBIT_INPUT_CODES { desc.input.dtype } else { desc.input.real };
        let unit = 8usize.div_ceil(bits(x_type));
        let stride = |input: &mut Input, columns: usize, unit: usize| match input.wrong() {
            true => Some(input.size(100)),
            false => columns.checked_next_multiple_of(unit)?.checked_add(input.below(3) * unit),
        };
        let (x_stride, y_stride) = (stride(input, k, unit)?, stride(input, n, 1)?);
        let residual_stride = stride(input, n, 1)?;
        // A batch has so many rows behind each other.
        let all = rows.saturating_mul(desc.matrices.clamp(1, 8));
        let x_bytes = rows_extent(all, k, x_stride, bits(x_type)).ok()?;
        let y_bytes = rows_extent(all, n, y_stride, bits(desc.output.dtype)).ok()?;
        let residual_bytes =
            rows_extent(all, n, residual_stride, bits(desc.residual.dtype)).ok()?;
        let x: *const u8 = layer.kept.elements(input, x_type, x_bytes.unwrap_or(16));
        let residual: *const u8 = match desc.residual.present {
            0 => null(),
            _ => layer.kept.elements(input, desc.residual.dtype, residual_bytes.unwrap_or(16)),
        };
        let mut cut = [0, rows, 0, n];
        if input.flag() {
            for pair in cut.chunks_exact_mut(2) {
                let most = pair[1].min(250);
                pair[0] = if input.wrong() { input.size(50) } else { input.within(0, most / 2) };
                pair[1] = if input.wrong() { input.size(50) } else { input.within(most / 2, most) };
            }
        }
        Some(Run {
            rows,
            x: input.pointer(x, bits(x_type).div_ceil(8)),
            x_stride,
            residual: input.pointer(residual, bits(desc.residual.dtype).div_ceil(8)),
            residual_stride,
            y_stride,
            y_bytes: y_bytes.unwrap_or(16),
            workers: if input.wrong() { input.size(5) } else { input.within(1, 4) },
            threads: input.flag(),
            way: input.below(4),
            cut,
            small: input.wrong(),
            problems: (0..input.below(4)).map(|_| input.size(3)).collect(),
        })
    }

    /// Runs a layer; what it wrote.
    pub fn on(&self, linear: *mut fewbit_linear, desc: &fewbit_linear_desc) -> Given {
        let threads = backwards(self.workers);
        let (threads, workers) = match self.threads {
            true => (&raw const threads, self.workers),
            false => (null(), 1),
        };
        let matrices = desc.matrices.max(1);
        let (mut size, mut align) = (0usize, 1usize);
        let mut error = error();
        // SAFETY (of all calls): a live plan; memory of exactly the size that its numbers tell, or arguments that must be
        // refused.
        let status = unsafe {
            match self.way {
                0 | 1 => fewbit_linear_workspace(
                    linear,
                    self.rows,
                    workers,
                    &raw mut size,
                    &raw mut align,
                    &raw mut error,
                ),
                2 => fewbit_linear_batch_workspace(
                    linear,
                    self.rows,
                    workers,
                    &raw mut size,
                    &raw mut align,
                    &raw mut error,
                ),
                _ => fewbit_linear_grouped_workspace(
                    linear,
                    self.problems.len(),
                    self.rows.saturating_mul(self.problems.len()),
                    workers,
                    &raw mut size,
                    &raw mut align,
                    &raw mut error,
                ),
            }
        };
        Given::new(status, Some(&error), &[]);
        if status != 0 || size > 1 << 22 {
            // A run that is refused as well, or that has more workers than there is memory for.
            (size, align) = (0, 64);
        }
        let space = Memory::new(size.saturating_sub(usize::from(self.small)), align);
        let size = size.saturating_sub(usize::from(self.small));
        let bytes = match self.way {
            3 => self.y_bytes * self.problems.len().max(1),
            _ => self.y_bytes,
        };
        let (y, scales, points) = (
            Memory::new(bytes, bits(desc.output.dtype).div_ceil(8)),
            Memory::new(
                4 * self.rows.min(64) * matrices.clamp(1, 8) * self.problems.len().max(1),
                4,
            ),
            Memory::new(
                4 * self.rows.min(64) * matrices.clamp(1, 8) * self.problems.len().max(1),
                4,
            ),
        );
        let dynamic = desc.output.quantization == FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
        let [row, row_end, col, col_end] = self.cut;
        let (x, residual) = (self.x.cast(), self.residual.cast());
        let batch = fewbit_linear_batch {
            struct_size: size_of::<fewbit_linear_batch>(),
            rows: self.rows,
            x,
            x_stride: self.x_stride,
            x_batch_stride: self.rows.wrapping_mul(self.x_stride),
            residual,
            residual_stride: self.residual_stride,
            residual_batch_stride: self.rows.wrapping_mul(self.residual_stride),
            y: y.start(),
            y_stride: self.y_stride,
            y_batch_stride: self.rows.wrapping_mul(self.y_stride),
            workspace: space.start(),
            workspace_size: size,
        };
        let problem = |(i, &matrix): (usize, &usize)| fewbit_linear_problem {
            matrix,
            rows: self.rows,
            x,
            x_stride: self.x_stride,
            residual,
            residual_stride: self.residual_stride,
            y: y.start::<u8>().wrapping_add(i * self.y_bytes).cast(),
            y_stride: self.y_stride,
        };
        let problems: Vec<fewbit_linear_problem> =
            self.problems.iter().enumerate().map(problem).collect();
        let mut error = crate::memory::error();
        let (x_stride, y_stride, residual_stride) =
            (self.x_stride, self.y_stride, self.residual_stride);
        let status = unsafe {
            match (self.way, dynamic) {
                (0, false) => fewbit_linear_run(
                    linear,
                    self.rows,
                    x,
                    x_stride,
                    space.start(),
                    size,
                    threads,
                    y.start(),
                    y_stride,
                    &raw mut error,
                ),
                (0 | 1, true) => fewbit_linear_run_dynamic(
                    linear,
                    self.rows,
                    x,
                    x_stride,
                    residual,
                    residual_stride,
                    space.start(),
                    size,
                    threads,
                    y.start(),
                    y_stride,
                    scales.start(),
                    points.start(),
                    row,
                    row_end,
                    &raw mut error,
                ),
                (1, false) => fewbit_linear_run_range(
                    linear,
                    self.rows,
                    x,
                    x_stride,
                    residual,
                    residual_stride,
                    space.start(),
                    size,
                    threads,
                    y.start(),
                    y_stride,
                    row,
                    row_end,
                    col,
                    col_end,
                    &raw mut error,
                ),
                (2, false) => fewbit_linear_run_batch(linear, &batch, threads, &raw mut error),
                (2, true) => fewbit_linear_run_batch_dynamic(
                    linear,
                    &batch,
                    scales.start(),
                    points.start(),
                    threads,
                    &raw mut error,
                ),
                (_, false) => fewbit_linear_run_grouped(
                    linear,
                    problems.as_ptr(),
                    problems.len(),
                    space.start(),
                    size,
                    threads,
                    &raw mut error,
                ),
                (_, true) => fewbit_linear_run_grouped_dynamic(
                    linear,
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
        Given::new(status, Some(&error), &[&y, &scales, &points]).unless(self.small)
    }
}

/// Compares sums of one matrix with a definition in i64, and with the bound that the plan told.
fn check(
    given: &(fewbit_status, Option<Given>),
    desc: &fewbit_linear_desc,
    call: &Run,
    bound: i64,
) {
    let (0, Some(Given { status: 0, outputs })) = given else { return };
    let plain = desc.output.dtype == FEWBIT_S32
        && desc.output.activation == 0
        && desc.residual.present == 0;
    let bytes = BYTES.contains(&desc.weights.dtype) && BYTES.contains(&desc.input.dtype);
    if !plain
        || !bytes
        || desc.input.mode != FEWBIT_INPUT_CODES
        || call.way != 0
        || desc.matrices > 1
    {
        return;
    }
    let (k, n) = (desc.in_features, desc.out_features);
    let code = |pointer: *const u8, at: usize, dtype: i32| {
        // SAFETY: the calls read there.
        let byte = unsafe { pointer.add(at).read() };
        if dtype == FEWBIT_U8 { i64::from(byte) } else { i64::from(byte.cast_signed()) }
    };
    let (along, across) = match (desc.weight_layout, desc.weight_stride) {
        (FEWBIT_LAYOUT_NK, 0) => (1, k),
        (FEWBIT_LAYOUT_NK, stride) => (1, stride),
        (_, 0) => (n, 1),
        (_, stride) => (stride, 1),
    };
    for row in 0..call.rows {
        for column in 0..n {
            // SAFETY: as above.
            let zero = match desc.weights.zero_point_count {
                0 => 0,
                1 => unsafe { desc.weights.zero_points.read() },
                _ => unsafe { desc.weights.zero_points.add(column).read() },
            };
            // SAFETY: as above.
            let bias = match desc.bias.data.is_null() {
                true => 0,
                false => i64::from(unsafe { desc.bias.data.cast::<i32>().add(column).read() }),
            };
            let term = |i: usize| {
                let a = code(call.x, row * call.x_stride + i, desc.input.dtype)
                    - i64::from(desc.input.params.zero_point);
                let w =
                    code(desc.weights.data.cast(), column * across + i * along, desc.weights.dtype)
                        - i64::from(zero);
                a * w
            };
            let sum = bias + (0..k).map(term).sum::<i64>();
            assert!(sum.abs() <= bound, "{sum} is beyond the bound {bound}");
            let at = 4 * (row * call.y_stride + column);
            let found = outputs[at..at + 4].try_into().map(i32::from_ne_bytes).unwrap_or_default();
            assert_eq!(sum, i64::from(found), "row {row}, column {column}");
        }
    }
}
