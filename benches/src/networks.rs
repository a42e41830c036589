//! Whole networks: each layer timed, times its count, added up.

use crate::memory::last_level_cache;
use crate::{
    Base, Case, Effort, Kind, Network, Ours, Runner, Threads, Watch, all_networks, in_turns, sets,
    table,
};
use fewbit::simd::Supported;
use fewbit_testkit::{limited, set_name};

/// Portable code is left out of networks whose layers, each once, have more operations than this.
const PORTABLE: usize = 10_000_000_000;

/// Whose f32 sums are compared with.
const F32: &str = "f32 by crate gemm";

/// Who computes a network, and in how many milliseconds.
#[derive(Clone, Debug)]
struct Sum {
    name: String,
    warm: f64,
    cold: f64,
}

/// Prints sums of the networks that `is_wanted`, whose names contain `part`: with each set of features, then with two
/// threads, then in f32.
pub fn print(is_wanted: impl Fn(&Network) -> bool, part: &str, effort: Effort) {
    println!("\n## Whole networks, milliseconds\n");
    println!(
        "Warm: a layer after itself. Cold: its weights come from memory, as they do in networks larger than the last cache; \
         of those only.\n"
    );
    let mut watch = Watch::new(&Threads::new(available().min(2)));
    let mut rows = Vec::new();
    for network in all_networks() {
        if !is_wanted(&network) || !network.name.contains(part) {
            continue;
        }
        let kinds: &[Kind] =
            if network.is_conv() { &[Kind::U8] } else { &[Kind::F32, Kind::DynamicRow] };
        for (i, &kind) in kinds.iter().enumerate() {
            let sums = sums(&network, kind, i == 0, effort, &mut watch);
            let real = sums.last().map_or(f64::NAN, |sum| sum.warm);
            for sum in sums {
                let billions = network.operations() as f64 / 1e9;
                let rate = |ms: f64| billions / ms * 1e3;
                let cell =
                    |value: f64, text: String| if value.is_nan() { String::new() } else { text };
                rows.push([
                    network.name.to_string(),
                    format!("{}", network.count()),
                    format!("{billions:.2}"),
                    kind.name().to_string(),
                    sum.name,
                    format!("{:.3}", sum.warm),
                    format!("{:.1}", rate(sum.warm)),
                    cell(sum.cold, format!("{:.3}", sum.cold)),
                    cell(sum.cold, format!("{:.1}", rate(sum.cold))),
                    cell(real, format!("{:.2}", real / sum.warm)),
                ]);
            }
        }
    }
    let head = [
        "network",
        "layers",
        "GOP",
        "types",
        "by",
        "warm",
        "GOPS",
        "cold",
        "GOPS",
        "f32's time / warm",
    ];
    println!("{}\n\n{}", table(&head, rows), watch.report());
}

/// Threads that can run at once.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The sums of a network, f32 last.
fn sums(
    network: &Network,
    kind: Kind,
    with_portable: bool,
    effort: Effort,
    watch: &mut Watch,
) -> Vec<Sum> {
    let once: usize = network.layers.iter().map(|shape| shape.layer.operations()).sum();
    let two = Threads::new(2);
    let is_large = network.weights() > last_level_cache();
    let mut who: Vec<(Supported, &Threads)> =
        sets().into_iter().map(|set| (set, &Threads::ONE)).collect();
    if (once > PORTABLE || !with_portable) && who.len() > 1 {
        who.remove(0);
    }
    if available() > 1 {
        who.push((limited(), &two));
    }
    let name = |set: Supported, threads: &Threads| match threads.count() {
        1 => set_name(set.set()),
        count => format!("{}, {count} threads", set_name(set.set())),
    };
    let mut sums: Vec<Sum> = who
        .iter()
        .map(|&(set, threads)| Sum {
            name: name(set, threads),
            warm: 0.0,
            cold: if is_large { 0.0 } else { f64::NAN },
        })
        .collect();
    sums.push(Sum { name: F32.into(), warm: 0.0, cold: f64::NAN });
    for shape in &network.layers {
        let case = Case::new(shape.layer, kind, false);
        let real = Case::new(shape.layer, Kind::Real, false);
        let mut base = Base::new(&real, &Threads::ONE);
        real.check(&base.result(), F32);
        let mut ours: Vec<Ours> =
            who.iter().map(|&(set, threads)| Ours::warm(&case, set, threads)).collect();
        if is_large {
            ours.extend(who.iter().map(|&(set, threads)| Ours::cold(&case, set, threads)));
        }
        for plan in &mut ours {
            case.check(&plan.result(), plan.kernel());
        }
        let mut runners: Vec<Option<&mut dyn Runner>> =
            ours.iter_mut().map(|plan| Some(plan as &mut dyn Runner)).collect();
        runners.push(Some(&mut base));
        let times = in_turns(&mut runners, effort, watch);
        let ms = |time: f64| time * shape.count as f64 / 1e6;
        let (real, times) = times.split_last().expect("f32 is the last");
        for (i, sum) in sums.iter_mut().take(who.len()).enumerate() {
            sum.warm += ms(times[i]);
            sum.cold += times.get(who.len() + i).map_or(f64::NAN, |time| ms(*time));
        }
        if let Some(sum) = sums.last_mut() {
            sum.warm += ms(*real);
        }
    }
    sums
}
