//! Sums, products and concatenations of tensors of codes against the contract: every set of features, every way to repeat
//! the second operand, threads, in place, and what is refused.

mod common;

use common::{Backwards, Threads, value};
use fewbit::scheme::{
    self, AddMultipliers, IntFormat, QuantParams, QuantizeMode, Rounding, multiply_multiplier,
    quantize, rescale,
};
use fewbit::simd::Supported;
use fewbit::{
    Activation, BinaryDesc, Code, ConcatDesc, Error, Parallel, Piece, Serial, Status, add, add_raw,
    concat, concat_raw, multiply, multiply_raw,
};
use fewbit_testkit::{Rng, covered, fraction, limited, report, seed, supported_sets};

fn any_params(rng: &mut Rng, code: Code) -> QuantParams {
    let zero_point = code.format().qmin() + rng.below(256) as i32;
    QuantParams { scale: 0.01 + rng.unit(), zero_point }
}

type Run = fn(&BinaryDesc, &[u8], &[u8], &mut [u8], &dyn Parallel, Supported) -> Result<(), Error>;

/// A result's code from two codes.
fn contract(desc: &BinaryDesc, product: bool, a: u8, b: u8) -> u8 {
    let BinaryDesc { code, a: pa, b: pb, y, .. } = *desc;
    let format = code.format();
    let rounding = if desc.fixed_point { Rounding::HalfAway } else { Rounding::HalfEven };
    let bound = |x| quantize(x, y, format, QuantizeMode { rounding, ..QuantizeMode::default() });
    let clamp = match desc.activation {
        Activation::Relu => (y.zero_point, format.qmax()),
        Activation::Clamp { low, high } => (bound(low), bound(high)),
        _ => (format.qmin(), format.qmax()),
    };
    let (a, b) = (value(code, a) as i32, value(code, b) as i32);
    let code = match (desc.fixed_point, product) {
        (false, false) => scheme::add((a, pa), (b, pb), y, format, clamp),
        (false, true) => scheme::multiply((a, pa), (b, pb), y, format, clamp),
        (true, false) => {
            let multipliers = AddMultipliers::from_scales(pa.scale, pb.scale, y.scale).unwrap();
            let (a, b) = ((a, pa.zero_point), (b, pb.zero_point));
            scheme::add_fixed(a, b, &multipliers, y.zero_point, format, clamp)
        }
        (true, true) => {
            let multiplier = multiply_multiplier(pa.scale, pb.scale, y.scale).unwrap();
            let (a, b) = ((a, pa.zero_point), (b, pb.zero_point));
            scheme::multiply_fixed(a, b, multiplier, y.zero_point, format, clamp)
        }
    };
    code as u8
}

fn direct(desc: &BinaryDesc, product: bool, a: &[u8], b: &[u8]) -> Vec<u8> {
    let BinaryDesc { rows, columns, b_rows, b_columns, .. } = *desc;
    (0..rows * columns)
        .map(|i| {
            let (row, column) = (i / columns % b_rows, i % columns);
            let column = if b_columns == 1 { 0 } else { column };
            contract(desc, product, a[i], b[row * b_columns + column])
        })
        .collect()
}

fn any_desc(rng: &mut Rng, large: bool) -> BinaryDesc {
    let code = rng.pick(&[Code::S8, Code::U8]);
    let (b_rows, times) = (1 + rng.below(5), 1 + rng.below(4));
    let columns = match large {
        true => rng.pick(&[1, 3, 40_000, 70_001]),
        false => rng.pick(&[1, 1, 3, 16, 31, 33, 64, 100, 129]),
    };
    let times = if large && columns < 9 { 40_000 } else { times };
    let (rows, b_rows, b_columns) = match rng.below(5) {
        0 => (b_rows, b_rows, columns),
        1 => (times, 1, 1),
        2 => (times, 1, columns),
        3 => (times * b_rows, b_rows, 1),
        _ => (times * b_rows, b_rows, columns),
    };
    BinaryDesc {
        rows,
        columns,
        b_rows,
        b_columns,
        code,
        a: any_params(rng, code),
        b: any_params(rng, code),
        y: any_params(rng, code),
        activation: rng.pick(&[
            Activation::None,
            Activation::Relu,
            Activation::Clamp { low: 0.0, high: 6.0 },
            Activation::Clamp { low: -3.3, high: f32::INFINITY },
        ]),
        fixed_point: rng.below(3) == 0,
    }
}

