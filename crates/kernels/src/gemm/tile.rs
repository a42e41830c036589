//! The tile: up to mr rows of lhs codes times one packed rhs panel of nr columns, over all of k, into
//! int32 sums, zero points and bias included.
//!
//! Register budget: mr * nr / lanes accumulators, nr / lanes rhs vectors and one lhs vector.
//!
//! | backend | mr x nr | accumulators + rhs + lhs | registers |
//! |---|---|---|---|
//! | avx512_vnni, avx512 | 12 x 32 | 24 + 2 + 1 (avx512: + 1 product) | 32 |
//! | avx512_vnni ymm | 12 x 16 | 24 + 2 + 1 | 32 |
//! | avx_vnni, avx2 | 6 x 16 | 12 + 2 + 1 (avx2: + 1 product) | 16 |
//! | neon_dotprod, neon | 4 x 16 | 16 + 4 + 1 (neon: + 2 products) | 32 |
//! | scalar | 2 x 8 | plain code | |
//!
//! (The tile of `smmla` is a file of its own, mmla.rs.) Each k-step loads nr / lanes rhs vectors once and reuses
//! them for all rows; each row's group is broadcast. There is code for each number of rows (AVX-512, where it is
//! long: for some numbers, and others are taken apart), so none is multiplied in vain. Ten independent chains or more hide the 5-cycle latency of two dot-product ports; where few
//! rows give fewer, several k-steps at a time have accumulators of their own, which are added at the end (modulo
//! 2^32 the order of additions does not show). `vpmaddwd` has no chain but that of its additions, a cycle each:
//! there several steps save the loop's instructions.
//!
//! Few rows read each rhs byte for little arithmetic and wait for memory, and so does the first of few blocks that
//! meet a panel: lines of the panel are asked for some steps before they are needed. Panels lie one behind the other,
//! so what lies past a panel's end is the next one's start. What bounds each tile, with figures: docs/int8-gemm.md.

use super::blocks::{BlockSums, BlocksArgs, BlocksFn, add_blocks};
use super::complete::{add_rhs_zero, complete, has_rhs_zero};
use super::portable::portable_row;
use super::rows::{is_whole, leaves_no_row, most_rows};
use crate::params::further;
use crate::registry::Row;
use fewbit_simd::dot::{AHEAD, Dot, LhsForm, Scaling, Steps};
use fewbit_simd::{Isa, IsaSet, opaque, prefetch};

/// The largest mr of any tile.
pub const MAX_MR: usize = 12;
/// The largest nr of any tile.
pub const MAX_NR: usize = 32;

/// One tile's work. Pointers need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct TileArgs {
    /// The first row's first group, of [`LhsForm::group_bytes`].
    pub lhs: *const u8,
    /// Bytes between the same group of neighbouring rows.
    pub lhs_row_stride: usize,
    /// Bytes between neighbouring groups of a row.
    pub lhs_group_stride: usize,
    /// A packed rhs panel.
    pub rhs: *const i8,
    /// k-groups that the lhs has whole.
    pub k_groups: usize,
    /// Bytes of one more group behind them: the lhs ends there, the panel's group is whole. 0 for
    /// [`LhsForm::I16`].
    pub k_rest: usize,
    /// Whether no lhs code, as packed, is beyond -16..=15: more of their products fit where few-bit tiles add them first.
    pub narrow: bool,
    /// Rows to compute, `1..=mr`.
    pub rows: usize,
    /// For each of the panel's nr columns, what its sums start with: the bias, and what a zero point that
    /// all rows share contributes.
    pub start: *const i32,
    /// What each row's sums start with besides: what a zero point that all columns share contributes. NULL: all 0.
    pub row_start: *const i32,
    /// Each row's zero point beyond the shared one, in the packed form. NULL: all 0.
    pub lhs_zero: *const i32,
    /// For each of the panel's nr columns: `K * zw - Σ_k w`, of packed codes. Used with `lhs_zero` only.
    pub rhs_fold: *const i32,
    /// For each of the panel's nr columns: zero point in the packed form. NULL: all 0.
    pub rhs_zero: *const i32,
    /// Each row's Σ_k of packed codes. Used with `rhs_zero` only.
    pub lhs_sum: *const i32,
    /// `rows` rows of nr sums.
    pub dst: *mut i32,
    /// Distance of the rows' first sums.
    pub dst_stride: usize,
}

