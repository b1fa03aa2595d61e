/* The server as a whole: who it is, which model, what it refuses, how long texts are in its tokens. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "platform/clock.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/prompt.h"
#include "profile/remote_internal.h"

enum {
    LIST_TIMEOUT_MS = 15000,
    ALIVE_TIMEOUT_MS = 5000,
    MAX_LIST = 4 << 20,
    MAX_LIST_VALUES = 500000,
    MAX_MODEL_NAME = 255,
    STALL_MS = 60000,
    BYTES_PER_CHUNK = 8192, /* far more than any server puts around a token */
    SPARE_BYTES = 1 << 20,
    DEFAULT_TIMEOUT_MS = 600000,
    CALIBRATION_SHORT = 256,
    CALIBRATION_LONG = 2048,
    CALIBRATION_TOKENS = 17,
    CALIBRATION_TIMEOUT_MS = 120000
};

/* Fields that not every server knows, in the order in which they are left out when one of them is refused and
 * the server does not say which. */
enum {
    EXTRA_CACHE_PROMPT,
    EXTRA_IGNORE_EOS,
    EXTRA_STREAM_OPTIONS,
    EXTRA_TEMPERATURE,
    EXTRA_MAX_TOKENS,
    EXTRAS
};
static const char *const extra_names[EXTRAS] = {"cache_prompt", "ignore_eos", "stream_options", "temperature",
                                                "max_tokens" /* then max_completion_tokens instead */};

struct remote {
    struct net_client *client;
    const atomic_int *cancel;
    const struct tokenizer *tokenizer;
    char model[MAX_MODEL_NAME + 1], server[128];
    const char *prefix; /* "/v1" where the address has no path */
    uint32_t context;
    atomic_uint refused;                  /* extras, as bits */
    atomic_int counted;                   /* answers counted by: 1 usage, 2 tokenizer */
    double bytes_per_token, extra_tokens; /* of a prompt; set by remote_calibrate, before anything is timed */
};

/* ---- opening ---- */

static int collect(void *context, const char *bytes, size_t length, uint64_t now_ns, struct error *error)
{
    struct buffer *body = context;
    (void)now_ns;
    buffer_append(body, bytes, length);
    return body->failed ? error_memory(error, "a list of models", body->length) : 0;
}

static json_t *parse_list(const struct buffer *body)
{
    struct json_text_size size = json_text_measure(body->data ? body->data : "", body->length);
    if (size.depth > JSON_TEXT_MAX_DEPTH || size.values > MAX_LIST_VALUES || !body->length)
        return NULL;
    return json_loadb(body->data, body->length, 0, NULL);
}

static int take_list(struct remote *remote, const json_t *list, bool named, struct error *error)
{
    const json_t *data = json_get_array(list, "data");
    const json_t *entry = json_get_item(data, 0);
    if (named && json_get_where(list, "data", "id", remote->model))
        entry = json_get_where(list, "data", "id", remote->model);
    else if (!named) {
        const char *id = json_get_string(entry, "id");
        if (!id || !*id || strlen(id) > MAX_MODEL_NAME)
            return error_set(error, ERROR_UNSUPPORTED,
                             "the server at %s names no model in %s/models; name "
                             "one",
                             net_client_url(remote->client)->host, remote->prefix);
        snprintf(remote->model, sizeof remote->model, "%s", id);
    } else
        return 0; /* it may know the model all the same, by another name */
    static const char *const lengths[] = {"max_model_len", "context_length", "context_window",
                                          "meta.n_ctx_train"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && !remote->context; i++)
        remote->context = (uint32_t)json_get_integer(entry, lengths[i], 1, 1 << 30, 0);
    return 0;
}

