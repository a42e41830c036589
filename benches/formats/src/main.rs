//! What each format of weights and activations buys on the machine at hand: bytes, time and error of the same layers, as a
//! Markdown table and a picture. `cargo xtask formats` runs it.

mod digits;
mod measure;
mod picture;
mod text;

use fewbit_benches::Effort;
use fewbit_testkit::limited;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The layers that are timed, M x N x K.
const SHAPES: [[usize; 3]; 2] = [[1024, 1024, 1024], [1, 4096, 4096]];
/// For a look.
const SMALL: [[usize; 3]; 2] = [[128, 256, 256], [1, 1024, 1024]];
/// Normally distributed operands, whose error is told.
const NORMAL: [usize; 3] = [16, 1024, 1024];
/// Images of the trained layer.
const IMAGES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = None;
    let mut quick = false;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--quick") => quick = true,
            _ if out.is_none() => out = Some(PathBuf::from(argument)),
            _ => return Err("usage: fewbit-formats [--quick] <folder to write to>".into()),
        }
    }
    let out = out.ok_or("usage: fewbit-formats [--quick] <folder to write to>")?;
    std::fs::create_dir_all(&out)?;
    print!("{}", make(quick, &out)?);
    Ok(())
}

/// Measures, writes `formats.md` and `formats.svg`, and gives the former's text.
fn make(quick: bool, out: &Path) -> Result<String, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
    let errors = [measure::normal(NORMAL), digits::layer(&folder, IMAGES)?];
    let (shapes, effort, note) = match quick {
        true => (SMALL, Effort::QUICK, "; a look only, at small layers"),
        false => (SHAPES, Effort::FULL, ""),
    };
    let lines = measure::lines(shapes, &errors, limited(), effort);
    let report = text::report(&lines, shapes, note);
    std::fs::write(out.join("formats.md"), &report)?;
    picture::write(&lines, shapes, &out.join("formats.svg"))?;
    Ok(report + "\n" + &text::kernels(&lines) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit::simd::Supported;
    use fewbit_benches::formats::FORMATS;

    /// The whole tool, at layers so small that portable code is quick.
    #[test]
    fn every_format_has_its_line() {
        let errors = [measure::normal([2, 16, 64]), measure::normal([4, 12, 96])];
        let shapes = [[3, 17, 64], [1, 40, 96]];
        let effort = Effort { rounds: 1, round: 1e4, most: 1e6, pause: 0.0, patience: 1 };
        for supported in [Supported::SCALAR, limited()] {
            let lines = measure::lines(shapes, &errors, supported, effort);
            let text = text::report(&lines, shapes, "");
            let path = std::env::temp_dir().join(format!("fewbit-formats-{}", std::process::id()));
            picture::write(&lines, shapes, &path).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            for (line, format) in lines.iter().zip(FORMATS) {
                assert!(text.contains(format.name) && svg.contains(format.name), "{}", format.name);
                assert!(line.speeds.iter().all(|speed| speed.time > 0.0 && speed.ratio > 0.0));
                assert!(line.bytes > 0 && text::kernels(&lines).contains(line.kernel));
            }
            assert_eq!(lines.len(), FORMATS.len());
            assert_eq!(lines[0].speeds.map(|speed| speed.ratio), [1.0; 2]);
            // Fewer bits, more noise; blocks, less.
            let error = |name: &str| {
                let line = lines.iter().find(|line| line.format.name == name).expect(name);
                line.errors[0]
            };
            let order = ["f32 · f32", "f16 · f16", "bf16 · bf16", "int8 · int8", "int4 · int8"];
            let order = order.iter().chain(["int2 · int8", "int1 · int8", "int1 · int1"].iter());
            assert!(order.map(|name| error(name)).is_sorted_by(|a, b| a > b), "{lines:?}");
            assert!(error("int4, blocks of 32 · int8") > error("int4 · int8"));
            assert!(error("int4 · int8") > error("int4 · int4"));
        }
    }

    /// The trained layer is there, and its errors are those of weights and activations that are not normal.
    #[test]
    fn digits_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits");
        let layer = digits::layer(&folder, 2).unwrap();
        assert_eq!(layer.shape, [32, 48, 324]);
        assert_eq!((layer.x.len(), layer.w.len()), (32 * 324, 48 * 324));
        assert!(layer.x.iter().all(|&x| x >= 0.0) && layer.x.iter().any(|&x| x > 1.0));
    }
}
