/* A data line must not contain a newline of any kind (CR, LF, CRLF all end a line), so a text is cut into one
 * data line per line; the client joins them with LF again. JSON has no raw newlines and needs no cutting. */
#include "http/sse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct buffer *out, const char *event, int64_t id)
{
    if (event)
        buffer_format(out, "event: %s\n", event);
    if (id >= 0)
        buffer_format(out, "id: %" PRId64 "\n", id);
}

static size_t line_length(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && text[n] != '\n' && text[n] != '\r')
        n++;
    return n;
}

void sse_text(struct buffer *out, const char *event, int64_t id, const char *text, size_t length)
{
    begin(out, event, id);
    for (;;) {
        size_t n = line_length(text, length);
        buffer_text(out, "data: ");
        buffer_append(out, text, n);
        buffer_text(out, "\n");
        if (n == length)
            break;
        size_t end = text[n] == '\r' && n + 1 < length && text[n + 1] == '\n' ? 2 : 1;
        text += n + end;
        length -= n + end;
    }
    buffer_text(out, "\n");
}

void sse_json(struct buffer *out, const char *event, int64_t id, json_t *data)
{
    char *text = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(data);
    if (text)
        sse_text(out, event, id, text, strlen(text));
    else
        out->failed = true;
    free(text);
}

void sse_comment(struct buffer *out, const char *text)
{
    buffer_format(out, ": %s\n\n", text);
}
