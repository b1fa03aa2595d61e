/* The plan: a model as a flat list of operations with names, operands, weights and costs.
 *
 * Families (model/families) only write plans, backends only execute them, the profiler lays measured time
 * beside the plan's own costs, and the estimator evaluates the costs without running anything. A plan knows
 * nothing of files, threads or instruction sets.  docs/plan.md has the paper plans of five unlike models that
 * this shape was made for.
 *
 * Values live in *slots*: matrices of f32 with one row per token of the step. An operand is a *view*: some
 * columns of a slot, so that a fused q|k|v projection is written once and read in parts. A slot's domain says
 * which tokens have a row: all tokens of the step, or only those whose logits are wanted ("outputs");
 * PLAN_SELECT goes from the first to the second, and whatever follows it in the last layer is computed for
 * the wanted rows only.
 */
#ifndef LLMIND_PLAN_PLAN_H
#define LLMIND_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/weight.h"

enum plan_op_kind {
    PLAN_EMBED,    /* out = scale * rows of weight */
    PLAN_NORM,     /* RMS norm over each of n_groups equal parts of a row */
    PLAN_LINEAR,   /* out = in * weightᵀ + bias */
    PLAN_ROPE,     /* rotary position embedding, in place on `out` (n_heads x head_dim) */
    PLAN_KV_STORE, /* in = keys, in2 = values -> the layer's cache */
    PLAN_ATTEND,   /* causal grouped-query attention of in = queries over the cache */
    PLAN_ACT_MUL,  /* out = activation(in) * in2 */
    PLAN_ADD,      /* out = in + scale * in2 */
    PLAN_SCALE,    /* out = scale * in, then softcap * tanh(. / softcap) where there is a softcap */
    PLAN_ROUTE,    /* router logits -> n_active weights, then n_active expert numbers (as f32) */
    PLAN_EXPERTS,  /* sum over the active experts of weight * down(act(gate(x)) * up(x)) */
    PLAN_SELECT,   /* rows of a token-domain slot -> output-domain slot */
    PLAN_OP_KINDS
};

enum plan_domain { DOMAIN_TOKENS, DOMAIN_OUTPUTS };

/* How a linear operation sees its input. INT8: each row is rounded to 8 bits per group of the weight's own
 * group size before the product (weights that are not integer codes are multiplied in f32 all the same). */
enum plan_precision { PRECISION_INT8, PRECISION_F32 };

/* act(gate) * up. SWIGLU_OAI (gpt-oss): g * sigmoid(1.702 g) * (u + 1) with g = min(gate, 7) and u = up
 * clipped to [-7, 7]. */
enum plan_activation { ACTIVATION_SILU, ACTIVATION_GELU_TANH, ACTIVATION_GELU, ACTIVATION_SWIGLU_OAI };
#define PLAN_SWIGLU_OAI_LIMIT 7.0f
#define PLAN_SWIGLU_OAI_ALPHA 1.702f

/* What a layer keeps between steps, per sequence. */
enum plan_cache_kind {
    CACHE_FULL,     /* every key and value */
    CACHE_WINDOW,   /* only the last `window` positions matter */
    CACHE_LATENT,   /* one compressed vector of k_dim per token, values are its first v_dim columns (MLA) */
    CACHE_RECURRENT /* state_floats numbers per sequence, whatever its length */
};

struct plan_slot {
    const char *name;
    uint32_t width; /* columns, f32 */
    enum plan_domain domain;
};

struct plan_view {
    uint16_t slot;
    uint32_t first, width; /* columns */
};

struct plan_cache {
    enum plan_cache_kind kind;
    int32_t layer;
    uint32_t n_kv_heads;
    uint32_t k_dim, v_dim; /* per head */
    uint32_t window;       /* tokens; 0 = all */
    uint64_t state_floats;
};

/* Rotary embedding. Element pairs are (i, i + dims/2), or (2i, 2i + 1) when interleaved; the angle of pair i
 * at position p is p * inv_freq[i]; results are multiplied by `scale` (yarn's mscale).
 *
 * Dynamic NTK scaling: at a position p >= dynamic_from the frequencies are those of a larger base,
 *     inv_freq[i] = grown ^ (-2i / dims)
 *     grown = base * (factor * (p + 1) / dynamic_from - (factor - 1)) ^ (dims / (dims - 2))
 * It depends on the token's own position only, where mlx-lm takes the length of the whole call: the result
 * must not change with how a prompt is cut into chunks. dims is above 2 then.
 *
 * Llama 4's temperature: results at position p are multiplied by 1 + grow_beta * ln(1 + floor(p / grow_from))
 * too. It is meant for queries whose whole heads are rotated, which it makes longer. */
struct plan_rope {
    uint32_t dims; /* rotated dimensions of each head, the first ones */
    bool interleaved;
    float scale;
    const float *inv_freq; /* [dims / 2] */
    uint32_t dynamic_from; /* 0 = not dynamic */
    float base, factor;
    uint32_t grow_from; /* 0 = does not grow */
    float grow_beta;
};

/* cos_sin: [dims] f32, the cosines of all pairs at this position and then their sines, times what the rope
 * multiplies results with. */
void plan_rope_angles(const struct plan_rope *rope, uint32_t position, float *cos_sin);

/* Which operands an operation has, and what may share memory: a unary op reads `in`, a binary one `in2` too;
 * ROPE has `out` only, EMBED too, KV_STORE has no `out`. NORM, ACT_MUL, ADD and SCALE may write to exactly
 * the view they read (in place); otherwise `out` overlaps neither `in` nor `in2`. Views that an operation
 * does not have are zero. */
