//! Conversion and quantization kernels over all 2^32 f32: a sample by default, every one with
//! `FEWBIT_EXHAUSTIVE=1`:
//!
//! ```sh
//! FEWBIT_EXHAUSTIVE=1 cargo test --release -p fewbit-kernels --test sweep -- --nocapture
//! ```
//!
//! Portable quantizers, which are the contract's own arithmetic and as slow, then take every sixteenth block.

mod common;

use common::{count, runnable};
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit_kernels::quantize::{F32_S8, F32_U8, QuantizeArgs, QuantizeFn};
use fewbit_kernels::registry::{Bound, Row};
use fewbit_scheme::float16;
use fewbit_scheme::fp8::{self, Overflow};
use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, Quotient, Rounding, quantize};
use fewbit_simd::IsaSet;
use fewbit_testkit::{Rng, is_exhaustive, report, seed};
use std::fmt::LowerHex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Values a call: several vectors of any row, and part of one.
const BLOCK: usize = 4096 + 13;

/// Calls `check` with blocks of f32 that together are all of them, or a sample.
fn blocks(stride: u32, mut check: impl FnMut(&[f32])) {
    let (start, step) = fewbit_testkit::sweep("kernels", stride);
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

fn narrowing<T: Copy + Default + PartialEq + LowerHex>(
    table: &'static [Row<ConvertFn>],
    contract: fn(f32) -> T,
) {
    let rows = runnable(table);
    let (mut want, mut got) = (Vec::new(), vec![T::default(); BLOCK]);
    blocks(1021, |block| {
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

#[test]
fn f32_to_float8() {
    narrowing(convert::F32_F8E4M3FN, |x| fp8::f32_to_e4m3fn(x, Overflow::NonFinite));
    narrowing(convert::F32_F8E4M3FN_SATURATE, |x| fp8::f32_to_e4m3fn(x, Overflow::Saturate));
    narrowing(convert::F32_F8E5M2, |x| fp8::f32_to_e5m2(x, Overflow::NonFinite));
    narrowing(convert::F32_F8E5M2_SATURATE, |x| fp8::f32_to_e5m2(x, Overflow::Saturate));
}

/// Scales at which quotients without a division could go wrong: mantissas of all ones, next to powers of
/// two, those that never divide evenly, the ends of f32 and of the fast path, and random ones.
fn scales() -> Vec<f32> {
    let mut scales = vec![
        0.099_999_9,
        1.0 / 3.0,
        1.0 / 127.0,
        1.0 / 255.0,
        f32::from_bits(0x3DFF_FFFF),
        f32::from_bits(0x3F7F_FFFF),
        f32::from_bits(0x42FF_FFFF),
        1e-38,
        1e-45,
        1e-40,
        f32::MIN_POSITIVE,
        f32::MIN_POSITIVE.next_up(),
        f32::MAX / 16.0,
        (f32::MAX / 16.0).next_up(),
        1e38,
        f32::MAX,
    ];
    for power in [1.0f32, 0.125, 2f32.powi(-20), 2f32.powi(40)] {
        scales.extend([power.next_down(), power, power.next_up()]);
    }
    let mut rng = Rng::new(seed() ^ 75);
    scales.extend((0..8).map(|_| (rng.unit() + 1e-3) * rng.pick(&[1.0, 1e-3, 30.0])));
    scales
}

/// A table with those of its rows that the CPU runs.
struct Table {
    rows: &'static [Row<QuantizeFn>],
    runnable: Vec<Bound<QuantizeFn>>,
    format: IntFormat,
}

fn tables() -> [Table; 2] {
    [(F32_S8, IntFormat::S8), (F32_U8, IntFormat::U8)].map(|(rows, format)| Table {
        rows,
        runnable: runnable(rows),
        format,
    })
}

/// The codes of values.
fn contract(values: &[f32], code: impl Fn(f32) -> i32) -> Vec<u8> {
    values.iter().map(|&x| code(x) as u8).collect()
}

/// Values to every row of a table, against the contract; to the portable one if that is asked for.
fn quantizing(
    Table { rows, runnable, format }: &Table,
    params: QuantParams,
    mode: QuantizeMode,
    portable: bool,
    block: &[f32],
) {
    let mut got = vec![0_u8; block.len()];
    // What is constant here lets the compiler use vectors, for the contract too.
    let usual = QuantizeMode { rounding: Rounding::HalfEven, quotient: Quotient::Divide };
    let want: Vec<u8> = match *format {
        _ if mode != usual => contract(block, |x| quantize(x, params, *format, mode)),
        IntFormat::S8 => contract(block, |x| quantize(x, params, IntFormat::S8, usual)),
        _ => contract(block, |x| quantize(x, params, IntFormat::U8, usual)),
    };
    for &row in runnable {
        if row.row().required == IsaSet::SCALAR && !portable {
            continue;
        }
        count(rows, row, block.len());
        let args = QuantizeArgs {
            src: block.as_ptr().cast(),
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
        unsafe { row.run()(&args) };
        if got != want {
            let i = (0..want.len()).find(|&i| got[i] != want[i]).unwrap();
            let (bits, got, want) = (block[i].to_bits(), got[i], want[i]);
            panic!("{} {params:?} {mode:?}: {bits:#010x} gave {got}, not {want}", row.name());
        }
    }
}

fn modes() -> [QuantizeMode; 4] {
    let mode = |rounding, quotient| QuantizeMode { rounding, quotient };
    [
        mode(Rounding::HalfEven, Quotient::Divide),
        mode(Rounding::HalfEven, Quotient::Multiply),
        mode(Rounding::HalfAway, Quotient::Divide),
        mode(Rounding::HalfAway, Quotient::Multiply),
    ]
}

/// All f32 with every scale and three zero points; a sample by default. The two modes besides ONNX's
/// share all but the division, so that they take turns.
#[test]
fn f32_to_codes() {
    let (scales, tables) = (scales(), tables());
    let cases: Vec<_> = scales
        .iter()
        .enumerate()
        .flat_map(|(i, &scale)| tables.each_ref().map(|table| (i, scale, table)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&(i, scale, table)) = cases.get(next.fetch_add(1, Relaxed)) {
            let format = table.format;
            let zero_points = [0, format.qmin() + 117, [format.qmin(), format.qmax()][i % 2]];
            let params = QuantParams { scale, zero_point: zero_points[i % 3] };
            let mode = if i % 4 == 3 { modes()[1 + i / 4 % 3] } else { modes()[0] };
            let mut number = 0;
            blocks(30_011, |block| {
                let portable = number % 16 == 0 || table.runnable.len() == 1 || !is_exhaustive();
                quantizing(table, params, mode, portable, block);
                number += 1;
            });
            println!("{format:?} {params:?} {mode:?}: equal");
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    report();
}

/// Every tie between two codes, its neighbours, and the ends, for many scales and all modes.
#[test]
fn ties_of_many_scales() {
    let mut rng = Rng::new(seed() ^ 76);
    let many = fewbit_testkit::fraction("scales of ties", 16);
    let (mut all, tables) = (scales(), tables());
    all.extend((0..4096 / many).map(|_| f32::from_bits(0x3C00_0000 + (rng.next_u32() >> 6))));
    for (i, scale) in all.into_iter().enumerate() {
        for table in &tables {
            let format = table.format;
            let zero_point = format.qmin() + rng.below(256) as i32;
            let mut values = Vec::new();
            for code in format.qmin() - 3..=format.qmax() + 3 {
                let mut x = ((f64::from(code - zero_point) + 0.5) * f64::from(scale)) as f32;
                for _ in 0..4 {
                    x = x.next_down();
                }
                for _ in 0..9 {
                    values.push(x);
                    x = x.next_up();
                }
            }
            quantizing(table, QuantParams { scale, zero_point }, modes()[i % 4], true, &values);
        }
    }
    report();
}
