//! Arithmetics that are asked for by name: products of 16-bit numbers on both sides, which lie in pairs of neighbours along k.

use super::RealTile;
use super::{half, tile};
use crate::registry::RowInfo;
use fewbit_scheme::RealFormat;
use fewbit_simd::IsaSet;

/// How pairs of 16-bit numbers are multiplied and added up. Each is a contract of its own, so that a tile is never the best of a set, only asked
/// for by name; the last row of a table, portable, is what tests hold the others to.
///
/// A number of [`RealTileArgs`](super::RealTileArgs) is a pair, and its `k` counts pairs. Panels are those of [`pack_rhs`](super::pack_rhs) with the
/// tile's `kr`, of as many numbers a column as [`steps`](Paired::steps) pairs have; what is beyond k is 0 on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paired {
    /// [`fewbit_scheme::dot_bf16`]: `vdpbf16ps`. The first number of a pair is in the upper half.
    Bf16Dot,
    /// [`fewbit_scheme::dot_bf16_odd`]: `bfdot`.
    Bf16DotOdd,
    /// [`fewbit_scheme::dot_f16`]: `fmla` of f16.
    F16Fma,
}

impl Paired {
    /// All of them.
    pub const ALL: [Paired; 3] = [Paired::Bf16Dot, Paired::Bf16DotOdd, Paired::F16Fma];

    /// What is multiplied.
    pub const fn format(self) -> RealFormat {
        match self {
            Paired::Bf16Dot | Paired::Bf16DotOdd => RealFormat::Bf16,
            Paired::F16Fma => RealFormat::F16,
        }
    }

    /// Whether the first number of a pair is in its upper half.
    pub const fn is_exchanged(self) -> bool {
        matches!(self, Paired::Bf16Dot)
    }

    /// Pairs for `k` numbers: of [`Bf16DotOdd`](Paired::Bf16DotOdd) two at a time.
    pub const fn steps(self, k: usize) -> usize {
        match self {
            Paired::Bf16Dot | Paired::F16Fma => k.div_ceil(2),
            Paired::Bf16DotOdd => 2 * k.div_ceil(4),
        }
    }

    /// Every tile on this architecture, best first, scalar last.
    pub fn tiles(self) -> &'static [RealTile] {
        match self {
            Paired::Bf16Dot => tile::BF16_DOT,
            Paired::Bf16DotOdd => tile::BF16_DOT_ODD,
            Paired::F16Fma => half::F16_FMA,
        }
    }

    /// The tile that a set of features has the instruction for.
    pub fn select(self, set: IsaSet) -> Option<&'static RealTile> {
        let has = |tile: &&RealTile| tile.row.required != IsaSet::SCALAR;
        self.tiles().iter().filter(has).find(|tile| set.contains(tile.row.required))
    }

    /// The name of the op in tables.
    pub const fn op(self) -> &'static str {
        match self {
            Paired::Bf16Dot => "gemm_bf16bf16f32",
            Paired::Bf16DotOdd => "gemm_bf16bf16f32_odd",
            Paired::F16Fma => "gemm_f16f16f32",
        }
    }
}

/// The rows of these tables.
pub(super) fn rows() -> impl Iterator<Item = RowInfo> {
    Paired::ALL.into_iter().flat_map(|paired| {
        let info = move |tile: &RealTile| RowInfo {
            op: paired.op(),
            name: tile.row.name,
            required: tile.row.required,
        };
        paired.tiles().iter().map(info)
    })
}
