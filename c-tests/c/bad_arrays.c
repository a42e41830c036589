/* Level 1 and the versions with every pointer NULL, every size 0 and huge, and values out of range. */
#include "refused.h"

#include <math.h>

outputs out;
fewbit_error err;

void outputs_reset(void) {
    memset(&out, 0x5A, sizeof out);
    memset(&err, 0x5A, sizeof err);
}

int outputs_untouched(void) {
    const unsigned char *bytes = (const unsigned char *)&out;
    size_t i;
    for (i = 0; i < sizeof out; i++) {
        if (bytes[i] != 0x5A) {
            return 0;
        }
    }
    return 1;
}

static const size_t HUGE_N = SIZE_MAX;
/* Times 4 this is 4. */
static const size_t WRAPS = SIZE_MAX / 4 + 2;

static float x[64];
static int8_t codes[64];
static uint8_t bytes[64];
static uint16_t halves[64];
static int32_t sums[64];
static const fewbit_quant_params good = {0.5f, 3};

/* Functions of (input, n, params, output). */
#define WITH_PARAMS(f, in, in_name, in_type, to, to_name, to_type)                                   \
    do {                                                                                             \
        size_t bad;                                                                                  \
        NULL_REFUSED(f, in_name, (NULL, 4, &good, to));                                              \
        NULL_REFUSED(f, params, (in, 4, NULL, to));                                                  \
        NULL_REFUSED(f, to_name, (in, 4, &good, NULL));                                              \
        ZERO_ACCEPTED(f, n, (NULL, 0, &good, NULL));                                                 \
        CHECK(outputs_untouched());                                                                  \
        HUGE_REFUSED(f, n, (in, HUGE_N, &good, to));                                                 \
        HUGE_REFUSED(f, n, (in, WRAPS, &good, to));                                                  \
        for (bad = 0; bad < COUNT(bad_params); bad++) {                                              \
            INVALID(f, params, (in, 4, &bad_params[bad], to));                                       \
        }                                                                                            \
    } while (0)

/* Functions of (input, n, output), the middle argument perhaps followed by others. */
#define ARRAYS(f, in, in_name, to, to_name, middle)                \
    do {                                                           \
        NULL_REFUSED(f, in_name, (NULL, 4 middle, to));            \
        NULL_REFUSED(f, to_name, (in, 4 middle, NULL));            \
        ZERO_ACCEPTED(f, n, (NULL, 0 middle, NULL));               \
        CHECK(outputs_untouched());                                \
        HUGE_REFUSED(f, n, (in, HUGE_N middle, to));               \
        HUGE_REFUSED(f, n, (in, WRAPS middle, to));                \
    } while (0)

/* Functions of (matrix, rows, n, row_stride, sums). */
#define MATRIX(f, in_name, in, to)                                                                        \
    do {                                                                                                  \
        NULL_REFUSED(f, in_name, (NULL, 2, 3, 3, to));                                                    \
        NULL_REFUSED(f, sums, (in, 2, 3, 3, NULL));                                                       \
        ZERO_ACCEPTED(f, rows, (NULL, 0, 3, 3, NULL));                                                    \
        CHECK(outputs_untouched());                                                                       \
        ZERO_ACCEPTED(f, n, (NULL, 2, 0, 3, to));                                                         \
        outputs_reset();                                                                                  \
        REFUSED("zero", f, row_stride, FEWBIT_ERROR_INVALID_ARGUMENT, (in, 2, 3, 0, to));                 \
        INVALID(f, row_stride, (in, 2, 3, 2, to));                                                        \
        HUGE_REFUSED(f, rows, (in, HUGE_N, 3, 3, to));                                                    \
        HUGE_REFUSED(f, rows, (in, WRAPS, 1, 4, to));                                                     \
        HUGE_REFUSED(f, n, (in, 2, HUGE_N, HUGE_N, to));                                                  \
        HUGE_REFUSED(f, row_stride, (in, 3, 3, HUGE_N / 2, to));                                          \
    } while (0)

#define NOTHING
#define SATURATE , 1
#define FLOAT_MODE , 0.5f, 3
#define FIXED_MODE , 1 << 30, 0, FEWBIT_FIXED_DOUBLE, 3

