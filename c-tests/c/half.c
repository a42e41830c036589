/* Real numbers: layers of f32, f16 and bf16 weights on numbers whose results are known, and what 16 bits do to numbers. */
#include "half.h"

#include <math.h>

enum { K = 5, N = 19, M = 7 };

/* Small integers, exact in every format, as are their products and sums. */
static int weight(size_t n, size_t k) {
    return (int)((n * 7 + k * 3) % 9) - 4;
}

static int input(size_t m, size_t k) {
    return (int)((m * 5 + k * 11) % 13) - 6;
}

static float w[N * K], x[M * K], y[M * N], bias[N];

static fewbit_linear_desc real_desc(int32_t weights, int32_t in, int32_t to) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = w;
    desc.weights.dtype = weights;
    desc.input.mode = FEWBIT_INPUT_REAL;
    desc.input.real = in;
    desc.bias.data = bias;
    desc.bias.dtype = FEWBIT_F32;
    desc.output.dtype = to;
    desc.output.activation = FEWBIT_ACTIVATION_RELU;
    return desc;
}

static int may_use(const char *isa) {
    uint32_t enabled = 0, bit;
    CHECK_OK(fewbit_isa_enabled(&enabled, NULL));
    for (bit = 0; fewbit_isa_name(bit) != NULL; bit++) {
        if (strcmp(fewbit_isa_name(bit), isa) == 0) {
            return (int)(enabled >> bit & 1);
        }
    }
    return 0;
}

/* What an arithmetic needs. */
static const char *const needed[] = {NULL, "avx512_bf16", "neon_bf16", "neon_fp16"};

/* An arithmetic that is asked for by name gives these results too, or is refused for its name. */
static void test_formats(int32_t weights, int32_t in, int32_t to, int32_t arithmetic) {
    fewbit_linear_desc desc = real_desc(weights, in, to);
    fewbit_linear *linear = NULL, *mapped = NULL;
    fewbit_plan_info info = FEWBIT_PLAN_INFO_INIT;
    size_t size = 0, bytes = 0, m, n, k;
    void *memory, *packed;
    for (n = 0; n < N; n++) {
        bias[n] = (float)n * 0.5f - 3.0f;
        for (k = 0; k < K; k++) {
            store(weights, w, n * K + k, (float)weight(n, k));
        }
    }
    for (m = 0; m < M; m++) {
        for (k = 0; k < K; k++) {
            store(in, x, m * K + k, (float)input(m, k));
        }
    }
    desc.arithmetic = arithmetic;
    if (needed[arithmetic] != NULL && !may_use(needed[arithmetic])) {
        CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_linear_create(&desc, &linear, &err));
        CHECK(linear == NULL && strcmp(err.argument, "desc.arithmetic") == 0);
        return;
    }
    CHECK_OK(fewbit_linear_create(&desc, &linear, &err));
    CHECK_OK(fewbit_linear_describe(linear, &info, &err));
    CHECK(info.input_mode == FEWBIT_INPUT_REAL && info.input_dtype == in && info.output_dtype == to);
    CHECK(info.code_dtype == FEWBIT_F32 && info.bound == 0 && info.weight_bytes >= N * K * size_of(weights));
    CHECK_OK(fewbit_linear_packed_size(linear, &bytes, &err));
    packed = aligned_memory(bytes, 64);
    CHECK_OK(fewbit_linear_save_packed(linear, packed, bytes, &err));
    desc.weights.data = NULL;
    CHECK_OK(fewbit_linear_create_packed(&desc, packed, bytes, &mapped, &err));
    memory = linear_memory(linear, M, 1, &size);
    memset(y, 0, sizeof y);
    CHECK_OK(fewbit_linear_run(linear, M, x, K, memory, size, NULL, y, N, &err));
    for (m = 0; m < M; m++) {
        for (n = 0; n < N; n++) {
            float want = bias[n];
            for (k = 0; k < K; k++) {
                want += (float)(weight(n, k) * input(m, k));
            }
            want = want < 0.0f ? 0.0f : want;
            CHECK(load(to, y, m * N + n) == want);
        }
    }
    {
        static float again[M * N];
        memset(again, 0, sizeof again);
        CHECK_OK(fewbit_linear_run(mapped, M, x, K, memory, size, NULL, again, N, &err));
        CHECK_BYTES(y, again, sizeof y);
    }
    fewbit_linear_destroy(linear);
    fewbit_linear_destroy(mapped);
    free(memory);
    free(packed);
}

/* One field of a good description changed: refused, with its name. */
#define BAD_REAL(change, wanted, named)                                            \
    do {                                                                           \
        fewbit_linear_desc desc = real_desc(FEWBIT_F16, FEWBIT_F32, FEWBIT_F32);   \
        change;                                                                    \
        outputs_reset();                                                           \
        CHECK_STATUS(wanted, fewbit_linear_create(&desc, &out.linear, &err));      \
        CHECK(outputs_untouched() && strcmp(err.argument, named) == 0);            \
    } while (0)

