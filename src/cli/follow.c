#include "cli/follow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/jobs.h"
#include "profile/json_get.h"

enum { POLL_MS = 200, SHOWN_ID = 8 };

/* ---- what is told ---- */

struct follower {
    const struct follow_options *options;
    char shown[160]; /* the last line, where lines stay */
};

/* What stands before the step: where the step does not say what is done to it. */
static const char *phase_title(const json_t *event)
{
    return json_get_is(event, "phase", "loading")  ? "loading "
           : json_get_is(event, "phase", "trace")  ? "tracing "
           : json_get_is(event, "phase", "models") ? "model "
                                                   : "";
}

/* Where lines stay, one for each test or configuration is enough: what follows a comma is detail. */
static void show_phase(struct follower *follower, const json_t *event)
{
    char line[160];
    const char *step = json_get_text(event, "step", "");
    if (!*step)
        return;
    snprintf(line, sizeof line, "%s%.120s", phase_title(event), step);
    if (!terminal_is(stderr)) {
        char short_line[160];
        snprintf(short_line, sizeof short_line, "%s", line);
        short_line[strcspn(short_line, ",")] = '\0';
        if (json_get_is(event, "phase", "loading") || strcmp(short_line, follower->shown) == 0)
            return;
        memcpy(follower->shown, short_line, sizeof short_line);
        snprintf(line, sizeof line, "%s: %.120s", follower->options->command, short_line);
    }
    terminal_progress(line, json_get_number(event, "progress"), json_get_number(event, "eta_s"));
}

static void show_note(const struct follower *follower, const json_t *event)
{
    const char *text = json_get_text(event, "text", "");
    terminal_progress_end();
    fprintf(stderr, "%s: ", follower->options->command);
    terminal_write_text(stderr, text, strlen(text));
    fputc('\n', stderr);
}

static void show(struct follower *follower, const json_t *event)
{
    if (json_get_is(event, "type", "phase"))
        show_phase(follower, event);
    else if (json_get_is(event, "type", "note"))
        show_note(follower, event);
}

/* ---- following ---- */

/* Waits in short steps, so that Ctrl-C is noticed. */
static int start(struct cli_jobs *jobs, const json_t *request, const struct follow_options *options,
                 char id[JOBS_ID], struct error *error)
{
    bool told = false;
    for (;;) {
        int status = jobs_start(jobs->jobs, request, options->wait && told ? POLL_MS : 0, id, error);
        if (status != ERROR_BUSY)
            return status;
        if (!options->wait) {
            error_prefix(error, "another run is going on (--wait waits for it)");
            return status;
        }
        if (!told)
            fprintf(stderr, "%s: another run is going on; waiting for it\n", options->command);
        told = true;
        if (atomic_load(&cli_interrupts))
            return error_set(error, ERROR_CANCELLED, "interrupted");
    }
}

static int follow(struct cli_jobs *jobs, const char *id, struct follower *follower, struct error *error)
{
    uint64_t after = 0;
    bool over = false, cancelled = false;
    while (!over) {
        json_t *events = NULL;
        int status = jobs_events(jobs->jobs, id, after, POLL_MS, &events, &over, error);
        if (status)
            return status;
        size_t n = json_array_size(events);
        for (size_t i = 0; i < n; i++)
            show(follower, json_array_get(events, i));
        if (n)
            after = (uint64_t)json_integer_value(json_get(json_array_get(events, n - 1), "number"));
        json_decref(events);
        if (!over && !cancelled && atomic_load(&cli_interrupts)) {
            jobs_cancel(jobs->jobs, id, NULL);
            cancelled = true;
        }
    }
    return 0;
}

int follow_run(struct cli_jobs *jobs, const json_t *request, const struct follow_options *options,
               json_t **row, struct error *error)
{
    char id[JOBS_ID];
    struct follower follower = {.options = options};
    *row = NULL;
    int status = start(jobs, request, options, id, error);
    if (status)
        return status;
    status = follow(jobs, id, &follower, error);
    terminal_progress_end();
    if (!status)
        jobs_wait(jobs->jobs, id, 0, NULL);
    return status ? status : jobs_get(jobs->jobs, id, row, error);
}

bool follow_has_results(const json_t *report)
{
    const json_t *tests = json_get_array(report, "tests");
    for (size_t i = 0; i < json_get_count(report, "tests"); i++)
        if (json_get_count(json_get_item(tests, i), "samples") > 0)
            return true;
    return json_get_count(report, "comparison.models") > 0 || json_get_object(report, "proof");
}

void follow_tell_saved(const json_t *row, const struct follow_options *options)
{
    if (json_get_bool(row, "saved", true))
        fprintf(stderr, "%s: saved as run %.*s (llmind history show %.*s)\n", options->command, SHOWN_ID,
                json_get_text(row, "id", "?"), SHOWN_ID, json_get_text(row, "id", "?"));
    else
        fprintf(stderr, "%s: not saved: %s\n", options->command,
                json_get_text(row, "saved_reason", "the data folder cannot be used"));
}

static void put_u32(json_t *o, const char *name, uint32_t value)
{
    if (value)
        json_object_set_new(o, name, json_integer(value));
}

json_t *follow_knobs(const struct engine_options *engine)
{
    json_t *o = json_object();
    put_u32(o, "threads", engine->n_threads);
    put_u32(o, "context", engine->context);
    put_u32(o, "kv_bits", engine->kv_bits);
    put_u32(o, "prefill_chunk", engine->prefill_chunk);
    put_u32(o, "prompt_lookup", engine->prompt_lookup);
    if (engine->isa)
        json_object_set_new(o, "isa", json_string(engine->isa));
    if (engine->backend)
        json_object_set_new(o, "backend", json_string(engine->backend));
    if (engine->precise)
        json_object_set_new(o, "precise", json_true());
    return o;
}
