//! fewbit beside oneDNN and onnxruntime: the shapes of `benches/shapes`, one thread, in turns in one run; a Markdown
//! table of GOPS and ratios. See README.md.
#![allow(missing_docs, reason = "a program, not an interface")]

mod case;
mod onednn;
mod onnxruntime;
mod ours;

use case::{Case, Kind, Runner, Shape};
use fewbit_benches::{machine, shapes};
use onednn::OneDnn;
use onnxruntime::OnnxRuntime;
use ours::Ours;
use std::collections::BTreeMap;

/// Rounds, each of which times everyone once; the medians count.
const ROUNDS: usize = 9;
/// Nanoseconds of a round for each: a scheduler's slice or two, and thousands of calls of small shapes.
const ROUND: f64 = 8e6;

const LINEAR: [Kind; 4] = [Kind::S32, Kind::U8, Kind::F32, Kind::Dynamic];
const CONV: [Kind; 2] = [Kind::S32, Kind::U8];

fn main() {
    let mut filters: Vec<String> = std::env::args().skip(1).collect();
    let narrow = filters.iter().any(|filter| filter == "--narrow");
    filters.retain(|filter| filter != "--narrow");
    // SAFETY: no other thread runs yet. oneDNN's OpenMP reads it when it is loaded.
    unsafe { std::env::set_var("OMP_NUM_THREADS", "1") };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names = match set("FEWBIT_PEERS_ONEDNN") {
        Some(path) => vec![path],
        None => ["libdnnl.so", "libdnnl.so.3", "libdnnl.so.2"].map(String::from).to_vec(),
    };
    let dnnl = OneDnn::load(&names);
    let environment = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/witnesses/bin/python");
    let made = std::path::Path::new(environment).exists();
    let python = set("FEWBIT_PEERS_PYTHON")
        .unwrap_or_else(|| if made { environment } else { "python3" }.to_string());
    let mut runtime = OnnxRuntime::start(&python);

    println!("{}; one thread; weights of {} bits\n", machine(), if narrow { 7 } else { 8 });
    match &dnnl {
        Ok(dnnl) => {
            let limit = set("ONEDNN_MAX_CPU_ISA").map(|isa| format!(", limited to {isa}"));
            println!("oneDNN {}{}", dnnl.version, limit.unwrap_or_default());
        }
        Err(error) => println!("oneDNN: {error}"),
    }
    match &runtime {
        Ok(runtime) => println!("{}\n", runtime.version),
        Err(error) => println!("onnxruntime: {error}\n"),
    }

    let head = "| layer | codes | fewbit | oneDNN | fewbit / oneDNN | differ | onnxruntime | fewbit / onnxruntime | differ \
                | kernels |";
    println!("{head}\n|{}", "---|".repeat(10));
    let mut networks = BTreeMap::new();
    for (name, shape, count) in layers() {
        let kinds: &[Kind] = if matches!(shape, Shape::Linear { .. }) { &LINEAR } else { &CONV };
        for &kind in kinds {
            let id = format!("{name} {}", kind.name());
            if !filters.is_empty() && !filters.iter().any(|filter| chosen(&id, filter)) {
                continue;
            }
            let row =
                compare(&Case::new(shape, kind, narrow), dnnl.as_ref().ok(), runtime.as_mut().ok());
            row.print(&name, kind);
            if let (Kind::U8, Shape::Conv { .. }, Some((network, _))) =
                (kind, shape, name.split_once('_'))
            {
                let sums: &mut [f64; 4] = networks.entry(network.to_string()).or_default();
                let times = [row.ours, row.peers[0].0, row.peers[1].0];
                for (sum, time) in sums.iter_mut().zip(times) {
                    *sum += time * count as f64 / 1e6;
                }
                sums[3] += count as f64;
            }
        }
    }
    println!();
    for (network, [ours, dnnl, runtime, count]) in networks {
        if ["resnet50", "mobilenetv2", "yolo"].contains(&network.as_str()) {
            println!(
                "{network}, u8 to u8, {count} convolutions: fewbit {ours:.2} ms, oneDNN {dnnl:.2} ms, onnxruntime \
                 {runtime:.2} ms"
            );
        }
    }
}

/// Whether a part of an id chooses it; behind ^, its beginning.
fn chosen(id: &str, filter: &str) -> bool {
    match filter.strip_prefix('^') {
        Some(begin) => id.starts_with(begin),
        None => id.contains(filter),
    }
}

