/* The order of the fields is that of the structs, so that one can be held against the other; a field that is
 * added there is added here, in both directions, and PROTOCOL_VERSION goes up. (tests/unit/
 * test_worker_protocol.c knows the sizes of the structs and fails when somebody forgets.)
 */
#include "worker/protocol.h"

#include <stdlib.h>
#include <string.h>

#include "base/version.h"

static int finish(const struct wire *in, const char *what, struct error *error)
{
    if (!wire_finish(in))
        return error_set(error, ERROR_INVALID, "%s is malformed", what);
    return 0;
}

/* ---- both ---- */

void protocol_put_hello(struct buffer *out)
{
    wire_put_u32(out, PROTOCOL_VERSION);
    wire_put_string(out, version_number());
}

int protocol_check_hello(struct wire *in, struct error *error)
{
    uint32_t protocol = wire_u32(in);
    const char *version = wire_string(in);
    if (!wire_finish(in) || !version)
        return error_set(error, ERROR_INVALID,
                         "the greeting between the program and its worker is malformed");
    if (protocol != PROTOCOL_VERSION || strcmp(version, version_number()) != 0)
        return error_set(error, ERROR_INVALID,
                         "the program's file is version %.40s (protocol %u) and the running one is %s "
                         "(protocol %d): it was replaced; restart it",
                         version, protocol, version_number(), PROTOCOL_VERSION);
    return 0;
}

/* ---- options ---- */

void protocol_put_options(struct buffer *out, const struct engine_options *options)
{
    wire_put_string(out, options->model);
    wire_put_string(out, options->adapter);
    wire_put_string(out, options->prompt_cache);
    wire_put_string(out, options->backend);
    wire_put_string(out, options->isa);
    wire_put_u32(out, options->n_threads);
    wire_put_u32(out, options->context);
    wire_put_u32(out, options->max_sequences);
    wire_put_u32(out, options->prefill_chunk);
    wire_put_u32(out, options->kv_bits);
    wire_put_u32(out, options->prompt_lookup);
    wire_put_u8(out, options->precise);
    wire_put_u32(out, options->queue_limit);
    wire_put_u8(out, options->no_prefix_sharing);
    wire_put_u64(out, options->reclaimable_bytes);
}

int protocol_get_options(struct wire *in, struct engine_options *options, struct error *error)
{
    *options = (struct engine_options){0};
    options->model = wire_string(in);
    options->adapter = wire_string(in);
    options->prompt_cache = wire_string(in);
    options->backend = wire_string(in);
    options->isa = wire_string(in);
    options->n_threads = wire_u32(in);
    options->context = wire_u32(in);
    options->max_sequences = wire_u32(in);
    options->prefill_chunk = wire_u32(in);
    options->kv_bits = wire_u32(in);
    options->prompt_lookup = wire_u32(in);
    options->precise = wire_bool(in);
    options->queue_limit = wire_u32(in);
    options->no_prefix_sharing = wire_bool(in);
    options->reclaimable_bytes = wire_u64(in);
    return finish(in, "the options of an engine", error);
}

/* ---- submit ---- */

static void put_sampling(struct buffer *out, const struct engine_sampling *sampling)
{
    wire_put_f32(out, sampling->temperature);
    wire_put_u32(out, sampling->top_k);
    wire_put_f32(out, sampling->top_p);
    wire_put_f32(out, sampling->min_p);
    wire_put_f32(out, sampling->repetition_penalty);
    wire_put_f32(out, sampling->presence_penalty);
    wire_put_f32(out, sampling->frequency_penalty);
    wire_put_u64(out, sampling->seed);
    uint32_t n = sampling->logit_bias ? sampling->n_logit_bias : 0;
    wire_put_u32(out, n);
    for (uint32_t i = 0; i < n; i++) {
        wire_put_u32(out, (uint32_t)sampling->logit_bias[i].token);
        wire_put_f32(out, sampling->logit_bias[i].bias);
    }
}

static int get_sampling(struct wire *in, struct engine_sampling *sampling, struct arena *arena,
                        struct error *error)
{
    sampling->temperature = wire_f32(in);
    sampling->top_k = wire_u32(in);
    sampling->top_p = wire_f32(in);
    sampling->min_p = wire_f32(in);
    sampling->repetition_penalty = wire_f32(in);
    sampling->presence_penalty = wire_f32(in);
    sampling->frequency_penalty = wire_f32(in);
    sampling->seed = wire_u64(in);
    sampling->logit_bias = NULL;
    sampling->n_logit_bias = wire_count(in, 8);
    if (!sampling->n_logit_bias)
        return 0;
    struct engine_logit_bias *bias = arena_alloc(arena, sampling->n_logit_bias, sizeof *bias);
    if (!bias)
        return error_memory(error, "logit_bias", (uint64_t)sampling->n_logit_bias * sizeof *bias);
    for (uint32_t i = 0; i < sampling->n_logit_bias; i++) {
        bias[i].token = (int32_t)wire_u32(in);
        bias[i].bias = wire_f32(in);
    }
    sampling->logit_bias = bias;
    return 0;
}

