/* Events are the only messages that come thousands of times a second: a token is 30 bytes and its text, where
 * the struct has 1,800. */
#include "worker/protocol.h"

#include <string.h>

static int malformed(struct error *error)
{
    return error_set(error, ERROR_INVALID, "an event from the worker is malformed");
}

static void put_text(struct buffer *out, const struct engine_event *event)
{
    wire_put_u16(out, event->text_length);
    buffer_append(out, event->text, event->text_length);
}

static void get_text(struct wire *in, struct engine_event *event)
{
    uint16_t length = wire_u16(in);
    if (in->failed || length > ENGINE_EVENT_TEXT || length > in->length - in->at) {
        in->failed = true;
        return;
    }
    memcpy(event->text, in->data + in->at, length);
    in->at += length;
    event->text_length = length;
}

/* Of a token, one bit each. */
enum { MORE_TEXT = 1, CONTROL = 2, STARTS_THINKING = 4, ALL_FLAGS = 7 };

static void put_token(struct buffer *out, const struct engine_event *event)
{
    wire_put_u32(out, (uint32_t)event->token);
    wire_put_u8(out, (uint8_t)(event->more_text | event->control << 1 | event->starts_thinking << 2));
    wire_put_f32(out, event->logprob);
    wire_put_u8(out, (uint8_t)event->n_top);
    for (uint32_t i = 0; i < event->n_top; i++) {
        wire_put_u32(out, (uint32_t)event->top[i].token);
        wire_put_f32(out, event->top[i].logprob);
    }
    put_text(out, event);
}

static void get_token(struct wire *in, struct engine_event *event)
{
    event->token = (int32_t)wire_u32(in);
    uint8_t flags = wire_u8(in);
    if (flags > 7)
        in->failed = true;
    event->more_text = flags & 1;
    event->control = flags & 2;
    event->starts_thinking = flags & 4;
    event->logprob = wire_f32(in);
    uint8_t n_top = wire_u8(in);
    if (n_top > ENGINE_MAX_LOGPROBS) {
        in->failed = true;
        return;
    }
    event->n_top = n_top;
    for (uint32_t i = 0; i < n_top; i++) {
        event->top[i].token = (int32_t)wire_u32(in);
        event->top[i].logprob = wire_f32(in);
    }
    get_text(in, event);
}

static void put_finish(struct buffer *out, const struct engine_event *event)
{
    const struct engine_timings *timings = &event->timings;
    put_text(out, event);
    wire_put_u8(out, (uint8_t)event->finish);
    protocol_put_result(out, event->finish == FINISH_ERROR ? event->error.code : 0, &event->error);
    wire_put_u64(out, timings->accepted_ns);
    wire_put_u64(out, timings->tokenized_ns);
    wire_put_u64(out, timings->prefill_start_ns);
    wire_put_u64(out, timings->first_token_ns);
    wire_put_u64(out, timings->last_token_ns);
    wire_put_u32(out, timings->prompt_tokens);
    wire_put_u32(out, timings->cached_tokens);
    wire_put_u32(out, timings->generated_tokens);
    wire_put_u32(out, timings->drafted_tokens);
    wire_put_u32(out, timings->accepted_tokens);
}

static void get_finish(struct wire *in, struct engine_event *event)
{
    struct engine_timings *timings = &event->timings;
    get_text(in, event);
    uint8_t finish = wire_u8(in);
    if (finish == FINISH_NONE || finish > FINISH_ERROR)
        in->failed = true;
    event->finish = in->failed ? FINISH_ERROR : (enum engine_finish)finish;
    uint32_t code = wire_u32(in);
    if (code) {
        const char *message = wire_string(in);
        event->error.code = (int)(int32_t)code;
        error_set(&event->error, event->error.code, "%s", message ? message : "");
    }
    timings->accepted_ns = wire_u64(in);
    timings->tokenized_ns = wire_u64(in);
    timings->prefill_start_ns = wire_u64(in);
    timings->first_token_ns = wire_u64(in);
    timings->last_token_ns = wire_u64(in);
    timings->prompt_tokens = wire_u32(in);
    timings->cached_tokens = wire_u32(in);
    timings->generated_tokens = wire_u32(in);
    timings->drafted_tokens = wire_u32(in);
    timings->accepted_tokens = wire_u32(in);
}

void protocol_put_event(struct buffer *out, const struct engine_event *event)
{
    wire_put_u8(out, (uint8_t)event->kind);
    wire_put_u64(out, event->time_ns);
    if (event->kind == EVENT_PREFILL) {
        wire_put_u32(out, event->prompt_done);
        wire_put_u32(out, event->prompt_tokens);
    } else if (event->kind == EVENT_TOKEN) {
        put_token(out, event);
    } else if (event->kind == EVENT_EMBEDDING) {
        put_text(out, event);
    } else {
        put_finish(out, event);
    }
}

