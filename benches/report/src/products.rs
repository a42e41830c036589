//! Plans: a table for each op and set of features, a line for each shape.

use crate::results::{Entry, Results, Work, kernel_order};
use crate::table::short;
use fewbit_benches::{Kind, Peak, Shape, conv_shapes, includes, linear_shapes, table};

const KINDS: [Kind; 4] = [Kind::S32, Kind::U8, Kind::F32, Kind::DynamicRow];

/// Ways to run a plan, as ids and tables name them.
const WAYS: [(&str, &str); 3] = [("", ""), ("_cold", ", cold"), ("_2threads", ", 2 threads")];

/// What is done apart from a run, and in one, as ids begin: op, types, and the kernel's first word.
const PARTS: [(&str, &str, &str, &str); 5] = [
    ("create", "_create", "s8s8", ""),
    ("pack", "_part", "u8u8", "pack"),
    ("sums", "_part", "u8s32", "sums"),
    ("scale to f32", "_part", "s32f32", "epilogue"),
    ("scale to u8", "_part", "s32u8", "epilogue"),
];

/// All tables of plans that there are results for.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    for (op, title, shapes) in
        [("linear", "int8 products", linear_shapes()), ("conv", "int8 convolutions", conv_shapes())]
    {
        let mut sets: Vec<&str> = results
            .entries
            .iter()
            .filter(|e| e.op == op && e.types != Kind::Real.id())
            .map(|e| e.kernel.as_str())
            .collect();
        sets.sort_by_key(|set| (kernel_order(set), *set));
        sets.dedup();
        for set in sets {
            text += &format!("\n## {title} with {set}, GOPS\n\n");
            text += &by_shape(results, op, set, &shapes);
            text.push('\n');
        }
        let times = parts(results, op, &shapes);
        if !times.is_empty() {
            text += &format!(
                "\n## {title}: what a layer's time consists of, microseconds\n\n{times}\n"
            );
        }
    }
    text
}

fn find<'a>(
    results: &'a Results,
    op: &str,
    types: &str,
    kernel: &str,
    shape: &str,
) -> Option<&'a Entry> {
    results.entries.iter().find(|e| {
        e.op == op && e.types == types && e.kernel.starts_with(kernel) && e.shape == shape
    })
}

/// The fastest exact multiplication of a set on registers, GOPS.
fn limit(results: &Results, set: &str) -> Option<f64> {
    let peaks = results.entries.iter().filter(|e| {
        e.op == "peak"
            && Peak::is_exact(&e.types)
            && includes(set, &e.kernel)
            && matches!(e.work, Work::Operations(_))
    });
    peaks.map(Entry::rate).max_by(f64::total_cmp)
}

fn by_shape(results: &Results, op: &str, set: &str, shapes: &[Shape]) -> String {
    let base = |shape: &Shape| find(results, op, Kind::Real.id(), "", shape.name);
    let limit = limit(results, set);
    // Columns that have anything.
    let columns: Vec<(Kind, &str, &str)> = WAYS
        .iter()
        .flat_map(|(suffix, words)| KINDS.map(|kind| (kind, *suffix, *words)))
        .filter(|(kind, suffix, _)| {
            let op = format!("{op}{suffix}");
            let mut all = results.entries.iter();
            all.any(|e| e.op == op && e.types == kind.id() && e.kernel == set)
        })
        .collect();
    let mut rows = Vec::new();
    for shape in shapes {
        let rate = |(kind, suffix, _): &(Kind, &str, &str)| {
            let op = format!("{op}{suffix}");
            let same = |e: &&Entry| {
                e.op == op && e.types == kind.id() && e.kernel == set && e.shape == shape.name
            };
            results.entries.iter().find(same).map(Entry::rate)
        };
        let rates: Vec<Option<f64>> = columns.iter().map(rate).collect();
        if rates.iter().all(Option::is_none) {
            continue;
        }
        let cell = |rate: Option<f64>| rate.map(short).unwrap_or_default();
        let warm = columns.iter().zip(&rates).filter(|((_, suffix, _), _)| suffix.is_empty());
        let best = warm.filter_map(|(_, rate)| *rate).max_by(f64::total_cmp);
        let share = best.zip(limit).map(|(best, limit)| format!("{:.2}", best / limit));
        let mut row = vec![shape.name.to_string()];
        row.extend(rates.into_iter().map(cell));
        row.extend([cell(base(shape).map(Entry::rate)), cell(limit), share.unwrap_or_default()]);
        rows.push(row);
    }
    let names = columns.iter().map(|(kind, _, words)| format!("{}{words}", kind.name()));
    let head: Vec<String> = ["shape".to_string()]
        .into_iter()
        .chain(names)
        .chain(["f32 by f32, crate gemm", "limit", "share"].map(String::from))
        .collect();
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows)
}

fn parts(results: &Results, op: &str, shapes: &[Shape]) -> String {
    let mut rows = Vec::new();
    for shape in shapes {
        let times = PARTS.map(|(_, suffix, types, kernel)| {
            let found = find(results, &format!("{op}{suffix}"), types, kernel, shape.name);
            found.map(|e| short(e.nanos / 1e3)).unwrap_or_default()
        });
        if times.iter().any(|time| !time.is_empty()) {
            rows.push([shape.name.to_string()].into_iter().chain(times).collect::<Vec<_>>());
        }
    }
    let head: Vec<&str> = ["shape"].into_iter().chain(PARTS.map(|part| part.0)).collect();
    if rows.is_empty() { String::new() } else { table(&head, rows) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::made;
    use serde_json::json;

    #[test]
    fn a_shape_is_a_line_with_share_and_f32() {
        let work = |n: u64| json!({ "Elements": n });
        let entries = vec![
            made("peak/vpmaddwd_s16s32/avx2/registers", 10.0, work(2000)),
            made("peak/vpdpbusd_s8s32/avx512_vnni/registers", 10.0, work(4680)),
            made("peak/fma_f32/avx2/registers", 10.0, work(9999)),
            made("linear/u8s32/avx2/cube_64", 10.0, work(1500)),
            made("linear/u8f32/avx2/cube_64", 10.0, work(1000)),
            made("linear_cold/u8s32/avx2/cube_64", 10.0, work(900)),
            made("linear/f32_by_f32/crate_gemm/cube_64", 10.0, work(800)),
            made("linear_create/s8s8/avx2/cube_64", 5000.0, json!({ "Bytes": 8192 })),
            made("linear_part/u8s32/sums_6x16x2_avx2/cube_64", 2500.0, work(1)),
        ];
        let text = tables(&Results { entries, minutes: 1 });
        let plain: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for line in [
            "## int8 products with avx2, GOPS",
            "| shape | u8 to s32 | u8 to f32 | u8 to s32, cold | f32 by f32, crate gemm | limit | share |",
            "| cube_64 | 150 | 100 | 90.0 | 80.0 | 200 | 0.75 |",
            "| shape | create | pack | sums | scale to f32 | scale to u8 |",
            "| cube_64 | 5.00 | | 2.50 | | |",
        ] {
            assert!(plain.iter().any(|found| found == line), "{line}\nis not in\n{text}");
        }
        assert!(!text.contains("convolutions"));
    }
}
