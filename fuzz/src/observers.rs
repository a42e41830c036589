//! Calibration: parameters from ranges, observers of any state, metrics.

use crate::input::Input;
use crate::memory::{Given, Memory, error, everywhere};
use crate::parts::struct_size;
use crate::tensors::spec_of;
use fewbit_ffi::*;

/// Some calls in a row on two observers, which start in a state of any bits.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(4) {
        0 => ranges(&mut input),
        1 => compared(&mut input),
        2 => min_max(&mut input),
        _ => averages(&mut input),
    }
}

fn reals(input: &mut Input, n: usize) -> Memory {
    let bytes: Vec<u8> = input.reals(n).into_iter().flat_map(f32::to_ne_bytes).collect();
    Memory::of(&bytes, 4)
}

fn ranges(input: &mut Input) {
    let mut spec = spec_of(input, 2);
    spec.struct_size = struct_size::<fewbit_tensor_quant>(input);
    let (min, max) = (input.real(), input.real());
    everywhere(|| {
        let made = Memory::new(8, 4);
        let mut error = error();
        // SAFETY: a description, one result, an error.
        let status =
            unsafe { fewbit_params_from_range(min, max, &spec, made.start(), &raw mut error) };
        let given = Given::new(status, Some(&error), &[&made]);
        if status == 0 {
            // SAFETY: just written.
            let params = unsafe { made.start::<fewbit_quant_params>().read() };
            assert!(params.scale > 0.0 && params.scale.is_finite(), "{params:?} of {min}..{max}");
        }
        given
    });
}

fn compared(input: &mut Input) {
    let n = input.below(150);
    let (a, b) = (reals(input, n), reals(input, n));
    let a = input.pointer(a.start::<f32>(), 4);
    everywhere(|| {
        let quality = Memory::new(size_of::<fewbit_quality>(), 8);
        // SAFETY: n numbers each.
        let status = unsafe { fewbit_compare_f32(a, b.start(), n, quality.start()) };
        Given::new(status, None, &[&quality])
    });
}

/// The state that an observer starts in: its own, or any bits.
fn state(input: &mut Input, size: usize, init: impl Fn(&Memory)) -> Vec<u8> {
    if input.flag() {
        return input.codes(size);
    }
    let memory = Memory::new(size, 8);
    init(&memory);
    memory.bytes().to_vec()
}

fn min_max(input: &mut Input) {
    let size = size_of::<fewbit_min_max>();
    // SAFETY (of all calls): a state of the right size, n numbers.
    let init = |memory: &Memory| assert_eq!(unsafe { fewbit_min_max_init(memory.start()) }, 0);
    let (first, second) = (state(input, size, init), state(input, size, init));
    let n = input.below(150);
    let x = reals(input, n);
    everywhere(|| {
        let (a, b) = (Memory::of(&first, 8), Memory::of(&second, 8));
        let statuses = unsafe {
            (
                fewbit_min_max_observe(x.start(), n, a.start()),
                fewbit_min_max_merge(a.start(), b.start()),
                fewbit_min_max_merge(b.start(), b.start()),
            )
        };
        (statuses, a.bytes().to_vec(), b.bytes().to_vec())
    });
}

fn averages(input: &mut Input) {
    let size = size_of::<fewbit_moving_average>();
    // SAFETY (of all calls): as above.
    let init =
        |memory: &Memory| assert_eq!(unsafe { fewbit_moving_average_init(memory.start()) }, 0);
    let (first, second) = (state(input, size, init), state(input, size, init));
    let n = input.below(60);
    let x = reals(input, n);
    everywhere(|| {
        let (a, b, ends) = (Memory::of(&first, 8), Memory::of(&second, 8), Memory::new(8, 4));
        let statuses = unsafe {
            (
                fewbit_moving_average_observe(x.start(), n, a.start()),
                fewbit_moving_average_observe(x.start(), n / 2, a.start()),
                fewbit_moving_average_merge(a.start(), b.start()),
                fewbit_moving_average_merge(b.start(), b.start()),
                fewbit_moving_average_range(
                    b.start(),
                    ends.start(),
                    ends.start::<f32>().wrapping_add(1),
                ),
            )
        };
        (statuses, a.bytes().to_vec(), b.bytes().to_vec(), ends.bytes().to_vec())
    });
}
