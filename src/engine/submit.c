/* From a caller's wishes to a queued request: checked, tokenized and given all the memory it will ever use,
 * on the caller's thread. Nothing here touches the model. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/state.h"
#include "platform/clock.h"

/* ---- the prompt ---- */

/* Some templates ignore tools; then nobody would have told the model of them. Rendering without them shows
 * it.
 */
static int check_tools(struct local_engine *engine, const struct chat_template_input *input, const char *text,
                       size_t length, struct error *error)
{
    struct chat_template_input plain = *input;
    char *without = NULL;
    size_t without_length = 0;
    plain.tools_json = NULL;
    int status = chat_template_render(engine->chat_template, &plain, &without, &without_length, NULL);
    bool same = !status && length == without_length && memcmp(text, without, length) == 0;
    free(without);
    return same ? error_set(error, ERROR_UNSUPPORTED,
                            "tools: the chat template of model %s does not show them to the model",
                            engine->info.model_name)
                : 0;
}

static bool ends_with_open_thought(const char *text, size_t length)
{
    static const char tag[] = "<think>";
    while (length && strchr(" \r\n\t", text[length - 1]))
        length--;
    return length >= sizeof tag - 1 && memcmp(text + length - (sizeof tag - 1), tag, sizeof tag - 1) == 0;
}

static int encode_messages(struct local_engine *engine, struct local_request *request,
                           const struct engine_submit *submit, struct token_list *list, struct error *error)
{
    if (!engine->chat_template)
        return error_set(error, ERROR_UNSUPPORTED,
                         "messages: model %s has no chat template; send it a plain text prompt",
                         engine->info.model_name);
    struct chat_template_input input = {
        .messages_json = submit->messages_json,
        .tools_json = submit->tools_json,
        .extra_json = submit->template_json,
        .add_generation_prompt = submit->add_generation_prompt,
    };
    char *text = NULL;
    size_t length = 0;
    int status = chat_template_render(engine->chat_template, &input, &text, &length, error);
    if (!status && submit->tools_json)
        status = check_tools(engine, &input, text, length, error);
    if (!status) {
        request->starts_thinking = submit->add_generation_prompt && ends_with_open_thought(text, length);
        status = tokenizer_encode_rendered(engine->tokenizer, text, length, list, error);
    }
    free(text);
    return status;
}

/* Which of the three prompts it is. */
static int check_prompt(const struct engine_submit *submit, struct error *error)
{
    int n = (submit->tokens != NULL) + (submit->text != NULL) + (submit->messages_json != NULL);
    if (n != 1)
        return error_set(error, ERROR_INVALID, "%s: exactly one of tokens, text and messages is needed",
                         n ? "more than one prompt is given" : "no prompt is given");
    if ((submit->tools_json || submit->template_json) && !submit->messages_json)
        return error_set(error, ERROR_INVALID, "%s: only messages can have it",
                         submit->tools_json ? "tools" : "template arguments");
    return 0;
}

static int copy_prompt(struct local_engine *engine, struct local_request *request, const int32_t *ids,
                       size_t n, struct error *error)
{
    if (!n)
        return error_set(error, ERROR_INVALID, "the prompt is empty: at least one token is needed");
    if (n > engine->info.context)
        return error_set(error, ERROR_LIMIT, "the prompt has %zu tokens, more than the context of %u", n,
                         engine->info.context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= engine->plan->vocab)
            return error_set(error, ERROR_INVALID,
                             "token %zu of the prompt is %d, outside the model's vocabulary of %u", i, ids[i],
                             engine->plan->vocab);
    int32_t *copy = arena_alloc(&request->arena, n, sizeof *copy);
    if (!copy)
        return error_memory(error, "the prompt", (unsigned long long)n * sizeof *copy);
    memcpy(copy, ids, n * sizeof *copy);
    request->prompt = copy;
    request->n_prompt = (uint32_t)n;
    return 0;
}

int request_encode(struct local_engine *engine, struct local_request *request,
                   const struct engine_submit *submit, struct error *error)
{
    struct token_list list = {0};
    int status = check_prompt(submit, error);
    if (!status && submit->tokens)
        return copy_prompt(engine, request, submit->tokens, submit->n_tokens, error);
    if (!status && submit->text)
        status = tokenizer_encode(engine->tokenizer, submit->text, strlen(submit->text), true, &list, error);
    else if (!status)
        status = encode_messages(engine, request, submit, &list, error);
    if (!status)
        status = copy_prompt(engine, request, list.ids, list.count, error);
    token_list_free(&list);
    return status;
}

/* ---- the rest ---- */

