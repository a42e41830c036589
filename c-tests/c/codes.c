/* Pooling, sums, products and concatenations of codes against loops over level 1. */
#include "check.h"

enum { POOL_H = 9, POOL_W = 11, POOL_C = 5, POOL_IMAGES = 2, POOL_CODES = POOL_H * POOL_W * POOL_C };

static void fill(int8_t *codes, size_t n, uint32_t seed) {
    size_t i;
    for (i = 0; i < n; i++) {
        codes[i] = (int8_t)(int)(random_bits(&seed) >> 24);
    }
}

static fewbit_pool_desc any_pool(int32_t layout) {
    fewbit_pool_desc desc = FEWBIT_POOL_DESC_INIT;
    desc.layout = layout;
    desc.channels = POOL_C;
    desc.axes[0].size = POOL_H;
    desc.axes[1].size = POOL_W;
    desc.axes[0].kernel = 3;
    desc.axes[1].kernel = 2;
    desc.axes[0].stride = 2;
    desc.axes[1].stride = 1;
    desc.axes[0].pad_begin = 1;
    desc.axes[1].pad_end = 1;
    desc.x_params.scale = 0.25f;
    desc.x_params.zero_point = -7;
    desc.y_params.scale = 0.5f;
    desc.y_params.zero_point = 3;
    return desc;
}

/* A code of an image of h by w pixels. */
static size_t place(int32_t layout, size_t h, size_t w, size_t image, size_t row, size_t column, size_t channel) {
    return layout == FEWBIT_LAYOUT_NHWC ? ((image * h + row) * w + column) * POOL_C + channel
                                        : ((image * POOL_C + channel) * h + row) * w + column;
}

static int8_t requantized(int32_t sum, int32_t count, const fewbit_pool_desc *desc) {
    int8_t q = 0;
    const float multiplier = desc->x_params.scale / ((float)count * desc->y_params.scale);
    CHECK_OK(fewbit_requantize_s32_s8(&sum, 1, multiplier, desc->y_params.zero_point, &q));
    return q;
}

static void test_windows(int32_t layout) {
    static int8_t x[POOL_IMAGES * POOL_CODES], most[POOL_IMAGES * POOL_CODES], mean[POOL_IMAGES * POOL_CODES],
        padded[POOL_IMAGES * POOL_CODES], codes[POOL_IMAGES * POOL_CODES];
    fewbit_pool_desc desc = any_pool(layout);
    size_t dims[3] = {0, 0, 0}, in = 0, out = 0, image, row, column, channel;
    fill(x, COUNT(x), 5);
    CHECK_OK(fewbit_pool_dims(&desc, dims, &in, &out, NULL));
    CHECK(dims[0] == 1 && dims[1] == 4 && dims[2] == POOL_W);
    CHECK(in == POOL_CODES && out == 4 * POOL_W * POOL_C);
    CHECK_OK(fewbit_max_pool(&desc, POOL_IMAGES, x, NULL, most, NULL));
    CHECK_OK(fewbit_average_pool(&desc, POOL_IMAGES, x, NULL, mean, NULL));
    desc.count_include_pad = 1;
    CHECK_OK(fewbit_average_pool(&desc, POOL_IMAGES, x, NULL, padded, NULL));
    desc.average = FEWBIT_AVERAGE_CODES;
    CHECK_OK(fewbit_average_pool(&desc, POOL_IMAGES, x, NULL, codes, NULL));
    for (image = 0; image < POOL_IMAGES; image++) {
        for (row = 0; row < dims[1]; row++) {
            for (column = 0; column < dims[2]; column++) {
                for (channel = 0; channel < POOL_C; channel++) {
                    const size_t at = place(layout, dims[1], dims[2], image, row, column, channel);
                    int32_t largest = -128, sum = 0, count = 0, whole;
                    size_t kh, kw;
                    for (kh = 0; kh < 3; kh++) {
                        for (kw = 0; kw < 2; kw++) {
                            const size_t h = row * 2 + kh, w = column + kw;
                            if (h >= 1 && h < POOL_H + 1 && w < POOL_W) {
                                const int32_t q = x[place(layout, POOL_H, POOL_W, image, h - 1, w, channel)];
                                largest = q > largest ? q : largest;
                                sum += q;
                                count++;
                            }
                        }
                    }
                    CHECK(most[at] == largest);
                    CHECK(mean[at] == requantized(sum + 7 * count, count, &desc));
                    CHECK(padded[at] == requantized(sum + 7 * count, 6, &desc));
                    whole = sum < 0 ? -((2 * -sum + count) / (2 * count)) : (2 * sum + count) / (2 * count);
                    CHECK(codes[at] == whole);
                }
            }
        }
    }
    desc.ceil_mode = 1;
    desc.axes[0].stride = 3;
    CHECK_OK(fewbit_pool_dims(&desc, dims, NULL, NULL, NULL));
    CHECK(dims[1] == 4);
}

