/* Plans shared by threads, the caller's threads in a run, and callers that break their promises. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200112L
#endif
#include "kinds.h"

#include <pthread.h>

enum { MOST_WORKERS = 8, ROUNDS = 25, CROWD = 16, MOST_KINDS = 64 };

/* A parallel_for of threads: each takes the next index until there is none. */
typedef struct team {
    harness_threads *threads;
    fewbit_task task;
    void *arg;
    size_t n, next;
} team;

typedef struct member {
    team *of;
    size_t worker;
} member;

static void *work(void *given) {
    member *me = (member *)given;
    team *t = me->of;
    size_t index;
    if (t->threads->prepare != NULL) {
        t->threads->prepare();
    }
    while ((index = __sync_fetch_and_add(&t->next, 1)) < t->n) {
        t->task(t->arg, index, me->worker);
    }
    if (t->threads->finish != NULL) {
        t->threads->finish();
    }
    return NULL;
}

static void run_team(void *ctx, size_t n, fewbit_task task, void *arg) {
    team t;
    member members[MOST_WORKERS];
    pthread_t ids[MOST_WORKERS];
    size_t i;
    t.threads = (harness_threads *)ctx;
    t.task = task;
    t.arg = arg;
    t.n = n;
    t.next = 0;
    for (i = 0; i < t.threads->workers; i++) {
        members[i].of = &t;
        members[i].worker = i;
        if (pthread_create(&ids[i], NULL, work, &members[i]) != 0) {
            abort();
        }
    }
    for (i = 0; i < t.threads->workers; i++) {
        pthread_join(ids[i], NULL);
    }
}

fewbit_parallel_for parallel_for_of(harness_threads *threads) {
    fewbit_parallel_for parallel_for;
    parallel_for.ctx = threads;
    parallel_for.max_workers = threads->workers;
    parallel_for.run = run_team;
    parallel_for.min_operations = 1; /* small runs too */
    return parallel_for;
}

/* What every thread computes with the shared plans, with memory of its own. */
typedef struct shared {
    const fewbit_linear *linear;
    const fewbit_conv *conv;
    const float *rows, *images;
    const float *linear_expected, *conv_expected;
    long wrong;
} shared;

enum {
    LINEAR_SIZE = LAYER_M * LAYER_N,
    IMAGE = IMAGE_C * IMAGE_H * IMAGE_W,
    CONV_SIZE = IMAGES * 6 * 6 * FILTERS
};

static void *share(void *given) {
    shared *s = (shared *)given;
    float *linear = (float *)malloc(sizeof(float) * LINEAR_SIZE), *conv = (float *)malloc(sizeof(float) * CONV_SIZE);
    size_t align, linear_size = 0, conv_size = 0, round;
    long wrong = 0;
    void *linear_space, *conv_space;
    wrong += fewbit_linear_workspace(s->linear, LAYER_M, 1, &linear_size, &align, NULL) != FEWBIT_OK;
    linear_space = aligned_memory(linear_size, align);
    wrong += fewbit_conv_workspace(s->conv, IMAGES, 1, &conv_size, &align, NULL) != FEWBIT_OK;
    conv_space = aligned_memory(conv_size, align);
    for (round = 0; round < ROUNDS; round++) {
        memset(linear, 0x5A, sizeof(float) * LINEAR_SIZE);
        memset(conv, 0x5A, sizeof(float) * CONV_SIZE);
        wrong += fewbit_linear_run(s->linear, LAYER_M, s->rows, LAYER_K, linear_space, linear_size, NULL, linear,
                                   LAYER_N, NULL) != FEWBIT_OK;
        wrong += fewbit_conv_run(s->conv, IMAGES, s->images, NULL, conv_space, conv_size, NULL, conv, NULL) != FEWBIT_OK;
        wrong += memcmp(linear, s->linear_expected, sizeof(float) * LINEAR_SIZE) != 0;
        wrong += memcmp(conv, s->conv_expected, sizeof(float) * CONV_SIZE) != 0;
    }
    __sync_fetch_and_add(&s->wrong, wrong);
    free(linear);
    free(conv);
    free(linear_space);
    free(conv_space);
    return NULL;
}

