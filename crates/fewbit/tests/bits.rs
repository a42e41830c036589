//! Packed inputs, bits by bits and codes of four bits by weights of few, give the bytes that the same codes give as s8: on every instruction set, with every output, from rows
//! whose last byte ends at a page that may not be touched, in one piece or split.

mod common;

use common::layers::{GOOD, create, linear, refused, refused_conv, shapes};
use common::{Backwards, Memory, Operands, aligned, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{IntFormat, QuantParams, RealFormat, pack};
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Gemm, GemmDesc, GemmRun, Input, Linear,
    LinearBatch, LinearDesc, LinearGroup, LinearLayout, LinearRun, Output, Parallel, Serial,
    Status, View, ViewMut, Weights,
};
use fewbit_testkit::{Rng, covered, limited, report, sampled, seed, supported_sets};

const BITS: [IntFormat; 2] = [IntFormat::U1, IntFormat::B1];
const PAIRS: [(IntFormat, IntFormat); 4] = [
    (IntFormat::U1, IntFormat::U1),
    (IntFormat::U1, IntFormat::B1),
    (IntFormat::B1, IntFormat::U1),
    (IntFormat::B1, IntFormat::B1),
];

/// Inputs of four bits meet any weights.
const FOUR: [(IntFormat, IntFormat); 6] = [
    (IntFormat::S4, IntFormat::S4),
    (IntFormat::S4, IntFormat::U4),
    (IntFormat::U4, IntFormat::S4),
    (IntFormat::U4, IntFormat::U4),
    (IntFormat::U4, IntFormat::S2),
    (IntFormat::S4, IntFormat::B1),
];

/// Rows of codes, as bytes and packed, `stride` codes apart; what is between them is anything.
struct Rows {
    bytes: Vec<u8>,
    packed: Vec<u8>,
    stride: usize,
}

impl Rows {
    /// Any codes, or rows of the largest or the smallest only.
    fn any(rng: &mut Rng, format: IntFormat, (rows, columns): (usize, usize)) -> Rows {
        let stride = columns.next_multiple_of(8) + 8 * rng.below(3);
        let mut bytes = Vec::new();
        let mut packed =
            rng.bytes(((rows - 1) * stride + columns).div_ceil(format.codes_per_byte()));
        for row in 0..rows {
            let kind = rng.below(4);
            for column in 0..columns {
                let q = match kind {
                    0 => format.qmin(),
                    1 => format.qmax(),
                    _ => code(rng, format),
                };
                bytes.push(q as u8);
                let (byte, slot) = pack::position(format, row * stride + column);
                packed[byte] = pack::set(format, packed[byte], slot, q);
            }
        }
        Rows { bytes, packed, stride }
    }
}

/// Any code.
fn code(rng: &mut Rng, format: IntFormat) -> i32 {
    let (qmin, qmax) = (format.qmin(), format.qmax());
    match format {
        IntFormat::B1 => rng.pick(&[qmin, qmax]),
        _ => qmin + rng.below((qmax - qmin + 1) as usize) as i32,
    }
}

fn zero_point(rng: &mut Rng, format: IntFormat) -> i32 {
    if format == IntFormat::B1 { 0 } else { code(rng, format) }
}

fn run(
    plan: &Linear<'_>,
    m: usize,
    (x, x_stride): (*const u8, usize),
    (residual, element): (&[u8], usize),
    splits: usize,
    parallel: &dyn Parallel,
) -> Vec<u8> {
    let n = plan.out_features();
    let size = plan.workspace(m, parallel.max_workers()).unwrap().size;
    let (mut memory, mut y) = (workspace(size), workspace(m * n * element));
    for part in 0..splits {
        let rows = m * part / splits..m * (part + 1) / splits;
        for columns in [0..n / 3, n / 3..n] {
            let run = LinearRun {
                rows: m,
                x,
                x_stride,
                residual: residual.as_ptr(),
                residual_stride: n,
                workspace: memory.as_mut_ptr(),
                workspace_size: size,
                y: y.as_mut_ptr(),
                y_stride: n,
            };
            // SAFETY: rows of the sizes that the plan has.
            unsafe { plan.run_raw(&run, parallel, (rows.clone(), columns)) }.unwrap();
        }
    }
    y.to_vec()
}

