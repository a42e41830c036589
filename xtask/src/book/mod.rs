//! The book of `docs/`, the README and the other texts: links lead somewhere, every program in them compiles and runs,
//! and prints what the text says. mdBook makes pages of the book where it is installed; no check needs it.

mod links;
mod markdown;
mod programs;

use crate::{Outcome, call, flag, root, target_dir};
use markdown::Page;
use programs::{Count, Tools};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

pub const HELP: &str = "[--check | --links]: check the texts' links and run their programs; without --check, make pages \
                        with mdBook too (cargo install mdbook). --links checks nothing but links";

pub fn run(arguments: &[String]) -> Outcome {
    if let Some(unknown) = arguments.iter().find(|a| !["--check", "--links"].contains(&a.as_str()))
    {
        return Err(format!("unknown argument {unknown}; usage: book {HELP}").into());
    }
    let pages = pages()?;
    let faults = links::faults(&pages, &|path| root().join(path).exists());
    if !faults.is_empty() {
        return Err(format!("links:\n  {}", faults.join("\n  ")).into());
    }
    let count: usize = pages.values().map(|page| page.links.len()).sum();
    println!("{count} links of {} texts lead somewhere", pages.len());
    if flag(arguments, "--links") {
        return Ok(());
    }
    run_programs(&pages)?;
    if flag(arguments, "--check") { Ok(()) } else { render() }
}

/// Every text of the repository, by its path below the workspace's folder.
fn pages() -> Result<BTreeMap<PathBuf, Page>, Box<dyn Error>> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder))? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            // What is built, and what git and editors keep, is no part of it.
            let is_ours = name != "target" && !name.to_string_lossy().starts_with('.');
            if entry.file_type()?.is_dir() && is_ours {
                folders.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "md") {
                let text = std::fs::read_to_string(root().join(&path))?;
                let page = markdown::read(&text)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                pages.insert(path, page);
            }
        }
    }
    Ok(pages)
}

fn run_programs(pages: &BTreeMap<PathBuf, Page>) -> Outcome {
    let tools = Tools::find()?;
    let mut all = Count::default();
    for (path, page) in pages {
        let count = tools.run(path, page)?;
        all.c += count.c;
        all.cxx += count.cxx;
        all.rust += count.rust;
        all.projects += count.projects;
        all.scripts += count.scripts;
    }
    if [all.c, all.cxx, all.rust, all.projects, all.scripts].contains(&0) {
        return Err(format!("the texts have no program of a kind: {all:?}").into());
    }
    println!(
        "ran {} programs in C, {} in C++, {} in Rust, {} projects, {} scripts",
        all.c, all.cxx, all.rust, all.projects, all.scripts
    );
    println!("found all of {} planted faults", tools.find_planted()?);
    Ok(())
}

/// Pages of the book below the target folder.
fn render() -> Outcome {
    let found = Command::new("mdbook").arg("--version").output();
    if !found.is_ok_and(|found| found.status.success()) {
        return Err("there is no mdbook to make pages with: cargo install mdbook".into());
    }
    let pages = target_dir().join("book-pages");
    call(Command::new("mdbook").arg("build").arg(root()).arg("--dest-dir").arg(&pages))?;
    println!("{}", pages.join("index.html").display());
    Ok(())
}
