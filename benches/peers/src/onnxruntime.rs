//! onnxruntime in a Python process of its own (`ort.py`), which is stopped while others are timed.

use fewbit::scheme::{RealFormat, float16};
use fewbit_benches::formats::{self, Codes};
use fewbit_benches::{Case, Kind, Layer, Runner};
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The process.
pub struct OnnxRuntime {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// What it says of itself.
    pub version: String,
}

impl OnnxRuntime {
    pub fn start(python: &str) -> std::result::Result<OnnxRuntime, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ort.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{python}: {error}"))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let mut process =
            OnnxRuntime { child, to, from: BufReader::new(from), version: String::new() };
        process.version = process.line().map_err(|error| error.to_string())?;
        if process.version.is_empty() {
            return Err(format!("{python} has no onnxruntime or onnx"));
        }
        Ok(process)
    }

    /// Stops the process, whose threads spin on after a run, or lets it go on.
    fn halt(&self, halt: bool) {
        #[cfg(unix)]
        // SAFETY: its own child, which was not waited for, with a signal.
        unsafe {
            libc::kill(self.child.id() as _, if halt { libc::SIGSTOP } else { libc::SIGCONT });
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_string())
    }

    /// Gives it a case; `None` if it has no such operator.
    pub fn prepare(&mut self, case: &Case, threads: usize) -> Option<Session<'_>> {
        let kind = match (case.kind, case.layer) {
            (Kind::S32, _) => "s32",
            (Kind::U8, _) => "u8",
            (Kind::Real, _) => "real",
            (Kind::F32, Layer::Linear { .. }) => "f32",
            (Kind::Dynamic, Layer::Linear { .. }) => "dynamic",
            _ => return None,
        };
        let layer = match case.layer {
            Layer::Linear { m, n, k } => format!("linear {m} {n} {k}"),
            Layer::Conv { size, inputs, outputs, kernel, stride, groups } => {
                format!("conv {size} {inputs} {outputs} {kernel} {stride} {groups}")
            }
        };
        let (x, y) = (case.x, case.y());
        let scales = format!("{} {} {} {}", x.scale, x.zero_point, y.scale, y.zero_point);
        let head = format!("case {kind} {layer} {threads} {scales}\n");
        let x = if case.kind.reads_real() { bytes(&case.reals) } else { case.codes.clone() };
        let weights = match case.kind {
            Kind::Real => bytes(&case.real_weights()),
            _ => case.weights.iter().map(|&code| code as u8).collect(),
        };
        let result = self
            .exchange(&head, &[x, weights, bytes(&case.scales)])
            .unwrap_or_else(|error| panic!("onnxruntime, {head}: {error}"));
        let numbers = match case.kind {
            Kind::U8 => result.iter().map(|&y| f64::from(y)).collect(),
            Kind::S32 => words(&result).map(|y| f64::from(i32::from_ne_bytes(y))).collect(),
            _ => words(&result).map(|y| f64::from(f32::from_ne_bytes(y))).collect(),
        };
        Some(Session { process: self, result: numbers })
    }

    /// MatMulNBits of s4 codes with a scale a block, of an accuracy level: 0 has f32 activations, 4 those in 8 bits by block.
    pub fn nbits(
        &mut self,
        layer: &formats::Layer,
        (codes, block): (&Codes, usize),
        level: usize,
    ) -> Result<Session<'_>> {
        let [m, n, k] = layer.shape;
        let head = format!("nbits {m} {n} {k} {level} {block} 1\n");
        // Its codes are 0 to 15, with the zero point 8.
        let w = codes.codes.iter().map(|byte| byte ^ 0x88).collect();
        let result = self.exchange(&head, &[bytes(&layer.x), w, bytes(&codes.scales)])?;
        let result = words(&result).map(|y| f64::from(f32::from_ne_bytes(y))).collect();
        Ok(Session { process: self, result })
    }

    /// MatMul of f16.
    pub fn half(&mut self, layer: &formats::Layer) -> Result<Session<'_>> {
        let [m, n, k] = layer.shape;
        let halves = |x: &[f32]| -> Vec<u8> {
            let halves = formats::halves(x, RealFormat::F16).into_iter();
            halves.flat_map(u16::to_ne_bytes).collect()
        };
        let head = format!("half {m} {n} {k} 1\n");
        let result = self.exchange(&head, &[halves(&layer.x), halves(&layer.w)])?;
        let halves = result.as_chunks().0.iter().map(|&y| u16::from_ne_bytes(y));
        let result = halves.map(|y| f64::from(float16::f16_to_f32(y))).collect();
        Ok(Session { process: self, result })
    }

    /// NumKong's products of -1 and +1, of rows of `k` packed bits, if the process has it.
    pub fn hamming(
        &mut self,
        [m, n, k]: [usize; 3],
        x: &[u8],
        weights: &[u8],
    ) -> Result<Session<'_>> {
        let head = format!("hamming {m} {n} {k}\n");
        let result = self.exchange(&head, &[x.to_vec(), weights.to_vec()])?;
        let result = words(&result).map(|y| f64::from(i32::from_ne_bytes(y))).collect();
        Ok(Session { process: self, result })
    }

    /// Gives it a case and gets its result; the process is stopped before and afterwards.
    fn exchange(&mut self, head: &str, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        self.halt(false);
        let result = self.exchange_awake(head, operands);
        self.halt(true);
        result
    }

    fn exchange_awake(&mut self, head: &str, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        self.to.write_all(head.as_bytes())?;
        for bytes in operands {
            writeln!(self.to, "{}", bytes.len())?;
            self.to.write_all(bytes)?;
        }
        self.to.flush()?;
        let line = self.line()?;
        let length = line.parse().map_err(|_| std::io::Error::other(line))?;
        let mut result = vec![0; length];
        self.from.read_exact(&mut result)?;
        Ok(result)
    }
}

fn bytes(reals: &[f32]) -> Vec<u8> {
    reals.iter().flat_map(|x| x.to_ne_bytes()).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks().0.iter().copied()
}

impl Drop for OnnxRuntime {
    fn drop(&mut self) {
        // Its loop ends with its input, but nothing is lost if it does not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A case that the process holds.
pub struct Session<'a> {
    process: &'a mut OnnxRuntime,
    result: Vec<f64>,
}

impl Runner for Session<'_> {
    fn time(&mut self, calls: usize) -> f64 {
        let process = &mut *self.process;
        process.halt(false);
        let mut ask = || -> Result<f64> {
            writeln!(process.to, "time {calls}")?;
            process.to.flush()?;
            process.line()?.parse().map_err(std::io::Error::other)
        };
        let time = ask();
        process.halt(true);
        time.unwrap_or_else(|error| panic!("onnxruntime: {error}"))
    }

    fn result(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.result)
    }
}
