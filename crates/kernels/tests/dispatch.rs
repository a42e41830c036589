//! The tables: names, order, and which row each CPU would run, asked of any CPU on any host.

use fewbit_kernels::registry::{Row, RowInfo, best, bind, select};
use fewbit_kernels::{
    activate, add, block, convert, dequantize, lookup, pack, quantize, reduce, requantize, rescale,
};
use fewbit_scheme::block::{gguf::Gguf, mx::Mx};
use fewbit_simd::{Isa, IsaSet, Supported};
use std::collections::HashSet;

/// The set that a CPU with these features has.
fn set(features: &[Isa]) -> IsaSet {
    features.iter().fold(IsaSet::SCALAR, |set, isa| set.union(isa.closure()))
}

/// The instruction set that ends a row's name: the longest one that does, as `avx512_vnni` also
/// ends in no shorter name but might.
fn suffix(name: &str) -> Option<(&str, Option<Isa>)> {
    Isa::ALL
        .into_iter()
        .map(|isa| (isa.name(), Some(isa)))
        .chain([("scalar", None)])
        .filter_map(|(isa_name, isa)| {
            let op = name.strip_suffix(isa_name)?.strip_suffix('_')?;
            Some((op, isa))
        })
        .min_by_key(|(op, _)| op.len())
}

