/* curl's own parser takes addresses apart here, the one that connects to them later, so that the two cannot
 * disagree about who is meant. */
#include "hub/address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(struct error *error, const char *what)
{
    return error_set(error, ERROR_INVALID, "the address %s", what);
}

static bool copy_part(CURLU *url, CURLUPart part, unsigned flags, char *out, size_t capacity)
{
    char *text = NULL;
    bool good = curl_url_get(url, part, &text, flags) == CURLUE_OK && text && strlen(text) < capacity;
    if (good)
        snprintf(out, capacity, "%s", text);
    curl_free(text);
    return good;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static int read_parts(CURLU *url, bool plain, struct hub_origin *out, struct error *error)
{
    char scheme[16];
    if (!copy_part(url, CURLUPART_SCHEME, 0, scheme, sizeof scheme) ||
        (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
        return wrong(error, "must begin with https:// or http://");
    out->https = strcmp(scheme, "https") == 0;
    if (!copy_part(url, CURLUPART_HOST, 0, out->host, sizeof out->host) ||
        !copy_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, out->port, sizeof out->port))
        return wrong(error, "names no host");
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        return wrong(error, "must not have a user name or password in it");
    if (plain && (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT)))
        return wrong(error, "must have no '?' and no '#'");
    return 0;
}

static bool is_clean(const char *address)
{
    size_t length = strnlen(address, HUB_MAX_ADDRESS + 1);
    if (length == 0 || length > HUB_MAX_ADDRESS)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)address[i] <= ' ' || address[i] == 0x7f)
            return false;
    return true;
}

int hub_origin_read(const char *address, bool plain, struct hub_origin *out, struct error *error)
{
    *out = (struct hub_origin){.https = false};
    if (!is_clean(address))
        return wrong(error, "is empty, too long, or has blanks or control characters in it");
    CURLU *url = curl_url();
    if (!url)
        return error_memory(error, "an address", 0);
    int status = curl_url_set(url, CURLUPART_URL, address, 0) ? wrong(error, "is none that could be read")
                                                              : read_parts(url, plain, out, error);
    curl_url_cleanup(url);
    return status;
}

bool hub_origin_equal(const struct hub_origin *a, const struct hub_origin *b)
{
    return a->https == b->https && strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

int hub_redirect(const char *address, const char *location, bool secure, char **out, struct error *error)
{
    *out = NULL;
    if (!is_clean(location))
        return error_set(error, ERROR_INVALID, "the hub redirects to no address that could be one");
    CURLU *url = curl_url();
    char *text = NULL;
    struct hub_origin origin;
    int status = 0;
    if (!url)
        return error_memory(error, "an address", 0);
    if (curl_url_set(url, CURLUPART_URL, address, 0) || curl_url_set(url, CURLUPART_URL, location, 0) ||
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) || curl_url_get(url, CURLUPART_URL, &text, 0))
        status = error_set(error, ERROR_INVALID, "the hub redirects to an address that cannot be read");
    else if ((status = hub_origin_read(text, false, &origin, error)))
        error_prefix(error, "a redirect of the hub");
    else if (secure && !origin.https)
        status = error_set(error, ERROR_INVALID,
                           "the hub redirects from https to http (%s), which is not followed", origin.host);
    else if (!(*out = strdup(text)))
        status = error_memory(error, "an address", strlen(text));
    curl_free(text);
    curl_url_cleanup(url);
    return status;
}
