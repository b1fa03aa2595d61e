/* cpu.stat of the control groups (Documentation/admin-guide/cgroup-v2.rst, scheduler/sched-bwc.rst),
 * /proc/pressure (accounting/psi.rst), /proc/vmstat, /proc/meminfo, /proc/loadavg (proc(5)).
 *
 * A quota is counted in the group that has it, which may be any above the own one, so every cpu.stat on the
 * way up is followed and the one that is held back most in an interval is what is told. The groups are looked
 * up once, when the reader is opened.
 */
#include "platform/pressure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/cgroup_linux.h"
#include "platform/memory_linux.h"
#include "platform/sensors_internal.h"
#include "platform/small_file.h"

enum { GROUPS_MAX = 16, TEXT_BYTES = 32 << 10 };

/* Of one group's cpu.stat. */
struct throttling {
    uint64_t periods, throttled, throttled_ns;
};

struct group {
    char folder[SENSORS_PATH];
    int version;
    struct small_file stat; /* cpu.stat */
    bool has_last;
    struct throttling last;
};

struct pressure {
    char root[SENSORS_PATH];
    struct group cpu[GROUPS_MAX], memory[GROUPS_MAX]; /* the own one first */
    uint32_t n_cpu, n_memory;
    double quota_cores; /* 0: none */
    uint64_t periods, throttled;
    uint64_t last_ns; /* of the reading before */
    struct small_file vmstat;
    bool has_swap;
    uint64_t swap_pages;
    char text[TEXT_BYTES];
};

/* ---- the files ---- */

static bool read_file(struct pressure *pressure, const char *folder, const char *name)
{
    char path[2 * SENSORS_PATH];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path &&
           small_file_read(path, pressure->text, sizeof pressure->text);
}

/* A file that every reading needs; see sensors_linux.c. */
static bool read_often(struct pressure *pressure, struct small_file *file, const char *folder,
                       const char *name)
{
    char path[2 * SENSORS_PATH];
    if (pressure->root[0])
        return read_file(pressure, folder, name);
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path &&
           small_file_read_kept(file, path, pressure->text, sizeof pressure->text);
}

/* The number behind "key " at the start of a line. */
static bool find_number(const char *text, const char *key, uint64_t *number)
{
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return small_file_number(line + length + 1, number, NULL);
    return false;
}

static void add_group(const char *folder, int version, struct group *groups, uint32_t *n)
{
    if (*n == GROUPS_MAX || strlen(folder) >= SENSORS_PATH)
        return;
    groups[*n] = (struct group){.version = version};
    snprintf(groups[(*n)++].folder, SENSORS_PATH, "%s", folder);
}

static void visit_cpu(const char *folder, int version, void *context)
{
    struct pressure *pressure = context;
    uint64_t periods;
    if (strlen(folder) < SENSORS_PATH && read_file(pressure, folder, "cpu.stat") &&
        find_number(pressure->text, "nr_periods", &periods))
        add_group(folder, version, pressure->cpu, &pressure->n_cpu);
}

static void visit_memory(const char *folder, int version, void *context)
{
    struct pressure *pressure = context;
    add_group(folder, version, pressure->memory, &pressure->n_memory);
}

/* ---- throttling ---- */

/* Version 1 counts nanoseconds, version 2 microseconds. */
static bool read_throttling(struct pressure *pressure, struct group *group, struct throttling *out)
{
    const char *text = pressure->text;
    if (!read_often(pressure, &group->stat, group->folder, "cpu.stat") ||
        !find_number(text, "nr_periods", &out->periods) ||
        !find_number(text, "nr_throttled", &out->throttled))
        return false;
    if (group->version == 1)
        return find_number(text, "throttled_time", &out->throttled_ns);
    uint64_t us;
    if (!find_number(text, "throttled_usec", &us) || us > UINT64_MAX / 1000)
        return false;
    out->throttled_ns = us * 1000;
    return true;
}

struct worst {
    uint32_t n_compared;
    uint64_t periods, throttled;
    double fraction, s_per_s;
};

