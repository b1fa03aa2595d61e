/* The tables of what things are: memory, ceilings, machine, flags, the run itself. */
#include <math.h>

#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/render_view.h"

static void memory_row(struct table *table, const char *kind, double predicted, double measured,
                       const char *note)
{
    char number[FORMAT_MAX];
    table_cell(table, "%s", kind);
    table_cell(table, "%s", format_bytes(number, predicted));
    table_cell(table, "%s", format_bytes(number, measured));
    table_cell(table, "%s", note);
}

static void fill_memory(struct view *view, const json_t *report)
{
    struct table *table = &view->tables[VIEW_MEMORY];
    const json_t *memory = json_get_object(report, "memory");
    const json_t *predicted = json_get(memory, "predicted"), *measured = json_get(memory, "measured");
    char number[FORMAT_MAX];
    table_init(table, "lrrL");
    if (!memory)
        return;
    static const char *const names[] = {"memory", "predicted", "measured", "what"};
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", names[i]);
    memory_row(table, "mapped files", json_get_positive(predicted, "weights_bytes"),
               json_get_positive(measured, "file_resident_bytes"), "predicted: weights; measured: all files");
    double token = json_get_positive(memory, "kv_bytes_per_token");
    memory_row(table, "KV cache", json_get_positive(predicted, "kv_bytes"), NAN,
               view_format(view, "%s a token", format_bytes(number, token)));
    memory_row(table, "scratch", json_get_positive(predicted, "scratch_bytes"), NAN, "activations");
    memory_row(table, "footprint", json_get_positive(predicted, "footprint_bytes"),
               json_get_positive(measured, "footprint_bytes"), "whole process, after the run");
    memory_row(table, "peak", NAN, json_get_positive(measured, "footprint_peak_bytes"),
               "whole process, at its largest");
    double allocator = json_get_positive(measured, "allocator_peak_bytes");
    if (!isnan(allocator))
        memory_row(table, "allocator", NAN, allocator, "the backend's own, the most that was in use");
}

static void fill_ceilings(struct view *view, const json_t *report)
{
    static const struct {
        const char *member, *name;
    } rows[] = {{"memory_read", "memory read"},
                {"cache_read", "last-level cache read"},
                {"int8", "int8 arithmetic"},
                {"f32", "f32 arithmetic"}};
    struct table *table = &view->tables[VIEW_CEILINGS];
    const json_t *ceilings = json_get_object(report, "ceilings");
    table_init(table, "LrrL");
    if (!ceilings)
        return;
    static const char *const names[] = {"ceiling", "measured", "CV", "how"};
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", names[i]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *ceiling = json_get(ceilings, rows[i].member);
        double value = json_get_positive(ceiling, "value");
        char number[FORMAT_MAX];
        table_cell(table, "%s", rows[i].name);
        table_cell(table, "%s %s", format_number(number, value),
                   isnan(value) ? "" : view_text(view, ceiling, "unit", "", 8));
        table_cell(table, "%s", format_percent(number, json_get_positive(ceiling, "cv")));
        table_cell(table, "%s",
                   view_text(view, ceiling, isnan(value) ? "reason" : "method", "-", (size_t)2 * VIEW_NAME));
    }
}

/* ---- name and value ---- */

static void fact(struct view *view, enum view_table which, const char *name, const char *value)
{
    struct table *table = &view->tables[which];
    if (table->n_cells == 0) {
        table_cell(table, "what");
        table_cell(table, "value");
    }
    table_cell(table, "%s", name);
    table_cell(table, "%s", value);
}

/* The string at path, or why there is none. */
static void text_fact(struct view *view, enum view_table which, const char *name, const json_t *json,
                      const char *path)
{
    const char *text = view_text(view, json, path, "", VIEW_TITLE);
    if (!*text) {
        const char *reason = json_get_reason(json, path, NULL);
        if (!reason)
            return;
        text = view_format(view, "- (%.200s)", reason);
    }
    fact(view, which, name, text);
}

static void number_fact(struct view *view, enum view_table which, const char *name, const json_t *json,
                        const char *path, char *(*format)(char out[FORMAT_MAX], double value))
{
    char number[FORMAT_MAX];
    double value = json_get_number(json, path);
    const char *reason = json_get_reason(json, path, NULL);
    if (!isnan(value))
        fact(view, which, name, format(number, value));
    else if (reason)
        fact(view, which, name, view_format(view, "- (%.200s)", reason));
}

