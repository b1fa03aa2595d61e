/* Shares of time from /proc/stat and the control group's accounts, frequencies from cpufreq or /proc/cpuinfo
 * (proc(5), cgroups(7), Documentation/admin-guide/pm/cpufreq.rst). Temperature and power are in
 * sensors_package_linux.c.
 */
#include "platform/sensors.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cgroup_linux.h"
#include "platform/sensors_internal.h"
#include "platform/small_file.h"

enum {
    MAX_CORES = 2048,
    TEXT_BYTES = 1 << 20, /* the beginning of /proc/stat, all of /proc/cpuinfo; touched as far as they go */
    TICK_FIELDS = 8,      /* user nice system idle iowait irq softirq steal; guest is counted in user */
    FIELD_IDLE = 3,
    FIELD_IOWAIT = 4,
    FIELD_STEAL = 7
};

struct ticks {
    bool known;
    uint64_t total, idle, steal;
};

struct sensors_cpu {
    char root[SENSORS_PATH];
    struct small_file stat, usage;
    struct ticks all, core[MAX_CORES]; /* of the last reading, by the core's id */
    struct sensors_core cores[MAX_CORES];
    uint32_t n_cores;
    char usage_path[SENSORS_PATH]; /* the own group's account; "" when there is none */
    int usage_version;
    bool has_usage;
    double usage_s;
    uint64_t usage_ns; /* when it was read */
    bool has_cpufreq;
    struct sensors_value mhz, temperature_c; /* of the last full reading */
    const char *mhz_source;
    struct sensors_thermal thermal;
    struct sensors_energy energy;
    char text[TEXT_BYTES];
};

static bool read_file(struct sensors_cpu *sensors, const char *name)
{
    char path[2 * SENSORS_PATH];
    int length = snprintf(path, sizeof path, "%s%s", sensors->root, name);
    return length > 0 && (size_t)length < sizeof path &&
           small_file_read(path, sensors->text, sizeof sensors->text);
}

/* A file that every reading needs. Of a recorded tree it is opened anew: its next reading may be another
 * file. */
static bool read_often(struct sensors_cpu *sensors, struct small_file *file, const char *path, char *out,
                       size_t capacity)
{
    if (sensors->root[0])
        return small_file_read(path, out, capacity);
    return small_file_read_kept(file, path, out, capacity);
}

/* ---- time ---- */

/* The numbers behind "cpu" or "cpu12" of one line. */
static bool parse_ticks(const char *at, struct ticks *out)
{
    *out = (struct ticks){0};
    for (int i = 0; i < TICK_FIELDS; i++) {
        at += strspn(at, " ");
        if (!isdigit((unsigned char)*at))
            return false;
        char *end;
        uint64_t value = strtoull(at, &end, 10);
        out->total += value;
        if (i == FIELD_IDLE || i == FIELD_IOWAIT)
            out->idle += value;
        else if (i == FIELD_STEAL)
            out->steal = value;
        at = end;
    }
    out->known = true;
    return true;
}

static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0; /* iowait may go back (proc(5)) */
}

/* False when no time has passed between the two, as the kernel counts it. */
static bool shares(const struct ticks *before, const struct ticks *now, double *busy, double *steal)
{
    uint64_t total = since(now->total, before->total), idle = since(now->idle, before->idle);
    uint64_t stolen = since(now->steal, before->steal);
    if (!before->known || !now->known || total == 0)
        return false;
    double share = 1 - (double)(idle + stolen) / (double)total;
    *busy = share > 0 ? share : 0;
    *steal = (double)stolen / (double)total < 1 ? (double)stolen / (double)total : 1;
    return true;
}

static void add_core(struct sensors_cpu *sensors, unsigned long id, const struct ticks *now)
{
    double busy = NAN, steal;
    if (id >= MAX_CORES || sensors->n_cores == MAX_CORES)
        return;
    if (!shares(&sensors->core[id], now, &busy, &steal))
        busy = NAN;
    sensors->core[id] = *now;
    sensors->cores[sensors->n_cores++] = (struct sensors_core){(uint32_t)id, busy, NAN};
}

