/* Rules about what bounds decoding when nothing is wrong: bytes, arithmetic, or what a step costs whatever it
 * reads. All of them compare with ceilings that were measured on the same machine. On a disturbed run they
 * are silent, for a neighbour makes a limit appear that is none; only bandwidth that was used all the same is
 * beyond doubt. */
#include <math.h>

#include "profile/diagnose.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/thresholds.h"

/* Speed-up by sequences = n^exponent: 1 is perfect, 0 is none. Of the most sequences that were tried. */
struct batching {
    double sequences, speedup, exponent; /* NaN: not tried, or to no verdict */
};

static struct batching batching_of(const struct facts *facts)
{
    struct batching out = {.sequences = 1, .speedup = NAN, .exponent = NAN};
    const json_t *variant;
    double sequences;
    for (size_t i = 0; (variant = facts_variant(facts, "concurrency", i, &sequences)) != NULL; i++)
        if (sequences > out.sequences) {
            out.sequences = sequences;
            out.speedup = 1 + json_get_number(variant, "change_pct") / 100;
        }
    if (out.speedup > 0)
        out.exponent = log(out.speedup) / log(out.sequences);
    return out;
}

/* A second witness for bandwidth: sequences share the reading of weights, and not that of their KV caches. */
static const char *batching_witness(const struct facts *facts, struct finding *out)
{
    struct batching batching = batching_of(facts);
    if (!(batching.exponent >= BATCH_MEMORY_LOW) || !(batching.exponent <= BATCH_MEMORY_HIGH))
        return "";
    finding_figure(out, "sequences", batching.sequences);
    finding_figure(out, "speedup", batching.speedup);
    finding_figure(out, "exponent", batching.exponent);
    return " Several answers at once gain about as much as shared reading explains, which points to the "
           "same.";
}

static void bandwidth_figures(const struct facts *facts, struct finding *out)
{
    finding_figure(out, "mbu", facts->mbu);
    finding_figure(out, "achieved_gbps", facts->shallow.achieved_gbps);
    finding_figure(out, "ceiling_gbps", facts->ceiling_gbps);
    finding_figure(out, "bytes_per_token", facts->shallow.weight_bytes + facts->shallow.kv_bytes);
    finding_figure(out, "tpot_ms", facts->shallow.tpot_ms);
}

bool diagnose_byte_accounting(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    if (isnan(facts->refused_mbu))
        return false;
    finding_figure(out, "achieved_gbps", facts->shallow.achieved_gbps);
    finding_figure(out, "ceiling_gbps", facts->ceiling_gbps);
    finding_say(
        out, SEVERITY_LOW, "The bandwidth figure is refused",
        "Decoding would have read %.1f GB/s where %.1f GB/s were measured as the most: the bytes were "
        "counted wrongly, the ceiling was measured too low, or a part of them came from a cache. No "
        "utilisation is shown.",
        facts->shallow.achieved_gbps, facts->ceiling_gbps);
    return true;
}

bool diagnose_memory_bandwidth(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    if (facts->level == READ_CACHE || !(facts->mbu >= AT_THE_WALL))
        return false;
    bandwidth_figures(facts, out);
    finding_say(
        out, SEVERITY_MEDIUM, "Decoding is at the limit of the memory bandwidth",
        "Every token reads the weights that it needs once, at %.1f GB/s of the %.1f GB/s this memory was "
        "measured to give (%.0f %%). That is no fault: what should help is fewer bytes per token (a smaller "
        "quantization: fewer bits per weight), or several answers at once, which share the reading.%s",
        facts->shallow.achieved_gbps, facts->ceiling_gbps, 100 * facts->mbu, batching_witness(facts, out));
    return true;
}

