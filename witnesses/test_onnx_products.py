"""Every operator test of MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv in the package onnx, through plans of
libfewbit."""

import numpy as np
import onnx.backend.test.loader
import plans
import pytest
from onnx import TensorProto, helper, numpy_helper

OPS = ("MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv")
CASES = {
    case.name: case
    for case in onnx.backend.test.loader.load_model_tests(kind="node")
    if any(f"_{op.lower()}" in case.name for op in OPS)
}


def array(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def number(value):
    """A scale or zero point of a tensor."""
    return value.reshape(-1)[0].item()


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    case = CASES[name]
    [(inputs, outputs)] = case.data_sets
    inputs, [want] = [array(a) for a in inputs], [array(a) for a in outputs]
    node = case.model.graph.node[0]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type.startswith("QLinear"):
        x, xs, xz, w, ws, wz, ys, yz = inputs[:8]
        # Scales of f16 are numbers of f32 too.
        quantized = dict(w_scale=ws.astype(np.float32), y_params=(number(ys), number(yz)))
        x_params = (number(xs), number(xz))
    else:
        x, w, xz = inputs[:3]
        wz = inputs[3] if len(inputs) > 3 else np.zeros(1, w.dtype)
        quantized, x_params = {}, (1.0, number(xz))
    if node.op_type.endswith("MatMul") or node.op_type == "MatMulInteger":
        # Batches: a plan for each matrix of weights.
        batch = x.reshape(-1, *x.shape[-2:])
        matrices = np.broadcast_to(w, x.shape[:-2] + w.shape[-2:]).reshape(-1, *w.shape[-2:])
        products = [
            plans.linear(rows, plans.Operands(weights, x.dtype, want.dtype, x_params, w_zero=wz, **quantized))
            for rows, weights in zip(batch, matrices)
        ]
        got = np.stack(products).reshape(want.shape)
    else:
        spatial = x.ndim - 2
        ones = [1] * spatial
        attributes = dict(strides=ones, dilations=ones, pads=[0] * (2 * spatial), group=1) | given
        operands = plans.Operands(w, x.dtype, want.dtype, x_params, w_zero=wz, **quantized)
        got = plans.conv(x, operands, **attributes)
    assert got.dtype == want.dtype and (got == want).all()


def test_the_number():
    """A case that is new changes it."""
    assert len(CASES) == 12
