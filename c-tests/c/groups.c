/* Several products in one run: groups of the caller's codes, outputs whose parameters each row chooses, and a packed rhs. */
#include "refused.h"

enum { MATRICES = 2, M = 4, N = 9, K = 21, ROWS = MATRICES * M };

static uint8_t codes[ROWS * K];
static int8_t rhs[MATRICES * N * K];
static float column_scales[MATRICES * N], real[ROWS * N];
static const float scale[1] = {0.5f};
static const int32_t zero_point[1] = {100};

/* What the rows of `real` give: of every product below the same. */
static int8_t expected[ROWS * N];
static float expected_scales[ROWS];
static int32_t expected_zeros[ROWS];

static const fewbit_parallel_for no_workers = {NULL, 0, NULL, 0};

static void fill(void) {
    uint32_t state = 31;
    size_t i;
    for (i = 0; i < COUNT(codes); i++) {
        codes[i] = (uint8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(rhs); i++) {
        rhs[i] = (int8_t)(random_bits(&state) & 0xFF);
    }
    for (i = 0; i < COUNT(column_scales); i++) {
        column_scales[i] = (float)(1 + random_bits(&state) % 16) * 0.125f;
    }
}

static void by_row(fewbit_output *output) {
    output->dtype = FEWBIT_S8;
    output->quantization = FEWBIT_OUTPUT_DYNAMIC_PER_ROW;
    output->scheme = FEWBIT_SCHEME_AFFINE;
}

static fewbit_gemm_desc gemm_desc(void) {
    fewbit_gemm_desc desc = FEWBIT_GEMM_DESC_INIT;
    desc.n = N;
    desc.k = K;
    desc.rhs.data = rhs;
    desc.rhs.scales = column_scales;
    desc.rhs.scale_count = MATRICES * N;
    desc.lhs_dtype = FEWBIT_U8;
    desc.matrices = MATRICES;
    desc.output.dtype = FEWBIT_F32;
    return desc;
}

static fewbit_gemm *made(fewbit_gemm_desc desc) {
    fewbit_gemm *gemm = NULL;
    CHECK_OK(fewbit_gemm_create(&desc, &gemm, &err));
    return gemm;
}

static fewbit_gemm_args gemm_args(void *dst) {
    fewbit_gemm_args args = FEWBIT_GEMM_ARGS_INIT;
    args.rows = M;
    args.lhs = codes;
    args.lhs_stride = K;
    args.lhs_batch_stride = M * K;
    args.lhs_scales = scale;
    args.lhs_zero_points = zero_point;
    args.lhs_scale_count = args.lhs_zero_point_count = 1;
    args.dst = dst;
    args.dst_stride = N;
    args.dst_batch_stride = M * N;
    return args;
}

/* The matrices in order, the first one's rows in two problems. */
static void gemm_problems(fewbit_gemm_problem problems[3], void *dst, size_t element) {
    size_t i;
    memset(problems, 0, 3 * sizeof *problems);
    for (i = 0; i < 3; i++) {
        const size_t first = i == 0 ? 0 : i == 1 ? 1 : M;
        problems[i].matrix = i == 2;
        problems[i].rows = i == 0 ? 1 : i == 1 ? M - 1 : M;
        problems[i].lhs = codes + first * K;
        problems[i].lhs_stride = K;
        problems[i].lhs_scales = scale;
        problems[i].lhs_zero_points = zero_point;
        problems[i].lhs_scale_count = problems[i].lhs_zero_point_count = 1;
        problems[i].dst = (char *)dst + first * N * element;
        problems[i].dst_stride = N;
    }
}

static void *grouped_memory(const fewbit_gemm *gemm, size_t *size) {
    size_t align = 0;
    CHECK_OK(fewbit_gemm_grouped_workspace(gemm, 3, ROWS, 1, size, &align, &err));
    return aligned_memory(*size, align);
}

static void test_groups_refused(const fewbit_gemm *gemm, fewbit_gemm_problem *problems, void *memory, size_t size) {
    NULL_EXPLAINED(fewbit_gemm_run_grouped, gemm, (NULL, problems, 3, memory, size, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped, problems, (gemm, NULL, 3, memory, size, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped, workspace, (gemm, problems, 3, NULL, size, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_grouped, parallel_for, (gemm, problems, 3, memory, size, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_grouped, error, (gemm, problems, 3, memory, size, NULL, NULL));
    ZERO_ACCEPTED(fewbit_gemm_run_grouped, problem_count, (gemm, NULL, 0, NULL, 0, NULL, &err));
    HUGE_REFUSED(fewbit_gemm_run_grouped, problem_count, (gemm, problems, SIZE_MAX, memory, size, NULL, &err));
    EXPLAINED("zero", fewbit_gemm_run_grouped, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              (gemm, problems, 3, memory, 0, NULL, &err));
    ACCEPTED("huge", fewbit_gemm_run_grouped, workspace_size, (gemm, problems, 3, memory, SIZE_MAX, NULL, &err));
    MISALIGNED(fewbit_gemm_run_grouped, problems,
               (gemm, ODD(fewbit_gemm_problem, problems), 1, memory, size, NULL, &err));
    INVALID_EXPLAINED(fewbit_gemm_run_grouped, parallel_for, (gemm, problems, 3, memory, size, &no_workers, &err));
    problems[1].lhs_zero_point_count = 2;
    INVALID(fewbit_gemm_run_grouped, problems, (gemm, problems, 3, memory, size, NULL, &err));
    CHECK(strcmp(err.argument, "lhs_zero_point_count") == 0);
    problems[1].lhs_zero_point_count = 1;
    problems[1].matrix = MATRICES;
    INVALID(fewbit_gemm_run_grouped, problems, (gemm, problems, 3, memory, size, NULL, &err));
    CHECK(strcmp(err.argument, "matrix") == 0 && strstr(err.message, "is 2 in problem 1") != NULL);
    problems[1].matrix = 0;
    problems[1].dst = problems[2].dst;
    OVERLAPPING(fewbit_gemm_run_grouped, problems, (gemm, problems, 3, memory, size, NULL, &err));

    NULL_EXPLAINED(fewbit_gemm_grouped_workspace, gemm, (NULL, 2, 2, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_gemm_grouped_workspace, size, (gemm, 2, 2, 1, NULL, &out.align, &err));
    NULL_EXPLAINED(fewbit_gemm_grouped_workspace, align, (gemm, 2, 2, 1, &out.size, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_grouped_workspace, error, (gemm, 2, 2, 1, &out.size, &out.align, NULL));
    ZERO_ACCEPTED(fewbit_gemm_grouped_workspace, problems, (gemm, 0, 2, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_gemm_grouped_workspace, rows, (gemm, 2, 0, 1, &out.size, &out.align, &err));
    ZERO_ACCEPTED(fewbit_gemm_grouped_workspace, max_workers, (gemm, 2, 2, 0, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_gemm_grouped_workspace, problems, (gemm, SIZE_MAX, 2, 1, &out.size, &out.align, &err));
    HUGE_REFUSED(fewbit_gemm_grouped_workspace, max_workers, (gemm, 2, 2, SIZE_MAX, &out.size, &out.align, &err));
    OVERLAPPING(fewbit_gemm_grouped_workspace, align, (gemm, 2, 2, 1, &out.size, &out.size, &err));
}

/* A product cut by its caller, into rows and columns. */
static void test_ranges(const fewbit_gemm *gemm, fewbit_gemm_args args) {
    static float y[ROWS * N];
    size_t row, column;
    args.dst = y;
    for (row = 0; row < M; row += 3) {
        for (column = 0; column < N; column += 4) {
            const size_t row_end = row + 3 < M ? row + 3 : (size_t)M, column_end = column + 4 < N ? column + 4 : (size_t)N;
            CHECK_OK(fewbit_gemm_run_range(gemm, &args, row, row_end, column, column_end, NULL, &err));
        }
    }
    CHECK_BYTES(real, y, sizeof y);
    NULL_EXPLAINED(fewbit_gemm_run_range, gemm, (NULL, &args, 0, M, 0, N, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_range, args, (gemm, NULL, 0, M, 0, N, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_range, parallel_for, (gemm, &args, 0, M, 0, N, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_range, error, (gemm, &args, 0, M, 0, N, NULL, NULL));
    INVALID_EXPLAINED(fewbit_gemm_run_range, parallel_for, (gemm, &args, 0, M, 0, N, &no_workers, &err));
    ZERO_ACCEPTED(fewbit_gemm_run_range, row_begin, (gemm, &args, 0, M, 0, N, NULL, &err));
    ZERO_ACCEPTED(fewbit_gemm_run_range, row_end, (gemm, &args, 0, 0, 0, N, NULL, &err));
    ZERO_ACCEPTED(fewbit_gemm_run_range, col_begin, (gemm, &args, 0, M, 0, N, NULL, &err));
    ZERO_ACCEPTED(fewbit_gemm_run_range, col_end, (gemm, &args, 0, M, 0, 0, NULL, &err));
    HUGE_REFUSED(fewbit_gemm_run_range, row_begin, (gemm, &args, SIZE_MAX, M, 0, N, NULL, &err));
    HUGE_EXPLAINED(fewbit_gemm_run_range, row_end, (gemm, &args, 0, SIZE_MAX, 0, N, NULL, &err));
    HUGE_REFUSED(fewbit_gemm_run_range, col_begin, (gemm, &args, 0, M, SIZE_MAX, N, NULL, &err));
    HUGE_EXPLAINED(fewbit_gemm_run_range, col_end, (gemm, &args, 0, M, 0, SIZE_MAX, NULL, &err));
    CHECK_BYTES(real, y, sizeof y);
}

/* Written out, and read where it lies: the same results, and errors that name the rhs. */
static void test_packed_rhs(const fewbit_gemm *gemm, fewbit_gemm_args args) {
    static float again[ROWS * N];
    fewbit_gemm_desc desc = gemm_desc();
    fewbit_gemm *mapped = NULL;
    unsigned char *memory;
    size_t size = 0;
    CHECK_OK(fewbit_gemm_packed_size(gemm, &size, &err));
    memory = (unsigned char *)aligned_memory(size, 64);
    CHECK_OK(fewbit_gemm_save_packed(gemm, memory, size, &err));
    memset(&desc.rhs, 0, sizeof desc.rhs);
    desc.rhs_layout = 77; /* not looked at */
    CHECK_OK(fewbit_gemm_create_packed(&desc, memory, size, &mapped, &err));
    args.dst = again;
    CHECK_OK(fewbit_gemm_run(mapped, &args, NULL, &err));
    CHECK_BYTES(real, again, sizeof real);
    CHECK_STATUS(FEWBIT_ERROR_OVERLAP, fewbit_gemm_save_packed(mapped, memory, size, NULL));
    fewbit_gemm_destroy(mapped);

    NULL_EXPLAINED(fewbit_gemm_packed_size, gemm, (NULL, &out.size, &err));
    NULL_EXPLAINED(fewbit_gemm_packed_size, size, (gemm, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_packed_size, error, (gemm, &out.size, NULL));
    NULL_EXPLAINED(fewbit_gemm_save_packed, gemm, (NULL, memory, size, &err));
    NULL_EXPLAINED(fewbit_gemm_save_packed, packed, (gemm, NULL, size, &err));
    EXPLAINED("zero", fewbit_gemm_save_packed, packed_size, FEWBIT_ERROR_BUFFER_TOO_SMALL, (gemm, out.room, 0, &err));
    HUGE_REFUSED(fewbit_gemm_save_packed, packed_size, (gemm, out.room, SIZE_MAX, &err));
    NULL_ACCEPTED(fewbit_gemm_save_packed, error, (gemm, memory, size, NULL));
    NULL_EXPLAINED(fewbit_gemm_create_packed, desc, (NULL, memory, size, &out.gemm, &err));
    NULL_EXPLAINED(fewbit_gemm_create_packed, packed, (&desc, NULL, size, &out.gemm, &err));
    REFUSED("zero", fewbit_gemm_create_packed, packed_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
            (&desc, memory, 0, &out.gemm, &err));
    HUGE_REFUSED(fewbit_gemm_create_packed, packed_size, (&desc, memory, SIZE_MAX, &out.gemm, &err));
    NULL_EXPLAINED(fewbit_gemm_create_packed, gemm, (&desc, memory, size, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_create_packed, error, (&desc, memory, size, &out.gemm, NULL));
    fewbit_gemm_destroy(out.gemm);
    memory[200] ^= 1;
    INVALID(fewbit_gemm_create_packed, packed, (&desc, memory, size, &out.gemm, &err));
    memory[200] ^= 1;
    desc.k++;
    INVALID_EXPLAINED(fewbit_gemm_create_packed, packed, (&desc, memory, size, &out.gemm, &err));
    CHECK(strstr(err.message, "another shape") != NULL);
    free(memory);
}

static void test_gemm_groups(void) {
    fewbit_gemm *gemm;
    fewbit_gemm_args args = gemm_args(real);
    fewbit_gemm_problem problems[3];
    static float y[ROWS * N];
    size_t size = 0, align = 0;
    void *memory, *list_memory;
    fill();
    gemm = made(gemm_desc());
    CHECK_OK(fewbit_gemm_workspace(gemm, M, 1, &size, &align, &err));
    args.workspace = memory = aligned_memory(size, align);
    args.workspace_size = size;
    CHECK_OK(fewbit_gemm_run(gemm, &args, NULL, &err));
    gemm_problems(problems, y, sizeof *y);
    list_memory = grouped_memory(gemm, &size);
    CHECK_OK(fewbit_gemm_run_grouped(gemm, problems, 3, list_memory, size, NULL, &err));
    CHECK_BYTES(real, y, sizeof y);
    test_groups_refused(gemm, problems, list_memory, size);
    test_ranges(gemm, args);
    test_packed_rhs(gemm, args);
    free(list_memory);
    free(memory);
    fewbit_gemm_destroy(gemm);
}

static int8_t got[ROWS * N];
static float got_scales[ROWS];
static int32_t got_zeros[ROWS];

static void check_rows(void) {
    CHECK_BYTES(expected, got, sizeof got);
    CHECK_BYTES(expected_scales, got_scales, sizeof got_scales);
    CHECK_BYTES(expected_zeros, got_zeros, sizeof got_zeros);
    memset(got, 0, sizeof got);
    memset(got_scales, 0, sizeof got_scales);
    memset(got_zeros, 0, sizeof got_zeros);
}

static void test_dynamic_gemm(void) {
    fewbit_gemm_desc desc = gemm_desc();
    fewbit_gemm_args args = gemm_args(got);
    fewbit_gemm_problem problems[3];
    fewbit_gemm *gemm, *plain = made(desc);
    size_t size = 0;
    void *memory;
    by_row(&desc.output);
    gemm = made(desc);
    args.workspace = memory = grouped_memory(gemm, &size);
    args.workspace_size = size;
    CHECK_OK(fewbit_gemm_run_dynamic(gemm, &args, got_scales, got_zeros, NULL, &err));
    check_rows();
    gemm_problems(problems, got, sizeof *got);
    CHECK_OK(fewbit_gemm_run_grouped_dynamic(gemm, problems, 3, memory, size, got_scales, got_zeros, NULL, &err));
    check_rows();
    CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_gemm_run(gemm, &args, NULL, &err));
    CHECK(strcmp(err.argument, "gemm") == 0);
    CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_gemm_run_grouped(gemm, problems, 3, memory, size, NULL, &err));
    CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_gemm_run_dynamic(plain, &args, got_scales, got_zeros, NULL, &err));

    /* Results that wait for their parameters need memory, more than there is for so many rows. */
    HUGE_EXPLAINED(fewbit_gemm_grouped_workspace, rows, (gemm, 2, SIZE_MAX, 1, &out.size, &out.align, &err));
    NULL_EXPLAINED(fewbit_gemm_run_dynamic, gemm, (NULL, &args, got_scales, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_dynamic, args, (gemm, NULL, got_scales, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_dynamic, scales, (gemm, &args, NULL, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_gemm_run_dynamic, zero_points, (gemm, &args, got_scales, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_dynamic, parallel_for, (gemm, &args, got_scales, got_zeros, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_dynamic, error, (gemm, &args, got_scales, got_zeros, NULL, NULL));
    INVALID_EXPLAINED(fewbit_gemm_run_dynamic, parallel_for, (gemm, &args, got_scales, got_zeros, &no_workers, &err));
    OVERLAPPING(fewbit_gemm_run_dynamic, scales, (gemm, &args, (float *)memory, got_zeros, NULL, &err));
    args.lhs_scales = got_scales;
    args.lhs_scale_count = 1;
    got_scales[0] = 1.0f;
    OVERLAPPING(fewbit_gemm_run_dynamic, scales, (gemm, &args, got_scales, got_zeros, NULL, &err));

#define GROUPED(gemm_, problems_, count, memory_, size_, scales_, zeros_, error_) \
    (gemm_, problems_, count, memory_, size_, scales_, zeros_, NULL, error_)
    NULL_EXPLAINED(fewbit_gemm_run_grouped_dynamic, gemm, GROUPED(NULL, problems, 3, memory, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped_dynamic, problems, GROUPED(gemm, NULL, 3, memory, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped_dynamic, workspace, GROUPED(gemm, problems, 3, NULL, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped_dynamic, scales, GROUPED(gemm, problems, 3, memory, size, NULL, got_zeros, &err));
    NULL_EXPLAINED(fewbit_gemm_run_grouped_dynamic, zero_points, GROUPED(gemm, problems, 3, memory, size, got_scales, NULL, &err));
    NULL_ACCEPTED(fewbit_gemm_run_grouped_dynamic, parallel_for, GROUPED(gemm, problems, 3, memory, size, got_scales, got_zeros, &err));
    NULL_ACCEPTED(fewbit_gemm_run_grouped_dynamic, error, GROUPED(gemm, problems, 3, memory, size, got_scales, got_zeros, NULL));
    ZERO_ACCEPTED(fewbit_gemm_run_grouped_dynamic, problem_count, GROUPED(gemm, NULL, 0, NULL, 0, NULL, NULL, &err));
    HUGE_REFUSED(fewbit_gemm_run_grouped_dynamic, problem_count, GROUPED(gemm, problems, SIZE_MAX, memory, size, got_scales, got_zeros, &err));
    EXPLAINED("zero", fewbit_gemm_run_grouped_dynamic, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              GROUPED(gemm, problems, 3, memory, 0, got_scales, got_zeros, &err));
    ACCEPTED("huge", fewbit_gemm_run_grouped_dynamic, workspace_size,
             GROUPED(gemm, problems, 3, memory, SIZE_MAX, got_scales, got_zeros, &err));
    OVERLAPPING(fewbit_gemm_run_grouped_dynamic, scales, GROUPED(gemm, problems, 3, memory, size, (float *)(void *)problems, got_zeros, &err));
    OVERLAPPING(fewbit_gemm_run_grouped_dynamic, zero_points, GROUPED(gemm, problems, 3, memory, size, got_scales, (int32_t *)(void *)got_scales, &err));
    free(memory);
    fewbit_gemm_destroy(gemm);
    fewbit_gemm_destroy(plain);
}

static void test_dynamic_linear(void) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    fewbit_linear_batch batch = FEWBIT_LINEAR_BATCH_INIT;
    fewbit_linear_problem problems[MATRICES];
    fewbit_linear *linear = NULL;
    size_t size = 0, align = 0, matrix;
    void *memory;
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = rhs;
    desc.weights.scales = column_scales;
    desc.weights.scale_count = MATRICES * N;
    desc.input.dtype = FEWBIT_U8;
    desc.input.params.scale = scale[0];
    desc.input.params.zero_point = zero_point[0];
    desc.matrices = MATRICES;
    by_row(&desc.output);
    CHECK_OK(fewbit_linear_create(&desc, &linear, &err));
    CHECK_OK(fewbit_linear_batch_workspace(linear, M, 1, &size, &align, &err));
    memory = aligned_memory(size, align);
    memset(problems, 0, sizeof problems);
    for (matrix = 0; matrix < MATRICES; matrix++) {
        problems[matrix].matrix = matrix;
        problems[matrix].rows = M;
        problems[matrix].x = codes + matrix * M * K;
        problems[matrix].x_stride = K;
        problems[matrix].y = got + matrix * M * N;
        problems[matrix].y_stride = N;
    }
    batch.rows = M;
    batch.x = codes;
    batch.x_stride = K;
    batch.x_batch_stride = M * K;
    batch.y = got;
    batch.y_stride = N;
    batch.y_batch_stride = M * N;
    batch.workspace = memory;
    batch.workspace_size = size;
    CHECK_OK(fewbit_linear_run_batch_dynamic(linear, &batch, got_scales, got_zeros, NULL, &err));
    check_rows();
    CHECK_OK(fewbit_linear_run_grouped_dynamic(linear, problems, 2, memory, size, got_scales, got_zeros, NULL, &err));
    check_rows();
    CHECK_STATUS(FEWBIT_ERROR_UNSUPPORTED, fewbit_linear_run_batch(linear, &batch, NULL, &err));

    NULL_EXPLAINED(fewbit_linear_run_batch_dynamic, linear, (NULL, &batch, got_scales, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_batch_dynamic, batch, (linear, NULL, got_scales, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_batch_dynamic, scales, (linear, &batch, NULL, got_zeros, NULL, &err));
    NULL_EXPLAINED(fewbit_linear_run_batch_dynamic, zero_points, (linear, &batch, got_scales, NULL, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_batch_dynamic, parallel_for, (linear, &batch, got_scales, got_zeros, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_batch_dynamic, error, (linear, &batch, got_scales, got_zeros, NULL, NULL));
    INVALID_EXPLAINED(fewbit_linear_run_batch_dynamic, parallel_for, (linear, &batch, got_scales, got_zeros, &no_workers, &err));
    MISALIGNED(fewbit_linear_run_batch_dynamic, scales, (linear, &batch, ODD(float, got_scales), got_zeros, NULL, &err));

    NULL_EXPLAINED(fewbit_linear_run_grouped_dynamic, linear, GROUPED(NULL, problems, 2, memory, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped_dynamic, problems, GROUPED(linear, NULL, 2, memory, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped_dynamic, workspace, GROUPED(linear, problems, 2, NULL, size, got_scales, got_zeros, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped_dynamic, scales, GROUPED(linear, problems, 2, memory, size, NULL, got_zeros, &err));
    NULL_EXPLAINED(fewbit_linear_run_grouped_dynamic, zero_points, GROUPED(linear, problems, 2, memory, size, got_scales, NULL, &err));
    NULL_ACCEPTED(fewbit_linear_run_grouped_dynamic, parallel_for, GROUPED(linear, problems, 2, memory, size, got_scales, got_zeros, &err));
    NULL_ACCEPTED(fewbit_linear_run_grouped_dynamic, error, GROUPED(linear, problems, 2, memory, size, got_scales, got_zeros, NULL));
    ZERO_ACCEPTED(fewbit_linear_run_grouped_dynamic, problem_count, GROUPED(linear, NULL, 0, NULL, 0, NULL, NULL, &err));
    HUGE_REFUSED(fewbit_linear_run_grouped_dynamic, problem_count, GROUPED(linear, problems, SIZE_MAX, memory, size, got_scales, got_zeros, &err));
    EXPLAINED("zero", fewbit_linear_run_grouped_dynamic, workspace_size, FEWBIT_ERROR_BUFFER_TOO_SMALL,
              GROUPED(linear, problems, 2, memory, 0, got_scales, got_zeros, &err));
    ACCEPTED("huge", fewbit_linear_run_grouped_dynamic, workspace_size,
             GROUPED(linear, problems, 2, memory, SIZE_MAX, got_scales, got_zeros, &err));
    OVERLAPPING(fewbit_linear_run_grouped_dynamic, scales,
                GROUPED(linear, problems, 2, memory, size, (float *)memory, got_zeros, &err));
    free(memory);
    fewbit_linear_destroy(linear);
}

void test_groups(void) {
    test_gemm_groups();
    /* The results so far, by row. */
    expected_rows(real, ROWS, N, FEWBIT_SCHEME_AFFINE, expected, expected_scales, expected_zeros);
    test_dynamic_gemm();
    test_dynamic_linear();
}
