//! Codes of any format, the packed ones among them.

use super::QuantizeArgs;
use super::bytes::Bytes;
use crate::Rows;
use crate::pack::{PackFn, U8_U4};
use crate::registry::{Bound, best};
use fewbit_scheme::{IntFormat, RealFormat, pack};
use fewbit_simd::Supported;

/// Codes at a time on their way to packed bytes.
const STAGE: usize = 512;

/// The kernels that make codes of a format: of a byte, of two, or, packed afterwards, of less.
#[derive(Clone, Copy)]
pub struct Any {
    real: RealFormat,
    format: IntFormat,
    kernel: Bytes,
    nibbles: Bound<PackFn>,
}

impl Any {
    /// The best kernel from a format of real numbers to a format of codes.
    pub fn new(real: RealFormat, format: IntFormat, supported: Supported) -> Option<Any> {
        let kernel = Bytes::new(real, format, supported)?;
        let nibbles = best(U8_U4, supported)?;
        Some(Any { real, format, kernel, nibbles })
    }

    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Quantizes as the kernels do; the codes of element 0 are at code `dst_first` of the array at
    /// `dst`, and strides of `dst` count codes: s16 codes are two bytes each, and those of less than a
    /// byte are packed, so that an element is not an address. `clamp` is not used.
    ///
    /// Packed codes that share a byte with others are written by reading it first: threads must not
    /// quantize to the same byte at the same time. The other codes of the byte stay as they are.
    ///
    /// # Safety
    /// As [`QuantizeFn`](super::QuantizeFn), where the elements of `dst` may also be read; packed runs are contiguous, or
    /// of one code.
    pub unsafe fn run(&self, args: &QuantizeArgs, dst_first: usize) {
        let format = self.format;
        let args = QuantizeArgs { clamp: (format.qmin(), format.qmax()), ..*args };
        // SAFETY: by this function's contract.
        unsafe {
            match format {
                IntFormat::S8 | IntFormat::U8 => {
                    self.kernel
                        .run(&QuantizeArgs { dst: args.dst.wrapping_add(dst_first), ..args });
                }
                IntFormat::S16 => {
                    self.kernel
                        .run(&QuantizeArgs { dst: args.dst.wrapping_add(2 * dst_first), ..args });
                }
                _ => self.packed(&args, dst_first),
            }
        }
    }

    /// # Safety
    /// As [`run`](Any::run), for a format of less than a byte.
    unsafe fn packed(&self, args: &QuantizeArgs, dst_first: usize) {
        let QuantizeArgs { src_stride, dst_stride, n, param_step, rows, .. } = *args;
        // Short runs one behind the other are staged together.
        let joined = dst_stride == 1 && rows.dst_stride == n && n <= STAGE / 2;
        let together = if joined { STAGE.checked_div(n).unwrap_or(1) } else { 1 };
        // One code where codes lie apart.
        let most = if dst_stride == 1 { STAGE } else { 1 };
        let mut row = 0;
        while row < rows.count {
            let count = together.min(rows.count - row);
            let mut done = 0;
            while done < n {
                let len = most.min(n - done);
                let mut codes = [0i8; STAGE];
                let param = row * rows.param_stride + done * param_step;
                // SAFETY: elements and parameters of the run; `count * len <= STAGE` codes.
                unsafe {
                    let zero_points = match args.zero_points.is_null() {
                        true => args.zero_points,
                        false => args.zero_points.add(param),
                    };
                    let first = row * rows.src_stride + done * src_stride;
                    self.kernel.run(&QuantizeArgs {
                        src: args.src.add(first * self.real.size()),
                        dst: codes.as_mut_ptr().cast(),
                        dst_stride: 1,
                        n: len,
                        scales: args.scales.add(param),
                        zero_points,
                        rows: Rows { count, dst_stride: len, ..rows },
                        ..*args
                    });
                    let first = dst_first + row * rows.dst_stride + done * dst_stride;
                    let codes = codes.get(..count * len).unwrap_or_default();
                    store(self.format, self.nibbles, codes, args.dst, first);
                }
                done += len;
            }
            row += count;
        }
    }
}

/// Packs codes from code `first` on.
///
/// # Safety
/// Their bytes can be read and written at `dst`.
unsafe fn store(
    format: IntFormat,
    nibbles: Bound<PackFn>,
    codes: &[i8],
    dst: *mut u8,
    first: usize,
) {
    let per_byte = format.codes_per_byte();
    let (byte, slot) = pack::position(format, first);
    // Up to the end of a byte, whole bytes, and what is left.
    let head = (per_byte - slot as usize).min(codes.len()) % per_byte;
    let (head, rest) = codes.split_at_checked(head).unwrap_or((codes, &[]));
    let whole = rest.len() - rest.len() % per_byte;
    let (whole, tail) = rest.split_at_checked(whole).unwrap_or((rest, &[]));
    // SAFETY: bytes of the codes.
    unsafe {
        let one = |slot: usize, byte: *mut u8, codes: &[i8]| {
            let value = codes
                .iter()
                .zip(slot as u32..)
                .fold(byte.read(), |value, (&q, slot)| pack::set(format, value, slot, q.into()));
            byte.write(value);
        };
        let mut to = dst.add(byte);
        if !head.is_empty() {
            one(slot as usize, to, head);
            to = to.add(1);
        }
        let bytes = whole.len() / per_byte;
        if format.bits() == 4 {
            nibbles.run()(whole.as_ptr().cast(), to, bytes);
        } else if bytes > 0 {
            pack::pack(format, whole, 0, core::slice::from_raw_parts_mut(to, bytes));
        }
        if !tail.is_empty() {
            one(0, to.add(bytes), tail);
        }
    }
}
