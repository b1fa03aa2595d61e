/* The same report for an issue or a notebook. Text of the report is escaped: it stays text. */
#include "profile/clean.h"
#include "profile/render_formats.h"

static void escaped(struct buffer *out, const char *before, const char *text, const char *after)
{
    buffer_text(out, before);
    clean_markdown(out, text);
    buffer_text(out, after);
}

static void line(struct buffer *out, const char *before, const char *text)
{
    if (*text)
        escaped(out, before, text, "\n");
}

static void section(const struct view *view, struct buffer *out, enum view_table which)
{
    if (table_rows(&view->tables[which]) == 0)
        return;
    buffer_format(out, "\n## %s\n\n", view_table_title(which));
    table_write(&view->tables[which], out, TABLE_MARKDOWN, 0, 0);
    if (view->cut_rows[which])
        buffer_format(out, "\n%zu more are in the JSON report.\n", view->cut_rows[which]);
}

static void list(struct buffer *out, const char *title, const struct view_lines *lines)
{
    if (lines->n)
        buffer_format(out, "\n## %s\n\n", title);
    for (size_t i = 0; i < lines->n; i++)
        line(out, "- ", lines->items[i]);
    if (lines->more)
        buffer_format(out, "- %zu more, in the JSON report\n", lines->more);
}

static void head(const struct view *view, struct buffer *out)
{
    buffer_format(out, "# LLMind %s: ", view->heading);
    line(out, "", view->title);
    buffer_text(out, "\n");
    line(out, "- Model: ", view->model_line);
    line(out, "- Machine: ", view->machine_line);
    line(out, "- Engine: ", view->engine_line);
    line(out, "- Run: ", view->run_line);
    line(out, "- Status: ", view->status);
    line(out, "- Quality: ", view->quality);
    buffer_text(out, "\n| | | |\n| --- | ---: | --- |\n");
    for (int i = 0; i < VIEW_CARDS; i++) {
        escaped(out, "| ", view->cards[i].label, "");
        escaped(out, " | **", view->cards[i].value, "** | ");
        escaped(out, "", view->cards[i].note, " |\n");
    }
}

static void conclusions(const struct view *view, struct buffer *out)
{
    if (view->n_findings)
        buffer_text(out, "\n## Bottlenecks\n\n");
    for (size_t i = 0; i < view->n_findings; i++) {
        const struct view_finding *finding = &view->findings[i];
        buffer_format(out, "- **%s**: ", finding->severity);
        escaped(out, "", finding->title, ". ");
        clean_markdown(out, finding->text);
        if (*finding->evidence)
            escaped(out, " (", finding->evidence, ")");
        buffer_text(out, "\n");
    }
    if (view->more_findings)
        buffer_format(out, "- %zu more, in the JSON report\n", view->more_findings);
    if (view->n_advice)
        buffer_text(out, "\n## Recommendations\n\n");
    for (size_t i = 0; i < view->n_advice; i++) {
        escaped(out, "- ", view->advice[i].text, "");
        if (*view->advice[i].expected)
            escaped(out, " (", view->advice[i].expected, ")");
        escaped(out, " [", view->advice[i].proof, "]\n");
    }
    if (view->more_advice)
        buffer_format(out, "- %zu more, in the JSON report\n", view->more_advice);
    list(out, "Proofs", &view->proofs);
    list(out, "Strengths", &view->strengths);
}

void render_markdown(const struct view *view, struct buffer *out)
{
    head(view, out);
    section(view, out, VIEW_COMPARISON);
    section(view, out, VIEW_PROMPTS);
    section(view, out, VIEW_SPEED);
    if (*view->roofline_line)
        escaped(out, "\nRoofline: ", view->roofline_line, ".\n");
    section(view, out, VIEW_CONFIGURATIONS);
    line(out, "\n", view->best);
    conclusions(view, out);
    static const enum view_table facts[] = {VIEW_PREDICTED,  VIEW_WHAT_IF, VIEW_MEMORY,  VIEW_CEILINGS,
                                            VIEW_OPERATIONS, VIEW_SENSORS, VIEW_MACHINE, VIEW_FLAGS};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        section(view, out, facts[i]);
    list(out, "Runs that did not count", &view->failures);
    list(out, "Left out or shortened", &view->cuts);
    list(out, "Notes", &view->notes);
    list(out, "Limits of these figures", &view->flags);
    section(view, out, VIEW_RUN);
    list(out, "Method", &view->method);
}
