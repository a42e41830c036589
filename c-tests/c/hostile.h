/* Calls of every function, of numbers that depend on the floating-point environment, with all that they write in one
 * record: for environments.c. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "kinds.h"

enum { RECORD_BYTES = 1 << 21, RECORD_CALLS = 160 };

/* What the calls wrote, how many were refused, and the functions' names. */
typedef struct record {
    unsigned char bytes[RECORD_BYTES];
    size_t used;
    long refused;
    const char *names[RECORD_CALLS];
    size_t called;
} record;

/* Fills all inputs; in a calm environment. */
void hostile_prepare(void);
/* Makes all calls. Nothing is checked in between: checks may print, and printing may compute. */
void run_all(record *r, const fewbit_parallel_for *threads);

#endif
