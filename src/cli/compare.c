/* `llmind compare`: several models now, or two stored runs.
 *
 * Models are measured as a job like any other run. Two stored runs are only read: with --fail-if-slower the
 * exit code says whether the second is proven slower, for scripts that guard a program's speed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/report_file.h"
#include "cli/runs_diff.h"
#include "cli/session.h"
#include "profile/json_get.h"

enum {
    OPTION_QUICK = 300,
    OPTION_BACKENDS,
    OPTION_RUNS,
    OPTION_SLOWER,
    OPTION_PROMPT,
    OPTION_RAW,
    OPTION_JSON
};

static const struct cli_option options[] = {
    {OPTION_QUICK, 0, "quick", NULL, "2 blocks instead of 5: indicative"},
    {OPTION_BACKENDS, 0, "backends", "A,B", "each model on each of these: cpu, mlx"},
    {OPTION_PROMPT, 0, "prompt", "TEXT", "what all of them are asked (default: a short question)"},
    {OPTION_RAW, 0, "raw", NULL, "the prompt as plain text, without the chat template"},
    {'r', 'r', "repeats", "N", "blocks of four runs, two of each model (default 5, quick 2)"},
    {'n', 'n', "max-tokens", "N", "tokens of each answer (default 128, quick 64)"},
    {OPTION_RUNS, 0, "runs", NULL, "compare two stored runs instead: ID ID ('llmind history' lists them)"},
    {OPTION_SLOWER, 0, "fail-if-slower", "PERCENT",
     "with --runs: exit code 3 when the second is proven slower by at least so much"},
    REPORT_OUTPUT_ROW,
    {OPTION_JSON, 0, "json", NULL, "JSON instead of text"},
    FOLLOW_OPTION_ROWS,
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "compare",
    .arguments = "MODEL MODEL... [--quick] [options] | MODEL... --backends cpu,mlx | --runs ID ID "
                 "[--fail-if-slower 5%]",
    .about =
        "Measures several models by the same prompt, each in turn with the first (A B B A), and says which\n"
        "really differ. A model that does not work is listed with its reason. With --runs: whether two\n"
        "stored runs really differ.",
    .options = options,
    .engine_options = true,
    .min_positional = 1,
    .max_positional = CLI_MAX_POSITIONAL,
    .examples = "  llmind compare builtin mlx-community/Qwen3-0.6B-4bit\n"
                "  llmind compare model-4bit model-8bit --quick -o report.html\n"
                "  llmind compare builtin --backends cpu,mlx\n"
                "  llmind compare --runs 3fa9c1 77b0e2 --fail-if-slower 5%\n"};

struct wishes {
    const char *prompt, *backends; /* backends: separated by commas; NULL: the one of --backend */
    struct report_outputs outputs;
    bool quick, runs, raw, json, wait, no_save;
    uint32_t repeats, max_tokens;
    double slower; /* a fraction; NaN: not asked */
    /* of the environment; what differs from these was given here */
    const char *usual_backend, *usual_isa;
};

/* "5%", "5", "2.5 %" */
static void take_percent(struct cli_parser *parser, double *out)
{
    char *end;
    double percent = strtod(parser->value, &end);
    end += strspn(end, " ");
    end += *end == '%';
    if (end == parser->value || *end || !(percent >= 0) || percent > 1000)
        error_set(&parser->error, ERROR_INVALID,
                  "--fail-if-slower wants a percentage, as in --fail-if-slower 5%%, not '%.40s'",
                  parser->value);
    else
        *out = percent / 100;
}

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    const struct cli_switch switches[] = {{OPTION_QUICK, &wishes->quick}, {OPTION_RUNS, &wishes->runs},
                                          {OPTION_RAW, &wishes->raw},     {OPTION_JSON, &wishes->json},
                                          {FOLLOW_WAIT, &wishes->wait},   {FOLLOW_NO_SAVE, &wishes->no_save}};
    if (cli_switch(switches, sizeof switches / sizeof *switches, id))
        return;
    if (id == 'r')
        cli_u32(parser, 1, REQUEST_MAX_REPEATS, &wishes->repeats);
    else if (id == 'n')
        cli_u32(parser, 1, REQUEST_MAX_TOKENS, &wishes->max_tokens);
    else if (id == OPTION_PROMPT && !*parser->value)
        error_set(&parser->error, ERROR_INVALID, "--prompt wants text");
    else if (id == OPTION_PROMPT)
        wishes->prompt = parser->value;
    else if (id == OPTION_BACKENDS)
        wishes->backends = parser->value;
    else if (id == OPTION_SLOWER)
        take_percent(parser, &wishes->slower);
    else if (id == REPORT_OUTPUT)
        report_outputs_take(parser, &wishes->outputs);
}

