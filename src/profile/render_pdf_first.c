/* Page one of the PDF: title, status, four cards, charts, and in two columns what limits the run and what to
 * do. What does not fit is counted, not drawn over the edge. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/clean.h"
#include "profile/render_pdf.h"

enum { CHARTS_FIRST = 4, CARD_HEIGHT = 68 };

static void draw_chip(struct paper *paper, double right, double y, const char *text, uint32_t color)
{
    struct draw_style style = {.size = 8, .bold = true, .color = 0xFFFFFF, .anchor = DRAW_CENTER};
    double width = draw_text_width(&paper->canvas, &style, text) + 14;
    draw_rectangle(&paper->canvas, right - width, y, width, 15, 7.5, color, 1);
    draw_text(&paper->canvas, &style, right - width / 2, y + 10.6, text);
}

static void title(struct paper *paper, const struct view *view)
{
    const struct chart_theme *theme = paper->canvas.theme;
    double x = paper->canvas.x, w = paper->canvas.w;
    char heading[96];
    snprintf(heading, sizeof heading, "LLMind · %s", view->heading);
    draw_rectangle(&paper->canvas, 0, 0, PAPER_WIDTH, 7, 0, theme->accent, 1);
    draw_text(&paper->canvas, &(struct draw_style){.size = 9, .bold = true, .color = theme->accent}, x,
              paper->y + 8, heading);
    draw_text(&paper->canvas, &(struct draw_style){.size = 9, .color = theme->muted, .anchor = DRAW_RIGHT},
              x + w, paper->y + 8, view->created);
    paper->y += 16;
    struct draw_style big = {.size = 20, .bold = true, .color = theme->ink};
    double room = view->quick || *view->status ? w - 120 : w;
    if (*view->status)
        draw_chip(paper, x + w, paper->y + 7, "not a complete run", theme->bad);
    else if (view->quick)
        draw_chip(paper, x + w, paper->y + 7, "quick: indicative", theme->warn);
    int lines = draw_paragraph(&paper->canvas, &big, x, paper->y + 20, room, 24, 2, true, view->title);
    paper->y += 24 * lines + 5;
    paper_text(paper, 8.6, theme->muted, 2, view->model_line);
    paper_text(paper, 8.6, theme->muted, 2, view->machine_line);
    paper_text(paper, 8.6, theme->muted, 2, view->engine_line);
    paper->y += 6;
}

static void status(struct paper *paper, const struct view *view)
{
    const struct canvas *canvas = &paper->canvas;
    struct draw_style style = {.size = 9, .color = canvas->theme->bad};
    if (!*view->status)
        return;
    int lines = draw_paragraph(canvas, &style, 0, 0, canvas->w - 20, 12, 4, false, view->status);
    draw_rectangle(canvas, canvas->x, paper->y, canvas->w, lines * 12 + 10, 4, canvas->theme->bad, 0.08);
    draw_paragraph(canvas, &style, canvas->x + 10, paper->y + 14, canvas->w - 20, 12, 4, true, view->status);
    paper->y += lines * 12 + 18;
}

/* "15.6 tok/s": the number large, its unit small behind it, both smaller where they would not fit. */
static void card_value(const struct canvas *canvas, double x, double y, double width, const char *value)
{
    const struct chart_theme *theme = canvas->theme;
    char number[48];
    const char *unit = strchr(value, ' ');
    size_t length = unit ? (size_t)(unit - value) : strlen(value);
    snprintf(number, sizeof number, "%.*s", (int)(length < 40 ? length : 40), value);
    struct draw_style big = {.size = 19, .bold = true, .color = theme->ink},
                      small = {.size = 9.5, .color = theme->muted};
    while (big.size > 9 && draw_text_width(canvas, &big, number) + 40 > width)
        big.size -= 1;
    double used = draw_text_fit(canvas, &big, x, y, width, number);
    if (unit)
        draw_text_fit(canvas, &small, x + used + 4, y, width - used - 4, unit + 1);
}

static void cards(struct paper *paper, const struct view *view)
{
    const struct canvas *canvas = &paper->canvas;
    const struct chart_theme *theme = canvas->theme;
    double gap = 9, w = (canvas->w - gap * (VIEW_CARDS - 1)) / VIEW_CARDS;
    for (int i = 0; i < VIEW_CARDS; i++) {
        const struct view_card *card = &view->cards[i];
        double x = canvas->x + i * (w + gap);
        draw_rectangle(canvas, x, paper->y, w, CARD_HEIGHT, 5, theme->panel, 1);
        draw_rectangle(canvas, x, paper->y, 2.5, CARD_HEIGHT, 1, theme->accent, 1);
        draw_text_fit(canvas, &(struct draw_style){.size = 8, .color = theme->muted}, x + 10, paper->y + 14,
                      w - 16, card->label);
        card_value(canvas, x + 10, paper->y + 36, w - 16, card->value);
        draw_paragraph(canvas, &(struct draw_style){.size = 7.3, .color = theme->muted}, x + 10,
                       paper->y + 49, w - 16, 9.2, 2, true, card->note);
    }
    paper->y += CARD_HEIGHT + 12;
}

/* ---- findings and advice, side by side ---- */

struct column {
    double x, y, w, bottom;
};

static void column_heading(const struct canvas *canvas, struct column *column, const char *text)
{
    draw_text(canvas, &(struct draw_style){.size = 10, .bold = true, .color = canvas->theme->accent},
              column->x, column->y + 10, text);
    column->y += 18;
}

