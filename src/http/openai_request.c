/* The fields that chat completions and completions share. Numbers are bounded here, by OpenAI's bounds where
 * it has any; what only the model can know (its vocabulary, its context) the engine checks.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/openai.h"
#include "service/catalog.h"

static const char *const common_names[] = {
    /* these do something */
    "model", "n", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k", "min_p",
    "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "stop", "logit_bias", "logprobs",
    "cache_prompt", "ignore_eos",
    /* these are the client's own business and change no text */
    "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    /* these are taken where they ask for what happens anyway */
    "store", "service_tier"};
enum { N_COMMON = sizeof common_names / sizeof *common_names, MAX_NAMES = 64 };

bool openai_fields_known(struct http_exchange *exchange, const json_t *body, const char *const *names,
                         size_t n_names)
{
    const char *all[MAX_NAMES];
    size_t n = 0;
    for (size_t i = 0; i < N_COMMON; i++)
        all[n++] = common_names[i];
    for (size_t i = 0; i < n_names && n < MAX_NAMES; i++)
        all[n++] = names[i];
    return http_fields_known(exchange, body, all, n);
}

bool openai_refuse(struct http_exchange *exchange, const char *code, const char *param, const char *format,
                   ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    http_reply_problem(exchange, 400, code, param, "%s", message);
    return false;
}

bool openai_dump(struct http_exchange *exchange, const json_t *value, char **out)
{
    *out = value ? json_dumps(value, JSON_COMPACT) : NULL;
    if (!*out)
        http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this request");
    return *out != NULL;
}

void openai_wish_free(struct openai_wish *wish)
{
    free(wish->bias);
    free(wish->messages_json);
    free(wish->tools_json);
    free(wish->template_json);
    free(wish->grammar);
    *wish = (struct openai_wish){0};
}

/* ---- sampling ---- */

static bool read_sampling(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    struct engine_sampling *sampling = &wish->options.submit.sampling;
    const struct {
        const char *name;
        double min, max;
        unsigned given;
        float *out;
    } numbers[] = {
        {"temperature", 0, 2, ANSWER_TEMPERATURE, &sampling->temperature},
        {"top_p", 0, 1, ANSWER_TOP_P, &sampling->top_p},
        {"min_p", 0, 1, ANSWER_MIN_P, &sampling->min_p},
        {"repetition_penalty", 0.01, 10, ANSWER_REPETITION, &sampling->repetition_penalty},
        {"presence_penalty", -2, 2, ANSWER_PRESENCE, &sampling->presence_penalty},
        {"frequency_penalty", -2, 2, ANSWER_FREQUENCY, &sampling->frequency_penalty},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value = 0;
        if (!http_field_number(exchange, body, numbers[i].name, numbers[i].min, numbers[i].max, &value))
            return false;
        if (http_field_given(body, numbers[i].name)) {
            *numbers[i].out = (float)value;
            wish->options.given |= numbers[i].given;
        }
    }
    int64_t top_k = 0, seed = 0;
    if (!http_field_integer(exchange, body, "top_k", 0, INT32_MAX, &top_k) ||
        !http_field_integer(exchange, body, "seed", INT64_MIN, INT64_MAX, &seed))
        return false;
    sampling->top_k = (uint32_t)top_k;
    sampling->seed = (uint64_t)seed;
    wish->options.given |= http_field_given(body, "top_k") ? ANSWER_TOP_K : 0;
    wish->options.given |= http_field_given(body, "seed") ? ANSWER_SEED : 0;
    return true;
}

