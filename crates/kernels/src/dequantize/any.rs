//! Codes of any format, the packed ones among them.

use super::{
    DequantizeArgs, DequantizeFn, S8_BF16, S8_F16, S8_F32, S16_BF16, S16_F16, S16_F32, U8_BF16,
    U8_F16, U8_F32,
};
use crate::Rows;
use crate::pack::{PackFn, S4_S8, U4_U8};
use crate::params::further;
use crate::registry::{Bound, Row, best};
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
    nibbles: Bound<PackFn>,
}

impl Any {
    /// The best kernel from a format of codes to a format of real numbers.
    pub fn new(real: RealFormat, format: IntFormat, supported: Supported) -> Option<Any> {
        let table = table_of(real, format);
        let unpack = if format == IntFormat::S4 { S4_S8 } else { U4_U8 };
        let (kernel, nibbles) = (best(table, supported)?, best(unpack, supported)?);
        Some(Any { real, format, kernel, nibbles })
    }

    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Dequantizes as the kernels do; the codes of element 0 are at code `src_first` of the array at
    /// `src`, and strides of `src` count codes: s16 codes are two bytes each, and those of less than a
    /// byte are packed, so that an element is not an address. `signed` is not used, but the format's.
    ///
    /// # Safety
    /// As [`DequantizeFn`].
    pub unsafe fn run(&self, args: &DequantizeArgs, src_first: usize) {
        let args = DequantizeArgs { signed: self.format.qmin() < 0, ..*args };
        // SAFETY: by this function's contract.
        unsafe {
            match self.format {
                IntFormat::S8 | IntFormat::U8 => {
                    self.kernel.run()(&DequantizeArgs {
                        src: args.src.wrapping_add(src_first),
                        ..args
                    });
                }
                IntFormat::S16 => {
                    self.kernel.run()(&DequantizeArgs {
                        src: args.src.wrapping_add(2 * src_first),
                        ..args
                    });
                }
                _ => self.packed(&args, src_first),
            }
        }
    }

    /// # Safety
    /// As [`run`](Any::run), for a format of less than a byte.
    unsafe fn packed(&self, args: &DequantizeArgs, src_first: usize) {
        let DequantizeArgs { src_stride, dst_stride, n, param_step, rows, .. } = *args;
        let per_byte = self.format.codes_per_byte();
        // Short runs one behind the other are staged together.
        let joined = src_stride == 1 && rows.src_stride == n && n <= STAGE / 2;
        let together = if joined { (STAGE - per_byte).checked_div(n).unwrap_or(1) } else { 1 };
        let mut codes = [0i8; STAGE];
        let mut row = 0;
        while row < rows.count {
            let count = together.min(rows.count - row);
            let mut done = 0;
            while done < n {
                let first = src_first + row * rows.src_stride + done * src_stride;
                let (byte, slot) = pack::position(self.format, first);
                let slot = slot as usize;
                // One code where codes lie apart.
                let most = if src_stride == 1 { STAGE - slot } else { 1 };
                let len = most.min(n - done);
                let param = row * rows.param_stride + done * param_step;
                let end = slot + count * len;
                // SAFETY: bytes, elements and parameters of the run; `end <= STAGE` codes, whose bytes exist.
                unsafe {
                    let bytes = args.src.add(byte);
                    if self.format.bits() == 4 {
                        // The last byte's second code, too: there is room for it, as `STAGE` is even.
                        self.nibbles.run()(bytes, codes.as_mut_ptr().cast(), end.div_ceil(2));
                    } else {
                        let bytes = core::slice::from_raw_parts(bytes, end.div_ceil(per_byte));
                        pack::unpack(self.format, bytes, codes.get_mut(..end).unwrap_or_default());
                    }
                    let first = row * rows.dst_stride + done * dst_stride;
                    self.kernel.run()(&DequantizeArgs {
                        src: codes.as_ptr().add(slot).cast(),
                        src_stride: 1,
                        dst: args.dst.add(first * self.real.size()),
                        n: len,
                        scales: args.scales.add(param),
                        zero_points: further(args.zero_points, param),
                        rows: Rows { count, src_stride: len, ..rows },
                        ..*args
                    });
                }
                done += len;
            }
            row += count;
        }
    }
}

/// The table that reads a format's codes, or those that they are when they are unpacked.
pub(crate) fn table_of(real: RealFormat, format: IntFormat) -> &'static [Row<DequantizeFn>] {
    let [s8, u8, s16] = match real {
        RealFormat::F32 => [S8_F32, U8_F32, S16_F32],
        RealFormat::F16 => [S8_F16, U8_F16, S16_F16],
        RealFormat::Bf16 => [S8_BF16, U8_BF16, S16_BF16],
    };
    match format {
        IntFormat::S16 => s16,
        IntFormat::S8 | IntFormat::S4 | IntFormat::S2 | IntFormat::B1 => s8,
        IntFormat::U8 | IntFormat::U4 | IntFormat::U1 => u8,
    }
}
