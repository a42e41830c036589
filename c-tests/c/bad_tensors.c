/* Level 2 and the observers with every pointer NULL, every size 0 and huge, and values out of range. */
#include "refused.h"

#include <math.h>

static float x[24], scales[4] = {0.5f, 0.25f, 1.0f, 2.0f};
static int32_t zero_points[4], sums[24], fixed[4] = {1 << 30, 0, INT32_MAX, 7}, shifts[4] = {-31, 0, 30, 1};
static int8_t q[24];

/* One field of a copy of a description, changed. */
#define SPEC_INVALID(f, field, value, args)            \
    do {                                               \
        fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT; \
        spec.granularity = FEWBIT_PER_AXIS;            \
        spec.field = value;                            \
        INVALID_EXPLAINED(f, spec, args);              \
    } while (0)

#define SPEC_FIELDS(f, args)                                       \
    do {                                                           \
        SPEC_INVALID(f, struct_size, 0, args);                     \
        SPEC_INVALID(f, struct_size, sizeof spec - 1, args);       \
        SPEC_INVALID(f, struct_size, SIZE_MAX, args);              \
        SPEC_INVALID(f, dtype, 0, args);                           \
        SPEC_INVALID(f, dtype, FEWBIT_F32, args);                  \
        SPEC_INVALID(f, dtype, INT32_MIN, args);                   \
        SPEC_INVALID(f, scheme, 2, args);                          \
        SPEC_INVALID(f, range, -1, args);                          \
        SPEC_INVALID(f, rounding, 2, args);                        \
        SPEC_INVALID(f, quotient, 2, args);                        \
        SPEC_INVALID(f, granularity, 4, args);                     \
        SPEC_INVALID(f, real, 0, args);                            \
        SPEC_INVALID(f, real, FEWBIT_F8E5M2, args);                \
    } while (0)

static void test_descriptions(void) {
    struct newer {
        fewbit_tensor_quant known;
        size_t unknown;
    } newer = {FEWBIT_TENSOR_QUANT_INIT, 0};
    const fewbit_shape shape = shape2(4, 6);
    fewbit_shape bad;
    SPEC_FIELDS(fewbit_params_from_range, (-1.0f, 1.0f, &spec, &out.params, &err));
    SPEC_FIELDS(fewbit_param_count, (&shape, &spec, &out.count, &err));
    SPEC_FIELDS(fewbit_choose_params, (x, &shape, &spec, out.f32, out.s32, 4, &err));
    SPEC_FIELDS(fewbit_quantize, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    SPEC_FIELDS(fewbit_quantize_dynamic, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &shape, &err));
    SPEC_FIELDS(fewbit_fake_quantize, (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    SPEC_FIELDS(fewbit_dequantize, (q, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    SPEC_FIELDS(fewbit_requantize, (sums, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    SPEC_FIELDS(fewbit_requantize_fixed, (sums, &shape, &spec, fixed, shifts, FEWBIT_FIXED_DOUBLE, zero_points, 4, NULL,
                                          out.s8, &shape, &err));
    SPEC_INVALID(fewbit_requantize, dtype, FEWBIT_S16,
                 (sums, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));

    /* A newer header's description: fine while what is new is zero. */
    newer.known.struct_size = sizeof newer;
    ACCEPTED("newer", fewbit_params_from_range, spec, (-1.0f, 1.0f, &newer.known, &out.params, &err));
    newer.unknown = 1;
    EXPLAINED("newer", fewbit_params_from_range, spec, FEWBIT_ERROR_UNSUPPORTED,
              (-1.0f, 1.0f, &newer.known, &out.params, &err));
    newer.known.struct_size = sizeof newer.known;
    ACCEPTED("newer", fewbit_params_from_range, spec, (-1.0f, 1.0f, &newer.known, &out.params, &err));

    {
        fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
        bad = shape;
        bad.rank = 9;
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));
        bad.rank = SIZE_MAX;
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));
        bad = shape;
        bad.struct_size--;
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));
        bad = shape2(SIZE_MAX, 2);
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));
        bad = shape2(SIZE_MAX / 4, 1);
        INVALID_EXPLAINED(fewbit_choose_params, x, (x, &bad, &spec, out.f32, out.s32, 1, &err));
        bad = shape;
        bad.strides[0] = 6; /* and stride 0 along axis 1 */
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));
        bad.strides[0] = SIZE_MAX / 2;
        bad.strides[1] = 1;
        INVALID_EXPLAINED(fewbit_param_count, shape, (&bad, &spec, &out.count, &err));

        spec.granularity = FEWBIT_PER_AXIS;
        spec.axis = 2;
        REFUSED("invalid", fewbit_param_count, spec, FEWBIT_ERROR_INVALID_ARGUMENT, (&shape, &spec, &out.count, &err));
        CHECK(strstr(err.message, "2") != NULL);
        spec.axis = SIZE_MAX;
        REFUSED("invalid", fewbit_param_count, spec, FEWBIT_ERROR_INVALID_ARGUMENT, (&shape, &spec, &out.count, &err));
        spec.granularity = FEWBIT_PER_BLOCK;
        spec.axis = 1;
        spec.block = 0;
        REFUSED("invalid", fewbit_param_count, spec, FEWBIT_ERROR_INVALID_ARGUMENT, (&shape, &spec, &out.count, &err));
        spec.granularity = FEWBIT_PER_BLOCK2;
        spec.block = spec.block2 = 2;
        spec.axis2 = 1;
        REFUSED("invalid", fewbit_param_count, spec, FEWBIT_ERROR_INVALID_ARGUMENT, (&shape, &spec, &out.count, &err));
    }
}

