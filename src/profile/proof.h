/* Proofs: a recommendation of a stored run, tried against that run's own baseline, and what followed from it.
 * Pure: reads and writes JSON. prove.h measures, jobs.h stores.
 *
 *   "proof": {
 *     "recommendation": "threads=2", "proves": id of the run it was tried for,
 *     "verdict": "kept" | "rejected" | "unclear",
 *     "reason": "better" | "worse" | "no_real_difference" (its interval is narrow enough to say so) |
 *         "too_wide" | "unstable" | "disturbed" | "failed",
 *     "sentence": "4 threads -> 2: decode +31 % [95 % CI +27, +35], kept",
 *     "compared": "decode_tokens_per_second", "better": "higher" | "lower",
 *     "change_pct", "ci95": [low, high], "blocks": 5}
 *
 * This is a member of the proof's own report (null with a reason: it did not come so far). The run that was
 * proved shows it, with "proof_run_id" and "at", as the member "proof" of its recommendation, and in
 * "analysis.proofs", newest first, whether it was recommended or not.
 */
#ifndef LLMIND_PROFILE_PROOF_H
#define LLMIND_PROFILE_PROOF_H

#include <jansson.h>

#include "base/error.h"
#include "profile/request.h"

#define PROOF_NOT_YET "it was not tried yet: 'Prove it' measures it in turn with the baseline"
#define PROOF_NOT_HERE "it cannot be tried from here"

/* The request (profile/request.h) that tries `configuration` ("threads=2") for a stored run (a row of
 * jobs_get): same model, prompt and knobs. blocks: 0: as many as prove.h
 * chooses. *out: a new reference. Errors: ERROR_INVALID: there
 * is no such configuration, or it does not say which value; ERROR_UNSUPPORTED: it cannot be tried for this
 * run, and why. */
int proof_request(const json_t *row, const char *configuration, uint32_t blocks, json_t **out,
                  struct error *error);
/* Sets the "proof" of a proof's report from its configurations. ERROR_MEMORY. */
int proof_add(json_t *report, const struct profile_request *request, struct error *error);
/* Shows proofs (array of such objects with "proof_run_id" and "at", newest first) in the report of the run
 * they are about. A recommendation that was kept becomes a setting where it can be one. */
void proof_attach(json_t *report, const json_t *proofs);

/* The newest proof of a configuration; NULL: none. */
const json_t *proof_find(const json_t *report, const char *configuration);
/* What is known of a recommendation, in two words: "proved", "rejected", "unclear", "unproved", "cannot be
 * tried here". Static. */
const char *proof_state(const json_t *recommendation);
/* The setting of the server that a configuration is: {"key", "value"}, or null; a new reference. */
json_t *proof_setting(const char *configuration);

#endif
