//! Ops whose elements have parameters, a factor (a scale or a multiplier) and a zero point, and how
//! the granularities reach the op: runs that share one, runs of one each, and many such runs side by
//! side, where what was worked out for one serves all.

use crate::elementwise::{Step, line_head, run, streams};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use fewbit_simd::Lanes;

/// The pointer so many elements further, or NULL.
#[inline(always)]
pub(crate) fn further<T>(pointer: *const T, by: usize) -> *const T {
    if pointer.is_null() { pointer } else { pointer.wrapping_add(by) }
}

/// Runs side by side: a run, `count` times, each time moved by the strides (in elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The number of runs.
    pub count: usize,
    /// Distance of their first source elements.
    pub src_stride: usize,
    /// Distance of their first destination elements.
    pub dst_stride: usize,
    /// Distance of their first parameters.
    pub param_stride: usize,
}

impl Rows {
    /// One run.
    pub const ONE: Rows = Rows { count: 1, src_stride: 0, dst_stride: 0, param_stride: 0 };
}

/// Runs of an op with parameters, as its arguments say it.
#[derive(Clone, Copy)]
pub(crate) struct Grid<S, D> {
    pub src: *const S,
    pub src_stride: usize,
    pub dst: *mut D,
    pub dst_stride: usize,
    pub n: usize,
    pub factors: *const f32,
    pub zero_points: *const i32,
    pub param_step: usize,
    pub rows: Rows,
}

/// A run without its parameters.
#[derive(Clone, Copy)]
pub(crate) struct Run<S, D> {
    pub src: *const S,
    pub src_stride: usize,
    pub dst: *mut D,
    pub dst_stride: usize,
    pub n: usize,
    /// If results go around the caches: where the source of the next run is, or what follows the last.
    pub stream: Option<*const S>,
}

impl<S, D> Run<S, D> {
    /// Elements `first..first + n`.
    ///
    /// # Safety
    /// They are elements of the run.
    #[inline(always)]
    unsafe fn part(self, first: usize, n: usize) -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            let src = self.src.add(first * self.src_stride);
            let dst = self.dst.add(first * self.dst_stride);
            let stream = self.stream.map(|next| next.wrapping_add(first * self.src_stride));
            Run { src, dst, n, stream, ..self }
        }
    }

    /// Applies a step to all elements.
    ///
    /// # Safety
    /// As [`crate::elementwise::run`].
    #[inline(always)]
    pub(crate) unsafe fn apply<T: Step<Src = S, Dst = D>>(self, op: &T) {
        // SAFETY: by this function's contract.
        unsafe {
            run(op, self.src, self.src_stride, self.dst, self.dst_stride, self.n, self.stream)
        }
    }

    /// The run moved to row `row`.
    ///
    /// # Safety
    /// There is that row.
    #[inline(always)]
    unsafe fn row(self, rows: &Rows, row: usize) -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            let src = self.src.add(row * rows.src_stride);
            let dst = self.dst.add(row * rows.dst_stride);
            let stream = self.stream.map(|_| src.wrapping_add(rows.src_stride));
            Run { src, dst, stream, ..self }
        }
    }
}

/// Elements whose parameters are prepared at once, at most: as many as make a row's part worth the page that it
/// lies on; the parameters are then read from the second cache.
pub(crate) const TILE: usize = 2048;
/// The same of rows that follow each other in memory: the parameters stay in the first cache.
const SHORT_TILE: usize = 512;
/// Shorter runs, if they follow each other, are taken together.
const SHORT: usize = 128;
/// The longest vector of any row.
const MAX_LANES: usize = 16;

/// An op with parameters.
///
/// # Safety (of all methods)
/// Within an entry compiled for `V`; the run's elements can be read and written, its parameters read.
pub(crate) trait Op<V: Lanes> {
    /// An element of the source.
    type Src: Copy;
    /// An element of the destination.
    type Dst: Copy;
    /// What a tile's parameters are turned into, once for all runs that use them.
    type Tile;

    /// A run that shares a parameter.
    unsafe fn shared(&self, params: Uniform<V>, run: Run<Self::Src, Self::Dst>);
    /// A run of a parameter each, of portable code.
    unsafe fn each(&self, params: Each<V>, run: Run<Self::Src, Self::Dst>);
    /// A tile without parameters yet.
    fn tile() -> Self::Tile;
    /// Prepares `n <= TILE` parameters.
    unsafe fn prepare(&self, tile: &mut Self::Tile, params: Each<V>, n: usize);
    /// A run of whole vectors, each of which shares a parameter; there are `n <= TILE` parameters.
    unsafe fn by_vector(&self, params: ByVector<V>, n: usize, run: Run<Self::Src, Self::Dst>);
    /// A run of the elements of a tile, or the first of them.
    unsafe fn tiled(&self, tile: &Self::Tile, params: Each<V>, run: Run<Self::Src, Self::Dst>);
}

