/* The layout of every structure where pointers have 64 bits; docs/abi.md says what may change.
 * Written by `cargo xtask abi`, which computes it; compilers agree, or refuse this file. */
#include "fewbit.h"

#include <stddef.h>

#define SIZE(type, size) typedef char size_of_##type[sizeof(type) == (size) ? 1 : -1]
#define AT(type, field, offset, size)                                                                                  \
    typedef char at_##type##_##field                                                                                   \
        [offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (size) ? 1 : -1]

SIZE(fewbit_error, 256);
AT(fewbit_error, status, 0, 4);
AT(fewbit_error, argument, 4, 44);
AT(fewbit_error, message, 48, 208);

SIZE(fewbit_quant_params, 8);
AT(fewbit_quant_params, scale, 0, 4);
AT(fewbit_quant_params, zero_point, 4, 4);

SIZE(fewbit_format_hazards, 32);
AT(fewbit_format_hazards, overflow, 0, 8);
AT(fewbit_format_hazards, underflow, 8, 8);
AT(fewbit_format_hazards, subnormal, 16, 8);
AT(fewbit_format_hazards, scale, 24, 4);
AT(fewbit_format_hazards, avoids_all, 28, 4);

SIZE(fewbit_half_hazards, 104);
AT(fewbit_half_hazards, count, 0, 8);
AT(fewbit_half_hazards, nan, 8, 8);
AT(fewbit_half_hazards, infinite, 16, 8);
AT(fewbit_half_hazards, zero, 24, 8);
AT(fewbit_half_hazards, largest, 32, 4);
AT(fewbit_half_hazards, smallest, 36, 4);
AT(fewbit_half_hazards, f16, 40, 32);
AT(fewbit_half_hazards, bf16, 72, 32);

SIZE(fewbit_tensor_quant, 72);
AT(fewbit_tensor_quant, struct_size, 0, 8);
AT(fewbit_tensor_quant, dtype, 8, 4);
AT(fewbit_tensor_quant, scheme, 12, 4);
AT(fewbit_tensor_quant, range, 16, 4);
AT(fewbit_tensor_quant, power_of_two, 20, 4);
AT(fewbit_tensor_quant, rounding, 24, 4);
AT(fewbit_tensor_quant, quotient, 28, 4);
AT(fewbit_tensor_quant, granularity, 32, 4);
AT(fewbit_tensor_quant, real, 36, 4);
AT(fewbit_tensor_quant, axis, 40, 8);
AT(fewbit_tensor_quant, block, 48, 8);
AT(fewbit_tensor_quant, axis2, 56, 8);
AT(fewbit_tensor_quant, block2, 64, 8);

SIZE(fewbit_shape, 144);
AT(fewbit_shape, struct_size, 0, 8);
AT(fewbit_shape, rank, 8, 8);
AT(fewbit_shape, dims, 16, 64);
AT(fewbit_shape, strides, 80, 64);

SIZE(fewbit_parallel_for, 32);
AT(fewbit_parallel_for, ctx, 0, 8);
AT(fewbit_parallel_for, max_workers, 8, 8);
AT(fewbit_parallel_for, run, 16, 8);
AT(fewbit_parallel_for, min_operations, 24, 8);

SIZE(fewbit_min_max, 24);
AT(fewbit_min_max, min, 0, 4);
AT(fewbit_min_max, max, 4, 4);
AT(fewbit_min_max, count, 8, 8);
AT(fewbit_min_max, nan_count, 16, 8);

SIZE(fewbit_moving_average, 120);
AT(fewbit_moving_average, batches, 0, 8);
AT(fewbit_moving_average, count, 8, 8);
AT(fewbit_moving_average, nan_count, 16, 8);
AT(fewbit_moving_average, min_sum, 24, 48);
AT(fewbit_moving_average, max_sum, 72, 48);

SIZE(fewbit_quality, 40);
AT(fewbit_quality, sqnr_db, 0, 8);
AT(fewbit_quality, max_abs_error, 8, 8);
AT(fewbit_quality, cosine, 16, 8);
AT(fewbit_quality, count, 24, 8);
AT(fewbit_quality, nonfinite_count, 32, 8);

SIZE(fewbit_weights, 72);
AT(fewbit_weights, data, 0, 8);
AT(fewbit_weights, dtype, 8, 4);
AT(fewbit_weights, block, 12, 4);
AT(fewbit_weights, scales, 16, 8);
AT(fewbit_weights, scale_count, 24, 8);
AT(fewbit_weights, zero_points, 32, 8);
AT(fewbit_weights, zero_point_count, 40, 8);
AT(fewbit_weights, multipliers, 48, 8);
AT(fewbit_weights, shifts, 56, 8);
AT(fewbit_weights, multiplier_count, 64, 8);

SIZE(fewbit_input, 32);
AT(fewbit_input, mode, 0, 4);
AT(fewbit_input, dtype, 4, 4);
AT(fewbit_input, real, 8, 4);
AT(fewbit_input, scheme, 12, 4);
AT(fewbit_input, range, 16, 4);
AT(fewbit_input, reserved, 20, 4);
AT(fewbit_input, params, 24, 8);

