//! Tiles alone: on operands that stay in the first cache, packing of their lhs, and which of them is the fastest for a
//! product. What knows a tile's arguments is here and in `parts.rs`.

use criterion::{Criterion, Throughput};
use fewbit::kernels::gemm::{
    RhsForm, TILES, Tile, TileArgs, code_shift_lhs, pack_lhs, pack_rhs, select,
};
use fewbit::kernels::registry::bind;
use fewbit_benches::{Effort, Runner, Threads, Watch, choice::Choice, clock, codes, id, in_turns};
use fewbit_testkit::limited;

const OP: &str = "gemm_s8s32";

pub fn bench(c: &mut Criterion) {
    tiles(c);
    pack(c);
}

fn tiles(c: &mut Criterion) {
    const K: usize = 256;
    for tile in TILES {
        let Some(bound) = bind(&tile.row, limited()) else { continue };
        let (mr, nr, kr) = (tile.mr, tile.nr, tile.lhs.kr());
        let group_bytes = tile.lhs.group_bytes();
        let (lhs, rhs) = (codes(mr * K), codes(nr * K));
        let mut block = vec![0u8; K / kr * mr * group_bytes];
        let row = |row: usize| lhs[row * K..].as_ptr();
        // SAFETY: K codes a row, into a block of `mr` rows.
        unsafe { pack_lhs(row, mr, K, false, tile.lhs, block.as_mut_ptr()) };
        let (mut panel, mut sums) = (vec![0i8; nr * K], vec![0i32; nr]);
        let code = |column: usize, i: usize| i32::from(rhs[column * K + i] as i8);
        pack_rhs(code, nr, K, tile, &mut panel, &mut sums);
        let mut dst = vec![0i32; mr * nr];
        // All zero points are 0, so Σw plays no part but for the shift of lhs codes.
        let shift = code_shift_lhs(false, tile.lhs);
        let start: Vec<i32> = sums.iter().map(|sum| sum.wrapping_mul(-shift)).collect();
        let args = TileArgs {
            lhs: block.as_ptr(),
            lhs_row_stride: group_bytes,
            lhs_group_stride: group_bytes * mr,
            rhs: panel.as_ptr(),
            k_groups: K / kr,
            k_rest: 0,
            narrow: false,
            rows: mr,
            start: start.as_ptr(),
            row_start: std::ptr::null(),
            lhs_zero: std::ptr::null(),
            rhs_fold: std::ptr::null(),
            rhs_zero: std::ptr::null(),
            lhs_sum: std::ptr::null(),
            dst: dst.as_mut_ptr(),
            dst_stride: nr,
        };
        // SAFETY: a packed block and panel, their parameters, and a tile of sums.
        let mut run = || unsafe { bound.run()(&args) };
        run();
        for (at, &sum) in dst.iter().enumerate() {
            let (row, column) = (at / nr, at % nr);
            let products = (0..K).map(|i| i32::from(lhs[row * K + i] as i8) * code(column, i));
            assert_eq!(sum, products.sum::<i32>(), "{} at {row}, {column}", bound.name());
        }
        let mut group = c.benchmark_group(id(OP, bound.name()));
        group.throughput(Throughput::Elements((2 * mr * nr * K) as u64));
        group.bench_function(format!("tile_k{K}"), |b| b.iter(&mut run));
        group.finish();
    }
}

/// Packing of the lhs alone: a block of mr rows.
fn pack(c: &mut Criterion) {
    const K: usize = 1024;
    for tile in TILES.iter().filter(|tile| limited().has(tile.row.required)) {
        let lhs = codes(tile.mr * K);
        let mut block = vec![0u8; K / tile.lhs.kr() * tile.mr * tile.lhs.group_bytes()];
        let mut group = c.benchmark_group(id(OP, tile.row.name).replace("gemm", "gemm_pack"));
        group.throughput(Throughput::Elements((tile.mr * K) as u64));
        group.bench_function(format!("k{K}"), |b| {
            let row = |row: usize| lhs[row * K..].as_ptr();
            // SAFETY: K codes a row, into a block of `mr` rows.
            b.iter(|| unsafe { pack_lhs(row, tile.mr, K, true, tile.lhs, block.as_mut_ptr()) });
        });
        group.finish();
    }
}

/// Products for which tiles are compared: square, odd, few rows, few columns.
pub const CHOICES: [[usize; 3]; 6] =
    [[64, 64, 64], [7, 31, 129], [1, 1024, 1024], [4, 1024, 1024], [96, 8, 512], [96, 512, 512]];

pub fn choice_name([m, n, k]: [usize; 3]) -> String {
    format!("{m}x{n}x{k}")
}

