/* Runs a profile by the protocol: for each test one warm-up of the same shape (kept apart), then the repeats,
 * each with a bandwidth probe beside it and a prompt nobody has seen; exact token counts, greedy, no tracing.
 */
#ifndef LLMIND_PROFILE_RUNNER_H
#define LLMIND_PROFILE_RUNNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "profile/report.h"

enum { RUNNER_REPEATS = 3, RUNNER_REPEATS_QUICK = 2, RUNNER_QUICK_BUDGET_S = 50, RUNNER_MAX_REPEATS = 100 };

struct runner_progress {
    const char *label;    /* "decode 128 @ 1024" */
    uint32_t run, n_runs; /* 0: the warm-up */
    size_t test, n_tests; /* from 0 */
    double fraction;      /* of the whole, by expected time */
    double eta_s;         /* NaN: unknown */
};

struct runner_options {
    bool quick;
    uint32_t repeats; /* 0: 3, quick 2 */
    const char *const *prompts;
    size_t n_prompts;
    const char *model_name;   /* as the user calls it, for the report; NULL: the folder's */
    bool raw;                 /* prompts as plain text although the model has a chat template */
    const atomic_int *cancel; /* not 0: stop; may be NULL */
    void (*on_progress)(void *context,
                        const struct runner_progress *progress); /* before each run; may be NULL */
    void *progress_context;
};

/* The engine must be idle and stay so. *report must be freed with report_free, also when it was cancelled
 * (then result is ERROR_CANCELLED and what was measured is in it) or failed. */
int runner_run(struct engine *engine, const struct runner_options *options, struct report *report,
               struct error *error);

#endif
