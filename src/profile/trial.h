/* Trials: plans without a model, run by the real backend, to find out what operations cost on this machine.
 *
 * The weights of a trial are shapes to which bytes of a pool are lent: what numbers they stand for does not
 * matter, only that the kernels do with them what they do with real ones. No engine, no tokenizer, no files.
 * One thread drives a trial.
 */
#ifndef LLMIND_PROFILE_TRIAL_H
#define LLMIND_PROFILE_TRIAL_H

#include <stdint.h>

#include "backend/backend.h"
#include "base/error.h"
#include "plan/plan.h"

/* ---- bytes to lend ---- */

/* Every 16-bit word of it is a harmless number in every format that weights have: 0.015 as bf16, about 1 as
 * f16, 1.5 and less as e4m3, small powers of two as e8m0; no NaN, no denormal number. */
struct trial_pool {
    uint8_t *data;
    uint64_t bytes;
};
/* Huge pages only where `huge`: mapped files, which real weights are, have small ones. ERROR_MEMORY. */
int trial_pool_open(uint64_t bytes, bool huge, struct trial_pool *out, struct error *error);
void trial_pool_close(struct trial_pool *pool); /* zeroed is legal */

/* Gives every weight of a `shapes_only` plan bytes of the pool, one after another, from the start again when
 * it is used up; the plan can be run then. The plan must be the caller's own. ERROR_LIMIT: a single weight is
 * larger than the pool. */
int trial_lend(struct plan *plan, const struct trial_pool *pool, struct error *error);

/* ---- plans of one kind of operation ---- */

struct trial_format {
    enum weight_format format;
    uint32_t bits, group_size; /* dense: 16, 0 */
};

/* `layers` times: a norm, a product hidden -> ffn, one ffn -> hidden, as many as fill `bytes`. *out is in the
 * arena, shapes_only. */
struct trial_products {
    struct trial_format format;
    uint32_t hidden, ffn, layers;
};
int trial_products(const struct trial_products *shape, struct arena *arena, struct plan *out,
                   struct error *error);

/* `layers` caches that are stored to and attended to with the same queries; the queries are those of the
 * wanted rows, so that a cache can be filled without attending. */
struct trial_attention {
    uint32_t heads, kv_heads, head_dim, layers;
};
int trial_attention(const struct trial_attention *shape, struct arena *arena, struct plan *out,
                    struct error *error);

/* `count` operations of one kind that works on rows alone (NORM, ROPE, ACT_MUL, ADD), `width` columns. With
 * `apart` a tiny product follows each, so that each is a stage of its own. */
struct trial_rows {
    enum plan_op_kind kind;
    uint32_t width, count;
    bool apart;
};
int trial_rows(const struct trial_rows *shape, struct arena *arena, struct plan *out, struct error *error);

/* ---- running ---- */

struct trial_options {
    const char *isa;
    uint32_t n_threads, kv_bits;
    uint32_t max_tokens, max_sequences;
    uint32_t context; /* positions of one sequence, at most */
};
struct trial;
/* The plan is borrowed. Errors: those of backend_prepare. */
int trial_open(const struct plan *plan, const struct trial_options *options, struct trial **out,
               struct error *error);
void trial_close(struct trial *trial); /* NULL is legal */

struct trial_step {
    uint32_t n_sequences, tokens_each; /* new tokens of each */
    uint32_t depth;                    /* positions that each has already */
    uint32_t outputs_each;             /* 0 .. tokens_each, the last ones */
};
/* *ms: how long the step took; NULL: nobody wants to know. */
int trial_run(struct trial *trial, const struct trial_step *step, double *ms, struct error *error);

#endif
