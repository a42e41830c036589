//! Convolutions of real numbers (f32, f16 and bf16 weights, f32 in and out; their limit is `peak/fma_f32`), and of 4-bit and 2-bit weights
//! on 8-bit codes, with all features of this CPU: `conv/<weights>/<set of features>/<shape>`.

use criterion::{Criterion, Throughput};
use fewbit::memory::{ALIGNMENT, Allocator, Plain};
use fewbit::scheme::{IntFormat, QuantParams, RealFormat, float16};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, FilterLayout, ImageLayout,
    Input, Output, RealConvDesc, RealWeights, Residual, Serial, Weights,
};
use fewbit_benches::{Layer, Shape, activations};
use fewbit_testkit::{Rng, limited, set_name};

fn axis(size: usize, kernel: usize, stride: usize) -> ConvAxis {
    let pad = kernel / 2;
    ConvAxis { size, kernel, stride, dilation: 1, pad_begin: pad, pad_end: pad }
}

/// Times a plan, which is made if its id is asked for.
fn time<X: Plain, Y: Plain>(
    c: &mut Criterion,
    (weights, shape): (&str, &Shape),
    x: &[X],
    mut y: Vec<Y>,
    make: impl Fn() -> Conv<'static>,
) {
    let mut group = c.benchmark_group(format!("conv/{weights}/{}", set_name(limited().set())));
    group.throughput(Throughput::Elements(shape.layer.operations() as u64));
    group.bench_function(shape.name, |b| {
        let plan = make();
        println!("conv/{weights}/{}: {}", shape.name, plan.kernel_name());
        let size = plan.workspace(1, 1).expect("a workspace").size;
        let mut memory = vec![0u8; size + ALIGNMENT];
        let skip = memory.as_ptr().align_offset(ALIGNMENT);
        let memory = &mut memory[skip..skip + size];
        b.iter(|| plan.run(1, x, memory, &Serial, &mut y).expect("a run"));
    });
    group.finish();
}

/// A layer with weights of numbers.
pub fn reals(c: &mut Criterion, shape: &Shape) {
    let Layer::Conv { size, inputs, outputs, kernel, stride, groups } = shape.layer else { return };
    let (x, w) = (activations(shape.layer.inputs()), activations(shape.layer.weights()));
    let (x, w) = (&x.floats()[..shape.layer.inputs()], &w.floats()[..shape.layer.weights()]);
    for format in RealFormat::ALL {
        let (name, narrow): (_, fn(f32) -> u16) = match format {
            RealFormat::F32 => ("f32", |_| 0),
            RealFormat::F16 => ("f16", float16::f32_to_f16),
            RealFormat::Bf16 => ("bf16", float16::f32_to_bf16),
        };
        time(c, (name, shape), x, vec![0f32; shape.layer.outputs()], || {
            let half: Vec<u16> = w.iter().map(|&w| narrow(w)).collect();
            let axis = axis(size, kernel, stride);
            let desc = RealConvDesc {
                in_channels: inputs,
                out_channels: outputs,
                groups,
                axes: [ConvAxis::NONE, axis, axis],
                layout: ImageLayout::Nhwc,
                filter_layout: FilterLayout::Ohwi,
                weights: match format {
                    RealFormat::F32 => RealWeights::F32(w),
                    RealFormat::F16 => RealWeights::F16(&half),
                    RealFormat::Bf16 => RealWeights::Bf16(&half),
                },
                input: RealFormat::F32,
                bias: &[],
                output: Output::Real(RealFormat::F32),
                activation: Activation::None,
                residual: Residual::None,
            };
            Conv::create_real(&desc, limited(), &Allocator::DEFAULT).expect("a plan")
        });
    }
}

/// A layer with weights of few bits.
pub fn few_bits(c: &mut Criterion, shape: &Shape) {
    let Layer::Conv { size, inputs, outputs, kernel, stride, groups } = shape.layer else { return };
    let mut rng = Rng::new(1);
    let (x, codes) = (rng.bytes(shape.layer.inputs()), rng.bytes(shape.layer.weights()));
    for (name, format) in [("s4", IntFormat::S4), ("s2", IntFormat::S2)] {
        time(c, (name, shape), &x, vec![0u8; shape.layer.outputs()], || {
            let axis = axis(size, kernel, stride);
            let desc = ConvDesc {
                in_channels: inputs,
                out_channels: outputs,
                groups,
                axes: [ConvAxis::NONE, axis, axis],
                layout: ImageLayout::Nhwc,
                filter_layout: FilterLayout::Ohwi,
                weights: Weights {
                    format,
                    codes: &codes,
                    scales: &[0.01],
                    zero_points: &[],
                    block: 0,
                    multipliers: &[],
                    shifts: &[],
                },
                input: Input::Codes(Code::U8, QuantParams { scale: 0.01, zero_point: 128 }),
                bias: Bias::None,
                output: Output::Codes(Code::U8, QuantParams { scale: 0.1, zero_point: 128 }),
                activation: Activation::None,
                activation_mode: ActivationMode::Float,
                residual: Residual::None,
            };
            Conv::create(&desc, limited(), &Allocator::DEFAULT).expect("a plan")
        });
    }
}
