//! What the handles of plans have in common: their life, their workspace, and their packed weights.

use crate::boundary::{apart, array, integer_entry, not_null, slice};
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use core::ptr::NonNull;
use fewbit::memory::{Allocator, drop_handle, into_handle};
use fewbit::{Conv, Gemm, Linear, Result, Workspace};

/// What C code holds: a plan, with the allocator that it came from.
pub(crate) trait Handle: Sized {
    /// The plan's type.
    type Plan: Plan;

    fn new(plan: Self::Plan, allocator: Allocator) -> Self;
    fn plan(&self) -> &Self::Plan;
    fn allocator(&self) -> Allocator;
}

/// A plan of any kind.
pub(crate) trait Plan {
    /// The argument's name.
    const NAME: &'static str;

    fn packed_size(&self) -> Result<usize>;

    /// # Safety
    /// `packed` can be written for `size` bytes.
    unsafe fn save_packed(&self, packed: *mut u8, size: usize) -> Result<()>;
}

/// A handle's type is a struct of `plan` and `allocator`.
macro_rules! handle {
    ($handle:ident, $plan:ident) => {
        impl $crate::handle::Handle for $handle {
            type Plan = $plan<'static>;

            fn new(plan: $plan<'static>, allocator: Allocator) -> $handle {
                $handle { plan, allocator }
            }

            fn plan(&self) -> &$plan<'static> {
                &self.plan
            }

            fn allocator(&self) -> Allocator {
                self.allocator
            }
        }
    };
}
pub(crate) use handle;

macro_rules! plan {
    ($plan:ident, $name:literal) => {
        impl Plan for $plan<'static> {
            const NAME: &'static str = $name;

            fn packed_size(&self) -> Result<usize> {
                $plan::packed_size(self)
            }

            unsafe fn save_packed(&self, packed: *mut u8, size: usize) -> Result<()> {
                // SAFETY: by this function's contract.
                unsafe { self.save_packed_raw(packed, size) }
            }
        }
    };
}
plan!(Linear, "linear");
plan!(Conv, "conv");
plan!(Gemm, "gemm");

/// The plan behind a handle.
///
/// # Safety
/// `handle` is NULL or alive.
pub(crate) unsafe fn plan<'a, H: Handle + 'a>(handle: *const H) -> Result<&'a H::Plan> {
    not_null(H::Plan::NAME, handle)?;
    // SAFETY: a live plan, by this function's contract.
    Ok(unsafe { (*handle).plan() })
}

/// Refuses a place for a handle that cannot be written.
pub(crate) fn place<H: Handle>(place: *mut *mut H) -> Result<()> {
    array(H::Plan::NAME, place, 1).map(|_| ())
}

/// Hands a plan over.
///
/// # Safety
/// [`place`] accepted `to`, which can be written.
#[inline(never)]
pub(crate) unsafe fn give<H: Handle>(
    plan: H::Plan,
    allocator: &Allocator,
    to: *mut *mut H,
) -> Result<()> {
    let handle = into_handle(H::new(plan, *allocator), allocator, H::Plan::NAME)?;
    // SAFETY: by this function's contract.
    unsafe { to.write(handle.as_ptr()) };
    Ok(())
}

/// Takes a plan back; NULL does nothing.
///
/// # Safety
/// `handle` is NULL or came from [`give`], and is used no more.
pub(crate) unsafe fn destroy<H: Handle>(handle: *mut H) {
    if let Some(handle) = NonNull::new(handle) {
        // SAFETY: made by `give` with the allocator it holds.
        unsafe {
            let allocator = handle.as_ref().allocator();
            drop_handle(handle, allocator);
        }
    }
}

/// Tells the workspace that a plan asks for.
///
/// # Safety
/// As of `fewbit_linear_workspace`.
pub(crate) unsafe fn workspace<H: Handle>(
    handle: *const H,
    needed: impl FnOnce(&H::Plan) -> Result<Workspace>,
    (size, align): (*mut usize, *mut usize),
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: by this function's contract.
    unsafe {
        integer_entry(error, move |_| {
            let workspace = needed(plan(handle)?)?;
            tell(workspace, size, align)
        })
    }
}

/// # Safety
/// As [`workspace`].
#[inline(never)]
unsafe fn tell(workspace: Workspace, size: *mut usize, align: *mut usize) -> Result<()> {
    apart(array("size", size, 1)?, array("align", align, 1)?)?;
    // SAFETY: checked, and by this function's contract.
    unsafe {
        size.write(workspace.size);
        align.write(workspace.align);
    }
    Ok(())
}

/// Tells the bytes of a plan's packed weights.
///
/// # Safety
/// As of `fewbit_linear_packed_size`.
pub(crate) unsafe fn packed_size<H: Handle>(
    handle: *const H,
    size: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: by this function's contract.
    unsafe {
        integer_entry(error, move |_| {
            let bytes = plan(handle)?.packed_size()?;
            array("size", size, 1)?;
            size.write(bytes);
            Ok(())
        })
    }
}

/// Writes a plan's packed weights.
///
/// # Safety
/// As of `fewbit_linear_save_packed`.
pub(crate) unsafe fn save_packed<H: Handle>(
    handle: *const H,
    packed: *mut c_void,
    packed_size: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: by this function's contract.
    unsafe {
        integer_entry(error, move |_| {
            let plan = plan(handle)?;
            not_null("packed", packed)?;
            array("packed", packed.cast::<u8>(), packed_size)?;
            plan.save_packed(packed.cast(), packed_size)
        })
    }
}

/// Packed weights to read.
///
/// # Safety
/// `packed` is NULL or can be read for `packed_size` bytes, for as long as the result is used.
pub(crate) unsafe fn packed<'a>(packed: *const c_void, packed_size: usize) -> Result<&'a [u8]> {
    not_null("packed", packed)?;
    array("packed", packed.cast::<u8>(), packed_size)?;
    // SAFETY: checked, and by this function's contract.
    Ok(unsafe { slice(packed.cast(), packed_size) })
}
