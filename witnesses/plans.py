"""Plans for the tests: linear layers and convolutions of libfewbit, on numpy arrays, and the same in int64 by numpy.

The structures are those of fewbit.h, field by field. Memory is the caller's, as in C: workspaces are aligned, and
filled with garbage before each run.
"""

import ctypes

import fewbit
import numpy as np
from fewbit import Error, _check, _lib, _pointer

S8, U8, S32, F32 = 16, 17, 24, 1
CODES, STATIC, PER_ROW, PER_TENSOR, REAL = 0, 1, 2, 3, 5
FORMS = {"int8": S8, "uint8": U8, "int32": S32, "float32": F32}


def _structure(name, fields):
    size, number, integer = ctypes.c_size_t, ctypes.c_float, ctypes.c_int32
    kinds = {"z": size, "f": number, "i": integer, "p": ctypes.c_void_p}
    made = [(field, kinds[kind] if isinstance(kind, str) else kind) for kind, field in fields]
    return type(name, (ctypes.Structure,), {"_fields_": made})


Params = _structure("Params", [("f", "scale"), ("i", "zero_point")])
Weights = _structure(
    "Weights",
    [
        ("p", "data"),
        ("i", "dtype"),
        ("i", "block"),
        ("p", "scales"),
        ("z", "scale_count"),
        ("p", "zero_points"),
        ("z", "zero_point_count"),
        ("p", "multipliers"),
        ("p", "shifts"),
        ("z", "multiplier_count"),
    ],
)
Input = _structure(
    "Input", [("i", name) for name in "mode dtype real scheme range reserved".split()] + [(Params, "params")]
)
Bias = _structure("Bias", [("p", "data"), ("i", "dtype"), ("i", "reserved")])
Residual = _structure("Residual", [("i", "present"), ("i", "dtype"), (Params, "params")])
Output = _structure(
    "Output",
    [
        ("i", "dtype"),
        ("i", "activation"),
        (Params, "params"),
        ("f", "alpha"),
        ("f", "beta"),
        ("i", "mode"),
        ("i", "table_dtype"),
        (Params, "table_params"),
        ("i", "quantization"),
        ("i", "rounding"),
        ("i", "scheme"),
        ("i", "range"),
    ],
)
LAST = [(Input, "input"), (Bias, "bias"), (Residual, "residual"), (Output, "output"), ("p", "allocator")]
LinearDesc = _structure(
    "LinearDesc",
    [
        ("z", "struct_size"),
        ("z", "in_features"),
        ("z", "out_features"),
        (Weights, "weights"),
        ("i", "weight_layout"),
        ("i", "arithmetic"),
        ("z", "weight_stride"),
    ]
    + LAST
    + [("z", "matrices"), ("z", "matrix_stride"), ("p", "weight_block_scales")],
)
Axis = _structure("Axis", [("z", name) for name in "size kernel stride dilation pad_begin pad_end".split()])
ConvDesc = _structure(
    "ConvDesc",
    [
        ("z", "struct_size"),
        ("z", "spatial"),
        (Axis * 3, "axes"),
        ("z", "in_channels"),
        ("z", "out_channels"),
        ("z", "groups"),
        ("i", "layout"),
        ("i", "filter_layout"),
        (Weights, "weights"),
    ]
    + LAST,
)


class Operands:
    """What linear layers and convolutions share. `x_params`: the input's scale and zero point, or None for numbers that
    are quantized to u8 in the run, as DynamicQuantizeLinear does it; `y_params`: those of 8-bit outputs."""

    def __init__(self, w, x_form, y_form, x_params, w_scale=1.0, w_zero=0, bias=None, y_params=None):
        self.w = np.ascontiguousarray(w)
        self.scales = np.ascontiguousarray(w_scale, np.float32).reshape(-1)
        self.zeros = np.ascontiguousarray(np.asarray(w_zero).astype(np.int32)).reshape(-1)
        self.bias = None if bias is None else np.ascontiguousarray(bias)
        self.x_form, self.y_form = np.dtype(x_form).name, np.dtype(y_form).name
        self.x_params, self.y_params = x_params, y_params
        self.finish = None  # a function that changes the description, for what else there is

    def fill(self, desc, dynamic):
        desc.struct_size = ctypes.sizeof(desc)
        desc.weights = Weights(
            _pointer(self.w),
            FORMS[self.w.dtype.name],
            0,
            _pointer(self.scales),
            self.scales.size,
            _pointer(self.zeros),
            self.zeros.size,
        )
        neutral = Params(1.0, 0)
        if self.x_params is None:
            desc.input = Input(dynamic, U8, F32, fewbit.AFFINE, 0, 0, neutral)
        else:
            desc.input = Input(CODES, FORMS[self.x_form], F32, 0, 0, 0, Params(*self.x_params))
        if self.bias is not None:
            desc.bias = Bias(_pointer(self.bias), FORMS[self.bias.dtype.name], 0)
        y_params = neutral if self.y_params is None else Params(*self.y_params)
        desc.output = Output(FORMS[self.y_form], 0, y_params, 0.0, 0.0, 0, S8, neutral)
        if self.finish is not None:
            self.finish(desc)
        return desc


