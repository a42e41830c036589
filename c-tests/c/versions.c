/* Versions, layouts, texts, instruction sets and the list of kernels. */
#include "check.h"

#include <stddef.h>

/* Fails to compile unless the condition holds. */
#define HOLDS(name, condition) typedef char holds_##name[(condition) ? 1 : -1]

/* The ABI of 64-bit machines; a change of these is a change of the SONAME. */
HOLDS(pointers, sizeof(void *) == 8 && sizeof(size_t) == 8);
HOLDS(status, sizeof(fewbit_status) == 4);
HOLDS(error, sizeof(fewbit_error) == 256 && offsetof(fewbit_error, argument) == 4 &&
                 offsetof(fewbit_error, message) == 48);
HOLDS(quant_params, sizeof(fewbit_quant_params) == 8 && offsetof(fewbit_quant_params, zero_point) == 4);
HOLDS(tensor_quant, sizeof(fewbit_tensor_quant) == 72 && offsetof(fewbit_tensor_quant, dtype) == 8 &&
                        offsetof(fewbit_tensor_quant, granularity) == 32 &&
                        offsetof(fewbit_tensor_quant, axis) == 40 && offsetof(fewbit_tensor_quant, block2) == 64);
HOLDS(shape, sizeof(fewbit_shape) == 144 && offsetof(fewbit_shape, dims) == 16 &&
                 offsetof(fewbit_shape, strides) == 80);
HOLDS(min_max, sizeof(fewbit_min_max) == 24 && offsetof(fewbit_min_max, count) == 8);
HOLDS(moving_average, sizeof(fewbit_moving_average) == 120 && offsetof(fewbit_moving_average, min_sum) == 24);
HOLDS(quality, sizeof(fewbit_quality) == 40 && offsetof(fewbit_quality, cosine) == 16);
HOLDS(weights, sizeof(fewbit_weights) == 72 && offsetof(fewbit_weights, scales) == 16 &&
                   offsetof(fewbit_weights, zero_point_count) == 40 &&
                   offsetof(fewbit_weights, multiplier_count) == 64);
HOLDS(input, sizeof(fewbit_input) == 32 && offsetof(fewbit_input, params) == 24);
HOLDS(bias, sizeof(fewbit_bias) == 16 && offsetof(fewbit_bias, dtype) == 8);
HOLDS(residual, sizeof(fewbit_residual) == 16 && offsetof(fewbit_residual, params) == 8);
HOLDS(output, sizeof(fewbit_output) == 56 && offsetof(fewbit_output, params) == 8 &&
                  offsetof(fewbit_output, alpha) == 16 && offsetof(fewbit_output, table_params) == 32 &&
                  offsetof(fewbit_output, range) == 52);
HOLDS(allocator, sizeof(fewbit_allocator) == 24);
HOLDS(parallel_for, sizeof(fewbit_parallel_for) == 24);
HOLDS(linear_desc, sizeof(fewbit_linear_desc) == 256 && offsetof(fewbit_linear_desc, weights) == 24 &&
                       offsetof(fewbit_linear_desc, input) == 112 && offsetof(fewbit_linear_desc, allocator) == 232 &&
                       offsetof(fewbit_linear_desc, matrices) == 240);
HOLDS(linear_batch, sizeof(fewbit_linear_batch) == 104 && offsetof(fewbit_linear_batch, y) == 64);
HOLDS(linear_problem, sizeof(fewbit_linear_problem) == 64 && offsetof(fewbit_linear_problem, y) == 48);
HOLDS(gemm_problem, sizeof(fewbit_gemm_problem) == 80 && offsetof(fewbit_gemm_problem, lhs_scales) == 32 &&
                        offsetof(fewbit_gemm_problem, dst) == 64);
HOLDS(gemm_desc, sizeof(fewbit_gemm_desc) == 208 && offsetof(fewbit_gemm_desc, rhs) == 24 &&
                     offsetof(fewbit_gemm_desc, bias) == 128 && offsetof(fewbit_gemm_desc, allocator) == 200);
HOLDS(gemm_args, sizeof(fewbit_gemm_args) == 112 && offsetof(fewbit_gemm_args, workspace) == 72 &&
                     offsetof(fewbit_gemm_args, dst) == 88);
HOLDS(plan_info, sizeof(fewbit_plan_info) == 128 && offsetof(fewbit_plan_info, bound) == 48 &&
                     offsetof(fewbit_plan_info, kernel_name) == 64);
HOLDS(conv_axis, sizeof(fewbit_conv_axis) == 48);
HOLDS(conv_desc, sizeof(fewbit_conv_desc) == 392 && offsetof(fewbit_conv_desc, axes) == 16 &&
                     offsetof(fewbit_conv_desc, layout) == 184 && offsetof(fewbit_conv_desc, weights) == 192 &&
                     offsetof(fewbit_conv_desc, allocator) == 384);

void test_versions(void) {
    char text[32], name[64];
    fewbit_status status;
    uint32_t bit, needed, enabled = 0;
    size_t i, scalar = 0;
    fewbit_conv_desc mine = FEWBIT_CONV_DESC_INIT, theirs = second_conv_desc();

    sprintf(text, "%d.%d.%d", FEWBIT_VERSION_MAJOR, FEWBIT_VERSION_MINOR, FEWBIT_VERSION_PATCH);
    CHECK(strcmp(text, fewbit_version_string()) == 0);
    CHECK(fewbit_version() == FEWBIT_VERSION);
    CHECK(FEWBIT_VERSION ==
          FEWBIT_VERSION_MAJOR * 1000000 + FEWBIT_VERSION_MINOR * 1000 + FEWBIT_VERSION_PATCH);

    CHECK(second_version() == FEWBIT_VERSION);
    CHECK(second_size_of_conv_desc() == sizeof(fewbit_conv_desc));
    CHECK(mine.struct_size == theirs.struct_size && mine.output.dtype == theirs.output.dtype);

    CHECK(strcmp(fewbit_status_string(FEWBIT_OK), "ok") == 0);
    for (status = FEWBIT_OK; status <= FEWBIT_ERROR_INTERNAL; status++) {
        CHECK(strlen(fewbit_status_string(status)) > 0);
        CHECK(strcmp(fewbit_status_string(status), "unknown status") != 0);
    }
    CHECK(strcmp(fewbit_status_string(FEWBIT_ERROR_INTERNAL + 1), "unknown status") == 0);
    CHECK(strcmp(fewbit_status_string(-1), "unknown status") == 0);

    CHECK_OK(fewbit_isa_enabled(&enabled, NULL));
    CHECK((enabled & ~fewbit_isa_detected()) == 0);
    for (bit = 0; fewbit_isa_name(bit) != NULL; bit++) {
        CHECK(strlen(fewbit_isa_name(bit)) > 0);
    }
    CHECK(bit > 0 && (fewbit_isa_detected() >> bit) == 0);
    CHECK(fewbit_isa_name(UINT32_MAX) == NULL);

    CHECK(fewbit_kernel_count() > 0);
    for (i = 0; i < fewbit_kernel_count(); i++) {
        needed = UINT32_MAX;
        CHECK_OK(fewbit_kernel_name(i, name, sizeof name, &needed, NULL));
        CHECK(strlen(name) > 0 && needed >> bit == 0);
        scalar += needed == 0;
    }
    CHECK(scalar > 0);
    CHECK_STATUS(FEWBIT_ERROR_INVALID_ARGUMENT, fewbit_kernel_name(i, name, sizeof name, NULL, NULL));
}
