/* Level 2 against level 1: a tensor is what its runs are. */
#include "check.h"

enum { ROWS = 5, COLUMNS = 11 };

static fewbit_tensor_quant spec_of(int32_t dtype, int32_t scheme, int32_t granularity, size_t axis, size_t block) {
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    spec.dtype = dtype;
    spec.scheme = scheme;
    spec.granularity = granularity;
    spec.axis = axis;
    spec.block = block;
    return spec;
}

static void fill(float *x, size_t n) {
    uint32_t state = 7;
    size_t i;
    for (i = 0; i < n; i++) {
        x[i] = random_real(&state, 3.0f);
    }
}

/* Every row with its own parameters, from the row's own range. */
static void test_rows(int32_t scheme) {
    float x[ROWS * COLUMNS], y[ROWS * COLUMNS], expected_y[COLUMNS], scales[ROWS], min, max;
    float own_scales[ROWS];
    int32_t zero_points[ROWS], own_zero_points[ROWS];
    int8_t q[ROWS * COLUMNS], own[ROWS * COLUMNS], expected[COLUMNS];
    const fewbit_shape shape = shape2(ROWS, COLUMNS);
    const fewbit_tensor_quant spec = spec_of(FEWBIT_S8, scheme, FEWBIT_PER_AXIS, 0, 0);
    fewbit_quant_params params;
    size_t count = 0, row;
    fill(x, COUNT(x));
    CHECK_OK(fewbit_param_count(&shape, &spec, &count, NULL));
    CHECK(count == ROWS);
    CHECK_OK(fewbit_choose_params(x, &shape, &spec, scales, zero_points, count, NULL));
    CHECK_OK(fewbit_quantize(x, &shape, &spec, scales, zero_points, count, NULL, q, &shape, NULL));
    CHECK_OK(fewbit_dequantize(q, &shape, &spec, scales, zero_points, count, NULL, y, &shape, NULL));
    CHECK_OK(fewbit_quantize_dynamic(x, &shape, &spec, own_scales, own_zero_points, count, NULL, own, &shape, NULL));
    CHECK_BYTES(scales, own_scales, sizeof scales);
    CHECK_BYTES(zero_points, own_zero_points, sizeof zero_points);
    CHECK_BYTES(q, own, sizeof q);
    for (row = 0; row < ROWS; row++) {
        CHECK_OK(fewbit_min_max_f32(x + row * COLUMNS, COLUMNS, &min, &max));
        CHECK_OK(fewbit_params_from_range(min, max, &spec, &params, NULL));
        CHECK_BYTES(&params.scale, &scales[row], sizeof(float));
        CHECK(params.zero_point == zero_points[row]);
        CHECK(scheme == FEWBIT_SCHEME_AFFINE || params.zero_point == 0);
        CHECK_OK(fewbit_quantize_f32_s8(x + row * COLUMNS, COLUMNS, &params, expected));
        CHECK_BYTES(expected, q + row * COLUMNS, COLUMNS);
        CHECK_OK(fewbit_dequantize_s8_f32(expected, COLUMNS, &params, expected_y));
        CHECK_BYTES(expected_y, y + row * COLUMNS, sizeof expected_y);
    }
}

/* A transposed tensor with gaps, its columns' parameters those of the rows. */
static void test_strides(void) {
    float x[ROWS * COLUMNS], turned[COLUMNS * 2 * ROWS], scales[ROWS], turned_scales[ROWS];
    int32_t zero_points[ROWS], turned_zero_points[ROWS];
    int8_t q[ROWS * COLUMNS], turned_q[COLUMNS * ROWS];
    const fewbit_shape shape = shape2(ROWS, COLUMNS), dense = shape2(COLUMNS, ROWS);
    fewbit_shape gaps = shape2(COLUMNS, ROWS);
    const fewbit_tensor_quant rows = spec_of(FEWBIT_S8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_AXIS, 0, 0),
                              columns = spec_of(FEWBIT_S8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_AXIS, 1, 0);
    size_t row, column;
    gaps.strides[0] = 2 * ROWS;
    gaps.strides[1] = 2;
    fill(x, COUNT(x));
    fill(turned, COUNT(turned));
    for (row = 0; row < ROWS; row++) {
        for (column = 0; column < COLUMNS; column++) {
            turned[column * 2 * ROWS + 2 * row] = x[row * COLUMNS + column];
        }
    }
    CHECK_OK(fewbit_choose_params(x, &shape, &rows, scales, zero_points, ROWS, NULL));
    CHECK_OK(fewbit_choose_params(turned, &gaps, &columns, turned_scales, turned_zero_points, ROWS, NULL));
    CHECK_BYTES(scales, turned_scales, sizeof scales);
    CHECK_BYTES(zero_points, turned_zero_points, sizeof zero_points);
    CHECK_OK(fewbit_quantize(x, &shape, &rows, scales, zero_points, ROWS, NULL, q, &shape, NULL));
    CHECK_OK(fewbit_quantize(turned, &gaps, &columns, scales, zero_points, ROWS, NULL, turned_q, &dense, NULL));
    for (row = 0; row < ROWS; row++) {
        for (column = 0; column < COLUMNS; column++) {
            CHECK(q[row * COLUMNS + column] == turned_q[column * ROWS + row]);
        }
    }
}

