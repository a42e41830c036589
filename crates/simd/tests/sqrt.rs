//! The square root of the CPU against the contract.

use fewbit_testkit::sweep;

#[test]
fn sqrt_is_the_contracts() {
    let (first, stride) = sweep("sqrt", 4099);
    let mut bits = Some(first);
    while let Some(b) = bits {
        let x = f32::from_bits(b);
        let (got, want) = (fewbit_simd::sqrt(x), fewbit_scheme::real::sqrt(x));
        assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{x:e}: {got:e}");
        bits = b.checked_add(stride);
    }
}
