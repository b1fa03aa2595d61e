/* The JSON of responses, in OpenAI's words. Chunks are written once per token, so they are put together from
 * a head that is made once and the few bytes that change, straight into the connection's buffer.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_text.h"
#include "http/exchange_internal.h"
#include "http/openai.h"
#include "http/sse.h"

static void write_text(struct buffer *out, const char *text)
{
    buffer_json_string(out, text, strlen(text));
}

void openai_write_head(struct openai_job *job, const struct answer *answer)
{
    const struct engine_info *info = engine_info(answer_engine(answer));
    struct buffer *head = &job->head;
    struct buffer fingerprint = {0};
    buffer_format(&fingerprint, "%s-%s-%s-kv%u%s%s%s", answer_model(answer), info->backend, info->isa,
                  info->kv_bits, info->precise ? "-precise" : "", info->adapter ? "-lora-" : "",
                  info->adapter ? info->adapter : "");
    buffer_format(head, ",\"created\":%lld,\"model\":", (long long)time(NULL));
    write_text(head, answer_model(answer));
    buffer_text(head, ",\"system_fingerprint\":");
    buffer_json_string(head, fingerprint.data ? fingerprint.data : "", fingerprint.length);
    head->failed = head->failed || fingerprint.failed;
    buffer_free(&fingerprint);
}

static void write_start(const struct openai_job *job, const char *object, struct buffer *out)
{
    buffer_text(out, "{\"id\":\"");
    buffer_text(out, job->id);
    buffer_text(out, "\",\"object\":\"");
    buffer_text(out, object);
    buffer_text(out, "\"");
    buffer_append(out, job->head.data, job->head.length);
    out->failed = out->failed || job->head.failed;
}

/* ---- log-probabilities ---- */

/* The bytes of a token; what does not fit or is no token has none. */
static size_t token_bytes(const struct openai_choice *choice, int32_t token, char bytes[ENGINE_EVENT_TEXT])
{
    size_t length = 0;
    struct error error;
    if (engine_token_text(answer_engine(choice->answer), token, bytes, ENGINE_EVENT_TEXT, &length, &error))
        return 0;
    return length;
}

static void write_logprob(struct openai_choice *choice, int32_t token, float logprob, struct buffer *out)
{
    char bytes[ENGINE_EVENT_TEXT];
    size_t n = token_bytes(choice, token, bytes);
    buffer_text(out, "{\"token\":");
    buffer_json_string(out, bytes, n);
    buffer_text(out, ",\"logprob\":");
    buffer_json_float(out, logprob);
    buffer_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < n; i++)
        buffer_format(out, "%s%u", i ? "," : "", (unsigned)(unsigned char)bytes[i]);
    buffer_text(out, "]");
}

/* Elements of chat's {"content": [...]}. */
static void add_chat_logprobs(struct openai_choice *choice, const struct answer_piece *piece)
{
    struct buffer *out = &choice->logprobs;
    for (size_t t = 0; t < piece->n_tokens; t++) {
        const struct engine_event *event = &piece->tokens[t];
        if (out->length)
            buffer_text(out, ",");
        write_logprob(choice, event->token, event->logprob, out);
        buffer_text(out, ",\"top_logprobs\":[");
        for (uint32_t i = 0; i < event->n_top; i++) {
            if (i)
                buffer_text(out, ",");
            write_logprob(choice, event->top[i].token, event->top[i].logprob, out);
            buffer_text(out, "}");
        }
        buffer_text(out, "]}");
    }
}

/* A token as a name: its text, or "bytes:\xe2\x80" where it is no whole character, as OpenAI writes it. */
static void write_token_name(struct buffer *out, const char *bytes, size_t n)
{
    struct buffer plain = {0};
    buffer_json_string(&plain, bytes, n);
    if (plain.data && !memmem(plain.data, plain.length, "\xEF\xBF\xBD", 3)) {
        buffer_append(out, plain.data, plain.length);
    } else {
        buffer_text(out, "\"bytes:");
        for (size_t i = 0; i < n; i++)
            buffer_format(out, "\\\\x%02x", (unsigned)(unsigned char)bytes[i]);
        buffer_text(out, "\"");
    }
    buffer_free(&plain);
}

