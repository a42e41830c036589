//! The loop of `vpmaddubsw` tiles in AVX2: up to four rows, two vectors of columns, 32 k-values a turn.
//!
//! It is assembly because a compiler that sees sums in int16 and in int32, 16 vectors in all, keeps neither: spilled, the
//! loop makes 173 GOPS on Zen 3 of the 300 that it makes like this. Sums in int32 wait in memory until a run of turns is over.
//!
//! ```text
//! ymm: 8 sums (4 x 2)   2 packed   2 unpacked codes   1 broadcast group, then a product   1 product   1 mask     of 16
//! a group's part: 2 vpand (and 2 vpsrlw), and for each row: vpbroadcastd, 2 vpmaddubsw, 2 vpaddw
//! ```

use super::{Scaling, Steps};
use core::arch::asm;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

/// A row's products with both vectors of a part, added to its sums; or, if they are the first, in their place.
macro_rules! row {
    (add $a:literal, $b:literal, $row:literal, $at:literal) => {
        concat!(
            "vpbroadcastd {group}, dword ptr [{lhs}",
            $row,
            " + ",
            $at,
            "]\nvpmaddubsw {product}, {w0}, {group}\nvpmaddubsw {group}, {w1}, {group}\nvpaddw {",
            $a,
            "}, {",
            $a,
            "}, {product}\nvpaddw {",
            $b,
            "}, {",
            $b,
            "}, {group}\n"
        )
    };
    (set $a:literal, $b:literal, $row:literal, $at:literal) => {
        concat!(
            "vpbroadcastd {group}, dword ptr [{lhs}",
            $row,
            " + ",
            $at,
            "]\nvpmaddubsw {",
            $a,
            "}, {w0}, {group}\nvpmaddubsw {",
            $b,
            "}, {w1}, {group}\n"
        )
    };
}

/// The rows' products with a part.
macro_rules! rows {
    ($do:tt 1, $at:literal) => {
        row!($do "a0", "b0", "", $at)
    };
    ($do:tt 2, $at:literal) => {
        concat!(rows!($do 1, $at), row!($do "a1", "b1", " + {stride}", $at))
    };
    ($do:tt 3, $at:literal) => {
        concat!(rows!($do 2, $at), row!($do "a2", "b2", " + 2 * {stride}", $at))
    };
    ($do:tt 4, $at:literal) => {
        concat!(rows!($do 3, $at), row!($do "a3", "b3", " + {thrice}", $at))
    };
}

/// A part: its codes, which begin at a bit of each byte, and the rows' products.
macro_rules! part {
    ($do:tt $rows:tt, 0, $at:literal) => {
        concat!("vpand {w0}, {x0}, {mask}\nvpand {w1}, {x1}, {mask}\n", rows!($do $rows, $at))
    };
    // A bit that is moved up by one.
    ($do:tt $rows:tt, up, $at:literal) => {
        concat!(
            "vpaddb {w0}, {x0}, {x0}\nvpaddb {w1}, {x1}, {x1}\n",
            "vpand {w0}, {w0}, {mask}\nvpand {w1}, {w1}, {mask}\n",
            rows!($do $rows, $at)
        )
    };
    ($do:tt $rows:tt, $bit:literal, $at:literal) => {
        concat!(
            "vpsrlw {w0}, {x0}, ",
            $bit,
            "\nvpsrlw {w1}, {x1}, ",
            $bit,
            "\nvpand {w0}, {w0}, {mask}\nvpand {w1}, {w1}, {mask}\n",
            rows!($do $rows, $at)
        )
    };
}

/// The parts of a group whose packed codes begin at `$from` and `$next`, each with its bit and the place of its lhs bytes.
macro_rules! group {
    ($rows:tt, $from:literal, $next:literal, $([$do:tt $bit:tt, $at:literal])*) => {
        concat!(
            "vmovdqu {x0}, ymmword ptr [{rhs} + ",
            $from,
            "]\nvmovdqu {x1}, ymmword ptr [{rhs} + ",
            $next,
            "]\nprefetcht0 [{rhs} + 8192 + ",
            $from,
            "]\n",
            $(part!($do $rows, $bit, $at),)*
            "add {lhs}, {group_stride}\n"
        )
    };
}

