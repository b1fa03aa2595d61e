/* `llmind profile`: measure a model, or a server, and say what the figures are worth.
 *
 * The options become a request (profile/request.h), which is run as a job: so it is in the history, and no
 * two runs disturb each other. A data folder that cannot be used keeps nobody from measuring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/profile_prove.h"
#include "cli/report_file.h"
#include "cli/session.h"
#include "profile/configuration.h"
#include "profile/json_get.h"
#include "profile/perfetto.h"
#include "profile/remote.h"

enum {
    OPTION_QUICK = 300,
    OPTION_PROMPT,
    OPTION_RAW,
    OPTION_JSON,
    OPTION_CONFIGURATIONS,
    OPTION_TRACE,
    OPTION_TARGET,
    OPTION_TARGET_MODEL,
    OPTION_ALLOW_LOCAL,
    OPTION_PROVE,
    OPTION_RUN,
    SERVER_START_MS = 300 * 1000
};

static const struct cli_option options[] = {
    {OPTION_QUICK, 0, "quick", NULL, "2 repeats, everything within a minute: indicative"},
    {OPTION_PROMPT, 0, "prompt", "TEXT", "profile this prompt instead of the default ones; may be repeated"},
    {OPTION_RAW, 0, "raw", NULL, "prompts as plain text, without the chat template"},
    {'r', 'r', "repeats", "N",
     "timed runs of each test (default 3, quick 2); blocks of a proof (default: 5 to 20)"},
    {'n', 'n', "max-tokens", "N", "tokens of the answer to a prompt (default 128)"},
    {OPTION_CONFIGURATIONS, 0, "configurations", "LIST",
     "what is compared with the baseline: names with commas between, or none (default: all)"},
    REPORT_OUTPUT_ROW,
    {OPTION_TRACE, 0, "trace", "FILE.json", "also write one traced step for ui.perfetto.dev"},
    {OPTION_JSON, 0, "json", NULL, "print the JSON report instead of text"},
    {OPTION_TARGET, 0, "target", "URL", "profile the OpenAI-compatible server at this address instead"},
    {OPTION_TARGET_MODEL, 0, "target-model", "NAME", "its model (default: the first it has)"},
    {OPTION_ALLOW_LOCAL, 0, "allow-local", NULL, "the address may be of this machine or a private network"},
    {OPTION_PROVE, 0, "prove", "WHAT",
     "try a recommendation of a stored run in turn with its baseline: kept, or rejected?"},
    {OPTION_RUN, 0, "run", "ID", "that run, or the beginning of its id (default: the newest)"},
    FOLLOW_OPTION_ROWS,
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "profile",
    .arguments = "[MODEL | --target URL [-- COMMAND...] | --prove WHAT [--run ID]] [--quick] [-o FILE]... "
                 "[options]",
    .about =
        "Measures a model: three prompts (simple, medium, complex), prefill (reading the prompt), and "
        "decode\n"
        "(writing the answer) at several depths of context, each with a warm-up, repeats, and a probe of\n"
        "the read bandwidth beside every repeat; then what changes when one thing is changed (threads, KV\n"
        "cache bits, answers at once, ...), each in turn with the baseline; one traced step; and what\n"
        "follows from it all. With -- COMMAND that server is started, profiled and stopped.\n"
        "LLMIND_TARGET_API_KEY is sent to the target.\n"
        "Configurations: baseline, high_temperature, low_temperature, short_response, long_response,\n"
        "threads, concurrency, kv_bits, prefix_cache, prefill_chunk, isa; or one value: threads=4;\n"
        "and, only where they are asked for, prompt_lookup and temperature=T (0 to 2).\n"
        "--prove takes one of them (threads=2, kv_bits=8, temperature=0.9, ...), runs it and the baseline\n"
        "of a stored run in 5 to 20 blocks of A B B A (baseline, change, change, baseline; the more the\n"
        "faster the model is; -r N: so many), each in fresh processes, and ends in a sentence such as\n"
        "'4 threads → 2: decode +31 % [95 % CI +27, +35], kept': the change and its confidence interval.",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .max_positional = 1,
    .examples =
        "  llmind profile --quick\n"
        "  llmind profile mlx-community/Qwen3-0.6B-4bit -o report.json -o report.pdf\n"
        "  llmind profile builtin --prompt 'What is a KV cache?' --threads 2 --configurations "
        "threads,kv_bits\n"
        "  llmind profile --prove threads=2\n"
        "  llmind profile --prove kv_bits=8 --run 3fa9c1 -r 10 -o proof.html\n"
        "  llmind profile --target http://127.0.0.1:8080/v1 --allow-local\n"
        "  llmind profile --target http://127.0.0.1:8081/v1 -- llama-server -m model.gguf --port 8081\n"};

static const char key_variable[] = "LLMIND_TARGET_API_KEY";

struct wishes {
    const char *prompts[SCENARIO_MAX_PROMPTS];
    size_t n_prompts;
    struct report_outputs outputs;
    const char *trace, *target, *target_model, *prove, *run, *adapter;
    json_t *configurations; /* NULL: all */
    char *const *command;   /* of the server, NULL at its end; NULL: none */
    bool quick, json, raw, allow_local, wait, no_save;
    uint32_t repeats, max_tokens;
};

