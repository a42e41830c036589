"""onnxruntime for the peer bench: reads cases and orders on standard input, answers on standard output.

  case KIND FORM SHAPE... THREADS SCALES... and operands   -> the number of bytes of the result, and the result
  nbits M N K LEVEL BLOCK THREADS and operands             -> likewise: MatMulNBits of 4 bits
  half M N K THREADS and operands                          -> likewise: MatMul of f16
  hamming M N K and operands        -> likewise: NumKong's products of bits, if it is there
  time CALLS                        -> nanoseconds of a call

Where onnxruntime refuses a case, the answer is a line that is no number: why.

A model holds many equal nodes where one is short, and a call counts as that many: so a session's own overhead, some
microseconds of Python and of graph, does not hide the kernels.
"""

import os
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

KINDS = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
KINDS["float16"] = TensorProto.FLOAT16
MICROSOFT = "com.microsoft"
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def session(op, domain, x, order, constants, form, attributes, nodes, threads, level="ORT_DISABLE_ALL"):
    outputs = [f"y{i}" for i in range(nodes)]
    graph = helper.make_graph(
        [helper.make_node(op, order, [y], domain=domain, **attributes) for y in outputs],
        "g",
        [helper.make_tensor_value_info("x", KINDS[x.dtype.name], x.shape)],
        [helper.make_tensor_value_info(y, KINDS[form], None) for y in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    sets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Without a level, as equal nodes would be merged.
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Case:
    def __init__(self, words, read):
        kind, form, *numbers, threads = words[:-4]
        numbers, threads = [int(word) for word in numbers], int(threads)
        # A thread alone stays on a core, as fewbit's does on another.
        if CORES:
            os.sched_setaffinity(0, CORES if threads > 1 else {max(CORES)})
        x_scale, x_zero, y_scale, y_zero = (float(word) for word in words[-4:])
        xs, ys = np.float32(x_scale), np.float32(y_scale)
        xz, yz = np.uint8(x_zero), np.uint8(y_zero)
        attributes, domain, self.last = {}, "", False
        if form == "linear":
            m, n, k = numbers
            x = np.frombuffer(read(), np.float32 if kind in ("dynamic", "real") else np.uint8).reshape(m, k)
            w = np.ascontiguousarray(np.frombuffer(read(), np.float32 if kind == "real" else np.int8).reshape(n, k).T)
            operations = m * n * k
            op, result = {
                "s32": ("MatMulInteger", "int32"),
                "u8": ("QLinearMatMul", "uint8"),
                "f32": ("MatMulIntegerToFloat", "float32"),
                "dynamic": ("DynamicQuantizeMatMul", "float32"),
                "real": ("MatMul", "float32"),
            }[kind]
            domain = MICROSOFT if kind in ("f32", "dynamic") else ""
        else:
            size, inputs, outputs, kernel, stride, groups = numbers
            x = np.frombuffer(read(), np.float32 if kind == "real" else np.uint8).reshape(1, size, size, inputs)
            w = np.frombuffer(read(), np.float32 if kind == "real" else np.int8)
            w = w.reshape(outputs, kernel, kernel, inputs // groups)
            w = np.ascontiguousarray(w.transpose(0, 3, 1, 2))
            side = (size + kernel // 2 * 2 - kernel) // stride + 1
            operations = side * side * w.size
            attributes = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups)
            if kind == "u8":
                op, result, domain = "QLinearConv", "uint8", MICROSOFT
                attributes["channels_last"] = 1
            else:
                # Only NCHW: the transposition is not timed.
                op, result = ("Conv", "float32") if kind == "real" else ("ConvInteger", "int32")
                x, self.last = np.ascontiguousarray(x.transpose(0, 3, 1, 2)), True
        ws = np.frombuffer(read(), np.float32)
        zeros = np.zeros(ws.size, np.int8)
        order, constants = {
            "s32": (["x", "w", "xz"], dict(w=w, xz=xz)),
            "u8": ("x xs xz w ws wz ys yz".split(), dict(xs=xs, xz=xz, w=w, ws=ws, wz=zeros, ys=ys, yz=yz)),
            "f32": ("x w xs ws xz wz".split(), dict(w=w, xs=xs, ws=ws, xz=xz, wz=zeros)),
            "dynamic": (["x", "w", "ws", "wz"], dict(w=w, ws=ws, wz=zeros)),
            "real": (["x", "w"], dict(w=w)),
        }[kind]
        self.nodes = max(1, min(64, 4_000_000 // operations))
        self.open(session(op, domain, x, order, constants, result, attributes, self.nodes, threads), x, result)
        if kind == "real" and form == "conv":
            # Optimised, a convolution may take another layout and transpose around it: sometimes faster, sometimes not.
            plain, nodes, first = self.time(8), self.nodes, self.session
            self.nodes = 1
            other = session(op, domain, x, order, constants, result, attributes, 1, threads, "ORT_ENABLE_ALL")
            self.open(other, x, result)
            if self.time(8) > plain:
                self.nodes = nodes
                self.open(first, x, result)

    def open(self, session, x, result):
        self.session = session
        self.binding = self.session.io_binding()
        self.x = onnxruntime.OrtValue.ortvalue_from_numpy(x)
        self.binding.bind_ortvalue_input("x", self.x)
        shape = self.session.run(["y0"], {"x": x})[0].shape
        self.y = [onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, result)) for _ in range(self.nodes)]
        for i, y in enumerate(self.y):
            self.binding.bind_ortvalue_output(f"y{i}", y)

    def result(self):
        self.session.run_with_iobinding(self.binding)
        y = self.y[0].numpy()
        return np.ascontiguousarray(y.transpose(0, 2, 3, 1) if self.last else y).tobytes()

    def time(self, calls):
        runs = -(-calls // self.nodes)
        begin = time.perf_counter_ns()
        for _ in range(runs):
            self.session.run_with_iobinding(self.binding)
        return (time.perf_counter_ns() - begin) / (runs * self.nodes)


class Nbits(Case):
    """x f32; codes 0..15 with the zero point 8, blocks along K, two in a byte; scales f32."""

    def __init__(self, words, read):
        m, n, k, level, block, threads = (int(word) for word in words)
        x = np.frombuffer(read(), np.float32).reshape(m, k)
        w = np.frombuffer(read(), np.uint8).reshape(n, k // block, block // 2)
        scales = np.frombuffer(read(), np.float32)
        attributes = dict(K=k, N=n, bits=4, block_size=block, accuracy_level=level)
        self.nodes, self.last = 1, False
        order, constants = ["x", "w", "s"], dict(w=w, s=scales)
        self.open(session("MatMulNBits", MICROSOFT, x, order, constants, "float32", attributes, 1, threads), x, "float32")


class Half(Case):
    """x, weights [N, K] and results of f16."""

    def __init__(self, words, read):
        m, n, k, threads = (int(word) for word in words)
        x = np.frombuffer(read(), np.float16).reshape(m, k)
        w = np.ascontiguousarray(np.frombuffer(read(), np.float16).reshape(n, k).T)
        self.nodes, self.last = 1, False
        self.open(session("MatMul", "", x, ["x", "w"], dict(w=w), "float16", {}, 1, threads), x, "float16")


class Hamming:
    """Rows of K bits that are -1 and +1: NumKong's Hamming distances, of which K - 2 d is the product."""

    def __init__(self, words, read):
        import numkong

        m, n, self.k = (int(word) for word in words)
        self.x = np.frombuffer(read(), np.uint8).reshape(m, self.k // 8)
        w = np.frombuffer(read(), np.uint8).reshape(n, self.k // 8)
        self.w = numkong.hammings_pack(w, dtype="uint1")
        self.y = numkong.zeros((m, n), dtype="uint32")
        self.run = lambda: numkong.hammings_packed(self.x, self.w, out=self.y)

    def result(self):
        self.run()
        return (self.k - 2 * np.asarray(self.y).astype(np.int32)).astype(np.int32).tobytes()

    def time(self, calls):
        begin = time.perf_counter_ns()
        for _ in range(calls):
            self.run()
        return (time.perf_counter_ns() - begin) / calls


CASES = {"case": Case, "nbits": Nbits, "half": Half, "hamming": Hamming}


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def read():
        return source.read(int(source.readline()))

    def answer(line, data=b""):
        sink.write(f"{line}\n".encode() + data)
        sink.flush()

    answer(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    case = None
    for line in iter(source.readline, b""):
        words = line.decode().split()
        if words[0] in CASES:
            case = None
            operands = [read() for _ in range(2 if words[0] in ("half", "hamming") else 3)]
            try:
                case = CASES[words[0]](words[1:], iter(operands).__next__)
                y = case.result()
            except Exception as error:
                answer("none: " + " ".join(str(error).split()))
                continue
            answer(len(y), y)
        else:
            answer(case.time(int(words[1])))


main()
