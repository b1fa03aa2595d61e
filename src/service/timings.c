#include "service/timings.h"

/* to - from in milliseconds; null when one is missing. */
static json_t *span(uint64_t from, uint64_t to)
{
    return from && to >= from ? json_real((double)(to - from) / 1e6) : json_null();
}

static json_t *rate(double tokens, uint64_t from, uint64_t to)
{
    return tokens > 0 && from && to > from ? json_real(tokens * 1e9 / (double)(to - from)) : json_null();
}

json_t *timings_json(const struct engine_timings *t)
{
    uint32_t computed = t->prompt_tokens - t->cached_tokens;
    double gaps = (double)t->generated_tokens - 1;
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "queue_ms",
        span(t->tokenized_ns, t->prefill_start_ns), "prefill_ms",
        span(t->prefill_start_ns, t->first_token_ns), "ttft_ms", span(t->accepted_ns, t->first_token_ns),
        "decode_ms", span(t->first_token_ns, t->last_token_ns), "total_ms",
        span(t->accepted_ns, t->last_token_ns), "prompt_tokens", (json_int_t)t->prompt_tokens,
        "cached_tokens", (json_int_t)t->cached_tokens, "generated_tokens", (json_int_t)t->generated_tokens,
        "drafted_tokens", (json_int_t)t->drafted_tokens, "accepted_tokens", (json_int_t)t->accepted_tokens,
        "prefill_tokens_per_second", rate(computed, t->prefill_start_ns, t->first_token_ns),
        "decode_tokens_per_second", rate(gaps, t->first_token_ns, t->last_token_ns));
    if (object && t->generated_tokens < 2 &&
        json_object_set_new(
            object, "reason",
            json_string(t->generated_tokens ? "one token has no rate" : "nothing was generated"))) {
        json_decref(object);
        return NULL;
    }
    return object;
}
