//! fewbit's plans, on one thread.

use crate::case::{Case, Kind, Runner, Shape, clock};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::{IntFormat, ParamSpec, QuantParams, RealFormat};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Conv, ConvAxis, ConvDesc, DynamicSpec, FilterLayout,
    ImageLayout, Input, Linear, LinearDesc, LinearLayout, Output, Residual, Serial, Weights,
    dispatch,
};

enum Plan {
    Linear(Linear, usize),
    Conv(Conv),
}

enum Results {
    S32(Vec<i32>),
    U8(Vec<u8>),
    F32(Vec<f32>),
}

/// A plan with its operands.
pub struct Ours {
    plan: Plan,
    x: Vec<u8>,
    reals: Vec<f32>,
    y: Results,
    memory: Vec<u8>,
    begin: usize,
    size: usize,
}

impl Ours {
    pub fn prepare(case: &Case) -> Ours {
        let supported = dispatch::supported().expect("FEWBIT_ISA");
        // SAFETY: codes are bytes.
        let codes = unsafe { std::slice::from_raw_parts(case.w.as_ptr().cast(), case.w.len()) };
        let weights = Weights {
            code: Code::S8,
            codes,
            scales: &case.w_scales,
            zero_points: &[],
            block: 0,
            multipliers: &[],
            shifts: &[],
        };
        let (scale, zero_point) = case.y_params();
        let output = match case.kind {
            Kind::S32 => Output::S32,
            Kind::U8 => Output::Codes(Code::U8, QuantParams { scale, zero_point }),
            Kind::F32 | Kind::Dynamic => Output::Real(RealFormat::F32),
        };
        let input = match case.kind {
            // One range for all of the input, as DynamicQuantizeLinear has it.
            Kind::Dynamic => Input::DynamicPerTensor(DynamicSpec {
                real: RealFormat::F32,
                code: Code::U8,
                spec: ParamSpec::affine(IntFormat::U8),
            }),
            _ => {
                Input::Codes(Code::U8, QuantParams { scale: case.x_scale, zero_point: case.x_zero })
            }
        };
        let (plan, needed) = match case.shape {
            Shape::Linear { m, n, k } => {
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
                let needed = plan.workspace(m, 1).expect("a workspace");
                (Plan::Linear(plan, m), needed)
            }
            Shape::Conv { size, inputs, outputs, kernel, stride, groups } => {
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
                let needed = plan.workspace(1, 1).expect("a workspace");
                (Plan::Conv(plan), needed)
            }
        };
        let n = case.outputs();
        let y = match case.kind {
            Kind::S32 => Results::S32(vec![0; n]),
            Kind::U8 => Results::U8(vec![0; n]),
            Kind::F32 | Kind::Dynamic => Results::F32(vec![0.0; n]),
        };
        let number = |b: &[u8]| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]);
        let reals = if case.kind == Kind::Dynamic {
            case.x.chunks_exact(4).map(number).collect()
        } else {
            Vec::new()
        };
        let memory = vec![0u8; needed.size + ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        Ours { plan, x: case.x.clone(), reals, y, memory, begin, size: needed.size }
    }

    /// The kernel's name.
    pub fn kernel(&self) -> &'static str {
        match &self.plan {
            Plan::Linear(plan, _) => plan.kernel_name(),
            Plan::Conv(plan) => plan.kernel_name(),
        }
    }

    fn call(&mut self) {
        let memory = &mut self.memory[self.begin..][..self.size];
        macro_rules! run {
            ($x:expr, $y:expr) => {
                match &self.plan {
                    Plan::Linear(plan, m) => plan.run(*m, $x, memory, &Serial, $y),
                    Plan::Conv(plan) => plan.run(1, $x, memory, &Serial, $y),
                }
            };
        }
        let done = match &mut self.y {
            Results::S32(y) => run!(&self.x, y),
            Results::U8(y) => run!(&self.x, y),
            Results::F32(y) if self.reals.is_empty() => run!(&self.x, y),
            Results::F32(y) => run!(&self.reals, y),
        };
        done.expect("a run");
    }
}

impl Runner for Ours {
    fn time(&mut self, calls: usize) -> f64 {
        clock(calls, || self.call())
    }

    fn result(&mut self) -> Vec<f64> {
        self.call();
        match &self.y {
            Results::S32(y) => y.iter().map(|&y| f64::from(y)).collect(),
            Results::U8(y) => y.iter().map(|&y| f64::from(y)).collect(),
            Results::F32(y) => y.iter().map(|&y| f64::from(y)).collect(),
        }
    }
}
