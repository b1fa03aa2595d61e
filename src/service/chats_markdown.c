/* A conversation as a Markdown file, for people and other programs. What was said is Markdown already and
 * goes in as it is; a title is one line and must not begin anything else. */
#include <stdlib.h>

#include "base/buffer.h"
#include "service/chats_internal.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* One line: everything that Markdown could take for more than text is escaped. */
static void one_line(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ') {
            buffer_text(out, " ");
            continue;
        }
        if (*text == '\\' || *text == '*' || *text == '_' || *text == '<' || *text == '[' || *text == '`' ||
            *text == '#')
            buffer_text(out, "\\");
        buffer_append(out, text, 1);
    }
}

static void write_message(struct buffer *out, const json_t *message)
{
    const char *role = text_of(message, "role"), *model = text_of(message, "model");
    buffer_text(out, "\n**");
    if (*role == 'u')
        buffer_text(out, "You");
    else
        one_line(out, *role == 'a' && *model ? model : role);
    buffer_text(out, "**");
    if (json_is_true(json_object_get(message, "stopped")))
        buffer_text(out, " (stopped)");
    buffer_text(out, "\n\n");
    buffer_text(out, text_of(message, "content"));
    buffer_text(out, "\n");
}

int chats_markdown(struct chats *chats, const char *id, char **out, struct error *error)
{
    *out = NULL;
    json_t *chat;
    int status = chats_get(chats, id, &chat, error);
    if (status)
        return status;
    struct buffer text = {0};
    buffer_text(&text, "# ");
    one_line(&text, text_of(chat, "title"));
    buffer_format(&text, "\n\n%s", text_of(chat, "created_at"));
    buffer_text(&text, "\n");
    if (*text_of(chat, "system")) {
        buffer_text(&text, "\n**System**\n\n");
        buffer_text(&text, text_of(chat, "system"));
        buffer_text(&text, "\n");
    }
    size_t i;
    const json_t *message;
    json_array_foreach(json_object_get(chat, "messages"), i, message) {
        write_message(&text, message);
    }
    json_decref(chat);
    if (text.failed) {
        buffer_free(&text);
        return error_memory(error, "the export", 0);
    }
    *out = text.data;
    return 0;
}
