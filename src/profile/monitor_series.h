/* What the monitor reads, without its thread: one call, one row of values. */
#ifndef LLMIND_PROFILE_MONITOR_SERIES_H
#define LLMIND_PROFILE_MONITOR_SERIES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "platform/process_usage.h"
#include "platform/sensors.h"

enum { SERIES_MAX_CORES = 256, SERIES_SLOW = 10, SERIES_GPU = 5, SERIES_NUMA = 50 };

struct series {
    char id[32], label[64], source[SENSORS_NAME];
    const char *unit, *quality;
    int decimals;                /* that are worth writing */
    uint32_t every;              /* read with every so many rows */
    char reason[SENSORS_REASON]; /* of the last time that it was not known */
    double value;                /* in the present row; NaN: unknown */
    size_t n;                    /* readings in min, sum and max */
    double sum, min, max;
};

struct sampler {
    char *root;
    struct sensors_cpu *cpu;
    struct sensors_gpus *gpus;
    struct pressure *pressure;
    struct numa *numa;
    struct series *series;
    size_t n_series, first_core, n_cores, first_gpu, n_gpus;
    uint32_t core_ids[SERIES_MAX_CORES];
    uint32_t rows;
    uint64_t periods, throttled; /* of the quota, in all rows */
    pid_t pid;                   /* the process of the row before */
    uint64_t last_ns;
    struct process_usage last;
};

/* Takes a first reading, which is in no row: what later ones are compared with. now_ns: of clock_now_ns.
 * ERROR_MEMORY, ERROR_LIMIT. */
int sampler_open(const char *root, uint64_t now_ns, struct sampler **out, struct error *error);
void sampler_close(struct sampler *sampler); /* NULL is legal */
/* The next row, in series[].value. pid: 0 for none. One thread at a time. */
void sampler_read(struct sampler *sampler, uint64_t now_ns, pid_t pid);

#endif
