/* What every part of the harness uses. The parts are written in what C99 and C++17 share, and are compiled as both. */
#ifndef CHECK_H
#define CHECK_H

#include "fewbit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Counts a check; says where and what if it fails. */
void check_that(int ok, const char *file, int line, const char *what);
#define CHECK(condition) check_that((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

/* A call's status, with the texts of both if they differ. */
void check_status(fewbit_status expected, fewbit_status given, const char *file, int line, const char *what);
#define CHECK_OK(call) check_status(FEWBIT_OK, (call), __FILE__, __LINE__, #call)
#define CHECK_STATUS(expected, call) check_status((expected), (call), __FILE__, __LINE__, #call)

/* Bytes that must be equal. */
void check_bytes(const void *expected, const void *given, size_t size, const char *file, int line, const char *what);
#define CHECK_BYTES(expected, given, size) check_bytes((expected), (given), (size), __FILE__, __LINE__, #given)

/* Tells the test which parameter of which function was tried how; it demands all of them. */
void covered(const char *function, const char *parameter, const char *how);

/* Pseudo-random bits, the same everywhere. */
uint32_t random_bits(uint32_t *state);
/* A random number of about -range..range, coarse enough to hit ties. */
float random_real(uint32_t *state, float range);

/* Memory aligned for workspaces; the program ends if there is none. */
void *aligned_memory(size_t size, size_t align);
/* A linear layer's or convolution's workspace for a run. */
void *linear_memory(const fewbit_linear *linear, size_t rows, size_t workers, size_t *size);
void *conv_memory(const fewbit_conv *conv, size_t images, size_t workers, size_t *size);

/* A shape without gaps. */
fewbit_shape shape2(size_t rows, size_t columns);

/* A linear layer and a convolution with every part (zero points, bias, activation), for tests that need just any. */
enum { LAYER_K = 37, LAYER_N = 21, LAYER_M = 9 };
fewbit_linear *any_linear(int32_t input_mode, int32_t output);
enum { IMAGE_C = 3, IMAGE_H = 7, IMAGE_W = 6, FILTERS = 5, IMAGES = 3 };
fewbit_conv *any_conv(int32_t input_mode, int32_t output);

/* fewbit_quantize_dynamic of the rows of f32 results: codes, scales and zero points. */
void expected_rows(const float *real, size_t rows, size_t columns, int32_t scheme, int8_t *q, float *q_scales,
                   int32_t *zero_points);

/* Threads of the harness as a caller's parallel_for; `prepare` runs on each thread before its first task. */
typedef struct harness_threads {
    size_t workers;
    void (*prepare)(void);
    void (*finish)(void);
} harness_threads;
fewbit_parallel_for parallel_for_of(harness_threads *threads);

/* The parts. */
void test_versions(void);
void test_arrays(void);
void test_block_formats(void);
void test_tensors(void);
void test_rowwise(void);
void test_weight_only(void);
void test_observers(void);
void test_linear(void);
void test_conv(void);
void test_epilogues(void);
void test_outputs(void);
void test_packed(void);
void test_gemm(void);
void test_batches(void);
void test_groups(void);
void test_plan_info(void);
void test_four_bits(void);
void test_codes(void);
void test_half(void);
void test_convs(void);
void test_bad_arrays(void);
void test_bad_tensors(void);
void test_bad_plans(void);
void test_bad_codes(void);
void test_sentences(void);
void test_allocators(void);
void test_environment(void);
void test_threads(void);
void test_processes(void);

/* Of the second translation unit, as it sees the header. */
uint32_t second_version(void);
size_t second_size_of_conv_desc(void);
fewbit_conv_desc second_conv_desc(void);

#endif
