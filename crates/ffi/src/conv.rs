//! Level 3: convolutions.

use crate::boundary::{
    Threads, array, description, fewbit_parallel_for, float_entry, integer_entry, unknown,
};
use crate::handle::{self, handle, plan};
use crate::plans::{
    allocator, fewbit_allocator, fewbit_bias, fewbit_input, fewbit_output, fewbit_residual,
    fewbit_weights, matrix_codes,
};
use crate::status::{fewbit_error, fewbit_status};
use crate::version::write_name;
use core::ffi::{c_char, c_void};
use fewbit::memory::Allocator;
use fewbit::{
    Conv, ConvAxis, ConvDesc, ConvRun, Error, FilterLayout, ImageLayout, OutputParams, Result,
    Status,
};

/// Images [n][spatial...][channel].
pub const FEWBIT_LAYOUT_NHWC: i32 = 0;
/// Images [n][channel][spatial...].
pub const FEWBIT_LAYOUT_NCHW: i32 = 1;
/// Weights [out_channel][kernel...][in_channel / groups].
pub const FEWBIT_FILTER_OHWI: i32 = 0;
/// Weights [out_channel][in_channel / groups][kernel...].
pub const FEWBIT_FILTER_OIHW: i32 = 1;
/// Weights [in_channel][kernel...][out_channel / groups].
pub const FEWBIT_FILTER_IHWO: i32 = 2;
/// Weights [in_channel][out_channel / groups][kernel...]: the usual one of transposed convolutions.
pub const FEWBIT_FILTER_IOHW: i32 = 3;

/// A planned convolution. Immutable after creation; threads may share it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct fewbit_conv {
    plan: Conv<'static>,
    allocator: Allocator,
}
handle!(fewbit_conv, Conv);

/// One spatial axis of a convolution.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_conv_axis {
    /// Input pixels, at least 1.
    pub size: usize,
    /// Taps, at least 1.
    pub kernel: usize,
    /// Input pixels between output pixels; 0 is taken as 1.
    pub stride: usize,
    /// Input pixels between taps; 0 is taken as 1.
    pub dilation: usize,
    /// Real zeros before the first pixel.
    pub pad_begin: usize,
    /// Real zeros behind the last pixel.
    pub pad_end: usize,
}

/// A convolution to plan. Start from FEWBIT_CONV_DESC_INIT. Everything is read by the create call only.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_conv_desc {
    /// sizeof(fewbit_conv_desc); set by FEWBIT_CONV_DESC_INIT.
    pub struct_size: usize,
    /// Spatial axes, 1..3; the first `spatial` of `axes` are used, outermost first: (h, w) for 2-d.
    pub spatial: usize,
    /// The spatial axes.
    pub axes: [fewbit_conv_axis; 3],
    /// C, a multiple of groups.
    pub in_channels: usize,
    /// O, a multiple of groups.
    pub out_channels: usize,
    /// Independent convolutions side by side, at least 1; in_channels for a depthwise one.
    pub groups: usize,
    /// FEWBIT_LAYOUT_NHWC or FEWBIT_LAYOUT_NCHW, of input and output, without gaps.
    pub layout: i32,
    /// A FEWBIT_FILTER_ constant: how weights lie, without gaps.
    pub filter_layout: i32,
    /// The weights.
    pub weights: fewbit_weights,
    /// What is read; per row means per image.
    pub input: fewbit_input,
    /// What is added.
    pub bias: fewbit_bias,
    /// What is added to the result.
    pub residual: fewbit_residual,
    /// What is written.
    pub output: fewbit_output,
    /// NULL: malloc and free.
    pub allocator: *const fewbit_allocator,
}

/// The library's axes: the last ones are those given, those before them have one pixel.
pub(crate) fn axes(spatial: usize, given: &[fewbit_conv_axis; 3]) -> Result<[ConvAxis; 3]> {
    if spatial == 0 || spatial > 3 {
        return Err(Error::new(
            Status::InvalidArgument,
            "desc.spatial",
            "is {}, but 1 to 3 spatial axes are possible",
        )
        .with(spatial));
    }
    let mut axes = [ConvAxis::NONE; 3];
    for (to, from) in axes.iter_mut().skip(3 - spatial).zip(given) {
        *to = ConvAxis {
            size: from.size,
            kernel: from.kernel,
            stride: from.stride.max(1),
            dilation: from.dilation.max(1),
            pad_begin: from.pad_begin,
            pad_end: from.pad_end,
        };
    }
    Ok(axes)
}

pub(crate) fn image_layout(name: &'static str, layout: i32) -> Result<ImageLayout> {
    match layout {
        FEWBIT_LAYOUT_NHWC => Ok(ImageLayout::Nhwc),
        FEWBIT_LAYOUT_NCHW => Ok(ImageLayout::Nchw),
        other => Err(unknown(name, other)),
    }
}

impl fewbit_conv_desc {
    /// The library's axes that are not there.
    pub(crate) fn absent(&self) -> usize {
        3usize.saturating_sub(self.spatial)
    }

