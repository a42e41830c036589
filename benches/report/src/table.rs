//! The report as Markdown.

use crate::products;
use crate::results::{Entry, Results, Work, kernel_order};
use fewbit_benches::machine;
use std::fmt::Write;

/// Older results than this beside newer ones are not one run.
const ONE_RUN: u64 = 120;

pub fn report(results: &Results, picture: bool) -> String {
    let minutes = results.minutes;
    let mut text = format!(
        "# Benches\n\n{}\n\nMedians on one thread; GB/s are bytes read plus written. In brackets: the \
         share of the fastest limit with the same ratio of reading to writing and the nearest size. \
         The results are from {minutes} minutes.\n",
        machine()
    );
    if minutes > ONE_RUN {
        text += "\n**More than one run: shares mix what was measured at different times.**\n";
    }
    if picture {
        text += "\n![Shares of the limits](report.svg)\n";
    }
    let choose = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<&Entry> {
        results.entries.iter().filter(|e| wanted(e)).collect()
    };
    let moved = |e: &Entry| matches!(e.work, Work::Bytes(..)) && !e.is_limit() && !e.is_plan();
    text += &products::tables(results);
    text += &by_kernel("Limits, GB/s", &choose(&Entry::is_limit), None);
    text += &list(
        "Rates, billions of operations a second",
        &choose(&|e| matches!(e.work, Work::Operations(_)) && !e.is_plan()),
    );
    text += &by_kernel("Arrays, GB/s", &choose(&Entry::is_array), Some(results));
    text += &by_kernel("Tensors, GB/s", &choose(&|e| moved(e) && !e.is_array()), Some(results));
    text += &calls("Calls of the C ABI, ns", &choose(&|e| e.work == Work::Call));
    text
}

/// Names once each, in the order given by `rank`, then as they come.
fn distinct<'a>(names: impl Iterator<Item = &'a str>, rank: fn(&str) -> usize) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    names.for_each(|name| {
        if !seen.contains(&name) {
            seen.push(name)
        }
    });
    seen.sort_by_key(|name| rank(name));
    seen
}

fn head(title: &str, columns: &[&str], text_columns: usize) -> String {
    let rules = columns.iter().enumerate();
    let rules: String =
        rules.map(|(i, _)| if i < text_columns { "---|" } else { "---:|" }).collect();
    format!("\n## {title}\n\n| {} |\n|{rules}\n", columns.join(" | "))
}

/// A row an op and shape, a column a kernel; with results also their limit.
fn by_kernel(title: &str, entries: &[&Entry], limits: Option<&Results>) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let kernels = distinct(entries.iter().map(|e| e.kernel.as_str()), kernel_order);
    let mut columns = vec!["op", "shape"];
    columns.extend(&kernels);
    columns.extend(limits.map(|_| "limit"));
    let mut text = head(title, &columns, 2);
    let same = |a: &&Entry, b: &&Entry| (&a.op, &a.types, &a.shape) == (&b.op, &b.types, &b.shape);
    for row in entries.chunk_by(same) {
        let Some(first) = row.first() else { continue };
        let name = if first.is_limit() { "" } else { first.op.as_str() };
        let limit = limits.and_then(|results| results.limit(first));
        let _ = write!(text, "| {} | {} |", format!("{name} {}", first.types).trim(), first.shape);
        for kernel in &kernels {
            let cell = row.iter().find(|e| e.kernel == *kernel).map(|e| match limit {
                Some(limit) => format!("{} ({:.2})", short(e.rate()), e.rate() / limit.rate()),
                None => short(e.rate()),
            });
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        if limits.is_some() {
            let cell = limit.map(|e| format!("{} {}", short(e.rate()), e.kernel));
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

/// A row an entry.
fn list(title: &str, entries: &[&Entry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut text = head(title, &["op", "shape", "kernel", "rate"], 3);
    for e in entries {
        let rate = short(e.rate());
        let _ = writeln!(text, "| {} {} | {} | {} | {rate} |", e.op, e.types, e.shape, e.kernel);
    }
    text
}

/// A row a function, a column a length.
fn calls(title: &str, entries: &[&Entry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let number = |shape: &str| shape.trim_start_matches('n').parse().unwrap_or(usize::MAX);
    let shapes = distinct(entries.iter().map(|e| e.shape.as_str()), number);
    let mut columns = vec!["function", "kernel"];
    columns.extend(&shapes);
    let mut text = head(title, &columns, 2);
    let name = |e: &Entry| (e.op.clone(), e.types.clone(), e.kernel.clone());
    let mut functions: Vec<_> = entries.iter().map(|e| name(e)).collect();
    functions.sort();
    functions.dedup();
    for function in functions {
        let (op, types, kernel) = &function;
        let _ = write!(text, "| {} {types} | {kernel} |", op.trim_start_matches("call_"));
        for shape in &shapes {
            let found = entries.iter().find(|e| name(e) == function && e.shape == *shape);
            let _ = write!(text, " {} |", found.map(|e| short(e.nanos)).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

/// Three digits.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn rows_have_kernels_shares_and_limits() {
        let text = report(&results(), true);
        for line in [
            "| op | shape | scalar | avx512 | limit |",
            "| quantize f32s8 | 4Ki | 20.5 (0.08) | 128 (0.50) | 256 avx512 |",
            "| op | shape | avx2 | avx512 |",
            "| r4w1 | 4Ki | 205 | 256 |",
            "| gemm s8s32 | tile_k256 | 6x16x2_avx2 | 100 |",
            "| function | kernel | n8 |",
            "| quantize f32s8 | avx512 | 20.0 |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
        assert!(!text.contains("More than one run"));
    }
}
