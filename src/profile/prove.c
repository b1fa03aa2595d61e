/* One block after the other. The list of configurations is made anew for each, from the baseline that was
 * just opened: it borrows that engine's names. */
#include "profile/prove.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/configuration_report.h"
#include "profile/scenario.h"

struct proving {
    const struct configuration_world *world;
    const struct profile_request *request;
    const struct run_hooks *hooks;
    struct sweep sweep;
    struct sweep_result all; /* of the blocks so far */
    struct configuration baseline, item;
    double begin_s;
    struct lab *a, *b; /* open now; NULL: not */
};

/* ---- labs ---- */

static int open_lab(struct proving *proving, const struct engine_options *engine, struct lab **out,
                    struct error *error)
{
    const struct sweep_labs *labs = proving->world->labs;
    struct lab_options options = {.engine = *engine,
                                  .model_name = proving->request->models[0].name,
                                  .raw = proving->request->raw,
                                  .cancel = proving->hooks ? proving->hooks->cancel : NULL};
    int status = labs->open(labs->context, &options, out, error);
    if (status)
        *out = NULL;
    return status;
}

static void close_labs(struct proving *proving)
{
    const struct sweep_labs *labs = proving->world->labs;
    struct lab **const open[] = {&proving->b, &proving->a};
    for (size_t i = 0; i < 2; i++) {
        if (*open[i])
            labs->close(labs->context, *open[i]);
        *open[i] = NULL;
    }
}

/* ---- what is compared ---- */

/* Of the baseline that is open now. */
static int choose_item(struct proving *proving, struct error *error)
{
    const struct profile_request *request = proving->request;
    const struct sweep_labs *labs = proving->world->labs;
    const struct configuration_machine machine = {.baseline = labs->info(labs->context, proving->a),
                                                  .folder = request->models[0].path,
                                                  .prompt = request->n_prompts ? request->prompts[0]
                                                                               : scenario_default_prompts[0],
                                                  .usable_threads = proving->world->usable_threads,
                                                  .isas = proving->world->isas};
    int status = 0;
    struct configuration_list *list = malloc(sizeof *list);
    if (!list)
        return error_memory(error, "a configuration", sizeof *list);
    json_t *cuts = json_array();
    configuration_list_build(&machine, request, 1, cuts, list);
    if (list->count == 2) {
        proving->baseline = list->items[0];
        proving->item = list->items[1];
    } else {
        const char *why = json_string_value(json_array_get(cuts, 0));
        status = error_set(error, ERROR_INVALID, "%s",
                           why ? why : "this configuration is none that can be tried here");
    }
    json_decref(cuts);
    free(list);
    return status;
}

/* ---- blocks ---- */

/* How many in all; 0: not known before the first has been timed. */
static uint32_t all_blocks(const struct proving *proving, uint32_t done, double elapsed_s)
{
    if (proving->request->repeats || done == 0)
        return proving->request->repeats;
    if (proving->sweep.all_blocks)
        return proving->sweep.all_blocks;
    double fit = elapsed_s > 0 ? PROVE_SECONDS * done / elapsed_s : PROVE_MOST_BLOCKS;
    return (uint32_t)fmin(fmax(fit, REQUEST_MIN_BLOCKS), PROVE_MOST_BLOCKS);
}

/* Times from what the blocks so far took; of the first nothing is known. */
static void show_progress(struct proving *proving, uint32_t block)
{
    const struct sweep_labs *labs = proving->world->labs;
    struct sweep *sweep = &proving->sweep;
    double elapsed_s = labs->now_s(labs->context) - proving->begin_s;
    uint32_t all = all_blocks(proving, block, elapsed_s), most = all ? all : PROVE_MOST_BLOCKS;
    double one_s = block ? elapsed_s / block : (double)NAN;
    sweep->first_block = block;
    sweep->all_blocks = all;
    sweep->progress_from = (double)block / most;
    sweep->progress_to = (block + 1.0) / most;
    sweep->expected_s = one_s;
    sweep->later_s = one_s * (most - block - 1);
}

/* Why there will be no further block. */
static void note_failure(struct proving *proving, int status, bool of_a, const struct error *error)
{
    struct sweep_result *all = &proving->all;
    all->outcome = status == ERROR_MEMORY || status == ERROR_LIMIT ? OUTCOME_OUT_OF_MEMORY : OUTCOME_ERROR;
    all->of_a = of_a;
    snprintf(all->message, sizeof all->message, "%.150s", error->message);
}

