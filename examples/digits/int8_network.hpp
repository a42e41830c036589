// The network in 8 bits: weights quantized and packed once, every layer a plan of libfewbit.
#pragma once

#include <fewbit.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "model.hpp"
#include "plans.hpp"

namespace digits {

// A way to quantize: a row of the table.
struct Format {
    const char *weights;      // as the table shows them
    const char *activations;  // as the table shows them
    int32_t weight_dtype, weight_scheme, granularity;
    int32_t input_mode;  // FEWBIT_INPUT_STATIC or DYNAMIC_PER_ROW, or FEWBIT_INPUT_CODES: integers from image to logits
    int32_t input_dtype, input_scheme;
};

class Int8Network {
public:
    // `ranges` holds what each layer's input was seen to span; dynamic formats do not look at it.
    Int8Network(const std::vector<Layer> &layers, const Format &format,
                const std::vector<fewbit_min_max> &ranges, std::size_t images,
                std::size_t workers)
        : max_images(images) {
        const bool is_static = format.input_mode != FEWBIT_INPUT_DYNAMIC_PER_ROW;
        const bool integers = format.input_mode == FEWBIT_INPUT_CODES;
        std::size_t elements = 0, largest = 1, alignment = 1;
        for (std::size_t i = 0; i < layers.size(); i++) {
            const bool first = i == 0, last = i + 1 == layers.size();
            fewbit_input input = FEWBIT_INPUT_INIT;
            input.mode = format.input_mode;
            input.dtype = format.input_dtype;
            input.scheme = format.input_scheme;
            fewbit_output output = FEWBIT_OUTPUT_INIT;
            output.activation = layers[i].relu ? FEWBIT_ACTIVATION_RELU : FEWBIT_ACTIVATION_NONE;
            if (is_static) {
                // Between layers, activations stay codes; the first plan quantizes the image, or gets its codes.
                if (!first) input.mode = FEWBIT_INPUT_CODES;
                input.params = params(format, ranges[i]);
                if (first && integers) image_params = input.params;
                if (!last) {
                    output.dtype = format.input_dtype;
                    output.params = params(format, ranges[i + 1]);
                    // Sums to codes by an integer multiplier and a shift, instead of by an f32 product.
                    if (integers) output.quantization = FEWBIT_OUTPUT_FIXED_POINT;
                }
            }
            stages.push_back(plan(layers[i], format, input, output));

            std::size_t size = 0, align = 0;
            fewbit_error error;
            const Stage &stage = stages.back();
            check(stage.conv ? fewbit_conv_workspace(stage.conv.get(), images, workers, &size, &align,
                                                     &error)
                             : fewbit_linear_workspace(stage.linear.get(), images, workers, &size,
                                                       &align, &error),
                  error);
            largest = std::max(largest, size);
            alignment = std::max(alignment, align);
            elements = std::max(elements, layers[i].out_elements());
        }
        for (auto &buffer : buffers) buffer.resize(images * elements);  // f32, or codes in its place
        if (integers) image_codes.resize(images * layers[0].in_elements());
        workspace = Workspace(largest, alignment);
    }

    void run(const float *images, std::size_t count, float *logits,
             const fewbit_parallel_for *parallel_for = nullptr) {
        if (count > max_images) throw std::runtime_error("more images than the network was made for");
        const void *x = images;
        if (!image_codes.empty()) {
            // The only step from numbers to codes; the last plan's is the only one back.
            check(fewbit_quantize_f32_s8(images, count * pixels, &image_params, image_codes.data()),
                  "fewbit_quantize_f32_s8");
            x = image_codes.data();
        }
        std::size_t next = 0;
        for (const Stage &stage : stages) {
            void *y = &stage == &stages.back() ? logits : buffers[next].data();
            fewbit_error error;
            check(stage.conv ? fewbit_conv_run(stage.conv.get(), count, x, NULL, workspace.get(),
                                               workspace.size, parallel_for, y, &error)
                             : fewbit_linear_run(stage.linear.get(), count, x, stage.in, workspace.get(),
                                                 workspace.size, parallel_for, y, stage.out, &error),
                  error);
            if (stage.pool) {
                x = y;
                next ^= 1;
                y = buffers[next].data();
                pool(stage, x, count, y);
            }
            x = y;
            next ^= 1;
        }
    }

    // What a file of this format holds: codes, scales, zero points, biases.
    std::size_t weight_bytes() const { return bytes; }

    // The kernels that the plans chose.
    const std::set<std::string> &kernels() const { return names; }

private:
    struct Stage {
        std::unique_ptr<fewbit_conv, Destroy> conv;  // one of the two
        std::unique_ptr<fewbit_linear, Destroy> linear;
        bool pool;
        std::size_t side, in, out;
        int32_t output_dtype;
    };

