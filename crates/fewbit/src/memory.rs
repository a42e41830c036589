//! The one place that allocates. Only the creation of plans does, through an [`Allocator`] that the
//! caller may supply; failure is an error, never an abort.

use crate::{Error, Result, Status};
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::NonNull;

/// Alignment of every allocation: a cache line and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Where memory comes from. Layout-compatible with the C ABI's `fewbit_allocator`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Allocator {
    /// Passed back to both functions.
    pub ctx: *mut c_void,
    /// Returns at least `size` bytes (never 0) aligned to at least 16, or NULL.
    pub allocate: Option<unsafe extern "C" fn(ctx: *mut c_void, size: usize) -> *mut c_void>,
    /// Takes back what `allocate` returned.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void, memory: *mut c_void)>,
}

// SAFETY: an allocator is two functions and a context; whoever supplies one that is not the default
// promises (see `Allocator::custom`) that they may be called from any thread.
unsafe impl Send for Allocator {}
// SAFETY: as above.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// `malloc` and `free` of the C library.
    pub const DEFAULT: Allocator =
        Allocator { ctx: core::ptr::null_mut(), allocate: None, release: None };

    /// A caller's allocator.
    ///
    /// # Safety
    /// Both functions must keep the contract written at the fields, from any thread, for as long as
    /// anything allocated from them lives.
    pub const unsafe fn custom(
        ctx: *mut c_void,
        allocate: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
        release: unsafe extern "C" fn(*mut c_void, *mut c_void),
    ) -> Allocator {
        Allocator { ctx, allocate: Some(allocate), release: Some(release) }
    }

    fn raw_allocate(&self, size: usize) -> *mut c_void {
        match self.allocate {
            // SAFETY: the contract of `custom`; `size` is not 0.
            Some(allocate) => unsafe { allocate(self.ctx, size) },
            // SAFETY: malloc takes any size.
            None => unsafe { libc::malloc(size) },
        }
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// `memory` came from `raw_allocate` of the same allocator and is given back once.
    unsafe fn raw_release(&self, memory: *mut c_void) {
        match self.release {
            // SAFETY: the caller's promise is what `custom` requires.
            Some(release) => unsafe { release(self.ctx, memory) },
            // SAFETY: the default allocator's memory came from malloc.
            None => unsafe { libc::free(memory) },
        }
    }
}

/// Owned memory for `len` elements of a plain type, zeroed, aligned to [`ALIGNMENT`].
pub struct Buffer<T: Plain> {
    /// What the allocator returned, NULL for an empty buffer.
    base: *mut c_void,
    data: NonNull<T>,
    len: usize,
    allocator: Allocator,
}

/// Types for which all-zero bytes are a value and dropping does nothing.
///
/// # Safety
/// Both must hold.
pub unsafe trait Plain: Copy {}
// SAFETY: plain numbers.
unsafe impl Plain for u8 {}
// SAFETY: plain numbers.
unsafe impl Plain for i8 {}
// SAFETY: plain numbers.
unsafe impl Plain for u16 {}
// SAFETY: plain numbers.
unsafe impl Plain for i16 {}
// SAFETY: plain numbers.
unsafe impl Plain for i32 {}
// SAFETY: plain numbers.
unsafe impl Plain for i64 {}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}

// SAFETY: a buffer owns its memory; access follows the borrow of the buffer, and allocators may be
// used from any thread.
unsafe impl<T: Plain + Send> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for Buffer<T> {}

impl<T: Plain> Buffer<T> {
    /// A buffer of `len` zeros. `what` names it in the error.
    ///
    /// # Errors
    /// [`Status::OutOfMemory`] if the size overflows or the allocator returns NULL.
    pub fn zeroed(len: usize, allocator: &Allocator, what: &'static str) -> Result<Buffer<T>> {
        if len == 0 {
            let data = NonNull::dangling();
            return Ok(Buffer { base: core::ptr::null_mut(), data, len, allocator: *allocator });
        }
        let refused = |bytes: usize| {
            Error::new(Status::OutOfMemory, what, "needs {} bytes, which could not be allocated")
                .with(bytes)
        };
        let bytes = len.checked_mul(size_of::<T>()).ok_or(refused(usize::MAX))?;
        let padded = bytes
            .checked_add(ALIGNMENT - 1)
            .filter(|&p| p <= isize::MAX as usize)
            .ok_or(refused(bytes))?;
        let base = allocator.raw_allocate(padded);
        if base.is_null() {
            return Err(refused(bytes));
        }
        let shift = (base as usize).wrapping_neg() & (ALIGNMENT - 1);
        // SAFETY: `padded` leaves room for `shift < ALIGNMENT` bytes before `bytes` ones.
        let data = unsafe { base.cast::<u8>().add(shift) };
        // SAFETY: `bytes` bytes are owned from `data` on.
        unsafe { data.write_bytes(0, bytes) };
        match NonNull::new(data.cast::<T>()) {
            Some(data) => Ok(Buffer { base, data, len, allocator: *allocator }),
            None => Err(refused(bytes)),
        }
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: `data` points to `len` initialised (zeroed) elements that this buffer owns.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }

