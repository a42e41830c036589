//! Runs side by side: every row of the ops with parameters, with shapes as the granularities make
//! them (per column, per row, blocks, few channels innermost), against the contract element by
//! element, between guard pages.

mod common;

use common::{
    DEQUANTIZERS, QUANTIZERS, count, quantized, quantized_size, real_bytes, runnable, stored,
};
use fewbit_kernels::Rows;
use fewbit_kernels::dequantize::DequantizeArgs;
use fewbit_kernels::quantize::QuantizeArgs;
use fewbit_kernels::reduce::{self, RangesArgs};
use fewbit_kernels::requantize::{self, RequantizeArgs};
use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, Quotient, RealFormat, Rounding};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

/// A grid of runs; strides in elements.
#[derive(Clone, Copy, Debug)]
struct Shape {
    n: usize,
    src_stride: usize,
    dst_stride: usize,
    param_step: usize,
    rows: Rows,
}

impl Shape {
    fn any(rng: &mut Rng) -> Shape {
        let n = match rng.below(4) {
            0 => 1 + rng.below(8),
            1 => rng.pick(&[16, 24, 31, 32, 33, 64, 100, 127, 128, 129]),
            2 => 1 + rng.below(300),
            _ => rng.pick(&[511, 512, 513, 600, 1030]),
        };
        let joined = rng.below(3) > 0;
        let (src_stride, dst_stride) =
            if joined { (1, 1) } else { (1 + rng.below(2), 1 + rng.below(3)) };
        let gap = |rng: &mut Rng| if joined { 0 } else { rng.below(4) };
        let param_step = rng.below(2);
        let each = if param_step == 1 { n } else { 1 };
        let rows = Rows {
            count: 1 + rng.below(if n > 200 { 4 } else { 60 }),
            src_stride: n * src_stride + gap(rng),
            dst_stride: n * dst_stride + gap(rng),
            param_stride: rng.pick(&[0, each]),
        };
        Shape { n, src_stride, dst_stride, param_step, rows }
    }

    fn params(&self) -> usize {
        (self.rows.count - 1) * self.rows.param_stride + (self.n - 1) * self.param_step + 1
    }

    fn reach(&self, row_stride: usize, stride: usize) -> usize {
        (self.rows.count - 1) * row_stride + (self.n - 1) * stride + 1
    }

    fn src_len(&self) -> usize {
        self.reach(self.rows.src_stride, self.src_stride)
    }

    fn dst_len(&self) -> usize {
        self.reach(self.rows.dst_stride, self.dst_stride)
    }

    /// Source, destination and parameter of each element.
    fn elements(self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..self.rows.count).flat_map(move |row| {
            (0..self.n).map(move |i| {
                (
                    row * self.rows.src_stride + i * self.src_stride,
                    row * self.rows.dst_stride + i * self.dst_stride,
                    row * self.rows.param_stride + i * self.param_step,
                )
            })
        })
    }
}

/// Inputs of the size of the parameters' ranges, ties and extremes among them.
fn reals(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n)
        .map(|_| match rng.below(12) {
            0 => rng.any_f32(),
            1 => rng.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45]),
            2 => (rng.below(512) as f32 - 256.0 + 0.5) * 0.25,
            _ => rng.normal() * 3.0,
        })
        .collect()
}

fn factors(rng: &mut Rng, n: usize) -> Vec<f32> {
    // Few tiles hold a scale without a bracket.
    let odd = rng.below(4) == 0;
    (0..n)
        .map(|_| match rng.below(40) {
            0 if odd => rng.pick(&[1e-45, 1e-40, f32::MIN_POSITIVE, f32::MAX, 3e38, 1e37]),
            1..=9 => 0.25,
            _ => 0.001 + rng.unit() * 0.1,
        })
        .collect()
}

/// Shapes of a run of the tests.
const SHAPES: usize = 400;

struct Arena {
    src: GuardedBuf,
    dst: GuardedBuf,
    factors: GuardedBuf,
    zero_points: GuardedBuf,
    /// Where in `dst` bytes are looked at from.
    looked_at: usize,
}

/// Bytes looked at before a destination.
const AROUND: usize = 2048;

impl Arena {
    fn new() -> Arena {
        // 60 rows of 200 elements of 4 bytes, 3 apart, and gaps.
        let new = || GuardedBuf::new(1 << 18);
        Arena { src: new(), dst: new(), factors: new(), zero_points: new(), looked_at: 0 }
    }

    /// The place of a destination of `bytes` bytes, filled with what it must not stay.
    fn place(&mut self, bytes: usize) -> *mut u8 {
        let at = self.dst.len() - bytes;
        self.looked_at = at.saturating_sub(AROUND);
        // SAFETY: the buffer is that long.
        unsafe {
            let base = self.dst.as_mut_ptr();
            base.add(self.looked_at).write_bytes(0xA5, self.dst.len() - self.looked_at);
            base.add(at)
        }
    }

