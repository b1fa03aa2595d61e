/* Several models, each in a lab of its own, measured by the same prompt and the same short tests.
 *
 * The prompt is run in turn with the first model's (A B B A), so that two models are compared under the same
 * minutes of the machine; that takes two labs at once. Where both do not fit into memory they are measured
 * one after another, which the entry says, and the interval is widened by what sessions are known to differ
 * (pairs.h). Prefill and decode are short tests of each model alone: shown, not compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "profile/comparison_report.h"
#include "profile/configuration_measure.h"

enum {
    REPEATS = 3,
    REPEATS_QUICK = 2,
    PREFILL = 512,
    PREFILL_QUICK = 128,
    STEPS = 64,
    STEPS_QUICK = 32,
    ANSWER = 128,
    ANSWER_QUICK = 64
};

struct comparing {
    const struct sweep_labs *labs;
    const struct profile_request *request;
    const struct run_hooks *hooks;
    struct sweep sweep;
    struct compared_model *models; /* [request->n_models] */
    struct lab *first;             /* the lab of models[reference]; NULL: not open */
    size_t reference;              /* n_models: none works so far */
    bool first_warm;
    struct lab_run prompt;
    uint32_t blocks, repeats;
};

/* ---- labs ---- */

static void close_lab(struct comparing *c, struct lab **lab)
{
    if (*lab)
        c->labs->close(c->labs->context, *lab);
    *lab = NULL;
}

static int open_lab(struct comparing *c, size_t i, struct lab **out, struct error *error)
{
    const struct profile_model *model = &c->request->models[i];
    const struct gate *gate = c->hooks ? c->hooks->gate : NULL;
    struct lab_options options = {.engine = profile_request_engine(c->request, i),
                                  .model_name = model->name,
                                  .raw = c->request->raw,
                                  .cancel = c->hooks ? c->hooks->cancel : NULL};
    struct model_summary summary;
    uint64_t bytes = 0;
    *out = NULL;
    if (gate && gate->make_room && model_summarize(model->path, &summary, NULL) == 0) {
        bytes = summary.file_bytes;
        model_summary_free(&summary);
    }
    int status = bytes ? gate->make_room(gate->context, bytes, c->request->unload_current, error) : 0;
    return status ? status : c->labs->open(c->labs->context, &options, out, error);
}

static void copy_text(char *out, size_t capacity, const char *text)
{
    snprintf(out, capacity, "%s", text ? text : "");
}

static void describe(struct comparing *c, size_t i, const struct lab *lab)
{
    const struct engine_info *info = c->labs->info(c->labs->context, lab);
    struct compared_model *model = &c->models[i];
    model->load_ms = info->load_ms;
    model->weight_bytes = (double)info->weight_bytes;
    model->context = info->context;
    copy_text(model->quantization, sizeof model->quantization, info->quantization);
    copy_text(model->backend, sizeof model->backend, info->backend);
    copy_text(model->isa, sizeof model->isa, info->isa);
    copy_text(model->adapter, sizeof model->adapter, info->adapter);
}

static void failed(struct compared_model *model, const char *message)
{
    model->working = false;
    snprintf(model->message, sizeof model->message, "%s", message);
}

/* ---- runs of one model ---- */

/* 1: it went well, 0: it did not and the model is marked, < 0: error. */
static int run_once(struct comparing *c, size_t i, struct lab *lab, const struct lab_run *run,
                    const char *test, uint32_t number, struct error *error)
{
    struct sweep_sample sample;
    struct compared_model *model = &c->models[i];
    int status = sweep_run(&c->sweep, lab, run, number, &sample, error);
    if (status)
        return status;
    if (sample.outcome != OUTCOME_OK) {
        char message[240];
        snprintf(message, sizeof message, "%s: %s", test,
                 sample.message[0] ? sample.message : target_outcome_name(sample.outcome));
        failed(model, message);
        return 0;
    }
    if (number == 0)
        return 1;
    return compared_model_add(model, test, number - 1, &sample, error) ? ERROR_MEMORY : 1;
}

static int run_repeats(struct comparing *c, size_t i, struct lab *lab, const struct lab_run *run,
                       const char *test, uint32_t repeats, struct error *error)
{
    int result = 1;
    for (uint32_t n = 0; result == 1 && n <= repeats; n++)
        result = run_once(c, i, lab, run, test, n, error);
    return result;
}

