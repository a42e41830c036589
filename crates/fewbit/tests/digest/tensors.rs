//! The digests of tensors under every granularity, with every set of features.

use crate::values::{FORMATS, MODES, floats};
use crate::{Book, Digest};
use fewbit::Serial;
use fewbit::granularity::{Granularity, Layout};
use fewbit::scheme::{IntFormat, ParamSpec, Scheme, SymmetricRange};
use fewbit::simd::Supported;
use fewbit::tensor::{self, Reals, RealsMut, TensorParams, TensorQuant};
use fewbit_testkit::{Rng, supported_sets};

const DIMS: [usize; 3] = [3, 10, 37];

/// Each granularity, over axes of all distances.
const GRANULARITIES: [Granularity; 8] = [
    Granularity::PerTensor,
    Granularity::PerAxis { axis: 0 },
    Granularity::PerAxis { axis: 1 },
    Granularity::PerAxis { axis: 2 },
    Granularity::PerBlock { axis: 1, block: 4 },
    Granularity::PerBlock { axis: 2, block: 16 },
    Granularity::PerBlock { axis: 2, block: 5 },
    Granularity::PerBlock2 { axes: [1, 2], blocks: [3, 8] },
];

pub(crate) fn enter(book: &mut Book) {
    for supported in supported_sets() {
        let (mut params, mut codes, mut reals) = (Digest::new(), Digest::new(), Digest::new());
        let mut rng = Rng::new(0x7E);
        for format in FORMATS {
            for (granularity, mode) in GRANULARITIES.into_iter().zip(MODES.into_iter().cycle()) {
                for strided in [false, true] {
                    let schemes = match format {
                        IntFormat::B1 => &[Scheme::Symmetric][..],
                        _ => &[Scheme::Affine, Scheme::Symmetric],
                    };
                    let spec = ParamSpec {
                        format,
                        scheme: rng.pick(schemes),
                        range: rng.pick(&[SymmetricRange::Narrow, SymmetricRange::Full]),
                        power_of_two: rng.below(4) == 0,
                    };
                    let quant = TensorQuant { params: spec, granularity, mode };
                    let digests = [&mut params, &mut codes, &mut reals];
                    digest(&mut rng, &quant, strided, supported, digests);
                }
            }
        }
        book.enter("tensor.choose_params", supported.set(), params);
        book.enter("tensor.quantize", supported.set(), codes);
        book.enter("tensor.dequantize", supported.set(), reals);
    }
}

/// Parameters, codes and what they stand for, of one random tensor.
fn digest(
    rng: &mut Rng,
    quant: &TensorQuant,
    strided: bool,
    supported: Supported,
    [params, codes, reals]: [&mut Digest; 3],
) {
    let format = quant.params.format;
    let x_layout =
        if strided { Layout::strided(&DIMS, &[1200, 2, 31]) } else { Layout::contiguous(&DIMS) }
            .unwrap();
    let per_byte = format.codes_per_byte();
    let q_layout = if strided {
        // Rows 40 apart, in another order; 40 is a multiple of the codes in a byte.
        Layout::strided(&DIMS, &[40, 120, 1])
    } else {
        Layout::packed(&DIMS, per_byte)
    }
    .unwrap();
    let mut x: Vec<f32> = floats(rng, 1.0, 0)[..26].to_vec();
    x.resize_with(x_layout.extent(), || rng.normal());
    let count = tensor::param_count(&x_layout, quant).unwrap();
    let (mut scales, mut zeros) = (vec![0f32; count], vec![0i32; count]);
    let symmetric = quant.params.scheme == Scheme::Symmetric;
    let zero_points = if symmetric { None } else { Some(&mut zeros[..]) };
    // SAFETY: `x` covers its layout.
    unsafe {
        tensor::choose_params(Reals::of(&x), &x_layout, quant, &mut scales, zero_points, supported)
    }
    .unwrap();
    params.f32s(&scales);
    params.i32s(&zeros);
    let chosen =
        TensorParams { scales: &scales, zero_points: if symmetric { &[] } else { &zeros } };
    let mut q = vec![0u16; tensor::code_bytes(&q_layout, format).unwrap().div_ceil(2)];
    let bytes: *mut u8 = q.as_mut_ptr().cast();
    let mut back = vec![0f32; x_layout.extent()];
    // SAFETY: `x`, `q` and `back` cover their layouts; `q` is aligned to 2.
    unsafe {
        tensor::quantize(
            (Reals::of(&x), &x_layout),
            quant,
            &chosen,
            (bytes, &q_layout),
            &Serial,
            supported,
        )
        .unwrap();
        let to = RealsMut::of(&mut back);
        let from = (bytes.cast_const(), &q_layout);
        tensor::dequantize(from, quant, &chosen, (to, &x_layout), &Serial, supported).unwrap();
    }
    match format {
        IntFormat::S16 => q.iter().for_each(|q| codes.bytes(&q.to_le_bytes())),
        _ => {
            let len = tensor::code_bytes(&q_layout, format).unwrap();
            // SAFETY: `len` bytes of `q`, just written.
            codes.bytes(unsafe { std::slice::from_raw_parts(bytes, len) });
        }
    }
    reals.f32s(&back);
}
