/* fewbit: quantization kernels for CPUs. The C interface.
 *
 * Generated from crates/ffi by `cargo xtask headers`; do not edit.
 *
 * Three levels, each usable alone:
 *   1. arrays:  one call, no objects (fewbit_quantize_f32_s8, fewbit_convert_f32_f16, ...)
 *   2. tensors: a scheme and a granularity (fewbit_choose_params, fewbit_quantize, ...)
 *   3. plans:   weights packed once, run many times (fewbit_linear_*, fewbit_conv_*)
 *
 * Everywhere:
 *   - A function that can fail returns a fewbit_status; on error, outputs are untouched. Functions that take
 *     descriptions also take a fewbit_error, which may be NULL, for a sentence that names the argument.
 *   - Inputs come first and are const, outputs last. Pointers must not be NULL unless it is said, or the array is
 *     empty. Arrays are aligned to their elements. Nothing is read or written outside the stated extents.
 *   - Only create calls allocate, and no function spawns threads. All may be called from any thread at the same time,
 *     on the same plan too: plans are immutable. What a call writes (outputs, workspaces, errors, observers) belongs to
 *     it until it returns, and what it reads must not change meanwhile.
 *   - Results are the same bits on every CPU, instruction set, thread count and split, and whatever the caller's
 *     floating-point environment; that is back, flags too, on return. docs/numerics.md is the numeric contract. (Another
 *     arithmetic is had by its name only, FEWBIT_ARITHMETIC_*, and refused by a CPU that lacks it.)
 *   - Descriptions start with struct_size: initialise them with their _INIT macro. Named constants are int32_t.
 *   - A library can be built without families of functions: those of convolutions, between layers (pooling, codes), of rows
 *     (softmax, norms), of blocks (GGUF, MX, NVFP4), and observers. Such a library lacks them; nothing else changes.
 */


#ifndef FEWBIT_H
#define FEWBIT_H

#include <stddef.h>
#include <stdint.h>
/** The header's version; fewbit_version() is the library's. */
#define FEWBIT_VERSION_MAJOR 0
#define FEWBIT_VERSION_MINOR 1
#define FEWBIT_VERSION_PATCH 0
#define FEWBIT_VERSION 1000


/**
 * The call did what it says.
 */
#define FEWBIT_OK 0

/**
 * A required pointer is NULL.
 */
#define FEWBIT_ERROR_NULL_POINTER 1

/**
 * A value is outside its documented range.
 */
#define FEWBIT_ERROR_INVALID_ARGUMENT 2

/**
 * The combination is well formed but not implemented.
 */
#define FEWBIT_ERROR_UNSUPPORTED 3

/**
 * A buffer or workspace is smaller than the call needs.
 */
#define FEWBIT_ERROR_BUFFER_TOO_SMALL 4

/**
 * A pointer is not aligned as documented.
 */
#define FEWBIT_ERROR_MISALIGNED 5

/**
 * Buffers overlap where that is forbidden, or an output's elements overlap each other.
 */
#define FEWBIT_ERROR_OVERLAP 6

/**
 * An int32 sum could overflow: the result would not be exact.
 */
#define FEWBIT_ERROR_LIMIT_EXCEEDED 7

/**
 * The allocator returned NULL.
 */
#define FEWBIT_ERROR_OUT_OF_MEMORY 8

/**
 * The instruction-set limit (FEWBIT_ISA, fewbit_set_isa) is unknown, unavailable, or came too late.
 */
#define FEWBIT_ERROR_ISA 9

/**
 * A state that the library's own checks exclude: a bug in fewbit.
 */
#define FEWBIT_ERROR_INTERNAL 10

/**
 * The CPU converts between f16 and f32 by an instruction.
 */
#define FEWBIT_HALF_F16_CONVERSION 1

/**
 * The CPU adds and multiplies in f16.
 */
#define FEWBIT_HALF_F16_ARITHMETIC 2

/**
 * The CPU has dot products of bf16 that are added in f32.
 */
#define FEWBIT_HALF_BF16_DOT 4

/**
 * Fixed-point rounding: TensorFlow Lite's default, a rounding doubling high multiplication followed by a
 * rounding shift, ties away from zero.
 */
#define FEWBIT_FIXED_DOUBLE 0

/**
 * Fixed-point rounding: once, ties upwards (TFLITE_SINGLE_ROUNDING, ruy, CMSIS-NN).
 */
#define FEWBIT_FIXED_SINGLE 1

/**
 * GGUF's Q4_0: 18 bytes for 32 numbers, an f16 scale and 4-bit codes. GGUF formats have ggml's numbers.
 */
#define FEWBIT_GGUF_Q4_0 2

/**
 * Q4_1: 20 bytes, with an f16 minimum.
 */
#define FEWBIT_GGUF_Q4_1 3

/**
 * Q5_0: 22 bytes, 5-bit codes.
 */
#define FEWBIT_GGUF_Q5_0 6

/**
 * Q5_1: 24 bytes, 5-bit codes, with an f16 minimum.
 */
#define FEWBIT_GGUF_Q5_1 7

/**
 * Q8_0: 34 bytes, 8-bit codes.
 */
#define FEWBIT_GGUF_Q8_0 8

/**
 * Q4_K: 144 bytes for 256 numbers, 4-bit codes, a scale and a minimum of 6 bits for each 32. Read, not made.
 */
#define FEWBIT_GGUF_Q4_K 12

/**
 * Q5_K: 176 bytes for 256 numbers, as Q4_K with 5-bit codes. Read, not made.
 */
#define FEWBIT_GGUF_Q5_K 13

/**
 * Q6_K: 210 bytes for 256 numbers, 6-bit codes, a scale of 8 bits for each 16. Read, not made.
 */
#define FEWBIT_GGUF_Q6_K 14

/**
 * MXFP8 with elements of OCP E4M3, up to 448. 32 elements share a scale of the format E8M0, a power of two.
 */
#define FEWBIT_MXFP8_E4M3 1

/**
 * MXFP8 with elements of OCP E5M2, up to 57344.
 */
#define FEWBIT_MXFP8_E5M2 2

/**
 * MXFP4: elements of E2M1, 0, 0.5, 1, 1.5, 2, 3, 4 and 6 with a sign, two in a byte, low nibble first.
 */
#define FEWBIT_MXFP4 3

/**
 * MXINT8: elements are 64ths, q / 64 with q in -127..127 (-128 is read, but not written).
 */
#define FEWBIT_MXINT8 4

/**
 * IEEE binary32.
 */
#define FEWBIT_F32 1

/**
 * IEEE binary16.
 */
#define FEWBIT_F16 2

/**
 * bfloat16.
 */
#define FEWBIT_BF16 3

/**
 * OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinity.
 */
#define FEWBIT_F8E4M3FN 4

/**
 * OCP 8-bit float, 5 exponent and 2 mantissa bits.
 */
#define FEWBIT_F8E5M2 5

/**
 * Signed 8-bit codes, -128..127.
 */
#define FEWBIT_S8 16

/**
 * Unsigned 8-bit codes, 0..255.
 */
#define FEWBIT_U8 17

/**
 * Signed 16-bit codes, -32768..32767.
 */
#define FEWBIT_S16 18

/**
 * Signed 4-bit codes, -8..7, two in a byte.
 */
#define FEWBIT_S4 19

/**
 * Unsigned 4-bit codes, 0..15, two in a byte.
 */
#define FEWBIT_U4 20

/**
 * Signed 2-bit codes, -2..1, four in a byte.
 */
#define FEWBIT_S2 21

/**
 * One-bit codes 0 and 1, eight in a byte.
 */
#define FEWBIT_U1 22

/**
 * One-bit codes -1 and +1, stored as 0 and 1: -scale and +scale; no zero point.
 */
#define FEWBIT_B1 23

/**
 * Signed 32-bit integers: sums of products.
 */
#define FEWBIT_S32 24

/**
 * The range, widened to contain 0, with a zero point.
 */
#define FEWBIT_SCHEME_AFFINE 0

/**
 * The range made symmetric about 0; zero points are 0.
 */
#define FEWBIT_SCHEME_SYMMETRIC 1

/**
 * Symmetric codes -qmax..qmax: int8 -127..127. It chooses the scale; numbers beyond the range it was chosen for
 * saturate to the format's ends, -128 among them.
 */
#define FEWBIT_RANGE_NARROW 0

/**
 * Symmetric codes qmin..qmax: int8 -128..127.
 */
#define FEWBIT_RANGE_FULL 1

/**
 * Round half to even.
 */
#define FEWBIT_ROUND_HALF_EVEN 0

/**
 * Round half away from zero (TensorFlow Lite).
 */
#define FEWBIT_ROUND_HALF_AWAY 1

/**
 * x / scale, correctly rounded.
 */
#define FEWBIT_QUOTIENT_DIVIDE 0

/**
 * x * (1 / scale) (PyTorch, FBGEMM).
 */
#define FEWBIT_QUOTIENT_MULTIPLY 1

/**
 * One parameter for the tensor.
 */
#define FEWBIT_PER_TENSOR 0

/**
 * One parameter for each index of `axis` (channel, row, column).
 */
#define FEWBIT_PER_AXIS 1

/**
 * One for each `block` elements along `axis`, at each index of the other axes; the last block may be shorter.
 */
#define FEWBIT_PER_BLOCK 2

/**
 * One for each rectangle of `block` along `axis` and `block2` along `axis2`.
 */
#define FEWBIT_PER_BLOCK2 3

/**
 * The input is codes with known parameters.
 */
#define FEWBIT_INPUT_CODES 0

/**
 * The input is numbers, quantized in the run with known parameters.
 */
#define FEWBIT_INPUT_STATIC 1

/**
 * The input is numbers, quantized in the run with parameters from each row's range (convolution: each image's).
 */
#define FEWBIT_INPUT_DYNAMIC_PER_ROW 2

/**
 * The input is numbers, quantized in the run with parameters from the whole input's range.
 */
#define FEWBIT_INPUT_DYNAMIC_PER_TENSOR 3

/**
 * The input is numbers, multiplied as they are: of linear layers and convolutions whose weights are numbers too, and of linear
 * layers whose weights stand for numbers.
 */
#define FEWBIT_INPUT_REAL 5

/**
 * Added to FEWBIT_GGUF_*: weights that are blocks of GGUF, as they are in a file; for linear layers with FEWBIT_INPUT_REAL.
 */
#define FEWBIT_WEIGHTS_GGUF 256

/**
 * Added to FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4 or FEWBIT_MXINT8: weights in OCP MX; for linear layers with
 * FEWBIT_INPUT_REAL.
 */
#define FEWBIT_WEIGHTS_MX 512

/**
 * Products of numbers are one chain of fused multiply-adds an output: the same on every CPU.
 */
#define FEWBIT_ARITHMETIC_CHAIN 0

/**
 * bf16 by bf16 as vdpbf16ps has it: the same chain but for subnormal numbers, which are zeros (docs/numerics.md). For linear layers
 * with FEWBIT_INPUT_REAL, input and weights FEWBIT_BF16, on CPUs with avx512_bf16; others refuse it.
 */
#define FEWBIT_ARITHMETIC_BF16_DOT 1

/**
 * bf16 by bf16 as bfdot and bfmmla (FEAT_BF16) have it: two products at a time, every step rounded to odd, subnormal numbers zeros
 * (docs/numerics.md). For linear layers with FEWBIT_INPUT_REAL, input and weights FEWBIT_BF16, on CPUs with neon_bf16; others refuse it.
 */
#define FEWBIT_ARITHMETIC_BF16_DOT_ODD 2

/**
 * f16 by f16 as fmla of f16 (FEAT_FP16) has it: each step rounded to f16, in blocks of 64 neighbours along k, whose sums are added in f32
 * (docs/numerics.md). For linear layers with FEWBIT_INPUT_REAL, weights FEWBIT_F16, input FEWBIT_F16, or FEWBIT_F32, which is rounded to it, on
 * CPUs with neon_fp16; others refuse it.
 */
#define FEWBIT_ARITHMETIC_F16_FMA 3

/**
 * Weights in NVFP4: elements of E2M1, two in a byte, a scale of E4M3 for each 16, and an f32 scale; for linear layers with
 * FEWBIT_INPUT_REAL.
 */
#define FEWBIT_WEIGHTS_NVFP4 768

/**
 * No activation.
 */
#define FEWBIT_ACTIVATION_NONE 0

/**
 * max(0, y).
 */
#define FEWBIT_ACTIVATION_RELU 1

/**
 * min(max(y, alpha), beta); 0 and 6 make ReLU6.
 */
#define FEWBIT_ACTIVATION_CLAMP 2

/**
 * y, or alpha * y where y is negative.
 */
#define FEWBIT_ACTIVATION_LEAKY_RELU 3

/**
 * y * min(max(y + 3, 0), 6) / 6.
 */
#define FEWBIT_ACTIVATION_HARD_SWISH 4

/**
 * 1 / (1 + exp(-y)).
 */
#define FEWBIT_ACTIVATION_SIGMOID 5

/**
 * y / (1 + exp(-y)), also called swish.
 */
#define FEWBIT_ACTIVATION_SILU 6

/**
 * The hyperbolic tangent.
 */
#define FEWBIT_ACTIVATION_TANH 7

/**
 * y (1 + erf(y / sqrt 2)) / 2: the exact form.
 */
#define FEWBIT_ACTIVATION_GELU 8

/**
 * y (1 + tanh(sqrt(2 / pi) (y + 0.044715 y^3))) / 2: its approximation.
 */
#define FEWBIT_ACTIVATION_GELU_TANH 9

/**
 * The activation of real results, which are then stored or quantized.
 */
#define FEWBIT_ACTIVATION_MODE_FLOAT 0

/**
 * The activation of intermediate codes by a table of 256, as operators computed one by one give it.
 */
#define FEWBIT_ACTIVATION_MODE_TABLE 1

/**
 * 8-bit output under the parameters given, in floats.
 */
#define FEWBIT_OUTPUT_STATIC 0

/**
 * 8-bit output under the parameters given, requantized by fixed point, in integers only.
 */
#define FEWBIT_OUTPUT_FIXED_POINT 1

/**
 * 8-bit output under parameters that each row's results choose in the run (convolution: each image's); it is run by the
 * functions whose names have `dynamic`, fewbit_linear_run_dynamic and others.
 */
#define FEWBIT_OUTPUT_DYNAMIC_PER_ROW 2

/**
 * Weights [out_features][in_features]: an output's weights are contiguous.
 */
#define FEWBIT_LAYOUT_NK 0

/**
 * Weights [in_features][out_features]: an input's weights are contiguous.
 */
#define FEWBIT_LAYOUT_KN 1

/**
 * Images [n][spatial...][channel].
 */
#define FEWBIT_LAYOUT_NHWC 0

/**
 * Images [n][channel][spatial...].
 */
#define FEWBIT_LAYOUT_NCHW 1

/**
 * Weights [out_channel][kernel...][in_channel / groups].
 */
#define FEWBIT_FILTER_OHWI 0

/**
 * Weights [out_channel][in_channel / groups][kernel...].
 */
#define FEWBIT_FILTER_OIHW 1

/**
 * Weights [in_channel][kernel...][out_channel / groups].
 */
#define FEWBIT_FILTER_IHWO 2

/**
 * Weights [in_channel][out_channel / groups][kernel...]: the usual one of transposed convolutions.
 */
#define FEWBIT_FILTER_IOHW 3

/**
 * Averages of numbers: the sum of the codes less x_params.zero_point, times x_params.scale / (count *
 * y_params.scale).
 */
#define FEWBIT_AVERAGE_NUMBERS 0

/**
 * Averages of codes, in integers only, as TensorFlow Lite: sum / count, ties away from zero. x and y have the same
 * parameters, which are not used; padding does not count.
 */
#define FEWBIT_AVERAGE_CODES 1

/**
 * The input is codes whose parameters come with the run: what fewbit_gemm_describe tells. No description takes it.
 */
#define FEWBIT_INPUT_CODES_PER_ROW 4

/**
 * A planned convolution. Immutable after creation; threads may share it.
 */
