/* Command lines: one table per command, from which both the parser and --help are made, so that they cannot
 * disagree.
 *
 * A command fills a static `struct cli_spec`, then:
 *
 *     struct cli_parser parser;
 *     int id;
 *     cli_begin(&parser, &spec, argc, argv);
 *     while ((id = cli_next(&parser)) > 0)
 *         switch (id) {
 *         case 'n': cli_u32(&parser, 1, 4096, &max_tokens); break;
 *         case OPTION_RAW: raw = true; break;
 *         }
 *     if (id < 0)
 *         return cli_leave(&parser, id);      // --help, or one clear line and exit 2
 *
 * A value that does not parse is remembered in the parser and ends the loop at the next cli_next, so the
 * cases need no checks of their own. Nothing here opens or computes anything. Uses getopt_long and therefore
 * its global state: one parser at a time, on the main thread.
 */
#ifndef LLMIND_CLI_OPTIONS_H
#define LLMIND_CLI_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"

enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILED = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_SLOWER = 3, /* compare --fail-if-slower: proven */
    CLI_EXIT_INTERRUPTED = 130
};

enum { CLI_MAX_POSITIONAL = 8, CLI_END = 0, CLI_ERROR = -1, CLI_HELP = -2 };

struct cli_option {
    int id;            /* what cli_next returns, 1 .. 999; 'x' by custom when there is a short form */
    char letter;       /* short form, or 0 */
    const char *name;  /* long form without the dashes; NULL ends the table */
    const char *value; /* how help names its value ("N"); NULL: a switch */
    const char *help;
};

struct cli_spec {
    const char *command;              /* "generate" */
    const char *arguments;            /* "MODEL -p TEXT [options]" */
    const char *about;                /* what it does, one short paragraph */
    const struct cli_option *options; /* NULL: none */
    bool engine_options;              /* also takes --threads, --ctx, ... */
    bool adapter;                     /* and --adapter */
    bool prompt_cache;                /* and --prompt-cache */
    int min_positional, max_positional;
    const char *examples; /* whole lines */
};

struct cli_parser {
    const struct cli_spec *spec;
    struct engine_options engine; /* environment (LLMIND_*), then flags; everything else zero */
    const char *value;            /* of the option just returned */
    char option[48];              /* its name, for messages: "--threads", or "LLMIND_THREADS" */
    const char *positional[CLI_MAX_POSITIONAL];
    int n_positional;
    struct error error; /* the first thing that was wrong; code 0: nothing */
    /* What engine.adapter and engine.prompt_cache point to: whole paths, where there is something. */
    char adapter[PATH_MAX], prompt_cache[PATH_MAX];
    /* private */
    int argc;
    char **argv;
};

/* argv[0] is the command's own name. */
void cli_begin(struct cli_parser *parser, const struct cli_spec *spec, int argc, char **argv);
/* The next option's id, CLI_END when all are read and the number of positional arguments is right, CLI_ERROR
 * or CLI_HELP. Engine options are taken in silently. */
int cli_next(struct cli_parser *parser);
/* Prints help (stdout) or the error and where help is (stderr); returns the exit code. */
int cli_leave(struct cli_parser *parser, int result);
/* A usage error found by the command itself after the loop: prints it, returns CLI_EXIT_USAGE. */
int cli_usage(struct cli_parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Read parser->value into *out, or remember what it should have been. */
void cli_u32(struct cli_parser *parser, uint32_t min, uint32_t max, uint32_t *out);
void cli_u64(struct cli_parser *parser, uint64_t *out);
void cli_float(struct cli_parser *parser, double min, double max, float *out);
/* "1,2,4": at most capacity numbers. */
void cli_u32_list(struct cli_parser *parser, uint32_t min, uint32_t max, uint32_t *out, uint32_t capacity,
                  uint32_t *count);

/* Adds parser->value to a list of texts of an option that may be repeated; "" and more than `capacity` of
 * them are wrong. */
void cli_text_list(struct cli_parser *parser, const char **out, size_t capacity, size_t *count);

/* An option without a value, and what it sets. */
struct cli_switch {
    int id;
    bool *out;
};
/* Makes the one of this id true; false: it is none of these. */
bool cli_switch(const struct cli_switch *switches, size_t n_switches, int id);

/* The help page of a command, to stdout. */
void cli_print_help(const struct cli_spec *spec);

#endif
