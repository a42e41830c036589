//! What the benches share: ids, shapes of real layers, and the corpus.
//!
//! An id is `<op>/<types>/<kernel>/<shape>`, so `cargo bench --bench gemm -- avx2` times the AVX2
//! kernels, `-- /64Ki` one size and `-- bert` one network's layers. Every row that the CPU can run within `FEWBIT_ISA` is
//! timed, on one thread, after its result was compared with the portable row's.

mod buffer;
mod traffic;

pub use buffer::Buffer;
pub use traffic::Traffic;

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

/// A layer of a file in `shapes/`: a name and numbers.
pub struct Shape {
    /// The layer.
    pub name: &'static str,
    /// What the file's first line names.
    pub numbers: Vec<usize>,
}

/// The shapes of a file: lines of a name and `count` numbers; `#` begins a comment.
///
/// # Panics
/// If a line is anything else.
pub fn shapes(text: &'static str, count: usize) -> Vec<Shape> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or("");
            let numbers: Vec<usize> = words.map(|word| word.parse().expect(line)).collect();
            assert_eq!(numbers.len(), count, "{line}");
            Shape { name, numbers }
        })
        .collect()
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

    #[test]
    fn files_of_shapes_are_read() {
        assert!(!shapes(include_str!("../shapes/linear.txt"), 3).is_empty());
        assert!(!shapes(include_str!("../shapes/conv.txt"), 7).is_empty());
    }

    /// Convolutions and their multiply-adds, as the networks' authors count them (ResNet-50 4.09, MobileNetV2 0.30,
    /// YOLOv8n 4.37 thousand million, all but 2 and 1 million of the last linear layers).
    #[test]
    fn networks_are_complete() {
        for (network, convolutions, products) in [
            ("resnet50", 53, 4_087_136_256),
            ("mobilenetv2", 52, 299_494_272),
            ("yolo", 63, 4_371_456_000),
        ] {
            let (mut layers, mut sum) = (0, 0);
            for shape in shapes(include_str!("../shapes/conv.txt"), 7) {
                let [size, inputs, outputs, kernel, stride, groups, count] = shape.numbers[..]
                else {
                    unreachable!()
                };
                if shape.name.starts_with(network) {
                    let side = (size + kernel / 2 * 2 - kernel) / stride + 1;
                    layers += count;
                    sum += count * side * side * outputs * (inputs / groups) * kernel * kernel;
                }
            }
            assert_eq!((layers, sum), (convolutions, products), "{network}");
        }
    }
}
