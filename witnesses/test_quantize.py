"""Quantize and dequantize against numpy and onnxruntime: per tensor, per axis, per block, dynamic."""

import fewbit
import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int4": (-8, 7), "uint4": (0, 15)}
ONNX = {
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int4": TensorProto.INT4,
    "uint4": TensorProto.UINT4,
}
REALS = {
    "float32": (np.float32, TensorProto.FLOAT),
    "float16": (np.float16, TensorProto.FLOAT16),
    "bfloat16": (ml_dtypes.bfloat16, TensorProto.BFLOAT16),
}
SCALES = [0.1, 1 / 3, 1 / 127, 0.25, 0.99999994, 1.0000001, 3e-5, 1e-38, 1e38, 1e-45, 3.4e38]


def in_numpy(x, codes, scale, zero_point):
    """The contract in numpy: its f32 division is correctly rounded, its rint takes ties to even."""
    low, high = RANGES[codes]
    with np.errstate(all="ignore"):
        t = x.astype(np.float32) / np.float32(scale)
    t = np.where(np.isnan(t), np.float32(0), t)
    return np.rint(np.clip(t, low - zero_point, high - zero_point)).astype(np.int64) + zero_point


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("codes", RANGES)
def test_against_numpy(codes, real):
    low, high = RANGES[codes]
    for i, scale in enumerate(SCALES):
        # Ordinary numbers of the scale's size too.
        with np.errstate(all="ignore"):
            x = np.concatenate([fewbit.reals(i, 20_000), fewbit.reals(i, 20_000) * np.float32(scale)])
            x = x.astype(REALS[real][0])
        for zero_point in (low, 0 if low <= 0 else low, high, (low + high) // 2):
            got = fewbit.quantize(x, codes, scale, zero_point)
            assert (got == in_numpy(x, codes, scale, zero_point)).all(), (scale, zero_point)
            # f64 holds the product; numpy and ml_dtypes round it once (bf16: where rounding to f32 first
            # cannot matter, the product being exact in it).
            q = np.arange(low, high + 1) if high - low < 256 else np.arange(low, high + 1, 37)
            with np.errstate(all="ignore"):
                exact = (q - zero_point) * np.float64(np.float32(scale))
                want = exact.astype(REALS[real][0])
            if real == "bfloat16":
                with np.errstate(all="ignore"):
                    keep = exact.astype(np.float32).astype(np.float64) == exact
                q, want = q[keep], want[keep]
            back = fewbit.dequantize(q.astype(codes if "4" not in codes else np.int8), codes, scale, zero_point, real)
            assert (fewbit.bits(back) == fewbit.bits(want)).all(), (scale, zero_point)


def run(op, inputs, output, opset=21, **attributes):
    """One node in onnxruntime, on one thread."""
    names = [f"i{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y"], **attributes)
    graph_inputs, feeds = [], {}
    initializers = []
    for name, (array, kind) in zip(names, inputs):
        if kind in (TensorProto.INT4, TensorProto.UINT4):
            initializers.append(helper.make_tensor(name, kind, array.shape, array.astype(np.int8).reshape(-1).tolist()))
            continue
        graph_inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        feeds[name] = array
    # Codes of 4 bits come back as bytes, which numpy has.
    nodes, last = [node], "y"
    if output in (TensorProto.INT4, TensorProto.UINT4):
        output = TensorProto.INT8 if output == TensorProto.INT4 else TensorProto.UINT8
        nodes.append(helper.make_node("Cast", ["y"], ["z"], to=output))
        last = "z"
    graph = helper.make_graph(nodes, "g", graph_inputs, [helper.make_tensor_value_info(last, output, None)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def code_array(values, codes):
    return np.asarray(values).astype(np.int8 if codes == "int4" else np.uint8 if codes == "uint4" else codes)


# What onnxruntime does with NaN is not defined, and not asked.
def numbers(seed, shape):
    x = fewbit.reals(seed, 20_000)
    x = x[np.isfinite(x) & (np.abs(x) < 1e30)]
    return np.resize(x, shape).astype(np.float32)


@pytest.mark.parametrize("codes", RANGES)
def test_onnxruntime_per_tensor_axis_and_block(codes):
    low, high = RANGES[codes]
    rng = np.random.default_rng(5)
    x = numbers(6, (6, 40, 24))
    cases = [
        (dict(), (), dict()),
        (dict(axis=1), (40,), dict(granularity=fewbit.PER_AXIS, axis=1)),
        (dict(axis=2), (24,), dict(granularity=fewbit.PER_AXIS, axis=2)),
        (dict(axis=1, block_size=8), (6, 5, 24), dict(granularity=fewbit.PER_BLOCK, axis=1, block=8)),
        (dict(axis=2, block_size=8), (6, 40, 3), dict(granularity=fewbit.PER_BLOCK, axis=2, block=8)),
    ]
    for attributes, shape, how in cases:
        scale = rng.uniform(0.01, 0.7, shape).astype(np.float32)
        zeros = rng.integers(low, high + 1, shape)
        zero = (code_array(zeros, codes), ONNX[codes])
        node_scale = (np.asarray(scale), TensorProto.FLOAT)
        want = run("QuantizeLinear", [(x, TensorProto.FLOAT), node_scale, zero], ONNX[codes], **attributes)
        got = fewbit.quantize(x, codes, scale, zeros, **how)
        assert (got == want).all(), attributes
        inputs = [(code_array(want, codes), ONNX[codes]), node_scale, zero]
        back = run("DequantizeLinear", inputs, TensorProto.FLOAT, **attributes)
        assert (fewbit.bits(fewbit.dequantize(got, codes, scale, zeros, **how)) == fewbit.bits(back)).all(), attributes


def test_onnxruntime_dynamic():
    rng = np.random.default_rng(7)
    for i in range(200):
        x = (rng.normal(0, 1, 257) * 10.0 ** rng.integers(-6, 6) + rng.normal()).astype(np.float32)
        if i % 3 == 0:
            x = np.abs(x)
        node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
        outputs = [
            helper.make_tensor_value_info("y", TensorProto.UINT8, None),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("z", TensorProto.UINT8, None),
        ]
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        y, s, z = session.run(None, {"x": x})
        q, scales, zeros = fewbit.quantize_dynamic(x, "uint8")
        assert fewbit.bits(scales)[0] == s.view(np.uint32) and zeros[0] == z
        assert (q == y).all()
