//! What lies between layers: pooling, sums and products, concatenation.

use crate::input::Input;
use crate::memory::{Given, Memory, backwards, error, everywhere};
use crate::parts::{BYTES, bits, extent, params, struct_size};
use fewbit_ffi::*;
use std::ptr::null;

/// One call of one function.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(3) {
        0 => pooled(&mut input),
        1 => binary(&mut input),
        _ => concatenated(&mut input),
    }
}

fn pooled(input: &mut Input) {
    let spatial = if input.wrong() { input.size(5) } else { input.pick(&[2, 1, 2, 3]) };
    let longest = [40, 14, 6][spatial.clamp(1, 3) - 1];
    let mut axis = || fewbit_conv_axis {
        size: input.extent(longest),
        kernel: input.extent(5),
        stride: if input.flag() { 1 } else { input.size(3) },
        dilation: if input.flag() { 1 } else { input.size(3) },
        pad_begin: if input.flag() { 0 } else { input.size(3) },
        pad_end: if input.flag() { 0 } else { input.size(3) },
    };
    let axes = [axis(), axis(), axis()];
    let dtype = input.constant(BYTES);
    let desc = fewbit_pool_desc {
        struct_size: struct_size::<fewbit_pool_desc>(input),
        spatial,
        axes,
        channels: input.extent(40),
        layout: input.constant(&[FEWBIT_LAYOUT_NHWC, FEWBIT_LAYOUT_NCHW]),
        dtype,
        ceil_mode: input.constant(&[0, 1]),
        count_include_pad: input.constant(&[0, 1]),
        average: input.constant(&[FEWBIT_AVERAGE_NUMBERS, FEWBIT_AVERAGE_CODES]),
        x_params: params(input, dtype),
        y_params: params(input, dtype),
    };
    let images = if input.wrong() { input.size(3) } else { input.below(3) };
    let global = input.flag();
    let (mut dims, mut inside, mut outside) = ([0usize; 3], 0usize, 0usize);
    let mut error = error();
    // SAFETY: a description, and five numbers to write.
    let status = unsafe {
        fewbit_pool_dims(
            &desc,
            dims.as_mut_ptr(),
            &raw mut inside,
            &raw mut outside,
            &raw mut error,
        )
    };
    Given::new(status, Some(&error), &[]);
    if status != 0 || global {
        // Of global pooling only the sizes count.
        let used = &desc.axes[..spatial.clamp(1, 3)];
        let pixels = used.iter().try_fold(1u128, |all, axis| all.checked_mul(axis.size as u128));
        let elements = pixels.and_then(|pixels| pixels.checked_mul(desc.channels as u128));
        match elements.map_or(Ok(None), extent) {
            Ok(elements) => inside = elements.unwrap_or(usize::MAX),
            Err(()) => return,
        }
        outside = desc.channels;
    }
    let sized = |elements: usize| extent(elements as u128 * images as u128);
    let (Ok(x_size), Ok(y_size)) = (sized(inside), sized(outside)) else { return };
    let x = Memory::of(&input.codes(x_size.unwrap_or(16)), 1);
    let from = input.pointer(x.start::<u8>(), 1);
    let threads = backwards(input.within(1, 3));
    let threads = if input.flag() { &raw const threads } else { null() };
    let maximum = input.flag();
    let given = everywhere(|| {
        let y = Memory::new(y_size.unwrap_or(16), 1);
        let mut error = crate::memory::error();
        let (x, to) = (from.cast(), y.start());
        // SAFETY: memory of exactly the size that shapes tell, or arguments that must be refused.
        let status = unsafe {
            match (maximum, global) {
                (true, false) => fewbit_max_pool(&desc, images, x, threads, to, &raw mut error),
                (true, true) => {
                    fewbit_global_max_pool(&desc, images, x, threads, to, &raw mut error)
                }
                (false, false) => {
                    fewbit_average_pool(&desc, images, x, threads, to, &raw mut error)
                }
                (false, true) => {
                    fewbit_global_average_pool(&desc, images, x, threads, to, &raw mut error)
                }
            }
        };
        Given::new(status, Some(&error), &[&y])
    });
    if given.status == 0 && maximum && global && desc.layout == FEWBIT_LAYOUT_NCHW && images > 0 {
        let codes = |bytes: &[u8]| match dtype {
            FEWBIT_U8 => bytes.iter().copied().max(),
            _ => bytes.iter().max_by_key(|byte| byte.cast_signed()).copied(),
        };
        let planes = x.bytes().chunks_exact(inside / desc.channels);
        assert!(
            planes.map(codes).eq(given.outputs.iter().map(|&q| Some(q))),
            "the largest of each plane"
        );
    }
}

