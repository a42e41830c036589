"""onnxruntime for the tests: small models, on one thread."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

KINDS = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
}


def model(nodes, inputs, constants, outputs, opset=21):
    """A session of nodes, as helper.make_node gives them. `inputs` and `constants`: arrays by name, the latter part of
    the model, as weights are (onnxruntime packs them beforehand); `outputs`: types by name. Nodes are not fused, so that
    each computes what its operator is defined as."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, KINDS[x.dtype.name], x.shape) for name, x in inputs.items()],
        [helper.make_tensor_value_info(name, KINDS[np.dtype(form).name], None) for name, form in outputs.items()],
        [numpy_helper.from_array(x, name) for name, x in constants.items()],
    )
    # ONNX's operators, and those that onnxruntime adds, quantized sums and averages among them.
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(nodes, inputs, constants, outputs, opset=21):
    """The outputs of a model."""
    return model(nodes, inputs, constants, outputs, opset).run(None, inputs)


def sums_saturate():
    """Whether this CPU lacks the instructions (VNNI, or Arm's dot product) with which onnxruntime's u8 by s8 products
    are exact. AVX2's vpmaddubsw adds two of them in 16 bits, which saturate."""
    with open("/proc/cpuinfo") as info:
        words = info.read().split()
    return "avx2" in words and not {"avx512_vnni", "avx_vnni"} & set(words)
