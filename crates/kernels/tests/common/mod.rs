//! What the tests of element-by-element ops share: inputs, and the check that a kernel gives the
//! contract's bytes for every length, offset and stride and touches nothing else.
#![allow(dead_code, reason = "each test program uses its part")]

use fewbit_kernels::dequantize::{self, DequantizeFn};
use fewbit_kernels::quantize::{self, QuantizeFn};
use fewbit_kernels::registry::{Bound, Row, bind};
use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, RealFormat, float16};
use fewbit_testkit::{GuardedBuf, Rng, covered, is_wanted, limited, missing};

/// Longest contiguous run tested, and the number of elements in the inputs.
pub const N: usize = 257;
/// Longest run tested with strides.
const STRIDED_N: usize = 140;
const STRIDES: [(usize, usize); 9] =
    [(1, 2), (2, 1), (1, 5), (3, 1), (2, 2), (7, 3), (1, 64), (33, 1), (5, 11)];
/// What the memory around a destination holds, to see whether it is left alone.
const FILL: u8 = 0xA5;
/// Bytes examined on either side of it.
const AROUND: usize = 192;

/// Elements with their sizes: `src` is the input of [`N`] elements and `want` the contract's output
/// for each.
pub struct Case<'a> {
    pub label: String,
    pub src_size: usize,
    pub src: &'a [u8],
    pub dst_size: usize,
    pub want: &'a [u8],
}

/// Source pointer and stride, destination pointer and stride, number of elements.
pub type Call<'a> = &'a mut dyn FnMut(*const u8, usize, *mut u8, usize, usize);

/// The source's and the destination's memory, reused between cases. Runs are placed against both
/// guards: an access one byte outside is a fault or is found in the bytes around.
pub struct Arenas {
    src: GuardedBuf,
    dst: GuardedBuf,
}

impl Arenas {
    pub fn new() -> Arenas {
        // Room for the longest strided run: stride 64 of 4-byte elements.
        Arenas { src: GuardedBuf::new(40_960), dst: GuardedBuf::new(40_960) }
    }

    /// Calls the kernel with all lengths against both guards, with all offsets within a cache line,
    /// and with strides. Gives the number of calls.
    pub fn check(&mut self, case: &Case, call: Call) -> usize {
        let mut calls = 0;
        for n in 0..=N {
            for at_end in [false, true] {
                self.one(case, call, n, (1, 1), at_end, 0);
                calls += 1;
            }
        }
        for offset in 1..64 {
            for n in [1, 3, 8, 15, 16, 17, 31, 63, 64, 65, 130] {
                self.one(case, call, n, (1, 1), false, offset);
                calls += 1;
            }
        }
        for strides in STRIDES {
            for n in (0..20).chain([31, 63, 64, 65, 66, 127, 128, 129, STRIDED_N]) {
                self.one(case, call, n, strides, true, 0);
                calls += 1;
            }
        }
        calls
    }