fn binary(input: &mut Input) {
    let dtype = input.constant(BYTES);
    let b_rows = input.extent(3);
    let columns = input.size(70);
    let rows = if input.wrong() { input.size(9) } else { b_rows.wrapping_mul(input.below(4)) };
    let desc = fewbit_binary_desc {
        struct_size: struct_size::<fewbit_binary_desc>(input),
        rows,
        columns,
        b_rows,
        b_columns: if input.wrong() { input.size(70) } else { input.pick(&[1, columns]) },
        dtype,
        fixed_point: input.constant(&[0, 1]),
        a: params(input, dtype),
        b: params(input, dtype),
        y: params(input, dtype),
        activation: input.constant(&[
            FEWBIT_ACTIVATION_NONE,
            FEWBIT_ACTIVATION_RELU,
            FEWBIT_ACTIVATION_CLAMP,
        ]),
        alpha: input.real(),
        beta: input.real(),
    };
    let size = |rows: usize, columns: usize| extent(rows as u128 * columns as u128);
    let (Ok(a_size), Ok(b_size)) = (size(rows, columns), size(b_rows, desc.b_columns)) else {
        return;
    };
    let a = Memory::of(&input.codes(a_size.unwrap_or(16)), 1);
    let b = Memory::of(&input.codes(b_size.unwrap_or(16)), 1);
    let (from, other) = (input.pointer(a.start::<u8>(), 1), input.pointer(b.start::<u8>(), 1));
    let threads = backwards(input.within(1, 3));
    let threads = if input.flag() { &raw const threads } else { null() };
    let multiply = input.flag();
    everywhere(|| {
        let y = Memory::new(a_size.unwrap_or(16), bits(dtype) / 8);
        let mut error = error();
        // SAFETY: as above.
        let status = unsafe {
            match multiply {
                true => fewbit_multiply(
                    &desc,
                    from.cast(),
                    other.cast(),
                    threads,
                    y.start(),
                    &raw mut error,
                ),
                false => {
                    fewbit_add(&desc, from.cast(), other.cast(), threads, y.start(), &raw mut error)
                }
            }
        };
        Given::new(status, Some(&error), &[&y])
    });
}

fn concatenated(input: &mut Input) {
    let dtype = input.constant(BYTES);
    let (outer, inner) = (input.size(4), input.size(9));
    let count = input.below(5);
    let mut kept = Vec::new();
    let mut pieces = Vec::new();
    let mut all = 0u128;
    for _ in 0..count {
        let len = input.size(12);
        let elements = (outer as u128)
            .checked_mul(inner as u128)
            .and_then(|each| each.checked_mul(len as u128));
        let Ok(size) = elements.map_or(Ok(None), extent) else { return };
        all = all.saturating_add(elements.unwrap_or(u128::MAX));
        let x = Memory::of(&input.codes(size.unwrap_or(16)), 1);
        let from = input.pointer(x.start::<u8>(), 1);
        let from = if size == Some(0) { null() } else { from };
        pieces.push(fewbit_concat_piece { x: from.cast(), len, params: params(input, dtype) });
        kept.push(x);
    }
    let Ok(size) = extent(all) else { return };
    let to = params(input, dtype);
    let list = input.pointer(pieces.as_ptr(), 8);
    let threads = backwards(input.within(1, 3));
    let threads = if input.flag() { &raw const threads } else { null() };
    everywhere(|| {
        let y = Memory::new(size.unwrap_or(16), 1);
        let mut error = error();
        // SAFETY: as above.
        let status = unsafe {
            fewbit_concat(list, count, outer, inner, dtype, &to, threads, y.start(), &raw mut error)
        };
        Given::new(status, Some(&error), &[&y])
    });
}
