//! Packed weights written to memory and plans that read them where they lie: the same results, and a reason for
//! everything that is not what was written.

mod common;

use common::{AlignedBytes, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, Error, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Residual, Serial, Status,
    Weights,
};
use fewbit_testkit::{Rng, limited, seed, supported_sets};

fn saved(plan: &Linear<'_>) -> AlignedBytes {
    let mut packed = workspace(plan.packed_size().unwrap());
    plan.save_packed(&mut packed).unwrap();
    packed
}

/// The operands of a layer of random shape.
struct Model {
    m: usize,
    n: usize,
    k: usize,
    weight_code: Code,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    bias: Vec<f32>,
    x: Vec<u8>,
    input: Input,
}

impl Model {
    fn new(rng: &mut Rng) -> Model {
        let (m, n, k) = (1 + rng.below(9), 1 + rng.below(70), 1 + rng.below(90));
        let weight_code = rng.pick(&[Code::S8, Code::U8]);
        let format = weight_code.format();
        let per = rng.pick(&[1, n]);
        let zeros = rng.pick(&[0, 1, n]);
        let code = rng.pick(&[Code::S8, Code::U8]);
        let zero_point = code.format().qmin() + rng.below(256) as i32;
        Model {
            m,
            n,
            k,
            weight_code,
            codes: rng.bytes(n * k),
            scales: (0..per).map(|_| 0.01 + rng.unit()).collect(),
            zero_points: (0..zeros).map(|_| format.qmin() + rng.below(256) as i32).collect(),
            bias: (0..n).map(|_| rng.normal()).collect(),
            x: rng.bytes(m * k),
            input: Input::Codes(code, QuantParams { scale: 0.03, zero_point }),
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: self.weight_code.format(),
            codes: &self.codes,
            scales: &self.scales,
            zero_points: &self.zero_points,
        }
    }

    fn desc(&self) -> LinearDesc<'_> {
        LinearDesc {
            in_features: self.k,
            out_features: self.n,
            weights: self.weights(),
            layout: LinearLayout::Nk,
            weight_stride: 0,
            input: self.input,
            bias: Bias::F32(&self.bias),
            output: Output::Real(RealFormat::F32),
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
            matrices: 1,
            matrix_stride: 0,
        }
    }

    /// The same layer, described without weights.
    fn bare(&self) -> LinearDesc<'_> {
        let none = Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: Code::S8.format(),
            codes: &[],
            scales: &[],
            zero_points: &[],
        };
        LinearDesc { weights: none, weight_stride: 1, layout: LinearLayout::Kn, ..self.desc() }
    }

    fn run(&self, plan: &Linear<'_>) -> Vec<u32> {
        let mut memory = workspace(plan.workspace(self.m, 1).unwrap().size);
        let mut y = vec![0f32; self.m * self.n];
        plan.run(self.m, &self.x, &mut memory, &Serial, &mut y).unwrap();
        y.iter().map(|y| y.to_bits()).collect()
    }
}

fn create<'w>(
    desc: &LinearDesc<'_>,
    packed: &'w [u8],
    set: Supported,
) -> Result<Linear<'w>, Error> {
    Linear::create_packed(desc, packed, set, &Allocator::DEFAULT)
}

#[test]
fn a_mapped_plan_is_the_plan() {
    let mut rng = Rng::new(seed());
    for _ in 0..60 {
        let model = Model::new(&mut rng);
        for set in supported_sets() {
            let plan = Linear::create(&model.desc(), set, &Allocator::DEFAULT).unwrap();
            let packed = saved(&plan);
            let mut again = workspace(packed.len());
            {
                let packed = &*packed;
                let mapped = create(&model.bare(), packed, set).unwrap();
                assert_eq!(mapped.bound(), plan.bound());
                assert_eq!(mapped.kernel_name(), plan.kernel_name());
                assert_eq!(model.run(&mapped), model.run(&plan));
                mapped.save_packed(&mut again).unwrap();
            }
            assert!(packed[..] == again[..]);
            // Another input and output than those of the plan that wrote them: only the weights count.
            let sums = LinearDesc { output: Output::S32, bias: Bias::None, ..model.bare() };
            let whole = LinearDesc { weights: model.weights(), ..model.desc() };
            let whole = LinearDesc { output: Output::S32, bias: Bias::None, ..whole };
            let other = Linear::create(&whole, set, &Allocator::DEFAULT).unwrap();
            let mapped = create(&sums, &packed, set).unwrap();
            let of = |plan: &Linear<'_>| {
                let mut memory = workspace(plan.workspace(model.m, 1).unwrap().size);
                let mut y = vec![0i32; model.m * model.n];
                plan.run(model.m, &model.x, &mut memory, &Serial, &mut y).unwrap();
                y
            };
            assert_eq!(of(&mapped), of(&other));
        }
    }
}

