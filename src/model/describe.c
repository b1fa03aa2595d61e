#include "model/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KINDS = 32, TEXT_BYTES = 48 };

struct kind {
    char text[TEXT_BYTES];
    uint64_t bytes;
};

struct tally {
    struct kind kinds[MAX_KINDS];
    uint32_t n_kinds;
};

static void add(struct tally *tally, const struct weight *weight)
{
    char text[TEXT_BYTES];
    weight_describe(weight, text, sizeof text);
    uint32_t i = 0;
    while (i < tally->n_kinds && strcmp(tally->kinds[i].text, text) != 0)
        i++;
    if (i == MAX_KINDS)
        return; /* more kinds than exist */
    if (i == tally->n_kinds)
        memcpy(tally->kinds[tally->n_kinds++].text, text, sizeof text);
    tally->kinds[i].bytes += weight_bytes(weight);
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = ((const struct kind *)a)->bytes, y = ((const struct kind *)b)->bytes;
    return x > y ? -1 : x < y;
}

const char *describe_weights(const struct plan *plan, struct arena *arena)
{
    struct tally tally = {0};
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        if (op->kind == PLAN_EMBED)
            add(&tally, op->embed.weight);
        if (op->kind == PLAN_LINEAR && !strstr(op->name, ".lora_"))
            add(&tally, op->linear.weight);
        if (op->kind == PLAN_EXPERTS) {
            add(&tally, op->experts.gate);
            add(&tally, op->experts.up);
            add(&tally, op->experts.down);
        }
    }
    qsort(tally.kinds, tally.n_kinds, sizeof *tally.kinds, by_bytes);
    char text[MAX_KINDS * (TEXT_BYTES + 2) + 8] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < tally.n_kinds; i++) {
        const char *before = i ? "; " : tally.n_kinds > 1 ? "mixed: " : "";
        int n = snprintf(text + used, sizeof text - used, "%s%s", before, tally.kinds[i].text);
        used += n > 0 ? (size_t)n : 0;
    }
    return arena_strdup(arena, text);
}
