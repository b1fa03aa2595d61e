/* CPU time and memory of a process by its id: the server shows its own and its worker's. */
#ifndef LLMIND_PLATFORM_PROCESS_USAGE_H
#define LLMIND_PLATFORM_PROCESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/memory.h"

struct process_usage {
    bool known;   /* of cpu_s and threads */
    double cpu_s; /* user and system, all threads, since it started */
    uint32_t threads;
    bool descriptors_known;
    uint32_t descriptors;         /* open files and sockets */
    struct memory_process memory; /* faults included; it has a `known` of its own */
};

/* A process that is gone, or of which the system tells nothing, is not known. */
void process_usage_read(pid_t pid, struct process_usage *out);

/* The same without counting descriptors, which costs more than all the rest: for whoever reads ten times a
 * second. root: "" for this machine (CPU time is then exact to the nanosecond, instead of to the kernel's
 * hundredth of a second), or a folder with a recorded tree. */
void process_usage_sample(const char *root, pid_t pid, struct process_usage *out);

/* For tests: what process_usage_read takes from the text of /proc/PID/stat (proc(5)). ticks_per_s: sysconf's
 * _SC_CLK_TCK. False when it is not of that form. */
bool process_usage_parse_stat(const char *text, long ticks_per_s, struct process_usage *out);

#endif
