//! Steps of arithmetics with 16-bit floats against slow ones in integers, which share nothing with them: as the manuals of the instructions write
//! them, a sign, an integer and a power of two.

use fewbit_scheme::float16::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use fewbit_scheme::{F16_BLOCK, add_bf16_odd, dot_bf16_odd, dot_f16, fma_f16};
use fewbit_testkit::{Rng, seed};

/// `m * 2^e`.
#[derive(Clone, Copy)]
struct Exact {
    m: i128,
    e: i32,
}

/// A finite f32, a subnormal one as 0.
fn exact(x: f32) -> Exact {
    let (bits, sign) = (x.to_bits(), if x.is_sign_negative() { -1 } else { 1 });
    let field = (bits >> 23 & 0xFF) as i32;
    match field {
        0 => Exact { m: 0, e: 0 },
        _ => Exact { m: sign * i128::from(bits & 0x7F_FFFF | 0x80_0000), e: field - 150 },
    }
}

/// The sum; of a number far below the other one only that there is something.
fn plus(a: Exact, b: Exact) -> Exact {
    let (high, low) = if a.e >= b.e { (a, b) } else { (b, a) };
    if low.m == 0 || high.m == 0 {
        return if low.m == 0 { high } else { low };
    }
    let shift = high.e - low.e;
    if shift <= 60 {
        return Exact { m: (high.m << shift) + low.m, e: low.e };
    }
    // Below the last of 40 more bits.
    Exact { m: (high.m << 40) + low.m.signum(), e: high.e - 40 }
}

/// "BFRound" of the Arm Architecture Reference Manual, of a number that is not 0.
fn bf_round(x: Exact) -> f32 {
    let (sign, mut m, mut e) = (x.m < 0, x.m.unsigned_abs(), x.e);
    while m < 1 << 40 {
        m <<= 1;
        e -= 1;
    }
    while m >= 1 << 41 {
        m = m >> 1 | m & 1;
        e += 1;
    }
    let exponent = e + 40;
    let signed = |bits: u32| f32::from_bits(bits | u32::from(sign) << 31);
    if exponent < -126 {
        return signed(0);
    }
    let (mut integer, rest) = (m >> 17, m & 0x1FFFF);
    if rest != 0 {
        integer |= 1;
    }
    let field = (exponent + 127) as u32;
    if field >= 255 {
        signed(0x7F80_0000)
    } else {
        signed(field << 23 | integer as u32 & 0x7F_FFFF)
    }
}

fn is_zero(x: f32) -> bool {
    x == 0.0 || x.is_subnormal()
}

/// "BFMulH".
fn bf_mul(a: f32, b: f32) -> f32 {
    let sign = a.is_sign_negative() != b.is_sign_negative();
    let signed = |x: f32| if sign { -x } else { x };
    let infinite = a.is_infinite() || b.is_infinite();
    if a.is_nan() || b.is_nan() || infinite && (is_zero(a) || is_zero(b)) {
        return f32::NAN;
    }
    if infinite {
        return signed(f32::INFINITY);
    }
    if is_zero(a) || is_zero(b) {
        return signed(0.0);
    }
    let (a, b) = (exact(a), exact(b));
    bf_round(Exact { m: a.m * b.m, e: a.e + b.e })
}

/// "FPAdd_BF16".
fn bf_add(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() || a.is_infinite() && b == -a {
        return f32::NAN;
    }
    if a.is_infinite() || b.is_infinite() {
        return if a.is_infinite() { a } else { b };
    }
    if is_zero(a) && is_zero(b) && a.is_sign_negative() == b.is_sign_negative() {
        return 0f32.copysign(a);
    }
    let sum = plus(exact(a), exact(b));
    if sum.m == 0 { 0.0 } else { bf_round(sum) }
}

fn same(got: f32, want: f32) -> bool {
    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
}

