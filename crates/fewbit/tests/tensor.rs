//! Tensor operations against the scalar contract, element by element: every format, granularity and
//! instruction set, layouts with gaps and exchanged axes.

use fewbit::calibrate::MinMax;
use fewbit::granularity::{Granularity, Layout, MAX_RANK};
use fewbit::scheme::{
    FixedMultiplier, FixedRounding, IntFormat, ParamSpec, QuantParams, QuantizeMode, Quotient,
    RealFormat, Rounding, Scheme, SymmetricRange, dequantize, pack, params_from_range, quantize,
    reduce, requantize, requantize_fixed,
};
use fewbit::simd::Supported;
use fewbit::tensor::{
    self, Multipliers, Reals, RealsMut, TensorParams, TensorQuant, TensorRequantize,
};
use fewbit::{Code, Serial, Status, observe};
use fewbit_testkit::{GuardedBuf, Rng, covered, is_full, report, seed, supported_sets};

/// The parameter and the offsets of an element, for each element in row-major order.
fn elements<const N: usize>(
    granularity: Granularity,
    layouts: [&Layout; N],
) -> Vec<([usize; N], usize)> {
    let dims = layouts[0].dims();
    let extent = |axis: usize| match granularity {
        Granularity::PerTensor => dims[axis],
        Granularity::PerAxis { axis: own } => [dims[axis], 1][usize::from(own == axis)],
        Granularity::PerBlock { axis: own, block } => [1, block][usize::from(own == axis)],
        Granularity::PerBlock2 { axes, blocks } => {
            axes.iter().position(|&own| own == axis).map_or(1, |i| blocks[i])
        }
    };
    (0..dims.iter().product())
        .map(|number: usize| {
            let (mut rest, mut at) = (number, vec![0; dims.len()]);
            for axis in (0..dims.len()).rev() {
                (at[axis], rest) = (rest % dims[axis], rest / dims[axis]);
            }
            let param = (0..dims.len()).fold(0, |param, axis| {
                param * dims[axis].div_ceil(extent(axis)) + at[axis] / extent(axis)
            });
            let offset = |l: &Layout| at.iter().zip(l.strides()).map(|(i, s)| i * s).sum::<usize>();
            (layouts.map(offset), param)
        })
        .collect()
}

/// A permutation of the axes with gaps; for packed codes with the last axis innermost and rows on
/// whole bytes.
fn layout(rng: &mut Rng, dims: &[usize], per_byte: usize) -> Layout {
    let mut order: Vec<usize> = (0..dims.len()).rev().collect();
    let fixed = usize::from(per_byte > 1).min(dims.len());
    for i in (fixed + 1..order.len()).rev() {
        order.swap(i, fixed + rng.below(i + 1 - fixed));
    }
    let mut strides = vec![0; dims.len()];
    let mut step = if per_byte > 1 { 1 } else { 1 + rng.below(2) };
    for axis in order {
        strides[axis] = step;
        step = (step * dims[axis].max(1) + rng.below(3)).next_multiple_of(per_byte);
    }
    Layout::strided(dims, &strides).unwrap()
}

fn dims(rng: &mut Rng) -> Vec<usize> {
    match rng.below(8) {
        0 => vec![rng.pick(&[1, 15, 16, 17, 64, 100, 257])],
        1 => vec![rng.below(6), 1 + rng.below(70)],
        2 => vec![2, 3, rng.pick(&[1, 5, 16]), rng.pick(&[1, 4, 9])],
        3 => (0..MAX_RANK).map(|_| 1 + rng.below(2)).collect(),
        _ => (0..rng.below(5)).map(|_| rng.pick(&[1, 2, 3, 5, 8, 9])).collect(),
    }
}

fn granularity(rng: &mut Rng, rank: usize) -> Granularity {
    let axis = rng.below(rank.max(1));
    let other = rng.below(rank.max(1));
    let mut block = || rng.pick(&[1, 2, 3, 5, 8, 16, 1000]);
    let blocks = [block(), block()];
    match rng.below(4) {
        _ if rank == 0 => Granularity::PerTensor,
        0 => Granularity::PerTensor,
        1 => Granularity::PerAxis { axis },
        2 if other != axis => Granularity::PerBlock2 { axes: [axis, other], blocks },
        _ => Granularity::PerBlock { axis, block: blocks[0] },
    }
}