static void test_global(int32_t layout) {
    static int8_t x[POOL_IMAGES * POOL_CODES];
    int8_t most[POOL_IMAGES * POOL_C], mean[POOL_IMAGES * POOL_C], expected[POOL_IMAGES * POOL_C];
    fewbit_pool_desc desc = any_pool(layout);
    size_t image, channel, pixel;
    fill(x, COUNT(x), 6);
    CHECK_OK(fewbit_global_max_pool(&desc, POOL_IMAGES, x, NULL, most, NULL));
    CHECK_OK(fewbit_global_average_pool(&desc, POOL_IMAGES, x, NULL, mean, NULL));
    for (image = 0; image < POOL_IMAGES; image++) {
        for (channel = 0; channel < POOL_C; channel++) {
            int32_t largest = -128, sum = 0;
            for (pixel = 0; pixel < POOL_H * POOL_W; pixel++) {
                const int32_t q = x[place(layout, POOL_H, POOL_W, image, pixel / POOL_W, pixel % POOL_W, channel)];
                largest = q > largest ? q : largest;
                sum += q + 7;
            }
            CHECK(most[image * POOL_C + channel] == largest);
            expected[image * POOL_C + channel] = requantized(sum, POOL_H * POOL_W, &desc);
        }
    }
    CHECK_BYTES(expected, mean, sizeof mean);
}

enum { ROWS = 6, COLUMNS = 37 };

static void test_two(size_t b_rows, size_t b_columns) {
    static int8_t a[ROWS * COLUMNS], b[ROWS * COLUMNS], sums[ROWS * COLUMNS], products[ROWS * COLUMNS];
    float x, y, sum, product;
    int8_t q;
    size_t i;
    fewbit_binary_desc desc = FEWBIT_BINARY_DESC_INIT;
    fill(a, COUNT(a), 7);
    fill(b, COUNT(b), 8);
    desc.rows = ROWS;
    desc.columns = COLUMNS;
    desc.b_rows = b_rows;
    desc.b_columns = b_columns;
    desc.a.scale = 0.11f;
    desc.a.zero_point = 4;
    desc.b.scale = 0.07f;
    desc.b.zero_point = -100;
    desc.y.scale = 0.13f;
    desc.y.zero_point = -20;
    CHECK_OK(fewbit_add(&desc, a, b, NULL, sums, NULL));
    desc.activation = FEWBIT_ACTIVATION_RELU;
    CHECK_OK(fewbit_multiply(&desc, a, b, NULL, products, NULL));
    for (i = 0; i < ROWS * COLUMNS; i++) {
        const size_t row = i / COLUMNS % b_rows, column = b_columns == 1 ? 0 : i % COLUMNS;
        CHECK_OK(fewbit_dequantize_s8_f32(&a[i], 1, &desc.a, &x));
        CHECK_OK(fewbit_dequantize_s8_f32(&b[row * b_columns + column], 1, &desc.b, &y));
        sum = x + y;
        product = x * y;
        CHECK_OK(fewbit_quantize_f32_s8(&sum, 1, &desc.y, &q));
        CHECK(sums[i] == q);
        CHECK_OK(fewbit_quantize_f32_s8(&product, 1, &desc.y, &q));
        CHECK(products[i] == (q < -20 ? -20 : q));
    }
}

/* Examples worked out by hand: 1.0 + 1.5 and 1.0 * 1.5, and what a clamp makes of them. */
static void test_fixed_point(void) {
    const int8_t a = 12, b = 25;
    int8_t y = 0;
    fewbit_binary_desc desc = FEWBIT_BINARY_DESC_INIT;
    desc.columns = 1;
    desc.b_columns = 1;
    desc.fixed_point = 1;
    desc.a.scale = 0.1f;
    desc.a.zero_point = 2;
    desc.b.scale = 0.05f;
    desc.b.zero_point = -5;
    desc.y.scale = 0.02f;
    desc.y.zero_point = -10;
    CHECK_OK(fewbit_add(&desc, &a, &b, NULL, &y, NULL));
    CHECK(y == 115);
    CHECK_OK(fewbit_multiply(&desc, &a, &b, NULL, &y, NULL));
    CHECK(y == 65);
    desc.activation = FEWBIT_ACTIVATION_CLAMP;
    desc.alpha = 0.0f;
    desc.beta = 1.25f;
    CHECK_OK(fewbit_add(&desc, &a, &b, NULL, &y, NULL));
    CHECK(y == 53); /* 62.5 steps, away from zero */
}

