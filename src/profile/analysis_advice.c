/* What to do. Advice comes from two places: a configuration that was measured to be better, and a diagnosis
 * that has a remedy. A remedy that is a configuration is named as one ("threads=2"), so that it can be proved
 * and applied; one that this very run has already tried without success is not given. Gains are only promised
 * where a pair was measured. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/analysis.h"
#include "profile/analysis_internal.h"
#include "profile/configuration.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/proof.h"
#include "profile/thresholds.h"

enum { MAX_ADVICE = 24 };

/* src/service/settings_table.c has the same names. */
json_t *proof_setting(const char *configuration)
{
    static const char *const settings[] = {"threads", "kv_bits", "context"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        size_t length = strlen(settings[i]);
        if (strncmp(configuration, settings[i], length) != 0 || configuration[length] != '=')
            continue;
        char *end;
        long value = strtol(configuration + length + 1, &end, 10);
        if (*end || value < 1 || value > 1 << 24)
            return json_null();
        return json_pack("{s:s, s:I}", "key", settings[i], "value", (json_int_t)value);
    }
    return json_null();
}

static bool given_already(const json_t *list, const char *id)
{
    return json_get_where(list, "", "id", id) != NULL;
}

/* doubt: why it is no setting yet; NULL: it is one, if there is one for it. */
static void append(json_t *list, const char *id, double expected_pct, const char *because, const char *text,
                   const char *doubt)
{
    if (given_already(list, id) || json_array_size(list) >= MAX_ADVICE)
        return;
    json_t *o = json_object();
    json_put_string(o, "id", id, "");
    json_put_string(o, "text", text, "");
    json_put_number(o, "expected_pct", expected_pct, "not measured in this run");
    json_put_bool(o, "provable", configuration_is_one(id));
    json_put_null(o, "proof", configuration_is_one(id) ? PROOF_NOT_YET : PROOF_NOT_HERE);
    if (doubt)
        json_put_null(o, "setting", doubt);
    else
        json_object_set_new(o, "setting", proof_setting(id));
    json_put_string(o, "because", because, "a measured configuration, not a diagnosis");
    json_array_append_new(list, o);
}

/* Whether there is advice for the knob of this id already: "threads=2" when "threads=4" comes. */
static bool knob_given(const json_t *list, const char *id)
{
    size_t length = strcspn(id, "=") + 1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strncmp(json_get_text(json_get_item(list, i), "id", ""), id, length) == 0)
            return true;
    return false;
}

/* A remedy for a finding; a configuration that was tried and is not better is left out. */
static void remedy(const struct facts *facts, json_t *list, const struct finding *finding, const char *id,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
static void remedy(const struct facts *facts, json_t *list, const struct finding *finding, const char *id,
                   const char *format, ...)
{
    const json_t *tried = facts_configuration(facts, id);
    if ((tried && !json_get_is(tried, "verdict", "higher")) || (strchr(id, '=') && knob_given(list, id)))
        return; /* it failed, or a better value of the knob was measured */
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(list, id, json_get_number(tried, "change_pct"), finding->id, text, NULL);
}

/* ---- remedies, each for the findings it helps ---- */

static void use_threads(const struct facts *facts, json_t *list, const struct finding *finding,
                        double threads)
{
    char id[32];
    if (!(threads >= 1) || !(threads < facts->threads) || threads > 1024)
        return;
    snprintf(id, sizeof id, "threads=%.0f", threads);
    char wanted[FORMAT_MAX];
    remedy(facts, list, finding, id, "Use %s instead of %.0f.", format_of(wanted, threads, "thread"),
           facts->threads);
}

static void eight_bit_cache(const struct facts *facts, json_t *list, const struct finding *finding)
{
    if (facts->kv_bits > 8)
        remedy(
            facts, list, finding, "kv_bits=8",
            "Keep the KV cache in 8 bits: only about %s of its bytes are read for every token, and about %s "
            "the context fits into the same memory.",
            facts->kv_bits == 32 ? "a quarter" : "half", facts->kv_bits == 32 ? "four times" : "twice");
}

static void more_sequences(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "concurrency=4",
           "Let several answers be written at once: they share what a step reads and costs, so together they "
           "should get more tokens per second (each of them fewer).");
}

static void fewer_bytes(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "smaller_quantization",
           "Take a smaller quantization of the model (fewer bits per weight), or a model with fewer active "
           "parameters: decoding should get faster, at most in proportion to the bytes. Compare the quality "
           "with 'llmind eval'.");
}

static void advise_bandwidth(const struct facts *facts, json_t *list, const struct finding *finding)
{
    fewer_bytes(facts, list, finding);
    if (facts->shallow.kv_bytes > KV_SHARE * facts->shallow.weight_bytes)
        eight_bit_cache(facts, list, finding);
    more_sequences(facts, list, finding);
}

