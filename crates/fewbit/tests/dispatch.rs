//! The instruction-set limit of a process: each case runs in a process of its own, forked before
//! anything was decided. (Forking, not spawning, so that it also works under an emulator.)

use fewbit::dispatch::{detected, limit, supported};
use fewbit::simd::{Isa, IsaSet};
use fewbit::{Error, Status};
use std::ffi::CString;

/// Runs `check` in a forked process with `FEWBIT_ISA` set as given and demands that it return true.
fn in_process(fewbit_isa: Option<&str>, check: impl FnOnce() -> bool) {
    let value = fewbit_isa.map(|v| CString::new(v).unwrap());
    // SAFETY: the child only sets an environment variable, runs the check and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        // SAFETY: the child has one thread, so nothing else reads the environment.
        unsafe {
            match &value {
                Some(value) => libc::setenv(c"FEWBIT_ISA".as_ptr(), value.as_ptr(), 1),
                None => libc::unsetenv(c"FEWBIT_ISA".as_ptr()),
            }
        };
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
        // SAFETY: leaves without running the parent's exit handlers.
        unsafe { libc::_exit(if passed { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `child` is this process's child and `status` a valid place.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "FEWBIT_ISA={fewbit_isa:?}");
}

fn is_isa_error(error: &Error, argument: &str, part: &str) -> bool {
    error.status == Status::Isa && error.argument == argument && error.to_string().contains(part)
}

/// A feature that this CPU lacks; every CPU lacks the other architecture's.
fn absent() -> Isa {
    Isa::ALL.into_iter().find(|isa| !detected().has(isa.only())).unwrap()
}

#[test]
fn without_a_limit_everything_detected_is_used() {
    in_process(None, || supported() == Ok(detected()));
    in_process(Some(""), || supported() == Ok(detected()));
    in_process(Some("native"), || supported() == Ok(detected()));
}

#[test]
fn the_environment_limits() {
    in_process(Some("scalar"), || supported().unwrap().set() == IsaSet::SCALAR);
    for isa in detected().set().iter() {
        in_process(Some(isa.name()), || supported().unwrap().set() == isa.closure());
    }
}

#[test]
fn a_bad_environment_is_an_error_each_time() {
    for bad in ["avx3", "AVX2", "scalar,", "scalar avx2", "\u{fc}"] {
        in_process(Some(bad), || {
            (0..2).all(|_| is_isa_error(&supported().unwrap_err(), "FEWBIT_ISA", "avx512_vnni"))
        });
    }
    let absent = absent();
    in_process(Some(absent.name()), || {
        (0..2).all(|_| is_isa_error(&supported().unwrap_err(), "FEWBIT_ISA", "does not have"))
    });
}

#[test]
fn a_limit_in_code_replaces_the_environment() {
    in_process(Some("avx3"), || {
        limit("scalar").is_ok() && supported().unwrap().set() == IsaSet::SCALAR
    });
    in_process(None, || {
        is_isa_error(&limit("avx3").unwrap_err(), "limit", "no known instruction set")
            && is_isa_error(&limit(absent().name()).unwrap_err(), "limit", "does not have")
            && supported() == Ok(detected())
    });
}

#[test]
fn a_late_limit_is_an_error_unless_it_changes_nothing() {
    in_process(None, || {
        let before = supported();
        let late = limit("scalar");
        let expected = detected().set() == IsaSet::SCALAR;
        limit("native").is_ok()
            && late.is_ok() == expected
            && (expected || is_isa_error(&late.unwrap_err(), "limit", "after the first use"))
            && supported() == before
    });
}
