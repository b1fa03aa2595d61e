/* Some threads that do the same thing at the same time, timed from the moment when all of them are there
 * until the last one has finished: what a ceiling of a whole machine is measured with. Between two rounds
 * they sleep. One caller at a time.
 */
#ifndef LLMIND_PROFILE_TEAM_H
#define LLMIND_PROFILE_TEAM_H

#include <stdint.h>

#include "base/error.h"

struct team;

/* index: 0 (the caller) .. n - 1. */
typedef void team_work(void *context, uint32_t index, uint32_t n);

/* n >= 1, the caller included. ERROR_MEMORY, ERROR_LIMIT (the system refuses a thread). */
int team_open(uint32_t n, struct team **out, struct error *error);
void team_close(struct team *team); /* NULL is legal */

/* Runs one round; nanoseconds, at least 1. */
uint64_t team_time(struct team *team, team_work *work, void *context);
uint32_t team_size(const struct team *team);

#endif
