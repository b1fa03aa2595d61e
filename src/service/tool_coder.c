/* The call format of Qwen3-Coder: tags, and values as bare text. What a value is, only the declared schema
 * knows: the text 5 is a number for an integer and a string for a string.
 */
#include "service/tool_json.h"

#include <string.h>

#include "base/json_text.h"

struct cursor {
    const char *text;
    size_t length, at;
};

/* Everything up to `what`, which is skipped. 1, or 0 when more text is needed. */
static int take_until(struct cursor *cursor, const char *what, const char **found, size_t *length)
{
    const char *begin = cursor->text + cursor->at;
    const char *end = memmem(begin, cursor->length - cursor->at, what, strlen(what));
    if (!end)
        return 0;
    *found = begin;
    *length = (size_t)(end - begin);
    cursor->at += *length + strlen(what);
    return 1;
}

static int take_tag(struct cursor *cursor, const char *tag)
{
    cursor->at = tool_json_skip_space(cursor->text, cursor->length, cursor->at);
    int found = tool_json_match(cursor->text, cursor->length, cursor->at, tag);
    if (found > 0)
        cursor->at += strlen(tag);
    return found;
}

static const char *declared_type(const json_t *parameters, const char *key)
{
    const json_t *property = json_object_get(json_object_get(parameters, "properties"), key);
    return json_string_value(json_object_get(property, "type"));
}

static void write_value(struct buffer *out, const char *type, const char *text, size_t length)
{
    if (length && text[0] == '\n') {
        text++;
        length--;
    }
    if (length && text[length - 1] == '\n')
        length--;
    if (type && strcmp(type, "string") != 0) {
        bool too_deep = json_text_measure(text, length).depth > TOOL_CALL_MAX_DEPTH;
        size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
        json_t *value = too_deep ? NULL : json_loadb(text, length, flags, NULL);
        if (value) {
            json_decref(value);
            buffer_append(out, text, length);
            return;
        }
    }
    buffer_json_string(out, text, length);
}

static int take_parameters(struct cursor *cursor, const json_t *parameters, struct buffer *out)
{
    buffer_text(out, "{");
    for (bool first = true;; first = false) {
        int found = take_tag(cursor, "</function>");
        if (found > 0)
            break;
        int parameter = take_tag(cursor, "<parameter=");
        if (parameter <= 0)
            return found == 0 ? 0 : parameter;
        const char *key, *value;
        size_t key_length, value_length;
        char name[128];
        if (!take_until(cursor, ">", &key, &key_length) ||
            !take_until(cursor, "</parameter>", &value, &value_length))
            return 0;
        if (!key_length || key_length >= sizeof name)
            return -1;
        memcpy(name, key, key_length);
        name[key_length] = '\0';
        if (!first)
            buffer_text(out, ", ");
        buffer_json_string(out, key, key_length);
        buffer_text(out, ": ");
        write_value(out, declared_type(parameters, name), value, value_length);
    }
    buffer_text(out, "}");
    return 1;
}

int tool_coder_call(const json_t *tools, const char *text, size_t length, char *name, size_t capacity,
                    struct buffer *arguments, size_t *used)
{
    struct cursor cursor = {.text = text, .length = length};
    int found = take_tag(&cursor, "<function=");
    if (found <= 0)
        return found;
    const char *word;
    size_t n;
    if (!take_until(&cursor, ">", &word, &n))
        return cursor.length - cursor.at < capacity ? 0 : -1;
    if (!n || n >= capacity)
        return -1;
    memcpy(name, word, n);
    name[n] = '\0';
    const json_t *parameters = NULL;
    if (!tool_json_declared(tools, name, &parameters))
        return -1;
    found = take_parameters(&cursor, parameters, arguments);
    if (found <= 0)
        return found;
    *used = cursor.at;
    /* a key given twice, or one that is no text, shows here */
    return !arguments->failed && tool_json_is_object(arguments->data, arguments->length) ? 1 : -1;
}