static int look_around(struct remote *remote, bool named, struct error *error)
{
    char path[16];
    struct buffer body = {0};
    snprintf(path, sizeof path, "%s/models", remote->prefix);
    struct net_exchange exchange = {.path = path,
                                    .max_body = MAX_LIST,
                                    .timeout_ms = LIST_TIMEOUT_MS,
                                    .cancel = remote->cancel,
                                    .on_body = collect,
                                    .context = &body};
    int status = net_client_run(remote->client, &exchange, error);
    json_t *list = NULL;
    if (!status && exchange.problem.code)
        status = error_set(error, exchange.problem.code, "%s", exchange.problem.message);
    else if (!status && exchange.status == 200)
        list = parse_list(&body);
    if (!status && list)
        status = take_list(remote, list, named, error);
    else if (!status && (!named || (exchange.status != 200 && exchange.status != 404))) {
        struct error refusal;
        net_exchange_refusal(&exchange, &refusal);
        status = error_set(error, ERROR_UNSUPPORTED, "no OpenAI-compatible server: its %s: %s", path,
                           exchange.status == 200 ? "list of models is not JSON" : refusal.message);
    }
    memcpy(remote->server, exchange.server, sizeof remote->server);
    json_decref(list);
    buffer_free(&body);
    net_exchange_free(&exchange);
    return status;
}

int remote_open(const struct remote_options *options, struct remote **out, struct error *error)
{
    bool named = options->model && options->model[0];
    *out = NULL;
    if (named && strlen(options->model) > MAX_MODEL_NAME)
        return error_set(error, ERROR_INVALID, "the target's model has a name of more than %d bytes",
                         MAX_MODEL_NAME);
    struct remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return error_memory(error, "a target", sizeof *remote);
    remote->cancel = options->cancel;
    remote->tokenizer = options->tokenizer;
    remote->bytes_per_token = 4; /* of English, about; until it is known better */
    if (named)
        snprintf(remote->model, sizeof remote->model, "%s", options->model);
    int status =
        net_client_open(options->url, options->allow_local, options->api_key, &remote->client, error);
    if (!status) {
        remote->prefix = net_client_url(remote->client)->path[0] ? "" : "/v1";
        status = look_around(remote, named, error);
    }
    if (status) {
        error_prefix(error, "target");
        remote_close(remote);
    } else
        *out = remote;
    return status;
}

int remote_alive(struct remote *remote, struct error *error)
{
    struct buffer body = {0};
    char path[16];
    snprintf(path, sizeof path, "%s/models", remote->prefix);
    struct net_exchange exchange = {.path = path,
                                    .max_body = MAX_LIST,
                                    .timeout_ms = ALIVE_TIMEOUT_MS,
                                    .cancel = remote->cancel,
                                    .on_body = collect,
                                    .context = &body};
    int status = net_client_run(remote->client, &exchange, error);
    if (!status && exchange.status == 0)
        status =
            error_set(error, ERROR_IO, "the target does not answer any more: %s", exchange.problem.message);
    buffer_free(&body);
    net_exchange_free(&exchange);
    return status;
}

void remote_close(struct remote *remote)
{
    if (!remote)
        return;
    net_client_close(remote->client);
    free(remote);
}

const char *remote_model(const struct remote *remote)
{
    return remote->model;
}

uint32_t remote_context(const struct remote *remote)
{
    return remote->context;
}

struct net_client *remote_client(struct remote *remote)
{
    return remote->client;
}

json_t *remote_info(const struct remote *remote)
{
    char url[640];
    json_t *info = json_object();
    net_url_text(net_client_url(remote->client), url, sizeof url);
    json_put_string(info, "url", url, "");
    json_put_string(info, "model", remote->model, "");
    json_put_string(info, "server", remote->server[0] ? remote->server : NULL,
                    "the server does not say what it is");
    int counted = atomic_load(&remote->counted);
    if (counted)
        json_put_string(info, "tokens_counted_by", counted == 1 ? "usage" : "tokenizer", "");
    json_t *refused = json_put_array(info, "refused_fields");
    for (unsigned i = 0; i < EXTRAS; i++)
        if (atomic_load(&remote->refused) & 1u << i)
            json_array_append_new(refused, json_string(extra_names[i]));
    return info;
}

