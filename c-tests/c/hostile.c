/* Calls of every function, with inputs to which flushing, rounding and traps matter. */
#include "hostile.h"

#include <math.h>

enum { N = 67, ROWS = 3, IMAGE = IMAGE_C * IMAGE_H * IMAGE_W };

static float x[N], wide[ROWS * 64], input[LAYER_M * LAYER_K], images[IMAGES * IMAGE];
static uint16_t halves[N];
static uint8_t bytes[IMAGES * IMAGE];
static int32_t sums[N];

static void *place(record *r, size_t size) {
    void *memory = r->bytes + r->used;
    r->used += (size + 7) & ~(size_t)7;
    if (r->used > RECORD_BYTES) {
        abort();
    }
    return memory;
}

static void note(record *r, const char *name) {
    size_t i;
    for (i = 0; i < r->called && strcmp(r->names[i], name) != 0; i++) {
    }
    if (i == r->called && i < RECORD_CALLS) {
        r->names[r->called++] = name;
    }
}

#define DO(f, args) (note(r, #f), r->refused += (f args) != FEWBIT_OK)
#define FLOATS(n) ((float *)place(r, 4 * (n)))
#define WORDS(n) ((int32_t *)place(r, 4 * (n)))
#define HALVES(n) ((uint16_t *)place(r, 2 * (n)))
#define SIGNED(n) ((int8_t *)place(r, (n)))
#define BYTES(n) ((uint8_t *)place(r, (n)))
#define SIZES(n) ((size_t *)place(r, sizeof(size_t) * (n)))

void hostile_prepare(void) {
    uint32_t state = 3, bits;
    size_t i;
    for (i = 0; i < N; i++) {
        /* Every fourth subnormal, every fourth a tie, the others of any size. */
        bits = random_bits(&state);
        bits = i % 4 == 0 ? (bits & 0x807FFFFF) : i % 4 == 1 ? 0 : (bits & 0xBFFFFFFF) | 0x20000000;
        memcpy(&x[i], &bits, sizeof bits);
        if (i % 4 == 1) {
            x[i] = (float)((int)i - 30) + 0.5f;
        }
        halves[i] = (uint16_t)random_bits(&state);
        sums[i] = (int32_t)random_bits(&state) >> (i % 32);
    }
    x[2] = NAN;
    x[6] = INFINITY;
    halves[3] = 1;
    halves[7] = 0x0200;
    for (i = 0; i < COUNT(bytes); i++) {
        bytes[i] = (uint8_t)random_bits(&state);
    }
    for (i = 0; i < COUNT(wide); i++) {
        wide[i] = random_real(&state, i % 5 == 0 ? 1e-38f : 9.0f);
    }
    for (i = 0; i < COUNT(input); i++) {
        input[i] = random_real(&state, i % 3 == 0 ? 1e-38f : 4.0f);
    }
    for (i = 0; i < COUNT(images); i++) {
        images[i] = random_real(&state, i % 3 == 0 ? 1e-38f : 4.0f);
    }
    kinds_prepare();
}

