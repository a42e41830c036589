"""libfewbit for the tests: the C functions that they call, on numpy arrays.

Wrappers add nothing to the library: they make descriptions, give pointers, and check the status. Codes of less than a
byte are unpacked here, with the packing order of docs/packing.md, and not by the library's own fewbit_unpack.
"""

import ctypes
import os

import ml_dtypes
import numpy as np

_lib = ctypes.CDLL(os.environ["FEWBIT_LIBRARY"])

F32, F16, BF16 = 1, 2, 3
DTYPES = {"int8": 16, "uint8": 17, "int16": 18, "int4": 19, "uint4": 20, "int2": 21, "u1": 22, "b1": 23}
REALS = {"float32": F32, "float16": F16, "bfloat16": BF16}
PER_TENSOR, PER_AXIS, PER_BLOCK = 0, 1, 2
AFFINE, SYMMETRIC = 0, 1
GGUF = {"Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8}
GGUF_K = {"Q4_K": 12, "Q5_K": 13, "Q6_K": 14}
MXFP8_E4M3, MXFP8_E5M2, MXFP4, MXINT8 = 1, 2, 3, 4


class Shape(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("rank", ctypes.c_size_t),
        ("dims", ctypes.c_size_t * 8),
        ("strides", ctypes.c_size_t * 8),
    ]


class Spec(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t)]
    _fields_ += [
        (name, ctypes.c_int32)
        for name in (
            "dtype scheme range power_of_two rounding quotient granularity real".split()
        )
    ]
    _fields_ += [(name, ctypes.c_size_t) for name in "axis block axis2 block2".split()]


class Error(ctypes.Structure):
    _fields_ = [
        ("status", ctypes.c_int32),
        ("argument", ctypes.c_char * 44),
        ("message", ctypes.c_char * 208),
    ]


def _pointer(array):
    assert array is None or array.flags.c_contiguous
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _shape(dims):
    dims = list(dims)
    return Shape(ctypes.sizeof(Shape), len(dims), (ctypes.c_size_t * 8)(*dims))


def _check(status, error=None):
    assert status == 0, (status, error.message if error is not None else "")


def spec(codes, real="float32", granularity=PER_TENSOR, axis=0, block=0, scheme=AFFINE):
    return Spec(
        ctypes.sizeof(Spec), DTYPES[codes], scheme, 0, 0, 0, 0, granularity, REALS[real], axis, block, 0, 0
    )


def _params(scale, zero_point):
    scale = np.ascontiguousarray(scale, np.float32).reshape(-1)
    zeros = None
    if zero_point is not None:
        zeros = np.ascontiguousarray(np.asarray(zero_point).astype(np.int32)).reshape(-1)
    return scale, zeros


def _bits(codes):
    return {"int4": 4, "uint4": 4, "int2": 2, "u1": 1, "b1": 1}.get(codes, 8)


