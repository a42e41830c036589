//! Convolutions of real numbers, ordinary and transposed, against the contract: formats of weights, inputs and outputs, 1 to 3
//! spatial axes, all layouts of images and of weights, groups, stride, dilation, padding, every epilogue, threads, and packed
//! weights; between guard pages.

mod common;

use common::images::{Arenas, Images};
use common::{
    Backwards, Finish, Threads, aligned, flipped_bits_are_refused, real_bytes, real_value,
    workspace,
};
use fewbit::memory::Allocator;
use fewbit::scheme::{
    Activation, IntFormat, ParamSpec, QuantParams, QuantizeMode, RealFormat, Scheme,
    SymmetricRange, dot_with_bias, params_from_range, quantize, reduce::min_max,
};
use fewbit::simd::Supported;
use fewbit::{
    ActivationMode, Code, Conv, ConvAxis, ConvRun, FilterLayout, ImageLayout, Input, Output,
    OutputParams, Parallel, RealConvDesc, RealWeights, Residual, Serial, Status,
};
use fewbit_testkit::{Rng, covered, fraction, limited, report, seed, supported_sets};

/// A convolution with its data. Numbers are kept as the bytes that the plan reads.
#[derive(Debug)]
struct Layer {
    shape: Images,
    weight_format: RealFormat,
    weights: Vec<u8>,
    input: RealFormat,
    bias: Vec<f32>,
    output: Output,
    finish: Finish,
}

/// Numbers, as bytes: ordinary, or some of any kind among them.
fn numbers(rng: &mut Rng, format: RealFormat, count: usize) -> Vec<u8> {
    let special = rng.pick(&[0, 0, 20, 1000]);
    let number = |rng: &mut Rng| match rng.below(special.max(1)) {
        0 if special > 0 => {
            let any = rng.any_f32();
            rng.pick(&[any, f32::NAN, f32::INFINITY, -0.0, 1e-40, -1e-40, 65504.0, 1e30])
        }
        _ => rng.normal(),
    };
    (0..count).flat_map(|_| real_bytes(format, number(rng))).collect()
}

fn values(format: RealFormat, bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(format.size()).map(|bytes| real_value(format, bytes)).collect()
}

impl Layer {
    fn of(rng: &mut Rng, shape: Images) -> Layer {
        let weight_format = rng.pick(&RealFormat::ALL);
        let code = rng.pick(&[Code::S8, Code::U8]);
        let params = QuantParams { scale: 0.3 * rng.unit() + 0.01, zero_point: 3 };
        let output = match rng.below(3) {
            0 => Output::Codes(code, params),
            _ => Output::Real(rng.pick(&RealFormat::ALL)),
        };
        // Never by table, which a bias rules out.
        let finish = Finish::any(rng, output, true);
        let biases = if rng.below(2) == 0 { 0 } else { shape.channels() };
        Layer {
            weight_format,
            weights: numbers(rng, weight_format, shape.weights()),
            input: rng.pick(&RealFormat::ALL),
            bias: (0..biases).map(|_| rng.normal()).collect(),
            output,
            finish,
            shape,
        }
    }

    fn any(rng: &mut Rng) -> Option<Layer> {
        let shape = Images::any(rng)?;
        Some(Layer::of(rng, shape))
    }

