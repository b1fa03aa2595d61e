/* The newest run that can be proved is the newest profile of this machine with flags: one that failed before
 * its model was loaded has none. */
#include "cli/profile_prove.h"

#include <stdio.h>
#include <string.h>

#include "cli/follow.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/jobs.h"
#include "profile/json_get.h"
#include "profile/proof.h"

enum { SHORT_ID = 8 };

/* ---- which run ---- */

static int find_newest(struct jobs *jobs, const char *model, char id[JOBS_ID], struct error *error)
{
    const struct jobs_filter filter = {
        .model = model, .kind = "profile", .status = "success", .imported = &(bool){false}, .limit = 1};
    json_t *page = NULL;
    id[0] = '\0';
    int status = jobs_list(jobs, &filter, &page, error);
    if (!status)
        snprintf(id, JOBS_ID, "%s", json_get_text(page, "runs.0.id", ""));
    json_decref(page);
    if (!status && !*id)
        status = error_set(error, ERROR_NOT_FOUND,
                           "there is no stored run%s%.60s whose recommendation could be tried: 'llmind "
                           "profile' makes one",
                           model ? " of " : "", model ? model : "");
    return status;
}

static int make_request(struct jobs *jobs, const struct prove_wish *wish, json_t **request,
                        struct error *error)
{
    char id[JOBS_ID];
    json_t *row = NULL;
    int status =
        wish->run ? jobs_find(jobs, wish->run, id, error) : find_newest(jobs, wish->model, id, error);
    if (!status)
        status = jobs_get(jobs, id, &row, error);
    if (!status)
        status = proof_request(row, wish->recommendation, wish->blocks, request, error);
    if (!status)
        fprintf(stderr, "profile: trying %s against the baseline of run %.*s\n", wish->recommendation,
                SHORT_ID, id);
    json_decref(row);
    return status;
}

/* ---- what came out ---- */

/* How to use what was kept: a flag of the server where there is one. */
static void tell_use(const json_t *proof)
{
    static const struct {
        const char *knob, *flag;
    } flags[] = {{"threads=", "--threads"},
                 {"kv_bits=", "--kv-bits"},
                 {"prefill_chunk=", "--prefill-chunk"},
                 {"prompt_lookup=", "--prompt-lookup"},
                 {"isa=", "--isa"}};
    const char *id = json_get_text(proof, "recommendation", "");
    if (!json_get_is(proof, "verdict", "kept"))
        return;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        size_t length = strlen(flags[i].knob);
        if (strncmp(id, flags[i].knob, length) == 0)
            printf("Use it: llmind serve %s %s\n", flags[i].flag, id + length);
    }
    json_t *setting = proof_setting(id);
    if (json_is_object(setting))
        printf("Or save it as a setting of the server: POST /api/profiling/runs/%.*s/apply "
               "{\"recommendation\": \"%s\"}\n",
               SHORT_ID, json_get_text(proof, "proves", ""), id);
    json_decref(setting);
}

static int show(const json_t *row, const struct prove_wish *wish, struct error *error)
{
    const json_t *report = json_get_object(row, "report"), *proof = json_get_object(report, "proof");
    int status = 0;
    if (wish->json) {
        status = report_print_json(report, error);
    } else if (proof) {
        const char *sentence = json_get_text(proof, "sentence", "");
        terminal_write_text(stdout, sentence, strlen(sentence));
        putchar('\n');
        tell_use(proof);
    }
    return status ? status : report_outputs_write(report, wish->outputs, error);
}

int profile_prove(const struct prove_wish *wish, struct error *error)
{
    const struct follow_options follow = {.command = "profile", .wait = wish->wait};
    struct cli_jobs jobs;
    json_t *request = NULL, *row = NULL;
    int status = cli_jobs_open(&jobs, error);
    if (status)
        return status;
    jobs.adapter = wish->adapter;
    if (!jobs.store) /* there is no stored run but in the database */
        status = error_set(error, ERROR_IO, "%s", jobs.why.message);
    if (!status)
        status = make_request(jobs.jobs, wish, &request, error);
    if (!status)
        status = follow_run(&jobs, request, &follow, &row, error);
    if (!status && json_get_is(row, "status", "success")) {
        follow_tell_saved(row, &follow);
        status = show(row, wish, error);
    } else if (!status) {
        bool cancelled = json_get_is(row, "status", "cancelled");
        status = error_set(error, cancelled ? ERROR_CANCELLED : ERROR_INVALID, "%s",
                           cancelled ? "interrupted" : json_get_text(row, "message", "the proof failed"));
    }
    json_decref(request);
    json_decref(row);
    cli_jobs_close(&jobs);
    return status;
}
