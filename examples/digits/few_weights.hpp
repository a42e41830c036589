// Weights in fewer than eight bits: the scales that lose least, and what calibration images say of the loss.
#pragma once

#include <fewbit.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "model.hpp"
#include "plans.hpp"

namespace digits {

// A layer's weights as a plan takes them: [out][k], rows on bytes.
struct FewWeights {
    int32_t dtype;
    std::size_t block;  // 0: a scale an output
    std::size_t stride;
    std::vector<uint8_t> data;
    std::vector<float> scales;  // of codes
};

inline std::size_t codes_per_byte(int32_t dtype) {
    switch (dtype) {
    case FEWBIT_S8: return 1;
    case FEWBIT_S4: return 2;
    case FEWBIT_S2: return 4;
    case FEWBIT_B1: return 8;
    default: throw std::runtime_error("not a format of weights that are codes");
    }
}

// The scale of which the codes of `n` weights have the least squared error. That of the largest magnitude, which leaves
// nothing outside, is as good with 8 bits; with few codes it is the many small weights that count. Of -1 and +1 it is the
// mean of the magnitudes.
//
// std::fma says which bits come out, whatever the compiler, as in the f32 network.
inline float best_scale(const float *w, std::size_t n, int32_t dtype) {
    double sum = 0;
    float largest = 0;
    for (std::size_t i = 0; i < n; i++) {
        sum += std::fabs(w[i]);
        largest = std::max(largest, std::fabs(w[i]));
    }
    if (largest == 0) return 1;
    if (dtype == FEWBIT_B1) return float(sum / double(n));
    if (dtype == FEWBIT_S8) return largest / 127;
    const float low = dtype == FEWBIT_S2 ? -2 : -8, high = -1 - low;
    float best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int step = 4; step <= 20; step++) {
        const float scale = largest * float(step) / (20 * high);
        double error = 0;
        for (std::size_t i = 0; i < n; i++) {
            const double off = std::fma(-scale, std::clamp(std::nearbyint(w[i] / scale), low, high), w[i]);
            error = std::fma(off, off, error);
        }
        if (error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}

inline FewWeights quantized(const Layer &layer, int32_t dtype, std::size_t block) {
    const std::size_t k = layer.weight.size() / layer.out, unit = codes_per_byte(dtype);
    const std::size_t row = (k + unit - 1) / unit, step = block == 0 ? k : block;
    FewWeights weights{dtype, block, row * unit, std::vector<uint8_t>(layer.out * row), {}};
    for (std::size_t o = 0; o < layer.out; o++)
        for (std::size_t i = 0; i < k; i += step)
            weights.scales.push_back(best_scale(&layer.weight[o * k + i], std::min(step, k - i), dtype));
    fewbit_shape shape = FEWBIT_SHAPE_INIT;
    shape.rank = 2;
    shape.dims[0] = layer.out;
    shape.dims[1] = k;
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    spec.dtype = dtype;
    spec.scheme = FEWBIT_SCHEME_SYMMETRIC;
    spec.granularity = FEWBIT_PER_BLOCK;
    spec.axis = 1;
    spec.block = step;
    fewbit_error error;
    check(fewbit_quantize(layer.weight.data(), &shape, &spec, weights.scales.data(), nullptr, weights.scales.size(),
                          nullptr, weights.data.data(), &shape, &error),
          error);
    return weights;
}

// Numbers of 16 bits, or f32.
inline FewWeights converted(const Layer &layer, int32_t dtype) {
    const std::size_t n = layer.weight.size(), size = dtype == FEWBIT_F32 ? 4 : 2;
    FewWeights weights{dtype, 0, n / layer.out, std::vector<uint8_t>(n * size), {}};
    uint16_t *halves = reinterpret_cast<uint16_t *>(weights.data.data());
    switch (dtype) {
    case FEWBIT_F16:
        check(fewbit_convert_f32_f16(layer.weight.data(), n, halves), "fewbit_convert_f32_f16");
        break;
    case FEWBIT_BF16:
        check(fewbit_convert_f32_bf16(layer.weight.data(), n, halves), "fewbit_convert_f32_bf16");
        break;
    default: std::copy_n(layer.weight.data(), n, reinterpret_cast<float *>(weights.data.data()));
    }
    return weights;
}

// Mends each output of a layer, y = factor * sum + bias, so that it is nearest to what the layer gives in f32: over `rows`
// outputs of calibration images, `sums` from codes without a bias and `want` in f32. The factor goes into the scales. What
// quantization moves every output by, as inputs behind a ReLU are all on one side, is gone then, and that is most of what
// is lost with few bits.
inline std::vector<float> mend(FewWeights &weights, std::size_t outputs, std::size_t rows, const float *sums,
                               const float *want) {
    std::vector<float> bias(outputs);
    const std::size_t blocks = weights.scales.size() / outputs;
    for (std::size_t o = 0; o < outputs; o++) {
        double x = 0, y = 0, xx = 0, xy = 0;
        for (std::size_t row = 0; row < rows; row++) {
            const double a = sums[row * outputs + o], b = want[row * outputs + o];
            x += a;
            y += b;
            xx = std::fma(a, a, xx);
            xy = std::fma(a, b, xy);
        }
        const double n = double(rows), above = std::fma(n, xy, -x * y), below = std::fma(n, xx, -x * x);
        double factor = below > 0 ? above / below : 1;
        if (!(factor > 0.1)) factor = 1;  // scales are positive, and none of these should be far from 1
        bias[o] = float(std::fma(-factor, x, y) / n);
        for (std::size_t block = 0; block < blocks; block++) weights.scales[o * blocks + block] *= float(factor);
    }
    return bias;
}

}  // namespace digits
