#include "service/chat.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

struct chat {
    json_t *turns;  /* array of {"role", "content"} */
    json_t *system; /* string or NULL */
};

char *chat_clean_utf8(const char *text, size_t length)
{
    if (length > SIZE_MAX / 3 - 1)
        return NULL;
    char *clean = malloc(3 * length + 1);
    if (!clean)
        return NULL;
    size_t out = 0;
    for (size_t i = 0; i < length;) {
        size_t n = text[i] ? utf8_character(text + i, length - i) : 0;
        if (n) {
            memcpy(clean + out, text + i, n);
            out += n;
            i += n;
        } else {
            memcpy(clean + out, "\xEF\xBF\xBD", 3);
            out += 3;
            i++;
        }
    }
    clean[out] = '\0';
    return clean;
}

static json_t *clean_string(const char *text, size_t length)
{
    char *clean = chat_clean_utf8(text, length);
    json_t *string = clean ? json_string(clean) : NULL;
    free(clean);
    return string;
}

int chat_open(const char *system, struct chat **out, struct error *error)
{
    *out = NULL;
    struct chat *chat = calloc(1, sizeof *chat);
    if (!chat || !(chat->turns = json_array())) {
        free(chat);
        return error_memory(error, "a conversation", sizeof *chat);
    }
    int status = chat_set_system(chat, system, error);
    if (status)
        chat_close(chat);
    else
        *out = chat;
    return status;
}

void chat_close(struct chat *chat)
{
    if (!chat)
        return;
    json_decref(chat->turns);
    json_decref(chat->system);
    free(chat);
}

int chat_set_system(struct chat *chat, const char *system, struct error *error)
{
    json_t *string = NULL;
    if (system && *system && !(string = clean_string(system, strlen(system))))
        return error_memory(error, "the system prompt", strlen(system));
    json_decref(chat->system);
    chat->system = string;
    return 0;
}

int chat_add(struct chat *chat, const char *role, const char *text, size_t length, struct error *error)
{
    /* "o" steals the string; json_pack fails on NULL and leaves nothing behind */
    json_t *turn = json_pack("{s:s, s:o}", "role", role, "content", clean_string(text, length));
    if (!turn || json_array_append_new(chat->turns, turn))
        return error_memory(error, "a turn of the conversation", length);
    return 0;
}

void chat_drop_last(struct chat *chat)
{
    size_t n = json_array_size(chat->turns);
    if (n > 0)
        json_array_remove(chat->turns, n - 1);
}

void chat_reset(struct chat *chat)
{
    json_array_clear(chat->turns);
}

size_t chat_turns(const struct chat *chat)
{
    return json_array_size(chat->turns);
}

int chat_messages_json(const struct chat *chat, char **out, struct error *error)
{
    *out = NULL;
    json_t *messages = json_array();
    int failed = !messages;
    if (!failed && chat->system)
        failed = json_array_append_new(messages,
                                       json_pack("{s:s, s:O}", "role", "system", "content", chat->system));
    if (!failed)
        failed = json_array_extend(messages, chat->turns);
    if (!failed)
        *out = json_dumps(messages, JSON_COMPACT);
    json_decref(messages);
    return *out ? 0 : error_memory(error, "the conversation", 0);
}

int chat_save_markdown(const struct chat *chat, const char *path, const char *model_name, struct error *error)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return errno == EEXIST
                   ? error_set(error, ERROR_INVALID, "%s exists already; choose another name", path)
                   : error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    FILE *file = fdopen(descriptor, "w");
    if (!file) {
        close(descriptor);
        return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    fprintf(file, "# Chat with %s\n", model_name);
    if (chat->system)
        fprintf(file, "\n**System**\n\n%s\n", json_string_value(chat->system));
    size_t i;
    const json_t *turn;
    json_array_foreach(chat->turns, i, turn) {
        const char *role = json_string_value(json_object_get(turn, "role"));
        fprintf(file, "\n**%s**\n\n%s\n", strcmp(role, "user") == 0 ? "You" : model_name,
                json_string_value(json_object_get(turn, "content")));
    }
    int failed = ferror(file);
    if (fclose(file) || failed)
        return error_set(error, ERROR_IO, "cannot write %s: the disk is full or failing", path);
    return 0;
}
