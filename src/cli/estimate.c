/* `llmind estimate`: what a model would need here and how fast it would be, before its weights are there. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/estimate.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/table.h"
#include "service/catalog.h"

enum { OPTION_JSON = 300, OPTION_CONCURRENCY, OPTION_KEPT, MAX_CONCURRENCY = 1024, BAR = 40 };

static const struct cli_option options[] = {
    {OPTION_CONCURRENCY, 'c', "concurrency", "N", "sequences at once (default 1)"},
    {OPTION_KEPT, 0, "no-probe", NULL, "use the pace of the calibration, measure nothing"},
    {OPTION_JSON, 0, "json", NULL, "one JSON object instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "estimate",
    .arguments = "MODEL [--ctx N] [--concurrency N] [--kv-bits 8] [--json]",
    .about =
        "What a model would need on this machine and how fast it would be: memory part by part, decoding "
        "and\n"
        "prefill with an interval, the longest context and the most sequences that fit. MODEL is an "
        "installed\n"
        "model, a folder, or a config.json alone: no weights are read. Speeds are priced with this "
        "machine's\n"
        "calibration (llmind system --calibrate) at the pace it has now, which is measured for a moment.\n"
        "--backend, --precise and --prompt-lookup change nothing here.",
    .options = options,
    .engine_options = true,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind estimate builtin\n"
                "  llmind estimate ./Llama-3.1-8B-Instruct-4bit/config.json --ctx 16384 --concurrency 4\n"
                "  llmind estimate mlx-community/Qwen3-0.6B-4bit --kv-bits 8 --json\n"};

/* ---- text ---- */

static void print_memory(const json_t *answer)
{
    const json_t *parts = json_get_array(answer, "memory.parts");
    double total = json_get_positive(answer, "memory.total_bytes"), sum = 0;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    printf("\nMemory\n");
    for (size_t i = 0; i < json_get_count(parts, ""); i++) {
        const json_t *part = json_get_item(parts, i);
        double bytes = json_get_positive(part, "bytes");
        int from = (int)(BAR * sum / total), to = (int)(BAR * (sum + bytes) / total);
        char bar[BAR + 1];
        memset(bar, ' ', BAR);
        bar[BAR] = '\0';
        for (int k = from; k < to || k == from; k++)
            if (k < BAR)
                bar[k] = '#';
        sum += bytes;
        printf("  %-9s %9s  |%s|  %s\n", json_get_text(part, "name", ""), format_bytes(a, bytes), bar,
               json_get_text(part, "what", ""));
    }
    const char *fit = json_get_text(answer, "memory.fit", "unknown");
    printf("  %-9s %9s  %s (%s available)\n", "total", format_bytes(a, total),
           strcmp(fit, "fits") == 0           ? "fits"
           : strcmp(fit, "tight") == 0        ? "fits, but tightly"
           : strcmp(fit, "does_not_fit") == 0 ? "does not fit"
                                              : "whether it fits is not known",
           format_bytes(b, json_get_positive(answer, "memory.available_bytes")));
}

static void print_limit(const json_t *answer, const char *name, const char *label)
{
    char path[64];
    snprintf(path, sizeof path, "limits.%s", name);
    double value = json_get_positive(answer, path);
    if (value >= 0)
        printf("  %-34s %.0f\n", label, value);
    else
        printf("  %-34s - (%s)\n", label, json_get_reason(answer, path, "not known"));
}

static void print_speed(const json_t *answer, const char *name, const char *label, const char *unit)
{
    char path[96], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    snprintf(path, sizeof path, "speed.%s", name);
    const json_t *interval = json_get_object(answer, path);
    if (!interval) {
        printf("  %-34s - (%s)\n", label, json_get_reason(answer, path, "not known"));
        return;
    }
    printf("  %-34s %s %s  (%s to %s)\n", label, format_number(a, json_get_number(interval, "mid")), unit,
           format_number(b, json_get_number(interval, "low")),
           format_number(c, json_get_number(interval, "high")));
}

