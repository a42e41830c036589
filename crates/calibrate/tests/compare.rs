//! Quality metrics: exact against integers, the same in any order and pieces, edges as documented.

use fewbit_calibrate::{Comparison, LengthMismatch, Quality};
use fewbit_testkit::{Rng, seed};

fn compared(r: &[f32], x: &[f32]) -> Comparison {
    let mut comparison = Comparison::EMPTY;
    comparison.observe(r, x).unwrap();
    comparison
}

fn quality(r: &[f32], x: &[f32]) -> Quality {
    compared(r, x).quality()
}

fn bits(q: Quality) -> [u64; 3] {
    [q.sqnr_db, q.max_abs_error, q.cosine].map(f64::to_bits)
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

/// Data that are integers times a power of two, so that i128 holds the sums.
#[test]
fn equals_integer_sums() {
    let mut rng = Rng::new(seed());
    for round in 0..2000 {
        let n = 1 + rng.below(300);
        let width = 1 + rng.next_u32() % 24;
        let integer = |rng: &mut Rng| (rng.next_u64() >> (64 - width)) as i128 - (1 << (width - 1));
        let r: Vec<i128> = (0..n).map(|_| integer(&mut rng)).collect();
        let near = rng.below(2) == 0;
        let x: Vec<i128> = r
            .iter()
            .map(|r| if near { r + rng.below(3) as i128 - 1 } else { integer(&mut rng) })
            .collect();
        // The power of two cancels in both ratios.
        let scale = 2f64.powi(rng.below(240) as i32 - 140) as f32;
        let exact = |v: &[i128]| -> Vec<f32> {
            v.iter().map(|&v| (f64::from(v as i32) * f64::from(scale)) as f32).collect()
        };
        let (rf, xf) = (exact(&r), exact(&x));
        // Very small numbers are not multiples of f32's smallest step.
        let unit = f64::from(scale);
        if rf.iter().zip(&r).any(|(f, i)| f64::from(*f) != *i as f64 * unit)
            || xf.iter().zip(&x).any(|(f, i)| f64::from(*f) != *i as f64 * unit)
        {
            continue;
        }
        let dot = |a: &[i128], b: &[i128]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i128>() as f64;
        let error: Vec<i128> = r.iter().zip(&x).map(|(r, x)| r - x).collect();
        let got = quality(&rf, &xf);
        let largest = error.iter().map(|e| e.abs()).max().unwrap() as f64 * unit;
        assert_eq!(got.max_abs_error, largest, "round {round}");
        let (signal, noise) = (dot(&r, &r), dot(&error, &error));
        let expected = 10.0 * (signal / noise).log10();
        match (signal == 0.0, noise == 0.0) {
            (_, true) => assert_eq!((got.sqnr_db, got.cosine), (f64::INFINITY, 1.0)),
            (true, false) => assert_eq!((got.sqnr_db, got.cosine), (f64::NEG_INFINITY, 0.0)),
            _ => assert!(
                close(got.sqnr_db, expected, 1e-15) || (got.sqnr_db - expected).abs() < 1e-14,
                "round {round}: {got:?}, expected {expected}"
            ),
        }
        if noise != 0.0 && signal != 0.0 && dot(&x, &x) != 0.0 {
            let cosine = dot(&r, &x) / (signal.sqrt() * dot(&x, &x).sqrt());
            assert!((got.cosine - cosine).abs() <= 1e-15, "round {round}: {got:?}, {cosine}");
        }
    }
}

#[test]
fn order_and_pieces_do_not_matter() {
    let mut rng = Rng::new(seed());
    let finite = |rng: &mut Rng| loop {
        let x = rng.any_f32();
        if x.is_finite() {
            return x;
        }
    };
    for _ in 0..200 {
        let n = rng.below(500);
        let mut pairs: Vec<(f32, f32)> = (0..n)
            .map(|_| {
                let r = finite(&mut rng);
                (r, if rng.below(2) == 0 { finite(&mut rng) } else { r * 1.000_001 })
            })
            .filter(|(_, x)| x.is_finite())
            .collect();
        let split =
            |pairs: &[(f32, f32)]| -> (Vec<f32>, Vec<f32>) { pairs.iter().copied().unzip() };
        let (r, x) = split(&pairs);
        let whole = compared(&r, &x);
        for i in (1..pairs.len()).rev() {
            pairs.swap(i, rng.below(i + 1));
        }
        let mut parts: Vec<Comparison> = pairs
            .chunks(1 + rng.below(100))
            .map(|part| {
                let (r, x) = split(part);
                compared(&r, &x)
            })
            .collect();
        while parts.len() > 1 {
            let other = parts.swap_remove(rng.below(parts.len()));
            let at = rng.below(parts.len());
            parts[at].merge(&other);
        }
        let merged = parts.first().copied().unwrap_or_default();
        assert_eq!(merged, whole);
        assert_eq!(bits(merged.quality()), bits(whole.quality()));
        let mut strided = Comparison::EMPTY;
        let spread: Vec<f32> = r.iter().flat_map(|&r| [r, f32::NAN, f32::NAN]).collect();
        // SAFETY: as many elements at a distance of 3, and at one of 1.
        unsafe { strided.observe_raw(spread.as_ptr(), 3, x.as_ptr(), 1, r.len()) };
        assert_eq!(strided, whole);
        let q = whole.quality();
        assert!((-1.0..=1.0).contains(&q.cosine) && !q.sqnr_db.is_nan() && q.max_abs_error >= 0.0);
    }
}

#[test]
fn full_range_against_f64() {
    let mut rng = Rng::new(seed());
    for _ in 0..500 {
        let n = 1 + rng.below(5000);
        let size = 2f64.powi(rng.below(200) as i32 - 100) as f32;
        let r: Vec<f32> = (0..n).map(|_| rng.normal() * size).collect();
        let x: Vec<f32> = r.iter().map(|r| r + rng.normal() * size * 0.01).collect();
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            r.iter().zip(&x).map(|(&r, &x)| f(f64::from(r), f64::from(x))).sum()
        };
        let q = quality(&r, &x);
        let signal = sum(&|r, _| r * r);
        let sqnr = 10.0 * (signal / sum(&|r, x| (r - x) * (r - x))).log10();
        assert!(close(q.sqnr_db, sqnr, 1e-12), "{} {sqnr}", q.sqnr_db);
        let cosine = sum(&|r, x| r * x) / (signal * sum(&|_, x| x * x)).sqrt();
        assert!(close(q.cosine, cosine, 1e-12), "{} {cosine}", q.cosine);
    }
}

