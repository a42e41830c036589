//! Runs of codes, copied one behind the other into the form that a tile reads: the taps under output pixels, from where they
//! lie in an image into the rows of a block.
//!
//! A run shorter than a vector is two steps that overlap, of the largest power of two that it has, and so is the rest of a
//! longer one: no byte outside a run is read or written, and nothing is done code by code but for runs of one to three.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::Lanes;

/// Runs of neighbouring codes at equal distances, all equally long.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The first run's first code.
    pub from: *const u8,
    /// Codes of a run.
    pub len: usize,
    /// Bytes from [`GatherArgs::to`] to the first code's place.
    pub to: usize,
    /// How many runs.
    pub count: usize,
    /// Codes from one to the next; 0 takes the same ones again.
    pub from_stride: usize,
    /// Bytes from one's place to the next one's.
    pub to_stride: usize,
}

/// Runs and where they go. Nothing need be aligned but the list.
#[derive(Clone, Copy, Debug)]
pub struct GatherArgs {
    /// The runs.
    pub runs: *const Run,
    /// How many.
    pub count: usize,
    /// What their places are counted from.
    pub to: *mut u8,
    /// What bytes are exclusive-ored with; not used where codes become i16.
    pub mask: u8,
}

/// A kernel of this op.
///
/// # Safety
/// The runs can be read, and written at their places as what the codes become; no place overlaps another or a run.
pub type GatherFn = unsafe fn(&GatherArgs);

rows! {
    /// Bytes, exclusive-or a mask.
    GATHER_U8: GatherFn = "gather_u8u8", |args: &GatherArgs|, gather(args, Bytes::<V>(args.mask, core::marker::PhantomData))
}

rows! {
    /// s8 codes as i16.
    GATHER_S8_S16: GatherFn = "gather_s8s16", |args: &GatherArgs|, gather(args, Wide::<V, true>(core::marker::PhantomData))
}

rows! {
    /// u8 codes as i16.
    GATHER_U8_S16: GatherFn = "gather_u8s16", |args: &GatherArgs|, gather(args, Wide::<V, false>(core::marker::PhantomData))
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(GATHER_U8).chain(infos(GATHER_S8_S16)).chain(infos(GATHER_U8_S16))
}

/// What codes become.
trait Form: Copy {
    /// Codes of a vector's step.
    const STEP: usize;
    /// Bytes of what a code becomes.
    const BYTES: usize;

    /// Copies `N` codes.
    ///
    /// # Safety
    /// They can be read and written; within an entry compiled for the vectors.
    unsafe fn copy<const N: usize>(self, from: *const u8, to: *mut u8);
}

#[derive(Clone, Copy)]
struct Bytes<V>(u8, core::marker::PhantomData<V>);

impl<V: Lanes> Form for Bytes<V> {
    const STEP: usize = 4 * V::LANES;
    const BYTES: usize = 1;

    #[inline(always)]
    unsafe fn copy<const N: usize>(self, from: *const u8, to: *mut u8) {
        // SAFETY: by the trait's contract.
        unsafe {
            // Code by code, which becomes vectors; an array of few would be taken apart in a register.
            let mut codes = [0; N];
            for (i, code) in codes.iter_mut().enumerate() {
                *code = from.add(i).read() ^ self.0;
            }
            to.cast::<[u8; N]>().write_unaligned(codes);
        }
    }
}

#[derive(Clone, Copy)]
struct Wide<V, const SIGNED: bool>(core::marker::PhantomData<V>);

impl<V: Lanes, const SIGNED: bool> Form for Wide<V, SIGNED> {
    const STEP: usize = 2 * V::LANES;
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn copy<const N: usize>(self, from: *const u8, to: *mut u8) {
        // SAFETY: by the trait's contract.
        unsafe {
            // Code by code: as above.
            let mut wide = [0i16; N];
            for (i, wide) in wide.iter_mut().enumerate() {
                let code = from.add(i).read();
                *wide = if SIGNED { code as i8 as i16 } else { code as i16 };
            }
            to.cast::<[i16; N]>().write_unaligned(wide);
        }
    }
}

/// # Safety
/// As [`GatherFn`], within an entry compiled for the form's vectors.
#[inline(always)]
unsafe fn gather<F: Form>(args: &GatherArgs, form: F) {
    for i in 0..args.count {
        // SAFETY: by this function's contract; strides behind the last run lead nowhere that is followed.
        unsafe {
            let Run { mut from, len, to, count, from_stride, to_stride } = args.runs.add(i).read();
            let mut to = args.to.wrapping_add(to);
            for _ in 0..count {
                run(form, from, to, len);
                from = from.wrapping_add(from_stride);
                to = to.wrapping_add(to_stride);
            }
        }
    }
}

/// Copies a run.
///
/// # Safety
/// As [`gather`].
#[inline(always)]
unsafe fn run<F: Form>(form: F, from: *const u8, to: *mut u8, len: usize) {
    // Steps of N codes, the last one ending where the run does.
    macro_rules! steps {
        ($($n:literal)*) => {
            $(
                if F::STEP >= $n && len >= $n {
                    let mut at = 0;
                    while len - at > $n {
                        form.copy::<$n>(from.add(at), to.add(at * F::BYTES));
                        at += $n;
                    }
                    let last = len - $n;
                    form.copy::<$n>(from.add(last), to.add(last * F::BYTES));
                    return;
                }
            )*
        };
    }
    // SAFETY: all steps lie within the run.
    unsafe {
        steps!(64 32 16 8 4);
        for at in 0..len {
            form.copy::<1>(from.add(at), to.add(at * F::BYTES));
        }
    }
}