#[test]
fn sums_and_products_are_the_contract() {
    let mut rng = Rng::new(seed() ^ 130);
    let runs: [(Run, bool); 2] = [(add, false), (multiply, true)];
    for _ in 0..2000 / fraction("sums and products", 4) {
        let desc = any_desc(&mut rng, false);
        let a = rng.bytes(desc.rows * desc.columns);
        let b = rng.bytes(desc.b_rows * desc.b_columns);
        for (run, product) in runs {
            let want = direct(&desc, product, &a, &b);
            for supported in supported_sets() {
                let mut y = vec![0x5A; want.len() + 3];
                run(&desc, &a, &b, &mut y, &Serial, supported).unwrap();
                assert!(y[..want.len()] == want, "{desc:?} {product}");
                assert!(y[want.len()..] == [0x5A; 3]);
                covered("sums_and_products", supported.set(), 1);
            }
        }
    }
    report();
}

#[test]
fn threads_and_places_change_nothing() {
    let mut rng = Rng::new(seed() ^ 131);
    for _ in 0..30 {
        let desc = any_desc(&mut rng, true);
        let a = rng.bytes(desc.rows * desc.columns);
        let b = rng.bytes(desc.b_rows * desc.b_columns);
        let want = direct(&desc, false, &a, &b);
        let threads: [&dyn Parallel; 4] = [&Serial, &Threads(2), &Threads(5), &Backwards];
        for parallel in threads {
            let mut y = vec![0; want.len()];
            add(&desc, &a, &b, &mut y, parallel, limited()).unwrap();
            assert!(y == want, "{desc:?}");
        }
        let mut y = a.clone();
        let at = y.as_mut_ptr();
        // SAFETY: `y` is the first operand.
        unsafe { add_raw(&desc, at, b.as_ptr(), at, &Threads(3), limited()) }.unwrap();
        assert!(y == want, "{desc:?}");
        let mut y = b.clone();
        let at = y.as_mut_ptr();
        // SAFETY: `y` is the second operand, if that is as large as the result.
        let in_place = unsafe { add_raw(&desc, a.as_ptr(), at, at, &Serial, limited()) };
        if a.len() == b.len() {
            in_place.unwrap();
            assert!(y == want, "{desc:?}");
        } else {
            assert_eq!(in_place.unwrap_err().status, Status::Overlap);
        }
    }
}

