//! Sums and products of two runs of codes, each with its own parameters, to codes with theirs: as
//! [`fewbit_scheme::add`] and [`fewbit_scheme::multiply`] define them.
//!
//! # The quick way, and why it is exact
//! The contract rounds four times and divides. Instead, four vectors at a time are computed twice, with results below and
//! above what the contract's quotient can be; where both round to the same integer, so does everything between, as
//! rounding is monotone, and that is the contract's answer for sure. The few other fours are computed as the contract says.
//!
//! **Sums.** Let `x = a - za`, `y = b - zb`, `T = (x sa + y sb) / s`, and `B = 2 m (sa + sb) / s`, where `m` is 128 for
//! s8 and 255 for u8: `|a|`, `|za|` and so on are at most `m`. The contract's quotient has four roundings of numbers that
//! are at most `B / 2` and a little, `|x sa| / s + |y sb| / s <= B`: it is off `T` by less than `3.1 * 2^-24 B`. Computed is
//! `fma(a, ra, fma(b, rb, c))` with `ra = sa / s`, `rb = sb / s`, `c = -za ra - zb rb ± d`, all rounded to f32, and `d =
//! 2^-21 B`: no intermediate is larger than `B`, and two factors, `c` and two fused operations round, which makes at most `4.1 *
//! 2^-24 B`. Both together are less than `d = 8 * 2^-24 B`, so that one result is at most the quotient, the other one at
//! least. (Where the scales' bounds below hold, nothing overflows, and what is lost to subnormal numbers is far less than
//! what is left of `d`.)
//!
//! **Products.** `p = x y` is exact in f32. The contract's quotient has four relative errors of 2^-24 and is less than
//! `4.1 * 2^-24` off `p (sa sb / s)`, relatively, if nothing is subnormal; `p r` with `r = sa sb / s (1 ± 2^-21)` rounded
//! is within `2.1 * 2^-24` of its own exact value, and `6.2 < 8`.

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_scheme::QuantParams;
use fewbit_simd::Lanes;

mod fixed;

pub use fixed::{
    ADD_FIXED_S8, ADD_FIXED_U8, AddFixedArgs, AddFixedFn, MULTIPLY_FIXED_S8, MULTIPLY_FIXED_U8,
    MultiplyFixedArgs, MultiplyFixedFn,
};

/// Rows of two operands.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// The first operands, contiguous in a row.
    pub a: *const u8,
    /// The second operands, contiguous in a row, or one a row.
    pub b: *const u8,
    /// Whether a row has one second operand for all.
    pub b_is_one: bool,
    /// The results, contiguous in a row; may be `a` or, unless it is one a row, `b`.
    pub dst: *mut u8,
    /// Elements of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Elements between the rows of `a`, `b` and `dst`.
    pub strides: [usize; 3],
}

/// Rows to add or multiply.
#[derive(Clone, Copy, Debug)]
pub struct BinaryArgs {
    /// The codes.
    pub operands: Operands,
    /// Parameters of `a`, `b` and `dst`, valid for the format.
    pub params: [QuantParams; 3],
    /// The smallest and the largest code to store, within the range of the codes.
    pub clamp: (i32, i32),
}

/// A kernel of this op.
///
/// # Safety
/// For every row and `i < n` the operands can be read and the result written; `dst` is one of the operands with the same
/// stride or does not overlap them, and its rows do not overlap each other. Nothing need be aligned.
pub type BinaryFn = unsafe fn(&BinaryArgs);

rows! {
    /// Sums of s8 codes.
    ADD_S8: BinaryFn = "add_s8s8", |args: &BinaryArgs|, binary::<V, Sum, true>(args)
}

rows! {
    /// Sums of u8 codes.
    ADD_U8: BinaryFn = "add_u8u8", |args: &BinaryArgs|, binary::<V, Sum, false>(args)
}

rows! {
    /// Products of s8 codes.
    MULTIPLY_S8: BinaryFn = "multiply_s8s8", |args: &BinaryArgs|, binary::<V, Product, true>(args)
}