fn any_quant(rng: &mut Rng, format: IntFormat, rank: usize) -> TensorQuant {
    TensorQuant {
        params: ParamSpec {
            format,
            scheme: rng.pick(&[Scheme::Affine, Scheme::Symmetric]),
            range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
            power_of_two: rng.below(4) == 0,
        },
        granularity: granularity(rng, rank),
        mode: QuantizeMode {
            rounding: rng.pick(&[Rounding::HalfEven, Rounding::HalfAway]),
            quotient: rng.pick(&[Quotient::Divide, Quotient::Multiply]),
        },
    }
}

fn value(rng: &mut Rng) -> f32 {
    match rng.below(12) {
        0 => rng.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-45, f32::MAX]),
        1 => rng.any_f32(),
        // Ties of scale 1 and of scale 0.5.
        2 | 3 => rng.below(600) as f32 * 0.25 - 75.0,
        _ => rng.normal() * 50.0,
    }
}

/// Parameters as a caller may give them: any scale, any zero point of the format.
fn any_params(rng: &mut Rng, quant: &TensorQuant, count: usize) -> (Vec<f32>, Vec<i32>) {
    let format = quant.params.format;
    let scales = (0..count).map(|_| match rng.below(6) {
        0 => rng.pick(&[1.0, 0.5, f32::MIN_POSITIVE, 1e-45, f32::MAX, 1e30]),
        _ => rng.unit() + 1e-3,
    });
    let scales: Vec<f32> = scales.collect();
    let free = quant.params.scheme == Scheme::Affine && format != IntFormat::B1;
    let zero_points = match rng.below(3) {
        0 => vec![],
        _ if !free => vec![0; count],
        _ => {
            let codes = (format.qmax() - format.qmin() + 1) as usize;
            (0..count).map(|_| format.qmin() + rng.below(codes) as i32).collect()
        }
    };
    (scales, zero_points)
}

fn stored(format: IntFormat, q: &[u8], element: usize) -> i32 {
    match format {
        IntFormat::S8 => i32::from(q[element] as i8),
        IntFormat::U8 => i32::from(q[element]),
        IntFormat::S16 => i32::from(i16::from_ne_bytes([q[2 * element], q[2 * element + 1]])),
        _ => {
            let (byte, slot) = pack::position(format, element);
            pack::get(format, q[byte], slot)
        }
    }
}

fn store(format: IntFormat, q: &mut [u8], element: usize, code: i32) {
    match format {
        IntFormat::S16 => {
            q[2 * element..2 * element + 2].copy_from_slice(&(code as i16).to_ne_bytes());
        }
        IntFormat::S8 | IntFormat::U8 => q[element] = code as u8,
        _ => {
            let (byte, slot) = pack::position(format, element);
            q[byte] = pack::set(format, q[byte], slot, code);
        }
    }
}

/// A random case of every op.
struct Case {
    quant: TensorQuant,
    x_layout: Layout,
    q_layout: Layout,
    x: Vec<f32>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

impl Case {
    fn new(rng: &mut Rng, format: IntFormat) -> Case {
        let dims = dims(rng);
        let quant = any_quant(rng, format, dims.len());
        let per_byte = format.codes_per_byte();
        let mut of = |per_byte| match rng.below(2) {
            0 => Layout::packed(&dims, per_byte).unwrap(),
            _ => layout(rng, &dims, per_byte),
        };
        let (x_layout, q_layout) = (of(1), of(per_byte));
        let x = (0..x_layout.extent() + rng.below(3)).map(|_| value(rng)).collect();
        let count = tensor::param_count(&x_layout, &quant).unwrap();
        let (scales, zero_points) = any_params(rng, &quant, count);
        Case { quant, x_layout, q_layout, x, scales, zero_points }
    }

