"""Float formats against numpy and ml_dtypes; sums and extremes against numpy."""

import fewbit
import ml_dtypes
import numpy as np
import pytest

NARROW = [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


def same(got, want):
    """Equal bits; any NaN equals any."""
    nan = np.isnan(want.astype(np.float32))
    assert (np.isnan(got.astype(np.float32)) == nan).all()
    assert ((fewbit.bits(got) == fewbit.bits(want)) | nan).all()


@pytest.mark.parametrize("form", NARROW, ids=lambda form: np.dtype(form).name)
def test_narrowing(form):
    x = fewbit.reals(1)
    with np.errstate(all="ignore"):
        want = x.astype(form)
    # Beyond the largest number both give infinity, or NaN where there is none. A NaN's payload is each one's choice.
    got = fewbit.convert(x, form, saturate=False)
    same(got, want)
    nan = np.isnan(x)
    assert (np.signbit(got[nan].astype(np.float32)) == np.signbit(x[nan])).all()


@pytest.mark.parametrize("form", NARROW, ids=lambda form: np.dtype(form).name)
def test_widening_every_code(form):
    size = np.dtype(form).itemsize
    codes = np.arange(1 << 8 * size, dtype={1: np.uint8, 2: np.uint16}[size]).view(form)
    same(fewbit.convert(codes, np.float32), codes.astype(np.float32))


def test_min_max_and_sums():
    x = fewbit.reals(2, 1000)
    numbers = x[~np.isnan(x)]
    assert (fewbit.reduce("min_max", x) == [numbers.min(), numbers.max()]).all()
    assert fewbit.reduce("absmax", x) == np.abs(numbers).max()
    rng = np.random.default_rng(3)
    for dtype in (np.int8, np.uint8):
        info = np.iinfo(dtype)
        q = rng.integers(info.min, info.max + 1, (7, 1001), dtype)
        assert (fewbit.reduce("row_sums", q) == q.sum(1, dtype=np.int64)).all()
    # f32 sums have an order of their own: docs/numerics.md, in numpy.
    x = rng.normal(0, 1, (3, 10_000)).astype(np.float32)
    for row, got in zip(x, fewbit.reduce("row_sums", x)):
        total = np.float32(0)
        for begin in range(0, row.size, 4096):
            block = np.zeros(4096, np.float32)
            part = row[begin : begin + 4096]
            block[: part.size] = part
            lanes = np.zeros(64, np.float32)
            for line in block.reshape(-1, 64):
                lanes += line
            half = 32
            while half:
                lanes = lanes[:half] + lanes[half : 2 * half]
                half //= 2
            total += lanes[0]
        assert got == total
