//! Linear layers whose arithmetic is asked for by name, `vdpbf16ps`, `bfdot` and `fmla` of f16: to the bit where a CPU has it, and refused where it, or the
//! limit, has not.

use fewbit::memory::{ALIGNMENT, Allocator, Plain};
use fewbit::scheme::{Activation, RealFormat, dot_bf16, dot_bf16_odd, dot_f16, float16, real};
use fewbit::simd::{Isa, Supported};
use fewbit::{
    Linear, LinearLayout, Output, RealArithmetic, RealLinearDesc, RealWeights, Residual, Serial,
    Status,
};
use fewbit_testkit::{Rng, covered, report, seed, supported_sets};

const ALL: [(RealArithmetic, Isa); 3] = [
    (RealArithmetic::Bf16Dot, Isa::Avx512Bf16),
    (RealArithmetic::Bf16DotOdd, Isa::NeonBf16),
    (RealArithmetic::F16Fma, Isa::NeonFp16),
];

fn desc<'a>(
    arithmetic: RealArithmetic,
    (n, k): (usize, usize),
    weights: &'a [u16],
    bias: &'a [f32],
) -> RealLinearDesc<'a> {
    let is_f16 = arithmetic == RealArithmetic::F16Fma;
    RealLinearDesc {
        in_features: k,
        out_features: n,
        weights: if is_f16 { RealWeights::F16(weights) } else { RealWeights::Bf16(weights) },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: if is_f16 { RealFormat::F16 } else { RealFormat::Bf16 },
        bias,
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
        arithmetic,
    }
}

/// Numbers whose products are now and then below the smallest normal one, or not finite.
fn halves(rng: &mut Rng, count: usize, arithmetic: RealArithmetic) -> Vec<u16> {
    let is_f16 = arithmetic == RealArithmetic::F16Fma;
    let to_half = if is_f16 { float16::f32_to_f16 } else { float16::f32_to_bf16 };
    let number = |rng: &mut Rng| match rng.below(40) {
        0 => rng.next_u32() as u16,
        1..10 => to_half(rng.normal() * 2f32.powi(if is_f16 { -9 } else { -63 })),
        _ => to_half(rng.normal()),
    };
    (0..count).map(|_| number(rng)).collect()
}

