//! The table as Markdown.

use crate::measure::Line;
use fewbit_benches::{machine, table};

/// Three digits.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A layer, as a heading has it.
pub fn name([m, n, k]: [usize; 3]) -> String {
    format!("{m}x{n}x{k}")
}

/// The table and what goes with it.
pub fn report(lines: &[Line], shapes: [[usize; 3]; 2], note: &str) -> String {
    let [first, second] = shapes.map(name);
    let [_, n, k] = shapes[1];
    let head = [
        "weights · activations".to_string(),
        format!("weights of {n}x{k}"),
        "sums in".into(),
        format!("{first}, ms"),
        "GOPS".into(),
        "to f32".into(),
        format!("{second}, ms"),
        "GOPS".into(),
        "to f32".into(),
        "normal, dB".into(),
        "digits, dB".into(),
    ];
    let rows = lines.iter().map(|line| {
        let mut row = vec![
            line.format.name.to_string(),
            format!("{} MB", short(line.bytes as f64 / 1e6)),
            line.format.accumulator.to_string(),
        ];
        for speed in &line.speeds {
            row.push(short(speed.time / 1e6));
            row.push(short(speed.rate));
            row.push(format!("{:.2}", speed.ratio));
        }
        row.extend(line.errors.map(|db| format!("{db:.1}")));
        row
    });
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    format!("{}{note}\n\n{}\n", machine(), table(&head, rows))
}

/// Which kernels the rows ran.
pub fn kernels(lines: &[Line]) -> String {
    let names =
        lines.iter().map(|line| [line.format.name.to_string(), format!("`{}`", line.kernel)]);
    table(&["", "kernel"], names)
}
