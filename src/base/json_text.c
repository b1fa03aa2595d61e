/* Most text needs no escape, so runs of ordinary characters are copied whole. */
#include "base/json_text.h"

#include <math.h>
#include <stdbool.h>

#include "base/utf8.h"

static void write_escape(struct buffer *buffer, unsigned char c)
{
    static const char *const short_forms[] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n",  ['\r'] = "\\r",
        ['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\",
    };
    if (c < sizeof short_forms / sizeof *short_forms && short_forms[c])
        buffer_append(buffer, short_forms[c], 2);
    else
        buffer_format(buffer, "\\u%04x", (unsigned)c);
}

void buffer_json_string(struct buffer *buffer, const char *text, size_t length)
{
    size_t run = 0; /* where what is not written yet begins */
    size_t i = 0;
    buffer_append(buffer, "\"", 1);
    while (i < length) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t n = c < 0x80 ? 0 : utf8_character(text + i, length - i);
        if (n) {
            i += n;
            continue;
        }
        buffer_append(buffer, text + run, i - run);
        if (c < 0x80)
            write_escape(buffer, c);
        else
            buffer_append(buffer, "\xEF\xBF\xBD", 3);
        run = ++i;
    }
    buffer_append(buffer, text + run, i - run);
    buffer_append(buffer, "\"", 1);
}

void buffer_json_float(struct buffer *buffer, float number)
{
    if (isfinite(number))
        buffer_format(buffer, "%.9g", (double)number);
    else
        buffer_text(buffer, "null");
}

void buffer_json_double(struct buffer *buffer, double number)
{
    if (isfinite(number))
        buffer_format(buffer, "%.17g", number);
    else
        buffer_text(buffer, "null");
}

struct json_text_size json_text_measure(const char *text, size_t length)
{
    struct json_text_size size = {0};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else
                in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            size.containers++;
            size.values++;
            if (++depth > size.depth)
                size.depth = depth;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',') {
            size.values++;
        }
    }
    return size;
}
