/* Block formats: known bytes, all formats there and back, and every argument wrong. */
#include "refused.h"

#include <math.h>

static const int32_t gguf_formats[] = {FEWBIT_GGUF_Q8_0, FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0,
                                       FEWBIT_GGUF_Q5_1};
static const size_t gguf_bytes[] = {34, 18, 20, 22, 24};
/* The largest error of a number in -4..4, in hundredths: half a step, or a whole one at the far end. */
static const int gguf_errors[] = {2, 51, 28, 26, 14};
static const int32_t mx_formats[] = {FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4, FEWBIT_MXINT8};
/* The floats saturate from 3.5 (MXFP4: 3) on. */
static const int mx_errors[] = {51, 51, 101, 4};

static float numbers[96], back[96];
static unsigned char bytes[256];
static uint8_t scales[8];

/* Not a multiple of 32; one that is; and ones whose bytes wrap around. */
static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 31, SIZE_MAX / 4 + 1, SIZE_MAX / 8 + 1};

static void test_known(void) {
    const uint8_t q4[] = {0x00, 0xBC, 0xF0, 0x86, 0x88}, want_scales[] = {127, 0xFF}, fp4[] = {0x26, 0xE8};
    const uint8_t e4m3[] = {0x7E, 0x7E, 0x01};
    size_t i;
    memset(numbers, 0, sizeof numbers);
    numbers[0] = 8.0f, numbers[1] = 2.5f, numbers[16] = -8.0f;
    CHECK_OK(fewbit_gguf_quantize(FEWBIT_GGUF_Q4_0, numbers, 32, bytes));
    CHECK_BYTES(q4, bytes, sizeof q4); /* the first of two extremes is -8 steps; a tie goes up */
    CHECK_OK(fewbit_gguf_dequantize(FEWBIT_GGUF_Q4_0, bytes, 32, back));
    CHECK(back[0] == 8.0f && back[1] == 2.0f && back[16] == -7.0f && back[31] == 0.0f);
    numbers[0] = 4.0f, numbers[1] = 1.25f, numbers[2] = -0.25f, numbers[3] = -5.0f, numbers[16] = 0.0f;
    numbers[33] = INFINITY;
    CHECK_OK(fewbit_mx_quantize(FEWBIT_MXFP4, numbers, 35, scales, bytes));
    CHECK_BYTES(want_scales, scales, sizeof want_scales);
    CHECK_BYTES(fp4, bytes, sizeof fp4);
    CHECK_OK(fewbit_mx_dequantize(FEWBIT_MXFP4, scales, bytes, 35, back));
    CHECK(back[0] == 4.0f && back[1] == 1.0f && back[3] == -4.0f);
    for (i = 32; i < 35; i++) {
        CHECK(isnan(back[i]));
    }
    numbers[0] = 511.0f, numbers[1] = 464.0f, numbers[2] = 0x1.8p-10f;
    CHECK_OK(fewbit_mx_quantize(FEWBIT_MXFP8_E4M3, numbers, 3, scales, bytes));
    CHECK(scales[0] == 127);
    CHECK_BYTES(e4m3, bytes, sizeof e4m3);
}

/* Blocks become weights with a scale a block, also where d is negative. */
static void test_unpacked(void) {
    const unsigned char q4[] = {0x00, 0xBC, 0xF0, 0x86, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88};
    uint8_t codes[32];
    float scale = 0.0f;
    int32_t zero_point = 0;
    size_t i;
    CHECK_OK(fewbit_gguf_unpack(FEWBIT_GGUF_Q4_0, q4, 32, codes, &scale, &zero_point));
    CHECK(scale == 1.0f && zero_point == -1);
    CHECK_OK(fewbit_gguf_dequantize(FEWBIT_GGUF_Q4_0, q4, 32, back));
    for (i = 0; i < 32; i++) {
        int code = codes[i / 2] >> (i % 2 * 4) & 15;
        code = code > 7 ? code - 16 : code;
        CHECK((float)(code + 1) == back[i]);
    }
}

