//! Block formats: GGUF, OCP MX and NVFP4.

use crate::input::Input;
use crate::memory::{Given, Memory, everywhere};
use fewbit_ffi::*;

/// One format: numbers to blocks and back, and blocks of any bits.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match (input.flag(), input.flag()) {
        (true, _) => gguf(&mut input),
        (false, true) => mx(&mut input),
        (false, false) => nvfp4(&mut input),
    }
}

fn reals(input: &mut Input, n: usize) -> Memory {
    let bytes: Vec<u8> = input.reals(n).into_iter().flat_map(f32::to_ne_bytes).collect();
    Memory::of(&bytes, 4)
}

fn gguf(input: &mut Input) {
    let made =
        [FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0, FEWBIT_GGUF_Q5_1, FEWBIT_GGUF_Q8_0];
    let read = [FEWBIT_GGUF_Q4_K, FEWBIT_GGUF_Q5_K, FEWBIT_GGUF_Q6_K];
    let format = if input.below(3) == 0 { input.constant(&read) } else { input.constant(&made) };
    let len = if read.contains(&format) { 256 } else { 32 };
    let n = match input.wrong() {
        true => input.below(256),
        false if len == 256 => 256 * input.below(3),
        false => 32 * input.below(6),
    };
    let mut size = 12345usize;
    // SAFETY: one number to write.
    let status = unsafe { fewbit_gguf_size(format, n, &raw mut size) };
    assert_eq!(status != 0, size == 12345, "a size exactly if there is one");
    let known = (made.contains(&format) || read.contains(&format)) && n.is_multiple_of(len);
    assert_eq!(status == 0, known);
    if status != 0 {
        size = 34 * n.div_ceil(32);
    }
    let x = reals(input, n);
    let from = input.pointer(x.start::<f32>(), 4);
    let given = everywhere(|| {
        let blocks = Memory::new(size, 1);
        // SAFETY: n numbers, and as many bytes as the format has for them.
        Given::new(
            unsafe { fewbit_gguf_quantize(format, from, n, blocks.start()) },
            None,
            &[&blocks],
        )
    });
    assert!(given.status != 0 || made.contains(&format), "a format that is read only");
    // What was written, or anything.
    let mut bytes =
        if given.status == 0 && input.flag() { given.outputs } else { input.codes(size) };
    bytes.truncate(size);
    let blocks = Memory::of(&bytes, 1);
    let back = everywhere(|| {
        let y = Memory::new(4 * n, 4);
        // SAFETY: as above.
        Given::new(
            unsafe { fewbit_gguf_dequantize(format, blocks.start(), n, y.start()) },
            None,
            &[&y],
        )
    });
    assert_eq!(back.status == 0, known);
    let code_bytes = if format == FEWBIT_GGUF_Q4_0 { n / 2 } else { n };
    everywhere(|| {
        let (codes, scales, points) =
            (Memory::new(code_bytes, 1), Memory::new(n / 32 * 4, 4), Memory::new(n / 32 * 4, 4));
        // SAFETY: as above, with a scale and a zero point a block.
        let status = unsafe {
            fewbit_gguf_unpack(
                format,
                blocks.start(),
                n,
                codes.start(),
                scales.start(),
                points.start(),
            )
        };
        Given::new(status, None, &[&codes, &scales, &points])
    });
}

fn mx(input: &mut Input) {
    let formats = [FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4, FEWBIT_MXINT8];
    let format = input.constant(&formats);
    let n = input.below(200);
    let (mut scales, mut elements) = (12345usize, 12345usize);
    // SAFETY: two numbers to write.
    let status = unsafe { fewbit_mx_size(format, n, &raw mut scales, &raw mut elements) };
    assert_eq!(status == 0, formats.contains(&format));
    if status != 0 {
        (scales, elements) = (n.div_ceil(32), n);
    }
    let x = reals(input, n);
    let from = input.pointer(x.start::<f32>(), 4);
    let given = everywhere(|| {
        let (scales, elements) = (Memory::new(scales, 1), Memory::new(elements, 1));
        // SAFETY: n numbers, and as many bytes as the format has for them.
        let status =
            unsafe { fewbit_mx_quantize(format, from, n, scales.start(), elements.start()) };
        Given::new(status, None, &[&scales, &elements])
    });
    let written = given.status == 0 && input.flag();
    let any = (input.codes(scales), input.codes(elements));
    let (scale_bytes, element_bytes) = match written {
        true => given.outputs.split_at(scales.max(1)),
        false => (&any.0[..], &any.1[..]),
    };
    let (scales, elements) =
        (Memory::of(&scale_bytes[..scales], 1), Memory::of(&element_bytes[..elements], 1));
    let back = everywhere(|| {
        let y = Memory::new(4 * n, 4);
        // SAFETY: as above.
        let status =
            unsafe { fewbit_mx_dequantize(format, scales.start(), elements.start(), n, y.start()) };
        Given::new(status, None, &[&y])
    });
    assert_eq!(back.status == 0, formats.contains(&format));
}

fn nvfp4(input: &mut Input) {
    let n = input.below(600);
    let x = reals(input, n);
    let scale = input.reals(1).first().copied().unwrap_or(1.0);
    let is_scale = scale > 0.0 && scale.is_finite();
    let of_tensor = everywhere(|| {
        let made = Memory::new(4, 4);
        // SAFETY: one number to write.
        Given::new(unsafe { fewbit_nvfp4_tensor_scale(scale, made.start()) }, None, &[&made])
    });
    if let (0, Ok(made)) = (of_tensor.status, <[u8; 4]>::try_from(&of_tensor.outputs[..])) {
        let made = f32::from_ne_bytes(made);
        assert!(made > 0.0 && made.is_finite(), "a tensor's scale {made}");
    }
    let (scales, elements) = (n.div_ceil(16), n.div_ceil(2));
    let (mut scale_count, mut element_count) = (0usize, 0usize);
    // SAFETY: two numbers to write.
    let status = unsafe { fewbit_nvfp4_size(n, &raw mut scale_count, &raw mut element_count) };
    assert_eq!((status, scale_count, element_count), (0, scales, elements));
    let from = input.pointer(x.start::<f32>(), 4);
    let given = everywhere(|| {
        let (scales, elements) = (Memory::new(scales, 1), Memory::new(elements, 1));
        // SAFETY: n numbers, and as many bytes as the format has for them.
        let status =
            unsafe { fewbit_nvfp4_quantize(scale, from, n, scales.start(), elements.start()) };
        Given::new(status, None, &[&scales, &elements])
    });
    assert!(is_scale || given.status != 0);
    let (of_blocks, codes) =
        (Memory::of(&input.codes(scales), 1), Memory::of(&input.codes(elements), 1));
    let back = everywhere(|| {
        let y = Memory::new(4 * n, 4);
        // SAFETY: as above.
        let status = unsafe {
            fewbit_nvfp4_dequantize(scale, of_blocks.start(), codes.start(), n, y.start())
        };
        Given::new(status, None, &[&y])
    });
    assert_eq!(back.status == 0, is_scale);
}