static void print_what_if(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "what_if.bits");
    struct table table;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    static const char *const heading[] = {"weights", "memory", "decode tok/s", ""};
    table_init(&table, "lrrl");
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < json_get_count(list, ""); i++) {
        const json_t *item = json_get_item(list, i);
        table_cell(&table, "%s", json_get_text(item, "label", ""));
        table_cell(&table, "%s", format_bytes(a, json_get_positive(item, "total_bytes")));
        table_cell(&table, "%s", format_number(b, json_get_positive(item, "decode_tokens_per_second")));
        table_cell(&table, "%s", json_get_bool(item, "current", false) ? "this model" : "");
    }
    printf("\nWith other weights\n");
    table_print(&table, stdout, terminal_has_color(stdout) ? TABLE_TEXT_COLOR : TABLE_TEXT, 2);
    table_free(&table);
}

static void print_unsupported(const json_t *answer)
{
    const char *needs = json_get_string(answer, "needs");
    printf("%s: not supported. %s.\n", json_get_text(answer, "model", ""),
           json_get_text(answer, "supported_reason", ""));
    if (needs)
        printf("This architecture needs %s.\n", needs);
}

static void print_text(const json_t *answer)
{
    char number[FORMAT_MAX], label[48];
    printf("%s: supported (%s, %s, %s parameters)%s\n", json_get_text(answer, "model", ""),
           json_get_text(answer, "architecture", ""), json_get_text(answer, "quantization", ""),
           format_count(number, json_get_positive(answer, "parameters")),
           json_get_is(answer, "from", "configuration") ? ", by its config.json alone" : "");
    print_memory(answer);
    printf("\nLimits\n");
    print_limit(answer, "max_context", "longest context that fits, tokens");
    print_limit(answer, "max_concurrency", "most sequences of this context");
    print_limit(answer, "model_context", "the model's own context, tokens");
    printf("\nSpeed (expected; in brackets the interval)\n");
    print_speed(answer, "decode_tokens_per_second", "decoding", "tok/s");
    if (json_get_number(answer, "concurrency") > 1)
        print_speed(answer, "decode_tokens_per_second_all", "decoding, all sequences", "tok/s");
    print_speed(answer, "decode_tokens_per_second_full_context", "decoding, context full", "tok/s");
    print_speed(answer, "prefill_tokens_per_second", "prefill", "tok/s");
    snprintf(label, sizeof label, "first token, %.0f prompt tokens",
             json_get_number(answer, "speed.prompt_tokens"));
    print_speed(answer, "ttft_ms", label, "ms");
    const char *note = json_get_string(answer, "speed.note");
    bool wide = !json_get_bool(answer, "speed.calibrated", false) &&
                json_get_object(answer, "speed.decode_tokens_per_second");
    if (note)
        printf("  Note: %s%s.\n", wide ? "the interval is wide: " : "", note);
    print_what_if(answer);
}

/* ---- */

/* A file is a config.json under any name; everything else is found as all commands find models. */
static int find_model(const char *model, char *path, struct error *error)
{
    struct stat status;
    if (stat(model, &status) == 0 && S_ISREG(status.st_mode)) {
        snprintf(path, PATH_MAX, "%s", model);
        return 0;
    }
    return catalog_resolve(model, path, PATH_MAX, error);
}

int cli_estimate(int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false, kept = false;
    struct estimate_options wish = {.concurrency = 1};
    char path[PATH_MAX];
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        if (id == OPTION_CONCURRENCY)
            cli_u32(&parser, 1, MAX_CONCURRENCY, &wish.concurrency);
        json = json || id == OPTION_JSON;
        kept = kept || id == OPTION_KEPT;
    }
    if (id < 0)
        return cli_leave(&parser, id);
    wish.context = parser.engine.context;
    wish.kv_bits = parser.engine.kv_bits;
    wish.prefill_chunk = parser.engine.prefill_chunk;
    wish.isa = parser.engine.isa;
    struct error error = {0};
    json_t *answer = NULL;
    int status = find_model(parser.positional[0], path, &error);
    if (!status)
        status = estimate_path(path, parser.positional[0], &wish, parser.engine.n_threads,
                               kept ? ESTIMATE_PACE_KEPT : ESTIMATE_PACE_NOW, &answer, &error);
    if (status)
        return cli_failed("estimate", &error);
    if (json) {
        char *text = json_dumps(answer, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
        if (text)
            puts(text);
        free(text);
    } else if (json_get_bool(answer, "supported", false)) {
        print_text(answer);
    } else {
        print_unsupported(answer);
    }
    json_decref(answer);
    return CLI_EXIT_OK;
}
