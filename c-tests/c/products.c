/* Products of the caller's codes, batches, groups, and what plans tell of themselves. */
#include "refused.h"

enum { MATRICES = 3, M = 5, N = 19, K = 23 };

static uint8_t lhs[MATRICES * M * K];
static int8_t rhs[MATRICES * N * K];
static float row_scales[MATRICES * M], column_scales[MATRICES * N], bias[MATRICES * N];
static int32_t row_zeros[MATRICES * M], column_zeros[MATRICES * N];

static void fill(void) {
    uint32_t state = 21;
    size_t i;
    for (i = 0; i < COUNT(lhs); i++) {
        lhs[i] = (uint8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(rhs); i++) {
        rhs[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(row_zeros); i++) {
        row_zeros[i] = (int32_t)(random_bits(&state) % 256);
        row_scales[i] = (float)(1 + random_bits(&state) % 16) * 0.125f;
    }
    for (i = 0; i < COUNT(column_zeros); i++) {
        column_zeros[i] = (int32_t)(random_bits(&state) % 256) - 128;
        column_scales[i] = (float)(1 + random_bits(&state) % 16) * 0.125f;
        bias[i] = random_real(&state, 8.0f);
    }
}

static int32_t sum_of(size_t matrix, size_t m, size_t n, int32_t row_zero) {
    int32_t sum = 0;
    size_t k;
    for (k = 0; k < K; k++) {
        sum += (lhs[(matrix * M + m) * K + k] - row_zero) * (rhs[(matrix * N + n) * K + k] - column_zeros[matrix * N + n]);
    }
    return sum;
}

static fewbit_gemm_desc gemm_desc(void) {
    fewbit_gemm_desc desc = FEWBIT_GEMM_DESC_INIT;
    desc.n = N;
    desc.k = K;
    desc.rhs.data = rhs;
    desc.rhs.zero_points = column_zeros;
    desc.rhs.zero_point_count = MATRICES * N;
    desc.lhs_dtype = FEWBIT_U8;
    desc.matrices = MATRICES;
    return desc;
}

static void *gemm_memory(const fewbit_gemm *gemm, size_t *size) {
    size_t align = 0;
    CHECK_OK(fewbit_gemm_workspace(gemm, M, 1, size, &align, NULL));
    return aligned_memory(*size, align);
}

/* A good call with one field changed. */
#define BAD_ARGS(field, value, bad_status, named)                              \
    do {                                                                       \
        fewbit_gemm_args changed = args;                                       \
        changed.field = value;                                                 \
        CHECK_STATUS(bad_status, fewbit_gemm_run(gemm, &changed, NULL, &err)); \
        CHECK(strcmp(err.argument, named) == 0);                               \
        CHECK_BYTES(before, sums, sizeof sums);                                \
    } while (0)

static void test_gemm_refusals(const fewbit_gemm *gemm, fewbit_gemm_args args) {
    static int32_t sums[MATRICES * M * N], before[MATRICES * M * N];
    static float zero_scale[1];
    static const int32_t beyond[1] = {256};
    const fewbit_parallel_for none = {NULL, 0, NULL, 0};
    fewbit_gemm_desc desc = gemm_desc();
    args.dst = sums;
    BAD_ARGS(struct_size, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "args");
    BAD_ARGS(lhs, NULL, FEWBIT_ERROR_NULL_POINTER, "lhs");
    BAD_ARGS(dst, NULL, FEWBIT_ERROR_NULL_POINTER, "dst");
    BAD_ARGS(dst, ODD(int32_t, sums), FEWBIT_ERROR_MISALIGNED, "dst");
    BAD_ARGS(workspace, NULL, FEWBIT_ERROR_NULL_POINTER, "workspace");
    BAD_ARGS(workspace_size, 0, FEWBIT_ERROR_BUFFER_TOO_SMALL, "workspace_size");
    BAD_ARGS(lhs_stride, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_stride");
    BAD_ARGS(lhs_stride, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_stride");
    BAD_ARGS(lhs_batch_stride, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_batch_stride");
    BAD_ARGS(dst_stride, 0, FEWBIT_ERROR_INVALID_ARGUMENT, "dst_stride");
    BAD_ARGS(dst_batch_stride, 0, FEWBIT_ERROR_OVERLAP, "dst_batch_stride");
    BAD_ARGS(dst_batch_stride, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "dst_batch_stride");
    BAD_ARGS(lhs_zero_point_count, M + 1, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_zero_point_count");
    BAD_ARGS(lhs_zero_point_count, SIZE_MAX, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_zero_points");
    BAD_ARGS(lhs_zero_points, NULL, FEWBIT_ERROR_NULL_POINTER, "lhs_zero_points");
    BAD_ARGS(lhs_zero_points = beyond; changed.lhs_zero_point_count, 1, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_zero_points");
    BAD_ARGS(lhs_scales = zero_scale; changed.lhs_scale_count, 1, FEWBIT_ERROR_INVALID_ARGUMENT, "lhs_scales");
    BAD_ARGS(lhs_scale_count, 1, FEWBIT_ERROR_NULL_POINTER, "lhs_scales");
    BAD_ARGS(lhs_scales = ODD(float, row_scales); changed.lhs_scale_count, 1, FEWBIT_ERROR_MISALIGNED, "lhs_scales");
    BAD_ARGS(lhs_zero_points = sums; changed.lhs_zero_point_count, 1, FEWBIT_ERROR_OVERLAP, "dst");
    BAD_ARGS(lhs, sums, FEWBIT_ERROR_OVERLAP, "dst");
    NULL_EXPLAINED(fewbit_gemm_run, gemm, (NULL, &args, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run, args, (gemm, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run, parallel_for, (gemm, &args, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run, error, (gemm, &args, NULL, NULL));
    INVALID_EXPLAINED(fewbit_gemm_run, parallel_for, (gemm, &args, &none, &err));
    args.rows = 0;
    args.lhs = args.dst = NULL;
    CHECK_OK(fewbit_gemm_run(gemm, &args, NULL, &err));

    NULL_EXPLAINED(fewbit_gemm_workspace, gemm, (NULL, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_gemm_workspace, size, (gemm, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_gemm_workspace, align, (gemm, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_workspace, error, (gemm, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_gemm_workspace, rows, (gemm, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_gemm_workspace, max_workers, (gemm, 2, 0, &out.size, &out.align, &err));
    HUGE_EXPLAINED(fewbit_gemm_workspace, rows, (gemm, SIZE_MAX, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_gemm_workspace, max_workers, (gemm, 2, SIZE_MAX, &out.size, &out.align, &err));
    OVERLAPPING(fewbit_gemm_workspace, align, (gemm, 2, 1, &out.size, &out.size, &err));

    NULL_EXPLAINED(fewbit_gemm_create, desc, (NULL, &out.gemm, &err));
    NULL_EXPLAINED(fewbit_gemm_create, gemm, (&desc, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_create, error, (&desc, &out.gemm, NULL));
    fewbit_gemm_destroy(out.gemm);
    fewbit_gemm_destroy(NULL);
    covered("fewbit_gemm_destroy", "gemm", "null");
    desc.lhs_dtype = FEWBIT_S2;
    REFUSED("s2", fewbit_gemm_create, desc, FEWBIT_ERROR_UNSUPPORTED, (&desc, &out.gemm, &err));
    CHECK(strcmp(err.argument, "desc.lhs_dtype") == 0);
    desc = gemm_desc();
    desc.rhs.data = NULL;
    REFUSED("null", fewbit_gemm_create, desc, FEWBIT_ERROR_NULL_POINTER, (&desc, &out.gemm, &err));
    CHECK(strcmp(err.argument, "desc.rhs.data") == 0);
    desc = gemm_desc();
    desc.k = SIZE_MAX;
    INVALID(fewbit_gemm_create, desc, (&desc, &out.gemm, &err));
    desc = gemm_desc();
    desc.rhs_layout = 2;
    INVALID(fewbit_gemm_create, desc, (&desc, &out.gemm, &err));
    desc = gemm_desc();
    desc.matrices = SIZE_MAX / 2;
    INVALID(fewbit_gemm_create, desc, (&desc, &out.gemm, &err));
}

void test_gemm(void) {
    fewbit_gemm_desc desc = gemm_desc();
    fewbit_gemm_args args = FEWBIT_GEMM_ARGS_INIT;
    fewbit_gemm *gemm = NULL;
    static int32_t sums[MATRICES * M * N];
    static float real[MATRICES * M * N];
    size_t size = 0, matrix, m, n;
    void *memory;
    fill();
    CHECK_OK(fewbit_gemm_create(&desc, &gemm, &err));
    memory = gemm_memory(gemm, &size);
    args.rows = M;
    args.lhs = lhs;
    args.lhs_stride = K;
    args.lhs_batch_stride = M * K;
    args.lhs_zero_points = row_zeros;
    args.lhs_zero_point_count = M;
    args.workspace = memory;
    args.workspace_size = size;
    args.dst = sums;
    args.dst_stride = N;
    args.dst_batch_stride = M * N;
    CHECK_OK(fewbit_gemm_run(gemm, &args, NULL, &err));
    for (matrix = 0; matrix < MATRICES; matrix++) {
        for (m = 0; m < M; m++) {
            for (n = 0; n < N; n++) {
                CHECK(sums[(matrix * M + m) * N + n] == sum_of(matrix, m, n, row_zeros[m]));
            }
        }
    }
    test_gemm_refusals(gemm, args);
    fewbit_gemm_destroy(gemm);
    free(memory);

    /* Scales of both sides and a bias; results side by side. */
    desc.rhs.scales = column_scales;
    desc.rhs.scale_count = MATRICES * N;
    desc.bias.data = bias;
    desc.output.dtype = FEWBIT_F32;
    CHECK_OK(fewbit_gemm_create(&desc, &gemm, &err));
    memory = gemm_memory(gemm, &size);
    args.lhs_scales = row_scales;
    args.lhs_scale_count = args.lhs_zero_point_count = MATRICES * M;
    args.workspace = memory;
    args.workspace_size = size;
    args.dst = real;
    args.dst_stride = MATRICES * N;
    args.dst_batch_stride = N;
    CHECK_OK(fewbit_gemm_run(gemm, &args, NULL, &err));
    for (matrix = 0; matrix < MATRICES; matrix++) {
        for (m = 0; m < M; m++) {
            for (n = 0; n < N; n++) {
                const int32_t sum = sum_of(matrix, m, n, row_zeros[matrix * M + m]);
                volatile float scale = row_scales[matrix * M + m] * column_scales[matrix * N + n];
                volatile float product = (float)sum * scale;
                volatile float expected = product + bias[matrix * N + n];
                CHECK(real[(m * MATRICES + matrix) * N + n] == expected);
            }
        }
    }
    fewbit_gemm_destroy(gemm);
    free(memory);
}

static fewbit_linear_desc linear_desc(size_t first, size_t matrices) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = rhs + first * N * K;
    desc.weights.scales = column_scales + first * N;
    desc.weights.scale_count = matrices * N;
    desc.weights.zero_points = column_zeros + first * N;
    desc.weights.zero_point_count = matrices * N;
    desc.bias.data = bias + first * N;
    desc.input.dtype = FEWBIT_U8;
    desc.input.params.scale = 0.5f;
    desc.input.params.zero_point = 100;
    desc.matrices = matrices;
    return desc;
}

static float expected[MATRICES * M * N];

static void test_batch_refusals(const fewbit_linear *linear, fewbit_linear_batch batch) {
    static float y[MATRICES * M * N];
    const fewbit_parallel_for none = {NULL, 0, NULL, 0};
    batch.y = y;
    NULL_EXPLAINED(fewbit_linear_run_batch, linear, (NULL, &batch, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_batch, batch, (linear, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_batch, parallel_for, (linear, &batch, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_batch, error, (linear, &batch, NULL, NULL));
    INVALID_EXPLAINED(fewbit_linear_run_batch, parallel_for, (linear, &batch, &none, &err));
    batch.x = NULL;
    REFUSED("x", fewbit_linear_run_batch, batch, FEWBIT_ERROR_NULL_POINTER, (linear, &batch, NULL, &err));
    CHECK(strcmp(err.argument, "x") == 0);
    batch.x = lhs;
    batch.y_batch_stride = N - 1;
    OVERLAPPING(fewbit_linear_run_batch, batch, (linear, &batch, NULL, &err));
    batch.rows = SIZE_MAX;
    INVALID(fewbit_linear_run_batch, batch, (linear, &batch, NULL, &err));
    batch.struct_size = 8;
    INVALID_EXPLAINED(fewbit_linear_run_batch, batch, (linear, &batch, NULL, &err));

    NULL_EXPLAINED(fewbit_linear_batch_workspace, linear, (NULL, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_batch_workspace, size, (linear, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_batch_workspace, align, (linear, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_batch_workspace, error, (linear, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_linear_batch_workspace, rows, (linear, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_linear_batch_workspace, max_workers, (linear, 2, 0, &out.size, &out.align, &err));
    HUGE_EXPLAINED(fewbit_linear_batch_workspace, rows, (linear, SIZE_MAX, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_linear_batch_workspace, max_workers, (linear, 2, SIZE_MAX, &out.size, &out.align, &err));
    OVERLAPPING(fewbit_linear_batch_workspace, align, (linear, 2, 1, &out.size, &out.size, &err));
}

static void test_group_refusals(const fewbit_linear *linear, fewbit_linear_problem *problems, void *memory, size_t size) {
    const fewbit_parallel_for none = {NULL, 0, NULL, 0};
    /* The list itself lies apart from what is written. */
    memcpy(memory, problems, 2 * sizeof *problems);
    CHECK_STATUS(FEWBIT_ERROR_OVERLAP, fewbit_linear_run_grouped(linear, (const fewbit_linear_problem *)memory, 2, memory,
                                                                size, NULL, NULL));
    NULL_EXPLAINED(fewbit_linear_run_grouped, linear, (NULL, problems, 2, memory, size, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped, problems, (linear, NULL, 2, memory, size, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped, workspace, (linear, problems, 2, NULL, size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_grouped, parallel_for, (linear, problems, 2, memory, size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_grouped, error, (linear, problems, 2, memory, size, NULL, NULL));
    ZERO_ACCEPTED(fewbit_linear_run_grouped, problem_count, (linear, NULL, 0, NULL, 0, NULL, &err));
    HUGE_REFUSED(fewbit_linear_run_grouped, problem_count, (linear, problems, SIZE_MAX, memory, size, NULL, &err));
    EXPLAINED("zero", fewbit_linear_run_grouped, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (linear, problems, 2, memory, 0, NULL, &err));
    ACCEPTED("huge", fewbit_linear_run_grouped, workspace_size, (linear, problems, 2, memory, SIZE_MAX, NULL, &err));
    MISALIGNED(fewbit_linear_run_grouped, problems,
               (linear, ODD(fewbit_linear_problem, problems), 1, memory, size, NULL, &err));
    INVALID_EXPLAINED(fewbit_linear_run_grouped, parallel_for, (linear, problems, 2, memory, size, &none, &err));
    problems[1].matrix = MATRICES;
    INVALID(fewbit_linear_run_grouped, problems, (linear, problems, 2, memory, size, NULL, &err));
    CHECK(strcmp(err.argument, "matrix") == 0 && strstr(err.message, "is 3 in problem 1") != NULL);
    problems[1].matrix = 0;
    problems[1].y = problems[0].y;
    OVERLAPPING(fewbit_linear_run_grouped, problems, (linear, problems, 2, memory, size, NULL, &err));

    NULL_EXPLAINED(fewbit_linear_grouped_workspace, linear, (NULL, 2, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_grouped_workspace, size, (linear, 2, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_linear_grouped_workspace, align, (linear, 2, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_grouped_workspace, error, (linear, 2, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_linear_grouped_workspace, problems, (linear, 0, 2, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_linear_grouped_workspace, rows, (linear, 2, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_linear_grouped_workspace, max_workers, (linear, 2, 2, 0, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_linear_grouped_workspace, problems, (linear, SIZE_MAX, 2, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_linear_grouped_workspace, max_workers, (linear, 2, 2, SIZE_MAX, &out.size, &out.align, &err));
    OVERLAPPING(fewbit_linear_grouped_workspace, align, (linear, 2, 2, 1, &out.size, &out.size, &err));
}

/* Rows that are quantized need memory, more than there is for so many. */
static void test_too_many_rows(void) {
    fewbit_linear_desc desc = linear_desc(0, MATRICES);
    fewbit_linear *linear = NULL;
    desc.input.mode = FEWBIT_INPUT_STATIC;
    CHECK_OK(fewbit_linear_create(&desc, &linear, &err));
    HUGE_EXPLAINED(fewbit_linear_grouped_workspace, rows, (linear, 2, SIZE_MAX, 1, &out.size, &out.align, &err));
    fewbit_linear_destroy(linear);
}

void test_batches(void) {
    fewbit_linear_desc desc;
    fewbit_linear_batch batch = FEWBIT_LINEAR_BATCH_INIT;
    fewbit_linear_problem problems[MATRICES + 2];
    fewbit_linear *linear = NULL;
    static float y[MATRICES * M * N];
    size_t size = 0, align = 0, matrix;
    void *memory;
    fill();
    for (matrix = 0; matrix < MATRICES; matrix++) {
        desc = linear_desc(matrix, 1);
        CHECK_OK(fewbit_linear_create(&desc, &linear, &err));
        memory = linear_memory(linear, M, 1, &size);
        CHECK_OK(fewbit_linear_run(linear, M, lhs + matrix * M * K, K, memory, size, NULL, expected + matrix * M * N, N, &err));
        free(memory);
        fewbit_linear_destroy(linear);
    }
    desc = linear_desc(0, MATRICES);
    CHECK_OK(fewbit_linear_create(&desc, &linear, &err));
    CHECK_OK(fewbit_linear_batch_workspace(linear, M, 1, &size, &align, &err));
    memory = aligned_memory(size, align);
    batch.rows = M;
    batch.x = lhs;
    batch.x_stride = K;
    batch.x_batch_stride = M * K;
    batch.y = y;
    batch.y_stride = N;
    batch.y_batch_stride = M * N;
    batch.workspace = memory;
    batch.workspace_size = size;
    CHECK_OK(fewbit_linear_run_batch(linear, &batch, NULL, &err));
    CHECK_BYTES(expected, y, sizeof y);
    test_batch_refusals(linear, batch);
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT,
                 fewbit_linear_run(linear, M, lhs, K, memory, size, NULL, y, N, &err));
    CHECK(strcmp(err.argument, "linear") == 0);
    free(memory);

    /* One row here, the others there, an expert without rows, one beyond the plan's that has none. */
    memset(y, 0, sizeof y);
    memset(problems, 0, sizeof problems);
    for (matrix = 0; matrix < MATRICES; matrix++) {
        problems[matrix].matrix = matrix;
        problems[matrix].rows = matrix == 1 ? M - 1 : M;
        problems[matrix].x = lhs + matrix * M * K;
        problems[matrix].x_stride = K;
        problems[matrix].y = y + matrix * M * N;
        problems[matrix].y_stride = N;
    }
    problems[MATRICES].matrix = 77;
    problems[MATRICES + 1] = problems[1];
    problems[MATRICES + 1].rows = 1;
    problems[MATRICES + 1].x = lhs + (M + M - 1) * K;
    problems[MATRICES + 1].y = y + (M + M - 1) * N;
    CHECK_OK(fewbit_linear_grouped_workspace(linear, COUNT(problems), MATRICES * M, 1, &size, &align, &err));
    memory = aligned_memory(size, align);
    CHECK_OK(fewbit_linear_run_grouped(linear, problems, COUNT(problems), memory, size, NULL, &err));
    CHECK_BYTES(expected, y, sizeof y);
    test_group_refusals(linear, problems, memory, size);
    free(memory);
    fewbit_linear_destroy(linear);
    test_too_many_rows();
}

void test_plan_info(void) {
    const fewbit_plan_info empty = FEWBIT_PLAN_INFO_INIT;
    fewbit_plan_info info = empty;
    fewbit_linear *linear = any_linear(FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_S8);
    fewbit_conv *conv = any_conv(FEWBIT_INPUT_CODES, FEWBIT_S32);
    fewbit_gemm_desc desc = gemm_desc();
    fewbit_gemm *gemm = NULL;
    size_t bytes = 0, in = 0, elements = 0;
    int64_t bound = 0;
    char name[64];
    fill();
    CHECK_OK(fewbit_linear_describe(linear, &info, &err));
    CHECK_OK(fewbit_linear_info(linear, name, sizeof name, &bound, &bytes, &err));
    CHECK(info.struct_size == sizeof info && info.in_features == LAYER_K && info.out_features == LAYER_N);
    CHECK(info.matrices == 1 && info.input_mode == FEWBIT_INPUT_DYNAMIC_PER_ROW && info.input_dtype == FEWBIT_F32);
    CHECK(info.code_dtype == FEWBIT_U8 && info.output_dtype == FEWBIT_S8);
    CHECK(info.bound == bound && info.weight_bytes == bytes && strcmp(info.kernel_name, name) == 0);
    info = empty;
    CHECK_OK(fewbit_conv_describe(conv, &info, &err));
    CHECK_OK(fewbit_conv_info(conv, NULL, &in, &elements, name, sizeof name, &bound, &bytes, &err));
    CHECK(info.in_features == in && info.out_features == elements && info.matrices == 1);
    CHECK(info.input_mode == FEWBIT_INPUT_CODES && info.input_dtype == FEWBIT_U8 && info.output_dtype == FEWBIT_S32);
    CHECK(info.bound == bound && info.weight_bytes == bytes && strcmp(info.kernel_name, name) == 0);
    info = empty;
    CHECK_OK(fewbit_gemm_create(&desc, &gemm, &err));
    CHECK_OK(fewbit_gemm_describe(gemm, &info, &err));
    CHECK(info.in_features == K && info.out_features == N && info.matrices == MATRICES);
    CHECK(info.input_mode == FEWBIT_INPUT_CODES_PER_ROW && info.input_dtype == FEWBIT_U8);
    CHECK(info.output_dtype == FEWBIT_S32 && info.bound > 0 && info.bound <= (int64_t)255 * 255 * K);
    CHECK(info.weight_bytes >= MATRICES * N * K && strlen(info.kernel_name) > 0);

    NULL_EXPLAINED(fewbit_linear_describe, linear, (NULL, &out.info, &err));
    NULL_EXPLAINED(fewbit_linear_describe, info, (linear, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_describe, error, (linear, &info, NULL));
    NULL_EXPLAINED(fewbit_conv_describe, conv, (NULL, &out.info, &err));
    NULL_EXPLAINED(fewbit_conv_describe, info, (conv, NULL, &err));
    NULL_ACCEPTED(fewbit_conv_describe, error, (conv, &info, NULL));
    NULL_EXPLAINED(fewbit_gemm_describe, gemm, (NULL, &out.info, &err));
    NULL_EXPLAINED(fewbit_gemm_describe, info, (gemm, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_describe, error, (gemm, &info, NULL));
    MISALIGNED(fewbit_linear_describe, info, (linear, ODD(fewbit_plan_info, &out.info), &err));
    info = empty;
    info.struct_size--;
    INVALID_EXPLAINED(fewbit_linear_describe, info, (linear, &info, &err));
    CHECK(info.in_features == 0);
    fewbit_gemm_destroy(gemm);
    fewbit_conv_destroy(conv);
    fewbit_linear_destroy(linear);
}

/* Inputs of four bits: packed codes by weights of four bits, and numbers that the run quantizes. */
void test_four_bits(void) {
    enum { ROWS = 3, COLUMNS = 5, DEPTH = 7, BYTES = 4, STRIDE = 2 * BYTES };
    int8_t a[ROWS][STRIDE], b[COLUMNS][STRIDE];
    uint8_t x[ROWS][BYTES], packed[COLUMNS][BYTES];
    int32_t sums[ROWS][COLUMNS], sum;
    float numbers[ROWS * DEPTH], reals[ROWS * COLUMNS];
    const float one = 1.0f;
    size_t m, n, k, size = 0, align = 0;
    void *memory;
    fewbit_plan_info info = FEWBIT_PLAN_INFO_INIT;
    fewbit_linear_desc four = FEWBIT_LINEAR_DESC_INIT;
    fewbit_linear *linear = NULL;
    for (k = 0; k < STRIDE; k++) {
        for (m = 0; m < ROWS; m++) {
            a[m][k] = (int8_t)((m * 5 + k * 3) % 16);
            numbers[m * DEPTH + k % DEPTH] = (float)a[m][k % DEPTH] - 2.0f;
        }
        for (n = 0; n < COLUMNS; n++) {
            b[n][k] = (int8_t)((int)((n * 7 + k * 5) % 16) - 8);
        }
    }
    for (m = 0; m < ROWS; m++) {
        CHECK_OK(fewbit_pack(a[m], STRIDE, FEWBIT_U4, 0, x[m]));
    }
    for (n = 0; n < COLUMNS; n++) {
        CHECK_OK(fewbit_pack(b[n], STRIDE, FEWBIT_S4, 0, packed[n]));
    }
    four.in_features = DEPTH;
    four.out_features = COLUMNS;
    four.weights.data = packed;
    four.weights.dtype = FEWBIT_S4;
    four.weights.scales = &one;
    four.weights.scale_count = 1;
    four.input.mode = FEWBIT_INPUT_CODES;
    four.input.dtype = FEWBIT_U4;
    four.input.params.scale = 1.0f;
    four.input.params.zero_point = 2;
    four.output.dtype = FEWBIT_S32;
    CHECK_OK(fewbit_linear_create(&four, &linear, &err));
    CHECK_OK(fewbit_linear_describe(linear, &info, &err));
    CHECK(info.input_dtype == FEWBIT_U4 && info.code_dtype == FEWBIT_U4);
    CHECK_OK(fewbit_linear_workspace(linear, ROWS, 1, &size, &align, &err));
    memory = aligned_memory(size, align);
    CHECK_OK(fewbit_linear_run(linear, ROWS, x, STRIDE, memory, size, NULL, sums, COLUMNS, &err));
    for (m = 0; m < ROWS; m++) {
        for (n = 0; n < COLUMNS; n++) {
            for (sum = 0, k = 0; k < DEPTH; k++) {
                sum += (a[m][k] - 2) * b[n][k];
            }
            CHECK(sums[m][n] == sum);
        }
    }
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT,
                 fewbit_linear_run(linear, ROWS, x, DEPTH, memory, size, NULL, sums, COLUMNS, &err));
    CHECK(strcmp(err.argument, "x_stride") == 0);
    free(memory);
    fewbit_linear_destroy(linear);

    four.input.mode = FEWBIT_INPUT_STATIC;
    four.input.real = FEWBIT_F32;
    four.output.dtype = FEWBIT_F32;
    CHECK_OK(fewbit_linear_create(&four, &linear, &err));
    info.struct_size = sizeof info;
    CHECK_OK(fewbit_linear_describe(linear, &info, &err));
    CHECK(info.input_dtype == FEWBIT_F32 && info.code_dtype == FEWBIT_U4);
    CHECK_OK(fewbit_linear_workspace(linear, ROWS, 1, &size, &align, &err));
    memory = aligned_memory(size, align);
    CHECK_OK(fewbit_linear_run(linear, ROWS, numbers, DEPTH, memory, size, NULL, reals, COLUMNS, &err));
    for (m = 0; m < ROWS; m++) {
        for (n = 0; n < COLUMNS; n++) {
            CHECK(reals[m * COLUMNS + n] == (float)sums[m][n]);
        }
    }
    free(memory);
    fewbit_linear_destroy(linear);
}
