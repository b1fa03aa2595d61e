/* What is said in sentences: the best configuration, bottlenecks, recommendations, runs that did not count,
 * and how it was measured. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/analysis.h"
#include "profile/clean.h"
#include "profile/compared.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/proof.h"
#include "profile/render_view.h"

void view_line(struct view_lines *lines, const char *text)
{
    if (!*text)
        return;
    if (lines->n < VIEW_MAX_LINES)
        lines->items[lines->n++] = text;
    else
        lines->more++;
}

/* All strings of an array. */
static void copy_lines(struct view *view, struct view_lines *lines, const json_t *report, const char *path)
{
    const json_t *items = json_get_array(report, path);
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++)
        view_line(lines, lines->n < VIEW_MAX_LINES
                             ? view_text(view, json_get_item(items, i), "", "", VIEW_SENTENCE)
                             : "more");
}

/* ---- configurations ---- */

static const char *best_sentence(struct view *view, const json_t *report)
{
    const json_t *items = json_get_array(report, "configurations");
    size_t compared = 0;
    if (json_get_is(report, "kind", "prove"))
        return view_text(view, report, "proof.sentence", "", VIEW_SENTENCE);
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        compared += isnan(json_get_number(item, "change_pct")) ? 0 : 1;
        if (!json_get_bool(item, "best", false))
            continue;
        double change = json_get_number(item, "change_pct"), low = json_get_number(item, "ci95.0"),
               high = json_get_number(item, "ci95.1");
        const char *label = view_text(view, item, "label", "-", VIEW_NAME), *doubt = analysis_doubt(report);
        const char *but = doubt ? "; " : "";
        doubt = doubt ? doubt : "";
        if (isnan(change + low + high) || fabs(change) + fabs(low) + fabs(high) > 1e6)
            return view_format(view, "%s is the best, and really better than the baseline%s%s.", label, but,
                               doubt);
        int digits = fabs(change) < 9.95 ? 1 : 0;
        return view_format(view, "%s: %+.*f %% %s [95 %% CI %+.*f, %+.*f] against the baseline%s%s.", label,
                           digits, change, compared_name(item), digits, low, digits, high, but, doubt);
    }
    if (compared == 0)
        return "";
    return view->quick ? "No configuration was shown to be really better than the baseline (quick mode: "
                         "indicative)."
                       : "No configuration was shown to be really better than the baseline.";
}

/* ---- analysis ---- */

/* "mbu 0.83, read_gbps 14.2" */
static const char *evidence(struct view *view, const json_t *figures)
{
    enum { MAX_FIGURES = 8 };
    struct buffer line = {0};
    const char *key;
    json_t *value;
    int n = 0;
    if (!json_is_object(figures))
        return "";
    json_object_foreach((json_t *)figures, key, value) {
        char number[FORMAT_MAX] = "yes";
        if (json_is_number(value)) {
            double figure = json_number_value(value);
            if (fabs(figure) < 10 && figure != floor(figure))
                snprintf(number, sizeof number, "%.3g", figure);
            else
                format_number(number, figure);
        } else if (!json_is_true(value) && !json_is_string(value)) {
            continue;
        }
        if (n++ == MAX_FIGURES)
            break;
        buffer_text(&line, line.length ? ", " : "");
        clean_line(&line, key, 40);
        buffer_text(&line, " ");
        clean_line(&line, json_is_string(value) ? json_string_value(value) : number, 40);
    }
    const char *text = line.data ? clean_copy(&view->arena, line.data, VIEW_SENTENCE) : "";
    buffer_free(&line);
    return text;
}

static void fill_findings(struct view *view, const json_t *report)
{
    const json_t *items = json_get_array(report, "analysis.bottlenecks");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (view->n_findings == VIEW_MAX_LINES) {
            view->more_findings++;
            continue;
        }
        struct view_finding *finding = &view->findings[view->n_findings++];
        finding->severity = json_get_is(item, "severity", "High")     ? "High"
                            : json_get_is(item, "severity", "Medium") ? "Medium"
                                                                      : "Low";
        finding->title = view_text(view, item, "title", "-", VIEW_TITLE);
        finding->text = view_text(view, item, "explanation", "", VIEW_SENTENCE);
        finding->evidence = evidence(view, json_get(item, "evidence"));
        finding->principal = json_get_bool(item, "principal", false);
    }
}

static void fill_advice(struct view *view, const json_t *report)
{
    const json_t *items = json_get_array(report, "analysis.recommendations");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (view->n_advice == VIEW_MAX_LINES) {
            view->more_advice++;
            continue;
        }
        struct view_advice *advice = &view->advice[view->n_advice++];
        double expected = json_get_number(item, "expected_pct");
        advice->text = view_text(view, item, "text", "-", VIEW_SENTENCE);
        advice->expected = fabs(expected) < 1e6 ? view_format(view, "about %+.0f %%", expected) : "";
        advice->provable = json_get_bool(item, "provable", false);
        const char *sentence = view_text(view, item, "proof.sentence", "", VIEW_SENTENCE);
        const char *state = proof_state(item);
        if (*sentence)
            advice->proof = strncmp(sentence, state, strlen(state)) == 0
                                ? sentence
                                : view_format(view, "%s: %s", state, sentence);
        else if (advice->provable)
            advice->proof = view_format(view, "unproved: llmind profile --prove %s",
                                        view_text(view, item, "id", "", VIEW_NAME));
        else
            advice->proof = state;
    }
}

