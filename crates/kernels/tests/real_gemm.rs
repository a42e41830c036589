//! Every tile for real numbers of every instruction set against the contract's chain: all row counts and numbers of
//! panels, k around the loop's edges, any bits on both sides, between guard pages.

use fewbit_kernels::real_gemm::{
    MAX_PANELS, RealTile, RealTileArgs, RealTileFn, pack_rhs, select, tiles,
};
use fewbit_kernels::registry::bind;
use fewbit_scheme::{RealFormat, dot, dot_with_bias, float16, real};
use fewbit_simd::{Isa, IsaSet, with_default_env};
use fewbit_testkit::{GuardedBuf, Rng, covered, is_full, limited, missing, report, seed};
use std::ptr::null;

const FORMATS: [RealFormat; 3] = [RealFormat::F32, RealFormat::F16, RealFormat::Bf16];

/// What numbers a case is made of.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Normally distributed.
    Normal,
    /// Any bits: NaN, infinities, subnormals.
    Any,
    /// Near the format's smallest numbers, so that products and sums are subnormal.
    Tiny,
    /// Near its largest, so that sums overflow on the way.
    Huge,
    /// Small integers times a power of two: sums that are ties when they are rounded.
    Ties,
    /// Zeros of either sign.
    Zeros,
}

const FILLS: [Fill; 6] = [Fill::Normal, Fill::Any, Fill::Tiny, Fill::Huge, Fill::Ties, Fill::Zeros];

fn bits_of(x: f32, format: RealFormat) -> u32 {
    match format {
        RealFormat::F32 => x.to_bits(),
        RealFormat::F16 => float16::f32_to_f16(x).into(),
        RealFormat::Bf16 => float16::f32_to_bf16(x).into(),
    }
}

fn value(bits: u32, format: RealFormat) -> f32 {
    match format {
        RealFormat::F32 => f32::from_bits(bits),
        RealFormat::F16 => float16::f16_to_f32(bits as u16),
        RealFormat::Bf16 => float16::bf16_to_f32(bits as u16),
    }
}

impl Fill {
    fn bits(self, rng: &mut Rng, format: RealFormat) -> u32 {
        let (tiny, huge) = match format {
            RealFormat::F16 => (2f32.powi(-22), 60000.0),
            _ => (2f32.powi(-75), 2f32.powi(64)),
        };
        match self {
            Fill::Normal => bits_of(rng.normal(), format),
            Fill::Any if format == RealFormat::F32 => rng.any_f32().to_bits(),
            Fill::Any => rng.next_u32() & 0xFFFF,
            Fill::Tiny => bits_of(rng.normal() * tiny, format),
            Fill::Huge => bits_of(rng.normal() * huge, format),
            Fill::Ties => bits_of((rng.below(4097) as f32 - 2048.0) * 0.125, format),
            Fill::Zeros => bits_of(if rng.below(2) == 0 { 0.0 } else { -0.0 }, format),
        }
    }
}

struct Case {
    k: usize,
    rows: usize,
    panels: usize,
    /// Where k is cut in two, at an even step; 0: nowhere.
    split: usize,
    format: RealFormat,
    /// `[rows][k]`
    lhs: Vec<f32>,
    /// `[panels][k][nr]`
    rhs: Vec<u32>,
    bias: Option<Vec<f32>>,
    relu: bool,
}

impl Case {
    fn want(&self, nr: usize) -> Vec<u32> {
        let mut want = Vec::new();
        for r in 0..self.rows {
            for c in 0..self.panels * nr {
                let (panel, column) = (c / nr, c % nr);
                let pairs = (0..self.k).map(|k| {
                    let w = self.rhs[(panel * self.k + k) * nr + column];
                    (self.lhs[r * self.k + k], value(w, self.format))
                });
                let y = match &self.bias {
                    Some(bias) => dot_with_bias(pairs, bias[c]),
                    None => dot(pairs),
                };
                let y = if self.relu && y < 0.0 { 0.0 } else { y };
                want.push(y.to_bits());
            }
        }
        want
    }
}

/// Memory between guard pages, one for each of a tile's arguments.
struct Arenas([GuardedBuf; 4]);

impl Arenas {
    fn new(bytes: usize) -> Arenas {
        Arenas([1, 2, 3, 4].map(|_| GuardedBuf::new(bytes)))
    }

