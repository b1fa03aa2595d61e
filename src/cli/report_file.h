/* Reports into files, in the form that the file's name ends in; for every command that has -o. */
#ifndef LLMIND_CLI_REPORT_FILE_H
#define LLMIND_CLI_REPORT_FILE_H

#include <jansson.h>

#include "base/error.h"
#include "cli/options.h"
#include "profile/render.h"

/* The endings there are, for help pages. */
#define REPORT_FILE_ENDINGS ".json, .csv, .md, .txt, .html, .pdf, .png, .svg"

/* enum report_format by a file's ending; -1: it has none of those above. */
int report_file_format(const char *path);
/* Errors: those of report_render, ERROR_INVALID (the ending), ERROR_IO. A file that could not be written
 * whole is taken away again. */
int report_file_write(const json_t *report, const char *path, struct error *error);
/* To standard output: as text, with colours on a terminal. */
int report_print(const json_t *report, struct error *error);

int report_print_json(const json_t *report, struct error *error);

/* What -o, --output FILE asks for, any number of times up to a few. */
enum { REPORT_OUTPUTS = 8 };
struct report_outputs {
    const char *paths[REPORT_OUTPUTS]; /* borrowed */
    size_t count;
};
enum { REPORT_OUTPUT = 'o' };
/* A row for the option table of a command that makes a report. */
#define REPORT_OUTPUT_ROW                                                                                    \
    {                                                                                                        \
        REPORT_OUTPUT, 'o', "output", "FILE",                                                                \
            "also write the report (" REPORT_FILE_ENDINGS "); may be repeated"                               \
    }
/* Takes parser->value, or remembers in the parser what is wrong with it. */
void report_outputs_take(struct cli_parser *parser, struct report_outputs *outputs);
int report_outputs_write(const json_t *report, const struct report_outputs *outputs, struct error *error);

#endif
