//! Activation functions of real results: what [`fewbit_scheme::Activation`] computes, operation by operation,
//! a vector at a time.
//!
//! All of a function's branches are selections between vectors. Cost in operations a vector: sigmoid 24 and a
//! division, tanh 18 and a division, GELU 34 and a division.

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_scheme::Activation;
use fewbit_scheme::activation::{
    EXP, EXP_END, GELU_CUBE, GELU_END, GELU_LINE, LN_2, LN_2_REST, LOG2_E, SIXTH, TAIL,
    TAIL_MIDDLE, TANH_END,
};
use fewbit_simd::Lanes;

/// A run of numbers.
#[derive(Clone, Copy, Debug)]
pub struct ActivateArgs {
    /// The numbers.
    pub src: *const f32,
    /// The function's values; may be `src`.
    pub dst: *mut f32,
    /// The number of elements.
    pub n: usize,
    /// For leaky ReLU the slope; for clamp the smallest result.
    pub alpha: f32,
    /// For clamp the largest result.
    pub beta: f32,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `src + i` can be read and `dst + i` written; the two runs are the same or do not overlap.
/// Nothing need be aligned. Without elements no pointer is used.
pub type ActivateFn = unsafe fn(&ActivateArgs);

rows! {
    /// `max(0, y)`, of two zeros y.
    RELU: ActivateFn = "relu_f32", |args: &ActivateArgs|, activate::<V, Relu>(args)
}
rows! {
    /// `min(max(y, alpha), beta)`.
    CLAMP: ActivateFn = "clamp_f32", |args: &ActivateArgs|, activate::<V, Clamp>(args)
}
rows! {
    /// `y`, or `alpha * y` where y is negative.
    LEAKY_RELU: ActivateFn = "leaky_relu_f32", |args: &ActivateArgs|, activate::<V, LeakyRelu>(args)
}
rows! {
    /// Hard-swish.
    HARD_SWISH: ActivateFn = "hard_swish_f32", |args: &ActivateArgs|, activate::<V, HardSwish>(args)
}
rows! {
    /// Sigmoid.
    SIGMOID: ActivateFn = "sigmoid_f32", |args: &ActivateArgs|, activate::<V, Sigmoid>(args)
}
rows! {
    /// SiLU.
    SILU: ActivateFn = "silu_f32", |args: &ActivateArgs|, activate::<V, Silu>(args)
}
rows! {
    /// Hyperbolic tangent.
    TANH: ActivateFn = "tanh_f32", |args: &ActivateArgs|, activate::<V, Tanh>(args)
}
rows! {
    /// GELU, the exact form.
    GELU: ActivateFn = "gelu_f32", |args: &ActivateArgs|, activate::<V, Gelu>(args)
}
rows! {
    /// GELU, the tanh form.
    GELU_TANH: ActivateFn = "gelu_tanh_f32", |args: &ActivateArgs|, activate::<V, GeluTanh>(args)
}

/// Every table of this op, with what it computes (the parameters stand for any).
pub static TABLES: [(&[crate::registry::Row<ActivateFn>], Activation); 9] = [
    (RELU, Activation::Relu),
    (CLAMP, Activation::Clamp { low: 0.0, high: 6.0 }),
    (LEAKY_RELU, Activation::LeakyRelu { slope: 0.01 }),
    (HARD_SWISH, Activation::HardSwish),
    (SIGMOID, Activation::Sigmoid),
    (SILU, Activation::Silu),
    (TANH, Activation::Tanh),
    (GELU, Activation::Gelu),
    (GELU_TANH, Activation::GeluTanh),
];

/// The table of a function, with its parameters; none for the identity.
pub fn table(
    activation: Activation,
) -> Option<(&'static [crate::registry::Row<ActivateFn>], f32, f32)> {
    let of = |rows| Some((rows, 0.0, 0.0));
    match activation {
        Activation::None => None,
        Activation::Relu => of(RELU),
        Activation::Clamp { low, high } => Some((CLAMP, low, high)),
        Activation::LeakyRelu { slope } => Some((LEAKY_RELU, slope, 0.0)),
        Activation::HardSwish => of(HARD_SWISH),
        Activation::Sigmoid => of(SIGMOID),
        Activation::Silu => of(SILU),
        Activation::Tanh => of(TANH),
        Activation::Gelu => of(GELU),
        Activation::GeluTanh => of(GELU_TANH),
    }
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    TABLES.iter().flat_map(|(rows, _)| infos(rows))
}

/// A function of each lane.
trait Function {
    /// # Safety
    /// Compiled for `V`.
    unsafe fn of<V: Lanes>(x: V::F32, args: &ActivateArgs) -> V::F32;
}

/// # Safety
/// As [`ActivateFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn activate<V: Lanes, F: Function>(args: &ActivateArgs) {
    let op = Apply::<V, F> { args: *args, of: PhantomData };
    // SAFETY: by this function's contract.
    unsafe { run(&op, args.src, 1, args.dst, 1, args.n, None) }
}

