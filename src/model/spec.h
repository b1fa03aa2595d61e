/* config.json as checked numbers.
 *
 * Every dimension has a bound here; that the tensors have these dimensions is checked when they are looked up
 * (model/weights.h). Fields keep the meaning they have in transformers' configurations; what they mean for a
 * family (whether a sliding_window is used, say) is the family's business.
 */
#ifndef LLMIND_MODEL_SPEC_H
#define LLMIND_MODEL_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/rope.h"
#include "plan/plan.h"

enum {
    SPEC_MAX_LAYERS = 1024,
    SPEC_MAX_HIDDEN = 1 << 17,
    SPEC_MAX_HEADS = 1024,
    SPEC_MAX_HEAD_DIM = 1024,
    SPEC_MAX_FFN = 1 << 20,
    SPEC_MAX_VOCAB = 1 << 24,
    SPEC_MAX_CONTEXT = 1 << 27,
    SPEC_MAX_EXPERTS = 4096,
    SPEC_MAX_ACTIVE = 256
};

enum layer_type { LAYER_FULL, LAYER_SLIDING };

/* How a family's config.json describes routed experts, whose fields must be there then.
 *
 * QWEN: num_experts of moe_intermediate_size, in the layers that decoder_sparse_step and mlp_only_layers
 * leave. LOCAL: num_local_experts of intermediate_size, in every layer, whose weights sum to 1. */
enum spec_experts_kind { EXPERTS_NONE, EXPERTS_QWEN, EXPERTS_LOCAL };

/* What a family assumes where config.json is silent. */
struct spec_defaults {
    uint32_t context;
    double rope_theta; /* JSON_REQUIRED_NUMBER: must be there */
    enum spec_experts_kind experts;
    double partial; /* partial_rotary_factor; 0: 1 */
};

struct spec_experts {
    uint32_t n_experts, n_active, ffn;
    bool normalize;     /* norm_topk_prob */
    const bool *sparse; /* [n_layers] which layers have experts */
};

struct model_spec {
    uint32_t n_layers, hidden, n_heads, n_kv_heads, head_dim, ffn, vocab;
    uint32_t context; /* tokens, scaled ropes included */
    float norm_eps;
    enum plan_activation activation;
    bool attention_bias, mlp_bias;
    enum { TIED_UNKNOWN, TIED_NO, TIED_YES } tied; /* unknown: as the tensors say */
    bool tied_without_tensors;                     /* unknown, and only config.json is there */
    uint32_t sliding_window;                       /* 0: none */
    bool use_sliding_window;                       /* Qwen's switch */
    uint32_t max_window_layers;                    /* Qwen: the first layer that slides */
    const enum layer_type *layer_types;            /* [n_layers] or NULL */
    struct rope_spec rope;
    struct spec_experts experts; /* zero when the family has none */

    /* What only some families read (families.h); zero where nothing is said here. */
    float embedding_scale, residual_scale, logits_scale; /* 1 */
    float attention_scale;                               /* of q·k; 0: 1 / sqrt(head_dim) */
    float attention_softcap, logits_softcap;             /* 0: none */
    struct rope_spec rope_local;                         /* of sliding layers; theta 0: as the others */
    uint32_t sliding_pattern;                            /* every so-manieth layer is full */
    const bool *no_rope;                                 /* [n_layers] layers without rotation, or NULL */
    uint32_t query_grow_from;                            /* plan_rope's grow_from and grow_beta, of queries */
    float query_grow_beta;
};

/* Errors name the field. ERROR_UNSUPPORTED: an activation, a rope type, a layer type. */
int spec_read(const json_t *config, const struct spec_defaults *defaults, struct arena *arena,
              struct model_spec *out, struct error *error);

#endif