static void run_arrays(record *r) {
    const fewbit_quant_params params = {0.7f, 5}, tiny = {1e-41f, 7}, small = {1e-40f, 0};
    DO(fewbit_quantize_f32_s8, (x, N, &params, SIGNED(N)));
    DO(fewbit_quantize_f32_u8, (x, N, &tiny, BYTES(N)));
    DO(fewbit_dequantize_s8_f32, ((const int8_t *)bytes, N, &small, FLOATS(N)));
    DO(fewbit_dequantize_u8_f32, (bytes, N, &tiny, FLOATS(N)));
    DO(fewbit_convert_f32_f16, (x, N, HALVES(N)));
    DO(fewbit_convert_f16_f32, (halves, N, FLOATS(N)));
    DO(fewbit_convert_f32_bf16, (x, N, HALVES(N)));
    DO(fewbit_convert_bf16_f32, (halves, N, FLOATS(N)));
    DO(fewbit_convert_f32_f8e4m3fn, (x, N, 0, BYTES(N)));
    DO(fewbit_convert_f8e4m3fn_f32, (bytes, N, FLOATS(N)));
    DO(fewbit_convert_f32_f8e5m2, (x, N, 1, BYTES(N)));
    DO(fewbit_convert_f8e5m2_f32, (bytes, N, FLOATS(N)));
    DO(fewbit_min_max_f32, (x, N, FLOATS(1), FLOATS(1)));
    DO(fewbit_absmax_f32, (wide, COUNT(wide), FLOATS(1)));
    DO(fewbit_row_sums_f32, (wide, ROWS, 61, 64, FLOATS(ROWS)));
    DO(fewbit_row_sums_s8, ((const int8_t *)bytes, ROWS, 20, 23, WORDS(ROWS)));
    DO(fewbit_row_sums_u8, (bytes, ROWS, 20, 23, WORDS(ROWS)));
    DO(fewbit_half_hazards_f32, (x, N, (fewbit_half_hazards *)place(r, sizeof(fewbit_half_hazards))));
    DO(fewbit_requantize_s32_s8, (sums, N, 1.1e-7f, 5, SIGNED(N)));
    DO(fewbit_requantize_s32_u8, (sums, N, 1e-42f, 5, BYTES(N)));
    DO(fewbit_requantize_fixed_s32_s8, (sums, N, 1500000001, -9, FEWBIT_FIXED_DOUBLE, 5, SIGNED(N)));
    DO(fewbit_requantize_fixed_s32_u8, (sums, N, 1500000001, -9, FEWBIT_FIXED_SINGLE, 5, BYTES(N)));
    DO(fewbit_fixed_multiplier, (0.0123456789, WORDS(1), WORDS(1)));
    DO(fewbit_rescale_s8_s8, ((const int8_t *)bytes, N, &params, &params, SIGNED(N)));
    DO(fewbit_rescale_u8_u8, (bytes, N, &tiny, &small, BYTES(N)));
    DO(fewbit_pack, ((const int8_t *)"\1\0\1\1\0", 5, FEWBIT_U1, 1, BYTES(1)));
    DO(fewbit_unpack, (bytes, N, FEWBIT_S4, SIGNED(N)));
}

static void run_blocks(record *r) {
    static const int32_t gguf[] = {FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0, FEWBIT_GGUF_Q5_1, FEWBIT_GGUF_Q8_0};
    static const int32_t mx[] = {FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4, FEWBIT_MXINT8};
    size_t i, size = 0, *scale_count, *elements;
    for (i = 0; i < COUNT(gguf); i++) {
        void *blocks;
        DO(fewbit_gguf_size, (gguf[i], 64, SIZES(1)));
        memcpy(&size, r->bytes + r->used - sizeof size, sizeof size);
        blocks = place(r, size);
        DO(fewbit_gguf_quantize, (gguf[i], i % 2 == 0 ? wide : x, 64, blocks));
        DO(fewbit_gguf_dequantize, (gguf[i], blocks, 64, FLOATS(64)));
        DO(fewbit_gguf_dequantize, (gguf[i], bytes, 64, FLOATS(64))); /* scales of any bits */
        if (gguf[i] != FEWBIT_GGUF_Q4_1 && gguf[i] != FEWBIT_GGUF_Q5_1) {
            DO(fewbit_gguf_quantize, (gguf[i], wide, 64, blocks));
            DO(fewbit_gguf_unpack, (gguf[i], blocks, 64, BYTES(64), FLOATS(2), WORDS(2)));
        }
    }
    for (i = 0; i < COUNT(mx); i++) {
        scale_count = SIZES(1);
        elements = SIZES(1);
        DO(fewbit_mx_size, (mx[i], N, scale_count, elements));
        DO(fewbit_mx_quantize, (mx[i], x, N, BYTES(*scale_count), place(r, *elements)));
        DO(fewbit_mx_dequantize, (mx[i], bytes, bytes + 8, N, FLOATS(N)));
    }
    DO(fewbit_nvfp4_tensor_scale, (3.7f, FLOATS(1)));
    scale_count = SIZES(1);
    elements = SIZES(1);
    DO(fewbit_nvfp4_size, (N, scale_count, elements));
    DO(fewbit_nvfp4_quantize, (0.013f, x, N, BYTES(*scale_count), place(r, *elements)));
    DO(fewbit_nvfp4_dequantize, (0.013f, bytes, bytes + 8, N, FLOATS(N)));
}

