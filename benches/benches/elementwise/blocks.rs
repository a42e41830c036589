//! How rows of block formats are run.

use fewbit::kernels::block::{
    GgufDequantizeFn, GgufQuantizeFn, MxDequantizeFn, MxQuantizeFn, Nvfp4DequantizeFn,
    Nvfp4QuantizeFn,
};
use fewbit::scheme::block::{BLOCK, gguf::Gguf, mx::Mx, nvfp4};
use fewbit_benches::Buffer;

pub fn to_gguf(format: Gguf, x: &Buffer) -> impl Fn(GgufQuantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let (count, bytes) = (n / BLOCK, n / BLOCK * format.block_bytes());
        // SAFETY: `n` numbers and the bytes of their blocks.
        unsafe { run(x.floats()[..n].as_ptr(), dst[..bytes].as_mut_ptr(), count) };
        bytes
    }
}

pub fn from_gguf(format: Gguf, q: &Buffer) -> impl Fn(GgufDequantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let count = n / format.block_len();
        let bytes = count * format.block_bytes();
        // SAFETY: the bytes of `count` blocks, and their numbers.
        unsafe { run(q.bytes()[..bytes].as_ptr(), dst[..4 * n].as_mut_ptr().cast(), count) };
        4 * n
    }
}

pub fn to_mx(format: Mx, x: &Buffer) -> impl Fn(MxQuantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let bytes = format.element_bytes(n);
        let (scales, elements) = dst[..n / BLOCK + bytes].split_at_mut(n / BLOCK);
        // SAFETY: `n` numbers, their scales and elements.
        unsafe { run(x.floats()[..n].as_ptr(), n, scales.as_mut_ptr(), elements.as_mut_ptr()) };
        n / BLOCK + bytes
    }
}

pub fn from_mx(format: Mx, q: &Buffer) -> impl Fn(MxDequantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let bytes = format.element_bytes(n);
        let (scales, elements) = q.bytes()[..n / BLOCK + bytes].split_at(n / BLOCK);
        let to = dst[..4 * n].as_mut_ptr().cast();
        // SAFETY: `n` elements with their scales, and room for their numbers.
        unsafe { run(scales.as_ptr(), elements.as_ptr(), n, to) };
        4 * n
    }
}

pub fn to_nvfp4(x: &Buffer) -> impl Fn(Nvfp4QuantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let blocks = n / nvfp4::BLOCK;
        let (scales, elements) = dst[..blocks + n / 2].split_at_mut(blocks);
        let (from, scales) = (x.floats()[..n].as_ptr(), scales.as_mut_ptr());
        // SAFETY: `n` numbers, their scales and elements.
        unsafe { run(0.01, from, n, scales, elements.as_mut_ptr()) };
        blocks + n / 2
    }
}

pub fn from_nvfp4(q: &Buffer) -> impl Fn(Nvfp4DequantizeFn, usize, &mut [u8]) -> usize {
    move |run, n, dst| {
        let blocks = n / nvfp4::BLOCK;
        let (scales, elements) = q.bytes()[..blocks + n / 2].split_at(blocks);
        let to = dst[..4 * n].as_mut_ptr().cast();
        // SAFETY: `n` elements with their scales, and room for their numbers.
        unsafe { run(0.01, scales.as_ptr(), elements.as_ptr(), n, to) };
        4 * n
    }
}
