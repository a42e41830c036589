//! The shape of float reductions: the same sums added in the written order, in plain loops.

mod common;

use common::{extremes, rng};
use fewbit_scheme::reduce::{absmax, code_sum};
use fewbit_scheme::{real, reduce};

/// The shape, written out once more: blocks of 4096, 64 lanes, a tree, blocks in order.
fn shaped<T: Copy + Default + std::ops::Add<Output = T>>(values: &[T]) -> T {
    let mut total = T::default();
    for block in values.chunks(4096) {
        let mut lanes = [T::default(); 64];
        for (i, &v) in block.iter().enumerate() {
            lanes[i % 64] = lanes[i % 64] + v;
        }
        for half in [32, 16, 8, 4, 2, 1] {
            for l in 0..half {
                lanes[l] = lanes[l] + lanes[l + half];
            }
        }
        total = total + lanes[0];
    }
    total
}

#[test]
fn sums_have_the_written_shape() {
    let mut rng = rng(50);
    for n in (0..130).chain([4095, 4096, 4097, 8192, 12_345]) {
        let x: Vec<f32> = (0..n).map(|_| rng.normal() * rng.pick(&[1.0, 1e-6, 1e6])).collect();
        let y: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
        let wide: Vec<f64> = x.iter().map(|&v| v.into()).collect();
        let products: Vec<f64> =
            x.iter().zip(&y).map(|(&a, &b)| f64::from(a) * f64::from(b)).collect();
        assert_eq!(reduce::sum(&x).to_bits(), shaped(&wide).to_bits());
        assert_eq!(reduce::sum_f32(&x).to_bits(), shaped(&x).to_bits());
        assert_eq!(reduce::dot(&x, &y).to_bits(), shaped(&products).to_bits());
        if n > 0 {
            assert_eq!(reduce::mean(&x).to_bits(), ((shaped(&wide) / n as f64) as f32).to_bits());
        }
    }
    // The shape is not the order of the elements: this sum tells them apart.
    let x: Vec<f32> = (0..1000).map(|i| 1.0 / (i + 1) as f32).collect();
    assert_ne!(reduce::sum_f32(&x), x.iter().sum::<f32>());
}

#[test]
fn sums_of_nothing_and_of_what_is_not_finite() {
    assert_eq!(reduce::sum(&[]).to_bits(), 0);
    assert_eq!(reduce::sum_f32(&[]).to_bits(), 0);
    assert_eq!(reduce::sum_f32(&[-0.0]).to_bits(), 0);
    assert_eq!(reduce::mean(&[]).to_bits(), 0x7FC0_0000);
    let opposite = [f32::INFINITY, f32::NEG_INFINITY];
    for nan in [&opposite[..], &[f32::from_bits(0xFF81_2345), 1.0]] {
        assert_eq!(reduce::sum(nan).to_bits(), 0x7FF8_0000_0000_0000);
        assert_eq!(reduce::sum_f32(nan).to_bits(), 0x7FC0_0000);
        assert_eq!(reduce::dot(nan, &[1.0, 1.0]).to_bits(), 0x7FF8_0000_0000_0000);
        assert_eq!(reduce::mean(nan).to_bits(), 0x7FC0_0000);
    }
    assert_eq!(reduce::sum_f32(&[f32::MAX, f32::MAX]), f32::INFINITY);
    assert_eq!(reduce::sum(&[f32::MAX, f32::MAX]), 2.0 * f64::from(f32::MAX));
}

#[test]
fn extremes_do_not_depend_on_the_order() {
    assert_eq!(reduce::min_max(&[]), (f32::INFINITY, f32::NEG_INFINITY));
    assert_eq!(reduce::min_max(&[f32::NAN]), (f32::INFINITY, f32::NEG_INFINITY));
    let (low, high) = reduce::min_max(&[0.0, f32::NAN, -0.0]);
    assert_eq!((low.to_bits(), high.to_bits()), (1 << 31, 0));
    let mut rng = rng(51);
    let mut x = extremes();
    x.extend((0..1000).map(|_| rng.any_f32()));
    let want = reduce::min_max(&x);
    assert_eq!(want, (f32::NEG_INFINITY, f32::INFINITY));
    for _ in 0..20 {
        let (from, to) = (rng.below(x.len()), rng.below(x.len()));
        x.swap(from, to);
        let (a, b) = x.split_at(rng.below(x.len()));
        let (a, b) = (reduce::min_max(a), reduce::min_max(b));
        assert_eq!((real::min(a.0, b.0), real::max(a.1, b.1)), want);
    }
}

#[test]
fn magnitudes_and_sums_of_codes() {
    assert_eq!(absmax(&[]).to_bits(), 0);
    assert_eq!(absmax(&[f32::NAN, -f32::NAN]).to_bits(), 0);
    assert_eq!(absmax(&[-0.0]).to_bits(), 0);
    assert_eq!(absmax(&[1.0, f32::NAN, -2.5, 2.0]), 2.5);
    assert_eq!(absmax(&[1.0, f32::NEG_INFINITY]), f32::INFINITY);
    assert_eq!(code_sum([255; 3].into_iter()), 765);
    assert_eq!(code_sum([-128, 127].into_iter()), -1);
}
