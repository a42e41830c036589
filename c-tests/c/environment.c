/* Hostile floating-point environments: the same bytes, and the caller's state back, on the calling thread and on
 * the threads of a parallel_for. */
#include "check.h"

#include <math.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#define KNOWN_ENVIRONMENT 1
typedef struct environment {
    unsigned int mxcsr;
} environment;
static environment current(void) {
    environment e;
    e.mxcsr = _mm_getcsr();
    return e;
}
static void enter(environment e) {
    _mm_setcsr(e.mxcsr);
}
static const environment calm = {0x1F80};
static const environment hostile[] = {
    {0x1F80 | 0x8000},                   /* flush to zero */
    {0x1F80 | 0x0040},                   /* denormals are zero */
    {0x1F80 | 0x2000},                   /* round down */
    {0x1F80 | 0x4000},                   /* round up */
    {0x1F80 | 0x6000},                   /* round towards zero */
    {0x0000},                            /* every exception unmasked */
    {0x1F80 | 0x003F},                   /* every flag raised */
    {0x8040 | 0x6000 | 0x003F | 0x1F80}, /* all of it, masked */
    {0x8040 | 0x4000},                   /* flushing, up, unmasked */
};
#elif defined(__aarch64__)
#define KNOWN_ENVIRONMENT 1
typedef struct environment {
    uint64_t fpcr, fpsr;
} environment;
static environment current(void) {
    environment e;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(e.fpcr), "=r"(e.fpsr) : : "memory");
    return e;
}
static void enter(environment e) {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(e.fpcr), "r"(e.fpsr) : "memory");
}
static const environment calm = {0, 0};
static const environment hostile[] = {
    {1u << 24, 0},                                      /* flush to zero */
    {1u << 25, 0},                                      /* default NaN */
    {1u << 22, 0},                                      /* round up */
    {2u << 22, 0},                                      /* round down */
    {3u << 22, 0},                                      /* round towards zero */
    {0x9F00, 0},                                        /* every trap on, where there are traps */
    {0, 0x9F},                                          /* every flag raised */
    {1u << 26, 0},                                      /* alternative half precision */
    {(3u << 22) | (1u << 24) | (1u << 25) | (1u << 26), 0x9F}, /* all of it */
};
#else
#define KNOWN_ENVIRONMENT 0
#endif

#if KNOWN_ENVIRONMENT

enum { N = 67, BYTES = 1 << 15 };

typedef struct record {
    unsigned char bytes[BYTES];
    size_t used;
    long refused;
} record;

/* No checks in between: they may print, and printing may compute. */
static void *place(record *r, size_t size) {
    void *memory = r->bytes + r->used;
    r->used += (size + 7) & ~(size_t)7;
    if (r->used > BYTES) {
        abort();
    }
    return memory;
}

#define DO(call) (r->refused += (call) != FEWBIT_OK)

static float x[N];
static uint16_t halves[N];
static uint8_t bytes[N];
static int32_t sums[N];

static void fill(void) {
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
        bytes[i] = (uint8_t)random_bits(&state);
        sums[i] = (int32_t)random_bits(&state) >> (i % 32);
    }
    x[2] = NAN;
    x[6] = INFINITY;
    halves[3] = 1;
    halves[7] = 0x0200;
}

/* A plan of each kind of input, made before the environment changes and after. */
static void run_plans(record *r, const fewbit_parallel_for *threads, const float *input, const float *images,
                      void *memory, size_t size) {
    static const int32_t inputs[] = {FEWBIT_INPUT_STATIC, FEWBIT_INPUT_DYNAMIC_PER_ROW,
                                     FEWBIT_INPUT_DYNAMIC_PER_TENSOR};
    size_t i;
    for (i = 0; i < COUNT(inputs); i++) {
        fewbit_linear *linear = any_linear(inputs[i], i % 2 == 0 ? FEWBIT_F32 : FEWBIT_U8);
        fewbit_conv *conv = any_conv(inputs[i], i % 2 == 0 ? FEWBIT_S8 : FEWBIT_F32);
        DO(fewbit_linear_run(linear, LAYER_M, input, LAYER_K, memory, size, threads,
                             place(r, 4 * LAYER_M * LAYER_N), LAYER_N, NULL));
        DO(fewbit_linear_run_range(linear, LAYER_M, input, LAYER_K, NULL, 0, memory, size, threads,
                                   place(r, 4 * LAYER_M * LAYER_N), LAYER_N, 1, LAYER_M, 3, LAYER_N, NULL));
        DO(fewbit_conv_run(conv, IMAGES, images, NULL, memory, size, threads, place(r, 4 * IMAGES * 6 * 6 * FILTERS), NULL));
        fewbit_linear_destroy(linear);
        fewbit_conv_destroy(conv);
    }
}

