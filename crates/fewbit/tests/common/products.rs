//! Random products of codes, and what they are by definition.

use super::{value, workspace};
use fewbit::scheme::{QuantParams, RealFormat, float16, requantize};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Gemm, GemmDesc, GemmRun, LinearLayout, Output,
    Parallel, Weights,
};
use fewbit_testkit::{Rng, reference};

/// A value of an array of none, one or all.
pub fn pick<T: Copy>(values: &[T], index: usize, none: T) -> T {
    match values {
        [] => none,
        [one] => *one,
        all => all[index],
    }
}

pub struct Model {
    pub matrices: usize,
    pub rows: usize,
    pub n: usize,
    pub k: usize,
    pub lhs_code: Code,
    pub rhs_code: Code,
    pub layout: LinearLayout,
    pub stride: usize,
    pub lhs: Vec<u8>,
    pub lhs_stride: usize,
    pub lhs_batch_stride: usize,
    pub rhs: Vec<u8>,
    pub row_scales: Vec<f32>,
    pub row_zeros: Vec<i32>,
    pub scales: Vec<f32>,
    pub zeros: Vec<i32>,
    pub bias_s32: Option<Vec<i32>>,
    pub bias_f32: Option<Vec<f32>>,
    pub output: Output,
    pub activation: Activation,
}

impl Model {
    pub fn new(rng: &mut Rng) -> Model {
        let matrices = rng.pick(&[1, 1, 1, 3]);
        let (rows, n, k) = (1 + rng.below(20), 1 + rng.below(50), 1 + rng.below(120));
        let codes = [Code::S8, Code::U8];
        let (lhs_code, rhs_code) = (rng.pick(&codes), rng.pick(&codes));
        let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
        let (lines, line) = if layout == LinearLayout::Nk { (n, k) } else { (k, n) };
        let stride = line + rng.below(3);
        let extreme = rng.pick(&[None, None, Some(0u8), Some(127), Some(128), Some(255)]);
        let fill = |rng: &mut Rng, count: usize| -> Vec<u8> {
            (0..count).map(|_| extreme.unwrap_or_else(|| rng.byte())).collect()
        };
        let lhs_stride = k + rng.below(4);
        let lhs_batch_stride = rng.pick(&[0, rows * lhs_stride]);
        let zero = |rng: &mut Rng, code: Code| {
            let format = code.format();
            let any = format.qmin() + rng.below(256) as i32;
            rng.pick(&[format.qmin(), format.qmax(), any])
        };
        let (row_scales, row_zeros) = {
            let counts = [0, 1, rows, rows * matrices];
            (rng.pick(&counts), rng.pick(&counts))
        };
        let (scales, zeros) = {
            let counts = [0, 1, n * matrices];
            (rng.pick(&counts), rng.pick(&counts))
        };
        let output = match rng.below(5) {
            0 | 1 => Output::S32,
            2 => Output::Codes(Code::U8, QuantParams { scale: 90.0, zero_point: 120 }),
            3 => Output::Real(RealFormat::F32),
            _ => Output::Real(rng.pick(&[RealFormat::F16, RealFormat::Bf16])),
        };
        let channels = matrices * n;
        let bias = rng.below(if output == Output::S32 { 2 } else { 3 });
        let bias = if matches!(output, Output::Codes(..)) { bias % 2 } else { bias };
        Model {
            matrices,
            rows,
            n,
            k,
            lhs_code,
            rhs_code,
            layout,
            stride,
            lhs: fill(rng, matrices * rows * lhs_stride),
            lhs_stride,
            lhs_batch_stride,
            rhs: fill(rng, matrices * lines * stride),
            row_scales: (0..row_scales).map(|_| 0.01 + rng.unit()).collect(),
            row_zeros: (0..row_zeros).map(|_| zero(rng, lhs_code)).collect(),
            scales: (0..scales).map(|_| 0.01 + rng.unit()).collect(),
            zeros: (0..zeros).map(|_| zero(rng, rhs_code)).collect(),
            bias_s32: (bias == 1)
                .then(|| (0..channels).map(|_| rng.next_u32() as i32 >> 10).collect()),
            bias_f32: (bias == 2).then(|| (0..channels).map(|_| rng.normal()).collect()),
            output,
            activation: rng.pick(&[Activation::None, Activation::Relu]),
        }
    }