static void test_concat(void) {
    static int8_t first[3 * 2 * 7], second[3 * 1 * 7], joined[3 * 3 * 7];
    int8_t expected[3 * 3 * 7];
    const fewbit_quant_params from = {0.3f, 9}, to = {0.2f, -4};
    fewbit_concat_piece pieces[2];
    size_t outer;
    fill(first, COUNT(first), 9);
    fill(second, COUNT(second), 10);
    pieces[0].x = first;
    pieces[0].len = 2;
    pieces[0].params = from;
    pieces[1].x = second;
    pieces[1].len = 1;
    pieces[1].params = to;
    CHECK_OK(fewbit_concat(pieces, 2, 3, 7, FEWBIT_S8, &to, NULL, joined, NULL));
    for (outer = 0; outer < 3; outer++) {
        CHECK_OK(fewbit_rescale_s8_s8(first + outer * 14, 14, &from, &to, expected + outer * 21));
        memcpy(expected + outer * 21 + 14, second + outer * 7, 7);
    }
    CHECK_BYTES(expected, joined, sizeof expected);
}

/* Threads change nothing. */
static void test_parallel(void) {
    enum { SIDE = 300, CHANNELS = 8 };
    const size_t n = (size_t)SIDE * SIDE * CHANNELS;
    uint8_t *x = (uint8_t *)malloc(4 * n), *one = x + n, *many = x + 2 * n, *joined = x + 3 * n;
    harness_threads threads;
    fewbit_parallel_for parallel_for;
    fewbit_pool_desc pool = FEWBIT_POOL_DESC_INIT;
    fewbit_binary_desc binary = FEWBIT_BINARY_DESC_INIT;
    fewbit_concat_piece piece = {NULL, SIDE, {2.0f, 3}};
    const fewbit_quant_params to = {3.0f, 1};
    CHECK(x != NULL);
    if (x == NULL) {
        return;
    }
    fill((int8_t *)x, n, 11);
    memset(&threads, 0, sizeof threads);
    threads.workers = 3;
    parallel_for = parallel_for_of(&threads);
    pool.dtype = binary.dtype = FEWBIT_U8;
    pool.channels = CHANNELS;
    pool.axes[0].size = pool.axes[1].size = SIDE;
    pool.axes[0].kernel = pool.axes[1].kernel = 3;
    CHECK_OK(fewbit_max_pool(&pool, 1, x, NULL, one, NULL));
    CHECK_OK(fewbit_max_pool(&pool, 1, x, &parallel_for, many, NULL));
    CHECK_BYTES(one, many, (SIDE - 2) * (SIDE - 2) * CHANNELS);
    CHECK_OK(fewbit_average_pool(&pool, 1, x, NULL, one, NULL));
    CHECK_OK(fewbit_average_pool(&pool, 1, x, &parallel_for, many, NULL));
    CHECK_BYTES(one, many, (SIDE - 2) * (SIDE - 2) * CHANNELS);
    binary.columns = binary.b_columns = n;
    CHECK_OK(fewbit_add(&binary, x, x, NULL, one, NULL));
    CHECK_OK(fewbit_add(&binary, x, x, &parallel_for, many, NULL));
    CHECK_BYTES(one, many, n);
    piece.x = x;
    CHECK_OK(fewbit_concat(&piece, 1, 1, SIDE * CHANNELS, FEWBIT_U8, &to, NULL, one, NULL));
    CHECK_OK(fewbit_concat(&piece, 1, 1, SIDE * CHANNELS, FEWBIT_U8, &to, &parallel_for, joined, NULL));
    CHECK_BYTES(one, joined, n);
    free(x);
}

void test_codes(void) {
    test_windows(FEWBIT_LAYOUT_NHWC);
    test_windows(FEWBIT_LAYOUT_NCHW);
    test_global(FEWBIT_LAYOUT_NHWC);
    test_global(FEWBIT_LAYOUT_NCHW);
    test_two(ROWS, COLUMNS);
    test_two(1, COLUMNS);
    test_two(2, 1);
    test_two(1, 1);
    test_fixed_point();
    test_concat();
    test_parallel();
}
