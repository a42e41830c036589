//! Weights that are codes or blocks, multiplied by real numbers: bit for bit what the plan of the dequantized weights gives,
//! whatever the format, the shape, the split, the threads and the epilogue; saved and mapped; and what is refused.

mod common;

use common::{Backwards, Threads, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::block::gguf::{self, Gguf};
use fewbit::scheme::block::mx::{self, Mx};
use fewbit::scheme::block::nvfp4;
use fewbit::scheme::{Activation, IntFormat, QuantParams, RealFormat, dequantize, pack};
use fewbit::simd::Supported;
use fewbit::{
    Code, Linear, LinearLayout, Output, Parallel, RealArithmetic, RealLinearDesc, RealWeights,
    Residual, Serial, Status, View, ViewMut, Weights,
};
use fewbit_testkit::{Rng, is_full, limited, seed, supported_sets};

/// A kind of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Gguf(Gguf),
    Mx(Mx),
    Nvfp4,
    /// A format, the block (0: a channel), whether there are zero points, and whether one of all is for all.
    Codes(IntFormat, usize, bool, bool),
}

impl Kind {
    fn all() -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Gguf::ALL.map(Kind::Gguf).to_vec();
        kinds.extend(Mx::ALL.map(Kind::Mx));
        kinds.push(Kind::Nvfp4);
        for format in [IntFormat::S4, IntFormat::U4, IntFormat::S8, IntFormat::U8] {
            for (block, zeros, one) in [
                (0, false, true),
                (0, true, false),
                (16, true, false),
                (32, false, false),
                (48, true, true),
            ] {
                kinds.push(Kind::Codes(format, block, zeros, one));
            }
        }
        kinds
    }

    /// What rows are multiples of.
    fn unit(self) -> usize {
        match self {
            Kind::Gguf(format) => format.block_len(),
            Kind::Mx(_) => 32,
            Kind::Nvfp4 => 16,
            Kind::Codes(..) => 1,
        }
    }
}

/// Weights as they are given, and as numbers, `[channels][k]`.
#[derive(Debug)]
struct Given {
    kind: Kind,
    data: Vec<u8>,
    block_scales: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    numbers: Vec<f32>,
    layout: LinearLayout,
    stride: usize,
}