typedef struct fewbit_conv fewbit_conv;

/**
 * A planned product. Immutable after creation; threads may share it.
 */
typedef struct fewbit_gemm fewbit_gemm;

/**
 * A planned linear layer. Immutable after creation; threads may share it.
 */
typedef struct fewbit_linear fewbit_linear;

/**
 * What a call returns: FEWBIT_OK or one of FEWBIT_ERROR_*.
 */
typedef int32_t fewbit_status;

/**
 * Why a call was refused; owned by the caller, written by the call that it is passed to. Both texts end
 * with NUL, and are cut where they do not fit.
 */
typedef struct fewbit_error {
  /**
   * The status that the call returned.
   */
  fewbit_status status;
  /**
   * The offending argument, e.g. "desc.weights.scales"; empty after success.
   */
  char argument[44];
  /**
   * A sentence that names the argument and shows the value; empty after success.
   */
  char message[208];
} fewbit_error;

/**
 * x = scale * (q - zero_point).
 */
typedef struct fewbit_quant_params {
  /**
   * The size of one step; finite and greater than 0 (subnormal allowed).
   */
  float scale;
  /**
   * The code of real 0, one of the format's codes.
   */
  int32_t zero_point;
} fewbit_quant_params;

/**
 * What a 16-bit format does to numbers.
 */
typedef struct fewbit_format_hazards {
  /**
   * Finite numbers that become infinities.
   */
  uint64_t overflow;
  /**
   * Numbers other than 0 that become 0.
   */
  uint64_t underflow;
  /**
   * Numbers that become subnormal, which loses some of their bits.
   */
  uint64_t subnormal;
  /**
   * A power of two, 2^-126 to 2^127: times it no finite number overflows, and none underflows or becomes subnormal if
   * one scale can do both; otherwise as few as can be. Of those that do, the nearest to 1.
   */
  float scale;
  /**
   * 1 if with that scale nothing overflows, underflows or becomes subnormal, otherwise 0.
   */
  int32_t avoids_all;
} fewbit_format_hazards;

/**
 * What f16 and bf16 do to numbers.
 */
typedef struct fewbit_half_hazards {
  /**
   * Numbers in all.
   */
  uint64_t count;
  /**
   * NaN.
   */
  uint64_t nan;
  /**
   * Infinities.
   */
  uint64_t infinite;
  /**
   * Zeros.
   */
  uint64_t zero;
  /**
   * The largest finite magnitude; 0 if there is none.
   */
  float largest;
  /**
   * The smallest finite magnitude other than 0; 0 if there is none.
   */
  float smallest;
  /**
   * In f16.
   */
  struct fewbit_format_hazards f16;
  /**
   * In bf16.
   */
  struct fewbit_format_hazards bf16;
} fewbit_half_hazards;

/**
 * How a tensor is quantized. FEWBIT_TENSOR_QUANT_INIT: int8, affine, per tensor, half to even, division, f32.
 */
typedef struct fewbit_tensor_quant {
  /**
   * sizeof(fewbit_tensor_quant); set by FEWBIT_TENSOR_QUANT_INIT.
   */
  size_t struct_size;
  /**
   * FEWBIT_S8, U8, S16, S4, U4, S2, U1 or B1.
   */
  int32_t dtype;
  /**
   * FEWBIT_SCHEME_*.
   */
  int32_t scheme;
  /**
   * FEWBIT_RANGE_*, for the symmetric scheme of signed codes.
   */
  int32_t range;
  /**
   * Not 0: scales are powers of two, rounded up.
   */
  int32_t power_of_two;
  /**
   * FEWBIT_ROUND_*.
   */
  int32_t rounding;
  /**
   * FEWBIT_QUOTIENT_*.
   */
  int32_t quotient;
  /**
   * FEWBIT_PER_*.
   */
  int32_t granularity;
  /**
   * FEWBIT_F32, F16 or BF16: the real numbers on the other side of the codes.
   */
  int32_t real;
  /**
   * The axis of FEWBIT_PER_AXIS, _BLOCK and _BLOCK2.
   */
  size_t axis;
  /**
   * Elements of a block along `axis`.
   */
  size_t block;
  /**
   * The second axis of FEWBIT_PER_BLOCK2.
   */
  size_t axis2;
  /**
   * Elements of a block along `axis2`.
   */
  size_t block2;
} fewbit_tensor_quant;

/**
 * The dimensions and strides of a tensor, in elements; axis 0 is outermost. If all strides are 0 the tensor
 * is row-major without gaps; packed codes then start each innermost row on a byte.
 */
typedef struct fewbit_shape {
  /**
   * sizeof(fewbit_shape); set by FEWBIT_SHAPE_INIT.
   */
  size_t struct_size;
  /**
   * Axes, 0..8.
   */
  size_t rank;
  /**
   * Elements along each axis.
   */
  size_t dims[8];
  /**
   * Distance of neighbours along each axis; all 0: no gaps.
   */
  size_t strides[8];
} fewbit_shape;

/**
 * One task of a run: called once for each index, with a worker number that no other running task has.
 */
typedef void (*fewbit_task)(void *arg, size_t index, size_t worker);

/**
 * The caller's threads. `run(ctx, n, task, arg)` calls `task(arg, index, worker)` exactly once for each
 * index < n, in any order, with worker < max_workers and no two tasks running at once under the same
 * worker, and returns when all are done. Calling them one after another is legal. fewbit spawns no
 * threads of its own. Where a function takes a pointer to one, NULL means the calling thread. `run` may be called
 * more than once in a call of the library, or not at all: with max_workers 1 the calling thread may do the tasks. It
 * must not throw, nor leave by longjmp, and must not return before every task that it has started is done. Tasks, and
 * `run` itself on the calling thread, find the default floating-point environment.
 */
typedef struct fewbit_parallel_for {
  /**
   * Passed to `run`.
   */
  void *ctx;
  /**
   * One more than the largest worker number; at least 1. Workspace sizes grow with it.
   */
  size_t max_workers;
  /**
   * Runs the tasks. NULL: the calling thread runs them, as worker 0.
   */
  void (*run)(void *ctx, size_t n, fewbit_task task, void *arg);
  /**
   * A run of a plan of fewer operations than this (2 for each product of two numbers) stays on the calling thread,
   * where it takes less time than waking another would. 0: 2^20. Threads that spin for work may say less; 1: all runs are
   * handed out.
   */
  size_t min_operations;
} fewbit_parallel_for;

/**
 * The range of all data seen. Initialise it with fewbit_min_max_init. Its fields may be read, stored and sent
 * elsewhere; merging is exact, so any order of observing and merging gives the same.
 */
typedef struct fewbit_min_max {
  /**
   * The smallest number, -0 less than +0; +infinity if there was none.
   */
  float min;
  /**
   * The largest number; -infinity if there was none.
   */
  float max;
  /**
   * Elements seen, NaN included.
   */
  uint64_t count;
  /**
   * How many of them were NaN.
   */
  uint64_t nan_count;
} fewbit_min_max;

/**
 * The mean of the batches' smallest and of their largest numbers, one batch an observe call. The sums are held
 * exactly (384-bit integers in units of 2^-149), so any order of observing and merging gives the same bits.
 * Initialise it with fewbit_moving_average_init.
 */
typedef struct fewbit_moving_average {
  /**
   * Batches that had a number.
   */
  uint64_t batches;
  /**
   * Elements seen, NaN included.
   */
  uint64_t count;
  /**
   * How many of them were NaN.
   */
  uint64_t nan_count;
  /**
   * The sum of the minima: two's complement, least significant first.
   */
  uint64_t min_sum[6];
  /**
   * The sum of the maxima.
   */
  uint64_t max_sum[6];
} fewbit_moving_average;

/**
 * How close an approximation is to its reference.
 */
typedef struct fewbit_quality {
  /**
   * Signal to quantization noise ratio, 10 log10(sum r^2 / sum (r - x)^2), in decibels; +infinity without noise.
   */
  double sqnr_db;
  /**
   * The largest |r - x|.
   */
  double max_abs_error;
  /**
   * Cosine of the angle between r and x.
   */
  double cosine;
  /**
   * Pairs compared.
   */
  uint64_t count;
  /**
   * Pairs with a NaN or an infinity.
   */
  uint64_t nonfinite_count;
} fewbit_quality;

/**
 * Quantized weights; read by the create call only.
 */
typedef struct fewbit_weights {
  /**
   * The codes, a byte each; or packed, each row of the weights (of a convolution: the weights of each index of their
   * layout's first dimension) from a byte on, as fewbit_quantize writes them; or the numbers. Their layout is the plan's.
   */
  const void *data;
  /**
   * FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4, FEWBIT_S2 (ternary weights are its -1, 0 and 1), FEWBIT_U1 (0 and 1) or
   * FEWBIT_B1 (-1 and +1; no zero points). Strides are in codes, and multiples of those of a byte. With
   * FEWBIT_INPUT_REAL the numbers' type, FEWBIT_F32, FEWBIT_F16 or FEWBIT_BF16, and all below is then 0 or NULL; or, for linear
   * layers, FEWBIT_S8, FEWBIT_U8, FEWBIT_S4 or FEWBIT_U4, codes that are multiplied as the numbers scale * (code - zero point);
   * or blocks, FEWBIT_WEIGHTS_GGUF + FEWBIT_GGUF_*, FEWBIT_WEIGHTS_MX + FEWBIT_MX* or FEWBIT_WEIGHTS_NVFP4: rows of in_features
   * weights, a multiple of a block's, in the layout FEWBIT_LAYOUT_NK without gaps, and all below is 0 or NULL but for NVFP4's
   * scale, a single one.
   */
  int32_t dtype;
  /**
   * 0; or, for linear layers, how many neighbouring weights of a channel, along K, share a scale: a multiple of 16, of
   * FEWBIT_U1 and FEWBIT_B1 of 32; the last block of a channel may be shorter. Then results are real: no s32 bias or output, no fixed point, no table.
   */
  int32_t block;
  /**
   * Scales, finite and greater than 0. May be NULL where there are multipliers, and is for numbers.
   */
  const float *scales;
  /**
   * 1, or one for each output channel; with blocks [out_features][ceil(in_features / block)].
   */
  size_t scale_count;
  /**
   * Zero points within the codes; NULL: all 0.
   */
  const int32_t *zero_points;
  /**
   * 0 with NULL; 1, or as many as scales can be.
   */
  size_t zero_point_count;
  /**
   * For FEWBIT_OUTPUT_FIXED_POINT: what sums are multiplied by, multiplier * 2^(shift - 31), as
   * fewbit_fixed_multiplier gives it; the scales are not used then. NULL: made of the scales.
   */
  const int32_t *multipliers;
  /**
   * Their shifts, -31..30.
   */
  const int32_t *shifts;
  /**
   * 0 with NULL; 1, or one for each output channel.
   */
  size_t multiplier_count;
} fewbit_weights;

/**
 * What a plan reads.
 */
typedef struct fewbit_input {
  /**
   * FEWBIT_INPUT_*.
   */
  int32_t mode;
  /**
   * The codes that are read, or that numbers are quantized to: FEWBIT_S8 or FEWBIT_U8; of linear layers also FEWBIT_S4 or
   * FEWBIT_U4, and where the weights are FEWBIT_U1 or FEWBIT_B1 one of these, with FEWBIT_INPUT_CODES. Codes of fewer than
   * eight bits are read packed, as fewbit_quantize writes them: rows start on a byte, and strides are in codes, multiples
   * of the 2 or 8 of a byte. Not used with FEWBIT_INPUT_REAL.
   */
  int32_t dtype;
  /**
   * The numbers that are read, in all modes but FEWBIT_INPUT_CODES: FEWBIT_F32, FEWBIT_F16 or FEWBIT_BF16.
   */
  int32_t real;
  /**
   * FEWBIT_SCHEME_*, for the dynamic modes.
   */
  int32_t scheme;
  /**
   * FEWBIT_RANGE_*, for the dynamic modes.
   */
  int32_t range;
  /**
   * Must be 0.
   */
  int32_t reserved;
  /**
   * For FEWBIT_INPUT_CODES and FEWBIT_INPUT_STATIC.
   */
  struct fewbit_quant_params params;
} fewbit_input;

/**
 * What is added to each output channel.
 */
typedef struct fewbit_bias {
  /**
   * One value for each output channel; NULL: none.
   */
  const void *data;
  /**
   * FEWBIT_S32: added to the int32 sums, in units of input scale * weight scale (not with a dynamic input, whose
   * scale is not known beforehand); FEWBIT_F32: added to the real result. Not used without data.
   */
  int32_t dtype;
  /**
   * Must be 0.
   */
  int32_t reserved;
} fewbit_bias;

/**
 * What is added to each result before the activation: a tensor of the result's shape that each run is given.
 */
typedef struct fewbit_residual {
  /**
   * 0: nothing is added, and the rest is not used; 1: a tensor is.
   */
  int32_t present;
  /**
   * FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, or codes: FEWBIT_S8, FEWBIT_U8.
   */
  int32_t dtype;
  /**
   * For codes.
   */
  struct fewbit_quant_params params;
} fewbit_residual;

/**
 * What a plan writes. The order of operations, whatever the output: the exact sum, an s32 bias included; the scales; the
 * f32 bias; the residual; the activation; the output's type. (8-bit output without f32 bias and residual, and with no
 * activation, ReLU or a clamp, is requantized from the sum in one step, the activation as bounds of the codes.)
 */
typedef struct fewbit_output {
  /**
   * FEWBIT_S32 (the sums; not with a dynamic input), FEWBIT_F32, FEWBIT_F16, FEWBIT_BF16, FEWBIT_S8 or FEWBIT_U8.
   */
  int32_t dtype;
  /**
   * FEWBIT_ACTIVATION_*; with s32 output none or ReLU.
   */
  int32_t activation;
  /**
   * For 8-bit outputs but FEWBIT_OUTPUT_DYNAMIC_PER_ROW.
   */
  struct fewbit_quant_params params;
  /**
   * FEWBIT_ACTIVATION_CLAMP: the smallest result; FEWBIT_ACTIVATION_LEAKY_RELU: the slope.
   */
  float alpha;
  /**
   * FEWBIT_ACTIVATION_CLAMP: the largest result.
   */
  float beta;
  /**
   * FEWBIT_ACTIVATION_MODE_*; the table is for 8-bit outputs of parameters given, without f32 bias and residual.
   */
  int32_t mode;
  /**
   * FEWBIT_ACTIVATION_MODE_TABLE: the intermediate codes, FEWBIT_S8 or FEWBIT_U8.
   */
  int32_t table_dtype;
  /**
   * FEWBIT_ACTIVATION_MODE_TABLE: their parameters.
   */
  struct fewbit_quant_params table_params;
  /**
   * FEWBIT_OUTPUT_*; other than FEWBIT_OUTPUT_STATIC for 8-bit outputs only. FEWBIT_OUTPUT_FIXED_POINT takes no
   * dynamic input, no f32 bias, no residual, and of activations none, ReLU, a clamp, or any by table; its multipliers
   * are those of the weights, or made of the scales: input scale * weight scale / output scale in double precision,
   * then fewbit_fixed_multiplier.
   */
  int32_t quantization;
  /**
   * FEWBIT_OUTPUT_FIXED_POINT: FEWBIT_FIXED_*.
   */
  int32_t rounding;
  /**
   * FEWBIT_OUTPUT_DYNAMIC_PER_ROW: FEWBIT_SCHEME_*.
   */
  int32_t scheme;
  /**
   * FEWBIT_OUTPUT_DYNAMIC_PER_ROW: FEWBIT_RANGE_*.
   */
  int32_t range;
} fewbit_output;

/**
 * Where create calls take memory from, and destroy calls give it back. Must be callable from any thread that
 * creates or destroys. Must not throw, nor leave by longjmp.
 */
typedef struct fewbit_allocator {
  /**
   * Passed back to both functions.
   */
  void *ctx;
  /**
   * Returns `size` bytes (never 0) aligned to at least 16, or NULL.
   */
  void *(*allocate)(void *ctx, size_t size);
  /**
   * Takes back what allocate returned.
   */
  void (*release)(void *ctx, void *memory);
} fewbit_allocator;

