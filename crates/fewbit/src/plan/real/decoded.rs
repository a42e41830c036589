//! Weights that are codes: decoded in the run, a chunk of k at a time, for the tile for f32.

use super::{Part, RealBlock, RealEngine};
use crate::plan::epilogue::Destination;
use fewbit_kernels::real_gemm::{Coding, DecodeArgs, DecodeFn, MAX_PANELS, RealTileArgs};
use fewbit_kernels::registry::Bound;

/// What makes panels of f32 of panels of codes, a chunk of k at a time.
#[derive(Clone, Copy)]
pub(super) struct Decoder {
    pub run: Bound<DecodeFn>,
    pub coding: Coding,
    /// Steps of k that share factors, at least 1.
    pub block: usize,
}

/// Numbers of a chunk: half of the nearest cache, beside the rows.
const CHUNK: usize = 4096;

impl RealEngine<'_> {
    /// Bytes that a task of up to `blocks` blocks needs to decode: a chunk of numbers, and the sums of the blocks' rows.
    pub(crate) fn scratch(&self, blocks: usize) -> usize {
        match self.decode {
            None => 0,
            Some(_) => {
                let sums = blocks.max(MAX_PANELS) * self.mr() * self.layout.columns.nr;
                (CHUNK + sums) * size_of::<f32>()
            }
        }
    }

    /// Multiplies blocks with panels of codes: chunk by chunk of k, each decoded once, and all blocks go on with it. Sums wait
    /// where the results go, or in the scratch. A row alone is multiplied as codes are decoded.
    ///
    /// # Safety
    /// As [`multiply`](RealEngine::multiply).
    pub(super) unsafe fn decoded(
        &self,
        decoder: &Decoder,
        blocks: &[RealBlock],
        part: &Part,
        to: impl Fn(usize) -> Destination,
        scratch: *mut f32,
    ) {
        let Decoder { coding, block: of_block, .. } = *decoder;
        let (k, nr) = (self.layout.k, self.layout.columns.nr.max(1));
        let columns = part.panels * nr;
        let sums = scratch.wrapping_add(CHUNK);
        let codes_at = coding.factor_bytes(k, of_block, nr);
        if let [block @ RealBlock { lhs, rows: 1, .. }] = *blocks {
            let to = to(0);
            // SAFETY: the panels' factors and codes, the row, and its results; the tile finishes them, with no more steps.
            unsafe {
                let args = RealTileArgs {
                    bias: part.bias,
                    relu: self.epilogue.relu,
                    resume: true,
                    ..part.args(&block, nr, &to, sums)
                };
                decoder.run.run()(&DecodeArgs {
                    codes: part.rhs.wrapping_add(codes_at),
                    factors: part.rhs.cast(),
                    first: of_block,
                    block: of_block,
                    k,
                    nr,
                    lhs,
                    panels: part.panels,
                    panel_stride: self.layout.panel,
                    dst: args.dst,
                });
                self.tile.run()(&args);
                return self.store(1, part, args.dst, &to);
            }
        }
        // Even, as tiles have powers of two of columns, and fewer than the chunk has numbers.
        let chunk = CHUNK.checked_div(columns).unwrap_or(1).max(2);
        let mut at = 0;
        while at < k {
            let steps = chunk.min(k - at);
            let block = at.checked_div(of_block).unwrap_or(0);
            for p in 0..part.panels {
                let panel = part.rhs.wrapping_add(p * self.layout.panel);
                // SAFETY: the panel's factors and codes of these steps, which begin with an even one; the chunk holds them.
                unsafe {
                    decoder.run.run()(&DecodeArgs {
                        codes: panel.wrapping_add(codes_at + coding.code_bytes(at) * nr),
                        factors: panel.cast::<f32>().wrapping_add(block * coding.factors() * nr),
                        first: of_block - (at - block * of_block),
                        block: of_block,
                        k: steps,
                        nr,
                        lhs: core::ptr::null(),
                        panels: 1,
                        panel_stride: 0,
                        dst: scratch.wrapping_add(p * chunk * nr),
                    });
                }
            }
            let is_last = at + steps == k;
            let mut row = 0;
            for block in blocks {
                let to = to(row);
                // SAFETY: the block's numbers from `at` on, and those decoded; results as promised, or the scratch's sums.
                unsafe {
                    let args = RealTileArgs {
                        lhs: block.lhs.wrapping_add(at),
                        rhs: scratch.cast_const().cast(),
                        rhs_panel_stride: chunk * nr * size_of::<f32>(),
                        k: steps,
                        bias: if is_last { part.bias } else { core::ptr::null() },
                        relu: is_last && self.epilogue.relu,
                        resume: at > 0,
                        ..part.args(block, nr, &to, sums.wrapping_add(row * columns))
                    };
                    self.tile.run()(&args);
                    if is_last {
                        self.store(block.rows, part, args.dst, &to);
                    }
                }
                row += block.rows;
            }
            at += steps;
        }
    }
}
