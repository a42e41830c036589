//! Formats of weights and activations: the rows of the table that `cargo xtask formats` prints, and how a matrix becomes one
//! of them.

mod prepared;

pub use prepared::{Layer, Prepared, plan_of_codes};

use fewbit::granularity::{Granularity, Layout};
use fewbit::scheme::{IntFormat, ParamSpec, QuantizeMode, RealFormat, float16};
use fewbit::simd::Supported;
use fewbit::tensor::{TensorParams, TensorQuant, code_bytes};

/// What weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Numbers, multiplied as they are.
    Numbers(RealFormat),
    /// Codes with a scale for each output channel, or for so many neighbours of one along k.
    Codes(IntFormat, Option<usize>),
}

/// What activations are multiplied as. The input is f32, or numbers of 16 bits; the output is f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// Numbers, of this type.
    Numbers(RealFormat),
    /// Codes, s8 or s4, quantized in the run, each row by its own range.
    Dynamic(IntFormat),
    /// Signs, -1 and +1, quantized in the run; their scale is known beforehand.
    Signs,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// As the table names it: weights · activations.
    pub name: &'static str,
    /// What weights are.
    pub weights: Weights,
    /// What activations are.
    pub activations: Activations,
    /// In what sums are kept.
    pub accumulator: &'static str,
}

/// Weights that are numbers, and activations of the same type.
const fn numbers(name: &'static str, real: RealFormat) -> Format {
    let (weights, activations) = (Weights::Numbers(real), Activations::Numbers(real));
    Format { name, weights, activations, accumulator: "f32" }
}

/// Codes with a scale a channel, on s8 activations.
const fn codes(name: &'static str, format: IntFormat) -> Format {
    let (weights, activations) =
        (Weights::Codes(format, None), Activations::Dynamic(IntFormat::S8));
    Format { name, weights, activations, accumulator: "int32" }
}

/// Codes with a scale for each 32 of a channel, on s8 activations.
const fn blocks(name: &'static str, format: IntFormat) -> Format {
    let (weights, activations) =
        (Weights::Codes(format, Some(32)), Activations::Dynamic(IntFormat::S8));
    Format { name, weights, activations, accumulator: "int32, f32 across blocks" }
}

/// The table. The first row is what others are compared with.
pub const FORMATS: &[Format] = &[
    numbers("f32 · f32", RealFormat::F32),
    numbers("f16 · f16", RealFormat::F16),
    numbers("bf16 · bf16", RealFormat::Bf16),
    codes("int8 · int8", IntFormat::S8),
    blocks("int8, blocks of 32 · int8", IntFormat::S8),
    codes("int4 · int8", IntFormat::S4),
    blocks("int4, blocks of 32 · int8", IntFormat::S4),
    Format {
        name: "int4 · int4",
        weights: Weights::Codes(IntFormat::S4, None),
        activations: Activations::Dynamic(IntFormat::S4),
        accumulator: "int32",
    },
    codes("int2 · int8", IntFormat::S2),
    blocks("int2, blocks of 32 · int8", IntFormat::S2),
    codes("int1 · int8", IntFormat::B1),
    blocks("int1, blocks of 32 · int8", IntFormat::B1),
    Format {
        name: "int1 · int1",
        weights: Weights::Codes(IntFormat::B1, None),
        activations: Activations::Signs,
        accumulator: "int32",
    },
];

/// The bits of numbers in f16 or bf16.
pub fn halves(x: &[f32], real: RealFormat) -> Vec<u16> {
    let narrow = match real {
        RealFormat::Bf16 => float16::f32_to_bf16,
        _ => float16::f32_to_f16,
    };
    x.iter().map(|&x| narrow(x)).collect()
}

/// A matrix in codes.
#[derive(Clone, Debug)]
pub struct Codes {
    /// Packed, rows on bytes.
    pub codes: Vec<u8>,
    /// Codes between rows.
    pub stride: usize,
    /// Row by row, a scale a block; or one for all.
    pub scales: Vec<f32>,
    quant: TensorQuant,
    shape: [usize; 2],
}

