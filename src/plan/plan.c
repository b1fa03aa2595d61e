/* Writing a plan: lists that grow in the model's arena.
 *
 * A family writes a few hundred operations in a row; to keep it readable the builder remembers the first
 * failure and goes on with scratch, so that only plan_finish has to be asked. What a list has outgrown stays
 * in the arena until the model is closed: doubling keeps that below the size of the final list.
 */
#include "plan/plan.h"

#include <string.h>

#include "plan/check.h"

void plan_builder_init(struct plan_builder *builder, struct arena *arena, struct error *error)
{
    *builder = (struct plan_builder){.arena = arena, .layer = -1, .error = error};
}

static int fail_memory(struct plan_builder *builder)
{
    if (builder->status == 0)
        builder->status = error_memory(builder->error, "the plan", builder->arena->used_bytes);
    return builder->status;
}

/* Room for one more element of *list. */
static int grow(struct plan_builder *builder, const void **list, uint32_t count, uint32_t *capacity,
                size_t size)
{
    if (builder->status)
        return builder->status;
    if (count < *capacity)
        return 0;
    uint32_t larger = *capacity ? *capacity * 2 : 16;
    void *moved = larger > *capacity ? arena_alloc(builder->arena, larger, size) : NULL;
    if (!moved)
        return fail_memory(builder);
    if (count)
        memcpy(moved, *list, count * size);
    *list = moved;
    *capacity = larger;
    return 0;
}

struct plan_view plan_slot(struct plan_builder *builder, const char *name, uint32_t width,
                           enum plan_domain domain)
{
    struct plan *plan = &builder->plan;
    const void *list = plan->slots;
    if (grow(builder, &list, plan->n_slots, &builder->slot_capacity, sizeof *plan->slots))
        return (struct plan_view){0};
    plan->slots = list;
    if (plan->n_slots >= UINT16_MAX) {
        builder->status = error_set(builder->error, ERROR_INTERNAL, "the plan has too many slots");
        return (struct plan_view){0};
    }
    const char *copy = arena_strdup(builder->arena, name);
    if (!copy) {
        fail_memory(builder);
        return (struct plan_view){0};
    }
    /* The list is the builder's own memory; it is const for readers of the plan only. */
    struct plan_slot *slots = (struct plan_slot *)list;
    slots[plan->n_slots] = (struct plan_slot){.name = copy, .width = width, .domain = domain};
    return (struct plan_view){.slot = (uint16_t)plan->n_slots++, .width = width};
}

struct plan_view plan_columns(struct plan_view view, uint32_t first, uint32_t width)
{
    /* An overflow makes a view that plan_finish refuses. */
    uint64_t start = (uint64_t)view.first + first;
    if (start > UINT32_MAX || (uint64_t)first + width > view.width)
        return (struct plan_view){.slot = view.slot, .first = UINT32_MAX, .width = UINT32_MAX};
    return (struct plan_view){.slot = view.slot, .first = (uint32_t)start, .width = width};
}

struct plan_op *plan_op(struct plan_builder *builder, enum plan_op_kind kind, const char *name)
{
    struct plan *plan = &builder->plan;
    const void *list = plan->ops;
    builder->scratch = (struct plan_op){.kind = kind};
    if (grow(builder, &list, plan->n_ops, &builder->op_capacity, sizeof *plan->ops))
        return &builder->scratch;
    plan->ops = list;
    const char *full = builder->layer < 0
                           ? arena_strdup(builder->arena, name)
                           : arena_printf(builder->arena, "layers.%d.%s", builder->layer, name);
    if (!full) {
        fail_memory(builder);
        return &builder->scratch;
    }
    struct plan_op *op = (struct plan_op *)list + plan->n_ops++;
    *op = (struct plan_op){.kind = kind, .name = full, .layer = builder->layer};
    return op;
}

uint32_t plan_cache(struct plan_builder *builder, const struct plan_cache *cache)
{
    struct plan *plan = &builder->plan;
    const void *list = plan->caches;
    if (grow(builder, &list, plan->n_caches, &builder->cache_capacity, sizeof *plan->caches))
        return 0;
    plan->caches = list;
    ((struct plan_cache *)list)[plan->n_caches] = *cache;
    return plan->n_caches++;
}

int plan_finish(struct plan_builder *builder)
{
    if (builder->status == 0)
        builder->status = plan_check(&builder->plan, builder->arena, builder->error);
    return builder->status;
}

const char *plan_op_kind_name(enum plan_op_kind kind)
{
    static const char *const names[PLAN_OP_KINDS] = {
        [PLAN_EMBED] = "embed",     [PLAN_NORM] = "norm",         [PLAN_LINEAR] = "linear",
        [PLAN_ROPE] = "rope",       [PLAN_KV_STORE] = "kv_store", [PLAN_ATTEND] = "attend",
        [PLAN_ACT_MUL] = "act_mul", [PLAN_ADD] = "add",           [PLAN_ROUTE] = "route",
        [PLAN_EXPERTS] = "experts", [PLAN_SELECT] = "select",     [PLAN_SCALE] = "scale",
    };
    return (unsigned)kind < PLAN_OP_KINDS ? names[kind] : "?";
}
