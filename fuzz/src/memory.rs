//! Memory that calls write, comparisons of instruction sets, allocators that refuse, and the caller's threads.

use fewbit::dispatch;
use fewbit::simd::{Isa, Supported};
use fewbit_ffi::{fewbit_allocator, fewbit_error, fewbit_parallel_for, fewbit_status, fewbit_task};
use std::alloc::Layout;
use std::ffi::c_void;
use std::fmt::Debug;

const PATTERN: u8 = 0xA5;

/// Memory that a call may write: exactly `size` bytes, aligned, full of a pattern. (AddressSanitizer watches its ends.)
pub struct Memory {
    start: *mut u8,
    layout: Layout,
}

impl Memory {
    /// Memory of a size and alignment.
    pub fn new(size: usize, align: usize) -> Memory {
        let layout = Layout::from_size_align(size.max(1), align.max(1)).expect("a sensible size");
        // SAFETY: the layout's size is not 0.
        let start = unsafe { std::alloc::alloc(layout) };
        assert!(!start.is_null());
        // SAFETY: just allocated.
        unsafe { start.write_bytes(PATTERN, layout.size()) };
        Memory { start, layout }
    }

    /// Memory with a copy of some bytes.
    pub fn of(bytes: &[u8], align: usize) -> Memory {
        let mut memory = Memory::new(bytes.len(), align);
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        memory
    }

    /// Where it starts.
    pub fn start<T>(&self) -> *mut T {
        self.start.cast()
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: allocated and written by `new`; nothing else refers to it between calls.
        unsafe { std::slice::from_raw_parts(self.start, self.layout.size()) }
    }

    /// What is in it, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.layout.size()) }
    }

    /// Whether nothing was written.
    pub fn untouched(&self) -> bool {
        self.bytes().iter().all(|&byte| byte == PATTERN)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.start, self.layout) };
    }
}

/// What a call gave: its status and what it wrote. (Its sentence may tell bytes that a kernel wants.)
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The status.
    pub status: fewbit_status,
    /// All outputs.
    pub outputs: Vec<u8>,
}

impl Given {
    /// Checks what every call promises: an error leaves the outputs alone, and its sentence says something.
    pub fn new(status: fewbit_status, error: Option<&fewbit_error>, outputs: &[&Memory]) -> Given {
        assert!((0..10).contains(&status), "status {status}");
        if status != 0 {
            assert!(
                outputs.iter().all(|memory| memory.untouched()),
                "status {status}, but something was written"
            );
        }
        let text = |bytes: &[std::ffi::c_char]| -> String {
            let end = bytes.iter().position(|&byte| byte == 0).expect("a text ends with NUL");
            bytes[..end].iter().map(|&byte| char::from(byte.cast_unsigned())).collect()
        };
        if let Some(error) = error {
            assert_eq!(error.status, status);
            let message = text(&error.message);
            assert_eq!(message.is_empty(), status == 0);
            assert!(status == 0 || message.starts_with(&text(&error.argument)), "{message}");
        }
        let outputs = outputs.iter().flat_map(|memory| memory.bytes().iter().copied()).collect();
        Given { status, outputs }
    }

    /// Nothing to compare, of a call whose outcome may differ between instruction sets: one needs memory, another none.
    pub fn unless(self, differs: bool) -> Given {
        if differs { Given { status: -1, outputs: Vec::new() } } else { self }
    }
}

/// An error to be written.
pub fn error() -> fewbit_error {
    fewbit_error {
        status: -1,
        argument: [b'x'.cast_signed(); 44],
        message: [b'x'.cast_signed(); 208],
    }
}

/// Runs something with every instruction set of the CPU, and with none: all must give the same, which is returned.
pub fn everywhere<T: PartialEq + Debug>(mut run: impl FnMut() -> T) -> T {
    let detected = dispatch::detected();
    let avx2 = Isa::Avx2.closure();
    let mut sets = vec![Supported::SCALAR, detected];
    if detected.set() != avx2 && detected.set().contains(avx2) {
        sets.extend(detected.limited("avx2"));
    }
    let mut results = sets.into_iter().map(|supported| {
        dispatch::decide_anew(supported);
        (supported, run())
    });
    let (_, first) = results.next().expect("there is the scalar set");
    for (supported, other) in results {
        assert_eq!(first, other, "portable code, and {:?}", supported.set());
    }
    first
}

/// An allocator that refuses one call, and knows what it has not been given back.
#[derive(Debug, Default)]
pub struct Allocator {
    calls: u32,
    refuse: u32,
    live: i64,
}

impl Allocator {
    /// One that refuses a call, counted from 1; none with 0.
    pub fn refusing(refuse: u32) -> Box<Allocator> {
        Box::new(Allocator { refuse, ..Allocator::default() })
    }

    /// How the library sees it.
    pub fn as_c(&mut self) -> fewbit_allocator {
        unsafe extern "C" fn allocate(ctx: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: the box outlives the plan, on one thread.
            let this = unsafe { &mut *ctx.cast::<Allocator>() };
            this.calls += 1;
            // Nothing here needs more: sizes that do are refused as by a small machine.
            if this.calls == this.refuse || size > 1 << 26 {
                return std::ptr::null_mut();
            }
            let Ok(layout) = Layout::from_size_align(size + 16, 16) else {
                return std::ptr::null_mut();
            };
            // SAFETY: the size is not 0.
            let start = unsafe { std::alloc::alloc(layout) };
            assert!(!start.is_null() && size > 0);
            this.live += 1;
            // SAFETY: 16 bytes more than asked for were allocated, aligned to 16.
            unsafe {
                start.cast::<usize>().write(size + 16);
                start.add(16).cast()
            }
        }
        unsafe extern "C" fn release(ctx: *mut c_void, memory: *mut c_void) {
            // SAFETY: as above; the size lies before the memory.
            unsafe {
                (*ctx.cast::<Allocator>()).live -= 1;
                let start = memory.cast::<u8>().sub(16);
                let layout =
                    Layout::from_size_align(start.cast::<usize>().read(), 16).expect("it was one");
                std::alloc::dealloc(start, layout);
            }
        }
        fewbit_allocator {
            ctx: (&raw mut *self).cast(),
            allocate: Some(allocate),
            release: Some(release),
        }
    }

    /// Demands that all was given back.
    pub fn check_empty(&self) {
        assert_eq!(self.live, 0, "memory was lost");
    }
}

/// The caller's threads as one thread: tasks backwards, on alternating workers.
pub fn backwards(max_workers: usize) -> fewbit_parallel_for {
    unsafe extern "C" fn run(ctx: *mut c_void, n: usize, task: fewbit_task, arg: *mut c_void) {
        let workers = ctx.addr();
        for index in (0..n).rev() {
            // SAFETY: each index once, one task at a time, under a valid worker number.
            unsafe { task(arg, index, index % workers) };
        }
    }
    fewbit_parallel_for {
        min_operations: 1,
        ctx: std::ptr::without_provenance_mut(max_workers.max(1)),
        max_workers,
        run: Some(run),
    }
}
