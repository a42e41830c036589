//! Three rows of three taps by AVX2, column after column.
//!
//! A column's codes are loaded once for both vectors of channels, and meet every weight that they have; the pixels that it is
//! a tap of have their sums in registers, three under stride 1, two under stride 2. That takes all registers, so it is written
//! out: compilers order such products and additions so that they spill a third of them (64 channels of 112 by 112, the
//! products alone: 156 us by compilers, 124 us so; 140 us by tiles of 7 pixels of a vector).

use super::{MAX_PAIR_CHANNELS, ThreeRows};
use core::arch::asm;
use core::arch::x86_64::*;

/// A block is a line of a cache: what offsets below are made of.
const _: () = assert!(MAX_PAIR_CHANNELS == 32);

/// The pairs of the first two lines at an offset: `x`, of the first vector, and `y`, of the second.
macro_rules! above {
    ($at:literal) => {
        concat!(
            "vmovdqu {y}, [{a} + {i} + ",
            $at,
            "]\n",
            "vmovdqu {v}, [{b} + {i} + ",
            $at,
            "]\n",
            "vpunpcklwd {x}, {y}, {v}\n",
            "vpunpckhwd {y}, {y}, {v}\n",
        )
    };
}

/// The pairs of neighbours of the last line at an offset.
macro_rules! beside {
    ($at:literal, $next:literal) => {
        concat!(
            "vmovdqu {y}, [{c} + {i} + ",
            $at,
            "]\n",
            "vmovdqu {v}, [{c} + {i} + ",
            $next,
            "]\n",
            "vpunpcklwd {x}, {y}, {v}\n",
            "vpunpckhwd {y}, {y}, {v}\n",
        )
    };
}

/// Begins a pixel's sums with the products of the pairs.
macro_rules! begin {
    ($s:literal, $t:literal) => {
        concat!(
            "vpmaddwd {",
            $s,
            "}, {x}, {w0}\n",
            "vpmaddwd {",
            $t,
            "}, {y}, {w1}\n",
            "vpaddd {",
            $s,
            "}, {",
            $s,
            "}, [{start}]\n",
            "vpaddd {",
            $t,
            "}, {",
            $t,
            "}, [{start} + 32]\n",
        )
    };
}

/// Adds the products of the pairs with weights, in registers or in memory.
macro_rules! add {
    ($s:literal, $t:literal, $w:literal, $v:literal) => {
        concat!(
            "vpmaddwd {u}, {x}, ",
            $w,
            "\n",
            "vpmaddwd {v}, {y}, ",
            $v,
            "\n",
            "vpaddd {",
            $s,
            "}, {",
            $s,
            "}, {u}\n",
            "vpaddd {",
            $t,
            "}, {",
            $t,
            "}, {v}\n",
        )
    };
}

/// Completes a pixel's sums with the last pairs' products, and stores them.
macro_rules! complete {
    ($s:literal, $t:literal) => {
        concat!(
            add!($s, $t, "[{w} + 64]", "[{w} + 96]"),
            "vmovdqu [{dst}], {",
            $s,
            "}\n",
            "vmovdqu [{dst} + 32], {",
            $t,
            "}\n",
            "add {dst}, {stride}\n",
        )
    };
}

/// A column of stride 1: where it is, and the next one; the sums that it begins, goes on with, and completes.
macro_rules! column {
    ($at:literal, $next:literal; $n:literal $m:literal; $p:literal $q:literal; $s:literal $t:literal) => {
        concat!(
            above!($at),
            begin!($n, $m),
            add!($p, $q, "{w2}", "{w3}"),
            add!($s, $t, "{w4}", "{w5}"),
            beside!($at, $next),
            add!($n, $m, "[{w} - 64]", "[{w} - 32]"),
            complete!($s, $t),
        )
    };
}

