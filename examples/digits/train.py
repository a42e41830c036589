"""Trains the network of this example and writes model.safetensors and images.safetensors.

Needs numpy and scikit-learn (for the images only): pip install numpy scikit-learn
Everything is seeded; the files are committed, so neither the demo nor any test needs Python.
"""

import json
import os
import struct
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # sums in one order: the same weights again

import numpy as np
from sklearn.datasets import load_digits

SEED = 20240607
HELD_OUT = 500  # images that training never sees
CALIBRATION = 200  # training images that the engine may look at to choose activation ranges
EPOCHS = 60
BATCH = 32
RNG = np.random.default_rng(SEED)


class Conv:
    """3x3, stride 1, padding 1, NHWC, weights [out][3][3][in]; then batch normalisation and ReLU."""

    def __init__(self, inputs, outputs):
        deviation = np.sqrt(2 / (9 * inputs))
        self.weight = RNG.normal(0, deviation, (outputs, 9 * inputs)).astype(np.float32)
        self.gamma = np.ones(outputs, np.float32)
        self.beta = np.zeros(outputs, np.float32)
        self.mean = np.zeros(outputs, np.float32)
        self.variance = np.ones(outputs, np.float32)

    def parameters(self):
        return ["weight", "gamma", "beta"]

    def forward(self, x, training):
        n, h, w, c = x.shape
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        self.columns = np.stack(taps, axis=3).reshape(n * h * w, 9 * c)
        self.shape = x.shape
        y = self.columns @ self.weight.T
        if training:
            mean, variance = y.mean(0), y.var(0)
            self.mean += 0.05 * (mean - self.mean)
            self.variance += 0.05 * (variance - self.variance)
        else:
            mean, variance = self.mean, self.variance
        self.deviation = np.sqrt(variance + 1e-5)
        self.normal = (y - mean) / self.deviation
        out = np.maximum(self.gamma * self.normal + self.beta, 0)
        self.positive = out > 0
        return out.reshape(n, h, w, -1)

    def backward(self, dy):
        n, h, w, c = self.shape
        dy = dy.reshape(self.positive.shape) * self.positive
        self.d_gamma, self.d_beta = (dy * self.normal).sum(0), dy.sum(0)
        dy = self.gamma / self.deviation * (
            dy - dy.mean(0) - self.normal * (dy * self.normal).mean(0)
        )
        self.d_weight = dy.T @ self.columns
        d_taps = (dy @ self.weight).reshape(n, h, w, 9, c)
        d_padded = np.zeros((n, h + 2, w + 2, c), np.float32)
        for tap in range(9):
            i, j = divmod(tap, 3)
            d_padded[:, i : i + h, j : j + w] += d_taps[:, :, :, tap]
        return d_padded[:, 1:-1, 1:-1]

    def folded(self):
        """Weight and bias with the normalisation folded in, as an engine gets them."""
        factor = self.gamma / np.sqrt(self.variance + 1e-5)
        weight = (self.weight * factor[:, None]).reshape(len(factor), 3, 3, -1)
        return weight, self.beta - self.mean * factor


