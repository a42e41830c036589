//! Sums and products of two tensors of codes, each with its own parameters, to one with its own: the residual
//! connections and gates of a quantized network.

use crate::plan::{MemoryRange, check_params, find, forbid_overlap, size};
use crate::tensor::share_bytes;
use crate::{Activation, Code, Error, Parallel, Result, Status};
use fewbit_kernels::binary::{
    ADD_FIXED_S8, ADD_FIXED_U8, ADD_S8, ADD_U8, AddFixedArgs, AddFixedFn, BinaryArgs, BinaryFn,
    MULTIPLY_FIXED_S8, MULTIPLY_FIXED_U8, MULTIPLY_S8, MULTIPLY_U8, MultiplyFixedArgs,
    MultiplyFixedFn, Operands,
};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::{
    AddMultipliers, FixedMultiplier, QuantParams, QuantizeMode, Quotient, Rounding,
    multiply_multiplier, quantize,
};
use fewbit_simd::Supported;

/// Two tensors and their result, all of one format: a matrix `a`, a matrix `b` that is repeated to its size, and a result
/// as large as `a`, without gaps.
///
/// | `b` | `b_rows` | `b_columns` |
/// |---|---|---|
/// | of the same shape | `rows` | `columns` |
/// | a number | 1 | 1 |
/// | for the last dimension (channels of NHWC images: `columns` channels) | 1 | `columns` |
/// | for a dimension before (channels of NCHW images: `rows` images times channels) | channels | 1 |
#[derive(Clone, Copy, Debug)]
pub struct BinaryDesc {
    /// Rows of `a` and of the result, a multiple of `b_rows`: row `i` of `a` meets row `i mod b_rows` of `b`.
    pub rows: usize,
    /// Columns of `a` and of the result.
    pub columns: usize,
    /// Rows of `b`, at least 1.
    pub b_rows: usize,
    /// Columns of `b`: `columns`, or 1, which meets all of a row.
    pub b_columns: usize,
    /// The codes.
    pub code: Code,
    /// Parameters of `a`.
    pub a: QuantParams,
    /// Parameters of `b`.
    pub b: QuantParams,
    /// Parameters of the result.
    pub y: QuantParams,
    /// None, ReLU or a clamp, whose bounds are those of numbers.
    pub activation: Activation,
    /// Whether in integers only, as TensorFlow Lite: [`fewbit_scheme::add_fixed`] and
    /// [`fewbit_scheme::multiply_fixed`], with multipliers made of the scales. Otherwise [`fewbit_scheme::add`] and
    /// [`fewbit_scheme::multiply`].
    pub fixed_point: bool,
}

/// `y = activation(a + b)`.
///
/// # Errors
/// As [`add_raw`], and [`Status::BufferTooSmall`] for the slices.
pub fn add(
    desc: &BinaryDesc,
    a: &[u8],
    b: &[u8],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    desc.check_slices(a.len(), b.len(), y.len())?;
    // SAFETY: the slices hold the operands.
    unsafe { add_raw(desc, a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), parallel, supported) }
}

/// `y = activation(a * b)`.
///
/// # Errors
/// As [`add`].
pub fn multiply(
    desc: &BinaryDesc,
    a: &[u8],
    b: &[u8],
    y: &mut [u8],
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    desc.check_slices(a.len(), b.len(), y.len())?;
    // SAFETY: the slices hold the operands.
    unsafe { multiply_raw(desc, a.as_ptr(), b.as_ptr(), y.as_mut_ptr(), parallel, supported) }
}

/// As [`add`], on pointers; `y` may be `a`, or `b` if that has its shape.
///
/// # Errors
/// [`Status::InvalidArgument`] for sizes that do not fit each other or memory, parameters, or an activation's bounds;
/// [`Status::Unsupported`] for other activations, and for scales that have no multipliers;
/// [`Status::NullPointer`] unless there are no elements; [`Status::Overlap`].
///
/// # Safety
/// The operands can be read, the result be written.
pub unsafe fn add_raw(
    desc: &BinaryDesc,
    a: *const u8,
    b: *const u8,
    y: *mut u8,
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let multipliers = AddMultipliers::from_scales(desc.a.scale, desc.b.scale, desc.y.scale);
    let (float, fixed) = match desc.code {
        Code::S8 => (ADD_S8, ADD_FIXED_S8),
        Code::U8 => (ADD_U8, ADD_FIXED_U8),
    };
    let kernel = match desc.fixed_point {
        true => Kernel::AddFixed(find(fixed, supported)?, multipliers),
        false => Kernel::Float(find(float, supported)?),
    };
    // SAFETY: by this function's contract.
    unsafe { desc.run(&kernel, (a, b, y), parallel) }
}

