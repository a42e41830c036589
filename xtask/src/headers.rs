//! `include/fewbit.h` from `crates/ffi`.

use crate::{Outcome, flag, root, write_or_check};
use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use std::error::Error;

pub const HELP: &str =
    "[--check]: write include/fewbit.h from crates/ffi, or check that it is up to date";

const HEAD: &str = "\
/* fewbit: quantization kernels for CPUs. The C interface.
 *
 * Generated from crates/ffi by `cargo xtask headers`; do not edit.
 *
 * Three levels, each usable alone:
 *   1. arrays:  one call, no objects (fewbit_quantize_f32_s8, fewbit_convert_f32_f16, ...)
 *   2. tensors: a scheme and a granularity (fewbit_choose_params, fewbit_quantize, ...)
 *   3. plans:   weights packed once, run many times (fewbit_linear_*, fewbit_conv_*)
 *
 * Everywhere:
 *   - A function that can fail returns a fewbit_status; on error, outputs are untouched. Functions that take
 *     descriptions also take a fewbit_error, which may be NULL, for a sentence that names the argument.
 *   - Inputs come first and are const, outputs last. Pointers must not be NULL unless it is said, or the array is
 *     empty. Arrays are aligned to their elements. Nothing is read or written outside the stated extents.
 *   - Only create calls allocate, and no function spawns threads. All may be called from any thread at the same time,
 *     on the same plan too: plans are immutable. What a call writes (outputs, workspaces, errors, observers) belongs to
 *     it until it returns, and what it reads must not change meanwhile.
 *   - Results are the same bits on every CPU, instruction set, thread count and split, and whatever the caller's
 *     floating-point environment; that is back, flags too, on return. docs/numerics.md is the numeric contract. (Another
 *     arithmetic is had by its name only, FEWBIT_ARITHMETIC_*, and refused by a CPU that lacks it.)
 *   - Descriptions start with struct_size: initialise them with their _INIT macro. Named constants are int32_t.
 *   - A library can be built without families of functions: those of convolutions, between layers (pooling, codes), of rows
 *     (softmax, norms), of blocks (GGUF, MX, NVFP4), and observers. Such a library lacks them; nothing else changes.
 */
";

const INIT: &str = "\
/** A fewbit_shape to fill in. */
#define FEWBIT_SHAPE_INIT { sizeof(fewbit_shape), 0, {0}, {0} }
/** A fewbit_tensor_quant to fill in: int8, affine, per tensor, half to even, division, f32. */
#define FEWBIT_TENSOR_QUANT_INIT { sizeof(fewbit_tensor_quant), FEWBIT_S8, 0, 0, 0, 0, 0, 0, FEWBIT_F32, 0, 0, 0, 0 }
/** A fewbit_linear_desc to fill in: int8 weights without zero points, int8 codes in, f32 out. */
#define FEWBIT_LINEAR_DESC_INIT { sizeof(fewbit_linear_desc), 0, 0, \\
    FEWBIT_WEIGHTS_INIT, FEWBIT_LAYOUT_NK, 0, 0, \\
    FEWBIT_INPUT_INIT, FEWBIT_BIAS_INIT, FEWBIT_RESIDUAL_INIT, FEWBIT_OUTPUT_INIT, NULL, 1, 0, NULL }
/** A fewbit_conv_desc to fill in: 2-d, NHWC, one group, otherwise as FEWBIT_LINEAR_DESC_INIT. */
#define FEWBIT_CONV_DESC_INIT { sizeof(fewbit_conv_desc), 2, \\
    { FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT }, 0, 0, 1, \\
    FEWBIT_LAYOUT_NHWC, FEWBIT_FILTER_OHWI, FEWBIT_WEIGHTS_INIT, \\
    FEWBIT_INPUT_INIT, FEWBIT_BIAS_INIT, FEWBIT_RESIDUAL_INIT, FEWBIT_OUTPUT_INIT, NULL }
/** A fewbit_pool_desc to fill in: 2-d, NHWC, int8, averages of numbers without padding. */
#define FEWBIT_POOL_DESC_INIT { sizeof(fewbit_pool_desc), 2, \\
    { FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT }, 1, FEWBIT_LAYOUT_NHWC, FEWBIT_S8, \\
    0, 0, FEWBIT_AVERAGE_NUMBERS, { 1.0f, 0 }, { 1.0f, 0 } }
/** A fewbit_binary_desc to fill in: int8, one row of each, in floats, no activation. */
#define FEWBIT_BINARY_DESC_INIT { sizeof(fewbit_binary_desc), 1, 0, 1, 0, FEWBIT_S8, 0, { 1.0f, 0 }, { 1.0f, 0 }, \\
    { 1.0f, 0 }, FEWBIT_ACTIVATION_NONE, 0.0f, 0.0f }
/** A fewbit_linear_batch to fill in. */
#define FEWBIT_LINEAR_BATCH_INIT { sizeof(fewbit_linear_batch), 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, 0 }
/** A fewbit_gemm_desc to fill in: int8 on both sides, sums out. */
#define FEWBIT_GEMM_DESC_INIT { sizeof(fewbit_gemm_desc), 0, 0, FEWBIT_WEIGHTS_INIT, FEWBIT_LAYOUT_NK, FEWBIT_S8, \\
    0, 1, 0, FEWBIT_BIAS_INIT, { FEWBIT_S32, FEWBIT_ACTIVATION_NONE, { 1.0f, 0 }, 0.0f, 0.0f, \\
    FEWBIT_ACTIVATION_MODE_FLOAT, FEWBIT_S8, { 1.0f, 0 }, FEWBIT_OUTPUT_STATIC, FEWBIT_FIXED_DOUBLE, \\
    FEWBIT_SCHEME_AFFINE, FEWBIT_RANGE_NARROW }, NULL }
