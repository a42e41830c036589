//! Convolutions, ordinary and transposed, against their direct definition: every tile of this CPU, 1 to 3 spatial axes, all
//! layouts of images and of weights, groups, stride, dilation, asymmetric padding, every input, bias
//! and output; threads; between guard pages.

mod common;

use common::images::{Arenas, Images};
use common::{Backwards, Operands, Threads, rayon_threads, value, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{QuantParams, RealFormat::F32};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, ConvRun, FilterLayout,
    ImageLayout, Input, Output, Parallel, RayonPool, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, covered, fraction, limited, report, seed, supported_sets};
use std::ops::{Deref, DerefMut};

/// A convolution with its operands, owned.
#[derive(Debug)]
struct Layer {
    shape: Images,
    operands: Operands,
}

impl Deref for Layer {
    type Target = Images;

    fn deref(&self) -> &Images {
        &self.shape
    }
}

impl DerefMut for Layer {
    fn deref_mut(&mut self) -> &mut Images {
        &mut self.shape
    }
}

impl Layer {
    fn desc(&self) -> ConvDesc<'_> {
        ConvDesc {
            in_channels: self.groups * self.inputs,
            out_channels: self.channels(),
            groups: self.groups,
            axes: self.axes,
            layout: self.layout,
            filter_layout: self.filter_layout,
            weights: self.operands.weights(),
            input: self.operands.input,
            bias: self.operands.bias.borrow(),
            output: self.operands.output,
            activation: self.operands.finish.activation,
            activation_mode: self.operands.finish.mode,
            residual: self.operands.finish.residual,
        }
    }

    fn create(&self, supported: Supported) -> Conv<'static> {
        match self.transposed {
            Some(padding) => {
                Conv::create_transposed(&self.desc(), padding, supported, &Allocator::DEFAULT)
            }
            None => Conv::create(&self.desc(), supported, &Allocator::DEFAULT),
        }
        .unwrap()
    }

    fn any_residual(&self, rng: &mut Rng) -> Vec<u8> {
        self.operands.finish.residuals(rng, self.results())
    }

    fn element(&self) -> usize {
        self.operands.output_element()
    }

    /// The output's bytes by definition.
    fn definition(&self, x: &[u8], residual: &[u8]) -> Vec<u8> {
        let element = self.element();
        let mut y = vec![0; self.results() * element];
        let quantized = self.operands.quantized(x, self.images);
        for (n, channel, place, index) in self.each_output() {
            let (codes, params) = &quantized[n];
            let sum = self.sum(codes, i64::from(params.zero_point), channel, place);
            let added = self.operands.finish.residual_element();
            let residual = &residual[index * added..][..added];
            let bytes = self.operands.finish(sum, channel, params.scale, residual);
            y[index * element..][..element].copy_from_slice(&bytes);
        }
        y
    }

    /// The exact sum, without bias, of one output. Taps on padding are skipped.
    fn sum(&self, codes: &[i64], zero_point: i64, channel: usize, out: [usize; 3]) -> i64 {
        let product = |(element, weight): (Option<usize>, usize)| {
            let weight = value(self.operands.weight_code, self.operands.weights[weight]);
            let weight = weight - self.operands.weight_zero_point(channel);
            element.map_or(0, |element| (codes[element] - zero_point) * weight)
        };
        self.products(channel, out).into_iter().map(product).sum()
    }

    /// The output's bytes by a plan; input, output and workspace lie against guard pages.
    fn run(
        &self,
        plan: &Conv,
        (x, residual): (&[u8], &[u8]),
        parallel: &dyn Parallel,
        arenas: &mut Arenas,
    ) -> Vec<u8> {
        let bytes = self.results() * self.element();
        arenas.run(plan, self.images, bytes, (x, residual), parallel)
    }
}

/// A random layer, or none.
fn random_layer(rng: &mut Rng) -> Option<Layer> {
    let shape = Images::any(rng)?;
    let operands = Operands::any(rng, shape.channels(), shape.weights());
    Some(Layer { shape, operands })
}

