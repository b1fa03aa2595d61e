/* `llmind profile`: measure a model and say what the figures are worth. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/runner.h"

enum { OPTION_QUICK = 300, OPTION_PROMPT, OPTION_RAW, OPTION_JSON, OPTION_OUTPUT = 'o', MAX_OUTPUTS = 8 };

static const struct cli_option options[] = {
    {OPTION_QUICK, 0, "quick", NULL, "2 repeats within about 50 s, indicative"},
    {OPTION_PROMPT, 0, "prompt", "TEXT", "profile this prompt instead of the default ones; may be repeated"},
    {OPTION_RAW, 0, "raw", NULL, "prompts as plain text, without the chat template"},
    {'r', 'r', "repeats", "N", "timed runs of each test (default 3, quick 2)"},
    {OPTION_OUTPUT, 'o', "output", "FILE", "also write the report: .json or .md; may be repeated"},
    {OPTION_JSON, 0, "json", NULL, "print the JSON report instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "profile",
    .arguments = "[MODEL] [--quick] [--prompt TEXT]... [-o FILE]... [options]",
    .about =
        "Measures a model: three prompts (simple, medium, complex), prefill, and decode at several depths "
        "of\n"
        "context; each with a warm-up, repeats, and a probe of the read bandwidth beside every repeat. Says "
        "how\n"
        "near decoding comes to what this machine's memory allows, and how far the figures can be trusted.",
    .options = options,
    .engine_options = true,
    .max_positional = 1,
    .examples = "  llmind profile --quick\n"
                "  llmind profile mlx-community/Qwen3-0.6B-4bit -o report.json -o report.md\n"
                "  llmind profile builtin --prompt 'What is a KV cache?' --threads 2\n"};

struct wishes {
    const char *prompts[SCENARIO_MAX_PROMPTS], *outputs[MAX_OUTPUTS];
    size_t n_prompts, n_outputs;
    bool quick, json, raw;
    uint32_t repeats;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    const char *value = parser->value;
    if (id == OPTION_QUICK)
        wishes->quick = true;
    else if (id == OPTION_RAW)
        wishes->raw = true;
    else if (id == OPTION_JSON)
        wishes->json = true;
    else if (id == 'r')
        cli_u32(parser, 1, RUNNER_MAX_REPEATS, &wishes->repeats);
    else if (id == OPTION_PROMPT && (wishes->n_prompts == SCENARIO_MAX_PROMPTS || !*value))
        error_set(&parser->error, ERROR_INVALID, "--prompt wants text, and may be given %d times",
                  SCENARIO_MAX_PROMPTS);
    else if (id == OPTION_PROMPT)
        wishes->prompts[wishes->n_prompts++] = value;
    else if (!ends_with(value, ".json") && !ends_with(value, ".md"))
        error_set(&parser->error, ERROR_INVALID,
                  "--output wants a file name that ends in .json or .md, not '%s'", value);
    else if (wishes->n_outputs == MAX_OUTPUTS)
        error_set(&parser->error, ERROR_INVALID, "--output may be given %d times", MAX_OUTPUTS);
    else
        wishes->outputs[wishes->n_outputs++] = value;
}

/* A run is a line on a terminal; elsewhere a line a test is enough. */
static void show_progress(void *context, const struct runner_progress *progress)
{
    (void)context;
    char line[128];
    bool live = terminal_is(stderr);
    if (!live && progress->run > 0)
        return;
    int n = snprintf(line, sizeof line, "%s%s (%zu of %zu)", live ? "" : "profile: ", progress->label,
                     progress->test + 1, progress->n_tests);
    if (live && progress->run == 0)
        snprintf(line + n, sizeof line - (size_t)n, ", warm-up");
    else if (live)
        snprintf(line + n, sizeof line - (size_t)n, ", run %u of %u", progress->run, progress->n_runs);
    terminal_progress(line, progress->fraction, progress->eta_s);
}

static int write_file(const struct report *report, const char *path, struct error *error)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    bool failed = false;
    if (ends_with(path, ".json")) {
        char *json = report_json(report);
        failed = !json || fprintf(file, "%s\n", json) < 0;
        free(json);
    } else
        report_markdown(report, file);
    failed = ferror(file) || failed;
    if (fclose(file) || failed)
        return error_set(error, ERROR_IO, "cannot write %s: the disk is full or failing", path);
    return 0;
}

static int show_report(const struct report *report, const struct wishes *wishes, struct error *error)
{
    if (wishes->json) {
        char *json = report_json(report);
        if (!json)
            return error_memory(error, "the report", 0);
        puts(json);
        free(json);
    } else
        report_text(report, stdout, terminal_has_color(stdout));
    for (size_t i = 0; i < wishes->n_outputs; i++) {
        int status = write_file(report, wishes->outputs[i], error);
        if (status)
            return status;
    }
    return 0;
}

int cli_profile(int argc, char **argv)
{
    struct wishes wishes = {.n_prompts = 0};
    struct cli_parser parser;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    parser.engine.max_sequences = 1; /* no KV cache for requests that never come */
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);

    const char *model = parser.n_positional ? parser.positional[0] : "builtin";
    struct error error = {0};
    struct engine *engine = NULL;
    struct report report;
    cli_catch_interrupts();
    int status = cli_open_engine(&parser, model, &engine, &error);
    if (!status) {
        struct runner_options runner = {.quick = wishes.quick,
                                        .repeats = wishes.repeats,
                                        .prompts = wishes.prompts,
                                        .n_prompts = wishes.n_prompts,
                                        .model_name = cli_model_name(model, engine),
                                        .raw = wishes.raw,
                                        .cancel = &cli_interrupts,
                                        .on_progress = show_progress};
        status = runner_run(engine, &runner, &report, &error);
        terminal_progress_end();
        struct error writing = {0};
        if ((!status || (report.cancelled && report.n_tests > 0)) &&
            show_report(&report, &wishes, &writing)) {
            status = writing.code;
            error = writing;
        }
        const char *failure = status ? NULL : report_failure(&report);
        if (failure)
            status = error_set(&error, ERROR_INVALID, "%s; the report says why", failure);
        report_free(&report);
    }
    engine_close(engine);
    return status ? cli_failed("profile", &error) : CLI_EXIT_OK;
}