/* ---- options ---- */

/* "threads,kv_bits", "none", "all". */
static void take_configurations(struct cli_parser *parser, struct wishes *wishes)
{
    json_decref(wishes->configurations);
    wishes->configurations = NULL;
    if (strcmp(parser->value, "all") == 0)
        return;
    wishes->configurations = json_array();
    if (strcmp(parser->value, "none") == 0)
        return;
    for (const char *at = parser->value;; at++) {
        char name[64];
        size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), at);
        if (!configuration_known(name)) {
            error_set(&parser->error, ERROR_INVALID,
                      "--configurations: there is none called '%s' (see 'llmind profile --help')", name);
            return;
        }
        json_array_append_new(wishes->configurations, json_string(name));
        at += length;
        if (!*at)
            return;
    }
}

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    const struct cli_switch switches[] = {
        {OPTION_QUICK, &wishes->quick}, {OPTION_RAW, &wishes->raw},
        {OPTION_JSON, &wishes->json},   {OPTION_ALLOW_LOCAL, &wishes->allow_local},
        {FOLLOW_WAIT, &wishes->wait},   {FOLLOW_NO_SAVE, &wishes->no_save}};
    if (cli_switch(switches, sizeof switches / sizeof *switches, id))
        return;
    if (id == 'r')
        cli_u32(parser, 1, REQUEST_MAX_REPEATS, &wishes->repeats);
    else if (id == 'n')
        cli_u32(parser, 1, REQUEST_MAX_TOKENS, &wishes->max_tokens);
    else if (id == OPTION_PROMPT)
        cli_text_list(parser, wishes->prompts, SCENARIO_MAX_PROMPTS, &wishes->n_prompts);
    else if (id == OPTION_CONFIGURATIONS)
        take_configurations(parser, wishes);
    else if (id == REPORT_OUTPUT)
        report_outputs_take(parser, &wishes->outputs);
    else if (id == OPTION_TRACE)
        wishes->trace = parser->value;
    else if (id == OPTION_TARGET)
        wishes->target = parser->value;
    else if (id == OPTION_TARGET_MODEL)
        wishes->target_model = parser->value;
    else if (id == OPTION_PROVE)
        wishes->prove = parser->value;
    else if (id == OPTION_RUN)
        wishes->run = parser->value;
}

/* ---- the request ---- */

static void put_text(json_t *o, const char *name, const char *text)
{
    if (text)
        json_object_set_new(o, name, json_string(text));
}

static void put_u32(json_t *o, const char *name, uint32_t value)
{
    if (value)
        json_object_set_new(o, name, json_integer(value));
}