/* ---- models ---- */

static void put_u32(json_t *o, const char *name, uint32_t value)
{
    if (value)
        json_object_set_new(o, name, json_integer(value));
}

/* "a" on every backend of the list, one after another. Empty names between commas are the request's to
 * refuse. */
static void put_on_backends(json_t *models, const char *name, const char *backends)
{
    for (const char *at = backends;; at++) {
        size_t length = strcspn(at, ",");
        json_t *one = json_pack("{s:s, s:s%}", "model", name, "backend", at, length);
        json_array_append_new(models, one ? one : json_null()); /* no UTF-8: refused, too */
        at += length;
        if (!*at)
            return;
    }
}

static json_t *request_json(const struct cli_parser *parser, const struct wishes *wishes)
{
    json_t *o = json_object(), *models = json_array();
    for (int i = 0; i < parser->n_positional; i++)
        if (wishes->backends)
            put_on_backends(models, parser->positional[i], wishes->backends);
        else
            json_array_append_new(models, json_string(parser->positional[i]));
    json_object_set_new(o, "kind", json_string("compare"));
    json_object_set_new(o, "models", models);
    json_object_set_new(o, "quick_mode", json_boolean(wishes->quick));
    json_object_set_new(o, "raw", json_boolean(wishes->raw));
    put_u32(o, "repeats", wishes->repeats);
    put_u32(o, "max_tokens", wishes->max_tokens);
    if (wishes->prompt)
        json_object_set_new(o, "test_prompts", json_pack("[s]", wishes->prompt));
    json_object_set_new(o, "knobs", follow_knobs(&parser->engine));
    return o;
}

static int show_report(const json_t *report, const struct wishes *wishes, struct error *error)
{
    int status = wishes->json ? report_print_json(report, error) : report_print(report, error);
    return status ? status : report_outputs_write(report, &wishes->outputs, error);
}

static size_t n_working(const json_t *report)
{
    const json_t *models = json_get_array(report, "comparison.models");
    size_t n = 0;
    for (size_t i = 0; i < json_get_count(models, ""); i++)
        n += json_get_is(json_get_item(models, i), "status", "success");
    return n;
}

static int outcome(const json_t *row, struct error *error)
{
    if (json_get_is(row, "status", "cancelled"))
        return error_set(error, ERROR_CANCELLED, "interrupted");
    if (!json_get_is(row, "status", "success"))
        return error_set(error, ERROR_INVALID, "%s", json_get_text(row, "message", "the run failed"));
    return n_working(json_get(row, "report")) > 0 ? 0 : error_set(error, ERROR_INVALID, "no model works");
}

static int compare_models(const struct cli_parser *parser, const struct wishes *wishes, struct error *error)
{
    struct follow_options follow = {.command = "compare", .wait = wishes->wait};
    struct cli_jobs jobs;
    json_t *row = NULL, *request = request_json(parser, wishes);
    int status = wishes->no_save ? cli_jobs_open_unsaved(&jobs, error) : cli_jobs_open(&jobs, error);
    if (status) {
        json_decref(request);
        return status;
    }
    status = follow_run(&jobs, request, &follow, &row, error);
    const json_t *report = json_get_object(row, "report");
    if (!status && json_get_array(report, "comparison.models")) {
        if (!wishes->no_save)
            follow_tell_saved(row, &follow);
        status = show_report(report, wishes, error);
    }
    if (!status)
        status = outcome(row, error);
    json_decref(row);
    json_decref(request);
    cli_jobs_close(&jobs);
    return status;
}