struct Apply<V, F> {
    args: ActivateArgs,
    of: PhantomData<(V, F)>,
}

impl<V: Lanes, F: Function> Step for Apply<V, F> {
    type Src = f32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut f32, _: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let x = V::load_f32(src, n);
            let nan = V::splat_f32(f32::from_bits(0x7FC0_0000));
            let y = V::replace_nan(F::of::<V>(x, &self.args), nan);
            // A NaN before is one after.
            let magnitude = V::and_i32(V::bits(x), V::splat_i32(i32::MAX));
            let infinity = V::splat_i32(0x7F80_0000);
            let y = V::select_gt(magnitude, infinity, V::bits(nan), V::bits(y));
            V::store_f32(dst, V::from_bits(y), n);
        }
    }
}

/// One function: its chain of operations on vectors.
macro_rules! function {
    ($(#[$doc:meta])* $name:ident, |$x:ident, $args:ident| $body:expr) => {
        $(#[$doc])*
        struct $name;

        impl Function for $name {
            #[inline(always)]
            unsafe fn of<V: Lanes>($x: V::F32, $args: &ActivateArgs) -> V::F32 {
                // SAFETY: the caller is compiled for `V`.
                unsafe { $body }
            }
        }
    };
}

function!(Relu, |x, _args| V::max(V::splat_f32(0.0), x));
function!(Clamp, |x, args| clamp::<V>(x, args.alpha, args.beta));
function!(LeakyRelu, |x, args| {
    let below = V::mul(V::splat_f32(args.alpha), x);
    by_sign::<V>(x, below, x)
});
function!(HardSwish, |x, _args| {
    let share = clamp::<V>(V::add(x, V::splat_f32(3.0)), 0.0, 6.0);
    V::mul(V::max(x, V::splat_f32(-3.0)), V::mul(share, V::splat_f32(SIXTH)))
});
function!(Sigmoid, |x, _args| {
    let (share, n) = logistic::<V>(x);
    scaled::<V>(share, n)
});
function!(Silu, |x, _args| silu::<V>(x, x));
function!(Tanh, |x, _args| {
    let twice = V::min(V::mul(magnitude::<V>(x), V::splat_f32(2.0)), V::splat_f32(TANH_END));
    let (n, r) = reduced::<V>(minus::<V>(twice));
    let p = power::<V>(V::i32_from_f32(n));
    let e = V::fma(p, expm1::<V>(r), V::add(p, V::splat_f32(-1.0)));
    let y = magnitude::<V>(V::div(e, V::add(V::splat_f32(2.0), e)));
    let sign = V::and_i32(V::bits(x), V::splat_i32(i32::MIN));
    V::from_bits(V::or_i32(V::bits(y), sign))
});
function!(Gelu, |x, _args| {
    let z = V::min(magnitude::<V>(x), V::splat_f32(GELU_END));
    let square = V::mul(z, z);
    let rest = V::fma(z, z, minus::<V>(square));
    let half = V::splat_f32(-0.5);
    let (n, r) = reduced::<V>(V::mul(square, half));
    let p = V::add(V::splat_f32(1.0), expm1::<V>(V::fma(rest, half, r)));
    let middle = V::splat_f32(TAIL_MIDDLE);
    let t = V::div(V::add(z, V::splat_f32(-TAIL_MIDDLE)), V::add(z, middle));
    let [others @ .., last] = TAIL;
    let mut tail = V::splat_f32(last);
    for c in others.into_iter().rev() {
        tail = V::fma(tail, t, V::splat_f32(c));
    }
    let w = scaled::<V>(V::mul(z, V::mul(tail, p)), V::i32_from_f32(n));
    V::add(V::max(x, V::splat_f32(0.0)), minus::<V>(w))
});
function!(GeluTanh, |x, _args| {
    let cube = V::fma(V::mul(x, x), V::splat_f32(GELU_CUBE), V::splat_f32(GELU_LINE));
    silu::<V>(x, V::mul(x, cube))
});

// What the functions share; the names and chains are those of the scheme crate.

/// # Safety
/// Compiled for `V`, as all below.
#[inline(always)]
unsafe fn clamp<V: Lanes>(x: V::F32, low: f32, high: f32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::min(V::max(x, V::splat_f32(low)), V::splat_f32(high)) }
}

#[inline(always)]
unsafe fn magnitude<V: Lanes>(x: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::from_bits(V::and_i32(V::bits(x), V::splat_i32(i32::MAX))) }
}

