//! Vectors for ops that work element by element: one small trait, one file an instruction set.
//!
//! A kernel's body is written once, generic over [`Lanes`], `#[inline(always)]` and without target
//! features; an entry function that carries `#[target_feature]` instantiates it. (Stable Rust does
//! not allow both attributes on one function.) A method called outside such an entry would be
//! compiled into calls and, worse, pass vectors by another convention: so all methods are `unsafe`.

pub(crate) mod partial;
mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::Neon;
pub use scalar::Scalar;

/// Vectors of 32-bit lanes.
///
/// Loads and stores take `n`, the number of elements in memory, `1..=LANES`, and touch those
/// elements only, at any alignment; with `n` a constant `LANES` they are the plain instruction. A
/// load's other lanes are zero.
///
/// # Safety
/// An implementation's methods must do as documented here on every CPU with the implementation's
/// instruction set, and access no memory but the `n` elements.
///
/// The methods' shared contract: the caller is compiled for the instruction set and the CPU has it;
/// pointers are valid for `n` elements. Arithmetic assumes the default floating-point environment.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Lanes: Copy + 'static {
    /// A vector of f32.
    type F32: Copy;
    /// A vector of i32.
    type I32: Copy;
    /// The number of lanes.
    const LANES: usize;
    /// Whether [`fma`](Lanes::fma) is an instruction: where it is not, its cost is that of dozens.
    const FUSED: bool;
    /// Whether the `stream_` methods go around the caches; otherwise they are stores.
    const STREAMS: bool;

    /// Loads `n` f32.
    unsafe fn load_f32(from: *const f32, n: usize) -> Self::F32;
    /// Loads `n` i32.
    unsafe fn load_i32(from: *const i32, n: usize) -> Self::I32;
    /// Loads `n` u8 and zero-extends them.
    unsafe fn load_u8(from: *const u8, n: usize) -> Self::I32;
    /// Loads `n` i8 and sign-extends them.
    unsafe fn load_i8(from: *const i8, n: usize) -> Self::I32;
    /// Stores `n` f32.
    unsafe fn store_f32(to: *mut f32, v: Self::F32, n: usize);
    /// Stores `n` i32.
    unsafe fn store_i32(to: *mut i32, v: Self::I32, n: usize);
    /// Stores the low bytes of `n` lanes.
    unsafe fn store_u8(to: *mut u8, v: Self::I32, n: usize);

    /// `v` in every lane.
    unsafe fn splat_f32(v: f32) -> Self::F32;
    /// `v` in every lane.
    unsafe fn splat_i32(v: i32) -> Self::I32;

    /// `a + b`, rounded to nearest even.
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`, rounded to nearest even.
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once, to nearest even.
    unsafe fn fma(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `a / b`, rounded to nearest even.
    unsafe fn div(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a < b { a } else { b }`: with a NaN, or with two zeros, `b`.
    unsafe fn min(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a > b { a } else { b }`: with a NaN, or with two zeros, `b`.
    unsafe fn max(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a is NaN { b } else { a }`.
    unsafe fn replace_nan(a: Self::F32, b: Self::F32) -> Self::F32;
    /// The nearest integer, the even one of two. The zero's sign and a NaN's bits are unspecified.
    unsafe fn round_half_even(a: Self::F32) -> Self::F32;
    /// The nearest integer, of two that farther from zero, for `|a| <= 2^22`. The zero's sign is
    /// unspecified.
    unsafe fn round_half_away(a: Self::F32) -> Self::F32;

    /// The integer towards zero; lanes hold numbers within i32, or the lane is unspecified.
    unsafe fn i32_from_f32(a: Self::F32) -> Self::I32;
    /// The nearest integer, of two the even one; lanes hold numbers that round to an i32, or the lane is
    /// unspecified.
    unsafe fn nearest_i32(a: Self::F32) -> Self::I32;
    /// The nearest f32, ties to even.
    unsafe fn f32_from_i32(a: Self::I32) -> Self::F32;
    /// `a + b` modulo 2^32.
    unsafe fn add_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a - b` modulo 2^32.
    unsafe fn sub_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// The smaller, signed.
    unsafe fn min_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// The larger, signed.
    unsafe fn max_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// `acc | (a ^ b)`: gathers the bits in which vectors differ.
    unsafe fn or_xor(acc: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a | b`.
    unsafe fn or_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a & b`.
    unsafe fn and_i32(a: Self::I32, b: Self::I32) -> Self::I32;
    /// Whether all lanes are 0.
    unsafe fn is_zero(a: Self::I32) -> bool;
    /// Whether all lanes of `a` are 0 and none of `x` is NaN.
    unsafe fn is_zero_without_nan(a: Self::I32, x: [Self::F32; 4]) -> bool;
    /// The f32's bits.
    unsafe fn bits(a: Self::F32) -> Self::I32;
    /// The f32 of those bits.
    unsafe fn from_bits(a: Self::I32) -> Self::F32;
    /// `a << N`, `N < 32`.
    unsafe fn shl<const N: u32>(a: Self::I32) -> Self::I32;
    /// `a >> N` of the unsigned value, `N < 32`.
    unsafe fn shr<const N: u32>(a: Self::I32) -> Self::I32;
    /// `a << n`, each lane by its own `n`, 0..=31.
    unsafe fn shl_each(a: Self::I32, n: Self::I32) -> Self::I32;
    /// `a >> n` of the signed value, each lane by its own `n`, 0..=31.
    unsafe fn shr_each(a: Self::I32, n: Self::I32) -> Self::I32;
    /// The entries of a table that the low three bits of each lane name.
    unsafe fn lookup_8(table: &[f32; 8], index: Self::I32) -> Self::F32;
    /// `floor(a * b / 2^n + 1/2)` of the exact product, the nearest i32; each lane by its own `n`, 1..=62.
    /// The product is at most 2^62 in magnitude less 2^31: not both are `i32::MIN`.
    unsafe fn mul_round_shr(a: Self::I32, b: Self::I32, n: Self::I32) -> Self::I32;
    /// `if a > b { c } else { d }`, signed.
    unsafe fn select_gt(a: Self::I32, b: Self::I32, c: Self::I32, d: Self::I32) -> Self::I32;
    /// The smallest lane; no lane is NaN. Of zeros, any.
    unsafe fn min_across(a: Self::F32) -> f32;
    /// The largest lane; no lane is NaN. Of zeros, any.
    unsafe fn max_across(a: Self::F32) -> f32;
    /// The smallest lane.
    unsafe fn min_across_i32(a: Self::I32) -> i32;
    /// The largest lane.
    unsafe fn max_across_i32(a: Self::I32) -> i32;
    /// The sum of the lanes modulo 2^32.
    unsafe fn sum_across_i32(a: Self::I32) -> i32;
    /// Adds `4 * LANES` unsigned bytes, each first xored with that of `flip` that is in its place (all
    /// lanes of it are the same), to lanes of `acc` modulo 2^32; which byte to which lane is unspecified.
    unsafe fn add_bytes(acc: Self::I32, from: *const u8, flip: Self::I32) -> Self::I32;
    /// Stores four vectors as bytes one behind the other, each lane the nearest s8. With `STREAM` around the
    /// caches, at an address aligned to 64 bytes or to the vector.
    unsafe fn store_s8_of_4<const STREAM: bool>(to: *mut i8, v: [Self::I32; 4]);
    /// Stores four vectors as bytes one behind the other, each lane the nearest u8, xored with the byte that `flip`
    /// (all lanes of it are the same) has in its place. With `STREAM` as [`store_s8_of_4`](Lanes::store_s8_of_4).
    unsafe fn store_bytes_of_4<const STREAM: bool>(to: *mut u8, v: [Self::I32; 4], flip: Self::I32);
    /// Stores `v + add`, each the nearest s8, as [`store_s8_of_4`](Lanes::store_s8_of_4). Lanes of `add` are the
    /// same, -255..=255; lanes of `v` are at most 2^30 in magnitude.
    #[inline(always)]
    unsafe fn store_s8_sums_of_4<const STREAM: bool>(
        to: *mut i8,
        [a, b, c, d]: [Self::I32; 4],
        add: Self::I32,
    ) {
        // SAFETY: by the contract of `Lanes`.
        unsafe {
            let sums = [
                Self::add_i32(a, add),
                Self::add_i32(b, add),
                Self::add_i32(c, add),
                Self::add_i32(d, add),
            ];
            Self::store_s8_of_4::<STREAM>(to, sums);
        }
    }
    /// Stores `v + add`, each the nearest u8, as [`store_s8_sums_of_4`](Lanes::store_s8_sums_of_4).
    #[inline(always)]
    unsafe fn store_u8_sums_of_4<const STREAM: bool>(
        to: *mut u8,
        v: [Self::I32; 4],
        add: Self::I32,
    ) {
        // SAFETY: by the contract of `Lanes`.
        unsafe { Self::store_byte_sums_of_4::<STREAM>(to, v, add, Self::splat_i32(0)) }
    }
    /// Stores `v + add` as [`store_bytes_of_4`](Lanes::store_bytes_of_4); both are within what
    /// [`store_s8_sums_of_4`](Lanes::store_s8_sums_of_4) says.
    #[inline(always)]
    unsafe fn store_byte_sums_of_4<const STREAM: bool>(
        to: *mut u8,
        [a, b, c, d]: [Self::I32; 4],
        add: Self::I32,
        flip: Self::I32,
    ) {
        // SAFETY: by the contract of `Lanes`.
        unsafe {
            let sums = [
                Self::add_i32(a, add),
                Self::add_i32(b, add),
                Self::add_i32(c, add),
                Self::add_i32(d, add),
            ];
            Self::store_bytes_of_4::<STREAM>(to, sums, flip);
        }
    }
    /// Stores the low nibbles of `4 * LANES` bytes as `2 * LANES` bytes, the first one's low.
    unsafe fn pack_nibbles(from: *const u8, to: *mut u8);
    /// Stores the nibbles of `2 * LANES` bytes as `4 * LANES` bytes, the low one first, each as `(nibble ^ sign) -
    /// sign` modulo 256.
    unsafe fn unpack_nibbles(from: *const u8, to: *mut u8, sign: u8);
    /// Stores a vector around the caches, at an address aligned to 64 bytes or to the vector.
    unsafe fn stream_f32(to: *mut f32, v: Self::F32);
    /// Orders what was streamed before other stores that follow.
    unsafe fn fence();
    /// An integer that orders as the f32 does, with -0 before +0: the bits, all but the sign
    /// inverted in negative numbers. [`f32_of_order_key`] undoes it.
    unsafe fn order_key(a: Self::F32) -> Self::I32;
}