def _packed(dims, codes):
    """A buffer for codes of a shape: rows of less than a byte's codes begin on a byte."""
    bits = _bits(codes)
    if bits == 8:
        return np.zeros(dims, codes)
    dims = list(dims) or [1]
    return np.zeros(dims[:-1] + [-(-dims[-1] * bits // 8)], np.uint8)


def _unpack(packed, dims, codes):
    bits = _bits(codes)
    if bits == 8:
        return packed
    fields = [packed >> shift & ((1 << bits) - 1) for shift in range(0, 8, bits)]
    wide = np.stack(fields, -1).reshape(packed.shape[:-1] + (-1,)).astype(np.int8)
    wide = wide[..., : dims[-1] if dims else 1]
    if codes.startswith("int"):
        wide = np.where(wide >= 1 << (bits - 1), wide - (1 << bits), wide)
    return wide.reshape(dims).astype(np.int8)


def _pack(q, codes):
    bits = _bits(codes)
    if bits == 8:
        return np.ascontiguousarray(q)
    if codes == "b1":
        q = q > 0
    packed = _packed(q.shape, codes)
    per_byte = 8 // bits
    wide = np.zeros(packed.shape + (per_byte,), np.uint8)
    flat = wide.reshape(packed.shape[:-1] + (-1,))
    flat[..., : q.shape[-1]] = q.astype(np.int8).view(np.uint8) & ((1 << bits) - 1)
    for slot in range(per_byte):
        packed |= wide[..., slot] << (slot * bits)
    return packed


def quantize(x, codes, scale, zero_point=None, **how):
    x = np.ascontiguousarray(x)
    q, description = _packed(x.shape, codes), spec(codes, x.dtype.name, **how)
    scale, zeros = _params(scale, zero_point)
    shape, error = _shape(x.shape), Error()
    status = _lib.fewbit_quantize(
        _pointer(x), ctypes.byref(shape), ctypes.byref(description), _pointer(scale), _pointer(zeros),
        ctypes.c_size_t(scale.size), None, _pointer(q), ctypes.byref(shape), ctypes.byref(error),
    )
    _check(status, error)
    return _unpack(q, x.shape, codes)


def dequantize(q, codes, scale, zero_point=None, real="float32", **how):
    dims = q.shape
    q, x = _pack(q, codes), np.zeros(dims, real)
    description = spec(codes, real, **how)
    scale, zeros = _params(scale, zero_point)
    shape, error = _shape(dims), Error()
    status = _lib.fewbit_dequantize(
        _pointer(q), ctypes.byref(shape), ctypes.byref(description), _pointer(scale), _pointer(zeros),
        ctypes.c_size_t(scale.size), None, _pointer(x), ctypes.byref(shape), ctypes.byref(error),
    )
    _check(status, error)
    return x


def quantize_dynamic(x, codes, count=1, **how):
    """Codes, scales, zero points."""
    x = np.ascontiguousarray(x)
    q, description = _packed(x.shape, codes), spec(codes, x.dtype.name, **how)
    scales, zeros = np.zeros(count, np.float32), np.zeros(count, np.int32)
    shape, error = _shape(x.shape), Error()
    status = _lib.fewbit_quantize_dynamic(
        _pointer(x), ctypes.byref(shape), ctypes.byref(description), _pointer(scales), _pointer(zeros),
        ctypes.c_size_t(count), None, _pointer(q), ctypes.byref(shape), ctypes.byref(error),
    )
    _check(status, error)
    return _unpack(q, x.shape, codes), scales, zeros


_FORMATS = {
    "float32": ("f32", np.float32),
    "float16": ("f16", np.float16),
    "bfloat16": ("bf16", ml_dtypes.bfloat16),
    "float8_e4m3fn": ("f8e4m3fn", ml_dtypes.float8_e4m3fn),
    "float8_e5m2": ("f8e5m2", ml_dtypes.float8_e5m2),
}


def convert(x, to, saturate=True):
    """Between f32 and a narrower format; between two others by way of f32, which holds both."""
    x = np.ascontiguousarray(x)
    source, target = x.dtype.name, np.dtype(to).name
    if "float32" not in (source, target):
        return convert(convert(x, np.float32), to, saturate)
    y = np.zeros(x.shape, _FORMATS[target][1])
    function = getattr(_lib, f"fewbit_convert_{_FORMATS[source][0]}_{_FORMATS[target][0]}")
    flags = [ctypes.c_int32(saturate)] if "float8" in target else []
    _check(function(_pointer(x), ctypes.c_size_t(x.size), *flags, _pointer(y)))
    return y


def gguf_quantize(kind, x):
    x, size = np.ascontiguousarray(x, np.float32), ctypes.c_size_t()
    form = ctypes.c_int32(GGUF[kind])
    _check(_lib.fewbit_gguf_size(form, ctypes.c_size_t(x.size), ctypes.byref(size)))
    blocks = np.zeros(size.value, np.uint8)
    _check(_lib.fewbit_gguf_quantize(form, _pointer(x), ctypes.c_size_t(x.size), _pointer(blocks)))
    return blocks


def gguf_dequantize(kind, blocks, n):
    blocks, x = np.ascontiguousarray(blocks), np.zeros(n, np.float32)
    form = ctypes.c_int32({**GGUF, **GGUF_K}[kind])
    _check(_lib.fewbit_gguf_dequantize(form, _pointer(blocks), ctypes.c_size_t(n), _pointer(x)))
    return x


def gguf_unpack(kind, blocks, shape):
    """Codes [N, K], scales and zero points [N, K / 32] of rows of blocks."""
    blocks, n = np.ascontiguousarray(blocks), int(np.prod(shape))
    codes = "int4" if kind == "Q4_0" else "int8"
    q = _packed(shape, codes)
    scales, zeros = np.zeros(n // 32, np.float32), np.zeros(n // 32, np.int32)
    status = _lib.fewbit_gguf_unpack(
        ctypes.c_int32(GGUF[kind]), _pointer(blocks), ctypes.c_size_t(n), _pointer(q), _pointer(scales), _pointer(zeros)
    )
    _check(status)
    return _unpack(q, shape, codes), codes, scales, zeros


def mx_quantize(form, x):
    """Scales and elements, as bytes."""
    x = np.ascontiguousarray(x, np.float32)
    counts = ctypes.c_size_t(), ctypes.c_size_t()
    form, n = ctypes.c_int32(form), ctypes.c_size_t(x.size)
    _check(_lib.fewbit_mx_size(form, n, ctypes.byref(counts[0]), ctypes.byref(counts[1])))
    scales, elements = (np.zeros(count.value, np.uint8) for count in counts)
    _check(_lib.fewbit_mx_quantize(form, _pointer(x), n, _pointer(scales), _pointer(elements)))
    return scales, elements


def mx_dequantize(form, scales, elements, n):
    x = np.zeros(n, np.float32)
    status = _lib.fewbit_mx_dequantize(
        ctypes.c_int32(form), _pointer(scales), _pointer(elements), ctypes.c_size_t(n), _pointer(x)
    )
    _check(status)
    return x


def nvfp4_quantize(x):
    """The tensor's scale, scales and elements, as bytes."""
    x = np.ascontiguousarray(x, np.float32)
    scale, n = ctypes.c_float(), ctypes.c_size_t(x.size)
    counts = ctypes.c_size_t(), ctypes.c_size_t()
    _check(_lib.fewbit_nvfp4_tensor_scale(ctypes.c_float(reduce("absmax", x)[0]), ctypes.byref(scale)))
    _check(_lib.fewbit_nvfp4_size(n, ctypes.byref(counts[0]), ctypes.byref(counts[1])))
    scales, elements = (np.zeros(count.value, np.uint8) for count in counts)
    _check(_lib.fewbit_nvfp4_quantize(scale, _pointer(x), n, _pointer(scales), _pointer(elements)))
    return np.float32(scale.value), scales, elements


def nvfp4_dequantize(scale, scales, elements, n):
    x = np.zeros(n, np.float32)
    status = _lib.fewbit_nvfp4_dequantize(
        ctypes.c_float(scale), _pointer(scales), _pointer(elements), ctypes.c_size_t(n), _pointer(x)
    )
    _check(status)
    return x


def reduce(name, x):
    """fewbit_min_max_f32 as two numbers, fewbit_absmax_f32 as one, and row sums of a matrix."""
    x = np.ascontiguousarray(x)
    if name == "min_max":
        y = np.zeros(2, np.float32)
        _check(_lib.fewbit_min_max_f32(_pointer(x), ctypes.c_size_t(x.size), _pointer(y[:1]), _pointer(y[1:])))
        return y
    if name == "absmax":
        y = np.zeros(1, np.float32)
        _check(_lib.fewbit_absmax_f32(_pointer(x), ctypes.c_size_t(x.size), _pointer(y)))
        return y
    rows, n = (ctypes.c_size_t(size) for size in x.shape)
    suffix = {"float32": "f32", "int8": "s8", "uint8": "u8"}[x.dtype.name]
    y = np.zeros(x.shape[0], np.float32 if suffix == "f32" else np.int32)
    _check(getattr(_lib, f"fewbit_row_sums_{suffix}")(_pointer(x), rows, n, n, _pointer(y)))
    return y


class Params(ctypes.Structure):
    _fields_ = [("scale", ctypes.c_float), ("zero_point", ctypes.c_int32)]


def rows(name, x, to="float32", x_params=None, y_params=None, gamma=None, beta=None, epsilon=None):
    """fewbit_softmax, fewbit_log_softmax, fewbit_layer_norm or fewbit_rms_norm along the last axis; an epsilon is given
    for the latter two. Parameters are those of codes."""
    types = {**REALS, **DTYPES}
    x, y, error = np.ascontiguousarray(x), np.zeros(x.shape, to), Error()
    shape = _shape(x.shape)
    x_params, y_params = (None if given is None else ctypes.byref(Params(*given)) for given in (x_params, y_params))
    norm = [] if epsilon is None else [_pointer(gamma), _pointer(beta), ctypes.c_float(epsilon)]
    status = getattr(_lib, f"fewbit_{name}")(
        _pointer(x), ctypes.byref(shape), ctypes.c_int32(types[x.dtype.name]), x_params, *norm, None,
        _pointer(y), ctypes.byref(shape), ctypes.c_int32(types[y.dtype.name]), y_params, ctypes.byref(error),
    )
    _check(status, error)
    return y


def bits(x):
    """The bits of numbers, for comparisons that see signs and payloads."""
    x = np.ascontiguousarray(x)
    return x.view({1: np.uint8, 2: np.uint16, 4: np.uint32}[x.dtype.itemsize])


def reals(seed, n=200_000):
    """f32 of all kinds: any bits, ordinary ones, ties of small steps, extremes."""
    rng = np.random.default_rng(seed)
    any_bits = rng.integers(0, 1 << 32, n, np.uint32).view(np.float32)
    steps = (rng.integers(-1200, 1200, n) * 0.25).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.996, 65520, 448, 464, 57344, 61440, 1e-45], np.float32)
    return np.concatenate([any_bits, rng.normal(0, 3, n).astype(np.float32), steps, special, -special])
