/* The decoder that most families are variations of: attention and a gated MLP (or routed experts), each added
 * to a residual stream, with norms before, after, or around them.
 *
 * decoder_init sets it up as Llama. A family changes what it differs in and calls decoder_write. What no
 * field here expresses belongs into a writer of its own beside this one, built from the same plan_builder.
 */
#ifndef LLMIND_MODEL_DECODER_H
#define LLMIND_MODEL_DECODER_H

#include "model/adapter.h"
#include "model/spec.h"
#include "model/weights.h"
#include "plan/plan.h"

/* Linear layers between two decoder_adapt: queries, keys and values. */
enum { DECODER_MAX_WAITING = 3 };

/* Norms of queries and keys before the rotation: none, one over each head, one over all heads together. */
enum qk_norm { QK_NORM_NONE, QK_NORM_HEADS, QK_NORM_WHOLE };

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
    const char *prefix;      /* of every tensor: "", or "language_model." where there are towers beside it */
    struct adapter *adapter; /* NULL: none */

    /* what a family chooses */
    bool qkv_bias, output_bias, mlp_bias, sinks;
    bool fused_qkv, fused_gate_up; /* self_attn.qkv_proj, mlp.gate_up_proj hold what others keep apart */
    enum qk_norm qk_norm;
    float norm_base; /* added to the weights of every norm */
    struct {         /* names of a layer's norms; NULL: there is none */
        const char *attention_in, *attention_out, *mlp_in, *mlp_out;
    } norms;
    struct {
        const char *router, *stack, *single; /* modules; single: of one that is not stacked yet, or NULL */
        bool bias;                           /* of the router and of every expert's matrices */
    } experts;
    uint32_t (*window)(const struct model_spec *spec, uint32_t layer); /* tokens; 0: all */

    /* decoder_write's own */
    const struct plan_rope *rope, *rope_local, *rope_query; /* local, query: NULL where they are as rope */
    struct decoder_rows tokens, outputs;
    struct plan_view qkv, key, value;    /* of all tokens: [.. + ..], [kv_heads * head_dim] */
    struct plan_view thin[2], change[2]; /* of each domain, with an adapter: [rank], [widest linear layer] */
    struct decoder_layer {
        const char *name; /* a literal */
        struct plan_view in, out;
    } waiting[DECODER_MAX_WAITING]; /* linear layers whose adapters are still to be added */
    uint32_t n_waiting;
};

/* prefix: borrowed. */
void decoder_init(struct decoder *decoder, struct plan_builder *builder, struct weights *weights,
                  const struct model_spec *spec, const char *prefix);
/* Writes and finishes the whole plan. */
int decoder_write(struct decoder *decoder);

/* Rules for windows. By layer_types alone; Qwen's: with use_sliding_window, layers from max_window_layers on,
 * unless layer_types say otherwise; by pattern: all but every spec->sliding_pattern-th, unless they do. */
uint32_t decoder_typed_window(const struct model_spec *spec, uint32_t layer);
uint32_t decoder_qwen_window(const struct model_spec *spec, uint32_t layer);
uint32_t decoder_pattern_window(const struct model_spec *spec, uint32_t layer);

#endif
