//! The README's table of ops and instruction sets, from the kernel registry. The registry holds the
//! rows of one architecture, so each run replaces that architecture's columns and keeps the others.

use crate::{Outcome, cargo, flag, option, output, root, write_or_check};
use std::collections::BTreeMap;

pub const HELP: &str = "[--check] [--target TRIPLE]: the README's kernel table, this \
                        architecture's columns, or those of a target that cargo can build and run";

const BEGIN: &str = "<!-- isa-table: written by `cargo xtask isa-table` -->\n";
const END: &str = "<!-- end of isa-table -->\n";

/// The table's columns, with the architecture whose registry fills each.
const COLUMNS: [(&str, &str); 13] = [
    ("scalar", "any"),
    ("avx2", "x86_64"),
    ("avx512", "x86_64"),
    ("avx512_vnni", "x86_64"),
    ("avx512_vbmi", "x86_64"),
    ("avx512_vpopcntdq", "x86_64"),
    ("avx512_bf16", "x86_64"),
    ("avx_vnni", "x86_64"),
    ("neon", "aarch64"),
    ("neon_dotprod", "aarch64"),
    ("neon_i8mm", "aarch64"),
    ("neon_bf16", "aarch64"),
    ("neon_fp16", "aarch64"),
];

/// Ops in order; for each, the text of the columns it has.
type Table = Vec<(String, BTreeMap<String, String>)>;

pub fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "fewbit-kernels", "--example", "rows"]);
    if let Some(target) = option(arguments, "--target") {
        command.args(["--target", target]);
    }
    let listing = output(&mut command)?;
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (head, rest) = readme.split_once(BEGIN).ok_or("README.md has no isa-table")?;
    let (old, tail) = rest.split_once(END).ok_or("README.md's isa-table has no end")?;
    let table = render(&merge(&parse(old), &listing)?);
    write_or_check(
        &path,
        &format!("{head}{BEGIN}{table}{END}{tail}"),
        flag(arguments, "--check"),
        "isa-table",
    )
}

/// Reads a table that [`render`] wrote.
fn parse(text: &str) -> Table {
    let mut lines = text.lines().map(|line| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_string())
    });
    let columns: Vec<String> = lines.next().into_iter().flatten().skip(1).collect();
    let rows = lines.skip(1).filter_map(|mut cells| {
        let op = cells.next().filter(|op| !op.is_empty())?;
        let filled = columns.iter().cloned().zip(cells).filter(|(_, cell)| !cell.is_empty());
        Some((op, filled.collect()))
    });
    rows.collect()
}

/// The rows of the listing, with the columns of other architectures from the old table.
fn merge(old: &Table, listing: &str) -> Result<Table, String> {
    let mut lines = listing.lines();
    let arch = lines
        .next()
        .and_then(|line| line.strip_prefix("arch "))
        .ok_or("the listing names no architecture")?;
    let ours = |column: &str| COLUMNS.iter().any(|&(name, of)| name == column && of != arch);
    let mut table = Table::new();
    for line in lines {
        let [op, kernel, isa] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not a row: {line}"));
        };
        if !COLUMNS.iter().any(|(name, _)| *name == isa) {
            return Err(format!("{kernel} needs {isa}, for which the table has no column"));
        }
        if table.last().is_none_or(|(last, _)| last != op) {
            let kept = old.iter().find(|(name, _)| name == op).map(|(_, cells)| cells.iter());
            let kept = kept
                .into_iter()
                .flatten()
                .filter(|(column, _)| ours(column) && *column != "scalar");
            table.push((op.to_string(), kept.map(|(c, t)| (c.clone(), t.clone())).collect()));
        }
        // What the name says beside op and instruction set: the tile.
        let tile = kernel.strip_prefix(op).and_then(|rest| rest.strip_suffix(isa));
        let tile = tile.ok_or(format!("{kernel} is not named {op}_..._{isa}"))?.trim_matches('_');
        let cell = if tile.is_empty() { "yes" } else { tile };
        if let Some((_, cells)) = table.last_mut() {
            cells
                .entry(isa.to_string())
                .and_modify(|text: &mut String| *text += &format!(", {cell}"))
                .or_insert(cell.to_string());
        }
    }
    Ok(table)
}

/// A Markdown table; columns that no op fills are left out.
fn render(table: &Table) -> String {
    let columns: Vec<&str> = COLUMNS
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| table.iter().any(|(_, cells)| cells.contains_key(*name)))
        .collect();
    let mut text =
        format!("| op | {} |\n|---|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for (op, cells) in table {
        let cells: Vec<&str> =
            columns.iter().map(|name| cells.get(*name).map_or("", String::as_str)).collect();
        text += &format!("| `{op}` | {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_replaces_its_own_columns() {
        let x86 = "arch x86_64\ngemm gemm_4x8_avx2 avx2\ngemm gemm_2x8_avx2 avx2\ngemm gemm_1x1_scalar scalar\n";
        let arm = "arch aarch64\ngemm gemm_neon neon\ngemm gemm_1x1_scalar scalar\n";
        let first = merge(&Table::new(), x86).unwrap();
        let both = merge(&parse(&render(&first)), arm).unwrap();
        assert_eq!(
            render(&both),
            "| op | scalar | avx2 | neon |\n|---|---|---|---|\n| `gemm` | 1x1 | 4x8, 2x8 | yes |\n"
        );
        // Again, in the other order: nothing changes; and a kernel that is gone leaves the table.
        assert_eq!(merge(&parse(&render(&both)), x86).unwrap(), both);
        let less = merge(&both, "arch x86_64\ngemm gemm_1x1_scalar scalar\n").unwrap();
        assert_eq!(
            render(&less),
            "| op | scalar | neon |\n|---|---|---|\n| `gemm` | 1x1 | yes |\n"
        );
    }

    #[test]
    fn strange_listings_are_refused() {
        for listing in [
            "",
            "x86_64",
            "arch x86_64\na b",
            "arch x86_64\na a_sse9 sse9",
            "arch x\na b_avx2 avx2",
        ] {
            assert!(merge(&Table::new(), listing).is_err(), "{listing}");
        }
    }
}
