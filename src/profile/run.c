/* The order of a run: the model into a lab, what the machine can do, the tests, the configurations in turn
 * with the baseline, one traced step, and what follows from it all. The monitor watches from the first moment
 * to the last. However it ends, there is a report of what was measured.
 */
#include "profile/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/analysis.h"
#include "profile/ceilings.h"
#include "profile/configuration.h"
#include "profile/json_get.h"
#include "profile/proof.h"
#include "profile/run_internal.h"
#include "profile/run_predict.h"

enum {
    QUICK_BUDGET_S =
        50, /* of quick mode: everything within a minute, with some room for what nobody foresees */
    /* Of a full run's configurations, when nobody chose any: a large model on a small machine would take
     * hours for those that seldom matter. What was left out is listed, and can be asked for by name. */
    FULL_CONFIGURATIONS_S = 15 * 60
};

/* ---- the steps ---- */

int run_measure_ceilings(struct run *run, struct error *error)
{
    const struct engine_info *info = run->lab ? lab_engine_info(run->lab) : NULL;
    if (info && info->backend && strcmp(info->backend, "cpu") != 0)
        info =
            NULL; /* its instruction sets are not ours: what this machine's processor can do with the best */
    struct ceilings_options options = {.n_threads = info ? info->n_threads : 0,
                                       .isa = info ? info->isa : NULL,
                                       .cancel = run->hooks->cancel};
    struct error problem = {0};
    run_tell_phase(run, "ceilings", "what this machine can do at most");
    const struct gate *gate = run->hooks->gate;
    int status = gate ? gate->close(gate->context, GATE_WAIT_MS, run->hooks->cancel, &problem) : 0;
    if (!status) {
        if (run->lab)
            run_predict(run);
        status = ceilings_measure(&options, &run->ceilings, &problem);
        if (gate)
            gate->open(gate->context);
    }
    if (status == ERROR_CANCELLED)
        return error_set(error, status, "cancelled");
    if (status)
        snprintf(run->ceilings_reason, sizeof run->ceilings_reason, "%.250s", problem.message);
    return 0;
}

static int run_configurations(struct run *run, struct error *error)
{
    if (!run_wants_configurations(run))
        return 0;
    double left_s = run->budget_s - run_elapsed_s(run) - run->trace_s;
    double from = run_progress(run), share = run->total_s > 0 ? run->configurations_s / run->total_s : 0;
    struct configuration_context context = {.request = run->request,
                                            .hooks = run->hooks,
                                            .baseline = run->lab,
                                            .budget_s = run->budget_s > 0 ? fmax(left_s, 1)
                                                        : run->request->all_configurations
                                                            ? FULL_CONFIGURATIONS_S
                                                            : 0,
                                            .progress_from = isnan(from) ? 0 : from,
                                            .progress_to = isnan(from) ? 1 : fmin(from + share, 1)};
    json_t *done = NULL;
    run_tell_phase(run, "configurations", NULL);
    if (run->monitor)
        monitor_phase(run->monitor, "configurations");
    struct error problem = {0};
    int status = configurations_run(&context, run->cuts, &done, &problem);
    if (run->monitor)
        monitor_phase(run->monitor, NULL);
    if (done) {
        json_decref(run->configurations);
        run->configurations = done;
    }
    run->done_s += run->configurations_s;
    if (status == ERROR_IO) { /* the baseline's lab is gone: what was measured stays, and the run goes on */
        run_note(run, "the configurations ended early: %s", problem.message);
        return run_revive(run, error);
    }
    return status ? error_set(error, status, "%s", problem.message) : 0;
}

static int run_model(struct run *run, struct error *error)
{
    const struct profile_model *model = &run->request->models[0];
    if (run->request->n_models == 0)
        return error_set(error, ERROR_INVALID, "model_name: which model?");
    if (!model->path)
        return error_set(error, ERROR_NOT_FOUND, "%s",
                         model->problem ? model->problem : "there is no such model");
    run->weights_resident = host_weights_resident(model->path);
    int status = run_tests_in_lab(run, error);
    if (!status)
        status = run_configurations(run, error);
    if (!status && run->request->trace)
        status = run_trace(run, error);
    return status;
}