static void test_params(void) {
    static const fewbit_quant_params bad_params[] = {
        {0.0f, 3}, {-0.0f, 3}, {-1.0f, 3}, {INFINITY, 3}, {NAN, 3}, {0.5f, 256}, {0.5f, -129}, {0.5f, INT32_MIN},
    };
    const fewbit_quant_params unsigned_zero = {0.5f, -1}, signed_zero = {0.5f, 128};
    const fewbit_quant_params subnormal = {1e-45f, 0};
    WITH_PARAMS(fewbit_quantize_f32_s8, x, x, float, out.s8, q, int8_t);
    WITH_PARAMS(fewbit_quantize_f32_u8, x, x, float, out.u8, q, uint8_t);
    WITH_PARAMS(fewbit_dequantize_s8_f32, codes, q, int8_t, out.f32, x, float);
    WITH_PARAMS(fewbit_dequantize_u8_f32, bytes, q, uint8_t, out.f32, x, float);
    INVALID(fewbit_quantize_f32_u8, params, (x, 4, &unsigned_zero, out.u8));
    INVALID(fewbit_quantize_f32_s8, params, (x, 4, &signed_zero, out.s8));
    INVALID(fewbit_dequantize_u8_f32, params, (bytes, 4, &unsigned_zero, out.f32));
    INVALID(fewbit_dequantize_s8_f32, params, (codes, 4, &signed_zero, out.f32));
    ACCEPTED("valid", fewbit_quantize_f32_s8, params, (x, 4, &subnormal, out.s8));
    MISALIGNED(fewbit_quantize_f32_s8, x, (ODD(float, x), 4, &good, out.s8));
    MISALIGNED(fewbit_dequantize_s8_f32, x, (codes, 4, &good, ODD(float, out.f32)));
    OVERLAPPING(fewbit_quantize_f32_s8, q, (out.f32, 8, &good, (int8_t *)(out.f32 + 7)));
    OVERLAPPING(fewbit_quantize_f32_u8, q, (out.f32, 8, &good, (uint8_t *)out.f32));
    OVERLAPPING(fewbit_dequantize_s8_f32, x, ((int8_t *)out.f32 + 15, 4, &good, out.f32));
    OVERLAPPING(fewbit_dequantize_u8_f32, x, ((uint8_t *)out.f32, 4, &good, out.f32));
}

static void test_conversions(void) {
    ARRAYS(fewbit_convert_f32_f16, x, x, out.u16, y, NOTHING);
    ARRAYS(fewbit_convert_f16_f32, halves, x, out.f32, y, NOTHING);
    ARRAYS(fewbit_convert_f32_bf16, x, x, out.u16, y, NOTHING);
    ARRAYS(fewbit_convert_bf16_f32, halves, x, out.f32, y, NOTHING);
    ARRAYS(fewbit_convert_f32_f8e4m3fn, x, x, out.u8, y, SATURATE);
    ARRAYS(fewbit_convert_f8e4m3fn_f32, bytes, x, out.f32, y, NOTHING);
    ARRAYS(fewbit_convert_f32_f8e5m2, x, x, out.u8, y, SATURATE);
    ARRAYS(fewbit_convert_f8e5m2_f32, bytes, x, out.f32, y, NOTHING);
    MISALIGNED(fewbit_convert_f32_f16, x, (ODD(float, x), 4, out.u16));
    MISALIGNED(fewbit_convert_f32_f16, y, (x, 4, ODD(uint16_t, out.u16)));
    MISALIGNED(fewbit_convert_bf16_f32, x, (ODD(uint16_t, halves), 4, out.f32));
    OVERLAPPING(fewbit_convert_f32_f16, y, (out.f32, 4, (uint16_t *)out.f32));
    OVERLAPPING(fewbit_convert_f16_f32, y, ((uint16_t *)out.f32, 4, out.f32));
    OVERLAPPING(fewbit_convert_f32_f8e5m2, y, (out.f32, 4, 0, (uint8_t *)out.f32 + 15));
}

