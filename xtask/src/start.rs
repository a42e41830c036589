//! What a process's first call of `libfewbit.so` costs.

use crate::{Outcome, output, root, target_dir};
use fewbit_c_tests::compiler::{Compiler, Language, Link};
use fewbit_c_tests::library::Library;
use std::process::Command;

pub const HELP: &str = "what loading libfewbit.so, a process's first call and its second one cost";

/// Processes, the median of which counts.
const TIMES: usize = 41;

pub fn run(_arguments: &[String]) -> Outcome {
    print(&Library::build(&target_dir(), None, None)?)
}

/// Prints the medians, in microseconds. They are figures and no test: machines are busy.
///
/// # Errors
/// If the program cannot be built or fails.
pub fn print(library: &Library) -> Outcome {
    let source = root().join("c-tests/start/first_call.c");
    let program = library.folder.join("first_call");
    let source = source.to_str().ok_or("the workspace's path is not text")?;
    Compiler::find(Language::C99)?.link(&[source], &["-ldl"], library, Link::Static, &program)?;
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..TIMES {
        let text = output(Command::new(&program).arg(library.shared()))?;
        for (times, word) in times.iter_mut().zip(text.split_whitespace()) {
            times.push(word.parse::<u32>()?);
        }
    }
    let [load, first, second] = times.map(|mut times| {
        times.sort_unstable();
        f64::from(times.get(TIMES / 2).copied().unwrap_or_default()) / 1000.0
    });
    println!("loading {load:.1} us, the first call {first:.1} us, the second {second:.2} us");
    Ok(())
}
