/* Estimates of models: one in full, and what the list shows of each. Private to the models' routes. */
#ifndef LLMIND_HTTP_MODELS_ESTIMATE_H
#define LLMIND_HTTP_MODELS_ESTIMATE_H

#include <jansson.h>
#include <stdbool.h>

#include "http/exchange.h"
#include "profile/estimate.h"
#include "service/figures.h"

/* GET /api/models/{id}/estimate?ctx=&concurrency=&kv_bits= */
void models_get_estimate(struct http_exchange *exchange);

/* Whether {id} could be a name in the list. false: answered. */
bool models_check_name(struct http_exchange *exchange, const char *name);

/* The machine as the list sees it: nothing is measured. What the loaded model's process would give back when
 * another one is loaded counts as available. */
struct host_state;
void models_read_machine(const struct host_state *state, struct estimate_machine *out);
/* The members "fit", "predicted_decode_tokens_per_second" and "calibrated" of a model in the list. */
void models_put_badge(struct figures *figures, json_t *item, const char *path,
                      const struct estimate_machine *machine);

#endif
