//! Every backend of the dot product, of packed codes too, against its definition, one group at a time: all extremes
//! of both signednesses, sums that wrap.

use fewbit_simd::dot::{Bits, Dot, Few, LhsForm, ScalarDot};
use fewbit_simd::{IsaSet, Supported};
use fewbit_testkit::{GuardedBuf, Rng, covered, is_wanted, limited, missing, report, seed};

/// `acc * factor + addend + dot(lhs, rhs)` for one vector, by the backend.
///
/// # Safety
/// Within an entry compiled for `D`; pointers as the trait's methods want them.
#[inline(always)]
unsafe fn step<D: Dot>(lhs: *const u8, rhs: *const i8, sums: [*const i32; 3], to: *mut i32) {
    // SAFETY: by this function's contract.
    unsafe {
        let [acc, factor, addend] = sums;
        let scaled = D::mul(D::load(acc), D::add(D::zero(), D::splat(factor.read())));
        let start = D::add(scaled, D::load(addend));
        D::store(to, D::dot(start, D::load_lhs(lhs), D::load_rhs(rhs)));
    }
}

/// A lhs group as the integers that a form makes of it.
fn lhs_values(form: LhsForm, bytes: &[u8]) -> Vec<i64> {
    match form {
        LhsForm::U8 => bytes.iter().map(|&v| i64::from(v)).collect(),
        LhsForm::I16 => {
            let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
            pairs.map(|pair| i64::from(i16::from_ne_bytes(pair))).collect()
        }
        LhsForm::Bits => bits(bytes.iter().copied()),
        _ => bytes.iter().map(|&v| i64::from(v as i8)).collect(),
    }
}

fn bits(bytes: impl Iterator<Item = u8>) -> Vec<i64> {
    bytes.flat_map(|byte| (0..8).map(move |bit| i64::from(byte >> bit & 1))).collect()
}

/// A column's rhs group as integers: signed bytes, or parts of them.
fn rhs_values<D: Dot>(bytes: &[i8], doubled: bool) -> Vec<i64> {
    if D::LHS == LhsForm::Bits {
        return bits(bytes.iter().map(|&byte| byte as u8));
    }
    let parts = D::LHS.kr() / D::RHS_BYTES;
    if parts == 1 {
        return bytes.iter().map(|&v| i64::from(v)).collect();
    }
    let bits = 8 / parts;
    let of_part = |part: usize| {
        let code = move |&byte: &i8| i64::from(byte as u8 >> (part * bits)) & ((1 << bits) - 1);
        bytes.iter().map(move |byte| code(byte) << u32::from(doubled))
    };
    (0..parts).flat_map(of_part).collect()
}

type Step = unsafe fn(*const u8, *const i8, [*const i32; 3], *mut i32);

fn check<D: Dot>(name: &str, required: IsaSet, run: Step) {
    let doubled = name.contains("8, 2");
    if !is_wanted(required) {
        return;
    }
    if !Supported::has(limited(), required) {
        missing(name, required);
        return;
    }
    let mut rng = Rng::new(seed());
    let mut arenas: Vec<GuardedBuf> = (0..6).map(|_| GuardedBuf::new(4096)).collect();
    let kr = D::LHS.kr();
    let cases = 20_000;
    for case in 0..cases {
        let extreme = rng.pick(&[0x80, 0x7F, 0xFF, 0]);
        let mut byte = || if case % 4 == 0 { extreme } else { rng.byte() };
        let lhs = match D::LHS {
            // Codes of either signedness, widened: -128..=255.
            LhsForm::I16 => {
                let code = |byte: u8, unsigned: bool| {
                    (if unsigned { i16::from(byte) } else { i16::from(byte as i8) }).to_ne_bytes()
                };
                let pair = [code(byte(), case % 3 == 0), code(byte(), case % 3 == 1)];
                pair.as_flattened().to_vec()
            }
            form => (0..form.group_bytes()).map(|_| byte()).collect(),
        };
        let rhs: Vec<i8> = (0..D::LANES * D::RHS_BYTES).map(|_| byte() as i8).collect();
        let mut words = |count: usize| -> Vec<i32> {
            (0..count).map(|_| rng.next_u32() as i32 >> rng.below(32)).collect()
        };
        let (acc, factor, addend) = (words(D::LANES), words(1), words(D::LANES));
        let values = lhs_values(D::LHS, &lhs);
        let [a, b, c, d, e, f] = arenas.as_mut_slice() else { unreachable!("six arenas") };
        let to = f.at_end(&vec![0i32; D::LANES]);
        // SAFETY: the features are there; each pointer is valid for what the method reads or writes,
        // and for nothing beyond.
        let got = unsafe {
            let sums = [c.at_end(&acc), d.at_end(&factor), e.at_end(&addend)];
            run(a.at_end(&lhs), b.at_end(&rhs), sums.map(<*mut i32>::cast_const), to);
            std::slice::from_raw_parts(to, D::LANES)
        };
        for (lane, &got) in got.iter().enumerate() {
            let column = rhs_values::<D>(&rhs[lane * D::RHS_BYTES..][..D::RHS_BYTES], doubled);
            assert_eq!((values.len(), column.len()), (kr, kr));
            let dot: i64 = values.iter().zip(&column).map(|(&a, &b)| a * b).sum();
            let scaled = i64::from(acc[lane].wrapping_mul(factor[0]));
            let want = (scaled + i64::from(addend[lane]) + dot) as i32;
            assert_eq!(got, want, "{name}, lane {lane}: {lhs:?} {column:?}");
        }
    }
    covered("dot", required, cases);
}

