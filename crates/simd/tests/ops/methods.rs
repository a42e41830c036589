//! The methods that map operands to results, lane by lane.

use super::{Case, N};
use fewbit_simd::HalfLanes;

/// One method's results, by bits, and which lanes its contract specifies.
pub type Lane16 = [u32; N];

macro_rules! methods {
    ($($name:ident: $kind:ident),+ $(,)?) => {
        /// The methods that map operands to results.
        pub const NAMES: &[(&str, Kind)] = &[$((stringify!($name), Kind::$kind)),+];

        /// Applies every method to the case with backend `V`.
        ///
        /// # Safety
        /// Within an entry compiled for `V`, on a CPU that has it.
        #[inline(always)]
        pub unsafe fn apply<V: HalfLanes>(case: &Case, out: &mut [Lane16]) {
            let mut rows = out.iter_mut();
            $({
                let row = rows.next().unwrap();
                for at in (0..N).step_by(V::LANES) {
                    // SAFETY: whole vectors within the arrays of `N` elements.
                    unsafe {
                        let (a, b) = (case.a.as_ptr().add(at), case.b.as_ptr().add(at));
                        let _ = b;
                        methods!(@ $kind $name, V, a, b, row.as_mut_ptr().add(at));
                    }
                }
            })+
        }
    };
    (@ Binary $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_f32($a.cast(), $V::LANES), $V::load_f32($b.cast(), $V::LANES));
        $V::store_f32($to.cast(), $V::$name(a, b), $V::LANES);
    }};
    (@ Fused $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        // Addends that cancel all but what a product's rounding would lose, and others.
        let mut addends = [0.0f32; N];
        for (i, addend) in addends.iter_mut().enumerate().take($V::LANES) {
            let (a, b) = (f32::from_bits($a.add(i).read()), f32::from_bits($b.add(i).read()));
            *addend = if $a.add(i).read() & 1 == 0 { -(a * b) } else { b };
        }
        let (a, b) = ($V::load_f32($a.cast(), $V::LANES), $V::load_f32($b.cast(), $V::LANES));
        let c = $V::load_f32(addends.as_ptr(), $V::LANES);
        $V::store_f32($to.cast(), $V::$name(a, b, c), $V::LANES);
    }};
    (@ ThreeInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_i32($a.cast(), $V::LANES), $V::load_i32($b.cast(), $V::LANES));
        let c = $V::splat_i32(0x0F33_5500);
        $V::store_i32($to.cast(), $V::$name(a, b, c), $V::LANES);
    }};
    (@ Shift $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let a = $V::load_i32($a.cast(), $V::LANES);
        // By several distances, which have to be constants.
        let by = [$V::$name::<0>(a), $V::$name::<1>(a), $V::$name::<20>(a), $V::$name::<31>(a)];
        let near = $V::or_xor($V::shl::<2>(by[1]), by[0], by[3]);
        $V::store_i32($to.cast(), $V::add_i32(near, by[2]), $V::LANES);
    }};
    (@ ShiftEach $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_i32($a.cast(), $V::LANES), $V::load_i32($b.cast(), $V::LANES));
        let n = $V::and_i32(b, $V::splat_i32(31));
        $V::store_i32($to.cast(), $V::$name(a, n), $V::LANES);
    }};
    (@ ProductShift $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_i32($a.cast(), $V::LANES), $V::load_i32($b.cast(), $V::LANES));
        // Not `i32::MIN`, and all distances: 1 to 62, by the other factor's bits.
        let factor = $V::max_i32(b, $V::splat_i32(-i32::MAX));
        let n = $V::and_i32($V::add_i32(a, $V::shr::<3>(b)), $V::splat_i32(63));
        let n = $V::min_i32($V::max_i32(n, $V::splat_i32(1)), $V::splat_i32(62));
        $V::store_i32($to.cast(), $V::$name(a, factor, n), $V::LANES);
    }};
    (@ Lookup $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut table = [0f32; 8];
        let bits = |i: usize| f32::from_bits(0x3F80_0001 + 0x0101_0101 * i as u32);
        table.iter_mut().enumerate().for_each(|(i, entry)| *entry = bits(i));
        let _ = $b;
        $V::store_f32($to.cast(), $V::$name(&table, $V::load_i32($a.cast(), $V::LANES)), $V::LANES);
    }};
    (@ Odd $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        // An integer of 17 bits, and a finite number.
        let a = $V::shr_each($V::load_i32($a.cast(), $V::LANES), $V::splat_i32(15));
        let b = $V::and_i32($V::load_i32($b.cast(), $V::LANES), $V::splat_i32(!0x0080_0000));
        let product = $V::$name($V::f32_from_i32(a), $V::from_bits(b));
        $V::store_f32($to.cast(), product, $V::LANES);
    }};
    (@ Select $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_i32($a.cast(), $V::LANES), $V::load_i32($b.cast(), $V::LANES));
        let (c, d) = ($V::splat_i32(0x1234_5678), $V::add_i32(a, b));
        $V::store_i32($to.cast(), $V::$name(a, b, c, d), $V::LANES);
    }};
    (@ Choice $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {
        methods!(@ Binary $name, $V, $a, $b, $to)
    };
    (@ BinaryInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let (a, b) = ($V::load_i32($a.cast(), $V::LANES), $V::load_i32($b.cast(), $V::LANES));
        $V::store_i32($to.cast(), $V::$name(a, b), $V::LANES);
    }};
    (@ Round $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let a = $V::load_f32($a.cast(), $V::LANES);
        $V::store_f32($to.cast(), $V::$name(a), $V::LANES);
    }};
    (@ ToInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let a = $V::load_f32($a.cast(), $V::LANES);
        $V::store_i32($to.cast(), $V::$name(a), $V::LANES);
    }};
    (@ ToNearest $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {
        methods!(@ ToInt $name, $V, $a, $b, $to)
    };
    (@ Key $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {
        methods!(@ ToInt $name, $V, $a, $b, $to)
    };
    (@ IntBits $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let a = $V::load_i32($a.cast(), $V::LANES);
        $V::store_i32($to.cast(), $V::bits($V::$name(a)), $V::LANES);
    }};
    (@ FromInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let a = $V::load_i32($a.cast(), $V::LANES);
        $V::store_f32($to.cast(), $V::$name(a), $V::LANES);
    }};
    (@ Widen $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut codes = [0_u16; N];
        for (i, code) in codes.iter_mut().enumerate().take($V::LANES) {
            *code = $a.add(i).read() as u16;
        }
        $V::store_f32($to.cast(), $V::$name($V::load_u16(codes.as_ptr(), $V::LANES)), $V::LANES);
    }};
    (@ WidenByte $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut codes = [0_u8; N];
        for (i, code) in codes.iter_mut().enumerate().take($V::LANES) {
            *code = $a.add(i).read() as u8;
        }
        let codes = $V::load_high_u8(codes.as_ptr(), $V::LANES);
        $V::store_f32($to.cast(), $V::$name(codes), $V::LANES);
    }};
    (@ Narrow $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut codes = [0_u16; N];
        let a = $V::load_f32($a.cast(), $V::LANES);
        $V::store_u16(codes.as_mut_ptr(), $V::$name(a), $V::LANES);
        for (i, code) in codes.iter().enumerate().take($V::LANES) {
            $to.add(i).write(u32::from(*code));
        }
    }};
    (@ WidenInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut codes = [0_u16; N];
        for (i, code) in codes.iter_mut().enumerate().take($V::LANES) {
            *code = $a.add(i).read() as u16;
        }
        $V::store_i32($to.cast(), $V::$name($V::load_u16(codes.as_ptr(), $V::LANES)), $V::LANES);
    }};
    (@ NarrowInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {{
        let mut codes = [0_u16; N];
        let a = $V::load_i32($a.cast(), $V::LANES);
        $V::store_u16(codes.as_mut_ptr(), $V::$name(a), $V::LANES);
        for (i, code) in codes.iter().enumerate().take($V::LANES) {
            $to.add(i).write(u32::from(*code));
        }
    }};
    (@ Splat $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {
        $V::store_f32($to.cast(), $V::$name($a.cast::<f32>().read()), $V::LANES)
    };
    (@ SplatInt $name:ident, $V:ident, $a:ident, $b:ident, $to:expr) => {
        $V::store_i32($to.cast(), $V::$name($a.cast::<i32>().read()), $V::LANES)
    };
}

/// What a method's operands and results are, hence how results compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// f32 arithmetic: all bits, any NaN equal to any.
    Binary,
    /// As `Binary`, with an addend.
    Fused,
    /// One of two f32: all bits.
    Choice,
    BinaryInt,
    ThreeInt,
    Shift,
    /// By as many places as the other operand says.
    ShiftEach,
    Lookup,
    ProductShift,
    /// A product rounded to odd.
    Odd,
    Select,
    /// Rounding: as numbers (the zero's sign is unspecified), where the contract covers `a`.
    Round,
    /// Where `a` is within i32.
    ToInt,
    /// Where `a`'s nearest integer is within i32.
    ToNearest,
    Key,
    FromInt,
    IntBits,
    Widen,
    WidenInt,
    WidenByte,
    Narrow,
    NarrowInt,
    /// The operand is the first lane of each vector.
    Splat,
    SplatInt,
}

methods! {
    add: Binary,
    mul: Binary,
    fma: Fused,
    div: Binary,
    min: Choice,
    max: Choice,
    replace_nan: Choice,
    round_half_even: Round,
    round_half_away: Round,
    i32_from_f32: ToInt,
    nearest_i32: ToNearest,
    f32_from_i32: FromInt,
    add_i32: BinaryInt,
    sub_i32: BinaryInt,
    min_i32: BinaryInt,
    max_i32: BinaryInt,
    or_xor: ThreeInt,
    or_i32: BinaryInt,
    and_i32: BinaryInt,
    bits: Key,
    from_bits: IntBits,
    shl: Shift,
    shr: Shift,
    select_gt: Select,
    order_key: Key,
    f16_to_f32: Widen,
    bf16_to_f32: Widen,
    e4m3fn_to_f32: WidenByte,
    widen_i16: WidenInt,
    high_u16: WidenInt,
    narrow_i32: NarrowInt,
    shl_each: ShiftEach,
    shr_each: ShiftEach,
    lookup_8: Lookup,
    mul_round_shr: ProductShift,
    mul_odd: Odd,
    f32_to_f16: Narrow,
    f32_to_bf16: Narrow,
    splat_f32: Splat,
    splat_i32: SplatInt,
}
