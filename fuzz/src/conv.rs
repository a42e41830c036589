//! Convolutions, transposed ones and depthwise ones too.

use crate::input::Input;
use crate::linear::bytes_of;
use crate::memory::{Allocator, Given, Memory, backwards, error, everywhere};
use crate::parts::{
    BYTES, Kept, REALS, WEIGHTS, allocator, bias_of, bits, extent, input_of, make_sums, output_of,
    residual_of, struct_size, told, weights,
};
use fewbit_ffi::*;
use fewbit_testkit::reference::{ConvAxis, conv};
use std::ptr::{NonNull, null, null_mut};

/// A description with what it points to.
pub struct Conv {
    /// The description.
    pub desc: fewbit_conv_desc,
    /// For a transposed one.
    pub output_padding: Option<[usize; 3]>,
    /// Its arrays.
    #[expect(dead_code, reason = "keeps them alive")]
    pub kept: Kept,
    /// Whether its allocator refuses a call.
    pub refusing: bool,
    /// The allocator.
    pub allocator: Box<Allocator>,
}

impl Conv {
    /// A description with any faults; `None` if it would need more memory than there is here.
    pub fn new(input: &mut Input) -> Option<Conv> {
        let mut kept = Kept::default();
        let transposed = input.below(4) == 0;
        let spatial = if input.wrong() { input.size(5) } else { input.pick(&[2, 1, 2, 3]) };
        let longest = [24, 9, 5][spatial.clamp(1, 3) - 1];
        let mut axis = || fewbit_conv_axis {
            size: input.extent(longest),
            kernel: input.extent(4),
            stride: if input.flag() { 1 } else { input.size(3) },
            dilation: if input.flag() { 1 } else { input.size(3) },
            pad_begin: if input.flag() { 0 } else { input.size(3) },
            pad_end: if input.flag() { 0 } else { input.size(3) },
        };
        let axes = [axis(), axis(), axis()];
        let (groups, in_channels, out_channels) = match input.below(4) {
            // Depthwise, with some outputs a channel.
            0 => {
                let channels = input.within(1, 40);
                (channels, channels, channels * input.within(1, 2))
            }
            1 => {
                let groups = input.within(1, 4);
                (groups, groups * input.within(1, 6), groups * input.within(1, 6))
            }
            2 if input.wrong() => (input.size(4), input.size(8), input.size(8)),
            _ => (1, input.within(1, 12), input.within(1, 20)),
        };
        let taps = axes[..spatial.clamp(1, 3)]
            .iter()
            .try_fold(1u128, |taps, axis| taps.checked_mul(axis.kernel as u128));
        let kind = input.below(6);
        let dtype = input.constant([REALS, WEIGHTS, BYTES][kind.min(2)]);
        let filters: &[i32] = match transposed {
            true => {
                &[FEWBIT_FILTER_IHWO, FEWBIT_FILTER_IOHW, FEWBIT_FILTER_OHWI, FEWBIT_FILTER_OIHW]
            }
            false => &[FEWBIT_FILTER_OHWI, FEWBIT_FILTER_OIHW],
        };
        let filter_layout = input.constant(filters);
        // Weights of each index of the first dimension are from a byte on.
        let (first, second) = match filter_layout {
            FEWBIT_FILTER_IHWO | FEWBIT_FILTER_IOHW => (in_channels, out_channels),
            _ => (out_channels, in_channels),
        };
        let each = taps.and_then(|taps| taps.checked_mul((second / groups.max(1)) as u128));
        let row = each.and_then(|each| each.checked_mul(bits(dtype) as u128));
        let bytes = match row.and_then(|row| row.div_ceil(8).checked_mul(first as u128)) {
            Some(bytes) => extent(bytes).ok()?.unwrap_or(16),
            None => 16,
        };
        let (mut allocator, refusing) = allocator(input);
        let c = kept.bytes(bytes_of(&allocator.as_c()), 8);
        let modes: &[i32] = match kind {
            0 => &[FEWBIT_INPUT_REAL],
            _ => &[
                FEWBIT_INPUT_CODES,
                FEWBIT_INPUT_STATIC,
                FEWBIT_INPUT_DYNAMIC_PER_ROW,
                FEWBIT_INPUT_DYNAMIC_PER_TENSOR,
            ],
        };
        let mut desc = fewbit_conv_desc {
            struct_size: struct_size::<fewbit_conv_desc>(input),
            spatial,
            axes,
            in_channels,
            out_channels,
            groups,
            layout: input.constant(&[FEWBIT_LAYOUT_NHWC, FEWBIT_LAYOUT_NCHW]),
            filter_layout,
            weights: weights(input, &mut kept, dtype, bytes, out_channels, 0, false),
            input: input_of(input, modes, BYTES),
            bias: bias_of(input, &mut kept, out_channels),
            residual: residual_of(input),
            output: output_of(input),
            allocator: if input.below(4) == 0 && !refusing { null() } else { c },
        };
        if input.below(4) == 3 {
            let more = (&mut desc.bias, &mut desc.residual);
            make_sums(&desc.weights, &mut desc.input, more, &mut desc.output);
        }
        let padding = || [input.size(2), input.size(2), input.size(1)];
        let output_padding = transposed.then(padding);
        Some(Conv { desc, output_padding, kept, refusing, allocator })
    }

