//! Layers of few bits: `linear_few/<types>/<set of features>/<shape>`, where the types are those of the input's codes, of
//! the weights with their block, and of the output. One row is bound by the weights' bytes, many by the tile.

use criterion::{BenchmarkId, Criterion, Throughput};
use fewbit::memory::ALIGNMENT;
use fewbit::scheme::{IntFormat, ParamSpec, QuantParams, RealFormat};
use fewbit::simd::Supported;
use fewbit::{Code, DynamicSpec, Input, Linear, LinearRun, Output, Serial};
use fewbit_benches::codes;
use fewbit_benches::formats::plan_of_codes;
use fewbit_testkit::{limited, set_name};

const SHAPES: [[usize; 3]; 5] =
    [[1, 4096, 4096], [4, 4096, 4096], [16, 4096, 4096], [128, 1024, 1024], [512, 512, 512]];

/// What the input is.
#[derive(Clone, Copy, PartialEq)]
enum Lhs {
    Bytes,
    Packed(IntFormat),
    /// f32 quantized by row.
    Dynamic(IntFormat),
}

const LAYERS: [(&str, Lhs, IntFormat, usize); 12] = [
    ("s8s8s32", Lhs::Bytes, IntFormat::S8, 0),
    ("s8s4s32", Lhs::Bytes, IntFormat::S4, 0),
    ("s8s4f32_block128", Lhs::Bytes, IntFormat::S4, 128),
    ("s8s4f32_block32", Lhs::Bytes, IntFormat::S4, 32),
    ("s8s2s32", Lhs::Bytes, IntFormat::S2, 0),
    ("s8u1s32", Lhs::Bytes, IntFormat::U1, 0),
    ("s8b1s32", Lhs::Bytes, IntFormat::B1, 0),
    ("f32s4f32_block32", Lhs::Dynamic(IntFormat::S8), IntFormat::S4, 32),
    ("s4s4s32", Lhs::Packed(IntFormat::S4), IntFormat::S4, 0),
    ("f32s4f32_to_s4", Lhs::Dynamic(IntFormat::S4), IntFormat::S4, 0),
    ("u1u1s32", Lhs::Packed(IntFormat::U1), IntFormat::U1, 0),
    ("b1b1s32", Lhs::Packed(IntFormat::B1), IntFormat::B1, 0),
];

pub fn bench(c: &mut Criterion) {
    for (types, lhs, weights, block) in LAYERS {
        let name = format!("linear_few/{types}/{}", set_name(limited().set()));
        let mut group = c.benchmark_group(name);
        for [m, n, k] in SHAPES {
            group.throughput(Throughput::Elements((2 * m * n * k) as u64));
            let mut made = None;
            group.bench_function(BenchmarkId::from_parameter(format!("{m}x{n}x{k}")), |b| {
                let layer = made.get_or_insert_with(|| {
                    let mut layer = Few::new(lhs, (weights, block), [m, n, k], limited());
                    layer.call();
                    if m <= 4 {
                        let mut portable =
                            Few::new(lhs, (weights, block), [m, n, k], Supported::SCALAR);
                        portable.call();
                        assert!(layer.y == portable.y, "{}", layer.plan.kernel_name());
                    }
                    layer
                });
                b.iter(|| layer.call());
            });
        }
        group.finish();
    }
}

/// A layer with its operands.
struct Few {
    plan: Linear<'static>,
    m: usize,
    x: Vec<u8>,
    memory: Vec<u8>,
    y: Vec<u32>,
}

impl Few {
    fn new(
        lhs: Lhs,
        (format, block): (IntFormat, usize),
        [m, n, k]: [usize; 3],
        set: Supported,
    ) -> Few {
        let params = QuantParams { scale: 0.1, zero_point: 0 };
        let (input, x) = match lhs {
            Lhs::Bytes => (Input::Codes(Code::S8, params), codes(m * k)),
            Lhs::Packed(of) => (Input::Packed(of, params), codes(m * k / of.codes_per_byte())),
            Lhs::Dynamic(of) => {
                let spec = ParamSpec::symmetric(of);
                let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::S8, spec };
                let numbers = codes(m * k).into_iter().map(|code| f32::from(code) - 128.0);
                let bytes = numbers.flat_map(f32::to_ne_bytes).collect();
                (Input::DynamicPerRow(dynamic), bytes)
            }
        };
        let scales = vec![0.01; (n * k).checked_div(block).unwrap_or(n)];
        let sums = block == 0 && !matches!(lhs, Lhs::Dynamic(_));
        let output = if sums { Output::S32 } else { Output::Real(RealFormat::F32) };
        let w = codes(n * k / format.codes_per_byte());
        let plan = plan_of_codes([n, k], ((format, block), &w, &scales, 0), input, output, set);
        let size = plan.workspace(m, 1).expect("a workspace").size;
        Few { plan, m, x, memory: vec![0; size + ALIGNMENT], y: vec![0; m * n] }
    }

    fn call(&mut self) {
        let begin = self.memory.as_ptr().align_offset(ALIGNMENT);
        let memory = &mut self.memory[begin..];
        let (n, k) = (self.plan.out_features(), self.plan.in_features());
        let run = LinearRun {
            rows: self.m,
            x: self.x.as_ptr(),
            x_stride: k,
            residual: std::ptr::null(),
            residual_stride: 0,
            workspace: memory.as_mut_ptr(),
            workspace_size: memory.len(),
            y: self.y.as_mut_ptr().cast(),
            y_stride: n,
        };
        // SAFETY: operands of the plan's shape, and results of 4 bytes.
        unsafe { self.plan.run_raw(&run, &Serial, (0..self.m, 0..n)) }.expect("a run");
    }
}