static void test_bad_unpack(int32_t format) {
    size_t i;
    unsigned char infinite[34] = {0x00, 0x7C};
    NULL_REFUSED(fewbit_gguf_unpack, blocks, (format, NULL, 32, out.u8, out.f32, out.s32));
    NULL_REFUSED(fewbit_gguf_unpack, codes, (format, bytes, 32, NULL, out.f32, out.s32));
    NULL_REFUSED(fewbit_gguf_unpack, scales, (format, bytes, 32, out.u8, NULL, out.s32));
    NULL_REFUSED(fewbit_gguf_unpack, zero_points, (format, bytes, 32, out.u8, out.f32, NULL));
    ZERO_ACCEPTED(fewbit_gguf_unpack, n, (format, NULL, 0, NULL, NULL, NULL));
    CHECK(outputs_untouched());
    INVALID(fewbit_gguf_unpack, n, (format, bytes, 33, out.u8, out.f32, out.s32));
    INVALID(fewbit_gguf_unpack, blocks, (format, infinite, 32, out.u8, out.f32, out.s32));
    MISALIGNED(fewbit_gguf_unpack, scales, (format, bytes, 32, out.u8, ODD(float, out.f32), out.s32));
    MISALIGNED(fewbit_gguf_unpack, zero_points, (format, bytes, 32, out.u8, out.f32, ODD(int32_t, out.s32)));
    OVERLAPPING(fewbit_gguf_unpack, codes, (format, out.u8, 32, out.u8 + 4, out.f32, out.s32));
    OVERLAPPING(fewbit_gguf_unpack, scales, (format, bytes, 32, out.f32, out.f32 + 1, out.s32));
    OVERLAPPING(fewbit_gguf_unpack, zero_points, (format, bytes, 32, out.u8, out.f32, (int32_t *)out.f32));
    for (i = 0; i < COUNT(huge); i++) {
        HUGE_REFUSED(fewbit_gguf_unpack, n, (format, bytes, huge[i], out.u8, out.f32, out.s32));
    }
}

static void test_there_and_back(void) {
    uint32_t state = 7;
    size_t format, i, size = 0, count = 0;
    for (i = 0; i < COUNT(numbers); i++) {
        numbers[i] = random_real(&state, 4.0f);
    }
    for (format = 0; format < COUNT(gguf_formats); format++) {
        CHECK_OK(fewbit_gguf_size(gguf_formats[format], COUNT(numbers), &size));
        CHECK(size == 3 * gguf_bytes[format]);
        memset(bytes, 0x5A, sizeof bytes);
        /* At an odd address. */
        CHECK_OK(fewbit_gguf_quantize(gguf_formats[format], numbers, COUNT(numbers), bytes + 1));
        CHECK(bytes[0] == 0x5A && bytes[size + 1] == 0x5A);
        CHECK_OK(fewbit_gguf_dequantize(gguf_formats[format], bytes + 1, COUNT(numbers), back));
        for (i = 0; i < COUNT(numbers); i++) {
            CHECK(fabsf(back[i] - numbers[i]) * 100.0f <= (float)gguf_errors[format]);
        }
    }
    for (format = 0; format < COUNT(mx_formats); format++) {
        CHECK_OK(fewbit_mx_size(mx_formats[format], 75, &count, &size));
        CHECK(count == 3 && size == (mx_formats[format] == FEWBIT_MXFP4 ? 38u : 75u));
        memset(bytes, 0x5A, sizeof bytes);
        memset(scales, 0x5A, sizeof scales);
        CHECK_OK(fewbit_mx_quantize(mx_formats[format], numbers, 75, scales, bytes + 1));
        CHECK(bytes[0] == 0x5A && bytes[size + 1] == 0x5A && scales[3] == 0x5A);
        CHECK_OK(fewbit_mx_dequantize(mx_formats[format], scales, bytes + 1, 75, back));
        for (i = 0; i < 75; i++) {
            CHECK(fabsf(back[i] - numbers[i]) * 100.0f <= (float)mx_errors[format]);
        }
    }
}

