/* What a lab does with its engine: timed runs, traces, and what the engine says of itself. One thread; only
 * the flag `cancel` is anybody's. Private to the lab's files. */
#ifndef LLMIND_PROFILE_LAB_WORK_H
#define LLMIND_PROFILE_LAB_WORK_H

#include <jansson.h>
#include <stdatomic.h>

#include "profile/lab.h"
#include "profile/prompt.h"

struct lab_work {
    struct engine *engine;
    struct prompt_source source;
    struct probe *probe;
    uint64_t nonce;      /* of the last cold prompt */
    uint64_t warm_nonce; /* of all warm ones */
    bool as_messages;
    atomic_int cancel; /* not 0: the run ends */
};

/* Errors: those of engine_open, prompt_source_open and probe_open. */
int lab_work_open(struct lab_work *work, const struct engine_options *options, bool raw, struct error *error);
void lab_work_close(struct lab_work *work);
json_t *lab_work_info(const struct lab_work *work);
/* Errors: ERROR_INVALID (the run), ERROR_MEMORY. out->sample must be freed. */
int lab_work_run(struct lab_work *work, const struct lab_run *run, struct lab_result *out,
                 struct error *error);
/* The trace's "overhead_fraction"; null when the traced step was not slower than the plain one. */
void lab_work_put_overhead(json_t *trace, double traced_ns, double plain_ns);
/* Errors: those of engine_trace. */
int lab_work_trace(struct lab_work *work, uint32_t n_tokens, uint32_t depth, json_t **out,
                   struct error *error);

#endif