#[test]
fn packed_codes_give_the_bytes_of_eight_bits() {
    let mut rng = Rng::new(seed() ^ 0xB1);
    for (m, n, k) in sampled("bits m x n x k", 4, shapes()) {
        for (of_x, of_w) in PAIRS.into_iter().chain(FOUR) {
            let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
            let mut operands = Operands::any(&mut rng, n, n * k);
            operands.zero_points = match (of_w, rng.below(3)) {
                (IntFormat::B1, _) | (_, 0) => vec![],
                (_, 1) => vec![zero_point(&mut rng, of_w)],
                _ => (0..n).map(|_| zero_point(&mut rng, of_w)).collect(),
            };
            let scale = 0.01 + rng.unit();
            let params = QuantParams { scale, zero_point: zero_point(&mut rng, of_x) };
            operands.input = Input::Codes(Code::S8, params);
            let shape = if layout == LinearLayout::Nk { (n, k) } else { (k, n) };
            let weights = Rows::any(&mut rng, of_w, shape);
            (operands.weight_code, operands.weights) = (Code::S8, weights.bytes);
            let x = Rows::any(&mut rng, of_x, (m, k));
            // All of these codes are codes of s8 too.
            let bytes = linear(&operands, (n, k), layout);
            let packed = Weights { format: of_w, codes: &weights.packed, ..bytes.weights };
            let input = Input::Packed(of_x, params);
            let bits =
                LinearDesc { weights: packed, weight_stride: weights.stride, input, ..bytes };
            let residual = aligned(&operands.finish.residuals(&mut rng, m * n));
            let to = (&residual[..], operands.output_element());
            let mut guarded = Memory::new(x.packed.len());
            let at = guarded.copy(&x.packed);
            for set in supported_sets() {
                let plan = Linear::create(&bytes, set, &Allocator::DEFAULT).unwrap();
                let want = run(&plan, m, (x.bytes.as_ptr(), k), to, 1, &Serial);
                let plan = Linear::create(&bits, set, &Allocator::DEFAULT).unwrap();
                for (splits, parallel) in [(1, &Serial as &dyn Parallel), (2, &Backwards)] {
                    let got = run(&plan, m, (at, x.stride), to, splits, parallel);
                    let kernel = plan.kernel_name();
                    assert_eq!(got, want, "{kernel} {of_x:?} {of_w:?} {layout:?} {operands:?}");
                }
                covered("bits", set.set(), 1);
            }
        }
    }
    report();
}

/// A layer of `k` inputs, 2 outputs and s32 sums.
fn sums<'a>(codes: &'a [u8], of_w: IntFormat, input: Input, k: usize) -> LinearDesc<'a> {
    let weights = Weights { format: of_w, codes, ..GOOD.weights };
    LinearDesc { in_features: k, weights, input, output: Output::S32, ..GOOD }
}

/// The largest sums, and the bound that is proven from the weights, are K; of bits with zero points too.
#[test]
fn sums_reach_their_bound() {
    let k = 100_003usize;
    let bytes = k.div_ceil(8);
    for (of_x, of_w) in PAIRS {
        for set in supported_sets() {
            let params = QuantParams { scale: 1.0, zero_point: 0 };
            let ones = vec![0xFF; 2 * bytes];
            let desc = sums(&ones, of_w, Input::Packed(of_x, params), k);
            let plan = Linear::create(&desc, set, &Allocator::DEFAULT).unwrap();
            assert_eq!(plan.bound(), k as i64);
            let mut memory = workspace(plan.workspace(2, 1).unwrap().size);
            let (mut x, mut y) = (vec![0xFFu8; 2 * bytes], [0i32; 4]);
            x[bytes..].fill(0);
            plan.run(2, &x, &mut memory, &Serial, &mut y).unwrap();
            let k = k as i32;
            let low = if of_x == IntFormat::B1 { -k } else { 0 };
            assert_eq!(y, [k, k, low, low], "{} {of_x:?} {of_w:?}", plan.kernel_name());
        }
    }
}

/// -1 and +1 are 0 and 1 of twice the scale about a zero point in their middle, which no code is:
/// `Σ (2a - 1)(2w - 1) = 4 Σ a w - 2 Σ a - 2 Σ w + K`.
#[test]
fn the_two_kinds_of_bits_are_related_as_documented() {
    let mut rng = Rng::new(seed() ^ 0xB2);
    let (k, m) = (77usize, 3);
    let params = QuantParams { scale: 1.0, zero_point: 0 };
    let (x, w) = (rng.bytes(m * k.div_ceil(8)), rng.bytes(2 * k.div_ceil(8)));
    let [of_u1, of_b1] = BITS.map(|format| {
        let plan = create(&sums(&w, format, Input::Packed(format, params), k)).unwrap();
        let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
        let mut y = vec![0i32; 2 * m];
        plan.run(m, &x, &mut memory, &Serial, &mut y).unwrap();
        y
    });
    let ones = |rows: &[u8], row: usize| -> i32 {
        (0..k).map(|i| i32::from(rows[row * k.div_ceil(8) + i / 8] >> (i % 8) & 1)).sum()
    };
    for (i, (u1, b1)) in of_u1.into_iter().zip(of_b1).enumerate() {
        assert_eq!(b1, 4 * u1 - 2 * ones(&x, i / 2) - 2 * ones(&w, i % 2) + k as i32);
    }
}

