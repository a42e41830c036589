//! Memory between two pages that may not be touched.

use std::ptr::NonNull;

/// Zeroed memory with an inaccessible page right before its first byte's page and right behind its
/// last byte: an access one byte beyond the end is a fault. The start is flush against the lower
/// guard when the length is a multiple of the page size.
pub struct GuardedBuf {
    mapping: NonNull<u8>,
    mapped: usize,
    data: NonNull<u8>,
    len: usize,
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
        let mapped = len + 2 * page;
        // SAFETY: a fresh anonymous mapping wherever the system likes.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert!(mapping != libc::MAP_FAILED, "mmap failed");
        let mapping = NonNull::new(mapping.cast::<u8>()).expect("mmap gave NULL");
        // SAFETY: one page into a mapping of at least three.
        let data = unsafe { mapping.add(page) };
        // SAFETY: the pages between the first and the last of our own mapping.
        let opened = unsafe {
            libc::mprotect(data.as_ptr().cast(), len, libc::PROT_READ | libc::PROT_WRITE)
        };
        assert!(opened == 0, "mprotect failed");
        GuardedBuf { mapping, mapped, data, len }
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
        // SAFETY: exactly the mapping made in `new`.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapped) };
    }
}

// SAFETY: the buffer owns its mapping, which belongs to no thread.
unsafe impl Send for GuardedBuf {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `access` in a forked process and tells whether a fault killed it.
    fn faults(access: impl FnOnce()) -> bool {
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
            assert!(faults(|| first.wrapping_sub(1).write_volatile(1)));
            assert!(faults(|| {
                first.wrapping_sub(1).read_volatile();
            }));
            assert!(faults(|| first.wrapping_add(len).write_volatile(1)));
            assert!(faults(|| {
                first.wrapping_add(len).read_volatile();
            }));
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
