//! The guard must hide whatever environment a host program left, and give it back untouched.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use fewbit_simd::{FpEnv, with_default_env};
use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
mod host {
    use std::arch::asm;

    /// MXCSR.
    pub type Env = u32;

    pub fn get() -> Env {
        let mut mxcsr = 0_u32;
        // SAFETY: stores to the local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack)) };
        mxcsr
    }

    pub fn set(env: Env) {
        // SAFETY: loads from the local; the tests set defined bits only.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const env, options(nostack)) };
    }

    /// Flush-to-zero, denormals-are-zero, both; the rounding directions; exceptions unmasked (each
    /// raised by the arithmetic of these tests, so a guard that left one on would trap); sticky
    /// flags set; and all of it together.
    pub const HOSTILE: [(&str, Env); 9] = [
        ("flush to zero", 0x9F80),
        ("denormals are zero", 0x1FC0),
        ("both", 0x9FC0),
        ("down", 0x3F80),
        ("up", 0x5F80),
        ("toward zero", 0x7F80),
        ("unmasked", 0x0000),
        ("sticky", 0x1FBF),
        ("all", 0xE040),
    ];
}

#[cfg(target_arch = "aarch64")]
mod host {
    use std::arch::asm;

    /// FPCR and FPSR.
    pub type Env = (u64, u64);

    pub fn get() -> Env {
        let (control, status): Env;
        // SAFETY: reads two registers.
        unsafe { asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) status) };
        (control, status)
    }

    pub fn set(env: Env) {
        // SAFETY: writes two registers; the tests set defined bits only.
        unsafe { asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) env.0, in(reg) env.1) };
    }

    /// Flush-to-zero, default NaN, the alternative half precision, the other rounding of bf16 (where there is FEAT_EBF16); the rounding directions; sticky
    /// flags set; and all of it together. (Traps are optional in the architecture.)
    pub const HOSTILE: [(&str, Env); 10] = [
        ("flush to zero", (1 << 24, 0)),
        ("flush f16 to zero", (1 << 19, 0)),
        ("extended bf16", (1 << 13, 0)),
        ("default NaN", (1 << 25, 0)),
        ("alternative half precision", (1 << 26, 0)),
        ("up", (1 << 22, 0)),
        ("down", (2 << 22, 0)),
        ("toward zero", (3 << 22, 0)),
        ("sticky", (0, 0x9F)),
        ("all", (0x7 << 24 | 3 << 22, 0x9F)),
    ];
}

/// Runs `body` with the environment `env`; gives its result and the environment it left.
fn under<R>(env: host::Env, body: impl FnOnce() -> R) -> (R, host::Env) {
    let before = host::get();
    host::set(env);
    // What the hardware made of it: bits that it does not have read as zero.
    let accepted = host::get();
    let result = body();
    let after = host::get();
    host::set(before);
    assert!(accepted == after, "the environment was not restored: {accepted:x?}, {after:x?}");
    (result, accepted)
}

/// Inexact in every direction, subnormal in and out, overflow, division by zero, invalid.
fn arithmetic() -> [u32; 8] {
    let x = |bits: u32| f32::from_bits(black_box(bits));
    [
        (x(0x3F80_0000) / x(0x4040_0000)).to_bits(),
        (x(0xBF80_0000) / x(0x4040_0000)).to_bits(),
        (x(0x0080_0000) * x(0x3F00_0000)).to_bits(),
        (x(0x0000_0001) + x(0x0000_0001)).to_bits(),
        (x(0x7F7F_FFFF) * x(0x4000_0000)).to_bits(),
        (x(0x3F80_0000) / x(0x0000_0000)).to_bits(),
        (x(0x0000_0000) / x(0x0000_0000)).to_bits() & 0x7FFF_FFFF,
        (x(0x0100_0001) * x(0x3F00_0000)).to_bits(),
    ]
}

const EXPECTED: [u32; 8] = [
    0x3EAA_AAAB,
    0xBEAA_AAAB,
    0x0040_0000,
    0x0000_0002,
    0x7F80_0000,
    0x7F80_0000,
    0x7FC0_0000,
    0x0080_0001,
];

