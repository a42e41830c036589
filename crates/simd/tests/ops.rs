//! Every method of every vector backend against the scalar one, and the scalar one against the
//! standard library: all pairs of extremes, all 2^16 codes, and a sweep over all f32.

use fewbit_scheme::real;
use fewbit_simd::{HalfLanes, Isa, IsaSet, Lanes, Scalar, f32_of_order_key};
use fewbit_testkit::{GuardedBuf, covered, limited, missing, report};

/// Elements a case: the longest vector.
const N: usize = 16;

/// Operands, by bits.
#[derive(Clone, Copy)]
struct Case {
    a: [u32; N],
    b: [u32; N],
}

/// One method's results, by bits, and which lanes its contract specifies.
type Lane16 = [u32; N];

macro_rules! methods {
    ($($name:ident: $kind:ident),+ $(,)?) => {
        /// The methods that map operands to results.
        const NAMES: &[(&str, Kind)] = &[$((stringify!($name), Kind::$kind)),+];

        /// Applies every method to the case with backend `V`.
        ///
        /// # Safety
        /// Within an entry compiled for `V`, on a CPU that has it.
        #[inline(always)]
        unsafe fn apply<V: HalfLanes>(case: &Case, out: &mut [Lane16]) {
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
enum Kind {
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
    ProductShift,
    /// A product rounded to odd.
    Odd,
    Select,
    /// Rounding: as numbers (the zero's sign is unspecified), where the contract covers `a`.
    Round,
    /// Where `a` is within i32.
    ToInt,
    Key,
    FromInt,
    IntBits,
    Widen,
    WidenInt,
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
    widen_i16: WidenInt,
    narrow_i32: NarrowInt,
    shl_each: ShiftEach,
    shr_each: ShiftEach,
    mul_round_shr: ProductShift,
    mul_odd: Odd,
    f32_to_f16: Narrow,
    f32_to_bf16: Narrow,
    splat_f32: Splat,
    splat_i32: SplatInt,
}

/// A backend made callable: entries carry the target features.
struct Backend {
    isa: Option<Isa>,
    lanes: usize,
    apply: unsafe fn(&Case, &mut [Lane16]),
    load: unsafe fn(Element, *const u8, usize, &mut [i32; N]),
    store: unsafe fn(Element, *mut u8, usize, &[i32; N]),
    pack: unsafe fn(&[i32; 4 * N], *mut u8, bool) -> bool,
    across: unsafe fn(&[f32; N]) -> (f32, f32),
    across_int: unsafe fn(&[i32; N]) -> (i32, i32, i32),
    add_bytes: unsafe fn(*const u8, i32, u8) -> i32,
}

/// What a load or store moves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Element {
    F32,
    I32,
    U8,
    I8,
    U16,
}

impl Element {
    const ALL: [Element; 5] = [Element::F32, Element::I32, Element::U8, Element::I8, Element::U16];

    fn size(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::U8 | Element::I8 => 1,
            Element::U16 => 2,
        }
    }
}

/// Loads `n` elements at `from`; all lanes go to `out`.
#[inline(always)]
unsafe fn load<V: HalfLanes>(element: Element, from: *const u8, n: usize, out: &mut [i32; N]) {
    // SAFETY: within an entry compiled for `V`; `n` elements are readable.
    unsafe {
        let to = out.as_mut_ptr();
        match element {
            Element::F32 => V::store_f32(to.cast(), V::load_f32(from.cast(), n), V::LANES),
            Element::I32 => V::store_i32(to, V::load_i32(from.cast(), n), V::LANES),
            Element::U8 => V::store_i32(to, V::load_u8(from, n), V::LANES),
            Element::I8 => V::store_i32(to, V::load_i8(from.cast(), n), V::LANES),
            Element::U16 => {
                let mut codes = [0_u16; N];
                V::store_u16(codes.as_mut_ptr(), V::load_u16(from.cast(), n), V::LANES);
                for (lane, code) in out.iter_mut().zip(codes) {
                    *lane = i32::from(code);
                }
            }
        }
    }
}

/// Stores the first `n` of the values.
#[inline(always)]
unsafe fn store<V: HalfLanes>(element: Element, to: *mut u8, n: usize, values: &[i32; N]) {
    // SAFETY: within an entry compiled for `V`; `n` elements are writable.
    unsafe {
        let from = values.as_ptr();
        match element {
            Element::F32 => V::store_f32(to.cast(), V::load_f32(from.cast(), V::LANES), n),
            Element::I32 => V::store_i32(to.cast(), V::load_i32(from, V::LANES), n),
            Element::U8 | Element::I8 => V::store_u8(to, V::load_i32(from, V::LANES), n),
            Element::U16 => {
                let codes = values.map(|v| v as u16);
                V::store_u16(to.cast(), V::load_u16(codes.as_ptr(), V::LANES), n);
            }
        }
    }
}

/// Stores four vectors as s8 or u8; says whether the first of them is zero.
#[inline(always)]
unsafe fn pack<V: HalfLanes>(values: &[i32; 4 * N], to: *mut u8, signed: bool) -> bool {
    // SAFETY: within an entry compiled for `V`; `4 * LANES` bytes are writable.
    unsafe {
        let v = [0, 1, 2, 3].map(|i| V::load_i32(values.as_ptr().add(i * V::LANES), V::LANES));
        if signed {
            V::store_s8_of_4(to.cast(), v)
        } else {
            V::store_u8_of_4(to, v)
        }
        V::is_zero(v[0])
    }
}

/// The smallest and the largest lane.
#[inline(always)]
unsafe fn across<V: HalfLanes>(values: &[f32; N]) -> (f32, f32) {
    // SAFETY: within an entry compiled for `V`; the array is as long as any vector.
    unsafe {
        let v = V::load_f32(values.as_ptr(), V::LANES);
        (V::min_across(v), V::max_across(v))
    }
}

/// The smallest and the largest lane of integers, and their sum.
#[inline(always)]
unsafe fn across_int<V: HalfLanes>(values: &[i32; N]) -> (i32, i32, i32) {
    // SAFETY: within an entry compiled for `V`; the array is as long as any vector.
    unsafe {
        let v = V::load_i32(values.as_ptr(), V::LANES);
        (V::min_across_i32(v), V::max_across_i32(v), V::sum_across_i32(v))
    }
}

/// A number in each lane plus bytes: the sum of the lanes.
#[inline(always)]
unsafe fn add_bytes<V: HalfLanes>(from: *const u8, acc: i32, flip: u8) -> i32 {
    // SAFETY: within an entry compiled for `V`; `4 * LANES` bytes can be read.
    unsafe {
        let flip = V::splat_i32(i32::from_ne_bytes([flip; 4]));
        V::sum_across_i32(V::add_bytes(V::splat_i32(acc), from, flip))
    }
}

macro_rules! backend {
    ($isa:expr, $V:ty $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn apply_all(case: &Case, out: &mut [Lane16]) {
            // SAFETY: compiled for the backend; the caller checked the CPU.
            unsafe { apply::<$V>(case, out) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn load_one(element: Element, from: *const u8, n: usize, out: &mut [i32; N]) {
            // SAFETY: compiled for the backend; the caller checked the CPU and the pointer.
            unsafe { load::<$V>(element, from, n, out) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn store_one(element: Element, to: *mut u8, n: usize, values: &[i32; N]) {
            // SAFETY: compiled for the backend; the caller checked the CPU and the pointer.
            unsafe { store::<$V>(element, to, n, values) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn pack_four(values: &[i32; 4 * N], to: *mut u8, signed: bool) -> bool {
            // SAFETY: compiled for the backend; the caller checked the CPU and the pointer.
            unsafe { pack::<$V>(values, to, signed) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn across_lanes(values: &[f32; N]) -> (f32, f32) {
            // SAFETY: compiled for the backend; the caller checked the CPU.
            unsafe { across::<$V>(values) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn across_integers(values: &[i32; N]) -> (i32, i32, i32) {
            // SAFETY: compiled for the backend; the caller checked the CPU.
            unsafe { across_int::<$V>(values) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn add_many_bytes(from: *const u8, acc: i32, flip: u8) -> i32 {
            // SAFETY: compiled for the backend; the caller checked the CPU and the pointer.
            unsafe { add_bytes::<$V>(from, acc, flip) }
        }
        Backend {
            isa: $isa,
            lanes: <$V>::LANES,
            apply: apply_all,
            load: load_one,
            store: store_one,
            pack: pack_four,
            across: across_lanes,
            across_int: across_integers,
            add_bytes: add_many_bytes,
        }
    }};
}

fn scalar() -> Backend {
    backend!(None, Scalar)
}

/// The vector backends that this run covers.
fn vectors() -> Vec<Backend> {
    let all = [
        #[cfg(target_arch = "x86_64")]
        backend!(Some(Isa::Avx2), fewbit_simd::Avx2, "avx2,fma,f16c"),
        #[cfg(target_arch = "x86_64")]
        backend!(
            Some(Isa::Avx512),
            fewbit_simd::Avx512,
            "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
        ),
        #[cfg(target_arch = "aarch64")]
        backend!(Some(Isa::Neon), fewbit_simd::Neon, "neon"),
    ];
    let supported = limited();
    let mut usable = Vec::new();
    for backend in all {
        let isa = backend.isa.unwrap();
        if supported.has(isa.closure()) {
            usable.push(backend);
        } else {
            missing("lanes", isa.closure());
        }
    }
    usable
}

/// Counts operand pairs, each of which every method was applied to.
fn count(vectors: &[Backend], pairs: usize) {
    for vector in vectors {
        let set = vector.isa.map_or(IsaSet::SCALAR, Isa::closure);
        covered("lanes", set, (pairs * NAMES.len()) as u64);
    }
}

/// Whether lane `i` is as the contract has it, given the scalar lane.
fn agrees(name: &str, kind: Kind, case: &Case, i: usize, got: u32, want: u32) -> bool {
    let float = f32::from_bits;
    let a = float(case.a[i]);
    match kind {
        Kind::Binary | Kind::Fused => got == want || (float(got).is_nan() && float(want).is_nan()),
        Kind::Round if a.is_nan() => float(got).is_nan(),
        Kind::Round if name == "round_half_away" && a.abs() > 4_194_304.0 => true,
        Kind::Round => float(got) == float(want),
        Kind::ToInt => !(-2147483648.0..2147483648.0).contains(&a) || got == want,
        _ => got == want,
    }
}

/// Runs a case on every backend.
fn compare(case: &Case, scalar: &Backend, vectors: &[Backend]) {
    let mut want = [[0; N]; NAMES.len()];
    // SAFETY: the scalar backend runs anywhere.
    unsafe { (scalar.apply)(case, &mut want) };
    for vector in vectors {
        let mut got = [[0; N]; NAMES.len()];
        // SAFETY: `vectors` lists what the CPU has.
        unsafe { (vector.apply)(case, &mut got) };
        for ((&(name, kind), got), want) in NAMES.iter().zip(&got).zip(&want) {
            for i in 0..N {
                let want = match kind {
                    Kind::Splat | Kind::SplatInt => case.a[i / vector.lanes * vector.lanes],
                    _ => want[i],
                };
                assert!(
                    agrees(name, kind, case, i, got[i], want),
                    "{name} {}: {:#010x}, {:#010x} gave {:#010x}, not {want:#010x}",
                    vector.isa.unwrap().name(),
                    case.a[i],
                    case.b[i],
                    got[i],
                );
            }
        }
    }
}

/// The f32 where things change: zeros, subnormals, powers, ties, format limits, infinities, NaNs.
fn extremes() -> Vec<u32> {
    let mut bits = vec![0, 1, 2, 0x007F_FFFF, 0x0080_0000, 0x0080_0001, 0x7F7F_FFFF, 0x7F80_0000];
    // NaNs: quiet and signalling, payload high, low and full.
    bits.extend([0x7F80_0001, 0x7F80_2000, 0x7FBF_FFFF, 0x7FC0_0000, 0x7FC0_0001, 0x7FFF_FFFF]);
    let mut around = |x: f32| bits.extend([x.to_bits() - 1, x.to_bits(), x.to_bits() + 1]);
    for k in 0..10 {
        around(k as f32 + 0.5);
        around(k as f32 + 1.0);
    }
    for x in [127.0, 127.5, 128.0, 255.0, 255.5, 256.0, 65504.0, 65519.996, 65520.0, 65536.0] {
        around(x);
    }
    for power in [-149, -133, -126, -25, -24, -15, -14, -2, 8, 10, 22, 23, 24, 30, 31, 32, 127_i32]
    {
        around(if power < -126 {
            f32::from_bits(1 << (power + 149))
        } else {
            f32::from_bits(((power + 127) as u32) << 23)
        });
    }
    // Ties of f16 and bf16, down and up.
    around(1.000_488_3);
    around(1.001_464_8);
    around(f32::from_bits(0x3F80_8000));
    around(f32::from_bits(0x3F81_8000));
    around(f32::from_bits(0x7F7F_8000));
    let negative: Vec<u32> = bits.iter().map(|b| b | 0x8000_0000).collect();
    bits.extend(negative);
    bits
}

#[test]
fn all_pairs_of_extremes() {
    let (scalar, vectors) = (scalar(), vectors());
    let bits = extremes();
    let pairs: Vec<(u32, u32)> =
        bits.iter().flat_map(|&a| bits.iter().map(move |&b| (a, b))).collect();
    for chunk in pairs.chunks(N) {
        let mut case = Case { a: [0; N], b: [0; N] };
        for (i, &(a, b)) in chunk.iter().enumerate() {
            (case.a[i], case.b[i]) = (a, b);
        }
        compare(&case, &scalar, &vectors);
    }
    count(&vectors, pairs.len());
    report();
}

#[test]
fn a_sweep_over_all_f32_and_all_codes() {
    let (scalar, vectors) = (scalar(), vectors());
    // Consecutive lanes cover all 2^16 codes.
    let (start, step) = fewbit_testkit::sweep("simd ops", 2053);
    let (mut next, step) = (u64::from(start), u64::from(step));
    while next < 1 << 32 {
        let case = Case {
            a: std::array::from_fn(|i| (next + i as u64 * step) as u32),
            b: std::array::from_fn(|i| ((next + i as u64 * step) as u32).wrapping_mul(0x9E37_79B1)),
        };
        compare(&case, &scalar, &vectors);
        next += N as u64 * step;
    }
    for code in (0..=u32::from(u16::MAX)).step_by(N) {
        let a = std::array::from_fn(|i| code + i as u32);
        compare(&Case { a, b: a }, &scalar, &vectors);
    }
    count(&vectors, ((1 << 32) / step) as usize + (1 << 16));
    report();
}

#[test]
fn the_scalar_backend_is_the_standard_library() {
    let fma = fewbit_testkit::fma_is_an_instruction();
    let scalar = scalar();
    let bits = extremes();
    for &a in &bits {
        for &b in &bits {
            let case = Case { a: [a; N], b: [b; N] };
            let mut out = [[0; N]; NAMES.len()];
            // SAFETY: the scalar backend runs anywhere.
            unsafe { (scalar.apply)(&case, &mut out) };
            let result = |name| out[NAMES.iter().position(|&(n, _)| n == name).unwrap()][0];
            let float = |name| f32::from_bits(result(name));
            let (x, y, i, j) = (f32::from_bits(a), f32::from_bits(b), a as i32, b as i32);
            let same = |got: f32, want: f32| {
                got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan())
            };
            assert!(same(float("add"), x + y));
            assert!(same(float("mul"), x * y));
            assert!(same(float("div"), x / y));
            assert_eq!(result("min"), if x < y { a } else { b });
            assert_eq!(result("max"), if x > y { a } else { b });
            assert_eq!(result("replace_nan"), if x.is_nan() { b } else { a });
            let addend = if a & 1 == 0 { -(x * y) } else { y };
            let fused = if fma { x.mul_add(y, addend) } else { real::fma(x, y, addend) };
            assert!(
                same(float("fma"), fused),
                "{x:e} {y:e} {addend:e}: {:e} {fused:e}",
                float("fma")
            );
            assert_eq!(result("or_xor"), a | (b ^ 0x0F33_5500));
            assert_eq!(result("or_i32"), a | b);
            assert_eq!(result("and_i32"), a & b);
            let shifted = |by: [u32; 4]| ((by[1] << 2) | (by[0] ^ by[3])).wrapping_add(by[2]);
            assert_eq!(result("shl"), shifted([a, a << 1, a << 20, a << 31]));
            assert_eq!(result("shr"), shifted([a, a >> 1, a >> 20, a >> 31]));
            let chosen = if i > j { 0x1234_5678 } else { a.wrapping_add(b) };
            assert_eq!(result("select_gt"), chosen);
            assert_eq!(result("shl_each"), a << (b & 31));
            assert_eq!(result("shr_each"), (i >> (b & 31)) as u32);
            let n = (a.wrapping_add(b >> 3) & 63).clamp(1, 62);
            let product = i128::from(i) * i128::from(j.max(-i32::MAX));
            let rounded = (2 * product + (1_i128 << n)).div_euclid(2_i128 << n);
            let nearest = rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            assert_eq!(result("mul_round_shr") as i32, nearest, "{i} {j} {n}");
            let exact = f64::from(i >> 15) * f64::from(f32::from_bits(b & !0x0080_0000));
            // Rounded towards zero.
            let mut towards_zero = exact as f32;
            if f64::from(towards_zero).abs() > exact.abs() {
                towards_zero = f32::from_bits(towards_zero.to_bits() - 1);
            }
            let inexact = f64::from(towards_zero) != exact;
            assert_eq!(result("mul_odd"), towards_zero.to_bits() | u32::from(inexact));
            assert_eq!(result("bits"), a);
            assert_eq!(result("narrow_i32"), a & 0xFFFF);
            assert_eq!(result("widen_i16"), a as u16 as i16 as u32);
            assert_eq!(result("from_bits"), a);
            assert_eq!(result("add_i32"), i.wrapping_add(j) as u32);
            assert_eq!(result("sub_i32"), i.wrapping_sub(j) as u32);
            assert_eq!(result("min_i32"), i.min(j) as u32);
            assert_eq!(result("max_i32"), i.max(j) as u32);
            assert!(same(float("f32_from_i32"), i as f32));
            assert!(
                !(-2147483648.0..2147483648.0).contains(&x)
                    || result("i32_from_f32") == x as i32 as u32
            );
            assert!(float("round_half_even") == x.round_ties_even() || x.is_nan());
            assert!(float("round_half_away") == x.round() || x.is_nan());
        }
    }
}

#[test]
fn four_vectors_are_stored_as_the_nearest_bytes() {
    let mut backends = vectors();
    backends.push(scalar());
    let mut rng = fewbit_testkit::Rng::new(60);
    let mut buf = GuardedBuf::new(4096);
    let (base, len) = (buf.as_mut_ptr(), buf.len());
    for backend in &backends {
        let isa = backend.isa.map_or("scalar", Isa::name);
        let n = 4 * backend.lanes;
        for round in 0..2000 {
            let values: [i32; 4 * N] = std::array::from_fn(|_| match rng.below(4) {
                0 => {
                    rng.pick(&[i32::MIN, i32::MAX, -129, -128, 127, 128, 255, 256, 32_768, -32_769])
                }
                1 => rng.next_u32() as i32,
                _ => rng.below(600) as i32 - 300,
            });
            let at = [0, round % 64, len - n][round % 3];
            for signed in [true, false] {
                let want: Vec<u8> = values[..n]
                    .iter()
                    .map(|&v| if signed { v.clamp(-128, 127) as u8 } else { v.clamp(0, 255) as u8 })
                    .collect();
                // SAFETY: `at + n <= len`; `backends` lists what the CPU has.
                let (zero, got) = unsafe {
                    base.write_bytes(0xA5, len);
                    let zero = (backend.pack)(&values, base.add(at), signed);
                    (zero, std::slice::from_raw_parts(base, len))
                };
                assert_eq!(zero, values[..backend.lanes].iter().all(|&v| v == 0));
                assert_eq!(got[at..at + n], want, "{isa} signed {signed}");
                let mut rest = got[..at].iter().chain(&got[at + n..]);
                assert!(rest.all(|&b| b == 0xA5), "{isa} wrote outside");
            }
        }
        // One bit in one lane.
        for lane in 0..backend.lanes {
            let mut values = [0; 4 * N];
            // SAFETY: `n <= len`; `backends` lists what the CPU has.
            unsafe {
                assert!((backend.pack)(&values, base, true), "{isa}");
                values[lane] = 1 << (lane * 2);
                assert!(!(backend.pack)(&values, base, true), "{isa} lane {lane}");
            }
        }
    }
}

#[test]
fn ends_across_lanes() {
    let mut rng = fewbit_testkit::Rng::new(61);
    for backend in vectors().into_iter().chain([scalar()]) {
        for _ in 0..10_000 {
            let values: [f32; N] = std::array::from_fn(|_| match rng.any_f32() {
                x if x.is_nan() => rng.pick(&[0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]),
                x => x,
            });
            let lanes = &values[..backend.lanes];
            let want = (
                lanes.iter().copied().fold(f32::INFINITY, f32::min),
                lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            );
            // SAFETY: the list holds what the CPU has.
            assert_eq!(unsafe { (backend.across)(&values) }, want);
            let values: [i32; N] = std::array::from_fn(|_| match rng.below(4) {
                0 => rng.pick(&[i32::MIN, i32::MAX, -1, 0, 1]),
                _ => rng.next_u32() as i32,
            });
            let lanes = &values[..backend.lanes];
            let sum = lanes.iter().fold(0_i32, |sum, &lane| sum.wrapping_add(lane));
            let want = (*lanes.iter().min().unwrap(), *lanes.iter().max().unwrap(), sum);
            // SAFETY: the list holds what the CPU has.
            assert_eq!(unsafe { (backend.across_int)(&values) }, want);
        }
    }
}

#[test]
fn bytes_added_to_lanes() {
    let mut buffer = GuardedBuf::new(4 * N);
    for (acc, flip) in [(0, 0), (0, 0x80), (-7, 0xFF), (i32::MAX, 0)] {
        for round in 0..64_usize {
            let bytes: Vec<u8> = match round {
                0 => vec![255; 4 * N],
                1 => vec![0; 4 * N],
                _ => (0..4 * N).map(|i| ((i * 37 + round * 101) % 256) as u8).collect(),
            };
            for backend in vectors().into_iter().chain([scalar()]) {
                let bytes = &bytes[..4 * backend.lanes];
                let sum = bytes.iter().map(|&b| i32::from(b ^ flip)).sum::<i32>();
                let want = acc.wrapping_mul(backend.lanes as i32).wrapping_add(sum);
                // SAFETY: the list holds what the CPU has; the bytes end where the buffer does.
                let got = unsafe { (backend.add_bytes)(buffer.at_end(bytes), acc, flip) };
                assert_eq!(got, want);
            }
        }
    }
}

#[test]
fn keys_order_as_numbers_do() {
    let key = |bits: u32| {
        let case = Case { a: [bits; N], b: [0; N] };
        let mut out = [[0; N]; NAMES.len()];
        // SAFETY: the scalar backend runs anywhere.
        unsafe { (scalar().apply)(&case, &mut out) };
        out[NAMES.iter().position(|&(n, _)| n == "order_key").unwrap()][0] as i32
    };
    for &a in &extremes() {
        assert_eq!(f32_of_order_key(key(a)).to_bits(), a);
        for &b in &extremes() {
            let (x, y) = (f32::from_bits(a), f32::from_bits(b));
            if !x.is_nan() && !y.is_nan() {
                assert_eq!(key(a).cmp(&key(b)), x.total_cmp(&y));
            }
        }
    }
}

/// What a load of `bytes` should give in each lane.
fn loaded(element: Element, bytes: &[u8]) -> [i32; N] {
    let mut lanes = [0; N];
    for (lane, code) in lanes.iter_mut().zip(bytes.chunks_exact(element.size())) {
        *lane = match *code {
            [b] if element == Element::I8 => i32::from(b as i8),
            [b] => i32::from(b),
            [a, b] => i32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => unreachable!(),
        };
    }
    lanes
}

#[test]
fn loads_and_stores_touch_their_elements_only() {
    let mut buf = GuardedBuf::new(4096);
    let (base, len) = (buf.as_mut_ptr(), buf.len());
    let values: [i32; N] = std::array::from_fn(|i| (i as i32 - 7).wrapping_mul(0x1357_9BDF));
    let mut backends = vectors();
    backends.push(scalar());
    for backend in &backends {
        let isa = backend.isa.map_or("scalar", Isa::name);
        for element in Element::ALL {
            for n in 1..=backend.lanes {
                let bytes = n * element.size();
                // Against the lower guard, at odd addresses, and against the upper guard.
                for at in (0..9).chain([len - bytes]) {
                    let context = format!("{isa} {element:?} n {n} at {at}");
                    let mut lanes = [-1; N];
                    // SAFETY: `at + bytes <= len`; `backends` lists what the CPU has.
                    let around = unsafe {
                        for i in 0..len {
                            base.add(i).write((i * 37 + 11) as u8);
                        }
                        (backend.load)(element, base.add(at), n, &mut lanes);
                        let source = std::slice::from_raw_parts(base.add(at), bytes);
                        let want = loaded(element, source);
                        assert_eq!(lanes[..n], want[..n], "load {context}");
                        assert!(lanes[n..backend.lanes].iter().all(|&v| v == 0), "load {context}");
                        base.write_bytes(0xA5, len);
                        (backend.store)(element, base.add(at), n, &values);
                        std::slice::from_raw_parts(base, len)
                    };
                    let want: Vec<u8> = values[..n]
                        .iter()
                        .flat_map(|v| v.to_le_bytes()[..element.size()].to_vec())
                        .collect();
                    assert_eq!(around[at..at + bytes], want, "store {context}");
                    let rest = around[..at].iter().chain(&around[at + bytes..]);
                    assert!(rest.copied().all(|b| b == 0xA5), "store {context} wrote outside");
                }
            }
        }
    }
}
