/* Does what a request asks for, from the first warm-up to the finished report. Blocking; the caller's thread
 * measures. Knows nothing of jobs, databases or HTTP.
 */
#ifndef LLMIND_PROFILE_RUN_H
#define LLMIND_PROFILE_RUN_H

#include <jansson.h>
#include <stdatomic.h>

#include "base/error.h"
#include "profile/gate.h"
#include "profile/request.h"

/* What is told while it runs; the object is borrowed. Types (member "type"):
 *   phase   {"phase": "loading" | "ceilings" | "tests" | "configurations" | "trace" | "analysis" | "models" |
 *            "proof",
 *            "step": "decode 128 @ 1024, run 2 of 3", "progress": 0.42 | null, "eta_s": 18 | null}
 *   sample  {"test": id | null, "configuration": id | null, "model": name | null, "run": 1, "warmup": false,
 *            "outcome": "ok", "tokens_per_second", "decode_tokens_per_second", "prefill_tokens_per_second",
 *            "ttft_ms", "response_ms"}  (null where unknown)
 *   note    {"text": "the machine was busy; repeat 2 is done again"}  for people
 * (jobs.h adds `begin` and `end`.) */
struct run_hooks {
    void (*on_event)(void *context, const json_t *event); /* may be NULL */
    void *context;
    const atomic_int *cancel; /* may be NULL */
    const struct gate *gate;  /* NULL: nobody else is served */
};

/* *report: a new reference to an "llmind.report/1" (docs/report.schema.json), always set unless memory is
 * short: also when the run was cancelled or failed, with what was measured so far. Errors: ERROR_CANCELLED;
 * whatever kept the run as a whole from measuring anything. */
int run_profile(const struct profile_request *request, const struct run_hooks *hooks, json_t **report,
                struct error *error);

#endif