impl TileArgs {
    /// The rows from number `row` on; how many they are is not told.
    #[inline(always)]
    pub(super) fn rest_from(&self, row: usize) -> TileArgs {
        TileArgs {
            lhs: self.lhs.wrapping_add(row * self.lhs_row_stride),
            row_start: further(self.row_start, row),
            lhs_zero: further(self.lhs_zero, row),
            lhs_sum: further(self.lhs_sum, row),
            dst: self.dst.wrapping_add(row * self.dst_stride),
            ..*self
        }
    }
}

/// A tile kernel.
///
/// # Safety
/// The pointers of [`TileArgs`] are valid for the extents documented there (with the tile's nr and
/// kr), and `1 <= rows <= mr`. No byte of the lhs beyond its groups and rest is read.
pub type TileFn = unsafe fn(&TileArgs);

/// A tile kernel with its shape.
pub struct Tile {
    /// Name, requirements, function.
    pub row: Row<TileFn>,
    /// The same for blocks along k; not of bits by bits.
    pub blocks: Option<Row<BlocksFn>>,
    /// Most rows.
    pub mr: usize,
    /// Columns.
    pub nr: usize,
    /// How lhs codes are packed.
    pub lhs: LhsForm,
    /// How rhs codes are packed.
    pub rhs: RhsForm,
}

/// How rhs codes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RhsForm {
    /// Signed bytes.
    S8,
    /// Codes 0 to 15, two in a byte, as [`Few`](fewbit_simd::dot::Few) orders them.
    U4,
    /// Codes 0 to 3, four in a byte.
    U2,
    /// Codes 0 and 1, eight in a byte.
    U1,
    /// Codes 0 and 2, for -1 and +1, eight in a byte: a bit for each 2.
    B1,
    /// Codes 0 and 1, a bit each, for a lhs of codes 0 and 1 in bits.
    BitsBy1,
    /// The same, or codes 0 and 2, for a lhs of the other kind: each product of bits counts 2.
    BitsBy2,
    /// Codes 0 and 2, for a lhs of codes 0 and 2 in bits: each product counts 4.
    BitsBy4,
}

impl RhsForm {
    /// Bits of a code.
    pub const fn bits(self) -> usize {
        match self {
            RhsForm::S8 => 8,
            RhsForm::U4 => 4,
            RhsForm::U2 => 2,
            _ => 1,
        }
    }
}

impl Tile {
    /// Bytes of a column's rhs group.
    pub const fn rhs_bytes(&self) -> usize {
        self.lhs.kr() * self.rhs.bits() / 8
    }
}

/// Where the rows' next groups are. Each of the pointers serves three rows, by the stride and its double,
/// which addresses can hold: twelve pointers would not fit the registers.
#[derive(Clone, Copy)]
struct Cursor {
    at: [*const u8; MAX_MR / 3],
    row_stride: usize,
}

impl Cursor {
    #[inline(always)]
    fn row(&self, r: usize) -> *const u8 {
        self.at[r / 3].wrapping_add(r % 3 * self.row_stride)
    }

    #[inline(always)]
    fn advance(&mut self, bytes: usize) {
        self.at.iter_mut().for_each(|at| *at = at.wrapping_add(bytes));
    }
}

/// Adds one k-step to the sums.
///
/// # Safety
/// `group(r)` for each row r and a group of the panel at `rhs`; compiled for `D`.
#[inline(always)]
pub(super) unsafe fn step<D: Dot, const ROWS: usize, const NV: usize>(
    acc: &mut [[D::Acc; NV]; ROWS],
    group: impl Fn(usize) -> *const u8,
    rhs: *const i8,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [D::load_rhs(rhs); NV];
        for (v, column) in columns.iter_mut().enumerate().skip(1) {
            *column = D::load_rhs(rhs.add(v * D::LANES * D::RHS_BYTES));
        }
        for (r, row) in acc.iter_mut().enumerate() {
            let group = D::load_lhs(group(r));
            for (sum, column) in row.iter_mut().zip(columns) {
                *sum = D::dot(*sum, group, column);
            }
        }
    }
}

