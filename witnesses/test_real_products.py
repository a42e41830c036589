"""Products of real numbers against the chain of fused multiply-adds of the contract, in numpy, with ml_dtypes' bfloat16.

numpy has no fused multiply-add: a product of two f32 is exact in f64, and its sum with a third is rounded to odd there, so
that rounding it to f32 is the only rounding (Boldo and Melquiond).
"""

import fewbit
import gguf
import ml_dtypes
import numpy as np
import plans
import pytest

FORMS = ["float32", "float16", ml_dtypes.bfloat16]
SHAPES = [(1, 1, 1), (1, 64, 70), (3, 17, 33), (7, 129, 31), (20, 300, 16)]


def fma(a, b, c):
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + addend
    back = total - product
    error = (product - (total - back)) + (addend - back)
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    step = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(inexact, bits + step, bits).view(np.float64).astype(np.float32)


def chain(x, w, bias):
    y = np.zeros((x.shape[0], w.shape[1]), np.float32)
    for k in range(x.shape[1]):
        y = fma(x[:, k : k + 1].astype(np.float32), w[k : k + 1].astype(np.float32), y)
    return y if bias is None else y + bias


def numbers(rng, shape, form, special):
    values = rng.standard_normal(shape).astype(np.float32)
    if special:
        odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 6e-8, 1e-40, 65504.0, 3e38], np.float32)
        values = np.where(rng.random(shape) < 0.02, rng.choice(odd, shape), values)
    return values.astype(form)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("w_form", FORMS)
@pytest.mark.parametrize("x_form", FORMS)
def test_one_chain_an_output(x_form, w_form, special):
    rng = np.random.default_rng(5)
    for m, k, n in SHAPES:
        x, w = numbers(rng, (m, k), x_form, special), numbers(rng, (k, n), w_form, special)
        for bias in [None, numbers(rng, n, "float32", False)]:
            want = chain(x, w, bias)
            for y_form in FORMS:
                y = plans.real_linear(x, w, y_form, bias)
                exact = want.astype(y_form)
                same = (y == exact) | (np.isnan(y) & np.isnan(exact))
                assert same.all() and y.dtype == exact.dtype, (m, k, n)
                zero = exact == 0
                assert (np.signbit(y)[zero] == np.signbit(exact)[zero]).all(), (m, k, n)


@pytest.mark.parametrize("kind", [*fewbit.GGUF, *fewbit.GGUF_K])
def test_blocks_of_gguf_are_multiplied_as_the_package_reads_them(kind):
    rng, form = np.random.default_rng(6), gguf.GGMLQuantizationType[kind]
    numbers, size = gguf.GGML_QUANT_SIZES[form]
    m, k, n = 5, 512, 21
    blocks = rng.integers(0, 256, (n * k // numbers, size), np.uint8)
    for at in [size - 2] if kind == "Q6_K" else [0, 2][: 2 if kind in ("Q4_1", "Q5_1", "Q4_K", "Q5_K") else 1]:
        scales = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    w = gguf.quants.dequantize(blocks, form).reshape(n, k).T
    x = rng.standard_normal((m, k)).astype(np.float32)
    y = plans.block_linear(x, kind, blocks, n)
    assert (fewbit.bits(y) == fewbit.bits(chain(x, w, None))).all()

