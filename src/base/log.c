#include "base/log.h"

#include <ctype.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

enum { LINE_BYTES = 4096, VALUE_BYTES = 1024 };

static atomic_int threshold = LOG_LEVEL_OFF;
static atomic_bool as_json;
static atomic_uint dropped; /* lines that nobody could be told */

static const char *const level_names[] = {"off", "error", "warning", "info", "debug"};

void log_open(enum log_level level, bool json)
{
    atomic_store(&threshold, (int)level);
    atomic_store(&as_json, json);
}

/* poll(2): a pipe is writable when PIPE_BUF bytes fit, so a write of no more than that does not wait. Where
 * stderr is a file or a terminal it is always writable. */
static bool write_now(const void *bytes, size_t n)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) && write(STDERR_FILENO, bytes, n) >= 0;
}

void log_relay(const void *bytes, size_t n)
{
    if (!write_now(bytes, n)) {
        atomic_fetch_add(&dropped, 1);
        return;
    }
    unsigned lost = atomic_exchange(&dropped, 0);
    char text[64];
    int length = snprintf(text, sizeof text, "(the log lost %u lines: nobody read it)\n", lost);
    if (lost && !write_now(text, (size_t)length))
        atomic_fetch_add(&dropped, lost);
}

/* A line that is put together in place; what does not fit is cut. */
struct line {
    char text[LINE_BYTES];
    size_t length;
};

static void put(struct line *line, const char *bytes, size_t n)
{
    size_t room = sizeof line->text - 2 - line->length; /* the newline and a closing brace always fit */
    if (n > room)
        n = room;
    memcpy(line->text + line->length, bytes, n);
    line->length += n;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* In quotes, escaped as JSON; what is not a printable character becomes '?'. A whole value fits or is cut
 * early enough for its closing quote. */
static void put_quoted(struct line *line, const char *value)
{
    put_text(line, "\"");
    size_t length = strlen(value);
    for (size_t i = 0; i < length && line->length < LINE_BYTES - 16;) {
        size_t n = utf8_character(value + i, length - i);
        if (value[i] == '"' || value[i] == '\\') {
            put(line, "\\", 1);
            put(line, value + i, 1);
        } else if (!n || (unsigned char)value[i] < 0x20 || value[i] == 0x7F) {
            put(line, "?", 1);
        } else {
            put(line, value + i, n);
        }
        i += n ? n : 1;
    }
    put_text(line, "\"");
}

static bool is_number(const char *value)
{
    const char *p = value + (*value == '-');
    if (!isdigit((unsigned char)*p))
        return false;
    size_t digits = strspn(p, "0123456789");
    p += digits;
    if (digits > 1 && p[-(long)digits] == '0')
        return false;
    if (*p == '.' && isdigit((unsigned char)p[1]))
        p += 1 + strspn(p + 1, "0123456789");
    return !*p;
}

static bool is_plain(const char *value)
{
    if (!*value)
        return false;
    for (const char *p = value; *p; p++)
        if (!isgraph((unsigned char)*p) || *p == '"' || *p == '=' || *p == '\\')
            return false;
    return true;
}

static void put_field(struct line *line, bool json, const char *name, size_t name_length, const char *value)
{
    put_text(line, json ? ",\"" : " ");
    put(line, name, name_length);
    put_text(line, json ? "\":" : "=");
    if (json ? is_number(value) : is_plain(value))
        put_text(line, value);
    else
        put_quoted(line, value);
}

/* One value in its own conversion: the va_list goes on where it stopped. */
static void format_value(char *out, const char *conversion, size_t length, va_list *arguments)
{
    char type = conversion[length - 1];
    bool is_long = memchr(conversion, 'l', length) != NULL;
    bool is_long_long = length > 2 && conversion[length - 2] == 'l' && conversion[length - 3] == 'l';
    bool is_size = memchr(conversion, 'z', length) != NULL;
    if (type == 's') {
        const char *text = va_arg(*arguments, const char *);
        snprintf(out, VALUE_BYTES, "%s", text ? text : "");
    } else if (type == 'd') {
        long long value = is_long_long ? va_arg(*arguments, long long)
                          : is_long    ? va_arg(*arguments, long)
                                       : va_arg(*arguments, int);
        snprintf(out, VALUE_BYTES, "%lld", value);
    } else if (type == 'u') {
        unsigned long long value = is_long_long ? va_arg(*arguments, unsigned long long)
                                   : is_size    ? va_arg(*arguments, size_t)
                                   : is_long    ? va_arg(*arguments, unsigned long)
                                                : va_arg(*arguments, unsigned);
        snprintf(out, VALUE_BYTES, "%llu", value);
    } else { /* %.Nf */
        int digits = length > 2 && conversion[1] == '.' ? conversion[2] - '0' : 3;
        snprintf(out, VALUE_BYTES, "%.*f", digits, va_arg(*arguments, double));
    }
}

static void put_fields(struct line *line, bool json, const char *fields, va_list *arguments)
{
    while (*fields) {
        size_t name = strcspn(fields, "=");
        const char *conversion = fields + name + 1;
        size_t length = strcspn(conversion, " ");
        char value[VALUE_BYTES];
        format_value(value, conversion, length, arguments);
        put_field(line, json, fields, name, value);
        fields = conversion + length;
        fields += *fields == ' ';
    }
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + n, sizeof text - n, ".%03ldZ", now.tv_nsec / 1000000L);
    put_text(line, text);
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    if ((int)level > atomic_load(&threshold) || level == LOG_LEVEL_OFF)
        return;
    bool json = atomic_load(&as_json);
    struct line line = {.length = 0};
    put_text(&line, json ? "{\"time\":\"" : "");
    put_time(&line);
    put_text(&line, json ? "\",\"level\":\"" : " ");
    put_text(&line, level_names[level]);
    put_text(&line, json ? "\",\"event\":\"" : " ");
    put_text(&line, event);
    put_text(&line, json ? "\"" : "");
    if (fields) {
        va_list arguments;
        va_start(arguments, fields);
        put_fields(&line, json, fields, &arguments);
        va_end(arguments);
    }
    if (json)
        line.text[line.length++] = '}';
    line.text[line.length++] = '\n';
    log_relay(line.text, line.length);
}
