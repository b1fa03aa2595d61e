/* Cores, quota, caches and the name of the processor, as Linux tells them. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/cgroup_linux.h"
#include "platform/cpu_internal.h"
#include "platform/small_file.h"

enum { CPUS_FIRST = 1024, CPUS_MAX = 1 << 16, CACHE_INDEXES_MAX = 16 };

/* The affinity mask, in a set that CPU_FREE frees; NULL when it cannot be read. A kernel built for more CPUs
 * than the set has bits refuses with EINVAL. */
static cpu_set_t *read_affinity(size_t *cpus)
{
    for (*cpus = CPUS_FIRST; *cpus <= CPUS_MAX; *cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(*cpus);
        if (!set)
            return NULL;
        CPU_ZERO_S(CPU_ALLOC_SIZE(*cpus), set);
        if (!sched_getaffinity(0, CPU_ALLOC_SIZE(*cpus), set))
            return set;
        CPU_FREE(set);
        if (errno != EINVAL)
            return NULL;
    }
    return NULL;
}

/* "model name : AMD EPYC 9354" of /proc/cpuinfo (x86), or the device tree's model (most ARM boards). */
static void read_name(char *out, size_t capacity)
{
    char text[4096];
    if (small_file_read("/proc/cpuinfo", text, sizeof text)) {
        const char *line = strstr(text, "model name");
        const char *colon = line ? strchr(line, ':') : NULL;
        if (colon) {
            const char *start = colon + 1 + strspn(colon + 1, " \t");
            snprintf(out, capacity, "%.*s", (int)strcspn(start, "\n"), start);
            return;
        }
    }
    (void)small_file_read("/sys/firmware/devicetree/base/model", out, capacity);
}

static bool read_cache_file(size_t cpu, int index, const char *name, char *out, size_t capacity)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/cache/index%d/%s", cpu, index, name);
    return small_file_read(path, out, capacity);
}

/* "32768K" */
static uint64_t cache_size(size_t cpu, int index)
{
    char text[32], *end;
    if (!read_cache_file(cpu, index, "size", text, sizeof text))
        return 0;
    unsigned long long number = strtoull(text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    return number >> (63 - shift) ? 0 : (uint64_t)number << shift;
}

/* The index of the CPU's cache of the highest level that holds data, or -1. */
static int last_level_index(size_t cpu)
{
    int best = -1;
    uint64_t level, best_level = 0;
    char type[32], text[16];
    for (int index = 0; index < CACHE_INDEXES_MAX; index++) {
        if (!read_cache_file(cpu, index, "level", text, sizeof text) ||
            !small_file_number(text, &level, NULL))
            break;
        if (!read_cache_file(cpu, index, "type", type, sizeof type) || !strcmp(type, "Instruction"))
            continue;
        if (level > best_level) {
            best_level = level;
            best = index;
        }
    }
    return best;
}

/* The lowest allowed CPU among "0-3,8-11": the one that counts a cache shared by all of them. */
static size_t first_allowed(const char *list, const cpu_set_t *set, size_t cpus)
{
    for (const char *at = list; *at;) {
        char *end;
        size_t low = strtoul(at, &end, 10), high = low;
        if (end == at)
            break;
        if (*end == '-')
            high = strtoul(end + 1, &end, 10);
        for (size_t cpu = low; cpu <= high && cpu < cpus; cpu++)
            if (CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(cpus), set))
                return cpu;
        at = *end == ',' ? end + 1 : "";
    }
    return cpus;
}

/* The sum over all last-level caches that the allowed cores sit behind: a chip of several core complexes has
 * several. */
static uint64_t read_last_level_cache(const cpu_set_t *set, size_t cpus)
{
    uint64_t total = 0;
    char shared[1024];
    for (size_t cpu = 0; cpu < cpus; cpu++) {
        if (!CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(cpus), set))
            continue;
        int index = last_level_index(cpu);
        if (index < 0 || !read_cache_file(cpu, index, "shared_cpu_list", shared, sizeof shared))
            continue;
        if (first_allowed(shared, set, cpus) == cpu)
            total += cache_size(cpu, index);
    }
    return total;
}

void cpu_read_system(struct cpu_info *info)
{
    read_name(info->name, sizeof info->name);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    info->cores_online = online > 0 ? (uint32_t)online : 0;
    info->quota_cores = cpu_quota_cores("");
    size_t cpus;
    cpu_set_t *set = read_affinity(&cpus);
    if (!set)
        return;
    info->cores_allowed = (uint32_t)CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
    info->last_level_cache_bytes = read_last_level_cache(set, cpus);
    CPU_FREE(set);
}

double cpu_quota_cores(const char *root)
{
    return cgroup_cpu_quota(root);
}
