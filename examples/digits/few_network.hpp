// The network in 16 bits and in fewer than 8: every layer a linear plan of libfewbit, convolutions unfolded.
//
// Convolution plans take one scale a channel. A linear plan takes scales by block too, and a convolution is one on rows of the
// taps under each pixel, which an engine can lay out itself.
#pragma once

#include <fewbit.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "few_weights.hpp"
#include "model.hpp"
#include "plans.hpp"

namespace digits {

// A row of the table. Weights of 16 bits meet activations of the same type, multiplied as they are; codes meet activations
// that are quantized to s8 in the run, row by row.
struct FewFormat {
    const char *weights;      // as the table shows them
    const char *activations;  // as the table shows them
    int32_t dtype;            // of the weights
    std::size_t block;        // neighbouring weights of an output that share a scale; 0: all of them
    int32_t ends;             // the weights of the first layer and the last; those of 8 bits have a scale an output
    double most_lost;         // points of accuracy that a row may lose, or the engine fails
};

class FewNetwork {
public:
    // `calibration`: images that training had, as many as `calibrating`.
    FewNetwork(const std::vector<Layer> &layers, const FewFormat &format, const float *calibration,
               std::size_t calibrating, std::size_t images, std::size_t max_workers)
        : numbers(format.dtype == FEWBIT_F16 || format.dtype == FEWBIT_BF16), dtype(format.dtype),
          workers(max_workers), max_images(images), most_rows(std::max(images, calibrating)) {
        // Inputs of the layer at hand: those in f32, and those that the layers before it leave.
        std::vector<float> exact(calibration, calibration + calibrating * pixels), coarse = exact;
        std::size_t elements = pixels;
        for (const Layer &layer : layers) {
            const bool first = &layer == &layers.front(), last = &layer == &layers.back();
            elements = std::max(elements, layer.out_elements());
            if (numbers) {
                add(layer, converted(layer, dtype), layer.bias, layer.relu, last ? FEWBIT_F32 : dtype);
                continue;
            }
            const int32_t of = first || last ? format.ends : dtype;
            FewWeights weights = quantized(layer, of, of == FEWBIT_S8 ? 0 : format.block);
            const Stage in_f32 = make(layer, converted(layer, FEWBIT_F32), layer.bias.data(), false, FEWBIT_F32);
            const Stage sums = make(layer, weights, nullptr, false, FEWBIT_F32);
            std::vector<float> want(calibrating * layer.out_elements()), got = want;
            multiply(in_f32, exact.data(), calibrating, want.data(), nullptr);
            multiply(sums, coarse.data(), calibrating, got.data(), nullptr);
            const std::vector<float> bias =
                mend(weights, layer.out, want.size() / layer.out, got.data(), want.data());
            add(layer, weights, bias, layer.relu, FEWBIT_F32);
            if (last) break;
            for (float &y : want) y = y > 0 ? y : 0;
            multiply(stages.back(), coarse.data(), calibrating, got.data(), nullptr);
            exact = pooled(layer, want, calibrating);
            coarse = pooled(layer, got, calibrating);
        }
        for (auto &buffer : buffers) buffer.resize(images * elements);  // f32, or halves in its place
    }

    void run(const float *images, std::size_t count, float *logits,
             const fewbit_parallel_for *parallel_for = nullptr) {
        if (count > max_images) throw std::runtime_error("more images than the network was made for");
        const void *x = images;
        std::size_t next = 0;
        if (numbers) {
            uint16_t *halves = reinterpret_cast<uint16_t *>(buffers[next].data());
            check(dtype == FEWBIT_F16 ? fewbit_convert_f32_f16(images, count * pixels, halves)
                                      : fewbit_convert_f32_bf16(images, count * pixels, halves),
                  "fewbit_convert_f32_f16 or _bf16");
            x = halves;
            next ^= 1;
        }
        for (const Stage &stage : stages) {
            void *y = &stage == &stages.back() ? logits : buffers[next].data();
            multiply(stage, x, count, y, parallel_for);
            if (stage.pool) {
                void *to = buffers[next ^= 1].data();
                pool(stage, y, count, to);
                y = to;
            }
            x = y;
            next ^= 1;
        }
    }

    // What a file of this format holds: weights, scales, biases.
    std::size_t weight_bytes() const { return bytes; }

    // The kernels that the plans chose.
    const std::set<std::string> &kernels() const { return names; }

private:
    static constexpr std::size_t together = 8;  // images whose taps are unfolded at once: they stay in the caches

    struct Stage {
        std::unique_ptr<fewbit_linear, Destroy> linear;
        bool conv, pool;
        std::size_t side, in, out;  // pixels along an axis, channels
        std::size_t element;        // bytes of an input
        std::string kernel;
    };

    void add(const Layer &layer, const FewWeights &weights, const std::vector<float> &bias, bool relu,
             int32_t output) {
        stages.push_back(make(layer, weights, bias.data(), relu, output));
        bytes += weights.data.size() + 4 * (weights.scales.size() + bias.size());
        names.insert(stages.back().kernel);
    }