/// An op whose steps need nothing but their elements' parameters.
pub(crate) trait Plain<V: Lanes> {
    /// An element of the source.
    type Src: Copy;
    /// An element of the destination.
    type Dst: Copy;

    /// The step with parameters.
    fn with<P: Params<V>>(&self, params: P) -> impl Step<Src = Self::Src, Dst = Self::Dst>;
}

/// A [`Plain`] op as an [`Op`].
pub(crate) struct ByRun<T>(pub T);

impl<V: Lanes, T: Plain<V>> Op<V> for ByRun<T> {
    type Src = T::Src;
    type Dst = T::Dst;
    type Tile = ();

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<T::Src, T::Dst>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.0.with(params)) }
    }

    #[inline(always)]
    unsafe fn each(&self, params: Each<V>, run: Run<T::Src, T::Dst>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.0.with(params)) }
    }

    #[inline(always)]
    unsafe fn by_vector(&self, params: ByVector<V>, _n: usize, run: Run<T::Src, T::Dst>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.0.with(params)) }
    }

    #[inline(always)]
    fn tile() {}

    #[inline(always)]
    unsafe fn prepare(&self, _tile: &mut (), _params: Each<V>, _n: usize) {}

    #[inline(always)]
    unsafe fn tiled(&self, _tile: &(), params: Each<V>, run: Run<T::Src, T::Dst>) {
        // SAFETY: by the contract of `Op`.
        unsafe { self.each(params, run) }
    }
}

/// Applies an op to runs.
///
/// # Safety
/// Within an entry compiled for `V`; the elements of all runs can be read and written, their
/// parameters read; NULL zero points are all zero.
#[inline(always)]
pub(crate) unsafe fn grid<V: Lanes, O: Op<V>>(op: &O, grid: &Grid<O::Src, O::Dst>) {
    let Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows } =
        *grid;
    if n == 0 || rows.count == 0 {
        return;
    }
    let stream = V::STREAMS && streams::<O::Src, O::Dst>(n.saturating_mul(rows.count));
    let behind = stream.then_some(src.wrapping_add(n));
    let run = Run { src, src_stride, dst, dst_stride, n, stream: behind };
    let joined = rows.src_stride == n && rows.dst_stride == n && src_stride == 1 && dst_stride == 1;
    let short = joined && n < SHORT && rows.count > 1;
    let params = Each::<V>::new(factors, zero_points);
    // SAFETY: rows, elements and parameters exist by this function's contract.
    unsafe {
        if V::LANES == 1 {
            // Portable code has nothing to prepare, and short rows cost what long ones do.
            for row in 0..rows.count {
                let params = params.from(row * rows.param_stride);
                let run = run.row(&rows, row);
                if param_step == 0 {
                    op.shared(params.first(), run);
                } else {
                    op.each(params, run);
                }
            }
        } else if param_step == 0 && short && n.is_multiple_of(V::LANES) {
            blocks(op, params, run, &rows);
        } else if param_step == 0 && !short {
            for row in 0..rows.count {
                let shared = params.from(row * rows.param_stride).first();
                op.shared(shared, run.row(&rows, row));
            }
        } else {
            // Rows with parameters of their own are taken one by one.
            let own = param_step != 0 && rows.param_stride != 0;
            let (times, together) =
                if own { (rows.count, Rows { count: 1, ..rows }) } else { (1, rows) };
            for row in 0..times {
                let params = params.from(row * rows.param_stride);
                let run = run.row(&rows, row);
                tiles(op, params, run, &together, short && !own, param_step == 0);
            }
        }
        if stream {
            V::fence();
        }
    }
}

/// Parameters written out, one an element; room for a vector more.
struct Written {
    factors: [MaybeUninit<f32>; TILE + MAX_LANES],
    zero_points: [MaybeUninit<i32>; TILE + MAX_LANES],
}

impl Written {
    #[inline(always)]
    fn new() -> Written {
        Written {
            factors: [MaybeUninit::uninit(); TILE + MAX_LANES],
            zero_points: [MaybeUninit::uninit(); TILE + MAX_LANES],
        }
    }

