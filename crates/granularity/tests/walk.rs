//! The walk against the definition: each element's parameter from its coordinates.

use fewbit_granularity::{Error, Granularity, Grid, Layout, MAX_RANK, Run, Walk};
use fewbit_testkit::{Rng, is_full, seed};

/// Coordinates, parameter by definition, and offsets, of every element in row-major order.
fn definition<const N: usize>(
    granularity: &Granularity,
    layouts: [&Layout; N],
) -> Vec<([usize; N], usize)> {
    let dims = layouts[0].dims();
    let extents: Vec<usize> = match *granularity {
        Granularity::PerTensor => dims.to_vec(),
        Granularity::PerAxis { axis } => {
            (0..dims.len()).map(|i| if i == axis { 1 } else { dims[i] }).collect()
        }
        Granularity::PerBlock { axis, block } => {
            (0..dims.len()).map(|i| if i == axis { block } else { 1 }).collect()
        }
        Granularity::PerBlock2 { axes, blocks } => (0..dims.len())
            .map(|i| match axes.iter().position(|&a| a == i) {
                Some(which) => blocks[which],
                None => 1,
            })
            .collect(),
    };
    let mut elements = Vec::new();
    if dims.contains(&0) {
        return elements;
    }
    let mut at = vec![0; dims.len()];
    loop {
        let offsets =
            layouts.map(|l| at.iter().zip(l.strides()).map(|(i, s)| i * s).sum::<usize>());
        let mut param = 0;
        for i in 0..dims.len() {
            param = param * dims[i].div_ceil(extents[i]) + at[i] / extents[i];
        }
        elements.push((offsets, param));
        let Some(axis) = (0..dims.len()).rev().find(|&i| at[i] + 1 < dims[i]) else { break };
        at[axis] += 1;
        at[axis + 1..].fill(0);
    }
    elements
}

fn expand<const N: usize>(runs: impl Iterator<Item = Run<N>>) -> Vec<([usize; N], usize)> {
    let mut elements = Vec::new();
    for run in runs {
        // A run of one element has no stride and no step: what takes it as contiguous is right.
        assert!(run.len > 1 || (run.len == 1 && run.strides == [1; N] && run.param_step == 0));
        assert!(run.param_step <= 1);
        for i in 0..run.len {
            let mut offsets = run.offsets;
            offsets.iter_mut().zip(run.strides).for_each(|(o, s)| *o += i * s);
            elements.push((offsets, run.param + i * run.param_step));
        }
    }
    elements
}

/// The runs of grids.
fn rows<const N: usize>(grids: impl Iterator<Item = Grid<N>>) -> impl Iterator<Item = Run<N>> {
    grids.flat_map(|grid| {
        assert!(grid.rows > 1 || (grid.rows == 1 && grid.row_strides == [0; N]));
        (0..grid.rows).map(move |row| {
            let mut run = grid.run;
            run.offsets.iter_mut().zip(grid.row_strides).for_each(|(o, s)| *o += row * s);
            run.param += row * grid.param_stride;
            run
        })
    })
}

fn check<const N: usize>(granularity: Granularity, layouts: [&Layout; N]) {
    let label = format!("{granularity:?} {layouts:?}");
    let walk: Walk<N> = granularity.walk(layouts).expect(&label);
    let expected = definition(&granularity, layouts);
    assert_eq!(expand(walk.clone()), expected, "{label}");
    assert_eq!(expand(rows(walk.clone().grids())), expected, "grids of {label}");
    // Every parameter has an element (no layout here is empty).
    let mut params: Vec<usize> = expected.iter().map(|e| e.1).collect();
    params.sort_unstable();
    params.dedup();
    let count = granularity.param_count(layouts[0]).expect(&label);
    assert!(params.into_iter().eq(0..count), "{label}");
    // Any split is the same walk, and so is a split of a split.
    assert_eq!(walk.elements(), expected.len());
    for parts in [2, 3, 1 + expected.len() / 2] {
        let pieces: Vec<Walk<N>> = (0..parts).map(|piece| walk.split(piece, parts)).collect();
        let sizes = pieces.iter().map(Walk::elements);
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        assert!(most - least <= 1, "{label} in {parts} parts");
        let visited = pieces.iter().flat_map(|piece| {
            let middle = piece.elements() / 2;
            let halves = [piece.range(0, middle), piece.range(middle, usize::MAX)];
            let [first, second] = halves;
            [expand(first), expand(rows(second.grids()))].concat()
        });
        assert_eq!(visited.collect::<Vec<_>>(), expected, "{label} in {parts} parts");
        assert_eq!(walk.split(parts, parts).count(), 0);
    }
    // A range of a walk that has begun counts from where it stands.
    let mut begun = walk.clone();
    if let Some(run) = begun.next() {
        assert_eq!(expand(begun.range(0, usize::MAX)), expected[run.len..], "{label}");
        let next = expected.get(run.len).map(|e| vec![*e]).unwrap_or_default();
        assert_eq!(expand(begun.range(0, 1)), next, "{label}");
    }
}

