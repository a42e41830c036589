//! Every tile of an arithmetic that is asked for by name against its definition: all row counts and numbers of panels, k around the loop's and blocks'
//! edges, any bits on both sides and in the sums that it goes on from, numbers around the smallest normal one, between guard pages.

use fewbit_kernels::real_gemm::{Paired, RealTile, RealTileArgs, RealTileFn, pack_rhs};
use fewbit_kernels::registry::bind;
use fewbit_scheme::{
    F16_BLOCK, RealFormat, add_bf16_odd, dot_bf16, dot_bf16_odd, dot_f16, float16, fma_f16,
    fma_flushed, real,
};
use fewbit_simd::{Isa, IsaSet, with_default_env};
use fewbit_testkit::{GuardedBuf, Rng, covered, fraction, limited, missing, report, seed};
use std::ptr::null;

/// What numbers a case is made of.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Normal,
    /// Any bits: NaN, infinities, subnormals.
    Any,
    /// Products and sums around the smallest normal number, below which those of bf16 are zeros.
    Tiny,
    /// Sums overflow on the way.
    Huge,
    /// Small integers times a power of two: sums that are ties when they are rounded.
    Ties,
    Zeros,
}

const FILLS: [Fill; 6] = [Fill::Normal, Fill::Any, Fill::Tiny, Fill::Huge, Fill::Ties, Fill::Zeros];

impl Fill {
    fn bits(self, rng: &mut Rng, format: RealFormat) -> u16 {
        if format == RealFormat::F16 {
            let x = match self {
                Fill::Any => return rng.next_u32() as u16,
                Fill::Normal => rng.normal(),
                Fill::Tiny => rng.normal() * 2f32.powi(-rng.pick(&[7, 10, 14])),
                Fill::Huge => rng.normal() * 2f32.powi(7),
                Fill::Ties => (rng.below(257) as f32 - 128.0) * 0.125,
                Fill::Zeros => rng.pick(&[0.0, -0.0]),
            };
            return float16::f32_to_f16(x);
        }
        let x = match self {
            Fill::Any => return rng.next_u32() as u16,
            Fill::Normal => rng.normal(),
            Fill::Tiny => rng.normal() * 2f32.powi(-63),
            Fill::Huge => rng.normal() * 2f32.powi(64),
            Fill::Ties => (rng.below(513) as f32 - 256.0) * 0.125,
            Fill::Zeros => rng.pick(&[0.0, -0.0]),
        };
        float16::f32_to_bf16(x)
    }

    /// Sums of such products.
    fn sum(self, rng: &mut Rng) -> f32 {
        match self {
            Fill::Any => rng.any_f32(),
            Fill::Normal => rng.normal(),
            Fill::Tiny => rng.normal() * 2f32.powi(-126),
            Fill::Huge => rng.normal() * 2f32.powi(126),
            Fill::Ties => (rng.next_u32() >> 8) as f32,
            Fill::Zeros => rng.pick(&[0.0, -0.0]),
        }
    }
}

fn value(bits: u16) -> f32 {
    float16::bf16_to_f32(bits)
}

/// Neighbours as numbers of 32 bits; 0 after the last one.
fn pairs(numbers: &[u16], paired: Paired) -> Vec<u32> {
    let at = |i: usize| u32::from(numbers.get(i).copied().unwrap_or(0));
    let pair = |i: usize| match paired.is_exchanged() {
        true => at(2 * i) << 16 | at(2 * i + 1),
        false => at(2 * i) | at(2 * i + 1) << 16,
    };
    (0..paired.steps(numbers.len())).map(pair).collect()
}

/// The definition, from a sum on.
fn resumed(paired: Paired, products: &[(u16, u16)], sum: f32) -> f32 {
    let of = |pair: &[(u16, u16)], i: usize| {
        let (x, w) = pair.get(i).copied().unwrap_or_default();
        (value(x), value(w))
    };
    let mut pairs: Vec<&[(u16, u16)]> = products.chunks(2).collect();
    pairs.resize(paired.steps(products.len()), &[]);
    match paired {
        Paired::Bf16Dot => pairs.iter().fold(sum, |y, pair| {
            (0..2).fold(y, |y, i| fma_flushed(of(pair, i).0, of(pair, i).1, y))
        }),
        Paired::Bf16DotOdd => pairs.iter().fold(sum, |y, pair| {
            let [(a, b), (c, d)] = [of(pair, 0), of(pair, 1)];
            add_bf16_odd([a, c], [b, d], y)
        }),
        Paired::F16Fma => products.chunks(F16_BLOCK).fold(sum, |y, block| {
            y + float16::f16_to_f32(block.iter().fold(0, |y, &(x, w)| fma_f16(x, w, y)))
        }),
    }
}

