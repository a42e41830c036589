//! Every tile of weights with a scale a block along k against the chain that is their definition, on sums by a triple
//! loop: all row counts, block lengths and counts, both kinds of zero points, between guard pages.

use fewbit_kernels::gemm::{
    BlocksArgs, BlocksFn, RhsForm, Tile, TileArgs, code_shift_lhs, code_shift_rhs, is_packed_form,
    pack_lhs, pack_rhs, sum_lhs,
};
use fewbit_kernels::registry::bind;
use fewbit_scheme::real;
use fewbit_testkit::{GuardedBuf, Rng, covered, limited, missing, report, seed};

/// Codes and parameters. A row's k codes are `count` blocks of `k / count`.
struct Case {
    rows: usize,
    block: usize,
    count: usize,
    lhs_unsigned: bool,
    form: RhsForm,
    /// The least code of the rhs.
    qmin: i32,
    /// `[rows][k]`, `[nr][k]`
    lhs: Vec<u8>,
    rhs: Vec<u8>,
    lhs_zero: Vec<i32>,
    /// `[count][nr]` each
    rhs_zero: Vec<i32>,
    factors: Vec<f32>,
    row_factors: Option<Vec<f32>>,
}

fn value(byte: u8, unsigned: bool) -> i32 {
    if unsigned { i32::from(byte) } else { i32::from(byte as i8) }
}

/// The rhs code of a byte: from `qmin` on, as many as the form has.
fn rhs_value(byte: u8, form: RhsForm, qmin: i32) -> i32 {
    match form {
        RhsForm::B1 => i32::from(byte & 1) * 2 - 1,
        _ => i32::from(byte & (0xFF >> (8 - form.bits()))) + qmin,
    }
}

impl Case {
    fn any(rng: &mut Rng, tile: &Tile, rows: usize, block: usize, count: usize) -> Case {
        let (nr, form) = (tile.nr, tile.rhs);
        let qmin = match form {
            RhsForm::S8 => rng.pick(&[-128, 0]),
            RhsForm::U4 => rng.pick(&[-8, 0]),
            RhsForm::U2 => -2,
            RhsForm::B1 => -1,
            _ => 0,
        };
        let k = block * count;
        let lhs_unsigned = rng.below(2) == 0;
        let zero = |rng: &mut Rng, unsigned: bool| match rng.below(3) {
            0 => value(0, unsigned),
            _ => value(rng.byte(), unsigned),
        };
        let plain = rng.below(4);
        let (shared_zero, of_all) = (rhs_value(rng.byte(), form, qmin), rng.below(2) == 0);
        let first = zero(rng, lhs_unsigned);
        let factor = |rng: &mut Rng| (0.01 + rng.unit()) * rng.pick(&[1.0, 1e-30, 1e30]);
        Case {
            rows,
            block,
            count,
            lhs_unsigned,
            form,
            qmin,
            lhs: rng.bytes(rows * k),
            rhs: rng.bytes(nr * k),
            // Of some cases no row, or no column, has a zero point in the packed form, or all share one.
            lhs_zero: (0..rows)
                .map(|_| if of_all { first } else { zero(rng, lhs_unsigned) })
                .collect(),
            rhs_zero: (0..count * nr)
                .map(|_| match plain {
                    0 => -code_shift_rhs(form, qmin),
                    1 => shared_zero,
                    _ if rng.below(3) == 0 => rhs_value(0, form, qmin),
                    _ => rhs_value(rng.byte(), form, qmin),
                })
                .collect(),
            factors: (0..count * nr).map(|_| factor(rng)).collect(),
            row_factors: match rng.below(2) {
                0 => None,
                _ => Some((0..rows).map(|_| factor(rng)).collect()),
            },
        }
    }

    /// The result by definition.
    fn want(&self, nr: usize, row: usize, column: usize) -> f32 {
        let k = self.block * self.count;
        let mut y = 0.0;
        for b in 0..self.count {
            let mut sum = 0;
            for i in b * self.block..(b + 1) * self.block {
                let a = value(self.lhs[row * k + i], self.lhs_unsigned) - self.lhs_zero[row];
                let w = rhs_value(self.rhs[column * k + i], self.form, self.qmin);
                sum += a * (w - self.rhs_zero[b * nr + column]);
            }
            let of_row = self.row_factors.as_ref().map_or(1.0, |factors| factors[row]);
            y = real::fma(sum as f32, of_row * self.factors[b * nr + column], y);
        }
        y
    }

