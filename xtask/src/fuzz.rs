//! The fuzz targets: libFuzzer on each for a while, from the committed corpus; and how that is made small again.

use crate::nightly::{self, built};
use crate::{Outcome, call, cargo, flag, option, root, target_dir};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HELP: &str = "[--seconds N] [--only TARGET] [--minimize]: fuzz the C functions for N seconds in all, from the \
                        committed corpus; needs a nightly compiler, without which the corpus is replayed only. \
                        --minimize writes what was found new into the corpus";

/// The targets, as `fuzz/src/lib.rs` names them.
const TARGETS: &[&str] = &[
    "arrays",
    "between",
    "blocks",
    "conv",
    "gemm",
    "linear",
    "observers",
    "packed",
    "rowwise",
    "tensors",
];

/// The folder of instrumented builds.
pub const FOLDER: &str = "fuzz";
/// The longest input.
const LONGEST: usize = 600;
/// Bytes of a target's committed corpus.
const CORPUS: usize = 18_000;

pub fn run(arguments: &[String]) -> Outcome {
    if !nightly::is_there() {
        println!(
            "fuzzing: NOT COVERED, no nightly compiler of rustup's; the committed corpus is replayed instead"
        );
        return replay();
    }
    let seconds: usize = option(arguments, "--seconds").unwrap_or("20").parse()?;
    let only = option(arguments, "--only");
    let chosen: Vec<&str> =
        TARGETS.iter().copied().filter(|name| only.is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Err(format!("no such target; there are {}", TARGETS.join(" ")).into());
    }
    let mut build = nightly::cargo("build", nightly::ADDRESS, FOLDER);
    call(build.args(["--features", "libfuzzer", "--bin", "fuzz"]))?;
    let each = (seconds / chosen.len()).max(1);
    for name in &chosen {
        let folder = unpacked(name)?;
        let executions = fuzz(name, &folder, &[format!("-max_total_time={each}")])?;
        println!("{name}: {executions} executions in {each} s, no finding");
        if executions == 0 {
            return Err(format!("{name} was not executed").into());
        }
        if flag(arguments, "--minimize") {
            minimize(name, &folder)?;
        }
    }
    Ok(())
}

/// Runs the targets on their corpora, with any compiler.
fn replay() -> Outcome {
    call(cargo().args(["test", "--quiet", "--package", "fewbit-fuzz-replay"]))
}

/// Runs libFuzzer on a target with some more options; how often it ran the target.
fn fuzz(name: &str, corpus: &Path, options: &[String]) -> Result<u64, Box<dyn Error>> {
    let artifacts = target_dir().join(FOLDER).join("found");
    std::fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(built(FOLDER, "fuzz"));
    command.env("FEWBIT_FUZZ_TARGET", name);
    // Sizes beyond memory are refused by the C library; the sanitizer would end the program.
    command.env("ASAN_OPTIONS", "allocator_may_return_null=1:detect_stack_use_after_return=1");
    command.args(options).arg(format!("-max_len={LONGEST}"));
    // Descriptions take a hundred bytes: long inputs from the start.
    command.args([
        "-len_control=0",
        "-timeout=120",
        "-rss_limit_mb=4096",
        "-malloc_limit_mb=1000000000",
    ]);
    command.args(["-print_final_stats=1", "-verbosity=0"]);
    if let Ok(seed) = std::env::var("FEWBIT_TEST_SEED") {
        command.arg(format!("-seed={}", seed.parse::<u64>().unwrap_or(1) % 0xFFFF_FFFF + 1));
    }
    command.arg(format!("-artifact_prefix={}/{name}-", artifacts.display()));
    let output = command.arg(corpus).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{name}: {}\n{text}", output.status).into());
    }
    let executed =
        text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(executed.map_or(Ok(0), |number| number.trim().parse())?)
}

/// The committed corpus of a target, as files in a folder, beside those that earlier runs found.
fn unpacked(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let folder = target_dir().join(FOLDER).join("corpus").join(name);
    std::fs::create_dir_all(&folder)?;
    let mut file = &*std::fs::read(packed(name)).unwrap_or_default();
    let mut count = 0;
    while let Some((&length, rest)) = file.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_le_bytes(length)).min(rest.len()));
        std::fs::write(folder.join(format!("committed-{count}")), entry)?;
        (file, count) = (rest, count + 1);
    }
    Ok(folder)
}

/// Where a target's corpus is committed: entry after entry, the length of each before it in two bytes.
fn packed(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(format!("{name}.bin"))
}

/// Writes the corpus of few entries that together reach what all reach, as far as there is room.
fn minimize(name: &str, from: &Path) -> Outcome {
    let to = from.with_extension("small");
    let _ = std::fs::remove_dir_all(&to);
    std::fs::create_dir_all(&to)?;
    // Into the first folder, from the second.
    fuzz(name, from, &["-set_cover_merge=1".to_string(), to.display().to_string()])?;
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(&to)? {
        entries.push(std::fs::read(entry?.path())?);
    }
    entries.retain(|entry: &Vec<u8>| entry.len() <= LONGEST);
    entries.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    // Where there is no room for all, one in so many of each length: short ones alone are mostly refused.
    let total: usize = entries.iter().map(|entry| entry.len() + 2).sum();
    let share = |i: usize| i * CORPUS.min(total) / total.max(1);
    let mut file = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let chosen = total <= CORPUS || share(i + 1) > share(i);
        if chosen && file.len() + 2 + entry.len() <= CORPUS {
            file.extend(u16::try_from(entry.len())?.to_le_bytes());
            file.extend(entry);
        }
    }
    std::fs::create_dir_all(root().join("fuzz/corpus"))?;
    std::fs::write(packed(name), &file)?;
    println!("{name}: {} entries, of which {} bytes are committed", entries.len(), file.len());
    Ok(())
}