/// Conversions to and from the 16-bit formats, on vectors as long as the f32 ones.
///
/// # Safety
/// As for [`Lanes`].
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on `Lanes`"
)]
pub unsafe trait HalfLanes: Lanes {
    /// A vector of 16-bit codes.
    type U16: Copy;

    /// Loads `n` u16.
    unsafe fn load_u16(from: *const u16, n: usize) -> Self::U16;
    /// Stores `n` u16.
    unsafe fn store_u16(to: *mut u16, v: Self::U16, n: usize);
    /// Stores a vector around the caches, at an address aligned to 64 bytes or to the vector.
    unsafe fn stream_u16(to: *mut u16, v: Self::U16);
    /// Stores four vectors as 16-bit integers one behind the other, each lane the nearest s16. With `STREAM`
    /// around the caches, at an address aligned to 64 bytes or to the vector.
    unsafe fn store_s16_of_4<const STREAM: bool>(to: *mut u16, v: [Self::I32; 4]);
    /// Stores the high halves of four vectors' 32-bit lanes, one behind the other. With `STREAM` around the
    /// caches, at an address aligned to 64 bytes or to the vector.
    unsafe fn store_high_of_4<const STREAM: bool>(to: *mut u16, v: [Self::I32; 4]);
    /// Whether the low half of any 32-bit lane is 0.
    unsafe fn any_low_zero(v: [Self::I32; 4]) -> bool;
    /// The low halves of 32-bit lanes.
    unsafe fn narrow_i32(v: Self::I32) -> Self::U16;
    /// As the high halves of 32-bit lanes, whose low halves are 0.
    unsafe fn high_u16(v: Self::U16) -> Self::I32;
    /// Sign-extended.
    unsafe fn widen_i16(v: Self::U16) -> Self::I32;
    /// IEEE binary16 to f32: exact; a signalling NaN becomes quiet.
    unsafe fn f16_to_f32(v: Self::U16) -> Self::F32;
    /// f32 to IEEE binary16: nearest even, subnormals kept, overflow to infinity; a NaN keeps its
    /// sign and top payload bits and becomes quiet.
    unsafe fn f32_to_f16(v: Self::F32) -> Self::U16;
    /// `a * b`, rounded to odd: exact, or else, of the two nearest f32, the one whose last bit is set; beyond
    /// the largest f32, that. One factor is an integer, the other finite.
    ///
    /// What the nearest f32 has lost is one fused operation, exact: since a factor is an integer, all bits
    /// of the product are multiples of the other factor's last place, which f32 has. Where the nearest is
    /// even, the odd one is its neighbour on the side of what was lost.
    #[inline(always)]
    unsafe fn mul_odd(a: Self::F32, b: Self::F32) -> Self::F32 {
        // SAFETY: by the contract of `Lanes`.
        unsafe {
            let (zero, one) = (Self::splat_i32(0), Self::splat_i32(1));
            let product = Self::bits(Self::mul(a, b));
            let opposite = Self::or_xor(zero, product, Self::splat_i32(i32::MIN));
            let lost = Self::bits(Self::fma(a, b, Self::from_bits(opposite)));
            let side = Self::or_xor(zero, product, lost);
            let step = Self::select_gt(zero, side, Self::splat_i32(-1), one);
            let magnitude = Self::and_i32(lost, Self::splat_i32(i32::MAX));
            let step = Self::select_gt(magnitude, zero, step, zero);
            // All bits where the last is 0.
            let even = Self::sub_i32(Self::and_i32(product, one), one);
            Self::from_bits(Self::add_i32(product, Self::and_i32(step, even)))
        }
    }
    /// Loads `n` u8, each as the high half of its lane; the low halves are 0.
    unsafe fn load_high_u8(from: *const u8, n: usize) -> Self::U16;
    /// E4M3FN, the high halves of lanes whose low ones are 0, to f32: exact; a NaN is the canonical one with its sign.
    ///
    /// Moved a place down, its 4 bits of exponent and 3 of mantissa are an f16, subnormal numbers too, that is 2^-8 of the
    /// number, whose conversion CPUs are quick at. (f32 would do as well, but for operands that are subnormal: a hundred cycles.)
    unsafe fn e4m3fn_to_f32(v: Self::U16) -> Self::F32;
    /// bfloat16 to f32: exact; a signalling NaN becomes quiet.
    unsafe fn bf16_to_f32(v: Self::U16) -> Self::F32;
    /// f32 to bfloat16: as [`HalfLanes::f32_to_f16`].
    unsafe fn f32_to_bf16(v: Self::F32) -> Self::U16;
}

/// The f32 whose [`Lanes::order_key`] is `key`.
#[inline(always)]
pub const fn f32_of_order_key(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) as u32 >> 1) as i32) as u32)
}
