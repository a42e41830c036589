/* Packed weights written out and read where they lie: the same plan; and what is not what was written is refused. */
#include "refused.h"

static unsigned char *memory;
static size_t size;

/* Every bit of the header, and some of what follows. */
#define FLIPS(create, handle)                                                                        \
    do {                                                                                             \
        uint32_t state = 11;                                                                         \
        size_t flip;                                                                                 \
        for (flip = 0; flip < 8 * 128 + 500; flip++) {                                               \
            const size_t bit = flip < 8 * 128 ? flip : random_bits(&state) % (8 * size);             \
            memory[bit / 8] = (unsigned char)(memory[bit / 8] ^ 1u << bit % 8);                      \
            outputs_reset();                                                                         \
            CHECK(create(&desc, memory, size, &out.handle, &err) != FEWBIT_OK);                      \
            CHECK(outputs_untouched() && strcmp(err.argument, "packed") == 0);                       \
            memory[bit / 8] = (unsigned char)(memory[bit / 8] ^ 1u << bit % 8);                      \
        }                                                                                            \
    } while (0)

static fewbit_linear_desc linear_desc(void) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = LAYER_K;
    desc.out_features = LAYER_N;
    desc.input.dtype = FEWBIT_U8;
    desc.input.params.scale = 0.02f;
    desc.input.params.zero_point = 113;
    desc.output.dtype = FEWBIT_S32;
    return desc;
}

