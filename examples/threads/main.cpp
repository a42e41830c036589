// A linear layer on 1 to 4 threads of a pool (pool.hpp): the same bytes every time, and how long it takes.
//
//   cargo xtask lib      # prints where libfewbit.a is
//   c++ -std=c++17 -O2 -pthread -I include examples/threads/main.cpp path/to/libfewbit.a -o threads && ./threads
#include "pool.hpp"

#include <fewbit.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

namespace {

constexpr std::size_t K = 512, N = 768; // features in and out

/// Numbers from a fixed sequence, -1 to 1.
std::vector<float> numbers(std::size_t count, std::uint32_t state) {
    std::vector<float> x(count);
    for (float &value : x) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(static_cast<std::int32_t>(state)) / 2147483648.0f;
    }
    return x;
}

/// f32 rows, quantized row by row inside the run, times int8 weights with a scale for each output; f32 out.
fewbit::Linear layer() {
    const std::vector<float> weights = numbers(N * K, 1);
    std::vector<float> scales(N);
    std::vector<std::int8_t> codes(N * K);
    const fewbit_shape shape = fewbit::shape({N, K});
    fewbit_tensor_quant spec = fewbit::tensor_quant();
    spec.scheme = FEWBIT_SCHEME_SYMMETRIC;
    spec.granularity = FEWBIT_PER_AXIS;
    fewbit_error error;
    fewbit::check(fewbit_choose_params(weights.data(), &shape, &spec, scales.data(), nullptr, N, &error), &error);
    fewbit::check(fewbit_quantize(weights.data(), &shape, &spec, scales.data(), nullptr, N, nullptr, codes.data(),
                                  &shape, &error),
                  &error);
    fewbit_linear_desc desc = fewbit::linear_desc();
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = codes.data();
    desc.weights.scales = scales.data();
    desc.weights.scale_count = N;
    desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    return fewbit::Linear(desc); // has copied and packed what it needs
}

/// The shortest of as many runs as fit 50 ms, at least three, in microseconds.
template <class Run> double shortest(Run run) {
    using clock = std::chrono::steady_clock;
    const clock::time_point begin = clock::now();
    double best = 1e30;
    for (int runs = 0; runs < 3 || clock::now() - begin < std::chrono::milliseconds(50); runs++) {
        const clock::time_point start = clock::now();
        run();
        const std::chrono::duration<double, std::micro> took = clock::now() - start;
        best = took.count() < best ? took.count() : best;
    }
    return best;
}

/// Whether every number of threads gives the bytes of a run without any.
bool compare(const fewbit::Linear &linear, std::size_t rows) {
    const std::vector<float> x = numbers(rows * K, 2);
    std::vector<float> want(rows * N), y(rows * N);
    fewbit::Workspace workspace;
    bool same = true;
    double one = 0.0;
    for (std::size_t threads = 0; threads <= 4; threads++) {
        ThreadPool pool(threads);
        // 0 stands for the calling thread without a pool.
        const fewbit_parallel_for *parallel_for = threads == 0 ? nullptr : pool.parallel_for();
        fewbit::WorkspaceSize needed;
        fewbit::check(linear.workspace(rows, pool.parallel_for()->max_workers, needed));
        if (!workspace.reserve(needed)) {
            throw std::bad_alloc();
        }
        std::vector<float> &out = threads == 0 ? want : y;
        std::memset(out.data(), 0xA5, out.size() * sizeof(float));
        const double took = shortest([&] {
            fewbit::check(linear.run(rows, x.data(), K, workspace, out.data(), N, parallel_for));
        });
        if (threads == 0) {
            continue;
        }
        one = threads == 1 ? took : one;
        const bool equal = std::memcmp(want.data(), y.data(), y.size() * sizeof(float)) == 0;
        same = same && equal;
        std::printf("%4zu x %zu x %zu, %zu thread%s: %8.1f us, %.2f times as fast, %s\n", rows, N, K, threads,
                    threads == 1 ? " " : "s", took, one / took, equal ? "the same bytes" : "OTHER BYTES");
    }
    return same;
}

} // namespace

int main() {
    try {
        std::printf("%u hardware threads\n", std::thread::hardware_concurrency());
        const fewbit::Linear linear = layer();
        bool same = true;
        for (std::size_t rows : {std::size_t(1), std::size_t(7), std::size_t(96)}) {
            same = compare(linear, rows) && same;
        }
        return same ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