    fn desc(&self) -> RealConvDesc<'_> {
        RealConvDesc {
            in_channels: self.shape.groups * self.shape.inputs,
            out_channels: self.shape.channels(),
            groups: self.shape.groups,
            axes: self.shape.axes,
            layout: self.shape.layout,
            filter_layout: self.shape.filter_layout,
            weights: RealWeights::F32(&[]),
            input: self.input,
            bias: &self.bias,
            output: self.output,
            activation: self.finish.activation,
            residual: self.finish.residual,
        }
    }

    fn create(&self, supported: Supported) -> Conv<'static> {
        let single = values(RealFormat::F32, &self.weights);
        let half: Vec<u16> =
            self.weights.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
        let weights = match self.weight_format {
            RealFormat::F32 => RealWeights::F32(&single),
            RealFormat::F16 => RealWeights::F16(&half),
            RealFormat::Bf16 => RealWeights::Bf16(&half),
        };
        let desc = RealConvDesc { weights, ..self.desc() };
        match self.shape.transposed {
            Some(padding) => {
                Conv::create_real_transposed(&desc, padding, supported, &Allocator::DEFAULT)
            }
            None => Conv::create_real(&desc, supported, &Allocator::DEFAULT),
        }
        .unwrap()
    }

    fn inputs(&self, rng: &mut Rng) -> Vec<u8> {
        numbers(rng, self.input, self.shape.images * self.shape.image())
    }

    fn residuals(&self, rng: &mut Rng) -> Vec<u8> {
        self.finish.residuals(rng, self.shape.results())
    }

    fn element(&self) -> usize {
        match self.output {
            Output::Real(format) => format.size(),
            _ => 1,
        }
    }

    /// The f32 results before the residual, where they lie.
    fn chains(&self, x: &[u8]) -> Vec<f32> {
        let (x, weights) = (values(self.input, x), values(self.weight_format, &self.weights));
        let mut y = vec![0.0; self.shape.results()];
        for (n, channel, place, index) in self.shape.each_output() {
            let image = &x[n * self.shape.image()..];
            let products = self.shape.products(channel, place).into_iter();
            let pairs = products
                .map(|(at, weight)| (at.map_or(0.0, |element| image[element]), weights[weight]));
            // -0 is the bias that changes nothing.
            let bias = self.bias.get(channel).copied().unwrap_or(-0.0);
            y[index] = dot_with_bias(pairs, bias);
        }
        y
    }

    /// The output's bytes by definition.
    fn definition(&self, x: &[u8], residual: &[u8]) -> Vec<u8> {
        let size = self.finish.residual_element();
        let residual = |i: usize| &residual[i * size..][..size];
        let chains = self.chains(x).into_iter().enumerate();
        chains.flat_map(|(i, y)| self.finish.bytes_of_real(self.output, y, residual(i))).collect()
    }

    fn run(
        &self,
        plan: &Conv,
        (x, residual): (&[u8], &[u8]),
        parallel: &dyn Parallel,
        arenas: &mut Arenas,
    ) -> Vec<u8> {
        let bytes = self.shape.results() * self.element();
        arenas.run(plan, self.shape.images, bytes, (x, residual), parallel)
    }
}

#[test]
fn results_are_the_contract_for_every_set_and_split() {
    let mut rng = Rng::new(seed() ^ 71);
    let mut arenas = Arenas::new();
    let rounds = 4_000 / fraction("real conv layers", 20);
    let mut tried = 0;
    while tried < rounds.max(1) {
        let Some(layer) = Layer::any(&mut rng) else { continue };
        tried += 1;
        let (x, residual) = (layer.inputs(&mut rng), layer.residuals(&mut rng));
        let expected = layer.definition(&x, &residual);
        for set in supported_sets() {
            let plan = layer.create(set);
            assert_eq!(plan.output_dims(), layer.shape.out_dims());
            for parallel in [&Serial as &dyn Parallel, &Backwards, &Threads(3)] {
                let got = layer.run(&plan, (&x, &residual), parallel, &mut arenas);
                assert!(got == expected, "{} {:?}", plan.kernel_name(), layer.desc());
            }
            covered("real conv", set.set(), 1);
        }
    }
    report();
}

