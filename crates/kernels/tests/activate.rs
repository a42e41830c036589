//! Every row of every activation against the scalar contract, bit for bit: all lengths, in place and not,
//! between unreadable pages, numbers of every kind and a sweep over all f32.

mod common;

use common::{bytes, count, extremes, runnable};
use fewbit_kernels::activate::{ActivateArgs, TABLES, table};
use fewbit_kernels::add::{ADD, AddArgs};
use fewbit_kernels::lookup::{LOOKUP, LookupArgs};
use fewbit_scheme::{Activation, real};
use fewbit_testkit::{GuardedBuf, Rng, report, seed, sweep};

const PARAMETERS: [Activation; 5] = [
    Activation::Clamp { low: -1.5, high: 1.5 },
    Activation::Clamp { low: 0.0, high: f32::INFINITY },
    Activation::LeakyRelu { slope: 0.2 },
    Activation::LeakyRelu { slope: -3e38 },
    Activation::LeakyRelu { slope: f32::MIN_POSITIVE },
];

/// Every function, those with parameters with several.
fn functions() -> impl Iterator<Item = Activation> {
    TABLES.iter().map(|&(_, function)| function).chain(PARAMETERS)
}

#[test]
fn activation_rows() {
    let mut rng = Rng::new(seed() ^ 21);
    let [mut from, mut to] = [(); 2].map(|()| GuardedBuf::new(4096));
    let special = extremes(1.0);
    for function in functions() {
        let (rows, alpha, beta) = table(function).expect("a table");
        for row in runnable(rows) {
            let mut calls = 0;
            for n in 0..=257usize {
                let numbers: Vec<f32> = (0..n)
                    .map(|_| match rng.below(3) {
                        0 => rng.pick(&special),
                        1 => rng.normal() * 4.0,
                        _ => rng.normal() * 40.0,
                    })
                    .collect();
                let want: Vec<f32> = numbers.iter().map(|&x| function.apply(x)).collect();
                for in_place in [false, true] {
                    let src = from.at_end(&numbers);
                    let dst = if in_place { src } else { to.at_end(&vec![0f32; n]) };
                    let args = ActivateArgs { src: src.cast_const(), dst, n, alpha, beta };
                    // SAFETY: the row is bound; both runs hold n numbers.
                    let got = unsafe {
                        row.run()(&args);
                        std::slice::from_raw_parts(dst, n)
                    };
                    for ((x, got), want) in numbers.iter().zip(got).zip(&want) {
                        assert!(
                            got.to_bits() == want.to_bits(),
                            "{} {function:?} of {x:e} is {got:e}, not {want:e}",
                            row.name(),
                        );
                    }
                    calls += 1;
                }
            }
            count(rows, row, calls);
        }
    }
    report();
}

#[test]
fn add_rows() {
    let mut rng = Rng::new(seed() ^ 22);
    let [mut left, mut right, mut to] = [(); 3].map(|()| GuardedBuf::new(4096));
    let special = extremes(1.0);
    for row in runnable(ADD) {
        let mut calls = 0;
        for n in 0..=257usize {
            let mut numbers = || -> Vec<f32> {
                let any = |_| if rng.below(2) == 0 { rng.pick(&special) } else { rng.any_f32() };
                (0..n).map(any).collect()
            };
            let (a, b) = (numbers(), numbers());
            let sums = a.iter().zip(&b).map(|(a, b)| real::canonical(a + b));
            let want: Vec<u32> = sums.map(f32::to_bits).collect();
            for place in 0..3 {
                let (at_a, at_b) = (left.at_end(&a), right.at_end(&b));
                let dst = [at_a, at_b, to.at_end(&vec![0f32; n])][place];
                // SAFETY: the row is bound; all runs hold n numbers.
                let got = unsafe {
                    row.run()(&AddArgs { a: at_a, b: at_b, dst, n });
                    std::slice::from_raw_parts(dst, n)
                };
                let got: Vec<u32> = got.iter().map(|y| y.to_bits()).collect();
                assert!(got == want, "{} {n} place {place}", row.name());
                calls += 1;
            }
        }
        count(ADD, row, calls);
    }
    report();
}

#[test]
fn lookup_rows() {
    let mut rng = Rng::new(seed() ^ 23);
    let [mut entries, mut from, mut to] = [(); 3].map(|()| GuardedBuf::new(4096));
    for row in runnable(LOOKUP) {
        let mut calls = 0;
        for n in 0..=257usize {
            let (table, src) = (rng.bytes(256), rng.bytes(n));
            let want: Vec<u8> = src.iter().map(|&code| table[usize::from(code)]).collect();
            for in_place in [false, true] {
                let table = entries.at_end(&table).cast_const();
                let src = from.at_end(&src);
                let dst = if in_place { src } else { to.at_end(&vec![0u8; n]) };
                // SAFETY: the row is bound; a table of 256 and n codes, which end at guard pages.
                let got = unsafe {
                    row.run()(&LookupArgs { table, src, dst, n });
                    std::slice::from_raw_parts(dst, n)
                };
                assert!(got == want, "{} {n} in place {in_place}", row.name());
                calls += 1;
            }
        }
        count(LOOKUP, row, calls);
    }
    report();
}

#[test]
fn activations_of_a_sweep() {
    const CHUNK: usize = 1 << 12;
    let (first, stride) = sweep("activation rows", 40_013);
    for &(rows, function) in &TABLES {
        let (_, alpha, beta) = table(function).expect("a table");
        let rows = runnable(rows);
        let mut next = Some(first);
        while next.is_some() {
            let mut numbers = Vec::with_capacity(CHUNK);
            while let (Some(bits), true) = (next, numbers.len() < CHUNK) {
                numbers.push(f32::from_bits(bits));
                next = bits.checked_add(stride);
            }
            let want: Vec<f32> = numbers.iter().map(|&x| function.apply(x)).collect();
            for row in &rows {
                let mut got = vec![0f32; numbers.len()];
                let (src, dst, n) = (numbers.as_ptr(), got.as_mut_ptr(), numbers.len());
                // SAFETY: the row is bound; both runs hold n numbers.
                unsafe { row.run()(&ActivateArgs { src, dst, n, alpha, beta }) };
                assert!(bytes(&got) == bytes(&want), "{} differs", row.name());
            }
        }
    }
}
