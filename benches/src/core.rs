//! Threads on cores of their own. A scheduler that wakes a thread on the core of the one that woke it, and moves it
//! milliseconds later, would be timed otherwise.

/// Keeps the thread that made it on one core, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Core {
    #[cfg(target_os = "linux")]
    before: Option<libc::cpu_set_t>,
}

impl Core {
    /// On the core of that number; anywhere, where the system does not let it.
    #[cfg(target_os = "linux")]
    pub fn keep(index: usize) -> Core {
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: sets of zeros are empty sets, they outlive the calls, and CPU_SET checks the number.
        unsafe {
            let (mut before, mut one): (libc::cpu_set_t, libc::cpu_set_t) = std::mem::zeroed();
            libc::CPU_SET(index, &mut one);
            let kept = libc::sched_getaffinity(0, size, &mut before) == 0
                && libc::sched_setaffinity(0, size, &one) == 0;
            Core { before: kept.then_some(before) }
        }
    }

    /// Elsewhere threads stay where their system has them.
    #[cfg(not(target_os = "linux"))]
    pub fn keep(_index: usize) -> Core {
        Core {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for Core {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the set that the system gave.
            unsafe { libc::sched_setaffinity(0, size_of_val(before), before) };
        }
    }
}