rows! {
    /// Products of u8 codes.
    MULTIPLY_U8: BinaryFn = "multiply_u8u8", |args: &BinaryArgs|, binary::<V, Product, false>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(ADD_S8)
        .chain(infos(ADD_U8))
        .chain(infos(MULTIPLY_S8))
        .chain(infos(MULTIPLY_U8))
        .chain(infos(ADD_FIXED_S8))
        .chain(infos(ADD_FIXED_U8))
        .chain(infos(MULTIPLY_FIXED_S8))
        .chain(infos(MULTIPLY_FIXED_U8))
}

/// Loads `n` codes.
///
/// # Safety
/// Within an entry compiled for `V`; the codes can be read.
#[inline(always)]
unsafe fn load<V: Lanes, const SIGNED: bool>(from: *const u8, n: usize) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe { if SIGNED { V::load_i8(from.cast(), n) } else { V::load_u8(from, n) } }
}

/// The second operand of vectors.
trait Second<V: Lanes> {
    /// Those of the elements `first..first + n`.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the elements are of the row.
    unsafe fn at(&self, first: usize, n: usize) -> V::I32;
}

/// One an element.
struct EachOne<const SIGNED: bool>(*const u8);

impl<V: Lanes, const SIGNED: bool> Second<V> for EachOne<SIGNED> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> V::I32 {
        // SAFETY: the elements are of the row.
        unsafe { load::<V, SIGNED>(self.0.add(first), n) }
    }
}

/// The same for all.
struct One<V: Lanes>(V::I32);

impl<V: Lanes> Second<V> for One<V> {
    #[inline(always)]
    unsafe fn at(&self, _first: usize, _n: usize) -> V::I32 {
        self.0
    }
}

/// What is done with two numbers.
trait Operation {
    /// What the quick way needs, if there is one for the parameters.
    fn quick(params: &[QuantParams; 3], largest: f32) -> Option<[f32; 4]>;

    /// The operation, rounded.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn exact<V: Lanes>(a: V::F32, b: V::F32) -> V::F32;

    /// Numbers at most and at least the contract's quotient. `a` and `b` are codes.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `factors` are of [`quick`](Operation::quick).
    unsafe fn around<V: Lanes>(
        a: V::I32,
        b: V::I32,
        zeros: [V::I32; 2],
        factors: [V::F32; 4],
    ) -> [V::F32; 2];
}

/// Whether a scale is normal, and 2^10 times it finite.
fn is_ordinary(scale: f32) -> bool {
    (f32::MIN_POSITIVE..=f32::MAX / 1024.0).contains(&scale)
}

struct Sum;

impl Operation for Sum {
    #[inline(always)]
    fn quick([a, b, to]: &[QuantParams; 3], largest: f32) -> Option<[f32; 4]> {
        let (ra, rb) = (a.scale / to.scale, b.scale / to.scale);
        // So that all results are within i32 and `d` is far above the smallest numbers.
        let sizes = (1.0 / 1_048_576.0)..=1_048_576.0;
        let ordinary = is_ordinary(a.scale) && is_ordinary(b.scale) && is_ordinary(to.scale);
        if !ordinary || !sizes.contains(&(ra + rb)) {
            return None;
        }
        let bound = 2.0 * largest as f64 * (ra as f64 + rb as f64);
        let (d, offset) = (
            bound / (1 << 21) as f64,
            -(a.zero_point as f64 * ra as f64 + b.zero_point as f64 * rb as f64),
        );
        Some([ra, rb, (offset - d) as f32, (offset + d) as f32])
    }

    #[inline(always)]
    unsafe fn exact<V: Lanes>(a: V::F32, b: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::add(a, b) }
    }

    #[inline(always)]
    unsafe fn around<V: Lanes>(
        a: V::I32,
        b: V::I32,
        _zeros: [V::I32; 2],
        [ra, rb, below, above]: [V::F32; 4],
    ) -> [V::F32; 2] {
        // SAFETY: by this function's contract.
        unsafe {
            let (a, b) = (V::f32_from_i32(a), V::f32_from_i32(b));
            [V::fma(a, ra, V::fma(b, rb, below)), V::fma(a, ra, V::fma(b, rb, above))]
        }
    }
}

struct Product;