static void test_requantization(void) {
    static const float multipliers[] = {-1.0f, NAN, INFINITY, -INFINITY};
    size_t i;
    ARRAYS(fewbit_requantize_s32_s8, sums, acc, out.s8, q, FLOAT_MODE);
    ARRAYS(fewbit_requantize_s32_u8, sums, acc, out.u8, q, FLOAT_MODE);
    ARRAYS(fewbit_requantize_fixed_s32_s8, sums, acc, out.s8, q, FIXED_MODE);
    ARRAYS(fewbit_requantize_fixed_s32_u8, sums, acc, out.u8, q, FIXED_MODE);
    for (i = 0; i < COUNT(multipliers); i++) {
        INVALID(fewbit_requantize_s32_s8, multiplier, (sums, 4, multipliers[i], 3, out.s8));
        INVALID(fewbit_requantize_s32_u8, multiplier, (sums, 4, multipliers[i], 3, out.u8));
    }
    INVALID(fewbit_requantize_s32_s8, zero_point, (sums, 4, 0.5f, 128, out.s8));
    INVALID(fewbit_requantize_s32_u8, zero_point, (sums, 4, 0.5f, -1, out.u8));
    INVALID(fewbit_requantize_fixed_s32_s8, multiplier, (sums, 4, -1, 0, FEWBIT_FIXED_DOUBLE, 3, out.s8));
    INVALID(fewbit_requantize_fixed_s32_s8, shift, (sums, 4, 1 << 30, 31, FEWBIT_FIXED_DOUBLE, 3, out.s8));
    INVALID(fewbit_requantize_fixed_s32_s8, shift, (sums, 4, 1 << 30, -32, FEWBIT_FIXED_DOUBLE, 3, out.s8));
    INVALID(fewbit_requantize_fixed_s32_s8, rounding, (sums, 4, 1 << 30, 0, 2, 3, out.s8));
    INVALID(fewbit_requantize_fixed_s32_u8, rounding, (sums, 4, 1 << 30, 0, -1, 3, out.u8));
    INVALID(fewbit_requantize_fixed_s32_u8, zero_point, (sums, 4, 1 << 30, 0, FEWBIT_FIXED_SINGLE, 256, out.u8));
    MISALIGNED(fewbit_requantize_s32_s8, acc, (ODD(int32_t, sums), 4, 0.5f, 3, out.s8));
    OVERLAPPING(fewbit_requantize_s32_s8, q, (out.s32, 4, 0.5f, 3, (int8_t *)out.s32));
    OVERLAPPING(fewbit_requantize_fixed_s32_u8, q,
                (out.s32, 4, 1 << 30, 0, FEWBIT_FIXED_DOUBLE, 3, (uint8_t *)out.s32));

    NULL_REFUSED(fewbit_fixed_multiplier, multiplier, (0.5, NULL, &out.shift));
    NULL_REFUSED(fewbit_fixed_multiplier, shift, (0.5, &out.multiplier, NULL));
    INVALID(fewbit_fixed_multiplier, real, (-1e-300, &out.multiplier, &out.shift));
    INVALID(fewbit_fixed_multiplier, real, ((double)NAN, &out.multiplier, &out.shift));
    INVALID(fewbit_fixed_multiplier, real, ((double)INFINITY, &out.multiplier, &out.shift));
    INVALID(fewbit_fixed_multiplier, real, (1073741824.0, &out.multiplier, &out.shift));
    OVERLAPPING(fewbit_fixed_multiplier, shift, (0.5, &out.multiplier, &out.multiplier));
}