static void read_time(struct sensors_cpu *sensors, struct sensors_cpu_reading *out)
{
    struct ticks all = {0}, now;
    sensors->n_cores = 0;
    char path[2 * SENSORS_PATH];
    snprintf(path, sizeof path, "%s/proc/stat", sensors->root);
    bool readable = read_often(sensors, &sensors->stat, path, sensors->text, sizeof sensors->text);
    for (const char *line = readable ? sensors->text : NULL; line && strncmp(line, "cpu", 3) == 0;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (line[3] == ' ')
            (void)parse_ticks(line + 4, &all);
        else if (isdigit((unsigned char)line[3])) {
            char *end;
            unsigned long id = strtoul(line + 3, &end, 10);
            if (parse_ticks(end, &now))
                add_core(sensors, id, &now);
        }
    }
    double busy, steal;
    if (shares(&sensors->all, &all, &busy, &steal)) {
        sensors_know(&out->busy, busy);
        sensors_know(&out->steal, steal);
    } else {
        sensors_unknown(&out->busy, "%s",
                        !all.known            ? "/proc/stat cannot be read"
                        : !sensors->all.known ? "a share of time needs two readings, and this is the first"
                                              : "no time has passed since the reading before");
        out->steal = out->busy;
    }
    sensors->all = all;
}

/* ---- the own control group ---- */

/* The own group comes first; the groups above it hold other people's time too. */
static void find_usage(const char *folder, int version, void *context)
{
    struct sensors_cpu *sensors = context;
    char path[2 * SENSORS_PATH], text[64];
    if (sensors->usage_version)
        return;
    int length = snprintf(path, sizeof path, "%s/%s", folder, version == 2 ? "cpu.stat" : "cpuacct.usage");
    if (length < 0 || length >= SENSORS_PATH || !small_file_read(path, text, sizeof text))
        return;
    snprintf(sensors->usage_path, sizeof sensors->usage_path, "%.*s", SENSORS_PATH - 1, path);
    sensors->usage_version = version;
}

/* Version 2: a line "usage_usec N". Version 1: nanoseconds. */
static bool read_usage(struct sensors_cpu *sensors, double *seconds)
{
    char text[2048];
    uint64_t number;
    if (!sensors->usage_version ||
        !read_often(sensors, &sensors->usage, sensors->usage_path, text, sizeof text))
        return false;
    if (sensors->usage_version == 1) {
        if (!small_file_number(text, &number, NULL))
            return false;
        *seconds = (double)number / 1e9;
        return true;
    }
    const char *line = strstr(text, "usage_usec ");
    if (!line || !small_file_number(line + strlen("usage_usec "), &number, NULL))
        return false;
    *seconds = (double)number / 1e6;
    return true;
}

static void read_cgroup(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_value *out)
{
    double seconds;
    if (!read_usage(sensors, &seconds)) {
        sensors->has_usage = false;
        sensors_unknown(out,
                        "the control group of this process keeps no account of CPU time that can be read");
        return;
    }
    if (sensors->has_usage && now_ns > sensors->usage_ns && seconds >= sensors->usage_s)
        sensors_know(out, (seconds - sensors->usage_s) / ((double)(now_ns - sensors->usage_ns) / 1e9));
    else
        sensors_unknown(out, "a share of time needs two readings, and this is the first");
    sensors->has_usage = true;
    sensors->usage_s = seconds;
    sensors->usage_ns = now_ns;
}

/* ---- frequency ---- */

static void read_cpufreq(struct sensors_cpu *sensors)
{
    for (uint32_t i = 0; i < sensors->n_cores; i++) {
        char path[2 * SENSORS_PATH], text[32];
        uint64_t khz;
        snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", sensors->root,
                 (unsigned)sensors->cores[i].id);
        if (small_file_read(path, text, sizeof text) && small_file_number(text, &khz, NULL) && khz > 0)
            sensors->cores[i].mhz = (double)khz / 1000;
    }
}

static void set_mhz(struct sensors_cpu *sensors, unsigned long id, double mhz)
{
    for (uint32_t i = 0; i < sensors->n_cores; i++)
        if (sensors->cores[i].id == id && mhz > 0 && mhz < 1e5)
            sensors->cores[i].mhz = mhz;
}

