//! Rates of arithmetic, from registers: `peak/fma_f32/avx512/registers`. Twelve independent sums hide
//! the latency of the instruction on the CPUs known, and leave registers for operands.

use crate::timing::{clock, median};
use fewbit::simd::{Isa, Supported};

/// Independent chains.
const CHAINS: usize = 12;
/// Turns of the loop in one call.
const TURNS: usize = 1000;

/// A rate: what is done, with which instructions, how many operations a chain and turn, and the loop.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    what: &'static str,
    isa: Isa,
    operations: usize,
    run: unsafe fn(),
}

/// Instructions whose sums of products of int8 are exact whatever the operands.
const EXACT: [&str; 5] =
    ["vpdpbusd_s8s32", "vpmaddwd_s16s32", "smmla_s8s32", "sdot_s8s32", "smlal_s16s32"];

impl Peak {
    /// Whether what is measured under this name multiplies int8 exactly.
    pub fn is_exact(what: &str) -> bool {
        EXACT.contains(&what)
    }

    /// Those of a set of features.
    pub fn all(supported: Supported) -> Vec<Peak> {
        let mut peaks = arch::peaks();
        peaks.retain(|peak| supported.has(peak.isa.closure()));
        peaks
    }

    /// Its part of an id: `peak/fma_f32/avx512`.
    pub fn id(&self) -> String {
        format!("peak/{}/{}", self.what, self.isa.name())
    }

    /// Operations of a call.
    pub fn operations(&self) -> usize {
        self.operations * CHAINS * TURNS
    }

    /// A call.
    pub fn call(&self) {
        // SAFETY: `all` gives those only that the CPU has the features of.
        unsafe { (self.run)() }
    }

    /// Billions of operations a second, now: the median of some milliseconds.
    pub fn rate(&self) -> f64 {
        let time = || clock(20, || self.call());
        time();
        self.operations() as f64 / median((0..25).map(|_| time()).collect())
    }

