/* Codes by fixed point, codes of parameters that each row chooses, and weights with a scale a block: against the library's
 * own smaller steps, or numbers that f32 holds exactly. */
#include "refused.h"

enum { M = LAYER_M, K = LAYER_K, N = LAYER_N, BLOCK = 16, BLOCKS = (K + BLOCK - 1) / BLOCK };

static int8_t weights[N * K], x[M * K];
static float scales[N];
static int32_t sum_bias[N];

static fewbit_linear_desc layer(void) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    uint32_t state = 77;
    size_t i;
    for (i = 0; i < COUNT(weights); i++) {
        weights[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(x); i++) {
        x[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < N; i++) {
        scales[i] = (float)(1 + random_bits(&state) % 1000) * 1e-4f;
        sum_bias[i] = (int32_t)(random_bits(&state) % 200001) - 100000;
    }
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = weights;
    desc.weights.scales = scales;
    desc.weights.scale_count = N;
    desc.input.params.scale = 0.05f;
    desc.input.params.zero_point = -7;
    desc.bias.data = sum_bias;
    desc.bias.dtype = FEWBIT_S32;
    return desc;
}

static fewbit_linear *made(const fewbit_linear_desc *desc) {
    fewbit_linear *linear = NULL;
    fewbit_error error;
    CHECK_OK(fewbit_linear_create(desc, &linear, &error));
    if (linear == NULL) {
        printf("%s\n", error.message);
        exit(1);
    }
    return linear;
}

static void run_layer(const fewbit_linear_desc *desc, void *y) {
    fewbit_linear *linear = made(desc);
    size_t size = 0;
    void *memory = linear_memory(linear, M, 1, &size);
    CHECK_OK(fewbit_linear_run(linear, M, x, K, memory, size, NULL, y, N, NULL));
    free(memory);
    fewbit_linear_destroy(linear);
}

/* The sums, each requantized by itself. */
static void test_fixed_point(void) {
    static const int32_t roundings[] = {FEWBIT_FIXED_DOUBLE, FEWBIT_FIXED_SINGLE};
    static int32_t sums[M * N];
    int32_t multipliers[N], shifts[N];
    int8_t y[M * N], given[M * N], expected[M * N];
    fewbit_linear_desc desc = layer();
    size_t i, rounding;
    desc.output.dtype = FEWBIT_S32;
    run_layer(&desc, sums);
    desc.output.dtype = FEWBIT_S8;
    desc.output.params.scale = 2.5f;
    desc.output.params.zero_point = 11;
    desc.output.quantization = FEWBIT_OUTPUT_FIXED_POINT;
    desc.output.activation = FEWBIT_ACTIVATION_RELU;
    for (i = 0; i < N; i++) {
        const double real = (double)desc.input.params.scale * (double)scales[i] / (double)desc.output.params.scale;
        CHECK_OK(fewbit_fixed_multiplier(real, &multipliers[i], &shifts[i]));
    }
    for (rounding = 0; rounding < COUNT(roundings); rounding++) {
        size_t differ = 0, low = 0, high = 0;
        for (i = 0; i < M * N; i++) {
            CHECK_OK(fewbit_requantize_fixed_s32_s8(&sums[i], 1, multipliers[i % N], shifts[i % N], roundings[rounding],
                                                    11, &expected[i]));
            expected[i] = expected[i] < 11 ? 11 : expected[i];
            low += expected[i] == 11;
            high += expected[i] == 127;
            differ += expected[i] != expected[0];
        }
        CHECK(differ > M && low > 0 && high > 0); /* not all the same */
        desc.output.rounding = roundings[rounding];
        run_layer(&desc, y);
        CHECK_BYTES(expected, y, sizeof y);
        /* Multipliers given instead of scales. */
        desc.weights.multipliers = multipliers;
        desc.weights.shifts = shifts;
        desc.weights.multiplier_count = N;
        desc.weights.scales = NULL;
        desc.weights.scale_count = 0;
        run_layer(&desc, given);
        CHECK_BYTES(expected, given, sizeof given);
        desc.weights = layer().weights;
    }
}

void expected_rows(const float *real, size_t rows, size_t columns, int32_t scheme, int8_t *q, float *q_scales,
                   int32_t *zero_points) {
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    const fewbit_shape shape = shape2(rows, columns);
    spec.scheme = scheme;
    spec.granularity = FEWBIT_PER_AXIS;
    CHECK_OK(fewbit_quantize_dynamic(real, &shape, &spec, q_scales, zero_points, rows, NULL, q, &shape, NULL));
}

static void test_dynamic(void) {
    static const int32_t schemes[] = {FEWBIT_SCHEME_AFFINE, FEWBIT_SCHEME_SYMMETRIC};
    static float real[M * N];
    int8_t y[M * N], expected[M * N];
    float y_scales[M], expected_scales[M];
    int32_t zeros[M], expected_zeros[M];
    size_t scheme, row, size = 0;
    for (scheme = 0; scheme < COUNT(schemes); scheme++) {
        fewbit_linear_desc desc = layer();
        fewbit_linear *linear;
        void *memory;
        desc.output.activation = FEWBIT_ACTIVATION_SILU;
        run_layer(&desc, real);
        expected_rows(real, M, N, schemes[scheme], expected, expected_scales, expected_zeros);
        desc.output.dtype = FEWBIT_S8;
        desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
        desc.output.scheme = schemes[scheme];
        linear = made(&desc);
        memory = linear_memory(linear, M, 1, &size);
        CHECK_OK(fewbit_linear_run_dynamic(linear, M, x, K, NULL, 0, memory, size, NULL, y, N, y_scales, zeros, 0, M,
                                           NULL));
        CHECK_BYTES(expected, y, sizeof y);
        CHECK_BYTES(expected_scales, y_scales, sizeof y_scales);
        CHECK_BYTES(expected_zeros, zeros, sizeof zeros);
        memset(y, 0, sizeof y);
        memset(y_scales, 0, sizeof y_scales);
        for (row = 0; row < M; row++) {
            CHECK_OK(fewbit_linear_run_dynamic(linear, M, x, K, NULL, 0, memory, size, NULL, y, N, y_scales, zeros, row,
                                               row + 1, NULL));
        }
        CHECK_BYTES(expected, y, sizeof y);
        CHECK_BYTES(expected_scales, y_scales, sizeof y_scales);
        CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_linear_run(linear, M, x, K, memory, size, NULL, y, N, NULL));
        CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_linear_run_range(linear, M, x, K, NULL, 0, memory, size, NULL, y,
                                                                       N, 0, M, 0, N, NULL));
        CHECK_BYTES(expected, y, sizeof y);
        free(memory);
        fewbit_linear_destroy(linear);
    }
}