/**
 * A linear layer to plan. Start from FEWBIT_LINEAR_DESC_INIT. Everything is read by the create call only.
 */
typedef struct fewbit_linear_desc {
  /**
   * sizeof(fewbit_linear_desc); set by FEWBIT_LINEAR_DESC_INIT.
   */
  size_t struct_size;
  /**
   * K, at least 1.
   */
  size_t in_features;
  /**
   * N, at least 1.
   */
  size_t out_features;
  /**
   * The weights.
   */
  struct fewbit_weights weights;
  /**
   * FEWBIT_LAYOUT_NK or FEWBIT_LAYOUT_KN.
   */
  int32_t weight_layout;
  /**
   * How products are added up: 0, FEWBIT_ARITHMETIC_CHAIN; or one that only some CPUs have, by name.
   */
  int32_t arithmetic;
  /**
   * Codes between rows of the weights; 0: no gaps.
   */
  size_t weight_stride;
  /**
   * What is read.
   */
  struct fewbit_input input;
  /**
   * What is added.
   */
  struct fewbit_bias bias;
  /**
   * What is added to the result.
   */
  struct fewbit_residual residual;
  /**
   * What is written.
   */
  struct fewbit_output output;
  /**
   * NULL: malloc and free.
   */
  const struct fewbit_allocator *allocator;
  /**
   * Weight matrices of this shape; 0 is taken as 1. More make a plan for fewbit_linear_run_batch and
   * fewbit_linear_run_grouped. Scales and zero points are then one for all, or, as the bias, matrices * out_features,
   * matrix by matrix.
   */
  size_t matrices;
  /**
   * Codes between the first ones of neighbouring matrices; 0: no gaps.
   */
  size_t matrix_stride;
  /**
   * For FEWBIT_WEIGHTS_MX the E8M0 scales, a byte for each 32 weights, for FEWBIT_WEIGHTS_NVFP4 the E4M3 scales, a byte for
   * each 16: [out_features][in_features / 32 or 16], matrix by matrix. Otherwise NULL.
   */
  const uint8_t *weight_block_scales;
} fewbit_linear_desc;

/**
 * A run of every matrix of a plan. Start from FEWBIT_LINEAR_BATCH_INIT. Strides are in elements.
 */
typedef struct fewbit_linear_batch {
  /**
   * sizeof(fewbit_linear_batch); set by FEWBIT_LINEAR_BATCH_INIT.
   */
  size_t struct_size;
  /**
   * M, of each matrix; 0 does nothing.
   */
  size_t rows;
  /**
   * The first matrix' M rows of in_features elements of the input's type.
   */
  const void *x;
  /**
   * At least in_features.
   */
  size_t x_stride;
  /**
   * Between the x of neighbouring matrices; 0: all read the same.
   */
  size_t x_batch_stride;
  /**
   * The first matrix' residuals, for a plan that has them: y with its strides, or memory apart from y.
   */
  const void *residual;
  /**
   * At least out_features, where there is a residual.
   */
  size_t residual_stride;
  /**
   * Between the residuals of neighbouring matrices.
   */
  size_t residual_batch_stride;
  /**
   * The first matrix' M rows of out_features elements of the output's type.
   */
  void *y;
  /**
   * At least out_features.
   */
  size_t y_stride;
  /**
   * Between the y of neighbouring matrices: matrix behind matrix, or row beside row (out_features, say, with a y_stride
   * of all matrices' out_features).
   */
  size_t y_batch_stride;
  /**
   * As fewbit_linear_batch_workspace asks for; contents do not matter.
   */
  void *workspace;
  /**
   * Its bytes.
   */
  size_t workspace_size;
} fewbit_linear_batch;

/**
 * Rows that meet one of a plan's matrices: the rows of an expert, in a mixture of experts.
 */
typedef struct fewbit_linear_problem {
  /**
   * Which of the plan's matrices.
   */
  size_t matrix;
  /**
   * M; with 0 the rest is not looked at.
   */
  size_t rows;
  /**
   * M rows of in_features elements of the input's type.
   */
  const void *x;
  /**
   * At least in_features.
   */
  size_t x_stride;
  /**
   * M rows of out_features residuals, for a plan that has them; may be this problem's y, element by element.
   */
  const void *residual;
  /**
   * At least out_features, where there is a residual.
   */
  size_t residual_stride;
  /**
   * M rows of out_features elements of the output's type.
   */
  void *y;
  /**
   * At least out_features.
   */
  size_t y_stride;
} fewbit_linear_problem;

/**
 * A product to plan. Start from FEWBIT_GEMM_DESC_INIT. Everything is read by the create call only.
 */
typedef struct fewbit_gemm_desc {
  /**
   * sizeof(fewbit_gemm_desc); set by FEWBIT_GEMM_DESC_INIT.
   */
  size_t struct_size;
  /**
   * N, columns of the product, at least 1.
   */
  size_t n;
  /**
   * K, the depth, at least 1.
   */
  size_t k;
  /**
   * The rhs. Scales: none (NULL and 0: all 1), one, or one a column; zero points likewise (none: all 0).
   */
  struct fewbit_weights rhs;
  /**
   * FEWBIT_LAYOUT_NK (a column's codes are contiguous) or FEWBIT_LAYOUT_KN.
   */
  int32_t rhs_layout;
  /**
   * The codes of the lhs: FEWBIT_S8 or FEWBIT_U8; FEWBIT_S4 or FEWBIT_U4; or, with an rhs of FEWBIT_U1 or FEWBIT_B1, one of
   * these. Codes of fewer than eight bits are packed: rows start on a byte, and strides are in codes, multiples of the 2 or 8
   * of a byte. Its scales and zero points come with each run.
   */
  int32_t lhs_dtype;
  /**
   * Codes between rows of the rhs as it lies; 0: no gaps.
   */
  size_t rhs_stride;
  /**
   * Rhs matrices of this shape; 0 is taken as 1. Scales, zero points and bias are then matrix by matrix.
   */
  size_t matrices;
  /**
   * Codes between the first ones of neighbouring matrices; 0: no gaps.
   */
  size_t matrix_stride;
  /**
   * FEWBIT_S32: added to the sums, in their unit; FEWBIT_F32: added to real results. N values for each matrix.
   */
  struct fewbit_bias bias;
  /**
   * FEWBIT_S32: the sums; otherwise as for a linear layer.
   */
  struct fewbit_output output;
  /**
   * NULL: malloc and free.
   */
  const struct fewbit_allocator *allocator;
} fewbit_gemm_desc;

/**
 * A run's operands and memory. Start from FEWBIT_GEMM_ARGS_INIT. Strides are in elements.
 */
typedef struct fewbit_gemm_args {
  /**
   * sizeof(fewbit_gemm_args); set by FEWBIT_GEMM_ARGS_INIT.
   */
  size_t struct_size;
  /**
   * M, of each matrix; 0 does nothing.
   */
  size_t rows;
  /**
   * The first matrix' M rows of K codes.
   */
  const void *lhs;
  /**
   * At least K.
   */
  size_t lhs_stride;
  /**
   * Between the lhs of neighbouring matrices; 0: all read the same.
   */
  size_t lhs_batch_stride;
  /**
   * Scales of the rows, finite and greater than 0. The sums (s32 output) do not depend on them.
   */
  const float *lhs_scales;
  /**
   * 0: all 1; 1: one for all; M: one a row, the same for all matrices; M times the matrices: each its own.
   */
  size_t lhs_scale_count;
  /**
   * Zero points of the rows, codes of the lhs.
   */
  const int32_t *lhs_zero_points;
  /**
   * 0: all 0; otherwise as for the scales.
   */
  size_t lhs_zero_point_count;
  /**
   * As fewbit_gemm_workspace asks for; contents do not matter.
   */
  void *workspace;
  /**
   * Its bytes.
   */
  size_t workspace_size;
  /**
   * The first matrix' M rows of N elements of the output's type.
   */
  void *dst;
  /**
   * At least N.
   */
  size_t dst_stride;
  /**
   * Between the results of neighbouring matrices: matrix behind matrix, or row beside row.
   */
  size_t dst_batch_stride;
} fewbit_gemm_args;

/**
 * Rows of codes that meet one of a plan's matrices, with their parameters: the rows of an expert, in a mixture of experts.
 */
typedef struct fewbit_gemm_problem {
  /**
   * Which of the plan's matrices.
   */
  size_t matrix;
  /**
   * M; with 0 the rest is not looked at.
   */
  size_t rows;
  /**
   * M rows of K codes.
   */
  const void *lhs;
  /**
   * At least K.
   */
  size_t lhs_stride;
  /**
   * Scales of the rows, finite and greater than 0. The sums (s32 output) do not depend on them.
   */
  const float *lhs_scales;
  /**
   * 0: all 1; 1: one for all; M: one a row.
   */
  size_t lhs_scale_count;
  /**
   * Zero points of the rows, codes of the lhs.
   */
  const int32_t *lhs_zero_points;
  /**
   * 0: all 0; otherwise as for the scales.
   */
  size_t lhs_zero_point_count;
  /**
   * M rows of N elements of the output's type.
   */
  void *dst;
  /**
   * At least N.
   */
  size_t dst_stride;
} fewbit_gemm_problem;

/**
 * One spatial axis of a convolution.
 */
typedef struct fewbit_conv_axis {
  /**
   * Input pixels, at least 1.
   */
  size_t size;
  /**
   * Taps, at least 1.
   */
  size_t kernel;
  /**
   * Input pixels between output pixels; 0 is taken as 1.
   */
  size_t stride;
  /**
   * Input pixels between taps; 0 is taken as 1.
   */
  size_t dilation;
  /**
   * Real zeros before the first pixel.
   */
  size_t pad_begin;
  /**
   * Real zeros behind the last pixel.
   */
  size_t pad_end;
} fewbit_conv_axis;

/**
 * A convolution to plan. Start from FEWBIT_CONV_DESC_INIT. Everything is read by the create call only.
 */
typedef struct fewbit_conv_desc {
  /**
   * sizeof(fewbit_conv_desc); set by FEWBIT_CONV_DESC_INIT.
   */
  size_t struct_size;
  /**
   * Spatial axes, 1..3; the first `spatial` of `axes` are used, outermost first: (h, w) for 2-d.
   */
  size_t spatial;
  /**
   * The spatial axes.
   */
  struct fewbit_conv_axis axes[3];
  /**
   * C, a multiple of groups.
   */
  size_t in_channels;
  /**
   * O, a multiple of groups.
   */
  size_t out_channels;
  /**
   * Independent convolutions side by side, at least 1; in_channels for a depthwise one.
   */
  size_t groups;
  /**
   * FEWBIT_LAYOUT_NHWC or FEWBIT_LAYOUT_NCHW, of input and output, without gaps.
   */
  int32_t layout;
  /**
   * A FEWBIT_FILTER_ constant: how weights lie, without gaps.
   */
  int32_t filter_layout;
  /**
   * The weights.
   */
  struct fewbit_weights weights;
  /**
   * What is read; per row means per image.
   */
  struct fewbit_input input;
  /**
   * What is added.
   */
  struct fewbit_bias bias;
  /**
   * What is added to the result.
   */
  struct fewbit_residual residual;
  /**
   * What is written.
   */
  struct fewbit_output output;
  /**
   * NULL: malloc and free.
   */
  const struct fewbit_allocator *allocator;
} fewbit_conv_desc;

/**
 * Images and the windows over them. Start from FEWBIT_POOL_DESC_INIT.
 */
typedef struct fewbit_pool_desc {
  /**
   * sizeof(fewbit_pool_desc); set by FEWBIT_POOL_DESC_INIT.
   */
  size_t struct_size;
  /**
   * Spatial axes, 1..3; the first `spatial` of `axes` are used, outermost first: (h, w) for 2-d.
   */
  size_t spatial;
  /**
   * The spatial axes. Global pooling uses their sizes only.
   */
  struct fewbit_conv_axis axes[3];
  /**
   * Channels, at least 1; each is pooled by itself.
   */
  size_t channels;
  /**
   * FEWBIT_LAYOUT_NHWC or FEWBIT_LAYOUT_NCHW, of x and y, without gaps.
   */
  int32_t layout;
  /**
   * FEWBIT_S8 or FEWBIT_U8, of x and y.
   */
  int32_t dtype;
  /**
   * 1: the number of output pixels is rounded up, not down, so that the last window may reach beyond the padded input
   * (unless it would begin behind the input), as in ONNX and PyTorch; 0: it is not.
   */
  int32_t ceil_mode;
  /**
   * FEWBIT_AVERAGE_NUMBERS: 1 if padding counts, as real 0 (what a window has beyond the padding never does); 0 if not.
   */
  int32_t count_include_pad;
  /**
   * FEWBIT_AVERAGE_*; averages only.
   */
  int32_t average;
  /**
   * FEWBIT_AVERAGE_NUMBERS: parameters of x.
   */
  struct fewbit_quant_params x_params;
  /**
   * FEWBIT_AVERAGE_NUMBERS: parameters of y.
   */
  struct fewbit_quant_params y_params;
} fewbit_pool_desc;

/**
 * Two tensors of codes and their sum or product, without gaps: `a` and `y` are matrices of rows * columns, `b` one of
 * b_rows * b_columns that is repeated to their size. Start from FEWBIT_BINARY_DESC_INIT.
 *
 *   b of a's shape:                       b_rows = rows, b_columns = columns (rows may be 1)
 *   b a single number:                    b_rows = 1, b_columns = 1
 *   b for the last dimension (a channel): b_rows = 1, b_columns = columns
 *   b for the channels of NCHW images:    rows = images * channels, columns = pixels, b_rows = channels, b_columns = 1
 */
typedef struct fewbit_binary_desc {
  /**
   * sizeof(fewbit_binary_desc); set by FEWBIT_BINARY_DESC_INIT.
   */
  size_t struct_size;
  /**
   * Rows of a and y, a multiple of b_rows: row i meets row i mod b_rows of b.
   */
  size_t rows;
  /**
   * Columns of a and y.
   */
  size_t columns;
  /**
   * Rows of b, at least 1.
   */
  size_t b_rows;
  /**
   * Columns of b: columns, or 1, which meets all of a row.
   */
  size_t b_columns;
  /**
   * FEWBIT_S8 or FEWBIT_U8, of a, b and y.
   */
  int32_t dtype;
  /**
   * 0: in floats; 1: in integers only, with TensorFlow Lite's arithmetic of ADD and MUL.
   */
  int32_t fixed_point;
  /**
   * Parameters of a.
   */
  struct fewbit_quant_params a;
  /**
   * Parameters of b.
   */
  struct fewbit_quant_params b;
  /**
   * Parameters of y.
   */
  struct fewbit_quant_params y;
  /**
   * FEWBIT_ACTIVATION_NONE, FEWBIT_ACTIVATION_RELU or FEWBIT_ACTIVATION_CLAMP: bounds of the codes of y.
   */
  int32_t activation;
  /**
   * FEWBIT_ACTIVATION_CLAMP: the smallest number.
   */
  float alpha;
  /**
   * FEWBIT_ACTIVATION_CLAMP: the largest number.
   */
  float beta;
} fewbit_binary_desc;

/**
 * A tensor to concatenate: [outer][len][inner] codes without gaps.
 */
typedef struct fewbit_concat_piece {
  /**
   * The codes; may be NULL if there are none.
   */
  const void *x;
  /**
   * Elements along the axis.
   */
  size_t len;
  /**
   * Their parameters.
   */
  struct fewbit_quant_params params;
} fewbit_concat_piece;

/**
 * What a plan tells of itself. Start from FEWBIT_PLAN_INFO_INIT.
 */
