//! The tile: up to mr rows of an f32 lhs times a packed rhs panel of nr columns, or a few panels, over all of k, into
//! f32 results.
//!
//! | backend | mr x nr | sums + rhs + lhs | registers |
//! |---|---|---|---|
//! | avx512 | 12 x 32 | 24 + 2 + 1 | 32 |
//! | avx2 | 6 x 16 | 12 + 2 + 1 | 16 |
//! | neon | 6 x 16 | 24 + 4 + 1 | 32 |
//! | scalar | 2 x 8 | plain code | |
//!
//! Each step of k loads the panel's nr numbers once, widens them, and multiplies them with a number of each row, which is
//! broadcast. Widening is hidden: it takes 2 (f16) or 4 (bf16) of the instructions beside 12 multiply-adds, on ports that
//! these do not use.
//!
//! A column's chain must stay one, so there are no partial sums to hide an instruction's latency with: few rows take
//! two panels at a time instead.
//!
//! Weights are streams from memory, which even six rows read nearly as fast as it gives them: all tiles ask for a panel's
//! lines some steps before they need them. Panels lie one behind the other, so what lies past a panel's end is the next
//! one's start.

use super::number::{Number, OfBf16, OfF16, OfF32, OfPairs, OfPairsOdd};
use crate::gemm::{is_whole, leaves_no_row, most_rows};
use crate::registry::Row;
use fewbit_scheme::real::fma_inline;
use fewbit_simd::{Isa, IsaSet, Lanes, Scalar, opaque, prefetch};

/// As of the tiles of codes, whose epilogue takes these results too.
pub use crate::gemm::{MAX_MR, MAX_NR};
/// The most panels that any tile takes at a time.
pub const MAX_PANELS: usize = 2;

/// One tile's work. Numbers need no alignment but for `lhs`, `bias` and `dst`, which are aligned to f32.
#[derive(Clone, Copy, Debug)]
pub struct RealTileArgs {
    /// The first row's first number.
    pub lhs: *const f32,
    /// Numbers between the rows' first ones.
    pub lhs_row_stride: usize,
    /// Packed rhs panels, one here.
    pub rhs: *const u8,
    /// Bytes between panels.
    pub rhs_panel_stride: usize,
    /// Panels to multiply with, `1..=RealTile::panels(rows)`.
    pub panels: usize,
    /// Products of a sum.
    pub k: usize,
    /// Rows to compute, `1..=mr`.
    pub rows: usize,
    /// A bias for each column of the panels. NULL: none.
    pub bias: *const f32,
    /// Whether negative results become 0. (A NaN stays.)
    pub relu: bool,
    /// Whether sums go on from what `dst` holds, sums of earlier steps of k, instead of from 0.
    pub resume: bool,
    /// `rows` rows of the panels' columns, panel behind panel: results.
    pub dst: *mut f32,
    /// Distance of the rows' first results.
    pub dst_stride: usize,
}

/// A tile kernel.
///
/// # Safety
/// The pointers of [`RealTileArgs`] are valid for the extents documented there, with the tile's nr and format; rows and
/// panels are at least 1 and within the tile's.
pub type RealTileFn = unsafe fn(&RealTileArgs);

/// A tile kernel with its shape.
pub struct RealTile {
    /// Name, requirements, function.
    pub row: Row<RealTileFn>,
    /// Most rows.
    pub mr: usize,
    /// Columns of a panel.
    pub nr: usize,
    /// Numbers of a column that lie together: a panel is `[ceil(k / kr)] x [nr] x [kr]` numbers.
    pub kr: usize,
    /// Vectors of nr columns, and vector registers.
    vectors: usize,
    registers: usize,
}

impl RealTile {
    /// One that takes a panel at a time.
    pub(super) const fn of_one_panel(
        row: Row<RealTileFn>,
        (mr, nr): (usize, usize),
        kr: usize,
    ) -> RealTile {
        assert!(mr <= MAX_MR && nr <= MAX_NR);
        RealTile { row, mr, nr, kr, vectors: MAX_NR, registers: MAX_NR }
    }

