"""Integer products against onnxruntime and int64 numpy: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv, and the
chains that DynamicQuantizeLinear begins.

fewbit equals the exact reference always. onnxruntime does too, except where this CPU makes it saturate: it multiplies u8
by s8 codes with AVX2's vpmaddubsw if there is no VNNI, and that adds two products in 16 bits. Those results are counted
and printed; they are demanded to be right wherever no such pair can saturate, and on every CPU that has VNNI.
(ConvInteger takes the weights as the left side, so that there it is s8 by u8.)
"""

import os
import time

import fewbit
import numpy as np
import plans
import pytest
import runtime
from onnx import helper

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))
# (x, w, y) of the operators that onnxruntime has: QLinearMatMul and QLinearConv mix signs in one way only.
PAIRS = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "uint8"), ("int8", "int8")]
TRIPLES = [("uint8", "uint8", "uint8"), ("uint8", "int8", "uint8"), ("int8", "int8", "int8")]
FILLS = ["random", "lowest", "highest", "alternating", "7 bits"]
# M, K, N: around the tiles, primes, 1, and longer ones.
SHAPES = [
    (1, 1, 1),
    (1, 64, 64),
    (2, 3, 5),
    (5, 17, 9),
    (7, 129, 31),
    (13, 4, 33),
    (16, 256, 48),
    (31, 127, 65),
    (3, 1031, 16),
]
SPATIAL = [1, 2, 2, 2, 2, 3]


def codes(rng, form, shape, fill):
    info = np.iinfo(form)
    if fill == "7 bits":
        # Two products of u8 by these fit 16 bits: 2 * 255 * 64 < 2^15.
        low, high = (0, 64) if form == "uint8" else (-64, 64)
        return rng.integers(low, high + 1, shape).astype(form)
    if fill == "alternating":
        ends = np.array([info.min, info.max], form)
        return np.resize(ends, int(np.prod(shape))).reshape(shape)
    if fill == "random":
        return rng.integers(info.min, info.max + 1, shape, form)
    return np.full(shape, info.min if fill == "lowest" else info.max, form)


def zero(rng, form, shape=()):
    """Zero points: the ends of the codes, 0, or any."""
    info = np.iinfo(form)
    some = rng.integers(info.min, info.max + 1, shape)
    ends = rng.choice([info.min, 0, info.max], shape)
    return np.asarray(np.where(rng.integers(0, 2, shape) == 1, some, ends)).astype(form)


class Saturated:
    """Counts what onnxruntime computed otherwise, and demands that it is nothing where nothing saturates."""

    def __init__(self, what, capsys, saturates):
        self.what, self.capsys, self.count, self.total, self.worst = what, capsys, 0, 0, 0
        self.saturates = saturates and runtime.sums_saturate()

    def compare(self, got, want, fill, label):
        assert got.dtype == want.dtype, label
        different = int((fewbit.bits(got) != fewbit.bits(want)).sum())
        if not self.saturates or fill == "7 bits":
            assert different == 0, (label, different)
        self.count += different
        self.total += want.size
        self.worst = max(self.worst, np.abs(got.astype(np.float64) - want.astype(np.float64)).max())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            with self.capsys.disabled():
                off = f", off by up to {self.worst:g}, where it saturates" if self.count else ""
                print(
                    f"\n{self.what}: fewbit is exact in all {self.total} results; onnxruntime differs in {self.count}{off} (seed {SEED})"
                )


def random_shapes(rng, count):
    return [tuple(int(size) for size in rng.integers(1, (40, 300, 80))) for _ in range(count)]


@pytest.mark.parametrize("x_form, w_form", PAIRS)
def test_matmul_integer(x_form, w_form, capsys):
    rng = np.random.default_rng(SEED)
    node = helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"])
    with Saturated(f"MatMulInteger {x_form} {w_form}", capsys, (x_form, w_form) == ("uint8", "int8")) as saturated:
        for shape in SHAPES + random_shapes(rng, 10):
            for fill in FILLS:
                m, k, n = shape
                label = (SEED, shape, fill)
                x, w = codes(rng, x_form, (m, k), fill), codes(rng, w_form, (k, n), fill)
                xz = zero(rng, x_form)
                wz = zero(rng, w_form, rng.choice([1, n]))
                exact = (x.astype(np.int64) - int(xz)) @ (w.astype(np.int64) - wz.astype(np.int64))
                got = plans.linear(x, plans.Operands(w, x_form, "int32", (1.0, int(xz)), 1.0, wz))
                assert (got == exact).all(), label
                [want] = runtime.run([node], {"x": x}, {"w": w, "xz": xz, "wz": wz}, {"y": "int32"})
                saturated.compare(want, exact.astype(np.int32), fill, label)