static void advise_kv(const struct facts *facts, json_t *list, const struct finding *finding)
{
    eight_bit_cache(facts, list, finding);
}

static void advise_attention(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "shorter_prompts",
           "Keep conversations and documents shorter where answers must be quick: the cost of attention "
           "grows with "
           "every token that is in the context.");
}

static void advise_overhead(const struct facts *facts, json_t *list, const struct finding *finding)
{
    more_sequences(facts, list, finding);
    if (facts->threads > 1)
        use_threads(facts, list, finding, floor(facts->threads / 2));
}

static void advise_quota(const struct facts *facts, json_t *list, const struct finding *finding)
{
    use_threads(facts, list, finding, fmax(1, floor(facts->quota_cores)));
    remedy(
        facts, list, finding, "raise_quota",
        "Give the container whole cores: a CPU quota that is a whole number of them, or none, and one thread "
        "for each.");
}

static void advise_oversubscribed(const struct facts *facts, json_t *list, const struct finding *finding)
{
    use_threads(facts, list, finding, facts->cores_allowed);
}

static void advise_smt(const struct facts *facts, json_t *list, const struct finding *finding)
{
    use_threads(facts, list, finding, facts->cores_physical);
}

static void advise_fewer_threads(const struct facts *facts, json_t *list, const struct finding *finding)
{
    use_threads(facts, list, finding, json_get_number(finding->evidence, "enough_threads"));
}

static void advise_memory(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "smaller_model",
           "Take a smaller model or a smaller quantization, so that all of it stays in memory.");
    double context = json_get_positive(facts->report, "flags.context");
    if (context >= 2048 && context <= 1 << 24) {
        char id[32];
        snprintf(id, sizeof id, "context=%.0f", floor(context / 2));
        remedy(facts, list, finding, id,
               "Halve the context to %.0f tokens: the KV cache then takes half the memory.",
               floor(context / 2));
    }
    eight_bit_cache(facts, list, finding);
}

static void advise_gpu_memory(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "wired_limit",
           "Raise the GPU's share of memory to N megabytes (on a Mac: sudo sysctl iogpu.wired_limit_mb=N; it "
           "holds until the next restart), or take a smaller quantization (fewer bits per weight).");
}

static void advise_neighbours(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "quiet_host",
           "End what else runs on this machine, or ask for one that is not shared, and measure again.");
}

static void advise_heat(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "cool_down",
           "Let the machine cool down, see to its airflow and its power profile, and measure again with more "
           "repeats.");
}

static void advise_numa(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "bind_numa",
           "Start it on one processor socket, memory included: numactl --cpunodebind=0 --membind=0 llmind "
           "serve.");
}

static void advise_draft(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "no_draft_model",
           "Do without the draft model, or take one whose guesses are right more often.");
}

static void advise_cold(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(
        facts, list, finding, "preload",
        "Keep the model loaded (the server loads it at its start): only the first answer after a start waits "
        "for the disk.");
}

static void advise_prefill(const struct facts *facts, json_t *list, const struct finding *finding)
{
    remedy(facts, list, finding, "reuse_prefix",
           "Begin prompts with what they have in common: what was read before is kept (the prefix cache) "
           "and need not be read again.");
}

static const struct {
    const char *finding;
    void (*advise)(const struct facts *, json_t *, const struct finding *);
} remedies[] = {
    {"swapping", advise_memory},
    {"not_resident", advise_memory},
    {"memory_tight", advise_memory},
    {"gpu_working_set", advise_gpu_memory},
    {"cpu_quota", advise_quota},
    {"oversubscribed", advise_oversubscribed},
    {"smt", advise_smt},
    {"steal", advise_neighbours},
    {"busy_host", advise_neighbours},
    {"itl_tail", advise_neighbours},
    {"thermal", advise_heat},
    {"numa_remote", advise_numa},
    {"speculative_loss", advise_draft},
    {"memory_bandwidth", advise_bandwidth},
    {"cache_bandwidth", more_sequences},
    {"overhead", advise_overhead},
    {"decode_compute", more_sequences},
    {"bandwidth_headroom", advise_bandwidth},
    {"attention_kernel", advise_attention},
    {"kv_cache", advise_kv},
    {"prefill_compute", advise_prefill},
    {"threads_saturated", advise_fewer_threads},
    {"cold_cache", advise_cold},
};

/* ---- measured configurations ---- */

/* The seed's five change what is asked, not how fast it is done: no advice follows from them. */
static bool is_knob(const char *id)
{
    return strchr(id, '=') != NULL;
}

