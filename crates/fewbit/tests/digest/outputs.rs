//! The digests of plans' codes by fixed point, of codes of parameters chosen by row, and of weights with a scale a block.

use super::{Book, Digest};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{FixedRounding, ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Linear, LinearDesc, LinearLayout,
    Output, Residual, Serial, Weights,
};
use fewbit_testkit::{Rng, supported_sets};

/// Layers a digest is made of.
const LAYERS: u64 = 60;

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        for (name, kind) in [
            ("linear_fixed", Kind::Fixed),
            ("linear_dynamic", Kind::Dynamic),
            ("linear_block", Kind::Block),
        ] {
            let mut digest = Digest::new();
            (0..LAYERS).for_each(|layer| digest_layer(layer, kind, supported, &mut digest));
            book.enter(name, supported.set(), digest);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Fixed,
    Dynamic,
    Block,
}

fn digest_layer(seed: u64, kind: Kind, supported: Supported, digest: &mut Digest) {
    let mut rng = Rng::new(0x0075 + seed);
    let (m, n, k) = (1 + rng.below(20), 1 + rng.below(50), 1 + rng.below(300));
    let code = rng.pick(&[Code::S8, Code::U8]);
    let zero_point = code.format().qmin() + rng.below(256) as i32;
    let params = QuantParams { scale: 0.01 + rng.unit(), zero_point };
    let block = if kind == Kind::Block { rng.pick(&[16, 32, 64, 128]) } else { 0 };
    let count = if kind == Kind::Block { n * k.div_ceil(block) } else { n };
    let codes = rng.bytes(n * k);
    let scales: Vec<f32> = (0..count).map(|_| 0.001 + rng.unit() * 0.05).collect();
    let zero_points: Vec<i32> = (0..count).map(|_| rng.below(127) as i32).collect();
    let sums: Vec<i32> = (0..n).map(|_| rng.next_u32() as i32 >> 8).collect();
    let reals: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
    let input = match rng.below(2) {
        0 if kind != Kind::Fixed => Input::DynamicPerRow(DynamicSpec {
            real: RealFormat::F32,
            code,
            spec: ParamSpec::affine(code.format()),
        }),
        _ => Input::Static(RealFormat::F32, code.format(), params),
    };
    let steps = QuantParams { scale: 20.0, ..params };
    let rounding = rng.pick(&[FixedRounding::Single, FixedRounding::Double]);
    let desc = LinearDesc {
        matrices: 1,
        matrix_stride: 0,
        in_features: k,
        out_features: n,
        weights: Weights {
            format: rng.pick(&[Code::S8, Code::U8]).format(),
            codes: &codes,
            scales: &scales,
            zero_points: &zero_points,
            block,
            multipliers: &[],
            shifts: &[],
        },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input,
        bias: if kind == Kind::Fixed { Bias::S32(&sums) } else { Bias::F32(&reals) },
        output: match kind {
            Kind::Fixed => Output::FixedPoint(code, steps, rounding),
            Kind::Dynamic => Output::DynamicPerRow(code, ParamSpec::affine(code.format())),
            Kind::Block => Output::Real(RealFormat::F32),
        },
        activation: match kind {
            Kind::Dynamic => rng.pick(&[Activation::None, Activation::Silu, Activation::Gelu]),
            _ => rng.pick(&[Activation::None, Activation::Relu]),
        },
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
    };
    let plan = Linear::create(&desc, supported, &Allocator::DEFAULT).unwrap();
    let size = plan.workspace(m, 1).unwrap().size;
    let mut memory = vec![0xA5u8; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let memory = &mut memory[skip..][..size];
    let x: Vec<f32> = (0..m * k).map(|_| rng.normal() * 3.0).collect();
    match kind {
        Kind::Fixed => {
            let mut y = vec![0u8; m * n];
            plan.run(m, &x, memory, &Serial, &mut y).unwrap();
            digest.bytes(&y);
        }
        Kind::Dynamic => {
            let (mut y, mut scales, mut zeros) = (vec![0u8; m * n], vec![0.0; m], vec![0; m]);
            let places = (&mut scales[..], &mut zeros[..]);
            plan.run_dynamic::<_, u8, _>(m, &x, &[], memory, &Serial, &mut y, places).unwrap();
            digest.bytes(&y);
            digest.f32s(&scales);
            digest.i32s(&zeros);
        }
        Kind::Block => {
            let mut y = vec![0f32; m * n];
            plan.run(m, &x, memory, &Serial, &mut y).unwrap();
            digest.f32s(&y);
        }
    }
}
