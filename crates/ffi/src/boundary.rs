//! What every exported function does at its border: checks of pointers, sizes and descriptions, the
//! floating-point environment, the caller's threads.

use crate::status::{fewbit_error, fewbit_status, finish};
use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};
use core::sync::atomic::{AtomicUsize, Ordering};
use fewbit::simd::{Supported, with_default_env};
use fewbit::{Error, MIN_OPERATIONS, Parallel, Result, Serial, Status, dispatch};

/// Runs the body of an entry that computes with floats: with the instruction sets in force, in the
/// default floating-point environment; the caller's is back on return. Bodies that own their arguments (`move`) are smaller: those
/// of others are written to memory, and then their addresses.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn float_entry(
    error: *mut fewbit_error,
    body: impl FnOnce(Supported) -> Result<()>,
) -> fewbit_status {
    // The sentence of an error may hold numbers, so it too is made in the default environment.
    with_default_env(move || {
        let result = dispatch::supported().and_then(body);
        // SAFETY: by this function's contract.
        unsafe { finish(result, error) }
    })
}

/// As [`float_entry`], for entries without float arithmetic, and without floats in the sentences of their
/// errors: the environment is left alone.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn integer_entry(
    error: *mut fewbit_error,
    body: impl FnOnce(Supported) -> Result<()>,
) -> fewbit_status {
    let result = dispatch::supported().and_then(body);
    // SAFETY: by this function's contract.
    unsafe { finish(result, error) }
}

/// Refuses NULL.
pub(crate) fn not_null<T>(name: &'static str, pointer: *const T) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::new(Status::NullPointer, name, "is NULL"));
    }
    Ok(())
}

/// An array argument that was checked: the bytes it covers.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    name: &'static str,
    begin: usize,
    bytes: usize,
}

/// Checks an array of `n` elements: not NULL unless `n` is 0, aligned to its elements, and within memory.
pub(crate) fn array<T>(name: &'static str, pointer: *const T, n: usize) -> Result<Extent> {
    let bytes = n.checked_mul(size_of::<T>()).filter(|&bytes| bytes <= isize::MAX as usize).ok_or(
        Error::new(Status::InvalidArgument, name, "has {} elements: more than memory").with(n),
    )?;
    if n > 0 {
        not_null(name, pointer)?;
        if !pointer.is_aligned() {
            return Err(Error::new(Status::Misaligned, name, "is not aligned to {} bytes")
                .with(align_of::<T>()));
        }
    }
    Ok(Extent { name, begin: pointer.addr(), bytes })
}

/// Refuses two arrays that share memory.
pub(crate) fn apart(a: Extent, b: Extent) -> Result<()> {
    let shared = a.bytes > 0
        && b.bytes > 0
        && a.begin < b.begin.saturating_add(b.bytes)
        && b.begin < a.begin.saturating_add(a.bytes);
    if shared {
        return Err(Error::new(Status::Overlap, b.name, "shares memory with {}").with(a.name));
    }
    Ok(())
}

/// As [`apart`], but the very same array is allowed: work in place.
pub(crate) fn apart_or_same(a: Extent, b: Extent) -> Result<()> {
    if a.begin == b.begin && a.bytes == b.bytes { Ok(()) } else { apart(a, b) }
}

/// A checked array as a slice.
///
/// # Safety
/// `array` accepted the arguments, and the elements can be read and stay unchanged meanwhile.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, n: usize) -> &'a [T] {
    if n == 0 {
        return &[];
    }
    // SAFETY: not NULL, aligned and within memory, by `array`; readable by this function's contract.
    unsafe { core::slice::from_raw_parts(pointer, n) }
}

/// A checked array to write, as a slice.
///
/// # Safety
/// As [`slice`], and nobody else uses the elements meanwhile, which hold numbers.
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, n: usize) -> &'a mut [T] {
    if n == 0 {
        return &mut [];
    }
    // SAFETY: as in `slice`.
    unsafe { core::slice::from_raw_parts_mut(pointer, n) }
}

/// Reads a description whose first field is its size as the caller's header knows it. A smaller one is
/// refused; of a larger one (a newer header), what this library does not know must be zero.
///
/// # Safety
/// `T` is a plain struct, any bytes of which are a value, with a leading `usize`; `desc` is NULL or can
/// be read for that size.
pub(crate) unsafe fn description<T: Copy>(name: &'static str, desc: *const T) -> Result<T> {
    // SAFETY: by this function's contract.
    unsafe { check_description(name, desc.cast(), size_of::<T>(), align_of::<T>())? };
    let mut copy = MaybeUninit::<T>::uninit();
    // SAFETY: at least `size_of::<T>()` bytes can be read, and any bytes are a `T`.
    unsafe {
        copy.as_mut_ptr().copy_from_nonoverlapping(desc, 1);
        Ok(copy.assume_init())
    }
}

/// The checks of [`description`], of a struct of `size` bytes.
///
/// # Safety
/// As there.
#[inline(never)]
unsafe fn check_description(
    name: &'static str,
    desc: *const u8,
    size: usize,
    align: usize,
) -> Result<()> {
    not_null(name, desc)?;
    if desc.addr() & align.wrapping_sub(1) != 0 {
        return Err(Error::new(Status::Misaligned, name, "is not aligned to {} bytes").with(align));
    }
    // SAFETY: the leading size can be read.
    let given = unsafe { desc.cast::<usize>().read() };
    if given < size || given > 4096 {
        return Err(Error::new(
            Status::InvalidArgument,
            name,
            "has struct_size {}, but this library's is {}; initialise it with its _INIT macro",
        )
        .with(given)
        .with(size));
    }
    for i in size..given {
        // SAFETY: within the size that the caller states.
        if unsafe { desc.add(i).read() } != 0 {
            return Err(Error::new(
                Status::Unsupported,
                name,
                "is of a newer version and uses byte {}, which this library does not know",
            )
            .with(i));
        }
    }
    Ok(())
}

