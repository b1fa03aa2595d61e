/* The report as a document to hand on. Page one is for whoever decides: what was measured, four figures, the
 * charts that tell most, what limits it and what to do. Page two is for whoever checks: all tests, ceilings,
 * memory, machine, flags, versions, method, quality. A report with very many rows takes a few pages more.
 *
 * The pages are laid out first into nothing, to count them.
 */
#include <cairo-pdf.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/clean.h"
#include "profile/json_get.h"
#include "profile/render_formats.h"
#include "profile/render_pdf.h"

enum { MAX_ROWS = 24 };

/* Charts side by side in rows of two, `height` each; returns how many were drawn. */
void pdf_chart_rows(struct paper *paper, const json_t *report, const enum chart *charts, size_t n,
                    double height)
{
    static const double SCALE = 0.82; /* charts are designed for a screen */
    double gap = 14;
    for (size_t i = 0; i < n;) {
        size_t cells = n - i == 1 || charts[i] == CHART_TIMELINE ? 1 : 2;
        if (cells == 2 && charts[i + 1] == CHART_TIMELINE)
            cells = 1;
        double w = cells == 2 ? (paper->canvas.w - gap) / 2 : paper->canvas.w;
        for (size_t k = 0; k < cells; k++, i++) {
            struct canvas cell = paper->canvas;
            cairo_save(cell.cr);
            cairo_translate(cell.cr, cell.x + (double)k * (w + gap), paper->y);
            cairo_scale(cell.cr, SCALE, SCALE);
            cell.x = cell.y = 0;
            cell.w = w / SCALE;
            cell.h = height / SCALE;
            chart_draw(report, charts[i], &cell);
            cairo_restore(cell.cr);
        }
        paper->y += height + 10;
    }
}

/* The charts in the order of what they tell; page one takes the first four. */
static size_t ranked_charts(const json_t *report, enum chart out[CHARTS])
{
    static const enum chart order[CHARTS] = {CHART_COMPARISON, CHART_SPEED,    CHART_CONFIGURATIONS,
                                             CHART_DEPTH,      CHART_ROOFLINE, CHART_SCALING,
                                             CHART_ITL,        CHART_TIMELINE};
    enum chart present[CHARTS];
    size_t n_present = chart_list(report, present), n = 0;
    for (int i = 0; i < CHARTS; i++)
        for (size_t k = 0; k < n_present; k++)
            if (present[k] == order[i])
                out[n++] = order[i];
    return n;
}

void pdf_table(struct paper *paper, const struct view *view, enum view_table which)
{
    const struct table *table = &view->tables[which];
    if (table_rows(table) == 0)
        return;
    paper_heading(paper, view_table_title(which));
    paper_table(paper, table, paper->canvas.x, paper->canvas.w, MAX_ROWS, view->cut_rows[which]);
    paper->y += 5;
}

/* ---- page two ---- */

/* Memory and ceilings, one beside the other where both are known. */
static void memory_and_ceilings(struct paper *paper, const struct view *view)
{
    const struct table *memory = &view->tables[VIEW_MEMORY], *ceilings = &view->tables[VIEW_CEILINGS];
    if (table_rows(memory) == 0 || table_rows(ceilings) == 0) {
        pdf_table(paper, view, VIEW_MEMORY);
        pdf_table(paper, view, VIEW_CEILINGS);
        return;
    }
    double gap = 18, w = (paper->canvas.w - gap) / 2;
    paper_need(paper,
               25 + fmax(paper_table_height(memory, MAX_ROWS, 0), paper_table_height(ceilings, MAX_ROWS, 0)));
    double top = paper->y;
    struct canvas whole = paper->canvas;
    paper_heading(paper, view_table_title(VIEW_MEMORY));
    paper_table(paper, memory, whole.x, w, MAX_ROWS, 0);
    double end = paper->y;
    paper->y = top;
    paper->canvas.x += w + gap;
    paper->canvas.w = w;
    paper_heading(paper, view_table_title(VIEW_CEILINGS));
    paper_table(paper, ceilings, paper->canvas.x, w, MAX_ROWS, 0);
    paper->canvas = whole;
    paper->y = fmax(end, paper->y) + 5;
}

