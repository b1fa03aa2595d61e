#include "profile/narrate.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "profile/clean.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

enum { NAME_LETTERS = 100, LINE_LETTERS = 500, MAX_ADVICE = 3 };

/* ---- the figures ---- */

static void line(struct buffer *out, const char *name, const char *text, size_t most_letters)
{
    buffer_format(out, "%s: ", name);
    clean_line(out, text, most_letters);
    buffer_text(out, "\n");
}

static void figure(struct buffer *out, const char *name, double value, int decimals)
{
    if (isfinite(value))
        buffer_format(out, "%s: %.*f\n", name, decimals, value);
}

/* Stands for the model's name where the built-in model speaks: it was taught this one, and spells others
 * wrong. */
static const char ALIAS[] = "my-model";

/* The name without the folders in front of it. */
static const char *short_name(const json_t *report)
{
    const char *name = json_get_text(report, "model.name", "the model"), *slash = strrchr(name, '/');
    return slash && slash[1] ? slash + 1 : name;
}

static const json_t *principal(const json_t *report)
{
    const json_t *list = json_get_array(report, "analysis.bottlenecks");
    for (size_t i = 0; i < json_get_count(list, ""); i++)
        if (json_get_bool(json_get_item(list, i), "principal", false))
            return json_get_item(list, i);
    return NULL;
}

/* What the built-in model was taught to call it; NULL: it was not taught about it. */
static const char *taught_name(const char *id)
{
    static const char *const names[][2] = {{"swapping", "swapping"},
                                           {"not_resident", "swapping"},
                                           {"cpu_quota", "throttled"},
                                           {"oversubscribed", "oversubscription"},
                                           {"thermal", "thermal"},
                                           {"steal", "noisy_neighbour"},
                                           {"itl_tail", "interference"},
                                           {"memory_bandwidth", "memory_bandwidth"},
                                           {"bandwidth_headroom", "headroom"},
                                           {"overhead", "overhead"}};
    for (size_t i = 0; id && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], id) == 0)
            return names[i][1];
    return NULL;
}

static double evidence(const json_t *report, const char *id, const char *name)
{
    return json_get_number(json_get_where(report, "analysis.bottlenecks", "id", id), name);
}

static void put_figures(struct buffer *out, const json_t *report)
{
    figure(out, "decode_tok_s", json_get_figure(report, "summary.decode_tokens_per_second"), 1);
    figure(out, "prefill_tok_s", json_get_figure(report, "summary.prefill_tokens_per_second"), 0);
    figure(out, "ttft_ms", json_get_figure(report, "summary.ttft_ms"), 0);
    figure(out, "mbu_pct", 100 * json_get_figure(report, "summary.mbu"), 0);
    figure(out, "mfu_pct", 100 * json_get_figure(report, "summary.mfu"), 0);
    double cores = json_get_positive(report, "machine.quota_cores");
    figure(out, "cores", isnan(cores) ? json_get_positive(report, "machine.cores_allowed") : cores, 0);
    figure(out, "threads", json_get_positive(report, "flags.threads"), 0);
    figure(out, "throttled_pct", 100 * evidence(report, "cpu_quota", "evidence.throttled_fraction"), 0);
    figure(out, "steal_pct", 100 * json_get_number(report, "host.steal_fraction"), 0);
    figure(out, "p99_over_p50", evidence(report, "itl_tail", "evidence.ratio"), 1);
    figure(out, "temperature_c", json_get_number(report, "host.temperature_c"), 0);
}

/* The analysis' own sentences, for models that can read them. */
static void put_conclusions(struct buffer *out, const json_t *report)
{
    const json_t *list = json_get_array(report, "analysis.bottlenecks");
    for (size_t i = 0; i < json_get_count(list, "") && i < MAX_ADVICE; i++) {
        const json_t *one = json_get_item(list, i);
        line(out, json_get_bool(one, "principal", false) ? "principal bottleneck" : "also",
             json_get_text(one, "explanation", ""), LINE_LETTERS);
    }
    if (!principal(report))
        line(out, "principal bottleneck", "none", LINE_LETTERS);
    list = json_get_array(report, "analysis.recommendations");
    for (size_t i = 0; i < json_get_count(list, "") && i < MAX_ADVICE; i++)
        line(out, "advice", json_get_text(json_get_item(list, i), "text", ""), LINE_LETTERS);
}

