/* Plans of every kind: their table, descriptions and inputs. */
#include "kinds.h"

enum { K = 72, N = 21, M = 5, MATRICES = 3, BLOCK = 32, CHANNELS = 4, FILTERS_OF = 8, HEIGHT = 7, WIDTH = 6, DEPTH = 3 };
enum { BATCH = 2, POOL = 8192 };

typedef enum family { LINEAR, GEMM, CONV, TRANSPOSED } family;

/* What is special about a kind. */
enum {
    FIXED = 1,       /* output by fixed point */
    TABLE = 2,       /* activation by table */
    DYNAMIC = 4,     /* each row chooses its output's parameters */
    RESIDUAL = 8,    /* a residual */
    BLOCKS = 16,     /* a scale a block */
    KN = 32,         /* weights the other way */
    SEVERAL = 64,    /* several matrices, run as a batch */
    LIST = 128,      /* several matrices, run as a list of problems */
    PLANES = 256,    /* NCHW */
    GROUPS = 512,    /* groups */
    DEPTHWISE = 1024,
    LINE = 2048,     /* one spatial axis */
    VOLUME = 4096,   /* three spatial axes */
    RANGE = 8192     /* run in parts */
};

typedef struct kind_row {
    const char *name;
    family of;
    int32_t weights, mode, input, real, output;
    int special;
} kind_row;

#define CODES FEWBIT_INPUT_CODES
#define STATIC FEWBIT_INPUT_STATIC
#define BY_ROW FEWBIT_INPUT_DYNAMIC_PER_ROW
#define BY_TENSOR FEWBIT_INPUT_DYNAMIC_PER_TENSOR
#define REAL FEWBIT_INPUT_REAL
#define S8 FEWBIT_S8
#define U8 FEWBIT_U8
#define F32 FEWBIT_F32
#define F16 FEWBIT_F16
#define BF16 FEWBIT_BF16

