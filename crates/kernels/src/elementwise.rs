//! What all ops that work element by element share: the walk over memory, the parameters, and the
//! macro that turns one generic body into one row an instruction set.

use core::mem::MaybeUninit;
use fewbit_simd::prefetch;

/// One step of an op: the work on one vector.
pub(crate) trait Step {
    /// An element of the source.
    type Src: Copy;
    /// An element of the destination.
    type Dst: Copy;
    /// Elements a step.
    const LANES: usize;
    /// Whether [`step_4`](Step::step_4) can go around the caches.
    const STREAMS: bool = false;

    /// Makes `n` elements at `dst` of the `n` at `src`, `1 <= n <= LANES`, both contiguous. They are
    /// the elements from number `first` on of the run, which tells their parameters.
    ///
    /// # Safety
    /// Within an entry compiled for the step's instruction set; the pointers are valid for `n`
    /// elements, and the op's parameters for the elements `first..first + n`.
    unsafe fn step(&self, src: *const Self::Src, dst: *mut Self::Dst, first: usize, n: usize);

    /// Four whole steps at once, or nothing: whether it did them, or leaves them to
    /// [`step`](Step::step). An op that can share work between steps, or has another way for most
    /// elements, has its own. With `STREAM` the results go around the caches; a fence follows before others
    /// may look.
    ///
    /// # Safety
    /// As [`step`](Step::step), for `4 * LANES` elements. With `STREAM`, `dst` is aligned to what the op stores
    /// at once: the first call's to a line, each following one's by as much as four vectors of results
    /// further.
    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const Self::Src,
        dst: *mut Self::Dst,
        first: usize,
    ) -> bool {
        for i in 0..4 {
            let at = i * Self::LANES;
            // SAFETY: by this function's contract.
            unsafe { self.step(src.add(at), dst.add(at), first + at, Self::LANES) };
        }
        true
    }
}

/// Bytes of source and destination from which on results go around the caches: more than a core's
/// share of any last-level cache, so that they would push everything out and be gone themselves before
/// anyone reads them. Below, going around would cost the cache's speed.
const STREAM: usize = 32 << 20;

/// Bytes ahead of the source that are asked for where it comes from memory: what arithmetic between loads leaves
/// undiscovered.
const AHEAD: usize = 2048;

/// The line that stores around the caches should fill.
const LINE: usize = 64;

/// Whether results of so many elements go around the caches.
#[inline(always)]
pub(crate) fn streams<S, D>(elements: usize) -> bool {
    elements.saturating_mul(size_of::<S>() + size_of::<D>()) >= STREAM
}

/// Elements gathered at a time from a run that is not contiguous: a few vectors, so that filling
/// the buffer and working on it overlap, and small enough for any stack.
const GATHER: usize = 64;

/// Applies `op` to a run of `n` elements. A side with stride 1 is worked on in place; the other is
/// gathered into, or scattered from, a small buffer, so that the arithmetic stays in vectors. With `stream`,
/// results go around the caches; it tells where the source of the work that follows is.
///
/// # Safety
/// Within an entry compiled for the step's instruction set; for every `i < n`, `src + i *
/// src_stride` can be read and `dst + i * dst_stride` written (alignment is not required), the two
/// do not overlap, or are the same where each step reads its operands before it writes, and the op's parameters are valid for `0..n`. With `stream`, the entry ends with a fence.
#[inline(always)]
pub(crate) unsafe fn run<S: Step>(
    op: &S,
    src: *const S::Src,
    src_stride: usize,
    dst: *mut S::Dst,
    dst_stride: usize,
    n: usize,
    stream: Option<*const S::Src>,
) {
    let size = size_of::<S::Src>();
    let in_place = src_stride == 1 && dst_stride == 1;
    let next = stream.unwrap_or(src).cast::<u8>();
    let stream = S::STREAMS && stream.is_some() && in_place && dst.is_aligned();
    let mut gathered = [MaybeUninit::<S::Src>::uninit(); GATHER];
    let mut scattered = [MaybeUninit::<S::Dst>::uninit(); GATHER];
    let mut first = 0;
    while first < n {
        let len = if in_place { n } else { (n - first).min(GATHER) };
        // SAFETY: `first + len <= n`, so all elements touched are the caller's or the buffers'
        // first `len <= GATHER`; the gathered ones are initialised before they are read, and the
        // steps initialise the scattered ones. `first * stride` cannot wrap, as it is the offset
        // of an element that exists. Streamed results lie at a line and at multiples of four vectors
        // of them behind it.
        unsafe {
            let from = if src_stride == 1 {
                src.add(first)
            } else {
                for (i, slot) in gathered.iter_mut().enumerate().take(len) {
                    slot.write(src.add((first + i) * src_stride).read_unaligned());
                }
                gathered.as_ptr().cast()
            };
            let to = if dst_stride == 1 { dst.add(first) } else { scattered.as_mut_ptr().cast() };
            // One place for single steps, up to `end`: up to the first whole line where that matters,
            // then what the fours leave.
            let (mut at, mut end) = (0, if stream { line_head(dst).min(len) } else { 0 });
            loop {
                while at < end {
                    let n = S::LANES.min(end - at);
                    op.step(from.add(at), to.add(at), first + at, n);
                    at += n;
                }
                if S::LANES == 1 {
                    // Of portable code there are single steps only.
                    end = len;
                    if at < len {
                        continue;
                    }
                } else if stream {
                    while len - at >= 4 * S::LANES
                        && op.step_4::<true>(from.add(at), to.add(at), first + at)
                    {
                        prefetch_ahead(
                            from.cast(),
                            at * size,
                            len * size,
                            next,
                            4 * S::LANES * size,
                        );
                        at += 4 * S::LANES;
                    }
                } else {
                    while len - at >= 4 * S::LANES
                        && op.step_4::<false>(from.add(at), to.add(at), first + at)
                    {
                        at += 4 * S::LANES;
                    }
                }
                if at == len {
                    break;
                }
                end = len.min(at + 4 * S::LANES);
            }
            if dst_stride != 1 {
                for (i, slot) in scattered.iter().enumerate().take(len) {
                    dst.add((first + i) * dst_stride).write_unaligned(slot.assume_init());
                }
            }
        }
        first += len;
    }
}