char *narrate_figures(const json_t *report, bool short_form, struct error *error)
{
    struct buffer out = {0};
    if (!json_get_object(report, "analysis") ||
        isnan(json_get_figure(report, "summary.decode_tokens_per_second"))) {
        error_set(error, ERROR_UNSUPPORTED, "this run has no analysis that could be put into words");
        return NULL;
    }
    line(&out, "model", short_form ? ALIAS : short_name(report), NAME_LETTERS);
    put_figures(&out, report);
    const char *taught = taught_name(json_get_string(principal(report), "id"));
    if (!short_form)
        put_conclusions(&out, report);
    else if (taught)
        line(&out, "bottleneck", taught, LINE_LETTERS);
    if (out.failed) {
        buffer_free(&out);
        error_memory(error, "the figures of a run", 0);
    }
    return out.data;
}

char *narrate_messages(const char *figures, bool short_form)
{
    static const char system[] =
        "You explain a profiling report of a language model to its user, in three to five short sentences of "
        "plain "
        "English: how fast it is, what limits it and why, and what to do. Use only figures that are given, "
        "exactly as "
        "they are given, and name no other bottleneck than the principal one. No lists, no headings.";
    char *question = NULL, *text = NULL;
    size_t length = strlen(figures) + 40;
    question = malloc(length);
    if (!question)
        return NULL;
    snprintf(question, length, "Explain this report.\n%s", figures);
    size_t end = strlen(question);
    while (end && question[end - 1] == '\n')
        question[--end] = '\0';
    json_t *messages = json_array();
    int failed = !messages;
    if (!failed && !short_form)
        failed =
            json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system));
    if (!failed)
        failed =
            json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", question));
    if (!failed)
        text = json_dumps(messages, JSON_COMPACT);
    json_decref(messages);
    free(question);
    return text;
}

/* ---- what is said ---- */

struct number {
    double value;
    int decimals;
};

/* "1,234.5", "1 234" with a narrow space, "0.84": the number at *at, which is a digit; *at is moved behind
 * it. */
static struct number take_number(const char **at)
{
    char digits[64];
    size_t n = 0;
    struct number number = {0};
    const char *p = *at;
    bool fraction = false;
    for (; n + 1 < sizeof digits; p++) {
        if (isdigit((unsigned char)*p)) {
            digits[n++] = *p;
            number.decimals += fraction;
        } else if (*p == '.' && !fraction && isdigit((unsigned char)p[1])) {
            digits[n++] = '.';
            fraction = true;
        } else if (*p == ',' && !fraction && isdigit((unsigned char)p[1]) && isdigit((unsigned char)p[2]) &&
                   isdigit((unsigned char)p[3]) && !isdigit((unsigned char)p[4])) {
            continue;
        } else if (strncmp(p, "\xE2\x80\xAF", 3) == 0 && isdigit((unsigned char)p[3])) {
            p += 2;
        } else {
            break;
        }
    }
    digits[n] = '\0';
    number.value = strtod(digits, NULL);
    *at = p;
    return number;
}

/* The next digit that begins a number, names of the model left out; NULL: there is none. */
static const char *next_number(const char *text, const char *model)
{
    size_t length = strlen(model);
    for (; *text; text++) {
        if (length && strncmp(text, model, length) == 0)
            text += length - 1;
        else if (isdigit((unsigned char)*text))
            return text;
    }
    return NULL;
}

/* Whether one of the figures is this number, rounded as far as it is. */
static bool stands_there(const char *figures, const char *model, struct number said)
{
    double half = 0.5 * pow(10, -said.decimals) * (1 + 1e-9);
    for (const char *at = figures; (at = next_number(at, model)) != NULL;)
        if (fabs(take_number(&at).value - said.value) <= half)
            return true;
    return false;
}

/* Whether the text has this word, or one that begins so. */
static bool has(const char *text, const char *word)
{
    return strcasestr(text, word) != NULL;
}

/* Words by which bottlenecks are told apart, in no matter which sentence about one. */
static const char *const telling[] = {
    "bandwidth",  "overhead",   "heat",      "thermal",  "hot",    "swap",    "quota",    "throttl",
    "oversubscr", "thread",     "neighbour", "neighbor", "steal",  "stolen",  "interfer", "disk",
    "cache",      "arithmetic", "compute",   "unstable", "memory", "context", "queue",    "prompt"};

