//! Averages of codes. (The maximum of codes is the largest one: quantizing is monotone, so that it is the code of the
//! largest number.)

use crate::{FixedMultiplier, IntFormat, QuantParams, requantize};

/// The most codes of an [`average`]: int32 holds the sum of so many differences of codes.
pub const MAX_AVERAGE: usize = 1 << 23;

/// The most codes of an [`average_codes`] that [`average_codes_multiplier`] divides exactly by.
pub const MAX_AVERAGE_CODES: usize = 1 << 21;

/// What a sum of `count` codes is multiplied with: `from / (f32(count) * to)`, a product and a quotient, each rounded.
/// ONNX Runtime's of QLinearGlobalAveragePool.
pub fn average_multiplier(count: usize, from: f32, to: f32) -> f32 {
    from / (count as f32 * to)
}

/// The code of the mean of `count` numbers, 1 to [`MAX_AVERAGE`], from `steps`, the exact sum of
/// `q - from.zero_point`: [`requantize`] with [`average_multiplier`]. A number that counts and is real 0 (padding)
/// adds nothing to the sum.
pub fn average(
    steps: i32,
    count: usize,
    from: QuantParams,
    to: QuantParams,
    format: IntFormat,
) -> i32 {
    let clamp = (format.qmin(), format.qmax());
    let multiplier = average_multiplier(count, from.scale, to.scale);
    requantize(steps, multiplier, to.zero_point, format, clamp)
}

/// The mean of `count` codes that share parameters, from their exact sum, in integers only: `sum / count`, rounded to
/// nearest, ties away from zero. TensorFlow Lite's AVERAGE_POOL_2D; 0 of no codes.
pub fn average_codes(sum: i32, count: usize) -> i32 {
    let (sum, count) = (sum as i64, count as i64);
    let half = if sum < 0 { -(count / 2) } else { count / 2 };
    (sum + half).checked_div(count).unwrap_or(0) as i32
}

/// The multiplier that divides sums of `count` codes as [`average_codes`] does, under
/// [`FixedRounding::Single`](crate::FixedRounding::Single); `count` is 1 to [`MAX_AVERAGE_CODES`].
///
/// Let `n = 30 + ceil(log2(count))` and `m = floor(2^n / count) + 1`, which is in 2^30 + 1 .. 2^31. Then `floor(sum * m /
/// 2^n + 1/2)` is `floor(v + e)` with `v = sum / count + 1/2` and an `e` of the sum's sign, `0 < |e| <= |sum| / 2^n`. `v`
/// is a multiple of `1 / (2 count)`, so if `|e|` is less than that, `e` decides where `v` is an integer, which is at
/// ties, and nowhere else: positive ties go up, negative ones down. It is less, as `|sum| <= 255 count`:
/// `2 count |e| <= 510 count^2 / 2^n <= 510 count / 2^30 < 1`, up to `count = 2^21`.
pub fn average_codes_multiplier(count: usize) -> FixedMultiplier {
    let count = count.clamp(1, MAX_AVERAGE_CODES) as u64;
    let bits = count.next_power_of_two().trailing_zeros();
    let quotient = (1u64 << (30 + bits)).checked_div(count).unwrap_or(0);
    FixedMultiplier { multiplier: (quotient + 1) as i32, shift: 1 - bits as i32 }
}
