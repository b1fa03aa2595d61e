/* What was measured of several models, as the report's "comparison". Pure but for memory. */
#ifndef LLMIND_PROFILE_COMPARISON_REPORT_H
#define LLMIND_PROFILE_COMPARISON_REPORT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/pairs.h"
#include "profile/stats.h"
#include "profile/sweep.h"

struct compared_sample {
    const char *test; /* "prompt", "prefill", "decode": static */
    uint32_t number;  /* block of a prompt measured in turn, otherwise repeat, from 0 */
    struct sweep_sample sample;
};

struct compared_model {
    const char *name; /* borrowed: profile_model_label */
    bool working;     /* false: `message` says why not */
    char message[ERROR_MESSAGE_MAX];
    char quantization[128];                           /* "": not known */
    char backend[32], isa[32], adapter[NAME_MAX + 1]; /* likewise; adapter: "" when there is none, too */
    double load_ms, weight_bytes;                     /* NaN: not known */
    uint32_t context;
    struct compared_sample *samples; /* [n_samples]; all ended well */
    size_t n_samples;
    bool interleaved;           /* with the first model */
    struct pairs against_first; /* when interleaved: tokens per second of the prompt */
    const char *no_verdict;     /* why there is none; NULL: there is, or it was not compared */
};

void compared_model_init(struct compared_model *model, const char *name);
void compared_model_free(struct compared_model *model);
/* ERROR_MEMORY */
int compared_model_add(struct compared_model *model, const char *test, uint32_t number,
                       const struct sweep_sample *sample, struct error *error);
/* Of one figure over the samples of a test. */
void compared_model_stats(const struct compared_model *model, const char *test, enum sweep_figure figure,
                          struct stats *out);

/* A new reference; NULL: memory. reference: the index of the model that the others are compared with; n: none
 * works. Models that were not measured in turn with it are compared as sessions of their own. */
json_t *comparison_report(struct compared_model *models, size_t n, size_t reference,
                          const struct lab_run *prompt, bool indicative);

#endif