/* ---- the request ---- */

/* A prompt of about so many tokens that begins like no other. */
static char *filled_prompt(const struct remote *remote, uint32_t tokens, uint64_t nonce)
{
    double wanted = ((double)tokens - remote->extra_tokens) * remote->bytes_per_token;
    size_t passage = strlen(scenario_passage);
    struct buffer text = {0};
    buffer_format(&text, "[%08llx] ", (unsigned long long)(nonce * 0x9E3779B97F4A7C15u >> 32));
    size_t start = (size_t)(nonce * 131 % passage);
    while ((double)text.length < wanted && !text.failed) {
        size_t left = (size_t)wanted - text.length + 1, here = passage - start;
        buffer_append(&text, scenario_passage + start, here < left ? here : left);
        start = 0;
    }
    if (text.failed)
        buffer_free(&text);
    return text.data;
}

static json_t *make_body(const struct remote *remote, const struct remote_run *run, const char *prompt,
                         unsigned left_out)
{
    json_t *body = json_pack("{s:s, s:b}", "model", remote->model, "stream", 1);
    bool limit_renamed = left_out & 1u << EXTRA_MAX_TOKENS;
    if (!body)
        return NULL;
    if (run->raw)
        json_object_set_new(body, "prompt", json_string(prompt));
    else
        json_object_set_new(body, "messages", json_pack("[{s:s, s:s}]", "role", "user", "content", prompt));
    json_object_set_new(body, limit_renamed ? "max_completion_tokens" : "max_tokens",
                        json_integer(run->max_tokens));
    if (!(left_out & 1u << EXTRA_TEMPERATURE))
        json_object_set_new(body, "temperature", json_real(isnan(run->temperature) ? 0 : run->temperature));
    if (!(left_out & 1u << EXTRA_STREAM_OPTIONS))
        json_object_set_new(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
    if (!(left_out & 1u << EXTRA_IGNORE_EOS))
        json_object_set_new(body, "ignore_eos", json_true());
    if (!(left_out & 1u << EXTRA_CACHE_PROMPT))
        json_object_set_new(body, "cache_prompt", json_false());
    if (json_object_get(body, run->raw ? "prompt" : "messages"))
        return body;
    json_decref(body);
    return NULL;
}

static int take_event(void *context, const char *data, size_t length, struct error *error)
{
    struct remote_call *call = context;
    uint32_t before = call->chunks.count;
    call->any_event = true;
    int status = remote_chunks_take(&call->chunks, data, length, call->now_ns, error);
    if (call->chunks.count > before) { /* only text is a sign of life: comments can go on for ever */
        call->exchange.news_ns = call->now_ns;
        call->exchange.stall_ms = STALL_MS;
    }
    return status;
}

static int take_body(void *context, const char *bytes, size_t length, uint64_t now_ns, struct error *error)
{
    struct remote_call *call = context;
    call->now_ns = now_ns;
    return remote_events_feed(&call->events, bytes, length, error);
}

int remote_call_prepare(struct remote *remote, const struct remote_run *run, unsigned dropped,
                        struct remote_call *call, struct error *error)
{
    char *prompt = NULL;
    int status = 0;
    if (run->scenario.kind == SCENARIO_PROMPT)
        status = prompt_text(run->prompt, false, run->nonce, &prompt, error);
    else if (!(prompt = filled_prompt(remote, run->scenario.prompt_tokens, run->nonce)))
        status = error_memory(error, "a prompt", 0);
    if (status)
        return status;
    json_t *body = make_body(remote, run, prompt, dropped | atomic_load(&remote->refused));
    call->body = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(body);
    free(prompt);
    if (!call->body)
        return error_set(error, ERROR_INVALID, "the prompt is not valid UTF-8, or memory is short");
    snprintf(call->path, sizeof call->path, "%s%s", remote->prefix,
             run->raw ? "/completions" : "/chat/completions");
    call->chunks.max_tokens = run->max_tokens;
    call->chunks.keep_text = remote->tokenizer != NULL;
    call->events.on_event = take_event;
    call->events.context = call;
    call->exchange =
        (struct net_exchange){.path = call->path,
                              .body = call->body,
                              .max_body = SPARE_BYTES + (size_t)BYTES_PER_CHUNK * run->max_tokens,
                              .timeout_ms = run->timeout_ms ? run->timeout_ms : DEFAULT_TIMEOUT_MS,
                              .cancel = remote->cancel,
                              .on_body = take_body,
                              .context = call};
    return 0;
}

void remote_call_free(struct remote_call *call)
{
    net_exchange_free(&call->exchange);
    remote_events_free(&call->events);
    remote_chunks_free(&call->chunks);
    free(call->body);
    memset(call, 0, sizeof *call);
}

/* ---- the answer ---- */

/* The sample of a call without an answer, or with one that cannot be used. */
static void no_answer(const struct remote_call *call, enum target_outcome outcome, const struct error *why,
                      struct sample *out)
{
    struct target_trace trace = {.outcome = outcome, .error = *why};
    trace.timings.prompt_tokens = call->chunks.prompt_tokens;
    sample_from_trace(&trace, out);
    out->cached_tokens = call->chunks.has_cached ? call->chunks.cached_tokens : REMOTE_CACHED_UNKNOWN;
}

/* What can be said of an answer whose tokens nobody counted, and of how they came. */
static void add_client_view(const struct remote_call *call, const struct target_trace *trace,
                            struct sample *out)
{
    const struct engine_timings *t = &trace->timings;
    if (t->first_token_ns) {
        double ttft_ms = (double)(t->first_token_ns - t->accepted_ns) / 1e6;
        double computed = (double)t->prompt_tokens - t->cached_tokens;
        out->value[METRIC_TTFT_MS] = ttft_ms;
        out->value[METRIC_RESPONSE_MS] = (double)(t->last_token_ns - t->accepted_ns) / 1e6;
        if (computed > 0 && ttft_ms > 0)
            out->value[METRIC_PREFILL_TPS] = computed / ttft_ms * 1000;
    }
    out->cached_tokens = call->chunks.has_cached ? t->cached_tokens : REMOTE_CACHED_UNKNOWN;
    if (out->outcome == OUTCOME_OK && call->count.several)
        snprintf(out->message, sizeof out->message,
                 "%u tokens came in %u pieces, several at a time: the gaps between them were not seen",
                 call->count.tokens, call->chunks.count);
    else if (out->outcome == OUTCOME_OK && call->count.spread)
        snprintf(out->message, sizeof out->message,
                 "%u tokens came in %u pieces: the gaps between tokens are spread over them",
                 call->count.tokens, call->chunks.count);
    else if (out->outcome == OUTCOME_OK && call->count.reason)
        snprintf(out->message, sizeof out->message, "%s", call->count.reason);
}

int remote_call_finish(struct remote *remote, struct remote_call *call, uint64_t start_ns, struct sample *out,
                       struct error *error)
{
    struct net_exchange *exchange = &call->exchange;
    struct error problem = exchange->problem;
    if (!problem.code && exchange->status == 200)
        remote_events_end(&call->events, &problem);
    if (!problem.code && exchange->status != 200)
        net_exchange_refusal(exchange, &problem);
    if (!problem.code && !call->any_event)
        error_set(&problem, ERROR_UNSUPPORTED, "the server did not stream its answer (content type %s)",
                  exchange->content_type[0] ? exchange->content_type : "none");
    if (problem.code) {
        no_answer(call,
                  exchange->timed_out               ? OUTCOME_TIMEOUT
                  : problem.code == ERROR_CANCELLED ? OUTCOME_CANCELLED
                                                    : OUTCOME_ERROR,
                  &problem, out);
        return 0;
    }
    struct target_trace trace = {0};
    int status = remote_chunks_trace(&call->chunks, start_ns, remote->tokenizer, &trace, &call->count, error);
    if (!status) {
        remote_chunks_sample(&trace, &call->count, out);
        add_client_view(call, &trace, out);
        if (call->count.tokens)
            atomic_store(&remote->counted, call->chunks.has_usage ? 1 : 2);
    }
    target_trace_free(&trace);
    return status;
}

/* The next field to leave out after a refusal: the one it speaks of, else the next in order. EXTRAS: none is
 * left. */
static int blame(const struct remote_call *call, unsigned left_out)
{
    const char *said = call->exchange.refusal.data ? call->exchange.refusal.data : "";
    int next = EXTRAS;
    for (int i = EXTRAS - 1; i >= 0; i--)
        if (!(left_out & 1u << i)) {
            if (strstr(said, extra_names[i]))
                return i;
            next = i;
        }
    return strstr(said, "context") ? EXTRAS : next; /* the prompt is too long: that is no field's fault */
}

int remote_do(struct remote *remote, const struct remote_run *run, struct sample *out, struct error *error)
{
    unsigned dropped = 0;
    memset(out, 0, sizeof *out);
    for (;;) {
        struct remote_call call = {0};
        int status = remote_call_prepare(remote, run, dropped, &call, error);
        if (!status)
            status = net_client_run(remote->client, &call.exchange, error);
        long answer = call.exchange.status;
        int extra = !status && (answer == 400 || answer == 422)
                        ? blame(&call, dropped | atomic_load(&remote->refused))
                        : EXTRAS;
        if (!status && extra == EXTRAS)
            status = remote_call_finish(remote, &call, call.exchange.start_ns, out, error);
        remote_call_free(&call);
        if (status || extra == EXTRAS) {
            if (answer == 200) /* it was one of these, then */
                atomic_fetch_or(&remote->refused, dropped);
            return status;
        }
        dropped |= 1u << extra;
    }
}

/* ---- calibration ---- */

static int calibrate_once(struct remote *remote, bool raw, uint32_t tokens, struct sample *out,
                          struct error *error)
{
    struct remote_run run = {.scenario = {.kind = SCENARIO_DECODE, .prompt_tokens = tokens},
                             .max_tokens = CALIBRATION_TOKENS,
                             .temperature = NAN,
                             .timeout_ms = CALIBRATION_TIMEOUT_MS,
                             .raw = raw,
                             .nonce = clock_now_ns()};
    int status = remote_do(remote, &run, out, error);
    if (!status && out->outcome != OUTCOME_OK && out->outcome != OUTCOME_SHORT &&
        out->outcome != OUTCOME_NOT_COLD)
        status = error_set(error, ERROR_IO, "target: %s", out->message);
    return status;
}

int remote_calibrate(struct remote *remote, bool raw, double *prefill_tps, double *decode_tps,
                     struct error *error)
{
    /* exactly so many bytes each, whatever they are in tokens */
    const double sizes[2] = {CALIBRATION_SHORT, CALIBRATION_LONG};
    double tokens[2];
    *prefill_tps = *decode_tps = NAN;
    remote->bytes_per_token = 4;
    remote->extra_tokens = 0;
    for (int i = 0; i < 2; i++) {
        struct sample sample = {0};
        int status = calibrate_once(remote, raw, (uint32_t)sizes[i] / 4, &sample, error);
        if (status) {
            sample_free(&sample);
            return status;
        }
        tokens[i] = sample.prompt_tokens;
        *prefill_tps = sample.value[METRIC_PREFILL_TPS];
        *decode_tps = sample.value[METRIC_DECODE_TPS];
        sample_free(&sample);
    }
    if (tokens[0] > 0 && tokens[1] > tokens[0]) {
        double slope = (sizes[1] - sizes[0]) / (tokens[1] - tokens[0]);
        remote->bytes_per_token = slope < 0.25 ? 0.25 : slope > 32 ? 32 : slope;
        double extra = tokens[0] - sizes[0] / remote->bytes_per_token;
        remote->extra_tokens = extra > 0 ? extra : 0;
    }
    return 0;
}
