/* `llmind bench`: a grid of tests over comma lists. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/cpu.h"
#include "profile/bench.h"
#include "profile/format.h"
#include "profile/table.h"
#include "service/catalog.h"

enum { OPTION_BOTH = 300, OPTION_OUTPUT = 'o', MAX_TESTS = 1024 };

static const struct cli_option options[] = {
    {'p', 'p', "n-prompt", "N,...", "prompt tokens of pp tests; 0: none (default 512)"},
    {'n', 'n', "n-gen", "N,...", "generated tokens of tg tests; 0: none (default 128)"},
    {OPTION_BOTH, 0, "pg", "P,N", "one more test: P prompt tokens, then N generated ones"},
    {'d', 'd', "n-depth", "N,...", "tokens of context before the timed part (default 0)"},
    {'b', 'b', "batch", "N,...", "sequences at once (default 1)"},
    {'t', 't', "threads", "N,...", "compute threads (default: the cores this process may use)"},
    {'r', 'r', "repetitions", "N", "timed runs of each test, after one warm-up (default 5)"},
    {OPTION_OUTPUT, 'o', "output", "FORMAT", "md, json, jsonl or csv (default md)"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "bench",
    .arguments = "MODEL [-p N,...] [-n N,...] [options]",
    .about = "Measures tokens per second over a grid of tests, named as llama-bench names them: pp512 "
             "processes 512\n"
             "prompt tokens, tg128 generates 128, '@ d4096' behind 4096 tokens of context, 'b4' in 4 "
             "sequences at\n"
             "once. ± is the standard deviation of the repetitions.",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind bench builtin\n"
                "  llmind bench builtin -p 0 -n 128 -t 1,2,4\n"
                "  llmind bench mlx-community/Qwen3-0.6B-4bit -p 512 -n 128 -d 0,4096 -b 1,4 -o jsonl\n"};

enum format { FORMAT_MD, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV };

struct output {
    enum format format;
    struct table table;
    size_t n_rows, n_failed;
    double gbps_sum; /* of the probes beside the rows */
    size_t n_gbps;
    const char *read_from;
};

static void show_begin(void *context, size_t index, const struct bench_test *test)
{
    (void)context;
    (void)index;
    char label[64], line[96];
    bench_label(test, label, sizeof label);
    snprintf(line, sizeof line, "bench: %s", label);
    if (terminal_is(stderr))
        terminal_progress(line, NAN, NAN);
}

static void show_row(void *context, const struct bench_row *row)
{
    struct output *output = context;
    terminal_progress_end();
    output->n_rows++;
    if (row->problem[0]) {
        char label[64];
        bench_label(&row->test, label, sizeof label);
        fprintf(stderr, "llmind bench: %s: %s\n", label, row->problem);
        output->n_failed++;
    }
    if (row->read_gbps.n) {
        output->gbps_sum += row->read_gbps.mean;
        output->n_gbps++;
        output->read_from = row->read_from;
    }
    if (output->format == FORMAT_MD)
        bench_table_row(&output->table, row);
    else if (output->format == FORMAT_CSV)
        bench_csv_row(stdout, row);
    else {
        char *json = bench_row_json(row, output->format == FORMAT_JSON ? 2 : 0);
        if (output->format == FORMAT_JSON)
            printf("%s", output->n_rows > 1 ? ",\n" : "");
        printf("%s%s", json ? json : "{}", output->format == FORMAT_JSON ? "" : "\n");
        free(json);
    }
    fflush(stdout);
}

static void begin_output(struct output *output)
{
    if (output->format == FORMAT_MD)
        bench_table_init(&output->table);
    else if (output->format == FORMAT_CSV)
        bench_csv_heading(stdout);
    else if (output->format == FORMAT_JSON)
        printf("[\n");
}

static void end_output(struct output *output)
{
    terminal_progress_end();
    if (output->format == FORMAT_JSON)
        printf("\n]\n");
    if (output->format != FORMAT_MD)
        return;
    const char *commit = version_commit();
    char gbps[FORMAT_MAX];
    table_print(&output->table, stdout, TABLE_MARKDOWN, 0);
    printf("\nllmind %s%s%s%s", version_number(), commit ? " (" : "", commit ? commit : "",
           commit ? ")" : "");
    if (output->n_gbps)
        printf(", weights read at %s GB/s beside the runs (from %s)",
               format_number(gbps, output->gbps_sum / (double)output->n_gbps), output->read_from);
    putchar('\n');
    table_free(&output->table);
}

static bool parse_format(const char *name, enum format *out)
{
    static const char *const names[] = {"md", "json", "jsonl", "csv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum format)i;
            return true;
        }
    return false;
}

/* The longest context a model can have; UINT32_MAX when its folder does not tell (opening it will say why).
 */
