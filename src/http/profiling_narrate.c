/* The loaded model puts the analysis of a run into words; profile/narrate.h says which of them are kept. */
#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/profiling.h"
#include "platform/clock.h"
#include "profile/narrate.h"
#include "service/answer.h"
#include "service/host.h"

enum { WAIT_MS = 30000, POLL_MS = 500, NAME_BYTES = 1024, PATH_BYTES = 4096, MOST_BYTES = 16384 };

/* What the built-in model is called; it was taught a form of its own. */
static const char BUILTIN[] = "builtin";

static void cancel(void *context)
{
    answer_cancel(context);
}

/* Everything the model says, up to MOST_BYTES. 0, or how it failed. */
static int collect(struct answer *answer, struct buffer *text, struct error *error)
{
    struct answer_piece piece;
    int state;
    while ((state = answer_next(answer, &piece, POLL_MS)) >= 0) {
        if (state && piece.kind == ANSWER_TEXT && text->length + piece.length < MOST_BYTES)
            buffer_append(text, piece.text, piece.length);
        if (state && piece.kind == ANSWER_END && piece.finish == FINISH_ERROR) {
            *error = piece.error;
            return piece.error.code;
        }
        if (state && piece.kind == ANSWER_END && piece.finish == FINISH_CANCELLED)
            return error_set(error, ERROR_CANCELLED, "the summary was cut off: the model is being unloaded");
    }
    return 0;
}

static int say(struct http_exchange *exchange, const char *model, const char *messages, struct buffer *text,
               struct error *error)
{
    struct answer *answer = NULL;
    struct answer_options options = {
        .model = model,
        .submit = {.messages_json = messages,
                   .add_generation_prompt = true,
                   .template_json = "{\"enable_thinking\": false}",
                   .max_tokens = NARRATE_TOKENS},
        .given = ANSWER_TEMPERATURE, /* 0: what is most likely */
        .parse_reasoning = true,
        .wait_ms = WAIT_MS,
    };
    int status = answer_open(http_services(exchange), &options, &answer, error);
    if (status)
        return status;
    http_watch(exchange, cancel, answer);
    status = collect(answer, text, error);
    http_unwatch(exchange);
    answer_close(answer);
    return status;
}

static json_t *reply(const json_t *report, const char *model, const char *figures, const char *text,
                     uint64_t start_ns)
{
    json_t *body = narrate_check(report, figures, text);
    if (body &&
        (json_object_set_new(body, "model", json_string(model)) ||
         json_object_set_new(body, "figures", json_string(figures)) ||
         json_object_set_new(body, "took_ms", json_real((double)(clock_now_ns() - start_ns) / 1e6)))) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static void narrate(struct http_exchange *exchange, const json_t *body, const json_t *row)
{
    static const char *const known[] = {"model"};
    const json_t *report = json_object_get(row, "report");
    char name[NAME_BYTES], path[PATH_BYTES];
    const char *wish = NULL;
    struct error error = {0};
    struct buffer text = {0};
    uint64_t start_ns = clock_now_ns();
    if (!http_fields_known(exchange, body, known, 1) ||
        !http_field_string(exchange, body, "model", sizeof name - 1, &wish))
        return;
    int status = host_find(http_services(exchange)->host, wish, name, sizeof name, path, sizeof path, &error);
    bool short_form = !status && strcmp(name, BUILTIN) == 0;
    char *figures = status ? NULL : narrate_figures(report, short_form, &error);
    char *messages = figures ? narrate_messages(figures, short_form) : NULL;
    if (!status && !figures)
        status = error.code;
    else if (!status && !messages)
        status = error_memory(&error, "the question", 0);
    buffer_append(&text, "", 0);
    if (!status)
        status = say(exchange, name, messages, &text, &error);
    if (!status && text.failed)
        status = error_memory(&error, "what the model says", MOST_BYTES);
    if (status)
        http_reply_error(exchange, &error, status == ERROR_NOT_FOUND ? "model" : NULL);
    else
        http_reply_json(exchange, 200, reply(report, name, figures, text.data, start_ns));
    buffer_free(&text);
    free(messages);
    free(figures);
}

void profiling_post_narrate(struct http_exchange *exchange)
{
    profiling_with_run(exchange, narrate);
}
