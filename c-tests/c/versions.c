/* Versions, texts, instruction sets and the list of kernels. */
#include "check.h"

/* Fails to compile unless the condition holds. */
#define HOLDS(name, condition) typedef char holds_##name[(condition) ? 1 : -1]

/* The ABI of 64-bit machines, where layout.c has its structures. */
HOLDS(pointers, sizeof(void *) == 8 && sizeof(size_t) == 8);
HOLDS(status, sizeof(fewbit_status) == 4);

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
