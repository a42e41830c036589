//! Every tile of every instruction set and every width of rhs codes against a triple loop in i64: all row counts, column
//! counts and k around the tile's edges, both signednesses on both sides, extreme codes and zero points, between guard
//! pages.

use fewbit_kernels::gemm::{
    MAX_MR, MAX_NR, RhsForm, Tile, TileArgs, TileFn, code_shift_lhs, code_shift_rhs,
    is_packed_form, pack_lhs, pack_rhs, sum_lhs,
};
use fewbit_kernels::registry::bind;
use fewbit_simd::dot::LhsForm;
use fewbit_testkit::{
    GuardedBuf, Rng, covered, is_full, is_wanted, limited, missing, report, sampled, seed,
};

/// Both operands and their parameters, as a caller would give them.
struct Case {
    k: usize,
    lhs_unsigned: bool,
    rhs_format: Format,
    /// `[rows][k]`
    lhs: Vec<u8>,
    /// `[columns][k]`
    rhs: Vec<u8>,
    lhs_zero: Vec<i32>,
    rhs_zero: Vec<i32>,
    bias: Vec<i32>,
}

/// The lhs code that stands for a byte; of bits, its top bit, 0 and 1 or -1 and +1.
fn value(byte: u8, unsigned: bool, bits: bool) -> i32 {
    match (bits, unsigned) {
        (false, true) => i32::from(byte),
        (false, false) => i32::from(byte as i8),
        (true, true) => i32::from(byte >> 7),
        (true, false) => i32::from(byte >> 7) * 2 - 1,
    }
}

/// Whether a tile's lhs are bits.
fn has_bits(form: RhsForm) -> bool {
    matches!(form, RhsForm::BitsBy1 | RhsForm::BitsBy2 | RhsForm::BitsBy4)
}

/// The codes of a rhs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Format {
    form: RhsForm,
    qmin: i32,
    qmax: i32,
}

impl Format {
    /// The formats that a form holds.
    fn of(form: RhsForm) -> Vec<Format> {
        let ranges: &[(i32, i32)] = match form {
            RhsForm::S8 => &[(-128, 127), (0, 255)],
            RhsForm::U4 => &[(-8, 7), (0, 15)],
            RhsForm::U2 => &[(-2, 1), (0, 3)],
            RhsForm::U1 => &[(0, 1)],
            RhsForm::B1 | RhsForm::BitsBy4 => &[(-1, 1)],
            RhsForm::BitsBy1 => &[(0, 1)],
            RhsForm::BitsBy2 => &[(0, 1), (-1, 1)],
        };
        ranges.iter().map(|&(qmin, qmax)| Format { form, qmin, qmax }).collect()
    }

    /// Whether the codes are -1 and +1.
    fn is_binary(self) -> bool {
        (self.qmin, self.qmax) == (-1, 1)
    }

    /// The code that stands for a byte: the bytes' order, or its coarser steps, kept.
    fn value(self, byte: u8) -> i32 {
        let order = if self.qmin < 0 { byte ^ 0x80 } else { byte };
        match self.is_binary() {
            true => i32::from(order >> 7) * 2 - 1,
            false => self.qmin + ((i32::from(order) * (self.qmax - self.qmin + 1)) >> 8),
        }
    }

    /// A zero point: an end, 0 or any.
    fn zero_point(self, rng: &mut Rng) -> i32 {
        match (self.is_binary(), rng.below(4)) {
            (true, _) | (_, 2) => 0,
            (_, 0) => self.qmin,
            (_, 1) => self.qmax,
            _ => self.value(rng.byte()),
        }
    }
}

impl Case {
    fn rows(&self) -> usize {
        self.lhs_zero.len()
    }

    fn columns(&self) -> usize {
        self.rhs_zero.len()
    }

