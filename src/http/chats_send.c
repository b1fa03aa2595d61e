/* POST /api/chats/{id}/messages: one turn (service/turn.h) as a response.
 *
 * As a stream: `message` (the user's, as it was saved), `progress` while the prompt is read, `delta` for
 * every piece, and at the end `done`, or `error` with the same members beside "error". An answer with an HTTP
 * error status changed nothing; once the message has been sent, what was said and what was generated are
 * kept.
 *
 * While a profiling run has parked the host the turn cannot begin. The stream does: `progress` with the state
 * "waiting_for_profile" comes every other second, and nothing is saved yet. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/chats.h"
#include "http/fields.h"
#include "http/sse.h"
#include "platform/clock.h"
#include "service/chats.h"
#include "service/host.h"
#include "service/live.h"
#include "service/turn.h"
#include "store/chats.h"

enum { PATIENCE_MS = 1000, WAIT_MS = 250, HEARTBEAT_MS = 2000, MAX_MAX_TOKENS = 1 << 20 };
#define NS_PER_MS UINT64_C(1000000)

struct reply {
    struct services *services;
    json_t *body; /* options points into it; NULL once the turn is open */
    struct turn_options options;
    char id[STORE_CHAT_ID + 2]; /* a longer one stays wrong when it is cut */
    struct turn *turn;          /* NULL: not yet */
    atomic_bool gone, open;
    bool begun;
    /* what turn_open failed with */
    struct error failure;
    bool conflict;
    uint64_t start_ns, heartbeat_ns;
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
                 json_pack("{s:s, s:I, s:I}", "state", "reading_prompt", "prompt_done",
                           (json_int_t)piece->prompt_done, "prompt_tokens",
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

/* ---- opening ---- */

/* Opening and a client that leaves meet here: whoever comes second sees what the other has set. */
static void cancel_if_gone(struct reply *reply)
{
    if (atomic_load(&reply->open) && atomic_load(&reply->gone))
        turn_cancel(reply->turn);
}

static void reply_gone(void *context)
{
    struct reply *reply = context;
    atomic_store(&reply->gone, true);
    cancel_if_gone(reply);
}

/* 0, or reply->failure. */
static int reply_open(struct reply *reply)
{
    int status = turn_open(reply->services, reply->id, &reply->options, &reply->turn, &reply->conflict,
                           &reply->failure);
    host_place_free(reply->services->host, reply->options.place);
    json_decref(reply->body);
    reply->options = (struct turn_options){0};
    reply->body = NULL;
    if (status)
        return status;
    atomic_store(&reply->open, true);
    cancel_if_gone(reply);
    return 0;
}

static void reply_close(void *context)
{
    struct reply *reply = context;
    if (atomic_load(&reply->gone) && reply->services->live)
        live_count_disconnect(reply->services->live);
    turn_close(reply->turn);
    host_place_free(reply->services->host, reply->options.place);
    json_decref(reply->body);
    free(reply);
}

/* ---- as a stream ---- */

/* The turn cannot begin yet: 1 while that is so, 0 when it has begun or never will. */
static int stream_wait(struct reply *reply, struct buffer *out, int wait_ms)
{
    uint64_t now = clock_now_ns();
    if (atomic_load(&reply->gone))
        return 0;
    if (!reply->heartbeat_ns) {
        reply->start_ns = now;
        wait_ms = 0; /* the first word at once */
    }
    if (host_place_wait(reply->services->host, reply->options.place, (uint32_t)wait_ms)) {
        reply_open(reply);
        return 0;
    }
    if ((now = clock_now_ns()) < reply->heartbeat_ns)
        return 1;
    reply->heartbeat_ns = now + HEARTBEAT_MS * NS_PER_MS;
    sse_json(out, "progress", -1,
             json_pack("{s:s, s:f}", "state", "waiting_for_profile", "waited_s",
                       (double)(now - reply->start_ns) / 1e9));
    return 1;
}

static json_t *refusal(const struct reply *reply)
{
    return json_pack("{s:n, s:b, s:s, s:{s:s, s:s, s:s, s:n}}", "message", "saved", 0, "saved_reason",
                     "the answer could not begin", "error", "message", reply->failure.message, "type",
                     reply->conflict ? "conflict_error" : "server_error", "code",
                     reply->conflict ? "chat_busy" : "answer_failed", "param");
}

static int reply_next(void *context, struct buffer *out, int wait_ms)
{
    struct reply *reply = context;
    struct answer_piece piece;
    if (!reply->turn) {
        if (stream_wait(reply, out, wait_ms))
            return 1;
        if (!reply->turn) { /* or the client has left */
            if (reply->failure.code)
                sse_json(out, "error", -1, refusal(reply));
            return 0;
        }
    }
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

/* ---- the handler ---- */

static void reply_refusal(struct http_exchange *exchange, const struct reply *reply)
{
    if (reply->conflict)
        http_reply_problem(exchange, 409, "chat_busy", NULL, "%s", reply->failure.message);
    else
        http_reply_error(exchange, &reply->failure, NULL);
}

static void run_stream(struct http_exchange *exchange, struct reply *reply)
{
    struct http_source source = {
        .next = reply_next, .close = reply_close, .gone = reply_gone, .context = reply};
    json_t *chat = NULL;
    int status;
    if (reply->options.place) { /* what can be told at once is: there is no such chat */
        status = chats_get(reply->services->chats, reply->id, &chat, &reply->failure);
        json_decref(chat);
    } else {
        status = reply_open(reply);
    }
    if (!status) {
        http_reply_stream(exchange, &source);
        return;
    }
    reply_refusal(exchange, reply);
    reply_close(reply);
}

static void run_whole(struct http_exchange *exchange, struct reply *reply)
{
    struct answer_piece piece = {.kind = ANSWER_PROGRESS};
    struct host_place *place = reply->options.place;
    http_watch(exchange, reply_gone, reply);
    while (place && !atomic_load(&reply->gone) && !host_place_wait(reply->services->host, place, WAIT_MS))
        ;
    if (atomic_load(&reply->gone))
        error_set(&reply->failure, ERROR_CANCELLED, "the client is gone, or the server is stopping");
    else
        reply_open(reply);
    while (reply->turn && piece.kind != ANSWER_END && turn_next(reply->turn, &piece, PATIENCE_MS) >= 0)
        ;
    http_unwatch(exchange);
    if (!reply->turn) {
        reply_refusal(exchange, reply);
        reply_close(reply);
        return;
    }
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
    bool stream = true;
    json_t *body = http_json_object(exchange, 0);
    if (!body)
        return;
    struct reply *reply = calloc(1, sizeof *reply);
    if (!reply) {
        http_reply_problem(exchange, 503, NULL, NULL, "not enough memory for this request");
        json_decref(body);
        return;
    }
    atomic_init(&reply->gone, false);
    atomic_init(&reply->open, false);
    reply->services = http_services(exchange);
    reply->body = body;
    snprintf(reply->id, sizeof reply->id, "%s", http_parameter(exchange, "id"));
    if (!read_body(exchange, body, &reply->options, &stream)) {
        reply_close(reply);
        return;
    }
    host_queue(reply->services->host, &reply->options.place);
    if (stream)
        run_stream(exchange, reply);
    else
        run_whole(exchange, reply);
}