    fn one(
        &mut self,
        case: &Case,
        call: Call,
        n: usize,
        (src_stride, dst_stride): (usize, usize),
        at_end: bool,
        offset: usize,
    ) {
        let span =
            |size: usize, stride: usize| if n == 0 { 0 } else { ((n - 1) * stride + 1) * size };
        let (src_bytes, dst_bytes) =
            (span(case.src_size, src_stride), span(case.dst_size, dst_stride));
        let place =
            |arena: &GuardedBuf, bytes: usize| if at_end { arena.len() - bytes } else { offset };
        let (src_at, dst_at) = (place(&self.src, src_bytes), place(&self.dst, dst_bytes));
        assert!(src_at + src_bytes <= self.src.len() && dst_at + dst_bytes <= self.dst.len());
        // The bytes looked at around the destination; beyond them lie further ones, then the guards.
        let low = dst_at.saturating_sub(AROUND);
        let high = (dst_at + dst_bytes + AROUND).min(self.dst.len());
        // SAFETY: all offsets are at most the arenas' lengths, as just asserted.
        let written = unsafe {
            let (src_base, dst_base) = (self.src.as_mut_ptr(), self.dst.as_mut_ptr());
            for i in 0..n {
                case.src.as_ptr().add(i * case.src_size).copy_to_nonoverlapping(
                    src_base.add(src_at + i * src_stride * case.src_size),
                    case.src_size,
                );
            }
            dst_base.add(low).write_bytes(FILL, high - low);
            let (from, to) = (src_base.add(src_at), dst_base.add(dst_at));
            call(from, src_stride, to, dst_stride, n);
            std::slice::from_raw_parts(dst_base.add(low), high - low)
        };
        let context =
            || format!("{}: n {n}, strides {src_stride} {dst_stride}, offset {offset}", case.label);
        let untouched = |bytes: &[u8]| bytes.iter().all(|&b| b == FILL);
        let (before, mut rest) = written.split_at(dst_at - low);
        assert!(untouched(before), "{}: wrote before", context());
        for i in 0..n {
            let want = &case.want[i * case.dst_size..][..case.dst_size];
            let (got, after) = rest.split_at(case.dst_size);
            if got != want {
                let src = &case.src[i * case.src_size..][..case.src_size];
                panic!("{}: element {i} of {src:02x?} is {got:02x?}, not {want:02x?}", context());
            }
            let gap = if i + 1 < n { (dst_stride - 1) * case.dst_size } else { after.len() };
            let (between, next) = after.split_at(gap);
            assert!(untouched(between), "{}: wrote after element {i}", context());
            rest = next;
        }
        assert!(untouched(rest), "{}: wrote after", context());
    }
}

/// The rows of a table that this run covers, callable; the others are reported.
pub fn runnable<F: Copy>(rows: &'static [Row<F>]) -> Vec<Bound<F>> {
    let supported = limited();
    let mut callable = Vec::new();
    for row in rows.iter().filter(|row| is_wanted(row.required)) {
        match bind(row, supported) {
            Some(bound) => callable.push(bound),
            None => missing(row.name, row.required),
        }
    }
    callable
}

/// Counts the cases checked with a row, under its op's name.
pub fn count<F: Copy>(rows: &'static [Row<F>], row: Bound<F>, cases: usize) {
    let op = rows.last().unwrap().name.strip_suffix("_scalar").unwrap();
    covered(op, row.row().required, cases as u64);
}

/// The f32 where something changes, times a scale: zeros, subnormals, ties of small integers, the
/// limits of codes, infinities, NaNs.
pub fn extremes(scale: f32) -> Vec<f32> {
    let mut values = vec![0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(0x007F_FFFF)];
    values.extend([f32::MAX, f32::INFINITY, f32::EPSILON, 1e-30, 1e30]);
    values.extend([0x7F80_0001, 0x7FBF_FFFF, 0x7FC0_0000, 0x7FC1_2345].map(f32::from_bits));
    for k in [0.5_f32, 1.0, 1.5, 2.5, 3.5, 63.5, 64.5, 126.5, 127.0, 127.5, 128.0, 128.5, 129.0] {
        let x = k * scale;
        values.extend([x.next_down(), x, x.next_up()]);
    }
    for k in [199.5_f32, 254.5, 255.0, 255.5, 256.0, 383.5, 510.5, 511.0] {
        let x = k * scale;
        values.extend([x.next_down(), x, x.next_up()]);
    }
    let negative: Vec<f32> = values.iter().map(|x| -x).collect();
    values.extend(negative);
    values
}

/// [`N`] inputs: the extremes, then random ones, half of them any bits and half within the codes.
pub fn inputs(rng: &mut Rng, scale: f32) -> Vec<f32> {
    let mut values = extremes(scale);
    while values.len() < N {
        let bits = rng.next_u32();
        values.push(if bits & 1 == 0 {
            f32::from_bits(rng.next_u32())
        } else {
            (rng.next_u32() as i32 as f32) * scale * (600.0 / 4_294_967_296.0)
        });
    }
    // So that short runs and every lane see all kinds.
    for i in (1..values.len()).rev() {
        values.swap(i, rng.next_u32() as usize % (i + 1));
    }
    values.truncate(N);
    values
}

