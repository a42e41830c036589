//! The table of kernels. Each op owns one `static` slice of [`Row`]s, best first and scalar last;
//! dispatch, tests, benches and the README's table all read these slices. Adding a kernel is
//! adding its row.

use fewbit_simd::{IsaSet, Supported};

/// One kernel: a name, what it needs, and the function. `F` is the op's `unsafe fn` type.
pub struct Row<F: 'static> {
    /// `<op>_<types>[_<tile>]_<isa>`, e.g. `quantize_f32s8_avx2`: the bench id, the test label and
    /// what a plan reports.
    pub name: &'static str,
    /// The features the function was compiled with. Private knowledge of dispatch: a row is called
    /// only through [`Bound`].
    pub required: IsaSet,
    run: F,
}

impl<F> Row<F> {
    /// A row of the table.
    ///
    /// # Safety
    /// `run` must be sound to call, within its own documented contract, on every CPU that has
    /// `required`.
    pub const unsafe fn new(name: &'static str, required: IsaSet, run: F) -> Self {
        Row { name, required, run }
    }
}

/// A row that the running CPU can execute: the one place where feature support is proven.
pub struct Bound<F: 'static>(&'static Row<F>);

impl<F> Clone for Bound<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for Bound<F> {}

impl<F: Copy> Bound<F> {
    /// The kernel's name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The function. Calling it is `unsafe` for its pointers only: its CPU features are proven.
    pub fn run(self) -> F {
        self.0.run
    }

    /// The row.
    pub fn row(self) -> &'static Row<F> {
        self.0
    }
}

/// The best row for a set of features, without asking the CPU at hand: pure, so that any host can
/// test the choice for any CPU. `rows` is best first; the last row must require nothing.
pub fn select<F>(rows: &'static [Row<F>], set: IsaSet) -> Option<&'static Row<F>> {
    rows.iter().find(|row| set.contains(row.required))
}

/// The row made callable, if the CPU is proven to have what it needs.
pub fn bind<F>(row: &'static Row<F>, supported: Supported) -> Option<Bound<F>> {
    if supported.has(row.required) { Some(Bound(row)) } else { None }
}

/// The best row of an op that the CPU at hand may run.
pub fn best<F>(rows: &'static [Row<F>], supported: Supported) -> Option<Bound<F>> {
    select(rows, supported.set()).and_then(|row| bind(row, supported))
}

/// What reports need to know of a row, whatever its function's type.
#[derive(Clone, Copy, Debug)]
pub struct RowInfo {
    /// The op, e.g. `quantize_f32s8`.
    pub op: &'static str,
    /// The kernel's name.
    pub name: &'static str,
    /// The features it needs.
    pub required: IsaSet,
}