static void put_stops(struct buffer *out, const struct engine_submit *submit)
{
    /* the count as it is given: stops missing with a count is for the engine to refuse */
    wire_put_u32(out, submit->n_stops);
    wire_put_u32(out, submit->stops ? submit->n_stops : 0);
    for (uint32_t i = 0; submit->stops && i < submit->n_stops; i++)
        wire_put_string(out, submit->stops[i]);
}

static int get_stops(struct wire *in, struct engine_submit *submit, struct arena *arena, struct error *error)
{
    submit->n_stops = wire_u32(in);
    uint32_t n = wire_count(in, 4);
    if (!n)
        return 0;
    const char **stops = arena_alloc(arena, n, sizeof *stops);
    if (!stops)
        return error_memory(error, "stop strings", (uint64_t)n * sizeof *stops);
    for (uint32_t i = 0; i < n; i++)
        stops[i] = wire_string(in);
    submit->stops = stops;
    if (submit->n_stops != n)
        in->failed = true;
    return 0;
}

void protocol_put_submit(struct buffer *out, const struct engine_submit *submit)
{
    wire_put_u8(out, submit->tokens != NULL);
    wire_put_u32(out, submit->tokens ? submit->n_tokens : 0);
    for (uint32_t i = 0; submit->tokens && i < submit->n_tokens; i++)
        wire_put_u32(out, (uint32_t)submit->tokens[i]);
    wire_put_string(out, submit->text);
    wire_put_string(out, submit->messages_json);
    wire_put_string(out, submit->tools_json);
    wire_put_string(out, submit->template_json);
    wire_put_u8(out, submit->add_generation_prompt);
    wire_put_u32(out, submit->max_tokens);
    wire_put_u8(out, submit->ignore_eos);
    wire_put_u8(out, submit->show_special);
    put_stops(out, submit);
    put_sampling(out, &submit->sampling);
    wire_put_u8(out, submit->logprobs);
    wire_put_u32(out, submit->top_logprobs);
    wire_put_u32(out, (uint32_t)submit->grammar_kind);
    wire_put_string(out, submit->grammar);
    wire_put_u8(out, submit->embedding);
    wire_put_u8(out, submit->no_cache);
    wire_put_u8(out, submit->prompt_only);
}

static int get_tokens(struct wire *in, struct engine_submit *submit, struct arena *arena, struct error *error)
{
    bool given = wire_bool(in);
    submit->n_tokens = wire_count(in, 4);
    if (!given)
        return 0;
    /* one more: an empty prompt is a prompt too, and its pointer says so */
    int32_t *tokens = arena_alloc(arena, (size_t)submit->n_tokens + 1, sizeof *tokens);
    if (!tokens)
        return error_memory(error, "a prompt", (uint64_t)submit->n_tokens * sizeof *tokens);
    for (uint32_t i = 0; i < submit->n_tokens; i++)
        tokens[i] = (int32_t)wire_u32(in);
    submit->tokens = tokens;
    return 0;
}

int protocol_get_submit(struct wire *in, struct engine_submit *submit, struct arena *arena,
                        struct error *error)
{
    *submit = (struct engine_submit){0};
    int status = get_tokens(in, submit, arena, error);
    if (status)
        return status;
    submit->text = wire_string(in);
    submit->messages_json = wire_string(in);
    submit->tools_json = wire_string(in);
    submit->template_json = wire_string(in);
    submit->add_generation_prompt = wire_bool(in);
    submit->max_tokens = wire_u32(in);
    submit->ignore_eos = wire_bool(in);
    submit->show_special = wire_bool(in);
    if ((status = get_stops(in, submit, arena, error)) != 0 ||
        (status = get_sampling(in, &submit->sampling, arena, error)) != 0)
        return status;
    submit->logprobs = wire_bool(in);
    submit->top_logprobs = wire_u32(in);
    uint32_t kind = wire_u32(in);
    if (kind > ENGINE_GRAMMAR_LARK)
        in->failed = true;
    submit->grammar_kind = in->failed ? ENGINE_GRAMMAR_NONE : (enum engine_grammar_kind)kind;
    submit->grammar = wire_string(in);
    submit->embedding = wire_bool(in);
    submit->no_cache = wire_bool(in);
    submit->prompt_only = wire_bool(in);
    return finish(in, "a request to the worker", error);
}

/* ---- answers ---- */

void protocol_put_result(struct buffer *out, int status, const struct error *error)
{
    wire_put_u32(out, (uint32_t)status);
    if (status)
        wire_put_string(out, error->message);
}

/* An error code of ours, or ERROR_INTERNAL for a number that is none. */
static int known_code(uint32_t number)
{
    int code = (int)(int32_t)number;
    return code <= ERROR_INVALID && code >= ERROR_INTERNAL ? code : ERROR_INTERNAL;
}