#[test]
fn every_tile_equals_the_definition() {
    let mut rng = Rng::new(seed());
    let mut arenas = Arenas::new();
    let sets = supported_sets();
    let rounds = 20_000 / fraction("conv layers", 20);
    let mut tried = 0;
    while tried < rounds {
        let Some(layer) = random_layer(&mut rng) else { continue };
        tried += 1;
        let x = layer.operands.any_data(&mut rng, layer.images, layer.images * layer.image());
        let residual = layer.any_residual(&mut rng);
        let expected = layer.definition(&x, &residual);
        for &set in &sets {
            let plan = layer.create(set);
            assert_eq!(plan.output_dims(), layer.out_dims());
            for parallel in [&Serial as &dyn Parallel, &Backwards] {
                let got = layer.run(&plan, (&x, &residual), parallel, &mut arenas);
                assert_eq!(got, expected, "{} {layer:?}", plan.kernel_name());
            }
            covered("conv", set.set(), 1);
        }
    }
    report();
}

/// A random depthwise layer, or none if the taps do not fit.
fn random_depthwise(rng: &mut Rng) -> Option<Layer> {
    let most = rng.pick(&[70, 70, 70, 250]);
    let multiplier = rng.pick(&[1, 1, 1, 2, 3, 4]);
    let groups = 2 + rng.below(most) / multiplier;
    let mut layer = random_layer(rng)?;
    layer.transposed = None;
    (layer.groups, layer.inputs, layer.outputs) = (groups, 1, multiplier);
    if rng.below(8) == 0 {
        // Several chunks of a row, and of the kernel's calls.
        let [depth, height, width] = &mut layer.axes;
        *depth = ConvAxis::NONE;
        height.size = height.size.min(3);
        width.size = 60 + rng.below(180);
        layer.images = layer.images.min(1);
        layer.groups = groups.min(40 / multiplier);
    }
    if layer.axes.iter().any(|axis| axis.output().is_none()) {
        return None;
    }
    let taps: usize = layer.axes.iter().map(|axis| axis.kernel).product();
    let outputs = layer.groups * multiplier;
    layer.operands = Operands::any(rng, outputs, outputs * taps);
    Some(layer)
}

#[test]
fn depthwise_layers_equal_the_definition() {
    let mut rng = Rng::new(seed() + 2);
    let mut arenas = Arenas::new();
    let sets = supported_sets();
    let rounds = 4_000 / fraction("depthwise layers", 20);
    let mut tried = 0;
    while tried < rounds {
        let Some(layer) = random_depthwise(&mut rng) else { continue };
        tried += 1;
        let x = layer.operands.any_data(&mut rng, layer.images, layer.images * layer.image());
        let residual = layer.any_residual(&mut rng);
        let expected = layer.definition(&x, &residual);
        for &set in &sets {
            let plan = layer.create(set);
            assert!(plan.kernel_name().starts_with("depthwise_"), "{}", plan.kernel_name());
            for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads(3)] {
                let got = layer.run(&plan, (&x, &residual), parallel, &mut arenas);
                assert_eq!(got, expected, "{} {layer:?}", plan.kernel_name());
            }
            covered("depthwise conv", set.set(), 1);
        }
    }
    report();
}

#[test]
fn what_cannot_be_seen_of_a_depthwise_layer_costs_nothing() {
    // The dilation of a single tap and the stride of a single pixel, as large as can be.
    let mut rng = Rng::new(seed() + 3);
    let mut arenas = Arenas::new();
    let far = 1 << 60;
    let single =
        ConvAxis { kernel: 1, stride: 1, dilation: far, pad_begin: 0, pad_end: 0, size: 5 };
    let whole = ConvAxis { kernel: 5, stride: far, dilation: 1, pad_begin: 0, pad_end: 0, size: 5 };
    for axes in [[single, single, single], [whole, whole, whole], [single, whole, single]] {
        let taps: usize = axes.iter().map(|axis| axis.kernel).product();
        let shape = Images {
            images: 2,
            groups: 3,
            inputs: 1,
            outputs: 1,
            axes,
            transposed: None,
            layout: ImageLayout::Nhwc,
            filter_layout: FilterLayout::Ohwi,
        };
        let layer = Layer { shape, operands: Operands::any(&mut rng, 3, 3 * taps) };
        let x = layer.operands.any_data(&mut rng, layer.images, layer.images * layer.image());
        let residual = layer.any_residual(&mut rng);
        let expected = layer.definition(&x, &residual);
        let plan = layer.create(limited());
        let got = layer.run(&plan, (&x, &residual), &Serial, &mut arenas);
        assert_eq!(got, expected, "{layer:?}");
    }
}

