//! The fixed-point modes, in integers: the steps of [`fewbit_scheme::add_fixed`] and [`fewbit_scheme::multiply_fixed`], a
//! lane each.

use super::{EachOne, One, Operands, Second, load, load_one};
use crate::elementwise::{Step, rows, run};
use crate::requantize::{Double, Product};
use fewbit_scheme::{ADD_SHIFT, AddMultipliers, FixedMultiplier};
use fewbit_simd::Lanes;

/// Rows to add.
#[derive(Clone, Copy, Debug)]
pub struct AddFixedArgs {
    /// The codes.
    pub operands: Operands,
    /// Zero points of `a`, `b` and `dst`, codes of the format.
    pub zero_points: [i32; 3],
    /// The multipliers, valid and with shifts of at most 0.
    pub multipliers: AddMultipliers,
    /// The smallest and the largest code to store, within the range of the codes.
    pub clamp: (i32, i32),
}

/// Rows to multiply.
#[derive(Clone, Copy, Debug)]
pub struct MultiplyFixedArgs {
    /// The codes.
    pub operands: Operands,
    /// Zero points of `a`, `b` and `dst`, codes of the format.
    pub zero_points: [i32; 3],
    /// The multiplier of products, valid.
    pub multiplier: FixedMultiplier,
    /// The smallest and the largest code to store, within the range of the codes.
    pub clamp: (i32, i32),
}

/// A kernel of sums.
///
/// # Safety
/// As [`BinaryFn`](super::BinaryFn).
pub type AddFixedFn = unsafe fn(&AddFixedArgs);

/// A kernel of products.
///
/// # Safety
/// As [`BinaryFn`](super::BinaryFn).
pub type MultiplyFixedFn = unsafe fn(&MultiplyFixedArgs);

rows! {
    /// Sums of s8 codes in integers.
    ADD_FIXED_S8: AddFixedFn = "add_fixed_s8s8", |args: &AddFixedArgs|, add::<V, true>(args)
}

rows! {
    /// Sums of u8 codes in integers.
    ADD_FIXED_U8: AddFixedFn = "add_fixed_u8u8", |args: &AddFixedArgs|, add::<V, false>(args)
}

rows! {
    /// Products of s8 codes in integers.
    MULTIPLY_FIXED_S8: MultiplyFixedFn = "multiply_fixed_s8s8", |args: &MultiplyFixedArgs|,
    multiply::<V, true>(args)
}

rows! {
    /// Products of u8 codes in integers.
    MULTIPLY_FIXED_U8: MultiplyFixedFn = "multiply_fixed_u8u8", |args: &MultiplyFixedArgs|,
    multiply::<V, false>(args)
}

/// A multiplier in vectors.
#[derive(Clone, Copy)]
struct Multiplier<V: Lanes> {
    multiplier: V::I32,
    shift: V::I32,
}

impl<V: Lanes> Multiplier<V> {
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn new(of: FixedMultiplier) -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            Multiplier { multiplier: V::splat_i32(of.multiplier), shift: V::splat_i32(of.shift) }
        }
    }

    /// # Safety
    /// Within an entry compiled for `V`; the multiplier is valid.
    #[inline(always)]
    unsafe fn apply(&self, x: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { Double::product::<V>(x, self.multiplier, self.shift) }
    }
}

/// What becomes of two differences of codes and zero points.
trait Steps<V: Lanes> {
    /// Steps of the result.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn steps(&self, x: V::I32, y: V::I32) -> V::I32;
}

struct Sum<V: Lanes> {
    a: Multiplier<V>,
    b: Multiplier<V>,
    sum: Multiplier<V>,
}

impl<V: Lanes> Steps<V> for Sum<V> {
    #[inline(always)]
    unsafe fn steps(&self, x: V::I32, y: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let a = self.a.apply(V::shl::<ADD_SHIFT>(x));
            let b = self.b.apply(V::shl::<ADD_SHIFT>(y));
            self.sum.apply(V::add_i32(a, b))
        }
    }
}

