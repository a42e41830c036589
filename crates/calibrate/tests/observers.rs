//! Observers: what they hold, and that neither order, pieces nor instruction set matter.

use fewbit_calibrate::{ExponentialAverage, MinMax, MovingAverage};
use fewbit_kernels::reduce;
use fewbit_scheme::{IntFormat, ParamSpec, QuantParams};
use fewbit_simd::Supported;
use fewbit_testkit::{Rng, covered, report, seed, supported_sets};

const SPECIAL: [f32; 9] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45, -1e-45, f32::MAX, f32::MIN];

fn any(rng: &mut Rng) -> f32 {
    if rng.below(8) == 0 { rng.pick(&SPECIAL) } else { rng.any_f32() }
}

/// Order of f32 with -0 < +0.
fn key(x: &f32) -> i64 {
    let bits = i64::from(x.to_bits() as i32);
    if bits < 0 { i64::from(i32::MIN) - bits - 1 } else { bits }
}

fn expected(x: &[f32]) -> MinMax {
    let numbers = || x.iter().copied().filter(|x| !x.is_nan());
    MinMax {
        min: numbers().min_by_key(key).unwrap_or(f32::INFINITY),
        max: numbers().max_by_key(key).unwrap_or(f32::NEG_INFINITY),
        count: x.len() as u64,
        nan_count: x.iter().filter(|x| x.is_nan()).count() as u64,
    }
}

fn bits(range: (f32, f32)) -> (u32, u32) {
    (range.0.to_bits(), range.1.to_bits())
}

fn same(a: &MinMax, b: &MinMax) -> bool {
    bits((a.min, a.max)) == bits((b.min, b.max)) && (a.count, a.nan_count) == (b.count, b.nan_count)
}

#[test]
fn min_max_on_every_instruction_set_in_any_pieces_and_order() {
    let mut rng = Rng::new(seed());
    for supported in supported_sets() {
        let mut cases = 0;
        for n in (0..70).chain([255, 1000, 4097]) {
            for stride in [1, 2, 3] {
                let x: Vec<f32> = (0..n * stride).map(|_| any(&mut rng)).collect();
                let seen: Vec<f32> = x.iter().copied().step_by(stride).collect();
                let mut whole = MinMax::EMPTY;
                // SAFETY: n elements at this distance.
                unsafe { whole.observe_raw(x.as_ptr(), stride, n, supported) };
                assert!(same(&whole, &expected(&seen)), "{n} by {stride}: {whole:?}");
                let mut pieces: Vec<MinMax> = seen
                    .chunks(1 + rng.below(n + 1))
                    .map(|piece| {
                        let mut observer = MinMax::default();
                        observer.observe(piece, supported);
                        observer
                    })
                    .collect();
                for i in (1..pieces.len()).rev() {
                    pieces.swap(i, rng.below(i + 1));
                }
                // Merged as a tree of any shape.
                while pieces.len() > 1 {
                    let other = pieces.swap_remove(rng.below(pieces.len()));
                    let at = rng.below(pieces.len());
                    pieces[at].merge(&other);
                }
                let merged = pieces.first().copied().unwrap_or(MinMax::EMPTY);
                assert!(same(&merged, &whole), "{merged:?} and {whole:?}");
                let mut singly = MinMax::EMPTY;
                seen.iter().for_each(|&x| singly.observe_one(x));
                assert!(same(&singly, &whole));
                cases += 1;
            }
        }
        let row = fewbit_kernels::registry::select(reduce::MIN_MAX, supported.set()).unwrap();
        covered("observe_min_max", row.required, cases);
    }
    report();
}

#[test]
fn nothing_and_nan_are_empty_and_give_scale_1() {
    let mut observer = MinMax::EMPTY;
    assert!(observer.is_empty());
    observer.observe(&[f32::NAN, -f32::NAN], Supported::SCALAR);
    assert!(observer.is_empty() && (observer.count, observer.nan_count) == (2, 2));
    let spec = ParamSpec::affine(IntFormat::U8);
    assert_eq!(observer.params(&spec), Ok(QuantParams { scale: 1.0, zero_point: 0 }));
    observer.observe(&[-1.0, 254.0], Supported::SCALAR);
    assert!(!observer.is_empty());
    assert_eq!(observer.params(&spec), Ok(QuantParams { scale: 1.0, zero_point: 1 }));
    observer.count = u64::MAX - 1;
    observer.observe(&[0.0; 3], Supported::SCALAR);
    assert_eq!(observer.count, u64::MAX, "counts stop");
}