static const kind_row kinds[] = {
    {"linear, sums", LINEAR, S8, CODES, U8, F32, FEWBIT_S32, RANGE},
    {"linear, static", LINEAR, U8, STATIC, S8, F32, F32, KN},
    {"linear, dynamic by row", LINEAR, S8, BY_ROW, U8, F32, U8, 0},
    {"linear, dynamic by tensor", LINEAR, S8, BY_TENSOR, S8, F16, BF16, 0},
    {"linear, fixed point", LINEAR, S8, CODES, S8, F32, S8, FIXED},
    {"linear, fixed point of numbers", LINEAR, S8, STATIC, U8, BF16, U8, FIXED},
    {"linear, table", LINEAR, S8, CODES, U8, F32, U8, TABLE},
    {"linear, residual", LINEAR, S8, BY_ROW, S8, F32, F16, RESIDUAL},
    {"linear, dynamic output", LINEAR, S8, BY_ROW, S8, F32, S8, DYNAMIC | RESIDUAL},
    {"linear, s4", LINEAR, FEWBIT_S4, BY_ROW, S8, F32, F32, 0},
    {"linear, u4", LINEAR, FEWBIT_U4, STATIC, U8, F32, S8, 0},
    {"linear, s2", LINEAR, FEWBIT_S2, CODES, S8, F32, FEWBIT_S32, 0},
    {"linear, u1", LINEAR, FEWBIT_U1, BY_TENSOR, U8, F32, F32, 0},
    {"linear, b1", LINEAR, FEWBIT_B1, BY_ROW, S8, F32, F32, 0},
    {"linear, bits", LINEAR, FEWBIT_B1, CODES, FEWBIT_B1, F32, F32, 0},
    {"linear, bits dynamic", LINEAR, FEWBIT_U1, CODES, FEWBIT_U1, F32, U8, DYNAMIC},
    {"linear, blocks", LINEAR, S8, BY_ROW, S8, F32, F32, BLOCKS},
    {"linear, s4 blocks", LINEAR, FEWBIT_S4, BY_ROW, U8, F16, S8, BLOCKS | DYNAMIC},
    {"linear, real", LINEAR, F32, REAL, S8, F32, F32, RANGE},
    {"linear, real f16", LINEAR, F16, REAL, S8, F16, S8, DYNAMIC | RESIDUAL},
    {"linear, real bf16", LINEAR, BF16, REAL, S8, BF16, U8, KN},
    {"linear, batch", LINEAR, S8, BY_ROW, U8, F32, F32, SEVERAL},
    {"linear, batch dynamic", LINEAR, S8, STATIC, U8, F32, S8, SEVERAL | DYNAMIC},
    {"linear, list", LINEAR, S8, BY_TENSOR, S8, F32, U8, LIST},
    {"linear, list dynamic", LINEAR, S8, BY_ROW, S8, F16, U8, LIST | DYNAMIC},
    {"linear, real list", LINEAR, BF16, REAL, S8, F32, BF16, LIST},
    {"gemm, sums", GEMM, S8, CODES, S8, F32, FEWBIT_S32, 0},
    {"gemm, numbers", GEMM, U8, CODES, U8, F32, F32, RANGE},
    {"gemm, codes", GEMM, S8, CODES, U8, F32, S8, KN},
    {"gemm, few bits", GEMM, FEWBIT_S4, CODES, S8, F32, F16, SEVERAL},
    {"gemm, bits", GEMM, FEWBIT_U1, CODES, FEWBIT_B1, F32, F32, 0},
    {"gemm, dynamic output", GEMM, S8, CODES, S8, F32, S8, DYNAMIC},
    {"gemm, list", GEMM, S8, CODES, S8, F32, F32, LIST},
    {"gemm, list dynamic", GEMM, S8, CODES, U8, F32, U8, LIST | DYNAMIC},
    {"conv", CONV, S8, CODES, U8, F32, S8, 0},
    {"conv, planes", CONV, S8, STATIC, U8, F32, F32, PLANES},
    {"conv, groups", CONV, U8, BY_ROW, S8, F16, U8, GROUPS},
    {"conv, fixed point", CONV, S8, CODES, S8, F32, S8, FIXED},
    {"conv, table", CONV, S8, STATIC, U8, F32, U8, TABLE | PLANES},
    {"conv, line", CONV, S8, BY_TENSOR, S8, F32, F32, LINE | RESIDUAL},
    {"conv, volume", CONV, S8, CODES, U8, F32, FEWBIT_S32, VOLUME},
    {"conv, dynamic output", CONV, S8, BY_ROW, U8, F32, U8, DYNAMIC},
    {"depthwise", CONV, S8, CODES, U8, F32, U8, DEPTHWISE},
    {"depthwise, planes", CONV, S8, BY_ROW, S8, BF16, F32, DEPTHWISE | PLANES},
    {"transposed", TRANSPOSED, S8, STATIC, U8, F32, S8, 0},
    {"transposed, planes", TRANSPOSED, S8, BY_ROW, S8, F32, F32, PLANES | GROUPS},
};

/* Codes of any format, and numbers of each type. */
static unsigned char codes[POOL];
static float reals[POOL], block_scales[N * 3];
static uint16_t f16_reals[POOL], bf16_reals[POOL];
static float bias[MATRICES * N];
static int32_t sum_bias[MATRICES * N], zero_points[N * 3];

size_t kind_count(void) {
    return COUNT(kinds);
}

const char *kind_name(size_t kind) {
    return kinds[kind].name;
}