/// Every tile that the CPU can run on a product's packed blocks and panels. Which there are to choose from depends on the
/// CPU; with one instruction set it is those of other widths.
pub fn choice(shape: [usize; 3], effort: Effort) -> Choice {
    let [m, n, k] = shape;
    let chosen = select(RhsForm::S8, limited().set(), n).expect("a kernel").row.name;
    let bound = TILES.iter().filter(|tile| limited().has(tile.row.required));
    let mut products: Vec<Product> = bound.map(|tile| Product::new(tile, shape)).collect();
    let mut runners: Vec<Option<&mut dyn Runner>> =
        products.iter_mut().map(|product| Some(product as &mut dyn Runner)).collect();
    let times = in_turns(&mut runners, effort, &mut Watch::new(&Threads::ONE));
    let operations = (2 * m * n * k) as f64;
    let rates = products.iter().zip(times).map(|(p, time)| (p.tile.row.name, operations / time));
    Choice { name: choice_name(shape), chosen, rates: rates.collect() }
}

/// A product's packed operands.
pub struct Product {
    tile: &'static Tile,
    shape: [usize; 3],
    lhs: Vec<u8>,
    rhs: Vec<i8>,
    start: Vec<i32>,
    dst: Vec<i32>,
}

impl Product {
    /// u8 codes by s8 codes, packed for a tile; some sums are compared with plain ones.
    pub fn new(tile: &'static Tile, [m, n, k]: [usize; 3]) -> Product {
        let groups = k.div_ceil(tile.lhs.kr());
        let (block, panel) = (groups * tile.lhs.group_bytes(), groups * tile.nr * tile.lhs.kr());
        let panels = n.div_ceil(tile.nr);
        let (a, w) = (codes(m * k), codes(n * k));
        let mut made = Product {
            tile,
            shape: [m, n, k],
            lhs: vec![0; m * block],
            rhs: vec![0; panels * panel],
            start: vec![0; panels * tile.nr],
            // A block of the lhs and all panels, as the engine's tasks keep them.
            dst: vec![0; tile.mr * panels * tile.nr],
        };
        for (i, to) in made.lhs.chunks_mut(tile.mr * block).enumerate() {
            let row = |row: usize| a[(i * tile.mr + row) * k..].as_ptr();
            // SAFETY: K codes a row, into a block of as many rows.
            unsafe { pack_lhs(row, to.len() / block, k, true, tile.lhs, to.as_mut_ptr()) };
        }
        let shift = code_shift_lhs(true, tile.lhs);
        let starts = made.start.chunks_mut(tile.nr);
        for (i, (to, start)) in made.rhs.chunks_mut(panel).zip(starts).enumerate() {
            let first = i * tile.nr;
            let code = |column: usize, i: usize| i32::from(w[(first + column) * k + i] as i8);
            pack_rhs(code, tile.nr.min(n - first), k, tile, to, start);
            // All zero points are 0, so Σw plays no part but for the shift of lhs codes.
            start.iter_mut().for_each(|sum| *sum = sum.wrapping_mul(-shift));
        }
        made.call();
        let first = (m - 1) / tile.mr * tile.mr;
        for row in first..m {
            for column in (0..n).step_by(n.div_ceil(50)) {
                let products = a[row * k..][..k].iter().zip(&w[column * k..][..k]);
                let sum = products.map(|(&a, &w)| i32::from(a) * i32::from(w as i8)).sum::<i32>();
                let got = made.dst[(row - first) * panels * tile.nr + column];
                assert_eq!(got, sum, "{} at {row}, {column}", tile.row.name);
            }
        }
        made
    }

    /// All sums, from packed operands.
    pub fn call(&mut self) {
        let (tile, [m, _, k]) = (self.tile, self.shape);
        let Some(bound) = bind(&tile.row, limited()) else { return };
        let groups = k.div_ceil(tile.lhs.kr());
        let block = groups * tile.lhs.group_bytes();
        let panel = groups * tile.nr * tile.lhs.kr();
        let null = std::ptr::null();
        let panels = self.rhs.len() / panel;
        for first in (0..m).step_by(tile.mr) {
            let rows = tile.mr.min(m - first);
            for (i, rhs) in self.rhs.chunks_exact(panel).enumerate() {
                // SAFETY: a packed block and panel, and the panel's columns of the block's sums.
                unsafe {
                    bound.run()(&TileArgs {
                        lhs: self.lhs[first * block..].as_ptr(),
                        lhs_row_stride: tile.lhs.group_bytes(),
                        lhs_group_stride: tile.lhs.group_bytes() * rows,
                        rhs: rhs.as_ptr(),
                        k_groups: groups,
                        k_rest: 0,
                        narrow: false,
                        rows,
                        start: self.start[i * tile.nr..].as_ptr(),
                        row_start: std::ptr::null(),
                        lhs_zero: null,
                        rhs_fold: null,
                        rhs_zero: null,
                        lhs_sum: null,
                        dst: self.dst[i * tile.nr..].as_mut_ptr(),
                        dst_stride: panels * tile.nr,
                    });
                }
            }
        }
    }
}

impl Runner for Product {
    fn time(&mut self, calls: usize) -> f64 {
        clock(calls, || self.call())
    }

    fn result(&mut self) -> Vec<f64> {
        self.call();
        self.dst.iter().map(|&sum| f64::from(sum)).collect()
    }
}
