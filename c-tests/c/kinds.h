/* A plan of every kind, for tests of what all have in common: memory, threads, processes, environments. */
#ifndef KINDS_H
#define KINDS_H

#include "check.h"

enum { KIND_BYTES = 1 << 14, KIND_ROWS = 15, KIND_CALLS = 48 };

/* A plan; which handle it has depends on the kind. */
typedef struct any_plan {
    size_t kind;
    fewbit_linear *linear;
    fewbit_gemm *gemm;
    fewbit_conv *conv;
} any_plan;

/* What a run gives, zero where nothing is written. */
typedef struct kind_result {
    unsigned char y[KIND_BYTES];
    float scales[KIND_ROWS];
    int32_t zero_points[KIND_ROWS];
} kind_result;

/* The functions that were called, each once. */
typedef struct kind_calls {
    const char *names[KIND_CALLS];
    size_t count;
} kind_calls;

/* How many kinds there are, and the name of one. */
size_t kind_count(void);
const char *kind_name(size_t kind);

/* Fills inputs and weights, in the floating-point environment of the call; before any of the calls below. */
void kinds_prepare(void);

/* Makes a plan of a kind, with the caller's allocator unless it is NULL. On an error the plan is untouched. */
fewbit_status kind_create(size_t kind, const fewbit_allocator *allocator, any_plan *plan, kind_calls *calls,
                          fewbit_error *error);
/* The same from packed weights, which an earlier plan of the kind wrote. */
fewbit_status kind_create_packed(size_t kind, const fewbit_allocator *allocator, const void *packed, size_t size,
                                 any_plan *plan, kind_calls *calls, fewbit_error *error);
/* Writes packed weights into memory that is to be freed; NULL and FEWBIT_ERROR_UNSUPPORTED where a kind has none. */
fewbit_status kind_save(const any_plan *plan, void **packed, size_t *size, kind_calls *calls);
/* Runs a plan on the kind's input, in a workspace that it makes itself. */
fewbit_status kind_run(const any_plan *plan, const fewbit_parallel_for *threads, kind_result *result, kind_calls *calls);
void kind_destroy(any_plan *plan);

#endif