struct Scaled<V: Lanes>(Multiplier<V>);

impl<V: Lanes> Steps<V> for Scaled<V> {
    #[inline(always)]
    unsafe fn steps(&self, x: V::I32, y: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            // At most 255 * 255: exact.
            let product = V::mul(V::f32_from_i32(x), V::f32_from_i32(y));
            self.0.apply(V::i32_from_f32(product))
        }
    }
}

/// # Safety
/// As [`AddFixedFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn add<V: Lanes, const SIGNED: bool>(args: &AddFixedArgs) {
    let AddMultipliers { a, b, sum } = args.multipliers;
    // SAFETY: by this function's contract.
    unsafe {
        let steps =
            Sum::<V> { a: Multiplier::new(a), b: Multiplier::new(b), sum: Multiplier::new(sum) };
        each_row::<V, _, SIGNED>(&args.operands, steps, args.zero_points, args.clamp);
    }
}

/// # Safety
/// As [`MultiplyFixedFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn multiply<V: Lanes, const SIGNED: bool>(args: &MultiplyFixedArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        let steps = Scaled::<V>(Multiplier::new(args.multiplier));
        each_row::<V, _, SIGNED>(&args.operands, steps, args.zero_points, args.clamp);
    }
}

/// # Safety
/// As [`AddFixedFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn each_row<V: Lanes, S: Steps<V>, const SIGNED: bool>(
    operands: &Operands,
    steps: S,
    [za, zb, zero_point]: [i32; 3],
    clamp: (i32, i32),
) {
    let Operands { a, b, b_is_one, dst, n, rows, strides: [by_a, by_b, by_dst] } = *operands;
    if n == 0 {
        return;
    }
    // SAFETY: by this function's contract.
    unsafe {
        let numbers = Numbers::<V, S> {
            zeros: [V::splat_i32(za), V::splat_i32(zb), V::splat_i32(zero_point)],
            bounds: [
                V::splat_i32(clamp.0.wrapping_sub(zero_point)),
                V::splat_i32(clamp.1.wrapping_sub(zero_point)),
            ],
            steps,
        };
        for row in 0..rows {
            let (a, b, dst) = (a.add(row * by_a), b.add(row * by_b), dst.add(row * by_dst));
            if b_is_one {
                let second = One::<V>(load_one::<V, SIGNED>(b));
                let op = Fixed::<V, S, _, SIGNED> { numbers: &numbers, second };
                run(&op, a, 1, dst, 1, n, None);
            } else {
                let second = EachOne::<SIGNED>(b);
                let op = Fixed::<V, S, _, SIGNED> { numbers: &numbers, second };
                run(&op, a, 1, dst, 1, n, None);
            }
        }
    }
}

/// The parameters, in vectors.
struct Numbers<V: Lanes, S> {
    zeros: [V::I32; 3],
    bounds: [V::I32; 2],
    steps: S,
}

struct Fixed<'a, V: Lanes, S, B, const SIGNED: bool> {
    numbers: &'a Numbers<V, S>,
    second: B,
}

impl<V: Lanes, S: Steps<V>, B: Second<V>, const SIGNED: bool> Step for Fixed<'_, V, S, B, SIGNED> {
    type Src = u8;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const u8, dst: *mut u8, first: usize, n: usize) {
        let Numbers { zeros: [za, zb, zero_point], bounds: [low, high], steps } = self.numbers;
        // SAFETY: by the contract of `Step::step`; the second operands are as many as the first.
        unsafe {
            let x = V::sub_i32(load::<V, SIGNED>(src, n), *za);
            let y = V::sub_i32(self.second.at(first, n), *zb);
            let steps = V::min_i32(V::max_i32(steps.steps(x, y), *low), *high);
            V::store_u8(dst, V::add_i32(steps, *zero_point), n);
        }
    }

    /// Nothing: the long steps, four at a time, would be copies of code that gain nothing.
    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        _src: *const u8,
        _dst: *mut u8,
        _first: usize,
    ) -> bool {
        false
    }
}
