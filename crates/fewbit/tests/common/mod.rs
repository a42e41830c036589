//! What the tests of plans share: a caller's threads, guarded memory, and the definition of a plan's
//! results in plain loops through `scheme`.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod images;
pub mod layers;
pub mod products;

use fewbit::scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, RealFormat, Scheme, SymmetricRange,
    dequantize, float16, params_from_range, quantize, real::canonical, reduce::min_max, requantize,
};
use fewbit::{
    Activation, ActivationMode, Bias, Code, DynamicSpec, Input, Output, Parallel, Residual, Status,
    Weights,
};
use fewbit_testkit::{GuardedBuf, Rng};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A caller's pool: as many threads as told, each taking the next task.
pub struct Threads(pub usize);

impl Parallel for Threads {
    fn max_workers(&self) -> usize {
        self.0
    }

    fn min_operations(&self) -> usize {
        0
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..self.0 {
                let next = &next;
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= n {
                            break;
                        }
                        task(index, worker);
                    }
                });
            }
        });
    }
}

/// rayon's threads, for [`fewbit::RayonPool`].
pub fn rayon_threads(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Flips a bit of each byte of saved weights' header, and of some of the rest: each must be refused.
pub fn flipped_bits_are_refused(bytes: &mut [u8], refused: impl Fn(&[u8]) -> Status) {
    for at in (0..128).chain((128..bytes.len()).step_by(97)) {
        bytes[at] ^= 1 << (at % 8);
        let status = refused(bytes);
        let expected = [Status::InvalidArgument, Status::Unsupported, Status::BufferTooSmall];
        assert!(expected.contains(&status), "byte {at}: {status:?}");
        bytes[at] ^= 1 << (at % 8);
    }
}

/// Calls tasks backwards, under the last worker of three.
pub struct Backwards;

impl Parallel for Backwards {
    fn max_workers(&self) -> usize {
        3
    }

    fn min_operations(&self) -> usize {
        0
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        (0..n).rev().for_each(|index| task(index, 2));
    }
}

/// Memory that is 64-aligned and ends at a guard page, or starts at one.
pub struct Memory(GuardedBuf);

impl Memory {
    pub fn new(bytes: usize) -> Memory {
        Memory(GuardedBuf::new(bytes))
    }

    /// `bytes` bytes of garbage, 64-aligned, that end as near to the upper guard as that allows.
    pub fn garbage(&mut self, bytes: usize) -> *mut u8 {
        self.0.as_mut_slice().fill(0xC3);
        let at = (self.0.len() - bytes) & !63;
        self.0.as_mut_slice()[at..].as_mut_ptr()
    }

    /// A copy that ends at the upper guard.
    pub fn copy(&mut self, bytes: &[u8]) -> *mut u8 {
        self.0.at_end(bytes)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The bias of a layer, owned.
#[derive(Clone, Debug)]
pub enum OwnedBias {
    None,
    S32(Vec<i32>),
    F32(Vec<f32>),
}

impl OwnedBias {
    pub fn borrow(&self) -> Bias<'_> {
        match self {
            OwnedBias::None => Bias::None,
            OwnedBias::S32(bias) => Bias::S32(bias),
            OwnedBias::F32(bias) => Bias::F32(bias),
        }
    }
}

/// What linear layers and convolutions have in common.
#[derive(Clone, Debug)]
pub struct Operands {
    pub weight_code: Code,
    pub weights: Vec<u8>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i32>,
    pub input: Input,
    pub bias: OwnedBias,
    pub output: Output,
    pub finish: Finish,
}

pub fn value(code: Code, byte: u8) -> i64 {
    match code {
        Code::S8 => i64::from(byte as i8),
        Code::U8 => i64::from(byte),
    }
}

fn any_code(rng: &mut Rng) -> Code {
    rng.pick(&[Code::S8, Code::U8])
}

fn any_zero_point(rng: &mut Rng, code: Code) -> i32 {
    let (qmin, qmax) = (code.format().qmin(), code.format().qmax());
    match rng.below(4) {
        0 => qmin,
        1 => qmax,
        2 => 0,
        _ => value(code, rng.byte()) as i32,
    }
}

fn any_scale(rng: &mut Rng) -> f32 {
    match rng.below(8) {
        0 => rng.pick(&[f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, 1.0, 0.5]),
        _ => 0.001 + rng.unit(),
    }
}

pub fn any_input(rng: &mut Rng) -> Input {
    let code = any_code(rng);
    let params = QuantParams { scale: any_scale(rng), zero_point: any_zero_point(rng, code) };
    let spec = ParamSpec {
        format: code.format(),
        scheme: rng.pick(&[Scheme::Affine, Scheme::Symmetric]),
        range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
        power_of_two: rng.below(4) == 0,
    };
    let real = rng.pick(&RealFormat::ALL);
    match rng.below(5) {
        0 | 1 => Input::Codes(code, params),
        2 => Input::Static(real, code.format(), params),
        3 => Input::DynamicPerRow(DynamicSpec { real, code, spec }),
        _ => Input::DynamicPerTensor(DynamicSpec { real, code, spec }),
    }
}

/// The bytes that codes of a format are kept in.
pub fn code_of(format: IntFormat) -> Code {
    if format == IntFormat::U8 { Code::U8 } else { Code::S8 }
}

fn is_dynamic(input: &Input) -> bool {
    matches!(input, Input::DynamicPerRow(_) | Input::DynamicPerTensor(_))
}

impl Operands {
    /// Random operands of `channels` outputs with `count` weights in all.
    pub fn any(rng: &mut Rng, channels: usize, count: usize) -> Operands {
        let input = any_input(rng);
        let weight_code = any_code(rng);
        let scales = if rng.below(2) == 0 { 1 } else { channels };
        let zero_points = rng.pick(&[0, 1, channels]);
        let output = loop {
            let code = any_code(rng);
            let zero_point = any_zero_point(rng, code);
            // Of the size that sums have, so that outputs are not all saturated.
            let scale = if rng.below(8) == 0 { any_scale(rng) } else { 500.0 * rng.unit() + 0.01 };
            match rng.below(4) {
                0 if is_dynamic(&input) => {}
                0 => break Output::S32,
                1 => break Output::Real(rng.pick(&RealFormat::ALL)),
                _ => break Output::Codes(code, QuantParams { scale, zero_point }),
            }
        };
        let bias = loop {
            match rng.below(3) {
                0 => break OwnedBias::None,
                1 if !is_dynamic(&input) => {
                    let bias = (0..channels).map(|_| rng.next_u32() as i32 >> (8 + rng.below(24)));
                    break OwnedBias::S32(bias.collect());
                }
                2 if output != Output::S32 => {
                    let bias = (0..channels).map(|_| 200.0 * rng.normal());
                    break OwnedBias::F32(bias.collect());
                }
                _ => {}
            }
        };
        Operands {
            weight_code,
            weights: match rng.below(4) {
                0 => vec![rng.pick(&[0x80, 0x7F, 0xFF, 0]); count],
                _ => rng.bytes(count),
            },
            scales: (0..scales).map(|_| any_scale(rng)).collect(),
            zero_points: (0..zero_points).map(|_| any_zero_point(rng, weight_code)).collect(),
            input,
            finish: Finish::any(rng, output, matches!(bias, OwnedBias::F32(_))),
            bias,
            output,
        }
    }

    pub fn weights(&self) -> Weights<'_> {
        Weights {
            format: self.weight_code.format(),
            codes: &self.weights,
            scales: &self.scales,
            zero_points: &self.zero_points,
            block: 0,
            multipliers: &[],
            shifts: &[],
        }
    }

    pub fn weight_zero_point(&self, channel: usize) -> i64 {
        match self.zero_points.as_slice() {
            [] => 0,
            [one] => i64::from(*one),
            all => i64::from(all[channel]),
        }
    }

    fn weight_scale(&self, channel: usize) -> f32 {
        if let [one] = self.scales.as_slice() { *one } else { self.scales[channel] }
    }

    pub fn is_dynamic(&self) -> bool {
        is_dynamic(&self.input)
    }

    /// The input's scale, where it is known.
    pub fn input_scale(&self) -> f32 {
        match self.input {
            Input::Codes(_, params) | Input::Static(_, _, params) => params.scale,
            _ => 1.0,
        }
    }

    pub fn input_code(&self) -> Code {
        match self.input {
            Input::Codes(code, _) | Input::CodesPerRow(code) => code,
            Input::Static(_, format, _) => code_of(format),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => spec.code,
            Input::Packed(..) | Input::PackedPerRow(_) | Input::Real(_) => {
                unreachable!("tested elsewhere")
            }
        }
    }

    pub fn real(&self) -> Option<RealFormat> {
        match self.input {
            Input::Codes(..) | Input::CodesPerRow(_) => None,
            Input::Packed(..) | Input::PackedPerRow(_) => None,
            Input::Static(real, ..) | Input::Real(real) => Some(real),
            Input::DynamicPerRow(spec) | Input::DynamicPerTensor(spec) => Some(spec.real),
        }
    }

    pub fn input_element(&self) -> usize {
        self.real().map_or(1, RealFormat::size)
    }

    pub fn output_element(&self) -> usize {
        match self.output {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            Output::Codes(..) | Output::FixedPoint(..) | Output::DynamicPerRow(..) => 1,
        }
    }

    /// Input of `count` elements in `groups` groups of their own range, as bytes; real input has
    /// special numbers among ordinary ones, but some groups are ordinary throughout.
    pub fn any_data(&self, rng: &mut Rng, groups: usize, count: usize) -> Vec<u8> {
        let Some(format) = self.real() else {
            return match rng.below(5) {
                0 => vec![rng.pick(&[0x80, 0x7F, 0xFF, 0]); count],
                _ => rng.bytes(count),
            };
        };
        let mut bytes = Vec::with_capacity(4 * count);
        let group = count.div_ceil(groups.max(1)).max(1);
        for first in (0..count).step_by(group) {
            let scale = rng.pick(&[1.0, 100.0, 1e-3, 1e-38, 1e30]);
            let special = rng.below(4) == 0;
            let flat = rng.below(8) == 0;
            for _ in first..count.min(first + group) {
                let x = match (special && rng.below(4) == 0, flat) {
                    (true, _) => rng.any_f32(),
                    (_, true) => 0.0,
                    _ => scale * rng.normal(),
                };
                bytes.extend(real_bytes(format, x));
            }
        }
        bytes
    }

    /// The codes of each group of the input and the group's parameters: `[groups][len]`.
    pub fn quantized(&self, data: &[u8], groups: usize) -> Vec<(Vec<i64>, QuantParams)> {
        let code = self.input_code();
        if groups == 0 {
            return Vec::new();
        }
        let real = |bytes: &[u8]| -> Vec<f32> {
            let format = self.real().unwrap();
            bytes.chunks_exact(format.size()).map(|b| real_value(format, b)).collect()
        };
        let chosen = |x: &[f32], spec: &ParamSpec| {
            let (low, high) = min_max(x);
            params_from_range(low, high, spec).unwrap()
        };
        let size = data.len() / groups;
        (0..groups)
            .map(|group| {
                let data_of_group = &data[group * size..][..size];
                let params = match &self.input {
                    Input::Codes(_, params) => {
                        let codes = data_of_group.iter().map(|&b| value(code, b)).collect();
                        return (codes, *params);
                    }
                    Input::CodesPerRow(_) | Input::Real(_) => unreachable!("tested elsewhere"),
                    Input::Packed(..) | Input::PackedPerRow(_) => unreachable!("tested elsewhere"),
                    Input::Static(_, _, params) => *params,
                    Input::DynamicPerRow(dynamic) => chosen(&real(data_of_group), &dynamic.spec),
                    Input::DynamicPerTensor(dynamic) => chosen(&real(data), &dynamic.spec),
                };
                let codes = real(data_of_group).into_iter().map(|x| {
                    i64::from(quantize(x, params, code.format(), QuantizeMode::default()))
                });
                (codes.collect(), params)
            })
            .collect()
    }

    /// The bytes of an output whose exact sum without bias is `sum`, with the bytes of its residual.
    pub fn finish(&self, sum: i64, channel: usize, input_scale: f32, residual: &[u8]) -> Vec<u8> {
        let (extra, bias) = match &self.bias {
            OwnedBias::S32(bias) => (i64::from(bias[channel]), None),
            OwnedBias::F32(bias) => (0, Some(bias[channel])),
            OwnedBias::None => (0, None),
        };
        let acc = i32::try_from(sum + extra).expect("within the plan's bound");
        let factors = (input_scale, self.weight_scale(channel));
        self.finish.bytes(self.output, acc, factors, bias, residual)
    }
}

/// What follows the scale and the bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finish {
    pub activation: Activation,
    pub mode: ActivationMode,
    pub residual: Residual,
}

