#include "profile/trial.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/clock.h"
#include "platform/memory.h"

enum { ALIGN = 64 };

/* ---- the pool ---- */

int trial_pool_open(uint64_t bytes, bool huge, struct trial_pool *out, struct error *error)
{
    *out = (struct trial_pool){.data = memory_map((size_t)bytes), .bytes = bytes};
    if (!out->data)
        return error_memory(error, "bytes to measure with", bytes);
#ifdef MADV_NOHUGEPAGE
    if (!huge)
        (void)madvise(out->data, (size_t)bytes, MADV_NOHUGEPAGE);
#endif
    for (uint64_t i = 0; i + 1 < bytes; i += 2) { /* little endian: the low byte first */
        out->data[i] = (uint8_t)(0x78 + (i / 2 * 5 + i / 64) % 7);
        out->data[i + 1] = 0x3C;
    }
    return 0;
}

void trial_pool_close(struct trial_pool *pool)
{
    memory_unmap(pool->data, (size_t)pool->bytes);
    *pool = (struct trial_pool){0};
}

struct lender {
    const struct trial_pool *pool;
    uint64_t used;
    struct error *error;
    int status;
};

static const uint8_t *lend(struct lender *lender, uint64_t bytes)
{
    uint64_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (lender->used + rounded > lender->pool->bytes)
        lender->used = 0;
    if (rounded > lender->pool->bytes) {
        lender->status =
            error_set(lender->error, ERROR_LIMIT, "a weight is larger than what there is to lend");
        return NULL;
    }
    lender->used += rounded;
    return lender->pool->data + lender->used - rounded;
}

static void lend_weight(struct lender *lender, const struct weight *borrower)
{
    struct weight *weight = (struct weight *)(uintptr_t)borrower; /* the caller's own: see trial.h */
    if (!weight || weight->data || lender->status)
        return;
    uint64_t rows = (uint64_t)weight->n_experts * weight->rows;
    uint64_t extra = weight_row_bytes(weight) - weight->row_bytes;
    weight->data = lend(lender, rows * weight->row_bytes);
    if (weight->format == WEIGHT_DENSE)
        return;
    bool affine = weight->format == WEIGHT_AFFINE;
    weight->scales = lend(lender, rows * (affine ? extra / 2 : extra));
    if (affine)
        weight->biases = lend(lender, rows * extra / 2);
}

int trial_lend(struct plan *plan, const struct trial_pool *pool, struct error *error)
{
    struct lender lender = {.pool = pool, .error = error};
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        if (op->kind == PLAN_EMBED)
            lend_weight(&lender, op->embed.weight);
        if (op->kind == PLAN_LINEAR)
            lend_weight(&lender, op->linear.weight);
        if (op->kind == PLAN_EXPERTS) {
            lend_weight(&lender, op->experts.gate);
            lend_weight(&lender, op->experts.up);
            lend_weight(&lender, op->experts.down);
        }
    }
    plan->shapes_only = lender.status != 0;
    return lender.status;
}

/* ---- running ---- */

struct trial {
    struct backend_model *model;
    struct backend_sequence *sequences;
    int32_t *tokens;
    uint32_t *positions, *owner, *outputs, *pages;
    uint32_t max_tokens, max_sequences, context, pages_each;
};

static int allocate(struct trial *trial, uint32_t vocab, struct error *error)
{
    size_t tokens = trial->max_tokens, pages = (size_t)trial->max_sequences * trial->pages_each;
    trial->sequences = calloc(trial->max_sequences, sizeof *trial->sequences);
    trial->tokens = calloc(tokens, sizeof *trial->tokens);
    trial->positions = calloc(tokens, sizeof *trial->positions);
    trial->owner = calloc(tokens, sizeof *trial->owner);
    trial->outputs = calloc(tokens, sizeof *trial->outputs);
    trial->pages = calloc(pages, sizeof *trial->pages);
    if (!trial->sequences || !trial->tokens || !trial->positions || !trial->owner || !trial->outputs ||
        !trial->pages)
        return error_memory(error, "a trial", tokens * 20 + pages * 4);
    for (size_t i = 0; i < pages; i++)
        trial->pages[i] = (uint32_t)i;
    for (size_t i = 0; i < tokens; i++)
        trial->tokens[i] = (int32_t)(i % vocab);
    for (uint32_t i = 0; i < trial->max_sequences; i++)
        trial->sequences[i] = (struct backend_sequence){.pages = trial->pages + (size_t)i * trial->pages_each,
                                                        .n_pages = trial->pages_each};
    return 0;
}

int trial_open(const struct plan *plan, const struct trial_options *options, struct trial **out,
               struct error *error)
{
    *out = NULL;
    struct trial *trial = calloc(1, sizeof *trial);
    if (!trial)
        return error_memory(error, "a trial", sizeof *trial);
    trial->max_tokens = options->max_tokens;
    trial->max_sequences = options->max_sequences;
    trial->context = options->context;
    trial->pages_each = (options->context + BACKEND_PAGE_TOKENS - 1) / BACKEND_PAGE_TOKENS;
    struct backend_options backend = {.isa = options->isa,
                                      .n_threads = options->n_threads,
                                      .kv_bits = options->kv_bits,
                                      .max_step_tokens = options->max_tokens,
                                      .max_step_outputs = options->max_tokens,
                                      .max_sequences = options->max_sequences,
                                      .n_pages = options->max_sequences * trial->pages_each};
    int status = allocate(trial, plan->vocab, error);
    if (!status)
        status = backend_prepare(plan, &backend, &trial->model, error);
    if (status)
        trial_close(trial);
    else
        *out = trial;
    return status;
}

void trial_close(struct trial *trial)
{
    if (!trial)
        return;
    backend_close(trial->model);
    free(trial->sequences);
    free(trial->tokens);
    free(trial->positions);
    free(trial->owner);
    free(trial->outputs);
    free(trial->pages);
    free(trial);
}

int trial_run(struct trial *trial, const struct trial_step *step, double *ms, struct error *error)
{
    uint64_t tokens = (uint64_t)step->n_sequences * step->tokens_each;
    if (tokens > trial->max_tokens || step->n_sequences > trial->max_sequences ||
        (uint64_t)step->depth + step->tokens_each > trial->context || step->outputs_each > step->tokens_each)
        return error_set(error, ERROR_INTERNAL, "a trial's step breaks its limits");
    struct backend_batch batch = {.n_tokens = (uint32_t)tokens,
                                  .n_sequences = step->n_sequences,
                                  .tokens = trial->tokens,
                                  .positions = trial->positions,
                                  .sequence = trial->owner,
                                  .outputs = trial->outputs,
                                  .sequences = trial->sequences};
    for (uint32_t i = 0; i < batch.n_tokens; i++) {
        uint32_t at = i % step->tokens_each;
        trial->owner[i] = i / step->tokens_each;
        trial->positions[i] = step->depth + at;
        if (at >= step->tokens_each - step->outputs_each)
            trial->outputs[batch.n_outputs++] = i;
    }
    const float *logits;
    uint64_t start = clock_now_ns();
    int status = backend_step(trial->model, &batch, &logits, NULL, error);
    if (ms)
        *ms = (double)(clock_now_ns() - start) / 1e6;
    return status;
}
