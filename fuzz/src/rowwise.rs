//! Functions of rows: softmax and norms.

use crate::input::Input;
use crate::memory::{Given, Memory, backwards, error, everywhere};
use crate::parts::{Kept, bits, params};
use crate::tensors::{covered, dims, strided};
use fewbit_ffi::*;

const TYPES: &[i32] = &[FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8, FEWBIT_U8];

/// One call of one function.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let of = dims(&mut input);
    let (x_type, y_type) = (input.constant(TYPES), input.constant(TYPES));
    let (x_shape, y_shape) =
        (strided(&mut input, &of, bits(x_type)), strided(&mut input, &of, bits(y_type)));
    let (Ok(x_size), Ok(y_size)) =
        (covered(&x_shape, bits(x_type)), covered(&y_shape, bits(y_type)))
    else {
        return;
    };
    let Ok(flat) = covered(&of, 8) else { return };
    if flat.is_none() && x_size.is_some() {
        return;
    }
    let mut kept = Kept::default();
    let x: *const u8 = kept.elements(&mut input, x_type, x_size.unwrap_or(16));
    let x = input.pointer(x, bits(x_type) / 8);
    let (x_params, y_params) = (params(&mut input, x_type), params(&mut input, y_type));
    let x_params = input.pointer(&raw const x_params, 4);
    let y_params = input.pointer(&raw const y_params, 4);
    let columns = x_shape
        .rank
        .checked_sub(1)
        .and_then(|last| x_shape.dims.get(last))
        .map_or(0, |&dim| dim.min(4096));
    let (gamma, beta) = (kept.reals(&input.reals(columns)), kept.reals(&input.reals(columns)));
    let gamma = if input.flag() { std::ptr::null() } else { gamma };
    let beta = if input.flag() { std::ptr::null() } else { beta };
    let epsilon = input.real();
    let threads = backwards(input.within(1, 3));
    let threads = if input.flag() { &raw const threads } else { std::ptr::null() };
    let op = input.below(4);
    everywhere(|| {
        let y = Memory::new(y_size.unwrap_or(16), bits(y_type) / 8);
        let mut error = error();
        let to = y.start();
        // SAFETY: memory of exactly the size that shapes tell, or arguments that must be refused.
        let status = unsafe {
            match op {
                0 => fewbit_softmax(
                    x.cast(),
                    &x_shape,
                    x_type,
                    x_params,
                    threads,
                    to,
                    &y_shape,
                    y_type,
                    y_params,
                    &raw mut error,
                ),
                1 => fewbit_log_softmax(
                    x.cast(),
                    &x_shape,
                    x_type,
                    x_params,
                    threads,
                    to,
                    &y_shape,
                    y_type,
                    y_params,
                    &raw mut error,
                ),
                2 => fewbit_layer_norm(
                    x.cast(),
                    &x_shape,
                    x_type,
                    x_params,
                    gamma,
                    beta,
                    epsilon,
                    threads,
                    to,
                    &y_shape,
                    y_type,
                    y_params,
                    &raw mut error,
                ),
                _ => fewbit_rms_norm(
                    x.cast(),
                    &x_shape,
                    x_type,
                    x_params,
                    gamma,
                    beta,
                    epsilon,
                    threads,
                    to,
                    &y_shape,
                    y_type,
                    y_params,
                    &raw mut error,
                ),
            }
        };
        Given::new(status, Some(&error), &[&y])
    });
}
