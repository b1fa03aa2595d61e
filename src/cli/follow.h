/* A run, as the commands that start one (profile, compare) show it: a progress line with the time that is
 * left, notes as they come, Ctrl-C cancels it; and its report in files. */
#ifndef LLMIND_CLI_FOLLOW_H
#define LLMIND_CLI_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "cli/profile_resolve.h"
#include "engine/engine.h"

/* Rows of both commands' option tables. */
enum { FOLLOW_WAIT = 650, FOLLOW_NO_SAVE };
#define FOLLOW_OPTION_ROWS                                                                                   \
    {FOLLOW_WAIT, 0, "wait", NULL, "when another run is going on, wait for its end"},                        \
    {                                                                                                        \
        FOLLOW_NO_SAVE, 0, "no-save", NULL, "leave no trace of this run in the history"                      \
    }

struct follow_options {
    const char *command; /* "profile": begins the lines on stderr */
    bool wait;           /* for another run that goes on, instead of ERROR_BUSY */
};
/* Starts the request (JSON as profile/request.h has it), follows it to its end, and gives the finished row
 * (jobs_get: "report" included; a new reference), also when it failed or was cancelled: its "status" says so.
 * cli_catch_interrupts must have been called. Errors: those of jobs_start; ERROR_CANCELLED: Ctrl-C before it
 * began. */
int follow_run(struct cli_jobs *jobs, const json_t *request, const struct follow_options *options,
               json_t **row, struct error *error);
/* Whether a report has anything measured in it that is worth showing. */
bool follow_has_results(const json_t *report);
/* Where the run is to be found, or why it was not saved: a line on stderr. */
void follow_tell_saved(const json_t *row, const struct follow_options *options);

/* The request's "knobs" from a command line's engine options; a new reference. */
json_t *follow_knobs(const struct engine_options *engine);

#endif
