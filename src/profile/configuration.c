/* The order of things: how fast is the baseline, what fits into the budget, then one variant after the other,
 * each in turn with the baseline.
 *
 * A variant that is a request runs in the baseline's lab. One that is a knob needs an engine opened
 * otherwise: a second lab, which is kept as long as the next variant wants the same one. */
#include "profile/configuration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "platform/cpu.h"
#include "profile/configuration_catalogue.h"
#include "profile/configuration_measure.h"
#include "profile/configuration_report.h"
#include "profile/json_put.h"

enum { BLOCKS = 5, BLOCKS_QUICK = 2, SPEED_PROMPT = 32, SPEED_STEPS = 8 };
#define START_S 0.2 /* of a process, before it loads anything */

struct session {
    const struct configuration_world *world;
    const struct configuration_context *context;
    struct sweep sweep;
    struct configuration_machine machine;
    struct configuration_list list;
    struct configuration_speed speed;
    uint32_t blocks;
    double begin_s, expected_s;

    struct lab *second; /* NULL: none is open */
    struct engine_options second_engine;
    struct lab_run warm_shape; /* of the baseline's last run */

    struct baseline_sample *baseline; /* every run of the baseline's own request */
    size_t n_baseline;
    struct pairs judged[CONFIGURATION_MAX]; /* [list.count] */
    json_t *entries, *cuts;
};

uint32_t configuration_blocks(const struct profile_request *request)
{
    uint32_t usual = request->quick ? BLOCKS_QUICK : BLOCKS;
    return request->repeats == 0                                                            ? usual
           : request->repeats > usual || (request->repeats < 3 && request->repeats < usual) ? request->repeats
                                                                                            : usual;
}

static double elapsed_s(const struct session *session)
{
    const struct sweep_labs *labs = session->world->labs;
    return labs->now_s(labs->context) - session->begin_s;
}

/* ---- how fast it is ---- */

/* Two short runs, to know what the others will take: the first wakes everything up. A baseline that cannot
 * even do this has speeds NaN, and nothing is cut. */
static int measure_speed(struct session *session, struct error *error)
{
    const struct engine_info *info = session->machine.baseline;
    struct lab_run run = {.scenario = {.kind = SCENARIO_DECODE,
                                       .id = "speed",
                                       .label = "speed",
                                       .prompt_tokens = SPEED_PROMPT,
                                       .depth = SPEED_PROMPT,
                                       .max_tokens = SPEED_STEPS + 1},
                          .n_sequences = 1,
                          .temperature = NAN};
    session->speed = (struct configuration_speed){.prefill_tps = NAN,
                                                  .decode_tps = NAN,
                                                  .open_s = START_S + fmax(0, info->load_ms / 1000),
                                                  .baseline = info};
    session->sweep.name = "baseline";
    int status = 0;
    for (int pass = 0; !status && pass < 2; pass++) {
        struct sweep_sample sample;
        status = sweep_run(&session->sweep, session->context->baseline, &run, 0, &sample, error);
        session->speed.prefill_tps = fmax(session->speed.prefill_tps, sample.value[SWEEP_PREFILL_TPS]);
        session->speed.decode_tps = fmax(session->speed.decode_tps, sample.value[SWEEP_DECODE_TPS]);
    }
    return status;
}

/* ---- labs ---- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_engine(const struct engine_options *a, const struct engine_options *b)
{
    return same_text(a->isa, b->isa) && a->n_threads == b->n_threads && a->context == b->context &&
           a->max_sequences == b->max_sequences && a->prefill_chunk == b->prefill_chunk &&
           a->kv_bits == b->kv_bits && a->prompt_lookup == b->prompt_lookup && a->precise == b->precise;
}

static void close_second(struct session *session)
{
    if (session->second)
        session->world->labs->close(session->world->labs->context, session->second);
    session->second = NULL;
}

static int open_second(struct session *session, const struct engine_options *engine, struct error *error)
{
    const struct sweep_labs *labs = session->world->labs;
    if (session->second && same_engine(engine, &session->second_engine))
        return 0;
    close_second(session);
    struct lab_options options = {.engine = *engine,
                                  .model_name = session->context->request->models[0].name,
                                  .raw = session->context->request->raw,
                                  .cancel = session->context->hooks ? session->context->hooks->cancel : NULL};
    int status = labs->open(labs->context, &options, &session->second, error);
    if (status)
        session->second = NULL;
    else
        session->second_engine = *engine;
    return status;
}

/* ---- one variant ---- */

