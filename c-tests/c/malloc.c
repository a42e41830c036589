/* The C library's own allocator failing at every call of every create call: the program is linked with `--wrap`, so that
 * malloc and free are these. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200112L
#endif
#include "kinds.h"

#ifdef __cplusplus
extern "C" {
#endif
void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void __wrap_free(void *memory);
#ifdef __cplusplus
}
#endif

static long calls, live, refused, refuse = -1;
static int counting, failures;

void *__wrap_malloc(size_t size) {
    if (!counting) {
        return __real_malloc(size);
    }
    if (calls++ == refuse) {
        refused++;
        return NULL;
    }
    live++;
    return __real_malloc(size);
}

void __wrap_free(void *memory) {
    live -= counting && memory != NULL;
    __real_free(memory);
}

void check_that(int ok, const char *file, int line, const char *what) {
    if (!ok) {
        failures++;
        printf("%s:%d: failed: %s\n", file, line, what);
    }
}

void check_status(fewbit_status expected, fewbit_status given, const char *file, int line, const char *what) {
    check_that(expected == given, file, line, what);
}

void *aligned_memory(size_t size, size_t align) {
    void *memory = NULL;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size == 0 ? 1 : size) != 0) {
        exit(2);
    }
    return memory;
}

uint32_t random_bits(uint32_t *state) {
    return *state = *state * 1664525 + 1013904223;
}

float random_real(uint32_t *state, float range) {
    return (float)(random_bits(state) >> 16) * (range / 65536.0f);
}

int main(void) {
    size_t kind;
    kinds_prepare();
    for (kind = 0; kind < kind_count(); kind++) {
        any_plan plan = {0, NULL, NULL, NULL};
        fewbit_status status = FEWBIT_ERROR_OUT_OF_MEMORY;
        for (refuse = 0; status == FEWBIT_ERROR_OUT_OF_MEMORY && refuse < 100; refuse++) {
            calls = 0;
            counting = 1;
            status = kind_create(kind, NULL, &plan, NULL, NULL);
            counting = 0;
            CHECK(status == FEWBIT_OK || (status == FEWBIT_ERROR_OUT_OF_MEMORY && live == 0 && plan.linear == NULL));
        }
        CHECK_OK(status);
        CHECK(calls > 1 && live > 0 && live <= calls);
        counting = 1;
        kind_destroy(&plan);
        counting = 0;
        CHECK(live == 0);
    }
    printf("malloc: %ld refusals\n", refused);
    CHECK(refused > 100);
    return failures != 0;
}