static char *whole(char out[FORMAT_MAX], double value)
{
    if (value == floor(value) && fabs(value) < 1e9)
        snprintf(out, FORMAT_MAX, "%.0f", value);
    else
        format_number(out, value);
    return out;
}

static void fill_machine(struct view *view, const json_t *report)
{
    enum view_table t = VIEW_MACHINE;
    const json_t *machine = json_get(report, "machine"), *host = json_get(report, "host");
    table_init(&view->tables[t], "lL");
    text_fact(view, t, "CPU", machine, "cpu");
    number_fact(view, t, "cores online", machine, "cores_online", whole);
    number_fact(view, t, "cores allowed", machine, "cores_allowed", whole);
    number_fact(view, t, "CPU quota, cores", machine, "quota_cores", format_number);
    number_fact(view, t, "last-level cache", machine, "last_level_cache_bytes", format_bytes);
    number_fact(view, t, "memory", machine, "memory_bytes", format_bytes);
    number_fact(view, t, "memory limit", machine, "memory_limit_bytes", format_bytes);
    text_fact(view, t, "system", machine, "os");
    text_fact(view, t, "GPU", machine, "gpu");
    number_fact(view, t, "load average before the run", host, "load_before", format_number);
    number_fact(view, t, "load average after the run", host, "load_after", format_number);
    number_fact(view, t, "CPU time withheld (steal)", host, "steal_fraction", format_percent);
    number_fact(view, t, "change of swap", host, "swap_change_bytes", format_bytes);
    number_fact(view, t, "page faults from the disk", host, "major_faults", whole);
    number_fact(view, t, "temperature, °C", host, "temperature_c", format_number);
    number_fact(view, t, "frequency, MHz", host, "frequency_mhz", whole);
    number_fact(view, t, "power, W", host, "power_w", format_number);
}

static void fill_flags(struct view *view, const json_t *report)
{
    enum view_table t = VIEW_FLAGS;
    const json_t *flags = json_get(report, "flags"), *model = json_get(report, "model");
    table_init(&view->tables[t], "lL");
    text_fact(view, t, "model", model, "name");
    text_fact(view, t, "architecture", model, "architecture");
    text_fact(view, t, "quantization", model, "quantization");
    number_fact(view, t, "parameters", model, "parameters", format_count);
    number_fact(view, t, "weights", model, "weight_bytes", format_bytes);
    number_fact(view, t, "vocabulary, tokens", model, "vocab", whole);
    text_fact(view, t, "revision", model, "revision");
    text_fact(view, t, "SHA-256", model, "sha256");
    text_fact(view, t, "backend", flags, "backend");
    text_fact(view, t, "instructions", flags, "isa");
    text_fact(view, t, "adapter", flags, "adapter");
    number_fact(view, t, "threads", flags, "threads", whole);
    number_fact(view, t, "context, tokens", flags, "context", whole);
    number_fact(view, t, "prefill chunk, tokens", flags, "prefill_chunk", whole);
    number_fact(view, t, "KV cache, bits", flags, "kv_bits", whole);
    number_fact(view, t, "sequences at most", flags, "max_sequences", whole);
    if (json_is_boolean(json_get(flags, "precise")))
        fact(view, t, "precise", json_get_bool(flags, "precise", false) ? "yes" : "no");
}

static char *seconds(char out[FORMAT_MAX], double value)
{
    return format_ms(out, 1000 * value);
}

static void fill_run(struct view *view, const json_t *report)
{
    enum view_table t = VIEW_RUN;
    table_init(&view->tables[t], "lL");
    text_fact(view, t, "target", report, "target.url");
    text_fact(view, t, "its model", report, "target.model");
    text_fact(view, t, "its server", report, "target.server");
    text_fact(view, t, "tokens counted by", report, "target.tokens_counted_by");
    text_fact(view, t, "run", report, "run_id");
    text_fact(view, t, "date", report, "created");
    text_fact(view, t, "mode", report, "mode");
    number_fact(view, t, "duration", report, "duration_s", seconds);
    number_fact(view, t, "repeats of each test", report, "protocol.repeats", whole);
    number_fact(view, t, "model loaded in", report, "summary.load_ms", format_ms);
    text_fact(view, t, "llmind", report, "tool.version");
    text_fact(view, t, "commit", report, "tool.commit");
    text_fact(view, t, "format of the report", report, "schema");
}

void view_fill_facts(struct view *view, const json_t *report)
{
    view_fill_predicted(view, report);
    fill_memory(view, report);
    fill_ceilings(view, report);
    fill_machine(view, report);
    fill_flags(view, report);
    fill_run(view, report);
}