    /// The most panels that it takes at a time for so many rows.
    pub fn panels(&self, rows: usize) -> usize {
        panels(rows, self.vectors, self.registers)
    }
}

/// Panels at a time, for as many chains as hide the latency of a multiply-add, four cycles on two ports, if registers
/// hold their sums beside a vector of each panel.
const fn panels(rows: usize, vectors: usize, registers: usize) -> usize {
    let mut panels = 1;
    while panels < MAX_PANELS
        && rows * vectors * panels < 8
        && (rows + 1) * vectors * (panels + 1) < registers
    {
        panels += 1;
    }
    panels
}

/// How far ahead a panel's bytes are asked for: enough to cover a trip to memory.
const AHEAD: usize = 8192;

/// Where the rows' next numbers are. Each of the pointers serves three rows, by the stride and its double,
/// which addresses can hold: twelve pointers would not fit the registers.
#[derive(Clone, Copy)]
struct Cursor {
    at: [*const u8; MAX_MR / 3],
    row_stride: usize,
}

impl Cursor {
    #[inline(always)]
    fn row(&self, r: usize) -> *const f32 {
        self.at[r / 3].wrapping_add(r % 3 * self.row_stride).cast()
    }

    #[inline(always)]
    fn advance(&mut self, numbers: usize) {
        self.at.iter_mut().for_each(|at| *at = at.wrapping_add(4 * numbers));
    }
}

/// Sums of rows, panels, and vectors of a panel.
type Sums<V, const ROWS: usize, const PANELS: usize, const NV: usize> =
    [[[<V as Lanes>::F32; NV]; PANELS]; ROWS];

/// # Safety
/// As [`RealTileFn`], with `rows == ROWS` and `panels == PANELS`, within an entry compiled for `V`.
#[inline(always)]
unsafe fn tile<V: Lanes, W: Number<V>, const ROWS: usize, const NV: usize, const PANELS: usize>(
    args: &RealTileArgs,
) {
    let nr = NV * V::LANES;
    let two_steps = 2 * nr * W::SIZE;
    // SAFETY: rows and panels are read for k numbers of each; `dst` holds ROWS rows of the panels' columns.
    unsafe {
        let place = |r: usize, p: usize, v: usize| {
            args.dst.add(r * args.dst_stride + p * nr + v * V::LANES)
        };
        let mut sums: Sums<V, ROWS, PANELS, NV> = [[[V::splat_f32(0.0); NV]; PANELS]; ROWS];
        if args.resume {
            for (r, row) in sums.iter_mut().enumerate() {
                for (p, panel) in row.iter_mut().enumerate() {
                    for (v, sum) in panel.iter_mut().enumerate() {
                        *sum = V::load_f32(place(r, p, v).cast_const(), V::LANES);
                    }
                }
            }
        }
        let row_stride = args.lhs_row_stride.wrapping_mul(4);
        let mut lhs = Cursor { at: [args.lhs.cast(); MAX_MR / 3], row_stride };
        for (third, at) in lhs.at.iter_mut().enumerate() {
            *at = opaque(at.wrapping_add(row_stride.wrapping_mul(3 * third)));
        }
        let mut rhs = [args.rhs; PANELS];
        for (p, rhs) in rhs.iter_mut().enumerate() {
            *rhs = rhs.wrapping_add(p * args.rhs_panel_stride);
        }
        for _ in 0..args.k / 2 {
            for rhs in rhs {
                let mut line = 0;
                while line < two_steps {
                    prefetch(rhs.wrapping_add(AHEAD + line));
                    line += 64;
                }
            }
            step::<V, W, ROWS, NV, PANELS, false>(&mut sums, &lhs, rhs);
            // What two steps share is loaded again: kept, it would need registers that sums have.
            let again = if W::SHARED { rhs.map(opaque) } else { rhs };
            step::<V, W, ROWS, NV, PANELS, true>(&mut sums, &lhs, again);
            lhs.advance(2);
            rhs.iter_mut().for_each(|rhs| *rhs = rhs.wrapping_add(two_steps));
        }
        if args.k % 2 == 1 {
            step::<V, W, ROWS, NV, PANELS, false>(&mut sums, &lhs, rhs);
        }
        finish::<V, ROWS, NV, PANELS>(args, &mut sums);
        for (r, row) in sums.iter().enumerate() {
            for (p, panel) in row.iter().enumerate() {
                for (v, &sum) in panel.iter().enumerate() {
                    V::store_f32(place(r, p, v), sum, V::LANES);
                }
            }
        }
    }
}

