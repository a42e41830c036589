//! Instruction sets as a set of features, not a ladder: a CPU may have AVX-VNNI without AVX-512,
//! or the dot product without the matrix product.

/// One instruction-set feature that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Isa {
    /// x86-64: AVX2 together with FMA and F16C.
    Avx2 = 0,
    /// x86-64: AVX-512 F, BW, DQ and VL.
    Avx512 = 1,
    /// x86-64: AVX-512 VNNI (`vpdpbusd` on 512 and, with VL, 256 bits).
    Avx512Vnni = 2,
    /// x86-64: AVX-VNNI (`vpdpbusd` with the VEX encoding, 256 bits).
    AvxVnni = 3,
    /// aarch64: Advanced SIMD, which every aarch64 CPU has.
    Neon = 4,
    /// aarch64: `sdot` and `udot`.
    NeonDotprod = 5,
    /// aarch64: `smmla`, `ummla` and `usmmla`.
    NeonI8mm = 6,
    /// x86-64: AVX-512 VBMI (`vpermb`).
    Avx512Vbmi = 7,
    /// x86-64: AVX-512 VPOPCNTDQ (`vpopcntd`).
    Avx512Vpopcntdq = 8,
    /// x86-64: AVX-512 BF16 (`vdpbf16ps`). Only for products that are asked for by name: it rounds as no other does.
    Avx512Bf16 = 9,
    /// aarch64: FEAT_BF16 (`bfdot`). Only for products that are asked for by name: it rounds to odd.
    NeonBf16 = 10,
    /// aarch64: FEAT_FP16 (`fmla` of f16). Only for products that are asked for by name: it rounds each step to f16.
    NeonFp16 = 11,
}

impl Isa {
    /// Every feature, in bit order.
    pub const ALL: [Isa; 12] = [
        Isa::Avx2,
        Isa::Avx512,
        Isa::Avx512Vnni,
        Isa::AvxVnni,
        Isa::Neon,
        Isa::NeonDotprod,
        Isa::NeonI8mm,
        Isa::Avx512Vbmi,
        Isa::Avx512Vpopcntdq,
        Isa::Avx512Bf16,
        Isa::NeonBf16,
        Isa::NeonFp16,
    ];

    /// The name used by `FEWBIT_ISA`, by kernel names and by reports.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512_vnni",
            Isa::AvxVnni => "avx_vnni",
            Isa::Neon => "neon",
            Isa::NeonDotprod => "neon_dotprod",
            Isa::NeonI8mm => "neon_i8mm",
            Isa::Avx512Vbmi => "avx512_vbmi",
            Isa::Avx512Vpopcntdq => "avx512_vpopcntdq",
            Isa::Avx512Bf16 => "avx512_bf16",
            Isa::NeonBf16 => "neon_bf16",
            Isa::NeonFp16 => "neon_fp16",
        }
    }

    /// The feature alone, as a set.
    pub const fn only(self) -> IsaSet {
        IsaSet(1 << self as u8)
    }

    /// The feature with those it is built on: what naming it as a limit allows.
    pub const fn closure(self) -> IsaSet {
        match self {
            Isa::Avx2 => Isa::Avx2.only(),
            Isa::Avx512 => Isa::Avx2.closure().union(Isa::Avx512.only()),
            Isa::Avx512Vnni => Isa::Avx512.closure().union(Isa::Avx512Vnni.only()),
            Isa::AvxVnni => Isa::Avx2.closure().union(Isa::AvxVnni.only()),
            Isa::Neon => Isa::Neon.only(),
            Isa::NeonDotprod => Isa::Neon.closure().union(Isa::NeonDotprod.only()),
            Isa::NeonI8mm => Isa::NeonDotprod.closure().union(Isa::NeonI8mm.only()),
            Isa::Avx512Vbmi => Isa::Avx512.closure().union(Isa::Avx512Vbmi.only()),
            Isa::Avx512Vpopcntdq => Isa::Avx512.closure().union(Isa::Avx512Vpopcntdq.only()),
            Isa::Avx512Bf16 => Isa::Avx512.closure().union(Isa::Avx512Bf16.only()),
            Isa::NeonBf16 => Isa::Neon.closure().union(Isa::NeonBf16.only()),
            Isa::NeonFp16 => Isa::Neon.closure().union(Isa::NeonFp16.only()),
        }
    }

    /// The feature of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::from_bytes(name.as_bytes())
    }

    fn from_bytes(name: &[u8]) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name().as_bytes() == name)
    }
}

/// A set of [`Isa`] features. A plain value: anyone may build any set, so that kernel selection can
/// be tested for any CPU on any host. The proof that the CPU at hand has a set is [`Supported`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct IsaSet(u32);

impl IsaSet {
    /// No feature: portable scalar code only.
    pub const SCALAR: IsaSet = IsaSet(0);

    /// The set whose bit `i` is the feature `Isa::ALL[i]`; unknown bits are dropped.
    pub const fn from_bits(bits: u32) -> IsaSet {
        IsaSet(bits & ((1 << Isa::ALL.len()) - 1))
    }

    /// Bit `i` is the feature `Isa::ALL[i]`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The features in either set.
    pub const fn union(self, other: IsaSet) -> IsaSet {
        IsaSet(self.0 | other.0)
    }

