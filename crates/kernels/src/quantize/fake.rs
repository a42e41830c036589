//! Quantizing and dequantizing, by the kernels of both: a stage of codes at a time, which stays in the nearest
//! cache. (Kernels that did both at once were a quarter of the code of quantize, for what inference does not run. Results larger
//! than the caches went around them.)

use super::QuantizeArgs;
use super::bytes::Bytes;
use super::stage::{Stage, by_stages};
use crate::Rows;
use crate::dequantize::{self, DequantizeArgs, DequantizeFn};
use crate::registry::{Bound, best};
use core::mem::MaybeUninit;
use fewbit_scheme::{IntFormat, RealFormat};
use fewbit_simd::Supported;

/// Codes at a time, of a byte or two each.
const STAGE: usize = 4096;

/// The kernels that quantize and those that dequantize.
#[derive(Clone, Copy)]
pub struct Fake {
    real: RealFormat,
    format: IntFormat,
    quantize: Bytes,
    dequantize: Bound<DequantizeFn>,
}

impl Fake {
    /// The best kernels for a format of real numbers, by codes of a format.
    pub fn new(real: RealFormat, format: IntFormat, supported: Supported) -> Option<Fake> {
        let quantize = Bytes::new(real, format, supported)?;
        let dequantize = best(dequantize::table_of(real, format), supported)?;
        Some(Fake { real, format, quantize, dequantize })
    }

    /// Quantizes and dequantizes: `dst` gets real numbers in the format of `src`. `clamp` is not used.
    ///
    /// # Safety
    /// As [`QuantizeFn`](super::QuantizeFn), where `dst` holds real numbers.
    pub unsafe fn run(&self, args: &QuantizeArgs) {
        let mut codes = [MaybeUninit::<i16>::uninit(); STAGE];
        let codes = codes.as_mut_ptr().cast::<u8>();
        let clamp = (self.format.qmin(), self.format.qmax());
        by_stages::<STAGE>(args, |stage| {
            let Stage { first, len, row, count } = stage;
            let to = (row * args.rows.dst_stride + first * args.dst_stride) * self.real.size();
            // SAFETY: elements and parameters of the runs; `count * len <= STAGE` codes, which are written before
            // they are read.
            unsafe {
                let of_stage = args.at(stage, self.real.size());
                self.quantize.run(&QuantizeArgs {
                    dst: codes,
                    dst_stride: 1,
                    rows: Rows { dst_stride: len, ..of_stage.rows },
                    clamp,
                    ..of_stage
                });
                self.dequantize.run()(&DequantizeArgs {
                    src: codes.cast_const(),
                    src_stride: 1,
                    signed: self.format.qmin() < 0,
                    dst: args.dst.add(to),
                    dst_stride: args.dst_stride,
                    n: len,
                    scales: of_stage.scales,
                    zero_points: of_stage.zero_points,
                    param_step: args.param_step,
                    rows: Rows { count, src_stride: len, ..args.rows },
                });
            }
        });
    }
}
