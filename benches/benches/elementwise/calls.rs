//! What a call of the C ABI costs on a few elements: checks, the choice of the kernel, the
//! floating-point environment. `call_quantize/f32s8/avx512/n8`; there is one kernel, the process's.

use criterion::Criterion;
use fewbit::kernels::registry::{Row, best};
use fewbit::kernels::{convert, dequantize, quantize, reduce, requantize};
use fewbit_benches::{Buffer, SCALE, activations, codes, id, parts};
use fewbit_ffi::*;
use fewbit_testkit::limited;
use std::hint::black_box;

const LENGTHS: [usize; 3] = [1, 8, 64];

/// Times an exported function that runs a table's kernel. It is called through a pointer that the
/// optimiser does not know, as from another library.
macro_rules! call {
    ($c:ident, $table:expr, $n:ident, $function:ident($($argument:expr),* $(,)?)) => {{
        let function = black_box($function as unsafe extern "C" fn($(call!(@any $argument)),*) -> _);
        time($c, $table, |$n| {
            // SAFETY: the buffers hold the longest of `LENGTHS`, of the widest type.
            unsafe { function($($argument),*) }
        });
    }};
    (@any $argument:expr) => { _ };
}

fn time<F: Copy>(
    c: &mut Criterion,
    rows: &'static [Row<F>],
    call: impl Fn(usize) -> fewbit_status,
) {
    let kernel = best(rows, limited()).expect("a portable row");
    let op = rows.last().map_or("", |row| row.name.trim_end_matches("_scalar"));
    let mut group = c.benchmark_group(format!("call_{}", id(op, kernel.name())));
    for n in LENGTHS {
        assert_eq!(call(n), FEWBIT_OK, "{:?}", parts(op));
        group.bench_function(format!("n{n}"), |b| b.iter(|| call(black_box(n))));
    }
    group.finish();
}

pub fn bench(c: &mut Criterion) {
    let longest = LENGTHS[LENGTHS.len() - 1];
    let params = fewbit_quant_params { scale: SCALE, zero_point: 3 };
    let (params, multiplier) = (&raw const params, 0.001f32);
    let x = activations(longest);
    let (x, codes) = (x.floats().as_ptr(), Buffer::repeated(&codes(4 * longest), 4 * longest));
    let (s8, u8) = (codes.bytes().as_ptr().cast::<i8>(), codes.bytes().as_ptr());
    let (u16, s32) = (u8.cast::<u16>(), u8.cast::<i32>());
    let mut dst = Buffer::new(4 * longest);
    let to = dst.bytes_mut().as_mut_ptr();
    let mut ends = [0.0f32; 2];
    let [min, max] = ends.each_mut().map(std::ptr::from_mut);

    call!(c, quantize::F32_S8, n, fewbit_quantize_f32_s8(x, n, params, to.cast()));
    call!(c, quantize::F32_U8, n, fewbit_quantize_f32_u8(x, n, params, to));
    call!(c, dequantize::S8_F32, n, fewbit_dequantize_s8_f32(s8, n, params, to.cast()));
    call!(c, dequantize::U8_F32, n, fewbit_dequantize_u8_f32(u8, n, params, to.cast()));
    call!(c, requantize::S32_S8, n, fewbit_requantize_s32_s8(s32, n, multiplier, 3, to.cast()));
    call!(c, requantize::S32_U8, n, fewbit_requantize_s32_u8(s32, n, multiplier, 3, to));
    call!(c, convert::F32_F16, n, fewbit_convert_f32_f16(x, n, to.cast()));
    call!(c, convert::F16_F32, n, fewbit_convert_f16_f32(u16, n, to.cast()));
    call!(c, convert::F32_BF16, n, fewbit_convert_f32_bf16(x, n, to.cast()));
    call!(c, convert::BF16_F32, n, fewbit_convert_bf16_f32(u16, n, to.cast()));
    call!(c, convert::F32_F8E4M3FN, n, fewbit_convert_f32_f8e4m3fn(x, n, 0, to));
    call!(c, convert::F8E4M3FN_F32, n, fewbit_convert_f8e4m3fn_f32(u8, n, to.cast()));
    call!(c, convert::F32_F8E5M2, n, fewbit_convert_f32_f8e5m2(x, n, 0, to));
    call!(c, convert::F8E5M2_F32, n, fewbit_convert_f8e5m2_f32(u8, n, to.cast()));
    call!(c, reduce::MIN_MAX, n, fewbit_min_max_f32(x, n, min, max));
}