enum { PIXELS = 5, IN = 3, OUT = 2 };

/* One axis of five pixels, one tap. */
static fewbit_conv_desc one_tap(void) {
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    desc.spatial = 1;
    desc.axes[0].size = PIXELS;
    desc.in_channels = IN;
    desc.out_channels = OUT;
    desc.weights = layer().weights;
    desc.weights.scale_count = OUT;
    desc.input.params.scale = 0.5f;
    return desc;
}

static void test_conv_dynamic(void) {
    fewbit_conv_desc desc = one_tap();
    fewbit_conv *conv = NULL;
    float real[IMAGES * PIXELS * OUT], y_scales[IMAGES], expected_scales[IMAGES];
    int8_t y[IMAGES * PIXELS * OUT], expected[IMAGES * PIXELS * OUT];
    int32_t zeros[IMAGES], expected_zeros[IMAGES];
    size_t size = 0;
    void *memory;
    CHECK_OK(fewbit_conv_create(&desc, &conv, NULL));
    memory = conv_memory(conv, IMAGES, 1, &size);
    CHECK_OK(fewbit_conv_run(conv, IMAGES, x, NULL, memory, size, NULL, real, NULL));
    free(memory);
    fewbit_conv_destroy(conv);
    expected_rows(real, IMAGES, PIXELS * OUT, FEWBIT_SCHEME_AFFINE, expected, expected_scales, expected_zeros);
    desc.output.dtype = FEWBIT_S8;
    desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
    desc.output.scheme = FEWBIT_SCHEME_AFFINE;
    CHECK_OK(fewbit_conv_create(&desc, &conv, NULL));
    memory = conv_memory(conv, IMAGES, 1, &size);
    CHECK_OK(fewbit_conv_run_dynamic(conv, IMAGES, x, NULL, memory, size, NULL, y, y_scales, zeros, NULL));
    CHECK_BYTES(expected, y, sizeof y);
    CHECK_BYTES(expected_scales, y_scales, sizeof y_scales);
    CHECK_BYTES(expected_zeros, zeros, sizeof zeros);
    CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_conv_run(conv, IMAGES, x, NULL, memory, size, NULL, y, NULL));
    free(memory);
    fewbit_conv_destroy(conv);
}

