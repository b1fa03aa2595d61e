/* Where this process stands in the control groups of Linux, version 1, version 2, or both at once ("hybrid").
 *
 * A limit may be set on the process's own group or on any group above it, and the tightest one counts. So a
 * reader asks cgroup_walk for every folder from the own group up to the top of the mount, and reads its files
 * there. Containers show only part of the tree: the mount may begin in the middle of it, or the path that
 * /proc/self/cgroup gives may lie outside; then what can be seen is what is read. Internal to src/platform.
 */
#ifndef LLMIND_PLATFORM_CGROUP_LINUX_H
#define LLMIND_PLATFORM_CGROUP_LINUX_H

#include <stdbool.h>
#include <stdint.h>

/* Called for one group folder; version is 1 or 2. */
typedef void cgroup_visit(const char *folder, int version, void *context);

/* Visits the folders of the version 1 hierarchy that has the controller ("cpu", "memory") and of the version
 * 2 one, each from the own group upwards. root: "" for this machine, or a folder with a recorded tree
 * (proc/..., sys/...). Allocates; not for timed code. */
void cgroup_walk(const char *root, const char *controller, cgroup_visit *visit, void *context);

/* CPU quota in cores, 0 = none. */
double cgroup_cpu_quota(const char *root);
/* Memory limit in bytes, 0 = none. */
uint64_t cgroup_memory_limit(const char *root);

#endif
