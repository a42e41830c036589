// The C++17 layer: ownership, failure with and without exceptions, the caller's threads.
#include "fewbit.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

fewbit::Linear made_elsewhere(const fewbit_linear_desc &desc);

static unsigned long checks, failures;

#define CHECK(condition)                                                       \
    do {                                                                       \
        checks++;                                                              \
        if (!(condition)) {                                                    \
            failures++;                                                        \
            std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                      \
    } while (0)

static_assert(!std::is_copy_constructible_v<fewbit::Linear> && std::is_nothrow_move_constructible_v<fewbit::Linear>);
static_assert(!std::is_copy_constructible_v<fewbit::Conv> && std::is_nothrow_move_assignable_v<fewbit::Conv>);
static_assert(!std::is_copy_constructible_v<fewbit::Workspace> &&
              std::is_nothrow_move_constructible_v<fewbit::Workspace>);
static_assert(sizeof(fewbit::Linear) == sizeof(void *) && sizeof(fewbit::Conv) == sizeof(void *));

namespace {

constexpr std::size_t K = 19, N = 6, M = 33;

/// An allocator that counts what is live.
struct Counted {
    long live = 0;
    fewbit_allocator allocator{this,
                               [](void *ctx, std::size_t size) {
                                   static_cast<Counted *>(ctx)->live++;
                                   return std::malloc(size);
                               },
                               [](void *ctx, void *memory) {
                                   static_cast<Counted *>(ctx)->live--;
                                   std::free(memory);
                               }};
};

struct Model {
    std::vector<float> weights = std::vector<float>(N * K), scales = std::vector<float>(N), x = std::vector<float>(M * K);
    std::vector<std::int8_t> codes = std::vector<std::int8_t>(N * K);
    fewbit_linear_desc linear = fewbit::linear_desc();
    fewbit_conv_desc conv = fewbit::conv_desc();

    Model() {
        for (std::size_t i = 0; i < weights.size(); i++) {
            weights[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 64.0f;
        }
        for (std::size_t i = 0; i < x.size(); i++) {
            x[i] = static_cast<float>(static_cast<int>(i * 53 % 97) - 48) / 32.0f;
        }
        const fewbit_shape shape = fewbit::shape({N, K});
        fewbit_tensor_quant spec = fewbit::tensor_quant();
        spec.scheme = FEWBIT_SCHEME_SYMMETRIC;
        spec.granularity = FEWBIT_PER_AXIS;
        CHECK(fewbit_choose_params(weights.data(), &shape, &spec, scales.data(), nullptr, N, nullptr) == FEWBIT_OK);
        CHECK(fewbit_quantize(weights.data(), &shape, &spec, scales.data(), nullptr, N, nullptr, codes.data(), &shape,
                              nullptr) == FEWBIT_OK);
        linear.in_features = K;
        linear.out_features = N;
        linear.weights.data = codes.data();
        linear.weights.scales = scales.data();
        linear.weights.scale_count = N;
        linear.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
        // A 1x1 convolution over one pixel is the same layer, an image a row.
        conv.in_channels = K;
        conv.out_channels = N;
        conv.weights = linear.weights;
        conv.input = linear.input;
    }
};

void test_shapes() {
    const fewbit_shape shape = fewbit::shape({2, 3, 4});
    CHECK(shape.struct_size == sizeof shape && shape.rank == 3 && shape.dims[2] == 4 && shape.strides[0] == 0);
    const fewbit_shape many = fewbit::shape({1, 1, 1, 1, 1, 1, 1, 1, 1});
    const fewbit_tensor_quant spec = fewbit::tensor_quant();
    std::size_t count = 0;
    CHECK(fewbit_param_count(&many, &spec, &count, nullptr) == FEWBIT_ERROR_INVALID_ARGUMENT);
}

void test_runs() {
    Counted counted;
    Model model;
    model.linear.allocator = model.conv.allocator = &counted.allocator;
    {
        fewbit_error error;
        fewbit::Linear linear = fewbit::Linear::create(model.linear, &error);
        fewbit::Conv conv = fewbit::Conv::create(model.conv, &error);
        CHECK(linear && conv && error.status == FEWBIT_OK && counted.live > 0);
        fewbit::WorkspaceSize needed, conv_needed;
        CHECK(linear.workspace(M, 4, needed) == FEWBIT_OK && conv.workspace(M, 4, conv_needed) == FEWBIT_OK);
        fewbit::Workspace workspace;
        CHECK(workspace.reserve(needed) && workspace.reserve(conv_needed) && workspace.size() >= needed.size);
        CHECK(!workspace.reserve({static_cast<std::size_t>(-1) / 2, 64}) && workspace.data() != nullptr);
        std::vector<float> serial(M * N), threaded(M * N), convolved(M * N);
        CHECK(linear.run(M, model.x.data(), K, workspace, serial.data(), N) == FEWBIT_OK);
        CHECK(serial[0] != 0.0f);

        std::atomic<std::size_t> ran{0};
        fewbit::ParallelFor threads(4, [&](std::size_t n, const fewbit::Task &task) {
            std::vector<std::thread> team;
            for (std::size_t worker = 0; worker < 4; worker++) {
                team.emplace_back([&, worker] {
                    for (std::size_t index = worker; index < n; index += 4) {
                        task(index, worker);
                        ran++;
                    }
                });
            }
            for (std::thread &thread : team) {
                thread.join();
            }
        }, 1);
        CHECK(threads.max_workers() == 4);
        CHECK(linear.run(M, model.x.data(), K, workspace, threaded.data(), N, threads.get()) == FEWBIT_OK && ran > 0);
        CHECK(std::memcmp(serial.data(), threaded.data(), serial.size() * sizeof(float)) == 0);
        CHECK(conv.run(M, model.x.data(), workspace, convolved.data(), threads.get()) == FEWBIT_OK);
        CHECK(std::memcmp(serial.data(), convolved.data(), serial.size() * sizeof(float)) == 0);

        fewbit::LinearInfo info;
        fewbit::ConvInfo conv_info;
        CHECK(linear.info(info) == FEWBIT_OK && std::strlen(info.kernel_name) > 0 && info.bound > 0);
        CHECK(conv.info(conv_info) == FEWBIT_OK && conv_info.in_elements == K && conv_info.out_elements == N);

        // Written out, and read where it lies.
        std::size_t packed_size = 0, conv_packed_size = 0;
        CHECK(linear.packed_size(packed_size) == FEWBIT_OK && conv.packed_size(conv_packed_size) == FEWBIT_OK);
        fewbit::Workspace packed, conv_packed;
        CHECK(packed.reserve({packed_size, 64}) && conv_packed.reserve({conv_packed_size, 64}));
        CHECK(linear.save_packed(packed.data(), packed_size) == FEWBIT_OK);
        CHECK(conv.save_packed(conv_packed.data(), conv_packed_size) == FEWBIT_OK);
        const fewbit::Linear mapped = fewbit::Linear::create_packed(model.linear, packed.data(), packed_size);
        const fewbit::Conv conv_mapped = fewbit::Conv::create_packed(model.conv, conv_packed.data(), conv_packed_size);
        CHECK(mapped && conv_mapped);
        CHECK(mapped.run(M, model.x.data(), K, workspace, threaded.data(), N) == FEWBIT_OK);
        CHECK(std::memcmp(serial.data(), threaded.data(), serial.size() * sizeof(float)) == 0);
        CHECK(conv_mapped.run(M, model.x.data(), workspace, convolved.data()) == FEWBIT_OK);
        CHECK(std::memcmp(serial.data(), convolved.data(), serial.size() * sizeof(float)) == 0);
        CHECK(!fewbit::Linear::create_packed(model.linear, conv_packed.data(), conv_packed_size, &error));
        CHECK(std::strcmp(error.argument, "packed") == 0);

        // 8-bit outputs of parameters that the results choose: one tap is a linear layer.
        model.linear.output.dtype = model.conv.output.dtype = FEWBIT_S8;
        model.linear.output.quantization = model.conv.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
        fewbit::Linear by_row = fewbit::Linear::create(model.linear);
        fewbit::Conv by_image = fewbit::Conv::create(model.conv);
        CHECK(by_row.workspace(M, 4, needed) == FEWBIT_OK && by_image.workspace(M, 4, conv_needed) == FEWBIT_OK);
        CHECK(workspace.reserve(needed) && workspace.reserve(conv_needed));
        std::vector<std::int8_t> row_codes(M * N), image_codes(M * N);
        std::vector<float> row_scales(M), image_scales(M);
        CHECK(by_row.run_dynamic(M, model.x.data(), K, workspace, row_codes.data(), N, row_scales.data(), nullptr,
                                 threads.get()) == FEWBIT_OK);
        CHECK(by_image.run_dynamic(M, model.x.data(), nullptr, workspace, image_codes.data(), image_scales.data(),
                                   nullptr) == FEWBIT_OK);
        CHECK(row_codes == image_codes && row_scales == image_scales && row_scales[0] > 0.0f);

        // Moved: the old one is empty and refuses.
        const fewbit_linear *handle = linear.get();
        fewbit::Linear moved = std::move(linear);
        CHECK(moved.get() == handle && !linear);
        CHECK(linear.run(M, model.x.data(), K, workspace, serial.data(), N) == FEWBIT_ERROR_NULL_POINTER);
        moved = made_elsewhere(model.linear);
        CHECK(moved && moved.get() != handle);
        fewbit::Workspace taken = std::move(workspace);
        CHECK(taken.data() != nullptr && workspace.data() == nullptr && workspace.size() == 0);
        workspace = std::move(taken);
        CHECK(workspace.size() > 0);
    }
    CHECK(counted.live == 0);
}

/// Two matrices that are the same one: as a batch, in groups, and as a product of codes.
void test_products() {
    Model model;
    std::vector<std::int8_t> codes(model.codes);
    codes.insert(codes.end(), model.codes.begin(), model.codes.end());
    std::vector<float> scales(model.scales), serial(M * N), y(2 * M * N);
    scales.insert(scales.end(), model.scales.begin(), model.scales.end());
    const fewbit::Linear single = fewbit::Linear::create(model.linear);
    fewbit::WorkspaceSize needed, grouped;
    fewbit::Workspace workspace;
    CHECK(single.workspace(M, 1, needed) == FEWBIT_OK && workspace.reserve(needed));
    CHECK(single.run(M, model.x.data(), K, workspace, serial.data(), N) == FEWBIT_OK);
    model.linear.weights.data = codes.data();
    model.linear.weights.scales = scales.data();
    model.linear.weights.scale_count = 2 * N;
    model.linear.matrices = 2;
    const fewbit::Linear linear = fewbit::Linear::create(model.linear);
    CHECK(linear && linear.batch_workspace(M, 1, needed) == FEWBIT_OK);
    CHECK(linear.grouped_workspace(2, 2 * M, 1, grouped) == FEWBIT_OK);
    CHECK(workspace.reserve(needed) && workspace.reserve(grouped));
    fewbit_linear_batch batch = fewbit::linear_batch();
    batch.rows = M;
    batch.x = model.x.data();
    batch.x_stride = K;
    batch.y = y.data();
    batch.y_stride = N;
    batch.y_batch_stride = M * N;
    CHECK(linear.run_batch(batch, workspace) == FEWBIT_OK);
    CHECK(std::memcmp(serial.data(), y.data(), serial.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(serial.data(), y.data() + M * N, serial.size() * sizeof(float)) == 0);
    std::fill(y.begin(), y.end(), 0.0f);
    const fewbit_linear_problem problems[2] = {{1, M, model.x.data(), K, nullptr, 0, y.data(), N},
                                               {0, M, model.x.data(), K, nullptr, 0, y.data() + M * N, N}};
    CHECK(linear.run_grouped(problems, 2, workspace) == FEWBIT_OK);
    CHECK(std::memcmp(serial.data(), y.data(), serial.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(serial.data(), y.data() + M * N, serial.size() * sizeof(float)) == 0);

    fewbit_gemm_desc desc = fewbit::gemm_desc();
    desc.n = N;
    desc.k = K;
    desc.rhs.data = model.codes.data();
    fewbit::Gemm gemm = fewbit::Gemm::create(desc);
    fewbit_plan_info info = fewbit::plan_info();
    CHECK(gemm && gemm.describe(info) == FEWBIT_OK && info.in_features == K && info.out_features == N);
    CHECK(gemm.workspace(1, 1, needed) == FEWBIT_OK && workspace.reserve(needed));
    std::vector<std::int32_t> sums(N);
    fewbit_gemm_args args = fewbit::gemm_args();
    args.rows = 1;
    args.lhs = model.codes.data();
    args.lhs_stride = K;
    args.dst = sums.data();
    args.dst_stride = N;
    CHECK(gemm.run(args, workspace) == FEWBIT_OK);
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < K; k++) {
        sum += model.codes[k] * model.codes[k];
    }
    CHECK(sums[0] == sum && sum > 0);

    std::vector<std::int32_t> first_sums(N);
    args.dst = first_sums.data();
    CHECK(gemm.run_range(args, workspace, 0, 1, 0, 2) == FEWBIT_OK && first_sums[1] == sums[1] && first_sums[2] == 0);

    // The same row as a group, with the rhs written out and read where it lies.
    std::size_t packed_size = 0;
    fewbit::Workspace packed;
    CHECK(gemm.packed_size(packed_size) == FEWBIT_OK && packed.reserve({packed_size, 64}));
    CHECK(gemm.save_packed(packed.data(), packed_size) == FEWBIT_OK);
    const fewbit::Gemm mapped = fewbit::Gemm::create_packed(desc, packed.data(), packed_size);
    CHECK(mapped && mapped.grouped_workspace(1, 1, 1, needed) == FEWBIT_OK && workspace.reserve(needed));
    std::vector<std::int32_t> grouped_sums(N);
    fewbit_gemm_problem problem = {};
    problem.rows = 1;
    problem.lhs = model.codes.data();
    problem.lhs_stride = K;
    problem.dst = grouped_sums.data();
    problem.dst_stride = N;
    CHECK(mapped.run_grouped(&problem, 1, workspace) == FEWBIT_OK && grouped_sums == sums);
    CHECK(!fewbit::Gemm::create_packed(desc, packed.data(), 0));

    // Codes of parameters that each row chooses: alone and in a group.
    desc.output.dtype = FEWBIT_S8;
    desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
    desc.output.scheme = FEWBIT_SCHEME_SYMMETRIC;
    const fewbit::Gemm by_row = fewbit::Gemm::create(desc);
    CHECK(by_row && by_row.grouped_workspace(1, 1, 1, needed) == FEWBIT_OK && workspace.reserve(needed));
    std::vector<std::int8_t> codes_alone(N), codes_grouped(N);
    float scale_alone = 0.0f, scale_grouped = 1.0f;
    args.dst = codes_alone.data();
    problem.dst = codes_grouped.data();
    CHECK(by_row.run_dynamic(args, workspace, &scale_alone, nullptr) == FEWBIT_OK);
    CHECK(by_row.run_grouped_dynamic(&problem, 1, workspace, &scale_grouped, nullptr) == FEWBIT_OK);
    CHECK(codes_alone == codes_grouped && scale_alone == scale_grouped && scale_alone > 0.0f);

    // A batch and its groups, likewise.
    model.linear.output = desc.output;
    const fewbit::Linear rows = fewbit::Linear::create(model.linear);
    CHECK(rows && rows.batch_workspace(M, 1, needed) == FEWBIT_OK && workspace.reserve(needed));
    std::vector<std::int8_t> batch_codes(2 * M * N), group_codes(2 * M * N);
    std::vector<float> batch_scales(2 * M), group_scales(2 * M);
    batch.y = batch_codes.data();
    CHECK(rows.run_batch_dynamic(batch, workspace, batch_scales.data(), nullptr) == FEWBIT_OK);
    fewbit_linear_problem halves[2] = {problems[1], problems[0]};
    halves[0].y = group_codes.data();
    halves[1].y = group_codes.data() + M * N;
    CHECK(rows.run_grouped_dynamic(halves, 2, workspace, group_scales.data(), nullptr) == FEWBIT_OK);
    CHECK(batch_codes == group_codes && batch_scales == group_scales);
    info = fewbit::plan_info();
    CHECK(linear.describe(info) == FEWBIT_OK && info.matrices == 2 && info.output_dtype == FEWBIT_F32);
    const fewbit::Conv conv = fewbit::Conv::create(model.conv);
    CHECK(conv.describe(info) == FEWBIT_OK && info.in_features == K);
    CHECK(!fewbit::Gemm::create(fewbit::gemm_desc()));
}

void test_failures() {
    Model model;
    model.linear.weights.scale_count = 2;
    fewbit_error error;
    CHECK(!fewbit::Linear::create(model.linear, &error));
    CHECK(error.status == FEWBIT_ERROR_INVALID_ARGUMENT && std::strstr(error.message, "scales") != nullptr);
    CHECK(!fewbit::Conv::create(fewbit::conv_desc()));
#if FEWBIT_HAS_EXCEPTIONS
    try {
        fewbit::Linear linear(model.linear);
        CHECK(!"not reached");
    } catch (const fewbit::Error &caught) {
        CHECK(caught.status() == FEWBIT_ERROR_INVALID_ARGUMENT && caught.argument() == "desc.weights.scales");
        CHECK(std::strcmp(caught.what(), error.message) == 0);
    }
    try {
        fewbit::Conv conv(fewbit::conv_desc());
        CHECK(!"not reached");
    } catch (const std::runtime_error &) {
        checks++;
    }
    try {
        fewbit::check(fewbit_quantize_f32_s8(nullptr, 1, nullptr, nullptr));
        CHECK(!"not reached");
    } catch (const fewbit::Error &caught) {
        CHECK(caught.status() == FEWBIT_ERROR_NULL_POINTER && caught.argument().empty());
        CHECK(std::strcmp(caught.what(), fewbit_status_string(FEWBIT_ERROR_NULL_POINTER)) == 0);
    }
    model.linear.weights.scale_count = N;
    fewbit::Linear linear(model.linear);
    fewbit::Workspace workspace{fewbit::WorkspaceSize{100, 64}};
    CHECK(linear && workspace.size() == 100);
#endif
}

} // namespace

int main() {
    test_shapes();
    test_runs();
    test_products();
    test_failures();
    std::printf("C++ layer, exceptions %s: %lu checks, %lu failed\n", FEWBIT_HAS_EXCEPTIONS ? "on" : "off", checks,
                failures);
    return failures != 0;
}