def test_the_known_example(capsys):
    """64 products of 255 and 127."""
    x, w = np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)
    [[got]] = plans.linear(x, plans.Operands(w, "uint8", "int32", (1.0, 0)))
    [[[other]]] = runtime.run(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])], {"x": x}, {"w": w}, {"y": "int32"}
    )
    assert got == 255 * 127 * 64 == 2_072_640
    assert other == got or runtime.sums_saturate()
    with capsys.disabled():
        print(f"\n64 products of 255 and 127: fewbit {got}, onnxruntime {other}")


@pytest.mark.parametrize("x_form, w_form, y_form", TRIPLES)
def test_qlinear_matmul(x_form, w_form, y_form, capsys):
    rng = np.random.default_rng(SEED + 1)
    node = helper.make_node("QLinearMatMul", "x xs xz w ws wz ys yz".split(), ["y"])
    with Saturated(
        f"QLinearMatMul {x_form} {w_form} {y_form}", capsys, (x_form, w_form) == ("uint8", "int8")
    ) as saturated:
        for shape in SHAPES + random_shapes(rng, 10):
            for fill in FILLS:
                m, k, n = shape
                label = (SEED, shape, fill)
                x, w = codes(rng, x_form, (m, k), fill), codes(rng, w_form, (k, n), fill)
                count = rng.choice([1, n])
                xz, yz, wz = zero(rng, x_form), zero(rng, y_form), zero(rng, w_form, count)
                exact = (x.astype(np.int64) - int(xz)) @ (w.astype(np.int64) - wz.astype(np.int64))
                xs, ws = np.float32(rng.uniform(0.001, 0.1)), rng.uniform(0.001, 0.1, count).astype(np.float32)
                # Of the sums' size, so that few results are at the ends.
                ys = np.float32(max(np.abs(exact).max(), 1) * float(xs) * float(ws.max()) / rng.uniform(60, 400))
                operands = plans.Operands(w, x_form, y_form, (xs, int(xz)), ws, wz, None, (ys, int(yz)))
                reference = plans.requantized(exact, xs, ws, ys, int(yz), y_form)
                assert (plans.linear(x, operands) == reference).all(), label
                constants = dict(xs=xs, xz=xz, w=w, ws=ws, wz=wz, ys=ys, yz=yz)
                [want] = runtime.run([node], {"x": x}, {a: np.asarray(v) for a, v in constants.items()}, {"y": y_form})
                saturated.compare(want, reference, fill, label)


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("w_form", ["uint8", "int8"])
def test_dynamic_chain(w_form, biased, capsys):
    """DynamicQuantizeLinear, MatMulInteger, Cast, Mul: f32 in and out, parameters from the whole input."""
    rng = np.random.default_rng(SEED + 2)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        helper.make_node("MatMulInteger", ["q", "w", "qz", "wz"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["real"], to=runtime.KINDS["float32"]),
        helper.make_node("Mul", ["qs", "ws"], ["factor"]),
        helper.make_node("Mul", ["real", "factor"], ["scaled" if biased else "y"]),
    ]
    if biased:
        nodes.append(helper.make_node("Add", ["scaled", "b"], ["y"]))
    with Saturated(
        f"DynamicQuantizeLinear chain {w_form} {'bias' if biased else ''}".strip(), capsys, w_form == "int8"
    ) as saturated:
        for shape in SHAPES + random_shapes(rng, 10):
            for fill in FILLS:
                m, k, n = shape
                label = (SEED, shape, fill)
                x = (rng.normal(0, 1, (m, k)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
                w, count = codes(rng, w_form, (k, n), fill), rng.choice([1, n])
                wz, ws = zero(rng, w_form, count), rng.uniform(0.001, 0.1, count).astype(np.float32)
                b = rng.normal(0, 1, n).astype(np.float32) if biased else None
                q, scale, zero_point = fewbit.quantize_dynamic(x, "uint8")
                exact = (q.astype(np.int64) - zero_point[0]) @ (w.astype(np.int64) - wz.astype(np.int64))
                reference = exact.astype(np.float32) * (scale[0] * ws)
                reference = reference + b if biased else reference
                operands = plans.Operands(w, "float32", "float32", None, ws, wz, b)
                got = plans.linear(x, operands)
                assert (fewbit.bits(got) == fewbit.bits(reference)).all(), label
                # A row's own parameters: each row is a call of its own.
                rows = plans.linear(x, operands, plans.PER_ROW)
                for row in range(m):
                    alone = plans.linear(x[row : row + 1], operands)
                    assert (fewbit.bits(rows[row]) == fewbit.bits(alone[0])).all(), label
                constants = dict(w=w, wz=wz, ws=ws) | (dict(b=b) if biased else {})
                [want] = runtime.run(nodes, {"x": x}, constants, {"y": "float32"})
                saturated.compare(want, got, fill, label)


def layers(rng, count):
    """Convolutions: input and weight shapes and attributes, of any kind that fits."""
    made = []
    while len(made) < count:
        spatial = int(rng.choice(SPATIAL))
        group = int(rng.choice([1, 1, 2, 3, 8]))
        inputs, outputs = (int(c) for c in rng.integers(1, 12 if group < 3 else 4, 2))
        size, kernel = rng.integers(1, 14 if spatial < 3 else 6, spatial), rng.integers(
            1, 6 if spatial < 3 else 4, spatial
        )
        strides, dilations = rng.integers(1, 4, spatial), rng.integers(1, 4, spatial)
        pads = rng.integers(0, 4, 2 * spatial)
        room = size + pads[:spatial] + pads[spatial:] - (kernel - 1) * dilations
        if (room < 1).any():
            continue
        attributes = {
            name: [int(i) for i in v] for name, v in dict(strides=strides, pads=pads, dilations=dilations).items()
        }
        x = (int(rng.integers(1, 3)), group * inputs, *(int(i) for i in size))
        made.append((x, (group * outputs, inputs, *(int(i) for i in kernel)), attributes | dict(group=group)))
    return made


@pytest.mark.parametrize("x_form, w_form", PAIRS)
def test_conv_integer(x_form, w_form, capsys):
    rng = np.random.default_rng(SEED + 3)
    with Saturated(f"ConvInteger {x_form} {w_form}", capsys, (x_form, w_form) == ("int8", "uint8")) as saturated:
        for x_shape, w_shape, attributes in layers(rng, 60):
            for fill in FILLS:
                label = (SEED, x_shape, w_shape, attributes, fill)
                x, w = codes(rng, x_form, x_shape, fill), codes(rng, w_form, w_shape, fill)
                xz, wz = zero(rng, x_form), zero(rng, w_form)
                exact = plans.exact_conv(x, w, int(xz), int(wz), **attributes)
                got = plans.conv(x, plans.Operands(w, x_form, "int32", (1.0, int(xz)), 1.0, wz), **attributes)
                assert (got == exact).all(), label
                # A zero point a channel, which onnxruntime refuses.
                many = zero(rng, w_form, w_shape[0])
                got = plans.conv(x, plans.Operands(w, x_form, "int32", (1.0, int(xz)), 1.0, many), **attributes)
                assert (got == plans.exact_conv(x, w, int(xz), many.astype(np.int64), **attributes)).all(), label
                node = helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], **attributes)
                [want] = runtime.run([node], {"x": x}, {"w": w, "xz": xz, "wz": wz}, {"y": "int32"})
                saturated.compare(want, exact.astype(np.int32), fill, label)