/// All layers, with how often their network has them.
fn layers() -> Vec<(String, Shape, usize)> {
    let mut layers = Vec::new();
    for shape in shapes(include_str!("../../shapes/linear.txt"), 3) {
        let [m, n, k] = shape.numbers[..] else { continue };
        layers.push((shape.name.to_string(), Shape::Linear { m, n, k }, 1));
    }
    for shape in shapes(include_str!("../../shapes/conv.txt"), 7) {
        let [size, inputs, outputs, kernel, stride, groups, count] = shape.numbers[..] else {
            continue;
        };
        let layer = Shape::Conv { size, inputs, outputs, kernel, stride, groups };
        layers.push((shape.name.to_string(), layer, count));
    }
    layers
}

/// A line of the table: nanoseconds, and for each peer the share of its results that differ.
struct Row {
    operations: f64,
    ours: f64,
    peers: [(f64, f64); 2],
    kernels: String,
}

/// Times a case with everyone in turns. What is not there has NaN.
fn compare(case: &Case, dnnl: Option<&OneDnn>, runtime: Option<&mut OnnxRuntime>) -> Row {
    let mut ours = Ours::prepare(case);
    let want = ours.result();
    let mut kernels = ours.kernel().to_string();
    let mut peers: [Option<Box<dyn Runner + '_>>; 2] = [None, None];
    match dnnl.map(|dnnl| dnnl.prepare(case)) {
        Some(Ok(operation)) => {
            kernels = format!("{kernels}; {}", operation.name);
            peers[0] = Some(Box::new(operation));
        }
        Some(Err(why)) => kernels = format!("{kernels}; {why}"),
        None => {}
    }
    peers[1] =
        runtime.and_then(|runtime| runtime.prepare(case)).map(|session| Box::new(session) as _);
    let differ = peers
        .each_mut()
        .map(|peer| peer.as_mut().map_or(f64::NAN, |peer| share(case.kind, &want, &peer.result())));

    let mut runners: Vec<Option<&mut dyn Runner>> = vec![Some(&mut ours)];
    runners.extend(
        peers.iter_mut().map(|peer| peer.as_mut().map(|peer| &mut **peer as &mut dyn Runner)),
    );
    let mut times = vec![Vec::new(); runners.len()];
    for (runner, times) in runners.iter_mut().zip(&mut times) {
        let Some(runner) = runner else { continue };
        runner.time(1); // caches, page tables
        let once = runner.time(1).max(1.0);
        // Short calls are estimated once more, with many.
        let once = runner.time(((ROUND / 4.0 / once) as usize).max(1)).max(1.0);
        times.push(((ROUND / once) as usize).max(1) as f64);
    }
    let calls: Vec<usize> =
        times.iter_mut().map(|times| times.pop().unwrap_or(1.0) as usize).collect();
    for _ in 0..ROUNDS {
        for ((runner, times), &calls) in runners.iter_mut().zip(&mut times).zip(&calls) {
            times.extend(runner.as_mut().map(|runner| runner.time(calls)));
        }
    }
    let medians: Vec<f64> = times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
        })
        .collect();
    let peers = [0, 1].map(|i| (medians[i + 1], differ[i]));
    Row { operations: case.operations(), ours: medians[0], peers, kernels }
}

/// The share of results that differ: sums at all, codes by more than one, numbers by more than f32's rounding can
/// explain. (Order and number of roundings in scales are each library's own.)
fn share(kind: Kind, want: &[f64], got: &[f64]) -> f64 {
    assert_eq!(want.len(), got.len());
    let largest = want.iter().fold(0.0f64, |most, y| most.max(y.abs()));
    let allowed = match kind {
        Kind::S32 => 0.0,
        Kind::U8 => 1.0,
        Kind::F32 | Kind::Dynamic => 1e-5 * largest,
    };
    let wrong = want.iter().zip(got).filter(|(a, b)| (*a - *b).abs() > allowed).count();
    wrong as f64 / want.len() as f64
}

impl Row {
    fn print(&self, name: &str, kind: Kind) {
        let mut line = format!("| {name} | {} | {:.1} |", kind.name(), self.operations / self.ours);
        for (time, differ) in self.peers {
            if time.is_nan() {
                line += " | | |";
            } else {
                let rate = self.operations / time;
                line += &format!(
                    " {rate:.1} | **{:.2}** | {:.0} % |",
                    time / self.ours,
                    100.0 * differ
                );
            }
        }
        println!("{line} {} |", self.kernels);
    }
}