    /// The mathematical sums.
    fn want(&self) -> Vec<i64> {
        let mut sums = Vec::with_capacity(self.rows() * self.columns());
        for (r, &za) in self.lhs_zero.iter().enumerate() {
            for (c, (&zw, &bias)) in self.rhs_zero.iter().zip(&self.bias).enumerate() {
                let lhs = &self.lhs[r * self.k..][..self.k];
                let rhs = &self.rhs[c * self.k..][..self.k];
                let products = lhs.iter().zip(rhs).map(|(&a, &w)| {
                    let bits = has_bits(self.rhs_format.form);
                    let a = i64::from(value(a, self.lhs_unsigned, bits) - za);
                    a * i64::from(self.rhs_format.value(w) - zw)
                });
                sums.push(products.sum::<i64>() + i64::from(bias));
            }
        }
        sums
    }
}

/// Memory between guard pages, one for each of a tile's arguments.
struct Arenas(Vec<GuardedBuf>);

impl Arenas {
    fn new(bytes: usize) -> Arenas {
        Arenas((0..9).map(|_| GuardedBuf::new(bytes)).collect())
    }

    /// Packs both sides and runs the tile; all memory ends at a guard page. Gives `[rows][nr]`. A `direct`
    /// tile reads lhs codes where they are, and rows a few bytes apart. `shared`: what the columns' start
    /// includes of the zero points of the rows.
    fn run(
        &mut self,
        tile: &Tile,
        run: TileFn,
        case: &Case,
        direct: bool,
        shared: i32,
    ) -> Vec<i32> {
        let [codes, lhs, rhs, lhs_zero, lhs_sum, rhs_zero, rhs_fold, start, dst] =
            self.0.as_mut_slice()
        else {
            unreachable!("nine arenas")
        };
        let (k, rows, nr, kr) = (case.k, case.rows(), tile.nr, tile.lhs.kr());
        let (k_groups, group_bytes) = (k.div_ceil(kr), tile.lhs.group_bytes());

        let shift = code_shift_lhs(case.lhs_unsigned, tile.lhs);
        let bits = tile.lhs == LhsForm::Bits;
        let bytes = if bits { k.div_ceil(8) } else { k };
        let distance = bytes + rows % 5;
        let mut apart = vec![0x99; (rows - 1) * distance + bytes];
        for (r, codes) in case.lhs.chunks_exact(k.max(1)).enumerate() {
            let row = &mut apart[r * distance..][..bytes];
            match bits {
                false => row.copy_from_slice(codes),
                true => codes.iter().enumerate().for_each(|(i, code)| {
                    row[i / 8] = row[i / 8] & !(1 << (i % 8)) | (code >> 7) << (i % 8);
                }),
            }
        }
        let codes = codes.at_end(&apart).cast_const();
        let row = |r: usize| codes.wrapping_add(r * distance);
        let block = lhs.at_end(&vec![0x77u8; k_groups * rows * group_bytes]);
        // SAFETY: k codes a row; the block has `k_groups * rows` groups.
        unsafe { pack_lhs(row, rows, k, case.lhs_unsigned, tile.lhs, block) };
        // SAFETY: k codes.
        let sum = |r| unsafe { sum_lhs(row(r), k, case.lhs_unsigned, tile.lhs) };
        let sums: Vec<i32> = (0..rows).map(sum).collect();
        let zeros: Vec<i32> = case.lhs_zero.iter().map(|za| za + shift - shared).collect();

        let shift = code_shift_rhs(tile.rhs, case.rhs_format.qmin);
        let mut panel = vec![0x55i8; k_groups * nr * tile.rhs_bytes()];
        let mut column_sums = vec![0x5555_5555; nr];
        let code = |c: usize, i: usize| case.rhs_format.value(case.rhs[c * k + i]) + shift;
        pack_rhs(code, case.columns(), k, tile, &mut panel, &mut column_sums);
        let mut folds = column_sums.clone();
        let (mut column_zeros, mut starts) = (vec![0; nr], vec![0; nr]);
        for (c, (&zw, &extra)) in case.rhs_zero.iter().zip(&case.bias).enumerate() {
            column_zeros[c] = zw + shift;
            folds[c] = (k as i32).wrapping_mul(zw + shift).wrapping_sub(column_sums[c]);
            starts[c] = shared.wrapping_mul(folds[c]).wrapping_add(extra);
        }
        let null = std::ptr::null();
        let has_lhs_zero = zeros.iter().any(|&zero| zero != 0);
        let has_rhs_zero = column_zeros.iter().any(|&zero| zero != 0);
        const FILL: i32 = 0x1234_5678;
        dst.as_mut_slice().fill(0x77);
        // Rows apart: what lies between them stays.
        let stride = nr + rows % 3;
        let extent = (rows - 1) * stride + nr;
        let to = dst.at_end(&vec![FILL; extent]);
        let args = TileArgs {
            lhs: if direct { codes } else { block },
            lhs_row_stride: if direct { distance } else { group_bytes },
            lhs_group_stride: if direct { group_bytes.min(kr) } else { rows * group_bytes },
            rhs: rhs.at_end(&panel),
            k_groups: if direct { k / kr } else { k_groups },
            k_rest: match direct {
                true if bits => (k % kr).div_ceil(8),
                true => k % kr,
                false => 0,
            },
            narrow: is_narrow(tile, case),
            rows,
            start: start.at_end(&starts),
            row_start: std::ptr::null(),
            lhs_zero: if has_lhs_zero { lhs_zero.at_end(&zeros) } else { null },
            rhs_fold: if has_lhs_zero { rhs_fold.at_end(&folds) } else { null },
            rhs_zero: if has_rhs_zero { rhs_zero.at_end(&column_zeros) } else { null },
            lhs_sum: if has_rhs_zero { lhs_sum.at_end(&sums) } else { null },
            dst: to,
            dst_stride: stride,
        };
        // SAFETY: every pointer is valid for the extent that `TileArgs` states, and not a byte more.
        unsafe { run(&args) };
        let len = dst.len();
        let before = &dst.as_mut_slice()[..len - extent * 4];
        assert!(before.iter().all(|&b| b == 0x77), "{}: wrote before dst", tile.row.name);
        // SAFETY: `extent` initialised sums.
        let sums = unsafe { std::slice::from_raw_parts(to, extent) };
        let gaps = sums.chunks(stride).flat_map(|row| row.get(nr..).unwrap_or_default());
        assert!(gaps.into_iter().all(|&sum| sum == FILL), "{}: wrote between rows", tile.row.name);
        sums.chunks(stride).flat_map(|row| row[..nr].to_vec()).collect()
    }

