/* The limit of instruction sets, decided once in a process: each case is a process of its own. */
#include "fewbit.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                  \
        }                                                                \
    } while (0)

#if defined(__x86_64__)
#define FOREIGN "neon"
#else
#define FOREIGN "avx2"
#endif

static const fewbit_quant_params params = {0.5f, 0};
static fewbit_error error;

static fewbit_status compute(int8_t *q) {
    const float x = 2.0f;
    return fewbit_quantize_f32_s8(&x, 1, &params, q);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    int8_t q = 99;
    uint32_t isa = 12345;
    if (strcmp(name, "limit") == 0) {
        /* Set before the first use; the same again is fine, another too late. */
        CHECK(fewbit_set_isa("scalar", &error) == FEWBIT_OK && error.status == FEWBIT_OK);
        CHECK(fewbit_isa_enabled(&isa, NULL) == FEWBIT_OK && isa == 0);
        CHECK(fewbit_set_isa("scalar", NULL) == FEWBIT_OK);
        CHECK(compute(&q) == FEWBIT_OK && q == 4);
        if (fewbit_isa_detected() != 0) {
            CHECK(fewbit_set_isa("native", &error) == FEWBIT_ERROR_ISA);
            CHECK(strstr(error.message, "limit came after the first use") == error.message);
            CHECK(fewbit_isa_enabled(&isa, NULL) == FEWBIT_OK && isa == 0);
        }
    } else if (strcmp(name, "late") == 0) {
        CHECK(compute(&q) == FEWBIT_OK && q == 4);
        CHECK(fewbit_isa_enabled(&isa, NULL) == FEWBIT_OK && isa == fewbit_isa_detected());
        CHECK(fewbit_isa_detected() == 0 || fewbit_set_isa("scalar", &error) == FEWBIT_ERROR_ISA);
    } else if (strcmp(name, "refused") == 0) {
        /* FEWBIT_ISA is wrong here: every call that computes says so, and nothing is written. */
        CHECK(compute(&q) == FEWBIT_ERROR_ISA && q == 99);
        CHECK(fewbit_isa_enabled(&isa, &error) == FEWBIT_ERROR_ISA && isa == 12345);
        CHECK(strcmp(error.argument, "FEWBIT_ISA") == 0 && strlen(error.message) > 20);
        CHECK(compute(&q) == FEWBIT_ERROR_ISA && q == 99);
    } else if (strcmp(name, "replaced") == 0) {
        /* FEWBIT_ISA is wrong here too, but replaced in time; refused limits decide nothing. */
        CHECK(fewbit_set_isa("sse9", &error) == FEWBIT_ERROR_ISA);
        CHECK(strcmp(error.argument, "limit") == 0);
        CHECK(fewbit_set_isa(FOREIGN, &error) == FEWBIT_ERROR_ISA);
        CHECK(strcmp(error.message, "limit needs " FOREIGN ", which this CPU does not have") == 0);
        CHECK(fewbit_set_isa("native", &error) == FEWBIT_OK);
        CHECK(compute(&q) == FEWBIT_OK && q == 4);
    } else if (strcmp(name, "scalar") == 0) {
        /* FEWBIT_ISA=scalar. */
        CHECK(fewbit_isa_enabled(&isa, NULL) == FEWBIT_OK && isa == 0);
        CHECK(compute(&q) == FEWBIT_OK && q == 4);
    } else {
        CHECK(!"a known case");
    }
    return failures != 0;
}