impl Operation for Product {
    #[inline(always)]
    fn quick([a, b, to]: &[QuantParams; 3], _largest: f32) -> Option<[f32; 4]> {
        let product = a.scale as f64 * b.scale as f64;
        let r = product / to.scale as f64;
        // So that no product is subnormal or infinite, and all results are within i32.
        let normal = (f32::MIN_POSITIVE as f64..=f32::MAX as f64 / 131_072.0).contains(&product);
        let ordinary = is_ordinary(a.scale) && is_ordinary(b.scale) && is_ordinary(to.scale);
        if !ordinary || !normal || !(1.0 / 1_048_576.0..=8192.0).contains(&r) {
            return None;
        }
        let part = 1.0 / (1 << 21) as f64;
        Some([(r * (1.0 - part)) as f32, (r * (1.0 + part)) as f32, 0.0, 0.0])
    }

    #[inline(always)]
    unsafe fn exact<V: Lanes>(a: V::F32, b: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::mul(a, b) }
    }

    #[inline(always)]
    unsafe fn around<V: Lanes>(
        a: V::I32,
        b: V::I32,
        [za, zb]: [V::I32; 2],
        [below, above, ..]: [V::F32; 4],
    ) -> [V::F32; 2] {
        // SAFETY: by this function's contract.
        unsafe {
            let (x, y) = (V::f32_from_i32(V::sub_i32(a, za)), V::f32_from_i32(V::sub_i32(b, zb)));
            let product = V::mul(x, y);
            [V::mul(product, below), V::mul(product, above)]
        }
    }
}

/// # Safety
/// As [`BinaryFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn binary<V: Lanes, O: Operation, const SIGNED: bool>(args: &BinaryArgs) {
    let BinaryArgs { operands, params, clamp } = args;
    let [from_a, from_b, to] = params;
    let (low, high) = (clamp.0 - to.zero_point, clamp.1 - to.zero_point);
    // SAFETY: by this function's contract.
    unsafe {
        let quick = match V::FUSED && operands.n >= 4 * V::LANES {
            true => O::quick(params, if SIGNED { 128.0 } else { 255.0 }),
            false => None,
        };
        let [f0, f1, f2, f3] = quick.unwrap_or([0.0; 4]);
        let numbers = Numbers::<V, O> {
            zeros: [V::splat_i32(from_a.zero_point), V::splat_i32(from_b.zero_point)],
            scales: [
                V::splat_f32(from_a.scale),
                V::splat_f32(from_b.scale),
                V::splat_f32(to.scale),
            ],
            low: V::splat_f32(low as f32),
            high: V::splat_f32(high as f32),
            bounds: [V::splat_i32(low), V::splat_i32(high)],
            zero_point: V::splat_i32(to.zero_point),
            factors: [V::splat_f32(f0), V::splat_f32(f1), V::splat_f32(f2), V::splat_f32(f3)],
            is_quick: quick.is_some(),
            operation: PhantomData,
        };
        // Storing bytes saturates, so that all codes need no clamp: a fifth of the work.
        let all = if SIGNED { (-128, 127) } else { (0, 255) };
        match (operands.b_is_one, *clamp == all) {
            (false, true) => each_row::<V, O, SIGNED, false, true>(operands, &numbers),
            (false, false) => each_row::<V, O, SIGNED, false, false>(operands, &numbers),
            (true, true) => each_row::<V, O, SIGNED, true, true>(operands, &numbers),
            (true, false) => each_row::<V, O, SIGNED, true, false>(operands, &numbers),
        }
    }
}

/// # Safety
/// As [`binary`]; `ONE` is `operands.b_is_one`, and `ALL` that the bounds are all codes.
#[inline(always)]
unsafe fn each_row<V: Lanes, O: Operation, const SIGNED: bool, const ONE: bool, const ALL: bool>(
    operands: &Operands,
    numbers: &Numbers<V, O>,
) {
    let Operands { a, b, dst, n, rows, strides: [by_a, by_b, by_dst], .. } = *operands;
    if n == 0 {
        return;
    }
    for row in 0..rows {
        // SAFETY: by this function's contract.
        unsafe {
            let (a, b, dst) = (a.add(row * by_a), b.add(row * by_b), dst.add(row * by_dst));
            if ONE {
                let second = One::<V>(load_one::<V, SIGNED>(b));
                let op = Binary::<V, O, _, SIGNED, ALL> { numbers, second };
                run(&op, a, 1, dst, 1, n, None);
            } else {
                let op = Binary::<V, O, _, SIGNED, ALL> { numbers, second: EachOne::<SIGNED>(b) };
                run(&op, a, 1, dst, 1, n, None);
            }
        }
    }
}

