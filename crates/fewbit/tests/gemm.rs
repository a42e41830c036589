//! Products of the caller's codes against their definition: zero points and scales given with the run, none, one, or one
//! a row; every output; batches, threads, extremes, the bound; and what is refused.

mod common;

use common::{Backwards, Threads, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::{QuantParams, RealFormat, float16, requantize};
use fewbit::{
    Activation, ActivationMode, Bias, Code, Gemm, GemmDesc, GemmRun, Input, Linear, LinearDesc,
    LinearLayout, Output, Parallel, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, limited, reference, seed, supported_sets};

fn value(code: Code, byte: u8) -> i64 {
    match code {
        Code::U8 => byte as i64,
        _ => byte as i8 as i64,
    }
}

/// A value of an array of none, one or all.
fn pick<T: Copy>(values: &[T], index: usize, none: T) -> T {
    match values {
        [] => none,
        [one] => *one,
        all => all[index],
    }
}

struct Model {
    matrices: usize,
    rows: usize,
    n: usize,
    k: usize,
    lhs_code: Code,
    rhs_code: Code,
    layout: LinearLayout,
    stride: usize,
    lhs: Vec<u8>,
    lhs_stride: usize,
    lhs_batch_stride: usize,
    rhs: Vec<u8>,
    row_scales: Vec<f32>,
    row_zeros: Vec<i32>,
    scales: Vec<f32>,
    zeros: Vec<i32>,
    bias_s32: Option<Vec<i32>>,
    bias_f32: Option<Vec<f32>>,
    output: Output,
    activation: Activation,
}

impl Model {
    fn new(rng: &mut Rng) -> Model {
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

    fn desc(&self) -> GemmDesc<'_> {
        GemmDesc {
            n: self.n,
            k: self.k,
            lhs: self.lhs_code,
            rhs: Weights {
                block: 0,
                multipliers: &[],
                shifts: &[],
                code: self.rhs_code,
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
    fn definition(&self) -> Vec<u32> {
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

    fn run(&self, plan: &Gemm<'_>, parallel: &dyn Parallel) -> Vec<u32> {
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
        unsafe { plan.run(&run, parallel).unwrap() };
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

#[test]
fn every_product_equals_the_definition() {
    let mut rng = Rng::new(seed());
    for round in 0..400 {
        let model = Model::new(&mut rng);
        let expected = model.definition();
        for set in supported_sets() {
            let plan = Gemm::create(&model.desc(), set, &Allocator::DEFAULT).unwrap();
            let label =
                || format!("{} {:?} {:?}", plan.kernel_name(), model.output, model.lhs_code);
            assert_eq!(model.run(&plan, &Serial), expected, "{}", label());
            assert_eq!(model.run(&plan, &Backwards), expected, "{}", label());
            if round % 16 == 0 {
                assert_eq!(model.run(&plan, &Threads(3)), expected, "{}", label());
            }
        }
    }
}

fn desc<'a>(codes: &'a [u8], k: usize, lhs: Code) -> GemmDesc<'a> {
    GemmDesc {
        n: 1,
        k,
        lhs,
        rhs: Weights {
            block: 0,
            multipliers: &[],
            shifts: &[],
            code: Code::S8,
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

/// Any zero point may come with a run, so the worst difference is 255, whatever the lhs.
#[test]
fn the_bound_is_of_the_worst_zero_point() {
    let most = i32::MAX as usize / (128 * 255);
    for lhs in [Code::S8, Code::U8] {
        for k in [most, most + 1] {
            let codes = vec![0x80u8; k];
            let plan = Gemm::create(&desc(&codes, k, lhs), limited(), &Allocator::DEFAULT);
            if k > most {
                assert_eq!(plan.err().unwrap().status, Status::LimitExceeded);
                continue;
            }
            let plan = plan.unwrap();
            assert_eq!(plan.bound(), 128 * 255 * k as i64);
            let (low, high) = (lhs.format().qmin(), lhs.format().qmax());
            for (code, zero) in [(low, high), (high, low)] {
                let x = vec![code as u8; k];
                let needed = plan.workspace(1, 1).unwrap().size;
                let mut memory = workspace(needed);
                let mut y = [0i32];
                let run = GemmRun {
                    rows: 1,
                    lhs: x.as_ptr(),
                    lhs_stride: k,
                    lhs_batch_stride: 0,
                    lhs_scales: std::ptr::null(),
                    lhs_scale_count: 0,
                    lhs_zero_points: &zero,
                    lhs_zero_point_count: 1,
                    workspace: memory.as_mut_ptr(),
                    workspace_size: needed,
                    dst: y.as_mut_ptr().cast(),
                    dst_stride: 1,
                    dst_batch_stride: 0,
                };
                // SAFETY: a row of k codes, a zero point and a sum.
                unsafe { plan.run(&run, &Serial).unwrap() };
                assert_eq!(i64::from(y[0]), i64::from(code - zero) * -128 * k as i64);
            }
        }
    }
}

#[test]
fn wrong_products_are_refused() {
    let codes = [1u8; 12];
    let good = GemmDesc { n: 4, ..desc(&codes, 3, Code::U8) };
    let create = |desc: &GemmDesc<'_>| Gemm::create(desc, limited(), &Allocator::DEFAULT);
    for (bad, status, argument) in [
        (GemmDesc { n: 0, ..good }, Status::InvalidArgument, "desc.n"),
        (GemmDesc { k: 0, ..good }, Status::InvalidArgument, "desc.k"),
        (GemmDesc { matrices: 0, ..good }, Status::InvalidArgument, "desc.matrices"),
        (GemmDesc { rhs_stride: 2, ..good }, Status::InvalidArgument, "desc.rhs_stride"),
        (GemmDesc { k: 4, ..good }, Status::BufferTooSmall, "desc.rhs.data"),
        (
            GemmDesc { rhs: Weights { scales: &[1.0, 2.0], ..good.rhs }, ..good },
            Status::InvalidArgument,
            "desc.rhs.scales",
        ),
        (
            GemmDesc { rhs: Weights { zero_points: &[128], ..good.rhs }, ..good },
            Status::InvalidArgument,
            "desc.rhs.zero_points",
        ),
        (GemmDesc { bias: Bias::F32(&[0.0; 4]), ..good }, Status::Unsupported, "desc.bias"),
        (
            GemmDesc { activation: Activation::Gelu, ..good },
            Status::Unsupported,
            "desc.output.activation",
        ),
    ] {
        let error = create(&bad).err().unwrap();
        assert_eq!((error.status, error.argument), (status, argument), "{error}");
    }
    let plan = create(&good).unwrap();
    assert_eq!((plan.shape(), plan.matrices(), plan.lhs()), ((4, 3), 1, Code::U8));
    assert_eq!(plan.output(), Output::S32);
    let needed = plan.workspace(2, 1).unwrap().size;
    let mut memory = workspace(needed);
    let (x, scales, zeros) = ([1u8; 6], [1.0f32; 2], [0i32; 2]);
    let mut y = [7i32; 8];
    let (nan, beyond, below) = ([1.0, f32::NAN], [0, 256], [-1]);
    let run = GemmRun {
        rows: 2,
        lhs: x.as_ptr(),
        lhs_stride: 3,
        lhs_batch_stride: 0,
        lhs_scales: scales.as_ptr(),
        lhs_scale_count: 2,
        lhs_zero_points: zeros.as_ptr(),
        lhs_zero_point_count: 2,
        workspace: memory.as_mut_ptr(),
        workspace_size: needed,
        dst: y.as_mut_ptr().cast(),
        dst_stride: 4,
        dst_batch_stride: 0,
    };
    let inside = y.as_ptr();
    for (bad, status, argument) in [
        (GemmRun { lhs: std::ptr::null(), ..run }, Status::NullPointer, "lhs"),
        (GemmRun { dst: std::ptr::null_mut(), ..run }, Status::NullPointer, "dst"),
        (GemmRun { lhs_scales: std::ptr::null(), ..run }, Status::NullPointer, "lhs_scales"),
        (GemmRun { lhs_stride: 2, ..run }, Status::InvalidArgument, "lhs_stride"),
        (GemmRun { dst_stride: 3, ..run }, Status::InvalidArgument, "dst_stride"),
        (GemmRun { lhs_scale_count: 3, ..run }, Status::InvalidArgument, "lhs_scale_count"),
        (
            GemmRun { lhs_zero_point_count: 3, ..run },
            Status::InvalidArgument,
            "lhs_zero_point_count",
        ),
        (GemmRun { lhs_scales: nan.as_ptr(), ..run }, Status::InvalidArgument, "lhs_scales"),
        (
            GemmRun { lhs_zero_points: beyond.as_ptr(), ..run },
            Status::InvalidArgument,
            "lhs_zero_points",
        ),
        (
            GemmRun { lhs_zero_points: below.as_ptr(), lhs_zero_point_count: 1, ..run },
            Status::InvalidArgument,
            "lhs_zero_points",
        ),
        (
            GemmRun { lhs_zero_points: inside, lhs_zero_point_count: 1, ..run },
            Status::Overlap,
            "dst",
        ),
        (GemmRun { lhs: inside.cast(), ..run }, Status::Overlap, "dst"),
        (GemmRun { workspace_size: needed - 1, ..run }, Status::BufferTooSmall, "workspace_size"),
    ] {
        // SAFETY: two rows on both sides.
        let error = unsafe { plan.run(&bad, &Serial) }.unwrap_err();
        assert_eq!((error.status, error.argument), (status, argument), "{error}");
        assert_eq!(y, [7; 8], "a refused run wrote");
    }
    // SAFETY: as above.
    unsafe { plan.run(&run, &Serial) }.unwrap();
    assert_eq!(y, [3; 8]);

    let linear = LinearDesc {
        in_features: 3,
        out_features: 4,
        weights: Weights { scales: &[1.0], ..good.rhs },
        layout: LinearLayout::Nk,
        weight_stride: 0,
        input: Input::CodesPerRow(Code::U8),
        bias: Bias::None,
        output: Output::S32,
        activation: Activation::None,
        activation_mode: ActivationMode::Float,
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
    };
    let error = Linear::create(&linear, limited(), &Allocator::DEFAULT).err().unwrap();
    assert_eq!((error.status, error.argument), (Status::Unsupported, "desc.input"));
}
