"""Block formats: GGUF against the package gguf, OCP MX and NVFP4 against ml_dtypes and their formulas in numpy."""

import fewbit
import gguf
import ml_dtypes
import numpy as np
import pytest


def blocks(seed):
    """Blocks of 32 of all sizes, with ties of magnitude, zeros, and subnormals; finite."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (4000, 32)).astype(np.float32)
    x *= (2.0 ** rng.integers(-60, 12, (4000, 1))).astype(np.float32)
    x[::7] = np.round(x[::7] * 4) / 4
    x[5::50] = 0
    x[6::50, 3] = -x[6::50, 9]
    x[7::50] = np.abs(x[7::50])
    # Of zeros with both signs numpy's minimum is any, and it is stored in Q4_1 and Q5_1; fewbit's is -0.
    return x + np.float32(0)


@pytest.mark.parametrize("kind", fewbit.GGUF)
def test_gguf(kind):
    form = gguf.GGMLQuantizationType[kind]
    x = blocks(1)
    with np.errstate(all="ignore"):
        want = gguf.quants.quantize(x, form)
        got = fewbit.gguf_quantize(kind, x).reshape(want.shape)
        assert (got == want).all()
        back = gguf.quants.dequantize(want, form)
        assert (fewbit.bits(fewbit.gguf_dequantize(kind, want, x.size)) == fewbit.bits(back).reshape(-1)).all()


@pytest.mark.parametrize("kind", fewbit.GGUF_K)
def test_gguf_k(kind):
    form = gguf.GGMLQuantizationType[kind]
    rng = np.random.default_rng(3)
    numbers, size = gguf.GGML_QUANT_SIZES[form]
    blocks = rng.integers(0, 256, (3000, size), np.uint8)
    # Any bits as scales, infinite and NaN ones too; in half of the blocks ordinary ones.
    for at in [size - 2] if kind == "Q6_K" else [0, 2]:
        scales = rng.normal(0, 0.02, 1500).astype(np.float16)
        blocks[:1500, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    with np.errstate(all="ignore"):
        want = gguf.quants.dequantize(blocks, form).reshape(-1)
    got = fewbit.gguf_dequantize(kind, blocks, 3000 * numbers)
    assert (np.isnan(got) == np.isnan(want)).all()
    finite = ~np.isnan(want)
    assert (fewbit.bits(got)[finite] == fewbit.bits(want)[finite]).all()


# The largest exponent of each element format (OCP MX 1.0, section 6.3), and its type.
ELEMENTS = {
    fewbit.MXFP8_E4M3: (8, ml_dtypes.float8_e4m3fn, 448.0),
    fewbit.MXFP8_E5M2: (15, ml_dtypes.float8_e5m2, 57344.0),
    fewbit.MXFP4: (2, ml_dtypes.float4_e2m1fn, 6.0),
    fewbit.MXINT8: (0, None, None),
}


@pytest.mark.parametrize("form", ELEMENTS)
def test_mx(form):
    x = blocks(2)
    emax, element, largest = ELEMENTS[form]
    amax = np.abs(x).max(1).astype(np.float64)
    exponent = np.where(amax > 0, np.floor(np.log2(np.where(amax > 0, amax, 1))) - emax, -127)
    exponent = np.maximum(exponent, -127)
    scales, elements = fewbit.mx_quantize(form, x)
    assert (scales == exponent + 127).all()
    # The scale's own type agrees.
    scale = scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)[:, None]
    assert (scale[:, 0] == 2.0**exponent).all()
    t = x.astype(np.float64) / scale
    if element is None:
        want = np.clip(np.rint(t * 64), -127, 127)
        assert (elements.view(np.int8).reshape(x.shape) == want).all()
        value = want / 64
    else:
        clipped = np.clip(t, -largest, largest).astype(np.float32)
        codes = clipped.astype(element)
        raw = codes.view(np.uint8)
        if form == fewbit.MXFP4:
            pairs = raw.reshape(-1, 2)
            raw = pairs[:, 0] & 15 | (pairs[:, 1] & 15) << 4
        assert (elements == raw.reshape(-1)).all()
        value = codes.astype(np.float64)
    want = (value * scale).astype(np.float32)
    got = fewbit.mx_dequantize(form, scales, elements, x.size).reshape(x.shape)
    assert (got == want).all()


def test_nvfp4():
    # Blocks of 16, of sizes that E4M3's scales can follow in one tensor, and ones far below.
    x = blocks(4).reshape(-1, 16)
    x *= (np.float32(2.0) ** -np.floor(np.log2(np.abs(x).max(1, keepdims=True) + 1e-30))).astype(np.float32)
    x *= (2.0 ** np.random.default_rng(5).integers(-20, 6, (len(x), 1))).astype(np.float32)
    scale, scales, elements = fewbit.nvfp4_quantize(x)
    amax = np.abs(x).max(1)
    assert scale == amax.max() / np.float32(2688)
    with np.errstate(over="ignore"):
        want = np.minimum(amax / np.float32(6) / scale, np.float32(448)).astype(ml_dtypes.float8_e4m3fn)
    assert (scales == want.view(np.uint8)).all()
    step = (want.astype(np.float32) * scale)[:, None]
    # Scales of 0, subnormal and normal ones.
    assert (step == 0).any() and (scales < 8).any() and (scales == 0x7E).any()
    t = np.divide(x, step, out=np.zeros_like(x), where=step > 0)
    codes = np.clip(t, np.float32(-6), np.float32(6)).astype(ml_dtypes.float4_e2m1fn)
    pairs = codes.view(np.uint8).reshape(-1, 2)
    assert (elements == (pairs[:, 0] & 15 | (pairs[:, 1] & 15) << 4)).all()
    got = fewbit.nvfp4_dequantize(scale, scales, elements, x.size).reshape(x.shape)
    assert (fewbit.bits(got) == fewbit.bits(codes.astype(np.float32) * step)).all()