    fn params(&self) -> TensorParams<'_> {
        TensorParams { scales: &self.scales, zero_points: &self.zero_points }
    }

    fn param(&self, param: usize) -> QuantParams {
        let zero_point = self.zero_points.get(param).copied().unwrap_or(0);
        QuantParams { scale: self.scales[param], zero_point }
    }

    fn label(&self) -> String {
        format!("{:?} x {:?} q {:?}", self.quant, self.x_layout, self.q_layout)
    }

    fn code_bytes(&self) -> usize {
        tensor::code_bytes(&self.q_layout, self.quant.params.format).unwrap()
    }

    /// The codes by definition, over bytes that were there before.
    fn codes(&self, before: &[u8]) -> Vec<u8> {
        let (format, mut q) = (self.quant.params.format, before.to_vec());
        let row = self.q_layout.dims().last().copied().unwrap_or(1);
        let all = elements(self.quant.granularity, [&self.x_layout, &self.q_layout]);
        for (number, ([from, to], param)) in all.into_iter().enumerate() {
            let params = self.param(param);
            store(format, &mut q, to, quantize(self.x[from], params, format, self.quant.mode));
            if (number + 1) % row == 0 {
                let end = (to + 1).next_multiple_of(format.codes_per_byte());
                (to + 1..end).for_each(|pad| {
                    store(format, &mut q, pad, format.zero_code(params.zero_point))
                });
            }
        }
        q
    }
}

fn cases(usual: usize) -> usize {
    if is_full() { 10 * usual } else { usual }
}

#[test]
fn quantize_and_dequantize_equal_the_contract() {
    let mut rng = Rng::new(seed());
    for supported in supported_sets() {
        for format in IntFormat::ALL {
            for _ in 0..cases(300) {
                let case = Case::new(&mut rng, format);
                let spare = rng.below(3);
                let before = rng.bytes(case.code_bytes() + spare);
                let mut q = before.clone();
                case.quant
                    .quantize(
                        &case.x,
                        &case.x_layout,
                        &case.params(),
                        &mut q,
                        &case.q_layout,
                        supported,
                    )
                    .unwrap();
                let label = case.label();
                assert_eq!(q, case.codes(&before), "{label}");

                // Back, from codes of all kinds.
                rng.bytes(q.len()).into_iter().zip(&mut q).for_each(|(byte, q)| *q = byte);
                let mut expected = case.x.clone();
                for ([to, from], param) in
                    elements(case.quant.granularity, [&case.x_layout, &case.q_layout])
                {
                    expected[to] = dequantize(stored(format, &q, from), case.param(param));
                }
                let mut x = case.x.clone();
                case.quant
                    .dequantize(
                        &q,
                        &case.q_layout,
                        &case.params(),
                        &mut x,
                        &case.x_layout,
                        supported,
                    )
                    .unwrap();
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&x), bits(&expected), "{label}");
            }
        }
        covered("tensor_quantize", supported.set(), (2 * 8 * cases(300)) as u64);
    }
    report();
}

/// Pointers without alignment, and a page that may not be touched right behind the last element.
#[test]
fn nothing_beyond_the_elements_is_touched() {
    let mut rng = Rng::new(seed());
    for supported in supported_sets() {
        for format in IntFormat::ALL {
            for _ in 0..cases(20) {
                let case = Case::new(&mut rng, format);
                let x = &case.x[..case.x_layout.extent()];
                let (mut x_buf, mut q_buf) =
                    (GuardedBuf::new(4 * x.len() + 1), GuardedBuf::new(case.code_bytes() + 1));
                let x_at = x_buf.at_end(x);
                let q_at = q_buf.at_end(&vec![0u8; case.code_bytes()]);
                // SAFETY: the buffers hold the layouts.
                let q = unsafe {
                    let (quant, params) = (&case.quant, case.params());
                    tensor::quantize(
                        (Reals { format: RealFormat::F32, at: x_at.cast() }, &case.x_layout),
                        quant,
                        &params,
                        (q_at, &case.q_layout),
                        &Serial,
                        supported,
                    )
                    .unwrap();
                    tensor::dequantize(
                        (q_at, &case.q_layout),
                        quant,
                        &params,
                        (RealsMut { format: RealFormat::F32, at: x_at.cast() }, &case.x_layout),
                        &Serial,
                        supported,
                    )
                    .unwrap();
                    std::slice::from_raw_parts(q_at, case.code_bytes())
                };
                assert_eq!(q, case.codes(&vec![0; q.len()]), "{}", case.label());
            }
        }
    }
}

