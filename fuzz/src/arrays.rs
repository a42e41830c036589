//! Level 1: arrays.

use crate::input::Input;
use crate::memory::{Given, Memory, everywhere};
use fewbit::scheme::{IntFormat, QuantParams, QuantizeMode, dequantize, quantize, rescale};
use fewbit_ffi::*;

const LONGEST: usize = 200;

/// One call of one function.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(6) {
        0 => quantized(&mut input),
        1 => converted(&mut input),
        2 => reduced(&mut input),
        3 => requantized(&mut input),
        4 => rescaled(&mut input),
        _ => packed(&mut input),
    }
}

/// The arguments of most functions: elements of `size` bytes, with their number, perhaps a wrong one.
struct Array {
    memory: Memory,
    size: usize,
    n: usize,
    given: usize,
}

impl Array {
    fn new(input: &mut Input, bytes: &[u8], size: usize) -> Array {
        let n = bytes.len() / size;
        // A number that no array can have; any other would only be a lie about the memory.
        let given = if input.wrong() {
            input.pick(&[usize::MAX, usize::MAX / 2 + 1, usize::MAX - 7])
        } else {
            n
        };
        Array { memory: Memory::of(bytes, size), size, n, given }
    }

    fn of_reals(input: &mut Input) -> (Array, Vec<f32>) {
        let n = input.below(LONGEST);
        let x = input.reals(n);
        let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_ne_bytes()).collect();
        (Array::new(input, &bytes, 4), x)
    }

    fn of_codes(input: &mut Input, size: usize) -> (Array, Vec<u8>) {
        let n = input.below(LONGEST);
        let codes = input.codes(n * size);
        (Array::new(input, &codes, size), codes)
    }
}

/// Calls a function for every instruction set, with a fresh output of `bytes` bytes and pointers that may be wrong.
fn call(
    input: &mut Input,
    array: &Array,
    (bytes, align): (usize, usize),
    f: impl Fn(*const u8, usize, *mut u8) -> fewbit_status,
) -> Given {
    let source = input.pointer(array.memory.start::<u8>(), array.size).cast::<u8>();
    let (whole, inside) = (input.wrong(), input.flag());
    everywhere(|| {
        let memory = Memory::new(bytes, align);
        // Rarely the output is the input itself, or begins within it: only where the input is as large.
        let overlaps = whole && array.memory.bytes().len() >= bytes + usize::from(inside) * align;
        let start = match overlaps {
            true => array.memory.start::<u8>().wrapping_byte_add(usize::from(inside) * align),
            false => memory.start(),
        };
        if overlaps && array.n > 0 && bytes > 0 {
            let before = array.memory.bytes().to_vec();
            let status = f(source, array.given, start);
            // In place is allowed to some functions, and changes what the next call would read.
            if status == 0 {
                let mut copy = Memory::of(&before, 1);
                copy.bytes_mut().copy_from_slice(array.memory.bytes());
                // SAFETY: the array's own bytes, put back.
                unsafe {
                    array
                        .memory
                        .start::<u8>()
                        .copy_from_nonoverlapping(before.as_ptr(), before.len())
                };
                return Given { status, outputs: copy.bytes().to_vec() };
            }
            assert_eq!(before, array.memory.bytes(), "status {status}, but something was written");
            return Given { status, outputs: Vec::new() };
        }
        Given::new(f(source, array.given, start), None, &[&memory])
    })
}

fn params(input: &mut Input, format: IntFormat) -> fewbit_quant_params {
    fewbit_quant_params {
        scale: input.scale(),
        zero_point: input.zero_point(format.qmin(), format.qmax()),
    }
}

fn quantized(input: &mut Input) {
    let signed = input.flag();
    let format = if signed { IntFormat::S8 } else { IntFormat::U8 };
    let params = params(input, format);
    let library = QuantParams { scale: params.scale, zero_point: params.zero_point };
    if input.flag() {
        let (array, x) = Array::of_reals(input);
        let given = call(input, &array, (array.n, 1), |x, n, q| {
            // SAFETY: memory of exactly n elements, or arguments that must be refused.
            unsafe {
                match signed {
                    true => fewbit_quantize_f32_s8(x.cast(), n, &params, q.cast()),
                    false => fewbit_quantize_f32_u8(x.cast(), n, &params, q),
                }
            }
        });
        if given.status == 0
            && given.outputs.len() >= x.len()
            && given.outputs.len() <= x.len().max(1)
        {
            for (&x, &q) in x.iter().zip(&given.outputs) {
                assert_eq!(
                    quantize(x, library, format, QuantizeMode::default()) as u8,
                    q,
                    "{x} {params:?}"
                );
            }
        }
    } else {
        let (array, codes) = Array::of_codes(input, 1);
        let given = call(input, &array, (array.n * 4, 4), |q, n, x| {
            // SAFETY: as above.
            unsafe {
                match signed {
                    true => fewbit_dequantize_s8_f32(q.cast(), n, &params, x.cast()),
                    false => fewbit_dequantize_u8_f32(q, n, &params, x.cast()),
                }
            }
        });
        if given.status == 0 && given.outputs.len() == 4 * codes.len() {
            for (&code, x) in codes.iter().zip(given.outputs.as_chunks::<4>().0) {
                let q = if signed { i32::from(code.cast_signed()) } else { i32::from(code) };
                assert_eq!(dequantize(q, library).to_bits(), u32::from_ne_bytes(*x));
            }
        }
    }
}

