/* /proc/PID/stat, /proc/PID/status, /proc/PID/fd (proc(5)). */
#include "platform/process_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void process_usage_read(pid_t pid, struct process_usage *out)
{
    *out = (struct process_usage){0};
    if (pid <= 0)
        return;
    char path[64], text[4096];
    memory_read_status(pid, &out->memory);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (small_file_read(path, text, sizeof text))
        (void)process_usage_parse_stat(text, sysconf(_SC_CLK_TCK), out);
    out->descriptors_known = count_descriptors(pid, &out->descriptors);
}
