//! Level 2: tensors of any shape, strides and granularity.

use crate::input::Input;
use crate::memory::{Given, Memory, backwards, error, everywhere};
use crate::parts::{Kept, REALS, bits, codes, extent, struct_size};
use fewbit_ffi::*;

const CODES: &[i32] =
    &[FEWBIT_S8, FEWBIT_U8, FEWBIT_S16, FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1, FEWBIT_B1];

/// How a tensor of a rank is quantized.
pub fn spec_of(input: &mut Input, rank: usize) -> fewbit_tensor_quant {
    let axis = |input: &mut Input| {
        if input.wrong() { input.size(9) } else { input.below(rank.clamp(1, 8)) }
    };
    fewbit_tensor_quant {
        struct_size: struct_size::<fewbit_tensor_quant>(input),
        dtype: input.constant(CODES),
        scheme: input.constant(&[FEWBIT_SCHEME_AFFINE, FEWBIT_SCHEME_SYMMETRIC]),
        range: input.constant(&[FEWBIT_RANGE_NARROW, FEWBIT_RANGE_FULL]),
        power_of_two: input.constant(&[0, 0, 1]),
        rounding: input.constant(&[
            FEWBIT_ROUND_HALF_EVEN,
            FEWBIT_ROUND_HALF_EVEN,
            FEWBIT_ROUND_HALF_AWAY,
        ]),
        quotient: input.constant(&[
            FEWBIT_QUOTIENT_DIVIDE,
            FEWBIT_QUOTIENT_DIVIDE,
            FEWBIT_QUOTIENT_MULTIPLY,
        ]),
        granularity: input.constant(&[
            FEWBIT_PER_TENSOR,
            FEWBIT_PER_AXIS,
            FEWBIT_PER_BLOCK,
            FEWBIT_PER_BLOCK2,
        ]),
        real: input.constant(REALS),
        axis: axis(input),
        block: input.extent(5),
        axis2: axis(input),
        block2: input.extent(5),
    }
}

/// Dimensions of up to four axes, without strides.
pub fn dims(input: &mut Input) -> fewbit_shape {
    let mut shape = fewbit_shape {
        struct_size: struct_size::<fewbit_shape>(input),
        rank: if input.wrong() { input.size(12) } else { input.below(5) },
        dims: [0; 8],
        strides: [0; 8],
    };
    let longest = [120, 20, 8, 5][shape.rank.clamp(1, 4) - 1];
    for dim in shape.dims.iter_mut().take(shape.rank.min(8)) {
        *dim = if input.below(16) == 15 { input.size(1) } else { input.extent(longest) };
    }
    shape
}

/// The same dimensions with strides: none, in another order, with gaps, or any.
pub fn strided(input: &mut Input, of: &fewbit_shape, bits: usize) -> fewbit_shape {
    let mut shape = *of;
    let rank = shape.rank.min(8);
    match input.below(4) {
        0 => {
            // Any order of axes, with gaps that codes of less than a byte can have.
            let mut order: Vec<usize> = (0..rank).collect();
            for i in (1..rank.saturating_sub(usize::from(bits < 8))).rev() {
                order.swap(i, input.below(i + 1));
            }
            let unit = 8usize.div_ceil(bits); // codes of a byte
            let mut stride = 1usize;
            for &axis in order.iter().rev() {
                shape.strides[axis] = stride;
                stride = stride.wrapping_mul(shape.dims[axis]).wrapping_add(input.below(3));
                stride = stride.wrapping_add(unit - 1) / unit * unit;
            }
        }
        1 if input.wrong() => {
            shape.strides.iter_mut().take(rank).for_each(|stride| *stride = input.size(60))
        }
        _ => {}
    }
    if input.wrong() {
        shape.dims[input.below(8)] = input.size(9);
    }
    shape
}

/// Bytes that a shape covers; see `parts::extent`.
pub fn covered(shape: &fewbit_shape, bits: usize) -> Result<Option<usize>, ()> {
    let rank = shape.rank.min(8);
    let (dims, strides) = (&shape.dims[..rank], &shape.strides[..rank]);
    if dims.contains(&0) {
        return Ok(Some(0));
    }
    if strides.iter().all(|&stride| stride == 0) {
        // Rows start on a byte.
        let row = (dims.last().map_or(1, |&dim| dim as u128) * bits as u128).div_ceil(8);
        let rows =
            dims.iter().rev().skip(1).try_fold(1u128, |rows, &dim| rows.checked_mul(dim as u128));
        return rows.and_then(|rows| rows.checked_mul(row)).map_or(Ok(None), extent);
    }
    let mut last = 0u128;
    for (&dim, &stride) in dims.iter().zip(strides) {
        // At most 2^128 - 2^65 + 1, eight times.
        last = match ((dim - 1) as u128)
            .checked_mul(stride as u128)
            .and_then(|step| last.checked_add(step))
        {
            Some(last) => last,
            None => return Ok(None),
        };
    }
    match last.checked_mul(bits as u128) {
        Some(last) => extent(last.saturating_add(bits as u128).div_ceil(8)),
        None => Ok(None),
    }
}

