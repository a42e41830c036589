//! What each format buys on the machine at hand, measured. The work is in a crate of its own (benches/formats), built for
//! release.

use crate::{Outcome, cargo, flag, option, output, root, target_dir, write_or_check};
use std::path::Path;

pub const HELP: &str = "[--quick] [--out FOLDER] [--write]: bytes, time and error of a layer in each format, as \
                        formats.md and formats.svg, by default in target/formats; --write: in the README too";

const BEGIN: &str = "<!-- formats: written by `cargo xtask formats --write` -->\n";
const END: &str = "<!-- end of formats -->\n";

pub fn run(arguments: &[String]) -> Outcome {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" | "--write" => {}
            "--out" if rest.next().is_some() => {}
            unknown => {
                return Err(format!("unknown argument {unknown}; usage: formats {HELP}").into());
            }
        }
    }
    let (quick, write) = (flag(arguments, "--quick"), flag(arguments, "--write"));
    if quick && write {
        return Err("--quick is a look only: the README has the whole".into());
    }
    // Relative to where the task was called, not to the workspace.
    let out = match option(arguments, "--out") {
        Some(path) => std::env::current_dir()?.join(path),
        None => target_dir().join("formats"),
    };
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "fewbit-formats", "--"]);
    if quick {
        command.arg("--quick");
    }
    print!("{}", output(command.arg(&out))?);
    if write { write_readme(&out) } else { Ok(()) }
}

const PICTURE: &str =
    "![How many times as fast as f32, and the signal to noise](docs/formats.svg)\n";

/// Puts the table into the README, and the picture beside the documents.
fn write_readme(out: &Path) -> Outcome {
    let table = std::fs::read_to_string(out.join("formats.md"))?;
    std::fs::copy(out.join("formats.svg"), root().join("docs/formats.svg"))?;
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (head, rest) = readme.split_once(BEGIN).ok_or("README.md has no formats")?;
    let (_, tail) = rest.split_once(END).ok_or("README.md's formats have no end")?;
    write_or_check(
        &path,
        &format!("{head}{BEGIN}{table}\n{PICTURE}{END}{tail}"),
        false,
        "formats --write",
    )
}
