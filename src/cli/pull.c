/* `llmind pull`: a model from the hub into the cache, looked at before it is fetched. */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "hub/hub.h"
#include "platform/clock.h"
#include "profile/format.h"
#include "profile/table.h"
#include "profile/worth.h"

enum { OPTION_JSON = 300, OPTION_FORCE, OPTION_RETRIES, MAX_RETRIES = 100 };

static const struct cli_option options[] = {
    {OPTION_FORCE, 0, "force", NULL, "also a model that cannot be run, or does not fit, on this machine"},
    {OPTION_RETRIES, 0, "retries", "N", "failures in a row before giving up (default 8)"},
    {OPTION_JSON, 0, "json", NULL, "one JSON object at the end instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "pull",
    .arguments = "REPO[@REV] [--force] [--json]",
    .about = "Downloads a model from the Hugging Face hub into the cache that other tools share\n"
             "(HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub). Only what a model needs is\n"
             "fetched: configuration, tokenizer, chat template, safetensors, card and licence. Before the\n"
             "weights it is checked whether the model can be run and fits into this machine's memory. What\n"
             "was interrupted goes on where it stopped; every file's hash is checked. HF_TOKEN (or\n"
             "HUGGING_FACE_HUB_TOKEN, or the token file of 'hf auth login' or HF_TOKEN_PATH) opens gated\n"
             "repositories, HF_ENDPOINT names another hub, HF_HUB_OFFLINE=1 asks nobody.",
    .options = options,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind pull mlx-community/Qwen3-0.6B-4bit\n"
                "  llmind pull mlx-community/Qwen3-0.6B-4bit@main --json\n"
                "  HF_ENDPOINT=http://mirror.local:8080 llmind pull org/model\n"};

struct show {
    const char *model; /* as the user wrote it */
    bool force, json, terminal;
    uint64_t next_line_ns, first_ns;
};

/* ---- before the weights ---- */

static void print_plan(const struct hub_plan *plan)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    struct table table;
    fprintf(stderr, "%s at %.12s: %zu files, %s; %s to fetch, %s free\n", plan->repository, plan->commit,
            plan->n_files, format_bytes(a, (double)plan->total_bytes),
            format_bytes(b, (double)plan->missing_bytes),
            plan->free_bytes == UINT64_MAX ? "-" : format_bytes(c, (double)plan->free_bytes));
    table_init(&table, "lrl");
    for (size_t i = 0; i < plan->n_files; i++) {
        table_cell(&table, "%s", plan->files[i].name);
        table_cell(&table, "%s", format_bytes(a, (double)plan->files[i].bytes));
        table_cell(&table, "%s", plan->files[i].present ? "there" : "");
    }
    table_print(&table, stderr, TABLE_TEXT, 2);
    table_free(&table);
}

static int before(void *context, const struct hub_plan *plan, struct error *error)
{
    struct show *show = context;
    char note[WORTH_NOTE];
    if (show->terminal)
        terminal_progress_end();
    print_plan(plan);
    int status = worth_fetching(plan->config_path, plan->repository, show->force, "--force", note, error);
    if (!status)
        fprintf(stderr, "%s\n", note);
    return status;
}

/* ---- progress ---- */

static void describe(const struct hub_progress *progress, char *out, size_t capacity)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    switch (progress->phase) {
    case HUB_LISTING:
        snprintf(out, capacity, "asking the hub");
        return;
    case HUB_WAITING:
        snprintf(out, capacity, "another process downloads %s: waiting", progress->file);
        return;
    case HUB_VERIFYING:
        snprintf(out, capacity, "checking %s", progress->file);
        return;
    case HUB_FETCHING:
    case HUB_PAUSING:
    case HUB_COMPLETE:
    default:
        break;
    }
    format_bytes(a, (double)progress->done_bytes);
    format_bytes(b, (double)progress->total_bytes);
    const char *paused = progress->phase == HUB_PAUSING ? ", trying again" : "";
    if (progress->bytes_per_second > 0)
        snprintf(out, capacity, "%s of %s, %s/s%s", a, b, format_bytes(c, progress->bytes_per_second),
                 paused);
    else
        snprintf(out, capacity, "%s of %s%s", a, b, paused);
}

