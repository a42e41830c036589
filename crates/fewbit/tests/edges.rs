//! Products at the edges of every tile, with extreme codes and zero points, between guard pages; and runs cut at any row
//! and column, on any number of threads.

mod common;

use common::layers::{create, linear, params_near};
use common::{Memory, Operands, Threads, bits, products, value, workspace};
use fewbit::memory::Allocator;
use fewbit::scheme::RealFormat;
use fewbit::{
    ActivationMode, Code, Gemm, GemmDesc, GemmRun, Input, LinearLayout, Output, Parallel, Residual,
    Serial, View, ViewMut, Weights,
};
use fewbit_testkit::{Rng, covered, edges, reference, report, sampled, seed, supported_sets};

/// Codes of a kind: random, or these two in turns.
fn codes(rng: &mut Rng, count: usize) -> Vec<u8> {
    let kinds = [(0x80, 0x80), (0xFF, 0xFF), (0x7F, 0x7F), (0, 0), (0x80, 0x7F), (0, 0xFF)];
    match rng.below(kinds.len() + 1) {
        0 => rng.bytes(count),
        kind => {
            let (even, odd) = kinds[kind - 1];
            (0..count).map(|i| if i % 2 == 0 { even } else { odd }).collect()
        }
    }
}

/// None, one or `count` zero points: an end of the format, 0, or any.
fn zero_points(rng: &mut Rng, code: Code, count: usize) -> Vec<i32> {
    let (low, high) = (code.format().qmin(), code.format().qmax());
    let count = rng.pick(&[0, 1, count]);
    let any = |rng: &mut Rng| {
        let any = low + rng.below(256) as i32;
        rng.pick(&[low, 0, high, any])
    };
    (0..count).map(|_| any(rng)).collect()
}

/// `mr`, `nr` and `kr` of a tile, from its name.
fn tile(name: &str) -> [usize; 3] {
    let shape = name.split('_').find(|part| part.split('x').count() == 3).expect("a tile's name");
    let mut sizes = shape.split('x').map(|size| size.parse().expect("a number"));
    [(); 3].map(|()| sizes.next().expect("three sizes"))
}

fn pick(values: &[i32], index: usize) -> i64 {
    match values {
        [] => 0,
        [one] => i64::from(*one),
        all => i64::from(all[index]),
    }
}

#[test]
fn products_at_every_edge_are_exact_and_stay_within_their_memory() {
    let mut rng = Rng::new(seed() ^ 0xED);
    let [mut lhs_memory, mut dst_memory, mut work_memory] = [(); 3].map(|()| Memory::new(1 << 18));
    for set in supported_sets() {
        let probe = desc(&[1], (1, 1), (Code::S8, Code::S8), &[], LinearLayout::Nk);
        let probe = Gemm::create(&probe, set, &Allocator::DEFAULT).unwrap();
        let [mr, nr, kr] = tile(probe.kernel_name());
        let some = |sizes: Vec<usize>| -> Vec<usize> {
            sizes.into_iter().filter(|&size| size > 0).collect()
        };
        let (ms, ns, ks) = (edges(mr), some(edges(nr)), some([edges(kr), vec![64, 257]].concat()));
        let grid = ms.iter().flat_map(|&m| {
            let ks = &ks;
            ns.iter().flat_map(move |&n| ks.iter().map(move |&k| (m, n, k)))
        });
        for (m, n, k) in sampled("gemm edges m x n x k", 7, grid) {
            let (lhs_code, rhs_code) =
                (rng.pick(&[Code::S8, Code::U8]), rng.pick(&[Code::S8, Code::U8]));
            let layout = rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]);
            let (lhs, rhs) = (codes(&mut rng, m * k), codes(&mut rng, n * k));
            let lhs_zeros = zero_points(&mut rng, lhs_code, m);
            let rhs_zeros = zero_points(&mut rng, rhs_code, n);
            let values = |code: Code, bytes: &[u8]| -> Vec<i64> {
                bytes.iter().map(|&byte| value(code, byte)).collect()
            };
            let by_column: Vec<u8> = match layout {
                LinearLayout::Nk => rhs.clone(),
                LinearLayout::Kn => (0..n * k).map(|i| rhs[i % k * n + i / k]).collect(),
            };
            let expected = reference::matmul(
                (m, n, k),
                &values(lhs_code, &lhs),
                &(0..m).map(|row| pick(&lhs_zeros, row)).collect::<Vec<_>>(),
                &values(rhs_code, &by_column),
                &(0..n).map(|column| pick(&rhs_zeros, column)).collect::<Vec<_>>(),
            );
            let desc = desc(&rhs, (n, k), (lhs_code, rhs_code), &rhs_zeros, layout);
            let plan = Gemm::create(&desc, set, &Allocator::DEFAULT).unwrap();

            // Rows apart, the last one's end at the guard page: so they begin anywhere.
            let (lhs_stride, dst_stride) = (k + rng.below(4), n + rng.below(3));
            let mut apart = vec![0x99u8; m.saturating_sub(1) * lhs_stride + k];
            for (row, codes) in lhs.chunks_exact(k).enumerate() {
                apart[row * lhs_stride..][..k].copy_from_slice(codes);
            }
            let extent = m.saturating_sub(1) * dst_stride + n;
            let blank = [0x5A, 0x5A, 0x5A, 0x5A].repeat(extent);
            let needed = plan.workspace(m, 1).unwrap().size;
            let run = GemmRun {
                rows: m,
                lhs: lhs_memory.copy(&apart),
                lhs_stride,
                lhs_batch_stride: 0,
                lhs_scales: std::ptr::null(),
                lhs_scale_count: 0,
                lhs_zero_points: lhs_zeros.as_ptr(),
                lhs_zero_point_count: lhs_zeros.len(),
                workspace: work_memory.garbage(needed),
                workspace_size: needed,
                dst: dst_memory.copy(&blank),
                dst_stride,
                dst_batch_stride: 0,
            };
            // SAFETY: rows and strides as above; a guard page ends each operand.
            let got = unsafe {
                plan.run_raw(&run, &Serial).unwrap();
                std::slice::from_raw_parts(run.dst.cast::<i32>(), extent)
            };
            let blank = |sums: &[i32]| sums.iter().all(|&sum| sum == 0x5A5A_5A5A);
            assert!(m > 0 || blank(got), "no rows, and something was written");
            for (row, got) in got.chunks(dst_stride).enumerate().take(m) {
                let (sums, gap) = got.split_at(n);
                let sums: Vec<i64> = sums.iter().map(|&sum| i64::from(sum)).collect();
                assert_eq!(
                    sums,
                    expected[row * n..][..n],
                    "{} row {row} of {m} x {n} x {k} {lhs_code:?} {rhs_code:?} {layout:?}",
                    plan.kernel_name(),
                );
                assert!(blank(gap), "a gap was written");
            }
            covered("gemm edges", set.set(), 1);
        }
    }
    report();
}

