//! `quantize::Any` and `dequantize::Any`: every format, packed ones included, against the contract, with
//! every set of features.

mod common;

use common::{inputs, real_bytes, stored};
use fewbit_kernels::Rows;
use fewbit_kernels::dequantize::{self, DequantizeArgs};
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, RealFormat, pack};
use fewbit_testkit::{GuardedBuf, Rng, seed, supported_sets};

/// More than is staged at a time.
const MOST: usize = 1300;

/// Bytes of an array of `elements` codes.
fn array_len(format: IntFormat, elements: usize) -> usize {
    match format {
        IntFormat::S16 => 2 * elements,
        _ => elements.div_ceil(format.codes_per_byte()),
    }
}

/// The code of element `i`, found without the functions under test.
fn code_at(format: IntFormat, array: &[u8], i: usize) -> i32 {
    match format {
        IntFormat::S8 => i32::from(array[i] as i8),
        IntFormat::U8 => i32::from(array[i]),
        IntFormat::S16 => i32::from(i16::from_le_bytes([array[2 * i], array[2 * i + 1]])),
        _ => {
            let bits = format.bits() as usize;
            let field = i32::from(array[i * bits / 8]) >> (i * bits % 8) & ((1 << bits) - 1);
            match format {
                IntFormat::S4 => (field ^ 8) - 8,
                IntFormat::S2 => (field ^ 2) - 2,
                IntFormat::B1 => 2 * field - 1,
                _ => field,
            }
        }
    }
}

#[test]
fn codes_of_every_format_there_and_back() {
    let mut rng = Rng::new(seed() ^ 7);
    let (mut arena, mut values) = (GuardedBuf::new(8192), GuardedBuf::new(8192));
    let sets = supported_sets();
    for format in IntFormat::ALL {
        // Elements, the first one's number, their distance, and the length of the runs they are.
        for (n, first, stride, len) in [
            (0, 0, 1, 1),
            (1, 0, 1, 1),
            (1, 5, 1, 1),
            (7, 1, 1, 7),
            (64, 3, 2, 64),
            (129, 0, 3, 129),
            (257, 9, 1, 257),
            (MOST, 3, 1, MOST),
            (1280, 0, 1, 32),
            (1200, 1, 1, 16),
            (1295, 2, 1, 5),
            (1290, 0, 1, 258),
            (60, 0, 2, 20),
        ] {
            for (param_step, set) in sets.iter().flat_map(|&set| [(0, set), (1, set)]) {
                let real = RealFormat::ALL[n % 3];
                let src: Vec<f32> = inputs(&mut rng, 0.05).into_iter().cycle().take(MOST).collect();
                let (stored, src) = stored(&mut rng, real, &src);
                let scales: Vec<f32> =
                    (0..MOST).map(|_| 0.01 + (rng.next_u32() >> 8) as f32 / 1e8).collect();
                let zero_points: Vec<i32> = (0..MOST)
                    .map(|_| match format {
                        IntFormat::B1 => 0,
                        _ => {
                            let span = (format.qmax() - format.qmin() + 1) as u32;
                            format.qmin() + (rng.next_u32() % span) as i32
                        }
                    })
                    .collect();
                let with_zero_points = n % 2 == 1 && format != IntFormat::B1;
                let zero_point_at = |i: usize| if with_zero_points { zero_points[i] } else { 0 };
                // A parameter for each run, or the same ones, an element each, for all runs.
                let rows = Rows {
                    count: n / len,
                    src_stride: len,
                    dst_stride: len * stride,
                    param_stride: 1 - param_step,
                };
                let params = |i: usize| {
                    let param = if param_step == 0 { i / len } else { i % len };
                    QuantParams { scale: scales[param], zero_point: zero_point_at(param) }
                };
                let elements = if n == 0 { 0 } else { first + (n - 1) * stride + 1 };
                let before: Vec<u8> =
                    (0..array_len(format, elements)).map(|_| rng.next_u32() as u8).collect();
                let array = arena.at_end(&before);
                let zero_points =
                    if with_zero_points { zero_points.as_ptr() } else { std::ptr::null() };
                let args = QuantizeArgs {
                    src: stored.as_ptr(),
                    src_stride: 1,
                    dst: array,
                    dst_stride: stride,
                    n: len,
                    scales: scales.as_ptr(),
                    zero_points,
                    param_step,
                    rows,
                    mode: QuantizeMode::default(),
                    clamp: (format.qmin(), format.qmax()),
                };
                // SAFETY: the array holds the elements up to the last; there are `MOST` parameters.
                unsafe { quantize::Any::new(real, format, set).unwrap().run(&args, first) };
                // SAFETY: the array just placed.
                let after = unsafe { std::slice::from_raw_parts(array, before.len()) };
                let mut codes = vec![None; elements];
                for i in 0..n {
                    let mode = QuantizeMode::default();
                    codes[first + i * stride] =
                        Some(fewbit_scheme::quantize(src[i], params(i), format, mode));
                }
                for (element, code) in codes.iter().enumerate() {
                    let want = code.unwrap_or_else(|| code_at(format, &before, element));
                    let got = code_at(format, after, element);
                    assert_eq!(got, want, "{format:?} element {element} of {n}, stride {stride}");
                }
                // What the last byte holds beyond the last element stays.
                let used = elements * format.bits() as usize % 8;
                if used != 0 {
                    let (old, new) = (before[before.len() - 1], after[after.len() - 1]);
                    assert_eq!(old >> used, new >> used, "{format:?}: the pad changed");
                }

                let dst = values.at_end(&vec![0_u8; n * real.size()]);
                let args = DequantizeArgs {
                    src: array,
                    src_stride: stride,
                    signed: false,
                    dst,
                    dst_stride: 1,
                    n: len,
                    scales: scales.as_ptr(),
                    zero_points,
                    param_step,
                    rows: Rows { src_stride: len * stride, dst_stride: len, ..rows },
                };
                // SAFETY: as above; `dst` has `n` elements.
                let written = unsafe {
                    dequantize::Any::new(real, format, set).unwrap().run(&args, first);
                    std::slice::from_raw_parts(dst, n * real.size())
                };
                for (i, x) in written.chunks(real.size()).enumerate() {
                    let q = codes[first + i * stride].unwrap();
                    assert_eq!(x, real_bytes(real, q, params(i)), "{format:?} element {i}");
                }
            }
        }
    }
}

#[test]
fn positions_agree_with_the_contract() {
    // This file's own reading of the packing order is the contract's.
    for format in [IntFormat::S4, IntFormat::U4, IntFormat::S2, IntFormat::U1, IntFormat::B1] {
        let array: Vec<u8> = (0..=255).collect();
        for i in 0..array.len() * format.codes_per_byte() {
            let (byte, slot) = pack::position(format, i);
            assert_eq!(pack::get(format, array[byte], slot), code_at(format, &array, i));
        }
    }
}