static void test_bad_gguf(int32_t format) {
    size_t i;
    NULL_REFUSED(fewbit_gguf_size, bytes, (format, 32, NULL));
    ZERO_ACCEPTED(fewbit_gguf_size, n, (format, 0, &out.bytes));
    CHECK(out.bytes == 0);
    INVALID(fewbit_gguf_size, n, (format, 33, &out.bytes));
    MISALIGNED(fewbit_gguf_size, bytes, (format, 32, ODD(size_t, out.room)));
    NULL_REFUSED(fewbit_gguf_quantize, x, (format, NULL, 32, out.room));
    NULL_REFUSED(fewbit_gguf_quantize, blocks, (format, numbers, 32, NULL));
    ZERO_ACCEPTED(fewbit_gguf_quantize, n, (format, NULL, 0, NULL));
    CHECK(outputs_untouched());
    INVALID(fewbit_gguf_quantize, n, (format, numbers, 31, out.room));
    MISALIGNED(fewbit_gguf_quantize, x, (format, ODD(float, numbers), 32, out.room));
    OVERLAPPING(fewbit_gguf_quantize, blocks, (format, out.f32, 32, (unsigned char *)out.f32 + 127));
    NULL_REFUSED(fewbit_gguf_dequantize, blocks, (format, NULL, 32, out.f32));
    NULL_REFUSED(fewbit_gguf_dequantize, x, (format, bytes, 32, NULL));
    ZERO_ACCEPTED(fewbit_gguf_dequantize, n, (format, NULL, 0, NULL));
    CHECK(outputs_untouched());
    INVALID(fewbit_gguf_dequantize, n, (format, bytes, 1, out.f32));
    MISALIGNED(fewbit_gguf_dequantize, x, (format, bytes, 32, ODD(float, out.f32)));
    OVERLAPPING(fewbit_gguf_dequantize, x, (format, out.f32, 32, out.f32 + 4));
    for (i = 0; i < COUNT(huge); i++) {
        HUGE_REFUSED(fewbit_gguf_size, n, (format, huge[i], &out.bytes));
        HUGE_REFUSED(fewbit_gguf_quantize, n, (format, numbers, huge[i], out.room));
        HUGE_REFUSED(fewbit_gguf_dequantize, n, (format, bytes, huge[i], out.f32));
    }
}

static const int32_t k_formats[] = {FEWBIT_GGUF_Q4_K, FEWBIT_GGUF_Q5_K, FEWBIT_GGUF_Q6_K};
static const size_t k_bytes[] = {144, 176, 210};

/* A block of 256 numbers, by hand: of each format number 40 has the largest code, and all else is 0. */
static void test_k_formats(void) {
    static float numbers_of_k[256];
    unsigned char block[210];
    size_t format, i;
    for (format = 0; format < COUNT(k_formats); format++) {
        int32_t kind = k_formats[format];
        memset(block, 0, sizeof block);
        if (kind == FEWBIT_GGUF_Q6_K) {
            block[40] = 0x0F, block[128 + 8] = 3 << 2; /* 63 - 32 */
            block[192 + 2] = 0xFE;                     /* the scale of 32..47: -2 */
            block[209] = 0x3C;                         /* d: 1 */
        } else {
            block[1] = 0x3C, block[3] = 0x40; /* d: 1, dmin: 2 */
            block[4 + 1] = 3, block[8 + 1] = 5;
            block[(kind == FEWBIT_GGUF_Q5_K ? 48 : 16) + 8] = 0xF0;
            block[16 + 8] |= kind == FEWBIT_GGUF_Q5_K ? 2 : 0;
        }
        CHECK_OK(fewbit_gguf_size(kind, 512, &out.bytes));
        CHECK(out.bytes == 2 * k_bytes[format]);
        CHECK_OK(fewbit_gguf_dequantize(kind, block, 256, numbers_of_k));
        for (i = 0; i < 256; i++) {
            float of_q6 = i / 16 == 2 ? (i == 40 ? -62.0f : 64.0f) : 0.0f;
            float largest = kind == FEWBIT_GGUF_Q5_K ? 93.0f : 45.0f;
            float other = i / 32 == 1 ? (i == 40 ? largest - 10.0f : -10.0f) : 0.0f;
            CHECK(numbers_of_k[i] == (kind == FEWBIT_GGUF_Q6_K ? of_q6 : other));
        }
    }
}