fn desc<'a>(
    rhs: &'a [u8],
    (n, k): (usize, usize),
    (lhs, code): (Code, Code),
    zero_points: &'a [i32],
    rhs_layout: LinearLayout,
) -> GemmDesc<'a> {
    let column = products::desc(rhs, k, lhs);
    GemmDesc {
        n,
        rhs: Weights { format: code.format(), zero_points, ..column.rhs },
        rhs_layout,
        ..column
    }
}

/// Borders that cut `len` into parts, some of them empty.
fn borders(rng: &mut Rng, len: usize) -> Vec<usize> {
    let mut borders: Vec<usize> = (0..rng.below(6)).map(|_| rng.below(len + 1)).collect();
    borders.extend([0, len]);
    borders.sort_unstable();
    borders
}

#[test]
fn any_cut_on_any_threads_gives_the_same_bytes() {
    let mut rng = Rng::new(seed() ^ 0xC7);
    for round in 0..24 {
        let (m, n, k) = (1 + rng.below(70), 1 + rng.below(150), 1 + rng.below(90));
        let mut operands = Operands::any(&mut rng, n, n * k);
        let code = rng.pick(&[Code::S8, Code::U8]);
        operands.input = Input::Codes(code, params_near(&mut rng, code, 0.05));
        operands.output = Output::Real(RealFormat::F32);
        operands.finish.mode = ActivationMode::Float;
        operands.finish.residual = Residual::None;
        let plan = create(&linear(&operands, (n, k), LinearLayout::Nk)).unwrap();
        let x = rng.bytes(m * (k + 1));
        let x = || View::new(&x).row_stride(k + 1);
        let mut memory = workspace(plan.workspace(m, 7).unwrap().size);
        let mut expected = vec![0f32; m * n];
        let whole = (0..m, 0..n);
        let to = ViewMut::new(&mut expected);
        plan.run_range(m, x(), View::NONE, &mut memory, &Serial, to, whole).unwrap();
        for workers in [1, 2, 3, 7] {
            let (rows, columns) = (borders(&mut rng, m), borders(&mut rng, n));
            let cuts = rows.windows(2).flat_map(|rows| {
                columns.windows(2).map(|columns| (rows[0]..rows[1], columns[0]..columns[1]))
            });
            let mut cuts: Vec<_> = cuts.collect();
            let turned = rng.below(cuts.len());
            cuts.rotate_left(turned);
            let threads = Threads(workers);
            // Threads are slow to start: most rounds take turns with one.
            let parallel: &dyn Parallel = if round % 4 == 0 { &threads } else { &Turns(workers) };
            let mut y = vec![-1f32; m * (n + 2)];
            for cut in cuts {
                let to = ViewMut::new(&mut y).row_stride(n + 2);
                plan.run_range(m, x(), View::NONE, &mut memory, parallel, to, cut).unwrap();
            }
            for (row, y) in y.chunks_exact(n + 2).enumerate() {
                assert_eq!(
                    bits(&y[..n]),
                    bits(&expected[row * n..][..n]),
                    "{}",
                    plan.kernel_name()
                );
                assert_eq!(y[n..], [-1.0, -1.0], "a gap was written");
            }
        }
    }
}

/// So many workers, which take the tasks in turns from the last one on, on the calling thread.
struct Turns(usize);

impl Parallel for Turns {
    fn max_workers(&self) -> usize {
        self.0
    }

    fn min_operations(&self) -> usize {
        0
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        (0..n).rev().for_each(|index| task(index, index % self.0));
    }
}