#[test]
fn wrong_sums_are_refused() {
    let one = QuantParams { scale: 1.0, zero_point: 0 };
    let good = BinaryDesc {
        rows: 6,
        columns: 4,
        b_rows: 3,
        b_columns: 4,
        code: Code::U8,
        a: one,
        b: one,
        y: one,
        activation: Activation::None,
        fixed_point: false,
    };
    let tiny = QuantParams { scale: 1e-30, ..one };
    let zero = QuantParams { zero_point: -1, ..one };
    let refused = |desc: &BinaryDesc, a: usize, b: usize, y: usize| {
        let (from, mut to) = ([0; 24], [7; 24]);
        let runs: [Run; 2] = [add, multiply];
        let [first, second] = runs.map(|run| {
            let error = run(desc, &from[..a], &from[..b], &mut to[..y], &Serial, limited());
            let error = error.unwrap_err();
            (error.status, error.argument)
        });
        assert_eq!(first, second);
        assert_eq!(to, [7; 24]);
        first
    };
    let all = |desc: BinaryDesc| refused(&desc, 24, 12, 24);
    let invalid = Status::InvalidArgument;
    assert_eq!(all(BinaryDesc { b_rows: 0, ..good }), (invalid, "desc.b_rows"));
    assert_eq!(all(BinaryDesc { b_rows: 4, ..good }), (invalid, "desc.b_rows"));
    assert_eq!(all(BinaryDesc { b_columns: 2, ..good }), (invalid, "desc.b_columns"));
    assert_eq!(all(BinaryDesc { b_columns: 0, ..good }), (invalid, "desc.b_columns"));
    assert_eq!(all(BinaryDesc { a: zero, ..good }), (invalid, "desc.a"));
    assert_eq!(all(BinaryDesc { b: zero, ..good }), (invalid, "desc.b"));
    assert_eq!(all(BinaryDesc { y: zero, ..good }), (invalid, "desc.y"));
    let clamp = Activation::Clamp { low: 1.0, high: 0.0 };
    assert_eq!(all(BinaryDesc { activation: clamp, ..good }), (invalid, "desc.activation"));
    let clamp = Activation::Clamp { low: f32::NAN, high: 0.0 };
    assert_eq!(all(BinaryDesc { activation: clamp, ..good }), (invalid, "desc.activation"));
    let other = BinaryDesc { activation: Activation::Gelu, ..good };
    assert_eq!(all(other), (Status::Unsupported, "desc.activation"));
    let no_multiplier = BinaryDesc { y: tiny, fixed_point: true, ..good };
    assert_eq!(all(no_multiplier), (Status::Unsupported, "desc.y"));
    assert_eq!(refused(&good, 23, 12, 24), (Status::BufferTooSmall, "a"));
    assert_eq!(refused(&good, 24, 11, 24), (Status::BufferTooSmall, "b"));
    assert_eq!(refused(&good, 24, 12, 23), (Status::BufferTooSmall, "y"));
    let null = std::ptr::null_mut();
    let mut codes = [1; 48];
    let (at, behind) = (codes.as_mut_ptr(), codes.as_mut_ptr().wrapping_add(24));
    for (a, b, y, status) in [
        (null, at, behind, Status::NullPointer),
        (at, null, behind, Status::NullPointer),
        (at, at, null, Status::NullPointer),
        (at, behind, at.wrapping_add(1), Status::Overlap),
        (at, behind, behind.wrapping_add(11), Status::Overlap),
    ] {
        // SAFETY: refused before anything is touched.
        let error = unsafe { multiply_raw(&good, a, b, y, &Serial, limited()) }.unwrap_err();
        assert_eq!(error.status, status);
    }
    let nothing = BinaryDesc { rows: 0, ..good };
    add(&nothing, &[], &codes[..12], &mut [], &Serial, limited()).unwrap();
}

/// Every code of a piece, one by one.
fn joined(desc: &ConcatDesc, pieces: &[(Vec<u8>, usize, QuantParams)]) -> Vec<u8> {
    let format: IntFormat = desc.code.format();
    let mut y = Vec::new();
    for outer in 0..desc.outer {
        for (x, len, params) in pieces {
            let row = &x[outer * len * desc.inner..][..len * desc.inner];
            y.extend(row.iter().map(|&byte| {
                rescale(value(desc.code, byte) as i32, *params, desc.y, format) as u8
            }));
        }
    }
    y
}

