//! Packed weights: saved, changed, and read again. Whatever is in them, a plan of them is refused or safe; unchanged ones
//! compute what those that wrote them do.

use crate::conv::{self, Conv};
use crate::gemm;
use crate::input::Input;
use crate::linear::{self, Layer};
use crate::memory::{Given, Memory, error, everywhere};
use fewbit_ffi::*;
use std::ptr::{NonNull, null, null_mut};

/// The bytes before the checksum, and those that it covers.
const SUM: std::ops::Range<usize> = 8..16;

/// What happens to the bytes.
struct Change {
    /// Where, as a share of all, and what is there then.
    bytes: Vec<(u16, u8)>,
    /// Where in the header.
    header: Vec<(u8, u8)>,
    /// Whether the checksum is made to fit again.
    summed: bool,
    /// How many bytes are told.
    cut: Option<u16>,
    /// Whether they are told at an address that is misaligned.
    moved: bool,
}

impl Change {
    fn new(input: &mut Input) -> Change {
        let some = input.below(3);
        Change {
            bytes: (0..input.below(4))
                .take(some)
                .map(|_| (input.word() as u16, input.byte()))
                .collect(),
            header: (0..input.below(4))
                .take(some)
                .map(|_| (16 + input.byte() % 112, input.byte()))
                .collect(),
            summed: input.flag(),
            cut: (input.below(8) == 7).then(|| input.word() as u16),
            moved: input.below(24) == 23,
        }
    }

    /// Whether the bytes stay those that were written, wherever they are told.
    fn is_none(&self) -> bool {
        self.bytes.is_empty() && self.header.is_empty() && self.cut.is_none()
    }

    /// Applies it; the memory, how many bytes of it are told, whether it must be refused.
    fn apply(&self, packed: &[u8]) -> (Memory, usize, bool) {
        let share = |at: u16| (packed.len() * usize::from(at)) >> 16;
        let mut changed = packed.to_vec();
        self.bytes.iter().for_each(|&(at, byte)| changed[share(at)] = byte);
        self.header.iter().for_each(|&(at, byte)| changed[usize::from(at)] = byte);
        if self.summed {
            let sum = xxh64(&changed[SUM.end..]);
            changed[SUM].copy_from_slice(&sum.to_ne_bytes());
        }
        let size = self.cut.map_or(packed.len(), share);
        let refused = size < packed.len() || self.moved || (changed != packed && !self.summed);
        // The end of the memory is the end of what is told.
        let mut exact = Memory::new(size + usize::from(self.moved), 64);
        let start = usize::from(self.moved);
        exact.bytes_mut()[start..start + size].copy_from_slice(&changed[..size]);
        (exact, size, refused)
    }
}

/// A plan that is saved, changed, and made again for each instruction set.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(3) {
        0 => linear(&mut input),
        1 => gemm(&mut input),
        _ => conv(&mut input),
    }
}

fn linear(input: &mut Input) {
    let Some(mut layer) = Layer::new(input) else { return };
    let Some(call) = linear::Run::new(input, &mut layer) else { return };
    let (change, desc) = (Change::new(input), without(input, &layer.desc.weights));
    let (desc, own) = (fewbit_linear_desc { weights: desc, ..layer.desc }, &layer.desc);
    // SAFETY (of all calls): descriptions whose arrays are as long as they say, live plans, memory as they tell.
    let run = || unsafe {
        let mut made = null_mut();
        if fewbit_linear_create(own, &raw mut made, null_mut()) != 0 {
            return None;
        }
        let mut size = 0usize;
        let packed = (fewbit_linear_packed_size(made, &raw mut size, null_mut()) == 0).then(|| {
            let packed = Memory::new(size, 64);
            assert_eq!(fewbit_linear_save_packed(made, packed.start(), size, null_mut()), 0);
            packed
        });
        let given = call.on(made, own);
        fewbit_linear_destroy(made);
        let packed = packed?;
        let (changed, size, refused) = change.apply(packed.bytes());
        let (mut again, mut error) = (null_mut(), error());
        let start = changed.start::<u8>().wrapping_add(usize::from(change.moved));
        let status =
            fewbit_linear_create_packed(&desc, start.cast(), size, &raw mut again, &raw mut error);
        Given::new(status, Some(&error), &[]);
        assert!(!refused || status != 0, "changed weights were taken");
        let result = NonNull::new(again).map(|again| {
            let result = call.on(again.as_ptr(), &desc);
            fewbit_linear_destroy(again.as_ptr());
            result
        });
        if let Some(result) = &result {
            assert!(
                changed.bytes() != packed.bytes() || *result == given,
                "weights that were written"
            );
        }
        // Layouts differ between instruction sets, and so does what a change hits: it may write what was there.
        change.is_none().then_some((status != 0, result))
    };
    if layer.refusing {
        drop(run())
    } else {
        drop(everywhere(run))
    }
    layer.allocator.check_empty();
}

