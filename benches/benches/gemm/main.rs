//! int8 products: whether the chosen kernel is the best; each tile alone; what a layer's time consists of; whole layers
//! with the kernels that each instruction set gives, warm, cold and with two threads, beside the same layer in f32; and
//! networks as wholes.
#![allow(missing_docs, reason = "a program, not an interface")]

mod few;
mod parts;
#[path = "../common/plans.rs"]
mod plans;
mod tiles;

use fewbit_benches::{Kind, Mode, choice, linear_shapes, machine, networks};
use plans::Weights::{Cold, Warm};
use std::process::ExitCode;

const KINDS: [Kind; 4] = [Kind::S32, Kind::U8, Kind::F32, Kind::DynamicRow];

fn main() -> ExitCode {
    let mode = Mode::from_args();
    println!("{}", machine());
    let mut slow = 0;
    if let Some(part) = mode.asks("choice") {
        slow = choose(&mode, part);
    }
    let mut criterion = plans::short();
    plans::peaks(&mut criterion);
    tiles::bench(&mut criterion);
    few::bench(&mut criterion);
    for shape in linear_shapes() {
        plans::each_set(&mut criterion, (&mode, "linear", Warm), &shape, &KINDS);
        plans::base(&mut criterion, "linear", &shape, 1);
        if shape.is_alone() {
            plans::each_set(&mut criterion, (&mode, "linear", Cold), &shape, &KINDS[..3]);
            plans::two_threads(&mut criterion, "linear", &shape, &KINDS);
            plans::base(&mut criterion, "linear", &shape, 2);
            plans::create(&mut criterion, "linear", &shape);
            parts::bench(&mut criterion, &shape);
        }
    }
    criterion.final_summary();
    if let Some(part) = mode.asks("networks") {
        networks::print(|network| !network.is_conv(), part, mode.effort());
    }
    if slow > 0 {
        eprintln!("{slow} kernels chosen are not the best");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints the rows of every shape, and gives how many choices are not good.
fn choose(mode: &Mode, part: &str) -> usize {
    let tiles: Vec<_> = tiles::CHOICES
        .into_iter()
        .filter(|shape| tiles::choice_name(*shape).contains(part))
        .map(|shape| choice::confirmed(|| tiles::choice(shape, mode.effort())))
        .collect();
    let slow = choice::print("Tiles chosen, on packed operands", &tiles);
    let shapes = linear_shapes();
    let shapes = shapes.iter().filter(|shape| shape.name.contains(part));
    let look = |shape| choice::of_plans(shape, Kind::F32, mode.effort());
    let plans: Vec<_> = shapes.map(|shape| choice::confirmed(|| look(shape))).collect();
    slow + choice::print("Kernels chosen for layers", &plans)
}
