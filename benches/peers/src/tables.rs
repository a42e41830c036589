//! The tables: every layer, the layers to compare by, and whole networks.

use crate::compare::{Comparison, Field, PEERS};
use fewbit_benches::{
    Kind, Layer, Shape, Threads, Watch, all_networks, conv_shapes, linear_shapes, table,
};

const LINEAR: [Kind; 4] = [Kind::S32, Kind::U8, Kind::F32, Kind::Dynamic];
const CONV: [Kind; 2] = [Kind::S32, Kind::U8];

/// Whether a part of an id chooses it; behind ^, its beginning. Without filters all are chosen.
pub fn chosen(id: &str, filters: &[String]) -> bool {
    let fits = |filter: &String| match filter.strip_prefix('^') {
        Some(begin) => id.starts_with(begin),
        None => id.contains(filter.as_str()),
    };
    filters.is_empty() || filters.iter().any(fits)
}

/// A line for each layer and pair of types.
pub fn layers(field: &mut Field, filters: &[String], threads: &Threads) {
    let head = [
        "layer",
        "types",
        "fewbit",
        "oneDNN",
        "fewbit / oneDNN",
        "wrong",
        "onnxruntime",
        "fewbit / onnxruntime",
        "wrong",
        "kernels",
    ];
    let mut watch = Watch::new(threads);
    let mut rows = Vec::new();
    for shape in linear_shapes().into_iter().chain(conv_shapes()) {
        let kinds = match shape.layer {
            Layer::Linear { .. } => &LINEAR[..],
            Layer::Conv { .. } => &CONV,
        };
        for &kind in kinds {
            if !chosen(&format!("{} {}", shape.name, kind.name()), filters) {
                continue;
            }
            let found = field.compare(shape.layer, kind, threads, &mut watch);
            let mut row = vec![
                shape.name.to_string(),
                kind.name().to_string(),
                format!("{:.1}", found.rate()),
            ];
            for peer in &found.peers {
                if peer.time.is_nan() {
                    row.extend([String::new(), String::new(), String::new()]);
                } else {
                    row.push(format!("{:.1}", found.operations / peer.time));
                    row.push(format!("**{:.2}**", peer.time / found.ours));
                    row.push(percent(peer.wrong));
                }
            }
            row.push(found.kernels);
            eprintln!("{}", row.join(" | "));
            rows.push(row);
        }
    }
    println!("\n{}\n\n{}\n", table(&head, rows), watch.report());
}

/// A share as a percentage: 0 only if it is 0.
fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        few if few < 1.0 => "< 1 %".into(),
        most => format!("{most:.0} %"),
    }
}

/// `142; oneDNN 150, **0.95**, 74 % wrong; onnxruntime 97, **1.46**`.
fn cell(found: &Comparison) -> String {
    let mut text = short(found.rate());
    for (name, rate, wrong) in found.rates() {
        text += &format!("; {name} {}, **{:.2}**", short(rate), found.rate() / rate);
        if wrong > 0.0 {
            text += &format!(", {} wrong", percent(wrong));
        }
    }
    text
}

/// f32 by f32: `gemm 80, oneDNN 95, onnxruntime 90`.
fn cell_of_base(found: &Comparison) -> String {
    let peers = found.rates().map(|(name, rate, _)| format!(", {name} {}", short(rate)));
    format!("gemm {}{}", short(found.rate()), peers.collect::<String>())
}

/// Three digits.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A table of shapes to compare by: a column for each pair of types, f32 by f32, this core's limit at that moment, and what
/// share of it the best column reaches.
fn by_shape(
    field: &mut Field,
    (title, shapes, kinds): (&str, Vec<Shape>, &[Kind]),
    filters: &[String],
    threads: &Threads,
) {
    let count = threads.count();
    println!("\n## {title}, {count} thread{}\n", if count == 1 { "" } else { "s" });
    println!(
        "GOPS of fewbit; then each peer's, fewbit's divided by it, and the share of its results that are wrong. The limit: \
         the fastest exact int8 instruction on registers, times threads, undisturbed.\n"
    );
    let mut head = vec!["shape"];
    head.extend(kinds.iter().map(|kind| kind.name()));
    head.extend(["f32 by f32", "limit", "share"]);
    let mut watch = Watch::new(threads);
    let mut rows = Vec::new();
    for shape in shapes.iter().filter(|shape| shape.is_alone() && chosen(shape.name, filters)) {
        let label = match shape.layer {
            Layer::Linear { m, n, k } => format!("{m} x {n} x {k}"),
            Layer::Conv { .. } => shape.name.to_string(),
        };
        let (mut row, mut best) = (vec![label], 0.0f64);
        for &kind in kinds {
            let found = field.compare(shape.layer, kind, threads, &mut watch);
            best = best.max(found.rate());
            row.push(cell(&found));
        }
        row.push(cell_of_base(&field.compare(shape.layer, Kind::Real, threads, &mut watch)));
        let limit = watch.limit();
        row.extend([short(limit), format!("{:.2}", best / limit)]);
        eprintln!("{}", row.join(" | "));
        rows.push(row);
    }
    println!("{}\n\n{}", table(&head, rows), watch.report());
}