/// A tensor through all functions of its level.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let of = dims(&mut input);
    let spec = spec_of(&mut input, of.rank.min(8));
    let (real_bits, code_bits) = (bits(spec.real), bits(spec.dtype));
    let (x_shape, q_shape, y_shape) = (
        strided(&mut input, &of, real_bits),
        strided(&mut input, &of, code_bits),
        strided(&mut input, &of, real_bits),
    );
    let sizes =
        (covered(&x_shape, real_bits), covered(&q_shape, code_bits), covered(&y_shape, real_bits));
    let (Ok(x_size), Ok(q_size), Ok(y_size)) = sizes else { return };
    let (Ok(acc_size), Ok(flat)) = (covered(&x_shape, 32), covered(&of, 1)) else { return };
    if flat.is_none() && x_size.is_some() {
        return; // strides of 0 make little memory of many elements: hours of work, but nothing wrong
    }
    let mut count = 0usize;
    // SAFETY: descriptions, one result.
    let status = unsafe { fewbit_param_count(&of, &spec, &raw mut count, std::ptr::null_mut()) };
    if status != 0 || count > 4096 {
        count = input.within(0, 4);
    }
    let there = count;
    if input.wrong() {
        count = input.pick(&[count.wrapping_sub(1), usize::MAX, 0, usize::MAX / 4 + 1]);
        if count == there.wrapping_sub(1) && there == 0 {
            count = 0;
        }
    }
    let mut kept = Kept::default();
    let (low, high) = codes(spec.dtype);
    let x: *const u8 = kept.elements(&mut input, spec.real, x_size.unwrap_or(16));
    let x = input.pointer(x, real_bits / 8);
    let scales = kept.reals(&input.scales(there));
    let points = kept.integers(&input.zero_points(there, low, high));
    let (scales, points) = (input.pointer(scales, 4), input.pointer(points, 4));
    let threads = backwards(input.within(1, 3));
    let threads = if input.flag() { &raw const threads } else { std::ptr::null() };
    let q_align = code_bits.div_ceil(8);
    let call = |size: Option<usize>,
                align: usize,
                f: &dyn Fn(*mut u8, *mut fewbit_error) -> fewbit_status| {
        everywhere(|| {
            let out = Memory::new(size.unwrap_or(16), align);
            let mut error = error();
            Given::new(f(out.start(), &raw mut error), Some(&error), &[&out])
        })
    };
    // SAFETY (of all calls): memory of exactly the size that shapes and counts tell, or arguments that must be refused.
    let chosen = everywhere(|| {
        let (scales, points) = (Memory::new(4 * there, 4), Memory::new(4 * there, 4));
        let mut error = error();
        let status = unsafe {
            fewbit_choose_params(
                x.cast(),
                &x_shape,
                &spec,
                scales.start(),
                points.start(),
                count,
                &raw mut error,
            )
        };
        Given::new(status, Some(&error), &[&scales, &points])
    });
    let dynamic = everywhere(|| {
        let (scales, points) = (Memory::new(4 * there, 4), Memory::new(4 * there, 4));
        let q = Memory::new(q_size.unwrap_or(16), q_align);
        let mut error = error();
        let status = unsafe {
            fewbit_quantize_dynamic(
                x.cast(),
                &x_shape,
                &spec,
                scales.start(),
                points.start(),
                count,
                threads,
                q.start(),
                &q_shape,
                &raw mut error,
            )
        };
        Given::new(status, Some(&error), &[&scales, &points, &q])
    });
    let own;
    let own_params = chosen.status == 0 && input.flag();
    let (mut scales, mut points) = (scales, points);
    if own_params {
        let half = chosen.outputs.len() / 2;
        own = (Memory::of(&chosen.outputs[..half], 4), Memory::of(&chosen.outputs[half..], 4));
        (scales, points) = (own.0.start::<f32>(), own.1.start::<i32>());
    }
    let quantized = |x: *const u8, shape: &fewbit_shape, spec: &fewbit_tensor_quant| {
        call(q_size, q_align, &|q, error| unsafe {
            fewbit_quantize(
                x.cast(),
                shape,
                spec,
                scales,
                points,
                count,
                threads,
                q.cast(),
                &q_shape,
                error,
            )
        })
    };
    let q = quantized(x, &x_shape, &spec);
    if q.status == 0 && dynamic.status == 0 && own_params {
        assert!(dynamic.outputs.ends_with(&q.outputs), "in one visit as in two");
    }
    let fake = call(y_size, real_bits / 8, &|y, error| unsafe {
        fewbit_fake_quantize(
            x.cast(),
            &x_shape,
            &spec,
            scales,
            points,
            count,
            threads,
            y.cast(),
            &y_shape,
            error,
        )
    });
    // The codes that were written, or any.
    let written = q.status == 0 && input.below(4) != 0;
    let codes_bytes = if written { q.outputs.clone() } else { input.codes(q_size.unwrap_or(16)) };
    let code_memory = Memory::of(&codes_bytes, q_align);
    let back = call(y_size, real_bits / 8, &|y, error| unsafe {
        fewbit_dequantize(
            code_memory.start(),
            &q_shape,
            &spec,
            scales,
            points,
            count,
            threads,
            y.cast(),
            &y_shape,
            error,
        )
    });
    if written && back.status == 0 {
        assert_eq!(fake.status, 0);
        assert_eq!(fake.outputs, back.outputs, "there and back is what fake quantization gives");
        again(&back, &q, &spec, scales, there, &|x: *const u8, spec: &fewbit_tensor_quant| {
            quantized(x, &y_shape, spec)
        });
    }
    requantized(
        &mut input,
        &x_shape,
        acc_size,
        &spec,
        (q_size, &q_shape),
        (points, count, there),
        threads,
    );
}

