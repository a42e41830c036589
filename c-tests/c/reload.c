/* The shared library loaded and unloaded again and again: it works each time, goes each time, and leaves nothing. */
#include "fewbit.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { TIMES = 100, K = 40, N = 24, M = 3 };

/* A function of the library; POSIX says that its address survives this. */
#define FUNCTION(library, name) memcpy(&name, (dlsym_result = dlsym((library), "fewbit_" #name), &dlsym_result), sizeof name)

/* Lines of the process's map of memory; 0 where there is none. */
static long mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    long lines = 0;
    int byte;
    if (maps == NULL) {
        return 0;
    }
    while ((byte = fgetc(maps)) != EOF) {
        lines += byte == '\n';
    }
    fclose(maps);
    return lines;
}

static int use(void *library, const fewbit_linear_desc *desc, const float *x, void *memory, size_t memory_size, float *y) {
    fewbit_status (*linear_create)(const fewbit_linear_desc *, fewbit_linear **, fewbit_error *);
    fewbit_status (*linear_workspace)(const fewbit_linear *, size_t, size_t, size_t *, size_t *, fewbit_error *);
    fewbit_status (*linear_run)(const fewbit_linear *, size_t, const void *, size_t, void *, size_t,
                                const fewbit_parallel_for *, void *, size_t, fewbit_error *);
    void (*linear_destroy)(fewbit_linear *);
    fewbit_linear *linear = NULL;
    void *dlsym_result;
    size_t size = 0, align = 0;
    int wrong;
    FUNCTION(library, linear_create);
    FUNCTION(library, linear_workspace);
    FUNCTION(library, linear_run);
    FUNCTION(library, linear_destroy);
    wrong = linear_create == NULL || linear_workspace == NULL || linear_run == NULL || linear_destroy == NULL;
    if (wrong || linear_create(desc, &linear, NULL) != FEWBIT_OK) {
        return 1;
    }
    wrong += linear_workspace(linear, M, 1, &size, &align, NULL) != FEWBIT_OK || size > memory_size;
    wrong += wrong || linear_run(linear, M, x, K, memory, size, NULL, y, N, NULL) != FEWBIT_OK;
    linear_destroy(linear);
    return wrong;
}

int main(int argc, char **argv) {
    static int8_t weights[N * K];
    static float x[M * K], y[M * N], first[M * N];
    static union {
        long double align;
        unsigned char bytes[1 << 16];
    } memory;
    const float scale = 0.01f;
    void *aligned = (void *)(((uintptr_t)memory.bytes + 63) & ~(uintptr_t)63);
    fewbit_linear_desc desc = FEWBIT_LINEAR_DESC_INIT;
    long before = 0, failures = 0;
    int i;
    for (i = 0; i < N * K; i++) {
        weights[i] = (int8_t)(i * 37 % 251 - 125);
    }
    for (i = 0; i < M * K; i++) {
        x[i] = (float)(i * 29 % 83 - 41) * 0.125f;
    }
    desc.in_features = K;
    desc.out_features = N;
    desc.weights.data = weights;
    desc.weights.scales = &scale;
    desc.weights.scale_count = 1;
    desc.input.mode = FEWBIT_INPUT_DYNAMIC_PER_ROW;
    for (i = 0; i < TIMES && argc == 2; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            printf("%s\n", dlerror());
            return 1;
        }
        memset(y, 0, sizeof y);
        failures += use(library, &desc, x, aligned, sizeof memory.bytes - 64, y);
        failures += dlclose(library) != 0;
        failures += dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL; /* it is gone */
        if (i == 0) {
            memcpy(first, y, sizeof y);
        }
        failures += memcmp(first, y, sizeof y) != 0;
        if (i == 1) {
            before = mappings();
        }
    }
    failures += before != mappings();
    printf("loaded %d times, %ld failed\n", i, failures);
    return i != TIMES || failures != 0;
}