SIZE(fewbit_bias, 16);
AT(fewbit_bias, data, 0, 8);
AT(fewbit_bias, dtype, 8, 4);
AT(fewbit_bias, reserved, 12, 4);

SIZE(fewbit_residual, 16);
AT(fewbit_residual, present, 0, 4);
AT(fewbit_residual, dtype, 4, 4);
AT(fewbit_residual, params, 8, 8);

SIZE(fewbit_output, 56);
AT(fewbit_output, dtype, 0, 4);
AT(fewbit_output, activation, 4, 4);
AT(fewbit_output, params, 8, 8);
AT(fewbit_output, alpha, 16, 4);
AT(fewbit_output, beta, 20, 4);
AT(fewbit_output, mode, 24, 4);
AT(fewbit_output, table_dtype, 28, 4);
AT(fewbit_output, table_params, 32, 8);
AT(fewbit_output, quantization, 40, 4);
AT(fewbit_output, rounding, 44, 4);
AT(fewbit_output, scheme, 48, 4);
AT(fewbit_output, range, 52, 4);

SIZE(fewbit_allocator, 24);
AT(fewbit_allocator, ctx, 0, 8);
AT(fewbit_allocator, allocate, 8, 8);
AT(fewbit_allocator, release, 16, 8);

SIZE(fewbit_linear_desc, 264);
AT(fewbit_linear_desc, struct_size, 0, 8);
AT(fewbit_linear_desc, in_features, 8, 8);
AT(fewbit_linear_desc, out_features, 16, 8);
AT(fewbit_linear_desc, weights, 24, 72);
AT(fewbit_linear_desc, weight_layout, 96, 4);
AT(fewbit_linear_desc, reserved, 100, 4);
AT(fewbit_linear_desc, weight_stride, 104, 8);
AT(fewbit_linear_desc, input, 112, 32);
AT(fewbit_linear_desc, bias, 144, 16);
AT(fewbit_linear_desc, residual, 160, 16);
AT(fewbit_linear_desc, output, 176, 56);
AT(fewbit_linear_desc, allocator, 232, 8);
AT(fewbit_linear_desc, matrices, 240, 8);
AT(fewbit_linear_desc, matrix_stride, 248, 8);
AT(fewbit_linear_desc, weight_block_scales, 256, 8);

SIZE(fewbit_linear_batch, 104);
AT(fewbit_linear_batch, struct_size, 0, 8);
AT(fewbit_linear_batch, rows, 8, 8);
AT(fewbit_linear_batch, x, 16, 8);
AT(fewbit_linear_batch, x_stride, 24, 8);
AT(fewbit_linear_batch, x_batch_stride, 32, 8);
AT(fewbit_linear_batch, residual, 40, 8);
AT(fewbit_linear_batch, residual_stride, 48, 8);
AT(fewbit_linear_batch, residual_batch_stride, 56, 8);
AT(fewbit_linear_batch, y, 64, 8);
AT(fewbit_linear_batch, y_stride, 72, 8);
AT(fewbit_linear_batch, y_batch_stride, 80, 8);
AT(fewbit_linear_batch, workspace, 88, 8);
AT(fewbit_linear_batch, workspace_size, 96, 8);

SIZE(fewbit_linear_problem, 64);
AT(fewbit_linear_problem, matrix, 0, 8);
AT(fewbit_linear_problem, rows, 8, 8);
AT(fewbit_linear_problem, x, 16, 8);
AT(fewbit_linear_problem, x_stride, 24, 8);
AT(fewbit_linear_problem, residual, 32, 8);
AT(fewbit_linear_problem, residual_stride, 40, 8);
AT(fewbit_linear_problem, y, 48, 8);
AT(fewbit_linear_problem, y_stride, 56, 8);

SIZE(fewbit_gemm_desc, 208);
AT(fewbit_gemm_desc, struct_size, 0, 8);
AT(fewbit_gemm_desc, n, 8, 8);
AT(fewbit_gemm_desc, k, 16, 8);
AT(fewbit_gemm_desc, rhs, 24, 72);
AT(fewbit_gemm_desc, rhs_layout, 96, 4);
AT(fewbit_gemm_desc, lhs_dtype, 100, 4);
AT(fewbit_gemm_desc, rhs_stride, 104, 8);
AT(fewbit_gemm_desc, matrices, 112, 8);
AT(fewbit_gemm_desc, matrix_stride, 120, 8);
AT(fewbit_gemm_desc, bias, 128, 16);
AT(fewbit_gemm_desc, output, 144, 56);
AT(fewbit_gemm_desc, allocator, 200, 8);

SIZE(fewbit_gemm_args, 112);
AT(fewbit_gemm_args, struct_size, 0, 8);
AT(fewbit_gemm_args, rows, 8, 8);
AT(fewbit_gemm_args, lhs, 16, 8);
AT(fewbit_gemm_args, lhs_stride, 24, 8);
AT(fewbit_gemm_args, lhs_batch_stride, 32, 8);
AT(fewbit_gemm_args, lhs_scales, 40, 8);
AT(fewbit_gemm_args, lhs_scale_count, 48, 8);
AT(fewbit_gemm_args, lhs_zero_points, 56, 8);
AT(fewbit_gemm_args, lhs_zero_point_count, 64, 8);
AT(fewbit_gemm_args, workspace, 72, 8);
AT(fewbit_gemm_args, workspace_size, 80, 8);
AT(fewbit_gemm_args, dst, 88, 8);
AT(fewbit_gemm_args, dst_stride, 96, 8);
AT(fewbit_gemm_args, dst_batch_stride, 104, 8);

