//! Block formats: [`BLOCK`] numbers share a scale that is stored with them. The blocks of GGUF files
//! ([`gguf`]) and the microscaling formats of the Open Compute Project ([`mx`]).

pub mod gguf;
pub mod mx;

/// Numbers of a block, of every format here.
pub const BLOCK: usize = 32;