/// Codes come back from their own numbers, where these are normal f32.
fn again(
    back: &Given,
    q: &Given,
    spec: &fewbit_tensor_quant,
    scales: *const f32,
    count: usize,
    quantized: &dyn Fn(*const u8, &fewbit_tensor_quant) -> Given,
) {
    // SAFETY: the calls before took them.
    let scales = unsafe {
        std::slice::from_raw_parts(if count == 0 { std::ptr::dangling() } else { scales }, count)
    };
    let exact = spec.real == FEWBIT_F32 && spec.quotient == FEWBIT_QUOTIENT_DIVIDE;
    if exact && scales.iter().all(|scale| (1e-30..1e30).contains(scale)) {
        let x = Memory::of(&back.outputs, 4);
        let again = quantized(x.start(), spec);
        assert_eq!(again.status, 0);
        assert_eq!(again.outputs, q.outputs, "codes come back");
    }
}

fn requantized(
    input: &mut Input,
    shape: &fewbit_shape,
    size: Option<usize>,
    spec: &fewbit_tensor_quant,
    (q_size, q_shape): (Option<usize>, &fewbit_shape),
    (points, count, there): (*const i32, usize, usize),
    threads: *const fewbit_parallel_for,
) {
    let mut kept = Kept::default();
    let acc: *const i32 = kept.bytes(&input.codes(size.unwrap_or(16)), 4);
    let acc = input.pointer(acc, 4);
    let reals = kept.reals(&input.scales(there));
    let mantissas: Vec<i32> = (0..there).map(|_| (input.word() >> 1).cast_signed()).collect();
    let shifts: Vec<i32> = (0..there).map(|_| i32::from(input.byte() % 64) - 32).collect();
    let (mantissas, shifts) = (kept.integers(&mantissas), kept.integers(&shifts));
    let rounding = input.constant(&[FEWBIT_FIXED_DOUBLE, FEWBIT_FIXED_SINGLE]);
    for fixed in [false, true] {
        everywhere(|| {
            let q = Memory::new(q_size.unwrap_or(16), bits(spec.dtype).div_ceil(8));
            let mut error = error();
            // SAFETY: as for the other calls.
            let status = unsafe {
                match fixed {
                    true => fewbit_requantize_fixed(
                        acc,
                        shape,
                        spec,
                        mantissas,
                        shifts,
                        rounding,
                        points,
                        count,
                        threads,
                        q.start(),
                        q_shape,
                        &raw mut error,
                    ),
                    false => fewbit_requantize(
                        acc,
                        shape,
                        spec,
                        reals,
                        points,
                        count,
                        threads,
                        q.start(),
                        q_shape,
                        &raw mut error,
                    ),
                }
            };
            Given::new(status, Some(&error), &[&q])
        });
    }
}