static void run_all(record *r, const fewbit_parallel_for *threads, const float *input, const float *images,
                    void *memory, size_t size) {
    const fewbit_quant_params params = {0.7f, 5}, tiny = {1e-41f, 7}, small = {1e-40f, 0};
    const fewbit_shape shape = {sizeof(fewbit_shape), 2, {1, N}, {0, 0}};
    fewbit_tensor_quant spec = FEWBIT_TENSOR_QUANT_INIT;
    fewbit_moving_average average;
    fewbit_min_max range;
    memset(r, 0, sizeof *r);
    DO(fewbit_quantize_f32_s8(x, N, &params, (int8_t *)place(r, N)));
    DO(fewbit_quantize_f32_u8(x, N, &tiny, (uint8_t *)place(r, N)));
    DO(fewbit_dequantize_s8_f32((const int8_t *)bytes, N, &small, (float *)place(r, 4 * N)));
    DO(fewbit_dequantize_u8_f32(bytes, N, &tiny, (float *)place(r, 4 * N)));
    DO(fewbit_convert_f32_f16(x, N, (uint16_t *)place(r, 2 * N)));
    DO(fewbit_convert_f16_f32(halves, N, (float *)place(r, 4 * N)));
    DO(fewbit_convert_f32_bf16(x, N, (uint16_t *)place(r, 2 * N)));
    DO(fewbit_convert_bf16_f32(halves, N, (float *)place(r, 4 * N)));
    DO(fewbit_convert_f32_f8e4m3fn(x, N, 0, (uint8_t *)place(r, N)));
    DO(fewbit_convert_f8e4m3fn_f32(bytes, N, (float *)place(r, 4 * N)));
    DO(fewbit_convert_f32_f8e5m2(x, N, 1, (uint8_t *)place(r, N)));
    DO(fewbit_convert_f8e5m2_f32(bytes, N, (float *)place(r, 4 * N)));
    DO(fewbit_min_max_f32(x, N, (float *)place(r, 4), (float *)place(r, 4)));
    DO(fewbit_requantize_s32_s8(sums, N, 1.1e-7f, 5, (int8_t *)place(r, N)));
    DO(fewbit_requantize_s32_u8(sums, N, 1e-42f, 5, (uint8_t *)place(r, N)));
    DO(fewbit_requantize_fixed_s32_s8(sums, N, 1500000001, -9, FEWBIT_FIXED_DOUBLE, 5, (int8_t *)place(r, N)));
    DO(fewbit_fixed_multiplier(0.0123456789, (int32_t *)place(r, 4), (int32_t *)place(r, 4)));
    DO(fewbit_rescale_s8_s8((const int8_t *)bytes, N, &params, &params, (int8_t *)place(r, N)));
    DO(fewbit_rescale_u8_u8(bytes, N, &params, &params, (uint8_t *)place(r, N)));
    DO(fewbit_params_from_range(-1e-40f, 3e-39f, &spec, (fewbit_quant_params *)place(r, 8), NULL));
    {
        float *scale = (float *)place(r, 4);
        int32_t *zero_point = (int32_t *)place(r, 4);
        int8_t *q = (int8_t *)place(r, N);
        DO(fewbit_choose_params(x, &shape, &spec, scale, zero_point, 1, NULL));
        *scale = 1e-41f;
        *zero_point = -9;
        DO(fewbit_quantize(x, &shape, &spec, scale, zero_point, 1, NULL, q, &shape, NULL));
        DO(fewbit_dequantize(q, &shape, &spec, scale, zero_point, 1, NULL, (float *)place(r, 4 * N), &shape, NULL));
        spec.quotient = FEWBIT_QUOTIENT_MULTIPLY;
        spec.rounding = FEWBIT_ROUND_HALF_AWAY;
        DO(fewbit_quantize(x, &shape, &spec, scale, zero_point, 1, NULL, place(r, N), &shape, NULL));
        DO(fewbit_quantize_dynamic(x, &shape, &spec, scale, zero_point, 1, threads, place(r, N), &shape, NULL));
    }
    {
        /* A refusal whose sentence holds numbers. */
        fewbit_quant_params *unused = (fewbit_quant_params *)place(r, sizeof(fewbit_quant_params));
        fewbit_error *reason = (fewbit_error *)place(r, sizeof(fewbit_error));
        r->refused += fewbit_params_from_range(0.3f, 0.1f, &spec, unused, reason) == FEWBIT_OK;
    }
    DO(fewbit_min_max_init(&range));
    DO(fewbit_min_max_observe(x, N, &range));
    DO(fewbit_min_max_merge(&range, &range));
    memcpy(place(r, sizeof range), &range, sizeof range);
    DO(fewbit_moving_average_init(&average));
    DO(fewbit_moving_average_observe(x, 5, &average));
    DO(fewbit_moving_average_observe(x + 8, 1, &average));
    DO(fewbit_moving_average_observe(x + 9, 3, &average));
    DO(fewbit_moving_average_merge(&average, &average));
    DO(fewbit_moving_average_range(&average, (float *)place(r, 4), (float *)place(r, 4)));
    DO(fewbit_compare_f32(x, x + 1, N - 1, (fewbit_quality *)place(r, sizeof(fewbit_quality))));
    run_plans(r, threads, input, images, memory, size);
}