    /// The destination, and what is before it; behind it is the guard.
    fn written(&mut self) -> &[u8] {
        let len = self.dst.len() - self.looked_at;
        // SAFETY: its memory, initialised by `place`.
        unsafe { std::slice::from_raw_parts(self.dst.as_mut_ptr().add(self.looked_at), len) }
    }

    /// Compares what was written with the elements' bytes; the rest must be untouched.
    fn compare(&mut self, label: &str, len: usize, size: usize, want: &[(usize, Vec<u8>)]) {
        let mut expected = vec![0xA5u8; self.dst.len() - self.looked_at];
        let base = expected.len() - len * size;
        for (at, bytes) in want {
            expected[base + at * size..][..size].copy_from_slice(bytes);
        }
        let got = self.written();
        if got != expected {
            let at = (0..got.len()).find(|&i| got[i] != expected[i]).unwrap();
            panic!(
                "{label}: byte {} is {}, not {}",
                at as i64 - base as i64,
                got[at],
                expected[at]
            );
        }
    }
}

fn zero_points(rng: &mut Rng, format: IntFormat, n: usize) -> Option<Vec<i32>> {
    let span = (format.qmax() - format.qmin() + 1) as usize;
    (rng.below(4) > 0 && format != IntFormat::B1)
        .then(|| (0..n).map(|_| format.qmin() + rng.below(span) as i32).collect())
}

#[test]
fn quantize_grids() {
    let (mut arena, mut rng) = (Arena::new(), Rng::new(seed() ^ 71));
    for quantizer in QUANTIZERS {
        let (table, real, format) = quantizer;
        // What lies between the numbers' format and the codes' is the same code.
        let shapes = if real == RealFormat::F32 { SHAPES } else { SHAPES / 8 };
        for row in runnable(table) {
            for _ in 0..shapes {
                let shape = Shape::any(&mut rng);
                let mode = QuantizeMode {
                    rounding: rng.pick(&[Rounding::HalfEven, Rounding::HalfAway]),
                    quotient: rng.pick(&[Quotient::Divide, Quotient::Multiply]),
                };
                let x = reals(&mut rng, shape.src_len());
                let (src, x) = stored(&mut rng, real, &x);
                let scales = factors(&mut rng, shape.params());
                let zeros = zero_points(&mut rng, format, shape.params());
                let size = quantized_size(quantizer);
                // Now and then the codes of a narrower format.
                let narrower = format.bits() >= 8 && rng.below(3) == 0;
                let least = format.qmin() + rng.below(9) as i32;
                // Without negative codes, too: bytes are then stored as the other kind.
                let low = if narrower { rng.pick(&[least, least.max(3)]) } else { format.qmin() };
                let clamp = (low, format.qmax());
                let dst = arena.place(size * shape.dst_len());
                let args = QuantizeArgs {
                    src: arena.src.at_end(&src),
                    src_stride: shape.src_stride,
                    dst,
                    dst_stride: shape.dst_stride,
                    n: shape.n,
                    scales: arena.factors.at_end(&scales),
                    zero_points: zeros
                        .as_ref()
                        .map_or(std::ptr::null(), |z| arena.zero_points.at_end(z)),
                    param_step: shape.param_step,
                    rows: shape.rows,
                    mode,
                    clamp,
                };
                // SAFETY: the row is bound; the arena holds the grid and its parameters.
                unsafe { row.run()(&args) };
                let want: Vec<(usize, Vec<u8>)> = shape
                    .elements()
                    .map(|(from, to, param)| {
                        let zero_point = zeros.as_ref().map_or(0, |z| z[param]);
                        let params = QuantParams { scale: scales[param], zero_point };
                        (to, quantized(quantizer, (x[from], clamp.0), params, mode))
                    })
                    .collect();
                let label = format!("{} {format:?} {shape:?} {mode:?}", row.name());
                arena.compare(&label, shape.dst_len(), size, &want);
            }
            count(table, row, shapes);
        }
    }
    report();
}

#[test]
fn dequantize_grids() {
    let (mut arena, mut rng) = (Arena::new(), Rng::new(seed() ^ 72));
    for (table, real, format) in DEQUANTIZERS {
        let shapes = if real == RealFormat::F32 { SHAPES } else { SHAPES / 4 };
        for row in runnable(table) {
            for _ in 0..shapes {
                let shape = Shape::any(&mut rng);
                let size = format.bits() as usize / 8;
                let q = rng.bytes(size * shape.src_len());
                let scales = factors(&mut rng, shape.params());
                let zeros = zero_points(&mut rng, format, shape.params());
                let dst = arena.place(real.size() * shape.dst_len());
                let args = DequantizeArgs {
                    src: arena.src.at_end(&q),
                    src_stride: shape.src_stride,
                    signed: format.qmin() < 0,
                    dst,
                    dst_stride: shape.dst_stride,
                    n: shape.n,
                    scales: arena.factors.at_end(&scales),
                    zero_points: zeros
                        .as_ref()
                        .map_or(std::ptr::null(), |z| arena.zero_points.at_end(z)),
                    param_step: shape.param_step,
                    rows: shape.rows,
                };
                // SAFETY: as above.
                unsafe { row.run()(&args) };
                let want: Vec<(usize, Vec<u8>)> = shape
                    .elements()
                    .map(|(from, to, param)| {
                        let zero_point = zeros.as_ref().map_or(0, |z| z[param]);
                        let params = QuantParams { scale: scales[param], zero_point };
                        let code = match format {
                            IntFormat::S8 => q[from] as i8 as i32,
                            IntFormat::U8 => q[from].into(),
                            _ => i16::from_ne_bytes([q[2 * from], q[2 * from + 1]]).into(),
                        };
                        (to, real_bytes(real, code, params))
                    })
                    .collect();
                let label = format!("{} {shape:?}", row.name());
                arena.compare(&label, shape.dst_len(), real.size(), &want);
            }
            count(table, row, shapes);
        }
    }
    report();
}

