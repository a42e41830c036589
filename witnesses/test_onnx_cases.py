"""Every operator test of QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, Cast and CastLike in the package
onnx: run through libfewbit, or listed with the reason."""

import fewbit
import numpy as np
import onnx.backend.test.loader
import pytest
from onnx import TensorProto, helper, numpy_helper

OPS = ("quantizelinear", "_cast")
CASES = {
    case.name: case
    for case in onnx.backend.test.loader.load_model_tests(kind="node")
    if any(op in case.name for op in OPS)
}
FLOATS = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")

# Types that fewbit does not have at all, or not where these tests want them.
LACKING = {
    "float64": "f64 is not a format of fewbit",
    "float8_e4m3fnuz": "the FNUZ formats are not those of the OCP",
    "float8_e5m2fnuz": "the FNUZ formats are not those of the OCP",
    "float8_e8m0fnu": "E8M0 is a format of scales, inside MX blocks",
    "float4_e2m1fn": "E2M1 exists inside MX blocks only",
    "uint16": "u16 codes do not exist",
    "uint2": "u2 codes do not exist",
}
INTEGERS = ("int4", "uint4", "int2", "uint2", "int8", "uint8")


def array(value):
    """Types that numpy lacks are stored as messages."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def arrays(case):
    [(inputs, outputs)] = case.data_sets
    return [array(a) for a in inputs], [array(a) for a in outputs]


def node(case):
    return case.model.graph.node[0]


def attributes(case):
    return {a.name: helper.get_attribute_value(a) for a in node(case).attribute}


def reason(case):
    """Why a case is not run; None if it is."""
    inputs, outputs = arrays(case)
    types = [a.dtype.name for a in inputs + outputs]
    for name in types:
        if name in LACKING:
            return LACKING[name]
    if case.name.endswith("_expanded"):
        return "the same data as the case without _expanded"
    if "_cast" in case.name:
        if any(name in INTEGERS for name in types):
            return "a cast from or to integers has no scale: it is no quantization"
        return None
    if any("float8" in name for name in types):
        return "fp8 codes have no scale in fewbit outside MX blocks"
    return None


RUN = [name for name, case in CASES.items() if reason(case) is None]
LISTED = {name: reason(case) for name, case in CASES.items() if reason(case)}


def how(case, x, scale):
    """Granularity as fewbit has it."""
    given = attributes(case)
    if scale.size == 1 and scale.ndim < 2:
        return {}
    axis = given.get("axis", 1) % x.ndim
    if given.get("block_size", 0):
        return dict(granularity=fewbit.PER_BLOCK, axis=axis, block=given["block_size"])
    return dict(granularity=fewbit.PER_AXIS, axis=axis)


@pytest.mark.parametrize("name", RUN)
def test_case(name):
    case = CASES[name]
    inputs, outputs = arrays(case)
    [want] = outputs[:1]
    if "_cast" in name:
        saturate = attributes(case).get("saturate", 1)
        got = fewbit.convert(inputs[0], want.dtype, bool(saturate))
        nan = np.isnan(want.astype(np.float32))
        assert (np.isnan(got.astype(np.float32)) == nan).all()
        assert ((fewbit.bits(got) == fewbit.bits(want)) | nan).all()
        return
    if "dynamic" in name:
        got, scales, zeros = fewbit.quantize_dynamic(inputs[0], "uint8")
        assert (got == want).all() and scales[0] == outputs[1] and zeros[0] == outputs[2]
        return
    zero_point = inputs[2] if len(inputs) > 2 else None
    scale = inputs[1].astype(np.float32)
    if "dequantize" in name:
        codes = inputs[0].dtype.name
        q = inputs[0].astype(np.int8) if "4" in codes or "int2" in codes else inputs[0]
        got = fewbit.dequantize(q, codes, scale, zero_point, want.dtype.name, **how(case, q, scale))
    else:
        got = fewbit.quantize(inputs[0], want.dtype.name, scale, zero_point, **how(case, inputs[0], scale))
        want = want.astype(np.int64)
    assert (got == want).all()


def test_the_list(capsys):
    """What is listed is known: a case that is new, or newly possible, changes these numbers."""
    with capsys.disabled():
        print()
        for name, why in sorted(LISTED.items()):
            print(f"not run: {name}: {why}")
        print(f"{len(RUN)} cases run, {len(LISTED)} listed")
    assert (len(RUN), len(LISTED)) == (50, 155)