typedef struct fewbit_plan_info {
  /**
   * sizeof(fewbit_plan_info); set by FEWBIT_PLAN_INFO_INIT.
   */
  size_t struct_size;
  /**
   * Elements of a row of x: in_features, K; of a convolution those of an input image.
   */
  size_t in_features;
  /**
   * Elements of a row of y: out_features, N; of a convolution those of an output image.
   */
  size_t out_features;
  /**
   * Weight matrices; of a convolution 1.
   */
  size_t matrices;
  /**
   * FEWBIT_INPUT_*.
   */
  int32_t input_mode;
  /**
   * The type of x, as the caller passes it: codes, or numbers.
   */
  int32_t input_dtype;
  /**
   * The codes that are multiplied, FEWBIT_S8, FEWBIT_U8, FEWBIT_S4, FEWBIT_U4, FEWBIT_U1 or FEWBIT_B1; with FEWBIT_INPUT_REAL FEWBIT_F32, as which
   * numbers are.
   */
  int32_t code_dtype;
  /**
   * The type of y.
   */
  int32_t output_dtype;
  /**
   * The largest absolute int32 sum that any input can give, proven from the weights; 0 for weights that are numbers.
   */
  int64_t bound;
  /**
   * Bytes of packed weights.
   */
  size_t weight_bytes;
  /**
   * The name of the kernel that multiplies, NUL-terminated.
   */
  char kernel_name[64];
} fewbit_plan_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A fixed English text for a status; "unknown status" for any other number. Never NULL, never freed.
 * Callable from any thread.
 */
const char *fewbit_status_string(fewbit_status status);

/**
 * The library's version as major * 1000000 + minor * 1000 + patch; the header's is FEWBIT_VERSION.
 */
uint32_t fewbit_version(void);

/**
 * The library's version as "major.minor.patch". Never NULL, never freed.
 */
const char *fewbit_version_string(void);

/**
 * What the CPU has: bit i set means the instruction set named fewbit_isa_name(i). Portable scalar code
 * is always there and has no bit. Costs microseconds.
 */
uint32_t fewbit_isa_detected(void);

/**
 * What kernels may use: the CPU's instruction sets within FEWBIT_ISA or fewbit_set_isa. Decides the
 * limit if nothing has yet.
 *
 * @param[out] isa  Bits as fewbit_isa_detected.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_ISA if FEWBIT_ISA names an unknown or unavailable instruction set;
 *         FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED.
 */
fewbit_status fewbit_isa_enabled(uint32_t *isa, struct fewbit_error *error);

/**
 * The name of the instruction set with bit `bit`, e.g. "avx512_vnni"; NULL if there is none. Never freed.
 */
const char *fewbit_isa_name(uint32_t bit);

/**
 * Limits the instruction sets of this process, like the environment variable FEWBIT_ISA, which it
 * replaces. Call it before any function that computes. Results are the same bits under every limit; only
 * speed differs.
 *
 * @param[in] limit  "native", "scalar", or names separated by commas; each brings those it is built on
 *                   ("avx512_vnni" allows avx512 and avx2 too).
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_ISA if a name is unknown, the CPU lacks it, or another limit is already in use;
 *         FEWBIT_ERROR_NULL_POINTER.
 */
fewbit_status fewbit_set_isa(const char *limit, struct fewbit_error *error);

/**
 * The number of kernels in the library, whatever the CPU at hand can run.
 */
size_t fewbit_kernel_count(void);

/**
 * A kernel's name, e.g. "quantize_f32s8_avx2", and what it needs.
 *
 * @param[in] index  Less than fewbit_kernel_count().
 * @param[out] name  At least 64 bytes; NUL-terminated.
 * @param[in] name_size  Bytes of `name`.
 * @param[out] isa  The instruction sets it needs, as bits of fewbit_isa_name. May be NULL.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_INVALID_ARGUMENT for an index out of range, FEWBIT_ERROR_BUFFER_TOO_SMALL,
 *         FEWBIT_ERROR_NULL_POINTER.
 */
fewbit_status fewbit_kernel_name(size_t index, char *name, size_t name_size, uint32_t *isa, struct fewbit_error *error);

/**
 * Quantizes to int8: q = clamp(round_half_even(x / scale) + zero_point, -128, 127). The division is
 * correctly rounded; infinities and huge numbers saturate; NaN gives zero_point.
 *
 * @param[in] x  n numbers.
 * @param[in] params  Scale and zero point (-128..127) of all.
 * @param[out] q  n codes; must not overlap x.
 * @return FEWBIT_ERROR_NULL_POINTER (x and q may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (params, n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_quantize_f32_s8(const float *x, size_t n, const struct fewbit_quant_params *params, int8_t *q);

/**
 * Quantizes to uint8: q = clamp(round_half_even(x / scale) + zero_point, 0, 255); otherwise as
 * fewbit_quantize_f32_s8.
 */
fewbit_status fewbit_quantize_f32_u8(const float *x, size_t n, const struct fewbit_quant_params *params, uint8_t *q);

/**
 * Dequantizes int8: x = f32(q - zero_point) * scale; the difference is exact, the product rounds once.
 *
 * @param[in] q  n codes.
 * @param[in] params  As fewbit_quantize_f32_s8.
 * @param[out] x  n numbers; must not overlap q.
 * @return As fewbit_quantize_f32_s8.
 */
fewbit_status fewbit_dequantize_s8_f32(const int8_t *q, size_t n, const struct fewbit_quant_params *params, float *x);

/**
 * Dequantizes uint8: x = f32(q - zero_point) * scale; otherwise as fewbit_dequantize_s8_f32.
 */
fewbit_status fewbit_dequantize_u8_f32(const uint8_t *q, size_t n, const struct fewbit_quant_params *params, float *x);

/**
 * The smallest and the largest of the numbers that are not NaN, with -0 less than +0; +infinity and
 * -infinity if there are none.
 *
 * @param[in] x  n numbers.
 * @param[out] min, max  One number each; must not overlap x, nor each other.
 * @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_min_max_f32(const float *x, size_t n, float *min, float *max);

/**
 * The largest magnitude of the numbers that are not NaN; 0 if there are none.
 *
 * @param[in] x  n numbers.
 * @param[out] absmax  One number; must not overlap x.
 * @return As fewbit_min_max_f32.
 */
fewbit_status fewbit_absmax_f32(const float *x, size_t n, float *absmax);

/**
 * The sum of each row, in f32 and in an order that does not depend on the CPU: of each 4096 numbers, number i is
 * added to partial sum i mod 64, in the order of i; the 64 are folded by halves (s[i] += s[i + 32], then 16, ... 1);
 * the results are added in order. NaN is the one of bits 0x7FC00000.
 *
 * @param[in] x  rows of n contiguous numbers, row_stride numbers apart.
 * @param[in] rows, n  Rows, and numbers of a row.
 * @param[in] row_stride  At least n.
 * @param[out] sums  rows numbers; must not overlap x.
 * @return As fewbit_min_max_f32; FEWBIT_ERROR_INVALID_ARGUMENT for row_stride too.
 */
fewbit_status fewbit_row_sums_f32(const float *x, size_t rows, size_t n, size_t row_stride, float *sums);

/**
 * The sum of each row of int8 codes, exact: what a zero point on the other side of a product multiplies.
 *
 * @param[in] q  rows of n contiguous codes, row_stride codes apart.
 * @param[in] rows, n  Rows, and codes of a row; n at most 2^23.
 * @param[in] row_stride  At least n.
 * @param[out] sums  rows sums; must not overlap q.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_LIMIT_EXCEEDED (n), FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_row_sums_s8(const int8_t *q, size_t rows, size_t n, size_t row_stride, int32_t *sums);

/**
 * The sum of each row of uint8 codes; otherwise as fewbit_row_sums_s8.
 */
fewbit_status fewbit_row_sums_u8(const uint8_t *q, size_t rows, size_t n, size_t row_stride, int32_t *sums);

/**
 * Converts f32 to IEEE binary16 bits: to nearest, ties to even; subnormals kept; beyond 65504 rounds to
 * infinity (65520 and more); NaN keeps its sign and top payload bits and becomes quiet.
 *
 * @param[in] x  n numbers.
 * @param[out] y  n values; must not overlap x.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_convert_f32_f16(const float *x, size_t n, uint16_t *y);

/**
 * Converts IEEE binary16 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_f16_f32(const uint16_t *x, size_t n, float *y);

/**
 * Converts f32 to bfloat16 bits: to nearest, ties to even; subnormals kept; NaN as
 * fewbit_convert_f32_f16, and the rest too.
 */
fewbit_status fewbit_convert_f32_bf16(const float *x, size_t n, uint16_t *y);

/**
 * Converts bfloat16 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_bf16_f32(const uint16_t *x, size_t n, float *y);

/**
 * Converts f32 to OCP E4M3FN bits: to nearest, ties to even; subnormals kept; NaN gives 0x7F with its
 * sign. What rounds beyond 448 becomes +-448 if saturate is not 0, otherwise NaN (there is no infinity).
 * Otherwise as fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_f32_f8e4m3fn(const float *x, size_t n, int32_t saturate, uint8_t *y);

/**
 * Converts OCP E4M3FN bits to f32, exactly. Otherwise as fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_f8e4m3fn_f32(const uint8_t *x, size_t n, float *y);

/**
 * Converts f32 to OCP E5M2 bits: to nearest, ties to even; subnormals kept; NaN gives 0x7E with its sign.
 * What rounds beyond 57344 becomes +-57344 if saturate is not 0, otherwise infinity. Otherwise as
 * fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_f32_f8e5m2(const float *x, size_t n, int32_t saturate, uint8_t *y);

/**
 * Converts OCP E5M2 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
 */
fewbit_status fewbit_convert_f8e5m2_f32(const uint8_t *x, size_t n, float *y);

/**
 * Tells what becomes of f32 numbers in f16 and bf16, as fewbit_convert_f32_f16 and fewbit_convert_f32_bf16 would have it: how
 * many overflow, underflow to 0 or become subnormal, the extremes, and the power of two that avoids it. All counts are exact.
 *
 * @param[in] x  n numbers.
 * @param[out] hazards  Must not overlap x.
 * @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_half_hazards_f32(const float *x,
                                      size_t n,
                                      struct fewbit_half_hazards *hazards);

/**
 * What the CPU at hand, under its operating system, can do with 16-bit floats by instructions of its own: a sum of
 * FEWBIT_HALF_F16_CONVERSION (x86-64: F16C), FEWBIT_HALF_F16_ARITHMETIC (AVX512-FP16, FEAT_FP16) and FEWBIT_HALF_BF16_DOT
 * (AVX512_BF16, FEAT_BF16). Facts to choose formats by; this library's results do not depend on them, unless an
 * arithmetic is asked for by name, nor does a limit of instruction sets show.
 */
int32_t fewbit_half_support(void);

/**
 * Requantizes int32 sums to int8, float mode: q = clamp(round_half_even(f32(acc) * multiplier) +
 * zero_point, -128, 127). f32(acc) rounds to nearest even beyond 2^24. ONNX Runtime's formula.
 *
 * @param[in] acc  n sums.
 * @param[in] multiplier  scale_lhs * scale_rhs / scale_q; finite, not negative.
 * @param[in] zero_point  Of q, -128..127.
 * @param[out] q  n codes; must not overlap acc.
 * @return As fewbit_quantize_f32_s8.
 */
fewbit_status fewbit_requantize_s32_s8(const int32_t *acc, size_t n, float multiplier, int32_t zero_point, int8_t *q);

/**
 * Requantizes int32 sums to uint8, float mode; codes and zero point 0..255, otherwise as
 * fewbit_requantize_s32_s8.
 */
fewbit_status fewbit_requantize_s32_u8(const int32_t *acc, size_t n, float multiplier, int32_t zero_point, uint8_t *q);

/**
 * A real multiplier in fixed point: real = multiplier * 2^(shift - 31), multiplier in 2^30..2^31 or 0,
 * the mantissa rounded with ties away from zero; below 2^-32 both are 0. TensorFlow Lite's
 * QuantizeMultiplier.
 *
 * @param[in] real  Not negative; less than 2^30, also when rounded.
 * @param[out] multiplier, shift  One number each.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (real), FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_fixed_multiplier(double real, int32_t *multiplier, int32_t *shift);

/**
 * Requantizes int32 sums to int8 in integers only: q = clamp(round(acc * multiplier * 2^(shift - 31)) +
 * zero_point, -128, 127), TensorFlow Lite's MultiplyByQuantizedMultiplier. The floating-point
 * environment is not touched.
 *
 * @param[in] acc  n sums.
 * @param[in] multiplier, shift  From fewbit_fixed_multiplier; not negative, and -31..30.
 * @param[in] rounding  FEWBIT_FIXED_DOUBLE or FEWBIT_FIXED_SINGLE.
 * @param[in] zero_point  Of q, -128..127.
 * @param[out] q  n codes; must not overlap acc.
 * @return As fewbit_quantize_f32_s8.
 */
fewbit_status fewbit_requantize_fixed_s32_s8(const int32_t *acc,
                                             size_t n,
                                             int32_t multiplier,
                                             int32_t shift,
                                             int32_t rounding,
                                             int32_t zero_point,
                                             int8_t *q);

/**
 * Requantizes int32 sums to uint8 in integers only; codes and zero point 0..255, otherwise as
 * fewbit_requantize_fixed_s32_s8.
 */
fewbit_status fewbit_requantize_fixed_s32_u8(const int32_t *acc,
                                             size_t n,
                                             int32_t multiplier,
                                             int32_t shift,
                                             int32_t rounding,
                                             int32_t zero_point,
                                             uint8_t *q);

/**
 * Moves int8 codes to other parameters: out = clamp(round_half_even(f32(q - from.zero_point) *
 * (from.scale / to.scale)) + to.zero_point, -128, 127); the quotient of the scales is one f32 division.
 *
 * @param[in] q  n codes.
 * @param[in] from, to  Parameters of q and of out.
 * @param[out] out  n codes; may be q itself, but must not overlap it otherwise.
 * @return As fewbit_quantize_f32_s8; FEWBIT_ERROR_INVALID_ARGUMENT too if the quotient overflows.
 */
fewbit_status fewbit_rescale_s8_s8(const int8_t *q,
                                   size_t n,
                                   const struct fewbit_quant_params *from,
                                   const struct fewbit_quant_params *to,
                                   int8_t *out);

/**
 * Moves uint8 codes to other parameters; codes and zero points 0..255, otherwise as fewbit_rescale_s8_s8.
 */
fewbit_status fewbit_rescale_u8_u8(const uint8_t *q,
                                   size_t n,
                                   const struct fewbit_quant_params *from,
                                   const struct fewbit_quant_params *to,
                                   uint8_t *out);

/**
 * Packs codes of less than a byte: 4 bits two in a byte, low nibble first; 2 bits four and 1 bit eight in
 * a byte, least significant first. Codes are taken modulo their bits; FEWBIT_B1 stores -1 as 0 and +1 as
 * 1. The rest of the last byte is filled with the code zero_point.
 *
 * @param[in] codes  n codes, a byte each.
 * @param[in] dtype  FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1 or FEWBIT_B1.
 * @param[in] zero_point  The code of zero.
 * @param[out] packed  ceil(n * bits / 8) bytes; must not overlap codes.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (dtype, zero_point,
 *         n), FEWBIT_ERROR_UNSUPPORTED (dtype of a byte or more), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_pack(const int8_t *codes, size_t n, int32_t dtype, int32_t zero_point, uint8_t *packed);

/**
 * Unpacks codes of less than a byte; the inverse of fewbit_pack.
 *
 * @param[in] packed  ceil(n * bits / 8) bytes.
 * @param[in] n, dtype  As fewbit_pack.
 * @param[out] codes  n codes, a byte each, sign-extended; must not overlap packed.
 * @return As fewbit_pack.
 */
fewbit_status fewbit_unpack(const uint8_t *packed, size_t n, int32_t dtype, int8_t *codes);

