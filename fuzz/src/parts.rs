//! What descriptions have in common: shapes, parameters, weights, inputs, biases, outputs.

use crate::input::Input;
use crate::memory::{Allocator, Memory, error};
use fewbit_ffi::*;

/// The named constants of real types, and of the codes of plans.
pub const REALS: &[i32] = &[FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16];
/// Codes of a byte.
pub const BYTES: &[i32] = &[FEWBIT_S8, FEWBIT_U8];
/// Codes of a lhs.
pub const LHS: &[i32] = &[FEWBIT_S8, FEWBIT_U8, FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4];
/// Codes that are multiplied as the numbers that they stand for.
pub const DECODED: &[i32] = &[FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4];
/// Weights that are blocks.
pub const BLOCKS: &[i32] = &[
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q4_0,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q4_1,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q5_0,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q5_1,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q8_0,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q4_K,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q5_K,
    FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q6_K,
    FEWBIT_WEIGHTS_MX + FEWBIT_MXFP8_E4M3,
    FEWBIT_WEIGHTS_MX + FEWBIT_MXFP8_E5M2,
    FEWBIT_WEIGHTS_MX + FEWBIT_MXFP4,
    FEWBIT_WEIGHTS_MX + FEWBIT_MXINT8,
    FEWBIT_WEIGHTS_NVFP4,
];
/// Codes of weights.
pub const WEIGHTS: &[i32] =
    &[FEWBIT_S8, FEWBIT_U8, FEWBIT_S8, FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1, FEWBIT_B1];

/// The most bytes that any argument has here.
pub const MOST: u128 = 1 << 16;

/// Bits of an element of a type; of a number that names none, those of the largest.
pub fn bits(dtype: i32) -> usize {
    match dtype {
        FEWBIT_S4 | FEWBIT_U4 => 4,
        FEWBIT_S2 => 2,
        FEWBIT_U1 | FEWBIT_B1 => 1,
        FEWBIT_S8 | FEWBIT_U8 | FEWBIT_F8E4M3FN | FEWBIT_F8E5M2 => 8,
        FEWBIT_S16 | FEWBIT_F16 | FEWBIT_BF16 => 16,
        _ if is_blocks(dtype) => 8,
        _ => 32,
    }
}

/// Whether weights of a type are blocks, or are taken for some.
pub fn is_blocks(dtype: i32) -> bool {
    (FEWBIT_WEIGHTS_GGUF..=FEWBIT_WEIGHTS_NVFP4).contains(&dtype)
}

/// Numbers of a block of such a type, the bytes of one, and those of its scale elsewhere.
pub fn block_of(dtype: i32) -> (u128, u128, u128) {
    match (dtype & !255, dtype & 255) {
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q4_0) => (32, 18, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q4_1) => (32, 20, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q5_0) => (32, 22, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q5_1) => (32, 24, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q8_0) => (32, 34, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q4_K) => (256, 144, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q5_K) => (256, 176, 0),
        (FEWBIT_WEIGHTS_GGUF, FEWBIT_GGUF_Q6_K) => (256, 210, 0),
        (FEWBIT_WEIGHTS_MX, FEWBIT_MXFP4) => (32, 16, 1),
        (FEWBIT_WEIGHTS_MX, _) => (32, 32, 1),
        (FEWBIT_WEIGHTS_NVFP4, _) => (16, 8, 1),
        _ => (1, 1, 0),
    }
}

/// Smallest and largest code of a type.
pub fn codes(dtype: i32) -> (i32, i32) {
    match dtype {
        FEWBIT_U8 => (0, 255),
        FEWBIT_S16 => (-32768, 32767),
        FEWBIT_S4 => (-8, 7),
        FEWBIT_U4 => (0, 15),
        FEWBIT_S2 => (-2, 1),
        FEWBIT_U1 => (0, 1),
        FEWBIT_B1 => (0, 0),
        _ => (-128, 127),
    }
}

/// Parameters of codes.
pub fn params(input: &mut Input, dtype: i32) -> fewbit_quant_params {
    let (low, high) = codes(dtype);
    fewbit_quant_params { scale: input.scale(), zero_point: input.zero_point(low, high) }
}

/// Bytes that rows of elements cover, `None` if they are no memory at all (the call must refuse them), and an error if they
/// could be memory, but more than there is here.
pub fn rows_extent(
    rows: usize,
    columns: usize,
    stride: usize,
    bits: usize,
) -> Result<Option<usize>, ()> {
    if rows == 0 || columns == 0 {
        return Ok(Some(0));
    }
    // Below 2^128: the product of two sizes is at most 2^128 - 2^65 + 1.
    let span = (rows as u128 - 1) * stride as u128 + columns as u128;
    extent(span.saturating_mul(bits as u128).div_ceil(8))
}

/// As [`rows_extent`], of bytes.
pub fn extent(bytes: u128) -> Result<Option<usize>, ()> {
    match bytes {
        0..=MOST => Ok(Some(bytes as usize)),
        _ if bytes > isize::MAX as u128 => Ok(None),
        _ => Err(()),
    }
}

/// Arguments of plans, kept alive.
#[derive(Default)]
pub struct Kept(Vec<Memory>);

