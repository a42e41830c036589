//! Tiles whose rhs codes have four, two or one bit and are unpacked in the loop: the same body as that of bytes, with the
//! backends of [`fewbit_simd::dot::Few`].
//!
//! Register budget: mr * nr / lanes accumulators, nr / lanes times 8 / bits vectors of unpacked codes (one part after the
//! other where that does not fit), and a vector of lhs bytes. Where products are added in int16 first (`avx2`, `avx512`
//! without VNNI, `neon`), those sums are in registers, and the int32 ones in the first cache until sums are widened.
//!
//! | backend | 4 bits | 2 bits | 1 bit | registers |
//! |---|---|---|---|---|
//! | avx512_vnni, avx512 | 8 x 32: 16 + 4 + 1 | 6 x 32: 12 + 8 + 1 | 4 x 32: 8 + 16 + 1 | 32 |
//! | avx_vnni | 4 x 16: 8 + 4 + 1 | 4 x 8: 4 + 4 + 1 | 4 x 8: 4 + 8 + 1 | 16 |
//! | avx2 | 4 x 16: 8 + 4 + 1 + 1 product + 2 | the same | the same | 16 |
//! | neon_dotprod | 4 x 16: 16 + 8 + 1 | 4 x 8: 8 + 8 + 1 | 4 x 8: 8 + 16 + 1 | 32 |
//! | neon | 4 x 8: 16 (two int16 vectors for one of int32) + 4 + 1 | the same, 2 + 2 codes | the same | 32 |
//!
//! A group's unpacking serves all rows of a tile. There is code for some numbers of rows, and others are taken apart. One row reads half, a quarter or an eighth of the bytes that it would read
//! as int8.

use super::complete::{complete, has_rhs_zero};
use super::portable::portable_row;
use super::rows::{is_whole, leaves_no_row, most_rows};
use super::shifted::shifted;
use super::tile::{MAX_MR, MAX_NR, RhsForm, Tile, TileArgs};
use super::tile::{blocks_of, blocks_row, by_rows, tile_of, tile_row};
use super::{BlocksArgs, BlocksFn};
use crate::registry::Row;
use fewbit_simd::dot::{Dot, Few, ScalarDot};
use fewbit_simd::{Isa, IsaSet};

/// The table of one width: its name, codes in a byte, largest code, and mr and nr / lanes of each backend.
macro_rules! tiles {
    (
        $rhs:ident, $op:literal, $real:literal, $parts:literal, $mask:literal, $kr:literal,
        avx512: $mr512:tt x $nv512:tt = $shape512:literal,
        avx_vnni: $mrv:tt x $nvv:tt = $shapev:literal,
        avx2: $mr2:tt x $nv2:tt = $shape2:literal,
        neon_dotprod: $mrd:tt x $nvd:tt = $shaped:literal,
        neon: $mrn:tt x $nvn:tt = $shapen:literal
    ) => {
        &[
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                $rhs $op $real: concat!($shape512, "x", $kr, "_avx512_vnni"),
                Few<fewbit_simd::dot::Avx512Vnni, $parts, $mask>,
                $mr512,
                $nv512,
                Isa::Avx512Vnni.closure(),
                "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
            ),
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                $rhs $op $real: concat!($shapev, "x", $kr, "_avx_vnni"),
                Few<fewbit_simd::dot::AvxVnni, $parts, $mask>,
                $mrv,
                $nvv,
                Isa::AvxVnni.closure(),
                "avx2,fma,avxvnni"
            ),
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                $rhs $op $real: concat!($shape512, "x", $kr, "_avx512"),
                Few<fewbit_simd::dot::Avx512Pair, $parts, $mask>,
                $mr512,
                $nv512,
                Isa::Avx512.closure(),
                "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
            ),
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                $rhs $op $real: concat!($shape2, "x", $kr, "_avx2"),
                Few<fewbit_simd::dot::Avx2Pair, $parts, $mask>,
                $mr2,
                $nv2,
                Isa::Avx2.closure(),
                "avx2,fma"
            ),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            tile_row!(
                $rhs $op $real: concat!($shaped, "x", $kr, "_neon_dotprod"),
                Few<fewbit_simd::dot::NeonSdot, $parts, $mask>,
                $mrd,
                $nvd,
                Isa::NeonDotprod.closure(),
                "neon,dotprod"
            ),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            tile_row!(
                $rhs $op $real: concat!($shapen, "x", $kr, "_neon"),
                Few<fewbit_simd::dot::NeonPair, $parts, $mask>,
                $mrn,
                $nvn,
                Isa::Neon.closure(),
                "neon"
            ),
            portable_row!(
                $rhs $op $real: concat!("2x8x", $kr, "_scalar"),
                Few<ScalarDot, $parts, $mask>
            ),
        ]
    };
}

