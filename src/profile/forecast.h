/* What a step of a plan would take on this machine: the plan's operations priced with a calibration, at a
 * pace. Pure: nothing is run and nothing is read.
 */
#ifndef LLMIND_PROFILE_FORECAST_H
#define LLMIND_PROFILE_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "plan/plan.h"
#include "profile/calibration.h"

struct forecast_machine {
    const struct calibration *calibration; /* NULL: none, and there is no forecast */
    const struct pace *pace;               /* NULL: that of the calibration */
    int which;                             /* of the pace: 0 median, -1 lower, 1 upper quartile */
};

struct forecast {
    double products_ms, attention_ms, rows_ms, stages_ms, sampling_ms;
    double total_ms;
    double bytes; /* weights and KV cache that the step reads */
    double gbps;  /* the read bandwidth that was assumed for them */
    bool exact;   /* every format has a measured entry of its own */
};

/* n_phases: backend_phases. working_bytes: what is read again and again, which decides where it lies; 0: what
 * this step reads. False: a format or a kind of attention has no measured entry at all. */
bool forecast_step(const struct forecast_machine *machine, const struct plan *plan, uint32_t n_phases,
                   const struct plan_step *step, double working_bytes, struct forecast *out);

/* A prompt in chunks, from an empty cache to its first token; *out is the sum. */
bool forecast_prefill(const struct forecast_machine *machine, const struct plan *plan, uint32_t n_phases,
                      uint32_t prompt, uint32_t chunk, uint32_t kv_bits, struct forecast *out);

#endif
