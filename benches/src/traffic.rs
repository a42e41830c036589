//! How much memory an op moves, from the types in its name: what its throughput counts, and which
//! limit it is compared with.

/// Bits that an element reads and writes. Parameters, few beside the elements, are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bits read.
    pub read: usize,
    /// Bits written.
    pub write: usize,
}

/// Bits of the types as they stand in names, a type before any that begins it.
const TYPES: [(&str, usize); 25] = [
    ("f8e4m3fn", 8),
    ("f8e5m2", 8),
    ("f32", 32),
    ("s32", 32),
    ("bf16", 16),
    ("f16", 16),
    ("s16", 16),
    ("s8", 8),
    ("u8", 8),
    ("b1", 8), // The kernels have a byte for each code; packing is their caller's.
    ("s4", 4),
    ("u4", 4),
    // Blocks: their codes; the scales are parameters.
    ("q80", 8),
    ("q40", 4),
    ("q41", 4),
    ("q50", 5),
    ("q51", 5),
    ("q4k", 4),
    ("q5k", 5),
    ("q6k", 6),
    ("mxfp8e4m3", 8),
    ("mxfp8e5m2", 8),
    ("mxfp4", 4),
    ("mxint8", 8),
    ("nvfp4", 4),
];

impl Traffic {
    /// Of an op: `f32s8` reads 32 bits and writes 8; a single type is only read.
    pub fn of(op: &str, types: &str) -> Option<Traffic> {
        let (read, rest) = split(types)?;
        let (write, rest) = if rest.is_empty() { (0, rest) } else { split(rest)? };
        if !["", "sat"].contains(&rest) {
            return None;
        }
        // The epilogue reads a factor beside each sum.
        let read = if op == "scale" { read + 32 } else { read };
        // Two operands to a result of the same type.
        let two = op.starts_with("add") || op.starts_with("multiply");
        let read = if two && write > 0 { 2 * read } else { read };
        Some(Traffic { read, write })
    }

    /// Bytes of `n` elements, read plus written.
    pub fn bytes(self, n: usize) -> u64 {
        ((self.read + self.write) * n / 8) as u64
    }

    /// The elements that move so many bytes.
    pub fn elements(self, bytes: u64) -> u64 {
        bytes * 8 / (self.read + self.write) as u64
    }

    /// The limit's name: `r4w1` for 4 bytes read and 1 written.
    pub fn name(self) -> String {
        format!("r{}w{}", self.read as f32 / 8.0, self.write as f32 / 8.0)
    }

    /// The traffic of a limit's name.
    pub fn from_name(name: &str) -> Option<Traffic> {
        let (read, write) = name.strip_prefix('r')?.split_once('w')?;
        let bits = |text: &str| text.parse().ok().map(|bytes: f32| (bytes * 8.0) as usize);
        Some(Traffic { read: bits(read)?, write: bits(write)? })
    }
}

/// The bits of the type that a text begins with, and the rest.
fn split(types: &str) -> Option<(usize, &str)> {
    TYPES.iter().find_map(|&(name, bits)| Some((bits, types.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts;
    use fewbit::kernels::rows;

    #[test]
    fn traffic_follows_from_names() {
        let of = |op, types| Traffic::of(op, types).map(Traffic::name);
        assert_eq!(of("quantize", "f32s8").as_deref(), Some("r4w1"));
        assert_eq!(of("convert", "f8e5m2f32").as_deref(), Some("r1w4"));
        assert_eq!(of("convert", "f32f16sat").as_deref(), Some("r4w2"));
        assert_eq!(of("scale", "s32f32").as_deref(), Some("r8w4"));
        assert_eq!(of("add_fixed", "u8u8").as_deref(), Some("r2w1"));
        assert_eq!(of("min_max", "f32").as_deref(), Some("r4w0"));
        assert_eq!(of("quantize", "f32s4").as_deref(), Some("r4w0.5"));
        assert_eq!(of("quantize", "f64s8"), None);
        assert_eq!(Traffic::from_name("r4w0.5"), Some(Traffic { read: 32, write: 4 }));
        assert_eq!(Traffic { read: 32, write: 4 }.bytes(16), 72);
        assert_eq!(Traffic { read: 32, write: 4 }.elements(72), 16);
    }

    #[test]
    fn the_registry_uses_known_types() {
        // Products are counted by operations, and what decodes their weights is timed in them.
        let other = |op: &str| !op.starts_with("gemm_") && !op.starts_with("decode_");
        for row in rows().filter(|row| other(row.op)) {
            let (op, types) = parts(row.op);
            assert!(Traffic::of(op, types).is_some(), "{}", row.op);
        }
    }
}