    /// Creates the plan.
    pub fn create(&self, error: &mut fewbit_error) -> (fewbit_status, *mut fewbit_conv) {
        let mut conv = null_mut();
        // SAFETY: a description whose arrays are as long as it says, or that must be refused.
        let status = unsafe {
            match &self.output_padding {
                Some(padding) => fewbit_conv_create_transposed(
                    &self.desc,
                    padding.as_ptr(),
                    &raw mut conv,
                    error,
                ),
                None => fewbit_conv_create(&self.desc, &raw mut conv, error),
            }
        };
        (status, conv)
    }
}

/// A convolution that is created for each instruction set, and run.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(mut of) = Conv::new(&mut input) else { return };
    let call = Run::new(&mut input, &mut of);
    let run = || {
        let mut error = error();
        let (status, conv) = of.create(&mut error);
        Given::new(status, Some(&error), &[]);
        assert_eq!(status != 0, conv.is_null());
        let Some(conv) = NonNull::new(conv) else { return (status, None) };
        let given = call.on(conv.as_ptr(), &of.desc);
        // SAFETY: created, and used no more.
        unsafe { fewbit_conv_destroy(conv.as_ptr()) };
        (status, given)
    };
    if of.refusing {
        drop(run())
    } else {
        check(&everywhere(run), &of, &call)
    }
    of.allocator.check_empty();
}

/// What a run is given.
pub struct Run {
    images: usize,
    bytes: Vec<u8>,
    reals: Vec<f32>,
    workers: usize,
    threads: bool,
    small: bool,
}

impl Run {
    /// Arguments for a convolution.
    pub fn new(input: &mut Input, of: &mut Conv) -> Run {
        let images = if input.wrong() { input.size(3) } else { input.below(4) };
        let coded = of.desc.input.mode == FEWBIT_INPUT_CODES;
        // As much as an image of any layer above has, twice.
        let most = if coded { 2048 } else { 0 };
        Run {
            images,
            bytes: input.codes(most),
            reals: input.reals(if coded { 64 } else { 512 }),
            workers: if input.wrong() { input.size(5) } else { input.within(1, 4) },
            threads: input.flag(),
            small: input.wrong(),
        }
    }

    /// Input of so many elements: the bytes or numbers again and again.
    pub fn x(&self, dtype: i32, elements: usize) -> Memory {
        let bytes: Vec<u8> = match dtype {
            FEWBIT_F32 => {
                self.reals.iter().cycle().take(elements).flat_map(|x| x.to_ne_bytes()).collect()
            }
            FEWBIT_F16 => {
                let half = |&x: &f32| fewbit::scheme::float16::f32_to_f16(x).to_ne_bytes();
                self.reals.iter().cycle().take(elements).flat_map(half).collect()
            }
            FEWBIT_BF16 => {
                let half = |&x: &f32| fewbit::scheme::float16::f32_to_bf16(x).to_ne_bytes();
                self.reals.iter().cycle().take(elements).flat_map(half).collect()
            }
            _ if self.bytes.is_empty() => vec![0x5A; elements],
            _ => self.bytes.iter().cycle().take(elements).copied().collect(),
        };
        Memory::of(&bytes, bits(dtype).div_ceil(8))
    }

