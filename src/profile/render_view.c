/* The head of a report: lines on model, machine, engine and run, and the four cards. */
#include "profile/render_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile/clean.h"
#include "profile/format.h"
#include "profile/json_get.h"

const char *view_text(struct view *view, const json_t *json, const char *path, const char *fallback,
                      size_t max_characters)
{
    const char *text = json_get_string(json, path);
    const char *clean = text ? clean_copy(&view->arena, text, max_characters) : "";
    return *clean ? clean : fallback;
}

const char *view_format(struct view *view, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return clean_copy(&view->arena, text, sizeof text);
}

const char *view_table_title(enum view_table table)
{
    static const char *const titles[VIEW_TABLES] = {
        [VIEW_PROMPTS] = "Prompts (speeds in tok/s, gaps between tokens (ITL) in ms)",
        [VIEW_SPEED] = "Prefill and decode",
        [VIEW_CONFIGURATIONS] = "Configurations",
        [VIEW_COMPARISON] = "Models (speeds in tok/s)",
        [VIEW_PREDICTED] = "Predicted before, measured after",
        [VIEW_WHAT_IF] = "What if",
        [VIEW_MEMORY] = "Memory",
        [VIEW_CEILINGS] = "Ceilings of this machine",
        [VIEW_OPERATIONS] = "One decode step by operation",
        [VIEW_SENSORS] = "Sensors",
        [VIEW_MACHINE] = "Machine",
        [VIEW_FLAGS] = "Model and flags",
        [VIEW_RUN] = "Run",
    };
    return titles[table];
}

/* ---- lines: parts with dots between them ---- */

static void part(struct buffer *line, const char *text)
{
    if (*text)
        buffer_format(line, "%s%s", line->length ? " · " : "", text);
}

static const char *finish(struct view *view, struct buffer *line)
{
    const char *text = line->data && !line->failed ? clean_copy(&view->arena, line->data, 400) : "";
    buffer_free(line);
    return text;
}

static void part_number(struct buffer *line, const json_t *json, const char *path,
                        char *(*format)(char out[FORMAT_MAX], double value), const char *before,
                        const char *after)
{
    char number[FORMAT_MAX];
    double value = json_get_positive(json, path);
    if (!isnan(value))
        buffer_format(line, "%s%s%s%s", line->length ? " · " : "", before, format(number, value), after);
}

static char *plain(char out[FORMAT_MAX], double value)
{
    snprintf(out, FORMAT_MAX, "%.10g", value);
    return out;
}

static const char *model_line(struct view *view, const json_t *report)
{
    struct buffer line = {0};
    const json_t *model = json_get(report, "model");
    part(&line, view_text(view, model, "architecture", "", VIEW_NAME));
    part(&line, view_text(view, model, "quantization", "", VIEW_NAME));
    part_number(&line, model, "parameters", format_count, "", " parameters");
    part_number(&line, model, "file_bytes", format_bytes, "", "");
    part(&line, view_text(view, report, "target.url", "", VIEW_TITLE));
    part(&line, view_text(view, report, "target.server", "", VIEW_NAME));
    return finish(view, &line);
}

static const char *machine_line(struct view *view, const json_t *report)
{
    struct buffer line = {0};
    const json_t *machine = json_get(report, "machine");
    if (json_get_object(report, "target"))
        buffer_text(&line, "measured from ");
    buffer_text(&line, view_text(view, machine, "cpu", "CPU not known", VIEW_NAME));
    char number[FORMAT_MAX];
    double allowed = json_get_positive(machine, "cores_allowed"),
           online = json_get_positive(machine, "cores_online"),
           quota = json_get_positive(machine, "quota_cores");
    if (!isnan(allowed) && !isnan(online))
        buffer_format(&line, " · %.6g of %s", allowed, format_of(number, online, "core"));
    if (quota > 0)
        buffer_format(&line, " (quota %s)", format_of(number, quota, "core"));
    part_number(&line, machine, "memory_bytes", format_bytes, "", " memory");
    part_number(&line, machine, "last_level_cache_bytes", format_bytes, "", " last-level cache");
    part(&line, view_text(view, machine, "os", "", VIEW_NAME));
    return finish(view, &line);
}

