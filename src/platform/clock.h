/* The one monotonic clock of the program, and the wall clock for what people read. */
#ifndef LLMIND_PLATFORM_CLOCK_H
#define LLMIND_PLATFORM_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds since an arbitrary start; never goes back. */
uint64_t clock_now_ns(void);
/* CPU time of the calling thread, nanoseconds. */
uint64_t clock_thread_cpu_ns(void);
/* "2026-11-23T04:22:00Z" (RFC 3339, UTC). capacity >= 32. */
void clock_wall_rfc3339(char *out, size_t capacity);

#endif
