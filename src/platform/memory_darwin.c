/* Untried: no Mac has built this yet. "Resident" is what Activity Monitor calls memory: the physical
 * footprint leaves clean file pages out, so the file part is the rest of the resident size. */
#include "platform/memory.h"

#include <mach/mach.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#include <unistd.h>

void memory_process_read(struct memory_process *out)
{
    *out = (struct memory_process){0};
    task_vm_info_data_t info = {0};
    mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
    if (task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &count) != KERN_SUCCESS)
        return;
    out->known = true;
    out->resident_bytes = info.resident_size;
    out->resident_peak_bytes = info.resident_size_peak;
    out->anonymous_bytes = info.internal;
    out->file_bytes = info.external;
    out->swap_bytes = info.compressed;
    struct rusage usage;
    if (!getrusage(RUSAGE_SELF, &usage)) {
        out->major_faults = (uint64_t)usage.ru_majflt;
        out->minor_faults = (uint64_t)usage.ru_minflt;
    }
}

void memory_machine_read(struct memory_machine *out)
{
    *out = (struct memory_machine){0};
    uint64_t total = 0;
    size_t size = sizeof total;
    vm_statistics64_data_t pages = {0};
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    if (sysctlbyname("hw.memsize", &total, &size, NULL, 0) ||
        host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&pages, &count) != KERN_SUCCESS)
        return;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    out->known = true;
    out->total_bytes = total;
    out->available_bytes = ((uint64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) * page;
}

uint64_t memory_limit_bytes(const char *root)
{
    (void)root;
    return 0;
}