struct Case {
    paired: Paired,
    k: usize,
    rows: usize,
    panels: usize,
    /// `[rows][k]`
    lhs: Vec<u16>,
    /// `[panels * nr][k]`
    rhs: Vec<u16>,
    bias: Option<Vec<f32>>,
    relu: bool,
    /// `[rows][panels * nr]`: what sums go on from.
    sums: Option<Vec<f32>>,
}

impl Case {
    fn new(
        rng: &mut Rng,
        paired: Paired,
        (rows, panels, k): (usize, usize, usize),
        nr: usize,
        fill: Fill,
        of_sums: Option<Fill>,
    ) -> Case {
        let columns = panels * nr;
        let format = paired.format();
        Case {
            paired,
            k,
            rows,
            panels,
            lhs: (0..rows * k).map(|_| fill.bits(rng, format)).collect(),
            rhs: (0..columns * k).map(|_| fill.bits(rng, format)).collect(),
            bias: (rng.below(3) == 0).then(|| (0..columns).map(|_| fill.sum(rng)).collect()),
            relu: rng.below(3) == 0,
            sums: of_sums.map(|fill| (0..rows * columns).map(|_| fill.sum(rng)).collect()),
        }
    }

    fn want(&self, nr: usize) -> Vec<f32> {
        let columns = self.panels * nr;
        let of = |r: usize, c: usize| {
            let (x, w) = (&self.lhs[r * self.k..][..self.k], &self.rhs[c * self.k..][..self.k]);
            let bits = x.iter().copied().zip(w.iter().copied());
            let values = bits.clone().map(|(x, w)| (value(x), value(w)));
            let y = match (&self.sums, self.paired) {
                (None, Paired::Bf16Dot) => dot_bf16(values),
                (None, Paired::Bf16DotOdd) => dot_bf16_odd(values),
                (None, Paired::F16Fma) => dot_f16(bits),
                (Some(sums), paired) => {
                    resumed(paired, &bits.collect::<Vec<_>>(), sums[r * columns + c])
                }
            };
            let y = real::canonical(self.bias.as_ref().map_or(y, |bias| y + bias[c]));
            if self.relu && y < 0.0 { 0.0 } else { y }
        };
        (0..self.rows)
            .flat_map(|r| (0..columns).map(move |c| (r, c)))
            .map(|(r, c)| of(r, c))
            .collect()
    }
}

/// Memory between guard pages, one for each of a tile's arguments.
struct Arenas([GuardedBuf; 4]);

