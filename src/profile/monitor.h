/* The machine beside a run: every sensor there is, at 10 Hz, on a thread of its own. Each series says where
 * it comes from, in which unit and how good it is; what cannot be read is one reason, never a row of zeros.
 */
#ifndef LLMIND_PROFILE_MONITOR_H
#define LLMIND_PROFILE_MONITOR_H

#include <jansson.h>
#include <sys/types.h>

#include "base/error.h"

struct monitor;

enum {
    MONITOR_HZ = 10,
    MONITOR_MAX_SAMPLES = 36000, /* an hour; longer runs halve the rate, as often as needed */
    MONITOR_MAX_BYTES =
        6 << 20,               /* of samples: some 8 MB of JSON; machines of very many cores halve earlier */
    MONITOR_MAX_PHASES = 4096, /* what comes after them is in no phase */
    MONITOR_MAX_PHASE_NAME = 160 /* bytes; longer names are cut */
};

/* root: "" for this machine, or a recorded tree. ERROR_MEMORY, ERROR_LIMIT (a long root, no thread). */
int monitor_open(const char *root, struct monitor **out, struct error *error);
/* Which process is the one that works (its CPU, memory, faults); 0: none. Any thread. */
void monitor_watch(struct monitor *monitor, pid_t pid);
/* From now on, samples belong to this phase ("decode_128, run 2"); NULL: between phases. Copied. Any thread.
 */
void monitor_phase(struct monitor *monitor, const char *name);
/* Stops, and frees the monitor; *out (may be NULL: thrown away) is the report's "sensors" (new reference):
 *   {"hz", "start_s" (clock_now_ns / 1e9), "cpu_cost_fraction" (the monitor thread's own CPU time / wall),
 *    "t_s": [seconds since start_s], "phases": [{"name", "start_s", "end_s"}] (since start_s, too),
 *    "series": [{"id", "label", "unit", "source", "hz", "quality", "values": [...] | null, "reason"?,
 *                "min", "mean", "max"}]}
 * Shares and rates belong to the time since the sample before. What moves slowly is read less often (the
 * series' "hz"); its last value stands meanwhile. min, mean and max are of all that was read, also where the
 * rate was halved later.
 * ids: cpu_busy, steal, cgroup_cores, throttled_fraction (cgroup: nr_throttled / nr_periods of the interval;
 * its mean is that of the whole run), throttled_s_per_s, process_cores, footprint_bytes (resident),
 * anonymous_bytes, file_resident_bytes, process_swap_bytes, major_faults_per_s, minor_faults_per_s,
 * swap_in_bytes_per_s, cpu_power_w, cpu_mhz, cpu_temperature_c, memory_available_bytes, swap_used_bytes,
 * pressure_cpu, pressure_memory, pressure_io (PSI avg10 share), load_1min, numa_remote_fraction (where
 * there are several memory nodes; platform/numa.h), cpu_core_N, gpu_N_busy, gpu_N_memory_bytes,
 * gpu_N_power_w, gpu_N_power_limit_w, gpu_N_temperature_c, gpu_N_mhz; "gpu" alone when there is none.
 * quality: "measured", "derived", "nominal" (a guest's frequency), "unknown" (values is null). Errors:
 * ERROR_MEMORY. NULL is legal. */
int monitor_close(struct monitor *monitor, json_t **out, struct error *error);

#endif