static void test_refused(void) {
    static const int32_t one = 1;
    static const float scale = 1.0f;
    BAD_REAL(desc.input.mode = FEWBIT_INPUT_CODES, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");
    BAD_REAL(desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");
    BAD_REAL(desc.weights.dtype = FEWBIT_S2, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");
    BAD_REAL(desc.weights.data = NULL, FEWBIT_ERROR_NULL_POINTER, "desc.weights.data");
    BAD_REAL(desc.weights.data = (const char *)w + 1, FEWBIT_ERROR_MISALIGNED, "desc.weights.data");
    BAD_REAL(desc.weights.block = 32, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.block");
    BAD_REAL(desc.weights.scales = &scale; desc.weights.scale_count = 1, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.scales");
    BAD_REAL(desc.weights.zero_points = &one; desc.weights.zero_point_count = 1, FEWBIT_ERROR_UNSUPPORTED,
             "desc.weights.zero_points");
    BAD_REAL(desc.weights.multipliers = &one, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.multipliers");
    BAD_REAL(desc.input.real = FEWBIT_S8, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input.real");
    BAD_REAL(desc.bias.dtype = FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.bias");
    BAD_REAL(desc.output.dtype = FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.output");
    BAD_REAL(desc.output.dtype = FEWBIT_S8; desc.output.quantization = FEWBIT_OUTPUT_FIXED_POINT,
             FEWBIT_ERROR_UNSUPPORTED, "desc.output");
    BAD_REAL(desc.output.dtype = FEWBIT_S8; desc.output.mode = FEWBIT_ACTIVATION_MODE_TABLE, FEWBIT_ERROR_UNSUPPORTED,
             "desc.output.mode");
    BAD_REAL(desc.weight_layout = 7, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.weight_layout");
    BAD_REAL(desc.arithmetic = 5, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.arithmetic");
    BAD_REAL(desc.arithmetic = FEWBIT_ARITHMETIC_BF16_DOT, FEWBIT_ERROR_UNSUPPORTED, "desc.arithmetic");
    BAD_REAL(desc.arithmetic = FEWBIT_ARITHMETIC_BF16_DOT_ODD, FEWBIT_ERROR_UNSUPPORTED, "desc.arithmetic");
    BAD_REAL(desc.arithmetic = FEWBIT_ARITHMETIC_F16_FMA; desc.input.real = FEWBIT_BF16, FEWBIT_ERROR_UNSUPPORTED,
             "desc.arithmetic");
    BAD_REAL(desc.in_features = SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "desc");
    BAD_REAL(desc.in_features = 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.in_features");
}

static void test_hazards(void) {
    /* f16: two overflow, three vanish, one is subnormal; bf16: one of each. */
    const float numbers[] = {1.0f,      -65519.0f, 65520.0f, 3.4e38f, 0x1p-25f, -0x1p-24f,
                             0x1p-149f, 0x1p-130f, 0.0f,     -0.0f,   INFINITY, NAN};
    const float small[] = {0x1p-20f, 0.5f};
    fewbit_half_hazards found;
    CHECK_OK(fewbit_half_hazards_f32(numbers, COUNT(numbers), &found));
    CHECK(found.count == 12 && found.nan == 1 && found.infinite == 1 && found.zero == 2);
    CHECK(found.largest == 3.4e38f && found.smallest == 0x1p-149f);
    CHECK(found.f16.overflow == 2 && found.f16.underflow == 3 && found.f16.subnormal == 1);
    CHECK(found.bf16.overflow == 1 && found.bf16.underflow == 1 && found.bf16.subnormal == 1);
    CHECK(found.f16.avoids_all == 0 && found.bf16.avoids_all == 0 && found.bf16.scale == 0.5f);
    CHECK_OK(fewbit_half_hazards_f32(small, COUNT(small), &found));
    CHECK(found.f16.subnormal == 1 && found.f16.scale == 64.0f && found.f16.avoids_all == 1);
    CHECK(found.bf16.subnormal == 0 && found.bf16.scale == 1.0f && found.bf16.avoids_all == 1);
}

void test_half(void) {
    const int32_t dtypes[] = {FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16};
    const int32_t support = fewbit_half_support();
    size_t i, j, k;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) {
            for (k = 0; k < 3; k++) {
                test_formats(dtypes[i], dtypes[j], dtypes[k], FEWBIT_ARITHMETIC_CHAIN);
            }
        }
    }
    test_formats(FEWBIT_BF16, FEWBIT_BF16, FEWBIT_F32, FEWBIT_ARITHMETIC_BF16_DOT);
    test_formats(FEWBIT_BF16, FEWBIT_BF16, FEWBIT_BF16, FEWBIT_ARITHMETIC_BF16_DOT);
    test_formats(FEWBIT_BF16, FEWBIT_BF16, FEWBIT_F32, FEWBIT_ARITHMETIC_BF16_DOT_ODD);
    test_formats(FEWBIT_BF16, FEWBIT_BF16, FEWBIT_BF16, FEWBIT_ARITHMETIC_BF16_DOT_ODD);
    test_formats(FEWBIT_F16, FEWBIT_F16, FEWBIT_F32, FEWBIT_ARITHMETIC_F16_FMA);
    test_formats(FEWBIT_F16, FEWBIT_F32, FEWBIT_F16, FEWBIT_ARITHMETIC_F16_FMA);
    test_refused();
    test_hazards();
    CHECK((support & ~(FEWBIT_HALF_F16_CONVERSION | FEWBIT_HALF_F16_ARITHMETIC | FEWBIT_HALF_BF16_DOT)) == 0);
    /* Where AVX2 kernels are used, F16C is there. */
    CHECK(fewbit_isa_detected() == 0 || (support & FEWBIT_HALF_F16_CONVERSION) != 0);
}
