//! Memory between two pages that may not be touched.

use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock};

/// Zeroed memory with an inaccessible page right before its first byte's page and right behind its
/// last byte: an access one byte beyond the end is a fault. The start is flush against the lower
/// guard when the length is a multiple of the page size.
///
/// With `FEWBIT_TEST_OPEN_GUARDS=1` the guard pages are accessible, for emulators that read whole
/// vectors where the CPU's masked loads do not (QEMU 7.2 does for AVX2).
pub struct GuardedBuf {
    mapping: Mapping,
    data: NonNull<u8>,
    len: usize,
}

/// Pages of the system, guards included.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}
// SAFETY: pages belong to no thread.
unsafe impl Send for Mapping {}

/// Mappings to use again: asking the system for each buffer is slow, under an emulator very.
static FREE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());

/// Whether the guard pages may be touched.
fn guards_are_open() -> bool {
    static OPEN: OnceLock<bool> = OnceLock::new();
    *OPEN.get_or_init(|| {
        let open = std::env::var("FEWBIT_TEST_OPEN_GUARDS").is_ok_and(|wish| wish == "1");
        if open {
            println!("GUARD PAGES ARE OPEN: accesses out of bounds are not seen in this run");
        }
        open
    })
}

impl Mapping {
    /// `bytes` accessible bytes, a number of whole pages, between two guard pages of `page` bytes.
    fn new(bytes: usize, page: usize) -> Mapping {
        let all = bytes + 2 * page;
        let mut free = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(at) = free.iter().position(|mapping| mapping.bytes == all) {
            return free.swap_remove(at);
        }
        drop(free);
        // SAFETY: a fresh anonymous mapping wherever the system likes.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                all,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert!(start != libc::MAP_FAILED, "mmap failed");
        let start = NonNull::new(start.cast::<u8>()).expect("mmap gave NULL");
        let (skip, open) = if guards_are_open() { (0, all) } else { (page, bytes) };
        // SAFETY: within our own mapping.
        let opened = unsafe {
            let from = start.as_ptr().add(skip);
            libc::mprotect(from.cast(), open, libc::PROT_READ | libc::PROT_WRITE)
        };
        assert!(opened == 0, "mprotect failed");
        Mapping { start, bytes: all }
    }
}

impl GuardedBuf {
    /// `len` zeroed bytes, rounded up to whole pages so that both ends lie against a guard.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn new(len: usize) -> GuardedBuf {
        // SAFETY: a plain query.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).expect("page size");
        let len = len.max(1).next_multiple_of(page);
        let mapping = Mapping::new(len, page);
        // SAFETY: one page into a mapping of at least three.
        let data = unsafe { mapping.start.add(page) };
        // SAFETY: the accessible bytes, which nobody else has; a mapping used before holds old data.
        unsafe { data.write_bytes(0, len) };
        GuardedBuf { mapping, data, len }
    }

    /// The first byte, right behind the lower guard page.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.data.as_ptr()
    }

    /// The first byte, to read.
    pub fn as_ptr(&self) -> *const u8 {
        self.data.as_ptr()
    }

    /// The accessible bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: at least a page is accessible.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// All accessible bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `len` readable and writable bytes, zeroed at first, owned by this buffer.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }

    /// `n` elements that end right at the upper guard, filled from `values`. The pointer is as
    /// aligned as the size of `T` makes it (the guard is on a page border).
    ///
    /// # Panics
    /// If they do not fit.
    pub fn at_end<T: Copy>(&mut self, values: &[T]) -> *mut T {
        let bytes = std::mem::size_of_val(values);
        assert!(bytes <= self.len);
        // SAFETY: the last `bytes` of the accessible bytes; `values` is elsewhere.
        unsafe {
            let to = self.data.as_ptr().add(self.len - bytes);
            values.as_ptr().cast::<u8>().copy_to_nonoverlapping(to, bytes);
            to.cast()
        }
    }

    /// Elements that start right at the lower guard, filled from `values`.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn at_start<T: Copy>(&mut self, values: &[T]) -> *mut T {
        let bytes = std::mem::size_of_val(values);
        assert!(bytes <= self.len);
        // SAFETY: the first `bytes` of the accessible bytes; `values` is elsewhere.
        unsafe {
            let to = self.data.as_ptr();
            values.as_ptr().cast::<u8>().copy_to_nonoverlapping(to, bytes);
            to.cast()
        }
    }
}

impl Drop for GuardedBuf {
    fn drop(&mut self) {
        let Mapping { start, bytes } = self.mapping;
        let mut free = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        free.push(Mapping { start, bytes });
    }
}

// SAFETY: the buffer owns its mapping, which belongs to no thread.
unsafe impl Send for GuardedBuf {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `access` in a forked process and tells whether a fault killed it.
    fn faults<T>(access: impl FnOnce() -> T) -> bool {
        // SAFETY: the child does one memory access and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: default action, so that the fault ends the child.
            unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
            access();
            // SAFETY: leaves without exit handlers.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: `child` is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        libc::WIFSIGNALED(status)
    }

    #[test]
    fn a_byte_too_far_is_a_fault_on_either_side() {
        let mut buf = GuardedBuf::new(100);
        let (first, len) = (buf.as_mut_ptr(), buf.len());
        // SAFETY: reads and writes of this process's own addresses; where they are not accessible
        // only the forked process dies, which is what the test wants to see.
        unsafe {
            assert!(!faults(|| first.write_volatile(1)));
            assert!(!faults(|| first.add(len - 1).write_volatile(1)));
            let before = first.wrapping_sub(1);
            let behind = first.wrapping_add(len);
            let closed = !guards_are_open();
            assert_eq!(faults(|| before.write_volatile(1)), closed);
            assert_eq!(faults(|| before.read_volatile()), closed);
            assert_eq!(faults(|| behind.write_volatile(1)), closed);
            assert_eq!(faults(|| behind.read_volatile()), closed);
        }
    }

    #[test]
    fn memory_used_again_is_zero() {
        for _ in 0..3 {
            let mut buf = GuardedBuf::new(5 << 12);
            assert!(buf.as_mut_slice().iter().all(|&byte| byte == 0));
            buf.as_mut_slice().fill(0xFF);
        }
    }

    #[test]
    fn values_lie_against_the_guards() {
        let mut buf = GuardedBuf::new(10);
        let (first, len) = (buf.as_mut_ptr().addr(), buf.len());
        assert_eq!(buf.at_start(&[1u16, 2]).addr(), first);
        assert_eq!(buf.at_end(&[1u8, 2, 3]).addr(), first + len - 3);
        assert_eq!(buf.as_mut_slice()[len - 3..], [1, 2, 3]);
    }
}
