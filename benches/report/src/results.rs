//! What criterion left behind: `benchmark.json` and `estimates.json` of each id's last run.

use fewbit_benches::{SIZES, Traffic};
use serde_json::Value;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What an iteration did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// Moved bytes, of so many elements.
    Bytes(u64, Traffic),
    /// Did operations.
    Operations(u64),
    /// Was called.
    Call,
}

/// A result: the four parts of its id, and the median time.
#[derive(Clone, Debug)]
pub struct Entry {
    pub op: String,
    pub types: String,
    pub kernel: String,
    pub shape: String,
    pub nanos: f64,
    pub work: Work,
}

impl Entry {
    /// GB/s, or billions of operations a second.
    pub fn rate(&self) -> f64 {
        match self.work {
            Work::Bytes(amount, _) | Work::Operations(amount) => amount as f64 / self.nanos,
            Work::Call => 1.0 / self.nanos,
        }
    }

    /// The elements of an op that moves bytes; 0 of others.
    pub fn elements(&self) -> u64 {
        match self.work {
            Work::Bytes(bytes, traffic) => traffic.elements(bytes),
            _ => 0,
        }
    }

    pub fn is_limit(&self) -> bool {
        self.op == "limit"
    }

    /// Whether this is a plan or a part of one: those have tables of their own.
    pub fn is_plan(&self) -> bool {
        ["linear", "conv"].iter().any(|op| self.op.split('_').next() == Some(op))
    }

    /// Whether this is an op on an array of one of the benches' sizes.
    pub fn is_array(&self) -> bool {
        let sized = SIZES.iter().any(|(name, _)| *name == self.shape);
        sized && !self.is_limit() && matches!(self.work, Work::Bytes(..))
    }
}

pub struct Results {
    /// In the order of op, types, size, shape and kernel.
    pub entries: Vec<Entry>,
    /// From the first result to the last, in minutes.
    pub minutes: u64,
}

impl Results {
    pub fn read(criterion: &Path) -> Result<Results, Box<dyn Error>> {
        let mut files = Vec::new();
        find(criterion, &mut files).map_err(|error| format!("{}: {error}", criterion.display()))?;
        let (mut entries, mut times) = (Vec::new(), Vec::new());
        for file in files {
            let estimates = file.with_file_name("estimates.json");
            times.push(fs::metadata(&estimates)?.modified()?);
            let read = |path: &Path| -> Result<Value, Box<dyn Error>> {
                Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
            };
            // Ids of other shape are not ours.
            entries.extend(entry(&read(&file)?, &read(&estimates)?));
        }
        if entries.is_empty() {
            return Err(format!("{}: no results; run `cargo bench`", criterion.display()).into());
        }
        entries.sort_by_key(|e| {
            let (op, types, kernel) = (e.op.clone(), e.types.clone(), e.kernel.clone());
            (op, types, e.elements(), e.shape.clone(), kernel_order(&e.kernel), kernel)
        });
        let between = |times: &[SystemTime]| {
            let (first, last) = (times.iter().min()?, times.iter().max()?);
            Some(last.duration_since(*first).ok()?.as_secs() / 60)
        };
        Ok(Results { entries, minutes: between(&times).unwrap_or(0) })
    }

    /// The fastest that the machine moved the same traffic, and how.
    pub fn limit(&self, of: &Entry) -> Option<&Entry> {
        let Work::Bytes(_, traffic) = of.work else { return None };
        let limits = || self.entries.iter().filter(|e| e.is_limit() && e.types == traffic.name());
        // How many times larger or smaller: sizes far apart lie in different caches.
        let apart = |e: &Entry| {
            let (a, b) = (e.elements().max(1) as f64, of.elements().max(1) as f64);
            (a / b).max(b / a)
        };
        let nearest = limits().map(apart).min_by(f64::total_cmp).filter(|times| *times < 4.0)?;
        limits().filter(|e| apart(e) == nearest).max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }
}