/** A fewbit_gemm_args to fill in: no scales, no zero points. */
#define FEWBIT_GEMM_ARGS_INIT { sizeof(fewbit_gemm_args), 0, NULL, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0 }
/** A fewbit_plan_info to be filled in. */
#define FEWBIT_PLAN_INFO_INIT { sizeof(fewbit_plan_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 } }
/** Parts of the above. */
#define FEWBIT_WEIGHTS_INIT { NULL, FEWBIT_S8, 0, NULL, 0, NULL, 0, NULL, NULL, 0 }
#define FEWBIT_INPUT_INIT { FEWBIT_INPUT_CODES, FEWBIT_S8, FEWBIT_F32, FEWBIT_SCHEME_SYMMETRIC, FEWBIT_RANGE_NARROW, 0, \\
    { 1.0f, 0 } }
#define FEWBIT_BIAS_INIT { NULL, FEWBIT_F32, 0 }
#define FEWBIT_RESIDUAL_INIT { 0, FEWBIT_F32, { 1.0f, 0 } }
#define FEWBIT_OUTPUT_INIT { FEWBIT_F32, FEWBIT_ACTIVATION_NONE, { 1.0f, 0 }, 0.0f, 0.0f, \\
    FEWBIT_ACTIVATION_MODE_FLOAT, FEWBIT_S8, { 1.0f, 0 }, \\
    FEWBIT_OUTPUT_STATIC, FEWBIT_FIXED_DOUBLE, FEWBIT_SCHEME_SYMMETRIC, FEWBIT_RANGE_NARROW }
#define FEWBIT_CONV_AXIS_INIT { 1, 1, 1, 1, 0, 0 }
";

/// The header's text.
///
/// # Errors
/// If the crate's sources cannot be read.
pub fn text() -> Result<String, Box<dyn Error>> {
    let mut version = env!("CARGO_PKG_VERSION").split('.');
    let mut part = || version.next().and_then(|v| v.parse::<u32>().ok()).unwrap_or(0);
    let (major, minor, patch) = (part(), part(), part());
    let versions = format!(
        "/** The header's version; fewbit_version() is the library's. */\n\
         #define FEWBIT_VERSION_MAJOR {major}\n\
         #define FEWBIT_VERSION_MINOR {minor}\n\
         #define FEWBIT_VERSION_PATCH {patch}\n\
         #define FEWBIT_VERSION {}\n",
        major * 1_000_000 + minor * 1_000 + patch
    );
    let config = Config {
        language: Language::C,
        style: Style::Both,
        header: Some(HEAD.to_string()),
        include_guard: Some("FEWBIT_H".to_string()),
        after_includes: Some(versions),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_string(), "stdint.h".to_string()],
        cpp_compat: true,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::Doxy,
        line_length: 120,
        ..Config::default()
    };
    let mut bytes = Vec::new();
    let mut builder = Builder::new().with_config(config);
    let modules = root().join("crates/ffi/src");
    for module in MODULES {
        builder = builder.with_src(modules.join(module).with_extension("rs"));
    }
    for entry in std::fs::read_dir(&modules)? {
        let name = entry?.path().with_extension("");
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "lib" && !MODULES.contains(&name.as_str()) {
            return Err(format!("crates/ffi has the module {name}, MODULES here does not").into());
        }
    }
    builder.generate()?.write(&mut bytes);
    // Every function's Rust documentation ends with a section for the linter; C has the rest.
    let generated = String::from_utf8(bytes)?.replace(" *\n * # Safety\n", " * # Safety\n");
    let mut lines = Vec::new();
    let mut in_safety = false;
    for line in generated.lines() {
        in_safety |= line.trim() == "* # Safety";
        in_safety &= line.trim() != "*/";
        if !in_safety {
            lines.push(line.trim_end());
        }
    }
    let body = lines.join("\n");
    let end = body.rfind("#ifdef __cplusplus\n}").or(body.rfind("#endif")).unwrap_or(body.len());
    let (before, after) = body.split_at(end);
    Ok(format!("{before}{INIT}\n{after}\n"))
}

/// The modules of `ffi` in the order that a reader wants: each level behind what it builds on.
const MODULES: &[&str] = &[
    "status",
    "version",
    "arrays",
    "reduce",
    "convert",
    "half",
    "requantize",
    "pack",
    "block",
    "block_formats",
    "tensors",
    "sums",
    "rowwise",
    "observe",
    "boundary",
    "plans",
    "handle",
    "linear",
    "real",
    "batch",
    "gemm",
    "conv",
    "pool",
    "codes",
    "packed",
    "describe",
];

pub fn run(arguments: &[String]) -> Outcome {
    let path = root().join("include/fewbit.h");
    write_or_check(&path, &text()?, flag(arguments, "--check"), "headers")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_header_is_current() {
        let committed = std::fs::read_to_string(crate::root().join("include/fewbit.h")).unwrap();
        assert_eq!(super::text().unwrap(), committed, "run `cargo xtask headers` and commit it");
    }
}
