//! Every method of every vector backend against the scalar one, and the scalar one against the
//! standard library: all pairs of extremes, all 2^16 codes, and a sweep over all f32.

mod backend;
mod memory;
mod methods;

use backend::{Backend, scalar, vectors};
use fewbit_scheme::real;
use fewbit_simd::{Isa, IsaSet, f32_of_order_key};
use fewbit_testkit::{covered, report};
use methods::{Kind, NAMES};

/// Elements a case: the longest vector.
const N: usize = 16;

/// Operands, by bits.
#[derive(Clone, Copy)]
struct Case {
    a: [u32; N],
    b: [u32; N],
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
        Kind::ToInt | Kind::ToNearest => !(-2147483648.0..2147483648.0).contains(&a) || got == want,
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
            assert_eq!(result("high_u16"), a << 16);
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
            assert!(
                !(-2147483648.0..2147483648.0).contains(&x)
                    || result("nearest_i32") == x.round_ties_even() as i32 as u32
            );
            assert!(float("round_half_even") == x.round_ties_even() || x.is_nan());
            assert!(float("round_half_away") == x.round() || x.is_nan());
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
