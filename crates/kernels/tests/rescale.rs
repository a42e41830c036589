//! Runs of codes so long that they are looked up in a table: every row against the contract, all codes, lengths
//! around the table's threshold and its vectors, up to both guard pages, in place and not.

mod common;

use common::{count, runnable};
use fewbit_kernels::rescale::{self, RescaleArgs};
use fewbit_scheme::{IntFormat, QuantParams};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

#[test]
fn long_runs_are_the_contract() {
    let mut rng = Rng::new(seed() ^ 80);
    let mut buffers = [GuardedBuf::new(8192), GuardedBuf::new(8192)];
    for (table, format) in [(rescale::S8_S8, IntFormat::S8), (rescale::U8_U8, IntFormat::U8)] {
        let (qmin, qmax) = (format.qmin(), format.qmax());
        for row in runnable(table) {
            for (i, n) in
                [510, 511, 512, 513, 527, 575, 576, 640, 1000, 4113].into_iter().enumerate()
            {
                let scale = [1.0, 0.37, 2.5, 1e-3, 1e38, 0.0078125][i % 6];
                let zero_point = |rng: &mut Rng| qmin + rng.below(256) as i32;
                let from = QuantParams { scale, zero_point: zero_point(&mut rng) };
                let scale = if i % 6 == 4 { 1e-38 } else { 1.0 };
                let to = QuantParams { scale, zero_point: zero_point(&mut rng) };
                // Every code occurs; where, differs.
                let codes: Vec<u8> = (0..n)
                    .map(|i| if i < 256 { (i * 77 + n) as u8 } else { rng.next_u32() as u8 })
                    .collect();
                let want: Vec<u8> = codes
                    .iter()
                    .map(|&byte| {
                        let code = if qmin < 0 { i32::from(byte as i8) } else { i32::from(byte) };
                        let code = fewbit_scheme::rescale(code, from, to, format);
                        assert!((qmin..=qmax).contains(&code));
                        code as u8
                    })
                    .collect();
                let [a, b] = &mut buffers;
                let len = a.len();
                for (src_at, dst_at) in [(0, len - n), (len - n, 0), (3, 61), (64, 64)] {
                    for in_place in [false, true] {
                        let (a, b) = (a.as_mut_ptr(), b.as_mut_ptr());
                        // SAFETY: `n` bytes from either offset on are within the buffers; the row is bound,
                        // and in place the codes are all of the run's.
                        let got = unsafe {
                            a.write_bytes(0xA5, len);
                            b.write_bytes(0xA5, len);
                            let src = a.add(src_at);
                            src.copy_from_nonoverlapping(codes.as_ptr(), n);
                            let dst = if in_place { src } else { b.add(dst_at) };
                            row.run()(&RescaleArgs {
                                src,
                                src_stride: 1,
                                dst,
                                dst_stride: 1,
                                n,
                                from_zero_point: from.zero_point,
                                multiplier: from.scale / to.scale,
                                zero_point: to.zero_point,
                            });
                            let base = if in_place { a } else { b };
                            std::slice::from_raw_parts(base, len)
                        };
                        let at = if in_place { src_at } else { dst_at };
                        assert!(got[at..at + n] == want, "{} {from:?} {to:?} n {n}", row.name());
                        let mut rest = got[..at].iter().chain(&got[at + n..]);
                        assert!(rest.all(|&byte| byte == 0xA5), "{} wrote outside", row.name());
                        count(table, row, n);
                    }
                }
            }
        }
    }
    report();
}