    /// Runs the tile; all memory ends at a guard page.
    fn run(&mut self, tile: &RealTile, run: RealTileFn, case: &Case) -> Vec<u32> {
        let [lhs, rhs, bias, dst] = &mut self.0;
        let (k, rows, columns) = (case.k, case.rows, case.panels * tile.nr);
        let distance = k + rows % 3;
        let mut apart = vec![f32::NAN; (rows - 1) * distance + k];
        for r in 0..rows {
            apart[r * distance..][..k].copy_from_slice(&case.lhs[r * k..][..k]);
        }
        let lhs = lhs.at_end(&apart).cast_const();
        let bytes = packed(case, tile);
        let rhs = rhs.at_end(&bytes).cast_const();
        let bias = case.bias.as_ref().map_or(null(), |values| bias.at_end(values).cast_const());
        const FILL: u32 = 0x7F81_2345;
        let stride = columns + rows % 2;
        let extent = (rows - 1) * stride + columns;
        dst.as_mut_slice().fill(0x77);
        let to = dst.at_end(&vec![FILL; extent]);
        let mut args = RealTileArgs {
            lhs,
            lhs_row_stride: distance,
            rhs,
            rhs_panel_stride: bytes.len() / case.panels,
            panels: case.panels,
            k,
            rows,
            bias,
            relu: case.relu,
            resume: false,
            dst: to.cast(),
            dst_stride: stride,
        };
        if case.split > 0 {
            // The first steps alone, and the others on top of their sums.
            let first = RealTileArgs { k: case.split, bias: null(), relu: false, ..args };
            // SAFETY: as below.
            with_default_env(|| unsafe { run(&first) });
            let step = case.split * tile.nr * case.format.size();
            args = RealTileArgs {
                lhs: args.lhs.wrapping_add(case.split),
                rhs: args.rhs.wrapping_add(step),
                k: k - case.split,
                resume: true,
                ..args
            };
        }
        // SAFETY: every pointer is valid for the extent that the arguments state, and not a byte more.
        with_default_env(|| unsafe { run(&args) });
        let len = dst.len();
        let before = &dst.as_mut_slice()[..len - extent * 4];
        assert!(before.iter().all(|&b| b == 0x77), "{}: wrote before dst", tile.row.name);
        // SAFETY: `extent` initialised numbers.
        let sums = unsafe { std::slice::from_raw_parts(to, extent) };
        let gaps = sums.chunks(stride).flat_map(|row| row.get(columns..).unwrap_or_default());
        assert!(gaps.into_iter().all(|&sum| sum == FILL), "{}: wrote between rows", tile.row.name);
        sums.chunks(stride).flat_map(|row| row[..columns].to_vec()).collect()
    }

    fn check(&mut self, tile: &RealTile, run: RealTileFn, case: &Case, label: &str) {
        let want = case.want(tile.nr);
        for (i, (got, want)) in self.run(tile, run, case).iter().zip(&want).enumerate() {
            assert_eq!(
                got,
                want,
                "{} at {i}, {label}: rows {} panels {} k {} bias {} relu {}: {} {}",
                tile.row.name,
                case.rows,
                case.panels,
                case.k,
                case.bias.is_some(),
                case.relu,
                f32::from_bits(*got),
                f32::from_bits(*want),
            );
        }
    }
}

/// The panels, packed. What follows an odd k is NaN: it must not be multiplied.
fn packed(case: &Case, tile: &RealTile) -> Vec<u8> {
    let (k, nr, kr) = (case.k, tile.nr, tile.kr);
    let mut bytes = Vec::new();
    for panel in case.rhs.chunks(k * nr) {
        let mut to = vec![0x5555_5555; k.next_multiple_of(kr) * nr];
        pack_rhs(|c, i| panel[i * nr + c], (nr, k), (nr, kr), &mut to);
        if k % kr != 0 {
            let rest = to.len() - nr * kr;
            assert!(to[rest..].iter().skip(1).step_by(kr).all(|&bits| bits == 0));
            to[rest..].iter_mut().skip(1).step_by(kr).for_each(|bits| *bits = 0x7FFF);
        }
        let size = case.format.size();
        bytes.extend(to.iter().flat_map(|bits| bits.to_ne_bytes()[..size].to_vec()));
    }
    bytes
}

