/* `llmind history`: past profiling runs: list, show, compare, delete, import. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/commands.h"
#include "cli/profile_resolve.h"
#include "cli/report_file.h"
#include "cli/runs_diff.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/file.h"
#include "profile/clean.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/pairs.h"
#include "profile/table.h"
#include "service/near.h"

enum {
    OPTION_JSON = 300,
    OPTION_MODEL,
    OPTION_STATUS,
    OPTION_LIMIT,
    OPTION_OUTPUT = 'o',
    MAX_LIMIT = 500,
    SHORT_ID = 12,
    LINE_WIDTH = 110,
    MAX_FILE_BYTES = 64 << 20
};

static const struct cli_option options[] = {
    {OPTION_MODEL, 0, "model", "NAME", "only runs of this model"},
    {OPTION_STATUS, 0, "status", "NAME", "only success, failed, cancelled, interrupted, running or waiting"},
    {OPTION_LIMIT, 'n', "limit", "N", "at most so many runs, the newest (default 20)"},
    {OPTION_OUTPUT, 'o', "output", "FILE",
     "show: write the report too (" REPORT_FILE_ENDINGS "); may be repeated"},
    {OPTION_JSON, 0, "json", NULL, "JSON instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "history",
    .arguments = "[show ID | diff A B | delete ID... | import FILE...] [options]",
    .about =
        "Lists past profiling runs, newest first; shows one again, in any form; says whether two really\n"
        "differ; deletes some; takes in reports from other machines. An ID may be cut short (at least 4\n"
        "digits) as long as only one run's begins so.",
    .options = options,
    .max_positional = CLI_MAX_POSITIONAL,
    .examples = "  llmind history --model builtin --limit 5\n"
                "  llmind history show 3fa9c1 -o report.pdf -o report.html\n"
                "  llmind history diff 3fa9c1 77b0e2\n"
                "  llmind history import their-report.json\n"};

struct wishes {
    struct jobs_filter filter;
    struct report_outputs outputs;
    bool json;
};

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    const char *value = parser->value;
    if (id == OPTION_MODEL)
        wishes->filter.model = value;
    else if (id == OPTION_STATUS)
        wishes->filter.status = value;
    else if (id == OPTION_LIMIT)
        cli_u32(parser, 1, MAX_LIMIT, &wishes->filter.limit);
    else if (id == OPTION_JSON)
        wishes->json = true;
    else
        report_outputs_take(parser, &wishes->outputs);
}

/* ---- list ---- */

/* "2026-11-23 13:20" of "2026-11-23T13:20:07Z". */
static void show_time(struct table *table, const json_t *run)
{
    char text[17];
    snprintf(text, sizeof text, "%.16s", json_get_text(run, "created", "-"));
    if (strlen(text) == 16)
        text[10] = ' ';
    table_cell(table, "%s", text);
}

static void show_number(struct table *table, const json_t *run, const char *name)
{
    char number[FORMAT_MAX];
    double value = json_get_number(run, name);
    if (strstr(name, "_bytes"))
        format_bytes(number, value);
    else if (strstr(name, "_ms"))
        format_ms(number, value);
    else
        format_number(number, value);
    table_cell(table, "%s", number);
}

/* "9.8 % slower", of a proof "threads=2 kept"; an interval so wide that nothing is known from it is no
 * sameness. */
static const char *trend_text(const json_t *run, char *out, size_t capacity)
{
    double change = json_get_number(run, "trend.change_pct");
    struct pairs pairs = {.low = json_get_number(run, "trend.ci95.0") / 100,
                          .high = json_get_number(run, "trend.ci95.1") / 100};
    const char *verdict = json_get_text(run, "trend.verdict", "unknown");
    if (json_get_object(run, "proof"))
        snprintf(out, capacity, "%.40s %.12s", json_get_text(run, "proof.recommendation", "?"),
                 json_get_text(run, "proof.verdict", "?"));
    else if (strcmp(verdict, "lower") == 0)
        snprintf(out, capacity, "%.1f %% slower", -change);
    else if (strcmp(verdict, "higher") == 0)
        snprintf(out, capacity, "%.1f %% faster", change);
    else if (strcmp(verdict, "unknown") == 0)
        snprintf(out, capacity, "-");
    else
        snprintf(out, capacity, "%s", pairs_clear(&pairs) ? "as before" : "unclear");
    return out;
}

