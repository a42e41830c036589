//! Tiles of bits by bits: the same body, with the backends of [`fewbit_simd::dot::Bits`].
//!
//! Register budget: mr * nr / lanes accumulators, nr / lanes vectors of words (two of nibbles where bytes are counted by a
//! table), the lhs word likewise, and what counts bits. Where bytes are counted, their counts are in registers, and the int32
//! sums in the first cache.
//!
//! | backend | mr x nr | accumulators + rhs + lhs + constants | registers |
//! |---|---|---|---|
//! | avx512_vpopcntdq | 12 x 32 | 24 + 2 + 1 | 32 |
//! | avx512 | 6 x 32 | 12 + 4 + 2 + 2 | 32 |
//! | avx2 | 4 x 16 | 8 + 4 + 2 + 2 | 16 |
//! | neon | 4 x 16 | 16 + 4 + 1 | 32 |
//!
//! By how much a common bit counts differs between the three kinds of codes: a backend's kernels are one body (shifted.rs).

use super::shifted::shifted;
use super::tile::{RhsForm, Tile};
use fewbit_simd::dot::Bits;
use fewbit_simd::{Isa, IsaSet};

#[cfg(target_arch = "x86_64")]
shifted!(
    avx512_vpopcntdq,
    Bits<fewbit_simd::dot::Avx512Popcnt>,
    [12, 6, 4, 2, 1],
    2,
    Isa::Avx512Vpopcntdq.closure(),
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
shifted!(
    avx512,
    Bits<fewbit_simd::dot::Avx512Pair>,
    [6, 4, 2, 1],
    2,
    Isa::Avx512.closure(),
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
shifted!(avx2, Bits<fewbit_simd::dot::Avx2Pair>, [4, 3, 2, 1], 2, Isa::Avx2.closure(), "avx2,fma");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
shifted!(neon, Bits<fewbit_simd::dot::NeonPair>, [4, 3, 2, 1], 4, Isa::Neon.closure(), "neon");
shifted!(scalar, Bits<fewbit_simd::dot::ScalarDot>, [2, 1], 2, IsaSet::SCALAR);

/// The table of one kind of codes: its name, and by how much a common bit counts.
macro_rules! tiles {
    ($rhs:ident, $op:literal, $shift:literal) => {
        &[
            #[cfg(target_arch = "x86_64")]
            avx512_vpopcntdq::tile::<$shift>(
                concat!("gemm_", $op, "_12x32x32_avx512_vpopcntdq"),
                RhsForm::$rhs,
            ),
            #[cfg(target_arch = "x86_64")]
            avx512::tile::<$shift>(concat!("gemm_", $op, "_6x32x32_avx512"), RhsForm::$rhs),
            #[cfg(target_arch = "x86_64")]
            avx2::tile::<$shift>(concat!("gemm_", $op, "_4x16x32_avx2"), RhsForm::$rhs),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            neon::tile::<$shift>(concat!("gemm_", $op, "_4x16x32_neon"), RhsForm::$rhs),
            scalar::tile::<$shift>(concat!("gemm_", $op, "_2x8x32_scalar"), RhsForm::$rhs),
        ]
    };
}

pub(super) static TILES_BY_1: &[Tile] = tiles!(BitsBy1, "u1u1s32", 0);
pub(super) static TILES_BY_2: &[Tile] = tiles!(BitsBy2, "u1b1s32", 1);
pub(super) static TILES_BY_4: &[Tile] = tiles!(BitsBy4, "b1b1s32", 2);