/// The groups of a turn: four of 4-bit codes, two of 2-bit codes, one of bits, which stand for 1 or for 2. `first`: the turn's
/// sums are not added to others.
macro_rules! turn {
    ($rows:tt, first) => {
        concat!(
            group!($rows, 0, 32, [set 0, 0] [add 4, 4]),
            turn!($rows, others)
        )
    };
    ($rows:tt, u4) => {
        concat!(
            group!($rows, 0, 32, [add 0, 0] [add 4, 4]),
            turn!($rows, others)
        )
    };
    ($rows:tt, others) => {
        concat!(
            group!($rows, 64, 96, [add 0, 0] [add 4, 4]),
            group!($rows, 128, 160, [add 0, 0] [add 4, 4]),
            group!($rows, 192, 224, [add 0, 0] [add 4, 4]),
            "add {rhs}, 256"
        )
    };
    ($rows:tt, u2) => {
        concat!(
            group!($rows, 0, 32, [add 0, 0] [add 2, 4] [add 4, 8] [add 6, 12]),
            group!($rows, 64, 96, [add 0, 0] [add 2, 4] [add 4, 8] [add 6, 12]),
            "add {rhs}, 128"
        )
    };
    ($rows:tt, u1) => {
        concat!(
            group!(
                $rows, 0, 32,
                [add 0, 0] [add 1, 4] [add 2, 8] [add 3, 12] [add 4, 16] [add 5, 20] [add 6, 24] [add 7, 28]
            ),
            "add {rhs}, 64"
        )
    };
    ($rows:tt, b1) => {
        concat!(
            group!(
                $rows, 0, 32,
                [add up, 0] [add 0, 4] [add 1, 8] [add 2, 12] [add 3, 16] [add 4, 20] [add 5, 24] [add 6, 28]
            ),
            "add {rhs}, 64"
        )
    };
}

/// Sums in int16 made int32 and added to those at a place.
macro_rules! widen {
    ($a:literal, $at:literal) => {
        concat!(
            "vpmaddwd {",
            $a,
            "}, {",
            $a,
            "}, {ones}\nvpaddd {",
            $a,
            "}, {",
            $a,
            "}, ymmword ptr [{acc} + ",
            $at,
            "]\nvmovdqu ymmword ptr [{acc} + ",
            $at,
            "], {",
            $a,
            "}\n"
        )
    };
    (1) => {
        concat!(widen!("a0", 0), widen!("b0", 32))
    };
    (2) => {
        concat!(widen!(1), widen!("a1", 64), widen!("b1", 96))
    };
    (3) => {
        concat!(widen!(2), widen!("a2", 128), widen!("b2", 160))
    };
    (4) => {
        concat!(widen!(3), widen!("a3", 192), widen!("b3", 224))
    };
}

/// A row's sums in int16, made int32, added to what they start with, and scaled; what the next row starts with lies a distance
/// on.
macro_rules! scale {
    ($a:literal, $b:literal, $row:literal, $at:literal, $next:literal) => {
        concat!(
            "vpbroadcastd {x0}, dword ptr [{row_start} + ",
            $row,
            "]\nvbroadcastss {x1}, dword ptr [{row_factors} + ",
            $row,
            "]\n",
            scale!($a, 0, $at),
            scale!($b, 32, $next),
            "add {start}, {start_stride}\n"
        )
    };
    ($a:literal, $column:literal, $at:literal) => {
        concat!(
            "vmulps {w1}, {x1}, ymmword ptr [{factors} + ",
            $column,
            "]\nvpmaddwd {",
            $a,
            "}, {",
            $a,
            "}, {ones}\nvpaddd {",
            $a,
            "}, {",
            $a,
            "}, ymmword ptr [{start} + ",
            $column,
            "]\nvpaddd {",
            $a,
            "}, {",
            $a,
            "}, {x0}\nvcvtdq2ps {",
            $a,
            "}, {",
            $a,
            "}\nvfmadd213ps {",
            $a,
            "}, {w1}, ymmword ptr [{real} + ",
            $at,
            "]\nvmovups ymmword ptr [{real} + ",
            $at,
            "], {",
            $a,
            "}\n"
        )
    };
    (1) => {
        scale!("a0", "b0", 0, 0, 32)
    };
    (2) => {
        concat!(scale!(1), scale!("a1", "b1", 4, 64, 96))
    };
    (3) => {
        concat!(scale!(2), scale!("a2", "b2", 8, 128, 160))
    };
    (4) => {
        concat!(scale!(3), scale!("a3", "b3", 12, 192, 224))
    };
}