static int set_length(const struct local_engine *engine, struct local_request *request,
                      const struct engine_submit *submit, struct error *error)
{
    uint32_t left = engine->info.context - request->n_prompt;
    request->max_tokens = submit->max_tokens;
    if (submit->embedding && (submit->max_tokens || submit->on_logits))
        return error_set(error, ERROR_INVALID, "embedding: there is no answer beside it");
    if (submit->embedding && !engine->info.hidden)
        return error_set(error, ERROR_UNSUPPORTED, "model %s gives no embeddings", engine->info.model_name);
    if (submit->prompt_only && (submit->max_tokens || submit->on_logits || submit->embedding))
        return error_set(error, ERROR_INVALID, "prompt_only: there is no answer beside it");
    if (!submit->max_tokens && !submit->on_logits && !submit->embedding && !submit->prompt_only) {
        if (!left)
            return error_set(error, ERROR_LIMIT,
                             "the prompt fills the context: %u tokens of %u, and no room for an answer",
                             request->n_prompt, engine->info.context);
        request->max_tokens = left;
    }
    if (request->max_tokens > left)
        return error_set(
            error, ERROR_LIMIT,
            "the prompt has %u tokens and max_tokens is %u: together more than the context of %u",
            request->n_prompt, request->max_tokens, engine->info.context);
    return 0;
}

static int set_sampling(const struct local_engine *engine, struct local_request *request,
                        const struct engine_submit *submit, struct error *error)
{
    int status = sampler_check(&submit->sampling, engine->plan->vocab, error);
    if (status)
        return status;
    if (submit->top_logprobs > ENGINE_MAX_LOGPROBS)
        return error_set(error, ERROR_INVALID, "top_logprobs is %u: at most %d are possible",
                         submit->top_logprobs, ENGINE_MAX_LOGPROBS);
    if (submit->top_logprobs && !submit->logprobs)
        return error_set(error, ERROR_INVALID, "top_logprobs needs logprobs to be on");
    request->sampling = submit->sampling;
    request->logprobs = submit->logprobs;
    request->n_top = submit->top_logprobs < engine->plan->vocab ? submit->top_logprobs : engine->plan->vocab;
    if (submit->sampling.n_logit_bias) {
        size_t n = submit->sampling.n_logit_bias, size = sizeof *submit->sampling.logit_bias;
        struct engine_logit_bias *copy = arena_alloc(&request->arena, n, size);
        if (!copy)
            return error_memory(error, "logit_bias", n * size);
        memcpy(copy, submit->sampling.logit_bias, n * size);
        request->sampling.logit_bias = copy;
    }
    status = penalties_init(&request->penalties, &request->sampling, &request->arena, engine->plan->vocab,
                            request->n_prompt + request->max_tokens, error);
    for (uint32_t i = 0; !status && i < request->n_prompt; i++)
        penalties_add(&request->penalties, request->prompt[i], false);
    return status;
}

static int set_text(const struct local_engine *engine, struct local_request *request,
                    const struct engine_submit *submit, struct error *error)
{
    if (submit->n_stops && !submit->stops)
        return error_set(error, ERROR_INVALID, "stops is missing, and n_stops is %u", submit->n_stops);
    int status = stops_init(&request->stops, submit->stops, submit->n_stops, engine->max_piece,
                            &request->arena, error);
    if (status)
        return status;
    /* An answer to messages is a text of its own; everything else goes on after its prompt. */
    detokenizer_init(&request->detokenizer, engine->tokenizer, submit->show_special, !submit->messages_json);
    /* An event is cut at a whole character, so it carries at least this much. */
    size_t per_event = ENGINE_EVENT_TEXT - 3;
    request->events_per_token = (uint32_t)((request->stops.capacity + per_event - 1) / per_event);
    if (!request->events_per_token)
        request->events_per_token = 1;
    return 0;
}

static int set_lookup(const struct local_engine *engine, struct local_request *request, struct error *error)
{
    if (!engine->info.prompt_lookup || !request->max_tokens)
        return 0;
    return lookup_init(&request->lookup, engine->info.prompt_lookup, request->prompt, request->n_prompt,
                       request->max_tokens, &request->arena, error);
}

static int set_pages(struct local_engine *engine, struct local_request *request, struct error *error)
{
    /* The last token of an answer is never fed back, so it needs no place. */
    uint32_t positions = request->n_prompt + (request->max_tokens ? request->max_tokens - 1 : 0);
    request->n_promised = kvcache_pages_for(positions);
    if (request->n_promised > engine->n_pages)
        return error_set(error, ERROR_LIMIT, "%u tokens need %u KV pages, and the engine has %u", positions,
                         request->n_promised, engine->n_pages);
    request->pages = arena_alloc(&request->arena, request->n_promised, sizeof *request->pages);
    if (!request->pages)
        return error_memory(error, "a page table", (unsigned long long)request->n_promised * 4);
    return 0;
}

