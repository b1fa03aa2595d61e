/* POST /api/chats/{id}/messages: one turn (service/turn.h) as a response.
 *
 * As a stream: `message` (the user's, as it was saved), `progress` while the prompt is read, `delta` for
 * every piece, and at the end `done`, or `error` with the same members beside "error". An answer with an HTTP
 * error status changed nothing; once the stream has begun, what was said and what was generated are kept. */
#include <stdatomic.h>
#include <stdlib.h>

#include "http/chats.h"
#include "http/fields.h"
#include "http/sse.h"
#include "service/live.h"
#include "service/turn.h"
#include "store/chats.h"

enum { PATIENCE_MS = 1000, MAX_MAX_TOKENS = 1 << 20 };

struct reply {
    struct turn *turn;
    struct live *live;
    atomic_bool gone;
    bool begun;
};

/* ---- the body ---- */

static bool read_sampling(struct http_exchange *exchange, const json_t *body, struct turn_options *out)
{
    double temperature = 0, top_p = 1;
    int64_t seed = 0, max_tokens = 0;
    if (!http_field_number(exchange, body, "temperature", 0, 2, &temperature) ||
        !http_field_number(exchange, body, "top_p", 0, 1, &top_p) ||
        !http_field_integer(exchange, body, "seed", INT64_MIN, INT64_MAX, &seed) ||
        !http_field_integer(exchange, body, "max_tokens", 1, MAX_MAX_TOKENS, &max_tokens))
        return false;
    out->sampling.temperature = (float)temperature;
    out->sampling.top_p = (float)top_p;
    out->sampling.seed = (uint64_t)seed;
    out->max_tokens = (uint32_t)max_tokens;
    out->given = (http_field_given(body, "temperature") ? ANSWER_TEMPERATURE : 0u) |
                 (http_field_given(body, "top_p") ? ANSWER_TOP_P : 0u) |
                 (http_field_given(body, "seed") ? ANSWER_SEED : 0u);
    return true;
}

static bool read_body(struct http_exchange *exchange, const json_t *body, struct turn_options *out,
                      bool *stream)
{
    static const char *const names[] = {"content",     "model", "regenerate", "stream",
                                        "temperature", "top_p", "seed",       "max_tokens"};
    bool regenerate = false;
    if (!http_fields_known(exchange, body, names, sizeof names / sizeof *names) ||
        !http_field_boolean(exchange, body, "regenerate", &regenerate) ||
        !http_field_boolean(exchange, body, "stream", stream) ||
        !http_field_string(exchange, body, "content", STORE_MESSAGE_BYTES, &out->content) ||
        !http_field_string(exchange, body, "model", STORE_TITLE_BYTES, &out->model) ||
        !read_sampling(exchange, body, out))
        return false;
    if (regenerate && out->content) {
        http_reply_problem(exchange, 400, "invalid", "content",
                           "'content' and 'regenerate' exclude each other: one says something new, the other "
                           "answers the last message again");
        return false;
    }
    if (!regenerate && (!http_field_required(exchange, body, "content")))
        return false;
    if (out->content && !*out->content) {
        http_reply_problem(exchange, 400, "invalid", "content", "'content' is empty: say something");
        return false;
    }
    if (out->model && !*out->model)
        out->model = NULL;
    return true;
}

/* ---- the events ---- */

static void write_piece(const struct answer_piece *piece, struct buffer *out)
{
    if (piece->kind == ANSWER_PROGRESS)
        sse_json(out, "progress", -1,
                 json_pack("{s:I, s:I}", "prompt_done", (json_int_t)piece->prompt_done, "prompt_tokens",
                           (json_int_t)piece->prompt_tokens));
    else if (piece->kind == ANSWER_TEXT && piece->length > 0)
        sse_json(out, "delta", -1, json_pack("{s:s%}", "content", piece->text, piece->length));
    else if (piece->kind == ANSWER_REASONING && piece->length > 0)
        sse_json(out, "delta", -1, json_pack("{s:s%}", "reasoning", piece->text, piece->length));
}

/* How the turn ended, a new reference or NULL; *status is turn_finish's. */
static json_t *finish(struct reply *reply, int *status)
{
    struct error error = {0};
    json_t *result;
    *status = turn_finish(reply->turn, &result, &error);
    if (result && *status)
        json_object_set_new(result, "error",
                            json_pack("{s:s, s:s, s:s, s:n}", "message", error.message, "type",
                                      "server_error", "code", "answer_failed", "param"));
    return result;
}

static int reply_next(void *context, struct buffer *out, int wait_ms)
{
    struct reply *reply = context;
    struct answer_piece piece;
    const json_t *user = turn_user_message(reply->turn);
    if (!reply->begun && user) {
        sse_json(out, "message", -1, json_pack("{s:O}", "message", user));
        wait_ms = 0; /* it is known at once */
    }
    reply->begun = true;
    while (turn_next(reply->turn, &piece, wait_ms) == 1) {
        if (piece.kind == ANSWER_END) {
            int status;
            json_t *result = finish(reply, &status);
            sse_json(out, status ? "error" : "done", -1, result);
            return 0;
        }
        write_piece(&piece, out);
        wait_ms = 0; /* what is there already goes along */
    }
    return 1;
}

static void reply_gone(void *context)
{
    struct reply *reply = context;
    atomic_store(&reply->gone, true);
    turn_cancel(reply->turn);
}

static void reply_close(void *context)
{
    struct reply *reply = context;
    if (atomic_load(&reply->gone))
        live_count_disconnect(reply->live);
    turn_close(reply->turn);
    free(reply);
}

/* ---- the whole answer at once ---- */

static void reply_whole(struct http_exchange *exchange, struct reply *reply)
{
    struct answer_piece piece = {.kind = ANSWER_PROGRESS};
    http_watch(exchange, reply_gone, reply);
    while (piece.kind != ANSWER_END && turn_next(reply->turn, &piece, PATIENCE_MS) >= 0)
        ;
    http_unwatch(exchange);
    int status;
    json_t *result = finish(reply, &status);
    const json_t *user = turn_user_message(reply->turn);
    if (result)
        json_object_set_new(result, "user_message", user ? json_incref((json_t *)user) : json_null());
    if (status)
        http_set_header(exchange, "Retry-After", "1");
    http_reply_json(exchange, status ? 503 : 200, result);
    reply_close(reply);
}

void chats_post_message(struct http_exchange *exchange)
{
    struct turn_options options = {0};
    struct error error = {0};
    bool stream = true, conflict = false;
    json_t *body = http_json_object(exchange, 0);
    if (!body)
        return;
    struct reply *reply = calloc(1, sizeof *reply);
    if (!reply) {
        http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this request");
        goto out;
    }
    if (!read_body(exchange, body, &options, &stream))
        goto out;
    reply->live = http_services(exchange)->live;
    atomic_init(&reply->gone, false);
    int status = turn_open(http_services(exchange), http_parameter(exchange, "id"), &options, &reply->turn,
                           &conflict, &error);
    if (conflict)
        http_reply_problem(exchange, 409, "chat_busy", NULL, "%s", error.message);
    else if (status)
        http_reply_error(exchange, &error, NULL);
    else if (stream)
        http_reply_stream(
            exchange, &(struct http_source){
                          .next = reply_next, .close = reply_close, .gone = reply_gone, .context = reply});
    else
        reply_whole(exchange, reply);
    if (!status)
        reply = NULL;
out:
    free(reply);
    json_decref(body);
}
