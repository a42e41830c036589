//! Activation functions, each one defined chain of f32 operations, so that every instruction set gives the
//! same bits. Every operation rounds to nearest even; those fused into one rounding are written `fma`. A NaN
//! gives the canonical NaN.
//!
//! Exponentials are of numbers that are not positive, reduced by multiples of ln 2: with `n = round(x / ln 2)`
//! and `r = x - n ln 2`, `exp(x) = 2^n (1 + r + r^2 q(r))`. The polynomial q is the near-minimax one (weighted
//! least squares, Lawson's iteration) on |r| <= ln 2 / 2, within 3.2e-9. The power 2^n is multiplied last, so
//! that results which become subnormal are rounded once.
//!
//! The largest errors, in units in the last place of the exact result, over all f32 (`tests/activation.rs`):
//! sigmoid 2.5, SiLU 3.5, tanh 3, GELU 9 (5.3 from -8 on; the tail below is small beyond use). Those of the tanh
//! form of GELU and of hard-swish are what their definitions lose.

use crate::real::{canonical, fma, max, min, round_half_even};

/// What is applied to a real result before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(0, y)`.
    Relu,
    /// `min(max(y, low), high)`; (0, 6) is ReLU6.
    Clamp {
        /// The smallest result; at most `high`, not NaN.
        low: f32,
        /// The largest result; not NaN.
        high: f32,
    },
    /// `y`, or `slope * y` where y is negative.
    LeakyRelu {
        /// Finite.
        slope: f32,
    },
    /// `y * min(max(y + 3, 0), 6) / 6`, with the sixth as a factor (Howard et al. 2019).
    HardSwish,
    /// `1 / (1 + exp(-y))`.
    Sigmoid,
    /// `y / (1 + exp(-y))`, also called swish.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// `y Φ(y) = y (1 + erf(y / sqrt 2)) / 2`, the exact form (Hendrycks and Gimpel 2016).
    Gelu,
    /// Its approximation `y (1 + tanh(sqrt(2 / π) (y + 0.044715 y^3))) / 2`, as `y sigmoid(2 ...)`.
    GeluTanh,
}

impl Activation {
    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        let y = match self {
            Activation::None => x,
            // `if 0 > x { 0 } else { x }`: -0 stays.
            Activation::Relu => {
                if 0.0 > x {
                    0.0
                } else {
                    x
                }
            }
            Activation::Clamp { low, high } => clamp(x, low, high),
            Activation::LeakyRelu { slope } => {
                if x.is_sign_negative() {
                    slope * x
                } else {
                    x
                }
            }
            // Below -3 the factor is 0: an infinity would make it a NaN.
            Activation::HardSwish => max(x, -3.0) * (clamp(x + 3.0, 0.0, 6.0) * SIXTH),
            Activation::Sigmoid => {
                let (share, n) = logistic(x);
                scaled(share, n)
            }
            Activation::Silu => silu(x, x),
            Activation::Tanh => tanh(x),
            Activation::Gelu => gelu(x),
            Activation::GeluTanh => {
                let twice = x * fma(x * x, GELU_CUBE, GELU_LINE);
                silu(x, twice)
            }
        };
        if x.is_nan() { canonical(x) } else { canonical(y) }
    }
}

/// 1/6.
pub const SIXTH: f32 = 0.166_666_67;
/// `2 sqrt(2 / π)`.
pub const GELU_LINE: f32 = 1.595_769;
/// `0.044715 * 2 sqrt(2 / π)`.
pub const GELU_CUBE: f32 = 0.071_354_82;
/// 1 / ln 2.
pub const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2, rounded to f32.
pub const LN_2: f32 = core::f32::consts::LN_2;
/// What ln 2 is beyond that.
pub const LN_2_REST: f32 = -1.904_654_3e-9;
/// q's coefficients, from r^0 on.
pub const EXP: [f32; 5] = [0.5, 0.166_665_2, 0.041_666_206, 0.008_368_89, 0.001_395_049];
/// From here on `exp(-x)` is 0, and so is all that it is multiplied with below.
pub const EXP_END: f32 = 120.0;
/// From here on the hyperbolic tangent of half of it is 1.
pub const TANH_END: f32 = 20.0;
/// From here on `exp(-x^2 / 2)` is 0, also times x.
pub const GELU_END: f32 = 15.0;
/// `exp(z^2 / 2) (1 - Φ(z))` as a polynomial in `t = (z - 3) / (z + 3)`, from t^0 on: near-minimax, weighted
/// by the inverse of the function, on 0 <= z <= 15.
pub const TAIL: [f32; 10] = [
    0.121_513_95,
    -0.206_402_62,
    0.123_225_04,
    -0.046_213_264,
    0.006_131_942,
    0.002_904_387_4,
    -0.000_983_288_2,
    -0.000_339_012_8,
    0.000_115_013_68,
    0.000_053_161_87,
];
/// Where t is 0.
pub const TAIL_MIDDLE: f32 = 3.0;

fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // As vectors do it: with two zeros, the bound.
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// 2^n as a float; `-126 <= n <= 127`.
fn power(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// `v * 2^n` for `-220 <= n <= 0`, rounded once where `v` is at least 2^-20 or so.
fn scaled(v: f32, n: i32) -> f32 {
    let first = n.max(-100);
    v * power(first) * power(n - first)
}

/// `(n, r)` of `x <= 0`.
fn reduced(x: f32) -> (f32, f32) {
    let n = round_half_even(x * LOG2_E);
    (n, fma(n, -LN_2_REST, fma(n, -LN_2, x)))
}

/// `exp(r) - 1` for a reduced r.
fn expm1(r: f32) -> f32 {
    let [c0, c1, c2, c3, c4] = EXP;
    let q = fma(fma(fma(fma(c4, r, c3), r, c2), r, c1), r, c0);
    fma(r * r, q, r)
}

/// The logistic function of x as `share * 2^n`.
fn logistic(x: f32) -> (f32, i32) {
    let (n, r) = reduced(-min(x.abs(), EXP_END));
    let (p, n) = (1.0 + expm1(r), n as i32);
    let below = 1.0 + scaled(p, n);
    if x.is_sign_negative() { (p / below, n) } else { (1.0 / below, 0) }
}

/// `x` times the logistic function of `t`, which has its sign.
fn silu(x: f32, t: f32) -> f32 {
    let (share, n) = logistic(t);
    // The function of x below the end is 0, also times x: an infinity would make it a NaN.
    scaled(max(x, -EXP_END) * share, n)
}

fn tanh(x: f32) -> f32 {
    let (n, r) = reduced(-min(x.abs() * 2.0, TANH_END));
    let p = power(n as i32);
    // exp(-2 |x|) - 1.
    let e = fma(p, expm1(r), p - 1.0);
    (e / (2.0 + e)).abs().copysign(x)
}

fn gelu(x: f32) -> f32 {
    let z = min(x.abs(), GELU_END);
    // z^2 as a number and what it lost.
    let square = z * z;
    let rest = fma(z, z, -square);
    let (n, r) = reduced(square * -0.5);
    let p = 1.0 + expm1(fma(rest, -0.5, r));
    let t = (z - TAIL_MIDDLE) / (z + TAIL_MIDDLE);
    let tail = TAIL.iter().rev().fold(0.0, |sum, &c| fma(sum, t, c));
    let w = scaled(z * (tail * p), n as i32);
    max(x, 0.0) - w
}
