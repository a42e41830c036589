//! Codes of less than a byte, against the bytes written out by hand and against shifts of a u64.

mod common;

use common::rng;
use fewbit_scheme::{IntFormat, pack};

const PACKED: [IntFormat; 5] =
    [IntFormat::S4, IntFormat::U4, IntFormat::S2, IntFormat::U1, IntFormat::B1];

#[test]
fn by_hand() {
    let packed = |format, codes: &[i8], pad| {
        let mut bytes = vec![0xEE; pack::packed_len(format, codes.len())];
        pack::pack(format, codes, pad, &mut bytes);
        bytes
    };
    // Low nibble first; two's complement; the odd element's partner is the code of zero.
    assert_eq!(packed(IntFormat::S4, &[1, -1, -8, 7, 5], 0), [0xF1, 0x78, 0x05]);
    assert_eq!(packed(IntFormat::U4, &[1, 15, 9], 8), [0xF1, 0x89]);
    // Four in a byte, least significant bits first: 1 | -1 << 2 | -2 << 4 | 0 << 6.
    assert_eq!(packed(IntFormat::S2, &[1, -1, -2, 0, -2], 0), [0b00_10_11_01, 0b00_00_00_10]);
    // Eight in a byte, least significant bit first.
    assert_eq!(packed(IntFormat::U1, &[1, 0, 0, 0, 0, 0, 0, 1, 1], 0), [0x81, 0x01]);
    assert_eq!(packed(IntFormat::U1, &[1, 0], 1), [0b1111_1101]);
    // -1 is the bit 0, +1 the bit 1.
    assert_eq!(packed(IntFormat::B1, &[1, -1, 1, 1, -1, -1, -1, 1, 1], -1), [0x8D, 0x01]);
}

#[test]
fn every_code_in_every_slot() {
    for format in PACKED {
        let bits = format.bits();
        for byte in [0x00u8, 0xFF, 0xA5] {
            for slot in 0..8 / bits {
                for q in (format.qmin()..=format.qmax())
                    .filter(|&q| bits > 1 || q != 0 || format == IntFormat::U1)
                {
                    let got = pack::set(format, byte, slot, q);
                    assert_eq!(pack::get(format, got, slot), q);
                    let field = u8::MAX >> (8 - bits) << (slot * bits);
                    assert_eq!(got & !field, byte & !field, "{format:?}: another slot changed");
                }
            }
        }
    }
}

#[test]
fn any_length_comes_back() {
    let mut rng = rng(40);
    for format in PACKED {
        let (bits, per_byte) = (format.bits() as usize, format.codes_per_byte());
        for n in (0..70).chain([255, 256, 257]) {
            let codes: Vec<i8> = (0..n)
                .map(|_| match format {
                    IntFormat::B1 => rng.pick(&[-1, 1]),
                    _ => (format.qmin() + rng.below(1 << bits) as i32) as i8,
                })
                .collect();
            let length = pack::packed_len(format, n);
            assert_eq!(length, n.div_ceil(per_byte));
            let mut bytes = vec![0; length];
            pack::pack(format, &codes, 0, &mut bytes);
            for (i, &q) in codes.iter().enumerate() {
                let (byte, slot) = pack::position(format, i);
                assert_eq!((byte, slot as usize), (i / per_byte, i % per_byte));
                let field = bytes[byte] >> (slot as usize * bits) & (u8::MAX >> (8 - bits));
                let want = if format == IntFormat::B1 { u8::from(q > 0) } else { q as u8 };
                assert_eq!(field, want & (u8::MAX >> (8 - bits)), "{format:?} {n} {i}");
            }
            let mut back = vec![0; n];
            pack::unpack(format, &bytes, &mut back);
            assert_eq!(back, codes, "{format:?} {n}");
        }
    }
}

/// Sides of any length: what does not fit is left out, and nothing else changes.
#[test]
fn the_shorter_side_ends() {
    let mut rng = rng(41);
    for format in PACKED {
        for _ in 0..2000 {
            let codes: Vec<i8> = (0..rng.below(60)).map(|_| rng.byte() as i8).collect();
            let mut bytes = vec![0xEE; rng.below(40)];
            let mut want = bytes.clone();
            let per_byte = format.codes_per_byte();
            let pad = format.zero_code(format.qmax());
            for (i, byte) in want.iter_mut().enumerate().take(pack::packed_len(format, codes.len()))
            {
                for slot in 0..per_byte {
                    let q = codes.get(i * per_byte + slot).map_or(pad, |&q| q.into());
                    *byte = pack::set(format, *byte, slot as u32, q);
                }
            }
            pack::pack(format, &codes, pad, &mut bytes);
            assert_eq!(bytes, want, "{format:?} {codes:?}");
            let mut back = vec![99; rng.below(60)];
            let mut want = back.clone();
            for (i, q) in want.iter_mut().enumerate() {
                let (byte, slot) = pack::position(format, i);
                *q = bytes.get(byte).map_or(*q, |&byte| pack::get(format, byte, slot) as i8);
            }
            pack::unpack(format, &bytes, &mut back);
            assert_eq!(back, want, "{format:?} {bytes:?}");
        }
    }
}