/**
 * The bytes of GGUF blocks.
 *
 * @param[in] format  FEWBIT_GGUF_*.
 * @param[in] n  The number of numbers, a multiple of 32; of FEWBIT_GGUF_Q4_K, Q5_K and Q6_K of 256.
 * @param[out] bytes  One number.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (format, n), FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_gguf_size(int32_t format, size_t n, size_t *bytes);

/**
 * Quantizes f32 to GGUF blocks, byte for byte as the Python package gguf does: codes by the f32 scale d, which is then
 * stored as f16; ties away from zero (Q8_0), up (the others). With a NaN a block is NaN; with an infinity, or beyond
 * f16, its scale is infinite. docs/numerics.md has the formulas.
 *
 * @param[in] format  FEWBIT_GGUF_Q8_0, FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q4_1, FEWBIT_GGUF_Q5_0 or FEWBIT_GGUF_Q5_1.
 * @param[in] x  n numbers.
 * @param[in] n  A multiple of 32.
 * @param[out] blocks  fewbit_gguf_size bytes, at any address; must not overlap x.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
 *         FEWBIT_ERROR_UNSUPPORTED (Q4_K, Q5_K, Q6_K), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_gguf_quantize(int32_t format, const float *x, size_t n, void *blocks);

/**
 * Dequantizes GGUF blocks to f32: d * q, d * (q - 8), d * (q - 16) or d * q + m; of the K formats (d * scale) * q - dmin * min,
 * Q6_K (d * scale) * (q - 32). Exact, but for the sum; NaN is the canonical one.
 *
 * @param[in] format, n  As fewbit_gguf_size.
 * @param[in] blocks  fewbit_gguf_size bytes, at any address.
 * @param[out] x  n numbers; must not overlap blocks.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_gguf_dequantize(int32_t format,
                                     const void *blocks,
                                     size_t n,
                                     float *x);

/**
 * Takes GGUF blocks apart into weights of a linear layer with a scale a block (fewbit_weights, block 32), exactly: each
 * number is scale * (code - zero point). Rows of K weights, a multiple of 32, one behind the other (FEWBIT_LAYOUT_NK) become
 * rows of codes, and scales and zero points [N][K / 32], as such a layer reads them.
 *
 * A scale is positive, but the d of a block may not be: where it is negative, codes are complemented (-1 - c) and the zero
 * point is -1; where it is 0, codes are 0 and the scale is 1. Q4_1 and Q5_1 have a real minimum, which no zero point
 * is: dequantize them, and make a layer of real weights, or quantize them anew.
 *
 * @param[in] format  FEWBIT_GGUF_Q4_0, FEWBIT_GGUF_Q5_0 or FEWBIT_GGUF_Q8_0.
 * @param[in] blocks  fewbit_gguf_size bytes, at any address, as they are in a file.
 * @param[in] n  A multiple of 32.
 * @param[out] codes  Q4_0: n / 2 bytes of FEWBIT_S4; else n bytes of FEWBIT_S8.
 * @param[out] scales  n / 32 scales.
 * @param[out] zero_points  n / 32 zero points, 0 or -1. Outputs must not overlap each other or blocks.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n, blocks: a d that is not
 *         finite), FEWBIT_ERROR_UNSUPPORTED (the other formats), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA. Nothing is written then.
 */
fewbit_status fewbit_gguf_unpack(int32_t format,
                                 const void *blocks,
                                 size_t n,
                                 void *codes,
                                 float *scales,
                                 int32_t *zero_points);

/**
 * The bytes of an OCP MX format: a scale for each 32 numbers, the last of which may be fewer, and the elements.
 *
 * @param[in] format  FEWBIT_MXFP8_E4M3, FEWBIT_MXFP8_E5M2, FEWBIT_MXFP4 or FEWBIT_MXINT8.
 * @param[in] n  The number of numbers.
 * @param[out] scales, elements  One number each.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (format, n), FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_mx_size(int32_t format, size_t n, size_t *scales, size_t *elements);

/**
 * Quantizes f32 to an OCP MX format. A block's scale is 2^(floor(log2(largest magnitude)) - emax), at least 2^-127, with
 * emax 8 (E4M3), 15 (E5M2), 2 (MXFP4), 0 (MXINT8); its elements are the numbers over the scale, to nearest, ties to
 * even, saturating. A block with a NaN or an infinity has the scale 0xFF, NaN, and zeros for elements.
 *
 * @param[in] format  As fewbit_mx_size.
 * @param[in] x  n numbers.
 * @param[in] n  The number of numbers.
 * @param[out] scales  ceil(n / 32) scales.
 * @param[out] elements  n bytes, of MXFP4 ceil(n / 2). None of the three may overlap.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (format, n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_mx_quantize(int32_t format,
                                 const float *x,
                                 size_t n,
                                 uint8_t *scales,
                                 void *elements);

/**
 * Dequantizes an OCP MX format to f32: element times scale, exact, or infinite beyond f32. NaN, of either, is the
 * canonical one.
 *
 * @param[in] format, n  As fewbit_mx_quantize.
 * @param[in] scales  ceil(n / 32) scales.
 * @param[in] elements  n bytes, of MXFP4 ceil(n / 2).
 * @param[out] x  n numbers; must not overlap the others.
 * @return As fewbit_mx_quantize.
 */
fewbit_status fewbit_mx_dequantize(int32_t format, const uint8_t *scales, const void *elements, size_t n, float *x);

/**
 * The scale of a tensor in NVFP4 by its largest magnitude (fewbit_absmax_f32), amax / (448 * 6), with which the largest block's
 * scale is the largest of E4M3; 1 where that is 0.
 *
 * @param[in] amax  The largest magnitude, finite and not negative.
 * @param[out] tensor_scale  One number.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (amax), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_nvfp4_tensor_scale(float amax,
                                        float *tensor_scale);

/**
 * The bytes of NVFP4: a scale of E4M3 for each 16 numbers, the last of which may be fewer, and elements of E2M1, two in a byte.
 *
 * @param[in] n  The number of numbers.
 * @param[out] scales, elements  One number each.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (n), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_nvfp4_size(size_t n,
                                size_t *scales,
                                size_t *elements);

/**
 * Quantizes f32 to NVFP4 (NVIDIA, arXiv:2509.25149). A block's scale is (its largest magnitude / 6) / tensor_scale as E4M3, to nearest,
 * ties to even, at most 448; its elements are the numbers over (E4M3 scale * tensor_scale) as E2M1, to nearest, ties to
 * even, saturating at 6, and 0 where the block's scale is 0. Each operation is one rounded f32 operation. A block with a NaN or
 * an infinity has the scale NaN, 0x7F, and zeros for elements.
 *
 * @param[in] tensor_scale  The tensor's scale, finite and greater than 0, as fewbit_nvfp4_tensor_scale gives it, or another one.
 * @param[in] x  n numbers.
 * @param[in] n  The number of numbers.
 * @param[out] scales  ceil(n / 16) scales.
 * @param[out] elements  ceil(n / 2) bytes: two elements each, the first one in the low nibble. None of the three may overlap.
 * @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (tensor_scale, n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_nvfp4_quantize(float tensor_scale,
                                    const float *x,
                                    size_t n,
                                    uint8_t *scales,
                                    void *elements);

/**
 * Dequantizes NVFP4 to f32: element * (E4M3 scale * tensor_scale), both products rounded f32 operations. NaN is the canonical one.
 *
 * @param[in] tensor_scale, n  As fewbit_nvfp4_quantize.
 * @param[in] scales  ceil(n / 16) scales.
 * @param[in] elements  ceil(n / 2) bytes.
 * @param[out] x  n numbers; must not overlap the others.
 * @return As fewbit_nvfp4_quantize.
 */
fewbit_status fewbit_nvfp4_dequantize(float tensor_scale,
                                      const uint8_t *scales,
                                      const void *elements,
                                      size_t n,
                                      float *x);

/**
 * Parameters for a range of real numbers.
 *
 * Affine: the range is widened to contain 0; scale = (max - min) / (qmax - qmin); zero_point =
 * clamp(round_half_even(qmin - min / scale), qmin, qmax). Symmetric: amax = max(|min|, |max|), scale = amax /
 * qmax (narrow) or amax / -qmin (full), zero_point 0. Infinite ends are taken as the largest finite number; a
 * range of 0 alone, and (+infinity, -infinity), the range of no data, give scale 1; a scale never underflows to 0.
 *
 * @param[in] min, max  The range; not NaN, min <= max.
 * @param[in] spec  dtype, scheme, range, power_of_two; the rest is checked but not used.
 * @param[out] params  Scale and zero point.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT.
 */
fewbit_status fewbit_params_from_range(float min,
                                       float max,
                                       const struct fewbit_tensor_quant *spec,
                                       struct fewbit_quant_params *params,
                                       struct fewbit_error *error);

/**
 * The number of parameters that a tensor needs under a granularity: the product over the axes of ceil(dim /
 * extent of a block). A tensor without elements needs them too: 1 per tensor, dims[axis] per axis.
 *
 * @param[in] shape  Dimensions; strides do not matter, but must be valid.
 * @param[in] spec  granularity, axis, block, axis2, block2.
 * @param[out] count  The number.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (axis out of range, block 0, ...),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_param_count(const struct fewbit_shape *shape,
                                 const struct fewbit_tensor_quant *spec,
                                 size_t *count,
                                 struct fewbit_error *error);

/**
 * Chooses each parameter of a tensor from the smallest and largest of its elements, as
 * fewbit_params_from_range; NaN is ignored.
 *
 * @param[in] x  The tensor, of the type that spec.real says.
 * @param[in] x_shape  Its shape.
 * @param[in] spec  Formats, scheme, granularity.
 * @param[out] scales  `count` scales, row-major over the grid of blocks.
 * @param[out] zero_points  `count` zero points; may be NULL for the symmetric scheme.
 * @param[in] count  As fewbit_param_count gives it.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_choose_params(const void *x,
                                   const struct fewbit_shape *x_shape,
                                   const struct fewbit_tensor_quant *spec,
                                   float *scales,
                                   int32_t *zero_points,
                                   size_t count,
                                   struct fewbit_error *error);

/**
 * Quantizes a tensor: q = clamp(round(x / scale) + zero_point, qmin, qmax), each element with its own parameter;
 * the quotient and its rounding as spec says, infinities and huge numbers saturate, NaN gives zero_point.
 * FEWBIT_B1: +1 for x >= 0 (and NaN), otherwise -1. Packed codes: each innermost row starts on a byte, the rest
 * of its last byte is the code of zero.
 *
 * @param[in] x, x_shape  The tensor, of the type that spec.real says; any positive strides.
 * @param[in] spec  Formats, scheme, granularity, rounding, quotient.
 * @param[in] scales  `count` scales, finite and greater than 0.
 * @param[in] zero_points  `count` codes, all 0 for the symmetric scheme; NULL: all 0.
 * @param[in] count  As fewbit_param_count gives it.
 * @param[in] parallel_for  Threads for large tensors; NULL: the calling one. The result does not depend on them.
 * @param[out] q  Codes; must not overlap the inputs. s16 aligned to 2 bytes.
 * @param[in] q_shape  The same dimensions; elements must not overlap. Packed codes: stride 1 along the innermost
 *                     axis, the other strides multiples of the codes in a byte.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA. q is untouched then.
 */
fewbit_status fewbit_quantize(const void *x,
                              const struct fewbit_shape *x_shape,
                              const struct fewbit_tensor_quant *spec,
                              const float *scales,
                              const int32_t *zero_points,
                              size_t count,
                              const struct fewbit_parallel_for *parallel_for,
                              void *q,
                              const struct fewbit_shape *q_shape,
                              struct fewbit_error *error);

/**
 * Chooses parameters from a tensor and quantizes it with them: fewbit_choose_params, then fewbit_quantize, with the
 * same results. Where each index of the first axis has parameters of its own (FEWBIT_PER_AXIS with axis 0: per row),
 * rows are visited twice while they are in the cache, and threads share them out.
 *
 * @param[in] x, x_shape, spec, parallel_for  As fewbit_quantize.
 * @param[out] scales  `count` scales.
 * @param[out] zero_points  `count` codes; may be NULL for the symmetric scheme.
 * @param[in] count  As fewbit_param_count gives it.
 * @param[out] q, q_shape  As fewbit_quantize. Outputs must not overlap the inputs, nor each other.
 * @param[out] error  May be NULL.
 * @return As fewbit_quantize. Nothing is written then.
 */
fewbit_status fewbit_quantize_dynamic(const void *x,
                                      const struct fewbit_shape *x_shape,
                                      const struct fewbit_tensor_quant *spec,
                                      float *scales,
                                      int32_t *zero_points,
                                      size_t count,
                                      const struct fewbit_parallel_for *parallel_for,
                                      void *q,
                                      const struct fewbit_shape *q_shape,
                                      struct fewbit_error *error);

/**
 * Dequantizes a tensor: x = (q - zero_point) * scale, each element with its own parameter, the product rounded once,
 * to spec.real (to FEWBIT_F16 and FEWBIT_BF16 too), overflow to infinity; FEWBIT_B1: -scale or +scale. The arguments are
 * those of fewbit_quantize, q the input and x the output.
 *
 * @param[in] q, q_shape  Codes.
 * @param[in] spec, scales, zero_points, count, parallel_for  As fewbit_quantize.
 * @param[out] x, x_shape  The tensor; must not overlap the inputs, nor its elements each other.
 * @param[out] error  May be NULL.
 * @return As fewbit_quantize. x is untouched then.
 */
fewbit_status fewbit_dequantize(const void *q,
                                const struct fewbit_shape *q_shape,
                                const struct fewbit_tensor_quant *spec,
                                const float *scales,
                                const int32_t *zero_points,
                                size_t count,
                                const struct fewbit_parallel_for *parallel_for,
                                void *x,
                                const struct fewbit_shape *x_shape,
                                struct fewbit_error *error);

/**
 * Quantizes and dequantizes a tensor in one pass, for training that is to see what quantization costs: y is what
 * fewbit_dequantize makes of fewbit_quantize's codes, in the type of x. NaN gives 0 (FEWBIT_B1: scale).
 *
 * @param[in] x, x_shape, spec, scales, zero_points, count, parallel_for  As fewbit_quantize.
 * @param[out] y  The tensor, of the same type; must not overlap the inputs.
 * @param[in] y_shape  The same dimensions; elements must not overlap.
 * @param[out] error  May be NULL.
 * @return As fewbit_quantize. y is untouched then.
 */
fewbit_status fewbit_fake_quantize(const void *x,
                                   const struct fewbit_shape *x_shape,
                                   const struct fewbit_tensor_quant *spec,
                                   const float *scales,
                                   const int32_t *zero_points,
                                   size_t count,
                                   const struct fewbit_parallel_for *parallel_for,
                                   void *y,
                                   const struct fewbit_shape *y_shape,
                                   struct fewbit_error *error);

/**
 * Requantizes a tensor of int32 sums, float mode, each sum with its own parameter: q =
 * clamp(round_half_even(f32(acc) * multiplier) + zero_point, qmin, qmax), as fewbit_requantize_s32_s8.
 *
 * @param[in] acc, acc_shape  The sums; any positive strides.
 * @param[in] spec  dtype (FEWBIT_S8, FEWBIT_U8) and granularity; the rest is checked but not used.
 * @param[in] multipliers  `count` of them, row-major over the grid of blocks: scale_lhs * scale_rhs / scale_q; finite,
 *                         not negative.
 * @param[in] zero_points  `count` codes; NULL: all 0.
 * @param[in] count  As fewbit_param_count gives it.
 * @param[in] parallel_for  Threads for large tensors; NULL: the calling one. The result does not depend on them.
 * @param[out] q, q_shape  The codes, of the same dimensions; must not overlap the inputs, nor its elements each other.
 * @param[out] error  May be NULL.
 * @return As fewbit_quantize. q is untouched then.
 */
fewbit_status fewbit_requantize(const int32_t *acc,
                                const struct fewbit_shape *acc_shape,
                                const struct fewbit_tensor_quant *spec,
                                const float *multipliers,
                                const int32_t *zero_points,
                                size_t count,
                                const struct fewbit_parallel_for *parallel_for,
                                void *q,
                                const struct fewbit_shape *q_shape,
                                struct fewbit_error *error);