static const char *engine_line(struct view *view, const json_t *report)
{
    struct buffer line = {0};
    const json_t *flags = json_get_object(report, "flags");
    if (!flags)
        return "";
    part(&line, view_format(view, "%s/%s", view_text(view, flags, "backend", "-", 20),
                            view_text(view, flags, "isa", "-", 20)));
    char number[FORMAT_MAX];
    double threads = json_get_positive(flags, "threads");
    if (!isnan(threads))
        part(&line, view_format(view, "%s", format_of(number, threads, "thread")));
    part_number(&line, flags, "context", plain, "context of ", " tokens");
    part_number(&line, flags, "kv_bits", plain, "KV cache of ", " bits");
    part_number(&line, flags, "prefill_chunk", plain, "prefill in chunks of ", " tokens");
    part(&line, json_get_bool(flags, "precise", false) ? "precise" : "");
    if (json_get_string(flags, "adapter"))
        part(&line, view_format(view, "adapter %s", view_text(view, flags, "adapter", "", VIEW_NAME)));
    part_number(&line, report, "summary.load_ms", format_ms, "loaded in ", "");
    return finish(view, &line);
}

static const char *run_line(struct view *view, const json_t *report)
{
    struct buffer line = {0};
    part(&line, view->created);
    part(&line, view->quick ? "quick run: indicative" : "full run");
    char number[FORMAT_MAX];
    double duration = json_get_positive(report, "duration_s");
    if (!isnan(duration))
        part(&line, view_format(view, "%s", format_ms(number, 1000 * duration)));
    double repeats = json_get_positive(report, "protocol.repeats");
    if (!isnan(repeats))
        part(&line, view_format(view, "%s", format_of(number, repeats, view->proof ? "block" : "repeat")));
    part(&line, view_format(view, "llmind %s", view_text(view, report, "tool.version", "-", 20)));
    return finish(view, &line);
}

/* The test the roofline is told of: decoding with nothing before it. */
static const json_t *decode_test(const json_t *report)
{
    const json_t *tests = json_get_array(report, "tests"), *first = NULL;
    for (size_t i = 0, n = json_get_count(tests, ""); i < n && !first; i++) {
        const json_t *test = json_get_item(tests, i);
        if (json_get_is(test, "kind", "decode") &&
            !isnan(json_get_figure(test, "summary.decode_tokens_per_second")))
            first = test;
    }
    return first;
}

static const char *roofline_line(struct view *view, const json_t *report)
{
    const json_t *test = decode_test(report), *roof = json_get_object(test, "roofline");
    char bytes[FORMAT_MAX], achieved[FORMAT_MAX], ceiling[FORMAT_MAX], percent[FORMAT_MAX];
    double per_token =
        json_get_positive(roof, "weight_bytes_per_token") + json_get_positive(roof, "kv_bytes_per_token");
    if (isnan(per_token))
        return "";
    const char *from = json_get_text(test, "samples.0.read_from", "");
    const char *where = strcmp(from, "cache") == 0    ? " (the weights fit into the last-level cache)"
                        : strcmp(from, "memory") == 0 ? " (memory)"
                        : strcmp(from, "mixed") == 0  ? " (memory and cache)"
                                                      : "";
    double mbu = json_get_figure(roof, "mbu");
    const char *head = view_format(view, "decode reads %s a token: %s GB/s of the %s GB/s probed beside it%s",
                                   format_bytes(bytes, per_token),
                                   format_number(achieved, json_get_figure(roof, "achieved_gbps")),
                                   format_number(ceiling, json_get_figure(roof, "read_gbps")), where);
    if (isnan(mbu))
        return view_format(view, "%s, MBU %.400s", head, json_get_reason(roof, "mbu", "not known"));
    return view_format(view, "%s, MBU %s%s", head, format_percent(percent, mbu),
                       mbu > 1 ? " (what is above 100 % is noise of the probe)" : "");
}

/* "2026-11-23T12:41:07Z" as people write it. */
static const char *created_text(struct view *view, const json_t *report)
{
    const char *created = view_text(view, report, "created", "", 40);
    if (strlen(created) == 20 && created[10] == 'T' && created[19] == 'Z')
        return view_format(view, "%.10s %.5s UTC", created, created + 11);
    return *created ? created : "date not known";
}

static const char *status_text(struct view *view, const json_t *report)
{
    const char *status = view_text(view, report, "status", "not known", 20);
    const char *message = view_text(view, report, "message", "", VIEW_SENTENCE);
    if (strcmp(status, "success") == 0)
        return "";
    return *message ? view_format(view, "%s: %s", status, message) : status;
}