/* All that was tried, recommended or not. */
static void fill_proofs(struct view *view, const json_t *report)
{
    const json_t *items = json_get_array(report, "analysis.proofs");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++)
        view_line(&view->proofs, view->proofs.n < VIEW_MAX_LINES
                                     ? view_text(view, json_get_item(items, i), "sentence", "", VIEW_SENTENCE)
                                     : "more");
}

/* ---- what went wrong ---- */

static void failed_samples(struct view *view, const json_t *test)
{
    const char *label = view_text(view, test, "label", "-", VIEW_NAME);
    size_t n = json_get_count(test, "samples");
    for (size_t i = 0; i < n; i++) {
        const json_t *sample = json_get_item(json_get(test, "samples"), i);
        if (!json_get_is(sample, "outcome", "ok"))
            view_line(&view->failures, view_format(view, "%s, repeat %zu: %s (%s)", label, i + 1,
                                                   view_text(view, sample, "outcome", "not known", 20),
                                                   view_text(view, sample, "message", "no message", 200)));
    }
    const json_t *warmup = json_get_object(test, "warmup");
    if (n == 0 && warmup && !json_get_is(warmup, "outcome", "ok"))
        view_line(&view->failures, view_format(view, "%s, warm-up: %s (%s)", label,
                                               view_text(view, warmup, "outcome", "not known", 20),
                                               view_text(view, warmup, "message", "no message", 200)));
}

static void fill_failures(struct view *view, const json_t *report)
{
    const json_t *items = json_get_array(report, "tests");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++)
        failed_samples(view, json_get_item(items, i));
    items = json_get_array(report, "configurations");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (!json_get_is(item, "outcome", "ok"))
            view_line(&view->failures,
                      view_format(view, "%s: %s (%s)", view_text(view, item, "label", "-", VIEW_NAME),
                                  view_text(view, item, "outcome", "not known", 20),
                                  view_text(view, item, "message", "no message", 300)));
    }
    items = json_get_array(report, "comparison.models");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (json_get_is(item, "status", "error"))
            view_line(&view->failures,
                      view_format(view, "%s: %s", view_text(view, item, "model", "-", VIEW_NAME),
                                  view_text(view, item, "message", "no message", 400)));
    }
}

/* ---- how it was measured ---- */

static void fill_method(struct view *view, const json_t *report)
{
    struct view_lines *method = &view->method;
    const json_t *protocol = json_get(report, "protocol");
    double repeats = json_get_positive(protocol, "repeats"), warmups = json_get_positive(protocol, "warmups");
    bool proof = json_get_is(report, "kind", "prove");
    char a[FORMAT_MAX], b[FORMAT_MAX];
    if (proof && !isnan(repeats))
        view_line(method,
                  view_format(view,
                              "%s of A B B A: the baseline (A) and what is tried (B), in turn. Every block "
                              "has processes of its own, each warmed up with a run of the same shape that "
                              "does not count; the two pairs of a block count as one.",
                              format_of(a, repeats, "block")));
    if (!proof && !isnan(repeats) && !isnan(warmups))
        view_line(method, view_format(view,
                                      "%s of each test after %s of the same shape, not counted. Headlines "
                                      "are medians; tables show mean ± standard deviation of the repeats "
                                      "that ended well.",
                                      format_of(a, repeats, "repeat"), format_of(b, warmups, "warm-up")));
    if (json_get_object(report, "target"))
        view_line(method, "The target is a black box: times are those its client sees, tokens are counted by "
                          "its usage figures or by the tokenizer, never by chunks.");
    if (json_get_bool(protocol, "ignore_eos", false))
        view_line(method, "Timed tests decode greedily and ignore the end of sequence, so that token counts "
                          "are exact.");
    if (json_get_bool(protocol, "cold_prompts", false))
        view_line(method, "Prompts are cold: no two begin alike, and a run that got cached tokens does not "
                          "count.");
    view_line(method, "decode tok/s = (generated - 1) / (last token - first token); TTFT (time to first "
                      "token) = first token - request; ITL (inter-token latency) = gaps between tokens; MBU "
                      "(memory bandwidth utilisation) = bytes read per token / time per token / bandwidth "
                      "probed beside it; MFU (compute utilisation) = arithmetic of the prefill / time / "
                      "measured peak; CV = standard deviation / mean.");
    if (json_get_count(report, "configurations") || json_get_count(report, "comparison.models"))
        view_line(method,
                  "Configurations and models are measured in turn with the baseline or the first model (A B "
                  "B A). Faster or slower is said only where the 95 % confidence interval (CI) of the paired "
                  "ratios lies wholly outside ±2 %.");
}

void view_fill_lists(struct view *view, const json_t *report)
{
    view->best = best_sentence(view, report);
    fill_findings(view, report);
    fill_advice(view, report);
    fill_proofs(view, report);
    fill_failures(view, report);
    fill_method(view, report);
    copy_lines(view, &view->strengths, report, "analysis.strengths");
    copy_lines(view, &view->flags, report, "analysis.quality.flags");
    copy_lines(view, &view->cuts, report, "protocol.cuts");
    copy_lines(view, &view->notes, report, "notes");
}