static void take_block(struct proving *proving, const struct sweep_result *block)
{
    struct sweep_result *all = &proving->all;
    for (size_t i = 0; i < block->n; i++)
        all->pairs[all->n++] = block->pairs[i];
    if (block->outcome == OUTCOME_OK)
        return;
    all->outcome = block->outcome;
    all->of_a = block->of_a;
    memcpy(all->message, block->message, sizeof all->message);
}

/* Both labs are open. A lab that dies is the comparison's failure, not the program's. */
static int measure_block(struct proving *proving, struct error *error)
{
    const struct configuration *item = &proving->item;
    struct sweep_side a = {.lab = proving->a, .run = item->a};
    struct sweep_side b = {.lab = item->own_lab ? proving->b : proving->a,
                           .run = item->b,
                           .warmed = !item->own_lab && configuration_same_shape(&item->a, &item->b)};
    struct sweep_result block;
    struct error problem = {0};
    proving->sweep.name = item->id;
    proving->sweep.dead = NULL;
    int status = sweep_blocks(&proving->sweep, &a, &b, 1, &block, &problem);
    take_block(proving, &block);
    sweep_result_free(&block);
    if (status == ERROR_IO && proving->sweep.dead) {
        note_failure(proving, status, proving->sweep.dead == proving->a, &problem);
        return 0;
    }
    return status ? error_set(error, status, "%s", problem.message) : 0;
}

static int one_block(struct proving *proving, struct error *error)
{
    struct engine_options baseline = profile_request_engine(proving->request, 0);
    struct error problem = {0};
    int status = open_lab(proving, &baseline, &proving->a, error);
    if (!status)
        status = choose_item(proving, error);
    if (status)
        return status;
    if (proving->item.own_lab && (status = open_lab(proving, &proving->item.engine, &proving->b, &problem))) {
        if (status == ERROR_CANCELLED)
            return error_set(error, status, "%s", problem.message);
        note_failure(proving, status, false, &problem);
        return 0;
    }
    return measure_block(proving, error);
}

/* ---- all ---- */

static json_t *entries(struct proving *proving)
{
    const struct sweep_result *all = &proving->all;
    struct configuration *item = &proving->item;
    json_t *list = json_array();
    struct baseline_sample *samples = calloc(all->n ? all->n : 1, sizeof *samples);
    for (size_t i = 0; samples && i < all->n; i++)
        samples[i] = (struct baseline_sample){
            .beside = item->id, .block = all->pairs[i].block, .sample = all->pairs[i].a};
    if (samples && item->same_as_baseline && all->n > 0)
        json_array_append_new(
            list, configuration_baseline_entry(&proving->baseline, samples, all->n, OUTCOME_OK, "", false));
    json_array_append_new(list, configuration_entry(item, all, false));
    free(samples);
    return list;
}

static int measure_all(struct proving *proving, uint32_t *blocks, struct error *error)
{
    int status = 0;
    for (*blocks = 0; !status && proving->all.outcome == OUTCOME_OK; ++*blocks) {
        show_progress(proving, *blocks);
        if (*blocks > 0 && *blocks >= proving->sweep.all_blocks)
            break;
        status = one_block(proving, error);
        close_labs(proving);
    }
    return status;
}

int prove_measure(const struct configuration_world *world, const struct profile_request *request,
                  const struct run_hooks *hooks, uint32_t *blocks, json_t **out, struct error *error)
{
    size_t most = request->repeats ? request->repeats : PROVE_MOST_BLOCKS;
    struct sweep_pair *pairs = calloc(2 * most, sizeof *pairs);
    struct proving *proving = calloc(1, sizeof *proving);
    *out = NULL;
    *blocks = 0;
    if (!pairs || !proving) {
        free(pairs);
        free(proving);
        return error_memory(error, "the samples of a proof", 2 * most * sizeof *pairs);
    }
    *proving = (struct proving){.world = world,
                                .request = request,
                                .hooks = hooks,
                                .sweep = {.labs = world->labs,
                                          .hooks = hooks,
                                          .phase = "proof",
                                          .item = "configuration",
                                          .in_pieces = true},
                                .all = {.pairs = pairs, .outcome = OUTCOME_OK, .fresh_blocks = true},
                                .begin_s = world->labs->now_s(world->labs->context)};
    int status = measure_all(proving, blocks, error);
    if (!status)
        configuration_check_warm(&proving->item, &proving->all);
    if (!status || proving->all.n > 0)
        *out = entries(proving);
    sweep_result_free(&proving->all);
    free(proving);
    return !status && !*out ? error_memory(error, "a proof", 0) : status;
}
