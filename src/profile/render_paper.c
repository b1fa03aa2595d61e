#include "profile/render_paper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FOOT = 24 };
static const double ROW = 10, CELL_SIZE = 7.3, COLUMN_GAP = 9;

/* Within a page everything is in its own, scaled, points. */
static void begin_page(struct paper *paper, double scale)
{
    cairo_save(paper->canvas.cr);
    cairo_scale(paper->canvas.cr, scale, scale);
    paper->scale = scale;
    paper->canvas.x = paper->canvas.y = paper->y = PAPER_MARGIN / scale;
    paper->canvas.w = (PAPER_WIDTH - 2 * PAPER_MARGIN) / scale;
    paper->canvas.h = (PAPER_HEIGHT - 2 * PAPER_MARGIN) / scale;
    paper->bottom = (PAPER_HEIGHT - PAPER_MARGIN - FOOT) / scale;
}

void paper_begin(struct paper *paper, cairo_t *cr, int pages, double scale, const char *footer)
{
    *paper = (struct paper){.canvas = {.cr = cr, .theme = &chart_light},
                            .next_scale = scale,
                            .page = 1,
                            .pages = pages,
                            .footer = footer};
    begin_page(paper, 1);
}

static void draw_footer(struct paper *paper)
{
    const struct canvas *canvas = &paper->canvas;
    char number[48];
    double x = PAPER_MARGIN, w = PAPER_WIDTH - 2 * PAPER_MARGIN, y = PAPER_HEIGHT - PAPER_MARGIN;
    snprintf(number, sizeof number, "page %d of %d", paper->page, paper->pages);
    draw_line(canvas, x, y - 13, x + w, y - 13, 0.5, canvas->theme->grid);
    struct draw_style style = {.size = 7.5, .color = canvas->theme->muted};
    draw_text_fit(canvas, &style, x, y - 2, w - 90, paper->footer);
    style.anchor = DRAW_RIGHT;
    draw_text(canvas, &style, x + w, y - 2, number);
}

void paper_end(struct paper *paper)
{
    cairo_restore(paper->canvas.cr);
    draw_footer(paper);
    cairo_show_page(paper->canvas.cr);
}

void paper_next_page(struct paper *paper)
{
    struct canvas column = paper->canvas; /* of two side by side: kept */
    double inset = column.x * paper->scale - PAPER_MARGIN, width = column.w * paper->scale;
    paper_end(paper);
    paper->page++;
    begin_page(paper, paper->next_scale);
    paper->canvas.x += inset / paper->scale;
    paper->canvas.w = width / paper->scale;
}

double paper_left(const struct paper *paper)
{
    return paper->bottom - paper->y;
}

void paper_need(struct paper *paper, double height)
{
    if (paper->y + height > paper->bottom && paper->y > paper->canvas.y)
        paper_next_page(paper);
}

void paper_heading(struct paper *paper, const char *title)
{
    paper_need(paper, 46); /* a heading is not left alone at the foot of a page */
    draw_text_fit(&paper->canvas,
                  &(struct draw_style){.size = 10, .bold = true, .color = paper->canvas.theme->accent},
                  paper->canvas.x, paper->y + 10, paper->canvas.w, title);
    paper->y += 16;
}

void paper_text(struct paper *paper, double size, uint32_t color, int max_lines, const char *text)
{
    struct draw_style style = {.size = size, .color = color};
    double leading = size * 1.35;
    int lines =
        draw_paragraph(&paper->canvas, &style, 0, 0, paper->canvas.w, leading, max_lines, false, text);
    paper_need(paper, lines * leading);
    draw_paragraph(&paper->canvas, &style, paper->canvas.x, paper->y + size, paper->canvas.w, leading,
                   max_lines, true, text);
    paper->y += lines * leading;
}

enum { ITEM_LINES = 6 };
static const double ITEM_SIZE = 7.2, ITEM_LEADING = 9.3, ITEM_INDENT = 9, ITEM_GAP = 1.5;

double paper_item_height(const struct paper *paper, double width, const char *text)
{
    struct draw_style style = {.size = ITEM_SIZE};
    int lines = draw_paragraph(&paper->canvas, &style, 0, 0, width - ITEM_INDENT, ITEM_LEADING, ITEM_LINES,
                               false, text);
    return lines * ITEM_LEADING + ITEM_GAP;
}

void paper_item(struct paper *paper, const char *mark, uint32_t color, const char *text)
{
    struct draw_style style = {.size = ITEM_SIZE, .color = paper->canvas.theme->ink};
    double width = paper->canvas.w, height = paper_item_height(paper, width, text);
    paper_need(paper, height);
    draw_text(&paper->canvas, &(struct draw_style){.size = ITEM_SIZE, .bold = true, .color = color},
              paper->canvas.x, paper->y + 7.5, mark);
    draw_paragraph(&paper->canvas, &style, paper->canvas.x + ITEM_INDENT, paper->y + 7.5, width - ITEM_INDENT,
                   ITEM_LEADING, ITEM_LINES, true, text);
    paper->y += height;
}