void kinds_prepare(void) {
    uint32_t state = 77;
    size_t i;
    for (i = 0; i < POOL; i++) {
        codes[i] = (unsigned char)random_bits(&state);
        reals[i] = random_real(&state, 2.0f);
    }
    CHECK_OK(fewbit_convert_f32_f16(reals, POOL, f16_reals));
    CHECK_OK(fewbit_convert_f32_bf16(reals, POOL, bf16_reals));
    for (i = 0; i < COUNT(block_scales); i++) {
        block_scales[i] = (float)(1 + random_bits(&state) % 1000) * 1e-5f;
        zero_points[i] = (int32_t)(i % 2); /* a code of every format that has zero points */
    }
    for (i = 0; i < COUNT(bias); i++) {
        bias[i] = random_real(&state, 1.0f);
        sum_bias[i] = (int32_t)(random_bits(&state) % 2001) - 1000;
    }
}

static const void *numbers(int32_t dtype) {
    return dtype == FEWBIT_F16    ? (const void *)f16_reals
           : dtype == FEWBIT_BF16 ? (const void *)bf16_reals
                                  : (const void *)reals;
}

static const void *input(const kind_row *k) {
    return k->mode == CODES ? (const void *)codes : numbers(k->real);
}

static size_t output_size(const kind_row *k) {
    return k->output == S8 || k->output == U8 ? 1 : k->output == F16 || k->output == BF16 ? 2 : 4;
}

static size_t matrices(const kind_row *k) {
    return k->special & (SEVERAL | LIST) ? MATRICES : 1;
}

static fewbit_weights weights(const kind_row *k, size_t channels) {
    fewbit_weights w = FEWBIT_WEIGHTS_INIT;
    w.dtype = k->weights;
    if (k->mode == REAL) {
        w.data = numbers(k->weights);
        return w;
    }
    w.data = codes;
    w.block = k->special & BLOCKS ? BLOCK : 0;
    w.scales = block_scales;
    w.scale_count = matrices(k) > 1 ? 1 : w.block ? channels * ((K + BLOCK - 1) / BLOCK) : channels;
    if (k->weights != FEWBIT_B1) {
        w.zero_points = zero_points;
        w.zero_point_count = w.scale_count;
    }
    return w;
}

static fewbit_input input_of(const kind_row *k) {
    fewbit_input given = FEWBIT_INPUT_INIT;
    given.mode = k->mode;
    given.dtype = k->input;
    given.real = k->real;
    given.scheme = k->input == U8 ? FEWBIT_SCHEME_AFFINE : FEWBIT_SCHEME_SYMMETRIC;
    given.params.scale = 0.02f;
    given.params.zero_point = k->input == U8 ? 113 : k->input == FEWBIT_U1 ? 1 : k->input == S8 ? -3 : 0;
    return given;
}

static fewbit_bias bias_of(const kind_row *k) {
    fewbit_bias given = FEWBIT_BIAS_INIT;
    const int whole = k->output == FEWBIT_S32 || k->special & (FIXED | TABLE);
    given.data = whole ? (const void *)sum_bias : (const void *)bias;
    given.dtype = whole ? FEWBIT_S32 : FEWBIT_F32;
    return given;
}

static fewbit_residual residual_of(const kind_row *k) {
    fewbit_residual given = FEWBIT_RESIDUAL_INIT;
    given.present = k->special & RESIDUAL ? 1 : 0;
    return given;
}

static fewbit_output output_of(const kind_row *k) {
    fewbit_output given = FEWBIT_OUTPUT_INIT;
    given.dtype = k->output;
    given.params.scale = 0.05f;
    given.params.zero_point = k->output == U8 ? 100 : k->output == S8 ? -5 : 0;
    if (k->output == F32 || k->output == F16 || k->output == BF16) {
        given.activation = k->mode == BY_ROW ? FEWBIT_ACTIVATION_GELU : FEWBIT_ACTIVATION_SIGMOID;
    }
    if (k->special & TABLE) {
        given.activation = FEWBIT_ACTIVATION_SILU;
        given.mode = FEWBIT_ACTIVATION_MODE_TABLE;
        given.table_params.scale = 0.04f;
    }
    given.quantization = k->special & FIXED     ? FEWBIT_OUTPUT_FIXED_POINT
                         : k->special & DYNAMIC ? FEWBIT_OUTPUT_DYNAMIC_PER_ROW
                                                : FEWBIT_OUTPUT_STATIC;
    given.scheme = k->output == U8 ? FEWBIT_SCHEME_AFFINE : FEWBIT_SCHEME_SYMMETRIC;
    return given;
}

