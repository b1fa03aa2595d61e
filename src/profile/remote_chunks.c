/* OpenAI's stream as its many servers write it: `delta.content`, reasoning under two names, tool calls, or
 * `text` of plain completions; usage in a chunk without choices, in the last chunk, or in every one. */
#include "profile/remote_chunks.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "profile/json_get.h"

enum { MAX_VALUES = 100000, MOST_PROMPT_TOKENS = 100000000, SPARE_CHUNKS = 64, FIRST_CAPACITY = 64 };

/* Prompts are counted as cold up to here: a chat template begins every prompt alike, and servers that cache
 * prompts find that beginning, by blocks of 16, whatever the prompt is. What is measured of the prefill
 * leaves these tokens out. */
enum { TEMPLATE_TOKENS = 32 };

void remote_chunks_free(struct remote_chunks *chunks)
{
    free(chunks->items);
    buffer_free(&chunks->text);
    chunks->items = NULL;
    chunks->count = chunks->capacity = 0;
}

/* ---- reading ---- */

static int add_chunk(struct remote_chunks *chunks, uint64_t ns, size_t bytes, struct error *error)
{
    /* a token may come in several chunks, but not in very many */
    if (chunks->count >= (uint64_t)chunks->max_tokens * 4 + SPARE_CHUNKS)
        return error_set(error, ERROR_LIMIT,
                         "the server goes on after %u pieces of text, and %u tokens were "
                         "asked for",
                         chunks->count, chunks->max_tokens);
    if (chunks->count == chunks->capacity) {
        uint32_t capacity = chunks->capacity ? 2 * chunks->capacity : FIRST_CAPACITY;
        struct remote_chunk *items = realloc(chunks->items, capacity * sizeof *items);
        if (!items)
            return error_memory(error, "the times of a stream", capacity * sizeof *items);
        chunks->items = items;
        chunks->capacity = capacity;
    }
    chunks->items[chunks->count++] =
        (struct remote_chunk){.ns = ns, .bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX};
    return 0;
}

static size_t keep(struct remote_chunks *chunks, const json_t *text)
{
    size_t length = json_is_string(text) ? json_string_length(text) : 0;
    if (length && chunks->keep_text)
        buffer_append(&chunks->text, json_string_value(text), length);
    return length;
}

/* Bytes of text that a choice adds, whichever kind of text. */
static size_t choice_text(struct remote_chunks *chunks, const json_t *choice)
{
    const json_t *delta = json_object_get(choice, "delta");
    size_t said = keep(chunks, json_object_get(delta, "reasoning_content"));
    if (!said)
        said = keep(chunks, json_object_get(delta, "reasoning"));
    said += keep(chunks, json_object_get(delta, "content"));
    said += keep(chunks, json_object_get(delta, "refusal"));
    said += keep(chunks, json_object_get(choice, "text"));
    const json_t *calls = json_object_get(delta, "tool_calls"), *call;
    for (size_t i = 0; (call = json_get_item(calls, i)) != NULL; i++) {
        said += keep(chunks, json_get(call, "function.name"));
        said += keep(chunks, json_get(call, "function.arguments"));
    }
    return said;
}

static int take_choice(struct remote_chunks *chunks, const json_t *choice, uint64_t ns, struct error *error)
{
    size_t bytes = choice_text(chunks, choice);
    int status = bytes ? add_chunk(chunks, ns, bytes, error) : 0;
    if (status)
        return status;
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    if (reason && !chunks->finished) {
        chunks->finished = true;
        chunks->finish_ns = ns;
        strncpy(chunks->finish_reason, reason, sizeof chunks->finish_reason - 1);
    }
    return 0;
}

static bool read_count(const json_t *value, uint32_t most, uint32_t *out)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > (json_int_t)most)
        return false;
    *out = (uint32_t)number;
    return true;
}

static int take_usage(struct remote_chunks *chunks, const json_t *usage, struct error *error)
{
    if (!json_is_object(usage))
        return 0;
    uint32_t prompt, completion, cached;
    if (!read_count(json_object_get(usage, "prompt_tokens"), MOST_PROMPT_TOKENS, &prompt) ||
        !read_count(json_object_get(usage, "completion_tokens"), MOST_PROMPT_TOKENS, &completion))
        return error_set(error, ERROR_INVALID,
                         "the server's usage has no sensible prompt_tokens and "
                         "completion_tokens");
    if (completion > chunks->max_tokens)
        return error_set(error, ERROR_INVALID, "the server's usage says %u tokens, and %u were asked for",
                         completion, chunks->max_tokens);
    chunks->has_usage = true;
    chunks->prompt_tokens = prompt;
    chunks->completion_tokens = completion;
    const json_t *details = json_get(usage, "prompt_tokens_details.cached_tokens");
    if (!details || json_is_null(details))
        return 0;
    if (!read_count(details, prompt, &cached))
        return error_set(error, ERROR_INVALID, "the server's usage has no sensible cached_tokens");
    chunks->has_cached = true;
    chunks->cached_tokens = cached;
    return 0;
}

