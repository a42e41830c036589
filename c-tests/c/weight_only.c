/* Layers whose weights are codes or blocks and are multiplied as numbers: each is the layer of the dequantized weights. */
#include "refused.h"

enum { K = 512, N = 19, M = 3 };

static float numbers[N * K], x[M * K], y[M * N], want[M * N], code_scales[N * K / 32];
static int32_t zero_points[N * K / 32];
static unsigned char data[N * K / 32 * 34];
static uint8_t block_scales[N * K / 16];

static fewbit_linear_desc desc_of(int32_t dtype, const void *weights) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = weights;
    desc.weights.dtype = dtype;
    desc.input.mode = FEWBIT_INPUT_REAL;
    desc.input.real = FEWBIT_F32;
    desc.output.dtype = FEWBIT_F32;
    return desc;
}

static void run(const fewbit_linear_desc *desc, float *to) {
    fewbit_linear *linear = NULL;
    size_t size = 0;
    void *memory;
    CHECK_OK(fewbit_linear_create(desc, &linear, &err));
    memory = linear_memory(linear, M, 1, &size);
    memset(to, 0xA5, sizeof y);
    CHECK_OK(fewbit_linear_run(linear, M, x, K, memory, size, NULL, to, N, &err));
    fewbit_linear_destroy(linear);
    free(memory);
}

/* The description's layer, and that of `numbers`. */
static void same(const fewbit_linear_desc *desc) {
    fewbit_linear_desc plain = desc_of(FEWBIT_F32, numbers);
    run(&plain, want);
    run(desc, y);
    CHECK_BYTES(want, y, sizeof y);
    CHECK(want[0] == want[0]);
}

static void test_gguf_weights(void) {
    static const int32_t made[] = {FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0, FEWBIT_GGUF_Q5_1,
                                   FEWBIT_GGUF_Q8_0};
    static const int32_t read[] = {FEWBIT_GGUF_Q4_K, FEWBIT_GGUF_Q5_K, FEWBIT_GGUF_Q6_K};
    static const size_t bytes[] = {144, 176, 210};
    uint32_t state = 11;
    size_t i, block;
    fewbit_linear_desc desc;
    for (i = 0; i < COUNT(made); i++) {
        size_t number;
        for (number = 0; number < COUNT(numbers); number++) {
            numbers[number] = random_real(&state, 2.0f);
        }
        CHECK_OK(fewbit_gguf_quantize(made[i], numbers, COUNT(numbers), data));
        CHECK_OK(fewbit_gguf_dequantize(made[i], data, COUNT(numbers), numbers));
        desc = desc_of(FEWBIT_WEIGHTS_GGUF + made[i], data);
        same(&desc);
    }
    for (i = 0; i < COUNT(read); i++) {
        for (block = 0; block < N * K / 256 * bytes[i]; block++) {
            data[block] = (unsigned char)random_bits(&state);
        }
        for (block = 0; block < N * K / 256; block++) {
            unsigned char *at = data + block * bytes[i];
            /* Scales below 2. */
            at[1] &= 0xBF, at[3] &= 0xBF, at[bytes[i] - 1] &= 0xBF;
        }
        CHECK_OK(fewbit_gguf_dequantize(read[i], data, COUNT(numbers), numbers));
        desc = desc_of(FEWBIT_WEIGHTS_GGUF + read[i], data);
        same(&desc);
    }
}

