/* configurations_run and comparison_run (configuration.h) with everything they know of the world as
 * arguments. */
#ifndef LLMIND_PROFILE_CONFIGURATION_MEASURE_H
#define LLMIND_PROFILE_CONFIGURATION_MEASURE_H

#include "profile/configuration.h"
#include "profile/configuration_catalogue.h"
#include "profile/sweep.h"

struct configuration_world {
    const struct sweep_labs *labs;
    uint32_t usable_threads;
    const char *const *isas; /* best last, ended by NULL */
};

/* Blocks of A B B A: 5; quick mode 2. A request may ask for more repeats, or for one or two, which is too few
 * for a verdict. */
uint32_t configuration_blocks(const struct profile_request *request);

/* Whether a run of one warms up for the other. */
bool configuration_same_shape(const struct lab_run *a, const struct lab_run *b);
/* A warm run that found nothing in the cache is a cold one, and says nothing about the cache: such a result
 * loses its pairs. */
void configuration_check_warm(const struct configuration *item, struct sweep_result *result);

int configurations_measure(const struct configuration_world *world,
                           const struct configuration_context *context, json_t *cuts, json_t **out,
                           struct error *error);
int comparison_measure(const struct sweep_labs *labs, const struct profile_request *request,
                       const struct run_hooks *hooks, json_t **out, struct error *error);

#endif