    /// Spatial axes, and layouts of images and weights; without weights any layout of theirs does.
    pub(crate) fn shape(
        &self,
        with_weights: bool,
    ) -> Result<([ConvAxis; 3], ImageLayout, FilterLayout)> {
        let axes = axes(self.spatial, &self.axes)?;
        let layout = image_layout("desc.layout", self.layout)?;
        let filter_layout = match self.filter_layout {
            FEWBIT_FILTER_OHWI => FilterLayout::Ohwi,
            FEWBIT_FILTER_OIHW => FilterLayout::Oihw,
            FEWBIT_FILTER_IHWO => FilterLayout::Ihwo,
            FEWBIT_FILTER_IOHW => FilterLayout::Iohw,
            _ if !with_weights => FilterLayout::Ohwi,
            other => return Err(unknown("desc.filter_layout", other)),
        };
        if self.groups == 0 {
            return Err(Error::new(Status::InvalidArgument, "desc.groups", "is 0"));
        }
        Ok((axes, layout, filter_layout))
    }

    /// Bytes of codes, or numbers, of the weights: rows, one for each index of their first dimension, from a byte on. `None`:
    /// more than memory.
    pub(crate) fn weight_count(&self, axes: &[ConvAxis; 3]) -> Option<usize> {
        let of_inputs = matches!(self.filter_layout, FEWBIT_FILTER_IHWO | FEWBIT_FILTER_IOHW);
        let (rows, others) = match of_inputs {
            true => (self.in_channels, self.out_channels),
            false => (self.out_channels, self.in_channels),
        };
        let others = others.checked_div(self.groups)?;
        let row = axes.iter().try_fold(others, |product, axis| product.checked_mul(axis.kernel))?;
        matrix_codes(self.weights.dtype, (1, rows, row), (0, 0))
    }

    /// The description of a convolution of codes, with its weights or without.
    ///
    /// # Safety
    /// Its arrays can be read as documented.
    pub(crate) unsafe fn read<'a>(&self, with_weights: bool) -> Result<ConvDesc<'a>> {
        let (axes, layout, filter_layout) = self.shape(with_weights)?;
        let codes = self.weight_count(&axes);
        let (output, activation, activation_mode) = self.output.read()?;
        // SAFETY: by this function's contract.
        unsafe {
            Ok(ConvDesc {
                in_channels: self.in_channels,
                out_channels: self.out_channels,
                groups: self.groups,
                axes,
                layout,
                filter_layout,
                weights: match with_weights {
                    true => self.weights.read(codes)?,
                    false => self.weights.read_multipliers()?,
                },
                input: self.input.read()?,
                bias: self.bias.read(self.out_channels)?,
                output,
                activation,
                activation_mode,
                residual: self.residual.read()?,
            })
        }
    }
}

/// An error about one of the library's three axes, named as the description counts them, whose first
/// `absent` are not there.
pub(crate) fn named(error: Error, absent: usize) -> Error {
    let names = ["desc.axes[0]", "desc.axes[1]", "desc.axes[2]"];
    let index = names.iter().position(|name| *name == error.argument);
    match index.and_then(|index| names.get(index.checked_sub(absent)?)) {
        Some(&argument) => Error { argument, ..error },
        None => error,
    }
}

/// Packs a convolution's weights and chooses its kernels. Each output is the exact int32 sum over the taps of
/// (x - zx) * (w - zw); a tap on padding contributes 0; then as fewbit_linear_create. With FEWBIT_INPUT_REAL it is one chain
/// of fused multiply-adds as of linear layers, in the order of the taps and of the input channels of each; a tap on padding is
/// the number 0, multiplied as any other. Output pixels along an axis: (size + pad_begin + pad_end - dilation * (kernel - 1) - 1)
/// / stride + 1. The only call on a plan that allocates.
///
/// @param[in] desc  The convolution.
/// @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_create(
    desc: *const fewbit_conv_desc,
    conv: *mut *mut fewbit_conv,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            handle::place(conv)?;
            let allocator = allocator(desc.allocator)?;
            let plan = desc.create(None, None, supported, &allocator)?;
            handle::give(plan, &allocator, conv)
        })
    }
}