#[test]
fn the_moving_average_is_the_mean_of_batches() {
    let mut average = MovingAverage::EMPTY;
    assert_eq!(average.range(), (f32::INFINITY, f32::NEG_INFINITY));
    let spec = ParamSpec::symmetric(IntFormat::S8);
    assert_eq!(average.params(&spec), Ok(QuantParams { scale: 1.0, zero_point: 0 }));
    for batch in [&[-1.0, 2.0][..], &[f32::NAN, -4.0, 10.0], &[], &[f32::NAN], &[-7.0, 3.0]] {
        average.observe(batch, Supported::SCALAR);
    }
    assert_eq!(average.range(), (-4.0, 5.0));
    assert_eq!((average.batches, average.count, average.nan_count), (3, 8, 2));
    assert_eq!(average.params(&spec), Ok(QuantParams { scale: 5.0 / 127.0, zero_point: 0 }));

    // One step of f32 between two neighbours: the tie goes to the even one.
    let one_up = f32::from_bits(1.0f32.to_bits() + 1);
    let mut tie = MovingAverage::EMPTY;
    tie.observe(&[-one_up, 1.0], Supported::SCALAR);
    tie.observe(&[-1.0, one_up], Supported::SCALAR);
    assert_eq!(tie.range(), (-1.0, 1.0));

    // What float sums would lose: 1 beside 2^100 and its opposite.
    let big = 2f32.powi(100);
    let mut exact = MovingAverage::EMPTY;
    for x in [big, 3.0, -big] {
        exact.observe(&[x], Supported::SCALAR);
    }
    assert_eq!(exact.range(), (1.0, 1.0));

    // Infinite ends count as the largest number.
    let mut infinite = MovingAverage::EMPTY;
    infinite.observe(&[f32::NEG_INFINITY, f32::INFINITY], Supported::SCALAR);
    assert_eq!(infinite.range(), (f32::MIN, f32::MAX));
    infinite.observe(&[f32::INFINITY], Supported::SCALAR);
    assert_eq!(infinite.range(), (0.0, f32::MAX));
}

#[test]
fn the_moving_average_is_the_same_in_any_merge_order() {
    let mut rng = Rng::new(seed());
    for round in 0..300 {
        let batches: Vec<Vec<f32>> = (0..1 + rng.below(40))
            .map(|_| (0..rng.below(9)).map(|_| any(&mut rng)).collect())
            .collect();
        let mut whole = MovingAverage::default();
        batches.iter().for_each(|batch| whole.observe(batch, Supported::SCALAR));
        // Batches dealt to threads at random, observers merged as a random tree.
        let mut threads = vec![MovingAverage::EMPTY; 1 + rng.below(6)];
        let mut order: Vec<usize> = (0..batches.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i + 1));
        }
        for i in order {
            let thread = rng.below(threads.len());
            // A batch divided in two: ranges merged first, then one batch.
            let (low, high) = batches[i].split_at(rng.below(batches[i].len() + 1));
            let (mut range, mut rest) = (MinMax::EMPTY, MinMax::EMPTY);
            range.observe(low, Supported::SCALAR);
            rest.observe(high, Supported::SCALAR);
            range.merge(&rest);
            threads[thread].observe_range(&range);
        }
        while threads.len() > 1 {
            let other = threads.swap_remove(rng.below(threads.len()));
            let at = rng.below(threads.len());
            threads[at].merge(&other);
        }
        assert_eq!(threads[0], whole, "round {round}");
        let (min, max) = whole.range();
        assert_eq!(bits(threads[0].range()), bits((min, max)));
        assert!(whole.batches == 0 || (min <= max && min.is_finite() && max.is_finite()));
        // Against f64, where the terms are of one size.
        let usual = batches.iter().map(|b| expected(b)).filter(|r| r.min <= r.max);
        let (n, sum, size) = usual.fold((0.0, 0.0, 0.0), |(n, sum, size), range| {
            let min = f64::from(range.min.clamp(f32::MIN, f32::MAX));
            (n + 1.0, sum + min, size + f64::abs(min))
        });
        if n > 0.0 {
            let off = (sum / n - f64::from(min)).abs();
            assert!(off <= size * 1e-14 + f64::from(min.abs()) * 6e-8 + 1e-45, "round {round}");
        }
    }
}

#[test]
fn the_exponential_average_is_its_recurrence() {
    for constant in [0.0, -0.1, 1.5, f32::NAN] {
        assert_eq!(ExponentialAverage::new(constant), None);
    }
    let mut rng = Rng::new(seed());
    let mut average = ExponentialAverage::new(0.01).unwrap();
    assert_eq!(average.range(), (f32::INFINITY, f32::NEG_INFINITY));
    let mut by_hand: Option<(f32, f32)> = None;
    for _ in 0..500 {
        let batch: Vec<f32> = (0..rng.below(5)).map(|_| rng.normal()).collect();
        average.observe(&batch, Supported::SCALAR);
        if batch.is_empty() {
            continue;
        }
        let range = expected(&batch);
        by_hand = Some(match by_hand {
            None => (range.min, range.max),
            Some((min, max)) => (min + 0.01 * (range.min - min), max + 0.01 * (range.max - max)),
        });
        assert_eq!(Some(average.range()), by_hand);
    }
    // A constant of 1 is the latest batch.
    let mut latest = ExponentialAverage::new(1.0).unwrap();
    latest.observe(&[0.0, 8.0], Supported::SCALAR);
    latest.observe(&[f32::NAN, 2.0, 4.0], Supported::SCALAR);
    assert_eq!((latest.range(), latest.batches, latest.count), ((2.0, 4.0), 2, 5));
    let spec = ParamSpec::symmetric(IntFormat::S8);
    assert_eq!(latest.params(&spec), Ok(QuantParams { scale: 4.0 / 127.0, zero_point: 0 }));
    // It stays finite where the difference of ends does not.
    let mut extreme = ExponentialAverage::new(1.0).unwrap();
    for x in [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1.0] {
        extreme.observe(&[x], Supported::SCALAR);
        assert!(extreme.min.is_finite() && extreme.max.is_finite(), "{extreme:?}");
    }
}
