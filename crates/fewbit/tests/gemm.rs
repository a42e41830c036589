//! Products of the caller's codes against their definition: zero points and scales given with the run, none, one, or one
//! a row; every output; batches, threads, extremes, the bound; and what is refused.

mod common;

use common::products::{Model, desc};
use common::{Backwards, Threads, workspace};
use fewbit::memory::Allocator;
use fewbit::{
    Activation, ActivationMode, Bias, Code, Gemm, GemmDesc, GemmProblem, GemmRun, Input, Linear,
    LinearDesc, LinearLayout, Output, Residual, Serial, Status, Weights,
};
use fewbit_testkit::{Rng, limited, seed, supported_sets};

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
                unsafe { plan.run_raw(&run, &Serial).unwrap() };
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
    assert_eq!((plan.shape(), plan.matrices(), plan.lhs()), ((4, 3), 1, Code::U8.format()));
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
        let error = unsafe { plan.run_raw(&bad, &Serial) }.unwrap_err();
        assert_eq!((error.status, error.argument), (status, argument), "{error}");
        assert_eq!(y, [7; 8], "a refused run wrote");
    }
    // SAFETY: as above.
    unsafe { plan.run_raw(&run, &Serial) }.unwrap();
    assert_eq!(y, [3; 8]);

    wrong_groups_are_refused(&plan);

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

/// Of a plan of 3 u8 codes and 4 sums.
fn wrong_groups_are_refused(plan: &Gemm<'_>) {
    let x = [1u8; 12];
    let (mut y, scales, zeros, beyond) = ([7i32; 24], [1.0f32; 2], [0i32; 2], [256i32]);
    let needed = plan.grouped_workspace(2, 4, 1).unwrap().size;
    let mut memory = workspace(needed);
    let memory = (memory.as_mut_ptr(), needed);
    let at = y.as_mut_ptr();
    let good = GemmProblem {
        matrix: 0,
        rows: 2,
        lhs: x.as_ptr(),
        lhs_stride: 3,
        lhs_scales: scales.as_ptr(),
        lhs_scale_count: 2,
        lhs_zero_points: zeros.as_ptr(),
        lhs_zero_point_count: 1,
        dst: at.cast(),
        dst_stride: 4,
    };
    let other = GemmProblem { dst: at.wrapping_add(12).cast(), ..good };
    let inside = |at: usize| y.as_ptr().wrapping_add(at);
    let run = |problems: &[GemmProblem]| {
        // SAFETY: two rows on both sides of each.
        unsafe { plan.run_grouped_raw(problems, memory, &Serial) }
            .map_err(|error| (error.status, error.argument))
    };
    use Status::{InvalidArgument, NullPointer, Overlap};
    for (bad, why) in [
        (GemmProblem { matrix: 1, ..other }, (InvalidArgument, "matrix")),
        (GemmProblem { lhs: std::ptr::null(), ..other }, (NullPointer, "lhs")),
        (GemmProblem { dst: std::ptr::null_mut(), ..other }, (NullPointer, "dst")),
        (GemmProblem { lhs_stride: 2, ..other }, (InvalidArgument, "lhs_stride")),
        (GemmProblem { dst_stride: 3, ..other }, (InvalidArgument, "dst_stride")),
        (GemmProblem { lhs_scales: std::ptr::null(), ..other }, (NullPointer, "lhs_scales")),
        (GemmProblem { lhs_scale_count: 3, ..other }, (InvalidArgument, "lhs_scale_count")),
        (
            GemmProblem { lhs_zero_point_count: usize::MAX, ..other },
            (InvalidArgument, "lhs_zero_point_count"),
        ),
        (
            GemmProblem { lhs_zero_points: beyond.as_ptr(), ..other },
            (InvalidArgument, "lhs_zero_points"),
        ),
        (GemmProblem { dst: at.wrapping_add(7).cast(), ..other }, (Overlap, "dst")),
        // In its own results, in those of the other, and in the workspace.
        (GemmProblem { lhs_zero_points: inside(12), ..other }, (Overlap, "dst")),
        (GemmProblem { lhs_zero_points: inside(1), ..other }, (Overlap, "dst")),
        (GemmProblem { lhs: inside(0).cast(), ..other }, (Overlap, "dst")),
        (GemmProblem { lhs: memory.0, ..other }, (Overlap, "workspace")),
    ] {
        assert_eq!(run(&[good, bad]), Err(why), "{bad:?}");
    }
    assert_eq!(y, [7; 24], "a refused run wrote");
    // SAFETY: as above: within the test's own array.
    let between = |at: usize| unsafe { y.as_ptr().add(at) };
    let given = GemmProblem { lhs_zero_points: between(8), ..other };
    assert_eq!(run(&[good, given]), Ok(()));
    assert_eq!(run(&[GemmProblem { rows: 0, lhs: std::ptr::null(), ..good }]), Ok(()));
    assert_eq!((y[0], y[8], y[12]), (3, 7, 3 * (1 - 7)));
}
