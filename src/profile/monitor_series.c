/* The table of series, and how a row is filled. Counters are read with every row, because their differences
 * are what happened in it; levels and averages, which the kernel itself renews every few seconds or which
 * cost much on machines of many cores (frequencies), with every tenth.
 */
#include "profile/monitor_series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/numa.h"
#include "platform/pressure.h"

enum row {
    CPU_BUSY,
    STEAL,
    CGROUP_CORES,
    THROTTLED_FRACTION,
    THROTTLED_TIME,
    PROCESS_CORES,
    FOOTPRINT,
    ANONYMOUS,
    FILE_RESIDENT,
    PROCESS_SWAP,
    MAJOR_FAULTS,
    MINOR_FAULTS,
    SWAP_IN,
    CPU_POWER,
    CPU_MHZ,
    CPU_TEMPERATURE,
    MEMORY_AVAILABLE,
    SWAP_USED,
    PRESSURE_CPU,
    PRESSURE_MEMORY,
    PRESSURE_IO,
    LOAD,
    NUMA_REMOTE_SHARE,
    N_ROWS
};

#define PROC "/proc/PID/status"
#define SLOW SERIES_SLOW
static const struct {
    const char *id, *label, *unit, *source;
    int decimals;
    uint32_t every;
} rows[N_ROWS] = {
    [CPU_BUSY] = {"cpu_busy", "CPU busy", "share", "/proc/stat", 4, 1},
    [STEAL] = {"steal", "withheld by the hypervisor", "share", "/proc/stat", 4, 1},
    [CGROUP_CORES] = {"cgroup_cores", "CPUs used by the control group", "cores", "cgroup cpu account", 3, 1},
    [THROTTLED_FRACTION] = {"throttled_fraction", "quota periods throttled", "share", "cgroup cpu.stat", 4,
                            1},
    [THROTTLED_TIME] = {"throttled_s_per_s", "time standing still by the quota", "s/s", "cgroup cpu.stat", 4,
                        1},
    [PROCESS_CORES] = {"process_cores", "CPUs used by the process", "cores", "process CPU clock", 3, 1},
    [FOOTPRINT] = {"footprint_bytes", "resident memory of the process", "bytes", PROC, 0, 1},
    [ANONYMOUS] = {"anonymous_bytes", "of it not from files", "bytes", PROC, 0, 1},
    [FILE_RESIDENT] = {"file_resident_bytes", "of it from files", "bytes", PROC, 0, 1},
    [PROCESS_SWAP] = {"process_swap_bytes", "the process's memory in swap", "bytes", PROC, 0, 1},
    [MAJOR_FAULTS] = {"major_faults_per_s", "page faults that read from disk", "1/s", "/proc/PID/stat", 1, 1},
    [MINOR_FAULTS] = {"minor_faults_per_s", "page faults without reading", "1/s", "/proc/PID/stat", 1, 1},
    [SWAP_IN] = {"swap_in_bytes_per_s", "read back from swap", "bytes/s", "/proc/vmstat", 0, 1},
    [CPU_POWER] = {"cpu_power_w", "power of the processor", "W", "RAPL", 2, 1},
    [CPU_MHZ] = {"cpu_mhz", "mean frequency", "MHz", "cpufreq, /proc/cpuinfo", 1, SLOW},
    [CPU_TEMPERATURE] = {"cpu_temperature_c", "temperature of the processor", "°C", "hwmon, thermal zones", 2,
                         SLOW},
    [MEMORY_AVAILABLE] = {"memory_available_bytes", "memory available", "bytes", "/proc/meminfo, cgroup", 0,
                          SLOW},
    [SWAP_USED] = {"swap_used_bytes", "swap in use", "bytes", "/proc/meminfo", 0, SLOW},
    [PRESSURE_CPU] = {"pressure_cpu", "waited for a CPU (10 s mean)", "share", "/proc/pressure/cpu", 4, SLOW},
    [PRESSURE_MEMORY] = {"pressure_memory", "waited for memory (10 s mean)", "share", "/proc/pressure/memory",
                         4, SLOW},
    [PRESSURE_IO] = {"pressure_io", "waited for disks (10 s mean)", "share", "/proc/pressure/io", 4, SLOW},
    [LOAD] = {"load_1min", "load average of a minute", "tasks", "/proc/loadavg", 2, SLOW},
    [NUMA_REMOTE_SHARE] = {"numa_remote_fraction", "memory farther from the threads than it need be", "share",
                           "/proc/PID/numa_maps", 4, SERIES_NUMA},
};

