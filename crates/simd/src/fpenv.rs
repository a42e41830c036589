//! The floating-point environment: rounding direction, flush-to-zero, denormals-are-zero, exception
//! masks and sticky flags. Host programs change it (audio and inference engines flush subnormals,
//! interval code changes the rounding direction); Rust code assumes the default. The guard puts the
//! default in place and the caller's state back.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod state {
    use core::arch::asm;

    /// MXCSR: control and sticky bits in one register.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) struct State(u32);

    /// Nearest-even, subnormals kept, exceptions masked, no flag raised.
    pub(super) const DEFAULT: State = State(0x1F80);

    impl State {
        /// Whether arithmetic gives what it does by default; flags raised before change nothing.
        pub(super) fn computes_as_default(self) -> bool {
            self.0 & !0x3F == DEFAULT.0
        }
    }

    pub(super) fn read() -> State {
        let mut mxcsr = 0_u32;
        // SAFETY: stores four bytes to the local; SSE is part of x86-64.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags));
        }
        State(mxcsr)
    }

    pub(super) fn write(state: State) {
        // SAFETY: loads four bytes from the local. The value was read from MXCSR or is the default,
        // so no reserved bit is set. Not `nomem`: memory accesses must not move across.
        unsafe {
            // MXCSR's flags are among what `preserves_flags` would promise to keep.
            asm!("ldmxcsr [{}]", in(reg) &raw const state.0, options(nostack));
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
mod state {
    use core::arch::asm;

    /// FPCR holds the control bits, FPSR the sticky ones.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) struct State {
        control: u64,
        status: u64,
    }

    /// Nearest-even, subnormals kept, IEEE half precision, traps off, no flag raised.
    pub(super) const DEFAULT: State = State { control: 0, status: 0 };

    impl State {
        /// Whether arithmetic gives what it does by default; flags raised before change nothing.
        pub(super) fn computes_as_default(self) -> bool {
            self.control == DEFAULT.control
        }
    }

    pub(super) fn read() -> State {
        let (control, status): (u64, u64);
        // SAFETY: both registers are readable by user code wherever there is floating point.
        unsafe {
            asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) status,
                options(nostack, preserves_flags));
        }
        State { control, status }
    }

    pub(super) fn write(state: State) {
        // SAFETY: both registers are writable by user code; the values were read from them or are
        // zero. Not `nomem`: memory accesses must not move across.
        unsafe {
            // FPSR is among what `preserves_flags` would promise to keep.
            asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) state.control, in(reg) state.status,
                options(nostack));
        }
    }
}

/// No environment that this crate knows how to reach: the guard does nothing.
#[cfg(not(any(
    all(target_arch = "x86_64", not(miri)),
    all(target_arch = "aarch64", target_feature = "neon", not(miri))
)))]
mod state {
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) struct State;

    pub(super) const DEFAULT: State = State;

    impl State {
        pub(super) fn computes_as_default(self) -> bool {
            true
        }
    }

    pub(super) fn read() -> State {
        DEFAULT
    }

    pub(super) fn write(_: State) {}
}

use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use state::State;

/// While it lives, the calling thread has the default floating-point environment: round to nearest
/// even, subnormals kept, exceptions masked. Dropping it restores the control bits and the sticky
/// flags that the thread had.
///
/// Covers MXCSR on x86-64 and FPCR with FPSR on aarch64; elsewhere it does nothing. The compiler
/// does not know of the environment and may move arithmetic across the guard: use
/// [`with_default_env`], which keeps it inside.
#[must_use = "the caller's environment returns as soon as the guard is dropped"]
pub struct FpEnv {
    before: State,
    /// The environment belongs to the thread, so the guard stays on it.
    thread: PhantomData<*const ()>,
}

impl FpEnv {
    /// Puts the default environment in place.
    pub fn enter() -> FpEnv {
        let before = state::read();
        // Writing costs more than a small array's arithmetic, and hosts have mostly raised a flag.
        if !before.computes_as_default() {
            state::write(state::DEFAULT);
        }
        FpEnv { before, thread: PhantomData }
    }
}

impl Drop for FpEnv {
    fn drop(&mut self) {
        if state::read() != self.before {
            state::write(self.before);
        }
    }
}

/// Runs `body` in the default floating-point environment and restores the thread's own on the way
/// out, also when `body` unwinds.
pub fn with_default_env<R>(body: impl FnOnce() -> R) -> R {
    let mut call = Call { body: ManuallyDrop::new(body), result: MaybeUninit::uninit() };
    // The body's inputs and its result live behind an address that the optimiser must take for
    // known to the assembly that switches the environment. So reading the inputs stays after the
    // entry and writing the result before the exit, and all arithmetic lies between the two.
    let address = core::hint::black_box(&raw mut call);
    {
        let _env = FpEnv::enter();
        // SAFETY: `address` is that of the live local `call`, whose body has not been taken.
        unsafe { invoke(address) };
    }
    // SAFETY: `invoke` returned, so it wrote the result.
    unsafe { call.result.assume_init_read() }
}

struct Call<F, R> {
    body: ManuallyDrop<F>,
    result: MaybeUninit<R>,
}

/// # Safety
/// `call` points to a live [`Call`] whose body has not been taken. Writes its result.
#[inline(never)]
unsafe fn invoke<F: FnOnce() -> R, R>(call: *mut Call<F, R>) {
    // SAFETY: by this function's contract; the body is taken once, here.
    unsafe {
        let body = ManuallyDrop::take(&mut (*call).body);
        (*call).result.write(body());
    }
}
