/* GET /v1/models and /v1/models/{id}: the catalogue in OpenAI's form; and the endpoint that no model here can
 * serve. A model that is there and cannot be used is not listed: clients offer the list to people. */
#include <string.h>
#include <sys/stat.h>

#include "http/fields.h"
#include "http/openai.h"
#include "service/catalog.h"
#include "service/host.h"

static json_t *describe(const struct catalog_entry *entry)
{
    struct stat status;
    json_int_t created = stat(entry->path, &status) == 0 ? (json_int_t)status.st_mtime : 0;
    return json_pack("{s:s, s:s, s:I, s:s, s:I}", "id", entry->name, "object", "model", "created", created,
                     "owned_by", entry->source, "max_model_len", (json_int_t)entry->summary.context);
}

static bool is_usable(const struct catalog_entry *entry)
{
    return !entry->problem && entry->summary.supported;
}

/* False: the request was answered with an error. */
static bool scan(struct http_exchange *exchange, const struct host_state *state, struct catalog *catalog)
{
    struct error error = {0};
    *catalog = (struct catalog){0};
    if (catalog_scan(catalog, &error) == 0 &&
        (!state->has_info || catalog_add_served(catalog, state->model, state->info.model_path, &error) == 0))
        return true;
    catalog_free(catalog);
    http_reply_error(exchange, &error, NULL);
    return false;
}

/* The loaded model comes first: a client that takes the first of the list is not to have another one loaded.
 */
void openai_get_models(struct http_exchange *exchange)
{
    struct catalog catalog;
    struct host_state state;
    host_state(http_services(exchange)->host, &state);
    if (!scan(exchange, &state, &catalog))
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < catalog.count; i++) {
        const struct catalog_entry *entry = &catalog.entries[i];
        if (!is_usable(entry))
            continue;
        bool is_loaded = state.has_info && strcmp(entry->name, state.model) == 0;
        json_array_insert_new(list, is_loaded ? 0 : json_array_size(list), describe(entry));
    }
    catalog_free(&catalog);
    http_reply_json(exchange, 200, list ? json_pack("{s:s, s:o}", "object", "list", "data", list) : NULL);
}

void openai_get_model(struct http_exchange *exchange)
{
    const char *id = http_parameter(exchange, "id");
    struct catalog catalog;
    struct host_state state;
    host_state(http_services(exchange)->host, &state);
    if (!scan(exchange, &state, &catalog))
        return;
    const struct catalog_entry *found = NULL;
    for (size_t i = 0; id && !found && i < catalog.count; i++)
        if (is_usable(&catalog.entries[i]) && strcmp(catalog.entries[i].name, id) == 0)
            found = &catalog.entries[i];
    if (found)
        http_reply_json(exchange, 200, describe(found));
    else
        http_reply_problem(exchange, 404, "model_not_found", "model",
                           "there is no usable model \"%.200s\"; GET /v1/models lists them", id ? id : "");
    catalog_free(&catalog);
}
