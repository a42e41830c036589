//! A layer with operands, and what its results must be.

use crate::shapes::Layer;
use fewbit::scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, params_from_range, quantize, requantize, scale,
};
use fewbit_testkit::Rng;

/// Types of operands and results. Codes are u8 in, s8 weights with a scale for each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The int32 sums.
    S32,
    /// Requantized to u8.
    U8,
    /// Scaled to f32.
    F32,
    /// f32 in, quantized in the call with parameters from the whole input, and f32 out.
    Dynamic,
    /// As `Dynamic`, with parameters from each row (of an image: from the image).
    DynamicRow,
    /// f32 in, in weights and out: what quantizing starts from.
    Real,
}

impl Kind {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::S32 => "u8 to s32",
            Kind::U8 => "u8 to u8",
            Kind::F32 => "u8 to f32",
            Kind::Dynamic => "f32 to f32",
            Kind::DynamicRow => "f32 to f32 by row",
            Kind::Real => "f32 by f32",
        }
    }

    /// As ids name it.
    pub fn id(self) -> &'static str {
        match self {
            Kind::S32 => "u8s32",
            Kind::U8 => "u8u8",
            Kind::F32 => "u8f32",
            Kind::Dynamic => "f32f32_tensor",
            Kind::DynamicRow => "f32f32",
            Kind::Real => "f32_by_f32",
        }
    }

    /// Whether the input is f32.
    pub fn reads_real(self) -> bool {
        matches!(self, Kind::Dynamic | Kind::DynamicRow | Kind::Real)
    }
}

/// A layer with its operands.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is computed.
    pub layer: Layer,
    /// Of which types.
    pub kind: Kind,
    /// Codes, by rows or NHWC; empty if the input is f32.
    pub codes: Vec<u8>,
    /// f32; empty if the input is codes.
    pub reals: Vec<f32>,
    /// By outputs: N, K or O, height, width, I.
    pub weights: Vec<i8>,
    /// Scale and zero point of input codes.
    pub x: QuantParams,
    /// A scale for each output feature or channel.
    pub scales: Vec<f32>,
}

/// Outputs of a case that [`Case::check`] computes.
const LOOKED_AT: usize = 200;

impl Case {
    /// Any codes on both sides, or normal numbers; `narrow`: weights from -64 to 63, of which no pair saturates anywhere.
    pub fn new(layer: Layer, kind: Kind, narrow: bool) -> Case {
        let mut rng = Rng::new(1);
        let (mut codes, mut reals) = (Vec::new(), Vec::new());
        if kind.reads_real() {
            reals = (0..layer.inputs()).map(|_| rng.normal()).collect();
        } else {
            codes = rng.bytes(layer.inputs());
        }
        let weights = rng.bytes(layer.weights()).into_iter();
        let weights = weights.map(|code| code as i8 >> u32::from(narrow)).collect();
        // Sums alone are timed without a zero point: that is what oneDNN is fastest at.
        let x = QuantParams { scale: 0.02, zero_point: if kind == Kind::S32 { 0 } else { 120 } };
        let scales = (0..layer.channels()).map(|_| 0.005 + 0.01 * rng.unit()).collect();
        Case { layer, kind, codes, reals, weights, x, scales }
    }

    /// Scale and zero point of u8 results, so that few are at the ends; (1, 0) for others.
    pub fn y(&self) -> QuantParams {
        match self.kind {
            Kind::U8 => {
                QuantParams { scale: 0.05 * (self.layer.depth() as f32).sqrt(), zero_point: 118 }
            }
            _ => QuantParams { scale: 1.0, zero_point: 0 },
        }
    }

    /// The weights' real numbers, in the codes' order.
    pub fn real_weights(&self) -> Vec<f32> {
        let outputs = self.weights.chunks_exact(self.layer.depth());
        let scaled = |(codes, scale): (&[i8], &f32)| -> Vec<f32> {
            codes.iter().map(|&code| f32::from(code) * scale).collect()
        };
        outputs.zip(&self.scales).flat_map(scaled).collect()
    }

