//! Real arithmetic that does not lean on a CPU or a C library: exact on targets that have neither.

/// `a * b + c`, rounded once to nearest even: what `fma` instructions compute.
///
/// The product of two f32 is exact in f64 (48 bits of 53). The sum is then rounded *to odd* in f64:
/// if it was inexact and its last bit is 0, the neighbour towards the lost part is taken. A value
/// rounded to odd with at least two more bits than the target rounds correctly to the target, also
/// where that is subnormal (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums").
// Dozens of operations, which portable kernels would have in every step of theirs.
#[inline(never)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    fma_inline(a, b, c)
}

/// [`fma`], for a loop that has it once: there a compiler sees which registers the loop before left unfinished, whose parts
/// conversions would wait for.
#[inline(always)]
pub fn fma_inline(a: f32, b: f32, c: f32) -> f32 {
    let product = a as f64 * b as f64;
    let addend = c as f64;
    let sum = product + addend;
    if !sum.is_finite() {
        return canonical(sum as f32);
    }
    // The error of the sum, exactly (Knuth's TwoSum).
    let back = sum - product;
    let error = (product - (sum - back)) + (addend - back);
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 == 1 {
        return sum as f32;
    }
    // The exact value lies off `sum` towards `error`: away from 0 if their signs agree.
    let odd = if (error > 0.0) == (sum > 0.0) { bits + 1 } else { bits - 1 };
    f64::from_bits(odd) as f32
}

/// A NaN as the one NaN that arithmetic stores; anything else unchanged.
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7FC0_0000) } else { x }
}

/// The nearest integer, ties to even; -0 and NaN are kept.
#[inline]
pub fn round_half_even(x: f32) -> f32 {
    const TWO_23: f32 = 8_388_608.0;
    let magnitude = x.abs();
    // From 2^23 on, and for NaN, there is nothing to round. Below, adding 2^23 leaves no bits for a
    // fraction, so that the addition itself rounds, ties to even.
    if magnitude < TWO_23 { ((magnitude + TWO_23) - TWO_23).copysign(x) } else { x }
}

/// The nearest integer, ties away from zero; -0 and NaN are kept.
pub fn round_half_away(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < 8_388_608.0 {
        let whole = truncate(magnitude);
        // The difference is exact: both have the same exponent or the result is smaller.
        let up = if magnitude - whole >= 0.5 { whole + 1.0 } else { whole };
        up.copysign(x)
    } else {
        x
    }
}

/// Towards zero, for `0 <= x < 2^23`.
fn truncate(x: f32) -> f32 {
    x as i32 as f32
}

/// The square root, correctly rounded. Negative numbers and NaN give the canonical NaN, -0 gives -0.
pub fn sqrt(x: f32) -> f32 {
    if x.is_nan() || x < 0.0 {
        return f32::from_bits(0x7FC0_0000);
    }
    if x == 0.0 || x == f32::INFINITY {
        return x;
    }
    // x = mantissa * 2^exponent with an even exponent, exact as f64 whatever x is.
    let bits = (x as f64).to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    if exponent & 1 != 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    // The integer root of mantissa * 2^10 (63 or 64 bits) has 32 bits: 24 to keep, 8 to round by.
    // A remainder sets the last bit ("sticky"), so that one rounding to nearest even is right.
    let square = mantissa << 10;
    let mut root = 0u64;
    let mut bit = 1u64 << 31;
    while bit != 0 {
        let trial = root | bit;
        if trial * trial <= square {
            root = trial;
        }
        bit >>= 1;
    }
    if root * root != square {
        root |= 1;
    }
    // root = sqrt(mantissa) * 2^5 and mantissa = value * 2^52, so the scale is 2^(-26-5); the
    // result of any f32 is a normal f32, and the conversion from u64 rounds once.
    let scale = f64::from_bits(((1023 + exponent / 2 - 31) as u64) << 52);
    (root as f64 * scale) as f32
}

/// The smaller number, with -0 < +0; a NaN gives the other.
pub fn min(a: f32, b: f32) -> f32 {
    if a.is_nan() || less(b, a) { b } else { a }
}

/// The larger number, with -0 < +0; a NaN gives the other.
pub fn max(a: f32, b: f32) -> f32 {
    if a.is_nan() || less(a, b) { b } else { a }
}

/// `a < b` with -0 < +0; false if either is NaN.
fn less(a: f32, b: f32) -> bool {
    a < b || (a == b && a.is_sign_negative() && b.is_sign_positive())
}
