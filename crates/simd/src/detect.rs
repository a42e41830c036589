//! Asks the CPU, and the operating system that must save the wide registers, what may be used.

use crate::IsaSet;

/// What a CPU can do with 16-bit floats by instructions of its own: facts to report. Kernels are not chosen by them: which
/// instructions they use, and that results are the same without, is [`IsaSet`]'s matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfSupport {
    /// f16 to f32 and back: F16C; every aarch64.
    pub f16_conversion: bool,
    /// Sums and products in f16: AVX512-FP16; FEAT_FP16.
    pub f16_arithmetic: bool,
    /// Dot products of bf16, added in f32: AVX512_BF16; FEAT_BF16.
    pub bf16_dot: bool,
}

/// The features that the CPU has and the operating system saves the state of.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(crate) fn detect() -> IsaSet {
    use crate::Isa;
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    let bit = |word: u32, index: u32| word >> index & 1 == 1;
    let max_leaf = __cpuid(0).eax;
    if max_leaf < 7 {
        return IsaSet::SCALAR;
    }
    let leaf1 = __cpuid(1).ecx;
    let (fma, osxsave, avx, f16c) =
        (bit(leaf1, 12), bit(leaf1, 27), bit(leaf1, 28), bit(leaf1, 29));
    if !(fma && osxsave && avx && f16c) {
        return IsaSet::SCALAR;
    }
    // SAFETY: OSXSAVE was just read: the system enabled `xgetbv`.
    let xcr0 = unsafe { xcr0() };
    // Bits 1 and 2: the system saves xmm and ymm. Bits 5 to 7: mask registers and zmm.
    let (saves_ymm, saves_zmm) = (xcr0 & 0x06 == 0x06, xcr0 & 0xE6 == 0xE6);

    let leaf7 = __cpuid_count(7, 0);
    if !(saves_ymm && bit(leaf7.ebx, 5)) {
        return IsaSet::SCALAR;
    }
    let mut set = Isa::Avx2.only();
    let leaf7_1 = if leaf7.eax >= 1 { __cpuid_count(7, 1).eax } else { 0 };
    if bit(leaf7_1, 4) {
        set = set.union(Isa::AvxVnni.only());
    }
    // F, DQ, BW, VL.
    if saves_zmm && [16, 17, 30, 31].into_iter().all(|index| bit(leaf7.ebx, index)) {
        set = set.union(Isa::Avx512.only());
        if bit(leaf7.ecx, 11) {
            set = set.union(Isa::Avx512Vnni.only());
        }
        if bit(leaf7.ecx, 1) {
            set = set.union(Isa::Avx512Vbmi.only());
        }
        if bit(leaf7.ecx, 14) {
            set = set.union(Isa::Avx512Vpopcntdq.only());
        }
        if bit(leaf7_1, 5) {
            set = set.union(Isa::Avx512Bf16.only());
        }
    }
    set
}

/// The CPU's 16-bit floats.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(crate) fn half_support() -> HalfSupport {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    let bit = |word: u32, index: u32| word >> index & 1 == 1;
    let leaf1 = __cpuid(1).ecx;
    // OSXSAVE, AVX.
    if !(bit(leaf1, 27) && bit(leaf1, 28)) {
        return HalfSupport::default();
    }
    // SAFETY: OSXSAVE was just read: the system enabled `xgetbv`.
    let xcr0 = unsafe { xcr0() };
    let (saves_ymm, saves_zmm) = (xcr0 & 0x06 == 0x06, xcr0 & 0xE6 == 0xE6);
    let (edx, eax1) = match __cpuid(0).eax {
        0..7 => (0, 0),
        _ => {
            let leaf7 = __cpuid_count(7, 0);
            let more = if leaf7.eax >= 1 { __cpuid_count(7, 1).eax } else { 0 };
            (leaf7.edx, more)
        }
    };
    HalfSupport {
        f16_conversion: saves_ymm && bit(leaf1, 29),
        f16_arithmetic: saves_zmm && bit(edx, 23),
        bf16_dot: saves_zmm && bit(eax1, 5),
    }
}

/// Reads extended control register 0.
///
/// # Safety
/// `cpuid` reports OSXSAVE.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: OSXSAVE by this function's contract; register 0 exists wherever `xgetbv` does.
    unsafe { core::arch::x86_64::_xgetbv(0) }
}

/// Advanced SIMD is part of the architecture; the rest is what the kernel reports, or what the
/// build was told to assume.
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(miri)))]
pub(crate) fn detect() -> IsaSet {
    use crate::Isa;

    let (mut dotprod, mut i8mm) = (cfg!(target_feature = "dotprod"), cfg!(target_feature = "i8mm"));
    if let Some((hwcap, hwcap2)) = hwcaps() {
        dotprod |= hwcap >> 20 & 1 == 1; // HWCAP_ASIMDDP
        i8mm |= hwcap2 >> 13 & 1 == 1; // HWCAP2_I8MM
    }
    let mut set = Isa::Neon.only();
    let half = half_support();
    if half.bf16_dot {
        set = set.union(Isa::NeonBf16.only());
    }
    if half.f16_arithmetic {
        set = set.union(Isa::NeonFp16.only());
    }
    if dotprod {
        set = set.union(Isa::NeonDotprod.only());
        if i8mm {
            set = set.union(Isa::NeonI8mm.only());
        }
    }
    set
}

/// The CPU's 16-bit floats: conversion is part of the architecture, as above.
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(miri)))]
pub(crate) fn half_support() -> HalfSupport {
    let (hwcap, hwcap2) = hwcaps().unwrap_or((0, 0));
    HalfSupport {
        f16_conversion: true,
        f16_arithmetic: cfg!(target_feature = "fp16") || hwcap >> 10 & 1 == 1, // HWCAP_ASIMDHP
        bf16_dot: cfg!(target_feature = "bf16") || hwcap2 >> 14 & 1 == 1,      // HWCAP2_BF16
    }
}

/// The two capability words of Linux's auxiliary vector.
#[cfg(all(
    target_arch = "aarch64",
    target_endian = "little",
    not(miri),
    any(target_os = "linux", target_os = "android")
))]
fn hwcaps() -> Option<(u64, u64)> {
    use core::ffi::c_ulong;

    unsafe extern "C" {
        // Of every C library on Linux; declared here so that no crate need be linked for it.
        fn getauxval(kind: c_ulong) -> c_ulong;
    }
    const AT_HWCAP: c_ulong = 16;
    const AT_HWCAP2: c_ulong = 26;
    // SAFETY: `getauxval` takes any number, and gives 0 for an entry that is absent.
    unsafe { Some((getauxval(AT_HWCAP) as u64, getauxval(AT_HWCAP2) as u64)) }
}

/// No system to ask: the build's own target features are all that is known.
#[cfg(all(
    target_arch = "aarch64",
    target_endian = "little",
    not(miri),
    not(any(target_os = "linux", target_os = "android"))
))]
fn hwcaps() -> Option<(u64, u64)> {
    None
}

/// Other architectures run the portable code.
#[cfg(any(
    miri,
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))
))]
pub(crate) fn detect() -> IsaSet {
    IsaSet::SCALAR
}

/// None that is known.
#[cfg(any(
    miri,
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))
))]
pub(crate) fn half_support() -> HalfSupport {
    HalfSupport::default()
}

impl HalfSupport {
    /// Asks the CPU, and the operating system that must save its registers. A limit of instruction sets does not show.
    pub fn detect() -> HalfSupport {
        half_support()
    }
}
