/* `llmind generate`: one completion.
 *
 * Whether the prompt goes through the model's chat template follows mlx_lm.generate: yes when the model has
 * one, and --raw continues the text as it stands. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/new_file.h"
#include "profile/format.h"
#include "service/chat.h"

enum { DEFAULT_TOKENS = 256, MAX_STDIN = 64 << 20 };

enum {
    OPTION_STOP = 300,
    OPTION_STATS,
    OPTION_JSON,
    OPTION_RAW,
    OPTION_CHAT,
    OPTION_SYSTEM,
    OPTION_IGNORE_EOS,
    OPTION_SAVE_PROMPT_CACHE
};

static const struct cli_option options[] = {
    {'p', 'p', "prompt", "TEXT", "the prompt; '-' reads it from standard input"},
    {'n', 'n', "max-tokens", "N", "tokens to generate at most (default 256, or what the context leaves)"},
    {OPTION_SYSTEM, 0, "system", "TEXT", "system prompt, with a chat template"},
    {OPTION_RAW, 0, "raw", NULL, "continue the text as it stands, without the chat template"},
    {OPTION_CHAT, 0, "chat", NULL, "insist on the chat template: fail when the model has none"},
    SAMPLING_OPTION_ROWS,
    {OPTION_STOP, 0, "stop", "TEXT", "end before this text; may be repeated"},
    {OPTION_IGNORE_EOS, 0, "ignore-eos", NULL, "go on after the model's own end"},
    {OPTION_SAVE_PROMPT_CACHE, 0, "save-prompt-cache", "FILE",
     "keep what was computed of the prompt, for --prompt-cache; -n 0: only that"},
    {OPTION_STATS, 0, "stats", NULL, "speed and latency on standard error"},
    {OPTION_JSON, 0, "json", NULL, "print one JSON object instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "generate",
    .arguments = "MODEL -p TEXT [options]",
    .about =
        "Completes a prompt and prints the answer while it comes. When the model has a chat template, the\n"
        "prompt is a user's message; --raw continues it as plain text instead.\n"
        "A prompt cache is a file with what was computed of a prompt: prompts that begin with the same text\n"
        "(of generate, chat and serve, with --prompt-cache) need not compute that part again.",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .prompt_cache = true,
    .min_positional = 1,
    .max_positional = 1,
    .examples =
        "  llmind generate builtin -p 'What is prefill?' --stats\n"
        "  llmind generate builtin --raw -p 'Memory bandwidth is' -n 64 --temp 0.7 --seed 7\n"
        "  cat report.txt | llmind generate mlx-community/Qwen3-0.6B-4bit -p - --system 'Summarize.'\n"
        "  llmind generate builtin -p - -n 0 --save-prompt-cache book.cache <book.txt\n"
        "  cat book.txt question.txt | llmind generate builtin -p - --prompt-cache book.cache\n"};

struct wishes {
    const char *prompt, *system;
    const char *save;    /* a file for the prompt's cache; NULL: none */
    uint32_t max_tokens; /* UINT32_MAX: not given */
    struct sampling_wishes sampling;
    const char *stops[ENGINE_MAX_STOPS];
    size_t n_stops;
    bool raw, chat, stats, json, ignore_eos;
};

static void take_option(struct cli_parser *parser, int id, struct wishes *wishes)
{
    const struct cli_switch switches[] = {{OPTION_RAW, &wishes->raw},
                                          {OPTION_CHAT, &wishes->chat},
                                          {OPTION_STATS, &wishes->stats},
                                          {OPTION_JSON, &wishes->json},
                                          {OPTION_IGNORE_EOS, &wishes->ignore_eos}};
    if (cli_switch(switches, sizeof switches / sizeof *switches, id))
        return;
    switch (id) {
    case 'p':
        wishes->prompt = parser->value;
        break;
    case 'n':
        cli_u32(parser, 0, 1 << 24, &wishes->max_tokens);
        break;
    case OPTION_SYSTEM:
        wishes->system = parser->value;
        break;
    case OPTION_SAVE_PROMPT_CACHE:
        wishes->save = parser->value;
        break;
    case OPTION_STOP:
        cli_text_list(parser, wishes->stops, ENGINE_MAX_STOPS, &wishes->n_stops);
        break;
    default:
        sampling_option(parser, id, &wishes->sampling);
        break;
    }
}

