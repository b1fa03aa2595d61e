/* `llmind load`: how much a server, or a model of this machine, can serve before it falls behind. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/load.h"
#include "profile/table.h"
#include "service/catalog.h"

enum {
    OPTION_TARGET = 300,
    OPTION_MODEL,
    OPTION_ALLOW_LOCAL,
    OPTION_DURATION,
    OPTION_PROMPT,
    OPTION_MAX,
    OPTION_TTFT,
    OPTION_ITL,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_RATE = 'r',
    OPTION_CONCURRENCY = 'c',
    OPTION_OUTPUT = 'o'
};

static const struct cli_option options[] = {
    {OPTION_TARGET, 0, "target", "URL", "an OpenAI-compatible server instead of a model of this machine"},
    {OPTION_MODEL, 0, "target-model", "NAME", "the target's model (default: the first it lists)"},
    {OPTION_ALLOW_LOCAL, 0, "allow-local", NULL, "the target may be this machine, or in a private network"},
    {OPTION_RATE, 'r', "rate", "R,...", "requests per second, open loop (default: doubled until saturated)"},
    {OPTION_CONCURRENCY, 'c', "concurrency", "C,...", "requests at once, closed loop"},
    {OPTION_DURATION, 'd', "duration", "S", "seconds of each point (default 10)"},
    {OPTION_PROMPT, 'p', "prompt-tokens", "N", "tokens of each prompt (default 128; of a target: about)"},
    {OPTION_MAX, 'n', "max-tokens", "N", "tokens of each answer (default 64)"},
    {OPTION_TTFT, 0, "ttft-limit", "MS", "goodput: longest time to the first token (default 1000)"},
    {OPTION_ITL, 0, "itl-limit", "MS", "goodput: longest mean gap between tokens (default 100)"},
    {OPTION_SEED, 0, "seed", "N", "of the moments of arrival (default 1)"},
    {OPTION_JSON, 0, "json", NULL, "print the JSON document instead of tables"},
    {OPTION_OUTPUT, 'o', "output", "FILE", "also write the JSON document"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "load",
    .arguments = "MODEL|--target URL [--rate R,...] [--concurrency C,...] [options]",
    .about =
        "Load test. Open loop (--rate): requests come at random moments, whatever the answers do, and their "
        "times\n"
        "count from the moment they were due; closed loop (--concurrency): so many users who wait for their "
        "answers.\n"
        "Goodput is the requests per second that stay within both limits. A MODEL runs in a process of its "
        "own,\n"
        "without HTTP. LLMIND_TARGET_API_KEY is sent to the target.",
    .options = options,
    .engine_options = true,
    .max_positional = 1,
    .examples =
        "  llmind load builtin --rate 2,4,8\n"
        "  llmind load builtin\n"
        "  llmind load --target http://127.0.0.1:8000 --allow-local --concurrency 1,2,4,8 --duration 20\n"};

struct wishes {
    struct load_request request;
    const char *output;
    bool json;
};

/* ---- options ---- */

static void take_rates(struct cli_parser *parser, struct load_request *request)
{
    const char *text = parser->value;
    request->n_rates = 0;
    for (;;) {
        char *end = NULL;
        double rate = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;
        if (!(rate > 0) || !end || (*end && *end != ',') || request->n_rates == LOAD_MAX_POINTS) {
            error_set(&parser->error, ERROR_INVALID,
                      "--rate wants at most %d numbers above 0 with commas between, not '%s'",
                      LOAD_MAX_POINTS, parser->value);
            return;
        }
        request->rates[request->n_rates++] = rate;
        if (!*end)
            return;
        text = end + 1;
    }
}

