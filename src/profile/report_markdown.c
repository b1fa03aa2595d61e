/* The same report for an issue or a notebook. */
#include <string.h>

#include "base/version.h"
#include "profile/report_tables.h"

static void print_section(FILE *out, const char *title, struct table *table)
{
    if (table->n_cells > table->n_columns) {
        fprintf(out, "\n## %s\n\n", title);
        table_print(table, out, TABLE_MARKDOWN, 0);
    }
    table_free(table);
}

void report_markdown(const struct report *report, FILE *out)
{
    char line[768];
    fprintf(out, "# LLMind profile: %s\n\n", report->info.model_name);
    report_model_line(report, line, sizeof line);
    fprintf(out, "- Model: %s\n", line);
    report_machine_line(report, line, sizeof line);
    fprintf(out, "- Machine: %s\n", line);
    report_engine_line(report, line, sizeof line);
    fprintf(out, "- Engine: %s\n", line);
    const char *commit = version_commit();
    fprintf(out, "- Run: %s, %.1f s, %u repeats%s, llmind %s%s%s%s\n", report->created, report->duration_s,
            report->repeats, report->quick ? " (quick)" : "", version_number(), commit ? " (" : "",
            commit ? commit : "", commit ? ")" : "");
    report_quality(report, line, sizeof line);
    fprintf(out, "- Quality: %s\n", line);

    struct table table;
    report_prompt_table(report, &table);
    print_section(out, "Prompts", &table);
    report_speed_table(report, &table);
    print_section(out, "Prefill and decode", &table);
    report_roofline_line(report, line, sizeof line);
    fprintf(out, "\nRoofline: %s.\n", line);
    report_memory_table(report, &table);
    print_section(out, "Memory", &table);

    for (size_t i = 0; report_failure_line(report, i, line, sizeof line); i++)
        fprintf(out, "%s- %s\n", i ? "" : "\n## Runs that did not count\n\n", line);
    for (size_t i = 0; i < report->plan.n_cuts; i++)
        fprintf(out, "%s- %s\n", i ? "" : "\n## Cut to stay within the time of quick mode\n\n",
                report->plan.cuts[i]);
    fprintf(out,
            "\nMean ± standard deviation over the repeats that ended well; the warm-up is not among them.\n");
}