    /// The elements, to write.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and `&mut self` makes the access unique.
        unsafe { core::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Plain> Drop for Buffer<T> {
    // Every error on the way to a plan drops some.
    #[inline(never)]
    fn drop(&mut self) {
        if !self.base.is_null() {
            // SAFETY: `base` came from this allocator and is released only here.
            unsafe { self.allocator.raw_release(self.base) };
        }
    }
}

/// Moves a value into memory of its own: a handle for C.
///
/// # Errors
/// [`Status::OutOfMemory`]; the value is dropped.
pub fn into_handle<T>(value: T, allocator: &Allocator, what: &'static str) -> Result<NonNull<T>> {
    const { assert!(align_of::<T>() <= 16, "allocators promise an alignment of 16") };
    let size = size_of::<T>().max(1);
    match NonNull::new(allocator.raw_allocate(size).cast::<T>()) {
        Some(handle) => {
            // SAFETY: the memory is `size_of::<T>()` bytes, aligned, and owned by nobody else.
            unsafe { handle.write(value) };
            Ok(handle)
        }
        None => Err(Error::new(
            Status::OutOfMemory,
            what,
            "needs {} bytes, which could not be allocated",
        )
        .with(size)),
    }
}

/// Drops a handle's value and gives its memory back.
///
/// # Safety
/// `handle` came from [`into_handle`] with an allocator equal to `allocator` and is used no more.
pub unsafe fn drop_handle<T>(handle: NonNull<T>, allocator: Allocator) {
    // SAFETY: the caller's promise: a live value, dropped once.
    unsafe { handle.drop_in_place() };
    // SAFETY: the memory came from the same allocator.
    unsafe { allocator.raw_release(handle.as_ptr().cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn buffers_are_aligned_and_zero() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let mut buffer = Buffer::<i32>::zeroed(len, &Allocator::DEFAULT, "test").unwrap();
            assert_eq!(buffer.len(), len);
            assert!(buffer.as_slice().iter().all(|&v| v == 0));
            assert!(len == 0 || buffer.as_slice().as_ptr().addr().is_multiple_of(ALIGNMENT));
            buffer.as_mut_slice().fill(-1);
        }
    }

    #[test]
    fn overflow_and_refusal_are_errors() {
        for len in [usize::MAX, usize::MAX / 4, isize::MAX as usize / 4] {
            let error = Buffer::<i32>::zeroed(len, &Allocator::DEFAULT, "test").err().unwrap();
            assert_eq!(error.status, Status::OutOfMemory);
        }
        unsafe extern "C" fn never(_: *mut c_void, _: usize) -> *mut c_void {
            core::ptr::null_mut()
        }
        unsafe extern "C" fn release(_: *mut c_void, _: *mut c_void) {}
        // SAFETY: both functions are trivially sound.
        let allocator = unsafe { Allocator::custom(core::ptr::null_mut(), never, release) };
        let error = Buffer::<u8>::zeroed(10, &allocator, "test").err().unwrap();
        assert_eq!(error.status, Status::OutOfMemory);
        assert!(into_handle(5u32, &allocator, "test").is_err());
    }

    #[test]
    fn a_callers_allocator_gets_everything_back() {
        static LIVE: AtomicUsize = AtomicUsize::new(0);
        unsafe extern "C" fn allocate(_: *mut c_void, size: usize) -> *mut c_void {
            LIVE.fetch_add(1, Ordering::Relaxed);
            // SAFETY: malloc takes any size.
            unsafe { libc::malloc(size) }
        }
        unsafe extern "C" fn release(_: *mut c_void, memory: *mut c_void) {
            LIVE.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: `memory` came from malloc above.
            unsafe { libc::free(memory) }
        }
        // SAFETY: malloc and free keep the contract from any thread.
        let allocator = unsafe { Allocator::custom(core::ptr::null_mut(), allocate, release) };
        let buffer = Buffer::<f32>::zeroed(100, &allocator, "test").unwrap();
        let handle = into_handle(buffer, &allocator, "test").unwrap();
        assert_eq!(LIVE.load(Ordering::Relaxed), 2);
        // SAFETY: the handle is live and from this allocator.
        unsafe { drop_handle(handle, allocator) };
        assert_eq!(LIVE.load(Ordering::Relaxed), 0);
    }
}