static void compare(struct group *group, const struct throttling *now, double seconds, struct worst *worst)
{
    const struct throttling last = group->last;
    bool comparable = group->has_last && seconds > 0 && now->periods >= last.periods &&
                      now->throttled >= last.throttled && now->throttled_ns >= last.throttled_ns;
    group->last = *now;
    group->has_last = true;
    if (!comparable)
        return;
    worst->n_compared++;
    uint64_t periods = now->periods - last.periods, throttled = now->throttled - last.throttled;
    double fraction = periods ? (double)throttled / (double)periods : 0;
    double s_per_s = (double)(now->throttled_ns - last.throttled_ns) / 1e9 / seconds;
    if (worst->periods == 0 || fraction > worst->fraction) {
        worst->periods = periods;
        worst->throttled = throttled;
        worst->fraction = fraction < 1 ? fraction : 1;
    }
    if (s_per_s > worst->s_per_s)
        worst->s_per_s = s_per_s;
}

static void read_throttled(struct pressure *pressure, double seconds, struct pressure_rates *out)
{
    struct worst worst = {0};
    struct throttling now;
    bool readable = false;
    for (uint32_t i = 0; i < pressure->n_cpu; i++) {
        struct group *group = &pressure->cpu[i];
        if (read_throttling(pressure, group, &now)) {
            readable = true;
            compare(group, &now, seconds, &worst);
        } else
            group->has_last = false;
    }
    if (worst.n_compared == 0) {
        sensors_unknown(
            &out->throttled_s_per_s, "%s",
            readable ? "throttling is the difference of two readings, and this is the first"
                     : "no control group of this process counts throttling (cpu.stat has no nr_periods)");
        out->throttled_fraction = out->throttled_s_per_s;
        return;
    }
    pressure->periods += worst.periods;
    pressure->throttled += worst.throttled;
    sensors_know(&out->throttled_s_per_s, worst.s_per_s);
    if (worst.periods == 0 && pressure->quota_cores > 0)
        sensors_unknown(&out->throttled_fraction, "no period of the quota ended since the reading before");
    else
        sensors_know(&out->throttled_fraction, worst.fraction);
}

/* ---- pressure stall information ---- */

/* "some avg10=0.38 avg60=1.62 ..." in percent. */
static void read_stall(struct pressure *pressure, const char *name, struct sensors_value *out)
{
    char file[64], *end = NULL;
    static const char start[] = "some avg10=";
    snprintf(file, sizeof file, "proc/pressure/%s", name);
    if (!read_file(pressure, pressure->root, file)) {
        sensors_unknown(out,
                        "/proc/pressure/%s cannot be read: the kernel has no pressure stall information, or "
                        "it is switched off (boot with psi=1)",
                        name);
        return;
    }
    const char *at = pressure->text + sizeof start - 1;
    double percent = strncmp(pressure->text, start, sizeof start - 1) == 0 ? strtod(at, &end) : NAN;
    if (percent >= 0 && percent <= 100 && end > at)
        sensors_know(out, percent / 100);
    else
        sensors_unknown(out, "/proc/pressure/%s is not of the form that psi.rst describes", name);
}

/* ---- memory ---- */

static void read_swap_in(struct pressure *pressure, double seconds, struct sensors_value *out)
{
    uint64_t pages;
    if (!read_often(pressure, &pressure->vmstat, pressure->root, "proc/vmstat") ||
        !find_number(pressure->text, "pswpin", &pages)) {
        pressure->has_swap = false;
        sensors_unknown(out, "/proc/vmstat does not count pages that come back from swap");
        return;
    }
    if (pressure->has_swap && seconds > 0 && pages >= pressure->swap_pages)
        sensors_know(out, (double)(pages - pressure->swap_pages) * (double)sysconf(_SC_PAGESIZE) / seconds);
    else
        sensors_unknown(out, "a rate needs two readings, and this is the first");
    pressure->has_swap = true;
    pressure->swap_pages = pages;
}

/* What a group's limit leaves: pages of files that were not used lately are given back when memory is needed,
 * so they do not count as taken. False: no limit. */
