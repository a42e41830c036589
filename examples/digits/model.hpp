// The network as it was trained: what both ways of running it start from.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "safetensors.hpp"

namespace digits {

constexpr std::size_t classes = 10;
constexpr std::size_t pixels = 64;

// A 3x3 convolution (stride 1, padding 1) or a linear layer; then ReLU; then the largest of each 2x2
// pixels. Images are [row][column][channel] throughout, so flattening them costs nothing.
struct Layer {
    std::string name;
    bool conv;
    bool relu;
    bool pool;
    std::size_t side;     // pixels of a convolution's input along each axis; 1 for a linear layer
    std::size_t in, out;  // channels or features
    std::vector<float> weight;  // [out][3][3][in] or [out][in]
    std::vector<float> bias;    // [out]

    std::size_t in_elements() const { return side * side * in; }
    std::size_t out_elements() const { return side * side * out; }  // before pooling
};

inline std::vector<Layer> load_model(const std::string &path) {
    std::vector<Layer> layers{
        {"conv1", true, true, false, 8, 0, 0, {}, {}},
        {"conv2", true, true, true, 8, 0, 0, {}, {}},
        {"conv3", true, true, true, 4, 0, 0, {}, {}},
        {"fc1", false, true, false, 1, 0, 0, {}, {}},
        {"fc2", false, false, false, 1, 0, 0, {}, {}},
    };
    const auto tensors = SafetensorsReader::read(path);
    std::size_t elements = pixels;
    for (Layer &layer : layers) {
        const Tensor &weight = tensors.at(layer.name + ".weight");
        layer.weight = weight.as<float>("F32");
        layer.bias = tensors.at(layer.name + ".bias").as<float>("F32");
        const std::size_t taps = layer.conv ? 9 : 1;
        layer.out = layer.bias.size();
        layer.in = elements / (layer.side * layer.side);
        if (weight.shape.empty() || weight.shape.front() != layer.out ||
            layer.weight.size() != layer.out * taps * layer.in || layer.in_elements() != elements)
            throw std::runtime_error(path + ": " + layer.name + " has an unexpected shape");
        elements = layer.out_elements() / (layer.pool ? 4 : 1);
    }
    if (elements != classes) throw std::runtime_error(path + ": the last layer has no 10 outputs");
    return layers;
}

// The largest of each 2x2 pixels; of codes it is exact, as quantization keeps the order.
template <typename T>
void max_pool(const T *x, std::size_t images, std::size_t side, std::size_t channels, T *y) {
    for (std::size_t pair = 0; pair < images * side / 2; pair++)  // of rows
        for (std::size_t column = 0; column < side / 2; column++) {
            const T *a = x + (pair * 2 * side + column * 2) * channels;
            const T *b = a + side * channels;
            for (std::size_t c = 0; c < channels; c++, y++) {
                const T top = a[c] < a[c + channels] ? a[c + channels] : a[c];
                const T bottom = b[c] < b[c + channels] ? b[c + channels] : b[c];
                *y = top < bottom ? bottom : top;
            }
        }
}

}  // namespace digits
