//! fewbit's kernels: one module an op, one generic body an op, one row of the [`registry`] a
//! kernel. Kernels trust their arguments: checking is their callers'.
//!
//! All arithmetic assumes the default floating-point environment
//! ([`fewbit_simd::with_default_env`]).
#![no_std]

pub mod activate;
pub mod add;
pub mod binary;
pub mod block;
pub mod census;
pub mod convert;
pub mod depthwise;
pub mod dequantize;
mod elementwise;
pub mod gather;
pub mod gemm;
pub mod lookup;
pub mod norm;
pub mod pack;
mod params;
pub mod pool;
pub mod quantize;
mod real;
pub mod real_depthwise;
pub mod real_gemm;
pub mod reduce;
pub mod registry;
pub mod requantize;
pub mod rescale;
pub mod scale;
pub mod softmax;

pub use params::Rows;

use registry::{Row, RowInfo};

/// Every kernel of every op on this architecture, best first within an op, whatever the CPU at hand
/// can run.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    quantize::rows()
        .chain(dequantize::rows())
        .chain(requantize::rows())
        .chain(rescale::rows())
        .chain(lookup::rows())
        .chain(convert::rows())
        .chain(block::rows())
        .chain(pack::rows())
        .chain(reduce::rows())
        .chain(scale::rows())
        .chain(activate::rows())
        .chain(add::rows())
        .chain(softmax::rows())
        .chain(norm::rows())
        .chain(depthwise::rows())
        .chain(real_depthwise::rows())
        .chain(pool::rows())
        .chain(binary::rows())
        .chain(gather::rows())
        .chain(gemm::rows())
        .chain(real_gemm::rows())
        .chain(census::rows())
}

/// A table's rows without their functions. The last row's name is the op and `_scalar`.
fn infos<F>(rows: &'static [Row<F>]) -> impl Iterator<Item = RowInfo> {
    let op = match rows.last() {
        Some(row) => row.name.strip_suffix("_scalar").unwrap_or(row.name),
        None => "",
    };
    rows.iter().map(move |row| RowInfo { op, name: row.name, required: row.required })
}
