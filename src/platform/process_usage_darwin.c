/* Untried: no Mac has built this yet. Through libproc, which tells of the processes of one's own user. The
 * highest resident size of another process is not told: it is the present one. */
#include "platform/process_usage.h"

#include <libproc.h>
#include <mach/mach_time.h>
#include <sys/resource.h>
#include <unistd.h>

bool process_usage_parse_stat(const char *text, long ticks_per_s, struct process_usage *out)
{
    (void)text;
    (void)ticks_per_s;
    (void)out;
    return false;
}

void process_usage_sample(const char *root, pid_t pid, struct process_usage *out)
{
    *out = (struct process_usage){0};
    if (root[0] || pid <= 0)
        return;
    if (pid == getpid())
        memory_process_read(&out->memory);
    /* of a process of one's own user (libproc.h) */
    struct proc_taskinfo task;
    struct rusage_info_v2 usage;
    if (proc_pidinfo(pid, PROC_PIDTASKINFO, 0, &task, sizeof task) != (int)sizeof task)
        return;
    out->known = true;
    out->threads = task.pti_threadnum > 0 ? (uint32_t)task.pti_threadnum : 0;
    mach_timebase_info_data_t base;
    double ns_per_tick =
        mach_timebase_info(&base) == KERN_SUCCESS && base.denom ? (double)base.numer / base.denom : 1;
    out->cpu_s = (double)(task.pti_total_user + task.pti_total_system) * ns_per_tick / 1e9;
    if (!out->memory.known && proc_pid_rusage(pid, RUSAGE_INFO_V2, (rusage_info_t *)&usage) == 0) {
        out->memory.known = true;
        out->memory.resident_bytes = out->memory.resident_peak_bytes = usage.ri_resident_size;
        out->memory.anonymous_bytes = usage.ri_phys_footprint;
        if (usage.ri_resident_size > usage.ri_phys_footprint)
            out->memory.file_bytes = usage.ri_resident_size - usage.ri_phys_footprint;
    }
    out->memory.major_faults = (uint64_t)task.pti_pageins;
    out->memory.minor_faults = (uint64_t)task.pti_faults;
}

void process_usage_read(pid_t pid, struct process_usage *out)
{
    process_usage_sample("", pid, out);
}
