/* Level 3 against its definition in plain loops. */
#include "check.h"

/* Kept out of registers and away from contraction: each operation rounds on its own. */
static float multiplied(float a, float b) {
    volatile float product = a * b;
    return product;
}

static float added(float a, float b) {
    volatile float sum = a + b;
    return sum;
}

/* To nearest, ties to even, for |x| < 2^22. */
static int32_t nearest(float x) {
    return (int32_t)added(added(x, 12582912.0f), -12582912.0f);
}

/* clamp(round_half_even(x) + zero_point), clamped before it is rounded. */
static int32_t to_code(float x, int32_t zero_point, int32_t low, int32_t high) {
    const float bottom = (float)(low - zero_point), top = (float)(high - zero_point);
    x = x < bottom ? bottom : x > top ? top : x;
    return nearest(x) + zero_point;
}

static int8_t weights[LAYER_N * LAYER_K], conv_weights[FILTERS * 9 * IMAGE_C];
static float weight_scales[LAYER_N], bias[LAYER_N];
static int32_t weight_zero_points[LAYER_N], sum_bias[LAYER_N];

/* Once, so that no later call computes with floats in an environment that a test has changed. */
static void fill_weights(void) {
    static int filled;
    uint32_t state = 99;
    size_t i;
    if (filled) {
        return;
    }
    filled = 1;
    for (i = 0; i < COUNT(weights); i++) {
        weights[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(conv_weights); i++) {
        conv_weights[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    weights[0] = -128;
    conv_weights[0] = -128;
    for (i = 0; i < LAYER_N; i++) {
        weight_scales[i] = (float)(1 + random_bits(&state) % 1000) * 1e-5f;
        weight_zero_points[i] = (int32_t)(random_bits(&state) % 256) - 128;
        bias[i] = random_real(&state, 2.0f);
        sum_bias[i] = (int32_t)(random_bits(&state) % 20001) - 10000;
    }
}

static fewbit_linear_desc linear_desc(int32_t input_mode, int32_t output) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    fill_weights();
    desc.in_features = LAYER_K;
    desc.out_features = LAYER_N;
    desc.weights.data = weights;
    desc.weights.scales = weight_scales;
    desc.weights.scale_count = LAYER_N;
    desc.weights.zero_points = weight_zero_points;
    desc.weights.zero_point_count = LAYER_N;
    desc.input.mode = input_mode;
    desc.input.dtype = FEWBIT_U8;
    desc.input.scheme = FEWBIT_SCHEME_AFFINE;
    desc.input.params.scale = 0.02f;
    desc.input.params.zero_point = 113;
    if (output == FEWBIT_F32) {
        desc.bias.data = bias;
        desc.bias.dtype = FEWBIT_F32;
        desc.output.activation = FEWBIT_ACTIVATION_RELU;
    } else if (input_mode == FEWBIT_INPUT_CODES || input_mode == FEWBIT_INPUT_STATIC) {
        desc.bias.data = sum_bias;
        desc.bias.dtype = FEWBIT_S32;
    }
    desc.output.dtype = output;
    desc.output.params.scale = 0.25f;
    desc.output.params.zero_point = output == FEWBIT_U8 ? 10 : -3;
    return desc;
}

fewbit_linear *any_linear(int32_t input_mode, int32_t output) {
    const fewbit_linear_desc desc = linear_desc(input_mode, output);
    fewbit_linear *linear = NULL;
    fewbit_error error;
    if (fewbit_linear_create(&desc, &linear, &error) != FEWBIT_OK) {
        printf("%s\n", error.message);
        CHECK(linear != NULL);
        exit(1);
    }
    return linear;
}

static size_t element_size(int32_t dtype) {
    return dtype == FEWBIT_F32 || dtype == FEWBIT_S32 ? 4 : 1;
}

/* One output from its int32 sum, in the order that the header states. */
static void put(void *y, size_t at, int32_t sum, size_t channel, float input_scale, const fewbit_output *output) {
    const float scale = multiplied(input_scale, weight_scales[channel]);
    const int32_t zero_point = output->params.zero_point;
    float real;
    volatile float ratio;
    switch (output->dtype) {
    case FEWBIT_S32:
        ((int32_t *)y)[at] = sum;
        break;
    case FEWBIT_F32:
        real = added(multiplied((float)sum, scale), bias[channel]);
        ((float *)y)[at] = output->activation == FEWBIT_ACTIVATION_RELU && !(real > 0.0f) ? 0.0f : real;
        break;
    case FEWBIT_S8:
        ratio = scale / output->params.scale;
        ((int8_t *)y)[at] = (int8_t)to_code(multiplied((float)sum, ratio), zero_point, -128, 127);
        break;
    default:
        ratio = scale / output->params.scale;
        ((uint8_t *)y)[at] = (uint8_t)to_code(multiplied((float)sum, ratio), zero_point, 0, 255);
    }
}

static void fill_input(float *x, size_t n) {
    uint32_t state = 5;
    size_t i;
    for (i = 0; i < n; i++) {
        x[i] = random_real(&state, 4.0f);
    }
}

/* The codes and parameters that a mode makes of the input, one parameter a row. */
static void expected_codes(int32_t mode, const float *x, size_t rows, size_t k, uint8_t *codes,
                           fewbit_quant_params *params) {
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    float min, max;
    size_t row;
    spec.dtype = FEWBIT_U8;
    for (row = 0; row < rows; row++) {
        params[row].scale = 0.02f;
        params[row].zero_point = 113;
        if (mode == FEWBIT_INPUT_DYNAMIC_PER_ROW) {
            CHECK_OK(fewbit_min_max_f32(x + row * k, k, &min, &max));
            CHECK_OK(fewbit_params_from_range(min, max, &spec, &params[row], NULL));
        } else if (mode == FEWBIT_INPUT_DYNAMIC_PER_TENSOR) {
            CHECK_OK(fewbit_min_max_f32(x, rows * k, &min, &max));
            CHECK_OK(fewbit_params_from_range(min, max, &spec, &params[row], NULL));
        }
        CHECK_OK(fewbit_quantize_f32_u8(x + row * k, k, &params[row], codes + row * k));
    }
}

static const int32_t modes[] = {FEWBIT_INPUT_CODES, FEWBIT_INPUT_STATIC, FEWBIT_INPUT_DYNAMIC_PER_ROW,
                                FEWBIT_INPUT_DYNAMIC_PER_TENSOR};
static const int32_t outputs[] = {FEWBIT_F32, FEWBIT_S8, FEWBIT_U8, FEWBIT_S32};

static void linear_case(int32_t mode, int32_t output) {
    enum { X_STRIDE = LAYER_K, Y_STRIDE = LAYER_N + 2 };
    const fewbit_linear_desc desc = linear_desc(mode, output);
    static float x[LAYER_M * X_STRIDE];
    static uint8_t codes[LAYER_M * X_STRIDE];
    static int32_t y[LAYER_M * Y_STRIDE], expected[LAYER_M * Y_STRIDE], split[LAYER_M * Y_STRIDE];
    fewbit_quant_params params[LAYER_M];
    fewbit_linear *linear = any_linear(mode, output);
    const void *input = mode == FEWBIT_INPUT_CODES ? (const void *)codes : (const void *)x;
    char name[64];
    int64_t bound = 0;
    size_t bytes = 0, size = 0, m, n, k;
    void *workspace = linear_memory(linear, LAYER_M, 1, &size);
    fill_input(x, COUNT(x));
    expected_codes(mode, x, LAYER_M, LAYER_K, codes, params);
    CHECK_OK(fewbit_linear_info(linear, name, sizeof name, &bound, &bytes, NULL));
    CHECK(strlen(name) > 0 && bytes >= LAYER_N * LAYER_K);
    memset(y, 0x5A, sizeof y);
    memset(expected, 0x5A, sizeof expected);
    memset(split, 0x5A, sizeof split);
    for (m = 0; m < LAYER_M; m++) {
        for (n = 0; n < LAYER_N; n++) {
            int32_t sum = desc.bias.dtype == FEWBIT_S32 ? sum_bias[n] : 0;
            for (k = 0; k < LAYER_K; k++) {
                sum += (codes[m * LAYER_K + k] - params[m].zero_point) *
                       (weights[n * LAYER_K + k] - weight_zero_points[n]);
            }
            CHECK((sum < 0 ? -(int64_t)sum : sum) <= bound);
            put(expected, m * Y_STRIDE + n, sum, n, params[m].scale, &desc.output);
        }
    }
    CHECK_OK(fewbit_linear_run(linear, LAYER_M, input, X_STRIDE, workspace, size, NULL, y, Y_STRIDE, NULL));
    CHECK_BYTES(expected, y, LAYER_M * Y_STRIDE * element_size(output)); /* gaps too */
    for (m = 0; m < LAYER_M; m += 4) {
        for (n = 0; n < LAYER_N; n += 8) {
            CHECK_OK(fewbit_linear_run_range(linear, LAYER_M, input, X_STRIDE, NULL, 0, workspace, size, NULL, split, Y_STRIDE,
                                             m, m + 4 < LAYER_M ? m + 4 : (size_t)LAYER_M, n,
                                             n + 8 < LAYER_N ? n + 8 : (size_t)LAYER_N, NULL));
        }
    }
    CHECK_BYTES(expected, split, LAYER_M * Y_STRIDE * element_size(output));
    free(workspace);
    fewbit_linear_destroy(linear);
}

void test_linear(void) {
    size_t i, o;
    for (i = 0; i < COUNT(modes); i++) {
        /* Sums of codes whose scale is not known beforehand are refused. */
        for (o = 0; o < (i < 2 ? COUNT(outputs) : COUNT(outputs) - 1); o++) {
            linear_case(modes[i], outputs[o]);
        }
    }
    fewbit_linear_destroy(NULL);
}

static fewbit_conv_desc conv_desc(int32_t input_mode, int32_t output, int32_t layout) {
    const fewbit_linear_desc linear = linear_desc(input_mode, output);
    const fewbit_conv_axis axes[2] = {{IMAGE_H, 3, 2, 1, 1, 2}, {IMAGE_W, 3, 1, 2, 2, 1}};
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    memcpy(desc.axes, axes, sizeof axes);
    desc.in_channels = IMAGE_C;
    desc.out_channels = FILTERS;
    desc.layout = layout;
    desc.filter_layout = layout == FEWBIT_LAYOUT_NHWC ? FEWBIT_FILTER_OHWI : FEWBIT_FILTER_OIHW;
    desc.weights = linear.weights;
    desc.weights.data = conv_weights;
    desc.weights.scale_count = FILTERS;
    desc.weights.zero_point_count = FILTERS;
    desc.input = linear.input;
    desc.bias = linear.bias;
    desc.output = linear.output;
    return desc;
}

fewbit_conv *any_conv(int32_t input_mode, int32_t output) {
    const fewbit_conv_desc desc = conv_desc(input_mode, output, FEWBIT_LAYOUT_NHWC);
    fewbit_conv *conv = NULL;
    fewbit_error error;
    if (fewbit_conv_create(&desc, &conv, &error) != FEWBIT_OK) {
        printf("%s\n", error.message);
        CHECK(conv != NULL);
        exit(1);
    }
    return conv;
}

static void conv_case(int32_t mode, int32_t output, int32_t layout) {
    enum { IN = IMAGE_C * IMAGE_H * IMAGE_W, MOST = 6 * 6 * FILTERS };
    const fewbit_conv_desc desc = conv_desc(mode, output, layout);
    const int nhwc = layout == FEWBIT_LAYOUT_NHWC;
    static float x[IMAGES * IN];
    static uint8_t codes[IMAGES * IN];
    static int32_t y[IMAGES * MOST], expected[IMAGES * MOST];
    fewbit_quant_params params[IMAGES];
    fewbit_conv *conv = NULL;
    char name[64];
    int64_t bound = 0;
    size_t dims[3] = {0, 0, 0}, in = 0, out = 0, bytes = 0, size = 0, image, o, oy, ox, ky, kx, c;
    void *workspace;
    CHECK_OK(fewbit_conv_create(&desc, &conv, NULL));
    CHECK_OK(fewbit_conv_info(conv, dims, &in, &out, name, sizeof name, &bound, &bytes, NULL));
    CHECK(dims[0] == 1 && dims[1] == (IMAGE_H + 3 - 3) / 2 + 1 && dims[2] == (IMAGE_W + 3 - 5) / 1 + 1);
    CHECK(in == IN && out == dims[1] * dims[2] * FILTERS && out <= MOST && strlen(name) > 0 && bytes > 0);
    workspace = conv_memory(conv, IMAGES, 1, &size);
    fill_input(x, COUNT(x));
    expected_codes(mode, x, IMAGES, IN, codes, params);
    memset(y, 0x5A, sizeof y);
    memset(expected, 0x5A, sizeof expected);
    for (image = 0; image < IMAGES; image++) {
        for (o = 0; o < FILTERS; o++) {
            for (oy = 0; oy < dims[1]; oy++) {
                for (ox = 0; ox < dims[2]; ox++) {
                    int32_t sum = desc.bias.dtype == FEWBIT_S32 ? sum_bias[o] : 0;
                    for (ky = 0; ky < 3; ky++) {
                        for (kx = 0; kx < 3; kx++) {
                            /* Beyond the image the difference wraps to a huge number. */
                            const size_t iy = oy * 2 + ky - 1, ix = ox + kx * 2 - 2;
                            for (c = 0; iy < IMAGE_H && ix < IMAGE_W && c < IMAGE_C; c++) {
                                const size_t at = nhwc ? (iy * IMAGE_W + ix) * IMAGE_C + c
                                                       : (c * IMAGE_H + iy) * IMAGE_W + ix;
                                const size_t w = nhwc ? ((o * 3 + ky) * 3 + kx) * IMAGE_C + c
                                                      : ((o * IMAGE_C + c) * 3 + ky) * 3 + kx;
                                sum += (codes[image * IN + at] - params[image].zero_point) *
                                       (conv_weights[w] - weight_zero_points[o]);
                            }
                        }
                    }
                    CHECK((sum < 0 ? -(int64_t)sum : sum) <= bound);
                    put(expected,
                        image * out + (nhwc ? (oy * dims[2] + ox) * FILTERS + o : (o * dims[1] + oy) * dims[2] + ox),
                        sum, o, params[image].scale, &desc.output);
                }
            }
        }
    }
    CHECK_OK(fewbit_conv_run(conv, IMAGES, mode == FEWBIT_INPUT_CODES ? (const void *)codes : (const void *)x, NULL,
                             workspace, size, NULL, y, NULL));
    CHECK_BYTES(expected, y, sizeof y);
    free(workspace);
    fewbit_conv_destroy(conv);
}

/* Each input pixel's products, added where they belong. */
static void transposed_case(int32_t mode, int32_t output, int32_t layout) {
    enum { IN = IMAGE_C * IMAGE_H * IMAGE_W, MOST = 2 * IMAGE_H * (IMAGE_W + 3) * FILTERS };
    fewbit_conv_desc desc = conv_desc(mode, output, layout);
    const size_t padding[2] = {1, 0};
    const int nhwc = layout == FEWBIT_LAYOUT_NHWC;
    static float x[IMAGES * IN];
    static uint8_t codes[IMAGES * IN];
    static int32_t y[IMAGES * MOST], expected[IMAGES * MOST], sums[MOST];
    fewbit_quant_params params[IMAGES];
    fewbit_conv *conv = NULL;
    size_t dims[3] = {0, 0, 0}, out = 0, size = 0, image, o, iy, ix, ky, kx, c, i;
    void *workspace;
    desc.filter_layout = nhwc ? FEWBIT_FILTER_IHWO : FEWBIT_FILTER_IOHW;
    CHECK_OK(fewbit_conv_create_transposed(&desc, padding, &conv, NULL));
    CHECK_OK(fewbit_conv_info(conv, dims, NULL, &out, NULL, 0, NULL, NULL, NULL));
    CHECK(dims[0] == 1 && dims[1] == (IMAGE_H - 1) * 2 + 3 + 1 - 3 && dims[2] == (IMAGE_W - 1) + 5 - 3);
    CHECK(out == dims[1] * dims[2] * FILTERS && out <= MOST);
    workspace = conv_memory(conv, IMAGES, 1, &size);
    fill_input(x, COUNT(x));
    expected_codes(mode, x, IMAGES, IN, codes, params);
    memset(y, 0x5A, sizeof y);
    memset(expected, 0x5A, sizeof expected);
    for (image = 0; image < IMAGES; image++) {
        for (i = 0; i < out; i++) {
            sums[i] = desc.bias.dtype == FEWBIT_S32 ? sum_bias[i % FILTERS] : 0;
        }
        for (iy = 0; iy < IMAGE_H; iy++) {
            for (ix = 0; ix < IMAGE_W; ix++) {
                for (ky = 0; ky < 3; ky++) {
                    for (kx = 0; kx < 3; kx++) {
                        /* Before the output the difference wraps to a huge number. */
                        const size_t oy = iy * 2 + ky - 1, ox = ix + kx * 2 - 2;
                        for (c = 0; oy < dims[1] && ox < dims[2] && c < IMAGE_C; c++) {
                            const size_t at = nhwc ? (iy * IMAGE_W + ix) * IMAGE_C + c
                                                   : (c * IMAGE_H + iy) * IMAGE_W + ix;
                            for (o = 0; o < FILTERS; o++) {
                                const size_t w = nhwc ? ((c * 3 + ky) * 3 + kx) * FILTERS + o
                                                      : ((c * FILTERS + o) * 3 + ky) * 3 + kx;
                                sums[(oy * dims[2] + ox) * FILTERS + o] +=
                                    (codes[image * IN + at] - params[image].zero_point) *
                                    (conv_weights[w] - weight_zero_points[o]);
                            }
                        }
                    }
                }
            }
        }
        for (i = 0; i < out; i++) {
            o = i % FILTERS;
            put(expected, image * out + (nhwc ? i : o * dims[1] * dims[2] + i / FILTERS), sums[i], o,
                params[image].scale, &desc.output);
        }
    }
    CHECK_OK(fewbit_conv_run(conv, IMAGES, mode == FEWBIT_INPUT_CODES ? (const void *)codes : (const void *)x, NULL,
                             workspace, size, NULL, y, NULL));
    CHECK_BYTES(expected, y, sizeof y);
    free(workspace);
    fewbit_conv_destroy(conv);
}

void test_conv(void) {
    size_t i, o;
    for (i = 0; i < COUNT(modes); i++) {
        for (o = 0; o < (i < 2 ? COUNT(outputs) : COUNT(outputs) - 1); o++) {
            conv_case(modes[i], outputs[o], FEWBIT_LAYOUT_NHWC);
            conv_case(modes[i], outputs[o], FEWBIT_LAYOUT_NCHW);
            transposed_case(modes[i], outputs[o], FEWBIT_LAYOUT_NHWC);
            transposed_case(modes[i], outputs[o], FEWBIT_LAYOUT_NCHW);
        }
    }
    fewbit_conv_destroy(NULL);
}
