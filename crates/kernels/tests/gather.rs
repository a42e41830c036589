//! Runs of codes copied into rows, against a copy code by code: every row, all small lengths, counts and strides, between guard
//! pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::gather::{GATHER_S8_S16, GATHER_U8, GATHER_U8_S16, GatherArgs, GatherFn, Run};
use fewbit_kernels::registry::Row;
use fewbit_testkit::{GuardedBuf, Rng, fraction, report, seed};

/// A table, and what its rows make of a code: bytes.
fn check(table: &'static [Row<GatherFn>], becomes: impl Fn(u8, u8) -> Vec<u8>) {
    let mut rng = Rng::new(seed() ^ 92);
    let [mut codes, mut places, mut lists] = [(); 3].map(|()| GuardedBuf::new(1 << 18));
    let bytes = becomes(0, 0).len();
    let rounds = (40 / fraction("gather rounds", 4)).max(4);
    for row in runnable(table) {
        let mut calls = 0;
        for (len, _) in (0..=150).flat_map(|len| (0..rounds).map(move |r| (len, r))) {
            // Two lists of runs of different lengths, each run in a place of its own; the last ones end at the guards.
            let lens = [len, rng.below(200)];
            let mask = rng.pick(&[0, 0x80, 0xFF, 0x5A]);
            let (mut reads, mut writes, mut runs) = (0, rng.below(5), Vec::new());
            for len in lens {
                let (count, gap) = (rng.below(4), rng.below(9));
                // Apart, side by side, one on the other, or the same again.
                let from_stride = rng.pick(&[0, len / 2, len, len + gap]);
                let to_stride = len * bytes + rng.below(9);
                let ends = |stride: usize, len: usize| (count.max(1) - 1) * stride + len;
                runs.push((reads, len, writes, count, from_stride, to_stride));
                reads += ends(from_stride, len) + gap;
                writes += ends(to_stride, len * bytes) + gap;
            }
            let last = runs[1];
            let ends = |start, stride, len| start + (last.3.max(1) - 1) * stride + len;
            let source = rng.bytes(ends(last.0, last.4, last.1));
            let size = ends(last.2, last.5, last.1 * bytes);
            let from = codes.at_end(&source).cast_const();
            let list: Vec<Run> = runs
                .iter()
                .map(|&(at, len, to, count, from_stride, to_stride)| Run {
                    from: from.wrapping_add(at),
                    len,
                    to,
                    count,
                    from_stride,
                    to_stride,
                })
                .collect();
            let mut want = vec![0xA5; size];
            for &(at, len, to, count, from_stride, to_stride) in &runs {
                for (i, c) in (0..count).flat_map(|i| (0..len).map(move |c| (i, c))) {
                    let code = becomes(source[at + i * from_stride + c], mask);
                    want[to + i * to_stride + c * bytes..][..bytes].copy_from_slice(&code);
                }
            }
            let args = GatherArgs {
                runs: lists.at_end(&list),
                count: 2,
                to: places.at_end(&vec![0xA5u8; size]),
                mask,
            };
            // SAFETY: the row is bound; the buffers hold what the arguments say.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.to, size)
            };
            assert!(got == want, "{}: {lens:?}", row.name());
            calls += 1;
        }
        count(table, row, calls);
    }
}

#[test]
fn runs_are_copied_exactly() {
    check(GATHER_U8, |code, mask| vec![code ^ mask]);
    check(GATHER_U8_S16, |code, _| i16::from(code).to_ne_bytes().to_vec());
    check(GATHER_S8_S16, |code, _| i16::from(code as i8).to_ne_bytes().to_vec());
    report();
}