/// A depthwise layer's memory is that of its outputs, not of the columns between taps.
#[test]
fn dilation_costs_a_depthwise_layer_no_memory() {
    let mut rng = Rng::new(seed() + 5);
    let mut arenas = Arenas::new();
    let mut workspaces = Vec::new();
    for (dilation, stride) in [(1, 1), (7, 1), (150, 1), (150, 4), (399, 3)] {
        let pad = dilation;
        let width =
            ConvAxis { size: 400, kernel: 3, stride, dilation, pad_begin: pad, pad_end: pad };
        let shape = Images {
            images: 1,
            groups: 5,
            inputs: 1,
            outputs: 1,
            axes: [ConvAxis::NONE, ConvAxis::NONE, width],
            transposed: None,
            layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
            filter_layout: FilterLayout::Ohwi,
        };
        let mut layer = Layer { shape, operands: Operands::any(&mut rng, 5, 15) };
        layer.operands.input = Input::Codes(Code::U8, QuantParams { scale: 0.1, zero_point: 5 });
        let x = layer.operands.any_data(&mut rng, 1, layer.image());
        let residual = layer.any_residual(&mut rng);
        let expected = layer.definition(&x, &residual);
        for set in supported_sets() {
            let plan = layer.create(set);
            let got = layer.run(&plan, (&x, &residual), &Serial, &mut arenas);
            assert_eq!(got, expected, "{} {layer:?}", plan.kernel_name());
        }
        workspaces.push(layer.create(limited()).workspace(1, 1).unwrap().size);
    }
    let least = workspaces[0];
    assert!(workspaces.iter().all(|&size| size < 8 * least), "{workspaces:?}");
}

