//! Counts of magnitudes against the contract: every row, every length around a vector and across parts, any bits, between
//! guard pages.

use fewbit_kernels::census::CENSUS_F32;
use fewbit_kernels::registry::bind;
use fewbit_scheme::hazards::{Census, LIMITS};
use fewbit_testkit::{GuardedBuf, Rng, covered, limited, missing, report, seed};

fn want(numbers: &[f32]) -> Census {
    let mut census = Census::EMPTY;
    numbers.iter().for_each(|&x| census.see(x));
    census
}

/// Any bits; near the limits; zeros; NaN and infinities only.
fn numbers(rng: &mut Rng, kind: usize, n: usize) -> Vec<f32> {
    let number = |rng: &mut Rng| {
        let bits = match kind {
            0 => rng.next_u32(),
            1 => rng.pick(&LIMITS).wrapping_add(rng.below(5) as u32).wrapping_sub(2),
            2 => 0,
            _ => rng.pick(&[0x7F80_0000, 0x7F80_0001, 0x7FFF_FFFF]),
        };
        f32::from_bits(bits ^ rng.next_u32() & 1 << 31)
    };
    (0..n).map(|_| number(rng)).collect()
}

#[test]
fn every_row_counts_as_the_contract_does() {
    let mut rng = Rng::new(seed() ^ 71);
    let mut memory = GuardedBuf::new(1 << 16);
    for row in CENSUS_F32 {
        let Some(bound) = bind(row, limited()) else {
            missing(row.name, row.required);
            continue;
        };
        let mut cases = 0;
        for n in (0..70).chain([127, 128, 129, 1000, 4097]) {
            for kind in 0..4 {
                let x = numbers(&mut rng, kind, n);
                for at_end in [true, false] {
                    let from = if at_end { memory.at_end(&x) } else { memory.at_start(&x) };
                    // SAFETY: n numbers between guard pages.
                    let got = unsafe { bound.run()(from, n) };
                    assert_eq!(got, want(&x), "{}: {n} of kind {kind}", row.name);
                    cases += 1;
                }
            }
        }
        // Beyond what lanes count at a time.
        let mut x = numbers(&mut rng, 0, (1 << 20) * 16 + 5);
        x.iter_mut().for_each(|x| *x = if *x == 0.0 { 1.0 } else { *x });
        // SAFETY: the vector's numbers.
        let got = unsafe { bound.run()(x.as_ptr(), x.len()) };
        assert_eq!(got, want(&x), "{}: many", row.name);
        assert_eq!(got.above[0], x.len() as u64);
        covered("census_f32", row.required, cases);
    }
    report();
}
