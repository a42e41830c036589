/* A program that has its own use for the C library's math functions, linked with the static library before
 * libm: the archive must not answer for them. */
#include <fewbit.h>
#include <math.h>
#include <stdio.h>

int main(void) {
    volatile float third = 1.0f / 3.0f;
    float x[3], back[3];
    uint16_t codes[3];
    int i;
    x[0] = fmaf(third, 3.0f, 1.0f);
    x[1] = sqrtf(third) + cbrtf(third);
    x[2] = (float)fma((double)third, 3.0, fmod(5.0, (double)third));
    if (fewbit_convert_f32_bf16(x, 3, codes) != FEWBIT_OK) return 1;
    if (fewbit_convert_bf16_f32(codes, 3, back) != FEWBIT_OK) return 1;
    for (i = 0; i < 3; i++)
        if (fabsf(back[i] - x[i]) > fabsf(x[i]) / 256.0f) return 1;
    printf("%g %g %g\n", (double)x[0], (double)x[1], (double)x[2]);
    return 0;
}
