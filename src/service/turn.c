/* The order of things is what this file is about. The user's message is on disk before the model is asked; if
 * the model cannot be asked (not there, queue full, too long), it is taken back, so that a request that was
 * refused has changed nothing and can be sent again. From then on everything that was generated is kept. */
#include "service/turn.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "service/chats.h"
#include "service/settings.h"
#include "service/timings.h"

enum { ID_BYTES = 33, DRAIN_WAIT_MS = 2000 /* a step, or a chunk of a long prompt */ };

struct turn {
    struct services *services;
    char id[ID_BYTES];
    json_t *user;     /* as saved */
    int64_t replaces; /* index of the answer that this one takes the place of; -1 */
    bool begun, finished;

    pthread_mutex_t lock; /* guards the two below */
    struct answer *answer;
    bool cancelled;

    struct buffer text, reasoning;
    bool ended; /* the piece ANSWER_END has come */
    enum engine_finish finish;
    struct engine_timings timings;
    struct error error;
};

/* ---- the conversation, as the model gets it ---- */

/* Appends a turn; templates want roles to alternate, so two of the same (an answer between them was lost)
 * become one. */
static int append_turn(json_t *messages, const char *role, const char *text, struct error *error)
{
    size_t n = json_array_size(messages);
    json_t *last = n ? json_array_get(messages, n - 1) : NULL;
    const char *last_role = last ? json_string_value(json_object_get(last, "role")) : "";
    int failed;
    if (strcmp(last_role, role) == 0) {
        const char *before = json_string_value(json_object_get(last, "content"));
        failed = json_object_set_new(last, "content", json_sprintf("%s\n\n%s", before, text));
    } else {
        failed = json_array_append_new(messages, json_pack("{s:s, s:s}", "role", role, "content", text));
    }
    return failed ? error_memory(error, "the conversation", strlen(text)) : 0;
}

/* The JSON text of the messages up to, not including, index `end` (< 0: all). */
static int make_messages(const json_t *chat, int64_t end, char **out, struct error *error)
{
    json_t *messages = json_array();
    const char *system = json_string_value(json_object_get(chat, "system"));
    int status = messages ? 0 : error_memory(error, "the conversation", 0);
    if (!status && system)
        status = append_turn(messages, "system", system, error);
    size_t i;
    const json_t *message;
    json_array_foreach(json_object_get(chat, "messages"), i, message) {
        const char *text = json_string_value(json_object_get(message, "content"));
        if (status || (end >= 0 && json_integer_value(json_object_get(message, "index")) >= end))
            break;
        if (text && *text)
            status = append_turn(messages, json_string_value(json_object_get(message, "role")), text, error);
    }
    *out = status ? NULL : json_dumps(messages, JSON_COMPACT);
    json_decref(messages);
    return status || *out ? status : error_memory(error, "the conversation", 0);
}

/* ---- opening ---- */

static void cancel_turn(void *context)
{
    turn_cancel(context);
}

/* Nothing to say: the last message is the user's, or an answer that will be replaced. */
static int find_question(struct turn *turn, const json_t *chat, struct error *error)
{
    const json_t *messages = json_object_get(chat, "messages");
    size_t n = json_array_size(messages);
    const json_t *last = n ? json_array_get(messages, n - 1) : NULL;
    const char *role = last ? json_string_value(json_object_get(last, "role")) : "";
    if (strcmp(role, "user") == 0)
        return 0;
    if (strcmp(role, "assistant") != 0 || n < 2)
        return error_set(error, ERROR_INVALID, "regenerate: nothing has been asked in this chat yet");
    turn->replaces = json_integer_value(json_object_get(last, "index"));
    return 0;
}

static int save_question(struct turn *turn, const struct turn_options *options, struct error *error)
{
    struct chats_message message = {
        .role = "user", .text = options->content, .length = strlen(options->content), .replaces = -1};
    return chats_add_message(turn->services->chats, turn->id, &message, &turn->user, error);
}