static uint32_t model_limit(const char *model)
{
    char folder[PATH_MAX];
    struct model_summary summary;
    if (catalog_resolve(model, folder, sizeof folder, NULL) || model_summarize(folder, &summary, NULL))
        return UINT32_MAX;
    uint32_t context = summary.context;
    model_summary_free(&summary);
    return context ? context : UINT32_MAX;
}

/* The context and number of sequences the largest test needs, where the user did not say: so that the KV
 * cache is no larger than the tests. A test that is too long for the model then fails by itself. */
static void size_engine(struct engine_options *engine, const char *model, const struct bench_test *tests,
                        size_t n)
{
    uint64_t context = 0;
    uint32_t chunk = engine->prefill_chunk ? engine->prefill_chunk : 512;
    for (size_t i = 0; i < n; i++) {
        uint64_t needed = bench_context(&tests[i], chunk);
        context = needed > context ? needed : context;
        if (tests[i].batch > engine->max_sequences)
            engine->max_sequences = tests[i].batch;
    }
    uint32_t limit = model_limit(model);
    if (!engine->context)
        engine->context = context < limit ? (uint32_t)context : limit;
}

/* One engine for each number of threads: each loads the model afresh. */
static int run_all(struct cli_parser *parser, const struct bench_list *threads, struct bench_options *bench,
                   struct error *error)
{
    const char *model = parser->positional[0];
    for (uint32_t i = 0; i < threads->count; i++) {
        struct engine *engine = NULL;
        if (threads->items[i])
            parser->engine.n_threads = threads->items[i];
        int status = cli_open_engine(parser, model, &engine, error);
        if (!status) {
            bench->model_name = cli_model_name(model, engine);
            status = bench_engine(engine, bench, error);
        }
        engine_close(engine);
        if (status)
            return status;
    }
    return 0;
}

int cli_bench(int argc, char **argv)
{
    struct bench_grid grid = {
        .prompt = {{512}, 1}, .gen = {{128}, 1}, .depth = {{0}, 1}, .batch = {{1}, 1}, .repeats = 5};
    struct bench_list threads = {{0}, 1};
    struct output output = {.format = FORMAT_MD};
    const uint32_t most = 1 << 20;
    struct cli_parser parser;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        uint32_t n_both = 2;
        if (id == 'p')
            cli_u32_list(&parser, 0, most, grid.prompt.items, BENCH_MAX_LIST, &grid.prompt.count);
        else if (id == 'n')
            cli_u32_list(&parser, 0, most, grid.gen.items, BENCH_MAX_LIST, &grid.gen.count);
        else if (id == 'd')
            cli_u32_list(&parser, 0, most, grid.depth.items, BENCH_MAX_LIST, &grid.depth.count);
        else if (id == 'b')
            cli_u32_list(&parser, 1, 256, grid.batch.items, BENCH_MAX_LIST, &grid.batch.count);
        else if (id == 't')
            cli_u32_list(&parser, 1, 1024, threads.items, BENCH_MAX_LIST, &threads.count);
        else if (id == 'r')
            cli_u32(&parser, 1, BENCH_MAX_REPEATS, &grid.repeats);
        else if (id == OPTION_BOTH)
            cli_u32_list(&parser, 1, most, grid.both, 2, &n_both);
        else if (!parse_format(parser.value, &output.format))
            error_set(&parser.error, ERROR_INVALID, "--output wants md, json, jsonl or csv, not '%s'",
                      parser.value);
        if (n_both != 2)
            error_set(&parser.error, ERROR_INVALID, "--pg wants two numbers, as in --pg 512,128");
    }
    if (id < 0)
        return cli_leave(&parser, id);

    struct bench_test *tests = calloc(MAX_TESTS, sizeof *tests);
    size_t n = tests ? bench_expand(&grid, tests, MAX_TESTS) : 0;
    if (n == 0 || n > MAX_TESTS) {
        free(tests);
        return cli_usage(&parser, n ? "more than %d tests" : "nothing to run: -p and -n are both 0",
                         MAX_TESTS);
    }
    size_engine(&parser.engine, parser.positional[0], tests, n);
    struct bench_options bench = {.tests = tests,
                                  .n_tests = n,
                                  .repeats = grid.repeats,
                                  .cancel = &cli_interrupts,
                                  .on_begin = show_begin,
                                  .on_row = show_row,
                                  .context = &output};
    struct error error = {0};
    cli_catch_interrupts();
    begin_output(&output);
    int status = run_all(&parser, &threads, &bench, &error);
    free(tests);
    if (status && output.n_rows == 0 && output.format == FORMAT_MD)
        table_free(&output.table); /* nothing was measured: no empty table above the error */
    else
        end_output(&output);
    if (status)
        return cli_failed("bench", &error);
    return output.n_failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