static void test_bad_k(int32_t format) {
    static unsigned char block[210];
    size_t i;
    outputs_reset();
    NULL_REFUSED(fewbit_gguf_size, bytes, (format, 256, NULL));
    ZERO_ACCEPTED(fewbit_gguf_size, n, (format, 0, &out.bytes));
    INVALID(fewbit_gguf_size, n, (format, 32, &out.bytes));
    CHECK(fewbit_gguf_quantize(format, numbers, 0, out.room) == FEWBIT_ERROR_UNSUPPORTED);
    CHECK(fewbit_gguf_unpack(format, block, 256, out.u8, out.f32, out.s32) == FEWBIT_ERROR_UNSUPPORTED);
    NULL_REFUSED(fewbit_gguf_dequantize, blocks, (format, NULL, 256, out.f32));
    NULL_REFUSED(fewbit_gguf_dequantize, x, (format, block, 256, NULL));
    ZERO_ACCEPTED(fewbit_gguf_dequantize, n, (format, NULL, 0, NULL));
    INVALID(fewbit_gguf_dequantize, n, (format, block, 255, out.f32));
    MISALIGNED(fewbit_gguf_dequantize, x, (format, block, 256, ODD(float, out.f32)));
    OVERLAPPING(fewbit_gguf_dequantize, x, (format, out.f32, 256, out.f32 + 4));
    for (i = 0; i < COUNT(huge); i++) {
        HUGE_REFUSED(fewbit_gguf_size, n, (format, huge[i], &out.bytes));
        HUGE_REFUSED(fewbit_gguf_dequantize, n, (format, block, huge[i], out.f32));
    }
}

static void test_bad_mx(int32_t format) {
    size_t i;
    NULL_REFUSED(fewbit_mx_size, scales, (format, 5, NULL, &out.bytes));
    NULL_REFUSED(fewbit_mx_size, elements, (format, 5, &out.count, NULL));
    ZERO_ACCEPTED(fewbit_mx_size, n, (format, 0, &out.count, &out.bytes));
    CHECK(out.count == 0 && out.bytes == 0);
    OVERLAPPING(fewbit_mx_size, elements, (format, 5, &out.bytes, &out.bytes));
    NULL_REFUSED(fewbit_mx_quantize, x, (format, NULL, 5, out.u8, out.room));
    NULL_REFUSED(fewbit_mx_quantize, scales, (format, numbers, 5, NULL, out.room));
    NULL_REFUSED(fewbit_mx_quantize, elements, (format, numbers, 5, out.u8, NULL));
    ZERO_ACCEPTED(fewbit_mx_quantize, n, (format, NULL, 0, NULL, NULL));
    CHECK(outputs_untouched());
    MISALIGNED(fewbit_mx_quantize, x, (format, ODD(float, numbers), 5, out.u8, out.room));
    OVERLAPPING(fewbit_mx_quantize, scales, (format, out.f32, 5, (uint8_t *)out.f32, out.room));
    OVERLAPPING(fewbit_mx_quantize, elements, (format, out.f32, 5, out.u8, out.f32 + 4));
    OVERLAPPING(fewbit_mx_quantize, elements, (format, numbers, 33, out.u8, out.u8 + 1));
    NULL_REFUSED(fewbit_mx_dequantize, scales, (format, NULL, bytes, 5, out.f32));
    NULL_REFUSED(fewbit_mx_dequantize, elements, (format, scales, NULL, 5, out.f32));
    NULL_REFUSED(fewbit_mx_dequantize, x, (format, scales, bytes, 5, NULL));
    ZERO_ACCEPTED(fewbit_mx_dequantize, n, (format, NULL, NULL, 0, NULL));
    CHECK(outputs_untouched());
    MISALIGNED(fewbit_mx_dequantize, x, (format, scales, bytes, 5, ODD(float, out.f32)));
    OVERLAPPING(fewbit_mx_dequantize, x, (format, (const uint8_t *)out.f32, bytes, 5, out.f32));
    OVERLAPPING(fewbit_mx_dequantize, x, (format, scales, out.f32, 5, out.f32));
    for (i = 0; i < COUNT(huge); i++) {
        HUGE_REFUSED(fewbit_mx_size, n, (format, huge[i], &out.count, &out.bytes));
        HUGE_REFUSED(fewbit_mx_quantize, n, (format, numbers, huge[i], out.u8, out.room));
        HUGE_REFUSED(fewbit_mx_dequantize, n, (format, scales, bytes, huge[i], out.f32));
    }
}

