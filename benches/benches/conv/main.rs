//! int8 convolutions: each layer with the kernels that each instruction set gives, beside the same layer in f32; in the other
//! formats of weights; whether the chosen kernel is the best; and networks as wholes.
#![allow(missing_docs, reason = "a program, not an interface")]

mod formats;
#[path = "../common/plans.rs"]
mod plans;

use fewbit_benches::{Kind, Mode, Network, choice, conv_shapes, machine, networks};
use plans::Weights::{Cold, Warm};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mode = Mode::from_args();
    println!("{}", machine());
    let mut slow = 0;
    if let Some(part) = mode.asks("choice") {
        let shapes = conv_shapes();
        let shapes = shapes.iter().filter(|shape| shape.name.contains(part));
        let look = |shape| choice::of_plans(shape, Kind::U8, mode.effort());
        let choices: Vec<_> = shapes.map(|shape| choice::confirmed(|| look(shape))).collect();
        slow = choice::print("Kernels chosen for convolutions", &choices);
    }
    let mut criterion = plans::short();
    plans::peaks(&mut criterion);
    for shape in conv_shapes() {
        let kinds = [Kind::S32, Kind::U8, Kind::F32];
        if shape.is_alone() {
            plans::each_set(&mut criterion, (&mode, "conv", Warm), &shape, &kinds);
            plans::each_set(&mut criterion, (&mode, "conv", Cold), &shape, &kinds[1..2]);
            plans::two_threads(&mut criterion, "conv", &shape, &kinds[..2]);
            plans::create(&mut criterion, "conv", &shape);
            formats::reals(&mut criterion, &shape);
            formats::few_bits(&mut criterion, &shape);
        } else {
            plans::each_set(&mut criterion, (&mode, "conv", Warm), &shape, &kinds[1..2]);
        }
        plans::base(&mut criterion, "conv", &shape, 1);
    }
    criterion.final_summary();
    if let Some(part) = mode.asks("networks") {
        networks::print(Network::is_conv, part, mode.effort());
    }
    if slow > 0 {
        eprintln!("{slow} kernels chosen are not the best");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
