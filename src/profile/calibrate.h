/* Measures what calibration.h describes: small plans (trial.h) run by the real backend, in rounds, each time
 * the least of all rounds, the pace of the machine beside them. Nothing of it is from a model file.
 *
 * About half a minute on two cores; while it runs nothing else should. At the end whole small models that
 * were not used for anything before are predicted and timed: that is where intervals come from.
 */
#ifndef LLMIND_PROFILE_CALIBRATE_H
#define LLMIND_PROFILE_CALIBRATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/calibration.h"

struct calibrate_options {
    uint32_t n_threads;       /* 0: as the engine would */
    const char *isa;          /* NULL: the best */
    bool thorough;            /* every group size, more rounds */
    const atomic_int *cancel; /* may be NULL */
    /* Told now and then, on the caller's thread; may be NULL. done: 0 to 1. */
    void (*on_progress)(void *context, const char *what, double done);
    void *context;
};

/* Errors: ERROR_INVALID (isa), ERROR_MEMORY, ERROR_LIMIT, ERROR_CANCELLED. Stores nothing. */
int calibrate(const struct calibrate_options *options, struct calibration *out, struct error *error);

#endif
