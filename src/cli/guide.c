/* `llmind guide`: the optimization guide as text, and which models suit this machine. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/ceilings.h"
#include "profile/guide.h"
#include "profile/json_get.h"
#include "profile/table.h"

enum { OPTION_JSON = 300, WIDTH = 96, MAX_LISTED = 12 };

static const struct cli_option options[] = {{OPTION_JSON, 0, "json", NULL, "one JSON object instead of text"},
                                            {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "guide",
    .arguments = "[TOPIC] [--json]",
    .about =
        "What makes language models fast: techniques, the flags of LLMind and of MLX, advice by kind of\n"
        "machine, and which models fit this one. TOPIC is a word to search for: memory, computation, model,\n"
        "hardware, quantization, kv, 'M3 Max' ... Without one the read bandwidth of this machine is measured "
        "(or\n"
        "taken from the last time), to estimate how fast each model would be.",
    .options = options,
    .min_positional = 0,
    .max_positional = 1,
    .examples = "  llmind guide\n"
                "  llmind guide quantization\n"
                "  llmind guide kv --json\n"
                "  llmind guide 'M3 Max'\n"};

struct style {
    const char *heading, *title, *dim, *off;
};

static struct style style_of(FILE *stream)
{
    if (!terminal_has_color(stream))
        return (struct style){"", "", "", ""};
    return (struct style){"\x1b[1;36m", "\x1b[1m", "\x1b[2m", "\x1b[0m"};
}

/* "kv_cache" -> "KV cache" is for the eye only: a capital and blanks will do. */
static void print_heading(const struct style *style, const char *prefix, const char *name)
{
    printf("\n%s%s", style->heading, prefix);
    for (const char *c = name; *c; c++)
        putchar(*c == '_' ? ' ' : *c);
    printf("%s\n", style->off);
}

/* A paragraph, indented and broken at blanks. */
static void print_wrapped(const char *text, int indent, const char *label)
{
    int column = printf("%*s%s", indent, "", label);
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column + length > WIDTH && column > indent) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        if (*text == ' ') {
            text++;
            if (column < WIDTH) {
                putchar(' ');
                column++;
            }
        }
    }
    putchar('\n');
}

static void print_part(const struct style *style, const json_t *item, const char *key, const char *label)
{
    const char *text = json_get_string(item, key);
    (void)style;
    if (text)
        print_wrapped(text, 4, label);
}

static void print_techniques(const struct style *style, const json_t *guide)
{
    const char *category;
    json_t *items;
    json_object_foreach((json_t *)json_get_object(guide, "optimization_techniques"), category, items) {
        print_heading(style, "Techniques: ", category);
        for (size_t i = 0; i < json_get_count(items, ""); i++) {
            const json_t *item = json_get_item(items, i);
            printf("  %s%s%s\n", style->title, json_get_text(item, "title", ""), style->off);
            print_part(style, item, "text", "");
            print_part(style, item, "how", "How: ");
            print_part(style, item, "effect", "Effect: ");
            print_part(style, item, "costs", "Costs: ");
        }
    }
}

static void print_flags(const struct style *style, const json_t *guide, const char *part, const char *whose)
{
    const char *category;
    json_t *items;
    json_object_foreach((json_t *)json_get_object(guide, part), category, items) {
        print_heading(style, whose, category);
        for (size_t i = 0; i < json_get_count(items, ""); i++) {
            const json_t *item = json_get_item(items, i);
            printf("  %s%s%s  %sdefault: %s%s\n", style->title, json_get_text(item, "name", ""), style->off,
                   style->dim, json_get_text(item, "default", "-"), style->off);
            print_part(style, item, "text", "");
            print_part(style, item, "where", "Where: ");
        }
    }
}