static void test_parameters(void) {
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    NULL_EXPLAINED(fewbit_params_from_range, spec, (-1.0f, 1.0f, NULL, &out.params, &err));
    NULL_EXPLAINED(fewbit_params_from_range, params, (-1.0f, 1.0f, &spec, NULL, &err));
    NULL_ACCEPTED(fewbit_params_from_range, error, (-1.0f, 1.0f, &spec, &out.params, NULL));
    INVALID_EXPLAINED(fewbit_params_from_range, min, (1.0f, -1.0f, &spec, &out.params, &err));
    INVALID_EXPLAINED(fewbit_params_from_range, min, (NAN, 1.0f, &spec, &out.params, &err));
    INVALID_EXPLAINED(fewbit_params_from_range, min, (-1.0f, NAN, &spec, &out.params, &err));
    ACCEPTED("valid", fewbit_params_from_range, min, (-INFINITY, INFINITY, &spec, &out.params, &err));
    CHECK(out.params.scale > 0.0f && out.params.scale < INFINITY);
    ACCEPTED("valid", fewbit_params_from_range, min, (INFINITY, -INFINITY, &spec, &out.params, &err));
    CHECK(out.params.scale == 1.0f);
    MISALIGNED(fewbit_params_from_range, params, (-1.0f, 1.0f, &spec, ODD(fewbit_quant_params, out.room), &err));
    MISALIGNED(fewbit_params_from_range, spec, (-1.0f, 1.0f, ODD(fewbit_tensor_quant, out.room), &out.params, &err));
}

