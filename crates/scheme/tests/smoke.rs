//! Smoke.
use fewbit_scheme::*;
#[test]
fn known() {
    let p = QuantParams { scale: 0.002_148_548_6, zero_point: 0 };
    let x = 0.273_939_94_f32;
    assert_eq!(quantize(x, p, IntFormat::S8, QuantizeMode::default()), 127);
    assert_eq!(
        quantize(
            x,
            p,
            IntFormat::U8,
            QuantizeMode { quotient: Quotient::Multiply, ..Default::default() }
        ),
        128
    );
}
#[test]
fn sqrt_fma() {
    let mut s = 1u64;
    for _ in 0..3_000_000 {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let a = f32::from_bits((s >> 32) as u32);
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let b = f32::from_bits((s >> 32) as u32);
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut c = f32::from_bits((s >> 32) as u32);
        if s & 7 == 0 {
            c = -(a * b) * f32::from_bits(0x3f800000 + ((s >> 8) & 3) as u32 - 1);
        }
        if s & 7 == 1 {
            c = (a * b) * 5.9604645e-8;
        }
        let (e, g) = (a.mul_add(b, c), real::fma(a, b, c));
        assert!(
            e.to_bits() == g.to_bits() || (e.is_nan() && g.is_nan()),
            "{a:e} {b:e} {c:e} {e:e} {g:e}"
        );
        let (e, g) = (a.sqrt(), real::sqrt(a));
        assert!(e.to_bits() == g.to_bits() || (e.is_nan() && g.is_nan()), "{a:e} {e:e} {g:e}");
        // Hardware quiets a signalling NaN; the contract keeps it.
        assert!(a.is_nan() || a.round_ties_even().to_bits() == real::round_half_even(a).to_bits());
        assert!(a.is_nan() || a.round().to_bits() == real::round_half_away(a).to_bits());
    }
}
