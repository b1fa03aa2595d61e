/* Percent-encoding (RFC 3986, 2.1). Routes are matched on the raw path, so that an encoded slash inside a
 * parameter never becomes a separator; every part is decoded exactly once. */
#include "http/target.h"

#include <string.h>

#include "base/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

const char *target_decode(const char *text, size_t length, bool plus_is_space, const char *what,
                          struct arena *arena, struct error *error)
{
    char *out = arena_alloc(arena, length + 1, 1);
    if (!out) {
        error_memory(error, what, length + 1);
        return NULL;
    }
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            bool room = length - i > 2;
            int high = room ? hex_digit(text[i + 1]) : -1, low = room ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                error_set(error, ERROR_INVALID, "the %s has a '%%' without two hexadecimal digits after it",
                          what);
                return NULL;
            }
            c = (char)(16 * high + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            error_set(error, ERROR_INVALID, "the %s contains a zero byte", what);
            return NULL;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    if (!utf8_is_valid(out, n)) {
        error_set(error, ERROR_INVALID, "the %s is not UTF-8", what);
        return NULL;
    }
    return out;
}

static int parse_query(const char *text, struct arena *arena, struct http_target *out, struct error *error)
{
    while (*text) {
        size_t length = strcspn(text, "&");
        const char *equals = memchr(text, '=', length);
        size_t name = equals ? (size_t)(equals - text) : length;
        if (length > 0) {
            if (out->n_query == HTTP_MAX_QUERY)
                return error_set(error, ERROR_INVALID, "the query has more than %d parameters",
                                 HTTP_MAX_QUERY);
            struct http_pair *pair = &out->query[out->n_query++];
            const char *value = equals ? equals + 1 : text + length;
            pair->name = target_decode(text, name, true, "query", arena, error);
            pair->value = pair->name ? target_decode(value, (size_t)(text + length - value), true, "query",
                                                     arena, error)
                                     : NULL;
            if (!pair->value)
                return error ? error->code : ERROR_INVALID;
        }
        text += length;
        text += *text == '&';
    }
    return 0;
}

int target_parse(const char *text, struct arena *arena, struct http_target *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    size_t length = strcspn(text, "?");
    out->raw_path = arena_printf(arena, "%.*s", (int)length, text);
    if (!out->raw_path)
        return error_memory(error, "a path", length + 1);
    out->path = target_decode(text, length, false, "path", arena, error);
    if (!out->path)
        return error ? error->code : ERROR_INVALID;
    return text[length] ? parse_query(text + length + 1, arena, out, error) : 0;
}
