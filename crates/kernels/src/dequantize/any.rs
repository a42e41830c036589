//! Codes of any format, the packed ones among them.

use super::{
    DequantizeArgs, DequantizeFn, S8_BF16, S8_F16, S8_F32, S16_BF16, S16_F16, S16_F32, U8_BF16,
    U8_F16, U8_F32,
};
use crate::Rows;
use crate::registry::{Bound, best};
use fewbit_scheme::{IntFormat, RealFormat, pack};
use fewbit_simd::Supported;

/// Codes at a time on their way from packed bytes.
const STAGE: usize = 512;

/// The kernels that read codes of a format: of a byte, of two, or, unpacked before, of less.
#[derive(Clone, Copy)]
pub struct Any {
    real: RealFormat,
    format: IntFormat,
    kernel: Bound<DequantizeFn>,
}

impl Any {
    /// The best kernel from a format of codes to a format of real numbers.
    pub fn new(real: RealFormat, format: IntFormat, supported: Supported) -> Option<Any> {
        let [s8, u8, s16] = match real {
            RealFormat::F32 => [S8_F32, U8_F32, S16_F32],
            RealFormat::F16 => [S8_F16, U8_F16, S16_F16],
            RealFormat::Bf16 => [S8_BF16, U8_BF16, S16_BF16],
        };
        let table = match format {
            IntFormat::S16 => s16,
            IntFormat::S8 | IntFormat::S4 | IntFormat::S2 | IntFormat::B1 => s8,
            IntFormat::U8 | IntFormat::U4 | IntFormat::U1 => u8,
        };
        Some(Any { real, format, kernel: best(table, supported)? })
    }

    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Dequantizes as the kernels do; the codes of element 0 are at code `src_first` of the array at
    /// `src`, and strides of `src` count codes: s16 codes are two bytes each, and those of less than a
    /// byte are packed, so that an element is not an address.
    ///
    /// # Safety
    /// As [`DequantizeFn`].
    pub unsafe fn run(&self, args: &DequantizeArgs, src_first: usize) {
        // SAFETY: by this function's contract.
        unsafe {
            match self.format {
                IntFormat::S8 | IntFormat::U8 => {
                    self.kernel.run()(&DequantizeArgs {
                        src: args.src.wrapping_add(src_first),
                        ..*args
                    });
                }
                IntFormat::S16 => {
                    self.kernel.run()(&DequantizeArgs {
                        src: args.src.wrapping_add(2 * src_first),
                        ..*args
                    });
                }
                _ => self.packed(args, src_first),
            }
        }
    }

    /// # Safety
    /// As [`run`](Any::run), for a format of less than a byte.
    unsafe fn packed(&self, args: &DequantizeArgs, src_first: usize) {
        let Rows { count, src_stride, dst_stride, param_stride } = args.rows;
        let per_byte = self.format.codes_per_byte();
        for row in 0..count {
            let mut done = 0;
            while done < args.n {
                let (byte, slot) = pack::position(
                    self.format,
                    src_first + row * src_stride + done * args.src_stride,
                );
                // One code where codes lie apart.
                let most = if args.src_stride == 1 { STAGE - slot as usize } else { 1 };
                let n = most.min(args.n - done);
                let mut codes = [0i8; STAGE];
                let param = row * param_stride + done * args.param_step;
                let end = slot as usize + n;
                // SAFETY: bytes, elements and parameters of the run; `end <= STAGE` codes.
                unsafe {
                    let bytes =
                        core::slice::from_raw_parts(args.src.add(byte), end.div_ceil(per_byte));
                    pack::unpack(self.format, bytes, codes.get_mut(..end).unwrap_or_default());
                    let zero_points = if args.zero_points.is_null() {
                        args.zero_points
                    } else {
                        args.zero_points.add(param)
                    };
                    self.kernel.run()(&DequantizeArgs {
                        src: codes.as_ptr().add(slot as usize).cast(),
                        src_stride: 1,
                        dst: args
                            .dst
                            .add((row * dst_stride + done * args.dst_stride) * self.real.size()),
                        n,
                        scales: args.scales.add(param),
                        zero_points,
                        rows: Rows::ONE,
                        ..*args
                    });
                }
                done += n;
            }
        }
    }
}
