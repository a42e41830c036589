//! What is measured of each format: the time of two layers, in turns, and the error of two.

use fewbit::calibrate::Comparison;
use fewbit::simd::Supported;
use fewbit_benches::formats::{FORMATS, Format, Layer, Prepared};
use fewbit_benches::{Effort, Runner, Threads, Watch, activations, in_turns};

/// A format on a layer.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Nanoseconds of a run.
    pub time: f64,
    /// Billions of operations a second, two for each product.
    pub rate: f64,
    /// How many times as fast as the first row.
    pub ratio: f64,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// The format.
    pub format: Format,
    /// Bytes of the second layer's weights.
    pub bytes: usize,
    /// The second layer's kernel.
    pub kernel: &'static str,
    /// On each of the layers that are timed.
    pub speeds: [Speed; 2],
    /// Signal to noise of the outputs, in decibels: of normally distributed operands, and of the trained layer.
    pub errors: [f64; 2],
}

/// Normally distributed numbers.
pub fn normal([m, n, k]: [usize; 3]) -> Layer {
    let numbers = activations((m + n) * k);
    let (x, w) = numbers.floats()[..(m + n) * k].split_at(m * k);
    Layer { shape: [m, n, k], x: x.to_vec(), w: w.to_vec() }
}

/// Every row of the table.
pub fn lines(
    shapes: [[usize; 3]; 2],
    errors: &[Layer; 2],
    supported: Supported,
    effort: Effort,
) -> Vec<Line> {
    let of_layers = errors.each_ref().map(|layer| noise(layer, supported));
    let mut lines: Vec<Line> = Vec::new();
    let nothing = Speed { time: f64::NAN, rate: f64::NAN, ratio: f64::NAN };
    for (i, &format) in FORMATS.iter().enumerate() {
        let errors = of_layers.each_ref().map(|of_layer| of_layer[i]);
        lines.push(Line { format, bytes: 0, kernel: "", speeds: [nothing; 2], errors });
    }
    let mut watch = Watch::new(&Threads::ONE);
    for (at, shape) in shapes.into_iter().enumerate() {
        let layer = normal(shape);
        let mut all: Vec<Prepared> =
            FORMATS.iter().map(|format| Prepared::new(&layer, format, supported)).collect();
        let mut runners: Vec<Option<&mut dyn Runner>> =
            all.iter_mut().map(|prepared| Some(prepared as &mut dyn Runner)).collect();
        let times = in_turns(&mut runners, effort, &mut watch);
        let operations = 2.0 * shape.map(|extent| extent as f64).iter().product::<f64>();
        for ((line, prepared), &time) in lines.iter_mut().zip(&all).zip(&times) {
            line.speeds[at] = Speed { time, rate: operations / time, ratio: times[0] / time };
            (line.bytes, line.kernel) = (prepared.bytes, prepared.kernel());
        }
    }
    lines
}

/// The ratio of signal to noise of each format's outputs, where the signal is the sum of products in f64.
fn noise(layer: &Layer, supported: Supported) -> Vec<f64> {
    let [m, n, k] = layer.shape;
    let product = |i: usize| -> f32 {
        let (x, w) = (&layer.x[i / n * k..][..k], &layer.w[i % n * k..][..k]);
        x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() as f32
    };
    let exact: Vec<f32> = (0..m * n).map(product).collect();
    let of = |format: &Format| {
        let mut comparison = Comparison::EMPTY;
        let mut prepared = Prepared::new(layer, format, supported);
        comparison.observe(&exact, prepared.call()).expect("as many");
        comparison.quality().sqnr_db
    };
    FORMATS.iter().map(of).collect()
}