/// As [`multiply`], on pointers; otherwise as [`add_raw`].
///
/// # Errors
/// As [`add_raw`].
///
/// # Safety
/// As [`add_raw`].
pub unsafe fn multiply_raw(
    desc: &BinaryDesc,
    a: *const u8,
    b: *const u8,
    y: *mut u8,
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let multiplier = multiply_multiplier(desc.a.scale, desc.b.scale, desc.y.scale);
    let (float, fixed) = match desc.code {
        Code::S8 => (MULTIPLY_S8, MULTIPLY_FIXED_S8),
        Code::U8 => (MULTIPLY_U8, MULTIPLY_FIXED_U8),
    };
    let kernel = match desc.fixed_point {
        true => Kernel::MultiplyFixed(find(fixed, supported)?, multiplier),
        false => Kernel::Float(find(float, supported)?),
    };
    // SAFETY: by this function's contract.
    unsafe { desc.run(&kernel, (a, b, y), parallel) }
}

/// What computes rows, with multipliers if the scales have any.
enum Kernel {
    Float(Bound<BinaryFn>),
    AddFixed(Bound<AddFixedFn>, Option<AddMultipliers>),
    MultiplyFixed(Bound<MultiplyFixedFn>, Option<FixedMultiplier>),
}

/// Pointers of a call, and what is common to its parts.
struct Call<'a> {
    desc: &'a BinaryDesc,
    kernel: &'a Kernel,
    a: *const u8,
    b: *const u8,
    y: *mut u8,
    clamp: (i32, i32),
}
// SAFETY: parts read operands and write their own elements of the result.
unsafe impl Sync for Call<'_> {}

impl BinaryDesc {
    /// Elements of `a` and of `b`.
    fn elements(&self) -> Result<(usize, usize)> {
        let BinaryDesc { rows, columns, b_rows, b_columns, .. } = *self;
        if b_rows == 0 || rows.checked_rem(b_rows) != Some(0) {
            let text = "is {}, but the {} rows must be a multiple of it";
            let error = Error::new(Status::InvalidArgument, "desc.b_rows", text);
            return Err(error.with(b_rows).with(rows));
        }
        if b_columns != columns && b_columns != 1 {
            let text = "is {}, but must be 1 or the {} columns of the result";
            let error = Error::new(Status::InvalidArgument, "desc.b_columns", text);
            return Err(error.with(b_columns).with(columns));
        }
        Ok((size(&[rows, columns])?, size(&[b_rows, b_columns])?))
    }

    fn check_slices(&self, a: usize, b: usize, y: usize) -> Result<()> {
        let (elements, of_b) = self.elements()?;
        for (name, len, needed) in [("a", a, elements), ("b", b, of_b), ("y", y, elements)] {
            if len < needed {
                let error = Error::new(Status::BufferTooSmall, name, "has {} codes, but needs {}");
                return Err(error.with(len).with(needed));
            }
        }
        Ok(())
    }

    /// The smallest and the largest code, the activation's.
    fn clamp(&self) -> Result<(i32, i32)> {
        let format = self.code.format();
        let rounding = if self.fixed_point { Rounding::HalfAway } else { Rounding::HalfEven };
        let mode = QuantizeMode { rounding, quotient: Quotient::Divide };
        let bound = |x: f32| quantize(x, self.y, format, mode);
        match self.activation {
            Activation::None => Ok((format.qmin(), format.qmax())),
            Activation::Relu => Ok((self.y.zero_point, format.qmax())),
            Activation::Clamp { low, high } if low <= high => Ok((bound(low), bound(high))),
            Activation::Clamp { low, high } => {
                let text = "clamps to {} to {}, which is no range";
                let error = Error::new(Status::InvalidArgument, "desc.activation", text);
                Err(error.with(low).with(high))
            }
            _ => {
                let text = "is none of those that sums and products take: none, ReLU, a clamp";
                Err(Error::new(Status::Unsupported, "desc.activation", text))
            }
        }
    }