/// Adds the first or the second of two steps of k to the sums.
///
/// # Safety
/// The rows' and the panels' numbers exist; compiled for `V`.
#[inline(always)]
unsafe fn step<
    V: Lanes,
    W: Number<V>,
    const ROWS: usize,
    const NV: usize,
    const PANELS: usize,
    const SECOND: bool,
>(
    sums: &mut Sums<V, ROWS, PANELS, NV>,
    lhs: &Cursor,
    rhs: [*const u8; PANELS],
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [[V::splat_f32(0.0); NV]; PANELS];
        for (panel, rhs) in columns.iter_mut().zip(rhs) {
            for (v, column) in panel.iter_mut().enumerate() {
                *column = W::load::<SECOND>(rhs, NV * V::LANES, v);
            }
        }
        for (r, row) in sums.iter_mut().enumerate() {
            let x = V::splat_f32(lhs.row(r).wrapping_add(usize::from(SECOND)).read());
            for (panel, columns) in row.iter_mut().zip(columns) {
                for (sum, column) in panel.iter_mut().zip(columns) {
                    *sum = W::add(x, column, *sum);
                }
            }
        }
    }
}

/// Bias, canonical NaN, ReLU.
///
/// # Safety
/// As [`RealTileFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn finish<V: Lanes, const ROWS: usize, const NV: usize, const PANELS: usize>(
    args: &RealTileArgs,
    sums: &mut Sums<V, ROWS, PANELS, NV>,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let nan = V::splat_f32(f32::from_bits(0x7FC0_0000));
        // `if 0 > y { 0 } else { y }`: a NaN stays. Nothing is below -infinity, and adding -0 changes nothing: without
        // branches, each of which would double what follows.
        let least = V::splat_f32(if args.relu { 0.0 } else { f32::NEG_INFINITY });
        let mut bias = [[V::splat_f32(-0.0); NV]; PANELS];
        if !args.bias.is_null() {
            for (p, panel) in bias.iter_mut().enumerate() {
                for (v, bias) in panel.iter_mut().enumerate() {
                    *bias = V::load_f32(args.bias.add((p * NV + v) * V::LANES), V::LANES);
                }
            }
        }
        for row in sums {
            for (panel, bias) in row.iter_mut().zip(&bias) {
                for (sum, &bias) in panel.iter_mut().zip(bias) {
                    *sum = V::max(least, V::replace_nan(V::add(*sum, bias), nan));
                }
            }
        }
    }
}

/// The sums of a vector of columns, from `column` on, finished.
///
/// # Safety
/// As [`RealTileFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn finished<V: Lanes>(
    args: &RealTileArgs,
    column: usize,
    mut sum: V::F32,
) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        if !args.bias.is_null() {
            sum = V::add(sum, V::load_f32(args.bias.add(column), V::LANES));
        }
        sum = V::replace_nan(sum, V::splat_f32(f32::from_bits(0x7FC0_0000)));
        // `if 0 > y { 0 } else { y }`: a NaN stays.
        if args.relu { V::max(V::splat_f32(0.0), sum) } else { sum }
    }
}