    fn check(&mut self, tile: &Tile, run: TileFn, case: &Case, label: &str) {
        let want = case.want();
        let shift = code_shift_lhs(case.lhs_unsigned, tile.lhs);
        let first = case.lhs_zero[0] + shift;
        for direct in [false, true] {
            if direct && !is_packed_form(case.lhs_unsigned, tile.lhs) {
                continue;
            }
            let shared = if direct { first } else { shift };
            let got = self.run(tile, run, case, direct, shared);
            for (i, &want) in want.iter().enumerate() {
                let (r, c) = (i / case.columns(), i % case.columns());
                assert_eq!(
                    got[r * tile.nr + c],
                    want as i32,
                    "{} at ({r}, {c}), {label}, direct {direct}: rows {} columns {} k {} unsigned {} {:?}",
                    tile.row.name,
                    case.rows(),
                    case.columns(),
                    case.k,
                    case.lhs_unsigned,
                    case.rhs_format,
                );
            }
        }
    }
}

/// Whether a tile is told that its lhs is within -16..=15: where it is, and the tile cares.
fn is_narrow(tile: &Tile, case: &Case) -> bool {
    let shift = code_shift_lhs(case.lhs_unsigned, tile.lhs);
    let code = |&byte: &u8| value(byte, case.lhs_unsigned, false) + shift;
    let few = !has_bits(tile.rhs) && tile.rhs != RhsForm::S8;
    few && case.lhs.iter().all(|byte| (-16..16).contains(&code(byte)))
}