/// Where a kernel stands in tables: as the instruction sets grow.
pub fn kernel_order(kernel: &str) -> usize {
    let known = ["scalar", "neon", "neon_stream", "avx2", "avx2_stream", "avx512", "avx512_stream"];
    known.iter().position(|name| *name == kernel).unwrap_or(known.len())
}

/// The `new/benchmark.json` of all ids below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.ends_with("new/benchmark.json") {
            files.push(path);
        }
    }
    Ok(())
}

fn entry(benchmark: &Value, estimates: &Value) -> Option<Entry> {
    let parts: Vec<&str> = benchmark["full_id"].as_str()?.split('/').collect();
    let [op, types, kernel, shape] = parts[..] else { return None };
    let throughput = &benchmark["throughput"];
    let traffic = if op == "limit" { Traffic::from_name(types) } else { Traffic::of(op, types) };
    let work = match (throughput["Bytes"].as_u64(), throughput["Elements"].as_u64(), traffic) {
        (Some(bytes), _, Some(traffic)) => Work::Bytes(bytes, traffic),
        (_, Some(operations), _) => Work::Operations(operations),
        _ if throughput.is_null() => Work::Call,
        _ => return None,
    };
    let nanos = estimates["median"]["point_estimate"].as_f64()?;
    let [op, types, kernel, shape] = [op, types, kernel, shape].map(String::from);
    Some(Entry { op, types, kernel, shape, nanos, work })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::json;

    /// An entry as criterion would describe it.
    pub fn made(id: &str, nanos: f64, throughput: Value) -> Entry {
        let benchmark = json!({ "full_id": id, "throughput": throughput });
        entry(&benchmark, &json!({ "median": { "point_estimate": nanos } })).unwrap()
    }

    /// Limits and an op.
    pub fn results() -> Results {
        let bytes = |bytes: u64| json!({ "Bytes": bytes });
        let entries = vec![
            made("limit/r4w1/avx2/4Ki", 100.0, bytes(5 << 12)),
            made("limit/r4w1/avx512/4Ki", 80.0, bytes(5 << 12)),
            made("limit/r4w1/avx512/64Ki", 4000.0, bytes(5 << 16)),
            made("limit/r1w4/avx512/64Ki", 10.0, bytes(5 << 16)),
            made("quantize/f32s8/scalar/4Ki", 1000.0, bytes(5 << 12)),
            made("quantize/f32s8/avx512/4Ki", 160.0, bytes(5 << 12)),
            made("gemm/s8s32/6x16x2_avx2/tile_k256", 100.0, json!({ "Elements": 10_000 })),
            made("call_quantize/f32s8/avx512/n8", 20.0, Value::Null),
        ];
        Results { entries, minutes: 5 }
    }

    #[test]
    fn the_limit_is_the_fastest_of_the_same_ratio_nearby() {
        let results = results();
        let limit = |id: &str, bytes: u64| {
            let op = made(id, 1.0, json!({ "Bytes": bytes }));
            results.limit(&op).map(|e| format!("{}/{}/{}", e.types, e.kernel, e.shape))
        };
        assert_eq!(limit("quantize/f32s8/x/y", 5 << 12).as_deref(), Some("r4w1/avx512/4Ki"));
        assert_eq!(limit("quantize/f32s8/x/y", 5 << 17).as_deref(), Some("r4w1/avx512/64Ki"));
        assert_eq!(limit("dequantize/s8f32/x/y", 5 << 16).as_deref(), Some("r1w4/avx512/64Ki"));
        assert_eq!(limit("quantize/f32s8/x/y", 5 << 20), None);
        assert_eq!(limit("convert/f32f16/x/y", 6 << 12), None);
    }

    #[test]
    fn ids_of_other_shape_are_left_out() {
        let estimates = json!({ "median": { "point_estimate": 1.0 } });
        assert!(entry(&json!({ "full_id": "a/b" }), &estimates).is_none());
        assert!(entry(&json!({}), &estimates).is_none());
    }
}