static void test_sums(const fewbit_shape *shape, const fewbit_tensor_quant *spec, const fewbit_shape *other,
                      const fewbit_shape *folded, const int32_t *bad_zero_points) {
    const fewbit_parallel_for nobody = {NULL, 0, NULL, 0};
    const float infinite[4] = {1.0f, INFINITY, 1.0f, 1.0f}, negative[4] = {1.0f, 1.0f, -0.5f, 1.0f};
    const int32_t minus[4] = {1, 2, 3, -1}, far[4] = {0, 31, 0, 0};
    NULL_EXPLAINED(fewbit_requantize, acc, (NULL, shape, spec, scales, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize, acc_shape, (sums, NULL, spec, scales, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize, spec, (sums, shape, NULL, scales, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize, multipliers, (sums, shape, spec, NULL, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_ACCEPTED(fewbit_requantize, zero_points, (sums, shape, spec, scales, NULL, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize, q, (sums, shape, spec, scales, zero_points, 4, NULL, NULL, shape, &err));
    NULL_EXPLAINED(fewbit_requantize, q_shape, (sums, shape, spec, scales, zero_points, 4, NULL, out.s8, NULL, &err));
    NULL_ACCEPTED(fewbit_requantize, error, (sums, shape, spec, scales, zero_points, 4, NULL, out.s8, shape, NULL));
    NULL_ACCEPTED(fewbit_requantize, parallel_for, (sums, shape, spec, scales, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID(fewbit_requantize, parallel_for, (sums, shape, spec, scales, zero_points, 4, &nobody, out.s8, shape, &err));
    REFUSED("zero", fewbit_requantize, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (sums, shape, spec, scales, zero_points, 0, NULL, out.s8, shape, &err));
    HUGE_REFUSED(fewbit_requantize, count,
                 (sums, shape, spec, scales, zero_points, SIZE_MAX, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize, multipliers,
                      (sums, shape, spec, infinite, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize, multipliers,
                      (sums, shape, spec, negative, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize, zero_points,
                      (sums, shape, spec, scales, bad_zero_points, 4, NULL, out.s8, shape, &err));
    INVALID(fewbit_requantize, q_shape, (sums, shape, spec, scales, zero_points, 4, NULL, out.s8, other, &err));
    OVERLAPPING(fewbit_requantize, q, (out.s32, shape, spec, scales, zero_points, 4, NULL, (char *)out.s32 + 95, shape, &err));
    OVERLAPPING(fewbit_requantize, q, (sums, shape, spec, out.f32, zero_points, 4, NULL, out.f32, shape, &err));
    OVERLAPPING(fewbit_requantize, q_shape, (sums, shape, spec, scales, zero_points, 4, NULL, out.s8, folded, &err));
    MISALIGNED(fewbit_requantize, acc, (ODD(int32_t, sums), shape, spec, scales, zero_points, 4, NULL, out.s8, shape, &err));

    NULL_EXPLAINED(fewbit_requantize_fixed, acc,
                   (NULL, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, acc_shape,
                   (sums, NULL, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, spec,
                   (sums, shape, NULL, fixed, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, multipliers,
                   (sums, shape, spec, NULL, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, shifts,
                   (sums, shape, spec, fixed, NULL, 0, zero_points, 4, NULL, out.s8, shape, &err));
    NULL_ACCEPTED(fewbit_requantize_fixed, zero_points,
                  (sums, shape, spec, fixed, shifts, 1, NULL, 4, NULL, out.s8, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, q,
                   (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, NULL, shape, &err));
    NULL_EXPLAINED(fewbit_requantize_fixed, q_shape,
                   (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, NULL, &err));
    NULL_ACCEPTED(fewbit_requantize_fixed, error,
                  (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, shape, NULL));
    NULL_ACCEPTED(fewbit_requantize_fixed, parallel_for,
                  (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID(fewbit_requantize_fixed, parallel_for,
            (sums, shape, spec, fixed, shifts, 0, zero_points, 4, &nobody, out.s8, shape, &err));
    REFUSED("zero", fewbit_requantize_fixed, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (sums, shape, spec, fixed, shifts, 0, zero_points, 0, NULL, out.s8, shape, &err));
    HUGE_REFUSED(fewbit_requantize_fixed, count,
                 (sums, shape, spec, fixed, shifts, 0, zero_points, SIZE_MAX, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize_fixed, rounding,
                      (sums, shape, spec, fixed, shifts, 2, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize_fixed, multipliers,
                      (sums, shape, spec, minus, shifts, 0, zero_points, 4, NULL, out.s8, shape, &err));
    INVALID_EXPLAINED(fewbit_requantize_fixed, multipliers,
                      (sums, shape, spec, fixed, far, 0, zero_points, 4, NULL, out.s8, shape, &err));
    OVERLAPPING(fewbit_requantize_fixed, q,
                (sums, shape, spec, out.s32, shifts, 0, zero_points, 4, NULL, out.s32, shape, &err));
    OVERLAPPING(fewbit_requantize_fixed, q,
                (sums, shape, spec, fixed, out.s32, 0, zero_points, 4, NULL, out.s32, shape, &err));
    OVERLAPPING(fewbit_requantize_fixed, q_shape,
                (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, folded, &err));
    INVALID(fewbit_requantize_fixed, q_shape,
            (sums, shape, spec, fixed, shifts, 0, zero_points, 4, NULL, out.s8, other, &err));
}

static void test_calls(void) {
    const fewbit_shape shape = shape2(4, 6), other = shape2(6, 4);
    fewbit_shape folded = shape2(4, 6), rows_of_nibbles = shape2(4, 6);
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT, symmetric, s4, s16;
    const fewbit_parallel_for nobody = {NULL, 0, NULL, 0};
    int32_t bad_zero_points[4] = {0, 0, 128, 0}, not_zero[4] = {0, 1, 0, 0};
    float bad_scales[4] = {1.0f, 1.0f, 0.0f, 1.0f};
    spec.granularity = FEWBIT_PER_AXIS;
    symmetric = spec;
    symmetric.scheme = FEWBIT_SCHEME_SYMMETRIC;
    folded.strides[0] = 3;
    folded.strides[1] = 1;

    NULL_EXPLAINED(fewbit_param_count, shape, (NULL, &spec, &out.count, &err));
    NULL_EXPLAINED(fewbit_param_count, spec, (&shape, NULL, &out.count, &err));
    NULL_EXPLAINED(fewbit_param_count, count, (&shape, &spec, NULL, &err));
    NULL_ACCEPTED(fewbit_param_count, error, (&shape, &spec, &out.count, NULL));

    NULL_EXPLAINED(fewbit_choose_params, x, (NULL, &shape, &spec, out.f32, out.s32, 4, &err));
    NULL_EXPLAINED(fewbit_choose_params, x_shape, (x, NULL, &spec, out.f32, out.s32, 4, &err));
    NULL_EXPLAINED(fewbit_choose_params, spec, (x, &shape, NULL, out.f32, out.s32, 4, &err));
    NULL_EXPLAINED(fewbit_choose_params, scales, (x, &shape, &spec, NULL, out.s32, 4, &err));
    NULL_EXPLAINED(fewbit_choose_params, zero_points, (x, &shape, &spec, out.f32, NULL, 4, &err));
    NULL_ACCEPTED(fewbit_choose_params, zero_points, (x, &shape, &symmetric, out.f32, NULL, 4, &err));
    NULL_ACCEPTED(fewbit_choose_params, error, (x, &shape, &spec, out.f32, out.s32, 4, NULL));
    REFUSED("zero", fewbit_choose_params, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (x, &shape, &spec, out.f32, out.s32, 0, &err));
    REFUSED("other", fewbit_choose_params, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (x, &shape, &spec, out.f32, out.s32, 5, &err));
    HUGE_REFUSED(fewbit_choose_params, count, (x, &shape, &spec, out.f32, out.s32, SIZE_MAX, &err));
    OVERLAPPING(fewbit_choose_params, scales, (out.f32, &shape, &spec, out.f32 + 20, out.s32, 4, &err));
    OVERLAPPING(fewbit_choose_params, zero_points, (x, &shape, &spec, out.f32, (int32_t *)(void *)out.f32, 4, &err));
    MISALIGNED(fewbit_choose_params, x, (ODD(float, x), &shape, &spec, out.f32, out.s32, 4, &err));

    NULL_EXPLAINED(fewbit_quantize, x, (NULL, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize, x_shape, (x, NULL, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize, spec, (x, &shape, NULL, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize, scales, (x, &shape, &spec, NULL, zero_points, 4, NULL, out.s8, &shape, &err));
    NULL_ACCEPTED(fewbit_quantize, zero_points, (x, &shape, &spec, scales, NULL, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize, q, (x, &shape, &spec, scales, zero_points, 4, NULL, NULL, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize, q_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, NULL, &err));
    NULL_ACCEPTED(fewbit_quantize, error, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, NULL));
    REFUSED("zero", fewbit_quantize, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (x, &shape, &spec, scales, zero_points, 0, NULL, out.s8, &shape, &err));
    HUGE_REFUSED(fewbit_quantize, count, (x, &shape, &spec, scales, zero_points, SIZE_MAX, NULL, out.s8, &shape, &err));
    INVALID_EXPLAINED(fewbit_quantize, scales, (x, &shape, &spec, bad_scales, zero_points, 4, NULL, out.s8, &shape, &err));
    INVALID_EXPLAINED(fewbit_quantize, zero_points,
                      (x, &shape, &spec, scales, bad_zero_points, 4, NULL, out.s8, &shape, &err));
    INVALID_EXPLAINED(fewbit_quantize, zero_points,
                      (x, &shape, &symmetric, scales, not_zero, 4, NULL, out.s8, &shape, &err));
    INVALID(fewbit_quantize, q_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &other, &err));
    OVERLAPPING(fewbit_quantize, q, (out.f32, &shape, &spec, scales, zero_points, 4, NULL, (char *)out.f32 + 95, &shape, &err));
    OVERLAPPING(fewbit_quantize, q, (x, &shape, &spec, out.f32, zero_points, 4, NULL, out.f32, &shape, &err));
    OVERLAPPING(fewbit_quantize, q_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &folded, &err));
    NULL_ACCEPTED(fewbit_quantize, parallel_for, (x, &shape, &spec, scales, zero_points, 4, NULL, out.s8, &shape, &err));
    INVALID(fewbit_quantize, parallel_for, (x, &shape, &spec, scales, zero_points, 4, &nobody, out.s8, &shape, &err));
    s4 = s16 = spec;
    s4.dtype = FEWBIT_S4;
    s16.dtype = FEWBIT_S16;
    MISALIGNED(fewbit_quantize, q, (x, &shape, &s16, scales, zero_points, 4, NULL, (char *)out.room + 1, &shape, &err));
    rows_of_nibbles.strides[0] = 7; /* rows that do not start on a byte */
    rows_of_nibbles.strides[1] = 1;
    INVALID(fewbit_quantize, q_shape, (x, &shape, &s4, scales, zero_points, 4, NULL, out.s8, &rows_of_nibbles, &err));

    NULL_EXPLAINED(fewbit_dequantize, q, (NULL, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_dequantize, q_shape, (q, NULL, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_dequantize, spec, (q, &shape, NULL, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_dequantize, scales, (q, &shape, &spec, NULL, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_ACCEPTED(fewbit_dequantize, zero_points, (q, &shape, &spec, scales, NULL, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_dequantize, x, (q, &shape, &spec, scales, zero_points, 4, NULL, NULL, &shape, &err));
    NULL_EXPLAINED(fewbit_dequantize, x_shape, (q, &shape, &spec, scales, zero_points, 4, NULL, out.f32, NULL, &err));
    NULL_ACCEPTED(fewbit_dequantize, error, (q, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, NULL));
    REFUSED("zero", fewbit_dequantize, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (q, &shape, &spec, scales, zero_points, 0, NULL, out.f32, &shape, &err));
    HUGE_REFUSED(fewbit_dequantize, count, (q, &shape, &spec, scales, zero_points, SIZE_MAX, NULL, out.f32, &shape, &err));
    OVERLAPPING(fewbit_dequantize, x, (out.f32, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    OVERLAPPING(fewbit_dequantize, x_shape, (q, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &folded, &err));
    NULL_ACCEPTED(fewbit_dequantize, parallel_for, (q, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    INVALID(fewbit_dequantize, parallel_for, (q, &shape, &spec, scales, zero_points, 4, &nobody, out.f32, &shape, &err));

    NULL_EXPLAINED(fewbit_fake_quantize, x, (NULL, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_fake_quantize, x_shape, (x, NULL, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_fake_quantize, spec, (x, &shape, NULL, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_fake_quantize, scales, (x, &shape, &spec, NULL, zero_points, 4, NULL, out.f32, &shape, &err));
    NULL_ACCEPTED(fewbit_fake_quantize, zero_points, (x, &shape, &spec, scales, NULL, 4, NULL, out.f32, &shape, &err));
    NULL_EXPLAINED(fewbit_fake_quantize, y, (x, &shape, &spec, scales, zero_points, 4, NULL, NULL, &shape, &err));
    NULL_EXPLAINED(fewbit_fake_quantize, y_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, NULL, &err));
    NULL_ACCEPTED(fewbit_fake_quantize, error, (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, NULL));
    REFUSED("zero", fewbit_fake_quantize, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (x, &shape, &spec, scales, zero_points, 0, NULL, out.f32, &shape, &err));
    HUGE_REFUSED(fewbit_fake_quantize, count,
                 (x, &shape, &spec, scales, zero_points, SIZE_MAX, NULL, out.f32, &shape, &err));
    OVERLAPPING(fewbit_fake_quantize, y, (out.f32, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    OVERLAPPING(fewbit_fake_quantize, y_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &folded, &err));
    INVALID(fewbit_fake_quantize, y_shape, (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &other, &err));
    NULL_ACCEPTED(fewbit_fake_quantize, parallel_for,
                  (x, &shape, &spec, scales, zero_points, 4, NULL, out.f32, &shape, &err));
    INVALID(fewbit_fake_quantize, parallel_for,
            (x, &shape, &spec, scales, zero_points, 4, &nobody, out.f32, &shape, &err));
    test_sums(&shape, &spec, &other, &folded, bad_zero_points);

    s16.real = FEWBIT_BF16;
    MISALIGNED(fewbit_quantize, x, ((char *)x + 1, &shape, &s16, scales, zero_points, 4, NULL, out.room, &shape, &err));

    NULL_EXPLAINED(fewbit_quantize_dynamic, x, (NULL, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, x_shape, (x, NULL, &spec, out.f32, out.s32, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, spec, (x, &shape, NULL, out.f32, out.s32, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, scales, (x, &shape, &spec, NULL, out.s32, 4, NULL, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, zero_points, (x, &shape, &spec, out.f32, NULL, 4, NULL, out.s8, &shape, &err));
    NULL_ACCEPTED(fewbit_quantize_dynamic, zero_points,
                  (x, &shape, &symmetric, out.f32, NULL, 4, NULL, out.s8, &shape, &err));
    NULL_ACCEPTED(fewbit_quantize_dynamic, parallel_for,
                  (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &shape, &err));
    INVALID(fewbit_quantize_dynamic, parallel_for,
            (x, &shape, &spec, out.f32, out.s32, 4, &nobody, out.s8, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, q, (x, &shape, &spec, out.f32, out.s32, 4, NULL, NULL, &shape, &err));
    NULL_EXPLAINED(fewbit_quantize_dynamic, q_shape, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, NULL, &err));
    NULL_ACCEPTED(fewbit_quantize_dynamic, error, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &shape, NULL));
    REFUSED("zero", fewbit_quantize_dynamic, count, FEWBIT_ERROR_INVALID_ARGUMENT,
            (x, &shape, &spec, out.f32, out.s32, 0, NULL, out.s8, &shape, &err));
    HUGE_REFUSED(fewbit_quantize_dynamic, count, (x, &shape, &spec, out.f32, out.s32, SIZE_MAX, NULL, out.s8, &shape, &err));
    INVALID(fewbit_quantize_dynamic, q_shape, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &other, &err));
    INVALID(fewbit_quantize_dynamic, q_shape, (x, &shape, &s4, out.f32, out.s32, 4, NULL, out.s8, &rows_of_nibbles, &err));
    OVERLAPPING(fewbit_quantize_dynamic, q_shape, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.s8, &folded, &err));
    OVERLAPPING(fewbit_quantize_dynamic, scales, (out.f32, &shape, &spec, out.f32 + 20, out.s32, 4, NULL, out.s8, &shape, &err));
    OVERLAPPING(fewbit_quantize_dynamic, zero_points,
                (x, &shape, &spec, out.f32, (int32_t *)(void *)out.f32, 4, NULL, out.s8, &shape, &err));
    OVERLAPPING(fewbit_quantize_dynamic, q, (x, &shape, &spec, out.f32, out.s32, 4, NULL, out.f32, &shape, &err));
}

static void test_bad_observers(void) {
    static fewbit_min_max range;
    static fewbit_moving_average average;
    CHECK_OK(fewbit_min_max_init(&range));
    CHECK_OK(fewbit_moving_average_init(&average));
    NULL_REFUSED(fewbit_min_max_init, state, (NULL));
    MISALIGNED(fewbit_min_max_init, state, (ODD(fewbit_min_max, &out.range)));
    NULL_REFUSED(fewbit_min_max_observe, x, (NULL, 4, &out.range));
    NULL_REFUSED(fewbit_min_max_observe, state, (x, 4, NULL));
    HUGE_REFUSED(fewbit_min_max_observe, n, (x, SIZE_MAX / 4 + 2, &out.range));
    OVERLAPPING(fewbit_min_max_observe, state, ((float *)(void *)&out.range, 4, &out.range));
    ACCEPTED("zero", fewbit_min_max_observe, n, (NULL, 0, &range));
    NULL_REFUSED(fewbit_min_max_merge, other, (NULL, &out.range));
    NULL_REFUSED(fewbit_min_max_merge, state, (&range, NULL));
    ACCEPTED("same", fewbit_min_max_merge, other, (&range, &range));

    NULL_REFUSED(fewbit_moving_average_init, state, (NULL));
    NULL_REFUSED(fewbit_moving_average_observe, x, (NULL, 4, &out.average));
    NULL_REFUSED(fewbit_moving_average_observe, state, (x, 4, NULL));
    HUGE_REFUSED(fewbit_moving_average_observe, n, (x, SIZE_MAX, &out.average));
    OVERLAPPING(fewbit_moving_average_observe, state, ((float *)(void *)&out.average, 4, &out.average));
    ACCEPTED("zero", fewbit_moving_average_observe, n, (NULL, 0, &average));
    CHECK(average.batches == 0);
    NULL_REFUSED(fewbit_moving_average_merge, other, (NULL, &out.average));
    NULL_REFUSED(fewbit_moving_average_merge, state, (&average, NULL));
    ACCEPTED("same", fewbit_moving_average_merge, other, (&average, &average));
    NULL_REFUSED(fewbit_moving_average_range, state, (NULL, &out.low, &out.high));
    NULL_REFUSED(fewbit_moving_average_range, min, (&average, NULL, &out.high));
    NULL_REFUSED(fewbit_moving_average_range, max, (&average, &out.low, NULL));
    OVERLAPPING(fewbit_moving_average_range, max, (&average, &out.low, &out.low));
    /* Any bytes are a state; nothing may break. */
    memset(&average, 0xFF, sizeof average);
    ACCEPTED("odd", fewbit_moving_average_range, state, (&average, &out.low, &out.high));
    ACCEPTED("odd", fewbit_moving_average_observe, state, (x, 4, &average));
    ACCEPTED("odd", fewbit_moving_average_merge, state, (&average, &average));
    memset(&average, 0x7F, sizeof average);
    ACCEPTED("odd", fewbit_moving_average_range, state, (&average, &out.low, &out.high));
    memset(&range, 0xFF, sizeof range);
    ACCEPTED("odd", fewbit_min_max_observe, state, (x, 4, &range));

    NULL_REFUSED(fewbit_compare_f32, reference, (NULL, x, 4, &out.quality));
    NULL_REFUSED(fewbit_compare_f32, x, (x, NULL, 4, &out.quality));
    NULL_REFUSED(fewbit_compare_f32, quality, (x, x, 4, NULL));
    ZERO_ACCEPTED(fewbit_compare_f32, n, (NULL, NULL, 0, &out.quality));
    HUGE_REFUSED(fewbit_compare_f32, n, (x, x, SIZE_MAX / 4 + 2, &out.quality));
    OVERLAPPING(fewbit_compare_f32, quality, ((float *)(void *)&out.quality, x, 4, &out.quality));
    OVERLAPPING(fewbit_compare_f32, quality, (x, (float *)(void *)&out.quality, 4, &out.quality));
}

void test_bad_tensors(void) {
    test_descriptions();
    test_parameters();
    test_calls();
    test_bad_observers();
}