/// The tiles that this CPU can run, callable; the others are reported.
fn runnable() -> Vec<(&'static Tile, TileFn)> {
    let mut callable = Vec::new();
    let tiles = RhsForm::ALL.into_iter().flat_map(RhsForm::tiles);
    for tile in tiles.filter(|tile| is_wanted(tile.row.required)) {
        match bind(&tile.row, limited()) {
            Some(bound) => callable.push((tile, bound.run())),
            None => missing(tile.row.name, tile.row.required),
        }
    }
    callable
}

/// The kinds of codes.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Random,
    /// Every code is this byte.
    All(u8),
    /// These two, in turns.
    Alternating(u8, u8),
}

impl Fill {
    fn bytes(self, rng: &mut Rng, n: usize) -> Vec<u8> {
        match self {
            Fill::Random => rng.bytes(n),
            Fill::All(byte) => vec![byte; n],
            Fill::Alternating(even, odd) => {
                (0..n).map(|i| if i % 2 == 0 { even } else { odd }).collect()
            }
        }
    }
}

const FILLS: [Fill; 7] = [
    Fill::Random,
    Fill::All(0x80),
    Fill::All(0x7F),
    Fill::All(0xFF),
    Fill::All(0),
    Fill::Alternating(0x80, 0x7F),
    Fill::Alternating(0, 0xFF),
];

/// A zero point of the format: an end, 0 or any.
fn zero_point(rng: &mut Rng, unsigned: bool, bits: bool) -> i32 {
    if bits {
        return if unsigned { rng.below(2) as i32 } else { 0 };
    }
    let (qmin, qmax) = if unsigned { (0, 255) } else { (-128, 127) };
    match rng.below(4) {
        0 => qmin,
        1 => qmax,
        2 => 0,
        _ => value(rng.byte(), unsigned, false),
    }
}

fn case(
    rng: &mut Rng,
    (rows, columns, k): (usize, usize, usize),
    (lhs_unsigned, rhs_format): (bool, Format),
    (lhs, rhs): (Fill, Fill),
) -> Case {
    Case {
        k,
        lhs_unsigned,
        rhs_format,
        lhs: lhs.bytes(rng, rows * k),
        rhs: rhs.bytes(rng, columns * k),
        lhs_zero: (0..rows)
            .map(|_| zero_point(rng, lhs_unsigned, has_bits(rhs_format.form)))
            .collect(),
        rhs_zero: (0..columns).map(|_| rhs_format.zero_point(rng)).collect(),
        bias: (0..columns).map(|_| rng.next_u32() as i32 >> rng.below(32)).collect(),
    }
}

/// The signednesses of the lhs with the formats of the rhs.
fn signs(tile: &Tile) -> Vec<(bool, Format)> {
    let formats = Format::of(tile.rhs);
    let all = [false, true].into_iter();
    let all = all.flat_map(|lhs| formats.iter().map(move |&rhs| (lhs, rhs)));
    // Bits by bits count 1, 2 or 4, as neither side, one or both are -1 and +1.
    all.filter(|&(unsigned, rhs)| match tile.rhs {
        RhsForm::BitsBy1 => unsigned,
        RhsForm::BitsBy2 => unsigned == rhs.is_binary(),
        RhsForm::BitsBy4 => !unsigned,
        _ => true,
    })
    .collect()
}

