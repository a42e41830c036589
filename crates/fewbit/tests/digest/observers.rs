//! The digests of observers and of quality metrics, with every set of features.

use crate::values::floats;
use crate::{Book, Digest};
use fewbit::calibrate::{Comparison, ExponentialAverage, MinMax, MovingAverage};
use fewbit_testkit::{Rng, supported_sets};

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        let mut digest = Digest::new();
        let mut rng = Rng::new(0x0B);
        let mut range = MinMax::EMPTY;
        let mut mean = MovingAverage::EMPTY;
        let mut recent = ExponentialAverage::new(0.01).unwrap();
        for batch in 0..200 {
            // Batches of ordinary numbers, and some of anything.
            let n = rng.below(100);
            let x: Vec<f32> = match batch % 10 {
                0 => floats(&mut rng, 1.0, n)[rng.below(3000)..].to_vec(),
                _ => (0..n).map(|_| rng.normal() * 2.0).collect(),
            };
            range.observe(&x, supported);
            mean.observe(&x, supported);
            recent.observe(&x, supported);
            for (min, max) in [(range.min, range.max), mean.range(), recent.range()] {
                digest.f32s(&[min, max]);
            }
            digest.bytes(&mean.nan_count.to_le_bytes());
        }
        book.enter("calibrate.observers", supported.set(), digest);
    }
    let mut digest = Digest::new();
    let mut rng = Rng::new(0xC0);
    for n in [1, 2, 63, 1000, 5000] {
        for scale in [1e-30, 1.0, 1e30] {
            let reference: Vec<f32> = (0..n).map(|_| rng.normal() * scale).collect();
            let x: Vec<f32> = reference.iter().map(|x| x + rng.normal() * scale * 0.01).collect();
            let mut comparison = Comparison::EMPTY;
            comparison.observe(&reference, &x).unwrap();
            let quality = comparison.quality();
            for metric in [quality.sqnr_db, quality.max_abs_error, quality.cosine] {
                digest.bytes(&metric.to_bits().to_le_bytes());
            }
        }
    }
    book.enter("calibrate.quality", fewbit::simd::IsaSet::SCALAR, digest);
}