/* Six series for each GPU, in this order. */
enum { GPU_BUSY, GPU_MEMORY, GPU_POWER, GPU_POWER_LIMIT, GPU_TEMPERATURE, GPU_MHZ, GPU_ROWS };
static const struct {
    const char *id, *label, *unit;
    int decimals;
} gpu_rows[GPU_ROWS] = {
    [GPU_BUSY] = {"busy", "busy", "share", 3},  [GPU_MEMORY] = {"memory_bytes", "memory in use", "bytes", 0},
    [GPU_POWER] = {"power_w", "power", "W", 2}, [GPU_TEMPERATURE] = {"temperature_c", "temperature", "°C", 1},
    [GPU_MHZ] = {"mhz", "frequency", "MHz", 0}, [GPU_POWER_LIMIT] = {"power_limit_w", "power limit", "W", 0},
};

/* ---- one value ---- */

static void count(struct series *series)
{
    double value = series->value;
    if (isnan(value))
        return;
    series->min = series->n == 0 || value < series->min ? value : series->min;
    series->max = series->n == 0 || value > series->max ? value : series->max;
    series->sum += value;
    series->n++;
}

static void put(struct series *series, const struct sensors_value *value)
{
    series->value = value->known ? value->value : NAN;
    if (value->known)
        count(series);
    else
        snprintf(series->reason, sizeof series->reason, "%s", value->reason);
}

static void put_number(struct series *series, double value)
{
    series->value = value;
    count(series);
}

static void put_unknown(struct series *series, const char *reason)
{
    series->value = NAN;
    snprintf(series->reason, sizeof series->reason, "%s", reason);
}

/* ---- the parts of a row ---- */

static void read_cpu(struct sampler *sampler, uint64_t now_ns, bool slow)
{
    struct sensors_cpu_reading reading;
    struct series *series = sampler->series;
    if (slow)
        sensors_cpu_read(sampler->cpu, now_ns, &reading);
    else
        sensors_cpu_read_counters(sampler->cpu, now_ns, &reading);
    put(&series[CPU_BUSY], &reading.busy);
    put(&series[STEAL], &reading.steal);
    put(&series[CGROUP_CORES], &reading.cgroup_cores);
    put(&series[CPU_POWER], &reading.power_w);
    for (size_t i = 0, at = 0; i < sampler->n_cores; i++) {
        while (at < reading.n_cores && reading.cores[at].id < sampler->core_ids[i])
            at++;
        if (at < reading.n_cores && reading.cores[at].id == sampler->core_ids[i] &&
            !isnan(reading.cores[at].busy))
            put_number(&series[sampler->first_core + i], reading.cores[at].busy);
        else
            put_unknown(&series[sampler->first_core + i], "/proc/stat does not tell of this core");
    }
    if (!slow)
        return;
    put(&series[CPU_MHZ], &reading.mhz);
    put(&series[CPU_TEMPERATURE], &reading.temperature_c);
    if (reading.mhz_source) {
        bool nominal = strcmp(reading.mhz_source, "cpuinfo") == 0;
        snprintf(series[CPU_MHZ].source, sizeof series->source, "%s",
                 nominal ? "/proc/cpuinfo" : reading.mhz_source);
        series[CPU_MHZ].quality = nominal ? "nominal" : "measured";
    }
    if (reading.temperature_source[0])
        snprintf(series[CPU_TEMPERATURE].source, sizeof series->source, "%s", reading.temperature_source);
}

static void read_pressure(struct sampler *sampler, uint64_t now_ns, bool slow)
{
    struct series *series = sampler->series;
    struct pressure_rates rates;
    struct pressure_levels levels;
    pressure_read_rates(sampler->pressure, now_ns, &rates);
    sampler->periods = rates.periods;
    sampler->throttled = rates.throttled_periods;
    put(&series[THROTTLED_FRACTION], &rates.throttled_fraction);
    put(&series[THROTTLED_TIME], &rates.throttled_s_per_s);
    put(&series[SWAP_IN], &rates.swap_in_bytes_per_s);
    if (!slow)
        return;
    pressure_read_levels(sampler->pressure, &levels);
    put(&series[MEMORY_AVAILABLE], &levels.memory_available_bytes);
    put(&series[SWAP_USED], &levels.swap_used_bytes);
    put(&series[PRESSURE_CPU], &levels.cpu);
    put(&series[PRESSURE_MEMORY], &levels.memory);
    put(&series[PRESSURE_IO], &levels.io);
    put(&series[LOAD], &levels.load_1min);
}

