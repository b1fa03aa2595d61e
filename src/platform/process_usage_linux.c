/* /proc/PID/stat, /proc/PID/status, /proc/PID/fd (proc(5)). */
#include "platform/process_usage.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/memory_linux.h"
#include "platform/small_file.h"

/* Numbers of the fields in stat(5)'s own count, which begins at 1; the name in field 2 may hold spaces and
 * brackets, so that counting starts behind the last bracket, at field 3. */
enum {
    FIELD_AFTER_NAME = 3,
    FIELD_MINOR_FAULTS = 10,
    FIELD_MAJOR_FAULTS = 12,
    FIELD_USER = 14,
    FIELD_SYSTEM = 15,
    FIELD_THREADS = 20
};

bool process_usage_parse_stat(const char *text, long ticks_per_s, struct process_usage *out)
{
    const char *at = strrchr(text, ')');
    if (!at || ticks_per_s <= 0)
        return false;
    unsigned long long value[FIELD_THREADS + 1] = {0};
    at++;
    for (int field = FIELD_AFTER_NAME; field <= FIELD_THREADS; field++) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " \n");
        if (length == 0)
            return false;
        if (*at >= '0' && *at <= '9')
            value[field] = strtoull(at, NULL, 10);
        at += length;
    }
    if (value[FIELD_THREADS] == 0 || value[FIELD_THREADS] > UINT32_MAX)
        return false;
    out->cpu_s = (double)(value[FIELD_USER] + value[FIELD_SYSTEM]) / (double)ticks_per_s;
    out->threads = (uint32_t)value[FIELD_THREADS];
    out->memory.minor_faults = value[FIELD_MINOR_FAULTS];
    out->memory.major_faults = value[FIELD_MAJOR_FAULTS];
    out->known = true;
    return true;
}

static bool count_descriptors(pid_t pid, uint32_t *count)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return false;
    *count = 0;
    const struct dirent *item;
    while ((item = readdir(folder)))
        *count += item->d_name[0] != '.';
    closedir(folder);
    if (pid == getpid() && *count > 0)
        (*count)--; /* the one that was open to count them */
    return true;
}

/* The process's own clock, which counts what /proc/PID/stat rounds (clock_getcpuclockid(3)). */
static void read_clock(pid_t pid, double *cpu_s)
{
    clockid_t clock;
    struct timespec spent;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &spent) == 0)
        *cpu_s = (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

void process_usage_sample(const char *root, pid_t pid, struct process_usage *out)
{
    *out = (struct process_usage){0};
    if (pid <= 0)
        return;
    char path[PATH_MAX], text[4096];
    memory_read_status(root, pid, &out->memory);
    int length = snprintf(path, sizeof path, "%s/proc/%d/stat", root, (int)pid);
    if (length > 0 && (size_t)length < sizeof path && small_file_read(path, text, sizeof text))
        (void)process_usage_parse_stat(text, sysconf(_SC_CLK_TCK), out);
    if (out->known && !root[0])
        read_clock(pid, &out->cpu_s);
}

void process_usage_read(pid_t pid, struct process_usage *out)
{
    process_usage_sample("", pid, out);
    if (pid > 0)
        out->descriptors_known = count_descriptors(pid, &out->descriptors);
}
