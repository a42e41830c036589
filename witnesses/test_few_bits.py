"""Weights of fewer than eight bits: against the contract in numpy, bit for bit; against onnxruntime's MatMulNBits; codes
against ml_dtypes; GGUF blocks in plans against the package gguf.

MatMulNBits has another definition: its activations are f32 (accuracy level 0), or int8 by block of K (level 4), those of a
plan int8 by row. At level 0 both must be the product of the dequantized weights, within what their activations and sums
can be off by. At level 4 they agree where every block of a row has the same largest magnitude.
"""

import os
import time

import fewbit
import gguf
import ml_dtypes
import numpy as np
import plans
import pytest
import runtime
from onnx import helper
from test_real_products import fma

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))
CODES = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "u1": (0, 1), "b1": (-1, 1)}
SHAPES = [(1, 32, 1), (1, 96, 17), (3, 77, 33), (7, 160, 40), (20, 300, 9)]


def any_codes(rng, codes, shape):
    low, high = CODES[codes]
    q = rng.integers(low, high + 1, shape)
    return np.where(q == 0, 1, q) if codes == "b1" else q


def quantized_rows(x):
    """Codes and scales of rows, symmetric and narrow: one rounded f32 operation after another."""
    scales = np.abs(x).max(1, keepdims=True) / np.float32(127)
    scales = np.where(scales == 0, np.float32(1), scales)
    return np.clip(np.rint(x / scales), -128, 127).astype(np.int64), scales


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("with_zeros", [False, True])
@pytest.mark.parametrize("block", [0, 32, 64])
def test_sums_are_exact_and_scaled_in_order(codes, with_zeros, block):
    if codes == "b1" and with_zeros:
        return
    rng = np.random.default_rng(SEED)
    for m, k, n in SHAPES:
        x = (rng.standard_normal((m, k)) * rng.uniform(0.1, 10, (m, 1))).astype(np.float32)
        step, blocks = block or k, -(-k // (block or k))
        q = any_codes(rng, codes, (n, k))
        scales = rng.uniform(0.01, 1, (n, blocks)).astype(np.float32)
        zeros = any_codes(rng, codes, (n, blocks)) if with_zeros else None
        got = plans.few_linear(x, q, codes, scales, zeros, block)
        x_codes, x_scales = quantized_rows(x)
        w = q - (np.repeat(zeros, step, 1)[:, :k] if with_zeros else 0)
        want = np.zeros((m, n), np.float32)
        for i in range(blocks):
            part = slice(i * step, (i + 1) * step)
            sums = (x_codes[:, part] @ w[:, part].T).astype(np.float32)
            factor = x_scales * scales[:, i]
            want = fma(sums, factor, want) if block else sums * factor
        assert (fewbit.bits(got) == fewbit.bits(want)).all(), (SEED, m, k, n)


def nbits(x, q, scales, zeros, block, level):
    """MatMulNBits of codes 0..15 [N, K] with zero points, or None: 8."""
    n, k = q.shape
    pairs = q.astype(np.uint8).reshape(n, k // block, block // 2, 2)
    constants = {"w": pairs[..., 0] | pairs[..., 1] << 4, "s": scales.reshape(-1).astype(np.float32)}
    inputs = ["x", "w", "s"]
    if zeros is not None:
        even = np.pad(zeros, [(0, 0), (0, zeros.shape[1] % 2)]).astype(np.uint8)
        constants["z"] = (even[:, ::2] | even[:, 1::2] << 4).reshape(-1)
        inputs.append("z")
    attributes = dict(K=k, N=n, bits=4, block_size=block, accuracy_level=level)
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain="com.microsoft", **attributes)
    [y] = runtime.run([node], {"x": x}, constants, {"y": "float32"})
    return y


@pytest.mark.parametrize("block", [32, 64, 128])
@pytest.mark.parametrize("with_zeros", [False, True])
def test_matmul_nbits_of_f32_activations(with_zeros, block):
    rng = np.random.default_rng(SEED + 1)
    for m, blocks, n in [(1, 1, 16), (1, 3, 33), (4, 2, 64), (17, 4, 48)]:
        k = blocks * block
        x = rng.standard_normal((m, k)).astype(np.float32)
        q = rng.integers(0, 16, (n, k))
        scales = rng.uniform(0.01, 1, (n, blocks)).astype(np.float32)
        zeros = rng.integers(0, 16, (n, blocks)) if with_zeros else None
        w = q - (np.repeat(zeros, block, 1) if with_zeros else 8)
        w = w * np.repeat(scales, block, 1).astype(np.float64)
        exact, size = x @ w.T, np.abs(x) @ np.abs(w.T)
        theirs = nbits(x, q, scales, zeros, block, 0)
        if with_zeros:
            ours = plans.few_linear(x, q, "uint4", scales, zeros, block)
        else:
            ours = plans.few_linear(x, q - 8, "int4", scales, None, block)
        # Sums in f32; and fewbit's activations are off by half a step each.
        assert (np.abs(theirs - exact) <= 1e-5 * size).all(), (SEED, m, k, n)
        half_steps = quantized_rows(x)[1] / 2 * np.abs(w).sum(1)
        assert (np.abs(ours - exact) <= half_steps + 1e-5 * size).all(), (SEED, m, k, n)
        noise = [np.square(y - exact).sum() / np.square(exact).sum() for y in (ours, theirs)]
        assert noise[0] < 1e-2 and noise[1] < 1e-9, (SEED, noise)


@pytest.mark.parametrize("block", [32, 64])
def test_matmul_nbits_of_int8_activations(block):
    rng = np.random.default_rng(SEED + 2)
    for m, blocks, n in [(1, 2, 32), (1, 5, 48), (5, 3, 64)]:
        k = blocks * block
        x = rng.uniform(-1, 1, (m, blocks, block)).astype(np.float32)
        # One magnitude is the largest in every block: a scale a block is the row's.
        largest = rng.uniform(1, 3, (m, 1)).astype(np.float32)
        x[:, :, 5] = np.where(rng.integers(2, size=(m, blocks)) == 0, largest, -largest)
        x = x.reshape(m, k)
        q = rng.integers(0, 16, (n, k))
        scales = rng.uniform(0.01, 1, (n, blocks)).astype(np.float32)
        theirs = nbits(x, q, scales, None, block, 4)
        ours = plans.few_linear(x, q - 8, "int4", scales, None, block)
        x_codes, x_scales = quantized_rows(x)
        w = (q - 8) * np.repeat(scales, block, 1).astype(np.float64)
        size = (np.abs(x_codes) * x_scales) @ np.abs(w.T)
        assert (np.abs(ours - theirs) <= 1e-5 * size).all(), (SEED, m, k, n)


@pytest.mark.parametrize("codes", ["int4", "uint4", "int2"])
def test_codes_are_the_numbers_of_ml_dtypes(codes):
    low, high = CODES[codes]
    form = getattr(ml_dtypes, codes)
    q = np.tile(np.arange(low, high + 1), 9)
    numbers = q.astype(form).astype(np.float32)
    assert (fewbit.dequantize(q.astype(np.int8), codes, 1.0) == numbers).all()
    assert (fewbit.quantize(numbers, codes, 1.0) == q).all()
    assert (ml_dtypes.iinfo(form).min, ml_dtypes.iinfo(form).max) == (low, high)


@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "Q5_0"])
def test_gguf_blocks_in_plans(kind):
    rng = np.random.default_rng(SEED + 3)
    for m, k, n in [(1, 64, 16), (3, 160, 21)]:
        x = rng.standard_normal((m, k)).astype(np.float32)
        w = rng.standard_normal((n, k)).astype(np.float32)
        form = gguf.GGMLQuantizationType[kind]
        blocks = gguf.quants.quantize(w, form)
        numbers = gguf.quants.dequantize(blocks, form).astype(np.float64)
        q, codes, scales, zeros = fewbit.gguf_unpack(kind, blocks, (n, k))
        # Each number is what the package reads.
        each = (q - np.repeat(zeros, 32).reshape(n, k)) * np.repeat(scales, 32).reshape(n, k)
        assert (each == numbers).all()
        y = plans.few_linear(x, q, codes, scales, zeros, 32)
        x_codes, x_scales = quantized_rows(x)
        read = x_codes * x_scales.astype(np.float64)
        bound = 1e-5 * (np.abs(read) @ np.abs(numbers.T))
        assert (np.abs(y - read @ numbers.T) <= bound).all(), (SEED, m, k, n)
