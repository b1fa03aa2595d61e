/* `llmind chat`: a conversation on the terminal.
 *
 * Ctrl-C while an answer comes stops that answer, and what was said of it stays in the conversation. Ctrl-C
 * at the prompt asks once more; a second one, or Ctrl-D, leaves. With a pipe as input each line is a turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/line.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/format.h"
#include "service/chat.h"

enum { OPTION_SYSTEM = 300 };

static const struct cli_option options[] = {
    {OPTION_SYSTEM, 0, "system", "TEXT", "system prompt"},
    {'n', 'n', "max-tokens", "N", "tokens of one answer at most (default: what the context leaves)"},
    SAMPLING_OPTION_ROWS,
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "chat",
    .arguments = "[MODEL] [options]",
    .about = "Talks with a model. Ctrl-C stops an answer; Ctrl-C twice or Ctrl-D at the prompt leaves; /help "
             "shows\n"
             "what else can be typed.",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .prompt_cache = true,
    .max_positional = 1,
    .examples = "  llmind chat\n"
                "  llmind chat mlx-community/Qwen3-0.6B-4bit --system 'Answer briefly.' --temp 0.7\n"};

static const char help_text[] = "  /system TEXT   set the system prompt (without TEXT: remove it)\n"
                                "  /reset         forget the conversation\n"
                                "  /save FILE     write the conversation as Markdown\n"
                                "  /help          this list\n"
                                "  /quit          leave; so do Ctrl-D, and Ctrl-C twice\n"
                                "  Ctrl-C stops an answer while it comes.\n";

struct session {
    struct engine *engine;
    struct chat *chat;
    struct sampling_wishes sampling;
    uint32_t max_tokens;
    bool interactive; /* a person at a terminal: prompt and hints are shown */
    const char *accent, *dim, *off;
};

static void note(const struct session *session, const char *text)
{
    printf("%s%s%s\n", session->dim, text, session->off);
}

/* ---- commands ---- */

static void set_system(struct session *session, const char *text)
{
    struct error error = {0};
    if (chat_set_system(session->chat, text, &error))
        note(session, error.message);
    else
        note(session, *text ? "system prompt set" : "system prompt removed");
}

static void save(struct session *session, const char *path)
{
    struct error error = {0};
    if (!*path)
        note(session, "/save wants the name of a file");
    else if (chat_save_markdown(session->chat, path, engine_info(session->engine)->model_name, &error))
        note(session, error.message);
    else
        note(session, "saved");
}

/* Returns false to leave. */
static bool run_command(struct session *session, const char *line)
{
    size_t n = strcspn(line, " ");
    const char *argument = line + n + strspn(line + n, " ");
    if (n == 5 && strncmp(line, "/quit", n) == 0)
        return false;
    if (n == 5 && strncmp(line, "/help", n) == 0)
        printf("%s%s%s", session->dim, help_text, session->off);
    else if (n == 6 && strncmp(line, "/reset", n) == 0) {
        chat_reset(session->chat);
        note(session, "forgotten");
    } else if (n == 7 && strncmp(line, "/system", n) == 0)
        set_system(session, argument);
    else if (n == 5 && strncmp(line, "/save", n) == 0)
        save(session, argument);
    else
        note(session, "there is no such command; /help shows what there is");
    return true;
}

/* ---- turns ---- */

static void show_error(const struct session *session, const struct error *error)
{
    fflush(stdout);
    fprintf(stderr, "llmind chat: %s%s\n", error->message,
            error->code == ERROR_LIMIT && session->interactive ? " (/reset starts afresh)" : "");
}