static double take_number(struct cli_parser *parser, double most)
{
    float value = 1;
    cli_float(parser, 0.001, most, &value);
    return (double)value;
}

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    struct load_request *request = &wishes->request;
    uint32_t count = 0;
    switch (id) {
    case OPTION_TARGET:
        request->target_url = parser->value;
        break;
    case OPTION_MODEL:
        request->target_model = parser->value;
        break;
    case OPTION_ALLOW_LOCAL:
        request->allow_local = true;
        break;
    case OPTION_RATE:
        take_rates(parser, request);
        break;
    case OPTION_CONCURRENCY:
        cli_u32_list(parser, 1, LOAD_MAX_IN_FLIGHT, request->concurrency, LOAD_MAX_POINTS, &count);
        request->n_concurrency = count;
        break;
    case OPTION_DURATION:
        request->duration_s = take_number(parser, 86400);
        break;
    case OPTION_PROMPT:
        cli_u32(parser, 1, 1 << 20, &request->prompt_tokens);
        break;
    case OPTION_MAX:
        cli_u32(parser, 1, 1 << 20, &request->max_tokens);
        break;
    case OPTION_TTFT:
        request->ttft_limit_ms = take_number(parser, 1e7);
        break;
    case OPTION_ITL:
        request->itl_limit_ms = take_number(parser, 1e7);
        break;
    case OPTION_SEED:
        cli_u64(parser, &request->seed);
        break;
    case OPTION_JSON:
        wishes->json = true;
        break;
    default:
        wishes->output = parser->value;
    }
}

/* ---- what is shown ---- */

static void show_event(void *context, const json_t *event)
{
    (void)context;
    char line[128];
    snprintf(line, sizeof line, "load: %s", json_get_text(event, "step", "under way"));
    terminal_progress(line, json_get_number(event, "progress"), json_get_number(event, "eta_s"));
}

/* Times and rates of a point, two tables with the same rows: one line would be too wide. */
static void add_rows(const json_t *point, struct table *rates, struct table *times)
{
    static const char *const shown[] = {"ttft_ms.p50",    "ttft_ms.p90",    "ttft_ms.p99",
                                        "itl_ms.p50",     "itl_ms.p90",     "itl_ms.p99",
                                        "latency_ms.p50", "latency_ms.p99", "late_ms.p99"};
    char n[4][FORMAT_MAX], load[64];
    bool closed = json_get_is(point, "kind", "concurrency");
    snprintf(load, sizeof load, "%s%s", format_number(n[0], json_get_number(point, "asked")),
             closed ? " at once" : "/s");
    table_cell(rates, "%s", load);
    static const char *const counts[] = {"sent", "ok", "failed", "refused"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        table_cell(rates, "%.0f", json_get_number(point, counts[i]));
    table_cell(rates, "%s", format_number(n[0], json_get_number(point, "requests_per_s")));
    table_cell(rates, "%s", format_number(n[1], json_get_number(point, "goodput")));
    table_cell(rates, "%s", format_number(n[2], json_get_number(point, "output_tokens_per_s")));
    table_cell(rates, "%s", format_number(n[3], json_get_number(point, "in_flight.mean")));
    table_cell(rates, "%s", json_get_bool(point, "saturated", false) ? "saturated" : "");
    table_cell(times, "%s", load);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        table_cell(times, "%s", format_number(n[0], json_get_number(point, shown[i])));
}

static void show_failures(const json_t *document)
{
    const json_t *point, *failure;
    for (size_t i = 0; (point = json_get_item(json_get_array(document, "points"), i)) != NULL; i++)
        for (size_t k = 0; (failure = json_get_item(json_get_array(point, "failures"), k)) != NULL; k++)
            printf("  %.0f of point %zu: %.200s\n", json_get_number(failure, "count"), i + 1,
                   json_get_text(failure, "message", "?"));
}

static void show(const json_t *document)
{
    struct table rates, times;
    const json_t *point;
    const json_t *points = json_get_array(document, "points");
    table_init(&rates, "rrrrrrrrrl");
    table_init(&times, "rrrrrrrrrr");
    static const char *const rate_heads[] = {"load",  "sent",    "ok",    "failed",    "refused",
                                             "req/s", "goodput", "tok/s", "in flight", ""};
    static const char *const time_heads[] = {"load", "TTFT p50", "p90",         "p99", "ITL p50",
                                             "p90",  "p99",      "latency p50", "p99", "sender late p99"};
    for (size_t i = 0; i < 10; i++) {
        table_cell(&rates, "%s", rate_heads[i]);
        table_cell(&times, "%s", time_heads[i]);
    }
    for (size_t i = 0; (point = json_get_item(points, i)) != NULL; i++)
        add_rows(point, &rates, &times);
    bool color = terminal_has_color(stdout);
    printf("%s%s%s\n\n", json_get_text(document, "target.model", "?"),
           json_get_string(document, "target.url") ? " at " : "",
           json_get_text(document, "target.url", " (this machine, without HTTP)"));
    table_print(&rates, stdout, color ? TABLE_TEXT_COLOR : TABLE_TEXT, 0);
    printf("\nmilliseconds, from the moment a request was due\n");
    table_print(&times, stdout, color ? TABLE_TEXT_COLOR : TABLE_TEXT, 0);
    char a[FORMAT_MAX], b[FORMAT_MAX];
    if (json_get_object(document, "saturation"))
        printf("\nsaturated: the most that was reached was %s requests/s and %s tokens/s\n",
               format_number(a, json_get_number(document, "saturation.requests_per_s")),
               format_number(b, json_get_number(document, "saturation.output_tokens_per_s")));
    else
        printf("\nnot saturated: %s\n", json_get_reason(document, "saturation", "not known"));
    show_failures(document);
    table_free(&rates);
    table_free(&times);
}

static int write_out(const json_t *document, const struct wishes *wishes, struct error *error)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(9);
    if (wishes->json) {
        json_dumpf(document, stdout, flags);
        putchar('\n');
    } else
        show(document);
    FILE *file = wishes->output ? fopen(wishes->output, "w") : NULL;
    if (wishes->output && !file)
        return error_set(error, ERROR_IO, "cannot write %s: %s", wishes->output, strerror(errno));
    bool failed = file && (json_dumpf(document, file, flags) || fputc('\n', file) == EOF);
    if (file && (fclose(file) || failed))
        return error_set(error, ERROR_IO, "cannot write %s: the disk is full or failing", wishes->output);
    return 0;
}