/// A tile of some rows: of as many panels at a time as it takes, or panel by panel.
///
/// # Safety
/// As [`RealTileFn`], with `rows == ROWS`, within an entry compiled for `V`.
#[inline(always)]
unsafe fn tile_of<V: Lanes, W: Number<V>, const ROWS: usize, const NV: usize, const REGS: usize>(
    args: &RealTileArgs,
) {
    // SAFETY: by this function's contract.
    unsafe {
        match const { panels(ROWS, NV, REGS) } {
            2 if args.panels == 2 => return tile::<V, W, ROWS, NV, 2>(args),
            _ => {}
        }
        let mut one = *args;
        for _ in 0..args.panels {
            tile::<V, W, ROWS, NV, 1>(&one);
            one.rhs = one.rhs.wrapping_add(args.rhs_panel_stride);
            one.dst = one.dst.wrapping_add(NV * V::LANES);
            if !one.bias.is_null() {
                one.bias = one.bias.wrapping_add(NV * V::LANES);
            }
        }
    }
}

/// The tile of a number of rows, or, where not all numbers have one, those of the largest first, until no row is left.
macro_rules! by_rows {
    ($args:ident, $backend:ty, $number:ty, $nv:literal, $registers:literal, $all:tt [$($each:literal),*]) => {{
        if const { is_whole(&$all) } {
            return match $args.rows {
                $($each => tile_of::<$backend, $number, $each, $nv, $registers>($args),)*
                _ => {}
            };
        }
        let (mut part, mut left): (RealTileArgs, usize);
        let mut args: &RealTileArgs = $args;
        left = args.rows;
        loop {
            let rows = match left {
                $($each.. if leaves_no_row(left - $each, &$all) => {
                    tile_of::<$backend, $number, $each, $nv, $registers>(args);
                    $each
                })*
                _ => return,
            };
            left -= rows;
            if left == 0 {
                return;
            }
            part = RealTileArgs {
                lhs: args.lhs.wrapping_add(rows * args.lhs_row_stride),
                dst: args.dst.wrapping_add(rows * args.dst_stride),
                ..*args
            };
            args = &part;
        }
    }};
}

/// One entry and its row.
macro_rules! tile_row {
    (
        $name:expr, $number:ty, $backend:ty, $rows:tt, $nv:literal, $registers:literal, $required:expr,
        $features:literal
    ) => {{
        #[target_feature(enable = $features)]
        unsafe fn entry(args: &RealTileArgs) {
            // SAFETY: compiled for the backend; the rest is this function's contract.
            unsafe { by_rows!(args, $backend, $number, $nv, $registers, $rows $rows) }
        }
        const {
            assert!(most_rows(&$rows) <= MAX_MR && $nv * <$backend as Lanes>::LANES <= MAX_NR);
        }
        RealTile {
            // SAFETY: the features required are those that the entry was compiled with.
            row: unsafe { Row::new($name, $required, entry) },
            mr: most_rows(&$rows),
            nr: $nv * <$backend as Lanes>::LANES,
            kr: <$number as Number<$backend>>::KR,
            vectors: $nv,
            registers: $registers,
        }
    }};
}

/// Each row of a portable tile: there is code for one only.
///
/// # Safety
/// As [`RealTileFn`], of one panel.
pub(super) unsafe fn each_row(args: &RealTileArgs, one: unsafe fn(&RealTileArgs)) {
    let mut row = RealTileArgs { rows: 1, ..*args };
    for _ in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe { one(&row) };
        row.lhs = row.lhs.wrapping_add(row.lhs_row_stride);
        row.dst = row.dst.wrapping_add(row.dst_stride);
    }
}

/// Columns of a portable tile, a vector each.
const PORTABLE_NR: usize = 8;

/// A portable tile, whose sums are where its results will be: columns are a loop, and in registers there is one.
///
/// # Safety
/// As [`RealTileFn`].
unsafe fn portable<W: Number<Scalar>>(args: &RealTileArgs) {
    // SAFETY: by this function's contract.
    unsafe { each_row(args, portable_row_of::<W>) }
}