#[test]
fn every_changed_bit_is_found() {
    let mut rng = Rng::new(seed() + 1);
    for _ in 0..4 {
        let model = Model::new(&mut rng);
        let plan = Linear::create(&model.desc(), limited(), &Allocator::DEFAULT).unwrap();
        let mut packed = saved(&plan);
        let len = packed.len();
        let header = 0..8 * 128;
        let sample: Vec<usize> = (0..2000).map(|_| rng.below(8 * len)).collect();
        for bit in header.chain(sample) {
            packed[bit / 8] ^= 1 << (bit % 8);
            let error = create(&model.bare(), &packed, limited()).err();
            let error = error.unwrap_or_else(|| panic!("bit {bit} of {len} bytes"));
            assert_eq!(error.argument, "packed");
            assert!(!error.to_string().contains("{}"), "{error}");
            packed[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(create(&model.bare(), &packed, limited()).is_ok());
    }
}

/// Changes 4 bytes and makes the header say so, as another program of this format would write it.
fn rewritten(packed: &mut [u8], at: usize, word: u32) {
    packed[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

#[test]
fn what_is_not_ours_is_refused_with_a_reason() {
    let model = Model { n: 20, k: 30, ..Model::new(&mut Rng::new(3)) };
    let mut rng = Rng::new(4);
    let model = Model {
        codes: rng.bytes(600),
        scales: vec![0.5],
        zero_points: vec![],
        bias: vec![0.0; 20],
        ..model
    };
    let plan = Linear::create(&model.desc(), limited(), &Allocator::DEFAULT).unwrap();
    let packed = saved(&plan);
    let len = packed.len();
    let refusal = |bytes: &[u8], desc: &LinearDesc<'_>| {
        let error = create(desc, bytes, limited()).err().expect("refused");
        assert_eq!(error.argument, "packed");
        (error.status, error.to_string())
    };
    let bare = model.bare();
    // Truncated anywhere; longer is allowed, as a mapped file is.
    for short in [0, 1, 127, 128, 129, len - 64, len - 1] {
        let (status, text) = refusal(&packed[..short], &bare);
        assert_eq!(status, Status::BufferTooSmall);
        assert!(text.contains(&format!("has {short} bytes")), "{text}");
    }
    let mut longer = workspace(len + 64);
    longer[..len].copy_from_slice(&packed);
    assert!(create(&bare, &longer, limited()).is_ok());
    // Moved by a byte.
    let mut moved = workspace(len + 64);
    moved[1..=len].copy_from_slice(&packed);
    assert_eq!(refusal(&moved[1..], &bare).0, Status::Misaligned);

    let (status, text) = refusal(&workspace(len), &bare);
    assert_eq!((status, text.contains("does not hold")), (Status::InvalidArgument, true), "{text}");
    let mut other = workspace(len);
    other.copy_from_slice(&packed);
    rewritten(&mut other, 16, 2);
    let (status, text) = refusal(&other, &bare);
    assert_eq!((status, text.contains("version 2")), (Status::Unsupported, true), "{text}");
    other.copy_from_slice(&packed);
    other[16..20].reverse();
    other[20..24].reverse();
    let (status, text) = refusal(&other, &bare);
    assert_eq!((status, text.contains("byte order")), (Status::Unsupported, true), "{text}");
    other.copy_from_slice(&packed);
    other[200] ^= 1;
    let (status, text) = refusal(&other, &bare);
    assert_eq!((status, text.contains("checksum")), (Status::InvalidArgument, true), "{text}");

    // Another shape, and another kind of plan.
    for (in_features, out_features) in [(31, 20), (30, 21), (20, 30)] {
        let bias = vec![0.0; out_features];
        let desc = LinearDesc { in_features, out_features, bias: Bias::F32(&bias), ..bare };
        let (status, text) = refusal(&packed, &desc);
        assert_eq!((status, text.contains("shape")), (Status::InvalidArgument, true), "{text}");
    }
    let conv = |kernel| ConvDesc {
        in_channels: 30,
        out_channels: 20,
        groups: 1,
        axes: [ConvAxis::NONE, ConvAxis::NONE, ConvAxis { size: 9, kernel, ..ConvAxis::NONE }],
        layout: ImageLayout::Nhwc,
        filter_layout: FilterLayout::Ohwi,
        weights: model.weights(),
        input: model.input,
        bias: Bias::F32(&model.bias),
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
    };
    let error = Conv::create_packed(&conv(1), &packed, limited(), &Allocator::DEFAULT);
    assert!(error.err().unwrap().to_string().contains("another kind of plan"));

    // A buffer that is too small is left as it was.
    let mut small = vec![7u8; len - 1];
    assert_eq!(plan.save_packed(&mut small).unwrap_err().status, Status::BufferTooSmall);
    assert!(small.iter().all(|&byte| byte == 7));
}

/// What one set of instructions packed is read by sets with the same layout, and refused by all others.
#[test]
fn another_layout_is_refused() {
    let model = Model::new(&mut Rng::new(seed() + 2));
    let sets = supported_sets();
    let mut refused = 0;
    for &from in &sets {
        let plan = Linear::create(&model.desc(), from, &Allocator::DEFAULT).unwrap();
        let packed = saved(&plan);
        for &to in &sets {
            let whole = Linear::create(&model.desc(), to, &Allocator::DEFAULT).unwrap();
            match create(&model.bare(), &packed, to) {
                Ok(mapped) => assert_eq!(model.run(&mapped), model.run(&whole)),
                Err(error) => {
                    assert_ne!(plan.kernel_name(), whole.kernel_name());
                    assert_eq!(error.status, Status::Unsupported);
                    assert!(error.to_string().contains(whole.kernel_name()), "{error}");
                    refused += 1;
                }
            }
        }
    }
    let names = |set| {
        let plan = Linear::create(&model.desc(), set, &Allocator::DEFAULT).unwrap();
        plan.kernel_name()
    };
    let first = names(sets[0]);
    assert!(refused > 0 || sets.iter().all(|&set| names(set) == first), "nothing was refused");
}

/// The proof is of the mapped weights: an input or a bias for which they are too large is refused.
#[test]
fn the_bound_is_of_what_was_written() {
    let k = 66_400;
    let codes = vec![127u8; k];
    let input = |code| Input::Codes(code, QuantParams { scale: 1.0, zero_point: 0 });
    let desc = LinearDesc {
        in_features: k,
        out_features: 1,
        weights: Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: Code::S8.format(),
            codes: &codes,
            scales: &[1.0],
            zero_points: &[],
        },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: input(Code::S8),
        bias: Bias::None,
        output: Output::S32,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
    };
    let plan = Linear::create(&desc, limited(), &Allocator::DEFAULT).unwrap();
    assert_eq!(plan.bound(), 127 * 128 * k as i64);
    let packed = saved(&plan);
    let wide = LinearDesc { input: input(Code::U8), ..desc };
    let heavy = LinearDesc { bias: Bias::S32(&[i32::MAX]), ..desc };
    for desc in [wide, heavy] {
        let error = create(&desc, &packed, limited()).err().unwrap();
        assert_eq!(error.status, Status::LimitExceeded);
    }
    assert_eq!(create(&desc, &packed, limited()).unwrap().bound(), plan.bound());
}

#[test]
fn convolutions_too() {
    let mut rng = Rng::new(seed() + 5);
    for round in 0..40 {
        let groups = rng.pick(&[1, 1, 2, 6]);
        let (inputs, outputs) = (groups * (1 + rng.below(5)), groups * (1 + rng.below(9)));
        let axis = |rng: &mut Rng| ConvAxis {
            size: 4 + rng.below(5),
            kernel: 1 + rng.below(3),
            stride: 1 + rng.below(2),
            dilation: 1,
            pad_begin: rng.below(2),
            pad_end: rng.below(2),
        };
        let axes = [ConvAxis::NONE, axis(&mut rng), axis(&mut rng)];
        let taps: usize = axes.iter().map(|axis| axis.kernel).product();
        let codes = rng.bytes(outputs * taps * inputs / groups);
        let scales: Vec<f32> = (0..outputs).map(|_| 0.01 + rng.unit()).collect();
        let zero_points: Vec<i32> = (0..outputs).map(|_| rng.below(256) as i32).collect();
        let weights = Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: Code::U8.format(),
            codes: &codes,
            scales: &scales,
            zero_points: &zero_points,
        };
        let desc = ConvDesc {
            in_channels: inputs,
            out_channels: outputs,
            groups,
            axes,
            layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
            filter_layout: rng.pick(&[FilterLayout::Ohwi, FilterLayout::Oihw]),
            weights,
            input: Input::Codes(Code::U8, QuantParams { scale: 0.1, zero_point: 9 }),
            bias: Bias::None,
            output: Output::Real(RealFormat::F32),
            activation: Activation::None,
            activation_mode: ActivationMode::Float,
            residual: Residual::None,
        };
        for set in supported_sets() {
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let mut packed = workspace(plan.packed_size().unwrap());
            plan.save_packed(&mut packed).unwrap();
            let none = Weights {
                block: 0,
                multipliers: &[],
                shifts: &[],
                format: Code::S8.format(),
                codes: &[],
                scales: &[],
                zero_points: &[],
            };
            let bare = ConvDesc { weights: none, ..desc };
            let mapped = Conv::create_packed(&bare, &packed, set, &Allocator::DEFAULT);
            let mapped = mapped.unwrap();
            let (x, y) = plan.image_elements();
            let x = Rng::new(round).bytes(2 * x);
            let of = |plan: &Conv<'_>| {
                let mut memory = workspace(plan.workspace(2, 1).unwrap().size);
                let mut out = vec![0f32; 2 * y];
                plan.run(2, &x, &mut memory, &Serial, &mut out).unwrap();
                out.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
            };
            assert_eq!(of(&mapped), of(&plan));
            // 1 x 3 taps are not 3 x 1 taps, though as many.
            let [depth, height, width] = axes;
            if height.kernel != width.kernel {
                let (high, wide) = (height.kernel, width.kernel);
                let axes = [
                    depth,
                    ConvAxis { kernel: wide, ..height },
                    ConvAxis { kernel: high, ..width },
                ];
                let turned = ConvDesc { axes, ..bare };
                let error = Conv::create_packed(&turned, &packed, set, &Allocator::DEFAULT).err();
                assert_eq!(error.unwrap().status, Status::InvalidArgument);
            }
        }
    }
}
