//! Four rows side by side against the definition, between guard pages.

use fewbit_simd::{interleave_bytes, interleave_widened};
use fewbit_testkit::{GuardedBuf, Rng, seed};

#[test]
fn groups_of_four_rows() {
    const PAGE: usize = 4096;
    let mut rng = Rng::new(seed());
    let mut sources = [0; 4].map(|_| GuardedBuf::new(PAGE));
    let mut out = GuardedBuf::new(PAGE);
    for round in 0..300 {
        let (mask, stride) = (rng.pick(&[0u8, 0x80]), 16 + round % 40);
        let rows = [0; 4].map(|_| rng.bytes(16));
        let wide: Vec<Vec<i16>> = rows
            .iter()
            .map(|row| {
                let widen = |&b: &u8| if mask == 0 { i16::from(b) } else { i16::from(b as i8) };
                row[..8].iter().map(widen).collect()
            })
            .collect();
        for widened in [false, true] {
            let size = if widened { 8 } else { 16 };
            let mut at = [std::ptr::null(); 4];
            for ((at, source), row) in at.iter_mut().zip(&mut sources).zip(&rows) {
                *at = source.at_end(&row[..size]).cast_const();
            }
            let extent = 3 * stride + 16;
            let to = out.at_end(&vec![0xA5u8; extent]);
            // SAFETY: `size` bytes of each row, and four groups of 16 bytes up to the guard page.
            let got = unsafe {
                if widened {
                    interleave_widened(at, mask == 0, to, stride);
                } else {
                    interleave_bytes(at, mask, to, stride);
                }
                std::slice::from_raw_parts(to, extent)
            };
            let mut want = vec![0xA5u8; extent];
            for group in 0..4 {
                for row in 0..4 {
                    let bytes = if widened {
                        let [a, b] = [0, 1].map(|i| wide[row][2 * group + i].to_ne_bytes());
                        [a[0], a[1], b[0], b[1]]
                    } else {
                        [0, 1, 2, 3].map(|i| rows[row][4 * group + i] ^ mask)
                    };
                    want[group * stride + 4 * row..][..4].copy_from_slice(&bytes);
                }
            }
            assert_eq!(got, want, "widened {widened}, mask {mask}, stride {stride}");
        }
    }
}
