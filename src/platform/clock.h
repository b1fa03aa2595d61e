/* The one monotonic clock of the program, and the wall clock for what people read. */
#ifndef LLMIND_PLATFORM_CLOCK_H
#define LLMIND_PLATFORM_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds since an arbitrary start; never goes back. */
uint64_t clock_now_ns(void);
/* That moment, and the one in so many milliseconds, as system calls take it. */
struct timespec clock_at(uint64_t ns);
struct timespec clock_in_ms(uint32_t ms);
/* A condition whose timed waits go by this clock, and not by one that can be set back. Returns errno's
 * numbers. */
int clock_cond_init(pthread_cond_t *condition);
/* pthread_cond_timedwait for such a condition: 0 (look again), or ETIMEDOUT once `until` is past. */
int clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until);
/* CPU time of the calling thread, nanoseconds. */
uint64_t clock_thread_cpu_ns(void);
/* "2026-11-23T04:22:00Z" (RFC 3339, UTC). capacity >= 32. */
void clock_wall_rfc3339(char *out, size_t capacity);

#endif
