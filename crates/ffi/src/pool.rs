//! Level 2: pooling of 8-bit images.

use crate::arrays::fewbit_quant_params;
use crate::boundary::{
    Threads, description, fewbit_parallel_for, float_entry, integer_entry, unknown,
};
use crate::conv::{axes, fewbit_conv_axis, image_layout, named};
use crate::plans::code;
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::{Average, ConvAxis, Error, PoolDesc, Result, average_pool_raw, max_pool_raw};

/// Averages of numbers: the sum of the codes less x_params.zero_point, times x_params.scale / (count *
/// y_params.scale).
pub const FEWBIT_AVERAGE_NUMBERS: i32 = 0;
/// Averages of codes, in integers only, as TensorFlow Lite: sum / count, ties away from zero. x and y have the same
/// parameters, which are not used; padding does not count.
pub const FEWBIT_AVERAGE_CODES: i32 = 1;

/// Images and the windows over them. Start from FEWBIT_POOL_DESC_INIT.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_pool_desc {
    /// sizeof(fewbit_pool_desc); set by FEWBIT_POOL_DESC_INIT.
    pub struct_size: usize,
    /// Spatial axes, 1..3; the first `spatial` of `axes` are used, outermost first: (h, w) for 2-d.
    pub spatial: usize,
    /// The spatial axes. Global pooling uses their sizes only.
    pub axes: [fewbit_conv_axis; 3],
    /// Channels, at least 1; each is pooled by itself.
    pub channels: usize,
    /// FEWBIT_LAYOUT_NHWC or FEWBIT_LAYOUT_NCHW, of x and y, without gaps.
    pub layout: i32,
    /// FEWBIT_S8 or FEWBIT_U8, of x and y.
    pub dtype: i32,
    /// 1: the number of output pixels is rounded up, not down, so that the last window may reach beyond the padded input
    /// (unless it would begin behind the input), as in ONNX and PyTorch; 0: it is not.
    pub ceil_mode: i32,
    /// FEWBIT_AVERAGE_NUMBERS: 1 if padding counts, as real 0 (what a window has beyond the padding never does); 0 if not.
    pub count_include_pad: i32,
    /// FEWBIT_AVERAGE_*; averages only.
    pub average: i32,
    /// FEWBIT_AVERAGE_NUMBERS: parameters of x.
    pub x_params: fewbit_quant_params,
    /// FEWBIT_AVERAGE_NUMBERS: parameters of y.
    pub y_params: fewbit_quant_params,
}

/// 0 or 1.
pub(crate) fn flag(name: &'static str, value: i32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unknown(name, other)),
    }
}

impl fewbit_pool_desc {
    /// An error of the library's axes as one of the description's.
    fn named(&self, error: Error) -> Error {
        named(error, 3usize.saturating_sub(self.spatial))
    }

    fn read(&self) -> Result<PoolDesc> {
        Ok(PoolDesc {
            channels: self.channels,
            axes: axes(self.spatial, &self.axes)?,
            layout: image_layout("desc.layout", self.layout)?,
            ceil_mode: flag("desc.ceil_mode", self.ceil_mode)?,
            code: code("desc.dtype", self.dtype)?,
        })
    }

    /// One window of the whole image.
    fn read_global(&self) -> Result<PoolDesc> {
        let desc = self.read()?;
        let whole =
            |axis: ConvAxis| ConvAxis { size: axis.size, kernel: axis.size, ..ConvAxis::NONE };
        let of_axes = PoolDesc { axes: desc.axes.map(whole), ceil_mode: false, ..desc };
        // Also refuses sizes of 0. Their product is then within memory, and the image a line of pixels.
        of_axes.image_elements().map_err(|error| self.named(error))?;
        let [d, h, w] = desc.axes.map(|axis| axis.size);
        let pixels = d.saturating_mul(h).saturating_mul(w);
        Ok(PoolDesc::global(pixels, desc.channels, desc.layout, desc.code))
    }

    fn read_average(&self) -> Result<Average> {
        match self.average {
            FEWBIT_AVERAGE_NUMBERS => Ok(Average::Numbers {
                from: self.x_params.into(),
                to: self.y_params.into(),
                count_include_pad: flag("desc.count_include_pad", self.count_include_pad)?,
            }),
            FEWBIT_AVERAGE_CODES => Ok(Average::Codes),
            other => Err(unknown("desc.average", other)),
        }
    }
}