int protocol_get_event(struct wire *in, struct engine_event *event, struct error *error)
{
    uint8_t kind = wire_u8(in);
    if (kind > EVENT_FINISH)
        return malformed(error);
    event->kind = (enum engine_event_kind)kind;
    event->time_ns = wire_u64(in);
    event->prompt_done = event->prompt_tokens = 0;
    event->token = 0;
    event->text_length = 0;
    event->more_text = event->control = event->starts_thinking = false;
    event->logprob = 0;
    event->n_top = 0;
    event->finish = FINISH_NONE;
    event->error.code = 0;
    event->error.message[0] = '\0';
    event->timings = (struct engine_timings){0};
    if (event->kind == EVENT_PREFILL) {
        event->prompt_done = wire_u32(in);
        event->prompt_tokens = wire_u32(in);
    } else if (event->kind == EVENT_TOKEN) {
        get_token(in, event);
    } else if (event->kind == EVENT_EMBEDDING) {
        get_text(in, event);
    } else {
        get_finish(in, event);
    }
    return wire_finish(in) ? 0 : malformed(error);
}

void protocol_put_stats(struct buffer *out, const struct engine_stats *stats,
                        const struct memory_process *memory)
{
    wire_put_u32(out, stats->active_sequences);
    wire_put_u32(out, stats->queued_requests);
    wire_put_u32(out, stats->pages_total);
    wire_put_u32(out, stats->pages_used);
    wire_put_u32(out, stats->pages_cached);
    wire_put_u64(out, stats->steps);
    wire_put_u64(out, stats->prefill_tokens);
    wire_put_u64(out, stats->generated_tokens);
    wire_put_u64(out, stats->finished_requests);
    wire_put_u64(out, stats->cancelled_requests);
    wire_put_u64(out, stats->cached_tokens);
    wire_put_u64(out, stats->rejected_requests);
    wire_put_u64(out, stats->drafted_tokens);
    wire_put_u64(out, stats->accepted_tokens);
    wire_put_u64(out, stats->step_ns);
    wire_put_u64(out, stats->weight_bytes);
    wire_put_u64(out, stats->kv_bytes);
    wire_put_u64(out, stats->scratch_bytes);
    wire_put_u64(out, stats->kv_used_bytes);
    wire_put_u64(out, stats->allocator_active_bytes);
    wire_put_u64(out, stats->allocator_peak_bytes);
    wire_put_u64(out, stats->allocator_cache_bytes);
    wire_put_u8(out, memory->known);
    wire_put_u64(out, memory->resident_bytes);
    wire_put_u64(out, memory->resident_peak_bytes);
    wire_put_u64(out, memory->anonymous_bytes);
    wire_put_u64(out, memory->file_bytes);
    wire_put_u64(out, memory->swap_bytes);
    wire_put_u64(out, memory->major_faults);
    wire_put_u64(out, memory->minor_faults);
}

int protocol_get_stats(struct wire *in, struct engine_stats *stats, struct memory_process *memory,
                       struct error *error)
{
    stats->active_sequences = wire_u32(in);
    stats->queued_requests = wire_u32(in);
    stats->pages_total = wire_u32(in);
    stats->pages_used = wire_u32(in);
    stats->pages_cached = wire_u32(in);
    stats->steps = wire_u64(in);
    stats->prefill_tokens = wire_u64(in);
    stats->generated_tokens = wire_u64(in);
    stats->finished_requests = wire_u64(in);
    stats->cancelled_requests = wire_u64(in);
    stats->cached_tokens = wire_u64(in);
    stats->rejected_requests = wire_u64(in);
    stats->drafted_tokens = wire_u64(in);
    stats->accepted_tokens = wire_u64(in);
    stats->step_ns = wire_u64(in);
    stats->weight_bytes = wire_u64(in);
    stats->kv_bytes = wire_u64(in);
    stats->scratch_bytes = wire_u64(in);
    stats->kv_used_bytes = wire_u64(in);
    stats->allocator_active_bytes = wire_u64(in);
    stats->allocator_peak_bytes = wire_u64(in);
    stats->allocator_cache_bytes = wire_u64(in);
    memory->known = wire_bool(in);
    memory->resident_bytes = wire_u64(in);
    memory->resident_peak_bytes = wire_u64(in);
    memory->anonymous_bytes = wire_u64(in);
    memory->file_bytes = wire_u64(in);
    memory->swap_bytes = wire_u64(in);
    memory->major_faults = wire_u64(in);
    memory->minor_faults = wire_u64(in);
    if (!wire_finish(in))
        return error_set(error, ERROR_INVALID, "the worker's figures are malformed");
    return 0;
}