static void put_process_unknown(struct sampler *sampler, const char *reason)
{
    static const enum row of_process[] = {PROCESS_CORES, FOOTPRINT,    ANONYMOUS,   FILE_RESIDENT,
                                          PROCESS_SWAP,  MAJOR_FAULTS, MINOR_FAULTS};
    for (size_t i = 0; i < sizeof of_process / sizeof *of_process; i++)
        put_unknown(&sampler->series[of_process[i]], reason);
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
    return now >= before && seconds > 0 ? (double)(now - before) / seconds : NAN;
}

static void put_rates(struct sampler *sampler, const struct process_usage *now, double seconds)
{
    const struct process_usage *last = &sampler->last;
    struct series *series = sampler->series;
    double cores = now->cpu_s >= last->cpu_s && seconds > 0 ? (now->cpu_s - last->cpu_s) / seconds : NAN;
    put_number(&series[PROCESS_CORES], cores);
    put_number(&series[MAJOR_FAULTS],
               per_second(now->memory.major_faults, last->memory.major_faults, seconds));
    put_number(&series[MINOR_FAULTS],
               per_second(now->memory.minor_faults, last->memory.minor_faults, seconds));
}

static void read_process(struct sampler *sampler, uint64_t now_ns, pid_t pid)
{
    struct series *series = sampler->series;
    struct process_usage now;
    bool same = pid == sampler->pid && sampler->last.known && now_ns > sampler->last_ns;
    double seconds = same ? (double)(now_ns - sampler->last_ns) / 1e9 : 0;
    process_usage_sample(sampler->root, pid, &now);
    put_process_unknown(sampler, pid <= 0 ? "no process was watched"
                                 : !now.known
                                     ? "the process could not be read: it has ended, or is another user's"
                                     : "a rate needs two readings, and this is the first");
    if (now.memory.known) {
        put_number(&series[FOOTPRINT], (double)now.memory.resident_bytes);
        put_number(&series[ANONYMOUS], (double)now.memory.anonymous_bytes);
        put_number(&series[FILE_RESIDENT], (double)now.memory.file_bytes);
        put_number(&series[PROCESS_SWAP], (double)now.memory.swap_bytes);
    }
    if (same && now.known)
        put_rates(sampler, &now, seconds);
    sampler->pid = pid;
    sampler->last_ns = now_ns;
    sampler->last = now;
}

static void read_numa(struct sampler *sampler, pid_t pid)
{
    struct sensors_value remote;
    numa_read_remote(sampler->numa, pid, &remote);
    put(&sampler->series[NUMA_REMOTE_SHARE], &remote);
}

static void read_gpus(struct sampler *sampler)
{
    for (size_t i = 0; i < sampler->n_gpus; i++) {
        struct series *series = &sampler->series[sampler->first_gpu + i * GPU_ROWS];
        struct sensors_gpu_reading reading;
        sensors_gpus_read(sampler->gpus, (uint32_t)i, &reading);
        put(&series[GPU_BUSY], &reading.busy);
        put(&series[GPU_MEMORY], &reading.memory_used_bytes);
        put(&series[GPU_POWER], &reading.power_w);
        put(&series[GPU_POWER_LIMIT], &reading.power_limit_w);
        put(&series[GPU_TEMPERATURE], &reading.temperature_c);
        put(&series[GPU_MHZ], &reading.graphics_mhz);
    }
}

void sampler_read(struct sampler *sampler, uint64_t now_ns, pid_t pid)
{
    bool slow = sampler->rows % SERIES_SLOW == 0;
    read_cpu(sampler, now_ns, slow);
    read_pressure(sampler, now_ns, slow);
    read_process(sampler, now_ns, pid);
    if (sampler->rows % SERIES_GPU == 0)
        read_gpus(sampler);
    if (sampler->rows % SERIES_NUMA == SERIES_NUMA / 2)
        read_numa(sampler, pid);
    sampler->rows++;
}

/* ---- which series there are ---- */

/* The table names Linux's files. */
static const char *source_here(const char *on_linux)
{
#if defined(__linux__)
    return on_linux;
#else
    (void)on_linux;
    return "the system's own counters";
#endif
}

static void name_rows(struct sampler *sampler)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        struct series *series = &sampler->series[i];
        snprintf(series->id, sizeof series->id, "%s", rows[i].id);
        snprintf(series->label, sizeof series->label, "%s", rows[i].label);
        snprintf(series->source, sizeof series->source, "%s", source_here(rows[i].source));
        series->unit = rows[i].unit;
        series->decimals = rows[i].decimals;
        series->every = rows[i].every;
    }
}

