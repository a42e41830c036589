//! The digests of products of real numbers, kernels and plans, and of the hazards of 16-bit formats.

use crate::{Book, Digest};
use fewbit::kernels::census::CENSUS_F32;
use fewbit::kernels::real_depthwise::{
    DEPTHWISE_BF16, DEPTHWISE_F16, DEPTHWISE_F32, PIXELS, RealDepthwiseArgs, RealDepthwiseFn,
};
use fewbit::kernels::real_gemm::{
    Coding, DecodeArgs, Paired, RealTile, RealTileArgs, RealTileFn, pack_codes, pack_rhs, tiles,
};
use fewbit::kernels::registry::{Row, bind};
use fewbit::memory::{ALIGNMENT, Allocator};
use fewbit::scheme::block::gguf::Gguf;
use fewbit::scheme::block::mx::Mx;
use fewbit::scheme::hazards::LIMITS;
use fewbit::scheme::{Activation, IntFormat, RealFormat, float16};
use fewbit::simd::{Supported, with_default_env};
use fewbit::{
    Conv, ConvAxis, FilterLayout, ImageLayout, Linear, LinearLayout, Output, RealArithmetic,
    RealConvDesc, RealLinearDesc, RealWeights, Residual, Serial, Weights, half,
};
use fewbit_testkit::{Rng, limited, missing, supported_sets};

const LAYERS: u64 = 40;
/// Columns of a kernel's product: whole panels of every tile.
const N: usize = 64;

pub(crate) fn enter(book: &mut Book) {
    let formats = [
        ("gemm_f32", RealFormat::F32),
        ("gemm_f16f32", RealFormat::F16),
        ("gemm_bf16f32", RealFormat::Bf16),
    ];
    for (op, format) in formats {
        for tile in tiles(format) {
            if let Some(bound) = bind(&tile.row, limited()) {
                let mut digest = Digest::new();
                for k in [1, 2, 3, 17, 130] {
                    tile_product(tile, bound.run(), format, k, &mut digest);
                }
                book.enter(op, tile.row.required, digest);
            }
        }
    }
    for (paired, tile) in
        Paired::ALL.into_iter().flat_map(|of| of.tiles().iter().map(move |t| (of, t)))
    {
        match bind(&tile.row, limited()) {
            None => missing(tile.row.name, tile.row.required),
            Some(bound) => {
                let mut digest = Digest::new();
                pair_products(paired, tile, bound.run(), &mut digest);
                book.enter(paired.op(), tile.row.required, digest);
            }
        }
    }
    digest_depthwise(book, "depthwise_f32f32", RealFormat::F32, DEPTHWISE_F32);
    digest_depthwise(book, "depthwise_f16f32", RealFormat::F16, DEPTHWISE_F16);
    digest_depthwise(book, "depthwise_bf16f32", RealFormat::Bf16, DEPTHWISE_BF16);
    for coding in Coding::ALL {
        digest_decoding(book, coding);
    }
    let numbers = numbers();
    for row in CENSUS_F32 {
        if let Some(bound) = bind(row, limited()) {
            let mut digest = Digest::new();
            // SAFETY: the vector's numbers.
            let census = unsafe { bound.run()(numbers.as_ptr(), numbers.len()) };
            census.above.iter().for_each(|count| digest.bytes(&count.to_le_bytes()));
            digest.bytes(&census.largest.to_le_bytes());
            digest.bytes(&census.smallest.to_le_bytes());
            book.enter("census_f32", row.required, digest);
        }
    }
    for supported in supported_sets() {
        let mut digest = Digest::new();
        for layer in 0..LAYERS {
            digest_layer(&mut Rng::new(layer), supported, &mut digest);
        }
        book.enter("linear.real", supported.set(), digest);
        let mut digest = Digest::new();
        for layer in 0..LAYERS {
            digest_conv(&mut Rng::new(layer), supported, &mut digest);
        }
        book.enter("conv.real", supported.set(), digest);
        let mut digest = Digest::new();
        digest_blocks(&mut Rng::new(LAYERS), supported, &mut digest);
        book.enter("linear.real_blocks", supported.set(), digest);
        let mut digest = Digest::new();
        for part in numbers.chunks(97) {
            let found = half::hazards(part, supported).unwrap();
            for format in [found.f16, found.bf16] {
                let counts = [format.overflow, format.underflow, format.subnormal];
                counts.iter().for_each(|count| digest.bytes(&count.to_le_bytes()));
                digest.f32s(&[format.scale]);
            }
        }
        book.enter("half.hazards", supported.set(), digest);
    }
}