static void facts(struct paper *paper, const struct view *view)
{
    static const enum view_table columns[] = {VIEW_MACHINE, VIEW_FLAGS, VIEW_RUN};
    enum { N = sizeof columns / sizeof *columns, FACTS = 18 };
    double gap = 16, w = (paper->canvas.w - gap * (N - 1)) / N, end = 0;
    size_t most = 0;
    for (int i = 0; i < N; i++)
        most = table_rows(&view->tables[columns[i]]) > most ? table_rows(&view->tables[columns[i]]) : most;
    paper_need(paper, 20 + PAPER_FACT * (double)(most < FACTS ? most : FACTS));
    double top = paper->y;
    struct canvas whole = paper->canvas;
    for (int i = 0; i < N; i++) {
        if (table_rows(&view->tables[columns[i]]) == 0)
            continue;
        paper->y = top;
        paper->canvas.x = whole.x + i * (w + gap);
        paper->canvas.w = w;
        paper_heading(paper, view_table_title(columns[i]));
        paper_facts(paper, &view->tables[columns[i]], paper->canvas.x, w, FACTS);
        end = fmax(end, paper->y);
    }
    paper->canvas = whole;
    paper->y = end + 9;
}

/* ---- lists ---- */

struct section {
    const char *heading;
    const struct view_lines *lines;
    size_t most;
    uint32_t color;
};

static void items(struct paper *paper, const struct section *section)
{
    size_t n = section->lines->n < section->most ? section->lines->n : section->most;
    size_t more = section->lines->n + section->lines->more - n;
    if (n == 0)
        return;
    paper_heading(paper, section->heading);
    for (size_t i = 0; i < n; i++)
        paper_item(paper, "•", section->color, section->lines->items[i]);
    if (more) {
        char text[64];
        snprintf(text, sizeof text, "and %zu more, in the JSON report", more);
        paper_text(paper, 7.4, paper->canvas.theme->muted, 1, text);
    }
    paper->y += 4;
}

static double items_height(const struct paper *paper, const struct section *section, double width)
{
    size_t n = section->lines->n < section->most ? section->lines->n : section->most;
    double height = n ? 21 : 0; /* heading and gap */
    if (n && section->lines->n + section->lines->more > n)
        height += 11;
    for (size_t i = 0; i < n; i++)
        height += paper_item_height(paper, width, section->lines->items[i]);
    return height;
}

/* What the figures are worth to the left, how they were made to the right; one below the other when that
 * does not fit on the page. */
static void quality_and_method(struct paper *paper, const struct view *view)
{
    const struct chart_theme *theme = paper->canvas.theme;
    struct view_lines quality = {0};
    view_line(&quality, view->quality);
    for (size_t i = 0; i < view->flags.n; i++)
        view_line(&quality, view->flags.items[i]);
    const struct section left[] = {{"Quality of these figures", &quality, 6, theme->accent},
                                   {"Runs that did not count", &view->failures, 5, theme->bad},
                                   {"Left out or shortened", &view->cuts, 5, theme->warn},
                                   {"Proofs", &view->proofs, 6, theme->good},
                                   {"Notes", &view->notes, 4, theme->muted}},
                         method = {"Method", &view->method, 8, theme->accent};
    enum { N = sizeof left / sizeof *left };
    double gap = 18, w = 0.42 * (paper->canvas.w - gap), right = paper->canvas.w - gap - w, height = 0;
    for (int i = 0; i < N; i++)
        height += items_height(paper, &left[i], w);
    struct canvas whole = paper->canvas;
    bool beside = fmax(height, items_height(paper, &method, right)) <= paper_left(paper);
    double top = paper->y, end;
    paper->canvas.w = beside ? w : whole.w;
    for (int i = 0; i < N; i++)
        items(paper, &left[i]);
    end = paper->y;
    if (beside) {
        paper->y = top;
        paper->canvas.x = whole.x + w + gap;
        paper->canvas.w = right;
    }
    items(paper, &method);
    paper->canvas = whole;
    paper->y = beside ? fmax(end, paper->y) : paper->y;
}

