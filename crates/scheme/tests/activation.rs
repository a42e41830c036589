//! Activation functions against f64: the largest error in units in the last place over a sweep of all f32,
//! the limits, and what definitions state exactly.

use fewbit_scheme::Activation;
use fewbit_testkit::sweep;

/// The distance of f32 around x.
fn ulp(x: f64) -> f64 {
    let x = (x.abs() as f32).max(f32::MIN_POSITIVE);
    f64::from(f32::from_bits(x.to_bits() & 0x7F80_0000)) * 2f64.powi(-23)
}

/// A function's contract, its value in f64, and the largest errors stated: from -8 on, and anywhere.
type Row = (Activation, fn(f64) -> f64, f64, f64);

const FUNCTIONS: [Row; 4] = [
    (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2.5, 2.5),
    (Activation::Silu, |x| x / (1.0 + (-x).exp()), 3.5, 3.5),
    (Activation::Tanh, f64::tanh, 3.0, 3.0),
    (Activation::Gelu, |x| 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2), 5.3, 9.0),
];

#[test]
fn errors_are_as_stated() {
    let (first, stride) = sweep("activations", 2003);
    for (function, exact, most_near, most) in FUNCTIONS {
        let (mut worst, mut at, mut near) = (0.0f64, 0.0f32, 0.0f64);
        let mut bits = Some(first);
        while let Some(b) = bits {
            let x = f32::from_bits(b);
            if x.is_finite() {
                let want = exact(f64::from(x));
                let error = (f64::from(function.apply(x)) - want).abs() / ulp(want);
                if x >= -8.0 {
                    near = near.max(error);
                }
                if error > worst {
                    (worst, at) = (error, x);
                }
            }
            bits = b.checked_add(stride);
        }
        println!("{function:?}: {worst:.3} ulp at {at:e}");
        println!("{function:?} from -8 on: {near:.3} ulp");
        assert!(near <= most_near, "{function:?}: {near} ulp");
        assert!(worst <= most, "{function:?}: {worst} ulp at {at:e}");
    }
}

/// The tanh form's error is that of its own definition: absolute, since the exponent's argument is rounded.
#[test]
fn the_tanh_form_of_gelu() {
    let (first, stride) = sweep("gelu tanh", 2003);
    let mut worst = 0.0f64;
    let mut bits = Some(first);
    while let Some(b) = bits {
        let x = f64::from(f32::from_bits(b));
        if x.is_finite() && x.abs() < 1e6 {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            let want = x / (1.0 + (-2.0 * u).exp());
            let got = f64::from(Activation::GeluTanh.apply(x as f32));
            worst = worst.max((got - want).abs() / x.abs().max(1.0));
        }
        bits = b.checked_add(stride);
    }
    println!("GeluTanh: {worst:e} of max(1, |x|)");
    assert!(worst <= 2e-7, "{worst:e}");
}

#[test]
fn limits_and_exact_values() {
    use Activation::*;
    let (inf, nan) = (f32::INFINITY, f32::from_bits(0x7FC0_0000));
    let clamp = Clamp { low: -1.0, high: 6.0 };
    let leaky = LeakyRelu { slope: 0.25 };
    let cases = [
        (None, -3.5, -3.5),
        (Relu, -3.5, 0.0),
        (Relu, -0.0, -0.0),
        (Relu, 2.5, 2.5),
        (clamp, -1.5, -1.0),
        (clamp, 0.5, 0.5),
        (clamp, inf, 6.0),
        (clamp, -inf, -1.0),
        // Of two zeros, the bound.
        (Clamp { low: 0.0, high: 1.0 }, -0.0, 0.0),
        (Clamp { low: -1.0, high: -0.0 }, 0.0, -0.0),
        (leaky, -2.0, -0.5),
        (leaky, 2.0, 2.0),
        (leaky, -inf, -inf),
        (HardSwish, 3.0, 3.0),
        (HardSwish, 1.0, 2.0 / 3.0),
        (HardSwish, -2.0, -1.0 / 3.0),
        (HardSwish, -3.0, -0.0),
        (HardSwish, -inf, -0.0),
        (HardSwish, inf, inf),
        (Sigmoid, 0.0, 0.5),
        (Sigmoid, -0.0, 0.5),
        (Sigmoid, inf, 1.0),
        (Sigmoid, -inf, 0.0),
        (Sigmoid, 40.0, 1.0),
        (Silu, 0.0, 0.0),
        (Silu, -0.0, -0.0),
        (Silu, inf, inf),
        (Silu, -inf, -0.0),
        (Silu, f32::MAX, f32::MAX),
        (Silu, f32::MIN, -0.0),
        (Tanh, 0.0, 0.0),
        (Tanh, -0.0, -0.0),
        (Tanh, 1e-40, 1e-40),
        (Tanh, inf, 1.0),
        (Tanh, -inf, -1.0),
        (Gelu, 0.0, 0.0),
        (Gelu, inf, inf),
        (Gelu, -inf, 0.0),
        (Gelu, f32::MAX, f32::MAX),
        (GeluTanh, 0.0, 0.0),
        (GeluTanh, inf, inf),
        (GeluTanh, -inf, -0.0),
        (GeluTanh, 1e30, 1e30),
    ];
    for (function, x, want) in cases {
        let got = function.apply(x);
        assert!(got.to_bits() == want.to_bits(), "{function:?} of {x} is {got}, not {want}");
        for bits in [0x7FC0_0000, 0xFFC0_0001, 0x7F80_0001] {
            assert_eq!(function.apply(f32::from_bits(bits)).to_bits(), nan.to_bits());
        }
    }
}

/// Where the exact function rises, the computed one does not fall.
#[test]
fn sigmoid_and_tanh_are_monotone() {
    for function in [Activation::Sigmoid, Activation::Tanh] {
        let mut before = function.apply(f32::NEG_INFINITY);
        // All numbers around places where n changes, and steps over the rest.
        let step = |x: f32| {
            let near = ((x * std::f32::consts::LOG2_E * 2.0).fract().abs() - 0.5).abs() < 0.01;
            if near { 31 } else { 40_009 }
        };
        let mut key = -(f32::from_bits(0x42F0_0000).to_bits() as i64);
        while key < 0x42F0_0000 {
            let bits = if key < 0 { (-key) as u32 | 0x8000_0000 } else { key as u32 };
            let x = f32::from_bits(bits);
            let y = function.apply(x);
            assert!(y >= before, "{function:?} falls at {x:e}: {y:e} after {before:e}");
            before = y;
            key += step(x);
        }
    }
}
