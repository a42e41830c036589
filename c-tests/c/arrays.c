/* Level 1 on numbers whose results are known. */
#include "check.h"

#include <math.h>

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void test_quantize(void) {
    const float x[] = {0.0f, 0.25f, 0.75f, -0.25f, 1e30f, -INFINITY, NAN, -0.0f};
    const int8_t s8[] = {3, 3, 5, 3, 127, -128, 3, 3};
    const uint8_t u8[] = {128, 128, 130, 128, 255, 0, 128, 128};
    const int8_t codes[] = {-128, 127, 3, 4};
    const uint8_t unsigned_codes[] = {0, 255, 128, 129};
    const float reals[] = {-65.5f, 62.0f, 0.0f, 0.5f}, unsigned_reals[] = {-64.0f, 63.5f, 0.0f, 0.5f};
    const fewbit_quant_params params = {0.5f, 3}, unsigned_params = {0.5f, 128};
    int8_t q[8];
    uint8_t uq[8];
    float y[4];
    CHECK_OK(fewbit_quantize_f32_s8(x, 8, &params, q));
    CHECK_BYTES(s8, q, sizeof q);
    CHECK_OK(fewbit_quantize_f32_u8(x, 8, &unsigned_params, uq));
    CHECK_BYTES(u8, uq, sizeof uq);
    CHECK_OK(fewbit_dequantize_s8_f32(codes, 4, &params, y));
    CHECK_BYTES(reals, y, sizeof y);
    CHECK_OK(fewbit_dequantize_u8_f32(unsigned_codes, 4, &unsigned_params, y));
    CHECK_BYTES(unsigned_reals, y, sizeof y);
}

static void test_convert(void) {
    const float x16[] = {1.0f, 65504.0f, 65520.0f, 0x1p-24f, 0x1p-25f, -0.0f, 0x1.002p0f, 0x1.006p0f};
    const uint16_t f16[] = {0x3C00, 0x7BFF, 0x7C00, 0x0001, 0x0000, 0x8000, 0x3C00, 0x3C02};
    const uint16_t h[] = {0x3C00, 0x0001, 0x7C00, 0xFBFF};
    const float from_h[] = {1.0f, 0x1p-24f, INFINITY, -65504.0f};
    const float xb[] = {1.0f, 0x1.01p0f, 0x1.03p0f, INFINITY, -0x1p-149f};
    const uint16_t bf16[] = {0x3F80, 0x3F80, 0x3F82, 0x7F80, 0x8000};
    const uint16_t b[] = {0x3F80, 0x0001, 0xFF80};
    const float from_b[] = {1.0f, 0x1p-133f, -INFINITY};
    const float x8[] = {1.0f, 448.0f, 464.0f, 1000.0f, -1.0f, 0x1p-9f};
    const uint8_t e4m3[] = {0x38, 0x7E, 0x7E, 0x7F, 0xB8, 0x01}, e4m3_saturated[] = {0x38, 0x7E, 0x7E, 0x7E, 0xB8, 0x01};
    const float x52[] = {1.0f, 57344.0f, 1e6f, -0x1p-16f};
    const uint8_t e5m2[] = {0x3C, 0x7B, 0x7C, 0x81}, e5m2_saturated[] = {0x3C, 0x7B, 0x7B, 0x81};
    const float back8[] = {1.0f, 448.0f, -1.0f, 0x1p-9f}, back52[] = {1.0f, 57344.0f, INFINITY, -0x1p-16f};
    const uint8_t e4m3_codes[] = {0x38, 0x7E, 0xB8, 0x01};
    const float odd = from_bits(0xFFC12345u);
    uint16_t y16[8];
    uint8_t y8[8];
    float y[8];
    CHECK_OK(fewbit_convert_f32_f16(x16, 8, y16));
    CHECK_BYTES(f16, y16, sizeof f16);
    CHECK_OK(fewbit_convert_f16_f32(h, 4, y));
    CHECK_BYTES(from_h, y, sizeof from_h);
    CHECK_OK(fewbit_convert_f32_bf16(xb, 5, y16));
    CHECK_BYTES(bf16, y16, sizeof bf16);
    CHECK_OK(fewbit_convert_bf16_f32(b, 3, y));
    CHECK_BYTES(from_b, y, sizeof from_b);
    CHECK_OK(fewbit_convert_f32_f16(&odd, 1, y16));
    CHECK(y16[0] == 0xFE09); /* the sign and the payload's upper bits stay */
    CHECK_OK(fewbit_convert_f32_f8e4m3fn(x8, 6, 0, y8));
    CHECK_BYTES(e4m3, y8, sizeof e4m3);
    CHECK_OK(fewbit_convert_f32_f8e4m3fn(x8, 6, 1, y8));
    CHECK_BYTES(e4m3_saturated, y8, sizeof e4m3_saturated);
    CHECK_OK(fewbit_convert_f8e4m3fn_f32(e4m3_codes, 4, y));
    CHECK_BYTES(back8, y, sizeof back8);
    CHECK_OK(fewbit_convert_f32_f8e5m2(x52, 4, 0, y8));
    CHECK_BYTES(e5m2, y8, sizeof e5m2);
    CHECK_OK(fewbit_convert_f8e5m2_f32(y8, 4, y));
    CHECK_BYTES(back52, y, sizeof back52);
    CHECK_OK(fewbit_convert_f32_f8e5m2(x52, 4, 1, y8));
    CHECK_BYTES(e5m2_saturated, y8, sizeof e5m2_saturated);
}