impl Given {
    fn any(rng: &mut Rng, kind: Kind, channels: usize, k: usize) -> Given {
        let count = channels * k;
        let mut given = Given {
            kind,
            data: Vec::new(),
            block_scales: Vec::new(),
            scales: Vec::new(),
            zero_points: Vec::new(),
            numbers: vec![0.0; count],
            layout: LinearLayout::Nk,
            stride: 0,
        };
        match kind {
            Kind::Gguf(format) => {
                given.data = rng.bytes(count / format.block_len() * format.block_bytes());
                // Mostly finite scales: one infinity would make every result NaN.
                for block in given.data.chunks_exact_mut(format.block_bytes()) {
                    let size = block.len();
                    let heads: &[usize] = if format == Gguf::Q6K { &[size - 2] } else { &[0, 2] };
                    for &at in &heads[..if format.has_min() { 2 } else { 1 }] {
                        if rng.below(400) > 0 {
                            block[at + 1] &= 0xBF;
                        }
                    }
                }
                gguf::dequantize(format, &given.data, &mut given.numbers);
            }
            Kind::Mx(format) => {
                given.data = rng.bytes(format.element_bytes(count));
                let scale = |rng: &mut Rng| match rng.below(300) {
                    0 => rng.byte(),
                    _ => 120 + rng.below(8) as u8,
                };
                given.block_scales = (0..count / 32).map(|_| scale(rng)).collect();
                mx::dequantize(format, &given.block_scales, &given.data, &mut given.numbers);
            }
            Kind::Nvfp4 => {
                given.data = rng.bytes(count / 2);
                given.block_scales = rng.bytes(count / 16);
                // A NaN is 0x7F or 0xFF.
                given.block_scales.iter_mut().for_each(|scale| *scale &= 0xFE);
                given.scales = vec![0.01 + rng.unit()];
                let (scale, scales) = (given.scales[0], &given.block_scales);
                nvfp4::dequantize(scale, scales, &given.data, &mut given.numbers);
            }
            Kind::Codes(format, block, zeros, one) => {
                given.layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
                let (rows, columns) = match given.layout {
                    LinearLayout::Nk => (channels, k),
                    LinearLayout::Kn => (k, channels),
                };
                let unit = format.codes_per_byte();
                given.stride = columns.next_multiple_of(unit) + unit * rng.below(2);
                given.data = rng.bytes((rows * given.stride).div_ceil(unit));
                let blocks = if block == 0 { 1 } else { k.div_ceil(block) };
                let all = channels * blocks;
                let count = if one && block == 0 { 1 } else { all };
                given.scales = (0..count).map(|_| 0.001 + rng.unit()).collect();
                let count = if one { 1 } else { all };
                let range = (format.qmax() - format.qmin() + 1) as usize;
                let zero = |rng: &mut Rng| format.qmin() + rng.below(range) as i32;
                given.zero_points = (0..if zeros { count } else { 0 }).map(|_| zero(rng)).collect();
                for channel in 0..channels {
                    for i in 0..k {
                        let at = match given.layout {
                            LinearLayout::Nk => channel * given.stride + i,
                            LinearLayout::Kn => i * given.stride + channel,
                        };
                        let code = match format {
                            IntFormat::S8 => i32::from(given.data[at] as i8),
                            IntFormat::U8 => i32::from(given.data[at]),
                            _ => {
                                let (byte, slot) = pack::position(format, at);
                                pack::get(format, given.data[byte], slot)
                            }
                        };
                        let of = |count: usize| match (count, block) {
                            (1, _) => 0,
                            (_, 0) => channel,
                            _ => channel * blocks + i / block,
                        };
                        let zero = given.zero_points.get(of(given.zero_points.len()));
                        let params = QuantParams {
                            scale: given.scales[of(given.scales.len())],
                            zero_point: zero.copied().unwrap_or(0),
                        };
                        given.numbers[channel * k + i] = dequantize(code, params);
                    }
                }
            }
        }
        given
    }

    fn weights(&self) -> RealWeights<'_> {
        match self.kind {
            Kind::Gguf(format) => RealWeights::Gguf(format, &self.data),
            Kind::Mx(format) => {
                RealWeights::Mx { format, scales: &self.block_scales, elements: &self.data }
            }
            Kind::Nvfp4 => RealWeights::Nvfp4 {
                scale: self.scales[0],
                scales: &self.block_scales,
                elements: &self.data,
            },
            Kind::Codes(format, block, ..) => RealWeights::Codes(Weights {
                format,
                codes: &self.data,
                scales: &self.scales,
                zero_points: &self.zero_points,
                block,
                multipliers: &[],
                shifts: &[],
            }),
        }
    }
}

/// A layer of given weights, or of their numbers.
fn plan(desc: &RealLinearDesc, given: &Given, numbers: bool, set: Supported) -> Linear<'static> {
    let desc = match numbers {
        true => RealLinearDesc { weights: RealWeights::F32(&given.numbers), ..*desc },
        false => RealLinearDesc {
            weights: given.weights(),
            layout: given.layout,
            weight_stride: given.stride,
            ..*desc
        },
    };
    Linear::create_real(&desc, set, &Allocator::DEFAULT).unwrap()
}

fn desc(n: usize, k: usize, matrices: usize) -> RealLinearDesc<'static> {
    RealLinearDesc {
        in_features: k,
        out_features: n,
        weights: RealWeights::F32(&[]),
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: RealFormat::F32,
        bias: &[],
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        residual: Residual::None,
        matrices,
        matrix_stride: 0,
        arithmetic: RealArithmetic::Chain,
    }
}

