//! The loop of `vpmaddwd` tiles in AVX2: three to six packed rows of pairs, two vectors of columns.
//!
//! It is assembly for what the compiler leaves to chance, worth up to 14 % on Zen 3: additions take the two ports
//! that multiply as readily as the other two, and what they take seems to depend on how instructions fall into the
//! lines of the cache of decoded ones. With both products of a row before both additions the rate does not depend on
//! where the loop lies; with an addition behind each product it is anything from 138 to 165 GOPS. See
//! docs/int8-gemm.md.
//!
//! ```text
//! ymm: 12 sums (6 x 2)   2 widened weights   1 broadcast pair, then a product   1 product         of 16
//! a step: 2 vpmovsxbw, and for each row: vpbroadcastd, 2 vpmaddwd, 2 vpaddd
//! ```

use super::Steps;
use core::arch::asm;
use core::arch::x86_64::__m256i;

/// Two products and two additions of a row whose pair is at `$at`.
macro_rules! row {
    ($a:ident, $b:ident, $at:literal) => {
        concat!(
            "vpbroadcastd {group}, dword ptr [{lhs} + ",
            $at,
            "]\n",
            "vpmaddwd {product}, {group}, {w0}\n",
            "vpmaddwd {group}, {group}, {w1}\n",
            "vpaddd {",
            stringify!($a),
            "}, {",
            stringify!($a),
            "}, {product}\n",
            "vpaddd {",
            stringify!($b),
            "}, {",
            stringify!($b),
            "}, {group}"
        )
    };
}

/// The loop for some rows, two steps a turn, and the last step of an odd number: the bytes of
/// two groups of all rows; of each row its number, its sums and the places of its pairs in both steps.
macro_rules! pairs_loop {
    (
        $acc:ident, $steps:ident, $twice:literal,
        $([$r:literal, $a:ident, $b:ident, $at:literal, $next:literal]),*
    ) => {{
        let Steps { mut lhs, mut rhs, count, .. } = $steps;
        $(
            let mut $a = $acc.add(2 * $r).read();
            let mut $b = $acc.add(2 * $r + 1).read();
        )*
        if count >= 2 {
            asm!(
                ".p2align 6",
                "2:",
                "vpmovsxbw {w0}, xmmword ptr [{rhs}]",
                "vpmovsxbw {w1}, xmmword ptr [{rhs} + 16]",
                "prefetcht0 [{rhs} + 8192]",
                $(row!($a, $b, $at),)*
                "vpmovsxbw {w0}, xmmword ptr [{rhs} + 32]",
                "vpmovsxbw {w1}, xmmword ptr [{rhs} + 48]",
                $(row!($a, $b, $next),)*
                "add {rhs}, 64",
                concat!("add {lhs}, ", $twice),
                "dec {count}",
                "jnz 2b",
                rhs = inout(reg) rhs,
                lhs = inout(reg) lhs,
                count = inout(reg) count / 2 => _,
                w0 = out(ymm_reg) _,
                w1 = out(ymm_reg) _,
                group = out(ymm_reg) _,
                product = out(ymm_reg) _,
                $($a = inout(ymm_reg) $a, $b = inout(ymm_reg) $b,)*
                options(readonly, nostack),
            );
        }
        if count % 2 == 1 {
            asm!(
                "vpmovsxbw {w0}, xmmword ptr [{rhs}]",
                "vpmovsxbw {w1}, xmmword ptr [{rhs} + 16]",
                $(row!($a, $b, $at),)*
                rhs = in(reg) rhs,
                lhs = in(reg) lhs,
                w0 = out(ymm_reg) _,
                w1 = out(ymm_reg) _,
                group = out(ymm_reg) _,
                product = out(ymm_reg) _,
                $($a = inout(ymm_reg) $a, $b = inout(ymm_reg) $b,)*
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        $(
            $acc.add(2 * $r).write($a);
            $acc.add(2 * $r + 1).write($b);
        )*
    }};
}

/// [`super::Dot::steps`] of pairs. Rows that are not packed are left alone.
///
/// Weights 8 KiB ahead are asked for: whatever the number of rows, the first block that meets a panel waits for them
/// (six rows, three blocks, K = 4096: 147 GOPS without, 157 with it). The lhs needs no asking.
///
/// # Safety
/// As there; the CPU has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn steps<const ROWS: usize, const NV: usize>(
    acc: &mut [[__m256i; NV]; ROWS],
    steps: Steps,
) -> bool {
    let packed = steps.row_stride == 4 && steps.group_stride == 4 * ROWS;
    if NV != 2 || !matches!(ROWS, 3..=6) || !packed {
        return false;
    }
    let acc = acc.as_mut_ptr().cast::<__m256i>();
    // SAFETY: sums of ROWS rows; `count` steps of operands by this function's contract, of which exactly 4 bytes a
    // row and 32 of the rhs are read.
    unsafe {
        match ROWS {
            3 => pairs_loop!(
                acc,
                steps,
                24,
                [0, a0, b0, 0, 12],
                [1, a1, b1, 4, 16],
                [2, a2, b2, 8, 20]
            ),
            4 => pairs_loop!(
                acc,
                steps,
                32,
                [0, a0, b0, 0, 16],
                [1, a1, b1, 4, 20],
                [2, a2, b2, 8, 24],
                [3, a3, b3, 12, 28]
            ),
            5 => pairs_loop!(
                acc,
                steps,
                40,
                [0, a0, b0, 0, 20],
                [1, a1, b1, 4, 24],
                [2, a2, b2, 8, 28],
                [3, a3, b3, 12, 32],
                [4, a4, b4, 16, 36]
            ),
            _ => pairs_loop!(
                acc,
                steps,
                48,
                [0, a0, b0, 0, 24],
                [1, a1, b1, 4, 28],
                [2, a2, b2, 8, 32],
                [3, a3, b3, 12, 36],
                [4, a4, b4, 16, 40],
                [5, a5, b5, 20, 44]
            ),
        }
    }
    true
}
