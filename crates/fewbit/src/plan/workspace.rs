//! The caller's memory: checks, and cutting the workspace into parts.

use crate::memory::ALIGNMENT;
use crate::{Error, Result, Status};

/// Cuts a workspace into aligned parts. The same cuts, made first without memory, give the size to
/// ask for.
pub(crate) struct Carver {
    base: *mut u8,
    used: usize,
}

impl Carver {
    /// Cuts memory from `base` on, or nothing but sizes if it is NULL.
    pub(crate) fn new(base: *mut u8) -> Carver {
        Carver { base, used: 0 }
    }

    /// The next `count` elements of `T`, aligned to [`ALIGNMENT`]; `None` if sizes overflow.
    pub(crate) fn take<T>(&mut self, count: usize) -> Option<*mut T> {
        let bytes = count.checked_mul(size_of::<T>())?.checked_next_multiple_of(ALIGNMENT)?;
        let at = self.used;
        self.used = at.checked_add(bytes).filter(|&used| used <= isize::MAX as usize)?;
        // The caller has checked the workspace's size against the sum of all parts.
        Some(self.base.wrapping_add(at).cast())
    }

    /// Bytes cut so far.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

/// Bytes that an argument covers.
#[derive(Clone, Copy)]
pub(crate) struct MemoryRange {
    pub name: &'static str,
    pub begin: usize,
    pub bytes: usize,
}

impl MemoryRange {
    pub(crate) fn new<T>(name: &'static str, begin: *const T, bytes: usize) -> MemoryRange {
        MemoryRange { name, begin: begin.addr(), bytes }
    }

    fn overlaps(self, other: MemoryRange) -> bool {
        self.bytes > 0
            && other.bytes > 0
            && self.begin < other.begin.saturating_add(other.bytes)
            && other.begin < self.begin.saturating_add(self.bytes)
    }
}

/// Refuses two arguments that share memory.
pub(crate) fn forbid_overlap(a: MemoryRange, b: MemoryRange) -> Result<()> {
    if a.overlaps(b) {
        return Err(Error::new(Status::Overlap, b.name, "shares memory with {}").with(a.name));
    }
    Ok(())
}

/// Refuses a residual that shares memory with the workspace, or with the results, unless each of its elements
/// is in the place of its result: `same` says whether they are equally large and far apart.
pub(crate) fn check_residual_range(
    residual: MemoryRange,
    y: MemoryRange,
    workspace: MemoryRange,
    same: bool,
) -> Result<()> {
    forbid_overlap(residual, workspace)?;
    if same && residual.begin == y.begin {
        return Ok(());
    }
    forbid_overlap(residual, y)
}

/// Refuses a workspace that is too small or misaligned.
pub(crate) fn check_workspace(memory: *const u8, size: usize, needed: usize) -> Result<()> {
    if size < needed {
        return Err(Error::new(
            Status::BufferTooSmall,
            "workspace_size",
            "is {} bytes, but {} are needed",
        )
        .with(size)
        .with(needed));
    }
    if needed > 0 && memory.is_null() {
        return Err(Error::new(
            Status::NullPointer,
            "workspace",
            "is NULL, but {} bytes are needed",
        )
        .with(needed));
    }
    if needed > 0 && !memory.addr().is_multiple_of(ALIGNMENT) {
        return Err(Error::new(Status::Misaligned, "workspace", "is not aligned to {} bytes")
            .with(ALIGNMENT));
    }
    Ok(())
}
