/* The compute threads of one cpu backend, and the barrier they meet at.
 *
 * threads_run makes every thread (the caller is number 0) run one function; inside it they meet at
 * threads_barrier. Both waits spin for a short while, because the next piece of work usually comes within
 * microseconds, and then sleep, so that an idle or oversubscribed machine is not kept busy. One caller at a
 * time.
 */
#ifndef LLMIND_BACKEND_CPU_THREADS_H
#define LLMIND_BACKEND_CPU_THREADS_H

#include <stdint.h>

#include "base/error.h"

struct threads;

typedef void (*threads_function)(void *context, uint32_t thread);

/* n_threads >= 1, the caller included. */
int threads_open(uint32_t n_threads, struct threads **out, struct error *error);
void threads_close(struct threads *threads); /* NULL is legal */

/* Returns when every thread has finished function(context, 0 .. n_threads - 1). */
void threads_run(struct threads *threads, threads_function function, void *context);

/* Called by every thread inside threads_run: nobody passes before all have come. What a thread wrote before
 * is seen by all after. */
void threads_barrier(struct threads *threads);

uint32_t threads_count(const struct threads *threads);

#endif