static json_t *target_json(const struct wishes *wishes)
{
    const char *key = getenv(key_variable);
    json_t *o = json_object();
    put_text(o, "url", wishes->target);
    put_text(o, "model", wishes->target_model);
    if (key && *key)
        put_text(o, "key_env", key_variable);
    /* a server that was started here for this run is here */
    json_object_set_new(o, "allow_local", json_boolean(wishes->allow_local || wishes->command));
    return o;
}

static json_t *request_json(const struct cli_parser *parser, const struct wishes *wishes)
{
    json_t *o = json_object(), *prompts = json_array();
    put_text(o, "kind", "profile");
    json_object_set_new(o, "quick_mode", json_boolean(wishes->quick));
    json_object_set_new(o, "raw", json_boolean(wishes->raw));
    put_u32(o, "repeats", wishes->repeats);
    put_u32(o, "max_tokens", wishes->max_tokens);
    for (size_t i = 0; i < wishes->n_prompts; i++)
        json_array_append_new(prompts, json_string(wishes->prompts[i]));
    if (json_array_size(prompts) == wishes->n_prompts && wishes->n_prompts)
        json_object_set(o, "test_prompts", prompts);
    json_decref(prompts);
    if (wishes->configurations)
        json_object_set(o, "configurations", wishes->configurations);
    if (wishes->target)
        json_object_set_new(o, "target", target_json(wishes));
    else
        put_text(o, "model_name", parser->n_positional ? parser->positional[0] : "builtin");
    json_object_set_new(o, "knobs", follow_knobs(&parser->engine));
    return o;
}

/* ---- the report ---- */

static int write_json(const json_t *json, const char *path, struct error *error)
{
    FILE *file = fopen(path, "wbe");
    if (!file)
        return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    int failed = json_dumpf(json, file, JSON_COMPACT);
    if (fclose(file) || failed)
        return error_set(error, ERROR_IO, "cannot write %s: the disk is full or failing", path);
    return 0;
}

static int write_trace(const json_t *report, const char *path, struct error *error)
{
    json_t *trace = NULL;
    int status = perfetto_trace(report, &trace, error);
    if (!status)
        status = write_json(trace, path, error);
    json_decref(trace);
    return status;
}

static int show_report(const json_t *report, const struct wishes *wishes, struct error *error)
{
    int status = wishes->json ? report_print_json(report, error) : report_print(report, error);
    if (!status)
        status = report_outputs_write(report, &wishes->outputs, error);
    if (!status && wishes->trace)
        status = write_trace(report, wishes->trace, error);
    return status;
}

/* How the run ended, as this command's own result. */
static int outcome(const json_t *row, bool shown, struct error *error)
{
    const char *message = json_get_text(row, "message", "the run failed");
    if (json_get_is(row, "status", "success"))
        return 0;
    if (json_get_is(row, "status", "cancelled"))
        return error_set(error, ERROR_CANCELLED, "interrupted%s",
                         shown ? "; what was measured so far is shown" : "");
    return error_set(error, ERROR_INVALID, "%s%s", message, shown ? "; the report says why" : "");
}

/* ---- all of it ---- */

static int run(const json_t *request, const struct wishes *wishes, struct error *error)
{
    static const struct follow_options follow = {.command = "profile"};
    struct follow_options options_of_run = follow;
    struct cli_jobs jobs;
    json_t *row = NULL;
    options_of_run.wait = wishes->wait;
    int status = wishes->no_save ? cli_jobs_open_unsaved(&jobs, error) : cli_jobs_open(&jobs, error);
    if (status)
        return status;
    jobs.adapter = wishes->adapter;
    status = follow_run(&jobs, request, &options_of_run, &row, error);
    if (!status) {
        const json_t *report = json_get_object(row, "report");
        bool shown = follow_has_results(report);
        struct error writing = {0};
        if (shown && !wishes->no_save)
            follow_tell_saved(row, &options_of_run);
        int written = shown ? show_report(report, wishes, &writing) : 0;
        status = outcome(row, shown, error);
        if (written && !status) {
            status = written;
            *error = writing;
        }
    }
    json_decref(row);
    cli_jobs_close(&jobs);
    return status;
}

