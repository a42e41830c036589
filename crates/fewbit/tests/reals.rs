//! Tensors of f16 and bf16: parameters, codes, and back, each element against the contract; fake
//! quantization against quantizing and dequantizing.

use fewbit::granularity::{Granularity, Layout};
use fewbit::scheme::{
    self, IntFormat, ParamSpec, QuantParams, QuantizeMode, Scheme, SymmetricRange, float16, reduce,
};
use fewbit::simd::Supported;
use fewbit::tensor::{self, Bf16, F16, Real, Reals, TensorParams, TensorQuant};
use fewbit::{Serial, Status};
use fewbit_testkit::{Rng, seed, supported_sets};

/// What the tests need to know of a format.
trait Bits: Real + PartialEq + std::fmt::Debug {
    fn of(x: f32) -> Self;
    fn any(bits: u16) -> Self;
    fn value(self) -> f32;
    fn dequantized(q: i32, params: QuantParams) -> Self;
}

impl Bits for F16 {
    fn of(x: f32) -> F16 {
        F16(float16::f32_to_f16(x))
    }

    fn any(bits: u16) -> F16 {
        F16(bits)
    }

    fn value(self) -> f32 {
        float16::f16_to_f32(self.0)
    }

    fn dequantized(q: i32, params: QuantParams) -> F16 {
        F16(scheme::dequantize_f16(q, params))
    }
}

impl Bits for Bf16 {
    fn of(x: f32) -> Bf16 {
        Bf16(float16::f32_to_bf16(x))
    }

    fn any(bits: u16) -> Bf16 {
        Bf16(bits)
    }

    fn value(self) -> f32 {
        float16::bf16_to_f32(self.0)
    }

    fn dequantized(q: i32, params: QuantParams) -> Bf16 {
        Bf16(scheme::dequantize_bf16(q, params))
    }
}

const DIMS: [usize; 3] = [3, 10, 37];

/// The parameter of each element, row-major.
fn params_of_elements(granularity: Granularity) -> Vec<usize> {
    let layout = Layout::contiguous(&DIMS).unwrap();
    let mut owner = vec![0; layout.len()];
    for run in granularity.walk([&layout]).unwrap() {
        for i in 0..run.len {
            owner[run.offsets[0] + i * run.strides[0]] = run.param + i * run.param_step;
        }
    }
    owner
}

fn check<T: Bits>(quant: &TensorQuant, x: &[T], supported: Supported) {
    let label = format!("{:?} {quant:?}", T::FORMAT);
    let layout = Layout::contiguous(&DIMS).unwrap();
    let q_layout = Layout::packed(&DIMS, quant.params.format.codes_per_byte()).unwrap();
    let count = tensor::param_count(&layout, quant).unwrap();
    let owner = params_of_elements(quant.granularity);
    let (mut scales, mut zeros) = (vec![0.0; count], vec![0; count]);
    quant.choose_params(x, &layout, &mut scales, Some(&mut zeros), supported).unwrap();
    for param in 0..count {
        let mine = (0..x.len()).filter(|&i| owner[i] == param).map(|i| x[i].value());
        let (low, high) = reduce::min_max(&mine.collect::<Vec<f32>>());
        let want = scheme::params_from_range(low, high, &quant.params).unwrap();
        assert_eq!((scales[param], zeros[param]), (want.scale, want.zero_point), "{label}");
    }
    let params = TensorParams { scales: &scales, zero_points: &zeros };
    let mut codes = vec![0; tensor::code_bytes(&q_layout, quant.params.format).unwrap()];
    quant.quantize(x, &layout, &params, &mut codes, &q_layout, supported).unwrap();
    let mut back = vec![T::any(0); x.len()];
    quant.dequantize(&codes, &q_layout, &params, &mut back, &layout, supported).unwrap();
    let mut fake = vec![T::any(1); x.len()];
    quant.fake_quantize(x, &layout, &params, &mut fake, &layout, supported).unwrap();
    for i in 0..x.len() {
        let params = QuantParams { scale: scales[owner[i]], zero_point: zeros[owner[i]] };
        let q = scheme::quantize(x[i].value(), params, quant.params.format, quant.mode);
        assert_eq!(back[i], T::dequantized(q, params), "{label}: element {i}");
    }
    assert_eq!(fake, back, "{label}");
    let (mut own_scales, mut own_zeros) = (vec![0.0; count], vec![0; count]);
    let mut own = vec![0; codes.len()];
    let places = (&mut own_scales[..], Some(&mut own_zeros[..]));
    let (from, to) = ((Reals::of(x), &layout), (own.as_mut_ptr(), &q_layout));
    // SAFETY: the vectors cover their layouts.
    unsafe { tensor::quantize_dynamic(from, quant, places, to, &Serial, supported) }.unwrap();
    assert!(own == codes && own_scales == scales && own_zeros == zeros, "{label}");
}

fn everything<T: Bits>() {
    let mut rng = Rng::new(seed() ^ 91);
    let n = DIMS.iter().product();
    let mut x: Vec<T> = (0..n).map(|_| T::of(rng.normal())).collect();
    // Anything that has bits, in one place.
    x[..100].fill_with(|| T::any(rng.next_u32() as u16));
    for granularity in [
        Granularity::PerTensor,
        Granularity::PerAxis { axis: 0 },
        Granularity::PerAxis { axis: 1 },
        Granularity::PerAxis { axis: 2 },
        Granularity::PerBlock { axis: 2, block: 16 },
        Granularity::PerBlock { axis: 1, block: 3 },
    ] {
        for format in IntFormat::ALL {
            for scheme in [Scheme::Affine, Scheme::Symmetric] {
                let range = SymmetricRange::Full;
                let params = ParamSpec { format, scheme, range, power_of_two: false };
                let quant = TensorQuant { params, granularity, mode: QuantizeMode::default() };
                for supported in supported_sets() {
                    check(&quant, &x, supported);
                }
            }
        }
    }
}

#[test]
fn tensors_of_f16() {
    everything::<F16>();
}

#[test]
fn tensors_of_bf16() {
    everything::<Bf16>();
}

#[test]
fn fake_quantization_refuses_what_quantization_does() {
    let quant = TensorQuant {
        params: ParamSpec::symmetric(IntFormat::S8),
        granularity: Granularity::PerAxis { axis: 0 },
        mode: QuantizeMode::default(),
    };
    let layout = Layout::contiguous(&[2, 3]).unwrap();
    let other = Layout::contiguous(&[3, 2]).unwrap();
    let (x, mut y) = ([1.0; 6], [7.0; 6]);
    let params = TensorParams { scales: &[1.0, 1.0], zero_points: &[] };
    let few = TensorParams { scales: &[1.0], zero_points: &[] };
    let fake = |params: &TensorParams, to: &Layout, y: &mut [f32]| {
        let refused = quant.fake_quantize(&x, &layout, params, y, to, Supported::SCALAR);
        refused.unwrap_err()
    };
    let error = fake(&few, &layout, &mut y);
    assert_eq!((error.status, error.argument), (Status::InvalidArgument, "count"));
    let error = fake(&params, &other, &mut y);
    assert_eq!((error.status, error.argument), (Status::InvalidArgument, "y_shape"));
    let error = fake(&params, &layout, &mut y[..5]);
    assert_eq!((error.status, error.argument), (Status::BufferTooSmall, "y"));
    let overlapping = Layout::strided(&[2, 3], &[1, 1]).unwrap();
    let error = fake(&params, &overlapping, &mut y);
    assert_eq!((error.status, error.argument), (Status::Overlap, "y_shape"));
    assert_eq!(y, [7.0; 6]);
}