/**
 * Requantizes a tensor of int32 sums in integers only, each sum with its own parameter: q = clamp(round(acc *
 * multiplier * 2^(shift - 31)) + zero_point, qmin, qmax), as fewbit_requantize_fixed_s32_s8. The floating-point
 * environment is not touched.
 *
 * @param[in] multipliers, shifts  `count` of each, from fewbit_fixed_multiplier; not negative, and -31..30.
 * @param[in] rounding  FEWBIT_FIXED_DOUBLE or FEWBIT_FIXED_SINGLE.
 * @param[in] acc, acc_shape, spec, zero_points, count, parallel_for  As fewbit_requantize.
 * @param[out] q, q_shape  As fewbit_requantize.
 * @param[out] error  May be NULL.
 * @return As fewbit_quantize. q is untouched then.
 */
fewbit_status fewbit_requantize_fixed(const int32_t *acc,
                                      const struct fewbit_shape *acc_shape,
                                      const struct fewbit_tensor_quant *spec,
                                      const int32_t *multipliers,
                                      const int32_t *shifts,
                                      int32_t rounding,
                                      const int32_t *zero_points,
                                      size_t count,
                                      const struct fewbit_parallel_for *parallel_for,
                                      void *q,
                                      const struct fewbit_shape *q_shape,
                                      struct fewbit_error *error);

/**
 * Softmax along the last axis: y = exp(x - max) / sum exp(x - max) of each row, in f32 inside, the same bits on every CPU
 * and for any threads. A row with a NaN or +infinity, or of -infinity alone, is NaN; otherwise -infinity becomes 0.
 *
 * @param[in] x, x_shape  The tensor, of 1 axis or more; any positive strides.
 * @param[in] x_dtype  FEWBIT_F32, F16 or BF16; or FEWBIT_S8 or U8, codes that are dequantized.
 * @param[in] x_params  The codes' scale and zero point; not used for numbers, and may be NULL then.
 * @param[in] parallel_for  Threads that share out rows of large tensors; NULL: the calling one.
 * @param[out] y  The result; must not overlap x, but may be x if shapes, strides and the size of elements are the same.
 * @param[in] y_shape  The same dimensions; elements must not overlap.
 * @param[in] y_dtype  As x_dtype: numbers rounded once, overflow to infinity; codes quantized as by fewbit_quantize (division,
 *                     half to even, saturating, NaN gives the zero point).
 * @param[in] y_params  As x_params. For u8 a scale of 1/256 and zero point 0 is usual.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA. y is untouched then.
 */
fewbit_status fewbit_softmax(const void *x,
                             const struct fewbit_shape *x_shape,
                             int32_t x_dtype,
                             const struct fewbit_quant_params *x_params,
                             const struct fewbit_parallel_for *parallel_for,
                             void *y,
                             const struct fewbit_shape *y_shape,
                             int32_t y_dtype,
                             const struct fewbit_quant_params *y_params,
                             struct fewbit_error *error);

/**
 * The natural logarithm of softmax along the last axis: y = (x - max) - ln(sum exp(x - max)) of each row. Otherwise as
 * fewbit_softmax; where that is 0, -infinity or the difference.
 */
fewbit_status fewbit_log_softmax(const void *x,
                                 const struct fewbit_shape *x_shape,
                                 int32_t x_dtype,
                                 const struct fewbit_quant_params *x_params,
                                 const struct fewbit_parallel_for *parallel_for,
                                 void *y,
                                 const struct fewbit_shape *y_shape,
                                 int32_t y_dtype,
                                 const struct fewbit_quant_params *y_params,
                                 struct fewbit_error *error);

/**
 * Layer normalization along the last axis: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta of each row, in f32
 * inside, the same bits on every CPU and for any threads; the variance is that of the population. A row with a NaN or an
 * infinity is NaN, and so is one without variance if epsilon is 0.
 *
 * @param[in] x, x_shape, x_dtype, x_params, parallel_for  As fewbit_softmax.
 * @param[in] gamma  A factor for each element of a row, dims[rank - 1] of them; NULL: none.
 * @param[in] beta  What is then added, likewise; NULL: none.
 * @param[in] epsilon  Finite, not negative. An f32 whatever the types of the tensors: 1e-12 is not 0.
 * @param[out] y  As fewbit_softmax; must not overlap gamma and beta.
 * @param[in] y_shape, y_dtype, y_params  As fewbit_softmax.
 * @param[out] error  May be NULL.
 * @return As fewbit_softmax.
 */
fewbit_status fewbit_layer_norm(const void *x,
                                const struct fewbit_shape *x_shape,
                                int32_t x_dtype,
                                const struct fewbit_quant_params *x_params,
                                const float *gamma,
                                const float *beta,
                                float epsilon,
                                const struct fewbit_parallel_for *parallel_for,
                                void *y,
                                const struct fewbit_shape *y_shape,
                                int32_t y_dtype,
                                const struct fewbit_quant_params *y_params,
                                struct fewbit_error *error);

/**
 * Normalization by the root mean square, along the last axis: y = x / sqrt(mean of x^2 + epsilon) * gamma + beta of each
 * row. Otherwise as fewbit_layer_norm, but that a row with an infinity is NaN there, and elsewhere 0 before beta.
 */
fewbit_status fewbit_rms_norm(const void *x,
                              const struct fewbit_shape *x_shape,
                              int32_t x_dtype,
                              const struct fewbit_quant_params *x_params,
                              const float *gamma,
                              const float *beta,
                              float epsilon,
                              const struct fewbit_parallel_for *parallel_for,
                              void *y,
                              const struct fewbit_shape *y_shape,
                              int32_t y_dtype,
                              const struct fewbit_quant_params *y_params,
                              struct fewbit_error *error);

/**
 * Starts an observer: nothing seen.
 *
 * @param[out] state  The observer.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_min_max_init(struct fewbit_min_max *state);

/**
 * Sees n more elements; NaN is counted and otherwise ignored.
 *
 * @param[in] x  n numbers.
 * @param[in,out] state  The observer; must not overlap x.
 * @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_min_max_observe(const float *x, size_t n, struct fewbit_min_max *state);

/**
 * Takes over what another observer has seen.
 *
 * @param[in] other  The other observer; may be state itself.
 * @param[in,out] state  The observer.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_min_max_merge(const struct fewbit_min_max *other, struct fewbit_min_max *state);

/**
 * Starts an observer: no batch seen.
 *
 * @param[out] state  The observer.
 * @return As fewbit_min_max_init.
 */
fewbit_status fewbit_moving_average_init(struct fewbit_moving_average *state);

/**
 * Sees one batch of n elements. Infinite ends count as the largest finite number; a batch without numbers is not a
 * batch.
 *
 * @param[in] x  n numbers.
 * @param[in,out] state  The observer; must not overlap x.
 * @return As fewbit_min_max_observe.
 */
fewbit_status fewbit_moving_average_observe(const float *x, size_t n, struct fewbit_moving_average *state);

/**
 * Takes over the batches that another observer has seen.
 *
 * @param[in] other  The other observer; may be state itself.
 * @param[in,out] state  The observer.
 * @return As fewbit_min_max_merge.
 */
fewbit_status fewbit_moving_average_merge(const struct fewbit_moving_average *other,
                                          struct fewbit_moving_average *state);

/**
 * The averaged range, each end rounded once to f32; +infinity and -infinity before the first batch.
 *
 * @param[in] state  The observer.
 * @param[out] min, max  One number each; must not overlap the state, nor each other.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_moving_average_range(const struct fewbit_moving_average *state, float *min, float *max);

/**
 * Compares an approximation with its reference. The sums are exact, so the result is the same bits on every CPU. If
 * any pair has a NaN or an infinity, the three measures are NaN, and nonfinite_count says how many have.
 *
 * @param[in] reference, x  n numbers each.
 * @param[out] quality  SQNR, largest error, cosine; must not overlap the inputs.
 * @return FEWBIT_ERROR_NULL_POINTER (inputs may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_compare_f32(const float *reference, const float *x, size_t n, struct fewbit_quality *quality);

/**
 * Packs a linear layer's weights and chooses its kernels: y[m][n] = sum over k of (x[m][k] - zx) * (w[n][k] - zw[n]),
 * exact in int32, then in this order: s32 bias; for f32 output f32(acc) * (x scale * w scale), f32 bias, residual,
 * activation; for f16 and bf16 output that, rounded once more; for 8-bit output requantize(acc, (x scale * w scale) /
 * y scale), with ReLU and clamp as a clamp of the codes, or, with an f32 bias, a residual or another activation, the
 * f32 result, quantized. FEWBIT_OUTPUT_FIXED_POINT requantizes in integers only. FEWBIT_OUTPUT_DYNAMIC_PER_ROW is
 * fewbit_quantize_dynamic of each row of the f32 results. With FEWBIT_INPUT_REAL there is no int32: y[m][n] is from 0 on,
 * for each k in order, y = fma(f32(x[m][k]), f32(w[n][k]), y), which takes the place of f32(acc) * (x scale * w scale); there
 * is then no s32 bias or output, no fixed point, no table; w[n][k] is the weight, or, where weights are codes or blocks, the number
 * that dequantizing them gives. With blocks of weights, f32(acc) * (x scale * w scale) is
 * instead, block by block from 0, y = fma(f32(acc of the block), x scale * w scale, y). The only call on a plan that
 * allocates.
 *
 * @param[in] desc  The layer.
 * @param[out] linear  The plan; destroy it with fewbit_linear_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_UNSUPPORTED, FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_LIMIT_EXCEEDED (a sum could leave int32 for some input), FEWBIT_ERROR_OUT_OF_MEMORY,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_linear_create(const struct fewbit_linear_desc *desc,
                                   struct fewbit_linear **linear,
                                   struct fewbit_error *error);

/**
 * Destroys a plan; NULL does nothing. No run of it may be in progress.
 */
void fewbit_linear_destroy(struct fewbit_linear *linear);

/**
 * What a run needs beside its operands. Fewer rows or workers never need more.
 *
 * @param[in] rows, max_workers  The most that one run will have; 1 worker without parallel_for.
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (beyond memory), FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_linear_workspace(const struct fewbit_linear *linear,
                                      size_t rows,
                                      size_t max_workers,
                                      size_t *size,
                                      size_t *align,
                                      struct fewbit_error *error);

/**
 * Runs the layer on `rows` rows. A plan with a residual wants fewbit_linear_run_range.
 *
 * @param[in] rows  M; 0 does nothing.
 * @param[in] x  M rows of in_features elements of the input's type, x_stride elements apart.
 * @param[in] x_stride, y_stride  At least in_features and out_features.
 * @param[in] workspace, workspace_size  As fewbit_linear_workspace asks for; contents do not matter.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] y  M rows of out_features elements of the output's type, y_stride elements apart; gaps stay as they are.
 *                x, y and workspace must not overlap.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_BUFFER_TOO_SMALL (workspace),
 *         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_UNSUPPORTED (FEWBIT_OUTPUT_DYNAMIC_PER_ROW). y is
 *         untouched then.
 */
fewbit_status fewbit_linear_run(const struct fewbit_linear *linear,
                                size_t rows,
                                const void *x,
                                size_t x_stride,
                                void *workspace,
                                size_t workspace_size,
                                const struct fewbit_parallel_for *parallel_for,
                                void *y,
                                size_t y_stride,
                                struct fewbit_error *error);

/**
 * Runs some rows and columns of a call of `rows` rows, for engines that split the work themselves, and for plans with
 * a residual: the results are the same, whatever the ranges. Calls at the same time need a workspace each. (Dynamic input per
 * tensor looks at all rows in each call.)
 *
 * @param[in] residual  M rows of out_features elements of the residual's type; may be y, where elements are equally
 *                      large and far apart. Not used, and may be NULL, without a residual.
 * @param[in] residual_stride  At least out_features, where there is a residual.
 * @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= rows.
 * @param[in] col_begin, col_end  Columns of y, up to out_features.
 * @return As fewbit_linear_run, whose other parameters these are.
 */
fewbit_status fewbit_linear_run_range(const struct fewbit_linear *linear,
                                      size_t rows,
                                      const void *x,
                                      size_t x_stride,
                                      const void *residual,
                                      size_t residual_stride,
                                      void *workspace,
                                      size_t workspace_size,
                                      const struct fewbit_parallel_for *parallel_for,
                                      void *y,
                                      size_t y_stride,
                                      size_t row_begin,
                                      size_t row_end,
                                      size_t col_begin,
                                      size_t col_end,
                                      struct fewbit_error *error);

/**
 * Runs a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes. Whole rows only,
 * as all results of a row choose its parameters: some rows of a call of `rows` rows, for engines that split the work
 * themselves, or 0 to `rows`. The results are the same, whatever the ranges.
 *
 * @param[in] residual, residual_stride  As fewbit_linear_run_range.
 * @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= rows.
 * @param[out] scales  `rows` scales; those of rows beyond the range stay as they are.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other, but y the residual as in fewbit_linear_run_range.
 * @return As fewbit_linear_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
 *         output.
 */
fewbit_status fewbit_linear_run_dynamic(const struct fewbit_linear *linear,
                                        size_t rows,
                                        const void *x,
                                        size_t x_stride,
                                        const void *residual,
                                        size_t residual_stride,
                                        void *workspace,
                                        size_t workspace_size,
                                        const struct fewbit_parallel_for *parallel_for,
                                        void *y,
                                        size_t y_stride,
                                        float *scales,
                                        int32_t *zero_points,
                                        size_t row_begin,
                                        size_t row_end,
                                        struct fewbit_error *error);

/**
 * What a plan tells of itself.
 *
 * @param[out] kernel_name  The name of the kernel that multiplies, NUL-terminated; at least 64 bytes. May be NULL.
 * @param[in] kernel_name_size  Bytes of kernel_name.
 * @param[out] bound  The largest absolute int32 sum that any input can give, proven from the weights; 0 for weights that are
 *                    numbers. May be NULL.
 * @param[out] weight_bytes  Bytes of packed weights. May be NULL.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER (linear), FEWBIT_ERROR_BUFFER_TOO_SMALL.
 */
fewbit_status fewbit_linear_info(const struct fewbit_linear *linear,
                                 char *kernel_name,
                                 size_t kernel_name_size,
                                 int64_t *bound,
                                 size_t *weight_bytes,
                                 struct fewbit_error *error);

/**
 * What fewbit_linear_run_batch needs beside its operands. Fewer rows or workers never need more.
 *
 * @param[in] rows, max_workers  The most that one run will have: rows of each matrix; 1 worker without parallel_for.
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_workspace.
 */
fewbit_status fewbit_linear_batch_workspace(const struct fewbit_linear *linear,
                                            size_t rows,
                                            size_t max_workers,
                                            size_t *size,
                                            size_t *align,
                                            struct fewbit_error *error);

/**
 * Runs every matrix of a plan on its rows: the same results, bit for bit, as a plan of each matrix alone gives.
 *
 * @param[in] batch  The operands and the workspace. The bytes from the first to the last element of x, y and workspace
 *                   must not overlap, nor elements of y each other.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] error  May be NULL. Its argument is a field's name.
 * @return As fewbit_linear_run. y is untouched on error.
 */
fewbit_status fewbit_linear_run_batch(const struct fewbit_linear *linear,
                                      const struct fewbit_linear_batch *batch,
                                      const struct fewbit_parallel_for *parallel_for,
                                      struct fewbit_error *error);

/**
 * Runs every matrix of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
 *
 * @param[out] scales  A scale for each row of each matrix: that of row r of matrix b is number b * rows + r.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other, but y the residual as in fewbit_linear_run_batch.
 * @return As fewbit_linear_run_batch, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
 *         output.
 */
fewbit_status fewbit_linear_run_batch_dynamic(const struct fewbit_linear *linear,
                                              const struct fewbit_linear_batch *batch,
                                              float *scales,
                                              int32_t *zero_points,
                                              const struct fewbit_parallel_for *parallel_for,
                                              struct fewbit_error *error);

/**
 * What fewbit_linear_run_grouped needs beside its operands. Less of anything never needs more.
 *
 * @param[in] problems, rows, max_workers  The most that one run will have: problems, rows of all problems together, and
 *                                         workers (1 without parallel_for).
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_workspace.
 */
