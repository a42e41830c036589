//! Sums of two runs of numbers: residual connections.
//!
//! `y = a + b`, rounded to nearest even; a NaN becomes the canonical one.

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::Lanes;

/// Two runs of numbers.
#[derive(Clone, Copy, Debug)]
pub struct AddArgs {
    /// The first addends.
    pub a: *const f32,
    /// The second addends.
    pub b: *const f32,
    /// The sums; may be `a` or `b`.
    pub dst: *mut f32,
    /// The number of elements.
    pub n: usize,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `a + i` and `b + i` can be read and `dst + i` written; `dst` is one of the others or does not
/// overlap them. Nothing need be aligned. Without elements no pointer is used.
pub type AddFn = unsafe fn(&AddArgs);

rows! {
    /// f32.
    ADD: AddFn = "add_f32", |args: &AddArgs|, add::<V>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(ADD)
}

/// # Safety
/// As [`AddFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn add<V: Lanes>(args: &AddArgs) {
    let op = Add::<V> { b: args.b, vectors: PhantomData };
    // SAFETY: by this function's contract.
    unsafe { run(&op, args.a, 1, args.dst, 1, args.n, None) }
}

struct Add<V> {
    b: *const f32,
    vectors: PhantomData<V>,
}

impl<V: Lanes> Step for Add<V> {
    type Src = f32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut f32, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`; the second run is as long as the first.
        unsafe {
            let y = V::add(V::load_f32(src, n), V::load_f32(self.b.add(first), n));
            V::store_f32(dst, V::replace_nan(y, V::splat_f32(f32::from_bits(0x7FC0_0000))), n);
        }
    }
}
