/* What the files of calibrate.h share. One thread. */
#ifndef LLMIND_PROFILE_CALIBRATE_INTERNAL_H
#define LLMIND_PROFILE_CALIBRATE_INTERNAL_H

#include "profile/calibrate.h"
#include "profile/pace.h"
#include "profile/trial.h"

struct calibrating {
    const struct calibrate_options *options;
    struct calibration *out; /* times: the least so far; 0: none yet */
    struct trial_pool pool;
    struct pacer *pacer;
    struct error *error;
    uint32_t n_threads;
    struct calibrate_collected *collected;
    uint32_t n_collected;
};

enum { CALIBRATE_FIGURES = 512, CALIBRATE_ROUNDS = 12 };
/* One figure in all rounds. */
struct calibrate_collected {
    double *figure;
    double values[CALIBRATE_ROUNDS];
    uint32_t n;
};

bool calibrating_cancelled(const struct calibrating *c);

/* The mean time of a step, of several, for a machine that computes CALIBRATION_GOPS; NaN: it failed, and the
 * error says why. */
double calibrate_step_ms(struct calibrating *c, struct trial *trial, const struct trial_step *step,
                         double seconds);
/* Another round's value of a figure, which becomes the median of all. */
void calibrate_keep(struct calibrating *c, double *figure, double value);
/* Computes for a moment: how much slower than CALIBRATION_GOPS this machine is. */
double calibrate_slower(struct calibrating *c);

/* Each measures its part once more, in one round. Errors: those of trials. */
int calibrate_rows(struct calibrating *c);                                      /* stages, rows, sampling */
int calibrate_product(struct calibrating *c, struct calibration_product *item); /* in the cache */
int calibrate_attention(struct calibrating *c, struct calibration_attention *item);
/* Over more than the caches hold: how computing and reading overlap. After the others. */
int calibrate_product_overlap(struct calibrating *c, struct calibration_product *item);
int calibrate_attention_overlap(struct calibrating *c, uint32_t kv_bits);
/* Whole small models, predicted and timed. After all others. */
int calibrate_check(struct calibrating *c);

#endif