#[test]
fn chosen_parameters_equal_the_contract() {
    let mut rng = Rng::new(seed());
    for supported in supported_sets() {
        for format in IntFormat::ALL {
            for _ in 0..cases(200) {
                let case = Case::new(&mut rng, format);
                let (count, label) = (case.scales.len(), case.label());
                let mut data = vec![vec![]; count];
                let every = elements(case.quant.granularity, [&case.x_layout]);
                every.iter().for_each(|([at], param)| data[*param].push(case.x[*at]));
                let spec = &case.quant.params;
                let expected: Vec<QuantParams> = data
                    .iter()
                    .map(|data| {
                        let (min, max) = reduce::min_max(data);
                        params_from_range(min, max, spec).unwrap()
                    })
                    .collect();
                let (mut scales, mut zero_points) = (vec![f32::NAN; count], vec![i32::MIN; count]);
                let chosen = |scales: &[f32], zero_points: &[i32]| -> Vec<(u32, i32)> {
                    scales.iter().map(|s| s.to_bits()).zip(zero_points.iter().copied()).collect()
                };
                let right: Vec<(u32, i32)> =
                    expected.iter().map(|p| (p.scale.to_bits(), p.zero_point)).collect();
                case.quant
                    .choose_params(
                        &case.x,
                        &case.x_layout,
                        &mut scales,
                        Some(&mut zero_points),
                        supported,
                    )
                    .unwrap();
                assert_eq!(chosen(&scales, &zero_points), right, "{label}");

                // Through observers, of two halves that are merged.
                let mut observers = vec![MinMax::EMPTY; count];
                let granularity = case.quant.granularity;
                observe::observe(&case.x, &case.x_layout, granularity, &mut observers, supported)
                    .unwrap();
                for (observer, data) in observers.iter().zip(&data) {
                    assert_eq!(observer.count, data.len() as u64);
                    let nan_count = data.iter().filter(|x| x.is_nan()).count();
                    assert_eq!(observer.nan_count, nan_count as u64);
                }
                let (mut scales, mut zero_points) = (vec![f32::NAN; count], vec![i32::MIN; count]);
                observe::params_of(&observers, spec, &mut scales, Some(&mut zero_points)).unwrap();
                assert_eq!(chosen(&scales, &zero_points), right, "{label}");

                if spec.scheme == Scheme::Symmetric || format == IntFormat::B1 {
                    let mut alone = vec![f32::NAN; count];
                    case.quant
                        .choose_params(&case.x, &case.x_layout, &mut alone, None, supported)
                        .unwrap();
                    assert_eq!(chosen(&alone, &zero_points), right, "{label}");
                    observe::params_of(&observers, spec, &mut alone, None).unwrap();
                    assert_eq!(chosen(&alone, &zero_points), right, "{label}");
                }
            }
        }
        covered("tensor_choose_params", supported.set(), (8 * cases(200)) as u64);
    }
    report();
}

#[test]
fn rows_of_single_packed_codes_have_bytes_of_their_own() {
    let layout = Layout::packed(&[3, 1], 8).unwrap();
    let quant = TensorQuant {
        params: ParamSpec::affine(IntFormat::U1),
        granularity: Granularity::PerAxis { axis: 0 },
        mode: QuantizeMode::default(),
    };
    let (scales, zero_points) = ([1.0; 3], [0, 1, 1]);
    let params = TensorParams { scales: &scales, zero_points: &zero_points };
    let mut q = [0xAA; 4];
    let x_layout = Layout::contiguous(&[3, 1]).unwrap();
    quant
        .quantize(&[1.0, -1.0, 0.0], &x_layout, &params, &mut q, &layout, Supported::SCALAR)
        .unwrap();
    assert_eq!(q, [0b0000_0001, 0b1111_1110, 0b1111_1111, 0xAA]);
}