impl Kept {
    /// Keeps memory with some bytes; its start.
    pub fn bytes<T>(&mut self, bytes: &[u8], align: usize) -> *const T {
        self.0.push(Memory::of(bytes, align));
        self.0.last().map_or(std::ptr::null(), |memory| memory.start::<T>().cast_const())
    }

    /// Keeps f32 numbers.
    pub fn reals(&mut self, reals: &[f32]) -> *const f32 {
        let bytes: Vec<u8> = reals.iter().flat_map(|x| x.to_ne_bytes()).collect();
        self.bytes(&bytes, 4)
    }

    /// Keeps int32 numbers.
    pub fn integers(&mut self, integers: &[i32]) -> *const i32 {
        let bytes: Vec<u8> = integers.iter().flat_map(|x| x.to_ne_bytes()).collect();
        self.bytes(&bytes, 4)
    }

    /// Keeps elements of a type: codes of any bits, or numbers.
    pub fn elements<T>(&mut self, input: &mut Input, dtype: i32, bytes: usize) -> *const T {
        match dtype {
            FEWBIT_F32 => self.reals(&input.reals(bytes.div_ceil(4))).cast(),
            FEWBIT_F16 | FEWBIT_BF16 => {
                let reals = input.reals(bytes.div_ceil(2));
                let half = |&x: &f32| match dtype {
                    FEWBIT_F16 => fewbit::scheme::float16::f32_to_f16(x),
                    _ => fewbit::scheme::float16::f32_to_bf16(x),
                };
                let bytes: Vec<u8> = reals.iter().map(half).flat_map(u16::to_ne_bytes).collect();
                self.bytes(&bytes, 2)
            }
            _ => self.bytes(&input.codes(bytes), bits(dtype).div_ceil(8)),
        }
    }
}

/// A count of parameters, one or `n`, or a wrong one; and as many as are to be there.
fn count(input: &mut Input, n: usize) -> (usize, usize) {
    let count = if input.wrong() { input.size(9) } else { input.pick(&[1, n]) };
    (count, count.min(4096))
}

/// Weights of `channels` output channels (or parameters, with blocks), whose codes cover some bytes.
pub fn weights(
    input: &mut Input,
    kept: &mut Kept,
    dtype: i32,
    bytes: usize,
    channels: usize,
    block: i32,
    all: bool,
) -> fewbit_weights {
    let mut given = weights_init();
    given.dtype = dtype;
    given.block = block;
    given.data = kept.elements(input, dtype, bytes);
    given.data = input.pointer(given.data, bits(dtype).div_ceil(8));
    if dtype == FEWBIT_WEIGHTS_NVFP4 && !input.wrong() {
        given.scale_count = 1;
        given.scales = kept.reals(&input.scales(1));
        given.scales = input.pointer(given.scales, 4);
        return given;
    }
    if (REALS.contains(&dtype) || is_blocks(dtype)) && !input.wrong() {
        return given;
    }
    let (scales, there) = if all { (channels, channels.min(4096)) } else { count(input, channels) };
    given.scale_count = scales;
    given.scales = kept.reals(&input.scales(there));
    given.scales = input.pointer(given.scales, 4);
    if input.flag() && dtype != FEWBIT_B1 || input.wrong() {
        let (low, high) = codes(dtype);
        let (points, there) =
            if all { (channels, channels.min(4096)) } else { count(input, channels) };
        given.zero_point_count = points;
        given.zero_points = kept.integers(&input.zero_points(there, low, high));
        given.zero_points = input.pointer(given.zero_points, 4);
    }
    if input.wrong() || input.below(16) == 15 {
        let (multipliers, there) = count(input, channels);
        let mantissas: Vec<i32> =
            (0..there).map(|_| (input.word() >> 1).cast_signed() | 1 << 30).collect();
        let shifts: Vec<i32> = (0..there).map(|_| i32::from(input.byte() % 64) - 32).collect();
        given.multiplier_count = multipliers;
        given.multipliers = kept.integers(&mantissas);
        given.shifts = input.pointer(kept.integers(&shifts), 4);
    }
    given
}

/// No weights: what FEWBIT_WEIGHTS_INIT says.
pub fn weights_init() -> fewbit_weights {
    fewbit_weights {
        data: std::ptr::null(),
        dtype: FEWBIT_S8,
        block: 0,
        scales: std::ptr::null(),
        scale_count: 0,
        zero_points: std::ptr::null(),
        zero_point_count: 0,
        multipliers: std::ptr::null(),
        shifts: std::ptr::null(),
        multiplier_count: 0,
    }
}

/// What a plan reads, of the modes given.
pub fn input_of(input: &mut Input, modes: &[i32], dtypes: &[i32]) -> fewbit_input {
    let dtype = input.constant(dtypes);
    fewbit_input {
        mode: input.constant(modes),
        dtype,
        real: input.constant(REALS),
        scheme: input.constant(&[FEWBIT_SCHEME_AFFINE, FEWBIT_SCHEME_SYMMETRIC]),
        range: input.constant(&[FEWBIT_RANGE_NARROW, FEWBIT_RANGE_FULL]),
        reserved: if input.wrong() { input.word().cast_signed() } else { 0 },
        params: params(input, dtype),
    }
}

