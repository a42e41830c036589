//! Every integer format, one element at a time.

use super::DequantizeArgs;
use crate::Rows;
use fewbit_scheme::{IntFormat, QuantParams, pack};

/// As the kernels of this op, from codes of any format. Code `i` of the run is element `src_first +
/// i * src_stride` of the array at `src`: s16 codes are two bytes each, and those of less than a
/// byte are packed, so that an element is not an address.
///
/// # Safety
/// As [`super::DequantizeFn`].
pub unsafe fn any(args: &DequantizeArgs, format: IntFormat, src_first: usize) {
    let Rows { count, src_stride, dst_stride, param_stride } = args.rows;
    for (row, i) in (0..count).flat_map(|row| (0..args.n).map(move |i| (row, i))) {
        let param = row * param_stride + i * args.param_step;
        let element = src_first + row * src_stride + i * args.src_stride;
        // SAFETY: element `i` of either side and its parameter are the caller's.
        unsafe {
            let q = match format {
                IntFormat::S8 => i32::from(args.src.add(element).cast::<i8>().read()),
                IntFormat::U8 => i32::from(args.src.add(element).read()),
                IntFormat::S16 => i32::from(args.src.cast::<i16>().add(element).read_unaligned()),
                _ => {
                    let (byte, slot) = pack::position(format, element);
                    pack::get(format, args.src.add(byte).read(), slot)
                }
            };
            let scale = args.scales.add(param).read_unaligned();
            let zero_point = if args.zero_points.is_null() {
                0
            } else {
                args.zero_points.add(param).read_unaligned()
            };
            let x = fewbit_scheme::dequantize(q, QuantParams { scale, zero_point });
            args.dst.add(row * dst_stride + i * args.dst_stride).write_unaligned(x);
        }
    }
}