/// One code in all lanes.
///
/// # Safety
/// Within an entry compiled for `V`; the code can be read.
#[inline(always)]
unsafe fn load_one<V: Lanes, const SIGNED: bool>(from: *const u8) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe {
        let code = from.read();
        V::splat_i32(if SIGNED { code as i8 as i32 } else { code as i32 })
    }
}

/// The parameters, in vectors.
struct Numbers<V: Lanes, O> {
    zeros: [V::I32; 2],
    scales: [V::F32; 3],
    /// The steps of the smallest and the largest code.
    low: V::F32,
    high: V::F32,
    bounds: [V::I32; 2],
    zero_point: V::I32,
    factors: [V::F32; 4],
    is_quick: bool,
    operation: PhantomData<O>,
}

struct Binary<'a, V: Lanes, O, B, const SIGNED: bool, const ALL: bool> {
    numbers: &'a Numbers<V, O>,
    second: B,
}

impl<V: Lanes, O: Operation, B: Second<V>, const SIGNED: bool, const ALL: bool>
    Binary<'_, V, O, B, SIGNED, ALL>
{
    /// Steps of the quick way, within the bounds or, for all codes, at most 2^30; gathers the bits in which those that round up from the other side
    /// differ.
    ///
    /// # Safety
    /// As [`Step::step`], for a whole vector.
    #[inline(always)]
    unsafe fn steps(&self, src: *const u8, first: usize, differ: &mut V::I32) -> V::I32 {
        let Numbers { zeros, factors, bounds: [low, high], .. } = *self.numbers;
        // SAFETY: by this function's contract.
        unsafe {
            let (a, b) = (load::<V, SIGNED>(src, V::LANES), self.second.at(first, V::LANES));
            let [below, above] = O::around::<V>(a, b, zeros, factors);
            let steps = V::nearest_i32(below);
            *differ = V::or_xor(*differ, steps, V::nearest_i32(above));
            if ALL { steps } else { V::min_i32(V::max_i32(steps, low), high) }
        }
    }
}

impl<V: Lanes, O: Operation, B: Second<V>, const SIGNED: bool, const ALL: bool> Step
    for Binary<'_, V, O, B, SIGNED, ALL>
{
    type Src = u8;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const u8, dst: *mut u8, first: usize, n: usize) {
        let Numbers { zeros: [za, zb], scales: [sa, sb, s], low, high, zero_point, .. } =
            *self.numbers;
        // SAFETY: by the contract of `Step::step`; the second operands are as many as the first.
        unsafe {
            let (a, b) = (load::<V, SIGNED>(src, n), self.second.at(first, n));
            let a = V::mul(V::f32_from_i32(V::sub_i32(a, za)), sa);
            let b = V::mul(V::f32_from_i32(V::sub_i32(b, zb)), sb);
            let t = V::replace_nan(V::div(O::exact::<V>(a, b), s), V::splat_f32(0.0));
            let t = V::min(V::max(t, low), high);
            V::store_u8(dst, V::add_i32(V::nearest_i32(t), zero_point), n);
        }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const u8,
        dst: *mut u8,
        first: usize,
    ) -> bool {
        if !self.numbers.is_quick {
            return false;
        }
        // SAFETY: by the contract of `Step::step_4`. All is read before anything is written.
        unsafe {
            let mut differ = V::splat_i32(0);
            let at = V::LANES;
            let steps = [
                self.steps(src, first, &mut differ),
                self.steps(src.add(at), first + at, &mut differ),
                self.steps(src.add(2 * at), first + 2 * at, &mut differ),
                self.steps(src.add(3 * at), first + 3 * at, &mut differ),
            ];
            if !V::is_zero(differ) {
                return false;
            }
            if SIGNED {
                V::store_s8_sums_of_4::<STREAM>(dst.cast(), steps, self.numbers.zero_point);
            } else {
                V::store_u8_sums_of_4::<STREAM>(dst, steps, self.numbers.zero_point);
            }
        }
        true
    }
}
