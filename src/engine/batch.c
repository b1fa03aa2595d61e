/* One ragged step: who gives how many tokens.
 *
 * Every sequence that decodes gives its token. Beside them prompts share the prefill chunk in equal parts,
 * what short ones leave going to the oldest: a short prompt is not stuck behind a long one, and nobody
 * starves. A prompt that is scored wants logits for each of its tokens, and so does a sequence that guesses
 * (lookup.h); those rows are shared in the same way.
 *
 * A whole chunk may take seconds on a large model, and while it runs nobody gets a token. So beside sequences
 * that decode prompts get a quarter of it: their next tokens come four times as soon, and the pass over the
 * weights that each further step costs is shared with them. Results do not depend on how prompts are cut
 * (backend.h).
 */
#include "engine/state.h"

void batch_clear(struct local_engine *engine)
{
    engine->batch.n_tokens = engine->batch.n_outputs = engine->batch.n_sequences = 0;
    engine->batch.embeddings_only = false;
}

void batch_append(struct local_engine *engine, const int32_t *tokens, uint32_t n, uint32_t first_position,
                  uint32_t n_outputs, const uint32_t *pages, uint32_t n_pages)
{
    struct backend_batch *batch = &engine->batch;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = batch->n_tokens++;
        engine->tokens[place] = tokens[i];
        engine->positions[place] = first_position + i;
        engine->sequence[place] = batch->n_sequences;
        if (n - i <= n_outputs)
            engine->outputs[batch->n_outputs++] = place;
    }
    engine->sequences[batch->n_sequences++] = (struct backend_sequence){.pages = pages, .n_pages = n_pages};
}

static bool in_prefill(const struct local_request *request)
{
    return request->n_cached < request->n_prompt;
}

static uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The i-th of n equal parts of what is left, at least 1 where anything is left. */
static uint32_t equal_part(uint32_t left, uint32_t n)
{
    if (left < n)
        return left ? 1 : 0;
    return n ? left / n : left;
}

static uint32_t count_scored(const struct local_engine *engine)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < engine->n_active; i++)
        n += in_prefill(engine->active[i]) && engine->active[i]->on_logits;
    return n;
}

/* Prompt tokens each request could take in this step, limited by the rows of logits where it is scored. */
static uint32_t find_wants(struct local_engine *engine)
{
    uint32_t rows_left = SCORE_ROWS - engine->step_guesses, n_scored = count_scored(engine), n_prefill = 0;
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct local_request *request = engine->active[i];
        engine->shares[i] = 0;
        if (in_prefill(request)) {
            sharing_advance(engine, request);
            if (!sharing_waits(engine, i))
                engine->shares[i] = request->n_prompt - request->n_cached;
        }
        if (engine->shares[i] && request->on_logits) {
            engine->shares[i] = minimum(engine->shares[i], equal_part(rows_left, n_scored--));
            rows_left -= engine->shares[i];
        }
        n_prefill += engine->shares[i] != 0;
    }
    return n_prefill;
}

/* Prompt tokens of this step. The batch holds the sequences that decode by now. */
static uint32_t step_chunk(const struct local_engine *engine)
{
    uint32_t n = engine->info.prefill_chunk;
    return engine->batch.n_sequences && n > MIXED_PART ? n / MIXED_PART : n;
}

/* Turns wants into shares of the prefill chunk. */
static void share_chunk(struct local_engine *engine, uint32_t n_prefill)
{
    uint32_t left = step_chunk(engine);
    uint32_t unmet = 0;
    for (uint32_t i = 0; i < engine->n_active; i++) {
        uint32_t want = engine->shares[i];
        if (!want)
            continue;
        uint32_t share = minimum(want, equal_part(left, n_prefill--));
        engine->active[i]->step_tokens = share;
        left -= share;
        unmet += want - share;
    }
    for (uint32_t i = 0; i < engine->n_active && left && unmet; i++) {
        uint32_t want = engine->shares[i];
        if (!want)
            continue;
        uint32_t more = minimum(want - engine->active[i]->step_tokens, left);
        engine->active[i]->step_tokens += more;
        left -= more;
    }
}

/* Guesses for the sequences that decode in this step: as many as their answers have room for. How many of
 * them make any. */
static uint32_t find_guesses(struct local_engine *engine)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct local_request *request = engine->active[i];
        if (!request->step_tokens)
            continue;
        lookup_guess(&request->lookup, request->max_tokens - request->n_generated - 1);
        n += request->lookup.n_guess != 0;
    }
    return n;
}

/* What is kept of the guesses: equal parts of the rows of logits, and what the rings have room for. */
static void guess(struct local_engine *engine)
{
    uint32_t left = SCORE_ROWS, n = find_guesses(engine) + count_scored(engine);
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct local_request *request = engine->active[i];
        struct lookup *lookup = &request->lookup;
        if (!request->step_tokens || !lookup->n_guess)
            continue;
        lookup->n_guess = minimum(lookup->n_guess, equal_part(left, n--));
        if (!stream_has_room(&request->stream, request->events_per_token * (1 + lookup->n_guess)))
            lookup->n_guess = 0;
        left -= lookup->n_guess;
        request->step_tokens += lookup->n_guess;
    }
    engine->step_guesses = SCORE_ROWS - left;
}

static void append_request(struct local_engine *engine, struct local_request *request)
{
    bool prefill = in_prefill(request);
    uint32_t n = request->step_tokens, end = request->n_cached + n;
    while (request->n_pages < kvcache_pages_for(end))
        request->pages[request->n_pages++] = kvcache_take(&engine->kvcache);
    if (prefill && request->on_logits)
        request->step_rows = n;
    else
        request->step_rows = prefill ? end >= request->n_prompt : n;
    request->step_first_row = engine->batch.n_outputs;
    if (request->step_rows && !request->embeds)
        engine->batch.embeddings_only = false;
    int32_t next[1 + ENGINE_MAX_PROMPT_LOOKUP] = {request->last_token};
    for (uint32_t i = 0; !prefill && i + 1 < n; i++)
        next[1 + i] = request->lookup.guess[i];
    batch_append(engine, prefill ? request->prompt + request->n_cached : next, n, request->n_cached,
                 request->step_rows, request->pages, request->n_pages);
}

void batch_build(struct local_engine *engine)
{
    batch_clear(engine);
    engine->batch.embeddings_only = true; /* until somebody wants logits */
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct local_request *request = engine->active[i];
        request->step_tokens =
            !in_prefill(request) && stream_has_room(&request->stream, request->events_per_token);
    }
    guess(engine);
    for (uint32_t i = 0; i < engine->n_active; i++)
        if (engine->active[i]->step_tokens)
            append_request(engine, engine->active[i]);
    share_chunk(engine, find_wants(engine));
    for (uint32_t i = 0; i < engine->n_active; i++)
        if (in_prefill(engine->active[i]) && engine->active[i]->step_tokens)
            append_request(engine, engine->active[i]);
}
