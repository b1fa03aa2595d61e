#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* C0 and C1 control characters and DEL: what a terminal may take for a command. n: bytes of the character. */
static bool is_control(const char *character, size_t n)
{
    unsigned char first = (unsigned char)character[0];
    return first < 0x20 || first == 0x7F || (n == 2 && first == 0xC2 && (unsigned char)character[1] < 0xA0);
}

/* Hostile files name things with terminal escapes and half characters; a message must stay one clean line.
 * What does not belong becomes '?': a control character as a whole, of anything that is not UTF-8 each byte.
 */
static void make_printable(char *text)
{
    size_t length = strlen(text), kept = 0;
    if (length + 1 == ERROR_MESSAGE_MAX) { /* cut by vsnprintf: drop a half UTF-8 character at the end */
        size_t start = length;
        while (start > length - 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
            start--;
        if ((unsigned char)text[start - 1] >= 0xC0 && !utf8_is_valid(text + start - 1, length - start + 1))
            length = start - 1;
    }
    for (size_t i = 0; i < length;) {
        size_t n = utf8_character(text + i, length - i);
        if (n == 0 || is_control(text + i, n))
            text[kept++] = '?';
        else
            for (size_t k = 0; k < n; k++)
                text[kept++] = text[i + k];
        i += n ? n : 1;
    }
    text[kept] = '\0';
}

int error_set(struct error *error, int code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        make_printable(error->message);
    }
    return code;
}

const char *error_code_name(int code)
{
    static const char *const names[] = {
        [-ERROR_INVALID] = "invalid",
        [-ERROR_NOT_FOUND] = "not_found",
        [-ERROR_UNSUPPORTED] = "unsupported",
        [-ERROR_MEMORY] = "memory",
        [-ERROR_IO] = "io",
        [-ERROR_LIMIT] = "limit",
        [-ERROR_BUSY] = "busy",
        [-ERROR_CANCELLED] = "cancelled",
        [-ERROR_INTERNAL] = "internal",
    };
    return code <= ERROR_INVALID && code >= ERROR_INTERNAL ? names[-code] : "internal";
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    char old[ERROR_MESSAGE_MAX];
    memcpy(old, error->message, sizeof old);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    size_t length = strlen(error->message);
    snprintf(error->message + length, sizeof error->message - length, ": %s", old);
    make_printable(error->message);
}

void error_replace(struct error *error, const char *what, const char *by)
{
    size_t length = strlen(what), kept = 0;
    if (!error || !length)
        return;
    char old[ERROR_MESSAGE_MAX];
    memcpy(old, error->message, sizeof old);
    error->message[0] = '\0';
    for (const char *rest = old; *rest && kept + 1 < sizeof error->message;) {
        const char *found = strstr(rest, what);
        int before = found ? (int)(found - rest) : (int)strlen(rest);
        snprintf(error->message + kept, sizeof error->message - kept, "%.*s%s", before, rest,
                 found ? by : "");
        kept += strlen(error->message + kept);
        rest += before + (found ? (int)length : 0);
    }
    make_printable(error->message);
}

int error_memory(struct error *error, const char *what, unsigned long long bytes)
{
    return error_set(error, ERROR_MEMORY, "not enough memory for %s (%llu bytes)", what, bytes);
}
