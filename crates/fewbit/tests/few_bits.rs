//! Weights of four, two and one bit give the bytes that the same codes give as s8: on every instruction set, with every
//! input and output, scales a channel or a block, in one piece or split.

mod common;

use common::images::Images;
use common::layers::{GOOD, create, linear, real_operands, refused, shapes};
use common::{Backwards, Operands, OwnedBias, aligned, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::reduce::min_max;
use fewbit::scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, RealFormat, pack, params_from_range, quantize,
};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvDesc, ConvRun, DynamicSpec, Gemm, GemmDesc,
    Input, Linear, LinearDesc, LinearLayout, LinearRun, Output, Parallel, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, covered, fraction, limited, report, sampled, seed, supported_sets};

const FEW: [IntFormat; 5] =
    [IntFormat::S4, IntFormat::U4, IntFormat::S2, IntFormat::U1, IntFormat::B1];

/// A code of a format: any, or at one of its ends.
fn code(rng: &mut Rng, format: IntFormat) -> i32 {
    let (qmin, qmax) = (format.qmin(), format.qmax());
    match (format, rng.below(3)) {
        (_, 0) => qmin,
        (_, 1) => qmax,
        (IntFormat::B1, _) => 1,
        _ => qmin + rng.below((qmax - qmin + 1) as usize) as i32,
    }
}

/// A matrix of codes: a byte each, and packed with rows `stride` codes apart.
struct Matrix {
    bytes: Vec<u8>,
    packed: Vec<u8>,
    stride: usize,
}

impl Matrix {
    fn any(rng: &mut Rng, format: IntFormat, (rows, columns): (usize, usize)) -> Matrix {
        let unit = format.codes_per_byte();
        let stride = columns.next_multiple_of(unit) + rng.below(3) * unit;
        let mut bytes = Vec::new();
        let mut packed = rng.bytes(((rows - 1) * stride + columns).div_ceil(unit));
        for at in (0..rows).flat_map(|row| (0..columns).map(move |column| row * stride + column)) {
            let q = code(rng, format);
            bytes.push(q as u8);
            let (byte, slot) = pack::position(format, at);
            packed[byte] = pack::set(format, packed[byte], slot, q);
        }
        Matrix { bytes, packed, stride }
    }
}

fn run(
    desc: &LinearDesc<'_>,
    set: Supported,
    m: usize,
    (data, residual): (&[u8], &[u8]),
    (element, splits): (usize, usize),
    parallel: &dyn Parallel,
) -> (String, Vec<u8>) {
    let (n, k) = (desc.out_features, desc.in_features);
    let plan = Linear::create(desc, set, &Allocator::DEFAULT).unwrap();
    let size = plan.workspace(m, parallel.max_workers()).unwrap().size;
    let (mut memory, mut y) = (workspace(size), workspace(m * n * element));
    for part in 0..splits {
        let rows = m * part / splits..m * (part + 1) / splits;
        for columns in [0..n / 3, n / 3..n] {
            let run = LinearRun {
                rows: m,
                x: data.as_ptr(),
                x_stride: k,
                residual: residual.as_ptr(),
                residual_stride: n,
                workspace: memory.as_mut_ptr(),
                workspace_size: size,
                y: y.as_mut_ptr(),
                y_stride: n,
            };
            // SAFETY: contiguous rows of the sizes that the plan has.
            unsafe { plan.run_raw(&run, parallel, (rows.clone(), columns)) }.unwrap();
        }
    }
    (plan.kernel_name().into(), y.to_vec())
}