/* By hand: 24 / 6 over 0.5 is 8 as a scale, and a step of 4; the second block has an infinity, the third a scale too small. */
static void test_nvfp4(void) {
    const uint8_t want_scales[] = {0x50, 0x7F, 0x00}, want[] = {0x27, 0xA0};
    float scale = 0.0f;
    size_t i, count = 0, size = 0;
    uint32_t state = 9;
    CHECK_OK(fewbit_nvfp4_tensor_scale(1344.0f, &scale));
    CHECK(scale == 0.5f);
    memset(numbers, 0, sizeof numbers);
    numbers[0] = 24.0f, numbers[1] = 5.0f, numbers[2] = 1.0f, numbers[3] = -4.0f, numbers[20] = INFINITY;
    numbers[32] = 1e-9f;
    CHECK_OK(fewbit_nvfp4_quantize(0.5f, numbers, 33, scales, bytes));
    CHECK_BYTES(want_scales, scales, sizeof want_scales);
    CHECK_BYTES(want, bytes, sizeof want); /* 1 is 0.25 steps, a tie */
    CHECK_OK(fewbit_nvfp4_dequantize(0.5f, scales, bytes, 33, back));
    CHECK(back[0] == 24.0f && back[1] == 4.0f && back[2] == 0.0f && back[3] == -4.0f && isnan(back[20]) && back[32] == 0.0f);
    for (i = 0; i < COUNT(numbers); i++) {
        numbers[i] = random_real(&state, 4.0f);
    }
    CHECK_OK(fewbit_nvfp4_size(75, &count, &size));
    CHECK(count == 5 && size == 38);
    CHECK_OK(fewbit_nvfp4_tensor_scale(4.0f, &scale));
    memset(bytes, 0x5A, sizeof bytes);
    memset(scales, 0x5A, sizeof scales);
    CHECK_OK(fewbit_nvfp4_quantize(scale, numbers, 75, scales, bytes + 1));
    CHECK(bytes[0] == 0x5A && bytes[size + 1] == 0x5A && scales[5] == 0x5A);
    CHECK_OK(fewbit_nvfp4_dequantize(scale, scales, bytes + 1, 75, back));
    for (i = 0; i < 75; i++) {
        /* Half of E2M1's widest step, 2, a step being at most 4 / 6 but for E4M3's rounding. */
        CHECK(fabsf(back[i] - numbers[i]) <= 0.71f);
    }
}

static void test_bad_nvfp4(void) {
    static const float no_scales[] = {0.0f, -0.0f, -1.0f, INFINITY, NAN};
    static const float no_magnitudes[] = {-1.0f, INFINITY, -INFINITY, NAN};
    size_t i;
    outputs_reset();
    NULL_REFUSED(fewbit_nvfp4_tensor_scale, tensor_scale, (1.0f, NULL));
    MISALIGNED(fewbit_nvfp4_tensor_scale, tensor_scale, (1.0f, ODD(float, out.f32)));
    NULL_REFUSED(fewbit_nvfp4_size, scales, (5, NULL, &out.bytes));
    NULL_REFUSED(fewbit_nvfp4_size, elements, (5, &out.count, NULL));
    ZERO_ACCEPTED(fewbit_nvfp4_size, n, (0, &out.count, &out.bytes));
    CHECK(out.count == 0 && out.bytes == 0);
    OVERLAPPING(fewbit_nvfp4_size, elements, (5, &out.bytes, &out.bytes));
    NULL_REFUSED(fewbit_nvfp4_quantize, x, (1.0f, NULL, 5, out.u8, out.room));
    NULL_REFUSED(fewbit_nvfp4_quantize, scales, (1.0f, numbers, 5, NULL, out.room));
    NULL_REFUSED(fewbit_nvfp4_quantize, elements, (1.0f, numbers, 5, out.u8, NULL));
    ZERO_ACCEPTED(fewbit_nvfp4_quantize, n, (1.0f, NULL, 0, NULL, NULL));
    CHECK(outputs_untouched());
    MISALIGNED(fewbit_nvfp4_quantize, x, (1.0f, ODD(float, numbers), 5, out.u8, out.room));
    OVERLAPPING(fewbit_nvfp4_quantize, scales, (1.0f, out.f32, 5, (uint8_t *)out.f32, out.room));
    OVERLAPPING(fewbit_nvfp4_quantize, elements, (1.0f, out.f32, 5, out.u8, out.f32 + 4));
    OVERLAPPING(fewbit_nvfp4_quantize, elements, (1.0f, numbers, 33, out.u8, out.u8 + 1));
    NULL_REFUSED(fewbit_nvfp4_dequantize, scales, (1.0f, NULL, bytes, 5, out.f32));
    NULL_REFUSED(fewbit_nvfp4_dequantize, elements, (1.0f, scales, NULL, 5, out.f32));
    NULL_REFUSED(fewbit_nvfp4_dequantize, x, (1.0f, scales, bytes, 5, NULL));
    ZERO_ACCEPTED(fewbit_nvfp4_dequantize, n, (1.0f, NULL, NULL, 0, NULL));
    CHECK(outputs_untouched());
    MISALIGNED(fewbit_nvfp4_dequantize, x, (1.0f, scales, bytes, 5, ODD(float, out.f32)));
    OVERLAPPING(fewbit_nvfp4_dequantize, x, (1.0f, (const uint8_t *)out.f32, bytes, 5, out.f32));
    OVERLAPPING(fewbit_nvfp4_dequantize, x, (1.0f, scales, out.f32, 5, out.f32));
    for (i = 0; i < COUNT(huge); i++) {
        HUGE_REFUSED(fewbit_nvfp4_size, n, (huge[i], &out.count, &out.bytes));
        HUGE_REFUSED(fewbit_nvfp4_quantize, n, (1.0f, numbers, huge[i], out.u8, out.room));
        HUGE_REFUSED(fewbit_nvfp4_dequantize, n, (1.0f, scales, bytes, huge[i], out.f32));
    }
    for (i = 0; i < COUNT(no_scales); i++) {
        INVALID(fewbit_nvfp4_quantize, tensor_scale, (no_scales[i], numbers, 5, out.u8, out.room));
        INVALID(fewbit_nvfp4_dequantize, tensor_scale, (no_scales[i], scales, bytes, 5, out.f32));
    }
    for (i = 0; i < COUNT(no_magnitudes); i++) {
        INVALID(fewbit_nvfp4_tensor_scale, amax, (no_magnitudes[i], out.f32));
    }
}