static int run_with_server(const json_t *request, const struct wishes *wishes, struct error *error)
{
    struct remote_server *server = NULL;
    int status = 0;
    if (wishes->command)
        status = remote_server_start(wishes->command, wishes->target, SERVER_START_MS, &cli_interrupts,
                                     &server, error);
    if (!status)
        status = run(request, wishes, error);
    remote_server_stop(server);
    return status;
}

/* What stands behind "--" is not for us. */
static int cut_command(int argc, char **argv, struct wishes *wishes)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0 && i + 1 < argc) {
            wishes->command = argv + i + 1;
            return i;
        }
    return argc;
}

/* A proof has the knobs, the prompt and the model of its run. */
static int check_proof(struct cli_parser *parser, const struct wishes *wishes)
{
    json_t *knobs = follow_knobs(&parser->engine);
    bool other = wishes->n_prompts || wishes->configurations || wishes->target || wishes->trace ||
                 wishes->quick || wishes->raw || wishes->no_save || wishes->max_tokens || wishes->command ||
                 json_object_size(knobs) > 0;
    json_decref(knobs);
    if (other)
        return cli_usage(parser, "--prove does what its run did: besides it there are --run, --repeats, "
                                 "--output, --json, --wait, and --adapter where the run had it");
    if (wishes->run && parser->n_positional)
        return cli_usage(parser, "--run names a run, and that its model: MODEL '%.60s' is too much",
                         parser->positional[0]);
    if (wishes->repeats && wishes->repeats < REQUEST_MIN_BLOCKS)
        return cli_usage(parser, "--repeats: a proof has %d blocks or more", REQUEST_MIN_BLOCKS);
    return 0;
}

static int check(struct cli_parser *parser, const struct wishes *wishes)
{
    if (wishes->prove)
        return check_proof(parser, wishes);
    if (wishes->run)
        return cli_usage(parser, "--run wants --prove WHAT");
    if (wishes->command && !wishes->target)
        return cli_usage(parser, "-- COMMAND wants --target URL: where that server will answer");
    if (wishes->target && parser->n_positional)
        return cli_usage(parser,
                         "--target and MODEL '%.60s' do not go together (--target-model names the "
                         "server's model)",
                         parser->positional[0]);
    if (wishes->target && wishes->adapter)
        return cli_usage(parser, "--adapter is for a model of this machine, and --target names a server");
    if (wishes->target && wishes->trace)
        return cli_usage(parser, "--trace: a server's steps cannot be traced from outside");
    if ((wishes->target_model || wishes->allow_local) && !wishes->target)
        return cli_usage(parser, "--target-model and --allow-local want --target URL");
    return 0;
}

int cli_profile(int argc, char **argv)
{
    struct wishes wishes = {.n_prompts = 0};
    struct cli_parser parser;
    struct error error = {0};
    int id;
    argc = cut_command(argc, argv, &wishes);
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    wishes.adapter = parser.engine.adapter;
    int usage = id < 0 ? cli_leave(&parser, id) : check(&parser, &wishes);
    if (id < 0 || usage) {
        json_decref(wishes.configurations);
        return usage;
    }
    cli_catch_interrupts();
    if (wishes.prove) {
        const struct prove_wish wish = {.recommendation = wishes.prove,
                                        .run = wishes.run,
                                        .model = parser.n_positional ? parser.positional[0] : NULL,
                                        .adapter = wishes.adapter,
                                        .blocks = wishes.repeats,
                                        .json = wishes.json,
                                        .wait = wishes.wait,
                                        .outputs = &wishes.outputs};
        return profile_prove(&wish, &error) ? cli_failed("profile", &error) : CLI_EXIT_OK;
    }
    json_t *request = request_json(&parser, &wishes);
    int status = run_with_server(request, &wishes, &error);
    json_decref(request);
    json_decref(wishes.configurations);
    return status ? cli_failed("profile", &error) : CLI_EXIT_OK;
}