@pytest.mark.parametrize("x_form, w_form, y_form", TRIPLES)
def test_qlinear_conv(x_form, w_form, y_form, capsys):
    rng = np.random.default_rng(SEED + 4)
    names = "x xs xz w ws wz ys yz b".split()
    with Saturated(
        f"QLinearConv {x_form} {w_form} {y_form}", capsys, (x_form, w_form) == ("uint8", "int8")
    ) as saturated:
        for x_shape, w_shape, attributes in layers(rng, 60):
            for fill in FILLS:
                label = (SEED, x_shape, w_shape, attributes, fill)
                x, w = codes(rng, x_form, x_shape, fill), codes(rng, w_form, w_shape, fill)
                outputs = w_shape[0]
                count = rng.choice([1, outputs])
                xz, yz = zero(rng, x_form), zero(rng, y_form)
                wz = zero(rng, w_form, rng.choice([1, outputs]))
                b = rng.integers(-(1 << 12), 1 << 12, outputs).astype(np.int32)
                channels = (-1,) + (1,) * (len(x_shape) - 2)
                exact = plans.exact_conv(x, w, int(xz), wz.astype(np.int64), **attributes) + b.reshape(channels)
                xs, ws = np.float32(rng.uniform(0.001, 0.1)), rng.uniform(0.001, 0.1, count).astype(np.float32)
                ys = np.float32(max(np.abs(exact).max(), 1) * float(xs) * float(ws.max()) / rng.uniform(60, 400))
                reference = plans.requantized(exact, xs, ws.reshape(channels), ys, int(yz), y_form)
                operands = plans.Operands(w, x_form, y_form, (xs, int(xz)), ws, wz, b, (ys, int(yz)))
                assert (plans.conv(x, operands, **attributes) == reference).all(), label
                node = helper.make_node("QLinearConv", names, ["y"], **attributes)
                constants = dict(xs=xs, xz=xz, w=w, ws=ws, wz=wz, ys=ys, yz=yz, b=b)
                [want] = runtime.run([node], {"x": x}, {a: np.asarray(v) for a, v in constants.items()}, {"y": y_form})
                saturated.compare(want, reference, fill, label)
