//! Vectors for int8 dot products: one small trait, one backend an instruction.
//!
//! A backend multiplies groups of `KR` neighbouring k-values: a 4-byte group of one lhs row, repeated
//! in every lane, with `KR` rhs bytes a lane, one lane a column, and adds the group's sum to the
//! lane's int32. All sums are modulo 2^32 and no backend saturates, so the order of additions does
//! not matter and every backend gives the same int32.

/// The methods of [`Dot`] that know sums and results only, as the backend `$backend` has them.
macro_rules! sums_of {
    ($backend:ident) => {
        type Acc = $backend::Acc;
        type Real = $backend::Real;
        const LANES: usize = $backend::LANES;

        #[inline(always)]
        unsafe fn zero() -> Self::Acc {
            // SAFETY: by this trait's contract, here and below.
            unsafe { $backend::zero() }
        }

        #[inline(always)]
        unsafe fn splat(v: i32) -> Self::Acc {
            // SAFETY: as above.
            unsafe { $backend::splat(v) }
        }

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self::Acc {
            // SAFETY: as above.
            unsafe { $backend::load(from) }
        }

        #[inline(always)]
        unsafe fn add(a: Self::Acc, b: Self::Acc) -> Self::Acc {
            // SAFETY: as above.
            unsafe { $backend::add(a, b) }
        }

        #[inline(always)]
        unsafe fn mul(a: Self::Acc, b: Self::Acc) -> Self::Acc {
            // SAFETY: as above.
            unsafe { $backend::mul(a, b) }
        }

        #[inline(always)]
        unsafe fn shl(acc: Self::Acc, by: u32) -> Self::Acc {
            // SAFETY: as above.
            unsafe { $backend::shl(acc, by) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut i32, acc: Self::Acc) {
            // SAFETY: as above.
            unsafe { $backend::store(to, acc) }
        }

        #[inline(always)]
        unsafe fn splat_real(v: f32) -> Self::Real {
            // SAFETY: as above.
            unsafe { $backend::splat_real(v) }
        }

        #[inline(always)]
        unsafe fn load_real(from: *const f32) -> Self::Real {
            // SAFETY: as above.
            unsafe { $backend::load_real(from) }
        }

        #[inline(always)]
        unsafe fn mul_real(a: Self::Real, b: Self::Real) -> Self::Real {
            // SAFETY: as above.
            unsafe { $backend::mul_real(a, b) }
        }

        #[inline(always)]
        unsafe fn add_scaled(sums: Self::Acc, factor: Self::Real, y: Self::Real) -> Self::Real {
            // SAFETY: as above.
            unsafe { $backend::add_scaled(sums, factor, y) }
        }

        #[inline(always)]
        unsafe fn store_real(to: *mut f32, v: Self::Real) {
            // SAFETY: as above.
            unsafe { $backend::store_real(to, v) }
        }
    };
}

mod bits;
mod few;
mod scalar;
mod short;

#[cfg(target_arch = "x86_64")]
mod maddubs;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod pairs;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use bits::{Bits, Count, CountBytes};
pub use few::{Bytes, Few};
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::{NeonPair, NeonSdot, smmla};
pub use scalar::ScalarDot;
pub use short::Short;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2Pair, Avx512Pair, Avx512Popcnt, Avx512Vnni, Avx512VnniYmm, AvxVnni};

/// How a backend wants lhs codes. Codes of the other signedness are moved by 128, their zero point
/// with them, when they are packed; `(a + 128) - (z + 128)` is `a - z`, so nothing else changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LhsForm {
    /// Four unsigned bytes a group.
    U8,
    /// Four signed bytes a group.
    S8,
    /// Eight signed bytes a group.
    S8x8,
    /// Sixteen signed bytes a group.
    S8x16,
    /// Thirty-two signed bytes a group.
    S8x32,
    /// Thirty-two bits a group, the lowest first.
    Bits,
    /// Two i16 a group; holds s8 and u8 codes as they are.
    I16,
}

/// How far ahead a panel's bytes are asked for: enough to cover a trip to memory.
pub const AHEAD: usize = 8192;

/// Bytes of the longest group.
pub const MAX_GROUP: usize = 32;

impl LhsForm {
    /// k-values in a group.
    pub const fn kr(self) -> usize {
        match self {
            LhsForm::U8 | LhsForm::S8 => 4,
            LhsForm::S8x8 => 8,
            LhsForm::S8x16 => 16,
            LhsForm::S8x32 | LhsForm::Bits => 32,
            LhsForm::I16 => 2,
        }
    }

    /// Whole groups of `k` values. (A shift: a division by a number that is not known takes longer than a small tile.)
    pub const fn whole_groups(self, k: usize) -> usize {
        k >> self.kr().trailing_zeros()
    }

    /// What is left of `k` values behind the whole groups.
    pub const fn rest(self, k: usize) -> usize {
        k & (self.kr() - 1)
    }

    /// Bytes of that: a code each, or eight bits.
    pub const fn rest_bytes(self, k: usize) -> usize {
        match self {
            LhsForm::Bits => self.rest(k).div_ceil(8),
            _ => self.rest(k),
        }
    }

    /// Groups of `k` values; the last one may be filled up.
    pub const fn groups(self, k: usize) -> usize {
        self.whole_groups(k) + (self.rest(k) > 0) as usize
    }