    /// The tile's results, `[rows][nr]`. `direct`: codes are multiplied where they are.
    fn run(&self, arenas: &mut [GuardedBuf], tile: &Tile, run: BlocksFn, direct: bool) -> Vec<f32> {
        let [codes, lhs, rhs, starts, zeros, folds, sums, factors, dst] = arenas else {
            unreachable!("nine arenas")
        };
        let (rows, block, count, nr) = (self.rows, self.block, self.count, tile.nr);
        let (k, kr, group_bytes) = (block * count, tile.lhs.kr(), tile.lhs.group_bytes());
        let codes = codes.at_end(&self.lhs).cast_const();
        let row = |r: usize| codes.wrapping_add(r * k);
        let packed = lhs.at_end(&vec![0x77u8; k / kr * rows * group_bytes]);
        // SAFETY: k codes a row; the block has `k / kr * rows` groups.
        unsafe { pack_lhs(row, rows, k, self.lhs_unsigned, tile.lhs, packed) };

        let bytes = block * self.form.bits() / 8;
        let (mut panel, mut start) = (vec![0i8; nr * count * bytes], vec![0; count * nr]);
        let (mut column_zeros, mut fold) = (start.clone(), start.clone());
        let shift = code_shift_rhs(self.form, self.qmin);
        // What all rows have in common goes into the start, as a plan does.
        let lhs_shift = code_shift_lhs(self.lhs_unsigned, tile.lhs);
        let shared = self.lhs_zero[0] + lhs_shift;
        for b in 0..count {
            let code = |c: usize, i: usize| {
                rhs_value(self.rhs[c * k + b * block + i], self.form, self.qmin) + shift
            };
            let (at, to) = (b * nr, &mut panel[b * nr * bytes..][..nr * bytes]);
            let mut column_sums = vec![0; nr];
            pack_rhs(code, nr, block, tile, to, &mut column_sums);
            for (c, sum) in column_sums.into_iter().enumerate() {
                column_zeros[at + c] = self.rhs_zero[at + c] + shift;
                fold[at + c] = block as i32 * column_zeros[at + c] - sum;
                start[at + c] = shared.wrapping_mul(fold[at + c]);
            }
        }
        let row_zeros: Vec<i32> =
            self.lhs_zero.iter().map(|zero| zero + lhs_shift - shared).collect();
        // Block by block, rows further apart than there are.
        let distance = rows + 1;
        let mut row_sums = vec![0; (count - 1) * distance + rows];
        for (b, r) in (0..count).flat_map(|b| (0..rows).map(move |r| (b, r))) {
            // SAFETY: a block of codes.
            row_sums[b * distance + r] =
                unsafe { sum_lhs(row(r).add(b * block), block, self.lhs_unsigned, tile.lhs) };
        }
        // What a zero point of all columns makes of the rows' sums, as a plan does.
        let shared = column_zeros.iter().all(|&zero| zero == column_zeros[0]);
        let times = if shared { column_zeros[0].wrapping_neg() } else { 1 };
        row_sums.iter_mut().for_each(|sum: &mut i32| *sum = sum.wrapping_mul(times));
        let null = std::ptr::null();
        let stride = nr + rows % 3;
        let to = dst.at_end(&vec![f32::MAX; (rows - 1) * stride + nr]);
        let args = BlocksArgs {
            tile: TileArgs {
                lhs: if direct { codes } else { packed },
                lhs_row_stride: if direct { k } else { group_bytes },
                lhs_group_stride: if direct { kr } else { rows * group_bytes },
                rhs: rhs.at_end(&panel),
                k_groups: block / kr,
                k_rest: 0,
                narrow: false,
                rows,
                start: starts.at_end(&start),
                row_start: if shared { sums.at_end(&row_sums) } else { null },
                lhs_zero: match row_zeros.iter().any(|&zero| zero != 0) {
                    true => row_zeros.as_ptr(),
                    false => null,
                },
                rhs_fold: folds.at_end(&fold),
                rhs_zero: if shared { null } else { zeros.at_end(&column_zeros) },
                lhs_sum: if shared { null } else { sums.at_end(&row_sums) },
                dst: std::ptr::null_mut(),
                dst_stride: 0,
            },
            count,
            sum_stride: distance,
            factors: factors.at_end(&self.factors),
            row_factors: self.row_factors.as_ref().map_or(std::ptr::null(), |f| f.as_ptr()),
            dst: to,
            dst_stride: stride,
        };
        // SAFETY: every pointer is valid for the extent that the arguments state, and not a byte more.
        unsafe { run(&args) };
        // SAFETY: as many results, initialised.
        let results = unsafe { std::slice::from_raw_parts(to, (rows - 1) * stride + nr) };
        let gaps = results.chunks(stride).flat_map(|row| row.get(nr..).unwrap_or_default());
        assert!(gaps.into_iter().all(|&y| y == f32::MAX), "{}: between rows", tile.row.name);
        results.chunks(stride).flat_map(|row| row[..nr].to_vec()).collect()
    }
}

#[test]
fn blocks_of_every_tile_equal_the_chain() {
    let mut rng = Rng::new(seed() ^ 0xB10C);
    let mut arenas: Vec<GuardedBuf> = (0..9).map(|_| GuardedBuf::new(64 * 1024)).collect();
    for tile in RhsForm::ALL.into_iter().flat_map(RhsForm::tiles) {
        let Some(row) = &tile.blocks else { continue };
        let Some(bound) = bind(row, limited()) else {
            missing(row.name, row.required);
            continue;
        };
        let row_name = row.name;
        let mut cases = 0;
        for rows in 1..=tile.mr {
            let whole = |block: &usize| block.is_multiple_of(tile.lhs.kr());
            for block in [16, 32, 48, 64, 128].into_iter().filter(whole) {
                for count in [1, 2, 3, 7] {
                    let case = Case::any(&mut rng, tile, rows, block, count);
                    for direct in [false, true] {
                        if direct && !is_packed_form(case.lhs_unsigned, tile.lhs) {
                            continue;
                        }
                        let got = case.run(&mut arenas, tile, bound.run(), direct);
                        for (i, y) in got.into_iter().enumerate() {
                            let (row, column) = (i / tile.nr, i % tile.nr);
                            let want = case.want(tile.nr, row, column);
                            assert_eq!(
                                // Which NaN is left open: what follows the blocks makes it canonical.
                                real::canonical(y).to_bits(),
                                real::canonical(want).to_bits(),
                                "{} at ({row}, {column}), direct {direct}: {y} for {want}, {rows} rows, {count} x {block}",
                                row_name,
                            );
                        }
                        cases += 1;
                    }
                }
            }
        }
        covered(tile.rhs.blocks_op(), row.required, cases);
    }
    report();
}
