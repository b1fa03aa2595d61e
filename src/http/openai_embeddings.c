/* POST /v1/embeddings: service/embedding.h does it, this reads and writes OpenAI's form. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "http/fields.h"
#include "http/openai.h"
#include "service/embedding.h"

enum { NAME_BYTES = 255, FORMAT_BYTES = 16, MAX_DIMENSIONS = 1 << 17 };

struct embedding_wish {
    const char *model, *format;
    int64_t dimensions; /* 0: all */
    struct openai_inputs inputs;
};

static bool read_wish(struct http_exchange *exchange, const json_t *body, struct embedding_wish *wish)
{
    static const char *const known[] = {"model", "input", "encoding_format", "dimensions", "user"};
    const char *user = NULL;
    wish->format = "float";
    if (!http_fields_known(exchange, body, known, sizeof known / sizeof *known) ||
        !http_field_string(exchange, body, "model", NAME_BYTES, &wish->model) ||
        !http_field_string(exchange, body, "user", NAME_BYTES, &user) ||
        !http_field_string(exchange, body, "encoding_format", FORMAT_BYTES, &wish->format) ||
        !http_field_integer(exchange, body, "dimensions", 1, MAX_DIMENSIONS, &wish->dimensions) ||
        !openai_read_inputs(exchange, body, "input", &wish->inputs))
        return false;
    if (strcmp(wish->format, "float") != 0 && strcmp(wish->format, "base64") != 0)
        return openai_refuse(exchange, "invalid_value", "encoding_format",
                             "'encoding_format' is float or base64, not %s", wish->format);
    return true;
}

/* ---- the answer ---- */

static void put_base64(struct buffer *out, const unsigned char *bytes, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (i + 2 < n ? (unsigned)bytes[i + 2] : 0);
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63],
                        i + 1 < n ? letters[group >> 6 & 63] : '=', i + 2 < n ? letters[group & 63] : '='};
        buffer_append(out, four, sizeof four);
    }
}

static void put_vector(struct buffer *out, const float *vector, uint32_t n, bool base64)
{
    buffer_text(out, base64 ? "\"" : "[");
    if (base64)
        put_base64(out, (const unsigned char *)vector, n * sizeof *vector);
    for (uint32_t i = 0; i < n && !base64; i++) {
        buffer_text(out, i ? "," : "");
        buffer_json_float(out, vector[i]);
    }
    buffer_text(out, base64 ? "\"" : "]");
}

static void reply(struct http_exchange *exchange, const struct embedding_wish *wish,
                  const struct embedding_job *job)
{
    struct buffer out = {0};
    bool base64 = strcmp(wish->format, "base64") == 0;
    buffer_text(&out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < wish->inputs.count; i++) {
        buffer_format(&out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        put_vector(&out, job->vectors + i * job->width, job->width, base64);
        buffer_text(&out, "}");
    }
    buffer_text(&out, "],\"model\":");
    buffer_json_string(&out, job->model, strlen(job->model));
    buffer_format(&out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
                  (unsigned long long)job->prompt_tokens, (unsigned long long)job->prompt_tokens);
    if (out.failed)
        http_reply_problem(exchange, 503, "memory", NULL, "not enough memory for these embeddings");
    else
        http_reply_bytes(exchange, 200, "application/json", out.data, out.length);
    buffer_free(&out);
}

static void fail(struct http_exchange *exchange, const struct error *error, bool model_refused)
{
    struct openai_problem problem = openai_judge_failure(NULL, "input", error, model_refused);
    if (problem.status)
        http_reply_problem(exchange, problem.status, problem.code, problem.param, "%s", error->message);
    else
        http_reply_error(exchange, error, problem.param);
}

/* ---- the endpoint ---- */

static void gone(void *context)
{
    embedding_cancel(context);
}

static void run(struct http_exchange *exchange, const struct embedding_wish *wish)
{
    struct embedding_job job;
    struct error error = {0};
    bool model_refused = false;
    size_t n = wish->inputs.count;
    struct embedding_input *inputs = calloc(n, sizeof *inputs);
    for (size_t i = 0; inputs && i < n; i++)
        inputs[i] = (struct embedding_input){wish->inputs.items[i].text, wish->inputs.items[i].tokens,
                                             wish->inputs.items[i].n_tokens};
    struct embedding_options options = {.model = wish->model,
                                        .inputs = inputs,
                                        .n = (uint32_t)n,
                                        .dimensions = (uint32_t)wish->dimensions,
                                        .wait_ms = OPENAI_WAIT_FOR_MODEL_MS};
    embedding_init(&job);
    http_watch(exchange, gone, &job);
    int status = inputs ? embedding_run(&job, http_services(exchange), &options, &model_refused, &error)
                        : error_memory(&error, "embeddings", n * sizeof *inputs);
    http_unwatch(exchange);
    if (status)
        fail(exchange, &error, model_refused);
    else
        reply(exchange, wish, &job);
    embedding_free(&job);
    free(inputs);
}

void openai_post_embeddings(struct http_exchange *exchange)
{
    struct embedding_wish wish = {0};
    json_t *body = http_json_object(exchange, 0);
    if (body && read_wish(exchange, body, &wish))
        run(exchange, &wish);
    openai_inputs_free(&wish.inputs);
    json_decref(body);
}
