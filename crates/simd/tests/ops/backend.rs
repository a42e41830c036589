//! Vector backends made callable.

use super::methods::{Lane16, apply};
use super::{Case, N};
use fewbit_simd::{HalfLanes, Isa, Lanes, Scalar};
use fewbit_testkit::{limited, missing};

/// A backend made callable: entries carry the target features.
pub struct Backend {
    pub isa: Option<Isa>,
    pub lanes: usize,
    pub apply: unsafe fn(&Case, &mut [Lane16]),
    pub load: unsafe fn(Element, *const u8, usize, &mut [i32; N]),
    pub store: unsafe fn(Element, *mut u8, usize, &[i32; N]),
    pub pack: unsafe fn(&[i32; 4 * N], *mut u8, Four),
    pub ask: unsafe fn(&[i32; N], &[i32; 4 * N]) -> Answers,
    pub across: unsafe fn(&[f32; N]) -> (f32, f32),
    pub across_int: unsafe fn(&[i32; N]) -> (i32, i32, i32),
    pub add_bytes: unsafe fn(*const u8, i32, u8) -> i32,
}

/// What a load or store moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    F32,
    I32,
    U8,
    I8,
    U16,
    /// A byte, as the high half of a u16 when loaded.
    HighU8,
}

impl Element {
    pub const ALL: [Element; 6] =
        [Element::F32, Element::I32, Element::U8, Element::I8, Element::U16, Element::HighU8];

    pub fn size(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::U8 | Element::I8 | Element::HighU8 => 1,
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
            Element::U16 | Element::HighU8 => {
                let mut codes = [0_u16; N];
                let loaded = match element {
                    Element::U16 => V::load_u16(from.cast(), n),
                    _ => V::load_high_u8(from, n),
                };
                V::store_u16(codes.as_mut_ptr(), loaded, V::LANES);
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
            Element::U8 | Element::I8 | Element::HighU8 => {
                V::store_u8(to, V::load_i32(from, V::LANES), n);
            }
            Element::U16 => {
                let codes = values.map(|v| v as u16);
                V::store_u16(to.cast(), V::load_u16(codes.as_ptr(), V::LANES), n);
            }
        }
    }
}

/// How four vectors are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Four {
    /// Each lane the nearest s8.
    S8,
    /// Each lane the nearest u8, xored with a byte.
    Bytes(u8),
    /// Each lane the nearest s16.
    S16,
    /// Each lane's high half.
    High,
    /// Each lane, clamped to what is allowed, plus a number, the nearest s8.
    S8Sums(i32),
    /// The same, the nearest u8, xored with a byte.
    ByteSums(i32, u8),
}

impl Four {
    pub const ALL: [Four; 11] = [
        Four::S8,
        Four::Bytes(0),
        Four::Bytes(0x80),
        Four::S16,
        Four::High,
        Four::S8Sums(-255),
        Four::S8Sums(0),
        Four::S8Sums(127),
        Four::ByteSums(-100, 0),
        Four::ByteSums(255, 0),
        Four::ByteSums(128, 0x80),
    ];
    /// The largest lane that may be added to.
    const LARGEST: i32 = 1 << 30;

    /// The bytes of a lane.
    pub fn stored(self, lane: i32) -> Vec<u8> {
        match self {
            Four::S8 => vec![lane.clamp(-128, 127) as u8],
            Four::Bytes(flip) => vec![lane.clamp(0, 255) as u8 ^ flip],
            Four::S16 => (lane.clamp(-32_768, 32_767) as i16).to_ne_bytes().to_vec(),
            Four::High => ((lane >> 16) as i16).to_ne_bytes().to_vec(),
            Four::S8Sums(add) => Four::S8.stored(lane.clamp(-Four::LARGEST, Four::LARGEST) + add),
            Four::ByteSums(add, flip) => {
                Four::Bytes(flip).stored(lane.clamp(-Four::LARGEST, Four::LARGEST) + add)
            }
        }
    }
}

/// Loads four vectors.
#[inline(always)]
unsafe fn load_4<V: HalfLanes>(values: &[i32; 4 * N]) -> [V::I32; 4] {
    // SAFETY: within an entry compiled for `V`; the array is as long as four of any vectors.
    unsafe { [0, 1, 2, 3].map(|i| V::load_i32(values.as_ptr().add(i * V::LANES), V::LANES)) }
}

/// Stores four vectors.
#[inline(always)]
unsafe fn pack<V: HalfLanes>(values: &[i32; 4 * N], to: *mut u8, four: Four) {
    // SAFETY: within an entry compiled for `V`; `4 * LANES` elements are writable.
    unsafe {
        let v = load_4::<V>(values);
        let [low, high] = [V::splat_i32(-Four::LARGEST), V::splat_i32(Four::LARGEST)];
        let within = [0, 1, 2, 3].map(|i| V::max_i32(V::min_i32(v[i], high), low));
        match four {
            Four::S8 => V::store_s8_of_4::<false>(to.cast(), v),
            Four::Bytes(flip) => {
                let flip = V::splat_i32(i32::from_ne_bytes([flip; 4]));
                V::store_bytes_of_4::<false>(to, v, flip);
            }
            Four::S16 => V::store_s16_of_4::<false>(to.cast(), v),
            Four::High => V::store_high_of_4::<false>(to.cast(), v),
            Four::S8Sums(add) => {
                V::store_s8_sums_of_4::<false>(to.cast(), within, V::splat_i32(add));
            }
            Four::ByteSums(add, 0) => {
                V::store_u8_sums_of_4::<false>(to, within, V::splat_i32(add));
            }
            Four::ByteSums(add, flip) => {
                let flip = V::splat_i32(i32::from_ne_bytes([flip; 4]));
                V::store_byte_sums_of_4::<false>(to, within, V::splat_i32(add), flip);
            }
        }
    }
}

/// What is asked of whole vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answers {
    pub is_zero: bool,
    pub is_zero_without_nan: bool,
    pub any_low_zero: bool,
}

#[inline(always)]
unsafe fn ask<V: HalfLanes>(a: &[i32; N], x: &[i32; 4 * N]) -> Answers {
    // SAFETY: within an entry compiled for `V`; the arrays are as long as any vector, and four of them.
    unsafe {
        let a = V::load_i32(a.as_ptr(), V::LANES);
        let x = load_4::<V>(x);
        let [x0, x1, x2, x3] = x;
        let numbers = [V::from_bits(x0), V::from_bits(x1), V::from_bits(x2), V::from_bits(x3)];
        Answers {
            is_zero: V::is_zero(a),
            is_zero_without_nan: V::is_zero_without_nan(a, numbers),
            any_low_zero: V::any_low_zero(x),
        }
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
        unsafe fn pack_four(values: &[i32; 4 * N], to: *mut u8, four: Four) {
            // SAFETY: compiled for the backend; the caller checked the CPU and the pointer.
            unsafe { pack::<$V>(values, to, four) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn ask_all(a: &[i32; N], x: &[i32; 4 * N]) -> Answers {
            // SAFETY: compiled for the backend; the caller checked the CPU.
            unsafe { ask::<$V>(a, x) }
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
            ask: ask_all,
            across: across_lanes,
            across_int: across_integers,
            add_bytes: add_many_bytes,
        }
    }};
}

pub fn scalar() -> Backend {
    backend!(None, Scalar)
}

/// The vector backends that this run covers.
pub fn vectors() -> Vec<Backend> {
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
