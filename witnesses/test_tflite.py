"""Fixed-point output against TensorFlow Lite's reference kernels (the package ai-edge-litert), bit for bit: FULLY_CONNECTED,
CONV_2D and DEPTHWISE_CONV_2D, in int8 with scales per channel and per tensor, and in the older uint8 with zero points on
both sides; strides, dilation, padding, fused activations, extremes.

fewbit gets the same codes, scales and biases; where TensorFlow Lite makes a multiplier of scales that it multiplied in
f32 first, that multiplier. No tolerance: every code must be the same.
"""

import ctypes
import os
import time

import litert
import numpy as np
import plans
import pytest
from fewbit import _check, _lib

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))
FILLS = ["random", "random", "lowest", "highest", "mixed"]
ACTIVATIONS = {
    "none": (0, 0.0, 0.0),
    "relu": (1, 0.0, 0.0),
    "relu6": (2, 0.0, 6.0),
    "relu_n1_to_1": (2, -1.0, 1.0),
}
FIXED_POINT, DOUBLE = 1, 0


def codes(rng, form, shape, fill, least=None):
    """Codes of a kind; int8 weights are symmetric, narrow."""
    info = np.iinfo(form)
    low = info.min if least is None else least
    if fill == "lowest":
        return np.full(shape, low, form)
    if fill == "highest":
        return np.full(shape, info.max, form)
    if fill == "mixed":
        return rng.choice(np.array([low, info.max], form), shape)
    return rng.integers(low, info.max + 1, shape).astype(form)


def scale(rng, shape=()):
    return np.exp(rng.uniform(np.log(1e-4), np.log(0.1), shape)).astype(np.float32)


def fixed(real):
    multiplier, shift = ctypes.c_int32(), ctypes.c_int32()
    _lib.fewbit_fixed_multiplier.argtypes = [ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p]
    _check(_lib.fewbit_fixed_multiplier(float(real), ctypes.addressof(multiplier), ctypes.addressof(shift)))
    return multiplier.value, shift.value


class Layer:
    """Random operands of a layer; `channels`: outputs; `sums`: products of an output, so that results spread over the
    codes. `per_channel`: int8 with a scale a channel, and no zero point; else per tensor."""

    def __init__(self, rng, form, channels, sums, per_channel, fill, activation):
        info = np.iinfo(form)
        self.form, self.activation, self.per_channel = form, activation, per_channel
        self.x_scale, self.w_scale = scale(rng), scale(rng, channels if per_channel else 1)
        self.x_zero, self.y_zero = (int(rng.integers(info.min, info.max + 1)) for _ in range(2))
        self.w_zero = int(rng.integers(0, 256)) if form == "uint8" else 0
        spread = float(self.x_scale) * float(self.w_scale.max()) * 74 * 74 * np.sqrt(sums)
        self.y_scale = np.float32(spread / rng.choice([20, 60, 200]))
        if activation == "relu6" or activation == "relu_n1_to_1":
            self.y_scale = np.float32(rng.uniform(6 / 255, 20 / 255))
        self.bias = rng.integers(-(1 << 14), 1 << 14, channels).astype(np.int32)
        self.least = -127 if form == "int8" else 0
        if fill == "mixed":
            self.bias = rng.choice([-(1 << 20), 1 << 20], channels).astype(np.int32)

    def operands(self, w, multiplied_in_f32):
        """What a plan is made of. Multipliers are fewbit's own from the scales where those are multiplied in f64."""
        made = plans.Operands(
            w,
            self.form,
            self.form,
            (self.x_scale, self.x_zero),
            self.w_scale,
            self.w_zero,
            self.bias,
            (self.y_scale, self.y_zero),
        )
        made.fixed = None
        if multiplied_in_f32:
            product = float(np.float32(self.x_scale * self.w_scale[0]))
            made.fixed = [np.array([value], np.int32) for value in fixed(product / float(self.y_scale))]
        kind, alpha, beta = ACTIVATIONS[self.activation]

        def finish(desc):
            desc.output.activation, desc.output.alpha, desc.output.beta = kind, alpha, beta
            desc.output.quantization, desc.output.rounding = FIXED_POINT, DOUBLE
            if made.fixed is not None:
                desc.weights.multipliers, desc.weights.shifts = (part.ctypes.data for part in made.fixed)
                desc.weights.multiplier_count = 1

        made.finish = finish
        return made

    def model(self, x, w, axis, y_shape):
        """The model's tensors, the operator's own shape of weights."""
        model = litert.Model()
        model.tensor(x.shape, self.form, self.x_scale, self.x_zero)
        model.tensor(w.shape, self.form, self.w_scale, self.w_zero, axis, w)
        bias_scale = np.float32(self.x_scale) * self.w_scale
        model.tensor(self.bias.shape, "int32", bias_scale, 0, 0, self.bias)
        model.tensor(y_shape, self.form, self.y_scale, self.y_zero)
        return model


def same(got, want, label):
    assert got.dtype == want.dtype and got.shape == want.shape, (label, got.shape, want.shape)
    different = int((got != want).sum())
    assert different == 0, (label, different, got.size)
    # Codes between the ends: a test of clamps alone would be none.
    info = np.iinfo(got.dtype)
    return int(((got > info.min) & (got < info.max)).sum())


