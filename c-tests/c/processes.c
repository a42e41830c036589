/* A process that forks after it has used the library, with plans alive and threads at work. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200112L
#endif
#include "kinds.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 4, MOST_KINDS = 64 };

static any_plan plans[MOST_KINDS];
static kind_result expected[MOST_KINDS];

/* Uses the parent's plans and makes its own; the number of what is wrong. */
static int use_all(const fewbit_parallel_for *threads) {
    static kind_result result;
    size_t kind;
    int wrong = 0;
    for (kind = 0; kind < kind_count(); kind++) {
        any_plan own;
        wrong += kind_run(&plans[kind], threads, &result, NULL) != FEWBIT_OK;
        wrong += memcmp(&result, &expected[kind], sizeof result) != 0;
        if (kind_create(kind, NULL, &own, NULL, NULL) != FEWBIT_OK) {
            wrong++;
            continue;
        }
        wrong += kind_run(&own, NULL, &result, NULL) != FEWBIT_OK;
        wrong += memcmp(&result, &expected[kind], sizeof result) != 0;
        kind_destroy(&own);
    }
    return wrong;
}

static int stop;

/* A thread that computes without end while its process forks. */
static void *busy(void *given) {
    kind_result *result = (kind_result *)malloc(sizeof(kind_result));
    size_t kind = 0;
    (void)given;
    while (!__sync_fetch_and_add(&stop, 0)) {
        any_plan own;
        if (kind_create(kind, NULL, &own, NULL, NULL) == FEWBIT_OK) {
            kind_run(&own, NULL, result, NULL);
            kind_destroy(&own);
        }
        kind = (kind + 1) % kind_count();
    }
    free(result);
    return NULL;
}

void test_processes(void) {
    harness_threads team = {3, NULL, NULL};
    const fewbit_parallel_for threads = parallel_for_of(&team);
    pthread_t other;
    pid_t children[CHILDREN];
    size_t kind, i;
    const int emulated = getenv("FEWBIT_TEST_EMULATED") != NULL;
    if (emulated) {
        printf("processes: threads of a forked process NOT COVERED under an emulator\n");
    }
    CHECK(kind_count() <= MOST_KINDS);
    kinds_prepare();
    for (kind = 0; kind < kind_count(); kind++) {
        CHECK_OK(kind_create(kind, NULL, &plans[kind], NULL, NULL));
        CHECK_OK(kind_run(&plans[kind], NULL, &expected[kind], NULL));
    }
    stop = 0;
    CHECK(pthread_create(&other, NULL, busy, NULL) == 0);
    fflush(stdout);
    for (i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            /* The child has this thread only; it may make others. */
            int wrong = use_all(i % 2 == 0 || emulated ? NULL : &threads);
            for (kind = 0; kind < kind_count(); kind++) {
                kind_destroy(&plans[kind]);
            }
            _exit(wrong == 0 ? 0 : 1);
        }
        CHECK(children[i] > 0);
    }
    CHECK(use_all(&threads) == 0);
    for (i = 0; i < CHILDREN; i++) {
        int status = -1;
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    __sync_fetch_and_add(&stop, 1);
    CHECK(pthread_join(other, NULL) == 0);
    for (kind = 0; kind < kind_count(); kind++) {
        kind_destroy(&plans[kind]);
    }
}
