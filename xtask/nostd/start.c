/* A program without a C library: calls the inner crates and ends with 0 if their answers are right.
 * The four memory functions below are all that they need from outside. */
#include <stddef.h>
#include <stdint.h>

int nostd_quantize_rows(uint32_t features, const float *x, size_t rows, size_t columns, float *scales,
                        int32_t *zero_points, int8_t *q);
int32_t nostd_requantize(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero_point);

void *memcpy(void *to, const void *from, size_t n) {
    volatile char *t = to;
    const char *f = from;
    while (n--) *t++ = *f++;
    return to;
}
void *memmove(void *to, const void *from, size_t n) {
    volatile char *t = to;
    const char *f = from;
    if (t <= f) return memcpy(to, from, n);
    while (n--) t[n] = f[n];
    return to;
}
void *memset(void *to, int value, size_t n) {
    volatile char *t = to;
    while (n--) *t++ = (char)value;
    return to;
}
int memcmp(const void *a, const void *b, size_t n) {
    const volatile unsigned char *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y) return *x < *y ? -1 : 1;
    return 0;
}
int bcmp(const void *a, const void *b, size_t n) { return memcmp(a, b, n); }

static int test(void) {
    /* Row 0 spans -1..1.55, so its scale is 0.01 and its zero point -28; row 1 is 100 times row 0. */
    static const float x[2][3] = {{-1.0f, 0.0f, 1.55f}, {-100.0f, 0.0f, 155.0f}};
    float scales[2];
    int32_t zero_points[2];
    int8_t q[2][3];
    if (nostd_quantize_rows(0, x[0], 2, 3, scales, zero_points, q[0]) != 0) return 1;
    for (int row = 0; row < 2; row++) {
        if (q[row][0] != -128 || q[row][1] != -28 || q[row][2] != 127) return 2;
        if (zero_points[row] != -28) return 3;
    }
    /* A multiplier of 2^30 / 2^31 and a shift of -1: a quarter. */
    return nostd_requantize(400, 1 << 30, -1, 3) == 103 ? 0 : 4;
}

__attribute__((noreturn)) void entry(void);
void entry(void) {
    long status = test();
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(60L), "D"(status));
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = 93;
    register long x0 __asm__("x0") = status;
    __asm__ volatile("svc 0" : : "r"(x8), "r"(x0));
#endif
    for (;;) {
    }
}

/* The system enters with the stack aligned; a C function expects a return address on it. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n call entry\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: bl entry\n");
#endif