static uint64_t count_characters(const char *text, size_t length)
{
    uint64_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Elements of the four parallel lists of completions. */
static void add_classic_logprobs(struct openai_choice *choice, const struct answer_piece *piece)
{
    char bytes[ENGINE_EVENT_TEXT];
    for (size_t t = 0; t < piece->n_tokens; t++) {
        const struct engine_event *event = &piece->tokens[t];
        const char *comma = choice->names.length ? "," : "";
        size_t n = token_bytes(choice, event->token, bytes);
        buffer_text(&choice->names, comma);
        write_token_name(&choice->names, bytes, n);
        buffer_text(&choice->values, comma);
        buffer_json_float(&choice->values, event->logprob);
        buffer_format(&choice->offsets, "%s%llu", comma, (unsigned long long)choice->offset);
        choice->offset += count_characters(bytes, n);
        buffer_format(&choice->alternatives, "%s{", comma);
        for (uint32_t i = 0; i < event->n_top; i++) {
            n = token_bytes(choice, event->top[i].token, bytes);
            buffer_text(&choice->alternatives, i ? "," : "");
            write_token_name(&choice->alternatives, bytes, n);
            buffer_text(&choice->alternatives, ":");
            buffer_json_float(&choice->alternatives, event->top[i].logprob);
        }
        buffer_text(&choice->alternatives, "}");
    }
}

static void add_logprobs(const struct openai_job *job, struct openai_choice *choice,
                         const struct answer_piece *piece)
{
    if (job->logprobs && job->chat)
        add_chat_logprobs(choice, piece);
    else if (job->logprobs)
        add_classic_logprobs(choice, piece);
}

static void append_list(struct buffer *out, const char *name, const struct buffer *elements)
{
    buffer_text(out, name);
    buffer_append(out, elements->data, elements->length);
    out->failed = out->failed || elements->failed;
    buffer_text(out, "]");
}

/* "logprobs":..., of what was added; `always`: also when that is nothing. */
static void write_logprobs(const struct openai_job *job, struct openai_choice *choice, bool always,
                           struct buffer *out)
{
    buffer_text(out, ",\"logprobs\":");
    bool empty = !choice->logprobs.length && !choice->names.length;
    if (!job->logprobs || (empty && !always)) {
        buffer_text(out, "null");
    } else if (job->chat) {
        append_list(out, "{\"content\":[", &choice->logprobs);
        buffer_text(out, ",\"refusal\":null}");
    } else {
        append_list(out, "{\"tokens\":[", &choice->names);
        append_list(out, ",\"token_logprobs\":[", &choice->values);
        append_list(out, ",\"top_logprobs\":[", &choice->alternatives);
        append_list(out, ",\"text_offset\":[", &choice->offsets);
        buffer_text(out, "}");
    }
}

/* ---- figures ---- */

static void write_usage(const struct openai_job *job, struct buffer *out)
{
    uint64_t prompt = 0, cached = 0, generated = 0, reasoning = 0;
    for (uint32_t i = 0; i < job->n_choices; i++) {
        const struct openai_choice *choice = &job->choices[i];
        generated += choice->end.timings.generated_tokens;
        reasoning += choice->end.reasoning_tokens;
        if (!choice->first_of_prompt)
            continue;
        prompt += choice->end.timings.prompt_tokens;
        cached += choice->end.timings.cached_tokens;
    }
    buffer_format(out, "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu",
                  (unsigned long long)prompt, (unsigned long long)generated,
                  (unsigned long long)prompt + generated);
    if (job->n_ended == job->n_choices)
        buffer_format(out,
                      ",\"prompt_tokens_details\":{\"cached_tokens\":%llu},"
                      "\"completion_tokens_details\":{\"reasoning_tokens\":%llu}",
                      (unsigned long long)cached, (unsigned long long)reasoning);
    buffer_text(out, "}");
}

/* Milliseconds from a to b; null where one of them did not happen. */
static void write_span(struct buffer *out, const char *name, uint64_t a, uint64_t b)
{
    buffer_text(out, name);
    if (a && b >= a)
        buffer_format(out, "%.3f", (double)(b - a) / 1e6);
    else
        buffer_text(out, "null");
}

static void write_rate(struct buffer *out, const char *name, uint64_t count, uint64_t a, uint64_t b)
{
    buffer_text(out, name);
    if (a && b > a && count)
        buffer_format(out, "%.3f", (double)count * 1e9 / (double)(b - a));
    else
        buffer_text(out, "null");
}

static void write_timings(const struct engine_timings *t, struct buffer *out)
{
    uint32_t computed = t->prompt_tokens > t->cached_tokens ? t->prompt_tokens - t->cached_tokens : 0;
    uint32_t steps = t->generated_tokens ? t->generated_tokens - 1 : 0; /* the first comes with the prefill */
    buffer_text(out, ",\"timings\":{");
    write_span(out, "\"queue_ms\":", t->tokenized_ns, t->prefill_start_ns);
    write_span(out, ",\"ttft_ms\":", t->accepted_ns, t->first_token_ns);
    write_span(out, ",\"prefill_ms\":", t->prefill_start_ns, t->first_token_ns);
    write_span(out, ",\"decode_ms\":", t->first_token_ns, t->last_token_ns);
    write_rate(out, ",\"prefill_tokens_per_second\":", computed, t->prefill_start_ns, t->first_token_ns);
    write_rate(out, ",\"decode_tokens_per_second\":", steps, t->first_token_ns, t->last_token_ns);
    buffer_format(out, ",\"cached_tokens\":%u", t->cached_tokens);
    if (t->drafted_tokens) /* as llama.cpp names them */
        buffer_format(out, ",\"draft_n\":%u,\"draft_n_accepted\":%u", t->drafted_tokens, t->accepted_tokens);
    buffer_text(out, "}");
}

static const char *finish_reason(const struct answer_piece *end)
{
    return end->finish == FINISH_LENGTH ? "length" : end->has_tool_calls ? "tool_calls" : "stop";
}

/* ---- chunks ---- */

static const char *chunk_object(const struct openai_job *job)
{
    return job->chat ? "chat.completion.chunk" : "text_completion";
}

static void start_chunk(const struct openai_job *job, const struct openai_choice *choice, struct buffer *out)
{
    buffer_text(out, "data: ");
    write_start(job, chunk_object(job), out);
    buffer_format(out, ",\"choices\":[{\"index\":%u", choice->index);
}

static void end_chunk(const struct openai_job *job, const char *reason, const struct engine_timings *timings,
                      struct buffer *out)
{
    buffer_text(out, ",\"finish_reason\":");
    if (reason)
        write_text(out, reason);
    else
        buffer_text(out, "null");
    buffer_text(out, "}]");
    if (job->usage_in_chunks && job->choices[0].end.timings.prompt_tokens) {
        buffer_text(out, ",");
        write_usage(job, out);
    } else if (job->include_usage) {
        buffer_text(out, ",\"usage\":null");
    }
    if (timings)
        write_timings(timings, out);
    buffer_text(out, "}\n\n");
}

/* What a chunk of chat adds to the message. */
static void write_delta(const struct answer_piece *piece, struct buffer *out)
{
    switch (piece->kind) {
    case ANSWER_TEXT:
        buffer_text(out, "\"content\":");
        buffer_json_string(out, piece->text, piece->length);
        break;
    case ANSWER_REASONING:
        buffer_text(out, "\"reasoning_content\":");
        buffer_json_string(out, piece->text, piece->length);
        break;
    case ANSWER_TOOL_NAME:
        buffer_format(
            out, "\"tool_calls\":[{\"index\":%u,\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
            piece->tool_index, piece->tool_id);
        buffer_json_string(out, piece->text, piece->length);
        buffer_text(out, ",\"arguments\":\"\"}}]");
        break;
    case ANSWER_TOOL_ARGUMENTS:
        buffer_format(out, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":", piece->tool_index);
        buffer_json_string(out, piece->text, piece->length);
        buffer_text(out, "}}]");
        break;
    default:
        break;
    }
}

static void clear_logprobs(struct openai_choice *choice)
{
    buffer_clear(&choice->logprobs);
    buffer_clear(&choice->names);
    buffer_clear(&choice->values);
    buffer_clear(&choice->alternatives);
    buffer_clear(&choice->offsets);
}

/* What comes before the first piece: the role, or the prompt when it is echoed. */
static void write_first(struct openai_job *job, struct openai_choice *choice, struct buffer *out)
{
    choice->begun = true;
    if (!job->chat && !choice->echo)
        return;
    start_chunk(job, choice, out);
    if (job->chat) {
        buffer_text(out, ",\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
    } else {
        buffer_text(out, ",\"text\":");
        write_text(out, choice->echo);
    }
    buffer_text(out, ",\"logprobs\":null");
    end_chunk(job, NULL, NULL, out);
}

void openai_write_chunk(struct openai_job *job, struct openai_choice *choice,
                        const struct answer_piece *piece, struct buffer *out)
{
    if (!choice->begun)
        write_first(job, choice, out);
    bool end = piece->kind == ANSWER_END;
    add_logprobs(job, choice, piece);
    start_chunk(job, choice, out);
    if (job->chat) {
        buffer_text(out, ",\"delta\":{");
        write_delta(piece, out);
        buffer_text(out, "}");
    } else {
        buffer_text(out, ",\"text\":");
        buffer_json_string(out, piece->text ? piece->text : "", piece->length);
    }
    write_logprobs(job, choice, false, out);
    end_chunk(job, end ? finish_reason(piece) : NULL, end ? &piece->timings : NULL, out);
    clear_logprobs(choice);
}

void openai_write_last(struct openai_job *job, struct buffer *out)
{
    if (job->include_usage) {
        buffer_text(out, "data: ");
        write_start(job, chunk_object(job), out);
        buffer_text(out, ",\"choices\":[],");
        write_usage(job, out);
        write_timings(&job->choices[0].end.timings, out);
        buffer_text(out, "}\n\n");
    }
    buffer_text(out, "data: [DONE]\n\n");
}

void openai_write_failure(const struct error *error, const struct openai_problem *problem, struct buffer *out)
{
    const char *code = problem->code                    ? problem->code
                       : error->code == ERROR_CANCELLED ? "cancelled"
                                                        : "generation_failed";
    bool theirs = error->code == ERROR_INVALID || error->code == ERROR_UNSUPPORTED;
    int status = problem->status ? problem->status : theirs ? 400 : 503;
    char *text = exchange_problem_text(status, code, problem->param, error->message);
    if (text)
        sse_text(out, NULL, -1, text, strlen(text));
    else
        out->failed = true;
    free(text);
}

/* ---- whole responses ---- */

void openai_collect(struct openai_job *job, struct openai_choice *choice, const struct answer_piece *piece)
{
    struct buffer *calls = &choice->calls;
    add_logprobs(job, choice, piece);
    switch (piece->kind) {
    case ANSWER_TEXT:
        buffer_append(&choice->text, piece->text, piece->length);
        break;
    case ANSWER_REASONING:
        buffer_append(&choice->reasoning, piece->text, piece->length);
        break;
    case ANSWER_TOOL_NAME:
        buffer_format(calls, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
                      choice->n_calls++ ? "," : "", piece->tool_id);
        buffer_json_string(calls, piece->text, piece->length);
        break;
    case ANSWER_TOOL_ARGUMENTS: /* always follows its name */
        buffer_text(calls, ",\"arguments\":");
        buffer_json_string(calls, piece->text, piece->length);
        buffer_text(calls, "}}");
        break;
    default:
        break;
    }
}

static void write_message(const struct openai_choice *choice, struct buffer *out)
{
    buffer_text(out, ",\"message\":{\"role\":\"assistant\",\"content\":");
    if (choice->text.length || !choice->n_calls)
        buffer_json_string(out, choice->text.data ? choice->text.data : "", choice->text.length);
    else
        buffer_text(out, "null");
    buffer_text(out, ",\"refusal\":null");
    if (choice->reasoning.length) {
        buffer_text(out, ",\"reasoning_content\":");
        buffer_json_string(out, choice->reasoning.data, choice->reasoning.length);
    }
    if (choice->n_calls)
        append_list(out, ",\"tool_calls\":[", &choice->calls);
    buffer_text(out, "}");
}

static void write_choice(const struct openai_job *job, struct openai_choice *choice, struct buffer *out)
{
    buffer_format(out, "%s{\"index\":%u", choice->index ? "," : "", choice->index);
    if (job->chat) {
        write_message(choice, out);
    } else {
        struct buffer whole = {0};
        buffer_text(&whole, choice->echo ? choice->echo : "");
        buffer_append(&whole, choice->text.data, choice->text.length);
        buffer_text(out, ",\"text\":");
        buffer_json_string(out, whole.data ? whole.data : "", whole.length);
        out->failed = out->failed || whole.failed;
        buffer_free(&whole);
    }
    write_logprobs(job, choice, true, out);
    buffer_text(out, ",\"finish_reason\":");
    write_text(out, finish_reason(&choice->end));
    buffer_text(out, "}");
    if (choice->text.failed || choice->reasoning.failed)
        out->failed = true;
}

void openai_write_body(struct openai_job *job, struct buffer *out)
{
    write_start(job, job->chat ? "chat.completion" : "text_completion", out);
    buffer_text(out, ",\"choices\":[");
    for (uint32_t i = 0; i < job->n_choices; i++)
        write_choice(job, &job->choices[i], out);
    buffer_text(out, "],");
    write_usage(job, out);
    write_timings(&job->choices[0].end.timings, out);
    buffer_text(out, "}");
}