static void print_runs(const json_t *runs)
{
    static const char *const heading[] = {"id",     "started (UTC)", "model",         "mode",
                                          "status", "tok/s",         "decode",        "prefill",
                                          "TTFT",   "memory",        "trend or proof"};
    struct table table;
    table_init(&table, "llLllrrrrrl");
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        char trend[64];
        table_cell(&table, "%.*s", SHORT_ID, json_get_text(run, "id", ""));
        show_time(&table, run);
        runs_text_cell(&table, run, "model");
        runs_text_cell(&table, run, json_get_is(run, "kind", "profile") ? "mode" : "kind");
        table_cell(&table, "%s%s%s", json_get_text(run, "status", "-"),
                   json_get_bool(run, "imported", false) ? ", imported" : "",
                   json_get_bool(run, "saved", true) ? "" : ", not saved");
        show_number(&table, run, "tokens_per_second");
        show_number(&table, run, "decode_tokens_per_second");
        show_number(&table, run, "prefill_tokens_per_second");
        show_number(&table, run, "ttft_ms");
        show_number(&table, run, "memory_bytes");
        table_cell(&table, "%s", trend_text(run, trend, sizeof trend));
    }
    struct buffer text = {0};
    table_write(&table, &text, terminal_has_color(stdout) ? TABLE_TEXT_COLOR : TABLE_TEXT, 0, LINE_WIDTH);
    if (text.data)
        fputs(text.data, stdout);
    buffer_free(&text);
    table_free(&table);
}

static int list_runs(struct jobs *jobs, const struct wishes *wishes, struct error *error)
{
    json_t *page;
    int status = jobs_list(jobs, &wishes->filter, &page, error);
    if (status)
        return status;
    const json_t *runs = json_object_get(page, "runs");
    if (wishes->json)
        status = report_print_json(page, error);
    else if (json_array_size(runs) == 0)
        puts("No runs: 'llmind profile' makes one.");
    else {
        print_runs(runs);
        if (json_get_string(page, "next"))
            printf("\nThere are older ones: --limit N shows more.\n");
    }
    json_decref(page);
    return status;
}

/* ---- show ---- */

static void print_head(const json_t *run)
{
    char trend[64];
    printf("run %s\n", json_get_text(run, "id", ""));
    runs_line("started", json_get_text(run, "created", "-"));
    runs_line("model", json_get_text(run, "model", "-"));
    runs_line("status", json_get_text(run, "status", "-"));
    if (json_get_string(run, "message"))
        runs_line("why", json_get_string(run, "message"));
    if (json_get_bool(run, "imported", false))
        runs_line("from", "elsewhere: it was imported");
    if (!json_get_bool(run, "saved", true))
        runs_line("unsaved", json_get_text(run, "saved_reason", ""));
    if (json_get_object(run, "trend"))
        printf("  %-9sdecoding: %s (against run %.*s)\n", "trend", trend_text(run, trend, sizeof trend),
               SHORT_ID, json_get_text(run, "trend.run_id", ""));
    putchar('\n');
}

static int show_run(struct jobs *jobs, const char *prefix, const struct wishes *wishes, struct error *error)
{
    char id[JOBS_ID];
    json_t *run = NULL;
    int status = jobs_find(jobs, prefix, id, error);
    if (!status)
        status = jobs_get(jobs, id, &run, error);
    if (status)
        return status;
    const json_t *report = json_get_object(run, "report");
    if (wishes->json) {
        status = report_print_json(run, error);
    } else {
        print_head(run);
        if (report)
            status = report_print(report, error);
    }
    if (!status && !report && wishes->outputs.count)
        status = error_set(error, ERROR_INVALID, "run %.*s has no report: %s", SHORT_ID, id,
                           json_get_reason(run, "report", ""));
    if (!status)
        status = report_outputs_write(report, &wishes->outputs, error);
    json_decref(run);
    return status;
}

/* ---- diff ---- */

static int diff_runs(struct jobs *jobs, const char *a, const char *b, const struct wishes *wishes,
                     struct error *error)
{
    char ids[2][JOBS_ID];
    json_t *diff;
    int status = jobs_find(jobs, a, ids[0], error);
    if (!status)
        status = jobs_find(jobs, b, ids[1], error);
    if (!status)
        status = jobs_diff(jobs, ids[0], ids[1], &diff, error);
    if (status)
        return status;
    if (wishes->json)
        status = report_print_json(diff, error);
    else
        runs_diff_print(diff);
    json_decref(diff);
    return status;
}