/// Any bits, and the limits' neighbours.
fn numbers() -> Vec<f32> {
    let mut rng = Rng::new(5);
    let near = LIMITS.iter().flat_map(|&limit| [limit, limit + 1]).map(f32::from_bits);
    let mut numbers: Vec<f32> = near.collect();
    numbers.extend((0..5000).map(|_| rng.any_f32() * rng.unit()));
    numbers
}

fn bits_of(x: f32, format: RealFormat) -> u32 {
    match format {
        RealFormat::F32 => x.to_bits(),
        RealFormat::F16 => float16::f32_to_f16(x).into(),
        RealFormat::Bf16 => float16::f32_to_bf16(x).into(),
    }
}

/// Six rows of a product, whatever the tile's rows and columns.
fn tile_product(
    tile: &RealTile,
    run: RealTileFn,
    format: RealFormat,
    k: usize,
    digest: &mut Digest,
) {
    const M: usize = 6;
    let mut rng = Rng::new(k as u64);
    let mut number = |of: usize| -> Vec<f32> {
        let any = |rng: &mut Rng| if rng.below(50) == 0 { rng.any_f32() } else { rng.normal() };
        (0..of).map(|_| any(&mut rng)).collect()
    };
    let (lhs, rhs, bias) = (number(M * k), number(N * k), number(N));
    let mut dst = vec![0f32; M * N];
    for first in (0..N).step_by(tile.nr) {
        let mut panel = vec![0u32; k.next_multiple_of(tile.kr) * tile.nr];
        let number = |c: usize, i: usize| bits_of(rhs[(first + c) * k + i], format);
        pack_rhs(number, (tile.nr, k), (tile.nr, tile.kr), &mut panel);
        let size = format.size();
        let panel: Vec<u8> =
            panel.iter().flat_map(|bits| bits.to_ne_bytes()[..size].to_vec()).collect();
        for row in (0..M).step_by(tile.mr) {
            let args = RealTileArgs {
                lhs: lhs[row * k..].as_ptr(),
                lhs_row_stride: k,
                rhs: panel.as_ptr(),
                rhs_panel_stride: panel.len(),
                panels: 1,
                k,
                rows: tile.mr.min(M - row),
                bias: bias[first..].as_ptr(),
                relu: false,
                resume: false,
                dst: dst[row * N + first..].as_mut_ptr(),
                dst_stride: N,
            };
            // SAFETY: rows, a panel, a bias a column, and places for the results.
            with_default_env(|| unsafe { run(&args) });
        }
    }
    digest.f32s(&dst);
}

/// Numbers, some of them of any kind.
fn numbers_of(rng: &mut Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| if rng.below(2000) == 0 { rng.any_f32() } else { rng.normal() }).collect()
}

fn halves_of(values: &[f32], format: RealFormat) -> Vec<u16> {
    values.iter().map(|&x| bits_of(x, format) as u16).collect()
}

