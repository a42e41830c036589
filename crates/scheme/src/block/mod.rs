//! Block formats: numbers share a scale that is stored with them, [`BLOCK`] of them mostly. The blocks of GGUF files
//! ([`gguf`]), the microscaling formats of the Open Compute Project ([`mx`]), and NVFP4 ([`nvfp4`]).

pub mod gguf;
pub mod mx;
pub mod nvfp4;

/// Numbers of a block, but for the K formats of GGUF and for NVFP4.
pub const BLOCK: usize = 32;
