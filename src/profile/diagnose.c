/* The table of rules, and what is done with what they find.
 *
 * The order of the table is the order of explanation: memory that is not there, time that is taken away and
 * clocks that fall make every other figure look bad, so they come first; then what bounds a healthy run; then
 * what concerns only a part of it. To add a diagnosis, write one small function in the diagnose_*.c it
 * belongs to, name it here, and give tests/unit/test_profile_analysis.c a report with its sign and nothing
 * else. */
#include "profile/diagnose.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile/json_put.h"

enum {
    LIMIT = 0,
    FAULT = 1,
    FROM_OUTSIDE = 2, /* its figures can be had of a remote server, too */
    PAIRED = 4        /* from comparisons in turn, which carry their own confidence */
};

struct rule {
    const char *id;
    diagnose_rule *look;
    unsigned traits;
};

static const struct rule rules[] = {
    /* what spoils everything else */
    {"swapping", diagnose_swapping, FAULT},
    {"not_resident", diagnose_not_resident, FAULT},
    {"gpu_working_set", diagnose_gpu_working_set, FAULT},
    {"cpu_quota", diagnose_cpu_quota, FAULT},
    {"oversubscribed", diagnose_oversubscribed, FAULT},
    {"smt", diagnose_smt, FAULT},
    {"steal", diagnose_steal, FAULT},
    {"busy_host", diagnose_busy_host, FAULT},
    {"thermal", diagnose_thermal, FAULT},
    {"numa_remote", diagnose_numa, FAULT},
    {"itl_tail", diagnose_itl_tail, FAULT | FROM_OUTSIDE},
    {"speculative_loss", diagnose_speculative, FAULT},
    {"byte_accounting", diagnose_byte_accounting, FAULT},
    /* what bounds a healthy run */
    {"memory_bandwidth", diagnose_memory_bandwidth, LIMIT},
    {"cache_bandwidth", diagnose_cache_bandwidth, LIMIT},
    {"overhead", diagnose_overhead, LIMIT},
    {"decode_compute", diagnose_decode_compute, LIMIT},
    {"bandwidth_headroom", diagnose_bandwidth_headroom, LIMIT},
    /* parts of it */
    {"attention_kernel", diagnose_attention_kernel, LIMIT},
    {"kv_cache", diagnose_kv_cache, LIMIT},
    {"prefill_compute", diagnose_prefill_compute, LIMIT},
    {"threads_saturated", diagnose_threads_saturated, LIMIT | PAIRED},
    {"batch_saturated", diagnose_batch_saturated, LIMIT | PAIRED | FROM_OUTSIDE},
    {"memory_tight", diagnose_memory_tight, FAULT},
    {"footprint", diagnose_footprint, FAULT},
    {"cold_cache", diagnose_cold_cache, FAULT},
};

enum { N_RULES = sizeof rules / sizeof *rules };
_Static_assert((int)N_RULES <= (int)DIAGNOSE_MAX, "every rule may find something");

void finding_figure(struct finding *finding, const char *name, double value)
{
    if (isfinite(value))
        json_put_number(finding->evidence, name, value, "");
}

void finding_say(struct finding *finding, enum severity severity, const char *title, const char *format, ...)
{
    finding->severity = severity;
    snprintf(finding->title, sizeof finding->title, "%s", title);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->explanation, sizeof finding->explanation, format, arguments);
    va_end(arguments);
}

/* Stable: among equals the order of the table stays. */
static void sort_by_severity(struct findings *findings)
{
    for (size_t i = 1; i < findings->n; i++) {
        struct finding moved = findings->items[i];
        size_t k = i;
        for (; k > 0 && findings->items[k - 1].severity < moved.severity; k--)
            findings->items[k] = findings->items[k - 1];
        findings->items[k] = moved;
    }
}

/* Repeats that differ by more than 20 % show what disturbs them, and carry no verdict on what bounds the
 * speed. Of a remote server, machine and sensors are the client's: most rules would accuse it. */
static bool applies(const struct rule *rule, const struct facts *facts)
{
    if (facts->unstable && !(rule->traits & (FAULT | PAIRED)))
        return false;
    return !facts->remote || (rule->traits & FROM_OUTSIDE);
}

void diagnose(const struct facts *facts, struct findings *out)
{
    out->n = 0;
    for (size_t i = 0; i < N_RULES; i++) {
        struct finding *finding = &out->items[out->n];
        if (!applies(&rules[i], facts))
            continue;
        *finding =
            (struct finding){.id = rules[i].id, .fault = rules[i].traits & FAULT, .evidence = json_object()};
        if (rules[i].look(facts, out, finding))
            out->n++;
        else
            json_decref(finding->evidence);
    }
    sort_by_severity(out);
}

void findings_free(struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        json_decref(findings->items[i].evidence);
    findings->n = 0;
}

const struct finding *findings_get(const struct findings *findings, const char *id)
{
    for (size_t i = 0; i < findings->n; i++)
        if (strcmp(findings->items[i].id, id) == 0)
            return &findings->items[i];
    return NULL;
}

bool findings_disturbed(const struct findings *so_far)
{
    static const char *const causes[] = {"swapping", "not_resident", "cpu_quota", "oversubscribed",
                                         "steal",    "busy_host",    "thermal"};
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (findings_get(so_far, causes[i]))
            return true;
    return false;
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"Low", "Medium", "High"};
    return names[severity];
}