    Stage make(const Layer &layer, const FewWeights &weights, const float *bias, bool relu, int32_t output) {
        fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
        desc.in_features = layer.weight.size() / layer.out;
        desc.out_features = layer.out;
        desc.weights.data = weights.data.data();
        desc.weights.dtype = weights.dtype;
        desc.weight_stride = weights.stride;
        if (weights.scales.empty()) {
            desc.input.mode = FEWBIT_INPUT_REAL;
            desc.input.real = weights.dtype;
        } else {
            desc.weights.scales = weights.scales.data();
            desc.weights.scale_count = weights.scales.size();
            desc.weights.block = int32_t(weights.block);
            desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
            desc.input.scheme = FEWBIT_SCHEME_SYMMETRIC;
        }
        desc.bias.data = bias;
        desc.bias.dtype = FEWBIT_F32;
        desc.output.dtype = output;
        desc.output.activation = relu ? FEWBIT_ACTIVATION_RELU : FEWBIT_ACTIVATION_NONE;
        fewbit_error error;
        fewbit_linear *linear = nullptr;
        check(fewbit_linear_create(&desc, &linear, &error), error);
        Stage stage{nullptr, layer.conv, layer.pool, layer.side, layer.in, layer.out, numbers ? 2u : 4u, {}};
        stage.linear.reset(linear);
        char kernel[64];
        check(fewbit_linear_info(linear, kernel, sizeof kernel, nullptr, nullptr, &error), error);
        stage.kernel = kernel;

        // Rows of a call: the pixels of some images, or images.
        const std::size_t area = layer.side * layer.side;
        const std::size_t rows = layer.conv ? together * area : most_rows;
        std::size_t size = 0, align = 0;
        check(fewbit_linear_workspace(linear, rows, workers, &size, &align, &error), error);
        if (size > workspace.size) workspace = Workspace(size, align);
        if (layer.conv) unfolded.resize(std::max(unfolded.size(), rows * 9 * layer.in * stage.element));
        return stage;
    }

    // Runs a stage: a linear layer's rows are images, a convolution's are pixels, unfolded some images at a time.
    void multiply(const Stage &stage, const void *x, std::size_t images, void *y,
                  const fewbit_parallel_for *parallel_for) {
        const auto rows = [&](const void *from, std::size_t count, std::size_t k, void *to) {
            fewbit_error error;
            check(fewbit_linear_run(stage.linear.get(), count, from, k, workspace.get(), workspace.size, parallel_for,
                                    to, stage.out, &error),
                  error);
        };
        if (!stage.conv) return rows(x, images, stage.in, y);
        const std::size_t area = stage.side * stage.side, pixel = stage.in * stage.element;
        const uint8_t *from = static_cast<const uint8_t *>(x);
        uint8_t *to = static_cast<uint8_t *>(y);
        for (std::size_t image = 0; image < images; image += together) {
            const std::size_t some = std::min(together, images - image);
            for (std::size_t i = 0; i < some; i++)
                unfold(from + (image + i) * area * pixel, stage.side, pixel, &unfolded[i * area * 9 * pixel]);
            rows(unfolded.data(), some * area, 9 * stage.in, to + image * area * stage.out * stage.element);
        }
    }

    // Rows of the 3x3 taps under each pixel of an image, `pixel` bytes each; beyond the border they are 0, whose bytes
    // are 0 in every format.
    static void unfold(const uint8_t *image, std::size_t side, std::size_t pixel, uint8_t *rows) {
        std::memset(rows, 0, side * side * 9 * pixel);
        for (std::size_t i = 0; i < side; i++)
            for (std::size_t j = 0; j < side; j++)
                for (std::size_t tap = 0; tap < 3; tap++, rows += 3 * pixel) {
                    if (i + tap < 1 || i + tap > side) continue;
                    const std::size_t left = j == 0 ? 1 : 0, right = j + 1 == side ? 1 : 0;
                    std::memcpy(rows + left * pixel, image + ((i + tap - 1) * side + j + left - 1) * pixel,
                                (3 - left - right) * pixel);
                }
    }

    // Numbers of 16 bits behind a ReLU are not negative, so that they are in the order of their bits.
    void pool(const Stage &stage, const void *x, std::size_t images, void *y) const {
        if (numbers)
            max_pool(static_cast<const int16_t *>(x), images, stage.side, stage.out, static_cast<int16_t *>(y));
        else
            max_pool(static_cast<const float *>(x), images, stage.side, stage.out, static_cast<float *>(y));
    }

    static std::vector<float> pooled(const Layer &layer, const std::vector<float> &y, std::size_t images) {
        if (!layer.pool) return y;
        std::vector<float> to(y.size() / 4);
        max_pool(y.data(), images, layer.side, layer.out, to.data());
        return to;
    }

    bool numbers;  // of 16 bits, not codes
    int32_t dtype;
    std::size_t workers, max_images, most_rows, bytes = 0;
    std::vector<Stage> stages;
    std::vector<float> buffers[2];
    std::vector<uint8_t> unfolded;
    Workspace workspace{1, 1};  // as large as the layer that needs most
    std::set<std::string> names;
};

}  // namespace digits
