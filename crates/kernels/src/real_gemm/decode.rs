//! Decoding of packed panels of codes: some steps of k become f32 numbers, as the tiles for an f32 rhs read them.
//!
//! ```text
//! factors: [blocks of k] x [1 or 2] x [nr columns]   f32
//! codes:   [k] x [nr columns]                        a byte each
//!          [ceil(k / 2)] x [nr columns]              of four bits: the step's lower nibble is its even k
//! ```
//!
//! Columns lie side by side, so that a vector of codes is a vector of numbers: nothing is transposed. A number is the code, or
//! the code and what is added to it, times the scale; or the code times the scale and the minimum added to that. Codes times
//! scales with minima are exact, so that one fused operation rounds as two do.
//!
//! A single row is multiplied on the way, with nothing stored: four vectors of columns at a time, whose chains hide a
//! multiply-add's latency behind what decoding takes.

use crate::block::E2m1;
use crate::convert::float8::{E4m3fn, E5m2, Float8};
use crate::elementwise::rows;
use crate::infos;
use crate::registry::{Row, RowInfo};
use fewbit_simd::{HalfLanes, prefetch};

/// Steps of k of a packed panel, to decode. Nothing need be aligned but `factors` and `dst`, to f32.
#[derive(Clone, Copy, Debug)]
pub struct DecodeArgs {
    /// The codes of the first step, an even one.
    pub codes: *const u8,
    /// The factors of the first step's block.
    pub factors: *const f32,
    /// Steps of that block from the first one on.
    pub first: usize,
    /// Steps of the blocks that follow, even.
    pub block: usize,
    /// Steps in all.
    pub k: usize,
    /// Columns, whole vectors of every kernel: a multiple of 8, or of 16 or 32 as the widest tile of the instruction set has.
    pub nr: usize,
    /// NULL; or a row of k numbers to multiply with, from the first step on.
    pub lhs: *const f32,
    /// Of a row: panels, at least 1, and the bytes between their codes, and between their factors.
    pub panels: usize,
    /// See `panels`.
    pub panel_stride: usize,
    /// `[k] x [nr]` numbers; one step more if k is odd. Of a row: `[panels] x [nr]` sums, each a chain from 0.
    pub dst: *mut f32,
}

/// A kernel that decodes.
///
/// # Safety
/// Codes and factors of the steps can be read, and the numbers written; `first` and `block` are at least 1, and even unless
/// the steps end with their block; `nr` is that of the tile of the kernel's instruction set.
pub type DecodeFn = unsafe fn(&DecodeArgs);

/// How numbers are made of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Four bits, signed: code * scale.
    S4,
    /// Four bits, signed: (code + offset) * scale.
    S4Offset,
    /// Four bits, unsigned: code * scale + minimum.
    U4Min,
    /// s8: code * scale.
    S8,
    /// s8: (code + offset) * scale.
    S8Offset,
    /// s8: code * scale + minimum.
    S8Min,
    /// E2M1, four bits: code * scale.
    E2m1,
    /// E4M3 (OCP): code * scale.
    E4m3,
    /// E5M2: code * scale.
    E5m2,
}

impl Coding {
    /// Every one.
    pub const ALL: [Coding; 9] = [
        Coding::S4,
        Coding::S4Offset,
        Coding::U4Min,
        Coding::S8,
        Coding::S8Offset,
        Coding::S8Min,
        Coding::E2m1,
        Coding::E4m3,
        Coding::E5m2,
    ];

    /// Whether codes are of four bits, two steps in a byte.
    pub const fn is_nibbles(self) -> bool {
        matches!(self, Coding::S4 | Coding::S4Offset | Coding::U4Min | Coding::E2m1)
    }

    /// Factors of a block: the scale, and what is added.
    pub const fn factors(self) -> usize {
        match self {
            Coding::S4Offset | Coding::U4Min | Coding::S8Offset | Coding::S8Min => 2,
            _ => 1,
        }
    }

    /// The bytes of a column's codes of k steps.
    pub const fn code_bytes(self, k: usize) -> usize {
        if self.is_nibbles() { k.div_ceil(2) } else { k }
    }