/// [`Dot::shl`] of a vector.
///
/// # Safety
/// Within an entry compiled for `D`; a vector of sums can be read, and written.
#[inline(always)]
unsafe fn shl<D: Dot>(sums: *const i32, by: u32, to: *mut i32) {
    // SAFETY: by this function's contract.
    unsafe { D::store(to, D::shl(D::load(sums), by)) }
}

/// Sums of all magnitudes, by everything that a sum can be moved by.
fn check_shl<D: Dot>(name: &str, required: IsaSet, run: unsafe fn(*const i32, u32, *mut i32)) {
    if !is_wanted(required) || !Supported::has(limited(), required) {
        return;
    }
    let mut rng = Rng::new(seed());
    for by in (0..32).cycle().take(2_000) {
        let sums: Vec<i32> =
            (0..D::LANES).map(|_| rng.next_u32() as i32 >> rng.below(32)).collect();
        let mut got = vec![0; D::LANES];
        // SAFETY: the features are there, and a vector on both sides.
        unsafe { run(sums.as_ptr(), by, got.as_mut_ptr()) };
        let want: Vec<i32> = sums.iter().map(|&sum| sum.wrapping_mul(1 << by)).collect();
        assert_eq!(got, want, "{name}: {sums:?} << {by}");
    }
}

/// An entry compiled for the backend's features, checked if the CPU has them.
#[allow(unused_macros, reason = "not every architecture has backends with features")]
macro_rules! backend {
    ($backend:ty, $isa:ident, $features:literal) => {{
        #[target_feature(enable = $features)]
        unsafe fn entry(lhs: *const u8, rhs: *const i8, sums: [*const i32; 3], to: *mut i32) {
            // SAFETY: compiled for the backend; pointers by this function's contract.
            unsafe { step::<$backend>(lhs, rhs, sums, to) }
        }
        check::<$backend>(stringify!($backend), fewbit_simd::Isa::$isa.closure(), entry);
    }};
}

/// As [`backend`], of codes of 4, 2 and 1 bit.
#[allow(unused_macros, reason = "as above")]
macro_rules! few {
    ($backend:ident, $isa:ident, $features:literal) => {
        backend!(Few<$backend, 2, 15>, $isa, $features);
        backend!(Few<$backend, 4, 3>, $isa, $features);
        backend!(Few<$backend, 8, 1>, $isa, $features);
        backend!(Few<$backend, 8, 2>, $isa, $features);
    };
}

/// As [`backend`], of bits.
#[allow(unused_macros, reason = "as above")]
macro_rules! bits {
    ($backend:ident, $isa:ident, $features:literal) => {{
        #[target_feature(enable = $features)]
        unsafe fn shifted(sums: *const i32, by: u32, to: *mut i32) {
            // SAFETY: compiled for the backend; pointers by this function's contract.
            unsafe { shl::<$backend>(sums, by, to) }
        }
        backend!(Bits<$backend>, $isa, $features);
        check_shl::<$backend>(stringify!($backend), fewbit_simd::Isa::$isa.closure(), shifted);
    }};
}

#[test]
fn every_backend_equals_the_definition() {
    check::<ScalarDot>("ScalarDot", IsaSet::SCALAR, step::<ScalarDot>);
    check::<Few<ScalarDot, 2, 15>>("4 bits", IsaSet::SCALAR, step::<Few<ScalarDot, 2, 15>>);
    check::<Few<ScalarDot, 4, 3>>("2 bits", IsaSet::SCALAR, step::<Few<ScalarDot, 4, 3>>);
    check::<Few<ScalarDot, 8, 1>>("1 bit", IsaSet::SCALAR, step::<Few<ScalarDot, 8, 1>>);
    check::<Few<ScalarDot, 8, 2>>("-1 and +1: 8, 2", IsaSet::SCALAR, step::<Few<ScalarDot, 8, 2>>);
    check::<Bits<ScalarDot>>("bits", IsaSet::SCALAR, step::<Bits<ScalarDot>>);
    check_shl::<ScalarDot>("bits", IsaSet::SCALAR, shl::<ScalarDot>);
    #[cfg(target_arch = "x86_64")]
    {
        use fewbit_simd::dot::{
            Avx2Pair, Avx512Pair, Avx512Popcnt, Avx512Vnni, Avx512VnniYmm, AvxVnni,
        };
        backend!(Avx2Pair, Avx2, "avx2,fma");
        backend!(AvxVnni, AvxVnni, "avx2,fma,avxvnni");
        few!(Avx2Pair, Avx2, "avx2,fma");
        bits!(Avx2Pair, Avx2, "avx2,fma");
        bits!(Avx512Pair, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
        bits!(
            Avx512Popcnt,
            Avx512Vpopcntdq,
            "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma"
        );
        few!(AvxVnni, AvxVnni, "avx2,fma,avxvnni");
        few!(Avx512Pair, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
        few!(Avx512Vnni, Avx512Vnni, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma");
        backend!(Avx512Pair, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
        backend!(Avx512Vnni, Avx512Vnni, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma");
        backend!(
            Avx512VnniYmm,
            Avx512Vnni,
            "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
        );
    }
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    {
        use fewbit_simd::dot::{NeonPair, NeonSdot};
        backend!(NeonPair, Neon, "neon");
        backend!(NeonSdot, NeonDotprod, "neon,dotprod");
        few!(NeonPair, Neon, "neon");
        bits!(NeonPair, Neon, "neon");
        few!(NeonSdot, NeonDotprod, "neon,dotprod");
    }
    report();
}
