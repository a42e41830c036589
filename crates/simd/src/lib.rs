//! Instruction sets and the vectors built on them: what a CPU can do ([`IsaSet`]), proof that the
//! CPU at hand can do it ([`Supported`]), small vector traits with one backend an instruction set,
//! and the floating-point environment guard. Knows nothing of quantization.
#![no_std]

mod detect;
mod fpenv;
mod isa;
// mod lanes; (until scheme::{real, float16} exist)

pub use fpenv::{FpEnv, with_default_env};
pub use isa::{Isa, IsaError, IsaSet, Supported};
