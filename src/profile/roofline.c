/* The groups live in one array in the order they were met; a JSON object beside it finds them by name, so
 * that a report with many thousand invented names costs no more than its size. */
#include "profile/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/json_put.h"

#define OVERHEAD_BELOW 0.25 /* of the time explained by the roofline */
#define NOISE 1.05          /* what is above has not been timed: another thread did the work meanwhile */

struct operation {
    char name[ROOFLINE_NAME];
    size_t calls;
    double ms, bytes, flops;
};

struct groups {
    struct operation items[ROOFLINE_MAX_OPERATIONS];
    size_t n;
    json_t *index; /* name -> place in items */
    double total_ms;
};

static bool ends_word(char c)
{
    return c == '.' || c == ' ' || c == 0;
}

void roofline_group(const char *name, char *out, size_t capacity)
{
    size_t used = 0;
    bool begins = true; /* of a word */
    while (*name && used + 1 < capacity) {
        size_t digits = begins ? strspn(name, "0123456789") : 0;
        if (digits && ends_word(name[digits])) {
            out[used++] = '*';
            name += digits;
        } else {
            begins = ends_word(*name);
            out[used++] = *name++;
        }
    }
    while (*name && used > 0 && (out[used - 1] & 0x80)) /* half a character would be no JSON string */
        used--;
    out[used] = 0;
}

/* The group of this name; the last one stands for all that are too many. NULL: memory. */
static struct operation *find_group(struct groups *groups, const char *name)
{
    const json_t *place = json_object_get(groups->index, name);
    if (place)
        return &groups->items[json_integer_value(place)];
    if (groups->n == ROOFLINE_MAX_OPERATIONS)
        return &groups->items[ROOFLINE_MAX_OPERATIONS - 1];
    if (groups->n == ROOFLINE_MAX_OPERATIONS - 1)
        name = "(others)";
    if (json_object_set_new(groups->index, name, json_integer((json_int_t)groups->n)))
        return NULL;
    struct operation *group = &groups->items[groups->n++];
    *group = (struct operation){.calls = 0};
    memcpy(group->name, name, strlen(name) + 1);
    return group;
}

static double or_zero(double value)
{
    return isnan(value) ? 0 : value;
}

static int collect(const json_t *trace, struct groups *groups)
{
    const json_t *segments = json_get_array(trace, "segments");
    size_t count = json_get_count(segments, "");
    for (size_t i = 0; i < count && i < ROOFLINE_MAX_SEGMENTS; i++) {
        const json_t *segment = json_get_item(segments, i);
        double ms = json_get_positive(segment, "ms");
        const char *full = json_get_string(segment, "name");
        if (isnan(ms) || !full)
            continue;
        char name[ROOFLINE_NAME];
        roofline_group(full, name, sizeof name);
        struct operation *group = find_group(groups, name);
        if (!group)
            return -1;
        group->calls++;
        group->ms += ms;
        group->bytes += or_zero(json_get_positive(segment, "weight_bytes")) +
                        or_zero(json_get_positive(segment, "kv_bytes"));
        group->flops += or_zero(json_get_positive(segment, "flops"));
        groups->total_ms += ms;
    }
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct operation *x = a, *y = b;
    return (x->ms < y->ms) - (x->ms > y->ms);
}

static void put_bound(json_t *o, const struct operation *op, double read_gbps, double peak_gflops)
{
    double memory_ms = op->bytes / (read_gbps * 1e6), compute_ms = op->flops / (peak_gflops * 1e6);
    double least = fmax(memory_ms, compute_ms); /* of a number and NaN: the number */
    if (isnan(read_gbps) && op->bytes > 0) {    /* arithmetic alone would call reading an overhead */
        json_put_null(o, "bound", "the read bandwidth was not measured");
        json_put_null(o, "efficiency", "the read bandwidth was not measured");
        return;
    }
    if (!(least >= 0) || op->ms <= 0) {
        json_put_null(o, "bound", "no ceiling was measured");
        json_put_null(o, "efficiency", "no ceiling was measured");
        return;
    }
    double efficiency = least / op->ms;
    if (efficiency > NOISE) {
        json_put_null(o, "bound", "refused: faster than the measured ceilings allow");
        json_put_null(o, "efficiency", "refused: faster than the measured ceilings allow");
        return;
    }
    const char *bound = efficiency < OVERHEAD_BELOW                    ? "overhead"
                        : isnan(compute_ms) || memory_ms >= compute_ms ? "memory"
                                                                       : "compute";
    json_put_string(o, "bound", bound, "");
    json_put_number(o, "efficiency", efficiency, "");
}

static json_t *operation_json(const struct operation *op, double total_ms, double read_gbps,
                              double peak_gflops)
{
    json_t *o = json_object();
    json_put_string(o, "name", op->name, "not valid UTF-8");
    json_put_integer(o, "calls", op->calls);
    json_put_number(o, "time_ms", op->ms, "");
    json_put_number(o, "share", total_ms > 0 ? op->ms / total_ms : NAN, "the step took no time");
    json_put_number(o, "gbps", op->ms > 0 ? op->bytes / (op->ms * 1e6) : NAN, "it took no time");
    json_put_number(o, "gflops", op->ms > 0 ? op->flops / (op->ms * 1e6) : NAN, "it took no time");
    put_bound(o, op, read_gbps, peak_gflops);
    return o;
}

static const json_t *shallowest(const json_t *report)
{
    const json_t *traces = json_get_array(report, "traces"), *found = NULL;
    for (size_t i = 0; i < json_get_count(traces, "") && i < 64; i++) {
        const json_t *trace = json_get_item(traces, i);
        if (json_get_count(trace, "segments") == 0)
            continue;
        if (!found || json_get_number(trace, "depth") < json_get_number(found, "depth"))
            found = trace;
    }
    return found;
}

json_t *roofline_read(const json_t *report, double read_gbps, double peak_gflops)
{
    const json_t *trace = shallowest(report);
    if (!trace)
        return json_null();
    struct groups *groups = calloc(1, sizeof *groups);
    json_t *out = json_object(), *operations = json_array();
    int status = -1;
    if (!groups || !out || !operations || !(groups->index = json_object()))
        goto out;
    if (collect(trace, groups))
        goto out;
    qsort(groups->items, groups->n, sizeof *groups->items, by_time);
    for (size_t i = 0; i < groups->n; i++)
        if (json_array_append_new(
                operations, operation_json(&groups->items[i], groups->total_ms, read_gbps, peak_gflops)))
            goto out;
    json_put_number(out, "read_gbps", read_gbps, "the read bandwidth of this machine was not measured");
    json_put_number(out, "peak_gflops", peak_gflops, "the arithmetic peak of this machine was not measured");
    status = json_object_set(out, "operations", operations);
out:
    json_decref(operations);
    if (groups)
        json_decref(groups->index);
    free(groups);
    if (status == 0)
        return out;
    json_decref(out);
    return NULL;
}

double roofline_share(const json_t *roofline, const char *bound)
{
    const json_t *operations = json_get_array(roofline, "operations");
    double sum = 0, known = 0;
    for (size_t i = 0; i < json_get_count(operations, ""); i++) {
        const json_t *op = json_get_item(operations, i);
        double share = json_get_positive(op, "share");
        if (isnan(share) || !json_get_string(op, "bound"))
            continue;
        known += share;
        if (json_get_is(op, "bound", bound))
            sum += share;
    }
    return known > 0 ? sum / known : NAN;
}
