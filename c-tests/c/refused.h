/* Calls that must be refused, with every output untouched; and odd ones that must be accepted. */
#ifndef REFUSED_H
#define REFUSED_H

#include "check.h"

/* Every place that a call of the sweep may write. */
typedef struct outputs {
    float f32[64];
    double f64;
    int32_t s32[64];
    int8_t s8[64];
    uint8_t u8[64];
    uint16_t u16[64];
    float low, high;
    int32_t multiplier, shift;
    uint32_t isa;
    size_t count, size, align, dims[3], in, out, bytes;
    int64_t bound;
    char name[64];
    fewbit_quant_params params;
    fewbit_min_max range;
    fewbit_moving_average average;
    fewbit_quality quality;
    fewbit_half_hazards hazards;
    fewbit_linear *linear;
    fewbit_conv *conv;
    fewbit_gemm *gemm;
    fewbit_plan_info info;
    unsigned char room[64];
} outputs;

extern outputs out;
extern fewbit_error err;

/* Fills every output with a pattern; tells whether it is all still there. */
void outputs_reset(void);
int outputs_untouched(void);

/* `f args` must give the status `wanted` and write nothing. */
#define REFUSED(how, f, parameter, wanted, args)            \
    do {                                                    \
        outputs_reset();                                    \
        CHECK_STATUS(wanted, f args);                       \
        CHECK(outputs_untouched());                         \
        covered(#f, #parameter, how);                       \
    } while (0)

/* The same for a function with an error, which must tell the same status and name the parameter. */
#define EXPLAINED(how, f, parameter, wanted, args)                                \
    do {                                                                          \
        REFUSED(how, f, parameter, wanted, args);                                 \
        CHECK(err.status == (wanted));                                            \
        CHECK(strncmp(err.argument, #parameter, strlen(#parameter)) == 0);        \
        CHECK(strncmp(err.message, err.argument, strlen(err.argument)) == 0);     \
        CHECK(strlen(err.message) > strlen(err.argument) + 1);                    \
    } while (0)

/* `f args` is unusual but allowed. */
#define ACCEPTED(how, f, parameter, args) \
    do {                                  \
        outputs_reset();                  \
        CHECK_OK(f args);                 \
        covered(#f, #parameter, how);     \
    } while (0)

#define NULL_REFUSED(f, parameter, args) REFUSED("null", f, parameter, FEWBIT_ERROR_NULL_POINTER, args)
#define NULL_EXPLAINED(f, parameter, args) EXPLAINED("null", f, parameter, FEWBIT_ERROR_NULL_POINTER, args)
#define NULL_ACCEPTED(f, parameter, args) ACCEPTED("null", f, parameter, args)
#define HUGE_REFUSED(f, parameter, args) REFUSED("huge", f, parameter, FEWBIT_ERROR_INVALID_ARGUMENT, args)
#define HUGE_EXPLAINED(f, parameter, args) EXPLAINED("huge", f, parameter, FEWBIT_ERROR_INVALID_ARGUMENT, args)
#define ZERO_ACCEPTED(f, parameter, args) ACCEPTED("zero", f, parameter, args)
#define INVALID(f, parameter, args) REFUSED("invalid", f, parameter, FEWBIT_ERROR_INVALID_ARGUMENT, args)
#define INVALID_EXPLAINED(f, parameter, args) EXPLAINED("invalid", f, parameter, FEWBIT_ERROR_INVALID_ARGUMENT, args)
#define MISALIGNED(f, parameter, args) REFUSED("misaligned", f, parameter, FEWBIT_ERROR_MISALIGNED, args)
#define OVERLAPPING(f, parameter, args) REFUSED("overlapping", f, parameter, FEWBIT_ERROR_OVERLAP, args)

/* A pointer of the same type, one byte on. */
#define ODD(type, pointer) ((type *)(void *)((char *)(void *)(pointer) + 1))

#endif