/* Scales that are powers of two, so that every sum of blocks is exact. */
static void test_weight_blocks(void) {
    float block_scales[N * BLOCKS], y[M * N], expected[M * N];
    int32_t zero_points[N * BLOCKS];
    fewbit_linear_desc desc = layer();
    size_t m, n, k, i;
    for (i = 0; i < COUNT(block_scales); i++) {
        block_scales[i] = 1.0f / (float)(1 << (i % 5));
        zero_points[i] = (int32_t)(i % 17) - 8;
    }
    desc.weights.block = BLOCK;
    desc.weights.scales = block_scales;
    desc.weights.scale_count = N * BLOCKS;
    desc.weights.zero_points = zero_points;
    desc.weights.zero_point_count = N * BLOCKS;
    desc.input.params.scale = 0.5f;
    desc.bias.data = NULL;
    for (m = 0; m < M; m++) {
        for (n = 0; n < N; n++) {
            double sum = 0;
            for (k = 0; k < K; k++) {
                const size_t at = n * BLOCKS + k / BLOCK;
                sum += (x[m * K + k] + 7) * (weights[n * K + k] - zero_points[at]) * 0.5 * block_scales[at];
            }
            expected[m * N + n] = (float)sum;
        }
    }
    run_layer(&desc, y);
    CHECK_BYTES(expected, y, sizeof y);
}

/* The good description with one field changed; `status` with a sentence about `argument`. */
static void refused(const fewbit_linear_desc *desc, fewbit_status status, const char *argument) {
    outputs_reset();
    CHECK_STATUS(status, fewbit_linear_create(desc, &out.linear, &err));
    CHECK(outputs_untouched() && err.status == status && strcmp(err.argument, argument) == 0);
    if (strcmp(err.argument, argument) != 0) {
        printf("    expected %s: %s\n", argument, err.message);
    }
}

static void test_bad_descriptions(void) {
    const int32_t invalid = FEWBIT_ERROR_INVALID_ARGUMENT, unsupported = FEWBIT_ERROR_UNSUPPORTED;
    int32_t multiplier = 1 << 30, shift = -4;
    fewbit_linear_desc fixed = layer(), desc;
    fixed.output.dtype = FEWBIT_U8;
    fixed.output.quantization = FEWBIT_OUTPUT_FIXED_POINT;
    fixed.weights.multipliers = &multiplier;
    fixed.weights.shifts = &shift;
    fixed.weights.multiplier_count = 1;
    fewbit_linear_destroy(made(&fixed));
    desc = fixed, desc.output.quantization = 3;
    refused(&desc, invalid, "desc.output.quantization");
    desc = fixed, desc.output.dtype = FEWBIT_F32;
    refused(&desc, unsupported, "desc.output.quantization");
    desc = fixed, desc.output.rounding = 2;
    refused(&desc, invalid, "desc.output.rounding");
    desc = fixed, desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW, desc.output.scheme = -1;
    refused(&desc, invalid, "desc.output.scheme");
    desc.output.scheme = FEWBIT_SCHEME_AFFINE, desc.output.range = 2;
    refused(&desc, invalid, "desc.output.range");
    desc = fixed, desc.bias.dtype = FEWBIT_F32;
    refused(&desc, unsupported, "desc.bias");
    desc = fixed, desc.output.activation = FEWBIT_ACTIVATION_GELU;
    refused(&desc, unsupported, "desc.output.activation");
    desc = fixed, desc.residual.present = 1;
    refused(&desc, unsupported, "desc.residual");
    desc = fixed, desc.output.quantization = FEWBIT_OUTPUT_STATIC;
    refused(&desc, unsupported, "desc.weights.multipliers");
    desc = fixed, desc.weights.multipliers = NULL;
    refused(&desc, FEWBIT_ERROR_NULL_POINTER, "desc.weights.multipliers");
    desc = fixed, desc.weights.shifts = NULL;
    refused(&desc, FEWBIT_ERROR_NULL_POINTER, "desc.weights.shifts");
    desc = fixed, desc.weights.multiplier_count = 0;
    refused(&desc, invalid, "desc.weights.multiplier_count");
    desc = fixed, desc.weights.multiplier_count = SIZE_MAX;
    refused(&desc, invalid, "desc.weights.multipliers");
    desc = fixed, desc.weights.shifts = ODD(int32_t, &shift);
    refused(&desc, FEWBIT_ERROR_MISALIGNED, "desc.weights.shifts");
    shift = 31;
    refused(&fixed, invalid, "desc.weights.multipliers");
    desc = layer(), desc.bias.data = NULL, desc.weights.block = 8;
    refused(&desc, invalid, "desc.weights.block");
    desc.weights.block = 16;
    refused(&desc, invalid, "desc.weights.scales");
}