#[test]
fn what_cannot_be_seen_of_any_layer_is_not_computed_with() {
    let mut rng = Rng::new(seed() + 4);
    let mut arenas = Arenas::new();
    let near = ConvAxis { kernel: 3, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0, size: 5 };
    // Lines at a distance that is 0 modulo 2^64 in bytes, and one that is not.
    let [far, farther] =
        [1 << 62, usize::MAX].map(|dilation| ConvAxis { kernel: 1, dilation, ..near });
    // Only the second tap is inside, the first one a long way before the line.
    let far_before = ConvAxis { size: 1, kernel: 2, dilation: 1 << 60, pad_begin: 1 << 60, ..near };
    let axes =
        [[ConvAxis::NONE, far, near], [farther, farther, near], [ConvAxis::NONE, near, far_before]];
    for axes in axes {
        for layout in [ImageLayout::Nhwc, ImageLayout::Nchw] {
            let taps: usize = axes.iter().map(|axis| axis.kernel).product();
            let shape = Images {
                images: 1,
                groups: 1,
                inputs: 16,
                outputs: 5,
                axes,
                transposed: None,
                layout,
                filter_layout: FilterLayout::Ohwi,
            };
            let layer = Layer { shape, operands: Operands::any(&mut rng, 5, 5 * 16 * taps) };
            let x = layer.operands.any_data(&mut rng, layer.images, layer.images * layer.image());
            let residual = layer.any_residual(&mut rng);
            let expected = layer.definition(&x, &residual);
            for set in supported_sets() {
                let plan = layer.create(set);
                let got = layer.run(&plan, (&x, &residual), &Serial, &mut arenas);
                assert_eq!(got, expected, "{} {layer:?}", plan.kernel_name());
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let mut rng = Rng::new(seed() + 1);
    let mut arenas = Arenas::new();
    let pools = [1, 2, 3, 7].map(rayon_threads);
    let mut tried = 0;
    while tried < 40 {
        let Some(layer) = random_layer(&mut rng) else { continue };
        tried += 1;
        let x = layer.operands.any_data(&mut rng, layer.images, layer.images * layer.image());
        let plan = layer.create(limited());
        let residual = layer.any_residual(&mut rng);
        let expected = layer.run(&plan, (&x, &residual), &Serial, &mut arenas);
        for pool in &pools {
            let workers = pool.current_num_threads();
            for parallel in
                [&Threads(workers) as &dyn Parallel, &RayonPool::new(pool).with_min_operations(0)]
            {
                let got = layer.run(&plan, (&x, &residual), parallel, &mut arenas);
                assert_eq!(got, expected, "{workers} workers, {layer:?}");
            }
        }
    }
}

const AXIS: ConvAxis =
    ConvAxis { size: 4, kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };

/// 2 channels of 4 x 4 pixels, 3 x 3 taps, 3 outputs.
fn good<'a>() -> ConvDesc<'a> {
    ConvDesc {
        in_channels: 2,
        out_channels: 3,
        groups: 1,
        axes: [ConvAxis::NONE, AXIS, AXIS],
        layout: ImageLayout::Nhwc,
        filter_layout: FilterLayout::Ohwi,
        weights: Weights {
            format: Code::S8.format(),
            codes: &[1; 54],
            scales: &[0.5],
            zero_points: &[],
            block: 0,
            multipliers: &[],
            shifts: &[],
        },
        input: Input::Static(F32, Code::U8.format(), QuantParams { scale: 0.1, zero_point: 7 }),
        bias: Bias::None,
        output: Output::Real(F32),
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
    }
}

#[test]
fn the_bound_is_exact() {
    // 255 * 255 a tap and channel: with all taps inside the image the sum reaches the bound.
    let k = i32::MAX as usize / (255 * 255);
    let axis = |kernel| ConvAxis { size: kernel, kernel, ..ConvAxis::NONE };
    for (k, fits) in [(k, true), (k + 1, false)] {
        let weights = vec![0xFF; k];
        let desc = ConvDesc {
            in_channels: 1,
            out_channels: 1,
            axes: [ConvAxis::NONE, ConvAxis::NONE, axis(k)],
            weights: Weights {
                format: Code::U8.format(),
                codes: &weights,
                scales: &[1.0],
                zero_points: &[],
                block: 0,
                multipliers: &[],
                shifts: &[],
            },
            input: Input::Codes(Code::U8, QuantParams { scale: 1.0, zero_point: 0 }),
            output: Output::S32,
            ..good()
        };
        for set in supported_sets() {
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT);
            if !fits {
                let error = plan.err().unwrap();
                assert_eq!((error.status, error.argument), (Status::LimitExceeded, "desc.weights"));
                continue;
            }
            let plan = plan.unwrap();
            let mut memory = workspace(plan.workspace(1, 1).unwrap().size);
            let mut y = [0i32];
            plan.run(1, &vec![0xFFu8; k], &mut memory, &Serial, &mut y).unwrap();
            assert_eq!((i64::from(y[0]), plan.bound()), (65_025 * k as i64, 65_025 * k as i64));
        }
    }
}

#[test]
fn transposed_axes_are_checked() {
    let axis = |stride, dilation| ConvAxis { stride, dilation, ..AXIS };
    assert_eq!(AXIS.transposed_output(0), Some(4));
    assert_eq!(axis(2, 1).transposed_output(1), Some(8));
    assert_eq!(axis(1, 3).transposed_output(2), Some(10));
    let wrong = [
        (axis(2, 1), 2),
        (axis(1, 3), 3),
        (axis(1, 1), 1),
        (axis(0, 1), 0),
        (axis(1, 0), 0),
        (ConvAxis { size: 0, ..AXIS }, 0),
        (ConvAxis { kernel: 0, ..AXIS }, 0),
        (ConvAxis { pad_begin: 5, ..AXIS }, 0),
        (ConvAxis { size: usize::MAX, ..AXIS }, 0),
        (ConvAxis { kernel: usize::MAX, ..AXIS }, 0),
        (ConvAxis { pad_end: usize::MAX, ..AXIS }, 0),
        (axis(usize::MAX, 1), 0),
        (axis(1, usize::MAX), 0),
        (axis(usize::MAX / 8, 1), 0),
    ];
    let names = ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"];
    for (axis, padding) in wrong {
        for (i, name) in names.into_iter().enumerate() {
            let (mut axes, mut more) = ([ConvAxis::NONE; 3], [0; 3]);
            (axes[i], more[i]) = (axis, padding);
            let weights = Weights { codes: &[1; 18], ..good().weights };
            let desc = ConvDesc { axes, weights, ..good() };
            let plan = Conv::create_transposed(&desc, more, Supported::SCALAR, &Allocator::DEFAULT);
            let error = plan.err().unwrap();
            assert_eq!((error.status, error.argument), (Status::InvalidArgument, name), "{axis:?}");
        }
    }
    // Its packed weights cannot be saved.
    let plan = Conv::create_transposed(&good(), [0; 3], limited(), &Allocator::DEFAULT).unwrap();
    let unsupported = Some((Status::Unsupported, "conv"));
    let refused = |error: fewbit::Error| (error.status, error.argument);
    assert_eq!(plan.packed_size().err().map(refused), unsupported);
    assert_eq!(plan.save_packed(&mut [0; 4096]).err().map(refused), unsupported);
}

#[test]
fn bad_descriptions_are_refused() {
    let refused = |desc: ConvDesc<'_>| {
        let error = Conv::create(&desc, Supported::SCALAR, &Allocator::DEFAULT).err().unwrap();
        (error.status, error.argument)
    };
    assert!(Conv::create(&good(), Supported::SCALAR, &Allocator::DEFAULT).is_ok());
    let invalid = |name| (Status::InvalidArgument, name);
    assert_eq!(refused(ConvDesc { groups: 0, ..good() }), invalid("desc.groups"));
    assert_eq!(refused(ConvDesc { groups: 2, ..good() }), invalid("desc.out_channels"));
    assert_eq!(refused(ConvDesc { groups: 3, ..good() }), invalid("desc.in_channels"));
    assert_eq!(refused(ConvDesc { in_channels: 0, ..good() }), invalid("desc.in_channels"));
    assert_eq!(refused(ConvDesc { out_channels: 0, ..good() }), invalid("desc.out_channels"));
    let wrong = [
        ConvAxis { size: 0, ..AXIS },
        ConvAxis { kernel: 0, ..AXIS },
        ConvAxis { stride: 0, ..AXIS },
        ConvAxis { dilation: 0, ..AXIS },
        ConvAxis { kernel: 7, ..AXIS },
        ConvAxis { dilation: 3, ..AXIS },
        ConvAxis { size: usize::MAX, ..AXIS },
        ConvAxis { kernel: usize::MAX, ..AXIS },
        ConvAxis { dilation: usize::MAX, ..AXIS },
        ConvAxis { pad_begin: usize::MAX, ..AXIS },
        ConvAxis { pad_end: usize::MAX, ..AXIS },
    ];
    for axis in wrong {
        for (i, name) in ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"].into_iter().enumerate() {
            let mut axes = good().axes;
            axes[i] = axis;
            assert_eq!(refused(ConvDesc { axes, ..good() }), invalid(name), "{axis:?}");
        }
    }
    // Legal axes whose product is beyond memory.
    let axes = [ConvAxis { size: 1 << 40, ..AXIS }; 3];
    let weights = Weights { codes: &[1; 162], ..good().weights };
    assert_eq!(refused(ConvDesc { axes, weights, ..good() }), invalid("desc"));
    assert_eq!(
        refused(ConvDesc { in_channels: usize::MAX / 4, ..good() }).0,
        Status::InvalidArgument
    );
    let weights = Weights { codes: &[1; 53], ..good().weights };
    assert_eq!(
        refused(ConvDesc { weights, ..good() }),
        (Status::BufferTooSmall, "desc.weights.data")
    );
    let weights = Weights { scales: &[1.0; 2], ..good().weights };
    assert_eq!(refused(ConvDesc { weights, ..good() }), invalid("desc.weights.scales"));
    let bias = Bias::F32(&[0.0; 2]);
    assert_eq!(refused(ConvDesc { bias, ..good() }), invalid("desc.bias"));
}

