/* GET / and the other addresses of the page, which are all one document: the page finds out by itself what to
 * show at /history/ID. Its files have the hash of their content in their names and are kept by browsers for
 * ever; the document is asked for each time, and answered with 304 while it is the same.
 *
 * A file is looked up by its whole decoded path in the list of what was embedded, so there is no path that
 * could lead anywhere else. */
#include "http/assets.h"

#include <string.h>

#include "http/exchange.h"
#include "http/router.h"

/* Only what this server sends, and nothing inline: no script and no style element can be smuggled into the
 * page through a model's text. Style *attributes* are allowed, because charts position their tooltips with
 * them; they can run nothing. data: and blob: are pictures that the page itself makes (exported charts). */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src-elem 'self'; "
                             "style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; "
                             "connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; "
                             "base-uri 'none'; form-action 'none'";

static const char document[] = "/index.html";

static const struct asset *find(const char *path)
{
    for (size_t i = 0; i < asset_count; i++)
        if (strcmp(asset_table[i].path, path) == 0)
            return &asset_table[i];
    return NULL;
}

static void reply(struct http_exchange *exchange, const struct asset *asset, const char *cache,
                  const char *vary)
{
    static const char *const names[CODINGS] = {"br", "gzip", NULL};
    bool available[CODINGS];
    for (size_t i = 0; i < CODINGS; i++)
        available[i] = asset->bodies[i].bytes != NULL;
    enum http_coding coding = negotiate_coding(http_header(exchange, "Accept-Encoding"), available);
    http_set_header(exchange, "Vary", vary);
    if (coding == CODINGS) {
        http_reply_problem(exchange, 406, "not_acceptable", NULL,
                           "the request's Accept-Encoding refuses every form in which this file can be sent: "
                           "allow br, gzip or identity");
        return;
    }
    http_set_header(exchange, "Content-Security-Policy", policy);
    http_set_header(exchange, "Cache-Control", cache);
    http_set_header(exchange, "ETag", asset->tags[coding]);
    if (names[coding])
        http_set_header(exchange, "Content-Encoding", names[coding]);
    /* A 304 has no body, but the head that the body would have had: its length, too (RFC 9110, 8.6). */
    bool there = negotiate_has_tag(http_header(exchange, "If-None-Match"), asset->tags[coding]);
    http_reply_constant(exchange, there ? 304 : 200, asset->type, asset->bodies[coding].bytes,
                        asset->bodies[coding].length);
}

static void get_page(struct http_exchange *exchange)
{
    const struct asset *page = find(document);
    /* An OpenAI client whose base URL lacks the /v1 asks for /models, and must not take the page for a list.
     */
    if (!page || !negotiate_takes_html(http_header(exchange, "Accept")))
        http_reply_problem(
            exchange, 404, "unknown_path", NULL,
            "%.200s is an address of the web page, for browsers; the API is under /v1 and /api, "
            "and GET /openapi.json lists all its paths",
            http_path(exchange));
    else
        reply(exchange, page, "no-cache", "Accept, Accept-Encoding");
}

static void get_asset(struct http_exchange *exchange)
{
    const struct asset *asset = find(http_path(exchange));
    if (asset)
        reply(exchange, asset, "public, max-age=31536000, immutable", "Accept-Encoding");
    else
        http_reply_problem(exchange, 404, "unknown_path", NULL,
                           "the web page has no file %.200s; a page that was open while LLMind was updated "
                           "wants to be loaded again",
                           http_path(exchange));
}

/* The page names its icon by its hashed name; bookmarks, other tools and browsers showing something else than
 * the page (a report, /metrics) ask for a name of their own. The drawing is the same under either: browsers
 * go by the type. */
static void get_icon(struct http_exchange *exchange)
{
    static const char icon[] = "/assets/favicon-";
    for (size_t i = 0; i < asset_count; i++)
        if (strncmp(asset_table[i].path, icon, sizeof icon - 1) == 0) {
            reply(exchange, &asset_table[i], "no-cache", "Accept-Encoding");
            return;
        }
    http_reply_problem(exchange, 404, "unknown_path", NULL, "the web page was built without an icon");
}

/* A browser may ask for any of the page's addresses: a link that was sent, a reload. */
static const struct http_route routes[] = {
    {"GET", "/", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/chat", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/chat/{rest...}", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/models", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/models/{rest...}", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/performance", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/performance/{rest...}", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/history", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/history/{rest...}", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/settings", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/settings/{rest...}", get_page, NULL, NULL, NULL, 0, false},
    {"GET", "/assets/{file...}", get_asset, NULL, NULL, NULL, 0, false},
    {"GET", "/favicon.ico", get_icon, NULL, NULL, NULL, 0, false},
    {"GET", "/favicon.svg", get_icon, NULL, NULL, NULL, 0, false},
};

const struct http_route_table asset_routes = {routes, sizeof routes / sizeof *routes};

/* By its first part alone: what lies behind it is the page's, or nothing. */
bool asset_is_at(const char *target)
{
    if (target[0] != '/' || target[1] == '/')
        return false;
    size_t length = strcspn(target + 1, "/?");
    for (size_t i = 0; i < asset_routes.count; i++) {
        const char *pattern = routes[i].pattern + 1;
        if (strcspn(pattern, "/") == length && memcmp(pattern, target + 1, length) == 0)
            return true;
    }
    return false;
}
