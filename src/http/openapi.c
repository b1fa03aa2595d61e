/* GET /openapi.json (OpenAPI 3.1), made from the route tables themselves, so that a route that exists is a
 * route that is described; only the shapes of bodies come from docs/openapi_schemas.json. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "http/router.h"
#include "http/schemas.h"

/* "/v1/models/{id...}" is "/v1/models/{id}" there. */
static void path_of(const char *pattern, char *out, size_t capacity)
{
    size_t n = 0;
    while (*pattern && n + 1 < capacity) {
        pattern += strncmp(pattern, "...}", 4) == 0 ? 3 : 0;
        out[n++] = *pattern++;
    }
    out[n] = '\0';
}

/* "get_v1_models_id": unique, because method and path are. */
static void operation_id(const struct http_route *route, char *out, size_t capacity)
{
    size_t n = 0;
    for (const char *p = route->method; *p && n + 1 < capacity; p++)
        out[n++] = (char)tolower((unsigned char)*p);
    for (const char *p = route->pattern; *p && n + 1 < capacity; p++) {
        if (isalnum((unsigned char)*p))
            out[n++] = *p;
        else if (n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n > 0 && out[n - 1] == '_')
        n--;
    out[n] = '\0';
}

static json_t *json_content(const char *schema)
{
    char reference[128];
    snprintf(reference, sizeof reference, "#/components/schemas/%s", schema);
    return json_pack("{s:{s:{s:s}}}", "application/json", "schema", "$ref", reference);
}

static json_t *parameters_of(const char *path)
{
    json_t *list = json_array();
    for (const char *open = strchr(path, '{'); open; open = strchr(open + 1, '{')) {
        int length = (int)strcspn(open + 1, "}");
        json_array_append_new(list, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", open + 1, (size_t)length,
                                              "in", "path", "required", 1, "schema", "type", "string"));
    }
    return list;
}

static json_t *operation(const struct http_route *route, const char *path)
{
    char id[128], status[4] = "200";
    const char *response = route->response;
    operation_id(route, id, sizeof id);
    json_t *fine = json_pack("{s:s}", "description", route->summary);
    if (response && strspn(response, "0123456789") == 3) {
        memcpy(status, response, 3);
        response += 4;
    }
    if (response)
        json_object_set_new(fine, "content", json_content(response));
    json_t *made =
        json_pack("{s:s, s:s, s:o, s:{s:o, s:{s:s, s:o}}}", "operationId", id, "summary", route->summary,
                  "parameters", parameters_of(path), "responses", status, fine, "default", "description",
                  "What is wrong, and what to do", "content", json_content("Problem"));
    if (route->request)
        json_object_set_new(made, "requestBody", json_pack("{s:o}", "content", json_content(route->request)));
    return made;
}

static json_t *paths(void)
{
    json_t *all = json_object();
    size_t n_tables;
    const struct http_route_table *const *tables = http_all_routes(&n_tables);
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct http_route *route = &tables[t]->routes[i];
            char path[128], method[16] = "";
            if (!route->summary)
                continue; /* the web page's */
            path_of(route->pattern, path, sizeof path);
            for (size_t k = 0; route->method[k] && k + 1 < sizeof method; k++)
                method[k] = (char)tolower((unsigned char)route->method[k]);
            if (!json_object_get(all, path))
                json_object_set_new(all, path, json_object());
            json_object_set_new(json_object_get(all, path), method, operation(route, path));
        }
    return all;
}

static void get_openapi(struct http_exchange *exchange)
{
    json_t *components = json_loadb(openapi_schemas, openapi_schemas_length, 0, NULL);
    json_t *security = json_pack("{s:{s:s, s:s}, s:{s:s, s:s, s:s}}", "bearer", "type", "http", "scheme",
                                 "bearer", "header", "type", "apiKey", "in", "header", "name", "X-API-Key");
    if (!components || !security) {
        json_decref(components);
        json_decref(security);
        http_reply_json(exchange, 500, NULL);
        return;
    }
    json_object_set_new(components, "securitySchemes", security);
    http_reply_json(exchange, 200,
                    json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{}, {s:[]}, {s:[]}], s:o, s:o}", "openapi",
                              "3.1.0", "info", "title", "LLMind", "version", version_number(), "summary",
                              "Serves language models on this machine and tells how fast they are, and why.",
                              "security", "bearer", "header", "paths", paths(), "components", components));
}

static const struct http_route routes[] = {
    {"GET", "/openapi.json", get_openapi, "This description of everything there is", NULL, "OpenApi", 0,
     false},
};

const struct http_route_table openapi_routes = {routes, sizeof routes / sizeof *routes};
