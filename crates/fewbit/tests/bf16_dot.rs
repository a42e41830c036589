//! Linear layers whose arithmetic is asked for by name: bf16 by bf16 with the products of `vdpbf16ps`, to the bit where a CPU has it,
//! and refused where it, or the limit, has not.

use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{Activation, RealFormat, dot_bf16, float16, real};
use fewbit::simd::{Isa, Supported};
use fewbit::{
    Linear, LinearLayout, Output, RealArithmetic, RealLinearDesc, RealWeights, Residual, Serial,
    Status,
};
use fewbit_testkit::{Rng, covered, report, seed, supported_sets};

fn desc<'a>(n: usize, k: usize, weights: &'a [u16], bias: &'a [f32]) -> RealLinearDesc<'a> {
    RealLinearDesc {
        in_features: k,
        out_features: n,
        weights: RealWeights::Bf16(weights),
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: RealFormat::Bf16,
        bias,
        output: Output::Real(RealFormat::F32),
        activation: Activation::None,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
        arithmetic: RealArithmetic::Bf16Dot,
    }
}

/// Numbers whose products are now and then below 2^-126, or not finite.
fn halves(rng: &mut Rng, count: usize) -> Vec<u16> {
    let number = |rng: &mut Rng| match rng.below(40) {
        0 => rng.next_u32() as u16,
        1..10 => float16::f32_to_bf16(rng.normal() * 2f32.powi(-63)),
        _ => float16::f32_to_bf16(rng.normal()),
    };
    (0..count).map(|_| number(rng)).collect()
}

fn run(plan: &Linear<'_>, rows: usize, n: usize, x: &[u16]) -> Vec<f32> {
    let size = plan.workspace(rows, 1).unwrap().size;
    let mut memory = vec![0xA5; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let mut y = vec![0f32; rows * n];
    plan.run(rows, x, &mut memory[skip..][..size], &Serial, &mut y).unwrap();
    y
}

#[test]
fn as_defined_or_refused() {
    let mut rng = Rng::new(seed() ^ 59);
    for supported in supported_sets() {
        let has = supported.has(Isa::Avx512Bf16.closure());
        for round in 0..30 {
            let (rows, n) = (1 + rng.below(30), 1 + rng.below(90));
            let k = if round < 9 { round + 1 } else { 1 + rng.below(300) };
            let (w, x) = (halves(&mut rng, n * k), halves(&mut rng, rows * k));
            let bias: Vec<f32> = match rng.below(2) {
                0 => Vec::new(),
                _ => (0..n).map(|_| rng.normal()).collect(),
            };
            let desc = desc(n, k, &w, &bias);
            let plan = match Linear::create_real(&desc, supported, &Allocator::DEFAULT) {
                Err(error) => {
                    assert!(!has, "{error:?}");
                    assert_eq!(error.status, Status::Unsupported);
                    assert_eq!(error.argument, "desc.arithmetic");
                    continue;
                }
                Ok(plan) => plan,
            };
            assert!(has && plan.kernel_name().ends_with("_avx512_bf16"));
            let y = run(&plan, rows, n, &x);
            for (i, y) in y.iter().enumerate() {
                let (x, w) = (&x[i / n * k..][..k], &w[i % n * k..][..k]);
                let value = float16::bf16_to_f32;
                let sum = dot_bf16(x.iter().zip(w).map(|(&x, &w)| (value(x), value(w))));
                let want = real::canonical(bias.get(i % n).map_or(sum, |bias| sum + bias));
                assert_eq!(y.to_bits(), want.to_bits(), "{i} of {rows} x {n} x {k}");
            }
            saved(&plan, &desc, supported, (rows, n), (&x, &y));
            covered("linear.bf16_dot", supported.set(), 1);
        }
    }
    report();
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
    let (half, single) = ([0x3F80u16; 12], [1.0f32; 12]);
    let good = desc(3, 4, &half, &[]);
    let others = [
        RealLinearDesc { input: RealFormat::F32, ..good },
        RealLinearDesc { input: RealFormat::F16, ..good },
        RealLinearDesc { weights: RealWeights::F32(&single), ..good },
        RealLinearDesc { weights: RealWeights::F16(&half), ..good },
    ];
    for desc in others {
        for supported in supported_sets() {
            let plan = Linear::create_real(&desc, supported, &Allocator::DEFAULT);
            let error = plan.err().expect("refused");
            assert_eq!((error.status, error.argument), (Status::Unsupported, "desc.arithmetic"));
        }
    }
}
