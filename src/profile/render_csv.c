/* One line a sample: of every test, of every configuration, and of compared models (whose raw samples are not
 * in the report: their medians). RFC 4180, with a heading; lines end in CR LF.
 *
 * Text is always quoted. Spreadsheets take a cell that begins with = + - @ or a tab for a formula, quoted or
 * not; such a text gets an apostrophe before it (OWASP, "CSV Injection"). Numbers are written as numbers. */
#include <math.h>
#include <string.h>

#include "profile/clean.h"
#include "profile/json_get.h"
#include "profile/render_formats.h"

enum { MAX_TEXT = 1000 };

static const char *const FIGURES[] = {
    "prompt_tokens",
    "cached_tokens",
    "generated_tokens",
    "tokens_per_second",
    "ttft_ms",
    "decode_tokens_per_second",
    "tpot_ms",
    "prefill_tokens_per_second",
    "response_ms",
    "total_time_s",
    "queue_ms",
    "tokenize_ms",
    "prefill_ms",
    "itl_p50_ms",
    "itl_p90_ms",
    "itl_p99_ms",
    "itl_max_ms",
    "decode_cpu_cores",
    "read_gbps",
    "memory_bytes",
    "load_ms",
    "weight_bytes",
    "aggregate_decode_tokens_per_second",
    /* of the baseline's run in the same block */
    "baseline_tokens_per_second",
    "baseline_decode_tokens_per_second",
    "baseline_aggregate_decode_tokens_per_second",
    "baseline_prefill_tokens_per_second",
    "baseline_ttft_ms",
};
enum { N_FIGURES = sizeof FIGURES / sizeof *FIGURES };

static void text_cell(struct buffer *out, const char *text)
{
    struct buffer clean = {0};
    clean_line(&clean, text, MAX_TEXT);
    buffer_text(out, "\"");
    /* U+FF0B and its like are taken for + - = @ by some */
    const char *at = clean.data ? clean.data : "";
    bool wide = strncmp(at, "\xEF\xBC\x8B", 3) == 0 || strncmp(at, "\xEF\xBC\x8D", 3) == 0 ||
                strncmp(at, "\xEF\xBC\x9D", 3) == 0 || strncmp(at, "\xEF\xBC\xA0", 3) == 0;
    if (wide || (*at && strchr("=+-@|%", *at)))
        buffer_text(out, "'");
    for (; *at; at++)
        buffer_append(out, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    buffer_text(out, "\"");
    out->failed = out->failed || clean.failed;
    buffer_free(&clean);
}

static void number_cell(struct buffer *out, double value)
{
    if (!isnan(value))
        buffer_format(out, "%.9g", value);
}

/* What all lines of a report begin with. */
static void run_cells(struct buffer *out, const json_t *report, const char *model)
{
    text_cell(out, json_get_text(report, "run_id", ""));
    buffer_text(out, ",");
    text_cell(out, json_get_text(report, "created", ""));
    buffer_text(out, ",");
    text_cell(out, model);
    buffer_text(out, ",");
}

struct csv_line {
    const char *of; /* test, configuration, model */
    const char *id, *label;
    long repeat, block; /* from 1, from 0; -1: none */
    const char *order, *outcome, *message;
};

static void line(struct buffer *out, const struct csv_line *line, const json_t *figures)
{
    text_cell(out, line->of);
    buffer_text(out, ",");
    text_cell(out, line->id);
    buffer_text(out, ",");
    text_cell(out, line->label);
    buffer_text(out, ",");
    number_cell(out, line->repeat >= 0 ? (double)line->repeat : NAN);
    buffer_text(out, ",");
    number_cell(out, line->block >= 0 ? (double)line->block : NAN);
    buffer_text(out, ",");
    text_cell(out, line->order);
    buffer_text(out, ",");
    text_cell(out, line->outcome);
    buffer_text(out, ",");
    text_cell(out, line->message);
    for (int i = 0; i < N_FIGURES; i++) {
        buffer_text(out, ",");
        number_cell(out, json_get_figure(figures, FIGURES[i]));
    }
    buffer_text(out, "\r\n");
}

static void heading(struct buffer *out)
{
    buffer_text(out, "run_id,created,model,of,id,label,repeat,block,order,outcome,message");
    for (int i = 0; i < N_FIGURES; i++)
        buffer_format(out, ",%s", FIGURES[i]);
    buffer_text(out, "\r\n");
}

static void samples_of(struct buffer *out, const json_t *report, const json_t *items, const char *of)
{
    const char *model = json_get_text(report, "model.name", "");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i), *samples = json_get(item, "samples");
        size_t n_samples = json_get_count(samples, "");
        for (size_t k = 0; k < n_samples || (k == 0 && n_samples == 0); k++) {
            const json_t *sample = n_samples ? json_get_item(samples, k) : NULL;
            const json_t *told = sample ? sample : item; /* without samples: why there are none */
            struct csv_line cells = {
                .of = of,
                .id = json_get_text(item, "id", ""),
                .label = json_get_text(item, "label", ""),
                .repeat = sample ? (long)k + 1 : -1,
                .block = json_get_integer(sample, "block", 0, 1000000, -1),
                .order = json_get_text(sample, "order", ""),
                .outcome = json_get_text(told, "outcome", sample ? "" : "not measured"),
                .message = json_get_text(told, "message", ""),
            };
            run_cells(out, report, model);
            line(out, &cells, sample);
        }
    }
}

static void models(struct buffer *out, const json_t *report)
{
    const json_t *items = json_get_array(report, "comparison.models");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        const char *name = json_get_text(item, "model", "");
        struct csv_line cells = {.of = "model",
                                 .id = name,
                                 .label = name,
                                 .repeat = -1,
                                 .block = -1,
                                 .order = "",
                                 .outcome = json_get_text(item, "status", ""),
                                 .message = json_get_text(item, "message", "")};
        run_cells(out, report, name);
        line(out, &cells, item);
    }
}

void render_csv(const json_t *report, struct buffer *out)
{
    heading(out);
    samples_of(out, report, json_get_array(report, "tests"), "test");
    samples_of(out, report, json_get_array(report, "configurations"), "configuration");
    models(out, report);
}
