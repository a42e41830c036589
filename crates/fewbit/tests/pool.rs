//! Pooling against its direct definition: every set of features, 1 to 3 spatial axes, both layouts, kernel, stride,
//! dilation, padding on each side, ceil mode, both averages; threads; between guard pages; what is refused.

mod common;

use common::{Backwards, Threads, value};
use fewbit::scheme::{QuantParams, average, average_codes};
use fewbit::simd::Supported;
use fewbit::{
    Average, Code, ConvAxis, ImageLayout, Parallel, PoolDesc, Serial, Status, average_pool,
    average_pool_raw, max_pool, max_pool_raw,
};
use fewbit_testkit::{GuardedBuf, Rng, covered, fraction, limited, report, seed, supported_sets};

/// The largest code, or an average.
type What = Option<Average>;

fn run(
    desc: &PoolDesc,
    what: What,
    images: usize,
    x: &[u8],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> fewbit::Result<()> {
    match what {
        None => max_pool(desc, images, x, y, parallel, supported),
        Some(average) => average_pool(desc, &average, images, x, y, parallel, supported),
    }
}

/// Output pixels as ONNX and PyTorch count them.
fn out_pixels(axis: &ConvAxis, ceil_mode: bool) -> usize {
    let padded = axis.size + axis.pad_begin + axis.pad_end;
    let (steps, stride) = (padded - (axis.kernel - 1) * axis.dilation - 1, axis.stride);
    if !ceil_mode {
        return steps / stride + 1;
    }
    let out = steps.div_ceil(stride) + 1;
    if (out - 1) * stride >= axis.size + axis.pad_begin { out - 1 } else { out }
}

/// Each output code by its taps, one at a time.
fn direct(desc: &PoolDesc, what: What, images: usize, x: &[u8]) -> Vec<u8> {
    let [d, h, w] = desc.axes.map(|axis| axis.size);
    let out = desc.axes.map(|axis| out_pixels(&axis, desc.ceil_mode));
    let [od, oh, ow] = out;
    let channels = desc.channels;
    let at = |[d, h, w]: [usize; 3], image: usize, c: usize, [pd, ph, pw]: [usize; 3]| match desc
        .layout
    {
        ImageLayout::Nhwc => (((image * d + pd) * h + ph) * w + pw) * channels + c,
        ImageLayout::Nchw => (((image * channels + c) * d + pd) * h + ph) * w + pw,
    };
    let mut y = vec![0; images * od * oh * ow * channels];
    for image in 0..images {
        for c in 0..channels {
            for pixel in 0..od * oh * ow {
                let place = [pixel / ow / oh, pixel / ow % oh, pixel % ow];
                let (mut codes, mut counted) = (Vec::new(), 0);
                let [kd, kh, kw] = desc.axes.map(|axis| axis.kernel);
                for tap in 0..kd * kh * kw {
                    let tap = [tap / kw / kh, tap / kw % kh, tap % kw];
                    let under = |i: usize| {
                        let axis = &desc.axes[i];
                        (place[i] * axis.stride + tap[i] * axis.dilation, axis)
                    };
                    let all = [under(0), under(1), under(2)];
                    let padded = |a: &ConvAxis| a.size + a.pad_begin + a.pad_end;
                    counted += usize::from(all.iter().all(|(p, a)| *p < padded(a)));
                    let inside = |(p, a): &(usize, &ConvAxis)| {
                        (a.pad_begin..a.pad_begin + a.size).contains(p)
                    };
                    if all.iter().all(inside) {
                        let from = all.map(|(p, axis)| p - axis.pad_begin);
                        codes.push(value(desc.code, x[at([d, h, w], image, c, from)]) as i32);
                    }
                }
                let format = desc.code.format();
                let code = match what {
                    None => codes.iter().copied().max().unwrap_or(format.qmin()),
                    Some(Average::Codes) => average_codes(codes.iter().sum(), codes.len()),
                    Some(Average::Numbers { from, to, count_include_pad }) => {
                        let steps = codes.iter().map(|q| q - from.zero_point).sum();
                        let count = if count_include_pad { counted } else { codes.len() };
                        match codes.len() {
                            0 => to.zero_point,
                            _ => average(steps, count, from, to, format),
                        }
                    }
                };
                y[at(out, image, c, place)] = code as u8;
            }
        }
    }
    y
}

fn any_axis(rng: &mut Rng, largest: usize) -> ConvAxis {
    loop {
        let axis = ConvAxis {
            size: 1 + rng.below(largest),
            kernel: 1 + rng.below(rng.clone().pick(&[2, 4, 7, 12])),
            stride: rng.pick(&[1, 1, 2, 3, 9]),
            dilation: rng.pick(&[1, 1, 1, 2, 3]),
            pad_begin: rng.pick(&[0, 0, 1, 2, 5]),
            pad_end: rng.pick(&[0, 0, 1, 3]),
        };
        if axis.output().is_some() {
            return axis;
        }
    }
}

fn any_params(rng: &mut Rng, code: Code) -> QuantParams {
    let zero = code.format().qmin() + rng.below(256) as i32;
    let ends = [code.format().qmin(), code.format().qmax(), zero, zero];
    QuantParams { scale: 0.01 + rng.unit(), zero_point: rng.pick(&ends) }
}

fn any_what(rng: &mut Rng, code: Code) -> What {
    match rng.below(4) {
        0 => None,
        1 => Some(Average::Codes),
        _ => Some(Average::Numbers {
            from: any_params(rng, code),
            to: any_params(rng, code),
            count_include_pad: rng.below(2) == 0,
        }),
    }
}

fn any_desc(rng: &mut Rng, round: usize) -> PoolDesc {
    let mut axes = [ConvAxis::NONE; 3];
    let largest = match round % 8 {
        0 => 300,
        1 => 40,
        _ => 13,
    };
    axes[2] = any_axis(rng, largest);
    if !round.is_multiple_of(4) {
        axes[1] = any_axis(rng, 11);
    }
    if round % 4 == 3 {
        axes[0] = any_axis(rng, 5);
    }
    if rng.below(8) == 0 {
        // All of the image in one window.
        for axis in &mut axes {
            *axis = ConvAxis { kernel: axis.size, size: axis.size, ..ConvAxis::NONE };
        }
    }
    let wide = 1 + rng.below(70);
    PoolDesc {
        channels: rng.pick(&[1, 1, 2, 3, 4, 15, 16, 17, 32, wide]),
        axes,
        layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
        ceil_mode: rng.below(2) == 0,
        code: rng.pick(&[Code::S8, Code::U8]),
    }
}

#[test]
fn pools_are_their_definition() {
    let mut rng = Rng::new(seed() ^ 120);
    let rounds = 6000 / fraction("pools", 6);
    let [mut from, mut to] = [(); 2].map(|()| GuardedBuf::new(1 << 20));
    for round in 0..rounds {
        let desc = any_desc(&mut rng, round);
        let images = rng.pick(&[1, 1, 2, 3]);
        let what = any_what(&mut rng, desc.code);
        let (elements_in, elements_out) = desc.image_elements().unwrap();
        let mut x = rng.bytes(images * elements_in);
        match round % 16 {
            0 => x.fill(0x80),
            1 => x.fill(0xFF),
            2 => x.fill(0x7F),
            _ => {}
        }
        let want = direct(&desc, what, images, &x);
        assert_eq!(want.len(), images * elements_out, "{desc:?}");
        for supported in supported_sets() {
            let (from, at) = (from.at_end(&x), to.at_end(&vec![0x5A_u8; want.len()]));
            // SAFETY: the images, up to guard pages.
            let got = unsafe {
                match what {
                    None => max_pool_raw(&desc, images, from, at, &Serial, supported),
                    Some(average) => {
                        average_pool_raw(&desc, &average, images, from, at, &Serial, supported)
                    }
                }
                .unwrap();
                std::slice::from_raw_parts(at, want.len())
            };
            let wrong = got.iter().zip(&want).position(|(got, want)| got != want);
            let wrong = wrong.map(|i| (i, got[i], want[i]));
            assert_eq!(wrong, None, "{desc:?} {what:?} x {images}");
            covered("pool", supported.set(), 1);
        }
    }
    report();
}

/// Lines longer than what is computed at a time, with strides, in both layouts.
#[test]
fn long_lines_are_cut() {
    let mut rng = Rng::new(seed() ^ 121);
    for (channels, stride) in
        [(1, 1), (1, 2), (1, 9), (3, 2), (15, 8), (40, 2), (1100, 1), (2500, 2)]
    {
        let width = ConvAxis { size: 6000 / channels + 17, kernel: 3, stride, ..ConvAxis::NONE };
        let axes = [
            ConvAxis::NONE,
            ConvAxis { size: 4, kernel: 2, ..ConvAxis::NONE },
            ConvAxis { pad_begin: 1, ..width },
        ];
        for layout in [ImageLayout::Nhwc, ImageLayout::Nchw] {
            for code in [Code::S8, Code::U8] {
                let desc = PoolDesc { channels, axes, layout, ceil_mode: true, code };
                let numbers = Average::Numbers {
                    from: any_params(&mut rng, code),
                    to: any_params(&mut rng, code),
                    count_include_pad: true,
                };
                for what in [None, Some(Average::Codes), Some(numbers)] {
                    let (elements_in, elements_out) = desc.image_elements().unwrap();
                    let (x, mut y) = (rng.bytes(elements_in), vec![0; elements_out]);
                    run(&desc, what, 1, &x, &mut y, &Serial, limited()).unwrap();
                    assert!(y == direct(&desc, what, 1, &x), "{desc:?} {what:?}");
                }
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let mut rng = Rng::new(seed() ^ 122);
    let axis = ConvAxis { size: 57, kernel: 3, stride: 2, pad_begin: 1, ..ConvAxis::NONE };
    for layout in [ImageLayout::Nhwc, ImageLayout::Nchw] {
        let axes = [ConvAxis::NONE, axis, axis];
        let desc = PoolDesc { channels: 50, axes, layout, ceil_mode: true, code: Code::U8 };
        for what in [None, Some(Average::Codes)] {
            let (elements_in, elements_out) = desc.image_elements().unwrap();
            let (x, mut want) = (rng.bytes(3 * elements_in), vec![0; 3 * elements_out]);
            run(&desc, what, 3, &x, &mut want, &Serial, limited()).unwrap();
            let threads: [&dyn Parallel; 4] = [&Threads(2), &Threads(3), &Threads(7), &Backwards];
            for parallel in threads {
                let mut y = vec![0x5A; want.len()];
                run(&desc, what, 3, &x, &mut y, parallel, limited()).unwrap();
                assert!(y == want);
            }
        }
    }
}

#[test]
fn global_pooling_is_one_window() {
    let mut rng = Rng::new(seed() ^ 123);
    for layout in [ImageLayout::Nhwc, ImageLayout::Nchw] {
        for (pixels, channels) in [(1, 5), (49, 70), (100, 3), (1000, 33), (257, 1)] {
            let desc = PoolDesc::global(pixels, channels, layout, Code::S8);
            let params = any_params(&mut rng, Code::S8);
            let numbers = Average::Numbers { from: params, to: params, count_include_pad: false };
            for what in [None, Some(numbers), Some(Average::Codes)] {
                let (x, mut y) = (rng.bytes(2 * pixels * channels), vec![0; 2 * channels]);
                run(&desc, what, 2, &x, &mut y, &Serial, limited()).unwrap();
                assert_eq!(y, direct(&desc, what, 2, &x), "{pixels} {channels}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let axis = ConvAxis { size: 8, kernel: 2, ..ConvAxis::NONE };
    let good = PoolDesc {
        channels: 3,
        axes: [ConvAxis::NONE, axis, axis],
        layout: ImageLayout::Nhwc,
        ceil_mode: false,
        code: Code::S8,
    };
    let params = QuantParams { scale: 1.0, zero_point: 0 };
    let mean = |from, to| Some(Average::Numbers { from, to, count_include_pad: false });
    let (x, mut y) = ([0; 192], [7; 147]);
    let mut refused = |desc: &PoolDesc, what, images, x: &[u8], short: usize| {
        let to = &mut y[short..];
        let error = run(desc, what, images, x, to, &Serial, limited()).unwrap_err();
        assert!(y.iter().all(|&code| code == 7));
        (error.status, error.argument)
    };
    let bad = |axis: ConvAxis| PoolDesc { axes: [ConvAxis::NONE, axis, axis], ..good };
    for wrong in [
        ConvAxis { size: 0, ..axis },
        ConvAxis { kernel: 0, ..axis },
        ConvAxis { stride: 0, ..axis },
        ConvAxis { dilation: 0, ..axis },
        ConvAxis { kernel: 9, ..axis },
        ConvAxis { pad_begin: usize::MAX, ..axis },
        ConvAxis { kernel: usize::MAX, dilation: 2, ..axis },
    ] {
        let error = refused(&bad(wrong), None, 1, &x, 0);
        assert_eq!(error, (Status::InvalidArgument, "desc.axes[1]"), "{wrong:?}");
    }
    let none = PoolDesc { channels: 0, ..good };
    assert_eq!(refused(&none, None, 1, &x, 0), (Status::InvalidArgument, "desc.channels"));
    assert_eq!(refused(&good, None, 1, &x[1..], 0), (Status::BufferTooSmall, "x"));
    assert_eq!(refused(&good, None, 1, &x, 1), (Status::BufferTooSmall, "y"));
    assert_eq!(refused(&good, None, 2, &x, 0), (Status::BufferTooSmall, "x"));
    let error = refused(&good, None, usize::MAX / 2, &x, 0);
    assert_eq!(error.0, Status::InvalidArgument);
    let scale = QuantParams { scale: 0.0, ..params };
    let zero = QuantParams { zero_point: 128, ..params };
    let argument = Status::InvalidArgument;
    assert_eq!(refused(&good, mean(scale, params), 1, &x, 0), (argument, "desc.x_params"));
    assert_eq!(refused(&good, mean(params, zero), 1, &x, 0), (argument, "desc.y_params"));
    // Windows whose sum may leave int32; their taps lie on padding, most of them.
    let huge = ConvAxis { kernel: 3000, pad_end: 3000, ..axis };
    let huge = PoolDesc { channels: 1, ..bad(huge) };
    let (x, mut y) = ([0; 64], vec![7; 9 * 9]);
    for what in [mean(params, params), Some(Average::Codes)] {
        let error = run(&huge, what, 1, &x, &mut y, &Serial, limited()).unwrap_err();
        assert_eq!((error.status, error.argument), (Status::LimitExceeded, "desc.axes"));
    }
    run(&huge, None, 1, &x, &mut y, &Serial, limited()).unwrap();
    assert!(y.iter().any(|&code| code != 7));
    // Distances that no tap is at, and more taps on padding than a usize counts.
    let far = ConvAxis { kernel: 1, dilation: usize::MAX, pad_begin: 2, ..axis };
    let (x, mut y) = (vec![3; 192], vec![7; 3 * 10 * 10]);
    run(&bad(far), None, 1, &x, &mut y, &Serial, limited()).unwrap();
    assert!(y[2 * 10 * 3..].contains(&3));
    let taps = 1 << 22;
    let wide = ConvAxis { size: 1, kernel: taps, pad_begin: taps, pad_end: 0, ..axis };
    let wide = PoolDesc { axes: [wide; 3], channels: 1, ..good };
    let mut y = vec![7; 8];
    run(&wide, None, 1, &[3], &mut y, &Serial, limited()).unwrap();
    assert_eq!(y[7], 3);
    let mut both = [1; 192];
    let (from, to) = (both.as_ptr(), both.as_mut_ptr().wrapping_add(191));
    // SAFETY: refused before anything is touched.
    let overlap = unsafe { max_pool_raw(&good, 1, from, to, &Serial, limited()) };
    assert_eq!(overlap.unwrap_err().status, Status::Overlap);
    // SAFETY: as above.
    let null = unsafe { max_pool_raw(&good, 1, from, std::ptr::null_mut(), &Serial, limited()) };
    assert_eq!(null.unwrap_err().status, Status::NullPointer);
    max_pool(&good, 0, &[], &mut [], &Serial, limited()).unwrap();
}
