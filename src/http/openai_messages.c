/* The conversation, checked and put into the form that chat templates expect (transformers'
 * apply_chat_template): contents as text, the arguments of earlier tool calls as objects.
 */
#include <stdio.h>
#include <string.h>

#include "base/json_text.h"
#include "http/fields.h"
#include "http/openai.h"

struct place {
    struct http_exchange *exchange;
    char path[96]; /* "messages[2].content[1]" */
};

/* 400 naming place and field. */
static bool wrong(const struct place *place, const char *field, const char *what)
{
    char param[160];
    snprintf(param, sizeof param, "%s%s%s", place->path, field ? "." : "", field ? field : "");
    return openai_refuse(place->exchange, "invalid_value", param, "'%s' %s", param, what);
}

static struct place inside(const struct place *place, const char *field, size_t index)
{
    struct place inner = {.exchange = place->exchange};
    snprintf(inner.path, sizeof inner.path, "%.60s.%s[%zu]", place->path, field, index);
    return inner;
}

static json_t *field_of(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* The text of a content part; NULL: answered. */
static const char *part_text(const struct place *place, const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    if (!type)
        return wrong(place, "type", "is missing: every part of a content has one"), NULL;
    if (strcmp(type, "text") != 0)
        return wrong(place, "type",
                     "is not supported: only parts of type \"text\" are, this model reads text"),
               NULL;
    const char *text = json_string_value(json_object_get(part, "text"));
    if (!text)
        wrong(place, "text", "must be a string");
    return text;
}

/* Content as one string: parts are joined by newlines. */
static json_t *content_text(const struct place *place, const json_t *content)
{
    if (json_is_string(content))
        return json_string(json_string_value(content));
    if (!json_is_array(content) || !json_array_size(content) || json_array_size(content) > OPENAI_MAX_PARTS)
        return wrong(place, "content", "must be a string, or an array of 1 to 256 parts"), NULL;
    struct buffer text = {0};
    size_t i;
    const json_t *part;
    json_array_foreach(content, i, part) {
        struct place inner = inside(place, "content", i);
        const char *piece = part_text(&inner, part);
        if (!piece) {
            buffer_free(&text);
            return NULL;
        }
        if (i)
            buffer_append(&text, "\n", 1);
        buffer_text(&text, piece);
    }
    json_t *joined = text.failed ? NULL : json_stringn(text.data, text.length);
    buffer_free(&text);
    if (!joined)
        wrong(place, "content", "is too large: memory is short");
    return joined;
}

/* Arguments come as a JSON text; templates want the object that it is. */
static json_t *arguments_object(const struct place *place, const json_t *function)
{
    const json_t *arguments = field_of(function, "arguments");
    const char *text = json_string_value(arguments);
    if (json_is_object(arguments))
        return json_deep_copy(arguments);
    json_t *object = NULL;
    if (text && json_text_measure(text, strlen(text)).depth > JSON_TEXT_MAX_DEPTH)
        return wrong(place, "function.arguments", "is nested too deep"), NULL;
    if (text && !*text)
        object = json_object();
    else if (text && !(object = json_loads(text, JSON_REJECT_DUPLICATES, NULL)))
        /* answers have integers of any size (service/tool_json.c), and come back */
        object = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return wrong(place, "function.arguments", "must be a string that holds a JSON object"), NULL;
}

static json_t *call_for_template(const struct place *place, const json_t *call)
{
    const char *type = json_string_value(field_of(call, "type"));
    const json_t *id = field_of(call, "id");
    const json_t *function = field_of(call, "function");
    const json_t *name = field_of(function, "name");
    if (type && strcmp(type, "function") != 0)
        return wrong(place, "type", "must be \"function\""), NULL;
    if (id && !json_is_string(id))
        return wrong(place, "id", "must be a string"), NULL;
    if (!json_is_string(name))
        return wrong(place, "function.name", "must be a string"), NULL;
    json_t *arguments = arguments_object(place, function);
    if (!arguments)
        return NULL;
    json_t *out = json_pack("{s:s, s:{s:O, s:o}}", "type", "function", "function", "name", name, "arguments",
                            arguments);
    if (out && id)
        json_object_set(out, "id", (json_t *)id);
    return out;
}

static bool add_calls(const struct place *place, const json_t *message, json_t *out)
{
    const json_t *calls = field_of(message, "tool_calls");
    if (!calls)
        return true;
    if (!json_is_array(calls) || json_array_size(calls) > OPENAI_MAX_TOOLS)
        return wrong(place, "tool_calls", "must be an array of at most 128 calls");
    if (!json_array_size(calls))
        return true;
    json_t *list = json_array();
    size_t i;
    const json_t *call;
    json_array_foreach(calls, i, call) {
        struct place inner = inside(place, "tool_calls", i);
        json_t *one = call_for_template(&inner, call);
        if (!one) {
            json_decref(list);
            return false;
        }
        json_array_append_new(list, one);
    }
    json_object_set_new(out, "tool_calls", list);
    return true;
}

/* Fields that are text and go to the template as they are. */
static bool add_strings(const struct place *place, const json_t *message, bool assistant, bool tool,
                        json_t *out)
{
    const struct {
        const char *name;
        bool allowed;
    } fields[] = {
        {"name", true}, {"tool_call_id", tool}, {"reasoning_content", assistant}, {"reasoning", assistant}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = field_of(message, fields[i].name);
        if (!value)
            continue;
        if (!fields[i].allowed)
            return wrong(place, fields[i].name, "does not belong to a message of this role");
        if (!json_is_string(value))
            return wrong(place, fields[i].name, "must be a string");
        json_object_set(out, fields[i].name, value);
    }
    return true;
}

static bool check_names(const struct place *place, const json_t *message)
{
    static const char *const known[] = {"role",         "content",           "name",      "tool_calls",
                                        "tool_call_id", "reasoning_content", "reasoning", "annotations"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)message, key, value) {
        bool found = json_is_null(value); /* clients send back what they got: "refusal": null */
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return wrong(place, key, "is not supported in a message");
    }
    return true;
}