static fewbit_linear_desc linear_of(const kind_row *k, const fewbit_allocator *allocator) {
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    desc.in_features = K;
    desc.out_features = N;
    desc.weights = weights(k, N);
    desc.weight_layout = k->special & KN ? FEWBIT_LAYOUT_KN : FEWBIT_LAYOUT_NK;
    desc.input = input_of(k);
    desc.bias = bias_of(k);
    desc.residual = residual_of(k);
    desc.output = output_of(k);
    desc.allocator = allocator;
    desc.matrices = matrices(k);
    return desc;
}

static fewbit_gemm_desc gemm_of(const kind_row *k, const fewbit_allocator *allocator) {
    fewbit_gemm_desc desc = FEWBIT_GEMM_DESC_INIT;
    desc.n = N;
    desc.k = K;
    desc.rhs = weights(k, N);
    desc.rhs_layout = k->special & KN ? FEWBIT_LAYOUT_KN : FEWBIT_LAYOUT_NK;
    desc.lhs_dtype = k->input;
    desc.matrices = matrices(k);
    desc.bias = bias_of(k);
    desc.output = output_of(k);
    desc.allocator = allocator;
    return desc;
}

static fewbit_conv_desc conv_of(const kind_row *k, const fewbit_allocator *allocator) {
    static const fewbit_conv_axis axes[3] = {{HEIGHT, 3, 2, 1, 1, 2}, {WIDTH, 3, 1, 2, 2, 1}, {DEPTH, 2, 1, 1, 1, 0}};
    const int planes = k->special & PLANES ? 1 : 0;
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    desc.spatial = k->special & LINE ? 1 : k->special & VOLUME ? 3 : 2;
    memcpy(desc.axes, axes, sizeof axes);
    desc.in_channels = CHANNELS;
    desc.out_channels = FILTERS_OF;
    desc.groups = k->special & DEPTHWISE ? CHANNELS : k->special & GROUPS ? 2 : 1;
    desc.layout = planes ? FEWBIT_LAYOUT_NCHW : FEWBIT_LAYOUT_NHWC;
    desc.filter_layout = k->of == TRANSPOSED ? (planes ? FEWBIT_FILTER_IOHW : FEWBIT_FILTER_IHWO)
                         : planes            ? FEWBIT_FILTER_OIHW
                                             : FEWBIT_FILTER_OHWI;
    desc.weights = weights(k, FILTERS_OF);
    desc.input = input_of(k);
    desc.bias = bias_of(k);
    desc.residual = residual_of(k);
    desc.output = output_of(k);
    desc.allocator = allocator;
    return desc;
}

static fewbit_status called(kind_calls *calls, const char *name, fewbit_status status) {
    size_t i = 0;
    if (calls == NULL) {
        return status;
    }
    while (i < calls->count && strcmp(calls->names[i], name) != 0) {
        i++;
    }
    if (i == KIND_CALLS) {
        abort();
    }
    if (i == calls->count) {
        calls->names[calls->count++] = name;
    }
    return status;
}

#define CALL(f, args) called(calls, #f, f args)

