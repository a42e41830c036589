//! What quantizing starts from: the same layers in f32, by the crate `gemm`, which packs its operands in each call. A
//! convolution is unfolded into its rows of taps first, unless it is one product as it is (1x1 with stride 1); one with
//! a channel a group is computed directly.

use crate::case::Case;
use crate::shapes::Layer;
use crate::timing::{Runner, Threads, clock};
use gemm::Parallelism;

/// A layer in f32 with its operands.
#[derive(Debug)]
pub struct Base {
    layer: Layer,
    x: Vec<f32>,
    /// By outputs; of a layer with a channel a group by taps, so that channels are neighbours.
    w: Vec<f32>,
    rows: Vec<f32>,
    y: Vec<f32>,
    threads: Threads,
}

impl Base {
    /// Of a case of [`Kind::Real`](crate::Kind::Real).
    pub fn new(case: &Case, threads: &Threads) -> Base {
        let (layer, mut w) = (case.layer, case.real_weights());
        if is_depthwise(layer) {
            let (channels, taps) = (layer.channels(), layer.depth());
            w = (0..taps * channels).map(|i| w[i % channels * taps + i / channels]).collect();
        }
        let rows = if is_unfolded(layer) {
            let Layer::Conv { groups, .. } = layer else { unreachable!() };
            layer.side().pow(2) * layer.depth() * groups
        } else {
            0
        };
        let y = vec![0.0; layer.outputs()];
        Base { layer, x: case.reals.clone(), w, rows: vec![0.0; rows], y, threads: threads.clone() }
    }

    /// Computes it.
    pub fn call(&mut self) {
        let threads = self.threads.clone();
        threads.inside(|| self.compute());
    }

    fn compute(&mut self) {
        let parallelism = match self.threads.count() {
            1 => Parallelism::None,
            count => Parallelism::Rayon(count),
        };
        match self.layer {
            Layer::Linear { m, n, k } => {
                product([m, n, k], (&self.x, k), &self.w, (&mut self.y, n), parallelism);
            }
            Layer::Conv { size, inputs, kernel, .. } if is_depthwise(self.layer) => {
                depthwise(self.layer, [size, inputs, kernel], &self.x, &self.w, &mut self.y);
            }
            Layer::Conv { inputs, outputs, groups, .. } => {
                let (pixels, depth) = (self.layer.side().pow(2), self.layer.depth());
                let unfolded = is_unfolded(self.layer);
                if unfolded {
                    unfold(self.layer, &self.x, &mut self.rows);
                }
                let each = outputs / groups;
                for group in 0..groups {
                    let (x, stride) = if unfolded {
                        (&self.rows[group * pixels * depth..], depth)
                    } else {
                        (&self.x[group * depth..], inputs)
                    };
                    let w = &self.w[group * each * depth..];
                    let y = &mut self.y[group * each..];
                    product([pixels, each, depth], (x, stride), w, (y, outputs), parallelism);
                }
            }
        }
    }
}

impl Runner for Base {
    fn time(&mut self, calls: usize) -> f64 {
        let threads = self.threads.clone();
        threads.inside(|| clock(calls, || self.compute()))
    }

    fn result(&mut self) -> Vec<f64> {
        self.call();
        self.y.iter().map(|&y| f64::from(y)).collect()
    }
}

/// A channel a group.
fn is_depthwise(layer: Layer) -> bool {
    matches!(layer, Layer::Conv { inputs, outputs, groups, .. } if groups == inputs && inputs == outputs)
}

fn is_unfolded(layer: Layer) -> bool {
    matches!(layer, Layer::Conv { kernel, stride, .. } if kernel > 1 || stride > 1)
        && !is_depthwise(layer)
}

