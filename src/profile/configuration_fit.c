/* What the configurations cost, and what goes when they cost too much. Estimates only decide what is left
 * out; that they were wrong is noticed while measuring (configuration.c). */
#include <math.h>
#include <string.h>

#include "profile/configuration_catalogue.h"

enum { HALVED = 2, MOST_SHORTENED = 8, REFERENCE_SLOWER = 20, OTHER_ISA_SLOWER = 2 };

/* How much slower than the baseline this variant may be, for the worse. */
static double slower(const struct configuration *item, const struct engine_info *baseline)
{
    if (item->kind == CONFIGURATION_THREADS && item->number > 0 && item->number < baseline->n_threads)
        return (double)baseline->n_threads / item->number;
    if (item->kind == CONFIGURATION_ISA)
        return strcmp(item->text, "reference") == 0 ? REFERENCE_SLOWER : OTHER_ISA_SLOWER;
    return 1;
}

double configuration_seconds(const struct configuration *item, const struct configuration_speed *speed,
                             uint32_t blocks)
{
    double a = scenario_seconds(&item->a.scenario, speed->prefill_tps, speed->decode_tps);
    double b = scenario_seconds(&item->b.scenario, speed->prefill_tps, speed->decode_tps);
    /* several sequences: all prompts, and steps that read the weights once but compute for each */
    double crowd = item->b.n_sequences > 1 ? (1 + item->b.n_sequences) / 2.0 : 1;
    double runs = 2.0 * blocks + 1;
    if (item->kind == CONFIGURATION_BASELINE)
        return a * runs;
    return (item->own_lab ? speed->open_s : 0) + runs * (a + b * crowd * slower(item, speed->baseline));
}

static double total(const struct configuration_list *list, const struct configuration_speed *speed,
                    uint32_t blocks)
{
    double seconds = 0;
    bool beside = false; /* the baseline is measured beside another, and not by itself */
    for (size_t i = 1; i < list->count; i++) {
        beside = beside || list->items[i].same_as_baseline;
        seconds += configuration_seconds(&list->items[i], speed, blocks);
    }
    if (list->count > 0 && !beside)
        seconds += configuration_seconds(&list->items[0], speed, blocks);
    return seconds;
}

static void left_out(const struct configuration *item, json_t *cuts)
{
    json_array_append_new(cuts, json_sprintf("configuration %s left out", item->id));
}

static void drop_last(struct configuration_list *list, json_t *cuts)
{
    left_out(&list->items[--list->count], cuts);
}

/* Shorter answers of the items that are still there: the list is made again, without those that were dropped,
 * and without those that cannot be told from the baseline in so short a test. */
static void shorten(const struct configuration_machine *machine, const struct profile_request *request,
                    uint32_t part, struct configuration_list *list, json_t *cuts)
{
    struct configuration_list whole;
    configuration_list_build(machine, request, part, NULL, &whole);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t k = 0;
        while (k < whole.count && strcmp(whole.items[k].id, list->items[i].id) != 0)
            k++;
        if (k < whole.count)
            list->items[kept++] = whole.items[k];
        else
            left_out(&list->items[i], cuts);
    }
    list->count = kept;
    if (kept)
        json_array_append_new(cuts, json_sprintf("configurations: answers shortened, the baseline's to %u "
                                                 "tokens",
                                                 list->items[0].b.scenario.max_tokens));
}

static bool is_knob(const struct configuration *item)
{
    return item->kind > CONFIGURATION_LENGTH;
}

void configuration_list_fit(const struct configuration_machine *machine,
                            const struct profile_request *request, const struct configuration_speed *speed,
                            uint32_t blocks, double budget_s, json_t *cuts, struct configuration_list *out,
                            double *expected_s)
{
    configuration_list_build(machine, request, 1, cuts, out);
    double budget = budget_s > 0 ? budget_s : INFINITY;
    if (total(out, speed, blocks) > budget)
        shorten(machine, request, HALVED, out, cuts);
    while (total(out, speed, blocks) > budget && out->count > 1 && is_knob(&out->items[out->count - 1]))
        drop_last(out, cuts);
    for (uint32_t part = 2 * HALVED; part <= MOST_SHORTENED && total(out, speed, blocks) > budget; part *= 2)
        shorten(machine, request, part, out, cuts);
    while (total(out, speed, blocks) > budget && out->count > 1)
        drop_last(out, cuts);
    *expected_s = total(out, speed, blocks);
}