    /// The products of an output: positions in the input and in the weights. Taps on padding are left out.
    fn taps(&self, output: usize) -> Vec<(usize, usize)> {
        let depth = self.layer.depth();
        match self.layer {
            Layer::Linear { n, k, .. } => {
                let (row, column) = (output / n, output % n);
                (0..k).map(|i| (row * k + i, column * depth + i)).collect()
            }
            Layer::Conv { size, inputs, outputs, kernel, stride, groups } => {
                let (pixel, channel) = (output / outputs, output % outputs);
                let (top, left) = (pixel / self.layer.side(), pixel % self.layer.side());
                let each = inputs / groups;
                let first = channel / (outputs / groups) * each;
                let inside = |begin: usize, tap: usize| {
                    (begin * stride + tap).checked_sub(kernel / 2).filter(|&at| at < size)
                };
                let mut taps = Vec::new();
                for (i, j) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                    if let (Some(y), Some(x)) = (inside(top, i), inside(left, j)) {
                        let (from, weight) =
                            ((y * size + x) * inputs + first, (i * kernel + j) * each);
                        taps.extend((0..each).map(|c| (from + c, channel * depth + weight + c)));
                    }
                }
                taps
            }
        }
    }

    /// The parameters with which the input of an output is quantized.
    fn input_params(&self, output: usize) -> QuantParams {
        let of = match (self.kind, self.layer) {
            (Kind::DynamicRow, Layer::Linear { n, k, .. }) => &self.reals[output / n * k..][..k],
            (Kind::Dynamic | Kind::DynamicRow, _) => &self.reals[..],
            _ => return self.x,
        };
        let (min, max) = of.iter().fold((0.0f32, 0.0f32), |(a, b), &x| (a.min(x), b.max(x)));
        params_from_range(min, max, &ParamSpec::affine(IntFormat::U8)).expect("numbers")
    }

    /// What an output must be, by the scalar contract from sums in i64; f32 by f32 in f64.
    fn expected(&self, output: usize) -> f64 {
        let channel = output % self.layer.channels();
        let taps = self.taps(output);
        let factor = self.scales[channel];
        if self.kind == Kind::Real {
            let product = |&(x, w): &(usize, usize)| {
                f64::from(self.reals[x]) * f64::from(f32::from(self.weights[w]) * factor)
            };
            return taps.iter().map(product).sum();
        }
        let x = self.input_params(output);
        let code = |at: usize| match self.kind.reads_real() {
            true => quantize(self.reals[at], x, IntFormat::U8, QuantizeMode::default()),
            false => i32::from(self.codes[at]),
        };
        let product = |&(at, w): &(usize, usize)| {
            i64::from(code(at) - x.zero_point) * i64::from(self.weights[w])
        };
        let sum = taps.iter().map(product).sum::<i64>();
        let sum = i32::try_from(sum).expect("a sum that fits");
        match self.kind {
            Kind::S32 => f64::from(sum),
            Kind::U8 => {
                let y = self.y();
                let multiplier = x.scale * factor / y.scale;
                f64::from(requantize(sum, multiplier, y.zero_point, IntFormat::U8, (0, 255)))
            }
            _ => f64::from(scale(sum, x.scale, factor, None, false)),
        }
    }

    /// How far results may be apart: sums not at all, codes by one, numbers by what f32's rounding can explain. (Order and
    /// number of roundings in scales are each library's own.)
    fn allowed(&self, largest: f64) -> f64 {
        match self.kind {
            Kind::S32 => 0.0,
            Kind::U8 => 1.0,
            Kind::F32 | Kind::Dynamic | Kind::DynamicRow => 1e-5 * largest,
            Kind::Real => 1e-4 * largest,
        }
    }

    /// The share of results that are not those wanted.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn differing(&self, want: &[f64], got: &[f64]) -> f64 {
        assert_eq!(want.len(), got.len());
        let largest = want.iter().fold(0.0f64, |most, y| most.max(y.abs()));
        let allowed = self.allowed(largest);
        let wrong = want.iter().zip(got).filter(|(a, b)| (*a - *b).abs() > allowed).count();
        wrong as f64 / want.len() as f64
    }

    /// Demands of some outputs, first and last among them, that they are what the scalar contract says.
    ///
    /// # Panics
    /// If one is not.
    pub fn check(&self, got: &[f64], whose: &str) {
        assert_eq!(got.len(), self.layer.outputs(), "{whose}");
        let largest = got.iter().fold(0.0f64, |most, y| most.max(y.abs()));
        let allowed = self.allowed(largest);
        let mut rng = Rng::new(3);
        let some = (0..LOOKED_AT).map(|_| rng.below(got.len()));
        for output in some.chain([0, got.len() - 1]) {
            let (y, want) = (got[output], self.expected(output));
            assert!(
                (y - want).abs() <= allowed,
                "{whose}: {:?}, {}: output {output} is {y} and should be {want}",
                self.layer,
                self.kind.name()
            );
        }
    }
}