#[test]
fn tensors_without_elements() {
    for granularity in [Granularity::PerTensor, Granularity::PerAxis { axis: 1 }] {
        let quant = TensorQuant {
            params: ParamSpec::affine(IntFormat::U8),
            granularity,
            mode: QuantizeMode::default(),
        };
        // No rows: the scales of the columns are still there.
        let layout = Layout::contiguous(&[0, 3]).unwrap();
        let count = tensor::param_count(&layout, &quant).unwrap();
        assert_eq!(count, if granularity == Granularity::PerTensor { 1 } else { 3 });
        let (mut scales, mut zero_points) = (vec![0.0; count], vec![7; count]);
        quant
            .choose_params::<f32>(
                &[],
                &layout,
                &mut scales,
                Some(&mut zero_points),
                Supported::SCALAR,
            )
            .unwrap();
        assert!(scales == vec![1.0; count] && zero_points == vec![0; count]);
        let params = TensorParams { scales: &scales, zero_points: &zero_points };
        quant.quantize::<f32>(&[], &layout, &params, &mut [], &layout, Supported::SCALAR).unwrap();
        quant
            .dequantize::<f32>(&[], &layout, &params, &mut [], &layout, Supported::SCALAR)
            .unwrap();
    }
}

/// Sums of every layout and granularity, in both modes, between unreadable pages.
#[test]
fn requantized_sums_equal_the_contract() {
    let mut rng = Rng::new(seed() ^ 40);
    let mut guarded = GuardedBuf::new(1 << 20);
    for _ in 0..cases(150) {
        let dims = dims(&mut rng);
        let [from, to] = [(); 2].map(|()| layout(&mut rng, &dims, 1));
        let granularity = granularity(&mut rng, dims.len());
        let code = rng.pick(&[Code::S8, Code::U8]);
        let (qmin, qmax) = (code.format().qmin(), code.format().qmax());
        let count = granularity.param_count(&from).unwrap();
        let reals: Vec<f32> =
            (0..count).map(|_| rng.unit() * rng.pick(&[1e-6, 0.01, 3.0])).collect();
        let pairs: Vec<FixedMultiplier> =
            reals.iter().map(|&m| FixedMultiplier::from_real(f64::from(m)).unwrap()).collect();
        let (fixed, shifts): (Vec<i32>, Vec<i32>) =
            pairs.iter().map(|pair| (pair.multiplier, pair.shift)).unzip();
        let rounding = rng.pick(&[FixedRounding::Single, FixedRounding::Double]);
        let zeros: Vec<i32> = match rng.below(3) {
            0 => vec![],
            _ => (0..count).map(|_| qmin + rng.below(256) as i32).collect(),
        };
        let sums: Vec<i32> =
            (0..from.extent()).map(|_| rng.next_u32() as i32 >> rng.below(32)).collect();
        let all = elements(granularity, [&from, &to]);
        for set in supported_sets() {
            for float in [true, false] {
                let multipliers = match float {
                    true => Multipliers::Float(&reals),
                    false => Multipliers::Fixed { multipliers: &fixed, shifts: &shifts, rounding },
                };
                let acc = guarded.at_end(&sums).cast_const();
                let mut q = vec![0x55; to.extent()];
                let how = TensorRequantize { code, granularity };
                // SAFETY: both buffers cover their layouts.
                let done = unsafe {
                    let (acc, q) = ((acc, &from), (q.as_mut_ptr(), &to));
                    tensor::requantize(acc, &how, (&multipliers, &zeros), q, &Serial, set)
                };
                done.unwrap();
                let mut want = vec![0x55; to.extent()];
                for &([src, dst], param) in &all {
                    let zero = zeros.get(param).copied().unwrap_or(0);
                    let (sum, format, clamp) = (sums[src], code.format(), (qmin, qmax));
                    want[dst] = match float {
                        true => requantize(sum, reals[param], zero, format, clamp),
                        false => requantize_fixed(sum, pairs[param], rounding, zero, format, clamp),
                    } as u8;
                }
                assert_eq!(q, want, "{dims:?} {granularity:?} {code:?} float {float}");
                covered("tensor_requantize", set.set(), all.len() as u64);
            }
        }
    }
    report();
}

