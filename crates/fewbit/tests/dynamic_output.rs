//! Plans whose output's parameters each row chooses, against the same plan with f32 output, quantized by row.

mod common;

use common::layers::{
    CHANNELS, CODES, FILTERS, GOOD, PARAMS, any_spec, by_row, conv, create, floats, halves, linear,
    real_operands, refused, shapes,
};
use common::{Backwards, Threads, aligned, bits, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::ParamSpec;
use fewbit::{
    ActivationMode, Code, Conv, ConvDesc, ImageLayout, Linear, LinearDesc, LinearLayout, LinearRun,
    Output, OutputParams, Parallel, Residual, Serial, Status,
};
use fewbit_testkit::{Rng, covered, report, sampled, seed, supported_sets};

#[test]
fn dynamic_output_is_that_of_f32_quantized_by_row() {
    let mut rng = Rng::new(seed() ^ 0xD1);
    for (m, n, k) in sampled("dynamic output m x n x k", 5, shapes()) {
        let operands = real_operands(&mut rng, n, n * k);
        let code = rng.pick(&CODES);
        let spec = any_spec(&mut rng, code);
        let data = aligned(&operands.any_data(&mut rng, m, m * k));
        let residual = aligned(&operands.finish.residuals(&mut rng, m * n));
        for set in supported_sets() {
            let real = linear(&operands, (n, k), LinearLayout::Nk);
            let desc = LinearDesc { output: Output::DynamicPerRow(code, spec), ..real };
            let real = Linear::create(&real, set, &Allocator::DEFAULT).unwrap();
            let plan = Linear::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let mut memory = workspace(plan.workspace(m, 3).unwrap().size);
            let (x, x_stride) = (data.as_ptr(), k);
            let mut y = vec![0f32; m * n];
            let call = |y: *mut u8, y_stride, memory: &mut [u8]| LinearRun {
                rows: m,
                x,
                x_stride,
                residual: residual.as_ptr(),
                residual_stride: n,
                workspace: memory.as_mut_ptr(),
                workspace_size: memory.len(),
                y,
                y_stride,
            };
            let whole = call(y.as_mut_ptr().cast(), n, &mut memory);
            // SAFETY: contiguous rows.
            unsafe { real.run_raw(&whole, &Serial, (0..m, 0..n)) }.unwrap();
            let expected = by_row(&y, m, spec, set);
            let stride = n + 3;
            for (splits, parallel) in
                [(1, &Serial as &dyn Parallel), (1, &Backwards), (3, &Backwards)]
            {
                let mut codes = vec![0x5Au8; m * stride];
                let (mut scales, mut zeros) = (vec![-1.0; m], vec![1000; m]);
                let run = call(codes.as_mut_ptr(), stride, &mut memory);
                let params =
                    OutputParams { scales: scales.as_mut_ptr(), zero_points: zeros.as_mut_ptr() };
                for part in 0..splits {
                    let rows = m * part / splits..m * (part + 1) / splits;
                    let end = rows.end;
                    // SAFETY: rows `stride` apart, and a value a row.
                    unsafe { plan.run_dynamic_raw(&run, &params, parallel, rows) }.unwrap();
                    // SAFETY: as above: reads between the calls that write.
                    let next = unsafe { params.scales.add(end.min(m - 1)).read() };
                    assert!(end == m || next == -1.0, "beyond the range");
                }
                let rows = codes.chunks_exact(stride);
                let dense: Vec<u8> = rows.clone().flat_map(|row| row[..n].to_vec()).collect();
                assert!(rows.clone().all(|row| row[n..].iter().all(|&b| b == 0x5A)));
                let label = || format!("{} {operands:?} {spec:?}", plan.kernel_name());
                assert_eq!(dense, expected.0, "{}", label());
                assert_eq!(bits(&scales), bits(&expected.1), "{}", label());
                assert_eq!(zeros, expected.2, "{}", label());
            }
            covered("dynamic_output", set.set(), 1);
        }
    }
    report();
}

#[test]
fn dynamic_output_of_convolutions_is_that_of_f32_quantized_by_image() {
    let mut rng = Rng::new(seed() ^ 0xD2);
    for _ in 0..60 {
        let layout = rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]);
        let images = 1 + rng.below(3);
        let mut operands = real_operands(&mut rng, CHANNELS.1, FILTERS);
        if !matches!(operands.finish.residual, Residual::None | Residual::Codes(..)) {
            operands.finish.residual = Residual::None;
        }
        let code = rng.pick(&CODES);
        let spec = any_spec(&mut rng, code);
        for set in supported_sets() {
            let real = conv(&operands, layout);
            let desc = ConvDesc { output: Output::DynamicPerRow(code, spec), ..real };
            let real = Conv::create(&real, set, &Allocator::DEFAULT).unwrap();
            let plan = Conv::create(&desc, set, &Allocator::DEFAULT).unwrap();
            let (inputs, outputs) = plan.image_elements();
            let data = operands.any_data(&mut rng, images, images * inputs);
            let residual = operands.finish.residuals(&mut rng, images * outputs);
            let mut memory = workspace(plan.workspace(images, 2).unwrap().size);
            let mut y = vec![0f32; images * outputs];
            let mut codes = vec![0u8; images * outputs];
            let (mut scales, mut zeros) = (vec![0.0; images], vec![0; images]);
            macro_rules! both {
                ($x:expr) => {{
                    let x = $x;
                    let (r, w, out) = (&residual, &mut memory, &mut y);
                    real.run_with_residual(images, x, r, w, &Serial, out).unwrap();
                    let (places, out) = ((&mut scales[..], &mut zeros[..]), &mut codes);
                    let threads = Threads(2);
                    let w = &mut memory;
                    plan.run_dynamic(images, x, r, w, &threads, out, places).unwrap();
                }};
            }
            match operands.input_element() {
                1 => both!(&data),
                2 => both!(&halves(&data)),
                _ => both!(&floats(&data)),
            }
            let expected = by_row(&y, images, spec, set);
            assert_eq!(codes, expected.0, "{operands:?} {spec:?}");
            assert_eq!(bits(&scales), bits(&expected.1), "{operands:?} {spec:?}");
            assert_eq!(zeros, expected.2, "{operands:?} {spec:?}");
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    use Status::{InvalidArgument, NullPointer, Overlap, Unsupported};
    let (good, real) = (GOOD, GOOD);
    let spec = ParamSpec::affine(Code::U8.format());
    let activation_mode = ActivationMode::Table(Code::S8, PARAMS);
    let desc = LinearDesc { output: Output::DynamicPerRow(Code::S8, spec), ..good };
    assert_eq!(refused(desc), (InvalidArgument, "desc.output"));
    let desc = LinearDesc { output: Output::DynamicPerRow(Code::U8, spec), ..good };
    assert_eq!(
        refused(LinearDesc { activation_mode, ..desc }),
        (Unsupported, "desc.output.activation")
    );
    let plan = create(&desc).unwrap();
    let mut memory = workspace(plan.workspace(2, 1).unwrap().size);
    let (x, mut y) = ([1u8; 64], [7u8; 4]);
    let error = plan.run(2, &x, &mut memory, &Serial, &mut y).unwrap_err();
    assert_eq!((error.status, error.argument), (Unsupported, "linear"));
    let (mut scales, mut zeros) = ([7.0f32; 4], [7i32; 4]);
    let run = LinearRun {
        rows: 2,
        x: x.as_ptr(),
        x_stride: 32,
        residual: std::ptr::null(),
        residual_stride: 0,
        workspace: memory.as_mut_ptr(),
        workspace_size: memory.len(),
        y: y.as_mut_ptr(),
        y_stride: 2,
    };
    let null = std::ptr::null_mut::<u8>();
    let dynamic = |scales: *mut f32, zero_points: *mut i32, plan: &Linear, range| {
        let params = OutputParams { scales, zero_points };
        // SAFETY: refused before anything is touched, or within the buffers.
        unsafe { plan.run_dynamic_raw(&run, &params, &Serial, range) }
            .map_err(|error| (error.status, error.argument))
    };
    let (at, zero) = (scales.as_mut_ptr(), zeros.as_mut_ptr());
    assert_eq!(dynamic(null.cast(), zero, &plan, 0..2), Err((NullPointer, "scales")));
    assert_eq!(dynamic(at, null.cast(), &plan, 0..2), Err((NullPointer, "zero_points")));
    assert_eq!(dynamic(at, at.cast(), &plan, 0..2), Err((Overlap, "zero_points")));
    assert_eq!(dynamic(run.y.cast(), zero, &plan, 0..2).unwrap_err().1, "scales");
    assert_eq!(dynamic(at, run.workspace.cast(), &plan, 0..2), Err((Overlap, "zero_points")));
    assert_eq!(dynamic(at, zero, &plan, 0..3), Err((InvalidArgument, "row_end")));
    let symmetric = ParamSpec::symmetric(Code::U8.format());
    let output = Output::DynamicPerRow(Code::U8, symmetric);
    let without = create(&LinearDesc { output, ..good }).unwrap();
    assert_eq!(dynamic(at, zero, &create(&real).unwrap(), 0..2), Err((Unsupported, "linear")));
    assert_eq!((scales, zeros, y), ([7.0; 4], [7; 4], [7; 4]));
    assert_eq!(dynamic(at, null.cast(), &without, 0..2), Ok(()));
    assert_eq!(dynamic(at, zero, &plan, 1..2), Ok(()));
    // SAFETY: one value of this test's own, written by the run.
    assert!(unsafe { zero.read() } == 7 && unsafe { zero.add(1).read() } != 7);
}