impl Codes {
    /// Quantizes rows of `k` weights, symmetric, with the scales that lose least.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(
        w: &[f32],
        k: usize,
        format: IntFormat,
        block: Option<usize>,
        supported: Supported,
    ) -> Codes {
        let block = block.unwrap_or(k);
        let blocks = w.chunks_exact(k).flat_map(|row| row.chunks(block));
        let scales = blocks.map(|block| best_scale(block, format)).collect();
        let granularity = Granularity::PerBlock { axis: 1, block };
        Codes::with(w, k, format, (scales, granularity), supported)
    }

    /// The signs of rows of `k` numbers, with the mean of their magnitudes as the scale.
    pub fn signs(x: &[f32], k: usize, supported: Supported) -> Codes {
        let scales = vec![best_scale(x, IntFormat::B1)];
        Codes::with(x, k, IntFormat::B1, (scales, Granularity::PerTensor), supported)
    }

    fn with(
        x: &[f32],
        k: usize,
        format: IntFormat,
        (scales, granularity): (Vec<f32>, Granularity),
        supported: Supported,
    ) -> Codes {
        let params = ParamSpec::symmetric(format);
        let quant = TensorQuant { params, granularity, mode: QuantizeMode::default() };
        let shape = [x.len() / k, k];
        let stride = k.next_multiple_of(format.codes_per_byte());
        let mut codes = Codes { codes: Vec::new(), stride, scales, quant, shape };
        codes.codes = vec![0; code_bytes(&codes.layout(), format).expect("a size")];
        codes.quantize(x, supported);
        codes
    }

    fn layout(&self) -> Layout {
        Layout::packed(&self.shape, self.quant.params.format.codes_per_byte()).expect("two axes")
    }

    /// Makes new codes of numbers, by the scales that are there.
    ///
    /// # Panics
    /// If they are fewer.
    pub fn quantize(&mut self, x: &[f32], supported: Supported) {
        let from = Layout::contiguous(&self.shape).expect("two axes");
        let (to, quant) = (self.layout(), self.quant);
        let params = TensorParams { scales: &self.scales, zero_points: &[] };
        quant.quantize(x, &from, &params, &mut self.codes, &to, supported).expect("codes");
    }
}

/// The scale with which the codes of some numbers have the least squared error. With 8 bits it is taken from the
/// largest magnitude, so that nothing is outside; with fewer, the many small numbers count more than the few large ones. Of
/// -1 and +1 it is the mean of the magnitudes.
fn best_scale(x: &[f32], format: IntFormat) -> f32 {
    let largest = x.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    let (low, high) = (format.qmin() as f32, format.qmax() as f32);
    match format {
        IntFormat::B1 => x.iter().map(|x| x.abs()).sum::<f32>() / x.len() as f32,
        IntFormat::S8 => largest / high,
        _ => {
            let candidates = (4..=20).map(|step| largest * step as f32 / (20.0 * high));
            let error = |scale: f32| {
                let (inverse, mut error) = (1.0 / scale, 0f32);
                for &x in x {
                    let off = nearest((x * inverse).clamp(low, high)) * scale - x;
                    error += off * off;
                }
                error
            };
            let best = candidates.map(|scale| (error(scale), scale));
            best.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |(_, scale)| scale)
        }
    }
}

/// The nearest integer to a small number, ties to even: 1.5 * 2^23 leaves no bits behind the point. (In a loop it is two
/// instructions of every instruction set, where `round_ties_even` is a call.)
fn nearest(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit_testkit::Rng;

    #[test]
    fn scales_are_the_best() {
        let mut rng = Rng::new(5);
        let x: Vec<f32> = (0..320).map(|_| rng.normal()).collect();
        let error = |scale: f32, low: f32, high: f32| -> f64 {
            let code = |x: f32| (x / scale).round_ties_even().clamp(low, high);
            x.iter().map(|&x| f64::from(code(x) * scale - x).powi(2)).sum()
        };
        for (format, low, high) in [(IntFormat::S4, -8.0, 7.0), (IntFormat::S2, -2.0, 1.0)] {
            let found = error(best_scale(&x, format), low, high);
            let least = (1..400).map(|i| error(i as f32 / 100.0, low, high));
            assert!(found <= 1.02 * least.fold(f64::MAX, f64::min), "{format:?}");
        }
        let mean = x.iter().map(|x| x.abs()).sum::<f32>() / 320.0;
        let signs = |scale: f32| -> f64 {
            x.iter().map(|x| f64::from(x.signum() * scale - x).powi(2)).sum()
        };
        assert_eq!(best_scale(&x, IntFormat::B1), mean);
        assert!(signs(mean) < signs(0.99 * mean) && signs(mean) < signs(1.01 * mean));
        assert_eq!(best_scale(&[0.0; 4], IntFormat::S4), 1.0);
    }

    #[test]
    fn names_are_distinct_and_the_first_is_f32() {
        assert_eq!(FORMATS[0].weights, Weights::Numbers(RealFormat::F32));
        let mut names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FORMATS.len());
    }
}