static void test_bad_formats(void) {
    static const int32_t formats[] = {0, 1, 4, 5, 9, 10, 11, 15, -1, INT32_MAX, INT32_MIN};
    static const int32_t of_mx[] = {0, 5, 8, -1, INT32_MAX, INT32_MIN};
    size_t i;
    for (i = 0; i < COUNT(formats); i++) {
        INVALID(fewbit_gguf_size, format, (formats[i], 32, &out.bytes));
        INVALID(fewbit_gguf_quantize, format, (formats[i], numbers, 32, out.room));
        INVALID(fewbit_gguf_dequantize, format, (formats[i], bytes, 32, out.f32));
        INVALID(fewbit_gguf_unpack, format, (formats[i], bytes, 32, out.u8, out.f32, out.s32));
    }
    for (i = 0; i < COUNT(of_mx); i++) {
        INVALID(fewbit_mx_size, format, (of_mx[i], 32, &out.count, &out.bytes));
        INVALID(fewbit_mx_quantize, format, (of_mx[i], numbers, 32, out.u8, out.room));
        INVALID(fewbit_mx_dequantize, format, (of_mx[i], scales, bytes, 32, out.f32));
    }
}

void test_block_formats(void) {
    size_t i;
    test_known();
    test_unpacked();
    memset(bytes, 0, sizeof bytes);
    test_there_and_back();
    memset(bytes, 0, sizeof bytes);
    test_bad_unpack(FEWBIT_GGUF_Q4_0);
    test_bad_unpack(FEWBIT_GGUF_Q5_0);
    test_bad_unpack(FEWBIT_GGUF_Q8_0);
    CHECK(fewbit_gguf_unpack(FEWBIT_GGUF_Q4_1, bytes, 32, out.u8, out.f32, out.s32) == FEWBIT_ERROR_UNSUPPORTED);
    CHECK(fewbit_gguf_unpack(FEWBIT_GGUF_Q5_1, bytes, 32, out.u8, out.f32, out.s32) == FEWBIT_ERROR_UNSUPPORTED);
    CHECK(outputs_untouched());
    for (i = 0; i < COUNT(gguf_formats); i++) {
        test_bad_gguf(gguf_formats[i]);
    }
    for (i = 0; i < COUNT(mx_formats); i++) {
        test_bad_mx(mx_formats[i]);
    }
    test_k_formats();
    for (i = 0; i < COUNT(k_formats); i++) {
        test_bad_k(k_formats[i]);
    }
    test_bad_formats();
    test_nvfp4();
    test_bad_nvfp4();
}