/// Numbers of which sums cancel, vanish and overflow; any bits.
fn bf16(rng: &mut Rng) -> f32 {
    let scale = rng.pick(&[0, 0, -1, 3, -63, -64, -70, 63, 64]);
    match rng.below(6) {
        0 => bf16_to_f32(rng.next_u32() as u16),
        1 => (rng.below(9) as f32 - 4.0) * 2f32.powi(scale),
        _ => bf16_to_f32(f32_to_bf16(rng.normal() * 2f32.powi(scale))),
    }
}

#[test]
fn pairs_of_bf16_round_to_odd() {
    let mut rng = Rng::new(seed() ^ 81);
    for _ in 0..400_000 {
        let [a, b, c, d] = [(); 4].map(|()| bf16(&mut rng));
        let y = match rng.below(5) {
            0 => rng.any_f32(),
            1 => -(a * b + c * d),
            2 => 0f32.copysign(a),
            _ => a * b * (1.0 + rng.unit()),
        };
        let want = bf_add(y, bf_add(bf_mul(a, b), bf_mul(c, d)));
        let got = add_bf16_odd([a, c], [b, d], y);
        assert!(same(got, want), "{y:e} + {a:e} {b:e} + {c:e} {d:e}: {got:e} {want:e}");
    }
}

#[test]
fn a_sum_of_four() {
    // 1 + 2^-30 is odd above 1; the exact tie of nothing; an overflow is an infinity.
    let small = 2f32.powi(-15);
    let odd = f32::from_bits(0x3F80_0001);
    assert_eq!(add_bf16_odd([1.0, small], [1.0, small], 0.0), odd);
    assert_eq!(add_bf16_odd([1.0, small], [1.0, -small], 0.0), 1.0 - 2f32.powi(-24));
    let huge = 2f32.powi(100);
    assert_eq!(add_bf16_odd([huge, huge], [huge, -huge], 1.0).to_bits() >> 22 & 0x1FF, 0x1FF);
    assert_eq!(dot_bf16_odd([(huge, huge)].into_iter()), f32::INFINITY);
    // What fills four products makes +0 of a -0 that is left by underflow.
    let tiny = (2f32.powi(-100), -(2f32.powi(-100)));
    assert_eq!(add_bf16_odd([tiny.0; 2], [tiny.1; 2], -0.0).to_bits(), 0x8000_0000);
    for count in 0..9 {
        let pairs = std::iter::repeat_n(tiny, count);
        assert_eq!(dot_bf16_odd(pairs).to_bits(), 0, "{count}");
    }
    let mut rng = Rng::new(seed() ^ 82);
    for k in 0..40usize {
        let pairs: Vec<(f32, f32)> = (0..k).map(|_| (bf16(&mut rng), bf16(&mut rng))).collect();
        let mut filled = pairs.clone();
        filled.resize(k.next_multiple_of(4), (0.0, 0.0));
        let want = filled.chunks(2).fold(0.0, |y, pair| {
            bf_add(y, bf_add(bf_mul(pair[0].0, pair[0].1), bf_mul(pair[1].0, pair[1].1)))
        });
        assert!(same(dot_bf16_odd(pairs.into_iter()), want), "{k}");
    }
}

/// A finite f16 in units of 2^-24.
fn units(h: u16) -> i128 {
    let (field, fraction) = (i32::from(h >> 10 & 31), i128::from(h & 0x3FF));
    let magnitude = if field == 0 { fraction } else { (fraction | 0x400) << (field - 1) };
    if h >> 15 == 1 { -magnitude } else { magnitude }
}

/// The f16 nearest to `m * 2^-48`, ties to even, of a magnitude that is not 0: the first that is beyond, or the one before.
fn nearest_f16(m: i128) -> u16 {
    let sign = if m < 0 { 0x8000 } else { 0 };
    let m = m.abs();
    let value = |h: u16| units(h) << 24;
    // 65536, were it a number.
    let end = 1i128 << (16 + 48);
    let above = (0..0x7C00).collect::<Vec<u16>>().partition_point(|&h| value(h) < m) as u16;
    let upper = if above == 0x7C00 { end } else { value(above) };
    if upper == m || above == 0 {
        return sign | above;
    }
    let (below, twice) = (value(above - 1), 2 * m);
    let goes_up = match twice.cmp(&(below + upper)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => above & 1 == 0,
    };
    sign | if goes_up { above } else { above - 1 }
}

