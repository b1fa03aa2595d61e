#include "profile/report_tables.h"

#include <math.h>
#include <string.h>

#include "profile/format.h"

enum { CELL = 80 };

/* "412 ± 2.1": mean and standard deviation, "412" when there is one sample, "-" when there is none. */
static const char *spread(char out[CELL], const struct stats *stats)
{
    char mean[FORMAT_MAX], sd[FORMAT_MAX];
    format_number(mean, stats->mean);
    if (isnan(stats->sd))
        snprintf(out, CELL, "%s", mean);
    else
        snprintf(out, CELL, "%s ± %s", mean, format_number(sd, stats->sd));
    return out;
}

/* A number of tokens; "-" when the run did not come far enough to tell. */
static void count_cell(struct table *table, uint32_t count)
{
    if (count)
        table_cell(table, "%u", count);
    else
        table_cell(table, "-");
}

/* "3 excellent": how many runs ended well, and what they are worth; "-" when none did. */
static void repeats_cell(struct table *table, const struct report_test *test)
{
    if (test->outcomes[OUTCOME_OK])
        table_cell(table, "%u %s", test->outcomes[OUTCOME_OK], stats_grade_name(test->grade));
    else
        table_cell(table, "-");
}

void report_prompt_table(const struct report *report, struct table *table)
{
    table_init(table, "lrrrrrrrrl");
    static const char *const heading[] = {
        "prompt",        "in",      "out",        "tok/s",      "decode tok/s",
        "prefill tok/s", "TTFT ms", "ITL p50 ms", "ITL p99 ms", "repeats"};
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", heading[i]);
    for (size_t i = 0; i < report->n_tests; i++) {
        const struct report_test *test = &report->tests[i];
        if (test->scenario.kind != SCENARIO_PROMPT)
            continue;
        char cell[CELL];
        const struct sample *first = test->n_samples ? &test->samples[0] : &test->warmup;
        table_cell(table, "%s", test->scenario.label);
        count_cell(table, first->prompt_tokens);
        count_cell(table, first->generated_tokens);
        static const enum metric columns[] = {METRIC_TOKENS_PER_SECOND, METRIC_DECODE_TPS, METRIC_PREFILL_TPS,
                                              METRIC_TTFT_MS,           METRIC_ITL_P50_MS, METRIC_ITL_P99_MS};
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            table_cell(table, "%s", spread(cell, &test->metric[columns[c]]));
        repeats_cell(table, test);
    }
}

void report_speed_table(const struct report *report, struct table *table)
{
    table_init(table, "lrrrrrrrl");
    static const char *const heading[] = {"test", "tok/s",   "CV",        "reads GB/s", "ceiling GB/s",
                                          "MBU",  "GFLOP/s", "CPU cores", "repeats"};
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", heading[i]);
    for (size_t i = 0; i < report->n_tests; i++) {
        const struct report_test *test = &report->tests[i];
        if (test->scenario.kind == SCENARIO_PROMPT)
            continue;
        bool decode = test->scenario.kind == SCENARIO_DECODE;
        const struct stats *headline = &test->metric[report_headline(test)];
        char cell[CELL], number[FORMAT_MAX];
        table_cell(table, "%s", test->scenario.label);
        table_cell(table, "%s", spread(cell, headline));
        table_cell(table, "%s", format_percent(number, headline->cv));
        table_cell(table, "%s", decode ? spread(cell, &test->achieved_gbps) : "-");
        table_cell(table, "%s", decode ? spread(cell, &test->read_gbps) : "-");
        table_cell(table, "%s", decode ? format_percent(number, test->mbu.median) : "-");
        table_cell(table, "%s", decode ? "-" : spread(cell, &test->prefill_gflops));
        table_cell(table, "%s", decode ? format_number(number, test->metric[METRIC_CPU_CORES].mean) : "-");
        repeats_cell(table, test);
    }
}

static void memory_row(struct table *table, const char *kind, double predicted, double measured,
                       const char *note)
{
    char number[FORMAT_MAX];
    table_cell(table, "%s", kind);
    table_cell(table, "%s", format_bytes(number, predicted));
    table_cell(table, "%s", format_bytes(number, measured));
    table_cell(table, "%s", note);
}

void report_memory_table(const struct report *report, struct table *table)
{
    const struct report_memory *memory = &report->memory;
    const struct memory_process *now = &memory->after;
    char note[CELL], number[FORMAT_MAX];
    table_init(table, "lrrl");
    static const char *const heading[] = {"memory", "predicted", "measured", "what"};
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", heading[i]);
    double measured = now->known ? (double)now->file_bytes : NAN;
    memory_row(table, "mapped files", (double)memory->weight_bytes, measured,
               "predicted: the weights; measured: resident pages of weights, program and libraries");
    snprintf(note, sizeof note, "allocated; %s a token",
             format_bytes(number, (double)memory->kv_bytes_per_token));
    memory_row(table, "KV cache", (double)memory->kv_bytes, NAN, note);
    memory_row(table, "scratch", (double)memory->scratch_bytes, NAN, "allocated for activations");
    double sum = (double)memory->weight_bytes + (double)memory->kv_bytes + (double)memory->scratch_bytes;
    memory_row(table, "footprint", sum, now->known ? (double)now->resident_bytes : NAN,
               "the whole process now");
    memory_row(table, "peak", NAN, now->known ? (double)now->resident_peak_bytes : NAN,
               "the whole process so far");
}

