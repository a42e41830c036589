//! The kernels of pooling, and of sums and products of codes, on contiguous arrays; and pooling layers of whole images.

use criterion::{Criterion, Throughput};
use fewbit::kernels::binary::{
    AddFixedArgs, AddFixedFn, BinaryArgs, BinaryFn, MultiplyFixedArgs, MultiplyFixedFn, Operands,
};
use fewbit::kernels::pool::{MaxArgs, MaxFn, SumsArgs, SumsFn, Windows};
use fewbit::scheme::{AddMultipliers, IntFormat, QuantParams, multiply_multiplier};
use fewbit::{
    Average, Code, ConcatDesc, ConvAxis, ImageLayout, PoolDesc, Serial, average_pool, concat,
    max_pool,
};
use fewbit_benches::{Buffer, codes};
use fewbit_testkit::limited;

/// Scales as calibration gives them.
const SCALES: [f32; 3] = [0.0314, 0.0271, 0.0402];
const ZERO_POINTS: [i32; 3] = [7, 3, 11];

fn operands(q: &Buffer, n: usize, dst: &mut [u8]) -> Operands {
    let (a, b) = q.bytes().split_at(q.bytes().len() / 2);
    Operands {
        a: a[..n].as_ptr(),
        b: b[..n].as_ptr(),
        b_is_one: false,
        dst: dst[..n].as_mut_ptr(),
        n,
        rows: 1,
        strides: [0; 3],
    }
}

pub fn binary_row(q: &Buffer, format: IntFormat) -> impl Fn(BinaryFn, usize, &mut [u8]) -> usize {
    let clamp = (format.qmin(), format.qmax());
    let mut params = SCALES.map(|scale| QuantParams { scale, zero_point: 0 });
    for (params, zero_point) in params.iter_mut().zip(ZERO_POINTS) {
        params.zero_point = zero_point;
    }
    move |run, n, dst| {
        let operands = operands(q, n, dst);
        // SAFETY: `n` codes on all sides.
        unsafe { run(&BinaryArgs { operands, params, clamp }) };
        n
    }
}

pub fn add_fixed(q: &Buffer) -> impl Fn(AddFixedFn, usize, &mut [u8]) -> usize {
    let [a, b, to] = SCALES;
    let multipliers = AddMultipliers::from_scales(a, b, to).expect("multipliers");
    move |run, n, dst| {
        let operands = operands(q, n, dst);
        let (zero_points, clamp) = (ZERO_POINTS, (0, 127));
        // SAFETY: `n` codes on all sides.
        unsafe { run(&AddFixedArgs { operands, zero_points, multipliers, clamp }) };
        n
    }
}

pub fn multiply_fixed(q: &Buffer) -> impl Fn(MultiplyFixedFn, usize, &mut [u8]) -> usize {
    let [a, b, to] = SCALES;
    let multiplier = multiply_multiplier(a, b, to).expect("a multiplier");
    move |run, n, dst| {
        let operands = operands(q, n, dst);
        let (zero_points, clamp) = (ZERO_POINTS, (0, 127));
        // SAFETY: `n` codes on all sides.
        unsafe { run(&MultiplyFixedArgs { operands, zero_points, multiplier, clamp }) };
        n
    }
}

/// `n` results of windows of 3 by 3 taps, one code apart.
fn windows(q: &Buffer, n: usize) -> Windows {
    let reach = 2 * 1024 + 2 + n;
    Windows {
        src: q.bytes()[..reach].as_ptr(),
        counts: [1, 3, 3],
        strides: [0, 1024, 1],
        pixels: 1,
        pixel_stride: 0,
        n,
    }
}

pub fn maxima(q: &Buffer) -> impl Fn(MaxFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let dst = dst[..n].as_mut_ptr();
        // SAFETY: the taps lie within the codes, and there is room for `n` results.
        unsafe { run(&MaxArgs { windows: windows(q, n), dst, dst_stride: n }) };
        n
    }
}

pub fn sums(q: &Buffer) -> impl Fn(SumsFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let dst = dst[..4 * n].as_mut_ptr().cast();
        // SAFETY: as above.
        unsafe { run(&SumsArgs { windows: windows(q, n), start: 0, dst, dst_stride: n }) };
        4 * n
    }
}

/// Layers of networks: name, side of the image, channels, kernel, stride, padding before and behind.
const LAYERS: [(&str, usize, usize, usize, usize, usize); 4] = [
    ("3x3s2_112x112x64", 112, 64, 3, 2, 1),
    ("3x3s1_28x28x256", 28, 256, 3, 1, 1),
    ("5x5s1_20x20x256", 20, 256, 5, 1, 2),
    ("2x2s2_56x56x128", 56, 128, 2, 2, 0),
];

pub fn layers(c: &mut Criterion) {
    let params = |scale| QuantParams { scale, zero_point: 3 };
    let average =
        Average::Numbers { from: params(0.1), to: params(0.07), count_include_pad: false };
    for (layout, form) in [(ImageLayout::Nhwc, "nhwc"), (ImageLayout::Nchw, "nchw")] {
        let layers = LAYERS.into_iter().map(|(name, side, channels, kernel, stride, pad)| {
            let axis =
                ConvAxis { size: side, kernel, stride, dilation: 1, pad_begin: pad, pad_end: pad };
            let axes = [ConvAxis::NONE, axis, axis];
            (name, PoolDesc { channels, axes, layout, ceil_mode: false, code: Code::S8 })
        });
        let global = PoolDesc::global(49, 2048, layout, Code::S8);
        for (name, desc) in layers.chain([("global_7x7x2048", global)]) {
            let (elements_in, elements_out) = desc.image_elements().expect("a layer");
            let (x, mut y) = (codes(elements_in), vec![0; elements_out]);
            let bytes = Throughput::Bytes((elements_in + elements_out) as u64);
            let mut group = c.benchmark_group(format!("pool/{form}/max"));
            group.throughput(bytes.clone()).bench_function(name, |b| {
                b.iter(|| max_pool(&desc, 1, &x, &mut y, &Serial, limited()).expect("a layer"));
            });
            group.finish();
            let mut group = c.benchmark_group(format!("pool/{form}/average"));
            group.throughput(bytes).bench_function(name, |b| {
                b.iter(|| {
                    average_pool(&desc, &average, 1, &x, &mut y, &Serial, limited())
                        .expect("a layer");
                });
            });
            group.finish();
        }
    }
    // Channels behind each other, as detectors have it.
    let desc = ConcatDesc { outer: 40 * 40, inner: 1, code: Code::U8, y: params(0.1) };
    let (a, b) = (codes(1600 * 128), codes(1600 * 64));
    let mut y = vec![0; a.len() + b.len()];
    let mut group = c.benchmark_group("concat/nhwc/40x40x192");
    group.throughput(Throughput::Bytes(2 * y.len() as u64));
    for (name, other) in [("rescaled", params(0.07)), ("copied", params(0.1))] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                concat(&desc, [(&a, other), (&b, params(0.1))], &mut y, &Serial, limited())
                    .expect("a layer");
            });
        });
    }
    group.finish();
}