fn every_granularity(rank: usize) -> Vec<Granularity> {
    let mut all = vec![Granularity::PerTensor];
    for axis in 0..rank {
        all.push(Granularity::PerAxis { axis });
        for block in [1, 2, 3, 5, 100] {
            all.push(Granularity::PerBlock { axis, block });
        }
        for other in (0..rank).filter(|&other| other != axis) {
            all.push(Granularity::PerBlock2 { axes: [axis, other], blocks: [2, 3] });
            all.push(Granularity::PerBlock2 { axes: [axis, other], blocks: [1, 100] });
        }
    }
    all
}

#[test]
fn equals_the_definition_on_random_layouts() {
    let mut rng = Rng::new(seed());
    let mut cases = 0;
    for rank in 0..=MAX_RANK {
        for _ in 0..if is_full() { 100 } else { 12 } {
            let sizes: &[usize] = if rank > 5 { &[1, 1, 2, 2, 3] } else { &[1, 1, 2, 3, 4, 5, 7] };
            let dims: Vec<usize> = (0..rank).map(|_| rng.pick(sizes)).collect();
            let contiguous = Layout::contiguous(&dims).unwrap();
            let strided = random_strides(&mut rng, &dims);
            let packed = Layout::packed(&dims, 8).unwrap();
            for granularity in every_granularity(rank) {
                check(granularity, [&contiguous]);
                check(granularity, [&contiguous, &strided]);
                check(granularity, [&strided, &packed, &contiguous]);
                cases += 1;
            }
        }
    }
    println!("{cases} granularities of random layouts");
}

/// A permutation of the axes with gaps.
fn random_strides(rng: &mut Rng, dims: &[usize]) -> Layout {
    let mut order: Vec<usize> = (0..dims.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i + 1));
    }
    let mut strides = vec![0; dims.len()];
    let mut step = 1 + rng.below(3);
    for axis in order {
        strides[axis] = step;
        step = step * dims[axis] + rng.below(3);
    }
    let layout = Layout::strided(dims, &strides).unwrap();
    assert!(!layout.overlaps_itself());
    layout
}

#[test]
fn empty_tensors_have_no_runs() {
    for dims in [&[0usize][..], &[3, 0], &[0, 3], &[2, 0, 4], &[0, 0]] {
        let layout = Layout::contiguous(dims).unwrap();
        assert_eq!((layout.len(), layout.extent(), layout.is_empty()), (0, 0, true));
        for granularity in every_granularity(dims.len()) {
            assert_eq!(granularity.walk([&layout]).unwrap().count(), 0);
            assert_eq!(granularity.walk([&layout]).unwrap().split(0, 2).count(), 0);
            let count = match granularity {
                Granularity::PerTensor => 1,
                Granularity::PerAxis { axis } => dims[axis],
                _ => 0,
            };
            assert_eq!(granularity.param_count(&layout), Ok(count));
        }
    }
}

#[test]
fn grids_are_blocks_along_each_axis() {
    let layout = Layout::contiguous(&[2, 10, 7]).unwrap();
    let grid = |granularity: Granularity| granularity.param_dims(&layout).unwrap()[..4].to_vec();
    assert_eq!(grid(Granularity::PerTensor), [1, 1, 1, 1]);
    assert_eq!(grid(Granularity::PerAxis { axis: 1 }), [1, 10, 1, 1]);
    assert_eq!(grid(Granularity::PerBlock { axis: 1, block: 4 }), [2, 3, 7, 1]);
    let rectangles = Granularity::PerBlock2 { axes: [1, 2], blocks: [4, 3] };
    assert_eq!(grid(rectangles), [2, 3, 3, 1]);
}