    /// The bytes of a panel's factors: those of each block of k steps.
    pub const fn factor_bytes(self, k: usize, block: usize, nr: usize) -> usize {
        let block = if block == 0 { 1 } else { block };
        k.div_ceil(block) * self.factors() * nr * size_of::<f32>()
    }

    /// The bytes of a panel.
    pub const fn panel_bytes(self, k: usize, block: usize, nr: usize) -> usize {
        self.factor_bytes(k, block, nr) + self.code_bytes(k) * nr
    }

    /// Its table.
    pub fn table(self) -> &'static [Row<DecodeFn>] {
        match self {
            Coding::S4 => S4_F32,
            Coding::S4Offset => S4_OFFSET_F32,
            Coding::U4Min => U4_MIN_F32,
            Coding::S8 => S8_F32,
            Coding::S8Offset => S8_OFFSET_F32,
            Coding::S8Min => S8_MIN_F32,
            Coding::E2m1 => E2M1_F32,
            Coding::E4m3 => E4M3_F32,
            Coding::E5m2 => E5M2_F32,
        }
    }
}

/// The rows of these ops' tables.
pub(super) fn rows() -> impl Iterator<Item = RowInfo> {
    Coding::ALL.into_iter().flat_map(|coding| infos(coding.table()))
}

/// What is done with the second factor.
const NONE: u8 = 0;
const OFFSET: u8 = 1;
const MIN: u8 = 2;

rows! {
    /// s4 times a scale.
    S4_F32: DecodeFn = "decode_s4f32", |args: &DecodeArgs|, decode::<V, S4, NONE>(args)
}
rows! {
    /// s4 and an offset, times a scale.
    S4_OFFSET_F32: DecodeFn = "decode_s4offsetf32", |args: &DecodeArgs|, decode::<V, S4, OFFSET>(args)
}
rows! {
    /// u4 times a scale, and a minimum.
    U4_MIN_F32: DecodeFn = "decode_u4minf32", |args: &DecodeArgs|, decode::<V, U4, MIN>(args)
}
rows! {
    /// s8 times a scale.
    S8_F32: DecodeFn = "decode_s8f32", |args: &DecodeArgs|, decode::<V, S8, NONE>(args)
}
rows! {
    /// s8 and an offset, times a scale.
    S8_OFFSET_F32: DecodeFn = "decode_s8offsetf32", |args: &DecodeArgs|, decode::<V, S8, OFFSET>(args)
}
rows! {
    /// s8 times a scale, and a minimum.
    S8_MIN_F32: DecodeFn = "decode_s8minf32", |args: &DecodeArgs|, decode::<V, S8, MIN>(args)
}
rows! {
    /// E2M1 times a scale.
    E2M1_F32: DecodeFn = "decode_e2m1f32", |args: &DecodeArgs|, decode::<V, Fp4, NONE>(args)
}
rows! {
    /// E4M3 times a scale.
    E4M3_F32: DecodeFn = "decode_e4m3f32", |args: &DecodeArgs|, decode::<V, Bytes<E4m3fn>, NONE>(args)
}
rows! {
    /// E5M2 times a scale.
    E5M2_F32: DecodeFn = "decode_e5m2f32", |args: &DecodeArgs|, decode::<V, Bytes<E5m2>, NONE>(args)
}

/// Codes of a vector of columns, as they lie.
trait Codes<V: HalfLanes> {
    /// Whether a byte is two steps of k.
    const NIBBLES: bool;
    /// A vector of them.
    type Bytes: Copy;

    /// The bytes, as the others take them.
    ///
    /// # Safety
    /// A vector of bytes can be read; compiled for `V`.
    unsafe fn load(from: *const u8) -> Self::Bytes;

    /// The numbers of the first step.
    ///
    /// # Safety
    /// Compiled for `V`.
    unsafe fn first(bytes: Self::Bytes) -> V::F32;

    /// Of nibbles, the numbers of the second step.
    ///
    /// # Safety
    /// Compiled for `V`.
    unsafe fn second(bytes: Self::Bytes) -> V::F32;
}

struct S4;
struct U4;
struct S8;
/// Two of E2M1 in a byte.
struct Fp4;
/// A float in a byte.
struct Bytes<F>(F);