/// int8 products.
pub fn int8(field: &mut Field, filters: &[String], threads: &Threads) {
    let kinds = [Kind::S32, Kind::U8, Kind::F32, Kind::DynamicRow];
    by_shape(field, ("int8 products, M x N x K", linear_shapes(), &kinds), filters, threads);
}

/// int8 convolutions.
pub fn conv(field: &mut Field, filters: &[String], threads: &Threads) {
    by_shape(field, ("int8 convolutions", conv_shapes(), &CONV), filters, threads);
}

/// Sums of networks with convolutions, the last linear layer among them: u8 to u8, and f32.
pub fn networks(field: &mut Field, filters: &[String], threads: &Threads) {
    let count = threads.count();
    println!(
        "\n## Whole networks, milliseconds, {count} thread{}\n",
        if count == 1 { "" } else { "s" }
    );
    println!(
        "Each layer's time, times its count, added up. In brackets: that divided by fewbit's.\n"
    );
    let mut watch = Watch::new(threads);
    let mut rows = Vec::new();
    for network in all_networks() {
        if !network.is_conv() || !chosen(network.name, filters) {
            continue;
        }
        // fewbit and its peers in int8, then crate gemm and peers in f32.
        let mut sums = [0.0f64; 6];
        for shape in &network.layers {
            for (i, kind) in [Kind::U8, Kind::Real].into_iter().enumerate() {
                let found = field.compare(shape.layer, kind, threads, &mut watch);
                let times = [found.ours, found.peers[0].time, found.peers[1].time];
                for (sum, time) in sums[3 * i..].iter_mut().zip(times) {
                    *sum += time * shape.count as f64 / 1e6;
                }
            }
            eprintln!("{} done", shape.name);
        }
        let ours = sums[0];
        let mut row = vec![
            network.name.to_string(),
            network.count().to_string(),
            format!("**{ours:.2}**"),
            short(network.operations() as f64 / ours / 1e6),
        ];
        row.extend(sums[1..].iter().map(|sum| match sum.is_nan() {
            true => String::new(),
            false => format!("{sum:.2} ({:.2})", sum / ours),
        }));
        rows.push(row);
    }
    let [dnnl, runtime] = PEERS;
    let head = [
        "network",
        "layers",
        "fewbit int8",
        "GOPS",
        &format!("{dnnl} int8"),
        &format!("{runtime} int8"),
        "crate gemm f32",
        &format!("{dnnl} f32"),
        &format!("{runtime} f32"),
    ];
    println!("{}\n\n{}", table(&head, rows), watch.report());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Peer;

    #[test]
    fn cells_say_what_is_wrong() {
        let peer = |time, wrong| Peer { time, wrong };
        let mut found = Comparison {
            operations: 1420.0,
            ours: 10.0,
            peers: [peer(9.46, 0.742), peer(f64::NAN, f64::NAN)],
            kernels: String::new(),
        };
        assert_eq!(cell(&found), "142; oneDNN 150, **0.95**, 74 % wrong");
        found.peers = [peer(f64::NAN, f64::NAN), peer(14.2, 0.0)];
        assert_eq!(cell(&found), "142; onnxruntime 100, **1.42**");
        assert_eq!(cell_of_base(&found), "gemm 142, onnxruntime 100");
        assert_eq!(percent(0.001), "< 1 %");
    }

    #[test]
    fn filters_choose_parts_and_beginnings() {
        let filters = |text: &str| [text.to_string()];
        assert!(chosen("resnet50_1x1 u8 to u8", &filters("u8 to u8")));
        assert!(chosen("resnet50_1x1", &filters("^resnet")));
        assert!(!chosen("x_resnet50", &filters("^resnet")));
        assert!(chosen("x", &[]));
    }
}