#[inline(always)]
pub(crate) unsafe fn minus<V: Lanes>(x: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::from_bits(V::or_xor(V::splat_i32(0), V::bits(x), V::splat_i32(i32::MIN))) }
}

/// `below` where the sign of x is set, else `above`.
#[inline(always)]
unsafe fn by_sign<V: Lanes>(x: V::F32, below: V::F32, above: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let (below, above) = (V::bits(below), V::bits(above));
        V::from_bits(V::select_gt(V::splat_i32(0), V::bits(x), below, above))
    }
}

#[inline(always)]
unsafe fn power<V: Lanes>(n: V::I32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe { V::from_bits(V::shl::<23>(V::add_i32(n, V::splat_i32(127)))) }
}

#[inline(always)]
unsafe fn scaled<V: Lanes>(v: V::F32, n: V::I32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let first = V::max_i32(n, V::splat_i32(-100));
        V::mul(V::mul(v, power::<V>(first)), power::<V>(V::sub_i32(n, first)))
    }
}

#[inline(always)]
unsafe fn reduced<V: Lanes>(x: V::F32) -> (V::F32, V::F32) {
    // SAFETY: by this function's contract.
    unsafe {
        let n = V::round_half_even(V::mul(x, V::splat_f32(LOG2_E)));
        let r = V::fma(n, V::splat_f32(-LN_2), x);
        (n, V::fma(n, V::splat_f32(-LN_2_REST), r))
    }
}

#[inline(always)]
unsafe fn expm1<V: Lanes>(r: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let [c0, c1, c2, c3, c4] = EXP;
        let mut q = V::splat_f32(c4);
        for c in [c3, c2, c1, c0] {
            q = V::fma(q, r, V::splat_f32(c));
        }
        V::fma(V::mul(r, r), q, r)
    }
}

#[inline(always)]
unsafe fn logistic<V: Lanes>(x: V::F32) -> (V::F32, V::I32) {
    // SAFETY: by this function's contract.
    unsafe {
        let one = V::splat_f32(1.0);
        let z = V::min(magnitude::<V>(x), V::splat_f32(EXP_END));
        let (n, r) = reduced::<V>(minus::<V>(z));
        let (p, n) = (V::add(one, expm1::<V>(r)), V::i32_from_f32(n));
        let below = V::add(one, scaled::<V>(p, n));
        let share = V::div(by_sign::<V>(x, p, one), below);
        let zero = V::splat_i32(0);
        (share, V::select_gt(zero, V::bits(x), n, zero))
    }
}

#[inline(always)]
unsafe fn silu<V: Lanes>(x: V::F32, t: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let (share, n) = logistic::<V>(t);
        scaled::<V>(V::mul(V::max(x, V::splat_f32(-EXP_END)), share), n)
    }
}
