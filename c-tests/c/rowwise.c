/* Functions of rows: known values, every type, in place, and everything that must be refused. */
#include "refused.h"

#include <math.h>

enum { ROWS = 4, COLUMNS = 6 };

static float x[ROWS * COLUMNS], gamma_[COLUMNS], beta[COLUMNS];
static const fewbit_quant_params params = {1.0f / 256.0f, 0};

/* The shares of 1, 1 and exp(-ln 2). */
static void test_values(void) {
    const float halved = 0.69314718f;
    const float rows[6] = {3.0f, 3.0f, 3.0f - halved, -INFINITY, 0.0f, -INFINITY};
    const fewbit_shape shape = shape2(2, 3);
    float y[6], log[6], again[6];
    uint8_t codes[6];
    uint16_t halves[6];
    fewbit_quant_params one = {1.0f, 0};
    CHECK_OK(fewbit_softmax(rows, &shape, FEWBIT_F32, NULL, NULL, y, &shape, FEWBIT_F32, NULL, NULL));
    CHECK_OK(fewbit_log_softmax(rows, &shape, FEWBIT_F32, NULL, NULL, log, &shape, FEWBIT_F32, NULL, NULL));
    CHECK(fabsf(y[0] - 0.4f) < 1e-6f && y[0] == y[1] && fabsf(y[2] - 0.2f) < 1e-6f);
    CHECK(y[3] == 0.0f && y[4] == 1.0f && y[5] == 0.0f);
    CHECK(fabsf(log[0] + 0.91629073f) < 1e-6f && log[3] == -INFINITY && log[4] == 0.0f);
    CHECK_OK(fewbit_softmax(rows, &shape, FEWBIT_F32, NULL, NULL, codes, &shape, FEWBIT_U8, &params, NULL));
    CHECK(codes[0] == 102 && codes[1] == 102 && codes[2] == 51 && codes[3] == 0 && codes[4] == 255);
    CHECK_OK(fewbit_convert_f32_f16(y, 6, halves));
    CHECK_OK(fewbit_softmax(halves, &shape, FEWBIT_F16, NULL, NULL, again, &shape, FEWBIT_F32, NULL, NULL));
    CHECK(again[3] == again[5] && again[4] > again[3]);
    CHECK_OK(fewbit_softmax(codes, &shape, FEWBIT_U8, &one, NULL, codes, &shape, FEWBIT_U8, &params, NULL)); /* in place */
    CHECK(codes[0] == 128 && codes[1] == 128 && codes[2] == 0 && codes[4] == 255);
    memcpy(again, rows, sizeof rows);
    CHECK_OK(fewbit_softmax(again, &shape, FEWBIT_F32, NULL, NULL, again, &shape, FEWBIT_F32, NULL, NULL));
    CHECK_BYTES(y, again, sizeof y);
    {
        const float plain[4] = {1.0f, 3.0f, -2.0f, 2.0f}, scale[2] = {2.0f, 3.0f}, shift[2] = {0.5f, -0.5f};
        const fewbit_shape two = shape2(2, 2);
        CHECK_OK(fewbit_layer_norm(plain, &two, FEWBIT_F32, NULL, scale, shift, 0.0f, NULL, y, &two, FEWBIT_F32, NULL,
                                   NULL));
        CHECK(y[0] == -1.5f && y[1] == 2.5f && y[2] == -1.5f && y[3] == 2.5f);
        CHECK_OK(fewbit_rms_norm(plain, &two, FEWBIT_F32, NULL, scale, NULL, 0.0f, NULL, y, &two, FEWBIT_F32, NULL, NULL));
        CHECK(y[2] == -2.0f && y[3] == 3.0f);
    }
}

/* The columns of a matrix as rows. */
static void test_strides(void) {
    float by_row[ROWS * COLUMNS], turned[ROWS * COLUMNS];
    const fewbit_shape shape = shape2(COLUMNS, ROWS);
    fewbit_shape columns = shape2(COLUMNS, ROWS);
    float copy[ROWS * COLUMNS];
    size_t row, column;
    uint32_t state = 5;
    columns.strides[0] = 1;
    columns.strides[1] = COLUMNS;
    for (row = 0; row < ROWS * COLUMNS; row++) {
        x[row] = random_real(&state, 4.0f);
    }
    for (row = 0; row < ROWS; row++) {
        for (column = 0; column < COLUMNS; column++) {
            copy[column * ROWS + row] = x[row * COLUMNS + column];
        }
    }
    CHECK_OK(fewbit_softmax(copy, &shape, FEWBIT_F32, NULL, NULL, by_row, &shape, FEWBIT_F32, NULL, NULL));
    CHECK_OK(fewbit_softmax(x, &columns, FEWBIT_F32, NULL, NULL, turned, &columns, FEWBIT_F32, NULL, NULL));
    for (row = 0; row < ROWS; row++) {
        for (column = 0; column < COLUMNS; column++) {
            CHECK_BYTES(&by_row[column * ROWS + row], &turned[row * COLUMNS + column], sizeof(float));
        }
    }
}

