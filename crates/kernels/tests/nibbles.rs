//! Nibbles to bytes and back: every row against the contract, all codes in all places, up to guard pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::pack::{self, PackFn};
use fewbit_kernels::registry::Row;
use fewbit_scheme::{IntFormat, pack as contract};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

/// Runs a table on `bytes` bytes of codes, which begin where the lower guard ends or end where the upper one
/// begins, and demands `want`.
fn check(table: &'static [Row<PackFn>], from: &[u8], want: &[u8], bytes: usize) {
    let (mut src, mut dst) = (GuardedBuf::new(from.len()), GuardedBuf::new(want.len()));
    for row in runnable(table) {
        // SAFETY: both buffers are as long as the codes; the row is bound.
        let (at_end, at_start) = unsafe {
            let to = dst.at_end(&vec![0xA5; want.len()]);
            row.run()(src.at_end(from), to, bytes);
            let at_end = std::slice::from_raw_parts(to, want.len()).to_vec();
            let to = dst.at_start(&vec![0xA5; want.len()]);
            row.run()(src.at_start(from), to, bytes);
            (at_end, std::slice::from_raw_parts(to, want.len()))
        };
        assert!(at_end == want, "{} {bytes} bytes", row.name());
        assert!(at_start == want, "{} {bytes} bytes", row.name());
        count(table, row, 2 * bytes);
    }
}

#[test]
fn nibbles_are_the_contract() {
    let mut rng = Rng::new(seed() ^ 82);
    for bytes in (0..300).chain([1 << 16]) {
        // Every pair of codes, where there is room for it.
        let codes: Vec<u8> = match bytes {
            65_536 => (0..=u16::MAX).flat_map(u16::to_le_bytes).collect(),
            _ => rng.bytes(2 * bytes),
        };
        let mut packed = vec![0; bytes];
        let signed: Vec<i8> = codes.iter().map(|&code| code as i8).collect();
        contract::pack(IntFormat::U4, &signed, 0, &mut packed);
        check(pack::U8_U4, &codes, &packed, bytes);
        let packed = &codes[..bytes];
        for (table, format) in [(pack::U4_U8, IntFormat::U4), (pack::S4_S8, IntFormat::S4)] {
            let mut want = vec![0i8; 2 * bytes];
            contract::unpack(format, packed, &mut want);
            let want: Vec<u8> = want.iter().map(|&code| code as u8).collect();
            check(table, packed, &want, bytes);
        }
    }
    report();
}