#[test]
fn bad_arguments_are_refused_and_outputs_untouched() {
    let quant = TensorQuant {
        params: ParamSpec::affine(IntFormat::S8),
        granularity: Granularity::PerAxis { axis: 0 },
        mode: QuantizeMode::default(),
    };
    let symmetric = TensorQuant { params: ParamSpec::symmetric(IntFormat::S8), ..quant };
    let of = |format| TensorQuant { params: ParamSpec::affine(format), ..quant };
    let no_axis = TensorQuant { granularity: Granularity::PerAxis { axis: 2 }, ..quant };
    let no_block =
        TensorQuant { granularity: Granularity::PerBlock { axis: 1, block: 0 }, ..quant };
    let layout = Layout::contiguous(&[2, 3]).unwrap();
    let turned = Layout::strided(&[2, 3], &[1, 2]).unwrap();
    let other = Layout::contiguous(&[3, 2]).unwrap();
    let twice = Layout::strided(&[2, 3], &[1, 1]).unwrap();
    let far = Layout::strided(&[2, 3], &[100, 1]).unwrap();
    let (good, zero) = (&[1.0f32, 2.0][..], &[0, 5][..]);

    let check = |quant: &TensorQuant, x: &Layout, q: &Layout, scales: &[f32], zeros: &[i32]| {
        let params = TensorParams { scales, zero_points: zeros };
        let mut codes = [0x55; 24];
        let result = quant.quantize(&[1.0; 6], x, &params, &mut codes, q, Supported::SCALAR);
        if result.is_err() {
            assert_eq!(codes, [0x55; 24], "{result:?}");
        }
        let mut values = [7.0; 6];
        let back = quant.dequantize(&codes, q, &params, &mut values, x, Supported::SCALAR);
        if back.is_err() {
            assert_eq!(values, [7.0; 6], "{back:?}");
        }
        (result.map_err(|e| (e.status, e.argument)), back.map_err(|e| (e.status, e.argument)))
    };
    let both = |status, argument| (Err((status, argument)), Err((status, argument)));
    let invalid = |argument| both(Status::InvalidArgument, argument);
    assert_eq!(check(&quant, &layout, &layout, good, zero), (Ok(()), Ok(())));
    assert_eq!(check(&quant, &layout, &turned, good, &[]), (Ok(()), Ok(())));
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0] {
        assert_eq!(check(&quant, &layout, &layout, &[1.0, bad], zero), invalid("scales"));
    }
    for bad in [128, -129, i32::MAX, i32::MIN] {
        assert_eq!(check(&quant, &layout, &layout, good, &[0, bad]), invalid("zero_points"));
    }
    assert_eq!(check(&symmetric, &layout, &layout, good, &[0, 1]), invalid("zero_points"));
    assert_eq!(check(&symmetric, &layout, &layout, good, &[0, 0]), (Ok(()), Ok(())));
    let packed = Layout::packed(&[2, 3], 8).unwrap();
    let b1 = of(IntFormat::B1);
    assert_eq!(check(&b1, &layout, &packed, good, &[0, 1]), invalid("zero_points"));
    assert_eq!(check(&quant, &layout, &layout, good, &[0]), invalid("zero_points"));
    assert_eq!(check(&quant, &layout, &layout, &[1.0], &[0]), invalid("count"));
    assert_eq!(check(&quant, &layout, &layout, &[1.0; 3], &[0; 3]), invalid("count"));
    assert_eq!(check(&no_axis, &layout, &layout, good, zero), invalid("spec.axis"));
    assert_eq!(check(&no_block, &layout, &layout, good, zero), invalid("spec.block"));
    let shapes =
        (Err((Status::InvalidArgument, "q_shape")), Err((Status::InvalidArgument, "x_shape")));
    assert_eq!(check(&quant, &layout, &other, good, zero), shapes);
    let (codes_overlap, _) = check(&quant, &layout, &twice, good, zero);
    assert_eq!(codes_overlap, Err((Status::Overlap, "q_shape")));
    let (_, values_overlap) = check(&quant, &twice, &layout, good, zero);
    assert_eq!(values_overlap, Err((Status::Overlap, "x_shape")));
    assert_eq!(check(&quant, &far, &layout, good, zero), both(Status::BufferTooSmall, "x"));
    assert_eq!(check(&quant, &layout, &far, good, zero), both(Status::BufferTooSmall, "q"));
    for format in [IntFormat::S4, IntFormat::U4, IntFormat::S2, IntFormat::U1, IntFormat::B1] {
        // Rows of three codes do not start on bytes; columns are not contiguous.
        assert_eq!(check(&of(format), &layout, &layout, good, &[]), invalid("q_shape"));
        assert_eq!(check(&of(format), &layout, &turned, good, &[]), invalid("q_shape"));
        assert_eq!(check(&of(format), &layout, &packed, good, &[]), (Ok(()), Ok(())));
    }

    // Parameters from data.
    let choose = |quant: &TensorQuant, x: &Layout, scales: usize, zeros: Option<usize>| {
        let mut scales = vec![-1.0; scales];
        let mut zeros = zeros.map(|zeros| vec![99; zeros]);
        let places = zeros.as_deref_mut();
        let result = quant.choose_params(&[1.0; 6], x, &mut scales, places, Supported::SCALAR);
        if result.is_err() {
            assert!(scales.iter().all(|s| *s == -1.0), "{result:?}");
            assert!(zeros.iter().flatten().all(|z| *z == 99), "{result:?}");
        }
        result.map_err(|e| (e.status, e.argument))
    };
    assert_eq!(choose(&quant, &layout, 2, Some(2)), Ok(()));
    let invalid = |argument| Err((Status::InvalidArgument, argument));
    assert_eq!(choose(&quant, &layout, 2, None), Err((Status::NullPointer, "zero_points")));
    assert_eq!(choose(&symmetric, &layout, 2, None), Ok(()));
    assert_eq!(choose(&symmetric, &layout, 2, Some(1)), invalid("zero_points"));
    assert_eq!(choose(&quant, &layout, 2, Some(3)), invalid("zero_points"));
    assert_eq!(choose(&quant, &layout, 3, Some(3)), invalid("count"));
    assert_eq!(choose(&no_axis, &layout, 2, Some(2)), invalid("spec.axis"));
    assert_eq!(choose(&quant, &far, 2, Some(2)), Err((Status::BufferTooSmall, "x")));

    let observed = |layout: &Layout, granularity, count: usize| {
        let mut observers = vec![MinMax::EMPTY; count];
        let scalar = Supported::SCALAR;
        let result = observe::observe(&[1.0; 6], layout, granularity, &mut observers, scalar);
        if result.is_err() {
            assert!(observers.iter().all(|o| *o == MinMax::EMPTY));
        }
        result.map_err(|e| (e.status, e.argument))
    };
    let rows = Granularity::PerAxis { axis: 0 };
    assert_eq!(observed(&layout, rows, 2), Ok(()));
    assert_eq!(observed(&layout, rows, 3), invalid("observers"));
    assert_eq!(observed(&layout, Granularity::PerAxis { axis: 9 }, 2), invalid("spec.axis"));
    assert_eq!(observed(&far, rows, 2), Err((Status::BufferTooSmall, "x")));
    let exchanged = MinMax { min: 1.0, max: -1.0, ..MinMax::EMPTY };
    let spec = ParamSpec::affine(IntFormat::S8);
    let mut place = ([-1.0], [99]);
    let refused = observe::params_of(&[exchanged], &spec, &mut place.0, Some(&mut place.1));
    assert_eq!(refused.map_err(|e| e.argument), Err("observers"));
    assert_eq!(place, ([-1.0], [99]));
}