impl Arenas {
    fn check(&mut self, tile: &RealTile, run: RealTileFn, case: &Case, label: &str) {
        let [lhs, rhs, bias, dst] = &mut self.0;
        let (nr, columns, steps) = (tile.nr, case.panels * tile.nr, case.paired.steps(case.k));
        let rows: Vec<u32> =
            case.lhs.chunks(case.k).flat_map(|row| pairs(row, case.paired)).collect();
        let mut packed = Vec::new();
        for panel in case.rhs.chunks(nr * case.k) {
            let mut to = vec![0xFFFF_u16; 2 * steps * nr];
            let number = |c: usize, i: usize| match i ^ usize::from(case.paired.is_exchanged()) {
                i if i < case.k => panel[c * case.k + i],
                _ => 0,
            };
            pack_rhs(number, (nr, 2 * steps), (nr, tile.kr), &mut to);
            packed.extend(to);
        }
        let start = match &case.sums {
            Some(sums) => sums.clone(),
            None => vec![f32::from_bits(0x7F81_2345); case.rows * columns],
        };
        let to = dst.at_end(&start);
        let args = RealTileArgs {
            lhs: lhs.at_end(&rows).cast_const().cast(),
            lhs_row_stride: steps,
            rhs: rhs.at_end(&packed).cast_const().cast(),
            rhs_panel_stride: 4 * steps * nr,
            panels: case.panels,
            k: steps,
            rows: case.rows,
            bias: case.bias.as_ref().map_or(null(), |values| bias.at_end(values).cast_const()),
            relu: case.relu,
            resume: case.sums.is_some(),
            dst: to,
            dst_stride: columns,
        };
        // SAFETY: every pointer is valid for the extent that the arguments state, and not a byte more.
        with_default_env(|| unsafe { run(&args) });
        // SAFETY: so many initialised numbers.
        let got = unsafe { std::slice::from_raw_parts(to, start.len()) };
        for (i, (got, want)) in got.iter().zip(case.want(nr)).enumerate() {
            assert_eq!(
                got.to_bits(),
                want.to_bits(),
                "{} at {i}, {label}: rows {} panels {} k {}: {got:e} {want:e}",
                tile.row.name,
                case.rows,
                case.panels,
                case.k,
            );
        }
    }
}

#[test]
fn every_tile_at_every_edge() {
    let mut rng = Rng::new(seed() ^ 57);
    let mut arenas = Arenas([1, 2, 3, 4].map(|_| GuardedBuf::new(1 << 16)));
    for (paired, tile) in
        Paired::ALL.into_iter().flat_map(|of| of.tiles().iter().map(move |t| (of, t)))
    {
        let Some(bound) = bind(&tile.row, limited()) else {
            missing(tile.row.name, tile.row.required);
            continue;
        };
        let mut cases = 0;
        for rows in 1..=tile.mr {
            for panels in 1..=tile.panels(rows) {
                for k in [1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 63, 64, 65, 66, 131, 195] {
                    for _ in 0..2 {
                        let fill = rng.pick(&FILLS);
                        let of_sums = (rng.below(3) == 0).then_some(fill);
                        let shape = (rows, panels, k);
                        let case = Case::new(&mut rng, paired, shape, tile.nr, fill, of_sums);
                        arenas.check(tile, bound.run(), &case, &format!("{fill:?}"));
                        cases += 1;
                    }
                }
            }
        }
        covered(paired.op(), tile.row.required, cases);
    }
    report();
}

/// One instruction, from sums of any bits: where it rounds, and what it flushes.
#[test]
fn every_step() {
    let rounds = 4000 / fraction("steps of pairs", 4);
    let mut rng = Rng::new(seed() ^ 58);
    let mut arenas = Arenas([1, 2, 3, 4].map(|_| GuardedBuf::new(1 << 12)));
    for (paired, tile) in
        Paired::ALL.into_iter().flat_map(|of| of.tiles().iter().map(move |t| (of, t)))
    {
        let Some(bound) = bind(&tile.row, limited()) else { continue };
        for _ in 0..rounds {
            let (fill, of_sums) = match rng.below(4) {
                0 => (rng.pick(&FILLS), rng.pick(&FILLS)),
                1 => (Fill::Any, Fill::Any),
                _ => (Fill::Tiny, Fill::Tiny),
            };
            let case = Case::new(&mut rng, paired, (1, 1, 2), tile.nr, fill, Some(of_sums));
            arenas.check(tile, bound.run(), &case, &format!("{fill:?} {of_sums:?}"));
        }
        covered(paired.op(), tile.row.required, rounds as u64);
    }
    report();
}

#[test]
fn only_a_set_with_the_instruction_has_a_tile() {
    for paired in Paired::ALL {
        let (arch, needed) = match paired {
            Paired::Bf16Dot => ("x86_64", Isa::Avx512Bf16),
            Paired::Bf16DotOdd => ("aarch64", Isa::NeonBf16),
            Paired::F16Fma => ("aarch64", Isa::NeonFp16),
        };
        assert!(paired.select(IsaSet::SCALAR).is_none());
        for isa in Isa::ALL {
            let tile = paired.select(isa.closure());
            assert_eq!(tile.is_some(), isa == needed && std::env::consts::ARCH == arch);
        }
    }
}
