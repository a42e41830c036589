//! What is compared: one product or convolution with its operands, and how a call of it is timed.

use fewbit_testkit::Rng;
use std::time::Instant;

/// Types of results. Inputs are u8 codes, weights s8 with a scale for each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The int32 sums.
    S32,
    /// Requantized to u8.
    U8,
    /// Scaled to f32.
    F32,
    /// f32 in, quantized in the call with parameters from the data, and f32 out.
    Dynamic,
}

impl Kind {
    /// As the table and the child process name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::S32 => "u8 to s32",
            Kind::U8 => "u8 to u8",
            Kind::F32 => "u8 to f32",
            Kind::Dynamic => "f32 to f32",
        }
    }
}

/// A layer.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the columns of benches/shapes")]
pub enum Shape {
    Linear { m: usize, n: usize, k: usize },
    Conv { size: usize, inputs: usize, outputs: usize, kernel: usize, stride: usize, groups: usize },
}

impl Shape {
    /// The output image's side.
    pub fn side(self) -> usize {
        match self {
            Shape::Linear { .. } => 1,
            Shape::Conv { size, kernel, stride, .. } => {
                (size + kernel / 2 * 2 - kernel) / stride + 1
            }
        }
    }

    /// Products of an output.
    pub fn depth(self) -> usize {
        match self {
            Shape::Linear { k, .. } => k,
            Shape::Conv { inputs, kernel, groups, .. } => kernel * kernel * inputs / groups,
        }
    }

    /// Output channels.
    pub fn channels(self) -> usize {
        match self {
            Shape::Linear { n, .. } => n,
            Shape::Conv { outputs, .. } => outputs,
        }
    }
}

/// A layer with its operands.
pub struct Case {
    pub shape: Shape,
    pub kind: Kind,
    /// Codes, by rows or NHWC; `Kind::Dynamic`: the bytes of numbers.
    pub x: Vec<u8>,
    /// By outputs: N, K or O, height, width, I.
    pub w: Vec<i8>,
    pub x_scale: f32,
    pub x_zero: i32,
    pub w_scales: Vec<f32>,
}

impl Case {
    /// Any codes on both sides; `narrow`: weights from -64 to 63, of which no pair saturates anywhere.
    pub fn new(shape: Shape, kind: Kind, narrow: bool) -> Case {
        let mut rng = Rng::new(1);
        let count = match shape {
            Shape::Linear { m, k, .. } => m * k,
            Shape::Conv { size, inputs, .. } => size * size * inputs,
        };
        let x = match kind {
            Kind::Dynamic => (0..count).flat_map(|_| rng.normal().to_ne_bytes()).collect(),
            _ => rng.bytes(count),
        };
        let bits = if narrow { 1 } else { 0 };
        let w = rng.bytes(shape.channels() * shape.depth());
        let w = w.into_iter().map(|code| code as i8 >> bits).collect();
        // Sums alone are timed without a zero point: that is what oneDNN is fastest at.
        let x_zero = if kind == Kind::S32 { 0 } else { 120 };
        let w_scales = (0..shape.channels()).map(|_| 0.005 + 0.01 * rng.unit()).collect();
        Case { shape, kind, x, w, x_scale: 0.02, x_zero, w_scales }
    }

    /// Scale and zero point of u8 results, so that few are at the ends; (1, 0) for others.
    pub fn y_params(&self) -> (f32, i32) {
        match self.kind {
            Kind::U8 => (0.05 * (self.shape.depth() as f32).sqrt(), 118),
            _ => (1.0, 0),
        }
    }

    /// Elements of the result.
    pub fn outputs(&self) -> usize {
        match self.shape {
            Shape::Linear { m, n, .. } => m * n,
            Shape::Conv { outputs, .. } => self.shape.side().pow(2) * outputs,
        }
    }

    /// Operations, a multiplication and an addition for each product, those with padding among them.
    pub fn operations(&self) -> f64 {
        2.0 * self.outputs() as f64 * self.shape.depth() as f64
    }
}

/// One of those that are compared, ready to compute a case.
pub trait Runner {
    /// Nanoseconds of a call, over this many.
    fn time(&mut self, calls: usize) -> f64;
    /// The results of a call.
    fn result(&mut self) -> Vec<f64>;
}

/// Nanoseconds of a call, over this many.
pub fn clock(calls: usize, mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    (0..calls).for_each(|_| call());
    begin.elapsed().as_nanos() as f64 / calls as f64
}
