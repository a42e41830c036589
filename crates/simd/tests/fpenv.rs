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

    /// Flush-to-zero, default NaN, the alternative half precision; the rounding directions; sticky
    /// flags set; and all of it together. (Traps are optional in the architecture.)
    pub const HOSTILE: [(&str, Env); 9] = [
        ("flush to zero", (1 << 24, 0)),
        ("flush f16 to zero", (1 << 19, 0)),
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
