/* The report on a terminal: one screen, headline first. */
#include <math.h>
#include <string.h>

#include "profile/format.h"
#include "profile/report_tables.h"

struct style {
    const char *bold, *dim, *off;
};

static void print_section(FILE *out, const struct style *style, const char *title, struct table *table,
                          bool color)
{
    if (table->n_cells > table->n_columns) {
        fprintf(out, "\n%s%s%s\n", style->bold, title, style->off);
        table_print(table, out, color ? TABLE_TEXT_COLOR : TABLE_TEXT, 2);
    }
    table_free(table);
}

/* "  41.2 tok/s decode ", with a warning where the spread makes the figure worthless. */
static void print_rate(FILE *out, const struct style *style, const struct report_test *test, const char *what)
{
    char number[FORMAT_MAX];
    double value = test ? test->metric[report_headline(test)].median : NAN;
    fprintf(out, "  %s%s tok/s%s %s%s", style->bold, format_number(number, value), style->off, what,
            test && test->grade == GRADE_UNSTABLE ? " (unstable) " : " ");
}

static void print_headline(const struct report *report, FILE *out, const struct style *style)
{
    const struct report_test *prompt = report_find(report, SCENARIO_PROMPT);
    char ttft[FORMAT_MAX], bytes[FORMAT_MAX];
    double footprint = report->memory.after.known ? (double)report->memory.after.resident_bytes : NAN;
    fputc('\n', out);
    print_rate(out, style, report_find(report, SCENARIO_DECODE), "decode");
    print_rate(out, style, report_find(report, SCENARIO_PREFILL), "prefill");
    fprintf(out, "  %s%s%s to the first token   %s%s%s resident\n", style->bold,
            format_ms(ttft, prompt ? prompt->metric[METRIC_TTFT_MS].median : NAN), style->off, style->bold,
            format_bytes(bytes, footprint), style->off);
}

void report_text(const struct report *report, FILE *out, bool color)
{
    static const struct style plain = {"", "", ""}, colored = {"\x1b[1;36m", "\x1b[2m", "\x1b[0m"};
    const struct style *style = color ? &colored : &plain;
    char line[768];
    report_model_line(report, line, sizeof line);
    fprintf(out, "%s%s%s\n", style->bold, line, style->off);
    report_machine_line(report, line, sizeof line);
    fprintf(out, "%s%s\n", style->dim, line);
    report_engine_line(report, line, sizeof line);
    fprintf(out, "%s%s\n", line, style->off);
    print_headline(report, out, style);

    struct table table;
    report_prompt_table(report, &table);
    print_section(out, style, "Prompts (mean ± standard deviation)", &table, color);
    report_speed_table(report, &table);
    print_section(out, style, "Prefill and decode", &table, color);
    report_roofline_line(report, line, sizeof line);
    fprintf(out, "  %s%s%s\n", style->dim, line, style->off);
    report_memory_table(report, &table);
    print_section(out, style, "Memory", &table, color);

    for (size_t i = 0; report_failure_line(report, i, line, sizeof line); i++)
        fprintf(out, "%s%s\n", i ? "  " : "\nRuns that did not count\n  ", line);
    for (size_t i = 0; i < report->plan.n_cuts; i++)
        fprintf(out, "%s%s\n", i ? "  " : "\nCut to stay within the time of quick mode\n  ",
                report->plan.cuts[i]);
    report_quality(report, line, sizeof line);
    fprintf(out, "\n%sQuality%s  %s (%.1f s)\n", style->bold, style->off, line, report->duration_s);
}
