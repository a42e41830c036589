"""Makes gguf.bin and gguf_k.bin: numbers, and what the package gguf (0.19.0, numpy 2.4.6) makes of them.

    pip install gguf && python make_gguf.py

The file is little-endian: the number of blocks as u32; the numbers as f32; then for Q8_0, Q4_0, Q4_1,
Q5_0 and Q5_1 the blocks' bytes; then for the same formats the f32 that the package reads from them.
gguf_k.bin: the number of blocks as u32; then for Q4_K, Q5_K and Q6_K any bytes as blocks, and the f32 read from them.
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


def k_blocks(rng, name):
    """Any bytes, with f16 of ordinary size as scales but in the last two blocks: subnormal, infinite."""
    size = gguf.GGML_QUANT_SIZES[getattr(gguf.GGMLQuantizationType, name)][1]
    blocks = rng.integers(0, 256, (5, size), np.uint8)
    for at in [size - 2] if name == "Q6_K" else [0, 2]:
        heads = np.append(rng.standard_normal(3) * 0.02, [3e-6, np.inf]).astype("<f2")
        blocks[:, at : at + 2] = heads.view(np.uint8).reshape(5, 2)
    return blocks


def k_main():
    rng = np.random.default_rng(33)
    with open(pathlib.Path(__file__).with_name("gguf_k.bin"), "wb") as f:
        f.write(np.uint32(5).astype("<u4").tobytes())
        for name in ["Q4_K", "Q5_K", "Q6_K"]:
            blocks = k_blocks(rng, name)
            with np.errstate(all="ignore"):
                read = gguf.quants.dequantize(blocks, getattr(gguf.GGMLQuantizationType, name))
            f.write(blocks.tobytes())
            f.write(read.astype("<f4").tobytes())


main()
k_main()