    /// The features in both sets.
    pub const fn intersection(self, other: IsaSet) -> IsaSet {
        IsaSet(self.0 & other.0)
    }

    /// Whether every feature of `other` is in this set.
    pub const fn contains(self, other: IsaSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// The features, in bit order.
    pub fn iter(self) -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(move |isa| self.contains(isa.only()))
    }

    /// Parses a limit as given to `FEWBIT_ISA`: `native` (everything), `scalar` (nothing), or names
    /// of features separated by commas, each bringing those it is built on.
    ///
    /// # Errors
    /// [`IsaError::Unknown`] where a name is none of these.
    pub fn parse(limit: &str) -> Result<IsaSet, IsaError> {
        let mut set = IsaSet::SCALAR;
        for name in names(limit) {
            match name {
                b"native" => set = set.union(IsaSet::from_bits(u32::MAX)),
                b"scalar" => {}
                name => match Isa::from_bytes(name) {
                    Some(isa) => set = set.union(isa.closure()),
                    None => return Err(IsaError::Unknown),
                },
            }
        }
        Ok(set)
    }
}

/// The names of a limit. (As bytes: splitting a `str` leaves a panic path in the code.)
fn names(limit: &str) -> impl Iterator<Item = &[u8]> {
    limit.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Why a limit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsaError {
    /// The text names no known instruction set.
    Unknown,
    /// The CPU at hand (or the limit in force) lacks this feature.
    Unavailable(Isa),
}

/// Proof that the running CPU has every feature of a set. Built only by detection and by
/// narrowing, so whoever holds one may call kernels that need those features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported(IsaSet);

impl Supported {
    /// Proof of nothing: portable code only.
    pub const SCALAR: Supported = Supported(IsaSet::SCALAR);

    /// Asks the CPU. Costs microseconds, more in a virtual machine: keep the answer.
    pub fn detect() -> Supported {
        Supported(crate::detect::detect())
    }

    /// Takes a proof on the caller's word, so that it can be kept as a number and asking the CPU
    /// (slow in a virtual machine) is done once.
    ///
    /// # Safety
    /// `set` was read from [`Supported::set`] of a proof made in this process.
    pub const unsafe fn assume(set: IsaSet) -> Supported {
        Supported(set)
    }

    /// The proven features.
    pub const fn set(self) -> IsaSet {
        self.0
    }

    /// Whether the features are proven.
    pub const fn has(self, required: IsaSet) -> bool {
        self.0.contains(required)
    }

    /// The proof narrowed to a limit as [`IsaSet::parse`] reads it.
    ///
    /// # Errors
    /// [`IsaError::Unknown`] for a name that is not known and [`IsaError::Unavailable`] for a
    /// feature this proof does not cover: a limit never falls back silently.
    pub fn limited(self, limit: &str) -> Result<Supported, IsaError> {
        let wanted = IsaSet::parse(limit)?;
        for name in names(limit) {
            let needed = Isa::from_bytes(name).map_or(IsaSet::SCALAR, Isa::closure);
            if let Some(missing) = needed.iter().find(|isa| !self.has(isa.only())) {
                return Err(IsaError::Unavailable(missing));
            }
        }
        Ok(self.narrowed(wanted))
    }

    /// The proof narrowed to a set; features outside either are dropped.
    pub const fn narrowed(self, set: IsaSet) -> Supported {
        Supported(self.0.intersection(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_closed_over_what_they_build_on() {
        let vnni = IsaSet::parse("avx512_vnni").unwrap();
        assert!(vnni.contains(Isa::Avx2.only()) && vnni.contains(Isa::Avx512.only()));
        assert!(!vnni.contains(Isa::AvxVnni.only()));
        assert_eq!(IsaSet::parse("scalar"), Ok(IsaSet::SCALAR));
        assert_eq!(IsaSet::parse(" avx2 , neon "), Ok(Isa::Avx2.only().union(Isa::Neon.only())));
        assert!(
            Isa::ALL.into_iter().all(|isa| IsaSet::parse("native").unwrap().contains(isa.only()))
        );
    }

    #[test]
    fn unknown_and_unavailable_names_are_errors() {
        for unknown in ["", "sse9", "AVX2", "avx2,", "avx2;avx512"] {
            assert_eq!(IsaSet::parse(unknown), Err(IsaError::Unknown), "{unknown}");
        }
        assert_eq!(Supported::SCALAR.limited("avx2"), Err(IsaError::Unavailable(Isa::Avx2)));
        assert_eq!(Supported::SCALAR.limited("native"), Ok(Supported::SCALAR));
        assert_eq!(
            Supported::SCALAR.limited("scalar,neon_i8mm"),
            Err(IsaError::Unavailable(Isa::Neon))
        );
    }

    #[test]
    fn narrowing_never_adds() {
        let detected = Supported::detect();
        for bits in 0..1 << Isa::ALL.len() {
            let narrowed = detected.narrowed(IsaSet::from_bits(bits));
            assert!(detected.has(narrowed.set()));
            assert!(IsaSet::from_bits(bits).contains(narrowed.set()));
        }
    }
}
