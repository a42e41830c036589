//! Codes of any format, the packed ones among them.

use super::QuantizeArgs;
use super::bytes::Bytes;
use super::stage::{Stage, by_stages};
use crate::Rows;
use crate::pack::{PackFn, U8_U4};
use crate::registry::{Bound, best};
use core::mem::MaybeUninit;
use core::slice;
use fewbit_scheme::{IntFormat, RealFormat, pack};
use fewbit_simd::Supported;

/// Codes at a time on their way to packed bytes.
const STAGE: usize = 2048;

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
        let mut codes = [MaybeUninit::<i8>::uninit(); STAGE];
        let codes = codes.as_mut_ptr().cast::<i8>();
        by_stages::<STAGE>(args, |stage| {
            let Stage { first, len, row, count } = stage;
            let first = dst_first + row * args.rows.dst_stride + first * args.dst_stride;
            // Rows one behind the other are one; codes that lie apart are stored one by one.
            let joined = args.dst_stride == 1 && args.rows.dst_stride == len;
            let (lines, of_line) = if joined { (1, count * len) } else { (count, len) };
            let (parts, of_part) = if args.dst_stride == 1 { (1, of_line) } else { (of_line, 1) };
            // SAFETY: elements and parameters of the runs; `count * len <= STAGE` codes, which are written before
            // they are read.
            unsafe {
                let of_stage = args.at(stage, self.real.size());
                self.kernel.run(&QuantizeArgs {
                    dst: codes.cast(),
                    dst_stride: 1,
                    rows: Rows { dst_stride: len, ..of_stage.rows },
                    ..of_stage
                });
                for line in 0..lines {
                    for part in 0..parts {
                        let from = codes.add(line * of_line + part * of_part);
                        let codes = slice::from_raw_parts(from, of_part);
                        let at = first + line * args.rows.dst_stride + part * args.dst_stride;
                        store(self.format, self.nibbles, codes, args.dst, at);
                    }
                }
            }
        });
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
