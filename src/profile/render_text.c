/* The report on a terminal: headline first, at most 100 columns, whatever the report holds. */
#include <string.h>

#include "profile/clean.h"
#include "profile/render_formats.h"

struct style {
    const char *bold, *dim, *bad, *off;
};

static const struct style PLAIN = {"", "", "", ""};
static const struct style COLORED = {"\x1b[1;36m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"};

static void wrapped(struct buffer *out, const char *before, const char *text, size_t indent)
{
    buffer_format(out, "%*s%s", indent > 2 ? (int)indent - 2 : 0, "", before);
    clean_wrap(out, text, indent, indent, RENDER_COLUMNS);
}

static void dimmed(struct buffer *out, const struct style *style, const char *text)
{
    if (!*text)
        return;
    buffer_text(out, style->dim);
    clean_wrap(out, text, 0, 2, RENDER_COLUMNS);
    buffer_text(out, style->off);
}

static void heading(struct buffer *out, const struct style *style, const char *title)
{
    buffer_format(out, "\n%s%s%s\n", style->bold, title, style->off);
}

static void section(const struct view *view, struct buffer *out, const struct style *style,
                    enum view_table which)
{
    const struct table *table = &view->tables[which];
    if (table_rows(table) == 0)
        return;
    heading(out, style, view_table_title(which));
    table_write(table, out, style == &COLORED ? TABLE_TEXT_COLOR : TABLE_TEXT, 2, RENDER_COLUMNS);
    if (view->cut_rows[which])
        buffer_format(out, "  ... and %zu more, in the JSON report\n", view->cut_rows[which]);
}

static void list(struct buffer *out, const struct style *style, const char *title,
                 const struct view_lines *lines)
{
    if (lines->n == 0)
        return;
    heading(out, style, title);
    for (size_t i = 0; i < lines->n; i++)
        wrapped(out, "- ", lines->items[i], 4);
    if (lines->more)
        buffer_format(out, "  ... and %zu more, in the JSON report\n", lines->more);
}

/* "15.6 tok/s  tokens per second (decode 17.3, prefill 318)" */
static void cards(const struct view *view, struct buffer *out, const struct style *style)
{
    buffer_text(out, "\n");
    for (int i = 0; i < VIEW_CARDS; i++) {
        const struct view_card *card = &view->cards[i];
        size_t width = clean_width(card->value), padding = width < 12 ? 12 - width : 0;
        buffer_format(out, "  %s%*s%s%s  %-20s", style->bold, (int)padding, "", card->value, style->off,
                      card->label);
        buffer_text(out, style->dim);
        clean_wrap(out, card->note, 36, 36, RENDER_COLUMNS);
        buffer_text(out, style->off);
    }
}

static void findings(const struct view *view, struct buffer *out, const struct style *style)
{
    if (view->n_findings)
        heading(out, style, "Bottlenecks");
    for (size_t i = 0; i < view->n_findings; i++) {
        const struct view_finding *finding = &view->findings[i];
        bool high = strcmp(finding->severity, "High") == 0;
        buffer_format(out, "  %s%-6s%s  ", high ? style->bad : style->bold, finding->severity, style->off);
        clean_wrap(out, finding->title, 10, 10, RENDER_COLUMNS);
        if (*finding->text)
            wrapped(out, "  ", finding->text, 10);
        if (*finding->evidence) {
            buffer_text(out, style->dim);
            wrapped(out, "  ", finding->evidence, 10);
            buffer_text(out, style->off);
        }
    }
    if (view->more_findings)
        buffer_format(out, "  ... and %zu more, in the JSON report\n", view->more_findings);
}

static void advice(const struct view *view, struct buffer *out, const struct style *style)
{
    if (view->n_advice)
        heading(out, style, "Recommendations");
    for (size_t i = 0; i < view->n_advice; i++) {
        struct buffer line = {0};
        buffer_text(&line, view->advice[i].text);
        if (*view->advice[i].expected)
            buffer_format(&line, " (%s)", view->advice[i].expected);
        wrapped(out, "- ", line.data ? line.data : "", 4);
        buffer_free(&line);
        buffer_text(out, style->dim);
        wrapped(out, "  ", view->advice[i].proof, 4);
        buffer_text(out, style->off);
    }
    if (view->more_advice)
        buffer_format(out, "  ... and %zu more, in the JSON report\n", view->more_advice);
}

static void measurements(const struct view *view, struct buffer *out, const struct style *style)
{
    section(view, out, style, VIEW_COMPARISON);
    section(view, out, style, VIEW_PROMPTS);
    section(view, out, style, VIEW_SPEED);
    if (*view->roofline_line)
        wrapped(out, "", view->roofline_line, 2);
    section(view, out, style, VIEW_CONFIGURATIONS);
    if (*view->best) {
        const char *title = view->proof ? "Proof" : "Best configuration";
        buffer_format(out, "\n%s%s%s  ", style->bold, title, style->off);
        clean_wrap(out, view->best, strlen(title) + 2, 2, RENDER_COLUMNS);
    }
}

void render_text(const struct view *view, bool color, struct buffer *out)
{
    const struct style *style = color ? &COLORED : &PLAIN;
    buffer_text(out, style->bold);
    clean_wrap(out, view->title, 0, 2, RENDER_COLUMNS);
    buffer_text(out, style->off);
    dimmed(out, style, view->model_line);
    dimmed(out, style, view->machine_line);
    dimmed(out, style, view->engine_line);
    dimmed(out, style, view->run_line);
    if (*view->status) {
        buffer_format(out, "\n%s", style->bad);
        clean_wrap(out, view->status, 0, 2, RENDER_COLUMNS);
        buffer_text(out, style->off);
    }
    cards(view, out, style);
    measurements(view, out, style);
    findings(view, out, style);
    advice(view, out, style);
    list(out, style, "Proofs", &view->proofs);
    list(out, style, "Strengths", &view->strengths);
    section(view, out, style, VIEW_PREDICTED);
    section(view, out, style, VIEW_WHAT_IF);
    section(view, out, style, VIEW_MEMORY);
    section(view, out, style, VIEW_CEILINGS);
    list(out, style, "Runs that did not count", &view->failures);
    list(out, style, "Left out or shortened", &view->cuts);
    list(out, style, "Notes", &view->notes);
    buffer_format(out, "\n%sQuality%s  ", style->bold, style->off);
    clean_wrap(out, view->quality, 9, 2, RENDER_COLUMNS);
    for (size_t i = 0; i < view->flags.n; i++)
        wrapped(out, "- ", view->flags.items[i], 4);
}