fewbit_status kind_create(size_t kind, const fewbit_allocator *allocator, any_plan *plan, kind_calls *calls,
                          fewbit_error *error) {
    static const size_t padding[3] = {1, 0, 0};
    const kind_row *k = &kinds[kind];
    const fewbit_linear_desc linear = linear_of(k, allocator);
    const fewbit_gemm_desc gemm = gemm_of(k, allocator);
    const fewbit_conv_desc conv = conv_of(k, allocator);
    any_plan made = {0, NULL, NULL, NULL};
    fewbit_status status;
    made.kind = kind;
    switch (k->of) {
    case LINEAR:
        status = CALL(fewbit_linear_create, (&linear, &made.linear, error));
        break;
    case GEMM:
        status = CALL(fewbit_gemm_create, (&gemm, &made.gemm, error));
        break;
    case CONV:
        status = CALL(fewbit_conv_create, (&conv, &made.conv, error));
        break;
    default:
        status = CALL(fewbit_conv_create_transposed, (&conv, padding, &made.conv, error));
    }
    if (status == FEWBIT_OK) {
        *plan = made;
    }
    return status;
}

fewbit_status kind_create_packed(size_t kind, const fewbit_allocator *allocator, const void *packed, size_t size,
                                 any_plan *plan, kind_calls *calls, fewbit_error *error) {
    const kind_row *k = &kinds[kind];
    fewbit_linear_desc linear = linear_of(k, allocator);
    fewbit_gemm_desc gemm = gemm_of(k, allocator);
    fewbit_conv_desc conv = conv_of(k, allocator);
    any_plan made = {0, NULL, NULL, NULL};
    fewbit_status status;
    made.kind = kind;
    linear.weights.data = gemm.rhs.data = conv.weights.data = NULL;
    linear.weights.scales = gemm.rhs.scales = conv.weights.scales = NULL;
    linear.weights.zero_points = gemm.rhs.zero_points = conv.weights.zero_points = NULL;
    linear.weights.scale_count = gemm.rhs.scale_count = conv.weights.scale_count = 0;
    linear.weights.zero_point_count = gemm.rhs.zero_point_count = conv.weights.zero_point_count = 0;
    switch (k->of) {
    case LINEAR:
        status = CALL(fewbit_linear_create_packed, (&linear, packed, size, &made.linear, error));
        break;
    case GEMM:
        status = CALL(fewbit_gemm_create_packed, (&gemm, packed, size, &made.gemm, error));
        break;
    default:
        status = CALL(fewbit_conv_create_packed, (&conv, packed, size, &made.conv, error));
    }
    if (status == FEWBIT_OK) {
        *plan = made;
    }
    return status;
}

fewbit_status kind_save(const any_plan *plan, void **packed, size_t *size, kind_calls *calls) {
    const kind_row *k = &kinds[plan->kind];
    fewbit_status status;
    *packed = NULL;
    status = k->of == LINEAR ? CALL(fewbit_linear_packed_size, (plan->linear, size, NULL))
             : k->of == GEMM ? CALL(fewbit_gemm_packed_size, (plan->gemm, size, NULL))
                             : CALL(fewbit_conv_packed_size, (plan->conv, size, NULL));
    if (status != FEWBIT_OK) {
        return status;
    }
    *packed = aligned_memory(*size, 64);
    return k->of == LINEAR ? CALL(fewbit_linear_save_packed, (plan->linear, *packed, *size, NULL))
           : k->of == GEMM ? CALL(fewbit_gemm_save_packed, (plan->gemm, *packed, *size, NULL))
                           : CALL(fewbit_conv_save_packed, (plan->conv, *packed, *size, NULL));
}

/* What a run is given. */
typedef struct one_run {
    const fewbit_parallel_for *threads;
    size_t workers, size;
    void *workspace;
    kind_result *result;
    kind_calls *calls;
} one_run;

