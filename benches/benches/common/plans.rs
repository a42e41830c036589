//! Plans for criterion: a layer in one pair of types, with every set of features. Both benches of plans have this file.

use criterion::{Criterion, Throughput};
use fewbit::simd::Supported;
use fewbit_benches::{Base, Case, Kind, Mode, Ours, Peak, Plan, Runner, Shape, Threads, sets};
use fewbit_testkit::{limited, set_name};
use std::time::Duration;

/// Portable code is left out of layers of more operations than this, unless ids name it.
const PORTABLE: usize = 100_000_000;

/// Short measurements: there are hundreds.
pub fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .sample_size(10)
        .configure_from_args()
}

/// What this core does from registers, in the same run.
pub fn peaks(c: &mut Criterion) {
    for peak in Peak::all(limited()) {
        let mut group = c.benchmark_group(peak.id());
        group.throughput(Throughput::Elements(peak.operations() as u64));
        group.bench_function("registers", |b| b.iter(|| peak.call()));
        group.finish();
    }
}

/// The sets of features to time a shape with.
fn sets_for(shape: &Shape, mode: &Mode) -> Vec<Supported> {
    let mut sets = sets();
    if shape.layer.operations() > PORTABLE && sets.len() > 1 && !mode.names("scalar") {
        sets.remove(0);
    }
    sets
}

/// One benchmark of a layer: `<op>/<types>/<set of features>/<shape>`. The plan is made, and its result checked, where it
/// is timed, so that a filter leaves out the work of what it leaves out.
fn plan(
    c: &mut Criterion,
    op: &str,
    (shape, kind): (&Shape, Kind),
    set: Supported,
    make: impl Fn(&Case) -> Ours,
) {
    let mut group = c.benchmark_group(format!("{op}/{}/{}", kind.id(), set_name(set.set())));
    group.throughput(Throughput::Elements(shape.layer.operations() as u64));
    let mut made = None;
    group.bench_function(shape.name, |b| {
        let ours = made.get_or_insert_with(|| {
            let case = Case::new(shape.layer, kind, false);
            let mut ours = make(&case);
            case.check(&ours.result(), ours.kernel());
            println!("{op}/{}/{}: {}", kind.id(), shape.name, ours.kernel());
            ours
        });
        b.iter_custom(|calls| time(ours, calls));
    });
    group.finish();
}

/// Whether a layer's weights are where its last run left them, or in memory, as those of a network are that no cache holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    Warm,
    Cold,
}

/// All of so many calls.
fn time(runner: &mut dyn Runner, calls: u64) -> Duration {
    Duration::from_secs_f64(runner.time(calls as usize) * calls as f64 / 1e9)
}

/// A layer with every set of features: `<op>`, and `<op>_cold`.
pub fn each_set(
    c: &mut Criterion,
    (mode, op, weights): (&Mode, &str, Weights),
    shape: &Shape,
    kinds: &[Kind],
) {
    let (op, make): (_, fn(&Case, Supported, &Threads) -> Ours) = match weights {
        Weights::Warm => (op.to_string(), Ours::warm),
        Weights::Cold => (format!("{op}_cold"), Ours::cold),
    };
    for &kind in kinds {
        for set in sets_for(shape, mode) {
            plan(c, &op, (shape, kind), set, |case| make(case, set, &Threads::ONE));
        }
    }
}

/// A layer with two threads.
pub fn two_threads(c: &mut Criterion, op: &str, shape: &Shape, kinds: &[Kind]) {
    let two = Threads::new(2);
    for &kind in kinds {
        let op = format!("{op}_2threads");
        plan(c, &op, (shape, kind), limited(), |case| Ours::warm(case, limited(), &two));
    }
}

/// A layer in f32.
pub fn base(c: &mut Criterion, op: &str, shape: &Shape, threads: usize) {
    let op = if threads == 1 { op.to_string() } else { format!("{op}_{threads}threads") };
    let mut group = c.benchmark_group(format!("{op}/{}/crate_gemm", Kind::Real.id()));
    group.throughput(Throughput::Elements(shape.layer.operations() as u64));
    let mut made = None;
    group.bench_function(shape.name, |b| {
        let base = made.get_or_insert_with(|| {
            let case = Case::new(shape.layer, Kind::Real, false);
            let mut base = Base::new(&case, &Threads::new(threads));
            case.check(&base.result(), "crate gemm");
            base
        });
        b.iter_custom(|calls| time(base, calls));
    });
    group.finish();
}

/// Making of the plan: checks, and packing of the weights.
pub fn create(c: &mut Criterion, op: &str, shape: &Shape) {
    let set = limited();
    let id = format!("{op}_create/s8s8/{}", set_name(set.set()));
    let mut group = c.benchmark_group(id);
    group.throughput(Throughput::Bytes(2 * shape.layer.weights() as u64));
    let mut case = None;
    group.bench_function(shape.name, |b| {
        let case = case.get_or_insert_with(|| Case::new(shape.layer, Kind::F32, false));
        b.iter_with_large_drop(|| Plan::create(case, set));
    });
    group.finish();
}