/* Returns an exit code; what went wrong has been said. The user's turn is taken back when no answer came. */
static int answer_turn(struct session *session, const char *line, size_t length)
{
    struct error error = {0};
    struct cli_answer answer = {0};
    char *messages = NULL;
    bool answered = false;
    int status = chat_add(session->chat, "user", line, length, &error);
    if (status)
        goto out;
    status = chat_messages_json(session->chat, &messages, &error);
    if (!status) {
        struct engine_submit submit = {.messages_json = messages,
                                       .add_generation_prompt = true,
                                       .max_tokens = session->max_tokens,
                                       .sampling = sampling_make(session->engine, &session->sampling)};
        status = cli_answer_stream(session->engine, &submit, stdout, &answer, &error);
        cli_forget_interrupts(); /* they were meant for the answer */
    }
    answered =
        answer.length > 0 && chat_add(session->chat, "assistant", answer.text, answer.length, NULL) == 0;
    if (!answered)
        chat_drop_last(session->chat);
    if (!status) {
        char line_of_figures[160];
        cli_answer_stats_line(&answer, line_of_figures, sizeof line_of_figures);
        printf("\n%s%s%s%s\n", session->dim, line_of_figures,
               answer.finish == FINISH_CANCELLED ? " · stopped" : "", session->off);
    }
out:
    if (status)
        show_error(session, &error);
    free(messages);
    cli_answer_free(&answer);
    return status ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int converse(struct session *session)
{
    struct line_reader reader = {.descriptor = STDIN_FILENO, .interrupt = cli_interrupt_descriptor()};
    int exit_code = CLI_EXIT_OK;
    for (int interrupted = 0;;) {
        if (session->interactive)
            printf("%s>%s ", session->accent, session->off);
        fflush(stdout);
        char *line;
        size_t length;
        enum line_result result = line_read(&reader, &line, &length);
        if (result == LINE_INTERRUPTED && session->interactive && ++interrupted < 2) {
            cli_forget_interrupts(); /* before the answer to it: the next one may come as soon as that is seen
                                      */
            printf("\n%s(Ctrl-C again or Ctrl-D leaves)%s\n", session->dim, session->off);
            continue;
        }
        if (result != LINE_READ) {
            if (session->interactive)
                putchar('\n');
            if (result == LINE_INTERRUPTED && !session->interactive)
                return CLI_EXIT_INTERRUPTED;
            if (result == LINE_FAILED) {
                fputs("llmind chat: standard input cannot be read, or a line of it is too long\n", stderr);
                return CLI_EXIT_FAILED;
            }
            return exit_code;
        }
        interrupted = 0;
        bool stay = true;
        if (line[0] == '/')
            stay = run_command(session, line);
        else if (line[strspn(line, " \t\r")] && answer_turn(session, line, length) && !session->interactive)
            exit_code = CLI_EXIT_FAILED;
        free(line);
        if (!stay)
            return exit_code;
    }
}

int cli_chat(int argc, char **argv)
{
    struct session session = {.accent = "", .dim = "", .off = ""};
    const char *system = NULL;
    sampling_none(&session.sampling);
    struct cli_parser parser;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    parser.engine.max_sequences = 1; /* no KV cache for requests that never come */
    while ((id = cli_next(&parser)) > 0) {
        if (id == OPTION_SYSTEM)
            system = parser.value;
        else if (id == 'n')
            cli_u32(&parser, 1, 1 << 24, &session.max_tokens);
        else
            sampling_option(&parser, id, &session.sampling);
    }
    if (id < 0)
        return cli_leave(&parser, id);

    const char *model = parser.n_positional ? parser.positional[0] : "builtin";
    struct error error = {0};
    int status = cli_open_engine(&parser, model, &session.engine, &error), exit_code = CLI_EXIT_FAILED;
    if (!status && !engine_info(session.engine)->has_chat_template)
        status = error_set(
            &error, ERROR_UNSUPPORTED,
            "%s has no chat template, so it cannot tell turns apart; 'llmind generate --raw' continues "
            "text with it",
            model);
    if (!status)
        status = chat_open(system, &session.chat, &error);
    if (!status) {
        session.interactive = terminal_is(stdin) && terminal_is(stdout);
        if (terminal_has_color(stdout)) {
            session.accent = "\x1b[1;36m";
            session.dim = "\x1b[2m";
            session.off = "\x1b[0m";
        }
        const struct engine_info *info = engine_info(session.engine);
        char threads[FORMAT_MAX];
        if (session.interactive)
            printf("%s%s · %s · %s/%s, %s · context %u tokens · /help%s\n", session.dim, model,
                   info->quantization, info->backend, info->isa,
                   format_of(threads, info->n_threads, "thread"), info->context, session.off);
        cli_catch_interrupts();
        exit_code = converse(&session);
    } else
        exit_code = cli_failed("chat", &error);
    chat_close(session.chat);
    engine_close(session.engine);
    return exit_code;
}