/* What the sentence says behind "bottleneck" is about something else than the principal one: it has a telling
 * word that the analysis does not use of it, or none that it does. */
static bool names_another(const json_t *report, const char *sentence)
{
    const char *said = strcasestr(sentence, "bottleneck");
    const json_t *bottleneck = principal(report);
    if (!said)
        return false;
    const char *id = json_get_text(bottleneck, "id", ""), *taught = taught_name(id);
    bool same = false, other = false;
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
        if (!has(said, telling[i]))
            continue;
        bool own = has(json_get_text(bottleneck, "title", ""), telling[i]) || has(id, telling[i]) ||
                   (taught && has(taught, telling[i])) ||
                   has(json_get_text(bottleneck, "explanation", ""), telling[i]);
        same = same || own;
        other = other || !own;
    }
    return !bottleneck || other || !same;
}

/* NULL: it can be believed. *astray: what was said before was about another bottleneck, and so is what
 * follows. */
static const char *objection(const json_t *report, const char *figures, const char *model,
                             const char *sentence, bool *astray)
{
    *astray = *astray || names_another(report, sentence);
    for (const char *at = sentence; (at = next_number(at, model)) != NULL;)
        if (!stands_there(figures, model, take_number(&at)))
            return "it has a figure that the report does not have";
    return *astray ? "it is about another bottleneck than the analysis names" : NULL;
}

/* ---- sentences ---- */

/* The sentence with the model's own name in it. malloc'ed; NULL: memory. */
static char *with_name(const json_t *report, const char *sentence, size_t length)
{
    struct buffer out = {0};
    buffer_append(&out, "", 0);
    for (size_t i = 0; i < length;) {
        if (length - i >= sizeof ALIAS - 1 && strncmp(sentence + i, ALIAS, sizeof ALIAS - 1) == 0) {
            clean_line(&out, short_name(report), NAME_LETTERS);
            i += sizeof ALIAS - 1;
        } else {
            buffer_append(&out, sentence + i++, 1);
        }
    }
    if (out.failed)
        buffer_free(&out);
    return out.data;
}

/* Behind the sentence that begins at text: its end is a full stop, an exclamation or a question mark before a
 * space, or the end of a line. */
static const char *sentence_end(const char *text)
{
    for (; *text && *text != '\n'; text++)
        if (strchr(".!?", *text) && (!text[1] || isspace((unsigned char)text[1])))
            return text + 1;
    return text;
}

/* "1. ", "- ", "* ", "# " in front of what is said. */
static const char *without_mark(const char *text)
{
    text += strspn(text, " \t\r\n#*->");
    size_t digits = strspn(text, "0123456789");
    if (digits && digits < 3 && (text[digits] == '.' || text[digits] == ')') && text[digits + 1] == ' ')
        text += digits + 2;
    return text;
}

json_t *narrate_check(const json_t *report, const char *figures, const char *answer)
{
    json_t *sentences = json_array();
    struct buffer kept = {0};
    char model[4 * NAME_LETTERS + 1] = "";
    int left_out = 0;
    bool astray = false;
    sscanf(figures, "model: %400[^\n]", model);
    buffer_append(&kept, "", 0);
    for (const char *at = without_mark(answer); *at && json_array_size(sentences) < NARRATE_SENTENCES;) {
        const char *end = sentence_end(at);
        char *sentence = strndup(at, (size_t)(end - at));
        const char *why = sentence ? objection(report, figures, model, sentence, &astray) : "memory is short";
        char *shown = with_name(report, at, (size_t)(end - at));
        json_array_append_new(sentences, json_pack("{s:s, s:b, s:s?}", "text", shown ? shown : "", "kept",
                                                   !why, "reason", why));
        if (!why && shown)
            buffer_format(&kept, "%s%s", kept.length ? " " : "", shown);
        left_out += why != NULL;
        free(sentence);
        free(shown);
        at = without_mark(end);
    }
    json_t *out = json_pack("{s:i, s:o}", "left_out", left_out, "sentences", sentences);
    if (out)
        json_put_string(out, "text", kept.length ? kept.data : NULL,
                        left_out ? "no sentence of it could be believed" : "the model said nothing");
    buffer_free(&kept);
    return out;
}