static void name_cores(struct sampler *sampler, const struct sensors_cpu_reading *reading)
{
    for (size_t i = 0; i < sampler->n_cores; i++) {
        struct series *series = &sampler->series[sampler->first_core + i];
        uint32_t id = sampler->core_ids[i] = reading->cores[i].id;
        snprintf(series->id, sizeof series->id, "cpu_core_%u", (unsigned)id);
        snprintf(series->label, sizeof series->label, "CPU %u busy", (unsigned)id);
        snprintf(series->source, sizeof series->source, "%s", source_here("/proc/stat"));
        series->unit = "share";
        series->decimals = 3;
        series->every = 1;
    }
}

static void name_gpus(struct sampler *sampler, const char *reason)
{
    struct series *first = &sampler->series[sampler->first_gpu];
    if (sampler->n_gpus == 0) {
        *first =
            (struct series){.id = "gpu", .label = "GPU", .source = "NVML", .unit = "", .every = SERIES_GPU};
        put_unknown(first, reason);
        return;
    }
    for (size_t i = 0; i < sampler->n_gpus * GPU_ROWS; i++) {
        struct series *series = &first[i];
        size_t gpu = i / GPU_ROWS, row = i % GPU_ROWS;
        snprintf(series->id, sizeof series->id, "gpu_%zu_%s", gpu, gpu_rows[row].id);
        snprintf(series->label, sizeof series->label, "GPU %zu %s", gpu, gpu_rows[row].label);
        snprintf(series->source, sizeof series->source, "NVML");
        series->unit = gpu_rows[row].unit;
        series->decimals = gpu_rows[row].decimals;
        series->every = SERIES_GPU;
    }
}

static int open_sources(struct sampler *sampler, const char **no_gpu, struct error *error)
{
    int status = sensors_cpu_open(sampler->root, &sampler->cpu, error);
    if (!status)
        status = pressure_open(sampler->root, &sampler->pressure, error);
    if (!status)
        status = numa_open(sampler->root, &sampler->numa, error);
    *no_gpu = "a recorded tree has no driver to ask";
    if (!status && !sampler->root[0]) {
        status = sensors_gpus_open(NULL, &sampler->gpus, error);
        sampler->n_gpus = status ? 0 : sensors_gpus_count(sampler->gpus, no_gpu);
    }
    return status;
}

int sampler_open(const char *root, uint64_t now_ns, struct sampler **out, struct error *error)
{
    *out = NULL;
    struct sampler *sampler = calloc(1, sizeof *sampler);
    const char *no_gpu = "";
    struct sensors_cpu_reading first;
    struct pressure_rates ignored;
    if (sampler)
        sampler->root = strdup(root);
    if (!sampler || !sampler->root) {
        sampler_close(sampler);
        return error_memory(error, "the monitor", sizeof *sampler);
    }
    int status = open_sources(sampler, &no_gpu, error);
    if (status) {
        sampler_close(sampler);
        return status;
    }
    sensors_cpu_read_counters(sampler->cpu, now_ns, &first);
    pressure_read_rates(sampler->pressure, now_ns, &ignored);
    sampler->first_core = N_ROWS;
    sampler->n_cores = first.n_cores < SERIES_MAX_CORES ? first.n_cores : SERIES_MAX_CORES;
    sampler->first_gpu = sampler->first_core + sampler->n_cores;
    sampler->n_series = sampler->first_gpu + (sampler->n_gpus ? sampler->n_gpus * GPU_ROWS : 1);
    sampler->series = calloc(sampler->n_series, sizeof *sampler->series);
    if (!sampler->series) {
        sampler_close(sampler);
        return error_memory(error, "the monitor", sizeof(struct series));
    }
    name_rows(sampler);
    name_cores(sampler, &first);
    name_gpus(sampler, no_gpu);
    for (size_t i = 0; i < sampler->n_series; i++) {
        sampler->series[i].value = NAN;
        sampler->series[i].quality = i == NUMA_REMOTE_SHARE ? "derived" : "measured";
        if (!sampler->series[i].reason[0])
            put_unknown(&sampler->series[i], "the run was too short for a reading");
    }
    *out = sampler;
    return 0;
}

void sampler_close(struct sampler *sampler)
{
    if (!sampler)
        return;
    sensors_cpu_close(sampler->cpu);
    pressure_close(sampler->pressure);
    numa_close(sampler->numa);
    sensors_gpus_close(sampler->gpus);
    free(sampler->series);
    free(sampler->root);
    free(sampler);
}