/* ---- delete, import ---- */

static int delete_run(struct jobs *jobs, const char *prefix, const struct wishes *wishes, struct error *error)
{
    char id[JOBS_ID];
    (void)wishes;
    int status = jobs_find(jobs, prefix, id, error);
    if (!status)
        status = jobs_delete(jobs, id, error);
    if (!status)
        printf("deleted %s\n", id);
    return status;
}

static int import_file(struct jobs *jobs, const char *path, const struct wishes *wishes, struct error *error)
{
    char *text, id[JOBS_ID];
    size_t length;
    json_t *report = NULL;
    json_error_t where;
    (void)wishes;
    int status = file_read(path, MAX_FILE_BYTES, &text, &length, error);
    if (status)
        return status;
    if (json_text_measure(text, length).depth > JSON_TEXT_MAX_DEPTH)
        status = error_set(error, ERROR_INVALID, "%s: it is nested too deeply to be a report", path);
    else if (!(report = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where)))
        status = error_set(error, ERROR_INVALID, "%s: line %d: %s", path, where.line, where.text);
    free(text);
    if (!status && (status = jobs_import(jobs, report, id, error)))
        error_prefix(error, "%s", path);
    json_decref(report);
    if (!status)
        printf("%s\n", id);
    return status;
}

/* ---- which of them ---- */

struct action {
    const char *name;
    int (*run)(struct jobs *jobs, const char *argument, const struct wishes *wishes, struct error *error);
    int min_arguments, max_arguments;
};

static const struct action actions[] = {{"show", show_run, 1, 1},
                                        {"diff", NULL, 2, 2},
                                        {"delete", delete_run, 1, CLI_MAX_POSITIONAL - 1},
                                        {"import", import_file, 1, CLI_MAX_POSITIONAL - 1}};

enum { N_ACTIONS = sizeof actions / sizeof *actions };

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < N_ACTIONS; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int unknown_action(struct cli_parser *parser, const char *name)
{
    const char *names[N_ACTIONS];
    for (size_t i = 0; i < N_ACTIONS; i++)
        names[i] = actions[i].name;
    const char *meant = near_name(name, names, N_ACTIONS);
    return cli_usage(parser, "unknown action '%.60s' (%s%s%s)", name, meant ? "did you mean '" : "there are ",
                     meant ? meant : "show, diff, delete and import", meant ? "'?" : "");
}

static int act(const struct action *action, const struct cli_parser *parser, const struct wishes *wishes,
               struct error *error)
{
    struct cli_jobs jobs;
    int status = cli_jobs_open(&jobs, error);
    if (!status && !jobs.store) /* there is no history but the stored one */
        status = error_set(error, ERROR_IO, "%s", jobs.why.message);
    if (!status && !action)
        status = list_runs(jobs.jobs, wishes, error);
    else if (!status && !action->run)
        status = diff_runs(jobs.jobs, parser->positional[1], parser->positional[2], wishes, error);
    for (int i = 1; !status && action && action->run && i < parser->n_positional; i++)
        status = action->run(jobs.jobs, parser->positional[i], wishes, error);
    cli_jobs_close(&jobs);
    return status;
}

int cli_history(int argc, char **argv)
{
    struct wishes wishes = {.filter = {.limit = 20}};
    struct cli_parser parser;
    struct error error = {0};
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);
    const char *name = parser.n_positional ? parser.positional[0] : NULL;
    const struct action *action = name ? find_action(name) : NULL;
    int n = parser.n_positional - 1;
    if (name && !action)
        return unknown_action(&parser, name);
    if (action && n < action->min_arguments)
        return cli_usage(&parser, "%s wants %s", name,
                         strcmp(name, "diff") == 0     ? "two IDs"
                         : strcmp(name, "import") == 0 ? "a file"
                                                       : "an ID ('llmind history' lists them)");
    if (action && n > action->max_arguments)
        return cli_usage(&parser, "unexpected argument '%.60s'",
                         parser.positional[action->max_arguments + 1]);
    if (wishes.outputs.count && (!action || strcmp(name, "show") != 0))
        return cli_usage(&parser, "--output goes with show");
    return act(action, &parser, &wishes, &error) ? cli_failed("history", &error) : CLI_EXIT_OK;
}
