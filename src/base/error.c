#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Hostile files name things with terminal escapes and half characters; a message must stay one clean line. */
static void make_printable(char *text)
{
    size_t length = strlen(text);
    if (length + 1 == ERROR_MESSAGE_MAX) { /* cut by vsnprintf: drop a half UTF-8 character at the end */
        size_t start = length;
        while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
            start--;
        if (start > 0 && (unsigned char)text[start - 1] >= 0xC0)
            text[start - 1] = '\0';
    }
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
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

int error_memory(struct error *error, const char *what, unsigned long long bytes)
{
    return error_set(error, ERROR_MEMORY, "not enough memory for %s (%llu bytes)", what, bytes);
}
