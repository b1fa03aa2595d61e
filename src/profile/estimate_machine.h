/* The machine as estimates see it: its calibration, its pace, its memory. One process reads it once and lets
 * it age; nobody measures for a list.
 */
#ifndef LLMIND_PROFILE_ESTIMATE_MACHINE_H
#define LLMIND_PROFILE_ESTIMATE_MACHINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile/calibration.h"

enum { ESTIMATE_REASON = 240 };

struct estimate_machine {
    bool calibrated, paced;
    struct calibration calibration;
    struct pace pace;
    double pace_age_s;                        /* NaN: it is that of the calibration */
    char calibration_reason[ESTIMATE_REASON]; /* why not calibrated */
    char pace_reason[ESTIMATE_REASON];        /* why there is no pace at all */
    uint64_t memory_bytes, available_bytes;   /* the smaller of machine and limit; UINT64_MAX: unknown */
    uint32_t n_threads;
};

enum estimate_pace {
    ESTIMATE_PACE_KEPT, /* the last that this process took, at most ESTIMATE_PACE_AGE_S old; else that of the
                         * calibration. Never measures */
    ESTIMATE_PACE_RECENT, /* the last if it is at most ESTIMATE_PACE_RECENT_S old; else measures */
    ESTIMATE_PACE_NOW     /* measures: a second or less, on all threads */
};
enum { ESTIMATE_PACE_AGE_S = 600, ESTIMATE_PACE_RECENT_S = 60 };

/* bytes: of the largest amount whose read bandwidth is wanted, 0: pace_default_bytes. n_threads 0: as the
 * engine would; isa NULL: the best. What cannot be read is left out with its reason. Any thread; two that
 * measure do so one after the other. */
void estimate_machine_read(const char *isa, uint32_t n_threads, enum estimate_pace how, uint64_t bytes,
                           struct estimate_machine *out);

/* {"calibrated", "calibrated_at", "calibrated_reason"?, "pace": {...} | null, "pace_age_s", "threads",
 * "memory_bytes", "available_bytes"}: a new reference. */
json_t *estimate_machine_json(const struct estimate_machine *machine);

#endif
