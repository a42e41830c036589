/* What becomes of sums: every activation, residual and type of result, on a layer of one weight. */
#include "check.h"

static double magnitude(double x) {
    return x < 0 ? -x : x;
}

/* Plain series instead of a mathematics library: the harness shows that programs with fewbit need none. */
static double exponential(double x) {
    double sum = 1, term = 1;
    int i;
    x /= 4096;
    for (i = 1; i < 8; i++) {
        sum += term *= x / i;
    }
    for (i = 0; i < 12; i++) {
        sum *= sum;
    }
    return sum;
}

static double logistic(double x) {
    if (magnitude(x) > 700) {
        return x < 0 ? 0 : 1;
    }
    return x < 0 ? exponential(x) / (1 + exponential(x)) : 1 / (1 + exponential(-x));
}

static double hyperbolic_tangent(double x) {
    return 2 * logistic(2 * x) - 1;
}

/* The normal distribution function: 1/2 + exp(-x^2 / 2) (x + x^3 / 3 + x^5 / (3 * 5) + ...) / sqrt(2 pi). */
static double normal(double x) {
    double sum = 0, term = x;
    int i;
    if (magnitude(x) > 9) {
        return x < 0 ? 0 : 1;
    }
    for (i = 3; i < 401; i += 2) {
        sum += term;
        term *= x * x / i;
    }
    return 0.5 + exponential(-x * x / 2) * sum * 0.3989422804014327;
}

/* One output feature of one input feature: y = x * 0.5 for codes x of scale 0.5. */
static fewbit_linear_desc one(void) {
    static const int8_t weight = 1;
    static const float scale = 1.0f;
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = desc.out_features = 1;
    desc.weights.data = &weight;
    desc.weights.scales = &scale;
    desc.weights.scale_count = 1;
    desc.input.params.scale = 0.5f;
    return desc;
}

/* Runs rows; `residual` may be NULL. */
static void run(const fewbit_linear_desc *desc, size_t rows, const void *x, const void *residual, void *y) {
    fewbit_linear *linear = NULL;
    fewbit_error error;
    size_t size;
    void *memory;
    CHECK_OK(fewbit_linear_create(desc, &linear, &error));
    if (linear == NULL) {
        printf("%s\n", error.message);
        return;
    }
    memory = linear_memory(linear, rows, 1, &size);
    CHECK_OK(fewbit_linear_run_range(linear, rows, x, 1, residual, 1, memory, size, NULL, y, 1, 0, rows, 0, 1, NULL));
    free(memory);
    fewbit_linear_destroy(linear);
}

/* The activations in double precision. */
static double exact(int32_t activation, double y) {
    switch (activation) {
    case FEWBIT_ACTIVATION_RELU:
        return y > 0 ? y : 0;
    case FEWBIT_ACTIVATION_CLAMP:
        return y < -1 ? -1 : y > 6 ? 6 : y;
    case FEWBIT_ACTIVATION_LEAKY_RELU:
        return y < 0 ? -y : y; /* alpha is -1 */
    case FEWBIT_ACTIVATION_HARD_SWISH:
        return y < -3 ? 0 : y > 3 ? y : y * (y + 3) / 6;
    case FEWBIT_ACTIVATION_SIGMOID:
        return logistic(y);
    case FEWBIT_ACTIVATION_SILU:
        return y * logistic(y);
    case FEWBIT_ACTIVATION_TANH:
        return hyperbolic_tangent(y);
    case FEWBIT_ACTIVATION_GELU:
        return y * normal(y);
    case FEWBIT_ACTIVATION_GELU_TANH:
        return y * logistic(1.5957691216057308 * (y + 0.044715 * y * y * y));
    default:
        return y;
    }
}

static void test_activations(void) {
    int8_t x[256], codes[256];
    float y[256];
    int32_t activation;
    size_t i;
    for (i = 0; i < COUNT(x); i++) {
        x[i] = (int8_t)((int)i - 128);
    }
    for (activation = FEWBIT_ACTIVATION_NONE; activation <= FEWBIT_ACTIVATION_GELU_TANH; activation++) {
        fewbit_linear_desc desc = one();
        desc.output.activation = activation;
        desc.output.alpha = -1.0f;
        desc.output.beta = 6.0f;
        run(&desc, COUNT(x), x, NULL, y);
        for (i = 0; i < COUNT(x); i++) {
            const double want = exact(activation, 0.5 * x[i]);
            CHECK(magnitude(y[i] - want) <= 1e-6 * (magnitude(want) + 0.1));
        }
        /* Operator by operator: codes of the layer, then each through the function and quantized. */
        desc.output.dtype = FEWBIT_S8;
        desc.output.params.scale = 0.25f;
        desc.output.mode = FEWBIT_ACTIVATION_MODE_TABLE;
        desc.output.table_params.scale = 0.5f;
        run(&desc, COUNT(x), x, NULL, codes);
        for (i = 0; i < COUNT(x); i++) {
            int8_t want;
            const fewbit_quant_params params = {0.25f, 0};
            CHECK_OK(fewbit_quantize_f32_s8(&y[i], 1, &params, &want));
            CHECK(codes[i] == want);
        }
    }
}

