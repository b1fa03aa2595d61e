/* The web page: files that travel inside the program (cmake/web.cmake), each as it is and compressed.
 *
 * They hold no secrets, so they are served without an API key; the page asks for one when /api does.
 */
#ifndef LLMIND_HTTP_ASSETS_H
#define LLMIND_HTTP_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "http/negotiate.h"

struct asset {
    const char *path;          /* "/assets/index-D2kF4nqa.js", "/index.html" */
    const char *type;          /* "text/javascript; charset=utf-8" */
    const char *tags[CODINGS]; /* entity tags, with their quotes: one for each coding, as its bytes differ */
    struct {
        const unsigned char *bytes; /* NULL: not in this coding, as it would save next to nothing */
        size_t length;
    } bodies[CODINGS];
};

/* Written by cmake/web_embed.mjs. */
extern const struct asset asset_table[];
extern const size_t asset_count;

/* Whether this target (encoded, with or without a query) is the page's: a GET or HEAD of it needs no key. */
bool asset_is_at(const char *target);

#endif
