//! The tile: up to mr rows of a packed lhs block times one packed rhs panel of nr columns, over all
//! of k, into an int32 buffer, zero points and bias included.
//!
//! Register budget: mr * nr / lanes accumulators, nr / lanes rhs vectors and one lhs vector.
//!
//! | backend | mr x nr | accumulators + rhs + lhs | registers |
//! |---|---|---|---|
//! | avx512_vnni, avx512 | 12 x 32 | 24 + 2 + 1 | 32 |
//! | avx512_vnni ymm | 12 x 16 | 24 + 2 + 1 | 32 |
//! | avx_vnni, avx2 | 6 x 16 | 12 + 2 + 1 (avx2: + 1 product) | 16 |
//! | neon_dotprod, neon | 4 x 16 | 16 + 4 + 1 (neon: + 2 products) | 32 |
//! | scalar | 2 x 8 | plain code | |
//!
//! Each k-step loads nr / lanes rhs vectors once and reuses them for all rows; each row's 4-byte
//! group is broadcast. Ten independent chains or more hide the 5-cycle latency of two dot-product
//! ports.

use crate::registry::Row;
use fewbit_simd::dot::{Dot, LhsForm};
use fewbit_simd::{Isa, IsaSet};

/// The largest mr of any tile.
pub const MAX_MR: usize = 12;
/// The largest nr of any tile.
pub const MAX_NR: usize = 32;

/// One tile's work. Pointers need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct TileArgs {
    /// A packed lhs block of `block_rows(rows)` rows.
    pub lhs: *const u8,
    /// A packed rhs panel.
    pub rhs: *const i8,
    /// k-groups: k / kr, rounded up.
    pub k_groups: usize,
    /// Rows to compute, `1..=mr`.
    pub rows: usize,
    /// Each row's zero point, in the packed form: `block_rows(rows)` of them.
    pub lhs_zero: *const i32,
    /// Each row's Σ_k of packed codes: `block_rows(rows)` of them.
    pub lhs_sum: *const i32,
    /// For each of the panel's nr columns: zero point in the packed form.
    pub rhs_zero: *const i32,
    /// For each of the panel's nr columns: `K * zw - Σ_k w`, of packed codes.
    pub rhs_fold: *const i32,
    /// For each of the panel's nr columns: bias.
    pub bias: *const i32,
    /// `rows` rows of nr sums.
    pub dst: *mut i32,
    /// Distance of the rows' first sums.
    pub dst_stride: usize,
}

/// A tile kernel.
///
/// # Safety
/// The pointers of [`TileArgs`] are valid for the extents documented there (with the tile's nr and
/// kr), and `1 <= rows <= mr`.
pub type TileFn = unsafe fn(&TileArgs);

/// A tile kernel with its shape.
pub struct Tile {
    /// Name, requirements, function.
    pub row: Row<TileFn>,
    /// Most rows.
    pub mr: usize,
    /// Columns.
    pub nr: usize,
    /// How lhs codes are packed.
    pub lhs: LhsForm,
}

/// Rows of a packed block that holds `rows` rows: the row counts that tiles are compiled for. Rows
/// past the last are packed as zeros.
pub const fn block_rows(rows: usize, mr: usize) -> usize {
    match rows {
        0 | 1 => 1,
        2 if mr > 2 => 2,
        3 | 4 if mr > 4 => 4,
        _ => mr,
    }
}