/// What sums start with where nothing is told, of rows and of columns.
pub(super) static ZEROS: [i32; MAX_NR] = [0; MAX_NR];

/// What the rows' sums start with: what the columns' do, and what the rows' do besides. (Without a branch, which would double
/// what follows.)
///
/// # Safety
/// As [`TileFn`], within an entry compiled for `D`; nothing is written.
#[inline(always)]
pub(super) unsafe fn starts<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
) -> [[D::Acc; NV]; ROWS] {
    const { assert!(MAX_MR <= MAX_NR) };
    let of_rows = if args.row_start.is_null() { ZEROS.as_ptr() } else { args.row_start };
    // SAFETY: row and column arrays are as long as documented.
    unsafe {
        let mut acc = [[D::zero(); NV]; ROWS];
        for (r, row) in acc.iter_mut().enumerate() {
            let of_row = D::splat(of_rows.add(r).read_unaligned());
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = D::add(of_row, D::load(args.start.add(v * D::LANES)));
            }
        }
        acc
    }
}

/// The sums of the whole groups' products, and what they start with; zero points are not looked at.
///
/// # Safety
/// As [`TileFn`], with `rows == ROWS`, within an entry compiled for `D`; nothing is written.
#[inline(always)]
unsafe fn add_up<D: Dot, const ROWS: usize, const NV: usize, const STEPS: usize>(
    args: &TileArgs,
) -> [[D::Acc; NV]; ROWS] {
    let nr = NV * D::LANES;
    let panel_group = nr * D::RHS_BYTES;
    // SAFETY: the rows' groups and the panel's are read where the contract says they are. Column arrays are as
    // long as documented.
    unsafe {
        let mut acc = [[[D::zero(); NV]; ROWS]; STEPS];
        acc[0] = starts::<D, ROWS, NV>(args);
        let row_stride = args.lhs_row_stride;
        let mut rhs = args.rhs;
        let mut lhs = Cursor { at: [args.lhs; MAX_MR / 3], row_stride };
        for (third, at) in lhs.at.iter_mut().enumerate() {
            *at = opaque(at.wrapping_add(row_stride.wrapping_mul(3 * third)));
        }
        let whole = Steps {
            lhs: args.lhs,
            row_stride,
            group_stride: args.lhs_group_stride,
            rhs,
            count: args.k_groups,
            narrow: args.narrow,
        };
        let mut left = args.k_groups;
        if STEPS == 1 && D::steps(&mut acc[0], whole) {
            lhs.advance(left * args.lhs_group_stride);
            rhs = rhs.wrapping_add(left * panel_group);
            left = 0;
        }
        let (rounds, singles) = (left / STEPS, left % STEPS);
        for _ in 0..rounds {
            let mut line = 0;
            while line < STEPS * panel_group {
                prefetch(rhs.cast::<u8>().wrapping_add(AHEAD + line));
                line += 64;
            }
            for sums in &mut acc {
                step::<D, ROWS, NV>(sums, |r| lhs.row(r), rhs);
                lhs.advance(args.lhs_group_stride);
                rhs = rhs.wrapping_add(panel_group);
            }
        }
        for _ in 0..singles {
            step::<D, ROWS, NV>(&mut acc[0], |r| lhs.row(r), rhs);
            lhs.advance(args.lhs_group_stride);
            rhs = rhs.wrapping_add(panel_group);
        }
        let mut sums = acc[0];
        for more in &acc[1..] {
            for (row, more) in sums.iter_mut().zip(more) {
                for (sum, &more) in row.iter_mut().zip(more) {
                    *sum = D::add(*sum, more);
                }
            }
        }
        sums
    }
}

/// Stores the sums of the first `rows` rows.
///
/// # Safety
/// As [`TileFn`], within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn store<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
    sums: &[[D::Acc; NV]; ROWS],
    rows: usize,
) {
    // SAFETY: `dst` holds the rows of nr values.
    unsafe {
        for (r, row) in sums.iter().enumerate().take(rows) {
            for (v, &sum) in row.iter().enumerate() {
                D::store(args.dst.add(r * args.dst_stride + v * D::LANES), sum);
            }
        }
    }
}

