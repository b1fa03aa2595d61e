/* The memory of any process, for process_usage_linux.c. Internal to src/platform. */
#ifndef LLMIND_PLATFORM_MEMORY_LINUX_H
#define LLMIND_PLATFORM_MEMORY_LINUX_H

#include <sys/types.h>

#include "platform/memory.h"

/* From /proc/PID/status, pid 0 being the own process; faults stay 0. */
void memory_read_status(pid_t pid, struct memory_process *out);

#endif