/// As fewbit_conv_create for a transposed convolution (ONNX's ConvTranspose, PyTorch's ConvTranspose2d): along each axis,
/// input pixel i and tap k meet at output pixel i * stride + k * dilation - pad_begin, and there their products
/// (x - zx) * (w - zw) are added; an output pixel that nothing meets is the bias. Strides, dilations and padding are
/// those of the output, whose pixels along an axis are (size - 1) * stride + dilation * (kernel - 1) + output_padding + 1 -
/// pad_begin - pad_end. The usual layout of weights is FEWBIT_FILTER_IOHW. Packed weights cannot be saved. With
/// FEWBIT_INPUT_REAL a chain has the taps k of each axis at which o + pad_begin - k * dilation is a multiple of the stride, the last
/// one first; where that is no pixel of the input, it is the number 0.
///
/// @param[in] desc  The convolution.
/// @param[in] output_padding  For each spatial axis, how many output pixels more than the taps reach, less than the stride
///                            or less than the dilation. NULL: none.
/// @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_conv_create.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_create_transposed(
    desc: *const fewbit_conv_desc,
    output_padding: *const usize,
    conv: *mut *mut fewbit_conv,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            handle::place(conv)?;
            let allocator = allocator(desc.allocator)?;
            let mut padding = [0; 3];
            if !output_padding.is_null() {
                // At most three are read.
                axes(desc.spatial, &desc.axes)?;
                array("output_padding", output_padding.cast_mut(), desc.spatial)?;
                for (i, to) in padding.iter_mut().skip(desc.absent()).enumerate() {
                    *to = output_padding.add(i).read();
                }
            }
            let plan = desc.create(Some(padding), None, supported, &allocator)?;
            handle::give(plan, &allocator, conv)
        })
    }
}

/// Destroys a plan; NULL does nothing. No run of it may be in progress.
///
/// # Safety
/// As documented; the plan is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_destroy(conv: *mut fewbit_conv) {
    // SAFETY: the documented contract: made by `fewbit_conv_create`.
    unsafe { handle::destroy(conv) }
}

/// What a run needs beside its operands. Fewer images or workers never need more.
///
/// @param[in] images, max_workers  The most that one run will have; 1 worker without parallel_for.
/// @param[out] size, align  Bytes, and the alignment of the first.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (beyond memory), FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_workspace(
    conv: *const fewbit_conv,
    images: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Conv<'static>| plan.workspace(images, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(conv, needed, (size, align), error) }
}

/// Runs the convolution on `images` images, input and output without gaps.
///
/// @param[in] images  0 does nothing.
/// @param[in] x  images * in_elements elements of the input's type (fewbit_conv_info tells in_elements).
/// @param[in] residual  images * out_elements elements of the residual's type; may be y, where elements are equally
///                      large. Not used, and may be NULL, without a residual.
/// @param[in] workspace, workspace_size  As fewbit_conv_workspace asks for; contents do not matter.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] y  images * out_elements elements of the output's type. x, y and workspace must not overlap.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_run.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_run(
    conv: *const fewbit_conv,
    images: usize,
    x: *const c_void,
    residual: *const c_void,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let run = ConvRun {
                images,
                x: x.cast(),
                residual: residual.cast(),
                workspace: workspace.cast(),
                workspace_size,
                y: y.cast(),
            };
            plan(conv)?.run_raw(&run, &Threads::new(parallel_for)?)
        })
    }
}

/// Runs a convolution with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each image's parameters beside its codes: all
/// results of an image choose one scale and one zero point.
///
/// @param[out] scales  `images` scales.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other, but y the residual as in fewbit_conv_run.
/// @return As fewbit_conv_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_run_dynamic(
    conv: *const fewbit_conv,
    images: usize,
    x: *const c_void,
    residual: *const c_void,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    scales: *mut f32,
    zero_points: *mut i32,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let run = ConvRun {
                images,
                x: x.cast(),
                residual: residual.cast(),
                workspace: workspace.cast(),
                workspace_size,
                y: y.cast(),
            };
            let params = OutputParams { scales, zero_points };
            plan(conv)?.run_dynamic_raw(&run, &params, &Threads::new(parallel_for)?)
        })
    }
}

/// What a plan tells of itself.
///
/// @param[out] out_dims  Output pixels along the 3 axes, outermost first; leading axes that are not there have 1. May
///                       be NULL.
/// @param[out] in_elements, out_elements  Elements of an input and an output image. May be NULL.
/// @param[out] kernel_name, bound, weight_bytes, error  As fewbit_linear_info.
/// @return As fewbit_linear_info.
///
/// # Safety
/// As documented; `out_dims` has room for 3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_conv_info(
    conv: *const fewbit_conv,
    out_dims: *mut usize,
    in_elements: *mut usize,
    out_elements: *mut usize,
    kernel_name: *mut c_char,
    kernel_name_size: usize,
    bound: *mut i64,
    weight_bytes: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |_| {
            let plan = plan(conv)?;
            if !kernel_name.is_null() {
                write_name(plan.kernel_name(), kernel_name, kernel_name_size)?;
            }
            if !out_dims.is_null() {
                out_dims.cast::<[usize; 3]>().write_unaligned(plan.output_dims());
            }
            let (elements_in, elements_out) = plan.image_elements();
            for (place, value) in [
                (in_elements, elements_in),
                (out_elements, elements_out),
                (weight_bytes, plan.weight_bytes()),
            ] {
                if !place.is_null() {
                    place.write_unaligned(value);
                }
            }
            if !bound.is_null() {
                bound.write_unaligned(plan.bound());
            }
            Ok(())
        })
    }
}