class Pool:
    """The largest of each 2x2 pixels."""

    def parameters(self):
        return []

    def forward(self, x, _training):
        n, h, w, c = x.shape
        self.blocks = x.reshape(n, h // 2, 2, w // 2, 2, c)
        self.largest = self.blocks.max((2, 4), keepdims=True)
        return self.largest[:, :, 0, :, 0]

    def backward(self, dy):
        chosen = self.blocks == self.largest
        share = dy[:, :, None, :, None] / chosen.sum((2, 4), keepdims=True)
        n, h, _, w, _, c = self.blocks.shape
        return (chosen * share).reshape(n, 2 * h, 2 * w, c).astype(np.float32)


class Linear:
    """Weights [out][in]; with ReLU unless it is the last."""

    def __init__(self, inputs, outputs, relu):
        deviation = np.sqrt(2 / inputs)
        self.weight = RNG.normal(0, deviation, (outputs, inputs)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)
        self.relu = relu

    def parameters(self):
        return ["weight", "bias"]

    def forward(self, x, _training):
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        y = self.x @ self.weight.T + self.bias
        self.positive = (y > 0) | (not self.relu)
        return y * self.positive

    def backward(self, dy):
        dy = dy * self.positive
        self.d_weight, self.d_bias = dy.T @ self.x, dy.sum(0)
        return (dy @ self.weight).reshape(self.shape)

    def folded(self):
        return self.weight, self.bias


class Adam:
    def __init__(self, layers):
        self.slots = [(layer, name) for layer in layers for name in layer.parameters()]
        self.first = [np.zeros_like(getattr(*slot)) for slot in self.slots]
        self.second = [np.zeros_like(getattr(*slot)) for slot in self.slots]
        self.steps = 0

    def step(self, rate):
        self.steps += 1
        for i, (layer, name) in enumerate(self.slots):
            value, gradient = getattr(layer, name), getattr(layer, "d_" + name)
            self.first[i] += 0.1 * (gradient - self.first[i])
            self.second[i] += 0.001 * (gradient**2 - self.second[i])
            first = self.first[i] / (1 - 0.9**self.steps)
            second = self.second[i] / (1 - 0.999**self.steps)
            decay = 0.02 * value if name == "weight" else 0
            value -= (rate * (first / (np.sqrt(second) + 1e-8) + decay)).astype(np.float32)


def forward(layers, x, training):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def accuracy(layers, x, labels):
    return 100 * np.mean(forward(layers, x, False).argmax(1) == labels)


def shifted(x):
    """Each image moved by up to one pixel each way."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = RNG.choice([0, 1, 2], (len(x), 2), p=[0.2, 0.6, 0.2])
    return np.stack([image[i : i + 8, j : j + 8] for image, (i, j) in zip(padded, moves)])


def train(x, labels):
    conv = [Conv(1, 20), Conv(20, 36), Conv(36, 48)]
    linear = [Linear(2 * 2 * 48, 64, True), Linear(64, 10, False)]
    layers = [conv[0], conv[1], Pool(), conv[2], Pool(), *linear]
    adam = Adam(layers)
    for epoch in range(EPOCHS):
        rate = 0.001 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = RNG.permutation(len(x))
        losses = []
        for start in range(0, len(x) - BATCH + 1, BATCH):
            index = order[start : start + BATCH]
            logits = forward(layers, shifted(x[index]), True)
            odds = np.exp(logits - logits.max(1, keepdims=True))
            odds /= odds.sum(1, keepdims=True)
            rows = np.arange(BATCH)
            losses.append(-np.log(odds[rows, labels[index]]).mean())
            odds[rows, labels[index]] -= 1
            gradient = odds / BATCH
            for layer in reversed(layers):
                gradient = layer.backward(gradient)
            adam.step(rate)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")
    names = ["conv1", "conv2", "conv3", "fc1", "fc2"]
    return layers, dict(zip(names, conv + linear))


def write_safetensors(path, tensors, about):
    """The format: 8 bytes length of the header, the header in JSON, the tensors' bytes."""
    header, body = {"__metadata__": {"about": about}}, b""
    for name, tensor in tensors.items():
        dtype = {"float32": "F32", "uint8": "U8"}[str(tensor.dtype)]
        data = np.ascontiguousarray(tensor).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    print(f"{path}: {8 + len(text) + len(body)} bytes")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    digits = load_digits()
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    # The last images in the order of the set, unshuffled: few by the hands that training has seen.
    training, held_out = slice(0, len(pixels) - HELD_OUT), slice(len(pixels) - HELD_OUT, None)
    x = (pixels / np.float32(16))[..., None].astype(np.float32)

    layers, named = train(x[training], labels[training])
    print(f"training accuracy {accuracy(layers, x[training], labels[training]):.2f} %")
    print(f"held-out accuracy {accuracy(layers, x[held_out], labels[held_out]):.2f} %")

    weights = {}
    for name, layer in named.items():
        weight, bias = layer.folded()
        weights[name + ".weight"], weights[name + ".bias"] = weight, bias
        largest = np.abs(weight.reshape(len(weight), -1)).max(1)
        print(f"{name}: largest weight of a channel {largest.min():.3f} to {largest.max():.3f}")
    write_safetensors(
        os.path.join(folder, "model.safetensors"), weights,
        "digits CNN, f32, normalisation folded; conv weights [out][3][3][in], linear [out][in]",
    )
    calibration = RNG.choice(training.stop, CALIBRATION, replace=False)
    write_safetensors(
        os.path.join(folder, "images.safetensors"),
        {
            "heldout.images": pixels[held_out],
            "heldout.labels": labels[held_out],
            "calibration.images": pixels[np.sort(calibration)],
        },
        "UCI Optical Recognition of Handwritten Digits (CC BY 4.0), 8x8 pixels of 0..16",
    )


if __name__ == "__main__":
    main()
