#include "platform/cpu.h"

#include <pthread.h>
#include <stdio.h>

#include "platform/cpu_internal.h"

static struct cpu_info info;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_once(void)
{
    cpu_read_system(&info);
    cpu_read_features(&info.features);
    if (!info.name[0])
        snprintf(info.name, sizeof info.name, "unknown");
    if (info.cores_online == 0)
        info.cores_online = 1;
    if (info.cores_allowed == 0)
        info.cores_allowed = info.cores_online;
}

const struct cpu_info *cpu_info(void)
{
    pthread_once(&once, read_once);
    return &info;
}

uint32_t cpu_threads_for(uint32_t cores_allowed, double quota_cores)
{
    uint32_t threads = cores_allowed > 0 ? cores_allowed : 1;
    if (quota_cores > 0 && quota_cores < (double)threads) {
        uint32_t whole = (uint32_t)quota_cores;
        threads = (double)whole < quota_cores ? whole + 1 : whole;
    }
    return threads;
}

uint32_t cpu_usable_threads(void)
{
    const struct cpu_info *cpu = cpu_info();
    return cpu_threads_for(cpu->cores_allowed, cpu->quota_cores);
}