static int server_failed(const json_t *problem, struct error *error)
{
    const char *message = json_is_string(problem) ? json_string_value(problem)
                                                  : json_get_text(problem, "message", "no message");
    return error_set(error, ERROR_IO, "the server failed in the middle of its answer: %.300s", message);
}

static int take_object(struct remote_chunks *chunks, const json_t *object, uint64_t ns, struct error *error)
{
    const json_t *problem = json_object_get(object, "error"), *choice;
    if (problem && !json_is_null(problem))
        return server_failed(problem, error);
    uint32_t before = chunks->count;
    int status = 0;
    const json_t *choices = json_object_get(object, "choices");
    for (size_t i = 0; !status && (choice = json_get_item(choices, i)) != NULL; i++)
        status = take_choice(chunks, choice, ns, error);
    if (!status)
        status = take_usage(chunks, json_object_get(object, "usage"), error);
    if (!status && chunks->count > before && json_is_object(json_object_get(object, "usage")))
        chunks->items[chunks->count - 1].so_far = chunks->completion_tokens;
    return status;
}

int remote_chunks_take(struct remote_chunks *chunks, const char *data, size_t length, uint64_t ns,
                       struct error *error)
{
    if (chunks->done)
        return 0;
    if (length == 6 && memcmp(data, "[DONE]", 6) == 0) {
        chunks->done = true;
        return 0;
    }
    struct json_text_size size = json_text_measure(data, length);
    if (size.depth > JSON_TEXT_MAX_DEPTH || size.values > MAX_VALUES)
        return error_set(error, ERROR_LIMIT,
                         "the server sent a chunk that is nested too deeply or too large");
    json_error_t problem;
    json_t *object = json_loadb(data, length, 0, &problem);
    int status = json_is_object(object) ? take_object(chunks, object, ns, error)
                                        : error_set(error, ERROR_INVALID,
                                                    "the server sent an event that is not a JSON object: "
                                                    "%.60s",
                                                    data);
    json_decref(object);
    return status;
}

/* ---- the record ---- */

static int count_tokens(struct remote_chunks *chunks, const struct tokenizer *tokenizer,
                        struct remote_count *count, struct error *error)
{
    *count = (struct remote_count){.tokens = 0};
    if (chunks->has_usage) {
        count->tokens = chunks->completion_tokens;
        return 0;
    }
    if (!tokenizer) {
        count->reason = "the server's stream has no usage figures, and no tokenizer of the model is known";
        return 0;
    }
    if (chunks->text.failed)
        return error_memory(error, "the text of an answer", chunks->text.length);
    struct token_list list = {0};
    int status = tokenizer_encode(tokenizer, chunks->text.data ? chunks->text.data : "", chunks->text.length,
                                  false, &list, error);
    /* a stop token has no text, and was generated all the same */
    if (!status)
        count->tokens = (uint32_t)list.count + (strcmp(chunks->finish_reason, "stop") == 0);
    token_list_free(&list);
    return status;
}

/* Where the server's own count is complete and rises, it says how many tokens each chunk brought. */
static bool counts_along(const struct remote_chunks *chunks, uint32_t tokens)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < chunks->count; i++) {
        if (chunks->items[i].so_far < before || chunks->items[i].so_far == 0)
            return false;
        before = chunks->items[i].so_far;
    }
    return chunks->count > 0 && before <= tokens;
}

/* Tokens that had come when chunk i had. Monotone; that of the last chunk is all of them. */
static uint32_t tokens_after(const struct remote_chunks *chunks, uint32_t i, uint32_t tokens, bool along,
                             uint64_t bytes_before, uint64_t all_bytes)
{
    uint32_t n = chunks->count;
    if (i + 1 == n)
        return tokens;
    if (along)
        return chunks->items[i].so_far;
    if (tokens <= n) /* fewer tokens than chunks: some came in several */
        return (uint32_t)(((uint64_t)i + 1) * tokens / n > 0 ? ((uint64_t)i + 1) * tokens / n : 1);
    uint64_t more = tokens - n; /* one for each chunk, the others by the length of the text */
    return i + 1 + (uint32_t)(all_bytes ? more * bytes_before / all_bytes : 0);
}