/* ---- the command ---- */

static int prepare(struct cli_parser *parser, struct wishes *wishes, char *folder, size_t capacity,
                   struct error *error)
{
    struct load_request *request = &wishes->request;
    request->engine = &parser->engine;
    const char *key = getenv("LLMIND_TARGET_API_KEY");
    request->target_key = key && *key ? key : NULL;
    if (request->target_url)
        return 0;
    request->model_name = parser->positional[0];
    request->model_path = folder;
    return catalog_resolve(request->model_name, folder, capacity, error);
}

int cli_load(int argc, char **argv)
{
    struct wishes wishes = {.output = NULL};
    struct cli_parser parser;
    char folder[PATH_MAX];
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);
    if ((parser.n_positional == 1) == (wishes.request.target_url != NULL))
        return cli_usage(&parser, "give either a MODEL or --target URL");
    if ((wishes.request.target_model || wishes.request.allow_local) && !wishes.request.target_url)
        return cli_usage(&parser, "--target-model and --allow-local want --target URL");

    struct error error = {0}, writing = {0};
    json_t *document = NULL;
    cli_catch_interrupts();
    int status = prepare(&parser, &wishes, folder, sizeof folder, &error);
    if (!status) {
        struct run_hooks hooks = {.on_event = show_event, .cancel = &cli_interrupts};
        status = load_run(&wishes.request, &hooks, &document, &error);
        terminal_progress_end();
    }
    if (document && write_out(document, &wishes, &writing) && !status) {
        status = writing.code;
        error = writing;
    }
    if (!status && json_get_is(document, "status", "failed"))
        status =
            error_set(&error, ERROR_IO, "%s", json_get_text(document, "message", "nothing was measured"));
    json_decref(document);
    return status ? cli_failed("load", &error) : CLI_EXIT_OK;
}