fewbit_status fewbit_linear_grouped_workspace(const struct fewbit_linear *linear,
                                              size_t problems,
                                              size_t rows,
                                              size_t max_workers,
                                              size_t *size,
                                              size_t *align,
                                              struct fewbit_error *error);

/**
 * Runs a list of problems of one plan, each with one of its matrices, with tasks over all of them: each gives the same
 * results, bit for bit, as a plan of its matrix alone, whatever the others and their order. Several may name the same
 * matrix. A plan of one matrix may be run so too.
 *
 * @param[in] problems  The operands, apart from the workspace and from every y. The bytes from the first to the last
 *                      element of a y must not overlap those of any other operand of any problem.
 * @param[in] problem_count  0 does nothing.
 * @param[in] workspace, workspace_size  As fewbit_linear_grouped_workspace asks for; contents do not matter.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] error  May be NULL. Its argument may be the name of a problem's field.
 * @return As fewbit_linear_run. Every y is untouched on error.
 */
fewbit_status fewbit_linear_run_grouped(const struct fewbit_linear *linear,
                                        const struct fewbit_linear_problem *problems,
                                        size_t problem_count,
                                        void *workspace,
                                        size_t workspace_size,
                                        const struct fewbit_parallel_for *parallel_for,
                                        struct fewbit_error *error);

/**
 * Runs a list of problems of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
 *
 * @param[out] scales  A scale for each row of each problem, one behind the other.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other, but a y its residual as in
 *                          fewbit_linear_run_grouped.
 * @return As fewbit_linear_run_grouped, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
 *         output.
 */
fewbit_status fewbit_linear_run_grouped_dynamic(const struct fewbit_linear *linear,
                                                const struct fewbit_linear_problem *problems,
                                                size_t problem_count,
                                                void *workspace,
                                                size_t workspace_size,
                                                float *scales,
                                                int32_t *zero_points,
                                                const struct fewbit_parallel_for *parallel_for,
                                                struct fewbit_error *error);

/**
 * Packs the right side of a product and chooses its kernels: sums[m][n] = sum over k of (lhs[m][k] - zl[m]) * (rhs[n][k] -
 * zr[n]), exact in int32, plus an s32 bias; for f32 output f32(sum) * (row scale * column scale), plus an f32 bias, then
 * the activation; other outputs from there as fewbit_linear_create says. That no sum leaves int32 is proven for every
 * lhs and every zero point of its format. The only call on a plan that allocates.
 *
 * @param[in] desc  The product.
 * @param[out] gemm  The plan; destroy it with fewbit_gemm_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_create.
 */
fewbit_status fewbit_gemm_create(const struct fewbit_gemm_desc *desc,
                                 struct fewbit_gemm **gemm,
                                 struct fewbit_error *error);

/**
 * Destroys a plan; NULL does nothing. No run of it may be in progress.
 */
void fewbit_gemm_destroy(struct fewbit_gemm *gemm);

/**
 * What a run needs beside its operands. Fewer rows or workers never need more.
 *
 * @param[in] rows, max_workers  The most that one run will have: rows of each matrix; 1 worker without parallel_for.
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_workspace.
 */
fewbit_status fewbit_gemm_workspace(const struct fewbit_gemm *gemm,
                                    size_t rows,
                                    size_t max_workers,
                                    size_t *size,
                                    size_t *align,
                                    struct fewbit_error *error);

/**
 * Runs the product.
 *
 * @param[in] args  The operands and the workspace. What is written (dst, workspace) must not overlap anything else, each
 *                  taken from its first to its last byte.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] error  May be NULL. Its argument is a field's name.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (strides, counts, scales and zero points),
 *         FEWBIT_ERROR_BUFFER_TOO_SMALL (workspace), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_UNSUPPORTED (FEWBIT_OUTPUT_DYNAMIC_PER_ROW). dst is untouched then.
 */
fewbit_status fewbit_gemm_run(const struct fewbit_gemm *gemm,
                              const struct fewbit_gemm_args *args,
                              const struct fewbit_parallel_for *parallel_for,
                              struct fewbit_error *error);

/**
 * Runs some rows and columns, the same of each matrix, of a product, for engines that split the work themselves: the results
 * are the same, whatever the ranges. Calls at the same time need a workspace each.
 *
 * @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= args.rows.
 * @param[in] col_begin, col_end  Columns of dst, up to n.
 * @return As fewbit_gemm_run, whose other parameters these are.
 */
fewbit_status fewbit_gemm_run_range(const struct fewbit_gemm *gemm,
                                    const struct fewbit_gemm_args *args,
                                    size_t row_begin,
                                    size_t row_end,
                                    size_t col_begin,
                                    size_t col_end,
                                    const struct fewbit_parallel_for *parallel_for,
                                    struct fewbit_error *error);

/**
 * Runs a product with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
 *
 * @param[out] scales  A scale for each row of each matrix: that of row r of matrix b is number b * rows + r.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other.
 * @return As fewbit_gemm_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another output.
 */
fewbit_status fewbit_gemm_run_dynamic(const struct fewbit_gemm *gemm,
                                      const struct fewbit_gemm_args *args,
                                      float *scales,
                                      int32_t *zero_points,
                                      const struct fewbit_parallel_for *parallel_for,
                                      struct fewbit_error *error);

/**
 * What fewbit_gemm_run_grouped needs beside its operands. Less of anything never needs more.
 *
 * @param[in] problems, rows, max_workers  The most that one run will have: problems, rows of all problems together, and
 *                                         workers (1 without parallel_for).
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_workspace.
 */
fewbit_status fewbit_gemm_grouped_workspace(const struct fewbit_gemm *gemm,
                                            size_t problems,
                                            size_t rows,
                                            size_t max_workers,
                                            size_t *size,
                                            size_t *align,
                                            struct fewbit_error *error);

/**
 * Runs a list of problems of one plan, each with one of its matrices, with tasks over all of them: each gives the same
 * results, bit for bit, as a run of its own, whatever the others and their order. Several may name the same matrix. A plan
 * of one matrix may be run so too.
 *
 * @param[in] problems  The operands, apart from the workspace and from every dst. The bytes from the first to the last
 *                      element of a dst must not overlap those of any other operand of any problem.
 * @param[in] problem_count  0 does nothing.
 * @param[in] workspace, workspace_size  As fewbit_gemm_grouped_workspace asks for; contents do not matter.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] error  May be NULL. Its argument may be the name of a problem's field.
 * @return As fewbit_gemm_run. Every dst is untouched on error.
 */
fewbit_status fewbit_gemm_run_grouped(const struct fewbit_gemm *gemm,
                                      const struct fewbit_gemm_problem *problems,
                                      size_t problem_count,
                                      void *workspace,
                                      size_t workspace_size,
                                      const struct fewbit_parallel_for *parallel_for,
                                      struct fewbit_error *error);

/**
 * Runs a list of problems of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
 *
 * @param[out] scales  A scale for each row of each problem, one behind the other.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other.
 * @return As fewbit_gemm_run_grouped, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
 *         output.
 */
fewbit_status fewbit_gemm_run_grouped_dynamic(const struct fewbit_gemm *gemm,
                                              const struct fewbit_gemm_problem *problems,
                                              size_t problem_count,
                                              void *workspace,
                                              size_t workspace_size,
                                              float *scales,
                                              int32_t *zero_points,
                                              const struct fewbit_parallel_for *parallel_for,
                                              struct fewbit_error *error);

/**
 * Packs a convolution's weights and chooses its kernels. Each output is the exact int32 sum over the taps of
 * (x - zx) * (w - zw); a tap on padding contributes 0; then as fewbit_linear_create. With FEWBIT_INPUT_REAL it is one chain
 * of fused multiply-adds as of linear layers, in the order of the taps and of the input channels of each; a tap on padding is
 * the number 0, multiplied as any other. Output pixels along an axis: (size + pad_begin + pad_end - dilation * (kernel - 1) - 1)
 * / stride + 1. The only call on a plan that allocates.
 *
 * @param[in] desc  The convolution.
 * @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_create.
 */
fewbit_status fewbit_conv_create(const struct fewbit_conv_desc *desc,
                                 struct fewbit_conv **conv,
                                 struct fewbit_error *error);

/**
 * As fewbit_conv_create for a transposed convolution (ONNX's ConvTranspose, PyTorch's ConvTranspose2d): along each axis,
 * input pixel i and tap k meet at output pixel i * stride + k * dilation - pad_begin, and there their products
 * (x - zx) * (w - zw) are added; an output pixel that nothing meets is the bias. Strides, dilations and padding are
 * those of the output, whose pixels along an axis are (size - 1) * stride + dilation * (kernel - 1) + output_padding + 1 -
 * pad_begin - pad_end. The usual layout of weights is FEWBIT_FILTER_IOHW. Packed weights cannot be saved. With
 * FEWBIT_INPUT_REAL a chain has the taps k of each axis at which o + pad_begin - k * dilation is a multiple of the stride, the last
 * one first; where that is no pixel of the input, it is the number 0.
 *
 * @param[in] desc  The convolution.
 * @param[in] output_padding  For each spatial axis, how many output pixels more than the taps reach, less than the stride
 *                            or less than the dilation. NULL: none.
 * @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_conv_create.
 */
fewbit_status fewbit_conv_create_transposed(const struct fewbit_conv_desc *desc,
                                            const size_t *output_padding,
                                            struct fewbit_conv **conv,
                                            struct fewbit_error *error);

/**
 * Destroys a plan; NULL does nothing. No run of it may be in progress.
 */
void fewbit_conv_destroy(struct fewbit_conv *conv);

/**
 * What a run needs beside its operands. Fewer images or workers never need more.
 *
 * @param[in] images, max_workers  The most that one run will have; 1 worker without parallel_for.
 * @param[out] size, align  Bytes, and the alignment of the first.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (beyond memory), FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_conv_workspace(const struct fewbit_conv *conv,
                                    size_t images,
                                    size_t max_workers,
                                    size_t *size,
                                    size_t *align,
                                    struct fewbit_error *error);

/**
 * Runs the convolution on `images` images, input and output without gaps.
 *
 * @param[in] images  0 does nothing.
 * @param[in] x  images * in_elements elements of the input's type (fewbit_conv_info tells in_elements).
 * @param[in] residual  images * out_elements elements of the residual's type; may be y, where elements are equally
 *                      large. Not used, and may be NULL, without a residual.
 * @param[in] workspace, workspace_size  As fewbit_conv_workspace asks for; contents do not matter.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] y  images * out_elements elements of the output's type. x, y and workspace must not overlap.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_run.
 */
fewbit_status fewbit_conv_run(const struct fewbit_conv *conv,
                              size_t images,
                              const void *x,
                              const void *residual,
                              void *workspace,
                              size_t workspace_size,
                              const struct fewbit_parallel_for *parallel_for,
                              void *y,
                              struct fewbit_error *error);

/**
 * Runs a convolution with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each image's parameters beside its codes: all
 * results of an image choose one scale and one zero point.
 *
 * @param[out] scales  `images` scales.
 * @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
 *                          overlap inputs, workspace and each other, but y the residual as in fewbit_conv_run.
 * @return As fewbit_conv_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another output.
 */
fewbit_status fewbit_conv_run_dynamic(const struct fewbit_conv *conv,
                                      size_t images,
                                      const void *x,
                                      const void *residual,
                                      void *workspace,
                                      size_t workspace_size,
                                      const struct fewbit_parallel_for *parallel_for,
                                      void *y,
                                      float *scales,
                                      int32_t *zero_points,
                                      struct fewbit_error *error);

/**
 * What a plan tells of itself.
 *
 * @param[out] out_dims  Output pixels along the 3 axes, outermost first; leading axes that are not there have 1. May
 *                       be NULL.
 * @param[out] in_elements, out_elements  Elements of an input and an output image. May be NULL.
 * @param[out] kernel_name, bound, weight_bytes, error  As fewbit_linear_info.
 * @return As fewbit_linear_info.
 */
fewbit_status fewbit_conv_info(const struct fewbit_conv *conv,
                               size_t *out_dims,
                               size_t *in_elements,
                               size_t *out_elements,
                               char *kernel_name,
                               size_t kernel_name_size,
                               int64_t *bound,
                               size_t *weight_bytes,
                               struct fewbit_error *error);

/**
 * What pooling makes of images.
 *
 * @param[out] out_dims  Output pixels along the 3 axes, outermost first; leading axes that are not there have 1. May
 *                       be NULL.
 * @param[out] in_elements, out_elements  Codes of an image of x and of y. May be NULL.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER (desc), FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_UNSUPPORTED,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_pool_dims(const struct fewbit_pool_desc *desc,
                               size_t *out_dims,
                               size_t *in_elements,
                               size_t *out_elements,
                               struct fewbit_error *error);

/**
 * Max pooling: each code of y is the largest code under its window, of its channel. Padding is left out; a window of
 * nothing but padding gives the smallest code. The parameters of x are those of y. ONNX's MaxPool.
 *
 * @param[in] desc  Everything but what concerns averages.
 * @param[in] images  The number of images.
 * @param[in] x  images * in_elements codes (fewbit_pool_dims tells in_elements).
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] y  images * out_elements codes; must not overlap x.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER (x and y may be NULL if there are no images), FEWBIT_ERROR_INVALID_ARGUMENT (sizes,
 *         taps that do not fit the padded input, constants), FEWBIT_ERROR_UNSUPPORTED (dtype), FEWBIT_ERROR_OVERLAP,
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_max_pool(const struct fewbit_pool_desc *desc,
                              size_t images,
                              const void *x,
                              const struct fewbit_parallel_for *parallel_for,
                              void *y,
                              struct fewbit_error *error);

/**
 * Max pooling of whole images, to one pixel each; otherwise as fewbit_max_pool.
 *
 * @param[in] desc  As fewbit_max_pool; of `axes` the sizes alone are used.
 * @param[out] y  images * channels codes; must not overlap x.
 */
fewbit_status fewbit_global_max_pool(const struct fewbit_pool_desc *desc,
                                     size_t images,
                                     const void *x,
                                     const struct fewbit_parallel_for *parallel_for,
                                     void *y,
                                     struct fewbit_error *error);

/**
 * Average pooling. Sums are exact, then rounded once, ties to even:
 * y = clamp(round(sum(q - x_params.zero_point) * (x_params.scale / (count * y_params.scale))) + y_params.zero_point);
 * `count` is the number of taps inside the image or, with count_include_pad, also of those on padding. A window of
 * nothing but padding gives y_params.zero_point. Of FEWBIT_AVERAGE_CODES: y = sum(q) / count, ties away from zero, and 0.
 *
 * @param[in] desc  Windows of at most 2^23 taps, for FEWBIT_AVERAGE_CODES 2^21, padding included.
 * @param[in] images, x, parallel_for  As fewbit_max_pool.
 * @param[out] y, error  As fewbit_max_pool.
 * @return As fewbit_max_pool; FEWBIT_ERROR_LIMIT_EXCEEDED for larger windows.
 */
fewbit_status fewbit_average_pool(const struct fewbit_pool_desc *desc,
                                  size_t images,
                                  const void *x,
                                  const struct fewbit_parallel_for *parallel_for,
                                  void *y,
                                  struct fewbit_error *error);

/**
 * Average pooling of whole images, to one pixel each; otherwise as fewbit_average_pool.
 *
 * @param[in] desc  As fewbit_average_pool; of `axes` the sizes alone are used.
 * @param[out] y  images * channels codes; must not overlap x.
 */
fewbit_status fewbit_global_average_pool(const struct fewbit_pool_desc *desc,
                                         size_t images,
                                         const void *x,
                                         const struct fewbit_parallel_for *parallel_for,
                                         void *y,
                                         struct fewbit_error *error);

