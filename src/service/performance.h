/* What the machine and the server are doing right now: one sample as JSON, shared by everybody who asks.
 *
 * There is no sampling thread: a sample is taken when somebody looks and the last one is too old, so that a
 * server nobody watches reads no sensors. Whoever asks while a sample is being taken waits for that one.
 * Everything that cannot be read is null with a sibling "..._reason". Any thread.
 */
#ifndef LLMIND_SERVICE_PERFORMANCE_H
#define LLMIND_SERVICE_PERFORMANCE_H

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "service/figures.h"
#include "service/host.h"
#include "service/live.h"

struct performance;

/* Borrows host and live. Uptime counts from here. */
int performance_open(struct model_host *host, struct live *live, struct performance **out,
                     struct error *error);
void performance_close(struct performance *performance); /* NULL is legal */

double performance_uptime_s(const struct performance *performance);

enum {
    PERFORMANCE_MIN_MS = 100, /* /proc and the GPU are read no more often than this */
    PERFORMANCE_TICK_MS = 500 /* of the stream */
};

/* Appends the latest sample, a JSON object in one line, taking a new one when it is older than
 * PERFORMANCE_MIN_MS. Shares of time are means since the sample before, or, when nobody looked for 2 s, of
 * the PERFORMANCE_MIN_MS that this call then waits. ERROR_MEMORY. */
int performance_read(struct performance *performance, struct buffer *out, struct error *error);

/* The stream's clock: nanoseconds until the next tick. All streams share the ticks, so that one sample serves
 * them all. */
uint64_t performance_until_tick_ns(const struct performance *performance);

/* The members of a sample that are about the model: model, phase, active_sequences, queued_requests, kv,
 * waiting_for_model. */
void performance_put_model(struct figures *figures, json_t *root, const struct host_state *state);

/* What this machine is: processor, instruction sets, cores, quota, memory, caches, system, GPUs, program. A
 * new reference, or NULL when memory is short. */
json_t *performance_system(struct performance *performance);

#endif