    /// Writes a vector of parameters from element `at <= TILE` on.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn put<V: Lanes>(&mut self, at: usize, (factor, zero_point): (V::F32, V::I32)) {
        const { assert!(V::LANES <= MAX_LANES) };
        // SAFETY: `at + LANES` elements fit, as `at <= TILE`.
        unsafe {
            V::store_f32(self.factors.as_mut_ptr().cast::<f32>().add(at), factor, V::LANES);
            V::store_i32(self.zero_points.as_mut_ptr().cast::<i32>().add(at), zero_point, V::LANES);
        }
    }

    /// Writes one parameter, `at <= TILE`.
    #[inline(always)]
    fn put_one(&mut self, at: usize, (factor, zero_point): (f32, i32)) {
        if let (Some(f), Some(z)) = (self.factors.get_mut(at), self.zero_points.get_mut(at)) {
            f.write(factor);
            z.write(zero_point);
        }
    }

    /// Writes the parameters of `count` rows of `n` elements one behind the other: a parameter for each
    /// element of a row, or one that they share.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the rows' parameters can be read, `count * n <= TILE`.
    #[inline(always)]
    unsafe fn put_rows<V: Lanes>(
        &mut self,
        params: Each<V>,
        stride: usize,
        count: usize,
        n: usize,
        shared: bool,
    ) {
        for row in 0..count {
            let mut at = 0;
            while at < n {
                // SAFETY: by this function's contract. Each row's last vector reaches into the next row's
                // place, which comes later.
                unsafe {
                    let of_row = params.from(row * stride);
                    let values = if shared {
                        of_row.first().at(0, V::LANES)
                    } else {
                        of_row.at(at, V::LANES.min(n - at))
                    };
                    self.put::<V>(row * n + at, values);
                }
                at += V::LANES;
            }
        }
    }

    fn params<V: Lanes>(&self) -> Each<V> {
        Each::new(self.factors.as_ptr().cast(), self.zero_points.as_ptr().cast())
    }
}

/// Short rows of whole vectors, one behind the other, of a parameter each (blocks along an axis).
///
/// # Safety
/// As [`grid`], for rows that are joined, shorter than [`SHORT`] and a multiple of the vector's length.
#[inline(always)]
unsafe fn blocks<V: Lanes, O: Op<V>>(
    op: &O,
    params: Each<V>,
    run: Run<O::Src, O::Dst>,
    rows: &Rows,
) {
    let vectors = run.n / V::LANES;
    // As they are where that is a power of two, otherwise written out for each vector.
    let direct = rows.param_stride == 1 && vectors.is_power_of_two();
    let mut written = Written::new();
    let mut first = 0;
    while first < rows.count {
        let most = if direct { TILE } else { TILE / vectors.max(1) };
        let count = most.min(rows.count - first);
        // SAFETY: rows and parameters exist; `count * vectors <= TILE` written parameters are written
        // before they are read.
        unsafe {
            let mut part = run.part(first * run.n, count * run.n);
            // Up to the first line there would be steps of other lengths than the vector's, and
            // vectors behind them that begin within a block.
            let stream = part.stream.is_some() && line_head(part.dst).is_multiple_of(V::LANES);
            part.stream = stream.then_some(part.src.wrapping_add(part.n));
            let by_vector = if direct {
                ByVector { each: params.from(first), shift: vectors.trailing_zeros() }
            } else {
                for row in 0..count {
                    let shared = params.from((first + row) * rows.param_stride).first();
                    for i in 0..vectors {
                        written.put_one(row * vectors + i, shared.values());
                    }
                }
                ByVector { each: written.params(), shift: 0 }
            };
            op.by_vector(by_vector, (count * vectors) >> by_vector.shift, part);
        }
        first += count;
    }
}