    /// Checks everything, and shares the rows, or parts of long ones, out among threads.
    ///
    /// # Safety
    /// As [`add_raw`].
    unsafe fn run(
        &self,
        kernel: &Kernel,
        (a, b, y): (*const u8, *const u8, *mut u8),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let (elements, of_b) = self.elements()?;
        let format = self.code.format();
        check_params(self.a, format, "desc.a")?;
        check_params(self.b, format, "desc.b")?;
        check_params(self.y, format, "desc.y")?;
        let clamp = self.clamp()?;
        if matches!(kernel, Kernel::AddFixed(_, None) | Kernel::MultiplyFixed(_, None)) {
            let text = "has a scale too small beside those of a and b for a fixed-point multiplier";
            return Err(Error::new(Status::Unsupported, "desc.y", text));
        }
        if elements == 0 {
            return Ok(());
        }
        for (name, pointer) in [("a", a), ("b", b), ("y", y.cast_const())] {
            if pointer.is_null() {
                return Err(Error::new(Status::NullPointer, name, "is NULL"));
            }
        }
        let of_y = MemoryRange::new("y", y, elements);
        if y.cast_const() != a {
            forbid_overlap(MemoryRange::new("a", a, elements), of_y)?;
        }
        // Where a row of `b` meets several of `a`, results would be read as operands.
        if y.cast_const() != b || of_b != elements {
            forbid_overlap(MemoryRange::new("b", b, of_b), of_y)?;
        }
        let call = Call { desc: self, kernel, a, b, y, clamp };
        // SAFETY: the elements are of the result, and this part's alone.
        share_bytes(elements, parallel, |begin, end| unsafe { call.part(begin, end) });
        Ok(())
    }
}

impl Call<'_> {
    /// Elements `begin..end` of the result.
    ///
    /// # Safety
    /// They exist; operands can be read, and they be written.
    unsafe fn part(&self, begin: usize, end: usize) {
        let BinaryDesc { columns, b_rows, b_columns, .. } = *self.desc;
        // SAFETY: by this function's contract: `b` has the element that each of `a` meets.
        unsafe {
            if b_rows * b_columns == 1 {
                return self.rows((begin, 0), end - begin, (1, 0, 0), true);
            }
            // Rows that meet all of `b` at once, if it has as many columns.
            let one = b_columns != columns;
            let columns = if one { columns } else { columns * b_rows };
            let mut at = begin;
            while at < end {
                let (row, column) = (at / columns.max(1), at % columns.max(1));
                let in_b = if one { row % b_rows.max(1) } else { column };
                let left = end - at;
                if column != 0 || left < columns {
                    let n = left.min(columns - column);
                    self.rows((at, in_b), n, (1, 0, 0), one);
                    at += n;
                    continue;
                }
                // Whole rows, up to where `b` begins again.
                let whole = left / columns.max(1);
                let count = if one { whole.min(b_rows - in_b) } else { whole };
                self.rows((at, in_b), columns, (count, columns, usize::from(one)), one);
                at += count * columns;
            }
        }
    }

    /// `rows` rows of `n` elements from number `at` on, `by` apart, with those of `b` from number `in_b` on, `by_b` apart.
    ///
    /// # Safety
    /// As [`part`](Call::part).
    unsafe fn rows(
        &self,
        (at, in_b): (usize, usize),
        n: usize,
        (rows, by, by_b): (usize, usize, usize),
        b_is_one: bool,
    ) {
        let BinaryDesc { a, b, y, .. } = *self.desc;
        let zero_points = [a.zero_point, b.zero_point, y.zero_point];
        let clamp = self.clamp;
        // SAFETY: by this function's contract; kernels get what was checked.
        unsafe {
            let operands = Operands {
                a: self.a.add(at),
                b: self.b.add(in_b),
                b_is_one,
                dst: self.y.add(at),
                n,
                rows,
                strides: [by, by_b, by],
            };
            match *self.kernel {
                Kernel::Float(kernel) => {
                    kernel.run()(&BinaryArgs { operands, params: [a, b, y], clamp });
                }
                Kernel::AddFixed(kernel, Some(multipliers)) => {
                    kernel.run()(&AddFixedArgs { operands, zero_points, multipliers, clamp });
                }
                Kernel::MultiplyFixed(kernel, Some(multiplier)) => {
                    kernel.run()(&MultiplyFixedArgs { operands, zero_points, multiplier, clamp });
                }
                // Refused before.
                Kernel::AddFixed(_, None) | Kernel::MultiplyFixed(_, None) => {}
            }
        }
    }
}
