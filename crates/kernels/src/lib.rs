//! fewbit's kernels: one module an op, one generic body, one row of the [`registry`] a kernel.
#![no_std]

pub mod registry;