bool diagnose_cache_bandwidth(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    if (facts->level != READ_CACHE || !(facts->mbu >= AT_THE_WALL))
        return false;
    bandwidth_figures(facts, out);
    finding_say(
        out, SEVERITY_MEDIUM, "Decoding is at the limit of the cache bandwidth",
        "The weights are small enough to stay in the last-level cache (the processor's largest) and are read "
        "at %.1f GB/s of the %.1f GB/s it was measured to give (%.0f %%). Memory bandwidth should hardly "
        "matter then.",
        facts->shallow.achieved_gbps, facts->ceiling_gbps, 100 * facts->mbu);
    return true;
}

bool diagnose_bandwidth_headroom(const struct facts *facts, const struct findings *so_far,
                                 struct finding *out)
{
    if (findings_disturbed(so_far) || !(facts->mbu >= HEADROOM) || facts->mbu >= AT_THE_WALL)
        return false;
    bandwidth_figures(facts, out);
    finding_say(out, SEVERITY_LOW, "Decoding is limited by bandwidth, with headroom",
                "Weights are read at %.1f GB/s of the %.1f GB/s that were measured %s(%.0f %%): reading "
                "explains most of a token's time. Until the bandwidth is used up, at most %.0f %% more "
                "tokens per second are possible.%s",
                facts->shallow.achieved_gbps, facts->ceiling_gbps,
                facts->level == READ_CACHE ? "for the last-level cache, where they stay " : "",
                100 * facts->mbu, 100 * (1 / facts->mbu - 1), batching_witness(facts, out));
    return true;
}

/* Two witnesses, either is enough: the line over depths, and the traced step. */
bool diagnose_overhead(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    double fixed = facts->fixed_ms / facts->shallow.tpot_ms;
    if (findings_disturbed(so_far) || !(facts->mbu < HEADROOM) ||
        !(fixed >= DOMINATES || facts->overhead_share >= DOMINATES))
        return false;
    bandwidth_figures(facts, out);
    finding_figure(out, "fixed_ms", facts->fixed_ms);
    finding_figure(out, "overhead_share_of_step", facts->overhead_share);
    if (fixed >= DOMINATES)
        finding_say(
            out, SEVERITY_MEDIUM, "Each step costs more than what it reads",
            "By the line through the measured depths, about %.3g ms of each %.3g ms token is a cost that "
            "does not depend on how much is read; the usual causes are many small operations, threads that "
            "wait for each other, and sampling (choosing the token). Only %.0f %% of the bandwidth is used. "
            "Several answers at once share this cost.",
            facts->fixed_ms, facts->shallow.tpot_ms, 100 * facts->mbu);
    else
        finding_say(
            out, SEVERITY_MEDIUM, "Each step costs more than what it reads",
            "In %.0f %% of the traced step (one step that was timed part by part) neither bytes "
            "nor arithmetic explain the time; the usual causes are many small operations, and threads that "
            "wait for each other. Several answers at once share this cost.",
            100 * facts->overhead_share);
    return true;
}

bool diagnose_decode_compute(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_disturbed(so_far) || findings_get(so_far, "overhead") || !(facts->mbu < HEADROOM) ||
        !(facts->compute_share >= DOMINATES))
        return false;
    bandwidth_figures(facts, out);
    finding_figure(out, "compute_share_of_step", facts->compute_share);
    finding_say(out, SEVERITY_MEDIUM, "Decoding is limited by arithmetic",
                "Operations whose arithmetic takes longer than reading their bytes are %.0f %% of the "
                "traced step (one step that was timed part by part). The memory could probably "
                "deliver more than these cores can multiply: more cores or wider instructions (such as "
                "AVX-512) should help, fewer bytes hardly.",
                100 * facts->compute_share);
    return true;
}

/* ---- depth ---- */

/* What decoding deep in a context costs beyond decoding at its beginning. */
struct slowdown {
    double share;                 /* extra time / time at the beginning */
    double extra_ms, by_bytes_ms; /* measured; what reading the extra bytes at the ceiling would take */
};

