// The reference: the network in f32, in plain loops that a compiler can turn into vectors.
//
// std::fma and the order of the loops say which bits come out, whatever the compiler and the CPU, so the
// ranges that the int8 formats are calibrated with do not depend on them either.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "model.hpp"

namespace digits {

class F32Network {
public:
    explicit F32Network(const std::vector<Layer> &model) : layers(model) {
        for (const Layer &layer : layers) {
            const std::size_t k = layer.weight.size() / layer.out;
            const std::size_t tiles = (layer.out + lanes - 1) / lanes;
            std::vector<float> packed(tiles * k * lanes), bias(tiles * lanes);
            for (std::size_t o = 0; o < layer.out; o++) {
                bias[o] = layer.bias[o];
                for (std::size_t i = 0; i < k; i++)
                    packed[(o / lanes * k + i) * lanes + o % lanes] = layer.weight[o * k + i];
            }
            weights.push_back(std::move(packed));
            biases.push_back(std::move(bias));
        }
    }

    // `look(layer, x, count)` sees each layer's input.
    template <typename Look>
    void run(const float *images, std::size_t count, float *logits, Look look) {
        const float *x = images;
        for (std::size_t i = 0; i < layers.size(); i++) {
            const Layer &layer = layers[i];
            const bool last = i + 1 == layers.size();
            look(i, x, count * layer.in_elements());
            std::vector<float> &y = buffers[i % 2];
            y.resize(std::max(y.size(), count * layer.out_elements()));
            float *out = last ? logits : y.data();
            if (layer.conv) conv(i, x, count, out);
            else linear(i, x, count, out);
            if (layer.pool) {
                pooled.resize(std::max(pooled.size(), count * layer.out_elements() / 4));
                max_pool(out, count, layer.side, layer.out, pooled.data());
                std::swap(pooled, y);
                out = y.data();
            }
            x = out;
        }
    }

    void run(const float *images, std::size_t count, float *logits) {
        run(images, count, logits, [](std::size_t, const float *, std::size_t) {});
    }

    std::size_t weight_bytes() const {
        std::size_t bytes = 0;
        for (const Layer &layer : layers) bytes += 4 * (layer.weight.size() + layer.bias.size());
        return bytes;
    }

private:
    static constexpr std::size_t lanes = 16;  // outputs at once: a constant, so that they stay in registers

    // sums += x * w for 4 rows of x that share each load of w.
    static void four_rows(const float *x, std::size_t row, std::size_t length, const float *w,
                          float *sums) {
        float *__restrict y0 = sums, *__restrict y1 = sums + lanes, *__restrict y2 = sums + 2 * lanes,
                         *__restrict y3 = sums + 3 * lanes;
        for (std::size_t i = 0; i < length; i++, w += lanes) {
            const float x0 = x[i], x1 = x[row + i], x2 = x[2 * row + i], x3 = x[3 * row + i];
            for (std::size_t o = 0; o < lanes; o++) {
                y0[o] = std::fma(x0, w[o], y0[o]);
                y1[o] = std::fma(x1, w[o], y1[o]);
                y2[o] = std::fma(x2, w[o], y2[o]);
                y3[o] = std::fma(x3, w[o], y3[o]);
            }
        }
    }

    static void one_row(const float *x, std::size_t length, const float *w, float *__restrict sums) {
        for (std::size_t i = 0; i < length; i++, w += lanes)
            for (std::size_t o = 0; o < lanes; o++) sums[o] = std::fma(x[i], w[o], sums[o]);
    }

    // All outputs of `rows` rows of x, `row` apart, each made of `pieces` pieces, `piece` apart.
    void rows(std::size_t index, const float *x, std::size_t rows, std::size_t row, std::size_t pieces,
              std::size_t piece, float *y) const {
        const Layer &layer = layers[index];
        const std::size_t k = layer.weight.size() / layer.out, length = k / pieces;
        for (std::size_t begin = 0; begin < layer.out; begin += lanes) {
            const float *bias = &biases[index][begin];
            const std::size_t outputs = std::min(lanes, layer.out - begin);
            for (std::size_t r = 0; r < rows;) {
                const std::size_t at_once = r + 4 <= rows ? 4 : 1;
                float sums[4 * lanes];
                for (std::size_t i = 0; i < at_once; i++) std::copy_n(bias, lanes, sums + i * lanes);
                for (std::size_t p = 0; p < pieces; p++) {
                    const float *from = x + r * row + p * piece;
                    const float *w = &weights[index][begin * k + p * length * lanes];
                    if (at_once == 4) four_rows(from, row, length, w, sums);
                    else one_row(from, length, w, sums);
                }
                for (std::size_t i = 0; i < at_once; i++, r++)
                    for (std::size_t o = 0; o < outputs; o++) {
                        const float sum = sums[i * lanes + o];
                        y[r * layer.out + begin + o] = layer.relu && !(sum > 0) ? 0 : sum;
                    }
            }
        }
    }

    void linear(std::size_t index, const float *x, std::size_t images, float *y) const {
        const std::size_t k = layers[index].in;
        rows(index, x, images, k, 1, 0, y);
    }

    // In an image with a border of zeros, the 3 taps of a row are neighbours.
    void conv(std::size_t index, const float *x, std::size_t images, float *y) {
        const Layer &layer = layers[index];
        const std::size_t side = layer.side, in = layer.in, line = (side + 2) * in;
        padded.assign((side + 2) * line, 0);
        for (std::size_t image = 0; image < images; image++) {
            const float *from = x + image * layer.in_elements();
            for (std::size_t i = 0; i < side; i++)
                std::copy_n(from + i * side * in, side * in, &padded[(i + 1) * line + in]);
            float *to = y + image * layer.out_elements();
            for (std::size_t i = 0; i < side; i++)
                rows(index, &padded[i * line], side, in, 3, line, to + i * side * layer.out);
        }
    }

    const std::vector<Layer> &layers;
    std::vector<std::vector<float>> weights;  // [outputs / 16][inputs][16], filled up with 0
    std::vector<std::vector<float>> biases;
    std::vector<float> buffers[2], pooled, padded;
};

}  // namespace digits