pub(super) static TILES_U4: &[Tile] = tiles!(
    U4, "s8u4s32", "s8u4f32", 2, 15, "8",
    avx512: [8, 4, 2, 1] x 2 = "8x32", avx_vnni: [4, 3, 2, 1] x 2 = "4x16", avx2: [4, 3, 2, 1] x 2 = "4x16",
    neon_dotprod: [4, 3, 2, 1] x 4 = "4x16", neon: [4, 3, 2, 1] x 2 = "4x8"
);
pub(super) static TILES_U2: &[Tile] = tiles!(
    U2, "s8u2s32", "s8u2f32", 4, 3, "16",
    avx512: [6, 4, 2, 1] x 2 = "6x32", avx_vnni: [4, 3, 2, 1] x 1 = "4x8", avx2: [4, 3, 2, 1] x 2 = "4x16",
    neon_dotprod: [4, 3, 2, 1] x 2 = "4x8", neon: [4, 3, 2, 1] x 2 = "4x8"
);
/// A backend of codes of one bit: a module with its tile of either kind. Sums are those of bits, moved left for the kind whose
/// bits stand for 2; blocks have code of their own, since theirs are too short for that.
macro_rules! one_bit {
    ($name:ident, $backend:ident, $rows:tt, $nv:tt, $isa:ident, $features:literal) => {
        mod $name {
            use super::*;

            type Of<const MASK: u8> = Few<fewbit_simd::dot::$backend, 8, MASK>;

            shifted!(sums, Of<1>, $rows, $nv, Isa::$isa.closure(), $features);

            /// # Safety
            /// As [`BlocksFn`], on a CPU that has what is required.
            #[target_feature(enable = $features)]
            unsafe fn entry<const MASK: u8>(args: &BlocksArgs) {
                // SAFETY: compiled for the backend; the rest is this function's contract.
                unsafe { by_rows!(
                    args: BlocksArgs, args.tile.rows, |some, N| blocks_of::<Of<MASK>, N, $nv>(some),
                    $rows $rows
                ) }
            }

            pub(super) const fn tile<const MASK: u8>(
                rhs: RhsForm,
                (of_sums, of_blocks): (&'static str, &'static str),
            ) -> Tile {
                // SAFETY: the features required are those that the entry was compiled with.
                let blocks = unsafe {
                    Row::<BlocksFn>::new(of_blocks, Isa::$isa.closure(), entry::<MASK>)
                };
                let sums = match MASK {
                    2 => sums::tile::<1>(of_sums, rhs),
                    _ => sums::tile::<0>(of_sums, rhs),
                };
                Tile { blocks: Some(blocks), ..sums }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
one_bit!(
    avx512_vnni,
    Avx512Vnni,
    [4, 2, 1],
    2,
    Avx512Vnni,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
one_bit!(avx_vnni, AvxVnni, [4, 3, 2, 1], 1, AvxVnni, "avx2,fma,avxvnni");
#[cfg(target_arch = "x86_64")]
one_bit!(avx512, Avx512Pair, [4, 2, 1], 2, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
#[cfg(target_arch = "x86_64")]
one_bit!(avx2, Avx2Pair, [4, 3, 2, 1], 2, Avx2, "avx2,fma");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
one_bit!(neon_dotprod, NeonSdot, [4, 3, 2, 1], 2, NeonDotprod, "neon,dotprod");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
one_bit!(neon, NeonPair, [4, 3, 2, 1], 2, Neon, "neon");

/// The table of one kind of codes of a bit: its name, and the code that a set bit is.
macro_rules! one_bit_tiles {
    ($rhs:ident, $op:literal, $real:literal, $mask:literal) => {
        one_bit_tiles!(
            $rhs, $op, $real, $mask,
            #[cfg(target_arch = "x86_64")] avx512_vnni "_4x32x32_avx512_vnni",
            #[cfg(target_arch = "x86_64")] avx_vnni "_4x8x32_avx_vnni",
            #[cfg(target_arch = "x86_64")] avx512 "_4x32x32_avx512",
            #[cfg(target_arch = "x86_64")] avx2 "_4x16x32_avx2",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            neon_dotprod "_4x8x32_neon_dotprod",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            neon "_4x8x32_neon"
        )
    };
    (
        $rhs:ident, $op:literal, $real:literal, $mask:literal,
        $(#[$cfg:meta] $name:ident $shape:literal),*
    ) => {
        &[
            $(
                #[$cfg]
                $name::tile::<$mask>(
                    RhsForm::$rhs,
                    (concat!("gemm_", $op, $shape), concat!("gemm_", $real, $shape)),
                ),
            )*
            portable_row!($rhs $op $real: "2x8x32_scalar", Few<ScalarDot, 8, $mask>),
        ]
    };
}

pub(super) static TILES_U1: &[Tile] = one_bit_tiles!(U1, "s8u1s32", "s8u1f32", 1);
pub(super) static TILES_B1: &[Tile] = one_bit_tiles!(B1, "s8b1s32", "s8b1f32", 2);
