//! Lookups of every backend, against indexing.

use fewbit_simd::{Isa, IsaSet, Lookup};
use fewbit_testkit::{GuardedBuf, Rng, covered, limited, missing, report};

/// One backend, whose methods must be inlined into a function with its target features.
macro_rules! check {
    ($backend:ty, $required:expr $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn run(table: *const u8, from: *const u8, to: *mut u8) {
            // SAFETY: compiled for the backend; the caller vouches for the pointers.
            unsafe { <$backend>::lookup(<$backend>::table(table), from, to) }
        }
        if limited().has($required) {
            compare(run, <$backend>::BYTES, stringify!($backend));
            covered("lookup", $required, 256);
        } else {
            missing(stringify!($backend), $required);
        }
    }};
}

/// Every code in every place, with a table of every byte and random ones, up to guard pages.
fn compare(run: unsafe fn(*const u8, *const u8, *mut u8), bytes: usize, name: &str) {
    let mut rng = Rng::new(81);
    let (mut table, mut from, mut to) =
        (GuardedBuf::new(256), GuardedBuf::new(4096), GuardedBuf::new(4096));
    for round in 0..8 {
        let entries: Vec<u8> =
            (0..=255).map(|i| if round == 0 { i } else { rng.next_u32() as u8 }).collect();
        for first in 0..256 {
            let codes: Vec<u8> = (0..bytes).map(|i| (first + i * (2 * round + 1)) as u8).collect();
            let want: Vec<u8> = codes.iter().map(|&code| entries[usize::from(code)]).collect();
            // SAFETY: `bytes` at either end of the buffers; `check` asked the CPU.
            let (got, in_place) = unsafe {
                let (table, src) = (table.at_end(&entries), from.at_end(&codes));
                let dst = to.as_mut_ptr();
                run(table, src, dst);
                run(table, src, src);
                (std::slice::from_raw_parts(dst, bytes), std::slice::from_raw_parts(src, bytes))
            };
            assert_eq!(got, want, "{name}");
            assert_eq!(in_place, want, "{name} in place");
        }
    }
}

#[test]
fn lookups_are_the_tables_entries() {
    check!(fewbit_simd::Scalar, IsaSet::SCALAR);
    #[cfg(target_arch = "x86_64")]
    {
        check!(fewbit_simd::Avx2, Isa::Avx2.closure(), "avx2,fma,f16c");
        check!(
            fewbit_simd::Avx512,
            Isa::Avx512.closure(),
            "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"
        );
        check!(
            fewbit_simd::Avx512Vbmi,
            Isa::Avx512Vbmi.closure(),
            "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma,f16c"
        );
    }
    #[cfg(target_arch = "aarch64")]
    check!(fewbit_simd::Neon, Isa::Neon.closure(), "neon");
    report();
}