struct plan_op {
    enum plan_op_kind kind;
    const char *name;              /* what a user understands: "layers.3.mlp.down_proj" */
    int32_t layer;                 /* -1 outside the layers */
    enum plan_precision precision; /* of LINEAR and EXPERTS */
    struct plan_view in, in2, out;
    union {
        struct {
            const struct weight *weight;
            float scale;
        } embed;
        struct {
            const float *weight; /* [width / n_groups]; 1 + w already folded in where a family wants that */
            float eps;
            uint32_t n_groups;
        } norm;
        struct {
            const struct weight *weight;
            const float *bias; /* [rows] or NULL */
        } linear;
        struct {
            const struct plan_rope *rope;
            uint32_t n_heads, head_dim;
        } rope;
        struct {
            uint32_t cache; /* index into plan.caches */
        } kv_store;
        struct {
            uint32_t cache;
            uint32_t n_heads, head_dim;
            float scale;        /* of q·k */
            float softcap;      /* cap * tanh(x / cap) on scores; 0 = none */
            const float *sinks; /* [n_heads] extra softmax logits, or NULL */
        } attend;
        struct {
            enum plan_activation activation;
        } act_mul;
        struct {
            float scale; /* 0 = 1 (plan_add_scale); with any other `out` is `in` */
        } add;
        struct {
            float scale, softcap; /* softcap 0 = none */
        } scale;
        struct {
            uint32_t n_experts, n_active;
            bool normalize; /* the active weights are made to sum to 1 */
        } route;
        struct {
            const struct weight *gate, *up, *down;        /* stacked experts */
            const float *gate_bias, *up_bias, *down_bias; /* [n_experts * rows] each, or NULL */
            enum plan_activation activation;
            uint32_t n_active;
        } experts;
    };
};

/* What an ADD multiplies in2 with. */
static inline float plan_add_scale(const struct plan_op *op)
{
    return op->add.scale == 0 ? 1 : op->add.scale;
}

struct plan {
    const char *family; /* "llama" */
    uint32_t n_layers, hidden, vocab, max_context;
    const struct plan_slot *slots;
    uint32_t n_slots;
    const struct plan_op *ops;
    uint32_t n_ops;
    const struct plan_cache *caches;
    uint32_t n_caches;
    struct plan_view logits;    /* output domain, width = vocab */
    struct plan_view embedding; /* what the logits are made of, output domain; width 0: it is not told */
    /* Made of a configuration alone: weights have shapes and no data, vectors are zeros. Costs can be
     * asked, backends refuse to run it. */
    bool shapes_only;
};

/* ---- writing a plan (families) ---- */

struct plan_builder {
    struct arena *arena; /* owns everything the plan points to; borrowed */
    struct plan plan;
    uint32_t slot_capacity, op_capacity, cache_capacity;
    int32_t layer; /* stamped on every op added; -1 outside */
    int status;    /* first failure; later calls do nothing, so families need not check each one */
    struct error *error;
    struct plan_op scratch;
};

void plan_builder_init(struct plan_builder *builder, struct arena *arena, struct error *error);
/* A view of a whole new slot. */
struct plan_view plan_slot(struct plan_builder *builder, const char *name, uint32_t width,
                           enum plan_domain domain);
/* Some columns of a view. */
struct plan_view plan_columns(struct plan_view view, uint32_t first, uint32_t width);
/* Appends a zeroed op of this kind with a copy of this name ("layers.3." is put in front when builder->layer
 * is 3) and returns it to be filled, before the next op is added: the list may move then. After a failure it
 * returns scratch that is legal to fill. */
struct plan_op *plan_op(struct plan_builder *builder, enum plan_op_kind kind, const char *name);
uint32_t plan_cache(struct plan_builder *builder, const struct plan_cache *cache);
/* Checks every operand (slots, widths against weights, domains, caches, overlaps, and that everything is
 * written before it is read) and returns 0 or the first error, ERROR_INTERNAL: a family wrote nonsense. After
 * this builder->plan is complete and valid for as long as the arena lives. */
int plan_finish(struct plan_builder *builder);

/* ---- costs ---- */

/* One step as the cost model sees it: n_sequences equal sequences, each with `context` tokens in its cache
 * before the step and n_tokens / n_sequences new ones. */
struct plan_step {
    uint32_t n_tokens, n_outputs, n_sequences;
    uint32_t context;
    uint32_t kv_bits; /* bits per cached number: 32, 16 or 8 */
};

struct plan_cost {
    double weight_bytes;   /* read from weights; of routed experts the expected number of distinct ones */
    double kv_read_bytes;  /* read from the cache */
    double kv_write_bytes; /* written to it */
    double flops;          /* multiply and add counted as two */
};

struct plan_cost plan_op_cost(const struct plan *plan, const struct plan_op *op,
                              const struct plan_step *step);
/* Sum over all operations. */
struct plan_cost plan_step_cost(const struct plan *plan, const struct plan_step *step);
/* Bytes that `numbers` neighbouring cached numbers of one position (the key of a head, say) take. Of 32 and
 * 16 bits each number is stored as it is. Of 8 bits they are codes, and every PLAN_KV_GROUP of them (the last
 * group may be shorter) share a scale of 16 bits. */
enum { PLAN_KV_GROUP = 32 };
uint64_t plan_kv_vector_bytes(uint32_t numbers, uint32_t kv_bits);
/* Bytes of KV cache one token of context takes, all layers. */
uint64_t plan_kv_bytes_per_token(const struct plan *plan, uint32_t kv_bits);
/* Bytes of all weights the plan names (each matrix once, however often it is used). */
uint64_t plan_weight_bytes(const struct plan *plan);
const char *plan_op_kind_name(enum plan_op_kind kind);

#endif