fn digest_conv(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let groups = rng.pick(&[1, 1, 2, 6]);
    let (inputs, outputs) = (groups * (1 + rng.below(8)), groups * (1 + rng.below(20)));
    let axis = |rng: &mut Rng| ConvAxis {
        size: 4 + rng.below(6),
        kernel: 1 + rng.below(3),
        stride: 1 + rng.below(2),
        dilation: 1 + rng.below(2),
        pad_begin: rng.below(3),
        pad_end: rng.below(3),
    };
    let axes = match rng.below(3) {
        0 => [ConvAxis::NONE, ConvAxis::NONE, axis(rng)],
        1 => [axis(rng), axis(rng), axis(rng)],
        _ => [ConvAxis::NONE, axis(rng), axis(rng)],
    };
    let taps: usize = axes.iter().map(|axis| axis.kernel).product();
    let weights = numbers_of(rng, outputs * taps * inputs / groups);
    let format = rng.pick(&RealFormat::ALL);
    let half = halves_of(&weights, format);
    let bias = if rng.below(2) == 0 { Vec::new() } else { numbers_of(rng, outputs) };
    let (input, output) = (rng.pick(&RealFormat::ALL), rng.pick(&RealFormat::ALL));
    let desc = RealConvDesc {
        in_channels: inputs,
        out_channels: outputs,
        groups,
        axes,
        layout: rng.pick(&[ImageLayout::Nhwc, ImageLayout::Nchw]),
        filter_layout: rng.pick(&[FilterLayout::Ohwi, FilterLayout::Iohw]),
        weights: match format {
            RealFormat::F32 => RealWeights::F32(&weights),
            RealFormat::F16 => RealWeights::F16(&half),
            RealFormat::Bf16 => RealWeights::Bf16(&half),
        },
        input,
        bias: &bias,
        output: Output::Real(output),
        activation: rng.pick(&[Activation::None, Activation::Relu, Activation::Gelu]),
        residual: Residual::None,
    };
    let plan = match rng.below(3) {
        0 => {
            let padding = axes.map(|axis| axis.stride - 1);
            Conv::create_real_transposed(&desc, padding, supported, &Allocator::DEFAULT)
        }
        _ => Conv::create_real(&desc, supported, &Allocator::DEFAULT),
    }
    .unwrap();
    let images = 1 + rng.below(2);
    let (read, written) = plan.image_elements();
    let x = numbers_of(rng, images * read);
    let half = halves_of(&x, input);
    let size = plan.workspace(images, 1).unwrap().size;
    let mut memory = vec![0xA5; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let memory = &mut memory[skip..][..size];
    macro_rules! run {
        ($y:expr) => {{
            let mut y = $y;
            match input {
                RealFormat::F32 => plan.run(images, &x, memory, &Serial, &mut y).unwrap(),
                _ => plan.run(images, &half, memory, &Serial, &mut y).unwrap(),
            }
            y
        }};
    }
    match output {
        RealFormat::F32 => digest.f32s(&run!(vec![0f32; images * written])),
        _ => {
            let y = run!(vec![0u16; images * written]);
            y.iter().for_each(|y| digest.bytes(&y.to_le_bytes()));
        }
    }
}

/// Panels of codes, column by column, whatever their width.
fn digest_decoding(book: &mut Book, coding: Coding) {
    const K: usize = 100;
    const BLOCK: usize = 32;
    let row_of = |name| fewbit::kernels::rows().find(|row| row.name == name).expect("a row");
    for row in coding.table() {
        let Some(bound) = bind(row, limited()) else { continue };
        let tile = tiles(RealFormat::F32).iter().find(|tile| tile.row.required == row.required);
        let nr = tile.expect("a tile of the same set").nr;
        let mut rng = Rng::new(K as u64);
        let codes = rng.bytes(N * K);
        // Of a few bits, so that products with codes are exact.
        let mut factor = || [(rng.below(4097) as f32 - 2048.0) / 1024.0, rng.below(40) as f32];
        let factors: Vec<[f32; 2]> = (0..N * K.div_ceil(BLOCK)).map(|_| factor()).collect();
        let mut digest = Digest::new();
        let mut numbers = vec![0f32; N * K];
        for first in (0..N).step_by(nr) {
            let mut panel = vec![0u32; coding.panel_bytes(K, BLOCK, nr) / 4];
            // SAFETY: the bytes of the words.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(panel.as_mut_ptr().cast::<u8>(), 4 * panel.len())
            };
            let of = (
                |c: usize, i: usize| codes[(first + c) * K + i],
                |c: usize, b: usize| factors[(first + c) * K.div_ceil(BLOCK) + b],
            );
            pack_codes(coding, of, (nr, K, BLOCK), nr, bytes);
            let mut to = vec![0f32; K * nr];
            let args = DecodeArgs {
                codes: bytes[coding.factor_bytes(K, BLOCK, nr)..].as_ptr(),
                factors: bytes.as_ptr().cast(),
                first: BLOCK,
                block: BLOCK,
                k: K,
                nr,
                lhs: std::ptr::null(),
                panels: 1,
                panel_stride: 0,
                dst: to.as_mut_ptr(),
            };
            // SAFETY: a panel, and room for its numbers.
            with_default_env(|| unsafe { bound.run()(&args) });
            for (c, i) in (0..nr).flat_map(|c| (0..K).map(move |i| (c, i))) {
                numbers[(first + c) * K + i] = to[i * nr + c];
            }
        }
        digest.f32s(&numbers);
        book.enter(row_of(row.name).op, row.required, digest);
    }
}