/// Asserts, at compile time, that a struct of the header and one of the library lie in memory alike.
macro_rules! assert_alike {
    ($header:ty, $library:ty: $($field:ident),+ $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$header>() == core::mem::size_of::<$library>());
            assert!(core::mem::align_of::<$header>() == core::mem::align_of::<$library>());
            $(
                let (header, library) = (
                    core::mem::offset_of!($header, $field),
                    core::mem::offset_of!($library, $field),
                );
                assert!(header == library);
            )+
        };
    };
}
pub(crate) use assert_alike;

/// Refuses a number that is not one of an argument's named constants.
pub(crate) fn unknown(name: &'static str, value: i32) -> Error {
    Error::new(Status::InvalidArgument, name, "is {}, which is none of its named constants")
        .with(value)
}

/// One task of a run: called once for each index, with a worker number that no other running task has.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type fewbit_task = unsafe extern "C" fn(arg: *mut c_void, index: usize, worker: usize);

/// The caller's threads. `run(ctx, n, task, arg)` calls `task(arg, index, worker)` exactly once for each
/// index < n, in any order, with worker < max_workers and no two tasks running at once under the same
/// worker, and returns when all are done. Calling them one after another is legal. fewbit spawns no
/// threads of its own. Where a function takes a pointer to one, NULL means the calling thread. `run` may be called
/// more than once in a call of the library, or not at all: with max_workers 1 the calling thread may do the tasks. It
/// must not throw, nor leave by longjmp, and must not return before every task that it has started is done. Tasks, and
/// `run` itself on the calling thread, find the default floating-point environment.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_parallel_for {
    /// Passed to `run`.
    pub ctx: *mut c_void,
    /// One more than the largest worker number; at least 1. Workspace sizes grow with it.
    pub max_workers: usize,
    /// Runs the tasks. NULL: the calling thread runs them, as worker 0.
    pub run: Option<
        unsafe extern "C" fn(ctx: *mut c_void, n: usize, task: fewbit_task, arg: *mut c_void),
    >,
    /// A run of a plan of fewer operations than this (2 for each product of two numbers) stays on the calling thread,
    /// where it takes less time than waking another would. 0: 2^20. Threads that spin for work may say less; 1: all runs are
    /// handed out.
    pub min_operations: usize,
}

/// The caller's threads as the library sees them.
pub(crate) enum Threads {
    None,
    Caller(fewbit_parallel_for),
}

impl Threads {
    /// # Safety
    /// `parallel_for` is NULL or can be read, and keeps its contract.
    pub(crate) unsafe fn new(parallel_for: *const fewbit_parallel_for) -> Result<Threads> {
        if parallel_for.is_null() {
            return Ok(Threads::None);
        }
        if !parallel_for.is_aligned() {
            return Err(Error::new(Status::Misaligned, "parallel_for", "is not aligned"));
        }
        // SAFETY: by this function's contract.
        let caller = unsafe { parallel_for.read() };
        if caller.max_workers == 0 {
            return Err(Error::new(
                Status::InvalidArgument,
                "parallel_for",
                "has max_workers 0; at least one worker is needed",
            ));
        }
        Ok(Threads::Caller(caller))
    }
}

/// A run's tasks, as the caller carries them around.
struct Job<'a> {
    task: &'a (dyn Fn(usize, usize) + Sync),
    n: usize,
    workers: usize,
    /// Tasks that are running.
    active: AtomicUsize,
}

/// Runs one task in the default floating-point environment of whatever thread it is on.
///
/// # Safety
/// `arg` is the job that was passed along.
unsafe extern "C" fn trampoline(arg: *mut c_void, index: usize, worker: usize) {
    // SAFETY: by this function's contract; the job outlives the run.
    let job = unsafe { &*arg.cast_const().cast::<Job<'_>>() };
    // An index or worker out of range would reach outside the workspace.
    if index < job.n && worker < job.workers {
        job.active.fetch_add(1, Ordering::Relaxed);
        with_default_env(|| (job.task)(index, worker));
        job.active.fetch_sub(1, Ordering::Release);
    }
}

impl Parallel for Threads {
    fn max_workers(&self) -> usize {
        match self {
            Threads::None => 1,
            Threads::Caller(caller) => caller.max_workers,
        }
    }

    fn min_operations(&self) -> usize {
        match self {
            Threads::Caller(caller) if caller.min_operations > 0 => caller.min_operations,
            _ => MIN_OPERATIONS,
        }
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        let Threads::Caller(fewbit_parallel_for { ctx, max_workers, run: Some(run), .. }) = *self
        else {
            return Serial.run(n, task);
        };
        let active = AtomicUsize::new(0);
        let mut job = Job { task, n, workers: max_workers, active };
        // The guard is for what follows on this thread, should the caller's function leave another
        // environment behind. SAFETY: that function, with its context, used as documented.
        with_default_env(|| unsafe { run(ctx, n, trampoline, (&raw mut job).cast()) });
        // A pool that returns when its queue is empty, with tasks still running, would leave them this
        // function's stack: wait for those that have begun.
        while job.active.load(Ordering::Acquire) != 0 {
            core::hint::spin_loop();
        }
    }
}