/* Blocks along a row, the last one shorter, in every format; and packed codes' layout. */
static void test_blocks(void) {
    static const int32_t dtypes[] = {FEWBIT_S8, FEWBIT_U8, FEWBIT_S16, FEWBIT_S4,
                                     FEWBIT_U4, FEWBIT_S2, FEWBIT_U1,  FEWBIT_B1};
    float x[ROWS * COLUMNS], y[ROWS * COLUMNS], scales[ROWS * 3];
    int32_t zero_points[ROWS * 3];
    int16_t q[ROWS * COLUMNS];
    const fewbit_shape shape = shape2(ROWS, COLUMNS);
    fewbit_tensor_quant spec;
    size_t i, k, count;
    fill(x, COUNT(x));
    for (i = 0; i < COUNT(dtypes); i++) {
        const int32_t scheme = dtypes[i] == FEWBIT_B1 ? FEWBIT_SCHEME_SYMMETRIC : FEWBIT_SCHEME_AFFINE;
        spec = spec_of(dtypes[i], scheme, FEWBIT_PER_BLOCK, 1, 4);
        CHECK_OK(fewbit_param_count(&shape, &spec, &count, NULL));
        CHECK(count == ROWS * 3);
        CHECK_OK(fewbit_choose_params(x, &shape, &spec, scales, zero_points, count, NULL));
        CHECK_OK(fewbit_quantize(x, &shape, &spec, scales, zero_points, count, NULL, q, &shape, NULL));
        CHECK_OK(fewbit_dequantize(q, &shape, &spec, scales, zero_points, count, NULL, y, &shape, NULL));
        for (k = 0; k < COUNT(x) && dtypes[i] != FEWBIT_B1; k++) {
            /* Within half a step, and a little for the rounding of the product. */
            const float scale = scales[k / COLUMNS * 3 + k % COLUMNS / 4], error = x[k] > y[k] ? x[k] - y[k] : y[k] - x[k];
            CHECK(error <= scale * 0.50001f);
        }
        for (k = 0; k < COUNT(x) && dtypes[i] == FEWBIT_B1; k++) {
            const float scale = scales[k / COLUMNS * 3 + k % COLUMNS / 4];
            CHECK(y[k] == (x[k] >= 0.0f ? scale : -scale));
        }
    }
    spec = spec_of(FEWBIT_S8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_BLOCK2, 0, 2);
    spec.axis2 = 1;
    spec.block2 = 4;
    CHECK_OK(fewbit_param_count(&shape, &spec, &count, NULL));
    CHECK(count == 3 * 3);
}

static void test_packed_rows(void) {
    const float x[] = {1.0f, -1.0f, 7.0f, -8.0f, 2.0f, 3.0f}, scale = 1.0f;
    const uint8_t expected[] = {0xF1, 0x07, 0x28, 0x03};
    const fewbit_shape shape = shape2(2, 3);
    const fewbit_tensor_quant spec = spec_of(FEWBIT_S4, FEWBIT_SCHEME_SYMMETRIC, FEWBIT_PER_TENSOR, 0, 0);
    uint8_t q[5] = {0xEE, 0xEE, 0xEE, 0xEE, 0xEE};
    float y[6];
    CHECK_OK(fewbit_quantize(x, &shape, &spec, &scale, NULL, 1, NULL, q, &shape, NULL));
    CHECK_BYTES(expected, q, sizeof expected);
    CHECK(q[4] == 0xEE);
    CHECK_OK(fewbit_dequantize(q, &shape, &spec, &scale, NULL, 1, NULL, y, &shape, NULL));
    CHECK_BYTES(x, y, sizeof x);
}

