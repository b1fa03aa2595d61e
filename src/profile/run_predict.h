/* What a run expects before it measures, laid beside what it measured. */
#ifndef LLMIND_PROFILE_RUN_PREDICT_H
#define LLMIND_PROFILE_RUN_PREDICT_H

#include <jansson.h>

#include "profile/run_internal.h"

struct run_prediction;

/* Reads the model's plan and this machine's calibration, and takes its pace, before anything is timed (the
 * gate is closed). What fails leaves run->prediction NULL and a reason. */
void run_predict(struct run *run);
void run_prediction_free(struct run_prediction *prediction); /* NULL is legal */

/* The report's "predicted": a new reference, or NULL with *reason. Predictions are made with what run_predict
 * took, for the very lengths that the tests had. */
json_t *run_predicted_json(const struct run *run, const char **reason);

#endif