fn hidden_from_the_body() {
    for (name, env) in host::HOSTILE {
        let (got, _) = under(env, || with_default_env(arithmetic));
        assert_eq!(got, EXPECTED, "{name}");
        let (got, _) = under(env, || {
            let _env = FpEnv::enter();
            black_box(arithmetic as fn() -> [u32; 8])()
        });
        assert_eq!(got, EXPECTED, "{name}, guard");
    }
}

#[test]
fn on_the_calling_thread() {
    hidden_from_the_body();
}

#[test]
fn on_a_worker_thread() {
    std::thread::spawn(hidden_from_the_body).join().unwrap();
}

#[test]
fn environments_matter() {
    // The test's own test: without the guard, masked environments change the results.
    let masked = host::HOSTILE.into_iter().filter(|(name, _)| {
        ["flush to zero", "denormals are zero", "both", "down", "up", "toward zero"].contains(name)
    });
    for (name, env) in masked {
        let before = host::get();
        host::set(env);
        let got = black_box(arithmetic as fn() -> [u32; 8])();
        host::set(before);
        assert_ne!(got, EXPECTED, "{name}");
    }
}

/// Products of 16-bit numbers round as they do by default, whatever environment there was: of subnormal f16, and of bf16 whose sum is a tie.
#[cfg(target_arch = "aarch64")]
#[test]
fn of_16_bit_instructions() {
    use fewbit_scheme::{add_bf16_odd, fma_f16};
    use fewbit_simd::{HalfSupport, bfdot, fmla_f16};
    use std::arch::aarch64::{vdupq_n_f32, vdupq_n_u16, vgetq_lane_f32, vgetq_lane_u16};
    let support = HalfSupport::detect();
    let halves = [(0x0001, 0x3C00, 0x0001), (0x3C01, 0x3C01, 0x0003), (0x03FF, 0x3801, 0x8001)];
    let pair = |x: [f32; 2]| f32::from_bits(x[1].to_bits() & !0xFFFF | x[0].to_bits() >> 16);
    let small = 2f32.powi(-13);
    let singles = [
        ([1.0, small], [1.0, small], 0.0),
        ([1.0, small], [-1.0, small], 2f32.powi(-30)),
        ([1e-38, 1e-38], [0.5, 0.5], 1e-39),
    ];
    for (name, env) in host::HOSTILE {
        for (x, w, y) in halves.into_iter().filter(|_| support.f16_arithmetic) {
            let one = |x, w, y| {
                // SAFETY: the CPU has the instruction.
                unsafe {
                    let of = |h| vdupq_n_u16(black_box(h));
                    vgetq_lane_u16::<0>(fmla_f16(of(y), of(x), of(w)))
                }
            };
            let (got, _) = under(env, || with_default_env(|| one(x, w, y)));
            assert_eq!(got, fma_f16(x, w, y), "{name}: {x:04x} {w:04x} {y:04x}");
        }
        for (x, w, y) in singles.into_iter().filter(|_| support.bf16_dot) {
            let one = |x, w, y| {
                // SAFETY: the CPU has the instruction.
                unsafe {
                    let of = |v| vdupq_n_f32(black_box(v));
                    vgetq_lane_f32::<0>(bfdot(of(y), of(pair(x)), of(pair(w))))
                }
            };
            let (got, _) = under(env, || with_default_env(|| one(x, w, y)));
            assert_eq!(got.to_bits(), add_bf16_odd(x, w, y).to_bits(), "{name}: {x:?} {w:?} {y}");
        }
    }
}

#[test]
fn values_pass_through() {
    // Inputs and results larger than registers, and a result that owns something.
    let input = [1.5_f32; 100];
    let output = with_default_env(|| input.map(|x| x * 2.0));
    assert!(output.iter().all(|&x| x == 3.0));
    assert_eq!(with_default_env(|| vec![String::from("kept")]), ["kept"]);
}

#[test]
fn restored_when_the_body_unwinds() {
    for (name, env) in host::HOSTILE {
        if name == "unmasked" || name == "all" {
            continue; // unwinding itself runs in the caller's environment
        }
        let before = host::get();
        host::set(env);
        let accepted = host::get();
        let unwound = std::panic::catch_unwind(|| {
            with_default_env(|| std::panic::resume_unwind(Box::new(())));
        })
        .is_err();
        let after = host::get();
        host::set(before);
        assert!(unwound && accepted == after, "{name}");
    }
}