#[test]
fn few_bits_give_the_bytes_of_eight() {
    let mut rng = Rng::new(seed() ^ 0xF0);
    for (m, n, k) in sampled("few bits m x n x k", 4, shapes()) {
        for of in FEW {
            let block = rng.pick(&[0, 0, 32, 64, 128]);
            let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
            let mut operands = match block {
                0 => Operands::any(&mut rng, n, n * k),
                _ => real_operands(&mut rng, n, n * k),
            };
            if let (1.., OwnedBias::S32(_)) = (block, &operands.bias) {
                operands.bias = OwnedBias::None;
            }
            let count = if block > 0 { n * k.div_ceil(block) } else { n };
            operands.scales = (0..count).map(|_| 0.01 + rng.unit()).collect();
            operands.zero_points = match (of, rng.below(3)) {
                (IntFormat::B1, _) | (_, 0) => vec![],
                (_, 1) => vec![code(&mut rng, of)],
                _ => (0..count).map(|_| code(&mut rng, of)).collect(),
            };
            let rows = if layout == LinearLayout::Nk { (n, k) } else { (k, n) };
            let matrix = Matrix::any(&mut rng, of, rows);
            (operands.weight_code, operands.weights) = (Code::S8, matrix.bytes);
            // All of these codes are codes of s8 too.
            let bytes = linear(&operands, (n, k), layout);
            let bytes = LinearDesc { weights: Weights { block, ..bytes.weights }, ..bytes };
            let weights = Weights { format: of, codes: &matrix.packed, ..bytes.weights };
            let few = LinearDesc { weights, weight_stride: matrix.stride, ..bytes };
            let data = aligned(&operands.any_data(&mut rng, m, m * k));
            let residual = aligned(&operands.finish.residuals(&mut rng, m * n));
            let element = operands.output_element();
            for set in supported_sets() {
                let from = (&data[..], &residual[..]);
                let (_, want) = run(&bytes, set, m, from, (element, 1), &Serial);
                for (splits, parallel) in [(1, &Serial as &dyn Parallel), (2, &Backwards)] {
                    let (kernel, got) = run(&few, set, m, from, (element, splits), parallel);
                    assert_eq!(got, want, "{kernel} {of:?} block {block} {layout:?} {operands:?}");
                }
                covered("few_bits", set.set(), 1);
            }
        }
    }
    report();
}

/// A convolution's results, and the kernel's name.
fn run_conv(
    plan: &Conv,
    images: usize,
    (data, residual): (&[u8], &[u8]),
    bytes: usize,
    parallel: &dyn Parallel,
) -> Vec<u8> {
    let size = plan.workspace(images, parallel.max_workers()).unwrap().size;
    let (mut memory, mut y) = (workspace(size), workspace(bytes));
    let run = ConvRun {
        images,
        x: data.as_ptr(),
        residual: residual.as_ptr(),
        workspace: memory.as_mut_ptr(),
        workspace_size: size,
        y: y.as_mut_ptr(),
    };
    // SAFETY: images of the sizes that the plan has.
    unsafe { plan.run_raw(&run, parallel) }.unwrap();
    y.to_vec()
}

