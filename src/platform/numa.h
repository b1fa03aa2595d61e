/* On machines with several memory nodes (NUMA: mostly one for each processor socket): how much of what a
 * process reads lies in the memory of another node than the one its threads run on, though it need not:
 * threads that are spread over two nodes have half of everything on the other one, wherever it lies.
 *
 * It is told from where pages lie and where threads run at one moment, not counted access by access, which
 * only performance counters could: a thread is taken to read all of the process's memory alike.
 */
#ifndef LLMIND_PLATFORM_NUMA_H
#define LLMIND_PLATFORM_NUMA_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "platform/sensors.h"

struct numa; /* which processors are which node's; one thread at a time */

/* root: "" for this machine, or a folder with a recorded tree (proc/..., sys/...). ERROR_MEMORY. */
int numa_open(const char *root, struct numa **out, struct error *error);
void numa_close(struct numa *numa); /* NULL is legal */

/* 0 to 1: of the process's resident memory, the share on other nodes, as the mean over the threads that are
 * running right now, beyond what it would be with memory spread as they are. Walks the process's page tables,
 * which takes milliseconds for each GB: not to be read ten times a second. Not known on a machine of one
 * node, at a moment without a running thread, and of a process that cannot be looked into. */
void numa_read_remote(struct numa *numa, pid_t pid, struct sensors_value *out);

#endif