/// Asks for `bytes` of the source [`AHEAD`] of those at `at`; those that would lie behind the source's `end` are
/// asked for at `next`, where the work goes on.
#[inline(always)]
fn prefetch_ahead(src: *const u8, at: usize, end: usize, next: *const u8, bytes: usize) {
    let ahead = at + AHEAD;
    let from = if ahead < end { src.wrapping_add(ahead) } else { next.wrapping_add(ahead - end) };
    let mut line = 0;
    while line < bytes {
        prefetch(from.wrapping_add(line));
        line += LINE;
    }
}

/// Elements up to the first that begins a line; the pointer is aligned to its elements.
#[inline(always)]
pub(crate) fn line_head<T>(pointer: *const T) -> usize {
    pointer.addr().wrapping_neg() % LINE / size_of::<T>()
}

/// Declares an op's table: a public slice of rows, best first, and behind each row an entry
/// function that carries the target features and inlines the body, in which `V` is that row's
/// vector. Behind a semicolon, a row for another instruction set, which comes first.
macro_rules! rows {
    (
        $(#[$doc:meta])*
        $table:ident: $function:ty = $name:literal, |$($arg:ident: $arg_type:ty),+| $(-> $result:ty)?, $body:expr
        $(; #[$cfg:meta] $first:expr)?
    ) => {
        $(#[$doc])*
        pub static $table: &[$crate::registry::Row<$function>] = &[
            $(
                #[$cfg]
                $first,
            )?
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                unsafe fn avx512($($arg: $arg_type),+) $(-> $result)? {
                    type V = fewbit_simd::Avx512;
                    // SAFETY: compiled for `V`; the rest is this function's contract.
                    unsafe { $body }
                }
                // SAFETY: the features required are those that the entry was compiled with.
                unsafe {
                    $crate::registry::Row::new(
                        concat!($name, "_avx512"),
                        fewbit_simd::Isa::Avx512.closure(),
                        avx512,
                    )
                }
            },
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                unsafe fn avx2($($arg: $arg_type),+) $(-> $result)? {
                    type V = fewbit_simd::Avx2;
                    // SAFETY: compiled for `V`; the rest is this function's contract.
                    unsafe { $body }
                }
                // SAFETY: the features required are those that the entry was compiled with.
                unsafe {
                    $crate::registry::Row::new(
                        concat!($name, "_avx2"),
                        fewbit_simd::Isa::Avx2.closure(),
                        avx2,
                    )
                }
            },
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            {
                #[target_feature(enable = "neon")]
                unsafe fn neon($($arg: $arg_type),+) $(-> $result)? {
                    type V = fewbit_simd::Neon;
                    // SAFETY: compiled for `V`; the rest is this function's contract.
                    unsafe { $body }
                }
                // SAFETY: the features required are those that the entry was compiled with.
                unsafe {
                    $crate::registry::Row::new(
                        concat!($name, "_neon"),
                        fewbit_simd::Isa::Neon.closure(),
                        neon,
                    )
                }
            },
            {
                unsafe fn scalar($($arg: $arg_type),+) $(-> $result)? {
                    type V = fewbit_simd::Scalar;
                    // SAFETY: portable code; the rest is this function's contract.
                    unsafe { $body }
                }
                // SAFETY: nothing is required.
                unsafe {
                    $crate::registry::Row::new(
                        concat!($name, "_scalar"),
                        fewbit_simd::IsaSet::SCALAR,
                        scalar,
                    )
                }
            },
        ];
    };
}

/// A table's row for AVX-512 VBMI.
#[cfg(target_arch = "x86_64")]
macro_rules! row_avx512_vbmi {
    ($function:ty, $name:literal, ($($arg:ident: $arg_type:ty),+), $body:expr) => {{
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma,f16c")]
        unsafe fn avx512_vbmi($($arg: $arg_type),+) {
            type V = fewbit_simd::Avx512;
            // SAFETY: compiled for `V` and VBMI; the rest is this function's contract.
            unsafe { $body }
        }
        // SAFETY: the features required are those that the entry was compiled with.
        unsafe {
            $crate::registry::Row::<$function>::new(
                concat!($name, "_avx512_vbmi"),
                fewbit_simd::Isa::Avx512Vbmi.closure(),
                avx512_vbmi,
            )
        }
    }};
}

#[cfg(target_arch = "x86_64")]
pub(crate) use row_avx512_vbmi;
pub(crate) use rows;