#[test]
fn convolutions_of_few_bits_give_the_bytes_of_eight() {
    let mut rng = Rng::new(seed() ^ 0xF3);
    let rounds = 5_000 / fraction("few bits conv", 20);
    let mut tried = 0;
    while tried < rounds.max(1) {
        let Some(mut shape) = Images::any(&mut rng) else { continue };
        tried += 1;
        if rng.below(4) == 0 {
            // Depthwise.
            (shape.inputs, shape.transposed) = (1, shape.transposed.filter(|_| rng.below(2) == 0));
            if shape.transposed.is_none() && shape.axes.iter().any(|axis| axis.output().is_none()) {
                continue;
            }
        }
        let of = FEW[tried % FEW.len()];
        let channels = shape.channels();
        let mut operands = Operands::any(&mut rng, channels, shape.weights());
        operands.scales = (0..channels).map(|_| 0.01 + rng.unit()).collect();
        operands.zero_points = match (of, rng.below(3)) {
            (IntFormat::B1, _) | (_, 0) => vec![],
            (_, 1) => vec![code(&mut rng, of)],
            _ => (0..channels).map(|_| code(&mut rng, of)).collect(),
        };
        // Each index of the first dimension from a byte on.
        let row = shape.weight_row();
        let mut matrix = Matrix::any(&mut rng, of, (shape.weights() / row, row));
        let stride = row.next_multiple_of(of.codes_per_byte());
        matrix.packed = repacked(&matrix, of, row, stride);
        (operands.weight_code, operands.weights) = (Code::S8, matrix.bytes);
        let desc = ConvDesc {
            in_channels: shape.groups * shape.inputs,
            out_channels: channels,
            groups: shape.groups,
            axes: shape.axes,
            layout: shape.layout,
            filter_layout: shape.filter_layout,
            weights: operands.weights(),
            input: operands.input,
            bias: operands.bias.borrow(),
            output: operands.output,
            activation: operands.finish.activation,
            activation_mode: operands.finish.mode,
            residual: operands.finish.residual,
        };
        let weights = Weights { format: of, codes: &matrix.packed, ..desc.weights };
        let create = |weights: Weights, set: Supported| {
            let desc = ConvDesc { weights, ..desc };
            match shape.transposed {
                Some(more) => Conv::create_transposed(&desc, more, set, &Allocator::DEFAULT),
                None => Conv::create(&desc, set, &Allocator::DEFAULT),
            }
        };
        let data =
            aligned(&operands.any_data(&mut rng, shape.images, shape.images * shape.image()));
        let residual = aligned(&operands.finish.residuals(&mut rng, shape.results()));
        let bytes = shape.results() * operands.output_element();
        for set in supported_sets() {
            let from = (&data[..], &residual[..]);
            let of_bytes = create(desc.weights, set).unwrap();
            let want = run_conv(&of_bytes, shape.images, from, bytes, &Serial);
            let plan = create(weights, set).unwrap();
            assert_eq!(plan.bound(), of_bytes.bound());
            for parallel in [&Serial as &dyn Parallel, &Backwards] {
                let got = run_conv(&plan, shape.images, from, bytes, parallel);
                assert!(got == want, "{} {of:?} {shape:?} {operands:?}", plan.kernel_name());
            }
            if shape.transposed.is_none() {
                let mut saved = workspace(plan.packed_size().unwrap());
                plan.save_packed(&mut saved).unwrap();
                let mapped = Conv::create_packed(&desc, &saved, set, &Allocator::DEFAULT).unwrap();
                let got = run_conv(&mapped, shape.images, from, bytes, &Serial);
                assert!(got == want, "mapped {} {of:?}", plan.kernel_name());
            }
            covered("few_bits conv", set.set(), 1);
        }
        let short = Weights { codes: &matrix.packed[1..], ..weights };
        let error = create(short, limited()).err().unwrap();
        assert_eq!((error.status, error.argument), (Status::BufferTooSmall, "desc.weights.data"));
    }
    report();
}

/// The codes of a matrix in rows `stride` codes apart, without more behind the last one; what is between rows is garbage.
fn repacked(matrix: &Matrix, format: IntFormat, row: usize, stride: usize) -> Vec<u8> {
    let rows = matrix.bytes.len() / row;
    let unit = format.codes_per_byte();
    let mut packed = vec![0xA6; ((rows - 1) * stride + row).div_ceil(unit)];
    for (i, &q) in matrix.bytes.iter().enumerate() {
        let (byte, slot) = pack::position(format, i / row * stride + i % row);
        packed[byte] = pack::set(format, packed[byte], slot, i32::from(q as i8));
    }
    packed
}

