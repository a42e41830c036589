/* Level 3 with every pointer NULL, every size 0 and huge, and descriptions that are wrong in one place; and the
 * sentences that explain it. */
#include "refused.h"

#include <math.h>

static int8_t weights[4 * 3];
static float scales[4] = {0.5f, 0.25f, 1.0f, 2.0f}, bias[4];
static int32_t zero_points[4];

static fewbit_linear_desc good_linear(void) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = 3;
    desc.out_features = 4;
    desc.weights.data = weights;
    desc.weights.scales = scales;
    desc.weights.scale_count = 4;
    desc.weights.zero_points = zero_points;
    desc.weights.zero_point_count = 4;
    desc.bias.data = bias;
    desc.input.mode = FEWBIT_INPUT_STATIC;
    return desc;
}

static fewbit_conv_desc good_conv(void) {
    const fewbit_linear_desc linear = good_linear();
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    desc.spatial = 1;
    desc.axes[0].size = 2;
    desc.in_channels = 3;
    desc.out_channels = 4;
    desc.weights = linear.weights;
    desc.bias = linear.bias;
    desc.input = linear.input;
    return desc;
}

/* The good description with one field changed; `status` with a sentence about `argument`. */
#define BAD(kind, field, value, bad_status, named)                                              \
    do {                                                                                        \
        fewbit_##kind##_desc changed = good_##kind();                                              \
        changed.field = value;                                                                     \
        outputs_reset();                                                                        \
        CHECK_STATUS(bad_status, fewbit_##kind##_create(&changed, &out.kind, &err));               \
        CHECK(outputs_untouched() && err.status == (bad_status));                               \
        CHECK(strncmp(err.argument, named, strlen(named)) == 0);                                \
        if (strncmp(err.argument, named, strlen(named)) != 0) {                                 \
            printf("    %s = %s: %s\n", #field, #value, err.message);                           \
        }                                                                                       \
    } while (0)

#define BAD_OPERANDS(kind)                                                                                               \
    do {                                                                                                                 \
        static const float zero[4] = {1.0f, 1.0f, 1.0f, 0.0f}, negative[4] = {-1.0f, 1.0f, 1.0f, 1.0f};                  \
        static const float nan_scale[4] = {NAN, 1.0f, 1.0f, 1.0f}, infinite[4] = {INFINITY, 1.0f, 1.0f, 1.0f};           \
        static const int32_t beyond[4] = {0, 0, 0, 128};                                                                 \
        BAD(kind, struct_size, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc");                                                \
        BAD(kind, struct_size, sizeof changed - 1, FEWBIT_ERROR_INVALID_ARGUMENT, "desc");                               \
        BAD(kind, struct_size, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "desc");                                         \
        BAD(kind, weights.zero_point_count, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.zero_point_count");          \
        /* The sums of a dynamic input have no unit that is known beforehand. */                                         \
        BAD(kind, input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW; changed.bias.dtype, FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.bias"); \
        BAD(kind, input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW; changed.bias.data = NULL; changed.output.dtype, FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.output"); \
        BAD(kind, weights.data, NULL, FEWBIT_ERROR_NULL_POINTER, "desc.weights.data");                                   \
        BAD(kind, weights.scales, NULL, FEWBIT_ERROR_NULL_POINTER, "desc.weights.scales");                               \
        BAD(kind, weights.zero_points, NULL, FEWBIT_ERROR_NULL_POINTER, "desc.weights.zero_points");                     \
        BAD(kind, weights.scales, ODD(float, scales), FEWBIT_ERROR_MISALIGNED, "desc.weights.scales");                   \
        BAD(kind, weights.scale_count, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scale_count");                    \
        BAD(kind, weights.scale_count, 3, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                         \
        BAD(kind, weights.scale_count, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                  \
        BAD(kind, weights.zero_point_count, 3, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.zero_points");               \
        BAD(kind, weights.zero_point_count, SIZE_MAX / 2, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.zero_points");    \
        BAD(kind, weights.scales, zero, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                           \
        BAD(kind, weights.scales, negative, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                       \
        BAD(kind, weights.scales, nan_scale, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                      \
        BAD(kind, weights.scales, infinite, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.scales");                       \
        BAD(kind, weights.zero_points, beyond, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.zero_points");               \
        BAD(kind, weights.dtype, FEWBIT_S16, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");                            \
        BAD(kind, weights.dtype, -7, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");                                    \
        BAD(kind, weights.block, -1, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weights.block");                                \
        BAD(kind, input.mode, 4, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input.mode");                                      \
        BAD(kind, input.dtype, FEWBIT_F32, FEWBIT_ERROR_UNSUPPORTED, "desc.input.dtype");                                \
        BAD(kind, input.params.scale, 0.0f, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input");                                \
        BAD(kind, input.params.scale, NAN, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input");                                 \
        BAD(kind, input.params.zero_point, 200, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input");                            \
        BAD(kind, bias.dtype, FEWBIT_S8, FEWBIT_ERROR_UNSUPPORTED, "desc.bias.dtype");                                   \
        BAD(kind, bias.reserved, -1, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.bias.reserved");                               \
        BAD(kind, bias.data, ODD(float, bias), FEWBIT_ERROR_MISALIGNED, "desc.bias");                                    \
        BAD(kind, output.dtype, FEWBIT_S16, FEWBIT_ERROR_UNSUPPORTED, "desc.output.dtype");                              \
        BAD(kind, output.dtype, FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.bias"); /* with an f32 bias */               \
        BAD(kind, output.activation, 10, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.activation");                       \
        BAD(kind, output.activation = FEWBIT_ACTIVATION_CLAMP; changed.output.alpha, 1.0f, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.activation"); \
        BAD(kind, output.activation = FEWBIT_ACTIVATION_CLAMP; changed.output.beta, NAN, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.activation"); \
        BAD(kind, output.activation = FEWBIT_ACTIVATION_LEAKY_RELU; changed.output.alpha, NAN, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.activation"); \
        BAD(kind, output.mode, 2, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.mode");                                    \
        BAD(kind, output.mode, FEWBIT_ACTIVATION_MODE_TABLE, FEWBIT_ERROR_UNSUPPORTED, "desc.output.activation");        \
        BAD(kind, output.mode = FEWBIT_ACTIVATION_MODE_TABLE; changed.output.table_dtype, FEWBIT_F32, FEWBIT_ERROR_UNSUPPORTED, "desc.output.table_dtype"); \
        BAD(kind, output.mode = FEWBIT_ACTIVATION_MODE_TABLE; changed.output.table_params.scale, 0.0f, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.output.table"); \
        BAD(kind, input.reserved, 1, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input.reserved");                              \
        BAD(kind, input.mode = FEWBIT_INPUT_STATIC; changed.input.real, FEWBIT_S8, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input.real"); \
        BAD(kind, residual.present, 2, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.residual.present");                          \
        BAD(kind, residual.present = 1; changed.residual.dtype, FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.residual.dtype"); \
        BAD(kind, residual.present = 1; changed.residual.dtype = FEWBIT_S8; changed.residual.params.scale, NAN, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.residual"); \
        BAD(kind, residual.present = 1; changed.bias.data = NULL; changed.output.dtype, FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.residual"); \
    } while (0)

static void test_linear_descriptions(void) {
    const fewbit_linear_desc desc = good_linear();
    const int32_t invalid = FEWBIT_ERROR_INVALID_ARGUMENT;
    BAD_OPERANDS(linear);
    BAD(linear, in_features, 0, invalid, "desc.in_features");
    BAD(linear, out_features, 0, invalid, "desc.out_features");
    BAD(linear, in_features, SIZE_MAX, invalid, "desc");
    BAD(linear, out_features, SIZE_MAX / 2, invalid, "desc");
    BAD(linear, weight_layout, 2, invalid, "desc.weight_layout");
    BAD(linear, weight_stride, 2, invalid, "desc.weight_stride");
    BAD(linear, weight_stride, SIZE_MAX, invalid, "desc");
    BAD(linear, arithmetic, 5, invalid, "desc.arithmetic");
    BAD(linear, arithmetic, FEWBIT_ARITHMETIC_BF16_DOT, FEWBIT_ERROR_UNSUPPORTED, "desc.arithmetic");
    BAD(linear, arithmetic, FEWBIT_ARITHMETIC_BF16_DOT_ODD, FEWBIT_ERROR_UNSUPPORTED, "desc.arithmetic");
    BAD(linear, arithmetic, FEWBIT_ARITHMETIC_F16_FMA, FEWBIT_ERROR_UNSUPPORTED, "desc.arithmetic");
    BAD(linear, matrices, SIZE_MAX, invalid, "desc");
    BAD(linear, matrices = 2; changed.matrix_stride, SIZE_MAX / 2, invalid, "desc.weights.data");
    BAD(linear, matrices = 3; changed.matrix_stride, SIZE_MAX, invalid, "desc");
    NULL_EXPLAINED(fewbit_linear_create, desc, (NULL, &out.linear, &err));
    NULL_EXPLAINED(fewbit_linear_create, linear, (&desc, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_create, error, (&desc, &out.linear, NULL));
    fewbit_linear_destroy(out.linear);
    fewbit_linear_destroy(NULL);
    covered("fewbit_linear_destroy", "linear", "null");
    MISALIGNED(fewbit_linear_create, linear, (&desc, ODD(fewbit_linear *, out.room), &err));
}

static void test_conv_descriptions(void) {
    const fewbit_conv_desc desc = good_conv();
    const int32_t invalid = FEWBIT_ERROR_INVALID_ARGUMENT;
    BAD_OPERANDS(conv);
    BAD(conv, spatial, 0, invalid, "desc.spatial");
    BAD(conv, spatial, 4, invalid, "desc.spatial");
    BAD(conv, spatial, SIZE_MAX, invalid, "desc.spatial");
    BAD(conv, groups, 0, invalid, "desc.groups");
    BAD(conv, groups, 2, invalid, "desc.in_channels");
    BAD(conv, in_channels, 0, invalid, "desc.in_channels");
    BAD(conv, out_channels, 0, invalid, "desc.out_channels");
    BAD(conv, out_channels, SIZE_MAX, invalid, "desc");
    BAD(conv, layout, 2, invalid, "desc.layout");
    BAD(conv, filter_layout, -1, invalid, "desc.filter_layout");
    BAD(conv, weights.block, 16, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.block");
    BAD(conv, axes[0].size, 0, invalid, "desc.axes[0]");
    BAD(conv, spatial = 2; changed.axes[1].size, 0, invalid, "desc.axes[1]");
    BAD(conv, spatial = 3; changed.axes[1].size = 1; changed.axes[2].size, 0, invalid, "desc.axes[2]");
    BAD(conv, axes[0].size, SIZE_MAX, invalid, "desc");
    BAD(conv, axes[0].kernel, 0, invalid, "desc");
    BAD(conv, axes[0].kernel, 3, invalid, "desc");
    BAD(conv, axes[0].kernel, SIZE_MAX, invalid, "desc");
    BAD(conv, axes[0].pad_begin, SIZE_MAX, invalid, "desc");
    BAD(conv, axes[0].pad_end, SIZE_MAX / 2, invalid, "desc");
    NULL_EXPLAINED(fewbit_conv_create, desc, (NULL, &out.conv, &err));
    NULL_EXPLAINED(fewbit_conv_create, conv, (&desc, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_create, error, (&desc, &out.conv, NULL));
    fewbit_conv_destroy(out.conv);
    NULL_EXPLAINED(fewbit_conv_create_transposed, desc, (NULL, NULL, &out.conv, &err));
    NULL_EXPLAINED(fewbit_conv_create_transposed, conv, (&desc, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_create_transposed, output_padding, (&desc, NULL, &out.conv, &err));
    fewbit_conv_destroy(out.conv);
    NULL_ACCEPTED(fewbit_conv_create_transposed, error, (&desc, NULL, &out.conv, NULL));
    fewbit_conv_destroy(out.conv);
    fewbit_conv_destroy(NULL);
    covered("fewbit_conv_destroy", "conv", "null");
}

static void test_linear_calls(void) {
    fewbit_linear *linear = any_linear(FEWBIT_INPUT_STATIC, FEWBIT_F32);
    enum { K = LAYER_K, N = LAYER_N };
    static float input[2 * K], places[2 * N];
    fewbit_parallel_for none = {NULL, 0, NULL, 0};
    size_t size = 0;
    void *memory = linear_memory(linear, 2, 1, &size);
    NULL_EXPLAINED(fewbit_linear_workspace, linear, (NULL, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_workspace, size, (linear, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_workspace, align, (linear, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_workspace, error, (linear, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_linear_workspace, rows, (linear, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_linear_workspace, max_workers, (linear, 2, 0, &out.size, &out.align, &err));
    HUGE_EXPLAINED(fewbit_linear_workspace, rows, (linear, SIZE_MAX, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_linear_workspace, max_workers, (linear, 2, SIZE_MAX, &out.size, &out.align, &err));
    OVERLAPPING(fewbit_linear_workspace, align, (linear, 2, 1, &out.size, &out.size, &err));

    NULL_EXPLAINED(fewbit_linear_run, linear, (NULL, 2, input, K, memory, size, NULL, places, N, &err));
    NULL_EXPLAINED(fewbit_linear_run, x, (linear, 2, NULL, K, memory, size, NULL, places, N, &err));
    NULL_EXPLAINED(fewbit_linear_run, workspace, (linear, 2, input, K, NULL, size, NULL, places, N, &err));
    NULL_EXPLAINED(fewbit_linear_run, y, (linear, 2, input, K, memory, size, NULL, NULL, N, &err));
    NULL_ACCEPTED(fewbit_linear_run, parallel_for, (linear, 2, input, K, memory, size, NULL, places, N, &err));
    NULL_ACCEPTED(fewbit_linear_run, error, (linear, 2, input, K, memory, size, NULL, places, N, NULL));
    ZERO_ACCEPTED(fewbit_linear_run, rows, (linear, 0, NULL, K, NULL, 0, NULL, NULL, N, &err));
    HUGE_REFUSED(fewbit_linear_run, rows, (linear, SIZE_MAX, input, K, memory, size, NULL, out.f32, N, &err));
    EXPLAINED("zero", fewbit_linear_run, x_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
              (linear, 2, input, 0, memory, size, NULL, out.f32, N, &err));
    EXPLAINED("small", fewbit_linear_run, x_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
              (linear, 2, input, K - 1, memory, size, NULL, out.f32, N, &err));
    HUGE_REFUSED(fewbit_linear_run, x_stride, (linear, 2, input, SIZE_MAX, memory, size, NULL, out.f32, N, &err));
    EXPLAINED("zero", fewbit_linear_run, y_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
              (linear, 2, input, K, memory, size, NULL, out.f32, 0, &err));
    HUGE_REFUSED(fewbit_linear_run, y_stride, (linear, 2, input, K, memory, size, NULL, out.f32, SIZE_MAX / 4, &err));
    EXPLAINED("zero", fewbit_linear_run, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (linear, 2, input, K, memory, 0, NULL, out.f32, N, &err));
    EXPLAINED("small", fewbit_linear_run, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (linear, 2, input, K, memory, size - 1, NULL, out.f32, N, &err));
    ACCEPTED("huge", fewbit_linear_run, workspace_size, (linear, 2, input, K, memory, SIZE_MAX, NULL, places, N, &err));
    INVALID_EXPLAINED(fewbit_linear_run, parallel_for, (linear, 2, input, K, memory, size, &none, out.f32, N, &err));
    MISALIGNED(fewbit_linear_run, x, (linear, 2, (char *)input + 1, K, memory, size, NULL, out.f32, N, &err));
    MISALIGNED(fewbit_linear_run, y, (linear, 2, input, K, memory, size, NULL, (char *)out.f32 + 2, N, &err));
    MISALIGNED(fewbit_linear_run, workspace,
               (linear, 2, input, K, (char *)memory + 8, size, NULL, out.f32, N, &err));
    OVERLAPPING(fewbit_linear_run, y, (linear, 2, out.f32, K, memory, size, NULL, out.f32 + 2 * K - 1, N, &err));
    OVERLAPPING(fewbit_linear_run, workspace, (linear, 2, memory, K, memory, size, NULL, out.f32, N, &err));

    NULL_EXPLAINED(fewbit_linear_run_range, linear, (NULL, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    NULL_EXPLAINED(fewbit_linear_run_range, x, (linear, 2, NULL, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    NULL_EXPLAINED(fewbit_linear_run_range, workspace,
                   (linear, 2, input, K, NULL, 0, NULL, size, NULL, places, N, 0, 2, 0, N, &err));
    NULL_EXPLAINED(fewbit_linear_run_range, y, (linear, 2, input, K, NULL, 0, memory, size, NULL, NULL, N, 0, 2, 0, N, &err));
    NULL_ACCEPTED(fewbit_linear_run_range, residual,
                  (linear, 2, input, K, NULL, N, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    ZERO_ACCEPTED(fewbit_linear_run_range, residual_stride,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    ACCEPTED("huge", fewbit_linear_run_range, residual_stride,
             (linear, 2, input, K, NULL, SIZE_MAX, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    NULL_ACCEPTED(fewbit_linear_run_range, parallel_for,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, N, &err));
    NULL_ACCEPTED(fewbit_linear_run_range, error,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, N, NULL));
    ZERO_ACCEPTED(fewbit_linear_run_range, rows, (linear, 0, input, K, NULL, 0, memory, size, NULL, places, N, 0, 0, 0, N, &err));
    HUGE_REFUSED(fewbit_linear_run_range, rows,
                 (linear, SIZE_MAX, input, K, NULL, 0, memory, size, NULL, out.f32, N, 0, 2, 0, N, &err));
    REFUSED("zero", fewbit_linear_run_range, x_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
            (linear, 2, input, 0, NULL, 0, memory, size, NULL, out.f32, N, 0, 2, 0, N, &err));
    HUGE_REFUSED(fewbit_linear_run_range, x_stride,
                 (linear, 2, input, SIZE_MAX / 2, NULL, 0, memory, size, NULL, out.f32, N, 0, 2, 0, N, &err));
    REFUSED("zero", fewbit_linear_run_range, y_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
            (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, 0, 0, 2, 0, N, &err));
    HUGE_REFUSED(fewbit_linear_run_range, y_stride,
                 (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, SIZE_MAX, 0, 2, 0, N, &err));
    REFUSED("zero", fewbit_linear_run_range, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
            (linear, 2, input, K, NULL, 0, memory, 0, NULL, out.f32, N, 0, 2, 0, N, &err));
    ACCEPTED("huge", fewbit_linear_run_range, workspace_size,
             (linear, 2, input, K, NULL, 0, memory, SIZE_MAX, NULL, places, N, 0, 2, 0, N, &err));
    ZERO_ACCEPTED(fewbit_linear_run_range, row_begin,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 1, 0, N, &err));
    HUGE_REFUSED(fewbit_linear_run_range, row_begin,
                 (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, N, SIZE_MAX, 2, 0, N, &err));
    ZERO_ACCEPTED(fewbit_linear_run_range, row_end,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 0, 0, N, &err));
    HUGE_REFUSED(fewbit_linear_run_range, row_end,
                 (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, N, 0, SIZE_MAX, 0, N, &err));
    ZERO_ACCEPTED(fewbit_linear_run_range, col_begin,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, 1, &err));
    HUGE_REFUSED(fewbit_linear_run_range, col_begin,
                 (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, N, 0, 2, SIZE_MAX, N, &err));
    ZERO_ACCEPTED(fewbit_linear_run_range, col_end,
                  (linear, 2, input, K, NULL, 0, memory, size, NULL, places, N, 0, 2, 0, 0, &err));
    HUGE_REFUSED(fewbit_linear_run_range, col_end,
                 (linear, 2, input, K, NULL, 0, memory, size, NULL, out.f32, N, 0, 2, 0, SIZE_MAX, &err));

    NULL_EXPLAINED(fewbit_linear_info, linear, (NULL, out.name, sizeof out.name, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_linear_info, kernel_name, (linear, NULL, 0, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_linear_info, bound, (linear, out.name, sizeof out.name, NULL, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_linear_info, weight_bytes, (linear, out.name, sizeof out.name, &out.bound, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_info, error, (linear, out.name, sizeof out.name, &out.bound, &out.bytes, NULL));
    REFUSED("zero", fewbit_linear_info, kernel_name_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
            (linear, out.name, 0, &out.bound, &out.bytes, &err));
    ACCEPTED("huge", fewbit_linear_info, kernel_name_size,
             (linear, out.name, SIZE_MAX, &out.bound, &out.bytes, &err));
    free(memory);
    fewbit_linear_destroy(linear);
}

static void test_conv_calls(void) {
    fewbit_conv *conv = any_conv(FEWBIT_INPUT_STATIC, FEWBIT_F32);
    static float input[2 * IMAGE_C * IMAGE_H * IMAGE_W], places[2 * 6 * 6 * FILTERS];
    fewbit_parallel_for none = {NULL, 0, NULL, 0};
    size_t size = 0;
    void *memory = conv_memory(conv, 2, 1, &size);
    NULL_EXPLAINED(fewbit_conv_workspace, conv, (NULL, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_conv_workspace, size, (conv, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_conv_workspace, align, (conv, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_workspace, error, (conv, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_conv_workspace, images, (conv, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_conv_workspace, max_workers, (conv, 2, 0, &out.size, &out.align, &err));
    HUGE_EXPLAINED(fewbit_conv_workspace, images, (conv, SIZE_MAX, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_conv_workspace, max_workers, (conv, 2, SIZE_MAX, &out.size, &out.align, &err));

    NULL_EXPLAINED(fewbit_conv_run, conv, (NULL, 2, input, NULL, memory, size, NULL, places, &err));
    NULL_EXPLAINED(fewbit_conv_run, x, (conv, 2, NULL, NULL, memory, size, NULL, places, &err));
    NULL_EXPLAINED(fewbit_conv_run, workspace, (conv, 2, input, NULL, NULL, size, NULL, places, &err));
    NULL_EXPLAINED(fewbit_conv_run, y, (conv, 2, input, NULL, memory, size, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_run, residual, (conv, 2, input, NULL, memory, size, NULL, places, &err));
    NULL_ACCEPTED(fewbit_conv_run, parallel_for, (conv, 2, input, NULL, memory, size, NULL, places, &err));
    NULL_ACCEPTED(fewbit_conv_run, error, (conv, 2, input, NULL, memory, size, NULL, places, NULL));
    ZERO_ACCEPTED(fewbit_conv_run, images, (conv, 0, NULL, NULL, NULL, 0, NULL, NULL, &err));
    HUGE_EXPLAINED(fewbit_conv_run, images, (conv, SIZE_MAX, input, NULL, memory, size, NULL, out.f32, &err));
    EXPLAINED("zero", fewbit_conv_run, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (conv, 2, input, NULL, memory, 0, NULL, out.f32, &err));
    EXPLAINED("small", fewbit_conv_run, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (conv, 2, input, NULL, memory, size - 1, NULL, out.f32, &err));
    ACCEPTED("huge", fewbit_conv_run, workspace_size, (conv, 2, input, NULL, memory, SIZE_MAX, NULL, places, &err));
    INVALID_EXPLAINED(fewbit_conv_run, parallel_for, (conv, 2, input, NULL, memory, size, &none, out.f32, &err));
    MISALIGNED(fewbit_conv_run, x, (conv, 2, (char *)input + 2, NULL, memory, size, NULL, out.f32, &err));
    MISALIGNED(fewbit_conv_run, y, (conv, 2, input, NULL, memory, size, NULL, (char *)out.f32 + 1, &err));
    MISALIGNED(fewbit_conv_run, workspace, (conv, 2, input, NULL, (char *)memory + 1, size, NULL, out.f32, &err));
    OVERLAPPING(fewbit_conv_run, y, (conv, 2, out.f32, NULL, memory, size, NULL, out.f32 + 1, &err));
    OVERLAPPING(fewbit_conv_run, workspace, (conv, 2, input, NULL, memory, size, NULL, memory, &err));

    NULL_EXPLAINED(fewbit_conv_info, conv,
                   (NULL, out.dims, &out.in, &out.out, out.name, sizeof out.name, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, out_dims,
                  (conv, NULL, &out.in, &out.out, out.name, sizeof out.name, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, in_elements,
                  (conv, out.dims, NULL, &out.out, out.name, sizeof out.name, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, out_elements,
                  (conv, out.dims, &out.in, NULL, out.name, sizeof out.name, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, kernel_name,
                  (conv, out.dims, &out.in, &out.out, NULL, 0, &out.bound, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, bound,
                  (conv, out.dims, &out.in, &out.out, out.name, sizeof out.name, NULL, &out.bytes, &err));
    NULL_ACCEPTED(fewbit_conv_info, weight_bytes,
                  (conv, out.dims, &out.in, &out.out, out.name, sizeof out.name, &out.bound, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_info, error,
                  (conv, out.dims, &out.in, &out.out, out.name, sizeof out.name, &out.bound, &out.bytes, NULL));
    REFUSED("zero", fewbit_conv_info, kernel_name_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
            (conv, out.dims, &out.in, &out.out, out.name, 0, &out.bound, &out.bytes, &err));
    ACCEPTED("huge", fewbit_conv_info, kernel_name_size,
             (conv, out.dims, &out.in, &out.out, out.name, SIZE_MAX, &out.bound, &out.bytes, &err));
    free(memory);
    fewbit_conv_destroy(conv);
}

void test_bad_plans(void) {
    test_linear_descriptions();
    test_conv_descriptions();
    test_linear_calls();
    test_conv_calls();
}

static void check_sentence(const char *argument, const char *message) {
    CHECK(strcmp(err.argument, argument) == 0);
    CHECK(strcmp(err.message, message) == 0);
    if (strcmp(err.message, message) != 0) {
        printf("    said:     %s\n    expected: %s\n", err.message, message);
    }
}

/* Sentences that users will read, word by word. */
void test_sentences(void) {
    fewbit_linear_desc desc = good_linear();
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    const fewbit_shape shape = shape2(4, 6);
    fewbit_linear *linear = NULL;
    char name[64];
    static int8_t heavy[200000];

    memset(&err, 0x5A, sizeof err);
    CHECK_OK(fewbit_param_count(&shape, &spec, &out.count, &err));
    CHECK(err.status == FEWBIT_OK && err.argument[0] == 0 && err.message[0] == 0);
    CHECK_STATUS(FEWBIT_ERROR_NULL_POINTER, fewbit_param_count(NULL, &spec, &out.count, &err));
    check_sentence("shape", "shape is NULL");
    spec.scheme = -9;
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_param_count(&shape, &spec, &out.count, &err));
    check_sentence("spec.scheme", "spec.scheme is -9, which is none of its named constants");
    spec.scheme = FEWBIT_SCHEME_AFFINE;
    spec.struct_size = 8;
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_param_count(&shape, &spec, &out.count, &err));
    check_sentence("spec", "spec has struct_size 8, but this library's is 72; initialise it with its _INIT macro");
    spec.struct_size = sizeof spec;
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_params_from_range(1.5f, -0.25f, &spec, &out.params, &err));
    check_sentence("min", "min is 1.5, above max -0.25");

    desc.weights.scale_count = 3;
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_linear_create(&desc, &linear, &err));
    check_sentence("desc.weights.scales",
                   "desc.weights.scales has 3 values, but needs 1 or one for each of 4 output channels");
    desc.weights.scale_count = 4;
    desc.input.params.scale = -2.5e-7f;
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_linear_create(&desc, &linear, &err));
    check_sentence("desc.input",
                   "desc.input has the scale -2.5e-7, but a scale must be finite and greater than 0");

    /* 200000 products of at most 127 * 128 do not fit int32, and the sum is told. */
    memset(heavy, 127, sizeof heavy);
    desc = good_linear();
    desc.in_features = sizeof heavy;
    desc.out_features = 1;
    desc.weights.data = heavy;
    desc.weights.scale_count = desc.weights.zero_point_count = 1;
    CHECK_STATUS(FEWBIT_ERROR_LIMIT_EXCEEDED, fewbit_linear_create(&desc, &linear, &err));
    CHECK(strstr(err.message, "3251200000") != NULL && linear == NULL);

    linear = any_linear(FEWBIT_INPUT_CODES, FEWBIT_S32);
    CHECK_STATUS(FEWBIT_ERROR_BUFFER_TOO_SMALL, fewbit_linear_info(linear, name, 2, NULL, NULL, &err));
    CHECK(strncmp(err.message, "name_size is 2, but the name needs ", 35) == 0 ||
          strncmp(err.message, "kernel_name_size is 2, but the name needs ", 42) == 0);
    fewbit_linear_destroy(linear);
}
