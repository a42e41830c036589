//! Functions of rows against the contract: every type on either side, rows of one element to several blocks, tensors of any
//! strides, threads, in place, and what is refused.

mod common;

use common::{Backwards, Threads, bits};
use fewbit::granularity::Layout;
use fewbit::rowwise::{Element, Elements, ElementsMut, Norm, RowOp, rowwise};
use fewbit::scheme::float16::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use fewbit::scheme::{self, IntFormat, QuantParams, QuantizeMode};
use fewbit::simd::Supported;
use fewbit::{Code, Parallel, Serial, Status};
use fewbit_testkit::{GuardedBuf, Rng, limited, sampled, seed, supported_sets};

/// An element's number.
fn read(element: Element, bytes: &[u8]) -> f32 {
    let half = || u16::from_ne_bytes(bytes.try_into().unwrap());
    match element {
        Element::F32 => f32::from_ne_bytes(bytes.try_into().unwrap()),
        Element::F16 => f16_to_f32(half()),
        Element::Bf16 => bf16_to_f32(half()),
        Element::Codes(Code::S8, params) => scheme::dequantize((bytes[0] as i8).into(), params),
        Element::Codes(Code::U8, params) => scheme::dequantize(bytes[0].into(), params),
    }
}

/// A number as it is stored.
fn stored(element: Element, x: f32) -> Vec<u8> {
    let code = |format, params| scheme::quantize(x, params, format, QuantizeMode::default());
    match element {
        Element::F32 => x.to_ne_bytes().to_vec(),
        Element::F16 => f32_to_f16(x).to_ne_bytes().to_vec(),
        Element::Bf16 => f32_to_bf16(x).to_ne_bytes().to_vec(),
        Element::Codes(Code::S8, params) => vec![code(IntFormat::S8, params) as u8],
        Element::Codes(Code::U8, params) => vec![code(IntFormat::U8, params) as u8],
    }
}

/// The contract's function of a row.
fn function(op: &RowOp<'_>, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    match op {
        RowOp::Softmax => scheme::softmax::softmax(x, &mut y),
        RowOp::LogSoftmax => scheme::softmax::log_softmax(x, &mut y),
        RowOp::LayerNorm(of) => scheme::norm::layer_norm(x, of.gamma, of.beta, of.epsilon, &mut y),
        RowOp::RmsNorm(of) => scheme::norm::rms_norm(x, of.gamma, of.beta, of.epsilon, &mut y),
    }
    y
}

/// The offsets of a tensor's elements, row-major.
fn offsets(layout: &Layout) -> Vec<usize> {
    let mut offsets = vec![0];
    for (&dim, &stride) in layout.dims().iter().zip(layout.strides()) {
        offsets = offsets
            .into_iter()
            .flat_map(|offset| (0..dim).map(move |i| offset + i * stride))
            .collect();
    }
    offsets
}

/// Runs a function and compares every byte of `y`, those between its elements included.
struct Case<'a> {
    op: RowOp<'a>,
    x: (Element, &'a Layout, &'a [u8]),
    y: (Element, &'a Layout),
    in_place: bool,
}