impl<V: HalfLanes> Codes<V> for S4 {
    const NIBBLES: bool = true;
    type Bytes = V::I32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_i8(from.cast(), V::LANES) }
    }

    #[inline(always)]
    unsafe fn first(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f32_from_i32(V::shr_each(V::shl::<28>(bytes), V::splat_i32(28))) }
    }

    #[inline(always)]
    unsafe fn second(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract. The byte's sign is that of its upper nibble.
        unsafe { V::f32_from_i32(V::shr_each(bytes, V::splat_i32(4))) }
    }
}

impl<V: HalfLanes> Codes<V> for U4 {
    const NIBBLES: bool = true;
    type Bytes = V::I32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_u8(from, V::LANES) }
    }

    #[inline(always)]
    unsafe fn first(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f32_from_i32(V::and_i32(bytes, V::splat_i32(15))) }
    }

    #[inline(always)]
    unsafe fn second(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f32_from_i32(V::shr::<4>(bytes)) }
    }
}

impl<V: HalfLanes> Codes<V> for S8 {
    const NIBBLES: bool = false;
    type Bytes = V::I32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_i8(from.cast(), V::LANES) }
    }

    #[inline(always)]
    unsafe fn first(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f32_from_i32(bytes) }
    }

    #[inline(always)]
    unsafe fn second(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f32_from_i32(bytes) }
    }
}

impl<V: HalfLanes> Codes<V> for Fp4 {
    const NIBBLES: bool = true;
    type Bytes = V::I32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_u8(from, V::LANES) }
    }

    #[inline(always)]
    unsafe fn first(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract. Upper bits are not used.
        unsafe { E2m1::widen::<V>(bytes) }
    }

    #[inline(always)]
    unsafe fn second(bytes: V::I32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { E2m1::widen::<V>(V::shr::<4>(bytes)) }
    }
}

impl<V: HalfLanes, F: Float8> Codes<V> for Bytes<F> {
    const NIBBLES: bool = false;
    type Bytes = V::F32;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { F::load::<V>(from, V::LANES) }
    }

    #[inline(always)]
    unsafe fn first(bytes: V::F32) -> V::F32 {
        bytes
    }

    #[inline(always)]
    unsafe fn second(bytes: V::F32) -> V::F32 {
        bytes
    }
}

/// A code with its factors.
///
/// # Safety
/// Compiled for `V`.
#[inline(always)]
unsafe fn number<V: HalfLanes, const WITH: u8>(
    code: V::F32,
    scale: V::F32,
    with: V::F32,
) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        match WITH {
            OFFSET => V::mul(V::add(code, with), scale),
            MIN if V::FUSED => V::fma(code, scale, with),
            MIN => V::add(V::mul(code, scale), with),
            _ => V::mul(code, scale),
        }
    }
}

/// How far ahead codes are asked for.
const AHEAD: usize = 2048;

/// # Safety
/// As [`DecodeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn decode<V: HalfLanes, C: Codes<V>, const WITH: u8>(args: &DecodeArgs) {
    let DecodeArgs { mut codes, mut factors, first, block, mut k, nr, mut dst, .. } = *args;
    if !args.lhs.is_null() {
        // SAFETY: by this function's contract.
        return unsafe { multiply::<V, C, WITH>(args) };
    }
    let mut left = first;
    while k > 0 {
        let steps = left.min(k);
        let bytes = if C::NIBBLES { steps.div_ceil(2) } else { steps };
        let mut column = 0;
        while column < nr {
            // SAFETY: columns of the block's codes, factors and numbers, by this function's contract.
            unsafe {
                let scale = V::load_f32(factors.add(column), V::LANES);
                let mut with = scale;
                if WITH != NONE {
                    with = V::load_f32(factors.add(nr + column), V::LANES);
                }
                let (mut from, mut to) = (codes.add(column), dst.add(column));
                for _ in 0..bytes {
                    prefetch(from.wrapping_add(AHEAD));
                    let bytes = C::load(from);
                    let y = number::<V, WITH>(C::first(bytes), scale, with);
                    V::store_f32(to, y, V::LANES);
                    to = to.wrapping_add(nr);
                    if C::NIBBLES {
                        let y = number::<V, WITH>(C::second(bytes), scale, with);
                        V::store_f32(to, y, V::LANES);
                        to = to.wrapping_add(nr);
                    }
                    from = from.wrapping_add(nr);
                }
            }
            column += V::LANES;
        }
        codes = codes.wrapping_add(bytes * nr);
        factors = factors.wrapping_add(if WITH == NONE { nr } else { 2 * nr });
        dst = dst.wrapping_add(steps * nr);
        k -= steps;
        left = block;
    }
}

