//! What the benches share: ids, shapes of real layers with their operands, who computes them, and timing in turns.
//!
//! An id is `<op>/<types>/<kernel>/<shape>`, so `cargo bench --bench gemm -- avx2` times the AVX2
//! kernels, `-- /64Ki` one size and `-- bert` one network's layers. Every row that the CPU can run within `FEWBIT_ISA` is
//! timed, on one thread, after its result was compared with the portable row's.

mod base;
mod buffer;
mod case;
pub mod choice;
mod core;
pub mod formats;
pub mod memory;
mod mode;
pub mod networks;
mod ours;
mod peak;
mod shapes;
mod timing;
mod traffic;
mod watch;

pub use self::core::Core;
pub use base::Base;
pub use buffer::Buffer;
pub use case::{Case, Kind};
pub use mode::{Mode, includes, sets, table};
pub use ours::{Ours, Plan};
pub use peak::Peak;
pub use shapes::{Layer, Network, Shape, conv_shapes, linear_shapes, networks as all_networks};
pub use timing::{Effort, Runner, Threads, clock, in_turns, median};
pub use traffic::Traffic;
pub use watch::Watch;

use fewbit_testkit::{Rng, limited, set_name};

/// Sizes of arrays, in elements: those that fit the first cache, the second, the third, and none.
pub const SIZES: [(&str, usize); 4] =
    [("4Ki", 1 << 12), ("64Ki", 1 << 16), ("1Mi", 1 << 20), ("64Mi", 1 << 26)];

/// An op and its types: `quantize` and `f32s8` of `quantize_f32s8`.
pub fn parts(op: &str) -> (&str, &str) {
    op.rsplit_once('_').unwrap_or((op, ""))
}

/// `<op>/<types>/<kernel>` of a row's name and its op's: `quantize_f32s8_avx2` of `quantize_f32s8` is
/// `quantize/f32s8/avx2`.
pub fn id(op: &str, row: &str) -> String {
    let kernel = row.strip_prefix(op).unwrap_or(row).trim_start_matches('_');
    let (op, types) = parts(op);
    format!("{op}/{types}/{kernel}")
}

/// The CPU at hand and the instruction sets that benches may use on it, in words.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model.trim());
    format!("{model}; instruction sets: {}", set_name(limited().set()))
}

/// Numbers that [`activations`] draws before it repeats them: too many for a branch predictor.
const DRAWN: usize = 1 << 18;

/// Normally distributed numbers, as activations are.
pub fn activations(n: usize) -> Buffer {
    let mut rng = Rng::new(1);
    let drawn: Vec<u8> = (0..DRAWN.min(n)).flat_map(|_| rng.normal().to_ne_bytes()).collect();
    Buffer::repeated(&drawn, 4 * n)
}

/// A scale for codes of [`activations`], as calibration gives it: a magnitude over 127. (Of a round one in
/// decimals, such as 0.03, many odd halves are numbers of few bits, so that inputs in f16 and bf16 lie next to
/// ties much more often.)
pub const SCALE: f32 = 3.987 / 127.0;

/// Any codes.
pub fn codes(n: usize) -> Vec<u8> {
    Rng::new(2).bytes(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_four_parts() {
        assert_eq!(id("quantize_f32s8", "quantize_f32s8_avx2"), "quantize/f32s8/avx2");
        assert_eq!(id("gemm_s8s32", "gemm_s8s32_6x16x2_avx2"), "gemm/s8s32/6x16x2_avx2");
        assert_eq!(id("min_max_f32", "min_max_f32_neon"), "min_max/f32/neon");
    }
}