fn gemm(input: &mut Input) {
    let Some(mut layer) = Layer::new(input) else { return };
    let own = gemm::desc_of(input, &layer);
    let Some(call) = gemm::Run::new(input, &own, &mut layer) else { return };
    let (change, rhs) = (Change::new(input), without(input, &own.rhs));
    let desc = fewbit_gemm_desc { rhs, ..own };
    // SAFETY (of all calls): as above.
    let run = || unsafe {
        let mut made = null_mut();
        if fewbit_gemm_create(&own, &raw mut made, null_mut()) != 0 {
            return None;
        }
        let mut size = 0usize;
        let packed = (fewbit_gemm_packed_size(made, &raw mut size, null_mut()) == 0).then(|| {
            let packed = Memory::new(size, 64);
            assert_eq!(fewbit_gemm_save_packed(made, packed.start(), size, null_mut()), 0);
            packed
        });
        let given = call.on(made, &own);
        fewbit_gemm_destroy(made);
        let packed = packed?;
        let (changed, size, refused) = change.apply(packed.bytes());
        let (mut again, mut error) = (null_mut(), error());
        let start = changed.start::<u8>().wrapping_add(usize::from(change.moved));
        let status =
            fewbit_gemm_create_packed(&desc, start.cast(), size, &raw mut again, &raw mut error);
        Given::new(status, Some(&error), &[]);
        assert!(!refused || status != 0, "changed weights were taken");
        let result = NonNull::new(again).map(|again| {
            let result = call.on(again.as_ptr(), &desc);
            fewbit_gemm_destroy(again.as_ptr());
            result
        });
        if let Some(result) = &result {
            assert!(
                changed.bytes() != packed.bytes() || *result == given,
                "weights that were written"
            );
        }
        change.is_none().then_some((status != 0, result))
    };
    if layer.refusing {
        drop(run())
    } else {
        drop(everywhere(run))
    }
    layer.allocator.check_empty();
}

fn conv(input: &mut Input) {
    let Some(mut of) = Conv::new(input) else { return };
    let call = conv::Run::new(input, &mut of);
    let (change, weights) = (Change::new(input), without(input, &of.desc.weights));
    let mut desc = fewbit_conv_desc { weights, ..of.desc };
    if input.below(4) == 0 {
        // Another image and other strides than those of the plan that wrote them.
        desc.axes.iter_mut().for_each(|axis| {
            axis.size = input.extent(6);
            axis.stride = input.size(3);
            axis.dilation = input.size(2);
            axis.kernel = if input.wrong() { input.size(4) } else { axis.kernel };
        });
    }
    let other = desc
        .axes
        .iter()
        .zip(&of.desc.axes)
        .any(|(a, b)| (a.size, a.stride, a.dilation) != (b.size, b.stride, b.dilation));
    // SAFETY (of all calls): as above.
    let run = || unsafe {
        let (status, made) = of.create(&mut error());
        if status != 0 {
            return None;
        }
        let mut size = 0usize;
        let packed = (fewbit_conv_packed_size(made, &raw mut size, null_mut()) == 0).then(|| {
            let packed = Memory::new(size, 64);
            assert_eq!(fewbit_conv_save_packed(made, packed.start(), size, null_mut()), 0);
            packed
        });
        let given = call.on(made, &of.desc);
        fewbit_conv_destroy(made);
        let packed = packed?;
        let (changed, size, refused) = change.apply(packed.bytes());
        let (mut again, mut error) = (null_mut(), error());
        let start = changed.start::<u8>().wrapping_add(usize::from(change.moved));
        let status =
            fewbit_conv_create_packed(&desc, start.cast(), size, &raw mut again, &raw mut error);
        Given::new(status, Some(&error), &[]);
        assert!(!refused || status != 0, "changed weights were taken");
        let result = NonNull::new(again).map(|again| {
            let result = call.on(again.as_ptr(), &desc);
            fewbit_conv_destroy(again.as_ptr());
            result
        });
        if let Some(result) = &result {
            assert!(
                other || changed.bytes() != packed.bytes() || *result == given,
                "weights that were written"
            );
        }
        change.is_none().then_some((status != 0, result))
    };
    if of.refusing {
        drop(run())
    } else {
        drop(everywhere(run))
    }
    of.allocator.check_empty();
}

/// Weights that come packed: nothing but what is described anew; or what was there, which is not looked at.
fn without(input: &mut Input, of: &fewbit_weights) -> fewbit_weights {
    if input.below(4) == 0 {
        return *of;
    }
    fewbit_weights {
        data: null(),
        scales: null(),
        scale_count: 0,
        zero_points: null(),
        zero_point_count: 0,
        ..*of
    }
}

/// XXH64 with the seed 0, a second time: the library's own is private.
fn xxh64(bytes: &[u8]) -> u64 {
    const P: [u64; 5] = [
        0x9E37_79B1_85EB_CA87,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5,
    ];
    let round = |lane: u64, word: u64| {
        lane.wrapping_add(word.wrapping_mul(P[1])).rotate_left(31).wrapping_mul(P[0])
    };
    let word =
        |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut hash = P[4];
    if bytes.len() >= 32 {
        let mut lanes = [P[0].wrapping_add(P[1]), P[1], 0, P[0].wrapping_neg()];
        for stripe in stripes {
            for (lane, bytes) in lanes.iter_mut().zip(stripe.chunks(8)) {
                *lane = round(*lane, word(bytes));
            }
        }
        hash =
            (0..4).fold(0u64, |hash, i| hash.wrapping_add(lanes[i].rotate_left([1, 7, 12, 18][i])));
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(P[0]).wrapping_add(P[3]);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    while rest.len() >= 8 {
        hash = (hash ^ round(0, word(&rest[..8])))
            .rotate_left(27)
            .wrapping_mul(P[0])
            .wrapping_add(P[3]);
        rest = &rest[8..];
    }
    if rest.len() >= 4 {
        hash = (hash ^ word(&rest[..4]).wrapping_mul(P[0]))
            .rotate_left(23)
            .wrapping_mul(P[1])
            .wrapping_add(P[2]);
        rest = &rest[4..];
    }
    for &byte in rest {
        hash = (hash ^ u64::from(byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(P[1]);
    hash = (hash ^ hash >> 29).wrapping_mul(P[2]);
    hash ^ hash >> 32
}
