/* One decoder of characters, and the few tables of which of them must not be shown as they are. */
#include "profile/clean.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static const char ELLIPSIS[] = "…";

uint32_t clean_next(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    if (!at[0])
        return 0;
    size_t length = utf8_character(*text, strnlen(*text, 4));
    *text += length ? length : 1;
    switch (length) {
    case 1:
        return at[0];
    case 2:
        return (uint32_t)(at[0] & 0x1F) << 6 | (at[1] & 0x3F);
    case 3:
        return (uint32_t)(at[0] & 0x0F) << 12 | (uint32_t)(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
    case 4:
        return (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3F) << 12 |
               (uint32_t)(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
    default:
        return '?';
    }
}

static bool is_blank(uint32_t c)
{
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029 || c == 0x3000;
}

/* What is dropped: marks that turn the direction of a line, that cannot be seen, or that hide text. */
static bool is_hidden(uint32_t c)
{
    return c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF ||
           (c >= 0xFFF0 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || c >= 0xE0000;
}

static bool is_combining(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36F) || (c >= 0x483 && c <= 0x489) || (c >= 0x591 && c <= 0x5BD) ||
           (c >= 0x610 && c <= 0x61A) || (c >= 0x64B && c <= 0x65F) || (c >= 0x1AB0 && c <= 0x1AFF) ||
           (c >= 0x1DC0 && c <= 0x1DFF) || (c >= 0x20D0 && c <= 0x20FF) || (c >= 0xFE20 && c <= 0xFE2F);
}

static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
           (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
}

static size_t character_width(uint32_t c)
{
    return is_combining(c) || is_hidden(c) ? 0 : is_wide(c) ? 2 : 1;
}

/* Marks are stacked on a letter without end by people who like to break pages. */
enum { MAX_MARKS = 2 };

void clean_line(struct buffer *out, const char *text, size_t max_characters)
{
    size_t n = 0, marks = 0, last = out->length; /* where the last character of the result begins */
    bool blank = false;
    buffer_append(out, "", 0);
    for (const char *from = text; *text; from = text) {
        bool bad = utf8_character(text, strnlen(text, 4)) == 0;
        uint32_t c = clean_next(&text);
        if (is_hidden(c))
            continue;
        if (is_blank(c)) {
            blank = n > 0;
            continue;
        }
        marks = is_combining(c) ? marks + 1 : 0;
        if (marks > MAX_MARKS)
            continue;
        size_t wanted = n + 1 + (blank ? 1 : 0);
        if (wanted > max_characters) {
            if (n == max_characters && !out->failed)
                out->length = last;
            buffer_text(out, max_characters ? ELLIPSIS : "");
            return;
        }
        if (blank)
            buffer_text(out, " ");
        blank = false;
        last = out->length;
        buffer_append(out, bad ? "?" : from, bad ? 1 : (size_t)(text - from));
        n = wanted;
    }
}

const char *clean_copy(struct arena *arena, const char *text, size_t max_characters)
{
    struct buffer line = {0};
    if (text)
        clean_line(&line, text, max_characters);
    char *copy = line.data && !line.failed ? arena_strdup(arena, line.data) : NULL;
    buffer_free(&line);
    return copy ? copy : "";
}

size_t clean_width(const char *text)
{
    size_t width = 0;
    for (uint32_t c; (c = clean_next(&text)) != 0;)
        width += character_width(c);
    return width;
}

/* Bytes of the longest beginning of at most `width` columns. */
static size_t prefix_of_width(const char *text, size_t width)
{
    const char *at = text, *next = text;
    for (uint32_t c; (c = clean_next(&next)) != 0; at = next) {
        size_t own = character_width(c);
        if (own > width)
            break;
        width -= own;
    }
    return (size_t)(at - text);
}

void clean_cut(struct buffer *out, const char *text, size_t width)
{
    if (clean_width(text) <= width) {
        buffer_text(out, text);
    } else if (width > 0) {
        size_t length = prefix_of_width(text, width - 1);
        while (length > 0 && text[length - 1] == ' ')
            length--;
        buffer_append(out, text, length);
        buffer_text(out, ELLIPSIS);
    }
}

void clean_wrap(struct buffer *out, const char *text, size_t at, size_t indent, size_t width)
{
    enum { MIN_WIDTH = 8 };
    size_t column = at;
    bool begun = false; /* a word is on this line */
    if (width < indent + MIN_WIDTH)
        width = indent + MIN_WIDTH;
    while (*text) {
        size_t bytes = strcspn(text, " ");
        if (bytes == 0) {
            text++;
            continue;
        }
        char word[512];
        if (bytes >= sizeof word)
            bytes = prefix_of_width(text, sizeof word / 8);
        memcpy(word, text, bytes);
        word[bytes] = 0;
        size_t own = clean_width(word);
        if ((begun || column > indent) && column + (begun ? 1 : 0) + own > width) {
            buffer_format(out, "\n%*s", (int)indent, "");
            column = indent;
            begun = false;
        }
        if (column + own > width && !begun) { /* longer than a line: broken */
            size_t part = prefix_of_width(word, width - column);
            bytes = part ? part : utf8_character(word, bytes);
            word[bytes ? bytes : 1] = 0;
            bytes = strlen(word);
            own = clean_width(word);
        }
        buffer_format(out, "%s%s", begun ? " " : "", word);
        column += own + (begun ? 1 : 0);
        begun = true;
        text += bytes;
    }
    buffer_text(out, "\n");
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80);
}

void clean_markdown(struct buffer *out, const char *text)
{
    buffer_append(out, "", 0);
    for (const char *at = text; *at; at++) {
        char previous = at == text ? ' ' : at[-1], next = at[1];
        bool escape = strchr("\\|<>`*~", *at) != NULL;
        if (*at == '_')
            escape = !(is_word(previous) && is_word(next)); /* inside of words it means nothing */
        else if (*at == ']')
            escape = next == '(' || next == '[' || next == ':';
        else if (*at == '&')
            escape = is_word(next) || next == '#';
        else if (at == text && strchr("#+-=", *at))
            escape = next == ' ' || *at == '#' || next == *at;
        if (escape)
            buffer_text(out, "\\");
        buffer_append(out, at, 1);
    }
}

void clean_xml(struct buffer *out, const char *text)
{
    buffer_append(out, "", 0);
    for (; *text; text++) {
        switch (*text) {
        case '&':
            buffer_text(out, "&amp;");
            break;
        case '<':
            buffer_text(out, "&lt;");
            break;
        case '>':
            buffer_text(out, "&gt;");
            break;
        case '"':
            buffer_text(out, "&quot;");
            break;
        case '\'':
            buffer_text(out, "&#39;");
            break;
        default:
            buffer_append(out, text, 1);
        }
    }
}
