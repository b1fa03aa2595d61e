/* Stored runs in a terminal: the side-by-side of jobs_diff, and the small pieces it shares with lists. */
#ifndef LLMIND_CLI_RUNS_DIFF_H
#define LLMIND_CLI_RUNS_DIFF_H

#include <jansson.h>

#include "profile/table.h"

/* What jobs_diff gives, to standard output. */
void runs_diff_print(const json_t *diff);
/* "  label    text", cleaned. */
void runs_line(const char *label, const char *text);
/* A string member of a run as a cell, cleaned and short; "-" when it is not there. */
void runs_text_cell(struct table *table, const json_t *run, const char *name);

#endif