impl Finish {
    /// Any that the output allows.
    pub fn any(rng: &mut Rng, output: Output, real_bias: bool) -> Finish {
        let mut finish = Finish {
            activation: rng.pick(&[Activation::None, Activation::Relu]),
            mode: ActivationMode::Float,
            residual: Residual::None,
        };
        if output == Output::S32 || rng.below(3) == 0 {
            return finish;
        }
        finish.activation = match rng.below(11) {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::Clamp { low: 0.0, high: 6.0 },
            3 => Activation::Clamp { low: -rng.unit(), high: 30.0 * rng.unit() },
            4 => Activation::LeakyRelu { slope: rng.normal() },
            5 => Activation::HardSwish,
            6 => Activation::Sigmoid,
            7 => Activation::Silu,
            8 => Activation::Tanh,
            9 => Activation::Gelu,
            _ => Activation::GeluTanh,
        };
        let code = any_code(rng);
        let scale = rng.pick(&[0.05, 0.5, 20.0]) * rng.unit() + 1e-6;
        let params = QuantParams { scale, zero_point: any_zero_point(rng, code) };
        match (rng.below(3), output) {
            (0, _) => {
                finish.residual = match rng.below(4) {
                    0 => Residual::Codes(code, params),
                    i => Residual::Real(RealFormat::ALL[i - 1]),
                };
            }
            (1, Output::Codes(..)) if !real_bias => {
                finish.mode = ActivationMode::Table(code, params)
            }
            _ => {}
        }
        finish
    }

