//! The C ABI of fewbit. Every exported function is here, documented as it stands in `include/fewbit.h`,
//! which is generated from this crate.
//!
//! An entry checks everything before it writes anything, puts the default floating-point environment in
//! place where it computes with floats (the caller's control and sticky bits are back on return), and
//! returns a status. None panics: the shipped library holds no panic path, which a test reads from its
//! symbols.
//!
//! Families of functions can be left out: the features of this crate, all on by default. What only they use is then left out
//! by the linker, as it is not called.
#![no_std]
#![cfg_attr(
    not(feature = "default"),
    allow(dead_code, unused_imports, reason = "what families that are left out share")
)]
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the documentation is the header's, whose @param[in] looks like a link"
)]

#[cfg(test)]
extern crate std;

mod arrays;
mod batch;
#[cfg(feature = "block-formats")]
mod block;
mod block_formats;
mod boundary;
#[cfg(feature = "layers")]
mod codes;
#[cfg(feature = "conv")]
mod conv;
mod convert;
mod describe;
mod gemm;
mod half;
mod handle;
mod linear;
#[cfg(feature = "observers")]
mod observe;
mod pack;
mod packed;
mod plans;
#[cfg(feature = "layers")]
mod pool;
mod real;
mod reduce;
mod requantize;
#[cfg(feature = "row-functions")]
mod rowwise;
mod status;
mod sums;
mod tensors;
mod version;

pub use arrays::*;
pub use batch::*;
#[cfg(feature = "block-formats")]
pub use block::*;
pub use block_formats::*;
pub use boundary::{fewbit_parallel_for, fewbit_task};
#[cfg(feature = "layers")]
pub use codes::*;
#[cfg(feature = "conv")]
pub use conv::*;
pub use convert::*;
pub use describe::*;
pub use gemm::{
    fewbit_gemm, fewbit_gemm_args, fewbit_gemm_create, fewbit_gemm_desc, fewbit_gemm_destroy,
    fewbit_gemm_grouped_workspace, fewbit_gemm_problem, fewbit_gemm_run, fewbit_gemm_run_dynamic,
    fewbit_gemm_run_grouped, fewbit_gemm_run_grouped_dynamic, fewbit_gemm_run_range,
    fewbit_gemm_workspace,
};
pub use half::*;
pub use linear::*;
#[cfg(feature = "observers")]
pub use observe::*;
pub use pack::*;
pub use packed::*;
pub use plans::{
    FEWBIT_ACTIVATION_CLAMP, FEWBIT_ACTIVATION_GELU, FEWBIT_ACTIVATION_GELU_TANH,
    FEWBIT_ACTIVATION_HARD_SWISH, FEWBIT_ACTIVATION_LEAKY_RELU, FEWBIT_ACTIVATION_MODE_FLOAT,
    FEWBIT_ACTIVATION_MODE_TABLE, FEWBIT_ACTIVATION_NONE, FEWBIT_ACTIVATION_RELU,
    FEWBIT_ACTIVATION_SIGMOID, FEWBIT_ACTIVATION_SILU, FEWBIT_ACTIVATION_TANH, FEWBIT_INPUT_CODES,
    FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_INPUT_DYNAMIC_PER_TENSOR, FEWBIT_INPUT_REAL,
    FEWBIT_INPUT_STATIC, FEWBIT_OUTPUT_DYNAMIC_PER_ROW, FEWBIT_OUTPUT_FIXED_POINT,
    FEWBIT_OUTPUT_STATIC, FEWBIT_WEIGHTS_GGUF, FEWBIT_WEIGHTS_MX, FEWBIT_WEIGHTS_NVFP4,
    fewbit_allocator, fewbit_bias, fewbit_input, fewbit_output, fewbit_residual, fewbit_weights,
};
#[cfg(feature = "layers")]
pub use pool::*;
pub use reduce::*;
pub use requantize::*;
#[cfg(feature = "row-functions")]
pub use rowwise::*;
pub use status::{
    FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_INTERNAL, FEWBIT_ERROR_INVALID_ARGUMENT,
    FEWBIT_ERROR_ISA, FEWBIT_ERROR_LIMIT_EXCEEDED, FEWBIT_ERROR_MISALIGNED,
    FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_OUT_OF_MEMORY, FEWBIT_ERROR_OVERLAP,
    FEWBIT_ERROR_UNSUPPORTED, FEWBIT_OK, fewbit_error, fewbit_status, fewbit_status_string,
};
pub use sums::*;
pub use tensors::*;
pub use version::*;
