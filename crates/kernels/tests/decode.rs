//! Every kernel that decodes panels of codes against what its coding says, in plain arithmetic: any codes and factors, blocks
//! that chunks of k cut anywhere, every width of panels; between guard pages.

use fewbit_kernels::real_gemm::{Coding, DecodeArgs, pack_codes, tiles};
use fewbit_kernels::registry::bind;
use fewbit_scheme::block::mx::e2m1_to_f32;
use fewbit_scheme::{RealFormat, dot, fp8};
use fewbit_simd::with_default_env;
use fewbit_testkit::{GuardedBuf, Rng, covered, fraction, limited, missing, report, seed};
use std::ptr::null;

/// A panel before it is packed.
struct Panel {
    coding: Coding,
    nr: usize,
    columns: usize,
    k: usize,
    block: usize,
    /// `[columns][k]`
    codes: Vec<u8>,
    /// `[columns][blocks]`
    factors: Vec<[f32; 2]>,
}

impl Panel {
    fn any(rng: &mut Rng, coding: Coding, nr: usize) -> Panel {
        let k = 1 + rng.below(90);
        let block = match rng.below(4) {
            0 => k,
            _ => 2 * (1 + rng.below(20)),
        };
        Panel::of(rng, coding, nr, (k, block.min(k)))
    }

    fn of(rng: &mut Rng, coding: Coding, nr: usize, (k, block): (usize, usize)) -> Panel {
        let columns = if rng.below(2) == 0 { nr } else { 1 + rng.below(nr) };
        let mut factor = || match coding {
            // As f16 times integers of eight bits: products with codes are exact.
            Coding::U4Min | Coding::S8Min => {
                let exponent = rng.pick(&[-24, -3, 0, 5]);
                let scale = (rng.below(1 << 18) as f32 - 131072.0) * 2f32.powi(exponent - 10);
                [rng.pick(&[scale, scale, 0.0, f32::INFINITY, f32::NAN]), rng.any_f32()]
            }
            Coding::S4Offset | Coding::S8Offset => {
                [rng.any_f32(), (rng.below(383) as f32 - 127.0).round()]
            }
            _ => [rng.any_f32(), 0.0],
        };
        let factors = (0..columns * k.div_ceil(block)).map(|_| factor()).collect();
        let codes = rng.bytes(columns * k);
        Panel { coding, nr, columns, k, block, codes, factors }
    }

    fn packed(&self) -> Vec<u8> {
        let mut panel = vec![0xA5; self.coding.panel_bytes(self.k, self.block, self.nr)];
        let blocks = self.k.div_ceil(self.block);
        let of = (
            |c: usize, i: usize| self.codes[c * self.k + i],
            |c: usize, b: usize| self.factors[c * blocks + b],
        );
        pack_codes(self.coding, of, (self.columns, self.k, self.block), self.nr, &mut panel);
        panel
    }

    /// Number `i` of a column, which is 0 behind the last one.
    fn number(&self, c: usize, i: usize) -> f32 {
        let (byte, [scale, with]) = match c < self.columns {
            true => {
                let blocks = self.k.div_ceil(self.block);
                (self.codes[c * self.k + i], self.factors[c * blocks + i / self.block])
            }
            false => (0, [0.0; 2]),
        };
        let s4 = f32::from((byte << 4) as i8 >> 4);
        let s8 = f32::from(byte as i8);
        match self.coding {
            Coding::S4 => s4 * scale,
            Coding::S4Offset => (s4 + with) * scale,
            Coding::U4Min => f32::from(byte & 15) * scale + with,
            Coding::S8 => s8 * scale,
            Coding::S8Offset => (s8 + with) * scale,
            Coding::S8Min => s8 * scale + with,
            Coding::E2m1 => e2m1_to_f32(byte & 15) * scale,
            Coding::E4m3 => fp8::e4m3fn_to_f32(byte) * scale,
            Coding::E5m2 => fp8::e5m2_to_f32(byte) * scale,
        }
    }
}

/// NaN is any: what it becomes, the end of a product's chain says.
fn bits(x: f32) -> u32 {
    if x.is_nan() { 0x7FC0_0000 } else { x.to_bits() }
}