    pub fn residual_element(&self) -> usize {
        match self.residual {
            Residual::None => 0,
            Residual::Real(real) => real.size(),
            Residual::Codes(..) => 1,
        }
    }

    /// Residuals of `count` elements, as bytes.
    pub fn residuals(&self, rng: &mut Rng, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|_| match self.residual {
                Residual::None => Vec::new(),
                Residual::Codes(..) => vec![rng.byte()],
                Residual::Real(format) => {
                    let x = if rng.below(40) == 0 { rng.any_f32() } else { 3.0 * rng.normal() };
                    real_bytes(format, x)
                }
            })
            .collect()
    }

    /// The real result, from the sum with its bias.
    fn real(&self, mut y: f32, residual: &[u8]) -> f32 {
        match self.residual {
            Residual::None => {}
            Residual::Real(format) => y = canonical(y + real_value(format, residual)),
            Residual::Codes(code, params) => {
                y = canonical(y + dequantize(value(code, residual[0]) as i32, params));
            }
        }
        self.activation.apply(y)
    }

    /// The bytes of an output, from a product of real numbers with its bias.
    pub fn bytes_of_real(&self, output: Output, y: f32, residual: &[u8]) -> Vec<u8> {
        let y = self.real(y, residual);
        match output {
            Output::Real(format) => real_bytes(format, y),
            Output::Codes(code, params) => {
                vec![quantize(y, params, code.format(), QuantizeMode::default()) as u8]
            }
            _ => unreachable!("tested elsewhere"),
        }
    }

    /// An output's bytes.
    pub fn bytes(
        &self,
        output: Output,
        acc: i32,
        (input_scale, weight_scale): (f32, f32),
        bias: Option<f32>,
        residual: &[u8],
    ) -> Vec<u8> {
        let relu = self.activation == Activation::Relu;
        let factor = input_scale * weight_scale;
        let quantized = |y: f32, code: Code, params: QuantParams| {
            quantize(y, params, code.format(), QuantizeMode::default())
        };
        let in_one_step = |code: Code, params: QuantParams, clamp| {
            requantize(acc, factor / params.scale, params.zero_point, code.format(), clamp)
        };
        let real = || self.real(canonical(acc as f32 * factor + bias.unwrap_or(-0.0)), residual);
        let ends = |code: Code| (code.format().qmin(), code.format().qmax());
        let plain = bias.is_none() && self.residual == Residual::None;
        match output {
            Output::S32 => (if relu { acc.max(0) } else { acc }).to_ne_bytes().to_vec(),
            Output::Real(format) => real_bytes(format, real()),
            Output::Codes(code, params) => {
                let (low, high) = ends(code);
                let q = match (self.mode, self.activation) {
                    (ActivationMode::Table(between, steps), activation) => {
                        let q = in_one_step(between, steps, ends(between));
                        quantized(activation.apply(dequantize(q, steps)), code, params)
                    }
                    (_, Activation::None) if plain => in_one_step(code, params, (low, high)),
                    (_, Activation::Relu) if plain => {
                        in_one_step(code, params, (params.zero_point, high))
                    }
                    (_, Activation::Clamp { low, high }) if plain => {
                        let [low, high] = [low, high].map(|end| quantized(end, code, params));
                        in_one_step(code, params, (low, high))
                    }
                    _ => quantized(real(), code, params),
                };
                vec![q as u8]
            }
            Output::FixedPoint(..) | Output::DynamicPerRow(..) => unreachable!("tested elsewhere"),
        }
    }
}