/// Rows by tiles of parameters, each prepared once for all that use it.
///
/// Long rows with the same parameters in each: a tile of columns at a time, in all rows. Short rows, one
/// behind the other: as many as fit into a tile together, their parameters written out; once for all
/// where they are the same in all rows (few channels, innermost), for each tile where a row's elements
/// are `shared`: have one parameter (blocks along an axis, narrow rows).
///
/// # Safety
/// As [`grid`]; `short` rows are joined and shorter than [`SHORT`], others have the same parameters.
#[inline(always)]
unsafe fn tiles<V: Lanes, O: Op<V>>(
    op: &O,
    params: Each<V>,
    run: Run<O::Src, O::Dst>,
    rows: &Rows,
    short: bool,
    shared: bool,
) {
    // Never 0, as `grid` has seen, but the compiler does not: without it there would be panic paths.
    let n = run.n.max(1);
    let elements = n * rows.count;
    let tile_len = if short { ((SHORT_TILE / n).min(rows.count) * n).max(1) } else { TILE };
    // Short rows become longer ones: one of them all where each tile has its own parameters, otherwise
    // one a tile, of which the last may be shorter.
    let width = match (short, shared) {
        (true, true) => elements,
        (true, false) => tile_len,
        (false, _) => n,
    };
    let wide = if short {
        let count = elements.div_ceil(width.max(1));
        Rows { count, src_stride: width, dst_stride: width, param_stride: 0 }
    } else {
        *rows
    };
    let mut written = Written::new();
    let mut tile = O::tile();
    let mut first = 0;
    while first < width {
        let len = tile_len.min(width - first);
        // SAFETY: rows and parameters exist; `len <= TILE` parameters are written before they are read.
        unsafe {
            let params = if short {
                let first_row = first / n;
                let of_rows = params.from(first_row * rows.param_stride);
                written.put_rows(of_rows, rows.param_stride, len / n, n, shared);
                written.params()
            } else {
                params.from(first)
            };
            op.prepare(&mut tile, params, len);
            for row in 0..wide.count {
                let left = if short { elements - row * width } else { n };
                let part = run.row(&wide, row).part(first, len.min(left - first));
                op.tiled(&tile, params, part);
            }
        }
        first += len;
    }
}

/// The parameters of a run, by vectors.
pub(crate) trait Params<V: Lanes>: Copy {
    /// The factors and zero points of the elements `first..first + n`.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the elements are of the run.
    unsafe fn at(&self, first: usize, n: usize) -> (V::F32, V::I32);
}

/// One parameter for the whole run.
#[derive(Clone, Copy)]
pub(crate) struct Uniform<V: Lanes> {
    values: (f32, i32),
    factor: V::F32,
    zero_point: V::I32,
}

impl<V: Lanes> Uniform<V> {
    /// The factor and the zero point.
    #[inline(always)]
    pub(crate) fn values(&self) -> (f32, i32) {
        self.values
    }
}

impl<V: Lanes> Params<V> for Uniform<V> {
    #[inline(always)]
    unsafe fn at(&self, _first: usize, _n: usize) -> (V::F32, V::I32) {
        (self.factor, self.zero_point)
    }
}

/// Element `i` has parameter `i`. NULL zero points are all zero.
#[derive(Clone, Copy)]
pub(crate) struct Each<V: Lanes> {
    factors: *const f32,
    /// Where there are none, the factors: something that can be read.
    zero_points: *const i32,
    /// All bits, or none where there are none. (A branch would double every loop.)
    mask: i32,
    vectors: PhantomData<V>,
}

impl<V: Lanes> Each<V> {
    #[inline(always)]
    fn new(factors: *const f32, zero_points: *const i32) -> Self {
        let (zero_points, mask) =
            if zero_points.is_null() { (factors.cast(), 0) } else { (zero_points, -1) };
        Each { factors, zero_points, mask, vectors: PhantomData }
    }

    /// The parameters from number `first` on.
    ///
    /// # Safety
    /// There is that parameter, or it would be the one behind the last.
    #[inline(always)]
    unsafe fn from(self, first: usize) -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            let zero_points = self.zero_points.add(first);
            Each { factors: self.factors.add(first), zero_points, ..self }
        }
    }

    /// The first parameter, for all elements.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; the parameter can be read.
    #[inline(always)]
    unsafe fn first(self) -> Uniform<V> {
        // SAFETY: by this function's contract.
        unsafe {
            let factor = self.factors.read_unaligned();
            let zero_point = self.zero_points.read_unaligned() & self.mask;
            Uniform {
                values: (factor, zero_point),
                factor: V::splat_f32(factor),
                zero_point: V::splat_i32(zero_point),
            }
        }
    }
}

impl<V: Lanes> Params<V> for Each<V> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> (V::F32, V::I32) {
        // SAFETY: the elements are of the run, and there is a parameter for each.
        unsafe {
            let factor = V::load_f32(self.factors.add(first), n);
            let zero_point = V::load_i32(self.zero_points.add(first), n);
            (factor, V::and_i32(zero_point, V::splat_i32(self.mask)))
        }
    }
}

/// Each `2^shift` vectors of the run share a parameter.
#[derive(Clone, Copy)]
pub(crate) struct ByVector<V: Lanes> {
    /// The parameters, as if of elements.
    pub each: Each<V>,
    pub shift: u32,
}

impl<V: Lanes> Params<V> for ByVector<V> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, _n: usize) -> (V::F32, V::I32) {
        // SAFETY: there is a parameter for each vector of the run; `shift < 7`, as runs are short.
        unsafe {
            let shared = self.each.from((first / V::LANES) >> self.shift).first();
            (shared.factor, shared.zero_point)
        }
    }
}
