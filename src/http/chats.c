/* Conversations over HTTP: parse, check, hand on to service/chats.h. Sending a message is chats_send.c. */
#include "http/chats.h"

#include <stdlib.h>
#include <string.h>

#include "http/fields.h"
#include "http/router.h"
#include "service/chats.h"
#include "service/settings.h"
#include "store/chats.h"

enum { DEFAULT_PAGE = 50, MAX_PAGE = 200, SEND_BODY = 8 << 20 /* 1 MB of text, every byte of it escaped */ };

static struct chats *chats_of(const struct http_exchange *exchange)
{
    return http_services(exchange)->chats;
}

/* Answers with *object (taken over) or, when status is not 0, with the error. */
static void reply(struct http_exchange *exchange, int status, int code, json_t *object,
                  const struct error *error)
{
    if (status)
        http_reply_error(exchange, error, NULL);
    else
        http_reply_json(exchange, code, object);
}

static void get_chats(struct http_exchange *exchange)
{
    int64_t limit = DEFAULT_PAGE;
    if (!http_query_integer(exchange, "limit", 1, MAX_PAGE, &limit))
        return;
    json_t *page = NULL;
    struct error error = {0};
    int status = chats_list(chats_of(exchange), (size_t)limit, http_query(exchange, "before"),
                            http_query(exchange, "search"), &page, &error);
    reply(exchange, status, 200, page, &error);
}

struct chat_fields {
    const char *title, *model, *system;
    const char *branch_of; /* only of a new chat */
    int64_t messages;
};

static bool read_fields(struct http_exchange *exchange, const json_t *body, bool is_new,
                        struct chat_fields *out)
{
    static const char *const names[] = {"title", "model", "system", "branch_of", "messages"};
    *out = (struct chat_fields){0};
    return http_fields_known(exchange, body, names, is_new ? 5 : 3) &&
           http_field_string(exchange, body, "branch_of", STORE_CHAT_ID, &out->branch_of) &&
           http_field_integer(exchange, body, "messages", 0, STORE_CHAT_MESSAGES, &out->messages) &&
           (!out->branch_of || http_field_required(exchange, body, "messages")) &&
           http_field_string(exchange, body, "title", STORE_TITLE_BYTES, &out->title) &&
           http_field_string(exchange, body, "model", STORE_TITLE_BYTES, &out->model) &&
           http_field_string(exchange, body, "system", STORE_MESSAGE_BYTES, &out->system);
}

static void post_chats(struct http_exchange *exchange)
{
    struct chat_fields fields;
    json_t *body = http_json_object(exchange, 1);
    if (!body)
        return;
    if (read_fields(exchange, body, true, &fields)) {
        char *usual = NULL;
        if (!fields.branch_of && !json_object_get(body, "system")) /* given as null: none */
            usual = settings_string(http_services(exchange)->settings, "system_prompt");
        json_t *chat = NULL;
        struct error error = {0};
        int status = fields.branch_of ? chats_branch(chats_of(exchange), fields.branch_of, fields.messages,
                                                     fields.title, fields.model, fields.system, &chat, &error)
                                      : chats_create(chats_of(exchange), fields.title, fields.model,
                                                     usual ? usual : fields.system, &chat, &error);
        free(usual);
        reply(exchange, status, 201, chat, &error);
    }
    json_decref(body);
}

static void get_chat(struct http_exchange *exchange)
{
    json_t *chat = NULL;
    struct error error = {0};
    int status = chats_get(chats_of(exchange), http_parameter(exchange, "id"), &chat, &error);
    reply(exchange, status, 200, chat, &error);
}

/* A field that is given as null is taken away. */
static const char *changed(const json_t *body, const char *name, const char *value)
{
    return json_is_null(json_object_get(body, name)) ? "" : value;
}

static void patch_chat(struct http_exchange *exchange)
{
    struct chat_fields fields;
    json_t *body = http_json_object(exchange, 0);
    if (!body)
        return;
    if (read_fields(exchange, body, false, &fields)) {
        json_t *chat = NULL;
        struct error error = {0};
        int status = chats_update(chats_of(exchange), http_parameter(exchange, "id"),
                                  changed(body, "title", fields.title), changed(body, "model", fields.model),
                                  changed(body, "system", fields.system), &chat, &error);
        reply(exchange, status, 200, chat, &error);
    }
    json_decref(body);
}

static void delete_chat(struct http_exchange *exchange)
{
    struct error error = {0};
    const char *id = http_parameter(exchange, "id");
    chats_stop(chats_of(exchange), id); /* what is being written goes too */
    int status = chats_delete(chats_of(exchange), id, &error);
    reply(exchange, status, 200, status ? NULL : json_pack("{s:s, s:b}", "id", id, "deleted", 1), &error);
}

static void post_stop(struct http_exchange *exchange)
{
    bool stopped = chats_stop(chats_of(exchange), http_parameter(exchange, "id"));
    http_reply_json(exchange, 200, json_pack("{s:b}", "stopped", stopped));
}

static void get_export(struct http_exchange *exchange)
{
    char *text;
    struct error error = {0};
    if (chats_markdown(chats_of(exchange), http_parameter(exchange, "id"), &text, &error)) {
        http_reply_error(exchange, &error, NULL);
        return;
    }
    http_set_header(exchange, "Content-Disposition", "attachment; filename=\"chat.md\"");
    http_reply_bytes(exchange, 200, "text/markdown; charset=utf-8", text, strlen(text));
    free(text);
}

static const struct http_route routes[] = {
    {"GET", "/api/chats", get_chats,
     "Saved conversations, newest first; ?limit, ?before (the next of the page before), ?search.", NULL,
     "ChatList", 0, false},
    {"POST", "/api/chats", post_chats, "Begins a conversation, or a branch of another one.", "ChatCreate",
     "Chat", SEND_BODY, false},
    {"GET", "/api/chats/{id}", get_chat, "A conversation with its messages.", NULL, "Chat", 0, false},
    {"PATCH", "/api/chats/{id}", patch_chat, "Changes title, model or system prompt; null takes one away.",
     "ChatFields", "Chat", SEND_BODY, false},
    {"DELETE", "/api/chats/{id}", delete_chat, "Deletes a conversation.", NULL, "ChatDeleted", 0, false},
    {"POST", "/api/chats/{id}/messages", chats_post_message,
     "Says something, or asks for the last answer again; the answer comes as server-sent events (message, "
     "progress, delta, then done or error) or, with \"stream\": false, whole.",
     "ChatSend", "ChatAnswer", SEND_BODY, true},
    {"POST", "/api/chats/{id}/stop", post_stop, "Stops the answer that is being written; it is kept so far.",
     NULL, "ChatStopped", 0, false},
    {"GET", "/api/chats/{id}/export.md", get_export, "A conversation as Markdown.", NULL, NULL, 0, false},
};
const struct http_route_table chat_routes = {routes, sizeof routes / sizeof *routes};
