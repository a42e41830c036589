/* Pooling, sums, products and concatenations with every pointer NULL, every size 0 and huge, and values out of range. */
#include "refused.h"

#include <math.h>

static const int8_t x[64] = {1, 2, 3};

static fewbit_pool_desc pool(void) {
    fewbit_pool_desc desc = FEWBIT_POOL_DESC_INIT;
    desc.channels = 2;
    desc.axes[0].size = desc.axes[1].size = 4;
    desc.axes[0].kernel = desc.axes[1].kernel = 2;
    return desc;
}

#define POOL_INVALID(f, field, value)                                        \
    do {                                                                     \
        desc = pool();                                                       \
        desc.field = value;                                                  \
        INVALID_EXPLAINED(f, desc, (&desc, 1, x, NULL, out.s8, &err));       \
    } while (0)

#define POOL(f)                                                                                           \
    do {                                                                                                  \
        desc = pool();                                                                                    \
        NULL_EXPLAINED(f, desc, (NULL, 1, x, NULL, out.s8, &err));                                        \
        NULL_EXPLAINED(f, x, (&desc, 1, NULL, NULL, out.s8, &err));                                       \
        NULL_EXPLAINED(f, y, (&desc, 1, x, NULL, NULL, &err));                                            \
        NULL_ACCEPTED(f, parallel_for, (&desc, 1, x, NULL, out.s8, &err));                                \
        NULL_ACCEPTED(f, error, (&desc, 1, x, NULL, out.s8, NULL));                                       \
        ZERO_ACCEPTED(f, images, (&desc, 0, NULL, NULL, NULL, &err));                                     \
        HUGE_EXPLAINED(f, images, (&desc, SIZE_MAX, x, NULL, out.s8, &err));                              \
        OVERLAPPING(f, y, (&desc, 1, out.s8, NULL, out.s8 + 1, &err));                                    \
        POOL_INVALID(f, struct_size, 0);                                                                  \
        POOL_INVALID(f, spatial, 0);                                                                      \
        POOL_INVALID(f, spatial, 4);                                                                      \
        POOL_INVALID(f, spatial, SIZE_MAX);                                                               \
        POOL_INVALID(f, channels, 0);                                                                     \
        POOL_INVALID(f, axes[1].size, 0);                                                                 \
        POOL_INVALID(f, layout, 2);                                                                       \
        POOL_INVALID(f, ceil_mode, 2);                                                                    \
        desc = pool();                                                                                    \
        desc.channels = SIZE_MAX / 4;                                                                     \
        REFUSED("huge", f, desc, FEWBIT_ERROR_INVALID_ARGUMENT, (&desc, 1, x, NULL, out.s8, &err));       \
        desc = pool();                                                                                    \
        desc.dtype = FEWBIT_S16;                                                                          \
        EXPLAINED("unsupported", f, desc, FEWBIT_ERROR_UNSUPPORTED, (&desc, 1, x, NULL, out.s8, &err));   \
    } while (0)

#define WINDOWS(f)                                      \
    do {                                                \
        POOL_INVALID(f, axes[0].kernel, 0);             \
        POOL_INVALID(f, axes[0].kernel, 5);             \
        POOL_INVALID(f, axes[0].kernel, SIZE_MAX);      \
        POOL_INVALID(f, axes[1].pad_begin, SIZE_MAX);   \
        POOL_INVALID(f, axes[1].dilation, SIZE_MAX);    \
        CHECK(strcmp(err.argument, "desc.axes[1]") == 0); \
    } while (0)

#define AVERAGE(f)                                   \
    do {                                             \
        POOL_INVALID(f, average, 2);                 \
        POOL_INVALID(f, count_include_pad, -1);      \
        POOL_INVALID(f, x_params.scale, 0.0f);       \
        POOL_INVALID(f, y_params.scale, NAN);        \
        POOL_INVALID(f, x_params.zero_point, 128);   \
        POOL_INVALID(f, y_params.zero_point, -129);  \
    } while (0)