/* "processor : 3" begins a core, "cpu MHz : 2600.000" belongs to it. */
static void read_cpuinfo(struct sensors_cpu *sensors)
{
    unsigned long id = MAX_CORES;
    if (!read_file(sensors, "/proc/cpuinfo"))
        return;
    for (const char *line = sensors->text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *colon = line + strcspn(line, ":\n");
        if (*colon != ':')
            continue;
        if (strncmp(line, "processor", 9) == 0)
            id = strtoul(colon + 1, NULL, 10);
        else if (strncmp(line, "cpu MHz", 7) == 0)
            set_mhz(sensors, id, strtod(colon + 1, NULL));
    }
}

/* Of the busy cores: that others go idle, or are somebody else's, is no change of the clock. */
#define BUSY_CORE 0.5

static void read_frequency(struct sensors_cpu *sensors, struct sensors_cpu_reading *out)
{
    if (sensors->has_cpufreq)
        read_cpufreq(sensors);
    else
        read_cpuinfo(sensors);
    double sum = 0, sum_busy = 0;
    uint32_t n = 0, n_busy = 0;
    for (uint32_t i = 0; i < sensors->n_cores; i++) {
        const struct sensors_core *core = &sensors->cores[i];
        if (isnan(core->mhz))
            continue;
        sum += core->mhz;
        n++;
        if (core->busy >= BUSY_CORE) {
            sum_busy += core->mhz;
            n_busy++;
        }
    }
    out->mhz_source = NULL;
    if (n == 0) {
        sensors_unknown(&out->mhz, "no frequency: neither cpufreq nor /proc/cpuinfo tells one");
        return;
    }
    sensors_know(&out->mhz, n_busy ? sum_busy / n_busy : sum / n);
    out->mhz_source = sensors->has_cpufreq ? "cpufreq" : "cpuinfo";
}

/* ---- */

int sensors_cpu_open(const char *root, struct sensors_cpu **out, struct error *error)
{
    *out = NULL;
    struct sensors_cpu *sensors = calloc(1, sizeof *sensors);
    if (!sensors)
        return error_memory(error, "the sensors", sizeof *sensors);
    if (strlen(root) >= sizeof sensors->root) {
        free(sensors);
        return error_set(error, ERROR_LIMIT, "the folder '%.60s...' is too long a name", root);
    }
    snprintf(sensors->root, sizeof sensors->root, "%s", root);
    cgroup_walk(root, "cpuacct", find_usage, sensors);
    char text[32], path[2 * SENSORS_PATH];
    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", root);
    sensors->has_cpufreq = small_file_read(path, text, sizeof text);
    sensors_thermal_find(root, &sensors->thermal);
    sensors_energy_find(root, &sensors->energy);
    sensors_unknown(&sensors->mhz, "it has not been read yet");
    sensors->temperature_c = sensors->mhz;
    *out = sensors;
    return 0;
}

void sensors_cpu_close(struct sensors_cpu *sensors)
{
    if (!sensors)
        return;
    small_file_close(&sensors->stat);
    small_file_close(&sensors->usage);
    free(sensors);
}

void sensors_cpu_read_counters(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out)
{
    memset(out, 0, sizeof *out);
    read_time(sensors, out);
    read_cgroup(sensors, now_ns, &out->cgroup_cores);
    sensors_energy_read(&sensors->energy, now_ns, &out->power_w);
    out->mhz = sensors->mhz;
    out->mhz_source = sensors->mhz_source;
    out->temperature_c = sensors->temperature_c;
    snprintf(out->temperature_source, sizeof out->temperature_source, "%s", sensors->thermal.source);
    out->cores = sensors->cores;
    out->n_cores = sensors->n_cores;
}

void sensors_cpu_read(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out)
{
    sensors_cpu_read_counters(sensors, now_ns, out);
    read_frequency(sensors, out);
    sensors_thermal_read(&sensors->thermal, &out->temperature_c);
    sensors->mhz = out->mhz;
    sensors->mhz_source = out->mhz_source;
    sensors->temperature_c = out->temperature_c;
}