bool configuration_same_shape(const struct lab_run *a, const struct lab_run *b)
{
    return a->scenario.kind == b->scenario.kind && a->scenario.prompt_tokens == b->scenario.prompt_tokens &&
           a->n_sequences == b->n_sequences && a->warm == b->warm;
}

/* What went wrong with a variant is its own entry's business; what went wrong with the baseline, or by the
 * user's wish, is everybody's. Returns 0 for the former. */
static int absorb(struct session *session, int status, struct sweep_result *result, const struct error *error)
{
    if (status == 0)
        return 0;
    result->outcome = status == ERROR_CANCELLED ? OUTCOME_CANCELLED
                      : status == ERROR_MEMORY  ? OUTCOME_OUT_OF_MEMORY
                                                : OUTCOME_ERROR;
    snprintf(result->message, sizeof result->message, "%.*s", (int)sizeof result->message - 1,
             error->message);
    bool everybodys = status == ERROR_CANCELLED ||
                      (status == ERROR_IO && session->sweep.dead == session->context->baseline);
    if (session->sweep.dead && session->sweep.dead == session->second)
        close_second(session);
    session->sweep.dead = NULL;
    return everybodys ? status : 0;
}

void configuration_check_warm(const struct configuration *item, struct sweep_result *result)
{
    for (size_t i = 0; item->b.warm && i < result->n; i++)
        if (result->pairs[i].b.cached_tokens == 0) {
            result->n = 0;
            result->outcome = OUTCOME_ERROR;
            snprintf(result->message, sizeof result->message,
                     "the prompt was not found in the prefix cache when it came again");
        }
}

static int keep_baseline(struct session *session, const struct configuration *item,
                         const struct sweep_result *result, struct error *error)
{
    if (!item->same_as_baseline || result->n == 0)
        return 0;
    size_t n = session->n_baseline + result->n;
    struct baseline_sample *grown = realloc(session->baseline, n * sizeof *grown);
    if (!grown)
        return error_memory(error, "the baseline's samples", n * sizeof *grown);
    session->baseline = grown;
    for (size_t i = 0; i < result->n; i++)
        grown[session->n_baseline++] = (struct baseline_sample){
            .beside = item->id, .block = result->pairs[i].block, .sample = result->pairs[i].a};
    return 0;
}

static int measure_item(struct session *session, struct configuration *item, struct error *error)
{
    struct lab *baseline = session->context->baseline;
    struct sweep_result result = {.outcome = OUTCOME_ERROR};
    session->sweep.name = item->id;
    session->sweep.dead = NULL;
    int status = item->own_lab ? open_second(session, &item->engine, error) : 0;
    if (!status) {
        struct sweep_side a = {.lab = baseline,
                               .run = item->a,
                               .warmed = configuration_same_shape(&item->a, &session->warm_shape)};
        struct sweep_side b = {.lab = item->own_lab ? session->second : baseline,
                               .run = item->b,
                               .warmed = !item->own_lab && configuration_same_shape(&item->a, &item->b)};
        status = sweep_blocks(&session->sweep, &a, &b, session->blocks, &result, error);
        session->warm_shape = item->a;
    }
    int fatal = absorb(session, status, &result, error);
    configuration_check_warm(item, &result);
    sweep_compare(&result, item->compared, &session->judged[item - session->list.items], NULL);
    int kept = keep_baseline(session, item, &result, error);
    if (fatal != ERROR_CANCELLED || result.n > 0)
        json_array_append_new(session->entries, configuration_entry(item, &result, session->blocks < BLOCKS));
    sweep_result_free(&result);
    return fatal ? fatal : kept;
}

/* ---- the baseline by itself ---- */

/* When nothing was asked for that is measured beside its own request. */
static int measure_baseline(struct session *session, struct sweep_result *result, struct error *error)
{
    struct configuration *item = &session->list.items[0];
    uint32_t runs = 2 * session->blocks;
    session->sweep.name = item->id;
    session->baseline = calloc(runs, sizeof *session->baseline);
    if (!session->baseline)
        return error_memory(error, "the baseline's samples", runs * sizeof *session->baseline);
    for (uint32_t i = 0; i <= runs; i++) { /* 0: the warm-up */
        struct sweep_sample sample;
        struct lab_run run = item->b;
        run.seed = i;
        int status = sweep_run(&session->sweep, session->context->baseline, &run, i, &sample, error);
        if (status)
            return status;
        if (sample.outcome != OUTCOME_OK) {
            result->outcome = sample.outcome;
            memcpy(result->message, sample.message, sizeof result->message);
            return 0;
        }
        if (i > 0)
            session->baseline[session->n_baseline++] =
                (struct baseline_sample){.block = (i - 1) / 2, .sample = sample};
    }
    return 0;
}

