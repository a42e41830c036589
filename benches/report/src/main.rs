//! Criterion's results as a Markdown table and a picture: what `cargo xtask bench-report` runs.
//!
//! Everything follows from the ids of the benches, `<op>/<types>/<kernel>/<shape>`: an op's limit is the
//! fastest `limit/<ratio>/...` of its ratio of reading to writing, at the nearest size.

mod picture;
mod products;
mod results;
mod table;

use results::Results;
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [criterion, out] = &arguments[..] else {
        return Err("usage: fewbit-bench-report <criterion's folder> <folder to write to>".into());
    };
    let results = Results::read(criterion)?;
    std::fs::create_dir_all(out)?;
    let shown = picture::write(&results, &out.join("report.svg"))?;
    std::fs::write(out.join("report.md"), table::report(&results, shown))?;
    for file in ["report.md", "report.svg"].iter().take(1 + usize::from(shown)) {
        println!("{}", Path::new(out).join(file).display());
    }
    Ok(())
}
