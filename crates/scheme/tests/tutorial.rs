//! The numbers of `docs/numerics.md`: every example and every line of its tables is computed here and
//! must be in the text as printed.

use fewbit_scheme::{
    IntFormat, ParamSpec, QuantParams, QuantizeMode, dequantize, params_from_range, quantize,
    reduce, requantize,
};
use fewbit_testkit::Rng;

const DOCUMENT: &str = include_str!("../../../docs/numerics.md");

/// Requires a line of the document.
fn says(line: &str) {
    println!("{line}");
    assert!(DOCUMENT.lines().any(|l| l.trim() == line), "not in docs/numerics.md: {line}");
}

fn choose(x: &[f32], spec: &ParamSpec) -> QuantParams {
    let (low, high) = reduce::min_max(x);
    params_from_range(low, high, spec).unwrap()
}

fn codes(x: &[f32], params: QuantParams, format: IntFormat) -> Vec<i32> {
    x.iter().map(|&x| quantize(x, params, format, QuantizeMode::default())).collect()
}

/// Codes and back.
fn through(x: &[f32], spec: &ParamSpec) -> Vec<f32> {
    let params = choose(x, spec);
    codes(x, params, spec.format).into_iter().map(|q| dequantize(q, params)).collect()
}

/// Signal to noise in decibels.
fn sqnr(exact: &[f64], got: &[f64]) -> f64 {
    let signal: f64 = exact.iter().map(|r| r * r).sum();
    let noise: f64 = exact.iter().zip(got).map(|(r, x)| (r - x) * (r - x)).sum();
    10.0 * (signal / noise).log10()
}