/// The loop of some rows: of each its number and the names of its sums; and what else their addresses take. `first` turns are
/// widened one by one, others all together.
macro_rules! turns_loop {
    (
        $acc:ident, $at:ident, $turns:ident, $mask:expr, $rows:tt, first,
        [$($r:literal, $a:ident, $b:ident;)*], [$($stride:ident = $distance:expr),*]
    ) => {
        asm!(
            ".p2align 6",
            "2:",
            turn!($rows, first),
            widen!($rows),
            "dec {turns}",
            "jnz 2b",
            rhs = inout(reg) $at.rhs,
            lhs = inout(reg) $at.lhs,
            turns = inout(reg) $turns => _,
            group_stride = in(reg) $at.group_stride,
            acc = in(reg) $acc,
            mask = in(ymm_reg) _mm256_set1_epi8($mask as i8),
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            x0 = out(ymm_reg) _,
            x1 = out(ymm_reg) _,
            w0 = out(ymm_reg) _,
            w1 = out(ymm_reg) _,
            group = out(ymm_reg) _,
            product = out(ymm_reg) _,
            $($a = out(ymm_reg) _, $b = out(ymm_reg) _,)*
            $($stride = in(reg) $distance,)*
            options(nostack),
        )
    };
    (
        $acc:ident, $at:ident, $turns:ident, $mask:expr, $rows:tt, $kind:tt,
        [$($r:literal, $a:ident, $b:ident;)*], [$($stride:ident = $distance:expr),*]
    ) => {{
        $(let (mut $a, mut $b) = (_mm256_setzero_si256(), _mm256_setzero_si256());)*
        asm!(
            ".p2align 6",
            "2:",
            turn!($rows, $kind),
            "dec {turns}",
            "jnz 2b",
            rhs = inout(reg) $at.rhs,
            lhs = inout(reg) $at.lhs,
            turns = inout(reg) $turns => _,
            group_stride = in(reg) $at.group_stride,
            mask = in(ymm_reg) _mm256_set1_epi8($mask as i8),
            x0 = out(ymm_reg) _,
            x1 = out(ymm_reg) _,
            w0 = out(ymm_reg) _,
            w1 = out(ymm_reg) _,
            group = out(ymm_reg) _,
            product = out(ymm_reg) _,
            $($a = inout(ymm_reg) $a, $b = inout(ymm_reg) $b,)*
            $($stride = in(reg) $distance,)*
            options(readonly, nostack),
        );
        let ones = _mm256_set1_epi16(1);
        $(
            let (a, b) = (_mm256_madd_epi16($a, ones), _mm256_madd_epi16($b, ones));
            let to = $acc.add(2 * $r);
            to.write(_mm256_add_epi32(to.read(), a));
            to.add(1).write(_mm256_add_epi32(to.add(1).read(), b));
        )*
    }};
}

/// A turn, and its sums scaled; arguments as of [`turns_loop`], but for what is known of the scaling, and where sums start.
macro_rules! scaled_turn {
    (
        $start:ident, $at:ident, $scaling:expr, $mask:expr, $rows:tt, scaled,
        [$($r:literal, $a:ident, $b:ident;)*], [$($stride:ident = $distance:expr),*]
    ) => {{
        let (scaling, start_stride, real) = $scaling;
        asm!(
            turn!($rows, first),
            scale!($rows),
            rhs = inout(reg) $at.rhs => _,
            lhs = inout(reg) $at.lhs => _,
            group_stride = in(reg) $at.group_stride,
            start = inout(reg) $start => _,
            start_stride = in(reg) start_stride,
            row_start = in(reg) scaling.row_start,
            factors = in(reg) scaling.factors,
            row_factors = in(reg) scaling.row_factors,
            real = in(reg) real,
            mask = in(ymm_reg) _mm256_set1_epi8($mask as i8),
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            x0 = out(ymm_reg) _,
            x1 = out(ymm_reg) _,
            w0 = out(ymm_reg) _,
            w1 = out(ymm_reg) _,
            group = out(ymm_reg) _,
            product = out(ymm_reg) _,
            $($a = out(ymm_reg) _, $b = out(ymm_reg) _,)*
            $($stride = in(reg) $distance,)*
            options(nostack),
        )
    }};
}