/// Depthwise layers, by their kernel where channels are innermost, and their weights read where they lie.
#[test]
fn depthwise_layers_are_the_contract() {
    let mut rng = Rng::new(seed() ^ 76);
    let mut arenas = Arenas::new();
    let rounds = 800 / fraction("real depthwise layers", 16);
    let mut tried = 0;
    while tried < rounds.max(1) {
        let Some(any) = Images::any(&mut rng) else { continue };
        let groups = 2 + rng.below(75);
        let shape = Images { groups, inputs: 1, outputs: 1, ..any };
        if shape.transposed.is_some() || shape.results() * shape.taps() > 200_000 {
            continue;
        }
        tried += 1;
        let layer = Layer::of(&mut rng, shape);
        let (x, residual) = (layer.inputs(&mut rng), layer.residuals(&mut rng));
        let expected = layer.definition(&x, &residual);
        for set in supported_sets() {
            let plan = layer.create(set);
            let by_pixels = layer.shape.layout == ImageLayout::Nhwc;
            assert_eq!(plan.kernel_name().starts_with("depthwise_"), by_pixels);
            let mut bytes = workspace(plan.packed_size().unwrap());
            plan.save_packed(&mut bytes).unwrap();
            let desc = layer.desc();
            let mapped = Conv::create_real_packed(&desc, &bytes, set, &Allocator::DEFAULT).unwrap();
            for (plan, parallel) in
                [(&plan, &Serial as &dyn Parallel), (&plan, &Threads(3)), (&mapped, &Backwards)]
            {
                let got = layer.run(plan, (&x, &residual), parallel, &mut arenas);
                assert!(got == expected, "{} {:?}", plan.kernel_name(), layer.desc());
            }
            covered("real depthwise conv", set.set(), 1);
        }
    }
    report();
}

/// A convolution of 2 x 3 pixels around which there is padding, and the same with zeros in the image.
#[test]
fn padding_is_zeros_to_the_bit() {
    let mut rng = Rng::new(seed() ^ 72);
    let mut arenas = Arenas::new();
    let inside = ConvAxis { size: 5, kernel: 3, stride: 1, dilation: 1, pad_begin: 2, pad_end: 1 };
    let around = ConvAxis { size: 8, pad_begin: 0, pad_end: 0, ..inside };
    for turn in 0..24 {
        let of = |axis| Images {
            images: 1,
            groups: 1,
            inputs: 3,
            outputs: 7,
            axes: [ConvAxis::NONE, axis, axis],
            transposed: None,
            layout: ImageLayout::Nhwc,
            filter_layout: FilterLayout::Ohwi,
        };
        let mut layer = Layer::of(&mut rng, of(inside));
        layer.finish = Finish {
            activation: Activation::None,
            mode: ActivationMode::Float,
            residual: Residual::None,
        };
        if turn % 2 == 0 {
            // Where 0 times them is NaN, and what a chain of negative subnormal products gives.
            let bytes = real_bytes(layer.weight_format, f32::INFINITY);
            layer.weights[..bytes.len()].copy_from_slice(&bytes);
        }
        let x = layer.inputs(&mut rng);
        let size = layer.input.size();
        let mut padded = vec![0; 64 * 3 * size];
        for (row, line) in x.chunks_exact(5 * 3 * size).enumerate() {
            padded[((row + 2) * 8 + 2) * 3 * size..][..line.len()].copy_from_slice(line);
        }
        let got = layer.run(&layer.create(limited()), (&x, &[]), &Serial, &mut arenas);
        layer.shape = of(around);
        let want = layer.run(&layer.create(limited()), (&padded, &[]), &Serial, &mut arenas);
        assert!(got == want, "{layer:?}");
    }
}

