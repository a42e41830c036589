//! The digest of the tiles of weights with a scale a block along k.

use crate::{Book, Digest};
use fewbit::kernels::gemm::{BlocksArgs, RhsForm, TileArgs, code_shift_lhs, pack_lhs, pack_rhs};
use fewbit::kernels::registry::bind;
use fewbit_testkit::{Rng, limited, missing};

/// A multiple of every tile's.
const COLUMNS: usize = 32;

/// Products of 1 to 12 rows, tile by tile: the results must not depend on the tile's shape.
pub(crate) fn enter(book: &mut Book) {
    for tile in RhsForm::ALL.into_iter().flat_map(RhsForm::tiles) {
        let Some(row) = &tile.blocks else { continue };
        let Some(bound) = bind(row, limited()) else {
            missing(row.name, row.required);
            continue;
        };
        // Whole groups of every tile; the bytes' line is older than the others.
        let blocks = if tile.rhs.bits() == 1 { [(32, 5), (64, 2)] } else { [(16, 5), (64, 2)] };
        let bits = tile.rhs.bits();
        let (kr, nr, group_bytes) = (tile.lhs.kr(), tile.nr, tile.lhs.group_bytes());
        let shift = code_shift_lhs(true, tile.lhs);
        let mut digest = Digest::new();
        let mut rng = Rng::new(9);
        for (rows, (block, count)) in (1..=12).flat_map(|rows| blocks.map(|block| (rows, block))) {
            let k = block * count;
            let (lhs, rhs) = (rng.bytes(rows * k), rng.bytes(COLUMNS * k));
            let factors: Vec<f32> = (0..COLUMNS * count).map(|_| 0.01 + rng.unit()).collect();
            let row_factors: Vec<f32> = (0..rows).map(|_| 0.01 + rng.unit()).collect();
            let mut dst = vec![0f32; rows * COLUMNS];
            for (first_row, first) in (0..rows)
                .step_by(tile.mr)
                .flat_map(|row| (0..COLUMNS).step_by(nr).map(move |column| (row, column)))
            {
                let height = (rows - first_row).min(tile.mr);
                let mut packed = vec![0u8; k / kr * height * group_bytes];
                let row = |r: usize| lhs[(first_row + r) * k..].as_ptr();
                // SAFETY: k codes a row, and a block of `height` rows.
                unsafe { pack_lhs(row, height, k, true, tile.lhs, packed.as_mut_ptr()) };
                let bytes = block * bits / 8 * nr;
                let (mut panel, mut start) = (vec![0i8; count * bytes], vec![0; count * nr]);
                let mut of_panel = vec![0f32; count * nr];
                for b in 0..count {
                    let code = |c: usize, i: usize| {
                        let byte = rhs[(first + c) * k + b * block + i];
                        match tile.rhs {
                            RhsForm::S8 => i32::from(byte as i8),
                            RhsForm::B1 => i32::from(byte & 2),
                            _ => i32::from(byte & ((1 << bits) - 1)),
                        }
                    };
                    let (panel, sums) = (&mut panel[b * bytes..], &mut start[b * nr..]);
                    pack_rhs(code, nr, block, tile, &mut panel[..bytes], sums);
                    // Codes of the lhs that were moved.
                    sums[..nr].iter_mut().for_each(|sum| *sum = sum.wrapping_mul(-shift));
                    let from = &factors[b * COLUMNS + first..][..nr];
                    of_panel[b * nr..][..nr].copy_from_slice(from);
                }
                // SAFETY: a packed block and a panel's blocks with their parameters; the rows' results.
                unsafe {
                    bound.run()(&BlocksArgs {
                        tile: TileArgs {
                            lhs: packed.as_ptr(),
                            lhs_row_stride: group_bytes,
                            lhs_group_stride: height * group_bytes,
                            rhs: panel.as_ptr(),
                            k_groups: block / kr,
                            k_rest: 0,
                            narrow: false,
                            rows: height,
                            start: start.as_ptr(),
                            row_start: std::ptr::null(),
                            lhs_zero: std::ptr::null(),
                            rhs_fold: std::ptr::null(),
                            rhs_zero: std::ptr::null(),
                            lhs_sum: std::ptr::null(),
                            dst: std::ptr::null_mut(),
                            dst_stride: 0,
                        },
                        count,
                        sum_stride: 0,
                        factors: of_panel.as_ptr(),
                        row_factors: row_factors[first_row..].as_ptr(),
                        dst: dst[first_row * COLUMNS + first..].as_mut_ptr(),
                        dst_stride: COLUMNS,
                    });
                }
            }
            digest.f32s(&dst);
        }
        book.enter(tile.rhs.blocks_op(), row.required, digest);
    }
}