/* Plans of every kind, made, shared, run and destroyed by a crowd at once. */
typedef struct crowd {
    const any_plan *plans;
    const kind_result *expected;
    size_t next;
    long wrong;
} crowd;

static void *jostle(void *given) {
    crowd *c = (crowd *)given;
    kind_result *result = (kind_result *)malloc(sizeof(kind_result));
    const size_t kinds = kind_count(), me = __sync_fetch_and_add(&c->next, 1);
    size_t i;
    long wrong = 0;
    for (i = 0; i < kinds; i++) {
        /* Half of them in step, the others each elsewhere. */
        const size_t kind = me % 2 == 0 ? i : (i + me * 3) % kinds;
        any_plan own;
        void *packed = NULL;
        size_t size = 0;
        wrong += kind_run(&c->plans[kind], NULL, result, NULL) != FEWBIT_OK;
        wrong += memcmp(result, &c->expected[kind], sizeof *result) != 0;
        if (kind_create(kind, NULL, &own, NULL, NULL) != FEWBIT_OK) {
            wrong++;
            continue;
        }
        wrong += kind_run(&own, NULL, result, NULL) != FEWBIT_OK;
        wrong += memcmp(result, &c->expected[kind], sizeof *result) != 0;
        kind_destroy(&own);
        if (kind_save(&c->plans[kind], &packed, &size, NULL) == FEWBIT_OK) {
            if (kind_create_packed(kind, NULL, packed, size, &own, NULL, NULL) == FEWBIT_OK) {
                wrong += kind_run(&own, NULL, result, NULL) != FEWBIT_OK;
                wrong += memcmp(result, &c->expected[kind], sizeof *result) != 0;
                kind_destroy(&own);
            } else {
                wrong++;
            }
        }
        free(packed);
    }
    __sync_fetch_and_add(&c->wrong, wrong);
    free(result);
    return NULL;
}