fn numbers(rng: &mut Rng, count: usize) -> Vec<f32> {
    let number = |rng: &mut Rng| match rng.below(300) {
        0 => rng.pick(&[f32::INFINITY, -0.0, 1e-40, f32::NAN, 1e30]),
        _ => rng.normal(),
    };
    (0..count).map(|_| number(rng)).collect()
}

/// The bits of rows and columns, in one part or four, on some workers.
fn run(
    plan: &Linear,
    (m, n): (usize, usize),
    x: &[f32],
    parallel: &dyn Parallel,
    cut: Option<(usize, usize)>,
) -> Vec<u32> {
    let mut y = vec![7.0f32; m * n];
    let mut memory = workspace(plan.workspace(m, parallel.max_workers()).unwrap().size);
    let parts = match cut {
        None => vec![(0..m, 0..n)],
        Some((row, column)) => {
            vec![(0..row, 0..column), (0..row, column..n), (row..m, 0..column), (row..m, column..n)]
        }
    };
    for part in parts {
        let (x, y) = (View::new(x), ViewMut::new(&mut y));
        plan.run_range(m, x, View::NONE, &mut memory, parallel, y, part).unwrap();
    }
    y.iter().map(|y| y.to_bits()).collect()
}

const ROWS: [usize; 9] = [1, 2, 3, 5, 6, 7, 13, 25, 50];
const COLUMNS: [usize; 8] = [1, 2, 7, 15, 16, 33, 50, 97];

#[test]
fn results_are_those_of_the_dequantized_weights() {
    let mut rng = Rng::new(seed() ^ 141);
    for kind in Kind::all() {
        for turn in 0..if is_full() { 20 } else { 3 } {
            let (m, n) = (if turn == 0 { 1 } else { rng.pick(&ROWS) }, rng.pick(&COLUMNS));
            // Up to a few chunks of k.
            let k = match kind.unit() {
                1 => 1 + rng.below(700),
                unit => unit * (1 + rng.below(900 / unit)),
            };
            let given = Given::any(&mut rng, kind, n, k);
            let x = numbers(&mut rng, m * k);
            let desc = desc(n, k, 1);
            let want = run(&plan(&desc, &given, true, limited()), (m, n), &x, &Serial, None);
            let cut = Some((rng.below(m + 1), rng.below(n + 1)));
            for set in supported_sets() {
                let plan = plan(&desc, &given, false, set);
                let label = format!("{m}x{n}x{k}, {kind:?}, {}", plan.kernel_name());
                assert!(plan.kernel_name().starts_with("decode_"), "{label}");
                let calls: [(&dyn Parallel, _); 4] =
                    [(&Serial, None), (&Threads(3), None), (&Backwards, None), (&Serial, cut)];
                for (call, (parallel, cut)) in calls.into_iter().enumerate() {
                    let got = run(&plan, (m, n), &x, parallel, cut);
                    assert!(got == want, "call {call}, {label}");
                }
            }
        }
    }
}

#[test]
fn epilogues_and_inputs_are_those_of_real_plans() {
    let mut rng = Rng::new(seed() ^ 142);
    for kind in Kind::all() {
        let (m, n, k) = (rng.pick(&ROWS), rng.pick(&COLUMNS), 256 * (1 + rng.below(3)));
        let given = Given::any(&mut rng, kind, n, k);
        let bias: Vec<f32> = numbers(&mut rng, n);
        let input = rng.pick(&[RealFormat::F16, RealFormat::Bf16]);
        let x: Vec<u16> = (0..m * k).map(|_| rng.next_u32() as u16 & 0xBFFF).collect();
        let params = QuantParams { scale: 0.37, zero_point: 5 };
        let desc = RealLinearDesc {
            input,
            bias: &bias,
            output: Output::Codes(Code::S8, params),
            activation: rng.pick(&[Activation::Relu, Activation::Gelu, Activation::None]),
            ..desc(n, k, 1)
        };
        let results = |numbers: bool, parallel: &dyn Parallel| {
            let plan = plan(&desc, &given, numbers, limited());
            let mut memory = workspace(plan.workspace(m, parallel.max_workers()).unwrap().size);
            let mut y = vec![0i8; m * n];
            plan.run(m, &x, &mut memory, parallel, &mut y).unwrap();
            y
        };
        let want = results(true, &Serial);
        assert!(results(false, &Serial) == want, "{kind:?} {m}x{n}x{k}");
        assert!(results(false, &Threads(2)) == want, "{kind:?} {m}x{n}x{k}");
    }
}

