//! What one core of the machine can do at best: bytes a second in and out of memory, by the ratio of
//! reading to writing, and operations a second. Kernels are judged by their share of these, measured in
//! the same run; see docs/benchmarks.md.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

mod memory;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fewbit_benches::Peak;
use fewbit_testkit::limited;
use std::time::Duration;

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
}

fn peaks(c: &mut Criterion) {
    for peak in Peak::all(limited()) {
        let mut group = c.benchmark_group(peak.id());
        group.throughput(Throughput::Elements(peak.operations() as u64));
        group.bench_function("registers", |b| b.iter(|| peak.call()));
        group.finish();
    }
}

criterion_group!(name = benches; config = short(); targets = memory::bench, peaks);
criterion_main!(benches);