static fewbit_status run_linear(const kind_row *k, const fewbit_linear *linear, one_run *g) {
    const void *x = input(k), *residual = k->special & RESIDUAL ? (const void *)reals : NULL;
    unsigned char *y = g->result->y;
    const size_t part = M * N * output_size(k);
    kind_calls *calls = g->calls;
    fewbit_linear_batch batch = FEWBIT_LINEAR_BATCH_INIT;
    fewbit_linear_problem problems[MATRICES] = {{2, M, NULL, K, NULL, N, NULL, N}, {0, M - 1, NULL, K, NULL, N, NULL, N},
                                                {2, 1, NULL, K, NULL, N, NULL, N}};
    fewbit_status status;
    size_t align, i;
    status = k->special & SEVERAL ? CALL(fewbit_linear_batch_workspace, (linear, M, g->workers, &g->size, &align, NULL))
             : k->special & LIST
                 ? CALL(fewbit_linear_grouped_workspace, (linear, MATRICES, 2 * M, g->workers, &g->size, &align, NULL))
                 : CALL(fewbit_linear_workspace, (linear, M, g->workers, &g->size, &align, NULL));
    if (status != FEWBIT_OK) {
        return status;
    }
    g->workspace = aligned_memory(g->size, align);
    if (k->special & SEVERAL) {
        batch.rows = M;
        batch.x = x;
        batch.x_stride = K;
        batch.x_batch_stride = K; /* neighbours share rows */
        batch.y = y;
        batch.y_stride = N;
        batch.y_batch_stride = M * N;
        batch.workspace = g->workspace;
        batch.workspace_size = g->size;
        return k->special & DYNAMIC ? CALL(fewbit_linear_run_batch_dynamic,
                                           (linear, &batch, g->result->scales, g->result->zero_points, g->threads, NULL))
                                    : CALL(fewbit_linear_run_batch, (linear, &batch, g->threads, NULL));
    }
    if (k->special & LIST) {
        for (i = 0; i < MATRICES; i++) {
            problems[i].x = x;
            problems[i].y = y + i * part;
        }
        return k->special & DYNAMIC
                   ? CALL(fewbit_linear_run_grouped_dynamic, (linear, problems, MATRICES, g->workspace, g->size,
                                                              g->result->scales, g->result->zero_points, g->threads, NULL))
                   : CALL(fewbit_linear_run_grouped, (linear, problems, MATRICES, g->workspace, g->size, g->threads, NULL));
    }
    if (k->special & DYNAMIC) {
        return CALL(fewbit_linear_run_dynamic, (linear, M, x, K, residual, N, g->workspace, g->size, g->threads, y, N,
                                                g->result->scales, g->result->zero_points, 0, M, NULL));
    }
    if (k->special & (RESIDUAL | RANGE)) {
        status = CALL(fewbit_linear_run_range, (linear, M, x, K, residual, N, g->workspace, g->size, g->threads, y, N, 0, M,
                                                0, 5, NULL));
        return status != FEWBIT_OK ? status
                                   : CALL(fewbit_linear_run_range, (linear, M, x, K, residual, N, g->workspace, g->size,
                                                                    g->threads, y, N, 0, M, 5, N, NULL));
    }
    return CALL(fewbit_linear_run, (linear, M, x, K, g->workspace, g->size, g->threads, y, N, NULL));
}