/// A bias of `channels` values, or none.
pub fn bias_of(input: &mut Input, kept: &mut Kept, channels: usize) -> fewbit_bias {
    let dtype = input.constant(&[FEWBIT_F32, FEWBIT_S32]);
    let there = channels.min(4096);
    let data = match input.below(3) {
        0 => std::ptr::null(),
        _ if dtype == FEWBIT_S32 => {
            let large = input.wrong();
            let values: Vec<i32> = (0..there)
                .map(|_| input.word().cast_signed() >> if large { 0 } else { 16 })
                .collect();
            kept.integers(&values).cast()
        }
        _ => kept.reals(&input.reals(there)).cast(),
    };
    let reserved = if input.wrong() { 1 } else { 0 };
    fewbit_bias { data: input.pointer(data, 4), dtype, reserved }
}

/// A residual, or none.
pub fn residual_of(input: &mut Input) -> fewbit_residual {
    let dtype = input.constant(&[FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8, FEWBIT_U8]);
    let present =
        if input.wrong() { input.word().cast_signed() } else { i32::from(input.below(4) == 0) };
    fewbit_residual { present, dtype, params: params(input, dtype) }
}

/// What a plan writes.
pub fn output_of(input: &mut Input) -> fewbit_output {
    let dtype =
        input.constant(&[FEWBIT_S32, FEWBIT_F32, FEWBIT_S8, FEWBIT_U8, FEWBIT_F16, FEWBIT_BF16]);
    let table = input.constant(BYTES);
    let activation = if input.flag() { 0 } else { input.constant(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) };
    let quantization = if bits(dtype) == 8 || input.wrong() {
        input.constant(&[
            FEWBIT_OUTPUT_STATIC,
            FEWBIT_OUTPUT_FIXED_POINT,
            FEWBIT_OUTPUT_DYNAMIC_PER_ROW,
        ])
    } else {
        FEWBIT_OUTPUT_STATIC
    };
    fewbit_output {
        dtype,
        activation,
        params: params(input, dtype),
        alpha: input.real(),
        beta: input.real(),
        mode: if input.below(4) == 0 { input.constant(&[0, 1]) } else { 0 },
        table_dtype: table,
        table_params: params(input, table),
        quantization,
        rounding: input.constant(&[FEWBIT_FIXED_DOUBLE, FEWBIT_FIXED_SINGLE]),
        scheme: input.constant(&[FEWBIT_SCHEME_AFFINE, FEWBIT_SCHEME_SYMMETRIC]),
        range: input.constant(&[FEWBIT_RANGE_NARROW, FEWBIT_RANGE_FULL]),
    }
}

/// An allocator that refuses one of the first calls, seldom; otherwise none of them.
pub fn allocator(input: &mut Input) -> (Box<Allocator>, bool) {
    let refuse = if input.below(12) == 11 { 1 + u32::from(input.byte() % 12) } else { 0 };
    (Allocator::refusing(refuse), refuse != 0)
}

/// A struct_size: the right one mostly.
pub fn struct_size<T>(input: &mut Input) -> usize {
    if input.wrong() { input.pick(&[0, 8, size_of::<T>() - 8, usize::MAX]) } else { size_of::<T>() }
}

/// Makes a description of codes of a byte one of sums, which are compared with a definition. By chance it hardly ever is one.
pub fn make_sums(
    weights: &fewbit_weights,
    input: &mut fewbit_input,
    (bias, residual): (&mut fewbit_bias, &mut fewbit_residual),
    output: &mut fewbit_output,
) {
    if !BYTES.contains(&weights.dtype) || weights.block != 0 {
        return;
    }
    input.mode = FEWBIT_INPUT_CODES;
    // The bytes whose zero points include those of the nibbles.
    input.dtype = match input.dtype {
        FEWBIT_U8 | FEWBIT_U4 => FEWBIT_U8,
        _ => FEWBIT_S8,
    };
    if bias.dtype == FEWBIT_F32 {
        bias.data = std::ptr::null();
    }
    residual.present = 0;
    (output.dtype, output.activation, output.mode) = (FEWBIT_S32, FEWBIT_ACTIVATION_NONE, 0);
    output.quantization = FEWBIT_OUTPUT_STATIC;
}

/// What a plan tells of itself.
pub fn told(
    describe: impl FnOnce(*mut fewbit_plan_info, *mut fewbit_error) -> fewbit_status,
) -> fewbit_plan_info {
    let mut info = fewbit_plan_info {
        struct_size: size_of::<fewbit_plan_info>(),
        in_features: 0,
        out_features: 0,
        matrices: 0,
        input_mode: -1,
        input_dtype: -1,
        code_dtype: -1,
        output_dtype: -1,
        bound: -1,
        weight_bytes: 0,
        kernel_name: [1; 64],
    };
    let mut error = error();
    assert_eq!(describe(&raw mut info, &raw mut error), 0);
    assert!(info.bound >= 0 && info.kernel_name.contains(&0));
    info
}