static void test_crowd(void) {
    static any_plan plans[MOST_KINDS];
    static kind_result expected[MOST_KINDS];
    pthread_t ids[CROWD];
    crowd c = {plans, expected, 0, 0};
    size_t kind, i;
    CHECK(kind_count() <= MOST_KINDS);
    kinds_prepare();
    for (kind = 0; kind < kind_count(); kind++) {
        CHECK_OK(kind_create(kind, NULL, &plans[kind], NULL, NULL));
        CHECK_OK(kind_run(&plans[kind], NULL, &expected[kind], NULL));
    }
    for (i = 0; i < CROWD; i++) {
        CHECK(pthread_create(&ids[i], NULL, jostle, &c) == 0);
    }
    for (i = 0; i < CROWD; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    CHECK(c.wrong == 0 && c.next == CROWD);
    for (kind = 0; kind < kind_count(); kind++) {
        kind_destroy(&plans[kind]);
    }
}

/* Callers whose `run` does not do what it promises: memory stays safe, and the results right. */
static void backwards(void *ctx, size_t n, fewbit_task task, void *arg) {
    (void)ctx;
    while (n-- > 0) {
        task(arg, n, n % 2);
    }
}

static void nothing(void *ctx, size_t n, fewbit_task task, void *arg) {
    (void)ctx;
    (void)n;
    (void)task;
    (void)arg;
}

static void twice(void *ctx, size_t n, fewbit_task task, void *arg) {
    backwards(ctx, n, task, arg);
    backwards(ctx, n, task, arg);
}

static void out_of_range(void *ctx, size_t n, fewbit_task task, void *arg) {
    (void)ctx;
    task(arg, n, 0);
    task(arg, SIZE_MAX, 0);
    task(arg, 0, 2);
    task(arg, 0, SIZE_MAX);
    if (n > 1) {
        task(arg, 1, 1);
    }
}

void test_threads(void) {
    static float rows[LAYER_M * LAYER_K], images[IMAGES * IMAGE], linear_expected[LINEAR_SIZE];
    static float conv_expected[CONV_SIZE], y[CONV_SIZE];
    static void (*const callers[])(void *, size_t, fewbit_task, void *) = {backwards, nothing, twice, out_of_range, NULL};
    fewbit_linear *linear = any_linear(FEWBIT_INPUT_DYNAMIC_PER_TENSOR, FEWBIT_F32);
    fewbit_conv *conv = any_conv(FEWBIT_INPUT_DYNAMIC_PER_ROW, FEWBIT_F32);
    harness_threads threads = {0, NULL, NULL};
    fewbit_parallel_for parallel_for;
    pthread_t ids[4];
    shared s;
    uint32_t state = 21;
    size_t i, size = 0;
    void *memory;
    for (i = 0; i < COUNT(rows); i++) {
        rows[i] = random_real(&state, 3.0f);
    }
    for (i = 0; i < COUNT(images); i++) {
        images[i] = random_real(&state, 3.0f);
    }
    memset(linear_expected, 0x5A, sizeof linear_expected);
    memset(conv_expected, 0x5A, sizeof conv_expected);
    memory = linear_memory(linear, LAYER_M, 1, &size);
    CHECK_OK(fewbit_linear_run(linear, LAYER_M, rows, LAYER_K, memory, size, NULL, linear_expected, LAYER_N, NULL));
    free(memory);
    memory = conv_memory(conv, IMAGES, 1, &size);
    CHECK_OK(fewbit_conv_run(conv, IMAGES, images, NULL, memory, size, NULL, conv_expected, NULL));
    free(memory);

    s.linear = linear;
    s.conv = conv;
    s.rows = rows;
    s.images = images;
    s.linear_expected = linear_expected;
    s.conv_expected = conv_expected;
    s.wrong = 0;
    for (i = 0; i < COUNT(ids); i++) {
        CHECK(pthread_create(&ids[i], NULL, share, &s) == 0);
    }
    for (i = 0; i < COUNT(ids); i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    CHECK(s.wrong == 0);

    for (threads.workers = 1; threads.workers <= MOST_WORKERS; threads.workers++) {
        parallel_for = parallel_for_of(&threads);
        memory = linear_memory(linear, LAYER_M, threads.workers, &size);
        memset(y, 0x5A, sizeof y);
        CHECK_OK(fewbit_linear_run(linear, LAYER_M, rows, LAYER_K, memory, size, &parallel_for, y, LAYER_N, NULL));
        CHECK_BYTES(linear_expected, y, sizeof linear_expected);
        free(memory);
        memory = conv_memory(conv, IMAGES, threads.workers, &size);
        memset(y, 0x5A, sizeof y);
        CHECK_OK(fewbit_conv_run(conv, IMAGES, images, NULL, memory, size, &parallel_for, y, NULL));
        CHECK_BYTES(conv_expected, y, sizeof conv_expected);
        free(memory);
    }
    for (i = 0; i < COUNT(callers); i++) {
        parallel_for.ctx = NULL;
        parallel_for.max_workers = 2;
        parallel_for.run = callers[i];
        memory = linear_memory(linear, LAYER_M, 2, &size);
        memset(y, 0x5A, sizeof y);
        CHECK_OK(fewbit_linear_run(linear, LAYER_M, rows, LAYER_K, memory, size, &parallel_for, y, LAYER_N, NULL));
        CHECK_BYTES(linear_expected, y, sizeof linear_expected);
        free(memory);
        memory = conv_memory(conv, IMAGES, 2, &size);
        memset(y, 0x5A, sizeof y);
        CHECK_OK(fewbit_conv_run(conv, IMAGES, images, NULL, memory, size, &parallel_for, y, NULL));
        CHECK_BYTES(conv_expected, y, sizeof conv_expected);
        free(memory);
    }
    fewbit_linear_destroy(linear);
    fewbit_conv_destroy(conv);
    test_crowd();
}
