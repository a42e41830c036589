//! Every function of `fewbit-ffi` in an archive, with std, and so with the checks of a debug build: a panic ends the program
//! and says where it was.

pub use fewbit_ffi::*;