static void test_the_rest(void) {
    const fewbit_quant_params tiny = {1e-45f, 0}, large = {3e38f, 0}, zero = {0.0f, 0};
    NULL_REFUSED(fewbit_rescale_s8_s8, q, (NULL, 4, &good, &good, out.s8));
    NULL_REFUSED(fewbit_rescale_s8_s8, from, (codes, 4, NULL, &good, out.s8));
    NULL_REFUSED(fewbit_rescale_s8_s8, to, (codes, 4, &good, NULL, out.s8));
    NULL_REFUSED(fewbit_rescale_s8_s8, out, (codes, 4, &good, &good, NULL));
    ZERO_ACCEPTED(fewbit_rescale_s8_s8, n, (NULL, 0, &good, &good, NULL));
    HUGE_REFUSED(fewbit_rescale_s8_s8, n, (codes, HUGE_N, &good, &good, out.s8));
    INVALID(fewbit_rescale_s8_s8, from, (codes, 4, &zero, &good, out.s8));
    INVALID(fewbit_rescale_s8_s8, to, (codes, 4, &good, &zero, out.s8));
    INVALID(fewbit_rescale_s8_s8, to, (codes, 4, &large, &tiny, out.s8));
    OVERLAPPING(fewbit_rescale_s8_s8, out, (out.s8, 4, &good, &good, out.s8 + 1));
    NULL_REFUSED(fewbit_rescale_u8_u8, q, (NULL, 4, &good, &good, out.u8));
    NULL_REFUSED(fewbit_rescale_u8_u8, from, ((const uint8_t *)codes, 4, NULL, &good, out.u8));
    NULL_REFUSED(fewbit_rescale_u8_u8, to, ((const uint8_t *)codes, 4, &good, NULL, out.u8));
    NULL_REFUSED(fewbit_rescale_u8_u8, out, ((const uint8_t *)codes, 4, &good, &good, NULL));
    ZERO_ACCEPTED(fewbit_rescale_u8_u8, n, (NULL, 0, &good, &good, NULL));
    HUGE_REFUSED(fewbit_rescale_u8_u8, n, ((const uint8_t *)codes, HUGE_N, &good, &good, out.u8));
    INVALID(fewbit_rescale_u8_u8, from, ((const uint8_t *)codes, 4, &zero, &good, out.u8));
    INVALID(fewbit_rescale_u8_u8, to, ((const uint8_t *)codes, 4, &good, &zero, out.u8));
    INVALID(fewbit_rescale_u8_u8, to, ((const uint8_t *)codes, 4, &large, &tiny, out.u8));
    OVERLAPPING(fewbit_rescale_u8_u8, out, (out.u8, 4, &good, &good, out.u8 + 1));

    NULL_REFUSED(fewbit_min_max_f32, x, (NULL, 4, &out.low, &out.high));
    NULL_REFUSED(fewbit_min_max_f32, min, (x, 4, NULL, &out.high));
    NULL_REFUSED(fewbit_min_max_f32, max, (x, 4, &out.low, NULL));
    ZERO_ACCEPTED(fewbit_min_max_f32, n, (NULL, 0, &out.low, &out.high));
    HUGE_REFUSED(fewbit_min_max_f32, n, (x, WRAPS, &out.low, &out.high));
    OVERLAPPING(fewbit_min_max_f32, min, (out.f32, 4, &out.f32[3], &out.high));
    OVERLAPPING(fewbit_min_max_f32, max, (x, 4, &out.low, &out.low));
    MISALIGNED(fewbit_min_max_f32, x, (ODD(float, x), 4, &out.low, &out.high));

    NULL_REFUSED(fewbit_absmax_f32, x, (NULL, 4, &out.low));
    NULL_REFUSED(fewbit_absmax_f32, absmax, (x, 4, NULL));
    ZERO_ACCEPTED(fewbit_absmax_f32, n, (NULL, 0, &out.low));
    HUGE_REFUSED(fewbit_absmax_f32, n, (x, WRAPS, &out.low));
    OVERLAPPING(fewbit_absmax_f32, absmax, (out.f32, 4, &out.f32[3]));
    MISALIGNED(fewbit_absmax_f32, x, (ODD(float, x), 4, &out.low));

    NULL_REFUSED(fewbit_half_hazards_f32, x, (NULL, 4, &out.hazards));
    NULL_REFUSED(fewbit_half_hazards_f32, hazards, (x, 4, NULL));
    ZERO_ACCEPTED(fewbit_half_hazards_f32, n, (NULL, 0, &out.hazards));
    HUGE_REFUSED(fewbit_half_hazards_f32, n, (x, WRAPS, &out.hazards));
    OVERLAPPING(fewbit_half_hazards_f32, hazards, ((const float *)(void *)&out.hazards, 4, &out.hazards));
    MISALIGNED(fewbit_half_hazards_f32, x, (ODD(float, x), 4, &out.hazards));

    MATRIX(fewbit_row_sums_f32, x, x, out.f32);
    MATRIX(fewbit_row_sums_s8, q, codes, out.s32);
    MATRIX(fewbit_row_sums_u8, q, bytes, out.s32);
    OVERLAPPING(fewbit_row_sums_f32, sums, (out.f32, 2, 4, 4, &out.f32[7]));
    OVERLAPPING(fewbit_row_sums_s8, sums, (out.s8, 1, 4, 4, (int32_t *)(void *)out.s8));
    OVERLAPPING(fewbit_row_sums_u8, sums, (out.u8, 1, 4, 4, (int32_t *)(void *)out.u8));
    MISALIGNED(fewbit_row_sums_f32, x, (ODD(float, x), 2, 4, 4, out.f32));
    MISALIGNED(fewbit_row_sums_s8, sums, (codes, 1, 4, 4, ODD(int32_t, out.s32)));
    REFUSED("limit", fewbit_row_sums_s8, n, FEWBIT_ERROR_LIMIT_EXCEEDED,
            (codes, 1, ((size_t)1 << 23) + 1, ((size_t)1 << 23) + 1, out.s32));

    NULL_REFUSED(fewbit_pack, codes, (NULL, 4, FEWBIT_S4, 0, out.u8));
    NULL_REFUSED(fewbit_pack, packed, (codes, 4, FEWBIT_S4, 0, NULL));
    ZERO_ACCEPTED(fewbit_pack, n, (NULL, 0, FEWBIT_S4, 0, NULL));
    HUGE_REFUSED(fewbit_pack, n, (codes, HUGE_N, FEWBIT_S4, 0, out.u8));
    INVALID(fewbit_pack, dtype, (codes, 4, 0, 0, out.u8));
    INVALID(fewbit_pack, zero_point, (codes, 4, FEWBIT_S4, 8, out.u8));
    REFUSED("unsupported", fewbit_pack, dtype, FEWBIT_ERROR_UNSUPPORTED, (codes, 4, FEWBIT_S8, 0, out.u8));
    OVERLAPPING(fewbit_pack, packed, (out.s8, 4, FEWBIT_S4, 0, (uint8_t *)out.s8 + 3));
    NULL_REFUSED(fewbit_unpack, packed, (NULL, 4, FEWBIT_S4, out.s8));
    NULL_REFUSED(fewbit_unpack, codes, (bytes, 4, FEWBIT_S4, NULL));
    ZERO_ACCEPTED(fewbit_unpack, n, (NULL, 0, FEWBIT_S4, NULL));
    HUGE_REFUSED(fewbit_unpack, n, (bytes, HUGE_N, FEWBIT_S4, out.s8));
    INVALID(fewbit_unpack, dtype, (bytes, 4, INT32_MAX, out.s8));
    REFUSED("unsupported", fewbit_unpack, dtype, FEWBIT_ERROR_UNSUPPORTED, (bytes, 4, FEWBIT_S16, out.s8));
    OVERLAPPING(fewbit_unpack, codes, (out.u8, 4, FEWBIT_S4, (int8_t *)out.u8 + 1));
}