    pub fn desc(&self) -> GemmDesc<'_> {
        GemmDesc {
            n: self.n,
            k: self.k,
            lhs: self.lhs_code.format(),
            rhs: Weights {
                block: 0,
                multipliers: &[],
                shifts: &[],
                format: self.rhs_code.format(),
                codes: &self.rhs,
                scales: &self.scales,
                zero_points: &self.zeros,
            },
            rhs_layout: self.layout,
            rhs_stride: self.stride,
            matrices: self.matrices,
            matrix_stride: 0,
            bias: match (&self.bias_s32, &self.bias_f32) {
                (Some(bias), _) => Bias::S32(bias),
                (_, Some(bias)) => Bias::F32(bias),
                _ => Bias::None,
            },
            output: self.output,
            activation: self.activation,
            activation_mode: ActivationMode::Float,
        }
    }

    /// The results by definition, each as the bits of its type.
    pub fn definition(&self) -> Vec<u32> {
        let (m, n, k) = (self.rows, self.n, self.k);
        let lines = if self.layout == LinearLayout::Nk { n } else { k };
        let mut all = Vec::new();
        for matrix in 0..self.matrices {
            let lhs: Vec<i64> = (0..m * k)
                .map(|i| {
                    let at = matrix * self.lhs_batch_stride + i / k * self.lhs_stride + i % k;
                    value(self.lhs_code, self.lhs[at])
                })
                .collect();
            let rhs: Vec<i64> = (0..n * k)
                .map(|i| {
                    let within = match self.layout {
                        LinearLayout::Nk => i / k * self.stride + i % k,
                        LinearLayout::Kn => i % k * self.stride + i / k,
                    };
                    value(self.rhs_code, self.rhs[matrix * lines * self.stride + within])
                })
                .collect();
            // One a row of each matrix, or the same rows for all.
            let of_row = |count: usize, row: usize| if count > m { matrix * m + row } else { row };
            let row_zero = |row| pick(&self.row_zeros, of_row(self.row_zeros.len(), row), 0);
            let row_scale = |row| pick(&self.row_scales, of_row(self.row_scales.len(), row), 1.0);
            let lhs_zero: Vec<i64> = (0..m).map(|row| row_zero(row) as i64).collect();
            let rhs_zero: Vec<i64> =
                (0..n).map(|c| pick(&self.zeros, matrix * n + c, 0) as i64).collect();
            let sums = reference::matmul((m, n, k), &lhs, &lhs_zero, &rhs, &rhs_zero);
            for (i, sum) in sums.into_iter().enumerate() {
                let (row, channel) = (i / n, matrix * n + i % n);
                let sum = sum + self.bias_s32.as_ref().map_or(0, |bias| bias[channel]) as i64;
                let sum = i32::try_from(sum).expect("within the bound");
                let scale = row_scale(row) * pick(&self.scales, channel, 1.0);
                let relu = self.activation == Activation::Relu;
                let real = || {
                    let mut y = sum as f32 * scale;
                    if let Some(bias) = &self.bias_f32 {
                        y += bias[channel];
                    }
                    if relu { Activation::Relu.apply(y) } else { y }
                };
                all.push(match self.output {
                    Output::S32 => (if relu { sum.max(0) } else { sum }) as u32,
                    Output::Real(RealFormat::F32) => real().to_bits(),
                    Output::Real(RealFormat::F16) => u32::from(float16::f32_to_f16(real())),
                    Output::Real(RealFormat::Bf16) => u32::from(float16::f32_to_bf16(real())),
                    Output::Codes(code, params) => {
                        let multiplier = scale / params.scale;
                        let format = code.format();
                        let low = if relu { params.zero_point } else { format.qmin() };
                        let clamp = (low, format.qmax());
                        let zero_point = params.zero_point;
                        requantize(sum, multiplier, zero_point, format, clamp) as u8 as u32
                    }
                    other => panic!("no case has {other:?}"),
                });
            }
        }
        all
    }

    pub fn run(&self, plan: &Gemm<'_>, parallel: &dyn Parallel) -> Vec<u32> {
        let (m, n) = (self.rows, self.n);
        let element = match self.output {
            Output::S32 => 4,
            Output::Real(real) => real.size(),
            _ => 1,
        };
        let needed = plan.workspace(m, parallel.max_workers()).unwrap().size;
        let mut memory = workspace(needed);
        let stride = n + 1;
        let mut dst = workspace(self.matrices * m * stride * element);
        dst.fill(0x5A);
        let run = GemmRun {
            rows: m,
            lhs: self.lhs.as_ptr(),
            lhs_stride: self.lhs_stride,
            lhs_batch_stride: self.lhs_batch_stride,
            lhs_scales: self.row_scales.as_ptr(),
            lhs_scale_count: self.row_scales.len(),
            lhs_zero_points: self.row_zeros.as_ptr(),
            lhs_zero_point_count: self.row_zeros.len(),
            workspace: memory.as_mut_ptr(),
            workspace_size: needed,
            dst: dst.as_mut_ptr(),
            dst_stride: stride,
            dst_batch_stride: m * stride,
        };
        // SAFETY: the model's operands have the sizes that their strides and counts say.
        unsafe { plan.run_raw(&run, parallel).unwrap() };
        let mut out = Vec::new();
        for (i, bytes) in dst.chunks_exact(element).enumerate() {
            if i % stride == n {
                assert!(bytes.iter().all(|&byte| byte == 0x5A), "a gap was written");
            } else {
                let mut word = [0; 4];
                word[..element].copy_from_slice(bytes);
                out.push(u32::from_le_bytes(word));
            }
        }
        out
    }
}

/// A column of codes.
pub fn desc<'a>(codes: &'a [u8], k: usize, lhs: Code) -> GemmDesc<'a> {
    GemmDesc {
        n: 1,
        k,
        lhs: lhs.format(),
        rhs: Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            format: Code::S8.format(),
            codes,
            scales: &[],
            zero_points: &[],
        },
        rhs_layout: LinearLayout::Nk,
        rhs_stride: 0,
        matrices: 1,
        matrix_stride: 0,
        bias: Bias::None,
        output: Output::S32,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
    }
}