#[test]
fn taps_far_away_are_not_computed_with() {
    let mut rng = Rng::new(seed() ^ 75);
    let mut arenas = Arenas::new();
    let near = ConvAxis { size: 5, kernel: 3, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    // Lines at a distance that is 0 modulo 2^64 in bytes, and one that is not.
    let [far, farther] =
        [1 << 60, usize::MAX].map(|dilation| ConvAxis { kernel: 1, dilation, ..near });
    // Only the second tap is inside, the first one a long way before the line.
    let far_before = ConvAxis { size: 1, kernel: 2, dilation: 1 << 58, pad_begin: 1 << 58, ..near };
    let axes =
        [[ConvAxis::NONE, far, near], [farther, farther, near], [ConvAxis::NONE, near, far_before]];
    for axes in axes {
        for layout in [ImageLayout::Nhwc, ImageLayout::Nchw] {
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
            let layer = Layer::of(&mut rng, shape);
            let (x, residual) = (layer.inputs(&mut rng), layer.residuals(&mut rng));
            let expected = layer.definition(&x, &residual);
            for set in supported_sets() {
                let plan = layer.create(set);
                let got = layer.run(&plan, (&x, &residual), &Serial, &mut arenas);
                assert!(got == expected, "{} {layer:?}", plan.kernel_name());
            }
        }
    }
}

#[test]
fn results_quantized_by_image_are_those_of_f32() {
    let mut rng = Rng::new(seed() ^ 73);
    for (layout, groups) in [(ImageLayout::Nhwc, 1), (ImageLayout::Nchw, 2)] {
        let axis =
            ConvAxis { size: 6, kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };
        let shape = Images {
            images: 3,
            groups,
            inputs: 4,
            outputs: 5,
            axes: [ConvAxis::NONE, axis, axis],
            transposed: None,
            layout,
            filter_layout: FilterLayout::Oihw,
        };
        let spec = ParamSpec {
            format: IntFormat::U8,
            scheme: Scheme::Affine,
            range: SymmetricRange::Narrow,
            power_of_two: false,
        };
        let mut layer = Layer::of(&mut rng, shape);
        layer.output = Output::DynamicPerRow(Code::U8, spec);
        layer.finish = Finish {
            activation: Activation::Gelu,
            mode: ActivationMode::Float,
            residual: Residual::None,
        };
        let x = layer.inputs(&mut rng);
        let results: Vec<f32> =
            layer.chains(&x).into_iter().map(|y| Activation::Gelu.apply(y)).collect();
        let plan = layer.create(limited());
        let (mut y, mut scales, mut zeros) = (vec![0u8; results.len()], [0f32; 3], [0i32; 3]);
        let mut memory = workspace(plan.workspace(3, 2).unwrap().size);
        let x = aligned(&x);
        let run = ConvRun {
            images: 3,
            x: x.as_ptr(),
            residual: std::ptr::null(),
            workspace: memory.as_mut_ptr(),
            workspace_size: memory.len(),
            y: y.as_mut_ptr(),
        };
        let params = OutputParams { scales: scales.as_mut_ptr(), zero_points: zeros.as_mut_ptr() };
        // SAFETY: all operands are there.
        unsafe { plan.run_dynamic_raw(&run, &params, &Threads(2)) }.unwrap();
        for (n, image) in results.chunks(results.len() / 3).enumerate() {
            let (low, high) = min_max(image);
            let want = params_from_range(low, high, &spec).unwrap();
            assert_eq!((scales[n], zeros[n]), (want.scale, want.zero_point));
            for (i, &x) in image.iter().enumerate() {
                let q = quantize(x, want, IntFormat::U8, QuantizeMode::default());
                assert_eq!(y[n * image.len() + i], q as u8, "image {n}, element {i}");
            }
        }
    }
}

#[test]
fn packed_weights_are_read_where_they_lie() {
    let mut rng = Rng::new(seed() ^ 74);
    let mut arenas = Arenas::new();
    let mut turn = 0;
    while turn < 12 {
        let Some(mut layer) = Layer::any(&mut rng) else { continue };
        if layer.shape.transposed.is_some() || layer.shape.weights() > 2000 {
            continue;
        }
        turn += 1;
        layer.finish.residual = Residual::None;
        let plan = layer.create(limited());
        let mut bytes = workspace(plan.packed_size().unwrap());
        plan.save_packed(&mut bytes).unwrap();
        let (desc, allocator) = (layer.desc(), Allocator::DEFAULT);
        let mapped = Conv::create_real_packed(&desc, &bytes, limited(), &allocator).unwrap();
        assert_eq!(mapped.weight_bytes(), plan.weight_bytes());
        let x = layer.inputs(&mut rng);
        let got = layer.run(&mapped, (&x, &[]), &Serial, &mut arenas);
        assert!(got == layer.definition(&x, &[]), "{layer:?}");
        let mut again = workspace(bytes.len());
        mapped.save_packed(&mut again).unwrap();
        assert!(*again == *bytes, "saved again");
        // SAFETY: refused before anything is written.
        let over = unsafe { mapped.save_packed_raw(bytes.as_ptr().cast_mut(), bytes.len()) };
        assert_eq!(over.unwrap_err().status, Status::Overlap);
        drop(mapped);
        let refused = |bytes: &[u8], desc: &RealConvDesc| {
            let refused = Conv::create_real_packed(desc, bytes, limited(), &allocator);
            refused.err().expect("refused").status
        };
        flipped_bits_are_refused(&mut bytes, |bytes| refused(bytes, &desc));
        let more = RealConvDesc { in_channels: 2 * desc.in_channels, ..desc };
        assert_eq!(refused(&bytes, &more), Status::InvalidArgument);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    const W: [f32; 54] = [0.5; 54];
    const AXIS: ConvAxis =
        ConvAxis { size: 4, kernel: 3, stride: 1, dilation: 1, pad_begin: 1, pad_end: 1 };
    let good = RealConvDesc {
        in_channels: 2,
        out_channels: 3,
        groups: 1,
        axes: [ConvAxis::NONE, AXIS, AXIS],
        layout: ImageLayout::Nhwc,
        filter_layout: FilterLayout::Ohwi,
        weights: RealWeights::F32(&W),
        input: RealFormat::F32,
        bias: &[],
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        residual: Residual::None,
    };
    let create = |desc: &RealConvDesc| Conv::create_real(desc, limited(), &Allocator::DEFAULT);
    let plan = create(&good).unwrap();
    assert_eq!((plan.bound(), plan.input()), (0, Input::Real(RealFormat::F32)));
    assert!(plan.kernel_name().starts_with("gemm_f32_"));
    let params = QuantParams { scale: 1.0, zero_point: 0 };
    let rounding = fewbit::scheme::FixedRounding::Double;
    let many = ConvAxis { size: usize::MAX / 8, ..AXIS };
    let cases = [
        (RealConvDesc { groups: 0, ..good }, Status::InvalidArgument, "desc.groups"),
        (RealConvDesc { groups: 2, ..good }, Status::InvalidArgument, "desc.out_channels"),
        (RealConvDesc { in_channels: 0, ..good }, Status::InvalidArgument, "desc.in_channels"),
        (
            RealConvDesc { axes: [ConvAxis::NONE, AXIS, many], ..good },
            Status::InvalidArgument,
            "desc",
        ),
        (
            RealConvDesc { axes: [ConvAxis { kernel: 9, ..AXIS }, AXIS, AXIS], ..good },
            Status::InvalidArgument,
            "desc.axes[0]",
        ),
        (
            RealConvDesc { weights: RealWeights::F32(&W[..53]), ..good },
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
        (
            RealConvDesc { weights: RealWeights::F16(&[]), ..good },
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
        (RealConvDesc { bias: &[1.0], ..good }, Status::InvalidArgument, "desc.bias"),
        (RealConvDesc { output: Output::S32, ..good }, Status::Unsupported, "desc.output"),
        (
            RealConvDesc { output: Output::FixedPoint(Code::S8, params, rounding), ..good },
            Status::Unsupported,
            "desc.output",
        ),
        (
            RealConvDesc { activation: Activation::Clamp { low: 1.0, high: 0.0 }, ..good },
            Status::InvalidArgument,
            "desc.output.activation",
        ),
    ];
    for (desc, status, argument) in cases {
        let error = create(&desc).err().unwrap_or_else(|| panic!("{argument} is refused"));
        assert_eq!((error.status, error.argument), (status, argument), "{error:?}");
    }
    let transposed =
        Conv::create_real_transposed(&good, [0; 3], limited(), &Allocator::DEFAULT).unwrap();
    assert_eq!(transposed.packed_size().unwrap_err().status, Status::Unsupported);
    // Codes are not multiplied with numbers as they are.
    let operands = common::layers::real_operands(&mut Rng::new(1), 9, common::layers::FILTERS);
    let of_codes = common::layers::conv(&operands, ImageLayout::Nhwc);
    let of_codes = fewbit::ConvDesc { input: Input::Real(RealFormat::F32), ..of_codes };
    assert_eq!(common::layers::refused_conv(of_codes), (Status::Unsupported, "desc.input"));
}
