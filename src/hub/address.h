/* Addresses: which machine one names, whether a redirect may be followed, whether it gets the token. Pure.
 * Between the files of src/hub only. */
#ifndef LLMIND_HUB_ADDRESS_H
#define LLMIND_HUB_ADDRESS_H

#include <stdbool.h>

#include "base/error.h"

enum { HUB_MAX_ADDRESS = 8192, HUB_MAX_REDIRECTS = 5 };

/* Scheme, host and port: whom one talks to. */
struct hub_origin {
    bool https;
    char host[256];
    char port[8];
};

/* Of an http or https address without user name and password. plain: it must have no query and no fragment
 * either. ERROR_INVALID. */
int hub_origin_read(const char *address, bool plain, struct hub_origin *out, struct error *error);
bool hub_origin_equal(const struct hub_origin *a, const struct hub_origin *b);

/* Where `location` leads from `address`; *out is malloc'ed. An answer of an https hub may lead to https only
 * (secure). ERROR_INVALID (which rule), ERROR_MEMORY. */
int hub_redirect(const char *address, const char *location, bool secure, char **out, struct error *error);

#endif