#[test]
fn fma_of_f16_rounds_once() {
    let mut rng = Rng::new(seed() ^ 83);
    for round in 0..6000 {
        let any = |rng: &mut Rng| match rng.below(3) {
            0 => rng.next_u32() as u16,
            1 => f32_to_f16(rng.normal() * 2f32.powi(rng.pick(&[-14, -10, 0, 7]))),
            _ => f32_to_f16(rng.below(65) as f32 * 0.25 - 8.0),
        };
        let [x, w, mut y] = [(); 3].map(|()| any(&mut rng));
        let wide = |h: u16| f64::from(f16_to_f32(h));
        if round % 3 == 0 {
            // Nearly cancelled, or beside a tie.
            y = f32_to_f16(-(wide(x) * wide(w)) as f32) ^ (rng.below(3) as u16);
        }
        let got = fma_f16(x, w, y);
        let finite = [x, w, y].iter().all(|h| h & 0x7C00 != 0x7C00);
        if !finite {
            // f64 holds what is infinite or NaN.
            let want = (wide(x) * wide(w) + wide(y)) as f32;
            assert!(same(f16_to_f32(got), want), "{x:04x} {w:04x} {y:04x}: {got:04x}");
            continue;
        }
        let exact = units(x) * units(w) + (units(y) << 24);
        let want = match exact {
            0 => {
                let product_sign = (x ^ w) & 0x8000;
                let is_negative = units(x) * units(w) == 0 && product_sign & y != 0;
                if is_negative { 0x8000 } else { 0 }
            }
            m => nearest_f16(m),
        };
        assert_eq!(got, want, "{x:04x} * {w:04x} + {y:04x}");
    }
}

#[test]
fn blocks_of_f16_are_added_in_f32() {
    let one = f32_to_f16(1.0);
    // 1 each: f16 would stop at 2048, and blocks of 64 do not.
    for k in [1, 63, 64, 65, 4096, 5000] {
        assert_eq!(dot_f16(std::iter::repeat_n((one, one), k)), k as f32);
    }
    // Within a block 2048 + 1 is 2048.
    let large = f32_to_f16(2048.0);
    let first = [(large, one), (one, one)].into_iter();
    assert_eq!(dot_f16(first), 2048.0);
    let zeros = std::iter::repeat_n((0, 0), F16_BLOCK - 1);
    let apart = [(large, one)].into_iter().chain(zeros).chain([(one, one)]);
    assert_eq!(dot_f16(apart), 2049.0);
    assert_eq!(dot_f16(std::iter::empty()).to_bits(), 0);
    assert_eq!(dot_f16([(0x7C00, 0)].into_iter()).to_bits(), 0x7FC0_0000);
    assert_eq!(dot_f16([(0x8000, one)].into_iter()).to_bits(), 0);
    assert_eq!(dot_f16([(0x7BFF, large)].into_iter()), f32::INFINITY);
}

/// What docs/numerics.md says of the error.
#[test]
fn error_of_f16_sums() {
    let mut rng = Rng::new(83);
    for k in [64, 4096] {
        let (mut signal, mut noise) = (0.0, 0.0);
        for _ in 0..200 {
            let pairs: Vec<(u16, u16)> =
                (0..k).map(|_| (f32_to_f16(rng.normal()), f32_to_f16(rng.normal()))).collect();
            let exact: f64 = pairs
                .iter()
                .map(|&(x, w)| f64::from(f16_to_f32(x)) * f64::from(f16_to_f32(w)))
                .sum();
            signal += exact * exact;
            noise += (f64::from(dot_f16(pairs.into_iter())) - exact).powi(2);
        }
        let ratio = 10.0 * (signal / noise).log10();
        println!("{k}: {ratio:.1} dB");
        assert!(ratio > 58.0, "{k}: {ratio} dB");
    }
}