/// A layer of each kind of weights that are codes or blocks.
fn digest_blocks(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let (n, k) = (35, 512);
    // Scales of f16 below 2.
    let finite = |mut bytes: Vec<u8>| -> Vec<u8> {
        bytes.iter_mut().for_each(|byte| *byte &= 0xBF);
        bytes
    };
    let data = finite(rng.bytes(n * k / 32 * 34));
    let scales: Vec<u8> = (0..n * k / 16).map(|_| 60 + rng.below(40) as u8).collect();
    let reals: Vec<f32> = (0..n * k / 32).map(|_| 0.01 + rng.unit()).collect();
    let zeros: Vec<i32> = (0..n * k / 32).map(|_| rng.below(8) as i32).collect();
    let mut all: Vec<RealWeights> =
        Gguf::ALL.iter().map(|&format| RealWeights::Gguf(format, &data)).collect();
    let mx = |&format| RealWeights::Mx { format, scales: &scales, elements: &data };
    all.extend(Mx::ALL.iter().map(mx));
    all.push(RealWeights::Nvfp4 { scale: 0.3, scales: &scales, elements: &data });
    for format in [IntFormat::S4, IntFormat::U4, IntFormat::S8, IntFormat::U8] {
        let codes = Weights {
            format,
            codes: &data,
            scales: &reals,
            zero_points: &zeros,
            block: 32,
            multipliers: &[],
            shifts: &[],
        };
        all.push(RealWeights::Codes(codes));
        all.push(RealWeights::Codes(Weights { zero_points: &[], ..codes }));
    }
    for weights in all {
        let desc = RealLinearDesc {
            in_features: k,
            out_features: n,
            weights,
            layout: LinearLayout::Nk,
            weight_stride: 0,
            input: RealFormat::F32,
            bias: &[],
            output: Output::Real(RealFormat::F32),
            activation: Activation::None,
            residual: Residual::None,
            matrices: 1,
            matrix_stride: 0,
            arithmetic: RealArithmetic::Chain,
        };
        let plan = Linear::create_real(&desc, supported, &Allocator::DEFAULT).unwrap();
        for rows in [1, 9] {
            let x: Vec<f32> = (0..rows * k).map(|_| rng.normal()).collect();
            let size = plan.workspace(rows, 1).unwrap().size;
            let mut memory = vec![0xA5; size + ALIGNMENT];
            let skip = memory.as_ptr().align_offset(ALIGNMENT);
            let mut y = vec![0f32; rows * n];
            plan.run(rows, &x, &mut memory[skip..][..size], &Serial, &mut y).unwrap();
            digest.f32s(&y);
        }
    }
}

/// Pairs of bf16, normally distributed and around the square root of the smallest normal number.
fn pair_products(paired: Paired, tile: &RealTile, run: RealTileFn, digest: &mut Digest) {
    let mut rng = Rng::new(6);
    for (steps, exponent) in [(1, 0), (2, -63), (17, 0), (65, -63)] {
        let mut pairs = |count: usize| -> Vec<u32> {
            // Of f16 products are subnormal, too.
            let format = paired.format();
            let exponent = if format == RealFormat::F16 { exponent / 8 } else { exponent };
            let mut half = || bits_of(rng.normal() * 2f32.powi(exponent), format);
            (0..count).map(|_| half() << 16 | half()).collect()
        };
        let (lhs, columns) = (pairs(steps), pairs(steps * N));
        for first in (0..N).step_by(tile.nr) {
            let pair = |s: usize, c: usize| columns[(first + c) * steps + s];
            let mut panel: Vec<u32> =
                (0..steps * tile.nr).map(|i| pair(i / tile.nr, i % tile.nr)).collect();
            if tile.kr == 1 {
                // The columns' lower halves, then their upper ones.
                let half = |s: usize, c: usize| pair(s / 2, c) >> (16 * (s % 2)) & 0xFFFF;
                let of = |i: usize| half(2 * i / tile.nr, 2 * i % tile.nr);
                let other = |i: usize| half(2 * i / tile.nr, 2 * i % tile.nr + 1);
                let both = |i: usize| match cfg!(target_endian = "little") {
                    true => of(i) | other(i) << 16,
                    false => of(i) << 16 | other(i),
                };
                panel = (0..steps * tile.nr).map(both).collect();
            }
            let mut dst = vec![0f32; tile.nr];
            let args = RealTileArgs {
                lhs: lhs.as_ptr().cast(),
                lhs_row_stride: steps,
                rhs: panel.as_ptr().cast(),
                rhs_panel_stride: 0,
                panels: 1,
                k: steps,
                rows: 1,
                bias: std::ptr::null(),
                relu: false,
                resume: false,
                dst: dst.as_mut_ptr(),
                dst_stride: tile.nr,
            };
            // SAFETY: a row and a panel of so many pairs, and room for the results.
            with_default_env(|| unsafe { run(&args) });
            digest.f32s(&dst);
        }
    }
}

