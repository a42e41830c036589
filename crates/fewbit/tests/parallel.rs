//! Large tensors on threads: the same bytes as on one, whatever the granularity, and parameters and codes in
//! one go the same as one after the other.

mod common;

use common::{Backwards, Threads, rayon_threads};
use fewbit::granularity::{Granularity, Layout};
use fewbit::scheme::{IntFormat, ParamSpec, QuantizeMode, Scheme};
use fewbit::tensor::{self, Reals, RealsMut, TensorParams, TensorQuant};
use fewbit::{Parallel, RayonPool, Serial};
use fewbit_testkit::{Rng, limited, sampled, seed};

/// Shapes of several parts, rows of odd lengths among them, and granularities that cut them in all ways.
fn cases() -> Vec<(Vec<usize>, Granularity)> {
    let mut cases = Vec::new();
    for dims in [vec![200_003], vec![401, 513], vec![65_537, 3], vec![3, 50, 33, 41]] {
        cases.push((dims.clone(), Granularity::PerTensor));
        for axis in 0..dims.len() {
            cases.push((dims.clone(), Granularity::PerAxis { axis }));
            cases.push((dims.clone(), Granularity::PerBlock { axis, block: 32 }));
            cases.push((dims.clone(), Granularity::PerBlock { axis, block: 7 }));
        }
    }
    cases
}

struct Codes {
    q: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

#[test]
fn threads_change_nothing() {
    let mut rng = Rng::new(seed() ^ 80);
    let supported = limited();
    let cases = cases();
    let pools = [1, 2, 3, 7].map(rayon_threads);
    for (i, (dims, granularity)) in sampled("threads", 1, cases.iter().enumerate()) {
        let x_layout = Layout::contiguous(dims).unwrap();
        let x: Vec<f32> = (0..x_layout.len())
            .map(|i| if i % 5003 == 0 { rng.any_f32() } else { rng.normal() })
            .collect();
        let formats = [IntFormat::S8, IntFormat::U4, IntFormat::S16, IntFormat::B1];
        let format = formats[i % 4];
        let scheme = [Scheme::Affine, Scheme::Symmetric][i / 4 % 2];
        let quant = TensorQuant {
            params: ParamSpec { scheme, ..ParamSpec::affine(format) },
            granularity: *granularity,
            mode: QuantizeMode::default(),
        };
        let q_layout = Layout::packed(dims, format.codes_per_byte()).unwrap();
        let bytes = tensor::code_bytes(&q_layout, format).unwrap();
        let count = granularity.param_count(&x_layout).unwrap();
        let new = || Codes {
            q: vec![0xA5; bytes],
            scales: vec![0.0; count],
            zero_points: vec![9; count],
        };

        let mut want = new();
        let places = (&mut want.scales[..], Some(&mut want.zero_points[..]));
        quant.choose_params(&x, &x_layout, places.0, places.1, supported).unwrap();
        let params = TensorParams { scales: &want.scales, zero_points: &want.zero_points };
        quant.quantize(&x, &x_layout, &params, &mut want.q, &q_layout, supported).unwrap();
        let mut back = vec![0.0; x.len()];
        quant.dequantize(&want.q, &q_layout, &params, &mut back, &x_layout, supported).unwrap();

        // Each number of rayon's threads, with all kinds of cases.
        let rayon = RayonPool::new(&pools[(i + i / 4) % 4]).with_min_operations(0);
        let parallels: [&dyn Parallel; 5] = [&Serial, &Threads(2), &Threads(5), &Backwards, &rayon];
        for (way, parallel) in parallels.into_iter().enumerate() {
            let label = format!("{dims:?} {granularity:?} {format:?} {scheme:?} way {way}");
            let (mut got, mut own) = (new(), new());
            let (mut real, mut fake) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            let from = (Reals::of(&x), &x_layout);
            // SAFETY: the vectors cover their layouts.
            unsafe {
                let to = (got.q.as_mut_ptr(), &q_layout);
                tensor::quantize(from, &quant, &params, to, parallel, supported).unwrap();
                let codes = (want.q.as_ptr(), &q_layout);
                let to = (RealsMut::of(&mut real), &x_layout);
                tensor::dequantize(codes, &quant, &params, to, parallel, supported).unwrap();
                let to = (fake.as_mut_ptr().cast(), &x_layout);
                tensor::fake_quantize(from, &quant, &params, to, parallel, supported).unwrap();
                let places = (&mut own.scales[..], Some(&mut own.zero_points[..]));
                let to = (own.q.as_mut_ptr(), &q_layout);
                tensor::quantize_dynamic(from, &quant, places, to, parallel, supported).unwrap();
            }
            assert!(got.q == want.q, "quantize: {label}");
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            assert!(real.iter().zip(&back).all(same), "dequantize: {label}");
            assert!(fake.iter().zip(&back).all(same), "fake quantize: {label}");
            assert!(own.scales == want.scales && own.zero_points == want.zero_points, "{label}");
            assert!(own.q == want.q, "dynamic: {label}");
        }
    }
}