def _workspace(function, handle, count):
    size, align = ctypes.c_size_t(), ctypes.c_size_t()
    error = Error()
    status = function(
        handle, ctypes.c_size_t(count), ctypes.c_size_t(1), ctypes.byref(size), ctypes.byref(align), ctypes.byref(error)
    )
    _check(status, error)
    memory = np.full(size.value + align.value, 0xA5, np.uint8)
    begin = -memory.ctypes.data % align.value
    return memory[begin : begin + size.value]


def linear(x, operands, dynamic=PER_TENSOR):
    """x [M, K] times weights [K, N], as ONNX has them."""
    k, n = operands.w.shape
    desc = operands.fill(LinearDesc(in_features=k, out_features=n, weight_layout=1), dynamic)
    return _run_linear(desc, x, operands.y_form)


def real_linear(x, w, y_form, bias=None):
    """x [M, K] times weights [K, N], all of them f32, f16 or bf16."""
    k, n = w.shape
    w, neutral = np.ascontiguousarray(w), Params(1.0, 0)
    desc = LinearDesc(ctypes.sizeof(LinearDesc), k, n, weight_layout=1)
    desc.weights = Weights(_pointer(w), fewbit.REALS[w.dtype.name])
    desc.input = Input(REAL, S8, fewbit.REALS[x.dtype.name], 0, 0, 0, neutral)
    if bias is not None:
        desc.bias = Bias(_pointer(bias), F32, 0)
    desc.output = Output(fewbit.REALS[np.dtype(y_form).name], 0, neutral, 0.0, 0.0, 0, S8, neutral)
    return _run_linear(desc, x, y_form)


def block_linear(x, kind, blocks, n):
    """f32 x [M, K] times n rows of GGUF blocks of a kind, as they are in a file."""
    blocks, neutral = np.ascontiguousarray(blocks), Params(1.0, 0)
    desc = LinearDesc(ctypes.sizeof(LinearDesc), x.shape[1], n)
    desc.weights = Weights(_pointer(blocks), 256 + {**fewbit.GGUF, **fewbit.GGUF_K}[kind])
    desc.input = Input(REAL, S8, F32, 0, 0, 0, neutral)
    desc.output = Output(F32, 0, neutral, 0.0, 0.0, 0, S8, neutral)
    return _run_linear(desc, x, np.float32)


