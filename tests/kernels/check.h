/* The kernel harness, as dav1d's checkasm: every kernel of every instruction set this machine has against the
 * plain C reference, with random and extreme inputs, odd sizes, and arrays that end (or begin) exactly at a
 * page that may not be touched.
 *
 * A run prints its seed; LLMIND_KERNEL_SEED=<seed> repeats it. One line per kernel and ISA, then
 * "N passed, N failed". Single-threaded.
 */
#ifndef LLMIND_TESTS_KERNELS_CHECK_H
#define LLMIND_TESTS_KERNELS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/cpu/kernels/kernels.h"

/* ---- random numbers (xorshift64*, Vigna 2016) ---- */

void random_seed(uint64_t seed);
uint64_t random_u64(void);
uint32_t random_below(uint32_t n);
float random_uniform(float low, float high);

enum fill {
    FILL_NORMAL,      /* -1 .. 1 */
    FILL_OUTLIERS,    /* now and then 1000 times as large */
    FILL_ALTERNATING, /* +1, -1, +1 ... */
    FILL_ZERO,
    FILL_TINY, /* denormals */
    FILL_HUGE, /* about 1e17: its square still sums in f32 */
    FILLS
};
void fill_floats(float *out, size_t n, enum fill fill);

/* ---- guarded memory ---- */

/* Areas between two inaccessible pages, used over and over. */
enum area {
    AREA_WEIGHT,
    AREA_SCALES,
    AREA_BIASES,
    AREA_X,
    AREA_X2,
    AREA_X3,
    AREA_OUT,
    AREA_OUT2,
    AREA_OUT3,
    AREA_SCRATCH,
    AREAS
};
enum { AREA_BYTES = 4 << 20 };

enum place {
    PLACE_END,  /* the last byte is the last one before the guard page */
    PLACE_START /* the first byte is the first one behind the guard page, plus an offset */
};

/* bytes of an area, surrounded by canaries where the guard pages are not next to it. */
void *guard_place(enum area area, size_t bytes, enum place place, size_t offset);
/* 64-byte aligned, as scratch memory is; ends at most 63 bytes before the guard page. */
void *guard_scratch(size_t bytes);
/* False when something was written around the current array of any area; says which. */
bool guard_intact(const char *what);

/* ---- verdicts ---- */

/* Begins the line of one kernel. */
void check_begin(const char *kernel, const char *isa);
/* Counts one check; the first failures of a kernel are printed with the formatted description. */
bool check_that(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the line. */
void check_end(void);
/* Prints the closing line; true when nothing failed. */
bool check_summary(void);

/* got within tolerance of want; both NaN, or the same infinity, is equal. */
bool near_enough(float got, float want, double tolerance);
bool same_bits(const void *a, const void *b, size_t bytes);

/* ---- the checks, and the timings ---- */

void check_linear_int8(const struct kernels *k);
void check_linear_f32(const struct kernels *k);
void check_unpack_row(const struct kernels *k);
void check_quantize_row(const struct kernels *k);
void check_attend(const struct kernels *k);
void check_kv_store(const struct kernels *k);
void check_rows(const struct kernels *k);
void bench(const struct kernels *k);

#endif