#[test]
fn pieces_are_rescaled() {
    let mut rng = Rng::new(seed() ^ 132);
    for round in 0..400 / fraction("concatenations", 4) {
        let large = round % 20 == 0;
        let code = rng.pick(&[Code::S8, Code::U8]);
        let desc = ConcatDesc {
            outer: if large { 50 + rng.below(300) } else { 1 + rng.below(5) },
            inner: if large { 1 + rng.below(900) } else { 1 + rng.below(40) },
            code,
            y: any_params(&mut rng, code),
        };
        let pieces: Vec<(Vec<u8>, usize, QuantParams)> = (0..rng.below(5))
            .map(|i| {
                let len = rng.below(5);
                let params = if i == 1 { desc.y } else { any_params(&mut rng, code) };
                (rng.bytes(desc.outer * len * desc.inner), len, params)
            })
            .collect();
        let want = joined(&desc, &pieces);
        let raw: Vec<Piece> = pieces
            .iter()
            .map(|(x, len, params)| Piece { x: x.as_ptr(), len: *len, params: *params })
            .collect();
        let threads: [&dyn Parallel; 3] = [&Serial, &Threads(3), &Backwards];
        for supported in supported_sets() {
            for parallel in threads {
                let mut y = vec![0x5A; want.len() + 2];
                // SAFETY: pieces and result are as long as described.
                unsafe { concat_raw(&desc, &raw, y.as_mut_ptr(), parallel, supported) }.unwrap();
                assert!(y[..want.len()] == want, "{desc:?}");
                assert!(y[want.len()..] == [0x5A; 2]);
            }
            covered("concat", supported.set(), 1);
        }
        if let [(a, _, pa), (b, _, pb), ..] = &pieces[..] {
            let two = joined(&desc, &pieces[..2]);
            let mut y = vec![0; two.len()];
            concat(&desc, [(a, *pa), (b, *pb)], &mut y, &Serial, limited()).unwrap();
            assert!(y == two);
        }
    }
    report();
}

#[test]
fn wrong_pieces_are_refused() {
    let one = QuantParams { scale: 1.0, zero_point: 0 };
    let desc = ConcatDesc { outer: 2, inner: 3, code: Code::S8, y: one };
    let x = [1; 12];
    let refused = |desc: &ConcatDesc, params, x: &[u8], room: usize| {
        let mut y = [7; 24];
        let pieces = [(x, one), (x, params)];
        let error = concat(desc, pieces, &mut y[..room], &Serial, limited()).unwrap_err();
        assert_eq!(y, [7; 24]);
        (error.status, error.argument)
    };
    let bad = QuantParams { zero_point: 128, ..one };
    let invalid = Status::InvalidArgument;
    assert_eq!(refused(&desc, bad, &x, 24), (invalid, "pieces"));
    assert_eq!(refused(&desc, one, &x[1..], 24), (invalid, "pieces"));
    assert_eq!(refused(&desc, one, &x, 23), (Status::BufferTooSmall, "y"));
    let tiny = ConcatDesc { y: QuantParams { scale: f32::MIN_POSITIVE, ..one }, ..desc };
    let huge = QuantParams { scale: f32::MAX, ..one };
    assert_eq!(refused(&tiny, huge, &x, 24), (invalid, "pieces"));
    let wrong = ConcatDesc { y: bad, ..desc };
    assert_eq!(refused(&wrong, one, &x, 24), (invalid, "y_params"));
    let mut codes = [1; 24];
    let at = codes.as_mut_ptr();
    let piece = |x: *const u8, len| Piece { x, len, params: one };
    for (piece, y, status) in [
        (piece(std::ptr::null(), 2), at, Status::NullPointer),
        (piece(at, 2), std::ptr::null_mut(), Status::NullPointer),
        (piece(at, 2), at.wrapping_add(11), Status::Overlap),
        (piece(at, usize::MAX / 2), at, Status::InvalidArgument),
    ] {
        // SAFETY: refused before anything is touched.
        let error = unsafe { concat_raw(&desc, &[piece], y, &Serial, limited()) }.unwrap_err();
        assert_eq!(error.status, status);
    }
    // SAFETY: no elements.
    unsafe { concat_raw::<Piece>(&desc, &[], std::ptr::null_mut(), &Serial, limited()) }.unwrap();
}