def few_linear(x, q, codes, scales, zeros=None, block=0):
    """x [M, K] f32, which the run quantizes to s8 by row, times codes [N, K] of a format; scales, and zero points if any,
    [N], or with a block [N, blocks]. f32 out."""
    n, k = q.shape
    per_byte = 8 // fewbit._bits(codes)
    packed = fewbit._pack(q, codes)
    scales = np.ascontiguousarray(scales, np.float32).reshape(-1)
    desc = LinearDesc(ctypes.sizeof(LinearDesc), k, n, weight_layout=0, weight_stride=-(-k // per_byte) * per_byte)
    desc.weights = Weights(_pointer(packed), fewbit.DTYPES[codes], block, _pointer(scales), scales.size)
    if zeros is not None:
        zeros = np.ascontiguousarray(zeros, np.int32).reshape(-1)
        desc.weights.zero_points, desc.weights.zero_point_count = _pointer(zeros), zeros.size
    desc.input = Input(PER_ROW, S8, F32, fewbit.SYMMETRIC, 0, 0, Params(1.0, 0))
    desc.output = Output(F32, 0, Params(1.0, 0), 0.0, 0.0, 0, S8, Params(1.0, 0))
    return _run_linear(desc, x, "float32")


def _run_linear(desc, x, y_form):
    k, n = desc.in_features, desc.out_features
    handle, error = ctypes.c_void_p(), Error()
    _check(_lib.fewbit_linear_create(ctypes.byref(desc), ctypes.byref(handle), ctypes.byref(error)), error)
    try:
        x, rows = np.ascontiguousarray(x), x.shape[0]
        y, memory = np.zeros((rows, n), y_form), _workspace(_lib.fewbit_linear_workspace, handle, rows)
        sizes = [ctypes.c_size_t(size) for size in (rows, k, memory.size, n)]
        status = _lib.fewbit_linear_run(
            handle,
            sizes[0],
            _pointer(x),
            sizes[1],
            _pointer(memory),
            sizes[2],
            None,
            _pointer(y),
            sizes[3],
            ctypes.byref(error),
        )
        _check(status, error)
        return y
    finally:
        _lib.fewbit_linear_destroy(handle)


def conv(x, operands, strides, pads, dilations, group, output_padding=None, channels_last=False):
    """x [N, C, spatial...] under weights [O, C / group, spatial...], as ONNX has them; pads: all begins, then all ends. With an
    output padding the convolution is transposed, and weights are [C, O / group, spatial...]. `channels_last`: the plan's images
    have them last."""
    spatial, size = x.ndim - 2, x.shape[2:]
    transposed = output_padding is not None
    outputs = operands.w.shape[1] * group if transposed else operands.w.shape[0]
    desc = ConvDesc(
        spatial=spatial,
        in_channels=x.shape[1],
        out_channels=outputs,
        groups=group,
        layout=0 if channels_last else 1,
        filter_layout=3 if transposed else 1,
    )
    for i in range(spatial):
        desc.axes[i] = Axis(size[i], operands.w.shape[2 + i], strides[i], dilations[i], pads[i], pads[spatial + i])
    operands.fill(desc, PER_TENSOR)
    handle, error = ctypes.c_void_p(), Error()
    if transposed:
        padding = (ctypes.c_size_t * spatial)(*output_padding)
        status = _lib.fewbit_conv_create_transposed(
            ctypes.byref(desc), padding, ctypes.byref(handle), ctypes.byref(error)
        )
    else:
        status = _lib.fewbit_conv_create(ctypes.byref(desc), ctypes.byref(handle), ctypes.byref(error))
    _check(status, error)
    try:
        dims = (ctypes.c_size_t * 3)()
        _check(_lib.fewbit_conv_info(handle, dims, None, None, None, ctypes.c_size_t(0), None, None, None))
        images, size = x.shape[0], dims[3 - spatial :]
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1) if channels_last else x)
        y = np.zeros((images, *size, outputs) if channels_last else (images, outputs, *size), operands.y_form)
        memory = _workspace(_lib.fewbit_conv_workspace, handle, images)
        status = _lib.fewbit_conv_run(
            handle,
            ctypes.c_size_t(images),
            _pointer(x),
            None,
            _pointer(memory),
            ctypes.c_size_t(memory.size),
            None,
            _pointer(y),
            ctypes.byref(error),
        )
        _check(status, error)
        return np.moveaxis(y, -1, 1) if channels_last else y
    finally:
        _lib.fewbit_conv_destroy(handle)


def exact_conv(x, w, x_zero, w_zero, strides, pads, dilations, group):
    """The sums of a convolution in int64; padding is real 0, the code x_zero. w_zero: a code, or one a channel."""
    spatial = x.ndim - 2
    borders = [(0, 0), (0, 0)] + [(pads[i], pads[spatial + i]) for i in range(spatial)]
    x = np.pad(x.astype(np.int64) - x_zero, borders)
    w = w.astype(np.int64) - np.reshape(w_zero, (-1,) + (1,) * (w.ndim - 1))
    kernel = w.shape[2:]
    out = [(x.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(spatial)]
    inputs, outputs = w.shape[1], w.shape[0] // group
    y = np.zeros((x.shape[0], w.shape[0], *out), np.int64)
    for tap in np.ndindex(*kernel):
        begin = [tap[i] * dilations[i] for i in range(spatial)]
        under = x[(...,) + tuple(slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(begin, out, strides))]
        for g in range(group):
            part = w[(slice(g * outputs, (g + 1) * outputs), slice(None)) + tap]
            y[:, g * outputs : (g + 1) * outputs] += np.einsum(
                "ni...,oi->no...", under[:, g * inputs : (g + 1) * inputs], part
            )
    return y


def requantized(sums, x_scale, w_scale, y_scale, y_zero, form):
    """Sums as codes, in f32 operations; w_scale: a number, or an array that broadcasts against the sums."""
    multiplier = np.float32(x_scale) * np.asarray(w_scale, np.float32) / np.float32(y_scale)
    info = np.iinfo(form)
    q = np.rint(np.clip(sums.astype(np.float32) * multiplier, info.min - y_zero, info.max - y_zero))
    return (q.astype(np.int64) + y_zero).astype(form)
