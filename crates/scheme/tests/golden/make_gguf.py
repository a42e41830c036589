"""Makes gguf.bin: numbers, and what the package gguf (0.19.0, numpy 2.4.6) makes of them.

    pip install gguf && python make_gguf.py

The file is little-endian: the number of blocks as u32; the numbers as f32; then for Q8_0, Q4_0, Q4_1,
Q5_0 and Q5_1 the blocks' bytes; then for the same formats the f32 that the package reads from them.
"""

import pathlib

import gguf
import numpy as np

TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def numbers():
    rng = np.random.default_rng(32)
    normal = rng.standard_normal((6, 32), dtype=np.float32)
    steps = np.arange(32, dtype=np.float32)
    blocks = [
        *normal * np.float32([1, 1e-3, 300, 1e6, 1e-6, 0.02])[:, None],
        # Ties: halves of a step of 1 under Q8_0 (amax 127), Q4_0 (8), Q5_0 (16), Q4_1 (15), Q5_1 (31).
        np.append(steps[:31] * 4 - 61.5, 127),
        np.append(-(steps[:31] - 15.5) / 2, -8),
        np.append(steps[:31] - 15.5, 16),
        np.append(steps[:31] / 2, 15),
        steps * 31 / 32 + 0.5,
        np.append(steps[:30] + 0.5, [0, 31]),
        # The extreme with either sign, either one first; zeros, of one sign.
        np.where(steps == 3, 5, np.where(steps == 20, -5, steps / 8)),
        np.where(steps == 3, -5, np.where(steps == 20, 5, steps / 8)),
        np.zeros(32),
        -np.zeros(32),
        np.where(steps % 5 == 0, 0, normal[0]),
        np.full(32, 7.25),
        np.full(32, -1e-3),
        # d is a subnormal f16, and 0 as f16.
        normal[1] * np.float32(1e-5),
        normal[2] * np.float32(1e-9),
        normal[3] * np.float32(1e-30),
        # d is near f16's largest number, and infinite as f16.
        normal[4] * np.float32(2e5),
        normal[5] * np.float32(1e9),
    ]
    return np.array(blocks, dtype=np.float32)


def main():
    x = numbers()
    types = [getattr(gguf.GGMLQuantizationType, name) for name in TYPES]
    with np.errstate(all="ignore"):
        blocks = [gguf.quants.quantize(x, t) for t in types]
        read = [gguf.quants.dequantize(b, t) for b, t in zip(blocks, types)]
    with open(pathlib.Path(__file__).with_name("gguf.bin"), "wb") as f:
        f.write(np.uint32(len(x)).astype("<u4").tobytes())
        f.write(x.astype("<f4").tobytes())
        f.writelines(b.tobytes() for b in blocks)
        f.writelines(r.astype("<f4").tobytes() for r in read)


main()