static void test_bad_linear_runs(void) {
    fewbit_linear_desc desc = layer();
    fewbit_linear *linear;
    static int8_t y[M * N];
    float *to = out.f32;
    int32_t *zeros = out.s32;
    size_t size = 0;
    void *memory;
    desc.output.dtype = FEWBIT_S8;
    desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
    desc.output.scheme = FEWBIT_SCHEME_AFFINE;
    linear = made(&desc);
    memory = linear_memory(linear, 2, 1, &size);
    NULL_EXPLAINED(fewbit_linear_run_dynamic, linear, (NULL, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    NULL_EXPLAINED(fewbit_linear_run_dynamic, x, (linear, 2, NULL, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    NULL_ACCEPTED(fewbit_linear_run_dynamic, residual, (linear, 2, x, K, NULL, N, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    NULL_EXPLAINED(fewbit_linear_run_dynamic, workspace, (linear, 2, x, K, NULL, 0, NULL, size, NULL, y, N, to, zeros, 0, 2, &err));
    NULL_ACCEPTED(fewbit_linear_run_dynamic, parallel_for, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    NULL_EXPLAINED(fewbit_linear_run_dynamic, y, (linear, 2, x, K, NULL, 0, memory, size, NULL, NULL, N, to, zeros, 0, 2, &err));
    NULL_EXPLAINED(fewbit_linear_run_dynamic, scales, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, NULL, zeros, 0, 2, &err));
    NULL_EXPLAINED(fewbit_linear_run_dynamic, zero_points, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, NULL, 0, 2, &err));
    NULL_ACCEPTED(fewbit_linear_run_dynamic, error, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, NULL));
    ZERO_ACCEPTED(fewbit_linear_run_dynamic, rows, (linear, 0, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 0, &err));
    HUGE_REFUSED(fewbit_linear_run_dynamic, rows, (linear, SIZE_MAX, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    REFUSED("zero", fewbit_linear_run_dynamic, x_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
            (linear, 2, x, 0, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    HUGE_REFUSED(fewbit_linear_run_dynamic, x_stride, (linear, 2, x, SIZE_MAX, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    ZERO_ACCEPTED(fewbit_linear_run_dynamic, residual_stride, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    ACCEPTED("huge", fewbit_linear_run_dynamic, residual_stride, (linear, 2, x, K, NULL, SIZE_MAX, memory, size, NULL, y, N, to, zeros, 0, 2, &err));
    EXPLAINED("zero", fewbit_linear_run_dynamic, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (linear, 2, x, K, NULL, 0, memory, 0, NULL, y, N, to, zeros, 0, 2, &err));
    ACCEPTED("huge", fewbit_linear_run_dynamic, workspace_size, (linear, 2, x, K, NULL, 0, memory, SIZE_MAX, NULL, y, N, to, zeros, 0, 2, &err));
    REFUSED("zero", fewbit_linear_run_dynamic, y_stride, FEWBIT_ERROR_INVALID_ARGUMENT,
            (linear, 2, x, K, NULL, 0, memory, size, NULL, y, 0, to, zeros, 0, 2, &err));
    HUGE_REFUSED(fewbit_linear_run_dynamic, y_stride, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, SIZE_MAX, to, zeros, 0, 2, &err));
    ZERO_ACCEPTED(fewbit_linear_run_dynamic, row_begin, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 1, &err));
    HUGE_REFUSED(fewbit_linear_run_dynamic, row_begin, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, SIZE_MAX, 2, &err));
    ZERO_ACCEPTED(fewbit_linear_run_dynamic, row_end, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, 0, &err));
    HUGE_REFUSED(fewbit_linear_run_dynamic, row_end, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, zeros, 0, SIZE_MAX, &err));
    MISALIGNED(fewbit_linear_run_dynamic, scales, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, ODD(float, to), zeros, 0, 2, &err));
    MISALIGNED(fewbit_linear_run_dynamic, zero_points, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, ODD(int32_t, zeros), 0, 2, &err));
    OVERLAPPING(fewbit_linear_run_dynamic, scales, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, (float *)memory, zeros, 0, 2, &err));
    OVERLAPPING(fewbit_linear_run_dynamic, zero_points, (linear, 2, x, K, NULL, 0, memory, size, NULL, y, N, to, (int32_t *)(void *)(to + 1), 0, 2, &err));
    free(memory);
    fewbit_linear_destroy(linear);
}

static void test_bad_conv_runs(void) {
    fewbit_conv_desc desc = one_tap();
    fewbit_conv *conv = NULL;
    static int8_t y[2 * PIXELS * OUT];
    float *to = out.f32;
    int32_t *zeros = out.s32;
    size_t size = 0;
    void *memory;
    desc.output.dtype = FEWBIT_S8;
    desc.output.quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
    desc.output.scheme = FEWBIT_SCHEME_AFFINE;
    CHECK_OK(fewbit_conv_create(&desc, &conv, NULL));
    memory = conv_memory(conv, 2, 1, &size);
    NULL_EXPLAINED(fewbit_conv_run_dynamic, conv, (NULL, 2, x, NULL, memory, size, NULL, y, to, zeros, &err));
    NULL_EXPLAINED(fewbit_conv_run_dynamic, x, (conv, 2, NULL, NULL, memory, size, NULL, y, to, zeros, &err));
    NULL_ACCEPTED(fewbit_conv_run_dynamic, residual, (conv, 2, x, NULL, memory, size, NULL, y, to, zeros, &err));
    NULL_EXPLAINED(fewbit_conv_run_dynamic, workspace, (conv, 2, x, NULL, NULL, size, NULL, y, to, zeros, &err));
    NULL_ACCEPTED(fewbit_conv_run_dynamic, parallel_for, (conv, 2, x, NULL, memory, size, NULL, y, to, zeros, &err));
    NULL_EXPLAINED(fewbit_conv_run_dynamic, y, (conv, 2, x, NULL, memory, size, NULL, NULL, to, zeros, &err));
    NULL_EXPLAINED(fewbit_conv_run_dynamic, scales, (conv, 2, x, NULL, memory, size, NULL, y, NULL, zeros, &err));
    NULL_EXPLAINED(fewbit_conv_run_dynamic, zero_points, (conv, 2, x, NULL, memory, size, NULL, y, to, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_run_dynamic, error, (conv, 2, x, NULL, memory, size, NULL, y, to, zeros, NULL));
    ZERO_ACCEPTED(fewbit_conv_run_dynamic, images, (conv, 0, x, NULL, memory, size, NULL, y, to, zeros, &err));
    HUGE_EXPLAINED(fewbit_conv_run_dynamic, images, (conv, SIZE_MAX, x, NULL, memory, size, NULL, y, to, zeros, &err));
    EXPLAINED("zero", fewbit_conv_run_dynamic, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (conv, 2, x, NULL, memory, 0, NULL, y, to, zeros, &err));
    ACCEPTED("huge", fewbit_conv_run_dynamic, workspace_size, (conv, 2, x, NULL, memory, SIZE_MAX, NULL, y, to, zeros, &err));
    OVERLAPPING(fewbit_conv_run_dynamic, scales, (conv, 2, x, NULL, memory, size, NULL, y, (float *)memory, zeros, &err));
    free(memory);
    fewbit_conv_destroy(conv);
}

void test_outputs(void) {
    test_fixed_point();
    test_dynamic();
    test_conv_dynamic();
    test_weight_blocks();
    test_bad_descriptions();
    test_bad_linear_runs();
    test_bad_conv_runs();
}