/* ---- cards ---- */

static const char *reason(struct view *view, const json_t *json, const char *path, const char *fallback)
{
    const char *text = clean_copy(&view->arena, json_get_reason(json, path, fallback), VIEW_TITLE);
    return *text ? text : fallback;
}

/* "decode 16.8 tok/s · prefill 62.0 tok/s", of those that are known. */
static const char *parts(struct view *view, const json_t *report, const char *const *words,
                         const char *const *paths, char *(*format)(char out[FORMAT_MAX], double value),
                         const char *unit)
{
    struct buffer line = {0};
    for (int i = 0; i < 2; i++)
        part_number(&line, report, paths[i], format, words[i], unit);
    return finish(view, &line);
}

static void speed_card(struct view *view, const json_t *report, struct view_card *card)
{
    static const char *const words[] = {"decode ", "prefill "}, *const paths[] = {
                                                                    "summary.decode_tokens_per_second",
                                                                    "summary.prefill_tokens_per_second"};
    char number[FORMAT_MAX];
    double value = json_get_positive(report, "summary.tokens_per_second");
    card->label = "Tokens per second";
    if (isnan(value)) {
        card->note = reason(view, report, "summary.tokens_per_second", "not measured");
        value = json_get_positive(report, "summary.decode_tokens_per_second");
        if (isnan(value))
            return;
        card->label = "Decode";
    }
    card->value = view_format(view, "%s tok/s", format_number(number, value));
    card->note = parts(view, report, words, paths, format_number, " tok/s");
}

static void memory_card(struct view *view, const json_t *report, struct view_card *card)
{
    static const char *const words[] = {"predicted: weights ", "KV cache "}, *const paths[] = {
                                                                                 "predicted.weights_bytes",
                                                                                 "predicted.kv_bytes"};
    char number[FORMAT_MAX];
    const json_t *memory = json_get(report, "memory");
    double peak = json_get_positive(memory, "measured.footprint_peak_bytes");
    card->label = "Memory at its peak";
    if (isnan(peak)) {
        card->note = reason(view, report, "memory",
                            reason(view, memory, "measured.footprint_peak_bytes", "not told by this system"));
        return;
    }
    card->value = view_format(view, "%s", format_bytes(number, peak));
    card->note = parts(view, memory, words, paths, format_bytes, "");
}

static void gpu_card(struct view *view, const json_t *report, struct view_card *card)
{
    char number[FORMAT_MAX];
    double busy = json_get_positive(report, "host.gpu_utilization");
    card->label = "GPU";
    if (!isnan(busy)) {
        card->value = view_format(view, "%s", format_percent(number, busy));
        card->note = view_text(view, report, "machine.gpu", "busy during the run", VIEW_NAME);
    } else {
        const char *none = reason(view, report, "machine.gpu", "not measured");
        card->note = reason(view, report, "host.gpu_utilization", none);
    }
}

static void response_card(struct view *view, const json_t *report, struct view_card *card)
{
    char number[FORMAT_MAX], first[FORMAT_MAX];
    double value = json_get_positive(report, "summary.response_ms");
    card->label = "Response time";
    if (isnan(value)) {
        card->note = reason(view, report, "summary.response_ms", "not measured");
        return;
    }
    card->value = view_format(view, "%s", format_ms(number, value));
    card->note = view_format(view, "first token after %s",
                             format_ms(first, json_get_positive(report, "summary.ttft_ms")));
}

/* The best of the compared models by a figure; NULL: none has it. */
static const json_t *best_model(const json_t *report, const char *figure, bool smallest)
{
    const json_t *models = json_get_array(report, "comparison.models"), *best = NULL;
    double best_value = NAN;
    for (size_t i = 0, n = json_get_count(models, ""); i < n; i++) {
        double value = json_get_figure(json_get_item(models, i), figure);
        if (value >= 0 && (!best || (smallest ? value < best_value : value > best_value))) {
            best = json_get_item(models, i);
            best_value = value;
        }
    }
    return best;
}

