/* Hostile floating-point environments: the same bytes, and the caller's state back, on the calling thread and on
 * the threads of a parallel_for. */
#include "hostile.h"

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
    harness_threads threads = {3, become_hostile, check_still_hostile};
    const fewbit_parallel_for careless_for = {NULL, 1, careless, 1};
    fewbit_parallel_for parallel_for;
    size_t i;
    hostile_prepare();
    enter(calm);
    run_all(&expected, NULL);
    CHECK(expected.refused == 0 && expected.used > 500000);
    for (i = 0; i < expected.called; i++) {
        covered(expected.names[i], "-", "hostile");
    }
    enter(calm);
    for (i = 0; i < COUNT(hostile); i++) {
        environment before, after;
        enter(hostile[i]);
        before = current(); /* bits that the CPU lacks read as zero */
        run_all(&given, NULL);
        after = current();
        enter(calm);
        CHECK_BYTES(&before, &after, sizeof before);
        CHECK_BYTES(expected.bytes, given.bytes, sizeof expected.bytes);
        CHECK(given.refused == 0);

        /* On other threads, each with that environment. */
        workers_environment = before;
        worker_changes = 0;
        parallel_for = parallel_for_of(&threads);
        run_all(&given, &parallel_for);
        after = current();
        enter(calm);
        CHECK_BYTES(&calm, &after, sizeof after);
        CHECK(worker_changes == 0);
        CHECK_BYTES(expected.bytes, given.bytes, sizeof expected.bytes);
        CHECK(given.refused == 0);

        run_all(&given, &careless_for);
        after = current();
        enter(calm);
        CHECK_BYTES(&calm, &after, sizeof after);
        CHECK_BYTES(expected.bytes, given.bytes, sizeof expected.bytes);
        CHECK(given.refused == 0);
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
