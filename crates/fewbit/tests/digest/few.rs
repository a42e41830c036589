//! The digest of layers of few bits: weights below eight bits, with a scale a channel or a block, on inputs of bytes, of packed
//! codes and of numbers that the run quantizes to four bits.

use super::{Book, Digest};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{IntFormat, ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Linear, LinearDesc, LinearLayout,
    Output, Residual, Serial, Weights,
};
use fewbit_testkit::{Rng, supported_sets};

/// Layers the digest is made of.
const LAYERS: u64 = 80;

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        let mut digest = Digest::new();
        (0..LAYERS).for_each(|layer| digest_layer(layer, supported, &mut digest));
        book.enter("linear_few_bits", supported.set(), digest);
    }
}

fn digest_layer(seed: u64, supported: Supported, digest: &mut Digest) {
    use IntFormat::{B1, S2, S4, U1, U4};
    let mut rng = Rng::new(0x0F00 + seed);
    let (m, n, k) = (1 + rng.below(20), 1 + rng.below(50), 1 + rng.below(600));
    let format = rng.pick(&[S4, U4, S2, U1, B1]);
    let block = rng.pick(&[0, 0, 32, 64, 128]);
    let of = rng.pick(&[S4, U4]);
    let params = QuantParams { scale: 0.01 + rng.unit(), zero_point: rng.below(8) as i32 };
    let spec = ParamSpec::affine(of);
    let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::S8, spec };
    let input = match rng.below(4) {
        0 => Input::Codes(Code::S8, params),
        1 => Input::Packed(of, params),
        2 => Input::Static(RealFormat::F32, of, params),
        _ => Input::DynamicPerRow(dynamic),
    };
    let count = if block > 0 { n * k.div_ceil(block) } else { n };
    let stride = k.next_multiple_of(format.codes_per_byte());
    let codes = rng.bytes(n * stride / format.codes_per_byte());
    let scales: Vec<f32> = (0..count).map(|_| 0.001 + rng.unit() * 0.05).collect();
    let zero_points: Vec<i32> = match format {
        B1 => vec![],
        _ if rng.below(2) == 0 => vec![],
        _ => (0..count).map(|_| rng.below(2) as i32 * format.qmax()).collect(),
    };
    let desc = LinearDesc {
        matrices: 1,
        matrix_stride: 0,
        in_features: k,
        out_features: n,
        weights: Weights {
            format,
            codes: &codes,
            scales: &scales,
            zero_points: &zero_points,
            block,
            multipliers: &[],
            shifts: &[],
        },
        layout: LinearLayout::Nk,
        weight_stride: stride,
        input,
        bias: Bias::None,
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
    };
    let plan = Linear::create(&desc, supported, &Allocator::DEFAULT).unwrap();
    let size = plan.workspace(m, 1).unwrap().size;
    let mut memory = vec![0xA5u8; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let memory = &mut memory[skip..][..size];
    let numbers: Vec<f32> = (0..m * k).map(|_| rng.normal() * 3.0).collect();
    let bytes = rng.bytes(m * k);
    let mut y = vec![0f32; m * n];
    match input {
        Input::Codes(..) => plan.run(m, &bytes, memory, &Serial, &mut y).unwrap(),
        Input::Packed(..) => {
            plan.run(m, &bytes[..m * k.div_ceil(2)], memory, &Serial, &mut y).unwrap();
        }
        _ => plan.run(m, &numbers, memory, &Serial, &mut y).unwrap(),
    }
    digest.f32s(&y);
}
