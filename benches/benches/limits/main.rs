//! What one core of the machine can do at best: bytes a second in and out of memory, by the ratio of
//! reading to writing, and operations a second. Kernels are judged by their share of these, measured in
//! the same run; see docs/benchmarks.md.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

mod memory;
mod peak;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
}

criterion_group!(name = benches; config = short(); targets = memory::bench, peak::bench);
criterion_main!(benches);