static void test_pools(void) {
    fewbit_pool_desc desc = pool();
    POOL(fewbit_max_pool);
    POOL(fewbit_global_max_pool);
    POOL(fewbit_average_pool);
    POOL(fewbit_global_average_pool);
    WINDOWS(fewbit_max_pool);
    WINDOWS(fewbit_average_pool);
    AVERAGE(fewbit_average_pool);
    AVERAGE(fewbit_global_average_pool);
    desc = pool();
    desc.channels = 1;
    desc.axes[0].kernel = desc.axes[1].kernel = desc.axes[0].pad_end = desc.axes[1].pad_end = 4096;
    EXPLAINED("limit", fewbit_average_pool, desc, FEWBIT_ERROR_LIMIT_EXCEEDED, (&desc, 1, x, NULL, out.s8, &err));

    desc = pool();
    NULL_EXPLAINED(fewbit_pool_dims, desc, (NULL, out.dims, &out.in, &out.out, &err));
    NULL_ACCEPTED(fewbit_pool_dims, out_dims, (&desc, NULL, &out.in, &out.out, &err));
    NULL_ACCEPTED(fewbit_pool_dims, in_elements, (&desc, out.dims, NULL, &out.out, &err));
    NULL_ACCEPTED(fewbit_pool_dims, out_elements, (&desc, out.dims, &out.in, NULL, &err));
    NULL_ACCEPTED(fewbit_pool_dims, error, (&desc, out.dims, &out.in, &out.out, NULL));
    desc.axes[0].size = 0;
    INVALID_EXPLAINED(fewbit_pool_dims, desc, (&desc, out.dims, &out.in, &out.out, &err));
    CHECK(strcmp(err.argument, "desc.axes[0]") == 0);
}

static fewbit_binary_desc binary(void) {
    fewbit_binary_desc desc = FEWBIT_BINARY_DESC_INIT;
    desc.rows = 4;
    desc.columns = desc.b_columns = 3;
    desc.b_rows = 2;
    return desc;
}

#define BINARY_INVALID(f, field, value)                                        \
    do {                                                                       \
        desc = binary();                                                       \
        desc.field = value;                                                    \
        INVALID_EXPLAINED(f, desc, (&desc, x, x, NULL, out.s8, &err));         \
    } while (0)

#define BINARY(f)                                                                                           \
    do {                                                                                                    \
        fewbit_binary_desc desc = binary();                                                                 \
        NULL_EXPLAINED(f, desc, (NULL, x, x, NULL, out.s8, &err));                                          \
        NULL_EXPLAINED(f, a, (&desc, NULL, x, NULL, out.s8, &err));                                         \
        NULL_EXPLAINED(f, b, (&desc, x, NULL, NULL, out.s8, &err));                                         \
        NULL_EXPLAINED(f, y, (&desc, x, x, NULL, NULL, &err));                                              \
        NULL_ACCEPTED(f, parallel_for, (&desc, x, x, NULL, out.s8, &err));                                  \
        NULL_ACCEPTED(f, error, (&desc, x, x, NULL, out.s8, NULL));                                         \
        ACCEPTED("in place", f, y, (&desc, out.s8, x, NULL, out.s8, &err));                                 \
        OVERLAPPING(f, y, (&desc, out.s8, x, NULL, out.s8 + 1, &err));                                      \
        OVERLAPPING(f, y, (&desc, x, out.s8, NULL, out.s8, &err));                                          \
        BINARY_INVALID(f, struct_size, 0);                                                                  \
        BINARY_INVALID(f, rows, 3);                                                                         \
        BINARY_INVALID(f, b_rows, 0);                                                                       \
        BINARY_INVALID(f, b_rows, SIZE_MAX);                                                                \
        BINARY_INVALID(f, b_columns, 0);                                                                    \
        BINARY_INVALID(f, b_columns, 2);                                                                    \
        BINARY_INVALID(f, columns, SIZE_MAX);                                                               \
        BINARY_INVALID(f, fixed_point, 2);                                                                  \
        BINARY_INVALID(f, activation, 99);                                                                  \
        BINARY_INVALID(f, a.scale, -1.0f);                                                                  \
        BINARY_INVALID(f, b.zero_point, 200);                                                               \
        BINARY_INVALID(f, y.scale, INFINITY);                                                               \
        desc = binary();                                                                                    \
        desc.columns = desc.b_columns = SIZE_MAX / 2;                                                       \
        REFUSED("huge", f, desc, FEWBIT_ERROR_INVALID_ARGUMENT, (&desc, x, x, NULL, out.s8, &err));         \
        desc = binary();                                                                                    \
        desc.rows = 0;                                                                                      \
        ACCEPTED("empty", f, desc, (&desc, NULL, x, NULL, NULL, &err));                                     \
        desc = binary();                                                                                    \
        desc.activation = FEWBIT_ACTIVATION_CLAMP;                                                          \
        desc.alpha = 1.0f;                                                                                  \
        INVALID_EXPLAINED(f, desc, (&desc, x, x, NULL, out.s8, &err));                                      \
        desc.activation = FEWBIT_ACTIVATION_GELU;                                                           \
        EXPLAINED("unsupported", f, desc, FEWBIT_ERROR_UNSUPPORTED, (&desc, x, x, NULL, out.s8, &err));     \
        desc = binary();                                                                                    \
        desc.dtype = FEWBIT_F32;                                                                            \
        EXPLAINED("unsupported", f, desc, FEWBIT_ERROR_UNSUPPORTED, (&desc, x, x, NULL, out.s8, &err));     \
        desc = binary();                                                                                    \
        desc.fixed_point = 1;                                                                               \
        desc.y.scale = 1e-30f;                                                                              \
        EXPLAINED("unsupported", f, desc, FEWBIT_ERROR_UNSUPPORTED, (&desc, x, x, NULL, out.s8, &err));     \
    } while (0)