/**
 * Adds: y = quantize(dequantize(a) + dequantize(b)), four rounded f32 operations: ((a - za) * sa + (b - zb) * sb) / sy,
 * then the nearest integer, ties to even, plus zy, clamped to the codes and to the activation's. As ONNX's
 * DequantizeLinear, Add and QuantizeLinear, one by one; onnxruntime's QLinearAdd differs near ties.
 *
 * With fixed_point, as TensorFlow Lite: both steps shifted by 20 bits to the left and multiplied with sa / twice and sb /
 * twice, where twice = 2 max(sa, sb), their sum with twice / (2^20 sy), by multipliers of fewbit_fixed_multiplier and
 * FEWBIT_FIXED_DOUBLE.
 *
 * @param[in] desc  Shapes, parameters, activation.
 * @param[in] a  rows * columns codes.
 * @param[in] b  b_rows * b_columns codes.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] y  rows * columns codes; may be a, or b if that has as many, but must not overlap them otherwise.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER (a, b and y may be NULL if there are no elements), FEWBIT_ERROR_INVALID_ARGUMENT
 *         (sizes, constants, parameters), FEWBIT_ERROR_UNSUPPORTED (dtype, another activation; with fixed_point scales
 *         whose multiplier is not below 1), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_add(const struct fewbit_binary_desc *desc,
                         const void *a,
                         const void *b,
                         const struct fewbit_parallel_for *parallel_for,
                         void *y,
                         struct fewbit_error *error);

/**
 * Multiplies: y = quantize(dequantize(a) * dequantize(b)); otherwise as fewbit_add. With fixed_point, as TensorFlow Lite:
 * (a - za) * (b - zb) times the multiplier of sa * sb / sy, which is computed in f32.
 *
 * @param[in] desc, a, b, parallel_for  As fewbit_add.
 * @param[out] y, error  As fewbit_add.
 * @return As fewbit_add; with fixed_point FEWBIT_ERROR_UNSUPPORTED for scales whose multiplier is 2^30 or more.
 */
fewbit_status fewbit_multiply(const struct fewbit_binary_desc *desc,
                              const void *a,
                              const void *b,
                              const struct fewbit_parallel_for *parallel_for,
                              void *y,
                              struct fewbit_error *error);

/**
 * Concatenates tensors of codes along an axis, to [outer][the sum of all len][inner], each brought to the result's
 * parameters as by fewbit_rescale_s8_s8. Codes of a piece with the same parameters stay as they are.
 *
 * @param[in] pieces  `count` of them.
 * @param[in] count  The number of pieces.
 * @param[in] outer, inner  The products of the dimensions before and behind the axis.
 * @param[in] dtype  FEWBIT_S8 or FEWBIT_U8, of all.
 * @param[in] y_params  The result's parameters.
 * @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
 * @param[out] y  As many codes as all pieces; must not overlap them.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER (pieces may be NULL if count is 0, codes where there are none),
 *         FEWBIT_ERROR_INVALID_ARGUMENT (sizes, parameters, a quotient of scales that overflows),
 *         FEWBIT_ERROR_UNSUPPORTED (dtype), FEWBIT_ERROR_MISALIGNED (pieces), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_concat(const struct fewbit_concat_piece *pieces,
                            size_t count,
                            size_t outer,
                            size_t inner,
                            int32_t dtype,
                            const struct fewbit_quant_params *y_params,
                            const struct fewbit_parallel_for *parallel_for,
                            void *y,
                            struct fewbit_error *error);

/**
 * The bytes of a plan's packed weights with all that fewbit_linear_create_packed needs to know of them.
 *
 * @param[out] size  Bytes that fewbit_linear_save_packed writes.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_UNSUPPORTED (weights with a scale a block),
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_linear_packed_size(const struct fewbit_linear *linear, size_t *size, struct fewbit_error *error);

/**
 * Writes a plan's packed weights into memory, for fewbit_linear_create_packed: to a file, say, that later runs of the
 * program map. The bytes depend on the weights and on the layout that this CPU's kernel reads (docs/packing.md), and hold a
 * version, that layout, the shape, the weights' scales and zero points, and a checksum of it all.
 *
 * @param[out] packed  At least as many bytes as fewbit_linear_packed_size says; further ones stay as they are. Not those
 *                     that the plan itself was made of.
 * @param[in] packed_size  Bytes of packed.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_UNSUPPORTED (weights
 *         with a scale a block), FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_linear_save_packed(const struct fewbit_linear *linear,
                                        void *packed,
                                        size_t packed_size,
                                        struct fewbit_error *error);

/**
 * As fewbit_linear_create, with weights that fewbit_linear_save_packed wrote, read where they lie: nothing of their size
 * is copied. The plan uses `packed` until it is destroyed; it must neither change nor go before. The bytes are read once,
 * for their checksum; the proof that no sum leaves int32 is made anew, from data that it covers. (The checksum is against
 * accidents. Whoever can write the file can write another sum, and make results wrong, but not unsafe.)
 *
 * @param[in] desc  The layer. Of `weights` only the multipliers, shifts and their count are used; `weight_layout`,
 *                  `weight_stride` and `matrix_stride` are not; input, bias, residual and output need not be those of the
 *                  plan that wrote the weights. (Weights that had multipliers instead of scales have the scale 1.) For
 *                  weights that are numbers the input is FEWBIT_INPUT_REAL.
 * @param[in] packed  The written bytes, aligned to 64, as pages of a mapped file are.
 * @param[in] packed_size  Bytes of packed; may be more than were written.
 * @param[out] linear  The plan; destroy it with fewbit_linear_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_create; for packed: FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED,
 *         FEWBIT_ERROR_BUFFER_TOO_SMALL (truncated), FEWBIT_ERROR_INVALID_ARGUMENT (no packed weights, changed ones, or those
 *         of another shape), FEWBIT_ERROR_UNSUPPORTED (another version of the format, or packed for another instruction
 *         set: pack the weights again).
 */
fewbit_status fewbit_linear_create_packed(const struct fewbit_linear_desc *desc,
                                          const void *packed,
                                          size_t packed_size,
                                          struct fewbit_linear **linear,
                                          struct fewbit_error *error);

/**
 * The bytes of a plan's packed weights with all that fewbit_conv_create_packed needs to know of them.
 *
 * @param[out] size  Bytes that fewbit_conv_save_packed writes.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_UNSUPPORTED (a transposed convolution),
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_conv_packed_size(const struct fewbit_conv *conv, size_t *size, struct fewbit_error *error);

/**
 * Writes a plan's packed weights into memory, for fewbit_conv_create_packed: to a file, say, that later runs of the
 * program map. The bytes depend on the weights and on the layout that this CPU's kernel reads (docs/packing.md), and hold a
 * version, that layout, the shape, the weights' scales and zero points, and a checksum of it all.
 *
 * @param[out] packed  At least as many bytes as fewbit_conv_packed_size says; further ones stay as they are. Not those
 *                     that the plan itself was made of.
 * @param[in] packed_size  Bytes of packed.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_conv_save_packed(const struct fewbit_conv *conv,
                                      void *packed,
                                      size_t packed_size,
                                      struct fewbit_error *error);

/**
 * As fewbit_conv_create, with weights that fewbit_conv_save_packed wrote, read where they lie; see
 * fewbit_linear_create_packed. (The weights of depthwise layers are copied, into int16: a few a channel.)
 *
 * @param[in] desc  The convolution. Of `weights` only the multipliers, shifts and their count are used; `filter_layout` is
 *                  not; image sizes, strides, dilations, padding, image layout, input, bias, residual and output need not
 *                  be those of the plan that wrote the weights. For weights that are numbers the input is FEWBIT_INPUT_REAL.
 * @param[in] packed, packed_size  As for fewbit_linear_create_packed; used until the plan is destroyed.
 * @param[out] conv  The plan; destroy it with fewbit_conv_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_create_packed.
 */
fewbit_status fewbit_conv_create_packed(const struct fewbit_conv_desc *desc,
                                        const void *packed,
                                        size_t packed_size,
                                        struct fewbit_conv **conv,
                                        struct fewbit_error *error);

/**
 * The bytes of a plan's packed rhs with all that fewbit_gemm_create_packed needs to know of it.
 *
 * @param[out] size  Bytes that fewbit_gemm_save_packed writes.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_gemm_packed_size(const struct fewbit_gemm *gemm, size_t *size, struct fewbit_error *error);

/**
 * Writes a plan's packed rhs into memory, for fewbit_gemm_create_packed; see fewbit_linear_save_packed. The bytes are those
 * that fewbit_linear_save_packed writes for a layer of the same weights, and either plan reads the other's.
 *
 * @param[out] packed  At least as many bytes as fewbit_gemm_packed_size says; further ones stay as they are. Not those
 *                     that the plan itself was made of.
 * @param[in] packed_size  Bytes of packed.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_BUFFER_TOO_SMALL, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_gemm_save_packed(const struct fewbit_gemm *gemm,
                                      void *packed,
                                      size_t packed_size,
                                      struct fewbit_error *error);

/**
 * As fewbit_gemm_create, with an rhs that fewbit_gemm_save_packed wrote, read where it lies; see
 * fewbit_linear_create_packed.
 *
 * @param[in] desc  The product. Of `rhs` only the multipliers, shifts and their count are used; `rhs_layout`, `rhs_stride`
 *                  and `matrix_stride` are not; lhs, bias and output need not be those of the plan that wrote the rhs.
 * @param[in] packed, packed_size  As for fewbit_linear_create_packed; used until the plan is destroyed.
 * @param[out] gemm  The plan; destroy it with fewbit_gemm_destroy. Untouched on error.
 * @param[out] error  May be NULL.
 * @return As fewbit_linear_create_packed.
 */
fewbit_status fewbit_gemm_create_packed(const struct fewbit_gemm_desc *desc,
                                        const void *packed,
                                        size_t packed_size,
                                        struct fewbit_gemm **gemm,
                                        struct fewbit_error *error);

/**
 * Tells what a linear layer reads, writes and runs.
 *
 * @param[in,out] info  Initialised by FEWBIT_PLAN_INFO_INIT. Untouched on error.
 * @param[out] error  May be NULL.
 * @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_INVALID_ARGUMENT (struct_size),
 *         FEWBIT_ERROR_ISA.
 */
fewbit_status fewbit_linear_describe(const struct fewbit_linear *linear,
                                     struct fewbit_plan_info *info,
                                     struct fewbit_error *error);

/**
 * Tells what a convolution reads, writes and runs.
 *
 * @param[in,out] info, error  As for fewbit_linear_describe.
 * @return As fewbit_linear_describe.
 */
fewbit_status fewbit_conv_describe(const struct fewbit_conv *conv,
                                   struct fewbit_plan_info *info,
                                   struct fewbit_error *error);

/**
 * Tells what a product reads, writes and runs.
 *
 * @param[in,out] info, error  As for fewbit_linear_describe.
 * @return As fewbit_linear_describe.
 */
fewbit_status fewbit_gemm_describe(const struct fewbit_gemm *gemm,
                                   struct fewbit_plan_info *info,
                                   struct fewbit_error *error);

/** A fewbit_shape to fill in. */
#define FEWBIT_SHAPE_INIT { sizeof(fewbit_shape), 0, {0}, {0} }
/** A fewbit_tensor_quant to fill in: int8, affine, per tensor, half to even, division, f32. */
#define FEWBIT_TENSOR_QUANT_INIT { sizeof(fewbit_tensor_quant), FEWBIT_S8, 0, 0, 0, 0, 0, 0, FEWBIT_F32, 0, 0, 0, 0 }
/** A fewbit_linear_desc to fill in: int8 weights without zero points, int8 codes in, f32 out. */
#define FEWBIT_LINEAR_DESC_INIT { sizeof(fewbit_linear_desc), 0, 0, \
    FEWBIT_WEIGHTS_INIT, FEWBIT_LAYOUT_NK, 0, 0, \
    FEWBIT_INPUT_INIT, FEWBIT_BIAS_INIT, FEWBIT_RESIDUAL_INIT, FEWBIT_OUTPUT_INIT, NULL, 1, 0, NULL }
/** A fewbit_conv_desc to fill in: 2-d, NHWC, one group, otherwise as FEWBIT_LINEAR_DESC_INIT. */
#define FEWBIT_CONV_DESC_INIT { sizeof(fewbit_conv_desc), 2, \
    { FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT }, 0, 0, 1, \
    FEWBIT_LAYOUT_NHWC, FEWBIT_FILTER_OHWI, FEWBIT_WEIGHTS_INIT, \
    FEWBIT_INPUT_INIT, FEWBIT_BIAS_INIT, FEWBIT_RESIDUAL_INIT, FEWBIT_OUTPUT_INIT, NULL }
/** A fewbit_pool_desc to fill in: 2-d, NHWC, int8, averages of numbers without padding. */
#define FEWBIT_POOL_DESC_INIT { sizeof(fewbit_pool_desc), 2, \
    { FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT, FEWBIT_CONV_AXIS_INIT }, 1, FEWBIT_LAYOUT_NHWC, FEWBIT_S8, \
    0, 0, FEWBIT_AVERAGE_NUMBERS, { 1.0f, 0 }, { 1.0f, 0 } }
/** A fewbit_binary_desc to fill in: int8, one row of each, in floats, no activation. */
#define FEWBIT_BINARY_DESC_INIT { sizeof(fewbit_binary_desc), 1, 0, 1, 0, FEWBIT_S8, 0, { 1.0f, 0 }, { 1.0f, 0 }, \
    { 1.0f, 0 }, FEWBIT_ACTIVATION_NONE, 0.0f, 0.0f }
/** A fewbit_linear_batch to fill in. */
#define FEWBIT_LINEAR_BATCH_INIT { sizeof(fewbit_linear_batch), 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, NULL, 0 }
/** A fewbit_gemm_desc to fill in: int8 on both sides, sums out. */
#define FEWBIT_GEMM_DESC_INIT { sizeof(fewbit_gemm_desc), 0, 0, FEWBIT_WEIGHTS_INIT, FEWBIT_LAYOUT_NK, FEWBIT_S8, \
    0, 1, 0, FEWBIT_BIAS_INIT, { FEWBIT_S32, FEWBIT_ACTIVATION_NONE, { 1.0f, 0 }, 0.0f, 0.0f, \
    FEWBIT_ACTIVATION_MODE_FLOAT, FEWBIT_S8, { 1.0f, 0 }, FEWBIT_OUTPUT_STATIC, FEWBIT_FIXED_DOUBLE, \
    FEWBIT_SCHEME_AFFINE, FEWBIT_RANGE_NARROW }, NULL }
/** A fewbit_gemm_args to fill in: no scales, no zero points. */
#define FEWBIT_GEMM_ARGS_INIT { sizeof(fewbit_gemm_args), 0, NULL, 0, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0 }
/** A fewbit_plan_info to be filled in. */
#define FEWBIT_PLAN_INFO_INIT { sizeof(fewbit_plan_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 } }
/** Parts of the above. */
#define FEWBIT_WEIGHTS_INIT { NULL, FEWBIT_S8, 0, NULL, 0, NULL, 0, NULL, NULL, 0 }
#define FEWBIT_INPUT_INIT { FEWBIT_INPUT_CODES, FEWBIT_S8, FEWBIT_F32, FEWBIT_SCHEME_SYMMETRIC, FEWBIT_RANGE_NARROW, 0, \
    { 1.0f, 0 } }
#define FEWBIT_BIAS_INIT { NULL, FEWBIT_F32, 0 }
#define FEWBIT_RESIDUAL_INIT { 0, FEWBIT_F32, { 1.0f, 0 } }
#define FEWBIT_OUTPUT_INIT { FEWBIT_F32, FEWBIT_ACTIVATION_NONE, { 1.0f, 0 }, 0.0f, 0.0f, \
    FEWBIT_ACTIVATION_MODE_FLOAT, FEWBIT_S8, { 1.0f, 0 }, \
    FEWBIT_OUTPUT_STATIC, FEWBIT_FIXED_DOUBLE, FEWBIT_SCHEME_SYMMETRIC, FEWBIT_RANGE_NARROW }
#define FEWBIT_CONV_AXIS_INIT { 1, 1, 1, 1, 0, 0 }

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FEWBIT_H */