    /// Bytes of a row's group.
    pub const fn group_bytes(self) -> usize {
        match self {
            LhsForm::I16 | LhsForm::Bits => 4,
            _ => self.kr(),
        }
    }
}

/// Where the operands of some k-steps lie.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// The first group of the first lhs row.
    pub lhs: *const u8,
    /// Bytes between the same group of neighbouring rows.
    pub row_stride: usize,
    /// Bytes between neighbouring groups of a row.
    pub group_stride: usize,
    /// The first step's rhs values; those of the next ones follow.
    pub rhs: *const i8,
    /// How many.
    pub count: usize,
    /// Whether no lhs code is beyond -16..=15.
    pub narrow: bool,
}

/// How the sums of a block become a part of results: `y = f32(sum) * (row_factor * factor) + y`, as
/// [`Dot::add_scaled`] has it, of sums of products plus `start + row_start` modulo 2^32.
#[derive(Clone, Copy, Debug)]
pub struct Scaling {
    /// What each column's sums start with.
    pub start: *const i32,
    /// What each row's sums start with besides. NULL: all 0.
    pub row_start: *const i32,
    /// Each column's factor.
    pub factors: *const f32,
    /// Each row's factor. NULL: all 1.
    pub row_factors: *const f32,
}

/// A dot-product instruction over vectors of int32 lanes.
///
/// # Safety
/// Methods must compute as documented on every CPU that has the backend's instruction set, and
/// access only the memory stated. Callers are compiled for that instruction set.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Dot: Copy + 'static {
    /// int32 lanes, one a column.
    type Acc: Copy;
    /// A 4-byte group of one lhs row, in every lane.
    type Lhs: Copy;
    /// `KR` rhs values of each lane's column.
    type Rhs: Copy;
    /// f32 lanes, one a column.
    type Real: Copy;
    /// Columns in a vector.
    const LANES: usize;
    /// What lhs groups hold; `KR` is `LHS.kr()`.
    const LHS: LhsForm;
    /// Bytes of a column's rhs group: one for each k-value, or fewer where codes are packed.
    const RHS_BYTES: usize = Self::LHS.kr();
    /// Accumulators that hide the latency of [`dot`](Dot::dot), as far as there are registers.
    const CHAINS: usize;

    /// Zeros.
    unsafe fn zero() -> Self::Acc;
    /// The value in every lane.
    unsafe fn splat(v: i32) -> Self::Acc;
    /// Reads `LANES` i32 at `from`.
    unsafe fn load(from: *const i32) -> Self::Acc;
    /// `a + b` modulo 2^32.
    unsafe fn add(a: Self::Acc, b: Self::Acc) -> Self::Acc;
    /// `a * b` modulo 2^32.
    unsafe fn mul(a: Self::Acc, b: Self::Acc) -> Self::Acc;
    /// `acc * 2^by` modulo 2^32, `by < 32`.
    unsafe fn shl(acc: Self::Acc, by: u32) -> Self::Acc;
    /// The group at `from`; until it was multiplied, its bytes stay there.
    unsafe fn load_lhs(from: *const u8) -> Self::Lhs;
    /// Reads `LANES * RHS_BYTES` bytes at `from`, column by column: `KR` signed codes of each, or what
    /// [`Few`] packs.
    unsafe fn load_rhs(from: *const i8) -> Self::Rhs;
    /// `acc + Σ lhs * rhs` over the group, modulo 2^32.
    unsafe fn dot(acc: Self::Acc, lhs: Self::Lhs, rhs: Self::Rhs) -> Self::Acc;
    /// Writes `LANES` sums at `to`.
    unsafe fn store(to: *mut i32, acc: Self::Acc);
    /// The value in every lane.
    unsafe fn splat_real(v: f32) -> Self::Real;
    /// Reads `LANES` f32 at `from`.
    unsafe fn load_real(from: *const f32) -> Self::Real;
    /// `a * b`, rounded to nearest even.
    unsafe fn mul_real(a: Self::Real, b: Self::Real) -> Self::Real;
    /// `f32(sums) * factor + y`: the sums rounded to nearest even, the rest rounded once.
    unsafe fn add_scaled(sums: Self::Acc, factor: Self::Real, y: Self::Real) -> Self::Real;
    /// Writes `LANES` f32 at `to`.
    unsafe fn store_real(to: *mut f32, v: Self::Real);
    /// Adds k-steps to the sums of `ROWS` rows and `NV` vectors of columns, all at once, and says so; or does
    /// nothing, which is what backends do that have no loop of their own for so many.
    ///
    /// Reads what as many calls of `load_lhs`, `load_rhs` and `dot` would.
    #[inline(always)]
    unsafe fn steps<const ROWS: usize, const NV: usize>(
        acc: &mut [[Self::Acc; NV]; ROWS],
        steps: Steps,
    ) -> bool {
        let _ = (acc, steps);
        false
    }
    /// Adds the scaled sums of k-steps to the results of as many rows and columns as [`steps`](Dot::steps) has, and says
    /// so; or does nothing.
    #[inline(always)]
    unsafe fn scaled_steps<const ROWS: usize, const NV: usize>(
        steps: Steps,
        scaling: Scaling,
        real: &mut [[Self::Real; NV]; ROWS],
    ) -> bool {
        let _ = (steps, scaling, real);
        false
    }
}
