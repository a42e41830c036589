//! Conversion and quantization kernels over all 2^32 f32: a sample by default, every one with
//! `FEWBIT_EXHAUSTIVE=1`.

mod common;

use common::{count, runnable};
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit_kernels::registry::Row;
use fewbit_scheme::float16;
use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, Quotient, Rounding};
use fewbit_testkit::report;

/// Values a call: several vectors of any row, and part of one.
const BLOCK: usize = 4096 + 13;

/// Calls `check` with blocks of f32 that together are all of them, or a sample.
fn blocks(mut check: impl FnMut(&[f32])) {
    let (start, step) = fewbit_testkit::sweep("kernels", 1021);
    let mut bits = (u64::from(start)..1 << 32).step_by(step as usize);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        block.extend(bits.by_ref().take(BLOCK).map(|b| f32::from_bits(b as u32)));
        if block.is_empty() {
            return;
        }
        check(&block);
    }
}

fn narrowing(table: &'static [Row<ConvertFn>], contract: fn(f32) -> u16) {
    let rows = runnable(table);
    let (mut want, mut got) = (Vec::new(), vec![0_u16; BLOCK]);
    blocks(|block| {
        want.clear();
        want.extend(block.iter().map(|&x| contract(x)));
        for row in &rows {
            let (name, run) = (row.name(), row.run());
            count(table, *row, block.len());
            let args = ConvertArgs {
                src: block.as_ptr().cast(),
                src_stride: 1,
                dst: got.as_mut_ptr().cast(),
                dst_stride: 1,
                n: block.len(),
            };
            // SAFETY: the row is bound; both slices have `n` elements.
            unsafe { run(&args) };
            if got[..block.len()] != want[..] {
                let i = (0..want.len()).find(|&i| got[i] != want[i]).unwrap();
                let (bits, got, want) = (block[i].to_bits(), got[i], want[i]);
                panic!("{name}: {bits:#010x} gave {got:#06x}, not {want:#06x}");
            }
        }
    });
    report();
}

#[test]
fn f32_to_f16() {
    narrowing(convert::F32_F16, float16::f32_to_f16);
}

#[test]
fn f32_to_f16_saturating() {
    narrowing(convert::F32_F16_SATURATE, float16::f32_to_f16_saturating);
}

#[test]
fn f32_to_bf16() {
    narrowing(convert::F32_BF16, float16::f32_to_bf16);
}

#[test]
fn f32_to_bf16_saturating() {
    narrowing(convert::F32_BF16_SATURATE, float16::f32_to_bf16_saturating);
}

/// All f32, with a scale whose quotients round: every tie and both its neighbours of every code.
fn quantizing(table: &'static [Row<QuantizeFn>], format: IntFormat, mode: QuantizeMode) {
    let rows = runnable(table);
    let (mut want, mut got) = (Vec::new(), vec![0_u8; BLOCK]);
    let params = QuantParams { scale: 0.099_999_9, zero_point: format.qmin() + 117 };
    blocks(|block| {
        want.clear();
        want.extend(block.iter().map(|&x| fewbit_scheme::quantize(x, params, format, mode) as u8));
        for row in &rows {
            let (name, run) = (row.name(), row.run());
            count(table, *row, block.len());
            let args = QuantizeArgs {
                src: block.as_ptr(),
                src_stride: 1,
                dst: got.as_mut_ptr(),
                dst_stride: 1,
                n: block.len(),
                scales: &params.scale,
                zero_points: &params.zero_point,
                param_step: 0,
                rows: Rows::ONE,
                mode,
                clamp: (format.qmin(), format.qmax()),
            };
            // SAFETY: the row is bound; both slices have `n` elements.
            unsafe { run(&args) };
            if got[..block.len()] != want[..] {
                let i = (0..want.len()).find(|&i| got[i] != want[i]).unwrap();
                let (bits, got, want) = (block[i].to_bits(), got[i], want[i]);
                panic!("{name} {mode:?}: {bits:#010x} gave {got}, not {want}");
            }
        }
    });
    report();
}

#[test]
fn f32_to_codes_half_even() {
    for quotient in [Quotient::Divide, Quotient::Multiply] {
        let mode = QuantizeMode { rounding: Rounding::HalfEven, quotient };
        quantizing(quantize::F32_S8, IntFormat::S8, mode);
        quantizing(quantize::F32_U8, IntFormat::U8, mode);
    }
}

#[test]
fn f32_to_codes_half_away() {
    for quotient in [Quotient::Divide, Quotient::Multiply] {
        let mode = QuantizeMode { rounding: Rounding::HalfAway, quotient };
        quantizing(quantize::F32_S8, IntFormat::S8, mode);
        quantizing(quantize::F32_U8, IntFormat::U8, mode);
    }
}