/// Two pixels of some channels, of a few taps each.
fn digest_depthwise(
    book: &mut Book,
    op: &str,
    format: RealFormat,
    table: &'static [Row<RealDepthwiseFn>],
) {
    const CHANNELS: usize = 75;
    const TAPS: usize = 5;
    let mut rng = Rng::new(7);
    let x = numbers_of(&mut rng, 2 * TAPS * CHANNELS);
    let x: Vec<u8> = x
        .iter()
        .flat_map(|&x| bits_of(x, format).to_le_bytes()[..format.size()].to_vec())
        .collect();
    let weights = numbers_of(&mut rng, CHANNELS.next_multiple_of(32) * TAPS);
    let bias = numbers_of(&mut rng, CHANNELS);
    let mut aligned = vec![0u64; x.len().div_ceil(8)];
    let bytes = aligned.as_mut_ptr().cast::<u8>();
    // SAFETY: as many bytes at least.
    unsafe { bytes.copy_from_nonoverlapping(x.as_ptr(), x.len()) };
    let tap = |t: usize, p: usize| (t * 2 + p.min(1)) * CHANNELS * format.size();
    let taps: Vec<[*const u8; PIXELS]> = (0..TAPS)
        .map(|t| std::array::from_fn(|p| bytes.cast_const().wrapping_add(tap(t, p))))
        .collect();
    for row in table {
        let Some(bound) = bind(row, limited()) else { continue };
        let mut digest = Digest::new();
        let mut dst = vec![0f32; 2 * CHANNELS];
        let args = RealDepthwiseArgs {
            taps: taps.as_ptr(),
            count: TAPS,
            pixels: 2,
            offset: 0,
            channels: CHANNELS,
            weights: weights.as_ptr(),
            bias: bias.as_ptr(),
            relu: false,
            dst: dst.as_mut_ptr(),
            dst_stride: CHANNELS,
        };
        // SAFETY: each tap is the channels' numbers; weights are whole blocks.
        with_default_env(|| unsafe { bound.run()(&args) });
        digest.f32s(&dst);
        book.enter(op, row.required, digest);
    }
}

fn digest_layer(rng: &mut Rng, supported: Supported, digest: &mut Digest) {
    let (rows, n, k) = (1 + rng.below(20), 1 + rng.below(70), 1 + rng.below(200));
    let numbers =
        |rng: &mut Rng, count: usize| -> Vec<f32> { (0..count).map(|_| rng.normal()).collect() };
    let halves = |values: &[f32], format: RealFormat| -> Vec<u16> {
        values.iter().map(|&x| bits_of(x, format) as u16).collect()
    };
    let weights = numbers(rng, n * k);
    let format = rng.pick(&RealFormat::ALL);
    let half = halves(&weights, format);
    let bias = if rng.below(2) == 0 { Vec::new() } else { numbers(rng, n) };
    let input = rng.pick(&RealFormat::ALL);
    let output = rng.pick(&RealFormat::ALL);
    let desc = RealLinearDesc {
        in_features: k,
        out_features: n,
        weights: match format {
            RealFormat::F32 => RealWeights::F32(&weights),
            RealFormat::F16 => RealWeights::F16(&half),
            RealFormat::Bf16 => RealWeights::Bf16(&half),
        },
        layout: rng.pick(&[LinearLayout::Nk, LinearLayout::Kn]),
        weight_stride: 0,
        input,
        bias: &bias,
        output: Output::Real(output),
        activation: rng.pick(&[Activation::None, Activation::Relu, Activation::Gelu]),
        residual: Residual::None,
        matrices: 1,
        matrix_stride: 0,
        arithmetic: RealArithmetic::Chain,
    };
    let plan = Linear::create_real(&desc, supported, &Allocator::DEFAULT).unwrap();
    let x = numbers(rng, rows * k);
    let half = halves(&x, input);
    let size = plan.workspace(rows, 1).unwrap().size;
    let mut memory = vec![0xA5; size + ALIGNMENT];
    let skip = memory.as_ptr().align_offset(ALIGNMENT);
    let memory = &mut memory[skip..][..size];
    macro_rules! run {
        ($y:expr) => {{
            let mut y = $y;
            match input {
                RealFormat::F32 => plan.run(rows, &x, memory, &Serial, &mut y).unwrap(),
                _ => plan.run(rows, &half, memory, &Serial, &mut y).unwrap(),
            }
            y
        }};
    }
    match output {
        RealFormat::F32 => digest.f32s(&run!(vec![0f32; rows * n])),
        _ => run!(vec![0u16; rows * n]).iter().for_each(|y| digest.bytes(&y.to_le_bytes())),
    }
}
