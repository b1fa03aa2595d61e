/* What was measured of a configuration, as the report's entry; and which one deserves to be called the best.
 * Pure.
 */
#ifndef LLMIND_PROFILE_CONFIGURATION_REPORT_H
#define LLMIND_PROFILE_CONFIGURATION_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "profile/configuration_catalogue.h"
#include "profile/pairs.h"
#include "profile/sweep.h"

/* A variant's entry; a new reference, NULL: memory. indicative: too few repeats to rely on. */
json_t *configuration_entry(const struct configuration *item, const struct sweep_result *result,
                            bool indicative);

/* One run of the baseline's own request, and beside which variant it was taken. */
struct baseline_sample {
    const char *beside;
    uint32_t block;
    struct sweep_sample sample;
};
json_t *configuration_baseline_entry(const struct configuration *item, const struct baseline_sample *samples,
                                     size_t n, enum target_outcome outcome, const char *message,
                                     bool indicative);

/* The index of the best configuration; 0, the baseline's own, when none is really better. judged[i] belongs
 * to items[i].
 *
 * Best means: makes the user's answer come faster. So only decoding counts, and prefill where no decoding
 * differs; with the lower end of the interval, so that a large and uncertain gain does not beat a sure one.
 * Several answers at once are not a faster answer, and a prompt that is known already is luck, not a
 * setting: neither is crowned. A shorter answer has more tokens per second only because less of it is
 * waiting; it is judged by its decode rate like all the others, and is best only when that really differs. */
size_t configuration_best(const struct configuration *items, const struct pairs *judged, size_t n);

#endif
