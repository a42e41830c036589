// A linear layer in int8: weights quantized once, with a scale for each output; input quantized row by row in the run.
#include <fewbit.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

int main() try {
    const std::size_t outputs = 2, inputs = 3;
    const std::vector<float> w = {0.5f, -1.0f, 0.25f, 40.0f, 10.0f, 20.0f}, x = {1.0f, 2.0f, 3.0f};
    std::vector<std::int8_t> codes(w.size());
    std::vector<float> scales(outputs), y(outputs);

    const fewbit_shape shape = fewbit::shape({outputs, inputs});
    fewbit_tensor_quant spec = fewbit::tensor_quant();
    spec.scheme = FEWBIT_SCHEME_SYMMETRIC;
    spec.granularity = FEWBIT_PER_AXIS;
    fewbit_error why;
    fewbit::check(fewbit_choose_params(w.data(), &shape, &spec, scales.data(), nullptr, outputs, &why), &why);
    fewbit::check(fewbit_quantize(w.data(), &shape, &spec, scales.data(), nullptr, outputs, nullptr, codes.data(),
                                  &shape, &why),
                  &why);

    fewbit_linear_desc desc = fewbit::linear_desc();
    desc.in_features = inputs;
    desc.out_features = outputs;
    desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    desc.weights.data = codes.data();
    desc.weights.scales = scales.data();
    desc.weights.scale_count = outputs;
    const fewbit::Linear linear(desc);

    fewbit::WorkspaceSize needed;
    fewbit::check(linear.workspace(1, 1, needed, &why), &why);
    fewbit::Workspace workspace(needed);
    fewbit::check(linear.run(1, x.data(), inputs, workspace, y.data(), outputs, nullptr, &why), &why);
    std::printf("%.3f %.3f  (exact: -0.750 120)\n", y[0], y[1]);
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