SIZE(fewbit_gemm_problem, 80);
AT(fewbit_gemm_problem, matrix, 0, 8);
AT(fewbit_gemm_problem, rows, 8, 8);
AT(fewbit_gemm_problem, lhs, 16, 8);
AT(fewbit_gemm_problem, lhs_stride, 24, 8);
AT(fewbit_gemm_problem, lhs_scales, 32, 8);
AT(fewbit_gemm_problem, lhs_scale_count, 40, 8);
AT(fewbit_gemm_problem, lhs_zero_points, 48, 8);
AT(fewbit_gemm_problem, lhs_zero_point_count, 56, 8);
AT(fewbit_gemm_problem, dst, 64, 8);
AT(fewbit_gemm_problem, dst_stride, 72, 8);

SIZE(fewbit_conv_axis, 48);
AT(fewbit_conv_axis, size, 0, 8);
AT(fewbit_conv_axis, kernel, 8, 8);
AT(fewbit_conv_axis, stride, 16, 8);
AT(fewbit_conv_axis, dilation, 24, 8);
AT(fewbit_conv_axis, pad_begin, 32, 8);
AT(fewbit_conv_axis, pad_end, 40, 8);

SIZE(fewbit_conv_desc, 392);
AT(fewbit_conv_desc, struct_size, 0, 8);
AT(fewbit_conv_desc, spatial, 8, 8);
AT(fewbit_conv_desc, axes, 16, 144);
AT(fewbit_conv_desc, in_channels, 160, 8);
AT(fewbit_conv_desc, out_channels, 168, 8);
AT(fewbit_conv_desc, groups, 176, 8);
AT(fewbit_conv_desc, layout, 184, 4);
AT(fewbit_conv_desc, filter_layout, 188, 4);
AT(fewbit_conv_desc, weights, 192, 72);
AT(fewbit_conv_desc, input, 264, 32);
AT(fewbit_conv_desc, bias, 296, 16);
AT(fewbit_conv_desc, residual, 312, 16);
AT(fewbit_conv_desc, output, 328, 56);
AT(fewbit_conv_desc, allocator, 384, 8);

SIZE(fewbit_pool_desc, 208);
AT(fewbit_pool_desc, struct_size, 0, 8);
AT(fewbit_pool_desc, spatial, 8, 8);
AT(fewbit_pool_desc, axes, 16, 144);
AT(fewbit_pool_desc, channels, 160, 8);
AT(fewbit_pool_desc, layout, 168, 4);
AT(fewbit_pool_desc, dtype, 172, 4);
AT(fewbit_pool_desc, ceil_mode, 176, 4);
AT(fewbit_pool_desc, count_include_pad, 180, 4);
AT(fewbit_pool_desc, average, 184, 4);
AT(fewbit_pool_desc, x_params, 188, 8);
AT(fewbit_pool_desc, y_params, 196, 8);

SIZE(fewbit_binary_desc, 88);
AT(fewbit_binary_desc, struct_size, 0, 8);
AT(fewbit_binary_desc, rows, 8, 8);
AT(fewbit_binary_desc, columns, 16, 8);
AT(fewbit_binary_desc, b_rows, 24, 8);
AT(fewbit_binary_desc, b_columns, 32, 8);
AT(fewbit_binary_desc, dtype, 40, 4);
AT(fewbit_binary_desc, fixed_point, 44, 4);
AT(fewbit_binary_desc, a, 48, 8);
AT(fewbit_binary_desc, b, 56, 8);
AT(fewbit_binary_desc, y, 64, 8);
AT(fewbit_binary_desc, activation, 72, 4);
AT(fewbit_binary_desc, alpha, 76, 4);
AT(fewbit_binary_desc, beta, 80, 4);

SIZE(fewbit_concat_piece, 24);
AT(fewbit_concat_piece, x, 0, 8);
AT(fewbit_concat_piece, len, 8, 8);
AT(fewbit_concat_piece, params, 16, 8);

SIZE(fewbit_plan_info, 128);
AT(fewbit_plan_info, struct_size, 0, 8);
AT(fewbit_plan_info, in_features, 8, 8);
AT(fewbit_plan_info, out_features, 16, 8);
AT(fewbit_plan_info, matrices, 24, 8);
AT(fewbit_plan_info, input_mode, 32, 4);
AT(fewbit_plan_info, input_dtype, 36, 4);
AT(fewbit_plan_info, code_dtype, 40, 4);
AT(fewbit_plan_info, output_dtype, 44, 4);
AT(fewbit_plan_info, bound, 48, 8);
AT(fewbit_plan_info, weight_bytes, 56, 8);
AT(fewbit_plan_info, kernel_name, 64, 64);