static bool slows_with_depth(const struct facts *facts, struct slowdown *out)
{
    const struct decode_facts *near = &facts->shallow, *far = &facts->deep;
    double gbps = isnan(facts->ceiling_gbps) ? near->achieved_gbps : facts->ceiling_gbps;
    out->extra_ms = far->tpot_ms - near->tpot_ms;
    out->share = out->extra_ms / near->tpot_ms;
    out->by_bytes_ms = (far->kv_bytes - near->kv_bytes) / (gbps * 1e6);
    bool apart =
        far->least_tpot_ms > near->most_tpot_ms; /* no repeat of one is as fast as one of the other */
    return out->share >= DEPTH_SLOWER && out->by_bytes_ms > 0 && apart;
}

static void depth_figures(const struct facts *facts, const struct slowdown *slow, struct finding *out)
{
    finding_figure(out, "depth_tokens", facts->deep.depth);
    finding_figure(out, "tpot_ms_at_start", facts->shallow.tpot_ms);
    finding_figure(out, "tpot_ms_at_depth", facts->deep.tpot_ms);
    finding_figure(out, "kv_bytes_per_token", facts->deep.kv_bytes);
    finding_figure(out, "extra_ms", slow->extra_ms);
    finding_figure(out, "extra_ms_by_bytes", slow->by_bytes_ms);
}

/* Up to twice the time of the bytes is what a good kernel gets. */
bool diagnose_kv_cache(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    struct slowdown slow;
    if (findings_disturbed(so_far) || findings_get(so_far, "attention_kernel") ||
        !slows_with_depth(facts, &slow))
        return false;
    char a[FORMAT_MAX];
    depth_figures(facts, &slow, out);
    finding_say(out, slow.share >= DEPTH_MUCH_SLOWER ? SEVERITY_MEDIUM : SEVERITY_LOW,
                "Long contexts are slower, probably because the KV cache is read",
                "At a depth of %.0f tokens each step reads %s of KV cache (the stored keys and values of "
                "earlier tokens) beside the weights and takes %.0f %% longer than near the beginning: %.3g "
                "ms more. Reading the additional bytes would take %.3g ms at the measured bandwidth, so this "
                "is about what those bytes explain.%s",
                facts->deep.depth, format_bytes(a, facts->deep.kv_bytes), 100 * slow.share, slow.extra_ms,
                slow.by_bytes_ms,
                facts->kv_bits == 16   ? " An 8-bit KV cache needs about half of them."
                : facts->kv_bits == 32 ? " An 8-bit KV cache needs about a quarter of them."
                                       : "");
    return true;
}

bool diagnose_attention_kernel(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    struct slowdown slow;
    if (findings_disturbed(so_far) || !slows_with_depth(facts, &slow) ||
        !(slow.extra_ms > ATTENTION_EXCESS * slow.by_bytes_ms))
        return false;
    depth_figures(facts, &slow, out);
    finding_say(
        out, slow.share >= DEPTH_MUCH_SLOWER ? SEVERITY_MEDIUM : SEVERITY_LOW,
        "Long contexts are slower than the KV cache's bytes explain",
        "At a depth of %.0f tokens a step takes %.3g ms more, and reading the additional KV cache (the "
        "stored keys and values of earlier tokens) would take %.3g ms: most of the time probably goes into "
        "the arithmetic of attention.",
        facts->deep.depth, slow.extra_ms, slow.by_bytes_ms);
    return true;
}

/* ---- prefill ---- */

/* "Flat against the chunk size" counts when it was tried: a larger chunk that helps would mean something
 * else. */