/* ---- tables ---- */

static void natural_widths(const struct paper *paper, const struct table *table, size_t rows, double *widths)
{
    for (size_t c = 0; c < table->n_columns; c++)
        widths[c] = 0;
    for (size_t r = 0; r <= rows; r++)
        for (size_t c = 0; c < table->n_columns; c++) {
            struct draw_style style = {.size = CELL_SIZE, .bold = r == 0};
            double own = draw_text_width(&paper->canvas, &style, table_at(table, r, c));
            widths[c] = fmax(widths[c], own + 0.5);
        }
}

/* The widest of the columns that may be cut gives way first; when that is not enough, all of them. */
static void fit_widths(const struct table *table, double *widths, double room)
{
    static const double LEAST = 30;
    double sum = 0;
    for (size_t c = 0; c < table->n_columns; c++)
        sum += widths[c];
    while (sum > room) {
        size_t widest = table->n_columns;
        for (size_t c = 0; c < table->n_columns; c++)
            if (table->align[c] == 'L' && widths[c] > LEAST &&
                (widest == table->n_columns || widths[c] > widths[widest]))
                widest = c;
        if (widest == table->n_columns)
            break;
        double less = fmin(2, fmin(sum - room, widths[widest] - LEAST));
        widths[widest] -= less;
        sum -= less;
        if (less < 1e-6)
            break;
    }
    for (size_t c = 0; c < table->n_columns && sum > room; c++)
        widths[c] *= room / sum;
}

static void draw_row(const struct paper *paper, const struct table *table, size_t row, double x,
                     const double *widths)
{
    const struct chart_theme *theme = paper->canvas.theme;
    for (size_t c = 0; c < table->n_columns; c++) {
        bool right = table->align[c] == 'r';
        struct draw_style style = {.size = CELL_SIZE,
                                   .bold = row == 0,
                                   .color = row == 0 ? theme->muted : theme->ink,
                                   .anchor = right ? DRAW_RIGHT : DRAW_LEFT};
        draw_text_fit(&paper->canvas, &style, right ? x + widths[c] : x, paper->y + 8, widths[c],
                      table_at(table, row, c));
        x += widths[c] + COLUMN_GAP;
    }
}

double paper_table_height(const struct table *table, size_t max_rows, size_t cut_rows)
{
    size_t rows = table_rows(table), shown = rows < max_rows ? rows : max_rows;
    return ROW * (double)(shown + 1 + (cut_rows || shown < rows ? 1 : 0)) + 4;
}

void paper_table(struct paper *paper, const struct table *table, double x, double width, size_t max_rows,
                 size_t cut_rows)
{
    double widths[TABLE_MAX_COLUMNS];
    const struct chart_theme *theme = paper->canvas.theme;
    size_t rows = table_rows(table), shown = rows < max_rows ? rows : max_rows;
    natural_widths(paper, table, shown, widths);
    fit_widths(table, widths, width - COLUMN_GAP * (double)(table->n_columns - 1));
    for (size_t r = 0; r <= shown; r++) {
        if (paper->y + ROW > paper->bottom) {
            paper_next_page(paper);
            if (r > 0) { /* the heading again */
                draw_row(paper, table, 0, x, widths);
                paper->y += ROW;
            }
        }
        draw_row(paper, table, r, x, widths);
        paper->y += ROW;
        draw_line(&paper->canvas, x, paper->y - 0.6, x + width, paper->y - 0.6, r == 0 ? 0.8 : 0.35,
                  theme->grid);
    }
    cut_rows += rows - shown;
    if (cut_rows) {
        char text[80];
        snprintf(text, sizeof text, "and %zu more, in the JSON report", cut_rows);
        draw_text(&paper->canvas, &(struct draw_style){.size = CELL_SIZE, .color = theme->muted}, x,
                  paper->y + 8, text);
        paper->y += ROW;
    }
    paper->y += 4;
}

void paper_facts(struct paper *paper, const struct table *table, double x, double width, size_t max_rows)
{
    const struct chart_theme *theme = paper->canvas.theme;
    size_t rows = table_rows(table);
    for (size_t r = 1; r <= rows && r <= max_rows; r++) {
        struct draw_style style = {.size = 7.1, .color = theme->muted};
        double name =
            draw_text_fit(&paper->canvas, &style, x, paper->y + 7, width * 0.55, table_at(table, r, 0));
        style.color = theme->ink;
        style.anchor = DRAW_RIGHT;
        draw_text_fit(&paper->canvas, &style, x + width, paper->y + 7, width - name - 8,
                      table_at(table, r, 1));
        draw_line(&paper->canvas, x, paper->y + 9.2, x + width, paper->y + 9.2, 0.35, theme->grid);
        paper->y += PAPER_FACT;
    }
}
