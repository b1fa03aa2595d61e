/* Was the machine quiet? Gauges read before and after a run. What cannot be read is unknown, not quiet. */
#ifndef LLMIND_PROFILE_HOST_H
#define LLMIND_PROFILE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/memory.h"

struct host_reading {
    double load_1min; /* NaN: unknown */
    bool ticks_known;
    uint64_t ticks_total, ticks_steal; /* of /proc/stat, all CPUs, since boot */
    struct memory_process process;
    struct memory_machine machine;
};
void host_read(struct host_reading *out);

/* CPU time stolen by the hypervisor between two readings, a fraction of all of it; NaN: unknown. */
double host_steal(const struct host_reading *before, const struct host_reading *after);

/* How much of a model folder's weights the page cache holds, a fraction of their bytes; NaN: unknown. */
double host_weights_resident(const char *folder);

/* Pure: reads "cpu  user nice system idle iowait irq softirq steal ..." into *out. */
bool host_parse_stat(const char *text, struct host_reading *out);

#endif