/// [`turns_loop`] or [`scaled_turn`] of as many rows as there are.
macro_rules! by_rows {
    ($do:ident, $acc:ident, $at:ident, $turns:ident, $mask:expr, $kind:tt) => {{
        let stride = $at.row_stride;
        let thrice = stride.wrapping_mul(3);
        match ROWS {
            1 => $do!($acc, $at, $turns, $mask, 1, $kind, [0, a0, b0;], []),
            2 => $do!(
                $acc, $at, $turns, $mask, 2, $kind,
                [0, a0, b0; 1, a1, b1;], [stride = stride]
            ),
            3 => $do!(
                $acc, $at, $turns, $mask, 3, $kind,
                [0, a0, b0; 1, a1, b1; 2, a2, b2;], [stride = stride]
            ),
            _ => $do!(
                $acc, $at, $turns, $mask, 4, $kind,
                [0, a0, b0; 1, a1, b1; 2, a2, b2; 3, a3, b3;],
                [stride = stride, thrice = thrice]
            ),
        }
    }};
}

/// Adds `turns` turns of codes of `8 / PARTS` bits, `run` of them, at least one, before they are widened, and goes on to
/// what is behind them; or does nothing, for tiles of another shape, and says so.
///
/// # Safety
/// As [`super::Dot::steps`], and the sums of a run fit int16; the CPU has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn turns<
    const ROWS: usize,
    const NV: usize,
    const PARTS: usize,
    const MASK: u8,
>(
    acc: &mut [[__m256i; NV]; ROWS],
    at: &mut Steps,
    turns: usize,
    run: usize,
) -> bool {
    if NV != 2 || !matches!(ROWS, 1..=4) {
        return false;
    }
    let acc = acc.as_mut_ptr().cast::<__m256i>();
    // SAFETY: sums of ROWS rows; the turns' operands by this function's contract, of which exactly the bytes of their groups
    // are read.
    unsafe {
        if PARTS == 2 && run == 1 {
            if turns > 0 {
                by_rows!(turns_loop, acc, at, turns, MASK, first);
            }
            return true;
        }
        let mut left = turns;
        while left > 0 {
            let turns = if left < run { left } else { run };
            left -= turns;
            match (PARTS, MASK) {
                (2, _) => by_rows!(turns_loop, acc, at, turns, MASK, u4),
                (4, _) => by_rows!(turns_loop, acc, at, turns, MASK, u2),
                (_, 1) => by_rows!(turns_loop, acc, at, turns, MASK, u1),
                _ => by_rows!(turns_loop, acc, at, turns, MASK, b1),
            }
        }
    }
    true
}

/// [`super::Dot::scaled_steps`] of whole turns of 4-bit codes; does nothing, and says so, where there is anything else.
///
/// # Safety
/// As there; the CPU has AVX2 and FMA.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn scaled<
    const ROWS: usize,
    const NV: usize,
    const PARTS: usize,
    const MASK: u8,
>(
    steps: Steps,
    mut scaling: Scaling,
    real: &mut [[__m256; NV]; ROWS],
) -> bool {
    /// What a row's factor is where it has none: a product by it is exact.
    static ONES: [f32; 4] = [1.0; 4];
    static ZEROS: [i32; 4] = [0; 4];
    let whole = steps.count > 0 && steps.count.is_multiple_of(4);
    if PARTS != 2 || NV != 2 || !matches!(ROWS, 1..=4) || !whole {
        return false;
    }
    if scaling.row_factors.is_null() {
        scaling.row_factors = ONES.as_ptr();
    }
    if scaling.row_start.is_null() {
        scaling.row_start = ZEROS.as_ptr();
    }
    let mut at = steps;
    // SAFETY: all turns but the last, and then that: of the operands exactly the bytes of their groups are read, of what
    // scales them the values of ROWS rows and NV vectors.
    unsafe {
        let real = real.as_mut_ptr().cast::<__m256>();
        let mut acc = MaybeUninit::<[[__m256i; NV]; ROWS]>::uninit();
        let (mut start, mut start_stride) = (scaling.start, 0);
        if steps.count > 4 {
            let mut column = [_mm256_setzero_si256(); NV];
            for (v, sum) in column.iter_mut().enumerate() {
                *sum = _mm256_loadu_si256(scaling.start.add(8 * v).cast());
            }
            let acc = acc.write([column; ROWS]);
            turns::<ROWS, NV, PARTS, MASK>(acc, &mut at, steps.count / 4 - 1, 1);
            (start, start_stride) = (acc.as_ptr().cast(), size_of::<[__m256i; 2]>());
        }
        let scaling = (scaling, start_stride, real);
        by_rows!(scaled_turn, start, at, scaling, MASK, scaled);
    }
    true
}
