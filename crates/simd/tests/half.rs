//! What the library says of the CPU's 16-bit floats, against what std says.
#![cfg(not(miri))]

use fewbit_simd::HalfSupport;

#[test]
fn facts_are_those_that_std_knows() {
    let support = HalfSupport::detect();
    println!("{support:?}");
    #[cfg(target_arch = "x86_64")]
    let want = HalfSupport {
        f16_conversion: std::arch::is_x86_feature_detected!("f16c"),
        f16_arithmetic: std::arch::is_x86_feature_detected!("avx512fp16"),
        bf16_dot: std::arch::is_x86_feature_detected!("avx512bf16"),
    };
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    let want = HalfSupport {
        f16_conversion: true,
        f16_arithmetic: std::arch::is_aarch64_feature_detected!("fp16"),
        bf16_dot: std::arch::is_aarch64_feature_detected!("bf16"),
    };
    #[cfg(not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_endian = "little")
    )))]
    let want = HalfSupport::default();
    assert_eq!(support, want);
}
