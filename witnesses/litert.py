"""TensorFlow Lite (LiteRT) for the tests: models of one operator, run by its reference kernels.

A model file is a flatbuffer, which the package's own schema writes. `BUILTIN_REF` makes the interpreter take the
reference kernels, plain loops in integers, and no delegate: what TensorFlow Lite's 8-bit operators are defined as.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

KINDS = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "int32": schema.TensorType.INT32}
ACTIVATIONS = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
    "relu_n1_to_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}


class Model:
    """Tensors are added in order; the first is the input, the last the output."""

    def __init__(self):
        self.tensors, self.buffers = [], [schema.BufferT()]

    def tensor(self, shape, form, scale, zero_point, axis=0, data=None):
        """A tensor of codes; scales are one, or one for each index of the axis."""
        tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
        scale = np.ascontiguousarray(scale, np.float32).reshape(-1)
        quantization.scale = scale
        quantization.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), scale.shape).copy()
        quantization.quantizedDimension = axis
        tensor.shape, tensor.type = np.array(shape, np.int32), KINDS[np.dtype(form).name]
        tensor.name, tensor.quantization = f"t{len(self.tensors)}".encode(), quantization
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)

    def run(self, operator, version, options_type, options, x):
        """The operator's output for the input, by the reference kernels."""
        code, op, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
        code.builtinCode = code.deprecatedBuiltinCode = operator
        code.version = version
        count = len(self.tensors)
        op.inputs, op.outputs = list(range(count - 1)), [count - 1]
        op.builtinOptionsType, op.builtinOptions = options_type, options
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, [op], [0], [count - 1]
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], self.buffers
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        interpreter = Interpreter(
            model_content=bytes(builder.Output()),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def fully_connected(activation):
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return schema.BuiltinOperator.FULLY_CONNECTED, 4, schema.BuiltinOptions.FullyConnectedOptions, options


def conv(activation, strides, dilations, same):
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = strides
    options.dilationHFactor, options.dilationWFactor = dilations
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return schema.BuiltinOperator.CONV_2D, 3, schema.BuiltinOptions.Conv2DOptions, options


def depthwise_conv(activation, strides, dilations, same, multiplier):
    options = schema.DepthwiseConv2DOptionsT()
    options.padding = schema.Padding.SAME if same else schema.Padding.VALID
    options.strideH, options.strideW = strides
    options.dilationHFactor, options.dilationWFactor = dilations
    options.depthMultiplier = multiplier
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3, schema.BuiltinOptions.DepthwiseConv2DOptions, options