/// # Safety
/// As [`TileFn`], with `block_rows(rows, MR) == ROWS`, within an entry compiled for `D`.
#[inline(always)]
unsafe fn tile<D: Dot, const ROWS: usize, const NV: usize>(args: &TileArgs) {
    let nr = NV * D::LANES;
    // SAFETY: the lhs block holds `k_groups * ROWS` groups of 4 bytes, the panel `k_groups * nr`
    // groups of kr bytes; both pointers stay within them or one past the end. `dst` holds `rows` rows of nr
    // values. Row and column arrays are as long as documented.
    unsafe {
        let mut acc = [[D::zero(); NV]; ROWS];
        let (mut lhs, mut rhs) = (args.lhs, args.rhs);
        for _ in 0..args.k_groups {
            let mut columns = [D::load_rhs(rhs); NV];
            for (v, column) in columns.iter_mut().enumerate().skip(1) {
                *column = D::load_rhs(rhs.add(v * D::LANES * D::LHS.kr()));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let group = D::load_lhs(lhs.add(4 * r));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = D::dot(*sum, group, column);
                }
            }
            lhs = lhs.add(4 * ROWS);
            rhs = rhs.add(nr * D::LHS.kr());
        }
        // acc + za (K zw - Σw) - zw Σa + bias, modulo 2^32. Indexed, not iterated over: the
        // accumulators stay in registers.
        #[allow(clippy::needless_range_loop, reason = "as said")]
        for r in 0..ROWS {
            if r == args.rows {
                break;
            }
            let za = D::splat(args.lhs_zero.add(r).read_unaligned());
            let minus_sum = D::splat(args.lhs_sum.add(r).read_unaligned().wrapping_neg());
            for v in 0..NV {
                let column = v * D::LANES;
                let folded = D::mul(za, D::load(args.rhs_fold.add(column)));
                let crossed = D::mul(minus_sum, D::load(args.rhs_zero.add(column)));
                let total = D::add(acc[r][v], D::load(args.bias.add(column)));
                let total = D::add(total, D::add(folded, crossed));
                D::store(args.dst.add(r * args.dst_stride + column), total);
            }
        }
    }
}

/// # Safety
/// As [`TileFn`], within an entry compiled for `D`.
#[inline(always)]
unsafe fn any_rows<D: Dot, const MR: usize, const NV: usize>(args: &TileArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        match block_rows(args.rows, MR) {
            1 => tile::<D, 1, NV>(args),
            2 if MR > 2 => tile::<D, 2, NV>(args),
            4 if MR > 4 => tile::<D, 4, NV>(args),
            _ => tile::<D, MR, NV>(args),
        }
    }
}

/// One entry and its row.
macro_rules! tile_row {
    ($name:literal, $backend:ty, $mr:literal, $nv:literal, $required:expr $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn entry(args: &TileArgs) {
            // SAFETY: compiled for the backend; the rest is this function's contract.
            unsafe { any_rows::<$backend, $mr, $nv>(args) }
        }
        const {
            assert!($mr <= MAX_MR && $nv * <$backend as Dot>::LANES <= MAX_NR);
        }
        Tile {
            // SAFETY: the features required are those that the entry was compiled with.
            row: unsafe { Row::new($name, $required, entry) },
            mr: $mr,
            nr: $nv * <$backend as Dot>::LANES,
            lhs: <$backend as Dot>::LHS,
        }
    }};
}

/// Every tile on this architecture, best first, scalar last.
pub static TILES: &[Tile] = &[
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_s8s32_12x32x4_avx512_vnni",
        fewbit_simd::dot::Avx512Vnni,
        12,
        2,
        Isa::Avx512Vnni.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_s8s32_12x16x4_avx512_vnni",
        fewbit_simd::dot::Avx512VnniYmm,
        12,
        2,
        Isa::Avx512Vnni.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_s8s32_6x16x4_avx_vnni",
        fewbit_simd::dot::AvxVnni,
        6,
        2,
        Isa::AvxVnni.closure(),
        "avx2,fma,avxvnni"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_s8s32_12x32x2_avx512",
        fewbit_simd::dot::Avx512Pair,
        12,
        2,
        Isa::Avx512.closure(),
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
    ),
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_s8s32_6x16x2_avx2",
        fewbit_simd::dot::Avx2Pair,
        6,
        2,
        Isa::Avx2.closure(),
        "avx2,fma"
    ),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    tile_row!(
        "gemm_s8s32_4x16x4_neon_dotprod",
        fewbit_simd::dot::NeonSdot,
        4,
        4,
        Isa::NeonDotprod.closure(),
        "neon,dotprod"
    ),
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    tile_row!(
        "gemm_s8s32_4x16x2_neon",
        fewbit_simd::dot::NeonPair,
        4,
        4,
        Isa::Neon.closure(),
        "neon"
    ),
    tile_row!("gemm_s8s32_2x8x4_scalar", fewbit_simd::dot::ScalarDot, 2, 2, IsaSet::SCALAR),
];
