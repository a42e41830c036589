//! fewbit's plans with operands: the one place where benches describe a plan.

use crate::case::{Case, Kind};
use crate::memory;
use crate::shapes::Layer;
use crate::timing::{Runner, Threads, clock};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{IntFormat, ParamSpec, RealFormat};
use fewbit::simd::Supported;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, DynamicSpec, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Parallel, Residual, Weights,
};

/// A plan of either kind.
pub enum Plan {
    /// A linear layer, and its rows.
    Linear(Box<Linear<'static>>, usize),
    /// A convolution.
    Conv(Box<Conv<'static>>),
}

impl Plan {
    /// Makes the plan of a case: packs its weights.
    ///
    /// # Panics
    /// If there is none.
    pub fn create(case: &Case, supported: Supported) -> Plan {
        // SAFETY: codes are bytes.
        let codes =
            unsafe { std::slice::from_raw_parts(case.weights.as_ptr().cast(), case.weights.len()) };
        let weights = Weights {
            format: Code::S8.format(),
            codes,
            scales: &case.scales,
            zero_points: &[],
            block: 0,
            multipliers: &[],
            shifts: &[],
        };
        let output = match case.kind {
            Kind::S32 => Output::S32,
            Kind::U8 => Output::Codes(Code::U8, case.y()),
            _ => Output::Real(RealFormat::F32),
        };
        let spec = ParamSpec::affine(IntFormat::U8);
        let dynamic = DynamicSpec { real: RealFormat::F32, code: Code::U8, spec };
        let input = match case.kind {
            // One range for all of the input, as DynamicQuantizeLinear has it.
            Kind::Dynamic => Input::DynamicPerTensor(dynamic),
            Kind::DynamicRow => Input::DynamicPerRow(dynamic),
            _ => Input::Codes(Code::U8, case.x),
        };
        match case.layer {
            Layer::Linear { m, n, k } => {
                let desc = LinearDesc {
                    matrices: 1,
                    matrix_stride: 0,
                    in_features: k,
                    out_features: n,
                    weights,
                    layout: LinearLayout::Nk,
                    weight_stride: 0,
                    input,
                    bias: Bias::None,
                    output,
                    activation: Activation::None,
                    activation_mode: ActivationMode::Float,
                    residual: Residual::None,
                };
                let plan = Linear::create(&desc, supported, &Allocator::DEFAULT).expect("a plan");
                Plan::Linear(Box::new(plan), m)
            }
            Layer::Conv { size, inputs, outputs, kernel, stride, groups } => {
                let pad = kernel / 2;
                let axis =
                    ConvAxis { size, kernel, stride, dilation: 1, pad_begin: pad, pad_end: pad };
                let desc = ConvDesc {
                    in_channels: inputs,
                    out_channels: outputs,
                    groups,
                    axes: [ConvAxis::NONE, axis, axis],
                    layout: ImageLayout::Nhwc,
                    filter_layout: FilterLayout::Ohwi,
                    weights,
                    input,
                    bias: Bias::None,
                    output,
                    activation: Activation::None,
                    activation_mode: ActivationMode::Float,
                    residual: Residual::None,
                };
                let plan = Conv::create(&desc, supported, &Allocator::DEFAULT).expect("a plan");
                Plan::Conv(Box::new(plan))
            }
        }
    }

    /// The kernel's name.
    pub fn kernel_name(&self) -> &'static str {
        match self {
            Plan::Linear(plan, _) => plan.kernel_name(),
            Plan::Conv(plan) => plan.kernel_name(),
        }
    }

    /// Bytes of workspace.
    fn workspace(&self, workers: usize) -> usize {
        let needed = match self {
            Plan::Linear(plan, m) => plan.workspace(*m, workers),
            Plan::Conv(plan) => plan.workspace(1, workers),
        };
        needed.expect("a workspace").size
    }
}

/// Results of one type; the others are empty.
#[derive(Debug, Default)]
struct Results {
    s32: Vec<i32>,
    u8: Vec<u8>,
    f32: Vec<f32>,
}

/// A plan, or several that take turns, with operands.
pub struct Ours {
    plans: Vec<Plan>,
    turn: usize,
    codes: Vec<u8>,
    reals: Vec<f32>,
    y: Results,
    memory: Vec<u8>,
    begin: usize,
    size: usize,
    threads: Threads,
}

impl Ours {
    /// A case's plan, its weights as warm as the caches keep them.
    pub fn warm(case: &Case, supported: Supported, threads: &Threads) -> Ours {
        Ours::new(case, vec![Plan::create(case, supported)], threads)
    }

    /// Plans of equal weights that take turns, together twice as large as the last cache: each call finds its weights in
    /// memory, as a network finds them that is larger than the caches.
    pub fn cold(case: &Case, supported: Supported, threads: &Threads) -> Ours {
        let plans = memory::ring(case.layer.weights());
        Ours::new(case, (0..plans).map(|_| Plan::create(case, supported)).collect(), threads)
    }

    fn new(case: &Case, plans: Vec<Plan>, threads: &Threads) -> Ours {
        let (n, mut y) = (case.layer.outputs(), Results::default());
        match case.kind {
            Kind::S32 => y.s32 = vec![0; n],
            Kind::U8 => y.u8 = vec![0; n],
            _ => y.f32 = vec![0.0; n],
        }
        let size = plans[0].workspace(threads.count());
        let memory = vec![0u8; size + ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        let (codes, reals, threads) = (case.codes.clone(), case.reals.clone(), threads.clone());
        Ours { plans, turn: 0, codes, reals, y, memory, begin, size, threads }
    }

    /// The kernel's name.
    pub fn kernel(&self) -> &'static str {
        self.plans[0].kernel_name()
    }

    /// A run.
    ///
    /// # Panics
    /// If it fails.
    pub fn call(&mut self) {
        let memory = &mut self.memory[self.begin..][..self.size];
        self.turn = (self.turn + 1) % self.plans.len();
        let plan = &self.plans[self.turn];
        let (codes, reals, y) = (&self.codes, &self.reals, &mut self.y);
        self.threads.with(|parallel: &dyn Parallel| {
            macro_rules! run {
                ($x:expr, $y:expr) => {
                    match plan {
                        Plan::Linear(plan, m) => plan.run(*m, $x, memory, parallel, $y),
                        Plan::Conv(plan) => plan.run(1, $x, memory, parallel, $y),
                    }
                };
            }
            let done = if !reals.is_empty() {
                run!(reals, &mut y.f32)
            } else if !y.s32.is_empty() {
                run!(codes, &mut y.s32)
            } else if !y.u8.is_empty() {
                run!(codes, &mut y.u8)
            } else {
                run!(codes, &mut y.f32)
            };
            done.expect("a run");
        });
    }
}

impl Runner for Ours {
    fn time(&mut self, calls: usize) -> f64 {
        let threads = self.threads.clone();
        // In the pool from the first call to the last, as a program's own tasks are: no call waits to be let in.
        threads.inside(|| clock(calls, || self.call()))
    }

    fn result(&mut self) -> Vec<f64> {
        self.call();
        let Results { s32, u8, f32 } = &self.y;
        let bytes = u8.iter().map(|&y| f64::from(y));
        let reals = f32.iter().map(|&y| f64::from(y));
        s32.iter().map(|&y| f64::from(y)).chain(bytes).chain(reals).collect()
    }
}