static void test_min_max(void) {
    const float x[] = {NAN, 0.0f, -0.0f, NAN}, zeros[] = {-0.0f, 0.0f}, none[] = {INFINITY, -INFINITY};
    float ends[2];
    CHECK_OK(fewbit_min_max_f32(x, 4, &ends[0], &ends[1]));
    CHECK_BYTES(zeros, ends, sizeof ends);
    CHECK_OK(fewbit_min_max_f32(x, 1, &ends[0], &ends[1]));
    CHECK_BYTES(none, ends, sizeof ends);
    CHECK_OK(fewbit_min_max_f32(NULL, 0, &ends[0], &ends[1]));
    CHECK_BYTES(none, ends, sizeof ends);
}

static void test_requantize(void) {
    const int32_t acc[] = {100, -100, 1000000, 5};
    const int8_t s8[] = {51, -49, 127, 3}, fixed[] = {51, -49, 127, 4};
    const uint8_t u8[] = {178, 78, 255, 130}, unsigned_fixed[] = {178, 78, 255, 131};
    const int8_t codes[] = {10, -10, 127, 0}, moved[] = {6, -4, 65, 1};
    const fewbit_quant_params from = {1.0f, 0}, to = {2.0f, 1};
    int32_t multiplier = 0, shift = 99, rounding;
    int8_t q[4];
    uint8_t uq[4];
    CHECK_OK(fewbit_requantize_s32_s8(acc, 4, 0.5f, 1, q));
    CHECK_BYTES(s8, q, sizeof q);
    CHECK_OK(fewbit_requantize_s32_u8(acc, 4, 0.5f, 128, uq));
    CHECK_BYTES(u8, uq, sizeof uq);
    CHECK_OK(fewbit_fixed_multiplier(0.5, &multiplier, &shift));
    CHECK(multiplier == 1 << 30 && shift == 0);
    for (rounding = FEWBIT_FIXED_DOUBLE; rounding <= FEWBIT_FIXED_SINGLE; rounding++) {
        CHECK_OK(fewbit_requantize_fixed_s32_s8(acc, 4, multiplier, shift, rounding, 1, q));
        CHECK_BYTES(fixed, q, sizeof q);
        CHECK_OK(fewbit_requantize_fixed_s32_u8(acc, 4, multiplier, shift, rounding, 128, uq));
        CHECK_BYTES(unsigned_fixed, uq, sizeof uq);
    }
    CHECK_OK(fewbit_rescale_s8_s8(codes, 4, &from, &to, q));
    CHECK_BYTES(moved, q, sizeof q);
    memcpy(q, codes, sizeof q);
    CHECK_OK(fewbit_rescale_s8_s8(q, 4, &from, &to, q)); /* in place */
    CHECK_BYTES(moved, q, sizeof q);
}

static void test_pack(void) {
    const int8_t s4[] = {1, -1, 7}, s2[] = {1, -2, 0, -1}, u1[] = {1, 0, 1, 1, 0, 0, 0, 0, 1}, b1[] = {1, -1, 1};
    const uint8_t s4_packed[] = {0xF1, 0x27}, u1_packed[] = {0x0D, 0x01};
    uint8_t packed[2];
    int8_t codes[9];
    CHECK_OK(fewbit_pack(s4, 3, FEWBIT_S4, 2, packed));
    CHECK_BYTES(s4_packed, packed, 2);
    CHECK_OK(fewbit_unpack(packed, 3, FEWBIT_S4, codes));
    CHECK_BYTES(s4, codes, sizeof s4);
    CHECK_OK(fewbit_unpack(packed, 3, FEWBIT_U4, codes));
    CHECK(codes[1] == 15);
    CHECK_OK(fewbit_pack(s2, 4, FEWBIT_S2, 0, packed));
    CHECK(packed[0] == 0xC9);
    CHECK_OK(fewbit_unpack(packed, 4, FEWBIT_S2, codes));
    CHECK_BYTES(s2, codes, sizeof s2);
    CHECK_OK(fewbit_pack(u1, 9, FEWBIT_U1, 0, packed));
    CHECK_BYTES(u1_packed, packed, 2);
    CHECK_OK(fewbit_pack(b1, 3, FEWBIT_B1, 0, packed));
    CHECK((packed[0] & 7) == 5);
    CHECK_OK(fewbit_unpack(packed, 3, FEWBIT_B1, codes));
    CHECK_BYTES(b1, codes, sizeof b1);
}

static void test_reduce(void) {
    const float x[] = {1.0f, -8.5f, 3.0f, 0.25f, -2.0f, 0.5f};
    const int8_t s8[] = {-128, -128, 127, 1, 2, 3};
    const uint8_t u8[] = {255, 255, 7, 1, 2, 3};
    float absmax = -1.0f, sums[2];
    int32_t totals[2];
    CHECK_OK(fewbit_absmax_f32(x, 6, &absmax));
    CHECK(absmax == 8.5f);
    CHECK_OK(fewbit_absmax_f32(NULL, 0, &absmax));
    CHECK(absmax == 0.0f);
    CHECK_OK(fewbit_row_sums_f32(x, 2, 2, 4, sums)); /* rows of 2, 4 apart */
    CHECK(sums[0] == -7.5f && sums[1] == -1.5f);
    CHECK_OK(fewbit_row_sums_f32(NULL, 2, 0, 0, sums));
    CHECK(sums[0] == 0.0f && sums[1] == 0.0f);
    CHECK_OK(fewbit_row_sums_s8(s8, 2, 3, 3, totals));
    CHECK(totals[0] == -129 && totals[1] == 6);
    CHECK_OK(fewbit_row_sums_u8(u8, 2, 2, 4, totals));
    CHECK(totals[0] == 510 && totals[1] == 5);
}

void test_arrays(void) {
    test_reduce();
    test_quantize();
    test_convert();
    test_min_max();
    test_requantize();
    test_pack();
}