static int run_comparison(struct run *run, struct error *error)
{
    run_tell_phase(run, "models", NULL);
    return comparison_run(run->request, run->hooks, &run->comparison, error);
}

/* ---- beginning and end ---- */

static void begin(struct run *run, const struct profile_request *request, const struct run_hooks *hooks)
{
    static const struct run_hooks none = {0};
    struct error problem = {0};
    *run = (struct run){.request = request,
                        .hooks = hooks ? hooks : &none,
                        .repeats = request->repeats ? request->repeats
                                   : request->quick ? RUN_REPEATS_QUICK
                                                    : RUN_REPEATS,
                        .budget_s = request->quick ? QUICK_BUDGET_S : 0,
                        .begin_ns = clock_now_ns(),
                        .prefill_tps = NAN,
                        .decode_tps = NAN,
                        .weights_resident = NAN,
                        .phase = "loading",
                        .configurations = json_array(),
                        .traces = json_array(),
                        .cuts = json_array(),
                        .notes = json_array()};
    clock_wall_rfc3339(run->created, sizeof run->created);
    host_read(&run->host_before);
    if (monitor_open("", &run->monitor, &problem)) {
        run->monitor = NULL;
        snprintf(run->sensors_reason, sizeof run->sensors_reason, "%.250s", problem.message);
    }
}

static void stop_watching(struct run *run)
{
    struct error problem = {0};
    if (run->monitor && monitor_close(run->monitor, &run->sensors, &problem))
        snprintf(run->sensors_reason, sizeof run->sensors_reason, "%.250s", problem.message);
    run->monitor = NULL;
    host_read(&run->host_after);
}

static void end(struct run *run)
{
    for (size_t i = 0; i < run->n_tests; i++) {
        sample_free(&run->tests[i].warmup.sample);
        for (uint32_t k = 0; k < run->tests[i].n_results; k++)
            sample_free(&run->tests[i].results[k].sample);
        free(run->tests[i].results);
    }
    free(run->tests);
    run_prediction_free(run->prediction);
    json_t *const parts[] = {run->lab_info, run->target,     run->ceilings, run->sensors, run->configurations,
                             run->traces,   run->comparison, run->cuts,     run->notes};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        json_decref(parts[i]);
}

static int put_together(struct run *run, int status, const char *message, json_t **report,
                        struct error *error)
{
    if (!message && run->request->kind == PROFILE_MODEL)
        message = run_failure(run);
    run_tell_phase(run, "analysis", NULL);
    *report = run_report(run, status, message);
    if (!*report)
        return error_memory(error, "a report", 0);
    if (run->request->kind == PROFILE_PROVE)
        return status ? 0 : proof_add(*report, run->request, error);
    return run->request->kind == PROFILE_MODEL ? analysis_add(*report, error) : 0;
}

int run_profile(const struct profile_request *request, const struct run_hooks *hooks, json_t **report,
                struct error *error)
{
    struct run run;
    struct error problem = {0};
    *report = NULL;
    begin(&run, request, hooks);
    int status = request->kind == PROFILE_COMPARE ? run_comparison(&run, &problem)
                 : request->kind == PROFILE_PROVE ? run_prove(&run, &problem)
                 : request->target_url            ? run_remote(&run, &problem)
                                                  : run_model(&run, &problem);
    lab_close(run.lab);
    run.lab = NULL;
    if (run.hooks->gate && run.hooks->gate->restore)
        run.hooks->gate->restore(run.hooks->gate->context);
    stop_watching(&run);
    struct error writing = {0};
    int written = put_together(&run, status, status ? problem.message : NULL, report, &writing);
    /* what was measured is worth showing: then the report says what went wrong */
    bool some = run.n_tests > 0 && run.tests[0].n_results > 0;
    end(&run);
    if (error)
        *error = status ? problem : writing;
    if (status == ERROR_CANCELLED || (status && !some))
        return status;
    return *report ? 0 : written;
}
