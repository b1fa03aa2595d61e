/* What holds work back although it could run: a quota, other work, memory that has to come back from swap.
 *
 * As in sensors.h, shares and rates are differences of counters, so a reader keeps the counters of the
 * reading before, and what a machine does not tell is not known, with the reason.
 */
#ifndef LLMIND_PLATFORM_PRESSURE_H
#define LLMIND_PLATFORM_PRESSURE_H

#include <stdint.h>

#include "platform/sensors.h"

/* Differences of counters, cheap to read. */
struct pressure_rates {
    /* Of the control group that is held back most, since the reading before. Where no group has a quota
     * nothing is throttled: 0. */
    struct sensors_value throttled_fraction; /* periods that ended with threads standing still, 0 to 1 */
    struct sensors_value throttled_s_per_s;  /* time that they stood, of all CPUs together */
    uint64_t throttled_periods, periods;     /* what the fractions are made of, since the reader was opened */
    struct sensors_value swap_in_bytes_per_s; /* of the whole machine */
};

/* Levels and averages, which change slowly and cost more. */
struct pressure_levels {
    struct sensors_value quota_cores; /* the tightest quota; unknown when there is none */
    /* Pressure stall information: share of the last 10 s in which some task waited for it, 0 to 1. */
    struct sensors_value cpu, memory, io;
    struct sensors_value memory_available_bytes; /* without swapping; the control group's limit counts */
    struct sensors_value swap_total_bytes, swap_used_bytes;
    struct sensors_value load_1min;
};

struct pressure; /* one thread at a time */

/* root: "" for this machine, or a folder with a recorded tree. ERROR_MEMORY, ERROR_LIMIT (a long root). */
int pressure_open(const char *root, struct pressure **out, struct error *error);
void pressure_close(struct pressure *pressure); /* NULL is legal */
/* now_ns: of clock_now_ns. The first reading knows no rate. Neither allocates. */
void pressure_read_rates(struct pressure *pressure, uint64_t now_ns, struct pressure_rates *out);
void pressure_read_levels(struct pressure *pressure, struct pressure_levels *out);

#endif
