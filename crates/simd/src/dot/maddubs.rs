//! The loop of `vpmaddubsw` tiles in AVX2: up to four rows, two vectors of columns, 32 k-values a turn.
//!
//! It is assembly because a compiler that sees sums in int16 and in int32, 16 vectors in all, keeps neither: spilled, the
//! loop makes 173 GOPS on Zen 3 of the 300 that it makes like this. Sums in int32 wait in memory until a run of turns is over.
//!
//! ```text
//! ymm: 8 sums (4 x 2)   2 packed   2 unpacked codes   1 broadcast group, then a product   1 product   1 mask     of 16
//! a group's part: 2 vpand (and 2 vpsrlw), and for each row: vpbroadcastd, 2 vpmaddubsw, 2 vpaddw
//! ```

use super::Steps;
use core::arch::asm;
use core::arch::x86_64::*;

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

/// [`turns_loop`] of as many rows as there are.
macro_rules! by_rows {
    ($acc:ident, $at:ident, $turns:ident, $mask:expr, $kind:tt) => {{
        let stride = $at.row_stride;
        let thrice = stride.wrapping_mul(3);
        match ROWS {
            1 => turns_loop!($acc, $at, $turns, $mask, 1, $kind, [0, a0, b0;], []),
            2 => turns_loop!(
                $acc, $at, $turns, $mask, 2, $kind,
                [0, a0, b0; 1, a1, b1;], [stride = stride]
            ),
            3 => turns_loop!(
                $acc, $at, $turns, $mask, 3, $kind,
                [0, a0, b0; 1, a1, b1; 2, a2, b2;], [stride = stride]
            ),
            _ => turns_loop!(
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
                by_rows!(acc, at, turns, MASK, first);
            }
            return true;
        }
        let mut left = turns;
        while left > 0 {
            let turns = if left < run { left } else { run };
            left -= turns;
            match (PARTS, MASK) {
                (2, _) => by_rows!(acc, at, turns, MASK, u4),
                (4, _) => by_rows!(acc, at, turns, MASK, u2),
                (_, 1) => by_rows!(acc, at, turns, MASK, u1),
                _ => by_rows!(acc, at, turns, MASK, b1),
            }
        }
    }
    true
}
