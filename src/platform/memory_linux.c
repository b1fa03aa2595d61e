/* Gauges from /proc/PID/status and /proc/meminfo (proc(5)); both count in kB of 1024 bytes. */
#include "platform/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "platform/cgroup_linux.h"
#include "platform/memory_linux.h"
#include "platform/small_file.h"

bool memory_find_bytes(const char *table, const char *key, uint64_t *bytes)
{
    size_t length = strlen(key);
    for (const char *line = table; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, key, length) != 0)
            continue;
        uint64_t kilobytes;
        if (!small_file_number(line + length + strspn(line + length, " \t"), &kilobytes, NULL) ||
            kilobytes >> 54)
            return false;
        *bytes = kilobytes * 1024;
        return true;
    }
    return false;
}

void memory_read_status(const char *root, pid_t pid, struct memory_process *out)
{
    *out = (struct memory_process){0};
    char path[PATH_MAX], status[4096];
    uint64_t shared = 0;
    int length = pid == 0 ? snprintf(path, sizeof path, "%s/proc/self/status", root)
                          : snprintf(path, sizeof path, "%s/proc/%d/status", root, (int)pid);
    if (length < 0 || (size_t)length >= sizeof path || !small_file_read(path, status, sizeof status))
        return;
    out->known = memory_find_bytes(status, "VmRSS:", &out->resident_bytes) &&
                 memory_find_bytes(status, "VmHWM:", &out->resident_peak_bytes) &&
                 memory_find_bytes(status, "RssAnon:", &out->anonymous_bytes) &&
                 memory_find_bytes(status, "RssFile:", &out->file_bytes) &&
                 memory_find_bytes(status, "RssShmem:", &shared) &&
                 memory_find_bytes(status, "VmSwap:", &out->swap_bytes);
    if (!out->known)
        *out = (struct memory_process){0};
    else
        out->anonymous_bytes += shared; /* shared anonymous pages: nobody's file either */
}

void memory_process_read(struct memory_process *out)
{
    memory_read_status("", 0, out);
    struct rusage usage;
    if (out->known && !getrusage(RUSAGE_SELF, &usage)) {
        out->major_faults = (uint64_t)usage.ru_majflt;
        out->minor_faults = (uint64_t)usage.ru_minflt;
    }
}

void memory_machine_read(struct memory_machine *out)
{
    *out = (struct memory_machine){0};
    char table[4096];
    if (!small_file_read("/proc/meminfo", table, sizeof table))
        return;
    out->known = memory_find_bytes(table, "MemTotal:", &out->total_bytes) &&
                 memory_find_bytes(table, "MemAvailable:", &out->available_bytes);
    if (!out->known)
        *out = (struct memory_machine){0};
    out->limit_bytes = memory_limit_bytes("");
}

uint64_t memory_limit_bytes(const char *root)
{
    return cgroup_memory_limit(root);
}