/* {"50256": -100}: token ids as keys. */
static bool read_logit_bias(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    json_t *map = NULL;
    if (!http_field_object(exchange, body, "logit_bias", &map))
        return false;
    size_t n = json_object_size(map);
    if (!n)
        return true;
    if (n > OPENAI_MAX_LOGIT_BIAS)
        return openai_refuse(exchange, "out_of_range", "logit_bias",
                             "'logit_bias' has %zu entries, at most %d", n, OPENAI_MAX_LOGIT_BIAS);
    wish->bias = calloc(n, sizeof *wish->bias);
    if (!wish->bias) {
        http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this request");
        return false;
    }
    const char *key;
    json_t *value;
    uint32_t count = 0;
    json_object_foreach(map, key, value) {
        size_t digits = strspn(key, "0123456789");
        if (!digits || digits > 9 || key[digits])
            return openai_refuse(exchange, "invalid_type", "logit_bias",
                                 "'logit_bias': the key \"%.40s\" is not a token id", key);
        double bias = json_number_value(value);
        if (!json_is_number(value) || !(bias >= -100 && bias <= 100))
            return openai_refuse(exchange, "out_of_range", "logit_bias",
                                 "'logit_bias': the bias of token %s must be a number from -100 to 100", key);
        wish->bias[count++] =
            (struct engine_logit_bias){.token = (int32_t)strtol(key, NULL, 10), .bias = (float)bias};
    }
    wish->options.submit.sampling.logit_bias = wish->bias;
    wish->options.submit.sampling.n_logit_bias = count;
    return true;
}

/* ---- the rest ---- */

static bool take_stop(struct http_exchange *exchange, const json_t *value, struct openai_wish *wish)
{
    struct engine_submit *submit = &wish->options.submit;
    const char *text = json_string_value(value);
    if (!text)
        return openai_refuse(exchange, "invalid_type", "stop",
                             "'stop' must be a string or an array of strings");
    size_t length = json_string_length(value);
    if (!length || length > ENGINE_MAX_STOP_BYTES || strlen(text) != length)
        return openai_refuse(exchange, "out_of_range", "stop",
                             "'stop': a stop sequence must have 1 to %d bytes, and no zero byte",
                             ENGINE_MAX_STOP_BYTES);
    wish->stops[submit->n_stops++] = text;
    submit->stops = wish->stops;
    return true;
}

static bool read_stops(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    const json_t *stop = json_object_get(body, "stop");
    if (!http_field_given(body, "stop"))
        return true;
    if (!json_is_array(stop))
        return take_stop(exchange, stop, wish);
    if (json_array_size(stop) > ENGINE_MAX_STOPS)
        return openai_refuse(exchange, "out_of_range", "stop", "'stop' has %zu sequences, at most %d",
                             json_array_size(stop), ENGINE_MAX_STOPS);
    size_t i;
    const json_t *value;
    json_array_foreach(stop, i, value) {
        if (!take_stop(exchange, value, wish))
            return false;
    }
    return true;
}

static bool read_stream(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    /* continuous_usage_stats is vLLM's: load tests that count tokens want it */
    static const char *const names[] = {"include_usage", "include_obfuscation", "continuous_usage_stats"};
    json_t *options = NULL;
    bool obfuscation = false;
    if (!http_field_boolean(exchange, body, "stream", &wish->stream) ||
        !http_field_object(exchange, body, "stream_options", &options))
        return false;
    if (!options)
        return true;
    if (!wish->stream)
        return openai_refuse(exchange, "invalid_value", "stream_options",
                             "'stream_options' needs 'stream' to be true");
    if (!http_fields_known(exchange, options, names, sizeof names / sizeof *names) ||
        !http_field_boolean(exchange, options, "continuous_usage_stats", &wish->usage_in_chunks) ||
        !http_field_boolean(exchange, options, "include_usage", &wish->include_usage) ||
        !http_field_boolean(exchange, options, "include_obfuscation", &obfuscation))
        return false;
    return !obfuscation || openai_refuse(exchange, "unsupported_value", "stream_options.include_obfuscation",
                                         "obfuscated streams are not supported");
}

static bool read_accepted(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    bool store = false, cache = true;
    const char *tier = "auto", *text = NULL;
    json_t *metadata = NULL;
    if (!http_field_boolean(exchange, body, "store", &store) ||
        !http_field_boolean(exchange, body, "cache_prompt", &cache) ||
        !http_field_string(exchange, body, "service_tier", 64, &tier) ||
        !http_field_string(exchange, body, "user", 1024, &text) ||
        !http_field_string(exchange, body, "safety_identifier", 1024, &text) ||
        !http_field_string(exchange, body, "prompt_cache_key", 1024, &text) ||
        !http_field_string(exchange, body, "prompt_cache_retention", 64, &text) ||
        !http_field_object(exchange, body, "metadata", &metadata))
        return false;
    if (store)
        return openai_refuse(exchange, "unsupported_value", "store", "'store': nothing is stored here");
    if (strcmp(tier, "auto") != 0 && strcmp(tier, "default") != 0)
        return openai_refuse(exchange, "unsupported_value", "service_tier",
                             "'service_tier' can only be \"auto\" or \"default\"");
    wish->options.submit.no_cache = !cache;
    return true;
}

