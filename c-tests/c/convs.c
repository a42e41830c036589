/* Convolutions of real numbers, and of codes of few bits, on numbers whose results are known. */
#include "half.h"

enum { C = 3, H = 5, W = 4, O = 6, KH = 3, KW = 2, BATCH = 2, TAPS = KH * KW, OH = H, OW = W + 1 };

/* Small integers, exact in every format, as are their products and sums. */
static int weight(size_t o, size_t kh, size_t kw, size_t c) {
    return (int)((o * 7 + kh * 5 + kw * 3 + c * 2) % 9) - 4;
}

static int pixel(size_t n, size_t h, size_t w, size_t c) {
    return (int)((n * 5 + h * 11 + w * 3 + c * 7) % 13) - 6;
}

static float w[O * TAPS * C], x[BATCH * H * W * C], y[BATCH * OH * OW * O], bias[O];

/* One row of padding on either side, and one column on either. */
static fewbit_conv_desc conv_desc(void) {
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    desc.spatial = 2;
    desc.axes[0].size = H;
    desc.axes[0].kernel = KH;
    desc.axes[0].pad_begin = desc.axes[0].pad_end = 1;
    desc.axes[1].size = W;
    desc.axes[1].kernel = KW;
    desc.axes[1].pad_begin = desc.axes[1].pad_end = 1;
    desc.in_channels = C;
    desc.out_channels = O;
    desc.layout = FEWBIT_LAYOUT_NHWC;
    desc.filter_layout = FEWBIT_FILTER_OHWI;
    desc.weights.data = w;
    return desc;
}

static fewbit_conv_desc real_desc(int32_t weights, int32_t in, int32_t to) {
    fewbit_conv_desc desc = conv_desc();
    desc.weights.dtype = weights;
    desc.input.mode = FEWBIT_INPUT_REAL;
    desc.input.real = in;
    desc.bias.data = bias;
    desc.bias.dtype = FEWBIT_F32;
    desc.output.dtype = to;
    desc.output.activation = FEWBIT_ACTIVATION_RELU;
    return desc;
}

/* An output without bias. */
static int sum_of(size_t n, size_t oh, size_t ow, size_t o) {
    int sum = 0;
    size_t kh, kw, c;
    for (kh = 0; kh < KH; kh++) {
        for (kw = 0; kw < KW; kw++) {
            const size_t h = oh + kh, v = ow + kw;
            if (h < 1 || h > H || v < 1 || v > W) {
                continue;
            }
            for (c = 0; c < C; c++) {
                sum += weight(o, kh, kw, c) * pixel(n, h - 1, v - 1, c);
            }
        }
    }
    return sum;
}

static void test_formats(int32_t weights, int32_t in, int32_t to) {
    fewbit_conv_desc desc = real_desc(weights, in, to);
    fewbit_conv *conv = NULL, *mapped = NULL;
    fewbit_plan_info info = FEWBIT_PLAN_INFO_INIT;
    static float again[BATCH * OH * OW * O];
    size_t size = 0, bytes = 0, n, h, v, o, i, c;
    void *memory, *packed;
    for (o = 0; o < O; o++) {
        bias[o] = (float)o * 0.5f - 1.0f;
        for (i = 0; i < TAPS * C; i++) {
            store(weights, w, o * TAPS * C + i, (float)weight(o, i / C / KW, i / C % KW, i % C));
        }
    }
    for (i = 0; i < BATCH * H * W; i++) {
        for (c = 0; c < C; c++) {
            store(in, x, i * C + c, (float)pixel(i / W / H, i / W % H, i % W, c));
        }
    }
    CHECK_OK(fewbit_conv_create(&desc, &conv, &err));
    CHECK_OK(fewbit_conv_describe(conv, &info, &err));
    CHECK(info.input_mode == FEWBIT_INPUT_REAL && info.input_dtype == in && info.output_dtype == to);
    CHECK(info.code_dtype == FEWBIT_F32 && info.bound == 0 && info.weight_bytes >= O * TAPS * C * size_of(weights));
    CHECK_OK(fewbit_conv_packed_size(conv, &bytes, &err));
    packed = aligned_memory(bytes, 64);
    CHECK_OK(fewbit_conv_save_packed(conv, packed, bytes, &err));
    desc.weights.data = NULL;
    CHECK_OK(fewbit_conv_create_packed(&desc, packed, bytes, &mapped, &err));
    memory = conv_memory(conv, BATCH, 1, &size);
    memset(y, 0, sizeof y);
    memset(again, 0, sizeof again);
    CHECK_OK(fewbit_conv_run(conv, BATCH, x, NULL, memory, size, NULL, y, &err));
    CHECK_OK(fewbit_conv_run(mapped, BATCH, x, NULL, memory, size, NULL, again, &err));
    CHECK_BYTES(y, again, sizeof y);
    for (n = 0, i = 0; n < BATCH; n++) {
        for (h = 0; h < OH; h++) {
            for (v = 0; v < OW; v++) {
                for (o = 0; o < O; o++, i++) {
                    const float want = bias[o] + (float)sum_of(n, h, v, o);
                    CHECK(load(to, y, i) == (want < 0.0f ? 0.0f : want));
                }
            }
        }
    }
    fewbit_conv_destroy(conv);
    fewbit_conv_destroy(mapped);
    free(memory);
    free(packed);
}