/// Sums of some rows, with as many k-steps at a time as give the chains that the backend wants.
///
/// # Safety
/// As [`TileFn`], with `rows == ROWS`, within an entry compiled for `D`; nothing is written.
#[inline(always)]
pub(super) unsafe fn add_up_chained<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
) -> [[D::Acc; NV]; ROWS] {
    // SAFETY: by this function's contract.
    unsafe {
        match const { D::CHAINS / (ROWS * NV) } {
            0 | 1 => add_up::<D, ROWS, NV, 1>(args),
            2 | 3 => add_up::<D, ROWS, NV, 2>(args),
            _ => add_up::<D, ROWS, NV, 4>(args),
        }
    }
}

/// Stores the sums of the whole groups of some rows.
///
/// # Safety
/// As [`TileFn`], with `rows == ROWS`, within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn tile_of<D: Dot, const ROWS: usize, const NV: usize>(args: &TileArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut sums = add_up_chained::<D, ROWS, NV>(args);
        if const { has_rhs_zero::<D>() } {
            add_rhs_zero::<D, ROWS, NV>(args, &mut sums, ROWS);
        }
        store::<D, ROWS, NV>(args, &sums, ROWS);
    }
}

/// As [`tile_of`], of blocks.
///
/// # Safety
/// As [`BlocksFn`], with `rows == ROWS`, within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn blocks_of<D: Dot, const ROWS: usize, const NV: usize>(args: &BlocksArgs) {
    // SAFETY: by this function's contract.
    unsafe { add_blocks::<D, Chained, ROWS, NV>(args, ROWS) }
}

/// Sums as [`add_up_chained`] gives them.
struct Chained;

impl<D: Dot, const ROWS: usize, const NV: usize> BlockSums<D, ROWS, NV> for Chained {
    const RHS_BYTES: usize = D::RHS_BYTES;

    #[inline(always)]
    unsafe fn of(args: &TileArgs) -> [[D::Acc; NV]; ROWS] {
        // SAFETY: by this function's contract.
        unsafe { add_up_chained::<D, ROWS, NV>(args) }
    }

    #[inline(always)]
    unsafe fn scaled(
        args: &TileArgs,
        factors: (*const f32, *const f32),
        real: &mut [[D::Real; NV]; ROWS],
    ) -> bool {
        let steps = Steps {
            lhs: args.lhs,
            row_stride: args.lhs_row_stride,
            group_stride: args.lhs_group_stride,
            rhs: args.rhs,
            count: args.k_groups,
            narrow: args.narrow,
        };
        let scaling = Scaling {
            start: args.start,
            row_start: args.row_start,
            factors: factors.0,
            row_factors: factors.1,
        };
        let simple = args.lhs_zero.is_null() && args.rhs_zero.is_null();
        // SAFETY: by this function's contract.
        simple && unsafe { D::scaled_steps(steps, scaling, real) }
    }
}

/// Does what is to be done with a number of rows, as a constant, or, where not all numbers have code, with those of the largest
/// first, until no row is left.
macro_rules! by_rows {
    ($args:ident: $of:ty, $all_rows:expr, |$some:ident, $n:ident| $do:expr, $all:tt [$($each:literal),*]) => {{
        if const { is_whole(&$all) } {
            match $all_rows {
                $($each => {
                    const $n: usize = $each;
                    let $some: &$of = $args;
                    $do
                })*
                _ => {}
            }
        } else {
            let (mut part, mut left): ($of, usize);
            let mut $some: &$of = $args;
            left = $all_rows;
            loop {
                let rows = match left {
                    $($each.. if leaves_no_row(left - $each, &$all) => {
                        const $n: usize = $each;
                        $do;
                        $each
                    })*
                    _ => break,
                };
                left -= rows;
                if left == 0 {
                    break;
                }
                part = $some.rest_from(rows);
                $some = &part;
            }
        }
    }};
}

