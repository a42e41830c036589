/* A program with two static libraries that were written in Rust. */
#include "fewbit.h"

#include <stdio.h>

/* Of the other library: the digits of all numbers below n. */
uint32_t other(uint32_t n);

int main(void) {
    uint32_t version = fewbit_version(), digits = other(11);
    printf("version %lu, %lu digits\n", (unsigned long)version, (unsigned long)digits);
    return version == FEWBIT_VERSION && digits == 12 ? 0 : 1;
}