/// Batches, groups and the products of a [`Gemm`], whose rows have a scale and a zero point each, are single runs.
#[test]
fn batches_groups_and_products_take_packed_codes() {
    let mut rng = Rng::new(seed() ^ 0xB3);
    let (m, n, k) = (5, 11, 45);
    for (of_x, of_w) in PAIRS.into_iter().chain(FOUR) {
        let (of_x_byte, of_w_byte) = (of_x.codes_per_byte(), of_w.codes_per_byte());
        let w = Rows::any(&mut rng, of_w, (2 * n, k));
        let x = Rows::any(&mut rng, of_x, (2 * m, k));
        let zero = zero_point(&mut rng, of_x);
        let scales: Vec<f32> = (0..2 * n).map(|_| 0.01 + rng.unit()).collect();
        let weights = Weights { format: of_w, codes: &w.packed, scales: &scales, ..GOOD.weights };
        let all = LinearDesc {
            in_features: k,
            out_features: n,
            weights,
            weight_stride: w.stride,
            matrices: 2,
            input: Input::Packed(of_x, QuantParams { scale: 0.5, zero_point: zero }),
            ..GOOD
        };
        // The same matrices, one at a time.
        let mut want = vec![0f32; 2 * m * n];
        for (b, want) in want.chunks_exact_mut(m * n).enumerate() {
            let codes = &w.packed[b * n * w.stride / of_w_byte..];
            let weights = Weights { codes, scales: &scales[b * n..][..n], ..weights };
            let plan = create(&LinearDesc { weights, matrices: 1, ..all }).unwrap();
            let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
            let rows = View::new(&x.packed[b * m * x.stride / of_x_byte..])
                .row_stride(x.stride / of_x_byte);
            let (y, whole) = (ViewMut::new(want), (0..m, 0..n));
            plan.run_range(m, rows, View::NONE, &mut memory, &Serial, y, whole).unwrap();
        }
        let plan = create(&all).unwrap();
        let mut memory = workspace(plan.batch_workspace(m, 3).unwrap().size);
        let mut y = vec![0f32; 2 * m * n];
        let rows = View::new(&x.packed[..]).row_stride(x.stride / of_x_byte);
        let rows = rows.matrix_stride(m * x.stride / of_x_byte);
        plan.run_batch(m, rows, View::NONE, &mut memory, &Backwards, ViewMut::new(&mut y)).unwrap();
        assert_eq!(y, want, "batch {of_x:?} {of_w:?}");

        y.fill(0.0);
        let mut memory = workspace(plan.grouped_workspace(2, 2 * m, 1).unwrap().size);
        let (first, second) = y.split_at_mut(m * n);
        let group = |b: usize, y| {
            let rows = View::new(&x.packed[b * m * x.stride / of_x_byte..])
                .row_stride(x.stride / of_x_byte);
            LinearGroup::new(b, m, rows, ViewMut::new(y))
        };
        let mut groups = [group(1, second), group(0, first)];
        plan.run_grouped(&mut groups, &mut memory, &Serial).unwrap();
        assert_eq!(y, want, "groups {of_x:?} {of_w:?}");

        let desc = GemmDesc {
            n,
            k,
            lhs: of_x,
            rhs: weights,
            rhs_layout: LinearLayout::Nk,
            rhs_stride: w.stride,
            matrices: 2,
            matrix_stride: 0,
            bias: Bias::None,
            output: Output::Real(RealFormat::F32),
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
        };
        let plan = Gemm::create(&desc, limited(), &Allocator::DEFAULT).unwrap();
        let of_rows: Vec<f32> = (0..2 * m).map(|row| 0.5 * (1 + row % 3) as f32).collect();
        let zeros = vec![zero; 2 * m];
        let size = plan.workspace(m, 1).unwrap().size;
        let mut memory = workspace(size);
        let args = GemmRun {
            rows: m,
            lhs: x.packed.as_ptr(),
            lhs_stride: x.stride,
            lhs_batch_stride: m * x.stride,
            lhs_scales: of_rows.as_ptr(),
            lhs_scale_count: 2 * m,
            lhs_zero_points: zeros.as_ptr(),
            lhs_zero_point_count: 2 * m,
            workspace: memory.as_mut_ptr(),
            workspace_size: size,
            dst: y.as_mut_ptr().cast(),
            dst_stride: n,
            dst_batch_stride: m * n,
        };
        // SAFETY: two matrices of such rows, results and parameters.
        unsafe { plan.run_raw(&args, &Serial) }.unwrap();
        // Products by 2 are exact, and those by 3 rounded as the product of exact factors is.
        for (row, (got, want)) in y.chunks_exact(n).zip(want.chunks_exact(n)).enumerate() {
            if row % 3 != 2 {
                let factor = (1 + row % 3) as f32;
                let want: Vec<f32> = want.iter().map(|want| want * factor).collect();
                assert_eq!(got, want, "product {of_x:?} {of_w:?} row {row}");
            }
        }
        let one = GemmRun { lhs_zero_points: [1].as_ptr(), lhs_zero_point_count: 1, ..args };
        // SAFETY: as above.
        let result = unsafe { plan.run_raw(&one, &Serial) };
        match of_x {
            IntFormat::B1 => {
                let error = result.unwrap_err();
                let refused = (Status::InvalidArgument, "lhs_zero_points");
                assert_eq!((error.status, error.argument), refused);
            }
            _ => result.unwrap(),
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    use Status::{BufferTooSmall, InvalidArgument, Unsupported};
    let params = QuantParams { scale: 1.0, zero_point: 0 };
    let b1 = Weights { format: IntFormat::B1, codes: &[0x35; 8], ..GOOD.weights };
    let input = Input::Packed(IntFormat::U1, params);
    let good = LinearDesc { weights: b1, input, ..GOOD };
    assert!(create(&good).is_ok());
    // Bits meet bits.
    assert_eq!(refused(LinearDesc { input, ..GOOD }), (Unsupported, "desc.weights"));
    let of = |input| refused(LinearDesc { input, ..good });
    assert_eq!(of(Input::Packed(IntFormat::S2, params)), (Unsupported, "desc.input"));
    assert_eq!(of(Input::PackedPerRow(IntFormat::U1)), (Unsupported, "desc.input"));
    let one = QuantParams { zero_point: 1, ..params };
    assert!(create(&LinearDesc { input: Input::Packed(IntFormat::U1, one), ..good }).is_ok());
    assert_eq!(of(Input::Packed(IntFormat::B1, one)), (InvalidArgument, "desc.input"));
    let zero = QuantParams { scale: 0.0, ..params };
    assert_eq!(of(Input::Packed(IntFormat::B1, zero)), (InvalidArgument, "desc.input"));
    let block = Weights { block: 32, scales: &[1.0; 2], ..b1 };
    assert_eq!(refused(LinearDesc { weights: block, ..good }), (Unsupported, "desc.weights.block"));
    let operands =
        Operands { input, ..Operands::any(&mut Rng::new(1), 9, common::layers::FILTERS) };
    let layer = common::layers::conv(&operands, fewbit::ImageLayout::Nhwc);
    assert_eq!(refused_conv(layer), (Unsupported, "desc.input"));
    let input = Input::Static(RealFormat::F32, IntFormat::S4, params);
    let operands = Operands { input, ..operands };
    let layer = common::layers::conv(&operands, fewbit::ImageLayout::Nhwc);
    assert_eq!(refused_conv(layer), (Unsupported, "desc.input"));

    let plan = create(&good).unwrap();
    let mut memory = workspace(plan.batch_workspace(2, 1).unwrap().size);
    let (x, mut y) = ([0u8; 8], [0f32; 4]);
    let error = plan.run(2, &x[..7], &mut memory, &Serial, &mut y).unwrap_err();
    assert_eq!((error.status, error.argument), (BufferTooSmall, "x"));
    plan.run(2, &x, &mut memory, &Serial, &mut y).unwrap();
    let mut run = |x_stride: usize, x_batch_stride: usize| LinearBatch {
        rows: 2,
        x: x.as_ptr(),
        x_stride,
        x_batch_stride,
        residual: std::ptr::null(),
        residual_stride: 0,
        residual_batch_stride: 0,
        y: y.as_mut_ptr().cast(),
        y_stride: 2,
        y_batch_stride: 4,
        workspace: memory.as_mut_ptr(),
        workspace_size: memory.len(),
    };
    for (strides, argument) in
        [((33, 0), "x_stride"), ((24, 0), "x_stride"), ((32, 4), "x_batch_stride")]
    {
        let batch = run(strides.0, strides.1);
        // SAFETY: nothing is read or written before the strides are found wrong.
        let error = unsafe { plan.run_batch_raw(&batch, &Serial) }.unwrap_err();
        assert_eq!((error.status, error.argument), (InvalidArgument, argument));
    }
    let spec = fewbit::scheme::ParamSpec::symmetric(IntFormat::S8);
    let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::S8, spec };
    // Numbers are quantized to bytes, which meet bits as bytes.
    let numbers = create(&LinearDesc { input: Input::DynamicPerRow(dynamic), ..good }).unwrap();
    assert!(numbers.kernel_name().starts_with("gemm_s8b1s32"));
}