/// A number in a format, as bytes.
pub fn real_bytes(format: RealFormat, x: f32) -> Vec<u8> {
    match format {
        RealFormat::F32 => x.to_ne_bytes().to_vec(),
        RealFormat::F16 => float16::f32_to_f16(x).to_ne_bytes().to_vec(),
        RealFormat::Bf16 => float16::f32_to_bf16(x).to_ne_bytes().to_vec(),
    }
}

/// The number that bytes stand for.
pub fn real_value(format: RealFormat, bytes: &[u8]) -> f32 {
    let half = || u16::from_ne_bytes([bytes[0], bytes[1]]);
    match format {
        RealFormat::F32 => f32::from_ne_bytes(bytes[..4].try_into().unwrap()),
        RealFormat::F16 => float16::f16_to_f32(half()),
        RealFormat::Bf16 => float16::bf16_to_f32(half()),
    }
}

/// Bytes aligned as workspaces are, filled with garbage.
pub struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

/// `len` bytes of garbage, aligned to 64.
pub fn workspace(len: usize) -> AlignedBytes {
    let bytes = vec![0xC3u8; len + 64];
    let start = bytes.as_ptr().addr().wrapping_neg() & 63;
    AlignedBytes { bytes, start, len }
}

/// A copy of bytes, aligned to 64.
pub fn aligned(bytes: &[u8]) -> AlignedBytes {
    let mut copy = workspace(bytes.len());
    copy.copy_from_slice(bytes);
    copy
}

impl std::ops::Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }
}

impl std::ops::DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

/// The bits of each number.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