fn runs(granularity: Granularity, dims: &[usize]) -> Vec<Run<1>> {
    granularity.walk([&Layout::contiguous(dims).unwrap()]).unwrap().collect()
}

#[test]
fn runs_are_as_long_as_they_can_be() {
    let whole = runs(Granularity::PerTensor, &[2, 3, 4, 5]);
    assert_eq!(whole.len(), 1);
    assert_eq!((whole[0].len, whole[0].strides, whole[0].param_step), (120, [1], 0));

    let channels = runs(Granularity::PerAxis { axis: 1 }, &[2, 3, 4, 5]);
    assert_eq!(channels.len(), 6);
    assert!(channels.iter().enumerate().all(|(i, r)| r.len == 20 && r.param == i % 3));

    let columns = runs(Granularity::PerAxis { axis: 1 }, &[7, 9]);
    assert_eq!(columns.len(), 7);
    assert!(columns.iter().all(|r| (r.len, r.param, r.param_step) == (9, 0, 1)));

    let rows = runs(Granularity::PerAxis { axis: 0 }, &[7, 9]);
    assert!(rows.len() == 7 && rows.iter().all(|r| (r.len, r.param_step) == (9, 0)));

    let blocks = runs(Granularity::PerBlock { axis: 1, block: 4 }, &[2, 10]);
    let lens: Vec<usize> = blocks.iter().map(|r| r.len).collect();
    assert_eq!(lens, [4, 4, 2, 4, 4, 2]);

    // A parameter for each element: one run, whatever the rank.
    let each = runs(Granularity::PerBlock { axis: 0, block: 1 }, &[3, 4, 5]);
    assert!(each.len() == 1 && (each[0].len, each[0].param_step) == (60, 1));
}

#[test]
fn rank_zero_is_one_element() {
    let layout = Layout::contiguous(&[]).unwrap();
    assert_eq!(layout.len(), 1);
    check(Granularity::PerTensor, [&layout]);
}

#[test]
fn bad_layouts_are_refused() {
    assert_eq!(Layout::contiguous(&[1; MAX_RANK + 1]), Err(Error::Rank { rank: MAX_RANK + 1 }));
    assert_eq!(Layout::strided(&[2, 3], &[3]), Err(Error::StrideCount { strides: 1, rank: 2 }));
    assert_eq!(Layout::strided(&[2, 3], &[3, 0]), Err(Error::ZeroStride { axis: 1 }));
    assert!(Layout::strided(&[2, 1], &[3, 0]).is_ok());
    let half = 1usize << (usize::BITS / 2);
    for dims in [&[half, half][..], &[usize::MAX], &[half, half, 0], &[0, usize::MAX, 2]] {
        assert_eq!(Layout::contiguous(dims), Err(Error::Overflow), "{dims:?}");
    }
    assert_eq!(Layout::strided(&[2, 2], &[usize::MAX, 1]), Err(Error::Overflow));
    assert_eq!(Layout::strided(&[3], &[usize::MAX / 2]), Err(Error::Overflow));
    // The largest that there can be, and one more, in elements and in reach.
    let most = isize::MAX as usize;
    assert_eq!(Layout::contiguous(&[most]).map(|layout| layout.len()), Ok(most));
    assert_eq!(Layout::contiguous(&[most + 1]), Err(Error::Overflow));
    assert_eq!(Layout::strided(&[2], &[most - 1]).map(|layout| layout.extent()), Ok(most));
    assert_eq!(Layout::strided(&[2], &[most]), Err(Error::Overflow));
}

#[test]
fn packed_rows_start_on_bytes() {
    for (dims, codes_per_byte, strides) in [
        (&[2, 3, 5][..], 2, &[18, 6, 1][..]),
        (&[2, 3, 5], 8, &[24, 8, 1]),
        (&[2, 3, 4], 4, &[12, 4, 1]),
        (&[3, 5], 0, &[5, 1]),
        (&[5, 0], 2, &[2, 1]),
        (&[7], 8, &[1]),
        (&[], 8, &[]),
    ] {
        let layout = Layout::packed(dims, codes_per_byte).unwrap();
        assert_eq!(layout.strides(), strides, "{dims:?} {codes_per_byte}");
        assert_eq!(layout.is_empty(), dims.contains(&0), "{dims:?}");
    }
    assert_eq!(Layout::packed(&[2, usize::MAX], 2), Err(Error::Overflow));
    assert_eq!(Layout::packed(&[0, usize::MAX], 2), Err(Error::Overflow));
}

