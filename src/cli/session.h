/* What every command does around its own work: find the model, open the engine, say what went wrong, notice
 * Ctrl-C. */
#ifndef LLMIND_CLI_SESSION_H
#define LLMIND_CLI_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "engine/engine.h"

/* Prints "llmind COMMAND: message" to stderr; returns CLI_EXIT_FAILED, or CLI_EXIT_INTERRUPTED for
 * ERROR_CANCELLED. */
int cli_failed(const char *command, const struct error *error);

/* Opens the engine of a model by its catalogue name, hub id or folder with parser->engine's options. */
int cli_open_engine(const struct cli_parser *parser, const char *model, struct engine **out,
                    struct error *error);

/* What to call that model in front of people: what the user wrote, of a path its last part. */
const char *cli_model_name(const char *model, const struct engine *engine);

/* From now on SIGINT and SIGTERM only raise the flag below and make the descriptor readable; a third one
 * before they are forgotten kills the program, in case something hangs. */
void cli_catch_interrupts(void);
extern atomic_int cli_interrupts;   /* how many came since they were last forgotten */
int cli_interrupt_descriptor(void); /* readable while cli_interrupts is not 0: to wait for both; -1: none */
void cli_forget_interrupts(void);   /* main thread: they have been dealt with */

#endif
