#include "profile/scenario.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BYTES_PER_TOKEN = 4,
    TEMPLATE_TOKENS = 32,
    FEWEST_ANSWER_TOKENS = 8
}; /* for guessing the length of a prompt before it is tokenized */

static const uint32_t depths[] = {0, 1024, 4096};

const char *scenario_kind_name(enum scenario_kind kind)
{
    return kind == SCENARIO_PROMPT ? "prompt" : kind == SCENARIO_PREFILL ? "prefill" : "decode";
}

double scenario_seconds(const struct scenario *scenario, double prefill_tps, double decode_tps)
{
    if (!(prefill_tps > 0) || !(decode_tps > 0))
        return 0;
    return scenario->prompt_tokens / prefill_tps + scenario->max_tokens / decode_tps;
}

static struct scenario *add(struct scenario_list *list, enum scenario_kind kind)
{
    struct scenario *item = &list->items[list->count++];
    memset(item, 0, sizeof *item);
    item->kind = kind;
    return item;
}

static void name_it(struct scenario *item)
{
    if (item->kind == SCENARIO_PREFILL) {
        snprintf(item->id, sizeof item->id, "prefill_%u", item->prompt_tokens);
        snprintf(item->label, sizeof item->label, "prefill %u", item->prompt_tokens);
    } else if (item->kind == SCENARIO_DECODE) {
        uint32_t steps = item->max_tokens - 1;
        snprintf(item->id, sizeof item->id, "decode_%u_at_%u", steps, item->depth);
        snprintf(item->label, sizeof item->label, "decode %u @ %u", steps, item->depth);
    }
}

/* What the context leaves for an answer, by the guess. A prompt that leaves less than a few tokens is asked
 * for those all the same: the guess may be wrong, and if it is not, the engine says what does not fit. */
static uint32_t answer_tokens(uint32_t prompt_tokens, const struct scenario_request *request)
{
    uint32_t wanted = request->answer_tokens ? request->answer_tokens : SCENARIO_ANSWER_TOKENS;
    uint32_t room = request->context > prompt_tokens ? request->context - prompt_tokens : 0;
    uint32_t least = room > FEWEST_ANSWER_TOKENS ? room : FEWEST_ANSWER_TOKENS;
    return wanted < least ? wanted : least;
}

static void add_prompts(const struct scenario_request *request, struct scenario_list *list)
{
    bool own = request->n_prompts > 0;
    size_t n = own ? request->n_prompts : SCENARIO_DEFAULT_PROMPTS;
    for (size_t i = 0; i < n && i < SCENARIO_MAX_PROMPTS; i++) {
        struct scenario *item = add(list, SCENARIO_PROMPT);
        item->prompt = own ? request->prompts[i] : scenario_default_prompts[i];
        if (own)
            snprintf(item->id, sizeof item->id, "prompt_%zu", i + 1);
        else
            snprintf(item->id, sizeof item->id, "%s", scenario_default_ids[i]);
        memcpy(item->label, item->id, sizeof item->id);
        size_t guess = strlen(item->prompt) / BYTES_PER_TOKEN + TEMPLATE_TOKENS;
        item->prompt_tokens = guess < UINT32_MAX ? (uint32_t)guess : UINT32_MAX;
        item->max_tokens = answer_tokens(item->prompt_tokens, request);
    }
}

static void add_tests(const struct scenario_request *request, struct scenario_list *list)
{
    uint32_t prefill = SCENARIO_PREFILL_TOKENS;
    while (prefill > 16 && prefill + 1 > request->context)
        prefill /= 2;
    if (prefill + 1 <= request->context) {
        struct scenario *item = add(list, SCENARIO_PREFILL);
        item->prompt_tokens = prefill;
        item->max_tokens = 1;
    }
    uint32_t steps = SCENARIO_DECODE_TOKENS;
    while (steps > 1 && steps + 2 > request->context)
        steps /= 2;
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        uint32_t prompt = depths[i] ? depths[i] : 1;
        if ((uint64_t)prompt + steps + 1 > request->context)
            break;
        struct scenario *item = add(list, SCENARIO_DECODE);
        item->depth = depths[i];
        item->prompt_tokens = prompt;
        item->max_tokens = steps + 1; /* the first token comes from prefill */
    }
}

/* ---- the budget ---- */

static double expected(const struct scenario_request *request, const struct scenario_list *list)
{
    double seconds = 0;
    for (size_t i = 0; i < list->count; i++)
        seconds += scenario_seconds(&list->items[i], request->prefill_tps, request->decode_tps);
    return seconds * request->runs;
}

static bool drop_deepest(struct scenario_list *list)
{
    struct scenario *last = list->count ? &list->items[list->count - 1] : NULL;
    if (!last || last->kind != SCENARIO_DECODE || last->depth == 0)
        return false;
    snprintf(list->cuts[list->n_cuts++], sizeof *list->cuts, "decode at depth %u left out", last->depth);
    list->count--;
    return true;
}

static void shorten_answers(struct scenario_list *list, uint32_t tokens)
{
    for (size_t i = 0; i < list->count; i++) {
        struct scenario *item = &list->items[i];
        uint32_t most = item->kind == SCENARIO_DECODE ? tokens + 1 : tokens;
        if (item->max_tokens > most)
            item->max_tokens = most;
    }
    snprintf(list->cuts[list->n_cuts++], sizeof *list->cuts, "answers and decode shortened to %u tokens",
             tokens);
}

static void shorten_prefill(struct scenario_list *list, uint32_t tokens)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == SCENARIO_PREFILL && list->items[i].prompt_tokens > tokens)
            list->items[i].prompt_tokens = tokens;
    snprintf(list->cuts[list->n_cuts++], sizeof *list->cuts, "prefill shortened to %u tokens", tokens);
}

/* Prompts come first; the first one stays. */
static bool drop_last_prompt(struct scenario_list *list)
{
    size_t last = 0;
    for (size_t i = 1; i < list->count; i++)
        if (list->items[i].kind == SCENARIO_PROMPT)
            last = i;
    if (last == 0)
        return false;
    struct scenario gone = list->items[last];
    snprintf(list->cuts[list->n_cuts++], sizeof *list->cuts, "prompt %s left out", gone.id);
    list->count--;
    memmove(&list->items[last], &list->items[last + 1], (list->count - last) * sizeof *list->items);
    return true;
}

static void fit_budget(const struct scenario_request *request, struct scenario_list *list)
{
    while (expected(request, list) > request->budget_s && drop_deepest(list))
        ;
    for (uint32_t tokens = 64; tokens >= 16 && expected(request, list) > request->budget_s; tokens /= 2)
        shorten_answers(list, tokens);
    for (uint32_t tokens = 256; tokens >= 128 && expected(request, list) > request->budget_s; tokens /= 2)
        shorten_prefill(list, tokens);
    while (expected(request, list) > request->budget_s && drop_last_prompt(list))
        ;
}

void scenario_plan(const struct scenario_request *request, struct scenario_list *out)
{
    memset(out, 0, sizeof *out);
    add_prompts(request, out);
    add_tests(request, out);
    if (request->budget_s > 0)
        fit_budget(request, out);
    for (size_t i = 0; i < out->count; i++)
        name_it(&out->items[i]);
    out->expected_s = expected(request, out);
}