static struct lab_run test_run(uint32_t prompt_tokens, uint32_t steps, uint32_t context)
{
    while (prompt_tokens > 1 && context && (uint64_t)prompt_tokens + steps + 1 > context)
        prompt_tokens /= 2;
    return (struct lab_run){.scenario = {.kind = steps ? SCENARIO_DECODE : SCENARIO_PREFILL,
                                         .id = "compare",
                                         .label = "compare",
                                         .prompt_tokens = prompt_tokens,
                                         .max_tokens = steps + 1},
                            .n_sequences = 1,
                            .temperature = NAN};
}

/* Prefill and decode. As run_once. */
static int run_tests(struct comparing *c, size_t i, struct lab *lab, struct error *error)
{
    bool quick = c->request->quick;
    uint32_t context = c->models[i].context;
    struct lab_run prefill = test_run(quick ? PREFILL_QUICK : PREFILL, 0, context);
    struct lab_run decode = test_run(1, quick ? STEPS_QUICK : STEPS, context);
    int result = run_repeats(c, i, lab, &prefill, "prefill", c->repeats, error);
    return result == 1 ? run_repeats(c, i, lab, &decode, "decode", c->repeats, error) : result;
}

/* ---- against the first ---- */

static int take_pairs(struct comparing *c, size_t i, const struct sweep_result *result, struct error *error)
{
    struct compared_model *model = &c->models[i], *first = &c->models[c->reference];
    int status = 0;
    for (size_t k = 0; !status && k < result->n; k++) {
        const struct sweep_pair *pair = &result->pairs[k];
        status = compared_model_add(first, "prompt", pair->block, &pair->a, error);
        if (!status)
            status = compared_model_add(model, "prompt", pair->block, &pair->b, error);
    }
    sweep_compare(result, SWEEP_TOKENS_PER_SECOND, &model->against_first, &model->no_verdict);
    return status;
}

/* The first stopped working: this one takes its place, and who was measured beside the old one is compared
 * with the new one as a session of its own. */
static void replace_reference(struct comparing *c, size_t i)
{
    c->reference = i;
    close_lab(c, &c->first);
    for (size_t k = 0; k < c->request->n_models; k++) {
        c->models[k].interleaved = false;
        c->models[k].no_verdict = NULL;
        c->models[k].against_first =
            (struct pairs){.change = NAN, .low = NAN, .high = NAN, .verdict = PAIRS_UNKNOWN};
    }
}

/* In turn with the first, whose lab is open. As run_once. */
static int run_beside(struct comparing *c, size_t i, struct lab *lab, struct error *error)
{
    struct sweep_side a = {.lab = c->first, .run = c->prompt, .warmed = c->first_warm};
    struct sweep_side b = {.lab = lab, .run = c->prompt};
    struct sweep_result result;
    int status = sweep_blocks(&c->sweep, &a, &b, c->blocks, &result, error);
    c->first_warm = a.warmed;
    if (status) /* of an incomplete comparison nothing follows */
        result.outcome = OUTCOME_ERROR;
    int taken = take_pairs(c, i, &result, error);
    c->models[i].interleaved = true;
    int good = result.outcome == OUTCOME_OK;
    if (!status && !good)
        failed(&c->models[result.of_a ? c->reference : i], result.message);
    if (!status && result.of_a)
        replace_reference(c, i);
    sweep_result_free(&result);
    return status ? status : taken ? taken : good;
}

/* Alone, when there is no room for two. */
static int run_alone(struct comparing *c, size_t i, struct lab *lab, struct error *error)
{
    return run_repeats(c, i, lab, &c->prompt, "prompt", 2 * c->blocks, error);
}

static int measure(struct comparing *c, size_t i, struct lab *lab, struct error *error)
{
    c->models[i].working = true;
    describe(c, i, lab);
    int result = run_tests(c, i, lab, error);
    if (result != 1)
        return result;
    if (c->reference == c->request->n_models) {
        c->reference = i;
        return 1; /* its prompt is run beside the others' */
    }
    return c->first ? run_beside(c, i, lab, error) : run_alone(c, i, lab, error);
}

/* ---- one model after the other ---- */

static bool no_room(int status)
{
    return status == ERROR_LIMIT || status == ERROR_MEMORY;
}

/* A model's own trouble is in its entry; only what ends everything is returned. */
static int absorb(struct comparing *c, size_t i, int status, const struct error *error)
{
    if (status >= 0)
        return 0;
    if (status == ERROR_CANCELLED && c->models[i].n_samples == 0)
        failed(&c->models[i], "interrupted before anything of it was measured");
    if (status == ERROR_CANCELLED)
        return status;
    bool firsts = c->first && c->sweep.dead == c->first;
    failed(&c->models[firsts ? c->reference : i], error->message);
    if (firsts && c->reference != i)
        replace_reference(c, i);
    return 0;
}

