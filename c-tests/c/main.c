/* Runs every part, or those that are named, and counts. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200112L
#endif
#include "check.h"

static unsigned long checks, failures;

void check_that(int ok, const char *file, int line, const char *what) {
    checks++;
    if (!ok) {
        failures++;
        printf("%s:%d: failed: %s\n", file, line, what);
    }
}

void check_status(fewbit_status expected, fewbit_status given, const char *file, int line, const char *what) {
    checks++;
    if (expected != given) {
        failures++;
        printf("%s:%d: status %d (%s), expected %d (%s): %s\n", file, line, (int)given, fewbit_status_string(given),
               (int)expected, fewbit_status_string(expected), what);
    }
}

void check_bytes(const void *expected, const void *given, size_t size, const char *file, int line, const char *what) {
    const unsigned char *a = (const unsigned char *)expected, *b = (const unsigned char *)given;
    size_t i;
    checks++;
    for (i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            failures++;
            printf("%s:%d: byte %lu of %lu is %u, expected %u: %s\n", file, line, (unsigned long)i, (unsigned long)size,
                   b[i], a[i], what);
            return;
        }
    }
}

void covered(const char *function, const char *parameter, const char *how) {
    printf("covered %s %s %s\n", function, parameter, how);
}

uint32_t random_bits(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

float random_real(uint32_t *state, float range) {
    int32_t step = (int32_t)(random_bits(state) >> 16) - 32768;
    return (float)step * (1.0f / 32768.0f) * range;
}

void *aligned_memory(size_t size, size_t align) {
    void *memory = NULL;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size == 0 ? 1 : size) != 0) {
        printf("no memory\n");
        exit(2);
    }
    memset(memory, 0xA5, size);
    return memory;
}

void *linear_memory(const fewbit_linear *linear, size_t rows, size_t workers, size_t *size) {
    size_t align = 0;
    CHECK_OK(fewbit_linear_workspace(linear, rows, workers, size, &align, NULL));
    return aligned_memory(*size, align);
}

void *conv_memory(const fewbit_conv *conv, size_t images, size_t workers, size_t *size) {
    size_t align = 0;
    CHECK_OK(fewbit_conv_workspace(conv, images, workers, size, &align, NULL));
    return aligned_memory(*size, align);
}

fewbit_shape shape2(size_t rows, size_t columns) {
    fewbit_shape shape = FEWBIT_SHAPE_INIT;
    shape.rank = 2;
    shape.dims[0] = rows;
    shape.dims[1] = columns;
    return shape;
}

/* The control: a failing check must make the program fail. */
static void test_failure(void) {
    CHECK(fewbit_version() == 0);
}

struct part {
    const char *name;
    void (*run)(void);
};

static const struct part parts[] = {
    {"versions", test_versions},       {"arrays", test_arrays},           {"block-formats", test_block_formats},
    {"tensors", test_tensors},         {"observers", test_observers},     {"linear", test_linear},
    {"conv", test_conv},               {"epilogues", test_epilogues},     {"outputs", test_outputs},
    {"packed", test_packed},           {"gemm", test_gemm},               {"batches", test_batches},
    {"groups", test_groups},           {"plan-info", test_plan_info},     {"codes", test_codes},
    {"bad-arrays", test_bad_arrays},   {"bad-tensors", test_bad_tensors}, {"bad-plans", test_bad_plans},
    {"bad-codes", test_bad_codes},     {"sentences", test_sentences},     {"allocators", test_allocators},
    {"environment", test_environment}, {"threads", test_threads},         {"rowwise", test_rowwise},
    {"half", test_half},               {"weight_only", test_weight_only}, {"processes", test_processes},
    {"four-bits", test_four_bits},     {"convs", test_convs},
};

/* Whether a part is to run: all, those that are named, or all but those named behind a minus. */
static int wanted(const char *name, int argc, char **argv) {
    int i, chosen = argc < 2 || argv[1][0] == '-';
    for (i = 1; i < argc; i++) {
        chosen = strcmp(argv[i], name) == 0 || (chosen && !(argv[i][0] == '-' && strcmp(argv[i] + 1, name) == 0));
    }
    return chosen;
}

int main(int argc, char **argv) {
    size_t i, ran = 0;
    uint32_t isa = 0, bit;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a crash shall not swallow what was said before */
    CHECK_OK(fewbit_isa_enabled(&isa, NULL));
    printf("instruction sets: scalar");
    for (bit = 0; fewbit_isa_name(bit) != NULL; bit++) {
        if (isa >> bit & 1) {
            printf(" %s", fewbit_isa_name(bit));
        }
    }
    printf("\n");
    for (i = 0; i < COUNT(parts); i++) {
        if (wanted(parts[i].name, argc, argv)) {
            parts[i].run();
            ran++;
        }
    }
    if (argc > 1 && strcmp(argv[1], "failure") == 0) {
        test_failure();
        ran++;
    }
    printf("%lu parts, %lu checks, %lu failed\n", (unsigned long)ran, checks, failures);
    return failures == 0 && ran > 0 ? 0 : 1;
}