static void run_tensors(record *r, const fewbit_parallel_for *threads) {
    static const int32_t multipliers[1] = {1500000001}, shifts[1] = {-9};
    const fewbit_shape shape = {sizeof(fewbit_shape), 2, {1, N}, {0, 0}};
    const float multiplier = 1.1e-7f;
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    float *scale = FLOATS(1);
    int32_t *zero_point = WORDS(1);
    int8_t *q = SIGNED(N);
    fewbit_quant_params *unused = (fewbit_quant_params *)place(r, sizeof(fewbit_quant_params));
    fewbit_error *reason = (fewbit_error *)place(r, sizeof(fewbit_error));
    DO(fewbit_params_from_range, (-1e-40f, 3e-39f, &spec, (fewbit_quant_params *)place(r, 8), NULL));
    DO(fewbit_param_count, (&shape, &spec, SIZES(1), NULL));
    DO(fewbit_choose_params, (x, &shape, &spec, scale, zero_point, 1, NULL));
    *scale = 1e-41f;
    *zero_point = -9;
    DO(fewbit_quantize, (x, &shape, &spec, scale, zero_point, 1, threads, q, &shape, NULL));
    DO(fewbit_dequantize, (q, &shape, &spec, scale, zero_point, 1, threads, FLOATS(N), &shape, NULL));
    DO(fewbit_fake_quantize, (x, &shape, &spec, scale, zero_point, 1, threads, FLOATS(N), &shape, NULL));
    spec.quotient = FEWBIT_QUOTIENT_MULTIPLY;
    spec.rounding = FEWBIT_ROUND_HALF_AWAY;
    DO(fewbit_quantize, (x, &shape, &spec, scale, zero_point, 1, threads, place(r, N), &shape, NULL));
    DO(fewbit_quantize_dynamic, (x, &shape, &spec, scale, zero_point, 1, threads, place(r, N), &shape, NULL));
    /* A refusal whose sentence holds numbers. */
    r->refused += fewbit_params_from_range(0.3f, 0.1f, &spec, unused, reason) == FEWBIT_OK;
    spec.quotient = FEWBIT_QUOTIENT_DIVIDE;
    spec.rounding = FEWBIT_ROUND_HALF_EVEN;
    DO(fewbit_requantize, (sums, &shape, &spec, &multiplier, zero_point, 1, threads, place(r, N), &shape, NULL));
    DO(fewbit_requantize_fixed, (sums, &shape, &spec, multipliers, shifts, FEWBIT_FIXED_SINGLE, zero_point, 1, threads,
                                 place(r, N), &shape, NULL));
}

static void run_rows(record *r, const fewbit_parallel_for *threads) {
    const fewbit_shape shape = {sizeof(fewbit_shape), 2, {ROWS, 61}, {64, 1}}, dense = {sizeof(fewbit_shape), 2, {ROWS, 61}, {0, 0}};
    const fewbit_quant_params params = {0.004f, -128}, tiny = {1e-40f, 3};
    const size_t n = ROWS * 61;
    DO(fewbit_softmax, (wide, &shape, FEWBIT_F32, NULL, threads, FLOATS(n), &dense, FEWBIT_F32, NULL, NULL));
    DO(fewbit_log_softmax, (wide, &shape, FEWBIT_F32, NULL, threads, HALVES(n), &dense, FEWBIT_F16, NULL, NULL));
    DO(fewbit_softmax, (bytes, &dense, FEWBIT_S8, &params, threads, SIGNED(n), &dense, FEWBIT_S8, &params, NULL));
    DO(fewbit_layer_norm, (wide, &shape, FEWBIT_F32, NULL, wide, wide + 64, 1e-41f, threads, FLOATS(n), &dense, FEWBIT_F32,
                           NULL, NULL));
    DO(fewbit_rms_norm, (wide, &shape, FEWBIT_F32, NULL, NULL, wide, 1e-5f, threads, SIGNED(n), &dense, FEWBIT_S8, &params,
                         NULL));
    DO(fewbit_rms_norm, (bytes, &dense, FEWBIT_U8, &tiny, NULL, NULL, 0.0f, threads, HALVES(n), &dense, FEWBIT_BF16, NULL,
                         NULL));
}

