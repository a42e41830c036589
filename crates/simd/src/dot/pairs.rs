//! The loop of `vpmaddwd` tiles in AVX2: three to six rows of pairs, two vectors of columns.
//!
//! It is assembly for two things that the compiler leaves to chance, each worth 5 to 14 % on Zen 3. A product's
//! addition follows it: with products and additions apart, additions take the two ports that multiply more often. And the loop
//! begins at a multiple of 64: its 190 bytes then fill three lines of the cache of decoded instructions, which gives
//! up to eight instructions of a line a cycle; a loop that begins at the end of a line takes a cycle more than the
//! arithmetic does. See docs/int8-gemm.md.
//!
//! ```text
//! ymm: 12 sums (6 x 2)   2 widened weights   1 broadcast pair   1 product         of 16
//! a step: 2 vpmovsxbw, and for each row: vpbroadcastd, 2 x (vpmaddwd, vpaddd)
//! ```

use super::Steps;
use core::arch::asm;
use core::arch::x86_64::__m256i;

/// What is asked for ahead. Up to four rows wait for weights, from memory; more rows for the lhs, whose blocks
/// come from the second-level cache, and without that the loop stands still at each line (148 instead of 159 GOPS).
macro_rules! ahead {
    (rhs) => {
        "prefetcht0 [{rhs} + 4096]"
    };
    (lhs) => {
        "prefetcht0 [{low} + 512]"
    };
}

/// The loop for some rows: of each its number, its sums and the address of its pair.
macro_rules! pairs_loop {
    ($acc:ident, $steps:ident, $first:expr, $([$r:literal, $a:ident, $b:ident, $at:literal]),*) => {{
        let Steps { lhs, row_stride, group_stride, rhs, count } = $steps;
        $(
            let mut $a = $acc.add(2 * $r).read();
            let mut $b = $acc.add(2 * $r + 1).read();
        )*
        asm!(
            ".p2align 6",
            "2:",
            "vpmovsxbw {w0}, xmmword ptr [{rhs}]",
            "vpmovsxbw {w1}, xmmword ptr [{rhs} + 16]",
            $first,
            $(
                concat!("vpbroadcastd {group}, dword ptr [", $at, "]"),
                "vpmaddwd {product}, {group}, {w0}",
                concat!("vpaddd {", stringify!($a), "}, {", stringify!($a), "}, {product}"),
                "vpmaddwd {product}, {group}, {w1}",
                concat!("vpaddd {", stringify!($b), "}, {", stringify!($b), "}, {product}"),
            )*
            "add {rhs}, 32",
            "add {low}, {step}",
            "add {high}, {step}",
            "dec {count}",
            "jnz 2b",
            rhs = inout(reg) rhs => _,
            low = inout(reg) lhs => _,
            high = inout(reg) lhs.wrapping_add(3 * row_stride) => _,
            row = in(reg) row_stride,
            step = in(reg) group_stride,
            count = inout(reg) count => _,
            w0 = out(ymm_reg) _,
            w1 = out(ymm_reg) _,
            group = out(ymm_reg) _,
            product = out(ymm_reg) _,
            $($a = inout(ymm_reg) $a, $b = inout(ymm_reg) $b,)*
            options(readonly, nostack),
        );
        $(
            $acc.add(2 * $r).write($a);
            $acc.add(2 * $r + 1).write($b);
        )*
    }};
}

/// [`super::Dot::steps`] of pairs.
///
/// # Safety
/// As there; the CPU has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn steps<const ROWS: usize, const NV: usize>(
    acc: &mut [[__m256i; NV]; ROWS],
    steps: Steps,
) -> bool {
    if NV != 2 || !matches!(ROWS, 3..=6) {
        return false;
    }
    if steps.count == 0 {
        return true;
    }
    let acc = acc.as_mut_ptr().cast::<__m256i>();
    // SAFETY: sums of ROWS rows; `count` steps of operands by this function's contract, of which exactly 4 bytes a
    // row and 32 of the rhs are read, and at least one step.
    unsafe {
        match ROWS {
            3 => pairs_loop!(
                acc,
                steps,
                ahead!(rhs),
                [0, a0, b0, "{low}"],
                [1, a1, b1, "{low} + {row}"],
                [2, a2, b2, "{low} + 2 * {row}"]
            ),
            4 => pairs_loop!(
                acc,
                steps,
                ahead!(rhs),
                [0, a0, b0, "{low}"],
                [1, a1, b1, "{low} + {row}"],
                [2, a2, b2, "{low} + 2 * {row}"],
                [3, a3, b3, "{high}"]
            ),
            5 => pairs_loop!(
                acc,
                steps,
                ahead!(lhs),
                [0, a0, b0, "{low}"],
                [1, a1, b1, "{low} + {row}"],
                [2, a2, b2, "{low} + 2 * {row}"],
                [3, a3, b3, "{high}"],
                [4, a4, b4, "{high} + {row}"]
            ),
            _ => pairs_loop!(
                acc,
                steps,
                ahead!(lhs),
                [0, a0, b0, "{low}"],
                [1, a1, b1, "{low} + {row}"],
                [2, a2, b2, "{low} + 2 * {row}"],
                [3, a3, b3, "{high}"],
                [4, a4, b4, "{high} + {row}"],
                [5, a5, b5, "{high} + 2 * {row}"]
            ),
        }
    }
    true
}