static void test_concat(void) {
    const fewbit_quant_params params = {1.0f, 0}, wrong = {1.0f, 128}, tiny = {1e-38f, 0};
    fewbit_concat_piece pieces[2] = {{x, 2, {1.0f, 0}}, {x, 1, {0.5f, 3}}}, bad[1] = {{NULL, 2, {1.0f, 0}}};
    NULL_EXPLAINED(fewbit_concat, pieces, (NULL, 2, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    NULL_EXPLAINED(fewbit_concat, y_params, (pieces, 2, 2, 3, FEWBIT_S8, NULL, NULL, out.s8, &err));
    NULL_EXPLAINED(fewbit_concat, y, (pieces, 2, 2, 3, FEWBIT_S8, &params, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_concat, parallel_for, (pieces, 2, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    NULL_ACCEPTED(fewbit_concat, error, (pieces, 2, 2, 3, FEWBIT_S8, &params, NULL, out.s8, NULL));
    ZERO_ACCEPTED(fewbit_concat, count, (NULL, 0, 2, 3, FEWBIT_S8, &params, NULL, NULL, &err));
    ZERO_ACCEPTED(fewbit_concat, outer, (pieces, 2, 0, 3, FEWBIT_S8, &params, NULL, NULL, &err));
    ZERO_ACCEPTED(fewbit_concat, inner, (pieces, 2, 2, 0, FEWBIT_S8, &params, NULL, NULL, &err));
    HUGE_REFUSED(fewbit_concat, count, (pieces, SIZE_MAX, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    HUGE_REFUSED(fewbit_concat, outer, (pieces, 2, SIZE_MAX, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    HUGE_REFUSED(fewbit_concat, inner, (pieces, 2, 2, SIZE_MAX, FEWBIT_S8, &params, NULL, out.s8, &err));
    INVALID_EXPLAINED(fewbit_concat, y_params, (pieces, 2, 2, 3, FEWBIT_S8, &wrong, NULL, out.s8, &err));
    EXPLAINED("unsupported", fewbit_concat, dtype, FEWBIT_ERROR_UNSUPPORTED,
              (pieces, 2, 2, 3, FEWBIT_S4, &params, NULL, out.s8, &err));
    NULL_EXPLAINED(fewbit_concat, pieces, (bad, 1, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    bad[0].x = x;
    bad[0].len = SIZE_MAX;
    INVALID_EXPLAINED(fewbit_concat, pieces, (bad, 1, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    bad[0].len = 1;
    bad[0].params.zero_point = 128;
    INVALID_EXPLAINED(fewbit_concat, pieces, (bad, 1, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
    bad[0].params.zero_point = 0;
    bad[0].params.scale = 1e38f;
    INVALID_EXPLAINED(fewbit_concat, pieces, (bad, 1, 2, 3, FEWBIT_S8, &tiny, NULL, out.s8, &err));
    bad[0].params.scale = 1.0f;
    bad[0].x = out.s8;
    OVERLAPPING(fewbit_concat, y, (bad, 1, 2, 3, FEWBIT_S8, &params, NULL, out.s8 + 5, &err));
    MISALIGNED(fewbit_concat, pieces,
               (ODD(fewbit_concat_piece, pieces), 1, 2, 3, FEWBIT_S8, &params, NULL, out.s8, &err));
}

void test_bad_codes(void) {
    test_pools();
    BINARY(fewbit_add);
    BINARY(fewbit_multiply);
    test_concat();
}
