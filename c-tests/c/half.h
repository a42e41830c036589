/* Numbers in memory of f32, f16 or bf16. */
#ifndef HALF_H
#define HALF_H

#include "refused.h"

static size_t size_of(int32_t dtype) {
    return dtype == FEWBIT_F32 ? 4 : 2;
}

static void store(int32_t dtype, void *to, size_t i, float x) {
    if (dtype == FEWBIT_F32) {
        ((float *)to)[i] = x;
    } else if (dtype == FEWBIT_F16) {
        CHECK_OK(fewbit_convert_f32_f16(&x, 1, (uint16_t *)to + i));
    } else {
        CHECK_OK(fewbit_convert_f32_bf16(&x, 1, (uint16_t *)to + i));
    }
}

static float load(int32_t dtype, const void *from, size_t i) {
    float x = 0.0f;
    if (dtype == FEWBIT_F32) {
        return ((const float *)from)[i];
    }
    if (dtype == FEWBIT_F16) {
        CHECK_OK(fewbit_convert_f16_f32((const uint16_t *)from + i, 1, &x));
    } else {
        CHECK_OK(fewbit_convert_bf16_f32((const uint16_t *)from + i, 1, &x));
    }
    return x;
}

#endif