static void test_linear_packed(void) {
    fewbit_linear *linear = any_linear(FEWBIT_INPUT_CODES, FEWBIT_S32), *mapped = NULL;
    fewbit_linear_desc desc = linear_desc();
    static uint8_t x[LAYER_M * LAYER_K];
    static int32_t y[LAYER_M * LAYER_N], again[LAYER_M * LAYER_N];
    int32_t zeros[LAYER_N];
    size_t bytes = 0, i;
    void *workspace = linear_memory(linear, LAYER_M, 1, &bytes);
    CHECK_OK(fewbit_linear_packed_size(linear, &size, &err));
    CHECK(size > 128 && size % 64 == 0);
    memory = (unsigned char *)aligned_memory(size + 64, 64);
    memset(memory, 0x11, size + 64);
    CHECK_OK(fewbit_linear_save_packed(linear, memory, size + 1, &err));
    CHECK(memory[size] == 0x11);
    for (i = 0; i < COUNT(x); i++) {
        x[i] = (uint8_t)(i * 89 % 256);
    }
    /* The plan has a bias, which is not part of the packed weights: without it, sums differ by it alone. */
    memset(zeros, 0, sizeof zeros);
    desc.bias.data = zeros;
    desc.bias.dtype = FEWBIT_S32;
    CHECK_OK(fewbit_linear_create_packed(&desc, memory, size, &mapped, &err));
    CHECK_OK(fewbit_linear_run(linear, LAYER_M, x, LAYER_K, workspace, bytes, NULL, y, LAYER_N, NULL));
    CHECK_OK(fewbit_linear_run(mapped, LAYER_M, x, LAYER_K, workspace, bytes, NULL, again, LAYER_N, NULL));
    for (i = LAYER_N; i < COUNT(y); i++) {
        CHECK(y[i] - again[i] == y[i % LAYER_N] - again[i % LAYER_N]);
    }
    for (i = 0; i < LAYER_N; i++) {
        zeros[i] = y[i] - again[i];
    }
    fewbit_linear_destroy(mapped);
    CHECK_OK(fewbit_linear_create_packed(&desc, memory, size + 64, &mapped, &err));
    memset(again, 0, sizeof again);
    CHECK_OK(fewbit_linear_run(mapped, LAYER_M, x, LAYER_K, workspace, bytes, NULL, again, LAYER_N, NULL));
    CHECK_BYTES(y, again, sizeof y);
    /* Not over what the plan itself reads. */
    CHECK_STATUS(FEWBIT_ERROR_OVERLAP, fewbit_linear_save_packed(mapped, memory, size, NULL));
    CHECK_OK(fewbit_linear_run(mapped, LAYER_M, x, LAYER_K, workspace, bytes, NULL, again, LAYER_N, NULL));
    CHECK_BYTES(y, again, sizeof y);
    fewbit_linear_destroy(mapped);

    FLIPS(fewbit_linear_create_packed, linear);
    NULL_EXPLAINED(fewbit_linear_packed_size, linear, (NULL, &out.size, &err));
    NULL_EXPLAINED(fewbit_linear_packed_size, size, (linear, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_packed_size, error, (linear, &out.size, NULL));
    MISALIGNED(fewbit_linear_packed_size, size, (linear, ODD(size_t, out.room), &err));
    NULL_EXPLAINED(fewbit_linear_save_packed, linear, (NULL, memory, size, &err));
    NULL_EXPLAINED(fewbit_linear_save_packed, packed, (linear, NULL, size, &err));
    EXPLAINED("zero", fewbit_linear_save_packed, packed_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (linear, out.room, 0, &err));
    REFUSED("huge", fewbit_linear_save_packed, packed_size, FEWBIT_ERROR_INVALID_ARGUMENT, (linear, out.room, SIZE_MAX, &err));
    NULL_ACCEPTED(fewbit_linear_save_packed, error, (linear, memory, size, NULL));
    NULL_EXPLAINED(fewbit_linear_create_packed, desc, (NULL, memory, size, &out.linear, &err));
    NULL_EXPLAINED(fewbit_linear_create_packed, packed, (&desc, NULL, size, &out.linear, &err));
    EXPLAINED("zero", fewbit_linear_create_packed, packed, FEWBIT_ERROR_BUFFER_TOO_SMALL, (&desc, memory, 0, &out.linear, &err));
    covered("fewbit_linear_create_packed", "packed_size", "zero");
    REFUSED("huge", fewbit_linear_create_packed, packed_size, FEWBIT_ERROR_INVALID_ARGUMENT, (&desc, memory, SIZE_MAX, &out.linear, &err));
    REFUSED("short", fewbit_linear_create_packed, packed_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (&desc, memory, size - 1, &out.linear, &err));
    REFUSED("moved", fewbit_linear_create_packed, packed, FEWBIT_ERROR_MISALIGNED, (&desc, memory + 32, size, &out.linear, &err));
    NULL_EXPLAINED(fewbit_linear_create_packed, linear, (&desc, memory, size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_create_packed, error, (&desc, memory, size, &out.linear, NULL));
    fewbit_linear_destroy(out.linear);
    desc.in_features++;
    INVALID(fewbit_linear_create_packed, packed, (&desc, memory, size, &out.linear, &err));
    CHECK(strstr(err.message, "another shape") != NULL);
    free(memory);
    free(workspace);
    fewbit_linear_destroy(linear);
}

static void test_conv_packed(void) {
    enum { IN = IMAGE_C * IMAGE_H * IMAGE_W, MOST = 6 * 6 * FILTERS };
    const fewbit_conv_axis axes[2] = {{IMAGE_H, 3, 2, 1, 1, 2}, {IMAGE_W, 3, 1, 2, 2, 1}};
    /* Neither has a bias. */
    fewbit_conv *conv = any_conv(FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_S8), *mapped = NULL;
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    static float x[IMAGES * IN];
    static uint8_t y[IMAGES * MOST], again[IMAGES * MOST];
    size_t bytes = 0, i;
    void *workspace = conv_memory(conv, IMAGES, 1, &bytes);
    memcpy(desc.axes, axes, sizeof axes);
    desc.in_channels = IMAGE_C;
    desc.out_channels = FILTERS;
    desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    desc.input.dtype = FEWBIT_U8;
    desc.input.scheme = FEWBIT_SCHEME_AFFINE;
    desc.output.dtype = FEWBIT_S8;
    desc.output.params.scale = 0.25f;
    desc.output.params.zero_point = -3;
    CHECK_OK(fewbit_conv_packed_size(conv, &size, &err));
    memory = (unsigned char *)aligned_memory(size + 64, 64);
    CHECK_OK(fewbit_conv_save_packed(conv, memory, size, &err));
    for (i = 0; i < COUNT(x); i++) {
        x[i] = (float)(i * 89 % 256) - 100.0f;
    }
    CHECK_OK(fewbit_conv_create_packed(&desc, memory, size, &mapped, &err));
    CHECK_OK(fewbit_conv_run(conv, IMAGES, x, NULL, workspace, bytes, NULL, y, NULL));
    CHECK_OK(fewbit_conv_run(mapped, IMAGES, x, NULL, workspace, bytes, NULL, again, NULL));
    CHECK_BYTES(y, again, sizeof y);
    CHECK(y[0] != 0 || y[1] != 0);
    CHECK_STATUS(FEWBIT_ERROR_OVERLAP, fewbit_conv_save_packed(mapped, memory, size, NULL));
    fewbit_conv_destroy(mapped);

    FLIPS(fewbit_conv_create_packed, conv);
    NULL_EXPLAINED(fewbit_conv_packed_size, conv, (NULL, &out.size, &err));
    NULL_EXPLAINED(fewbit_conv_packed_size, size, (conv, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_packed_size, error, (conv, &out.size, NULL));
    NULL_EXPLAINED(fewbit_conv_save_packed, conv, (NULL, memory, size, &err));
    NULL_EXPLAINED(fewbit_conv_save_packed, packed, (conv, NULL, size, &err));
    EXPLAINED("zero", fewbit_conv_save_packed, packed_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (conv, out.room, 0, &err));
    REFUSED("huge", fewbit_conv_save_packed, packed_size, FEWBIT_ERROR_INVALID_ARGUMENT, (conv, out.room, SIZE_MAX, &err));
    NULL_ACCEPTED(fewbit_conv_save_packed, error, (conv, memory, size, NULL));
    NULL_EXPLAINED(fewbit_conv_create_packed, desc, (NULL, memory, size, &out.conv, &err));
    NULL_EXPLAINED(fewbit_conv_create_packed, packed, (&desc, NULL, size, &out.conv, &err));
    EXPLAINED("zero", fewbit_conv_create_packed, packed, FEWBIT_ERROR_BUFFER_TOO_SMALL, (&desc, memory, 0, &out.conv, &err));
    covered("fewbit_conv_create_packed", "packed_size", "zero");
    REFUSED("huge", fewbit_conv_create_packed, packed_size, FEWBIT_ERROR_INVALID_ARGUMENT, (&desc, memory, SIZE_MAX, &out.conv, &err));
    NULL_EXPLAINED(fewbit_conv_create_packed, conv, (&desc, memory, size, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_create_packed, error, (&desc, memory, size, &out.conv, NULL));
    fewbit_conv_destroy(out.conv);
    desc.axes[1].kernel = 2;
    INVALID(fewbit_conv_create_packed, packed, (&desc, memory, size, &out.conv, &err));
    desc.spatial = 1;
    desc.axes[0].pad_begin = SIZE_MAX;
    INVALID(fewbit_conv_create_packed, desc, (&desc, memory, size, &out.conv, &err));
    CHECK(strcmp(err.argument, "desc.axes[0]") == 0);
    free(memory);
    free(workspace);
    fewbit_conv_destroy(conv);
}

void test_packed(void) {
    test_linear_packed();
    test_conv_packed();
}