/// The noise as a share of the signal, in percent, for a ratio in decibels.
fn percent(db: f64) -> f64 {
    100.0 * 10f64.powf(-db / 20.0)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[test]
fn an_example_by_hand() {
    let u8 = ParamSpec::affine(IntFormat::U8);
    let s8 = ParamSpec::symmetric(IntFormat::S8);
    let x = [0.7f32, -1.2, 2.0, 0.1];
    let w = [0.5f32, 0.25, -1.0, 0.75];
    let (px, pw) = (choose(&x, &u8), choose(&w, &s8));
    let (qx, qw) = (codes(&x, px, u8.format), codes(&w, pw, s8.format));
    says(&format!("x    {x:?}   S = {:.6}  Z = {}   codes {qx:?}", px.scale, px.zero_point));
    says(&format!("w    {w:?}  S = {:.6}  Z = {}    codes {qw:?}", pw.scale, pw.zero_point));
    let terms: Vec<i32> = qx.iter().zip(&qw).map(|(a, w)| (a - px.zero_point) * w).collect();
    let acc: i32 = terms.iter().sum();
    let terms = terms.iter().map(|t| format!("({t})")).collect::<Vec<_>>().join(" + ");
    says(&format!("sum  {terms} = {acc}"));
    let y = acc as f32 * (px.scale * pw.scale);
    says(&format!("y    {acc} * {:.6} * {:.6} = {y:.4}", px.scale, pw.scale));
    let exact = dot(&x, &w);
    says(&format!("exact {exact:.4}: off by {:.4}", (f64::from(y) - exact).abs()));
    // As a code of the next layer's input, whose range is -4..4.
    let py = params_from_range(-4.0, 4.0, &s8).unwrap();
    let multiplier = (px.scale * pw.scale) / py.scale;
    let q = requantize(acc, multiplier, 0, IntFormat::S8, (-128, 127));
    says(&format!(
        "code {acc} * {multiplier:.6} = {:.2}, so {q}: {:.4}",
        acc as f32 * multiplier,
        dequantize(q, py)
    ));
}

#[test]
fn why_int8_gives_nearly_the_same_result() {
    let mut rng = Rng::new(2026);
    let (u8, s8) = (ParamSpec::affine(IntFormat::U8), ParamSpec::symmetric(IntFormat::S8));
    for k in [16, 256, 4096, 65_536] {
        let products = (4_000_000 / k).clamp(60, 4000);
        let (mut exact, mut got) = (Vec::new(), Vec::new());
        for _ in 0..products {
            let x: Vec<f32> = (0..k).map(|_| rng.normal()).collect();
            let w: Vec<f32> = (0..k).map(|_| rng.normal() * 0.05).collect();
            let (px, pw) = (choose(&x, &u8), choose(&w, &s8));
            let acc: i64 = codes(&x, px, u8.format)
                .iter()
                .zip(codes(&w, pw, s8.format))
                .map(|(&a, w)| i64::from((a - px.zero_point) * w))
                .sum();
            exact.push(dot(&x, &w));
            got.push(acc as f64 * f64::from(px.scale * pw.scale));
        }
        let db = sqnr(&exact, &got);
        says(&format!("| {k} | {db:.0} dB | {:.1} % |", percent(db)));
    }
}

#[test]
fn what_a_bit_is_worth() {
    let mut rng = Rng::new(2027);
    let x: Vec<f32> = (0..65_536).map(|_| rng.normal()).collect();
    let exact: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    for (name, format) in [("s16", IntFormat::S16), ("s8", IntFormat::S8), ("s4", IntFormat::S4)] {
        let back = |x: &[f32]| -> Vec<f64> {
            through(x, &ParamSpec::symmetric(format)).into_iter().map(f64::from).collect()
        };
        let blocks: Vec<f64> = x.chunks(32).flat_map(back).collect();
        let (whole, blocks) = (sqnr(&exact, &back(&x)), sqnr(&exact, &blocks));
        says(&format!("| {name} | {whole:.0} dB | {blocks:.0} dB |"));
    }
}

/// A layer of 64 outputs and 256 inputs over 64 rows: the ratio of its worst output channel or row.
struct Layer {
    x: Vec<Vec<f32>>,
    w: Vec<Vec<f32>>,
}

impl Layer {
    fn product(x: &[Vec<f32>], w: &[Vec<f32>]) -> Vec<Vec<f64>> {
        x.iter().map(|row| w.iter().map(|column| dot(row, column)).collect()).collect()
    }

    /// The worst output channel.
    fn channel(&self, x: &[Vec<f32>], w: &[Vec<f32>]) -> f64 {
        let (exact, got) = (Layer::product(&self.x, &self.w), Layer::product(x, w));
        let column = |y: &[Vec<f64>], n: usize| y.iter().map(|row| row[n]).collect::<Vec<_>>();
        (0..w.len()).map(|n| sqnr(&column(&exact, n), &column(&got, n))).fold(f64::MAX, f64::min)
    }

    /// The worst row.
    fn row(&self, x: &[Vec<f32>], w: &[Vec<f32>]) -> f64 {
        let (exact, got) = (Layer::product(&self.x, &self.w), Layer::product(x, w));
        exact.iter().zip(&got).map(|(e, g)| sqnr(e, g)).fold(f64::MAX, f64::min)
    }
}

/// One scale, or one a row, over a matrix.
fn per_tensor(m: &[Vec<f32>], spec: &ParamSpec) -> Vec<Vec<f32>> {
    through(&m.concat(), spec).chunks(m[0].len()).map(<[f32]>::to_vec).collect()
}

fn per_row(m: &[Vec<f32>], spec: &ParamSpec) -> Vec<Vec<f32>> {
    m.iter().map(|row| through(row, spec)).collect()
}

fn per_block(m: &[Vec<f32>], spec: &ParamSpec) -> Vec<Vec<f32>> {
    m.iter().map(|row| row.chunks(32).flat_map(|b| through(b, spec)).collect()).collect()
}

#[test]
fn how_accuracy_is_recovered() {
    let mut rng = Rng::new(2028);
    let (s8, s4) = (ParamSpec::symmetric(IntFormat::S8), ParamSpec::symmetric(IntFormat::S4));
    let u8 = ParamSpec::affine(IntFormat::U8);
    let mut matrix = |rows: usize, value: &mut dyn FnMut(usize, f32) -> f32| -> Vec<Vec<f32>> {
        (0..rows).map(|r| (0..256).map(|_| value(r, rng.normal())).collect()).collect()
    };
    let line = |what: &str, a: &str, b: &str, plain: f64, better: f64| {
        says(&format!("| {what} | {a}: {plain:.0} dB | {b}: {better:.0} dB |"));
    };

    // Channels whose ranges span a factor of 100.
    let w = matrix(64, &mut |n, v| v * 0.1 * 100f32.powf(-(n as f32) / 63.0));
    let layer = Layer { x: matrix(64, &mut |_, v| v), w };
    let (a, b) = (per_tensor(&layer.w, &s8), per_row(&layer.w, &s8));
    line(
        "weights, channels 1 to 100 in range",
        "per tensor",
        "per channel",
        layer.channel(&layer.x, &a),
        layer.channel(&layer.x, &b),
    );
    let (a, b) = (per_row(&layer.w, &s4), per_block(&layer.w, &s4));
    line(
        "the same weights in s4",
        "per channel",
        "per block of 32",
        layer.channel(&layer.x, &a),
        layer.channel(&layer.x, &b),
    );

    // Rows (tokens, images) whose ranges span a factor of 50.
    let x = matrix(64, &mut |m, v| v * 50f32.powf(-(m as f32) / 63.0));
    let layer = Layer { x, w: matrix(64, &mut |_, v| v * 0.1) };
    let (a, b) = (per_tensor(&layer.x, &u8), per_row(&layer.x, &u8));
    line(
        "activations, rows 1 to 50 in range",
        "static per tensor",
        "dynamic per row",
        layer.row(&a, &layer.w),
        layer.row(&b, &layer.w),
    );

    // Outputs of a ReLU: half of a symmetric scheme's codes are never used.
    let x = matrix(64, &mut |_, v| v.max(0.0));
    let layer = Layer { x, w: matrix(64, &mut |_, v| v * 0.1) };
    let (a, b) = (per_tensor(&layer.x, &s8), per_tensor(&layer.x, &u8));
    line(
        "activations behind a ReLU",
        "symmetric s8",
        "affine u8",
        layer.row(&a, &layer.w),
        layer.row(&b, &layer.w),
    );

    // One outlier in 16384 numbers sets the range.
    let mut x = matrix(64, &mut |_, v| v);
    x[7][11] = 60.0;
    let layer = Layer { x, w: matrix(64, &mut |_, v| v * 0.1) };
    let clipped = params_from_range(-6.0, 6.0, &u8).unwrap();
    let b: Vec<Vec<f32>> = layer
        .x
        .iter()
        .map(|row| {
            codes(row, clipped, u8.format).into_iter().map(|q| dequantize(q, clipped)).collect()
        })
        .collect();
    let a = per_tensor(&layer.x, &u8);
    let without = |x: &[Vec<f32>]| -> Vec<Vec<f32>> {
        x.iter().enumerate().filter(|(m, _)| *m != 7).map(|(_, row)| row.clone()).collect()
    };
    let rest = Layer { x: without(&layer.x), w: layer.w.clone() };
    line(
        "activations with one outlier, its row left out",
        "range of all",
        "range clipped at 6",
        rest.row(&without(&a), &rest.w),
        rest.row(&without(&b), &rest.w),
    );
}
