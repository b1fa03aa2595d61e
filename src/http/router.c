/* A few dozen routes are matched one by one: that costs a microsecond, and there is no tree to get wrong. Of
 * several patterns that fit, the one whose first differing part is more literal wins, so that
 * /api/models/load is not a model called "load". */
#include "http/router.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "service/near.h"

enum { MAX_CANDIDATES = 256, MAX_PARTS = 12 };

/* How literal each part of a pattern is; compared like a word of these letters, the greater wins. */
enum part_kind { PART_REST = 1, PART_NAME = 2, PART_LITERAL = 3 };

struct attempt {
    struct http_match match;
    char kinds[MAX_PARTS + 1];
};

static bool is_rest(const char *part, size_t length)
{
    return length > 5 && memcmp(part + length - 4, "...}", 4) == 0;
}

static bool take_parameter(struct attempt *attempt, const char *part, size_t part_length, const char *value,
                           size_t length)
{
    struct http_match *match = &attempt->match;
    if (match->n_parameters == HTTP_MAX_PARAMETERS || length == 0)
        return false;
    match->parameters[match->n_parameters].name = part + 1;
    match->parameters[match->n_parameters].name_length = part_length - (is_rest(part, part_length) ? 5 : 2);
    match->parameters[match->n_parameters].value = value;
    match->parameters[match->n_parameters].length = length;
    match->n_parameters++;
    return true;
}

/* Does the path fit the pattern? Both begin with a slash. */
static bool fits(const char *pattern, const char *path, struct attempt *attempt)
{
    memset(attempt, 0, sizeof *attempt);
    for (size_t i = 0; *pattern == '/' && *path == '/' && i < MAX_PARTS; i++) {
        const char *part = pattern + 1, *value = path + 1;
        size_t part_length = strcspn(part, "/"), length = strcspn(value, "/");
        if (*part != '{') {
            if (part_length != length || memcmp(part, value, length) != 0)
                return false;
            attempt->kinds[i] = PART_LITERAL;
        } else if (is_rest(part, part_length)) {
            attempt->kinds[i] = PART_REST;
            return take_parameter(attempt, part, part_length, value, strlen(value));
        } else {
            if (!take_parameter(attempt, part, part_length, value, length))
                return false;
            attempt->kinds[i] = PART_NAME;
        }
        pattern = part + part_length;
        path = value + length;
    }
    return !*pattern && !*path;
}

static void allow(char *list, const char *method)
{
    if (strstr(list, method))
        return;
    size_t used = strlen(list);
    snprintf(list + used, HTTP_ALLOW_TEXT - used, "%s%s", used ? ", " : "", method);
}

void http_match_route(const struct http_route_table *const *tables, size_t n_tables, const char *method,
                      const char *path, struct http_match *out)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    bool page_method = strcmp(wanted, "GET") == 0 || strcmp(method, "OPTIONS") == 0;
    struct attempt best = {.kinds = ""}, attempt;
    char methods[HTTP_ALLOW_TEXT] = "";
    const char *candidates[MAX_CANDIDATES];
    size_t n_candidates = 0;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct http_route *route = &tables[t]->routes[i];
            bool is_page = route->summary == NULL;
            if (is_page && !page_method)
                continue;
            if (!is_page && n_candidates < MAX_CANDIDATES)
                candidates[n_candidates++] = route->pattern;
            if (!fits(route->pattern, path, &attempt))
                continue;
            allow(methods, route->method);
            if (strcmp(route->method, "GET") == 0)
                allow(methods, "HEAD");
            if (strcmp(route->method, wanted) == 0 && strcmp(attempt.kinds, best.kinds) > 0) {
                best = attempt;
                best.match.route = route;
            }
        }
    if (methods[0])
        allow(methods, "OPTIONS");
    *out = best.match;
    memcpy(out->allow, methods, sizeof methods);
    out->near = methods[0] ? NULL : near_name(path, candidates, n_candidates);
}