static void fill_sampling(struct settings *settings, const struct turn_options *options,
                          struct answer_options *out)
{
    out->submit.sampling = options->sampling;
    out->given = options->given;
    double temperature = settings_number(settings, "temperature"), top_p = settings_number(settings, "top_p"),
           seed = settings_number(settings, "seed"), max_tokens = settings_number(settings, "max_tokens");
    if (!(out->given & ANSWER_TEMPERATURE) && !isnan(temperature)) {
        out->submit.sampling.temperature = (float)temperature;
        out->given |= ANSWER_TEMPERATURE;
    }
    if (!(out->given & ANSWER_TOP_P) && !isnan(top_p)) {
        out->submit.sampling.top_p = (float)top_p;
        out->given |= ANSWER_TOP_P;
    }
    if (!(out->given & ANSWER_SEED) && !isnan(seed)) {
        out->submit.sampling.seed = (uint64_t)seed;
        out->given |= ANSWER_SEED;
    }
    out->submit.max_tokens = options->max_tokens  ? options->max_tokens
                             : !isnan(max_tokens) ? (uint32_t)max_tokens
                                                  : 0;
}

static int ask(struct turn *turn, const struct turn_options *options, const json_t *chat, struct error *error)
{
    const char *chat_model = json_string_value(json_object_get(chat, "model"));
    bool model_refused = false;
    char *messages;
    int status = make_messages(chat, turn->replaces, &messages, error);
    if (status)
        return status;
    struct answer_options wish = {.model = options->model ? options->model : chat_model,
                                  .submit = {.messages_json = messages, .add_generation_prompt = true},
                                  .parse_reasoning = true,
                                  .wait_ms = TURN_WAIT_FOR_MODEL_MS,
                                  .place = options->place,
                                  .model_refused = &model_refused};
    fill_sampling(turn->services->settings, options, &wish);
    struct answer *answer;
    status = answer_open(turn->services, &wish, &answer, error);
    if (status == ERROR_LIMIT && !model_refused && wish.submit.max_tokens) {
        wish.submit.max_tokens = 0; /* less room than that is left: as much as there is */
        status = answer_open(turn->services, &wish, &answer, error);
    }
    free(messages);
    if (status)
        return status;
    pthread_mutex_lock(&turn->lock);
    turn->answer = answer;
    if (turn->cancelled)
        answer_cancel(answer);
    pthread_mutex_unlock(&turn->lock);
    return 0;
}

static int begin(struct turn *turn, const struct turn_options *options, struct error *error)
{
    struct chats *chats = turn->services->chats;
    json_t *chat = NULL;
    int status = 0;
    if (options->content)
        status = save_question(turn, options, error);
    if (!status)
        status = chats_get(chats, turn->id, &chat, error);
    if (!status && !options->content)
        status = find_question(turn, chat, error);
    if (!status)
        status = ask(turn, options, chat, error);
    if (!status && options->model) {
        json_t *unused = NULL;
        if (chats_update(chats, turn->id, NULL, options->model, NULL, &unused, NULL) == 0)
            json_decref(unused);
    }
    json_decref(chat);
    if (status && turn->user)
        chats_take_back(chats, turn->id, json_integer_value(json_object_get(turn->user, "index")), NULL);
    return status;
}

int turn_open(struct services *services, const char *id, const struct turn_options *options,
              struct turn **out, bool *conflict, struct error *error)
{
    *out = NULL;
    *conflict = false;
    struct turn *turn = calloc(1, sizeof *turn);
    if (!turn)
        return error_memory(error, "an answer", sizeof *turn);
    turn->services = services;
    turn->replaces = -1;
    pthread_mutex_init(&turn->lock, NULL);
    int status = chats_turn_begin(services->chats, id, cancel_turn, turn, error);
    *conflict = status == ERROR_BUSY;
    if (!status) {
        turn->begun = true;
        memcpy(turn->id, id, sizeof turn->id); /* a well-formed id: chats_turn_begin has looked */
        status = begin(turn, options, error);
    }
    if (status) {
        turn->finished = true; /* there is nothing to save */
        turn_close(turn);
        return status;
    }
    *out = turn;
    return 0;
}

void turn_cancel(struct turn *turn)
{
    pthread_mutex_lock(&turn->lock);
    turn->cancelled = true;
    if (turn->answer)
        answer_cancel(turn->answer);
    pthread_mutex_unlock(&turn->lock);
}

const json_t *turn_user_message(const struct turn *turn)
{
    return turn->user;
}

/* ---- reading ---- */

