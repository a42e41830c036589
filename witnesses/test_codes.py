"""Pooling, sums, products and concatenations of codes against onnxruntime.

Where it computes the same, everything must be equal: MaxPool, the sums and products of unfused nodes. Its own quantized
operators take short cuts in floats: their results are counted where they differ, and must be off by one code at most.
"""

import os
import time

import numpy as np
import pools
import pytest
import runtime
from onnx import helper

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))
FORMS = ["int8", "uint8"]


def codes(rng, form, shape):
    info = np.iinfo(form)
    return rng.integers(info.min, info.max + 1, shape, form)


def params(rng, form):
    """A scale and a zero point; every third scale makes ties."""
    scale = rng.choice([0.25, 0.5, 1.0]) if rng.integers(3) == 0 else rng.uniform(0.01, 1)
    return float(np.float32(scale)), int(codes(rng, form, ()))


def given(name, of, form):
    """Constants of a node: a scale and a zero point."""
    return {f"{name}_scale": np.array(of[0], np.float32), f"{name}_zero": np.array(of[1], form)}


class Counted:
    """How many results differ, printed; none by more than one code."""

    def __init__(self, what, capsys):
        self.what, self.capsys, self.count, self.total = what, capsys, 0, 0

    def compare(self, got, want, label):
        assert got.dtype == want.dtype and got.shape == want.shape, label
        off = np.abs(got.astype(np.int32) - want.astype(np.int32))
        assert off.max(initial=0) <= 1, (label, off.max())
        self.count += int((off != 0).sum())
        self.total += got.size

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            with self.capsys.disabled():
                print(f"\n{self.what}: {self.count} of {self.total} results differ, by one code (seed {SEED})")


def windows(rng, dilated):
    """Attributes and an input shape, NCHW."""
    spatial = int(rng.choice([1, 2, 2, 2, 3]))
    kernel = [int(k) for k in rng.integers(1, 5, spatial)]
    dilations = [int(d) for d in rng.integers(1, 3 if dilated else 2, spatial)]
    # onnxruntime wants less padding than taps.
    pads = [int(rng.integers(0, k)) for k in kernel * 2]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    sizes = [r + int(rng.integers(0, 17)) for r in reach]
    attributes = dict(
        kernel_shape=kernel, strides=[int(s) for s in rng.integers(1, 4, spatial)], pads=pads,
        ceil_mode=int(rng.integers(2)),
    )
    if dilated:
        attributes["dilations"] = dilations
    return attributes, (int(rng.integers(1, 3)), int(rng.integers(1, 40)), *sizes)


def ours(attributes):
    return {"kernel" if name == "kernel_shape" else name: value for name, value in attributes.items()}


@pytest.mark.parametrize("form", FORMS)
def test_max_pool(form):
    rng = np.random.default_rng(SEED)
    for _ in range(120):
        attributes, shape = windows(rng, True)
        x = codes(rng, form, shape)
        node = helper.make_node("MaxPool", ["x"], ["y"], **attributes)
        [want] = runtime.run([node], {"x": x}, {}, {"y": form})
        got = pools.pool("max_pool", x, **ours(attributes))
        assert got.shape == want.shape and (got == want).all(), (SEED, attributes, shape)
        last = pools.pool("max_pool", np.moveaxis(x, 1, -1), channels_last=1, **ours(attributes))
        assert (np.moveaxis(last, -1, 1) == want).all(), (SEED, attributes, shape)