#[test]
fn every_tile_at_every_edge() {
    let mut rng = Rng::new(seed());
    let mut arenas = Arenas::new(64 * 1024);
    for (tile, run) in runnable() {
        let mut cases = 0;
        let columns: Vec<usize> = (0..=tile.nr).collect();
        for rows in 1..=tile.mr {
            for k in (0..=34).chain([63, 64, 65, 127, 128, 129, 251, 257]) {
                // Every row count meets every k; columns and fills rotate through them, and the
                // full tier takes all columns.
                let taken = if is_full() { columns.len() } else { 3 };
                for _ in 0..taken {
                    let columns = rng.pick(&columns);
                    let signs = rng.pick(&signs(tile));
                    let fills = (rng.pick(&FILLS), rng.pick(&FILLS));
                    let case = case(&mut rng, (rows, columns, k), signs, fills);
                    arenas.check(tile, run, &case, &format!("{fills:?}"));
                    cases += 1;
                }
            }
        }
        covered(tile.rhs.op(), tile.row.required, cases);
    }
    report();
}

#[test]
fn every_combination_of_extremes() {
    let mut rng = Rng::new(seed() ^ 1);
    let mut arenas = Arenas::new(64 * 1024);
    let zeros = || (0..9).map(|zeros| (zeros / 3, zeros % 3));
    let fills = || FILLS.into_iter().flat_map(|lhs| FILLS.map(|rhs| (lhs, rhs)));
    let mut all =
        Vec::from_iter(fills().flat_map(|fills| zeros().map(move |zeros| (fills, zeros))));
    for (tile, run) in runnable() {
        let mut cases = 0;
        for signs in signs(tile) {
            // Where only some are taken, each tile has others.
            all.rotate_left(1);
            for (fills, zeros) in sampled("extremes", 1, all.iter().copied()) {
                let ends = |(qmin, qmax), which: usize| [qmin, 0, qmax][which];
                let of_lhs = match (has_bits(tile.rhs), signs.0) {
                    (false, true) => (0, 255),
                    (false, false) => (-128, 127),
                    (true, true) => (0, 1),
                    (true, false) => (0, 0),
                };
                let of_rhs = match signs.1 {
                    format if format.is_binary() => (0, 0),
                    Format { qmin, qmax, .. } => (qmin, qmax),
                };
                let mut case = case(&mut rng, (tile.mr, tile.nr, 67), signs, fills);
                case.lhs_zero.fill(ends(of_lhs, zeros.0));
                case.rhs_zero.fill(ends(of_rhs, zeros.1));
                arenas.check(tile, run, &case, &format!("{fills:?} {zeros:?}"));
                cases += 1;
            }
        }
        covered(tile.rhs.op(), tile.row.required, cases);
    }
    report();
}

/// Sums of int16 are widened before they leave it: the largest products on both sides, and as many as a tile of any width
/// may add up, of all lhs codes and of those within -16..=15.
#[test]
fn no_run_of_products_leaves_int16() {
    let mut rng = Rng::new(seed() ^ 3);
    let mut arenas = Arenas::new(1024 * 1024);
    let few = |tile: &Tile| !has_bits(tile.rhs) && tile.rhs != RhsForm::S8;
    let ks = [64, 256, 511, 1056, 4096 + 32, 8192 + 67];
    let codes = [-128, 127, -16, 15].into_iter().flat_map(|lhs| [0x7F, 0xFF].map(|rhs| (lhs, rhs)));
    let mut all = Vec::from_iter(codes.flat_map(|codes| ks.map(|k| (codes, k))));
    for (tile, run) in runnable().into_iter().filter(|(tile, _)| few(tile)) {
        for signs in signs(tile) {
            let shift = code_shift_lhs(signs.0, tile.lhs);
            all.rotate_left(1);
            for ((lhs, rhs), k) in sampled("runs of products", 1, all.iter().copied()) {
                let fills = (Fill::All((lhs - shift) as u8), Fill::All(rhs));
                let shape = (rng.pick(&[1, tile.mr]), rng.pick(&[1, tile.nr]), k);
                let case = case(&mut rng, shape, signs, fills);
                arenas.check(tile, run, &case, &format!("{fills:?}"));
            }
        }
    }
}

