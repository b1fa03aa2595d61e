#include "platform/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now))
        return 0; /* both clocks below are mandatory on the systems this file is built for */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

struct timespec clock_at(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

struct timespec clock_in_ms(uint32_t ms)
{
    return clock_at(clock_now_ns() + (uint64_t)ms * 1000000u);
}

uint64_t clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

void clock_wall_rfc3339(char *out, size_t capacity)
{
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(out, capacity, "%Y-%m-%dT%H:%M:%SZ", &utc))
        snprintf(out, capacity, "1970-01-01T00:00:00Z");
}
