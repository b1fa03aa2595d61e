/* Which configurations there are on this machine, in the order in which they are measured: the seed's five,
 * then the knobs, those first that most often matter. Pure: decides from a few figures, runs nothing.
 *
 * A variant is measured against a baseline that runs the very same request but for the one thing that is
 * changed, and is judged by the figure that thing is about (`compared`): decoding for threads, instruction
 * sets, sampling and lengths; decoding far into the context for the KV cache's width, which costs nothing at
 * its beginning; prefill for its chunk; all sequences together for concurrency; the first token for the
 * prefix cache.
 */
#ifndef LLMIND_PROFILE_CONFIGURATION_CATALOGUE_H
#define LLMIND_PROFILE_CONFIGURATION_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "profile/lab.h"
#include "profile/request.h"
#include "profile/sweep.h"

enum {
    CONFIGURATION_MAX = 48,
    CONFIGURATION_TOKENS = 100, /* the baseline's answer */
    CONFIGURATION_DEPTH = 1024, /* where KV caches of different width are compared */
    CONFIGURATION_CHUNKED = 1024,
    CONFIGURATION_CACHED = 512, /* prompt tokens of the prefix cache's test */
    CONFIGURATION_STEPS = 64    /* decode steps of tests that are not prompts */
};

#define CONFIGURATION_TEMPERATURE_USUAL 0.7 /* the baseline's */

enum configuration_kind {
    CONFIGURATION_BASELINE,
    CONFIGURATION_TEMPERATURE,
    CONFIGURATION_LENGTH,
    CONFIGURATION_THREADS,
    CONFIGURATION_CONCURRENCY,
    CONFIGURATION_KV_BITS,
    CONFIGURATION_PREFIX_CACHE,
    CONFIGURATION_PREFILL_CHUNK,
    CONFIGURATION_PROMPT_LOOKUP, /* only where it is asked for: most answers repeat nothing */
    CONFIGURATION_ISA
};

struct configuration {
    enum configuration_kind kind;
    char id[48];           /* "threads=1": also how it can be asked for */
    char label[64];        /* "1 thread" */
    uint32_t number;       /* of a knob; 0: none */
    const char *text;      /* of ISA; else NULL; borrowed */
    struct lab_run a, b;   /* the baseline's run and the variant's */
    bool own_lab;          /* b runs in a lab opened with `engine`; otherwise in the baseline's */
    bool same_as_baseline; /* a is the very request of the first entry, "baseline" */
    struct engine_options engine;
    enum sweep_figure compared;
};

struct configuration_list {
    struct configuration items[CONFIGURATION_MAX];
    size_t count;
};

/* What the catalogue is made from. Strings are borrowed by the list. */
struct configuration_machine {
    const struct engine_info *baseline; /* of the open lab */
    const char *folder;                 /* of the model */
    const char *prompt;                 /* of the baseline */
    uint32_t usable_threads;
    const char *const *isas; /* best last, ended by NULL */
};

/* Everything that is asked for and makes sense here, the baseline first; nothing at all when nothing is asked
 * for. shorten: answers and tests have one such part of their length (1, 2, 4, ...). Texts of what was asked
 * for and cannot be a variant here are appended to `cuts` (may be NULL). */
void configuration_list_build(const struct configuration_machine *machine,
                              const struct profile_request *request, uint32_t shorten, json_t *cuts,
                              struct configuration_list *out);

/* Seconds it takes to measure one, at speeds of the baseline. 0 when they are unknown. */
struct configuration_speed {
    double prefill_tps, decode_tps, open_s;
    const struct engine_info *baseline;
};
double configuration_seconds(const struct configuration *item, const struct configuration_speed *speed,
                             uint32_t blocks);

/* The same list, cut until it fits into the budget: answers halved; then knobs left out, last first; then
 * answers halved twice more; then the rest of the list but the baseline, last first. Texts of what was cut
 * are appended to `cuts`. budget_s 0: no cuts. *expected_s: of all that is left. */
void configuration_list_fit(const struct configuration_machine *machine,
                            const struct profile_request *request, const struct configuration_speed *speed,
                            uint32_t blocks, double budget_s, json_t *cuts, struct configuration_list *out,
                            double *expected_s);

#endif
