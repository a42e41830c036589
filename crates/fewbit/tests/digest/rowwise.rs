//! The digests of functions of rows: their steps, and whole tensors of every type.

use crate::kernels::each;
use crate::values::floats;
use crate::{Book, Digest};
use fewbit::Serial;
use fewbit::granularity::Layout;
use fewbit::kernels::norm::{self, NormalizeArgs, SquareSumsArgs};
use fewbit::kernels::softmax::{self, SoftmaxArgs};
use fewbit::rowwise::{Elements, ElementsMut, Norm, RowOp};
use fewbit::scheme::float16::{f32_to_bf16, f32_to_f16};
use fewbit::scheme::{self, QuantParams};
use fewbit::tensor::{Bf16, F16};
use fewbit_testkit::{Rng, supported_sets};

/// Lengths of rows, of which one tensor has three.
const LENGTHS: [usize; 7] = [1, 7, 37, 64, 100, 1000, 4096];

/// The steps, on `x`, finite numbers.
pub(crate) fn enter(book: &mut Book, x: &[f32]) {
    let x: Vec<f32> = x.iter().map(|x| if x.abs() > 20.0 { x * 1e-3 } else { *x }).collect();
    for (table, of) in [
        (softmax::PEAKS, 0),
        (softmax::EXPS, 1),
        (softmax::EXP_SUMS, 1),
        (softmax::SOFTMAX, 2),
        (softmax::LOG_SOFTMAX, 2),
    ] {
        each(book, table, |run, digest| {
            for n in LENGTHS {
                let peak = |row: usize| scheme::softmax::peak(&x[row * (n + 1)..][..n]);
                let (mut y, mut peaks) = (vec![0.0; 3 * n], [0, 1, 2].map(peak));
                let mut sums = vec![1.5; 3];
                let args = SoftmaxArgs {
                    src: x.as_ptr(),
                    dst: y.as_mut_ptr(),
                    n,
                    rows: 3,
                    src_stride: n + 1,
                    dst_stride: n,
                    peaks: peaks.as_mut_ptr(),
                    sums: sums.as_mut_ptr(),
                };
                // SAFETY: three rows, and room for what comes of them.
                unsafe { run(&args) };
                match of {
                    0 => digest.f32s(&peaks),
                    1 => digest.f32s(&sums),
                    _ => {}
                }
                digest.f32s(&y);
            }
        });
    }
    each(book, norm::SQUARE_SUMS, |run, digest| {
        for n in LENGTHS {
            let mut sums = vec![0.0; 3];
            let (centers, totals) = ([0.5, -1.0, 1e3], sums.as_mut_ptr());
            let centers = centers.as_ptr();
            let (src, rows, row_stride) = (x.as_ptr(), 3, n + 1);
            // SAFETY: three rows, and room for their sums.
            unsafe { run(&SquareSumsArgs { src, n, rows, row_stride, centers, sums: totals }) };
            digest.f32s(&sums);
        }
    });
    each(book, norm::NORMALIZE, |run, digest| {
        for n in LENGTHS {
            let mut y = vec![0.0; 3 * n];
            let args = NormalizeArgs {
                src: x.as_ptr(),
                dst: y.as_mut_ptr(),
                n,
                rows: 3,
                src_stride: n + 1,
                dst_stride: n,
                centers: [0.5, -1.0, 1e3].as_ptr(),
                factors: [0.37, 1e-3, f32::INFINITY].as_ptr(),
                gamma: x[5..].as_ptr(),
                beta: x[9..].as_ptr(),
            };
            // SAFETY: three rows, as many results, and more numbers than a row has.
            unsafe { run(&args) };
            digest.f32s(&y);
        }
    });
}

/// Whole tensors: every function, type and set of features.
pub(crate) fn tensors(book: &mut Book) {
    let mut rng = Rng::new(0x50F7);
    let lengths = [1, 10, 64, 100, 768, 4097, 9000];
    let values = floats(&mut rng, 1.0, 3 * 9000);
    let gamma: Vec<f32> = (0..9000).map(|_| rng.normal()).collect();
    for supported in supported_sets() {
        let mut digests = [(); 4].map(|()| Digest::new());
        for n in lengths {
            let of = Norm { gamma: Some(&gamma[..n]), beta: Some(&gamma[..n]), epsilon: 1e-12 };
            let ops = [
                RowOp::Softmax,
                RowOp::LogSoftmax,
                RowOp::LayerNorm(of),
                RowOp::RmsNorm(Norm { beta: None, ..of }),
            ];
            // The last row has numbers of every kind.
            let mut x: Vec<f32> = (0..2 * n).map(|i| gamma[i % 9000] * 3.0).collect();
            x.extend(values.iter().take(n));
            let halves: Vec<F16> = x.iter().map(|&x| F16(f32_to_f16(x))).collect();
            let brains: Vec<Bf16> = x.iter().map(|&x| Bf16(f32_to_bf16(x))).collect();
            let codes: Vec<u8> = x.iter().map(|&x| x as i32 as u8).collect();
            let signed: Vec<i8> = codes.iter().map(|&q| q as i8).collect();
            let layout = Layout::contiguous(&[3, n]).unwrap();
            for (op, digest) in ops.iter().zip(&mut digests) {
                let params = QuantParams { scale: 0.01, zero_point: 3 };
                let (mut y, mut half, mut brain) =
                    (vec![0.0f32; 3 * n], vec![F16(0); 3 * n], vec![Bf16(0); 3 * n]);
                let (mut s8, mut u8) = (vec![0i8; 3 * n], vec![0u8; 3 * n]);
                let pairs = [
                    (Elements::F32(&x), ElementsMut::F32(&mut y)),
                    (Elements::F16(&halves), ElementsMut::Bf16(&mut brain)),
                    (Elements::Bf16(&brains), ElementsMut::F16(&mut half)),
                    (Elements::S8(&signed, params), ElementsMut::U8(&mut u8, params)),
                    (Elements::U8(&codes, params), ElementsMut::S8(&mut s8, params)),
                ];
                for (x, y) in pairs {
                    op.run(x, &layout, y, &layout, &Serial, supported).unwrap();
                }
                digest.f32s(&y);
                half.iter().for_each(|h| digest.bytes(&h.0.to_le_bytes()));
                brain.iter().for_each(|h| digest.bytes(&h.0.to_le_bytes()));
                s8.iter().for_each(|q| digest.bytes(&q.to_le_bytes()));
                digest.bytes(&u8);
            }
        }
        let names =
            ["rowwise.softmax", "rowwise.log_softmax", "rowwise.layer_norm", "rowwise.rms_norm"];
        for (name, digest) in names.into_iter().zip(digests) {
            book.enter(name, supported.set(), digest);
        }
    }
}