#[test]
fn edges_are_as_documented() {
    let perfect = [f64::INFINITY, 0.0, 1.0].map(f64::to_bits);
    assert_eq!(bits(quality(&[], &[])), perfect);
    assert_eq!(bits(quality(&[0.0, -0.0], &[-0.0, 0.0])), perfect);
    let x = [1.5, -2e-45, f32::MAX, f32::MIN, 1e-38];
    assert_eq!(bits(quality(&x, &x)), perfect);
    let no_signal = quality(&[0.0, 0.0], &[1.0, 0.0]);
    let lost = Quality { sqnr_db: f64::NEG_INFINITY, max_abs_error: 1.0, cosine: 0.0 };
    assert_eq!(no_signal, lost);
    let nothing_left = quality(&[3.0, 4.0], &[0.0, 0.0]);
    assert_eq!(nothing_left, Quality { sqnr_db: 0.0, max_abs_error: 4.0, cosine: 0.0 });
    let opposite = quality(&[3.0, 4.0], &[-3.0, -4.0]);
    assert_eq!((opposite.cosine, opposite.max_abs_error), (-1.0, 8.0));
    assert!(close(opposite.sqnr_db, -20.0 * 2f64.log10(), 1e-15));
    // The largest and the smallest that f32 holds.
    let far = quality(&[f32::MAX; 3], &[f32::MIN; 3]);
    assert_eq!(far.max_abs_error, 2.0 * f64::from(f32::MAX));
    let tiny = f32::from_bits(1);
    assert_eq!(quality(&[tiny], &[2.0 * tiny]).sqnr_db, 0.0);
    // The noise is exact where float sums would have lost it: one step in 2^24.
    let r = [16_777_216.0, 1e-20];
    assert!(close(quality(&r, &[16_777_216.0, 2e-20]).sqnr_db, 544.494_9, 1e-6));
}

#[test]
fn what_is_not_finite_is_counted_and_gives_nan() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (r, x) in [([1.0, odd], [1.0, 2.0]), ([1.0, 2.0], [1.0, odd]), ([1.0, odd], [1.0, odd])]
        {
            let comparison = compared(&r, &x);
            assert_eq!((comparison.count, comparison.nonfinite_count), (2, 1));
            let q = comparison.quality();
            assert!(q.sqnr_db.is_nan() && q.max_abs_error.is_nan() && q.cosine.is_nan());
        }
    }
}

#[test]
fn lengths_must_agree() {
    let mut comparison = Comparison::EMPTY;
    let refused = comparison.observe(&[1.0], &[1.0, 2.0]);
    assert_eq!(refused, Err(LengthMismatch { reference: 1, approximation: 2 }));
    assert_eq!(comparison, Comparison::EMPTY);
}