/* All of standard input, zero-terminated; without the newline that echo and editors put at its end. */
static int read_stdin(char **out, struct error *error)
{
    size_t length = 0, capacity = 0;
    char *text = NULL;
    for (;;) {
        if (capacity - length < 2) {
            capacity = capacity ? 2 * capacity : 65536;
            char *more = capacity <= MAX_STDIN ? realloc(text, capacity) : NULL;
            if (!more) {
                free(text);
                return error_set(error, ERROR_LIMIT, "the prompt on standard input is longer than %d MB",
                                 MAX_STDIN >> 20);
            }
            text = more;
        }
        ssize_t got = read(STDIN_FILENO, text + length, capacity - length - 1);
        if (got < 0) {
            free(text);
            return error_set(error, atomic_load(&cli_interrupts) ? ERROR_CANCELLED : ERROR_IO,
                             atomic_load(&cli_interrupts) ? "interrupted" : "standard input cannot be read");
        }
        if (got == 0)
            break;
        length += (size_t)got;
    }
    if (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = '\0';
    *out = text;
    return strlen(text) == length ? 0 : error_set(error, ERROR_INVALID, "the prompt holds a zero byte");
}

static int messages_of(const struct wishes *wishes, char **out, struct error *error)
{
    struct chat *chat;
    int status = chat_open(wishes->system, &chat, error);
    if (!status)
        status = chat_add(chat, "user", wishes->prompt, strlen(wishes->prompt), error);
    if (!status)
        status = chat_messages_json(chat, out, error);
    chat_close(chat);
    return status;
}

/* One run of the command. */
struct work {
    struct engine *engine;
    char *input, *messages; /* the prompt from standard input, and as the template's messages; owned */
    struct engine_submit submit;
    struct cli_answer answer;
    struct engine_saved_prompt saved;
};

/* Without a model: what is wrong with input and output is said before a long prompt is computed. */
static int read_input(struct work *work, struct wishes *wishes, struct error *error)
{
    int status = wishes->save ? new_file_check(wishes->save, error) : 0;
    if (status || strcmp(wishes->prompt, "-") != 0)
        return status;
    status = read_stdin(&work->input, error);
    wishes->prompt = work->input ? work->input : "";
    return status;
}

static int make_submit(struct work *work, const struct wishes *wishes, struct error *error)
{
    const struct engine_info *info = engine_info(work->engine);
    bool as_messages = info->has_chat_template && !wishes->raw;
    if (!as_messages && (wishes->chat || wishes->system))
        return error_set(error, ERROR_UNSUPPORTED, "%s has no chat template, which %s needs",
                         info->model_name, wishes->chat ? "--chat" : "--system");
    int status = as_messages ? messages_of(wishes, &work->messages, error) : 0;
    bool asked = wishes->max_tokens != UINT32_MAX;
    work->submit = (struct engine_submit){.text = as_messages ? NULL : wishes->prompt,
                                          .messages_json = work->messages,
                                          .add_generation_prompt = as_messages,
                                          .max_tokens = asked ? wishes->max_tokens : DEFAULT_TOKENS,
                                          .prompt_only = wishes->max_tokens == 0,
                                          .ignore_eos = wishes->ignore_eos,
                                          .stops = wishes->stops,
                                          .n_stops = (uint32_t)wishes->n_stops,
                                          .sampling = sampling_make(work->engine, &wishes->sampling)};
    return status;
}

/* The answer, and with it all of standard output that is text. */
static int complete(struct work *work, const struct wishes *wishes, struct error *error)
{
    struct cli_answer *answer = &work->answer;
    FILE *stream = wishes->json ? NULL : stdout;
    int status = cli_answer_stream(work->engine, &work->submit, stream, answer, error);
    if (status == ERROR_LIMIT && wishes->max_tokens == UINT32_MAX && answer->timings.generated_tokens == 0) {
        work->submit.max_tokens = 0; /* the default does not fit: what the context leaves */
        cli_answer_free(answer);
        status = cli_answer_stream(work->engine, &work->submit, stream, answer, error);
    }
    if (!status && stream && wishes->max_tokens)
        putchar('\n');
    return status;
}

static int save(struct work *work, const struct wishes *wishes, struct error *error)
{
    if (!wishes->save || work->answer.finish == FINISH_CANCELLED)
        return 0;
    fflush(stdout); /* the answer is whole, whatever comes of this */
    return engine_save_prompt_cache(work->engine, &work->submit, wishes->save, &work->saved, error);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *saved_json(const struct engine_saved_prompt *saved, const char *path)
{
    return json_pack("{s:s, s:i, s:I}", "file", path, "tokens", (int)saved->n_tokens, "bytes",
                     (json_int_t)saved->file_bytes);
}

static void print_json(const struct work *work, const struct wishes *wishes)
{
    const struct engine_info *info = engine_info(work->engine);
    const struct cli_answer *answer = &work->answer;
    const struct engine_timings *t = &answer->timings;
    json_t *text = json_stringn(answer->text, answer->length);
    json_t *o = json_pack(
        "{s:s, s:o, s:s, s:{s:i, s:i, s:i}, s:{s:o, s:o, s:o, s:o, s:i, s:i}}", "model", info->model_name,
        "text", text ? text : json_null(), "finish_reason", cli_answer_finish_name(answer->finish), "usage",
        "prompt_tokens", (int)t->prompt_tokens, "cached_tokens", (int)t->cached_tokens, "completion_tokens",
        (int)t->generated_tokens, "timings", "ttft_ms", number(cli_answer_ttft_ms(answer)),
        "prefill_tokens_per_second", number(cli_answer_prefill_tps(answer)), "decode_tokens_per_second",
        number(cli_answer_decode_tps(answer)), "load_ms", number(info->load_ms), "drafted_tokens",
        (int)t->drafted_tokens, "accepted_tokens", (int)t->accepted_tokens);
    if (work->saved.n_tokens)
        json_object_set_new(o, "saved_prompt_cache", saved_json(&work->saved, wishes->save));
    char *dump = o ? json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (dump)
        puts(dump);
    free(dump);
    json_decref(o);
}

static void print_saved(const struct engine_saved_prompt *saved, const char *path)
{
    char bytes[FORMAT_MAX];
    fprintf(stderr, "%u of the prompt's %u tokens are kept in %s (%s)\n", saved->n_tokens, saved->n_prompt,
            path, format_bytes(bytes, (double)saved->file_bytes));
}

static void print_stats(const struct engine_info *info, const struct cli_answer *answer)
{
    char line[160], prefill[FORMAT_MAX], load[FORMAT_MAX];
    cli_answer_stats_line(answer, line, sizeof line);
    char prompt[FORMAT_MAX], threads[FORMAT_MAX];
    bool color = terminal_has_color(stderr);
    fprintf(stderr, "%s%s · prompt %s at %s tok/s · %s/%s, %s, loaded in %s%s\n", color ? "\x1b[2m" : "",
            line, format_of(prompt, answer->timings.prompt_tokens, "token"),
            format_number(prefill, cli_answer_prefill_tps(answer)), info->backend, info->isa,
            format_of(threads, info->n_threads, "thread"), format_ms(load, info->load_ms),
            color ? "\x1b[0m" : "");
}

/* Everything but the command line. */
static int run(const struct cli_parser *parser, struct wishes *wishes, struct work *work, struct error *error)
{
    int status = read_input(work, wishes, error);
    if (!status)
        status = cli_open_engine(parser, parser->positional[0], &work->engine, error);
    if (!status && wishes->save) /* could it be kept at all? */
        status = engine_save_prompt_cache(work->engine, NULL, wishes->save, &work->saved, error);
    if (!status)
        status = make_submit(work, wishes, error);
    if (!status)
        status = complete(work, wishes, error);
    bool answered = !status;
    if (answered)
        status = save(work, wishes, error);
    if (answered && wishes->json)
        print_json(work, wishes);
    /* also so that the figures come after the answer where both streams end in one file */
    if (!status && (fflush(stdout) || ferror(stdout)))
        status = error_set(error, ERROR_IO, "cannot write to standard output: %s", strerror(errno));
    if (!status && work->saved.n_tokens && !wishes->json)
        print_saved(&work->saved, wishes->save);
    if (!status && wishes->stats && work->answer.timings.generated_tokens)
        print_stats(engine_info(work->engine), &work->answer);
    return status;
}

int cli_generate(int argc, char **argv)
{
    struct wishes wishes = {.max_tokens = UINT32_MAX};
    sampling_none(&wishes.sampling);
    struct cli_parser parser;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    parser.engine.max_sequences = 1; /* no KV cache for requests that never come */
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wishes);
    if (id < 0)
        return cli_leave(&parser, id);
    if (!wishes.prompt)
        return cli_usage(&parser, "a prompt is needed: -p TEXT, or -p - for standard input");
    if (wishes.raw && wishes.chat)
        return cli_usage(&parser, "--raw and --chat exclude each other");
    if (!wishes.max_tokens && !wishes.save)
        return cli_usage(&parser,
                         "--max-tokens wants a whole number from 1, or 0 beside --save-prompt-cache");

    cli_catch_interrupts();
    struct error error = {0};
    struct work work = {0};
    int status = run(&parser, &wishes, &work, &error);
    bool interrupted = work.answer.finish == FINISH_CANCELLED;
    cli_answer_free(&work.answer);
    engine_close(work.engine);
    free(work.messages);
    free(work.input);
    if (status)
        return cli_failed("generate", &error);
    return interrupted ? CLI_EXIT_INTERRUPTED : CLI_EXIT_OK;
}
