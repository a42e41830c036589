//! Ops that work element by element: every row of the registry on arrays (`kernels`), tensors of every
//! granularity (`tensors`) and functions of rows (`rows`) through the Rust API, pooling layers and concatenations (`codes`), and
//! what a call of the C ABI costs (`calls`).
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

mod blocks;
mod calls;
mod codes;
mod kernels;
mod rows;
mod tensors;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
}

criterion_group!(
    name = benches;
    config = short();
    targets = kernels::bench, tensors::bench, rows::bench, codes::layers, calls::bench
);
criterion_main!(benches);
