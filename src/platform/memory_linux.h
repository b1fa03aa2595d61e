/* The memory of any process, and how its tables are read. Internal to src/platform. */
#ifndef LLMIND_PLATFORM_MEMORY_LINUX_H
#define LLMIND_PLATFORM_MEMORY_LINUX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/memory.h"

/* From /proc/PID/status below root ("" or a recorded tree), pid 0 being the own process; faults stay 0. */
void memory_read_status(const char *root, pid_t pid, struct memory_process *out);

/* The bytes behind "VmRSS:" at the start of a line of such a table; false when there is no such line. */
bool memory_find_bytes(const char *table, const char *key, uint64_t *bytes);

#endif
