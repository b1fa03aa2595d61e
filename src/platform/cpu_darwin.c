/* Untried: no Mac has built this yet. macOS has neither affinity masks nor CPU quotas. */
#include <sys/sysctl.h>

#include "platform/cpu_internal.h"

void cpu_read_system(struct cpu_info *info)
{
    size_t size = sizeof info->name;
    if (sysctlbyname("machdep.cpu.brand_string", info->name, &size, NULL, 0))
        info->name[0] = '\0';
    uint32_t cores = 0;
    size = sizeof cores;
    if (!sysctlbyname("hw.activecpu", &cores, &size, NULL, 0))
        info->cores_online = info->cores_allowed = cores;
    uint64_t bytes = 0;
    size = sizeof bytes;
    if (!sysctlbyname("hw.perflevel0.l2cachesize", &bytes, &size, NULL, 0))
        info->last_level_cache_bytes = bytes;
}

double cpu_quota_cores(const char *root)
{
    (void)root;
    return 0;
}