#[test]
fn names_say_what_rows_need() {
    for RowInfo { op, name, required } in fewbit_kernels::rows() {
        let (rest, isa) = suffix(name).unwrap_or_else(|| panic!("{name} names no instruction set"));
        let tile = rest.strip_prefix(op).unwrap_or_else(|| panic!("{name} is not of {op}"));
        assert!(tile.is_empty() || tile.starts_with('_'), "{name} is not of {op}");
        assert_eq!(required, isa.map_or(IsaSet::SCALAR, Isa::closure), "{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "{name}");
    }
}

#[test]
fn names_are_unique() {
    let mut seen = HashSet::new();
    for row in fewbit_kernels::rows() {
        assert!(seen.insert(row.name), "{} twice", row.name);
    }
    assert!(seen.len() > 20);
}

#[test]
fn every_op_ends_in_a_portable_row() {
    let rows: Vec<RowInfo> = fewbit_kernels::rows().collect();
    for (i, row) in rows.iter().enumerate() {
        if rows.get(i + 1).is_none_or(|next| next.op != row.op) {
            assert_eq!(row.required, IsaSet::SCALAR, "{}", row.name);
            assert!(row.name.ends_with("_scalar"));
        }
    }
    // An op's rows stand together.
    let mut ops: Vec<&str> = rows.iter().map(|row| row.op).collect();
    ops.dedup();
    assert_eq!(ops.len(), ops.iter().collect::<HashSet<_>>().len());
}

#[test]
fn every_table_is_listed() {
    fn names<F>(rows: &'static [Row<F>]) -> impl Iterator<Item = &'static str> {
        rows.iter().map(|row| row.name)
    }
    let listed: HashSet<&str> = fewbit_kernels::rows().map(|row| row.name).collect();
    let tables = [
        quantize::F32_S8,
        quantize::F32_U8,
        quantize::F32_S16,
        quantize::F32_B1,
        quantize::F16_S8,
        quantize::F16_U8,
        quantize::BF16_S8,
        quantize::BF16_U8,
    ]
    .into_iter()
    .flat_map(names)
    .chain(
        [
            dequantize::S8_F32,
            dequantize::U8_F32,
            dequantize::S16_F32,
            dequantize::S8_F16,
            dequantize::U8_F16,
            dequantize::S16_F16,
            dequantize::S8_BF16,
            dequantize::U8_BF16,
            dequantize::S16_BF16,
        ]
        .into_iter()
        .flat_map(names),
    )
    .chain([requantize::S32_S8, requantize::S32_U8].into_iter().flat_map(names))
    .chain([requantize::S32_S8_FIXED, requantize::S32_U8_FIXED].into_iter().flat_map(names))
    .chain([rescale::S8_S8, rescale::U8_U8].into_iter().flat_map(names))
    .chain([pack::U8_U4, pack::U4_U8, pack::S4_S8].into_iter().flat_map(names))
    .chain(
        [
            convert::F32_F16,
            convert::F32_F16_SATURATE,
            convert::F32_BF16,
            convert::F32_BF16_SATURATE,
            convert::F16_F32,
            convert::BF16_F32,
            convert::F32_F8E4M3FN,
            convert::F32_F8E4M3FN_SATURATE,
            convert::F32_F8E5M2,
            convert::F32_F8E5M2_SATURATE,
            convert::F8E4M3FN_F32,
            convert::F8E5M2_F32,
        ]
        .into_iter()
        .flat_map(names),
    )
    .chain([reduce::MIN_MAX, reduce::MIN_MAX_F16, reduce::MIN_MAX_BF16].into_iter().flat_map(names))
    .chain(
        [
            reduce::ROW_RANGES,
            reduce::COLUMN_RANGES,
            reduce::ROW_RANGES_F16,
            reduce::COLUMN_RANGES_F16,
            reduce::ROW_RANGES_BF16,
            reduce::COLUMN_RANGES_BF16,
        ]
        .into_iter()
        .flat_map(names),
    )
    .chain(names(reduce::ABSMAX))
    .chain(names(reduce::ROW_SUMS))
    .chain([reduce::ROW_SUMS_S8, reduce::ROW_SUMS_U8].into_iter().flat_map(names));
    let blocks = Gguf::ALL.map(block::gguf).into_iter();
    let blocks = blocks.flat_map(|(to, from)| names(to).chain(names(from)));
    let scaled = Mx::ALL.map(block::mx).into_iter();
    let scaled = scaled.flat_map(|(to, from)| names(to).chain(names(from)));
    let activations = activate::TABLES.iter().flat_map(|&(rows, _)| names(rows));
    let tables = tables
        .chain(blocks)
        .chain(scaled)
        .chain(names(block::F32_NVFP4))
        .chain(names(block::NVFP4_F32))
        .chain(activations)
        .chain(names(add::ADD))
        .chain(names(lookup::LOOKUP));
    for name in tables {
        assert!(listed.contains(name), "{name}");
    }
}

#[test]
fn the_first_row_that_the_set_allows() {
    let pick = |set| select(quantize::F32_S8, set).unwrap().name;
    let scalar = "quantize_f32s8_scalar";
    assert_eq!(pick(IsaSet::SCALAR), scalar);
    let (alder_lake, ice_lake, graviton2) = (
        set(&[Isa::Avx2, Isa::AvxVnni]),
        set(&[Isa::Avx512Vnni]),
        set(&[Isa::Neon, Isa::NeonDotprod]),
    );
    // A table holds the rows of the architecture it is compiled for.
    if cfg!(target_arch = "x86_64") {
        assert_eq!(pick(alder_lake), "quantize_f32s8_avx2");
        assert_eq!(pick(ice_lake), "quantize_f32s8_avx512");
        assert_eq!(pick(Isa::Avx512.closure()), "quantize_f32s8_avx512");
        assert_eq!(pick(graviton2), scalar);
        // AVX-512 alone, without what it is built on, is no CPU: nothing may need half a row.
        assert_eq!(pick(Isa::Avx512.only()), scalar);
    }
    if cfg!(target_arch = "aarch64") {
        assert_eq!(pick(graviton2), "quantize_f32s8_neon");
        assert_eq!(pick(alder_lake), scalar);
    }
}

#[test]
fn rows_are_bound_only_with_proof() {
    for row in quantize::F32_S8 {
        let bound = bind(row, Supported::SCALAR);
        assert_eq!(bound.is_some(), row.required == IsaSet::SCALAR, "{}", row.name);
        let here = Supported::detect();
        assert_eq!(bind(row, here).is_some(), here.has(row.required), "{}", row.name);
    }
    let best = best(quantize::F32_S8, Supported::SCALAR).unwrap();
    assert_eq!(best.name(), "quantize_f32s8_scalar");
}
