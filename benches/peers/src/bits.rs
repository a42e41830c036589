//! Codes of one bit: fewbit beside NumKong's Hamming distances of packed matrices, from which `k - 2 d` are the products of -1 and
//! +1. fewbit's scales and f32 results are in its time; NumKong has none.

use crate::compare::Field;
use crate::tables::{chosen, short};
use fewbit::memory::ALIGNMENT;
use fewbit::scheme::{IntFormat, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{Input, Linear, Output, Serial, dispatch};
use fewbit_benches::formats::plan_of_codes;
use fewbit_benches::{Runner, Threads, Watch, clock, codes, in_turns, table};

/// M x N x K.
const SHAPES: [[usize; 3]; 3] = [[128, 4096, 4096], [1024, 1024, 1024], [64, 64, 64]];

/// A layer of b1 codes, with scales and f32 results.
struct Ours {
    plan: Linear<'static>,
    rows: usize,
    x: Vec<u8>,
    memory: Vec<u8>,
    y: Vec<f32>,
}

impl Ours {
    fn new([m, n, k]: [usize; 3], (x, w): (&[u8], &[u8]), supported: Supported) -> Ours {
        let weights = ((IntFormat::B1, 0), w, &vec![0.5; n][..], 0);
        let input = Input::Packed(IntFormat::B1, QuantParams { scale: 2.0, zero_point: 0 });
        let output = Output::Real(RealFormat::F32);
        let plan = plan_of_codes([n, k], weights, input, output, supported);
        let size = plan.workspace(m, 1).expect("a workspace").size + ALIGNMENT;
        Ours { plan, rows: m, x: x.to_vec(), memory: vec![0; size], y: vec![0.0; m * n] }
    }

    fn call(&mut self) {
        let begin = self.memory.as_ptr().align_offset(ALIGNMENT);
        let memory = &mut self.memory[begin..];
        self.plan.run(self.rows, &self.x, memory, &Serial, &mut self.y).expect("a run");
    }
}

impl Runner for Ours {
    fn time(&mut self, calls: usize) -> f64 {
        clock(calls, || self.call())
    }

    fn result(&mut self) -> Vec<f64> {
        self.call();
        self.y.iter().map(|&y| f64::from(y)).collect()
    }
}

/// The table, where NumKong is: a line for each shape.
pub fn bits(field: &mut Field, filters: &[String]) {
    let supported = dispatch::supported().expect("FEWBIT_ISA");
    let mut watch = Watch::new(&Threads::ONE);
    let mut rows = Vec::new();
    for shape in SHAPES {
        let [m, n, k] = shape;
        let label = format!("{m}x{n}x{k}");
        if !chosen(&format!("{label} int1"), filters) {
            continue;
        }
        // No byte of the weights lies at the same place of every row.
        let all = codes((m + n) * k / 8 + n);
        let (x, w) = all.split_at(m * k / 8);
        let w: Vec<u8> =
            w.iter().zip(0..).map(|(&byte, i): (_, usize)| byte ^ (i / 251) as u8).collect();
        let w = &w[..n * k / 8];
        let mut ours = Ours::new(shape, (x, w), supported);
        let want = ours.result();
        let session = field.runtime.as_mut().map(|process| process.hamming(shape, x, w));
        let mut peer = match session {
            Some(Ok(session)) => session,
            Some(Err(why)) => {
                eprintln!("NumKong: {why}");
                return;
            }
            None => return,
        };
        let same = peer.result().iter().zip(&want).all(|(&theirs, &ours)| theirs == ours);
        let mut runners: [Option<&mut dyn Runner>; 2] = [Some(&mut ours), Some(&mut peer)];
        let times = in_turns(&mut runners, field.effort, &mut watch);
        let operations = 2.0 * (m * n * k) as f64;
        rows.push([
            label,
            short(operations / times[0]),
            short(operations / times[1]),
            format!("**{:.2}**", times[1] / times[0]),
            if same { "all" } else { "**NOT ALL**" }.into(),
        ]);
        eprintln!("{}", rows.last().map(|row| row.join(" | ")).unwrap_or_default());
    }
    println!("\n## Codes of one bit, M x N x K, 1 thread\n");
    println!("GOPS: products of -1 and +1. NumKong's sums have no scales.\n");
    let head = ["layer", "fewbit, f32 results", "NumKong", "fewbit / NumKong", "equal results"];
    println!("{}\n\n{}", table(&head, rows), watch.report());
}
