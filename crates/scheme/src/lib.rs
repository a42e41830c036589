//! The numeric contract of fewbit, as scalar code: formats, parameters, rounding, saturation,
//! conversion. Every kernel of every instruction set equals these functions bit for bit;
//! `docs/numerics.md` says the same in words.
//!
//! `no_std`, no allocation, no floating-point function beyond the basic operations, which are
//! those of IEEE 754 in the default environment.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod activation;
mod arithmetic;
pub mod block;
pub mod float16;
mod format;
pub mod fp8;
pub mod hazards;
pub mod norm;
pub mod pack;
mod params;
mod pool;
mod product;
mod quantize;
pub mod real;
pub mod reduce;
mod requantize;
pub mod softmax;

pub use activation::Activation;
pub use arithmetic::{
    ADD_SHIFT, AddMultipliers, add, add_fixed, multiply, multiply_fixed, multiply_multiplier,
};
pub use format::{IntFormat, RealFormat};
pub use params::{ParamError, ParamSpec, QuantParams, Scheme, SymmetricRange, params_from_range};
pub use pool::{
    MAX_AVERAGE, MAX_AVERAGE_CODES, average, average_codes, average_codes_multiplier,
    average_multiplier,
};
pub use product::{
    F16_BLOCK, add_bf16_odd, dot, dot_bf16, dot_bf16_odd, dot_f16, dot_with_bias, fma_f16,
    fma_flushed,
};
pub use quantize::{
    QuantizeMode, Quotient, Rounding, dequantize, dequantize_bf16, dequantize_f16, fake_quantize,
    quantize,
};
pub use requantize::{
    FixedMultiplier, FixedRounding, requantize, requantize_fixed, rescale, rescale_fixed, scale,
    scale_blocks,
};
