/* A proof as a run: prove.h's blocks with real labs, watched by the monitor. Each run in a lab is a phase of
 * its own, so that what the sensors say belongs to what was timed and not to the opening of processes. */
#include <stdio.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "platform/cpu.h"
#include "profile/json_get.h"
#include "profile/prove.h"
#include "profile/run_internal.h"
#include "profile/sweep.h"

enum { ADAPTER_WORDS = 160 };

/* "with the adapter 'tuned'" */
static const char *words(const char *adapter, char out[ADAPTER_WORDS])
{
    snprintf(out, ADAPTER_WORDS, adapter ? "with the adapter '%.100s'" : "without an adapter", adapter);
    return out;
}

static int check_adapter(const struct run *run, struct error *error)
{
    const char *then = run->request->proves_adapter;
    const char *now = json_get_string(run->lab_info, "flags.adapter");
    char was[ADAPTER_WORDS], is[ADAPTER_WORDS];
    if (then && now ? strcmp(then, now) == 0 : then == now)
        return 0;
    return error_set(error, ERROR_INVALID,
                     "the run measured its model %s, and now it would be measured %s: start this program, or "
                     "load the model, as then (--adapter), or profile the model again",
                     words(then, was), words(now, is));
}

/* The model of that name may be another one by now: then a proof says nothing of the run. */
static int check_model(const struct run *run, struct error *error)
{
    double then = (double)run->request->proves_file_bytes;
    double now = json_get_positive(run->lab_info, "model.file_bytes");
    if (then == 0 || then == now)
        return check_adapter(run, error);
    return error_set(error, ERROR_INVALID,
                     "the model '%.100s' is not the one that was profiled (%.0f bytes then, %.0f now): "
                     "profile it again",
                     run->request->models[0].name, then, now);
}

/* The first lab is the baseline's: what the report says of model and engine is what it says. */
static int open_watched(void *context, const struct lab_options *options, struct lab **out,
                        struct error *error)
{
    struct run *run = context;
    int status = lab_open(options, out, error);
    if (status || run->lab_info)
        return status;
    run->lab_info = json_deep_copy(lab_info(*out));
    status = run->lab_info ? check_model(run, error) : error_memory(error, "a report", 0);
    if (status)
        lab_close(*out);
    return status;
}

static void close_watched(void *context, struct lab *lab)
{
    struct run *run = context;
    if (run->monitor)
        monitor_watch(run->monitor, 0);
    lab_close(lab);
}

static int run_watched(void *context, struct lab *lab, const struct lab_run *wish, struct lab_result *out,
                       struct error *error)
{
    struct run *run = context;
    if (run->monitor) {
        monitor_watch(run->monitor, lab_pid(lab));
        monitor_phase(run->monitor, "proof");
    }
    int status = lab_do(lab, wish, out, error);
    if (run->monitor)
        monitor_phase(run->monitor, NULL);
    if (!status)
        run_account_memory(run, out);
    return status;
}

int run_prove(struct run *run, struct error *error)
{
    struct sweep_labs labs = sweep_labs_real;
    labs.open = open_watched;
    labs.close = close_watched;
    labs.run = run_watched;
    labs.context = run;
    const struct configuration_world world = {
        .labs = &labs, .usable_threads = cpu_usable_threads(), .isas = kernels_available()};
    json_t *entries = NULL;
    const struct profile_model *model = &run->request->models[0];
    if (!model->path)
        return error_set(error, ERROR_NOT_FOUND, "%s",
                         model->problem ? model->problem : "there is no such model");
    run_tell_phase(run, "loading", model->name);
    int status = run_make_room(run, model->path, error);
    if (!status)
        status = prove_measure(&world, run->request, run->hooks, &run->repeats, &entries, error);
    if (entries) {
        json_decref(run->configurations);
        run->configurations = entries;
    }
    return status;
}