/* ---- stored runs ---- */

static int read_diff(const char *const ids[2], json_t **diff, struct error *error)
{
    char found[2][JOBS_ID];
    struct cli_jobs jobs;
    int status = cli_jobs_open(&jobs, error);
    if (status)
        return status;
    if (!jobs.store) /* what is stored is all there is to compare */
        status = error_set(error, ERROR_IO, "%s", jobs.why.message);
    for (int i = 0; i < 2 && !status; i++)
        status = jobs_find(jobs.jobs, ids[i], found[i], error);
    if (!status)
        status = jobs_diff(jobs.jobs, found[0], found[1], diff, error);
    cli_jobs_close(&jobs);
    return status;
}

/* *slower: proven, as far as was asked. */
static int compare_runs(const struct cli_parser *parser, const struct wishes *wishes, bool *slower,
                        struct error *error)
{
    char why[512];
    json_t *diff = NULL;
    *slower = false;
    int status = read_diff(parser->positional, &diff, error);
    if (status)
        return status;
    if (wishes->json)
        status = report_print_json(diff, error);
    else
        runs_diff_print(diff);
    if (!isnan(wishes->slower)) {
        fflush(stdout);
        *slower = jobs_diff_is_slower(diff, wishes->slower, why, sizeof why);
        if (*slower)
            fprintf(stderr, "llmind compare: the second run is slower: %s\n", why);
        else if (!jobs_diff_guards(diff)) /* a guard that guards nothing must say so */
            status = error_set(error, ERROR_INVALID, "these two runs %s, so --fail-if-slower proves nothing",
                               json_get_bool(diff, "comparable", false)
                                   ? "have no rate or time of one model in common"
                                   : "cannot be compared");
    }
    json_decref(diff);
    return status;
}

/* ---- both ---- */

static int check(struct cli_parser *parser, const struct wishes *wishes)
{
    if (wishes->runs && parser->n_positional != 2)
        return cli_usage(parser, "--runs wants two IDs ('llmind history' lists them)");
    if (wishes->backends && parser->engine.backend != wishes->usual_backend)
        return cli_usage(parser, "--backends names all of them: --backend goes without it");
    if (wishes->backends && parser->engine.isa != wishes->usual_isa)
        return cli_usage(parser, "an instruction set is one backend's: --isa goes without --backends");
    if (!wishes->runs && parser->n_positional < 2 && !(wishes->backends && strchr(wishes->backends, ',')))
        return cli_usage(parser, "it wants two models or more, or one and --backends cpu,mlx");
    if (wishes->runs &&
        (wishes->backends || wishes->outputs.count || wishes->quick || wishes->prompt || wishes->repeats))
        return cli_usage(parser,
                         "--runs compares what is stored: nothing is measured, and there is no report");
    if (!wishes->runs && !isnan(wishes->slower))
        return cli_usage(parser, "--fail-if-slower goes with --runs");
    return 0;
}

int cli_compare(int argc, char **argv)
{
    struct wishes wishes = {.slower = NAN};
    struct cli_parser parser;
    struct error error = {0};
    int id;
    cli_begin(&parser, &spec, argc, argv);
    wishes.usual_backend = parser.engine.backend;
    wishes.usual_isa = parser.engine.isa;
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);
    int usage = check(&parser, &wishes);
    if (usage)
        return usage;
    if (wishes.backends) /* each entry has its own, whatever the environment says */
        parser.engine.backend = parser.engine.isa = NULL;
    bool slower = false;
    cli_catch_interrupts();
    int status = wishes.runs ? compare_runs(&parser, &wishes, &slower, &error)
                             : compare_models(&parser, &wishes, &error);
    return status ? cli_failed("compare", &error) : slower ? CLI_EXIT_SLOWER : CLI_EXIT_OK;
}