impl Case<'_> {
    fn check(&self, buffers: &mut [GuardedBuf; 2], parallel: &dyn Parallel, supported: Supported) {
        let (x_type, x_layout, x) = self.x;
        let (y_type, y_layout) = self.y;
        let (from, to) = (offsets(x_layout), offsets(y_layout));
        let n = *x_layout.dims().last().unwrap();
        let gaps = vec![0xA5u8; y_layout.extent() * y_type.size()];
        let mut want = if self.in_place { x.to_vec() } else { gaps.clone() };
        let size = x_type.size();
        let of = |&offset: &usize| read(x_type, &x[offset * size..][..size]);
        if n > 0 {
            for (row, places) in from.chunks(n).zip(to.chunks(n)) {
                let values: Vec<f32> = row.iter().map(of).collect();
                for (y, &at) in function(&self.op, &values).into_iter().zip(places) {
                    let bytes = stored(y_type, y);
                    want[at * bytes.len()..][..bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
        let [x_at, y_at] = buffers;
        let source = x_at.at_end(x);
        let dst = if self.in_place { source } else { y_at.at_end(&gaps) };
        let (x, y) = ((x_type, source.cast_const(), x_layout), (y_type, dst, y_layout));
        // SAFETY: the buffers cover the layouts; they are apart, or the same.
        let got = unsafe {
            rowwise(&self.op, x, y, parallel, supported).unwrap();
            std::slice::from_raw_parts(dst, want.len())
        };
        let label = || {
            format!(
                "{:?} {x_type:?} {:?} {:?} to {y_type:?} {:?}, {supported:?}",
                self.op,
                x_layout.dims(),
                x_layout.strides(),
                y_layout.strides()
            )
        };
        if let Some(at) = got.iter().zip(&want).position(|(got, want)| got != want) {
            let element = at / y_type.size() * y_type.size();
            let [got, want] = [got, &want].map(|bytes| bytes[element..][..y_type.size()].to_vec());
            panic!("byte {at}: {got:02x?} {want:02x?}: {}", label());
        }
    }
}

fn any_element(rng: &mut Rng) -> Element {
    let params =
        QuantParams { scale: rng.pick(&[0.004, 0.05, 1.0]), zero_point: rng.below(100) as i32 };
    match rng.below(5) {
        0 => Element::F32,
        1 => Element::F16,
        2 => Element::Bf16,
        3 => Element::Codes(Code::S8, params),
        _ => Element::Codes(Code::U8, params),
    }
}

/// Data of a type: as many elements; now and then a row's worth that is not finite.
fn any_data(rng: &mut Rng, element: Element, count: usize) -> Vec<u8> {
    let spread = rng.pick(&[0.1, 1.0, 20.0]);
    let odd = rng.below(5) == 0;
    (0..count)
        .flat_map(|_| {
            let x = match rng.below(60) {
                0 => f32::NEG_INFINITY,
                1 if odd => rng.pick(&[f32::NAN, f32::INFINITY, f32::MAX, -0.0, 1e-42]),
                _ => rng.normal() * spread,
            };
            stored(element, x)
        })
        .collect()
}

/// A layout of the dimensions: without gaps, with rows apart, with elements apart, axes in another order.
fn any_layout(rng: &mut Rng, dims: &[usize]) -> Layout {
    let mut order: Vec<usize> = (0..dims.len()).rev().collect();
    let kind = rng.below(4);
    if kind == 3 {
        order.reverse();
    }
    let mut strides = vec![0; dims.len()];
    let mut step = if kind == 2 { 1 + rng.below(3) } else { 1 };
    for axis in order {
        strides[axis] = step;
        step *= dims[axis].max(1);
        step += if kind == 1 { rng.below(3) } else { 0 };
    }
    Layout::strided(dims, &strides).unwrap()
}

#[test]
fn tensors_are_their_rows() {
    let mut rng = Rng::new(seed() ^ 0x520);
    let mut buffers = [(); 2].map(|()| GuardedBuf::new(1 << 21));
    let lengths =
        [0, 1, 2, 3, 7, 8, 10, 16, 31, 33, 63, 64, 65, 100, 127, 129, 200, 300, 513, 1000];
    for supported in supported_sets() {
        for case in 0..400 {
            let n = match case % 20 {
                0 => rng.pick(&[4095, 4096, 4097, 8192, 9001]),
                _ => rng.pick(&lengths),
            };
            let most = if n > 4000 { 2 } else { 5 };
            let mut dims = match rng.below(4) {
                0 => vec![],
                1 => vec![rng.below(if n < 20 { 200 } else { 9 })],
                2 => vec![1 + rng.below(most), 1 + rng.below(most)],
                _ => vec![1 + rng.below(most), 1, 1 + rng.below(most)],
            };
            dims.push(n);
            let [gamma, beta] =
                [(); 2].map(|()| (0..n).map(|_| rng.normal()).collect::<Vec<f32>>());
            let of = Norm {
                gamma: (rng.below(3) > 0).then_some(&gamma[..]),
                beta: (rng.below(3) > 0).then_some(&beta[..]),
                epsilon: rng.pick(&[0.0, 1e-12, 1e-5]),
            };
            let op = match rng.below(4) {
                0 => RowOp::Softmax,
                1 => RowOp::LogSoftmax,
                2 => RowOp::LayerNorm(of),
                _ => RowOp::RmsNorm(of),
            };
            let (x_type, x_layout) = (any_element(&mut rng), any_layout(&mut rng, &dims));
            let in_place = rng.below(3) == 0;
            let (y_type, y_layout) = match in_place {
                true => (x_type, x_layout),
                false => (any_element(&mut rng), any_layout(&mut rng, &dims)),
            };
            let data = any_data(&mut rng, x_type, x_layout.extent());
            let case = Case { op, x: (x_type, &x_layout, &data), y: (y_type, &y_layout), in_place };
            case.check(&mut buffers, &Serial, supported);
        }
    }
}

/// Every type to every type, rows that are one block and rows that are more.
#[test]
fn every_pair_of_types() {
    let mut rng = Rng::new(seed() ^ 0x521);
    let mut buffers = [(); 2].map(|()| GuardedBuf::new(1 << 17));
    let params = QuantParams { scale: 1.0 / 256.0, zero_point: 0 };
    let types = [
        Element::F32,
        Element::F16,
        Element::Bf16,
        Element::Codes(Code::S8, params),
        Element::Codes(Code::U8, params),
    ];
    let gamma: Vec<f32> = (0..5000).map(|_| rng.normal()).collect();
    for dims in [[3, 70], [2, 5000]] {
        let layout = Layout::contiguous(&dims).unwrap();
        let gamma = Some(&gamma[..dims[1]]);
        let of = Norm { gamma, beta: gamma, epsilon: 1e-6 };
        for op in [RowOp::Softmax, RowOp::LogSoftmax, RowOp::LayerNorm(of), RowOp::RmsNorm(of)] {
            for x_type in types {
                let data = any_data(&mut rng, x_type, layout.len());
                for y_type in types {
                    let (x, y) = ((x_type, &layout, &data[..]), (y_type, &layout));
                    let case = Case { op, x, y, in_place: false };
                    case.check(&mut buffers, &Serial, limited());
                }
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let mut rng = Rng::new(seed() ^ 0x522);
    let mut buffers = [(); 2].map(|()| GuardedBuf::new(1 << 21));
    let pools: [&dyn Parallel; 4] = [&Serial, &Threads(3), &Threads(7), &Backwards];
    let shapes = [vec![1001, 301], vec![200_001, 1], vec![5, 70_000], vec![7, 13, 3001]];
    let ways = || pools.into_iter().flat_map(|pool| [false, true].map(|in_place| (pool, in_place)));
    let cases = shapes.iter().flat_map(|dims| ways().map(move |way| (dims, way)));
    for (dims, (pool, in_place)) in sampled("threads", 1, cases) {
        let layout = Layout::contiguous(dims).unwrap();
        let op = if dims.len() == 2 { RowOp::Softmax } else { RowOp::LogSoftmax };
        let data = any_data(&mut rng, Element::F32, layout.len());
        let (x, y) = ((Element::F32, &layout, &data[..]), (Element::F32, &layout));
        Case { op, x, y, in_place }.check(&mut buffers, pool, limited());
    }
}

#[test]
fn slices() {
    let (x, layout) = ([1.0, 2.0, 3.0, 4.0], Layout::contiguous(&[2, 2]).unwrap());
    let (mut y, mut z) = ([0.0; 4], x);
    RowOp::Softmax
        .run(Elements::F32(&x), &layout, ElementsMut::F32(&mut y), &layout, &Serial, limited())
        .unwrap();
    let place = ElementsMut::F32(&mut z);
    RowOp::Softmax.run_in_place(place, &layout, &Serial, limited()).unwrap();
    assert_eq!(bits(&y), bits(&z));
    assert_eq!(y[..2], function(&RowOp::Softmax, &x[..2]));
}

#[test]
fn what_is_refused() {
    let layout = |dims: &[usize]| Layout::contiguous(dims).unwrap();
    let (two, folded) = (layout(&[2, 3]), Layout::strided(&[2, 3], &[1, 1]).unwrap());
    let params = |scale, zero_point| QuantParams { scale, zero_point };
    let plain = Norm { gamma: None, beta: None, epsilon: 1e-5 };
    let refused = |op: RowOp<'_>, x: Elements<'_>, x_layout: &Layout, y_layout: &Layout| {
        let mut y = [7.0; 6];
        let to = ElementsMut::F32(&mut y);
        let error = op.run(x, x_layout, to, y_layout, &Serial, limited()).unwrap_err();
        assert_eq!(y, [7.0; 6]);
        (error.status, error.argument)
    };
    let x = [1.0; 6];
    let real = Elements::F32(&x);
    let invalid = Status::InvalidArgument;
    assert_eq!(refused(RowOp::Softmax, real, &layout(&[]), &layout(&[])), (invalid, "x_shape"));
    assert_eq!(refused(RowOp::Softmax, real, &two, &layout(&[3, 2])), (invalid, "y_shape"));
    assert_eq!(refused(RowOp::Softmax, real, &two, &folded), (Status::Overlap, "y_shape"));
    let short = Elements::F32(&x[..5]);
    assert_eq!(refused(RowOp::Softmax, short, &two, &two), (Status::BufferTooSmall, "x"));
    for params in [params(0.0, 0), params(f32::NAN, 0), params(1.0, 128)] {
        let codes = Elements::S8(&[0; 6], params);
        assert_eq!(refused(RowOp::Softmax, codes, &two, &two), (invalid, "x_params"));
        let codes = ElementsMut::S8(&mut [0; 6], params);
        let error = RowOp::Softmax.run(real, &two, codes, &two, &Serial, limited()).unwrap_err();
        assert_eq!((error.status, error.argument), (invalid, "y_params"));
    }
    for epsilon in [-1e-5, f32::INFINITY, f32::NAN] {
        let op = RowOp::LayerNorm(Norm { epsilon, ..plain });
        assert_eq!(refused(op, real, &two, &two), (invalid, "epsilon"));
    }
    let op = RowOp::RmsNorm(Norm { gamma: Some(&[1.0; 2]), ..plain });
    assert_eq!(refused(op, real, &two, &two), (invalid, "gamma"));
    let op = RowOp::LayerNorm(Norm { beta: Some(&[1.0; 4]), ..plain });
    assert_eq!(refused(op, real, &two, &two), (invalid, "beta"));
}
