//! What a layer's time consists of, each part of it alone on all of the shape: `linear_part/u8u8/pack_<tile>` packs the
//! lhs, `linear_part/u8s32/sums_<tile>` multiplies packed operands, `linear_part/s32f32/epilogue_<row>` and
//! `linear_part/s32u8/epilogue_<row>` scale the sums. Beside them stand the whole run (`linear`) and what is done once
//! (`linear_create`).

use crate::tiles::Product;
use criterion::{Criterion, Throughput};
use fewbit::kernels::gemm::{RhsForm, pack_lhs, select};
use fewbit::kernels::registry::best;
use fewbit::kernels::scale::{S32_F32, S32_U8, ScaleArgs, ScaleCodesArgs, Tile};
use fewbit::scheme::{IntFormat, requantize, scale};
use fewbit_benches::{Layer, Shape, codes};
use fewbit_testkit::limited;

pub fn bench(c: &mut Criterion, shape: &Shape) {
    let Layer::Linear { m, n, k } = shape.layer else { return };
    let tile = select(RhsForm::S8, limited().set(), n).expect("a kernel");
    let mut part = |types: &str, name: &str, work: Throughput, run: &mut dyn FnMut()| {
        let name = name.trim_start_matches("gemm_s8s32_");
        let mut group = c.benchmark_group(format!("linear_part/{types}/{name}"));
        group.throughput(work);
        group.bench_function(shape.name, |b| b.iter(&mut *run));
        group.finish();
    };
    let name = tile.row.name.trim_start_matches("gemm_s8s32_");

    let lhs = codes(m * k);
    let block = k.div_ceil(tile.lhs.kr()) * tile.lhs.group_bytes();
    let mut blocks = vec![0u8; m * block];
    let bytes = Throughput::Bytes(2 * (m * k) as u64);
    part("u8u8", &format!("pack_{name}"), bytes, &mut || {
        for (i, to) in blocks.chunks_mut(tile.mr * block).enumerate() {
            let row = |row: usize| lhs[(i * tile.mr + row) * k..].as_ptr();
            // SAFETY: K codes a row, into a block of as many rows.
            unsafe { pack_lhs(row, to.len() / block, k, true, tile.lhs, to.as_mut_ptr()) };
        }
    });

    let operations = Throughput::Elements(shape.layer.operations() as u64);
    let mut product = Product::new(tile, [m, n, k]);
    part("u8s32", &format!("sums_{name}"), operations, &mut || product.call());

    // Sums lie by blocks of the tile's rows and columns, which is what the epilogue finds in a cache.
    let sums: Vec<i32> = codes(tile.mr * n).iter().map(|&code| i32::from(code) << 8).collect();
    let factors = vec![0.01f32; n];
    let null = std::ptr::null();
    let last = (m - 1) % tile.mr * n + n - 1;
    let mut reals = vec![0f32; m * n];
    let row = best(S32_F32, limited()).expect("a row");
    let mut run = || {
        for to in reals.chunks_mut(tile.mr * n) {
            let tile = rows(&sums, &factors, to);
            let args = ScaleArgs { tile, bias: null, may_be_nan: false, relu: false };
            // SAFETY: as many rows of sums, factors and results.
            unsafe { row.run()(&args) };
        }
        reals.last().copied()
    };
    assert_eq!(run(), Some(scale(sums[last], 1.0, 0.01, None, false)), "{}", row.name());
    let name = format!("epilogue_{}", row.name().rsplit('_').next().unwrap_or_default());
    let bytes = Throughput::Bytes(8 * (m * n) as u64);
    part("s32f32", &name, bytes, &mut || {
        run();
    });

    let mut results = vec![0u8; m * n];
    let row = best(S32_U8, limited()).expect("a row");
    let mut run = || {
        for to in results.chunks_mut(tile.mr * n) {
            let tile = rows(&sums, &factors, to);
            let args = ScaleCodesArgs {
                tile,
                step: 1.0,
                zero_point: 118,
                clamp: (0, 255),
                saturates: false,
            };
            // SAFETY: as many rows of sums, factors and results.
            unsafe { row.run()(&args) };
        }
        results.last().copied()
    };
    let code = requantize(sums[last], 0.01, 118, IntFormat::U8, (0, 255));
    assert_eq!(run().map(i32::from), Some(code), "{}", row.name());
    let bytes = Throughput::Bytes(5 * (m * n) as u64);
    part("s32u8", &name, bytes, &mut || {
        run();
    });
}

/// Rows of sums, a factor a column, and as many rows of results.
fn rows<T>(sums: &[i32], factors: &[f32], to: &mut [T]) -> Tile<T> {
    let n = factors.len();
    Tile {
        src: sums.as_ptr(),
        dst: to.as_mut_ptr(),
        dst_stride: 1,
        n,
        rows: to.len() / n,
        src_row_stride: n,
        dst_row_stride: n,
        row_factors: std::ptr::null(),
        factors: factors.as_ptr(),
    }
}