/* Stride 2 and two taps along one axis: no two products meet, and each input pixel makes two outputs. */
static void test_transposed(void) {
    const float taps[2] = {2.0f, -3.0f}, pixels[3] = {1.0f, 5.0f, -7.0f};
    const float want[6] = {2.0f, -3.0f, 10.0f, -15.0f, -14.0f, 21.0f};
    float got[6];
    size_t size = 0;
    void *memory;
    fewbit_conv *conv = NULL;
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    desc.spatial = 1;
    desc.axes[0].size = 3;
    desc.axes[0].kernel = 2;
    desc.axes[0].stride = 2;
    desc.in_channels = desc.out_channels = 1;
    desc.filter_layout = FEWBIT_FILTER_IOHW;
    desc.weights.data = taps;
    desc.weights.dtype = FEWBIT_F32;
    desc.input.mode = FEWBIT_INPUT_REAL;
    desc.input.real = FEWBIT_F32;
    desc.output.dtype = FEWBIT_F32;
    CHECK_OK(fewbit_conv_create_transposed(&desc, NULL, &conv, &err));
    memory = conv_memory(conv, 1, 1, &size);
    CHECK_OK(fewbit_conv_run(conv, 1, pixels, NULL, memory, size, NULL, got, &err));
    CHECK_BYTES(want, got, sizeof want);
    fewbit_conv_destroy(conv);
    free(memory);
}

/* 4-bit weights, those of each output channel from a byte on: 18 codes, 9 bytes. */
static void test_few_bits(void) {
    static const float scale = 1.0f;
    static uint8_t packed[O * TAPS * C / 2];
    static int8_t codes[BATCH * H * W * C];
    static int32_t sums[BATCH * OH * OW * O];
    size_t size = 0, n, h, v, o, i;
    void *memory;
    fewbit_conv *conv = NULL;
    fewbit_conv_desc desc = conv_desc();
    for (i = 0; i < O * TAPS * C; i++) {
        const size_t tap = i % (TAPS * C) / C;
        const int q = weight(i / (TAPS * C), tap / KW, tap % KW, i % C);
        packed[i / 2] = (uint8_t)(packed[i / 2] | (unsigned)(q & 15) << (i % 2 * 4));
    }
    for (i = 0; i < BATCH * H * W * C; i++) {
        codes[i] = (int8_t)pixel(i / C / W / H, i / C / W % H, i / C % W, i % C);
    }
    desc.weights.data = packed;
    desc.weights.dtype = FEWBIT_S4;
    desc.weights.scales = &scale;
    desc.weights.scale_count = 1;
    desc.input.mode = FEWBIT_INPUT_CODES;
    desc.input.dtype = FEWBIT_S8;
    desc.input.params.scale = 1.0f;
    desc.output.dtype = FEWBIT_S32;
    CHECK_OK(fewbit_conv_create(&desc, &conv, &err));
    memory = conv_memory(conv, BATCH, 1, &size);
    CHECK_OK(fewbit_conv_run(conv, BATCH, codes, NULL, memory, size, NULL, sums, &err));
    for (n = 0, i = 0; n < BATCH; n++) {
        for (h = 0; h < OH; h++) {
            for (v = 0; v < OW; v++) {
                for (o = 0; o < O; o++, i++) {
                    CHECK(sums[i] == sum_of(n, h, v, o));
                }
            }
        }
    }
    fewbit_conv_destroy(conv);
    free(memory);
}

/* One field of a good description changed: refused, with its name. */
#define BAD_REAL(change, wanted, named)                                            \
    do {                                                                           \
        fewbit_conv_desc desc = real_desc(FEWBIT_F16, FEWBIT_F32, FEWBIT_F32);     \
        change;                                                                    \
        outputs_reset();                                                           \
        CHECK_STATUS(wanted, fewbit_conv_create(&desc, &out.conv, &err));          \
        CHECK(outputs_untouched() && strcmp(err.argument, named) == 0);            \
    } while (0)

static void test_refused(void) {
    static const int32_t one = 1;
    static const float scale = 1.0f;
    BAD_REAL(desc.input.mode = FEWBIT_INPUT_CODES, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");
    BAD_REAL(desc.weights.dtype = FEWBIT_S8, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.dtype");
    BAD_REAL(desc.weights.data = NULL, FEWBIT_ERROR_NULL_POINTER, "desc.weights.data");
    BAD_REAL(desc.weights.data = (const char *)w + 1, FEWBIT_ERROR_MISALIGNED, "desc.weights.data");
    BAD_REAL(desc.weights.block = 32, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.block");
    BAD_REAL(desc.weights.scales = &scale; desc.weights.scale_count = 1, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.scales");
    BAD_REAL(desc.weights.multipliers = &one, FEWBIT_ERROR_UNSUPPORTED, "desc.weights.multipliers");
    BAD_REAL(desc.input.real = FEWBIT_S8, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.input.real");
    BAD_REAL(desc.bias.dtype = FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.bias");
    BAD_REAL(desc.output.dtype = FEWBIT_S32, FEWBIT_ERROR_UNSUPPORTED, "desc.output");
    BAD_REAL(desc.output.dtype = FEWBIT_S8; desc.output.mode = FEWBIT_ACTIVATION_MODE_TABLE, FEWBIT_ERROR_UNSUPPORTED,
             "desc.output.mode");
    BAD_REAL(desc.groups = 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.groups");
    BAD_REAL(desc.groups = 2, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.in_channels");
    BAD_REAL(desc.in_channels = SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "desc");
    BAD_REAL(desc.axes[1].size = 0, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.axes[1]");
    BAD_REAL(desc.spatial = SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "desc.spatial");
}

void test_convs(void) {
    const int32_t dtypes[] = {FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16};
    size_t i, j, k;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) {
            for (k = 0; k < 3; k++) {
                test_formats(dtypes[i], dtypes[j], dtypes[k]);
            }
        }
    }
    test_transposed();
    test_few_bits();
    test_refused();
}
