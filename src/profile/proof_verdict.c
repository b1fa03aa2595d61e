/* What a proof says. The one rule (pairs.h) has spoken in the configuration's entry already; here its word is
 * put together with what may have spoiled it. A proof that was disturbed is no refusal: it is unclear. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/analysis.h"
#include "profile/compared.h"
#include "profile/configuration_catalogue.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/pairs.h"
#include "profile/proof.h"

enum { TEXT = 128, SENTENCE = 600 };

/* ---- what it is about ---- */

/* "4 threads → 2"; false: the knob of this entry is not a number that the baseline has, too. */
static bool numbers_subject(const json_t *report, const json_t *entry, char out[TEXT])
{
    static const struct {
        const char *knob, *flag, *before, *between, *after;
    } knobs[] = {{"knobs.threads", "flags.threads", "", " threads", ""},
                 {"knobs.prefill_chunk", "flags.prefill_chunk", "prefill chunk ", "", " tokens"},
                 {"knobs.kv_bits", "flags.kv_bits", "KV cache ", "", " bits"}};
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++) {
        double now = json_get_number(entry, knobs[i].knob), then = json_get_number(report, knobs[i].flag);
        if (isnan(now) || isnan(then))
            continue;
        const char *between = i == 0 && then == 1 ? " thread" : knobs[i].between;
        snprintf(out, TEXT, "%s%.0f%s → %.0f%s", knobs[i].before, then, between, now, knobs[i].after);
        return true;
    }
    return false;
}

/* "temperature 0.7 → 0.9", "avx512 → avx2 instructions", or what the configuration is called. */
static void subject(const json_t *report, const json_t *entry, char out[TEXT])
{
    const char *id = json_get_text(entry, "id", ""), *isa = json_get_string(entry, "knobs.isa");
    double temperature = json_get_number(entry, "temperature");
    if (numbers_subject(report, entry, out))
        return;
    if (isa)
        snprintf(out, TEXT, "%.24s → %.24s instructions", json_get_text(report, "flags.isa", "?"), isa);
    else if (strstr(id, "temperature") && !isnan(temperature))
        snprintf(out, TEXT, "temperature %.3g → %.3g", CONFIGURATION_TEMPERATURE_USUAL, temperature);
    else
        snprintf(out, TEXT, "%.64s", json_get_text(entry, "label", id));
}

/* The compared figure as a word in a sentence. */
static const char *figure_word(const json_t *entry)
{
    static const struct {
        const char *figure, *word;
    } words[] = {{"decode_tokens_per_second", "decode"},
                 {"prefill_tokens_per_second", "prefill"},
                 {"aggregate_decode_tokens_per_second", "decode of all answers together"},
                 {"ttft_ms", "time to the first token"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (json_get_is(entry, "compared", words[i].figure))
            return words[i].word;
    return "tokens per second";
}

/* ---- the verdict ---- */

struct verdict {
    const char *name, *reason;
    const char *why; /* of "unclear": what spoiled it */
};

static struct verdict judge(const json_t *report, const json_t *entry)
{
    static const char too_wide[] = "the interval is too wide to say: prove it again with more blocks",
                      failed[] = "it could not be measured";
    const struct pairs pairs = {.low = json_get_number(entry, "ci95.0") / 100,
                                .high = json_get_number(entry, "ci95.1") / 100};
    int better = compared_verdict(entry);
    const char *disturbance = analysis_disturbance(report, json_get_text(entry, "id", ""));
    /* what explains scatter, whatever was compared */
    const char *noise = analysis_disturbance(report, "threads=");
    if (!json_get_is(entry, "outcome", "ok"))
        return (struct verdict){"unclear", "failed", failed};
    if (json_get_is(entry, "verdict", "unknown"))
        return (struct verdict){"unclear", "unstable",
                                noise ? noise : json_get_text(entry, "verdict_reason", "no verdict")};
    if (disturbance)
        return (struct verdict){"unclear", "disturbed", disturbance};
    if (better)
        return (struct verdict){better > 0 ? "kept" : "rejected", better > 0 ? "better" : "worse", NULL};
    if (!pairs_clear(&pairs))
        return (struct verdict){"unclear", "too_wide", noise ? noise : too_wide};
    return (struct verdict){"rejected", "no_real_difference", NULL};
}

static void say(const json_t *report, const json_t *entry, const struct verdict *verdict, char out[SENTENCE])
{
    char what[TEXT], figures[TEXT];
    double change = json_get_number(entry, "change_pct"), low = json_get_number(entry, "ci95.0"),
           high = json_get_number(entry, "ci95.1");
    int digits = fabs(change) < 9.95 ? 1 : 0;
    subject(report, entry, what);
    snprintf(figures, sizeof figures, "%s %+.*f %% [95 %% CI %+.*f, %+.*f]", figure_word(entry), digits,
             change, digits, low, digits, high);
    if (strcmp(verdict->reason, "failed") == 0)
        snprintf(out, SENTENCE, "unclear: %s: %s (%.200s)", what, verdict->why,
                 json_get_text(entry, "message", json_get_text(entry, "outcome", "no message")));
    else if (strcmp(verdict->reason, "no_real_difference") == 0)
        snprintf(out, SENTENCE, "%s: no real difference (%s), rejected", what, figures);
    else if (verdict->why && isnan(change + low + high))
        snprintf(out, SENTENCE, "unclear: %s: %s", what, verdict->why);
    else if (verdict->why)
        snprintf(out, SENTENCE, "unclear: %s: %s; %s", what, figures, verdict->why);
    else
        snprintf(out, SENTENCE, "%s: %s, %s", what, figures, verdict->name);
}

int proof_add(json_t *report, const struct profile_request *request, struct error *error)
{
    const char *id = request->configurations[0], *none = "no pair of runs ended well";
    const json_t *entry = json_get_where(report, "configurations", "id", id);
    struct verdict verdict = judge(report, entry);
    char sentence[SENTENCE];
    json_t *o = json_object();
    say(report, entry, &verdict, sentence);
    json_put_string(o, "recommendation", id, "");
    json_put_string(o, "proves", request->proves_run, "");
    json_put_string(o, "verdict", verdict.name, "");
    json_put_string(o, "reason", verdict.reason, "");
    json_put_string(o, "sentence", sentence, "");
    json_put_string(o, "compared", json_get_string(entry, "compared"), none);
    json_put_string(o, "better", json_get_string(entry, "better"), none);
    json_put_number(o, "change_pct", json_get_number(entry, "change_pct"), none);
    json_put_interval(o, "ci95", json_get_number(entry, "ci95.0"), json_get_number(entry, "ci95.1"),
                      "it takes two pairs");
    json_put_integer(o, "blocks", (uint64_t)fmax(json_get_positive(report, "protocol.repeats"), 0));
    json_object_del(report, "proof_reason");
    return o && json_object_set_new(report, "proof", o) == 0 ? 0 : error_memory(error, "a proof", 0);
}
