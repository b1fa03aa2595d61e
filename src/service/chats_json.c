/* Rows as the API shows them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "service/chats_internal.h"

enum { TITLE_BYTES = 60 };

static json_t *optional(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* RFC 3339, UTC, milliseconds. A time from a broken file that is outside of the years 0 to 9999 is null. */
static json_t *timestamp(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    int64_t rest = ms % 1000;
    struct tm tm;
    char text[40];
    if (ms < 0 || !gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900)
        return json_null();
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)rest);
    return json_string(text);
}

/* The first line of what the user said first, cut between words where it is long. */
static json_t *title_from(const char *opening)
{
    char title[TITLE_BYTES + 4];
    const char *text = opening + strspn(opening, " \t\r\n#>*-");
    size_t line = strcspn(text, "\r\n"), n = 0, word = 0;
    for (size_t c; n < line && (c = utf8_character(text + n, line - n)) > 0 && n + c <= TITLE_BYTES; n += c)
        if (text[n] == ' ')
            word = n;
    if (n < line && word > TITLE_BYTES / 2)
        n = word;
    while (n > 0 && text[n - 1] == ' ')
        n--;
    memcpy(title, text, n);
    memcpy(title + n, n < line && n > 0 ? "…" : "", n < line && n > 0 ? 4 : 1);
    return json_string(n ? title : "New chat");
}

static json_t *with_saved(json_t *object, const char *reason)
{
    if (!object)
        return NULL;
    if (json_object_set_new(object, "saved", json_boolean(!reason)) ||
        json_object_set_new(object, "saved_reason", optional(reason))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *chats_chat_json(const struct store_chat *chat, const char *reason)
{
    json_t *title = chat->title     ? json_string(chat->title)
                    : chat->opening ? title_from(chat->opening)
                                    : json_string("New chat");
    json_t *object =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "id", chat->id, "title", title, "model",
                  optional(chat->model), "system", optional(chat->system), "created_at",
                  timestamp(chat->created_ms), "updated_at", timestamp(chat->updated_ms), "message_count",
                  (json_int_t)chat->messages, "branch_of", optional(chat->branch_of));
    return with_saved(object, reason);
}

json_t *chats_message_json(const struct store_message *message, const char *reason)
{
    json_t *content = json_stringn(message->text, message->length);
    json_t *object =
        json_pack("{s:I, s:s, s:o, s:o}", "index", (json_int_t)message->position, "role", message->role,
                  "content", content, "created_at", timestamp(message->created_ms));
    json_t *extra = message->extra ? json_loads(message->extra, 0, NULL) : NULL;
    if (object && json_is_object(extra) && json_object_update_missing(object, extra)) {
        json_decref(object);
        object = NULL;
    }
    json_decref(extra);
    return with_saved(object, reason);
}
