//! Weights of 4 bits and numbers of 16: fewbit beside onnxruntime's MatMulNBits, its MatMul of f16, and oneDNN's products of
//! f16 and bf16.

use crate::compare::Field;
use crate::tables::{chosen, short};
use fewbit::calibrate::Comparison;
use fewbit::dispatch;
use fewbit::scheme::{IntFormat, RealFormat};
use fewbit_benches::formats::{Activations, Codes, FORMATS, Format, Layer, Prepared, Weights};
use fewbit_benches::{Runner, Threads, Watch, activations, in_turns, table};

/// M x N x K.
const SHAPES: [[usize; 3]; 3] = [[1, 4096, 4096], [32, 4096, 4096], [512, 1024, 1024]];

/// What another library computes of the same weights.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// MatMulNBits at an accuracy level.
    Nbits(usize),
    /// MatMul of f16.
    Half,
    /// oneDNN's product of 16-bit numbers.
    OneDnn(RealFormat),
}

impl Other {
    fn name(self) -> String {
        match self {
            Other::Nbits(level) => format!("onnxruntime MatMulNBits, level {level}"),
            Other::Half => "onnxruntime MatMul f16".into(),
            Other::OneDnn(RealFormat::Bf16) => "oneDNN matmul bf16".into(),
            Other::OneDnn(_) => "oneDNN matmul f16".into(),
        }
    }

    /// Those who compute what a format does.
    fn of(format: &Format) -> &'static [Other] {
        match (format.weights, format.activations) {
            (Weights::Codes(IntFormat::S4, Some(_)), Activations::Dynamic(IntFormat::S8)) => {
                &[Other::Nbits(0), Other::Nbits(4)]
            }
            (Weights::Numbers(RealFormat::F16), _) => {
                &[Other::Half, Other::OneDnn(RealFormat::F16)]
            }
            (Weights::Numbers(RealFormat::Bf16), _) => &[Other::OneDnn(RealFormat::Bf16)],
            _ => &[],
        }
    }
}

/// The layer's numbers with f32 activations, in f64: what an error is told against. Of the weights as they are.
fn exact(layer: &Layer) -> Vec<f32> {
    let [m, n, k] = layer.shape;
    let product = |i: usize| -> f32 {
        let (x, w) = (&layer.x[i / n * k..][..k], &layer.w[i % n * k..][..k]);
        x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() as f32
    };
    (0..m * n).map(product).collect()
}

fn decibels(exact: &[f32], got: &[f64]) -> f64 {
    let got: Vec<f32> = got.iter().map(|&y| y as f32).collect();
    let mut comparison = Comparison::EMPTY;
    comparison.observe(exact, &got).expect("as many results");
    comparison.quality().sqnr_db
}

/// The table: a line for each layer, format and other library, one thread, fewbit once more in each.
pub fn few(field: &mut Field, filters: &[String]) {
    let (supported, effort) = (dispatch::supported().expect("FEWBIT_ISA"), field.effort);
    println!("\n## Weights of 4 bits, numbers of 16, M x N x K, 1 thread\n");
    println!(
        "GOPS, and the ratio of signal to noise of the results against the product of the f32 operands: of what both lose by \
         the weights' format, and by what activations are multiplied as (fewbit int4: s8 by row; level 0: f32; level 4: 8 bits \
         by block).\n"
    );
    let mut watch = Watch::new(&Threads::ONE);
    let mut rows = Vec::new();
    for shape in SHAPES {
        let [m, n, k] = shape;
        let numbers = activations((m + n) * k);
        let (x, w) = numbers.floats()[..(m + n) * k].split_at(m * k);
        let layer = Layer { shape, x: x.to_vec(), w: w.to_vec() };
        let want = exact(&layer);
        let operations = 2.0 * (m * n * k) as f64;
        for format in FORMATS {
            for other in Other::of(format) {
                let label = format!("{m}x{n}x{k}");
                let id = format!("{label} {} {}", format.name, other.name());
                if !chosen(&id, filters) {
                    continue;
                }
                let Some(Ok(mut peer)) = prepare(field, &layer, format, *other) else { continue };
                let mut ours = Prepared::new(&layer, format, supported);
                let noise = [ours.result(), peer.result()].map(|y| decibels(&want, &y));
                let mut runners: [Option<&mut dyn Runner>; 2] = [Some(&mut ours), Some(&mut *peer)];
                let times = in_turns(&mut runners, effort, &mut watch);
                rows.push([
                    label,
                    format.name.into(),
                    short(operations / times[0]),
                    format!("{:.1}", noise[0]),
                    other.name(),
                    short(operations / times[1]),
                    format!("{:.1}", noise[1]),
                    format!("**{:.2}**", times[1] / times[0]),
                ]);
                eprintln!("{}", rows.last().map(|row| row.join(" | ")).unwrap_or_default());
            }
        }
    }
    let head = ["layer", "fewbit", "GOPS", "dB", "beside", "GOPS", "dB", "fewbit / beside"];
    println!("{}\n\n{}", table(&head, rows), watch.report());
}

/// The other library's operation; `None` if the library is not there.
fn prepare<'a>(
    field: &'a mut Field,
    layer: &Layer,
    format: &Format,
    other: Other,
) -> Option<Result<Box<dyn Runner + 'a>, String>> {
    let done: Result<Box<dyn Runner + 'a>, String> = match other {
        Other::Nbits(level) => {
            let Weights::Codes(of, Some(block)) = format.weights else { return None };
            let supported = dispatch::supported().expect("FEWBIT_ISA");
            let codes = Codes::of(&layer.w, layer.shape[2], of, Some(block), supported);
            let session = field.runtime.as_mut()?.nbits(layer, (&codes, block), level);
            session.map(|session| Box::new(session) as _).map_err(|error| error.to_string())
        }
        Other::Half => {
            let session = field.runtime.as_mut()?.half(layer);
            session.map(|session| Box::new(session) as _).map_err(|error| error.to_string())
        }
        Other::OneDnn(real) => {
            let dnnl = field.dnnl.as_ref()?;
            let made = dnnl.set_threads(1).and_then(|()| dnnl.halves(layer, real));
            made.map(|operation| Box::new(operation) as _)
        }
    };
    Some(done.inspect_err(|why| eprintln!("{}: {why}", other.name())))
}