/* Without a topic only the machine at hand: the others would fill three screens. */
static void print_hardware(const struct style *style, const json_t *guide, bool all)
{
    const json_t *list = json_get_array(guide, "hardware_config");
    bool first = true;
    for (size_t i = 0; i < json_get_count(list, ""); i++) {
        const json_t *item = json_get_item(list, i);
        if (!all && !json_get_bool(item, "this_machine", false))
            continue;
        if (first)
            print_heading(style, all ? "Machines" : "This kind of machine", "");
        first = false;
        printf("  %s%s%s", style->title, json_get_text(item, "name", ""), style->off);
        const json_t *rated = json_get_array(item, "rated_gbps");
        for (size_t k = 0; k < json_get_count(rated, ""); k++)
            printf("%s%.0f", k ? " or " : "  ", json_get_number(json_get_item(rated, k), ""));
        printf("%s\n", rated ? " GB/s rated" : "");
        print_part(style, item, "recognised_by", "Which: ");
        print_part(style, item, "rated_gbps_text", "Memory: ");
        print_part(style, item, "models", "Models: ");
        const json_t *advice = json_get_array(item, "advice");
        for (size_t k = 0; k < json_get_count(advice, ""); k++)
            print_wrapped(json_get_text(json_get_item(advice, k), "", ""), 4, "- ");
    }
}

static void print_models(const struct style *style, const json_t *guide)
{
    const json_t *list = json_get_array(guide, "model_recommendations");
    print_heading(style, "Models that fit this machine", "");
    struct table table;
    table_init(&table, "lrrl");
    static const char *const heading[] = {"model", "memory", "estimated speed", "good for"};
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < json_get_count(list, "") && i < MAX_LISTED; i++) {
        const json_t *item = json_get_item(list, i);
        table_cell(&table, "%s", json_get_text(item, "model", ""));
        table_cell(&table, "%s", json_get_text(item, "size", ""));
        table_cell(&table, "%s", json_get_text(item, "performance", "-"));
        table_cell(&table, "%s", json_get_text(item, "use_case", ""));
    }
    table_print(&table, stdout, style->off[0] ? TABLE_TEXT_COLOR : TABLE_TEXT, 2);
    table_free(&table);
    const char *reason = json_get_string(guide, "model_recommendations_reason");
    if (reason)
        print_wrapped(reason, 2, "");
    else
        print_wrapped("Memory with a context of 8192 tokens. Speed at the beginning of a conversation, with "
                      "the range that is expected in brackets: by this machine's calibration, or without "
                      "one (llmind system --calibrate) the measured read bandwidth divided by the bytes "
                      "that a token needs, times 0.8 (0.6 of its lower quartile to 0.95 of the best).",
                      2, "");
}

static void print_text(const json_t *guide, bool all)
{
    struct style style = style_of(stdout);
    printf("%sThis machine:%s %s\n", style.heading, style.off, json_get_text(guide, "hardware_profile", "-"));
    print_techniques(&style, guide);
    print_flags(&style, guide, "llmind_flags", "LLMind flags: ");
    print_flags(&style, guide, "mlx_flags", "MLX and mlx-lm: ");
    print_hardware(&style, guide, all);
    if (!all)
        print_models(&style, guide);
}

int cli_guide(int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        json = json || id == OPTION_JSON;
    if (id < 0)
        return cli_leave(&parser, id);
    const char *topic = parser.n_positional ? parser.positional[0] : NULL;
    struct error error = {0};
    json_t *guide = NULL, *ceilings = NULL;
    /* without them the list of models has no speeds, and says so */
    if (!topic && ceilings_measure(&(struct ceilings_options){.n_threads = 0}, &ceilings, NULL))
        ceilings = NULL;
    int status = guide_read(topic, ceilings, &guide, &error);
    if (!status && json) {
        char *text = json_dumps(guide, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        if (text)
            puts(text);
        free(text);
    } else if (!status) {
        print_text(guide, topic != NULL);
    }
    json_decref(guide);
    json_decref(ceilings);
    return status ? cli_failed("guide", &error) : CLI_EXIT_OK;
}