/* A name that could be in the catalogue; what else is written there never reaches a file system. */
static bool read_model(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    if (!http_field_string(exchange, body, "model", 255, &wish->options.model))
        return false;
    if (!wish->options.model || catalog_name_is_safe(wish->options.model))
        return true;
    http_reply_problem(exchange, 404, "model_not_found", "model",
                       "there is no model of this name; GET /v1/models lists them");
    return false;
}

bool openai_read_common(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    int64_t max_tokens = 0;
    wish->n = 1;
    wish->options.wait_ms = OPENAI_WAIT_FOR_MODEL_MS;
    if (!read_model(exchange, body, wish) ||
        !http_field_integer(exchange, body, "n", 1, OPENAI_MAX_N, &wish->n) ||
        !http_field_integer(exchange, body, "max_tokens", 1, INT32_MAX, &max_tokens) ||
        !read_sampling(exchange, body, wish) || !read_logit_bias(exchange, body, wish) ||
        !read_stops(exchange, body, wish) || !read_stream(exchange, body, wish) ||
        !http_field_boolean(exchange, body, "ignore_eos", &wish->options.submit.ignore_eos) ||
        !read_accepted(exchange, body, wish))
        return false;
    wish->options.submit.max_tokens = (uint32_t)max_tokens;
    return true;
}

/* ---- failures ---- */

/* The field that a message of the layers below begins with, or speaks of. */
static const char *blamed_field(const struct openai_wish *wish, const char *prompt, const char *message)
{
    static const struct {
        const char *word, *field;
    } words[] = {{"logit_bias", "logit_bias"},
                 {"top_logprobs", "top_logprobs"},
                 {"tool_choice", "tool_choice"},
                 {"tools", "tools"},
                 {"stop", "stop"},
                 {"max_tokens", "max_tokens"}};
    if (!wish)
        return prompt;
    bool format = wish->options.submit.grammar_kind != ENGINE_GRAMMAR_NONE;
    if (strstr(message, "schema") || strstr(message, "grammar"))
        return format ? "response_format" : wish->tools_json ? "tools" : NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(message, words[i].word))
            return words[i].field;
    return prompt;
}

struct openai_problem openai_judge_failure(const struct openai_wish *wish, const char *prompt,
                                           const struct error *error, bool model_refused)
{
    bool theirs =
        error->code == ERROR_INVALID || error->code == ERROR_UNSUPPORTED || error->code == ERROR_LIMIT;
    if (error->code == ERROR_NOT_FOUND)
        return (struct openai_problem){404, "model_not_found", "model"};
    if (error->code == ERROR_BUSY)
        return (struct openai_problem){429, model_refused ? "model_busy" : "queue_full", NULL};
    if (model_refused)
        return (struct openai_problem){
            theirs ? 400 : 503, error->code == ERROR_LIMIT ? "model_does_not_fit" : "model_unavailable",
            "model"};
    if (error->code == ERROR_LIMIT && strstr(error->message, "context"))
        return (struct openai_problem){400, "context_length_exceeded", prompt};
    if (error->code == ERROR_LIMIT && strstr(error->message, "'dimensions'"))
        return (struct openai_problem){400, "out_of_range", "dimensions"};
    bool ours = error->code == ERROR_IO || error->code == ERROR_MEMORY;
    return (struct openai_problem){0, NULL, ours ? NULL : blamed_field(wish, prompt, error->message)};
}

/* ---- its life ---- */

struct openai_request *openai_request_open(struct http_exchange *exchange)
{
    struct openai_request *request = calloc(1, sizeof *request);
    if (!request) {
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for this request");
        return NULL;
    }
    request->body = http_json_object(exchange, 0);
    if (request->body)
        return request;
    free(request);
    return NULL;
}

void openai_request_free(struct openai_request *request)
{
    if (!request)
        return;
    if (request->prompts.free)
        request->prompts.free(request->prompts.context);
    openai_wish_free(&request->wish);
    json_decref(request->body);
    free(request);
}