static void spread(const struct remote_chunks *chunks, uint32_t tokens, struct target_trace *out,
                   struct remote_count *count)
{
    uint64_t all_bytes = 0, bytes = 0;
    bool along = counts_along(chunks, tokens);
    for (uint32_t i = 0; i < chunks->count; i++)
        all_bytes += chunks->items[i].bytes;
    for (uint32_t i = 0; i < chunks->count; i++) {
        const struct remote_chunk *chunk = &chunks->items[i];
        bytes += chunk->bytes;
        uint32_t until = tokens_after(chunks, i, tokens, along, bytes, all_bytes);
        uint32_t first = out->n_tokens, here = until > first ? until - first : 0;
        uint64_t before = i ? chunks->items[i - 1].ns : chunk->ns;
        for (uint32_t k = 1; k <= here; k++)
            out->token_ns[out->n_tokens++] = before + (uint64_t)((double)(chunk->ns - before) * k / here);
        count->several = count->several || here > 1;
    }
}

/* Chunks that are read at once have one stamp, like tokens of one chunk. Now and then that happens to every
 * client; where it is the rule, two tokens a stamp or more, they are sent so. */
static void count_stamps(const struct target_trace *trace, struct remote_count *count)
{
    const uint64_t *ns = trace->token_ns;
    uint32_t n = trace->n_tokens, stamps = n > 0;
    for (uint32_t i = 1; i < n; i++)
        stamps += ns[i] != ns[i - 1];
    count->first = n > 0;
    while (count->first < n && ns[count->first] == ns[0])
        count->first++;
    count->several = count->several || (n > 1 && stamps <= n / 2);
}

static void judge(const struct remote_chunks *chunks, const struct remote_count *count,
                  struct target_trace *out)
{
    uint32_t asked = chunks->max_tokens, n = count->tokens;
    out->outcome = OUTCOME_ERROR;
    if (!chunks->finished && !chunks->done)
        error_set(&out->error, ERROR_IO, "the server closed the stream in the middle of its answer");
    else if (chunks->count == 0)
        error_set(&out->error, ERROR_INVALID, "the server answered without any text");
    else if (chunks->has_usage && n == 0)
        error_set(&out->error, ERROR_INVALID, "the server's usage says 0 tokens, and %u pieces of text came",
                  chunks->count);
    else if (chunks->has_cached && chunks->cached_tokens > TEMPLATE_TOKENS) {
        out->outcome = OUTCOME_NOT_COLD;
        error_set(&out->error, ERROR_INVALID, "%u of %u prompt tokens came from the server's cache",
                  chunks->cached_tokens, chunks->prompt_tokens);
    } else if (n > 0 && n < asked) {
        out->outcome = OUTCOME_SHORT;
        error_set(&out->error, ERROR_INVALID, "%u tokens came, %u were asked for", n, asked);
    } else
        out->outcome = OUTCOME_OK;
}

int remote_chunks_trace(struct remote_chunks *chunks, uint64_t start_ns, const struct tokenizer *tokenizer,
                        struct target_trace *out, struct remote_count *count, struct error *error)
{
    int status = count_tokens(chunks, tokenizer, count, error);
    /* one token more than texts: it has none, ended the answer, and came with the chunk that said so */
    if (!status && chunks->count > 0 && count->tokens == chunks->count + 1 && chunks->finished &&
        chunks->finish_ns > chunks->items[chunks->count - 1].ns)
        status = add_chunk(chunks, chunks->finish_ns, 0, error);
    if (status)
        return status;
    uint32_t n = chunks->count ? count->tokens : 0;
    out->token_ns = calloc(n ? n : 1, sizeof *out->token_ns);
    if (!out->token_ns)
        return error_memory(error, "the times of a run", n * sizeof *out->token_ns);
    out->capacity = n;
    count->spread = n > 0 && n != chunks->count;
    if (n > 0)
        spread(chunks, n, out, count);
    count_stamps(out, count);
    judge(chunks, count, out);
    out->timings.accepted_ns = start_ns;
    if (chunks->count) {
        out->timings.first_token_ns = chunks->items[0].ns;
        out->timings.last_token_ns = chunks->items[chunks->count - 1].ns;
    }
    out->timings.prompt_tokens = chunks->prompt_tokens;
    out->timings.cached_tokens = chunks->cached_tokens;
    out->timings.generated_tokens = n;
    return 0;
}

void remote_chunks_sample(const struct target_trace *trace, const struct remote_count *count,
                          struct sample *out)
{
    static const enum metric gaps[] = {METRIC_ITL_P50_MS, METRIC_ITL_P90_MS, METRIC_ITL_P99_MS,
                                       METRIC_ITL_MAX_MS};
    const struct engine_timings *t = &trace->timings;
    sample_from_trace(trace, out);
    if (count->first > 1) {
        double later = (double)trace->n_tokens - count->first;
        double ms = (double)(t->last_token_ns - t->first_token_ns) / 1e6;
        bool any = later > 0 && ms > 0;
        out->value[METRIC_DECODE_TPS] = any ? later / ms * 1000 : NAN;
        out->value[METRIC_TPOT_MS] = any ? ms / later : NAN;
    }
    if (!count->several)
        return;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++)
        out->value[gaps[i]] = NAN;
    sample_free(out);
}