static bool read_room(struct pressure *pressure, const struct group *group, uint64_t *room)
{
    bool v2 = group->version == 2;
    uint64_t limit, used, files;
    if (!read_file(pressure, group->folder, v2 ? "memory.max" : "memory.limit_in_bytes") ||
        !small_file_number(pressure->text, &limit, NULL) || limit == 0 || limit >= UINT64_C(1) << 60 ||
        !read_file(pressure, group->folder, v2 ? "memory.current" : "memory.usage_in_bytes") ||
        !small_file_number(pressure->text, &used, NULL))
        return false;
    if (read_file(pressure, group->folder, "memory.stat") &&
        find_number(pressure->text, v2 ? "inactive_file" : "total_inactive_file", &files))
        used -= files < used ? files : used;
    *room = limit > used ? limit - used : 0;
    return true;
}

static void read_memory(struct pressure *pressure, struct pressure_levels *out)
{
    uint64_t available, swap_total, swap_free, room;
    bool readable = read_file(pressure, pressure->root, "proc/meminfo");
    bool swap = readable && memory_find_bytes(pressure->text, "SwapTotal:", &swap_total) &&
                memory_find_bytes(pressure->text, "SwapFree:", &swap_free) && swap_free <= swap_total;
    if (swap) {
        sensors_know(&out->swap_total_bytes, (double)swap_total);
        sensors_know(&out->swap_used_bytes, (double)(swap_total - swap_free));
    } else {
        sensors_unknown(&out->swap_total_bytes, "/proc/meminfo does not tell of swap");
        out->swap_used_bytes = out->swap_total_bytes;
    }
    if (!readable || !memory_find_bytes(pressure->text, "MemAvailable:", &available)) {
        sensors_unknown(&out->memory_available_bytes, "/proc/meminfo has no MemAvailable");
        return;
    }
    for (uint32_t i = 0; i < pressure->n_memory; i++)
        if (read_room(pressure, &pressure->memory[i], &room) && room < available)
            available = room;
    sensors_know(&out->memory_available_bytes, (double)available);
}

static void read_load(struct pressure *pressure, struct sensors_value *out)
{
    char *end = NULL;
    double load = NAN;
    bool readable = read_file(pressure, pressure->root, "proc/loadavg");
    if (readable)
        load = strtod(pressure->text, &end);
    if (readable && end > pressure->text && load >= 0 && load < 1e9)
        sensors_know(out, load);
    else
        sensors_unknown(out, "/proc/loadavg cannot be read");
}

/* ---- */

int pressure_open(const char *root, struct pressure **out, struct error *error)
{
    *out = NULL;
    if (strlen(root) >= SENSORS_PATH)
        return error_set(error, ERROR_LIMIT, "the folder '%.60s...' is too long a name", root);
    struct pressure *pressure = calloc(1, sizeof *pressure);
    if (!pressure)
        return error_memory(error, "the pressure gauges", sizeof *pressure);
    snprintf(pressure->root, sizeof pressure->root, "%s", root);
    cgroup_walk(root, "cpu", visit_cpu, pressure);
    cgroup_walk(root, "memory", visit_memory, pressure);
    pressure->quota_cores = cgroup_cpu_quota(root);
    *out = pressure;
    return 0;
}

void pressure_close(struct pressure *pressure)
{
    if (!pressure)
        return;
    for (uint32_t i = 0; i < pressure->n_cpu; i++)
        small_file_close(&pressure->cpu[i].stat);
    small_file_close(&pressure->vmstat);
    free(pressure);
}

void pressure_read_rates(struct pressure *pressure, uint64_t now_ns, struct pressure_rates *out)
{
    memset(out, 0, sizeof *out);
    double seconds =
        pressure->last_ns && now_ns > pressure->last_ns ? (double)(now_ns - pressure->last_ns) / 1e9 : 0;
    read_throttled(pressure, seconds, out);
    out->periods = pressure->periods;
    out->throttled_periods = pressure->throttled;
    read_swap_in(pressure, seconds, &out->swap_in_bytes_per_s);
    pressure->last_ns = now_ns;
}

void pressure_read_levels(struct pressure *pressure, struct pressure_levels *out)
{
    memset(out, 0, sizeof *out);
    if (pressure->quota_cores > 0)
        sensors_know(&out->quota_cores, pressure->quota_cores);
    else
        sensors_unknown(&out->quota_cores, "no control group that this process can see has a CPU quota");
    read_stall(pressure, "cpu", &out->cpu);
    read_stall(pressure, "memory", &out->memory);
    read_stall(pressure, "io", &out->io);
    read_memory(pressure, out);
    read_load(pressure, &out->load_1min);
}
