/* Rows of `llmind bench` in the formats llama-bench has: Markdown, JSON, JSON lines, CSV. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/version.h"
#include "profile/bench.h"
#include "profile/format.h"
#include "profile/table.h"

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *array(const double *values, uint32_t n)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(items, number(values[i]));
    return items;
}

static json_t *text(const char *value)
{
    json_t *string = value ? json_string(value) : NULL;
    return string ? string : json_null();
}

char *bench_row_json(const struct bench_row *row, int indent)
{
    const struct engine_info *info = &row->info;
    char label[64];
    bench_label(&row->test, label, sizeof label);
    json_t *o = json_object();
    json_object_set_new(o, "version", text(version_number()));
    json_object_set_new(o, "build_commit", text(version_commit()));
    json_object_set_new(o, "model", text(row->model_name));
    json_object_set_new(o, "model_type", text(info->architecture));
    json_object_set_new(o, "quantization", text(info->quantization));
    json_object_set_new(o, "adapter", text(info->adapter));
    json_object_set_new(o, "model_size", json_integer((json_int_t)info->weight_bytes));
    json_object_set_new(o, "model_n_params", json_integer((json_int_t)info->parameters));
    json_object_set_new(o, "backend", text(info->backend));
    json_object_set_new(o, "isa", text(info->isa));
    json_object_set_new(o, "n_threads", json_integer(info->n_threads));
    json_object_set_new(o, "kv_bits", json_integer(info->kv_bits));
    json_object_set_new(o, "prefill_chunk", json_integer(info->prefill_chunk));
    json_object_set_new(o, "precise", json_boolean(info->precise));
    json_object_set_new(o, "test", text(label));
    json_object_set_new(o, "n_prompt", json_integer(row->test.n_prompt));
    json_object_set_new(o, "n_gen", json_integer(row->test.n_gen));
    json_object_set_new(o, "n_depth", json_integer(row->test.depth));
    json_object_set_new(o, "n_batch", json_integer(row->test.batch));
    json_object_set_new(o, "avg_ns", number(row->ns_stats.mean));
    json_object_set_new(o, "stddev_ns", number(row->ns_stats.sd));
    json_object_set_new(o, "avg_ts", number(row->tps_stats.mean));
    json_object_set_new(o, "stddev_ts", number(row->tps_stats.sd));
    json_object_set_new(o, "samples_ns", array(row->ns, row->n_samples));
    json_object_set_new(o, "samples_ts", array(row->tps, row->n_samples));
    json_object_set_new(o, "read_gbps", number(row->read_gbps.mean));
    json_object_set_new(o, "read_gbps_stddev", number(row->read_gbps.sd));
    json_object_set_new(o, "read_from", text(row->read_from));
    json_object_set_new(o, "load_ms", number(info->load_ms));
    json_object_set_new(o, "resident_bytes",
                        row->resident_bytes ? json_integer((json_int_t)row->resident_bytes) : json_null());
    json_object_set_new(o, "problem", row->problem[0] ? text(row->problem) : json_null());
    char *out =
        json_dumps(o, (indent > 0 ? (size_t)JSON_INDENT(indent) : JSON_COMPACT) | JSON_REAL_PRECISION(9));
    json_decref(o);
    return out;
}

/* RFC 4180: quotes around what holds a comma, a quote or a line end; quotes doubled. */
static void csv_text(FILE *out, const char *value)
{
    if (!value[strcspn(value, ",\"\r\n")]) {
        fputs(value, out);
        return;
    }
    fputc('"', out);
    for (; *value; value++) {
        if (*value == '"')
            fputc('"', out);
        fputc(*value, out);
    }
    fputc('"', out);
}

static void csv_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, ",%.9g", value);
    else
        fputc(',', out);
}

void bench_csv_heading(FILE *out)
{
    fputs(
        "model,model_type,quantization,adapter,model_size,model_n_params,backend,isa,n_threads,test,n_prompt,"
        "n_gen,n_depth,n_batch,repeats,avg_ns,stddev_ns,avg_ts,stddev_ts,read_gbps,load_ms,resident_bytes,"
        "problem\n",
        out);
}

void bench_csv_row(FILE *out, const struct bench_row *row)
{
    const struct engine_info *info = &row->info;
    char label[64];
    bench_label(&row->test, label, sizeof label);
    csv_text(out, row->model_name);
    fputc(',', out);
    csv_text(out, info->architecture);
    fputc(',', out);
    csv_text(out, info->quantization);
    fputc(',', out);
    csv_text(out, info->adapter ? info->adapter : "");
    fprintf(out, ",%llu,%llu,%s,%s,%u,%s,%u,%u,%u,%u,%u", (unsigned long long)info->weight_bytes,
            (unsigned long long)info->parameters, info->backend, info->isa, info->n_threads, label,
            row->test.n_prompt, row->test.n_gen, row->test.depth, row->test.batch, row->n_samples);
    csv_number(out, row->ns_stats.mean);
    csv_number(out, row->ns_stats.sd);
    csv_number(out, row->tps_stats.mean);
    csv_number(out, row->tps_stats.sd);
    csv_number(out, row->read_gbps.mean);
    csv_number(out, info->load_ms);
    csv_number(out, row->resident_bytes ? (double)row->resident_bytes : NAN);
    fputc(',', out);
    csv_text(out, row->problem);
    fputc('\n', out);
}

void bench_table_init(struct table *table)
{
    static const char *const heading[] = {"model", "size", "params", "backend", "threads", "test", "t/s"};
    table_init(table, "lrrlrrr");
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(table, "%s", heading[i]);
}

/* "4-bit mixed" for "mixed: 4-bit affine, group 64; 8-bit affine, group 64": a column has no room for a list.
 */
static void shorten_mixed(const char *quantization, char *out, size_t capacity)
{
    static const char mixed[] = "mixed: ";
    if (strncmp(quantization, mixed, sizeof mixed - 1) != 0) {
        snprintf(out, capacity, "%s", quantization);
        return;
    }
    const char *main_kind = quantization + sizeof mixed - 1;
    snprintf(out, capacity, "%.*s mixed", (int)strcspn(main_kind, " ,;"), main_kind);
}

void bench_table_row(struct table *table, const struct bench_row *row)
{
    const struct engine_info *info = &row->info;
    char label[64], weights[64], size[FORMAT_MAX], params[FORMAT_MAX];
    bench_label(&row->test, label, sizeof label);
    shorten_mixed(info->quantization, weights, sizeof weights);
    const char *adapter = info->adapter;
    table_cell(table, "%s%s%s %s", row->model_name, adapter ? " + " : "", adapter ? adapter : "", weights);
    table_cell(table, "%s", format_bytes(size, (double)info->weight_bytes));
    table_cell(table, "%s", format_count(params, (double)info->parameters));
    table_cell(table, "%s/%s", info->backend, info->isa);
    table_cell(table, "%u", info->n_threads);
    table_cell(table, "%s", label);
    if (row->n_samples == 0)
        table_cell(table, "failed");
    else if (isnan(row->tps_stats.sd))
        table_cell(table, "%.2f", row->tps_stats.mean);
    else
        table_cell(table, "%.2f ± %.2f", row->tps_stats.mean, row->tps_stats.sd);
}
