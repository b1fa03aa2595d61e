/* The head of a request, read strictly from the bytes as they came: for who decides before the HTTP library
 * has seen the connection. What is not plain is not an error here, only not read: the library and the guard
 * (guard.h) are the ones to judge it. */
#ifndef LLMIND_HTTP_HEAD_H
#define LLMIND_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "http/exchange_internal.h"

enum { HTTP_HEAD_HEADERS = 32 };

struct http_head {
    const char *method, *target, *version;
    struct http_header headers[HTTP_HEAD_HEADERS];
    size_t n_headers;
    size_t bytes; /* of all of it, the empty line included */
};

/* Splits bytes in place (they are written to; what `out` points at lies in them). false: it is not whole, or
 * not plain: no zero byte, one blank between the parts of the first line, every line "Name: value" ended by
 * CR LF, at most HTTP_HEAD_HEADERS of them. Pure. */
bool http_head_read(char *bytes, size_t length, struct http_head *out);

#endif
