/* What is measured: something that takes prompts and gives tokens back. Today that is our engine; a remote
 * server would fill the same struct target_trace from its stream.
 *
 * target_run only records when things happened. What the times mean is worked out from the record by pure
 * functions (metrics.h), so that it can be tested without a model.
 */
#ifndef LLMIND_PROFILE_TARGET_H
#define LLMIND_PROFILE_TARGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"

/* How a run ended. Only OUTCOME_OK enters an average. */
enum target_outcome {
    OUTCOME_OK,
    OUTCOME_SHORT,    /* fewer tokens than were asked for */
    OUTCOME_NOT_COLD, /* part of the prompt came from a cache */
    OUTCOME_TIMEOUT,
    OUTCOME_OUT_OF_MEMORY,
    OUTCOME_CANCELLED,
    OUTCOME_ERROR,
    OUTCOMES
};
const char *target_outcome_name(enum target_outcome outcome); /* "ok", "short_output", ... */

/* One timed request: end-of-sequence ignored, so that exactly max_tokens come out. Exactly one of the three
 * prompts; borrowed. */
struct target_request {
    const int32_t *tokens;
    uint32_t n_tokens;
    const char *text, *messages_json;
    uint32_t max_tokens;
    double temperature; /* 0: greedy */
    uint64_t seed;
    bool warm; /* may use what the prefix cache has, and leaves its own there; otherwise cold */
};

struct target_progress {
    uint32_t prompt_done;
    uint64_t ns;
};

struct target_trace {
    uint64_t *token_ns; /* when each generated token came, clock_now_ns */
    uint32_t n_tokens, capacity;
    struct target_progress *progress; /* of the prompt, as far as it was reported */
    uint32_t n_progress, progress_capacity;
    struct engine_timings timings;
    enum target_outcome outcome;
    struct error error; /* when the outcome is not OK */
    /* CPU time of this process from the first token of the whole run to its last one; 0 wall: unknown */
    uint64_t decode_cpu_ns, decode_wall_ns;
};
void target_trace_free(struct target_trace *trace);

struct target {
    struct engine *engine;    /* borrowed */
    const atomic_int *cancel; /* not 0: stop; may be NULL */
    uint32_t timeout_ms;      /* of one run; 0: none */
};

/* Runs n requests at once, one trace each (zero-initialised or freed before; free them with
 * target_trace_free). Returns 0 also when a request failed: its outcome says so. Errors: ERROR_MEMORY. */
int target_run(const struct target *target, const struct target_request *requests, uint32_t n,
               struct target_trace *traces, struct error *error);

#endif