static fewbit_status run_gemm(const kind_row *k, const fewbit_gemm *gemm, one_run *g) {
    static const int32_t rows_zero_points[M] = {0, 1, 0, 1, 0};
    unsigned char *y = g->result->y;
    const size_t part = M * N * output_size(k), points = k->input == FEWBIT_B1 ? 0 : M;
    kind_calls *calls = g->calls;
    fewbit_gemm_args args = FEWBIT_GEMM_ARGS_INIT;
    fewbit_gemm_problem problems[MATRICES] = {{2, M, NULL, K, NULL, 0, NULL, 0, NULL, N},
                                              {0, M - 1, NULL, K, NULL, 1, NULL, 1, NULL, N},
                                              {2, 1, NULL, K, NULL, 1, NULL, 0, NULL, N}};
    fewbit_status status;
    size_t align, i;
    status = k->special & LIST
                 ? CALL(fewbit_gemm_grouped_workspace, (gemm, MATRICES, 2 * M, g->workers, &g->size, &align, NULL))
                 : CALL(fewbit_gemm_workspace, (gemm, M, g->workers, &g->size, &align, NULL));
    if (status != FEWBIT_OK) {
        return status;
    }
    g->workspace = aligned_memory(g->size, align);
    if (k->special & LIST) {
        for (i = 0; i < MATRICES; i++) {
            problems[i].lhs = codes;
            problems[i].lhs_scales = block_scales;
            problems[i].lhs_zero_points = rows_zero_points;
            problems[i].dst = y + i * part;
        }
        return k->special & DYNAMIC
                   ? CALL(fewbit_gemm_run_grouped_dynamic, (gemm, problems, MATRICES, g->workspace, g->size,
                                                            g->result->scales, g->result->zero_points, g->threads, NULL))
                   : CALL(fewbit_gemm_run_grouped, (gemm, problems, MATRICES, g->workspace, g->size, g->threads, NULL));
    }
    args.rows = M;
    args.lhs = codes;
    args.lhs_stride = K;
    args.lhs_batch_stride = K;
    args.lhs_scales = block_scales;
    args.lhs_scale_count = M;
    args.lhs_zero_points = rows_zero_points;
    args.lhs_zero_point_count = points;
    args.workspace = g->workspace;
    args.workspace_size = g->size;
    args.dst = y;
    args.dst_stride = N;
    args.dst_batch_stride = M * N;
    if (k->special & DYNAMIC) {
        return CALL(fewbit_gemm_run_dynamic, (gemm, &args, g->result->scales, g->result->zero_points, g->threads, NULL));
    }
    if (k->special & RANGE) {
        return CALL(fewbit_gemm_run_range, (gemm, &args, 1, M, 2, N, g->threads, NULL));
    }
    return CALL(fewbit_gemm_run, (gemm, &args, g->threads, NULL));
}

static fewbit_status run_conv(const kind_row *k, const fewbit_conv *conv, one_run *g) {
    const void *residual = k->special & RESIDUAL ? (const void *)reals : NULL;
    size_t align, elements = 0;
    kind_calls *calls = g->calls;
    fewbit_status status = CALL(fewbit_conv_workspace, (conv, BATCH, g->workers, &g->size, &align, NULL));
    if (status == FEWBIT_OK) {
        status = CALL(fewbit_conv_info, (conv, NULL, NULL, &elements, NULL, 0, NULL, NULL, NULL));
    }
    if (status != FEWBIT_OK) {
        return status;
    }
    if (BATCH * elements * output_size(k) > KIND_BYTES) {
        abort();
    }
    g->workspace = aligned_memory(g->size, align);
    if (k->special & DYNAMIC) {
        return CALL(fewbit_conv_run_dynamic, (conv, BATCH, input(k), residual, g->workspace, g->size, g->threads,
                                              g->result->y, g->result->scales, g->result->zero_points, NULL));
    }
    return CALL(fewbit_conv_run,
                (conv, BATCH, input(k), residual, g->workspace, g->size, g->threads, g->result->y, NULL));
}

fewbit_status kind_run(const any_plan *plan, const fewbit_parallel_for *threads, kind_result *result, kind_calls *calls) {
    const kind_row *k = &kinds[plan->kind];
    one_run g = {NULL, 1, 0, NULL, NULL, NULL};
    fewbit_status status;
    g.threads = threads;
    g.workers = threads == NULL ? 1 : threads->max_workers;
    g.result = result;
    g.calls = calls;
    memset(result, 0, sizeof *result);
    status = k->of == LINEAR ? run_linear(k, plan->linear, &g)
             : k->of == GEMM ? run_gemm(k, plan->gemm, &g)
                             : run_conv(k, plan->conv, &g);
    free(g.workspace);
    return status;
}

void kind_destroy(any_plan *plan) {
    fewbit_linear_destroy(plan->linear);
    fewbit_gemm_destroy(plan->gemm);
    fewbit_conv_destroy(plan->conv);
    memset(plan, 0, sizeof *plan);
}