#[test]
fn gaps_are_seen() {
    let contiguous =
        |dims: &[usize], strides: &[usize]| Layout::strided(dims, strides).unwrap().is_contiguous();
    assert!(contiguous(&[2, 3, 4], &[12, 4, 1]) && contiguous(&[], &[]));
    // The stride of a single index does not matter, nor do any where nothing is.
    assert!(contiguous(&[2, 1, 4], &[4, 9, 1]) && contiguous(&[0, 3], &[7, 7]));
    assert!(!contiguous(&[2, 3], &[4, 1]) && !contiguous(&[2, 3], &[1, 2]));
    assert!(!contiguous(&[3], &[2]));
}

#[test]
fn the_first_rows_are_a_layout() {
    let layout = Layout::strided(&[3, 4], &[10, 2]).unwrap();
    assert_eq!(layout.rows(3), Some(layout));
    assert_eq!(layout.rows(2), Some(Layout::strided(&[2, 4], &[10, 2]).unwrap()));
    assert_eq!(layout.rows(0).map(|rows| rows.len()), Some(0));
    assert_eq!(layout.rows(4), None);
    assert_eq!(Layout::contiguous(&[]).unwrap().rows(1), None);
}

#[test]
fn bad_granularities_are_refused() {
    let layout = Layout::contiguous(&[2, 3]).unwrap();
    let count = |granularity: Granularity| granularity.param_count(&layout);
    assert_eq!(count(Granularity::PerAxis { axis: 2 }), Err(Error::Axis { axis: 2, rank: 2 }));
    let block = Granularity::PerBlock { axis: 1, block: 0 };
    assert_eq!(count(block), Err(Error::ZeroBlock { axis: 1 }));
    let far = Granularity::PerBlock { axis: usize::MAX, block: 1 };
    assert_eq!(count(far), Err(Error::Axis { axis: usize::MAX, rank: 2 }));
    let same = Granularity::PerBlock2 { axes: [1, 1], blocks: [1, 1] };
    assert_eq!(count(same), Err(Error::SameAxis { axis: 1 }));
    let zero = Granularity::PerBlock2 { axes: [0, 1], blocks: [1, 0] };
    assert_eq!(count(zero), Err(Error::ZeroBlock { axis: 1 }));
    let other = Layout::contiguous(&[3, 2]).unwrap();
    assert_eq!(Granularity::PerTensor.walk([&layout, &other]).err(), Some(Error::Shape));
}

#[test]
fn overlap_is_seen() {
    let overlaps = |dims: &[usize], strides: &[usize]| {
        Layout::strided(dims, strides).unwrap().overlaps_itself()
    };
    assert!(!overlaps(&[3, 4], &[4, 1]) && !overlaps(&[3, 4], &[1, 3]));
    assert!(overlaps(&[3, 4], &[3, 1]) && overlaps(&[2, 2], &[1, 1]));
    assert!(!overlaps(&[1, 4], &[0, 2]) && !overlaps(&[], &[]));
    assert!(!overlaps(&[2, 0], &[1, 1]));
}

#[test]
fn grids_are_few() {
    let count = |granularity: Granularity, dims: &[usize]| {
        let layout = Layout::contiguous(dims).unwrap();
        granularity.walk([&layout]).unwrap().grids().count()
    };
    let axis = |axis| Granularity::PerAxis { axis };
    assert_eq!(count(axis(1), &[100, 30]), 1);
    assert_eq!(count(axis(0), &[100, 30]), 1);
    assert_eq!(count(axis(3), &[4, 5, 6, 3]), 1);
    assert_eq!(count(axis(1), &[4, 3, 5, 6]), 4);
    let block = |block| Granularity::PerBlock { axis: 1, block };
    assert_eq!(count(block(32), &[100, 4096]), 1);
    // A row's blocks, and its ragged last one.
    assert_eq!(count(block(32), &[100, 4100]), 200);
    let wide = Granularity::PerBlock { axis: 0, block: 10 };
    assert_eq!(count(wide, &[100, 30]), 10);
}
