/* Memory that runs out at every allocation of every create call: an error, nothing lost, the output untouched. */
#include "kinds.h"

/* A caller's allocator that counts what it gave and refuses one call, or all from some call on. */
typedef struct counter {
    long live, calls, refused, from, to;
} counter;

static void *counted(void *ctx, size_t size) {
    counter *state = (counter *)ctx;
    void *memory;
    long call = state->calls++;
    if (call >= state->from && call < state->to) {
        state->refused++;
        return NULL;
    }
    /* Aligned to 16 and no more, and full of what nobody expects. */
    memory = aligned_memory(size + 16, 64);
    memset(memory, 0xEE, size + 16);
    CHECK(size > 0);
    state->live++;
    return (unsigned char *)memory + 16;
}

static void released(void *ctx, void *memory) {
    ((counter *)ctx)->live--;
    CHECK(memory != NULL);
    free((unsigned char *)memory - 16);
}

/* How many allocations a create call makes, each of which was refused once alone and once with all behind it. */
static long refuse_each(size_t kind, const void *packed, size_t size, counter *state, const kind_result *expected) {
    static kind_result result;
    fewbit_allocator allocator = {NULL, counted, released};
    fewbit_error error;
    any_plan plan, before;
    long needed, all;
    allocator.ctx = state;
    memset(&before, 0x5A, sizeof before);
    for (needed = 0;; needed++) {
        for (all = 0; all < 2; all++) {
            fewbit_status status;
            state->calls = 0;
            state->from = needed;
            state->to = all ? needed + 1000 : needed + 1;
            plan = before;
            memset(&error, 0x5A, sizeof error);
            status = packed == NULL ? kind_create(kind, &allocator, &plan, NULL, &error)
                                    : kind_create_packed(kind, &allocator, packed, size, &plan, NULL, &error);
            if (status == FEWBIT_OK) {
                /* Some is needed while a plan is made, and was given back. */
                CHECK(all == 0 && state->calls == needed && state->live > 0 && state->live <= needed);
                CHECK_OK(kind_run(&plan, NULL, &result, NULL));
                CHECK(state->calls == needed); /* runs allocate nothing */
                CHECK_BYTES(expected, &result, sizeof result);
                kind_destroy(&plan);
                CHECK(state->live == 0);
                return needed;
            }
            if (status != FEWBIT_ERROR_OUT_OF_MEMORY) {
                printf("%s: %s\n", kind_name(kind), error.message);
            }
            CHECK_STATUS(FEWBIT_ERROR_OUT_OF_MEMORY, status);
            CHECK(error.status == status && strstr(error.message, "could not be allocated") != NULL);
            CHECK(state->calls == needed + 1); /* the first refusal ends it */
            CHECK(state->live == 0);
            CHECK_BYTES(&before, &plan, sizeof plan);
            if (status != FEWBIT_ERROR_OUT_OF_MEMORY || needed > 100) {
                return needed;
            }
        }
    }
}

void test_allocators(void) {
    static kind_result expected;
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    fewbit_allocator half = {NULL, counted, NULL};
    fewbit_linear *linear = NULL;
    fewbit_error error;
    counter state = {0, 0, 0, 0, 0};
    size_t kind, size, saved = 0;
    long allocations = 0, needed;
    void *packed;
    any_plan plan;
    kinds_prepare();
    for (kind = 0; kind < kind_count(); kind++) {
        if (kind_create(kind, NULL, &plan, NULL, &error) != FEWBIT_OK) {
            printf("%s: %s\n", kind_name(kind), error.message);
            CHECK(!"a plan of every kind");
            continue;
        }
        CHECK_OK(kind_run(&plan, NULL, &expected, NULL));
        needed = refuse_each(kind, NULL, 0, &state, &expected);
        CHECK(needed > 1);
        allocations += needed;
        if (kind_save(&plan, &packed, &size, NULL) == FEWBIT_OK) {
            needed = refuse_each(kind, packed, size, &state, &expected);
            CHECK(needed > 0);
            allocations += needed;
            saved++;
        }
        free(packed);
        kind_destroy(&plan);
    }
    CHECK(saved > 20 && state.refused == 2 * allocations);
    printf("faults: %ld allocations of %lu kinds of plans, %lu of them from packed weights too: %ld refusals\n", allocations,
           (unsigned long)kind_count(), (unsigned long)saved, state.refused);

    /* An allocator that takes nothing back, and one that lies at no address of its own. */
    desc.allocator = &half;
    CHECK_STATUS(FEWBIT_ERROR_NULL_POINTER, fewbit_linear_create(&desc, &linear, &error));
    CHECK(linear == NULL && strcmp(error.argument, "desc.allocator") == 0);
    desc.allocator = (const fewbit_allocator *)(const void *)((const char *)&half + 1);
    CHECK_STATUS(FEWBIT_ERROR_MISALIGNED, fewbit_linear_create(&desc, &linear, &error));
    CHECK(linear == NULL && strcmp(error.argument, "desc.allocator") == 0);
}