    /// The fastest exact way of a set to multiply int8, and its rate now; `None` where no instruction is known.
    pub fn best_int8(supported: Supported) -> Option<(Peak, f64)> {
        let exact = |peak: &Peak| Peak::is_exact(peak.what);
        let rates = Peak::all(supported).into_iter().filter(exact).map(|peak| (peak, peak.rate()));
        rates.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// A loop of `CHAINS` values, each `$next` of itself again and again. `$any` hides a value from the
/// optimiser, so that nothing is known of it and nothing moves out of the loop.
macro_rules! peak {
    (
        $what:literal, $isa:expr, $operations:expr, $features:literal,
        $any:ident, $first:expr, $other:expr, |$acc:ident, $a:ident| $next:expr
    ) => {{
        #[target_feature(enable = $features)]
        unsafe fn run() {
            let (first, other) = ($first, $other);
            // SAFETY: compiled for the instructions; none touches memory.
            unsafe {
                let mut chains = [$any(first); CHAINS];
                let mut $a = $any(other);
                for _ in 0..TURNS {
                    for $acc in &mut chains {
                        *$acc = $next;
                        $a = $any($a);
                    }
                }
                for chain in chains {
                    $any(chain);
                }
            }
        }
        Peak { what: $what, isa: $isa, operations: $operations, run }
    }};
}

/// Functions that give a value back as if it had been computed, without an instruction.
macro_rules! hide {
    ($($name:ident: $v:ty, $class:ident, $features:literal, $template:literal;)*) => {$(
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $name(mut v: $v) -> $v {
            // SAFETY: no instruction.
            unsafe {
                core::arch::asm!($template, inout($class) v,
                    options(nomem, nostack, preserves_flags));
            }
            v
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::*;
    use core::arch::x86_64::*;

    hide! {
        any_512: __m512, zmm_reg, "avx512f", "/* {0} */";
        any_512i: __m512i, zmm_reg, "avx512f", "/* {0} */";
        any_256: __m256, ymm_reg, "avx2", "/* {0} */";
        any_256i: __m256i, ymm_reg, "avx2", "/* {0} */";
    }

    pub fn peaks() -> Vec<Peak> {
        use Isa::{Avx2, Avx512, Avx512Vnni, AvxVnni};
        vec![
            peak!(
                "fma_f32",
                Avx512,
                2 * 16,
                "avx512f",
                any_512,
                _mm512_set1_ps(1.0),
                _mm512_set1_ps(0.5),
                |acc, a| _mm512_fmadd_ps(*acc, a, a)
            ),
            peak!(
                "fma_f32",
                Avx2,
                2 * 8,
                "avx2,fma",
                any_256,
                _mm256_set1_ps(1.0),
                _mm256_set1_ps(0.5),
                |acc, a| _mm256_fmadd_ps(*acc, a, a)
            ),
            peak!(
                "div_f32",
                Avx512,
                16,
                "avx512f",
                any_512,
                _mm512_set1_ps(1.0),
                _mm512_set1_ps(1.001),
                |acc, a| _mm512_div_ps(*acc, a)
            ),
            peak!(
                "div_f32",
                Avx2,
                8,
                "avx2,fma",
                any_256,
                _mm256_set1_ps(1.0),
                _mm256_set1_ps(1.001),
                |acc, a| _mm256_div_ps(*acc, a)
            ),
            peak!(
                "vpdpbusd_s8s32",
                Avx512Vnni,
                2 * 64,
                "avx512f,avx512vnni",
                any_512i,
                _mm512_set1_epi8(1),
                _mm512_set1_epi8(3),
                |acc, a| _mm512_dpbusd_epi32(*acc, a, a)
            ),
            peak!(
                "vpdpbusd_s8s32",
                AvxVnni,
                2 * 32,
                "avx2,avxvnni",
                any_256i,
                _mm256_set1_epi8(1),
                _mm256_set1_epi8(3),
                |acc, a| _mm256_dpbusd_avx_epi32(*acc, a, a)
            ),
            peak!(
                "vpmaddwd_s16s32",
                Avx512,
                2 * 32,
                "avx512f,avx512bw",
                any_512i,
                _mm512_set1_epi8(1),
                _mm512_set1_epi8(3),
                |acc, a| _mm512_add_epi32(*acc, _mm512_madd_epi16(a, a))
            ),
            // Exact for bounded operands only: where weights are known to be small.
            peak!(
                "vpmaddubsw_s8s32",
                Avx2,
                2 * 32,
                "avx2",
                any_256i,
                _mm256_set1_epi8(1),
                _mm256_set1_epi8(3),
                |acc, a| _mm256_add_epi32(
                    *acc,
                    _mm256_madd_epi16(_mm256_maddubs_epi16(a, a), _mm256_set1_epi16(1))
                )
            ),
            peak!(
                "vpmaddwd_s16s32",
                Avx2,
                2 * 16,
                "avx2",
                any_256i,
                _mm256_set1_epi8(1),
                _mm256_set1_epi8(3),
                |acc, a| _mm256_add_epi32(*acc, _mm256_madd_epi16(a, a))
            ),
        ]
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::*;
    use core::arch::aarch64::*;
    use core::arch::asm;

    hide! {
        any_f32: float32x4_t, vreg, "neon", "/* {0:v} */";
        any_s32: int32x4_t, vreg, "neon", "/* {0:v} */";
    }

    /// The intrinsic is unstable.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn sdot(mut acc: int32x4_t, a: int32x4_t) -> int32x4_t {
        // SAFETY: registers only.
        unsafe {
            asm!("sdot {0:v}.4s, {1:v}.16b, {1:v}.16b", inout(vreg) acc, in(vreg) a,
                options(nomem, nostack, preserves_flags));
        }
        acc
    }

    /// Likewise.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn smmla(mut acc: int32x4_t, a: int32x4_t) -> int32x4_t {
        // SAFETY: registers only.
        unsafe {
            asm!("smmla {0:v}.4s, {1:v}.16b, {1:v}.16b", inout(vreg) acc, in(vreg) a,
                options(nomem, nostack, preserves_flags));
        }
        acc
    }

    pub fn peaks() -> Vec<Peak> {
        vec![
            peak!(
                "smmla_s8s32",
                Isa::NeonI8mm,
                2 * 32,
                "neon,i8mm",
                any_s32,
                vdupq_n_s32(1),
                vdupq_n_s32(3),
                |acc, a| smmla(*acc, a)
            ),
            peak!(
                "fma_f32",
                Isa::Neon,
                2 * 4,
                "neon",
                any_f32,
                vdupq_n_f32(1.0),
                vdupq_n_f32(0.5),
                |acc, a| vfmaq_f32(a, *acc, a)
            ),
            peak!(
                "div_f32",
                Isa::Neon,
                4,
                "neon",
                any_f32,
                vdupq_n_f32(1.0),
                vdupq_n_f32(1.001),
                |acc, a| vdivq_f32(*acc, a)
            ),
            peak!(
                "sdot_s8s32",
                Isa::NeonDotprod,
                2 * 16,
                "neon,dotprod",
                any_s32,
                vdupq_n_s32(1),
                vdupq_n_s32(3),
                |acc, a| sdot(*acc, a)
            ),
            peak!(
                "smlal_s16s32",
                Isa::Neon,
                2 * 4,
                "neon",
                any_s32,
                vdupq_n_s32(1),
                vdupq_n_s32(3),
                |acc, a| vmlal_high_s16(*acc, vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(a))
            ),
        ]
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    pub fn peaks() -> Vec<super::Peak> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit_testkit::limited;

    #[test]
    fn rates_are_of_this_world() {
        for peak in Peak::all(limited()) {
            let rate = peak.rate();
            assert!(rate > 0.01 && rate < 1e5, "{}: {rate}", peak.id());
        }
        assert!(Peak::all(Supported::SCALAR).is_empty());
    }
}