/// Saved weights are read back, and say of which format they are.
#[test]
fn packed_weights_are_saved_and_mapped() {
    let mut rng = Rng::new(seed() ^ 0xF1);
    let (m, n, k) = (3, 19, 77);
    let data = rng.bytes(m * k);
    for of in FEW {
        let matrix = Matrix::any(&mut rng, of, (n, k));
        let weights = Weights { format: of, codes: &matrix.packed, ..GOOD.weights };
        let input = Input::Codes(Code::S8, QuantParams { scale: 0.5, zero_point: -3 });
        let stride = matrix.stride;
        let desc = LinearDesc { in_features: k, out_features: n, weights, input, ..GOOD };
        let desc = LinearDesc { weight_stride: stride, ..desc };
        let plan = create(&desc).unwrap();
        let mut saved = workspace(plan.packed_size().unwrap());
        plan.save_packed(&mut saved).unwrap();
        let without = LinearDesc { weights: Weights { codes: &[], ..GOOD.weights }, ..desc };
        let mapped =
            Linear::create_packed(&without, &saved, limited(), &Allocator::DEFAULT).unwrap();
        assert_eq!(mapped.kernel_name(), plan.kernel_name());
        let [want, got] = [&plan, &mapped].map(|plan| {
            let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
            let mut y = vec![0f32; m * n];
            plan.run(m, &data, &mut memory, &Serial, &mut y).unwrap();
            y
        });
        assert_eq!(got, want);
        // A quarter, an eighth, ... of a byte each, padded to panels.
        let bits = of.bits() as usize;
        assert!(plan.weight_bytes() <= 32 * (k + 31) * bits / 8, "{of:?}: {}", plan.weight_bytes());
    }
}

/// Products of the caller's codes take such weights too.
#[test]
fn gemm_takes_few_bits() {
    let mut rng = Rng::new(seed() ^ 0xF2);
    let (n, k) = (5, 40);
    for of in FEW {
        let matrix = Matrix::any(&mut rng, of, (n, k));
        let rhs = Weights { format: of, codes: &matrix.packed, ..GOOD.weights };
        let desc = GemmDesc {
            n,
            k,
            lhs: IntFormat::S8,
            rhs,
            rhs_layout: LinearLayout::Nk,
            rhs_stride: matrix.stride,
            matrices: 1,
            matrix_stride: 0,
            bias: Bias::None,
            output: Output::S32,
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
        };
        let plan = Gemm::create(&desc, limited(), &Allocator::DEFAULT).unwrap();
        assert!(plan.kernel_name().starts_with(match of {
            IntFormat::S4 | IntFormat::U4 => "gemm_s8u4s32",
            IntFormat::S2 => "gemm_s8u2s32",
            IntFormat::U1 => "gemm_s8u1s32",
            _ => "gemm_s8b1s32",
        }));
    }
}