bool diagnose_prefill_compute(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_disturbed(so_far) || !(facts->mfu >= MFU_COMPUTE))
        return false;
    double chunk;
    const json_t *variant;
    for (size_t i = 0; (variant = facts_variant(facts, "prefill_chunk", i, &chunk)) != NULL; i++)
        if (json_get_is(variant, "verdict", "higher"))
            return false;
    finding_figure(out, "mfu", facts->mfu);
    finding_figure(out, "prefill_gflops", facts->prefill_gflops);
    finding_figure(out, "peak_gflops", facts->peak_gflops);
    finding_say(
        out, SEVERITY_LOW, "Reading prompts is limited by arithmetic",
        "Prefill (reading the prompt) runs at %.0f %% of the peak that was measured for %s arithmetic. That "
        "is good use of these cores; prompts should get faster with more cores, or when their common "
        "beginning need not be read again.",
        100 * facts->mfu, facts->peak_name);
    return true;
}

/* ---- threads and sequences ---- */

/* The fewest threads that were shown to be no more than 3 % slower. */
bool diagnose_threads_saturated(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "smt") || findings_disturbed(so_far))
        return false;
    double best = INFINITY, low = NAN, change = NAN, threads;
    const json_t *variant;
    for (size_t i = 0; (variant = facts_variant(facts, "threads", i, &threads)) != NULL; i++) {
        double interval_low = json_get_number(variant, "ci95.0");
        if (threads >= 1 && threads < facts->threads && threads < best && interval_low >= -THREADS_LOSS_PCT) {
            best = threads;
            low = interval_low;
            change = json_get_number(variant, "change_pct");
        }
    }
    if (!isfinite(best))
        return false;
    finding_figure(out, "threads", facts->threads);
    finding_figure(out, "enough_threads", best);
    finding_figure(out, "change_pct", change);
    finding_figure(out, "ci95_low_pct", low);
    char more[FORMAT_MAX];
    finding_say(out, low > THREADS_GAIN_PCT ? SEVERITY_MEDIUM : SEVERITY_LOW,
                "Fewer threads do about as well",
                "With %.0f instead of %s the speed changes by %+.1f %% (at least %+.1f %%, 95 %% "
                "confidence): the further threads probably wait for the memory, or for each other.",
                best, format_of(more, facts->threads, "thread"), change, low);
    return true;
}

/* That arithmetic is what sequences share is said only where a traced step shows it: they may as well wait
 * for locks. */
bool diagnose_batch_saturated(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_disturbed(so_far))
        return false;
    struct batching batching = batching_of(facts);
    if (!(batching.exponent < BATCH_SATURATED))
        return false;
    finding_figure(out, "sequences", batching.sequences);
    finding_figure(out, "speedup", batching.speedup);
    finding_figure(out, "exponent", batching.exponent);
    finding_figure(out, "compute_share_of_step", facts->compute_share);
    finding_say(out, SEVERITY_LOW, "Several answers at once gain little",
                "%.0f answers at once get %.2f times the tokens per second of one. %s", batching.sequences,
                batching.speedup,
                facts->compute_share >= DOMINATES ? "The arithmetic of a step is probably at its limit "
                                                    "already: more answers only share it."
                                                  : "What limits them was not shown.");
    return true;
}

bool diagnose_speculative(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    const json_t *list = json_get_array(facts->report, "configurations");
    bool guessed_anyway =
        json_get_number(facts->report, "flags.prompt_lookup") > 0; /* by the baseline, too */
    for (size_t i = 0; i < json_get_count(list, "") && i < 256; i++) {
        const json_t *entry = json_get_item(list, i);
        bool lookup = !guessed_anyway && json_get_number(entry, "knobs.prompt_lookup") > 0;
        if ((!lookup && !json_get_string(entry, "knobs.draft_model")) ||
            !json_get_is(entry, "verdict", "lower"))
            continue;
        double change = json_get_number(entry, "change_pct");
        finding_figure(out, "change_pct", change);
        finding_say(
            out, SEVERITY_MEDIUM, "Speculative decoding costs more than it saves",
            "With %s answers are %.1f %% slower: probably too few of the guesses are right to pay for "
            "computing them.",
            lookup ? "tokens guessed from the text so far"
                   : "the draft model (a small one whose guesses the large one checks)",
            -change);
        return true;
    }
    return false;
}
