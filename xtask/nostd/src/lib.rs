//! The inner crates as firmware would link them: no std, no libc, no unwinding. A reachable panic
//! would need the handler below, and so a symbol that nobody defines.
#![no_std]

use core::ffi::c_int;
use fewbit_kernels::Rows;
use fewbit_granularity::{Granularity, Layout};
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_kernels::registry::best;
use fewbit_kernels::reduce;
use fewbit_scheme::{
    FixedMultiplier, FixedRounding, IntFormat, ParamSpec, QuantizeMode, Scheme, SymmetricRange,
};
use fewbit_simd::{IsaSet, Supported};

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn fewbit_panic_is_reachable() -> !;
    }
    // SAFETY: never linked, as no panic is reachable; that is what is being proven.
    unsafe { fewbit_panic_is_reachable() }
}

/// The number of kernels; with it, all of them are linked.
#[unsafe(no_mangle)]
pub extern "C" fn nostd_kernels() -> usize {
    fewbit_kernels::rows().count()
}

/// Quantizes a matrix per row with the kernel for the given features, parameters from its rows'
/// ranges. 0 if all is well.
///
/// # Safety
/// `x` and `q` hold `rows * columns` elements, `scales` and `zero_points` `rows`; the CPU has the
/// features whose bits are set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nostd_quantize_rows(
    features: u32,
    x: *const f32,
    rows: usize,
    columns: usize,
    scales: *mut f32,
    zero_points: *mut i32,
    q: *mut i8,
) -> c_int {
    // SAFETY: by this function's contract.
    let supported = unsafe { Supported::assume(IsaSet::from_bits(features)) };
    let Ok(layout) = Layout::contiguous(&[rows, columns]) else { return 1 };
    let Ok(walk) = (Granularity::PerAxis { axis: 0 }).walk([&layout]) else { return 1 };
    let Some(range) = best(reduce::MIN_MAX, supported) else { return 1 };
    let Some(kernel) = best(quantize::F32_S8, supported) else { return 1 };
    let spec = ParamSpec {
        format: IntFormat::S8,
        scheme: Scheme::Affine,
        range: SymmetricRange::Full,
        power_of_two: false,
    };
    for run in walk {
        let [at] = run.offsets;
        let [stride] = run.strides;
        // SAFETY: a run lies within the layout, and there is a parameter for each row.
        unsafe {
            let (min, max) = range.run()(x.add(at).cast(), stride, run.len);
            let Ok(params) = fewbit_scheme::params_from_range(min, max, &spec) else { return 1 };
            *scales.add(run.param) = params.scale;
            *zero_points.add(run.param) = params.zero_point;
            kernel.run()(&QuantizeArgs {
                src: x.add(at).cast(),
                src_stride: stride,
                dst: q.add(at).cast(),
                dst_stride: stride,
                n: run.len,
                scales: scales.add(run.param),
                zero_points: zero_points.add(run.param),
                param_step: run.param_step,
                rows: Rows::ONE,
                mode: QuantizeMode::default(),
                clamp: (-128, 127),
            });
        }
    }
    0
}

/// Requantizes with integers only, as devices without a float unit do.
#[unsafe(no_mangle)]
pub extern "C" fn nostd_requantize(acc: i32, multiplier: i32, shift: i32, zero_point: i32) -> i32 {
    let multiplier = FixedMultiplier { multiplier, shift };
    let format = IntFormat::S8;
    let all = (format.qmin(), format.qmax());
    fewbit_scheme::requantize_fixed(acc, multiplier, FixedRounding::Single, zero_point, format, all)
}