/* ---- lines ---- */

void report_model_line(const struct report *report, char *out, size_t capacity)
{
    char parameters[FORMAT_MAX], bytes[FORMAT_MAX];
    const struct engine_info *info = &report->info;
    snprintf(out, capacity, "%s · %s · %s · %s parameters · %s", info->model_name, info->architecture,
             info->quantization, format_count(parameters, (double)info->parameters),
             format_bytes(bytes, (double)info->file_bytes));
}

void report_machine_line(const struct report *report, char *out, size_t capacity)
{
    char memory[FORMAT_MAX], cache[FORMAT_MAX], quota[32] = "";
    const struct cpu_info *cpu = &report->cpu;
    if (cpu->quota_cores > 0)
        snprintf(quota, sizeof quota, " (quota %.3g)", cpu->quota_cores);
    double total = report->host_before.machine.known ? (double)report->host_before.machine.total_bytes : NAN;
    double cached = cpu->last_level_cache_bytes ? (double)cpu->last_level_cache_bytes : NAN;
    snprintf(out, capacity, "%s · %u of %u cores%s · %s memory · %s last-level cache · %s", cpu->name,
             cpu->cores_allowed, cpu->cores_online, quota, format_bytes(memory, total),
             format_bytes(cache, cached), report->os);
}

void report_engine_line(const struct report *report, char *out, size_t capacity)
{
    const struct engine_info *info = &report->info;
    char load[FORMAT_MAX];
    snprintf(out, capacity, "%s/%s · %u threads · context %u · KV %u-bit · prefill chunk %u%s · loaded in %s",
             info->backend, info->isa, info->n_threads, info->context, info->kv_bits, info->prefill_chunk,
             info->precise ? " · precise" : "", format_ms(load, info->load_ms));
}

void report_roofline_line(const struct report *report, char *out, size_t capacity)
{
    const struct report_test *test = report_find(report, SCENARIO_DECODE);
    if (!test) {
        snprintf(out, capacity, "not measured: no decode test ended well");
        return;
    }
    char bytes[FORMAT_MAX], achieved[FORMAT_MAX], ceiling[FORMAT_MAX], percent[FORMAT_MAX];
    double per_token = test->decode_cost.weight_bytes + test->decode_cost.kv_read_bytes;
    enum probe_level level = test->n_samples ? test->probes[0].level : PROBE_UNKNOWN;
    const char *where = level == PROBE_CACHE    ? " (the weights fit into the last-level cache: its ceiling)"
                        : level == PROBE_MEMORY ? " (memory)"
                        : level == PROBE_MIXED  ? " (memory and cache)"
                                                : " (memory or cache: the size of the cache is not known)";
    int length =
        snprintf(out, capacity, "decode reads %s a token: %s GB/s of the %s GB/s probed beside it%s, ",
                 format_bytes(bytes, per_token), format_number(achieved, test->achieved_gbps.median),
                 format_number(ceiling, test->read_gbps.median), where);
    if (length < 0 || (size_t)length >= capacity)
        return;
    if (test->mbu_reason[0])
        snprintf(out + length, capacity - (size_t)length, "MBU %s", test->mbu_reason);
    else
        snprintf(out + length, capacity - (size_t)length, "MBU %s%s",
                 format_percent(percent, test->mbu.median),
                 test->mbu.median > 1 ? " (what is above 100 % is noise of the probe)" : "");
}

bool report_failure_line(const struct report *report, size_t index, char *out, size_t capacity)
{
    for (size_t i = 0; i < report->n_tests; i++) {
        const struct report_test *test = &report->tests[i];
        for (uint32_t k = 0; k < test->n_samples; k++) {
            if (test->samples[k].outcome == OUTCOME_OK || index-- != 0)
                continue;
            snprintf(out, capacity, "%s, repeat %u: %s (%s)", test->scenario.label, k + 1,
                     target_outcome_name(test->samples[k].outcome), test->samples[k].message);
            return true;
        }
        if (test->n_samples == 0 && test->warmup.outcome != OUTCOME_OK && index-- == 0) {
            snprintf(out, capacity, "%s, warm-up: %s (%s)", test->scenario.label,
                     target_outcome_name(test->warmup.outcome), test->warmup.message);
            return true;
        }
    }
    return false;
}