fn converted(input: &mut Input) {
    let saturate = input.constant(&[0, 1]);
    // SAFETY (of all calls): memory of exactly n elements, or arguments that must be refused.
    match input.below(8) {
        0 => {
            let (array, _) = Array::of_reals(input);
            call(input, &array, (array.n * 2, 2), |x, n, y| unsafe {
                fewbit_convert_f32_f16(x.cast(), n, y.cast())
            });
        }
        1 => {
            let (array, _) = Array::of_reals(input);
            call(input, &array, (array.n * 2, 2), |x, n, y| unsafe {
                fewbit_convert_f32_bf16(x.cast(), n, y.cast())
            });
        }
        2 => {
            let (array, _) = Array::of_reals(input);
            call(input, &array, (array.n, 1), |x, n, y| unsafe {
                fewbit_convert_f32_f8e4m3fn(x.cast(), n, saturate, y)
            });
        }
        3 => {
            let (array, _) = Array::of_reals(input);
            call(input, &array, (array.n, 1), |x, n, y| unsafe {
                fewbit_convert_f32_f8e5m2(x.cast(), n, saturate, y)
            });
        }
        4 => {
            let (array, _) = Array::of_codes(input, 2);
            call(input, &array, (array.n * 4, 4), |x, n, y| unsafe {
                fewbit_convert_f16_f32(x.cast(), n, y.cast())
            });
        }
        5 => {
            let (array, _) = Array::of_codes(input, 2);
            call(input, &array, (array.n * 4, 4), |x, n, y| unsafe {
                fewbit_convert_bf16_f32(x.cast(), n, y.cast())
            });
        }
        6 => {
            let (array, _) = Array::of_codes(input, 1);
            call(input, &array, (array.n * 4, 4), |x, n, y| unsafe {
                fewbit_convert_f8e4m3fn_f32(x, n, y.cast())
            });
        }
        _ => {
            let (array, _) = Array::of_codes(input, 1);
            call(input, &array, (array.n * 4, 4), |x, n, y| unsafe {
                fewbit_convert_f8e5m2_f32(x, n, y.cast())
            });
        }
    }
}

fn reduced(input: &mut Input) {
    let (array, _) = Array::of_reals(input);
    // SAFETY (of all calls): as above.
    match input.below(4) {
        0 => drop(call(input, &array, (8, 4), |x, n, y| unsafe {
            fewbit_min_max_f32(x.cast(), n, y.cast(), y.wrapping_byte_add(4).cast())
        })),
        1 => drop(call(input, &array, (4, 4), |x, n, y| unsafe {
            fewbit_absmax_f32(x.cast(), n, y.cast())
        })),
        2 => drop(call(input, &array, (size_of::<fewbit_half_hazards>(), 8), |x, n, y| unsafe {
            fewbit_half_hazards_f32(x.cast(), n, y.cast())
        })),
        _ => row_sums(input),
    }
}

fn row_sums(input: &mut Input) {
    let (rows, n) = (input.size(7), input.size(40));
    let stride = if input.flag() { n.wrapping_add(input.below(5)) } else { input.size(50) };
    let kind = input.below(3);
    let size = if kind == 0 { 4 } else { 1 };
    let extent = match (rows as u128, n as u128) {
        (0, _) | (_, 0) => 0,
        (rows, n) => ((rows - 1) * stride as u128 + n).saturating_mul(size as u128),
    };
    // More than memory must be refused; what could be memory, but is not here, is a lie that nobody can see.
    if extent > 1 << 16 && extent <= isize::MAX as u128
        || rows > 64 && rows <= isize::MAX as usize / 4
    {
        return;
    }
    let bytes = input.codes(if extent > 1 << 16 { 4 } else { extent as usize });
    let x = Memory::of(&bytes, size);
    let source = input.pointer(x.start::<u8>(), size).cast::<u8>();
    everywhere(|| {
        let sums = Memory::new(rows.min(64) * 4, 4);
        // SAFETY: as above.
        let status = unsafe {
            match kind {
                0 => fewbit_row_sums_f32(source.cast(), rows, n, stride, sums.start()),
                1 => fewbit_row_sums_s8(source.cast(), rows, n, stride, sums.start()),
                _ => fewbit_row_sums_u8(source, rows, n, stride, sums.start()),
            }
        };
        Given::new(status, None, &[&sums])
    });
}