    /// Runs a convolution; what it wrote, unless it needs more memory than there is here.
    pub fn on(&self, conv: *mut fewbit_conv, desc: &fewbit_conv_desc) -> Option<Given> {
        let threads = backwards(self.workers);
        let (threads, workers) = match self.threads {
            true => (&raw const threads, self.workers),
            false => (null(), 1),
        };
        let (mut dims, mut inside, mut outside) = ([0usize; 3], 0usize, 0usize);
        let (mut size, mut align) = (0usize, 1usize);
        // SAFETY (of all calls): a live plan; memory of exactly the size that it tells, or arguments that must be refused.
        let info = unsafe {
            fewbit_conv_info(
                conv,
                dims.as_mut_ptr(),
                &raw mut inside,
                &raw mut outside,
                null_mut(),
                0,
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        assert_eq!(info, 0);
        let said = told(|info, error| unsafe { fewbit_conv_describe(conv, info, error) });
        assert_eq!((said.in_features, said.out_features), (inside, outside));
        let x_type =
            if desc.input.mode == FEWBIT_INPUT_CODES { desc.input.dtype } else { desc.input.real };
        let need = |elements: usize, dtype: i32| {
            let bytes = (self.images as u128)
                .checked_mul(elements as u128)?
                .checked_mul(bits(dtype) as u128 / 8)?;
            match bytes {
                0..=0x4_0000 => Some(self.images * elements),
                // More than memory must be refused.
                _ if bytes > isize::MAX as u128 => Some(16),
                _ => None,
            }
        };
        let (x_elements, y_elements) = (need(inside, x_type)?, need(outside, desc.output.dtype)?);
        let residual_elements = need(outside, desc.residual.dtype)?;
        let mut error = error();
        let status = unsafe {
            fewbit_conv_workspace(
                conv,
                self.images,
                workers,
                &raw mut size,
                &raw mut align,
                &raw mut error,
            )
        };
        Given::new(status, Some(&error), &[]);
        if status != 0 || size > 1 << 24 {
            (size, align) = (0, 64);
        }
        let size = size.saturating_sub(usize::from(self.small));
        let space = Memory::new(size, align);
        let x = self.x(x_type, x_elements);
        let residual =
            (desc.residual.present != 0).then(|| self.x(desc.residual.dtype, residual_elements));
        let residual = residual
            .as_ref()
            .map_or(null(), |memory| memory.start::<std::ffi::c_void>().cast_const());
        let parameters = 4 * self.images.min(64);
        let (y, scales, points) = (
            Memory::new(y_elements * bits(desc.output.dtype) / 8, bits(desc.output.dtype) / 8),
            Memory::new(parameters, 4),
            Memory::new(parameters, 4),
        );
        let mut error = crate::memory::error();
        let status = unsafe {
            match desc.output.quantization {
                FEWBIT_OUTPUT_DYNAMIC_PER_ROW => fewbit_conv_run_dynamic(
                    conv,
                    self.images,
                    x.start(),
                    residual,
                    space.start(),
                    size,
                    threads,
                    y.start(),
                    scales.start(),
                    points.start(),
                    &raw mut error,
                ),
                _ => fewbit_conv_run(
                    conv,
                    self.images,
                    x.start(),
                    residual,
                    space.start(),
                    size,
                    threads,
                    y.start(),
                    &raw mut error,
                ),
            }
        };
        Some(Given::new(status, Some(&error), &[&y, &scales, &points]).unless(self.small))
    }
}

/// Compares sums of the first image with a definition in i64.
fn check(given: &(fewbit_status, Option<Given>), of: &Conv, call: &Run) {
    let (0, Some(Given { status: 0, outputs })) = given else { return };
    let desc = &of.desc;
    let plain = desc.output.dtype == FEWBIT_S32
        && desc.output.activation == 0
        && desc.residual.present == 0;
    let nhwc = desc.layout == FEWBIT_LAYOUT_NHWC && desc.filter_layout == FEWBIT_FILTER_OHWI;
    if !plain
        || !nhwc
        || !BYTES.contains(&desc.weights.dtype)
        || desc.input.mode != FEWBIT_INPUT_CODES
        || of.output_padding.is_some()
        || call.images == 0
    {
        return;
    }
    // Axes in front of those used have one pixel.
    let one = ConvAxis { input: 1, taps: 1, stride: 1, dilation: 1, before: 0, after: 0 };
    let mut axes = [one; 3];
    for (to, from) in axes[3 - desc.spatial..].iter_mut().zip(&desc.axes) {
        *to = ConvAxis {
            input: from.size,
            taps: from.kernel,
            stride: from.stride.max(1),
            dilation: from.dilation.max(1),
            before: from.pad_begin,
            after: from.pad_end,
        };
    }
    let code = |byte: u8, dtype: i32| {
        if dtype == FEWBIT_U8 { i64::from(byte) } else { i64::from(byte.cast_signed()) }
    };
    let elements = axes.iter().map(|axis| axis.input).product::<usize>() * desc.in_channels;
    let taps = axes.iter().map(|axis| axis.taps).product::<usize>();
    let x: Vec<i64> = call.x(desc.input.dtype, elements).bytes()[..elements]
        .iter()
        .map(|&byte| code(byte, desc.input.dtype))
        .collect();
    let weight_count = taps * desc.in_channels / desc.groups * desc.out_channels;
    // SAFETY (of all): the calls read there.
    let weights =
        unsafe { std::slice::from_raw_parts(desc.weights.data.cast::<u8>(), weight_count) };
    let weights: Vec<i64> = weights.iter().map(|&byte| code(byte, desc.weights.dtype)).collect();
    let zeros = match desc.weights.zero_point_count {
        0 => vec![0],
        count => unsafe { std::slice::from_raw_parts(desc.weights.zero_points, count) }
            .iter()
            .map(|&zero| i64::from(zero))
            .collect(),
    };
    let zero = i64::from(desc.input.params.zero_point);
    let sums =
        conv(axes, (desc.in_channels, desc.out_channels, desc.groups), &x, zero, &weights, &zeros);
    for (i, (sum, found)) in sums.iter().zip(outputs.as_chunks::<4>().0).enumerate() {
        let bias = match desc.bias.data.is_null() {
            true => 0,
            false => {
                i64::from(unsafe { desc.bias.data.cast::<i32>().add(i % desc.out_channels).read() })
            }
        };
        assert_eq!(sum + bias, i64::from(i32::from_ne_bytes(*found)), "output {i}");
    }
}
