"""Softmax, its logarithm, layer and RMS norm against numpy in f64 and onnxruntime in f32.

Nobody else defines their bits, so there are tolerances, from docs/numerics.md: of softmax relative to the result, of the
others relative to the largest numbers on the way. 16-bit results are the f32 ones, rounded; codes are at most one off, and
only next to a tie.
"""

import os
import time

import fewbit
import ml_dtypes
import numpy as np
import pytest
import runtime
from onnx import helper

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))
U = 2.0**-24
SHAPES = [(1, 1), (3, 2), (5, 10), (2, 3, 63), (4, 64), (7, 65), (128, 768), (16, 1000), (16, 1024), (3, 4097), (2, 9000)]


def numbers(rng, shape):
    x = rng.normal(0, rng.choice([0.1, 1, 5]), shape).astype(np.float32)
    return x + np.float32(rng.choice([0, 0, 3, -100]))


def softmax(x):
    d = x.astype(np.float64) - x.max(-1, keepdims=True)
    s = np.exp(d).sum(-1, keepdims=True)
    return np.exp(d) / s, d - np.log(s), -d


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(shape):
    rng = np.random.default_rng(SEED)
    x, n = numbers(rng, shape), shape[-1]
    want, want_log, t = softmax(x)
    tolerance = (t + np.log(n) + min(n / 64, 64 + n / 4096) + 16) * U
    got, log = fewbit.rows("softmax", x), fewbit.rows("log_softmax", x)
    assert (np.abs(got - want) <= tolerance * want + 1.7e-38).all(), SEED
    assert (np.abs(log - want_log) <= tolerance + 2 * U * np.abs(want_log)).all(), SEED
    for name, ours in (("Softmax", got), ("LogSoftmax", log)):
        [other] = runtime.run([helper.make_node(name, ["x"], ["y"], axis=-1)], {"x": x}, {}, {"y": "float32"})
        assert np.allclose(ours, other, rtol=2e-5, atol=2e-6), (name, SEED)


def test_what_is_not_finite():
    """NaN where onnxruntime has it."""
    inf = np.inf
    x = np.array([[1, inf, 2], [-inf, -inf, -inf], [np.nan, 1, 2], [-inf, 0, 0]], np.float32)
    [other] = runtime.run([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], {"x": x}, {}, {"y": "float32"})
    got = fewbit.rows("softmax", x)
    assert np.isnan(got[:3]).all() and (got[3] == [0, 0.5, 0.5]).all()
    assert (np.isnan(other) == np.isnan(got)).all()


def norm(x, gamma, beta, epsilon, centered):
    x = x.astype(np.float64)
    mean = x.mean(-1, keepdims=True) if centered else 0.0
    deviation = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + epsilon)
    t = (x - mean) / deviation
    return t * gamma + beta, t, np.abs(x).mean(-1, keepdims=True) / deviation


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_norms(shape, name, epsilon=1e-5):
    rng = np.random.default_rng(SEED + 1)
    x, n, centered = numbers(rng, shape), shape[-1], name == "layer_norm"
    gamma, beta = (rng.normal(size=n).astype(np.float32) for _ in range(2))
    # The runtime's operator by the root mean square has no beta.
    beta = beta if centered else np.zeros_like(beta)
    want, t, magnitude = norm(x, gamma, beta, np.float32(epsilon), centered)
    got = fewbit.rows(name, x, gamma=gamma, beta=beta if centered else None, epsilon=epsilon)
    sums = (min(n / 64, 64 + n / 4096) + 9) * U
    of_mean = sums * magnitude * centered
    tolerance = (of_mean + np.abs(t) * (sums / 2 + 2 * of_mean**2 + 6 * U)) * np.abs(gamma) * 1.01
    assert (np.abs(got - want) <= tolerance + 2 * U * (np.abs(want) + np.abs(beta))).all(), SEED
    kind, others = ("LayerNormalization", {"g": gamma, "b": beta}) if centered else ("RMSNormalization", {"g": gamma})
    node = helper.make_node(kind, ["x", *others], ["y"], axis=-1, epsilon=epsilon)
    [other] = runtime.run([node], {"x": x}, others, {"y": "float32"}, opset=23)
    close = np.maximum(tolerance * 4, 1e-5) + 1e-5 * np.abs(want)
    assert (np.abs(got - other) <= close).all(), SEED


@pytest.mark.parametrize("name, epsilon", [("softmax", None), ("log_softmax", None), ("layer_norm", 1e-12)])
def test_types(name, epsilon):
    """16 bits and codes on either side are the f32 function between conversions."""
    rng = np.random.default_rng(SEED + 2)
    x = rng.normal(0, 3, (9, 333)).astype(np.float32)
    for form in (np.float16, ml_dtypes.bfloat16):
        half = x.astype(form)
        y = fewbit.rows(name, half.astype(np.float32), epsilon=epsilon)
        assert (fewbit.bits(fewbit.rows(name, half, form, epsilon=epsilon)) == fewbit.bits(y.astype(form))).all()
    params, out = (0.05, 3), (1 / 256, 0) if name == "softmax" else (0.04, -5)
    codes, form = rng.integers(-128, 128, x.shape).astype(np.int8), "uint8" if name == "softmax" else "int8"
    real = (codes.astype(np.float32) - params[1]) * np.float32(params[0])
    y = fewbit.rows(name, real, epsilon=epsilon)
    info, steps = np.iinfo(form), np.rint(y / np.float32(out[0])) + out[1]
    got = fewbit.rows(name, codes, form, params, out, epsilon=epsilon)
    assert (got == np.clip(steps, info.min, info.max).astype(form)).all()
    exact = softmax(real)[0] if name == "softmax" else None
    if exact is not None:
        assert np.abs(got - np.clip(np.rint(exact / out[0]), 0, 255)).max() <= 1