static void run_observers(record *r) {
    fewbit_moving_average average;
    fewbit_min_max range;
    DO(fewbit_min_max_init, (&range));
    DO(fewbit_min_max_observe, (x, N, &range));
    DO(fewbit_min_max_merge, (&range, &range));
    memcpy(place(r, sizeof range), &range, sizeof range);
    DO(fewbit_moving_average_init, (&average));
    DO(fewbit_moving_average_observe, (x, 5, &average));
    DO(fewbit_moving_average_observe, (x + 8, 1, &average));
    DO(fewbit_moving_average_observe, (x + 9, 3, &average));
    DO(fewbit_moving_average_merge, (&average, &average));
    DO(fewbit_moving_average_range, (&average, FLOATS(1), FLOATS(1)));
    DO(fewbit_compare_f32, (x, x + 1, N - 1, (fewbit_quality *)place(r, sizeof(fewbit_quality))));
}

static void run_between(record *r, const fewbit_parallel_for *threads) {
    const fewbit_quant_params params = {1e-40f, 3};
    fewbit_pool_desc pool = FEWBIT_POOL_DESC_INIT;
    fewbit_binary_desc binary = FEWBIT_BINARY_DESC_INIT;
    fewbit_concat_piece pieces[2] = {{NULL, 5, {3e-40f, 9}}, {NULL, 4, {1e-39f, -7}}};
    pool.channels = IMAGE_C;
    pool.axes[0].size = IMAGE_H;
    pool.axes[1].size = IMAGE_W;
    pool.axes[0].kernel = pool.axes[1].kernel = 3;
    pool.axes[0].pad_begin = pool.axes[1].pad_end = 1;
    pool.x_params.scale = 3e-39f;
    pool.y_params.scale = 2.3e-39f;
    pool.y_params.zero_point = -5;
    DO(fewbit_pool_dims, (&pool, SIZES(3), SIZES(1), SIZES(1), NULL));
    DO(fewbit_max_pool, (&pool, IMAGES, bytes, threads, place(r, COUNT(bytes)), NULL));
    DO(fewbit_average_pool, (&pool, IMAGES, bytes, threads, place(r, COUNT(bytes)), NULL));
    DO(fewbit_global_max_pool, (&pool, IMAGES, bytes, threads, place(r, IMAGES * IMAGE_C), NULL));
    DO(fewbit_global_average_pool, (&pool, IMAGES, bytes, threads, place(r, IMAGES * IMAGE_C), NULL));
    binary.rows = 4;
    binary.columns = 20;
    binary.b_rows = 2;
    binary.b_columns = 20;
    binary.a.scale = 1e-20f;
    binary.b.scale = 3e-20f;
    binary.y.scale = 7e-20f;
    DO(fewbit_add, (&binary, bytes, bytes + 100, threads, place(r, 80), NULL));
    binary.fixed_point = 1;
    DO(fewbit_add, (&binary, bytes, bytes + 100, threads, place(r, 80), NULL));
    binary.y.scale = 1e-38f;
    DO(fewbit_multiply, (&binary, bytes, bytes + 100, threads, place(r, 80), NULL));
    binary.fixed_point = 0;
    DO(fewbit_multiply, (&binary, bytes, bytes + 100, threads, place(r, 80), NULL));
    pieces[0].x = bytes;
    pieces[1].x = bytes + 64;
    DO(fewbit_concat, (pieces, 2, 2, 3, FEWBIT_S8, &params, threads, place(r, 54), NULL));
}