fn requantized(input: &mut Input) {
    let (array, _) = Array::of_codes(input, 4);
    let zero_point = input.zero_point(-128, 255);
    let multiplier = input.scale();
    let (fixed, shift) = (input.word().cast_signed(), i32::from(input.byte().cast_signed()) / 3);
    let rounding = input.constant(&[FEWBIT_FIXED_DOUBLE, FEWBIT_FIXED_SINGLE]);
    let kind = input.below(5);
    call(input, &array, (array.n, 1), |acc, n, q| {
        let acc = acc.cast();
        // SAFETY: as above.
        unsafe {
            match kind {
                0 => fewbit_requantize_s32_s8(acc, n, multiplier, zero_point, q.cast()),
                1 => fewbit_requantize_s32_u8(acc, n, multiplier, zero_point, q),
                2 => fewbit_requantize_fixed_s32_s8(
                    acc,
                    n,
                    fixed,
                    shift,
                    rounding,
                    zero_point,
                    q.cast(),
                ),
                _ => fewbit_requantize_fixed_s32_u8(acc, n, fixed, shift, rounding, zero_point, q),
            }
        }
    });
    let real = f64::from_bits(u64::from(input.word()) << 32 | u64::from(input.word()));
    let made = Memory::new(8, 4);
    // SAFETY: two numbers.
    let status =
        unsafe { fewbit_fixed_multiplier(real, made.start(), made.start::<i32>().wrapping_add(1)) };
    Given::new(status, None, &[&made]);
}

fn rescaled(input: &mut Input) {
    let signed = input.flag();
    let format = if signed { IntFormat::S8 } else { IntFormat::U8 };
    let (from, to) = (params(input, format), params(input, format));
    let (array, codes) = Array::of_codes(input, 1);
    let given = call(input, &array, (array.n, 1), |q, n, out| {
        // SAFETY: as above.
        unsafe {
            match signed {
                true => fewbit_rescale_s8_s8(q.cast(), n, &from, &to, out.cast()),
                false => fewbit_rescale_u8_u8(q, n, &from, &to, out),
            }
        }
    });
    if given.status == 0 && given.outputs.len() == codes.len() {
        let library =
            |p: fewbit_quant_params| QuantParams { scale: p.scale, zero_point: p.zero_point };
        for (&code, &out) in codes.iter().zip(&given.outputs) {
            let q = if signed { i32::from(code.cast_signed()) } else { i32::from(code) };
            assert_eq!(rescale(q, library(from), library(to), format) as u8, out);
        }
    }
}

fn packed(input: &mut Input) {
    let dtype = input.constant(&[FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1, FEWBIT_B1]);
    let format = match dtype {
        FEWBIT_U4 => IntFormat::U4,
        FEWBIT_S2 => IntFormat::S2,
        FEWBIT_U1 => IntFormat::U1,
        FEWBIT_B1 => IntFormat::B1,
        _ => IntFormat::S4,
    };
    let n = input.below(LONGEST);
    let zero_point =
        if format == IntFormat::B1 { 0 } else { input.zero_point(format.qmin(), format.qmax()) };
    // Codes of the format mostly; others are refused or cut, but never worse.
    let any = input.wrong();
    let codes: Vec<u8> = input
        .codes(n)
        .into_iter()
        .map(|code| match (format, any) {
            (_, true) => code,
            (IntFormat::B1, _) => (i32::from(code & 1) * 2 - 1) as u8,
            _ => (format.qmin() + i32::from(code) % (format.qmax() - format.qmin() + 1)) as u8,
        })
        .collect();
    let array = Array::new(input, &codes, 1);
    let bytes = n.div_ceil(format.codes_per_byte());
    let given = call(input, &array, (bytes, 1), |codes, n, packed| {
        // SAFETY: as above.
        unsafe { fewbit_pack(codes.cast(), n, dtype, zero_point, packed) }
    });
    if given.status != 0 || any || given.outputs.len() != bytes {
        return;
    }
    let packed = Array { memory: Memory::of(&given.outputs, 1), size: 1, n: bytes, given: n };
    let back = call(input, &packed, (n, 1), |packed, n, codes| {
        // SAFETY: as above.
        unsafe { fewbit_unpack(packed, n, dtype, codes.cast()) }
    });
    assert!(
        back.status != 0 || back.outputs.len() != codes.len() || back.outputs == codes,
        "codes come back"
    );
}