/* Opens model i beside the first, or in its place when both do not fit. */
static int open_beside(struct comparing *c, size_t i, struct lab **lab, struct error *error)
{
    int status = open_lab(c, i, lab, error);
    if (c->first && no_room(status)) {
        sweep_note(&c->sweep, "%s does not fit beside %s: they are measured one after another",
                   profile_model_label(&c->request->models[i]),
                   profile_model_label(&c->request->models[c->reference]));
        close_lab(c, &c->first);
        c->first_warm = false;
        status = open_lab(c, i, lab, error);
    }
    return status;
}

static int one_model(struct comparing *c, size_t i, struct error *error)
{
    const struct profile_model *model = &c->request->models[i];
    struct lab *lab = NULL;
    c->sweep.name = profile_model_label(model);
    c->sweep.dead = NULL;
    if (!model->path) {
        failed(&c->models[i], model->problem ? model->problem : "no such model on this machine");
        return 0;
    }
    if (!c->first && c->reference < c->request->n_models &&
        open_lab(c, c->reference, &c->first, error)) /* it was closed to make room */
        close_lab(c, &c->first);
    int status = open_beside(c, i, &lab, error);
    if (!status)
        status = measure(c, i, lab, error);
    int fatal = absorb(c, i, status, error);
    if (c->reference == i && c->models[i].working)
        c->first = lab;
    else
        close_lab(c, &lab);
    return fatal;
}

/* The first model's own prompt runs, when none was measured beside it. */
static int complete_first(struct comparing *c, struct error *error)
{
    size_t i = c->reference;
    struct stats stats;
    if (i == c->request->n_models || !c->models[i].working)
        return 0;
    compared_model_stats(&c->models[i], "prompt", SWEEP_TOKENS_PER_SECOND, &stats);
    if (stats.n > 0)
        return 0;
    c->sweep.name = profile_model_label(&c->request->models[i]);
    c->sweep.dead = NULL;
    int status = c->first ? 0 : open_lab(c, i, &c->first, error);
    if (!status)
        status = run_alone(c, i, c->first, error);
    return absorb(c, i, status, error);
}

static void show_progress(struct comparing *c, size_t i)
{
    double n = (double)c->request->n_models;
    c->sweep.progress_from = (double)i / n;
    c->sweep.progress_to = (double)(i + 1) / n;
    c->sweep.expected_s = c->sweep.later_s = NAN; /* nothing is known of a model before it ran */
}

int comparison_measure(const struct sweep_labs *labs, const struct profile_request *request,
                       const struct run_hooks *hooks, json_t **out, struct error *error)
{
    bool quick = request->quick;
    struct comparing c = {
        .labs = labs,
        .request = request,
        .hooks = hooks,
        .sweep = {.labs = labs, .hooks = hooks, .quick = quick, .phase = "models", .item = "model"},
        .models = calloc(request->n_models ? request->n_models : 1, sizeof *c.models),
        .reference = request->n_models,
        .prompt = {.scenario = {.kind = SCENARIO_PROMPT, .id = "compare", .label = "compare"},
                   .n_sequences = 1,
                   .temperature = NAN},
        .blocks = configuration_blocks(request),
        .repeats = request->repeats ? request->repeats
                   : quick          ? REPEATS_QUICK
                                    : REPEATS};
    *out = NULL;
    if (!c.models)
        return error_memory(error, "a comparison", request->n_models * sizeof *c.models);
    c.prompt.scenario.prompt = request->n_prompts ? request->prompts[0] : scenario_default_prompts[0];
    c.prompt.scenario.max_tokens = request->max_tokens ? request->max_tokens : quick ? ANSWER_QUICK : ANSWER;
    int status = 0;
    for (size_t i = 0; i < request->n_models; i++)
        compared_model_init(&c.models[i], profile_model_label(&request->models[i]));
    for (size_t i = 0; !status && i < request->n_models; i++) {
        show_progress(&c, i);
        status = one_model(&c, i, error);
    }
    if (!status)
        status = complete_first(&c, error);
    close_lab(&c, &c.first);
    *out = comparison_report(c.models, request->n_models, c.reference, &c.prompt, c.blocks < 5);
    for (size_t i = 0; i < request->n_models; i++)
        compared_model_free(&c.models[i]);
    free(c.models);
    return !status && !*out ? error_memory(error, "a comparison", 0) : status;
}

int comparison_run(const struct profile_request *request, const struct run_hooks *hooks, json_t **out,
                   struct error *error)
{
    return comparison_measure(&sweep_labs_real, request, hooks, out, error);
}
