//! The shipped libfewbit: the functions of `fewbit-ffi`, linked without std.
//!
//! Built with `panic = "abort"` (the profile `capi`) it depends on the C library alone: no unwinder,
//! no allocator, no thread-local state. A panic handler must exist, but no call of it may be left in
//! the artefact: it is named, and a test demands that the linked library does not have it. Under any
//! other profile (a workspace-wide `cargo test` or `clippy`) this is an ordinary crate.
#![cfg_attr(panic = "abort", no_std)]

pub use fewbit_ffi::*;

/// What a panic would run. Linked only if some path can panic.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fewbit_internal_panic_reached()
}

/// Ends the process; its symbol in the artefact is the sign of a panic path.
#[cfg(panic = "abort")]
#[inline(never)]
fn fewbit_internal_panic_reached() -> ! {
    unsafe extern "C" {
        fn abort() -> !;
    }
    // SAFETY: of every C library; takes nothing and does not return.
    unsafe { abort() }
}

/// The negative control of the test that looks for panic paths.
#[cfg(feature = "planted-panic")]
#[unsafe(no_mangle)]
pub extern "C" fn fewbit_planted_panic(index: usize) -> u8 {
    [1, 2, 3][index]
}

/// The negative control of the test that looks for work at load.
#[cfg(feature = "planted-panic")]
#[unsafe(link_section = ".init_array")]
#[used]
static PLANTED_CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn nothing() {}
    nothing
};