/* A further row of charts, where the page has room for it. */
static void more_charts(struct paper *paper, const json_t *report, const enum chart *charts, size_t n)
{
    enum { LEAST = 150, MOST = 190 };
    while (n > 0 && paper_left(paper) >= LEAST) {
        size_t row = n > 1 && charts[0] != CHART_TIMELINE && charts[1] != CHART_TIMELINE ? 2 : 1;
        pdf_chart_rows(paper, report, charts, row, fmin(paper_left(paper) - 10, MOST));
        charts += row;
        n -= row;
    }
}

static int draw_pages(const struct view *view, const json_t *report, cairo_t *cr, int pages, double scale)
{
    static const enum view_table tables[] = {VIEW_PROMPTS, VIEW_SPEED, VIEW_CONFIGURATIONS};
    struct paper paper;
    enum chart charts[CHARTS];
    size_t n = ranked_charts(report, charts);
    struct buffer footer = {0};
    buffer_format(&footer, "LLMind · %s · ", view->heading);
    clean_line(&footer, view->title, 80);
    paper_begin(&paper, cr, pages, scale, footer.data ? footer.data : "LLMind");
    size_t shown = pdf_first_page(&paper, view, report, charts, n);
    paper_next_page(&paper);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        pdf_table(&paper, view, tables[i]);
    if (n == 0) /* else it is beside its chart */
        pdf_table(&paper, view, VIEW_COMPARISON);
    memory_and_ceilings(&paper, view);
    facts(&paper, view);
    quality_and_method(&paper, view);
    more_charts(&paper, report, charts + shown, n - shown);
    paper_end(&paper);
    buffer_free(&footer);
    return paper.page;
}

static cairo_status_t discard(void *out, const unsigned char *bytes, unsigned int length)
{
    (void)out;
    (void)bytes;
    (void)length;
    return CAIRO_STATUS_SUCCESS;
}

static cairo_status_t append(void *out, const unsigned char *bytes, unsigned int length)
{
    buffer_append(out, bytes, length);
    return ((struct buffer *)out)->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static void describe(cairo_surface_t *surface, const struct view *view, const json_t *report)
{
    struct buffer text = {0};
    buffer_format(&text, "LLMind %s: %s", view->heading, view->title);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, text.data ? text.data : "LLMind");
    buffer_free(&text);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "LLMind");
    const char *created = json_get_text(report, "created", "");
    if (strlen(created) == 20)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, created);
}

/* Draws the pages with a known or unknown (0) number of them; *counted: how many they are. */
static cairo_status_t draw_document(const struct view *view, const json_t *report, int pages, double scale,
                                    int *counted, cairo_write_func_t write, void *closure)
{
    cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(write, closure, PAPER_WIDTH, PAPER_HEIGHT);
    cairo_t *cr = cairo_create(surface);
    describe(surface, view, report);
    *counted = draw_pages(view, report, cr, pages, scale);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return status;
}

int render_pdf(const struct view *view, const json_t *report, struct buffer *out, struct error *error)
{
    /* The second page gives way, as far as it stays readable; what is still too much takes more pages. */
    static const double scales[] = {1, 0.93, 0.87, 0.81};
    enum { N = sizeof scales / sizeof *scales };
    int pages = 0, fitting = 0;
    cairo_status_t status = CAIRO_STATUS_SUCCESS;
    for (int i = 0; i < N && status == CAIRO_STATUS_SUCCESS; i++) {
        status = draw_document(view, report, 0, scales[i], &pages, discard, NULL);
        fitting = i;
        if (pages <= 2 || pages > 3)
            break;
    }
    if (pages > 2 && status == CAIRO_STATUS_SUCCESS)
        status = draw_document(view, report, 0, scales[fitting = 0], &pages, discard, NULL);
    if (status == CAIRO_STATUS_SUCCESS)
        status = draw_document(view, report, pages, scales[fitting], &pages, append, out);
    if (status == CAIRO_STATUS_SUCCESS)
        return 0;
    if (status == CAIRO_STATUS_NO_MEMORY)
        return error_memory(error, "a PDF", 0);
    return error_set(error, ERROR_INTERNAL, "cairo cannot write a PDF: %s", cairo_status_to_string(status));
}