static record expected, given;
static environment workers_environment;
static long worker_changes;

static void become_hostile(void) {
    enter(workers_environment);
}

static void check_still_hostile(void) {
    const environment now = current();
    enter(calm);
    __sync_fetch_and_add(&worker_changes, memcmp(&now, &workers_environment, sizeof now) != 0);
}

/* A parallel_for that leaves another environment behind on the calling thread, tasks undone too. */
static void careless(void *ctx, size_t n, fewbit_task task, void *arg) {
    (void)ctx;
    enter(workers_environment);
    if (n > 1) {
        task(arg, 1, 0);
    }
}

void test_environment(void) {
    static float input[LAYER_M * LAYER_K], images[IMAGES * IMAGE_C * IMAGE_H * IMAGE_W];
    static unsigned char memory_bytes[1 << 20];
    void *memory = (void *)(((uintptr_t)memory_bytes + 63) & ~(uintptr_t)63);
    const size_t size = sizeof memory_bytes - 64;
    harness_threads threads = {3, become_hostile, check_still_hostile};
    const fewbit_parallel_for careless_for = {NULL, 1, careless};
    fewbit_parallel_for parallel_for;
    uint32_t state = 11;
    size_t i;
    fill();
    for (i = 0; i < COUNT(input); i++) {
        input[i] = random_real(&state, i % 3 == 0 ? 1e-38f : 4.0f);
    }
    for (i = 0; i < COUNT(images); i++) {
        images[i] = random_real(&state, i % 3 == 0 ? 1e-38f : 4.0f);
    }
    enter(calm);
    run_all(&expected, NULL, input, images, memory, size);
    CHECK(expected.refused == 0 && expected.used > 4000);
    enter(calm);
    for (i = 0; i < COUNT(hostile); i++) {
        environment before, after;
        enter(hostile[i]);
        before = current(); /* bits that the CPU lacks read as zero */
        run_all(&given, NULL, input, images, memory, size);
        after = current();
        enter(calm);
        CHECK_BYTES(&before, &after, sizeof before);
        CHECK_BYTES(&expected, &given, sizeof expected);

        /* On other threads, each with that environment. */
        workers_environment = before;
        worker_changes = 0;
        parallel_for = parallel_for_of(&threads);
        run_all(&given, &parallel_for, input, images, memory, size);
        after = current();
        enter(calm);
        CHECK_BYTES(&calm, &after, sizeof after);
        CHECK(worker_changes == 0);
        CHECK_BYTES(&expected, &given, sizeof expected);

        run_all(&given, &careless_for, input, images, memory, size);
        after = current();
        enter(calm);
        CHECK_BYTES(&calm, &after, sizeof after);
        CHECK_BYTES(&expected, &given, sizeof expected);
    }
    /* The control: this environment does change what unguarded code computes. */
    {
        volatile float third = 1.0f, three = 3.0f, down, up;
        enter(hostile[2]);
        down = third / three;
        enter(hostile[3]);
        up = third / three;
        enter(calm);
        CHECK(down != up);
    }
}

#else

void test_environment(void) {
    printf("floating-point environments: NOT COVERED on this architecture\n");
}

#endif
