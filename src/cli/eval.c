/* llmind eval: perplexity and top-1 accuracy over a text, and the logits themselves. Parses, hands on to
 * eval/. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "eval/eval.h"
#include "eval/tokens.h"
#include "platform/file.h"
#include "text/tokenizer.h"

enum { MAX_TEXT_BYTES = 256 << 20 };
enum { OPTION_TEXT = 1, OPTION_TOKENS, OPTION_LOGITS, OPTION_COMPARE, OPTION_WINDOW, OPTION_JSON };

static const struct cli_option options[] = {
    {OPTION_TEXT, 0, "text", "FILE", "score this text"},
    {OPTION_TOKENS, 0, "tokens", "FILE", "or these token ids: JSON array, numbers, or int32 .npy"},
    {OPTION_LOGITS, 0, "logits", "OUT.npy", "write every position's logits, float32 [positions, vocab]"},
    {OPTION_COMPARE, 0, "compare", "FILE.npy",
     "divergence from the logits of another run over the same tokens"},
    {OPTION_WINDOW, 0, "window", "N", "tokens that share one context (default: --ctx)"},
    {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "eval",
    .arguments = "MODEL --text FILE | --tokens FILE [options]",
    .about = "Perplexity and top-1 accuracy of a model over a text: quality, to hold beside speed.",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind eval builtin --text README.md\n"
                "  llmind eval builtin --text README.md --precise --logits precise.npy\n"
                "  llmind eval builtin --text README.md --compare precise.npy\n"};

struct wishes {
    const char *text, *tokens;
    struct eval_options eval;
    bool json;
};

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    switch (id) {
    case OPTION_TEXT:
        wishes->text = parser->value;
        break;
    case OPTION_TOKENS:
        wishes->tokens = parser->value;
        break;
    case OPTION_LOGITS:
        wishes->eval.logits_path = parser->value;
        break;
    case OPTION_COMPARE:
        wishes->eval.compare_path = parser->value;
        break;
    case OPTION_WINDOW:
        cli_u32(parser, 2, 1 << 24, &wishes->eval.window);
        break;
    case OPTION_JSON:
        wishes->json = true;
        break;
    default:
        break;
    }
}

static int read_tokens(const struct wishes *wishes, const struct engine *engine, struct token_list *out,
                       struct error *error)
{
    if (wishes->tokens)
        return tokens_read(wishes->tokens, out, error);
    char *text;
    size_t length;
    int result = file_read(wishes->text, MAX_TEXT_BYTES, &text, &length, error);
    if (result)
        return result;
    result = tokenizer_encode(engine_tokenizer(engine), text, length, true, out, error);
    free(text);
    return result;
}

static bool on_progress(void *context, size_t done, size_t total)
{
    (void)context;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu tokens ", done, total);
    return atomic_load(&cli_interrupts) == 0;
}

/* A perplexity can be beyond a double although every logit is finite. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int print_json(const struct engine *engine, const struct eval_result *result, struct error *error)
{
    const struct engine_info *info = engine_info(engine);
    const struct score *score = &result->score;
    double n = score->positions ? (double)score->positions : 1;
    json_t *object = json_pack(
        "{s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:f,s:f,s:f,s:f}", "model", info->model_name, "quantization",
        info->quantization, "isa", info->isa, "precise", (int)info->precise, "tokens",
        (json_int_t)result->n_tokens, "scored", (json_int_t)score->positions, "perplexity",
        number(score_perplexity(score)), "nll_nats", score->nll / n, "top1", (double)score->correct / n,
        "seconds", result->seconds, "tokens_per_second", (double)result->n_tokens / result->seconds);
    if (object && score->compared) {
        double compared = (double)score->compared;
        json_object_set_new(object, "compare",
                            json_pack("{s:f,s:f,s:f,s:f}", "kl_mean_nats", score->kl / compared,
                                      "kl_max_nats", score->kl_max, "top1_agreement",
                                      (double)score->agreed / compared, "relative_error",
                                      score_relative_error(score)));
    }
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text)
        return error_memory(error, "the result", 0);
    puts(text);
    free(text);
    return 0;
}

static void print_text(const struct engine *engine, const struct eval_result *result)
{
    const struct engine_info *info = engine_info(engine);
    const struct score *score = &result->score;
    double n = score->positions ? (double)score->positions : 1, compared = (double)score->compared;
    printf("%s (%s%s): perplexity %.4f, top-1 %.2f %%, %zu tokens in %.2f s (%.1f tok/s)\n", info->model_name,
           info->quantization, info->precise ? ", precise" : "", score_perplexity(score),
           100 * (double)score->correct / n, result->n_tokens, result->seconds,
           (double)result->n_tokens / result->seconds);
    if (score->compared)
        printf("against the other run: KL divergence %.3g nats (largest %.3g), same top-1 %.2f %%, relative "
               "error "
               "%.3g\n",
               score->kl / compared, score->kl_max, 100 * (double)score->agreed / compared,
               score_relative_error(score));
}

static int evaluate(const struct cli_parser *parser, struct wishes *wishes)
{
    struct error error = {0};
    struct engine *engine = NULL;
    struct token_list tokens = {0};
    struct eval_result result;
    cli_catch_interrupts();
    int status = cli_open_engine(parser, parser->positional[0], &engine, &error);
    if (!status)
        status = read_tokens(wishes, engine, &tokens, &error);
    if (!status) {
        wishes->eval.tokens = tokens.ids;
        wishes->eval.n_tokens = tokens.count;
        status = eval_run(engine, &wishes->eval, on_progress, NULL, &result, &error);
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%40s\r", "");
    }
    if (!status && wishes->json)
        status = print_json(engine, &result, &error);
    else if (!status)
        print_text(engine, &result);
    if (!status && fflush(stdout))
        status = error_set(&error, ERROR_IO, "cannot write to standard output: %s", strerror(errno));
    int code = status ? cli_failed("eval", &error) : CLI_EXIT_OK;
    token_list_free(&tokens);
    engine_close(engine);
    return code;
}

int cli_eval(int argc, char **argv)
{
    struct wishes wishes = {0};
    struct cli_parser parser;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);
    if (!wishes.text == !wishes.tokens)
        return cli_usage(&parser, "name either --text FILE or --tokens FILE");
    return evaluate(&parser, &wishes);
}
