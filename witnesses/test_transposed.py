"""Transposed convolutions against onnxruntime's ConvTranspose in f32 and int64 numpy. ONNX has none of integers; the products
here are few and small enough for f32 to hold every partial sum, so that any order of additions gives the exact one."""

import os
import time

import numpy as np
import plans
import runtime
from onnx import helper

SEED = int(os.environ.get("FEWBIT_TEST_SEED", time.time() // 3600))


def layers(rng, count):
    """Input and weight shapes and attributes, of any kind that leaves an output."""
    made = []
    while len(made) < count:
        spatial, group = int(rng.choice([1, 2, 2, 2, 3])), int(rng.choice([1, 1, 2, 3]))
        inputs, outputs = (int(c) for c in rng.integers(1, 8, 2))
        most = 9 if spatial < 3 else 5
        size, kernel = rng.integers(1, most, spatial), rng.integers(1, 5 if spatial < 3 else 3, spatial)
        strides, dilations = rng.integers(1, 4, spatial), rng.integers(1, 3, spatial)
        pads = rng.integers(0, 3, 2 * spatial)
        output_padding = [int(rng.integers(0, s)) for s in strides]
        out = (size - 1) * strides + dilations * (kernel - 1) + 1 + output_padding - pads[:spatial] - pads[spatial:]
        # Sums of products of at most 255 * 255 that f32 holds.
        if (out < 1).any() or inputs * np.prod(kernel) * 255 * 255 >= 1 << 24:
            continue
        attributes = {
            name: [int(i) for i in v] for name, v in dict(strides=strides, pads=pads, dilations=dilations).items()
        }
        attributes |= dict(output_padding=output_padding, group=group)
        x = (int(rng.integers(1, 3)), group * inputs, *(int(i) for i in size))
        made.append((x, (group * inputs, outputs, *(int(i) for i in kernel)), attributes))
    return made


def exact(x, w, strides, pads, dilations, output_padding, group):
    """The definition in int64: each input pixel's products, added where they belong."""
    spatial, kernel = x.ndim - 2, w.shape[2:]
    whole = [
        (x.shape[2 + i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 + output_padding[i]
        for i in range(spatial)
    ]
    inputs, outputs = x.shape[1] // group, w.shape[1]
    y = np.zeros((x.shape[0], group * outputs, *whole), np.int64)
    for tap in np.ndindex(*kernel):
        at = tuple(
            slice(tap[i] * dilations[i], tap[i] * dilations[i] + (x.shape[2 + i] - 1) * strides[i] + 1, strides[i])
            for i in range(spatial)
        )
        for g in range(group):
            of, to = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
            y[(slice(None), to) + at] += np.einsum("ni...,io->no...", x[:, of], w[(of, slice(None)) + tap])
    inside = tuple(slice(pads[i], whole[i] - pads[spatial + i]) for i in range(spatial))
    return y[(slice(None), slice(None)) + inside]


def test_conv_transpose():
    rng = np.random.default_rng(SEED + 7)
    for x_shape, w_shape, attributes in layers(rng, 150):
        for x_form, w_form in [("uint8", "int8"), ("int8", "int8"), ("uint8", "uint8"), ("int8", "uint8")]:
            label = (SEED, x_shape, w_shape, attributes, x_form, w_form)
            draw = lambda form, shape: rng.integers(np.iinfo(form).min, np.iinfo(form).max + 1, shape, form)
            x, w = draw(x_form, x_shape), draw(w_form, w_shape)
            outputs = w_shape[1] * attributes["group"]
            xz, wz = draw(x_form, ()), draw(w_form, (1 if rng.integers(0, 2) else outputs,))
            # A zero point an output channel, in the weights' layout [C, O / group, ...].
            zeros = np.broadcast_to(wz.astype(np.int64), outputs).reshape(attributes["group"], w_shape[1])
            zeros = np.repeat(zeros, w_shape[0] // attributes["group"], axis=0)
            real_w = w.astype(np.int64) - zeros.reshape(zeros.shape + (1,) * (len(w_shape) - 2))
            real_x = x.astype(np.int64) - int(xz)
            want = exact(real_x, real_w, **attributes)
            operands = plans.Operands(w, x_form, "int32", (1.0, int(xz)), 1.0, wz)
            got = plans.conv(x, operands, **attributes)
            assert got.shape == want.shape and (got == want).all(), label
            node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **attributes)
            [theirs] = runtime.run(
                [node], {"x": real_x.astype(np.float32)}, {"w": real_w.astype(np.float32)}, {"y": "float32"}
            )
            assert (theirs == want).all(), label
