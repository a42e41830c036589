//! Every integer format, one element at a time.

use super::QuantizeArgs;
use crate::Rows;
use fewbit_scheme::{IntFormat, QuantParams, pack};

/// As the kernels of this op, to codes of any format. Code `i` of the run is element `dst_first + i *
/// dst_stride` of the array at `dst`: s16 codes are two bytes each, and those of less than a byte
/// are packed, so that an element is not an address.
///
/// Packed codes that share a byte are written by reading it first: threads must not quantize to the
/// same byte at the same time. The other codes of the byte stay as they are.
///
/// # Safety
/// As [`super::QuantizeFn`], where the elements of `dst` may also be read.
pub unsafe fn any(args: &QuantizeArgs, format: IntFormat, dst_first: usize) {
    let Rows { count, src_stride, dst_stride, param_stride } = args.rows;
    for (row, i) in (0..count).flat_map(|row| (0..args.n).map(move |i| (row, i))) {
        let param = row * param_stride + i * args.param_step;
        // SAFETY: element `i` of either side and its parameter are the caller's.
        unsafe {
            let x = args.src.add(row * src_stride + i * args.src_stride).read_unaligned();
            let scale = args.scales.add(param).read_unaligned();
            let zero_point = if args.zero_points.is_null() {
                0
            } else {
                args.zero_points.add(param).read_unaligned()
            };
            let q =
                fewbit_scheme::quantize(x, QuantParams { scale, zero_point }, format, args.mode);
            let element = dst_first + row * dst_stride + i * args.dst_stride;
            match format {
                IntFormat::S8 | IntFormat::U8 => args.dst.add(element).write(q as u8),
                IntFormat::S16 => args.dst.cast::<i16>().add(element).write_unaligned(q as i16),
                _ => {
                    let (byte, slot) = pack::position(format, element);
                    let to = args.dst.add(byte);
                    to.write(pack::set(format, to.read(), slot, q));
                }
            }
        }
    }
}
