/* The decoder that most families are variations of: pre-norm attention and a gated MLP (or routed experts),
 * each added to a residual stream.
 *
 * A family fills in what it differs in and calls decoder_write. What no field here expresses belongs into a
 * writer of its own beside this one, built from the same plan_builder, not into another flag.
 */
#ifndef LLMIND_MODEL_DECODER_H
#define LLMIND_MODEL_DECODER_H

#include "model/spec.h"
#include "model/weights.h"
#include "plan/plan.h"

/* The slots of one domain; every layer uses the same ones. */
struct decoder_rows {
    struct plan_view residual, normed, branch; /* [hidden] */
    struct plan_view query, attended;          /* [heads * head_dim] */
    struct plan_view gate_up;                  /* [2 * ffn], where a layer has a dense MLP */
    struct plan_view router, routes;           /* [n_experts], [2 * n_active], where one has experts */
};

struct decoder {
    struct plan_builder *builder;
    struct weights *weights;
    const struct model_spec *spec;

    /* what a family chooses */
    bool qkv_bias, output_bias, mlp_bias, qk_norm;
    uint32_t (*window)(const struct model_spec *spec, uint32_t layer); /* tokens; 0: all */

    /* decoder_write's own */
    const struct plan_rope *rope;
    struct decoder_rows tokens, outputs;
    struct plan_view key, value; /* [kv_heads * head_dim], of all tokens */
};

/* Writes and finishes the whole plan. */
int decoder_write(struct decoder *decoder);

/* Qwen's rule: with use_sliding_window, layers from max_window_layers on; layer_types override it. */
uint32_t decoder_qwen_window(const struct model_spec *spec, uint32_t layer);

#endif