def exact_average(x, x_params, y_params, attributes, include):
    """Integer sums window by window, then the formula of docs/numerics.md in f32, one operation at a time."""
    spatial = x.ndim - 2
    form, info = x.dtype, np.iinfo(x.dtype)
    kernel, strides, pads = (attributes[name] for name in ("kernel_shape", "strides", "pads"))
    widths = [(0, 0), (0, 0)] + [(pads[i], pads[i + spatial] + 64) for i in range(spatial)]
    steps = np.pad(x.astype(np.int64) - x_params[1], widths)
    inside = np.pad(np.ones(x.shape, np.int64), widths)
    # What is beyond the padding does not count.
    padded = [size + pads[i] + pads[i + spatial] for i, size in enumerate(x.shape[2:])]
    counted = np.zeros(steps.shape, np.int64)
    counted[(..., *[slice(0, size) for size in padded])] = 1
    out = []
    for i, size in enumerate(padded):
        whole = size - kernel[i]
        pixels = (-(-whole // strides[i]) if attributes["ceil_mode"] else whole // strides[i]) + 1
        if attributes["ceil_mode"] and (pixels - 1) * strides[i] >= x.shape[2 + i] + pads[i]:
            pixels -= 1
        out.append(pixels)
    sums, counts = (np.zeros((*x.shape[:2], *out), np.int64) for _ in range(2))
    for tap in np.ndindex(*kernel):
        at = (..., *[slice(t, t + (n - 1) * s + 1, s) for t, n, s in zip(tap, out, strides)])
        sums += steps[at]
        counts += (counted if include else inside)[at]
    with np.errstate(divide="ignore", invalid="ignore"):
        multiplier = np.float32(x_params[0]) / (counts.astype(np.float32) * np.float32(y_params[0]))
        t = np.where(counts > 0, sums.astype(np.float32) * multiplier, np.float32(0))
    return np.clip(np.rint(t) + y_params[1], info.min, info.max).astype(form)


@pytest.mark.parametrize("form", FORMS)
def test_average_pool(form, capsys):
    rng = np.random.default_rng(SEED + 1)
    with Counted(f"QLinearAveragePool {form}", capsys) as counted:
        for _ in range(120):
            attributes, shape = windows(rng, False)
            include = int(rng.integers(2))
            x, x_params, y_params = codes(rng, form, shape), params(rng, form), params(rng, form)
            label = (SEED, attributes, include, shape, x_params, y_params)
            how = dict(count_include_pad=include, x_params=x_params, y_params=y_params, **ours(attributes))
            got = pools.pool("average_pool", x, **how)
            assert (got == exact_average(x, x_params, y_params, attributes, include)).all(), label
            last = pools.pool("average_pool", np.moveaxis(x, 1, -1), channels_last=1, **how)
            assert (np.moveaxis(last, -1, 1) == got).all(), label
            if attributes["ceil_mode"]:
                continue  # What it divides by, at windows that reach beyond the padding, has changed with its versions.
            inputs = ["x", "x_scale", "x_zero", "y_scale", "y_zero"]
            node = helper.make_node(
                "QLinearAveragePool", inputs, ["y"], domain="com.microsoft", count_include_pad=include, **attributes
            )
            constants = given("x", x_params, form) | given("y", y_params, form)
            [want] = runtime.run([node], {"x": x}, constants, {"y": form})
            counted.compare(got, want, label)


@pytest.mark.parametrize("form", FORMS)
def test_global_average_pool(form, capsys):
    rng = np.random.default_rng(SEED + 2)
    inputs = ["x", "x_scale", "x_zero", "y_scale", "y_zero"]
    with Counted(f"QLinearGlobalAveragePool {form}", capsys) as counted:
        for _ in range(60):
            last = int(rng.integers(2))
            shape = [int(rng.integers(1, 4)), int(rng.integers(1, 100)), *(int(n) for n in rng.integers(1, 30, 2))]
            x = codes(rng, form, [shape[0], *shape[2:], shape[1]] if last else shape)
            x_params, y_params = params(rng, form), params(rng, form)
            got = pools.pool(
                "global_average_pool", x, x_params=x_params, y_params=y_params, channels_last=last
            )
            node = helper.make_node(
                "QLinearGlobalAveragePool", inputs, ["y"], domain="com.microsoft", channels_last=last
            )
            constants = given("x", x_params, form) | given("y", y_params, form)
            [want] = runtime.run([node], {"x": x}, constants, {"y": form})
            counted.compare(got, want, (SEED, shape, last, x_params, y_params))
    assert counted.count == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name, op", [("add", "Add"), ("multiply", "Mul")])
def test_sums_and_products(name, op, form, capsys):
    rng = np.random.default_rng(SEED + 3)
    with Counted(f"QLinear{op} {form}", capsys) as counted:
        for round in range(40):
            rows, columns = (int(n) for n in rng.integers(1, 200, 2))
            shapes = [(rows, columns), (1, columns), (rows, 1), (1, 1)]
            b_shape = shapes[round % 4]
            a, b = codes(rng, form, (rows, columns)), codes(rng, form, b_shape)
            a_params, b_params, y_params = (params(rng, form) for _ in range(3))
            label = (SEED, rows, columns, b_shape, a_params, b_params, y_params)
            got = pools.binary(name, a, a_params, b, b_params, y_params, b_shape)
            constants = given("a", a_params, form) | given("b", b_params, form) | given("y", y_params, form)
            nodes = [
                helper.make_node("DequantizeLinear", ["a", "a_scale", "a_zero"], ["x"]),
                helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["z"]),
                helper.make_node(op, ["x", "z"], ["r"]),
                helper.make_node("QuantizeLinear", ["r", "y_scale", "y_zero"], ["y"]),
            ]
            [want] = runtime.run(nodes, {"a": a, "b": b}, constants, {"y": form})
            assert (got == want).all(), label
            inputs = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
            node = helper.make_node(f"QLinear{op}", inputs, ["y"], domain="com.microsoft")
            [want] = runtime.run([node], {"a": a, "b": b}, constants, {"y": form})
            counted.compare(got, want, label)


@pytest.mark.parametrize("form", FORMS)
def test_concat(form, capsys):
    rng = np.random.default_rng(SEED + 4)
    with Counted(f"QLinearConcat {form}", capsys) as counted:
        for _ in range(40):
            shape, axis = [int(n) for n in rng.integers(1, 20, 4)], int(rng.integers(4))
            y_params, pieces, inputs, constants, feeds = params(rng, form), [], ["y_scale", "y_zero"], {}, {}
            for i in range(int(rng.integers(1, 5))):
                of = y_params if i == 2 else params(rng, form)
                shape[axis] = int(rng.integers(1, 20))
                pieces.append((codes(rng, form, shape), of))
                inputs += [f"x{i}", f"x{i}_scale", f"x{i}_zero"]
                constants |= given(f"x{i}", of, form)
                feeds[f"x{i}"] = pieces[-1][0]
            got = pools.concat(pieces, axis, y_params)
            node = helper.make_node("QLinearConcat", inputs, ["y"], domain="com.microsoft", axis=axis)
            constants |= given("y", y_params, form)
            [want] = runtime.run([node], feeds, constants, {"y": form})
            counted.compare(got, want, (SEED, shape, axis, y_params))
