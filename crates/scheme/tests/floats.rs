//! f16, bf16 and fp8 against tables of the formats' numbers, made from the formats' definitions, and
//! against the crate `half`.

mod common;

use common::{extremes, rng};
use fewbit_scheme::float16::{
    bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_bf16_saturating, f32_to_f16, f32_to_f16_saturating,
};
use fewbit_scheme::fp8::{Overflow, e4m3fn_to_f32, e5m2_to_f32, f32_to_e4m3fn, f32_to_e5m2};

/// A format, by its definition: the bits of exponent and mantissa, and its special codes.
struct Format {
    name: &'static str,
    bits: u32,
    mantissa: u32,
    bias: i32,
    /// The largest finite code without sign.
    largest: u32,
    /// What numbers beyond the largest become: the code, in the saturating and in the plain
    /// conversion.
    infinity: Option<u32>,
    nan: fn(f32) -> u32,
    narrow: [fn(f32) -> u32; 2],
    widen: fn(u32) -> f32,
}

fn f16_nan(x: f32) -> u32 {
    0x7E00 | x.to_bits() >> 13 & 0x3FF
}

fn bf16_nan(x: f32) -> u32 {
    x.to_bits() >> 16 & 0x7FFF | 0x40
}

const FORMATS: [Format; 4] = [
    Format {
        name: "f16",
        bits: 16,
        mantissa: 10,
        bias: 15,
        largest: 0x7BFF,
        infinity: Some(0x7C00),
        nan: f16_nan,
        narrow: [|x| f32_to_f16(x).into(), |x| f32_to_f16_saturating(x).into()],
        widen: |code| f16_to_f32(code as u16),
    },
    Format {
        name: "bf16",
        bits: 16,
        mantissa: 7,
        bias: 127,
        largest: 0x7F7F,
        infinity: Some(0x7F80),
        nan: bf16_nan,
        narrow: [|x| f32_to_bf16(x).into(), |x| f32_to_bf16_saturating(x).into()],
        widen: |code| bf16_to_f32(code as u16),
    },
    Format {
        name: "e4m3fn",
        bits: 8,
        mantissa: 3,
        bias: 7,
        largest: 0x7E,
        infinity: None,
        nan: |_| 0x7F,
        narrow: [
            |x| f32_to_e4m3fn(x, Overflow::NonFinite).into(),
            |x| f32_to_e4m3fn(x, Overflow::Saturate).into(),
        ],
        widen: |code| e4m3fn_to_f32(code as u8),
    },
    Format {
        name: "e5m2",
        bits: 8,
        mantissa: 2,
        bias: 15,
        largest: 0x7B,
        infinity: Some(0x7C),
        nan: |_| 0x7E,
        narrow: [
            |x| f32_to_e5m2(x, Overflow::NonFinite).into(),
            |x| f32_to_e5m2(x, Overflow::Saturate).into(),
        ],
        widen: |code| e5m2_to_f32(code as u8),
    },
];

impl Format {
    fn sign(&self) -> u32 {
        1 << (self.bits - 1)
    }

    /// The number of a code without sign, as if there were no special codes: by the definition.
    fn number(&self, code: u32) -> f64 {
        let (exponent, fraction) = (code >> self.mantissa, code & ((1 << self.mantissa) - 1));
        let unit = 2f64.powi(exponent.max(1) as i32 - self.bias - self.mantissa as i32);
        let implicit = u32::from(exponent > 0) << self.mantissa;
        f64::from(fraction + implicit) * unit
    }

    /// The code of a number that is not negative: of the two neighbours the nearer one, of two
    /// equally near the one with an even code. `below` is the code of the lower neighbour.
    fn rounded(&self, x: f64, below: u32, saturating: bool) -> u32 {
        let (low, high) = (self.number(below), self.number(below + 1));
        let up = x - low > high - x || x - low == high - x && below & 1 == 1;
        let code = below + u32::from(up);
        match (code > self.largest || x.is_infinite(), saturating) {
            (false, _) => code,
            (true, true) => self.largest,
            (true, false) => self.infinity.unwrap_or(0x7F),
        }
    }

    /// The largest code, at most the last finite one, whose number is not above `x`.
    fn below(&self, x: f64) -> u32 {
        let (mut low, mut high) = (0, self.largest + 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.number(middle) <= x { low = middle } else { high = middle }
        }
        low
    }

    fn check(&self, x: f32) {
        let sign = if x.is_sign_negative() { self.sign() } else { 0 };
        for (narrow, saturating) in self.narrow.iter().zip([false, true]) {
            let want = if x.is_nan() {
                (self.nan)(x)
            } else {
                let magnitude = f64::from(x.abs());
                self.rounded(magnitude, self.below(magnitude), saturating)
            };
            let name = self.name;
            assert_eq!(narrow(x), want | sign, "{name} of {x:e}, {:#x}", x.to_bits());
        }
    }
}

#[test]
fn every_code_has_the_number_of_its_definition_and_comes_back() {
    for format in &FORMATS {
        for code in 0..=format.largest {
            for sign in [0, format.sign()] {
                let want = if sign == 0 { format.number(code) } else { -format.number(code) };
                let got = (format.widen)(code | sign);
                assert_eq!(f64::from(got).to_bits(), want.to_bits(), "{} {code:#x}", format.name);
                for narrow in &format.narrow {
                    assert_eq!(narrow(got), code | sign, "{} {code:#x}", format.name);
                }
            }
        }
        // The rest: an infinity, and NaNs, with their signs.
        for code in format.largest + 1..format.sign() {
            for sign in [0, format.sign()] {
                let got = (format.widen)(code | sign);
                assert_eq!(got.is_sign_negative(), sign != 0);
                let infinite = format.infinity == Some(code);
                assert!(if infinite { got.is_infinite() } else { got.is_nan() });
                assert!(infinite || got.to_bits() & 0x0040_0000 != 0, "not quiet");
            }
        }
    }
}

