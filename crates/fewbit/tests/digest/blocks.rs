//! The digests of block formats' tables.

use crate::kernels::each;
use crate::values::floats;
use crate::{Book, Digest};
use fewbit::kernels::block::{self, Nvfp4QuantizeFn};
use fewbit::scheme::block::{BLOCK, gguf::Gguf, mx, mx::Mx, nvfp4};
use fewbit_testkit::Rng;

/// Blocks of every size of numbers, with zeros, ties, NaN and infinities; then any bytes as blocks.
pub(crate) fn enter(book: &mut Book) {
    let mut rng = Rng::new(8);
    let mut x = floats(&mut rng, 1.0, 3000);
    for exponent in 0..=254 {
        let scale = f32::from_bits(exponent << 23);
        x.extend((0..64).map(|_| (rng.below(255) as f32 - 127.0) * 0.5 * scale));
        x.extend((0..64).map(|_| rng.normal() * scale));
    }
    x.truncate(x.len() / BLOCK * BLOCK);
    let count = x.len() / BLOCK;
    let any: Vec<u8> = (0..34 * count).map(|_| rng.next_u32() as u8).collect();
    for format in Gguf::ALL {
        let (quantize, dequantize) = block::gguf(format);
        let count = count * BLOCK / format.block_len();
        // Some are only read.
        if !quantize.is_empty() {
            each(book, quantize, |run, digest| {
                let mut blocks = vec![0; count * format.block_bytes()];
                // SAFETY: as many blocks as the numbers make.
                unsafe { run(x.as_ptr(), blocks.as_mut_ptr(), count) };
                digest.bytes(&blocks);
            });
        }
        each(book, dequantize, |run, digest| {
            let mut back = vec![0f32; x.len()];
            // SAFETY: 32 numbers have no more than 34 bytes.
            unsafe { run(any.as_ptr(), back.as_mut_ptr(), count) };
            digest.f32s(&back);
        });
    }
    for format in Mx::ALL {
        let (quantize, dequantize) = block::mx(format);
        each(book, quantize, |run, digest| {
            for n in (1..BLOCK).chain([x.len()]) {
                let mut scales = vec![0; mx::scale_count(n)];
                let mut elements = vec![0; format.element_bytes(n)];
                // SAFETY: `n` numbers, their scales and elements.
                unsafe { run(x.as_ptr(), n, scales.as_mut_ptr(), elements.as_mut_ptr()) };
                digest.bytes(&scales);
                digest.bytes(&elements);
            }
        });
        each(book, dequantize, |run, digest| {
            for n in (1..BLOCK).chain([x.len() - 1]) {
                let mut back = vec![0f32; n];
                // SAFETY: there are more bytes than `n`, and a scale for each block of them.
                unsafe { run(any.as_ptr(), any[count..].as_ptr(), n, back.as_mut_ptr()) };
                digest.f32s(&back);
            }
        });
    }
    let tensor_scales = [1e-40, 1e-12, 0.013, 1.0, 1e9];
    each(book, block::F32_NVFP4, |run, digest| {
        for (n, scale) in (1..BLOCK).zip(tensor_scales.into_iter().cycle()) {
            digest_nvfp4(run, scale, &x[..n], digest);
        }
        tensor_scales.iter().for_each(|&scale| digest_nvfp4(run, scale, &x, digest));
    });
    each(book, block::NVFP4_F32, |run, digest| {
        for n in (1..BLOCK).chain([x.len() - 1]) {
            let mut back = vec![0f32; n];
            // SAFETY: there are more bytes than `n`, and two scales for each 32 of them.
            unsafe { run(0.013, any.as_ptr(), any[2 * count..].as_ptr(), n, back.as_mut_ptr()) };
            digest.f32s(&back);
        }
    });
}

fn digest_nvfp4(run: Nvfp4QuantizeFn, scale: f32, x: &[f32], digest: &mut Digest) {
    let mut scales = vec![0; nvfp4::scale_count(x.len())];
    let mut elements = vec![0; x.len().div_ceil(2)];
    // SAFETY: numbers, their scales and elements.
    unsafe { run(scale, x.as_ptr(), x.len(), scales.as_mut_ptr(), elements.as_mut_ptr()) };
    digest.bytes(&scales);
    digest.bytes(&elements);
}