int turn_next(struct turn *turn, struct answer_piece *piece, int wait_ms)
{
    int status = answer_next(turn->answer, piece, wait_ms);
    if (status != 1)
        return status;
    if (piece->kind == ANSWER_TEXT)
        buffer_append(&turn->text, piece->text, piece->length);
    if (piece->kind == ANSWER_REASONING)
        buffer_append(&turn->reasoning, piece->text, piece->length);
    if (piece->kind == ANSWER_END) {
        turn->ended = true;
        turn->finish = piece->finish;
        turn->timings = piece->timings;
        turn->error = piece->error;
    }
    return 1;
}

static const char *finish_name(enum engine_finish finish)
{
    switch (finish) {
    case FINISH_STOP:
        return "stop";
    case FINISH_LENGTH:
        return "length";
    case FINISH_ERROR:
        return "error";
    default:
        return "cancelled";
    }
}

static json_t *make_extra(const struct turn *turn)
{
    bool stopped = turn->finish != FINISH_STOP && turn->finish != FINISH_LENGTH;
    json_t *extra =
        json_pack("{s:s, s:s, s:b, s:o}", "model", answer_model(turn->answer), "finish_reason",
                  finish_name(turn->finish), "stopped", stopped, "timings", timings_json(&turn->timings));
    if (extra && turn->reasoning.length > 0)
        json_object_set_new(extra, "reasoning", json_stringn(turn->reasoning.data, turn->reasoning.length));
    if (extra && turn->finish == FINISH_ERROR)
        json_object_set_new(extra, "error", json_string(turn->error.message));
    return extra;
}

/* The answer as it would be had it been saved. */
static json_t *unsaved_message(const struct turn *turn, const json_t *extra, const struct error *why)
{
    json_t *message = json_pack("{s:n, s:s, s:o, s:b, s:s}", "index", "role", "assistant", "content",
                                json_stringn(turn->text.data ? turn->text.data : "", turn->text.length),
                                "saved", 0, "saved_reason", why->message);
    if (message)
        json_object_update_missing(message, (json_t *)extra);
    return message;
}

/* A new reference or NULL. */
static json_t *save_answer(struct turn *turn, const json_t *extra)
{
    struct error why = {0};
    json_t *message = NULL;
    bool nothing = turn->text.length == 0 && turn->reasoning.length == 0;
    if (nothing && turn->finish != FINISH_STOP && turn->finish != FINISH_LENGTH)
        return json_null();
    struct chats_message answer = {.role = "assistant",
                                   .text = turn->text.data ? turn->text.data : "",
                                   .length = turn->text.length,
                                   .extra = extra,
                                   .replaces = turn->replaces};
    int status = turn->text.failed || turn->reasoning.failed
                     ? error_memory(&why, "the answer", turn->text.length)
                     : chats_add_message(turn->services->chats, turn->id, &answer, &message, &why);
    return status ? unsaved_message(turn, extra, &why) : message;
}

int turn_finish(struct turn *turn, json_t **out, struct error *error)
{
    struct answer_piece piece;
    if (!turn->ended)
        turn_cancel(turn);
    while (!turn->ended && turn_next(turn, &piece, DRAIN_WAIT_MS) == 1)
        ;
    turn->finished = true;
    json_t *extra = make_extra(turn);
    json_t *message = extra ? save_answer(turn, extra) : NULL;
    json_t *saved = json_object_get(message, "saved"), *reason = json_object_get(message, "saved_reason");
    *out = json_pack("{s:O, s:s, s:s, s:O, s:o, s:o}", "message", message, "finish_reason",
                     finish_name(turn->finish), "model", answer_model(turn->answer), "timings",
                     json_object_get(extra, "timings"), "saved", saved ? json_incref(saved) : json_false(),
                     "saved_reason", reason ? json_incref(reason) : json_string("nothing was generated"));
    json_decref(extra);
    json_decref(message);
    if (turn->finish == FINISH_ERROR)
        return error_set(error, turn->error.code ? turn->error.code : ERROR_INTERNAL, "%s",
                         turn->error.message);
    return *out ? 0 : error_memory(error, "the answer", 0);
}

void turn_close(struct turn *turn)
{
    if (!turn)
        return;
    if (!turn->finished) {
        json_t *unused;
        turn_finish(turn, &unused, NULL);
        json_decref(unused);
    }
    if (turn->begun)
        chats_turn_end(turn->services->chats, turn->id);
    answer_close(turn->answer); /* nobody can cancel it any more */
    pthread_mutex_destroy(&turn->lock);
    buffer_free(&turn->text);
    buffer_free(&turn->reasoning);
    json_decref(turn->user);
    free(turn);
}
