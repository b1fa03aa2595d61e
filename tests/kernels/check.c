/* Random numbers, guarded memory and verdicts of the harness. */
#include "check.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- random numbers ---- */

static uint64_t *generator;

void random_seed(uint64_t seed)
{
    if (!generator)
        generator = malloc(sizeof *generator);
    if (!generator)
        exit(2);
    *generator = seed ? seed : 1;
}

uint64_t random_u64(void)
{
    uint64_t x = *generator;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *generator = x;
    return x * 0x2545F4914F6CDD1Du;
}

uint32_t random_below(uint32_t n)
{
    return (uint32_t)((random_u64() >> 32) * n >> 32);
}

float random_uniform(float low, float high)
{
    return low + (high - low) * (float)(random_u64() >> 40) * 0x1p-24f;
}

void fill_floats(float *out, size_t n, enum fill fill)
{
    for (size_t i = 0; i < n; i++) {
        float value = random_uniform(-1, 1);
        if (fill == FILL_OUTLIERS && random_below(50) == 0)
            value *= 1000;
        else if (fill == FILL_ALTERNATING)
            value = i % 2 ? -1.0f : 1.0f;
        else if (fill == FILL_ZERO)
            value = 0;
        else if (fill == FILL_TINY)
            value *= 0x1p-128f;
        else if (fill == FILL_HUGE)
            value *= 1e17f;
        out[i] = value;
    }
}

/* ---- guarded memory ---- */

enum { CANARY_BYTES = 256, CANARY = 0xA5 };

static const char *const area_names[AREAS] = {"weight data",    "scales",    "biases", "x",
                                              "x (second)",     "x (third)", "output", "output (second)",
                                              "output (third)", "scratch"};

static struct {
    uint8_t *memory; /* AREA_BYTES between the guard pages */
    uint8_t *data;
    size_t bytes;
} areas[AREAS];

static void area_open(enum area area)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map =
        mmap(NULL, AREA_BYTES + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map, page, PROT_NONE) ||
        mprotect(map + page + AREA_BYTES, page, PROT_NONE)) {
        perror("guarded memory");
        exit(2);
    }
    areas[area].memory = map + page;
}

/* Canary bytes before and behind the array, as many as fit. */
static size_t canaries_before(enum area area)
{
    size_t room = (size_t)(areas[area].data - areas[area].memory);
    return room < CANARY_BYTES ? room : CANARY_BYTES;
}

static size_t canaries_behind(enum area area)
{
    size_t room = AREA_BYTES - (size_t)(areas[area].data - areas[area].memory) - areas[area].bytes;
    return room < CANARY_BYTES ? room : CANARY_BYTES;
}

void *guard_place(enum area area, size_t bytes, enum place place, size_t offset)
{
    if (!areas[area].memory)
        area_open(area);
    if (bytes + offset > AREA_BYTES) {
        fprintf(stderr, "harness: %zu bytes do not fit into an area\n", bytes);
        exit(2);
    }
    areas[area].data =
        place == PLACE_END ? areas[area].memory + AREA_BYTES - bytes : areas[area].memory + offset;
    areas[area].bytes = bytes;
    size_t before = canaries_before(area);
    memset(areas[area].data - before, CANARY, before);
    memset(areas[area].data + bytes, CANARY, canaries_behind(area));
    return areas[area].data;
}

void *guard_scratch(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    guard_place(AREA_SCRATCH, rounded, PLACE_END, 0);
    areas[AREA_SCRATCH].bytes = bytes;
    memset(areas[AREA_SCRATCH].data + bytes, CANARY, rounded - bytes);
    return areas[AREA_SCRATCH].data;
}

static bool all_canaries(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != CANARY)
            return false;
    return true;
}

bool guard_intact(const char *what)
{
    bool good = true;
    for (enum area area = 0; area < AREAS; area++) {
        if (!areas[area].data)
            continue;
        size_t before = canaries_before(area);
        if (!all_canaries(areas[area].data - before, before) ||
            !all_canaries(areas[area].data + areas[area].bytes, canaries_behind(area))) {
            printf("  %s: wrote around the %s\n", what, area_names[area]);
            good = false;
        }
    }
    return good;
}

/* ---- verdicts ---- */

enum { SHOWN_FAILURES = 5 };

static struct {
    const char *kernel, *isa;
    unsigned long checks, failures;
    unsigned long passed, failed; /* of the whole run */
} run;

/* Touching a guard page ends the run, but not without a word. */
static void report_fault(int signal)
{
    static const char text[] = " touched memory outside its arrays\n";
    (void)signal;
    ssize_t written = write(STDOUT_FILENO, "  FAILED ", 9);
    written += write(STDOUT_FILENO, run.kernel, strlen(run.kernel));
    written += write(STDOUT_FILENO, " ", 1);
    written += write(STDOUT_FILENO, run.isa, strlen(run.isa));
    written += write(STDOUT_FILENO, text, sizeof text - 1);
    _exit(written > 0 ? 1 : 2);
}

void check_begin(const char *kernel, const char *isa)
{
    signal(SIGSEGV, report_fault);
    signal(SIGBUS, report_fault);
    run.kernel = kernel;
    run.isa = isa;
    run.checks = run.failures = 0;
}

bool check_that(bool good, const char *format, ...)
{
    run.checks++;
    if (good)
        return true;
    if (++run.failures <= SHOWN_FAILURES) {
        va_list arguments;
        printf("  FAILED %s %s: ", run.kernel, run.isa);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
    }
    return false;
}

void check_end(void)
{
    printf("%-14s %-10s %8lu checks  %s\n", run.kernel, run.isa, run.checks, run.failures ? "FAILED" : "ok");
    fflush(stdout);
    run.passed += run.checks - run.failures;
    run.failed += run.failures;
}

bool check_summary(void)
{
    printf("%lu passed, %lu failed\n", run.passed, run.failed);
    return run.failed == 0;
}

bool near_enough(float got, float want, double tolerance)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want))
        return isinf(got) && signbit(got) == signbit(want);
    return fabs((double)got - (double)want) <= tolerance; /* false for a NaN */
}

bool same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}