static void test_scaled_weights(void) {
    static const int32_t formats[] = {FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4, FEWBIT_MXINT8};
    static const float values[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    static const float tensor_scale = 0.25f;
    uint32_t state = 12;
    size_t i;
    fewbit_linear_desc desc;
    for (i = 0; i < COUNT(formats); i++) {
        size_t number;
        for (number = 0; number < COUNT(numbers); number++) {
            numbers[number] = random_real(&state, 2.0f);
        }
        CHECK_OK(fewbit_mx_quantize(formats[i], numbers, COUNT(numbers), block_scales, data));
        CHECK_OK(fewbit_mx_dequantize(formats[i], block_scales, data, COUNT(numbers), numbers));
        desc = desc_of(FEWBIT_WEIGHTS_MX + formats[i], data);
        desc.weight_block_scales = block_scales;
        same(&desc);
    }
    for (i = 0; i < COUNT(numbers) / 2; i++) {
        data[i] = (unsigned char)random_bits(&state);
    }
    for (i = 0; i < COUNT(numbers) / 16; i++) {
        /* 1 and 1.5, as E4M3. */
        block_scales[i] = i % 3 == 0 ? 0x38 : 0x3C;
    }
    for (i = 0; i < COUNT(numbers); i++) {
        int code = data[i / 2] >> (i % 2 * 4) & 15;
        float step = (i / 16 % 3 == 0 ? 1.0f : 1.5f) * tensor_scale;
        numbers[i] = (code > 7 ? -values[code - 8] : values[code]) * step;
    }
    desc = desc_of(FEWBIT_WEIGHTS_NVFP4, data);
    desc.weight_block_scales = block_scales;
    desc.weights.scales = &tensor_scale;
    desc.weights.scale_count = 1;
    same(&desc);
}

static void test_code_weights(void) {
    static const int32_t formats[] = {FEWBIT_S4, FEWBIT_U4, FEWBIT_S8, FEWBIT_U8};
    uint32_t state = 13;
    size_t format, i;
    for (i = 0; i < COUNT(data); i++) {
        data[i] = (unsigned char)random_bits(&state);
    }
    for (i = 0; i < COUNT(code_scales); i++) {
        code_scales[i] = 0.25f + (float)(i % 7);
        zero_points[i] = (int32_t)(i % 8);
    }
    for (format = 0; format < COUNT(formats); format++) {
        fewbit_linear_desc desc = desc_of(formats[format], data);
        int bits = format < 2 ? 4 : 8, is_signed = format % 2 == 0;
        desc.weights.scales = code_scales;
        desc.weights.scale_count = COUNT(code_scales);
        desc.weights.block = 32;
        for (i = 0; i < COUNT(numbers); i++) {
            int code = bits == 4 ? data[i / 2] >> (i % 2 * 4) & 15 : data[i];
            code = is_signed && code >= 1 << (bits - 1) ? code - (1 << bits) : code;
            numbers[i] = (float)code * code_scales[i / 32];
        }
        same(&desc);
        desc.weights.zero_points = zero_points;
        desc.weights.zero_point_count = COUNT(zero_points);
        for (i = 0; i < COUNT(numbers); i++) {
            numbers[i] -= (float)zero_points[i / 32] * code_scales[i / 32]; /* exact, as few bits are */
        }
        same(&desc);
    }
}

/* One field of a good description changed: refused, with its name. */
#define BAD(dtype, change, wanted, named)                                          \
    do {                                                                           \
        fewbit_linear_desc desc = desc_of(dtype, data);                            \
        desc.weight_block_scales = dtype >= FEWBIT_WEIGHTS_MX ? block_scales : NULL; \
        desc.weights.scales = dtype < 64 || dtype == FEWBIT_WEIGHTS_NVFP4 ? &scale : NULL; \
        desc.weights.scale_count = desc.weights.scales != NULL;                    \
        outputs_reset();                                                           \
        change;                                                                    \
        CHECK_STATUS(wanted, fewbit_linear_create(&desc, &out.linear, &err));      \
        CHECK(outputs_untouched() && strcmp(err.argument, named) == 0);            \
    } while (0)

static void test_bad_weights(void) {
    static const float scale = 1.0f;
    static const int32_t one = 1;
    const int32_t q4 = FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q4_0, q4_k = FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_Q4_K;
    const int32_t mx = FEWBIT_WEIGHTS_MX + FEWBIT_MXFP4, nv = FEWBIT_WEIGHTS_NVFP4;
    const int32_t unsupported = FEWBIT_ERROR_UNSUPPORTED, invalid = FEWBIT_ERROR_INVALID_ARGUMENT;
    const int32_t null = FEWBIT_ERROR_NULL_POINTER;
    BAD(q4, desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW, unsupported, "desc.weights.dtype");
    BAD(nv, desc.input.mode = FEWBIT_INPUT_CODES, unsupported, "desc.weights.dtype");
    BAD(q4, desc.weights.dtype += 2, invalid, "desc.weights.dtype");
    BAD(mx, desc.weights.dtype += 2, invalid, "desc.weights.dtype");
    BAD(nv, desc.weights.dtype += 1; desc.weight_block_scales = NULL; desc.weights.scales = NULL, unsupported,
        "desc.weights.dtype");
    BAD(q4, desc.weights.data = NULL, null, "desc.weights.data");
    BAD(mx, desc.weights.data = NULL, null, "desc.weights.data");
    BAD(nv, desc.weights.data = NULL, null, "desc.weights.data");
    BAD(mx, desc.weight_block_scales = NULL, null, "desc.weight_block_scales");
    BAD(nv, desc.weight_block_scales = NULL, null, "desc.weight_block_scales");
    BAD(nv, desc.weights.scales = NULL, null, "desc.weights.scales");
    BAD(nv, desc.weights.scale_count = 2, invalid, "desc.weights.scale_count");
    BAD(q4, desc.weight_block_scales = block_scales, unsupported, "desc.weight_block_scales");
    BAD(FEWBIT_S8, desc.weight_block_scales = block_scales, unsupported, "desc.weight_block_scales");
    BAD(q4, desc.weights.scales = &scale, unsupported, "desc.weights.scales");
    BAD(mx, desc.weights.block = 32, unsupported, "desc.weights.block");
    BAD(mx, desc.weights.zero_points = &one, unsupported, "desc.weights.zero_points");
    BAD(nv, desc.weights.shifts = &one, unsupported, "desc.weights.multipliers");
    BAD(q4, desc.in_features = K + 16, invalid, "desc.in_features");
    BAD(q4_k, desc.in_features = K - 32, invalid, "desc.in_features");
    BAD(mx, desc.in_features = K - 16, invalid, "desc.in_features");
    BAD(nv, desc.in_features = K - 8, invalid, "desc.in_features");
    BAD(q4, desc.in_features = 0, invalid, "desc.in_features");
    BAD(q4, desc.out_features = SIZE_MAX / 8, invalid, "desc");
    BAD(mx, desc.matrices = SIZE_MAX / K, invalid, "desc");
    BAD(q4, desc.weight_layout = FEWBIT_LAYOUT_KN, unsupported, "desc.weight_layout");
    BAD(q4, desc.weight_stride = K + 32, unsupported, "desc.weight_stride");
    BAD(FEWBIT_S4, desc.weights.scales = NULL, null, "desc.weights.scales");
    BAD(FEWBIT_S4, desc.weights.block = 8, invalid, "desc.weights.block");
    BAD(FEWBIT_S4, desc.output.dtype = FEWBIT_S32, unsupported, "desc.output");
}

void test_weight_only(void) {
    uint32_t state = 10;
    size_t i;
    for (i = 0; i < COUNT(x); i++) {
        x[i] = random_real(&state, 1.0f);
    }
    test_gguf_weights();
    test_scaled_weights();
    test_code_weights();
    test_bad_weights();
}