#[test]
fn requantize_grids() {
    let (mut arena, mut rng) = (Arena::new(), Rng::new(seed() ^ 73));
    let tables = [(requantize::S32_S8, IntFormat::S8), (requantize::S32_U8, IntFormat::U8)];
    for (table, format) in tables {
        for row in runnable(table) {
            for _ in 0..SHAPES {
                let shape = Shape::any(&mut rng);
                let acc: Vec<i32> =
                    (0..shape.src_len()).map(|i| rng.next_u32() as i32 >> (i % 32)).collect();
                let multipliers = factors(&mut rng, shape.params());
                let zeros = zero_points(&mut rng, format, shape.params());
                let low = format.qmin() + rng.below(3) as i32;
                let clamp = (low, format.qmax());
                let dst = arena.place(shape.dst_len());
                let args = RequantizeArgs {
                    src: arena.src.at_end(&acc),
                    src_stride: shape.src_stride,
                    dst,
                    dst_stride: shape.dst_stride,
                    n: shape.n,
                    multipliers: arena.factors.at_end(&multipliers),
                    zero_points: zeros
                        .as_ref()
                        .map_or(std::ptr::null(), |z| arena.zero_points.at_end(z)),
                    param_step: shape.param_step,
                    rows: shape.rows,
                    clamp,
                };
                // SAFETY: as above.
                unsafe { row.run()(&args) };
                let want: Vec<(usize, Vec<u8>)> = shape
                    .elements()
                    .map(|(from, to, param)| {
                        let zero_point = zeros.as_ref().map_or(0, |z| z[param]);
                        let multiplier = multipliers[param];
                        let q = fewbit_scheme::requantize(
                            acc[from], multiplier, zero_point, format, clamp,
                        );
                        (to, vec![q as u8])
                    })
                    .collect();
                let label = format!("{} {shape:?}", row.name());
                arena.compare(&label, shape.dst_len(), 1, &want);
            }
            count(table, row, SHAPES);
        }
    }
    report();
}

#[test]
fn ranges_of_rows_and_columns() {
    let (mut src, mut low, mut high) =
        (GuardedBuf::new(1 << 16), GuardedBuf::new(4096), GuardedBuf::new(4096));
    let mut rng = Rng::new(seed() ^ 74);
    let tables = [
        (reduce::ROW_RANGES, RealFormat::F32, false),
        (reduce::COLUMN_RANGES, RealFormat::F32, true),
        (reduce::ROW_RANGES_F16, RealFormat::F16, false),
        (reduce::COLUMN_RANGES_F16, RealFormat::F16, true),
        (reduce::ROW_RANGES_BF16, RealFormat::Bf16, false),
        (reduce::COLUMN_RANGES_BF16, RealFormat::Bf16, true),
    ];
    for (table, real, columns) in tables {
        for row in runnable(table) {
            for _ in 0..SHAPES {
                let (n, rows) = (1 + rng.below(150), rng.below(40));
                let row_stride = n + rng.below(3);
                let x = reals(&mut rng, (rows.max(1) - 1) * row_stride + n);
                let (stored, x) = stored(&mut rng, real, &x);
                let ranges = if columns { n } else { rows };
                let (lows, highs) = (vec![f32::INFINITY; ranges], vec![f32::NEG_INFINITY; ranges]);
                let args = RangesArgs {
                    src: src.at_end(&stored),
                    n,
                    rows,
                    row_stride,
                    low: low.at_end(&lows),
                    high: high.at_end(&highs),
                };
                // SAFETY: the row is bound; the buffers hold the rows and the ranges.
                let got: Vec<(f32, f32)> = unsafe {
                    row.run()(&args);
                    (0..ranges).map(|i| (args.low.add(i).read(), args.high.add(i).read())).collect()
                };
                let want: Vec<(f32, f32)> = (0..ranges)
                    .map(|i| {
                        let values: Vec<f32> = if columns {
                            (0..rows).map(|r| x[r * row_stride + i]).collect()
                        } else {
                            x[i * row_stride..][..n].to_vec()
                        };
                        fewbit_scheme::reduce::min_max(&values)
                    })
                    .collect();
                // Equal as numbers: a zero's sign is unspecified.
                assert_eq!(got, want, "{} n {n} rows {rows} stride {row_stride}", row.name());
            }
            count(table, row, SHAPES);
        }
    }
    report();
}
