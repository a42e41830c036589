//! Links of the texts to each other, and the book's table of contents.

use super::markdown::Page;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// The folder of the book's texts, and its table of contents.
pub const BOOK: &str = "docs";
pub const SUMMARY: &str = "docs/SUMMARY.md";

/// What is wrong with the links of the texts, whose paths are those below the workspace's folder. `exists` says whether
/// a path does.
pub fn faults(pages: &BTreeMap<PathBuf, Page>, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, page) in pages {
        for (line, target) in &page.links {
            if let Err(why) = check(path, target, pages, exists) {
                faults.push(format!("{}:{line}: ({target}) {why}", path.display()));
            }
        }
    }
    faults.extend(contents(pages));
    faults
}

fn check(
    from: &Path,
    target: &str,
    pages: &BTreeMap<PathBuf, Page>,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<(), &'static str> {
    if target.starts_with("https://") {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = if file.is_empty() { from.to_path_buf() } else { below(from, file)? };
    if !exists(&to) {
        return Err("is not there");
    }
    // The book and what is installed have nothing but the folder.
    if from.starts_with(BOOK) && !to.starts_with(BOOK) {
        return Err("leaves the book: name the file instead");
    }
    let known = || pages.get(&to).is_some_and(|page| page.anchors.iter().any(|a| a == anchor));
    if anchor.is_empty() || known() { Ok(()) } else { Err("has no such heading") }
}

/// The path that a link beside a file names.
fn below(from: &Path, file: &str) -> Result<PathBuf, &'static str> {
    let mut to = from.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => to.push(name),
            Component::CurDir => {}
            Component::ParentDir if to.pop() => {}
            _ => return Err("leaves the repository"),
        }
    }
    Ok(to)
}

/// The table of contents has every text of the book once, and nothing else.
fn contents(pages: &BTreeMap<PathBuf, Page>) -> Vec<String> {
    let summary = Path::new(SUMMARY);
    let Some(page) = pages.get(summary) else { return vec![format!("{SUMMARY} is not there")] };
    let (mut faults, mut listed) = (Vec::new(), BTreeSet::new());
    for (line, target) in &page.links {
        match below(summary, target) {
            Ok(to) if !pages.contains_key(&to) => {
                faults.push(format!("{SUMMARY}:{line}: {target} is no text of the book"));
            }
            Ok(to) if !listed.insert(to.clone()) => {
                faults.push(format!("{SUMMARY}:{line}: {target} is there twice"));
            }
            _ => {}
        }
    }
    let texts = pages.keys().filter(|path| path.starts_with(BOOK) && *path != summary);
    let lost = texts.filter(|path| !listed.contains(*path));
    faults.extend(lost.map(|path| format!("{SUMMARY}: {} is missing", path.display())));
    faults
}

#[cfg(test)]
mod tests {
    use super::super::markdown::read;
    use super::*;

    #[test]
    fn what_is_broken_is_found() {
        let page = |text: &str| read(text).unwrap();
        let pages = BTreeMap::from([
            (
                "README.md".into(),
                page("[a](docs/a.md#one) [b](docs/b/c.md) [w](https://x.y/z#q)\n"),
            ),
            (SUMMARY.into(), page("- [A](a.md)\n- [C](b/c.md)\n")),
            ("docs/a.md".into(), page("# One\n[x](#one) [c](b/c.md#two)\n")),
            ("docs/b/c.md".into(), page("## Two\n[a](../a.md)\n")),
        ]);
        let exists = |path: &Path| pages.contains_key(path);
        assert_eq!(faults(&pages, &exists), [""; 0]);

        for (path, text) in [
            ("README.md", "[a](docs/a.md#two)\n"),
            ("README.md", "[a](docs/d.md)\n"),
            ("README.md", "[a](../docs/a.md)\n"),
            ("docs/a.md", "# One\n[a](../README.md)\n"),
            ("docs/a.md", "# One\n[a](#zwei)\n"),
            ("docs/d.md", "not in the table\n"),
            (SUMMARY, "- [A](a.md)\n- [C](b/c.md)\n- [A](a.md)\n"),
            (SUMMARY, "- [A](a.md)\n"),
            (SUMMARY, "- [A](a.md)\n- [C](b/c.md)\n- [R](../README.md)\n"),
        ] {
            let mut pages = pages.clone();
            pages.insert(path.into(), page(text));
            let exists = |path: &Path| pages.contains_key(path);
            assert!(!faults(&pages, &exists).is_empty(), "{path}: {text}");
        }
    }
}
