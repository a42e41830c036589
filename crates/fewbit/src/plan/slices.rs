//! Slices as the operands of runs: how rows lie in them, and that they hold what a run touches.

use crate::memory::Plain;
use crate::{Error, Result, Status};

/// A slice that a run reads: rows of numbers or codes, of one matrix or of several. Elements are those of the plan's type
/// by size: `f32`, `u16` for f16 and bf16, `i8` or `u8` for codes, `i32`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    gaps: Gaps,
}

/// As [`View`], of a slice that a run writes.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    gaps: Gaps,
}

/// Distances, where there are gaps.
#[derive(Clone, Copy, Debug, Default)]
struct Gaps {
    row: Option<usize>,
    matrix: Option<usize>,
}

macro_rules! strides {
    () => {
        /// Distance of the first elements of neighbouring rows, in elements; at least a row's.
        pub const fn row_stride(mut self, stride: usize) -> Self {
            self.gaps.row = Some(stride);
            self
        }

        /// Distance of the first elements of neighbouring matrices, in elements. Of what is read 0 too: all matrices meet
        /// the same rows.
        pub const fn matrix_stride(mut self, stride: usize) -> Self {
            self.gaps.matrix = Some(stride);
            self
        }
    };
}

impl<'a, T: Plain> View<'a, T> {
    /// Row behind row, and matrix behind matrix, without gaps.
    pub const fn new(data: &'a [T]) -> View<'a, T> {
        View { data, gaps: Gaps { row: None, matrix: None } }
    }

    strides!();

    pub(crate) fn operand(&self) -> Operand {
        Operand { len: self.data.len(), element: size_of::<T>(), gaps: self.gaps }
    }

    pub(crate) fn at(&self) -> *const u8 {
        self.data.as_ptr().cast()
    }
}

impl View<'_, u8> {
    /// Nothing: for a plan without a residual.
    pub const NONE: View<'static, u8> = View::new(&[]);
}

impl<'a, T: Plain> ViewMut<'a, T> {
    /// Row behind row, and matrix behind matrix, without gaps.
    pub const fn new(data: &'a mut [T]) -> ViewMut<'a, T> {
        ViewMut { data, gaps: Gaps { row: None, matrix: None } }
    }

    strides!();

    pub(crate) fn operand(&self) -> Operand {
        Operand { len: self.data.len(), element: size_of::<T>(), gaps: self.gaps }
    }

    pub(crate) fn at(&mut self) -> *mut u8 {
        self.data.as_mut_ptr().cast()
    }
}

/// What a run touches of an operand: matrices, rows of each, and columns.
pub(crate) type Shape = (usize, usize, usize);

/// An operand in a slice, its type forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    len: usize,
    /// Bytes of an element.
    element: usize,
    gaps: Gaps,
}

impl Operand {
    /// Distances of rows and of matrices.
    pub(crate) fn strides(&self, (_, rows, columns): Shape) -> (usize, usize) {
        let row = self.gaps.row.unwrap_or(columns);
        // Beyond memory only where the slice is too short.
        (row, self.gaps.matrix.unwrap_or(rows.saturating_mul(row)))
    }

    /// Refuses elements of another size than the plan's, and a slice that ends before what the run touches. The plan's
    /// are of 0 bytes where it does not read the operand: then nothing is looked at.
    pub(crate) fn check(&self, name: &'static str, shape: Shape, element: usize) -> Result<()> {
        if element == 0 {
            return Ok(());
        }
        if self.element != element {
            let text = "has elements of {} bytes, but the plan's have {}";
            let error = Error::new(Status::InvalidArgument, name, text);
            return Err(error.with(self.element).with(element));
        }
        let (matrices, rows, columns) = shape;
        if matrices == 0 || rows == 0 {
            return Ok(());
        }
        let (row, matrix) = self.strides(shape);
        let rows = (rows - 1).saturating_mul(row).saturating_add(columns);
        let needed = (matrices - 1).saturating_mul(matrix).saturating_add(rows);
        if self.len < needed {
            let text = "has {} elements, but {} are needed";
            let error = Error::new(Status::BufferTooSmall, name, text);
            return Err(error.with(self.len).with(needed));
        }
        Ok(())
    }
}

/// Places for the parameters that `rows` rows, or images, of results choose.
pub(crate) fn places(
    (scales, zero_points): (&mut [f32], &mut [i32]),
    rows: usize,
) -> Result<super::OutputParams> {
    for (name, len) in [("scales", scales.len()), ("zero_points", zero_points.len())] {
        if len < rows {
            let error =
                Error::new(Status::BufferTooSmall, name, "has {} values, but {} are needed");
            return Err(error.with(len).with(rows));
        }
    }
    Ok(super::OutputParams { scales: scales.as_mut_ptr(), zero_points: zero_points.as_mut_ptr() })
}
