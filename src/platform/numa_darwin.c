/* Macs that LLMind runs on have one memory for all processors. */
#include "platform/numa.h"

#include <stddef.h>

#include "platform/sensors_internal.h"

int numa_open(const char *root, struct numa **out, struct error *error)
{
    (void)root;
    (void)error;
    *out = NULL;
    return 0;
}

void numa_close(struct numa *numa)
{
    (void)numa;
}

void numa_read_remote(struct numa *numa, pid_t pid, struct sensors_value *out)
{
    (void)numa;
    (void)pid;
    sensors_unknown(out, "all processors of this machine share one memory");
}
