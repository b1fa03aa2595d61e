/* What would change with other weights, a longer context, more sequences: a table, and the few coefficients
 * that it was made of, so that whoever moves a slider computes the same figures.
 *
 *   step_ms = options[bits].weights_ms[sequences] + sequences * context / 1000 * attention_ms_per_1k[kv_bits]
 *             + fixed_ms[sequences]
 *   tokens/s of one sequence = 1000 / step_ms, of all = sequences * 1000 / step_ms
 *
 * Before a run the coefficients are forecasts; behind one they are anchored: the two-term line's bandwidth
 * and fixed time where there is a line, else all times by the one factor by which the measured step differs
 * from the forecast.
 */
#ifndef LLMIND_PROFILE_WHAT_IF_H
#define LLMIND_PROFILE_WHAT_IF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"
#include "profile/estimate_machine.h"
#include "profile/forecast.h"

enum { WHAT_IF_OPTIONS = 8, WHAT_IF_SEQUENCES = 4, WHAT_IF_KV = 2, WHAT_IF_LABEL = 48 };

extern const uint32_t what_if_sequences[WHAT_IF_SEQUENCES]; /* 1, 2, 4, 8 */
extern const uint32_t what_if_kv_bits[WHAT_IF_KV];          /* 16, 8 */

struct what_if_option {
    char label[WHAT_IF_LABEL]; /* "4-bit affine, group 64" */
    uint32_t bits;
    bool current;
    double weight_bytes;                  /* in memory */
    double streamed_bytes;                /* for one step of one sequence */
    double weights_ms[WHAT_IF_SEQUENCES]; /* NaN: not known */
};

struct what_if {
    struct what_if_option options[WHAT_IF_OPTIONS];
    uint32_t n_options, current;
    double kv_bytes_per_token[WHAT_IF_KV];
    double attention_ms_per_1k[WHAT_IF_KV];
    double fixed_ms[WHAT_IF_SEQUENCES];
    uint32_t model_context;
    double low, high;             /* of a speed, as factors */
    double other_bytes;           /* scratch and program */
    char source[16];              /* "calibration", "two_term", "measured", "bytes" */
    char reason[ESTIMATE_REASON]; /* why times are not known, or why they are rough; "" */
};

/* Forecast. config: of the model, for other bits (NULL: only as it is). Errors: ERROR_MEMORY and others of
 * compiling the plan. */
int what_if_forecast(const struct model *model, const json_t *config, const struct estimate_machine *machine,
                     const char *isa, struct what_if *out, struct error *error);

/* Anchors it with what was measured: step_ms at a context, of one sequence with kv_bits; two-term line
 * (bandwidth NaN: none). */
void what_if_anchor(struct what_if *what_if, double step_ms, double context, uint32_t kv_bits,
                    double bandwidth_gbps, double fixed_ms);

/* NaN: not known. */
double what_if_step_ms(const struct what_if *what_if, uint32_t option, double context,
                       uint32_t sequences_index, uint32_t kv_index);

/* {"source", "coefficients": {...}, "bits": [...], "contexts": [...], "concurrency": [...]}: as the schema
 * has it. context: of the table of bits and of concurrency. A new reference. */
json_t *what_if_json(const struct what_if *what_if, uint32_t context, uint32_t kv_bits);
/* Back from such JSON, which may be anybody's; false: it is none. */
bool what_if_from_json(const json_t *json, struct what_if *out);

#endif