/// Numbers that a run quantizes to four bits give what the same codes give, quantized and packed beforehand.
#[test]
fn numbers_are_quantized_to_four_bits() {
    let mut rng = Rng::new(seed() ^ 0xF3);
    let (m, n, k) = (6, 19, 75);
    let mut numbers: Vec<f32> = (0..m * k).map(|i| rng.normal() * (1 + i / k) as f32).collect();
    numbers[..k].fill(0.0);
    let affine = [IntFormat::S4, IntFormat::U4].map(ParamSpec::affine);
    for spec in affine.into_iter().chain([ParamSpec::symmetric(IntFormat::S4)]) {
        let params = |x: &[f32]| {
            let (low, high) = min_max(x);
            params_from_range(low, high, &spec).unwrap()
        };
        let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::S8, spec };
        let whole = params(&numbers);
        for of in [IntFormat::S8, IntFormat::S4, IntFormat::S2, IntFormat::B1] {
            let matrix = match of {
                IntFormat::S8 => {
                    let bytes = rng.bytes(n * k);
                    Matrix { bytes: vec![], packed: bytes, stride: k }
                }
                _ => Matrix::any(&mut rng, of, (n, k)),
            };
            let weights = Weights { format: of, codes: &matrix.packed, ..GOOD.weights };
            let stride = matrix.stride;
            let desc = LinearDesc { in_features: k, out_features: n, weights, ..GOOD };
            let desc = LinearDesc { weight_stride: stride, ..desc };
            for input in [
                Input::Static(RealFormat::F32, spec.format, whole),
                Input::DynamicPerTensor(dynamic),
                Input::DynamicPerRow(dynamic),
            ] {
                for set in supported_sets() {
                    let got =
                        Linear::create(&LinearDesc { input, ..desc }, set, &Allocator::DEFAULT);
                    let got = got.unwrap();
                    let mut memory = workspace(got.workspace(m, 1).unwrap().size);
                    let mut y = vec![0f32; m * n];
                    got.run(m, &numbers, &mut memory, &Serial, &mut y).unwrap();
                    for (x, y) in numbers.chunks_exact(k).zip(y.chunks_exact(n)) {
                        let params = match input {
                            Input::DynamicPerRow(_) => params(x),
                            _ => whole,
                        };
                        let codes = x.iter().map(|&x| {
                            quantize(x, params, spec.format, QuantizeMode::default()) as i8
                        });
                        let mut packed = vec![0; k.div_ceil(2)];
                        pack::pack(spec.format, &codes.collect::<Vec<_>>(), 0, &mut packed);
                        let input = Input::Packed(spec.format, params);
                        let plan = create(&LinearDesc { input, ..desc }).unwrap();
                        let mut memory = workspace(plan.workspace(1, 1).unwrap().size);
                        let mut want = vec![0f32; n];
                        plan.run(1, &packed, &mut memory, &Serial, &mut want).unwrap();
                        assert_eq!(y, want, "{} {spec:?} {of:?} {input:?}", got.kernel_name());
                    }
                }
            }
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    use Status::{BufferTooSmall, InvalidArgument, Unsupported};
    let s4 = Weights { format: IntFormat::S4, codes: &[0x11; 32], ..GOOD.weights };
    let good = LinearDesc { weights: s4, ..GOOD };
    assert!(create(&good).is_ok());
    for (weights, status, argument) in [
        (Weights { format: IntFormat::S16, ..s4 }, Unsupported, "desc.weights"),
        (Weights { codes: &[0; 31], ..s4 }, BufferTooSmall, "desc.weights.data"),
        (Weights { zero_points: &[8], ..s4 }, InvalidArgument, "desc.weights.zero_points"),
        (
            Weights { format: IntFormat::B1, zero_points: &[1], ..s4 },
            InvalidArgument,
            "desc.weights.zero_points",
        ),
        (
            Weights { format: IntFormat::U1, block: 16, scales: &[1.0; 4], ..s4 },
            InvalidArgument,
            "desc.weights.block",
        ),
    ] {
        assert_eq!(refused(LinearDesc { weights, ..good }), (status, argument));
    }
    let odd = LinearDesc { weight_stride: 33, ..good };
    assert_eq!(refused(odd), (InvalidArgument, "desc.weight_stride"));
    let output = Output::Real(RealFormat::F16);
    assert!(create(&LinearDesc { output, ..good }).is_ok());
    // Codes of four bits are kept in signed bytes.
    let spec = ParamSpec::affine(IntFormat::U4);
    let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::U8, spec };
    let input = Input::DynamicPerRow(dynamic);
    assert_eq!(refused(LinearDesc { input, ..good }), (InvalidArgument, "desc.input"));
    let input = Input::DynamicPerRow(DynamicSpec { code: Code::S8, ..dynamic });
    assert!(create(&LinearDesc { input, ..good }).is_ok());
    let params = QuantParams { scale: 1.0, zero_point: 16 };
    let input = Input::Packed(IntFormat::U4, params);
    assert_eq!(refused(LinearDesc { input, ..good }), (InvalidArgument, "desc.input"));
    let input =
        Input::Static(RealFormat::F32, IntFormat::S16, QuantParams { zero_point: 0, ..params });
    assert_eq!(refused(LinearDesc { input, ..good }), (Unsupported, "desc.input"));
}