static int finish(struct session *session, int status, struct error *error)
{
    struct sweep_result result = {.outcome = OUTCOME_OK};
    if (!status && session->n_baseline == 0)
        status = measure_baseline(session, &result, error);
    if (session->n_baseline == 0 && result.outcome == OUTCOME_OK)
        result.outcome = status == ERROR_CANCELLED ? OUTCOME_CANCELLED : OUTCOME_ERROR;
    size_t n = json_array_size(session->entries) + 1;
    json_array_insert_new(session->entries, 0,
                          configuration_baseline_entry(&session->list.items[0], session->baseline,
                                                       session->n_baseline, result.outcome, result.message,
                                                       session->blocks < BLOCKS));
    /* entries are the items in order, as far as it went */
    size_t best = configuration_best(session->list.items, session->judged, n);
    if (best)
        json_object_set_new(json_array_get(session->entries, best), "best", json_true());
    return status;
}

/* ---- all ---- */

static void show_progress(struct session *session, double done_s, double item_s)
{
    const struct configuration_context *context = session->context;
    double span = context->progress_to - context->progress_from, all = session->expected_s;
    session->sweep.progress_from = all > 0 ? context->progress_from + span * fmin(1, done_s / all) : NAN;
    session->sweep.progress_to =
        all > 0 ? context->progress_from + span * fmin(1, (done_s + item_s) / all) : NAN;
    session->sweep.expected_s = item_s > 0 ? item_s : NAN;
    session->sweep.later_s = fmax(0, all - done_s - item_s);
}

static int measure_all(struct session *session, struct error *error)
{
    double budget_s = session->context->budget_s, done_s = 0;
    int status = measure_speed(session, error);
    if (status)
        return status;
    configuration_list_fit(&session->machine, session->context->request, &session->speed, session->blocks,
                           budget_s, session->cuts, &session->list, &session->expected_s);
    for (size_t i = 1; !status && i < session->list.count; i++) {
        struct configuration *item = &session->list.items[i];
        double item_s = configuration_seconds(item, &session->speed, session->blocks);
        double pace = done_s > 0 ? fmax(1, elapsed_s(session) / done_s) : 1; /* the estimates were so wrong */
        if (budget_s > 0 && elapsed_s(session) + item_s * pace > budget_s) {
            /* the rest comes later in the list because it matters less */
            for (size_t k = i; k < session->list.count; k++)
                json_array_append_new(
                    session->cuts,
                    json_sprintf("configuration %s left out: the time was up", session->list.items[k].id));
            session->list.count = i;
            break;
        }
        show_progress(session, done_s, item_s);
        status = measure_item(session, item, error);
        done_s += item_s;
    }
    return finish(session, status, error);
}

int configurations_measure(const struct configuration_world *world,
                           const struct configuration_context *context, json_t *cuts, json_t **out,
                           struct error *error)
{
    const struct profile_request *request = context->request;
    const struct sweep_labs *labs = world->labs;
    *out = json_array();
    if (!request->all_configurations && request->n_configurations == 0)
        return *out ? 0 : error_memory(error, "the configurations", 0);
    struct session *session = calloc(1, sizeof *session);
    if (!session || !*out) {
        free(session);
        return error_memory(error, "the configurations", sizeof *session);
    }
    *session = (struct session){
        .world = world,
        .context = context,
        .sweep = {.labs = labs,
                  .hooks = context->hooks,
                  .quick = request->quick,
                  .phase = "configurations",
                  .item = "configuration"},
        .machine = {.baseline = labs->info(labs->context, context->baseline),
                    .folder = request->models[0].path,
                    .prompt = request->n_prompts ? request->prompts[0] : scenario_default_prompts[0],
                    .usable_threads = world->usable_threads,
                    .isas = world->isas},
        .blocks = configuration_blocks(request),
        .begin_s = labs->now_s(labs->context),
        .entries = *out,
        .cuts = cuts};
    int status = measure_all(session, error);
    close_second(session);
    free(session->baseline);
    free(session);
    return status;
}

int configurations_run(const struct configuration_context *context, json_t *cuts, json_t **out,
                       struct error *error)
{
    struct configuration_world world = {
        .labs = &sweep_labs_real, .usable_threads = cpu_usable_threads(), .isas = kernels_available()};
    return configurations_measure(&world, context, cuts, out, error);
}