/// Vectors of columns at a time.
const CHAINS: usize = 4;

/// # Safety
/// As [`DecodeFn`], of a row, within an entry compiled for `V`.
#[inline(always)]
unsafe fn multiply<V: HalfLanes, C: Codes<V>, const WITH: u8>(args: &DecodeArgs) {
    let DecodeArgs { first, block, nr, panels, panel_stride, .. } = *args;
    let (mut panel, mut column) = (0, 0);
    while panel < panels {
        // The next vectors; behind the last one that one again.
        let mut places = [(panel, column); CHAINS];
        let mut last = (panel, column);
        for place in &mut places {
            if panel < panels {
                last = (panel, column);
                column += V::LANES;
                if column >= nr {
                    (panel, column) = (panel + 1, 0);
                }
            }
            *place = last;
        }
        // SAFETY: codes and factors of all steps of the panels' columns, the row's numbers, and sums, by this function's
        // contract.
        unsafe {
            let (mut codes, mut factors) = ([args.codes; CHAINS], [args.factors; CHAINS]);
            for (i, (panel, column)) in places.into_iter().enumerate() {
                codes[i & 3] = codes[i & 3].wrapping_add(panel * panel_stride + column);
                factors[i & 3] = factors[i & 3].wrapping_byte_add(panel * panel_stride);
                factors[i & 3] = factors[i & 3].wrapping_add(column);
            }
            let mut sums = [V::splat_f32(0.0); CHAINS];
            let (mut lhs, mut k, mut left) = (args.lhs, args.k, first);
            // Bytes of codes, and factors, from the first ones on.
            let (mut at, mut of_block) = (0, 0);
            while k > 0 {
                let steps = left.min(k);
                let mut scale = [V::splat_f32(0.0); CHAINS];
                let mut with = scale;
                for i in 0..CHAINS {
                    let from = factors[i].wrapping_add(of_block);
                    scale[i] = V::load_f32(from, V::LANES);
                    if WITH != NONE {
                        with[i] = V::load_f32(from.wrapping_add(nr), V::LANES);
                    }
                }
                let whole = if C::NIBBLES { steps / 2 } else { steps };
                for _ in 0..whole {
                    let x = V::splat_f32(lhs.read());
                    let next = V::splat_f32(lhs.wrapping_add(usize::from(C::NIBBLES)).read());
                    for i in 0..CHAINS {
                        let from = codes[i].wrapping_add(at);
                        if i % 2 == 0 {
                            prefetch(from.wrapping_add(AHEAD));
                        }
                        let bytes = C::load(from);
                        let w = number::<V, WITH>(C::first(bytes), scale[i], with[i]);
                        sums[i] = V::fma(x, w, sums[i]);
                        if C::NIBBLES {
                            let w = number::<V, WITH>(C::second(bytes), scale[i], with[i]);
                            sums[i] = V::fma(next, w, sums[i]);
                        }
                    }
                    lhs = lhs.wrapping_add(if C::NIBBLES { 2 } else { 1 });
                    at += nr;
                }
                if C::NIBBLES && steps % 2 == 1 {
                    let x = V::splat_f32(lhs.read());
                    for i in 0..CHAINS {
                        let bytes = C::load(codes[i].wrapping_add(at));
                        let w = number::<V, WITH>(C::first(bytes), scale[i], with[i]);
                        sums[i] = V::fma(x, w, sums[i]);
                    }
                }
                of_block += if WITH == NONE { nr } else { 2 * nr };
                k -= steps;
                left = block;
            }
            for (i, (panel, column)) in places.into_iter().enumerate() {
                V::store_f32(args.dst.wrapping_add(panel * nr + column), sums[i & 3], V::LANES);
            }
        }
    }
}
