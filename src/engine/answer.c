/* What one request makes of its part of a step: progress, logits handed out, a token drawn, its text. */
#include <string.h>

#include "engine/state.h"
#include "platform/clock.h"

static bool is_eos(const struct local_engine *engine, int32_t token)
{
    for (uint32_t i = 0; i < engine->n_eos; i++)
        if (engine->eos[i] == token)
            return true;
    return false;
}

/* Bytes of text that fit one event: whole characters. */
static size_t event_part(const char *text, size_t length)
{
    if (length <= ENGINE_EVENT_TEXT)
        return length;
    size_t n = ENGINE_EVENT_TEXT;
    while (n > ENGINE_EVENT_TEXT - 4 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* Sends the first `length` bytes of the text with a token's event, in as many events as it takes. */
static void send_token(struct local_request *request, struct engine_event *event, size_t length)
{
    const char *text = request->stops.text;
    do {
        size_t n = event_part(text, length);
        memcpy(event->text, text, n);
        event->text_length = (uint16_t)n;
        event->more_text = n < length;
        stream_push(&request->stream, event, 0);
        text += n;
        length -= n;
    } while (length);
}

/* Adds the token's text to what is held back and returns the bytes that may go out. */
static size_t add_text(struct local_engine *engine, struct local_request *request, int32_t token)
{
    size_t ready;
    size_t n = detokenizer_push(&request->detokenizer, token, stops_tail(&request->stops), engine->max_piece);
    if (stops_push(&request->stops, n, &ready)) {
        request->text_ended = true;
        request->finish = FINISH_STOP;
    }
    return ready;
}

/* The text that may go out is this one control token and nothing else. */
static bool is_control(const struct local_engine *engine, const struct local_request *request, int32_t token,
                       size_t ready)
{
    size_t length;
    return ready && request->detokenizer.with_special && tokenizer_is_special(engine->tokenizer, token) &&
           tokenizer_token_bytes(engine->tokenizer, token, true, &length) && length == ready;
}

/* The next token: of those that the grammar allows, when there is one. */
static int draw(struct local_engine *engine, struct local_request *request, const float *logits,
                int32_t *token)
{
    const uint32_t *allowed = NULL;
    if (request->constraint) {
        int status = constraint_mask(request->constraint, &allowed, &request->error);
        if (status)
            return status;
    }
    return sampler_draw(&engine->sampler, &request->sampling, &request->penalties, allowed,
                        request->n_generated, logits, token, &request->error);
}

/* What the token means for the grammar: nothing, the end of the answer, or (never, the mask allowed it) an
 * error. */
static void follow(struct local_request *request, int32_t token)
{
    bool complete = false;
    if (!request->constraint)
        return;
    if (constraint_accept(request->constraint, token, &complete, &request->error))
        request->finish = FINISH_ERROR;
    else if (complete)
        request->finish = FINISH_STOP;
}

static void generate(struct local_engine *engine, struct local_request *request, const float *logits)
{
    int32_t token;
    if (draw(engine, request, logits, &token)) {
        request->finish = FINISH_ERROR;
        return;
    }
    struct engine_event *event = &engine->event;
    /* A grammar holds from the first token: what comes is the answer, whatever the prompt had begun. */
    *event = (struct engine_event){.kind = EVENT_TOKEN,
                                   .token = token,
                                   .starts_thinking = request->starts_thinking && !request->constraint};
    if (request->logprobs) {
        event->n_top = request->n_top;
        sampler_logprobs(logits, engine->plan->vocab, token, request->n_top, &event->logprob, event->top);
    }
    event->time_ns = request->timings.last_token_ns = clock_now_ns();
    if (!request->n_generated++)
        request->timings.first_token_ns = event->time_ns;
    request->timings.generated_tokens = request->n_generated;
    request->last_token = token;
    penalties_add(&request->penalties, token, true);
    lookup_add(&request->lookup, token);
    engine->step_generated++;

    size_t ready = 0;
    if (!request->ignore_eos && is_eos(engine, token)) {
        request->finish = FINISH_STOP;
    } else {
        follow(request, token);
        ready = add_text(engine, request, token);
        event->control = is_control(engine, request, token, ready);
    }
    send_token(request, event, ready);
    stops_consume(&request->stops, ready);
    if (!request->finish && request->n_generated == request->max_tokens)
        request->finish = FINISH_LENGTH;
}

static void send_progress(struct local_engine *engine, struct local_request *request)
{
    if (request->embeds)
        return; /* the ring is for the embedding, which nobody could wait for */
    engine->event = (struct engine_event){.kind = EVENT_PREFILL,
                                          .time_ns = clock_now_ns(),
                                          .prompt_done = request->n_cached,
                                          .prompt_tokens = request->n_prompt};
    /* A late reader misses progress, never a token. */
    stream_push(&request->stream, &engine->event, request->events_per_token);
}

enum { EVENT_FLOATS = ENGINE_EVENT_TEXT / sizeof(float) };

uint32_t embedding_events(uint32_t hidden)
{
    return (hidden + EVENT_FLOATS - 1) / EVENT_FLOATS;
}

/* The ring has room for all of it: submit.c. */
static void send_embedding(struct local_engine *engine, struct local_request *request)
{
    size_t stride;
    const float *rows = backend_rows(engine->backend, engine->plan->embedding, &stride);
    const float *numbers = rows + request->step_first_row * stride;
    uint64_t now = clock_now_ns();
    for (uint32_t i = 0; i < engine->info.hidden; i += EVENT_FLOATS) {
        uint32_t n = engine->info.hidden - i < EVENT_FLOATS ? engine->info.hidden - i : EVENT_FLOATS;
        engine->event = (struct engine_event){
            .kind = EVENT_EMBEDDING, .time_ns = now, .text_length = (uint16_t)(n * sizeof *numbers)};
        memcpy(engine->event.text, numbers + i, n * sizeof *numbers);
        stream_push(&request->stream, &engine->event, 0);
    }
}

/* A step of its last token and of guesses at what follows is as many steps as guesses turn out right, and one
 * more: each row is the one that a step of this token alone would have given (backend.h). What was computed
 * for wrong guesses is overwritten by the next step. */
static void decode_step(struct local_engine *engine, struct local_request *request, const float *logits)
{
    struct lookup *lookup = &request->lookup;
    uint32_t right = 0, n = lookup->n_guess;
    for (uint32_t row = 0; row <= n; row++) {
        uint32_t first = request->n_cached++;
        sharing_keep(engine, request, first);
        generate(engine, request, logits + (size_t)row * engine->plan->vocab);
        if (row == n || request->last_token != lookup->guess[row] || request->finish == FINISH_ERROR)
            break;
        right++;
        if (request->finish)
            break;
    }
    lookup_learn(lookup, right);
    request->timings.drafted_tokens += n;
    request->timings.accepted_tokens += right;
    engine->step_drafted += n;
    engine->step_accepted += right;
}

void answer_step(struct local_engine *engine, struct local_request *request, const float *logits)
{
    uint32_t first = request->n_cached;
    if (first >= request->n_prompt) {
        decode_step(engine, request, logits);
        return;
    }
    request->n_cached += request->step_tokens;
    sharing_keep(engine, request, first);
    engine->step_prefill += request->step_tokens;
    send_progress(engine, request);
    size_t vocab = engine->plan->vocab;
    for (uint32_t row = 0; request->on_logits && row < request->step_rows; row++)
        request->on_logits(request->on_logits_context, first + row, logits + row * vocab,
                           engine->plan->vocab);
    if (request->n_cached < request->n_prompt)
        return;
    if (request->embeds)
        send_embedding(engine, request);
    if (!request->max_tokens) {
        request->finish = FINISH_LENGTH;
        return;
    }
    logits += (request->step_rows - 1) * vocab;
    generate(engine, request, logits);
}

/* What is still held back, and the replacement of a character that never got its rest. */
static size_t last_text(struct local_request *request, char *out)
{
    if (request->text_ended)
        return 0;
    size_t ready;
    size_t n = detokenizer_finish(&request->detokenizer, stops_tail(&request->stops), REPLACEMENT_BYTES);
    if (!stops_push(&request->stops, n, &ready))
        ready = request->stops.length;
    memcpy(out, request->stops.text, ready);
    return ready;
}

void answer_finish(struct local_engine *engine, struct local_request *request)
{
    struct engine_event *event = &engine->event;
    *event = (struct engine_event){.kind = EVENT_FINISH,
                                   .time_ns = clock_now_ns(),
                                   .finish = request->finish,
                                   .prompt_done = request->n_cached < request->n_prompt ? request->n_cached
                                                                                        : request->n_prompt,
                                   .prompt_tokens = request->n_prompt,
                                   .timings = request->timings};
    if (request->finish == FINISH_ERROR)
        event->error = request->error;
    event->text_length = (uint16_t)last_text(request, event->text);
    stream_finish(&request->stream, event);
}

_Static_assert(ENGINE_MAX_STOP_BYTES - 1 + REPLACEMENT_BYTES <= ENGINE_EVENT_TEXT,
               "what is held back fits the finish event");