static bool on_progress(void *context, const struct hub_progress *progress)
{
    enum { LINE_EVERY_S = 5 };
    struct show *show = context;
    char text[160];
    double fraction =
        progress->total_bytes ? (double)progress->done_bytes / (double)progress->total_bytes : (double)NAN;
    if (atomic_load(&cli_interrupts))
        return false;
    if (progress->phase == HUB_COMPLETE || (progress->phase != HUB_LISTING && progress->total_bytes == 0))
        return true;
    uint64_t now_ns = clock_now_ns();
    if (!show->terminal) {
        /* a line per few seconds, and none for what takes less */
        if (show->next_line_ns == 0)
            show->next_line_ns = now_ns + LINE_EVERY_S * (uint64_t)1000000000;
        if (now_ns < show->next_line_ns)
            return true;
        show->next_line_ns = now_ns + LINE_EVERY_S * (uint64_t)1000000000;
    }
    describe(progress, text, sizeof text);
    if (!show->terminal && !isnan(fraction)) {
        fprintf(stderr, "%3.0f %%  %s\n", 100 * fraction, text);
        return true;
    }
    terminal_progress(text, fraction, progress->phase == HUB_FETCHING ? progress->eta_s : (double)NAN);
    return true;
}

/* ---- */

static int print_result(const struct show *show, const char *repository, const struct hub_result *result)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    double seconds = (double)(clock_now_ns() - show->first_ns) * 1e-9;
    if (show->json) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "model", repository, "commit",
                              result->commit, "path", result->path, "files", (json_int_t)result->n_files,
                              "total_bytes", (json_int_t)result->total_bytes, "fetched_bytes",
                              (json_int_t)result->fetched_bytes, "seconds", seconds);
        char *text = o ? json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
        if (text)
            puts(text);
        free(text);
        json_decref(o);
        return CLI_EXIT_OK;
    }
    if (result->fetched_bytes)
        printf("%s: complete and verified, %s in %s (%s/s)\n", repository,
               format_bytes(a, (double)result->fetched_bytes), format_ms(b, seconds * 1e3),
               format_bytes(c, (double)result->fetched_bytes / seconds));
    else
        printf("%s: was there already\n", repository);
    printf("%s\nTry: llmind chat %s\n", result->path, show->model);
    return CLI_EXIT_OK;
}

static int pull(struct show *show, unsigned retries, struct error *error)
{
    struct hub_settings settings;
    struct hub_result result;
    char repository[HUB_MAX_REPOSITORY + 2];
    const char *at = strchr(show->model, '@');
    snprintf(repository, sizeof repository, "%.*s",
             (int)(at ? (size_t)(at - show->model) : strlen(show->model)), show->model);
    struct hub_pull_options wish = {.repository = repository,
                                    .revision = at ? at + 1 : NULL,
                                    .any_model = show->force,
                                    .retries = retries,
                                    .before = before,
                                    .progress = on_progress,
                                    .context = show};
    show->first_ns = clock_now_ns();
    int status = hub_settings_read(&settings, error);
    if (!status)
        status = hub_pull(&settings, &wish, &result, error);
    hub_settings_free(&settings);
    if (show->terminal)
        terminal_progress_end();
    return status ? status : print_result(show, repository, &result);
}

int cli_pull(int argc, char **argv)
{
    struct cli_parser parser;
    struct show show = {.terminal = terminal_is(stderr)};
    uint32_t retries = 0;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        show.force = show.force || id == OPTION_FORCE;
        show.json = show.json || id == OPTION_JSON;
        if (id == OPTION_RETRIES)
            cli_u32(&parser, 1, MAX_RETRIES, &retries);
    }
    if (id < 0)
        return cli_leave(&parser, id);
    show.model = parser.positional[0];
    struct error error = {0};
    cli_catch_interrupts();
    signal(SIGPIPE, SIG_IGN); /* a connection that the hub cut is an error like others */
    return pull(&show, retries, &error) ? cli_failed("pull", &error) : CLI_EXIT_OK;
}