/* One thing with a mark before it; false: it does not fit any more. */
static bool column_item(const struct canvas *canvas, struct column *column, uint32_t color, const char *head,
                        const char *text)
{
    struct draw_style bold = {.size = 8.3, .bold = true, .color = canvas->theme->ink},
                      plain = {.size = 8, .color = canvas->theme->muted};
    double w = column->w - 10;
    int heads = *head ? draw_paragraph(canvas, &bold, 0, 0, w, 10.6, 2, false, head) : 0;
    int lines = draw_paragraph(canvas, &plain, 0, 0, w, 10.3, 5, false, text);
    double height = heads * 10.6 + lines * 10.3 + 5;
    if (column->y + height > column->bottom)
        return false;
    draw_rectangle(canvas, column->x, column->y + 1, 3, height - 5, 1.5, color, 1);
    draw_paragraph(canvas, &bold, column->x + 10, column->y + 8.5, w, 10.6, 2, heads > 0, head);
    draw_paragraph(canvas, &plain, column->x + 10, column->y + 8.5 + heads * 10.6, w, 10.3, 5, true, text);
    column->y += height;
    return true;
}

static uint32_t severity_color(const struct chart_theme *theme, const char *severity)
{
    return strcmp(severity, "High") == 0     ? theme->bad
           : strcmp(severity, "Medium") == 0 ? theme->warn
                                             : theme->muted;
}

static void column_more(const struct canvas *canvas, struct column *column, size_t n)
{
    char text[64];
    if (n == 0)
        return;
    snprintf(text, sizeof text, "and %zu more, in the JSON report", n);
    draw_text_fit(canvas, &(struct draw_style){.size = 8, .color = canvas->theme->muted}, column->x + 10,
                  fmin(column->y, column->bottom - 8) + 8, column->w - 10, text);
}

static void findings_column(const struct canvas *canvas, struct column column, const struct view *view)
{
    size_t i = 0;
    column_heading(canvas, &column, view->n_findings ? "What limits it" : "What is well");
    for (; i < view->n_findings; i++) {
        const struct view_finding *finding = &view->findings[i];
        char head[400];
        snprintf(head, sizeof head, "%s: %.380s", finding->severity, finding->title);
        struct buffer clean = {0};
        clean_line(&clean, head, sizeof head);
        bool drawn = column_item(canvas, &column, severity_color(canvas->theme, finding->severity),
                                 clean.data ? clean.data : "", finding->text);
        buffer_free(&clean);
        if (!drawn)
            break;
    }
    column_more(canvas, &column, view->n_findings - i + view->more_findings);
    if (i < view->n_findings)
        return;
    for (i = 0; i < view->strengths.n; i++)
        if (!column_item(canvas, &column, canvas->theme->good, "", view->strengths.items[i]))
            break;
    if (view->n_findings == 0 && view->strengths.n == 0)
        column_item(canvas, &column, canvas->theme->muted, "", "Nothing was concluded from this run.");
}

static void advice_column(const struct canvas *canvas, struct column column, const struct view *view)
{
    size_t i = 0;
    column_heading(canvas, &column, "What to do");
    if (*view->best)
        column_item(canvas, &column, canvas->theme->good, view->proof ? "Proof" : "Configurations",
                    view->best);
    for (; i < view->n_advice; i++) {
        struct buffer text = {0};
        buffer_format(&text, "%s (%s)", view->advice[i].text, view->advice[i].proof);
        bool drawn = column_item(canvas, &column, canvas->theme->accent, view->advice[i].expected,
                                 text.data ? text.data : "");
        buffer_free(&text);
        if (!drawn)
            break;
    }
    column_more(canvas, &column, view->n_advice - i + view->more_advice);
    if (view->n_advice == 0 && !*view->best)
        column_item(canvas, &column, canvas->theme->muted, "", "There is no recommendation for this run.");
}

static void conclusions(struct paper *paper, const struct view *view)
{
    double gap = 18, w = (paper->canvas.w - gap) / 2;
    bool nothing = view->n_findings + view->n_advice + view->strengths.n == 0 && !*view->best;
    if (nothing && view->comparison)
        return;
    struct column left = {paper->canvas.x, paper->y, w, paper->bottom};
    struct column right = {paper->canvas.x + w + gap, paper->y, w, paper->bottom};
    findings_column(&paper->canvas, left, view);
    advice_column(&paper->canvas, right, view);
}

size_t pdf_first_page(struct paper *paper, const struct view *view, const json_t *report,
                      const enum chart *charts, size_t n)
{
    title(paper, view);
    status(paper, view);
    cards(paper, view);
    if (n > CHARTS_FIRST)
        n = CHARTS_FIRST;
    if (view->comparison && n > 0) { /* one chart, as high as it has rows, and its table */
        double rows = (double)table_rows(&view->tables[VIEW_COMPARISON]);
        pdf_chart_rows(paper, report, charts, n = 1, 64 + 23 * fmin(rows, 12));
        pdf_table(paper, view, VIEW_COMPARISON);
    } else if (n > 0) {
        const size_t pairs = (n + 1) / 2;
        double rows = (double)pairs, text = 175;
        double height = fmin((paper_left(paper) - text) / rows - 10, n <= 2 ? 230 : 185);
        pdf_chart_rows(paper, report, charts, n, height);
    }
    paper->y += 4;
    conclusions(paper, view);
    return n;
}