#[test]
fn several_matrices_are_blocks_one_behind_the_other() {
    let mut rng = Rng::new(seed() ^ 143);
    for kind in [Kind::Gguf(Gguf::Q4K), Kind::Mx(Mx::Fp4E2m1), Kind::Nvfp4, Kind::Gguf(Gguf::Q5_1)]
    {
        let (m, n, k, matrices) = (4, 19, 256, 3);
        let given = Given::any(&mut rng, kind, n * matrices, k);
        let x = numbers(&mut rng, matrices * m * k);
        let results = |numbers: bool| {
            let plan = plan(&desc(n, k, matrices), &given, numbers, limited());
            let mut memory = workspace(plan.batch_workspace(m, 2).unwrap().size);
            let mut y = vec![0f32; matrices * m * n];
            let none = View::NONE;
            plan.run_batch(m, View::new(&x), none, &mut memory, &Threads(2), ViewMut::new(&mut y))
                .unwrap();
            y.iter().map(|y| y.to_bits()).collect::<Vec<u32>>()
        };
        assert!(results(false) == results(true), "{kind:?}");
    }
}

#[test]
fn packed_codes_are_read_where_they_lie() {
    let mut rng = Rng::new(seed() ^ 144);
    for kind in Kind::all() {
        let (m, n, k) = (3, 21, 512);
        let given = Given::any(&mut rng, kind, n, k);
        let desc = desc(n, k, 1);
        let of_codes = plan(&desc, &given, false, limited());
        let mut bytes = workspace(of_codes.packed_size().unwrap());
        of_codes.save_packed(&mut bytes).unwrap();
        let mapped = Linear::create_real_packed(&desc, &bytes, limited(), &Allocator::DEFAULT);
        let mapped = mapped.unwrap();
        assert_eq!(mapped.weight_bytes(), of_codes.weight_bytes());
        assert_eq!(mapped.kernel_name(), of_codes.kernel_name());
        let x = numbers(&mut rng, m * k);
        let want = run(&of_codes, (m, n), &x, &Serial, None);
        assert!(run(&mapped, (m, n), &x, &Serial, None) == want, "{kind:?}");
        let wider = RealLinearDesc { in_features: 2 * k, ..desc };
        let refused = Linear::create_real_packed(&wider, &bytes, limited(), &Allocator::DEFAULT);
        assert_eq!(refused.err().unwrap().status, Status::InvalidArgument);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    const BYTES: [u8; 1152] = [0; 1152];
    const ONES: [f32; 9] = [1.0; 9];
    let blocks = |format| RealWeights::Gguf(format, &BYTES);
    let good = RealLinearDesc { weights: blocks(Gguf::Q4_0), ..desc(4, 64, 1) };
    let codes = Weights {
        format: IntFormat::S8,
        codes: &BYTES,
        scales: &ONES[..1],
        zero_points: &[],
        block: 0,
        multipliers: &[],
        shifts: &[],
    };
    let of_codes = |weights| RealLinearDesc { weights: RealWeights::Codes(weights), ..good };
    let mx = |format, scales| RealWeights::Mx { format, scales, elements: &BYTES[..127] };
    let nvfp4 = |scale, scales| RealWeights::Nvfp4 { scale, scales, elements: &BYTES[..128] };
    let create = |desc: &RealLinearDesc| Linear::create_real(desc, limited(), &Allocator::DEFAULT);
    for fine in [
        good,
        of_codes(codes),
        of_codes(Weights { block: 32, scales: &ONES[..8], ..codes }),
        RealLinearDesc { weight_stride: 64, matrix_stride: 256, ..good },
        RealLinearDesc { weights: nvfp4(1.0, &BYTES[..16]), ..good },
    ] {
        create(&fine).unwrap();
    }
    let k = |in_features, weights| RealLinearDesc { in_features, weights, ..good };
    let bad = Status::InvalidArgument;
    let (scales, zeros) = ("desc.weights.scales", "desc.weights.zero_points");
    let block_scales = "desc.weight_block_scales";
    let cases = [
        (k(40, blocks(Gguf::Q4_0)), bad, "desc.in_features"),
        (k(128, blocks(Gguf::Q4K)), bad, "desc.in_features"),
        (k(40, mx(Mx::Fp8E4m3, &BYTES)), bad, "desc.in_features"),
        (k(40, nvfp4(1.0, &BYTES)), bad, "desc.in_features"),
        (
            k(64, RealWeights::Gguf(Gguf::Q4_0, &BYTES[..143])),
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
        (k(64, mx(Mx::Fp4E2m1, &BYTES[..8])), Status::BufferTooSmall, "desc.weights.data"),
        (k(64, mx(Mx::Fp4E2m1, &BYTES[..7])), Status::BufferTooSmall, block_scales),
        (k(64, nvfp4(1.0, &BYTES[..15])), Status::BufferTooSmall, block_scales),
        (k(64, nvfp4(0.0, &BYTES[..16])), bad, scales),
        (k(64, nvfp4(f32::NAN, &BYTES[..16])), bad, scales),
        (
            RealLinearDesc { layout: LinearLayout::Kn, ..good },
            Status::Unsupported,
            "desc.weight_layout",
        ),
        (RealLinearDesc { weight_stride: 96, ..good }, Status::Unsupported, "desc.weight_stride"),
        (RealLinearDesc { matrix_stride: 257, ..good }, Status::Unsupported, "desc.matrix_stride"),
        (RealLinearDesc { output: Output::S32, ..good }, Status::Unsupported, "desc.output"),
        (
            of_codes(Weights { format: IntFormat::S2, ..codes }),
            Status::Unsupported,
            "desc.weights.dtype",
        ),
        (
            of_codes(Weights { format: IntFormat::B1, ..codes }),
            Status::Unsupported,
            "desc.weights.dtype",
        ),
        (
            of_codes(Weights { format: IntFormat::S16, ..codes }),
            Status::Unsupported,
            "desc.weights.dtype",
        ),
        (of_codes(Weights { block: 8, ..codes }), bad, "desc.weights.block"),
        (of_codes(Weights { block: 32, scales: &ONES[..7], ..codes }), bad, scales),
        (of_codes(Weights { block: 32, scales: &ONES[..1], ..codes }), bad, scales),
        (of_codes(Weights { scales: &[], ..codes }), bad, scales),
        (of_codes(Weights { scales: &ONES[..3], ..codes }), bad, scales),
        (of_codes(Weights { scales: &[-1.0], ..codes }), bad, scales),
        (of_codes(Weights { scales: &[f32::INFINITY], ..codes }), bad, scales),
        (of_codes(Weights { zero_points: &[1, 2], ..codes }), bad, zeros),
        (of_codes(Weights { zero_points: &[128], ..codes }), bad, zeros),
        (
            of_codes(Weights { multipliers: &[1], ..codes }),
            Status::Unsupported,
            "desc.weights.multipliers",
        ),
        (
            of_codes(Weights { codes: &BYTES[..255], ..codes }),
            Status::BufferTooSmall,
            "desc.weights.data",
        ),
    ];
    for (desc, status, argument) in cases {
        let error = create(&desc).err().unwrap_or_else(|| panic!("{argument} is refused"));
        assert_eq!((error.status, error.argument), (status, argument), "{error:?}");
    }
}