int protocol_get_result(struct wire *in, struct error *error)
{
    uint32_t code = wire_u32(in);
    if (!in->failed && code == 0)
        return 0;
    const char *message = wire_string(in);
    if (!wire_finish(in) || !message)
        return error_set(error, ERROR_INVALID, "a reply of the worker is malformed");
    return error_set(error, known_code(code), "%s", message);
}

void protocol_put_info(struct buffer *out, const struct engine_info *info,
                       const struct engine_sampling *sampling)
{
    wire_put_string(out, info->model_name);
    wire_put_string(out, info->model_path);
    wire_put_string(out, info->architecture);
    wire_put_string(out, info->quantization);
    wire_put_string(out, info->adapter);
    wire_put_string(out, info->backend);
    wire_put_string(out, info->isa);
    wire_put_u32(out, info->n_threads);
    wire_put_u32(out, info->context);
    wire_put_u32(out, info->vocab);
    wire_put_u32(out, info->max_sequences);
    wire_put_u32(out, info->prefill_chunk);
    wire_put_u32(out, info->kv_bits);
    wire_put_u32(out, info->prompt_lookup);
    wire_put_u32(out, info->hidden);
    wire_put_u8(out, info->precise);
    wire_put_u8(out, info->has_chat_template);
    wire_put_u64(out, info->parameters);
    wire_put_u64(out, info->weight_bytes);
    wire_put_u64(out, info->file_bytes);
    wire_put_f64(out, info->load_ms);
    put_sampling(out, sampling);
}

static const char *kept_string(struct wire *in, struct arena *arena, bool *short_of_memory)
{
    const char *text = wire_string(in);
    const char *copy = text ? arena_strdup(arena, text) : NULL;
    if (text && !copy)
        *short_of_memory = true;
    return copy;
}

int protocol_get_info(struct wire *in, struct engine_info *info, struct engine_sampling *sampling,
                      struct arena *arena, struct error *error)
{
    bool short_of_memory = false;
    *info = (struct engine_info){0};
    info->model_name = kept_string(in, arena, &short_of_memory);
    info->model_path = kept_string(in, arena, &short_of_memory);
    info->architecture = kept_string(in, arena, &short_of_memory);
    info->quantization = kept_string(in, arena, &short_of_memory);
    info->adapter = kept_string(in, arena, &short_of_memory);
    info->backend = kept_string(in, arena, &short_of_memory);
    info->isa = kept_string(in, arena, &short_of_memory);
    info->n_threads = wire_u32(in);
    info->context = wire_u32(in);
    info->vocab = wire_u32(in);
    info->max_sequences = wire_u32(in);
    info->prefill_chunk = wire_u32(in);
    info->kv_bits = wire_u32(in);
    info->prompt_lookup = wire_u32(in);
    info->hidden = wire_u32(in);
    info->precise = wire_bool(in);
    info->has_chat_template = wire_bool(in);
    info->parameters = wire_u64(in);
    info->weight_bytes = wire_u64(in);
    info->file_bytes = wire_u64(in);
    info->load_ms = wire_f64(in);
    int status = get_sampling(in, sampling, arena, error);
    if (status)
        return status;
    if (short_of_memory)
        return error_memory(error, "the description of a model", in->length);
    return finish(in, "the worker's description of the model", error);
}

void protocol_put_trace(struct buffer *out, const struct engine_trace *trace)
{
    wire_put_u64(out, trace->traced_step_ns);
    wire_put_u64(out, trace->plain_step_ns);
    wire_put_u32(out, trace->n_segments);
    for (uint32_t i = 0; i < trace->n_segments; i++) {
        const struct engine_trace_segment *segment = &trace->segments[i];
        wire_put_string(out, segment->name ? segment->name : "");
        wire_put_u32(out, segment->first_op);
        wire_put_u32(out, segment->n_ops);
        wire_put_u64(out, segment->ns);
    }
}

int protocol_get_trace(struct wire *in, struct engine_trace *trace, struct error *error)
{
    *trace = (struct engine_trace){0};
    trace->traced_step_ns = wire_u64(in);
    trace->plain_step_ns = wire_u64(in);
    uint32_t n = wire_count(in, 21); /* an empty name: 5 bytes */
    if (n > PROTOCOL_MAX_SEGMENTS)
        in->failed = true;
    trace->segments = calloc((size_t)n + 1, sizeof *trace->segments);
    if (!trace->segments)
        return error_memory(error, "a trace", (uint64_t)n * sizeof *trace->segments);
    for (uint32_t i = 0; i < n && !in->failed; i++) {
        struct engine_trace_segment *segment = &trace->segments[i];
        const char *name = wire_string(in);
        segment->name = name ? strdup(name) : NULL;
        if (!segment->name)
            in->failed = true;
        segment->first_op = wire_u32(in);
        segment->n_ops = wire_u32(in);
        segment->ns = wire_u64(in);
        trace->n_segments = i + 1;
    }
    int status = finish(in, "a trace from the worker", error);
    if (status)
        engine_trace_free(trace);
    return status;
}