/* What all four refuse: `f`, the arguments between the input and the output, and what follows them. */
#define COMMON(f, ...)                                                                                              \
    do {                                                                                                            \
        NULL_EXPLAINED(f, x, (NULL, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        NULL_EXPLAINED(f, x_shape, (x, NULL, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        NULL_EXPLAINED(f, x_params, (bytes, &shape, FEWBIT_S8, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        NULL_EXPLAINED(f, y, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, NULL, &shape, FEWBIT_F32, NULL, &err));      \
        NULL_EXPLAINED(f, y_shape, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, NULL, FEWBIT_F32, NULL, &err)); \
        NULL_EXPLAINED(f, y_params, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.u8, &shape, FEWBIT_U8, NULL, &err)); \
        NULL_ACCEPTED(f, error, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, NULL)); \
        NULL_ACCEPTED(f, parallel_for, (x, &shape, FEWBIT_BF16, &params, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, &params, &err)); \
        INVALID_EXPLAINED(f, x_dtype, (x, &shape, FEWBIT_S4, &params, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, y_dtype, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, 0, &params, &err)); \
        INVALID_EXPLAINED(f, x_params, (bytes, &shape, FEWBIT_U8, &no_scale, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, y_params, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.u8, &shape, FEWBIT_U8, &no_code, &err)); \
        INVALID_EXPLAINED(f, x_shape, (x, &scalar, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &scalar, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, y_shape, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &other, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, x, (x, &huge, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &huge, FEWBIT_F32, NULL, &err));  \
        MISALIGNED(f, x, (ODD(float, x), &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        MISALIGNED(f, y, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, ODD(uint16_t, out.f32), &shape, FEWBIT_F16, NULL, &err)); \
        MISALIGNED(f, y_params, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.s8, &shape, FEWBIT_S8,               \
                                 ODD(fewbit_quant_params, out.room), &err));                                        \
        OVERLAPPING(f, y, (out.f32, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32 + 1, &shape, FEWBIT_F32, NULL, &err)); \
        OVERLAPPING(f, y, (out.f32, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &shape, FEWBIT_F16, NULL, &err)); \
        OVERLAPPING(f, y, (out.f32, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &apart, FEWBIT_F32, NULL, &err)); \
        OVERLAPPING(f, y_shape, (x, &shape, FEWBIT_F32, NULL, __VA_ARGS__, out.f32, &folded, FEWBIT_F32, NULL, &err)); \
        ACCEPTED("empty", f, x, (NULL, &empty, FEWBIT_F32, NULL, __VA_ARGS__, NULL, &empty, FEWBIT_F32, NULL, &err)); \
    } while (0)

static void test_refused(void) {
    static const uint8_t bytes[ROWS * COLUMNS] = {0};
    const fewbit_quant_params no_scale = {0.0f, 0}, no_code = {1.0f, -1};
    const fewbit_parallel_for nobody = {NULL, 0, NULL, 0};
    const fewbit_shape shape = shape2(ROWS, COLUMNS), other = shape2(COLUMNS, ROWS), huge = shape2(SIZE_MAX / 4, 1),
                       empty = shape2(0, COLUMNS);
    fewbit_shape scalar = FEWBIT_SHAPE_INIT, folded = shape, apart = shape;
    folded.strides[0] = folded.strides[1] = 1;
    apart.strides[0] = COLUMNS + 1;
    apart.strides[1] = 1;
    COMMON(fewbit_softmax, NULL);
    COMMON(fewbit_log_softmax, NULL);
    COMMON(fewbit_layer_norm, gamma_, beta, 1e-5f, NULL);
    COMMON(fewbit_rms_norm, gamma_, beta, 1e-5f, NULL);
    INVALID(fewbit_softmax, parallel_for,
            (x, &shape, FEWBIT_F32, NULL, &nobody, out.f32, &shape, FEWBIT_F32, NULL, &err));
    INVALID(fewbit_log_softmax, parallel_for,
            (x, &shape, FEWBIT_F32, NULL, &nobody, out.f32, &shape, FEWBIT_F32, NULL, &err));
#define NORM(f)                                                                                                      \
    do {                                                                                                             \
        NULL_ACCEPTED(f, gamma, (x, &shape, FEWBIT_F32, NULL, NULL, beta, 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        NULL_ACCEPTED(f, beta, (x, &shape, FEWBIT_F32, NULL, gamma_, NULL, 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        MISALIGNED(f, gamma, (x, &shape, FEWBIT_F32, NULL, ODD(float, gamma_), beta, 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        MISALIGNED(f, beta, (x, &shape, FEWBIT_F32, NULL, gamma_, ODD(float, beta), 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        OVERLAPPING(f, y, (x, &shape, FEWBIT_F32, NULL, out.f32, beta, 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        OVERLAPPING(f, y, (x, &shape, FEWBIT_F32, NULL, gamma_, out.f32 + 23, 1e-5f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, epsilon, (x, &shape, FEWBIT_F32, NULL, gamma_, beta, -1.0f, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, epsilon, (x, &shape, FEWBIT_F32, NULL, gamma_, beta, NAN, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID_EXPLAINED(f, epsilon, (x, &shape, FEWBIT_F32, NULL, gamma_, beta, INFINITY, NULL, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
        INVALID(f, parallel_for, (x, &shape, FEWBIT_F32, NULL, gamma_, beta, 1e-5f, &nobody, out.f32, &shape, FEWBIT_F32, NULL, &err)); \
    } while (0)
    NORM(fewbit_layer_norm);
    NORM(fewbit_rms_norm);
}

void test_rowwise(void) {
    test_values();
    test_strides();
    test_refused();
}