#[test]
fn bad_runs_are_refused_and_write_nothing() {
    let plan = Conv::create(&good(), limited(), &Allocator::DEFAULT).unwrap();
    let x = vec![1.0f32; 32 * 2 + 1];
    let mut y = vec![7.0f32; 48 * 2 + 1];
    let size = plan.workspace(2, 1).unwrap().size;
    let mut memory = workspace(size + 64);
    let (xp, yp, wp) = (x.as_ptr().cast::<u8>(), y.as_mut_ptr().cast::<u8>(), memory.as_mut_ptr());
    let call = |images, x: *const u8, w, ws, y| {
        // SAFETY: refused before anything is touched, or within the buffers.
        unsafe {
            let (residual, workspace, workspace_size) = (std::ptr::null(), w, ws);
            let run = ConvRun { images, x, residual, workspace, workspace_size, y };
            plan.run_raw(&run, &Serial)
        }
        .map_err(|e| (e.status, e.argument))
    };
    use Status::{BufferTooSmall, InvalidArgument, Misaligned, NullPointer, Overlap};
    let null = core::ptr::null_mut();
    let off = |p: *mut u8| p.wrapping_add(1);
    assert_eq!(call(2, null, wp, size, yp), Err((NullPointer, "x")));
    assert_eq!(call(2, xp, null, size, yp), Err((NullPointer, "workspace")));
    assert_eq!(call(2, xp, wp, size, null), Err((NullPointer, "y")));
    assert_eq!(call(2, xp, wp, size - 1, yp), Err((BufferTooSmall, "workspace_size")));
    assert_eq!(call(2, xp, off(wp), size, yp), Err((Misaligned, "workspace")));
    assert_eq!(call(2, off(xp.cast_mut()), wp, size, yp), Err((Misaligned, "x")));
    assert_eq!(call(2, xp, wp, size, off(yp)), Err((Misaligned, "y")));
    assert_eq!(call(2, xp, wp, size, xp.cast_mut()), Err((Overlap, "y")));
    assert_eq!(call(2, wp, wp, size, yp), Err((Overlap, "workspace")));
    assert_eq!(call(2, xp, wp, size, wp), Err((Overlap, "workspace")));
    assert_eq!(call(usize::MAX, xp, wp, size, yp), Err((InvalidArgument, "images")));
    assert!(y.iter().all(|&v| v == 7.0));
    assert_eq!(call(0, null, null, 0, null), Ok(()));
    assert_eq!(call(2, xp, wp, size, yp), Ok(()));
    assert!(y[..96].iter().all(|&v| v != 7.0) && y[96] == 7.0);
    // Through slices: too short, or of another element size.
    let (x, y) = (&x[..64], &mut y[..96]);
    let failed = |r: fewbit::Result<()>| r.err().map(|e| e.argument);
    assert_eq!(failed(plan.run(2, &x[..63], &mut memory, &Serial, y)), Some("x"));
    assert_eq!(failed(plan.run(2, x, &mut memory, &Serial, &mut y[..95])), Some("y"));
    assert_eq!(failed(plan.run(2, &[0u8; 64], &mut memory, &Serial, y)), Some("x"));
    assert_eq!(failed(plan.run(2, x, &mut memory, &Serial, y)), None);
}
