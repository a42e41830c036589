//! The numbers of `docs/few-bits.md`: every example and every line of its tables is computed here and must be in the text
//! as printed.

use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, dequantize, pack, params_from_range, quantize,
    reduce,
};
use fewbit_testkit::Rng;

const DOCUMENT: &str = include_str!("../../../docs/few-bits.md");

/// Requires a line of the document.
fn says(line: &str) {
    println!("{line}");
    assert!(DOCUMENT.lines().any(|l| l.trim() == line.trim()), "not in docs/few-bits.md: {line}");
}

fn code(x: f32, scale: f32, format: IntFormat) -> i32 {
    quantize(x, QuantParams { scale, zero_point: 0 }, format, QuantizeMode::default())
}

/// The numbers that codes with a scale stand for.
fn through(x: &[f32], scale: f32, format: IntFormat) -> Vec<f32> {
    let params = QuantParams { scale, zero_point: 0 };
    x.iter().map(|&x| dequantize(code(x, scale, format), params)).collect()
}

fn noise(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| f64::from(x - y).powi(2)).sum()
}

/// The scale of the largest magnitude; of b1 the mean magnitude.
fn from_range(x: &[f32], format: IntFormat) -> f32 {
    let (low, high) = match format {
        IntFormat::B1 => {
            let mean = x.iter().map(|x| x.abs()).sum::<f32>() / x.len() as f32;
            (-mean, mean)
        }
        _ => reduce::min_max(x),
    };
    params_from_range(low, high, &ParamSpec::symmetric(format)).unwrap().scale
}

/// Of scales up to that of the range the one with the least squared error.
fn least_squares(x: &[f32], format: IntFormat) -> f32 {
    let whole = from_range(x, format);
    if format == IntFormat::B1 {
        return whole;
    }
    let error = |&scale: &f32| noise(x, &through(x, scale, format));
    let scales = (4..=20).map(|step| whole * step as f32 / 20.0);
    scales.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap()
}

fn decibels(x: &[f32], y: &[f32]) -> f64 {
    10.0 * (noise(x, &vec![0.0; x.len()]) / noise(x, y)).log10()
}

#[test]
fn what_a_format_keeps_of_normal_weights() {
    let mut rng = Rng::new(2028);
    let rows: Vec<Vec<f32>> = (0..16).map(|_| (0..4096).map(|_| rng.normal()).collect()).collect();
    for format in [IntFormat::S8, IntFormat::S4, IntFormat::S2, IntFormat::B1] {
        let mut cells = Vec::new();
        for block in [4096, 32] {
            for choose in [from_range, least_squares] {
                let blocks = rows.iter().flat_map(|row| row.chunks(block));
                let back: Vec<f32> =
                    blocks.flat_map(|x| through(x, choose(x, format), format)).collect();
                cells.push(format!("{:.1} dB", decibels(&rows.concat(), &back)));
            }
        }
        if format == IntFormat::B1 {
            // There is but one choice.
            (cells[1], cells[3]) = (String::new(), String::new());
        }
        let name = format!("{format:?}").to_lowercase();
        let bits = format.bits();
        let in_blocks = bits as f32 + 1.0;
        let cells = cells.join(" | ").replace("|  |", "| |");
        says(&format!("| {name} | {bits} | {in_blocks} | {cells} |").replace("|  |", "| |"));
    }
}

#[test]
fn codes_in_bytes() {
    let w = [0.9f32, -0.4, 0.1, -1.4, 0.5];
    for format in [IntFormat::S4, IntFormat::S2, IntFormat::B1] {
        let scale = if format == IntFormat::S4 { 0.2 } else { 0.7 };
        let codes: Vec<i32> = w.iter().map(|&w| code(w, scale, format)).collect();
        let bytes: Vec<i8> = codes.iter().map(|&q| q as i8).collect();
        let mut packed = vec![0u8; pack::packed_len(format, w.len())];
        pack::pack(format, &bytes, 0, &mut packed);
        let packed: Vec<String> = packed.iter().map(|byte| format!("0x{byte:02X}")).collect();
        let numbers = through(&w, scale, format);
        let name = format!("{format:?}").to_lowercase();
        says(&format!("{name}  S = {scale}  codes {codes:?}  bytes {}", packed.join(" ")));
        says(&format!("    read as {numbers:?}"));
    }
}

/// `Σ (2a - 1)(2w - 1) = 4 Σ a w - 2 Σ a - 2 Σ w + K`.
#[test]
fn bits_as_numbers_and_as_signs() {
    let (a, w): (u8, u8) = (0b1011_0010, 0b1110_1010);
    let bit = |byte: u8, i: u32| i32::from(byte >> i & 1);
    let signs: i32 = (0..8).map(|i| (2 * bit(a, i) - 1) * (2 * bit(w, i) - 1)).sum();
    let (both, of_a, of_w) =
        ((a & w).count_ones() as i32, a.count_ones() as i32, w.count_ones() as i32);
    assert_eq!(signs, 4 * both - 2 * of_a - 2 * of_w + 8);
    assert_eq!(signs, 8 - 2 * (a ^ w).count_ones() as i32);
    let row = |byte: u8| (0..8).rev().map(|i| bit(byte, i).to_string()).collect::<String>();
    says(&format!("a = {}, w = {}: both have {both} ones, a {of_a}, w {of_w}", row(a), row(w)));
    says(&format!("4 * {both} - 2 * {of_a} - 2 * {of_w} + 8 = {signs}"));
    // And u1 with either zero point.
    for zero_point in [0, 1] {
        let params = QuantParams { scale: 0.5, zero_point };
        let of = [0, 1].map(|q| dequantize(q, params));
        says(&format!("| u1, zero point {zero_point} | {:?} | {:?} |", of[0], of[1]));
    }
    let params = QuantParams { scale: 0.5, zero_point: 0 };
    let of = [-1, 1].map(|q| dequantize(q, params));
    says(&format!("| b1 | {:?} | {:?} |", of[0], of[1]));
}

/// A block with the largest magnitude on the other side, whose `d` is negative.
#[test]
fn a_gguf_block_taken_apart() {
    let x: [f32; 32] = std::array::from_fn(|i| if i == 3 { 8.0 } else { (i % 5) as f32 - 2.0 });
    let mut block = [0u8; 18];
    gguf::quantize(Gguf::Q4_0, &x, &mut block);
    let (mut codes, mut scales, mut zero_points) = ([0u8; 16], [0f32], [0i32]);
    gguf::unpack(Gguf::Q4_0, &block, &mut codes, &mut scales, &mut zero_points);
    let first = [0usize, 1, 2, 3].map(|i| {
        let (byte, slot) = pack::position(IntFormat::S4, i);
        pack::get(IntFormat::S4, codes[byte], slot)
    });
    let params = QuantParams { scale: scales[0], zero_point: zero_points[0] };
    let numbers = first.map(|q| dequantize(q, params));
    let mut want = [0f32; 32];
    gguf::dequantize(Gguf::Q4_0, &block, &mut want);
    assert_eq!(numbers[..], want[..4]);
    let d = half::f16::from_le_bytes([block[0], block[1]]);
    says(&format!("x  {:?}, ...   d = {d}", &x[..4]));
    says(&format!(
        "S = {}  Z = {}  codes {first:?}, ...  numbers {numbers:?}, ...",
        scales[0], zero_points[0]
    ));
}