static void comparison_card(struct view *view, const json_t *report, struct view_card *card,
                            const char *label, const char *figure, bool smallest,
                            char *(*format)(char out[FORMAT_MAX], double value), const char *unit)
{
    char number[FORMAT_MAX];
    const json_t *model = best_model(report, figure, smallest);
    card->label = label;
    if (!model) {
        card->note = "no model was measured";
        return;
    }
    card->value = view_format(view, "%s%s", format(number, json_get_figure(model, figure)), unit);
    card->note = view_text(view, model, "model", "-", VIEW_NAME);
}

/* Of a proof: the change with its interval, the verdict, and what it stands on. */
static void proof_cards(struct view *view, const json_t *report)
{
    const json_t *proof = json_get_object(report, "proof");
    double change = json_get_number(proof, "change_pct"), low = json_get_number(proof, "ci95.0"),
           high = json_get_number(proof, "ci95.1"), blocks = json_get_positive(proof, "blocks");
    const char *none = reason(view, report, "proof", "not measured");
    view->cards[0] = (struct view_card){"Change", "-", none};
    view->cards[1] = (struct view_card){"Verdict", view_text(view, proof, "verdict", "-", 20), none};
    view->cards[2] = (struct view_card){"Blocks", "-", none};
    if (fabs(change) < 1e6)
        view->cards[0].value = view_format(view, "%+.1f %%", change);
    if (fabs(low) < 1e6 && fabs(high) < 1e6)
        view->cards[0].note = view_format(view, "95 %% CI %+.1f to %+.1f %%", low, high);
    if (proof)
        view->cards[1].note = view_text(view, proof, "recommendation", "", VIEW_NAME);
    if (blocks < 1e6) {
        view->cards[2].value = view_format(view, "%.0f", blocks);
        view->cards[2].note = "of A B B A, each in processes of its own";
    }
    gpu_card(view, report, &view->cards[3]);
}

static void fill_cards(struct view *view, const json_t *report)
{
    for (int i = 0; i < VIEW_CARDS; i++)
        view->cards[i] = (struct view_card){"", "-", ""};
    if (view->proof) {
        proof_cards(view, report);
        return;
    }
    if (json_get_is(report, "kind", "compare")) {
        comparison_card(view, report, &view->cards[0], "Fastest", "tokens_per_second", false, format_number,
                        " tok/s");
        comparison_card(view, report, &view->cards[1], "Least memory", "memory_bytes", true, format_bytes,
                        "");
        gpu_card(view, report, &view->cards[2]);
        comparison_card(view, report, &view->cards[3], "First token soonest", "ttft_ms", true, format_ms, "");
        return;
    }
    speed_card(view, report, &view->cards[0]);
    memory_card(view, report, &view->cards[1]);
    gpu_card(view, report, &view->cards[2]);
    response_card(view, report, &view->cards[3]);
}

static const char *title(struct view *view, const json_t *report)
{
    if (json_get_is(report, "kind", "compare"))
        return view_format(view, "%zu models compared", json_get_count(report, "comparison.models"));
    return view_text(view, report, "model.name", "a model without a name", VIEW_TITLE);
}

int view_open(const json_t *report, struct view *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    arena_init(&out->arena);
    bool compare = json_get_is(report, "kind", "compare");
    out->proof = json_get_is(report, "kind", "prove");
    out->heading = compare                             ? "Model comparison"
                   : out->proof                        ? "Proof"
                   : json_get_object(report, "target") ? "Remote target profile"
                                                       : "Performance profile";
    out->comparison = compare;
    out->quick = json_get_is(report, "mode", "quick");
    out->title = title(out, report);
    out->created = created_text(out, report);
    out->status = status_text(out, report);
    out->model_line = model_line(out, report);
    out->machine_line = machine_line(out, report);
    out->engine_line = engine_line(out, report);
    out->roofline_line = roofline_line(out, report);
    out->run_line = run_line(out, report);
    out->quality = view_text(out, report, "summary.quality", "not known", VIEW_SENTENCE);
    fill_cards(out, report);
    view_fill_tables(out, report);
    view_fill_facts(out, report);
    view_fill_lists(out, report);
    for (int i = 0; i < VIEW_TABLES; i++)
        if (out->tables[i].failed) {
            view_close(out);
            return error_memory(error, "the tables of a report", 0);
        }
    return 0;
}

void view_close(struct view *view)
{
    for (int i = 0; i < VIEW_TABLES; i++)
        table_free(&view->tables[i]);
    arena_free(&view->arena);
}