/* f16 and bf16 on the other side of codes, and codes that become real numbers at once. */
static void test_halves(int32_t real) {
    float x[ROWS * COLUMNS], wide[ROWS * COLUMNS], scales[ROWS], wide_scales[ROWS];
    uint16_t half[ROWS * COLUMNS], back[ROWS * COLUMNS], fake[ROWS * COLUMNS];
    int32_t zero_points[ROWS], wide_zero_points[ROWS];
    int8_t q[ROWS * COLUMNS], wide_q[ROWS * COLUMNS], own[ROWS * COLUMNS];
    const fewbit_shape shape = shape2(ROWS, COLUMNS);
    const fewbit_tensor_quant of_wide = spec_of(FEWBIT_S8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_AXIS, 0, 0);
    fewbit_tensor_quant of_half = of_wide;
    size_t i;
    of_half.real = real;
    fill(x, COUNT(x));
    if (real == FEWBIT_F16) {
        CHECK_OK(fewbit_convert_f32_f16(x, COUNT(x), half));
        CHECK_OK(fewbit_convert_f16_f32(half, COUNT(x), wide));
    } else {
        CHECK_OK(fewbit_convert_f32_bf16(x, COUNT(x), half));
        CHECK_OK(fewbit_convert_bf16_f32(half, COUNT(x), wide));
    }
    CHECK_OK(fewbit_choose_params(wide, &shape, &of_wide, wide_scales, wide_zero_points, ROWS, NULL));
    CHECK_OK(fewbit_choose_params(half, &shape, &of_half, scales, zero_points, ROWS, NULL));
    CHECK_BYTES(wide_scales, scales, sizeof scales);
    CHECK_BYTES(wide_zero_points, zero_points, sizeof zero_points);
    CHECK_OK(fewbit_quantize(wide, &shape, &of_wide, scales, zero_points, ROWS, NULL, wide_q, &shape, NULL));
    CHECK_OK(fewbit_quantize(half, &shape, &of_half, scales, zero_points, ROWS, NULL, q, &shape, NULL));
    CHECK_BYTES(wide_q, q, sizeof q);
    CHECK_OK(fewbit_quantize_dynamic(half, &shape, &of_half, scales, zero_points, ROWS, NULL, own, &shape, NULL));
    CHECK_BYTES(q, own, sizeof q);
    CHECK_OK(fewbit_dequantize(q, &shape, &of_half, scales, zero_points, ROWS, NULL, back, &shape, NULL));
    CHECK_OK(fewbit_fake_quantize(half, &shape, &of_half, scales, zero_points, ROWS, NULL, fake, &shape, NULL));
    CHECK_BYTES(back, fake, sizeof back);
    /* A code's number, rounded once: near the one of f32. */
    CHECK_OK(fewbit_dequantize(q, &shape, &of_wide, scales, zero_points, ROWS, NULL, x, &shape, NULL));
    for (i = 0; i < COUNT(x); i++) {
        float number;
        if (real == FEWBIT_F16) {
            CHECK_OK(fewbit_convert_f16_f32(&back[i], 1, &number));
        } else {
            CHECK_OK(fewbit_convert_bf16_f32(&back[i], 1, &number));
        }
        CHECK((number > x[i] ? number - x[i] : x[i] - number) <= (x[i] > 0.0f ? x[i] : -x[i]) / 250.0f);
    }
}

/* Sums with multipliers by row and by column, in both modes: each as one sum of level 1. */
static void test_sums(size_t axis) {
    const fewbit_shape shape = shape2(ROWS, COLUMNS);
    const fewbit_tensor_quant spec = spec_of(FEWBIT_U8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_AXIS, axis, 0);
    const size_t count = axis == 0 ? ROWS : COLUMNS;
    int32_t sums[ROWS * COLUMNS], zero_points[COLUMNS], fixed[COLUMNS], shifts[COLUMNS];
    uint8_t q[ROWS * COLUMNS], q_fixed[ROWS * COLUMNS], one;
    float multipliers[COLUMNS];
    uint32_t state = 11;
    size_t i;
    for (i = 0; i < COUNT(sums); i++) {
        sums[i] = (int32_t)random_real(&state, 30000.0f);
    }
    for (i = 0; i < count; i++) {
        multipliers[i] = 0.001f * (float)(i + 1);
        zero_points[i] = (int32_t)(20 * i);
        CHECK_OK(fewbit_fixed_multiplier(multipliers[i], &fixed[i], &shifts[i]));
    }
    CHECK_OK(fewbit_requantize(sums, &shape, &spec, multipliers, zero_points, count, NULL, q, &shape, NULL));
    CHECK_OK(fewbit_requantize_fixed(sums, &shape, &spec, fixed, shifts, FEWBIT_FIXED_SINGLE, zero_points, count, NULL,
                                     q_fixed, &shape, NULL));
    for (i = 0; i < COUNT(sums); i++) {
        const size_t at = axis == 0 ? i / COLUMNS : i % COLUMNS;
        CHECK_OK(fewbit_requantize_s32_u8(&sums[i], 1, multipliers[at], zero_points[at], &one));
        CHECK(one == q[i]);
        CHECK_OK(fewbit_requantize_fixed_s32_u8(&sums[i], 1, fixed[at], shifts[at], FEWBIT_FIXED_SINGLE,
                                                zero_points[at], &one));
        CHECK(one == q_fixed[i]);
    }
}