/// `y = x * transposed w`, rows of x and y at these distances.
fn product(
    [m, n, k]: [usize; 3],
    (x, x_stride): (&[f32], usize),
    w: &[f32],
    (y, y_stride): (&mut [f32], usize),
    parallelism: Parallelism,
) {
    assert!(x.len() >= (m - 1) * x_stride + k && w.len() >= n * k);
    assert!(y.len() >= (m - 1) * y_stride + n);
    // SAFETY: all rows and columns lie in the slices, as asserted.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            y_stride as isize,
            false,
            x.as_ptr(),
            1,
            x_stride as isize,
            w.as_ptr(),
            k as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The taps under each pixel of the output, groups one after another; 0 on padding.
fn unfold(layer: Layer, x: &[f32], rows: &mut [f32]) {
    let Layer::Conv { size, inputs, kernel, stride, groups, .. } = layer else { unreachable!() };
    let (side, each) = (layer.side(), inputs / groups);
    let mut pieces = rows.chunks_exact_mut(each);
    for group in 0..groups {
        for pixel in 0..side * side {
            for tap in 0..kernel * kernel {
                let at = |begin: usize, tap: usize| {
                    (begin * stride + tap).checked_sub(kernel / 2).filter(|&at| at < size)
                };
                let piece = pieces.next().expect("a piece a tap");
                match (at(pixel / side, tap / kernel), at(pixel % side, tap % kernel)) {
                    (Some(top), Some(left)) => {
                        let from = (top * size + left) * inputs + group * each;
                        piece.copy_from_slice(&x[from..from + each]);
                    }
                    _ => piece.fill(0.0),
                }
            }
        }
    }
}

/// A channel a group: vectors of channels, by what the CPU at hand has.
fn depthwise(layer: Layer, shape: [usize; 3], x: &[f32], w: &[f32], y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn with_avx512(layer: Layer, shape: [usize; 3], x: &[f32], w: &[f32], y: &mut [f32]) {
            depthwise_body(layer, shape, x, w, y);
        }
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2(layer: Layer, shape: [usize; 3], x: &[f32], w: &[f32], y: &mut [f32]) {
            depthwise_body(layer, shape, x, w, y);
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the feature.
            return unsafe { with_avx512(layer, shape, x, w, y) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has the features.
            return unsafe { with_avx2(layer, shape, x, w, y) };
        }
    }
    depthwise_body(layer, shape, x, w, y);
}

/// Channels at a time: their sums are kept in registers.
const BLOCK: usize = 16;

#[inline(always)]
fn depthwise_body(
    layer: Layer,
    [size, channels, kernel]: [usize; 3],
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
) {
    let (side, pad) = (layer.side(), kernel / 2);
    let stride = match layer {
        Layer::Conv { stride, .. } => stride,
        Layer::Linear { .. } => 1,
    };
    for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
        let (top, left) = (pixel / side * stride, pixel % side * stride);
        // The taps that lie in the image.
        let inside = |at: usize| pad.saturating_sub(at)..kernel.min(size + pad - at);
        let (rows, columns) = (inside(top), inside(left));
        for (block, y) in y.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0f32; BLOCK];
            for i in rows.clone() {
                for j in columns.clone() {
                    let from = ((top + i - pad) * size + left + j - pad) * channels + block * BLOCK;
                    let tap = (i * kernel + j) * channels + block * BLOCK;
                    let (x, w) = (&x[from..][..y.len()], &w[tap..][..y.len()]);
                    if let (Some(x), Some(w)) = (x.first_chunk::<BLOCK>(), w.first_chunk::<BLOCK>())
                    {
                        sums = std::array::from_fn(|c| x[c].mul_add(w[c], sums[c]));
                    } else {
                        for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                            *sum = x.mul_add(*w, *sum);
                        }
                    }
                }
            }
            y.copy_from_slice(&sums[..y.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    /// Every way to compute a layer, at odd sizes, against sums in f64.
    #[test]
    fn every_way_is_right() {
        let conv = |size, inputs, outputs, kernel, stride, groups| Layer::Conv {
            size,
            inputs,
            outputs,
            kernel,
            stride,
            groups,
        };
        for layer in [
            Layer::Linear { m: 7, n: 31, k: 129 },
            Layer::Linear { m: 1, n: 5, k: 3 },
            conv(7, 5, 9, 1, 1, 1),
            conv(7, 6, 4, 1, 1, 2),
            conv(7, 5, 9, 1, 2, 1),
            conv(9, 3, 8, 3, 2, 1),
            conv(6, 8, 8, 5, 1, 4),
            conv(7, 40, 40, 3, 2, 40),
            conv(7, 33, 33, 5, 1, 33),
        ] {
            let case = Case::new(layer, Kind::Real, false);
            for threads in [Threads::ONE, Threads::new(2)] {
                case.check(&Base::new(&case, &threads).result(), "f32");
            }
        }
    }
}