/* ---- the queue ---- */

/* Lets a request in before any work is done for it, or refuses it at once. Requests that fill free slots do
 * not wait, so they do not count, unless the oldest waits for pages: then the slots help nobody. */
static int arrive(struct local_engine *engine, struct error *error)
{
    pthread_mutex_lock(&engine->lock);
    uint32_t running = engine->stats.active_sequences;
    uint32_t waiting = engine->stats.queued_requests + engine->n_arriving;
    uint32_t free_slots = engine->short_of_pages ? 0 : engine->info.max_sequences - running;
    bool stopping = engine->stopping;
    bool full = engine->queue_limit && waiting >= (uint64_t)engine->queue_limit + free_slots;
    if (!stopping && full)
        engine->stats.rejected_requests++;
    else if (!stopping)
        engine->n_arriving++;
    pthread_mutex_unlock(&engine->lock);
    if (stopping)
        return error_set(error, ERROR_CANCELLED, "the engine is closing");
    if (full)
        return error_set(error, ERROR_BUSY,
                         "the queue is full: %u requests run or wait already, and at most %u may wait; try "
                         "again in a moment",
                         running + waiting, engine->queue_limit);
    return 0;
}

/* What arrive let in does not come. */
static void leave(struct local_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->n_arriving--;
    pthread_mutex_unlock(&engine->lock);
}

/* From now on the request is the engine's thread's as well. */
static int enqueue(struct local_engine *engine, struct local_request *request, struct error *error)
{
    pthread_mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    engine->n_arriving--;
    if (!stopping) {
        if (engine->queue_tail)
            engine->queue_tail->next = request;
        else
            engine->queue_head = request;
        engine->queue_tail = request;
        engine->n_live++;
        engine->stats.queued_requests++;
        engine->wake_pending = true;
        pthread_cond_signal(&engine->wake);
    }
    pthread_mutex_unlock(&engine->lock);
    return stopping ? error_set(error, ERROR_CANCELLED, "the engine is closing") : 0;
}

/* Everything a request will ever need, checked and allocated. */
static int prepare(struct local_engine *engine, struct local_request *request,
                   const struct engine_submit *submit, struct error *error)
{
    request->ignore_eos = submit->ignore_eos;
    request->embeds = submit->embedding;
    request->on_logits = submit->on_logits;
    request->on_logits_context = submit->on_logits_context;
    request->shares = engine->sharing && !submit->no_cache && !submit->on_logits;
    int status = request_encode(engine, request, submit, error);
    request->timings.tokenized_ns = clock_now_ns();
    request->timings.prompt_tokens = request->n_prompt;
    if (status || (status = set_length(engine, request, submit, error)) != 0 ||
        (status = set_sampling(engine, request, submit, error)) != 0 ||
        (status = set_text(engine, request, submit, error)) != 0 ||
        (status = set_lookup(engine, request, error)) != 0 ||
        (status = set_pages(engine, request, error)) != 0 ||
        (status = constraint_open(&engine->constraints, submit, engine->tokenizer, engine->plan->vocab,
                                  engine->eos, engine->n_eos, &request->constraint, error)) != 0)
        return status;
    /* Progress events leave events_per_token places free, so the ring holds more than that. */
    uint32_t capacity = request->events_per_token * (1 + request->lookup.most) + MIN_RING_EVENTS;
    if (request->embeds)
        capacity += embedding_events(engine->info.hidden);
    status = stream_init(&request->stream, capacity, engine_wake, engine, &request->arena, error);
    if (status)
        return status;
    request->has_stream = true;
    stream_on_event(&request->stream, submit->on_event, submit->on_event_context);
    return 0;
}

int local_submit(struct engine *base, const struct engine_submit *submit, struct engine_request **out,
                 struct error *error)
{
    struct local_engine *engine = (struct local_engine *)base;
    uint64_t accepted_ns = clock_now_ns();
    *out = NULL;
    int status = arrive(engine, error);
    if (status)
        return status;
    struct local_request *request = request_new(engine, error);
    if (!request) {
        leave(engine);
        return ERROR_MEMORY;
    }
    request->timings.accepted_ns = accepted_ns;
    status = prepare(engine, request, submit, error);
    if (status)
        leave(engine);
    else
        status = enqueue(engine, request, error);
    if (status)
        request_free(request);
    else
        *out = &request->base;
    return status;
}