    static fewbit_quant_params params(const Format &format, const fewbit_min_max &range) {
        fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
        spec.dtype = format.input_dtype;
        spec.scheme = format.input_scheme;
        fewbit_quant_params params;
        fewbit_error error;
        check(fewbit_params_from_range(range.min, range.max, &spec, &params, &error), error);
        return params;
    }

    Stage plan(const Layer &layer, const Format &format, const fewbit_input &input,
               const fewbit_output &output) {
        fewbit_error error;

        // Weights: [out][everything else], so per channel is per axis 0.
        fewbit_shape shape = FEWBIT_SHAPE_INIT;
        shape.rank = 2;
        shape.dims[0] = layer.out;
        shape.dims[1] = layer.weight.size() / layer.out;
        fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
        spec.dtype = format.weight_dtype;
        spec.scheme = format.weight_scheme;
        spec.granularity = format.granularity;
        std::size_t count = 0;
        check(fewbit_param_count(&shape, &spec, &count, &error), error);
        std::vector<float> scales(count);
        std::vector<int32_t> zero_points(count);
        std::vector<int8_t> codes(layer.weight.size());  // u8 codes too: a byte each
        check(fewbit_choose_params(layer.weight.data(), &shape, &spec, scales.data(), zero_points.data(),
                                   count, &error), error);
        check(fewbit_quantize(layer.weight.data(), &shape, &spec, scales.data(), zero_points.data(),
                              count, nullptr, codes.data(), &shape, &error), error);

        fewbit_weights weights = FEWBIT_WEIGHTS_INIT;
        weights.data = codes.data();
        weights.dtype = format.weight_dtype;
        weights.scales = scales.data();
        weights.scale_count = count;
        if (format.weight_scheme == FEWBIT_SCHEME_AFFINE) {
            weights.zero_points = zero_points.data();
            weights.zero_point_count = count;
        }
        bytes += codes.size() + 4 * (count + weights.zero_point_count + layer.bias.size());

        // Bias: with a known input scale in units of the int32 sums, otherwise in f32.
        fewbit_bias bias = FEWBIT_BIAS_INIT;
        bias.data = layer.bias.data();
        std::vector<int32_t> sums(layer.out);
        if (input.mode != FEWBIT_INPUT_DYNAMIC_PER_ROW) {
            for (std::size_t o = 0; o < layer.out; o++) {
                const double unit = double(input.params.scale) * scales[count == 1 ? 0 : o];
                sums[o] = int32_t(std::nearbyint(std::clamp(layer.bias[o] / unit, -1e9, 1e9)));
            }
            bias.data = sums.data();
            bias.dtype = FEWBIT_S32;
        }

        Stage stage{nullptr, nullptr, layer.pool, layer.side, layer.in, layer.out, output.dtype};
        char kernel[64];
        if (layer.conv) {
            fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
            for (std::size_t axis = 0; axis < 2; axis++) {
                desc.axes[axis].size = layer.side;
                desc.axes[axis].kernel = 3;
                desc.axes[axis].pad_begin = desc.axes[axis].pad_end = 1;
            }
            desc.in_channels = layer.in;
            desc.out_channels = layer.out;
            desc.weights = weights;
            desc.input = input;
            desc.bias = bias;
            desc.output = output;
            fewbit_conv *conv = nullptr;
            check(fewbit_conv_create(&desc, &conv, &error), error);
            stage.conv.reset(conv);
            check(fewbit_conv_info(conv, nullptr, nullptr, nullptr, kernel, sizeof kernel, nullptr,
                                   nullptr, &error), error);
        } else {
            fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
            desc.in_features = layer.in;
            desc.out_features = layer.out;
            desc.weights = weights;
            desc.input = input;
            desc.bias = bias;
            desc.output = output;
            fewbit_linear *linear = nullptr;
            check(fewbit_linear_create(&desc, &linear, &error), error);
            stage.linear.reset(linear);
            check(fewbit_linear_info(linear, kernel, sizeof kernel, nullptr, nullptr, &error), error);
        }
        names.insert(kernel);
        return stage;
    }

    static void pool(const Stage &stage, const void *x, std::size_t images, void *y) {
        const std::size_t side = stage.side, channels = stage.out;
        switch (stage.output_dtype) {
        case FEWBIT_S8:
            return max_pool(static_cast<const int8_t *>(x), images, side, channels,
                            static_cast<int8_t *>(y));
        case FEWBIT_U8:
            return max_pool(static_cast<const uint8_t *>(x), images, side, channels,
                            static_cast<uint8_t *>(y));
        default:
            return max_pool(static_cast<const float *>(x), images, side, channels,
                            static_cast<float *>(y));
        }
    }

    std::vector<Stage> stages;
    std::vector<float> buffers[2];
    std::vector<int8_t> image_codes;  // of integers from image to logits
    fewbit_quant_params image_params{};
    Workspace workspace{1, 1};  // as large as the layer that needs most
    std::size_t max_images, bytes = 0;
    std::set<std::string> names;
};

}  // namespace digits
