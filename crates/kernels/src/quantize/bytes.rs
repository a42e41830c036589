//! Codes of a byte or two, from any format of real numbers.

use super::stage::{Stage, by_stages};
use super::{
    BF16_S8, BF16_U8, F16_S8, F16_U8, F32_B1, F32_S8, F32_S16, F32_U8, QuantizeArgs, QuantizeFn,
};
use crate::Rows;
use crate::convert::{self, ConvertArgs, ConvertFn};
use crate::registry::{Bound, best};
use core::mem::MaybeUninit;
use fewbit_scheme::{IntFormat, RealFormat};
use fewbit_simd::Supported;

/// Numbers at a time on their way to f32.
const STAGE: usize = 2048;

/// The kernel whose codes a format's are, or become when they are packed. What is rarely made of f16 and bf16, s16 and
/// b1, has no kernel of its own: the numbers become f32 before, which loses nothing.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    /// Bytes of a number, and of a code.
    sizes: (usize, usize),
    kernel: Bound<QuantizeFn>,
    widen: Option<Bound<ConvertFn>>,
}

impl Bytes {
    /// The best kernel from a format of real numbers to that of codes.
    pub(super) fn new(real: RealFormat, format: IntFormat, supported: Supported) -> Option<Bytes> {
        use IntFormat::*;
        let (table, widen) = match (format, real) {
            (S8 | S4 | S2, RealFormat::F32) => (F32_S8, None),
            (S8 | S4 | S2, RealFormat::F16) => (F16_S8, None),
            (S8 | S4 | S2, RealFormat::Bf16) => (BF16_S8, None),
            (U8 | U4 | U1, RealFormat::F32) => (F32_U8, None),
            (U8 | U4 | U1, RealFormat::F16) => (F16_U8, None),
            (U8 | U4 | U1, RealFormat::Bf16) => (BF16_U8, None),
            (S16 | B1, _) => {
                let table = if format == S16 { F32_S16 } else { F32_B1 };
                let widen = match real {
                    RealFormat::F32 => None,
                    RealFormat::F16 => Some(best(convert::F16_F32, supported)?),
                    RealFormat::Bf16 => Some(best(convert::BF16_F32, supported)?),
                };
                (table, widen)
            }
        };
        let code = if format == S16 { 2 } else { 1 };
        Some(Bytes { sizes: (real.size(), code), kernel: best(table, supported)?, widen })
    }

    /// The kernel's name.
    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Quantizes as the kernels do.
    ///
    /// # Safety
    /// As [`QuantizeFn`].
    pub(super) unsafe fn run(&self, args: &QuantizeArgs) {
        // SAFETY: by this function's contract.
        unsafe {
            match self.widen {
                None => self.kernel.run()(args),
                Some(widen) => self.widened(widen, args),
            }
        }
    }

    /// A function of its own, so that others do without its buffer.
    ///
    /// # Safety
    /// As [`QuantizeFn`].
    #[inline(never)]
    unsafe fn widened(&self, widen: Bound<ConvertFn>, args: &QuantizeArgs) {
        let mut numbers = [MaybeUninit::<f32>::uninit(); STAGE];
        let numbers = numbers.as_mut_ptr();
        let (size, code) = self.sizes;
        by_stages::<STAGE>(args, |stage| {
            let Stage { first, len, row, count } = stage;
            let to = row * args.rows.dst_stride + first * args.dst_stride;
            // SAFETY: elements and parameters of the runs; `count * len <= STAGE` numbers, which are written before
            // they are read.
            unsafe {
                let of_stage = args.at(stage, size);
                // Rows one behind the other are one.
                let joined = args.src_stride == 1 && args.rows.src_stride == len;
                let (lines, n) = if joined { (1, count * len) } else { (count, len) };
                for line in 0..lines {
                    let from = line * args.rows.src_stride * size;
                    widen.run()(&ConvertArgs {
                        src: of_stage.src.add(from),
                        src_stride: args.src_stride,
                        dst: numbers.add(line * len).cast(),
                        dst_stride: 1,
                        n,
                    });
                }
                self.kernel.run()(&QuantizeArgs {
                    src: numbers.cast_const().cast(),
                    src_stride: 1,
                    dst: args.dst.add(to * code),
                    rows: Rows { src_stride: len, ..of_stage.rows },
                    ..of_stage
                });
            }
        });
    }
}