static bool add_message(const struct place *place, const json_t *message, json_t *list)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    const char *role = json_string_value(field_of(message, "role"));
    size_t r = 0;
    while (r < 5 && role && strcmp(role, roles[r]) != 0)
        r++;
    if (!json_is_object(message))
        return wrong(place, NULL, "must be an object");
    if (!role || r == 5)
        return wrong(place, "role", "must be system, developer, user, assistant or tool");
    if (!check_names(place, message))
        return false;
    bool assistant = r == 3;
    const json_t *content = field_of(message, "content");
    /* templates know no developer: it is OpenAI's newer name for the system's voice */
    json_t *out = json_pack("{s:s}", "role", r == 1 ? "system" : role);
    if (!out)
        return wrong(place, NULL, "is too much: memory is short");
    json_t *text = content ? content_text(place, content) : NULL;
    bool ok = !content || text;
    if (text)
        json_object_set_new(out, "content", text);
    if (ok && field_of(message, "tool_calls") && !assistant)
        ok = wrong(place, "tool_calls", "belongs to messages of the assistant only");
    ok = ok && add_calls(place, message, out) && add_strings(place, message, assistant, r == 4, out);
    if (ok && !content && !json_object_get(out, "tool_calls"))
        ok = wrong(place, "content", "is missing");
    if (ok)
        json_array_append(list, out);
    json_decref(out);
    return ok;
}

bool openai_read_messages(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish)
{
    json_t *messages = NULL;
    if (!http_field_required(exchange, body, "messages") ||
        !http_field_array(exchange, body, "messages", OPENAI_MAX_MESSAGES, &messages))
        return false;
    if (!json_array_size(messages))
        return openai_refuse(exchange, "invalid_value", "messages", "'messages' is empty");
    json_t *list = json_array();
    size_t i;
    const json_t *message;
    bool ok = list || openai_refuse(exchange, NULL, "messages", "'messages' is too much: memory is short");
    json_array_foreach(messages, i, message) {
        struct place place = {.exchange = exchange};
        snprintf(place.path, sizeof place.path, "messages[%zu]", i);
        if (ok)
            ok = add_message(&place, message, list);
    }
    ok = ok && openai_dump(exchange, list, &wish->messages_json);
    json_decref(list);
    wish->options.submit.messages_json = wish->messages_json;
    return ok;
}