/// The last k for which 255 * 255 * k fits int32, and beyond it: sums of the packed codes wrap on the
/// way, sums beyond int32 are congruent modulo 2^32, and no instruction saturates.
#[test]
fn k_at_and_beyond_the_bound() {
    let mut rng = Rng::new(seed() ^ 2);
    let mut arenas = Arenas::new(4 * 1024 * 1024);
    const LARGEST: usize = i32::MAX as usize / (255 * 255);
    for (tile, run) in runnable().into_iter().filter(|(tile, _)| tile.rhs == RhsForm::S8) {
        for k in [LARGEST, LARGEST + 1, 2 * LARGEST + 3] {
            for (lhs_zero, rhs_zero, code) in [(0, 0, 0xFF), (255, 255, 0), (0, 255, 0xFF)] {
                let shape = (tile.mr.min(2), 3, k);
                let fills = (Fill::All(code), Fill::All(code));
                let format = Format { form: RhsForm::S8, qmin: 0, qmax: 255 };
                let mut case = case(&mut rng, shape, (true, format), fills);
                case.lhs_zero.fill(lhs_zero);
                case.rhs_zero.fill(rhs_zero);
                case.bias.fill(0);
                arenas.check(tile, run, &case, "bound");
            }
        }
    }
}

/// A tile's name says what its fields say, and the table's order and limits hold.
#[test]
fn names_agree_with_fields() {
    for tile in RhsForm::ALL.into_iter().flat_map(RhsForm::tiles) {
        let isa = fewbit_testkit::set_name(tile.row.required);
        let (mr, nr, kr) = (tile.mr, tile.nr, tile.lhs.kr());
        let op = tile.rhs.op();
        assert_eq!(tile.row.name, format!("{op}_{mr}x{nr}x{kr}_{isa}"));
        if let Some(blocks) = &tile.blocks {
            let op = tile.rhs.blocks_op();
            assert_eq!(blocks.name, format!("{op}_{mr}x{nr}x{kr}_{isa}"));
            assert_eq!(blocks.required, tile.row.required);
        }
        assert!(tile.mr <= MAX_MR && tile.nr <= MAX_NR, "{}", tile.row.name);
    }
    for form in RhsForm::ALL {
        let last = form.tiles().last().expect("a scalar tile");
        assert_eq!(last.row.required, fewbit_simd::IsaSet::SCALAR);
        assert!(form.tiles().iter().all(|tile| tile.rhs == form));
    }
}

/// Selection is pure: any host can ask what any CPU would run.
#[test]
fn selection_takes_the_best_tile_that_is_wide_enough() {
    use fewbit_kernels::gemm::select;
    use fewbit_simd::IsaSet;
    let name = |limit: &str, columns| {
        let set = IsaSet::parse(limit).unwrap();
        select(RhsForm::S8, set, columns).expect("a scalar tile at least").row.name
    };
    for columns in [1, 16, 17, 1000] {
        assert_eq!(name("scalar", columns), "gemm_s8s32_2x8x4_scalar");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(name("avx2", 64), "gemm_s8s32_6x16x2_avx2");
        assert_eq!(name("avx_vnni", 64), "gemm_s8s32_6x16x4_avx_vnni");
        assert_eq!(name("avx512", 64), "gemm_s8s32_12x32x2_avx512");
        assert_eq!(name("avx512_vnni", 17), "gemm_s8s32_12x32x4_avx512_vnni");
        assert_eq!(name("avx512_vnni,avx_vnni", 16), "gemm_s8s32_12x16x4_avx512_vnni");
    }
    if cfg!(target_arch = "aarch64") {
        assert_eq!(name("neon", 64), "gemm_s8s32_4x16x2_neon");
        assert_eq!(name("neon_dotprod", 64), "gemm_s8s32_4x16x4_neon_dotprod");
        assert_eq!(name("neon_i8mm", 64), "gemm_s8s32_8x8x8_neon_i8mm");
    }
}