static const char *because_of(const struct findings *findings, const char *id)
{
    static const struct {
        const char *knob, *finding;
    } links[] = {{"threads=", "threads_saturated"},
                 {"threads=", "cpu_quota"},
                 {"threads=", "oversubscribed"},
                 {"threads=", "smt"},
                 {"kv_bits=", "kv_cache"},
                 {"kv_bits=", "attention_kernel"},
                 {"threads=", "busy_host"},
                 {"concurrency=", "overhead"},
                 {"concurrency=", "memory_bandwidth"},
                 {"concurrency=", "bandwidth_headroom"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (strncmp(id, links[i].knob, strlen(links[i].knob)) == 0 &&
            findings_get(findings, links[i].finding))
            return links[i].finding;
    return NULL;
}

/* What a variant is compared by: configuration_catalogue.c gives each knob a test of its own. */
static const char *what_got_faster(const char *id)
{
    static const struct {
        const char *knob, *what;
    } gains[] = {{"concurrency=", "more tokens per second in all, each answer slower"},
                 {"prefill_chunk=", "faster at reading prompts"},
                 {"kv_bits=", "faster at writing, deep in the context"}};
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++)
        if (strncmp(id, gains[i].knob, strlen(gains[i].knob)) == 0)
            return gains[i].what;
    return "faster at writing";
}

/* What may have made a variant look better that is worse when the machine is quiet: fewer threads win while
 * neighbours hold the cores. A quota and surplus threads are no such thing: they stay, and fewer threads are
 * their remedy. */
static const struct {
    const char *finding, *doubt;
    const char *knob; /* that alone is put in doubt when both are measured in turn; NULL: all are */
} doubts[] = {
    {"steal", "measured while others took the processors: measure again on a quiet machine", "threads="},
    {"busy_host", "measured while others took the processors: measure again on a quiet machine", "threads="},
    {"swapping", "measured while the system swapped: measure again when memory is free", NULL},
    {"not_resident", "measured while weights were read from the disk: measure again when memory is free",
     NULL},
    {"thermal", "measured while heat or power limited the clock: measure again when the machine is cool",
     NULL},
};

enum { N_DOUBTS = sizeof doubts / sizeof *doubts };

static const char *doubt_of(const struct findings *findings)
{
    for (size_t i = 0; i < N_DOUBTS; i++)
        if (findings_get(findings, doubts[i].finding))
            return doubts[i].doubt;
    return NULL;
}

const char *analysis_doubt(const json_t *report)
{
    for (size_t i = 0; i < N_DOUBTS; i++)
        if (json_get_where(report, "analysis.bottlenecks", "id", doubts[i].finding))
            return doubts[i].doubt;
    return NULL;
}

const char *analysis_disturbance(const json_t *report, const char *configuration)
{
    struct facts facts;
    struct findings findings;
    const char *doubt = NULL;
    facts_read(report, &facts);
    diagnose(&facts, &findings);
    for (size_t i = 0; i < N_DOUBTS && !doubt; i++) {
        const char *knob = doubts[i].knob;
        if (findings_get(&findings, doubts[i].finding) &&
            (!knob || strncmp(configuration, knob, strlen(knob)) == 0))
            doubt = doubts[i].doubt;
    }
    findings_free(&findings);
    return doubt;
}

/* The best variant of each knob, the largest gain first. */
static void advise_measured(const struct facts *facts, const struct findings *findings, json_t *out)
{
    const json_t *list = json_get_array(facts->report, "configurations");
    const char *doubt = doubt_of(findings);
    for (;;) {
        const json_t *best = NULL;
        double most = 0;
        for (size_t i = 0; i < json_get_count(list, "") && i < 256; i++) {
            const json_t *entry = json_get_item(list, i);
            const char *id = json_get_text(entry, "id", "");
            double change = json_get_number(entry, "change_pct");
            if (is_knob(id) && facts_configuration(facts, id) == entry && change > most &&
                json_get_is(entry, "verdict", "higher") && json_get_bool(entry, "significant", false) &&
                !knob_given(out, id)) {
                best = entry;
                most = change;
            }
        }
        if (!best || json_array_size(out) >= MAX_ADVICE / 2)
            return;
        char text[500];
        const char *id = json_get_text(best, "id", "");
        snprintf(text, sizeof text,
                 "%.60s: %s (measured: %+.1f %% against the baseline [95 %% CI %+.1f, %+.1f])%s%s.",
                 json_get_text(best, "label", id), what_got_faster(id), most, json_get_number(best, "ci95.0"),
                 json_get_number(best, "ci95.1"), doubt ? "; " : "", doubt ? doubt : "");
        append(out, id, most, because_of(findings, id), text, doubt);
        if (!given_already(out, id))
            return; /* memory: it would be found again for ever */
    }
}

json_t *analysis_recommendations(const struct facts *facts, const struct findings *findings)
{
    json_t *list = json_array();
    if (!list)
        return NULL;
    advise_measured(facts, findings, list);
    for (size_t i = 0; i < findings->n; i++)
        for (size_t k = 0; k < sizeof remedies / sizeof *remedies; k++)
            if (strcmp(remedies[k].finding, findings->items[i].id) == 0)
                remedies[k].advise(facts, list, &findings->items[i]);
    return list;
}
