/* The configurations of a run: the seed's five (what a request asks for) and the knobs that can matter here
 * (how the engine is opened). Each is compared with the baseline by interleaved blocks A B B A, never by two
 * runs an hour apart, and only called better when it is (pairs.h).
 *
 *   baseline            temperature 0.7, 100 tokens        high_temperature   0.9
 *   low_temperature     0.3                                short_response     50 tokens
 *   long_response       200 tokens                         temperature=0.5    by value alone
 *   threads  concurrency  kv_bits  prefix_cache  prefill_chunk  prompt_lookup  isa   (those the program
 * has here, prompt_lookup only where it is asked for; each but prefix_cache stands for one or more variants,
 * and one can be asked for: "threads=1", "concurrency=4", ...)
 *
 * Huge pages are none: the engine always asks for them, and weights are mapped files, which have none.
 */
#ifndef LLMIND_PROFILE_CONFIGURATION_H
#define LLMIND_PROFILE_CONFIGURATION_H

#include <jansson.h>

#include "profile/lab.h"
#include "profile/request.h"
#include "profile/run.h"

struct configuration_context {
    const struct profile_request *request;
    const struct run_hooks *hooks;
    struct lab *baseline; /* open, warmed up */
    double budget_s;      /* 0: none. What does not fit is left out, last first, and listed in *cuts */
    double progress_from, progress_to; /* the share of the whole run, for phase events */
};

/* Measures them. *out: the report's "configurations" (array, new reference), also when cancelled; texts of
 * what was cut are appended to cuts (array). Errors: ERROR_CANCELLED, ERROR_MEMORY, ERROR_IO (the baseline's
 * lab died). A variant that cannot be opened or fails is an entry with an outcome and a message. */
int configurations_run(const struct configuration_context *context, json_t *cuts, json_t **out,
                       struct error *error);

/* Several models beside each other: the report's "comparison" (new reference). One broken model is an entry
 * with "status": "error". Labs are opened one at a time, or two where both fit, so that repeats are
 * interleaved against the first model. For each hooks->gate->make_room is called; `restore` is the caller's
 * business. *out is also set when it was cancelled. Errors: ERROR_CANCELLED, ERROR_MEMORY. */
int comparison_run(const struct profile_request *request, const struct run_hooks *hooks, json_t **out,
                   struct error *error);

/* Whether a name of the list above is known (with or without "=value"). */
bool configuration_known(const char *name);
/* Whether it stands for one variant, which can be tried against the baseline: "threads=2" and
 * "high_temperature", not "threads" and not "baseline". */
bool configuration_is_one(const char *name);
/* Whether a backend (NULL: cpu) has what such a configuration changes. */
bool configuration_fits(const char *name, const char *backend);

#endif
