/* What a process's first call costs: loading the library; the first call, which asks for the instruction sets, chooses a kernel
   and touches pages that nobody has; and the second one. Prints the three in nanoseconds. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fewbit.h"

typedef fewbit_status (*quantize_fn)(const float *, size_t, const fewbit_quant_params *, int8_t *);

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
    const fewbit_quant_params params = {0.5f, 0};
    float x[64] = {0};
    int8_t q[64] = {0};
    long long start, loaded, first, second;
    fewbit_status status;
    quantize_fn quantize;
    void *library, *symbol;
    if (count != 2) {
        return 2;
    }
    x[63] = 31.5f;
    (void)now();
    start = now();
    library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    loaded = now() - start;
    symbol = library ? dlsym(library, "fewbit_quantize_f32_s8") : NULL;
    if (!symbol) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    memcpy(&quantize, &symbol, sizeof quantize);
    start = now();
    status = quantize(x, 64, &params, q);
    first = now() - start;
    if (status != FEWBIT_OK || q[63] != 63) {
        return 1;
    }
    start = now();
    status = quantize(x, 64, &params, q);
    second = now() - start;
    printf("%lld %lld %lld\n", loaded, first, second);
    return status != FEWBIT_OK;
}
