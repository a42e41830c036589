"""Pooling, sums, products and concatenations of codes by libfewbit, on numpy arrays. Images are NCHW or, with
`channels_last`, NHWC."""

import ctypes

import numpy as np
from fewbit import Error, _check, _lib, _pointer
from plans import FORMS, Axis, Params, _structure

PoolDesc = _structure(
    "PoolDesc",
    [("z", "struct_size"), ("z", "spatial"), (Axis * 3, "axes"), ("z", "channels")]
    + [("i", name) for name in "layout dtype ceil_mode count_include_pad average".split()]
    + [(Params, "x_params"), (Params, "y_params")],
)
BinaryDesc = _structure(
    "BinaryDesc",
    [("z", name) for name in "struct_size rows columns b_rows b_columns".split()]
    + [("i", "dtype"), ("i", "fixed_point")]
    + [(Params, name) for name in "a b y".split()]
    + [("i", "activation"), ("f", "alpha"), ("f", "beta")],
)
Piece = _structure("Piece", [("p", "x"), ("z", "len"), (Params, "params")])


def pool(
    name, x, kernel=None, strides=None, dilations=None, pads=None, ceil_mode=0, count_include_pad=0,
    x_params=(1.0, 0), y_params=(1.0, 0), codes=0, channels_last=0,
):
    """fewbit_<name>; the attributes are ONNX's."""
    x = np.ascontiguousarray(x)
    spatial = x.ndim - 2
    channels, sizes = (x.shape[-1], x.shape[1:-1]) if channels_last else (x.shape[1], x.shape[2:])
    ones = [1] * spatial
    pads = pads or [0] * (2 * spatial)
    numbers = [sizes, kernel or ones, strides or ones, dilations or ones, pads[:spatial], pads[spatial:]]
    axes = [Axis(*axis) for axis in zip(*numbers)]
    desc = PoolDesc(
        ctypes.sizeof(PoolDesc), spatial, (Axis * 3)(*axes), channels, 0 if channels_last else 1,
        FORMS[x.dtype.name], ceil_mode, count_include_pad, codes, Params(*x_params), Params(*y_params),
    )
    dims, error = (ctypes.c_size_t * 3)(), Error()
    _check(_lib.fewbit_pool_dims(ctypes.byref(desc), dims, None, None, ctypes.byref(error)), error)
    out = [1] * spatial if "global" in name else list(dims)[3 - spatial :]
    y = np.zeros([x.shape[0], *out, channels] if channels_last else [x.shape[0], channels, *out], x.dtype)
    status = getattr(_lib, f"fewbit_{name}")(
        ctypes.byref(desc), ctypes.c_size_t(x.shape[0]), _pointer(x), None, _pointer(y), ctypes.byref(error)
    )
    _check(status, error)
    return y


def binary(name, a, a_params, b, b_params, y_params, b_shape=None, fixed_point=0):
    """fewbit_add or fewbit_multiply; `b_shape` are rows and columns of b, otherwise as those of the matrix a."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    y, error = np.zeros_like(a), Error()
    desc = BinaryDesc(
        ctypes.sizeof(BinaryDesc), *a.shape, *(b_shape or a.shape), FORMS[a.dtype.name], fixed_point,
        Params(*a_params), Params(*b_params), Params(*y_params),
    )
    status = getattr(_lib, f"fewbit_{name}")(
        ctypes.byref(desc), _pointer(a), _pointer(b), None, _pointer(y), ctypes.byref(error)
    )
    _check(status, error)
    return y


def concat(pieces, axis, y_params):
    """`pieces`: arrays with their parameters."""
    arrays = [np.ascontiguousarray(x) for x, _ in pieces]
    shape = list(arrays[0].shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    y, error, to = np.zeros(shape, arrays[0].dtype), Error(), Params(*y_params)
    given = [Piece(x.ctypes.data, x.shape[axis], Params(*params)) for x, (_, params) in zip(arrays, pieces)]
    outer, inner = (int(np.prod(dims)) for dims in (shape[:axis], shape[axis + 1 :]))
    status = _lib.fewbit_concat(
        (Piece * len(given))(*given), ctypes.c_size_t(len(given)), ctypes.c_size_t(outer), ctypes.c_size_t(inner),
        ctypes.c_int32(FORMS[y.dtype.name]), ctypes.byref(to), None, _pointer(y), ctypes.byref(error),
    )
    _check(status, error)
    return y


