//! Instruction sets and the vectors built on them: what a CPU can do ([`IsaSet`]), proof that the
//! CPU at hand can do it ([`Supported`]), small vector traits with one backend an instruction set,
//! and the floating-point environment guard. Knows nothing of quantization.
#![no_std]

mod bytes;
mod detect;
pub mod dot;
mod fpenv;
mod interleave;
mod isa;
mod lanes;
mod lookup;
mod pairs;
mod sqrt;
mod transpose;

pub use bytes::{Bytes, MAX_ADDED};
pub use detect::HalfSupport;
pub use fpenv::{FpEnv, with_default_env};
pub use interleave::{
    flip_bytes, interleave_bytes, interleave_bytes_of_2, interleave_widened,
    interleave_widened_of_2, opaque, prefetch, widen_bytes,
};
pub use isa::{Isa, IsaError, IsaSet, Supported};
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use lanes::Neon;
#[cfg(target_arch = "x86_64")]
pub use lanes::{Avx2, Avx512};
pub use lanes::{HalfLanes, Lanes, Scalar, f32_of_order_key};
#[cfg(target_arch = "x86_64")]
pub use lookup::Avx512Vbmi;
pub use lookup::Lookup;
pub use pairs::{MAX_PAIR_CHANNELS, Pairs, ThreeRows};
pub use sqrt::sqrt;
pub use transpose::transpose;