/// # Safety
/// As [`RealTileFn`], of one row.
unsafe fn portable_row_of<W: Number<Scalar>>(args: &RealTileArgs) {
    // A number of which nothing is known: loops.
    let columns = opaque(core::ptr::without_provenance(PORTABLE_NR)).addr();
    let (mut rhs, mut done) = (args.rhs, 0);
    // SAFETY: the row's and the panel's k numbers, and the columns' results, by this function's contract.
    unsafe {
        let add = |x: f32, column: f32, v: usize| {
            let sum = args.dst.add(v);
            let before = sum.read();
            sum.write(match const { W::FUSED } {
                true => fma_inline(x, column, before),
                false => W::add(x, column, before),
            });
        };
        if !args.resume {
            for v in 0..columns {
                args.dst.add(v).write(0.0);
            }
        }
        while done < args.k {
            let x = args.lhs.add(done).read();
            for v in 0..columns {
                add(x, W::load::<false>(rhs, PORTABLE_NR, v), v);
            }
            done += 1;
            if W::SHARED && done < args.k {
                let x = args.lhs.add(done).read();
                for v in 0..columns {
                    add(x, W::load::<true>(rhs, PORTABLE_NR, v), v);
                }
                done += 1;
            }
            let steps = if W::SHARED { 2 } else { 1 };
            rhs = rhs.wrapping_add(steps * PORTABLE_NR * W::SIZE);
        }
        for v in 0..columns {
            let sum = args.dst.add(v);
            sum.write(finished::<Scalar>(args, v, sum.read()));
        }
    }
}

/// A portable tile's row.
macro_rules! portable_row {
    ($name:expr, $number:ty) => {
        RealTile::of_one_panel(
            // SAFETY: portable code needs no feature.
            unsafe { Row::new($name, IsaSet::SCALAR, portable::<$number>) },
            (2, PORTABLE_NR),
            <$number as Number<Scalar>>::KR,
        )
    };
}

/// The table of a format.
macro_rules! table {
    ($table:ident, $name:literal, $number:ty, $doc:literal) => {
        #[doc = $doc]
        pub(super) static $table: &[RealTile] = &[
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                concat!($name, "_12x32_avx512"),
                $number,
                fewbit_simd::Avx512,
                [12, 8, 6, 4, 3, 2, 1],
                2,
                32,
                Isa::Avx512.closure(),
                "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
            ),
            #[cfg(target_arch = "x86_64")]
            tile_row!(
                concat!($name, "_6x16_avx2"),
                $number,
                fewbit_simd::Avx2,
                [6, 5, 4, 3, 2, 1],
                2,
                16,
                Isa::Avx2.closure(),
                "avx2,fma,f16c"
            ),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            tile_row!(
                concat!($name, "_6x16_neon"),
                $number,
                fewbit_simd::Neon,
                [6, 5, 4, 3, 2, 1],
                4,
                32,
                Isa::Neon.closure(),
                "neon"
            ),
            portable_row!(concat!($name, "_2x8_scalar"), $number),
        ];
    };
}

table!(F32, "gemm_f32", OfF32, "Tiles for an f32 rhs.");
table!(F16, "gemm_f16f32", OfF16, "Tiles for an f16 rhs.");
table!(BF16, "gemm_bf16f32", OfBf16, "Tiles for a bf16 rhs.");

/// Tiles of [`Paired::Bf16Dot`](super::Paired).
pub(super) static BF16_DOT: &[RealTile] = &[
    #[cfg(target_arch = "x86_64")]
    tile_row!(
        "gemm_bf16bf16f32_12x32_avx512_bf16",
        OfPairs,
        fewbit_simd::Avx512,
        [12, 8, 6, 4, 3, 2, 1],
        2,
        32,
        Isa::Avx512Bf16.closure(),
        "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
    ),
    portable_row!("gemm_bf16bf16f32_2x8_scalar", OfPairs),
];

/// Tiles of [`Paired::Bf16DotOdd`](super::Paired).
pub(super) static BF16_DOT_ODD: &[RealTile] = &[
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    tile_row!(
        "gemm_bf16bf16f32_odd_6x16_neon_bf16",
        OfPairsOdd,
        fewbit_simd::Neon,
        [6, 5, 4, 3, 2, 1],
        4,
        32,
        Isa::NeonBf16.closure(),
        "neon,bf16"
    ),
    portable_row!("gemm_bf16bf16f32_odd_2x8_scalar", OfPairsOdd),
];