/* The plans of the other parts, whose inputs are mostly subnormal here. */
static void run_subnormal(record *r, const fewbit_parallel_for *threads, void *memory, size_t size) {
    static const int32_t inputs[] = {FEWBIT_INPUT_STATIC, FEWBIT_INPUT_DYNAMIC_PER_ROW,
                                     FEWBIT_INPUT_DYNAMIC_PER_TENSOR};
    size_t i;
    for (i = 0; i < COUNT(inputs); i++) {
        fewbit_linear *linear = any_linear(inputs[i], i % 2 == 0 ? FEWBIT_F32 : FEWBIT_U8);
        fewbit_conv *conv = any_conv(inputs[i], i % 2 == 0 ? FEWBIT_S8 : FEWBIT_F32);
        DO(fewbit_linear_run, (linear, LAYER_M, input, LAYER_K, memory, size, threads, place(r, 4 * LAYER_M * LAYER_N),
                               LAYER_N, NULL));
        DO(fewbit_linear_run_range, (linear, LAYER_M, input, LAYER_K, NULL, 0, memory, size, threads,
                                     place(r, 4 * LAYER_M * LAYER_N), LAYER_N, 1, LAYER_M, 3, LAYER_N, NULL));
        DO(fewbit_conv_run, (conv, IMAGES, images, NULL, memory, size, threads, place(r, 4 * IMAGES * 6 * 6 * FILTERS),
                             NULL));
        fewbit_linear_destroy(linear);
        fewbit_conv_destroy(conv);
    }
}

static void describe(record *r, const any_plan *plan) {
    fewbit_plan_info info = FEWBIT_PLAN_INFO_INIT;
    if (plan->linear != NULL) {
        DO(fewbit_linear_describe, (plan->linear, &info, NULL));
        DO(fewbit_linear_info, (plan->linear, NULL, 0, (int64_t *)place(r, 8), SIZES(1), NULL));
    } else if (plan->gemm != NULL) {
        DO(fewbit_gemm_describe, (plan->gemm, &info, NULL));
    } else {
        DO(fewbit_conv_describe, (plan->conv, &info, NULL));
    }
    memcpy(place(r, sizeof info), &info, sizeof info);
}

/* Plans of every kind, made here, run, saved, and made again of what was saved. */
static void run_kinds(record *r, const fewbit_parallel_for *threads) {
    kind_calls calls = {{NULL}, 0};
    size_t kind, size = 0, i;
    for (kind = 0; kind < kind_count(); kind++) {
        any_plan plan, again;
        void *packed;
        fewbit_status status = kind_create(kind, NULL, &plan, &calls, NULL);
        r->refused += status != FEWBIT_OK;
        if (status != FEWBIT_OK) {
            continue;
        }
        r->refused += kind_run(&plan, threads, (kind_result *)place(r, sizeof(kind_result)), &calls) != FEWBIT_OK;
        describe(r, &plan);
        if (kind_save(&plan, &packed, &size, &calls) == FEWBIT_OK) {
            memcpy(place(r, size), packed, size);
            status = kind_create_packed(kind, NULL, packed, size, &again, &calls, NULL);
            r->refused += status != FEWBIT_OK;
            if (status == FEWBIT_OK) {
                r->refused += kind_run(&again, threads, (kind_result *)place(r, sizeof(kind_result)), &calls) != FEWBIT_OK;
                kind_destroy(&again);
            }
        }
        free(packed);
        kind_destroy(&plan);
    }
    for (i = 0; i < calls.count; i++) {
        note(r, calls.names[i]);
    }
}

void run_all(record *r, const fewbit_parallel_for *threads) {
    static unsigned char memory_bytes[1 << 20];
    void *memory = (void *)(((uintptr_t)memory_bytes + 63) & ~(uintptr_t)63);
    memset(r, 0, sizeof *r);
    run_arrays(r);
    run_blocks(r);
    run_tensors(r, threads);
    run_rows(r, threads);
    run_observers(r);
    run_between(r, threads);
    run_subnormal(r, threads, memory, sizeof memory_bytes - 64);
    run_kinds(r, threads);
}
