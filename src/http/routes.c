/* The list of all route tables. A new file of routes is added here. */
#include "http/router.h"

static const struct http_route_table *const tables[] = {
    &openai_routes, &model_routes,     &download_routes, &chat_routes,  &settings_routes,
    &live_routes,   &profiling_routes, &openapi_routes,  &asset_routes,
};

const struct http_route_table *const *http_all_routes(size_t *n_tables)
{
    *n_tables = sizeof tables / sizeof *tables;
    return tables;
}