/// The bytes of plain numbers.
pub fn bytes<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: callers pass integers and floats, which have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// A table of quantization and its formats.
pub type Quantizer = (&'static [Row<QuantizeFn>], RealFormat, IntFormat);

/// Every table that quantizes.
pub const QUANTIZERS: [Quantizer; 8] = {
    use RealFormat::*;
    [
        (quantize::F32_S8, F32, IntFormat::S8),
        (quantize::F32_U8, F32, IntFormat::U8),
        (quantize::F32_S16, F32, IntFormat::S16),
        (quantize::F32_B1, F32, IntFormat::B1),
        (quantize::F16_S8, F16, IntFormat::S8),
        (quantize::F16_U8, F16, IntFormat::U8),
        (quantize::BF16_S8, Bf16, IntFormat::S8),
        (quantize::BF16_U8, Bf16, IntFormat::U8),
    ]
};

/// Every table that dequantizes.
pub const DEQUANTIZERS: [(&[Row<DequantizeFn>], RealFormat, IntFormat); 9] = [
    (dequantize::S8_F32, RealFormat::F32, IntFormat::S8),
    (dequantize::U8_F32, RealFormat::F32, IntFormat::U8),
    (dequantize::S16_F32, RealFormat::F32, IntFormat::S16),
    (dequantize::S8_F16, RealFormat::F16, IntFormat::S8),
    (dequantize::U8_F16, RealFormat::F16, IntFormat::U8),
    (dequantize::S16_F16, RealFormat::F16, IntFormat::S16),
    (dequantize::S8_BF16, RealFormat::Bf16, IntFormat::S8),
    (dequantize::U8_BF16, RealFormat::Bf16, IntFormat::U8),
    (dequantize::S16_BF16, RealFormat::Bf16, IntFormat::S16),
];

/// Numbers as they are stored in a format, and what is then read. In the 16-bit formats every third is
/// any of the codes, as most numbers would overflow or be 0.
pub fn stored(rng: &mut Rng, format: RealFormat, x: &[f32]) -> (Vec<u8>, Vec<f32>) {
    if format == RealFormat::F32 {
        return (bytes(x).to_vec(), x.to_vec());
    }
    let half = format == RealFormat::F16;
    let narrow = if half { float16::f32_to_f16 } else { float16::f32_to_bf16 };
    let widen = if half { float16::f16_to_f32 } else { float16::bf16_to_f32 };
    let any = |(i, &x): (usize, &f32)| if i % 3 == 0 { rng.next_u32() as u16 } else { narrow(x) };
    let codes: Vec<u16> = x.iter().enumerate().map(any).collect();
    (bytes(&codes).to_vec(), codes.iter().map(|&code| widen(code)).collect())
}

/// A code's real number as it is stored in a format.
pub fn real_bytes(format: RealFormat, q: i32, params: QuantParams) -> Vec<u8> {
    match format {
        RealFormat::F32 => fewbit_scheme::dequantize(q, params).to_ne_bytes().to_vec(),
        RealFormat::F16 => fewbit_scheme::dequantize_f16(q, params).to_ne_bytes().to_vec(),
        RealFormat::Bf16 => fewbit_scheme::dequantize_bf16(q, params).to_ne_bytes().to_vec(),
    }
}

/// What a quantizer makes of a number, as bytes; codes are at least `low`.
pub fn quantized(
    (_, _, format): Quantizer,
    (x, low): (f32, i32),
    params: QuantParams,
    mode: QuantizeMode,
) -> Vec<u8> {
    let q = fewbit_scheme::quantize(x, params, format, mode).max(low);
    match format {
        IntFormat::S16 => (q as i16).to_ne_bytes().to_vec(),
        _ => vec![q as u8],
    }
}

/// Bytes of a quantizer's codes.
pub fn quantized_size((_, _, format): Quantizer) -> usize {
    format.bits().div_ceil(8) as usize
}