static void test_information(void) {
    NULL_EXPLAINED(fewbit_isa_enabled, isa, (NULL, &err));
    NULL_ACCEPTED(fewbit_isa_enabled, error, (&out.isa, NULL));
    REFUSED("misaligned", fewbit_isa_enabled, isa, FEWBIT_ERROR_MISALIGNED, (ODD(uint32_t, out.room), &err));
    NULL_EXPLAINED(fewbit_set_isa, limit, (NULL, &err));
    REFUSED("null", fewbit_set_isa, error, FEWBIT_ERROR_ISA, ("no such thing", NULL));
    EXPLAINED("invalid", fewbit_set_isa, limit, FEWBIT_ERROR_ISA, ("no such thing", &err));
    EXPLAINED("invalid", fewbit_set_isa, limit, FEWBIT_ERROR_ISA, ("\xff\xfe", &err));
    NULL_EXPLAINED(fewbit_kernel_name, name, (0, NULL, sizeof out.name, &out.isa, &err));
    NULL_ACCEPTED(fewbit_kernel_name, isa, (0, out.name, sizeof out.name, NULL, &err));
    NULL_ACCEPTED(fewbit_kernel_name, error, (0, out.name, sizeof out.name, &out.isa, NULL));
    ZERO_ACCEPTED(fewbit_kernel_name, index, (0, out.name, sizeof out.name, &out.isa, &err));
    HUGE_EXPLAINED(fewbit_kernel_name, index, (SIZE_MAX, out.name, sizeof out.name, &out.isa, &err));
    EXPLAINED("zero", fewbit_kernel_name, name_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (0, out.name, 0, &out.isa, &err));
    REFUSED("small", fewbit_kernel_name, name_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (0, out.name, 1, &out.isa, &err));
    ACCEPTED("huge", fewbit_kernel_name, name_size, (0, out.name, SIZE_MAX, &out.isa, &err));
}

void test_bad_arrays(void) {
    size_t i;
    for (i = 0; i < COUNT(x); i++) {
        x[i] = (float)i;
        codes[i] = (int8_t)i;
    }
    test_params();
    test_conversions();
    test_requantization();
    test_the_rest();
    test_information();
}
