/* Untried. Conditions know no clock here; waits for a length of time do not follow the wall clock. */
#include <errno.h>

#include "platform/clock.h"

int clock_cond_init(pthread_cond_t *condition)
{
    return pthread_cond_init(condition, NULL);
}

int clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until)
{
    uint64_t until_ns = (uint64_t)until->tv_sec * 1000000000u + (uint64_t)until->tv_nsec,
             now_ns = clock_now_ns();
    if (until_ns <= now_ns)
        return ETIMEDOUT;
    const struct timespec left = clock_at(until_ns - now_ns);
    return pthread_cond_timedwait_relative_np(condition, lock, &left);
}