static void test_empty(void) {
    const fewbit_shape shape = shape2(0, COLUMNS);
    const fewbit_tensor_quant spec = spec_of(FEWBIT_S8, FEWBIT_SCHEME_AFFINE, FEWBIT_PER_TENSOR, 0, 0);
    float scale = 0.0f;
    int32_t zero_point = 5;
    size_t count = 0;
    CHECK_OK(fewbit_param_count(&shape, &spec, &count, NULL));
    CHECK(count == 1);
    CHECK_OK(fewbit_choose_params(NULL, &shape, &spec, &scale, &zero_point, 1, NULL));
    CHECK(scale == 1.0f && zero_point == -128); /* as of zeros only */
    CHECK_OK(fewbit_quantize(NULL, &shape, &spec, &scale, &zero_point, 1, NULL, NULL, &shape, NULL));
    CHECK_OK(fewbit_dequantize(NULL, &shape, &spec, &scale, &zero_point, 1, NULL, NULL, &shape, NULL));
}

void test_tensors(void) {
    test_rows(FEWBIT_SCHEME_AFFINE);
    test_rows(FEWBIT_SCHEME_SYMMETRIC);
    test_strides();
    test_sums(0);
    test_sums(1);
    test_blocks();
    test_packed_rows();
    test_halves(FEWBIT_F16);
    test_halves(FEWBIT_BF16);
    test_empty();
}

void test_observers(void) {
    float x[97], min, max;
    fewbit_min_max whole, parts[3], merged;
    fewbit_moving_average one, other, swapped;
    fewbit_quality quality;
    const size_t starts[] = {0, 13, 50, 97};
    size_t i;
    fill(x, COUNT(x));
    CHECK_OK(fewbit_min_max_init(&whole));
    CHECK(whole.min > whole.max && whole.count == 0 && whole.nan_count == 0);
    CHECK_OK(fewbit_min_max_observe(x, COUNT(x), &whole));
    CHECK_OK(fewbit_min_max_f32(x, COUNT(x), &min, &max));
    CHECK(whole.min == min && whole.max == max && whole.count == COUNT(x) && whole.nan_count == 0);
    CHECK_OK(fewbit_min_max_init(&merged));
    for (i = 3; i-- > 0;) {
        CHECK_OK(fewbit_min_max_init(&parts[i]));
        CHECK_OK(fewbit_min_max_observe(x + starts[i], starts[i + 1] - starts[i], &parts[i]));
        CHECK_OK(fewbit_min_max_merge(&parts[i], &merged));
    }
    CHECK_BYTES(&whole, &merged, sizeof whole);

    CHECK_OK(fewbit_moving_average_init(&one));
    CHECK_OK(fewbit_moving_average_init(&other));
    CHECK_OK(fewbit_moving_average_observe(x, 13, &one));
    CHECK_OK(fewbit_moving_average_observe(x + 13, 37, &other));
    CHECK_OK(fewbit_moving_average_observe(x + 50, 47, &other));
    swapped = other;
    CHECK_OK(fewbit_moving_average_merge(&one, &swapped));
    CHECK_OK(fewbit_moving_average_merge(&other, &one));
    CHECK_BYTES(&one, &swapped, sizeof one);
    CHECK(one.batches == 3 && one.count == COUNT(x));
    CHECK_OK(fewbit_moving_average_range(&one, &min, &max));
    CHECK(min >= whole.min && max <= whole.max && min < max);

    CHECK_OK(fewbit_compare_f32(x, x, COUNT(x), &quality));
    CHECK(quality.sqnr_db > 1e300 && quality.max_abs_error == 0.0 && quality.cosine == 1.0);
    {
        const float reference[] = {3.0f, 4.0f}, given[] = {3.0f, 4.5f};
        CHECK_OK(fewbit_compare_f32(reference, given, 2, &quality));
        CHECK(quality.sqnr_db > 19.99 && quality.sqnr_db < 20.01 && quality.max_abs_error == 0.5);
        CHECK(quality.cosine > 0.99 && quality.cosine < 1.0);
    }
}