#[test]
fn every_row_is_its_coding() {
    let rounds = (600 / fraction("decoded panels", 6)).max(2);
    let (mut source, mut target) = (GuardedBuf::new(1 << 16), GuardedBuf::new(1 << 16));
    for coding in Coding::ALL {
        let op = fewbit_kernels::rows()
            .find(|row| row.name == coding.table()[0].name)
            .expect("a row of the registry")
            .op;
        for row in coding.table() {
            let Some(bound) = bind(row, limited()) else {
                missing(row.name, row.required);
                continue;
            };
            // The panels that tiles of this instruction set read.
            let tile = tiles(RealFormat::F32).iter().find(|tile| tile.row.required == row.required);
            let nr = tile.expect("a tile of the same set").nr;
            let mut rng = Rng::new(seed() ^ 131);
            for _ in 0..rounds {
                let panel = Panel::any(&mut rng, coding, nr);
                let bytes = panel.packed();
                // At any address, but for the alignment of factors.
                let from = source.at_end(&bytes);
                let factors = coding.factor_bytes(panel.k, panel.block, nr);
                let copy: Vec<f32> = bytes[..factors]
                    .chunks(4)
                    .map(|b| f32::from_ne_bytes(b.try_into().unwrap()))
                    .collect();
                let mut at = 0;
                while at < panel.k {
                    let most = panel.k - at;
                    let steps = if rng.below(3) == 0 { most } else { 2 * (1 + rng.below(20)) };
                    let steps = steps.min(most);
                    let block = at / panel.block;
                    let rows = if coding.is_nibbles() { steps.next_multiple_of(2) } else { steps };
                    let to = target.at_end(&vec![9f32; rows * nr]);
                    let args = DecodeArgs {
                        codes: from.wrapping_add(factors + coding.code_bytes(at) * nr),
                        factors: copy[block * coding.factors() * nr..].as_ptr(),
                        first: panel.block - at % panel.block,
                        block: panel.block,
                        k: steps,
                        nr,
                        lhs: null(),
                        panels: 1,
                        panel_stride: 0,
                        dst: to.cast(),
                    };
                    // SAFETY: the panel's codes and factors of these steps, and room for their numbers.
                    with_default_env(|| unsafe { bound.run()(&args) });
                    // SAFETY: numbers, initialised.
                    let got = unsafe { std::slice::from_raw_parts(to.cast::<f32>(), steps * nr) };
                    for (place, &got) in got.iter().enumerate() {
                        let (i, c) = (at + place / nr, place % nr);
                        let want = panel.number(c, i);
                        assert_eq!(bits(got), bits(want), "{} column {c}, {i}", row.name);
                    }
                    at += steps;
                }
            }
            covered(op, row.required, rounds as u64);
        }
    }
    report();
}

#[test]
fn a_row_is_multiplied_as_codes_are_decoded() {
    let rounds = (600 / fraction("rows by panels of codes", 6)).max(2);
    let [mut source, mut row_at, mut target] = [1, 2, 3].map(|_| GuardedBuf::new(1 << 16));
    for coding in Coding::ALL {
        for row in coding.table() {
            let Some(bound) = bind(row, limited()) else { continue };
            let tile = tiles(RealFormat::F32).iter().find(|tile| tile.row.required == row.required);
            let nr = tile.expect("a tile of the same set").nr;
            let mut rng = Rng::new(seed() ^ 132);
            for _ in 0..rounds {
                let first = Panel::any(&mut rng, coding, nr);
                let mut panels = vec![first];
                let shape = (panels[0].k, panels[0].block);
                for _ in 0..rng.below(3) {
                    panels.push(Panel::of(&mut rng, coding, nr, shape));
                }
                let (k, block) = shape;
                let size = coding.panel_bytes(k, block, nr);
                // Aligned for their factors: panels are whole words.
                let bytes: Vec<u8> = panels.iter().flat_map(Panel::packed).collect();
                let words: Vec<u32> =
                    bytes.chunks(4).map(|b| u32::from_ne_bytes(b.try_into().unwrap())).collect();
                let from = source.at_end(&words).cast_const().cast::<u8>();
                let x: Vec<f32> = (0..k)
                    .map(|_| if rng.below(90) == 0 { rng.any_f32() } else { rng.normal() })
                    .collect();
                let to = target.at_end(&vec![9f32; panels.len() * nr]);
                let args = DecodeArgs {
                    codes: from.wrapping_add(coding.factor_bytes(k, block, nr)),
                    factors: from.cast(),
                    first: block,
                    block,
                    k,
                    nr,
                    lhs: row_at.at_end(&x),
                    panels: panels.len(),
                    panel_stride: size,
                    dst: to.cast(),
                };
                // SAFETY: the panels, a row, and a sum a column.
                with_default_env(|| unsafe { bound.run()(&args) });
                for (place, got) in (0..panels.len() * nr).map(|place| {
                    // SAFETY: sums, initialised.
                    (place, unsafe { to.cast::<f32>().add(place).read() })
                }) {
                    let (panel, c) = (&panels[place / nr], place % nr);
                    let want = dot((0..k).map(|i| (x[i], panel.number(c, i))));
                    assert_eq!(bits(got), bits(want), "{} column {c} of {k}", row.name);
                }
            }
        }
    }
}

#[test]
fn panels_have_the_size_that_they_say() {
    for (coding, k, block, bytes) in [
        (Coding::S4, 64, 32, 2 * 4 + 32),
        (Coding::U4Min, 65, 32, 3 * 8 + 33),
        (Coding::S8, 7, 16, 4 + 7),
        (Coding::S8Offset, 48, 48, 8 + 48),
        (Coding::E2m1, 32, 16, 2 * 4 + 16),
    ] {
        assert_eq!(coding.panel_bytes(k, block, 8), 8 * bytes, "{coding:?}");
    }
}
