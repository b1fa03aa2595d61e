#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/file.h"
#include "service/catalog.h"

atomic_int cli_interrupts;

int cli_failed(const char *command, const struct error *error)
{
    fprintf(stderr, "llmind %s: %s\n", command, error->message);
    return error->code == ERROR_CANCELLED ? CLI_EXIT_INTERRUPTED : CLI_EXIT_FAILED;
}

int cli_open_engine(const struct cli_parser *parser, const char *model, struct engine **out,
                    struct error *error)
{
    char folder[PATH_MAX];
    int status = catalog_resolve(model, folder, sizeof folder, error);
    if (status)
        return status;
    struct engine_options options = parser->engine;
    options.model = folder;
    return engine_open(&options, out, error);
}

const char *cli_model_name(const char *model, const struct engine *engine)
{
    return file_is_folder(model) ? engine_info(engine)->model_name : model;
}

/* A signal that comes just before a blocking read would not interrupt it; a byte in a pipe cannot be missed.
 */
static int interrupt_pipe[2] = {-1, -1};

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    if (atomic_fetch_add(&cli_interrupts, 1) >= 2)
        _exit(CLI_EXIT_INTERRUPTED);
    ssize_t written = write(interrupt_pipe[1], "", 1); /* full or absent: the flag is up all the same */
    (void)written;
    errno = saved;
}

void cli_catch_interrupts(void)
{
    if (interrupt_pipe[0] < 0 && pipe(interrupt_pipe) == 0)
        for (int i = 0; i < 2; i++) {
            fcntl(interrupt_pipe[i], F_SETFD, FD_CLOEXEC);
            fcntl(interrupt_pipe[i], F_SETFL, O_NONBLOCK);
        }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt; /* no SA_RESTART: a read of standard input must return */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cli_interrupt_descriptor(void)
{
    return interrupt_pipe[0];
}

void cli_forget_interrupts(void)
{
    char bytes[16];
    while (interrupt_pipe[0] >= 0 && read(interrupt_pipe[0], bytes, sizeof bytes) > 0)
        ;
    atomic_store(&cli_interrupts, 0);
}
