/* /sys/devices/system/cpu (Documentation/admin-guide/cputopology.rst, pm/cpufreq.rst, ABI/testing
 * sysfs-devices-system-cpu) and /sys/kernel/mm/transparent_hugepage (mm/transhuge.rst). */
#include "platform/setup.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"
#include "platform/small_file.h"

enum { CPUS_MAX = 8192 };

struct cpus {
    bool allowed[CPUS_MAX];
};

static bool read_file(const char *root, const char *name, char *out, size_t capacity)
{
    char path[2 * SENSORS_PATH];
    int length = snprintf(path, sizeof path, "%s/%s", root, name);
    return length > 0 && (size_t)length < sizeof path && small_file_read(path, out, capacity);
}

static bool read_cpu_file(const char *root, size_t cpu, const char *name, char *out, size_t capacity)
{
    char file[128];
    snprintf(file, sizeof file, "sys/devices/system/cpu/cpu%zu/%s", cpu, name);
    return read_file(root, file, out, capacity);
}

/* The CPUs that are switched on; on this machine those of them that this process may use. */
static void find_cpus(const char *root, struct cpus *cpus)
{
    char list[4096];
    size_t low, high;
    memset(cpus, 0, sizeof *cpus);
    const char *at = read_file(root, "sys/devices/system/cpu/online", list, sizeof list) ? list : "";
    while (small_file_range(&at, CPUS_MAX, &low, &high))
        for (size_t cpu = low; cpu <= high; cpu++)
            cpus->allowed[cpu] = true;
    cpu_set_t *set = root[0] ? NULL : CPU_ALLOC(CPUS_MAX);
    if (!set)
        return;
    if (sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set) == 0)
        for (size_t cpu = 0; cpu < CPUS_MAX; cpu++)
            cpus->allowed[cpu] = cpus->allowed[cpu] && CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(CPUS_MAX), set);
    CPU_FREE(set);
}

/* The first allowed CPU of those that share a core: the one that counts it. */
static bool counts_core(const char *root, const struct cpus *cpus, size_t cpu, bool *counts)
{
    char list[512];
    size_t low, high;
    if (!read_cpu_file(root, cpu, "topology/thread_siblings_list", list, sizeof list))
        return false;
    const char *at = list;
    while (small_file_range(&at, CPUS_MAX, &low, &high))
        for (size_t sibling = low; sibling <= high; sibling++)
            if (cpus->allowed[sibling]) {
                *counts = sibling == cpu;
                return true;
            }
    return false;
}

static void read_cores(const char *root, const struct cpus *cpus, struct setup *out)
{
    uint32_t cores = 0;
    bool counts;
    for (size_t cpu = 0; cpu < CPUS_MAX; cpu++) {
        if (!cpus->allowed[cpu])
            continue;
        if (!counts_core(root, cpus, cpu, &counts)) {
            cores = 0;
            break;
        }
        cores += counts;
    }
    if (cores > 0)
        sensors_know(&out->physical_cores, cores);
    else
        sensors_unknown(&out->physical_cores, "the system does not tell which CPUs share a core");
}

static void read_core_cache(const char *root, struct setup *out)
{
    for (int index = 0; index < 16; index++) {
        char file[64], text[32];
        snprintf(file, sizeof file, "cache/index%d/level", index);
        if (!read_cpu_file(root, 0, file, text, sizeof text))
            break;
        if (strcmp(text, "2") != 0)
            continue;
        snprintf(file, sizeof file, "cache/index%d/size", index);
        char *end;
        if (!read_cpu_file(root, 0, file, text, sizeof text))
            break;
        unsigned long size = strtoul(text, &end, 10);
        unsigned long unit = strcmp(end, "K") == 0 ? 1024 : strcmp(end, "M") == 0 ? 1024 * 1024 : 0;
        if (size > 0 && unit > 0 && size < (1UL << 30) / unit) {
            sensors_know(&out->core_cache_bytes, (double)(size * unit));
            return;
        }
    }
    sensors_unknown(&out->core_cache_bytes, "the system does not tell of a level 2 cache");
}

/* ---- words ---- */

static void know_word(struct setup_word *word, const char *value, size_t length)
{
    *word = (struct setup_word){0};
    if (length >= sizeof word->value)
        length = sizeof word->value - 1;
    for (size_t i = 0; i < length; i++)
        word->value[i] = value[i] > ' ' && value[i] < 127 ? value[i] : '?';
}

static void unknown_word(struct setup_word *word, const char *reason)
{
    *word = (struct setup_word){0};
    snprintf(word->reason, sizeof word->reason, "%s", reason);
}

static void read_governor(const char *root, const struct cpus *cpus, struct setup_word *out)
{
    char text[SETUP_WORD];
    unknown_word(out, "no cpufreq: the frequency is not this system's to choose (virtual machines)");
    for (size_t cpu = 0; cpu < CPUS_MAX; cpu++) {
        if (!cpus->allowed[cpu] || !read_cpu_file(root, cpu, "cpufreq/scaling_governor", text, sizeof text) ||
            !text[0])
            continue;
        if (!out->value[0])
            know_word(out, text, strlen(text));
        else if (strcmp(out->value, text) != 0)
            know_word(out, "mixed", strlen("mixed"));
    }
}

/* One file for all drivers but Intel's, which has one that says the contrary. */
static void read_boost(const char *root, struct sensors_value *out)
{
    char text[16];
    bool plain = read_file(root, "sys/devices/system/cpu/cpufreq/boost", text, sizeof text);
    bool intel = !plain && read_file(root, "sys/devices/system/cpu/intel_pstate/no_turbo", text, sizeof text);
    if ((plain || intel) && (strcmp(text, "0") == 0 || strcmp(text, "1") == 0))
        sensors_know(out, (text[0] == '1') == plain);
    else
        sensors_unknown(out, "the system has no switch for it");
}

/* "always [madvise] never" */
static void read_huge_pages(const char *root, struct setup_word *out)
{
    char text[128];
    bool readable = read_file(root, "sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    const char *open = readable ? strchr(text, '[') : NULL;
    const char *close = open ? strchr(open, ']') : NULL;
    if (close && close > open + 1)
        know_word(out, open + 1, (size_t)(close - open - 1));
    else
        unknown_word(out, "the kernel has no transparent huge pages");
}

/* CPUID's hypervisor bit, as the kernel lists it; ARM has none. */
static bool is_guest(const char *root)
{
    char text[8192];
    if (!read_file(root, "proc/cpuinfo", text, sizeof text))
        return false;
    const char *flags = strstr(text, "\nflags");
    const char *end = flags ? strchr(flags + 1, '\n') : NULL;
    const char *found = flags ? strstr(flags, " hypervisor") : NULL;
    return found && (!end || found < end);
}

void setup_read(const char *root, struct setup *out)
{
    memset(out, 0, sizeof *out);
    struct cpus cpus;
    find_cpus(root, &cpus);
    read_cores(root, &cpus, out);
    read_core_cache(root, out);
    read_governor(root, &cpus, &out->governor);
    read_boost(root, &out->boost);
    read_huge_pages(root, &out->huge_pages);
    out->virtual_machine = is_guest(root);
}