fn run<T: Plain>(plan: &Linear<'_>, rows: usize, n: usize, x: &[T]) -> Vec<f32> {
    let size = plan.workspace(rows, 1).unwrap().size;
    let mut memory = vec![0xA5; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let mut y = vec![0f32; rows * n];
    plan.run(rows, x, &mut memory[skip..][..size], &Serial, &mut y).unwrap();
    y
}

fn want(arithmetic: RealArithmetic, x: &[u16], w: &[u16]) -> f32 {
    let bits = x.iter().copied().zip(w.iter().copied());
    let value = float16::bf16_to_f32;
    let values = bits.clone().map(|(x, w)| (value(x), value(w)));
    match arithmetic {
        RealArithmetic::Bf16Dot => dot_bf16(values),
        RealArithmetic::Bf16DotOdd => dot_bf16_odd(values),
        RealArithmetic::F16Fma => dot_f16(bits),
        RealArithmetic::Chain => unreachable!("it has tests of its own"),
    }
}

#[test]
fn as_defined_or_refused() {
    let mut rng = Rng::new(seed() ^ 59);
    let all = ALL.into_iter().flat_map(|of| supported_sets().into_iter().map(move |set| (of, set)));
    for ((arithmetic, isa), supported) in all {
        let has = supported.has(isa.closure());
        for round in 0..24 {
            let (rows, n) = (1 + rng.below(30), 1 + rng.below(90));
            let k = if round < 9 { round + 1 } else { 1 + rng.below(300) };
            let w = halves(&mut rng, n * k, arithmetic);
            let x = halves(&mut rng, rows * k, arithmetic);
            let bias: Vec<f32> = match rng.below(2) {
                0 => Vec::new(),
                _ => (0..n).map(|_| rng.normal()).collect(),
            };
            let desc = desc(arithmetic, (n, k), &w, &bias);
            let plan = match Linear::create_real(&desc, supported, &Allocator::DEFAULT) {
                Err(error) => {
                    assert!(!has, "{error:?}");
                    assert_eq!(error.status, Status::Unsupported);
                    assert_eq!(error.argument, "desc.arithmetic");
                    continue;
                }
                Ok(plan) => plan,
            };
            assert!(has && plan.kernel_name().ends_with(isa.name()));
            let y = run(&plan, rows, n, &x);
            for (i, y) in y.iter().enumerate() {
                let sum = want(arithmetic, &x[i / n * k..][..k], &w[i % n * k..][..k]);
                let want = real::canonical(bias.get(i % n).map_or(sum, |bias| sum + bias));
                assert_eq!(y.to_bits(), want.to_bits(), "{i} of {rows} x {n} x {k}");
            }
            if arithmetic == RealArithmetic::F16Fma {
                rounded(&desc, supported, (rows, n), &mut rng);
            }
            saved(&plan, &desc, supported, (rows, n), (&x, &y));
            covered(&format!("linear.{arithmetic:?}"), supported.set(), 1);
        }
    }
    report();
}

/// An f32 input is rounded to f16 once.
fn rounded(
    desc: &RealLinearDesc<'_>,
    supported: Supported,
    (rows, n): (usize, usize),
    rng: &mut Rng,
) {
    let count = rows * desc.in_features;
    let number = |rng: &mut Rng| if rng.below(30) == 0 { rng.any_f32() } else { rng.normal() };
    let x: Vec<f32> = (0..count).map(|_| number(rng)).collect();
    let halves: Vec<u16> = x.iter().map(|&x| float16::f32_to_f16(x)).collect();
    let of_f16 = Linear::create_real(desc, supported, &Allocator::DEFAULT).unwrap();
    let desc = RealLinearDesc { input: RealFormat::F32, ..*desc };
    let of_f32 = Linear::create_real(&desc, supported, &Allocator::DEFAULT).unwrap();
    let (y, want) = (run(&of_f32, rows, n, &x), run(&of_f16, rows, n, &halves));
    assert!(y.iter().zip(&want).all(|(y, want)| y.to_bits() == want.to_bits()));
}

/// Saved weights are read under their own arithmetic only.
fn saved(
    plan: &Linear<'_>,
    desc: &RealLinearDesc<'_>,
    supported: Supported,
    (rows, n): (usize, usize),
    (x, y): (&[u16], &[f32]),
) {
    let create = |desc: &RealLinearDesc<'_>, packed: &[u8]| {
        let plan = Linear::create_real_packed(desc, packed, supported, &Allocator::DEFAULT)?;
        Ok::<Vec<f32>, fewbit::Error>(run(&plan, rows, n, x))
    };
    let save = |plan: &Linear<'_>| {
        let size = plan.packed_size().unwrap();
        let mut bytes = vec![0u8; size + ALIGNMENT];
        let skip = bytes.as_ptr().align_offset(ALIGNMENT);
        plan.save_packed(&mut bytes[skip..][..size]).unwrap();
        (bytes, skip..skip + size)
    };
    let (packed, at) = save(plan);
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same(&create(desc, &packed[at.clone()]).unwrap(), y));
    let chain = RealLinearDesc { arithmetic: RealArithmetic::Chain, ..*desc };
    let error = create(&chain, &packed[at]).unwrap_err();
    assert_eq!((error.status, error.argument), (Status::InvalidArgument, "desc.arithmetic"));
    let of_chain = Linear::create_real(&chain, supported, &Allocator::DEFAULT).unwrap();
    let (packed, at) = save(&of_chain);
    let error = create(desc, &packed[at]).unwrap_err();
    assert_eq!((error.status, error.argument), (Status::InvalidArgument, "desc.arithmetic"));
}

#[test]
fn other_numbers_are_refused() {
    let (half, single) = ([0x3C00u16; 12], [1.0f32; 12]);
    for (arithmetic, _) in ALL {
        let good = desc(arithmetic, (3, 4), &half, &[]);
        let (input, weights) = match arithmetic {
            RealArithmetic::F16Fma => (RealFormat::Bf16, RealWeights::Bf16(&half)),
            _ => (RealFormat::F16, RealWeights::F16(&half)),
        };
        let mut others = vec![
            RealLinearDesc { input, ..good },
            RealLinearDesc { weights, ..good },
            RealLinearDesc { weights: RealWeights::F32(&single), ..good },
        ];
        if arithmetic != RealArithmetic::F16Fma {
            others.push(RealLinearDesc { input: RealFormat::F32, ..good });
        }
        for desc in others {
            for supported in supported_sets() {
                let plan = Linear::create_real(&desc, supported, &Allocator::DEFAULT);
                let error = plan.err().expect("refused");
                let found = (error.status, error.argument);
                assert_eq!(found, (Status::Unsupported, "desc.arithmetic"));
            }
        }
    }
}