fn case(
    rng: &mut Rng,
    (rows, panels, k): (usize, usize, usize),
    nr: usize,
    format: RealFormat,
    (lhs, rhs): (Fill, Fill),
) -> Case {
    let columns = panels * nr;
    let number = |rng: &mut Rng, fill: Fill| f32::from_bits(fill.bits(rng, RealFormat::F32));
    let bias = match rng.below(3) {
        0 => None,
        1 => Some((0..columns).map(|_| rng.normal()).collect()),
        _ => Some((0..columns).map(|_| rng.any_f32()).collect()),
    };
    Case {
        k,
        rows,
        panels,
        split: if k > 2 { rng.below(k / 2) * 2 } else { 0 },
        format,
        lhs: (0..rows * k).map(|_| number(rng, lhs)).collect(),
        rhs: (0..columns * k).map(|_| rhs.bits(rng, format)).collect(),
        bias,
        relu: rng.below(2) == 0,
    }
}

#[test]
fn every_tile_at_every_edge() {
    let mut rng = Rng::new(seed() ^ 51);
    let mut arenas = Arenas::new(1 << 16);
    for format in FORMATS {
        for tile in tiles(format) {
            let Some(bound) = bind(&tile.row, limited()) else {
                missing(tile.row.name, tile.row.required);
                continue;
            };
            let mut cases = 0;
            for rows in 1..=tile.mr {
                for panels in 1..=tile.panels(rows) {
                    for k in [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 65, 130] {
                        let taken = if is_full() { FILLS.len() * FILLS.len() } else { 4 };
                        for turn in 0..taken {
                            let fills = match is_full() {
                                true => (FILLS[turn % FILLS.len()], FILLS[turn / FILLS.len()]),
                                false => (rng.pick(&FILLS), rng.pick(&FILLS)),
                            };
                            let case = case(&mut rng, (rows, panels, k), tile.nr, format, fills);
                            arenas.check(tile, bound.run(), &case, &format!("{fills:?}"));
                            cases += 1;
                        }
                    }
                }
            }
            covered(op(format), tile.row.required, cases);
        }
    }
    report();
}

/// The op's name.
fn op(format: RealFormat) -> &'static str {
    match format {
        RealFormat::F32 => "gemm_f32",
        RealFormat::F16 => "gemm_f16f32",
        RealFormat::Bf16 => "gemm_bf16f32",
    }
}

/// Every f16 and bf16 is widened to its own value: each meets 1 alone.
#[test]
fn every_16_bit_number() {
    let mut arenas = Arenas::new(1 << 12);
    for format in [RealFormat::F16, RealFormat::Bf16] {
        for tile in tiles(format) {
            let Some(bound) = bind(&tile.row, limited()) else { continue };
            for first in (0u32..1 << 16).step_by(tile.nr) {
                let case = Case {
                    k: 1,
                    rows: 1,
                    panels: 1,
                    split: 0,
                    format,
                    lhs: vec![1.0],
                    rhs: (first..first + tile.nr as u32).collect(),
                    bias: None,
                    relu: false,
                };
                let got = arenas.run(tile, bound.run(), &case);
                for (bits, got) in case.rhs.iter().zip(got) {
                    let x = value(*bits, format);
                    // +0 + -0 is +0.
                    let want = real::canonical(if x == 0.0 { 0.0 } else { x });
                    assert_eq!(got, want.to_bits(), "{} {bits:04x}", tile.row.name);
                }
            }
        }
    }
}

#[test]
fn the_tile_of_a_set_is_the_best_of_it() {
    for format in FORMATS {
        let name = |set: IsaSet| select(format, set).expect("a tile").row.name;
        assert!(name(IsaSet::SCALAR).ends_with("_2x8_scalar"));
        for tile in tiles(format) {
            assert_eq!(name(tile.row.required), tile.row.name);
            assert!((1..=tile.mr).all(|rows| (1..=MAX_PANELS).contains(&tile.panels(rows))));
        }
        if cfg!(target_arch = "x86_64") {
            assert!(name(Isa::AvxVnni.closure()).ends_with("_6x16_avx2"));
            assert!(name(Isa::Avx512Vnni.closure()).ends_with("_12x32_avx512"));
        }
    }
}