#[test]
fn payloads_of_nan() {
    // Kept from f16 and bf16 to f32 and back, but for the quiet bit.
    for code in 0x7C01..0x8000u16 {
        assert_eq!(f16_to_f32(code).to_bits(), 0x7FC0_0000 | u32::from(code & 0x3FF) << 13);
        assert_eq!(f32_to_f16(f16_to_f32(code)), code | 0x200);
    }
    for code in 0x7F81..0x8000u16 {
        assert_eq!(bf16_to_f32(code).to_bits(), u32::from(code | 0x40) << 16);
        assert_eq!(f32_to_bf16(bf16_to_f32(code)), code | 0x40);
    }
    // A payload whose kept bits are all 0 stays a NaN.
    assert_eq!(f32_to_f16(f32::from_bits(0x7F80_0001)), 0x7E00);
    assert_eq!(f32_to_bf16(f32::from_bits(0xFF80_0001)), 0xFFC0);
    assert_eq!(e5m2_to_f32(0x7D).to_bits(), 0x7FE0_0000);
    assert_eq!(e5m2_to_f32(0xFF).to_bits(), 0xFFE0_0000);
    assert_eq!(e4m3fn_to_f32(0xFF).to_bits(), 0xFFC0_0000);
}

#[test]
fn ties_and_their_neighbours() {
    for format in &FORMATS {
        for code in 0..=format.largest {
            // Exact in f32: one bit more than the format has.
            let tie = ((format.number(code) + format.number(code + 1)) / 2.0) as f32;
            for x in [tie, tie.next_up(), tie.next_down(), format.number(code) as f32] {
                format.check(x);
                format.check(-x);
            }
        }
        extremes().into_iter().for_each(|x| format.check(x));
    }
}

#[test]
fn any_f32() {
    let mut rng = rng(30);
    for format in &FORMATS {
        (0..200_000).for_each(|_| format.check(rng.any_f32()));
    }
}

/// All f32 in order, so that the neighbours are found by moving along.
#[test]
fn all_f32() {
    let (start, step) = fewbit_testkit::sweep("scheme: f16, bf16, fp8", 2039);
    for format in &FORMATS {
        let mut below = 0;
        for bits in (start..=0x7F80_0000).step_by(step as usize) {
            let x = f32::from_bits(bits);
            while below < format.largest && format.number(below + 1) <= f64::from(x) {
                below += 1;
            }
            for (narrow, saturating) in format.narrow.iter().zip([false, true]) {
                let want = format.rounded(x.into(), below, saturating);
                assert_eq!(narrow(x), want, "{} of {x:e}", format.name);
                assert_eq!(narrow(-x), want | format.sign(), "{} of {:e}", format.name, -x);
            }
        }
    }
}

#[test]
fn equal_to_the_crate_half() {
    let mut rng = rng(31);
    let inputs = extremes().into_iter().chain((0..400_000).map(|_| rng.any_f32()));
    for x in inputs {
        assert_eq!(f32_to_f16(x), half::f16::from_f32_const(x).to_bits(), "{:#x}", x.to_bits());
        assert_eq!(f32_to_bf16(x), half::bf16::from_f32_const(x).to_bits(), "{:#x}", x.to_bits());
    }
    for code in 0..=u16::MAX {
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(same(f16_to_f32(code), half::f16::from_bits(code).to_f32_const()));
        assert!(same(bf16_to_f32(code), half::bf16::from_bits(code).to_f32_const()));
    }
}

#[test]
fn by_hand() {
    // Values of ml_dtypes and of the OCP specification.
    let e4m3 = |x| f32_to_e4m3fn(x, Overflow::NonFinite);
    assert_eq!(
        [448.0, 464.0, 464.1, 480.0, f32::INFINITY].map(e4m3),
        [0x7E, 0x7E, 0x7F, 0x7F, 0x7F]
    );
    assert_eq!(
        [1.0, 2f32.powi(-9), 2f32.powi(-10), 1.5 * 2f32.powi(-9)].map(e4m3),
        [0x38, 1, 0, 2]
    );
    let e5m2 = |x| f32_to_e5m2(x, Overflow::NonFinite);
    assert_eq!([57344.0, 61439.0, 61440.0, f32::INFINITY].map(e5m2), [0x7B, 0x7B, 0x7C, 0x7C]);
    assert_eq!(f32_to_e4m3fn(f32::NEG_INFINITY, Overflow::Saturate), 0xFE);
    assert_eq!(f32_to_e5m2(f32::INFINITY, Overflow::Saturate), 0x7B);
    assert_eq!([65504.0, 65519.996, 65520.0].map(f32_to_f16), [0x7BFF, 0x7BFF, 0x7C00]);
    assert_eq!([1.0, -2.0, 5.960_464_5e-8, 2.980_232_2e-8].map(f32_to_f16), [0x3C00, 0xC000, 1, 0]);
    assert_eq!([1.0, 1.003_906_2, 1.011_718_8].map(f32_to_bf16), [0x3F80, 0x3F80, 0x3F82]);
}