class Counted:
    def __init__(self, what, capsys):
        self.what, self.capsys, self.cases, self.codes, self.between = what, capsys, 0, 0, 0

    def add(self, got, want, label):
        self.between += same(got, want, label)
        self.codes += got.size
        self.cases += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.between > self.codes / 10, (self.between, self.codes)
            with self.capsys.disabled():
                print(
                    f"\n{self.what}: all {self.codes} codes of {self.cases} layers equal TensorFlow Lite's, "
                    f"{self.between} of them within the ends (seed {SEED})"
                )


KINDS = [("int8", True), ("int8", False), ("uint8", False)]


@pytest.mark.parametrize("form, per_channel", KINDS)
def test_fully_connected(form, per_channel, capsys):
    rng = np.random.default_rng(SEED)
    with Counted(f"FULLY_CONNECTED {form}, per {'channel' if per_channel else 'tensor'}", capsys) as counted:
        for case in range(60):
            m, k, n = (int(size) for size in rng.integers(1, (20, 300, 70)))
            fill, activation = FILLS[case % 5], list(ACTIVATIONS)[case % 4]
            layer = Layer(rng, form, n, k, per_channel, fill, activation)
            x = codes(rng, form, (m, k), fill)
            w = codes(rng, form, (n, k), fill, layer.least)
            want = layer.model(x, w, 0, (m, n)).run(*litert.fully_connected(activation), x)
            got = plans.linear(x, layer.operands(np.ascontiguousarray(w.T), not per_channel))
            counted.add(got, want, (SEED, case, m, k, n, fill, activation))


def spatial(rng):
    """Sizes, kernel, strides, dilations, padding, as TensorFlow Lite pads: the odd pixel behind."""
    while True:
        size, kernel = rng.integers(1, 14, 2), rng.integers(1, 6, 2)
        strides, dilations, is_same = rng.integers(1, 4, 2), rng.integers(1, 3, 2), bool(rng.integers(2))
        reach = (kernel - 1) * dilations + 1
        out = -(-size // strides) if is_same else (size - reach + strides) // strides
        if (out < 1).any():
            continue
        total = np.maximum((out - 1) * strides + reach - size, 0) if is_same else np.zeros(2, int)
        # fewbit's output has as many pixels as fit; TensorFlow Lite's as were asked for.
        pads = [int(p) for p in np.concatenate([total // 2, total - total // 2])]
        return [tuple(int(v) for v in part) for part in (size, kernel, strides, dilations, out)] + [pads, is_same]


@pytest.mark.parametrize("form, per_channel", KINDS)
def test_conv(form, per_channel, capsys):
    rng = np.random.default_rng(SEED + 1)
    with Counted(f"CONV_2D {form}, per {'channel' if per_channel else 'tensor'}", capsys) as counted:
        for case in range(80):
            size, kernel, strides, dilations, out, pads, is_same = spatial(rng)
            images, inputs, outputs = (int(count) for count in rng.integers(1, (3, 20, 24)))
            fill, activation = FILLS[case % 5], list(ACTIVATIONS)[case % 4]
            layer = Layer(rng, form, outputs, inputs * kernel[0] * kernel[1], per_channel, fill, activation)
            x = codes(rng, form, (images, *size, inputs), fill)
            w = codes(rng, form, (outputs, *kernel, inputs), fill, layer.least)
            model = layer.model(x, w, 0, (images, *out, outputs))
            want = model.run(*litert.conv(activation, strides, dilations, is_same), x)
            # Images and filters of TensorFlow Lite have channels last; the tests' own have them in front.
            operands = layer.operands(np.ascontiguousarray(w.transpose(0, 3, 1, 2)), form == "uint8")
            channels_last = case % 2 == 0
            got = plans.conv(x.transpose(0, 3, 1, 2), operands, strides, pads, dilations, 1, channels_last=channels_last)
            counted.add(got.transpose(0, 2, 3, 1), want, (SEED, case, size, kernel, strides, dilations, fill, activation))


@pytest.mark.parametrize("form, per_channel", KINDS)
def test_depthwise_conv(form, per_channel, capsys):
    rng = np.random.default_rng(SEED + 2)
    with Counted(f"DEPTHWISE_CONV_2D {form}, per {'channel' if per_channel else 'tensor'}", capsys) as counted:
        for case in range(80):
            size, kernel, strides, dilations, out, pads, is_same = spatial(rng)
            images, inputs, multiplier = (int(count) for count in rng.integers(1, (3, 40, 4)))
            outputs = inputs * multiplier
            fill, activation = FILLS[case % 5], list(ACTIVATIONS)[case % 4]
            layer = Layer(rng, form, outputs, kernel[0] * kernel[1], per_channel, fill, activation)
            x = codes(rng, form, (images, *size, inputs), fill)
            w = codes(rng, form, (1, *kernel, outputs), fill, layer.least)
            model = layer.model(x, w, 3, (images, *out, outputs))
            options = litert.depthwise_conv(activation, strides, dilations, is_same, multiplier)
            want = model.run(*options, x)
            operands = layer.operands(np.ascontiguousarray(w.transpose(3, 0, 1, 2)), form == "uint8")
            channels_last = case % 2 == 0
            got = plans.conv(x.transpose(0, 3, 1, 2), operands, strides, pads, dilations, inputs, channels_last=channels_last)
            counted.add(got.transpose(0, 2, 3, 1), want, (SEED, case, size, kernel, strides, dilations, fill, activation))