/// The sums of pixels a column apart.
///
/// # Safety
/// As [`Pairs::three`](super::Pairs::three) of AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn stride_1(row: &ThreeRows) {
    let ThreeRows { lines: [a, b, c], weights, start, dst, stride, pixels } = *row;
    if pixels == 0 {
        return;
    }
    let w = weights.cast::<__m256i>();
    // SAFETY: by this function's contract: columns of all pixels are read, and the one behind them; sums of `pixels` pixels are
    // written.
    unsafe {
        asm!(
            // The first two columns complete nothing.
            above!("0"),
            begin!("s0", "t0"),
            beside!("0", "64"),
            add!("s0", "t0", "[{w} - 64]", "[{w} - 32]"),
            above!("64"),
            begin!("s1", "t1"),
            add!("s0", "t0", "{w2}", "{w3}"),
            beside!("64", "128"),
            add!("s1", "t1", "[{w} - 64]", "[{w} - 32]"),
            "add {i}, 192",
            "sub {count}, 3",
            "jb 3f",
            ".p2align 5",
            "2:",
            column!("-64", "0"; "s2" "t2"; "s1" "t1"; "s0" "t0"),
            column!("0", "64"; "s0" "t0"; "s2" "t2"; "s1" "t1"),
            column!("64", "128"; "s1" "t1"; "s0" "t0"; "s2" "t2"),
            "add {i}, 192",
            "sub {count}, 3",
            "jae 2b",
            "3:",
            "cmp {count}, -3",
            "je 5f",
            column!("-64", "0"; "s2" "t2"; "s1" "t1"; "s0" "t0"),
            "cmp {count}, -2",
            "jne 4f",
            "vmovdqa {s0}, {s1}",
            "vmovdqa {t0}, {t1}",
            "vmovdqa {s1}, {s2}",
            "vmovdqa {t1}, {t2}",
            "add {i}, 64",
            "jmp 5f",
            "4:",
            column!("0", "64"; "s0" "t0"; "s2" "t2"; "s1" "t1"),
            "vmovdqa {s1}, {s0}",
            "vmovdqa {t1}, {t0}",
            "vmovdqa {s0}, {s2}",
            "vmovdqa {t0}, {t2}",
            "add {i}, 128",
            // The last two begin nothing.
            "5:",
            above!("-64"),
            add!("s1", "t1", "{w2}", "{w3}"),
            add!("s0", "t0", "{w4}", "{w5}"),
            beside!("-64", "0"),
            complete!("s0", "t0"),
            "cmp {pixels}, 1",
            "je 6f",
            above!("0"),
            add!("s1", "t1", "{w4}", "{w5}"),
            beside!("0", "64"),
            complete!("s1", "t1"),
            "6:",
            pixels = in(reg) pixels,
            a = in(reg) a,
            b = in(reg) b,
            c = in(reg) c,
            i = inout(reg) 0usize => _,
            count = inout(reg) pixels.saturating_sub(2) => _,
            start = in(reg) start,
            dst = inout(reg) dst => _,
            stride = in(reg) stride * size_of::<i32>(),
            w = in(reg) w.byte_add(448),
            w0 = in(ymm_reg) _mm256_loadu_si256(w),
            w1 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(32)),
            w2 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(128)),
            w3 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(160)),
            w4 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(256)),
            w5 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(288)),
            s0 = out(ymm_reg) _,
            t0 = out(ymm_reg) _,
            s1 = out(ymm_reg) _,
            t1 = out(ymm_reg) _,
            s2 = out(ymm_reg) _,
            t2 = out(ymm_reg) _,
            x = out(ymm_reg) _,
            y = out(ymm_reg) _,
            u = out(ymm_reg) _,
            v = out(ymm_reg) _,
            options(nostack),
        );
    }
}

/// Two columns of stride 2: where they are, and the next; the sums that they begin, and complete.
macro_rules! columns {
    ($at:literal, $next:literal; $n:literal $m:literal; $s:literal $t:literal) => {
        concat!(
            above!($at),
            begin!($n, $m),
            add!($s, $t, "{w4}", "{w5}"),
            beside!($at, $next),
            add!($n, $m, "{w6}", "{w7}"),
            complete!($s, $t),
            above!($next),
            add!($n, $m, "{w2}", "{w3}"),
        )
    };
}

/// The sums of pixels two columns apart.
///
/// # Safety
/// As [`Pairs::three`](super::Pairs::three) of AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn stride_2(row: &ThreeRows) {
    let ThreeRows { lines: [a, b, c], weights, start, dst, stride, pixels } = *row;
    if pixels == 0 {
        return;
    }
    let w = weights.cast::<__m256i>();
    // SAFETY: by this function's contract: columns of all pixels are read, and the one behind them; sums of `pixels` pixels are
    // written.
    unsafe {
        asm!(
            // The first two columns complete nothing.
            above!("0"),
            begin!("s0", "t0"),
            beside!("0", "64"),
            add!("s0", "t0", "{w6}", "{w7}"),
            above!("64"),
            add!("s0", "t0", "{w2}", "{w3}"),
            "add {i}, 192",
            "sub {count}, 2",
            "jb 3f",
            ".p2align 5",
            "2:",
            columns!("-64", "0"; "s1" "t1"; "s0" "t0"),
            columns!("64", "128"; "s0" "t0"; "s1" "t1"),
            "add {i}, 256",
            "sub {count}, 2",
            "jae 2b",
            "3:",
            "cmp {count}, -2",
            "je 4f",
            columns!("-64", "0"; "s1" "t1"; "s0" "t0"),
            "vmovdqa {s0}, {s1}",
            "vmovdqa {t0}, {t1}",
            "add {i}, 128",
            // The last one begins nothing.
            "4:",
            above!("-64"),
            add!("s0", "t0", "{w4}", "{w5}"),
            beside!("-64", "0"),
            complete!("s0", "t0"),
            a = in(reg) a,
            b = in(reg) b,
            c = in(reg) c,
            i = inout(reg) 0usize => _,
            count = inout(reg) pixels - 1 => _,
            start = in(reg) start,
            dst = inout(reg) dst => _,
            stride = in(reg) stride * size_of::<i32>(),
            w = in(reg) w.byte_add(448),
            w0 = in(ymm_reg) _mm256_loadu_si256(w),
            w1 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(32)),
            w2 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(128)),
            w3 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(160)),
            w4 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(256)),
            w5 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(288)),
            w6 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(384)),
            w7 = in(ymm_reg) _mm256_loadu_si256(w.byte_add(416)),
            s0 = out(ymm_reg) _,
            t0 = out(ymm_reg) _,
            s1 = out(ymm_reg) _,
            t1 = out(ymm_reg) _,
            x = out(ymm_reg) _,
            y = out(ymm_reg) _,
            u = out(ymm_reg) _,
            v = out(ymm_reg) _,
            options(nostack),
        );
    }
}