/// What pooling makes of images.
///
/// @param[out] out_dims  Output pixels along the 3 axes, outermost first; leading axes that are not there have 1. May
///                       be NULL.
/// @param[out] in_elements, out_elements  Codes of an image of x and of y. May be NULL.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER (desc), FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_UNSUPPORTED,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented; `out_dims` has room for 3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_pool_dims(
    desc: *const fewbit_pool_desc,
    out_dims: *mut usize,
    in_elements: *mut usize,
    out_elements: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |_| {
            let given = description("desc", desc)?;
            let desc = given.read()?;
            let dims = desc.output_dims().map_err(|error| given.named(error))?;
            let (elements_in, elements_out) = desc.image_elements()?;
            if !out_dims.is_null() {
                out_dims.cast::<[usize; 3]>().write_unaligned(dims);
            }
            for (place, value) in [(in_elements, elements_in), (out_elements, elements_out)] {
                if !place.is_null() {
                    place.write_unaligned(value);
                }
            }
            Ok(())
        })
    }
}

/// Max pooling: each code of y is the largest code under its window, of its channel. Padding is left out; a window of
/// nothing but padding gives the smallest code. The parameters of x are those of y. ONNX's MaxPool.
///
/// @param[in] desc  Everything but what concerns averages.
/// @param[in] images  The number of images.
/// @param[in] x  images * in_elements codes (fewbit_pool_dims tells in_elements).
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] y  images * out_elements codes; must not overlap x.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER (x and y may be NULL if there are no images), FEWBIT_ERROR_INVALID_ARGUMENT (sizes,
///         taps that do not fit the padded input, constants), FEWBIT_ERROR_UNSUPPORTED (dtype), FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_max_pool(
    desc: *const fewbit_pool_desc,
    images: usize,
    x: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |supported| {
            let given = description("desc", desc)?;
            let (desc, threads) = (given.read()?, Threads::new(parallel_for)?);
            max_pool_raw(&desc, images, x.cast(), y.cast(), &threads, supported)
                .map_err(|error| given.named(error))
        })
    }
}

/// Max pooling of whole images, to one pixel each; otherwise as fewbit_max_pool.
///
/// @param[in] desc  As fewbit_max_pool; of `axes` the sizes alone are used.
/// @param[out] y  images * channels codes; must not overlap x.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_global_max_pool(
    desc: *const fewbit_pool_desc,
    images: usize,
    x: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |supported| {
            let desc = description("desc", desc)?.read_global()?;
            let threads = Threads::new(parallel_for)?;
            max_pool_raw(&desc, images, x.cast(), y.cast(), &threads, supported)
        })
    }
}

/// Average pooling. Sums are exact, then rounded once, ties to even:
/// y = clamp(round(sum(q - x_params.zero_point) * (x_params.scale / (count * y_params.scale))) + y_params.zero_point);
/// `count` is the number of taps inside the image or, with count_include_pad, also of those on padding. A window of
/// nothing but padding gives y_params.zero_point. Of FEWBIT_AVERAGE_CODES: y = sum(q) / count, ties away from zero, and 0.
///
/// @param[in] desc  Windows of at most 2^23 taps, for FEWBIT_AVERAGE_CODES 2^21, padding included.
/// @param[in] images, x, parallel_for  As fewbit_max_pool.
/// @param[out] y, error  As fewbit_max_pool.
/// @return As fewbit_max_pool; FEWBIT_ERROR_LIMIT_EXCEEDED for larger windows.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_average_pool(
    desc: *const fewbit_pool_desc,
    images: usize,
    x: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let given = description("desc", desc)?;
            let (desc, average) = (given.read()?, given.read_average()?);
            let threads = Threads::new(parallel_for)?;
            average_pool_raw(&desc, &average, images, x.cast(), y.cast(), &threads, supported)
                .map_err(|error| given.named(error))
        })
    }
}

/// Average pooling of whole images, to one pixel each; otherwise as fewbit_average_pool.
///
/// @param[in] desc  As fewbit_average_pool; of `axes` the sizes alone are used.
/// @param[out] y  images * channels codes; must not overlap x.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_global_average_pool(
    desc: *const fewbit_pool_desc,
    images: usize,
    x: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let given = description("desc", desc)?;
            let (desc, average) = (given.read_global()?, given.read_average()?);
            let threads = Threads::new(parallel_for)?;
            average_pool_raw(&desc, &average, images, x.cast(), y.cast(), &threads, supported)
        })
    }
}
