//! The elements of tensors whose rows functions are applied to.

use crate::tensor::{Bf16, F16};
use crate::{Code, Result, check_params};
use fewbit_scheme::QuantParams;

/// What a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// 8-bit codes with these parameters: read as by [`fewbit_scheme::dequantize`], made as by [`fewbit_scheme::quantize`],
    /// by division and half to even.
    Codes(Code, QuantParams),
}

impl Element {
    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 | Element::Bf16 => 2,
            Element::Codes(..) => 1,
        }
    }

    /// Checks the parameters, which an error names so.
    pub(super) fn check(self, argument: &'static str) -> Result<()> {
        match self {
            Element::Codes(code, params) => check_params(params, code.format(), argument),
            _ => Ok(()),
        }
    }
}

/// A tensor's elements to read.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// f32.
    F32(&'a [f32]),
    /// f16.
    F16(&'a [F16]),
    /// bf16.
    Bf16(&'a [Bf16]),
    /// s8 codes and their parameters.
    S8(&'a [i8], QuantParams),
    /// u8 codes and their parameters.
    U8(&'a [u8], QuantParams),
}

impl Elements<'_> {
    /// What they are, where, and how many.
    pub(super) fn parts(self) -> (Element, *const u8, usize) {
        match self {
            Elements::F32(x) => (Element::F32, x.as_ptr().cast(), x.len()),
            Elements::F16(x) => (Element::F16, x.as_ptr().cast(), x.len()),
            Elements::Bf16(x) => (Element::Bf16, x.as_ptr().cast(), x.len()),
            Elements::S8(x, params) => {
                (Element::Codes(Code::S8, params), x.as_ptr().cast(), x.len())
            }
            Elements::U8(x, params) => (Element::Codes(Code::U8, params), x.as_ptr(), x.len()),
        }
    }
}

/// A tensor's elements to write.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// f32.
    F32(&'a mut [f32]),
    /// f16.
    F16(&'a mut [F16]),
    /// bf16.
    Bf16(&'a mut [Bf16]),
    /// s8 codes and their parameters.
    S8(&'a mut [i8], QuantParams),
    /// u8 codes and their parameters.
    U8(&'a mut [u8], QuantParams),
}

impl ElementsMut<'_> {
    /// What they are, where, and how many.
    pub(super) fn parts(self) -> (Element, *mut u8, usize) {
        match self {
            ElementsMut::F32(y) => (Element::F32, y.as_mut_ptr().cast(), y.len()),
            ElementsMut::F16(y) => (Element::F16, y.as_mut_ptr().cast(), y.len()),
            ElementsMut::Bf16(y) => (Element::Bf16, y.as_mut_ptr().cast(), y.len()),
            ElementsMut::S8(y, params) => {
                (Element::Codes(Code::S8, params), y.as_mut_ptr().cast(), y.len())
            }
            ElementsMut::U8(y, params) => {
                (Element::Codes(Code::U8, params), y.as_mut_ptr(), y.len())
            }
        }
    }
}