/// One entry and its row, of rhs codes that are bytes or in another form.
macro_rules! tile_row {
    ($shape:expr, $backend:ty, $rows:tt, $nv:tt, $required:expr, $features:literal) => {
        tile_row!(S8 "s8s32" "s8f32": $shape, $backend, $rows, $nv, $required, $features)
    };
    ($rhs:ident $sums:literal $real:literal: $shape:expr, $backend:ty, $rows:tt, $nv:tt, $required:expr
       , $features:literal) => {{
        #[target_feature(enable = $features)]
        unsafe fn entry(args: &TileArgs) {
            // SAFETY: compiled for the backend; the rest is this function's contract.
            unsafe {
                by_rows!(
                    args: TileArgs, args.rows, |some, N| tile_of::<$backend, N, $nv>(some), $rows $rows
                );
                complete::<$backend, $nv, true, { !has_rhs_zero::<$backend>() }>(args, |products| products);
            }
        }
        const {
            assert!(most_rows(&$rows) <= MAX_MR && $nv * <$backend as Dot>::LANES <= MAX_NR);
        }
        Tile {
            // SAFETY: the features required are those that the entry was compiled with.
            row: unsafe { Row::new(concat!("gemm_", $sums, "_", $shape), $required, entry) },
            blocks: blocks_row!($real, $shape, $backend, $rows, $nv, $required, $features),
            mr: most_rows(&$rows),
            nr: $nv * <$backend as Dot>::LANES,
            lhs: <$backend as Dot>::LHS,
            rhs: RhsForm::$rhs,
        }
    }};
}

/// The entry of blocks and its row.
macro_rules! blocks_row {
    ($real:literal, $shape:expr, $backend:ty, $rows:tt, $nv:tt, $required:expr, $features:literal) => {{
        #[target_feature(enable = $features)]
        unsafe fn entry(args: &BlocksArgs) {
            // SAFETY: compiled for the backend; the rest is this function's contract.
            unsafe {
                by_rows!(
                    args: BlocksArgs, args.tile.rows, |some, N| blocks_of::<$backend, N, $nv>(some),
                    $rows $rows
                )
             }
        }
        // SAFETY: the features required are those that the entry was compiled with.
        Some(unsafe { Row::new(concat!("gemm_", $real, "_", $shape), $required, entry) })
    }};
}
pub(super) use {blocks_row, by_rows, tile_row};

/// Every tile on this architecture, best first, scalar last.
pub static TILES: &[Tile] = &[
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "12x32x4_avx512_vnni",
        fewbit_simd::dot::Avx512Vnni,
        [12, 8, 6, 4, 3, 2, 1],
        2,
        Isa::Avx512Vnni.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "12x16x4_avx512_vnni",
        fewbit_simd::dot::Avx512VnniYmm,
        [12, 6, 4, 3, 2, 1],
        2,
        Isa::Avx512Vnni.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "6x16x4_avx_vnni",
        fewbit_simd::dot::AvxVnni,
        [6, 5, 4, 3, 2, 1],
        2,
        Isa::AvxVnni.closure(),
        "avx2,fma,avxvnni"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "12x32x2_avx512",
        fewbit_simd::dot::Avx512Pair,
        [12, 6, 4, 3, 2, 1],
        2,
        Isa::Avx512.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "6x16x2_avx2",
        fewbit_simd::dot::Avx2Pair,
        [6, 5, 4, 3, 2, 1],
        2,
        Isa::Avx2.closure(),
        "avx2,fma"
    ),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Tile {
        // SAFETY: the features required are those that the entry was compiled with.
        row: unsafe {
            Row::new("gemm_s8s32_8x8x8_neon_i8mm", Isa::NeonI8mm.closure(), super::mmla::entry)
        },
        // SAFETY: as above.
        blocks: Some(unsafe {
            Row::new(
                "gemm_s8f32_8x8x8_neon_i8mm",
                Isa::NeonI8mm.closure(),
                super::mmla::blocks_entry,
            )
        }),
        mr: super::mmla::MR,
        nr: super::mmla::NR,
        lhs: LhsForm::S8x8,
        rhs: RhsForm::S8,
    },
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    tile_row!(
        "4x16x4_neon_dotprod",
        fewbit_simd::dot::NeonSdot,
        [4, 3, 2, 1],
        4,
        Isa::NeonDotprod.closure(),
        "neon,dotprod"
    ),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    tile_row!(
        "4x16x2_neon",
        fewbit_simd::dot::NeonPair,
        [4, 3, 2, 1],
        4,
        Isa::Neon.closure(),
        "neon"
    ),
    portable_row!(S8 "s8s32" "s8f32": "2x8x4_scalar", fewbit_simd::dot::ScalarDot),
];
