/* What the machine does right now: how busy its processors are, how fast they run, how warm, at what power.
 *
 * Shares and power are differences of counters, so a reader keeps the counters of the reading before. What a
 * machine does not tell is not known, with the reason; nothing is ever guessed or 0 instead.
 */
#ifndef LLMIND_PLATFORM_SENSORS_H
#define LLMIND_PLATFORM_SENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { SENSORS_REASON = 192, SENSORS_NAME = 96 };

struct sensors_value {
    bool known;
    double value;
    char reason[SENSORS_REASON]; /* why it is not known; one sentence */
};

/* ---- processors ---- */

struct sensors_core {
    uint32_t id;
    double busy; /* 0 to 1, since the reading before; NaN: unknown (the core was just switched on) */
    double mhz;  /* NaN: unknown */
};

struct sensors_cpu_reading {
    struct sensors_value busy;         /* all cores: time not idle and not stolen, 0 to 1 */
    struct sensors_value steal;        /* time the hypervisor gave to others, 0 to 1 */
    struct sensors_value cgroup_cores; /* what the own control group used, in cores; with all its processes */
    struct sensors_value mhz;          /* mean over the busy cores; over all of them when none is busy */
    const char *mhz_source;            /* "cpufreq", "cpuinfo" (of a guest: often nominal); NULL: unknown */
    struct sensors_value temperature_c; /* the hottest package */
    char temperature_source[SENSORS_NAME];
    struct sensors_value power_w;     /* all packages; the processor alone, not the machine */
    const struct sensors_core *cores; /* the reader's, until its next reading */
    uint32_t n_cores;
};

struct sensors_cpu; /* one thread at a time */

/* Finds what there is to read. root: "" for this machine, or a folder with a recorded tree (proc/...,
 * sys/...). ERROR_MEMORY. */
int sensors_cpu_open(const char *root, struct sensors_cpu **out, struct error *error);
void sensors_cpu_close(struct sensors_cpu *sensors); /* NULL is legal */
/* now_ns: of clock_now_ns. The first reading knows no share and no power. */
void sensors_cpu_read(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out);
/* Only what is a difference of counters and cheap (shares, power), for whoever reads ten times a second on a
 * machine of many cores: mean frequency and temperature are those of the last sensors_cpu_read, those of the
 * single cores are unknown. */
void sensors_cpu_read_counters(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out);

/* ---- NVIDIA GPUs, through the driver's own library (NVML), which is loaded when it is there ---- */

enum { SENSORS_MAX_GPUS = 16 };

struct sensors_gpu_reading {
    char name[SENSORS_NAME];
    struct sensors_value
        busy; /* share of the last interval (the driver's: 0.1 to 1 s) in which a kernel ran */
    struct sensors_value memory_total_bytes, memory_used_bytes;
    struct sensors_value temperature_c, power_w, power_limit_w, graphics_mhz, memory_mhz;
};

struct sensors_gpus; /* one thread at a time */

/* library: NULL for libnvidia-ml.so.1. Never fails but for memory: without GPUs the count is 0 and the reason
 * says why. */
int sensors_gpus_open(const char *library, struct sensors_gpus **out, struct error *error);
void sensors_gpus_close(struct sensors_gpus *gpus); /* NULL is legal */
uint32_t sensors_gpus_count(const struct sensors_gpus *gpus, const char **reason);
void sensors_gpus_read(struct sensors_gpus *gpus, uint32_t index, struct sensors_gpu_reading *out);

#endif
