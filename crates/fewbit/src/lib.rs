//! fewbit: quantization kernels for CPUs.
//!
//! The safe Rust API: tensors and their parameters, plans that pack weights once and run many
//! times, the instruction-set limit, and the errors. The C ABI (`fewbit-ffi`) is a thin layer over
//! this crate. Nothing allocates but the creation of plans, nothing spawns threads, and results are
//! the same bits on every instruction set, thread count and split; see `docs/numerics.md`.
//!
//! Functions require the default floating-point environment, which Rust assumes anyway; the C ABI
//! puts it in place.
//!
//! Features, none of them on by default: `rayon` adds `RayonPool`, rayon's threads for runs. It needs std; without it the
//! crate needs none.
#![no_std]

#[cfg(test)]
extern crate std;

mod binary;
mod concat;
mod conv;
pub mod dispatch;
mod error;
pub mod half;
mod linear;
pub mod memory;
pub mod observe;
mod parallel;
mod plan;
mod pool;
#[cfg(feature = "rayon")]
mod rayon_pool;
pub mod rowwise;
pub mod tensor;

pub use binary::{BinaryDesc, add, add_raw, multiply, multiply_raw};
pub use concat::{ConcatDesc, Piece, concat, concat_raw};
pub use conv::{Conv, ConvAxis, ConvDesc, ConvRun, FilterLayout, ImageLayout, RealConvDesc};
pub use error::{Error, Result, Status, Value};
pub use linear::{
    Gemm, GemmDesc, GemmGroup, GemmProblem, GemmRun, Linear, LinearBatch, LinearDesc, LinearGroup,
    LinearLayout, LinearProblem, LinearRun, RealLinearDesc,
};
pub use parallel::{MIN_OPERATIONS, Parallel, Serial};
pub use plan::{
    ActivationMode, Bias, Code, DynamicSpec, Input, Output, OutputParams, RealWeights, Residual,
    View, ViewMut, Weights, Workspace, check_params,
};
pub use pool::{Average, PoolDesc, average_pool, average_pool_raw, max_pool, max_pool_raw};
#[cfg(feature = "rayon")]
pub use rayon_pool::RayonPool;

pub use fewbit_scheme::Activation;

pub use fewbit_calibrate as calibrate;
pub use fewbit_granularity as granularity;
pub use fewbit_kernels as kernels;
pub use fewbit_scheme as scheme;
pub use fewbit_simd as simd;
