/* The header in a second translation unit, included twice, without anything before it. */
#include "fewbit.h"
#include "fewbit.h"

uint32_t second_version(void);
size_t second_size_of_conv_desc(void);
fewbit_conv_desc second_conv_desc(void);

uint32_t second_version(void) {
    return FEWBIT_VERSION;
}

size_t second_size_of_conv_desc(void) {
    return sizeof(fewbit_conv_desc);
}

fewbit_conv_desc second_conv_desc(void) {
    fewbit_conv_desc desc = FEWBIT_CONV_DESC_INIT;
    return desc;
}
