/* The read-bandwidth probe: how fast can this machine, right now and with these threads, read the very bytes
 * that decoding reads?
 *
 * It reads the weights of a plan where they are mapped, in order, each thread its own part, and takes the
 * best of a few short passes: a ceiling, meant to stand beside a measurement taken in the same second,
 * because the bandwidth of a shared host swings. Weights that fit into the last-level cache are read from
 * there, and the result says so.
 */
#ifndef LLMIND_PROFILE_PROBE_H
#define LLMIND_PROFILE_PROBE_H

#include <stdint.h>

#include "base/error.h"
#include "plan/plan.h"

struct probe;

enum probe_level {
    PROBE_UNKNOWN, /* the size of the last-level cache is not known */
    PROBE_MEMORY,
    PROBE_CACHE,
    PROBE_MIXED /* the weights are one to two times as large as that cache: part of them stays in it */
};

struct probe_result {
    double gbps; /* 1e9 bytes per second; NaN when it could not be measured */
    uint64_t pass_bytes;
    uint32_t passes;
    enum probe_level level;
};

/* cache_bytes: of the last-level cache, 0 = unknown. The plan's weights must stay mapped while the probe
 * lives. ERROR_INVALID: the plan has no weights. */
int probe_open(const struct plan *plan, uint32_t n_threads, uint64_t cache_bytes, struct probe **out,
               struct error *error);
void probe_close(struct probe *probe); /* NULL is legal */

/* About 25 ms of reading (one pass more the first time, so that pages are there). One caller at a time, while
 * nothing else is measured. */
void probe_run(struct probe *probe, struct probe_result *out);

uint64_t probe_span_bytes(const struct probe *probe); /* of all weights it could read */
const char *probe_level_name(enum probe_level level); /* "memory", "cache", "mixed", "unknown" */

#endif
