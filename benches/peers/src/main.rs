//! fewbit beside oneDNN and onnxruntime: the shapes of `benches/shapes`, in turns in one run; Markdown tables of GOPS and
//! ratios. See README.md.
#![allow(missing_docs, reason = "a program, not an interface")]

mod bits;
mod compare;
mod few;
mod onednn;
mod onnxruntime;
mod tables;

use clap::{Parser, ValueEnum};
use compare::Field;
use fewbit_benches::{Core, Effort, Threads, machine};
use onednn::OneDnn;
use onnxruntime::OnnxRuntime;

#[derive(Parser)]
#[command(about = "fewbit beside oneDNN and onnxruntime, in turns in one run")]
struct Options {
    /// What to print.
    #[arg(value_enum, default_value = "layers")]
    what: What,
    /// Parts of the names of layers (or networks) to take; behind ^: what they begin with.
    filters: Vec<String>,
    /// Weights of 7 bits, with which no peer saturates.
    #[arg(long)]
    narrow: bool,
    /// Numbers of threads, a table for each.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    threads: Vec<usize>,
    /// A fifth of the time, and noisier.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A line for each layer and pair of types.
    Layers,
    /// int8 products to compare by: a line for each shape.
    Int8,
    /// int8 convolutions to compare by.
    Conv,
    /// Sums of networks with convolutions.
    Networks,
    /// Weights of 4 bits, numbers of 16, and codes of one bit.
    Few,
    /// All but the first.
    Report,
}

fn main() {
    let options = Options::parse();
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names = match set("FEWBIT_PEERS_ONEDNN") {
        Some(path) => vec![path],
        None => ["libdnnl.so", "libdnnl.so.3", "libdnnl.so.2"].map(String::from).to_vec(),
    };
    let dnnl = OneDnn::load(&names);
    let environment = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/witnesses/bin/python");
    let made = std::path::Path::new(environment).exists();
    let python = set("FEWBIT_PEERS_PYTHON")
        .unwrap_or_else(|| if made { environment } else { "python3" }.to_string());
    let runtime = OnnxRuntime::start(&python);

    println!("{}; weights of {} bits\n", machine(), if options.narrow { 7 } else { 8 });
    match &dnnl {
        Ok(dnnl) => {
            let limit = set("ONEDNN_MAX_CPU_ISA").map(|isa| format!(", limited to {isa}"));
            println!("oneDNN {}{}", dnnl.version, limit.unwrap_or_default());
        }
        Err(error) => println!("oneDNN: {error}"),
    }
    match &runtime {
        Ok(runtime) => println!("{}", runtime.version),
        Err(error) => println!("onnxruntime: {error}"),
    }

    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let (dnnl, runtime, narrow) = (dnnl.ok(), runtime.ok(), options.narrow);
    let mut field = Field { dnnl, runtime, narrow, effort };
    let asked = |what| options.what == what || options.what == What::Report;
    let filters = &options.filters;
    for threads in options.threads.iter().map(|&count| Threads::new(count)) {
        let _here = (threads.count() == 1).then(|| Core::keep(0));
        if options.what == What::Layers {
            tables::layers(&mut field, filters, &threads);
        }
        if asked(What::Int8) {
            tables::int8(&mut field, filters, &threads);
        }
        if asked(What::Conv) {
            tables::conv(&mut field, filters, &threads);
        }
        if asked(What::Networks) {
            tables::networks(&mut field, filters, &threads);
        }
    }
    if asked(What::Few) {
        few::few(&mut field, filters);
        bits::bits(&mut field, filters);
    }
}