/* 2 * q + residual, of numbers that all types hold exactly. */
static void test_types(void) {
    static const int32_t types[] = {FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8};
    static const float reals[] = {-3.5f, -1.0f, 0.0f, 0.5f, 2.0f, 7.5f};
    enum { N = COUNT(reals) };
    uint16_t halves[2][N];
    int8_t codes[N];
    const void *stored[4];
    size_t in, added, out, i;
    stored[0] = reals;
    CHECK_OK(fewbit_convert_f32_f16(reals, N, halves[0]));
    CHECK_OK(fewbit_convert_f32_bf16(reals, N, halves[1]));
    stored[1] = halves[0];
    stored[2] = halves[1];
    for (i = 0; i < N; i++) {
        codes[i] = (int8_t)(reals[i] * 2.0f + 3.0f); /* scale 0.5, zero point 3 */
    }
    stored[3] = codes;
    for (in = 0; in < COUNT(types); in++) {
        for (added = 0; added < COUNT(types); added++) {
            for (out = 0; out < COUNT(types); out++) {
                fewbit_linear_desc desc = one();
                union {
                    float f32[N];
                    uint16_t half[N];
                    int8_t s8[N];
                } y;
                float got[N];
                desc.input.mode = in == 3 ? FEWBIT_INPUT_CODES : FEWBIT_INPUT_STATIC;
                desc.input.real = in == 3 ? FEWBIT_F32 : types[in];
                desc.input.params.zero_point = 3;
                desc.residual.present = 1;
                desc.residual.dtype = types[added];
                desc.residual.params.scale = 0.5f;
                desc.residual.params.zero_point = 3;
                desc.output.dtype = types[out];
                desc.output.params.scale = 1.0f;
                desc.output.params.zero_point = -1;
                run(&desc, N, stored[in], stored[added], &y);
                for (i = 0; i < N; i++) {
                    got[i] = out == 0 ? y.f32[i] : out == 3 ? (float)(y.s8[i] + 1) : 0.0f;
                }
                if (out == 1) {
                    CHECK_OK(fewbit_convert_f16_f32(y.half, N, got));
                } else if (out == 2) {
                    CHECK_OK(fewbit_convert_bf16_f32(y.half, N, got));
                }
                for (i = 0; i < N; i++) {
                    CHECK(got[i] == reals[i] + reals[i]);
                }
            }
        }
    }
}

/* The residual is where the results go. */
static void test_in_place(void) {
    fewbit_linear_desc desc = one();
    int8_t x[3] = {2, -4, 6};
    float y[3] = {10.0f, 20.0f, 30.0f};
    fewbit_linear *linear = NULL;
    size_t size;
    void *memory;
    desc.residual.present = 1;
    run(&desc, 3, x, y, y);
    CHECK(y[0] == 11.0f && y[1] == 18.0f && y[2] == 33.0f);
    CHECK_OK(fewbit_linear_create(&desc, &linear, NULL));
    memory = linear_memory(linear, 3, 1, &size);
    CHECK_STATUS(FEWBIT_ERROR_NULL_POINTER, fewbit_linear_run(linear, 3, x, 1, memory, size, NULL, y, 1, NULL));
    CHECK_STATUS(FEWBIT_ERROR_OVERLAP, fewbit_linear_run_range(linear, 2, x, 1, y + 1, 1, memory, size, NULL, y, 1, 0,
                                                               2, 0, 1, NULL));
    CHECK_STATUS(FEWBIT_ERROR_MISALIGNED, fewbit_linear_run_range(linear, 2, x, 1, (char *)y + 2, 1, memory, size,
                                                                  NULL, y, 1, 0, 2, 0, 1, NULL));
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_linear_run_range(linear, 3, x, 1, y, 0, memory, size, NULL, y, 1,
                                                                        0, 3, 0, 1, NULL));
    CHECK(y[0] == 11.0f && y[1] == 18.0f && y[2] == 33.0f);
    free(memory);
    fewbit_linear_destroy(linear);
}

/* A convolution of one tap with a residual in both places. */
static void test_conv_residual(void) {
    static const int8_t weight = 1;
    static const float scale = 1.0f;
    const int8_t x[4] = {2, -4, 6, 8};
    const float residual[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    fewbit_conv *conv = NULL;
    float y[4];
    size_t size;
    void *memory;
    desc.axes[0].size = desc.axes[1].size = 2;
    desc.in_channels = desc.out_channels = 1;
    desc.weights.data = &weight;
    desc.weights.scales = &scale;
    desc.weights.scale_count = 1;
    desc.input.params.scale = 0.5f;
    desc.residual.present = 1;
    desc.output.activation = FEWBIT_ACTIVATION_RELU;
    CHECK_OK(fewbit_conv_create(&desc, &conv, NULL));
    memory = conv_memory(conv, 1, 1, &size);
    CHECK_OK(fewbit_conv_run(conv, 1, x, residual, memory, size, NULL, y, NULL));
    CHECK(y[0] == 2.0f && y[1] == 0.0f && y[2] == 6.0f && y[3] == 8.0f);
    CHECK_STATUS(FEWBIT_ERROR_NULL_POINTER, fewbit_conv_run(conv, 1, x, NULL, memory, size, NULL, y, NULL));
    free(memory);
    fewbit_conv_destroy(conv);
}

void test_epilogues(void) {
    test_activations();
    test_types();
    test_in_place();
    test_conv_residual();
}
