/* `llmind list`: models on this machine. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/places.h"
#include "profile/format.h"
#include "profile/table.h"
#include "service/catalog.h"

enum { OPTION_JSON = 300 };

static const struct cli_option options[] = {
    {OPTION_JSON, 0, "json", NULL, "an array of objects instead of a table"}, {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {.command = "list",
                                     .arguments = "[--json]",
                                     .about =
                                         "Lists the models on this machine: the built-in one, those in the "
                                         "data folder (models/), those in the\n"
                                         "folders of LLMIND_MODEL_PATH, and those in the Hugging Face cache.",
                                     .options = options,
                                     .examples = "  llmind list\n"
                                                 "  LLMIND_MODEL_PATH=/data/models llmind list --json\n"};

static void put(json_t *object, const char *key, const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    json_object_set_new(object, key, string ? string : json_null());
}

static void print_json(const struct catalog *catalog)
{
    json_t *list = json_array();
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        const struct model_summary *summary = &entry->summary;
        json_t *o = json_object();
        put(o, "name", entry->name);
        put(o, "path", entry->path);
        put(o, "source", entry->source);
        put(o, "architecture", summary->architecture);
        put(o, "quantization", summary->quantization);
        bool known = !entry->problem;
        json_object_set_new(o, "parameters",
                            known ? json_integer((json_int_t)summary->parameters) : json_null());
        json_object_set_new(o, "file_bytes",
                            known ? json_integer((json_int_t)summary->file_bytes) : json_null());
        json_object_set_new(o, "context", known ? json_integer(summary->context) : json_null());
        json_object_set_new(o, "supported", json_boolean(known && summary->supported));
        put(o, "problem", entry->problem);
        json_array_append_new(list, o);
    }
    char *text = json_dumps(list, JSON_INDENT(2));
    if (text)
        puts(text);
    free(text);
    json_decref(list);
}

static void print_table(const struct catalog *catalog)
{
    static const char *const heading[] = {"name", "architecture", "quantization", "parameters",
                                          "size", "context",      "from"};
    struct table table;
    table_init(&table, "lllrrrl");
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        const struct model_summary *summary = &entry->summary;
        if (entry->problem)
            continue;
        char number[FORMAT_MAX];
        table_cell(&table, "%s", entry->name);
        table_cell(&table, "%s%s", summary->architecture, summary->supported ? "" : " (not supported)");
        table_cell(&table, "%s", summary->quantization ? summary->quantization : "-");
        table_cell(&table, "%s", format_count(number, (double)summary->parameters));
        table_cell(&table, "%s", format_bytes(number, (double)summary->file_bytes));
        table_cell(&table, "%u", summary->context);
        table_cell(&table, "%s", entry->source);
    }
    if (table.n_cells > table.n_columns)
        table_print(&table, stdout, terminal_has_color(stdout) ? TABLE_TEXT_COLOR : TABLE_TEXT, 0);
    table_free(&table);
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i].problem)
            printf("cannot be used: %s (%s)\n", catalog->entries[i].name, catalog->entries[i].problem);
}

static void print_nothing(void)
{
    char data[1024] = "the data folder", hub[1024] = "the Hugging Face cache";
    places_data(data, sizeof data, NULL);
    places_hub_cache(hub, sizeof hub, NULL);
    printf("No models: looked for the built-in one, in %s/models, in LLMIND_MODEL_PATH and in %s.\n", data,
           hub);
}

int cli_list(int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        json = json || id == OPTION_JSON;
    if (id < 0)
        return cli_leave(&parser, id);
    struct error error = {0};
    struct catalog catalog;
    if (catalog_scan(&catalog, &error))
        return cli_failed("list", &error);
    if (json)
        print_json(&catalog);
    else if (catalog.count == 0)
        print_nothing();
    else
        print_table(&catalog);
    catalog_free(&catalog);
    return CLI_EXIT_OK;
}
